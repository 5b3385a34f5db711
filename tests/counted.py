"""Numbers that count the operations made with them, in NumPy's arrays of objects."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

POWERS = {1.0: "", 2.0: "mul", 3.0: "mul mul", 0.5: "sqrt", -0.5: "sqrt div", -1.0: "div", -2.0: "mul div"}
"""What powers are computed with; any other is a special function."""


class Tally:
    """Operations by category. A number is compared with a constant once, be it less, equal or greater."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.compared: dict[tuple[int, float], Counted] = {}

    def array(self, values: np.ndarray) -> np.ndarray:
        """The same values as numbers that count here."""
        found = np.empty(values.shape, object)
        for place in np.ndindex(values.shape):
            found[place] = Counted(float(values[place]), self)
        return found


class Counted:
    """A number of a tensor. What is done to plain numbers, which are constants, is not counted."""

    def __init__(self, value: float, tally: Tally) -> None:
        self.value = value
        self.tally = tally

    def _new(self, categories: str, value: float) -> Counted:
        self.tally.counts.update(categories.split())
        return Counted(value, self.tally)

    def __add__(self, other: Any) -> Counted:
        return self._new("add", self.value + plain(other))

    def __sub__(self, other: Any) -> Counted:
        return self._new("add", self.value - plain(other))

    def __rsub__(self, other: Any) -> Counted:
        return self._new("add", plain(other) - self.value)

    def __mul__(self, other: Any) -> Counted:
        chosen = isinstance(other, bool | np.bool_)  # a mask keeps the number or drops it
        return self._new("" if chosen else "mul", self.value * plain(other))

    def __truediv__(self, other: Any) -> Counted:
        return self._new("div", self.value / plain(other))

    def __rtruediv__(self, other: Any) -> Counted:
        return self._new("div", plain(other) / self.value)

    def __pow__(self, exponent: float) -> Counted:
        return self._new(POWERS.get(exponent, "special"), self.value**exponent)

    def __neg__(self) -> Counted:
        return Counted(-self.value, self.tally)

    def __abs__(self) -> Counted:
        return self._new("compare", abs(self.value))

    __radd__ = __add__
    __rmul__ = __mul__

    def _compare(self, other: Any) -> float:
        known = not isinstance(other, Counted) and (id(self), float(other)) in self.tally.compared
        self.tally.counts["compare"] += not known
        if not isinstance(other, Counted):
            self.tally.compared[id(self), float(other)] = self  # held, so that no other number gets its id
        return self.value - plain(other)

    def __lt__(self, other: Any) -> bool:
        return self._compare(other) < 0

    def __le__(self, other: Any) -> bool:
        return self._compare(other) <= 0

    def __gt__(self, other: Any) -> bool:
        return self._compare(other) > 0

    def __ge__(self, other: Any) -> bool:
        return self._compare(other) >= 0

    def __eq__(self, other: object) -> bool:
        return self._compare(other) == 0

    __hash__ = None  # type: ignore[assignment]

    # NumPy calls these by the names of its functions

    def sqrt(self) -> Counted:
        return self._new("sqrt", math.sqrt(self.value))

    def exp(self) -> Counted:
        return self._new("special", math.exp(self.value))

    def log(self) -> Counted:
        return self._new("special", math.log(self.value))

    def tanh(self) -> Counted:
        return self._new("special", math.tanh(self.value))

    def sin(self) -> Counted:
        return self._new("special", math.sin(self.value))

    def cos(self) -> Counted:
        return self._new("special", math.cos(self.value))

    def erf(self) -> Counted:
        return self._new("special", math.erf(self.value))


def erf(number: Counted | float) -> Counted | float:
    """For NumPy has none."""
    return number.erf() if isinstance(number, Counted) else math.erf(number)


def plain(number: Any) -> float:
    return number.value if isinstance(number, Counted) else float(number)
