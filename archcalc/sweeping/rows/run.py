"""Runs a sweep that holds its rows: sorts and limits them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from msgspec import Struct

from archcalc.diagnostics import error, unknown
from archcalc.number import is_exact
from archcalc.render.numbers import grouped, plural
from archcalc.render.progress import Advance, unseen_steps
from archcalc.sweeping.plan import SweepPlan
from archcalc.sweeping.rows.blocks import (
    BLOCK,
    MOST_ROWS,
    SweepAsked,
    Sweeper,
    Totals,
    joined_rows,
    points_of,
)
from archcalc.sweeping.rows.columns import value_columns, value_names
from archcalc.sweeping.tracing.engine import Engine, Rows


class Found(Struct, eq=False):
    """The result of a sweep."""

    plan: SweepPlan
    engine: Engine
    rows: Rows
    totals: Totals

    def problem(self, row: int) -> str:
        """Return why a row is not a valid network; empty if it is valid."""
        number = int(self.rows.errors[row])
        return "" if number < 0 else self.engine.problem(number, [values[row] for values in self.rows.digits])


def rows_of(sweeper: Sweeper, totals: Totals, advance: Advance = unseen_steps) -> Iterator[Rows]:
    """Compute all points, and return rows as they come; `totals` counts them.

    `advance` is called with numbers of points that are done. Without `sort`, the sweep ends once it has
    `limit` rows. Raises `ArchError` if no point is a valid network: then all have the same mistake, mostly.
    """
    plan, asked = sweeper.plan, sweeper.asked
    totals.complete = points_of(plan, asked) == plan.space.size
    most = None if asked.sort else asked.limit
    for block in sweeper.blocks(advance):
        totals.add(block, sweeper)
        rows = block.rows
        if most is not None and totals.shown + rows.count > most:
            rows = rows.chosen(np.arange(most - totals.shown))
        totals.shown += rows.count
        yield rows
        if totals.shown == most:
            totals.complete = totals.complete and totals.points == points_of(plan, asked)
            return
    if sweeper.invalid is not None and totals.invalid == totals.points - totals.outside:
        sweeper.fail_at(sweeper.invalid)


def sweep_rows(sweeper: Sweeper, advance: Advance = unseen_steps) -> Found:
    """Compute all points, and hold the rows. Raises `ArchError` if they are too many."""
    plan, asked = sweeper.plan, sweeper.asked
    gathered: list[Rows] = []
    totals = Totals()
    held = 0
    for rows in rows_of(sweeper, totals, advance):
        gathered.append(rows)
        held += rows.count
        if asked.sort and asked.limit is not None and held > max(2 * asked.limit, BLOCK):
            gathered = [_sorted(plan, joined_rows(plan, gathered), asked)]
            held = gathered[0].count
        if held > MOST_ROWS:
            raise error(
                f"more than {grouped(MOST_ROWS)} rows do not fit into memory",
                help="add `--limit`; CSV and Parquet without `--sort` are written as they are computed",
            )
    rows = _sorted(plan, joined_rows(plan, gathered), asked)
    totals.shown = rows.count
    return Found(plan, sweeper.engine, rows, totals)


def _sorted(plan: SweepPlan, rows: Rows, asked: SweepAsked) -> Rows:
    """Return the rows in the requested order, at most `limit`; invalid ones are last."""
    if asked.sort:
        if asked.sort in plan.columns:
            keys = rows.columns[plan.columns.index(asked.sort)]
        else:
            keys = _value_keys(plan, rows, asked.sort)
        keys = -keys if asked.falling else keys
        order = np.argsort(keys, kind="stable")
        invalid = rows.errors[order] >= 0
        rows = rows.chosen(np.concatenate([order[~invalid], order[invalid]]))
    if asked.limit is not None and rows.count > asked.limit:
        rows = rows.chosen(np.arange(asked.limit))
    return rows


def _value_keys(plan: SweepPlan, rows: Rows, name: str) -> Any:
    """Return the ranks of the values of a name. Numbers come first in order, then others as listed."""
    (column,) = value_columns(plan, rows.digits, [name])
    numbers = sorted({value for value in column.values if is_exact(value)})
    ranks = {value: rank for rank, value in enumerate(numbers)}
    table = [ranks[v] if is_exact(v) else len(ranks) + place for place, v in enumerate(column.values)]
    return np.array(table, dtype=np.int64)[column.places]


def check_sort(plan: SweepPlan, asked: SweepAsked) -> None:
    """Raise `ArchError` if there is no such column."""
    known = [*value_names(plan), *plan.columns]
    if asked.sort and asked.sort not in known:
        raise unknown("there is no column", asked.sort, known, listing="columns")


def in_words(plan: SweepPlan, totals: Totals) -> str:
    """Describe what was computed, and which part of it is shown."""
    parts = [f"{plural(totals.points, 'point')}"]
    if not totals.complete:
        parts[0] += f" of {grouped(plan.space.size)}"
    total = totals.points
    if plan.relations.conditions:
        total -= totals.outside
        parts.append(f"{grouped(total)} that `--where` keeps")
    if plan.limits:
        total = totals.kept
        parts.append(f"{grouped(total)} within all limits")
    if totals.invalid:
        parts.append(invalid_in_words(totals.invalid))
    if totals.shown < total:
        parts.append(f"{grouped(totals.shown)} shown")
    return ", ".join(parts)


def invalid_in_words(count: int) -> str:
    """Describe how many points are not valid networks.

    >>> invalid_in_words(1), invalid_in_words(1200)
    ('1 is not a valid network', '1,200 are not valid networks')
    """
    return "1 is not a valid network" if count == 1 else f"{grouped(count)} are not valid networks"
