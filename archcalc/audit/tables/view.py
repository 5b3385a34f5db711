"""Published tables in the terminal: each printed figure with its sign, and the reasons below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from archcalc.audit.tables import words
from archcalc.audit.tables.layout import TableLayout
from archcalc.audit.tables.table import PublishedTable, TableEntry, TableSection
from archcalc.audit.view import STYLES
from archcalc.render.grid import GridCell, Piece, lay_out
from archcalc.render.numbers import grouped
from archcalc.render.terminal import open_console, printed

if TYPE_CHECKING:
    from rich.console import Console


def render(tables: Sequence[PublishedTable], width: int, colour: bool) -> str:
    """Render tables, one below another."""
    console = open_console(width, colour)
    for number, table in enumerate(tables):
        if number:
            _print(console, [])
        _table(console, table, width)
    return printed(console)


def render_list(layouts: Sequence[TableLayout], width: int, colour: bool) -> str:
    """Render the list of tables and the decks that print them."""
    console = open_console(width, colour)
    rows = [[GridCell(heading) for heading in ("Table", "Name", "Title", "Decks")]]
    rows += [
        [GridCell(text) for text in (la.number, la.name, la.title, " ".join(la.decks))] for la in layouts
    ]
    for panel in lay_out(rows, width, spaced=False):
        for line in panel:
            _print(console, line)
    _print(console, [])
    for source in sorted({source for layout in layouts for source in layout.sources}):
        _wrapped(console, source, width, "dim", "  ")
    _print(console, [])
    _wrapped(console, "`archcalc tables NAME` shows one table, by its name or number.", width, "dim")
    return printed(console)


def _print(console: Console, line: Sequence[Piece]) -> None:
    from rich.text import Text

    text = Text()
    for part, style in line:
        text.append(part, style or None)
    console.print(text, no_wrap=True, overflow="ignore", crop=False)


def _wrapped(console: Console, text: str, width: int, style: str = "", indent: str = "") -> None:
    for line in textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ):
        _print(console, [(line, style)])


def _table(console: Console, table: PublishedTable, width: int) -> None:
    layout = table.layout
    _wrapped(console, f"{layout.number} {layout.name}: {layout.title}", width, "bold")
    for source in layout.sources:
        _wrapped(console, source, width, "dim", "  ")
    for number, section in enumerate(table.sections):
        if number:
            _print(console, [])
        part = section.part
        _wrapped(console, f"{part.title} ({part.place})" if part.title else part.place, width, "dim")
        _print(console, [])
        for panel, lines in enumerate(_grid(section, width)):
            if panel:
                _print(console, [])
            for line in lines:
                _print(console, line)
        if section.below or part.note:
            _print(console, [])
        for finding in section.below:
            _wrapped(console, words.below(finding, part.axes), width, STYLES[finding.verdict], "  ")
        if part.note:
            _wrapped(console, part.note, width, "dim")
    _print(console, [])
    _wrapped(console, f"{words.summary(table)}; {words.UNSIGNED}", width)
    for verdict, text in words.legend(table):
        _wrapped(console, text, width, STYLES[verdict])
    _reasons(console, table, width)


def _grid(section: TableSection, width: int) -> list[list[list[Piece]]]:
    if section.listed is not None:
        return [words.beside(section, width)]
    order = section.part.axes
    rows = [[GridCell(column) for column in section.part.columns]]
    rows += [[_grid_cell(entry, order) for entry in row] for row in section.rows]
    if section.sums:
        sums = [section.sums.get(column) for column in section.part.columns]
        total = [
            GridCell("", words.COMPUTED, grouped(sum), "bold") if sum is not None else GridCell("")
            for sum in sums
        ]
        rows.append([GridCell(words.TOTAL), *total[1:]])
    return lay_out(rows, width)


def _grid_cell(entry: TableEntry, order: str) -> GridCell:
    style = STYLES[entry.finding.verdict] if entry.finding is not None else ""
    return GridCell(words.printed(entry), *words.mark(entry, order), style)


def _reasons(console: Console, table: PublishedTable, width: int) -> None:
    reasons = words.reasons(table)
    if reasons:
        _print(console, [])
    for reason in reasons:
        cells = "; ".join(reason.cells)
        text = f"{words.SIGNS[reason.verdict]} {cells}: {reason.text}"
        _wrapped(console, text, width, "", "  ")
