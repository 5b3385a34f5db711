"""TOML tables whose strings know their places, decoded into Structs that describe the valid keys.

`tomllib` returns values without places. The places are found again in the text: the header of a table,
the key below it, and the string after the key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct, ValidationError, convert, structs

from archcalc.diagnostics import ArchError, Diagnostic, Note, Problems, Source, Span, error, unknown
from archcalc.language.loader import read_source

Found = TypeVar("Found")
Record = TypeVar("Record", bound=Struct)

_HEADER = re.compile(r"""^[ \t]*\[[ \t]*("[^"\n]+"|'[^'\n]+'|[\w-]+)[ \t]*\]""", re.MULTILINE)
_KEY = re.compile(r"""^[ \t]*("[^"\n]+"|'[^'\n]+'|[\w-]+)[ \t]*=""", re.MULTILINE)
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class Text(Struct, frozen=True):
    """A string of a file. `span` is the string itself if the file contains it verbatim.

    If it has escapes, `span` is its key, and `is_verbatim` is false: places inside it are unknown.
    """

    text: str
    span: Span
    is_verbatim: bool

    def part(self, start: int, end: int) -> Text:
        """A part of the text."""
        span = self.span
        if self.is_verbatim:
            span = Span(span.source, span.start + start, span.start + end)
        return Text(self.text[start:end], span, self.is_verbatim)

    def place(self, problem: Diagnostic, inner: Source) -> Diagnostic:
        """A mistake found in `inner`, a separate source for this text, moved to its place in the file."""

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


class TomlTable(Struct, frozen=True):
    """The part of a file below a header, or before the first one.

    `values` has the values by key. Each string in them that is not blank is a `Text`.
    """

    name: str
    values: dict[str, Any]
    source: Source
    span: Span
    """The header's name."""
    keys: dict[str, Span]

    def span_of(self, key: str) -> Span:
        return self.keys.get(key, self.span)


def read(path: Path, shown: str) -> tuple[TomlTable, list[TomlTable]]:
    """The keys at the head of a file and its tables, in order. Raises `ArchError`."""
    if path.is_dir():
        raise error(f"`{shown}` is a folder", help="name a `.toml` file in it")
    source = read_source(path, shown)
    names = [
        (_unquoted(header[1]), Span(source, *header.span(1))) for header in _HEADER.finditer(source.text)
    ]
    try:
        document = tomllib.loads(source.text)
    except ValueError as problem:  # also for a number with too many digits
        again = repeated(names, "`{}` is declared twice", "give one of them another name")
        raise ArchError(again or [_syntax(source, str(problem))]) from None
    except RecursionError:
        raise error(f"`{shown}` is nested too deep") from None
    ends = [*(source.text.rindex("[", 0, span.start) for _, span in names), len(source.text)]
    values = {key: value for key, value in document.items() if not isinstance(value, dict)}
    head = _table("", values, Span(source, 0, 0), ends[0])
    places = dict(reversed(names))  # of a name that is also a line of a string, the first counts
    tables = []
    for name, values in document.items():
        if isinstance(values, dict):
            span = places.get(name, Span(source, 0, 0))
            stop = next(end for end in ends if end > span.end) if span.end else 0
            tables.append(_table(name, values, span, stop))
    return head, tables


def read_every(
    files: Iterable[tuple[Path, str]], read_one: Callable[[Path, str], Found]
) -> tuple[list[Found], Problems]:
    """The contents of some files, and every mistake in them."""
    found = []
    problems = Problems()
    for path, shown in files:
        with problems.collect():
            found.append(read_one(path, shown))
    return found, problems


def repeated(names: Iterable[tuple[str, Span]], message: str, help: str = "") -> list[Diagnostic]:
    """A mistake for each repeated name. `message` has a `{}` for the name."""
    first: dict[str, Span] = {}
    problems = []
    for name, span in names:
        if name in first:
            note = Note("the first time is here", first[name])
            problems.append(Diagnostic(message.format(name), span, notes=(note,), help=help))
        first.setdefault(name, span)
    return problems


# --- Records ----------------------------------------------------------------------------------------

_STRING = Meta(pattern=r"\S", description="a string", examples=['"..."'])
Word = Annotated[str, _STRING]
"""A string that is not blank."""
Words = Annotated[tuple[str, ...], Meta(min_length=1, description="a list of strings", examples=['["..."]'])]
Statements = Annotated[
    tuple[Text, ...],
    Meta(
        min_length=1,
        description="a statement or a list of statements",
        examples=["'params(vgg16) ~ 138M'"],
    ),
]

