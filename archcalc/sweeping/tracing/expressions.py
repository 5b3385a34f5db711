"""The expressions of a sweep's figures, polynomials of atoms, and the questions about them."""

from __future__ import annotations

from typing import Any

Product = tuple[int, ...]
"""The numbers of the atoms that are multiplied, in order."""

NEGATIVE, ZERO, IS = "negative", "zero", "is"
"""The questions about a polynomial: is it negative, is it zero, and what is its value?"""


class Atom:
    """A number that is not a polynomial of other numbers.

    `kind` is `parameter`, `floor` (a quotient rounded down), `most`, `least`, `choice` or `whole` (a
    polynomial that is not multiplied out).
    """

    __slots__ = ("args", "high", "kind", "low", "needs", "number")

    def __init__(self, number: int, kind: str, args: tuple[Any, ...], low: int, high: int) -> None:
        self.number = number
        self.kind = kind
        self.args = args
        self.low = low
        self.high = high
        self.needs: tuple[int, ...] = tuple(
            dict.fromkeys(n for arg in args if isinstance(arg, Polynomial) for p, _ in arg.terms for n in p)
        )
        """The atoms that it is computed from."""


class Polynomial:
    """A constant plus products of atoms with coefficients. `Algebra` keeps one object per value."""

    __slots__ = ("const", "high", "low", "magnitude", "number", "terms")

    def __init__(
        self, number: int, const: int, terms: tuple[tuple[Product, int], ...], bounds: tuple[int, int, int]
    ) -> None:
        self.number = number
        self.const = const
        self.terms = terms
        self.low, self.high, self.magnitude = bounds


Question = tuple[str, Polynomial]


def answer(kind: str, value: int) -> bool:
    """Return the answer to a question about a polynomial with this value."""
    return value < 0 if kind is NEGATIVE else value == 0
