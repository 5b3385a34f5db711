"""The columns of a sweep's rows: the values of each point, and the figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from archcalc.diagnostics import ArchError
from archcalc.render.documents import plain
from archcalc.sweeping.plan import SweepPlan
from archcalc.sweeping.space import Dimension, written
from archcalc.sweeping.tracing.engine import Engine, Rows

PROBLEM = "problem"
"""The column that says why a row is not a valid network."""


class ValueColumn(Struct, eq=False):
    """The values of one name in some rows: the different values, and the place of each row's value.

    A computed value that has an error at a point is `None`.
    """

    name: str
    values: list[Any]
    places: Any

    def texts(self) -> list[str]:
        """Return the values as the command line has them."""
        texts = ["" if value is None else written(value) for value in self.values]
        return [texts[place] for place in self.places.tolist()]

    def array(self, kind: Any = None) -> Any:
        """Return the values as an array. Fractions are the nearest floats, and lists their text."""
        kind = kind or kind_of(self.values)
        if kind is str:
            table = np.array([value if isinstance(value, str) else written(value) for value in self.values])
        else:
            table = np.array([plain(value) for value in self.values], dtype=kind)
        return table[self.places] if len(table) else np.zeros(0, dtype=kind)


def kind_of(values: Sequence[Any]) -> type:
    """Return the type of an array that has these values.

    >>> kind_of([1, 2]), kind_of([True]), kind_of([1, (2, 3)])
    (<class 'int'>, <class 'bool'>, <class 'str'>)
    """
    types = {type(value) for value in values}
    for kind, fitting in ((bool, {bool}), (int, {int}), (str, {str})):
        if types <= fitting:
            return kind
    return str if types & {str, tuple, bool, type(None)} else float


def kind_of_dimension(dimension: Dimension) -> type:
    """Return the type of an array that has all values of a dimension."""
    if dimension.listed:
        return kind_of(dimension.listed)
    return int if isinstance(dimension.start, int) and isinstance(dimension.step, int) else float


def value_names(plan: SweepPlan) -> list[str]:
    """Return the names of the values of a point: those that vary, and those that are computed."""
    return [*(d.name for d in plan.space.dimensions), *(each.name for each in plan.relations.computed)]


def value_columns(plan: SweepPlan, digits: Sequence[Any], names: Sequence[str] = ()) -> list[ValueColumn]:
    """Return the values of some rows, by default of all names."""
    dimensions = {d.name: (d, column) for d, column in zip(plan.space.dimensions, digits, strict=True)}
    found = []
    for name in names or value_names(plan):
        if name in dimensions:
            dimension, column = dimensions[name]
            numbers, places = np.unique(column, return_inverse=True)
            found.append(ValueColumn(name, [dimension.value(int(n)) for n in numbers], places))
        else:
            found.append(_computed(plan, digits, name))
    return found


def _computed(plan: SweepPlan, digits: Sequence[Any], name: str) -> ValueColumn:
    """Compute a value once for each combination of the values that it follows from."""
    needed = plan.relations.needed(name)
    used = [(d, c) for d, c in zip(plan.space.dimensions, digits, strict=True) if d.name in needed]
    numbers = np.zeros(len(digits[0]), dtype=object)  # combinations can be more than 64 bits can number
    for dimension, column in used:
        numbers = numbers * dimension.count + column
    if all(d.count < 2**20 for d, _ in used) and len(used) < 4:
        numbers = numbers.astype(np.int64)  # sorting these is much faster
    _, first, places = np.unique(numbers, return_index=True, return_inverse=True)
    values: list[Any] = []
    for row in first.tolist():
        known = {**plan.fixed, **{d.name: d.value(int(column[row])) for d, column in used}}
        try:
            values.append(plan.relations.computed_value(name, known))
        except ArchError:
            values.append(None)
    return ValueColumn(name, values, places)


def text_rows(plan: SweepPlan, engine: Engine, rows: Rows) -> Iterator[tuple[str, ...]]:
    """Return rows as text: values, figures, and why a row is not a valid network."""
    cells = [column.texts() for column in value_columns(plan, rows.digits)]
    why = problems(engine, rows)
    bad = [row for row, text in enumerate(why) if text]
    for column in rows.columns:
        texts = list(map(str, column.tolist()))
        for row in bad:
            texts[row] = ""
        cells.append(texts)
    yield from zip(*cells, why, strict=True)


def problems(engine: Engine, rows: Rows) -> list[str]:
    """Return, for each row, why it is not a valid network; empty if it is valid."""
    texts = [""] * rows.count
    for row in np.flatnonzero(rows.errors >= 0).tolist():
        texts[row] = engine.problem(int(rows.errors[row]), [values[row] for values in rows.digits])
    return texts


def arrays(plan: SweepPlan, rows: Rows) -> dict[str, Any]:
    """Return the columns as arrays by name. Invalid rows have -1 as figures."""
    kinds = {d.name: kind_of_dimension(d) for d in plan.space.dimensions}
    found = {column.name: column.array(kinds.get(column.name)) for column in value_columns(plan, rows.digits)}
    for name, column in zip(plan.columns, rows.columns, strict=True):
        found[name] = np.where(rows.errors >= 0, -1, column)
    return found
