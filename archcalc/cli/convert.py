"""`archcalc convert`"""

from __future__ import annotations

from typing import Annotated

import typer

from archcalc.cli.options import Inputs, Net, Output, Sets, settings


def convert(
    net: Net,
    set_: Sets = None,
    input_: Inputs = None,
    output: Output = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file if it exists.")] = False,
) -> None:
    """Write a network as an `.arch` text.

    Modules and repeated layers become blocks, and consecutive repetitions become loops. Before the text is
    written, archcalc reads it and checks that it declares the same network.

    `archcalc convert resnet50`

    `archcalc convert "mobilenet_v1?width=0.5" -o half.arch`
    """
    from archcalc.convert.command import convert_and_write

    convert_and_write(settings(set_, input_).network(net), net, output, force)
