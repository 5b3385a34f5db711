"""TOML tables whose strings know where they stand, so that a mistake in one can be pointed at.

`tomllib` gives values without places. They are found again by what the text says: the header of a table,
the key below it, and the string behind the key.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from msgspec import Struct

from archcalc.diagnostics import ArchError, Diagnostic, Note, Source, Span, error
from archcalc.language.loader import read_source

_HEADER = re.compile(r"""^[ \t]*\[[ \t]*("[^"\n]+"|'[^'\n]+'|[\w-]+)[ \t]*\]""", re.MULTILINE)
_KEY = re.compile(r"""^[ \t]*("[^"\n]+"|'[^'\n]+'|[\w-]+)[ \t]*=""", re.MULTILINE)
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class Text(Struct, frozen=True):
    """A string of a file; `span` is the string itself where the file has it letter for letter.

    Where it has escapes in it, `span` is the key and `is_verbatim` false: no place in it can be told.
    """

    text: str
    span: Span
    is_verbatim: bool

    def place(self, problem: Diagnostic, inner: Source) -> Diagnostic:
        """A mistake in this text, found in `inner`, a source of its own, moved to where it stands."""

        def moved(span: Span | None) -> Span | None:
            if span is None or span.source is not inner:
                return span
            if not self.is_verbatim:
                return self.span
            start = self.span.start
            return Span(self.span.source, start + span.start, start + span.end)

        notes = tuple(Note(note.message, moved(note.span)) for note in problem.notes)
        span = moved(problem.span) or self.span
        return Diagnostic(problem.message, span, problem.label, notes, problem.help)


class Table(Struct, frozen=True):
    """The part of a file below a header, or before the first one, and its values by key."""

    name: str
    values: dict[str, Any]
    source: Source
    span: Span
    """The header's name."""
    keys: dict[str, Span]
    end: int

    def span_of(self, key: str) -> Span:
        return self.keys.get(key, self.span)

    def text(self, key: str, value: str, after: int = 0) -> Text:
        """A string that stands behind a key, at or behind the offset `after`."""
        start = max(self.span_of(key).end, after)
        at = self.source.text.find(value, start, self.end) if value and key in self.keys else -1
        if at < 0:
            return Text(value, self.span_of(key), False)
        return Text(value, Span(self.source, at, at + len(value)), True)


def read(path: Path, shown: str) -> tuple[Table, list[Table]]:
    """The keys at the head of a file and its tables, in order. Raises `ArchError`."""
    if path.is_dir():
        raise error(f"`{shown}` is a folder", help="name a `.toml` file in it")
    source = read_source(path, shown)
    headers: dict[str, list[re.Match[str]]] = {}
    for header in _HEADER.finditer(source.text):
        headers.setdefault(_plain(header[1]), []).append(header)
    try:
        document = tomllib.loads(source.text)
    except ValueError as problem:  # also for a number with too many digits
        raise ArchError(_twice(source, headers) or [_syntax(source, str(problem))]) from None
    except RecursionError:
        raise error(f"`{shown}` is nested too deep") from None
    starts = sorted(header.start() for found in headers.values() for header in found)
    first = starts[0] if starts else len(source.text)
    head = {key: value for key, value in document.items() if not isinstance(value, dict)}
    tables = []
    for name, values in document.items():
        if isinstance(values, dict):
            start, end = headers[name][0].span(1) if name in headers else (0, 0)
            stop = next((at for at in starts if at > end), len(source.text)) if end else len(source.text)
            span = Span(source, start, end)
            tables.append(Table(name, values, source, span, _keys(source, end, stop) if end else {}, stop))
    return Table("", head, source, Span(source, 0, 0), _keys(source, 0, first), first), tables


def _plain(name: str) -> str:
    return name.strip("\"'")


def _keys(source: Source, start: int, stop: int) -> dict[str, Span]:
    found = [*_KEY.finditer(source.text, start, stop)]
    return {_plain(key[1]): Span(source, *key.span(1)) for key in reversed(found)}


def _twice(source: Source, headers: dict[str, list[re.Match[str]]]) -> list[Diagnostic]:
    """The tables that a file has twice."""
    return [
        Diagnostic(
            f"`{name}` is declared twice",
            Span(source, *again.span(1)),
            notes=(Note("the first time is here", Span(source, *first.span(1))),),
            help="give one of them another name",
        )
        for name, (first, *others) in headers.items()
        for again in others
    ]


def _syntax(source: Source, text: str) -> Diagnostic:
    place = _PLACE.search(text)
    message = text[: place.start()] if place is not None else text
    line, column = (int(place[1]), int(place[2])) if place is not None and place[1] else (0, 0)
    at = len(source.text)
    if line:
        lines = source.text.split("\n")
        at = sum(len(before) + 1 for before in lines[: line - 1]) + column - 1
    at = min(at, max(0, len(source.text) - 1))
    return Diagnostic(f"this is no TOML: {message[:1].lower()}{message[1:]}", Span(source, at, at + 1))
