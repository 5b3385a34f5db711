"""Runs the graph of a `.pt2` file by PyTorch's own operations, to compare a run with.

The file is not loaded by PyTorch, which may unpickle parts of it. Only operations of ATen are called, those
that the graph names, with the arguments that it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from archcalc.diagnostics import error, shorten
from archcalc.importing.torch_export.graph import ExportedGraph, ExportedNode, TensorName
from archcalc.importing.torch_export.module import first_sentence

PLACEMENT = ("memory_format", "device", "layout", "pin_memory")
"""Arguments that say where values lie, not what they are."""

SHAPES = ("aten.view", "aten.reshape", "aten._unsafe_view", "aten.expand", "aten.resize")
"""Operations whose arguments may be sizes of a batch."""


class GraphInterpreter(Struct, frozen=True):
    """The operations of a graph, with arrays that are read when it runs."""

    graph: ExportedGraph

    def run(self, arrays: Sequence[Any]) -> Mapping[str, Any]:
        """The results for arrays of NumPy, by their names. Raises `ArchError` for what PyTorch cannot run."""
        try:
            import torch
        except ImportError:
            raise error("it is not installed; `pip install 'archcalc[torch]'`") from None
        graph = self.graph
        assert graph.read is not None
        stored = graph.read({array.key for array in graph.arrays.values()})
        precision = torch.from_numpy(arrays[0]).dtype
        values: dict[str, Any] = {}
        for name, array in graph.arrays.items():
            tensor = torch.tensor(stored[array.key])
            values[name] = tensor.to(precision) if tensor.is_floating_point() else tensor
        for (name, _), array in zip(graph.inputs, arrays, strict=True):
            values[name] = torch.from_numpy(array.copy())
        batch = arrays[0].shape[0]
        with torch.no_grad():
            for node in graph.nodes:
                try:
                    self._call(torch.ops, node, values, batch)
                except Exception as problem:
                    name = shorten(node.target)
                    raise error(f"it cannot run `{name}` of the file: {first_sentence(problem)}") from None
        return {label: values[name].numpy() for name, label in graph.outputs if name in values}

    def _call(self, ops: Any, node: ExportedNode, values: dict[str, Any], batch: int) -> None:
        package, _, name = node.target.partition(".")
        if package != "aten" or not name.replace("_", "").isalnum():
            raise NotImplementedError("only operations of ATen are run")
        function: Callable[..., Any] = getattr(ops.aten, name)
        arguments = {
            key: self._value(value, values, batch if node.target in SHAPES else 0)
            for key, value in node.arguments.items()
            if key not in PLACEMENT
        }
        found = function(**arguments)
        results = found if isinstance(found, list | tuple) else [found]
        values.update(zip(node.outputs, results, strict=False))

    def _value(self, value: Any, values: Mapping[str, Any], batch: int) -> Any:
        """An argument; in a shape, a multiple of the file's batch becomes one of the batch that runs."""
        if isinstance(value, TensorName):
            return values[value.name]
        if isinstance(value, list | tuple):
            return [self._value(item, values, batch) for item in value]
        own = self.graph.batch
        if batch and own > 1 and type(value) is int and value > 0 and not value % own:
            return value // own * batch
        return value
