"""The inputs of a run: arrays that the caller gives, or random ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from archcalc.diagnostics import error
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
    """The inputs as arrays, channels last; drawn at random if none are given. Raises `ArchError`."""
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
    for name, node in declared.items():
        what, want = f"the input `{name}`", (batch, *node.shape)
        array = checked(as_array(inputs[name], what), want, dtype, what, finite)
        arrays[name] = channels_last(array)
    return arrays


def drawn_inputs(network: Network, batch: int, seed: int, dtype: Any) -> dict[str, Array]:
    """Standard normal values for every input, channels first; the same seed gives the same values."""
    random = np.random.default_rng(seed)
    return {
        name: random.standard_normal((batch, *node.shape)).astype(dtype)
        for name, node in network.inputs.items()
    }
