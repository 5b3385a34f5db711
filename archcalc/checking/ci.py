"""What a check found, for services that run it: JUnit XML, GitHub annotations, a Markdown summary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from archcalc.checking.moved import main_totals, moved_blocks, totals_are_unchanged
from archcalc.checking.outcome import Outcome, Result
from archcalc.checking.view import off_by, place, remarks, summary, value_of
from archcalc.diagnostics import Diagnostic, Span
from archcalc.notes import note_of
from archcalc.render.documents import escaped, markdown_table
from archcalc.render.numbers import plural

MAX_ROWS = 200
"""Rows of the Markdown table: a summary on GitHub has at most a MiB."""

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


# --- JUnit ------------------------------------------------------------------------------------------


def to_junit(outcome: Outcome) -> str:
    """A suite for each network with a case for each finding; problems are errors of a suite of their own.

    The figures of a lock file that have not moved are one case together.
    """
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    root = Element("testsuites", name="archcalc")
    for result in outcome.results:
        suite = SubElement(root, "testsuite", name=_xml(result.name))
        for finding in result.findings:
            case = _case(suite, result.name, finding.text)
            if not finding.held:
                failure = SubElement(case, "failure", message=_xml(finding.reason), type="expectation")
                failure.text = _xml(f"{place(finding.span)}: {finding.reason}")
        rest = result.checked - len(result.findings)
        if rest:
            have = "has" if rest == 1 else "have"
            _case(suite, result.name, f"{plural(rest, 'locked figure', str)} {have} not moved")
    if outcome.problems:
        suite = SubElement(root, "testsuite", name="problems")
        for problem in outcome.problems:
            case = _case(suite, "problems", problem.message)
            error = SubElement(case, "error", message=_xml(problem.message), type="input")
            error.text = _xml(problem.render())
    for suite in [*root, root]:
        for attribute, path in (
            ("tests", ".//testcase"),
            ("failures", ".//failure"),
            ("errors", ".//error"),
        ):
            suite.set(attribute, str(len(suite.findall(path))))
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _case(suite: Any, net: str, name: str) -> Any:
    """A case with what the schema of Jenkins' xUnit plugin allows, which has no `file` and no `line`."""
    from xml.etree.ElementTree import SubElement

    return SubElement(suite, "testcase", {"classname": _xml(net), "name": _xml(name), "time": "0"})


def _xml(text: str) -> str:
    """A text without the characters that XML cannot hold."""
    return _NOT_XML.sub("?", text)


# --- GitHub -----------------------------------------------------------------------------------------


MAX_ANNOTATIONS = 10
"""GitHub shows so many errors and so many warnings of a step, the first ones."""


class Annotation(Struct, frozen=True):
    """What GitHub shows at a place in a file, or above all files if there is none."""

    title: str
    message: str
    span: Span | None = None
    level: str = "error"

    def __str__(self) -> str:
        properties = {}
        if self.span is not None:
            line, column = self.span.source.position(self.span.start)
            properties = {"file": self.span.source.name, "line": str(line), "col": str(column)}
        properties["title"] = self.title
        listed = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items())
        return f"::{self.level} {listed}::{_escaped(self.message)}"


def to_annotations(outcome: Outcome) -> str:
    """Workflow commands for failures, problems and notes, at their places in their files.

    There are at most `MAX_ANNOTATIONS` of each level: where more things fail, and for locked figures, those
    of one network are one annotation.
    """
    problems = [Annotation("archcalc", _words(each), _in_a_file(each.span)) for each in outcome.problems]
    failures = [each for result in outcome.results for each in _failures(result)]
    if outcome.locked:
        failures = [_of_network(result, outcome) for result in outcome.results if result.failures]
    elif len(problems) + len(failures) > MAX_ANNOTATIONS:
        failures = [_together(_failures(result)) for result in outcome.results if result.failures]
    warnings = [
        Annotation(
            result.name,
            "\n".join(note_of(doubt)),
            _in_a_file(doubt.node.span if doubt.node else None),
            "warning",
        )
        for result in outcome.results
        for doubt in result.notes
    ]
    warnings += [
        Annotation(
            lock.path, f"not locked yet: {_listed(lock.not_locked)}\nto lock: {lock.update}", None, "warning"
        )
        for lock in outcome.locks
        if lock.not_locked
    ]
    lines = [*_at_most(problems + failures), *_at_most(warnings)]
    return "".join(f"{line}\n" for line in lines)


