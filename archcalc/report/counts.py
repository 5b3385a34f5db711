"""One network, counted by every convention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from archcalc.conventions import UNITS, Convention, Counter, conventions
from archcalc.network import Network
from archcalc.notes import note_lines, note_objects
from archcalc.profile import analyze
from archcalc.render.documents import json_text
from archcalc.render.numbers import grouped
from archcalc.render.terminal import open_console, printed, ruled


class NetworkCount(Struct, frozen=True):
    """The count of a network by one convention, and the kinds of layers without a rule."""

    convention: Convention
    count: int
    not_counted: dict[str, int]


def of_network(network: Network) -> list[NetworkCount]:
    """The counts of a network by all conventions, for a batch of one."""
    found = []
    for name, convention in conventions().items():
        profile = analyze(network, convention=name)
        counter = Counter(convention, network)
        missing = counter.not_counted([layer.node for layer in profile.layers])
        found.append(NetworkCount(convention, profile.count, missing))
    return found


def to_json(network: Network, counts: Sequence[NetworkCount]) -> str:
    """The counts as one JSON object."""
    return json_text(
        network=network.name,
        complete=network.is_complete,
        notes=note_objects(network.notes),
        counts=[_plain(count) for count in counts],
    )


def _plain(count: NetworkCount) -> dict[str, Any]:
    convention = count.convention
    return {
        "name": convention.name,
        "unit": convention.unit,
        "calls_it": convention.calls_it or convention.unit,
        "version": convention.version,
        "count": count.count,
        "not_counted": count.not_counted,
    }


def render(network: Network, counts: Sequence[NetworkCount], width: int, colour: bool) -> str:
    """One table for each unit, the largest count first."""
    from rich.text import Text

    console = open_console(width, colour)
    console.print(Text(f"{network.name}, as counted by each convention", style="bold"))
    for unit, words in UNITS.items():
        of_unit = sorted(
            (count for count in counts if count.convention.unit == unit),
            key=lambda count: (-count.count, count.convention.name),
        )
        if not of_unit:
            continue
        table = ruled()
        table.add_column(words[:1].upper() + words[1:])
        table.add_column("Count", justify="right", no_wrap=True, style="bold")
        table.add_column("Without a rule")
        for count in of_unit:
            convention = count.convention
            missing = ", ".join(count.not_counted)
            table.add_row(
                f"{convention.name} {convention.version}".strip(), grouped(count.count), Text(missing)
            )
        console.print()
        console.print(table)
    for line in note_lines(network.notes):
        console.print(Text(line), overflow="fold")
    console.print()
    console.print(Text("`archcalc conventions NAME` shows the rules of one convention.", style="dim"))
    return printed(console)
