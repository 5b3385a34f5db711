"""The multipliers of MobileNet: the effect of width and resolution on cost and accuracy."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from msgspec import Struct

from archcalc.plots import Plot
from archcalc.plots.cited import cited
from archcalc.plots.figures import profile, totals
from archcalc.render.chart_labels import LOWER_RIGHT, Label, place
from archcalc.render.charts import (
    BLUE,
    INK,
    ORANGE,
    PINK,
    SMALL,
    VERMILION,
    Series,
    Sheet,
    along,
    plain_bars,
    point,
    sheet,
    ticks,
)
from archcalc.render.numbers import human

WIDTHS = {
    Fraction(1): Series("width 1", BLUE, "o"),
    Fraction(3, 4): Series("width 0.75", ORANGE, "s"),
    Fraction(1, 2): Series("width 0.5", PINK, "^"),
    Fraction(1, 4): Series("width 0.25", VERMILION, "D"),
}


class MobileNetPoint(Struct, frozen=True):
    width: Fraction
    resolution: int
    accuracy: Fraction
    params: int
    macs: int


def gather() -> list[MobileNetPoint]:
    found = []
    for net, accuracy in cited()["mobilenet_v1"].accuracies.items():
        given = profile(net).network.parameters
        found.append(
            MobileNetPoint(
                Fraction(given["width"]), given["resolution"], accuracy, totals(net).params, totals(net).macs
            )
        )
    return found


def draw(data: list[MobileNetPoint]) -> Sheet:
    page = sheet(
        PLOT.title,
        "MobileNet with fewer channels (width) and smaller images. Left: top-1 accuracy on ImageNet "
        "against MACs, at 128, 160, 192, and 224 pixels. Right: parameters, which do not depend on the image "
        "size.",
        [cited()["mobilenet_v1"].source],
        size=(10, 5.6),
        columns=2,
        widths=(2.6, 1),
        gap=0.9,
        head=0.35,
    )
    left, right = page.panels
    _accuracy(left, data)
    _params(right, data)
    return page


def _accuracy(panel: Any, data: list[MobileNetPoint]) -> None:
    panel.set_xscale("log")
    panel.set_xlim(1.1e7, 1e9)
    panel.set_ylim(39, 73)
    panel.grid()
    ticks(panel.xaxis, [2e7, 5e7, 1e8, 2e8, 5e8])
    panel.set_xlabel("MACs")
    panel.set_title("top-1 accuracy, percent")
    labels, spots = [], []
    for width, series in WIDTHS.items():
        members = sorted((e for e in data if e.width == width), key=lambda entry: entry.macs)
        places = [(entry.macs, float(entry.accuracy)) for entry in members]
        panel.plot(*zip(*places, strict=True), color=series.colour, linewidth=1.4, zorder=2)
        spots += along(places, panel)
        for entry, (x, y) in zip(members, places, strict=True):
            point(panel, x, y, series)
            words = f"{entry.resolution}, {series.name}" if entry is members[-1] else str(entry.resolution)
            labels.append(Label(words, x, y, 4, INK, LOWER_RIGHT))
    place(panel, labels, size=8, avoid=spots)


def _params(panel: Any, data: list[MobileNetPoint]) -> None:
    values = {entry.width: entry.params for entry in data}
    for row, (width, series) in enumerate(WIDTHS.items()):
        bar = panel.barh(row, values[width], height=0.55, color=series.colour)
        panel.bar_label(bar, [human(values[width])], padding=3, size=SMALL)
    panel.set_yticks(range(len(WIDTHS)), [series.name for series in WIDTHS.values()])
    plain_bars(panel, len(WIDTHS), max(values.values()), 1.4)
    panel.set_title("parameters")


PLOT = Plot(
    "mobilenet",
    "Half the width takes about a quarter of the MACs, and so does half the resolution",
    gather,
    draw,
)
