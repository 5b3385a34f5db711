"""Finds the best points of a space by several figures: those that no other point beats in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from archcalc.render.progress import Advance, unseen_steps
from archcalc.sweeping.rows.blocks import Sweeper, Totals, joined_rows
from archcalc.sweeping.rows.run import Found
from archcalc.sweeping.tracing.engine import Rows


def front(values: Any) -> Any:
    """Return the indices of points that no other point equals or beats in everything; smaller is better.

    Of several points with equal values, the first is kept.

    >>> front(np.array([[1, 5], [2, 3], [2, 4], [3, 3], [1, 5]])).tolist()
    [0, 1]
    """
    count, figures = values.shape
    order = np.lexsort([np.arange(count), *(values[:, n] for n in range(figures - 1, -1, -1))])
    ordered = values[order]
    if figures == 1:
        return order[:1]
    scale = np.maximum(np.abs(values).max(axis=0).astype(float), 1.0)
    if figures == 2:
        second = ordered[:, 1]
        before = np.minimum.accumulate(second)
        keep = np.ones(count, dtype=bool)
        keep[1:] = second[1:] < before[:-1]
        return np.sort(order[keep])
    left = np.arange(count)  # in order, so that the first of the best is not beaten
    kept: list[int] = []
    while len(left):
        rows = ordered[left]
        # of a point that is good in everything, what equals or beats it: the first of these is beaten by none
        good = rows[np.argmin((rows / scale).sum(axis=1))]
        best = left[np.argmax((rows <= good).all(axis=1))]
        kept.append(int(order[best]))
        left = left[(rows < ordered[best]).any(axis=1)]
    return np.sort(np.array(kept))


def pareto(
    sweeper: Sweeper, objectives: Sequence[tuple[str, bool]], advance: Advance = unseen_steps
) -> Found:
    """Return the points within the limits that are best by some columns; each is maximized or minimized."""
    plan, limit = sweeper.plan, sweeper.asked.limit
    places = [(plan.columns.index(name), large) for name, large in objectives]
    best = joined_rows(plan, [])
    totals = Totals()
    for block in sweeper.blocks(advance):
        totals.add(block, sweeper)
        rows = block.rows.chosen(np.flatnonzero(block.rows.errors < 0))
        if rows.count:
            best = _best(joined_rows(plan, [best, rows]) if best.count else rows, places)
    first, large = places[0]
    keys = -best.columns[first] if large else best.columns[first]
    best = best.chosen(np.argsort(keys, kind="stable")[:limit])
    totals.shown = best.count
    return Found(plan, sweeper.engine, best, totals)


def _best(rows: Rows, places: Sequence[tuple[int, bool]]) -> Rows:
    values = [-rows.columns[place] if large else rows.columns[place] for place, large in places]
    return rows.chosen(front(np.stack(values, axis=1)))
