"""Weights that are computed from other arrays before a layer uses them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from archcalc.executor.kernel import Array

EPS = 1e-6
"""Keeps the root of a variance from zero, as in timm's standardized convolutions."""

ITERATIONS = 15
"""Steps of the power iteration for random arrays, as in PyTorch."""


def with_computed_weight(layer: Any, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
    """The arrays that the kernel of a layer reads, with the weight computed if the layer says so."""
    way = getattr(layer, "weight", "own")
    if way in ("own", "fixed"):
        return arrays
    return {**arrays, "weight": _COMPUTED[way](arrays["weight"], arrays)}


def settle(layer: Any, arrays: dict[str, Array]) -> None:
    """Fit the vectors of a spectral norm to a random weight, as some training would."""
    if getattr(layer, "weight", "own") != "spectral_norm":
        return
    matrix = rows_of(arrays["weight"]).astype(np.float64)
    u = arrays["u"].astype(np.float64)
    v = matrix.T @ u
    for _ in range(ITERATIONS):
        v = matrix.T @ u
        v /= np.linalg.norm(v)
        u = matrix @ v
        u /= np.linalg.norm(u)
    arrays["u"][...], arrays["v"][...] = u, v.reshape(arrays["v"].shape)


def rows_of(weight: Array) -> Array:
    """A weight as a matrix with one row per output channel. Output channels are last in the array."""
    return weight.reshape(-1, weight.shape[-1]).T


def _standardized(weight: Array, arrays: Mapping[str, Array]) -> Array:
    axes = tuple(range(weight.ndim - 1))
    centred = weight - weight.mean(axis=axes)
    out: Array = centred / np.sqrt((centred * centred).mean(axis=axes) + weight.dtype.type(EPS))
    return out


def _scaled(weight: Array, arrays: Mapping[str, Array]) -> Array:
    fan_in = weight.size // weight.shape[-1]
    out: Array = _standardized(weight, arrays) * (arrays["gain"] * weight.dtype.type(1 / math.sqrt(fan_in)))
    return out


def _weight_norm(weight: Array, arrays: Mapping[str, Array]) -> Array:
    length = np.sqrt((weight * weight).sum(axis=tuple(range(weight.ndim - 1))))
    out: Array = weight * (arrays["gain"] / length)
    return out


def _spectral(weight: Array, arrays: Mapping[str, Array]) -> Array:
    out: Array = weight / (arrays["u"] @ rows_of(weight) @ arrays["v"].reshape(-1))
    return out


_COMPUTED = {
    "standardized": _standardized,
    "scaled_standardized": _scaled,
    "weight_norm": _weight_norm,
    "spectral_norm": _spectral,
}
