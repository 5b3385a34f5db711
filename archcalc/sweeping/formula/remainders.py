"""Expressions of a sweep as polynomials, for each combination of remainders of the parameters.

With `n = L*k + r` in the place of each parameter, every quotient, maximum and condition becomes a polynomial
in the `k`s. Two polynomials with equal coefficients are equal everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import gcd, prod

import numpy as np

from archcalc.sweeping.formula.boxes import Condition
from archcalc.sweeping.formula.signs import (
    Span,
    Terms,
    added,
    multiplied,
    powers_of,
    scaled,
    sign_of,
    sign_runs,
    value_at,
    variables,
)
from archcalc.sweeping.space import Dimension
from archcalc.sweeping.tracing.algebra import Algebra
from archcalc.sweeping.tracing.expressions import IS, NEGATIVE, Atom, Polynomial, answer

MOST_REMAINDERS, MOST_WORK = 5_000, 200_000
"""Proofs with more combinations of remainders, or with more expressions for all of them, take too long."""

MOST_MIXED = 2_000
"""The most conditions of several parameters, counted for each combination of remainders."""

ELSEWHERE = "conditions choose other networks nearby"


class Longer(Exception):
    """A quotient is a polynomial only for a multiple of a parameter's current number of remainders."""

    def __init__(self, axis: int, times: int) -> None:
        self.axis = axis
        self.times = times


class Unresolved(Exception):
    """Why there is no proof."""


