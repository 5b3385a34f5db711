"""Finds modules and layers that share parameters: each becomes a call of one `shared block`."""

from __future__ import annotations

from collections import Counter
from typing import Any

from archcalc.convert.modules import ModuleItem, NetModule
from archcalc.convert.plan import owner_of
from archcalc.network import Node


class SharedParameters:
    """Marks the items of a network that share parameters. Changes the items in place.

    Modules are twins if they have the same layers, connected in the same way, with the same parameters. They
    become one shared block if nothing else uses these parameters. Any other layer that shares its parameters
    becomes a separate shared block.
    """

    def __init__(self, nodes: tuple[Node, ...], items: list[ModuleItem]) -> None:
        self.users = Counter(owner_of(node).index for node in nodes if node.facts.weights)
        self.shared = {index for index, number in self.users.items() if number > 1}
        self.twins: Counter[Any] = Counter()
        self.keys: dict[int, Any] = {}
        """The key that twins share, by the identity of the module."""
        if self.shared:
            self._count(items)
            self._mark(items)

    def _count(self, items: list[ModuleItem], around: Any = None) -> None:
        for item in items:
            if item.module is not None:
                key = self._key(item.module)
                if key[0] and key[0] != around:  # a module around it with the same parameters represents it
                    self.keys[id(item.module)] = key
                    self.twins[key] += 1
                self._count(item.module.items, key[0])

    def _key(self, module: NetModule) -> tuple[Any, ...]:
        """Return the owners of a module's parameters, and its layers and connections."""
        nodes = _nodes(module)
        places = {node.index: place for place, node in enumerate(nodes)}
        owners = tuple(owner_of(node).index for node in nodes if node.facts.weights)
        if self.shared.isdisjoint(owners):
            return ((),)
        structure = (
            (node.layer, tuple(places.get(source.index, -1) for source in node.inputs)) for node in nodes
        )
        return (owners, *structure)

    def _mark(self, items: list[ModuleItem]) -> None:
        for item in items:
            if item.module is None:
                self._mark_layer(item)
                continue
            key = self.keys.get(id(item.module), ((),))
            if (
                key[0]
                and self.twins[key] > 1
                and all(self.users[owner] == self.twins[key] for owner in key[0])
            ):
                item.module.shared = key
            else:
                self._mark(item.module.items)

    def _mark_layer(self, item: ModuleItem) -> None:
        """Mark a layer that shares its parameters, as a separate module."""
        owner = owner_of(item.node).index
        if owner in self.shared and item.node.facts.weights:
            leaf = ModuleItem(item.value, item.inputs, item.node)
            inputs = tuple(dict.fromkeys(item.inputs))
            item.module = NetModule("", item.node.kind, [leaf], inputs, item.value, owner)
            item.inputs = inputs


def _nodes(module: NetModule) -> list[Node]:
    """Return the nodes of a module, in order."""
    found: list[Node] = []
    for item in module.items:
        found += [item.node] if item.module is None else _nodes(item.module)
    return found
