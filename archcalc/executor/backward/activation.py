"""Backward passes of the activation functions and of dropout."""

from __future__ import annotations

from collections.abc import Mapping

from archcalc.executor.backward.register import Back, Sent, backward, keeping
from archcalc.executor.kernel import Array, Call
from archcalc.layers import activation as kinds


@keeping(kinds.ReLU)
def relu_mask(layer: kinds.ReLU, call: Call, out: Array) -> Mapping[str, Array]:
    return {"mask": out > 0}


@backward(kinds.ReLU)
def relu(layer: kinds.ReLU, back: Back) -> Sent:
    """The gradient passes where the output is positive. At 0 it is 0, as in PyTorch."""
    passes = back.kept.get("mask", back.output > 0)
    return [back.gradient * passes], {}


@backward(kinds.Dropout)
def dropout(layer: kinds.Dropout, back: Back) -> Sent:
    """The values that stayed were divided by `1 - p`."""
    if layer.p in (0, 1):
        return [back.gradient * (1 - int(layer.p))], {}
    scale = back.gradient.dtype.type(1 / (1 - float(layer.p)))
    return [back.gradient * (back.kept["mask"] * scale)], {}
