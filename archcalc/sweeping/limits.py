"""The limits of a sweep: expectations as ranges of integers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from archcalc.checking.bounds import Bound
from archcalc.checking.evaluate import describe, measure, rounding
from archcalc.diagnostics import error
from archcalc.expect import Expect
from archcalc.quantities import QUANTITIES
from archcalc.render.numbers import grouped


class Limit(Struct, frozen=True):
    """A limit on a number: the smallest and largest value allowed; `not` allows the others instead."""

    text: str
    quantity: str
    path: str
    heads: bool
    low: int | None
    high: int | None
    negated: bool = False

    def holds(self, values: Any) -> Any:
        """Return whether the limit holds for a value, or for each value of an array."""
        inside: Any = True
        if self.low is not None:
            inside = values >= self.low
        if self.high is not None:
            inside = inside & (values <= self.high)
        return inside != self.negated

    def misses(self, values: Any) -> Any:
        """Return how far each value of an array is outside, relative to the limit; 0 if it holds."""
        if self.negated:
            return np.where(self.holds(values), 0.0, 1.0)
        numbers = values.astype(float)
        away = np.zeros(len(numbers))
        if self.low is not None:
            away += np.maximum(0.0, self.low - numbers) / max(1, abs(self.low))
        if self.high is not None:
            away += np.maximum(0.0, numbers - self.high) / max(1, abs(self.high))
        return away


def misses(limits: Sequence[Limit], columns: Sequence[Any], errors: Any) -> Any:
    """Return the sum of all misses for each point; infinite for points that are not valid networks."""
    away = np.where(errors < 0, 0.0, np.inf)
    for limit, values in zip(limits, columns, strict=True):
        away = away + limit.misses(values)
    return away


def limit_of(bound: Bound, batch_varies: bool = False) -> Limit:
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
        other = bound.open(expect.ratio)
        theirs = measure(other, expect.quantity)
        twice = replace(bound.settings, batch=2 * other.batch)
        if batch_varies and theirs != measure(twice.profile(other.network), expect.quantity):
            raise error(
                f"`{expect.quantity}` of `{expect.ratio.net}` depends on the batch, which varies",
                expect.ratio.span,
                help=f"give a number: `{expect.quantity} {expect.relation} {grouped(int(figure))}`",
            )
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
