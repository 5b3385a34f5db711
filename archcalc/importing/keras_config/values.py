"""A layer call with its arguments, for the function that converts it to archcalc's layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from msgspec import Struct

from archcalc.importing.assembly import Assembly, Path
from archcalc.importing.keras_config.records import KerasLayer
from archcalc.importing.tensors import BATCH, ModelArray, Tensor, Unsupported, plain_axes
from archcalc.layers.arguments import Number
from archcalc.layers.base import Layer
from archcalc.shape import AXES

CHANNELS_LAST, CHANNELS_FIRST = "channels_last", "channels_first"

_OF_TRAINING = ("_initializer", "_regularizer", "_constraint")
"""Arguments that make no difference to what a trained model computes."""

MISSING = object()


class VariablePart(Struct, frozen=True):
    """A variable, or one row of it, whose columns are gates in an order that differs from the layer's."""

    variable: str
    row: int | None
    gates: tuple[int, ...]


class KerasContext(Struct, frozen=True, kw_only=True):
    """The state that all calls of a model share during conversion."""

    assembly: Assembly
    data_format: str
    """The model's data format, for layers that do not state their own."""
    is_keras_2: bool
    constants: dict[str, Sequence[float]] = {}
    """Arrays whose values are in the configuration, by name."""
    least: dict[str, float] = {}
    """The smallest allowed values of arrays, by name: smaller values are raised to this."""
    parts: dict[str, VariablePart] = {}
    """Arrays that are parts of variables, or variables in another order, by name."""


