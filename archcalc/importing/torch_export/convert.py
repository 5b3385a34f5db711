"""Converts an exported graph to a network, one operation at a time."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from archcalc.diagnostics import error
from archcalc.importing.assembly import Assembly
from archcalc.importing.broadcasting import has_batch
from archcalc.importing.tensors import BATCH, ExpandedTensor, Tensor, Unsupported
from archcalc.importing.torch_export.aliases import Aliases
from archcalc.importing.torch_export.arrays import ON_ARRAYS
from archcalc.importing.torch_export.composites import with_composites
from archcalc.importing.torch_export.expanding import materialized
from archcalc.importing.torch_export.families import OPERATIONS
from archcalc.importing.torch_export.graph import ExportedGraph, ExportedNode, StoredArray, TensorName
from archcalc.importing.torch_export.known import evaluated
from archcalc.importing.torch_export.pieces import with_pieces
from archcalc.importing.torch_export.reading import arrays_in, described, tensors_in, used_arrays
from archcalc.importing.torch_export.values import (
    AtenCall,
    ComputedValue,
    ComputedWeight,
    KnownArray,
    Outputs,
    leaves,
)
from archcalc.importing.torch_export.written import written_as
from archcalc.importing.views import concrete, sample_shape
from archcalc.importing.weights import ReadArrays
from archcalc.layers.arguments import MAX_RANK, LayerError
from archcalc.network import MAX_NODES, Network
from archcalc.render.numbers import plural
from archcalc.shape import Shape, format_shape

FEW_NAMES = 4
"""The most modules that a note names."""


def to_network(graph: ExportedGraph) -> Network:
    """Return the network of a graph. Raises `ArchError` if it has no operations, or too many."""
    return GraphConverter(with_pieces(with_composites(graph))).network()


class GraphConverter:
    """Walks through a graph in order; `values` maps each name seen so far to its value."""

    def __init__(self, graph: ExportedGraph) -> None:
        self.graph = graph
        self.assembly = Assembly(graph.name)
        self.values: dict[str, Any] = dict(graph.arrays)
        self.aliases = Aliases(graph)
        self.computed: dict[str, Any] = {}
        """Arrays that the model computes from sizes, by keys of their own."""

    def network(self) -> Network:
        if len(self.graph.nodes) > MAX_NODES:
            raise error(f"`{self.graph.name}` has more than {MAX_NODES:,} operations")
        self._add_inputs()
        for place, node in enumerate(self.graph.nodes):
            self._add(place, node)
        outputs, heads = self._results(self.graph.outputs), self._results(self.graph.heads)
        if not outputs:
            raise error(f"`{self.graph.name}` returns nothing that depends on its input")
        if "output" not in outputs:  # the first one was omitted
            outputs = {
                "output" if label == next(iter(outputs)) else label: outputs[label] for label in outputs
            }
        for note in (*self.graph.notes, *self._unused(outputs.values(), heads.values())):
            self.assembly.note(note)
        if self.computed:
            self._note_computed(outputs.values(), heads.values())
        return self.assembly.finish(outputs, heads, self._reader(), self.graph.original)

    def _note_computed(self, *results: Iterable[Tensor]) -> None:
        used = used_arrays(tensor.operation for group in results for tensor in group)
        count = sum(array.size for key, array in self.computed.items() if key in used)
        if count:
            values = plural(count, "value", lambda number: f"{number:,}")
            self.assembly.note(
                f"{values} that the model computes from sizes, such as masks, count as buffers"
            )

    def _reader(self) -> ReadArrays | None:
        """Return a reader for the arrays of the model and those that it computes from sizes."""
        read, computed = self.graph.read, self.computed
        if not computed or (read is None and self.graph.arrays):
            return read

        def read_all(names: Collection[str]) -> Mapping[str, Any]:
            stored = read([name for name in names if name not in computed]) if read is not None else {}
            kind = next((a.dtype for a in stored.values() if a.dtype.kind == "f"), "float32")
            return {**stored, **{n: computed[n].astype(kind) for n in names if n in computed}}

        return read_all

    # --- Inputs and outputs -------------------------------------------------------------------------

    def _add_inputs(self) -> None:
        for name, label in self.graph.inputs:
            shape = self.graph.tensors[name].shape
            if shape is None:
                raise error(
                    f"the shape of the input `{label}` is unknown", help="give it: `--input 3x224x224`"
                )
            try:
                if len(shape) < 2 or shape[0] != self.graph.batch:
                    raise LayerError("it does not begin with the batch")
                self.values[name] = self.assembly.input(label, shape[1:])
            except LayerError as problem:
                shown = format_shape(shape, cross="x") or "a single number"
                raise error(f"the input `{label}` is {shown}: {problem.message}") from None

    def _results(self, named: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
        """Return the outputs in the model's axis order, if the batch is the first axis."""
        found = {}
        for name, label in named:
            value = self.values.get(name)
            if isinstance(value, ExpandedTensor):
                value = self._repeated(value)
            if isinstance(value, Tensor):
                found[label] = self.assembly.plain(value) if value.axes[0] == BATCH else value
            else:
                self.assembly.note(f"the result `{label}` is left out: it does not depend on the input")
        return found

    def _repeated(self, value: ExpandedTensor) -> Tensor:
        """Return a result that is repeated along axes, with the repetitions written out."""
        batch = self.graph.batch
        try:
            return self.assembly.attempt(lambda: [materialized(self.assembly, batch, value)], [None])[0]
        except Unsupported as problem:
            shape = sample_shape(value.shape, batch)
            return self.assembly.opaque("aten.expand", [value.tensor], shape, reason=str(problem))

    def _unused(self, *results: Iterable[Tensor]) -> list[str]:
        """Describe, in one sentence, the parameters that no result depends on."""
        used = used_arrays(tensor.operation for group in results for tensor in group)
        missing = {
            array.key: math.prod(array.shape)
            for array in self.graph.arrays.values()
            if array.is_trained and array.key not in used
        }
        if not missing:
            return []
        modules = list(dict.fromkeys(key.rpartition(".")[0].partition(".")[0] or key for key in missing))
        named = ", ".join(f"`{module[:60]}`" for module in modules[:FEW_NAMES])
        more = f" and {len(modules) - FEW_NAMES} more" if len(modules) > FEW_NAMES else ""
        count = plural(sum(missing.values()), "parameter", lambda number: f"{number:,}")
        return [f"{count} of {named}{more} are not counted: no output depends on them"]

    # --- Operations ---------------------------------------------------------------------------------

    def _add(self, place: int, node: ExportedNode) -> None:
        if not node.outputs:
            return  # an assertion
        self.assembly.path, self.assembly.origin = node.path, node.origin
        self.assembly.written = written_as(node, base_name(node.target.removeprefix("aten.")))
        arguments = {name: self._resolved(value) for name, value in node.arguments.items()}
        read = list(leaves(list(arguments.values())))
        tensors = list(tensors_in(read))
        convert = self._convert if tensors else self._constant
        results = convert(node, arguments, read)
        for name, value in zip(node.outputs, results, strict=True):
            self.values[name] = value
        for name, is_certain in self.aliases.changed(place, node):
            if isinstance(results[0], KnownArray) and isinstance(self.values[name], KnownArray):
                continue  # its views share its memory, so they changed too
            self.values[name] = self._changed(node, name, read[0], results[0], is_certain)

    def _changed(self, node: ExportedNode, name: str, first: Any, result: Any, is_certain: bool) -> Any:
        """Return the value of a name after an operation changed the tensor `first` to `result` in place."""
        before = self.values[name]
        if is_certain and before is first:
            return result
        tensors = isinstance(before, Tensor) and isinstance(first, Tensor) and isinstance(result, Tensor)
        if is_certain and tensors and before.operation is first.operation and result.axes == first.axes:
            return Tensor(result.operation, before.axes)
        shapes = [self.graph.tensors[name].shape]
        return self._opaque(node, [before, result], shapes, "it changes in place what has another name")[0]

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, TensorName):
            if value.name not in self.values:
                raise error(f"`{self.graph.name}` reads `{value.name[:60]}` before it is computed")
            return self.values[value.name]
        if isinstance(value, list | tuple):
            return [self._resolved(item) for item in value]
        return value

    def _declared(self, node: ExportedNode) -> list[tuple[int, ...] | None]:
        return [self.graph.tensors[name].shape for name in node.outputs]

    def _constant(self, node: ExportedNode, arguments: dict[str, Any], read: Sequence[Any]) -> Outputs:
        """Evaluate an operation that reads only arrays and numbers, no tensors."""
        name = node.target.removeprefix("aten.")
        shapes = self._declared(node)
        arguments = {key: self._with_values(value) for key, value in arguments.items()}
        if (known := evaluated(name, arguments, shapes)) is not None:
            return [known]
        if name in ON_ARRAYS and any(isinstance(each, StoredArray | ComputedWeight) for each in read):
            try:
                return ON_ARRAYS[name](self._call(node, arguments, shapes))
            except Unsupported:
                pass
        if any(isinstance(each, StoredArray | KnownArray) for each in read):
            found: list[Any] = []

            def attempt() -> Sequence[Tensor]:
                found[:] = self._layers(node, arguments, shapes)
                return ()

            try:
                self.assembly.attempt(attempt, ())
                return found
            except Unsupported:
                pass
        return [ComputedValue(node.target, (), tuple(arrays_in(read)))] * len(node.outputs)

    def _convert(self, node: ExportedNode, arguments: dict[str, Any], read: Sequence[Any]) -> Outputs:
        shapes = self._declared(node)
        results: list[Any] = []

        def attempt() -> Sequence[Tensor]:
            results[:] = self._layers(node, arguments, shapes)
            return ()  # what they are is compared there, with the batch as a number

        try:
            self._check_inputs(node)
            self.assembly.attempt(attempt, ())
        except Unsupported as problem:
            return self._opaque(node, read, shapes, str(problem))
        return results

    def _layers(
        self, node: ExportedNode, arguments: dict[str, Any], shapes: Sequence[tuple[int, ...] | None]
    ) -> Outputs:
        """Call the function for an operation; accept its layers if it reads all and the shapes match."""
        package, _, name = node.target.partition(".")
        convert = OPERATIONS.get(base_name(name)) if package in ("aten", "torchvision") else None
        if convert is None:
            raise Unsupported("")  # the name is enough
        if not all(self.graph.tensors[output].is_float for output in node.outputs[:1]):
            raise Unsupported("its result is not a floating point number")
        call = self._call(node, arguments, shapes)
        try:
            results = convert(call)
        except (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError) as problem:
            if isinstance(problem, LayerError):
                raise
            raise Unsupported("its arguments do not match") from None  # of a file written by hand
        call.check_all_read()
        results = [*results, *[ComputedValue(node.target)] * (len(node.outputs) - len(results))]
        for value, shape in zip(results, shapes, strict=True):
            if isinstance(value, Tensor) and shape is not None and concrete(value, self.graph.batch) != shape:
                got, want = (format_shape(s, cross="x") for s in (concrete(value, self.graph.batch), shape))
                raise Unsupported(f"it would give {got}, and the model says {want}")
        return results

    def _call(self, node: ExportedNode, arguments: dict[str, Any], shapes: Sequence[Any]) -> AtenCall:
        return AtenCall(self.assembly, node, arguments, shapes, self.graph.batch, self.computed)

    def _with_values(self, value: Any) -> Any:
        """Return an argument with constants replaced by their values, where the graph has them."""
        if isinstance(value, list | tuple):
            return [self._with_values(item) for item in value]
        if isinstance(value, StoredArray) and value.key in self.graph.constants:
            return KnownArray(self.graph.constants[value.key])
        return value

    def _check_inputs(self, node: ExportedNode) -> None:
        """Raise `Unsupported` if a tensor differs from the graph's declaration: its batch was moved."""
        for value in leaves(list(node.arguments.values())):
            if not isinstance(value, TensorName):
                continue
            tensor, declared = self.values[value.name], self.graph.tensors[value.name]
            if isinstance(tensor, Tensor) and concrete(tensor, self.graph.batch) != declared.shape:
                raise Unsupported("its input has the batch folded into another axis")
            if isinstance(tensor, Tensor) and not declared.is_float:
                raise Unsupported("it reads numbers that are not floating point")

    def _opaque(
        self,
        node: ExportedNode,
        read: Sequence[Any],
        shapes: Sequence[tuple[int, ...] | None],
        reason: str,
    ) -> list[Any]:
        """Add an opaque operation for each output, with everything that is read."""
        tensors = list({id(tensor.operation): tensor for tensor in tensors_in(read)}.values())
        arrays = list(arrays_in(read))
        results: list[Any] = []
        for shape in shapes:
            try:
                if shape is None or not tensors:
                    raise LayerError("has no declared shape, or reads no tensor of the network")
                own, axes = self._own_shape(shape, tensors)
                results.append(
                    self.assembly.opaque(
                        node.target[:120],
                        tensors,
                        own,
                        params=described(array for array in arrays if array.is_trained),
                        buffers=described(array for array in arrays if not array.is_trained),
                        reason=reason,
                        axes=axes,
                    )
                )
            except LayerError:
                results.append(ComputedValue(node.target, tuple(tensors), tuple(arrays)))
        return results

    def _own_shape(self, shape: tuple[int, ...], tensors: Sequence[Tensor]) -> tuple[Shape, tuple[int, ...]]:
        """Return the shape of one sample and the model's axis order, which is empty if it is uncertain."""
        batch = self.graph.batch
        with_batch = [place for place, size in enumerate(shape) if size % batch == 0]
        without = not any(map(has_batch, tensors)) and (batch == 1 or not with_batch)
        if without and 0 < len(shape) <= MAX_RANK:
            return shape, tuple(range(len(shape)))
        own = sample_shape(shape, batch)
        if len(with_batch) != 1 or shape[with_batch[0]] != batch or len(own) != len(shape) - 1:
            return own, ()
        return own, (*range(with_batch[0]), BATCH, *range(with_batch[0], len(own)))


def base_name(name: str) -> str:
    """Return the name of an operation without the trailing `_` of in-place operations."""
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name
