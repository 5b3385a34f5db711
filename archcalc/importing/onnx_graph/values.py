"""The values that names of a graph have during an import, and a node with its arguments."""

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
    """A value that no layer takes, such as an array that is computed from large ones.

    A node that reads it becomes opaque; it then reads `tensors`, and has `arrays`. `shape` is its shape with
    the batch in it as a number, if it is known.
    """

    by: str
    shape: Sizes | None = None
    tensors: tuple[Tensor, ...] = ()
    arrays: tuple[OnnxArray, ...] = ()


class OnnxExpanded(Struct, frozen=True, eq=False):
    """An array of the model for every sample, such as a class token; its first axis is the batch."""

    array: OnnxArray
    shape: Sizes


OnnxValue = Tensor | ExpandedTensor | OnnxArray | OnnxComputed | OnnxExpanded

OnnxOutputs = Sequence[OnnxValue]
"""The results of a node: a value for each output. Outputs at the end that nothing reads may be left out."""


class GraphView(Protocol):
    """What a node can ask of the graph around it."""

    assembly: Assembly
    batch: int
    is_quantized: bool
    """Does the model round tensors?"""
    opens_batch: bool
    """Is a batch of 1 read as if the model left it open?"""
    is_along_batch: bool
    """Does an array of the model have values for each sample?"""

    def shape(self, value: OnnxValue) -> Sizes | None:
        """The shape of a value, the batch in it as a number."""

    def maker(self, name: str) -> OnnxCall | None:
        """The node that a tensor comes from, if nothing else reads that tensor."""

    def source(self, name: str) -> OnnxCall | None:
        """The node that a tensor comes from."""

    def value(self, name: str) -> OnnxValue | None:
        """The value of a name."""

    def rebind(self, tensors: Mapping[str, Tensor]) -> None:
        """Bind names to other tensors with the same values, for the nodes that follow.

        A `Squeeze` of one of them that came before is converted again.
        """

    def is_read_once(self, tensor: Tensor) -> bool:
        """Does a single node read what an operation gives?"""

    def rebuilt(self, array: OnnxArray) -> Tensor:
        """What computes an array from trained ones, as layers."""

    def stored(self, record: OnnxTensorRecord) -> OnnxArray:
        """An array that is an attribute."""

    def name_of(self, array: OnnxArray) -> str:
        """What an array is called in the network: one name for each that is counted."""


