"""Backward passes of the layers that only rearrange values."""

from __future__ import annotations

import numpy as np

from archcalc.executor.backward.pool import Places
from archcalc.executor.backward.register import Back, Sent, backward
from archcalc.executor.kernel import axis_of, each_axis, starts
from archcalc.executor.reshape import channels_first
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


@backward(Flatten, Reshape)
def in_shape(layer: Flatten | Reshape, back: Back) -> Sent:
    """The same values in the input's shape."""
    batch, *axes = back.x.shape
    ordered = channels_first(back.gradient).reshape(batch, axes[-1], *axes[:-1])
    return [np.moveaxis(ordered, 1, -1)], {}


@backward(Permute)
def permute(layer: Permute, back: Back) -> Sent:
    axes = (0, *(1 + layer.dims.index(axis) for axis in range(len(layer.dims))))
    return [np.moveaxis(channels_first(back.gradient).transpose(axes), 1, -1)], {}


@backward(Transpose)
def transpose(layer: Transpose, back: Back) -> Sent:
    first, second = (dim if dim < 0 else dim + 1 for dim in (layer.dim0, layer.dim1))
    return [np.moveaxis(channels_first(back.gradient).swapaxes(first, second), 1, -1)], {}


@backward(ChannelShuffle)
def channel_shuffle(layer: ChannelShuffle, back: Back) -> Sent:
    g = back.gradient
    split = g.reshape(*g.shape[:-1], g.shape[-1] // layer.groups, layer.groups)
    return [np.ascontiguousarray(np.swapaxes(split, -1, -2)).reshape(g.shape)], {}


@backward(Roll)
def roll(layer: Roll, back: Back) -> Sent:
    return [np.roll(back.gradient, -layer.shift, axis_of(layer.dim, back.gradient))], {}


@backward(PixelShuffle)
def pixel_shuffle(layer: PixelShuffle, back: Back) -> Sent:
    """Each square of places becomes channels again."""
    r, (batch, height, width, channels) = layer.upscale_factor, back.x.shape
    squares = back.gradient.reshape(batch, height, r, width, r, -1).transpose(0, 1, 3, 5, 2, 4)
    return [squares.reshape(batch, height, width, channels)], {}


@backward(PixelUnshuffle)
def pixel_unshuffle(layer: PixelUnshuffle, back: Back) -> Sent:
    """Channels become squares of places again."""
    r, (batch, height, width, channels) = layer.downscale_factor, back.x.shape
    squares = back.gradient.reshape(batch, height // r, width // r, channels, r, r)
    return [squares.transpose(0, 1, 4, 2, 5, 3).reshape(back.x.shape)], {}


@backward(Unfold)
def unfold(layer: Unfold, back: Back) -> Sent:
    """Each value is added to the place where it was read, tap by tap (`torch.nn.functional.fold`)."""
    batch, *sizes, channels = back.x.shape
    k, s, d, p = (
        each_axis(value, 2) for value in (layer.kernel_size, layer.stride, layer.dilation, layer.padding)
    )
    counts = [starts(n, *axis) for n, axis in zip(sizes, zip(k, s, d, p, p, strict=True), strict=True)]
    places = Places(back.x, counts, k, s, p, d)
    around = places.padded(batch, channels, back.gradient.dtype)
    columns = back.gradient.reshape(batch, *counts, channels, -1)
    for number, place in enumerate(places):
        around[place] += columns[..., number]
    return [np.ascontiguousarray(places.inner(around))], {}
