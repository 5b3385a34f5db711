"""The list of the shipped networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO

from msgspec import Struct

from archcalc.language.elaborate import elaborate
from archcalc.library import Spec
from archcalc.profile import analyze
from archcalc.report.numbers import grouped
from archcalc.shape import format_shape


class Entry(Struct, frozen=True):
    """A line of the list."""

    name: str
    family: str
    year: int | None
    reference: str
    inputs: dict[str, tuple[int, ...]]
    params: int
    macs: int


def entry(spec: Spec) -> Entry:
    """Elaborate a net and take its totals."""
    network = elaborate(spec.net)
    totals = analyze(network).totals
    inputs = {name: node.shape for name, node in network.inputs.items()}
    return Entry(spec.name, spec.family, spec.year, spec.reference, inputs, totals.params, totals.macs)


def to_json(entries: Sequence[Entry]) -> str:
    """The list as a JSON object with `networks`."""
    import msgspec

    document = {"schema": 1, "networks": entries}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def render(entries: Iterable[Entry], width: int, file: IO[str], colour: bool) -> None:
    """The list as a table, grouped by family, each with its references above."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=file, width=width, no_color=not colour, force_terminal=colour, highlight=False)
    families: dict[str, list[Entry]] = {}
    for item in entries:
        families.setdefault(item.family, []).append(item)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Network", no_wrap=True)
    table.add_column("Year", justify="right")
    table.add_column("Input", justify="right", no_wrap=True)
    table.add_column("Params", justify="right", no_wrap=True)
    table.add_column("MACs", justify="right", no_wrap=True)
    wide = width >= 110
    if wide:
        table.add_column("Reference", no_wrap=True, overflow="ellipsis", style="dim")
    for number, (family, members) in enumerate(families.items()):
        if number:
            table.add_row()
        table.add_row(Text(family, style="bold"))
        for item in members:
            inputs = ", ".join(format_shape(shape) for shape in item.inputs.values())
            cells = [f"  {item.name}", str(item.year or ""), inputs, grouped(item.params), grouped(item.macs)]
            table.add_row(*cells, *([item.reference] if wide else []))
    console.print(table)
