"""Figures as people write them: `4.12G`, `25.6M params`, `96 MB`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from archcalc.diagnostics import error

SORTS = {
    "operations": ("MACs", "FLOPs"),
    "parameters": ("parameters",),
    "bytes": ("bytes", "parameters"),
    "stored parameters": ("parameters",),
    "stored values": ("bytes",),
    "values": ("bytes",),
}
"""The sorts of figures, with the units of the conventions that count them."""

IN_BYTES = ("bytes", "stored parameters", "stored values")

_WORDS = {
    "operations": "macs mac flops flop mult-adds multadds madds madd ops",
    "parameters": "params param parameters parameter weights",
    "bytes": "bytes",
    "values": "activations values",
}
_STORED = {"parameters": "stored parameters", "values": "stored values"}
"""The meaning of `MB`, by the word after it."""
_SORT_OF = {word: sort for sort, words in _WORDS.items() for word in words.split()}

MAX_LETTERS = 40
SIGNIFICANT = 2
"""The fewest significant digits of a round figure."""

BINARY = Fraction(2)
BINARY_BYTES = Fraction(1, 4)
"""The cost of a letter that stands for a power of 1024. For bytes it often does."""


class Claimed(Struct, frozen=True):
    """A figure as printed: `value` in units of `letter`. Its last digit counts `step`."""

    text: str
    value: Fraction
    step: Fraction
    letter: str
    sorts: tuple[str, ...]
    binary: bool = False
    coarse: Fraction = Fraction(0)
    """The step of the last digit before trailing zeros, which may be the result of rounding."""

    def scales(self) -> list[tuple[int, Fraction, str]]:
        """The possible meanings of the letter: a size, its cost, and its description."""
        power = " KMGT".index(self.letter or " ")
        if self.binary:
            return [(1024**power, Fraction(0), "")]
        if not power:
            return [(1, Fraction(0), "")]
        is_bytes = self.sorts[0] in IN_BYTES
        unit = f"{self.letter}{'B' if is_bytes else ''}"
        words = f"{unit} of 1024{'' if power == 1 else '²³⁴'[power - 2]}"
        return [
            (1000**power, Fraction(0), ""),
            (1024**power, BINARY_BYTES if is_bytes else BINARY, words),
        ]


_FIGURE = re.compile(
    r"(?P<number>(?:[0-9]+|[0-9]{1,3}(?:[,_][0-9]{3})+)(?:\.[0-9]+)?)"
    r"(?:e(?P<exponent>[0-9]{1,2}))?(?P<unit>[A-Za-z][A-Za-z-]*)?"
)
_UNIT = re.compile(r"(?P<letter>[KMGT])(?P<bytes>i?B)?", re.IGNORECASE)
_LETTERS = {"thousand": "K", "million": "M", "billion": "G", "trillion": "T", "b": "G"}
"""The letter for each abbreviation; `4.1B` means billions."""
_COUNTED = re.compile(rf"(?P<letter>[KkMGT]?)(?P<word>{'|'.join(_SORT_OF)})", re.IGNORECASE)


def parse_figures(words: Sequence[str]) -> list[Claimed]:
    """The figures in some words: `4.12G`, `25.6M params`, `96 MB`. Raises `ArchError` for other words.

    >>> [(str(c.value), c.letter, c.sorts) for c in parse_figures(["25.6M", "params", "96 MB"])]
    [('128/5', 'M', ('parameters',)), ('96', 'M', ('bytes',))]
    """
    found: list[Claimed] = []
    for word in " ".join(words).replace(", ", " ").split():
        if found and word[0].isalpha():
            found[-1] = _with_unit(found[-1], word)
            continue
        match = _FIGURE.fullmatch(word) if len(word) <= MAX_LETTERS else None
        if match is None:
            raise error(
                f"`{word[:MAX_LETTERS]}` is not a figure", help="write `4.12G`, `25.6M params`, or `96MB`"
            )
        digits, _, decimals = match["number"].replace(",", "").replace("_", "").partition(".")
        size = Fraction(10 ** int(match["exponent"] or 0))
        step = size / 10 ** len(decimals)
        zeros = 0 if decimals else min(len(digits) - len(digits.rstrip("0")), len(digits) - SIGNIFICANT)
        claimed = Claimed(
            text=word.removesuffix(match["unit"] or ""),
            value=Fraction(f"{digits}.{decimals or 0}") * size,
            step=step,
            letter="",
            sorts=(),
            coarse=size * 10**zeros if zeros > 0 else Fraction(0),
        )
        found.append(_with_unit(claimed, match["unit"]) if match["unit"] else claimed)
    if not found:
        raise error("no figure is given", help="write one after the network: `4.12G`")
    return [_settled(claimed) for claimed in found]


def _with_unit(claimed: Claimed, word: str) -> Claimed:
    """The figure with the word after it: a letter, a unit of bytes, or the quantity that it counts."""
    text = claimed.text + (" " if len(word) > 1 or claimed.letter else "") + word
    letter, sorts, binary = "", claimed.sorts, claimed.binary
    unit, counted = _UNIT.fullmatch(word), _COUNTED.fullmatch(word)
    if word.lower() in _LETTERS and not sorts:
        letter = _LETTERS[word.lower()]
    elif unit is not None and not sorts:
        letter = unit["letter"]
        if unit["bytes"]:
            sorts, binary = ("bytes",), len(unit["bytes"]) > 1
    elif counted is not None:
        sort = _SORT_OF[counted["word"].lower()]
        if not sorts:
            letter, sorts = counted["letter"], (sort,)
        elif sorts == ("bytes",) and sort in _STORED and not counted["letter"]:
            sorts = (_STORED[sort],)
    if not (letter or sorts != claimed.sorts) or (letter and claimed.letter):
        raise error(
            f"`{text}`: `{word}` is not a valid unit here",
            help="units are K, M, G, T, MB, MiB; MACs, FLOPs, params, activations, bytes",
        )
    letter = (letter or claimed.letter).upper()
    return replace(claimed, text=text, letter=letter, sorts=sorts, binary=binary)


def _settled(claimed: Claimed) -> Claimed:
    if not claimed.letter and claimed.step < 1:
        raise error(f"`{claimed.text}` has no unit", help=f"write `{claimed.text}G` or `{claimed.text}M`")
    if not claimed.value:
        raise error(f"`{claimed.text}` is zero, so there is nothing to reconcile")
    return replace(claimed, sorts=claimed.sorts or ("operations", "parameters"))
