"""Proves closed forms: compares a formula with the expressions of a network of any size.

The network is traced again with a parameter that goes far beyond the requested values. With `n = L*k + r` in
these expressions, every quotient, maximum and condition becomes a polynomial in `k`, for each remainder `r`.
Two polynomials with equal coefficients are equal for every `k`, so nothing is fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from archcalc.sweeping.algebra import Algebra
from archcalc.sweeping.engine import Engine, Fork, TraceEnd
from archcalc.sweeping.expressions import IS, NEGATIVE, Atom, Polynomial, Question
from archcalc.sweeping.plan import SweepPlan
from archcalc.sweeping.space import Dimension, Space

FAR = 10**9
"""The network is traced with this many values of the parameter."""

MOST_REMAINDERS, MOST_WORK = 5_000, 400_000
"""Proofs with more remainders, or with more atoms for all remainders together, take too long."""

Powers = tuple[int, ...]
"""A polynomial in `k`: the factors of 1, k, k², and so on, without zeros at the end."""


class FormProof(Struct, frozen=True):
    """The parameter values for which a formula is proved, as indices, or why it is not proved."""

    remainders: int = 0
    first: int = 0
    last: int = -1
    missing: str = ""


class _Longer(Exception):
    """A quotient is a polynomial only for a multiple of the current number of remainders."""

    def __init__(self, times: int) -> None:
        self.times = times


class _Unresolved(Exception):
    """An expression is not a polynomial for this remainder."""


def prove(plan: SweepPlan, engine: Engine, figure: Polynomial) -> FormProof:
    """Compare a formula, given as an expression of an engine, with the figure of the network."""
    if len(plan.space.dimensions) != 1:
        return FormProof(missing="it has several parameters")
    (dimension,) = plan.space.dimensions
    if dimension.listed:
        return FormProof(missing="the values are a list")
    far = replace(dimension, count=max(FAR, dimension.count))
    wide = replace(plan, space=Space((far,))).engine()
    at = dimension.count - 1
    wide.evaluate([np.array([at])])
    node, conditions = wide.root, list[tuple[Question, int]]()
    while isinstance(node, Fork):
        ((answer, after),) = node.after.items()
        conditions.append((node.question, answer))
        node = after
    if not isinstance(node, TraceEnd) or not node.figures:
        return FormProof(missing="the network cannot be traced for large values")
    sides = [(wide.shared.algebra, node.figures[0]), (engine.shared.algebra, figure)]
    work = sum(len(algebra.atoms) for algebra, _ in sides)
    remainders = 1
    while remainders <= MOST_REMAINDERS and remainders * work <= MOST_WORK:
        try:
            return _for_all_remainders(far, remainders, at, conditions, sides)
        except _Longer as longer:
            remainders *= longer.times
        except _Unresolved as problem:
            return FormProof(missing=str(problem))
    return FormProof(missing="it is another polynomial for each of too many remainders")


def _for_all_remainders(
    far: Dimension,
    count: int,
    at: int,
    conditions: list[tuple[Question, int]],
    sides: list[tuple[Algebra, Polynomial]],
) -> FormProof:
    first, last = 0, far.count - 1
    for remainder in range(min(count, far.count)):
        known = _Remainder(far, count, remainder, max(0, (at - remainder) // count))
        for (kind, over), answer in conditions:
            known.require(kind, known.of(sides[0][0], over), answer)
        if known.of(*sides[0]) != known.of(*sides[1]):
            raise _Unresolved("the formula and the expressions of the network differ")
        first = max(first, count * (known.first - 1) + remainder + 1)
        last = min(last, count * (known.last + 1) + remainder - 1)
    if not first <= at <= last or first == last:
        raise _Unresolved("conditions choose other networks nearby")
    return FormProof(count, first, last)


class _Remainder:
    """Expressions as polynomials in `k` for one remainder, valid from `first` to `last` around `at`."""

    def __init__(self, far: Dimension, count: int, remainder: int, at: int) -> None:
        self.at = at
        self.first, self.last = 0, (far.count - 1 - remainder) // count
        step = int(far.step * far.divisor)
        self.parameter = _trimmed([int(far.start * far.divisor) + step * remainder, step * count])
        self._atoms: dict[tuple[int, int], Powers] = {}

    def of(self, algebra: Algebra, a: Polynomial) -> Powers:
        total: Powers = _trimmed([a.const])
        for product, factor in a.terms:
            part: Powers = (factor,)
            for number in product:
                part = _multiplied(part, self._atom(algebra, number))
            total = _sum(total, part)
        return total

    def _atom(self, algebra: Algebra, wanted: int) -> Powers:
        """Compute an atom after the atoms that it needs. Not recursive, because networks are deep."""
        waiting = [wanted]
        while waiting:
            number = waiting[-1]
            missing = [n for n in algebra.atoms[number].needs if (id(algebra), n) not in self._atoms]
            if missing:
                waiting += missing
                continue
            waiting.pop()
            if (id(algebra), number) not in self._atoms:
                self._atoms[id(algebra), number] = self._resolved(algebra, algebra.atoms[number])
        return self._atoms[id(algebra), wanted]

    def _resolved(self, algebra: Algebra, atom: Atom) -> Powers:
        if atom.kind == "parameter":
            return self.parameter
        if atom.kind == "whole":
            return self.of(algebra, atom.args[0])
        if atom.kind == "choice":
            kind, asked, a, b = atom.args
            over = self.of(algebra, asked)
            answer = int(_answers(kind, _value(over, self.at)))
            self.require(kind, over, answer)
            return self.of(algebra, a if answer else b)
        if atom.kind == "floor":
            numerator = self.of(algebra, atom.args[0])
            by = atom.args[1]
            return self._quotient(numerator, (by,) if isinstance(by, int) else self.of(algebra, by))
        sign = 1 if atom.kind == "most" else -1
        values = [self.of(algebra, arg) for arg in atom.args]
        found = max(values, key=lambda value: sign * _value(value, self.at))
        for value in values:
            ahead = _sum(found, _multiplied((-1,), value))
            self.require(NEGATIVE, _multiplied((sign,), ahead), 0)
        return found

    def _quotient(self, a: Powers, by: Powers) -> Powers:
        if len(by) > 1:
            raise _Unresolved("it divides by the parameter")
        common = gcd(by[0], *a[1:])
        if common < by[0]:
            raise _Longer(by[0] // common)
        return _trimmed([factor // by[0] for factor in a])

    def require(self, kind: str, over: Powers, answer: int) -> None:
        """Limit `k` to the values around `at` that give this answer to a question."""
        wanted: tuple[int, ...]
        if kind is IS:
            over, wanted = _sum(over, (-answer,)), (0,)
        elif kind is NEGATIVE:
            wanted = (-1,) if answer else (0, 1)
        else:
            wanted = (0,) if answer else (-1, 1)
        runs = sign_runs(over, self.first, self.last)
        place = next(n for n, (_, last, _) in enumerate(runs) if last >= self.at)
        if runs[place][2] not in wanted:
            raise _Unresolved("conditions choose other networks nearby")
        low = high = place
        while low > 0 and runs[low - 1][2] in wanted:
            low -= 1
        while high + 1 < len(runs) and runs[high + 1][2] in wanted:
            high += 1
        self.first, self.last = runs[low][0], runs[high][1]


def sign_runs(a: Powers, first: int, last: int) -> list[tuple[int, int, int]]:
    """Return the ranges where a polynomial is negative, zero or positive: (first, last, sign), in order.

    Where `a(k+1) - a(k)`, which has a lower degree, has one sign, the values only rise or only fall, so
    bisection finds where their sign changes. All numbers are integers, so nothing is rounded.

    >>> sign_runs((-4, 0, 1), 0, 9)  # k² - 4
    [(0, 1, -1), (2, 2, 0), (3, 9, 1)]
    """
    if len(a) < 2:
        return [(first, last, _sign(_value(a, 0)))]
    if first == last:
        return [(first, last, _sign(_value(a, first)))]
    runs: list[tuple[int, int, int]] = []
    start = first
    for _, end, _ in sign_runs(_difference(a), first, last - 1):
        end += 1
        while start <= end:
            sign = _sign(_value(a, start))
            stop = _last_that(lambda k, sign=sign: _sign(_value(a, k)) == sign, start, end)  # type: ignore[misc]
            if runs and runs[-1][2] == sign:
                runs[-1] = runs[-1][0], stop, sign
            else:
                runs.append((start, stop, sign))
            start = stop + 1
    return runs


def _last_that(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Return the last number for which `holds` is true: it is true for `low` and, once false, stays false."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def _answers(kind: str, value: int) -> bool:
    return value < 0 if kind is NEGATIVE else value == 0


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _trimmed(a: list[int]) -> Powers:
    while a and not a[-1]:
        a.pop()
    return tuple(a) or (0,)


def _value(a: Powers, k: int) -> int:
    total = 0
    for factor in reversed(a):
        total = total * k + factor
    return total


def _sum(a: Powers, b: Powers) -> Powers:
    if len(a) < len(b):
        a, b = b, a
    return _trimmed([x + y for x, y in zip(a, b, strict=False)] + list(a[len(b) :]))


def _multiplied(a: Powers, b: Powers) -> Powers:
    total = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            total[i + j] += x * y
    return _trimmed(total)


def _difference(a: Powers) -> Powers:
    """`a(k + 1) - a(k)`."""
    shifted: Powers = (0,)
    for factor in reversed(a):
        shifted = _sum(_multiplied(shifted, (1, 1)), (factor,))
    return _sum(shifted, _multiplied((-1,), a))
