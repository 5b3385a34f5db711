"""Computes the points of a sweep in blocks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy as np
from msgspec import Struct

from archcalc.diagnostics import error
from archcalc.render.numbers import grouped
from archcalc.render.progress import Advance, unseen_steps
from archcalc.sweeping.limits import misses
from archcalc.sweeping.plan import SweepPlan
from archcalc.sweeping.tracing.engine import Rows

BLOCK = 131_072
"""Points of a block. Its contents depend only on its number, so blocks can be computed anywhere."""

SMALL_BLOCK = 256
"""Points of a block, if networks may have to be made and measured one by one: progress is seen."""

MOST_POINTS = 200_000_000
"""Points that a sweep computes without being asked twice: minutes."""

MOST_ROWS = 20_000_000
"""Rows that are held in memory, to sort them or to write them as a table."""


def joined_rows(plan: SweepPlan, parts: Sequence[Rows]) -> Rows:
    """Concatenate rows."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        empty = np.zeros(0, dtype=np.int64)
        return Rows([empty for _ in plan.space.dimensions], [empty for _ in plan.columns], empty - 1)
    return Rows(
        [np.concatenate(values) for values in zip(*(part.digits for part in parts), strict=True)],
        [np.concatenate(values) for values in zip(*(part.columns for part in parts), strict=True)],
        np.concatenate([part.errors for part in parts]),
    )


class SweepAsked(Struct, frozen=True):
    """Which points are computed, and which become rows. `sort` is a column or a parameter."""

    sort: str = ""
    falling: bool = False
    limit: int | None = None
    sample: int | None = None
    seed: int = 0


class SweptBlock(Struct, eq=False):
    """The rows of a block, and how many of its points became rows."""

    rows: Rows
    points: int
    outside: int
    """Points that do not fulfill the conditions. Their networks are not computed."""
    invalid: int
    """Points that are not valid networks."""
    kept: int
    """Points that are valid networks and within all limits."""
    nearest: Rows | None = None
    """If no point is within the limits, the one that misses them least."""


class Totals(Struct, eq=False):
    """Sums over the blocks of a sweep."""

    points: int = 0
    outside: int = 0
    invalid: int = 0
    kept: int = 0
    shown: int = 0
    """Rows that are shown or written."""
    complete: bool = True
    """Were all points of the space computed?"""
    nearest: Rows | None = None

    def add(self, block: SweptBlock, sweeper: Sweeper) -> None:
        self.points += block.points
        self.outside += block.outside
        self.invalid += block.invalid
        self.kept += block.kept
        if block.nearest is not None:
            self.nearest = sweeper.nearer(self.nearest, block.nearest)


def points_of(plan: SweepPlan, asked: SweepAsked) -> int:
    """Return the maximum number of points that are computed."""
    return plan.space.size if asked.sample is None else min(asked.sample, plan.space.size)


LESS = "vary less or take larger steps"
"""How a space becomes smaller."""

PARTS = f"{LESS}; `--limit 1000` computes the first points, `--sample 1000000` points drawn at random"


def check_size(plan: SweepPlan, asked: SweepAsked, help: str = PARTS) -> None:
    """Refuse a space that takes too long, and estimate its time. Raises `ArchError`."""
    size = points_of(plan, asked)
    if size <= MOST_POINTS or (asked.limit is not None and not asked.sort and asked.limit <= MOST_POINTS):
        return
    engine = plan.engine()
    trial = plan.space.drawn(4096, 0, 0)
    engine.evaluate(trial)
    begin = time.perf_counter()
    engine.evaluate(plan.space.drawn(4096, 0, 1))
    seconds = (time.perf_counter() - begin) * size / 4096
    raise error(
        f"the space has {grouped(size)} points: about {_duration(seconds)} at the speed of this machine, "
        f"{_storage(size * 8 * (len(plan.columns) + 1))} of figures",
        help=help,
    )


