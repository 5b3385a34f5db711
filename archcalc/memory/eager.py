"""The tensors that eager PyTorch keeps for the backward pass, compared with those that gradients need.

`Saved(gradients, Eager(gradients).backward)` has the tensors that PyTorch keeps. `Saved(gradients)` has those
that are needed, in the same form.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

from archcalc.gradients import Gradients
from archcalc.layers.backward import Backward, Kept
from archcalc.memory.eager_rules import FUSED, IN_PLACE, ROWS, EagerRow
from archcalc.memory.precision import Widths
from archcalc.memory.saved import Saved
from archcalc.memory.timeline import Size
from archcalc.network import Node
from archcalc.quantities.activations import count_activations


class Eager:
    """The accounting of eager PyTorch.

    `device` is `cpu` or `cuda`, where a dropout keeps bytes. `in_place` are the indices of the nodes whose
    activations overwrite their inputs.
    """

    def __init__(self, gradients: Gradients, device: str = "cpu", in_place: Collection[int] = ()) -> None:
        self.gradients = gradients
        self.in_place = frozenset(in_place)
        self.rows = {**ROWS, **FUSED} if device == "cuda" else ROWS

    def row(self, node: Node) -> EagerRow | None:
        """The table row of a node's kind, or `None` if it is unknown what PyTorch keeps."""
        return self.rows.get(node.kind)

    def backward(self, node: Node) -> Backward:
        """The backward pass of a node, with what PyTorch keeps or, if this is unknown, what is needed."""
        needed = self.gradients.backward(node)
        row = self.row(node)
        if row is None:
            return needed
        keeps = IN_PLACE.get(node.kind, row.keeps) if node.index in self.in_place else row.keeps
        kept = tuple(keeps(node.layer, node.facts, self.gradients.needs[node.index]))
        return Backward(kept, needed.operations, needed.passes)

    def unknown(self) -> list[Node]:
        """The nodes that take part for which it is unknown what PyTorch keeps."""
        nodes = (node for node in self.gradients.nodes if node.index in self.gradients.needs)
        return [node for node in nodes if self.row(node) is None]


class Waste(Struct, frozen=True):
    """Bytes that eager PyTorch keeps beyond what gradients need (or fewer), by their cause."""

    kind: str
    why: str
    address: str
    size: Size
    nodes: int

    @property
    def text(self) -> str:
        """`avgpool (3): an average pool keeps its input, ... (https://...)`."""
        address = f" ({self.address})" if self.address else ""
        return f"{self.kind} ({self.nodes}): {self.why}{address}"


def kept_tensors(saved: Saved, widths: Widths) -> dict[tuple[int, str], Size]:
    """The size of each kept tensor, by the node that owns its memory, and by its name if it is the node's own
    tensor."""
    found: dict[tuple[int, str], Size] = {}
    nodes = {node.index: node for node in saved.gradients.nodes}
    for memory in saved.keepers:
        node = nodes[memory]
        values = 0 if node.layer.is_source else count_activations(node.facts)
        found[memory, ""] = Size(0, values * widths.of_output(node))
    for index, kept in saved.own.items():
        for each in kept:
            found[index, each.name] = _size(each, nodes[index], widths)
    return found


def _size(kept: Kept, node: Node, widths: Widths) -> Size:
    assert kept.values is not None
    size = kept.values.value * (kept.value_bytes or widths.of_own(node))
    return Size(size) if kept.per_batch else Size(0, size)


def total(sizes: Collection[Size]) -> Size:
    return Size(sum(size.fixed for size in sizes), sum(size.per_sample for size in sizes))


def saved_size(saved: Saved, widths: Widths) -> Size:
    """The bytes of all kept tensors, without the loss.

    >>> import archcalc
    >>> from archcalc.memory.precision import precision
    >>> gradients = Gradients(archcalc.load("vgg16"))
    >>> widths = precision("float32")
    >>> needed = saved_size(Saved(gradients), widths).of(1)
    >>> round(saved_size(Saved(gradients, Eager(gradients).backward), widths).of(1) / needed, 2)
    1.66
    """
    return total(kept_tensors(saved, widths).values())


def waste(needed: Saved, kept: Saved, eager: Eager, widths: Widths) -> list[Waste]:
    """The difference between what eager PyTorch keeps and what is needed, by cause, the largest first.

    A tensor of the graph counts for the last node that reads it in the backward pass.
    """
    before, after = kept_tensors(needed, widths), kept_tensors(kept, widths)
    nodes = {node.index: node for node in eager.gradients.nodes}
    found: dict[tuple[str, str, str], list[tuple[int, Size]]] = {}
    for key in (*after, *(key for key in before if key not in after)):
        old, new = before.get(key, Size(0)), after.get(key, Size(0))
        if old == new:
            continue
        index, name = key
        cause = index if name else min((kept if key in after else needed).keepers[index])
        node = nodes[cause]
        row = eager.row(node)
        words = (node.kind, row.why if row else "", row.address if row else "")
        difference = Size(new.fixed - old.fixed, new.per_sample - old.per_sample)
        found.setdefault(words, []).append((cause, difference))
    entries = [
        Waste(*words, total([size for _, size in parts]), len({index for index, _ in parts}))
        for words, parts in found.items()
    ]
    entries = [entry for entry in entries if entry.size != Size(0)]
    return sorted(entries, key=lambda entry: -entry.size.of(1))
