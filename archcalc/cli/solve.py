"""`archcalc solve`"""

from __future__ import annotations

from typing import Annotated, Optional

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
    Output,
    TableOrJson,
    TableOrJsonOption,
    Where,
    settings,
    words,
)
from archcalc.diagnostics import error


def solve(
    net: Net,
    find: Annotated[
        Optional[list[str]],
        typer.Option(
            "--find",
            metavar="NAME=VALUES",
            help="The unknown and its values: `width=0.1..2`, `image=32..1024`, `n=2,3,5`; repeatable. "
            "`input` is the side of the input, `batch` the batch size.",
        ),
    ] = None,
    where: Where = None,
    expect: Annotated[
        Optional[list[str]],
        typer.Option("--expect", metavar="EXPECTATION", help="What must hold: `macs <= 150M`; repeatable."),
    ] = None,
    smallest: Annotated[
        bool, typer.Option("--smallest", help="Find the smallest value that holds, not the largest.")
    ] = False,
    maximize: Annotated[
        Optional[list[str]],
        typer.Option("--maximize", metavar="NAME", help="A figure that is to be large; repeatable."),
    ] = None,
    minimize: Annotated[
        Optional[list[str]],
        typer.Option("--minimize", metavar="NAME", help="A figure that is to be small; repeatable."),
    ] = None,
    columns: Annotated[
        Optional[str], typer.Option("--columns", metavar="NAMES", help="Figures to show: `macs,params`.")
    ] = None,
    limit: Annotated[Optional[int], typer.Option("--limit", min=1, help="The most rows of a front.")] = None,
    set_: Annotated[
        Optional[list[str]],
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Set a parameter of the network. The value can be computed from unknowns: `depth=1.2**phi`; "
            "repeatable.",
        ),
    ] = None,
    input_: Inputs = None,
    freeze: Freeze = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    heads: Heads = False,
    convention: ConventionName = "",
    optimizer: OptimizerName = "sgd",
    format: TableOrJsonOption = TableOrJson.table,
    output: Output = None,
) -> None:
    """Find the largest value of a parameter for which expectations hold, or the best combinations of several.

    The answer is exact, also where rounding makes a figure go up and down. It says how it was found.

    `archcalc solve mobilenet_v1 --find width=0.1..2 --expect "macs <= 150M"`

    `archcalc solve resnet50 --find image=32..1024 --expect "macs <= 10G"`

    `archcalc solve resnet50 --find batch=1..4096 --expect "training_peak_bytes <= 24GB" --optimizer adam`

    `archcalc solve mobilenet_v1 --find width=0.25..1.4:0.05 --find resolution=96..256:16 --maximize params
    --minimize macs`
    """
    from archcalc.render import output as out
    from archcalc.render.progress import progress_bar
    from archcalc.sweeping import answers, blocks, pareto, relations, solving, view
    from archcalc.sweeping.plan import plan

    if not find:
        raise error("nothing is to be found", help="write `--find width=0.1..2`")
    objectives = [(name, True) for name in maximize or []] + [(name, False) for name in minimize or []]
    names = [name for name, _ in objectives]
    if len(set(names)) < len(names):
        raise error("a figure is named twice in `--maximize` and `--minimize`", help="name each once")
    if objectives and smallest:
        raise error("`--smallest` is for one unknown, and `--maximize` and `--minimize` give a front")
    if limit is not None and not objectives:
        raise error("`--limit` is for the rows of a front", help="add `--maximize` and `--minimize` figures")
    shown = list(dict.fromkeys([*names, *(words(columns) or answers.COLUMNS)]))
    items = relations.options(find, "--find") + relations.options(set_ or [], "--set")
    dimensions, related = relations.given(items, where or [])
    found = {name for option, name, _ in items if option == "--find"}
    for dimension in dimensions:
        if dimension.count > 1 and dimension.name not in found:
            raise error(
                f"`--set {dimension.name}` gives several values", help=f"write `--find {dimension.name}=...`"
            )
    made = plan(
        net,
        dimensions,
        shown,
        expect or [],
        settings(None, input_, batch, dtype, heads, convention, freeze, optimizer=optimizer),
        related,
    )
    if objectives:
        asked = blocks.SweepAsked(limit=limit)
        blocks.check_size(made, blocks.SweepAsked(), blocks.LESS)
        sweeper = blocks.Sweeper(made, asked)
        with progress_bar(made.space.size, net) as advance:
            best = pareto.pareto(sweeper, objectives, advance)
        if format is TableOrJson.json:
            named = [
                {"figure": name, "extreme": "largest" if large else "smallest"} for name, large in objectives
            ]
            out.write(view.to_json(best, objectives=named), output)
        else:
            out.write(view.table(best, out.width()), output)
        return
    if len(made.space.dimensions) != 1:
        unknowns = ", ".join(f"`{d.name}`" for d in made.space.dimensions)
        raise error(
            f"a largest value is of one unknown, not of {unknowns}",
            help="add `--maximize` and `--minimize` figures for the best combinations",
        )
    with progress_bar(made.space.size, net) as advance:
        solution = solving.solve(made, not smallest, advance)
    if format is TableOrJson.json:
        out.write(answers.to_json(solution), output)
    else:
        out.write(answers.text(solution, out.width()), output)
