"""`archcalc lock`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archcalc.cli.options import Batch, Dtype, Heads, Inputs, Sets, complete_net, settings


def lock(
    nets: Annotated[
        list[str],
        typer.Argument(
            metavar="NET|PATH",
            help="Networks, `.arch` files, and folders with such files.",
            autocompletion=complete_net,
        ),
    ],
    set_: Sets = None,
    input_: Inputs = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    heads: Heads = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="One line for the layers of a network, instead of one each.")
    ] = False,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The lock file.")] = Path(
        "archcalc.lock"
    ),
) -> None:
    """Write the figures of networks to a lock file, which `archcalc check --locked` holds them to.

    All totals, and the shape, parameters, multiply-adds and FLOPs of each layer, one layer per line. The
    file says under which `--batch`, `--dtype`, `--input` and `--heads` its figures were taken.

    `archcalc lock vgg16 "mobilenet_v1?width=0.5"`

    `archcalc lock detector.arch --batch 32 --dtype float16`

    `archcalc lock models/ -o models/archcalc.lock`
    """
    from archcalc.checking.lock import lock_networks
    from archcalc.render import output as out
    from archcalc.render.progress import progress

    chosen = settings(set_, input_, batch, dtype, heads)
    out.write(lock_networks(nets, output, progress, chosen, compact), output)
