"""The rows of a report: layers, or blocks rolled up; chosen, sorted, and cut as asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from archcalc.diagnostics import error, near_miss
from archcalc.layers.base import FAMILIES, KINDS
from archcalc.network import Group, Node
from archcalc.profile import LayerProfile, Profile


class Row(Struct, eq=False):
    """A line of a report: a layer, or a block with the layers in it."""

    name: str
    layers: list[LayerProfile]
    output: Node
    group: Group | None = None
    params: int = 0
    buffers: int = 0
    weights: int = 0
    macs: int = 0
    flops: int = 0
    activations: int = 0
    count: int = 0

    def __post_init__(self) -> None:
        for layer in self.layers:
            own = layer.own
            self.params += own.params
            self.buffers += own.buffers
            self.weights += own.weights
            self.macs += own.macs
            self.flops += own.flops
            self.activations += own.activations
            self.count += own.count

    @property
    def kind(self) -> str:
        return self.group.kind if self.group is not None else self.output.kind

    @property
    def operation(self) -> str:
        if self.group is None:
            return str(self.output.layer)
        count = self.group.stop - self.group.start
        return f"{self.group.kind}: {count} layer{'' if count == 1 else 's'}"

    @property
    def inputs(self) -> list[str]:
        """The nodes outside this row that it reads."""
        inside = {layer.node.index for layer in self.layers}
        names = [s.name for layer in self.layers for s in layer.node.inputs if s.index not in inside]
        return list(dict.fromkeys(names))


def select_rows(
    profile: Profile,
    *,
    depth: int | None = None,
    only: Sequence[str] = (),
    sort: str = "",
    top: int | None = None,
) -> list[Row]:
    """The rows of a report.

    `depth` rolls up what lies deeper in the paths, `only` keeps kinds or families of layers, `sort`
    orders by a quantity, the largest first, and `top` keeps the first ones. Raises `ArchError` for
    unknown names.
    """
    layers: Iterable[LayerProfile] = profile.layers
    if only:
        layers = _only(profile.layers, only)
    if depth is None:
        rows = [Row(layer.node.name, [layer], layer.node) for layer in layers]
    else:
        rows = _rolled_up(profile, layers, depth)
    if sort:
        known = SORTABLE if profile.convention is not None else SORTABLE[:-1]
        if sort not in known:
            help = near_miss(sort, known) or "sort by " + ", ".join(known)
            raise error(f"rows cannot be sorted by `{sort}`", help=help)
        rows.sort(key=lambda row: -int(getattr(row, sort)))
    return rows if top is None else rows[:top]


SORTABLE = ("params", "buffers", "weights", "macs", "flops", "activations", "count")


def _only(layers: Iterable[LayerProfile], names: Sequence[str]) -> list[LayerProfile]:
    known = {*KINDS, *FAMILIES}
    for name in names:
        if name not in known:
            help = near_miss(name, known) or "families: " + ", ".join(sorted(FAMILIES - {"input"}))
            raise error(f"there is no layer kind or family `{name}`", help=help)
    wanted = set(names)
    return [la for la in layers if la.node.layer.kind in wanted or la.node.layer.family in wanted]


def _rolled_up(profile: Profile, layers: Iterable[LayerProfile], depth: int) -> list[Row]:
    groups = {group.name: group for group in profile.network.groups}
    gathered: dict[str, list[LayerProfile]] = {}
    for layer in layers:
        name = "/".join(layer.node.name.split("/", depth)[:depth])
        gathered.setdefault(name, []).append(layer)
    rows = []
    for name, members in gathered.items():
        group = groups.get(name)
        rows.append(Row(name, members, group.output if group else members[-1].node, group))
    return rows
