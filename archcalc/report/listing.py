"""The list of the built-in networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Literal

from msgspec import Struct

from archcalc.opened import Opened
from archcalc.profile import analyze
from archcalc.render.documents import json_text
from archcalc.render.numbers import grouped, human, plural
from archcalc.render.terminal import open_console, printed
from archcalc.shape import format_shape

INDENT, GAP = 4, 2
"""Blanks before a network, and between its columns."""


class ListedNetwork(Struct, frozen=True):
    """One line of the list."""

    name: str
    family: str
    year: int | None
    reference: str
    inputs: dict[str, tuple[int, ...]]
    params: int
    macs: int
    see: Mapping[str, str]


def entry(opened: Opened) -> ListedNetwork:
    """Make a network and take its totals. Raises `ArchError`."""
    network = opened.network()
    totals = analyze(network).totals
    inputs = {name: node.shape for name, node in network.inputs.items()}
    return ListedNetwork(
        opened.name,
        opened.family,
        opened.year,
        opened.reference,
        inputs,
        totals.params,
        totals.macs,
        network.see,
    )


def to_json(entries: Sequence[ListedNetwork]) -> str:
    """The list as a JSON object with `networks`."""
    return json_text(networks=entries)


def render(entries: Iterable[ListedNetwork], width: int, colour: bool) -> str:
    """The list by family, each network below its reference."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console = open_console(width, colour)
    items = list(entries)
    lines = [(item, _cells(item, grouped)) for item in items]
    widths = _widths(lines)
    if _room(widths) > width:  # short figures are better than cut figures
        lines = [(item, _cells(item, human)) for item in items]
        widths = _widths(lines)
    aligned = _room(widths) <= width  # columns per family are better than cut figures
    for family, in_family in groupby(lines, key=lambda line: line[0].family):
        of_family = list(in_family)
        if not aligned:
            widths = _widths(of_family)
        console.print(Text(family, style="bold"))
        for reference, of_reference in groupby(of_family, key=lambda line: line[0].reference):
            members = list(of_reference)
            console.print(Padding(Text(reference, style="dim"), (0, 0, 0, 2)))
            table = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
            for number, column_width in enumerate(widths):
                justify: Literal["left", "right"] = "right" if number else "left"
                table.add_column(justify=justify, no_wrap=True, min_width=column_width)
            for _, cells in members:
                table.add_row(*cells)
            console.print(Padding(table, (0, 0, 0, INDENT), expand=False))
            for item, _ in members:
                for name, about in item.see.items():
                    line = Text(f"{item.name}: see also {name}, {about}", style="dim")
                    console.print(Padding(line, (0, 0, 0, INDENT)))
        console.print()
    console.print(f"{plural(len(lines), 'network', str)}: name, year, input, parameters, MACs")
    return printed(console)


def _widths(lines: Sequence[tuple[ListedNetwork, tuple[str, ...]]]) -> list[int]:
    return [max((len(cells[i]) for _, cells in lines), default=0) for i in range(5)]


def _room(widths: Sequence[int]) -> int:
    """The width of a line with columns of these widths."""
    return INDENT + sum(widths) + GAP * (len(widths) - 1)


def _cells(item: ListedNetwork, number: Callable[[int], str]) -> tuple[str, ...]:
    inputs = ", ".join(format_shape(shape) for shape in item.inputs.values())
    return item.name, str(item.year or ""), inputs, number(item.params), number(item.macs)
