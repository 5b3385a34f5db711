"""`archcalc verify`"""

from __future__ import annotations

import os
from typing import Annotated, Optional

import typer

from archcalc.cli.options import Inputs, Seed, Sets, TableOrJson, TableOrJsonOption, complete_net, settings


def verify(
    nets: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="NET", help="Networks to prove.", autocompletion=complete_net),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every built-in network.")] = False,
    set_: Sets = None,
    input_: Inputs = None,
    full: Annotated[
        bool, typer.Option("--full", help="At the declared input size, however long it takes.")
    ] = False,
    seed: Seed = 0,
    jobs: Annotated[
        int, typer.Option(min=0, help="Processes that share the work; 0 takes one per core.")
    ] = 0,
    format: TableOrJsonOption = TableOrJson.table,
) -> None:
    """Prove the figures of networks by running them on real tensors.

    Shapes at every node; parameters as arrays that were allocated; multiply-adds counted one by one, also
    without those that multiply padding; receptive fields marked by NaNs; bytes of the tensors, and the
    most of them alive at once. Large inputs are scaled down where that proves the same.

    `archcalc verify vgg16 resnet50`

    `archcalc verify resnet50 --set classes=10 --input 3x64x96`

    `archcalc verify --all`
    """
    # before NumPy is imported: each of several processes would start as many threads as there are cores
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from archcalc.verify.command import verify_and_print

    if not verify_and_print(
        nets or [], all_, settings(set_, input_), full, seed, jobs, format is TableOrJson.json
    ):
        raise typer.Exit(1)
