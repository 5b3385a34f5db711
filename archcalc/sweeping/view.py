"""Formats the rows of a sweep as text, CSV, JSON, Parquet and a plot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from archcalc.diagnostics import error
from archcalc.render.charts import BLUE, Sheet, matplotlib, sheet, svg
from archcalc.render.documents import csv_text, json_text, plain
from archcalc.render.grid import GridCell, lay_out
from archcalc.render.numbers import grouped, human
from archcalc.render.output import whole
from archcalc.sweeping.plan import SweepPlan
from archcalc.sweeping.run import Found, in_words, text_rows

PROBLEM = "problem"
"""The column that says why a row is not a valid network."""

PART = 50_000
"""Rows that are converted to text at once."""

CELLS = 400
"""A plot of more points than this squared shows the occupied cells of a grid."""


def table(found: Found, width: int, human_numbers: bool = False) -> str:
    """Return the rows as a table with a description."""
    plan = found.plan
    heading = [*(d.name for d in plan.space.dimensions), *plan.columns]
    write = human if human_numbers else grouped
    rows = [[GridCell(text) for text in heading]]
    for texts in text_rows(found, 0, found.rows.count):
        values = len(plan.space.dimensions)
        if texts[-1]:
            rows.append([*(GridCell(text) for text in texts[:values]), GridCell(texts[-1])])
        else:
            figures = [GridCell(write(int(text))) for text in texts[values:-1]]
            rows.append([*(GridCell(text) for text in texts[:values]), *figures])
    lines = [f"{plan.net}{_fixed(plan)}", ""]
    if found.rows.count:
        for panel in lay_out(rows, width, spaced=False):
            lines += ["".join(text for text, _ in line).rstrip() for line in panel] + [""]
    lines.append(in_words(found))
    lines += nearest_lines(found)
    return "\n".join(lines) + "\n"


def _fixed(plan: SweepPlan) -> str:
    from archcalc.sweeping.space import written

    values = {**plan.settings.overrides, **plan.fixed}
    return "".join(f", {name}={written(value)}" for name, value in values.items())


def nearest_lines(found: Found) -> list[str]:
    """Describe the point that is closest to the limits, if none is within them."""
    if found.nearest is None:
        return ["no point is a valid network"] if found.invalid == found.computed else []
    plan = found.plan
    values = plan.space.shown([digits[0] for digits in found.nearest.digits])
    named = ", ".join(f"{d.name}={text}" for d, text in zip(plan.space.dimensions, values, strict=True))
    figures = found.engine.evaluate(found.nearest.digits).columns[len(plan.columns) :]
    misses = [
        f"{limit.quantity}{f' of {limit.path}' if limit.path else ''} is {grouped(int(column[0]))}"
        for limit, column in zip(plan.limits, figures, strict=True)
        if not limit.holds(int(column[0]))
    ]
    return [f"no point is within all limits; the nearest is {named}: {', '.join(misses)}"]


def csv_parts(found: Found) -> Iterator[str]:
    """Return the rows as CSV, in parts."""
    plan = found.plan
    yield csv_text([*(d.name for d in plan.space.dimensions), *plan.columns, PROBLEM], [])
    quoted = any(not d.is_numeric for d in plan.space.dimensions)
    for start in range(0, found.rows.count, PART):
        rows = list(text_rows(found, start, min(start + PART, found.rows.count)))
        if quoted or any(row[-1] for row in rows):
            yield csv_text(rows[0], rows[1:])
        else:  # only numbers, which need no quotes
            yield "\n".join(map(",".join, rows)) + "\n"


def to_json(found: Found, **fields: Any) -> str:
    """Return the rows as one JSON object; `schemas/sweep.json` describes it. `fields` adds more fields."""
    plan = found.plan
    names = [d.name for d in plan.space.dimensions]
    rows: list[dict[str, Any]] = []
    for number in range(found.rows.count):
        digits = [values[number] for values in found.rows.digits]
        shown = [d.shown(int(n)) for d, n in zip(plan.space.dimensions, digits, strict=True)]
        row: dict[str, Any] = {"values": dict(zip(names, map(plain, shown), strict=True))}
        if problem := found.problem(number):
            row[PROBLEM] = problem
        else:
            figures = [int(column[number]) for column in found.rows.columns]
            row["figures"] = dict(zip(plan.columns, figures, strict=True))
        rows.append(row)
    fixed = {**plan.settings.overrides, **plan.fixed}
    return json_text(
        net=plan.net,
        fixed={name: plain(value) for name, value in fixed.items()},
        expectations=[limit.text for limit in plan.limits],
        points=found.computed,
        complete=found.complete,
        invalid=found.invalid,
        kept=found.kept,
        rows=rows,
        **fields,
    )


def arrays(found: Found) -> dict[str, Any]:
    """Return the rows as arrays by name. Fractions become floats; invalid rows have -1 as figures."""
    plan = found.plan
    result: dict[str, Any] = {}
    for dimension, digits in zip(plan.space.dimensions, found.rows.digits, strict=True):
        numbers, places = np.unique(digits, return_inverse=True)
        values = [plain(dimension.shown(int(number))) for number in numbers]
        scalar = all(isinstance(value, int | float | str | bool) for value in values)
        table = np.array(values) if scalar else np.array([str(value) for value in values])
        result[dimension.name] = table[places] if len(values) else np.zeros(0)
    for name, column in zip(plan.columns, found.rows.columns, strict=True):
        result[name] = np.where(found.rows.errors >= 0, -1, column)
    return result


def problems(found: Found) -> list[str]:
    """Return, for each row, why it is not a valid network; empty if it is valid."""
    texts = [""] * found.rows.count
    for row in np.flatnonzero(found.rows.errors >= 0).tolist():
        texts[row] = found.problem(row)
    return texts


def write_parquet(found: Found, path: Path) -> None:
    """Write the rows to a Parquet file. Raises `ArchError` if pyarrow is not installed."""
    pyarrow()
    with whole(path) as stream:
        write_parquet_to(found, stream)


def write_parquet_to(found: Found, stream: IO[bytes]) -> None:
    """Write the rows as Parquet to an open file. Raises `ArchError` if pyarrow is not installed."""
    arrow, parquet = pyarrow()
    columns: dict[str, Any] = {}
    invalid = found.rows.errors >= 0
    for name, values in arrays(found).items():
        masked = invalid if name in found.plan.columns else None
        if values.dtype == object:
            values = [int(value) for value in values]
            if any(abs(value) >= 2**63 for value in values):
                raise error(
                    f"`{name}` has numbers of more than 64 bits, which CSV can hold and Parquet cannot"
                )
            values = np.array(values, dtype=np.int64)
        columns[name] = arrow.array(values, mask=masked)
    columns[PROBLEM] = arrow.array([text or None for text in problems(found)], type=arrow.string())
    parquet.write_table(arrow.table(columns), stream, use_dictionary=False)


def pyarrow() -> tuple[Any, Any]:
    """Return the package. Raises `ArchError` if it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise error("Parquet needs the package pyarrow", help="pip install 'archcalc[parquet]'") from None
    return pyarrow, pyarrow.parquet


