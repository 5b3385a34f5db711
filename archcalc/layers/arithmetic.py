"""Arithmetic with values that the network holds: parameters as tensors, factors, and offsets."""

from typing import Annotated, Any, ClassVar

from archcalc.layers.arguments import (
    Extent,
    Flag,
    LayerError,
    Number,
    optional,
    read_number,
)
from archcalc.layers.backward import KEPT_INPUT, Backward, Needs
from archcalc.layers.base import Layer, layer
from archcalc.layers.terms import (
    NO_OPERATIONS,
    Facts,
    Operations,
    Reach,
    Weight,
    Windows,
    per_value,
    values_of,
)
from archcalc.shape import SYMBOLS, Shape, format_shape


@layer("parameter")
class ParameterTensor(Layer, frozen=True):
    """A trained tensor that is the same for every sample, such as a class token or a position embedding.

    It does not read a tensor. Its shape has no batch: `parameter(768x1)` is the class token of a sequence
    with 768 channels. With `trained=false` it is a buffer.

    Source: the documentation of `torch.nn.Parameter`.

    Example: input(768x196) -> add(identity, parameter(768x196))

    >>> ParameterTensor((768, 196)).output_shape()
    (768, 196)
    """

    is_source: ClassVar[bool] = True

    shape: Extent
    trained: Flag = True

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.shape

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        rank = len(self.shape) - 1
        symbols = ("C", *SYMBOLS[rank]) if rank else ("N",)
        factors = tuple(zip(symbols, self.shape, strict=True))
        return (Weight("weight", factors, "weight" if self.trained else "buffer"),)

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """The gradient is the sum over all samples."""
        return Backward(operations=(("add", values_of(facts.output)),))

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return NO_OPERATIONS

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.SAME


def read_values(value: object) -> Number | tuple[Number, ...]:
    """A number, or one number per channel: `2`, `[0.485, 0.456, 0.406]`."""
    if isinstance(value, tuple | list):
        if not value:
            raise LayerError("needs a number, or one number per channel, got an empty list")
        return tuple(read_number(item) for item in value)
    return read_number(value)


Values = Annotated[Any, optional(read_values)]


class Factor(Layer, frozen=True):
    """What `scale` and `shift` share: a value that is given or trained.

    A given value is a number, or one number per channel, and does not count as an array. Without a value, it
    is trained: one for all channels, or one per channel with `per_channel`.
    """

    category: ClassVar[str]
    array: ClassVar[str]

    def check(self) -> None:
        if self.value is not None and self.per_channel:  # type: ignore[attr-defined]
            raise LayerError(
                f"`{self.kind}` takes `value` or `per_channel`, not both",
                argument="per_channel",
                help="for one value per channel, write a list; for trained values, leave out `value`",
            )

    def output_shape(self, *inputs: Shape) -> Shape:
        value = self.value  # type: ignore[attr-defined]
        if isinstance(value, tuple) and len(value) != inputs[0][0]:
            raise LayerError(
                f"`value` of `{self.kind}` has {len(value)} numbers for {inputs[0][0]} channels",
                argument="value",
                label=format_shape(inputs[0], cross="x"),
            )
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        if self.value is not None:  # type: ignore[attr-defined]
            return ()
        if self.per_channel:  # type: ignore[attr-defined]
            return (Weight(self.array, (("C", inputs[0][0]),), "norm"),)
        return (Weight(self.array, (("1", 1),), "norm"),)

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return per_value(output, **{self.category: 1})

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.SAME

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return channels


@layer("scale")
class Scale(Factor, frozen=True):
    """Multiplies by a factor, or by one factor per channel. The factors are given, or trained by default.

    `scale` has one trained factor (Bachlechner et al. 2020, ReZero). `scale(per_channel=true)` has one per
    channel. `scale(0.5)` and `scale([0.5, 1, 2])` have fixed factors, which are not parameters.

    Source: Bachlechner et al. 2020, ReZero is All You Need, arXiv:2003.04887, Equation 1.

    Example: input(64x28x28) -> add(identity, conv(64, 3, padding=1) -> scale)
    """

    category: ClassVar[str] = "mul"
    array: ClassVar[str] = "weight"

    value: Values = None
    per_channel: Flag = False

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        values, operations = values_of(facts.output), []
        if needs.any_input:
            operations.append(("mul", values.of("gradient of the input")))
        if needs.trained:
            operations += [(category, values.of("gradient of the factor")) for category in ("mul", "add")]
        return Backward((KEPT_INPUT,) if needs.trained else (), tuple(operations))


@layer("shift")
class Shift(Factor, frozen=True):
    """Adds an offset, or one offset per channel. The offsets are given, or trained by default.

    `shift` has one trained offset. `shift(per_channel=true)` has one per channel. `shift(1)` and
    `shift([-0.5, 0, 0.5])` have fixed offsets, which are not parameters.

    Source: the documentation of `torch.add`.

    Example: input(3x224x224) -> shift([-0.485, -0.456, -0.406])
    """

    category: ClassVar[str] = "add"
    array: ClassVar[str] = "bias"

    value: Values = None
    per_channel: Flag = False

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        sums = ("add", values_of(facts.output).of("gradient of the offset"))
        return Backward(operations=(sums,) if needs.trained else (), passes=(0,))
