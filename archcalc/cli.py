"""The command line. It reads options and writes output; all arithmetic is elsewhere."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from archcalc import __version__
from archcalc.source import ArchError, error

if TYPE_CHECKING:
    from archcalc.library import Spec
    from archcalc.profile import Profile

app = typer.Typer(
    name="archcalc",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 good, 1 an assertion failed, 2 the input is wrong.",
)


class Format(str, Enum):
    table = "table"
    markdown = "markdown"
    csv = "csv"
    json = "json"


class ListFormat(str, Enum):
    table = "table"
    json = "json"


class Layout(str, Enum):
    chw = "chw"
    hwc = "hwc"


def _complete_net(incomplete: str) -> list[str]:
    from archcalc.library import shipped_files

    return [name for name in shipped_files() if name.startswith(incomplete)]


Net = Annotated[
    str,
    typer.Argument(
        metavar="NET",
        help="A shipped network (`vgg16`), an `.arch` file, or `file.arch:net`.",
        autocompletion=_complete_net,
    ),
]
Sets = Annotated[
    Optional[list[str]],
    typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter of the net; repeatable."),
]
Inputs = Annotated[
    Optional[list[str]],
    typer.Option(
        "--input",
        metavar="SHAPE",
        help="Replace the input's shape, `3x192x192`; of several inputs one by name, `left=1x105x105`.",
    ),
]
Batch = Annotated[int, typer.Option(help="Samples in a batch; bears on bytes only.")]
Dtype = Annotated[str, typer.Option(help="float64, float32, float16, bfloat16, float8 or int8; for bytes.")]
Heads = Annotated[bool, typer.Option("--heads", help="Count heads that are used in training only.")]


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

    `archcalc report mine.arch --set width=0.5` reports your own, with a parameter changed.

    `archcalc explain vgg16 stage1/conv2 macs` shows how a figure comes about.
    """


@app.command("list")
def list_(
    search: Annotated[str, typer.Argument(metavar="[SEARCH]", help="Only names that contain this.")] = "",
    family: Annotated[str, typer.Option(metavar="NAME", help="Only this family.")] = "",
    format: Annotated[ListFormat, typer.Option(help="For people or for programs.")] = ListFormat.table,
) -> None:
    """List the networks that come along, by family.

    `archcalc list`

    `archcalc list v1_5`

    `archcalc list --family resnet`

    `archcalc list --format json`
    """
    from archcalc import output
    from archcalc.library import shipped
    from archcalc.report import listing

    specs = shipped(family, search)
    entries = [listing.entry(spec) for spec in _progress(specs, "Reading specs")]
    if format is ListFormat.json:
        output.write(listing.to_json(entries), None)
    else:
        listing.render(entries, output.width(), sys.stdout, output.colour())


@app.command()
def report(
    net: Net,
    set_: Sets = None,
    input_: Inputs = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    layout: Annotated[Layout, typer.Option(help="How shapes are printed.")] = Layout.chw,
    depth: Annotated[
        Optional[int], typer.Option(min=1, help="Roll up blocks that lie deeper than this.")
    ] = None,
    only: Annotated[
        Optional[str], typer.Option(metavar="KINDS", help="Show only these kinds or families: `conv,fc`.")
    ] = None,
    columns: Annotated[
        Optional[str], typer.Option(metavar="NAMES", help="Show these columns: `layer,output,params`.")
    ] = None,
    sort: Annotated[
        str, typer.Option(metavar="QUANTITY", help="Largest first, by `params`, `macs`, `activations`, ...")
    ] = "",
    top: Annotated[Optional[int], typer.Option(min=1, help="Show the first rows only.")] = None,
    heads: Heads = False,
    human: Annotated[bool, typer.Option("--human", help="Short numbers, 138.4M.")] = False,
    format: Annotated[Format, typer.Option(help="How to write it.")] = Format.table,
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", metavar="FILE", help="Write to a file.")
    ] = None,
) -> None:
    """Report a network, layer by layer, with totals.

    `archcalc report vgg16`

    `archcalc report resnet50 --depth 1`

    `archcalc report mobilenet_v1 --set width=0.5 --input 3x160x160`

    `archcalc report vgg16 --only conv,fc --sort params --top 5`

    `archcalc report nets.arch:small --format json -o small.json`
    """
    import io

    from archcalc import output as out
    from archcalc.report import formats, table
    from archcalc.report.columns import View, choose
    from archcalc.report.rows import select_rows

    spec, profile = _profile(net, set_, input_, batch, dtype, heads)
    chosen = choose(_words(columns))
    rows = select_rows(profile, depth=depth, only=_words(only), sort=sort, top=top)
    view = View(profile, layout.value, human)
    heading = table.heading(view, spec.reference)
    if format is Format.json:
        out.write(formats.to_json(rows, profile), output)
    elif format is Format.csv:
        out.write(formats.to_csv(rows, view, chosen), output)
    elif format is Format.markdown:
        out.write(formats.to_markdown(rows, view, chosen, heading), output)
    else:
        stream = io.StringIO()
        colour = output is None and out.colour()
        table.render(rows, view, chosen, out.width(), heading, stream, colour)
        out.write(stream.getvalue(), output)


