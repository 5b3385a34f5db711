"""Proves closed forms: compares a formula with the expressions of a network of any size.

The network is traced again with parameters that go far beyond the requested values. Its expressions and the
formula are compared as polynomials, for each remainder of the parameters. Equal polynomials are equal
everywhere, so nothing is fitted. The conditions of the trace limit the values for which this is a proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from archcalc.sweeping.formula.boxes import largest_box
from archcalc.sweeping.formula.remainders import ELSEWHERE, Longer, Remainders, Unresolved
from archcalc.sweeping.formula.signs import Span
from archcalc.sweeping.plan import SweepPlan
from archcalc.sweeping.space import Space
from archcalc.sweeping.tracing.algebra import Algebra
from archcalc.sweeping.tracing.engine import Engine, Fork, TraceEnd
from archcalc.sweeping.tracing.expressions import Polynomial, Question

FAR = 10**9
"""The network is traced with this many values of each parameter."""


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
    if wide.untraceable or not isinstance(node, TraceEnd) or not node.figures:
        return FormProof(missing="the network cannot be traced for large values")
    algebra = wide.shared.algebra
    formula = _copied(engine.shared.algebra, algebra, figure)
    # several parameters have many combinations of remainders, so terms that are the same expression go first
    sides = (node.figures[0], formula)
    if len(far) > 1:
        sides = (algebra.add(*sides, -1), algebra.constant(0))
    counts = [dimension.count if dimension.listed else 1 for dimension in far]
    while True:
        known = Remainders(algebra, far, counts, at)
        if not known.is_feasible([*(over for (_, over), _ in conditions), *sides]):
            return FormProof(missing="it is another polynomial for each of too many remainders")
        try:
            return FormProof(tuple(counts), _proved_box(known, conditions, sides))
        except Longer as longer:
            counts[longer.axis] *= longer.times
        except Unresolved as problem:
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
    known: Remainders, conditions: Sequence[tuple[Question, int]], sides: tuple[Polynomial, Polynomial]
) -> tuple[Span, ...]:
    for (kind, over), given in conditions:
        for remainders in known.combinations(over):
            known.require(kind, known.of(over, remainders), given, remainders)
    for remainders in known.combinations(*sides):
        if known.of(sides[0], remainders) != known.of(sides[1], remainders):
            raise Unresolved("the formula and the expressions of the network differ")
    box = largest_box(known.limits(), known.start(), known.mixed, known.counts)
    if box is None or all(first == last for first, last in box):
        raise Unresolved(ELSEWHERE)
    return tuple(box)
