"""The style of all plots: colors, pages with a title, panels, and a source, numbers on axes, and SVG."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from math import hypot
from typing import Any

from msgspec import Struct

from archcalc.diagnostics import error
from archcalc.render.numbers import human

# Okabe & Ito 2008: distinct with any color vision. In gray, markers, hatches, and labels distinguish them.
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, VERMILION, YELLOW, BLACK = "#56B4E9", "#D55E00", "#F0E442", "#000000"
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILION, YELLOW, BLACK)
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo", "--")
INK, PALE = "#222222", "#666666"

SMALL, TEXT, LARGE = 7.5, 8.5, 12.5
"""Font sizes: sources and labels, axes, titles."""

_RC = {
    "svg.hashsalt": "archcalc",
    "svg.fonttype": "path",  # letters as shapes, so that the plot does not depend on installed fonts
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": TEXT,
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "axes.titlesize": TEXT + 0.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlecolor": INK,
    "axes.titlepad": 8,
    "xtick.color": PALE,
    "ytick.color": PALE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
}


class Series(Struct, frozen=True):
    """The style of a group of points: color, marker, and a name if it needs one."""

    name: str
    colour: str
    marker: str


class Sheet(Struct, frozen=True):
    """A page: matplotlib's figure, and its panels from left to right and top to bottom."""

    figure: Any
    panels: list[Any]


def matplotlib() -> Any:
    """The package. Raises `ArchError` if it is not installed."""
    try:
        import matplotlib as mpl
    except ImportError:
        raise error("a plot needs the package matplotlib", help="pip install 'archcalc[plots]'") from None
    return mpl


def svg(draw: Callable[[], Sheet], title: str) -> str:
    """The drawing of a function as SVG, which does not depend on the user's settings."""
    mpl = matplotlib()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        stream = io.StringIO()
        metadata = {"Date": None, "Creator": "archcalc", "Title": title}
        draw().figure.savefig(stream, format="svg", metadata=metadata)
    return stream.getvalue()


def sheet(
    title: str,
    subtitle: str,
    sources: Sequence[str],
    *,
    size: tuple[float, float] = (9, 5.6),
    rows: int = 1,
    columns: int = 1,
    widths: Sequence[float] | None = None,
    left: float = 0.75,
    gap: float = 0.6,
    head: float = 0.25,
    foot: float = 0.7,
) -> Sheet:
    """A page with its texts and empty panels. `head` has room for titles, and `foot` for axes.

    `size`, `left`, `gap`, `head` and `foot` are inches.
    """
    matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = size
    figure = Figure(figsize=size, facecolor="white")
    FigureCanvasAgg(figure)
    letters = int((width - 0.5) * 18.5)
    below = textwrap.wrap(
        "Source: " + "; ".join(["archcalc, from the architectures", *sources]) + ".", letters
    )
    above = textwrap.wrap(subtitle, int(letters * 0.84))
    figure.text(0.25 / width, 1 - 0.18 / height, title, size=LARGE, weight="bold", color=INK, va="top")
    for number, line in enumerate(above):
        figure.text(0.25 / width, 1 - (0.45 + 0.16 * number) / height, line, color=INK, va="top")
    for number, line in enumerate(reversed(below)):
        figure.text(0.25 / width, (0.1 + 0.14 * number) / height, line, size=SMALL - 0.5, color=PALE)
    top = 0.5 + 0.16 * len(above) + head
    bottom = foot + 0.14 * len(below)
    grid = figure.add_gridspec(
        rows,
        columns,
        left=left / width,
        right=1 - 0.25 / width,
        top=1 - top / height,
        bottom=bottom / height,
        width_ratios=widths,
        wspace=gap * columns / (width - left - 0.25 - gap * (columns - 1)),
        hspace=gap * rows / (height - top - bottom - gap * (rows - 1)),
    )
    return Sheet(figure, [figure.add_subplot(grid[i, j]) for i in range(rows) for j in range(columns)])


def number(value: float) -> str:
    """A number on an axis: `100M`."""
    exact = Fraction(value).limit_denominator(10**6)
    return human(exact.numerator if exact.denominator == 1 else exact)


def ticks(axis: Any, values: Sequence[float], words: Sequence[str] = ()) -> None:
    """Exactly these ticks on an axis, logarithmic or not."""
    axis.set_ticks(list(values), list(words) or [number(value) for value in values])
    axis.set_ticks([], minor=True)


def plain_bars(panel: Any, rows: int, longest: float, room: float = 1.16) -> None:
    """Horizontal bars from top to bottom with their figures; `room` is the space for these."""
    panel.set_xlim(0, longest * room)
    panel.set_ylim(rows - 0.4, -0.6)
    panel.set_xticks([])
    panel.spines["bottom"].set_visible(False)
    panel.tick_params(axis="y", length=0)


def along(places: Sequence[tuple[float, float]], panel: Any) -> list[tuple[float, float]]:
    """Many points on the line through these points, in a panel whose limits and scales are set."""
    found: list[tuple[float, float]] = []
    data, pixels = panel.transData.inverted(), panel.transData.transform(list(places))
    for (x, y), (next_x, next_y) in pairwise(pixels):
        steps = max(2, round(hypot(next_x - x, next_y - y) / 4))
        found += [
            tuple(data.transform((x + (next_x - x) * n / steps, y + (next_y - y) * n / steps)))
            for n in range(steps + 1)
        ]
    return found


def point(panel: Any, x: float, y: float, series: Series, size: float = 36, **more: Any) -> None:
    """A marker of a group; `size` is its area in square points."""
    style = {"color": series.colour, "edgecolors": "white", "linewidths": 0.6, "zorder": 3} | more
    panel.scatter([x], [y], s=size, marker=series.marker, **style)


def key(panel: Any, groups: Sequence[Series], **more: Any) -> None:
    """A legend of the groups, in a line above a panel."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=group.colour, marker=group.marker, linestyle="", markersize=6, label=group.name)
        for group in groups
    ]
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "ncols": len(groups)} | more
    panel.legend(handles=handles, frameon=False, handletextpad=0.1, borderaxespad=0.1, **place)
