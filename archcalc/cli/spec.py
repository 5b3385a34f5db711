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
        typer.Option(metavar="FOLDER", help="Copy the file and the files it imports to this folder."),
    ] = None,
) -> None:
    """Show the text that declares a network, or copy it.

    `archcalc spec vgg16`

    `archcalc spec resnet50 --copy .`
    """
    from archcalc.catalog import copy_texts
    from archcalc.diagnostics import error
    from archcalc.opening import open_net
    from archcalc.render import output

    opened, _ = open_net(net)
    texts = opened.texts()
    if not texts:
        raise error(f"no text declares `{net}`", help="`archcalc report` shows its layers")
    if copy is None:
        output.write(next(iter(texts.values())), None)
        return
    for path in copy_texts(texts, copy):
        print(path)
