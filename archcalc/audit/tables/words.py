"""The text of a table's cells: signs, values in the notation of the table, and reasons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from archcalc.audit.claims import EXPLAINED, VERDICTS
from archcalc.audit.finding import AuditFinding
from archcalc.audit.tables.table import PublishedTable, TableEntry, TableSection
from archcalc.audit.view import STYLES
from archcalc.audit.words import outcome_text, reason, value_text
from archcalc.render.grid import Piece
from archcalc.render.numbers import plural
from archcalc.report import torchsummary
from archcalc.shape import format_shape

SIGNS = {"convention": "†", "discrepant": "≠", "damaged": "‡", "open": "?", "outside": "°"}
"""The sign between a printed figure that does not hold as printed and archcalc's own figure."""

UNSIGNED = "a figure without a sign is right to the printed digits"

TOTAL = "sum of rows"

COMPUTED = "="
"""The sign before a sum that the slide does not print."""


ORDER = ("discrepant", "damaged", "convention", "open", "outside")
"""The order of the reasons: wrong figures come first."""


class Reason(Struct, frozen=True):
    """The reason that some cells have their verdict."""

    verdict: str
    cells: tuple[str, ...]
    text: str


def sized(value: Any, order: str, cross: str = "×") -> str:
    """The shape of a map, which archcalc has channels first, in the order of a table.

    >>> sized((96, 55, 55), "hwc"), sized((64, 56, 56), "nchw"), sized((1, 32, 32), "chw")
    ('55×55×96', '-1,64,56,56', '1×32×32')
    """
    if order == "nchw":
        return ",".join(map(str, (-1, *value)))
    if order == "hwc" and len(value) == 3:
        value = (*value[1:], value[0])
    return format_shape(value, cross=cross)


def value(entry: TableEntry, order: str = "chw") -> str:
    """archcalc's figure. A map of numbers is shown as rows."""
    shown = entry.finding.shown if entry.finding is not None else None
    if shown is None:
        return ""
    if entry.value is not shown.left:
        return value_text(entry.value)
    left = shown.left
    if shown.is_size and is_size(left):
        return sized(left, order)
    if isinstance(left, tuple) and left and all(isinstance(row, tuple) for row in left):
        if shown.is_size:
            return ", ".join(sized(size, order) for size in left)
        return " / ".join(",".join(value_text(number) for number in row) for row in left)
    return outcome_text(shown)


def is_size(value: Any) -> bool:
    """Is it a list of lengths along axes?"""
    return isinstance(value, tuple) and all(isinstance(length, int) for length in value)


def printed(entry: TableEntry) -> str:
    """The text of a cell, or nothing if the figure is a question or is lost."""
    if entry.finding is not None and entry.finding.verdict == "open" and entry.text == entry.finding.claimed:
        return ""
    return entry.text


def mark(entry: TableEntry, order: str = "chw") -> tuple[str, str]:
    """A sign and archcalc's figure, which follow a printed figure. Both are empty if that is right."""
    finding = entry.finding
    if finding is None or finding.verdict not in SIGNS:
        return "", ""
    return SIGNS[finding.verdict], value(entry, order).removeprefix("≈")


def below(finding: AuditFinding, order: str = "chw") -> str:
    """A claim about the whole table, and archcalc's figure for it."""
    figure = value(TableEntry(finding.claimed, finding, finding.value), order)
    if finding.verdict in SIGNS and finding.claimed:
        figure = f"{finding.claimed} {SIGNS[finding.verdict]} {figure}".rstrip()
    return f"{finding.says}: {figure}"


def legend(table: PublishedTable) -> list[tuple[str, str]]:
    """The signs that occur, by verdict, and what they mean."""
    signed = [verdict for verdict in table.verdicts if verdict in SIGNS]
    return [(verdict, f"{SIGNS[verdict]} {verdict}: {VERDICTS[verdict]}") for verdict in signed]


def summary(table: PublishedTable) -> str:
    """The number of figures, in total and by verdict."""
    counts = table.verdicts
    total = sum(counts.values())
    listed = ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items())
    return f"{plural(total, 'figure')}: {listed}"


def reasons(table: PublishedTable) -> list[Reason]:
    """The reasons for verdicts, wrong figures first. Cells with the same reason are listed together."""
    cells: dict[tuple[str, str], dict[str, None]] = {}
    for section in table.sections:
        for label, finding in _labelled(section):
            if finding.verdict in EXPLAINED and reason(finding):
                key = (finding.verdict, reason(finding))
                cells.setdefault(key, {})[finding.id or label] = None
    found = [Reason(verdict, tuple(labels), text) for (verdict, text), labels in cells.items()]
    return sorted(found, key=lambda one: ORDER.index(one.verdict))


def _labelled(section: TableSection) -> Iterable[tuple[str, AuditFinding]]:
    """Each finding, with a label for claims that have no id."""
    place = f"{section.part.title}: " if section.part.title else ""
    for number, row in enumerate(section.rows, 1):
        for column, entry in zip(section.part.columns, row, strict=False):
            if entry.finding is not None:
                yield f"{place}{column}, row {number}", entry.finding
    for finding in section.below:
        yield finding.says, finding


def beside(section: TableSection, width: int = 0) -> list[list[Piece]]:
    """The listing of a table's network, as torchsummary writes it, with the slide's figures to its right.

    Only figures that do not hold as printed are shown, with their signs. If there is a `width`, figures that
    do not fit are on a separate line.
    """
    assert section.listed is not None
    of_slide = {row[0].text: row[1:] for row in section.rows}
    rows = torchsummary.lines(section.listed)
    first, headings, *rest = torchsummary.head()
    found = [[(line, "bold")] for line in (first, f"{headings} Printed", *rest)]
    for row in rows:
        found.append([(row.text, "")])
        used = len(row.text)
        for entry in of_slide.get(row.name, ()):
            finding = entry.finding
            if finding is None or finding.verdict not in SIGNS:
                continue
            text = f" {printed(entry)}{SIGNS[finding.verdict]}"
            if width and used + len(text) > width:
                used = max(0, width - len(text))
                found.append([(" " * used, "")])
            found[-1].append((text, STYLES[finding.verdict]))
            used += len(text)
    return found + [[(line, "")] for line in torchsummary.foot(section.listed, rows)]
