"""Proves closed forms: compares a formula with the expressions of a network of any size.

The network is traced again with parameters that go far beyond the requested values. With `n = L*k + r` for each
parameter in these expressions, every quotient, maximum and condition becomes a polynomial in the `k`s, for each
combination of remainders `r`. Two polynomials with equal coefficients are equal everywhere, so nothing is
fitted. The conditions limit the values for which this is a proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import gcd, prod

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from archcalc.sweeping.algebra import Algebra
from archcalc.sweeping.boxes import Condition, largest_box
from archcalc.sweeping.engine import Engine, Fork, TraceEnd
from archcalc.sweeping.expressions import IS, NEGATIVE, Atom, Polynomial, Question, answer
from archcalc.sweeping.plan import SweepPlan
from archcalc.sweeping.signs import (
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
from archcalc.sweeping.space import Dimension, Space

FAR = 10**9
"""The network is traced with this many values of each parameter."""

MOST_REMAINDERS, MOST_WORK = 5_000, 200_000
"""Proofs with more combinations of remainders, or with more expressions for all of them, take too long."""

ELSEWHERE = "conditions choose other networks nearby"


class FormProof(Struct, frozen=True):
    """The values of each parameter for which a formula is proved, as indices, or why it is not proved."""

    counts: tuple[int, ...] = ()
    """How many remainders each parameter has."""
    box: tuple[Span, ...] = ()
    missing: str = ""

    @property
    def remainders(self) -> int:
        return prod(self.counts)

    @property
    def first(self) -> int:
        """The index of the first value of an only parameter."""
        return self.box[0][0]

    @property
    def last(self) -> int:
        return self.box[0][1]


class _Longer(Exception):
    """A quotient is a polynomial only for a multiple of a parameter's current number of remainders."""

    def __init__(self, axis: int, times: int) -> None:
        self.axis = axis
        self.times = times


class _Unresolved(Exception):
    """Why there is no proof."""


def prove(plan: SweepPlan, engine: Engine, figure: Polynomial) -> FormProof:
    """Compare a formula, given as an expression of an engine, with the figure of the network."""
    dimensions = plan.space.dimensions
    if all(dimension.listed for dimension in dimensions):
        return FormProof(missing="the values are a list" if len(dimensions) == 1 else "the values are lists")
    far = tuple(d if d.listed else replace(d, count=max(FAR, d.count)) for d in dimensions)
    wide = replace(plan, space=Space(far)).engine()
    at = [dimension.count - 1 for dimension in dimensions]
    wide.evaluate([np.array([digit]) for digit in at])
    node, conditions = wide.root, list[tuple[Question, int]]()
    while isinstance(node, Fork):
        ((given, after),) = node.after.items()
        conditions.append((node.question, given))
        node = after
    if not isinstance(node, TraceEnd) or not node.figures:
        return FormProof(missing="the network cannot be traced for large values")
    algebra = wide.shared.algebra
    formula = _copied(engine.shared.algebra, algebra, figure)
    # several parameters have many combinations of remainders, so terms that are the same expression go first
    sides = (node.figures[0], formula)
    if len(far) > 1:
        sides = (algebra.add(*sides, -1), algebra.constant(0))
    counts = [dimension.count if dimension.listed else 1 for dimension in far]
    while True:
        known = _Remainders(algebra, far, counts, at)
        if not known.is_feasible([*(over for (_, over), _ in conditions), *sides]):
            return FormProof(missing="it is another polynomial for each of too many remainders")
        try:
            return FormProof(tuple(counts), _proved_box(known, conditions, sides))
        except _Longer as longer:
            counts[longer.axis] *= longer.times
        except _Unresolved as problem:
            return FormProof(missing=str(problem))


def _copied(source: Algebra, target: Algebra, figure: Polynomial) -> Polynomial:
    """Return the same expression in another algebra, as it is: equal expressions become one object."""
    copies: dict[int, int] = {}

    def copied(a: Polynomial) -> Polynomial:
        terms = {tuple(sorted(copies[n] for n in numbers)): factor for numbers, factor in a.terms}
        return target.polynomial(a.const, terms)

    for number in source.inner(figure):
        atom = source.atoms[number]
        args = [copied(arg) if isinstance(arg, Polynomial) else arg for arg in atom.args]
        if atom.kind in ("most", "least"):
            args.sort(key=lambda arg: arg.number)
        # its bounds are for the requested values only, but from here on nothing reads bounds
        ((copy,), _), *_ = target.atom(atom.kind, tuple(args), atom.low, atom.high).terms
        copies[number] = copy
    return copied(figure)


def _proved_box(
    known: _Remainders, conditions: Sequence[tuple[Question, int]], sides: tuple[Polynomial, Polynomial]
) -> tuple[Span, ...]:
    for (kind, over), given in conditions:
        for remainders in known.combinations(over):
            known.require(kind, known.of(over, remainders), given, remainders)
    for remainders in known.combinations(*sides):
        if known.of(sides[0], remainders) != known.of(sides[1], remainders):
            raise _Unresolved("the formula and the expressions of the network differ")
    box = largest_box(known.limits(), known.start(), known.mixed, known.counts)
    if box is None or all(first == last for first, last in box):
        raise _Unresolved(ELSEWHERE)
    return tuple(box)


class _Remainders:
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
            own = {atom.args[0]} if atom.kind == "parameter" else set[int]()
            self._axes.append(tuple(sorted(own.union(*(self._axes[n] for n in atom.needs)))))

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
            for remainder in range(min(count, dimension.count)):
                low, high = self._span(axis, remainder)
                if dimension.listed:
                    continue  # each value has a remainder of its own
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
            raise _Unresolved(
                "it divides by the parameter" if len(self._one) == 1 else "it divides by a parameter"
            )
        for axis in range(len(self._one)):  # first by what depends on one parameter
            alone = [
                factor for exponents, factor in a.items() if set(variables({exponents: factor})) == {axis}
            ]
            if gcd(by, *alone) < by:
                raise _Longer(axis, by // gcd(by, *alone))
        mixed = {exponents: factor for exponents, factor in a.items() if any(exponents)}
        if gcd(by, *mixed.values()) < by:
            axis = next(variables({e: f})[0] for e, f in mixed.items() if f % by)
            factors = [f for e, f in mixed.items() if e[axis] and f % by]
            raise _Longer(axis, by // gcd(by, *factors))
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
            raise _Unresolved(ELSEWHERE)
        if axes:  # zero where all signs but one are allowed is left out: the condition is one inequality
            low = over if wanted == (0, 1) else added(scaled(over, sign), {self._one: 1}, -1)
            self.mixed.append(Condition(low, remainders))

    def _limit(self, axis: int, over: Terms, wanted: tuple[int, ...], remainders: tuple[int, ...]) -> None:
        key = axis, remainders[axis]
        at = self._point(remainders)[axis]
        runs = sign_runs(powers_of(over, axis), *self._span(*key))
        place = next(n for n, (_, last, _) in enumerate(runs) if last >= at)
        if runs[place][2] not in wanted:
            raise _Unresolved(ELSEWHERE)
        low = high = place
        while low > 0 and runs[low - 1][2] in wanted:
            low -= 1
        while high + 1 < len(runs) and runs[high + 1][2] in wanted:
            high += 1
        self._spans[key] = runs[low][0], runs[high][1]
