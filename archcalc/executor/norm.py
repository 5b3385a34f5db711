"""Kernels of the normalizations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from archcalc.executor.kernel import Array, Call, along_row, kernel
from archcalc.executor.memory import empty
from archcalc.layers.norm import (
    BatchNorm,
    GlobalResponseNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LayerScale,
    LocalResponseNorm,
)


def _normalised(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    mean = x.mean(axis=axes, keepdims=True)
    centred = x - mean
    variance = (centred * centred).mean(axis=axes, keepdims=True)
    if not np.isfinite(variance).all():
        return _normalised_in_units(x, axes, eps, variance)
    centred /= np.sqrt(variance + x.dtype.type(eps))
    out: Array = centred
    return out


def _normalised_in_units(x: Array, axes: tuple[int, ...], eps: float, variance: Array) -> Array:
    """The same for values whose squares are too large for the dtype, in units of the largest value.

    Divided by an infinite variance, all values would become zero, and only the bias would remain. If a value
    itself is infinite or NaN, all values that are normalized with it become NaN.
    """
    largest = np.abs(x).max(axis=axes, keepdims=True)
    unit = np.where(np.isfinite(variance), x.dtype.type(1), largest)
    scaled = x / unit
    scaled -= scaled.mean(axis=axes, keepdims=True)
    variance = (scaled * scaled).mean(axis=axes, keepdims=True)
    out: Array = scaled / np.sqrt(variance + x.dtype.type(eps) / unit / unit)
    return out


def _affine(x: Array, call: Call) -> Array:
    if "weight" in call.weights:
        x *= call.weights["weight"]
    if "bias" in call.weights:
        x += call.weights["bias"]
    return x


def scale_and_shift(layer: BatchNorm, weights: Mapping[str, Array]) -> tuple[Array, Array]:
    """A batch norm with running statistics as `x · scale + shift`."""
    variance = weights["running_var"]
    scale = 1 / np.sqrt(variance + variance.dtype.type(float(layer.eps)))
    shift = -weights["running_mean"] * scale
    if layer.affine and layer.scale:
        scale, shift = scale * weights["weight"], shift * weights["weight"]
    if layer.affine and layer.bias:
        shift = shift + weights["bias"]
    return scale, shift


@kernel(BatchNorm)
def bn(layer: BatchNorm, call: Call) -> Array:
    """One multiplication and one addition per value with running statistics; batch statistics in training."""
    x, eps = call.x, float(layer.eps)
    if call.train or not layer.track_running_stats:
        return _affine(_normalised(x, tuple(range(x.ndim - 1)), eps), call)
    scale, shift = scale_and_shift(layer, call.weights)
    out: Array = np.multiply(x, along_row(x, scale), out=call.spare)
    out += along_row(x, shift)
    return out


@kernel(LocalResponseNorm)
def lrn(layer: LocalResponseNorm, call: Call) -> Array:
    """`x / (k + alpha/size · sum of squares over size channels)^beta`, with alpha as in PyTorch and Caffe."""
    x, size = call.x, layer.size
    channels = x.shape[-1]
    before = size // 2  # an even window reaches further before
    # zeros around the channels of each place, so that sums run over all places in one long stretch
    squares = empty((*x.shape[:-1], channels + size - 1), x.dtype)
    squares[..., :before] = 0
    squares[..., before + channels :] = 0
    np.multiply(x, x, out=squares[..., before : before + channels])
    flat = squares.reshape(-1)
    total = empty(squares.shape, x.dtype)
    length = flat.size - (size - 1)
    summed = total.reshape(-1)[:length]
    np.copyto(summed, flat[:length])
    for offset in range(1, size):
        summed += flat[offset : offset + length]
    summed *= x.dtype.type(float(layer.alpha) / size)
    summed += x.dtype.type(float(layer.k))
    np.power(summed, x.dtype.type(float(layer.beta)), out=summed)
    out: Array = x / total[..., :channels]
    return out


@kernel(LayerNorm)
def layer_norm(layer: LayerNorm, call: Call) -> Array:
    """Normalizes over all axes of a sample, or the channels at each place. Weights are channels first."""
    x = call.x
    axes = tuple(range(1, x.ndim)) if layer.dim == "all" else (x.ndim - 1,)
    out = _normalised(x, axes, float(layer.eps))
    if layer.elementwise_affine:
        whole = layer.dim == "all"
        out *= np.moveaxis(call.weights["weight"], 0, -1) if whole else call.weights["weight"]
        if layer.bias:
            out += np.moveaxis(call.weights["bias"], 0, -1) if whole else call.weights["bias"]
    return out


@kernel(GroupNorm)
def group_norm(layer: GroupNorm, call: Call) -> Array:
    x = call.x
    split = x.reshape(*x.shape[:-1], layer.num_groups, x.shape[-1] // layer.num_groups)
    axes = (*range(1, x.ndim - 1), x.ndim)
    return _affine(_normalised(split, axes, float(layer.eps)).reshape(x.shape), call)


@kernel(InstanceNorm)
def instance_norm(layer: InstanceNorm, call: Call) -> Array:
    x = call.x
    return _affine(_normalised(x, tuple(range(1, x.ndim - 1)), float(layer.eps)), call)


@kernel(GlobalResponseNorm)
def grn(layer: GlobalResponseNorm, call: Call) -> Array:
    """`gamma · x · n + beta + x`, with `n` a channel's L2 norm divided by the mean norm of all channels."""
    x = call.x
    norm = np.sqrt((x * x).sum(axis=tuple(range(1, x.ndim - 1)), keepdims=True))
    relative = norm / (norm.mean(axis=-1, keepdims=True) + x.dtype.type(float(layer.eps)))
    out: Array = call.weights["weight"] * (x * relative) + call.weights["bias"] + x
    return out


@kernel(LayerScale)
def layer_scale(layer: LayerScale, call: Call) -> Array:
    out: Array = call.x * call.weights["weight"]
    if layer.bias:
        out += call.weights["bias"]
    return out
