"""Layers that change a map's size without weights: upsampling, padding, cropping, slicing."""

from fractions import Fraction
from typing import Annotated, Any

from archcalc.layers.arguments import (
    Dim,
    LayerError,
    Natural,
    Number,
    PerAxis,
    SignedPadding,
    choice,
    dim_index,
    optional,
    per_axis,
    read_dim,
    read_per_axis,
    read_scale,
    spatial_rank,
)
from archcalc.layers.base import Layer, layer
from archcalc.layers.channels import moved
from archcalc.layers.terms import NO_OPERATIONS, Facts, Operations, Reach, Weight, Windows, per_value
from archcalc.shape import Shape, Window, format_shape


def read_mode(value: object) -> str:
    """`"nearest"` or `"bilinear"`, in 1-D and 3-D also written `"linear"` and `"trilinear"`."""
    if value in ("linear", "trilinear"):
        return "bilinear"
    mode: str = choice("nearest", "bilinear")(value)
    return mode


@layer("upsample")
class Upsample(Layer, frozen=True):
    """A larger map, as `torch.nn.Upsample`: to a `size`, or by a `scale_factor`.

    `nearest` copies. `bilinear`, in 1-D and 3-D also written `linear` and `trilinear`, weighs the two
    nearest values along each axis (without aligned corners): with `r` axes, `2^r` multiplications and one
    addition less per value.

    The size is the input's times the factor in floating point, rounded down: 120/88 times 88 is 119.999...,
    and gives 119. Where a factor leaves the size as it is, PyTorch takes it for 1, and on maps of two axes
    `nearest` takes one that doubles the size for 2; on one or three axes it does neither.

    Source: the documentation of `torch.nn.Upsample`.

    Example: input(256x13x26) -> upsample(scale_factor=2)

    >>> Upsample(scale_factor=2).output_shape((256, 13, 26))
    (256, 26, 52)
    """

    size: Annotated[int | tuple[int, ...] | None, optional(read_per_axis)] = None
    scale_factor: Annotated[Number | tuple[Number, ...] | None, optional(read_scale)] = None
    mode: Annotated[str, read_mode] = "nearest"

    def check(self) -> None:
        if (self.size is None) == (self.scale_factor is None):
            raise LayerError(
                "`upsample` takes one of `size` and `scale_factor`",
                help="write `upsample(scale_factor=2)` or `upsample(size=28)`",
            )

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        rank = spatial_rank(self.kind, shape)
        if self.size is not None:
            return (shape[0], *per_axis(self.size, rank, "size", self.kind))
        factors = per_axis(self.scale_factor, rank, "scale_factor", self.kind)
        sizes = tuple(int(n * float(factor)) for n, factor in zip(shape[1:], factors, strict=True))
        if min(sizes) < 1:
            raise LayerError("`upsample` leaves nothing of its input", argument="scale_factor")
        return (shape[0], *sizes)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return channels

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        if self.mode == "nearest":
            return NO_OPERATIONS
        taps = 2 ** (len(output) - 1)
        return per_value(output, mul=taps, add=taps - 1)

    def windows(self, *inputs: Shape) -> Windows:
        scales = self._scales(inputs[0])
        if self.mode == "nearest":
            return tuple(Window(scale, scale, transposed=True, clamped=True) for scale in scales)
        return tuple(map(_interpolated, scales))

    def _scales(self, shape: Shape) -> list[Fraction]:
        """The steps of the input that one step of the output goes, upside down, along each axis."""
        sizes = self.output_shape(shape)[1:]
        ratios = [Fraction(m, n) for n, m in zip(shape[1:], sizes, strict=True)]
        if self.size is not None:
            return ratios
        factors = per_axis(self.scale_factor, len(sizes), "scale_factor", self.kind)
        whole = (1,) if self.mode == "bilinear" else (1, 2) if len(sizes) == 2 else ()
        return [
            ratio if ratio in whole else Fraction(factor)
            for ratio, factor in zip(ratios, factors, strict=True)
        ]


def _interpolated(scale: Fraction) -> Window:
    """Where an interpolated value comes from: the inputs nearer than a place to `(o + 1/2)/scale - 1/2`.

    In outputs that is `0 < o + (scale + 1)/2 - i*scale < 2*scale`. The values between are multiples of
    half of `1/denominator`, so that moving the window by that much leaves out those at its ends.
    """
    half = Fraction(1, 2 * scale.denominator)
    before, after = (scale + 1) / 2 - half, (scale - 1) / 2
    return Window(2 * scale - half, scale, before, after, transposed=True, clamped=True)


