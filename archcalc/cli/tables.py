"""`archcalc tables`"""

from __future__ import annotations

from typing import Annotated

import typer

from archcalc.cli.options import Format, FormatOption, Output


def complete_table(incomplete: str) -> list[str]:
    from archcalc.audit.tables.layout import layouts

    return [layout.name for layout in layouts() if layout.name.startswith(incomplete)]


def tables(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A table's name or number (`T4`; `T12` is T12.1 to T12.6), or a `.toml` file of tables.",
            show_default=False,
            autocompletion=complete_table,
        ),
    ] = "",
    format: FormatOption = Format.table,
    output: Output = None,
) -> None:
    """Show the tables of five lecture decks, with archcalc's own figures where they differ.

    Without a name, the tables are listed. A `.toml` file can hold tables of your own.

    `archcalc tables`

    `archcalc tables vgg16-memory`

    `archcalc tables T7`

    `archcalc tables T10 --format csv -o mobilenet.csv`

    `archcalc tables mine.toml`
    """
    from archcalc.audit.tables import documents
    from archcalc.audit.tables.layout import layouts
    from archcalc.audit.tables.table import tables as evaluated
    from archcalc.render import output as out
    from archcalc.render.progress import progress

    found = evaluated(name, progress) if name else []
    known = layouts() if not name else []
    if format is Format.json:
        out.write(documents.to_json(found) if name else documents.list_to_json(known), output)
    elif format is Format.csv:
        out.write("\n".join(map(documents.to_csv, found)) or documents.list_to_csv(known), output)
    elif format is Format.markdown:
        out.write("\n".join(map(documents.to_markdown, found)) or documents.list_to_markdown(known), output)
    else:
        from archcalc.audit.tables import view as report

        width, colour = out.width(), out.colour(output)
        text = report.render(found, width, colour) if name else report.render_list(known, width, colour)
        out.write(text, output)
