"""Pooling: over windows, over the whole map, to a given size, trainable, and undone."""

import math
from fractions import Fraction
from typing import Annotated, Any

from msgspec import Struct

from archcalc.layers.arguments import (
    SAME,
    Count,
    Flag,
    LayerError,
    Padding,
    PerAxis,
    kernel_letters,
    optional,
    padding_per_axis,
    per_axis,
    read_per_axis,
    spatial_rank,
)
from archcalc.layers.base import Layer, layer
from archcalc.layers.terms import Operations, Reach, Term, Weight, Windows, places_of, term, values_of
from archcalc.shape import SYMBOLS, Shape, Window, format_shape, output_size

OptionalPerAxis = Annotated[int | tuple[int, ...] | None, optional(read_per_axis)]


class WindowPool(Layer, frozen=True):
    """What the pools with a sliding window share."""

    def _window_arguments(self) -> tuple[Any, Any, Any, Any, bool]:
        """Kernel size, stride, padding, dilation, ceil mode."""
        raise NotImplementedError

    def windows(self, *inputs: Shape) -> tuple[Window, ...]:
        (shape,) = inputs
        rank = spatial_rank(self.kind, shape)
        kernel_size, stride, padding, dilation, _ = self._window_arguments()
        k = per_axis(kernel_size, rank, "kernel_size", self.kind)
        s = k if stride is None else per_axis(stride, rank, "stride", self.kind)
        d = per_axis(dilation, rank, "dilation", self.kind)
        pads = padding_per_axis(padding, self.kind, shape[1:], k, s, d)
        return tuple(
            Window(k_, s_, before, after, d_)
            for k_, s_, d_, (before, after) in zip(k, s, d, pads, strict=True)
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        windows = self.windows(shape)
        for window in windows:
            if (
                max(window.before, window.after) > window.extent // 2
                and self._window_arguments()[2] not in SAME
            ):
                dilated = f", dilated to {window.extent}" if window.dilation > 1 else ""
                raise LayerError(
                    f"`padding` of `{self.kind}` may be at most half the kernel, got "
                    f"{max(window.before, window.after)} for a kernel of {window.kernel_size}{dilated}",
                    argument="padding",
                )
        ceil_mode = self._window_arguments()[4]
        sizes = tuple(output_size(n, w, ceil_mode) for n, w in zip(shape[1:], windows, strict=True))
        if min(sizes) < 1:
            extents = format_shape(tuple(int(w.extent) for w in windows), cross="x")
            padded = tuple(n + int(w.before + w.after) for n, w in zip(shape[1:], windows, strict=True))
            raise LayerError(
                f"the window of `{self.kind}` is larger than its padded input",
                argument="kernel_size",
                label=f"{extents} over {format_shape(padded, cross='x')}",
                help="use a smaller window or more padding, or reduce the map less before this layer",
            )
        return (shape[0], *sizes)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def _others(self, shape: Shape, output: Shape) -> Term:
        """One operation for each value of a window but the first: what a maximum or a sum takes."""
        windows = self.windows(shape)
        area = 1
        for window in windows:
            area *= int(window.kernel_size)
        symbol = "·".join(kernel_letters(len(windows)))
        return term((f"({symbol}-1)", area - 1)) * values_of(output, "_out")


@layer("maxpool")
class MaxPool(WindowPool, frozen=True):
    """Maximum over a window, as `torch.nn.MaxPool2d`; the stride is the kernel's size unless given.

    >>> MaxPool(3, stride=2, ceil_mode=True).output_shape((64, 112, 112))
    (64, 56, 56)
    """

    kernel_size: PerAxis
    stride: OptionalPerAxis = None
    padding: Padding = 0
    dilation: PerAxis = 1
    ceil_mode: Flag = False

    def _window_arguments(self) -> tuple[Any, Any, Any, Any, bool]:
        return self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return (("compare", self._others(inputs[0], output)),)


@layer("avgpool")
class AvgPool(WindowPool, frozen=True):
    """Mean over a window, as `torch.nn.AvgPool2d`; the stride is the kernel's size unless given.

    >>> AvgPool(5, stride=3).output_shape((512, 14, 14))
    (512, 4, 4)
    """

    kernel_size: PerAxis
    stride: OptionalPerAxis = None
    padding: Padding = 0
    ceil_mode: Flag = False
    count_include_pad: Flag = True

    def _window_arguments(self) -> tuple[Any, Any, Any, Any, bool]:
        return self.kernel_size, self.stride, self.padding, 1, self.ceil_mode

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return ("add", self._others(inputs[0], output)), ("div", values_of(output, "_out"))


@layer("lppool")
class LPPool(WindowPool, frozen=True):
    """The p-norm of a window, as `torch.nn.LPPool2d`; the stride is the kernel's size unless given.

    `norm_type=2` is L2 pooling.

    >>> LPPool(2, 2).output_shape((16, 8, 6))
    (16, 4, 3)
    """

    norm_type: Count
    kernel_size: PerAxis
    stride: OptionalPerAxis = None
    ceil_mode: Flag = False

    def _window_arguments(self) -> tuple[Any, Any, Any, Any, bool]:
        return self.kernel_size, self.stride, 0, 1, self.ceil_mode

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        outputs = values_of(output, "_out")
        sums = ("add", self._others(inputs[0], output))
        if self.norm_type == 1:
            return (sums,)
        windows = self.windows(inputs[0])
        letters = kernel_letters(len(windows))
        taps = term(*((k, int(w.kernel_size)) for k, w in zip(letters, windows, strict=True))) * outputs
        if self.norm_type == 2:
            return ("mul", taps), sums, ("sqrt", outputs)
        return ("special", taps), sums, ("special", outputs)


@layer("subsample")
class Subsample(WindowPool, frozen=True):
    """The sum of a window times a trained coefficient, plus a trained bias, for each map.

    LeCun et al. 1998, Section II.B. Windows do not overlap.

    >>> sum(w.term.value for w in Subsample(2).weights((6, 28, 28)))
    12
    """

    kernel_size: PerAxis

    def _window_arguments(self) -> tuple[Any, Any, Any, Any, bool]:
        return self.kernel_size, None, 0, 1, False

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        channels = ("C", inputs[0][0])
        return Weight("weight", (channels,)), Weight("bias", (channels,), "bias")

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        outputs = values_of(output, "_out")
        return ("add", self._others(inputs[0], output)), ("mul", outputs), ("bias", outputs)


class GlobalPool(Layer, frozen=True):
    """What the pools over the whole map share."""

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        return (shape[0], *(1 for _ in range(spatial_rank(self.kind, shape))))

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.WHOLE

    def _others(self, shape: Shape) -> Term:
        places = places_of(shape).value
        symbol = "·".join(SYMBOLS[len(shape) - 1])
        return term((f"({symbol}-1)", places - 1), ("C", shape[0]))


@layer("global_avgpool")
class GlobalAvgPool(GlobalPool, frozen=True):
    """Mean of each map, to 1x1 (Lin et al. 2013, Section 3.2).

    >>> GlobalAvgPool().output_shape((512, 7, 7))
    (512, 1, 1)
    """

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return ("add", self._others(inputs[0])), ("div", term(("C", output[0])))


@layer("global_maxpool")
class GlobalMaxPool(GlobalPool, frozen=True):
    """Maximum of each map, to 1x1.

    >>> GlobalMaxPool().output_shape((512, 7, 7))
    (512, 1, 1)
    """

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return (("compare", self._others(inputs[0])),)


class AdaptivePool(Layer, frozen=True):
    """What the pools to a given size share.

    Output `i` of `m` over `n` values reads from `floor(i n/m)` to `ceil((i+1) n/m)`, as in PyTorch: a
    window of `n/m` values that moves by as much, and reads what it touches.
    """

    def _output_size(self) -> int | tuple[int, ...]:
        raise NotImplementedError

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        rank = spatial_rank(self.kind, shape)
        return (shape[0], *per_axis(self._output_size(), rank, "output_size", self.kind))

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def windows(self, *inputs: Shape) -> Windows:
        (shape,) = inputs
        output = self.output_shape(shape)
        if max(output[1:]) == 1:
            return Reach.WHOLE
        steps = [Fraction(n, m) for n, m in zip(shape[1:], output[1:], strict=True)]
        whole = [step.numerator if step.denominator == 1 else step for step in steps]
        return tuple(Window(step, step) for step in whole)

    def _others(self, shape: Shape, output: Shape) -> Term:
        """One operation for each value of every window but its first."""
        taps = 1
        for n, m in zip(shape[1:], output[1:], strict=True):
            taps *= _adaptive_taps(n, m)
        return term(("(taps-places)", taps - places_of(output).value), ("C", shape[0]))


def _adaptive_taps(n: int, m: int) -> int:
    """The values that `m` adaptive windows over `n` values read together.

    Each window ends where the next one begins, or one value behind it unless `m` divides `(i+1) n`,
    which it does `gcd(n, m)` times.

    >>> _adaptive_taps(13, 6) == sum(-(-(i + 1) * 13 // 6) - i * 13 // 6 for i in range(6))
    True
    """
    return n + m - math.gcd(n, m)


@layer("adaptive_avgpool")
class AdaptiveAvgPool(AdaptivePool, frozen=True):
    """Mean over windows chosen for a given output size, as `torch.nn.AdaptiveAvgPool2d`.

    >>> AdaptiveAvgPool(7).output_shape((512, 14, 9))
    (512, 7, 7)
    """

    output_size: PerAxis

    def _output_size(self) -> int | tuple[int, ...]:
        return self.output_size

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return ("add", self._others(inputs[0], output)), ("div", values_of(output, "_out"))


@layer("adaptive_maxpool")
class AdaptiveMaxPool(AdaptivePool, frozen=True):
    """Maximum over windows chosen for a given output size, as `torch.nn.AdaptiveMaxPool2d`.

    >>> AdaptiveMaxPool(6).output_shape((256, 13, 13))
    (256, 6, 6)
    """

    output_size: PerAxis

    def _output_size(self) -> int | tuple[int, ...]:
        return self.output_size

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return (("compare", self._others(inputs[0], output)),)


class Pooled(Struct, frozen=True):
    """What a max pool that is to be undone has done: its input's shape, and its windows."""

    shape: Shape
    windows: tuple[Window, ...]


def read_pooled(value: object) -> Pooled:
    if isinstance(value, Pooled):
        return value
    pool = getattr(value, "layer", None)
    if not isinstance(pool, MaxPool):
        raise LayerError(
            "needs the tensor that comes out of a `maxpool`",
            help="name that pool where it stands (`p: maxpool(2)`) and write `maxunpool(p)`",
        )
    (shape,) = (node.shape for node in value.inputs)  # type: ignore[attr-defined]
    return Pooled(shape, pool.windows(shape))


PooledTensor = Annotated[Pooled, read_pooled, "tensor"]


@layer("maxunpool")
class MaxUnpool(Layer, frozen=True):
    """Puts each value back where the matching max pool took it from, zeros elsewhere.

    Zeiler & Fergus 2013, Section 2.1; as `torch.nn.MaxUnpool2d`. `pool` is the tensor of that pool: it
    gives the places and the size.
    """

    pool: PooledTensor

    def output_shape(self, *inputs: Shape) -> Shape:
        shape, pooled = inputs
        if shape != pooled:
            raise LayerError(
                f"`maxunpool` needs the shape that its pool gave, {format_shape(pooled, cross='x')}, "
                f"got {format_shape(shape, cross='x')}",
                argument="pool",
            )
        return self.pool.shape

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return ()

    def windows(self, *inputs: Shape) -> Windows:
        return tuple(
            Window(w.kernel_size, w.stride, w.before, w.after, w.dilation, transposed=True)
            for w in self.pool.windows
        )

    def __str__(self) -> str:
        return "maxunpool(pool)"
