"""Backward passes of the functions of one value."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from archcalc.executor.backward.register import Back, Sent, backward, keeping
from archcalc.executor.kernel import Array, Call
from archcalc.layers import unary as kinds


@backward(kinds.Exp)
def exp(layer: kinds.Exp, back: Back) -> Sent:
    return [back.gradient * back.output], {}


@backward(kinds.Log)
def log(layer: kinds.Log, back: Back) -> Sent:
    return [back.gradient / back.x], {}


@backward(kinds.Sqrt)
def sqrt(layer: kinds.Sqrt, back: Back) -> Sent:
    return [back.gradient / (2 * back.output)], {}


@backward(kinds.RSqrt)
def rsqrt(layer: kinds.RSqrt, back: Back) -> Sent:
    """The derivative of `x^(-1/2)` is `-1/2 x^(-3/2)`, with the third power of the output."""
    y = back.output
    return [y.dtype.type(-0.5) * back.gradient * (y * y * y)], {}


@backward(kinds.Square)
def square(layer: kinds.Square, back: Back) -> Sent:
    return [2 * back.gradient * back.x], {}


@backward(kinds.Sin)
def sin(layer: kinds.Sin, back: Back) -> Sent:
    return [back.gradient * np.cos(back.x)], {}


@backward(kinds.Cos)
def cos(layer: kinds.Cos, back: Back) -> Sent:
    return [-back.gradient * np.sin(back.x)], {}


@backward(kinds.Erf)
def erf(layer: kinds.Erf, back: Back) -> Sent:
    factor = back.x.dtype.type(2 / math.sqrt(math.pi))
    return [factor * back.gradient * np.exp(-(back.x * back.x))], {}


@backward(kinds.Pow)
def pow_(layer: kinds.Pow, back: Back) -> Sent:
    if layer.exponent == 1:
        return [back.gradient], {}
    number = back.x.dtype.type
    power = np.power(back.x, number(float(layer.exponent - 1)))
    return [back.gradient * (number(float(layer.exponent)) * power)], {}


def _inside(layer: kinds.Clamp, out: Array) -> Array:
    """At the limits the gradient is 0, as in PyTorch since 2.14."""
    inside = np.ones(out.shape, bool)
    if layer.min is not None:
        inside &= out > out.dtype.type(float(layer.min))
    if layer.max is not None:
        inside &= out < out.dtype.type(float(layer.max))
    return inside


@keeping(kinds.Clamp)
def clamp_mask(layer: kinds.Clamp, call: Call, out: Array) -> Mapping[str, Array]:
    return {"mask": _inside(layer, out)}


@backward(kinds.Clamp)
def clamp(layer: kinds.Clamp, back: Back) -> Sent:
    if layer.is_constant:
        return [np.zeros_like(back.gradient)], {}
    return [back.gradient * back.kept.get("mask", _inside(layer, back.output))], {}
