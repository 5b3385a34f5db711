"""Published tables as Markdown, CSV, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archcalc.audit.tables import words
from archcalc.audit.tables.layout import TableLayout
from archcalc.audit.tables.table import PublishedTable, TableEntry, TableSection
from archcalc.audit.words import cell, reason
from archcalc.render.documents import csv_text, escaped, json_text, markdown_table, plain
from archcalc.render.numbers import grouped

# --- Markdown ---------------------------------------------------------------------------------------


def to_markdown(table: PublishedTable, level: int = 2) -> str:
    """A table with a heading of the given level. A value that differs follows the printed figure in bold."""
    layout = table.layout
    heading = f"{'#' * level} {escaped(f'{layout.number} {layout.name}: {layout.title}')}"
    return "\n".join([heading, "", *markdown_body(table)]).rstrip() + "\n"


def markdown_body(table: PublishedTable) -> list[str]:
    """The lines of a table without its heading."""
    lines = [*(f"{escaped(source)}  " for source in table.layout.sources), ""] if table.layout.sources else []
    for section in table.sections:
        part = section.part
        lines += [escaped(f"{part.title} ({part.place})" if part.title else part.place), ""]
        lines += [*_markdown_grid(section), ""]
        lines += [f"- {escaped(words.below(finding, part.axes))}" for finding in section.below]
        lines += [""] if section.below else []
        lines += [escaped(part.note), ""] if part.note else []
    about = [f"{words.summary(table)}; {words.UNSIGNED}", *(text for _, text in words.legend(table))]
    lines += ["  \n".join(map(escaped, about)), ""]
    return lines + [_markdown_reason(one) for one in words.reasons(table)]


def _markdown_grid(section: TableSection) -> list[str]:
    if section.listed is not None:
        listing = ["".join(text for text, _ in line) for line in words.beside(section)]
        return ["```", *listing, "```"]
    columns = section.part.columns
    rows = []
    for row in section.rows:
        cells = [_markdown_cell(entry, section.part.axes) for entry in row]
        rows.append(cells + [""] * (len(columns) - len(cells)))
    if section.sums:
        sums = [section.sums.get(column) for column in columns]
        total = [f"**{words.COMPUTED} {grouped(sum)}**" if sum is not None else "" for sum in sums]
        rows.append([words.TOTAL, *total[1:]])
    return markdown_table(list(map(escaped, columns)), rows)


def _markdown_cell(entry: TableEntry, order: str) -> str:
    text = "<br>".join(escaped(line) for line in words.printed(entry).split("\n"))
    mark = " ".join(words.mark(entry, order)).rstrip()
    return " ".join(filter(None, (text, f"**{escaped(mark)}**" if mark else "")))


def _markdown_reason(one: words.Reason) -> str:
    cells = "; ".join(map(escaped, one.cells))
    return f"- {words.SIGNS[one.verdict]} {cells}: {escaped(one.text)}"


def list_to_markdown(layouts: Sequence[TableLayout]) -> str:
    """The list of tables."""
    rows = [[la.number, la.name, escaped(la.title), escaped(" ".join(la.decks))] for la in layouts]
    return "\n".join(markdown_table(["Table", "Name", "Title", "Decks"], rows)) + "\n"


# --- CSV --------------------------------------------------------------------------------------------


def to_csv(table: PublishedTable) -> str:
    """The table in its own layout. A column of figures is followed by a column of values and one of verdicts.

    The parts of a table are separated by a blank line.
    """
    return "\n".join(_csv_part(section) for section in table.sections)


def _csv_part(section: TableSection) -> str:
    part = section.part
    figures = [
        any(column < len(row) and row[column].finding is not None for row in section.rows)
        for column in range(len(part.columns))
    ]
    header: list[str] = []
    for name, has_figures in zip(part.columns, figures, strict=True):
        header += [name, f"{name} computed", f"{name} verdict"] if has_figures else [name]
    rows = []
    for row in section.rows:
        cells: list[str] = []
        for entry, has_figures in zip(row, figures, strict=False):
            cells += _csv_cells(entry, part.axes) if has_figures else [_on_one_line(entry.text)]
        rows.append(cells + [""] * (len(header) - len(cells)))
    return csv_text(header, rows)


def _csv_cells(entry: TableEntry, order: str) -> list[str]:
    finding = entry.finding
    if finding is None:
        return [_on_one_line(entry.text), "", ""]
    is_map = finding.shown is not None and finding.shown.is_size and words.is_size(entry.value)
    value = words.sized(entry.value, order, "x") if is_map else cell(entry.value)
    return [_on_one_line(entry.text), value, finding.verdict]


def _on_one_line(text: str) -> str:
    return text.replace("\n", "; ")


def list_to_csv(layouts: Sequence[TableLayout]) -> str:
    """The list of tables."""
    rows = [(la.number, la.name, la.title, " ".join(la.decks), "; ".join(la.places)) for la in layouts]
    return csv_text(("number", "name", "title", "decks", "places"), rows)


# --- JSON -------------------------------------------------------------------------------------------


def to_json(tables: Sequence[PublishedTable]) -> str:
    """Tables with everything known about each cell; `schemas/tables.json` describes the format."""
    return json_text(tables=[{**_head(table.layout), **_body(table)} for table in tables])


def list_to_json(layouts: Sequence[TableLayout]) -> str:
    """The list of tables, as in `to_json` but without computed values."""
    return json_text(tables=list(map(_head, layouts)))


def _head(layout: TableLayout) -> dict[str, Any]:
    return {
        "name": layout.name,
        "number": layout.number,
        "title": layout.title,
        "decks": list(layout.decks),
        "places": layout.places,
    }


def _body(table: PublishedTable) -> dict[str, Any]:
    return {"verdicts": table.verdicts, "parts": list(map(_part, table.sections))}


def _part(section: TableSection) -> dict[str, Any]:
    part = section.part
    return {
        "title": part.title,
        "place": part.place,
        "columns": list(part.columns),
        "rows": [[_cell(entry, part.axes) for entry in row] for row in section.rows],
        "sums": section.sums,
        "below": [
            {"says": finding.says, **_cell(TableEntry(finding.claimed, finding, finding.value), part.axes)}
            for finding in section.below
        ],
    }


def _cell(entry: TableEntry, order: str) -> dict[str, Any]:
    finding = entry.finding
    if finding is None:
        return {"printed": entry.text}
    return {
        "printed": entry.text,
        "value": plain(entry.value),
        "shown": words.value(entry, order),
        "verdict": finding.verdict,
        "claim": finding.id,
        "statement": [outcome.text for outcome in finding.outcomes],
        "explanation": reason(finding),
        "source": str(finding.span),
    }
