"""`archcalc reconcile`"""

from __future__ import annotations

from typing import Annotated

import typer

from archcalc.cli.options import Inputs, Net, Sets, TableOrJson, settings

MOST = 5
"""The number of explanations shown without `--all`."""


def reconcile(
    net: Net,
    figures: Annotated[
        list[str],
        typer.Argument(
            metavar="FIGURE", help="One or more figures as published: `4.12G`, `25.6M params`, `96 MB`."
        ),
    ],
    set_: Sets = None,
    input_: Inputs = None,
    all_: Annotated[
        bool,
        typer.Option(
            "--all", help="Also show less plausible explanations, such as variants at other resolutions."
        ),
    ] = False,
    format: Annotated[
        TableOrJson, typer.Option(help="Output format. JSON includes less plausible explanations.")
    ] = TableOrJson.table,
) -> None:
    """Find out how a published figure was obtained: which variant, whose counting rules, which unit.

    The most plausible explanations come first: those that change the network and the counting rules least.

    `archcalc reconcile resnet50 4.12G`

    `archcalc reconcile googlenet 5M params`

    `archcalc reconcile vgg16 15.3G 96MB`
    """
    from archcalc.opening import open_network
    from archcalc.reconcile import reconcile as find
    from archcalc.reconcile import view as report
    from archcalc.render import output

    chosen = settings(set_, input_)
    net = chosen.applied_to(net)
    answers = find(net, figures, chosen.inputs or None, thorough=all_)
    network = open_network(net, None, chosen.inputs)[1]
    if format is TableOrJson.json:
        output.write(report.to_json(net, network, answers), None)
    else:
        most = None if all_ else MOST
        output.write(report.render(net, network, answers, most, output.width(), output.colour()), None)
