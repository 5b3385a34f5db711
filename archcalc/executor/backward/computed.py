"""Gradients of the arrays that a weight is computed from, from the gradient of the weight.

The formulas are those of `archcalc.layers.computed.backward_of_way`, which counts what they take.
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
    """Gradients of a layer's arrays as they are stored, from those of the arrays that its kernel takes."""
    way = getattr(layer, "weight", "own")
    if way not in COMPUTED or not trained & {"weight", "gain"}:
        return gradients
    found = _WAYS[way](gradients["weight"], arrays)
    return {**gradients, **{name: array for name, array in found.items() if name in trained}}


def _over_inputs(array: Array) -> tuple[int, ...]:
    """All axes but that of the output channels."""
    return tuple(range(array.ndim - 1))


def _standardized(gradient: Array, arrays: Mapping[str, Array]) -> Gradients:
    weight = arrays["weight"]
    y, root = _normalized(weight)
    return {"weight": _centred(gradient, y) / root}


def _scaled(gradient: Array, arrays: Mapping[str, Array]) -> Gradients:
    weight, gain = arrays["weight"], arrays["gain"]
    y, root = _normalized(weight)
    factor = weight.dtype.type(1 / math.sqrt(weight.size // weight.shape[-1]))
    of_gain = (gradient * y).sum(axis=_over_inputs(weight)) * factor
    return {"weight": _centred(gradient, y) * (gain * factor / root), "gain": of_gain}


def _normalized(weight: Array) -> tuple[Array, Array]:
    """The weights of each output channel with mean 0 and deviation 1, and their deviations."""
    axes = _over_inputs(weight)
    root = np.sqrt(weight.var(axis=axes) + weight.dtype.type(EPS))
    return (weight - weight.mean(axis=axes)) / root, root


def _centred(gradient: Array, y: Array) -> Array:
    axes = _over_inputs(y)
    out: Array = gradient - (gradient.mean(axis=axes) + y * (gradient * y).mean(axis=axes))
    return out


def _weight_norm(gradient: Array, arrays: Mapping[str, Array]) -> Gradients:
    weight, gain = arrays["weight"], arrays["gain"]
    axes = _over_inputs(weight)
    length = np.sqrt((weight * weight).sum(axis=axes))
    of_gain = (gradient * weight).sum(axis=axes) / length
    return {"weight": gain / length * (gradient - weight * (of_gain / length)), "gain": of_gain}


def _spectral(gradient: Array, arrays: Mapping[str, Array]) -> Gradients:
    weight, u, v = arrays["weight"], arrays["u"], arrays["v"]
    sigma = u @ rows_of(weight) @ v.reshape(-1)
    along = (gradient * weight).sum() / sigma
    return {"weight": (gradient - v[..., None] * (along * u)) / sigma}


_WAYS: dict[str, OfArrays] = {
    "standardized": _standardized,
    "scaled_standardized": _scaled,
    "weight_norm": _weight_norm,
    "spectral_norm": _spectral,
}
