"""What layers compute, value by value, in slow loops written from their definitions.

Nothing here knows archcalc's kernels or shape rules. Every function takes one sample, channels first,
and computes one output value after the other; `BY_KIND` has one for each layer kind. Where windows
stand comes from `oracle`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import oracle

Array = np.ndarray
Weights = Mapping[str, Array]


# --- Convolutions -----------------------------------------------------------------------------------


def _convolution(x: Array, weight_of: Callable[..., Array], reads: Any, args: Sequence[Any]) -> Array:
    """`reads` lists the input maps of each output map, `weight_of` is a kernel: of an output map, the
    how-manieth of its input maps, and a place."""
    values = {}
    for place, patch in oracle.patches(x, *args):
        for out, maps in enumerate(reads):
            total = 0.0
            for number, source in enumerate(maps):
                total += float((patch[source] * weight_of(out, number, place)).sum())
            values[(out, *place)] = total
    return _filled(values)


def _filled(values: Mapping[tuple[int, ...], float]) -> Array:
    out = np.full([max(axis) + 1 for axis in zip(*values, strict=True)], np.nan)
    for place, value in values.items():
        out[place] = value
    return out


def _biased(out: Array, weights: Weights) -> Array:
    if "bias" not in weights:
        return out
    return np.stack([one + bias for one, bias in zip(out, weights["bias"], strict=True)])


def _window(layer: Any) -> tuple[Any, ...]:
    return layer.kernel_size, layer.stride, layer.padding, getattr(layer, "dilation", 1)


def conv(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,), weight = xs, weights["weight"]
    if layer.connections is not None:
        ends = list(itertools.accumulate(map(len, layer.connections), initial=0))
        out = _convolution(x, lambda o, i, place: weight[..., ends[o] + i], layer.connections, _window(layer))
    else:
        reads = oracle.in_groups(x.shape[0], layer.out_channels, layer.groups)
        out = _convolution(x, lambda o, i, place: weight[..., i, o], reads, _window(layer))
    return _biased(out, weights)


def depthwise(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,), weight = xs, weights["weight"]
    reads = [[c] for c in range(x.shape[0]) for _ in range(layer.multiplier)]
    return _biased(_convolution(x, lambda o, i, place: weight[..., o], reads, _window(layer)), weights)


def pointwise(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,) = xs
    weight = weights["weight"].reshape(x.shape[0], layer.out_channels)
    out = np.empty((layer.out_channels, *x.shape[1:]))
    for o, *place in np.ndindex(out.shape):
        out[(o, *place)] = sum(x[(i, *place)] * weight[i, o] for i in range(x.shape[0]))
    return _biased(out, weights)


def local(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,), weight = xs, weights["weight"]
    reads = [range(x.shape[0])] * layer.out_channels
    out = _convolution(x, lambda o, i, place: weight[(..., i, o, *place)], reads, _window(layer))
    return out + weights["bias"] if "bias" in weights else out


def conv_transpose(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    """Every value of the input, times a kernel, is added to the output around its place."""
    (x,), weight = xs, weights["weight"]
    rank = x.ndim - 1
    k, s, d, e = (
        oracle.each(value, rank)
        for value in (layer.kernel_size, layer.stride, layer.dilation, layer.output_padding)
    )
    size_in, size_out = x.shape[0] // layer.groups, layer.out_channels // layer.groups
    sums: dict[tuple[int, ...], float] = {}
    for source, *place in np.ndindex(x.shape):
        for tap in np.ndindex(*k):
            at = tuple(a * s_ + t * d_ for a, s_, t, d_ in zip(place, s, tap, d, strict=True))
            for o in range(size_out):
                to = (source // size_in * size_out + o, *at)
                sums[to] = sums.get(to, 0.0) + float(x[(source, *place)] * weight[(*tap, source, o)])
    last = [max(at[1 + axis] for at in sums) for axis in range(rank)]
    if layer.padding == "same":  # what a convolution with this padding would read to give the input's places
        sizes = [n * s_ for n, s_ in zip(x.shape[1:], s, strict=True)]
        p = [oracle.same_padding(*axis)[0] for axis in zip(sizes, k, s, d, strict=True)]
    else:
        ends = [p_ if isinstance(p_, tuple) else (p_, p_) for p_ in oracle.each(layer.padding, rank)]
        p = [before for before, _ in ends]
        sizes = [m + 1 + e_ - sum(both) for m, e_, both in zip(last, e, ends, strict=True)]
    out = np.zeros((layer.out_channels, *sizes))
    for (o, *at), value in sums.items():
        where = (o, *(a - p_ for a, p_ in zip(at, p, strict=True)))
        if all(0 <= a < n for a, n in zip(where, out.shape, strict=True)):
            out[where] = value
    return _biased(out, weights)


def deform_conv(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    """Dai et al. 2017, Equations 2 to 4: the sum over all values of the map, each times `G(q, p)`."""
    x, offset, weight = xs[0], xs[1], weights["weight"]
    kernel = weight.shape[:2]
    s, d = oracle.each(layer.stride, 2), oracle.each(layer.dilation, 2)
    around = oracle.paddings(layer.padding, x.shape[1:], layer.kernel_size, layer.stride, layer.dilation)
    reads = oracle.in_groups(x.shape[0], layer.out_channels, layer.groups)
    moved = x.shape[0] // (offset.shape[0] // (2 * math.prod(kernel)))  # channels that move together
    out = np.zeros((layer.out_channels, *offset.shape[1:]))
    for *place, number in np.ndindex(*offset.shape[1:], math.prod(kernel)):
        tap = np.unravel_index(number, kernel)
        read = []
        for channel in range(x.shape[0]):
            of_tap = channel // moved * math.prod(kernel) + number
            at = [
                p * s_ + t * d_ - before + offset[(2 * of_tap + axis, *place)]
                for axis, (p, s_, t, d_, (before, _)) in enumerate(zip(place, s, tap, d, around, strict=True))
            ]
            hats = [np.maximum(0, 1 - np.abs(a - np.arange(n))) for a, n in zip(at, x.shape[1:], strict=True)]
            value = float((np.outer(*hats) * x[channel]).sum())
            read.append(value * xs[2][(of_tap, *place)] if layer.mask is not None else value)
        for o, maps in enumerate(reads):
            out[(o, *place)] += sum(read[source] * weight[(*tap, i, o)] for i, source in enumerate(maps))
    return _biased(out, weights)


def fc(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,), weight = xs, weights["weight"]
    out = np.array([sum(x[i] * weight[i, o] for i in range(len(x))) for o in range(layer.out_features)])
    return _biased(out, weights)


def rbf(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,), w = xs, weights["prototypes"]
    return np.array([sum((x[i] - w[i, o]) ** 2 for i in range(len(x))) for o in range(layer.out_features)])


# --- Pools ------------------------------------------------------------------------------------------


def _pool(
    x: Array,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    reduce: Callable[[list[float], int], float],
) -> Array:
    """`reduce` gets the values of a window that lie on the map, and how many lie on map or padding."""
    rank = x.ndim - 1
    k, d = oracle.each(kernel_size, rank), oracle.each(dilation, rank)
    s = k if stride is None else oracle.each(stride, rank)
    around = oracle.paddings(padding, x.shape[1:], k, s, d)
    rows = []
    for n, (before, after), k_, s_, d_ in zip(x.shape[1:], around, k, s, d, strict=True):
        if ceil_mode:
            rows.append(oracle.ceil_starts(before, n, after, k_, s_, d_))
        else:
            rows.append(oracle.starts(before + n + after, k_, s_, d_))
    values = {}
    for channel in range(x.shape[0]):
        for place in itertools.product(*(range(len(row)) for row in rows)):
            inside, padded = [], 0
            for tap in np.ndindex(*k):
                at = [r[i] + t * d_ for r, i, t, d_ in zip(rows, place, tap, d, strict=True)]
                if all(a < b + n + c for a, n, (b, c) in zip(at, x.shape[1:], around, strict=True)):
                    padded += 1
                where = [a - b for a, (b, _) in zip(at, around, strict=True)]
                if all(0 <= a < n for a, n in zip(where, x.shape[1:], strict=True)):
                    inside.append(float(x[(channel, *where)]))
            values[(channel, *place)] = reduce(inside, padded)
    return _filled(values)


def maxpool(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    return _pool(
        xs[0], layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode,
        lambda inside, padded: max(inside, default=-math.inf),
    )  # fmt: skip


def avgpool(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    return _pool(
        xs[0], layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode,
        lambda inside, padded: sum(inside)
        / (layer.divisor_override or (padded if layer.count_include_pad else len(inside) or 1)),
    )  # fmt: skip


def lppool(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    area = math.prod(oracle.each(layer.kernel_size, xs[0].ndim - 1))

    def norm(inside: list[float], padded: int) -> float:
        """What PyTorch computes: the mean times the size of the kernel, and no root of what is negative."""
        total = sum(value**layer.norm_type for value in inside) / len(inside) * area
        return total if layer.norm_type == 1 else math.nan if total < 0 else total ** (1 / layer.norm_type)

    return _pool(xs[0], layer.kernel_size, layer.stride, 0, 1, layer.ceil_mode, norm)


def subsample(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    sums = _pool(xs[0], layer.kernel_size, None, 0, 1, False, lambda inside, padded: sum(inside))
    return _biased(
        np.stack([one * scale for one, scale in zip(sums, weights["weight"], strict=True)]), weights
    )


def _adaptive(x: Array, output_size: Any, reduce: Callable[[list[float]], float]) -> Array:
    """Place `i` of `m` reads the values that the `i`-th part of the map, cut in `m` equal parts, touches."""
    rows = [
        [[v for v in range(n) if v * m < (i + 1) * n and (v + 1) * m > i * n] for i in range(m)]
        for n, m in zip(x.shape[1:], oracle.each(output_size, x.ndim - 1), strict=True)
    ]
    values = {}
    for channel in range(x.shape[0]):
        for place in itertools.product(*(range(len(row)) for row in rows)):
            taps = itertools.product(*(row[i] for row, i in zip(rows, place, strict=True)))
            values[(channel, *place)] = reduce([float(x[(channel, *tap)]) for tap in taps])
    return _filled(values)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def maxunpool(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    """From the values and the pool's input; its output is not needed. A later value replaces an earlier."""
    values, _, before = xs
    out = np.zeros(before.shape)
    for channel, *place in np.ndindex(values.shape):
        best: tuple[float, tuple[int, ...]] = (-math.inf, ())
        for tap in np.ndindex(*(int(w.kernel_size) for w in layer.pool.windows)):
            at = tuple(
                int(p * w.stride + t * w.dilation - w.before)
                for p, t, w in zip(place, tap, layer.pool.windows, strict=True)
            )
            if all(0 <= a < n for a, n in zip(at, before.shape[1:], strict=True)):
                best = max(best, (float(before[(channel, *at)]), at), key=lambda pair: pair[0])
        if best[1]:
            out[(channel, *best[1])] = values[(channel, *place)]
    return out


