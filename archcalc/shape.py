"""Shapes, windows, and the only formula for output sizes.

A shape is per sample, channels first: `(C, H, W)` for an image, `(C,)` after `flatten`. It does not include
the batch.
"""

from __future__ import annotations

from fractions import Fraction
from math import trunc

from msgspec import Struct

from archcalc.number import largest

Shape = tuple[int, ...]

AXES = {
    1: ("length",),
    2: ("height", "width"),
    3: ("depth", "height", "width"),
    4: ("axis1", "axis2", "axis3", "axis4"),
    5: ("axis1", "axis2", "axis3", "axis4", "axis5"),
}
"""Names of the axes after the channels, by their number."""

SYMBOLS = {
    1: ("L",),
    2: ("H", "W"),
    3: ("D", "H", "W"),
    4: ("n1", "n2", "n3", "n4"),
    5: ("n1", "n2", "n3", "n4", "n5"),
}
"""Letters for the axes after the channels in formulas, by their number."""


class Window(Struct, frozen=True, gc=False):
    """What one output value depends on along one axis.

    A sliding window reads `kernel_size` inputs, `dilation` apart, and moves by `stride`. `before` and `after`
    are the padding at the two ends; negative padding crops. A window with a fractional size reads every input
    that it touches. With `transposed`, the stride is that of the output: each input spreads over
    `kernel_size` outputs. With `clamped`, there is no padding: beyond an end are copies of the value at that
    end, or other values of the map.
    """

    kernel_size: int | Fraction
    stride: int | Fraction = 1
    before: int | Fraction = 0
    after: int | Fraction = 0
    dilation: int = 1
    transposed: bool = False
    clamped: bool = False

    @property
    def extent(self) -> int | Fraction:
        """The number of inputs from the first to the last tap, including holes."""
        return self.dilation * (self.kernel_size - 1) + 1


def output_size(n: int, window: Window, ceil_mode: bool = False) -> int:
    """The number of places of a sliding window over `n` values.

    This is `floor((n + before + after - d(k-1) - 1) / s) + 1`. In ceil mode the quotient is rounded up, and a
    last window that would start in the padding at the end is dropped, as in Caffe and PyTorch. The result is
    below 1 if the window does not fit.

    >>> output_size(224, Window(7, 2, 3, 3))
    112
    >>> output_size(112, Window(3, 2), ceil_mode=True)
    56
    """
    stride = trunc(window.stride)
    room = n + trunc(window.before) + trunc(window.after) - trunc(window.extent)
    if not ceil_mode:
        return room // stride + 1
    size = -(-room // stride) + 1
    if (size - 1) * stride >= n + trunc(window.before):
        size -= 1
    return size


def transposed_size(n: int, window: Window, output_padding: int = 0) -> int:
    """The output size of a transposed convolution over `n` values.

    This is `(n-1)s - before - after + d(k-1) + output_padding + 1` (Dumoulin & Visin 2016, Relationship 14).

    >>> transposed_size(7, Window(4, 2, 1, 1, transposed=True))
    14
    """
    return trunc((n - 1) * window.stride - window.before - window.after + window.extent + output_padding)


def same_padding(n: int, kernel_size: int, stride: int, dilation: int) -> tuple[int, int]:
    """Padding for `ceil(n / stride)` places, with the larger half at the end.

    TensorFlow's SAME and ONNX's SAME_UPPER. The total is `max((out-1)s + d(k-1) + 1 - n, 0)`.

    >>> same_padding(224, 3, 2, 1)
    (0, 1)
    """
    places = -(-n // stride)
    total = largest((0, (places - 1) * stride + dilation * (kernel_size - 1) + 1 - n))
    return total // 2, total - total // 2


def cut_to_stride(kernel_size: int, stride: int, dilation: int) -> tuple[int, int]:
    """The places that a transposed convolution with SAME padding cuts off around `n * stride` places.

    It reverses a convolution with SAME padding, whose total padding on a map of that size is the extent minus
    the stride. A kernel smaller than the stride leaves zeros at the end, so a negative number is cut off.

    >>> cut_to_stride(4, 2, 1), cut_to_stride(3, 2, 1), cut_to_stride(2, 3, 1)
    ((1, 1), (0, 1), (0, -1))
    """
    total = dilation * (kernel_size - 1) + 1 - stride
    before: int = largest((0, total)) // 2
    return before, total - before


def format_shape(shape: tuple[int | Fraction, ...], layout: str = "chw", cross: str = "×") -> str:
    """A shape for people: `64×56×56`, or `56×56×64` in the layout `hwc`.

    Also formats other lengths along the axes, such as a stride.
    """
    if layout == "hwc":
        shape = shape[1:] + shape[:1]
    return cross.join(str(n) for n in shape)
