"""Kernels of the rearrangements. The order is channels first, as in the language and in PyTorch."""

from __future__ import annotations

import numpy as np

from archcalc.executor.kernel import Array, Call, axis_of, each_axis, kernel, padded, starts, windows_of
from archcalc.layers.reshape import (
    ChannelShuffle,
    Flatten,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    Reshape,
    Roll,
    Transpose,
    Unfold,
)

FEW = 16
"""With fewer channels, they are moved one by one, because NumPy would copy one pixel at a time."""
# One by one takes 0.2 to 0.7 times as long for 3 to 8 channels; at 16 on a map of 56x56 it takes 1.7 times as
# long, and on a map of 224x224 0.8 times.


def channels_first(x: Array) -> Array:
    """`(batch, H, W, C)` as `(batch, C, H, W)`."""
    return np.moveaxis(x, -1, 1)


def channels_last(x: Array) -> Array:
    """`(batch, C, H, W)` as `(batch, H, W, C)`, contiguous."""
    moved = np.moveaxis(x, 1, -1)
    if x.shape[1] >= FEW or x.ndim < 3:
        return np.ascontiguousarray(moved)
    out = np.empty(moved.shape, x.dtype)
    for channel in range(x.shape[1]):
        out[..., channel] = x[:, channel]
    return out


@kernel(Flatten)
def flatten(layer: Flatten, call: Call) -> Array:
    return channels_first(call.x).reshape(call.x.shape[0], -1)


@kernel(Reshape)
def reshape(layer: Reshape, call: Call) -> Array:
    return channels_last(channels_first(call.x).reshape(call.x.shape[0], *layer.shape))


@kernel(Permute)
def permute(layer: Permute, call: Call) -> Array:
    axes = (0, *(axis + 1 for axis in layer.dims))
    return channels_last(channels_first(call.x).transpose(axes))


@kernel(ChannelShuffle)
def channel_shuffle(layer: ChannelShuffle, call: Call) -> Array:
    """Channel `i` of group `g` goes to place `i · groups + g`."""
    x = call.x
    split = x.reshape(*x.shape[:-1], layer.groups, x.shape[-1] // layer.groups)
    return np.ascontiguousarray(np.swapaxes(split, -1, -2)).reshape(x.shape)


@kernel(Transpose)
def transpose(layer: Transpose, call: Call) -> Array:
    # the batch moves axes by one; negative axes do not change
    first, second = (dim if dim < 0 else dim + 1 for dim in (layer.dim0, layer.dim1))
    return channels_last(channels_first(call.x).swapaxes(first, second))


@kernel(Roll)
def roll(layer: Roll, call: Call) -> Array:
    return np.roll(call.x, layer.shift, axis_of(layer.dim, call.x))


@kernel(PixelShuffle)
def pixel_shuffle(layer: PixelShuffle, call: Call) -> Array:
    """Channel `c*r*r + i*r + j` of a place is row `i` and column `j` of a square of channel `c`."""
    r, (batch, height, width, channels) = layer.upscale_factor, call.x.shape
    squares = call.x.reshape(batch, height, width, -1, r, r).transpose(0, 1, 4, 2, 5, 3)
    return squares.reshape(batch, height * r, width * r, channels // (r * r))


@kernel(PixelUnshuffle)
def pixel_unshuffle(layer: PixelUnshuffle, call: Call) -> Array:
    """The inverse of `pixel_shuffle`."""
    r, (batch, height, width, channels) = layer.downscale_factor, call.x.shape
    squares = call.x.reshape(batch, height // r, r, width // r, r, channels).transpose(0, 1, 3, 5, 2, 4)
    return squares.reshape(batch, height // r, width // r, channels * r * r)


@kernel(Unfold)
def unfold(layer: Unfold, call: Call) -> Array:
    k, s, d, p = (
        each_axis(value, 2) for value in (layer.kernel_size, layer.stride, layer.dilation, layer.padding)
    )
    sizes = call.x.shape[1:-1]
    counts = [starts(n, *axis) for n, axis in zip(sizes, zip(k, s, d, p, p, strict=True), strict=True)]
    around = padded(call.x, [(n, n) for n in p])
    found = np.moveaxis(windows_of(around, k, s, d, counts), -1, 3)
    return found.reshape(len(call.x), counts[0] * counts[1], -1)
