"""A profile in Python: as text, in a notebook, as a dictionary, and as a data frame."""

from __future__ import annotations

import html
from typing import Any

from archcalc.diagnostics import error
from archcalc.profile import Profile
from archcalc.render import output
from archcalc.report.columns import COLUMNS, View, for_programs
from archcalc.report.formats import document
from archcalc.report.rows import select_rows
from archcalc.report.table import heading, remarks, render, total_cell, totals_in_words

IN_NOTEBOOKS = ("layer", "operation", "output", "receptive_field", "params", "macs", "activations")
"""The columns of the table in a notebook, which takes the width of the page."""


def table_of(profile: Profile) -> str:
    """The table that `archcalc report` prints, as wide as the terminal."""
    view = View(profile)
    text = render(select_rows(profile), view, (), output.width(), heading(view, ""), False)
    return text.removesuffix("\n")


def html_of(profile: Profile) -> str:
    """A table with totals and remarks. All names are escaped."""
    view = View(profile)
    columns = [COLUMNS[name] for name in IN_NOTEBOOKS]
    lines = [f"<h4>{' · '.join(map(html.escape, heading(view, '')))}</h4>", "<table>"]
    lines.append(_row([column.heading for column in columns], "th"))
    lines += [_row([column.cell(row, view) for column in columns]) for row in select_rows(profile)]
    lines += [_row([total_cell(column, view) for column in columns], "th"), "</table>", "<ul>"]
    totals = [f"{name.strip()}: {value} ({words})" for name, value, words in totals_in_words(view)]
    lines += [f"<li>{html.escape(line.strip())}</li>" for line in [*totals, *remarks(view)]]
    return "\n".join([*lines, "</ul>"])


def _row(cells: list[str], tag: str = "td") -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def dict_of(profile: Profile) -> dict[str, Any]:
    """The document that `archcalc report --format json` prints, without the versions."""
    return document(select_rows(profile), profile)


def frame_of(profile: Profile) -> Any:
    """The layers as a pandas `DataFrame`. Raises `ArchError` without pandas."""
    view = View(profile)
    columns = [COLUMNS[name] for name in for_programs(view)]
    rows = [[column.raw(row, view) for column in columns] for row in select_rows(profile)]
    return data_frame(rows, columns=[column.name for column in columns])


def data_frame(data: Any, columns: list[str] | None = None) -> Any:
    """A pandas `DataFrame`. Raises `ArchError` without pandas."""
    try:
        import pandas
    except ImportError:
        raise error("a data frame needs the package pandas", help="pip install pandas") from None
    return pandas.DataFrame(data, columns=columns)
