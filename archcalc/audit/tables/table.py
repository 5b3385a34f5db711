"""Evaluated tables: each printed figure with its value and its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from archcalc.audit.claims import EXPLAINED, VERDICTS, Claim
from archcalc.audit.finding import AuditFinding, judge
from archcalc.audit.networks import Networks
from archcalc.audit.tables.layout import Cell, TableLayout, TablePart, chosen, layouts, read_layouts
from archcalc.diagnostics import ArchError, Diagnostic
from archcalc.profile import Profile
from archcalc.render.progress import Progress, unseen


class TableEntry(Struct, frozen=True, eq=False):
    """A cell: the printed text and, for a figure, the finding of the audit."""

    text: str
    finding: AuditFinding | None = None
    value: Any = None
    """archcalc's figure: the value of the finding, or an item of that value."""


class TableSection(Struct, frozen=True, eq=False):
    """One grid of a table, evaluated.

    `sums` has the sums of columns by name. `listed` is the network that is listed, if any.
    """

    part: TablePart
    rows: tuple[tuple[TableEntry, ...], ...]
    sums: dict[str, int]
    below: tuple[AuditFinding, ...]
    listed: Profile | None = None

    @property
    def findings(self) -> Iterator[AuditFinding]:
        """The printed figures, row by row and then below the table, without those that archcalc adds."""
        for row in self.rows:
            yield from (entry.finding for entry in row if entry.finding is not None)
        yield from (finding for finding in self.below if finding.claimed)


class PublishedTable(Struct, frozen=True, eq=False):
    """A published table, evaluated."""

    layout: TableLayout
    sections: tuple[TableSection, ...]

    @property
    def findings(self) -> list[AuditFinding]:
        return [finding for section in self.sections for finding in section.findings]

    @property
    def verdicts(self) -> dict[str, int]:
        """The number of figures with each verdict that occurs."""
        counts = Counter(finding.verdict for finding in self.findings)
        return {verdict: counts[verdict] for verdict in VERDICTS if counts[verdict]}


def all_tables(progress: Progress = unseen) -> list[PublishedTable]:
    """Every built-in table, evaluated. Raises `ArchError` with every mistake in their data."""
    return evaluate(layouts(), progress)


def tables(name: str, progress: Progress = unseen) -> list[PublishedTable]:
    """The built-in tables with a name or a number, or all tables of a `.toml` file.

    Raises `ArchError` if there are none, or with every mistake in them.

    >>> [table.layout.number for table in tables("vgg16-memory")]
    ['T4']
    """
    found = read_layouts(Path(name)) if name.endswith(".toml") else chosen(name, layouts())
    return evaluate(found, progress)


def evaluate(found: Sequence[TableLayout], progress: Progress = unseen) -> list[PublishedTable]:
    """Evaluate tables. Raises `ArchError` with every mistake in their statements."""
    evaluator = _Evaluator()
    evaluated = [evaluator.table(layout) for layout in progress(found, "Tables")]
    if evaluator.problems:
        raise ArchError(evaluator.problems)
    return evaluated


class _Evaluator:
    def __init__(self) -> None:
        self.networks = Networks()
        self.problems: list[Diagnostic] = []
        self._judged: dict[int, AuditFinding | None] = {}

    def table(self, layout: TableLayout) -> PublishedTable:
        return PublishedTable(layout, tuple(map(self.section, layout.parts)))

    def section(self, part: TablePart) -> TableSection:
        rows = tuple(tuple(map(self.entry, row)) for row in part.rows)
        below = tuple(found for claim in part.below if (found := self.finding(claim)) is not None)
        sums = {name: self.sum(part, rows, name) for name in part.sums}
        return TableSection(part, rows, sums, below, self.listed(part))

    def entry(self, cell: Cell) -> TableEntry:
        finding = self.finding(cell.claim) if cell.claim is not None else None
        if finding is None:
            return TableEntry(cell.text)
        value = finding.value
        if cell.item is None:
            return TableEntry(cell.text, finding, value)
        if not isinstance(value, tuple) or cell.item >= len(value):
            message = f"the value of `{finding.id}` has no item {cell.item}"
            self.problems.append(Diagnostic(message, cell.span, help="items are counted from 0"))
            return TableEntry(cell.text, finding)
        return TableEntry(cell.text, finding, value[cell.item])

    def finding(self, claim: Claim) -> AuditFinding | None:
        """The finding for a claim. A claim in several cells is evaluated once."""
        if id(claim) not in self._judged:
            self._judged[id(claim)] = self._judge(claim)
        return self._judged[id(claim)]

    def _judge(self, claim: Claim) -> AuditFinding | None:
        try:
            found = judge(claim, self.networks)
        except ArchError as mistakes:
            self.problems += mistakes.diagnostics
            return None
        if found.verdict in EXPLAINED - {"open"} and not found.explanation:
            message = f'the verdict `{found.verdict}` needs `because = "..."`'
            self.problems.append(Diagnostic(message, claim.span))
        return found

    def sum(self, part: TablePart, rows: Sequence[Sequence[TableEntry]], name: str) -> int:
        """The sum of a column's figures. A printed total is a claim below the table."""
        column = part.columns.index(name)
        values = [row[column].value for row in rows if column < len(row) and row[column].finding is not None]
        if not all(type(value) is int for value in values):
            message = f"the column `{name}` has figures that cannot be added up"
            self.problems.append(Diagnostic(message, next(iter(part.claims)).span))
            return 0
        return sum(values)

    def listed(self, part: TablePart) -> Profile | None:
        if part.listing is None:
            return None
        try:
            return self.networks.profile(self.networks.opened(part.listing.text))
        except ArchError as mistakes:
            self.problems += [
                Diagnostic(problem.message, part.listing.span, help=problem.help)
                for problem in mistakes.diagnostics
            ]
            return None
