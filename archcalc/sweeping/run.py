"""Runs a sweep: computes blocks of points; filters, sorts and limits rows; resumes after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from archcalc.diagnostics import error
from archcalc.render.numbers import grouped, plural
from archcalc.sweeping.engine import Engine
from archcalc.sweeping.plan import SweepPlan
from archcalc.sweeping.space import Dimension, written

BLOCK = 131_072
"""Points of a block. Its contents depend only on its number, so blocks can be computed anywhere."""

MOST_POINTS = 200_000_000
"""Points that a sweep computes without being asked twice: minutes."""

MOST_ROWS = 20_000_000
"""Rows that are held in memory, to sort them or to write them as a table."""


class Rows(Struct, eq=False):
    """Points and their figures: the index of the value in each dimension, and a column for each figure."""

    digits: list[Any]
    columns: list[Any]
    errors: Any

    @property
    def count(self) -> int:
        return len(self.errors)

    def chosen(self, places: Any) -> Rows:
        return Rows(
            [values[places] for values in self.digits],
            [values[places] for values in self.columns],
            self.errors[places],
        )


BlockResult = tuple[Rows, int, int, Rows | None]
"""The rows of a block, how many points are invalid, how many within the limits, and the nearest miss."""


class SweepAsked(Struct, frozen=True):
    """Which points are computed, and which become rows. `sort` is a column or a parameter."""

    sort: str = ""
    falling: bool = False
    limit: int | None = None
    sample: int | None = None
    seed: int = 0


class Found(Struct, eq=False):
    """The result of a sweep."""

    plan: SweepPlan
    engine: Engine
    rows: Rows
    computed: int
    """Points that were computed."""
    invalid: int
    """Points that are not valid networks."""
    kept: int
    """Points that are valid networks and within all limits."""
    complete: bool
    """Were all points computed?"""
    nearest: Rows | None = None
    """If no point is within the limits, the one that misses them least."""

    def problem(self, row: int) -> str:
        """Return why a row is not a valid network; empty if it is valid."""
        number = int(self.rows.errors[row])
        return "" if number < 0 else self.engine.problem(number, [values[row] for values in self.rows.digits])


def points_of(plan: SweepPlan, asked: SweepAsked) -> int:
    """Return the maximum number of points that are computed."""
    return plan.space.size if asked.sample is None else asked.sample


def check_size(plan: SweepPlan, asked: SweepAsked) -> None:
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
        help="vary less or take larger steps; `--limit 1000` computes the first points, "
        "`--sample 1000000` points drawn at random",
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


def block_digits(plan: SweepPlan, asked: SweepAsked, block: int) -> list[Any]:
    """Return the points of a block, by its number."""
    if asked.sample is not None:
        count = min(BLOCK, asked.sample - block * BLOCK)
        return plan.space.drawn(count, asked.seed, block)
    start = block * BLOCK
    return plan.space.digits(np.arange(start, min(start + BLOCK, plan.space.size)))


def blocks_of(plan: SweepPlan, asked: SweepAsked) -> int:
    return -(-points_of(plan, asked) // BLOCK)


def compute_block(
    plan: SweepPlan, engine: Engine, asked: SweepAsked, block: int
) -> tuple[Rows, int, int, Rows | None]:
    """Compute a block: its rows, how many points are invalid or within the limits, and the nearest miss."""
    found = engine.evaluate(block_digits(plan, asked, block))
    figures = len(plan.columns)
    every = Rows(found.digits, found.columns[:figures], found.errors)
    invalid = int((found.errors >= 0).sum())
    if not plan.limits:
        return every, invalid, every.count - invalid, None
    keep = found.errors < 0
    for limit, values in zip(plan.limits, found.columns[figures:], strict=True):
        keep = keep & np.asarray(limit.holds(values), dtype=bool)
    kept = int(keep.sum())
    nearest = None
    if not kept and invalid < every.count:
        nearest = every.chosen(np.array([_nearest(plan, found.columns[figures:], found.errors)]))
    return every.chosen(np.flatnonzero(keep)), invalid, kept, nearest


def _nearest(plan: SweepPlan, columns: Sequence[Any], errors: Any) -> int:
    """Return the valid point that is closest to the limits."""
    misses = np.where(errors < 0, 0.0, np.inf)
    for limit, values in zip(plan.limits, columns, strict=True):
        misses = misses + _distance(limit.low, limit.high, values, limit.negated)
    return int(np.argmin(misses))


def _distance(low: int | None, high: int | None, values: Any, negated: bool) -> Any:
    numbers = values.astype(float)
    away = np.zeros(len(numbers))
    if negated:
        return away
    if low is not None:
        away += np.maximum(0.0, low - numbers) / max(1, abs(low))
    if high is not None:
        away += np.maximum(0.0, numbers - high) / max(1, abs(high))
    return away


def sweep_rows(
    plan: SweepPlan,
    asked: SweepAsked,
    advance: Callable[[], None] = lambda: None,
    compute: Callable[[Engine, int], BlockResult] | None = None,
) -> Found:
    """Compute all points. `compute` gives a block; `advance` is called after each.

    Without `sort`, the sweep ends once it has `limit` rows.
    """
    engine = plan.engine()
    gathered: list[Rows] = []
    held = computed = invalid = kept = 0
    nearest: Rows | None = None
    blocks = blocks_of(plan, asked)
    done = 0
    for block in range(blocks):
        rows, bad, good, near = (
            compute(engine, block) if compute else compute_block(plan, engine, asked, block)
        )
        done += 1
        computed += min(BLOCK, points_of(plan, asked) - block * BLOCK)
        invalid, kept = invalid + bad, kept + good
        nearest = _nearer(plan, engine, nearest, near)
        gathered.append(rows)
        held += rows.count
        if asked.sort and asked.limit is not None and held > max(2 * asked.limit, BLOCK):
            gathered = [_sorted(plan, joined_rows(plan, gathered), asked)]
            held = gathered[0].count
        if held > MOST_ROWS:
            raise error(f"more than {grouped(MOST_ROWS)} rows do not fit into memory: add `--limit`")
        advance()
        if asked.limit is not None and not asked.sort and held >= asked.limit:
            break
    rows = _sorted(plan, joined_rows(plan, gathered), asked)
    return Found(
        plan,
        engine,
        rows,
        computed,
        invalid,
        kept,
        done == blocks,
        nearest if plan.limits and not kept else None,
    )


def _nearer(plan: SweepPlan, engine: Engine, first: Rows | None, second: Rows | None) -> Rows | None:
    if first is None or second is None:
        return second if first is None else first
    both = joined_rows(plan, [first, second])
    figures = engine.evaluate(both.digits).columns[len(plan.columns) :]
    return both.chosen(np.array([_nearest(plan, figures, both.errors)]))


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


def _sorted(plan: SweepPlan, rows: Rows, asked: SweepAsked) -> Rows:
    """Return the rows in the requested order, at most `limit`; invalid ones are last."""
    if asked.sort:
        if asked.sort in plan.columns:
            keys = rows.columns[plan.columns.index(asked.sort)]
        else:
            keys = _sort_keys(plan, rows, asked.sort)
        keys = -keys if asked.falling else keys
        order = np.argsort(keys, kind="stable")
        invalid = rows.errors[order] >= 0
        rows = rows.chosen(np.concatenate([order[~invalid], order[invalid]]))
    if asked.limit is not None and rows.count > asked.limit:
        rows = rows.chosen(np.arange(asked.limit))
    return rows


def _sort_keys(plan: SweepPlan, rows: Rows, name: str) -> Any:
    for dimension, digits in zip(plan.space.dimensions, rows.digits, strict=True):
        if dimension.name == name:
            return dimension.numerators(digits) if dimension.is_numeric else digits
    known = ", ".join([*(d.name for d in plan.space.dimensions), *plan.columns])
    raise error(f"there is no column `{name}` to sort by", help=f"columns: {known}")


def check_sort(plan: SweepPlan, asked: SweepAsked) -> None:
    """Raise `ArchError` if there is no such column."""
    if asked.sort and asked.sort not in plan.columns:
        _sort_keys(plan, joined_rows(plan, []), asked.sort)


def texts_of(dimension: Dimension, digits: Any) -> list[str]:
    """Return the values of a dimension for the rows, written as in an option."""
    numbers, places = np.unique(digits, return_inverse=True)
    texts = [written(dimension.shown(int(number))) for number in numbers]
    return [texts[place] for place in places.tolist()]


def text_rows(found: Found, start: int, stop: int) -> Iterator[tuple[str, ...]]:
    """Return some rows as text: values, figures, and why a row is not a valid network."""
    part = found.rows.chosen(np.arange(start, stop))
    cells = [texts_of(d, n) for d, n in zip(found.plan.space.dimensions, part.digits, strict=True)]
    bad = np.flatnonzero(part.errors >= 0).tolist()
    for column in part.columns:
        texts = list(map(str, column.tolist()))
        for row in bad:
            texts[row] = ""
        cells.append(texts)
    problems = [""] * part.count
    for row in bad:
        problems[row] = found.problem(start + row)
    yield from zip(*cells, problems, strict=True)


def in_words(found: Found) -> str:
    """Describe what was computed, and which part of it is shown."""
    plan, rows = found.plan, found.rows
    parts = [f"{plural(found.computed, 'point')}"]
    if not found.complete:
        parts[0] += f" of {grouped(plan.space.size)}"
    if plan.limits:
        parts.append(f"{grouped(found.kept)} within all limits")
    if found.invalid:
        parts.append(f"{grouped(found.invalid)} are not valid networks")
    total = found.kept if plan.limits else found.computed
    if rows.count < total:
        parts.append(f"{grouped(rows.count)} shown")
    return ", ".join(parts)
