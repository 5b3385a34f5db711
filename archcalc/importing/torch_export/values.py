"""The values that names of a graph have during an import, and an operation with its arguments."""

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
    """A value that no layer takes: a weight that is computed, or an output that cannot be said.

    An operation that reads it becomes opaque; it then reads `tensors`, and has `arrays`.
    """

    by: str
    tensors: tuple[Tensor, ...] = ()
    arrays: tuple[StoredArray, ...] = ()


class KnownArray(Struct, frozen=True, eq=False):
    """An array that depends on sizes alone, such as a mask: its values are known."""

    values: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape)

    @property
    def number(self) -> float | None:
        """Its value, if it has only one."""
        return float(self.values.reshape(-1)[0]) if self.values.size == 1 else None


class ExpandedArray(Struct, frozen=True, eq=False):
    """An array that is repeated for every sample: a class token. `shape` has the batch as a number."""

    array: StoredArray
    shape: tuple[int, ...]


class ComputedWeight(Struct, frozen=True, eq=False):
    """A weight that is computed from arrays in one of the ways that layers have: `weight="standardized"`.

    `array` is what it is computed from, in the shape that the model has it in here; `arrays` are others.
    """

    way: str
    array: StoredArray
    arrays: Mapping[str, StoredArray] = {}


Outputs = Sequence[Any]
"""What an operation gives: a `Tensor`, an `ExpandedTensor` or a `ComputedValue` for each of its outputs."""

ArrangedArrays = Mapping[str, tuple[StoredArray, tuple[int, ...]]]
"""Arrays of a layer by their names there, each with the order of its axes that the layer needs."""

MISSING = object()


class AtenCall:
    """An operation with its arguments, for the function that makes a layer of it.

    The function reads arguments by name. What it does not read must not be written either: `check_all_read`
    raises `Unsupported` then, so that no argument is lost.
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
        """An argument as it is."""
        self._read.add(name)
        return self._arguments.get(name, default)

    def unused(self, *names: str) -> None:
        """These arguments make no difference to what is computed."""
        self._read.update(names)

    def must_be(self, name: str, *allowed: Any) -> None:
        """Raise `Unsupported` unless an argument is left out, or is one of these values."""
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
        """An argument as a tensor; an array of the model is then a `parameter`, the same for every sample."""
        return self.as_tensor(self.value(name))

    def as_tensor(self, value: Any, like: Tensor | None = None) -> Tensor:
        """A value as a tensor; an array with its axes as those of the tensor `like`."""
        from archcalc.importing.torch_export.operands import with_array

        if isinstance(value, StoredArray | KnownArray | ExpandedArray):
            return with_array(self, value, like)
        if isinstance(value, ExpandedTensor):
            return materialized(self.assembly, self.batch, value)
        return as_tensor(value)

    def map(self, name: str = "self", rank: int | None = None) -> Tensor:
        """A tensor with the batch first and the channels second, as layers have them.

        `rank` is the number of spatial axes that it must have.
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
        """An array of the model, or `None`."""
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
        """A number; one of floating point counts as the decimal it prints as."""
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
        """A list of whole numbers; a number alone is a list of one."""
        value = self.value(name, default)
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(_whole(item, name) for item in items)

    def per_axis(self, name: str, rank: int, default: int | None = None) -> Any:
        """A number for all spatial axes, or one for each of them if they differ."""
        values = self.wholes(name, () if default is None else (default,)) or (default,)
        if len(values) not in (1, rank) or None in values:
            raise Unsupported(f"`{name}` is {_shown(list(values))}")
        return values[0] if len(set(values)) == 1 else values

    def known(self, array: KnownArray) -> str:
        """The key of an array that the model computes from sizes, for those who read arrays."""
        for key, values in self._computed.items():
            if values.shape == array.values.shape and (values == array.values).all():
                return key
        key = f"computed{len(self._computed) + 1}"
        self._computed[key] = array.values.copy()
        return key

    # --- Results ------------------------------------------------------------------------------------

    def add(self, layer: Layer, *inputs: Tensor, **arrays: StoredArray | None) -> Tensor:
        """A layer applied to tensors, with arrays of the model that are arranged as it has them."""
        given: ArrangedArrays = {name: (array, ()) for name, array in arrays.items() if array is not None}
        return self.add_arranged(layer, *inputs, arrays=given)

    def add_arranged(self, layer: Layer, *inputs: Tensor, arrays: ArrangedArrays) -> Tensor:
        """The same with the order of the axes that the layer needs, for each array."""
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
        """The tensor arranged so that the axis that the model has at `dim` is that of the channels."""
        return channels_at(self.assembly, tensor, dim)

    def identity(self, name: str = "self") -> Outputs:
        """The value of an argument, passed on."""
        value = self.value(name)
        if not isinstance(value, Tensor | ExpandedTensor):
            raise Unsupported(f"`{name}` is {_shown(value)}")
        return [value]

    def declared(self) -> tuple[int, ...]:
        """The declared shape of the only output, the batch in it as a number."""
        (shape,) = self.shapes
        if shape is None:
            raise Unsupported("its output has no declared shape")
        return tuple(shape)


def as_tensor(value: Any) -> Tensor:
    """A value as a tensor. Raises `Unsupported` if it is not one."""
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
    """The values in an argument, which may be a list of lists."""
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
    """A value in a few words."""
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
    """A value as a number: itself, or the only one of an array that is known. One of floating point counts
    as the decimal it prints as."""
    if isinstance(value, KnownArray):
        value = value.number
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value if isinstance(value, int) else Fraction(repr(value))


Convert = Callable[[AtenCall], Outputs]

OPERATIONS: dict[str, Convert] = {}
"""What makes layers of an operation, by its name in ATen without the overload."""


def operation(*names: str) -> Callable[[Convert], Convert]:
    """Register a function for operations of ATen."""

    def register(function: Convert) -> Convert:
        for name in names:
            if name in OPERATIONS:
                raise TypeError(f"`{name}` is converted twice")
            OPERATIONS[name] = function
        return function

    return register
