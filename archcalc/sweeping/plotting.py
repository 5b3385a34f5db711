"""Plots one column of a sweep against another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from archcalc.diagnostics import error
from archcalc.render.charts import matplotlib, svg
from archcalc.render.numbers import plural
from archcalc.sweeping.columns import ValueColumn, kind_of, problems, value_columns, value_names
from archcalc.sweeping.drawing import PlotAxis, PlotSeries, SweepPlot, draw
from archcalc.sweeping.run import Found, in_words
from archcalc.sweeping.space import written
from archcalc.sweeping.view import fixed_in_words, summary

FEW = 8
"""The most series of a plot: as many as there are styles."""

MANY = 500
"""A plot of more points has small marks. Series are drawn only if they are lines."""

LABELED = 40
"""The most points with labels."""

MOST_WORDS = 24
"""The most values of an axis that are not numbers."""

MOST_MARKS = 20_000
"""A plot of more points shows the occupied cells of a grid."""

CELLS = 400
"""The rows and the columns of this grid."""


def plot(found: Found, x: str, y: str) -> str:
    """Plot one column against another, as SVG. Raises `ArchError` for a column that cannot be an axis."""
    planned = planned_plot(found, x, y)
    matplotlib()
    return svg(lambda: draw(planned), planned.title)


def planned_plot(found: Found, x: str, y: str) -> SweepPlot:
    """Return what a plot shows: a line, several series, or a cloud of points.

    If another parameter has few values, each of them is a series. Raises `ArchError` if no point is a valid
    network, and for a column that cannot be an axis.
    """
    plan = found.plan
    valid = np.flatnonzero(found.rows.errors < 0)
    if not len(valid):
        raise error(f"there is nothing to plot: {_why_none(found)}")
    rows = found.rows.chosen(valid)
    values = {column.name: column for column in value_columns(plan, rows.digits)}
    figures = dict(zip(plan.columns, rows.columns, strict=True))
    first, second = (_axis(found, name, values, figures) for name in (x, y))
    return _planned(found, values, first, second)


def _why_none(found: Found) -> str:
    if not found.rows.count:
        return summary(found.plan, found.engine, found.totals)[-1]
    first = problems(found.engine, found.rows.chosen(np.arange(1)))[0]
    return f"no row is a valid network. The first: {first}"


def _axis(found: Found, name: str, values: dict[str, ValueColumn], figures: dict[str, Any]) -> PlotAxis:
    """Return the numbers of an axis. Values that are not numbers are numbered, and are its ticks."""
    plan = found.plan
    if name in figures:
        return PlotAxis(name, figures[name].astype(float), whole=True)
    if name not in values:
        known = ", ".join([*value_names(plan), *plan.columns])
        raise error(f"`{name}` has one value, so it cannot be an axis", help=f"columns that vary: {known}")
    column = values[name]
    kind = kind_of(column.values)
    if kind in (int, float):
        numbers = np.array([float(value) for value in column.values])
        return PlotAxis(name, numbers[column.places], whole=kind is int, is_parameter=True)
    places, texts = _distinct(column)
    if len(texts) > MOST_WORDS:
        raise error(
            f"`{name}` has {plural(len(texts), 'value')} that are not all numbers, too many for an axis",
            help=f"give at most {MOST_WORDS} values, or plot another column",
        )
    return PlotAxis(name, places.astype(float), words=tuple(texts))


def _distinct(column: ValueColumn) -> tuple[Any, list[str]]:
    """Return the place of each row's value among the different values, and these as texts."""
    texts = ["" if value is None else written(value) for value in column.values]
    numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    return np.array([numbers[text] for text in texts])[column.places], list(numbers)


def _planned(found: Found, values: dict[str, ValueColumn], x: PlotAxis, y: PlotAxis) -> SweepPlot:
    plan = found.plan
    words = [word for word in (fixed_in_words(plan).removeprefix(", "), in_words(plan, found.totals)) if word]
    scales = [axis.name for axis in (x, y) if axis.is_logarithmic]
    if scales:
        words.append(f"Logarithmic {'scale' if len(scales) == 1 else 'scales'}: {', '.join(scales)}")
    title = f"{plan.net}: {y.name} against {x.name}"
    if len(x.values) > MOST_MARKS:
        chosen = _thinned(x, y)
        words.append("A mark stands for all networks near it")
        cloud = PlotSeries("", x.values[chosen], y.values[chosen])
        return SweepPlot(title, words, x, y, [cloud], is_cloud=True)
    free = {name: _distinct(values[name]) for name in values if name not in (x.name, y.name)}
    free = {name: (places, texts) for name, (places, texts) in free.items() if len(texts) > 1}
    dimensions = [d.name for d in plan.space.dimensions if d.name in free]
    series = SeriesChoice(x, y, free, dimensions)
    groups = series.groups()
    if len(x.values) > MANY and not groups[0].is_line:
        return SweepPlot(title, words, x, y, [PlotSeries("", x.values, y.values)], is_cloud=True)
    return SweepPlot(title, [*words, *series.words], x, y, groups)


