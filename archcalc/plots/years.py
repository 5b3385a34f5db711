"""Parameters and MACs of the networks by year."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from msgspec import Struct

from archcalc.plots import Plot
from archcalc.plots.figures import totals, year
from archcalc.render.chart_labels import Label, place
from archcalc.render.charts import (
    BLUE,
    GREEN,
    ORANGE,
    PALE,
    VERMILION,
    Series,
    Sheet,
    key,
    point,
    sheet,
    ticks,
)

GROUPS = {
    "digits": Series("for digits", VERMILION, "D"),
    "large": Series("deeper and wider", BLUE, "o"),
    "phones": Series("for phones", ORANGE, "^"),
    "searched": Series("found by search, and scaled", GREEN, "s"),
}

NETS = {
    "lenet1989": ("LeNet", "digits"),
    "lenet5": ("LeNet-5", "digits"),
    "alexnet": ("AlexNet", "large"),
    "zfnet": ("ZFNet", "large"),
    "nin": ("NiN", "large"),
    "vgg16": ("VGG-16", "large"),
    "googlenet": ("GoogLeNet", "large"),
    "inception_v3": ("Inception v3", "large"),
    "resnet50": ("ResNet-50", "large"),
    "resnet152": ("ResNet-152", "large"),
    "densenet121": ("DenseNet-121", "large"),
    "squeezenet1_0": ("SqueezeNet", "phones"),
    "wide_resnet50_2": ("WRN-50-2", "large"),
    "inception_v4": ("Inception v4", "large"),
    "mobilenet_v1": ("MobileNet", "phones"),
    "shufflenet_v1_g3": ("ShuffleNet", "phones"),
    "senet154": ("SENet-154", "large"),
    "nasnet_a_large": ("NASNet-A", "searched"),
    "mobilenet_v2": ("MobileNet v2", "phones"),
    "shufflenet_v2_x1_0": ("ShuffleNet v2", "phones"),
    "mobilenet_v3_large": ("MobileNet v3", "phones"),
    "efficientnet_b0": ("EfficientNet-B0", "searched"),
    "efficientnet_b7": ("EfficientNet-B7", "searched"),
    "convnext_tiny": ("ConvNeXt-T", "large"),
    "convnext_xlarge": ("ConvNeXt-XL", "large"),
    "convnextv2_atto": ("ConvNeXt V2-A", "large"),
    "convnextv2_huge": ("ConvNeXt V2-H", "large"),
}


ALIKE = 1.3
"""Two points of a year are drawn side by side if their ratio is less than this."""


class YearPoint(Struct, frozen=True):
    name: str
    group: str
    year: int
    params: int
    macs: int


def gather() -> list[YearPoint]:
    return [
        YearPoint(name, group, year(net), totals(net).params, totals(net).macs)
        for net, (name, group) in NETS.items()
    ]


def draw(data: list[YearPoint]) -> Sheet:
    page = sheet(
        PLOT.title,
        "Parameters, and MACs for one image, of networks by the year of their paper. Scales are "
        "logarithmic. Years without a network are left out.",
        ["years of the papers"],
        size=(11, 9.6),
        rows=2,
        gap=0.62,
        head=0.62,
    )
    years = sorted({entry.year for entry in data})
    for panel, quantity, words in zip(page.panels, ("params", "macs"), ("parameters", "MACs"), strict=True):
        _panel(panel, data, years, quantity)
        panel.set_title(words, pad=26 if quantity == "params" else 8)
    key(page.panels[0], list(GROUPS.values()))
    return page


def _panel(panel: Any, data: list[YearPoint], years: list[int], quantity: str) -> None:
    values = [getattr(entry, quantity) for entry in data]
    panel.set_yscale("log")
    panel.set_ylim(min(values) / 2.2, max(values) * 2.5)
    panel.set_xlim(-0.35, len(years) - 0.02)
    panel.grid(axis="y")
    ticks(panel.yaxis, [10.0**n for n in range(4, 12) if min(values) / 2.2 < 10.0**n < max(values) * 2.5])
    ticks(panel.xaxis, range(len(years)), [str(each) for each in years])
    for number, (before, after) in enumerate(pairwise(years)):
        if after - before > 1:
            panel.axvline(number + 0.68, color=PALE, linewidth=0.6, linestyle=(0, (1, 3)))
    labels = []
    for each in years:
        before, shift = 0, 0.0
        for entry in sorted((e for e in data if e.year == each), key=lambda e: getattr(e, quantity)):
            value = getattr(entry, quantity)
            shift = shift + 0.11 if value < before * ALIKE else 0.0
            before = value
            point(panel, years.index(each) - 0.2 + shift, value, GROUPS[entry.group])
            labels.append(Label(entry.name, years.index(each) - 0.2 + shift, value, 4))
    place(panel, labels, size=7.5)


PLOT = Plot(
    "years", "From ten thousand parameters to hundreds of millions, and back to a few million", gather, draw
)
