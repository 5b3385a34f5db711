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
            help="Networks, `.arch` files, and folders with `.arch` files.",
            autocompletion=complete_net,
        ),
    ] = None,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Update the figures of all networks in the lock file. Add NETs, and networks that are new "
            "in its files and folders.",
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
        bool,
        typer.Option("--compact", help="Write all layers of a network on one line, not one line per layer."),
    ] = False,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The lock file.")] = Path(
        "archcalc.lock"
    ),
) -> None:
    """Write the figures of networks to a lock file, for `archcalc check --locked`.

    A lock file has all totals, and the shape, parameters, MACs, and FLOPs of each layer, one layer per line.
    It also records the options that affect the figures, such as `--batch` and `--dtype`.

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
        raise error("name networks, files, or folders to lock", help="or update the lock file: `--update`")
    if not nets and chosen != DEFAULT:
        raise error(
            "`--update` takes the options of each network from the lock file",
            help="give `--set`, `--input`, `--batch`, `--dtype`, and `--heads` together with networks",
        )
    locked = lock_networks(nets or [], output, progress, chosen, update)
    out.write(to_text(locked.now, compact), output)
    lines = render(locked, output)
    if str(output) == "-":  # the lock file itself goes to the standard output
        out.warn(lines)
    else:
        out.write("".join(f"{line}\n" for line in lines), None)
    out.warn(list(locked.notes))
