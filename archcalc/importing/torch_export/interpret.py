"""Runs the graph of a `.pt2` file with PyTorch's own operations, to compare our results with.

PyTorch does not load the file, because it may unpickle parts of it. Only the ATen operations that the graph
names are called, with the arguments that the graph gives.
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
    """Runs the operations of a graph; arrays are read at run time."""

    graph: ExportedGraph

    def run(self, arrays: Sequence[Any]) -> Mapping[str, Any]:
        """Return the outputs for NumPy arrays, by name. Raises `ArchError` if PyTorch cannot run it."""
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
        """Evaluate an argument; in a shape, multiples of the file's batch become multiples of this run's."""
        if isinstance(value, TensorName):
            return values[value.name]
        if isinstance(value, list | tuple):
            return [self._value(item, values, batch) for item in value]
        own = self.graph.batch
        if batch and own > 1 and type(value) is int and value > 0 and not value % own:
            return value // own * batch
        return value
