"""Writes the rows of a sweep to files as they are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from archcalc.diagnostics import error
from archcalc.render import output as out
from archcalc.render.progress import Advance, unseen_steps
from archcalc.sweeping.plan import SweepPlan
from archcalc.sweeping.rows import view
from archcalc.sweeping.rows.blocks import Sweeper, Totals
from archcalc.sweeping.rows.parquet import ParquetWriter, pyarrow
from archcalc.sweeping.rows.run import rows_of, sweep_rows
from archcalc.sweeping.tracing.engine import Engine, Rows

PART = 50_000
"""Rows that are converted to text at once."""


Writer = Callable[[SweepPlan, Engine, Iterable[Rows], Path | None], None]


def write_rows(sweeper: Sweeper, write: Writer, path: Path | None, advance: Advance = unseen_steps) -> Totals:
    """Write the rows of a sweep: as they are computed, unless they are sorted. Raises `ArchError`."""
    if sweeper.asked.sort:
        found = sweep_rows(sweeper, advance)
        write(sweeper.plan, sweeper.engine, [found.rows], path)
        return found.totals
    totals = Totals()
    write(sweeper.plan, sweeper.engine, rows_of(sweeper, totals, advance), path)
    return totals


def write_csv(plan: SweepPlan, engine: Engine, parts: Iterable[Rows], path: Path | None) -> None:
    """Write rows to a CSV file, or to the standard output. Raises `ArchError`."""
    with out.text_parts(path) as write:
        write(view.csv_heading(plan))
        for rows in parts:
            for part in _divided(rows):
                write(view.csv_rows(plan, engine, part))


def write_parquet(plan: SweepPlan, engine: Engine, parts: Iterable[Rows], path: Path | None) -> None:
    """Write rows to a Parquet file. Raises `ArchError`, for example if pyarrow is not installed."""
    if path is None or path == out.STANDARD:
        raise error("Parquet is written to a file", help="add `-o FILE.parquet`")
    pyarrow()
    with out.whole(path) as stream:
        writer = ParquetWriter(plan, engine, stream)
        for rows in parts:
            writer.write(rows)
        writer.close()


def _divided(rows: Rows) -> Iterator[Rows]:
    for start in range(0, rows.count, PART):
        yield rows.chosen(np.arange(start, min(start + PART, rows.count)))
