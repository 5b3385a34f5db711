"""`archcalc conventions`"""

from __future__ import annotations

from typing import Annotated

import typer

from archcalc.cli.options import Inputs, Sets, TableOrJson, TableOrJsonOption, complete_convention, settings


def conventions(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|NET",
            help="A convention or a network; without one, list all conventions.",
            autocompletion=complete_convention,
        ),
    ] = "",
    set_: Sets = None,
    input_: Inputs = None,
    format: TableOrJsonOption = TableOrJson.table,
) -> None:
    """Show how tools and papers count: all conventions, the rules of one, or the counts for a network.

    `archcalc conventions`, all conventions

    `archcalc conventions fvcore`, what fvcore counts for each kind of layer

    `archcalc conventions resnet50_v1_5`, what each convention counts for a network

    `archcalc conventions model.onnx`
    """
    from archcalc import conventions as known
    from archcalc.catalog import shipped_files
    from archcalc.conventions import view as report
    from archcalc.diagnostics import error
    from archcalc.opening import open_network
    from archcalc.render import output
    from archcalc.report import counts

    chosen = settings(set_, input_)
    if any(sign in name for sign in ".:/?") or name == "-" or name in shipped_files():
        network = open_network(name, chosen.overrides, chosen.inputs)[1]
        found = counts.of_network(network)
        if format is TableOrJson.json:
            output.write(counts.to_json(network, found), None)
        else:
            output.write(counts.render(network, found, output.width(), output.colour()), None)
        return
    if chosen.overrides or chosen.inputs:
        help = "name one: `archcalc conventions resnet50 --input 3x192x192`"
        raise error("`--set` and `--input` change a network", help=help)
    listed = [known.find(name)] if name else list(known.conventions().values())
    if format is TableOrJson.json:
        output.write(report.to_json(listed), None)
    elif name:
        output.write(report.render_one(listed[0], output.width(), output.colour()), None)
    else:
        output.write(report.render(listed, output.width(), output.colour()), None)
