"""The values of names in a graph during an import, and nodes with their arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from archcalc.importing import views
from archcalc.importing.assembly import Assembly
from archcalc.importing.onnx_graph.arrays import OnnxArray, shown
from archcalc.importing.onnx_graph.records import AttributeRecord, OnnxNodeRecord, OnnxTensorRecord
from archcalc.importing.tensors import ExpandedTensor, ModelArray, Tensor, Unsupported, plain_axes
from archcalc.layers.arguments import Number
from archcalc.layers.base import Layer
from archcalc.layers.reshape import Flatten, Reshape

if TYPE_CHECKING:
    from archcalc.executor.kernel import Array

Sizes = tuple[int, ...]


class OnnxComputed(Struct, frozen=True, eq=False):
    """A value that no layer accepts, such as an array computed from large arrays.

    A node that reads it becomes opaque; it then reads `tensors` and has `arrays`. `shape` is its shape, with
    the batch as a number, if it is known.
    """

    by: str
    shape: Sizes | None = None
    tensors: tuple[Tensor, ...] = ()
    arrays: tuple[OnnxArray, ...] = ()


class OnnxExpanded(Struct, frozen=True, eq=False):
    """An array of the model repeated for every sample, such as a class token; its first axis is the batch."""

    array: OnnxArray
    shape: Sizes


OnnxValue = Tensor | ExpandedTensor | OnnxArray | OnnxComputed | OnnxExpanded

OnnxOutputs = Sequence[OnnxValue]
"""The results of a node: one value per output. Trailing outputs that nothing reads may be omitted."""


class GraphView(Protocol):
    """What a node can look up in the graph around it."""

    assembly: Assembly
    batch: int
    is_quantized: bool
    """Whether the model rounds tensors."""
    opens_batch: bool
    """Whether a batch of 1 is read as if the model left it open."""
    is_along_batch: bool
    """Whether an array of the model has separate values for each sample."""

    def shape(self, value: OnnxValue) -> Sizes | None:
        """Return the shape of a value, with the batch as a number."""

    def maker(self, name: str) -> OnnxCall | None:
        """Return the node that computes a tensor, if no other node reads that tensor."""

    def source(self, name: str) -> OnnxCall | None:
        """Return the node that computes a tensor."""

    def value(self, name: str) -> OnnxValue | None:
        """Return the value of a name."""

    def rebind(self, tensors: Mapping[str, Tensor]) -> None:
        """Bind names to other tensors with the same values, for the nodes that follow.

        An earlier `Squeeze` of one of them is converted again.
        """

    def is_read_once(self, tensor: Tensor) -> bool:
        """Whether exactly one node reads an operation's output."""

    def rebuilt(self, array: OnnxArray) -> Tensor:
        """Add layers that compute an array from trained arrays."""

    def stored(self, record: OnnxTensorRecord) -> OnnxArray:
        """Return an array that is an attribute."""

    def name_of(self, array: OnnxArray) -> str:
        """Return the name of an array in the network; there is one for each counted array."""


