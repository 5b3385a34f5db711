"""Tracks which names of a graph share one tensor in memory, for operations that work in place."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.importing.torch_export.graph import ExportedGraph, ExportedNode, TensorName
from archcalc.importing.torch_export.values import leaves

VIEWS = frozenset(
    f"aten.{name}"
    for name in """
    alias chunk contiguous detach diagonal dropout expand expand_as feature_dropout flatten lift_fresh movedim
    narrow permute reshape reshape_as select slice split split_with_sizes squeeze swapaxes swapdims t
    tensor_split to transpose type_as unbind unflatten unfold unsafe_chunk unsafe_split unsqueeze view view_as
    alpha_dropout feature_alpha_dropout as_strided view_as_real view_as_complex real imag mT numpy_T
    """.split()
)
"""Operations whose outputs may be, or share memory with, their first argument."""

COPIES = frozenset(
    f"aten.{name}" for name in "contiguous expand_as flatten reshape reshape_as to type_as".split()
)
"""Those that may copy it instead: the graph does not say."""


class Aliases:
    """Follows the graph: call `changed` for each operation, in order."""

    def __init__(self, graph: ExportedGraph) -> None:
        self._roots: dict[str, str] = {}
        """For each name, the first one that is in the same memory."""
        self._members: dict[str, list[str]] = {}
        self._doubtful: set[str] = set()
        """The first names of memory that may have been copied."""
        self._last: dict[str, int] = {name: len(graph.nodes) for name, _ in (*graph.outputs, *graph.heads)}
        """For each name, the last operation that reads it; the results are read at the end."""
        for place, node in enumerate(graph.nodes):
            for value in leaves(list(node.arguments.values())):
                if isinstance(value, TensorName):
                    self._last[value.name] = max(self._last.get(value.name, 0), place)

    def changed(self, place: int, node: ExportedNode) -> list[tuple[str, bool]]:
        """Return the names of the tensor that an operation changed in place, without its outputs.

        Only names that are read later are returned, each with whether it certainly shares the memory.
        """
        first = next(_first_name(node), None)
        if first is None:
            return []
        root = self._roots.get(first, first)
        in_place = is_in_place(node.target)
        members = self._members.setdefault(root, [root])
        if not in_place and node.target not in VIEWS:
            return []
        later = [name for name in members if self._last.get(name, -1) > place] if in_place else []
        for name in node.outputs:
            self._roots[name] = root
            members.append(name)
        if node.target in COPIES:
            self._doubtful.add(root)
        return [(name, name == first or root not in self._doubtful) for name in later]


def is_in_place(target: str) -> bool:
    """Return whether an operation changes its first argument."""
    return target.endswith("_") and not target.endswith("__")


def _first_name(node: ExportedNode) -> Iterator[str]:
    for value in leaves(list(node.arguments.values())[:1]):
        if isinstance(value, TensorName):
            yield value.name
