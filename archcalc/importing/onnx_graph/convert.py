"""Convert an ONNX model to a network, node by node."""

from __future__ import annotations

import math
import re
from collections import ChainMap, Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from archcalc.diagnostics import ArchError, error
from archcalc.importing.assembly import Assembly, Path
from archcalc.importing.onnx_graph.arrays import FLOATS, MAX_FOLDED, OnnxArray, computed, shown
from archcalc.importing.onnx_graph.constants import (
    CONSTANTS,
    MOVES,
    SAME_ARRAY,
    axis_in,
    bounded,
    stand_in,
)
from archcalc.importing.onnx_graph.families import COMPOSITES, ONNX_OPERATIONS
from archcalc.importing.onnx_graph.inputs import PRIME_BATCH, declared_dims, inputs_of
from archcalc.importing.onnx_graph.model import CHECK, NEWEST_OPSET, OnnxModel, too_many
from archcalc.importing.onnx_graph.modules import convolution_path, numbered, path_of
from archcalc.importing.onnx_graph.operands import operand
from archcalc.importing.onnx_graph.original import OnnxOriginal
from archcalc.importing.onnx_graph.outputs import shapes_after
from archcalc.importing.onnx_graph.quantized import dequantized, on_floats, quantized
from archcalc.importing.onnx_graph.records import (
    AttributeRecord,
    FunctionRecord,
    OnnxGraphRecord,
    OnnxNodeRecord,
    OnnxTensorRecord,
)
from archcalc.importing.onnx_graph.remarks import ExporterTraces
from archcalc.importing.onnx_graph.values import (
    OnnxCall,
    OnnxComputed,
    OnnxExpanded,
    OnnxOutputs,
    OnnxValue,
    Sizes,
    arrays_in,
    as_tensor,
    attribute_value,
    tensors_in,
)
from archcalc.importing.tensors import BATCH, ExpandedTensor, ModelArray, Tensor, Unsupported
from archcalc.importing.torch_export.graph import labeled
from archcalc.importing.torch_export.reading import used_arrays
from archcalc.importing.views import concrete, sample_shape
from archcalc.layers.arguments import MAX_RANK, LayerError
from archcalc.layers.arithmetic import ParameterTensor
from archcalc.network import MAX_NODES, Network, Original
from archcalc.render.numbers import plural
from archcalc.shape import Shape, format_shape

if TYPE_CHECKING:
    from archcalc.executor.kernel import Array

MAX_NESTING = 16
"""The deepest nesting of functions and of branches."""

MAX_WORK = 50_000_000
"""The most constant values to compute during an import, over all nodes."""

MAX_HELD = 150_000_000
"""The most bytes of constants to compute during an import: all are kept until the end."""

STANDARD = ("", "ai.onnx")
"""The names of the domain of ONNX's own operators."""

REPEATED = ("Loop", "Scan", "SequenceMap")
"""Operations that run others a number of times that depends on data."""

WITHOUT_ARRAYS = ("Clip", "Pad", "Resize", "Tile", "Upsample")
"""Operations whose constants are arguments, not arrays of the model."""

_COUNTED = re.compile(r"(node_)?[A-Za-z0-9]+_\d+|n\d+(_\d+)*|\d+")
"""Node names that are only the operation and a number."""


class OnnxScope(Struct):
    """The names in a graph, a branch or a function: their values, and how often each is read."""

    values: MutableMapping[str, OnnxValue]
    calls: MutableMapping[str, OnnxCall]
    reads: MutableMapping[str, int]
    opsets: Mapping[str, int]
    attributes: Mapping[str, AttributeRecord] = {}
    depth: int = 0


def to_network(model: OnnxModel, inputs: Mapping[str, Shape] | None = None) -> Network:
    """Convert a model to a network, optionally with other input shapes by name.

    Raises `ArchError` for a graph that cannot be counted, or that computes nothing from its inputs.
    """
    converter = OnnxConverter(model, inputs or {})
    network = converter.network()
    if converter.batch == 1 and not network.is_complete:
        return _with_open_batch(model, inputs or {}, _unknown(network)) or network
    if (
        not converter.is_along_batch
        or network.is_complete
        or inputs
        or not 1 < converter.batch != PRIME_BATCH
    ):
        return network
    again = OnnxConverter(model, {}, has_batch=False)
    again.assembly.note(
        f"the model has values for each of {converter.batch} samples: it is read without a batch"
    )
    try:
        without = again.network()
    except ArchError:
        return network
    return without if without.is_complete else network


def _unknown(network: Network) -> int:
    return sum(node.kind == "opaque" for node in network.nodes)


