"""What a check found, for people and for programs: a table, and JSON."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from archcalc.checking.evaluate import format_value
from archcalc.checking.outcome import Finding, Outcome, Result
from archcalc.diagnostics import Diagnostic, Span
from archcalc.notes import note_lines, note_objects
from archcalc.render.documents import json_text, plain
from archcalc.render.numbers import plural
from archcalc.render.terminal import open_console, printed, ruled

MAX_LAYERS = 8
"""Of the layers that break a bound, as many are named in a table."""


def place(span: Span | None) -> str:
    """Where something stands: in a file, or on the command line."""
    if span is None:
        return ""
    return str(span) if span.source.path is not None else span.source.name


def off_by(finding: Finding) -> str:
    """How far a value lies from its figure: `-1,234 (-0.5%)`; empty where that is no one number."""
    difference, figure = finding.difference, finding.figure
    if not difference or isinstance(figure, tuple) or finding.negated:
        return ""
    whole = isinstance(difference, int)
    text = f"{difference:+,}" if whole else f"{float(difference):+,.1f}"
    if not figure:
        return text
    percent = Fraction(difference) * 100 / abs(Fraction(figure))
    share = f"{float(percent):+,.1f}%" if abs(percent) >= Fraction(1, 20) else "<0.1%"
    return f"{text} ({share})"


def value_of(finding: Finding) -> str:
    """What has been found, in a cell."""
    if finding.layers:
        broken = f"{len(finding.misses)} of " if finding.misses else ""
        return broken + plural(finding.layers, "layer")
    return "" if finding.value is None else format_value(finding.value)


def summary(outcome: Outcome) -> str:
    """The run in a sentence."""
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
        text += f"; {plural(problems, 'mistake')} in what could not be checked"
    return text


# --- For people -------------------------------------------------------------------------------------

GAP = 2


def render(outcome: Outcome, width: int, verbose: bool, colour: bool) -> str:
    """Write the networks with a count each, and what does not hold; if `verbose`, also what holds."""
    from rich.table import Table
    from rich.text import Text

    console = open_console(width, colour)
    shown = {id(r): list(r.findings) if verbose else r.failures for r in outcome.results}
    findings = [finding for some in shown.values() for finding in some]
    widths = [max(map(len, column)) for column in zip(*map(_cells, findings), strict=True)]
    beside = len("  fails  ") + sum(widths) + len(widths) * GAP <= width
    table = ruled()
    table.add_column("Network", overflow="fold")
    table.add_column("Holds" if not findings else "Value", justify="right", no_wrap=True)
    if findings:
        table.add_column("Off by", justify="right", no_wrap=True)
        if beside:
            table.add_column("Place", no_wrap=True)
    for result in outcome.results:
        style = "bold red" if result.failures else "bold" if shown[id(result)] else ""
        table.add_row(Text(result.name, style), Text(f"{result.held:,} of {result.checked:,}", style))
        for finding in shown[id(result)]:
            text, value, off, where = _cells(finding)
            lines = [text, *([] if beside else [where]), *_details(finding)]
            verdict = Text("holds") if finding.held else Text("fails", "red")
            cell = Table.grid(padding=(0, 2, 0, 0))
            cell.add_column(no_wrap=True)
            cell.add_column(overflow="fold")
            cell.add_row("", verdict, Text("\n".join(lines), overflow="fold"))
            table.add_row(cell, value, off, *([where] if beside else []))
    if outcome.results:
        console.print(table, "", sep="\n")
    for result in outcome.results:
        for line in note_lines(result.notes):
            console.print(Text(line, "yellow"), overflow="fold")
    if any(result.notes for result in outcome.results):
        console.print()
    console.print(Text(summary(outcome), "bold"), overflow="fold")
    return printed(console)


def _cells(finding: Finding) -> tuple[str, str, str, str]:
    return finding.text, value_of(finding), off_by(finding), place(finding.span)


def _details(finding: Finding) -> list[str]:
    """The lines below a finding: the layers that break a bound, and what its author says of it."""
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
    if finding.layers:
        item["layers"] = finding.layers
        item["misses"] = [{"layer": name, "value": plain(value)} for name, value in finding.misses]
    return item


def _problem(problem: Diagnostic) -> dict[str, Any]:
    return {"message": problem.message, "help": problem.help, "source": place(problem.span)}
