"""The inputs of a run: arrays from the caller, or random arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from archcalc.diagnostics import error
from archcalc.executor.indices import index_limits
from archcalc.executor.kernel import Array
from archcalc.executor.reshape import channels_last
from archcalc.executor.weights import as_array, checked
from archcalc.network import Network


def given_inputs(
    network: Network,
    inputs: Mapping[str, Array] | Array | None,
    batch: int,
    seed: int,
    dtype: Any,
    finite: bool = True,
) -> dict[str, Array]:
    """The inputs as arrays, channels last, random if they are not given. Raises `ArchError`."""
    declared = network.inputs
    if inputs is not None and not isinstance(inputs, Mapping):
        if len(declared) != 1:
            names = ", ".join(f"`{name}`" for name in declared)
            raise error(f"`{network.name}` has several inputs", help=f"give arrays by name: {names}")
        inputs = {next(iter(declared)): inputs}
    if inputs is not None:
        unknown = [name for name in inputs if name not in declared]
        missing = [name for name in declared if name not in inputs]
        if unknown or missing:
            listed = ", ".join(f"`{name}`" for name in declared)
            wrong = f"no input `{unknown[0]}`" if unknown else f"an input `{missing[0]}`, which is not given"
            raise error(f"`{network.name}` has {wrong}", help=f"its inputs are {listed}")
    if inputs is None:
        return {name: channels_last(x) for name, x in drawn_inputs(network, batch, seed, dtype).items()}
    arrays = {}
    indices = index_bounds(network)
    for name, node in declared.items():
        what, want = f"the input `{name}`", (batch, *node.shape)
        given = as_array(inputs[name], what)
        array = checked(given, want, dtype, what, finite)
        if name in indices and (changed := (given != array) & np.isfinite(given)).any():
            raise error(
                f"{what} has the index {given[changed][0]}, which {array.dtype} cannot represent exactly",
                help="run in float64",
            )
        arrays[name] = channels_last(array)
    return arrays


def drawn_inputs(network: Network, batch: int, seed: int, dtype: Any) -> dict[str, Array]:
    """Standard normal values for every input, channels first. The same seed gives the same values.

    An input of indices gets whole numbers that are valid for every embedding that it reaches.
    """
    random = np.random.default_rng(seed)
    bounds = index_bounds(network)
    exact = 2 ** (np.finfo(dtype).nmant + 1)  # whole numbers are exact up to here
    drawn = {}
    for name, node in network.inputs.items():
        shape = (batch, *node.shape)
        if name in bounds:
            drawn[name] = random.integers(min(bounds[name], exact), size=shape).astype(dtype)
        else:
            drawn[name] = random.standard_normal(shape).astype(dtype)
    return drawn


def index_bounds(network: Network) -> dict[str, int]:
    """The inputs whose values are indices, each with the fewest rows of any embedding that they reach."""
    limits = index_limits(network)
    return {name: limits[node.index] for name, node in network.inputs.items() if node.index in limits}
