"""The command line. It reads options and writes output; all arithmetic is elsewhere. A command a file."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn, TextIO

import typer

from archcalc import __version__
from archcalc.cli.audit import audit
from archcalc.cli.check import check
from archcalc.cli.compare import compare
from archcalc.cli.conventions import conventions
from archcalc.cli.explain import explain
from archcalc.cli.list import list_networks
from archcalc.cli.lock import lock
from archcalc.cli.plots import plots
from archcalc.cli.reconcile import reconcile
from archcalc.cli.report import report
from archcalc.cli.reports import reports
from archcalc.cli.run import run
from archcalc.cli.spec import spec
from archcalc.cli.tables import tables
from archcalc.cli.verify import verify
from archcalc.diagnostics import ArchError

app = typer.Typer(
    name="archcalc",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 good, 1 an assertion failed, 2 the input is wrong.",
)
NETWORKS, FIGURES, CHECKS = "Networks", "Published figures", "Checks and proofs"
app.command("list", rich_help_panel=NETWORKS)(list_networks)
app.command("spec", rich_help_panel=NETWORKS)(spec)
app.command("report", rich_help_panel=NETWORKS)(report)
app.command("explain", rich_help_panel=NETWORKS)(explain)
app.command("compare", rich_help_panel=NETWORKS)(compare)
app.command("conventions", rich_help_panel=FIGURES)(conventions)
app.command("reconcile", rich_help_panel=FIGURES)(reconcile)
app.command("audit", rich_help_panel=FIGURES)(audit)
app.command("tables", rich_help_panel=FIGURES)(tables)
app.command("plots", rich_help_panel=FIGURES)(plots)
app.command("reports", rich_help_panel=FIGURES)(reports)
app.command("check", rich_help_panel=CHECKS)(check)
app.command("lock", rich_help_panel=CHECKS)(lock)
app.command("run", rich_help_panel=CHECKS)(run)
app.command("verify", rich_help_panel=CHECKS)(verify)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"archcalc {__version__}")
        raise typer.Exit


@app.callback()
def archcalc(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """What a convolutional network costs, exactly, and why.

    Shapes, parameters, multiply-adds, FLOPs, memory and receptive field of an architecture, from a
    text: no framework, no forward pass.

    `archcalc list` shows the networks that come along.

    `archcalc report vgg16` lists a network layer by layer.

    `archcalc spec vgg16 --copy .` copies the text that declares it, for you to change.

    `archcalc report vgg.arch:vgg16 --set classes=10` reports your own, with a parameter set.

    `archcalc explain vgg16 stage1/conv2 macs` shows how a figure comes about.
    """


def main() -> None:
    """Run the command line; wrong input ends in its diagnostics and status 2, never in a traceback."""
    import gc

    gc.disable()  # a short life: nothing a collection would find is worth its time
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        try:
            app(prog_name="archcalc")
        finally:
            sys.stdout.flush()
    except ArchError as problem:
        _end(str(problem))
    except BrokenPipeError:  # whoever reads has seen enough
        _silence(sys.stdout)
    except OSError as problem:
        _silence(sys.stdout)
        what = f"`{problem.filename}` cannot be used" if problem.filename else "the output cannot be written"
        _end(f"error: {what}: {problem.strerror or problem}")


def _end(message: str) -> NoReturn:
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError:
        _silence(sys.stderr)
    sys.exit(2)


def _silence(stream: TextIO) -> None:
    """Let what is left in a stream go nowhere: Python would try again at the end, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
