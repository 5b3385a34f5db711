"""Pooling: over windows, over the whole map, to a given size, with trained weights, and unpooling."""

import math
from math import trunc
from typing import Annotated, Any, ClassVar

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
    read_count,
    read_per_axis,
    spatial_rank,
)
from archcalc.layers.backward import KEPT_INPUT, KEPT_OUTPUT, Backward, Kept, Needs
from archcalc.layers.base import Layer, layer
from archcalc.layers.terms import (
    Facts,
    Operations,
    Reach,
    Term,
    Weight,
    Windows,
    labelled,
    places_of,
    term,
    values_of,
)
from archcalc.number import common_divisor, largest, ratio, smallest
from archcalc.shape import SYMBOLS, Shape, Window, format_shape, output_size

OptionalPerAxis = Annotated[int | tuple[int, ...] | None, optional(read_per_axis)]


class WindowPool(Layer, frozen=True):
    """The base class of pools with a sliding window.

    One operation counts for each value in a window. Padding counts too, as for convolutions. In ceil mode the
    last windows can reach beyond the padding, and nothing counts there.
    """

    def _given(self, name: str, default: Any) -> Any:
        """An argument, or the default if the kind does not have it."""
        return getattr(self, name, default)

    def windows(self, *inputs: Shape) -> tuple[Window, ...]:
        (shape,) = inputs
        rank = spatial_rank(self.kind, shape)
        stride = self._given("stride", None)
        k = per_axis(self._given("kernel_size", 1), rank, "kernel_size", self.kind)
        s = k if stride is None else per_axis(stride, rank, "stride", self.kind)
        d = per_axis(self._given("dilation", 1), rank, "dilation", self.kind)
        pads = padding_per_axis(self._given("padding", 0), self.kind, shape[1:], k, s, d)
        return tuple(
            Window(k_, s_, before, after, d_)
            for k_, s_, d_, (before, after) in zip(k, s, d, pads, strict=True)
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        windows = self.windows(shape)
        for window in windows:
            if (
                any(end > window.extent // 2 for end in (window.before, window.after))
                and self._given("padding", 0) not in SAME
            ):
                dilated = f", dilated to {window.extent}" if window.dilation > 1 else ""
                raise LayerError(
                    f"`padding` of `{self.kind}` may be at most half the kernel, got "
                    f"{max(window.before, window.after)} for a kernel of {window.kernel_size}{dilated}",
                    argument="padding",
                )
        ceil_mode = self._given("ceil_mode", False)
        sizes = tuple(output_size(n, w, ceil_mode) for n, w in zip(shape[1:], windows, strict=True))
        if any(size < 1 for size in sizes):
            extents = format_shape(tuple(trunc(w.extent) for w in windows), cross="x")
            padded = tuple(n + trunc(w.before + w.after) for n, w in zip(shape[1:], windows, strict=True))
            raise LayerError(
                f"the window of `{self.kind}` is larger than its padded input",
                argument="kernel_size",
                label=f"{extents} over {format_shape(padded, cross='x')}",
                help="use a smaller window or more padding, or shrink the map less before this layer",
            )
        return (shape[0], *sizes)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return channels

    def _holds_padding(self) -> bool:
        """Does a window compute with padding?"""
        return True

    def _taps(self, shape: Shape, output: Shape) -> int:
        """The number of values in all windows of a channel."""
        taps = 1
        for n, places, window in zip(shape[1:], output[1:], self.windows(shape), strict=True):
            taps *= held_values(n, places, window, self._holds_padding())
        return taps

    def _full_windows(self, shape: Shape) -> Term:
        """The number of values in a window, if all windows are full: the size of the kernel."""
        windows = self.windows(shape)
        letters = kernel_letters(len(windows))
        return term(*((k, trunc(w.kernel_size)) for k, w in zip(letters, windows, strict=True)))

    def _values(self, shape: Shape, output: Shape) -> Term:
        """One operation for each value of every window."""
        full, taps = self._full_windows(shape), self._taps(shape, output)
        if taps == full.value * places_of(output).value:
            return full * values_of(output, "_out")
        return term(("taps", taps), ("C", shape[0]))

    def _others(self, shape: Shape, output: Shape) -> Term:
        """One operation for each value of every window except the first one, as a maximum or a sum takes."""
        full, taps, places = self._full_windows(shape), self._taps(shape, output), places_of(output).value
        if taps == full.value * places:
            return term((f"({full.formula}-1)", full.value - 1)) * values_of(output, "_out")
        if not self._holds_padding():  # a window over padding alone is empty, and takes no operation
            axes = zip(shape[1:], output[1:], self.windows(shape), strict=True)
            places = math.prod(filled_windows(*axis) for axis in axes)
        return term(("(taps-places)", taps - places), ("C", shape[0]))


def held_values(n: int, places: int, window: Window, padding: bool) -> int:
    """The number of values along one axis in all windows of a pool over `n` values.

    >>> held_values(4, 2, Window(3, 2), padding=True)  # 0 to 2, and 2 and 3
    5
    """
    k, s, d = trunc(window.kernel_size), trunc(window.stride), window.dilation
    low, high = (-trunc(window.before), n + trunc(window.after)) if padding else (0, n)

    def below(bound: int) -> int:
        """The number of taps before `bound`. Tap `t` of window `o` is at `o*s + t*d - before`."""
        room = bound + trunc(window.before) - 1
        # windows with all taps before it
        all_of = smallest((largest((0, (room - (k - 1) * d) // s + 1)), places))
        some_of = smallest((largest((0, room // s + 1)), places))
        partly = some_of - all_of
        return all_of * k + partly + _floor_sum(partly, d, s, room - (some_of - 1) * s)

    return below(high) - below(low)


def filled_windows(n: int, places: int, window: Window) -> int:
    """The number of windows along one axis of a pool over `n` values that have at least one value.

    A window has no value if its first tap that is not before the map is after the map. This requires a
    dilation larger than the map, and a window that starts before the map, because padding is at most half a
    window.

    >>> filled_windows(2, 4, Window(2, 1, 2, 2, dilation=3))  # taps at -2 and 1, -1 and 2, 0 and 3, 1 and 4
    3
    """
    s, d, before = trunc(window.stride), window.dilation, trunc(window.before)
    if n >= d:
        return places
    starting_before = smallest((places, -(-before // s)))
    # the first tap of window `o` that is not before the map is at `(o*s - before) mod d`
    first = -before % d
    within = _floor_sum(starting_before, d, s, first + d) - _floor_sum(starting_before, d, s, first + d - n)
    return places - starting_before + within


def _floor_sum(count: int, m: int, a: int, b: int) -> int:
    """The sum of `(a*i + b) // m` for `i` from 0 to `count - 1`. No number can be negative.

    A loop would take as many steps as a kernel is wide, which can be a billion.

    >>> _floor_sum(5, 3, 4, 7) == sum((4 * i + 7) // 3 for i in range(5))
    True
    """
    total = 0
    while count > 0:
        total += count * (count - 1) // 2 * (a // m) + count * (b // m)
        a, b = a % m, b % m
        last = a * count + b
        if last < m:
            break
        count, b = divmod(last, m)
        m, a = a, m
    return total


def chosen(values: Term, places: int) -> Kept:
    """The number of the place that each value was taken from: one byte if there are at most 256 places."""
    return Kept("taps", values=values, value_bytes=1 if places <= 256 else 4)


@layer("maxpool")
class MaxPool(WindowPool, frozen=True):
    """Maximum over a window, as `torch.nn.MaxPool2d`. The default stride is the kernel size.

    Source: Dumoulin & Visin 2016, A guide to convolution arithmetic for deep learning, arXiv:1603.07285,
    chapter 3.

    Example: input(64x112x112) -> maxpool(3, stride=2, padding=1)

    >>> MaxPool(3, stride=2, ceil_mode=True).output_shape((64, 112, 112))
    (64, 56, 56)
    """

    kernel_size: PerAxis
    stride: OptionalPerAxis = None
    padding: Padding = 0
    dilation: PerAxis = 1
    ceil_mode: Flag = False

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return (("compare", self._others(inputs[0], output)),)

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """The number of the largest value of each window is kept: one byte, for windows up to 256 values."""
        values = values_of(facts.output, "_out")
        return Backward((chosen(values, self._full_windows(*facts.inputs).value),), (("add", values),))


@layer("avgpool")
class AvgPool(WindowPool, frozen=True):
    """Mean over a window, as `torch.nn.AvgPool2d`. The default stride is the kernel size.

    The mean is over the values in a window. With `count_include_pad` these include the zeros of the padding,
    otherwise only values of the input. `divisor_override` replaces the divisor; the number of operations
    stays the same.

    PyTorch has no `dilation` here. It is that of the ONNX operator AveragePool, version 19. An empty window
    gives 0.

    Source: Dumoulin & Visin 2016, A guide to convolution arithmetic for deep learning, arXiv:1603.07285,
    chapter 3.

    Example: input(512x14x14) -> avgpool(5, stride=3)

    >>> AvgPool(5, stride=3).output_shape((512, 14, 14))
    (512, 4, 4)
    """

    kernel_size: PerAxis
    stride: OptionalPerAxis = None
    padding: Padding = 0
    ceil_mode: Flag = False
    count_include_pad: Flag = True
    divisor_override: Annotated[int | None, optional(read_count)] = None
    dilation: PerAxis = 1

    def _holds_padding(self) -> bool:
        return self.count_include_pad

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return ("add", self._others(inputs[0], output)), ("div", values_of(output, "_out"))

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """Each value of a window gets the same share."""
        shares = ("div", values_of(facts.output, "_out"))
        return Backward(operations=(shares, ("add", self._values(facts.inputs[0], facts.output))))


@layer("lppool")
class LPPool(WindowPool, frozen=True):
    """The p-norm over a window, as `torch.nn.LPPool2d`. The default stride is the kernel size.

    `norm_type=2` is L2 pooling. As in PyTorch, an odd `norm_type` takes powers of the values, not of their
    absolute values, so the result is NaN if their sum is negative. If ceil mode cuts off a window, PyTorch
    takes its mean times the kernel size, which is one more multiplication.

    Source: the documentation of `torch.nn.LPPool2d`.

    Example: input(16x8x6) -> lppool(2, 2)

    >>> LPPool(2, 2).output_shape((16, 8, 6))
    (16, 4, 3)
    """

    norm_type: Count
    kernel_size: PerAxis
    stride: OptionalPerAxis = None
    ceil_mode: Flag = False

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        outputs, sums = values_of(output, "_out"), ("add", self._others(inputs[0], output))
        scaled = self._scaled(inputs[0], output)
        if self.norm_type == 1:
            return sums, *scaled
        taps = self._values(inputs[0], output)
        if self.norm_type == 2:
            return ("mul", taps), sums, *scaled, ("sqrt", outputs)
        return ("special", taps), sums, *scaled, ("special", outputs)

    def _scaled(self, shape: Shape, output: Shape) -> Operations:
        """One multiplication per window that is cut off: all windows minus those that lie within the map."""
        whole = 1
        for n, places, window in zip(shape[1:], output[1:], self.windows(shape), strict=True):
            whole *= smallest((places, (n - trunc(window.extent)) // trunc(window.stride) + 1))
        cut = places_of(output).value - whole
        return (("mul", term(("cut", cut), ("C", shape[0]))),) if cut else ()

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """For `y = (s sum x^p)^(1/p)`, an input gets `x^(p-1) · sum of s g / y^(p-1)` over its windows.

        `s` is 1, except for windows that are cut off. An output of 0 sends no gradient, which takes a
        comparison. With `norm_type=1` this is the gradient of a sum.
        """
        (shape,), output = facts.inputs, facts.output
        sums = ("add", self._values(shape, output))
        scaled = self._scaled(shape, output)
        if self.norm_type == 1:
            return Backward(operations=(*scaled, sums))
        outputs, inputs = values_of(output, "_out"), values_of(shape)
        powers: Operations = ()
        if self.norm_type > 2:
            powers = *labelled("powers of the output", (("special", outputs),)), ("special", inputs)
        shares: Operations = (("compare", outputs), ("div", outputs))
        return Backward((KEPT_INPUT, KEPT_OUTPUT), (*powers, *scaled, *shares, sums, ("mul", inputs)))


@layer("subsample")
class Subsample(WindowPool, frozen=True):
    """The sum of a window times a trained coefficient, plus a trained bias. Each map has one of both.

    LeNet-5 uses it. Windows do not overlap.

    Source: LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition, Section II.B.

    Example: input(6x28x28) -> subsample(2)

    >>> sum(w.term.value for w in Subsample(2).weights((6, 28, 28)))
    12
    """

    kernel_size: PerAxis

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        channels = ("C", inputs[0][0])
        return Weight("weight", (channels,)), Weight("bias", (channels,), "bias")

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        outputs = values_of(output, "_out")
        return ("add", self._others(inputs[0], output)), ("mul", outputs), ("bias", outputs)

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """The sums of the windows are kept if the coefficients are trained."""
        outputs = values_of(facts.output, "_out")
        operations: Operations = ()
        if needs.any_input:
            operations += labelled("gradient of the input", (("mul", outputs),))
        if "weight" in needs.trained:
            operations += labelled("gradient of the weights", (("mul", outputs), ("add", outputs)))
        if "bias" in needs.trained:
            operations += labelled("gradient of the bias", (("add", outputs),))
        kept = (Kept("sums", values=outputs),) if "weight" in needs.trained else ()
        return Backward(kept, operations)


class GlobalPool(Layer, frozen=True):
    """The base class of pools over the whole map."""

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        return (shape[0], *(1 for _ in range(spatial_rank(self.kind, shape))))

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return channels

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.WHOLE

    def _others(self, shape: Shape) -> Term:
        places = places_of(shape).value
        symbol = "·".join(SYMBOLS[len(shape) - 1])
        return term((f"({symbol}-1)", places - 1), ("C", shape[0]))


@layer("global_avgpool")
class GlobalAvgPool(GlobalPool, frozen=True):
    """Mean of each map (Lin et al. 2013, Section 3.2). The output has 1x1 places.

    Source: Lin et al. 2013, Network In Network, arXiv:1312.4400, Section 3.2.

    Example: input(512x7x7) -> global_avgpool

    >>> GlobalAvgPool().output_shape((512, 7, 7))
    (512, 1, 1)
    """

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return ("add", self._others(inputs[0])), ("div", term(("C", output[0])))

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return Backward(operations=(("div", term(("C", facts.output[0]))),))


@layer("global_maxpool")
class GlobalMaxPool(GlobalPool, frozen=True):
    """Maximum of each map. The output has 1x1 places.

    Source: the documentation of `torch.nn.AdaptiveMaxPool2d`, for an output of 1x1.

    Example: input(512x7x7) -> global_maxpool

    >>> GlobalMaxPool().output_shape((512, 7, 7))
    (512, 1, 1)
    """

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return (("compare", self._others(inputs[0])),)

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return Backward((chosen(term(("C", facts.output[0])), places_of(facts.inputs[0]).value),))


class AdaptivePool(Layer, frozen=True):
    """The base class of pools to a given size.

    Output `i` of `m` over `n` values reads from `floor(i n/m)` to `ceil((i+1) n/m)`, as in PyTorch. This is a
    window of `n/m` values that moves by `n/m`, and includes every value that it touches.
    """

    def _output_size(self) -> int | tuple[int, ...]:
        raise NotImplementedError

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        rank = spatial_rank(self.kind, shape)
        return (shape[0], *per_axis(self._output_size(), rank, "output_size", self.kind))

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return channels

    def windows(self, *inputs: Shape) -> Windows:
        (shape,) = inputs
        output = self.output_shape(shape)
        if all(n == 1 for n in output[1:]):
            return Reach.WHOLE
        steps = (ratio(n, m) for n, m in zip(shape[1:], output[1:], strict=True))
        return tuple(Window(step, step) for step in steps)

    def _others(self, shape: Shape, output: Shape) -> Term:
        """One operation for each value of every window except the first one."""
        places = places_of(output).value
        return term(("(taps-places)", self._taps(shape, output) - places), ("C", shape[0]))

    def _taps(self, shape: Shape, output: Shape) -> int:
        """The number of values in all windows of a channel."""
        return math.prod(_adaptive_taps(n, m) for n, m in zip(shape[1:], output[1:], strict=True))


def _adaptive_taps(n: int, m: int) -> int:
    """The total number of values that `m` adaptive windows over `n` values read.

    Each window ends where the next one begins if `m` divides `(i+1) n`, which happens `gcd(n, m)` times.
    Otherwise it ends one value later.

    >>> _adaptive_taps(13, 6) == sum(-(-(i + 1) * 13 // 6) - i * 13 // 6 for i in range(6))
    True
    """
    taps: int = n + m - common_divisor(n, m)
    return taps


def _largest_window(n: int, m: int) -> int:
    """The size of the largest of `m` adaptive windows over `n` values.

    A window begins `f/m` after a value, where `f` is a multiple of `gcd(n, m)` below `m`. Every such `f`
    occurs. The window reads `ceil((f + n)/m)` values.

    >>> _largest_window(13, 6) == max(-(-(i + 1) * 13 // 6) - i * 13 // 6 for i in range(6))
    True
    """
    most: int = -(-(m - common_divisor(n, m) + n) // m)
    return most


@layer("adaptive_avgpool")
class AdaptiveAvgPool(AdaptivePool, frozen=True):
    """Mean over windows for a given output size, as `torch.nn.AdaptiveAvgPool2d`.

    Source: the documentation of `torch.nn.AdaptiveAvgPool2d`.

    Example: input(512x14x9) -> adaptive_avgpool(7)

    >>> AdaptiveAvgPool(7).output_shape((512, 14, 9))
    (512, 7, 7)
    """

    output_size: PerAxis

    def _output_size(self) -> int | tuple[int, ...]:
        return self.output_size

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return ("add", self._others(inputs[0], output)), ("div", values_of(output, "_out"))

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """Each value of a window gets the same share. With a single window, nothing is added."""
        (shape,), output = facts.inputs, facts.output
        shares = ("div", values_of(output, "_out"))
        if places_of(output).value == 1:
            return Backward(operations=(shares,))
        taps = term(("taps", self._taps(shape, output)), ("C", shape[0]))
        return Backward(operations=(shares, ("add", taps)))


@layer("adaptive_maxpool")
class AdaptiveMaxPool(AdaptivePool, frozen=True):
    """Maximum over windows for a given output size, as `torch.nn.AdaptiveMaxPool2d`.

    Source: the documentation of `torch.nn.AdaptiveMaxPool2d`.

    Example: input(256x13x13) -> adaptive_maxpool(6)

    >>> AdaptiveMaxPool(6).output_shape((256, 13, 13))
    (256, 6, 6)
    """

    output_size: PerAxis

    def _output_size(self) -> int | tuple[int, ...]:
        return self.output_size

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return (("compare", self._others(inputs[0], output)),)

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        (shape,), output = facts.inputs, facts.output
        values = values_of(output, "_out")
        largest = math.prod(_largest_window(n, m) for n, m in zip(shape[1:], output[1:], strict=True))
        sums: Operations = (("add", values),) if places_of(output).value > 1 else ()
        return Backward((chosen(values, largest),), sums)


class Pooled(Struct, frozen=True):
    """The max pool that is undone: the shape of its input, and its windows."""

    shape: Shape
    windows: tuple[Window, ...]


def read_pooled(value: object) -> Pooled:
    """The name of the tensor that a `maxpool` outputs."""
    if isinstance(value, Pooled):
        return value
    pool = getattr(value, "layer", None)
    if not isinstance(pool, MaxPool):
        raise LayerError(
            "needs the output of a `maxpool`",
            help="label the pool (`p: maxpool(2)`) and write `maxunpool(p)`",
        )
    (shape,) = (node.shape for node in value.inputs)  # type: ignore[attr-defined]
    return Pooled(shape, pool.windows(shape))


PooledTensor = Annotated[Pooled, read_pooled, "tensor"]


@layer("maxunpool")
class MaxUnpool(Layer, frozen=True):
    """Puts each value back where the matching max pool took it from, with zeros elsewhere.

    This is `torch.nn.MaxUnpool2d` (Zeiler & Fergus 2013, Section 2.1). `pool` is the output of the max pool,
    which gives the places and the size.

    Source: Zeiler & Fergus 2013, Visualizing and Understanding Convolutional Networks, arXiv:1311.2901,
    Section 2.1.

    Example:
    input(64x32x32)
    p: maxpool(2)
    relu -> maxunpool(p)
    """

    without_gradient: ClassVar[tuple[int, ...]] = (1,)
    reads_before: ClassVar[tuple[int, ...]] = (1,)
    pool: PooledTensor

    def output_shape(self, *inputs: Shape) -> Shape:
        shape, pooled = inputs
        if shape != pooled:
            raise LayerError(
                f"`maxunpool` needs the output shape of its pool, {format_shape(pooled, cross='x')}, "
                f"got {format_shape(shape, cross='x')}",
                argument="pool",
            )
        return self.pool.shape

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return channels

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return ()

    def windows(self, *inputs: Shape) -> Windows:
        return tuple(
            Window(w.kernel_size, w.stride, w.before, w.after, w.dilation, transposed=True)
            for w in self.pool.windows
        )

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """Each value gets the gradient of its place. A shared place has the value of the last window."""
        places = math.prod(trunc(window.kernel_size) for window in self.pool.windows)
        return Backward((chosen(values_of(facts.inputs[0]), places),))
