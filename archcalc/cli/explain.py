"""`archcalc explain`"""

from __future__ import annotations

from typing import Annotated

import typer

from archcalc.cli.options import (
    Batch,
    ConventionName,
    Dtype,
    Freeze,
    Heads,
    Inputs,
    Net,
    OptimizerName,
    Sets,
    settings,
)


def explain(
    net: Net,
    layer: Annotated[
        str,
        typer.Argument(metavar="LAYER", help="The path of a layer or block [default: the whole network]."),
    ] = "",
    quantity: Annotated[
        str,
        typer.Argument(metavar="QUANTITY", help="`params`, `macs`, `flops`, `shape`, `receptive_field`, ..."),
    ] = "",
    set_: Sets = None,
    input_: Inputs = None,
    freeze: Freeze = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    optimizer: OptimizerName = "sgd",
    heads: Heads = False,
    convention: ConventionName = "",
) -> None:
    """Show where a figure comes from: the formula, the numbers, and the result.

    `archcalc explain vgg16 stage1/conv2 macs`

    `archcalc explain googlenet inception3a params`

    `archcalc explain resnet50 macs`

    `archcalc explain resnet50_v1_5 --convention fvcore`
    """
    from archcalc.quantities import QUANTITIES
    from archcalc.render import output
    from archcalc.report.explain import explain as account

    _, profile = settings(set_, input_, batch, dtype, heads, convention, freeze, optimizer=optimizer).open(
        net
    )
    if layer in QUANTITIES and not quantity:
        layer, quantity = "", layer
    if convention and not quantity:
        quantity = "count"
    output.write(account(profile, layer, quantity) + "\n", None)
