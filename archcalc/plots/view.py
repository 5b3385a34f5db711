"""The list of the plots."""

from __future__ import annotations

import textwrap

from archcalc.plots import plots


def listing(width: int) -> str:
    """The name and title of every plot."""
    column = max(map(len, plots())) + 2
    lines: list[str] = []
    for plot in plots().values():
        first, *rest = textwrap.wrap(plot.title, max(20, width - column))
        lines += [f"{plot.name:{column}}{first}", *(" " * column + line for line in rest)]
    return "\n".join([*lines, "", f"{len(plots())} plots: `archcalc plots NAME -o FILE.svg`"]) + "\n"
