"""Handles arrays of the model that are only used in pieces: each piece becomes an array.

`nn.MultiheadAttention` keeps the weights of its queries, keys and values in one array, and cuts it if they
come from different tensors. A piece can be the weight of a layer, since no other layer uses part of it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from msgspec.structs import replace

from archcalc.importing.torch_export.aliases import is_in_place
from archcalc.importing.torch_export.graph import ExportedGraph, ExportedNode, StoredArray, TensorName
from archcalc.importing.torch_export.values import leaves
from archcalc.importing.weights import ReadArrays

CUTS = frozenset(
    f"aten.{name}"
    for name in "chunk split split_with_sizes tensor_split unsafe_chunk unsafe_split slice".split()
)

Rows = tuple[int, int]
"""A piece of an array: its first row, and the row after its last."""


def with_pieces(graph: ExportedGraph) -> ExportedGraph:
    """Return the graph with pieces as arrays, where they cover the whole array without overlap."""
    found = _pieces(graph)
    if not found:
        return graph
    arrays = {name: array for name, array in graph.arrays.items() if array.key not in found}
    rows_of: dict[str, tuple[str, Rows]] = {}
    kept = []
    for node in graph.nodes:
        array = _cut_array(graph, node)
        if array is None or array.key not in found:
            kept.append(node)
            continue
        for name, (first, last) in zip(node.outputs, _rows(graph, node, array) or (), strict=True):
            key = f"{array.key}[{first}:{last}]"
            arrays[name] = replace(array, key=key, shape=(last - first, *array.shape[1:]))
            rows_of[key] = (array.key, (first, last))
    read = None if graph.read is None else _reader(graph.read, rows_of)
    return replace(graph, nodes=kept, arrays=arrays, read=read)


def _pieces(graph: ExportedGraph) -> set[str]:
    """Return the keys of arrays that are only ever cut into pieces that cover the whole."""
    pieces: dict[str, set[Rows]] = defaultdict(set)
    others = {graph.arrays[name].key for name, _ in (*graph.outputs, *graph.heads) if name in graph.arrays}
    others |= graph.constants.keys()
    cut: dict[str, str] = {}
    """The outputs of cuts, with the keys of what they are cut from."""
    for node in graph.nodes:
        if is_in_place(node.target):  # changing a piece changes other pieces with the same rows
            others |= {
                cut[value.name]
                for value in leaves(list(node.arguments.values()))
                if isinstance(value, TensorName) and value.name in cut
            }
        array = _cut_array(graph, node)
        rows = None if array is None else _rows(graph, node, array)
        if array is not None and rows is not None:
            pieces[array.key].update(rows)
            cut |= dict.fromkeys(node.outputs, array.key)
            continue
        for value in leaves(list(node.arguments.values())):
            if isinstance(value, TensorName) and value.name in graph.arrays:
                others.add(graph.arrays[value.name].key)
    sizes = {array.key: array.shape[0] for array in graph.arrays.values() if array.shape}
    return {key for key, rows in pieces.items() if key not in others and _is_whole(rows, sizes[key])}


def _is_whole(pieces: Collection[Rows], size: int) -> bool:
    at = 0
    for first, last in sorted(pieces):
        if first != at:
            return False
        at = last
    return at == size and len(pieces) > 1


def _cut_array(graph: ExportedGraph, node: ExportedNode) -> StoredArray | None:
    """Return the array that an operation cuts along its first axis."""
    x = node.arguments.get("self", node.arguments.get("input"))
    if node.target not in CUTS or not isinstance(x, TensorName):
        return None
    array = graph.arrays.get(x.name)
    along_rows = node.arguments.get("dim", 0) == 0 and node.arguments.get("step", 1) == 1
    return array if array is not None and array.shape and along_rows else None


def _rows(graph: ExportedGraph, node: ExportedNode, array: StoredArray) -> list[Rows] | None:
    """Return the rows of each output; `None` if the graph does not give them."""
    shapes = [graph.tensors[name].shape for name in node.outputs]
    if any(shape is None or len(shape) != len(array.shape) or not math.prod(shape) for shape in shapes):
        return None
    sizes = [shape[0] for shape in shapes if shape is not None]
    first = 0
    if node.target == "aten.slice":
        start, end = node.arguments.get("start"), node.arguments.get("end")
        if not all(bound is None or type(bound) is int for bound in (start, end)):
            return None
        first, last, _ = slice(start, end).indices(array.shape[0])
        return [(first, last)] if sizes == [last - first] else None
    rows = []
    for size in sizes:
        rows.append((first, first + size))
        first += size
    return rows if first == array.shape[0] else None


def _reader(read: ReadArrays, rows_of: Mapping[str, tuple[str, Rows]]) -> ReadArrays:
    """Return a reader for arrays and pieces of arrays, by key."""

    def read_all(names: Collection[str]) -> Mapping[str, Any]:
        whole = {rows_of[name][0] if name in rows_of else name for name in names}
        stored = read(sorted(whole))
        found = {}
        for name in names:
            key, (first, last) = rows_of.get(name, (name, (0, 0)))
            found[name] = stored[key][first:last] if name in rows_of else stored[key]
        return found

    return read_all
