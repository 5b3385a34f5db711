"""Kernels of the rearrangements. Order is channels first, as the language and PyTorch have it."""

from __future__ import annotations

import numpy as np

from archcalc.executor.kernel import Array, Call, kernel
from archcalc.layers.reshape import ChannelShuffle, Flatten, Permute, Reshape

FEW = 16
"""Fewer channels are moved one by one: NumPy would copy a pixel at a time."""
# One by one takes 0.2 to 0.7 times as long for 3 to 8 channels; at 16 on a map of 56x56 it takes 1.7 times as
# long, on one of 224x224 0.8 times.


def channels_first(x: Array) -> Array:
    """`(batch, C, H, W)` of `(batch, H, W, C)`."""
    return np.moveaxis(x, -1, 1)


def channels_last(x: Array) -> Array:
    """`(batch, H, W, C)` of `(batch, C, H, W)`, contiguous."""
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