class Placement(Layer, frozen=True):
    """What padding, cropping and slicing share: values are kept, not computed with."""

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return NO_OPERATIONS

    def _ends(self, shape: Shape) -> list[tuple[int, int]]:
        """What is added before and after, for every axis, channels first; negative: cut off."""
        raise NotImplementedError

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        ends = self._ends(shape)
        output = tuple(n + before + after for n, (before, after) in zip(shape, ends, strict=True))
        if min(output) < 1 or any(
            n + min(b, 0) + min(a, 0) < 1 for n, (b, a) in zip(shape, ends, strict=True)
        ):
            raise LayerError(
                f"`{self.kind}` leaves nothing of its input", label=format_shape(shape, cross="x")
            )
        return output

    def windows(self, *inputs: Shape) -> Windows:
        return tuple(Window(1, 1, before, after) for before, after in self._ends(inputs[0])[1:]) or Reach.SAME

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        before, _ = self._ends(facts.inputs[0])[0]
        return moved(channels, before, facts.output[0])

    def leaves_out_channels(self, facts: Facts) -> bool:
        return min(self._ends(facts.inputs[0])[0]) < 0


@layer("pad")
class Pad(Placement, frozen=True):
    """Zeros around a map; negative numbers crop. With `dim`, `[begin, end]` of that axis alone.

    Source: the documentation of `torch.nn.functional.pad`.

    Example: input(64x28x28) -> pad([[1, 2], [1, 2]])

    >>> Pad((0, 64), dim="channels").output_shape((64, 28, 28))
    (128, 28, 28)
    """

    padding: SignedPadding
    dim: Annotated[str | None, optional(read_dim)] = None

    def _ends(self, shape: Shape) -> list[tuple[int, int]]:
        padding: Any = self.padding
        if self.dim is None:
            rank = spatial_rank(self.kind, shape)
            entries = per_axis(padding, rank, "padding", self.kind)
            return [(0, 0), *(entry if isinstance(entry, tuple) else (entry, entry) for entry in entries)]
        axis = dim_index(self.dim, shape, self.kind)
        if not isinstance(padding, tuple) or len(padding) != 2 or any(isinstance(e, tuple) for e in padding):
            raise LayerError(
                "`padding` of `pad` with a `dim` needs `[begin, end]` of that axis", argument="padding"
            )
        ends = [(0, 0)] * len(shape)
        ends[axis] = padding
        return ends


@layer("crop")
class Crop(Placement, frozen=True):
    """The middle of a map; of an odd remainder, the larger part is cut at the end.

    Source: Ronneberger et al. 2015, U-Net, arXiv:1505.04597, Figure 1.

    Example: input(512x64x64) -> crop(56x56)

    >>> Crop((56, 40)).output_shape((512, 64, 64))
    (512, 56, 40)
    """

    size: PerAxis

    def _ends(self, shape: Shape) -> list[tuple[int, int]]:
        rank = spatial_rank(self.kind, shape)
        ends = [(0, 0)]
        for n, want in zip(shape[1:], per_axis(self.size, rank, "size", self.kind), strict=True):
            if want > n:
                raise LayerError(
                    f"`crop` cannot enlarge: {want} of {n}",
                    argument="size",
                    label=format_shape(shape, cross="x"),
                    help="use `pad`",
                )
            before = (n - want) // 2
            ends.append((-before, want + before - n))
        return ends


@layer("slice")
class Slice(Placement, frozen=True):
    """The values from `start` to `end` (without it) along `dim`. Two slices in a join split a tensor.

    Source: the documentation of `torch.narrow`.

    Example: input(116x28x28) -> slice(0, 58)

    >>> Slice(0, 58).output_shape((116, 28, 28))
    (58, 28, 28)
    """

    start: Natural
    end: Natural
    dim: Dim = "channels"

    def _ends(self, shape: Shape) -> list[tuple[int, int]]:
        axis = dim_index(self.dim, shape, self.kind)
        if not self.start < self.end <= shape[axis]:
            raise LayerError(
                f"`slice` from {self.start} to {self.end} does not lie within {shape[axis]} {self.dim}",
                argument="end",
                label=format_shape(shape, cross="x"),
            )
        ends = [(0, 0)] * len(shape)
        ends[axis] = (-self.start, self.end - shape[axis])
        return ends
