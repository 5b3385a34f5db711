"""The values of a graph's names during an import, and an operation with its arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from msgspec import Struct

from archcalc.importing.assembly import Assembly
from archcalc.importing.tensors import ExpandedTensor, ModelArray, Tensor, Unsupported
from archcalc.importing.torch_export.expanding import materialized
from archcalc.importing.torch_export.graph import ExportedNode, StoredArray
from archcalc.importing.views import channels_at
from archcalc.layers.arguments import Number
from archcalc.layers.base import Layer


class ComputedValue(Struct, frozen=True, eq=False):
    """A value that no layer can read: a computed weight, or an output that cannot be described.

    An operation that reads it becomes opaque; that operation then reads `tensors` and has `arrays`.
    """

    by: str
    tensors: tuple[Tensor, ...] = ()
    arrays: tuple[StoredArray, ...] = ()


class KnownArray(Struct, frozen=True, eq=False):
    """An array that depends only on sizes, such as a mask, so its values are known."""

    values: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape)

    @property
    def number(self) -> float | None:
        """Return its value, if it has only one."""
        return float(self.values.reshape(-1)[0]) if self.values.size == 1 else None


class ExpandedArray(Struct, frozen=True, eq=False):
    """An array repeated for every sample, such as a class token. `shape` has the batch as a number."""

    array: StoredArray
    shape: tuple[int, ...]


class ComputedWeight(Struct, frozen=True, eq=False):
    """A weight computed from arrays in a way that layers support: `weight="standardized"`.

    `array` is the source, in the model's shape here; `arrays` are other arrays.
    """

    way: str
    array: StoredArray
    arrays: Mapping[str, StoredArray] = {}


Outputs = Sequence[Any]
"""The outputs of an operation: a `Tensor`, an `ExpandedTensor` or a `ComputedValue` for each."""

ArrangedArrays = Mapping[str, tuple[StoredArray, tuple[int, ...]]]
"""Arrays of a layer by their names in it, each with the axis order that the layer needs."""

MISSING = object()


class AtenCall:
    """An operation with its arguments, for the function that turns it into a layer.

    The function reads arguments by name. An argument that it does not read must not be given: otherwise
    `check_all_read` raises `Unsupported`, so that no argument is lost.
    """

    def __init__(
        self,
        assembly: Assembly,
        node: ExportedNode,
        arguments: dict[str, Any],
        shapes: Sequence[Any],
        batch: int,
        computed: dict[str, Any],
    ) -> None:
        self.assembly = assembly
        self._computed = computed
        self.node = node
        self.shapes = shapes
        """The shapes that the graph declares for the outputs, the batch in them as a number."""
        self.batch = batch
        self._arguments = arguments
        self._read: set[str] = set()

    # --- Arguments ----------------------------------------------------------------------------------

    def value(self, name: str, default: Any = None) -> Any:
        """Return an argument unchanged."""
        self._read.add(name)
        return self._arguments.get(name, default)

    def unused(self, *names: str) -> None:
        """Mark arguments that do not affect the result."""
        self._read.update(names)

    def must_be(self, name: str, *allowed: Any) -> None:
        """Raise `Unsupported` unless an argument is omitted or has one of these values."""
        value = self.value(name, MISSING)
        if value is not MISSING and not any(value == one and type(value) is type(one) for one in allowed):
            raise Unsupported(f"`{name}` is {_shown(value)}")

    def check_all_read(self) -> None:
        for name in self._arguments:
            if name not in self._read:
                raise Unsupported(f"`{name}` is {_shown(self._arguments[name])}")

    def must_fit(self, fits: bool) -> None:
        if not fits:
            raise Unsupported("its arrays do not fit its input")

    def tensor(self, name: str = "self") -> Tensor:
        """Return an argument as a tensor; an array becomes a `parameter`, the same for every sample."""
        return self.as_tensor(self.value(name))

    def as_tensor(self, value: Any, like: Tensor | None = None) -> Tensor:
        """Return a value as a tensor; an array's axes are arranged like those of the tensor `like`."""
        from archcalc.importing.torch_export.operands import with_array

        if isinstance(value, StoredArray | KnownArray | ExpandedArray):
            return with_array(self, value, like)
        if isinstance(value, ExpandedTensor):
            return materialized(self.assembly, self.batch, value)
        return as_tensor(value)

    def map(self, name: str = "self", rank: int | None = None) -> Tensor:
        """Return a tensor with the batch first and the channels second, as layers expect.

        `rank` is the required number of spatial axes.
        """
        tensor = self.assembly.plain(self.tensor(name))
        if rank is not None and tensor.rank != rank + 2:
            raise Unsupported(f"it reads a tensor of {tensor.rank} axes")
        return tensor

    def tensors(self, name: str = "tensors") -> list[Tensor]:
        value = self.value(name)
        if not isinstance(value, list | tuple) or not value:
            raise Unsupported(f"`{name}` is {_shown(value)}")
        return [self.as_tensor(item) for item in value]

    def array(self, name: str) -> StoredArray | None:
        """Return an array of the model, or `None`."""
        value = self.value(name)
        if value is None or isinstance(value, StoredArray):
            return value
        if isinstance(value, ComputedValue):
            raise Unsupported(f"its `{name}` is computed by {value.by}")
        if isinstance(value, ComputedWeight):
            raise Unsupported(f"its `{name}` is computed")
        raise Unsupported(f"its `{name}` is a tensor")

    def whole(self, name: str, default: int | None = None) -> int:
        return _whole(self.value(name, default), name)

    def number(self, name: str, default: float | None = None) -> Number:
        """Return a number; a floating-point number is read as its printed decimal."""
        value = self.value(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Unsupported(f"`{name}` is {_shown(value)}")
        return value if isinstance(value, int) else Fraction(repr(value))

    def flag(self, name: str, default: bool) -> bool:
        value = self.value(name, default)
        if not isinstance(value, bool):
            raise Unsupported(f"`{name}` is {_shown(value)}")
        return value

    def wholes(self, name: str, default: Sequence[int] = ()) -> tuple[int, ...]:
        """Return a list of integers; a single number becomes a list of one."""
        value = self.value(name, default)
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(_whole(item, name) for item in items)

    def per_axis(self, name: str, rank: int, default: int | None = None) -> Any:
        """Return one number for all spatial axes, or one per axis if they differ."""
        values = self.wholes(name, () if default is None else (default,)) or (default,)
        if len(values) not in (1, rank) or None in values:
            raise Unsupported(f"`{name}` is {_shown(list(values))}")
        return values[0] if len(set(values)) == 1 else values

    def known(self, array: KnownArray) -> str:
        """Return the key of an array that the model computes from sizes, for code that reads arrays."""
        for key, values in self._computed.items():
            if values.shape == array.values.shape and (values == array.values).all():
                return key
        key = f"computed{len(self._computed) + 1}"
        self._computed[key] = array.values.copy()
        return key

    # --- Results ------------------------------------------------------------------------------------

    def add(self, layer: Layer, *inputs: Tensor, **arrays: StoredArray | None) -> Tensor:
        """Apply a layer to tensors, with arrays in the model's axis order."""
        given: ArrangedArrays = {name: (array, ()) for name, array in arrays.items() if array is not None}
        return self.add_arranged(layer, *inputs, arrays=given)

    def add_arranged(self, layer: Layer, *inputs: Tensor, arrays: ArrangedArrays) -> Tensor:
        """Like `add`, with the axis order that the layer needs for each array."""
        return self.assembly.add(
            layer,
            *inputs,
            arrays={
                name: ModelArray(array.key, axes, factor=array.factor)
                for name, (array, axes) in arrays.items()
            },
            fixed=[name for name, (array, _) in arrays.items() if not array.is_trained],
        )

    def channels_at(self, tensor: Tensor, dim: int) -> Tensor:
        """Return the tensor arranged so that the model's axis `dim` is the channel axis."""
        return channels_at(self.assembly, tensor, dim)

    def identity(self, name: str = "self") -> Outputs:
        """Pass on the value of an argument."""
        value = self.value(name)
        if not isinstance(value, Tensor | ExpandedTensor):
            raise Unsupported(f"`{name}` is {_shown(value)}")
        return [value]

    def declared(self) -> tuple[int, ...]:
        """Return the declared shape of the only output, with the batch as a number."""
        (shape,) = self.shapes
        if shape is None:
            raise Unsupported("its output has no declared shape")
        return tuple(shape)


def as_tensor(value: Any) -> Tensor:
    """Return a value as a tensor. Raises `Unsupported` if it is not one."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, ComputedValue):
        raise Unsupported(f"it reads what {value.by} computes")
    if isinstance(value, StoredArray):
        raise Unsupported(f"it computes with `{value.key}`")
    if isinstance(value, ComputedWeight | KnownArray | ExpandedArray):
        raise Unsupported("it computes with what the model computes from its arrays")
    raise Unsupported(f"it computes with {_shown(value)}")


def leaves(value: Any) -> Iterator[Any]:
    """Return the values in an argument, which may be nested lists."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unsupported(f"`{name}` is {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    """Describe a value in a few words."""
    if isinstance(
        value, Tensor | ExpandedTensor | ComputedValue | ComputedWeight | KnownArray | ExpandedArray
    ):
        return "a tensor"
    if isinstance(value, StoredArray):
        return f"`{value.key}`"
    if isinstance(value, list | tuple) and any(not isinstance(item, int | float) for item in value):
        return "a list"
    return str(value)[:60]


def number_of(value: Any) -> Number | None:
    """Return a value, or the only element of a known array, as a number; floats as their printed decimal."""
    if isinstance(value, KnownArray):
        value = value.number
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value if isinstance(value, int) else Fraction(repr(value))


Convert = Callable[[AtenCall], Outputs]

OPERATIONS: dict[str, Convert] = {}
"""The function that turns an operation into layers, by ATen name without the overload."""


def operation(*names: str) -> Callable[[Convert], Convert]:
    """Register a function for ATen operations."""

    def register(function: Convert) -> Convert:
        for name in names:
            if name in OPERATIONS:
                raise TypeError(f"`{name}` is converted twice")
            OPERATIONS[name] = function
        return function

    return register
