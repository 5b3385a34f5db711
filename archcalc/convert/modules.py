"""Finds the modules of a network by the paths of its nodes, and makes each one step if possible.

A module with one output becomes one step of the module around it. Any other module is dissolved: its steps
become steps of the module around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from archcalc.convert.plan import tied_to
from archcalc.network import Network, Node

if TYPE_CHECKING:
    from archcalc.convert.series import GrowingJoins

MAX_DEPTH = 12
"""Levels of modules; deeper ones are dissolved. The language allows 60 nested calls."""

MAX_ENTRIES = 4
"""Inputs of a module that is one step."""

GENERIC = frozenset(("group", "Sequential", "ModuleList", "ModuleDict", "Module", ""))
"""Classes of modules that say nothing about what is in them."""


class ModuleItem(Struct, eq=False):
    """One step: a node, or a module. `value` is the index of the node that gives its output."""

    value: int
    inputs: tuple[int, ...]
    node: Node
    module: NetModule | None = None


class NetModule(Struct, eq=False):
    """A module with one output: its items in order, and the indices of its input tensors."""

    path: str
    kind: str
    items: list[ModuleItem]
    inputs: tuple[int, ...]
    value: int
    shared: object = None
    """Identifies the parameters that it shares with other modules."""
    series: GrowingJoins | None = None
    """What is in it, if it is a series of joins that grow."""
    around: str = ""
    """The class of the module around it, or of one further out if that class says nothing."""


class ModuleTree:
    """Finds the modules of a network, unless `nested` is false; `items` are the steps of the network."""

    def __init__(self, network: Network, nested: bool = True) -> None:
        self.nodes = network.nodes
        self.kinds = {group.name: group.kind for group in network.groups}
        self.places = [self._place(node) if nested else () for node in self.nodes]
        self.depths = [len(place) for place in self.places]
        """For each node, how many modules are around all that reads its tensor: it leaves those within."""
        self._measure(network)
        items = [ModuleItem(node.index, _sources(node), node) for node in self.nodes]
        self.items = self._items(items, 0)

    def _place(self, node: Node) -> tuple[str, ...]:
        """Return the modules around a node, outermost first."""
        head, _, _ = node.name.rpartition("/")
        return tuple(part for part in head.split("/", MAX_DEPTH * 2)[:MAX_DEPTH] if part) if head else ()

    def _measure(self, network: Network) -> None:
        for node in self.nodes:
            for source in _sources(node):
                common = _common(self.places[source], self.places[node.index])
                self.depths[source] = min(self.depths[source], common)
        for result in (*network.outputs.values(), *network.heads.values()):
            self.depths[result.index] = 0

    def _items(self, items: Sequence[ModuleItem], depth: int) -> list[ModuleItem]:
        """Return the items of one module; each module inside it is gathered into one item."""
        gathered: dict[str, list[ModuleItem]] = {}
        found: list[ModuleItem] = []
        for item in items:
            place = self.places[item.value]
            if len(place) > depth:
                gathered.setdefault(place[depth], []).append(item)
            else:
                found.append(item)
        for members in gathered.values():
            found += self._module(members, depth + 1)
        return sorted(found, key=lambda item: item.value)

    def _module(self, members: list[ModuleItem], depth: int) -> list[ModuleItem]:
        """Return a module as one item, or as its items if it has to be dissolved."""
        place = self.places[members[0].value][:depth]
        inner = self._items(members, depth)
        peeled, rest = _peel(inner)
        outputs = [item for item in rest if self.depths[item.value] < depth]
        inputs = _inputs(rest)
        if len(rest) < 2 or len(outputs) != 1 or not 1 <= len(inputs) <= MAX_ENTRIES:
            return inner
        if any(item.node.is_input for item in rest):
            return inner
        last = outputs[0]
        path = "/".join(place)
        around = ("/".join(place[:length]) for length in range(len(place) - 1, 0, -1))
        kinds = (kind for path in around if (kind := self.kinds.get(path, "")) not in GENERIC)
        module = NetModule(path, self.kinds.get(path, ""), rest, inputs, last.value, around=next(kinds, ""))
        return [*peeled, ModuleItem(last.value, inputs, last.node, module)]


def _sources(node: Node) -> tuple[int, ...]:
    """Return what a node reads, then the layer whose weight it shares, if text can express that."""
    inputs = tuple(source.index for source in node.inputs)
    owner = tied_to(node)
    return inputs if owner is None else (*inputs, owner.index)


def _inputs(items: Sequence[ModuleItem]) -> tuple[int, ...]:
    """Return the inputs from outside, in the order in which they are read."""
    own = {item.value for item in items}
    return tuple(dict.fromkeys(value for item in items for value in item.inputs if value not in own))


def _peel(items: list[ModuleItem]) -> tuple[list[ModuleItem], list[ModuleItem]]:
    """Split off a join at the start of a module, so that it has one input tensor and not several.

    In torchvision, a DenseNet layer begins with the concatenation of all earlier maps.
    """
    first = items[0]
    rest = items[1:]
    if first.module is None and first.node.layer.is_join and _inputs(rest) == (first.value,):
        return [first], rest
    return [], items


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Return how many modules two places share."""
    for index, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return index
    return min(len(one), len(other))