class CalledLayer:
    """A call of a layer: its configuration, and the tensors and values it is called with.

    The conversion function reads arguments by name. If the configuration has an argument that it does not
    read, `check_all_read` raises `Unsupported`, so that no argument is ignored by accident.
    """

    def __init__(
        self,
        context: KerasContext,
        layer: KerasLayer,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        path: Path,
    ) -> None:
        self.context = context
        self.assembly = context.assembly
        self.data_format = context.data_format
        self.layer = layer
        self.args = list(args)
        self.kwargs = dict(kwargs)
        self.path = path
        self.activation: Any = None
        """The activation function to apply to the result, in the form it has in the configuration."""
        self._read: set[str] = {"name", "trainable", "dtype", "activity_regularizer"}

    @property
    def kind(self) -> str:
        return self.layer.kind

    @property
    def rank(self) -> int:
        """The number of spatial axes in the class name: 2 for `Conv2D`."""
        return next(int(letter) for letter in self.kind if letter in "123")

    # --- Arguments ----------------------------------------------------------------------------------

    def value(self, name: str, default: Any = None) -> Any:
        """Return an argument of the configuration unchanged."""
        self._read.add(name)
        return self.layer.config.get(name, default)

    def unused(self, *names: str) -> None:
        """Mark arguments that make no difference to the result as read."""
        self._read.update(names)

    def must_be(self, name: str, *allowed: Any) -> None:
        """Raise `Unsupported` unless an argument is missing, or has one of these values."""
        value = self.value(name, MISSING)
        if value is not MISSING and not any(value == one and type(value) is type(one) for one in allowed):
            raise Unsupported(f"`{name}` is {shown_value(value)}")

    def check_all_read(self) -> None:
        for name, value in self.layer.config.items():
            if name not in self._read and not name.endswith(_OF_TRAINING):
                raise Unsupported(f"`{name}` is {shown_value(value)}")
        for name, value in self.kwargs.items():
            # Keras calls every layer with `training=False` at inference, no matter what the model says
            if value is not None and name != "training":
                raise Unsupported(f"it is called with `{name}`: {shown_value(value)}")
        if self.args:
            raise Unsupported(f"it is called with {len(self.args)} arguments more")

    def whole(self, name: str, default: int | None = None) -> int:
        return as_whole(self.value(name, default), name)

    def number(self, name: str, default: float | None = None) -> Number:
        """Return a number; a float is read as the decimal that `repr` shows."""
        return exact(self.value(name, default), name)

    def flag(self, name: str, default: bool) -> bool:
        value = self.value(name, default)
        if not isinstance(value, bool):
            raise Unsupported(f"`{name}` is {shown_value(value)}")
        return value

    def wholes(self, name: str, default: Sequence[int] = ()) -> tuple[int, ...]:
        """Return a list of integers; a single integer becomes a list of one."""
        value = self.value(name, default)
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(as_whole(item, name) for item in items)

    def per_axis(self, name: str, rank: int, default: int = 1) -> tuple[int, ...]:
        """Return one number per spatial axis."""
        values = self.wholes(name, (default,))
        if len(values) not in (1, rank):
            raise Unsupported(f"`{name}` is {shown_value(list(values))}")
        return values * rank if len(values) == 1 else values

    def word(self, name: str, default: str) -> str:
        value = self.value(name, default)
        if not isinstance(value, str):
            raise Unsupported(f"`{name}` is {shown_value(value)}")
        return value.lower()

    # --- Tensors ------------------------------------------------------------------------------------

    def tensor(self) -> Tensor:
        """Return the next argument of the call, which must be a tensor."""
        value = self.args.pop(0) if self.args else self.kwargs.pop("inputs", None)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        return as_tensor(value)

    def tensors(self) -> list[Tensor]:
        """Return the next argument of the call, which must be a list of tensors."""
        value = self.args.pop(0) if self.args else self.kwargs.pop("inputs", None)
        if not isinstance(value, list) or not value:
            raise Unsupported(f"it is called with {shown_value(value)}, not with a list of tensors")
        return [as_tensor(item) for item in value]

    def operands(self) -> list[Any]:
        """Return all arguments of the call: tensors, and values of other types."""
        operands, self.args = self.args, []
        return operands

    def layout(self) -> str:
        """Return the data format of the layer."""
        value = self.value("data_format")
        return self.data_format if value is None else str(value)

    def map(self, rank: int | None = None) -> Tensor:
        """Return the next argument, arranged in the layer's `data_format`.

        `rank` is the required number of spatial axes.
        """
        tensor = self.tensor()
        if rank is not None and tensor.rank != rank + 2:
            raise Unsupported(f"it reads a tensor of {tensor.rank} axes")
        return self.aligned(tensor, axes_of(tensor.rank - 1, self.layout()))

    def aligned(self, tensor: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Return the tensor with these axes, moved by a separately named `permute` if necessary."""
        if tensor.axes == axes:
            return tensor
        with self.part("permute"):
            return self.assembly.aligned(tensor, axes)

    def channels_at(self, tensor: Tensor, dim: int) -> Tensor:
        """Return the tensor arranged so that the model's axis `dim` is the channel axis."""
        if tensor.axis(dim) == 0:
            return tensor
        dim = dim % tensor.rank
        others = iter(range(1, tensor.rank))
        axes = tuple(
            BATCH if place == 0 else 0 if place == dim else next(others) for place in range(tensor.rank)
        )
        return self.aligned(tensor, axes)

    # --- Results ------------------------------------------------------------------------------------

    def array(self, number: int, axes: tuple[int, ...] = ()) -> ModelArray:
        """Return a variable of the layer, by its index in the layer."""
        return ModelArray(f"{self.layer.address}/vars/{number}", axes)

    def add(self, layer: Layer, *inputs: Tensor, arrays: Sequence[str] = (), **more: Any) -> Tensor:
        """Apply a layer to tensors. `arrays` has the layer's names for the variables, in Keras's order."""
        named = {name: self.array(number) for number, name in enumerate(arrays)}
        return self.assembly.add(layer, *inputs, arrays=named, **more)

    @contextmanager
    def part(self, suffix: str) -> Iterator[None]:
        """Mark everything added in this context as a part of the layer, named after it: `conv1_relu`."""
        before = self.assembly.path
        self.assembly.path = (*self.path[:-1], (f"{self.path[-1][0]}_{suffix}", suffix))
        try:
            yield
        finally:
            self.assembly.path = before


def axes_of(rank: int, data_format: str) -> tuple[int, ...]:
    """Return a sample's axes in the model's order: after the batch, with the channels first or last."""
    if data_format not in (CHANNELS_LAST, CHANNELS_FIRST):
        raise Unsupported(f"`data_format` is {shown_value(data_format)}")
    return (BATCH, *range(1, rank), 0) if data_format == CHANNELS_LAST else plain_axes(rank)


def as_tensor(value: Any) -> Tensor:
    """Return a value as a tensor. Raises `Unsupported` if it is not one."""
    if not isinstance(value, Tensor):
        raise Unsupported(f"it is called with {shown_value(value)}, not with a tensor")
    return value


def as_whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unsupported(f"`{name}` is {shown_value(value)}")
    return value


def exact(value: Any, name: str) -> Number:
    """Return a number; a float is read as the decimal that `repr` shows."""
    if not is_number(value):
        raise Unsupported(f"`{name}` is {shown_value(value)}")
    return value if isinstance(value, int) else Fraction(repr(value))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def axis_name(tensor: Tensor, dim: int) -> str:
    """Return the name of the axis at the model's `dim`: `channels`, `height`."""
    own = tensor.axis(dim)
    if own == 0:
        return "channels"
    names = AXES.get(tensor.rank - 2)
    if names is None:
        raise Unsupported(f"it works along an axis of {tensor.rank}")
    return names[own - 1]


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in an argument, which may be nested lists and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from tensors_in(value[key])


def shown_value(value: Any) -> str:
    """Return a short text for a value."""
    if isinstance(value, Tensor):
        return "a tensor"
    if isinstance(value, dict):
        return f"an object of the class `{str(value.get('class_name'))[:40]}`"
    if isinstance(value, list | tuple) and any(not isinstance(item, int | float) for item in value):
        return "a list"
    return str(value)[:60]


Convert = Callable[[CalledLayer], Sequence[Tensor]]

LAYERS: dict[str, Convert] = {}
"""The functions that convert Keras layers, by class; operations are `ops.Add`."""


def keras_layer(*kinds: str) -> Callable[[Convert], Convert]:
    """Register a function for one or more layer classes."""

    def register(function: Convert) -> Convert:
        for kind in kinds:
            if kind in LAYERS:
                raise TypeError(f"`{kind}` is converted twice")
            LAYERS[kind] = function
        return function

    return register
