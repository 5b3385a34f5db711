"""EfficientNet: the cost of each kind of scaling, and the result of compound scaling."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from msgspec import Struct

from archcalc.opening import load
from archcalc.plots import Plot
from archcalc.plots.accuracy import NAMES
from archcalc.plots.cited import cited
from archcalc.plots.figures import totals
from archcalc.profile import analyze
from archcalc.render.chart_labels import LOWER_RIGHT, Label, place
from archcalc.render.charts import (
    BLUE,
    GREEN,
    PINK,
    VERMILION,
    Series,
    Sheet,
    along,
    number,
    point,
    sheet,
    ticks,
)

BASE: dict[str, Any] = {"width": 1, "depth": 1, "resolution": 224, "dropout_rate": Fraction(1, 5)}
FACTORS = tuple(Fraction(n, 4) for n in (4, 5, 6, 7, 8, 10, 12))
SINGLE = {
    "depth": Series("only deeper", BLUE, "o"),
    "width": Series("only wider", VERMILION, "s"),
    "resolution": Series("only larger images", PINK, "^"),
}
EFFICIENTNET, RESNET = Series("EfficientNet", GREEN, "D"), Series("ResNet", BLUE, "o")
EFFICIENTNETS = {f"efficientnet_b{n}": f"B{n}" for n in range(8)}
RESNETS = ("resnet18", "resnet34", "resnet50_v1_5", "resnet101_v1_5", "resnet152_v1_5")


class ScaledCost(Struct, frozen=True):
    dimension: str
    factor: Fraction
    macs: int


class EfficientNetPoint(Struct, frozen=True):
    name: str
    family: str
    accuracy: Fraction
    macs: int
    params: int


class ScalingData(Struct, frozen=True):
    base: int
    scaled: list[ScaledCost]
    entries: list[EfficientNetPoint]


def gather() -> ScalingData:
    scaled = [ScaledCost(name, factor, _macs(name, factor)) for name in SINGLE for factor in FACTORS]
    entries = []
    for family, source, nets in (
        ("EfficientNet", "efficientnet", EFFICIENTNETS),
        ("ResNet", "torchvision", {net: NAMES[net] for net in RESNETS}),
    ):
        for net, name in nets.items():
            found = totals(net)
            entries.append(
                EfficientNetPoint(name, family, cited()[source].accuracies[net], found.macs, found.params)
            )
    return ScalingData(_macs("depth", Fraction(1)), scaled, entries)


def _macs(dimension: str, factor: Fraction) -> int:
    value = BASE[dimension] * factor
    return analyze(load("efficientnet", BASE | {dimension: value})).totals.macs


def draw(data: ScalingData) -> Sheet:
    page = sheet(
        PLOT.title,
        "Left: MACs of EfficientNet-B0 if only the depth, the width, or the resolution is scaled (the number "
        "of layers is rounded up). Right: accuracy if all three are scaled together, B0 to B7, compared with "
        "ResNets, which were trained earlier.",
        [cited()["efficientnet"].source, cited()["torchvision"].source],
        size=(10.5, 5.8),
        columns=2,
        gap=0.75,
        head=0.35,
    )
    _single(page.panels[0], data)
    _compound(page.panels[1], data.entries)
    return page


def _single(panel: Any, data: ScalingData) -> None:
    panel.set_xlim(0.95, 3.75)
    panel.set_ylim(0, 9.6)
    panel.grid()
    ticks(panel.xaxis, [1, 1.5, 2, 2.5, 3], ["1", "1.5", "2", "2.5", "3"])
    ticks(panel.yaxis, range(10), [f"{n}×" for n in range(10)])
    panel.set_title(f"MACs, relative to {number(data.base)} for B0")
    panel.set_xlabel("factor for depth, width, or resolution")
    for dimension, series in SINGLE.items():
        members = [each for each in data.scaled if each.dimension == dimension]
        places = [(float(each.factor), each.macs / data.base) for each in members]
        panel.plot(*zip(*places, strict=True), color=series.colour, linewidth=1.4, zorder=2)
        for x, y in places:
            point(panel, x, y, series, 30)
    ends = {each.dimension: each.macs / data.base for each in data.scaled if each.factor == FACTORS[-1]}
    shift = 0.0
    before = -1.0
    for dimension, y in sorted(ends.items(), key=lambda item: item[1]):
        shift = max(0.0, before + 0.42 - y)
        before = y + shift
        series = SINGLE[dimension]
        panel.text(3.07, y + shift, series.name, va="center", size=8)


def _compound(panel: Any, entries: list[EfficientNetPoint]) -> None:
    panel.set_xscale("log")
    panel.set_xlim(2.6e8, 7e10)
    panel.set_ylim(68.5, 86)
    panel.grid()
    ticks(panel.xaxis, [5e8, 1e9, 2e9, 5e9, 1e10, 2e10, 5e10])
    panel.set_title("top-1 accuracy, percent, against MACs")
    labels, spots = [], []
    for series in (EFFICIENTNET, RESNET):
        members = [entry for entry in entries if entry.family == series.name]
        places = [(entry.macs, float(entry.accuracy)) for entry in members]
        panel.plot(*zip(*places, strict=True), color=series.colour, linewidth=1.4, zorder=2)
        spots += along(places, panel)
        for entry, (x, y) in zip(members, places, strict=True):
            point(panel, x, y, series, 34)
            words = f"EfficientNet-{entry.name}" if entry.name == "B0" else entry.name
            labels.append(Label(words, x, y, 4, series.colour, LOWER_RIGHT))
    place(panel, labels, size=8, avoid=spots)


PLOT = Plot(
    "efficientnet",
    "Doubling the depth doubles the cost; doubling the width or resolution roughly quadruples it",
    gather,
    draw,
)
