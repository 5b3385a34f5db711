"""Proves that an expression never falls, or never rises, as the only parameter grows."""

from __future__ import annotations

from archcalc.sweeping.tracing.algebra import Algebra
from archcalc.sweeping.tracing.expressions import Atom, Polynomial, Product

Direction = int | None
"""1 if it never falls, -1 if it never rises, 0 if it is a constant; `None` if neither is proved."""


class Directions:
    """Directions of expressions of one parameter.

    A polynomial is treated as a function of its atoms. If its derivative with respect to an atom has one sign
    for all values, the polynomial rises or falls with that atom.
    """

    def __init__(self, algebra: Algebra) -> None:
        self.algebra = algebra
        self._atoms: dict[int, Direction] = {}

    def of(self, a: Polynomial) -> Direction:
        found = {
            self._with(self._sign_of_derivative(a, number), self._of_atom(number))
            for number in {number for product, _ in a.terms for number in product}
        }
        return _joint(found)

    def _with(self, sign: Direction, direction: Direction) -> Direction:
        if direction == 0 or sign == 0:
            return 0
        return None if sign is None or direction is None else sign * direction

    def _sign_of_derivative(self, a: Polynomial, atom: int) -> Direction:
        terms: dict[Product, int] = {}
        for product, factor in a.terms:
            power = product.count(atom)
            if power:
                rest = list(product)
                rest.remove(atom)
                terms[tuple(rest)] = terms.get(tuple(rest), 0) + factor * power
        derivative = self.algebra.polynomial(terms.pop((), 0), terms)
        low, high = self.algebra.tight(derivative) if derivative.terms else (derivative.low, derivative.high)
        if low >= 0:
            return 1 if high > 0 else 0
        return -1 if high <= 0 else None

    def _of_atom(self, number: int) -> Direction:
        if number not in self._atoms:
            self._atoms[number] = self._found(self.algebra.atoms[number])
        return self._atoms[number]

    def _found(self, atom: Atom) -> Direction:
        if atom.kind == "parameter":
            return 1
        if atom.kind == "choice":
            return None
        if atom.kind != "floor":
            return _joint({self.of(arg) for arg in atom.args})
        numerator, by = atom.args
        if isinstance(by, int):
            return self.of(numerator)
        falling = self.of(by)
        against = None if falling is None or numerator.low < 0 else -falling
        return _joint({self.of(numerator), against})


def _joint(found: set[Direction]) -> Direction:
    """Return the direction of something that follows all of these."""
    if None in found:
        return None
    moving = found - {0}
    if not moving:
        return 0
    return moving.pop() if len(moving) == 1 else None
