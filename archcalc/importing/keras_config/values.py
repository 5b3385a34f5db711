"""A call of a layer with its arguments, for the function that makes layers of archcalc of it."""

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
"""What these arguments say makes no difference to what a trained model computes."""

MISSING = object()


class VariablePart(Struct, frozen=True):
    """A variable, or a row of it, whose columns are gates that a layer has in another order."""

    variable: str
    row: int | None
    gates: tuple[int, ...]


class KerasContext(Struct, frozen=True, kw_only=True):
    """What the calls of a model share while they are converted."""

    assembly: Assembly
    data_format: str
    """Where the model has the channels, if its layers do not say otherwise."""
    is_keras_2: bool
    constants: dict[str, Sequence[float]] = {}
    """Arrays whose values the configuration has itself, by their names."""
    least: dict[str, float] = {}
    """The least values of arrays, by their names: smaller ones are taken for these."""
    parts: dict[str, VariablePart] = {}
    """Arrays that are parts of variables, or their values in another order, by their names."""


class CalledLayer:
    """A layer that is called: its configuration, and the tensors and values that it is called with.

    The function that converts it reads arguments by name. What it does not read must not be written either:
    `check_all_read` raises `Unsupported` then, so that no argument is lost.
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
        """What is to be applied to the result: an activation function, as the configuration writes it."""
        self._read: set[str] = {"name", "trainable", "dtype", "activity_regularizer"}

    @property
    def kind(self) -> str:
        return self.layer.kind

    @property
    def rank(self) -> int:
        """The number of spatial axes in the name of the class: 2 for `Conv2D`."""
        return next(int(letter) for letter in self.kind if letter in "123")

    # --- Arguments ----------------------------------------------------------------------------------

    def value(self, name: str, default: Any = None) -> Any:
        """An argument of the configuration as it is."""
        self._read.add(name)
        return self.layer.config.get(name, default)

    def unused(self, *names: str) -> None:
        """These arguments make no difference to what is computed."""
        self._read.update(names)

    def must_be(self, name: str, *allowed: Any) -> None:
        """Raise `Unsupported` unless an argument is left out, or is one of these values."""
        value = self.value(name, MISSING)
        if value is not MISSING and not any(value == one and type(value) is type(one) for one in allowed):
            raise Unsupported(f"`{name}` is {shown_value(value)}")

    def check_all_read(self) -> None:
        for name, value in self.layer.config.items():
            if name not in self._read and not name.endswith(_OF_TRAINING):
                raise Unsupported(f"`{name}` is {shown_value(value)}")
        for name, value in self.kwargs.items():
            # Keras calls every layer with `training=False` at inference, whatever the model says
            if value is not None and name != "training":
                raise Unsupported(f"it is called with `{name}`: {shown_value(value)}")
        if self.args:
            raise Unsupported(f"it is called with {len(self.args)} arguments more")

    def whole(self, name: str, default: int | None = None) -> int:
        return as_whole(self.value(name, default), name)

    def number(self, name: str, default: float | None = None) -> Number:
        """A number; one of floating point counts as the decimal it prints as."""
        return exact(self.value(name, default), name)

    def flag(self, name: str, default: bool) -> bool:
        value = self.value(name, default)
        if not isinstance(value, bool):
            raise Unsupported(f"`{name}` is {shown_value(value)}")
        return value

    def wholes(self, name: str, default: Sequence[int] = ()) -> tuple[int, ...]:
        """A list of whole numbers; a number alone is a list of one."""
        value = self.value(name, default)
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(as_whole(item, name) for item in items)

    def per_axis(self, name: str, rank: int, default: int = 1) -> tuple[int, ...]:
        """A number for each spatial axis."""
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
        """The next argument of the call, which must be a tensor."""
        value = self.args.pop(0) if self.args else self.kwargs.pop("inputs", None)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        return as_tensor(value)

    def tensors(self) -> list[Tensor]:
        """The next argument of the call, which must be a list of tensors."""
        value = self.args.pop(0) if self.args else self.kwargs.pop("inputs", None)
        if not isinstance(value, list) or not value:
            raise Unsupported(f"it is called with {shown_value(value)}, not with a list of tensors")
        return [as_tensor(item) for item in value]

    def operands(self) -> list[Any]:
        """All arguments of the call: tensors, and values of other types."""
        operands, self.args = self.args, []
        return operands

    def layout(self) -> str:
        """Where the layer has the channels."""
        value = self.value("data_format")
        return self.data_format if value is None else str(value)

    def map(self, rank: int | None = None) -> Tensor:
        """The next argument, arranged as the layer's `data_format` says.

        `rank` is the number of spatial axes that it must have.
        """
        tensor = self.tensor()
        if rank is not None and tensor.rank != rank + 2:
            raise Unsupported(f"it reads a tensor of {tensor.rank} axes")
        return self.aligned(tensor, axes_of(tensor.rank - 1, self.layout()))

    def aligned(self, tensor: Tensor, axes: tuple[int, ...]) -> Tensor:
        """The tensor with its axes there, moved by a `permute` that has a name of its own if need be."""
        if tensor.axes == axes:
            return tensor
        with self.part("permute"):
            return self.assembly.aligned(tensor, axes)

    def channels_at(self, tensor: Tensor, dim: int) -> Tensor:
        """The tensor arranged so that the axis that the model has at `dim` is that of the channels."""
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
        """A variable of the layer, by its number there."""
        return ModelArray(f"{self.layer.address}/vars/{number}", axes)

    def add(self, layer: Layer, *inputs: Tensor, arrays: Sequence[str] = (), **more: Any) -> Tensor:
        """A layer applied to tensors. `arrays` has its names for the variables, in their order in Keras."""
        named = {name: self.array(number) for number, name in enumerate(arrays)}
        return self.assembly.add(layer, *inputs, arrays=named, **more)

    @contextmanager
    def part(self, suffix: str) -> Iterator[None]:
        """What is added meanwhile is a part of the layer, with a name next to it: `conv1_relu`."""
        before = self.assembly.path
        self.assembly.path = (*self.path[:-1], (f"{self.path[-1][0]}_{suffix}", suffix))
        try:
            yield
        finally:
            self.assembly.path = before


def axes_of(rank: int, data_format: str) -> tuple[int, ...]:
    """Where a model has the axes of a sample: behind the batch, the channels first or last."""
    if data_format not in (CHANNELS_LAST, CHANNELS_FIRST):
        raise Unsupported(f"`data_format` is {shown_value(data_format)}")
    return (BATCH, *range(1, rank), 0) if data_format == CHANNELS_LAST else plain_axes(rank)


def as_tensor(value: Any) -> Tensor:
    """A value as a tensor. Raises `Unsupported` if it is not one."""
    if not isinstance(value, Tensor):
        raise Unsupported(f"it is called with {shown_value(value)}, not with a tensor")
    return value


def as_whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unsupported(f"`{name}` is {shown_value(value)}")
    return value


def exact(value: Any, name: str) -> Number:
    """A number; one of floating point counts as the decimal it prints as."""
    if not is_number(value):
        raise Unsupported(f"`{name}` is {shown_value(value)}")
    return value if isinstance(value, int) else Fraction(repr(value))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def axis_name(tensor: Tensor, dim: int) -> str:
    """The name of the axis that the model has at `dim`: `channels`, `height`."""
    own = tensor.axis(dim)
    if own == 0:
        return "channels"
    names = AXES.get(tensor.rank - 2)
    if names is None:
        raise Unsupported(f"it works along an axis of {tensor.rank}")
    return names[own - 1]


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in an argument, which may be a structure of lists and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from tensors_in(value[key])


def shown_value(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, Tensor):
        return "a tensor"
    if isinstance(value, dict):
        return f"an object of the class `{str(value.get('class_name'))[:40]}`"
    if isinstance(value, list | tuple) and any(not isinstance(item, int | float) for item in value):
        return "a list"
    return str(value)[:60]


Convert = Callable[[CalledLayer], Sequence[Tensor]]

LAYERS: dict[str, Convert] = {}
"""What makes layers of archcalc of a layer of Keras, by its class; operations are `ops.Add`."""


def keras_layer(*kinds: str) -> Callable[[Convert], Convert]:
    """Register a function for classes of layers."""

    def register(function: Convert) -> Convert:
        for kind in kinds:
            if kind in LAYERS:
                raise TypeError(f"`{kind}` is converted twice")
            LAYERS[kind] = function
        return function

    return register
