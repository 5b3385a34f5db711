"""Source texts, places in them, and the diagnostics that point at the places.

This module does not depend on networks or on the language. Everything that reads text (an `.arch` file, a
command-line option, an expectation) reports mistakes with these types.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from msgspec import Struct

MAX_LINE_SHOWN = 160
"""Longer source lines are shown only near the place in question."""

MAX_REPORTED = 20
"""The most diagnostics of one run that are shown. The others are counted."""

MAX_MATCHED = 100
"""Longer names are not compared with known names."""

MAX_CANDIDATES = 1_000
"""If there are more known names, only the first ones are compared."""


class Source(Struct, eq=False):
    """A text and its name in messages.

    `name` is shown in diagnostics (`specs/vgg.arch`, `--set`). `path` is the file, if there is one.
    """

    name: str
    text: str
    path: Path | None = None
    _line_starts: list[int] = []

    def _starts(self) -> list[int]:
        if not self._line_starts:
            starts = [0]
            find = self.text.find
            at = find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = find("\n", at + 1)
            self._line_starts = starts
        return self._line_starts

    def position(self, offset: int) -> tuple[int, int]:
        """The line and the column of an offset, both counted from 1."""
        starts = self._starts()
        line = bisect.bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line (counted from 1), without its line end."""
        starts = self._starts()
        end = starts[number] - 1 if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end].rstrip("\r")


class Span(Struct, frozen=True, gc=False):
    """A range of a source: the offsets from `start` to before `end`."""

    source: Source
    start: int
    end: int

    def __str__(self) -> str:
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]


class CallSite(Struct, frozen=True, gc=False):
    """One call of a block: its place, and the call whose body contains it."""

    block: str
    span: Span
    outer: CallSite | None = None

    def chain(self) -> list[CallSite]:
        """This call and the calls around it, innermost first."""
        calls: list[CallSite] = []
        call: CallSite | None = self
        while call is not None:
            calls.append(call)
            call = call.outer
        return calls


class Note(Struct, frozen=True):
    """A fact that helps to understand a diagnostic, with its own place if it has one."""

    message: str
    span: Span | None = None


class Diagnostic(Struct, frozen=True):
    """One mistake: what is wrong, where, the facts around it, and what to change.

    `message` is shown alone. `label` is the short text next to the caret. `notes` are facts, and `help` is a
    change that the reader can make. The division is that of rustc.
    """

    message: str
    span: Span | None = None
    label: str = ""
    notes: tuple[Note, ...] = ()
    help: str = ""

    def render(self) -> str:
        """The diagnostic as text for a terminal, ending without a newline."""
        lines = [f"error: {self.message}"]
        if self.span is not None:
            lines += _excerpt(self.span, self.label)
        for note in self.notes:
            place = f" ({note.span})" if note.span is not None else ""
            lines.append(f"note: {note.message}{place}")
        if self.help:
            lines.append(f"help: {self.help}")
        return "\n".join(map(_printable, lines))


class ArchError(Exception):
    """The input is wrong. `diagnostics` says what, where, and what to do. `str()` renders them."""

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        if isinstance(diagnostics, Diagnostic):
            diagnostics = [diagnostics]
        self.diagnostics: Sequence[Diagnostic] = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        shown = [diagnostic.render() for diagnostic in self.diagnostics[:MAX_REPORTED]]
        hidden = len(self.diagnostics) - len(shown)
        if hidden:
            shown.append(f"... and {hidden} more")
        return "\n\n".join(shown)


class Problems(list[Diagnostic]):
    """Collects mistakes from independent steps: each runs even if another one failed.

    >>> problems = Problems()
    >>> for name in ["a", "b"]:
    ...     with problems.collect():
    ...         raise error(f"there is no `{name}`")
    >>> [problem.message for problem in problems]
    ['there is no `a`', 'there is no `b`']
    """

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Add the diagnostics of an `ArchError` raised inside, and continue after it."""
        try:
            yield
        except ArchError as found:
            self.extend(found.diagnostics)

    def raise_any(self) -> None:
        """Raise an `ArchError` with all mistakes, if there are any."""
        if self:
            raise ArchError(self)


def error(
    message: str,
    span: Span | None = None,
    *,
    label: str = "",
    notes: Iterable[Note] = (),
    help: str = "",
) -> ArchError:
    """An `ArchError` with one diagnostic. Returned, not raised."""
    return ArchError(Diagnostic(message, span, label, tuple(notes), help))


def near_miss(name: str, known: Iterable[str]) -> str:
    """A help text with the known names that `name` may mean, or an empty string."""
    return did_you_mean(near_misses(name, known))


def did_you_mean(names: Sequence[str]) -> str:
    """The help text that suggests these names; empty if there are none."""
    if not names:
        return ""
    quoted = [f"`{name}`" for name in names]
    listed = " or ".join(quoted[-2:])
    return f"did you mean {', '.join([*quoted[:-2], listed])}?"


def near_misses(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """The known names that are most similar to `name`: at most three, or none if all differ too much."""
    from difflib import SequenceMatcher

    if len(name) > MAX_MATCHED:
        return ()
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(name.lower())
    rated = []
    for candidate in islice(dict.fromkeys(known), MAX_CANDIDATES):
        matcher.set_seq1(candidate.lower())
        if matcher.real_quick_ratio() >= 0.7 and matcher.quick_ratio() >= 0.7:
            rated.append((matcher.ratio(), candidate))
    best = max(rated, default=(0.0, ""))[0]
    if best < 0.7:
        return ()
    return tuple(candidate for ratio, candidate in rated if ratio >= best - 0.02)[:3]


def unknown(
    what: str,
    name: str,
    known: Collection[str],
    span: Span | None = None,
    *,
    listing: str = "",
    help: str = "",
) -> ArchError:
    """An `ArchError` for a name that is not a known one. Returned, not raised.

    The message is `what`, then the name in backquotes. The help suggests similar names if there are any.
    Otherwise it is `help`, or `listing`, a colon, and all known names, or nothing.

    >>> print(unknown("there is no plot", "dpth", ["depth", "years"], listing="plots"))
    error: there is no plot `dpth`
    help: did you mean `depth`?
    >>> print(unknown("there is no plot", "kinds", ["depth", "years"], listing="plots"))
    error: there is no plot `kinds`
    help: plots: depth, years
    """
    if listing and known:
        help = help or f"{listing}: {', '.join(known)}"
    return error(f"{what} `{name}`", span, help=near_miss(name, known) or help)


def shorten(text: str, limit: int = 60) -> str:
    """`text` on one line, cut to at most `limit` characters, and printable everywhere."""
    clean = _printable(text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def _printable(text: str) -> str:
    """`text` without characters that a terminal would interpret."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else (" " if c == "\t" else "?") for c in text)


def _excerpt(span: Span, label: str) -> list[str]:
    line_number, column = span.source.position(span.start)
    line = span.source.line(line_number)
    length = max(1, min(span.end - span.start, len(line) - column + 1))
    offset = column - 1
    if len(line) > MAX_LINE_SHOWN:
        first = max(0, offset - MAX_LINE_SHOWN // 3)
        line = line[first : first + MAX_LINE_SHOWN]
        offset -= first
        length = min(length, max(1, len(line) - offset))
    gutter = " " * len(str(line_number))
    caret = " " * offset + "^" * length
    return [
        f"{gutter}--> {span}",
        f"{gutter} |",
        f"{line_number} | {line}".rstrip(),
        f"{gutter} | {caret} {label}".rstrip(),
    ]
