"""Replaces several operations that form one layer by one operation, before the graph is converted.

Nothing else may read the replaced operations, so nothing is lost.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from archcalc.importing.torch_export.graph import ExportedGraph, ExportedNode, TensorName
from archcalc.importing.torch_export.values import AtenCall, Outputs, leaves, operation
from archcalc.importing.views import reshaped
from archcalc.layers.norm import GlobalResponseNorm

GRN = "aten.archcalc_grn"
"""Not an ATen operation: it replaces the eight operations of a global response normalization."""

MOVED = "aten.archcalc_moved"
"""Not an ATen operation either: it replaces `cat(split(x, 1, dim), to)`."""


def with_composites(graph: ExportedGraph) -> ExportedGraph:
    """Return the graph with one operation for each group that forms one layer."""
    if not any(node.target in ("aten.linalg_vector_norm", "aten.cat") for node in graph.nodes):
        return graph
    finder = CompositeFinder(graph)
    nodes = []
    for node in graph.nodes:
        found = finder.response_norm(node) or finder.moved_axis(node)
        nodes.append(node if found is None else found)
    return replace(graph, nodes=[node for node in nodes if not finder.is_replaced(node)])


class CompositeFinder:
    """Follows an operation back to the operations that it reads."""

    def __init__(self, graph: ExportedGraph) -> None:
        self.graph = graph
        self.makers = {name: node for node in graph.nodes for name in node.outputs}
        self.reads = Counter(
            value.name
            for node in graph.nodes
            for value in leaves(list(node.arguments.values()))
            if isinstance(value, TensorName)
        )
        self.reads.update(name for name, _ in (*graph.outputs, *graph.heads))
        self._replaced: set[int] = set()

    def is_replaced(self, node: ExportedNode) -> bool:
        return id(node) in self._replaced

    def maker(self, value: Any, target: str, reads: int = 1) -> ExportedNode | None:
        """Return the operation that made a tensor, if it is of this kind and is read this many times."""
        if not isinstance(value, TensorName) or self.reads[value.name] != reads:
            return None
        node = self.makers.get(value.name)
        return node if node is not None and node.target == target else None

    def response_norm(self, last: ExportedNode) -> ExportedNode | None:
        """`x + addcmul(beta, gamma, x * n / (mean(n) + eps))`, `n` the norms of maps (Woo et al. 2023)."""
        x = last.arguments.get("self")
        if last.target != "aten.add" or not isinstance(x, TensorName):
            return None
        scaled = self.maker(last.arguments.get("other"), "aten.addcmul")
        product = self.maker(scaled and scaled.arguments.get("tensor2"), "aten.mul")
        quotient = self.maker(product and product.arguments.get("other"), "aten.div")
        norm = self.maker(quotient and quotient.arguments.get("self"), "aten.linalg_vector_norm", 2)
        shifted = self.maker(quotient and quotient.arguments.get("other"), "aten.add")
        mean = self.maker(shifted and shifted.arguments.get("self"), "aten.mean")
        if not (scaled and product and quotient and norm and shifted and mean):
            return None
        shape = self.graph.tensors[x.name].shape
        channel = self._channel(norm, mean, len(shape or ()))
        if channel is None or any(a.get("self") != x for a in (product.arguments, norm.arguments)):
            return None
        if mean.arguments.get("self") != quotient.arguments.get("self"):
            return None
        arrays = {"weight": scaled.arguments.get("tensor1"), "bias": scaled.arguments.get("self")}
        if not (_only(scaled, "self", "tensor1", "tensor2") and _only(shifted, "self", "other")):
            return None
        if not all(_only(node, "self", "other") for node in (product, quotient, last)):
            return None
        for node in (scaled, product, quotient, norm, shifted, mean):
            self._replaced.add(id(node))
        more = {"channel": channel, "eps": shifted.arguments["other"]}
        return replace(last, target=GRN, arguments={"self": x, **arrays, **more})

    def moved_axis(self, cat: ExportedNode) -> ExportedNode | None:
        """Slices of size 1 along one axis, joined along another one: this moves the axis."""
        parts = cat.arguments.get("tensors")
        if cat.target != "aten.cat" or not isinstance(parts, list) or not parts:
            return None
        names = [part.name for part in parts if isinstance(part, TensorName)]
        split = self.makers.get(names[0]) if len(names) == len(parts) else None
        if split is None or split.target not in ("aten.split", "aten.unsafe_split"):
            return None
        x = split.arguments.get("self")
        shape = self.graph.tensors[x.name].shape if isinstance(x, TensorName) else None
        before, after = split.arguments.get("dim", 0), cat.arguments.get("dim", 0)
        one_each = tuple(names) == split.outputs and split.arguments.get("split_size") == 1
        if not (one_each and isinstance(before, int) and isinstance(after, int) and shape):
            return None
        if any(self.reads[name] != 1 for name in names) or (before - after) % len(shape) == 0:
            return None
        self._replaced.add(id(split))
        return replace(cat, target=MOVED, arguments={"self": x, "dim": before, "to": after})

    def _channel(self, norm: ExportedNode, mean: ExportedNode, rank: int) -> int | None:
        """Return the channel axis: the mean is over this axis, the norm over all others except the batch."""
        if (
            rank < 3
            or not _only(norm, "self", "ord", "dim", "keepdim")
            or not _only(mean, "self", "dim", "keepdim")
        ):
            return None
        if norm.arguments.get("ord", 2) != 2 or not (
            norm.arguments.get("keepdim") and mean.arguments.get("keepdim")
        ):
            return None
        over, of_mean = (_axes(node.arguments, rank) for node in (norm, mean))
        (channel,) = of_mean if len(of_mean) == 1 else (0,)
        return channel if channel and over == set(range(1, rank)) - {channel} else None


def _axes(arguments: Mapping[str, Any], rank: int) -> set[int]:
    dims = arguments.get("dim")
    dims = dims if isinstance(dims, list) else [dims]
    return {dim % rank for dim in dims if isinstance(dim, int)}


def _only(node: ExportedNode, *names: str) -> bool:
    """Return whether the operation has no other arguments."""
    return set(node.arguments) <= set(names)


@operation(MOVED.removeprefix("aten."))
def moved_axis(call: AtenCall) -> Outputs:
    """Move axis `dim` into the outer part of axis `to`, leaving an axis of size 1."""
    x = call.tensor()
    dim, to = (call.whole(name) % x.rank for name in ("dim", "to"))
    order = [place for place in range(x.rank) if place != dim]
    order.insert(order.index(to), dim)
    return [reshaped(call.assembly, x.permuted(order), call.declared(), call.batch)]


@operation(GRN.removeprefix("aten."))
def response_norm(call: AtenCall) -> Outputs:
    weight, bias = call.array("weight"), call.array("bias")
    x = call.channels_at(call.tensor(), call.whole("channel"))
    sizes = {math.prod(array.shape) for array in (weight, bias) if array is not None}
    call.must_fit(sizes == {x.operation.shape[0]} and weight is not None and bias is not None)
    return [call.add(GlobalResponseNorm(eps=call.number("eps")), x, weight=weight, bias=bias)]
