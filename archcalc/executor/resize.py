"""Kernels of the layers that change a map's size without weights."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from archcalc.executor.kernel import Array, Call, axis_of, each_axis, kernel
from archcalc.layers.resize import Crop, Pad, Slice, Upsample


@kernel(Upsample)
def upsample(layer: Upsample, call: Call) -> Array:
    """Value `o` of `m` is taken at `(o + 1/2) n/m - 1/2`: the nearest value before, or the two around it.

    As `torch.nn.Upsample` without aligned corners: with a `scale_factor`, that factor is the step.
    """
    x = call.x
    rank = x.ndim - 2
    for axis in range(rank):
        n = x.shape[axis + 1]
        if layer.size is not None:
            m, factor = each_axis(layer.size, rank)[axis], None
        else:
            factor = Fraction(each_axis(layer.scale_factor, rank)[axis])
            m = int(n * float(factor))
        if layer.mode == "nearest":
            x = np.take(x, nearest_places(n, m, factor, rank), axis=axis + 1)
        else:
            half = Fraction(1, 2)
            step = Fraction(n, m) if factor is None or n == m else 1 / factor
            x = _linear(x, axis + 1, [max(Fraction(0), (o + half) * step - half) for o in range(m)])
    return x


def nearest_places(n: int, m: int, factor: Fraction | None, rank: int) -> Array:
    """The place of `n` that each of `m` copies along one of `rank` axes, in PyTorch's single precision.

    Rounding may put a copy one place off. On two axes, a factor that leaves or doubles the size is 1 or 2.
    """
    if rank == 2 and m in (n, 2 * n):
        return np.arange(m) * n // m
    step = np.float32(n) / np.float32(m) if factor is None else np.float32(1 / float(factor))
    places: Array = np.floor(np.arange(m, dtype=np.float32) * step).astype(np.int64)
    return np.minimum(places, n - 1)


def _linear(x: Array, axis: int, places: list[Fraction]) -> Array:
    n = x.shape[axis]
    low = [min(int(place), n - 1) for place in places]
    # exactly at a value, the next one has no part: not even if it is no number
    high = [min(at + (place > at), n - 1) for at, place in zip(low, places, strict=True)]
    share = np.array([float(place - int(place)) for place in places], x.dtype)
    share = share.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    out: Array = np.take(x, low, axis=axis) * (1 - share) + np.take(x, high, axis=axis) * share
    return out


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
    kept: tuple[Any, ...] = tuple(
        slice(max(0, -before), n - max(0, -after)) for n, (before, after) in zip(x.shape, ends, strict=True)
    )
    return np.pad(x[kept], [(max(0, before), max(0, after)) for before, after in ends])


@kernel(Crop)
def crop(layer: Crop, call: Call) -> Array:
    """The middle; of an odd remainder the larger part goes at the end."""
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
