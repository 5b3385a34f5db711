"""`archcalc sweep`"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from msgspec.structs import replace

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
    Where,
    settings,
    words,
)
from archcalc.diagnostics import error

if TYPE_CHECKING:
    from archcalc.sweeping.run import Found


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
        "value, which can be computed from others, `depth=1.2**phi`; repeatable. `input` is the side of the "
        "input, `batch` the batch size.",
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
    where: Where = None,
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

    `archcalc sweep efficientnet --set phi=0..7 --set "depth=1.2**phi" --set "width=1.1**phi" --set
    "resolution=round(224 * 1.15**phi)" --set dropout_rate=0`
    """
    from archcalc.render import output as out
    from archcalc.render.progress import progress_bar
    from archcalc.sweeping import blocks, files, relations, resume, run, view
    from archcalc.sweeping.plan import plan

    if not set_:
        raise error("a sweep varies something", help="write `--set width=0.25..1:0.25`")
    if output is not None and output != out.STANDARD and scheduler is None:
        out.checked(output)
    axes = _axes(plot)
    if axes and format not in (SweepFormat.table, SweepFormat.svg):
        raise error(
            f"`--plot` draws SVG, and `--format {format.value}` asks for rows", help="give one of them"
        )
    if format is SweepFormat.svg and not axes:
        raise error("a plot needs two columns", help="write `--plot macs:params`")
    items = relations.options(set_, "--set")
    dimensions, related = relations.given(items, where or [])
    made = plan(
        net,
        dimensions,
        _columns(words(columns), axes, [name for _, name, _ in items]),
        expect or [],
        settings(None, input_, batch, dtype, heads, convention, freeze, optimizer=optimizer),
        related,
    )
    is_table = format is SweepFormat.table and not axes
    most = LIMIT if limit is None and is_table else limit
    falling = (sort or "").startswith("-")
    if sort in ("", "-"):
        raise error(
            "`--sort` needs a column", help="write `--sort macs`, or `--sort=-macs` for the largest first"
        )
    asked = blocks.SweepAsked((sort or "").removeprefix("-"), falling, most, sample, seed)
    run.check_sort(made, asked)
    if scheduler is not None:
        from archcalc.sweeping import cluster

        if output is None or output == out.STANDARD or sort or limit is not None or axes:
            raise error(
                "a cluster writes a data set of all rows, which are not sorted or cut off",
                help="write `-o FOLDER`, without `--sort`, `--limit` and `--plot`",
            )
        job = cluster.job_of(made, tuple(dimensions), tuple(expect or ()), replace(asked, limit=None))
        with progress_bar(blocks.Sweeper(made, asked).count, net) as advance:
            sums = cluster.sweep_on_cluster(made, job, scheduler, output, advance)
        out.warn([cluster.in_words(sums)])
        return
    blocks.check_size(made, replace(asked, limit=limit))
    sweeper = blocks.Sweeper(made, asked)
    if output is not None and output != out.STANDARD and sweeper.count > 1:
        sweeper = resume.StoringSweeper(made, asked, output)
    with progress_bar(blocks.points_of(made, asked), net) as advance:
        if axes or format not in (SweepFormat.csv, SweepFormat.parquet):
            _write(run.sweep_rows(sweeper, advance), axes, format, human, output)
        else:
            write = files.write_csv if format is SweepFormat.csv else files.write_parquet
            totals = files.write_rows(sweeper, write, output, advance)
            out.warn(view.summary(made, sweeper.engine, totals))
    if output is not None:
        resume.forget(output)


LIMIT = 100
"""Rows of a table, if `--limit` does not say otherwise."""


def _axes(plot: str | None) -> list[str]:
    """The two columns of a plot; none without a plot."""
    axes = [part.strip() for part in plot.split(":")] if plot is not None else []
    if plot is not None and (len(axes) != 2 or not all(axes)):
        raise error(f"`--plot {plot}` does not name two columns", help="write `--plot macs:params`")
    return axes


def _columns(wanted: list[str], axes: list[str], given: list[str]) -> list[str]:
    """The figures that are computed: those that are asked for, and those of a plot."""
    return wanted + [name for name in axes if name not in given and name not in wanted]


def _write(found: Found, axes: list[str], format: SweepFormat, human: bool, output: Path | None) -> None:
    """Write rows that are held in memory."""
    from archcalc.render import output as out
    from archcalc.sweeping import view

    if axes:
        from archcalc.sweeping import plotting

        out.write(plotting.plot(found, *axes), output)
    elif format is SweepFormat.json:
        out.write(view.to_json(found), output)
    else:
        out.write(view.table(found, out.width(), human), output)
        return
    out.warn(view.summary(found.plan, found.engine, found.totals))
