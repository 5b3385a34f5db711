"""`archcalc spec`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from archcalc.cli.options import Net


def spec(
    net: Net,
    copy: Annotated[
        Optional[Path],
        typer.Option(metavar="FOLDER", help="Copy the file there, with the files it imports, to change it."),
    ] = None,
) -> None:
    """Show the text that declares a network, or copy it.

    `archcalc spec vgg16`

    `archcalc spec resnet50 --copy .`
    """
    from archcalc.catalog import copy_spec, find
    from archcalc.render import output

    found = find(net)
    if copy is None:
        output.write(found.module.source.text, None)
        return
    for path in copy_spec(found, copy):
        print(path)
