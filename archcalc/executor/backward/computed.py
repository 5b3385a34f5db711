"""The gradients of the arrays that a weight is computed from, given the gradient of the weight.

The formulas are those of `archcalc.layers.computed.backward_of_way`, which counts their operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from archcalc.executor.computed import EPS, rows_of
from archcalc.executor.kernel import Array
from archcalc.layers.computed import COMPUTED

Gradients = dict[str, Array]
OfArrays = Callable[[Array, Mapping[str, Array]], Gradients]


def of_raw_arrays(
    layer: Any, gradients: Mapping[str, Array], arrays: Mapping[str, Array], trained: frozenset[str]
) -> Mapping[str, Array]:
    """The gradients of a layer's stored arrays, from those of the arrays that its kernel reads."""
    way = getattr(layer, "weight", "own")
    if way not in COMPUTED or not trained & {"weight", "gain"}:
        return gradients
    found = _WAYS[way](gradients["weight"], arrays)
    return {**gradients, **{name: array for name, array in found.items() if name in trained}}


def _over_inputs(array: Array) -> tuple[int, ...]:
    """All axes except that of the output channels."""
    return tuple(range(array.ndim - 1))


def _standardized(gradient: Array, arrays: Mapping[str, Array]) -> Gradients:
    y, inverse = normalized(arrays["weight"])
    along = (gradient * y).sum(axis=_over_inputs(y))
    return {"weight": _centred(gradient, y, along) * inverse}


def _scaled(gradient: Array, arrays: Mapping[str, Array]) -> Gradients:
    weight = arrays["weight"]
    y, inverse = normalized(weight)
    root = weight.dtype.type(1 / math.sqrt(weight.size // weight.shape[-1]))
    along = (gradient * y).sum(axis=_over_inputs(y))
    scale = arrays["gain"] * root
    return {"weight": _centred(gradient, y, along) * (scale * inverse), "gain": along * root}


def normalized(weight: Array) -> tuple[Array, Array]:
    """The weights of each output channel with mean 0 and deviation 1, and 1 divided by their deviations."""
    axes = _over_inputs(weight)
    inverse = 1 / np.sqrt(weight.var(axis=axes) + weight.dtype.type(EPS))
    return (weight - weight.mean(axis=axes)) * inverse, inverse


def _centred(gradient: Array, y: Array, along: Array) -> Array:
    """The gradient without what moves the mean or the deviation. `along` is `sum(gradient * y)`."""
    fan_in = y.size // y.shape[-1]
    out: Array = gradient - (gradient.sum(axis=_over_inputs(y)) / fan_in + y * (along / fan_in))
    return out


def _weight_norm(gradient: Array, arrays: Mapping[str, Array]) -> Gradients:
    weight = arrays["weight"]
    axes = _over_inputs(weight)
    length = np.sqrt((weight * weight).sum(axis=axes))
    scale = arrays["gain"] / length
    of_gain = (gradient * weight).sum(axis=axes) / length
    return {"weight": scale * (gradient - weight * (of_gain / length)), "gain": of_gain}


def _spectral(gradient: Array, arrays: Mapping[str, Array]) -> Gradients:
    weight, u, v = arrays["weight"], arrays["u"], arrays["v"]
    sigma = u @ (rows_of(weight) @ v.reshape(-1))
    along = (gradient * weight).sum() / sigma
    return {"weight": (gradient - v[..., None] * (u * along)) / sigma}


_WAYS: dict[str, OfArrays] = {
    "standardized": _standardized,
    "scaled_standardized": _scaled,
    "weight_norm": _weight_norm,
    "spectral_norm": _spectral,
}
