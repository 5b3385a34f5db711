"""Backward passes of the pools."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from archcalc.executor.backward.register import Back, Sent, backward, keeping
from archcalc.executor.kernel import Array, Call, each_axis, pads
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
        """The unpadded part of a padded map."""
        part = tuple(slice(b, b + n) for (b, _), n in zip(self.ends, self.sizes, strict=True))
        return array[(slice(None), *part)]

    def __iter__(self) -> Iterator[tuple[slice, ...]]:
        """For each tap, its places in all windows."""
        for tap in np.ndindex(*self.kernel_size):
            axes = zip(tap, self.dilation, self.stride, self.counts, strict=True)
            yield (slice(None), *(slice(t * d, t * d + (c - 1) * s + 1, s) for t, d, s, c in axes))

    def spread(self, gradient: Array) -> Array:
        """The gradient of the map, if each value of a window gets the gradient of the window."""
        around = self.padded(len(gradient), gradient.shape[-1], gradient.dtype)
        for place in self:
            around[place] += gradient
        return np.ascontiguousarray(self.inner(around))

    def held(self, padding: bool) -> Array:
        """The number of values in each window, with or without padding, but not beyond the padding."""
        around = self.padded(1, 1, np.float64)
        if padding:
            ends = zip(self.ends, self.sizes, strict=True)
            within = tuple(slice(0, b + n + a) for (b, a), n in ends)
            around[(slice(None), *within)] = 1
        else:
            self.inner(around)[...] = 1
        total: Array = sum((around[place] for place in self), np.zeros(()))
        return total


def _places(layer: Any, x: Array, counts: Sequence[int]) -> Places:
    """The windows of a pool. If a kind lacks an argument, PyTorch's default is used."""
    arguments = (getattr(layer, "stride", None), getattr(layer, "padding", 0), getattr(layer, "dilation", 1))
    return Places(x, counts, layer.kernel_size, *arguments)


# --- Maxima: each gradient goes to the place of the maximum ---


def _numbers(count: int) -> Any:
    """The dtype for the number of a place, out of so many."""
    return np.uint8 if count <= 256 else np.int32


def _first_largest(places: Places, x: Array, out: Array) -> Array:
    """The number of the first tap of each window where `x` equals the maximum, `out`."""
    around = places.padded(len(x), x.shape[-1], x.dtype, -np.inf)
    places.inner(around)[...] = x
    found = np.zeros(out.shape, _numbers(math.prod(places.kernel_size)))
    waiting = np.ones(out.shape, bool)
    for number, place in enumerate(places):
        here = waiting & (around[place] == out)
        found[here] = number
        waiting &= ~here
    return found


@keeping(MaxPool)
def first_largest(layer: MaxPool, call: Call, out: Array) -> Mapping[str, Array]:
    return {"taps": _first_largest(_places(layer, call.x, out.shape[1:-1]), call.x, out)}


@backward(MaxPool)
def maxpool(layer: MaxPool, back: Back) -> Sent:
    """The gradient goes to the first place with the maximum, as in PyTorch."""
    g = back.gradient
    places = _places(layer, back.x, g.shape[1:-1])
    around = places.padded(len(g), g.shape[-1], g.dtype)
    for number, place in enumerate(places):
        around[place] += np.where(back.kept["taps"] == number, g, 0)
    return [np.ascontiguousarray(places.inner(around))], {}


@keeping(GlobalMaxPool)
def first_of_map(layer: GlobalMaxPool, call: Call, out: Array) -> Mapping[str, Array]:
    places = call.x.reshape(len(call.x), -1, call.x.shape[-1])
    return {"taps": places.argmax(axis=1).astype(_numbers(places.shape[1])).reshape(out.shape)}


@backward(GlobalMaxPool)
def global_maxpool(layer: GlobalMaxPool, back: Back) -> Sent:
    """As in `torch.nn.AdaptiveMaxPool2d`, the first of equal values gets the gradient."""
    return [_at_first(back.gradient, back.kept["taps"], back.x.shape[1:-1])], {}


def _at_first(gradient: Array, taps: Array, sizes: Sequence[int]) -> Array:
    """The gradient of each channel at the place with this number, with zeros elsewhere on the map."""
    numbers = np.arange(math.prod(sizes)).reshape(*sizes, 1)
    return np.where(taps == numbers, gradient, gradient.dtype.type(0))


