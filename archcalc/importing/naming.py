"""Names of imported nodes: the module tree becomes groups, and names from files become paths."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from archcalc.builder import NetworkBuilder, OpenGroup, next_name
from archcalc.importing.tensors import ModelArray, Operation
from archcalc.network import MAX_PATH, Node

Module = tuple[str, str]
"""A module in a path: its name and its class."""

MAX_NAME = 60
"""The longest name of a module or an operation; longer names are truncated."""

_NO_NAME = re.compile(r"[^\w.@-]+")


def clean(name: str) -> str:
    """Turn a name from a file into a part of a path: truncated, without `/`, patterns or control characters.

    >>> clean("layer1/conv [1]"), clean("relu@1")
    ('layer1_conv_1', 'relu_2')
    """
    name = _NO_NAME.sub("_", name[: 4 * MAX_NAME])[:MAX_NAME].strip("_@") or "module"
    module, at, call = name.rpartition("@")
    return f"{module or 'module'}_{int(call) + 1}" if at and call.isdecimal() else name.replace("@", "_")


class NetworkNames:
    """Builds the nodes of operations and puts each one in the groups of its modules."""

    def __init__(self, name: str, operations: Sequence[Operation]) -> None:
        self.builder = NetworkBuilder(clean(name), judge=False)
        self.nodes: dict[int, Node] = {}
        """By the identity of the operation."""
        self.arrays: dict[str, dict[str, ModelArray]] = {}
        """For each node, the model's arrays that hold its weights."""
        self.written: dict[int, str] = {}
        """What the model's code calls for each node, by the node's index."""
        self._first: dict[str, tuple[Node, str]] = {}
        """For each array of the model, the first node that uses it, and the array's name there."""
        self._open: list[tuple[Module, OpenGroup]] = []
        self._leaves = _leaves(operations)
        for operation in operations:
            self._add(operation)
        self._leave(0)

    def _add(self, operation: Operation) -> None:
        path = operation.path[: MAX_PATH // 20]
        is_leaf = operation.path in self._leaves
        self._enter(path[:-1] if is_leaf else path)
        name = operation.path[-1][0] if is_leaf else operation.name
        self._skip_taken(operation.layer.kind)
        node = self.builder.add(
            operation.layer,
            *(self.nodes[id(source)] for source in operation.inputs),
            name=self._free(name) if name else "",
            origin=operation.origin,
            fixed=operation.fixed,
            tied=self._tied(operation),
        )
        if node.shares is not None and self._turned(operation):
            node.shares, node.tied = None, self._tied(operation)
        self.nodes[id(operation)] = node
        is_plain = operation.written == "Linear" and node.kind != "pointwise"
        if operation.written and _has_module(node) and not is_plain:
            self.written[node.index] = operation.written
        for weight, array in operation.arrays.items():
            self.arrays.setdefault(node.name, {})[weight] = array
            self._first.setdefault(array.name, (node, weight))

    def _tied(self, operation: Operation) -> dict[str, tuple[Node, str]]:
        arrays = operation.arrays.items()
        return {weight: self._first[array.name] for weight, array in arrays if array.name in self._first}

    def _turned(self, operation: Operation) -> bool:
        """Whether the operation uses an array of another node in a different arrangement."""
        for array in operation.arrays.values():
            node, weight = self._first[array.name]
            first = self.arrays[node.name][weight]
            if (first.axes, first.shape, first.factor) != (array.axes, array.shape, array.factor):
                return True
        return False

    def _enter(self, path: Sequence[Module]) -> None:
        """Close and open groups until exactly the groups of these modules are open."""
        kept = 0
        for module, (opened, _) in zip(path, self._open, strict=False):
            if module != opened:
                break
            kept += 1
        self._leave(kept)
        for module in path[kept:]:
            self._open.append((module, self.builder.enter(self._free(module[0]), clean(module[1]))))

    def _leave(self, kept: int) -> None:
        while len(self._open) > kept:
            _, group = self._open.pop()
            self.builder.leave(group, self.builder.nodes[-1] if self.builder.nodes else None)

    def _skip_taken(self, kind: str) -> None:
        """Advance the counter of a kind past names that modules already use."""
        scope = self.builder.scope
        while next_name({kind: scope.counters.get(kind, 0)}, kind) in scope.taken:
            scope.count(kind)

    def _free(self, name: str) -> str:
        """Return a name that is not taken here: a module that is entered a second time gets a number."""
        name, taken = clean(name), self.builder.scope.taken
        room = max(MAX_PATH // 2 - len(self.builder.scope.prefix), 8)
        name = name[:room]
        if name not in taken:
            return name
        number = 2
        while f"{name}_{number}" in taken:
            number += 1
        return f"{name}_{number}"


def _has_module(node: Node) -> bool:
    """Whether `torch.nn` has a module for this kind of layer, or the node is half of a tensor.

    One operation may become several layers: a mean over a map becomes a pool and a `flatten`.
    """
    return node.layer.family not in ("reshape", "merge", "opaque") or node.kind == "slice"


def _leaves(operations: Iterable[Operation]) -> set[tuple[Module, ...]]:
    """Return the modules that consist of a single operation, which then takes the module's name."""
    own = Counter(operation.path for operation in operations if operation.path)
    parents = {path[:depth] for path in own for depth in range(1, len(path))}
    return {path for path, count in own.items() if count == 1 and path not in parents}