class OnnxCall:
    """A node with its arguments, for the function that converts it to a layer.

    The function reads inputs by place and attributes by name. If the node has an attribute that it does not
    read, `check_all_read` raises `Unsupported`, so that no argument is ignored by accident. `opset` is
    the version of the operators in its domain.
    """

    def __init__(
        self,
        graph: GraphView,
        node: OnnxNodeRecord,
        inputs: Sequence[OnnxValue | None],
        attributes: Mapping[str, AttributeRecord],
        opset: int,
    ) -> None:
        self.graph = graph
        self.assembly = graph.assembly
        self.batch = graph.batch
        self.node = node
        self.inputs = inputs
        self.opset = opset
        self.all_attributes = attributes
        self._read: set[str] = set()

    # --- Attributes ---------------------------------------------------------------------------------

    def attribute(self, name: str) -> Any:
        """Return the value of an attribute, or `None`."""
        self._read.add(name)
        record = self.all_attributes.get(name)
        return None if record is None else attribute_value(record)

    def has(self, name: str) -> bool:
        return name in self.all_attributes

    def unused(self, *names: str) -> None:
        """Mark attributes that make no difference to the result as read."""
        self._read.update(names)

    def must_be(self, name: str, *allowed: Any) -> None:
        """Raise `Unsupported` unless an attribute is missing, or has one of these values."""
        value = self.attribute(name)
        if value is not None and value not in allowed:
            raise Unsupported(f"`{name}` is {_said(value)}")

    def check_all_read(self) -> None:
        for name in self.all_attributes:
            if name not in self._read:
                raise Unsupported(f"it has an attribute `{shown(name)}`")

    def whole(self, name: str, default: int) -> int:
        value = self.attribute(name)
        return default if value is None else _whole(value, name)

    def wholes(self, name: str, default: Sequence[int] | None = None) -> list[int] | None:
        value = self.attribute(name)
        if value is None:
            return None if default is None else list(default)
        if not isinstance(value, list):
            raise Unsupported(f"`{name}` is {_said(value)}")
        return [_whole(item, name) for item in value]

    def text(self, name: str, default: str) -> str:
        value = self.attribute(name)
        if value is not None and not isinstance(value, str):
            raise Unsupported(f"`{name}` is {_said(value)}")
        return default if value is None else value

    def number(self, name: str, default: float) -> Number:
        """Return a single-precision number as the shortest decimal that stands for it."""
        value = self.attribute(name)
        if value is not None and not isinstance(value, float):
            raise Unsupported(f"`{name}` is {_said(value)}")
        return decimal(default if value is None else value)

    # --- Inputs -------------------------------------------------------------------------------------

    def input(self, place: int) -> OnnxValue | None:
        """Return an input, or `None` if it is missing."""
        return self.inputs[place] if place < len(self.inputs) else None

    def tensor(self, place: int = 0) -> Tensor:
        return as_tensor(self.input(place))

    def map(self, rank: int | None = None, place: int = 0) -> Tensor:
        """Return a tensor with the batch first and the channels second, as layers have them.

        `rank` is the required number of spatial axes.
        """
        tensor = self.assembly.plain(self.tensor(place))
        if rank is not None and tensor.rank != rank + 2:
            raise Unsupported(f"it reads a tensor of {tensor.rank} axes")
        return tensor

    def array(self, place: int) -> OnnxArray | None:
        """Return an input that is an array of the model; `None` if it is missing."""
        value = self.input(place)
        if isinstance(value, OnnxArray) and value.recipe is not None and not value.is_computed:
            raise Unsupported(f"its input {place + 1} is computed by {value.recipe.node.op}")
        if value is None or isinstance(value, OnnxArray):
            return value
        if isinstance(value, OnnxComputed):
            raise Unsupported(f"its input {place + 1} is computed by {value.by}")
        raise Unsupported(f"its input {place + 1} is a tensor")

    def needed_array(self, place: int) -> OnnxArray:
        array = self.array(place)
        if array is None:
            raise Unsupported(f"it has no input {place + 1}")
        return array

    def constant(self, place: int) -> Array | None:
        """Return the values of an input that is a small array; `None` if it is missing."""
        array = self.array(place)
        return None if array is None else array.values

    def whole_constants(self, place: int) -> list[int] | None:
        """Return the values of a small array as integers; `None` if it is missing."""
        values = self.constant(place)
        if values is None:
            return None
        if values.dtype.kind not in "iu" or values.ndim > 1:
            raise Unsupported(f"its input {place + 1} is not a list of whole numbers")
        return [int(value) for value in values.reshape(-1)]

    def axes(self, place: int = 1) -> list[int] | None:
        """Return axes, which are an attribute in older versions and an input in newer ones."""
        if self.has("axes"):
            return self.wholes("axes")
        return self.whole_constants(place)

    # --- Results ------------------------------------------------------------------------------------

    def shape(self, place: int = 0) -> Sizes:
        """Return the shape of an input, with the batch as a number."""
        value = self.input(place)
        found = None if value is None else self.graph.shape(value)
        if found is None:
            raise Unsupported("the shape of its input is unknown")
        return found

    def add(self, layer: Layer, *inputs: Tensor, **arrays: OnnxArray | None) -> Tensor:
        """Apply a layer to tensors, with arrays of the model in the model's arrangement."""
        given = {name: (array, ()) for name, array in arrays.items() if array is not None}
        return self.add_arranged(layer, *inputs, arrays=given)

    def add_arranged(
        self, layer: Layer, *inputs: Tensor, arrays: Mapping[str, tuple[OnnxArray, Sequence[int]]]
    ) -> Tensor:
        """Apply a layer to tensors, with an order of axes for each array, as the layer needs it."""
        return self.assembly.add(
            layer,
            *inputs,
            arrays={name: self.arranged(array, order) for name, (array, order) in arrays.items()},
            fixed=[name for name, (array, _) in arrays.items() if array.is_buffer],
        )

    def instead_of(self, before: Tensor, layer: Layer, **arrays: OnnxArray) -> Tensor:
        """Replace an operation and this node by one layer, which has the arrays of both.

        The caller must make sure that nothing else reads the operation's output.
        """
        assembly, old = self.assembly, before.operation
        here = assembly.path, assembly.origin, assembly.label
        assembly.path, assembly.origin, assembly.label = old.path, old.origin, old.name
        more = {name: self.arranged(array) for name, array in arrays.items()}
        sources = [Tensor(source, plain_axes(len(source.shape))) for source in old.inputs]
        try:
            return assembly.add(
                layer, *sources, arrays={**old.arrays, **more}, fixed=old.fixed, axes=before.axes
            )
        finally:
            assembly.path, assembly.origin, assembly.label = here

    def arranged(self, array: OnnxArray, order: Sequence[int] = ()) -> ModelArray:
        return ModelArray(self.graph.name_of(array), array.arranged(order))

    def channels_at(self, tensor: Tensor, dim: int) -> Tensor:
        return views.channels_at(self.assembly, tensor, dim)

    def reshaped(self, tensor: Tensor, want: Sequence[int]) -> Tensor:
        found = views.reshaped(self.assembly, tensor, want, self.batch)
        before = found.operation
        while isinstance(before.layer, Reshape | Flatten) and found.operation is not tensor.operation:
            (before,) = before.inputs  # two reshapes that undo each other are dropped
            if before.shape == found.operation.shape:
                found = Tensor(before, found.axes)
        return found

    def piece(self, tensor: Tensor, dim: int, start: int, end: int) -> Tensor:
        return views.piece(self.assembly, tensor, dim, start, end, self.batch)

    def maker(self, place: int, *ops: str) -> OnnxCall | None:
        """Return the node that computes an input, if it is one of these and nothing else reads its result."""
        if place >= len(self.node.inputs):
            return None
        found = self.graph.maker(self.node.inputs[place])
        return found if found is not None and found.node.op in ops else None

    def single(self, place: int) -> float | None:
        """Return the only value of a constant input."""
        value = self.input(place)
        if not isinstance(value, OnnxArray) or value.size != 1 or value.comes_from_trained:
            return None
        return float(value.values.reshape(()))

    def exact(self, place: int) -> Number | None:
        """Return the only value as an exact decimal, if it is finite and does not add axes to the result."""
        value, others = self.input(place), [each for at, each in enumerate(self.inputs) if at != place]
        number = self.single(place)
        if number is None or not isinstance(value, OnnxArray):
            return None
        if others and len(value.shape) > max(len(self.graph.shape(each) or ()) for each in others if each):
            raise Unsupported("it adds an axis")
        return decimal(number)


