"""Tables as data: their places, headings, and rows, and the claim for each printed figure.

`docs/tables.md` describes the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from archcalc.audit.claims import Claim, Deck, read_decks, shipped_files
from archcalc.audit.toml import Text, TomlTable, Word, Words, decode, read, repeated
from archcalc.catalog import specs_folder
from archcalc.diagnostics import ArchError, Diagnostic, Span, near_miss, unknown
from archcalc.render.numbers import plural

_GIVEN = {"id": "", "deck": "", "place": "", "verdict": "", "quantity": "", "net": None, "outside": False}
"""The fields that a claim in a cell does not have. It is evaluated only for the cell."""

_Number = Annotated[
    str, Meta(pattern=r"^T\d+(\.\d+)?\Z", description="written `T4` or `T12.1`", examples=['"T4"'])
]
_Axes = Annotated[
    Literal["chw", "hwc", "nchw"], Meta(description="`chw`, `hwc` or `nchw`", examples=['"chw"'])
]
_REFERENCE = re.compile(r"(?:(?P<text>.*\S)\s+)?@(?P<id>[\w./-]+)(?:\[(?P<item>\d+)\])?", re.DOTALL)


class Cell(Struct, frozen=True, eq=False):
    """The text of a cell, and the claim that it makes if it is a figure.

    If the value of the claim is a list, `item` is the index of the cell's item.
    """

    text: str
    claim: Claim | None = None
    item: int | None = None
    span: Span | None = None


_Rows = Annotated[
    tuple[Annotated[tuple[Cell, ...], Meta(min_length=1)], ...],
    Meta(
        min_length=1,
        description="a list of rows, each a list of cells",
        examples=['[["a name", "@S4-079"]]'],
    ),
]


class TablePart(Struct, frozen=True, eq=False, kw_only=True):
    """One grid of a table. Its fields are the keys of a file.

    The last cell of a short row spans the remaining columns. `sums` are the columns whose computed
    figures are added up, and `below` has claims about the whole table. `axes` is the order in which the
    table prints the axes of a map. `listing` is a network to list in torchsummary's format, next to the
    rows of the grid.
    """

    title: Word = ""
    place: Word
    columns: Words
    rows: _Rows
    axes: _Axes = "chw"
    sums: Words = ()
    below: tuple[Claim, ...] = ()
    listing: Text | None = None
    note: Word = ""

    @property
    def claims(self) -> Iterable[Claim]:
        for row in self.rows:
            yield from (cell.claim for cell in row if cell.claim is not None)
        yield from self.below


class TableLayout(Struct, frozen=True, eq=False):
    """A table as printed, before anything is computed.

    `number`, `title`, and `decks` are keys of a file, and `name` is a header in it.
    """

    name: str
    number: _Number
    title: Word
    parts: tuple[TablePart, ...]
    span: Span
    decks: Words = ()
    sources: tuple[str, ...] = ()
    """Its decks by name, each with its title, author, institution, and year."""

    @property
    def places(self) -> list[str]:
        """The places of its parts, without repeats."""
        return list(dict.fromkeys(part.place for part in self.parts))


HEAD = ("number", "title", "decks")
"""The keys of a table. All others are keys of its grids."""


def layouts() -> list[TableLayout]:
    """Every built-in table, in order.

    >>> layouts()[0].name
    'lenet5-layers'
    """
    return read_layouts(specs_folder() / "tables.toml", "specs/tables.toml")


def read_layouts(path: Path, shown: str = "") -> list[TableLayout]:
    """The tables of a file. Names and numbers are unique. Raises `ArchError` with every mistake in it."""
    head, tables = read(path, shown or str(path))
    reader = _Reader(read_decks(shipped_files()))
    for key in head.values:
        reader.wrong(
            f"`{key}` does not belong to a table", head.span_of(key), "write a header above it: `[my-table]`"
        )
    if not tables:
        help = "add one: `[my-table]`, and below it `number`, `title`, `place`, `columns`, `rows`"
        reader.wrong(f"`{head.source.name}` has no tables", None, help)
    by_name: dict[str, list[TomlTable]] = {}
    for table in tables:
        by_name.setdefault(table.name.partition("/")[0], []).append(table)
    found = [reader.layout(name, members) for name, members in by_name.items()]
    every = [layout for layout in found if layout is not None]
    numbers = [(layout.number, layout.span) for layout in every]
    reader.problems += repeated(numbers, "two tables are numbered `{}`")
    if reader.problems:
        raise ArchError(reader.problems)
    return every


def chosen(name: str, known: Iterable[TableLayout]) -> list[TableLayout]:
    """The tables that a name or a number means. `T12` means `T12.1`, `T12.2`, and so on.

    Raises `ArchError` if the table does not exist.
    """
    every = list(known)
    wanted = name.casefold()
    for layout in every:
        if wanted in (layout.name, layout.number.casefold()):
            return [layout]
    group = [layout for layout in every if layout.number.casefold().startswith(wanted + ".")]
    if not group:
        names = [layout.name for layout in every] + [layout.number for layout in every]
        raise unknown("there is no table", name, names, help="`archcalc tables` lists them")
    return group


class _Reader:
    """Reads tables and collects the mistakes in them."""

    def __init__(self, decks: Sequence[Deck]) -> None:
        self.claims = {claim.id: claim for deck in decks for claim in deck.claims}
        self.citations = {deck.name: deck.citation for deck in decks}
        self.problems: list[Diagnostic] = []

    def layout(self, name: str, members: Sequence[TomlTable]) -> TableLayout | None:
        """A table from its own header `name` and from those of its parts, `name/part`."""
        head, *parts = members
        if head.name != name:
            self.wrong(f"`{head.name}` is not a part of a table", head.span, f"write `[{name}]` above it")
            return None
        values = {key: head.values[key] for key in HEAD if key in head.values}
        grid = {key: value for key, value in head.values.items() if key not in HEAD}
        for key in [key for key in grid if key not in TablePart.__struct_fields__]:
            keys = (*HEAD, *TablePart.__struct_fields__)
            self.problems += unknown("unknown key", key, keys, head.span_of(key), listing="keys").diagnostics
            del grid[key]
        found = [self.part(table, table.values) for table in parts]
        if grid or not parts:
            found.insert(0, self.part(head, grid))
        given = {
            "name": name,
            "parts": tuple(part for part in found if part is not None),
            "span": head.span,
            "sources": (),
        }
        layout, mistakes = decode(values, TableLayout, head.span_of, given=given)
        self.problems += mistakes
        if layout is None:
            return None
        known = [deck for deck in layout.decks if deck in self.citations]
        return replace(layout, sources=tuple(f"{deck}: {self.citations[deck]}" for deck in known))

    def part(self, table: TomlTable, values: Mapping[str, Any]) -> TablePart | None:
        values = dict(values)
        if "rows" in values:
            values["rows"] = self.cells(values["rows"], table.span_of("rows"))
        if "below" in values:
            values["below"] = self.below(values["below"], table.span_of("below"))
        part, mistakes = decode(values, TablePart, table.span_of)
        self.problems += mistakes
        if part is None:
            return None
        for number, row in enumerate(part.rows, 1):
            if len(row) > len(part.columns):
                are = "is" if len(part.columns) == 1 else "are"
                columns = plural(len(part.columns), "column")
                message = f"row {number} has {len(row)} cells, but there {are} {columns}"
                self.wrong(message, table.span_of("rows"))
        for name in part.sums:
            if name not in part.columns[1:]:
                help = near_miss(name, part.columns[1:])
                help = help or "the first column is for the label of the sums"
                self.wrong(f"there is no column `{name}` to add up", table.span_of("sums"), help)
        return part

    # -- cells

    def cells(self, value: Any, place: Span) -> Any:
        """The cells of a row, the rows of a grid, or a single cell."""
        if isinstance(value, list):
            return [self.cells(item, place) for item in value]
        return self.cell(value, place)

    def below(self, value: Any, place: Span) -> list[Claim]:
        cells = [self.cell(item, place) for item in (value if isinstance(value, list) else [value])]
        if not all(cell.claim for cell in cells):
            self.wrong("`below` can contain only claims", place, 'write `"@S4-079"`')
        return [cell.claim for cell in cells if cell.claim is not None]

    def cell(self, value: Any, place: Span) -> Cell:
        """A cell; `place` is used if the value has no place of its own."""
        if isinstance(value, dict):
            return self.figure(value, place)
        if isinstance(value, str):  # a blank string, which is not a `Text`
            return Cell(value)
        if not isinstance(value, Text):
            self.wrong("a cell is a string, or a table `{printed = ..., claim = ...}`", place)
            return Cell("")
        reference = _REFERENCE.fullmatch(value.text)
        if reference is None:
            return Cell(value.text)
        claim = self.claims.get(reference["id"])
        if claim is None:
            self.problems += unknown(
                "there is no claim", reference["id"], self.claims, value.span
            ).diagnostics
            return Cell(value.text)
        item = int(reference["item"]) if reference["item"] else None
        return Cell(reference["text"] or claim.printed, claim, item, value.span)

    def figure(self, values: dict[str, Any], place: Span) -> Cell:
        """A cell that makes a claim of its own."""
        texts = (
            text for value in values.values() for text in (value if isinstance(value, list) else [value])
        )
        place = next((text.span for text in texts if isinstance(text, Text)), place)
        given = {**_GIVEN, "span": place}
        defaults = {"says": "", "printed": ""}
        claim, mistakes = decode(values, Claim, lambda key: place, "", given, defaults)
        self.problems += mistakes
        if not values.keys() & {"claim", "answer", "restored"}:
            self.wrong("a cell needs `claim`, `restored`, or `answer`", place, "or write its text alone")
        for key, other in (("under", "variant"), ("restored", "evidence")):
            if key in values and other not in values:
                self.wrong(f"`{key}` of a cell needs `{other}`", place)
        return Cell(claim.printed if claim is not None else "", claim)

    def wrong(self, message: str, span: Span | None, help: str = "") -> None:
        self.problems.append(Diagnostic(message, span, help=help))
