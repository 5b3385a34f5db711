"""Kernels of parameters as tensors, and of factors and offsets."""

from __future__ import annotations

import numpy as np

from archcalc.executor.kernel import Array, Call, kernel
from archcalc.executor.memory import empty
from archcalc.layers.arithmetic import ParameterTensor, Scale, Shift


@kernel(ParameterTensor)
def parameter(layer: ParameterTensor, call: Call) -> Array:
    values = call.weights["weight"]
    last = np.moveaxis(values, 0, -1)
    out: Array = empty((call.batch, *last.shape), last.dtype)
    out[...] = last
    return out


def _values(layer: Scale | Shift, call: Call) -> Array:
    """The number, or the numbers of the channels. Channels are last."""
    if layer.value is None:
        return call.weights[layer.array]
    numbers = layer.value if isinstance(layer.value, tuple) else (layer.value,)
    return np.array([float(number) for number in numbers], call.x.dtype)


@kernel(Scale)
def scale(layer: Scale, call: Call) -> Array:
    out: Array = np.multiply(call.x, _values(layer, call), out=call.spare)
    return out


@kernel(Shift)
def shift(layer: Shift, call: Call) -> Array:
    out: Array = np.add(call.x, _values(layer, call), out=call.spare)
    return out
