"""Modules and layers that share their parameters: each becomes a call of one `shared block`."""

from __future__ import annotations

from collections import Counter

from archcalc.convert.modules import ModuleItem, NetModule
from archcalc.network import Node


class SharedParameters:
    """Marks the items of a network that share parameters. Changes the items in place."""

    def __init__(self, nodes: tuple[Node, ...], items: list[ModuleItem]) -> None:
        self.users = Counter((node.shares or node).index for node in nodes if node.facts.weights)
        self.shared = {index for index, number in self.users.items() if number > 1}
        if self.shared:
            self.twins: Counter[tuple[int, ...]] = Counter()
            self._count(items)
            self._mark(items)

    def _owners(self, module: NetModule) -> tuple[int, ...]:
        """The nodes that own the parameters of a module, in order; none if it shares no or only some."""
        found: list[int] = []
        for item in module.items:
            if item.module is not None:
                found += self._owners(item.module)
            elif item.node.facts.weights:
                found.append((item.node.shares or item.node).index)
        return tuple(found)

    def _count(self, items: list[ModuleItem]) -> None:
        for item in items:
            if item.module is not None:
                self.twins[self._owners(item.module)] += 1
                self._count(item.module.items)

    def _mark(self, items: list[ModuleItem]) -> None:
        for item in items:
            if item.module is None:
                owner = (item.node.shares or item.node).index
                if owner in self.shared and item.node.facts.weights:
                    leaf = ModuleItem(item.value, item.inputs, item.node)
                    inputs = tuple(dict.fromkeys(item.inputs))
                    item.module = NetModule("", item.node.kind, [leaf], inputs, item.value, owner)
                    item.inputs = inputs
                continue
            owners = self._owners(item.module)
            if (
                owners
                and all(self.users[owner] == self.twins[owners] for owner in owners)
                and (self.twins[owners] > 1)
            ):
                item.module.shared = owners
            else:
                self._mark(item.module.items)