def attribute_value(record: AttributeRecord) -> Any:
    """Return the value of an attribute: a number, a string, a list, an array or a graph."""
    kinds: dict[int, Any] = {
        1: record.real, 2: record.whole, 3: record.text, 4: record.tensor, 5: record.graph,
        6: record.reals, 7: record.wholes, 8: record.texts,
    }  # fmt: skip
    if record.kind in kinds:
        value = kinds[record.kind]
        if value is None:  # a number that is zero may be omitted
            value = {1: 0.0, 2: 0, 3: ""}.get(record.kind)
        return value
    if record.kind:
        raise Unsupported(f"its attribute `{shown(record.name)}` has a type that archcalc does not read")
    given = [value for value in kinds.values() if value is not None and value != []]
    return given[0] if given else []


def as_tensor(value: OnnxValue | None) -> Tensor:
    """Return a value as a tensor. Raises `Unsupported` if it is not one."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, ExpandedTensor):
        raise Unsupported("it reads a tensor that is repeated along an axis")
    if isinstance(value, OnnxComputed):
        raise Unsupported(f"it reads what {value.by} computes")
    if isinstance(value, OnnxExpanded):
        raise Unsupported(f"it reads `{shown(value.array.key)}` for every sample")
    if isinstance(value, OnnxArray):
        raise Unsupported(f"it computes with `{shown(value.key)}`")
    raise Unsupported("an input is missing")


def tensors_in(values: Collection[OnnxValue | None]) -> Iterator[Tensor]:
    """Yield the tensors that values depend on."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, ExpandedTensor):
            yield value.tensor
        elif isinstance(value, OnnxComputed):
            yield from value.tensors


