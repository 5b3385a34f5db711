"""A table that is the listing of another tool, beside that listing made anew."""

from __future__ import annotations

from archcalc.audit.tables import words
from archcalc.audit.tables.table import TableSection
from archcalc.audit.view import STYLES
from archcalc.render.grid import Piece
from archcalc.report import torchsummary


def beside(section: TableSection, width: int = 0) -> list[list[Piece]]:
    """The listing of a table's network, each of the table's rows beside the row of its name.

    Of a row stand there the figures that are not simply right, as the slide prints them, with their signs;
    what does not fit into the `width`, if there is one, stands on a line of its own.
    """
    assert section.listed is not None
    printed = {row[0].text: row[1:] for row in section.rows}
    rows = torchsummary.lines(section.listed)
    first, headings, *rest = torchsummary.head()
    found = [[(line, "bold")] for line in (first, f"{headings} Printed", *rest)]
    for row in rows:
        found.append([(row.text, "")])
        used = len(row.text)
        for entry in printed.get(row.name, ()):
            finding = entry.finding
            if finding is None or finding.verdict not in words.SIGNS:
                continue
            text = f" {words.printed(entry)}{words.SIGNS[finding.verdict]}"
            if width and used + len(text) > width:
                used = max(0, width - len(text))
                found.append([(" " * used, "")])
            found[-1].append((text, STYLES[finding.verdict]))
            used += len(text)
    return found + [[(line, "")] for line in torchsummary.foot(section.listed, rows)]
