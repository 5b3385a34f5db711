"""Layers that only rearrange values: nothing is computed, and no value is lost."""

from math import trunc
from typing import Annotated

from archcalc.layers.arguments import (
    AxisOrder,
    Count,
    Dim,
    LayerError,
    NaturalPerAxis,
    PerAxis,
    Position,
    axis_at,
    check_groups,
    dim_index,
    per_axis,
    read_natural,
    read_shape,
)
from archcalc.layers.backward import Backward, Needs
from archcalc.layers.base import Layer, layer
from archcalc.layers.channels import all_of, divided, rotated, shuffled
from archcalc.layers.terms import NO_OPERATIONS, Facts, Operations, Reach, Swapped, Weight, Windows, values_of
from archcalc.shape import Shape, Window, format_shape, output_size


class Rearrangement(Layer, frozen=True):
    """The base class of rearrangements. They have no weights and no operations."""

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return NO_OPERATIONS

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.FOLDED

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """The gradient is rearranged in the opposite direction, into a new tensor."""
        return Backward()


class Reordered(Rearrangement, frozen=True):
    """Reorders axes. The output is a view of the same memory."""

    def is_view(self, facts: Facts) -> bool:
        return True

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return Backward(passes=(0,))


class Renamed(Rearrangement, frozen=True):
    """Keeps the order of the values and changes the shape."""

    def is_view(self, facts: Facts) -> bool:
        return True

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return Backward(passes=(0,))


@layer("flatten")
class Flatten(Renamed, frozen=True):
    """Turns all values into one vector.

    Source: the documentation of `torch.nn.Flatten`.

    Example: input(512x7x7) -> flatten

    >>> Flatten().output_shape((512, 7, 7))
    (25088,)
    """

    def output_shape(self, *inputs: Shape) -> Shape:
        return (values_of(inputs[0]).value,)

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.FOLDED if len(inputs[0]) > 1 else Reach.SAME

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return divided(channels, facts.inputs[0][0], facts.output[0])


def read_target(value: object) -> Shape:
    """A shape, channels first, without the batch: `128x7x7`, `[c, 1, 1]`."""
    if value in (-1, (-1,), [-1]):
        raise LayerError(
            f"needs every size, got {value if isinstance(value, int) else '[-1]'}", help="write `flatten`"
        )
    if isinstance(value, tuple | list) and -1 in value:
        raise LayerError(
            "needs every size, not -1",
            help="write the size, without the batch; `flatten` makes a vector of all values",
        )
    return read_shape(value)


@layer("reshape")
class Reshape(Renamed, frozen=True):
    """Gives the same values, in the same order, another shape.

    Source: the documentation of `torch.reshape`.

    Example: input(6272) -> reshape(128x7x7)

    >>> Reshape((128, 7, 7)).output_shape((6272,))
    (128, 7, 7)
    """

    shape: Annotated[Shape, read_target]

    def output_shape(self, *inputs: Shape) -> Shape:
        have, want = values_of(inputs[0]).value, values_of(self.shape).value
        if have != want:
            raise LayerError(
                f"`reshape` keeps the number of values, but {format_shape(inputs[0], cross='x')} has "
                f"{have:,} and {format_shape(self.shape, cross='x')} has {want:,}",
                argument="shape",
            )
        return self.shape

    def windows(self, *inputs: Shape) -> Windows:
        if self.shape == inputs[0]:
            return Reach.SAME
        return Reach.MOVED if self.shape[0] == inputs[0][0] else Reach.FOLDED

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return divided(channels, facts.inputs[0][0], facts.output[0])


def read_dims(value: object) -> tuple[int, ...]:
    """A list with every axis once; 0 is the channels: `[1, 2, 0]`."""
    if not isinstance(value, tuple | list):
        raise LayerError("needs a list of axes, such as [1, 2, 0]")
    dims = AxisOrder(read_natural(item) for item in value)
    if sorted(dims) != list(range(len(dims))):
        raise LayerError(f"needs every axis from 0 once, got {list(dims)[:8]}")
    return dims


