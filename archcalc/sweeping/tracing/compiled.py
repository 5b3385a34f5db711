"""Computes the figures of a trace for many points at once, in a few fast steps.

A figure is a sum of products with coefficients. The products that the figures need are computed once, each
from a shorter one. This uses floating point, which is faster than 64-bit integers and exact if no
intermediate number can reach 2^53. A figure that can exceed this is computed by `PointValues`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from archcalc.sweeping.tracing.algebra import Algebra
from archcalc.sweeping.tracing.expressions import Polynomial, Product
from archcalc.sweeping.tracing.points import PointValues

EXACT = 2**53
"""64-bit floating point represents every integer below this exactly."""


class CompiledFigures:
    """Computes polynomials at points; `of` gives an array of integers, or one integer, for each."""

    def __init__(self, algebra: Algebra, figures: Sequence[Polynomial]) -> None:
        self.figures = figures
        self.small = [n for n, f in enumerate(figures) if f.terms and f.magnitude < EXACT]
        products: dict[Product, int] = {}
        self._steps: list[tuple[int, int]] = []
        """For each row of the products: the row that it is computed from, or -1, and the atom."""
        for number in self.small:
            for product, _ in figures[number].terms:
                for length in range(1, len(product) + 1):
                    part = product[:length]
                    if part not in products:
                        before = products[part[:-1]] if length > 1 else -1
                        products[part] = len(products)
                        self._steps.append((before, part[-1]))
        self._sums = [
            [(products[product], float(factor)) for product, factor in figures[number].terms]
            for number in self.small
        ]

    def of(self, values: PointValues) -> list[Any]:
        found: list[Any] = [None] * len(self.figures)
        if self.small:
            rows = np.empty((len(self._steps), values.count))
            floats: dict[int, Any] = {}
            for row, (before, atom) in enumerate(self._steps):
                if atom not in floats:
                    floats[atom] = values.atom(atom).astype(float)
                if before < 0:
                    rows[row] = floats[atom]
                else:
                    np.multiply(rows[before], floats[atom], out=rows[row])
            part = np.empty(values.count)  # a matrix product would start threads, which cost more
            for number, terms in zip(self.small, self._sums, strict=True):
                total = np.full(values.count, float(self.figures[number].const))
                for row, factor in terms:
                    total += np.multiply(rows[row], factor, out=part)
                found[number] = total.astype(np.int64)
        for number, figure in enumerate(self.figures):
            if found[number] is None:
                found[number] = values.of(figure)
        return found
