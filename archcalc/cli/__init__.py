"""The command line: one file per command. It reads options and writes output, and computes nothing itself."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from typing import Annotated, Any, NoReturn, TextIO

import typer
from typer.core import TyperCommand, TyperGroup

from archcalc import __version__
from archcalc.diagnostics import ArchError
from archcalc.render import plain

NETWORKS, CHECKS, WRITING, FIGURES = "Networks", "Checks and proofs", "Writing a network", "Published figures"
COMMANDS = {
    "list": NETWORKS, "report": NETWORKS, "explain": NETWORKS, "compare": NETWORKS, "memory": NETWORKS,
    "sweep": NETWORKS, "solve": NETWORKS, "formula": NETWORKS,
    "spec": WRITING, "convert": WRITING, "layers": WRITING, "help": WRITING,
    "check": CHECKS, "lock": CHECKS, "run": CHECKS, "verify": CHECKS,
    "conventions": FIGURES, "reconcile": FIGURES, "audit": FIGURES, "tables": FIGURES, "plots": FIGURES,
    "reports": FIGURES, "draw": NETWORKS,
}  # fmt: skip
"""Every command in order, under its heading in the help. Each is a function in the file with its name."""


ADDRESS = "Project-URL"
"""The metadata field with the project's address."""


class Command(TyperCommand):
    """A command whose `--help` text is written by `usage.py`."""

    def get_help(self, ctx: Any) -> str:
        from archcalc.cli.usage import command_help
        from archcalc.render.output import colour, width

        return command_help(ctx.command_path, _function(str(self.name)), width(), colour())

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        from archcalc.cli.usage import usage_pieces

        return usage_pieces(_function(str(self.name)))


class Commands(TyperGroup):
    """The commands. Each is imported and built when it is needed, so that a start is fast."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS]  # the name `list` is that of a module here

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            from archcalc.cli.mistakes import no_command

            raise no_command(cmd_name, [*COMMANDS])
        if cmd_name not in self.commands:
            self.commands[cmd_name] = _built(cmd_name)
        return self.commands.get(cmd_name)

    def get_help(self, ctx: Any) -> str:
        from archcalc.cli.usage import program_help
        from archcalc.render.output import colour, width

        panels = {
            panel: [(name, _function(name)) for name in COMMANDS if COMMANDS[name] == panel]
            for panel in dict.fromkeys(COMMANDS.values())
        }
        options = [
            (", ".join(sorted(param.opts, key=len)), getattr(param, "help", ""))
            for param in self.get_params(ctx)
        ]
        return program_help(archcalc.__doc__ or "", panels, options, [*END, *_address()], width(), colour())


def _function(name: str) -> Any:
    """The function of a command. Its signature and docstring declare the command."""
    return getattr(import_module(f"archcalc.cli.{name}"), name)


def _built(name: str) -> Any:
    """A command with its options, from the function with its name."""
    single = typer.Typer(add_completion=False)
    single.command(name, cls=Command)(_function(name))
    return typer.main.get_command(single)


def _address() -> list[str]:
    """The project's addresses, if the package's metadata has them."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        urls = metadata("archcalc").get_all(ADDRESS) or []
    except PackageNotFoundError:  # run from a folder, without an installation
        return []
    return [url.replace(", ", ": ", 1) for url in urls]


END = (
    "`archcalc COMMAND --help` shows the options of a command, `archcalc help` the documentation.",
    "Exit status: 0 for success, 1 if a check failed, 2 if the input is wrong. `report` shows expectations "
    "that fail, but exits with 0. Use `check` in scripts.",
)
"""The last paragraphs of `archcalc --help`."""

app = typer.Typer(
    name="archcalc",
    cls=Commands,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
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

    archcalc computes the shapes, parameters, MACs, FLOPs, memory, and receptive fields of a network. It reads
    a short text that describes the network, or an ONNX, PyTorch, or Keras model. It needs no framework to do
    so, and runs no code except Python code that you name.

    `archcalc list` list the built-in networks

    `archcalc report vgg16` show the cost of each layer

    `archcalc report model.onnx` the same for your own model

    `archcalc explain vgg16 stage1/conv2` show where the figures come from

    `archcalc compare resnet50 resnet50_v1_5` show what differs

    `archcalc spec resnet18 --copy .` copy a network to change it
    """


def main() -> None:
    """Run the command line. Wrong input ends with an error message and status 2, never with a traceback."""
    import gc

    gc.disable()  # the process is short, so collecting costs more time than it saves memory
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123
    plain.register()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=plain.ERRORS)
    try:
        try:
            # typer would end the program with messages in its own style
            status = app(sys.argv[1:] or ["--help"], prog_name="archcalc", standalone_mode=False)
        finally:
            sys.stdout.flush()
        sys.exit(status if isinstance(status, int) else 0)
    except ArchError as problem:
        _end(str(problem))
    except KeyboardInterrupt:  # outside commands; click handles those inside
        sys.exit(130)
    except BrokenPipeError:  # the reader has closed the pipe
        _silence(sys.stdout)
    except OSError as problem:
        _silence(sys.stdout)
        what = f"`{problem.filename}` cannot be used" if problem.filename else "the output cannot be written"
        _end(f"error: {what}: {problem.strerror or problem}")
    except Exception as problem:
        if not hasattr(problem, "format_message"):  # not an error of typer's
            raise
        from archcalc.cli.mistakes import usage_error

        _end(str(usage_error(problem)))


def _end(message: str) -> NoReturn:
    from archcalc.render.output import colour

    if colour(stream=sys.stderr):
        message = re.sub(r"^error:", "\x1b[1;31merror:\x1b[0m", message, flags=re.MULTILINE)
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError:
        _silence(sys.stderr)
    sys.exit(2)


def _silence(stream: TextIO) -> None:
    """Discard what is left in a stream. Otherwise Python would try to write it at exit, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