Figures = Annotated[
    tuple[Text, ...],
    Meta(min_length=1, description="a list of networks with percentages", examples=['["vgg16 71.5%"]']),
]


def decode(
    values: Mapping[str, Any],
    kind: type[Record],
    span_of: Callable[[str], Span],
    owner: str = "",
    given: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> tuple[Record | None, list[Diagnostic]]:
    """A record from values by key, and every mistake in them. The record is `None` if a field has a mistake.

    The fields of `kind` are the keys, except those in `given`. The type of a field says which values it
    takes, and its `Meta` describes them in words. `defaults` has values for required keys that are left out.
    `owner` names in messages what requires a missing key.
    """
    given = given or {}
    found = {**(defaults or {}), **given}
    fields = {field.encode_name: field for field in structs.fields(kind) if field.name not in given}
    strange = [
        problem
        for key in values
        if key not in fields
        for problem in unknown("unknown key", key, fields, span_of(key), listing="keys").diagnostics
    ]
    wrong = []
    for key, field in fields.items():
        meta = next(iter(getattr(field.type, "__metadata__", ())), _STRING)
        example = f"`{key} = {(meta.examples or [''])[0]}`"
        message, help = "", f"write {example}"
        if key in values:
            try:
                found[field.name] = _converted(values[key], field.type)
            except ValidationError:
                got = f", not {_type_name(values[key])}" if meta is _STRING else ""
                message = f"`{key}` is {meta.description}{got}"
        elif field.required and field.name not in found and owner:
            message, help = f"{owner} needs {example}", ""
        elif field.required and field.name not in found:
            message = f"`{key}` is missing"
        if message:
            wrong.append(Diagnostic(message, span_of(key), help=help))
    return None if wrong else kind(**found), strange + wrong


def _converted(value: Any, kind: Any) -> Any:
    """A value converted to the type of a field. Only texts that are evaluated keep their places."""
    if kind == Statements and isinstance(value, Text):
        value = [value]
    return convert(value if kind in (Statements, Figures, Text | None) else _plain(value), kind)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_plain, value))
    return value.text if isinstance(value, Text) else value


def _type_name(value: Any) -> str:
    names = {
        str: "an empty string", bool: "a truth value", int: "a number", float: "a number", list: "a list",
        dict: "a table",
    }  # fmt: skip
    return names.get(type(value), "a date or time")


# --- Places -----------------------------------------------------------------------------------------


def _table(name: str, values: Mapping[str, Any], span: Span, stop: int) -> TomlTable:
    """The table whose header is at `span` and whose end is at `stop`."""
    source = span.source
    found = [*_KEY.finditer(source.text, span.end, stop)]
    keys = {_unquoted(key[1]): Span(source, *key.span(1)) for key in reversed(found)}
    texts = {key: _Finder(keys.get(key, span), stop).placed(value) for key, value in values.items()}
    return TomlTable(name, texts, source, span, keys)


class _Finder:
    """Finds the strings of a value in the text, one after another, after the key."""

    def __init__(self, key: Span, stop: int) -> None:
        self.key = key
        self.at = key.end
        self.stop = stop

    def placed(self, value: Any) -> Any:
        """The value with each string replaced by a `Text`."""
        if isinstance(value, list):
            return list(map(self.placed, value))
        if isinstance(value, dict):
            return {key: self.placed(item) for key, item in value.items()}
        return self.text(value) if isinstance(value, str) and value.strip() else value

    def text(self, value: str) -> Text:
        source = self.key.source
        at = source.text.find(value, self.at, self.stop)
        if at < 0:
            return Text(value, self.key, False)
        self.at = at + len(value)
        return Text(value, Span(source, at, self.at), True)


def _unquoted(name: str) -> str:
    return name.strip("\"'")


def _syntax(source: Source, text: str) -> Diagnostic:
    place = _PLACE.search(text)
    message = text[: place.start()] if place is not None else text
    line, column = (int(place[1]), int(place[2])) if place is not None and place[1] else (0, 0)
    at = len(source.text)
    if line:
        lines = source.text.split("\n")
        at = sum(len(before) + 1 for before in lines[: line - 1]) + column - 1
    at = min(at, max(0, len(source.text) - 1))
    return Diagnostic(f"this is not TOML: {message[:1].lower()}{message[1:]}", Span(source, at, at + 1))
