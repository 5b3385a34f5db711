"""Backward passes of the reductions."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from archcalc.executor.backward.register import Back, Sent, backward, keeping
from archcalc.executor.kernel import Array, Call
from archcalc.executor.reduction import axes_of
from archcalc.executor.reshape import channels_first
from archcalc.layers.reduction import Reduce


def _stretchable(layer: Reduce, reduced: Array, x: Array) -> Array:
    """The reduced tensor, with axes of size 1 in place of those that were removed."""
    axes = axes_of(layer, x)
    sizes = [1 if axis in axes else n for axis, n in enumerate(x.shape)]
    batch, *places, channels = sizes
    return np.moveaxis(channels_first(reduced).reshape(batch, channels, *places), 1, -1)


def _is_extreme(layer: Reduce, x: Array) -> Array:
    extreme = x.max if layer.op == "max" else x.min
    found: Array = x == extreme(axis=axes_of(layer, x), keepdims=True)
    return found


@keeping(Reduce)
def extreme_places(layer: Reduce, call: Call, out: Array) -> Mapping[str, Array]:
    return {"mask": _is_extreme(layer, call.x)} if layer.op in ("max", "min") else {}


@backward(Reduce)
def reduce(layer: Reduce, back: Back) -> Sent:
    x, g = back.x, _stretchable(layer, back.gradient, back.x)
    axes, number = axes_of(layer, x), g.dtype.type
    values = math.prod(x.shape[axis] for axis in axes)
    sent: Array
    match layer.op:
        case "sum":
            sent = g
        case "mean":
            sent = g / number(values)
        case "var":
            mean = x.sum(axis=axes, keepdims=True) / number(values)
            sent = g * number(2 / (values - layer.correction)) * (x - mean)
        case "norm":
            y = _stretchable(layer, back.output, x)
            sent = x * np.where(y == 0, number(0), g / y)
        case _:
            largest = back.kept["mask"] if "mask" in back.kept else _is_extreme(layer, x)
            share = g / largest.sum(axis=axes, keepdims=True).astype(g.dtype)
            sent = np.where(largest, share, number(0))
    return [np.array(np.broadcast_to(sent, x.shape), order="C")], {}
