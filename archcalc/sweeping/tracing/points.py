"""Evaluates expressions at many points at once, as NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from archcalc.sweeping.tracing.algebra import Algebra
from archcalc.sweeping.tracing.expressions import IS, NEGATIVE, Atom, Polynomial, Product, Question

SAFE = 2**62
"""Below this, 64 bits hold a number and the sum of two. Above it, numbers are Python's."""

Values = Any
"""An array with a number for each point: of 64 bits, or of Python's integers where those are not enough."""


class PointValues:
    """The values of expressions at some points. Each expression is computed once.

    `parameters` gives the values of a parameter, by its atom, at all points of a block; `places` selects
    points of the block, if not all are needed.
    """

    def __init__(
        self, algebra: Algebra, parameters: Callable[[int], Values], count: int, places: Values = None
    ) -> None:
        self.algebra = algebra
        self.parameters = parameters
        self.count = count
        self.places = places
        self._atoms: dict[int, Values] = {}
        self._products: dict[Product, Values] = {}
        self._polynomials: dict[int, Values] = {}

    def subset(self, chosen: Values) -> PointValues:
        """Return the points selected by a mask or by indices."""
        if self.places is not None:
            places = self.places[chosen]
        else:
            places = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return PointValues(self.algebra, self.parameters, len(places), places)

    def of(self, a: Polynomial) -> Values:
        """Return an array, or one integer if the polynomial is constant."""
        if not a.terms:
            return a.const
        found = self._polynomials.get(a.number)
        if found is None:
            found = self._polynomials[a.number] = self._sum(a)
        return found

    def answers(self, question: Question) -> Values:
        """Return the answers to a question: booleans, or the numbers themselves."""
        kind, a = question
        values = self.of(a)
        if kind is IS:
            return values
        found = values < 0 if kind is NEGATIVE else values == 0
        return found if isinstance(found, np.ndarray) else np.full(self.count, found)

    def _sum(self, a: Polynomial) -> Values:
        wide = a.magnitude >= SAFE
        total: Values = None
        for product, factor in a.terms:
            values = self._product(product)
            if wide and values.dtype != object:
                values = values.astype(object)
            part = values if factor == 1 and total is not None else values * factor
            if total is None:
                total = part
                if a.const:
                    total += a.const
            else:
                total += part
        return total

    def _product(self, product: Product) -> Values:
        if len(product) == 1:
            return self.atom(product[0])
        found = self._products.get(product)
        if found is None:
            first, last = self._product(product[:-1]), self.atom(product[-1])
            if self.algebra.product_bounds(product)[2] >= SAFE and first.dtype != object:
                first = first.astype(object)
            found = self._products[product] = first * last
        return found

    def atom(self, wanted: int) -> Values:
        found = self._atoms.get(wanted)
        if found is not None:
            return found
        waiting = [wanted]  # not recursive: networks are deep
        atoms = self.algebra.atoms
        while waiting:
            number = waiting[-1]
            missing = [needed for needed in atoms[number].needs if needed not in self._atoms]
            if missing:
                waiting += missing
                continue
            waiting.pop()
            if number not in self._atoms:
                self._atoms[number] = self._compute(atoms[number])
        return self._atoms[wanted]

    def _compute(self, atom: Atom) -> Values:
        if atom.kind == "parameter":
            found = self.parameters(atom.args[0])
            return found if self.places is None else found[self.places]
        args = [self.of(arg) if isinstance(arg, Polynomial) else arg for arg in atom.args]
        if atom.kind == "choice":
            kind, asked, a, b = args
            values: Values = np.where(asked < 0 if kind is NEGATIVE else asked == 0, a, b)
        elif atom.kind == "floor":
            numerator, by = args
            if isinstance(by, int) and by & (by - 1) == 0 and numerator.dtype != object:
                values = numerator >> (by.bit_length() - 1)
            else:
                values = numerator // by
        elif atom.kind == "whole":
            values = args[0]
        else:
            join = np.maximum if atom.kind == "most" else np.minimum
            values = args[0]
            for other in args[1:]:
                values = join(values, other)
        fits = max(abs(atom.low), abs(atom.high)) < SAFE
        if fits and values.dtype == object:
            return values.astype(np.int64)
        return values if fits else values.astype(object)
