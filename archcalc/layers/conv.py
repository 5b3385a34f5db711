"""Convolutions: dense, grouped, depthwise, pointwise, locally connected, and transposed."""

from math import trunc
from operator import index
from typing import Annotated

from archcalc.layers.arguments import (
    Count,
    Flag,
    LayerError,
    NaturalPerAxis,
    Padding,
    PerAxis,
    TransposedPadding,
    check_groups,
    kernel_letters,
    optional,
    padding_per_axis,
    per_axis,
    read_natural,
    spatial_rank,
)
from archcalc.layers.backward import Backward, Needs, backward_of_products
from archcalc.layers.base import Layer, layer
from archcalc.layers.channels import divided, grouped, picked
from archcalc.layers.computed import WeightWay
from archcalc.layers.terms import Facts, Operations, Weight, Windows, places_of, values_of
from archcalc.render.numbers import plural
from archcalc.shape import Shape, Window, cut_to_stride, format_shape, output_size, transposed_size


def read_connections(value: object) -> tuple[tuple[int, ...], ...]:
    """A list with the input channels of each output channel: `[[0, 1], [1, 2]]`."""
    if not isinstance(value, tuple | list) or not value:
        raise LayerError("needs a list of the input channels of each output channel")
    rows = []
    for row in value:
        if not isinstance(row, tuple | list) or not row:
            raise LayerError("needs a list of the input channels of each output channel")
        maps = tuple(read_natural(item) for item in row)
        if len({index(channel) for channel in maps}) != len(maps):  # symbolic numbers have other hashes
            raise LayerError(f"has an input channel twice in one row: {list(maps)}")
        rows.append(maps)
    return tuple(rows)


Connections = Annotated[tuple[tuple[int, ...], ...] | None, optional(read_connections)]


def fitting_size(kind: str, shape: Shape, windows: tuple[Window, ...]) -> Shape:
    """The sizes after sliding windows over a map. Raises `LayerError` if a window is larger than the map."""
    sizes = tuple(output_size(n, window) for n, window in zip(shape[1:], windows, strict=True))
    if any(size < 1 for size in sizes):
        extents = format_shape(tuple(trunc(w.extent) for w in windows), cross="x")
        padded = tuple(n + trunc(w.before + w.after) for n, w in zip(shape[1:], windows, strict=True))
        dilated = "dilated " if any(w.dilation > 1 for w in windows) else ""
        raise LayerError(
            f"the {dilated}kernel of `{kind}` is larger than its padded input",
            argument="kernel_size",
            label=f"{extents} over {format_shape(padded, cross='x')}",
            help="use a smaller kernel or more padding, or shrink the map less before this layer",
        )
    return sizes


