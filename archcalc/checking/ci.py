"""The results of a check for CI services: JUnit XML, GitHub annotations, a Markdown summary."""

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
"""The most rows of the Markdown table: GitHub limits a summary to 1 MiB."""

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


# --- JUnit ------------------------------------------------------------------------------------------


def to_junit(outcome: Outcome) -> str:
    """One suite per network, with one case per finding. Problems are errors in a separate suite.

    All figures of a lock file that have not moved form one case.
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
    """A case by the schema of Jenkins' xUnit plugin, which allows no `file` and no `line`."""
    from xml.etree.ElementTree import SubElement

    return SubElement(suite, "testcase", {"classname": _xml(net), "name": _xml(name), "time": "0"})


def _xml(text: str) -> str:
    """A text without the characters that XML does not allow."""
    return _NOT_XML.sub("?", text)


# --- GitHub -----------------------------------------------------------------------------------------


MAX_ANNOTATIONS = 10
"""GitHub shows only this many errors and this many warnings per step."""


class Annotation(Struct, frozen=True):
    """An annotation, which GitHub shows at a place in a file, or above all files if it has no place."""

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

    There are at most `MAX_ANNOTATIONS` of each level. If more expectations fail, and always for locked
    figures, each network has one annotation.
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
    """The annotations of a network combined into one, at the place of the first."""
    first = annotations[0]
    lines = [each.message for each in annotations[:MAX_LINES]]
    if len(annotations) > MAX_LINES:
        lines.append(f"and {len(annotations) - MAX_LINES:,} more")
    return replace(first, message="\n".join(lines))


MAX_LINES = 12
"""The most lines on failures in one network, or on its blocks that moved."""


def _of_network(result: Result, outcome: Outcome) -> Annotation:
    """The changes of a locked network, totals first, at the place of the first layer that moved."""
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
    """The first annotations, and one with the number of the others."""
    if len(annotations) <= MAX_ANNOTATIONS:
        return annotations
    shown, hidden = annotations[: MAX_ANNOTATIONS - 1], annotations[MAX_ANNOTATIONS - 1 :]
    names = _listed([*dict.fromkeys(each.title for each in hidden)])
    return [*shown, Annotation("archcalc", f"and {len(hidden):,} more, of {names}", None, hidden[0].level)]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_LINES:,} more" if len(names) > MAX_LINES else ""
    return ", ".join(names[:MAX_LINES]) + more


def _in_a_file(*spans: Span | None) -> Span | None:
    """The first place that is in a file."""
    return next((span for span in spans if span is not None and span.source.path is not None), None)


def _words(problem: Diagnostic) -> str:
    lines = [problem.message]
    if (
        problem.span is not None and problem.span.source.path is None
    ):  # an annotation cannot point at an option
        lines.append(f"in: {problem.span.source.name} '{problem.span.source.text}'")
    if problem.help:
        lines.append(f"help: {problem.help}")
    return "\n".join(lines)


def _escaped(text: str, more: str = "") -> str:
    """A text escaped for a workflow command. The characters in `more` would end a property."""
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


# --- Markdown ---------------------------------------------------------------------------------------


def to_markdown(outcome: Outcome) -> str:
    """A summary in Markdown: a table of failures, and the inputs that could not be checked."""
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
    """The rows of a network: failures; for locked figures, the totals, and the layers by block."""
    shown, others = main_totals(result) if locked else (result.failures, [])
    cells = [(each.text, value_of(each), off_by(each), place(each.span)) for each in shown]
    if others:
        cells.append((f"also {', '.join(others)}", "", "", ""))
    if locked and totals_are_unchanged(result):
        cells.append(("all totals are unchanged", "", "", ""))
    blocks = moved_blocks(result) if locked else []
    cells += [(block.text, "", "", place(block.span)) for block in blocks]
    yield from ([*map(escaped, (result.name, *row))] for row in cells)
