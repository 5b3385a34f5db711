"""`archcalc formula`"""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from archcalc.cli.options import (
    Batch,
    Dtype,
    Heads,
    Inputs,
    Net,
    Output,
    TableOrJson,
    TableOrJsonOption,
    settings,
)
from archcalc.diagnostics import error


def formula(
    net: Net,
    quantity: Annotated[str, typer.Argument(metavar="QUANTITY", help="A figure: `macs`, `params`.")],
    set_: Annotated[
        Optional[list[str]],
        typer.Option(
            "--set",
            metavar="NAME",
            help="A parameter that stays in the formula, `image`, or with its values: `width=0.01..2:0.01`; "
            "with one value it is replaced by that. Repeatable.",
        ),
    ] = None,
    input_: Inputs = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    heads: Heads = False,
    format: TableOrJsonOption = TableOrJson.table,
    output: Output = None,
) -> None:
    """Show a figure of a network as a formula of its parameters.

    The formula follows from the network's text, and it is proved where possible. It is also compared with
    the figures of all values that are named.

    `archcalc formula resnet50 macs --set image`

    `archcalc formula densenet121 params --set k`

    `archcalc formula mobilenet_v1 params --set width=0.01..2:0.01`

    `archcalc formula mobilenet_v1 macs --set width=0.05..2:0.05 --set resolution`
    """
    from archcalc.render import output as out
    from archcalc.render.progress import progress_bar
    from archcalc.sweeping import closed, formulas, relations
    from archcalc.sweeping.plan import plan

    if not set_:
        raise error("a formula is one of some parameter", help="write `--set image`, or `--set input`")
    dimensions, related = relations.given(relations.options(closed.named_only(set_), "--set"))
    made = plan(net, dimensions, [quantity], [], settings(None, input_, batch, dtype, heads), related)
    if made.space.size == 1:
        raise error("no parameter is left in the formula", help="give a parameter several values, or none")
    with progress_bar(min(made.space.size, closed.COMPARED), net) as advance:
        form = closed.closed_form(made, advance)
    out.write(formulas.to_json(form) if format is TableOrJson.json else formulas.text(form), output)
