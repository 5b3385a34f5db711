"""Layers that only rearrange values: nothing is computed, and no value is lost."""

from typing import Annotated

from archcalc.layers.arguments import Count, LayerError, check_groups, read_natural, read_shape
from archcalc.layers.base import Layer, layer
from archcalc.layers.channels import all_of, divided, shuffled
from archcalc.layers.terms import NO_OPERATIONS, Facts, Operations, Reach, Swapped, Weight, Windows, values_of
from archcalc.shape import Shape, format_shape


class Rearrangement(Layer, frozen=True):
    """What they share: no weights, no operations."""

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return NO_OPERATIONS

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.FOLDED


@layer("flatten")
class Flatten(Rearrangement, frozen=True):
    """All values as one vector.

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
            "needs every size, and -1 is none",
            help="write it out, without the batch; `flatten` makes a vector of all values",
        )
    return read_shape(value)


@layer("reshape")
class Reshape(Rearrangement, frozen=True):
    """The same values in order, in another shape.

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
    """A list with every axis once, 0 for the channels: `[1, 2, 0]`."""
    if not isinstance(value, tuple | list):
        raise LayerError("needs a list of axes, such as [1, 2, 0]")
    dims = tuple(read_natural(item) for item in value)
    if sorted(dims) != list(range(len(dims))):
        raise LayerError(f"needs every axis from 0 once, got {list(dims)[:8]}")
    return dims


@layer("permute")
class Permute(Rearrangement, frozen=True):
    """The axes in another order, as `torch.permute` without the batch: 0 is the channels.

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
    """The channels of `groups` groups, interleaved (Zhang et al. 2017, Section 3.1).

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
