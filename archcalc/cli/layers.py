"""`archcalc layers`"""

from __future__ import annotations

from typing import Annotated

import typer


def complete_kind(incomplete: str) -> list[str]:
    from archcalc.layers import KINDS

    return [name for name in KINDS if name.startswith(incomplete)]


def layers(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="A layer kind, or its name in PyTorch; without one, list all kinds.",
            autocompletion=complete_kind,
        ),
    ] = "",
) -> None:
    """List the layer kinds, or show the arguments and formulas of one.

    `archcalc layers`

    `archcalc layers conv`

    `archcalc layers BatchNorm2d`
    """
    from archcalc.render import output
    from archcalc.report import kinds as report

    if kind:
        output.write(report.render_kind(report.find_kind(kind), output.width(), output.colour()), None)
    else:
        output.write(report.render_kinds(output.width(), output.colour()), None)
