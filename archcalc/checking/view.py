"""The results of a check as a table and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from archcalc import __version__
from archcalc.checking.evaluate import format_value
from archcalc.checking.moved import main_totals, moved_blocks, totals_are_unchanged
from archcalc.checking.outcome import CheckedLock, Finding, Outcome, Result
from archcalc.diagnostics import Diagnostic, Span
from archcalc.notes import note_lines, note_objects
from archcalc.render.documents import json_text, plain
from archcalc.render.numbers import plural
from archcalc.render.terminal import open_console, printed

if TYPE_CHECKING:
    from rich.text import Text

MAX_LAYERS = 8
"""The most layers that break a bound and are named in a table."""


def place(span: Span | None) -> str:
    """A place in a file or on the command line."""
    if span is None:
        return ""
    return str(span) if span.source.path is not None else span.source.name


def off_by(finding: Finding) -> str:
    """The difference of a value from its figure: `-1,234 (-0.5%)`; empty if it is not one number."""
    difference, figure = finding.difference, finding.figure
    if not difference or isinstance(figure, tuple) or finding.negated or finding.unknown:
        return ""
    whole = isinstance(difference, int)
    text = f"{difference:+,}" if whole else f"{float(difference):+,.1f}"
    if not figure:
        return text
    percent = Fraction(difference) * 100 / abs(Fraction(figure))
    share = f"{float(percent):+,.1f}%" if abs(percent) >= Fraction(1, 20) else "<0.1%"
    return f"{text} ({share})"


def value_of(finding: Finding) -> str:
    """The value found, as a cell."""
    if finding.layers:
        broken = f"{len(finding.misses)} of " if finding.misses else ""
        return broken + plural(finding.layers, "layer")
    if finding.unknown:
        return f"{format_value(finding.value or 0)} + ?"
    return "" if finding.value is None else format_value(finding.value)


def summary(outcome: Outcome) -> str:
    """A sentence on the whole check."""
    failures, problems = len(outcome.failures), len(outcome.problems)
    checked = plural(outcome.checked, "locked figure" if outcome.locked else "expectation")
    text = f"{checked} of {plural(len(outcome.results), 'network')}: "
    if not outcome.checked:
        text = "nothing checked"
    elif outcome.locked:
        text += f"{failures:,} moved" if failures else "none moved further than allowed"
    else:
        text += f"{failures:,} do{'es' if failures == 1 else ''} not hold" if failures else "all hold"
    if problems:
        text += f"; {plural(problems, 'input')} could not be checked"
    return text


# --- For people -------------------------------------------------------------------------------------

GAP = 2

MAX_BLOCKS = 8
"""The most blocks with moved layers that are listed for a network. `--verbose` lists all."""

MAX_NEW = 8
"""The most networks named that are not in a lock file."""


class Row(Struct, frozen=True):
    """A line of the table: a network or one of its checks, with lines below."""

    text: str
    value: str = ""
    off: str = ""
    place: str = ""
    style: str = ""
    verdict: str = ""
    details: Sequence[str] = ()
    is_wide: bool = False

    @property
    def indent(self) -> int:
        return INDENT if self.verdict else 2 if self.is_wide else 0

    def label(self, is_first: bool) -> tuple[str, str]:
        """The text before a line, and its style."""
        label = f"  {self.verdict:5}  " if self.verdict and is_first else " " * self.indent
        return label, "red" if self.verdict in ("fails", "moved") else ""


def render(outcome: Outcome, width: int, verbose: bool, colour: bool) -> str:
    """Write the networks with their counts, and everything that fails; with `verbose`, also what holds.

    The layers of a locked network are summed up by block. `verbose` lists every figure.
    """
    from rich.text import Text

    rows = [row for result in outcome.results for row in _rows(result, outcome.locked, verbose)]
    table = _table(rows, width) if rows else Text()
    wide = open_console(max([width, *map(len, table.plain.split("\n"))]), colour)
    if rows:
        wide.print(table)
    console = open_console(width, colour)
    for result in outcome.results:
        for line in note_lines(result.notes, result.name if len(outcome.results) > 1 else ""):
            console.print(Text(line, "yellow"), overflow="fold")
    if any(result.notes for result in outcome.results):
        console.print()
    console.print(Text(summary(outcome), "bold"), overflow="fold")
    for line in remarks(outcome):
        console.print(Text(line), overflow="fold")
    return printed(wide) + printed(console)


def _rows(result: Result, locked: bool, verbose: bool) -> Iterator[Row]:
    findings = result.findings if verbose else result.failures
    style = "bold red" if result.failures else "bold" if findings else ""
    yield Row(result.name, f"{result.held:,} of {result.checked:,}", style=style)
    if locked and not verbose:
        yield from _moved_rows(result)
        return
    for finding in findings:
        verdict = "holds" if finding.held else "fails"
        details = _details(finding)
        yield Row(finding.text, value_of(finding), off_by(finding), place(finding.span), "", verdict, details)


def _moved_rows(result: Result) -> Iterator[Row]:
    """The totals of a locked network that moved, and its layers by block."""
    main, others = main_totals(result)
    for finding in main:
        at = [f"at {finding.reached_at}"] if finding.reached_at else []
        yield Row(finding.text, value_of(finding), off_by(finding), verdict="moved", details=at)
    if others:
        yield Row(f"also {', '.join(others)}", verdict="moved", is_wide=True)
    if totals_are_unchanged(result):
        yield Row("all totals are unchanged", is_wide=True)
    blocks = moved_blocks(result)
    for block in blocks[:MAX_BLOCKS]:
        yield Row(block.text, place=place(block.span), verdict="moved", is_wide=True)
    hidden = blocks[MAX_BLOCKS:]
    if hidden:
        layers = plural(sum(block.layers for block in hidden), "layer")
        text = f"and {layers} in {plural(len(hidden), 'other block')}; `--verbose` lists every figure"
        yield Row(text, is_wide=True)


INDENT = len("  fails  ")
MIN_TEXT = 24
"""The smallest width of the first column. Lines get too long before it gets narrower."""


def _table(rows: Sequence[Row], width: int) -> Text:
    """The rows as aligned lines. A table of rich would take milliseconds per row."""
    from rich.text import Text

    is_checked = any(row.verdict for row in rows)
    columns = [[row.value for row in rows], [row.off for row in rows], [row.place for row in rows]]
    headings = ["Value" if is_checked else "Holds", "Off by", "Place"]
    sizes = [max(map(len, (head, *column))) for head, column in zip(headings, columns, strict=True)]
    needed = max(len("Network"), *(len(row.text) + row.indent for row in rows if not row.is_wide))
    sizes = sizes if is_checked else sizes[:1]
    if needed + sum(sizes) + GAP * len(sizes) > width:
        sizes = sizes[:2]
    room = min(needed, max(MIN_TEXT, width - sum(sizes) - GAP * len(sizes)))
    table = Text(no_wrap=True)
    heading = Row("Network", headings[0], headings[1], headings[2], style="bold")
    for row in (heading, *rows):
        for line in _wide_lines(row, width) if row.is_wide else _lines(row, room, sizes):
            table.append_text(line).append("\n")
        if row is heading:
            table.append("─" * (room + sum(sizes) + GAP * len(sizes)) + "\n")
    return table


def _lines(row: Row, room: int, sizes: Sequence[int]) -> Iterator[Text]:
    """The lines of a row: its text and cells, and its place below if no column has room for it."""
    from rich.text import Text

    below = [row.place] if len(sizes) == 2 and row.place and row.verdict else []
    texts = [line for text in (row.text, *below, *row.details) for line in _wrapped(text, room - row.indent)]
    cells = "".join(
        " " * GAP + (cell.ljust(size) if number == 2 else cell.rjust(size))
        for number, (cell, size) in enumerate(zip((row.value, row.off, row.place), sizes, strict=False))
    )
    for number, text in enumerate(texts):
        line = text.ljust(room - row.indent) + cells if number == 0 else text
        yield Text.assemble(row.label(number == 0), (line, row.style))


def _wide_lines(row: Row, width: int) -> Iterator[Text]:
    """The lines of a row without figures, which takes the whole width. The place follows the text."""
    from rich.text import Text

    texts = _wrapped(row.text, width - row.indent)
    if row.place and row.indent + len(texts[-1]) + GAP + len(row.place) <= width:
        texts[-1] += " " * GAP + row.place
    elif row.place:
        texts.append(row.place)
    for number, text in enumerate(texts):
        yield Text.assemble(row.label(number == 0), (text, row.style))


def _wrapped(text: str, room: int) -> list[str]:
    return textwrap.wrap(text, room, break_on_hyphens=False) if len(text) > room else [text]


def remarks(outcome: Outcome) -> list[str]:
    """How to accept locked figures that moved, and the networks that are not locked yet."""
    lines = []
    for lock in outcome.locks:
        if lock.moved:
            lines.append(f"If this is intended, `{lock.update}` accepts it.")
            lines.append('`--allow "all 1%"` allows small changes.')
            if lock.written_by not in ("", __version__):
                lines.append(f"{lock.path} was written by archcalc {lock.written_by}; this is {__version__}.")
        if lock.not_locked:
            names = list(lock.not_locked[:MAX_NEW])
            if len(lock.not_locked) > MAX_NEW:
                names.append(f"and {len(lock.not_locked) - MAX_NEW:,} more")
            lines.append(f"Not locked yet: {', '.join(names)}. `{lock.update}` adds what is new.")
    return lines


def _details(finding: Finding) -> list[str]:
    """The lines below a finding: the layers that break a bound, and the notes of its author."""
    lines = [f"{format_value(value)} in {name}" for name, value in finding.misses[:MAX_LAYERS]]
    if len(finding.misses) > MAX_LAYERS:
        lines.append(f"and {len(finding.misses) - MAX_LAYERS:,} more")
    if finding.reached_at:
        lines.append(f"at {finding.reached_at}")
    if finding.is_layer and finding.reason:
        lines.append(finding.reason)
    if finding.note:
        lines.append(finding.note)
    return lines


# --- For programs -----------------------------------------------------------------------------------


def to_json(outcome: Outcome) -> str:
    """The outcome as one JSON object, with every finding and every problem."""
    return json_text(
        locked=outcome.locked,
        checked=outcome.checked,
        held=outcome.checked - len(outcome.failures),
        networks=[_network(result) for result in outcome.results],
        locks=[_lock(lock) for lock in outcome.locks],
        problems=[_problem(problem) for problem in outcome.problems],
    )


def _network(result: Result) -> dict[str, Any]:
    return {
        "name": result.name,
        "source": place(result.span),
        "checked": result.checked,
        "held": result.held,
        "notes": note_objects(result.notes),
        "findings": [_finding(finding) for finding in result.findings],
    }


def _lock(lock: CheckedLock) -> dict[str, Any]:
    return {"path": lock.path, "written_by": lock.written_by, "not_locked": list(lock.not_locked)}


def _finding(finding: Finding) -> dict[str, Any]:
    item = {
        "text": finding.text,
        "held": finding.held,
        "quantity": finding.quantity,
        "path": finding.path,
        "relation": f"not {finding.relation}" if finding.negated else finding.relation,
        "figure": plain(finding.figure),
        "value": plain(finding.value),
        "difference": plain(finding.difference),
        "reason": finding.reason,
        "note": finding.note,
        "source": place(finding.span),
    }
    if finding.reached_at:
        item["reached_at"] = finding.reached_at
    if finding.renamed:
        item["renamed"] = finding.renamed
    if finding.layers:
        item["layers"] = finding.layers
        item["misses"] = [{"layer": name, "value": plain(value)} for name, value in finding.misses]
    return item


def _problem(problem: Diagnostic) -> dict[str, Any]:
    return {"message": problem.message, "help": problem.help, "source": place(problem.span)}
