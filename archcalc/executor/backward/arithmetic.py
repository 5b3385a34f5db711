"""Backward passes of parameters as tensors, and of factors and offsets."""

from __future__ import annotations

import numpy as np

from archcalc.executor.backward.register import Back, Sent, backward
from archcalc.executor.kernel import Array
from archcalc.layers.arithmetic import ParameterTensor, Scale, Shift


@backward(ParameterTensor)
def parameter(layer: ParameterTensor, back: Back) -> Sent:
    """The array has its channels first."""
    return [], {"weight": np.ascontiguousarray(np.moveaxis(back.gradient.sum(axis=0), -1, 0))}


def _summed(layer: Scale | Shift, values: Array) -> Array:
    """One sum per channel, or one sum."""
    by_channel = values.reshape(-1, values.shape[-1])
    sums: Array = by_channel.sum(axis=0) if layer.per_channel else by_channel.sum(keepdims=True)[0]
    return sums


@backward(Scale)
def scale(layer: Scale, back: Back) -> Sent:
    g = back.gradient
    arrays = {"weight": _summed(layer, g * back.x)} if back.needs.trained else {}
    if not back.any_input:
        return [None], arrays
    if layer.value is None:
        return [g * back.weights["weight"]], arrays
    numbers = layer.value if isinstance(layer.value, tuple) else (layer.value,)
    return [g * np.array([float(number) for number in numbers], g.dtype)], arrays


@backward(Shift)
def shift(layer: Shift, back: Back) -> Sent:
    arrays = {"bias": _summed(layer, back.gradient)} if back.needs.trained else {}
    return [back.gradient if back.any_input else None], arrays
