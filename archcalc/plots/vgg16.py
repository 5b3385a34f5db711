"""The activations and parameters of VGG-16, layer by layer."""

from __future__ import annotations

from msgspec import Struct

from archcalc.plots import Plot
from archcalc.plots.figures import profile
from archcalc.render.charts import BLUE, ORANGE, SMALL, Sheet, plain_bars, sheet
from archcalc.render.numbers import human
from archcalc.shape import format_shape

SHOWN = ("input", "conv", "pool", "linear")
"""The families of layers with an output of their own if activation functions run in place."""


GAP = 2.05
"""The space between the panels for the names, in inches."""


class Vgg16Row(Struct, frozen=True):
    name: str
    shape: tuple[int, ...]
    activations: int
    params: int


def gather() -> list[Vgg16Row]:
    found = profile("vgg16")
    return [
        Vgg16Row(entry.name, entry.shape, entry.activations, entry.params)
        for entry in found.entries.values()
        if entry.node.layer.family in SHOWN
    ]


def draw(data: list[Vgg16Row]) -> Sheet:
    values, params = sum(entry.activations for entry in data), sum(entry.params for entry in data)
    page = sheet(
        PLOT.title,
        f"Left: output values of each layer for one image, {human(values)} in total, with activation "
        f"functions in place. Right: parameters, {human(params)} in total.",
        ["Simonyan & Zisserman 2014, Table 1, D"],
        size=(10, 7.4),
        columns=2,
        left=0.3,
        gap=GAP,
        head=0.35,
        foot=0.25,
    )
    rows = range(len(data))
    for panel, quantity, colour, hatch, title in (
        (page.panels[0], "activations", BLUE, "", "activations"),
        (page.panels[1], "params", ORANGE, "//", "parameters"),
    ):
        amounts = [getattr(entry, quantity) for entry in data]
        plain_bars(panel, len(data), max(amounts))
        if quantity == "activations":
            panel.invert_xaxis()
        bars = panel.barh(
            rows, amounts, height=0.7, color=colour, hatch=hatch, edgecolor="white", linewidth=0
        )
        panel.bar_label(bars, [human(n) if n else "" for n in amounts], padding=3, size=SMALL)
        panel.set_title(title, loc="right" if quantity == "activations" else "left")
    left, right = page.panels
    left.set_yticks([])
    left.spines["left"].set_visible(False)
    left.spines["right"].set_visible(True)
    right.set_yticks(
        rows, [f"{entry.name}  {format_shape(entry.shape)}" for entry in data], ha="center", size=8
    )
    right.tick_params(axis="y", pad=GAP * 36)
    return page


PLOT = Plot(
    "vgg16", "VGG-16 has most activations in its first layers and most parameters in its last", gather, draw
)
