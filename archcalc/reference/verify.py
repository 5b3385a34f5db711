"""The proof: each static figure of a network beside what really happens on tensors.

- shapes: what every kernel puts out;
- parameters: the values of the arrays that were allocated;
- multiply-adds: a slow path that performs each multiplication tap by tap, counts them, and must come to
  the same result as the kernel;
- receptive field: NaNs in the input mark what sees them;
- memory: the bytes of the tensors, and the most of them alive at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

import numpy as np
from msgspec import Struct

from archcalc.analyses.lifetimes import peak_activations
from archcalc.analyses.receptive_field import Field
from archcalc.layers.terms import Reach, Windows
from archcalc.network import Network, Node
from archcalc.profile import Profile, analyze
from archcalc.reference.counting import COUNTED, count_multiplications
from archcalc.reference.execute import Run, Step, execute, given_inputs
from archcalc.reference.kernel import Array, Call
from archcalc.reference.weights import Weights, random_weights

CHEAP = 200_000_000
"""Multiply-adds up to which receptive fields are cut at several places."""

MOST_CUTS = 4
"""Places along an axis at which receptive fields are cut, at most."""


class Verdict(Struct):
    """One figure of one network: what was predicted, what was measured, and where they first differ."""

    figure: str
    predicted: int
    measured: int
    held: bool
    remark: str = ""


class Proof(Struct):
    """All verdicts of a network; `without_padding` are the multiplications not made with padding."""

    network: str
    verdicts: list[Verdict]
    without_padding: int
    peak_bytes: int

    @property
    def held(self) -> bool:
        return all(verdict.held for verdict in self.verdicts)


class Outcome(Struct):
    """What came of one network: its proof at an input size, or why there is none."""

    name: str
    inputs: str
    proof: Proof | None = None
    problem: str = ""


def verify(network: Network, *, seed: int = 0, watch: Callable[[], None] | None = None) -> Proof:
    """Prove the figures of a network by running it."""
    profile = analyze(network)
    weights = random_weights(network, seed)
    counted: dict[int, tuple[int, int, str]] = {}
    unmarked: set[int] = set()

    def look(step: Step, reads: list[Array], arrays: Mapping[str, Array], out: Array) -> None:
        node = step.node
        if type(node.layer) in COUNTED:
            counted[node.index] = _count(node, Call(reads, arrays), out)
        if np.isnan(out).any():  # behind a maximum over padding alone
            unmarked.add(node.index)
        if watch is not None:
            watch()

    run = execute(network, weights=weights, seed=seed, inspect=look)  # a wrong shape raises
    nodes = len(run.steps)
    shapes = Verdict("shapes", nodes, nodes, True)
    measured_bytes = sum(step.bytes for step in run.steps if not step.node.is_input)
    predicted_bytes = profile.totals.activation_bytes
    memory = Verdict("bytes", predicted_bytes, measured_bytes, measured_bytes == predicted_bytes)
    proof = [
        shapes,
        _params(profile, weights),
        _macs(profile, counted),
        _fields(profile, weights, seed, unmarked, watch),
        memory,
        _peak(profile, run),
    ]
    return Proof(network.name, proof, sum(c[1] for c in counted.values()), run.peak_bytes)


def _peak(profile: Profile, run: Run) -> Verdict:
    """The most bytes alive at once; what the run reads besides the tensors of the graph is none of it."""
    if any(node.kind == "maxunpool" for node in profile.network.nodes):
        return Verdict("peak", 0, 0, True, "unpooling reads its pool's input too")
    predicted = peak_activations(profile.network) * np.dtype(np.float32).itemsize
    return Verdict("peak", predicted, run.peak_bytes, predicted == run.peak_bytes)


def _params(profile: Profile, weights: Weights) -> Verdict:
    """Trainable values in the arrays that were allocated."""
    buffers = {
        (node.name, weight.name)
        for node in profile.network.nodes
        for weight in node.facts.weights
        if weight.role == "buffer"
    }
    allocated = sum(
        array.size
        for path, arrays in weights.items()
        for name, array in arrays.items()
        if (path, name) not in buffers
    )
    predicted = profile.totals.params
    return Verdict("params", predicted, allocated, predicted == allocated)


def _count(node: Node, call: Call, out: Array) -> tuple[int, int, str]:
    nominal, inside, result = count_multiplications(node.layer, call)
    finite = np.isfinite(out)  # a maximum over padding alone is none
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


# --- Receptive fields ---------------------------------------------------------------------------------


def _fields(
    profile: Profile, weights: Weights, seed: int, unmarked: set[int], watch: Callable[[], None] | None
) -> Verdict:
    """NaNs in the input before or behind a place `j`, along each axis in turn.

    Of each node the outputs that stay numbers are those whose field does not reach over `j`. The
    prediction says which. A field that moves by several places shows its ends at some `j` only, so as
    many neighbouring ones are tried as are cheap. Nodes that have NaNs anyway, `unmarked`, are left out.
    """
    network = profile.network
    if len(network.inputs) != 1:
        return Verdict("fields", 0, 0, True, "several inputs: not measured")
    ((name, source),) = network.inputs.items()
    if len(source.shape) < 2:
        return Verdict("fields", 0, 0, True, "no spatial axes")
    clean_input = given_inputs(network, None, 1, seed, np.dtype(np.float32))[name]
    moved = _behind(network, lambda windows: windows is Reach.MOVED)
    holed = _behind(network, _has_holes)
    found: dict[int, bool] = {}
    remark = ""
    cheap = max(1, min(MOST_CUTS, CHEAP // max(1, profile.totals.macs)))
    for axis in range(len(source.shape) - 1):
        n = source.shape[axis + 1]
        blind: dict[int, Array] | None = None
        cuts = range(n // 3, min(n // 2 + 1, n // 3 + cheap))  # far from the ends, where fields are cut off
        for j, before in product(cuts, (True, False)):
            places = slice(0, j) if before else slice(j + 1, n)
            if not range(n)[places]:
                continue
            spoiled = clean_input.copy()
            spoiled[(slice(None),) * (axis + 1) + (places,)] = np.nan
            numbers = _clean_places(network, weights, {name: spoiled}, axis, watch)
            for node in network.nodes:
                if node.training or node.index not in numbers or node.index in unmarked:
                    continue
                clean = numbers[node.index]
                field = profile.entries[node.index].field
                says = clean
                if node.index in moved:
                    pass  # only sizes are known
                elif field.is_global and all(source.index in numbers for source in node.inputs):
                    spared = all(numbers[source.index].all() for source in node.inputs)
                    says = np.full(len(clean), spared)
                elif field.stride:
                    says = _says(field, axis, n, j, before, len(clean))
                    if node.index in holed:
                        says |= clean
                    else:
                        says |= clean & _over_the_edge(field, axis, n, before, len(clean))
                problem = _disagrees(node, says, axis, j, before, clean)
                if problem:
                    # a place of padding alone sees nothing at all, wherever its window lies
                    if blind is None:
                        everything = {name: np.full_like(clean_input, np.nan)}
                        blind = _clean_places(network, weights, everything, axis, watch)
                    if clean[blind[node.index]].all():
                        seeing = np.where(blind[node.index], says, clean)
                        problem = _disagrees(node, says, axis, j, before, seeing)
                found[node.index] = found.get(node.index, True) and not problem
                remark = remark or problem
    held = sum(found.values())
    return Verdict("fields", len(found), held, held == len(found), remark)


def _clean_places(
    network: Network, weights: Weights, inputs: dict[str, Array], axis: int, watch: Callable[[], None] | None
) -> dict[int, Array]:
    """For each node that still is a map, which places along an axis have numbers only."""
    places: dict[int, Array] = {}
    spoiled: set[int] = set()

    def look(step: Step, reads: list[Array], arrays: Mapping[str, Array], out: Array) -> None:
        node = step.node
        # what an unpooling puts out depends on values, not on places
        if any(s.index in spoiled for s in node.inputs) or node.kind == "maxunpool":
            spoiled.add(node.index)
        elif out.ndim > axis + 2:
            others = tuple(i for i in range(out.ndim) if i != axis + 1)
            places[node.index] = np.logical_not(np.isnan(out).any(axis=others))
        if watch is not None:
            watch()

    channels_first = {name: np.moveaxis(array, -1, 1) for name, array in inputs.items()}
    execute(network, channels_first, weights, inspect=look, finite=False)
    return places


def _behind(network: Network, has: Callable[[Windows], bool]) -> set[int]:
    """The nodes with such windows, and all that read them."""
    found: set[int] = set()
    for node in network.nodes:
        if has(node.facts.windows) or any(source.index in found for source in node.inputs):
            found.add(node.index)
    return found


def _has_holes(windows: Windows) -> bool:
    """May the field be less than its hull? Where the map is cut, padding lies within the input; and the
    taps of a dilated transposed window are apart."""
    if isinstance(windows, Reach):
        return False
    return any(w.before < 0 or w.after < 0 or (w.transposed and w.dilation > 1) for w in windows)


def _says(field: Field, axis: int, n: int, j: int, before: bool, places: int) -> Array:
    """The prediction: which places along an axis have no NaN in their fields."""
    turn = field.along()[axis]
    if before:
        return np.array([max(turn.first(place), 0) >= j for place in range(places)])
    return np.array([min(turn.last(place), n - 1) <= j for place in range(places)])


def _over_the_edge(field: Field, axis: int, n: int, before: bool, places: int) -> Array:
    """Which places have a field that reaches over the edge of the input: some layer reads padding there,
    and what is left may see less than the field's hull."""
    turn = field.along()[axis]
    if before:
        return np.array([turn.first(place) < 0 for place in range(places)])
    return np.array([turn.last(place) >= n for place in range(places)])


def _disagrees(node: Node, says: Array, axis: int, j: int, before: bool, clean: Array) -> str:
    """How a node's clean places differ from the prediction, if they do."""
    if (says == clean).all():
        return ""
    place = int(np.argmax(says != clean))
    sees = "sees nothing" if says[place] else "sees something"
    side = "before" if before else "behind"
    return f"{node.name}, axis {axis}: place {place} should be one that {sees} {side} {j}"
