"""`archcalc list`"""

from __future__ import annotations

from typing import Annotated

import typer

from archcalc.cli.options import TableOrJson, TableOrJsonOption


def list(
    search: Annotated[str, typer.Argument(metavar="SEARCH", help="List only names that contain this.")] = "",
    family: Annotated[str, typer.Option(metavar="NAME", help="List only this family.")] = "",
    format: TableOrJsonOption = TableOrJson.table,
) -> None:
    """List the built-in networks by family.

    `archcalc list`

    `archcalc list v1_5`

    `archcalc list --family resnet`

    `archcalc list --format json`
    """
    from archcalc.catalog import shipped
    from archcalc.render import output
    from archcalc.render.progress import progress
    from archcalc.report import listing

    networks = shipped(family, search)
    entries = [listing.entry(network) for network in progress(networks, "Reading specs")]
    if format is TableOrJson.json:
        output.write(listing.to_json(entries), None)
    else:
        output.write(listing.render(entries, output.width(), output.colour()), None)
