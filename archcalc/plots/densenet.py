"""DenseNet and ResNet: error against parameters and MACs, after Huang et al. 2016, Figure 3."""

from __future__ import annotations

from fractions import Fraction

from msgspec import Struct

from archcalc.plots import Plot
from archcalc.plots.accuracy import NAMES
from archcalc.plots.cited import cited
from archcalc.plots.figures import totals
from archcalc.render.chart_labels import LOWER_LEFT, UPPER_RIGHT, Label, place
from archcalc.render.charts import BLUE, VERMILION, Series, Sheet, along, point, sheet, ticks

RESNET, DENSENET = Series("ResNet", BLUE, "s"), Series("DenseNet", VERMILION, "o")
FAMILIES = {"resnet_in_torch": RESNET, "densenet_in_torch": DENSENET}


class ErrorPoint(Struct, frozen=True):
    name: str
    family: str
    error: Fraction
    params: int
    macs: int


def gather() -> list[ErrorPoint]:
    return [
        ErrorPoint(NAMES[net], family, error, totals(net).params, totals(net).macs)
        for family in FAMILIES
        for net, error in cited()[family].figures.items()
    ]


def draw(data: list[ErrorPoint]) -> Sheet:
    page = sheet(
        PLOT.title,
        "Top-1 error on ImageNet with a single crop, against parameters and against MACs. Both families "
        "were trained by the same program, whose ResNets have their stride in the 3×3 convolutions.",
        [
            *(cited()[family].source for family in FAMILIES),
            "plot after Huang et al. 2016, Figure 3",
        ],
        size=(10, 5.4),
        columns=2,
        gap=0.55,
        head=0.35,
    )
    for panel, quantity, words, marks in (
        (page.panels[0], "params", "parameters", [0, 1e7, 2e7, 3e7, 4e7]),
        (page.panels[1], "macs", "MACs", [0, 2e9, 4e9, 6e9, 8e9]),
    ):
        panel.set_xlim(0, marks[-1] * 1.3)
        panel.set_ylim(21.3, 31.2)
        panel.grid()
        ticks(panel.xaxis, marks)
        panel.set_title(words)
        labels, spots = [], []
        for family, series in FAMILIES.items():
            members = [entry for entry in data if entry.family == family]
            places = [(getattr(entry, quantity), float(entry.error)) for entry in members]
            panel.plot(*zip(*places, strict=True), color=series.colour, linewidth=1.4, zorder=2)
            spots += along(places, panel)
            prefer = UPPER_RIGHT if series is RESNET else LOWER_LEFT
            for entry, (x, y) in zip(members, places, strict=True):
                point(panel, x, y, series, 42)
                labels.append(Label(entry.name, x, y, 4, series.colour, prefer))
        place(panel, labels, size=8, avoid=spots)
    page.panels[0].set_ylabel("top-1 error, percent")
    return page


PLOT = Plot("densenet", "DenseNets match the error of ResNets at about half the cost", gather, draw)
