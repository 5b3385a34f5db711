"""Kernels of the activations along an axis."""

from __future__ import annotations

import numpy as np

from archcalc.executor.activation import logistic
from archcalc.executor.kernel import Array, Call, axis_of, kernel
from archcalc.layers.softmax import GLU, LogSoftmax, Softmax


@kernel(Softmax)
def softmax(layer: Softmax, call: Call) -> Array:
    axis = axis_of(layer.dim, call.x)
    out: Array = np.exp(call.x - call.x.max(axis=axis, keepdims=True))
    out /= out.sum(axis=axis, keepdims=True)
    return out


@kernel(LogSoftmax)
def log_softmax(layer: LogSoftmax, call: Call) -> Array:
    axis = axis_of(layer.dim, call.x)
    out: Array = call.x - call.x.max(axis=axis, keepdims=True)
    out -= np.log(np.exp(out).sum(axis=axis, keepdims=True))
    return out


@kernel(GLU)
def glu(layer: GLU, call: Call) -> Array:
    values, gates = np.split(call.x, 2, axis=axis_of(layer.dim, call.x))
    out: Array = values * logistic(gates)
    return out
