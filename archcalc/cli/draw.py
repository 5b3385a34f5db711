"""`archcalc draw`"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
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
    Sets,
    Training,
    settings,
)
from archcalc.diagnostics import error


class DrawFormat(str, Enum):
    svg = "svg"
    pdf = "pdf"
    png = "png"
    mermaid = "mermaid"
    dot = "dot"
    graphml = "graphml"


class Level(str, Enum):
    blocks = "blocks"
    layers = "layers"
    volumes = "volumes"


SUFFIXES = {".mmd": "mermaid", ".mermaid": "mermaid", ".gv": "dot"}
"""The suffixes of files that differ from the name of their format."""


def draw(
    net: Net,
    set_: Sets = None,
    input_: Inputs = None,
    freeze: Freeze = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    level: Annotated[
        Level, typer.Option(help="What a box is: a block, a layer, or a volume.")
    ] = Level.blocks,
    depth: Annotated[
        Optional[int], typer.Option(min=1, help="Draw blocks below this level as one box each.")
    ] = None,
    block: Annotated[str, typer.Option(metavar="PATH", help="Draw one block only: `inception3a`.")] = "",
    color: Annotated[
        str,
        typer.Option(
            metavar="QUANTITY",
            help="Color by `kind` of layer, or by a quantity: `macs`, `params`, `activations`. Default: "
            "blocks by `macs`, others by `kind`.",
        ),
    ] = "",
    training: Training = False,
    optimizer: OptimizerName = "sgd",
    heads: Heads = False,
    convention: ConventionName = "",
    editable: Annotated[
        bool, typer.Option("--editable", help="Write letters as text, to edit them in another program.")
    ] = False,
    scale: Annotated[
        float, typer.Option(min=0.1, max=20, help="Pixels of a PNG for each unit of the drawing.")
    ] = 2.0,
    format: Annotated[
        Optional[DrawFormat], typer.Option(help="Output format. Default: by the name of the file, or svg.")
    ] = None,
    output: Output = None,
) -> None:
    """Draw a network as a figure for a paper, a slide or a README.

    Letters are outlines, so a figure looks the same everywhere. PDF and PNG need the extra `archcalc[draw]`.

    `archcalc draw resnet50 -o resnet50.svg`

    `archcalc draw vgg16 --level volumes -o vgg16.pdf`

    `archcalc draw googlenet --block inception3a --level layers -o inception.png`

    `archcalc draw model.onnx --level layers --color params -o model.svg`

    `archcalc draw resnet18 --format mermaid`
    """
    from archcalc.notes import note_lines
    from archcalc.render import output as out
    from archcalc.view.draw import Wanted
    from archcalc.view.draw import draw as drawn

    chosen = format.value if format is not None else _by_name(output)
    if chosen in ("pdf", "png") and output is None:
        raise error(f"`--format {chosen}` needs a file", help=f"add `-o net.{chosen}`")
    if chosen == "graphml" and (depth is not None or block or color):
        raise error("GraphML has every layer and every figure: it takes no `--depth`, `--block` or `--color`")
    wanted = Wanted(level=level.value, depth=depth, block=block, color=color, editable=editable, scale=scale)
    profile = settings(
        set_, input_, batch, dtype, heads, convention, freeze, training=training, optimizer=optimizer
    ).open(net)[1]
    drawing = drawn(profile, wanted, chosen)
    if chosen in ("pdf", "png"):
        out.write_bytes(drawing.data, output)
    else:
        out.write(drawing.data.decode(), output)
    out.warn(note_lines(profile.network.notes))
    out.warn([f"note: {drawing.note}"] if drawing.note else [])


def _by_name(path: Path | None) -> str:
    """The format that the name of a file asks for."""
    suffix = path.suffix.lower() if path is not None else ""
    name = SUFFIXES.get(suffix, suffix.removeprefix("."))
    if name in [each.value for each in DrawFormat]:
        return name
    if suffix and str(path) != "-":
        known = ", ".join(f"`.{each.value}`" for each in DrawFormat)
        raise error(
            f"`{path}` does not say in which format to draw",
            help=f"end it in one of {known}, or add `--format`",
        )
    return "svg"
