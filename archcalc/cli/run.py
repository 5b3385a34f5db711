"""`archcalc run`"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from archcalc.cli.options import Heads, Net, Seed, Sets, settings, words


class Precision(str, Enum):
    float32 = "float32"
    float64 = "float64"


def run(
    net: Net,
    set_: Sets = None,
    input_: Annotated[
        Optional[list[str]],
        typer.Option(
            "--input",
            metavar="FILE|SHAPE",
            help="A tensor (`x.npy`, `x.npz`), an image (`x.png`), or a shape (`3x64x64`); "
            "for a named input: `left=x.npy`.",
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Batch size.")] = 1,
    dtype: Annotated[Precision, typer.Option(help="Precision of all tensors.")] = Precision.float32,
    seed: Seed = 0,
    weights: Annotated[
        Optional[Path],
        typer.Option(
            metavar="FILE",
            help="A `.npz` or `.safetensors` file of weights named `path.name` [default: the weights of an "
            "imported model, or random ones].",
        ),
    ] = None,
    keep: Annotated[
        Optional[str], typer.Option(metavar="PATHS", help="Also write these tensors: `stage1,fc1`.")
    ] = None,
    output: Annotated[
        Optional[Path],
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write the results and kept tensors to a `.npz` file."
        ),
    ] = None,
    train: Annotated[
        bool, typer.Option("--train", help="Use batch statistics and dropout, as in training.")
    ] = False,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast", help="Use Winograd convolutions and folded batch norms: faster, exact to about 1e-5."
        ),
    ] = False,
    heads: Heads = False,
) -> None:
    """Run a network in NumPy, and check every output shape.

    An imported model runs with its own weights. If its framework is installed, the model also runs there on
    the same input, and the outputs are compared.

    `archcalc run vgg16`

    `archcalc run resnet50 --input cat.png --weights resnet50.npz --keep conv4_x -o out.npz`

    `archcalc run mobilenet_v1 --set width=0.5 --batch 4 --seed 7`

    `archcalc run torchvision.models:resnet18 --input 3x224x224`
    """
    from archcalc.executor.command import run_and_print

    equal = run_and_print(
        lambda inputs: settings(set_, inputs).network(net),
        input_ or [],
        batch=batch,
        dtype=dtype.value,
        seed=seed,
        weights=weights,
        keep=words(keep),
        output=output,
        train=train,
        heads=heads,
        fast=fast,
    )
    if not equal:
        raise typer.Exit(1)
