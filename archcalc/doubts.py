"""Whether a layer or a shape is likely meant as it stands: the rules, without any words.

PyTorch writes the input channels first. `conv(64, 128, 3)` is then a convolution from 64 to 128 channels;
here it has 64 output channels, a kernel of 128 and a stride of 3. Other tools write the batch into a shape,
or the channels last. All of that is legal, so these rules ask whether it is likely. They look at arguments
given by position alone. The language and `NetworkBuilder` both ask them.

docs/language.md states the rules under "Habits from other tools".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archcalc.layers.arguments import MAX_SIZE
from archcalc.layers.base import Layer
from archcalc.layers.resize import Upsample
from archcalc.shape import Shape

KERNEL_AT = {"conv": 1, "local": 1, "conv_transpose": 1, "depthwise": 0}
"""Which argument is the kernel's size, for the kinds whose first argument may be input channels."""

LARGE = {1: 64, 2: 16, 3: 16}
"""A kernel above this, by the number of axes, is rather a number of channels."""
# Sound networks have 1-D kernels of tens of samples (SoundNet 64). The largest 2-D kernel with a stride in a
# shipped network is 11; FCN's 64 is transposed, and RepLKNet's 31 has no stride.

EVEN = 8
"""From this size on, an even kernel that moves by 1 is rather a number of channels."""

OVERLAP = 4
"""A transposed kernel of more strides than this is rather a number of channels. FCN has 2, WaveGlow 4."""

IMAGE_CHANNELS = (1, 3, 4)
"""Grey, colour, and colour with transparency: what the last axis of an image is, if not its width."""

SIDE = 8
"""An image has at least as many rows and columns."""

WIDE = 16
"""And at least as many if it has not as many rows as columns."""


def can_be_doubted(kind: str, by_position: int) -> bool:
    """May a call with so many arguments by position mean input channels by its first one?"""
    return kind == "upsample" or (kind in KERNEL_AT and by_position > KERNEL_AT[kind])


def doubt_of(layer: Layer, by_position: int, shape: Shape, stride_is_written: Callable[[int], bool]) -> str:
    """What to think of a layer whose first `by_position` arguments have no names, on an input of this shape.

    `wrong` if the first must be the input channels, `in_channels` if it may be, `large_kernel` if another
    argument may be a number of channels, `shrinks` if a size must be a factor; empty if the call is likely
    meant as it stands. `stride_is_written` says of an argument, by its number, whether it is a literal.
    """
    if isinstance(layer, Upsample):  # Keras' `UpSampling2D(2)` doubles the map
        return "shrinks" if by_position and largest(layer.size or MAX_SIZE) < min(shape[1:]) else ""
    kernel: Any = getattr(layer, "kernel_size", 0)
    at = KERNEL_AT[layer.kind]
    first = getattr(layer, "out_channels", 0) if at else kernel
    # nearly all layers end here, at every node of a network
    if type(kernel) is not int or (first != shape[0] and kernel <= LARGE[2]) or len(shape) - 1 not in LARGE:
        return ""
    values = [getattr(layer, parameter.name) for parameter in layer.parameters[:by_position]]
    sizes = shape[1:]
    large = kernel > LARGE[len(sizes)] and kernel not in sizes
    stride = largest(values[at + 1]) if len(values) > at + 1 else 0
    if values[0] != shape[0]:
        return "large_kernel" if large and stride and len(sizes) > 1 and not _transposed(layer) else ""
    if _transposed(layer):
        stride = stride or largest(getattr(layer, "stride", 1))
        return _doubt_of_transposed(values, kernel, stride, len(sizes))
    if not stride:
        return "in_channels" if large and not _keeps_size(layer, kernel) else ""
    if large or 1 < kernel < stride:
        return "wrong"
    unlikely = _odd(stride) and stride != kernel
    unlikely |= stride == 1 and kernel >= EVEN and kernel % 2 == 0
    if unlikely and len(sizes) > 1:  # in 1-D, such kernels and strides are usual
        return "wrong"
    if stride == 1:  # who means it leaves it out, unless a parameter or the padding asks for it
        last = len(values) == at + 2 and getattr(layer, "padding", 0) == 0
        return "in_channels" if stride_is_written(at + 1) and (last or not kernel % 2) else ""
    if _odd(stride) and (stride == kernel or kernel % stride):
        return "in_channels"
    return "in_channels" if kernel >= EVEN and kernel > 2 * stride else ""


def _doubt_of_transposed(values: list[Any], kernel: int, stride: int, axes: int) -> str:
    large = kernel > LARGE[2] and kernel > OVERLAP * stride
    if len(values) < 3:
        return "in_channels" if large else ""
    twice = len(values) > 3 and stride > 1 and values[3] == stride  # kernel 2, stride 2, as in U-Net
    if large or 1 < kernel < stride or (twice and kernel > 2 * stride):
        return "wrong"
    unusual = kernel >= EVEN and kernel > (2 if axes > 1 else OVERLAP) * stride
    return "in_channels" if unusual or (_odd(stride) and kernel % stride) else ""


def _transposed(layer: Layer) -> bool:
    return layer.kind == "conv_transpose"


def largest(value: Any) -> int:
    """A stride as one number: the largest one if there is one per axis."""
    found: int = max(value) if isinstance(value, tuple) else value
    return found


def _odd(stride: int) -> bool:
    """Is a stride what kernels usually are?"""
    return stride >= 3 and stride % 2 == 1


def _keeps_size(layer: Layer, kernel: int) -> bool:
    """Is the padding chosen for the kernel, so that the map keeps its size?"""
    return getattr(layer, "padding", 0) in ("same", "same_lower", kernel // 2)


def leading_arguments(layer: Layer) -> int:
    """How many arguments of a layer made in Python may have been given by position.

    Those up to the last that is not its default: Python does not keep how a call was written.
    """
    differs = [getattr(layer, parameter.name) != parameter.default for parameter in layer.parameters]
    return max((number for number, found in enumerate(differs, 1) if found), default=0)


def doubt_of_input(shape: Shape) -> tuple[str, Shape]:
    """What to think of a declared input, and the shape that may be meant instead.

    `batch` if the first axis may count samples, `channels_last` if the last one may count channels,
    `no_channels` if there may be none; empty if the shape is likely meant as it stands.
    """
    first, *others = shape
    if len(shape) == 4:
        if shape[1] in IMAGE_CHANNELS and _is_image(shape[2:]):
            return "batch", shape[1:]
        if shape[3] in IMAGE_CHANNELS and _is_image(shape[1:3]):
            if first == shape[1]:
                return "channels_last", (shape[3], *shape[:3])
            return "batch", (shape[3], *shape[1:3])
    if len(shape) == 3 and shape[2] in IMAGE_CHANNELS and _is_image(shape[:2]):
        return "channels_last", (shape[2], *shape[:2])
    if len(shape) == 2 and first == others[0] >= SIDE:
        return "no_channels", (1, *shape)
    return "", shape


def _is_image(sides: Shape) -> bool:
    return min(sides) >= (SIDE if len(set(sides)) == 1 else WIDE)
