"""Backward passes of the layers that change the size of a map without weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from archcalc.executor.backward.register import Back, Sent, backward
from archcalc.executor.kernel import Array, axis_of, each_axis
from archcalc.executor.resize import keys_cubic, nearest_places, padded_places, resized_places
from archcalc.layers.resize import Crop, Pad, Slice, Upsample


def _gathered(gradient: Array, axis: int, n: int, places: Sequence[int], shares: Sequence[float]) -> Array:
    """The gradients along an axis, each times its share, added at these places of `n`."""
    sent = np.zeros((*gradient.shape[:axis], n, *gradient.shape[axis + 1 :]), gradient.dtype)
    into, of = np.moveaxis(sent, axis, 0), np.moveaxis(gradient, axis, 0)
    for output, (place, share) in enumerate(zip(places, shares, strict=True)):
        into[place] += of[output] if share == 1 else of[output] * gradient.dtype.type(share)
    return sent


@backward(Upsample)
def upsample(layer: Upsample, back: Back) -> Sent:
    """Works on one axis after the other. The gradient of each output goes to its inputs."""
    g, rank = back.gradient, back.gradient.ndim - 2
    for axis in range(rank):
        n, m = back.x.shape[axis + 1], back.gradient.shape[axis + 1]
        factor = None if layer.size is not None else Fraction(each_axis(layer.scale_factor, rank)[axis])
        if layer.copies:
            copied = nearest_places(layer.mode, n, m, factor, rank).tolist()
            g = _gathered(g, axis + 1, n, copied, [1.0] * m)
            continue
        if layer.mode == "bicubic":
            taps: tuple[int, ...] = (-1, 0, 1, 2)
            places = resized_places(n, m, factor, layer.align_corners)
        else:
            taps = (0, 1)
            places = resized_places(n, m, None if n == m else factor, layer.align_corners)
            places = [min(max(place, Fraction(0)), Fraction(n - 1)) for place in places]
        parts = [_read(g, axis + 1, n, places, tap, len(taps) == 4) for tap in taps]
        g = sum(parts[1:], parts[0])
    return [g], {}


def _read(g: Array, axis: int, n: int, places: Sequence[Fraction], tap: int, cubic: bool) -> Array:
    """The gradient for one tap of each place. Beyond the edges, the tap is at the edge."""
    at = [min(max(math.floor(place) + tap, 0), n - 1) for place in places]
    distances = np.array([abs(float(place - math.floor(place) - tap)) for place in places])
    return _gathered(g, axis, n, at, (keys_cubic(distances) if cubic else 1 - distances).tolist())


@backward(Pad)
def pad(layer: Pad, back: Back) -> Sent:
    g = back.gradient
    padding: Any = layer.padding
    ends: list[tuple[int, int]] = [(0, 0)] * g.ndim
    if layer.dim is not None:
        ends[axis_of(layer.dim, g)] = padding
    else:
        for axis, entry in enumerate(each_axis(padding, g.ndim - 2), start=1):
            ends[axis] = entry if isinstance(entry, tuple) else (entry, entry)
    if layer.mode == "constant":
        return [_put_back(g, back.x.shape, [before for before, _ in ends])], {}
    for axis, (before, after) in enumerate(ends):
        n = back.x.shape[axis]
        if before or after:
            places = padded_places(layer.mode, n, before, after).tolist()
            g = _gathered(g, axis, n, places, [1.0] * len(places))
    return [g if g is not back.gradient else g.copy()], {}


@backward(Crop)
def crop(layer: Crop, back: Back) -> Sent:
    """If an odd number of places was cut off, one more was cut at the end."""
    pairs = zip(back.x.shape, back.gradient.shape, strict=True)
    return [_put_back(back.gradient, back.x.shape, [-((n - m) // 2) for n, m in pairs])], {}


@backward(Slice)
def slice_(layer: Slice, back: Back) -> Sent:
    before = [0] * back.gradient.ndim
    before[axis_of(layer.dim, back.gradient)] = -layer.start
    return [_put_back(back.gradient, back.x.shape, before)], {}


def _put_back(gradient: Array, shape: Sequence[int], before: Sequence[int]) -> Array:
    """A gradient of this shape from one with so many more (or fewer) values before it along each axis."""
    sent = np.zeros(tuple(shape), gradient.dtype)
    to, of = [], []
    for n, m, b in zip(shape, gradient.shape, before, strict=True):
        first, last = max(0, -b), min(n, m - b)
        to.append(slice(first, last))
        of.append(slice(first + b, last + b))
    sent[tuple(to)] = gradient[tuple(of)]
    return sent
