"""`archcalc lock`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from archcalc.cli.options import (
    Batch,
    Dtype,
    Heads,
    Inputs,
    OptimizerName,
    Sets,
    Training,
    complete_net,
    settings,
)


def lock(
    nets: Annotated[
        Optional[list[str]],
        typer.Argument(
            metavar="NET|PATH",
            help="Networks, `.arch` files, and folders with such files.",
            autocompletion=complete_net,
        ),
    ] = None,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Keep what the lock file locks and lock it as it is now, with the new networks of its files "
            "and folders. NETs are added.",
        ),
    ] = False,
    set_: Sets = None,
    input_: Inputs = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    training: Training = False,
    optimizer: OptimizerName = "sgd",
    heads: Heads = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="One line for the layers of a network, instead of one each.")
    ] = False,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The lock file.")] = Path(
        "archcalc.lock"
    ),
) -> None:
    """Write the figures of networks to a lock file, for `archcalc check --locked`.

    It records all totals, and the shape, parameters, MACs and FLOPs of each layer, one layer per line. The
    file also records the `--batch`, `--dtype`, `--input` and `--heads` that its figures were taken with.

    `archcalc lock vgg16 "mobilenet_v1?width=0.5"`

    `archcalc lock detector.arch --batch 32 --dtype float16`

    `archcalc lock models/ -o models/archcalc.lock`

    `archcalc lock --update`
    """
    from archcalc.checking.lock_file import to_text
    from archcalc.checking.locking import lock_networks
    from archcalc.checking.relock_view import render
    from archcalc.diagnostics import error
    from archcalc.render import output as out
    from archcalc.render.progress import progress
    from archcalc.settings import DEFAULT

    chosen = settings(set_, input_, batch, dtype, heads, training=training, optimizer=optimizer)
    if not nets and not update:
        raise error(
            "name networks, files or folders to lock", help="or lock again what is locked: `--update`"
        )
    if not nets and chosen != DEFAULT:
        raise error(
            "the lock file has the options of each network",
            help="give `--set`, `--input`, `--batch`, `--dtype` and `--heads` with the networks they are for",
        )
    locked = lock_networks(nets or [], output, progress, chosen, update)
    out.write(to_text(locked.now, compact), output)
    lines = render(locked, output)
    if str(output) == "-":  # the lock itself is on the standard output
        out.warn(lines)
    else:
        out.write("".join(f"{line}\n" for line in lines), None)
    out.warn(list(locked.notes))