def _with_open_batch(model: OnnxModel, inputs: Mapping[str, Shape], unknown: int) -> Network | None:
    """Build the network of a model with a batch of 1, as if the batch were left open.

    Returns `None` unless that leaves fewer unknown operations: an open batch is distinct from axes of size 1.
    """
    again = OnnxConverter(model, inputs, opens_batch=True)
    try:
        network = again.network()
    except ArchError:
        return None
    return network if _unknown(network) < unknown else None


class OnnxConverter:
    """Converts a graph's nodes in order. It is also the `GraphView` of its nodes."""

    def __init__(
        self,
        model: OnnxModel,
        given: Mapping[str, Shape],
        has_batch: bool = True,
        opens_batch: bool = False,
    ) -> None:
        self.model = model
        self.graph = model.graph
        self.shown = model.shown
        self.assembly = Assembly(model.name)
        self.given = inputs_of(model.graph, model.shown, given, has_batch, opens_batch)
        self.opens_batch = opens_batch
        self.batch = self.given.batch
        self.scope = OnnxScope({}, {}, read_counts(self.graph), _opsets(model.record.opsets))
        if "" not in self.scope.opsets:
            raise error(f"`{model.shown}` does not say the version of its operations", help=CHECK)
        self.functions = {(f.domain, f.name, f.overload): f for f in model.record.functions}
        self.traces = ExporterTraces(model.record)
        self._paths = self._module_paths()
        self.declared: dict[str, Sequence[int | None]] = {}
        self._odd: dict[int, tuple[Tensor, Sizes]] = {}
        """Tensors whose batch was moved into another axis, with their shapes in the model."""
        self._whole: dict[int, Tensor] = {}
        """Tensors whose values are not floating point."""
        self._reads: Counter[int] = Counter()
        """For each operation, how often its output is read."""
        self._arrays: dict[str, OnnxArray] = {}
        """Arrays by their names in the network."""
        self._batch_axes: dict[str, int] = {}
        """The place of the batch, for results in which it is not first."""
        self._steps = self._work = self._held = 0
        self.is_quantized = self.is_along_batch = False

    def network(self) -> Network:
        self._add_arrays()
        self._add_inputs()
        self._declare()
        self._walk(self.graph.nodes)
        outputs = self._results()
        self._note(outputs)
        return self.assembly.finish(outputs, read=self._read, original=self._original())

    def _original(self) -> Original | None:
        """Return the model in onnxruntime. For a quantized model it would round; archcalc's run does not."""
        source = self.model.store.source
        if source is None or self.is_quantized:
            return None
        labels = {name: label for name, label in self._labels() if name in self.scope.values}
        return Original("onnxruntime", OnnxOriginal(source, self.given.inputs, labels, self._batch_axes).run)

    def _labels(self) -> list[tuple[str, str]]:
        return labeled([(value.name, value.name) for value in self.graph.outputs])

    # --- Arrays, inputs and outputs ---------------------------------------------------------------------

    def _add_arrays(self) -> None:
        store, values = self.model.store, self.scope.values
        for record in self.graph.arrays:
            array = store.array(record, record.name)
            array.is_buffer = record.name in self.traces.buffers
            array.is_made = self.traces.is_made(record.name)
            array.is_parameter = array.size == 1 and self.traces.is_parameter(record.name)
            values[record.name] = array
        for sparse in self.graph.sparse_arrays:
            if sparse.values is None:
                continue
            record = OnnxTensorRecord(dims=sparse.dims, data_type=sparse.values.data_type)
            values[sparse.values.name] = store.array(record, sparse.values.name)

    def _add_inputs(self) -> None:
        for each in self.given.inputs:
            try:
                tensor = self.assembly.input(each.name, each.shape or (1,))
            except LayerError as problem:
                sizes = format_shape(each.shape, cross="x")
                raise error(f"the input `{shown(each.name)}` is {sizes}: {problem.message}") from None
            if not each.has_batch:
                tensor = Tensor(tensor.operation, tuple(range(len(each.shape))))
            elif each.batch_axis:
                own = [*range(len(each.shape))]
                tensor = Tensor(tensor.operation, (*own[: each.batch_axis], BATCH, *own[each.batch_axis :]))
            if not each.is_float:
                self._whole[id(tensor)] = tensor
            self._bind(each.name, tensor)

    def _declare(self) -> None:
        """Record the shapes that the model declares, if they are valid for these inputs."""
        if self.given.replaced:
            return
        for value in (*self.graph.values, *self.graph.outputs):
            dims = declared_dims(value)
            if dims is not None:
                symbol, batch = self.given.symbol, self.batch
                self.declared[value.name] = [
                    batch if symbol and dim.symbol == symbol else dim.value if dim.value else None
                    for dim in dims
                ]

    def _results(self) -> dict[str, Tensor]:
        """Return the outputs with their axes in the model's order, if the batch is the first axis."""
        found: dict[str, Tensor] = {}
        unknown = None
        for name, label in self._labels():
            value = self.scope.values.get(name)
            if value is None:
                raise error(f"nothing in `{self.shown}` computes the result `{shown(name)}`")
            if isinstance(value, ExpandedTensor):
                value = value.tensor
            if isinstance(value, Tensor):
                if value.axes[:1] == (BATCH,):
                    value = self.assembly.plain(value)
                elif BATCH in value.axes and any(each.batch_axis for each in self.given.inputs):
                    self._batch_axes[label] = value.axes.index(BATCH)
                    own = tuple(axis for axis in value.axes if axis != BATCH)
                    value = self.assembly.plain(Tensor(value.operation, (BATCH, *own)))
                elif all(axis > BATCH for axis in value.axes) and len(value.operation.shape) == value.rank:
                    value = self.assembly.aligned(value, tuple(range(value.rank)))
                found[label] = value
            elif isinstance(value, OnnxComputed) and value.tensors:
                unknown = unknown or value
                self.assembly.note(f"the result `{shown(name)}` is left out: its shape is unknown")
            else:
                self.assembly.note(f"the result `{shown(name)}` is left out: it does not depend on the input")
        if not found and unknown is not None:
            raise error(
                f"`{self.shown}` does not say the shape that `{shown(unknown.by)}` gives",
                help="write shapes into the file: `onnx.shape_inference.infer_shapes_path`",
            )
        if not found:
            raise error(f"`{self.shown}` returns nothing that depends on its input")
        if "output" not in found:  # the first one was dropped
            first = next(iter(found))
            found = {"output" if label == first else label: tensor for label, tensor in found.items()}
        return found

    def _note(self, outputs: Mapping[str, Tensor]) -> None:
        used = used_arrays(tensor.operation for tensor in outputs.values())
        read = {self._arrays[name].made_from or self._arrays[name].key for name in used}
        unused = [
            array
            for array in self._own_arrays()
            if array.is_trained and array.key not in read and not array.is_argument
        ]
        for note in self.traces.notes(used, self._arrays):
            self.assembly.note(note)
        held = [
            self._arrays[array.name]
            for operation in self.assembly.operations
            if operation.layer.kind == "opaque"
            or (isinstance(operation.layer, ParameterTensor) and operation.layer.trained)
            for array in operation.arrays.values()
            if array.name in used
        ]
        made = {array.key: array for array in held if array.is_own and self.traces.is_computed(array)}
        if made:
            self.assembly.note(self.traces.note_on_computed(list(made.values())))
        if unused:
            names = ", ".join(f"`{shown(array.key)}`" for array in unused[:4])
            more = f" and {len(unused) - 4} more" if len(unused) > 4 else ""
            total = plural(sum(array.size for array in unused), "parameter", lambda number: f"{number:,}")
            self.assembly.note(f"{total} of {names}{more} are not counted: no output depends on them")
        newest = max(self.scope.opsets.get(domain, 0) for domain in STANDARD)
        if newest > NEWEST_OPSET:
            self.assembly.note(f"the model has operations of version {newest}, later than {NEWEST_OPSET}")

    def _own_arrays(self) -> Iterator[OnnxArray]:
        for record in self.graph.arrays:
            value = self.scope.values.get(record.name)
            if isinstance(value, OnnxArray):
                yield value

    def _read(self, names: Collection[str]) -> Mapping[str, Array]:
        if self.is_quantized:
            raise error(f"`{self.shown}` is quantized: archcalc counts it but cannot run it")
        return {name: self._arrays[name].load() for name in names}

    def _module_paths(self) -> list[Path]:
        """Return the modules of each node of the graph."""
        paths = []
        for node in self.graph.nodes:
            path = path_of(node)
            if self.traces.is_folded(node) and len(node.inputs) > 1:
                path = convolution_path(path, node.inputs[1])
            paths.append(path)
        return numbered(paths) if self.traces.is_newer else paths

    # --- Nodes ------------------------------------------------------------------------------------------

    def _walk(self, nodes: Iterable[OnnxNodeRecord]) -> None:
        for place, node in enumerate(nodes):
            self._steps += 1
            if self._steps > MAX_NODES:
                raise too_many(self.shown)
            self._add(node, place)

    def _add(self, node: OnnxNodeRecord, place: int) -> None:
        if not node.outputs:
            return
        call = self._call(node)
        function = self.functions.get((node.domain, node.op, node.overload))
        if function is not None:
            results: OnnxOutputs = self._inlined(function, call)
        else:
            self._say_where(node, place)
            call = on_floats(call, self.scope.opsets.get("", 1))
            results = self._converted(call)
        for name, value in zip(node.outputs, results, strict=False):
            if name:
                self._bind(name, value)
                self.scope.calls[name] = call
        rest = node.outputs[len(results) :]
        shapes = shapes_after(call)[len(results) :] if any(rest) else []
        for name, shape in zip(rest, [*shapes, *(None for _ in rest)], strict=False):
            if name:
                self._bind(name, OnnxComputed(node.op, shape, *_parts(call.inputs)))
                self.scope.calls[name] = call

    def _call(self, node: OnnxNodeRecord) -> OnnxCall:
        inputs: list[OnnxValue | None] = []
        for name in node.inputs:
            if name and name not in self.scope.values:
                raise error(
                    f"`{shown(node.name or node.op)}` in `{self.shown}` reads `{shown(name)}`, which nothing "
                    "before it computes",
                    help="each node must come after the nodes that it reads, without cycles",
                )
            inputs.append(self.scope.values[name] if name else None)
        while inputs and inputs[-1] is None:
            inputs.pop()
        attributes: dict[str, AttributeRecord] = {}
        for record in node.attributes:
            if not record.refers_to:
                attributes[record.name] = record
            elif record.refers_to in self.scope.attributes:
                attributes[record.name] = self.scope.attributes[record.refers_to]
        domain = "" if node.domain in STANDARD else node.domain
        return OnnxCall(self, node, inputs, attributes, self.scope.opsets.get(domain, 1))

    def _say_where(self, node: OnnxNodeRecord, place: int) -> None:
        path = self._paths[place] if self.scope.depth == 0 else path_of(node)
        self.assembly.path = path
        name = "".join(c for c in node.name[:200] if c.isprintable())
        self.assembly.origin = name or f"node {place} ({shown(node.op)})"
        self.assembly.label = "" if path or _COUNTED.fullmatch(name) else name.rpartition("/")[2]

    def _bind(self, name: str, value: OnnxValue) -> None:
        if name in self.scope.values and name in self.scope.calls:
            raise error(f"two nodes of `{self.shown}` compute `{shown(name)}`")
        self.scope.values[name] = value
        if isinstance(value, Tensor):
            self._reads[id(value.operation)] += self.scope.reads.get(name, 0)

    def _converted(self, call: OnnxCall) -> OnnxOutputs:
        op = call.node.op
        if call.node.domain in STANDARD:
            if op == "If":
                return self._branch(call)
            if op in REPEATED:
                raise self._refused(call, "how often it runs depends on the data")
            if op in ("Shape", "Size") and (array := self._shape_array(call)) is not None:
                return [array]
        if not any(tensors_in(call.inputs)):
            return self._constant(call)
        return self._convert(call)

    def _refused(self, call: OnnxCall, why: str) -> ArchError:
        name = f" `{shown(call.node.name)}`" if call.node.name else ""
        return error(
            f"`{self.shown}` has the operation `{call.node.op}`{name}, which cannot be counted: {why}",
            help="export the model without it, or only the part that you want to count",
        )

    # --- Branches and functions -------------------------------------------------------------------------

    def _branch(self, call: OnnxCall) -> OnnxOutputs:
        try:
            condition = call.constant(0)
            assert condition is not None
            is_true = bool(condition.reshape(()))
        except (Unsupported, ValueError, AssertionError):
            raise self._refused(call, "which branch it takes depends on the data") from None
        branch = call.all_attributes.get("then_branch" if is_true else "else_branch")
        graph = None if branch is None else branch.graph
        if graph is None:
            raise error(f"`{shown(call.node.name or 'If')}` in `{self.shown}` has no branch")
        outer = self.scope
        inner = OnnxScope(
            ChainMap({}, outer.values),
            ChainMap({}, outer.calls),
            ChainMap(read_counts(graph), outer.reads),
            outer.opsets,
            outer.attributes,
            outer.depth + 1,
        )
        for record in graph.arrays:
            inner.values[record.name] = self.model.store.array(record, record.name)
        return self._within(inner, graph.nodes, [value.name for value in graph.outputs])

    def _inlined(self, function: FunctionRecord, call: OnnxCall) -> OnnxOutputs:
        inner = OnnxScope({}, {}, read_counts(function), _opsets(function.opsets) or self.scope.opsets)
        inner.depth = self.scope.depth + 1
        defaults = {record.name: record for record in function.defaults}
        inner.attributes = {**defaults, **call.all_attributes}
        outer, self.scope = self.scope, inner
        try:
            for name, value in zip(function.inputs, call.inputs, strict=False):
                if value is not None:
                    self._bind(name, value)
        finally:
            self.scope = outer
        return self._within(inner, function.nodes, function.outputs)

    def _within(
        self, scope: OnnxScope, nodes: Sequence[OnnxNodeRecord], outputs: Sequence[str]
    ) -> list[OnnxValue]:
        if scope.depth > MAX_NESTING:
            raise error(f"`{self.shown}` has functions or branches more than {MAX_NESTING} deep")
        outer, self.scope = self.scope, scope
        try:
            self._walk(nodes)
            missing = [name for name in outputs if name not in scope.values]
            if missing:
                raise error(f"nothing in `{self.shown}` computes `{shown(missing[0])}`")
            return [scope.values[name] for name in outputs]
        finally:
            self.scope = outer

    # --- What is known without the input ----------------------------------------------------------------

    def _shape_array(self, call: OnnxCall) -> OnnxArray | None:
        """Return the shape of a tensor as an array."""
        shape = self.shape(call.inputs[0]) if call.inputs and call.inputs[0] is not None else None
        if shape is None:
            return None
        if call.node.op == "Size":
            return computed(call.node.outputs[0], math.prod(shape))
        try:
            ends = [call.whole(name, default) for name, default in (("start", 0), ("end", len(shape)))]
        except Unsupported:
            return None
        return computed(call.node.outputs[0], list(shape[slice(*ends)]))

    def _constant(self, call: OnnxCall) -> OnnxOutputs:
        """Convert a node that reads only constants."""
        op = call.node.op
        try:
            if call.node.domain not in STANDARD or any(isinstance(v, OnnxComputed) for v in call.inputs):
                raise Unsupported("")  # the name is reason enough
            if op == "Constant":
                return [self._given_constant(call)]
            if op in ("DequantizeLinear", "QuantizeLinear"):
                return [dequantized(call) if op == "DequantizeLinear" else quantized(call)]
            if op == "Identity" and self.traces.is_copy(call.node) and call.needed_array(0).is_own:
                array = call.needed_array(0)
                key = call.node.outputs[0]
                return [OnnxArray(key, array.shape, array.is_float, array.load, array.dims, array.rank)]
            if op in ("Expand", "Tile") and (expanded := self._expanded(call)) is not None:
                return [expanded]
            if op in CONSTANTS:
                return self._computed(call)
        except (Unsupported, *_BAD) as problem:
            if isinstance(problem, LayerError):
                raise
        parts = _parts(call.inputs)
        is_rounded = op in ("DequantizeLinear", "QuantizeLinear")
        if parts[1] and op in ONNX_OPERATIONS and not is_rounded and _from_trained(call):
            shapes = shapes_after(call)
            if None not in shapes:
                return [
                    _unread(call, name, shape)
                    for name, shape in zip(call.node.outputs, shapes, strict=False)
                    if shape
                ]
        return [OnnxComputed(op, shape, *parts) for shape in shapes_after(call)]

    def _given_constant(self, call: OnnxCall) -> OnnxArray:
        key = call.node.outputs[0]
        (record,) = (call.all_attributes[name] for name in call.all_attributes if name.startswith("value"))
        value = attribute_value(record)
        if isinstance(value, OnnxTensorRecord):
            array = self.model.store.array(value, value.name or key if value.name == key else key)
            array.is_constant = True
            return array
        import numpy as np

        if isinstance(value, float) or (isinstance(value, list) and value and isinstance(value[0], float)):
            return computed(key, np.asarray(value, np.float32))
        return computed(key, np.asarray(value))

    def _computed(self, call: OnnxCall) -> OnnxOutputs:
        """Compute an operation of `CONSTANTS`; if it only moves values of a stored array, return a view."""
        op = call.node.op
        arrays = [value for value in call.inputs if isinstance(value, OnnxArray)]
        first = arrays[0] if arrays else None
        is_weight = first is not None and first.is_own and (first.is_float or first.size > MAX_FOLDED)
        is_rounded = op == "Cast" and call.whole("to", 1) not in FLOATS
        if first is not None and is_weight and op in MOVES and not (is_rounded and first.size <= MAX_FOLDED):
            return self._moved(call, first)
        values = [value.values if isinstance(value, OnnxArray) else None for value in call.inputs]
        self._work += sum(value.size for value in values if value is not None)
        if self._work > MAX_WORK:
            raise Unsupported("it computes too much with constants")
        if op not in MOVES:  # an array of one repeated number takes no memory, but its results do
            bounded(sum(value.size for value in values if value is not None))
        if self._held > MAX_HELD:
            raise Unsupported("it keeps too many constants")
        import numpy as np

        with np.errstate(all="ignore"):
            found = CONSTANTS[op](call, values)
        made = found if isinstance(found, list) else [found]
        self._held += sum(array.nbytes for array in map(np.asarray, made) if any(array.strides))
        results = [computed(name, value) for name, value in zip(call.node.outputs, made, strict=True)]
        if _from_trained(call) and op not in ("Shape", "Size"):
            for result in results:
                result.recipe = call
        if op == "ConstantOfShape":  # some files store weights without their values in this way
            results[0].is_own = results[0].is_made = results[0].is_float
        return results

    def _expanded(self, call: OnnxCall) -> OnnxValue | None:
        """Return an array of the model that is repeated for each sample; `None` if it is something else."""
        array = call.needed_array(0)
        if not array.is_own or not array.is_float or array.is_constant or array.recipe is not None:
            return None
        (shape, *_) = shapes_after(call)
        if shape == array.shape:
            return array
        is_same = shape is not None and shape[:1] == (self.batch,)
        if is_same and shape is not None and array.shape in ((1, *shape[1:]), shape[1:]):
            return OnnxExpanded(array, shape)
        return None

    def rebuilt(self, array: OnnxArray) -> Tensor:
        """Add layers that compute an array from trained arrays."""
        call = array.recipe
        assert call is not None
        inputs: list[OnnxValue | None] = [
            self.rebuilt(each) if isinstance(each, OnnxArray) and each.recipe is not None else each
            for each in call.inputs
        ]
        again = OnnxCall(self, call.node, inputs, call.all_attributes, call.opset)
        if call.node.op != "Gather" and not any(tensors_in(inputs)):
            place = next(at for at, each in enumerate(inputs) if _is_trained(each))
            inputs[place] = operand(again, inputs[place])
        convert = ONNX_OPERATIONS.get(call.node.op)
        if convert is None or len(call.node.outputs) > 1:
            raise Unsupported(f"it computes with `{shown(array.key)}`")
        (result,) = convert(again)
        again.check_all_read()
        return as_tensor(result)

    def _moved(self, call: OnnxCall, first: OnnxArray) -> OnnxOutputs:
        op = call.node.op
        others = [value.values if isinstance(value, OnnxArray) else None for value in call.inputs[1:]]
        found = CONSTANTS[op](call, [stand_in(first.shape, first.is_float), *others])
        views = found if isinstance(found, list) else [found]
        results = []
        for place, (name, view) in enumerate(zip(call.node.outputs, views, strict=True)):
            array = replace(first, shape=view.shape, is_float=view.dtype.kind == "f", _values=None)
            if op in SAME_ARRAY:
                array.dims = _dims_after(call, first, view.ndim)
            else:
                array.key, array.made_from = name, first.made_from or first.key
                array.load, array.dims = _Later(call, first, others, place), tuple(range(view.ndim))
                array.rank = view.ndim
            results.append(array)
        return results

    # --- Layers -----------------------------------------------------------------------------------------

    def _convert(self, call: OnnxCall) -> OnnxOutputs:
        results: list[OnnxValue] = []
        converts = [*COMPOSITES.get(call.node.op, ()), None]
        if call.node.domain not in STANDARD:
            converts = [None]
        reason = ""
        for convert in converts:

            def attempt(convert: Any = convert) -> Sequence[Tensor]:
                results[:] = self._layers(call, convert)
                return ()  # shapes are compared there, with the batch as a number

            try:
                if convert is None:  # a composite has other inputs
                    self._check_inputs(call)
                self.assembly.attempt(attempt, ())
            except Unsupported as problem:
                reason = str(problem)
                continue
            return results
        return self._opaque(call, reason)

    def _layers(self, call: OnnxCall, convert: Any) -> OnnxOutputs:
        """Convert a node, and check that the shapes are as declared and that no argument is left unread."""
        is_known = call.node.domain in STANDARD
        convert = convert or (ONNX_OPERATIONS.get(call.node.op) if is_known else None)
        try:
            if call.node.op in ("Cast", "CastLike") and is_known:
                results: OnnxOutputs = [self._cast(call)]
            elif convert is None:
                raise Unsupported("")  # the name is reason enough
            else:
                results = convert(call)
                call.check_all_read()
        except _BAD as problem:
            if isinstance(problem, LayerError):
                raise
            raise Unsupported("its arguments do not match") from None  # of a file that someone edited
        for name, value in zip(call.node.outputs, results, strict=False):
            self._check_declared(name, value)
            if isinstance(value, ExpandedTensor) and any(each.name == name for each in self.graph.outputs):
                raise Unsupported("it repeats values")
        if call.node.op in MOVES and call.node.op != "Cast":
            for value in results:
                if isinstance(value, Tensor) and any(id(each) in self._whole for each in call.inputs):
                    self._whole[id(value)] = value
        return results

    def _cast(self, call: OnnxCall) -> Tensor:
        call.unused("saturate", "round_mode")
        x, like = call.tensor(), call.input(1)
        if call.node.op == "CastLike":
            is_float = like.is_float if isinstance(like, OnnxArray) else id(like) not in self._whole
        else:
            is_float = call.whole("to", 0) in FLOATS
        if is_float:
            return Tensor(x.operation, x.axes)
        if id(x) not in self._whole:
            raise Unsupported("it rounds its input to whole numbers")
        return x

    def _check_declared(self, name: str, value: OnnxValue) -> None:
        declared = self.declared.get(name) if self.scope.depth == 0 else None
        if declared is None or not isinstance(value, Tensor):
            return
        have = concrete(value, self.batch)
        fits = len(have) == len(declared) and all(
            axis == BATCH or want in (None, size) or (self.opens_batch and size == want * self.batch)
            for axis, size, want in zip(value.axes, have, declared, strict=True)
        )
        if not fits:
            got = format_shape(have, cross="x")
            want = "x".join("any" if size is None else str(size) for size in declared)
            raise Unsupported(f"it would give {got}, and the model says {want}")

    def _check_inputs(self, call: OnnxCall) -> None:
        for value in call.inputs:
            if id(value) in self._odd:
                raise Unsupported("its input has the batch folded into another axis")
            is_index = call.node.op == "Gather" and value is call.input(1)
            if id(value) in self._whole and not is_index and call.node.op not in (*MOVES, "CastLike"):
                raise Unsupported("it reads numbers that are not floating point")

    def _opaque(self, call: OnnxCall, reason: str) -> list[OnnxValue]:
        """Add an opaque operation for each output that is read, with all inputs of the node."""
        tensors = list({id(tensor.operation): tensor for tensor in tensors_in(call.inputs)}.values())
        arrays = [] if call.node.op in WITHOUT_ARRAYS else arrays_in(call.inputs)
        arrays = [replace(a, is_float=True, _values=None) if a.is_of_few_bits else a for a in arrays]
        # blame the first operation whose shape is unknown
        by = next(
            (v.by for v in call.inputs if isinstance(v, OnnxComputed) and v.shape is None), call.node.op
        )
        found: list[OnnxValue] = []
        for name, shape in zip(call.node.outputs, self._opaque_shapes(call), strict=False):
            if not self.scope.reads.get(name):
                found.append(OnnxComputed(by, shape, tuple(tensors), tuple(arrays)))
                continue
            try:
                if shape is None:
                    raise LayerError("has no declared shape")
                sample = sample_shape(shape, self.batch) if _has_batch(shape, self.batch) else shape
                tensor = self.assembly.opaque(
                    shown(call.node.op) or "unknown",
                    tensors,
                    sample if len(sample) <= MAX_RANK else sample_shape(shape, self.batch),
                    params=self._described(array for array in arrays if array.is_trained),
                    buffers=self._described(
                        array for array in arrays if array.is_own and array.is_float and not array.is_trained
                    ),
                    reason=reason,
                )
            except LayerError:
                found.append(OnnxComputed(by, shape, tuple(tensors), tuple(arrays)))
                continue
            if concrete(tensor, self.batch) != shape:
                self._odd[id(tensor)] = (tensor, shape)
            found.append(tensor)
        return found

    def _opaque_shapes(self, call: OnnxCall) -> list[Sizes | None]:
        """Return output shapes: the declared ones, or those found by rules."""
        found: list[Sizes | None] = []
        for name, ruled in zip(call.node.outputs, shapes_after(call), strict=False):
            is_known = self.scope.depth == 0 and not self.opens_batch  # the file has them for a batch of 1
            declared = self.declared.get(name) if is_known else None
            whole = None if declared is None or None in declared else tuple(n for n in declared if n)
            is_usable = whole is not None and (ruled is None or len(ruled) == len(whole))
            found.append(whole if is_usable else ruled)
        return found

    def _described(self, arrays: Iterable[OnnxArray]) -> dict[str, tuple[ModelArray, Shape]]:
        described = {}
        for array in arrays:
            if array.size:
                shape = array.shape if len(array.shape) <= MAX_RANK else (array.size,)
                described[array.key] = (ModelArray(self.name_of(array), array.arranged()), shape)
        return described

    # --- What nodes ask ---------------------------------------------------------------------------------

    def shape(self, value: OnnxValue | None) -> Sizes | None:
        """Return the shape of a value, with the batch as a number."""
        if isinstance(value, ExpandedTensor):
            return None
        if isinstance(value, Tensor):
            return self._odd[id(value)][1] if id(value) in self._odd else concrete(value, self.batch)
        return value.shape if value is not None else None

    def source(self, name: str) -> OnnxCall | None:
        return self.scope.calls.get(name)

    def maker(self, name: str) -> OnnxCall | None:
        return self.source(name) if self.scope.reads.get(name) == 1 else None

    def value(self, name: str) -> OnnxValue | None:
        return self.scope.values.get(name)

    def rebind(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            self.scope.values[name] = tensor
            self._reads[id(tensor.operation)] += self.scope.reads.get(name, 0)
        calls = [call for call in self.scope.calls.values() if call.node.op == "Squeeze"]
        for call in calls:
            if call.node.inputs[0] in tensors:
                (again,) = ONNX_OPERATIONS["Squeeze"](self._call(call.node))
                self.rebind({call.node.outputs[0]: as_tensor(again)})

    def is_read_once(self, tensor: Tensor) -> bool:
        return self._reads[id(tensor.operation)] == 1

    def stored(self, record: OnnxTensorRecord) -> OnnxArray:
        if not isinstance(record, OnnxTensorRecord):
            raise Unsupported("an attribute is not an array")
        return self.model.store.array(record, record.name or "an attribute")

    def name_of(self, array: OnnxArray) -> str:
        name = self.traces.name_of(array, self.assembly.path)
        self._arrays.setdefault(name, array)
        return name


_BAD = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""The errors that NumPy and plain Python raise for arguments that do not match."""


def _is_trained(value: OnnxValue | None) -> bool:
    return isinstance(value, OnnxArray) and value.comes_from_trained


def _from_trained(call: OnnxCall) -> bool:
    """Whether a node that reads only constants computes with trained arrays."""
    return any(map(_is_trained, call.inputs))


def _unread(call: OnnxCall, key: str, shape: Sizes) -> OnnxArray:
    """Return an array that is too large to compute during an import; layers may compute it."""

    def load() -> Array:
        raise error(f"`{shown(key)}` is not computed")

    return OnnxArray(key, shape, True, load, is_own=False, recipe=call)


class _Later(Struct):
    """Rearranges the values of an array when they are read."""

    call: OnnxCall
    array: OnnxArray
    others: list[Any]
    place: int

    def __call__(self) -> Array:
        found = CONSTANTS[self.call.node.op](self.call, [self.array.all_values(), *self.others])
        moved: Array = found[self.place] if isinstance(found, list) else found
        return moved


def read_counts(graph: OnnxGraphRecord | FunctionRecord) -> Counter[str]:
    """Count how often each name is read in a graph, including nested graphs and results."""
    results = graph.outputs
    counts = Counter(each if isinstance(each, str) else each.name for each in results)
    waiting = list(graph.nodes)
    while waiting:
        node = waiting.pop()
        counts.update(name for name in node.inputs if name)
        for attribute in node.attributes:
            if attribute.graph is not None:
                counts.update(value.name for value in attribute.graph.outputs)
                waiting += attribute.graph.nodes
    return counts


def _opsets(records: Iterable[Any]) -> dict[str, int]:
    return {"" if each.domain in STANDARD else each.domain: each.version for each in records}


def _parts(inputs: Sequence[OnnxValue | None]) -> tuple[tuple[Tensor, ...], tuple[OnnxArray, ...]]:
    return tuple(tensors_in(inputs)), tuple(arrays_in(inputs))


def _has_batch(shape: Sizes, batch: int) -> bool:
    """Whether a shape may contain the batch. If the batch is 1, the first axis must have size 1."""
    return bool(shape) and (batch > 1 or shape[0] == batch)


def _dims_after(call: OnnxCall, array: OnnxArray, rank: int) -> tuple[int, ...]:
    """Return the stored axis for each axis, after an operation of `SAME_ARRAY`."""
    dims = list(array.dims or ())
    op = call.node.op
    if op == "Transpose":
        order = call.wholes("perm") or list(range(len(dims)))[::-1]
        return tuple(dims[axis] for axis in order)
    if op == "Squeeze":
        axes = call.axes()
        dropped = (
            {axis_in(axis, len(dims)) for axis in axes}
            if axes is not None
            else {axis for axis, size in enumerate(array.shape) if size == 1}
        )
        return tuple(dim for axis, dim in enumerate(dims) if axis not in dropped)
    if op == "Unsqueeze":
        added = {axis_in(axis, rank) for axis in call.axes() or ()}
        rest = iter(dims)
        return tuple(-1 if axis in added else next(rest) for axis in range(rank))
    return tuple(dims)
