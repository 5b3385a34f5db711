"""The result of `archcalc.sweep`, as columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from archcalc.report.shown import data_frame
from archcalc.sweeping.rows import columns
from archcalc.sweeping.rows.run import Found


class SweepResult(Mapping[str, Any]):
    """The rows of a sweep as NumPy arrays by name: first the parameters, then the figures.

    Figures are exact integers. Fractional parameters are given as the nearest floats. A point that is not a
    valid network has -1 for its figures, and `problems` says why. `points` is the number of points, `outside`
    the number that conditions leave out, `invalid` the number that are not valid networks, and `kept` the
    number within all limits.
    """

    def __init__(self, found: Found) -> None:
        self._found = found
        self.points = found.totals.points
        self.outside = found.totals.outside
        self.invalid = found.totals.invalid
        self.kept = found.totals.kept

    @cached_property
    def _columns(self) -> dict[str, Any]:
        return columns.arrays(self._found.plan, self._found.rows)

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return self._found.rows.count

    @cached_property
    def problems(self) -> list[str]:
        """Return, for each row, why it is not a valid network; empty if it is valid."""
        return columns.problems(self._found.engine, self._found.rows)

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return f"<sweep of {self._found.plan.net}: {self.rows:,} rows, columns {', '.join(self)}>"

    def to_pandas(self) -> Any:
        """Return the rows as a pandas `DataFrame`. Raises `ArchError` if pandas is not installed."""
        return data_frame(self._columns)