def _failures(result: Result) -> list[Annotation]:
    return [
        Annotation(result.name, finding.reason, _in_a_file(finding.span, result.span))
        for finding in result.failures
    ]


def _together(annotations: Sequence[Annotation]) -> Annotation:
    """The annotations of a network as one, at the place of the first."""
    first = annotations[0]
    lines = [each.message for each in annotations[:MAX_LINES]]
    if len(annotations) > MAX_LINES:
        lines.append(f"and {len(annotations) - MAX_LINES:,} more")
    return replace(first, message="\n".join(lines))


MAX_LINES = 12
"""The most lines that say what fails in a network, or which of its blocks moved."""


def _of_network(result: Result, outcome: Outcome) -> Annotation:
    """What moved in a locked network, totals first, at the first layer that moved."""
    main, others = main_totals(result)
    lines = [", ".join(filter(None, (finding.reason, off_by(finding)))) for finding in main]
    if others:
        lines.append(f"also {', '.join(others)}")
    if totals_are_unchanged(result):
        lines.append("all totals are unchanged")
    blocks = moved_blocks(result)
    lines += [block.text for block in blocks[:MAX_LINES]]
    if len(blocks) > MAX_LINES:
        lines.append(f"and layers in {len(blocks) - MAX_LINES:,} more blocks")
    lines += [f"to accept: {lock.update}" for lock in outcome.locks if lock.moved][:1]
    spans = [finding.span for finding in result.failures]
    return Annotation(result.name, "\n".join(lines), _in_a_file(*spans, result.span))


def _at_most(annotations: Sequence[Annotation]) -> Sequence[Annotation]:
    """The first ones, and one that says how many more there are."""
    if len(annotations) <= MAX_ANNOTATIONS:
        return annotations
    shown, hidden = annotations[: MAX_ANNOTATIONS - 1], annotations[MAX_ANNOTATIONS - 1 :]
    names = _listed([*dict.fromkeys(each.title for each in hidden)])
    return [*shown, Annotation("archcalc", f"and {len(hidden):,} more, of {names}", None, hidden[0].level)]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_LINES:,} more" if len(names) > MAX_LINES else ""
    return ", ".join(names[:MAX_LINES]) + more


def _in_a_file(*spans: Span | None) -> Span | None:
    """The first of some places that is in a file."""
    return next((span for span in spans if span is not None and span.source.path is not None), None)


def _words(problem: Diagnostic) -> str:
    lines = [problem.message]
    if (
        problem.span is not None and problem.span.source.path is None
    ):  # an option, which no annotation can point at
        lines.append(f"in: {problem.span.source.name} '{problem.span.source.text}'")
    if problem.help:
        lines.append(f"help: {problem.help}")
    return "\n".join(lines)


def _escaped(text: str, more: str = "") -> str:
    """A text in a workflow command; the characters in `more` would end a property."""
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


# --- Markdown ---------------------------------------------------------------------------------------


def to_markdown(outcome: Outcome) -> str:
    """A summary for a page: what does not hold in a table, and what could not be checked."""
    lines = [f"### archcalc: {escaped(summary(outcome))}", ""]
    rows = [row for result in outcome.results for row in _rows(result, outcome.locked)]
    if rows:
        headings = ["Network", "Expectation", "Value", "Off by", "Place"]
        if outcome.locked:
            headings[1:3] = ["Locked", "Now"]
        lines += markdown_table(headings, rows[:MAX_ROWS], right=(2, 3))
        if len(rows) > MAX_ROWS:
            lines += ["", f"and {len(rows) - MAX_ROWS:,} more"]
        lines.append("")
    for line in remarks(outcome):
        lines += [line, ""]
    for problem in outcome.problems:
        fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", problem.render()))])
        lines += [fence, problem.render(), fence, ""]
    return "\n".join(lines) + "\n"


def _rows(result: Result, locked: bool) -> Iterator[list[str]]:
    """The rows of a network: what fails; of locked figures, the totals, and the layers block by block."""
    shown, others = main_totals(result) if locked else (result.failures, [])
    cells = [(each.text, value_of(each), off_by(each), place(each.span)) for each in shown]
    if others:
        cells.append((f"also {', '.join(others)}", "", "", ""))
    if locked and totals_are_unchanged(result):
        cells.append(("all totals are unchanged", "", "", ""))
    blocks = moved_blocks(result) if locked else []
    cells += [(block.text, "", "", place(block.span)) for block in blocks]
    yield from ([*map(escaped, (result.name, *row))] for row in cells)
