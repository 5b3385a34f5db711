"""`archcalc memory`"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Optional

import typer

from archcalc.cli.options import (
    Freeze,
    Heads,
    Inputs,
    Net,
    OptimizerName,
    Output,
    Sets,
    settings,
    words,
)
from archcalc.diagnostics import error


class MemoryFormat(str, Enum):
    table = "table"
    json = "json"
    svg = "svg"


def memory(
    net: Net,
    set_: Sets = None,
    input_: Inputs = None,
    freeze: Freeze = None,
    batch: Annotated[int, typer.Option(help="Batch size.")] = 1,
    optimizer: OptimizerName = "sgd",
    dtype: Annotated[
        str,
        typer.Option(
            help="Dtype: `float32`, `bfloat16`, ...; `amp` is mixed precision; `int8` needs `--inference`."
        ),
    ] = "float32",
    heads: Heads = False,
    inference: Annotated[
        bool, typer.Option("--inference", help="Show inference instead of a training step.")
    ] = False,
    weights_dtype: Annotated[
        Optional[str],
        typer.Option(
            "--weights-dtype",
            metavar="DTYPE",
            help="Dtype of the parameters at inference, if it differs: `int8`.",
        ),
    ] = None,
    in_place: Annotated[
        Optional[str],
        typer.Option(
            "--in-place",
            metavar="NAMES",
            help="Layers that overwrite their input at inference: `activations`, `add`, `depthwise`.",
        ),
    ] = None,
    arena: Annotated[
        bool, typer.Option("--arena", help="Place all activations in one block of memory.")
    ] = False,
    fit: Annotated[
        Optional[str],
        typer.Option("--fit", metavar="SIZE", help="Find the largest batch that fits: `24GB`, `24GiB`."),
    ] = None,
    checkpoint: Annotated[
        str,
        typer.Option(
            "--checkpoint",
            metavar="PLAN",
            help="Recompute parts in the backward pass: `stage` for each top-level block, `best` for the "
            "lowest peak.",
        ),
    ] = "none",
    accounting: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Tensors kept for the backward pass: those that gradients need (`needed`), or those that "
            "eager PyTorch keeps (`pytorch`).",
        ),
    ] = "needed",
    top: Annotated[int, typer.Option(min=1, help="Number of tensors to list.")] = 8,
    format: Annotated[MemoryFormat, typer.Option(help="Output format.")] = MemoryFormat.table,
    output: Output = None,
) -> None:
    """Show the memory of a training step, or of inference.

    It shows the peak, the layer at the peak, the tensors alive there, and memory over time.

    `archcalc memory resnet50 --batch 64 --optimizer adam`

    `archcalc memory vgg16 --batch 64 --dtype amp`

    `archcalc memory resnet50 --fit 24GB --optimizer momentum`

    `archcalc memory resnet152 --batch 64 --checkpoint best`

    `archcalc memory mobilenet_v2 --batch 64 --accounting pytorch`, what PyTorch keeps and why

    `archcalc memory mobilenet_v2 --inference --dtype int8 --in-place activations,depthwise`

    `archcalc memory unet --inference --arena`

    `archcalc memory resnet50 --batch 64 --format svg -o memory.svg`
    """
    from archcalc.render import output as out
    from archcalc.render.progress import progress
    from archcalc.report.memory.usage import MemoryAsked, read_bytes, usage_of

    network = settings(set_, input_, freeze=freeze).network(net)
    asked = MemoryAsked(
        batch,
        dtype,
        optimizer,
        heads,
        inference,
        tuple(words(in_place)),
        arena,
        checkpoint.removeprefix("every="),
        weights_dtype or "",
        accounting,
    ).checked()
    found: dict[str, Any] | None = None
    lines: list[str] = []
    if fit is not None:
        from archcalc.report.memory.fit import largest_batch

        if arena:
            raise error("`--fit` cannot be combined with `--arena`", help="leave out `--arena`")
        usage, found, lines = largest_batch(network, asked, read_bytes(fit), fit.strip(), progress)
    else:
        usage = usage_of(network, asked, progress)
    if format is MemoryFormat.json:
        from archcalc.report.memory.document import to_json

        out.write(to_json(usage, found), output)
    elif format is MemoryFormat.svg:
        from archcalc.report.memory.document import to_svg

        out.write(to_svg(usage), output)
    else:
        from archcalc.report.memory.text import render

        out.write(render(usage, out.width(), out.colour(output), top, lines), output)
