"""Backward passes of the activations along an axis."""

from __future__ import annotations

import numpy as np

from archcalc.executor.backward.activation import sigmoid_of
from archcalc.executor.backward.register import Back, Sent, backward
from archcalc.executor.kernel import axis_of
from archcalc.layers.softmax import GLU, LogSoftmax, Softmax


@backward(Softmax)
def softmax(layer: Softmax, back: Back) -> Sent:
    g, y = back.gradient, back.output
    along = (g * y).sum(axis=axis_of(layer.dim, y), keepdims=True)
    return [y * (g - along)], {}


@backward(LogSoftmax)
def log_softmax(layer: LogSoftmax, back: Back) -> Sent:
    g, y = back.gradient, back.output
    return [g - np.exp(y) * g.sum(axis=axis_of(layer.dim, y), keepdims=True)], {}


@backward(GLU)
def glu(layer: GLU, back: Back) -> Sent:
    axis = axis_of(layer.dim, back.x)
    values, gates = np.split(back.x, 2, axis=axis)
    s = sigmoid_of(gates)
    of_values = back.gradient * s
    return [np.concatenate([of_values, of_values * values * (1 - s)], axis=axis)], {}
