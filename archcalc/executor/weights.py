"""The arrays of a network, random or from a file. Each parameter has one array, and a shared one counts once.

Arrays have the shapes of the layer's `Weight` facts. Those of a convolution are
`(*kernel, C_in/groups, C_out)`, and those of a fully connected layer are `(N_in, N_out)`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from archcalc.diagnostics import error, near_miss
from archcalc.executor.arrays import Stored, check_kind, open_arrays
from archcalc.executor.computed import settle, with_computed_weight
from archcalc.executor.indices import index_limits
from archcalc.executor.kernel import Array
from archcalc.layers.arithmetic import ParameterTensor
from archcalc.layers.terms import Weight
from archcalc.network import Network, Node
from archcalc.shape import format_shape

Weights = dict[str, dict[str, Array]]
"""Arrays by the path of the node that owns them, and by their name in the layer."""


def owners(network: Network, heads: bool = False) -> list[Node]:
    """The nodes with arrays of their own, in order."""
    found: dict[int, Node] = {}
    for node in network.nodes:
        if node.facts.weights and (heads or not node.training):
            for owner in (node.shares or node, *(first for first, _ in node.tied.values())):
                found.setdefault(owner.index, owner)
    return list(found.values())


def arrays_of(node: Node, weights: Mapping[str, Mapping[str, Array]]) -> Mapping[str, Array]:
    """The arrays that a node computes with, its own and those of others, in the shapes that it needs."""
    if not node.facts.weights:
        return {}
    return with_computed_weight(node.layer, stored_arrays(node, weights))


def stored_arrays(node: Node, weights: Mapping[str, Mapping[str, Array]]) -> Mapping[str, Array]:
    """The arrays of a node as stored. Its weight may be computed from them."""
    if not node.facts.weights:
        return {}
    node = node.shares or node
    if not node.tied:
        return weights[node.name]
    shapes = {weight.name: weight.shape for weight in node.facts.weights}
    own = weights.get(node.name, {})
    others = {
        name: _in_shape(weights[owner.name][array], shapes[name])
        for name, (owner, array) in node.tied.items()
        if name not in own  # in an imported model, each layer has its arrays
    }
    return {**others, **own}


def _in_shape(array: Array, shape: tuple[int, ...]) -> Array:
    """A tied array in the shape that another layer needs, with inputs and outputs swapped if needed."""
    if array.ndim > 1 and array.shape != shape:
        swapped = np.swapaxes(array, -1, -2)
        if swapped.shape == shape:
            return swapped
    return array.reshape(shape)


def random_weights(network: Network, seed: int = 0, dtype: Any = np.float32, heads: bool = False) -> Weights:
    """Random arrays from a seed, with which a deep network neither explodes nor vanishes.

    Weights have the variance 2 / fan-in (He et al. 2015, Equation 10). They are uniform, which is fastest to
    draw. Biases are small, and scales of normalizations are below one. Running statistics are those of a
    standard normal input, until the first run sets them to the statistics of its tensors (`calibrate`). A
    parameter that an embedding reads has valid indices.
    """
    random = np.random.default_rng(seed)
    limits = index_limits(network)
    weights: Weights = {}
    for node in owners(network, heads):
        if isinstance(node.layer, ParameterTensor) and node.index in limits:
            drawn = random.integers(limits[node.index], size=node.layer.shape)
            weights[node.name] = {"weight": drawn.astype(dtype)}
            continue
        weights[node.name] = {
            weight.name: _draw(node, weight, random).astype(dtype, copy=False) for weight in node.own_weights
        }
        settle(node.layer, weights[node.name])
    return weights


def allocated_values(network: Network) -> int:
    """The number of trainable values of a network. Each array is allocated, counted, and freed.

    Nothing is written to the arrays, so they use addresses but hardly any memory. Raises `MemoryError`.
    """
    return sum(
        np.empty(weight.shape, np.float32).size
        for node in owners(network)
        for weight in node.facts.weights
        if weight.role != "buffer"
    )


def calibrate(arrays: Mapping[str, Array], x: Array) -> None:
    """Set running statistics to the mean and variance of a tensor, as training would do."""
    axes = tuple(range(x.ndim - 1))
    arrays["running_mean"][...] = x.mean(axis=axes)
    arrays["running_var"][...] = x.var(axis=axes) + x.dtype.type(1e-3)


def _draw(node: Node, weight: Weight, random: np.random.Generator) -> Array:
    shape = weight.shape
    if weight.role == "weight":
        drawn = random.random(shape, np.float32)
        drawn -= np.float32(0.5)
        drawn *= np.float32(math.sqrt(12 * 2 / _fan_in(weight)))  # uniform over 1 has variance 1/12
        return drawn
    if weight.name == "running_var":
        return random.uniform(0.9, 1.1, shape).astype(np.float32)
    if weight.role == "norm" and weight.name == "weight":
        return random.uniform(0.5, 0.7, shape).astype(np.float32)
    return random.standard_normal(shape, np.float32) * np.float32(0.01)


_SUMMED = ("C_in", "C_in/groups", "N_in", "C_q", "C_kv", "heads·d_v")
"""Symbols of axes that an output value sums over, in addition to those of the kernel."""


def _fan_in(weight: Weight) -> int:
    """The number of values that one output value sums over: the kernel times the input channels."""
    sums = 1
    for axis, (symbol, size) in enumerate(weight.factors):
        states = axis == 0 and symbol in ("N_h", "2N_h")  # units are also outputs, on the second axis
        if states or symbol.startswith("k_") or symbol in _SUMMED:
            sums *= size
    return sums


def load_weights(network: Network, path: Path, dtype: Any = np.float32, heads: bool = False) -> Weights:
    """Load arrays from an `.npz` or `.safetensors` file, where their names are `path/of/node.weight`.

    Raises `ArchError` if the file is not such a file, or if an array is missing, unknown, or wrong.
    """
    weights: Weights = {}
    expected = {
        f"{node.name}.{weight.name}": (node, weight)
        for node in owners(network, heads)
        for weight in node.own_weights
    }
    with open_arrays(path) as stored:
        _check_names(network, stored, path, expected)
        for name, (node, weight) in expected.items():
            check_kind(*stored.kinds[name], weight.shape, f"`{name}` of `{path}`")
            weights.setdefault(node.name, {})[weight.name] = checked(
                stored.read(name), weight.shape, dtype, f"`{name}` of `{path}`"
            )
    return weights


def _check_names(
    network: Network, stored: Stored, path: Path, expected: Mapping[str, tuple[Node, Weight]]
) -> None:
    for name in stored.kinds:
        if name not in expected:
            raise error(
                f"`{path}` has an array `{name}`, but `{network.name}` has no such parameter",
                help=near_miss(name, expected),
            )
    for name, (node, weight) in expected.items():
        if name not in stored.kinds:
            raise error(
                f"`{path}` has no array `{name}`",
                node.span,
                help=f"add one of shape {format_shape(weight.shape, cross='x')}",
            )


def given_weights(
    network: Network, weights: Mapping[str, Mapping[str, Array]], dtype: Any, heads: bool = False
) -> Weights:
    """Arrays given by node and name, converted to a dtype. Raises `ArchError` if one is missing or wrong."""
    known = {node.name: node for node in owners(network, heads=True)}
    if not isinstance(weights, Mapping) or not all(isinstance(w, Mapping) for w in weights.values()):
        raise error(
            "weights must be arrays by layer and name", help='write `{"conv1": {"weight": w, "bias": b}}`'
        )
    for path in map(str, weights):
        if path not in known:
            help = near_miss(path, known)
            raise error(f"there are weights for `{path}`, but `{network.name}` has no such layer", help=help)
    found: Weights = {}
    for node in owners(network, heads):
        arrays = weights.get(node.name, {})
        found[node.name] = {}
        for weight in node.facts.weights:
            name = f"{node.name}.{weight.name}"
            if weight.name not in arrays:
                if weight.name in node.tied:
                    continue
                raise error(f"the weights do not contain `{name}`", node.span)
            found[node.name][weight.name] = checked(
                as_array(arrays[weight.name], f"`{name}`"), weight.shape, dtype, f"`{name}`", finite=False
            )
        extra = sorted(map(str, set(arrays) - set(found[node.name])))
        if extra:
            raise error(f"`{node.name}` has no array `{extra[0]}`", node.span)
    return found


def as_array(value: object, what: str) -> Array:
    """A value from the caller as an array. Raises `ArchError`."""
    try:
        return np.asarray(value)
    except ValueError:  # rows of different lengths
        raise error(f"{what} is not an array of numbers") from None


def checked(array: Array, shape: tuple[int, ...], dtype: Any, what: str, finite: bool = True) -> Array:
    """An array of (finite) numbers with this shape, converted to a dtype. Raises `ArchError`."""
    check_kind(array.shape, array.dtype, shape, what)
    if array.dtype != dtype:
        with np.errstate(over="ignore"):  # a value that is too large becomes infinite, and is refused
            array = array.astype(dtype)
    if finite and not np.isfinite(array).all():
        raise error(f"{what} has values that are not finite")
    return array
