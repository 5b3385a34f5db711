"""How receptive fields grow with depth."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from msgspec import Struct

from archcalc.plots import Plot
from archcalc.plots.figures import profile
from archcalc.render.chart_labels import Label, place
from archcalc.render.charts import (
    BLUE,
    GREEN,
    ORANGE,
    PALE,
    PINK,
    SMALL,
    VERMILION,
    Series,
    Sheet,
    along,
    sheet,
    ticks,
)

NETS = {
    "alexnet": Series("AlexNet", ORANGE, "^"),
    "vgg16": Series("VGG-16", BLUE, "o"),
    "googlenet": Series("GoogLeNet", PINK, "v"),
    "resnet18": Series("ResNet-18", VERMILION, "X"),
    "resnet50": Series("ResNet-50", GREEN, "s"),
    "mobilenet_v1": Series("MobileNet", "#000000", "P"),
}


class FieldStep(Struct, frozen=True):
    """The number of convolutions on the longest path so far, and the receptive field in pixels."""

    depth: int
    field: int


def gather() -> dict[str, list[FieldStep]]:
    return {net: _steps(net) for net in NETS}


def _steps(net: str) -> list[FieldStep]:
    """The widest receptive field at each depth."""
    depths: dict[int, int] = {}
    widest: dict[int, int] = {}
    for entry in profile(net).layers:
        node = entry.node
        depth = max((depths.get(source.index, 0) for source in node.inputs), default=0)
        depth += 1 if entry.counts["macs"] else 0
        depths[node.index] = depth
        if not entry.field.is_global and entry.field.size:
            widest[depth] = max(widest.get(depth, 0), int(max(entry.field.size)))
    fields = accumulate((widest[depth] for depth in sorted(widest)), max)
    return [FieldStep(depth, field) for depth, field in zip(sorted(widest), fields, strict=True)]


def draw(data: dict[str, list[FieldStep]]) -> Sheet:
    page = sheet(
        PLOT.title,
        "The side of the receptive field after each convolution and the pools that follow it, up to the last "
        "layer before the global pool or the classifier.",
        ["rules of Araujo, Norris & Sim 2019"],
        size=(9.5, 6.4),
        head=0.2,
    )
    (panel,) = page.panels
    panel.set_xlim(0, 56)
    panel.set_yscale("log")
    panel.set_ylim(2.5, 1500)
    panel.grid()
    ticks(panel.xaxis, [1, 5, *range(10, 60, 10)])
    ticks(panel.yaxis, [3, 5, 10, 20, 50, 100, 200, 500, 1000])
    panel.set_xlabel("convolutions on the longest path")
    panel.set_ylabel("receptive field, pixels")
    panel.axhline(224, color=PALE, linewidth=0.9, linestyle=(0, (4, 3)))
    panel.text(55.7, 233, "an image of 224 pixels", ha="right", color=PALE, size=SMALL)
    _lines(panel, data)
    return page


def _lines(panel: Any, data: dict[str, list[FieldStep]]) -> None:
    labels, spots = [], []
    for net, series in NETS.items():
        places = [(step.depth, step.field) for step in data[net]]
        panel.plot(
            *zip(*places, strict=True),
            color=series.colour,
            marker=series.marker,
            markersize=4.5,
            markeredgecolor="white",
            markeredgewidth=0.4,
            linewidth=1.2,
            zorder=3,
        )
        spots += along(places, panel)
        depth, field = places[-1]
        labels.append(Label(f"{series.name}: {field}", depth, field, 4))
    place(panel, labels, size=8.5, avoid=spots)


PLOT = Plot("fields", "Receptive fields grow with depth and stride, and can exceed the image", gather, draw)
