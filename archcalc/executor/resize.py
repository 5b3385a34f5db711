"""Kernels of the layers that change the size of a map without weights."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from archcalc.executor.kernel import Array, Call, axis_of, each_axis, kernel
from archcalc.layers.resize import Crop, Pad, Slice, Upsample


@kernel(Upsample)
def upsample(layer: Upsample, call: Call) -> Array:
    """Works on one axis after the other. With a `scale_factor`, that factor is the step."""
    x = call.x
    rank = x.ndim - 2
    for axis in range(rank):
        n = x.shape[axis + 1]
        if layer.size is not None:
            m, factor = each_axis(layer.size, rank)[axis], None
        else:
            factor = Fraction(each_axis(layer.scale_factor, rank)[axis])
            m = int(n * float(factor))
        if layer.copies:
            x = np.take(x, nearest_places(layer.mode, n, m, factor, rank), axis=axis + 1)
        elif layer.mode == "bicubic":
            x = _cubic(x, axis + 1, resized_places(n, m, factor, layer.align_corners))
        else:
            as_if = None if n == m else factor
            places = resized_places(n, m, as_if, layer.align_corners)
            x = _linear(x, axis + 1, [max(Fraction(0), place) for place in places])
    return x


def resized_places(n: int, m: int, factor: Fraction | None, align_corners: bool) -> list[Fraction]:
    """The places of `m` outputs of `n` inputs: `(o + 1/2) n/m - 1/2`, or from the first input to the last."""
    if align_corners:
        step = Fraction(n - 1, m - 1) if m > 1 else Fraction(0)
        return [o * step for o in range(m)]
    half = Fraction(1, 2)
    step = Fraction(n, m) if factor is None else 1 / factor
    return [(o + half) * step - half for o in range(m)]


def nearest_places(mode: str, n: int, m: int, factor: Fraction | None, rank: int) -> Array:
    """The place that each of `m` copies comes from along one of `rank` axes, in PyTorch's single precision.

    Rounding can move a copy by one place. On two axes, `nearest` uses a scale of 1 or 2 for a factor that
    keeps or doubles the size.
    """
    if mode == "nearest" and rank == 2 and m in (n, 2 * n):
        return np.arange(m) * n // m
    step = np.float32(n) / np.float32(m) if factor is None else np.float32(1 / float(factor))
    shift = np.float32(0.5 if mode == "nearest_exact" else 0)
    places: Array = np.floor((np.arange(m, dtype=np.float32) + shift) * step).astype(np.int64)
    return np.minimum(places, n - 1)


def _linear(x: Array, axis: int, places: list[Fraction]) -> Array:
    n = x.shape[axis]
    low = [min(int(place), n - 1) for place in places]
    # exactly at a value, the next value does not count, even if it is NaN
    high = [min(at + (place > at), n - 1) for at, place in zip(low, places, strict=True)]
    share = _along(x, axis, [float(place - int(place)) for place in places])
    out: Array = np.take(x, low, axis=axis) * (1 - share) + np.take(x, high, axis=axis) * share
    return out


CUBIC = -0.75
"""The parameter of Keys' cubic, as in PyTorch."""


def _cubic(x: Array, axis: int, places: list[Fraction]) -> Array:
    """Reads the two values on each side. All four are read, even if three of them have the weight 0."""
    n = x.shape[axis]
    low = np.array([math.floor(place) for place in places])
    shares = np.array([float(place - math.floor(place)) for place in places])
    out: Array | None = None
    for tap in (-1, 0, 1, 2):
        weights = _along(x, axis, keys_cubic(np.abs(shares - tap)))
        part: Array = np.take(x, np.clip(low + tap, 0, n - 1), axis=axis) * weights
        out = part if out is None else out + part
    assert out is not None
    return out


def keys_cubic(distance: Array) -> Array:
    """The weight of a value at this distance: 1 at 0, and 0 at 1 and from 2 on."""
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance - 4
    return np.where(distance <= 1, near, CUBIC * far)


def _along(x: Array, axis: int, values: Any) -> Array:
    """Values along an axis of `x`, in the precision of `x`."""
    return np.asarray(values, x.dtype).reshape([-1 if i == axis else 1 for i in range(x.ndim)])


@kernel(Pad)
def pad(layer: Pad, call: Call) -> Array:
    x = call.x
    padding: Any = layer.padding
    ends: list[tuple[int, int]] = [(0, 0)] * x.ndim
    if layer.dim is not None:
        ends[axis_of(layer.dim, x)] = padding
    else:
        for axis, entry in enumerate(each_axis(padding, x.ndim - 2), start=1):
            ends[axis] = entry if isinstance(entry, tuple) else (entry, entry)
    if layer.mode != "constant":
        for axis, (before, after) in enumerate(ends):
            if before or after:
                x = np.take(x, padded_places(layer.mode, x.shape[axis], before, after), axis=axis)
        return x if x is not call.x else x.copy()
    kept: tuple[Any, ...] = tuple(
        slice(max(0, -before), n - max(0, -after)) for n, (before, after) in zip(x.shape, ends, strict=True)
    )
    added = [(max(0, before), max(0, after)) for before, after in ends]
    return np.pad(x[kept], added, constant_values=float(layer.value))


def padded_places(mode: str, n: int, before: int, after: int) -> Array:
    """The place that each place takes its value from, for the modes that take values from the map.

    As in PyTorch, `reflect` turns back at the edges of the map, even if these are cropped, and `circular`
    continues around what is left after cropping.
    """
    place: Array = np.arange(-before, n + after)
    if mode == "circular":
        first, left = max(0, -before), n + min(0, before) + min(0, after)
        around: Array = first + (place - first) % left
        return around
    if mode == "reflect":
        inside = np.abs(place)
        folded: Array = np.minimum(inside, 2 * (n - 1) - inside)
        return folded
    return np.clip(place, 0, n - 1)


@kernel(Crop)
def crop(layer: Crop, call: Call) -> Array:
    """The middle of the map. If an odd number is cut off, one more is cut at the end."""
    x = call.x
    kept: list[Any] = [slice(None)]
    for n, want in zip(x.shape[1:-1], each_axis(layer.size, x.ndim - 2), strict=True):
        first = (n - want) // 2
        kept.append(slice(first, first + want))
    return np.ascontiguousarray(x[tuple(kept)])


@kernel(Slice)
def slice_(layer: Slice, call: Call) -> Array:
    kept: list[Any] = [slice(None)] * call.x.ndim
    kept[axis_of(layer.dim, call.x)] = slice(layer.start, layer.end)
    return np.ascontiguousarray(call.x[tuple(kept)])
