"""Symbolic numbers: each has one value per network of a sweep.

A `SweptNumber` is a polynomial divided by a constant: `width * 32` with a width in steps of 0.05 is `8·w /
5`.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import TYPE_CHECKING, Any

from archcalc.number import Symbolic
from archcalc.sweeping.tracing.expressions import NEGATIVE, ZERO, Polynomial

if TYPE_CHECKING:
    from archcalc.sweeping.tracing.trace import Shared


class SweptNumber(Symbolic):
    """A number in a trace. Arithmetic returns a plain number if the result is the same in all networks."""

    __slots__ = ("divisor", "over", "shared")

    def __init__(self, shared: Shared, over: Polynomial, divisor: int = 1) -> None:
        self.shared = shared
        self.over = over
        self.divisor = divisor

    # -- arithmetic

    def _made(self, over: Polynomial, divisor: int = 1) -> Any:
        return made(self.shared, over, divisor)

    def _other(self, value: object) -> tuple[Polynomial, int] | None:
        """Return a number as a polynomial over a constant; `None` if it is not an exact number."""
        if isinstance(value, SweptNumber):  # a number of another sweep, from a cache, is ignored here
            return (value.over, value.divisor) if value.shared is self.shared else None
        if isinstance(value, int):
            return self.shared.algebra.constant(value), 1
        if isinstance(value, Fraction):
            return self.shared.algebra.constant(value.numerator), value.denominator
        return None

    def _sum(self, value: object, times: int) -> Any:
        other = self._other(value)
        if other is None:
            return NotImplemented
        over, divisor = other
        algebra = self.shared.algebra
        if not over.terms and divisor == 1:
            return self._made(algebra.shift(self.over, times * over.const * self.divisor), self.divisor)
        if divisor == self.divisor:
            return self._made(algebra.add(self.over, over, times), divisor)
        joint = lcm(divisor, self.divisor)
        mine = algebra.scale(self.over, joint // self.divisor)
        return self._made(algebra.add(mine, over, times * (joint // divisor)), joint)

    def __add__(self, value: object) -> Any:
        return self._sum(value, 1)

    __radd__ = __add__

    def __sub__(self, value: object) -> Any:
        return self._sum(value, -1)

    def __rsub__(self, value: object) -> Any:
        return (-self)._sum(value, 1)

    def __neg__(self) -> Any:
        return self._made(self.shared.algebra.scale(self.over, -1), self.divisor)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return -self if self < 0 else self

    def __mul__(self, value: object) -> Any:
        other = self._other(value)
        if other is None:
            return float(self) * value if isinstance(value, float) else NotImplemented
        return self._made(self.shared.algebra.multiply(self.over, other[0]), self.divisor * other[1])

    __rmul__ = __mul__

    def __pow__(self, exponent: Any) -> Any:
        if not isinstance(exponent, int) or exponent < 0:
            return self.plain() ** exponent
        result: Any = 1
        for _ in range(exponent):
            result = result * self
        return result

    def __truediv__(self, value: object) -> Any:
        other = self._other(value)
        if other is None:
            return NotImplemented
        over, divisor = other
        if over.terms:
            exact = self.shared.algebra.exact_quotient(self.over, over)
            if exact is not None and value != 0:
                return self._made(self.shared.algebra.scale(exact, divisor), self.divisor)
            assert isinstance(value, SweptNumber)
            return self / value.plain()
        return self * Fraction(divisor, over.const)

    def __rtruediv__(self, value: Any) -> Any:
        return Fraction(value) / self.plain() if isinstance(value, int | Fraction) else NotImplemented

    def __floordiv__(self, value: object) -> Any:
        other = self._other(value)
        return NotImplemented if other is None else self._floor_of(self.over, self.divisor, *other)

    def __rfloordiv__(self, value: object) -> Any:
        other = self._other(value)
        return NotImplemented if other is None else self._floor_of(*other, self.over, self.divisor)

    def _floor_of(self, a: Polynomial, a_over: int, b: Polynomial, b_over: int) -> Any:
        algebra = self.shared.algebra
        if not b.terms:
            if b.const == 0:
                raise ZeroDivisionError
            sign = 1 if b.const > 0 else -1
            return self._made(algebra.floor(algebra.scale(a, sign * b_over), a_over * abs(b.const)))
        if b.low < 1:  # rounding depends on the sign
            return self._made(a, a_over) // made(self.shared, b, b_over).plain()
        return self._made(algebra.divide(algebra.scale(a, b_over), algebra.scale(b, a_over)))

    def __mod__(self, value: Any) -> Any:
        quotient = self // value
        return quotient if quotient is NotImplemented else self - quotient * value

    def __rmod__(self, value: Any) -> Any:
        quotient = value // self
        return quotient if quotient is NotImplemented else value - quotient * self

    def __divmod__(self, value: Any) -> Any:
        quotient = self // value
        return quotient if quotient is NotImplemented else (quotient, self - quotient * value)

    def __rdivmod__(self, value: Any) -> Any:
        quotient = value // self
        return quotient if quotient is NotImplemented else (quotient, value - quotient * self)

    def __floor__(self) -> Any:
        return self._made(self.shared.algebra.floor(self.over, self.divisor))

    def __ceil__(self) -> Any:
        algebra = self.shared.algebra
        return self._made(algebra.floor(algebra.scale(self.over, 1, self.divisor - 1), self.divisor))

    def __trunc__(self) -> Any:
        if self.divisor == 1:
            return self
        return self.__floor__() if self >= 0 else self.__ceil__()

    # -- comparisons, which restrict the trace

    def _asks(self, kind: str, value: object, negated: bool = False, swapped: bool = False) -> Any:
        difference = self._sum(value, -1)
        if difference is NotImplemented:
            return NotImplemented
        if swapped:
            difference = -difference
        if not isinstance(difference, SweptNumber):
            return (difference < 0 if kind is NEGATIVE else difference == 0) != negated
        return self.shared.current.ask(kind, difference.over) != negated

    def __eq__(self, value: object) -> Any:
        return self._asks(ZERO, value)

    def __ne__(self, value: object) -> Any:
        return self._asks(ZERO, value, negated=True)

    def __lt__(self, value: object) -> Any:
        return self._asks(NEGATIVE, value)

    def __ge__(self, value: object) -> Any:
        return self._asks(NEGATIVE, value, negated=True)

    def __gt__(self, value: object) -> Any:
        return self._asks(NEGATIVE, value, swapped=True)

    def __le__(self, value: object) -> Any:
        return self._asks(NEGATIVE, value, negated=True, swapped=True)

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __hash__(self) -> int:
        return hash((SweptNumber, self.over.number, self.divisor))

    # -- plain numbers, which restrict the trace to one value

    def plain(self) -> int | Fraction:
        value = Fraction(self.shared.current.fix(self.over), self.divisor)
        return value.numerator if value.denominator == 1 else value

    def __index__(self) -> int:
        value = self.plain()
        if not isinstance(value, int):
            raise TypeError("a fraction where a whole number is needed")
        return value

    def __int__(self) -> int:
        return int(self.plain())

    def __float__(self) -> float:
        return float(self.plain())

    # -- required by `archcalc.number`

    def whole(self) -> Any:
        if self.divisor == 1:
            return self
        floor = self.__floor__()
        return floor if self == floor else None

    def total(self, values: Sequence[Any]) -> Any:
        numbers = [self._other(value) for value in values]
        if any(number is None or number[1] != 1 for number in numbers):
            return sum(values)
        return self._made(self.shared.algebra.total([number[0] for number in numbers if number]))

    def extreme(self, values: Sequence[Any], most: bool) -> Any:
        numbers = [self._other(value) for value in values]
        if any(number is None for number in numbers):
            raise TypeError("an extreme of what are not all numbers")
        algebra = self.shared.algebra
        joint = lcm(*(number[1] for number in numbers if number))
        scaled = [algebra.scale(number[0], joint // number[1]) for number in numbers if number]
        return self._made(algebra.extreme(scaled, most), joint)

    # -- text: a character represents the number and is replaced for each network

    def __str__(self) -> str:
        return self.shared.texts.stand_in(self, "str")

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return self.shared.texts.stand_in(self, spec or "str")

    def argument(self) -> str:
        return self.shared.texts.stand_in(self, "argument")


def made(shared: Shared, over: Polynomial, divisor: int = 1) -> Any:
    """Return a polynomial over a constant as a number; a plain number if it is the same in all networks."""
    if not over.terms:
        value = Fraction(over.const, divisor)
        return value.numerator if value.denominator == 1 else value
    if divisor > 1:
        common = gcd(divisor, over.const, *(factor for _, factor in over.terms))
        if common > 1:
            terms = {product: factor // common for product, factor in over.terms}
            over = shared.algebra.polynomial(over.const // common, terms)
            divisor //= common
    return SweptNumber(shared, over, divisor)
