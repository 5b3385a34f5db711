"""Numbers that may be traced: what the code that computes figures asks of a number.

A figure is computed from plain integers and fractions. `archcalc sweep` runs the same code once for many
networks: there, a number may be a `Symbolic` one, which remembers how it was computed. Symbolic numbers have
the operators of numbers. A comparison gives a plain truth value, and `operator.index` a plain integer; both
limit the trace to the networks for which that answer is the same. So code that is written with operators is
right for both. These functions do what operators cannot. A set or a dictionary cannot find a symbolic number
by a plain one that it equals, because their hashes differ: compare instead.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from archcalc.layers.base import Layer
    from archcalc.layers.terms import Facts
    from archcalc.shape import Shape


class Symbolic:
    """A number that stands for one number in each of many networks. `archcalc.sweeping` makes them."""

    __slots__ = ()

    def whole(self) -> Any:
        """The same number if it is whole, else `None`."""
        raise NotImplementedError

    def plain(self) -> Any:
        """The number in the network that is traced, which limits the trace to the networks that share it."""
        raise NotImplementedError

    def extreme(self, values: Sequence[Any], most: bool) -> Any:
        """The largest or the smallest of these numbers, without a comparison that limits the trace."""
        raise NotImplementedError

    def total(self, values: Sequence[Any]) -> Any:
        """The sum of these numbers."""
        raise NotImplementedError

    def argument(self) -> str:
        """The number as the language writes it."""
        raise NotImplementedError


class Tracing:
    """What a trace does in another way than an ordinary evaluation."""

    def choice(self, values: Any, expr: Any, env: Any, current: Any) -> Any:
        """`a if condition else b`, as a number that depends on the condition; `NotImplemented` otherwise."""
        raise NotImplementedError

    def facts(self, layer: Layer, inputs: tuple[Shape, ...]) -> Facts:
        """The facts of a layer, which no other trace may see."""
        raise NotImplementedError

    def once(self, compute: Callable[..., Any], *args: Any) -> Any:
        """`compute(*args)`, once for all traces that answer its questions in the same way."""
        raise NotImplementedError


active: Tracing | None = None
"""The trace that runs, if one does."""

MOST_DIVIDED = 100
"""The largest number whose divisors are tried."""


def once(compute: Callable[..., Any], *args: Any) -> Any:
    """`compute(*args)`. During a trace, it is remembered for the next traces, with the questions it asked.

    Objects that several traces share, such as facts, must not remember anything else. A trace that finds a
    result without its questions would use it for networks with other answers.
    """
    return compute(*args) if active is None else active.once(compute, *args)


def ratio(a: Any, b: Any) -> Any:
    """`a / b`, as an integer if it is whole.

    >>> ratio(6, 3), ratio(7, 2)
    (2, Fraction(7, 2))
    """
    value = a / b if isinstance(a, Symbolic) or isinstance(b, Symbolic) else Fraction(a, b)
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


def plain_ratio(a: Any, b: Any = 1) -> Fraction:
    """`a / b` as a fraction with a numerator and a denominator, which limits a trace to this ratio."""
    value = ratio(a, b)
    return Fraction(value.plain() if isinstance(value, Symbolic) else value)


def common_divisor(n: Any, m: Any) -> Any:
    """The greatest common divisor of two positive integers.

    For a symbolic one, it is the sum of the totients of the divisors of the other one that divide it.

    >>> common_divisor(12, 18)
    6
    """
    if isinstance(m, Symbolic):
        n, m = m, operator.index(n)
    if m > MOST_DIVIDED or not isinstance(n, Symbolic):
        return math.gcd(n, m)
    number: Any = n
    parts = []
    for d in range(1, m + 1):
        if m % d == 0:
            totient = sum(math.gcd(d, k) == 1 for k in range(1, d + 1))
            parts.append(
                totient * (number // d - (number - 1) // d)
            )  # the last factor is 1 if `d` divides it
    return total(parts)


def is_exact(value: object) -> TypeGuard[int | Fraction]:
    """Is it a number, and not a truth value?"""
    return type(value) is int or isinstance(value, Fraction | Symbolic)


def as_whole(value: object) -> Any:
    """The number if it is a whole one, else `None`.

    >>> as_whole(3), as_whole(Fraction(7, 2)), as_whole(True)
    (3, None, None)
    """
    if type(value) is int:
        return value
    return value.whole() if isinstance(value, Symbolic) else None


def largest(values: Sequence[Any]) -> int:
    """The largest of some numbers.

    >>> largest([3, 1, 2])
    3
    """
    for value in values:
        if isinstance(value, Symbolic):  # which stands for an integer
            found: int = value.extreme(values, most=True)
            return found
    most: int = max(values)
    return most


def smallest(values: Sequence[Any]) -> int:
    """The smallest of some numbers."""
    for value in values:
        if isinstance(value, Symbolic):  # which stands for an integer
            found: int = value.extreme(values, most=False)
            return found
    least: int = min(values)
    return least


def total(values: Sequence[Any]) -> Any:
    """The sum of some numbers."""
    for value in values:
        if isinstance(value, Symbolic):
            return value.total(values)
    return sum(values)
