"""Backward passes of the pools."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from archcalc.executor.backward.register import Back, Sent, backward, keeping
from archcalc.executor.kernel import Array, Call, each_axis, pads
from archcalc.layers.pool import GlobalAvgPool, MaxPool


class Places:
    """A padded map of zeros, and the part of it under each tap of a window."""

    def __init__(
        self, x: Array, counts: Sequence[int], kernel_size: Any, stride: Any, padding: Any, dilation: Any
    ) -> None:
        rank = x.ndim - 2
        self.counts = counts
        self.kernel_size: tuple[int, ...] = each_axis(kernel_size, rank)
        self.stride: tuple[int, ...] = self.kernel_size if stride is None else each_axis(stride, rank)
        self.dilation: tuple[int, ...] = each_axis(dilation, rank)
        sizes = x.shape[1:-1]
        self.ends = pads(padding, sizes, self.kernel_size, self.stride, self.dilation)
        self.sizes = sizes
        axes = zip(sizes, self.ends, counts, self.kernel_size, self.stride, self.dilation, strict=True)
        self.room = [max(n + b + a, (c - 1) * s + d * (k - 1) + 1) for n, (b, a), c, k, s, d in axes]

    def padded(self, batch: int, channels: int, dtype: Any, fill: float = 0.0) -> Array:
        return np.full((batch, *self.room, channels), fill, dtype)

    def inner(self, array: Array) -> Array:
        """The part of a padded map that is the map."""
        part = tuple(slice(b, b + n) for (b, _), n in zip(self.ends, self.sizes, strict=True))
        return array[(slice(None), *part)]

    def __iter__(self) -> Iterator[tuple[slice, ...]]:
        """For each tap, where it lies at all places of the window."""
        for tap in np.ndindex(*self.kernel_size):
            axes = zip(tap, self.dilation, self.stride, self.counts, strict=True)
            yield (slice(None), *(slice(t * d, t * d + (c - 1) * s + 1, s) for t, d, s, c in axes))


def _places(layer: MaxPool, x: Array, counts: Sequence[int]) -> Places:
    return Places(x, counts, layer.kernel_size, layer.stride, layer.padding, layer.dilation)


@keeping(MaxPool)
def first_largest(layer: MaxPool, call: Call, out: Array) -> Mapping[str, Array]:
    """The number of the first tap with the largest value of each window."""
    places = _places(layer, call.x, out.shape[1:-1])
    around = places.padded(len(call.x), call.x.shape[-1], call.x.dtype, -np.inf)
    places.inner(around)[...] = call.x
    taps = math.prod(places.kernel_size)
    found = np.zeros(out.shape, np.uint8 if taps <= 256 else np.int32)
    waiting = np.ones(out.shape, bool)
    for number, place in enumerate(places):
        here = waiting & (around[place] == out)
        found[here] = number
        waiting &= ~here
    return {"taps": found}


@backward(MaxPool)
def maxpool(layer: MaxPool, back: Back) -> Sent:
    """The gradient goes to the first place with the largest value, as in PyTorch."""
    g = back.gradient
    places = _places(layer, back.x, g.shape[1:-1])
    around = places.padded(len(g), g.shape[-1], g.dtype)
    for number, place in enumerate(places):
        around[place] += np.where(back.kept["taps"] == number, g, 0)
    return [np.ascontiguousarray(places.inner(around))], {}


@backward(GlobalAvgPool)
def global_avgpool(layer: GlobalAvgPool, back: Back) -> Sent:
    places = math.prod(back.x.shape[1:-1])
    share = back.gradient / back.gradient.dtype.type(places)
    return [np.broadcast_to(share, back.x.shape).copy()], {}