class SlidingKernel(Layer, frozen=True):
    """What the kinds with one dense kernel share. Formulas: Dumoulin & Visin 2016, Relationship 6."""

    def _channels(self, shape: Shape) -> tuple[int, int, int]:
        """Output channels, input channels per group, and groups."""
        raise NotImplementedError

    def windows(self, *inputs: Shape) -> Windows:
        return self.kernel_windows(inputs[0])

    def kernel_windows(self, shape: Shape) -> tuple[Window, ...]:
        """The position of the kernel on the map, along each axis."""
        rank = spatial_rank(self.kind, shape)
        kernel_size, stride, dilation = (  # a kind without one of them has 1
            per_axis(getattr(self, name, 1), rank, name, self.kind)
            for name in ("kernel_size", "stride", "dilation")
        )
        padding = getattr(self, "padding", 0)
        ends = padding_per_axis(padding, self.kind, shape[1:], kernel_size, stride, dilation)
        return tuple(
            Window(k, s, before, after, d)
            for k, s, d, (before, after) in zip(kernel_size, stride, dilation, ends, strict=True)
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        shape = inputs[0]
        windows = self.kernel_windows(shape)
        out_channels, _, _ = self._channels(shape)
        return (out_channels, *fitting_size(self.kind, shape, windows))

    def _kernel_factors(self, shape: Shape) -> tuple[tuple[str, int], ...]:
        windows = self.kernel_windows(shape)
        letters = kernel_letters(len(windows))
        return tuple((k, trunc(w.kernel_size)) for k, w in zip(letters, windows, strict=True))

    def _weight(self, shape: Shape) -> Weight:
        out_channels, per_group, groups = self._channels(shape)
        source = "C_in" if groups == 1 else "C_in/groups"
        return Weight("weight", (*self._kernel_factors(shape), (source, per_group), ("C_out", out_channels)))

    def _has_bias(self) -> bool:
        return bool(getattr(self, "bias", False))

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        shape = inputs[0]
        weight = self._weight(shape)
        if not self._has_bias():
            return (weight,)
        return weight, Weight("bias", (("C_out", self._channels(shape)[0]),), "bias")

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        macs = self._weight(inputs[0]).term * places_of(output, "_out")
        if not self._has_bias():
            return (("macs", macs),)
        return ("macs", macs), ("bias", values_of(output, "_out"))

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return backward_of_products(facts, needs)

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        out_channels, _, groups = self._channels(facts.inputs[0])
        return grouped(channels, facts.inputs[0][0], groups, out_channels)


@layer("conv")
class Conv(SlidingKernel, frozen=True):
    """Convolution over 1, 2, or 3 axes, as `torch.nn.Conv2d`.

    `connections` lists the input channels that each output channel reads (LeCun et al. 1998, Table I).

    Source: Dumoulin & Visin 2016, A guide to convolution arithmetic for deep learning, arXiv:1603.07285,
    Relationship 6.

    Example: input(3x224x224) -> conv(64, 7, stride=2, padding=3)

    >>> str(Conv(64, 3, padding=1))
    'conv(64, 3, padding=1)'
    >>> Conv(64, 7, stride=2, padding=3).output_shape((3, 224, 224))
    (64, 112, 112)
    """

    out_channels: Count
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    groups: Count = 1
    bias: Flag = True
    connections: Connections = None
    weight: WeightWay = "own"

    def check(self) -> None:
        check_groups(self.kind, self.groups, self.out_channels)
        if self.connections is not None:
            if self.weight not in ("own", "fixed"):
                raise LayerError(
                    '`weight` of a `conv` with `connections` needs "own" or "fixed"', argument="weight"
                )
            if self.groups != 1:
                raise LayerError("`conv` takes `groups` or `connections`, not both", argument="connections")
            if len(self.connections) != self.out_channels:
                rows = plural(len(self.connections), "row", str)
                maps = plural(self.out_channels, "output channel", str)
                raise LayerError(f"`connections` of `conv` has {rows} for {maps}", argument="connections")

    def _channels(self, shape: Shape) -> tuple[int, int, int]:
        check_groups(self.kind, self.groups, shape[0])
        if self.connections is not None and max(map(max, self.connections)) >= shape[0]:
            raise LayerError(
                f"`connections` of `conv` has the channel {max(map(max, self.connections))}, but the input "
                f"has channels 0 to {shape[0] - 1}",
                argument="connections",
            )
        return self.out_channels, shape[0] // self.groups, self.groups

    def _weight(self, shape: Shape) -> Weight:
        if self.connections is None:
            return super()._weight(shape)
        pairs = sum(map(len, self.connections))
        return Weight("weight", (*self._kernel_factors(shape), ("connections", pairs)))

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        if self.connections is None:
            return super().reached(channels, index, facts)
        return picked(channels, self.connections)

    def leaves_out_channels(self, facts: Facts) -> bool:
        return self.connections is not None


@layer("depthwise")
class Depthwise(SlidingKernel, frozen=True):
    """Depthwise convolution. Each channel has its own `multiplier` kernels (Chollet 2016).

    Source: Chollet 2016, Xception, arXiv:1610.02357; the output shape is that of `conv`.

    Example: input(32x112x112) -> depthwise(3, padding=1, bias=false)

    >>> Depthwise(3, padding=1).output_shape((32, 112, 112))
    (32, 112, 112)
    """

    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    multiplier: Count = 1
    bias: Flag = True
    weight: WeightWay = "own"

    def _channels(self, shape: Shape) -> tuple[int, int, int]:
        return shape[0] * self.multiplier, 1, shape[0]

    def _weight(self, shape: Shape) -> Weight:
        return Weight("weight", (*self._kernel_factors(shape), ("C_out", shape[0] * self.multiplier)))

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return divided(channels, facts.inputs[0][0], facts.output[0])


@layer("pointwise")
class Pointwise(SlidingKernel, frozen=True):
    """Convolution with a 1x1 kernel (Lin et al. 2013).

    Source: Lin et al. 2013, Network In Network, arXiv:1312.4400.

    Example: input(32x112x112) -> pointwise(64, bias=false)

    >>> Pointwise(64).output_shape((32, 112, 112))
    (64, 112, 112)
    """

    out_channels: Count
    bias: Flag = True
    weight: WeightWay = "own"

    def _channels(self, shape: Shape) -> tuple[int, int, int]:
        return self.out_channels, shape[0], 1


@layer("local")
class Local(SlidingKernel, frozen=True):
    """Locally connected layer: a convolution with its own weights at each place (Taigman et al. 2014).

    Source: Taigman et al. 2014, DeepFace, CVPR; the output shape is that of `conv`.

    Example: input(16x63x63) -> local(16, 9)

    >>> Local(16, 9).output_shape((16, 63, 63))
    (16, 55, 55)
    """

    out_channels: Count
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: Padding = 0
    bias: Flag = True

    def _channels(self, shape: Shape) -> tuple[int, int, int]:
        return self.out_channels, shape[0], 1

    def _places(self, shape: Shape) -> tuple[tuple[str, int], ...]:
        return places_of(self.output_shape(shape), "_out").groups[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        (shape,) = inputs
        places = self._places(shape)
        weight = Weight("weight", (*self._weight(shape).factors, *places))
        if not self.bias:
            return (weight,)
        return weight, Weight("bias", (("C_out", self.out_channels), *places), "bias")


@layer("conv_transpose")
class ConvTranspose(Layer, frozen=True):
    """Transposed convolution, as `torch.nn.ConvTranspose2d` (Dumoulin & Visin 2016, chapter 4).

    With `padding="same"` each axis has `stride` times its size, as in Keras. Places beyond this size are cut
    off, the larger half at the end. There is one MAC per weight and *input* place.

    Source: Dumoulin & Visin 2016, A guide to convolution arithmetic for deep learning, arXiv:1603.07285,
    chapter 4.

    Example: input(16x7x7) -> conv_transpose(32, 4, stride=2, padding=1)

    >>> ConvTranspose(32, 4, stride=2, padding=1).output_shape((16, 7, 7))
    (32, 14, 14)
    """

    out_channels: Count
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: TransposedPadding = 0
    output_padding: NaturalPerAxis = 0
    groups: Count = 1
    bias: Flag = True
    dilation: PerAxis = 1
    weight: WeightWay = "own"

    def check(self) -> None:
        check_groups(self.kind, self.groups, self.out_channels)
        if self.padding == "same" and self.output_padding != 0:
            raise LayerError(
                '`conv_transpose` takes `output_padding` or `padding="same"`, not both',
                argument="output_padding",
                help="leave one of them out",
            )
        if self.weight not in ("own", "fixed"):
            raise LayerError(
                '`weight` of `conv_transpose` needs "own" or "fixed", or a tensor', argument="weight"
            )

    def windows(self, *inputs: Shape) -> tuple[Window, ...]:
        rank = spatial_rank(self.kind, inputs[0])
        kernel_size = per_axis(self.kernel_size, rank, "kernel_size", self.kind)
        stride = per_axis(self.stride, rank, "stride", self.kind)
        dilation = per_axis(self.dilation, rank, "dilation", self.kind)
        if self.padding == "same":
            cut = [cut_to_stride(*axis) for axis in zip(kernel_size, stride, dilation, strict=True)]
        else:
            entries = per_axis(self.padding, rank, "padding", self.kind)
            cut = [entry if isinstance(entry, tuple) else (entry, entry) for entry in entries]
        return tuple(
            Window(k, s, before, after, d, transposed=True)
            for k, s, d, (before, after) in zip(kernel_size, stride, dilation, cut, strict=True)
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        windows = self.windows(shape)
        check_groups(self.kind, self.groups, shape[0])
        extra = per_axis(self.output_padding, len(windows), "output_padding", self.kind)
        for window, padding in zip(windows, extra, strict=True):
            if padding >= window.stride and padding >= window.dilation:
                raise LayerError(
                    "`output_padding` of `conv_transpose` must be less than the stride or the dilation, "
                    f"got {padding}",
                    argument="output_padding",
                )
        sizes = tuple(
            transposed_size(n, window, padding)
            for n, window, padding in zip(shape[1:], windows, extra, strict=True)
        )
        if any(size < 1 for size in sizes):
            raise LayerError(
                f"`conv_transpose` has an output map of {format_shape(sizes, cross='x')}",
                argument="padding",
                help="use less padding",
            )
        return (self.out_channels, *sizes)

    def _weight(self, shape: Shape) -> Weight:
        letters = kernel_letters(len(shape) - 1)
        kernel = tuple((k, trunc(w.kernel_size)) for k, w in zip(letters, self.windows(shape), strict=True))
        target = "C_out" if self.groups == 1 else "C_out/groups"
        return Weight("weight", (*kernel, ("C_in", shape[0]), (target, self.out_channels // self.groups)))

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        weight = self._weight(inputs[0])
        if not self.bias:
            return (weight,)
        return weight, Weight("bias", (("C_out", self.out_channels),), "bias")

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        macs = self._weight(inputs[0]).term * places_of(inputs[0], "_in")
        if not self.bias:
            return (("macs", macs),)
        return ("macs", macs), ("bias", values_of(output, "_out"))

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return backward_of_products(facts, needs)

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return grouped(channels, facts.inputs[0][0], self.groups, self.out_channels)
