"""Kernels of the functions of one value."""

from __future__ import annotations

import math

import numpy as np

from archcalc.executor.activation import clipped, erf
from archcalc.executor.kernel import Array, Call, kernel
from archcalc.layers import unary as kinds


@kernel(kinds.Exp)
def exp(layer: kinds.Exp, call: Call) -> Array:
    out: Array = np.exp(call.x)
    return out


@kernel(kinds.Log)
def log(layer: kinds.Log, call: Call) -> Array:
    out: Array = np.log(call.x)
    return out


@kernel(kinds.Sqrt)
def sqrt(layer: kinds.Sqrt, call: Call) -> Array:
    out: Array = np.sqrt(call.x)
    return out


@kernel(kinds.RSqrt)
def rsqrt(layer: kinds.RSqrt, call: Call) -> Array:
    out: Array = 1 / np.sqrt(call.x)
    return out


@kernel(kinds.Square)
def square(layer: kinds.Square, call: Call) -> Array:
    out: Array = np.square(call.x)
    return out


@kernel(kinds.Sin)
def sin(layer: kinds.Sin, call: Call) -> Array:
    out: Array = np.sin(call.x)
    return out


@kernel(kinds.Cos)
def cos(layer: kinds.Cos, call: Call) -> Array:
    out: Array = np.cos(call.x)
    return out


@kernel(kinds.Erf)
def erf_(layer: kinds.Erf, call: Call) -> Array:
    return erf(call.x)


@kernel(kinds.Pow)
def pow_(layer: kinds.Pow, call: Call) -> Array:
    out: Array = np.power(call.x, call.x.dtype.type(float(layer.exponent)))
    return out


@kernel(kinds.Clamp)
def clamp(layer: kinds.Clamp, call: Call) -> Array:
    low = -math.inf if layer.min is None else float(layer.min)
    high = math.inf if layer.max is None else float(layer.max)
    return clipped(call.x, low, high, call.spare)
