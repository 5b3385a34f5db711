"""Depth, parameters, and error of the networks of the ImageNet competitions."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt
from typing import Any

from msgspec import Struct

from archcalc.plots import Plot
from archcalc.plots.cited import cited
from archcalc.plots.figures import totals, year
from archcalc.render.chart_labels import ABOVE, Label, place
from archcalc.render.charts import BLUE, ORANGE, PALE, SMALL, Series, Sheet, plain_bars, point, sheet, ticks
from archcalc.render.numbers import human

NETS = {
    "lenet5": "LeNet-5",
    "alexnet": "AlexNet",
    "zfnet": "ZFNet",
    "vgg16": "VGG-16",
    "googlenet": "GoogLeNet",
    "resnet152": "ResNet-152",
}
SHIFTS = {"GoogLeNet": -0.22, "VGG-16": 0.2}
"""Horizontal shifts of two networks in the same year."""

AREA = 9e-6
"""Square points per parameter."""


class DepthPoint(Struct, frozen=True):
    name: str
    year: int
    depth: int
    params: int
    error: Fraction | None


def gather() -> list[DepthPoint]:
    errors = cited()["ilsvrc"].figures
    return [
        DepthPoint(name, year(net), totals(net).depth, totals(net).params, errors.get(net))
        for net, name in NETS.items()
    ]


def draw(data: list[DepthPoint]) -> Sheet:
    page = sheet(
        PLOT.title,
        "Left: convolutions and fully connected layers on the longest path. The area of a circle is the "
        "number of parameters. Right: errors in the ImageNet competition, with several networks and crops "
        "combined.",
        [cited()["ilsvrc"].source],
        size=(9.5, 5.6),
        columns=2,
        widths=(1.55, 1),
        gap=1.6,
        head=0.4,
    )
    left, right = page.panels
    years = sorted({entry.year for entry in data})
    left.set_yscale("log")
    left.set_ylim(3, 400)
    left.set_xlim(-0.5, len(years) - 0.2)
    left.grid(axis="y")
    ticks(left.yaxis, [5, 10, 20, 50, 100, 200])
    ticks(left.xaxis, range(len(years)), [str(each) for each in years])
    left.set_title("layers with weights on the longest path")
    left.axvline(0.5, color=PALE, linewidth=0.6, linestyle=(0, (1, 3)))
    labels = []
    for entry in data:
        x = years.index(entry.year) + SHIFTS.get(entry.name, 0)
        area = max(8.0, entry.params * AREA)
        point(left, x, entry.depth, Series("", BLUE, "o"), area, alpha=0.75)
        words = f"{entry.name}\n{entry.depth} layers\n{human(entry.params)}"
        labels.append(Label(words, x, entry.depth, sqrt(area) / 2 + 1, prefer=ABOVE))
    place(left, labels, size=SMALL)
    _errors(right, [entry for entry in data if entry.error is not None])
    return page


def _errors(panel: Any, data: list[DepthPoint]) -> None:
    panel.set_title("top-5 error, percent")
    values = [float(entry.error or 0) for entry in data]
    bars = panel.barh(range(len(data)), values, height=0.62, color=ORANGE)
    panel.bar_label(bars, [f"{value:g}" for value in values], padding=3)
    panel.set_yticks(range(len(data)), [f"{entry.name}, {entry.year}" for entry in data])
    plain_bars(panel, len(data), max(values))


PLOT = Plot("depth", "From 8 layers to 152, and from 15% error to 4%", gather, draw)
