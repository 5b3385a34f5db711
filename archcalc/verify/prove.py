"""Compares each static figure of a network with a run on tensors.

- shapes: the outputs of all kernels;
- parameters: the values of the arrays that were allocated;
- MACs: a slow path does each multiplication tap by tap and counts them, and must have the same result as the
  kernel;
- receptive field: NaNs in the input mark the values that depend on them;
- memory: the bytes of the tensors, and the most bytes alive at once;
- the original of an imported model: the outputs of its own framework for the same input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct

from archcalc.executor.execute import Run, RunOptions, Step, execute
from archcalc.executor.inputs import drawn_inputs
from archcalc.executor.kernel import Array, Call
from archcalc.executor.original import Agreement, compare_with_original
from archcalc.executor.weights import Weights, allocated_values, owners, random_weights
from archcalc.network import Network, Node
from archcalc.profile import Profile, analyze
from archcalc.verify.counting import COUNTED, count_multiplications
from archcalc.verify.fields import Verdict, fields


class Proof(Struct):
    """All verdicts of a network. `without_padding` is the number of multiplications without padding."""

    network: str
    verdicts: list[Verdict]
    without_padding: int = 0
    peak_bytes: int = 0

    @property
    def held(self) -> bool:
        return all(verdict.held for verdict in self.verdicts)


class Verified(Struct):
    """The result for one network: its proof at an input size, or why there is none.

    If the input was scaled down, `declared` is its own size, at which parameters are verified.
    """

    name: str
    inputs: str
    proof: Proof | None = None
    problem: str = ""
    declared: str = ""
    notes: list[dict[str, Any]] = []
    """Likely mistakes in its text, as JSON shows them."""


def verify(
    network: Network,
    *,
    seed: int = 0,
    watch: Callable[[], None] | None = None,
    declared: Network | None = None,
) -> Proof:
    """Verify the figures of a network by running it.

    If `network` has a smaller input, `declared` is the network at its own input. Its parameters are verified,
    because those of a fully connected layer after a map depend on the size of the map.
    """
    profile = analyze(network)
    own = network.trained() if network.trained is not None else None
    weights = own if own is not None else random_weights(network, seed)
    inputs = drawn_inputs(network, 1, seed, np.float32)
    counted: dict[int, tuple[int, int, str]] = {}
    unmarked: set[int] = set()

    def look(step: Step, reads: list[Array], arrays: Mapping[str, Array], out: Array) -> None:
        node = step.node
        if type(node.layer) in COUNTED:
            counted[node.index] = _count(node, Call(reads, arrays), out)
        if np.isnan(out).any():  # after a maximum over padding alone
            unmarked.add(node.index)
        if watch is not None:
            watch()

    run = execute(
        network, inputs, weights, RunOptions(seed=seed, inspect=look)
    )  # a wrong shape raises an error
    nodes = len(run.steps)
    shapes = Verdict("shapes", nodes, nodes, True)
    measured_bytes = sum(step.bytes for step in run.steps if not step.node.is_input)
    predicted_bytes = profile.totals.activation_bytes
    memory = Verdict("bytes", predicted_bytes, measured_bytes, measured_bytes == predicted_bytes)
    proof = [
        shapes,
        _params(profile, weights) if declared is None else _params_at_full_size(declared),
        _macs(profile, counted),
        fields(profile, weights, seed, unmarked, watch),
        memory,
        _peak(profile, run),
    ]
    agreement = compare_with_original(network, inputs, run.outputs) if own is not None else None
    if agreement is not None:
        proof.append(_original(agreement))
    return Proof(network.name, proof, sum(c[1] for c in counted.values()), run.peak_bytes)


def _original(agreement: Agreement) -> Verdict:
    """Compares the outputs with those of the model in its own framework."""
    equal = agreement.compared if agreement.held else 0
    return Verdict("original", agreement.compared, equal, agreement.held, str(agreement))


def _peak(profile: Profile, run: Run) -> Verdict:
    """The most bytes alive at once, of the tensors of the graph alone."""
    predicted = profile.totals.peak_bytes
    return Verdict("peak", predicted, run.peak_bytes, predicted == run.peak_bytes)


def _params(profile: Profile, weights: Weights) -> Verdict:
    """The number of trainable values in the arrays that were allocated."""
    allocated = sum(
        weights[node.name][weight.name].size
        for node in owners(profile.network)
        for weight in node.own_weights
        if weight.role != "buffer"
    )
    predicted = profile.totals.params
    return Verdict("params", predicted, allocated, predicted == allocated)


def _params_at_full_size(network: Network) -> Verdict:
    """The number of trainable values in arrays that are allocated but not used in a run."""
    allocated, predicted = allocated_values(network), analyze(network).totals.params
    return Verdict("params", predicted, allocated, predicted == allocated)


def _count(node: Node, call: Call, out: Array) -> tuple[int, int, str]:
    nominal, inside, result = count_multiplications(node.layer, call)
    finite = np.isfinite(out)  # a maximum over padding alone is not finite
    scale = float(np.abs(out[finite]).max(initial=0)) or 1.0
    error = float(np.abs(result[finite] - out[finite]).max(initial=0)) / scale
    if (np.isfinite(result) != finite).any():
        error = np.inf
    remark = "" if error < 1e-3 else f"{node.name}: the slow path's result differs by {error:.1e}"
    return nominal, inside, remark


def _macs(profile: Profile, counted: dict[int, tuple[int, int, str]]) -> Verdict:
    remark = ""
    for layer in profile.layers:
        nominal, _, problem = counted.get(layer.node.index, (0, 0, ""))
        if not remark and nominal != layer.macs:
            remark = f"{layer.name}: predicted {layer.macs:,}, counted {nominal:,}"
        remark = remark or problem
    measured = sum(c[0] for c in counted.values())
    held = measured == profile.totals.macs and not remark
    return Verdict("macs", profile.totals.macs, measured, held, remark)