def _adaptive(n: int, m: int) -> list[tuple[int, int]]:
    """The range of each of `m` windows over `n` values."""
    return [(i * n // m, ((i + 1) * n + m - 1) // m) for i in range(m)]


def _adaptive_windows(sizes: Sequence[int], counts: Sequence[int]) -> Iterator[tuple[tuple[int, ...], Any]]:
    """The place of each window, and the part of the map that it reads."""
    axes = [_adaptive(n, m) for n, m in zip(sizes, counts, strict=True)]
    for place in np.ndindex(*counts):
        yield place, tuple(slice(*ends[i]) for ends, i in zip(axes, place, strict=True))


def _at(place: Sequence[int]) -> tuple[slice, ...]:
    """One place of a map, as a map."""
    return (slice(None), *(slice(i, i + 1) for i in place))


@keeping(AdaptiveMaxPool)
def first_of_windows(layer: AdaptiveMaxPool, call: Call, out: Array) -> Mapping[str, Array]:
    """The number of the first maximum in each window, counted row by row."""
    sizes, counts = call.x.shape[1:-1], out.shape[1:-1]
    axes = [_adaptive(n, m) for n, m in zip(sizes, counts, strict=True)]
    largest = math.prod(max(high - low for low, high in ends) for ends in axes)
    found = np.zeros(out.shape, _numbers(largest))
    for place, window in _adaptive_windows(sizes, counts):
        values = call.x[(slice(None), *window)]
        flat = values.reshape(len(values), -1, values.shape[-1])
        found[_at(place)] = flat.argmax(axis=1).reshape(found[_at(place)].shape)
    return {"taps": found}


@backward(AdaptiveMaxPool)
def adaptive_maxpool(layer: AdaptiveMaxPool, back: Back) -> Sent:
    g = back.gradient
    sent = np.zeros(back.x.shape, g.dtype)
    for place, window in _adaptive_windows(sent.shape[1:-1], g.shape[1:-1]):
        part, at = sent[(slice(None), *window)], _at(place)
        part += _at_first(g[at], back.kept["taps"][at], part.shape[1:-1])
    return [sent], {}


def _unpooled(layer: MaxUnpool, before: Array, counts: Sequence[int]) -> Places:
    """The windows of the pool that is undone."""
    windows = layer.pool.windows
    return Places(
        before,
        counts,
        tuple(int(w.kernel_size) for w in windows),
        tuple(int(w.stride) for w in windows),
        tuple((int(w.before), int(w.after)) for w in windows),
        tuple(w.dilation for w in windows),
    )


@keeping(MaxUnpool)
def places_of_pool(layer: MaxUnpool, call: Call, out: Array) -> Mapping[str, Array]:
    values, pooled, before = call.inputs
    return {"taps": _first_largest(_unpooled(layer, before, values.shape[1:-1]), before, pooled)}


@backward(MaxUnpool)
def maxunpool(layer: MaxUnpool, back: Back) -> Sent:
    """Each value gets the gradient of its place, if its place has this value and not another one.

    PyTorch gives the gradient to all values of a place, including those that were overwritten.
    """
    g, taps = back.gradient, back.kept["taps"]
    counts = back.x.shape[1:-1]
    places = _unpooled(layer, g, counts)
    around = places.padded(len(g), g.shape[-1], g.dtype)
    places.inner(around)[...] = g
    # the last window over a place covers it with its first tap
    taken = np.zeros(around.shape, bool)
    sent = np.zeros(back.x.shape, g.dtype)
    for number, place in enumerate(places):
        here = (taps == number) & ~taken[place]
        sent[here] = around[place][here]
        taken[place] |= here
    return [sent, None], {}


# --- Sums and means ---


@backward(AvgPool)
def avgpool(layer: AvgPool, back: Back) -> Sent:
    """The divisor is the size of the window. Padding counts if so requested, but places beyond it do not."""
    g = back.gradient
    places = _places(layer, back.x, g.shape[1:-1])
    if layer.divisor_override is not None:
        return [places.spread(g / g.dtype.type(layer.divisor_override))], {}
    held = np.maximum(places.held(layer.count_include_pad), 1).astype(g.dtype)
    return [places.spread(g / held)], {}


@backward(LPPool)
def lppool(layer: LPPool, back: Back) -> Sent:
    """For `y = (s sum x^p)^(1/p)`: `x^(p-1) · sum of s g / y^(p-1)` over the windows that contain the input.

    An output of 0 sends no gradient, as in PyTorch. PyTorch sends none with `norm_type=1` either, although
    the pool is then a sum, which has a derivative everywhere.
    """
    g, p = back.gradient, layer.norm_type
    places = _places(layer, back.x, g.shape[1:-1])
    if layer.ceil_mode:
        g = g * (math.prod(places.kernel_size) / places.held(padding=True)).astype(g.dtype)
    if p == 1:
        return [places.spread(g)], {}
    shares = np.where(back.output == 0, g.dtype.type(0), g / back.output ** (p - 1))
    return [back.x ** (p - 1) * places.spread(shares)], {}


@keeping(Subsample)
def sums_of_windows(layer: Subsample, call: Call, out: Array) -> Mapping[str, Array]:
    total = np.zeros(out.shape, out.dtype)
    for place in _places(layer, call.x, out.shape[1:-1]):
        total += call.x[place]
    return {"sums": total}


@backward(Subsample)
def subsample(layer: Subsample, back: Back) -> Sent:
    g, axes = back.gradient, tuple(range(back.gradient.ndim - 1))
    arrays = {}
    if "weight" in back.needs.trained:
        arrays["weight"] = (g * back.kept["sums"]).sum(axis=axes)
    if "bias" in back.needs.trained:
        arrays["bias"] = g.sum(axis=axes)
    if not back.any_input:
        return [None], arrays
    return [_places(layer, back.x, g.shape[1:-1]).spread(g * back.weights["weight"])], arrays


@backward(GlobalAvgPool)
def global_avgpool(layer: GlobalAvgPool, back: Back) -> Sent:
    places = math.prod(back.x.shape[1:-1])
    share = back.gradient / back.gradient.dtype.type(places)
    return [np.broadcast_to(share, back.x.shape).copy()], {}


@backward(AdaptiveAvgPool)
def adaptive_avgpool(layer: AdaptiveAvgPool, back: Back) -> Sent:
    g = back.gradient
    sent = np.zeros(back.x.shape, g.dtype)
    for place, window in _adaptive_windows(sent.shape[1:-1], g.shape[1:-1]):
        part = sent[(slice(None), *window)]
        part += g[_at(place)] / g.dtype.type(math.prod(part.shape[1:-1]))
    return [sent], {}
