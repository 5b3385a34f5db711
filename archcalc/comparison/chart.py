"""A comparison as an SVG chart: bars for each quantity, and the MACs of each stage."""

from __future__ import annotations

import io
from typing import Any

from archcalc.comparison.tables import CompareView
from archcalc.quantities import QUANTITIES
from archcalc.render.charts import COLOURS, HATCHES, matplotlib
from archcalc.render.numbers import human

DRAWN = ("params", "macs", "activations", "depth")
"""The quantities with a panel."""


def to_svg(view: CompareView) -> str:
    """The chart as SVG text, always the same for the same networks. Raises `ArchError` without matplotlib."""
    mpl = matplotlib()
    mpl.use("svg")
    from matplotlib import pyplot as plt

    comparison = view.comparison
    names = view.names
    totals = {total.quantity: total for total in comparison.totals}
    with mpl.rc_context({"svg.hashsalt": "archcalc", "svg.fonttype": "none", "font.size": 9}):
        figure, panes = plt.subplots(
            1, len(DRAWN) + 1, figsize=(13, 1.6 + 0.45 * len(names)), layout="constrained",
            width_ratios=[*(1 for _ in DRAWN), 2],
        )  # fmt: skip
        for pane, quantity in zip(panes, DRAWN, strict=False):
            values = [found.value for found in totals[quantity].figures]  # exact, of any length
            lengths = list(map(float, values))
            for place, (value, length) in enumerate(zip(values, lengths, strict=True)):
                bar = pane.barh(
                    place, length, color=COLOURS[place % 8], hatch=HATCHES[place % 8], edgecolor="w"
                )
                pane.bar_label(bar, [human(value)], padding=3)
            pane.set_title(QUANTITIES[quantity].noun)
            pane.set_yticks(range(len(names)), names if pane is panes[0] else [""] * len(names))
            pane.set_xlim(0, max(1, *lengths) * 1.35)
            pane.set_xticks([])
            pane.invert_yaxis()
            pane.spines[["top", "right", "bottom"]].set_visible(False)
        _stages(panes[-1], view)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": "archcalc"})
        plt.close(figure)
    return stream.getvalue()


def _style(number: int) -> dict[str, str]:
    return {"color": COLOURS[number % 8], "hatch": HATCHES[number % 8], "edgecolor": "white"}


def _stages(pane: Any, view: CompareView) -> None:
    """MACs by stage: a group of bars for each resolution."""
    stages, count = view.comparison.stages, len(view.names)
    width = 0.8 / count
    for number, name in enumerate(view.names):
        places = [place + width * (number - (count - 1) / 2) for place in range(len(stages))]
        values = [stage.amounts[number].macs / 1e6 for stage in stages]
        pane.bar(places, values, width, label=name, **_style(number))
    pane.set_xticks(range(len(stages)), [stage.name for stage in stages])
    pane.set_title("million MACs by resolution")
    pane.legend(frameon=False)
    pane.spines[["top", "right"]].set_visible(False)
