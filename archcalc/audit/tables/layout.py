"""Tables as data: where each stands, its headings and rows, and which claim each printed figure makes.

`docs/tables.md` describes the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from archcalc.audit.claims import Claim, read_decks
from archcalc.audit.claims import shipped_files as claim_files
from archcalc.audit.toml import Table as Block
from archcalc.audit.toml import Text, read
from archcalc.catalog import specs_folder
from archcalc.diagnostics import ArchError, Diagnostic, Note, Span, error, near_miss

HEAD = ("name", "number", "title", "decks")
PART = ("title", "place", "columns", "rows", "axes", "sums", "below", "listing", "note")
AXES = ("chw", "hwc", "nchw")
STATEMENTS = ("claim", "under", "restored")
EXPRESSIONS = ("answer", "correct")
WORDS = ("printed", "says", "because", "variant", "evidence")
FIGURE = (*WORDS, *STATEMENTS, *EXPRESSIONS)

_NUMBER = re.compile(r"T\d+(\.\d+)?")
_REFERENCE = re.compile(r"(?:(?P<text>.*\S)\s+)?@(?P<id>[\w./-]+)(?:\[(?P<item>\d+)\])?", re.DOTALL)


class Cell(Struct, frozen=True, eq=False):
    """What a cell prints, and the claim that makes, if it is a figure.

    Where a claim has a list for its value, `item` says which item of it stands in the cell.
    """

    text: str
    claim: Claim | None = None
    item: int | None = None
    span: Span | None = None


class Part(Struct, frozen=True, eq=False):
    """One grid of a table.

    The last cell of a row that is shorter than the others spans the columns left. `sums` are the columns
    whose computed figures are added up, `below` claims about the whole. `axes` is the order in which it
    prints the axes of a map. `listing` is a network to be listed in torchsummary's format, its rows beside
    the first rows of the grid.
    """

    name: str
    title: str
    place: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    axes: str = "chw"
    sums: tuple[str, ...] = ()
    below: tuple[Claim, ...] = ()
    listing: Text | None = None
    note: str = ""

    @property
    def claims(self) -> Iterable[Claim]:
        for row in self.rows:
            yield from (cell.claim for cell in row if cell.claim is not None)
        yield from self.below


class Layout(Struct, frozen=True, eq=False):
    """A table as it is printed, before anything is computed."""

    name: str
    number: str
    title: str
    decks: tuple[str, ...]
    parts: tuple[Part, ...]
    span: Span

    @property
    def places(self) -> list[str]:
        """Where its parts stand, each place once."""
        return list(dict.fromkeys(part.place for part in self.parts))


def shipped_files() -> list[tuple[Path, str]]:
    """The files of tables that come along, and the names diagnostics show."""
    folder = specs_folder() / "tables"
    return [(path, f"specs/tables/{path.name}") for path in sorted(folder.glob("*.toml"))]


def layouts() -> list[Layout]:
    """Every table that comes along, in order.

    >>> layouts()[0].name
    'lenet5-layers'
    """
    return read_layouts(shipped_files())


def read_layouts(files: Iterable[tuple[Path, str]]) -> list[Layout]:
    """The tables of some files. Raises `ArchError` with every mistake in them; names are unique."""
    claims = {claim.id: claim for deck in read_decks(claim_files()) for claim in deck.claims}
    found: list[Layout] = []
    problems: list[Diagnostic] = []
    for path, shown in files:
        try:
            found.append(_Reader(path, shown, claims).layout())
        except ArchError as mistakes:
            problems += mistakes.diagnostics
    seen: dict[str, Span] = {}
    for layout in found:
        for name in (layout.name, layout.number):
            if name in seen:
                note = Note("the first one is here", seen[name])
                problems.append(Diagnostic(f"there are two tables `{name}`", layout.span, notes=(note,)))
            seen.setdefault(name, layout.span)
    if problems:
        raise ArchError(problems)
    return found


def chosen(name: str, known: Iterable[Layout]) -> list[Layout]:
    """The tables that a name means: one, or all of a number, `T12` those from `T12.1` on.

    Raises `ArchError` for a name that there is not.
    """
    every = list(known)
    wanted = name.casefold()
    for layout in every:
        if wanted in (layout.name, layout.number.casefold()):
            return [layout]
    group = [layout for layout in every if layout.number.casefold().startswith(wanted + ".")]
    if not group:
        names = [layout.name for layout in every] + [layout.number for layout in every]
        raise error(
            f"there is no table `{name}`", help=near_miss(name, names) or "`archcalc tables` lists them"
        )
    return group


class _Reader:
    """Reads one file, and gathers what is wrong in it."""

    def __init__(self, path: Path, shown: str, claims: Mapping[str, Claim]) -> None:
        self.head, self.blocks = read(path, shown)
        self.claims = claims
        self.problems: list[Diagnostic] = []

    def layout(self) -> Layout:
        head = self.head
        self.keys(head, HEAD)
        texts = {key: self.text(head, key) for key in ("name", "number", "title")}
        decks = self.texts(head, "decks")
        if texts["number"] and not _NUMBER.fullmatch(texts["number"]):
            self.wrong("`number` is written `T4` or `T12.1`", head.span_of("number"))
        if not self.blocks:
            self.wrong(
                f"`{head.source.name}` has no parts", None, "add one: `[rows]`, and its `columns`, ..."
            )
        parts = tuple(map(self.part, self.blocks))
        if self.problems:
            raise ArchError(self.problems)
        span = head.span_of("name")
        return Layout(texts["name"], texts["number"], texts["title"], decks, parts, span)

    def part(self, block: Block) -> Part:
        self.keys(block, PART)
        columns = self.texts(block, "columns")
        rows = block.values.get("rows")
        if not isinstance(rows, list) or not rows or not all(isinstance(row, list) and row for row in rows):
            help = 'write `rows = [["a name", "@S4-079"]]`'
            self.wrong("`rows` is a list of rows, each a list of cells", block.span_of("rows"), help)
            rows = []
        after = 0
        grid = []
        for number, row in enumerate(rows, 1):
            if len(row) > len(columns):
                message = f"row {number} has {len(row)} cells, and there are {len(columns)} columns"
                self.wrong(message, block.span_of("rows"))
            cells = []
            for value in row:
                cell, after = self.cell(block, "rows", value, after)
                cells.append(cell)
            grid.append(tuple(cells))
        below, after = [], 0
        values = block.values.get("below", [])
        for value in values if isinstance(values, list) else [values]:
            cell, after = self.cell(block, "below", value, after)
            if cell.claim is None:
                self.wrong("`below` has claims only", block.span_of("below"), 'write `"@S4-079"`')
            else:
                below.append(cell.claim)
        sums = self.texts(block, "sums") if "sums" in block.values else ()
        for name in sums:
            if name not in columns[1:]:
                help = near_miss(name, columns[1:]) or "the first column is for what the sums are called"
                self.wrong(f"no column `{name}` to add up", block.span_of("sums"), help)
        axes = self.text(block, "axes") if "axes" in block.values else "chw"
        if axes and axes not in AXES:
            self.wrong(
                f"there is no order of axes `{axes}`", block.span_of("axes"), "orders: " + ", ".join(AXES)
            )
        listing = self.text(block, "listing") if "listing" in block.values else ""
        return Part(
            block.name,
            self.text(block, "title") if "title" in block.values else "",
            self.text(block, "place"),
            columns,
            tuple(grid),
            axes,
            sums,
            tuple(below),
            block.text("listing", listing) if listing else None,
            self.text(block, "note") if "note" in block.values else "",
        )

    # -- cells

    def cell(self, block: Block, key: str, value: Any, after: int) -> tuple[Cell, int]:
        """A cell, and where the text goes on behind it."""
        if isinstance(value, str):
            text = block.text(key, value, after)
            after = text.span.end if text.is_verbatim else after
            reference = _REFERENCE.fullmatch(value)
            if reference is None:
                return Cell(value), after
            claim = self.claims.get(reference["id"])
            if claim is None:
                help = near_miss(reference["id"], self.claims)
                self.wrong(f"there is no claim `{reference['id']}`", text.span, help)
                return Cell(value), after
            item = int(reference["item"]) if reference["item"] else None
            return Cell(reference["text"] or claim.printed, claim, item, text.span), after
        if isinstance(value, dict):
            return self.figure(block, key, value, after)
        self.wrong("a cell is a string, or a table `{printed = ..., claim = ...}`", block.span_of(key))
        return Cell(""), after

    def figure(self, block: Block, key: str, value: dict[str, Any], after: int) -> tuple[Cell, int]:
        """A cell that makes a claim of its own."""
        place = block.span_of(key)
        fields: dict[str, Any] = {}
        for name, item in value.items():
            if name not in FIGURE:
                self.wrong(f"unknown key `{name}` of a cell", place, near_miss(name, FIGURE))
                continue
            items = item if isinstance(item, list) and name in STATEMENTS else [item]
            texts = []
            for one in items:
                if not isinstance(one, str) or not one.strip():
                    self.wrong(f"`{name}` of a cell is a string", place)
                    continue
                texts.append(block.text(key, one, after))
                after = texts[-1].span.end if texts[-1].is_verbatim else after
                place = texts[0].span
            if name in STATEMENTS:
                fields[name] = tuple(texts)
            elif texts:
                fields[name] = texts[0] if name in EXPRESSIONS else texts[0].text
        if not fields.keys() & {"claim", "answer", "restored"}:
            self.wrong("a cell needs `claim`, `restored` or `answer`", place, "or write its text alone")
        for name, other in (("under", "variant"), ("restored", "evidence")):
            if name in fields and other not in fields:
                self.wrong(f"`{name}` of a cell needs `{other}`", place)
        for name in ("place", "says", "printed", "verdict"):
            fields.setdefault(name, "")
        return Cell(fields["printed"], Claim("", "", place, **fields)), after

    # -- values

    def keys(self, block: Block, known: tuple[str, ...]) -> None:
        for key in block.values:
            if key not in known:
                help = near_miss(key, known) or "keys: " + ", ".join(known)
                self.wrong(f"unknown key `{key}`", block.span_of(key), help)

    def text(self, block: Block, key: str) -> str:
        value = block.values.get(key)
        if isinstance(value, str) and value.strip():
            return value
        message = f"`{key}` is a string" if key in block.values else f"`{key}` is missing"
        self.wrong(message, block.span_of(key), f'write `{key} = "..."`')
        return ""

    def texts(self, block: Block, key: str) -> tuple[str, ...]:
        value = block.values.get(key)
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            return tuple(value)
        message = f"`{key}` is a list of strings" if key in block.values else f"`{key}` is missing"
        self.wrong(message, block.span_of(key), f'write `{key} = ["..."]`')
        return ()

    def wrong(self, message: str, span: Span | None, help: str = "") -> None:
        self.problems.append(Diagnostic(message, span, help=help))