class Remainders:
    """Expressions as polynomials in the `k`s, for each combination of the remainders of their parameters.

    `at` is the traced point. Conditions of one parameter limit its `k`; the others are collected in `mixed`.
    """

    def __init__(
        self, algebra: Algebra, dimensions: Sequence[Dimension], counts: Sequence[int], at: Sequence[int]
    ) -> None:
        self.algebra = algebra
        self.dimensions = dimensions
        self.counts = tuple(counts)
        self.at = at
        self.mixed: list[Condition] = []
        self._spans: dict[tuple[int, int], Span] = {}
        """For a parameter and a remainder, the limits of `k` so far."""
        self._one = (0,) * len(dimensions)
        self._polynomials: dict[tuple[int, ...], Terms] = {}
        self._axes: list[tuple[int, ...]] = []
        """The parameters on which each atom depends."""
        for atom in algebra.atoms:
            axes = {axis for number in atom.needs for axis in self._axes[number]}
            if atom.kind == "parameter":
                axes.add(atom.args[0])
            self._axes.append(tuple(sorted(axes)))

    # -- combinations of remainders

    def axes(self, *expressions: Polynomial) -> set[int]:
        return {
            axis
            for a in expressions
            for numbers, _ in a.terms
            for number in numbers
            for axis in self._axes[number]
        }

    def combinations(self, *expressions: Polynomial) -> Iterator[tuple[int, ...]]:
        """Return the combinations of remainders for the parameters of expressions, 0 for the others."""
        axes = self.axes(*expressions)
        return product(
            *(
                range(min(count, dimension.count)) if axis in axes else (0,)
                for axis, (count, dimension) in enumerate(zip(self.counts, self.dimensions, strict=True))
            )
        )

    def is_feasible(self, expressions: Sequence[Polynomial]) -> bool:
        """Return whether the work is bounded: all expressions and their atoms for all combinations."""
        sizes = [prod(self.counts[axis] for axis in self.axes(a)) for a in expressions]
        atoms = {number for a in expressions for number in self.algebra.inner(a)}
        work = sum(sizes) + sum(prod(self.counts[axis] for axis in self._axes[number]) for number in atoms)
        return max(sizes) <= MOST_REMAINDERS and work <= MOST_WORK

    # -- ranges

    def _span(self, axis: int, remainder: int) -> Span:
        last = (self.dimensions[axis].count - 1 - remainder) // self.counts[axis]
        return self._spans.get((axis, remainder), (0, last))

    def _point(self, remainders: tuple[int, ...]) -> list[int]:
        """Return the `k`s of the last point with these remainders that is not after the traced one."""
        return [
            max(0, (at - remainder) // count)
            for at, remainder, count in zip(self.at, remainders, self.counts, strict=True)
        ]

    def limits(self) -> list[Span]:
        """Return the range of each parameter in which all conditions of that parameter alone hold."""
        found: list[Span] = []
        for axis, (dimension, count) in enumerate(zip(self.dimensions, self.counts, strict=True)):
            first, last = 0, dimension.count - 1
            for remainder in range(0 if dimension.listed else count):  # a value of a list is a remainder
                low, high = self._span(axis, remainder)
                first = max(first, count * (low - 1) + remainder + 1)
                last = min(last, count * (high + 1) + remainder - 1)
            found.append((first, last))
        return found

    def start(self) -> list[Span]:
        """Return the traced point as a box; of a list, all values."""
        return [
            (0, dimension.count - 1) if dimension.listed else (at, at)
            for dimension, at in zip(self.dimensions, self.at, strict=True)
        ]

    # -- expressions

    def of(self, a: Polynomial, remainders: tuple[int, ...]) -> Terms:
        total: Terms = {self._one: a.const} if a.const else {}
        for numbers, factor in a.terms:
            part = {self._one: factor}
            for number in numbers:
                part = multiplied(part, self._atom(number, remainders))
            total = added(total, part)
        return total

    def _key(self, number: int, remainders: tuple[int, ...]) -> tuple[int, ...]:
        return number, *(remainders[axis] for axis in self._axes[number])

    def _atom(self, wanted: int, remainders: tuple[int, ...]) -> Terms:
        """Compute an atom after the atoms that it needs. Not recursive, because networks are deep."""
        waiting = [wanted]
        while waiting:
            number = waiting[-1]
            atom = self.algebra.atoms[number]
            missing = [n for n in atom.needs if self._key(n, remainders) not in self._polynomials]
            if missing:
                waiting += missing
                continue
            waiting.pop()
            key = self._key(number, remainders)
            if key not in self._polynomials:
                self._polynomials[key] = self._resolved(atom, remainders)
        return self._polynomials[self._key(wanted, remainders)]

    def _resolved(self, atom: Atom, remainders: tuple[int, ...]) -> Terms:
        if atom.kind == "parameter":
            return self._parameter(atom.args[0], remainders)
        if atom.kind == "whole":
            return self.of(atom.args[0], remainders)
        if atom.kind == "choice":
            kind, asked, a, b = atom.args
            over = self.of(asked, remainders)
            chosen = answer(kind, value_at(over, self._point(remainders)))
            self.require(kind, over, int(chosen), remainders)
            return self.of(a if chosen else b, remainders)
        if atom.kind == "floor":
            numerator, by = atom.args
            divisor = {self._one: by} if isinstance(by, int) else self.of(by, remainders)
            return self._quotient(self.of(numerator, remainders), divisor)
        sign = 1 if atom.kind == "most" else -1
        values = [self.of(arg, remainders) for arg in atom.args]
        point = self._point(remainders)
        found = max(values, key=lambda value: sign * value_at(value, point))
        for value in values:
            self.require(NEGATIVE, scaled(added(found, value, -1), sign), 0, remainders)
        return found

    def _parameter(self, axis: int, remainders: tuple[int, ...]) -> Terms:
        dimension, remainder = self.dimensions[axis], remainders[axis]
        if dimension.listed:
            value = int(dimension.numerators(np.array([remainder]))[0]) if dimension.is_numeric else remainder
            return {self._one: value} if value else {}
        step = int(dimension.step * dimension.divisor)
        first = int(dimension.start * dimension.divisor) + step * remainder
        linear = (*self._one[:axis], 1, *self._one[axis + 1 :])
        return added({linear: step * self.counts[axis]}, {self._one: first})

    def _quotient(self, a: Terms, divisor: Terms) -> Terms:
        by = divisor.get(self._one, 0)
        if len(divisor) != 1 or by < 1:
            raise Unresolved(
                "it divides by the parameter" if len(self._one) == 1 else "it divides by a parameter"
            )
        for axis in range(len(self._one)):  # first by what depends on one parameter
            alone = [
                factor for exponents, factor in a.items() if set(variables({exponents: factor})) == {axis}
            ]
            if gcd(by, *alone) < by:
                raise Longer(axis, by // gcd(by, *alone))
        mixed = {exponents: factor for exponents, factor in a.items() if any(exponents)}
        if gcd(by, *mixed.values()) < by:
            axis = next(variables({e: f})[0] for e, f in mixed.items() if f % by)
            factors = [f for e, f in mixed.items() if e[axis] and f % by]
            raise Longer(axis, by // gcd(by, *factors))
        total = {exponents: factor // by for exponents, factor in a.items()}
        return {exponents: factor for exponents, factor in total.items() if factor}

    # -- conditions

    def require(self, kind: str, over: Terms, given: int, remainders: tuple[int, ...]) -> None:
        """Limit the `k`s to values around the traced point that give this answer to a question."""
        wanted: tuple[int, ...]
        if kind is IS:
            over, wanted = added(over, {self._one: given}, -1), (0,)
        elif kind is NEGATIVE:
            wanted = (-1,) if given else (0, 1)
        else:
            wanted = (0,) if given else (-1, 1)
        axes = variables(over)
        if len(axes) == 1:
            self._limit(axes[0], over, wanted, remainders)
            return
        sign = sign_of(value_at(over, self._point(remainders)))
        if sign not in wanted or (axes and wanted == (0,)):
            raise Unresolved(ELSEWHERE)
        if axes:  # "not zero" becomes "positive" or "negative", as at the traced point: one inequality
            low = over if wanted == (0, 1) else added(scaled(over, sign), {self._one: 1}, -1)
            self.mixed.append(Condition(low, remainders))
        if len(self.mixed) > MOST_MIXED:
            raise Unresolved("too many conditions have several parameters")

    def _limit(self, axis: int, over: Terms, wanted: tuple[int, ...], remainders: tuple[int, ...]) -> None:
        key = axis, remainders[axis]
        at = self._point(remainders)[axis]
        runs = sign_runs(powers_of(over, axis), *self._span(*key))
        place = next(n for n, (_, last, _) in enumerate(runs) if last >= at)
        if runs[place][2] not in wanted:
            raise Unresolved(ELSEWHERE)
        low = high = place
        while low > 0 and runs[low - 1][2] in wanted:
            low -= 1
        while high + 1 < len(runs) and runs[high + 1][2] in wanted:
            high += 1
        self._spans[key] = runs[low][0], runs[high][1]
