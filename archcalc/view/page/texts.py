"""The explanations on the page: the output of `archcalc explain` for each layer and block.

Most lines are the same for many boxes, so each is stored once. In its own lines, the path of a box is `\0`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archcalc.profile import Profile
from archcalc.quantities import QUANTITIES, Selection
from archcalc.report.explain import OF_A_LAYER, account, lines_of_part, origin, title_of_layer
from archcalc.view.page.figures import Interned
from archcalc.view.structure import Box, Structure

PATH = "\0"
"""Represents the path of a box in its own explanation."""


class Explanations:
    """Texts without duplicates, and for each box the numbers of its texts, in order."""

    def __init__(self, profile: Profile, structure: Structure) -> None:
        self.profile = profile
        self.texts = Interned()
        self.known: dict[Any, Any] = {}
        self.of_boxes = [self._of_box(structure, box) for box in structure.boxes]

    def _of_box(self, structure: Structure, box: Box) -> list[int]:
        if box.is_layer:
            return self._of_layer(self.profile.entries[structure.nodes[box.start].index])
        if box.group is not None:
            return self._of_block(box)
        if box.parent >= 0:
            return []
        return [self.texts.number("\n".join(lines_of_part(self.profile.whole)))]

    def _of_block(self, box: Box) -> list[int]:
        """Explain a block. Equal blocks have equal sums, if their layers share no arrays."""
        assert box.group is not None
        name = box.group.name
        key = (box.alike, len(name)) if not self.profile.shares else name
        if key not in self.known:
            selection = self.profile.within(box.group)
            lines = [
                line.replace(f"  {name}/", f"  {PATH}/", 1).replace(f" of {name} =", f" of {PATH} =", 1)
                for line in lines_of_part(selection)
            ]
            self.known[key] = [self.texts.number("\n".join(lines))]
        found: list[int] = self.known[key]
        return found

    def _of_layer(self, entry: Any) -> list[int]:
        node = entry.node
        selection = Selection(self.profile, node.name, [entry], node)
        title = PATH + title_of_layer(node).removeprefix(node.name)
        parts = ["\n".join([title, *self._origin(node)])]
        key: Any = (node.facts, type(node.layer), node.layer)
        if self.profile.shares:
            key = node.index
        if key not in self.known:
            self.known[key] = self._accounts(selection, OF_A_LAYER[:-1])
        parts += self.known[key]
        parts += self._accounts(selection, OF_A_LAYER[-1:])
        return [self.texts.number(part) for part in parts]

    def _origin(self, node: Any) -> list[str]:
        calls = node.calls.chain() if node.calls is not None else []
        key = ("origin", str(node.span), node.origin, tuple((call.block, str(call.span)) for call in calls))
        if key not in self.known:
            self.known[key] = origin(node, self.profile.network)
        found: list[str] = self.known[key]
        return found

    @staticmethod
    def _accounts(selection: Selection, names: Sequence[str]) -> list[str]:
        known = (QUANTITIES[name] for name in names)
        return [
            "\n".join(account(quantity, selection))
            for quantity in known
            if not quantity.is_number or quantity.measure(selection)
        ]