@app.command()
def explain(
    net: Net,
    layer: Annotated[
        str,
        typer.Argument(
            metavar="[LAYER]", help="A layer or block by its path; the whole network if left out."
        ),
    ] = "",
    quantity: Annotated[
        str, typer.Argument(metavar="[QUANTITY]", help="params, macs, flops, shape, receptive_field, ...")
    ] = "",
    set_: Sets = None,
    input_: Inputs = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    heads: Heads = False,
) -> None:
    """Show how a figure comes about: the formula, with the numbers put in, and the result.

    `archcalc explain vgg16 stage1/conv2 macs`

    `archcalc explain googlenet inception3a params`

    `archcalc explain resnet50 macs`
    """
    from archcalc import output
    from archcalc.quantities import QUANTITIES
    from archcalc.report.explain import explain

    _, profile = _profile(net, set_, input_, batch, dtype, heads)
    if layer in QUANTITIES and not quantity:
        layer, quantity = "", layer
    output.write(explain(profile, layer, quantity) + "\n", None)


def _profile(
    net: str, sets: list[str] | None, inputs: list[str] | None, batch: int, dtype: str, heads: bool
) -> tuple[Spec, Profile]:
    from archcalc.language.elaborate import elaborate
    from archcalc.library import find
    from archcalc.profile import analyze

    spec = find(net)
    network = elaborate(spec.net, _overrides(sets or []), _input_shapes(inputs or []))
    return spec, analyze(network, batch=batch, dtype=dtype, heads=heads)


def _overrides(sets: list[str]) -> dict[str, Any]:
    from archcalc.language.elaborate import constant

    values: dict[str, Any] = {}
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise error(f"`--set {text}` sets nothing", help="write `--set name=value`")
        if name in values:
            raise error(f"`--set` gives `{name}` twice")
        values[name] = constant(value, f"--set {name}")
    return values


def _input_shapes(inputs: list[str]) -> dict[str, tuple[int, ...]]:
    from archcalc.language.elaborate import constant
    from archcalc.layers.base import LayerError, read_shape

    shapes: dict[str, tuple[int, ...]] = {}
    for text in inputs:
        name, equals, value = text.rpartition("=")
        name = name if equals else "input"
        try:
            shapes[name] = read_shape(constant(value, "--input"))
        except LayerError as problem:
            raise error(f"`--input {text}` {problem.message}", help="write `--input 3x224x224`") from None
    return shapes


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _progress(items: list[Any], title: str) -> Any:
    """The items, with a progress bar on the error output if a person watches."""
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, title, console=Console(stderr=True), transient=True)


def main() -> None:
    """Run the command line; wrong input ends in its diagnostics and status 2, never in a traceback."""
    import gc

    gc.disable()  # a short life: nothing a collection would find is worth its time
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app()
    except ArchError as problem:
        print(problem, file=sys.stderr)
        sys.exit(2)
