"""Kernels of the activation functions and of dropout."""

from __future__ import annotations

import math

import numpy as np

from archcalc.executor.kernel import Array, Call, along_row, kernel
from archcalc.layers import activation as kinds
from archcalc.layers.dropout import Dropout, DropPath


def clipped(x: Array, low: float, high: float, out: Array | None = None) -> Array:
    """Values limited to a range. An infinite limit has no effect."""
    limited: Array = np.maximum(x, along_row(x, low), out=out)
    if high < math.inf:
        np.minimum(limited, along_row(x, high), out=limited)
    return limited


@kernel(kinds.ReLU)
def relu(layer: kinds.ReLU, call: Call) -> Array:
    return clipped(call.x, 0, math.inf, call.spare)


@kernel(kinds.ReLU6)
def relu6(layer: kinds.ReLU6, call: Call) -> Array:
    return clipped(call.x, 0, 6, call.spare)


@kernel(kinds.LeakyReLU)
def leaky_relu(layer: kinds.LeakyReLU, call: Call) -> Array:
    x = call.x
    return np.where(x > 0, x, x * x.dtype.type(float(layer.negative_slope)))


@kernel(kinds.PReLU)
def prelu(layer: kinds.PReLU, call: Call) -> Array:
    return np.where(call.x > 0, call.x, call.x * call.weights["weight"])


def _elu(x: Array, alpha: float) -> Array:
    return np.where(x > 0, x, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0)))


@kernel(kinds.ELU)
def elu(layer: kinds.ELU, call: Call) -> Array:
    return _elu(call.x, float(layer.alpha))


@kernel(kinds.SELU)
def selu(layer: kinds.SELU, call: Call) -> Array:
    """Uses the constants of Klambauer et al. 2017, Equation 14."""
    out: Array = call.x.dtype.type(1.0507009873554805) * _elu(call.x, 1.6732632423543772)
    return out


_erf = np.vectorize(math.erf, otypes=[np.float64])


def erf(x: Array) -> Array:
    """The error function, which NumPy does not have.

    In double precision it is exact, value by value. In single precision it is Abramowitz & Stegun 1964,
    7.1.26, whose error is below 1.5e-7.
    """
    if x.dtype == np.float64:
        exact: Array = _erf(x)
        return exact
    a = np.abs(x)
    t = 1 / (1 + x.dtype.type(0.3275911) * a)
    series = np.zeros_like(t)
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + x.dtype.type(coefficient)) * t
    result: Array = np.sign(x) * (1 - series * np.exp(-a * a))
    return result


@kernel(kinds.GELU)
def gelu(layer: kinds.GELU, call: Call) -> Array:
    x = call.x
    if layer.approximate == "tanh":
        inner = x.dtype.type(math.sqrt(2 / math.pi)) * (x + x.dtype.type(0.044715) * x * x * x)
        gate: Array = 1 + np.tanh(inner)
    else:
        gate = 1 + erf(x * x.dtype.type(math.sqrt(0.5)))
    out: Array = x.dtype.type(0.5) * x * gate
    return out


def logistic(x: Array) -> Array:
    """`1 / (1 + exp(-x))`, without overflow for large negative values."""
    small = np.exp(-np.abs(x))
    out: Array = np.where(x >= 0, 1, small) / (1 + small)
    return out


@kernel(kinds.SiLU)
def silu(layer: kinds.SiLU, call: Call) -> Array:
    out: Array = call.x * logistic(call.x)
    return out


@kernel(kinds.Sigmoid)
def sigmoid(layer: kinds.Sigmoid, call: Call) -> Array:
    return logistic(call.x)


def _hardsigmoid(x: Array) -> Array:
    out = x + 3
    clipped(out, 0, 6, out)
    out /= 6
    return out


@kernel(kinds.HardSigmoid)
def hardsigmoid(layer: kinds.HardSigmoid, call: Call) -> Array:
    if layer.is_standard:
        return _hardsigmoid(call.x)
    x = call.x
    out: Array = x * x.dtype.type(float(layer.slope)) + x.dtype.type(float(layer.offset))
    return clipped(out, 0, 1, out)


@kernel(kinds.HardSwish)
def hardswish(layer: kinds.HardSwish, call: Call) -> Array:
    out: Array = call.x * _hardsigmoid(call.x)
    return out


@kernel(kinds.Tanh)
def tanh(layer: kinds.Tanh, call: Call) -> Array:
    out: Array = np.tanh(call.x)
    return out


@kernel(kinds.Abs)
def abs_(layer: kinds.Abs, call: Call) -> Array:
    out: Array = np.abs(call.x)
    return out


def _log_of_one_more(x: Array) -> Array:
    """`log(1 + exp(x))`, without overflow."""
    out: Array = np.logaddexp(x.dtype.type(0), x)
    return out


@kernel(kinds.Softplus)
def softplus(layer: kinds.Softplus, call: Call) -> Array:
    x = call.x
    beta = x.dtype.type(float(layer.beta))
    scaled = x * beta
    return np.where(scaled > float(layer.threshold), x, _log_of_one_more(scaled) / beta)


@kernel(kinds.Mish)
def mish(layer: kinds.Mish, call: Call) -> Array:
    out: Array = call.x * np.tanh(_log_of_one_more(call.x))
    return out


@kernel(kinds.Hardtanh)
def hardtanh(layer: kinds.Hardtanh, call: Call) -> Array:
    return clipped(call.x, float(layer.min_val), float(layer.max_val), call.spare)


@kernel(kinds.LogSigmoid)
def logsigmoid(layer: kinds.LogSigmoid, call: Call) -> Array:
    return -_log_of_one_more(-call.x)


@kernel(kinds.Softsign)
def softsign(layer: kinds.Softsign, call: Call) -> Array:
    out: Array = call.x / (1 + np.abs(call.x))
    return out


def _dropped(x: Array, p: float, shape: tuple[int, ...], call: Call) -> Array:
    """Set values to zero with probability `p`, and scale the others so that the mean stays the same."""
    if not call.train or p == 0:
        return x
    if p == 1:
        return np.zeros_like(x)
    random = call.random if call.random is not None else np.random.default_rng(0)
    stays = random.random(shape) >= p
    if call.kept is not None:
        call.kept["mask"] = stays
    out: Array = np.where(stays, x / x.dtype.type(1 - p), x.dtype.type(0))
    return out


@kernel(Dropout)
def dropout(layer: Dropout, call: Call) -> Array:
    return _dropped(call.x, float(layer.p), call.x.shape, call)


@kernel(DropPath)
def drop_path(layer: DropPath, call: Call) -> Array:
    """Whole samples are dropped (Huang et al. 2016)."""
    return _dropped(call.x, float(layer.p), (call.x.shape[0],) + (1,) * (call.x.ndim - 1), call)