@layer("permute")
class Permute(Reordered, frozen=True):
    """Reorders the axes, as `torch.permute` without the batch: 0 is the channels.

    Source: the documentation of `torch.permute`.

    Example: input(3x32x48) -> permute([1, 2, 0])

    >>> Permute((1, 2, 0)).output_shape((3, 32, 48))
    (32, 48, 3)
    """

    dims: Annotated[tuple[int, ...], read_dims]

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(self.dims) != len(inputs[0]):
            without = [axis - 1 for axis in self.dims if axis]
            batch = len(self.dims) == len(inputs[0]) + 1 and self.dims[0] == 0
            named = "1 axis" if len(self.dims) == 1 else f"{len(self.dims)} axes"
            raise LayerError(
                f"`permute` names {named} of {len(inputs[0])}",
                argument="dims",
                help=f"the batch is not an axis here: write `permute({without})`" if batch else "",
            )
        return tuple(inputs[0][axis] for axis in self.dims)

    def windows(self, *inputs: Shape) -> Windows:
        if self.dims[0] != 0:
            return Reach.FOLDED
        return Swapped(tuple(axis - 1 for axis in self.dims[1:])) if len(self.dims) > 1 else Reach.SAME

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return channels if self.dims[0] == 0 else all_of(facts.output[0])


@layer("channel_shuffle")
class ChannelShuffle(Rearrangement, frozen=True):
    """Interleaves the channels of `groups` groups (Zhang et al. 2017, Section 3.1).

    Source: Zhang et al. 2017, ShuffleNet, arXiv:1707.01083, Section 3.1.

    Example: input(116x28x28) -> channel_shuffle(2)

    >>> ChannelShuffle(2).output_shape((116, 28, 28))
    (116, 28, 28)
    """

    groups: Count

    def output_shape(self, *inputs: Shape) -> Shape:
        check_groups(self.kind, self.groups, inputs[0][0])
        return inputs[0]

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.SAME

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return shuffled(channels, facts.output[0], self.groups)


@layer("transpose")
class Transpose(Reordered, frozen=True):
    """Swaps two axes, as `torch.transpose` without the batch: 0 is the channels, -1 the last axis.

    Source: the documentation of `torch.transpose`.

    Example: input(768x197) -> transpose

    >>> Transpose().output_shape((64, 56, 40))
    (64, 40, 56)
    """

    dim0: Position = -2
    dim1: Position = -1

    def _swapped(self, rank: int) -> list[int]:
        """For each axis, the index of the input axis that it is."""
        first, second = (axis_at(getattr(self, name), rank, name, self.kind) for name in ("dim0", "dim1"))
        dims = list(range(rank))
        dims[first], dims[second] = dims[second], dims[first]
        return dims

    def output_shape(self, *inputs: Shape) -> Shape:
        return tuple(inputs[0][axis] for axis in self._swapped(len(inputs[0])))

    def windows(self, *inputs: Shape) -> Windows:
        dims = self._swapped(len(inputs[0]))
        if dims == sorted(dims):
            return Reach.SAME
        return Reach.FOLDED if dims[0] else Swapped(tuple(axis - 1 for axis in dims[1:]))

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return all_of(facts.output[0]) if self._swapped(len(facts.output))[0] else channels


@layer("roll")
class Roll(Rearrangement, frozen=True):
    """Moves values by `shift` places along `dim`. Values moved past the end come back at the beginning.

    Source: the documentation of `torch.roll`.

    Example: input(96x56x56) -> roll(-3, "height") -> roll(-3, "width")

    >>> Roll(-3, "height").output_shape((96, 56, 40))
    (96, 56, 40)
    """

    shift: Position
    dim: Dim

    def output_shape(self, *inputs: Shape) -> Shape:
        dim_index(self.dim, inputs[0], self.kind)
        return inputs[0]

    def windows(self, *inputs: Shape) -> Windows:
        axis = dim_index(self.dim, inputs[0], self.kind)
        return Reach.MOVED if axis and self.shift % inputs[0][axis] else Reach.SAME

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return rotated(channels, self.shift, facts.output[0]) if self.dim == "channels" else channels


def _image(kind: str, shape: Shape) -> Shape:
    """The shape of an input, which must have a height and a width."""
    if len(shape) != 3:
        raise LayerError(
            f"`{kind}` needs a map of channels, height and width, got {format_shape(shape, cross='x')}",
            help="`reshape` it first: as in PyTorch, this layer is for images only",
        )
    return shape