def arrays_in(values: Collection[OnnxValue | None]) -> list[OnnxArray]:
    """Return the arrays that values depend on, each once, even if one is also read in another shape."""
    found: dict[tuple[str, int], OnnxArray] = {}
    waiting = list(values)
    while waiting:
        array = waiting.pop(0)
        if isinstance(array, OnnxComputed):
            waiting += array.arrays
        elif isinstance(array, OnnxExpanded):
            waiting.append(array.array)
        elif isinstance(array, OnnxArray) and array.recipe is not None:
            waiting += array.recipe.inputs
        elif isinstance(array, OnnxArray):
            found.setdefault((array.made_from or array.key, array.size), array)
    return list(found.values())


def decimal(value: float) -> Number:
    """Convert a single-precision number to its shortest decimal. Raises `Unsupported` if it is not finite.

    >>> decimal(9.999999747378752e-06)
    Fraction(1, 100000)
    """
    import numpy as np

    with np.errstate(all="ignore"):
        single = np.float32(value)
    if not math.isfinite(single):
        raise Unsupported("an argument is not a finite number")
    exact = Fraction(str(single))
    return exact.numerator if exact.denominator == 1 else exact


def per_axis(values: Sequence[int]) -> Any:
    """Return one number if all axes have the same, and otherwise one per axis."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unsupported(f"`{name}` is {_said(value)}")
    return value


def _said(value: Any) -> str:
    if isinstance(value, str):
        return f'"{shown(value)}"'
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, int) for item in value[:9]):
        return str(value[:8])
    return "something else"


OnnxConvert = Callable[[OnnxCall], OnnxOutputs]

ONNX_OPERATIONS: dict[str, OnnxConvert] = {}
"""The functions that convert a node to layers, by the name of its operation."""

COMPOSITES: dict[str, list[OnnxConvert]] = {}
"""The functions that convert several nodes to one layer, by the last node's operation. They are tried first.

Each raises `Unsupported` if the nodes do not match.
"""


def onnx_operation(*names: str) -> Callable[[OnnxConvert], OnnxConvert]:
    """Register a function for one or more ONNX operators."""

    def register(function: OnnxConvert) -> OnnxConvert:
        for name in names:
            if name in ONNX_OPERATIONS:
                raise TypeError(f"`{name}` is converted twice")
            ONNX_OPERATIONS[name] = function
        return function

    return register


def composite(*last: str) -> Callable[[OnnxConvert], OnnxConvert]:
    """Register a function for a group of nodes that ends with one of these operators."""

    def register(function: OnnxConvert) -> OnnxConvert:
        for name in last:
            COMPOSITES.setdefault(name, []).append(function)
        return function

    return register
