"""The limits of a sweep: expectations as ranges of integers."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import Any

from msgspec import Struct

from archcalc.checking.bounds import Bound
from archcalc.checking.evaluate import describe, measure, rounding
from archcalc.diagnostics import error
from archcalc.expect import Expect
from archcalc.quantities import QUANTITIES


class Limit(Struct, frozen=True):
    """A limit on a number: the smallest and largest value allowed; `not` allows the others instead."""

    text: str
    quantity: str
    path: str
    heads: bool
    low: int | None
    high: int | None
    negated: bool = False

    @property
    def is_upper(self) -> bool:
        return not self.negated and self.low is None and self.high is not None

    def holds(self, values: Any) -> Any:
        """Return whether the limit holds for a value, or for each value of an array."""
        inside: Any = True
        if self.low is not None:
            inside = values >= self.low
        if self.high is not None:
            inside = inside & (values <= self.high)
        return inside != self.negated

    def misses(self, value: int) -> Fraction:
        """Return how far a value is outside the limit, relative to it; 0 if the limit holds."""
        if self.holds(value):
            return Fraction(0)
        ends = [end for end in (self.low, self.high) if end is not None]
        if self.negated:
            return Fraction(1)
        return min((Fraction(abs(value - end), max(1, abs(end))) for end in ends), default=Fraction(1))


def limit_of(bound: Bound) -> Limit:
    """Return an expectation as a range of integers. Raises `ArchError` if it is not about one number."""
    expect = bound.expect
    quantity = QUANTITIES.get(expect.quantity)
    if quantity is None or not quantity.is_number or isinstance(expect.figure.value, tuple):
        raise error(
            f"`{describe(expect)}` is not one number of a network, and a sweep bounds only numbers",
            expect.quantity_span,
            help="`archcalc check` tests it for one network",
        )
    figure: Any = expect.figure.value
    if expect.ratio is not None:
        theirs = measure(bound.open(expect.ratio), expect.quantity)
        figure = expect.ratio.factor * theirs
    low, high = _ends(expect, figure)
    return Limit(bound.text, expect.quantity, expect.path, expect.training, low, high, expect.negated)


def _ends(expect: Expect, figure: Any) -> tuple[int | None, int | None]:
    """Return the smallest and largest integers that satisfy the relation."""
    relation = expect.relation
    if relation == "within":
        distance = abs(Fraction(figure)) * Fraction(expect.percent) / 100
        return ceil(figure - distance), floor(figure + distance)
    if relation == "~":
        low, high = rounding(figure, expect.figure.step)
        return ceil(low), ceil(high) - 1
    return {
        "==": (ceil(figure), floor(figure)),
        "<": (None, ceil(figure) - 1),
        "<=": (None, floor(figure)),
        ">": (floor(figure) + 1, None),
        ">=": (ceil(figure), None),
    }[relation]
