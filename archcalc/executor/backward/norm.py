"""Backward passes of the normalizations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from archcalc.executor.backward.register import Back, Sent, backward, keeping
from archcalc.executor.kernel import Array, Call
from archcalc.layers.norm import BatchNorm


@keeping(BatchNorm)
def batch_statistics(layer: BatchNorm, call: Call, out: Array) -> Mapping[str, Array]:
    axes = tuple(range(call.x.ndim - 1))
    root = np.sqrt(call.x.var(axis=axes) + call.x.dtype.type(float(layer.eps)))
    return {"mean": call.x.mean(axis=axes), "inverse deviation": 1 / root}


@backward(BatchNorm)
def bn(layer: BatchNorm, back: Back) -> Sent:
    """With statistics of the batch (Ioffe & Szegedy 2015, Section 3, the equations after Algorithm 1)."""
    g, axes = back.gradient, tuple(range(back.gradient.ndim - 1))
    inverse = back.kept["inverse deviation"]
    normalised = (back.x - back.kept["mean"]) * inverse
    of_bias, of_scale = g.sum(axis=axes), (g * normalised).sum(axis=axes)
    arrays = {"bias": of_bias, "weight": of_scale}
    sent: Array | None = None
    if back.any_input:
        count = g.dtype.type(g.size // g.shape[-1])
        scale = inverse * back.weights["weight"] if "weight" in back.weights else inverse
        sent = scale * (g - (of_bias + normalised * of_scale) / count)
    return [sent], {name: arrays[name] for name in back.needs.trained}
