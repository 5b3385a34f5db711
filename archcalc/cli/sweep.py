"""`archcalc sweep`"""

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
    Net,
    OptimizerName,
    Output,
    settings,
    words,
)
from archcalc.diagnostics import error


class SweepFormat(str, Enum):
    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"
    svg = "svg"


Varied = Annotated[
    Optional[list[str]],
    typer.Option(
        "--set",
        metavar="NAME=VALUES",
        help="Values of a parameter: a range `width=0.25..1.4:0.05`, a list `image=128,160,192`, or one "
        "value; repeatable. `input` is the side of the input, `batch` the batch size.",
    ),
]
Expected = Annotated[
    Optional[list[str]],
    typer.Option(
        "--expect", metavar="EXPECTATION", help="Keep only networks for which this holds; repeatable."
    ),
]


def sweep(
    net: Net,
    set_: Varied = None,
    expect: Expected = None,
    columns: Annotated[
        Optional[str],
        typer.Option("--columns", metavar="NAMES", help="Figures: `macs,params,peak_bytes`."),
    ] = None,
    sort: Annotated[
        Optional[str],
        typer.Option(
            "--sort", metavar="NAME", help="Sort by a column, least first; `-macs` is largest first."
        ),
    ] = None,
    limit: Annotated[Optional[int], typer.Option("--limit", min=1, help="The most rows.")] = None,
    sample: Annotated[
        Optional[int],
        typer.Option("--sample", min=1, help="Compute so many points, drawn at random, instead of all."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="For `--sample`.")] = 0,
    plot: Annotated[
        Optional[str],
        typer.Option("--plot", metavar="X:Y", help="Draw one column against another, as SVG: `macs:params`."),
    ] = None,
    input_: Inputs = None,
    freeze: Freeze = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    heads: Heads = False,
    convention: ConventionName = "",
    optimizer: OptimizerName = "sgd",
    human: Human = False,
    scheduler: Annotated[
        Optional[str],
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="Compute on a Dask cluster, `tcp://host:8786`, and write a Parquet data set: the folder of "
            "`-o`.",
        ),
    ] = None,
    format: Annotated[
        SweepFormat, typer.Option(help="Output format; `parquet` needs the package pyarrow.")
    ] = SweepFormat.table,
    output: Output = None,
) -> None:
    """Compute the figures of a network for all combinations of parameters.

    `archcalc sweep mobilenet_v1 --set width=0.25,0.5,0.75,1 --set resolution=128..224:32`

    `archcalc sweep mobilenet_v1 --set width=0.1..1.4 --expect "macs <= 150M" --sort=-params --limit 10`

    `archcalc sweep resnet50 --set image=128..512:32 --columns macs,peak_bytes`

    `archcalc sweep mobilenet_v1 --set width=0.1..2:0.001 --set resolution=32..512 --format csv -o all.csv`

    `archcalc sweep mobilenet_v1 --set width=0.25..1.4 --plot macs:params -o sweep.svg`
    """
    from msgspec.structs import replace

    from archcalc.render import output as out
    from archcalc.render.progress import progress_bar
    from archcalc.sweeping import resume, run, view
    from archcalc.sweeping.plan import plan
    from archcalc.sweeping.space import joined

    if not set_:
        raise error("a sweep varies something", help="write `--set width=0.25..1:0.25`")
    wanted = words(columns)
    axes = [part.strip() for part in plot.split(":")] if plot is not None else []
    if plot is not None and (len(axes) != 2 or not all(axes)):
        raise error(f"`--plot {plot}` does not name two columns", help="write `--plot macs:params`")
    dimensions = joined(set_, "--set")
    names = {dimension.name for dimension in dimensions}
    if axes and wanted:
        wanted += [name for name in axes if name not in names and name not in wanted]
    elif axes:
        wanted = [name for name in axes if name not in names]
    made = plan(
        net,
        dimensions,
        wanted,
        expect or [],
        settings(None, input_, batch, dtype, heads, convention, freeze, optimizer=optimizer),
    )
    falling = (sort or "").startswith("-")
    asked = run.SweepAsked((sort or "").removeprefix("-"), falling, limit, sample, seed)
    run.check_sort(made, asked)
    if scheduler is None:
        run.check_size(made, asked)
    if scheduler is not None:
        from archcalc.sweeping import cluster

        if output is None or output == out.STANDARD or sort or limit is not None or axes:
            raise error(
                "a cluster writes a data set of all rows, which are not sorted or cut off",
                help="write `-o FOLDER`, without `--sort`, `--limit` and `--plot`",
            )
        job = cluster.job_of(made, tuple(dimensions), tuple(expect or ()), asked)
        with progress_bar(run.blocks_of(made, asked), net) as advance:
            totals = cluster.sweep_on_cluster(made, job, scheduler, output, advance)
        out.warn([cluster.in_words(totals)])
        return
    if limit is None and format is SweepFormat.table and not axes:
        asked = replace(asked, limit=LIMIT)
    with progress_bar(run.blocks_of(made, asked), net) as advance:
        if output is not None and output != out.STANDARD and run.blocks_of(made, asked) > 1:
            found = resume.sweep_rows(made, asked, output, advance)
        else:
            found = run.sweep_rows(made, asked, advance)
    if axes or format is SweepFormat.svg:
        if not axes:
            raise error("a plot needs two columns", help="write `--plot macs:params`")
        out.write(view.plot(found, *axes), output)
    elif format is SweepFormat.csv:
        out.write("".join(view.csv_parts(found)), output)
    elif format is SweepFormat.json:
        out.write(view.to_json(found), output)
    elif format is SweepFormat.parquet:
        if output is None or output == out.STANDARD:
            raise error("Parquet is written to a file", help="add `-o FILE.parquet`")
        view.write_parquet(found, output)
    else:
        out.write(view.table(found, out.width(), human), output)
    if output is not None:
        resume.forget(output)
    if format is not SweepFormat.table or axes:
        out.warn([run.in_words(found), *view.nearest_lines(found)])


LIMIT = 100
"""Rows of a table, if `--limit` does not say otherwise."""
