"""Backward passes of the joins."""

from __future__ import annotations

import numpy as np

from archcalc.executor.backward.register import Back, Sent, backward
from archcalc.executor.kernel import Array, axis_of
from archcalc.layers.merge import Add, Concat


def summed_to(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of a tensor that was stretched: the sum over the places it was stretched to."""
    stretched = tuple(i for i, (n, m) in enumerate(zip(gradient.shape, shape, strict=True)) if n != m)
    return gradient.sum(axis=stretched, keepdims=True) if stretched else gradient


@backward(Add)
def add(layer: Add, back: Back) -> Sent:
    return [
        summed_to(back.gradient, x.shape) if needed else None
        for x, needed in zip(back.inputs, back.needs.inputs, strict=True)
    ], {}


@backward(Concat)
def concat(layer: Concat, back: Back) -> Sent:
    axis = axis_of(layer.dim, back.x)
    ends = np.cumsum([x.shape[axis] for x in back.inputs])[:-1]
    parts = np.split(back.gradient, ends, axis=axis)
    return [part if needed else None for part, needed in zip(parts, back.needs.inputs, strict=True)], {}
