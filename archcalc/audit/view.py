"""The audit as a table, Markdown, CSV, and JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from archcalc.audit.claims import VERDICTS
from archcalc.audit.finding import AuditFinding
from archcalc.audit.run import Audit
from archcalc.audit.statement import StatementOutcome
from archcalc.audit.words import cell, reason, shown_value
from archcalc.render.documents import csv_text, escaped, json_text, markdown_table, plain
from archcalc.render.numbers import plural
from archcalc.render.terminal import open_console, printed, ruled

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {
    "exact": "green",
    "rounds": "green",
    "convention": "yellow",
    "discrepant": "bold red",
    "damaged": "magenta",
    "open": "cyan",
    "outside": "dim",
}
HEADINGS = ("Claim", "What it says", "Printed", "Value", "Verdict")
GAP = 2
COLUMNS = (
    "id", "deck", "place", "says", "claimed", "value", "verdict", "variant", "explanation", "source",
    "statement",
)  # fmt: skip
"""The columns of the CSV."""


def disagreements(audit: Audit) -> str:
    """The claims whose computed verdict differs from the stored one, one per line."""
    lines = []
    for finding in audit.disagreements:
        value = shown_value(finding) or "nothing computed"
        lines.append(
            f"{finding.id} ({finding.span}): stored `{finding.stored}`, computed `{finding.verdict}`: "
            f"{value}; printed: {finding.claimed}"
        )
    return "\n".join([*lines, f"{plural(len(lines), 'verdict')} not as expected"])


# --- The terminal -----------------------------------------------------------------------------------


def render(audit: Audit, rows: Sequence[AuditFinding], width: int, colour: bool) -> str:
    """The findings by deck, each with its reason below it, and the number of each verdict."""
    from rich.text import Text

    console = open_console(width, colour)
    cells = [_cells(row) for row in rows]
    sizes = _sizes(cells, width)
    for deck, members in groupby(zip(rows, cells, strict=True), key=lambda pair: pair[0].deck):
        console.print(Text(f"{deck}: {audit.titles[deck]}", style="bold"), overflow="fold")
        console.print(Text(_line([[heading] for heading in HEADINGS], sizes)[0], style="bold"))
        console.print("─" * min(width, sum(sizes) + GAP * (len(sizes) - 1)))
        for row, texts in members:
            _print_row(console, row, texts, sizes, width)
        console.print()
    _print_summary(console, audit)
    console.print()
    for line in legend(audit):
        console.print(Text("\n".join(textwrap.wrap(line, width)), style="dim"))
    listed = {row.deck for row in rows}
    options = [f"--deck {deck}" for deck in audit.on_request if deck in audit.titles and deck not in listed]
    if options:
        console.print(Text(f"\nNot listed here; see {' and '.join(options)}", style="dim"))
    return printed(console)


def legend(audit: Audit) -> list[str]:
    """What each verdict that occurs means."""
    found = {finding.verdict for finding in audit.findings}
    return [f"{verdict}: {meaning}" for verdict, meaning in VERDICTS.items() if verdict in found]


def _cells(row: AuditFinding) -> list[str]:
    return [row.id, row.says, row.claimed, shown_value(row), row.verdict]


def _sizes(cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """The width of each column: verdicts in full, figures if there is room, and the rest for words."""
    columns = list(zip(HEADINGS, *cells, strict=True)) if cells else [(heading,) for heading in HEADINGS]
    sizes = [max(map(len, column)) for column in columns]
    room = width - GAP * (len(sizes) - 1)
    sizes[0] = min(sizes[0], max(12, room // 3))
    limit = max(12, (room - sizes[0] - sizes[4]) // 4)
    for i in (2, 3):
        longest = max(len(word) for text in columns[i] for word in text.split() or [""])
        sizes[i] = min(sizes[i], max(limit, longest))
    sizes[1] = max(10, min(sizes[1], room - sizes[0] - sizes[2] - sizes[3] - sizes[4]))
    return sizes


def _line(columns: Sequence[Sequence[str]], sizes: Sequence[int]) -> list[str]:
    """The lines of a row with wrapped cells. Figures are aligned to the right."""
    lines = []
    for i in range(max(map(len, columns))):
        texts = [column[i] if i < len(column) else "" for column in columns]
        padded = [
            text.rjust(size) if number in (2, 3) else text.ljust(size)
            for number, (text, size) in enumerate(zip(texts, sizes, strict=True))
        ]
        lines.append((" " * GAP).join(padded))
    return lines


def _print_row(
    console: Console, row: AuditFinding, texts: Sequence[str], sizes: Sequence[int], width: int
) -> None:
    from rich.text import Text

    wrapped = [textwrap.wrap(text, size) or [""] for text, size in zip(texts, sizes, strict=True)]
    lines = _line(wrapped, sizes)
    for number, line in enumerate(lines):
        text = Text(line)
        if number == 0:
            text.stylize(STYLES[row.verdict], len(line) - sizes[4])
        console.print(text, no_wrap=True, overflow="ignore", crop=False)
    if not row.holds:
        indent = " " * (sizes[0] + GAP)
        for line in textwrap.wrap(reason(row), width, initial_indent=indent, subsequent_indent=indent):
            console.print(Text(line, style="dim"))


def _print_summary(console: Console, audit: Audit) -> None:
    from rich.text import Text

    summary = audit.summary
    table = ruled(show_footer=len(summary) > 1)
    totals = {verdict: sum(counts[verdict] for counts in summary.values()) for verdict in VERDICTS}
    table.add_column("Deck", "Total", no_wrap=True)
    for verdict, total in totals.items():
        style = STYLES[verdict]
        table.add_column(verdict, f"{total:,}", justify="right", no_wrap=True, header_style=style)
    table.add_column("all", f"{sum(totals.values()):,}", justify="right", no_wrap=True)
    for deck, counts in summary.items():
        figures = [f"{count:,}" if count else "" for count in counts.values()]
        table.add_row(Text(deck), *figures, f"{sum(counts.values()):,}")
    console.print(table)


# --- Documents --------------------------------------------------------------------------------------


def to_markdown(audit: Audit, rows: Sequence[AuditFinding]) -> str:
    """The findings as a table for each deck, and the summary."""
    lines: list[str] = []
    for deck, members in groupby(rows, key=lambda row: row.deck):
        lines += [f"## {escaped(deck)}: {escaped(audit.titles[deck])}", ""]
        cells = []
        for row in members:
            why = "" if row.holds else reason(row)
            cells.append([escaped(cell) for cell in (*_cells(row), why)])
        lines += [*markdown_table([*HEADINGS, "Why"], cells, right=(2, 3)), ""]
    summary = []
    for deck, counts in audit.summary.items():
        figures = [f"{count:,}" if count else "" for count in counts.values()]
        summary.append([escaped(deck), *figures, f"{sum(counts.values()):,}"])
    lines += markdown_table(["Deck", *VERDICTS, "all"], summary, right=range(1, len(VERDICTS) + 2))
    lines += ["", *(f"- {line}" for line in legend(audit))]
    return "\n".join(lines) + "\n"


# --- Programs ---------------------------------------------------------------------------------------


def to_csv(rows: Sequence[AuditFinding]) -> str:
    """The findings as rows with a header."""
    items = []
    for row in rows:
        item = _claim(row)
        item["value"] = cell(row.value, row.shown is not None and row.shown.is_size)
        item["statement"] = "; ".join(item["statement"])
        items.append(item)
    return csv_text(COLUMNS, ([item[name] for name in COLUMNS] for item in items))


def to_json(audit: Audit, rows: Sequence[AuditFinding]) -> str:
    """The audit as one JSON object; `schemas/audit.json` describes it."""
    return json_text(
        summary=audit.summary,
        claims=list(map(_claim, rows)),
    )


def _claim(row: AuditFinding) -> dict[str, Any]:
    return {
        "id": row.id,
        "deck": row.deck,
        "place": row.place,
        "says": row.says,
        "claimed": row.claimed,
        "value": plain(row.value),
        "shown": shown_value(row),
        "verdict": row.verdict,
        "stored": row.stored,
        "variant": row.variant,
        "explanation": row.explanation,
        "source": str(row.span),
        "statement": row.statements,
        "outcomes": [
            *(_outcome("claim", outcome) for outcome in row.claims),
            *(_outcome("under", outcome) for outcome in row.under),
            *(_outcome("restored", outcome) for outcome in row.restored),
        ],
    }


def _outcome(role: str, outcome: StatementOutcome) -> dict[str, Any]:
    return {
        "role": role,
        "statement": outcome.text,
        "holds": outcome.held,
        "left": plain(outcome.left),
        "right": plain(outcome.right),
    }