# --- One value at a time ----------------------------------------------------------------------------


def each_value(function: Callable[[Any, float], float]) -> Callable[..., Array]:
    def apply(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
        return np.array([function(layer, float(v)) for v in xs[0].flat]).reshape(xs[0].shape)

    return apply


def _elu(x: float, alpha: float) -> float:
    return x if x > 0 else alpha * (math.exp(x) - 1)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _gelu(layer: Any, x: float) -> float:
    if layer.approximate == "tanh":
        return x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x / 2 * (1 + math.erf(x / math.sqrt(2)))


def _relu6(x: float) -> float:
    return min(max(x, 0.0), 6.0)


def prelu(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,), slopes = xs, weights["weight"]
    out = x.copy()
    for at in np.ndindex(x.shape):
        if x[at] <= 0:
            out[at] = x[at] * slopes[at[0] if len(slopes) > 1 else 0]
    return out


def axis_of(dim: str, x: Array) -> int:
    names = {2: ["length"], 3: ["height", "width"], 4: ["depth", "height", "width"]}
    numbered = [f"axis{number}" for number in range(1, x.ndim)]
    return ["channels", *names.get(x.ndim, numbered if x.ndim > 4 else [])].index(dim)


def softmax(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    def one(values: Array) -> Array:
        total = math.fsum(math.exp(v) for v in values)
        return np.array([math.exp(v) / total for v in values])

    return np.apply_along_axis(one, axis_of(layer.dim, xs[0]), xs[0])


def log_softmax(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    def one(values: Array) -> Array:
        total = math.fsum(math.exp(v) for v in values)
        return np.array([math.log(math.exp(v) / total) for v in values])

    return np.apply_along_axis(one, axis_of(layer.dim, xs[0]), xs[0])


def glu(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    def one(values: Array) -> Array:
        half = len(values) // 2
        return np.array([values[i] * _sigmoid(values[half + i]) for i in range(half)])

    return np.apply_along_axis(one, axis_of(layer.dim, xs[0]), xs[0])


def _real(function: Callable[[float], float], x: float) -> float:
    """A value of a function, or NaN where it has none."""
    try:
        return function(x)
    except ValueError:
        return math.nan


def _power(x: float, exponent: float) -> float:
    power = x**exponent
    return math.nan if isinstance(power, complex) else power


def _softplus(x: float, beta: float, threshold: float) -> float:
    return x if beta * x > threshold else math.log(1 + math.exp(beta * x)) / beta


def _clamp(x: float, low: Any, high: Any) -> float:
    x = x if low is None else max(x, float(low))
    return x if high is None else min(x, float(high))


def _variance(values: list[float], correction: int) -> float:
    mean = _mean(values)
    return math.fsum((v - mean) ** 2 for v in values) / (len(values) - correction)


def reduce(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,) = xs
    names = layer.dim if isinstance(layer.dim, tuple) else (layer.dim,)
    axes = set(range(1, x.ndim)) if layer.dim is None else {axis_of(name, x) for name in names}
    groups: dict[tuple[int, ...], list[float]] = {}
    for at in np.ndindex(x.shape):
        place = tuple(0 if axis in axes else a for axis, a in enumerate(at))
        if not layer.keepdim:
            place = tuple(a for axis, a in enumerate(at) if axis not in axes)
        groups.setdefault(place, []).append(float(x[at]))
    function: dict[str, Callable[[list[float]], float]] = {
        "sum": math.fsum,
        "mean": _mean,
        "max": max,
        "min": min,
        "var": lambda values: _variance(values, layer.correction),
        "norm": lambda values: math.sqrt(math.fsum(v * v for v in values)),
    }
    return _filled({place: function[layer.op](values) for place, values in groups.items()})


def nothing(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    return xs[0]


# --- Normalisation ----------------------------------------------------------------------------------


def _standard(values: Array, eps: float) -> Array:
    mean = _mean(list(values.flat))
    variance = _mean([(v - mean) ** 2 for v in values.flat])
    return np.array([(v - mean) / math.sqrt(variance + eps) for v in values.flat]).reshape(values.shape)


def _scaled(out: Array, weights: Weights) -> Array:
    """A scale and a shift for each channel."""
    if "weight" in weights:
        out = np.stack([one * scale for one, scale in zip(out, weights["weight"], strict=True)])
    return _biased(out, weights)


def bn(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,), eps = xs, float(layer.eps)
    out = np.stack(
        [
            (one - mean) / math.sqrt(variance + eps)
            for one, mean, variance in zip(x, weights["running_mean"], weights["running_var"], strict=True)
        ]
    )
    return _scaled(out, weights)


def bn_of_batch(layer: Any, batch: Array, weights: Weights) -> Array:
    """As in training: with the mean and the variance of each channel over the batch."""
    out = np.stack([_standard(batch[:, c], float(layer.eps)) for c in range(batch.shape[1])], axis=1)
    return np.stack([_scaled(sample, weights) for sample in out])


def lrn(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,), out = xs, np.empty(xs[0].shape)
    for c, *place in np.ndindex(x.shape):
        near = range(c - layer.size // 2, c + (layer.size - 1) // 2 + 1)
        total = math.fsum(x[(j, *place)] ** 2 for j in near if 0 <= j < x.shape[0])
        base = float(layer.k) + float(layer.alpha) / layer.size * total
        out[(c, *place)] = x[(c, *place)] / base ** float(layer.beta)
    return out


def layer_norm(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,), eps = xs, float(layer.eps)
    if layer.dim == "all":
        out = _standard(x, eps)
        out = out * weights["weight"] if "weight" in weights else out
        return out + weights["bias"] if "bias" in weights else out
    out = np.empty(x.shape)
    for place in np.ndindex(x.shape[1:]):
        out[(slice(None), *place)] = _standard(x[(slice(None), *place)], eps)
    return _scaled(out, weights)


def group_norm(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    groups = getattr(layer, "num_groups", xs[0].shape[0])
    parts = np.split(xs[0], groups)
    return _scaled(np.concatenate([_standard(part, float(layer.eps)) for part in parts]), weights)


def grn(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,) = xs
    norms = [math.sqrt(math.fsum(v * v for v in one.flat)) for one in x]
    relative = [norm / (_mean(norms) + float(layer.eps)) for norm in norms]
    rows = zip(x, relative, weights["weight"], weights["bias"], strict=True)
    return np.stack([gamma * (one * n) + beta + one for one, n, gamma, beta in rows])


def layer_scale(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    shifts = weights["bias"] if layer.bias else [0] * len(xs[0])
    rows = zip(xs[0], weights["weight"], shifts, strict=True)
    return np.stack([one * factor + shift for one, factor, shift in rows])


# --- Places -----------------------------------------------------------------------------------------


def _hat(distance: Fraction) -> Fraction:
    return max(1 - distance, Fraction(0))


def _keys_cubic(distance: Fraction) -> Fraction:
    """Keys 1981, Equation 8, which has its parameter as `a`."""
    s, a = distance, Fraction(-3, 4)
    if s <= 1:
        return (a + 2) * s**3 - (a + 3) * s**2 + 1
    return a * s**3 - 5 * a * s**2 + 8 * a * s - 4 * a if s < 2 else Fraction(0)


def upsample(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    """Nearest: the value at `floor(o·step)`, in the single precision of PyTorch's source (`nearest_idx`), or
    half a step further. Otherwise values weigh by their distance, and the map continues beyond its edges with
    the values at its edges."""
    (x,) = xs
    rank, mode = x.ndim - 1, layer.mode
    steps, sizes = [], []
    for axis, n in enumerate(x.shape[1:]):
        if layer.size is not None:
            sizes.append(oracle.each(layer.size, rank)[axis])
            steps.append(Fraction(n, sizes[-1]))
        else:
            factor = oracle.each(layer.scale_factor, rank)[axis]
            sizes.append(math.floor(n * (factor.numerator / factor.denominator)))
            as_if = sizes[-1] == n and mode == "bilinear"
            as_if |= sizes[-1] in (n, 2 * n) and mode == "nearest" and rank == 2
            steps.append(Fraction(n, sizes[-1]) if as_if else 1 / Fraction(factor))
        if layer.align_corners:  # the first output is the first input, and the last one the last
            steps[-1] = Fraction(n - 1, max(sizes[-1] - 1, 1))
    out = np.zeros((x.shape[0], *sizes))
    for c, *place in np.ndindex(out.shape):
        parts: list[list[tuple[int, float]]] = []
        for o, step, n in zip(place, steps, x.shape[1:], strict=True):
            if mode.startswith("nearest"):
                further = 0.5 if mode == "nearest_exact" else 0
                parts.append([(min(math.floor(np.float32(o + further) * np.float32(step)), n - 1), 1.0)])
                continue
            at = o * step if layer.align_corners else (o + Fraction(1, 2)) * step - Fraction(1, 2)
            weigh = _keys_cubic if mode == "bicubic" else _hat
            shares = [(j, weigh(abs(at - j))) for j in range(math.floor(at) - 3, math.floor(at) + 5)]
            parts.append([(min(max(j, 0), n - 1), float(share)) for j, share in shares if share])
        for taps in itertools.product(*parts):
            source = (c, *(j for j, _ in taps))
            out[(c, *place)] += x[source] * math.prod(share for _, share in taps)
    return out


def _moved(x: Array, ends: Sequence[tuple[int, int]], value: float = 0) -> Array:
    """A value before and after each axis, or values cut off."""
    out = np.full([n + b + a for n, (b, a) in zip(x.shape, ends, strict=True)], float(value))
    for at in np.ndindex(out.shape):
        source = tuple(a - b for a, (b, _) in zip(at, ends, strict=True))
        if all(0 <= s < n for s, n in zip(source, x.shape, strict=True)):
            out[at] = x[source]
    return out


def _row_around(mode: str, n: int, before: int, after: int) -> list[int]:
    """The places of a row of `n` that a padded row shows, one step at a time away from the row."""
    row = list(range(n))
    kept = row[max(0, -before) : n - max(0, -after)]
    if mode == "replicate":
        return [kept[0]] * before + kept + [kept[-1]] * after
    if mode == "circular":
        return kept[len(kept) - max(before, 0) :] * (before > 0) + kept + kept[: max(after, 0)]
    front = [row[1 + step] for step in range(max(before, 0))][::-1]
    return front + kept + [row[-2 - step] for step in range(max(after, 0))]


def pad(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,), ends = xs, [(0, 0)] * xs[0].ndim
    if layer.dim is not None:
        ends[axis_of(layer.dim, x)] = layer.padding
    else:
        for axis, entry in enumerate(oracle.each(layer.padding, x.ndim - 1), start=1):
            ends[axis] = entry if isinstance(entry, tuple) else (entry, entry)
    if layer.mode == "constant":
        return _moved(x, ends, layer.value)
    rows = [_row_around(layer.mode, n, *both) for n, both in zip(x.shape, ends, strict=True)]
    return x[np.ix_(*rows)]


def crop(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,), ends = xs, [(0, 0)]
    for n, want in zip(x.shape[1:], oracle.each(layer.size, x.ndim - 1), strict=True):
        before = after = 0
        while n - before - after > want:  # one row after the other, the last ones first
            if after > before:
                before += 1
            else:
                after += 1
        ends.append((-before, -after))
    return _moved(x, ends)


def slice_(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    return np.take(xs[0], range(layer.start, layer.end), axis=axis_of(layer.dim, xs[0]))


def _in_order(x: Array, shape: tuple[int, ...]) -> Array:
    values = iter([float(x[at]) for at in itertools.product(*map(range, x.shape))])
    return np.fromiter(values, float).reshape(shape)


def permute(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,) = xs
    out = np.empty([x.shape[axis] for axis in layer.dims])
    for at in np.ndindex(out.shape):
        source = [0] * x.ndim
        for to, axis in enumerate(layer.dims):
            source[axis] = at[to]
        out[at] = x[tuple(source)]
    return out


def transpose(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,) = xs
    first, second = (range(x.ndim)[dim] for dim in (layer.dim0, layer.dim1))
    values = {}
    for at in np.ndindex(x.shape):
        to = list(at)
        to[first], to[second] = at[second], at[first]
        values[tuple(to)] = float(x[at])
    return _filled(values)


def roll(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    """One place at a time."""
    (x,) = xs
    axis = axis_of(layer.dim, x)
    slices = [np.take(x, i, axis=axis) for i in range(x.shape[axis])]
    for _ in range(abs(layer.shift)):
        slices = [slices[-1], *slices[:-1]] if layer.shift > 0 else [*slices[1:], slices[0]]
    return np.stack(slices, axis=axis)


def pixel_shuffle(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    """Shi et al. 2016, Equation 4, with the channels of one output channel side by side, as in PyTorch."""
    (x,), r = xs, layer.upscale_factor
    out = np.empty((x.shape[0] // r**2, x.shape[1] * r, x.shape[2] * r))
    for c, row, column in np.ndindex(out.shape):
        out[c, row, column] = x[c * r * r + row % r * r + column % r, row // r, column // r]
    return out


def pixel_unshuffle(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,), r = xs, layer.downscale_factor
    squares = [x[c, i::r, j::r] for c in range(x.shape[0]) for i in range(r) for j in range(r)]
    return np.stack(squares)


def unfold(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    patches = oracle.patches(xs[0], layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    return np.stack([patch.reshape(-1) for _, patch in patches], axis=1)


def stack(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    place = range(xs[0].ndim + 1)[layer.dim]
    values = {}
    for number, x in enumerate(xs):
        for at in np.ndindex(x.shape):
            values[(*at[:place], number, *at[place:])] = float(x[at])
    return _filled(values)


def channel_shuffle(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    """The first channels of all groups, then the second ones, and so on."""
    (x,) = xs
    size = x.shape[0] // layer.groups
    return np.stack([x[g * size + i] for i in range(size) for g in range(layer.groups)])


# --- Joins ------------------------------------------------------------------------------------------


def concat(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    axis = axis_of(layer.dim, xs[0])
    slices = [np.take(x, i, axis=axis) for x in xs for i in range(x.shape[axis])]
    return np.stack(slices, axis=axis)


def _stretched(combine: Callable[[float, float], float]) -> Callable[..., Array]:
    def apply(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
        shape = tuple(max(sizes) for sizes in zip(*(x.shape for x in xs), strict=True))
        out = np.empty(shape)
        for at in np.ndindex(*shape):
            one = [x[tuple(a if n > 1 else 0 for a, n in zip(at, x.shape, strict=True))] for x in xs]
            total = float(one[0])
            for other in one[1:]:
                total = combine(total, float(other))
            out[at] = total
        return out

    return apply


def computed(layer: Any, weights: Weights) -> Weights:
    """The weight of a layer that computes it, an output channel at a time."""
    way = getattr(layer, "weight", "own")
    if way in ("own", "fixed"):
        return {}
    raw = weights["weight"]
    out = np.empty(raw.shape)
    columns = raw.reshape(-1, raw.shape[-1]).T
    sigma = 0.0
    if way == "spectral_norm":
        v = weights["v"].reshape(-1)
        sigma = math.fsum(
            weights["u"][o] * row[i] * v[i] for o, row in enumerate(columns) for i in range(len(row))
        )
    for o, row in enumerate(columns):
        if way == "weight_norm":
            one = weights["gain"][o] * row / math.sqrt(math.fsum(w * w for w in row))
        elif way == "spectral_norm":
            one = row / sigma
        else:
            mean = math.fsum(row) / len(row)
            one = (row - mean) / math.sqrt(math.fsum((w - mean) ** 2 for w in row) / len(row) + 1e-6)
            if way == "scaled_standardized":
                one = one * weights["gain"][o] / math.sqrt(len(row))
        out[..., o] = one.reshape(raw.shape[:-1])
    return {"weight": out}


def _factor(layer: Any, weights: Weights, array: str, channel: int) -> float:
    values = weights[array] if layer.value is None else layer.value
    if not isinstance(values, tuple | np.ndarray):
        return float(values)
    return float(values[channel] if len(values) > 1 else values[0])


def scale(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    return np.stack([x * _factor(layer, weights, "weight", c) for c, x in enumerate(xs[0])])


def shift(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    return np.stack([x + _factor(layer, weights, "bias", c) for c, x in enumerate(xs[0])])


def matmul(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    a, b = xs
    lead = tuple(max(sizes) for sizes in zip(a.shape[:-2], b.shape[:-2], strict=True))
    out = np.empty((*lead, a.shape[-2], b.shape[-1]))
    for *batch, row, column in np.ndindex(*out.shape):
        first, second = (
            x[tuple(i if n > 1 else 0 for i, n in zip(batch, x.shape[:-2], strict=True))] for x in xs
        )
        out[(*batch, row, column)] = math.fsum(first[row, i] * second[i, column] for i in range(a.shape[-1]))
    return out


def attention(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    """A place and a head at a time, by Vaswani et al. 2017, Equation 1 and Section 3.2.2."""
    tokens = list(xs[0].reshape(xs[0].shape[0], -1).T)
    memory = list(xs[-1].reshape(xs[-1].shape[0], -1).T)

    def projected(token: Array, name: str) -> Array:
        bias = weights[f"{name}_bias"] if layer.bias else np.zeros(weights[name].shape[1])
        return np.array([
            math.fsum(token[i] * weights[name][i, o] for i in range(len(token))) + bias[o]
            for o in range(len(bias))
        ])  # fmt: skip

    def head(vector: Array, number: int) -> Array:
        return np.split(vector, layer.num_heads)[number]

    queries = [projected(token, "query") for token in tokens]
    keys = [projected(token, "key") for token in memory]
    values = [projected(token, "value") for token in memory]
    out = []
    for place, query in enumerate(queries):
        seen = place + 1 if layer.is_causal else len(memory)
        parts = []
        for number in range(layer.num_heads):
            own = head(query, number)
            scores = [float(own @ head(key, number)) / math.sqrt(len(own)) for key in keys[:seen]]
            shares = [math.exp(score - max(scores)) for score in scores]
            parts.append(
                sum(share / sum(shares) * head(value, number)
                    for share, value in zip(shares, values[:seen], strict=True))
            )  # fmt: skip
        out.append(projected(np.concatenate(parts), "output"))
    return np.array(out).T.reshape(xs[0].shape)


# --- Sequences --------------------------------------------------------------------------------------


def embedding(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
    (x,) = xs
    out = np.empty((layer.embedding_dim, *x.shape))
    for at, index in np.ndenumerate(x):
        for d in range(layer.embedding_dim):
            out[(d, *at)] = np.nan if math.isnan(index) else weights["weight"][int(index), d]
    return out


def _dot(values: Sequence[float], column: Array) -> float:
    return sum(float(v) * float(w) for v, w in zip(values, column, strict=True))


def _unit(kind: str, layer: Any, u: int, x: list[float], h: list[float], c: list[float], w: Weights) -> Any:
    """The next state of a unit, and what an lstm keeps in it."""
    n = layer.hidden_size

    def read(gate: int) -> float:
        column = gate * n + u
        return _dot(x, w["weight_ih"][:, column]) + (w["bias_ih"][column] if "bias_ih" in w else 0)

    def again(gate: int, states: Sequence[float] = h) -> float:
        column = gate * n + u
        return _dot(states, w["weight_hh"][:, column]) + (w["bias_hh"][column] if "bias_hh" in w else 0)

    if kind == "lstm":
        i, f, o = (_sigmoid(read(gate) + again(gate)) for gate in (0, 1, 3))
        kept = f * c[u] + i * math.tanh(read(2) + again(2))
        return o * math.tanh(kept), kept
    if kind == "rnn":
        total = read(0) + again(0)
        return (math.tanh(total) if layer.nonlinearity == "tanh" else max(total, 0.0)), 0.0
    z = _sigmoid(read(1) + again(1))
    if layer.bias == "one":  # every state is reset by its own gate, before the product
        column = range(n)
        resets = [
            _sigmoid(_dot(x, w["weight_ih"][:, j]) + w["bias_ih"][j] + _dot(h, w["weight_hh"][:, j]))
            for j in column
        ]
        new = math.tanh(read(2) + again(2, [r * s for r, s in zip(resets, h, strict=True)]))
    else:
        new = math.tanh(read(2) + _sigmoid(read(0) + again(0)) * again(2))
    return (1 - z) * new + z * h[u], 0.0


def recurrent(kind: str) -> Callable[[Any, Sequence[Array], Weights], Array]:
    def run(layer: Any, xs: Sequence[Array], weights: Weights) -> Array:
        steps = [list(map(float, column)) for column in xs[0].T]
        units = range(layer.hidden_size)
        for number in range(layer.num_layers):
            found: list[list[float]] = [[] for _ in steps]
            last: list[float] = []
            for end in ["", "_reverse"] if layer.bidirectional else [""]:
                tail = f"_l{number}{end}"
                own = {name.removesuffix(tail): a for name, a in weights.items() if name.endswith(tail)}
                h, c = [0.0] * len(units), [0.0] * len(units)
                places = range(len(steps))
                for t in reversed(places) if end else places:
                    after = [_unit(kind, layer, u, steps[t], h, c, own) for u in units]
                    h, c = [state for state, _ in after], [kept for _, kept in after]
                    found[t] = found[t] + h
                last = last + h
            steps = found
        return np.array(steps).T if layer.return_sequences else np.array(last)

    return run


BY_KIND: dict[str, Callable[[Any, Sequence[Array], Weights], Array]] = {
    "abs": each_value(lambda layer, x: x if x > 0 else -x),
    "adaptive_avgpool": lambda layer, xs, weights: _adaptive(xs[0], layer.output_size, _mean),
    "adaptive_maxpool": lambda layer, xs, weights: _adaptive(xs[0], layer.output_size, max),
    "add": _stretched(lambda a, b: a + b),
    "attention": attention,
    "avgpool": avgpool,
    "bn": bn,
    "channel_shuffle": channel_shuffle,
    "clamp": each_value(lambda layer, x: _clamp(x, layer.min, layer.max)),
    "concat": concat,
    "conv": conv,
    "conv_transpose": conv_transpose,
    "cos": each_value(lambda layer, x: math.cos(x)),
    "crop": crop,
    "deform_conv": deform_conv,
    "depthwise": depthwise,
    "drop_path": nothing,
    "div": _stretched(lambda a, b: a / b),
    "dropout": nothing,
    "embedding": embedding,
    "elu": each_value(lambda layer, x: _elu(x, float(layer.alpha))),
    "erf": each_value(lambda layer, x: math.erf(x)),
    "exp": each_value(lambda layer, x: math.exp(x)),
    "fc": fc,
    "flatten": lambda layer, xs, weights: _in_order(xs[0], (-1,)),
    "gelu": each_value(_gelu),
    "global_avgpool": lambda layer, xs, weights: _adaptive(xs[0], 1, _mean),
    "global_maxpool": lambda layer, xs, weights: _adaptive(xs[0], 1, max),
    "glu": glu,
    "grn": grn,
    "group_norm": group_norm,
    "gru": recurrent("gru"),
    "hardsigmoid": each_value(
        lambda layer, x: min(max(float(layer.slope) * x + float(layer.offset), 0.0), 1.0)
    ),
    "hardswish": each_value(lambda layer, x: x * _relu6(x + 3) / 6),
    "hardtanh": each_value(lambda layer, x: _clamp(x, layer.min_val, layer.max_val)),
    "instance_norm": group_norm,  # every channel is a group
    "layer_norm": layer_norm,
    "layer_scale": layer_scale,
    "leaky_relu": each_value(lambda layer, x: x if x > 0 else float(layer.negative_slope) * x),
    "local": local,
    "log": each_value(lambda layer, x: _real(math.log, x)),
    "log_softmax": log_softmax,
    "logsigmoid": each_value(lambda layer, x: math.log(_sigmoid(x))),
    "lppool": lppool,
    "lrn": lrn,
    "matmul": matmul,
    "lstm": recurrent("lstm"),
    "maxpool": maxpool,
    "maxunpool": maxunpool,
    "mish": each_value(lambda layer, x: x * math.tanh(_softplus(x, 1, math.inf))),
    "mul": _stretched(lambda a, b: a * b),
    "pad": pad,
    "parameter": lambda layer, xs, weights: weights["weight"],
    "permute": permute,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "pointwise": pointwise,
    "pow": each_value(lambda layer, x: _power(x, float(layer.exponent))),
    "prelu": prelu,
    "rbf": rbf,
    "reduce": reduce,
    "relu": each_value(lambda layer, x: max(x, 0.0)),
    "relu6": each_value(lambda layer, x: _relu6(x)),
    "reshape": lambda layer, xs, weights: _in_order(xs[0], layer.shape),
    "roll": roll,
    "rsqrt": each_value(lambda layer, x: 1 / _real(math.sqrt, x)),
    "scale": scale,
    "rnn": recurrent("rnn"),
    "selu": each_value(lambda layer, x: 1.0507009873554805 * _elu(x, 1.6732632423543772)),
    "shift": shift,
    "sigmoid": each_value(lambda layer, x: _sigmoid(x)),
    "silu": each_value(lambda layer, x: x * _sigmoid(x)),
    "sin": each_value(lambda layer, x: math.sin(x)),
    "slice": slice_,
    "softmax": softmax,
    "softplus": each_value(lambda layer, x: _softplus(x, float(layer.beta), float(layer.threshold))),
    "softsign": each_value(lambda layer, x: x / (1 + abs(x))),
    "sqrt": each_value(lambda layer, x: _real(math.sqrt, x)),
    "square": each_value(lambda layer, x: x * x),
    "stack": stack,
    "sub": _stretched(lambda a, b: a - b),
    "subsample": subsample,
    "tanh": each_value(lambda layer, x: math.tanh(x)),
    "transpose": transpose,
    "unfold": unfold,
    "upsample": upsample,
}
