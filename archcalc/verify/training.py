"""Compares each figure of training with a training step on tensors.

- gradients: the change of the loss along a random direction, by central differences in double precision,
  compared with the gradients. Tensors that a layer does not declare are NaN in its backward pass;
- MACs of the backward pass: a slow path does each multiplication tap by tap and counts them, and must have
  the same gradients;
- memory: the bytes that are kept, and the bytes alive at each moment of the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from archcalc.executor.backward import Back, Sent
from archcalc.executor.execute import RunOptions, execute
from archcalc.executor.inputs import drawn_inputs
from archcalc.executor.kernel import Array
from archcalc.executor.training import TrainingRun, train_step
from archcalc.executor.weights import Weights, random_weights
from archcalc.gradients import Gradients
from archcalc.memory.optimizers import OPTIMIZERS
from archcalc.memory.precision import precision
from archcalc.memory.saved import Saved
from archcalc.memory.step import training_step
from archcalc.network import Network, Node
from archcalc.profile import analyze
from archcalc.verify.counting_backward import COUNTED_BACKWARD, count_backward
from archcalc.verify.fields import Verdict

BATCH = 3
"""Samples. On a map of a single place, a batch norm makes 1 and -1 of two samples, whatever they are."""

MOVES = (1e-6, 1e-7, 1e-5, 1e-4)
"""The sizes of the loss changes in central differences. They are tried until one agrees."""
# A longer step moves some of millions of values past the kink of a ReLU, and a shorter one shows rounding.
# The size is measured in the loss, because gradients of deep networks on a few samples have lengths from 1 to
# 100,000,000.

MOVED = 20_000_000
"""Values of the arrays that a central difference moves. In a larger network, some of the arrays are moved."""

LARGE = 150_000_000
"""With this many parameters or more, a step runs in single precision, without differences. Two steps with 660
million parameters would not fit into 24 GB in double precision."""

CLOSE = {4: 1e-4, 8: 1e-9}
"""The rounding difference allowed between two computations of a gradient, by the bytes of a value."""

REPEATS = 99_991
"""Random values of a direction. The number is prime, so that they do not repeat along an axis."""

TOLERANCE = 1e-2
"""The allowed relative difference between a central difference and the gradient."""
# Most agree to 1e-6. EfficientNet-B5 at 32x32 has gradients of 3e8 with outputs of 7e-3, and rounding leaves
# 7e-4. The 1,202 layers of a ResNet leave 5e-3. The tests check formulas to 1e-6, kind by kind. This checks
# that they are put together correctly, and such mistakes are not small.


def verify_training(network: Network, seed: int = 0) -> list[Verdict]:
    """Verify the figures of a training step by running one, in double precision."""
    gradients = Gradients(network)
    if not gradients.needs:
        return [Verdict("gradients", 0, 0, True, "nothing is trained")]
    saved = Saved(gradients)
    large = analyze(network).totals.params > LARGE
    dtype: Any = np.float32 if large else np.float64
    timeline = training_step(gradients, saved, precision(np.dtype(dtype).name), OPTIMIZERS["none"])
    weights = random_weights(network, seed, dtype)
    inputs = drawn_inputs(network, BATCH, seed, dtype)
    made: dict[int, int] = {}
    problems: list[str] = []

    def look(node: Node, back: Back, sent: Sent) -> None:
        if type(node.layer) in COUNTED_BACKWARD:
            made[node.index], slow = count_backward(node.layer, back)
            if not _equal(sent, slow, back):
                problems.append(f"{node.name}: the slow path has other gradients")

    results = _result_gradients(gradients, seed, dtype)
    run = train_step(
        network,
        inputs,
        weights,
        batch=BATCH,
        seed=seed,
        dtype=dtype,
        result_gradients=results,
        saved=saved,
        inspect=look,
    )
    alive = timeline.bytes_alive(BATCH)
    same = sum(one == other for one, other in zip(alive, run.alive, strict=True))
    kept = sum(t.size.of(BATCH) for t in timeline.tensors if t.category == "saved")
    return [
        _slopes(network, gradients, inputs, weights, results, run, seed) if not large else TOO_LARGE,
        _trained(gradients, run),
        _macs(gradients, made, problems),
        Verdict("saved", kept, run.saved_bytes, kept == run.saved_bytes),
        Verdict("moments", len(alive), same, same == len(alive)),
        Verdict("step peak", max(alive), max(run.alive), max(alive) == max(run.alive)),
    ]


TOO_LARGE = Verdict(
    "gradients", 0, 0, True, "not compared: with so many parameters, the step runs in single precision"
)


def _result_gradients(gradients: Gradients, seed: int, dtype: Any) -> dict[int, Array]:
    """A gradient for each result. The loss is the sum of the products of results and gradients."""
    random = np.random.default_rng(seed + 3)
    return {
        node.index: random.standard_normal((BATCH, *node.shape[1:], node.shape[0])).astype(dtype)
        for node in gradients.results
    }


def _slopes(
    network: Network,
    gradients: Gradients,
    inputs: Mapping[str, Array],
    weights: Weights,
    results: Mapping[int, Array],
    run: TrainingRun,
    seed: int,
) -> Verdict:
    """The derivative of the loss along a random direction of all trained arrays together.

    If one of the gradients is wrong, it does not agree.
    """
    random = np.random.default_rng(seed + 4)
    chosen = _some_arrays(run, random)
    directions = {key: _direction(run.gradients[key], random) for key in chosen}
    predicted = sum(float((run.gradients[key] * directions[key]).sum()) for key in directions)
    size = max(1.0, *(float(np.linalg.norm(run.outputs[index] * g)) for index, g in results.items()))
    closest = np.inf
    for move in MOVES:
        distance = move * size / max(abs(predicted), 1e-3)
        ends = []
        for sign in (1, -1):
            moved = {name: dict(arrays) for name, arrays in weights.items()}
            for (index, name), direction in directions.items():
                owner = network.nodes[index].name
                moved[owner][name] = moved[owner][name] + sign * distance * direction
            ends.append(_outputs(network, gradients, inputs, moved, seed))
        # differences of outputs, not of losses: the sum of many large values has a larger rounding error
        differences = zip(*ends, results.values(), strict=True)
        measured = sum(float(((a - b) * g).sum()) for a, b, g in differences) / (2 * distance)
        closest = min(closest, abs(measured - predicted) / max(abs(measured), abs(predicted), 1e-12))
        if closest <= TOLERANCE:
            break
    arrays, held = len(chosen), closest <= TOLERANCE
    remark = "" if held else f"the loss changes by another amount: a difference of {closest:.1e}"
    return Verdict("gradients", arrays, arrays if held else 0, held, remark)


def _some_arrays(run: TrainingRun, random: np.random.Generator) -> list[tuple[int, str]]:
    """The arrays that are moved: all, or a random choice with at most `MOVED` values."""
    keys = list(run.gradients)
    if sum(array.size for array in run.gradients.values()) <= MOVED:
        return keys
    chosen: list[tuple[int, str]] = []
    values = 0
    for number in random.permutation(len(keys)):
        size = run.gradients[keys[number]].size
        if values + size <= MOVED or not chosen:
            chosen.append(keys[number])
            values += size
    return chosen


def _direction(gradient: Array, random: np.random.Generator) -> Array:
    """A direction of about unit length, partly along the gradient and partly random.

    Random values repeat in large arrays, because drawing 350 million of them takes longer than a step.
    """
    drawn = random.standard_normal(min(gradient.size, REPEATS))
    anywhere = np.resize(drawn, gradient.shape)
    along = gradient * np.resize(np.abs(drawn), gradient.shape)
    found: Array = along / (np.linalg.norm(along) or 1.0) + anywhere / np.linalg.norm(anywhere)
    return found


def _outputs(
    network: Network, gradients: Gradients, inputs: Mapping[str, Array], weights: Weights, seed: int
) -> list[Array]:
    """The results of a forward pass in training, channels last, in the order of their gradients."""
    keep = [node.name for node in gradients.results]
    options = RunOptions(keep=keep, batch=BATCH, seed=seed, dtype=np.float64, train=True)
    outputs = execute(network, inputs, weights, options).outputs
    return [np.moveaxis(outputs[name], 1, -1) for name in keep]


def _trained(gradients: Gradients, run: TrainingRun) -> Verdict:
    """A gradient for each value of the trained arrays, each of them finite."""
    from archcalc.memory.step import owner_of

    arrays = {
        owner_of(node, weight.name): weight.term.value
        for node in gradients.nodes
        if node.index in gradients.needs
        for weight in node.facts.weights
        if weight.name in gradients.needs[node.index].trained
    }
    predicted = sum(arrays.values())
    measured = sum(int(np.isfinite(array).sum()) for array in run.gradients.values())
    return Verdict("trained", predicted, measured, predicted == measured)


def _macs(gradients: Gradients, made: Mapping[int, int], problems: list[str]) -> Verdict:
    total = 0
    remark = problems[0] if problems else ""
    for node in gradients.nodes:
        predicted = sum(term.value for category, term in gradients.operations(node) if category == "macs")
        total += predicted
        counted = made.get(node.index, 0)
        if counted != predicted and not remark:
            remark = f"{node.name}: predicted {predicted:,}, counted {counted:,}"
    measured = sum(made.values())
    return Verdict("backward", total, measured, total == measured and not remark, remark)


def _equal(sent: Sent, slow: Sent, back: Back) -> bool:
    """Are two computations of the gradients equal, except for rounding?"""
    pairs = [
        (one, other) for one, other, needed in zip(sent[0], slow[0], back.needs.inputs, strict=True) if needed
    ]
    pairs += [(sent[1][name], slow[1][name]) for name in back.needs.trained if name in slow[1]]
    largest = max((float(np.abs(one).max(initial=0)) for one, _ in pairs if one is not None), default=0.0)
    for one, other in pairs:
        assert one is not None
        assert other is not None
        # next to large gradients, one that is zero by definition (such as a key bias) is only rounding
        scale = max(float(np.abs(one).max(initial=0)), 1e-3 * largest) or 1.0
        if not np.abs(one - other).max(initial=0) <= CLOSE[one.dtype.itemsize] * scale:
            return False
    return True
