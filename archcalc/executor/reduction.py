"""Kernels of the reductions."""

from __future__ import annotations

import numpy as np

from archcalc.executor.kernel import Array, Call, axis_of, kernel
from archcalc.executor.reshape import channels_first, channels_last
from archcalc.layers.reduction import Reduce


def axes_of(layer: Reduce, x: Array) -> tuple[int, ...]:
    """The axes of an array that are reduced."""
    if layer.dim is None:
        return tuple(range(1, x.ndim - 1))
    names = layer.dim if isinstance(layer.dim, tuple) else (layer.dim,)
    return tuple(axis_of(name, x) for name in names)


@kernel(Reduce)
def reduce(layer: Reduce, call: Call) -> Array:
    x = call.x
    axes = axes_of(layer, x)
    out = _reduced(layer, x, axes)
    if layer.keepdim:
        return out
    # axes are removed with the channels first, because another axis can become the channels
    dropped = tuple(1 if axis == x.ndim - 1 else axis + 1 for axis in axes)
    return channels_last(channels_first(out).squeeze(dropped))


def _reduced(layer: Reduce, x: Array, axes: tuple[int, ...]) -> Array:
    out: Array
    match layer.op:
        case "sum":
            out = x.sum(axis=axes, keepdims=True)
        case "mean":
            out = x.mean(axis=axes, keepdims=True)
        case "max":
            out = x.max(axis=axes, keepdims=True)
        case "min":
            out = x.min(axis=axes, keepdims=True)
        case "var":
            out = x.var(axis=axes, keepdims=True, ddof=layer.correction)
        case _:
            out = np.sqrt(np.square(x).sum(axis=axes, keepdims=True))
    return out
