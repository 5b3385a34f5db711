"""What a check found, for services that run it: JUnit XML, GitHub annotations, a Markdown summary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from archcalc.checking.outcome import Outcome
from archcalc.checking.view import off_by, place, summary, value_of
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
            case = _case(suite, result.name, finding.text, finding.span)
            if not finding.held:
                failure = SubElement(case, "failure", message=_xml(finding.reason), type="expectation")
                failure.text = _xml(f"{place(finding.span)}: {finding.reason}")
        rest = result.checked - len(result.findings)
        if rest:
            _case(
                suite,
                result.name,
                f"{plural(rest, 'locked figure', str)} {'has' if rest == 1 else 'have'} not moved",
                result.span,
            )
    if outcome.problems:
        suite = SubElement(root, "testsuite", name="problems")
        for problem in outcome.problems:
            case = _case(suite, "problems", problem.message, problem.span)
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


def _case(suite: Any, net: str, name: str, span: Span | None) -> Any:
    from xml.etree.ElementTree import SubElement

    attributes = {"classname": _xml(net), "name": _xml(name), "time": "0"}
    if span is not None and span.source.path is not None:
        attributes["file"] = _xml(span.source.name)
        attributes["line"] = str(span.source.position(span.start)[0])
    return SubElement(suite, "testcase", attributes)


def _xml(text: str) -> str:
    """A text without the characters that XML cannot hold."""
    return _NOT_XML.sub("?", text)


# --- GitHub -----------------------------------------------------------------------------------------


def to_annotations(outcome: Outcome) -> str:
    """A workflow command for each failure, problem and note, at its place in its file."""
    lines = [
        _annotation(result.name, finding.reason, _in_a_file(finding.span, result.span))
        for result in outcome.results
        for finding in result.failures
    ]
    lines += [
        _annotation("archcalc", _words(problem), _in_a_file(problem.span)) for problem in outcome.problems
    ]
    for result in outcome.results:
        for doubt in result.notes:
            words = "\n".join(note_of(doubt))
            lines.append(_annotation(result.name, words, _in_a_file(doubt.node.span), "warning"))
    return "".join(f"{line}\n" for line in lines)


def _in_a_file(*spans: Span | None) -> Span | None:
    """The first of some places that stands in a file."""
    return next((span for span in spans if span is not None and span.source.path is not None), None)


def _words(problem: Diagnostic) -> str:
    return f"{problem.message}\nhelp: {problem.help}" if problem.help else problem.message


def _annotation(title: str, message: str, span: Span | None, level: str = "error") -> str:
    properties = {}
    if span is not None:
        line, column = span.source.position(span.start)
        properties = {"file": span.source.name, "line": str(line), "col": str(column)}
    properties["title"] = title
    listed = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items())
    return f"::{level} {listed}::{_escaped(message)}"


def _escaped(text: str, more: str = "") -> str:
    """A text in a workflow command; the characters in `more` would end a property."""
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


# --- Markdown ---------------------------------------------------------------------------------------


def to_markdown(outcome: Outcome) -> str:
    """A summary for a page: what does not hold in a table, and what could not be checked."""
    lines = [f"### archcalc: {escaped(summary(outcome))}", ""]
    rows = list(_rows(outcome))
    if rows:
        headings = ["Network", "Expectation", "Value", "Off by", "Place"]
        lines += markdown_table(headings, rows[:MAX_ROWS], right=(2, 3))
        if len(rows) > MAX_ROWS:
            lines += ["", f"and {len(rows) - MAX_ROWS:,} more"]
        lines.append("")
    for problem in outcome.problems:
        fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", problem.render()))])
        lines += [fence, problem.render(), fence, ""]
    return "\n".join(lines) + "\n"


def _rows(outcome: Outcome) -> Iterator[list[str]]:
    for result in outcome.results:
        for finding in result.failures:
            cells = (result.name, finding.text, value_of(finding), off_by(finding), place(finding.span))
            yield list(map(escaped, cells))
