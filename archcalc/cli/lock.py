"""`archcalc lock`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archcalc.cli.options import complete_net


def lock(
    nets: Annotated[
        list[str],
        typer.Argument(
            metavar="NET|PATH",
            help="Networks, `.arch` files, and folders with such files.",
            autocompletion=complete_net,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The lock file.")] = Path(
        "archcalc.lock"
    ),
) -> None:
    """Write the figures of networks to a lock file, which `archcalc check --locked` holds them to.

    All totals, and of each layer its shape, parameters, multiply-adds and FLOPs, a layer a line.

    `archcalc lock vgg16 "mobilenet_v1?width=0.5"`

    `archcalc lock models/ -o models/archcalc.lock`
    """
    from archcalc.checking.lock import lock_networks
    from archcalc.render import output as out
    from archcalc.render.progress import progress

    out.write(lock_networks(nets, output, progress), output)