def _duration(seconds: float) -> str:
    for unit, size in (("years", 365 * 86400), ("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{max(1, round(seconds))} seconds"


def _storage(count: int) -> str:
    for unit, size in (("TB", 10**12), ("GB", 10**9)):
        if count >= size:
            return f"{count / size:,.0f} {unit}"
    return f"{count / 10**6:,.0f} MB"


class Sweeper:
    """Computes the blocks of a sweep."""

    def __init__(self, plan: SweepPlan, asked: SweepAsked) -> None:
        self.plan = plan
        self.asked = asked
        self.engine = plan.engine()
        self.conditions = plan.conditions()
        self.invalid: list[int] | None = None
        """A point that is not a valid network."""
        self.size = BLOCK if plan.is_from_text else SMALL_BLOCK

    @property
    def count(self) -> int:
        """Return the number of blocks."""
        return -(-points_of(self.plan, self.asked) // self.size)

    def blocks(self, advance: Advance = unseen_steps) -> Iterator[SweptBlock]:
        """Compute all blocks; `advance` is called with numbers of points that are done."""
        self.engine.advance = advance
        for number in range(self.count):
            yield self.block(number)

    def fail_at(self, digits: Sequence[int]) -> NoReturn:
        """Raise the `ArchError` of a point that is not a valid network."""
        self.plan.measure(self.plan.space.values(digits))
        raise AssertionError(f"the network of {digits} is valid")

    def block(self, number: int) -> SweptBlock:
        """Compute a block: its rows, and the number of its points that do not become rows."""
        digits = self._digits(number)
        points = len(digits[0])
        if self.conditions is not None:
            digits = self.that_hold(digits)
            self.engine.advance(points - len(digits[0]))
        found = self.engine.evaluate(digits)
        figures = len(self.plan.columns)
        every = Rows(found.digits, found.columns[:figures], found.errors)
        invalid, outside = int((found.errors >= 0).sum()), points - every.count
        if invalid and self.invalid is None:
            place = int(np.argmax(found.errors >= 0))
            self.invalid = [int(values[place]) for values in digits]
        if not self.plan.limits:
            return SweptBlock(every, points, outside, invalid, every.count - invalid)
        keep = found.errors < 0
        for limit, values in zip(self.plan.limits, found.columns[figures:], strict=True):
            keep = keep & np.asarray(limit.holds(values), dtype=bool)
        kept = int(keep.sum())
        nearest = None
        if not kept and invalid < every.count:
            nearest = every.chosen(
                [np.argmin(misses(self.plan.limits, found.columns[figures:], found.errors))]
            )
        return SweptBlock(every.chosen(np.flatnonzero(keep)), points, outside, invalid, kept, nearest)

    def _digits(self, number: int) -> list[Any]:
        """Return the points of a block, by its number."""
        plan, asked = self.plan, self.asked
        start = number * self.size
        count = min(self.size, points_of(plan, asked) - start)
        if asked.sample is not None and asked.sample < plan.space.size:
            return plan.space.drawn(count, asked.seed, number)
        return plan.space.digits(np.arange(start, start + count))

    def that_hold(self, digits: list[Any]) -> list[Any]:
        """Return the points at which all conditions hold. Raises `ArchError` if one has no value."""
        assert self.conditions is not None
        found = self.conditions.evaluate(digits)
        wrong = np.flatnonzero(found.errors >= 0)
        if len(wrong):
            at = [values[wrong[0]] for values in digits]
            shown = ", ".join(
                f"{d.name}={text}"
                for d, text in zip(self.plan.space.dimensions, self.plan.space.shown(at), strict=True)
            )
            raise error(f"`--where` at {shown}: {self.conditions.problem(int(found.errors[wrong[0]]), at)}")
        places = np.flatnonzero(found.columns[0])
        return [values[places] for values in digits]

    def nearer(self, first: Rows | None, second: Rows) -> Rows:
        """Return the point of two that is closer to the limits."""
        if first is None:
            return second
        both = joined_rows(self.plan, [first, second])
        figures = self.engine.evaluate(both.digits).columns[len(self.plan.columns) :]
        return both.chosen([np.argmin(misses(self.plan.limits, figures, both.errors))])
