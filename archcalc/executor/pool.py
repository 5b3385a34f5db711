"""Kernels of the pools."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from archcalc.executor.kernel import Array, Call, each_axis, kernel, padded, pads, starts
from archcalc.executor.memory import empty
from archcalc.layers.pool import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    LPPool,
    MaxPool,
    MaxUnpool,
    Subsample,
)


class Taps:
    """The windows of a pool: for each place within the window, the values at that place."""

    def __init__(
        self,
        x: Array,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        ceil_mode: bool,
        fill: float,
    ) -> None:
        rank = x.ndim - 2
        self.kernel_size: tuple[int, ...] = each_axis(kernel_size, rank)
        self.stride: tuple[int, ...] = self.kernel_size if stride is None else each_axis(stride, rank)
        self.dilation: tuple[int, ...] = each_axis(dilation, rank)
        sizes = x.shape[1:-1]
        self.ends = pads(padding, sizes, self.kernel_size, self.stride, self.dilation)
        axes = list(zip(sizes, self.kernel_size, self.stride, self.dilation, self.ends, strict=True))
        self.counts = tuple(starts(n, k, s, d, b, a, ceil_mode) for n, k, s, d, (b, a) in axes)
        # in ceil mode the last window can reach beyond the padding
        behind = [
            max(a, (count - 1) * s + d * (k - 1) + 1 - n - b)
            for count, (n, k, s, d, (b, a)) in zip(self.counts, axes, strict=True)
        ]
        self.x = padded(x, [(b, end) for (b, _), end in zip(self.ends, behind, strict=True)], fill)

    def __iter__(self) -> Iterator[Array]:
        for tap in np.ndindex(*self.kernel_size):
            where = tuple(
                slice(t * d, t * d + (count - 1) * s + 1, s)
                for t, d, s, count in zip(tap, self.dilation, self.stride, self.counts, strict=True)
            )
            yield self.x[(slice(None), *where)]

    def sum(self) -> Array:
        taps = iter(self)
        total = _copy(next(taps))
        for tap in taps:
            total += tap
        return total


def _copy(tap: Array) -> Array:
    out = empty(tap.shape, tap.dtype)
    np.copyto(out, tap)
    return out


@kernel(MaxPool)
def maxpool(layer: MaxPool, call: Call) -> Array:
    """The padding is minus infinity, so it is never the maximum."""
    taps = iter(
        Taps(call.x, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode, -np.inf)
    )
    out = _copy(next(taps))
    for tap in taps:
        np.maximum(out, tap, out=out)
    return out


def _held(taps: Taps, x: Array, padding: bool) -> Array:
    """The number of values in each window.

    Places beyond the padding do not count. The padding counts only with `padding`.
    """
    held = np.ones((1,) * (x.ndim - 2))
    for axis, (n, k, s, d, (before, after), count) in enumerate(
        zip(x.shape[1:-1], taps.kernel_size, taps.stride, taps.dilation, taps.ends, taps.counts, strict=True)
    ):
        at = np.arange(count)[:, None] * s + np.arange(k) * d - before
        low, high = (-before, n + after) if padding else (0, n)
        lengths = np.count_nonzero((low <= at) & (at < high), axis=1)
        shape = [1] * (x.ndim - 2)
        shape[axis] = count
        held = held * lengths.reshape(shape)
    return held[..., None].astype(x.dtype)


@kernel(AvgPool)
def avgpool(layer: AvgPool, call: Call) -> Array:
    """The divisor is the size of the window. Padding counts if so requested, but places beyond it do not.

    A dilated window can lie on padding alone. Its sum is then 0, and so is its mean.
    """
    taps = Taps(call.x, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode, 0.0)
    total = taps.sum()
    if layer.divisor_override is not None:
        total /= layer.divisor_override
    else:
        total /= np.maximum(_held(taps, call.x, layer.count_include_pad), 1)
    return total


@kernel(LPPool)
def lppool(layer: LPPool, call: Call) -> Array:
    """`(sum x^p)^(1/p)` without the absolute value, as in PyTorch.

    The root of a negative sum is NaN. A window that is cut off in ceil mode counts as its mean times the
    kernel size.
    """
    p = layer.norm_type
    taps = Taps(call.x**p, layer.kernel_size, layer.stride, 0, 1, layer.ceil_mode, 0.0)
    total = taps.sum()
    if layer.ceil_mode:
        total *= math.prod(taps.kernel_size) / _held(taps, call.x, padding=True)
    if p == 1:
        return total
    out: Array = total ** (1.0 / p)
    return out.astype(call.x.dtype, copy=False)


@kernel(Subsample)
def subsample(layer: Subsample, call: Call) -> Array:
    total = Taps(call.x, layer.kernel_size, None, 0, 1, False, 0.0).sum()
    out: Array = total * call.weights["weight"] + call.weights["bias"]
    return out


def _spatial(x: Array) -> tuple[int, ...]:
    return tuple(range(1, x.ndim - 1))


@kernel(GlobalAvgPool)
def global_avgpool(layer: GlobalAvgPool, call: Call) -> Array:
    out: Array = call.x.mean(axis=_spatial(call.x), keepdims=True)
    return out


@kernel(GlobalMaxPool)
def global_maxpool(layer: GlobalMaxPool, call: Call) -> Array:
    out: Array = call.x.max(axis=_spatial(call.x), keepdims=True)
    return out


@kernel(AdaptiveAvgPool, AdaptiveMaxPool)
def adaptive(layer: AdaptiveAvgPool | AdaptiveMaxPool, call: Call) -> Array:
    """Window `i` of `m` is from `floor(i n/m)` to `ceil((i+1) n/m)`. Works on one axis after the other.

    The mean of means is the mean, because all windows along an axis that are averaged together have the same
    length.
    """
    x = call.x
    reduce = np.mean if isinstance(layer, AdaptiveAvgPool) else np.max
    for axis, m in enumerate(each_axis(layer.output_size, x.ndim - 2), start=1):
        n = x.shape[axis]
        parts = []
        for i in range(m):
            low, high = i * n // m, ((i + 1) * n + m - 1) // m
            window = (slice(None),) * axis + (slice(low, high),)
            parts.append(reduce(x[window], axis=axis, keepdims=True))
        x = np.concatenate(parts, axis=axis)
    return x


@kernel(MaxUnpool)
def maxunpool(layer: MaxUnpool, call: Call) -> Array:
    """Each value goes to the place of the maximum in the pool's window, with zeros elsewhere.

    `call.inputs` are the values, the pool's output, and the pool's input, which gives the places: the first
    place of each window that equals the maximum. If windows overlap and share a place, the last window's
    value stays, as in PyTorch on one thread.
    """
    values, pooled, before = call.inputs
    windows = layer.pool.windows
    sizes = before.shape[1:-1]
    room = []
    for w, count, n in zip(windows, values.shape[1:-1], sizes, strict=True):
        end = (count - 1) * int(w.stride) + int(w.extent)
        room.append((int(w.before), max(0, end - n - int(w.before))))
    source = padded(before, room, -np.inf)
    out = np.zeros(source.shape, values.dtype)
    waiting = np.ones(values.shape, bool)
    found = []
    for tap in np.ndindex(*(int(w.kernel_size) for w in windows)):
        where = tuple(
            slice(t * w.dilation, t * w.dilation + (count - 1) * int(w.stride) + 1, int(w.stride))
            for t, w, count in zip(tap, windows, values.shape[1:-1], strict=True)
        )
        place = (slice(None), *where)
        here = waiting & (source[place] == pooled)
        waiting &= ~here
        found.append((place, here))
    for place, here in reversed(found):  # the last window over a place covers it with its first tap
        np.copyto(out[place], values, where=here)
    inner = tuple(slice(b, b + n) for (b, _), n in zip(room, sizes, strict=True))
    return np.ascontiguousarray(out[(slice(None), *inner)])
