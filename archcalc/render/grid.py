"""A grid of cells for a given width. Cells are wrapped at spaces, and figures are never cut.

If even the narrowest columns do not fit side by side, the grid continues below and repeats the first columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

Piece = tuple[str, str]
"""A text and its style."""

GAP = 2
_NUMERIC = re.compile(r"[<>~≈]?-?\d[\d,.]*[KMG%]?|-?")


class GridCell(Struct, frozen=True):
    """A text followed by a mark in its own style: a sign, with or without a figure."""

    text: str
    sign: str = ""
    figure: str = ""
    style: str = ""

    @property
    def mark(self) -> str:
        return f"{self.sign} {self.figure}".rstrip()

    @property
    def lines(self) -> list[list[Piece]]:
        """The words of each line. A sign stays with the first word of its figure."""
        lines: list[list[Piece]] = [[(word, "") for word in line.split()] for line in self.text.split("\n")]
        words = self.figure.split()
        if self.sign:
            lines[-1].append((" ".join([self.sign, *words[:1]]), self.style))
        lines[-1] += [(word, self.style) for word in words[1:]]
        return lines


def lay_out(
    rows: Sequence[Sequence[GridCell]], width: int, spaced: bool = True, repeated: int = 1
) -> list[list[list[Piece]]]:
    """The grid as panels of lines. Each line is a list of pieces. The first row is the heading.

    In a row shorter than the heading, the last cell spans the other columns, up to `width`. `spaced`
    separates rows if any row takes several lines. Each panel repeats the first `repeated` columns; if no
    other column fits next to them, it repeats those that fit into half of the width, at least one.
    """
    heading = rows[0]
    columns = [
        _Column([row[i] for row in rows if i < len(row) - _spans(row, heading)]) for i in range(len(heading))
    ]
    return [_panel(rows, columns, chosen, width, spaced) for chosen in _panels(columns, width, repeated)]


def _spans(row: Sequence[GridCell], heading: Sequence[GridCell]) -> bool:
    return len(row) < len(heading)


class _Column:
    """The width that a column needs."""

    def __init__(self, cells: Sequence[GridCell]) -> None:
        texts = [cell.text for cell in cells[1:]]
        self.is_numeric = any(re.search(r"\d", text) for text in texts) and all(
            map(_NUMERIC.fullmatch, texts)
        )
        self.text = max((len(text) for text in texts), default=0)
        self.mark = max((len(cell.mark) for cell in cells), default=0)
        words = [word for cell in cells for line in cell.lines for word, _ in line]
        self.least = max(map(len, words), default=0)
        self.most = max(_length(line) for cell in cells for line in cell.lines)
        if self.is_numeric:
            self.most = max(self.most, self.text + (1 + self.mark if self.mark else 0))


def _length(line: Sequence[Piece]) -> int:
    return sum(len(word) for word, _ in line) + max(0, len(line) - 1)


def _panels(columns: Sequence[_Column], width: int, repeated: int) -> list[list[int]]:
    """The columns of each panel: all, or as many as fit, each time with the first columns."""
    head = _repeated(columns, width, repeated)
    panels = [[0]]
    room = width - columns[0].least
    for number, column in enumerate(columns[1:], 1):
        needed = column.least + GAP
        if needed > room and len(panels[-1]) > (1 if len(panels) == 1 else head):
            panels.append(list(range(head)))
            room = width - _least(columns[:head])
        panels[-1].append(number)
        room -= needed
    return panels


def _repeated(columns: Sequence[_Column], width: int, repeated: int) -> int:
    """The number of columns that each panel repeats."""
    widest = max((column.least for column in columns[repeated:]), default=0)
    if _least(columns[:repeated]) + GAP + widest <= width:
        return repeated
    # with more of them, each panel would have one new column only
    fitting = [n for n in range(1, repeated) if _least(columns[:n]) <= width // 2]
    return max(fitting, default=1)


def _least(columns: Sequence[_Column]) -> int:
    return sum(column.least for column in columns) + GAP * (len(columns) - 1)


def _sizes(columns: Sequence[_Column], width: int) -> list[int]:
    """The width of each column: the width it needs, plus more for columns that wrap most."""
    sizes = [column.least for column in columns]
    room = width - sum(sizes) - GAP * (len(sizes) - 1)
    while room > 0:
        short = [i for i, column in enumerate(columns) if sizes[i] < column.most]
        if not short:
            break
        sizes[max(short, key=lambda i: columns[i].most / sizes[i])] += 1
        room -= 1
    return sizes


def _panel(
    rows: Sequence[Sequence[GridCell]],
    every: Sequence[_Column],
    chosen: Sequence[int],
    width: int,
    spaced: bool,
) -> list[list[Piece]]:
    columns = [every[i] for i in chosen]
    sizes = _sizes(columns, width)
    lines: list[list[Piece]] = []
    heights = []
    for row in rows:
        cells = []
        for place, number in enumerate(chosen):
            spanned = _spans(row, rows[0]) and number >= len(row) - 1
            item = row[min(number, len(row) - 1)]
            if spanned:
                before = sum(sizes[:place]) + GAP * place
                room = max(width - before, sum(sizes[place:]) + GAP * (len(sizes) - place - 1))
                wrapped = _wrap(item.lines, room)
                cells.append([[*line, (" " * (sizes[place] - _written(line)), "")] for line in wrapped])
                break
            cells.append(_cell(item, columns[place], sizes[place]))
        height = max(map(len, cells))
        heights.append(height)
        lines += [
            _joined([cell[i] if i < len(cell) else [] for cell in cells], columns, sizes)
            for i in range(height)
        ]
    return _ruled(lines, heights, sum(sizes) + GAP * (len(sizes) - 1), spaced)


def _cell(cell: GridCell, column: _Column, size: int) -> list[list[Piece]]:
    """The lines of a cell. In a column of numbers, figures and marks are aligned separately."""
    needed = column.text + (1 + column.mark if column.mark else 0)
    if column.is_numeric and needed <= size and len(cell.text) <= column.text:
        text, mark = cell.text.rjust(column.text), cell.mark.ljust(column.mark)
        line = [(text, ""), (f" {mark}", cell.style)] if column.mark else [(text, "")]
        return [[(" " * (size - needed), ""), *line]] if size > needed else [line]
    return _wrap(cell.lines, size)


def _wrap(lines: Iterable[Sequence[Piece]], width: int) -> list[list[Piece]]:
    wrapped: list[list[Piece]] = []
    for words in lines:
        line: list[Piece] = []
        used = 0
        for word, style in words:
            if line and used + 1 + len(word) > width:
                wrapped.append(line)
                line, used = [], 0
            if line:
                line.append((" ", ""))
                used += 1
            line.append((word, style))
            used += len(word)
        wrapped.append(line)
    return wrapped


def _written(line: Sequence[Piece]) -> int:
    return sum(len(text) for text, _ in line)


def _joined(
    cells: Sequence[Sequence[Piece]], columns: Sequence[_Column], sizes: Sequence[int]
) -> list[Piece]:
    """The cells of one line, padded."""
    line: list[Piece] = []
    for number, (cell, size) in enumerate(zip(cells, sizes, strict=False)):
        if number:
            line.append((" " * GAP, ""))
        blank = (" " * (size - _written(cell)), "")
        line += [blank, *cell] if columns[number].is_numeric else [*cell, blank]
    return line


def _ruled(
    lines: Sequence[list[Piece]], heights: Sequence[int], width: int, spaced: bool
) -> list[list[Piece]]:
    """The lines with a rule below the heading, and blank lines between rows of several lines."""
    first = heights[0]
    ruled = [[(text, "bold") for text, _ in line] for line in lines[:first]] + [[("─" * width, "")]]
    loose = spaced and any(height > 1 for height in heights[1:])
    for number, height in enumerate(heights[1:]):
        if loose and number:
            ruled.append([])
        ruled += lines[first : first + height]
        first += height
    return ruled
