"""`archcalc compare`"""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from archcalc.cli.options import (
    Batch,
    ConventionName,
    Dtype,
    Freeze,
    Heads,
    Human,
    Inputs,
    OptimizerName,
    Output,
    Sets,
    Training,
    complete_net,
    settings,
)


class CompareFormat(str, Enum):
    table = "table"
    markdown = "markdown"
    json = "json"
    svg = "svg"
    html = "html"


def compare(
    nets: Annotated[
        list[str],
        typer.Argument(
            metavar="NET",
            help="Two or more networks, each compared with the first. `vgg16?classes=10` sets parameters.",
            autocompletion=complete_net,
        ),
    ],
    set_: Sets = None,
    input_: Inputs = None,
    freeze: Freeze = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    training: Training = False,
    optimizer: OptimizerName = "sgd",
    heads: Heads = False,
    convention: ConventionName = "",
    human: Human = False,
    format: Annotated[
        CompareFormat, typer.Option(help="Output format; `markdown` suits pull requests.")
    ] = CompareFormat.table,
    output: Output = None,
) -> None:
    """Compare networks, or list the changes between two versions of one.

    `archcalc compare vgg16 mobilenet_v1`

    `archcalc compare resnet50 resnet50_v1_5`

    `archcalc compare mobilenet_v1 "mobilenet_v1?width=0.5&resolution=160"`

    `archcalc compare alexnet googlenet vgg16 resnet50 --human`

    `archcalc compare HEAD~1:net.arch net.arch --format markdown -o difference.md`

    `archcalc compare vgg16 mobilenet_v1 --format svg -o chart.svg`

    `archcalc compare resnet50 resnet50_v1_5 --format html -o difference.html`
    """
    from archcalc import comparison
    from archcalc.comparison import view as report
    from archcalc.comparison.chart import to_svg
    from archcalc.comparison.document import to_json
    from archcalc.comparison.tables import CompareView
    from archcalc.render import output as out

    subjects = comparison.open_subjects(
        nets,
        settings(
            set_, input_, batch, dtype, heads, convention, freeze, training=training, optimizer=optimizer
        ),
    )
    view = CompareView(comparison.compare(subjects), human)
    if format is CompareFormat.json:
        out.write(to_json(view.comparison), output)
    elif format is CompareFormat.svg:
        out.write(to_svg(view), output)
    elif format is CompareFormat.html:
        from archcalc.view.page.compared import page_of_comparison

        out.write(page_of_comparison(view), output)
    elif format is CompareFormat.markdown:
        out.write(report.to_markdown(view), output)
    else:
        out.write(report.render(view, out.width(), out.colour(output)), output)
