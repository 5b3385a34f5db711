"""Draws the plot of a sweep: axes, marks, lines, and a legend."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from msgspec import Struct

from archcalc.render.chart_labels import Label, overlap, place
from archcalc.render.charts import (
    BLACK,
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PALE,
    PINK,
    SKY,
    VERMILION,
    Series,
    Sheet,
    along,
    key,
    sheet,
    ticks,
)
from archcalc.render.numbers import decimal, grouped

STYLES = tuple(
    zip((BLUE, VERMILION, GREEN, ORANGE, PINK, SKY, BLACK, PALE), ("o", "s", "^", "D", "v", "P", "X", "*"),
        strict=True)
)  # fmt: skip
"""The color and the mark of each series."""

DECADES = 3
"""An axis of positive numbers that span as many powers of ten is logarithmic, if most numbers are small."""

FEW_TICKS = 8
"""A parameter with so few values has a tick at each of them."""

DENSE = 60
"""A line of more points has a mark at some of them."""

LONGEST = 40
"""Longer texts are cut off."""


class PlotAxis(Struct, frozen=True, eq=False):
    """The numbers of all points on one axis. If `words` are given, they are the places of these."""

    name: str
    values: Any
    whole: bool = False
    is_parameter: bool = False
    words: tuple[str, ...] = ()

    @property
    def is_logarithmic(self) -> bool:
        if self.words or self.values.min() <= 0:
            return False
        low, middle, high = np.quantile(self.values, (0, 0.5, 1))
        # numbers in even steps would crowd at the end, and lines between the first of them would be bent
        return bool(high >= low * 10**DECADES and middle < high / 10)


class PlotSeries(Struct, frozen=True, eq=False):
    """The points of a series, from left to right, with their labels if there are any."""

    name: str
    xs: Any
    ys: Any
    is_line: bool = False
    labels: Sequence[str] = ()


class SweepPlot(Struct, frozen=True, eq=False):
    """What a plot shows. A cloud has one group with small marks."""

    title: str
    sentences: Sequence[str]
    x: PlotAxis
    y: PlotAxis
    groups: Sequence[PlotSeries]
    is_cloud: bool = False


class Margins(Struct, frozen=True):
    """The room around a panel, in inches."""

    left: float = 0.75
    head: float = 0.25
    foot: float = 0.7
    columns: int = 8
    """The columns of the legend."""


def draw(drawing: SweepPlot) -> Sheet:
    """Draw a sweep. The margins grow until all texts fit into them."""
    margins = Margins()
    page = _page(drawing, margins)
    for _ in range(4):
        needed = _needed(page, margins)
        if needed == margins:
            break
        margins = needed
        page = _page(drawing, margins)
    (panel,) = page.panels
    labels = [
        Label(_plain(text), x, y, 4, INK)
        for group in drawing.groups
        for text, x, y in zip(group.labels, group.xs.tolist(), group.ys.tolist(), strict=bool(group.labels))
    ]
    lines = [list(zip(g.xs.tolist(), g.ys.tolist(), strict=True)) for g in drawing.groups if g.is_line]
    place(panel, labels, size=8, avoid=[spot for line in lines if labels for spot in along(line, panel)])
    return page


def _page(drawing: SweepPlot, margins: Margins) -> Sheet:
    subtitle = ". ".join(map(_plain, drawing.sentences)) + "."
    page = sheet(
        _plain(drawing.title, 75), subtitle, [], left=margins.left, head=margins.head, foot=margins.foot
    )
    (panel,) = page.panels
    if drawing.x.is_logarithmic:
        panel.set_xscale("log")
    if drawing.y.is_logarithmic:
        panel.set_yscale("log")
    names = [_plain(group.name, LONGEST * 2) for group in drawing.groups]
    series = [Series(name, *style) for name, style in zip(names, STYLES, strict=False)]
    for number, (group, style) in enumerate(zip(drawing.groups, series, strict=True)):
        _points(panel, group, style, number, drawing.is_cloud)
    panel.set_xlabel(_plain(drawing.x.name))
    panel.set_ylabel(_plain(drawing.y.name))
    panel.grid(True)
    _y_ticks(panel, drawing.y)
    _x_ticks(panel, drawing.x)
    if len(series) > 1:
        key(panel, series, ncols=min(margins.columns, len(series)), columnspacing=1)
    return page


def _points(panel: Any, group: PlotSeries, style: Series, number: int, is_cloud: bool) -> None:
    if is_cloud:
        size = 2 if len(group.xs) > 500 else 4
        panel.plot(group.xs, group.ys, "o", color=style.colour, markersize=size, linestyle="none")
        return
    every = max(1, len(group.xs) // (DENSE // 3)) if len(group.xs) > DENSE and group.is_line else 1
    panel.plot(
        group.xs,
        group.ys,
        color=style.colour,
        linewidth=1 if group.is_line else 0,
        marker=style.marker,
        markersize=9 if style.marker == "*" else 6,
        markeredgecolor="white",
        markeredgewidth=0.5,
        markevery=(number * every // 8, every),
        zorder=3,
    )


def _plain(text: str, longest: int = LONGEST * 10) -> str:
    """Return a text without the signs that have a meaning in matplotlib, cut off if it is long."""
    return (text if len(text) <= longest else text[: longest - 1] + "…").replace("$", r"\$")


# -- ticks


def tick_texts(values: Sequence[float]) -> list[str]:
    """Write the numbers of an axis, exactly.

    >>> tick_texts([0, 250_000, 1_500_000]), tick_texts([0.1, 0.30000000000000004])
    (['0', '250K', '1.5M'], ['0.1', '0.3'])
    >>> tick_texts([999_999_999, 1_000_000_001])
    ['999,999,999', '1,000,000,001']
    """
    return [_tick_text(value) for value in values]


def _tick_text(value: float) -> str:
    exact = Fraction(f"{value:.15g}")  # without the rounding of matplotlib's sums
    if exact.denominator != 1 or abs(exact) < 1000:
        text = decimal(exact)
        return f"{value:.9g}" if text.startswith("≈") else text
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("K", 10**3)):
        if abs(exact) >= size:
            is_short = (exact / size * 1000).denominator == 1
            return decimal(exact / size) + unit if is_short else grouped(exact.numerator)
    raise AssertionError(value)  # is at least 1000


def _located(axis: Any, shown: PlotAxis) -> list[float]:
    """Return the places of ticks that matplotlib chooses, before any are set."""
    if shown.whole and not shown.is_logarithmic:
        axis.get_major_locator().set_params(integer=True)
    low, high = sorted(axis.get_view_interval())
    return [value for value in axis.get_majorticklocs().tolist() if low <= value <= high]


def _few(shown: PlotAxis) -> list[float]:
    """Return the values of an axis, if they are few enough for a tick at each."""
    values = sorted(set(shown.values[:100_000].tolist()))
    return values if len(values) == 1 or (shown.is_parameter and len(values) <= FEW_TICKS) else []


def _y_ticks(panel: Any, shown: PlotAxis) -> None:
    if shown.words:
        panel.set_ylim(-0.5, len(shown.words) - 0.5)
        ticks(panel.yaxis, range(len(shown.words)), [_plain(word, LONGEST) for word in shown.words])
        return
    located, chosen = _located(panel.yaxis, shown), _few(shown)
    if not chosen or not _ticked(panel.yaxis, chosen):
        _ticked(panel.yaxis, located)


def _x_ticks(panel: Any, shown: PlotAxis) -> None:
    if shown.words:
        panel.set_xlim(-0.5, len(shown.words) - 0.5)
        words = [textwrap.shorten(_plain(word), LONGEST, placeholder="…") for word in shown.words]
        ticks(panel.xaxis, range(len(words)), words)
        if _overlap(panel.get_xticklabels(), 4):
            for label in panel.get_xticklabels():
                label.set(rotation=30, ha="right", rotation_mode="anchor")
        return
    located, chosen = _located(panel.xaxis, shown), _few(shown)
    if chosen and _ticked(panel.xaxis, chosen) and not _is_cut(panel):
        return
    chosen = located
    step = 1
    while not _ticked(panel.xaxis, chosen) and len(chosen) > 1:
        step += 1
        chosen = located[::step]
    if _is_cut(panel) and len(chosen) > 1:
        _ticked(panel.xaxis, chosen[:-1])


def _is_cut(panel: Any) -> bool:
    """Return whether the last text of the x axis is over the edge of the page."""
    return bool(panel.get_xticklabels()[-1].get_window_extent().x1 > panel.figure.bbox.width)


def _ticked(axis: Any, values: Sequence[float]) -> bool:
    """Set ticks, and return whether their texts are apart."""
    ticks(axis, values, tick_texts(values))
    return not _overlap(axis.get_majorticklabels(), 4)


def _overlap(texts: Sequence[Any], gap: float) -> bool:
    boxes = [text.get_window_extent() for text in texts]
    boxes = [(box.x0 - gap, box.y0, box.x1 + gap, box.y1) for box in boxes]
    return any(overlap(a, b) > 0 for a, b in pairwise(boxes))


# -- margins


def _needed(page: Sheet, margins: Margins) -> Margins:
    """Return the margins that a page needs, at least those that it has."""
    (panel,) = page.panels
    figure = page.figure
    dpi = figure.dpi
    renderer = figure.canvas.get_renderer()
    ys, xs = panel.yaxis.get_tightbbox(renderer), panel.xaxis.get_tightbbox(renderer)
    left = margins.left + max(0.0, 0.15 - min(xs.x0, ys.x0) / dpi)
    foot = margins.foot + max(0.0, 0.3 - xs.y0 / dpi)
    columns, head = margins.columns, margins.head
    legend = panel.get_legend()
    if legend is not None:
        box = legend.get_window_extent(renderer)
        room = figure.bbox.width - (left + 0.1) * dpi
        if box.width > room:
            shown = min(columns, len(legend.get_texts()))
            columns = max(1, min(shown - 1, int(shown * room / box.width)))
            rows = -(-len(legend.get_texts()) // columns)
            columns = -(-len(legend.get_texts()) // rows)  # of similar heights
        head = max(head, 0.12 + box.height / dpi)
    return Margins(left, head, foot, columns)