@layer("pixel_shuffle")
class PixelShuffle(Rearrangement, frozen=True):
    """Turns channels into places: `C * r * r` channels become `C` on a map `r` times as high and wide.

    The receptive field of a value is the union over the `r * r` channels that it can come from.

    Source: Shi et al. 2016, Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
    Convolutional Neural Network, arXiv:1609.05158, Equation 4.

    Example: input(9x224x224) -> pixel_shuffle(3)

    >>> PixelShuffle(3).output_shape((9, 224, 200))
    (1, 672, 600)
    """

    upscale_factor: Count

    def output_shape(self, *inputs: Shape) -> Shape:
        channels, height, width = _image(self.kind, inputs[0])
        r = self.upscale_factor
        if channels % (r * r):
            raise LayerError(
                f"`pixel_shuffle({r})` needs a multiple of {r * r} channels, got {channels}",
                argument="upscale_factor",
                label=format_shape(inputs[0], cross="x"),
            )
        return channels // (r * r), height * r, width * r

    def windows(self, *inputs: Shape) -> Windows:
        r = self.upscale_factor
        return (Window(r, r, transposed=True),) * 2

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return divided(channels, facts.inputs[0][0], facts.output[0])


@layer("pixel_unshuffle")
class PixelUnshuffle(Rearrangement, frozen=True):
    """Turns places into channels: each square of `r` by `r` places becomes `r * r` channels of one place.

    The receptive field of each value is that of the whole square.

    Source: the documentation of `torch.nn.PixelUnshuffle`.

    Example: input(3x640x640) -> pixel_unshuffle(2)

    >>> PixelUnshuffle(2).output_shape((3, 640, 480))
    (12, 320, 240)
    """

    downscale_factor: Count

    def output_shape(self, *inputs: Shape) -> Shape:
        channels, height, width = _image(self.kind, inputs[0])
        r = self.downscale_factor
        if height % r or width % r:
            raise LayerError(
                f"`pixel_unshuffle({r})` needs a height and a width that {r} divides, got {height}x{width}",
                argument="downscale_factor",
                label=format_shape(inputs[0], cross="x"),
                help="`pad` or `crop` the map first",
            )
        return channels * r * r, height // r, width // r

    def windows(self, *inputs: Shape) -> Windows:
        r = self.downscale_factor
        return (Window(r, r),) * 2

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return divided(channels, facts.inputs[0][0], facts.output[0])


@layer("unfold")
class Unfold(Rearrangement, frozen=True):
    """Turns each window of a map into a column: `C * k_h * k_w` channels by the number of windows (im2col).

    The channels are in the order of the input channels, with the places of the window for each. The receptive
    field is given as the whole input, because the place of each window is not tracked.

    Source: the documentation of `torch.nn.Unfold`.

    Example: input(16x20x20) -> unfold(3, padding=1)

    >>> Unfold(3, padding=1).output_shape((16, 20, 20))
    (144, 400)
    """

    kernel_size: PerAxis
    dilation: PerAxis = 1
    padding: NaturalPerAxis = 0
    stride: PerAxis = 1

    def _sliding(self, shape: Shape) -> list[Window]:
        names = ("kernel_size", "stride", "padding", "dilation")
        k, s, p, d = (per_axis(getattr(self, name), 2, name, self.kind) for name in names)
        return [Window(*axis) for axis in zip(k, s, p, p, d, strict=True)]

    def output_shape(self, *inputs: Shape) -> Shape:
        shape = _image(self.kind, inputs[0])
        channels, columns = shape[0], 1
        for n, window in zip(shape[1:], self._sliding(shape), strict=True):
            places = output_size(n, window)
            if places < 1:
                raise LayerError(
                    "the window of `unfold` is larger than its padded input",
                    argument="kernel_size",
                    label=f"{window.extent} of {n + 2 * trunc(window.before)}",
                    help="use a smaller window or more padding, or shrink the map less before this layer",
                )
            channels, columns = channels * trunc(window.kernel_size), columns * places
        return channels, columns

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.WHOLE

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return divided(channels, facts.inputs[0][0], facts.output[0])

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """Each value of the output is added to the place it comes from. Values from the padding count too."""
        return Backward(operations=(("add", values_of(facts.output).of("overlapping windows")),))
