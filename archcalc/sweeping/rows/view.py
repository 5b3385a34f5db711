"""Formats the rows of a sweep as text, CSV and JSON."""

from __future__ import annotations

import csv
import io
from typing import Any

from archcalc.diagnostics import error
from archcalc.render.documents import csv_text, json_text, plain
from archcalc.render.grid import GridCell, lay_out
from archcalc.render.numbers import grouped, human
from archcalc.sweeping.plan import SweepPlan
from archcalc.sweeping.rows.blocks import Totals
from archcalc.sweeping.rows.columns import PROBLEM, problems, text_rows, value_columns, value_names
from archcalc.sweeping.rows.run import Found, in_words
from archcalc.sweeping.space import written
from archcalc.sweeping.tracing.engine import Engine, Rows

MOST_JSON = 1_000_000
"""The most rows of a JSON object: each takes about 1 KB of memory."""


def table(found: Found, width: int, human_numbers: bool = False) -> str:
    """Return the rows as a table with a description."""
    plan = found.plan
    names = value_names(plan)
    write = human if human_numbers else grouped
    rows = [[GridCell(text) for text in [*names, *plan.columns]]]
    for texts in text_rows(plan, found.engine, found.rows):
        cells = [GridCell(text) for text in texts[: len(names)]]
        if texts[-1]:
            rows.append([*cells, GridCell(texts[-1])])
        else:
            rows.append([*cells, *(GridCell(write(int(text))) for text in texts[len(names) : -1])])
    lines = [f"{plan.net}{fixed_in_words(plan)}", ""]
    if found.rows.count:
        for panel in lay_out(rows, width, spaced=False, repeated=len(names)):
            lines += ["".join(text for text, _ in line).rstrip() for line in panel] + [""]
    lines += summary(plan, found.engine, found.totals)
    return "\n".join(lines) + "\n"


def fixed_in_words(plan: SweepPlan) -> str:
    """Return the values that do not vary, each after a comma."""
    values = {**plan.settings.overrides, **plan.fixed}
    return "".join(f", {name}={written(value)}" for name, value in values.items())


def summary(plan: SweepPlan, engine: Engine, totals: Totals) -> list[str]:
    """Describe what was computed and, if no point is within the limits, which one is closest to them."""
    lines = [in_words(plan, totals)]
    tried = totals.points - totals.outside
    if not tried:
        return [*lines, "no point is one that `--where` keeps"]
    if totals.invalid == tried:
        return [*lines, "no point is a valid network"]
    if totals.kept or totals.nearest is None:
        return lines
    nearest = totals.nearest
    values = ", ".join(f"{c.name}={c.texts()[0]}" for c in value_columns(plan, nearest.digits))
    figures = engine.evaluate(nearest.digits).columns[len(plan.columns) :]
    misses = [
        f"{limit.quantity}{f' of {limit.path}' if limit.path else ''} is {grouped(int(column[0]))}"
        for limit, column in zip(plan.limits, figures, strict=True)
        if not limit.holds(int(column[0]))
    ]
    return [*lines, f"no point is within all limits; the nearest is {values}: {', '.join(misses)}"]


def csv_heading(plan: SweepPlan) -> str:
    """Return the first line of a CSV file."""
    return csv_text([*value_names(plan), *plan.columns, PROBLEM], [])


def csv_rows(plan: SweepPlan, engine: Engine, rows: Rows) -> str:
    """Return rows as CSV."""
    texts = list(text_rows(plan, engine, rows))
    numbers = all(d.is_numeric for d in plan.space.dimensions) and not plan.relations.computed
    if numbers and not (rows.errors >= 0).any():  # then nothing needs quotes
        return "".join(",".join(row) + "\n" for row in texts)
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(texts)
    return stream.getvalue()


def to_json(found: Found, **fields: Any) -> str:
    """Return the rows as one JSON object; `schemas/sweep.json` describes it. `fields` adds more fields.

    Raises `ArchError` if there are too many rows.
    """
    plan, totals = found.plan, found.totals
    if found.rows.count > MOST_JSON:
        raise error(
            f"more than {grouped(MOST_JSON)} rows are too many for one JSON object",
            help="write CSV or Parquet, or add `--limit`",
        )
    values = [
        (column.name, [plain(value) for value in column.values], column.places.tolist())
        for column in value_columns(plan, found.rows.digits)
    ]
    rows: list[dict[str, Any]] = []
    for number, problem in enumerate(problems(found.engine, found.rows)):
        row: dict[str, Any] = {"values": {name: table[places[number]] for name, table, places in values}}
        if problem:
            row[PROBLEM] = problem
        else:
            figures = [int(column[number]) for column in found.rows.columns]
            row["figures"] = dict(zip(plan.columns, figures, strict=True))
        rows.append(row)
    fixed = {**plan.settings.overrides, **plan.fixed}
    return json_text(
        net=plan.net,
        fixed={name: plain(value) for name, value in fixed.items()},
        computed={each.name: each.text for each in plan.relations.computed},
        conditions=[condition.text for condition in plan.relations.conditions],
        expectations=[limit.text for limit in plan.limits],
        points=totals.points,
        complete=totals.complete,
        outside=totals.outside,
        invalid=totals.invalid,
        kept=totals.kept,
        rows=rows,
        **fields,
    )
