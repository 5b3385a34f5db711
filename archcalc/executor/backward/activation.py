"""Backward passes of the activation functions and of dropout.

At points without a derivative, the gradients are those of PyTorch 2.14.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from archcalc.executor.activation import erf
from archcalc.executor.backward.register import Back, Sent, backward, keeping
from archcalc.executor.kernel import Array, Call
from archcalc.layers import activation as kinds
from archcalc.layers.dropout import Dropout, DropPath


def sigmoid_of(x: Array) -> Array:
    """`1 / (1 + exp(-x))`. An infinite exponential gives the right value, 0."""
    out: Array = 1 / (1 + np.exp(-x))
    return out


# --- Limits: one byte per value says on which side it is -----------------------------------


@keeping(kinds.ReLU)
def relu_mask(layer: kinds.ReLU, call: Call, out: Array) -> Mapping[str, Array]:
    return {"mask": out > 0}


@backward(kinds.ReLU)
def relu(layer: kinds.ReLU, back: Back) -> Sent:
    """The gradient passes if the output is positive. At 0 it is 0, as in PyTorch."""
    passes = back.kept.get("mask", back.output > 0)
    return [back.gradient * passes], {}


def between(out: Array, low: float, high: float) -> Array:
    """Is a limited value still between the limits?"""
    inside: Array = (out > low) & (out < high)
    return inside


@keeping(kinds.ReLU6)
def relu6_mask(layer: kinds.ReLU6, call: Call, out: Array) -> Mapping[str, Array]:
    return {"mask": between(out, 0, 6)}


@backward(kinds.ReLU6)
def relu6(layer: kinds.ReLU6, back: Back) -> Sent:
    passes = back.kept.get("mask", between(back.output, 0, 6))
    return [back.gradient * passes], {}


@keeping(kinds.Hardtanh)
def hardtanh_mask(layer: kinds.Hardtanh, call: Call, out: Array) -> Mapping[str, Array]:
    return {"mask": between(out, *_limits(layer, out))}


@backward(kinds.Hardtanh)
def hardtanh(layer: kinds.Hardtanh, back: Back) -> Sent:
    passes = back.kept.get("mask", between(back.output, *_limits(layer, back.output)))
    return [back.gradient * passes], {}


def _limits(layer: kinds.Hardtanh, out: Array) -> tuple[float, float]:
    """The limits in the precision of the output, whose values can be equal to them."""
    return out.dtype.type(float(layer.min_val)), out.dtype.type(float(layer.max_val))


@keeping(kinds.HardSigmoid)
def hardsigmoid_mask(layer: kinds.HardSigmoid, call: Call, out: Array) -> Mapping[str, Array]:
    return {"mask": between(out, 0, 1)}


@backward(kinds.HardSigmoid)
def hardsigmoid(layer: kinds.HardSigmoid, back: Back) -> Sent:
    passes = back.kept.get("mask", between(back.output, 0, 1))
    slope = back.gradient.dtype.type(float(layer.slope))
    return [back.gradient * slope * passes], {}


@backward(kinds.HardSwish)
def hardswish(layer: kinds.HardSwish, back: Back) -> Sent:
    """The derivative of `x (x + 3) / 6` between the limits: `x/3 + 1/2`."""
    x = back.x
    slope = np.where(x <= -3, x.dtype.type(0), np.where(x < 3, x / 3 + x.dtype.type(0.5), x.dtype.type(1)))
    return [back.gradient * slope], {}


# --- Another slope below 0 ----------------------------------------------------------------------------


@keeping(kinds.LeakyReLU, kinds.PReLU, kinds.ELU)
def is_positive(
    layer: kinds.LeakyReLU | kinds.PReLU | kinds.ELU, call: Call, out: Array
) -> Mapping[str, Array]:
    return {"mask": call.x > 0}


@backward(kinds.LeakyReLU)
def leaky_relu(layer: kinds.LeakyReLU, back: Back) -> Sent:
    if layer.negative_slope == 1:
        return [back.gradient], {}
    tells = back.output if layer.negative_slope >= 0 else back.x
    positive = back.kept.get("mask", tells > 0)
    one, slope = (back.gradient.dtype.type(value) for value in (1, float(layer.negative_slope)))
    return [back.gradient * np.where(positive, one, slope)], {}


@backward(kinds.PReLU)
def prelu(layer: kinds.PReLU, back: Back) -> Sent:
    """Below 0, with slopes `w`: `g w` for the input, and the sum of `g x` for the slopes."""
    g = back.gradient
    positive = back.kept.get("mask", back.x > 0)
    arrays = {}
    if back.needs.trained:
        of_slopes = np.where(positive, g.dtype.type(0), g * back.x).reshape(-1, g.shape[-1])
        whole = layer.num_parameters == 1
        arrays["weight"] = of_slopes.sum(keepdims=True)[0] if whole else of_slopes.sum(axis=0)
    slopes = np.where(positive, g.dtype.type(1), back.weights["weight"])
    return [g * slopes if back.any_input else None], arrays


@backward(kinds.ELU)
def elu(layer: kinds.ELU, back: Back) -> Sent:
    g, alpha = back.gradient, back.gradient.dtype.type(float(layer.alpha))
    if layer.alpha == 0:
        return [g * back.kept.get("mask", back.output > 0)], {}
    if layer.alpha > 0:
        return [g * np.where(back.output > 0, g.dtype.type(1), back.output + alpha)], {}
    return [g * np.where(back.x > 0, g.dtype.type(1), alpha * np.exp(back.x))], {}


@backward(kinds.SELU)
def selu(layer: kinds.SELU, back: Back) -> Sent:
    """Uses the constants of Klambauer et al. 2017, Equation 14."""
    y, number = back.output, back.output.dtype.type
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return [back.gradient * np.where(y > 0, number(scale), y + number(scale * alpha))], {}


@keeping(kinds.Abs)
def sign(layer: kinds.Abs, call: Call, out: Array) -> Mapping[str, Array]:
    return {"mask": np.sign(call.x).astype(np.int8)}


@backward(kinds.Abs)
def abs_(layer: kinds.Abs, back: Back) -> Sent:
    """At 0 the gradient is 0, as in PyTorch."""
    g, signs = back.gradient, back.kept["mask"] if "mask" in back.kept else np.sign(back.x)
    return [np.where(signs > 0, g, np.where(signs < 0, -g, g.dtype.type(0)))], {}


# --- Smooth functions ---------------------------------------------------------------------------------


@backward(kinds.GELU)
def gelu(layer: kinds.GELU, back: Back) -> Sent:
    g, x, real = back.gradient, back.x, back.x.dtype.type
    half = real(0.5)
    if layer.approximate == "tanh":
        a, b = real(math.sqrt(2 / math.pi)), real(0.044715)
        squares = x * x
        gate = np.tanh(a * (x + b * (squares * x)))
        inner = a * (1 + 3 * b * squares)
        return [g * (half * (1 + gate) + half * x * (1 - gate * gate) * inner)], {}
    below = half * (1 + erf(x * real(math.sqrt(0.5))))
    density = real(1 / math.sqrt(2 * math.pi)) * np.exp(-half * x * x)
    return [g * (below + x * density)], {}


@backward(kinds.SiLU)
def silu(layer: kinds.SiLU, back: Back) -> Sent:
    s = sigmoid_of(back.x)
    return [back.gradient * (s * (1 + back.x * (1 - s)))], {}


@backward(kinds.Sigmoid)
def sigmoid(layer: kinds.Sigmoid, back: Back) -> Sent:
    return [back.gradient * back.output * (1 - back.output)], {}


@backward(kinds.Tanh)
def tanh(layer: kinds.Tanh, back: Back) -> Sent:
    return [back.gradient * (1 - back.output * back.output)], {}


@backward(kinds.Softplus)
def softplus(layer: kinds.Softplus, back: Back) -> Sent:
    scaled = back.x if layer.beta == 1 else back.x * back.x.dtype.type(float(layer.beta))
    above = scaled > float(layer.threshold)
    return [np.where(above, back.gradient, back.gradient / (1 + np.exp(-scaled)))], {}


@backward(kinds.Mish)
def mish(layer: kinds.Mish, back: Back) -> Sent:
    """Infinite exponentials give the right values: a tanh of 1, and a sigmoid of 0 or 1."""
    t = np.tanh(np.log(1 + np.exp(back.x)))
    return [back.gradient * (t + back.x * sigmoid_of(back.x) * (1 - t * t))], {}


@backward(kinds.LogSigmoid)
def logsigmoid(layer: kinds.LogSigmoid, back: Back) -> Sent:
    return [back.gradient * (1 - np.exp(back.output))], {}


@backward(kinds.Softsign)
def softsign(layer: kinds.Softsign, back: Back) -> Sent:
    """`1 - abs(y)` is `1 / (1 + abs(x))`, and its square is the derivative."""
    rest = 1 - np.abs(back.output)
    return [back.gradient * rest * rest], {}


# --- Dropout ------------------------------------------------------------------------------------------


@backward(Dropout, DropPath)
def dropout(layer: Dropout | DropPath, back: Back) -> Sent:
    """The values that were kept were divided by `1 - p`."""
    if layer.p == 0:
        return [back.gradient], {}
    if layer.p == 1:
        return [np.zeros_like(back.gradient)], {}
    scale = back.gradient.dtype.type(1 / (1 - float(layer.p)))
    return [back.gradient * (back.kept["mask"] * scale)], {}
