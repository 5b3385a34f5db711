"""Rules for likely mistakes in layers and shapes, without any messages.

PyTorch takes the input channels first. There, `conv(64, 128, 3)` is a convolution from 64 to 128 channels. In
archcalc it has 64 output channels, a kernel of 128, and a stride of 3. Other tools put the batch in a shape,
or the channels last. All of this is legal, so the rules ask whether it is likely. They only look at arguments
given by position. The language and `NetworkBuilder` both use them.

docs/language.md states the rules under "Habits from other tools".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archcalc.layers.base import Layer
from archcalc.number import as_whole
from archcalc.shape import Shape

KERNEL_AT = {"conv": 1, "local": 1, "conv_transpose": 1, "depthwise": 0}
"""The position of the kernel size, for the kinds whose first argument may be the input channels."""

INPUTS_FIRST = (*KERNEL_AT, "fc", "pointwise")
"""The kinds that take the number of inputs first in PyTorch."""

SIZED = ("upsample", "crop", "reshape")
"""The kinds whose first argument is a size or a shape."""

LARGE = {1: 64, 2: 16, 3: 16}
"""A larger kernel, by number of axes, is more likely a number of channels."""
# Audio networks have 1-D kernels of tens of samples (SoundNet 64). The largest 2-D kernel with a stride in a
# built-in network is 11; FCN's 64 is transposed, and RepLKNet's 31 has no stride.

EVEN = 8
"""An even kernel of this size or more, with a stride of 1, is more likely a number of channels."""

OVERLAP = 4
"""A transposed kernel of more strides is more likely a number of channels. FCN has 2, and WaveGlow 4."""

IMAGE_CHANNELS = (1, 3, 4)
"""Gray, color, and color with transparency: the last axis of an image, if it is not the width."""

SIDE = 8
"""The least number of rows and columns of an image."""

SMALL = 4
"""The least number of rows and columns of a feature map."""

FEW, STEPS = 16, 64
"""A sequence with the channels last has at most this many channels, and at least this many steps."""

WIDE = 16
"""The same, if the numbers of rows and columns differ."""


def can_be_doubted(kind: str, by_position: int) -> bool:
    """Can a call with this many arguments by position mean another layer in PyTorch or Keras?"""
    return kind == "upsample" or (kind in KERNEL_AT and by_position > KERNEL_AT[kind])


def doubt_of(
    layer: Layer, by_position: int, shape: Shape, is_literal: Callable[[int], bool], named: bool = False
) -> str:
    """The likely mistake in a layer, given its input shape. Its first `by_position` arguments have no names.

    The result is empty if the call is probably correct. Otherwise it is `wrong` if the first argument must be
    the input channels, `in_channels` if it may be, `large_kernel` if another argument may be a number of
    channels, `kernel_twice` if the stride may be the other kernel size, `groups` if the dilation may be the
    groups, `shrinks` if a size must be a factor, `factor` if it may be one, `crops` if it may be the number
    of places to cut off, and `channels_last` if a shape may have the channels last. `is_literal` says whether
    the argument with a given number is written as a number. `named` says whether the first argument has a
    name.
    """
    if layer.kind not in KERNEL_AT:
        return _doubt_of_size(layer, named, shape[1:])
    if by_position > 4 and layer.kind == "conv" and getattr(layer, "dilation", 1) == shape[0] >= EVEN:
        return "groups"
    kernel: Any = getattr(layer, "kernel_size", 0)
    at = KERNEL_AT[layer.kind]
    first = getattr(layer, "out_channels", 0) if at else kernel
    stride = largest(getattr(layer, "stride", 1)) if by_position > at + 1 else 0
    # nearly all layers end here, at every node of a network
    if as_whole(kernel) is None or (kernel <= LARGE[2] and kernel != stride and first != shape[0]):
        return ""
    axes = len(shape) - 1
    if axes not in LARGE:
        return ""
    large = kernel > LARGE[axes] and kernel not in shape[1:]
    if first != shape[0]:
        if not stride or axes == 1 or _transposed(layer):
            return ""
        return "large_kernel" if large else "kernel_twice" if _odd(kernel) and is_literal(at + 1) else ""
    if _transposed(layer):
        return _doubt_of_transposed(layer, by_position, kernel, axes)
    if not stride:
        return "in_channels" if large and not _keeps_size(layer, kernel) else ""
    if large or 1 < kernel < stride:
        return "wrong"
    if axes > 1 and ((_odd(stride) and stride != kernel) or (stride == 1 and _large_and_even(kernel, EVEN))):
        return "wrong"  # in 1-D, such kernels and strides are common
    # in 1-D, causal convolutions have other paddings
    padded = axes > 1 and (stride == 1 or by_position > at + 2) and _odd_padding(layer, kernel, stride)
    if stride == 1:  # usually left out, unless a parameter or the next argument requires it
        last = by_position == at + 2 and getattr(layer, "padding", 0) == 0
        return "in_channels" if is_literal(at + 1) and (last or padded or not kernel % 2) else ""
    unusual = kernel >= EVEN and kernel > 2 * stride
    if axes > 1:
        unusual |= padded or (stride >= 4 and kernel not in (stride, 2 * stride - 1))
        unusual |= kernel != stride and _large_and_even(kernel, EVEN - 2)
    return "in_channels" if unusual or (_odd(stride) and (stride == kernel or kernel % stride)) else ""


def _doubt_of_transposed(layer: Layer, by_position: int, kernel: int, axes: int) -> str:
    stride, padding = largest(getattr(layer, "stride", 1)), getattr(layer, "padding", 0)
    large = kernel > LARGE[2] and kernel > OVERLAP * stride
    if by_position < 3:
        return "in_channels" if large else ""
    twice = by_position > 3 and stride > 1 and padding == stride  # kernel 2, stride 2, as in U-Net
    if large or 1 < kernel < stride or (twice and kernel > 2 * stride):
        return "wrong"
    unusual = kernel >= EVEN and kernel > (2 if axes > 1 else OVERLAP) * stride
    if axes > 1:
        unusual |= by_position > 3 and as_whole(padding) is not None and padding > (kernel - 1) // 2
        unusual |= _odd(stride) or (stride >= 4 and kernel not in (stride, 2 * stride))
    return "in_channels" if unusual or (_odd(stride) and kernel % stride) else ""


def _doubt_of_size(layer: Layer, named: bool, sizes: Shape) -> str:
    """The likely mistake in a size or shape that is given by position, or by a name that Keras has too."""
    target: Any = getattr(layer, "shape" if layer.kind == "reshape" else "size")
    if layer.kind == "reshape":
        return "channels_last" if _is_map_with_channels_last(target) else ""
    if not sizes or target is None:
        return ""
    if layer.kind == "crop":  # Keras' `Cropping2D(2)` cuts 2 off at each end
        return "crops" if 2 * largest(target) < min(sizes) else ""
    if largest(target) >= min(sizes):
        return ""
    # Keras' `UpSampling2D(2)` doubles the map, and so does its `UpSampling2D(size=2)`
    return "shrinks" if not named else "factor" if largest(target) <= SIDE else ""


def _transposed(layer: Layer) -> bool:
    return layer.kind == "conv_transpose"


def largest(value: Any) -> int:
    """A stride as one number: the largest one, if there is one per axis."""
    found: int = max(value) if isinstance(value, tuple) else value
    return found


def _odd(stride: int) -> bool:
    """Is a stride a typical kernel size?"""
    return stride >= 3 and stride % 2 == 1


def _large_and_even(kernel: int, least: int) -> bool:
    return kernel >= least and kernel % 2 == 0


def _odd_padding(layer: Layer, kernel: int, stride: int) -> bool:
    """Is the padding more than a kernel needs? With a stride of 1, is it neither that nor zero?"""
    padding, dilation = getattr(layer, "padding", 0), getattr(layer, "dilation", 1)
    if as_whole(padding) is None or as_whole(dilation) is None or padding == dilation * (kernel - 1) // 2:
        return False
    return padding > kernel // 2 or (stride == 1 and 0 < padding < kernel // 2)


def _keeps_size(layer: Layer, kernel: int) -> bool:
    """Does the padding fit the kernel, so that the map keeps its size?"""
    return getattr(layer, "padding", 0) in ("same", "same_lower", kernel // 2)


def leading_arguments(layer: Layer) -> int:
    """The number of arguments of a layer made in Python that may have been given by position.

    These are the arguments up to the last one that differs from its default, because Python does not record
    the call.
    """
    differs = [getattr(layer, parameter.name) != parameter.default for parameter in layer.parameters]
    return max((number for number, found in enumerate(differs, 1) if found), default=0)


def doubt_of_input(shape: Shape) -> tuple[str, Shape]:
    """The likely mistake in a declared input, and the shape that may be meant instead.

    The result is `batch` if the first axis may be the batch, `channels_last` if the last axis may be the
    channels, and `no_channels` if there may be none. It is empty if the shape is probably correct.
    """
    first, *others = shape
    if len(shape) == 5 and shape[1] in IMAGE_CHANNELS and _is_image(shape[3:]):
        return "batch", shape[1:]
    if len(shape) == 4:
        if shape[1] in IMAGE_CHANNELS and _is_image(shape[2:]):
            return "batch", shape[1:]
        if shape[3] in IMAGE_CHANNELS and _is_image(shape[1:3]):
            if first == shape[1]:
                return "channels_last", (shape[3], *shape[:3])
            return "batch", (shape[3], *shape[1:3])
    if len(shape) == 3 and (
        (shape[2] in IMAGE_CHANNELS and _is_image(shape[:2])) or _is_map_with_channels_last(shape)
    ):
        return "channels_last", (shape[2], *shape[:2])
    if len(shape) == 2 and first == others[0] >= SIDE:
        return "no_channels", (1, *shape)
    if len(shape) == 2 and others[0] <= FEW and first >= max(STEPS, SIDE * others[0]):
        return "channels_last", (others[0], first)
    return "", shape


def _is_image(sides: Shape) -> bool:
    return min(sides) >= (SIDE if len(set(sides)) == 1 else WIDE)


def _is_map_with_channels_last(shape: Shape) -> bool:
    """Is a shape a square and a larger number, like 7x7x512, the features of a Keras network?"""
    return len(shape) == 3 and SMALL <= shape[0] == shape[1] < shape[2]
