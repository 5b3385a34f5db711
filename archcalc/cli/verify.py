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
        bool, typer.Option("--full", help="Run at the declared input size, however long it takes.")
    ] = False,
    training: Annotated[
        bool, typer.Option("--training", help="Prove what a step of training costs instead.")
    ] = False,
    seed: Seed = 0,
    jobs: Annotated[int, typer.Option(min=0, help="Number of processes; 0 means one per core.")] = 0,
    format: TableOrJsonOption = TableOrJson.table,
) -> None:
    """Check the figures of networks by running them on real tensors.

    Output shapes of all nodes, parameters in allocated arrays, MACs counted one by one, receptive
    fields with NaN probes, total and peak tensor memory. Also shown: MACs without those by padding.
    Large inputs are scaled down, but parameters are always counted at the declared input.

    `archcalc verify vgg16 resnet50`

    `archcalc verify resnet50 --set classes=10 --input 3x64x96`

    With `--training`: gradients beside central differences, MACs of the backward pass counted one by
    one, and the bytes alive at every moment of a step, with NaN in all that is not declared to be kept.

    `archcalc verify --all`

    `archcalc verify resnet50 --training`
    """
    # before NumPy is imported: each of several processes would start as many threads as there are cores
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
