"""The values of `--allow`: how far a figure can move from its locked value."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction

from msgspec import Struct

from archcalc.diagnostics import Problems, Source, Span, error, unknown
from archcalc.expect import UNITS
from archcalc.quantities import OF_TRAINING, TOTALS

ALL = "all"
QUANTITIES = (*(quantity.name for quantity in (*TOTALS, *OF_TRAINING)), "shape", ALL)

_QUANTITY = re.compile(r"\s*(\w*)\s*")
_AMOUNT = re.compile(
    r"(?P<sign>[+-])?\s*(?:(?P<number>\d[\d_]*(?:\.\d+)?)\s*(?P<unit>%|[KMG]i?B|[KMGT])?)?\s*"
)
_HELP = 'write `--allow "macs +1%"`, `--allow "params -10K"`, or `--allow "flops 2%"` for both ways'
_ALL = 'write `--allow "all 1%"`'


class Tolerance(Struct, frozen=True):
    """A quantity and how far it can move: up, down, or both ways, in percent or by a number.

    Percentages refer to the network's total, for its layers too: a layer can move by as much as the whole
    network. `shape` has no amount. `all` is every total, in percent. If no total moves further than allowed,
    it also allows every change of a layer.
    """

    text: str
    quantity: str
    sign: str = ""
    amount: Fraction = Fraction(0)
    percent: bool = False

    def covers(self, quantity: str, total: int, difference: int) -> bool:
        """May a figure of a network with this locked total move by `difference`?"""
        if self.quantity not in (quantity, ALL) or (quantity == "shape" and self.quantity == ALL):
            return False
        if self.sign and difference and (difference > 0) != (self.sign == "+"):
            return False
        return abs(difference) <= (self.amount * total / 100 if self.percent else self.amount)


def parse_tolerances(texts: Iterable[str]) -> list[Tolerance]:
    """The tolerances of `--allow` options. Raises `ArchError` with every mistake and its place.

    >>> (one,) = parse_tolerances(["macs +1%"])
    >>> one.covers("macs", 1000, 10), one.covers("macs", 1000, 11), one.covers("macs", 1000, -1)
    (True, False, False)
    """
    tolerances = []
    problems = Problems()
    for text in texts:
        with problems.collect():
            tolerances.append(_parse(text))
    problems.raise_any()
    return tolerances


def _parse(text: str) -> Tolerance:
    source = Source("--allow", text)
    word = _QUANTITY.match(text)
    assert word is not None
    quantity = word[1]
    if quantity not in QUANTITIES:
        span = Span(source, word.start(1), max(word.end(1), word.start(1) + 1))
        if not quantity:
            raise error("a quantity is missing", span, help="quantities: " + ", ".join(QUANTITIES))
        raise unknown("unknown quantity", quantity, QUANTITIES, span, listing="quantities")
    found = _AMOUNT.match(text, word.end())
    assert found is not None
    if quantity == "shape":
        if word.end() < len(text):
            raise error("`shape` has no amount", Span(source, word.end(), len(text)), help="write `shape`")
        return Tolerance(text, quantity)
    if not found["number"] or found.end() < len(text):
        at = found.end()
        message = "an amount ends here" if found["number"] else "an amount is missing"
        raise error(message, Span(source, at, max(len(text), at + 1)), help=_HELP)
    unit = found["unit"] or ""
    if quantity == ALL and unit != "%":
        span = Span(source, word.end(), len(text))
        raise error("`all` takes a percentage, since its quantities have different units", span, help=_ALL)
    if unit.endswith("B") and not quantity.endswith("_bytes"):
        message = f"`{quantity}` is not measured in bytes, so `{unit}` does not apply"
        raise error(message, Span(source, *found.span("unit")), help=f"write `{unit[0]}`, a power of 1000")
    amount = Fraction(found["number"].replace("_", "")) * UNITS.get(unit, 1)
    return Tolerance(text, quantity, found["sign"] or "", amount, unit == "%")
