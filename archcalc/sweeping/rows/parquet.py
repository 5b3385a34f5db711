"""Writes the rows of a sweep as Parquet."""

from __future__ import annotations

from typing import IO, Any

import numpy as np

from archcalc.diagnostics import error
from archcalc.number import is_exact
from archcalc.sweeping.plan import SweepPlan
from archcalc.sweeping.rows.columns import PROBLEM, ValueColumn, kind_of_dimension, problems, value_columns
from archcalc.sweeping.tracing.engine import Engine, Rows


class ParquetWriter:
    """Writes rows to an open file, part by part. Raises `ArchError` if pyarrow is not installed.

    The types of the columns follow from the plan, so the files of all blocks of a sweep fit together.
    """

    def __init__(self, plan: SweepPlan, engine: Engine, stream: IO[bytes]) -> None:
        arrow, parquet = pyarrow()
        self.arrow = arrow
        self.plan = plan
        self.engine = engine
        self.kinds = {d.name: kind_of_dimension(d) for d in plan.space.dimensions}
        self.kinds |= {each.name: _kind_of_computed(plan, each.name) for each in plan.relations.computed}
        types = {int: arrow.int64(), float: arrow.float64(), bool: arrow.bool_(), str: arrow.string()}
        fields = [(name, types[kind]) for name, kind in self.kinds.items()]
        fields += [(name, arrow.int64()) for name in plan.columns]
        self.schema = arrow.schema([*fields, (PROBLEM, arrow.string())])
        self.writer = parquet.ParquetWriter(stream, self.schema, use_dictionary=False)

    def write(self, rows: Rows) -> None:
        """Write rows. Raises `ArchError` if a figure has more than 64 bits."""
        invalid = rows.errors >= 0
        columns = [self._of_values(column) for column in value_columns(self.plan, rows.digits)]
        for name, values in zip(self.plan.columns, rows.columns, strict=True):
            columns.append(self.arrow.array(_of_64_bits(name, values), mask=invalid))
        texts = problems(self.engine, rows)
        columns.append(self.arrow.array([text or None for text in texts], type=self.arrow.string()))
        self.writer.write_table(self.arrow.Table.from_arrays(columns, schema=self.schema))

    def _of_values(self, column: ValueColumn) -> Any:
        try:
            return self.arrow.array(column.array(self.kinds[column.name]))
        except (TypeError, ValueError):
            raise error(
                f"`{column.name}` is a number at some points and something else at others, which CSV can "
                "hold and Parquet cannot"
            ) from None

    def close(self) -> None:
        self.writer.close()


def _kind_of_computed(plan: SweepPlan, name: str) -> type:
    """Return the type of a computed value: a number if it is one at the ends of the space, or a text."""
    ends = plan.space.digits(np.array([0, plan.space.size - 1], dtype=object))
    (column,) = value_columns(plan, ends, [name])
    return float if all(is_exact(value) or value is None for value in column.values) else str


def _of_64_bits(name: str, values: Any) -> Any:
    if values.dtype == object and any(abs(value) >= 2**63 for value in values):
        raise error(f"`{name}` has numbers of more than 64 bits, which CSV can hold and Parquet cannot")
    return values.astype(np.int64)


def pyarrow() -> tuple[Any, Any]:
    """Return the package. Raises `ArchError` if it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise error("Parquet needs the package pyarrow", help="pip install 'archcalc[parquet]'") from None
    return pyarrow, pyarrow.parquet
