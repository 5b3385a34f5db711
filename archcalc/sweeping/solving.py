"""Answers inverse questions: the largest or smallest value for which expectations hold.

If the expectations provably hold up to some value and not above it, bisection finds the value. Otherwise, all
values are tried; a range with too many values is divided, and parts are skipped if the bounds of their
figures rule out an answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from archcalc.diagnostics import error
from archcalc.render.numbers import grouped
from archcalc.render.progress import Advance, unseen_steps
from archcalc.sweeping.blocks import SweepAsked, Sweeper
from archcalc.sweeping.engine import Fork, TraceEnd
from archcalc.sweeping.expressions import IS
from archcalc.sweeping.limits import Limit, misses
from archcalc.sweeping.monotone import Directions
from archcalc.sweeping.plan import SweepPlan
from archcalc.sweeping.space import FEW_VALUES, Dimension, Space, written

MOST_TRIED = 1_000_000
"""Values that are tried one by one: a larger range is divided first."""

AT_ONCE, FEW_AT_ONCE = 65_536, 64
"""Values that are tried together: few if each network may be made by itself, so that progress is seen."""


class Tried(Struct, frozen=True):
    """A value of the unknown, with its figures, or why the network is not valid."""

    digit: int
    shown: str
    holds: bool
    figures: tuple[int, ...] = ()
    limited: tuple[int, ...] = ()
    """The numbers that have limits."""
    problem: str = ""


class Solution(Struct, frozen=True, eq=False):
    """The answer to an inverse question; `best` is `None` if no value satisfies it."""

    plan: SweepPlan
    largest: bool
    best: Tried | None
    beyond: Tried | None
    """The next value, which does not hold."""
    how: str
    nearest: Tried | None = None
    gaps: int | None = 0
    """Values on the near side of the answer that do not hold; `None` if that was not counted."""

    @property
    def unknown(self) -> Dimension:
        return self.plan.space.dimensions[0]


def solve(plan: SweepPlan, largest: bool = True, advance: Advance = unseen_steps) -> Solution:
    """Find the largest value of the only dimension for which all limits hold.

    `advance` is called with numbers of values that were tried. Raises `ArchError`, also if no value is a
    valid network.
    """
    if not plan.limits:
        raise error(
            "nothing limits the answer",
            help='add `--expect "macs <= 150M"`, or `--maximize` and `--minimize` figures',
        )
    return _ValueSearch(_narrowed(plan), largest, advance).solution()


def _narrowed(plan: SweepPlan) -> SweepPlan:
    """Return a plan whose unknown has only the values at which all conditions hold. Raises `ArchError`."""
    (unknown,) = plan.space.dimensions
    if not plan.relations.conditions:
        return plan
    if unknown.count > FEW_VALUES:
        raise error(
            f"`--where` chooses among at most {grouped(FEW_VALUES)} values, and `{unknown.name}` has "
            f"{grouped(unknown.count)}",
            help="give a larger step, or a smaller range",
        )
    (digits,) = Sweeper(plan, SweepAsked()).that_hold([np.arange(unknown.count)])
    if not len(digits):
        raise error(f"no value of `{unknown.name}` is one that `--where` keeps")
    values = tuple(unknown.value(int(digit)) for digit in digits)
    return replace(plan, space=Space((Dimension(unknown.name, len(values), values),)))


class _ValueSearch:
    """Searches for the value of one unknown."""

    def __init__(self, plan: SweepPlan, largest: bool, advance: Advance) -> None:
        self.plan = plan
        self.largest = largest
        self.at_once = AT_ONCE if plan.is_from_text else FEW_AT_ONCE
        self.unknown = plan.space.dimensions[0]
        self.engine = plan.engine()
        self.engine.advance = advance
        self.tried = 0
        self.parts = 0
        self.bounded = 0
        self.halved = 0
        self.gaps: int | None = 0
        self.nearest: tuple[float, int] | None = None
        self.proof = ""

    def solution(self) -> Solution:
        count = self.unknown.count
        best = self._within(0, count)
        beyond = None
        if best is not None:
            after = best + (1 if self.largest else -1)
            beyond = self._try(after) if 0 <= after < count else None
        nearest = self._nearest() if best is None else None
        return Solution(
            self.plan,
            self.largest,
            self._try(best) if best is not None else None,
            beyond,
            self._how(count),
            nearest,
            self.gaps,
        )

    def _how(self, count: int) -> str:
        if not self.parts and not self.tried:
            return self.proof or "bounds of the figures prove that no value holds"
        if not self.parts:
            values = "the value was" if count == 1 else f"all {grouped(count)} values were"
            return f"{values} tried"
        words = [f"the range of {grouped(count)} values was divided into {grouped(self.parts)} parts"]
        if self.bounded:
            words.append(f"bounds rule out {grouped(self.bounded)}")
        if self.halved:
            words.append(f"in {grouped(self.halved)}, figures are proved to go one way")
        if self.tried:
            words.append(f"{grouped(self.tried)} values were tried")
        return "; ".join(words)

    # -- parts of the range

    def _within(self, start: int, stop: int) -> int | None:
        """Return the answer among the values from `start` up to, but not including, `stop`."""
        count = stop - start
        if self.unknown.is_numeric and not self.unknown.listed and count > 2:
            found = self._by_proof(start, stop)
            if found is not NotImplemented:
                return found  # type: ignore[no-any-return]
        if count <= MOST_TRIED:
            return self._by_trying(start, stop)
        self.gaps = None
        middle = start + count // 2
        halves = [(start, middle), (middle, stop)]
        self.parts += 1 if self.parts else 2
        for low, high in reversed(halves) if self.largest else halves:
            found = self._within(low, high)
            if found is not None:
                return found
        return None

    def _by_proof(self, start: int, stop: int) -> Any:
        """Return the answer, if each figure has one expression on the part and goes in one direction."""
        unknown = replace(
            self.unknown,
            count=stop - start,
            start=self.unknown.value(start),
        )
        plan = replace(self.plan, space=Space((unknown,)))
        engine = plan.engine()
        engine.evaluate([_some_of(stop - start)])
        endings = _every_ending(engine.root)
        if engine.untraceable or endings is None:
            return NotImplemented
        if all(self._is_ruled_out(ending) for ending in endings):
            self.bounded += 1
            for digit in (start, stop - 1):
                self._note_nearest(np.array([digit]), self._figures(np.array([digit])))
            return None
        ending, *others = endings
        if others or ending.problem:
            return NotImplemented
        algebra = engine.shared.algebra
        directions = Directions(algebra)
        ways: list[int] = []
        words: list[str] = []
        for limit, figure in zip(plan.limits, ending.figures[len(plan.columns) :], strict=True):
            if _always(limit, figure.low, figure.high):
                continue
            direction = directions.of(figure)
            way = _way(limit, direction)
            if way is None:
                return NotImplemented
            ways.append(way)
            goes = "falls" if direction == 1 else "rises"
            words.append(f"{limit.quantity} never {goes} while {self.unknown.name} grows")
        if len(set(ways)) > 1:
            return NotImplemented
        self.halved += 1
        if not ways:
            self.proof = "bounds of the figures prove that every value holds"
            return stop - 1 if self.largest else start
        self.proof = f"{'; '.join(dict.fromkeys(words))}: proved from the formulas, then found by halving"
        return self._by_halving(start, stop, up_to=ways[0] > 0)

    def _is_ruled_out(self, ending: TraceEnd) -> bool:
        """Return whether bounds show that no point of a trace is within the limits."""
        figures = ending.figures[len(self.plan.columns) :]
        pairs = zip(self.plan.limits, figures, strict=True) if not ending.problem else ()
        return bool(ending.problem) or any(_never(limit, f.low, f.high) for limit, f in pairs)

    def _by_halving(self, start: int, stop: int, up_to: bool) -> int | None:
        """Bisect, given that all limits hold up to some value (or from some value on)."""
        if up_to != self.largest:  # then the answer is the end of the range, or there is none
            self.gaps = None
            digit = stop - 1 if self.largest else start
            return digit if self._holds(digit, note=True) else None
        inside, outside = (start, stop) if up_to else (stop - 1, start - 1)
        if not self._holds(inside, note=True):
            return None
        while abs(outside - inside) > 1:
            middle = (inside + outside) // 2
            if self._holds(middle):
                inside = middle
            else:
                outside = middle
        return inside

    def _by_trying(self, start: int, stop: int) -> int | None:
        best: int | None = None
        held = 0
        first: int | None = None
        for low in range(start, stop, self.at_once):
            digits = np.arange(low, min(low + self.at_once, stop))
            found = self._figures(digits)
            self.tried += len(digits)
            keep = self._keeps(found)
            places = digits[keep]
            if len(places):
                held += len(places)
                first = int(places[0]) if first is None else first
                best = int(places[-1])
            elif best is None:
                self._note_nearest(digits, found)
        if best is None or first is None:
            return None
        answer = best if self.largest else first
        if self.gaps is not None:
            self.gaps = (best - start + 1 if self.largest else stop - first) - held
        return answer

    # -- single values

    def _figures(self, digits: Any) -> Any:
        return self.engine.evaluate([digits])

    def _keeps(self, found: Any) -> Any:
        keep = found.errors < 0
        for limit, values in zip(self.plan.limits, found.columns[len(self.plan.columns) :], strict=True):
            keep = keep & np.asarray(limit.holds(values), dtype=bool)
        return keep

    def _holds(self, digit: int, note: bool = False) -> bool:
        found = self._figures(np.array([digit]))
        holds = bool(self._keeps(found)[0])
        if note and not holds:
            self._note_nearest(np.array([digit]), found)
        return holds

    def _note_nearest(self, digits: Any, found: Any) -> None:
        """Remember the valid value that is closest to the limits."""
        away = misses(self.plan.limits, found.columns[len(self.plan.columns) :], found.errors)
        place = int(np.argmin(away))
        if np.isfinite(away[place]) and (self.nearest is None or away[place] < self.nearest[0]):
            self.nearest = (float(away[place]), int(digits[place]))

    def _nearest(self) -> Tried:
        """Return the value that is closest to the limits. Raises `ArchError` if no value is valid."""
        count = self.unknown.count
        rest = np.arange(count) if count <= MOST_TRIED else _some_of(count, AT_ONCE)
        for low in range(0, len(rest) if not self.tried else 0, self.at_once):
            self._note_nearest(rest[low : low + self.at_once], self._figures(rest[low : low + self.at_once]))
        if self.nearest is None:
            self.plan.measure(self.plan.space.values([0 if self.largest else count - 1]))
        assert self.nearest is not None
        return self._try(self.nearest[1])

    def _try(self, digit: int) -> Tried:
        found = self._figures(np.array([digit]))
        shown = written(self.unknown.value(digit))
        number = int(found.errors[0])
        if number >= 0:
            return Tried(digit, shown, False, problem=self.engine.problem(number, [digit]))
        figures = tuple(int(column[0]) for column in found.columns)
        count = len(self.plan.columns)
        return Tried(digit, shown, bool(self._keeps(found)[0]), figures[:count], figures[count:])


def _some_of(count: int, between: int = 16) -> Any:
    """Return some positions of a range: neighbors at both ends, and others in between."""
    near = np.arange(min(count, 12))
    spread = np.linspace(0, count - 1, between).astype(np.int64)
    return np.unique(np.concatenate([near, count - 1 - near, spread]))


def _every_ending(node: Fork | TraceEnd | None) -> list[TraceEnd] | None:
    """Return all ends of a tree of traces; `None` if points of the range may reach an untraced end."""
    if node is None:
        return None
    if isinstance(node, TraceEnd):
        return [node]
    if node.question[0] is IS:
        return None
    found: list[TraceEnd] = []
    for given in (0, 1):
        endings = _every_ending(node.after.get(given))
        if endings is None:
            return None
        found += endings
    return found


def _never(limit: Limit, low: int, high: int) -> bool:
    if limit.negated:
        return (limit.low is None or low >= limit.low) and (limit.high is None or high <= limit.high)
    return (limit.low is not None and high < limit.low) or (limit.high is not None and low > limit.high)


def _always(limit: Limit, low: int, high: int) -> bool:
    return _never(replace(limit, negated=not limit.negated), low, high)


def _way(limit: Limit, direction: int | None) -> int | None:
    """Return 1 if a limit on a figure of this direction holds up to a value, -1 if from a value on."""
    if direction in (None, 0) or limit.negated:
        return None
    if limit.low is None:
        return direction
    return -direction if limit.high is None and direction is not None else None
