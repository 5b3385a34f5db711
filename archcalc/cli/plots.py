"""`archcalc plots`"""

from __future__ import annotations

from typing import Annotated

import typer

from archcalc.cli.options import Output


def complete_plot(incomplete: str) -> list[str]:
    from archcalc.plots import MODULES

    return [name for name in MODULES if name.startswith(incomplete)]


def plots(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A plot; without one, list the plots.", autocompletion=complete_plot
        ),
    ] = "",
    output: Output = None,
) -> None:
    """Draw a plot of the built-in networks as SVG, or list the plots.

    `archcalc plots`

    `archcalc plots accuracy -o accuracy.svg`
    """
    from archcalc.diagnostics import error
    from archcalc.plots import find
    from archcalc.plots.view import listing
    from archcalc.render import output as out

    if not name and output is not None:
        raise error("`--output` needs the NAME of a plot", help="`archcalc plots` lists them")
    out.write(find(name).svg() if name else listing(out.width()), output)
