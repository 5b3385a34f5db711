"""The layers added, removed, and changed between two versions of a network, in few lines."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from msgspec import Struct

from archcalc.comparison.matching import Change, Matching, Pair
from archcalc.comparison.tables import ArrangedTable, Cells
from archcalc.network import Network, Node

MAX_ROWS = {"removed": 20, "added": 20, "changed": 20, "renamed": 6}
"""The most lines of each sort that are shown. Others are counted."""


class Item(Struct, frozen=True):
    """A layer, or a block of which all layers were added or removed."""

    path: str
    operation: str
    layers: int

    @property
    def parent(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class StructureRow(Struct, frozen=True):
    """`sort` is `added`, `removed`, `changed`, or `renamed`. `where` has the paths, and `what` the change."""

    sort: str
    where: str
    what: str


def summary(matching: Matching) -> str:
    """The numbers of layers added, removed, changed, and renamed."""
    counts = (
        (len(matching.added), "added"),
        (len(matching.removed), "removed"),
        (len(matching.changed), "changed"),
        (len(matching.moved), "renamed"),
    )
    kept = sum(
        pair.before is not None and not pair.before.is_input and pair.after is not None
        for pair in matching.pairs
        if not pair.changes and not pair.moved
    )
    parts = ", ".join(f"{count:,} {word}" for count, word in counts if count)
    same = f"{kept:,} unchanged" if kept else ""
    return "; ".join(filter(None, (parts or "no layer differs", same)))


def structure_table(matching: Matching, before: Network, after: Network) -> ArrangedTable:
    """The structural difference as a table. Its last columns can wrap."""
    rows = structure_rows(matching, before, after)
    columns = [
        Cells("", [row.sort for row in rows], right=False),
        Cells("Layer or block", [row.where for row in rows], right=False, wraps=True),
        Cells("What", [row.what for row in rows], right=False, wraps=True),
    ]
    return ArrangedTable("Layers", summary(matching), [columns])


def structure_rows(matching: Matching, before: Network, after: Network) -> list[StructureRow]:
    """The rows of the structural difference, at most `MAX_ROWS` of each sort."""
    rows: list[StructureRow] = []
    for sort, nodes, network in (
        ("removed", matching.removed, before),
        ("added", matching.added, after),
    ):
        runs = _gathered(_runs(_items(nodes, network)))
        rows += _cut([_row(sort, where, items) for where, items in runs], sort)
    rows += _cut(_changed(matching.changed), "changed")
    rows += _cut(_moved(matching.moved), "renamed")
    return rows


def _cut(rows: list[StructureRow], sort: str) -> list[StructureRow]:
    most = MAX_ROWS[sort]
    if len(rows) <= most:
        return rows
    more = f"... {len(rows) - most + 1:,} more"
    return [*rows[: most - 1], StructureRow(sort, more, "`--format json` lists all")]


def _items(nodes: Sequence[Node], network: Network) -> list[Item]:
    """The layers, with a block in place of its layers if all of them are included."""
    wanted = {node.index for node in nodes}
    items = []
    covered: set[int] = set()
    blocks = {}
    for group in network.groups:  # outer ones first
        inside = range(group.start, group.stop)
        if inside and inside[0] not in covered and wanted.issuperset(inside):
            blocks[group.start] = group
            covered.update(inside)
    for node in nodes:
        if node.index in blocks:
            group = blocks[node.index]
            items.append(Item(group.name, group.kind, group.stop - group.start))
        elif node.index not in covered:
            items.append(Item(node.name, str(node.layer), 1))
    return items


def _runs(items: Sequence[Item]) -> list[list[Item]]:
    """Runs of neighboring items with the same operation in the same block."""
    return [list(run) for _, run in groupby(items, key=lambda item: (item.parent, item.operation))]


def _gathered(runs: Sequence[list[Item]]) -> list[tuple[str, list[Item]]]:
    """The runs and their places. Runs of one item with the same name in several blocks share a line."""
    alone: dict[tuple[str, str], list[Item]] = {}
    lines: list[tuple[str, list[Item]]] = []
    for run in runs:
        first, last = run[0], run[-1].name
        if len(run) > 1:
            lines.append((f"{first.path} {'to' if len(run) > 2 else 'and'} {last}", run))
            continue
        members = alone.setdefault((first.name, first.operation), [])
        if not members:
            lines.append((first.path, members))
        members += run
    return [
        (where if where != items[0].path else _paths([i.path for i in items]), items)
        for where, items in lines
    ]


def _paths(paths: Sequence[str]) -> str:
    """The paths as text: all of them if they are at most two, otherwise the first one and their number."""
    return ", ".join(paths) if len(paths) < 3 else f"{paths[0]} and {len(paths) - 1:,} more"


def _row(sort: str, where: str, items: Sequence[Item]) -> StructureRow:
    count = sum(item.layers for item in items)
    what = items[0].operation if len(items) == 1 else f"{len(items)} × {items[0].operation}"
    if count > len(items):
        what += f": {count:,} layers"
    return StructureRow(sort, where, what)


def _changed(pairs: Sequence[Pair]) -> list[StructureRow]:
    """One row for all layers that changed in the same way."""
    alike: dict[tuple[str, tuple[Change, ...]], list[Pair]] = {}
    for pair in pairs:
        assert pair.after is not None
        alike.setdefault((pair.after.kind, pair.changes), []).append(pair)
    rows = []
    for (_, changes), members in alike.items():
        where = _paths([pair.name for pair in members])
        rows.append(StructureRow("changed", where, "; ".join(map(describe, changes))))
    return rows


def describe(change: Change) -> str:
    """`stride 2 → 1`."""
    name = "" if change.argument == "layer" else f"{change.argument} "
    return f"{name}{change.before} → {change.after}"


def _moved(pairs: Sequence[Pair]) -> list[StructureRow]:
    """One row for all layers whose paths differ in the same prefix."""
    paths: dict[tuple[str, str], None] = {}
    for pair in pairs:
        assert pair.before is not None
        assert pair.after is not None
        old, new = pair.before.name.split("/"), pair.after.name.split("/")
        while len(old) > 1 and len(new) > 1 and old[-1] == new[-1]:
            old, new = old[:-1], new[:-1]
        paths["/".join(old), "/".join(new)] = None
    return [StructureRow("renamed", new, f"was {old}") for old, new in paths]
