"""`archcalc check`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer
from msgspec.structs import replace

from archcalc.cli.options import (
    Batch,
    ConventionName,
    Dtype,
    Freeze,
    Heads,
    Inputs,
    OptimizerName,
    Sets,
    TableOrJson,
    TableOrJsonOption,
    complete_net,
    settings,
)
from archcalc.diagnostics import ArchError, error


def check(
    targets: Annotated[
        Optional[list[str]],
        typer.Argument(
            metavar="NET|PATH|LOCKFILE",
            help="Networks, `.arch` files, and folders with `.arch` files [default: the current folder]. "
            "With `--locked`, lock files [default: `archcalc.lock`].",
            autocompletion=complete_net,
        ),
    ] = None,
    expect: Annotated[
        Optional[list[str]],
        typer.Option(
            "--expect",
            metavar="EXPECTATION",
            help="Require this of every network too: `macs <= 600M`; repeatable.",
        ),
    ] = None,
    set_: Sets = None,
    input_: Inputs = None,
    freeze: Freeze = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    optimizer: OptimizerName = "sgd",
    heads: Heads = False,
    convention: ConventionName = "",
    locked: Annotated[
        bool, typer.Option("--locked", help="Check networks against lock files instead.")
    ] = False,
    allow: Annotated[
        Optional[list[str]],
        typer.Option(
            "--allow",
            metavar="TOLERANCE",
            help="Allow locked figures to change: `all 1%`, `macs +1%`, `params 10K`, `shape`; repeatable.",
        ),
    ] = None,
    allow_unknown: Annotated[
        bool,
        typer.Option(
            "--allow-unknown",
            help="Accept networks with unknown operations, and check the figures without them.",
        ),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Also show expectations that hold, and every locked figure that changed."
        ),
    ] = False,
    format: TableOrJsonOption = TableOrJson.table,
    junit: Annotated[
        Optional[Path], typer.Option("--junit", metavar="FILE", help="Write JUnit XML to a file.")
    ] = None,
    github: Annotated[
        bool,
        typer.Option(
            "--github",
            help="Print annotations for GitHub: at most ten, one per network if there are more failures.",
        ),
    ] = False,
    summary: Annotated[
        Optional[Path],
        typer.Option("--summary", metavar="FILE", help="Append a summary in Markdown to a file."),
    ] = None,
) -> None:
    """Check networks against their expectations, or against a lock file.

    `archcalc check models/`, all networks in a folder

    `archcalc check vgg16 "mobilenet_v1?width=0.5" --expect "macs <= 16G"`, a limit for two networks

    `archcalc check net.arch --expect 'params("stage3/*") < 5M'`, a limit for some layers together

    `archcalc check net.arch --expect 'kernel_size("stem/*") <= 3'`, a limit for an argument of each layer

    `archcalc check net.arch --expect "macs <= 0.5 * vgg16"`, a limit relative to another network

    `archcalc check resnet50_v1_5 --convention fvcore --expect "macs <= 4.2G"`, counted as fvcore counts

    `archcalc check vgg16 --batch 32 --dtype float16 --expect "peak_bytes <= 420MB"`, memory for a batch

    `archcalc check --locked --allow "all 1%"`, changes since `archcalc lock`
    """
    from archcalc.checking import view as report
    from archcalc.checking.outcome import Outcome
    from archcalc.render import output
    from archcalc.render.progress import progress

    if github and format is TableOrJson.json:
        raise error(
            "`--github` cannot be combined with `--format json`",
            help="leave out `--github` or `--format json`",
        )
    if locked and expect:
        raise error("`--expect` cannot be combined with `--locked`", help="run `--expect` without `--locked`")
    if locked and convention:
        raise error("`--convention` cannot be combined with `--locked`", help="leave out `--convention`")
    if locked and (set_ or input_ or batch != 1 or dtype != "float32" or heads):
        raise error(
            "`--locked` takes these options from the lock file",
            help="give `--set`, `--input`, `--batch`, `--dtype`, and `--heads` to `archcalc lock`",
        )
    if allow and not locked:
        raise error("`--allow` works only with `--locked`", help="add `--locked`")
    try:
        if locked:
            from archcalc.checking.drift import check_locks
            from archcalc.checking.lock import DEFAULT
            from archcalc.checking.tolerance import parse_tolerances

            paths = [Path(target) for target in targets or [DEFAULT]]
            outcome = check_locks(paths, parse_tolerances(allow or []), progress)
        else:
            from archcalc.checking.bounds import parse_bounds
            from archcalc.checking.run import check_networks

            chosen = settings(set_, input_, batch, dtype, heads, convention, freeze, optimizer=optimizer)
            chosen = replace(chosen, allow_unknown=allow_unknown)
            outcome = check_networks(targets or [], parse_bounds(expect or [], chosen), progress, chosen)
    except ArchError as mistakes:  # a mistake in an option is reported to CI like all others
        outcome = Outcome([], mistakes.diagnostics, locked)
    if format is TableOrJson.json:
        output.write(report.to_json(outcome), None)
    else:
        output.write(report.render(outcome, output.width(), verbose, output.colour()), None)
    if junit is not None or github or summary is not None:
        from archcalc.checking import ci as check_ci

        if github:
            output.write(check_ci.to_annotations(outcome), None)
        if junit is not None:
            output.write(check_ci.to_junit(outcome), junit)
        if summary is not None:
            output.append(check_ci.to_markdown(outcome), summary)
    if outcome.problems:
        sys.stdout.flush()
        raise ArchError(outcome.problems)
    if outcome.failures:
        raise typer.Exit(1)
