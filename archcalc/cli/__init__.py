"""The command line. It reads options and writes output; all arithmetic is elsewhere. A command a file."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any, NoReturn, TextIO

import typer
from typer.core import TyperGroup

from archcalc import __version__
from archcalc.diagnostics import ArchError

NETWORKS, FIGURES, CHECKS = "Networks", "Published figures", "Checks and proofs"
COMMANDS = {
    "list": NETWORKS, "spec": NETWORKS, "convert": NETWORKS, "report": NETWORKS, "explain": NETWORKS,
    "compare": NETWORKS,
    "conventions": FIGURES, "reconcile": FIGURES, "audit": FIGURES, "tables": FIGURES, "plots": FIGURES,
    "reports": FIGURES,
    "check": CHECKS, "lock": CHECKS, "run": CHECKS, "verify": CHECKS,
}  # fmt: skip
"""Every command and its panel in the help, in order. Each is a function in the file of its name."""


class Commands(TyperGroup):
    """The commands, each imported and built when it is asked for: a start pays for one, not for all."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS]  # the name `list` is that of a module here

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:  # the error looks for near misses among those that are built
            for name in COMMANDS:
                self.get_command(ctx, name)
        elif cmd_name not in self.commands:
            self.commands[cmd_name] = _built(cmd_name)
        return self.commands.get(cmd_name)


def _built(name: str) -> Any:
    """A command with its options, from the function of its name."""
    function = getattr(import_module(f"archcalc.cli.{name}"), name)
    single = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    single.command(name, rich_help_panel=COMMANDS[name])(function)
    return typer.main.get_command(single)


app = typer.Typer(
    name="archcalc",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 good, 1 an assertion failed, 2 the input is wrong.",
)


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

    `archcalc list` shows the built-in networks.

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
