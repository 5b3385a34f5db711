"""Plain characters that replace those missing in the encoding of the output.

Replacements of characters in tables have the same width, so that columns stay aligned.
"""

from __future__ import annotations

import codecs

ERRORS = "archcalc-plain"
"""The name of the error handler, for `errors` of a stream."""

PLAIN = str.maketrans(
    {
        **dict.fromkeys("─━═", "-"),
        **dict.fromkeys("│┃║", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰", "+"),
        **dict.fromkeys("█▉▊▋▌", "#"),  # at least half of a block
        **dict.fromkeys("▍▎▏", "."),
        "×": "x",
        "÷": "/",
        "·": "*",
        "→": "->",
        "≈": "~",
        "≤": "<=",
        "≥": ">=",
        "≠": "!=",
        "−": "-",
        "–": "-",
        "—": "--",
        "…": "...",
        "±": "+-",
        "†": "+",
        "‡": "#",
        "°": "o",
        "⁰": "^0",
        "¹": "^1",
        "²": "^2",
        "³": "^3",
        "⁴": "^4",
        "“": '"',
        "”": '"',
        "‘": "'",
        "’": "'",
    }
)


def plain(text: str) -> str:
    """A text in ASCII. Characters without a replacement become question marks.

    >>> plain("64×112×112  ██▍  π")
    '64x112x112  ##.  ?'
    """
    return text.translate(PLAIN).encode("ascii", "replace").decode("ascii")


def register() -> None:
    """Register `ERRORS` as an error handler of encodings."""

    def replace(problem: UnicodeError) -> tuple[str, int]:
        if not isinstance(problem, UnicodeEncodeError):
            raise problem
        return plain(problem.object[problem.start : problem.end]), problem.end

    codecs.register_error(ERRORS, replace)
