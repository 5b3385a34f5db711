"""Plain characters in place of those that the encoding of an output lacks.

Each takes as much room as the original where tables have it, so that columns stay in line.
"""

from __future__ import annotations

import codecs

ERRORS = "archcalc-plain"
"""The name of the error handler, as `errors` of a stream."""

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
    """A text in ASCII; what has no plain counterpart is a question mark.

    >>> plain("64×112×112  ██▍  π")
    '64x112x112  ##.  ?'
    """
    return text.translate(PLAIN).encode("ascii", "replace").decode("ascii")


def register() -> None:
    """Make `ERRORS` known as an error handler of encodings."""

    def replace(problem: UnicodeError) -> tuple[str, int]:
        if not isinstance(problem, UnicodeEncodeError):
            raise problem
        return plain(problem.object[problem.start : problem.end]), problem.end

    codecs.register_error(ERRORS, replace)