def plot(found: Found, x: str, y: str) -> str:
    """Plot one column against another, as SVG. Raises `ArchError` if a column is not numeric."""
    names = found.plan
    valid = found.rows.errors < 0
    series = []
    columns = arrays(found)
    for name in (x, y):
        if name not in columns or columns[name].dtype.kind not in "iufO":
            known = ", ".join(n for n, values in columns.items() if values.dtype.kind in "iufO")
            raise error(f"`{name}` is not a column of numbers", help=f"columns: {known}")
        series.append(columns[name][valid].astype(float))
    matplotlib()
    xs, ys, thinned = _thinned(*series)

    def draw() -> Sheet:
        words = f"{grouped(int(valid.sum()))} networks: {in_words(found)}."
        if thinned:
            words += " A mark stands for all networks near it."
        page = sheet(f"{names.net}: {y} against {x}", words, [])
        (panel,) = page.panels
        panel.plot(xs, ys, "o", color=BLUE, markersize=2 if len(xs) > 500 else 4, linestyle="none")
        panel.set_xlabel(x)
        panel.set_ylabel(y)
        panel.grid(True)
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_formatter(
                lambda value, _: human(int(value)) if value == int(value) else f"{value:g}"
            )
        return page

    return svg(draw, f"{names.net}: {y} against {x}")


def _thinned(xs: Any, ys: Any) -> tuple[Any, Any, bool]:
    """Return one point per occupied cell of a grid, if there are very many points."""
    if len(xs) <= 20_000:
        return xs, ys, False
    cells = []
    for values in (xs, ys):
        low, high = values.min(), values.max()
        cells.append(((values - low) * (CELLS / max(high - low, 1e-12))).astype(int))
    _, first = np.unique(cells[0] * (CELLS + 1) + cells[1], return_index=True)
    return xs[first], ys[first], True
