"""`archcalc conventions`"""

from __future__ import annotations

from typing import Annotated

import typer

from archcalc.cli.options import TableOrJson, TableOrJsonOption, complete_convention


def conventions(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A convention; all of them if left out.",
            autocompletion=complete_convention,
        ),
    ] = "",
    format: TableOrJsonOption = TableOrJson.table,
) -> None:
    """List how tools and papers count, and what each counts for each kind of layer.

    `archcalc conventions`

    `archcalc conventions fvcore`

    `archcalc report resnet50_v1_5 --convention fvcore`
    """
    from archcalc import conventions as known
    from archcalc.conventions import view as report
    from archcalc.render import output

    chosen = [known.find(name)] if name else list(known.conventions().values())
    if format is TableOrJson.json:
        output.write(report.to_json(chosen), None)
    elif name:
        output.write(report.render_one(chosen[0], output.width(), output.colour()), None)
    else:
        output.write(report.render(chosen, output.width(), output.colour()), None)
