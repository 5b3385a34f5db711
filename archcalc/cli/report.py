"""`archcalc report`"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Optional

import typer

from archcalc.cli.options import (
    Batch,
    ConventionName,
    Dtype,
    Freeze,
    Heads,
    Human,
    Inputs,
    Layout,
    Net,
    OptimizerName,
    Output,
    Sets,
    Training,
    settings,
    words,
)
from archcalc.diagnostics import error


class ReportFormat(str, Enum):
    table = "table"
    markdown = "markdown"
    csv = "csv"
    json = "json"
    torchsummary = "torchsummary"
    html = "html"


def report(
    net: Net,
    set_: Sets = None,
    input_: Inputs = None,
    freeze: Freeze = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    layout: Annotated[Layout, typer.Option(help="Order of the axes in shapes.")] = Layout.chw,
    depth: Annotated[
        Optional[int], typer.Option(min=1, help="Show each block at this depth as one row.")
    ] = None,
    only: Annotated[
        Optional[str],
        typer.Option(metavar="KINDS", help="Show only these layer kinds or families: `conv,fc`."),
    ] = None,
    columns: Annotated[
        Optional[str], typer.Option(metavar="NAMES", help="Show these columns: `layer,output,params`.")
    ] = None,
    sort: Annotated[
        str,
        typer.Option(metavar="QUANTITY", help="Sort by `params`, `macs`, `activations`, ..., largest first."),
    ] = "",
    top: Annotated[Optional[int], typer.Option(min=1, help="Show only the first rows.")] = None,
    training: Training = False,
    optimizer: OptimizerName = "sgd",
    heads: Heads = False,
    convention: ConventionName = "",
    human: Human = False,
    format: Annotated[ReportFormat, typer.Option(help="Output format.")] = ReportFormat.table,
    output: Output = None,
) -> None:
    """Show the cost of a network, layer by layer, with totals.

    A report also shows the expectations that fail, but the exit status is 0. Use `archcalc check` in scripts.

    `archcalc report vgg16`

    `archcalc report resnet50 --depth 1`, one row per stage

    `archcalc report vgg16 --only conv,fc --sort params --top 5`, the largest layers

    `archcalc report mobilenet_v1 --set width=0.5 --input 3x160x160`, another width and input

    `archcalc report resnet50_v1_5 --convention fvcore`, counted as fvcore counts

    `archcalc report nets.arch:small --format json -o small.json`

    `archcalc report resnet50_v1_5 --format torchsummary`

    `archcalc report googlenet --format html -o googlenet.html`
    """
    from archcalc.notes import note_lines
    from archcalc.render import output as out
    from archcalc.report import formats, table
    from archcalc.report.columns import View, choose
    from archcalc.report.rows import select_rows

    opened, profile = settings(
        set_, input_, batch, dtype, heads, convention, freeze, training=training, optimizer=optimizer
    ).open(net)
    if format in (ReportFormat.torchsummary, ReportFormat.html):
        given = {
            "--depth": depth is not None,
            "--only": only,
            "--columns": columns,
            "--sort": sort,
            "--top": top is not None,
            "--human": human,
            "--layout": layout is not Layout.chw,
        }
        if format is ReportFormat.torchsummary:
            given |= {"--convention": convention, "--dtype": dtype != "float32"}
        for option, is_given in given.items():
            if is_given:
                raise error(f"`--format {format.value}` cannot be combined with `{option}`")
    if format is ReportFormat.torchsummary:
        from archcalc.report.torchsummary import torchsummary

        out.write(torchsummary(profile), output)
        out.warn(note_lines(profile.network.notes))
        return
    if format is ReportFormat.html:
        from archcalc.view.page.write import page_of_network

        out.write(page_of_network(profile, opened.reference), output)
        return
    chosen = choose(words(columns), profile.convention is not None, profile.training)
    rows = select_rows(profile, depth=depth, only=words(only), sort=sort, top=top)
    view = View(profile, layout.value, human)
    heading = table.heading(view, opened.reference)
    if format is ReportFormat.json:
        out.write(formats.to_json(rows, profile), output)
    elif format is ReportFormat.csv:
        out.write(formats.to_csv(rows, view, chosen), output)
        out.warn(note_lines(profile.network.notes))
    elif format is ReportFormat.markdown:
        out.write(formats.to_markdown(rows, view, chosen, heading), output)
    else:
        colour = out.colour(output)
        out.write(table.render(rows, view, chosen, out.width(), heading, colour), output)
