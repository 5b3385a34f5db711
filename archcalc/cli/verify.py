"""`archcalc verify`"""

from __future__ import annotations

import os
from typing import Annotated, Optional

import typer

from archcalc.cli.options import Inputs, Seed, Sets, TableOrJson, TableOrJsonOption, complete_net, settings


def verify(
    nets: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="NET", help="Networks to check.", autocompletion=complete_net),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Check every built-in network.")] = False,
    set_: Sets = None,
    input_: Inputs = None,
    full: Annotated[
        bool, typer.Option("--full", help="Run at the declared input size, even if it takes long.")
    ] = False,
    training: Annotated[
        bool, typer.Option("--training", help="Check the cost of a training step instead.")
    ] = False,
    seed: Seed = 0,
    jobs: Annotated[int, typer.Option(min=0, help="Number of processes; 0 means one per core.")] = 0,
    format: TableOrJsonOption = TableOrJson.table,
) -> None:
    """Check the figures of networks by running them on real tensors.

    It runs each network in NumPy and checks:

    - the output shape of every layer
    - parameters, as values in allocated arrays
    - MACs, counted one by one, with and without multiplications by padding
    - receptive fields, found by marking input values with NaN
    - the total and peak memory of all tensors

    Large inputs are shrunk. Parameters are always counted at the declared input size.

    With `--training`, it compares gradients with finite differences, counts the MACs of the backward pass one
    by one, and measures memory at every moment of a training step. Tensors that are not declared as saved are
    overwritten with NaN.

    `archcalc verify vgg16 resnet50`

    `archcalc verify resnet50 --set classes=10 --input 3x64x96`

    `archcalc verify --all`

    `archcalc verify resnet50 --training`
    """
    # before NumPy is imported; otherwise each process would start one thread per core
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from archcalc.verify.command import verify_and_print

    if not verify_and_print(
        nets or [],
        all_,
        settings(set_, input_),
        full,
        seed,
        jobs,
        format is TableOrJson.json,
        training,
    ):
        raise typer.Exit(1)
