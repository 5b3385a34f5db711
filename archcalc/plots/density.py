"""Accuracy per parameter: after Canziani, Paszke & Culurciello 2016, Figure 10."""

from __future__ import annotations

from fractions import Fraction

from msgspec import Struct

from archcalc.plots import Plot, accuracy
from archcalc.render.charts import BLUE, ORANGE, SMALL, Sheet, plain_bars, sheet
from archcalc.render.numbers import human

LEFT_OUT = ("vgg11", "vgg13", "densenet169", "densenet201", *(f"efficientnet_b{n}" for n in (1, 2, 3, 5, 6)))


class DensityBar(Struct, frozen=True):
    name: str
    accuracy: Fraction
    params: int

    @property
    def density(self) -> Fraction:
        """Percentage points of accuracy per million parameters."""
        return self.accuracy * 10**6 / self.params


def gather() -> list[DensityBar]:
    chosen = [entry for entry in accuracy.gather() if entry.net not in LEFT_OUT]
    names = accuracy.NAMES | {"efficientnet_b4": "EfficientNet-B4", "efficientnet_b7": "EfficientNet-B7"}
    found = [DensityBar(names[entry.net], entry.accuracy, entry.params) for entry in chosen]
    return sorted(found, key=lambda entry: (-entry.density, entry.name))


def draw(data: list[DensityBar]) -> Sheet:
    page = sheet(
        PLOT.title,
        "Left: parameters. Right: percentage points of top-1 accuracy on ImageNet per million parameters. "
        "Small networks use their parameters best, but they are not the most accurate.",
        [
            *(each.source for each in accuracy.sources()),
            "plot after Canziani et al. 2016, Figure 10",
        ],
        size=(9.5, 7.6),
        columns=2,
        left=1.55,
        gap=0.35,
        head=0.35,
        foot=0.25,
    )
    rows = range(len(data))
    for panel, values, words, colour, hatch, title in (
        (page.panels[0], [e.params for e in data], [human(e.params) for e in data], BLUE, "", "parameters"),
        (
            page.panels[1],
            [float(e.density) for e in data],
            [f"{float(e.density):.2f}" if e.density < 1 else f"{float(e.density):.1f}" for e in data],
            ORANGE,
            "//",
            "accuracy per million parameters, points",
        ),
    ):
        bars = panel.barh(
            rows, values, height=0.68, color=colour, hatch=hatch, edgecolor="white", linewidth=0
        )
        panel.bar_label(bars, words, padding=3, size=SMALL)
        panel.set_title(title)
        plain_bars(panel, len(data), max(values))
    page.panels[0].set_yticks(rows, [entry.name for entry in data])
    page.panels[1].set_yticks([])
    return page


PLOT = Plot("density", "Small networks get more accuracy per parameter", gather, draw)
