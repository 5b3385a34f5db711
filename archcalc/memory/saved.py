"""The tensors that are kept from the forward pass until the backward pass has read them."""

from __future__ import annotations

from collections.abc import Callable

from archcalc.gradients import Gradients
from archcalc.layers.backward import OUTPUT, Backward, Kept
from archcalc.layers.terms import values_of
from archcalc.memory.precision import Widths
from archcalc.network import Node

BackwardOf = Callable[[Node], Backward]


class Saved:
    """The kept tensors of the graph, and the kept tensors that belong to single nodes.

    A tensor of the graph is named by the index of the node that owns its memory. A view is in the memory of
    its source. `backward` says what a node keeps; by default it is what its gradients need.
    """

    def __init__(
        self, gradients: Gradients, backward: BackwardOf | None = None, widths: Widths | None = None
    ) -> None:
        self.gradients = gradients
        self.backward = backward or gradients.backward
        if widths is not None and widths.mixed:
            self.backward = _with_casts(self.backward, widths)
        self.memory_of = memories(gradients.nodes)
        """For each node, the node that owns the memory of its output."""
        taking_part = [node for node in gradients.nodes if node.index in gradients.needs]
        wanted = {node.index: self.backward(node).kept for node in taking_part}
        self.keepers: dict[int, set[int]] = {}
        """For each kept tensor of the graph, the nodes whose backward passes read it."""
        for node in taking_part:
            for kept in wanted[node.index]:
                if kept.values is None:
                    self.keepers.setdefault(self._memory(node, kept.input), set()).add(node.index)
        self.own: dict[int, list[Kept]] = {}
        """The kept tensors that belong to each node."""
        self.instead: dict[int, list[int]] = {}
        """The tensors of the graph that a node reads instead of its own, because they are kept anyway."""
        for node in taking_part:
            for kept in wanted[node.index]:
                if kept.values is None:
                    continue
                if kept.instead is not None and self._memory(node, kept.instead) in self.keepers:
                    self.instead.setdefault(node.index, []).append(kept.instead)
                else:
                    self.own.setdefault(node.index, []).append(kept)
        for node in taking_part:
            for number in self.instead.get(node.index, ()):
                self.keepers[self._memory(node, number)].add(node.index)
        self.kept_for: dict[int, list[int]] = {}
        """For each node, the tensors of the graph that are kept because its backward pass reads them."""
        for memory, keepers in self.keepers.items():
            for keeper in keepers:
                self.kept_for.setdefault(keeper, []).append(memory)

    def _memory(self, node: Node, number: int) -> int:
        source = node if number == OUTPUT else node.inputs[number]
        return self.memory_of[source.index]

    def reads(self, node: Node) -> set[int]:
        """The numbers of the tensors of the graph that a node's backward pass can read."""
        kept = {kept.input for kept in self.backward(node).kept if kept.values is None}
        return kept | set(self.instead.get(node.index, ()))


def _with_casts(backward: BackwardOf, widths: Widths) -> BackwardOf:
    """What nodes keep in mixed precision. For an input that was cast, this is the copy."""

    def cast(node: Node) -> Backward:
        does = backward(node)
        numbers = widths.cast_inputs(node)
        if not any(kept.values is None and kept.input in numbers for kept in does.kept):
            return does
        kept = tuple(
            Kept(f"{each.name} in 16 bits", values=values_of(node.inputs[each.input].shape), value_bytes=2)
            if each.values is None and each.input in numbers
            else each
            for each in does.kept
        )
        return Backward(kept, does.operations, does.passes)

    return cast


def memories(nodes: list[Node]) -> dict[int, int]:
    """For each node, by index, the node that owns the memory of its output: itself, unless it is a view."""
    found: dict[int, int] = {}
    for node in nodes:
        viewed = node.inputs[:1] if node.layer.is_view(node.facts) else ()
        found[node.index] = found[viewed[0].index] if viewed else node.index
    return found
