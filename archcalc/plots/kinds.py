"""The shares of fully connected layers in parameters, MACs, and activations."""

from __future__ import annotations

from msgspec import Struct

from archcalc.plots import Plot
from archcalc.plots.figures import profile
from archcalc.render.charts import BLUE, ORANGE, SMALL, Sheet, plain_bars, sheet

NETS = {
    "lenet5": "LeNet-5",
    "alexnet": "AlexNet",
    "zfnet": "ZFNet",
    "vgg16": "VGG-16",
    "googlenet": "GoogLeNet",
    "resnet50": "ResNet-50",
    "densenet121": "DenseNet-121",
    "mobilenet_v1": "MobileNet",
    "efficientnet_b0": "EfficientNet-B0",
}
QUANTITIES = {"params": "parameters", "macs": "MACs", "activations": "activations"}


class KindShare(Struct, frozen=True):
    """A quantity of the fully connected layers of a network, and of all its layers."""

    name: str
    quantity: str
    linear: int
    all: int


def gather() -> list[KindShare]:
    found = []
    for net, name in NETS.items():
        layers = profile(net).layers
        for quantity in QUANTITIES:
            linear = sum(getattr(each, quantity) for each in layers if each.node.layer.family == "linear")
            found.append(KindShare(name, quantity, linear, sum(getattr(each, quantity) for each in layers)))
    return found


def draw(data: list[KindShare]) -> Sheet:
    page = sheet(
        PLOT.title,
        "Shares of fully connected layers (hatched) and of all others, in percent. Networks with a global "
        "average pool have one small fully connected layer, the classifier.",
        [],
        size=(9.5, 5.2),
        columns=3,
        left=1.25,
        gap=0.35,
        head=0.35,
        foot=0.25,
    )
    names = list(NETS.values())
    for panel, (quantity, title) in zip(page.panels, QUANTITIES.items(), strict=True):
        members = [entry for entry in data if entry.quantity == quantity]
        shares = [100 * entry.linear / entry.all for entry in members]
        rows = range(len(members))
        panel.barh(rows, [100] * len(rows), height=0.66, color=BLUE)
        panel.barh(rows, shares, height=0.66, color=ORANGE, hatch="//", edgecolor="white", linewidth=0)
        for row, share in enumerate(shares):
            words = f"{share:.0f}" if share >= 10 else f"{share:.1f}" if share >= 0.1 else "<0.1"
            panel.text(104, row, words, va="center", size=SMALL)
        plain_bars(panel, len(rows), 100, 1.14)
        panel.set_title(title)
        panel.set_yticks(rows if quantity == "params" else [], names if quantity == "params" else [])
        panel.spines["left"].set_visible(False)
    return page


PLOT = Plot(
    "kinds", "Convolutions do the work; fully connected layers can have most of the parameters", gather, draw
)