class SeriesChoice:
    """Chooses what the series of a plot are, and the labels of its points.

    `free` are the names that are on neither axis: the place of each row's value, and the different values as
    texts. `dimensions` are those of them that are not computed. `words` says what the plot does not show.
    """

    def __init__(
        self, x: PlotAxis, y: PlotAxis, free: dict[str, tuple[Any, list[str]]], dimensions: list[str]
    ):
        self.x, self.y = x, y
        self.free = free
        self.dimensions = dimensions
        self.words: list[str] = []
        self.numeric = x.is_parameter and not x.words and not y.words

    def groups(self) -> list[PlotSeries]:
        everything = np.arange(len(self.x.values))
        if self.numeric:
            xs, first = np.unique(self.x.values, return_index=True)
            if len(first) == len(everything):
                return self._made([("", everything)], self.dimensions)
            pairs = np.unique(np.stack([self.x.values, self.y.values]), axis=1).shape[1]
            if pairs == len(xs):  # series would cover each other
                self.words.append(f"{self.y.name} is the same for every {' and '.join(self.dimensions)}")
                return self._made([("", first)], [])
            all_free = self._split(self.dimensions)
            if len(all_free) <= FEW and all(self._is_function(places) for _, places in all_free):
                return self._made(all_free, [])
        for name, (_, texts) in self.free.items():
            if len(texts) <= FEW:
                split = self._split([name])
                if len(split) < len(everything):
                    return self._made(split, [other for other in self.dimensions if other != name])
        return self._made([("", everything)], self.dimensions)

    def _split(self, names: Sequence[str]) -> list[tuple[str, Any]]:
        """Return the rows of each combination of the values of some names, with its name."""
        table = np.stack([self.free[name][0] for name in names])
        combinations, which = np.unique(table, axis=1, return_inverse=True)
        if combinations.shape[1] > FEW:
            return [("", places) for places in [np.arange(0)] * (FEW + 1)]
        found = []
        for number, combination in enumerate(combinations.T.tolist()):
            words = [f"{n}={self.free[n][1][place]}" for n, place in zip(names, combination, strict=True)]
            found.append((", ".join(words), np.flatnonzero(which.ravel() == number)))
        return found

    def _is_function(self, places: Any) -> bool:
        """Return whether each x of some rows has one y."""
        return self.numeric and len(np.unique(self.x.values[places])) == len(places)

    def _made(self, split: list[tuple[str, Any]], others: list[str]) -> list[PlotSeries]:
        """Return the groups. If one parameter is left, its values are labels, if there are few points."""
        is_line = all(self._is_function(places) for _, places in split)
        labeled = len(others) == 1 and sum(len(places) for _, places in split) <= LABELED
        if labeled:
            self.words.append(f"Labels: {others[0]}")
        groups = []
        for name, places in split:
            ordered = places[np.argsort(self.x.values[places], kind="stable")]
            labels: list[str] = []
            if labeled:
                numbers, texts = self.free[others[0]]
                labels = [texts[n] for n in numbers[ordered].tolist()]
            groups.append(PlotSeries(name, self.x.values[ordered], self.y.values[ordered], is_line, labels))
        return _merged(groups)


def _merged(groups: Sequence[PlotSeries]) -> list[PlotSeries]:
    """Return groups with one in place of those that have the same points, which would cover each other."""
    found: dict[Any, list[PlotSeries]] = {}
    for group in groups:
        found.setdefault((group.xs.tobytes(), group.ys.tobytes(), *group.labels), []).append(group)
    return [replace(same[0], name=_joined(same)) for same in found.values()]


def _joined(same: Sequence[PlotSeries]) -> str:
    if len(same) > 2:
        return f"{same[0].name} and {len(same) - 1} others"
    return " and ".join(group.name for group in same)


def _thinned(x: PlotAxis, y: PlotAxis) -> Any:
    """Return the number of one point in each occupied cell of a grid."""
    cells = []
    for axis in (x, y):
        values = np.log10(axis.values) if axis.is_logarithmic else axis.values
        low, high = values.min(), values.max()
        cells.append(((values - low) * (CELLS / max(high - low, 1e-12))).astype(int))
    return np.unique(cells[0] * (CELLS + 1) + cells[1], return_index=True)[1]
