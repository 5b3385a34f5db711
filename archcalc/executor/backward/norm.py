"""Backward passes of the normalizations.

With `n` the normalized values and `i` the inverse of the standard deviation, the gradient of the values is
`i (h - mean(h) - n mean(h n))`, where `h` is the gradient of `n` (Ioffe & Szegedy 2015, Section 3, the
equations after Algorithm 1).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from archcalc.executor.backward.register import Back, Sent, backward, keeping
from archcalc.executor.kernel import Array, Call
from archcalc.layers.norm import (
    BatchNorm,
    GlobalResponseNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LayerScale,
    LocalResponseNorm,
)


def _statistics(x: Array, axes: tuple[int, ...], eps: float) -> Mapping[str, Array]:
    mean = x.mean(axis=axes, keepdims=True)
    centred = x - mean
    variance = (centred * centred).mean(axis=axes, keepdims=True)
    return {"mean": mean, "inverse deviation": 1 / np.sqrt(variance + x.dtype.type(eps))}


def _normalised(back: Back) -> Array:
    """Computes the normalized values again, from the input and the tensors that are kept."""
    normalised: Array = (back.x - back.kept["mean"]) * back.kept["inverse deviation"]
    return normalised


def _reads_values(back: Back) -> bool:
    """Are normalized values read? They are not if only the shift is trained."""
    return back.any_input or "weight" in back.needs.trained


def _count(back: Back, axes: tuple[int, ...]) -> Array:
    """The number of values along the axes, in their dtype."""
    return np.asarray(np.prod([back.gradient.shape[axis] for axis in axes]), back.gradient.dtype)


# --- Statistics of channels, of the batch or of each sample ---


@keeping(BatchNorm)
def bn_statistics(layer: BatchNorm, call: Call, out: Array) -> Mapping[str, Array]:
    return _statistics(call.x, tuple(range(call.x.ndim - 1)), float(layer.eps))


@keeping(InstanceNorm)
def instance_norm_statistics(layer: InstanceNorm, call: Call, out: Array) -> Mapping[str, Array]:
    return _statistics(call.x, tuple(range(1, call.x.ndim - 1)), float(layer.eps))


@backward(BatchNorm)
def bn(layer: BatchNorm, back: Back) -> Sent:
    return _channels(back, tuple(range(back.gradient.ndim - 1)))


@backward(InstanceNorm)
def instance_norm(layer: InstanceNorm, back: Back) -> Sent:
    return _channels(back, tuple(range(1, back.gradient.ndim - 1)))


def _channels(back: Back, axes: tuple[int, ...]) -> Sent:
    """The sums for scale and shift also give the gradient of the input, because its scale is one number."""
    g, channels = back.gradient, (-1, back.gradient.shape[-1])
    of_bias = g.sum(axis=axes, keepdims=True)
    arrays = {"bias": of_bias.reshape(channels).sum(axis=0)}
    sent: Array | None = None
    if _reads_values(back):
        normalised = _normalised(back)
        of_scale = (g * normalised).sum(axis=axes, keepdims=True)
        arrays["weight"] = of_scale.reshape(channels).sum(axis=0)
        if back.any_input:
            inverse, count = back.kept["inverse deviation"], _count(back, axes)
            scale = inverse * back.weights["weight"] if "weight" in back.weights else inverse
            sent = scale * (g - of_bias / count - normalised * (of_scale / count))
    return [sent], {name: arrays[name] for name in back.needs.trained}


# --- Groups of channels, and values that have scales of their own ---


def _in_groups(x: Array, groups: int) -> Array:
    return x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)


@keeping(GroupNorm)
def group_norm_statistics(layer: GroupNorm, call: Call, out: Array) -> Mapping[str, Array]:
    split = _in_groups(call.x, layer.num_groups)
    return _statistics(split, (*range(1, split.ndim - 2), split.ndim - 1), float(layer.eps))


@backward(GroupNorm)
def group_norm(layer: GroupNorm, back: Back) -> Sent:
    """Takes the sums of each channel, and computes the means of each group from them."""
    g = _in_groups(back.gradient, layer.num_groups)
    places = tuple(range(1, g.ndim - 2))
    of_bias = g.sum(axis=places, keepdims=True)
    arrays = {"bias": of_bias.sum(axis=0).reshape(-1)}
    sent: Array | None = None
    if _reads_values(back):
        inverse = back.kept["inverse deviation"]
        normalised = (_in_groups(back.x, layer.num_groups) - back.kept["mean"]) * inverse
        of_scale = (g * normalised).sum(axis=places, keepdims=True)
        arrays["weight"] = of_scale.sum(axis=0).reshape(-1)
        if back.any_input:
            scale = _in_groups(back.weights["weight"], layer.num_groups) if layer.affine else g.dtype.type(1)
            count = g.dtype.type(g[0].size // layer.num_groups)
            shift = inverse * ((scale * of_bias).sum(axis=-1, keepdims=True) / count)
            slope = inverse * ((scale * of_scale).sum(axis=-1, keepdims=True) / count)
            sent = ((inverse * scale) * g - shift - normalised * slope).reshape(back.x.shape)
    return [sent], {name: arrays[name] for name in back.needs.trained}


def _axes(layer: LayerNorm, x: Array) -> tuple[int, ...]:
    return tuple(range(1, x.ndim)) if layer.dim == "all" else (x.ndim - 1,)


@keeping(LayerNorm)
def layer_norm_statistics(layer: LayerNorm, call: Call, out: Array) -> Mapping[str, Array]:
    return _statistics(call.x, _axes(layer, call.x), float(layer.eps))


@backward(LayerNorm)
def layer_norm(layer: LayerNorm, back: Back) -> Sent:
    """With a scale per value of a sample, or per channel. Arrays are channels first."""
    g, whole = back.gradient, layer.dim == "all"
    axes = _axes(layer, g)
    shared = (0,) if whole else tuple(range(g.ndim - 1))
    arrays = {}
    if "bias" in back.needs.trained:
        arrays["bias"] = g.sum(axis=shared)
    sent: Array | None = None
    if _reads_values(back):
        normalised = _normalised(back)
        product = g * normalised
        if "weight" in back.needs.trained:
            arrays["weight"] = product.sum(axis=shared)
        if back.any_input:
            scaled = g
            if layer.elementwise_affine:
                weight = back.weights["weight"]
                weight = np.moveaxis(weight, 0, -1) if whole else weight
                scaled, product = g * weight, product * weight
            count = _count(back, axes)
            mean = scaled.sum(axis=axes, keepdims=True) / count
            slope = product.sum(axis=axes, keepdims=True) / count
            sent = back.kept["inverse deviation"] * (scaled - mean - normalised * slope)
    return [sent], {name: np.moveaxis(array, -1, 0).copy() for name, array in arrays.items()}


# --- Others ---


def _window(array: Array, before: int, after: int) -> Array:
    """For each channel, the sum from `before` channels before it to `after` channels after it."""
    channels = array.shape[-1]
    around = np.zeros((*array.shape[:-1], before + channels + after), array.dtype)
    around[..., before : before + channels] = array
    total = around[..., :channels].copy()
    for offset in range(1, before + after + 1):
        total += around[..., offset : offset + channels]
    return total


@keeping(LocalResponseNorm)
def lrn_sums(layer: LocalResponseNorm, call: Call, out: Array) -> Mapping[str, Array]:
    x, size = call.x, layer.size
    total = _window(x * x, size // 2, (size - 1) // 2)
    return {"scaled sums": total * x.dtype.type(float(layer.alpha) / size) + x.dtype.type(float(layer.k))}


@backward(LocalResponseNorm)
def lrn(layer: LocalResponseNorm, back: Back) -> Sent:
    """A channel is read by the channels that have it in their window, so the window is mirrored."""
    g, dtype, size = back.gradient, back.gradient.dtype.type, layer.size
    alpha, beta = float(layer.alpha) / size, float(layer.beta)
    if not layer.alpha or not layer.beta:
        return [g * dtype(1 if not beta else float(layer.k) ** -beta)], {}
    sums = back.kept["scaled sums"]
    direct = g * sums ** dtype(-beta)
    through = _window(direct * back.x / sums, (size - 1) // 2, size // 2)
    return [direct - dtype(2 * alpha * beta) * back.x * through], {}


@keeping(GlobalResponseNorm)
def grn_norms(layer: GlobalResponseNorm, call: Call, out: Array) -> Mapping[str, Array]:
    x = call.x
    return {"norms": np.sqrt((x * x).sum(axis=tuple(range(1, x.ndim - 1)), keepdims=True))}


@backward(GlobalResponseNorm)
def grn(layer: GlobalResponseNorm, back: Back) -> Sent:
    """A channel of zeros has a norm without a derivative, and gets no gradient through it, as in PyTorch."""
    g, places = back.gradient, tuple(range(1, back.gradient.ndim - 1))
    arrays = {"bias": g.sum(axis=(0, *places))}
    sent: Array | None = None
    if _reads_values(back):
        gamma, norms = back.weights["weight"], back.kept["norms"]
        divisor = norms.mean(axis=-1, keepdims=True) + g.dtype.type(float(layer.eps))
        relative = norms / divisor
        sums = (g * back.x).sum(axis=places, keepdims=True)
        arrays["weight"] = (sums * relative).reshape(-1, g.shape[-1]).sum(axis=0)
        if back.any_input:
            scaled = gamma * sums
            of_norms = (scaled - (scaled * relative).mean(axis=-1, keepdims=True)) / divisor
            share = np.where(norms == 0, 0, of_norms / norms)
            sent = (gamma * relative + 1) * g + back.x * share
    return [sent], {name: arrays[name] for name in back.needs.trained}


@backward(LayerScale)
def layer_scale(layer: LayerScale, back: Back) -> Sent:
    g, axes = back.gradient, tuple(range(back.gradient.ndim - 1))
    arrays = {}
    if "weight" in back.needs.trained:
        arrays["weight"] = (g * back.x).sum(axis=axes)
    if "bias" in back.needs.trained:
        arrays["bias"] = g.sum(axis=axes)
    return [g * back.weights["weight"] if back.any_input else None], arrays
