"""The arrays of a network: made at random, or read from a file; one for each parameter, shared ones once.

Arrays have the shapes of the layer's `Weight` facts: a convolution's are `(*kernel, C_in/groups, C_out)`,
a fully connected layer's `(N_in, N_out)`.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from archcalc.layers.base import Weight
from archcalc.network import Network, Node
from archcalc.reference.kernel import Array
from archcalc.source import error, near_miss

Weights = dict[str, dict[str, Array]]
"""Arrays by the path of the node that owns them, and by their name in the layer."""


def owners(network: Network, heads: bool = False) -> list[Node]:
    """The nodes with arrays of their own, in order."""
    found: dict[int, Node] = {}
    for node in network.nodes:
        if node.facts.weights and (heads or not node.training):
            owner = node.shares or node
            found.setdefault(owner.index, owner)
    return list(found.values())


def random_weights(network: Network, seed: int = 0, dtype: Any = np.float32, heads: bool = False) -> Weights:
    """Seeded arrays with which a deep network neither explodes nor vanishes.

    Weights have variance 2 / fan-in (He et al. 2015, Equation 10) and are uniform, which is drawn
    fastest; biases are small, scales of normalisations below one. Running statistics are those of a
    standard normal input, until the first run sets them to those of the tensors it meets (`calibrate`).
    """
    random = np.random.default_rng(seed)
    weights: Weights = {}
    for node in owners(network, heads):
        weights[node.name] = {
            weight.name: _draw(node, weight, random).astype(dtype, copy=False)
            for weight in node.facts.weights
        }
    return weights


def calibrate(arrays: Mapping[str, Array], x: Array) -> None:
    """Set running statistics to the mean and variance of a tensor, as training would have left them."""
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


def _fan_in(weight: Weight) -> int:
    """What one output value sums over: the sizes of the kernel and of the input channels."""
    sums = 1
    for symbol, size in weight.factors:
        if symbol.startswith("k_") or symbol in ("C_in", "C_in/groups", "N_in"):
            sums *= size
    return sums


def load_weights(network: Network, path: Path, dtype: Any = np.float32, heads: bool = False) -> Weights:
    """Arrays from an `.npz` or `.safetensors` file, whose names are `path/of/node.weight`.

    Raises `ArchError` for a file that is none, and for a missing, superfluous or wrong array.
    """
    arrays = read_arrays(path)
    weights: Weights = {}
    expected = {
        f"{node.name}.{weight.name}": (node, weight)
        for node in owners(network, heads)
        for weight in node.facts.weights
    }
    for name in arrays:
        if name not in expected:
            raise error(
                f"`{path}` has an array `{name}`, and `{network.name}` has no such parameter",
                help=near_miss(name, expected),
            )
    for name, (node, weight) in expected.items():
        if name not in arrays:
            raise error(
                f"`{path}` has no array `{name}`",
                node.span,
                help=f"add one of shape {'x'.join(map(str, weight.shape))}",
            )
        weights.setdefault(node.name, {})[weight.name] = checked(
            arrays[name], weight.shape, dtype, f"`{name}` of `{path}`"
        )
    return weights


def checked(array: Array, shape: tuple[int, ...], dtype: Any, what: str, finite: bool = True) -> Array:
    """An array of (finite) numbers of a shape, as a dtype. Raises `ArchError`."""
    if array.dtype.kind not in "fiub":
        raise error(f"{what} holds {array.dtype}, not numbers")
    if array.shape != shape:
        have, want = ("x".join(map(str, s)) or "a single number" for s in (array.shape, shape))
        raise error(f"{what} is {have}, but {want} is needed")
    array = array.astype(dtype, copy=False)
    if finite and not np.isfinite(array).all():
        raise error(f"{what} has values that are not finite numbers")
    return array


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an `.npz` or `.safetensors` file. Nothing is ever unpickled. Raises `ArchError`."""
    try:
        if path.suffix == ".safetensors":
            return _safetensors(path)
        with np.load(path, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise error(f"`{path}` holds one array, not named arrays", help="save an `.npz` archive")
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise error(f"there is no file `{path}`") from None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as problem:
        raise error(f"`{path}` is not a readable array file: {problem}") from None


def _safetensors(path: Path) -> dict[str, Array]:
    try:
        from safetensors.numpy import load_file
    except ImportError:
        raise error(
            "reading `.safetensors` needs the package safetensors", help="pip install 'archcalc[weights]'"
        ) from None
    try:
        loaded: dict[str, Array] = load_file(path)
    except FileNotFoundError:
        raise
    except Exception as problem:  # the library raises an exception type of its own
        raise error(f"`{path}` is not a safetensors file: {problem}") from None
    return loaded


def bytes_of(weights: Mapping[str, Mapping[str, Array]]) -> int:
    """Bytes of all arrays."""
    return sum(array.nbytes for arrays in weights.values() for array in arrays.values())