class OnnxCall:
    """A node with its arguments, for the function that makes a layer of it.

    The function reads inputs by number and attributes by name. An attribute that it does not read must not be
    there: `check_all_read` raises `Unsupported` then, so that no argument is lost. `opset` is the version of
    the operations of its domain.
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
        """The value of an attribute, or `None`."""
        self._read.add(name)
        record = self.all_attributes.get(name)
        return None if record is None else attribute_value(record)

    def has(self, name: str) -> bool:
        return name in self.all_attributes

    def unused(self, *names: str) -> None:
        """These attributes make no difference to what is computed."""
        self._read.update(names)

    def must_be(self, name: str, *allowed: Any) -> None:
        """Raise `Unsupported` unless an attribute is left out, or is one of these values."""
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
        """A number of single precision; it counts as the decimal that it prints as."""
        value = self.attribute(name)
        if value is not None and not isinstance(value, float):
            raise Unsupported(f"`{name}` is {_said(value)}")
        return decimal(default if value is None else value)

    # --- Inputs -------------------------------------------------------------------------------------

    def input(self, place: int) -> OnnxValue | None:
        """An input, or `None` if it is left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    def tensor(self, place: int = 0) -> Tensor:
        return as_tensor(self.input(place))

    def map(self, rank: int | None = None, place: int = 0) -> Tensor:
        """A tensor with the batch first and the channels second, as layers have them.

        `rank` is the number of spatial axes that it must have.
        """
        tensor = self.assembly.plain(self.tensor(place))
        if rank is not None and tensor.rank != rank + 2:
            raise Unsupported(f"it reads a tensor of {tensor.rank} axes")
        return tensor

    def array(self, place: int) -> OnnxArray | None:
        """An input that is an array of the model; `None` if it is left out."""
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
        """The values of an input that is a small array; `None` if it is left out."""
        array = self.array(place)
        return None if array is None else array.values

    def whole_constants(self, place: int) -> list[int] | None:
        """The same as whole numbers."""
        values = self.constant(place)
        if values is None:
            return None
        if values.dtype.kind not in "iu" or values.ndim > 1:
            raise Unsupported(f"its input {place + 1} is not a list of whole numbers")
        return [int(value) for value in values.reshape(-1)]

    def axes(self, place: int = 1) -> list[int] | None:
        """Axes, which are an attribute in older versions and an input in newer ones."""
        if self.has("axes"):
            return self.wholes("axes")
        return self.whole_constants(place)

    # --- Results ------------------------------------------------------------------------------------

    def shape(self, place: int = 0) -> Sizes:
        """The shape of an input, the batch in it as a number."""
        value = self.input(place)
        found = None if value is None else self.graph.shape(value)
        if found is None:
            raise Unsupported("the shape of its input is unknown")
        return found

    def add(self, layer: Layer, *inputs: Tensor, **arrays: OnnxArray | None) -> Tensor:
        """A layer applied to tensors, with arrays of the model that are arranged as it has them."""
        given = {name: (array, ()) for name, array in arrays.items() if array is not None}
        return self.add_arranged(layer, *inputs, arrays=given)

    def add_arranged(
        self, layer: Layer, *inputs: Tensor, arrays: Mapping[str, tuple[OnnxArray, Sequence[int]]]
    ) -> Tensor:
        """The same with the order of the axes that the layer needs, for each array."""
        return self.assembly.add(
            layer,
            *inputs,
            arrays={name: self.arranged(array, order) for name, (array, order) in arrays.items()},
            fixed=[name for name, (array, _) in arrays.items() if array.is_buffer],
        )

    def instead_of(self, before: Tensor, layer: Layer, **arrays: OnnxArray) -> Tensor:
        """A layer that does what an operation did and this node does: it has the arrays of both.

        It takes the place of the operation. The caller has made sure that nothing else reads that.
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
            (before,) = before.inputs  # two reshapes that undo each other are left out
            if before.shape == found.operation.shape:
                found = Tensor(before, found.axes)
        return found

    def piece(self, tensor: Tensor, dim: int, start: int, end: int) -> Tensor:
        return views.piece(self.assembly, tensor, dim, start, end, self.batch)

    def maker(self, place: int, *ops: str) -> OnnxCall | None:
        """The node that an input comes from, if it is one of these and nothing else reads its result."""
        if place >= len(self.node.inputs):
            return None
        found = self.graph.maker(self.node.inputs[place])
        return found if found is not None and found.node.op in ops else None

    def single(self, place: int) -> float | None:
        """The only value of an input that is a constant."""
        value = self.input(place)
        if not isinstance(value, OnnxArray) or value.size != 1 or value.comes_from_trained:
            return None
        return float(value.values.reshape(()))

    def exact(self, place: int) -> Number | None:
        """The same, if it is finite: as the decimal that it prints as. It gives the result no axes."""
        value, others = self.input(place), [each for at, each in enumerate(self.inputs) if at != place]
        number = self.single(place)
        if number is None or not isinstance(value, OnnxArray):
            return None
        if others and len(value.shape) > max(len(self.graph.shape(each) or ()) for each in others if each):
            raise Unsupported("it adds an axis")
        return decimal(number)


def attribute_value(record: AttributeRecord) -> Any:
    """What an attribute holds: a number, a text, a list, an array or a graph."""
    kinds: dict[int, Any] = {
        1: record.real, 2: record.whole, 3: record.text, 4: record.tensor, 5: record.graph,
        6: record.reals, 7: record.wholes, 8: record.texts,
    }  # fmt: skip
    if record.kind in kinds:
        value = kinds[record.kind]
        if value is None:  # a number that is zero may be left out
            value = {1: 0.0, 2: 0, 3: ""}.get(record.kind)
        return value
    if record.kind:
        raise Unsupported(f"its attribute `{shown(record.name)}` has a type that archcalc does not read")
    given = [value for value in kinds.values() if value is not None and value != []]
    return given[0] if given else []


def as_tensor(value: OnnxValue | None) -> Tensor:
    """A value as a tensor. Raises `Unsupported` if it is not one."""
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
    """The tensors that values depend on."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, ExpandedTensor):
            yield value.tensor
        elif isinstance(value, OnnxComputed):
            yield from value.tensors


def arrays_in(values: Collection[OnnxValue | None]) -> list[OnnxArray]:
    """The arrays that values depend on, each once: also one that is read as it is and in another shape."""
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
    """A single-precision number as the decimal that it prints as. Raises `Unsupported` if it is not finite.

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
    """A number for all axes, or one for each of them if they differ."""
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
"""What makes layers of a node, by the name of its operation."""

COMPOSITES: dict[str, list[OnnxConvert]] = {}
"""What makes one layer from several nodes, by the operation of the last of them: tried before the others.

Each raises `Unsupported` if the nodes are something else.
"""


def onnx_operation(*names: str) -> Callable[[OnnxConvert], OnnxConvert]:
    """Register a function for operations of ONNX."""

    def register(function: OnnxConvert) -> OnnxConvert:
        for name in names:
            if name in ONNX_OPERATIONS:
                raise TypeError(f"`{name}` is converted twice")
            ONNX_OPERATIONS[name] = function
        return function

    return register


def composite(*last: str) -> Callable[[OnnxConvert], OnnxConvert]:
    """Register a function for several nodes, of which the last one is one of these."""

    def register(function: OnnxConvert) -> OnnxConvert:
        for name in last:
            COMPOSITES.setdefault(name, []).append(function)
        return function

    return register
