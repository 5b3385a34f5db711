"""Accuracy against MACs, with parameters as circles: after Canziani et al. 2016, Figure 2."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt
from typing import Any

from msgspec import Struct

from archcalc.plots import Plot
from archcalc.plots.cited import Cited, cited
from archcalc.plots.figures import totals
from archcalc.render.chart_labels import Label, place
from archcalc.render.charts import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PALE,
    PINK,
    SKY,
    SMALL,
    VERMILION,
    YELLOW,
    Series,
    Sheet,
    along,
    point,
    sheet,
    ticks,
)

SOURCES = ("torchvision", "mobilenet_v1", "efficientnet", "nasnet", "nasnet_mobile")

FAMILIES = {
    "AlexNet": (BLUE, ["alexnet_owt"]),
    "VGG": (VERMILION, ["vgg11", "vgg13", "vgg16", "vgg19"]),
    "GoogLeNet": (PINK, ["googlenet_torchvision"]),
    "Inception": (PINK, ["inception_v3", "inception_resnet_v2"]),
    "ResNet": (BLUE, ["resnet18", "resnet34", "resnet50_v1_5", "resnet101_v1_5", "resnet152_v1_5"]),
    "ResNeXt": (SKY, ["resnext50_32x4d", "resnext101_32x8d"]),
    "SENet": (SKY, ["senet154?image=3x320x320"]),
    "DenseNet": (YELLOW, ["densenet121", "densenet169", "densenet201", "densenet161"]),
    "SqueezeNet 1.0": (ORANGE, ["squeezenet1_0_torchvision"]),
    "SqueezeNet 1.1": (ORANGE, ["squeezenet1_1_torchvision"]),
    "ShuffleNet": (ORANGE, ["shufflenet_v2_x1_0_torchvision"]),
    "MobileNet": (ORANGE, ["mobilenet_v1"]),
    "MobileNet v2": (ORANGE, ["mobilenet_v2"]),
    "MobileNet v3": (ORANGE, ["mobilenet_v3_small", "mobilenet_v3_large"]),
    "NASNet mobile": (GREEN, ["nasnet_a_mobile"]),
    "NASNet large": (GREEN, ["nasnet_a_large"]),
    "EfficientNet": (GREEN, [f"efficientnet_b{n}" for n in range(8)]),
}

NAMES = {
    "alexnet_owt": "AlexNet", "vgg11": "VGG-11", "vgg13": "VGG-13", "vgg16": "VGG-16", "vgg19": "VGG-19",
    "googlenet_torchvision": "GoogLeNet", "inception_v3": "Inception v3",
    "inception_resnet_v2": "Inception-ResNet v2", "resnet18": "ResNet-18", "resnet34": "ResNet-34",
    "resnet50_v1_5": "ResNet-50", "resnet101_v1_5": "ResNet-101", "resnet152_v1_5": "ResNet-152",
    "resnext50_32x4d": "ResNeXt-50", "resnext101_32x8d": "ResNeXt-101 32×8d", "densenet121": "DenseNet-121",
    "densenet169": "DenseNet-169", "densenet201": "DenseNet-201", "densenet161": "DenseNet-161",
    "squeezenet1_1_torchvision": "SqueezeNet 1.1", "squeezenet1_0_torchvision": "SqueezeNet 1.0",
    "shufflenet_v2_x1_0_torchvision": "ShuffleNet v2", "mobilenet_v1": "MobileNet",
    "mobilenet_v2": "MobileNet v2", "mobilenet_v3_small": "MobileNet v3 small",
    "mobilenet_v3_large": "MobileNet v3 large", "senet154?image=3x320x320": "SENet-154",
    "nasnet_a_mobile": "NASNet-A mobile",
    "nasnet_a_large": "NASNet-A large", **{f"efficientnet_b{n}": f"B{n}" for n in range(8)},
    "efficientnet_b0": "EfficientNet-B0",
}  # fmt: skip

AREA = 5e-6
"""Square points per parameter."""


class AccuracyPoint(Struct, frozen=True):
    net: str
    family: str
    accuracy: Fraction
    params: int
    macs: int


def gather() -> list[AccuracyPoint]:
    accuracies = {net: figure for each in reversed(sources()) for net, figure in each.accuracies.items()}
    return [
        AccuracyPoint(net, family, accuracies[net], totals(net).params, totals(net).macs)
        for family, (_, nets) in FAMILIES.items()
        for net in nets
    ]


def sources() -> list[Cited]:
    """The sources of the accuracies. The first source that has a network is used."""
    return [cited()[name] for name in SOURCES]


def draw(data: list[AccuracyPoint]) -> Sheet:
    page = sheet(
        PLOT.title,
        "Top-1 accuracy on ImageNet with a single crop, against MACs (logarithmic scale). The area of a "
        "circle is the number of parameters. Lines connect the networks of a family. Newer networks were "
        "also trained better.",
        [*(each.source for each in sources()), "plot after Canziani et al. 2016, Figure 2"],
        size=(10.5, 7.4),
        head=0.2,
    )
    (panel,) = page.panels
    panel.set_xscale("log")
    panel.set_xlim(4e7, 7e10)
    panel.set_ylim(54, 87)
    panel.grid()
    ticks(panel.xaxis, [5e7, 1e8, 2e8, 5e8, 1e9, 2e9, 5e9, 1e10, 2e10, 5e10])
    ticks(panel.yaxis, range(55, 90, 5))
    panel.set_xlabel("MACs")
    panel.set_ylabel("top-1 accuracy, percent")
    _circles(panel, data)
    _sizes(panel)
    return page


def _circles(panel: Any, data: list[AccuracyPoint]) -> None:
    spots: list[tuple[float, float]] = []
    for family, (colour, _) in FAMILIES.items():
        members = [(entry.macs, float(entry.accuracy)) for entry in data if entry.family == family]
        if len(members) > 1:
            panel.plot(*zip(*members, strict=True), color=colour, linewidth=1.2, zorder=2)
            spots += along(members, panel)
    for entry in sorted(data, key=lambda entry: -entry.params):
        series = Series("", FAMILIES[entry.family][0], "o")
        area = entry.params * AREA
        y = float(entry.accuracy)
        point(panel, entry.macs, y, series, area, alpha=0.6, edgecolors=INK, linewidths=0.7)
    labels = [
        Label(NAMES[entry.net], entry.macs, float(entry.accuracy), sqrt(entry.params * AREA) / 2 + 0.5)
        for entry in data
    ]
    place(panel, labels, size=SMALL, avoid=spots)


def _sizes(panel: Any) -> None:
    """The key to the circles."""
    x = [1.35e10, 1.85e10, 2.75e10, 4.6e10]
    for place_, params in zip(x, (5e6, 25e6, 60e6, 138e6), strict=True):
        panel.scatter(
            [place_], [57.2], s=params * AREA, color="white", edgecolors=PALE, linewidths=0.8, zorder=3
        )
        panel.text(place_, 55.1, f"{params / 1e6:g}M", ha="center", size=SMALL, color=INK)
    panel.text(x[0] * 0.92, 59.6, "parameters", size=SMALL, color=INK)


PLOT = Plot("accuracy", "The accuracy of VGG-16 with a fiftieth of its MACs", gather, draw)
