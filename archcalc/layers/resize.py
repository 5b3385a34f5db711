"""Layers that change the size of a map without weights: upsampling, padding, cropping, and slicing."""

import math
from fractions import Fraction
from typing import Annotated, Any

from archcalc.layers.arguments import (
    Dim,
    Flag,
    LayerError,
    Natural,
    Number,
    PerAxis,
    Real,
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
from archcalc.layers.backward import Backward, Needs
from archcalc.layers.base import Layer, layer
from archcalc.layers.channels import moved
from archcalc.layers.interpolation import (
    aligned_window,
    cubic_window,
    linear_window,
    nearest_exact_window,
    nearest_window,
)
from archcalc.layers.terms import (
    NO_OPERATIONS,
    Facts,
    Operations,
    Reach,
    Weight,
    Windows,
    per_value,
    term,
    values_of,
)
from archcalc.number import largest, plain_ratio, smallest
from archcalc.shape import Shape, Window, format_shape

MODES = ("nearest", "nearest_exact", "linear", "bilinear", "trilinear", "bicubic")


def read_mode(value: object) -> str:
    """`"nearest"`, `"nearest_exact"`, `"linear"`, `"bilinear"`, `"trilinear"`, or `"bicubic"`."""
    if value in ("linear", "trilinear"):
        return "bilinear"
    if value == "nearest-exact":  # as PyTorch writes it
        return "nearest_exact"
    mode: str = choice(*MODES)(value)
    return mode


@layer("upsample")
class Upsample(Layer, frozen=True):
    """Enlarges a map to a `size` or by a `scale_factor`, as `torch.nn.Upsample`.

    `nearest` copies the value at `floor(o/scale)` for output `o`, and `nearest_exact` the value at
    `floor((o + 1/2)/scale)`. `linear`, `bilinear`, and `trilinear` are one mode, for maps of 1, 2, and 3
    axes. This mode interpolates between the two nearest values along each axis. With `r` axes it takes `2^r`
    multiplications and `2^r - 1` additions per value. `bicubic` uses four values along each axis and Keys'
    cubic with a = -0.75. It takes `4^r` multiplications and `4^r - 1` additions. The computation of the
    interpolation weights does not count, because all channels and samples share them.

    Output `o` lies at `(o + 1/2)/scale - 1/2` of the input. With `align_corners` it lies at `o*(n-1)/(m-1)`,
    for `m` outputs of `n` inputs. Beyond its edges, the map is continued with the values at its edges. The
    arguments `antialias` and `recompute_scale_factor` of PyTorch's `interpolate` are not supported.

    The output size is the input size times the factor, computed in floating point and rounded down. For
    example, 120/88 times 88 is 119.999..., so the size is 119. The factor is also the scale, except with
    aligned corners. If a factor keeps the size, `bilinear`, and `nearest` on maps of two axes, use a scale of
    1, as in PyTorch. There `nearest` also uses a scale of 2 for every factor that doubles the size.

    Source: the documentation of `torch.nn.Upsample`; Keys 1981, Cubic Convolution Interpolation for Digital
    Image Processing.

    Example: input(256x13x26) -> upsample(scale_factor=2)

    >>> Upsample(scale_factor=2).output_shape((256, 13, 26))
    (256, 26, 52)
    """

    size: Annotated[int | tuple[int, ...] | None, optional(read_per_axis)] = None
    scale_factor: Annotated[Number | tuple[Number, ...] | None, optional(read_scale)] = None
    mode: Annotated[str, read_mode] = "nearest"
    align_corners: Flag = False

    def check(self) -> None:
        if (self.size is None) == (self.scale_factor is None):
            raise LayerError(
                "`upsample` takes `size` or `scale_factor`, not both",
                help="write `upsample(scale_factor=2)` or `upsample(size=28)`",
            )
        if self.align_corners and self.copies:
            raise LayerError(
                f'`upsample` cannot align corners with the mode "{self.mode}", which copies values',
                argument="align_corners",
                help='add `mode="bilinear"` or `mode="bicubic"`, or leave out `align_corners`',
            )

    @property
    def copies(self) -> bool:
        """Is each output a copy of an input?"""
        return self.mode in ("nearest", "nearest_exact")

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        rank = spatial_rank(self.kind, shape)
        if self.size is not None:
            return (shape[0], *per_axis(self.size, rank, "size", self.kind))
        factors = per_axis(self.scale_factor, rank, "scale_factor", self.kind)
        sizes = tuple(_scaled(*axis) for axis in zip(shape[1:], factors, strict=True))
        if any(size < 1 for size in sizes):
            raise LayerError("`upsample` has no output", argument="scale_factor")
        return (shape[0], *sizes)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return channels

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        if self.copies:
            return NO_OPERATIONS
        taps = self._taps(output)
        return per_value(output, mul=taps, add=taps - 1)

    def _taps(self, output: Shape) -> int:
        """The number of input values that an output is computed from."""
        along_axis = 1 if self.copies else 4 if self.mode == "bicubic" else 2
        taps: int = along_axis ** (len(output) - 1)
        return taps

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """The gradient of each output is added to its inputs, with the interpolation weights."""
        taps = self._taps(facts.output)
        return Backward(operations=per_value(facts.output, mul=0 if self.copies else taps, add=taps))

    def windows(self, *inputs: Shape) -> Windows:
        if self.align_corners:
            sizes = zip(inputs[0][1:], self.output_shape(inputs[0])[1:], strict=True)
            return tuple(aligned_window(n, m, self.mode == "bicubic") for n, m in sizes)
        return tuple(map(WINDOWS[self.mode], self._scales(inputs[0])))

    def _scales(self, shape: Shape) -> list[Fraction]:
        """The number of output steps per input step, along each axis."""
        sizes = self.output_shape(shape)[1:]
        ratios = [plain_ratio(m, n) for n, m in zip(shape[1:], sizes, strict=True)]
        if self.size is not None:
            return ratios
        factors = per_axis(self.scale_factor, len(sizes), "scale_factor", self.kind)
        whole: tuple[int, ...] = (1,) if self.mode == "bilinear" else ()
        if self.mode == "nearest" and len(sizes) == 2:
            whole = (1, 2)
        return [
            ratio if ratio in whole else plain_ratio(factor)
            for ratio, factor in zip(ratios, factors, strict=True)
        ]


def _scaled(n: int, factor: Number) -> int:
    """The size times the factor in floating point, rounded down. A whole factor loses nothing there."""
    return n * int(factor) if factor == int(factor) else int(n * float(factor))


WINDOWS = {
    "nearest": nearest_window,
    "nearest_exact": nearest_exact_window,
    "bilinear": linear_window,
    "bicubic": cubic_window,
}
"""The window of each mode along one axis, without aligned corners."""


class Placement(Layer, frozen=True):
    """The base class of padding, cropping, and slicing, which keep values unchanged."""

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return NO_OPERATIONS

    def _ends(self, shape: Shape) -> list[tuple[int, int]]:
        """The places added before and after, for every axis, channels first. Negative numbers are cut off."""
        raise NotImplementedError

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        ends = self._ends(shape)
        output = tuple(n + before + after for n, (before, after) in zip(shape, ends, strict=True))
        if any(n < 1 for n in output) or any(
            n + smallest((0, b)) + smallest((0, a)) < 1 for n, (b, a) in zip(shape, ends, strict=True)
        ):
            raise LayerError(f"`{self.kind}` has no output", label=format_shape(shape, cross="x"))
        return output

    def windows(self, *inputs: Shape) -> Windows:
        return tuple(Window(1, 1, before, after) for before, after in self._ends(inputs[0])[1:]) or Reach.SAME

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        before, _ = self._ends(facts.inputs[0])[0]
        return moved(channels, before, facts.output[0])

    def leaves_out_channels(self, facts: Facts) -> bool:
        return any(end < 0 for end in self._ends(facts.inputs[0])[0])

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """The gradient is put in its place, with zeros for the values that were left out."""
        return Backward()


class Cut(Placement, frozen=True):
    """A part of the tensor, which is a view of its memory."""

    def is_view(self, facts: Facts) -> bool:
        return True


@layer("pad")
class Pad(Placement, frozen=True):
    """Pads a map, as `torch.nn.functional.pad`. Negative numbers crop.

    With `dim`, `padding` is `[begin, end]` for that axis alone, which can be the channels. The mode
    `constant` pads with `value`. The other modes take values of the map, along the axes after the channels.
    `reflect` takes the values next to the edge in reverse order, `replicate` the value at the edge, and
    `circular` the values at the other end. `reflect` adds less than the size of the map, and `circular` at
    most the size after cropping.

    The receptive field is that of padding with zeros, but ends at the edges of the map. A place in the
    padding of `reflect` or `circular` counts as a place beyond the edge.

    Source: the documentation of `torch.nn.functional.pad`.

    Example: input(64x28x28) -> pad([[1, 2], [1, 2]])

    >>> Pad((0, 64), dim="channels").output_shape((64, 28, 28))
    (128, 28, 28)
    """

    padding: SignedPadding
    dim: Annotated[str | None, optional(read_dim)] = None
    mode: Annotated[str, choice("constant", "reflect", "replicate", "circular")] = "constant"
    value: Real = 0

    def check(self) -> None:
        if self.mode == "constant":
            return
        if self.value:
            raise LayerError(
                f'`value` of `pad` is only for the mode "constant", not "{self.mode}"',
                argument="value",
                help="leave out `value` or `mode`",
            )
        if self.dim == "channels":
            raise LayerError(
                f'`pad` with the mode "{self.mode}" needs an axis after the channels',
                argument="dim",
                help='`concat` the channels with a `slice` of them, or use the mode "constant"',
            )

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

    def output_shape(self, *inputs: Shape) -> Shape:
        output = super().output_shape(*inputs)
        if self.mode in ("reflect", "circular"):
            for n, (before, after) in zip(inputs[0], self._ends(inputs[0]), strict=True):
                most = n - 1 if self.mode == "reflect" else n + smallest((0, before)) + smallest((0, after))
                if largest((before, after)) > most:
                    raise LayerError(
                        f'`padding` of `pad` with the mode "{self.mode}" can be at most {most} along an '
                        f"axis of {n}, got {largest((before, after))}",
                        argument="padding",
                        label=format_shape(inputs[0], cross="x"),
                        help='pad less, or use the mode "replicate", which takes any padding',
                    )
        return output

    def windows(self, *inputs: Shape) -> Windows:
        clamped = self.mode != "constant"  # the receptive field never leaves the map
        ends = self._ends(inputs[0])[1:]
        return tuple(Window(1, 1, before, after, clamped=clamped) for before, after in ends) or Reach.SAME

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """The gradient of a padded value is added to the place that the value was taken from."""
        if self.mode == "constant":
            return Backward()
        ends = self._ends(facts.inputs[0])
        own = [
            n + smallest((0, b)) + smallest((0, a)) for n, (b, a) in zip(facts.inputs[0], ends, strict=True)
        ]
        padded = values_of(facts.output).value - math.prod(own)
        return Backward(operations=(("add", term(("padded", padded))),) if padded else ())


@layer("crop")
class Crop(Cut, frozen=True):
    """Keeps the middle of a map. If an odd number of places is cut off, one more is cut at the end.

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
class Slice(Cut, frozen=True):
    """Keeps the values from `start` to before `end` along `dim`. Several slices in a join split a tensor.

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
                f"`slice` from {self.start} to {self.end} is outside {shape[axis]} {self.dim}",
                argument="end",
                label=format_shape(shape, cross="x"),
            )
        ends = [(0, 0)] * len(shape)
        ends[axis] = (-self.start, self.end - shape[axis])
        return ends
