"""Runs a network: each node's kernel in order. Each output shape is compared with the predicted shape."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from archcalc.diagnostics import ArchError, Diagnostic, error
from archcalc.executor.fast import FastPath, fast_path
from archcalc.executor.inputs import given_inputs
from archcalc.executor.kernel import Array, BadValues, Call, computing
from archcalc.executor.memory import LiveTensors, Memory, ordinary
from archcalc.executor.plan import Plan, make_plan
from archcalc.executor.reshape import channels_first
from archcalc.executor.weights import Weights, calibrate, given_weights, random_weights
from archcalc.network import Network, Node
from archcalc.shape import Shape, format_shape


class Step(Struct):
    """One node of a run: its output shape, its time, and the bytes alive after it.

    `alive` are the activations that are still needed, including this node's output.
    """

    node: Node
    shape: Shape
    seconds: float
    bytes: int
    alive: int


Inspect = Callable[[Step, list[Array], Mapping[str, Array], Array], None]


class RunOptions(Struct, frozen=True):
    """The options of a run.

    - `keep`: names of nodes whose outputs are also returned.
    - `batch`, `seed`, `dtype`: the batch size, the seed of everything random, and float32 or float64.
    - `train`: use batch statistics and dropout.
    - `heads`: also run the heads that are used in training only.
    - `fast`: use the fast path, or the one that `fast_path` prepared for these weights.
    - `watch`: called after each step.
    - `inspect`: called after each step with the kernel's inputs and output. It can keep these arrays.
    - `finite`: refuse inputs with values that are not finite.
    - `memory`: memory that earlier runs used.
    """

    keep: Collection[str] = ()
    batch: int = 1
    seed: int = 0
    dtype: Any = np.float32
    train: bool = False
    heads: bool = False
    fast: bool | FastPath = False
    watch: Callable[[Step], None] | None = None
    inspect: Inspect | None = None
    finite: bool = True
    memory: Memory | None = None

    def checked(self) -> RunOptions:
        """The same options with `dtype` as a NumPy dtype. Raises `ArchError` for values out of range."""
        for name, value, least in (("batch", self.batch, 1), ("seed", self.seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise error(f"`{name}` must be a whole number of at least {least}, not {value!r}")
        try:
            dtype: np.dtype[Any] = np.dtype(self.dtype)
        except TypeError:
            raise error(f"there is no dtype {self.dtype!r}") from None
        if dtype not in (np.float32, np.float64):
            raise error(f"a run uses float32 or float64, not {dtype}")
        keep = [self.keep] if isinstance(self.keep, str) else self.keep
        if not isinstance(keep, Collection) or not all(isinstance(name, str) for name in keep):
            raise error(f"`keep` must be a list of layer names, not {self.keep!r}")
        if not isinstance(self.fast, bool | dict):
            raise error(f"`fast` must be true, false, or a result of `fast_path`, not {self.fast!r}")
        return replace(self, dtype=dtype, keep=keep)


class Run(Struct):
    """A finished run: the arrays that were kept by name, channels first, and a step for each node.

    `peak_bytes` are the most bytes of activations alive at once, including the inputs of the running node.
    """

    outputs: dict[str, Array]
    steps: list[Step]
    peak_bytes: int
    weight_bytes: int


def run(
    network: Network,
    inputs: Mapping[str, Array] | Array | None = None,
    weights: Weights | None = None,
    *,
    keep: Collection[str] = (),
    batch: int = 1,
    seed: int = 0,
    dtype: Any = np.float32,
    train: bool = False,
    heads: bool = False,
    fast: bool | FastPath = False,
    watch: Callable[[Step], None] | None = None,
) -> dict[str, Array]:
    """Run a network on real tensors. Returns the results by name, and the outputs of the nodes in `keep`.

    `inputs` are arrays of shape `(batch, C, H, W)` by input name, or one array if there is one input. By
    default they are drawn from a standard normal distribution. `weights` are arrays by node and name, random
    by default. Every output shape is compared with the predicted one, and `ArchError` names the layer if they
    differ. `fast` uses faster methods than the reference kernels, with an error of about 1e-5 in single
    precision (`archcalc.executor.fast`).

    >>> import archcalc
    >>> net = archcalc.loads("net tiny { input(1x8x8)\\n conv(4, 3) -> relu -> flatten -> fc(10) }")
    >>> run(net, batch=2)["output"].shape
    (2, 10)
    """
    options = RunOptions(
        keep=keep, batch=batch, seed=seed, dtype=dtype, train=train, heads=heads, fast=fast, watch=watch
    )
    return execute(network, inputs, weights, options).outputs


def execute(
    network: Network,
    inputs: Mapping[str, Array] | Array | None = None,
    weights: Weights | None = None,
    options: RunOptions = RunOptions(),
) -> Run:
    """Like `run`, with the time, the shape, and the bytes of every step."""
    if not isinstance(network, Network):
        raise error(f"a run needs a network, not {network!r}", help="`archcalc.load(...)` makes one")
    options = options.checked()
    tensors = given_inputs(network, inputs, options.batch, options.seed, options.dtype, options.finite)
    drawn = weights is None
    if weights is None:
        weights = random_weights(network, options.seed, options.dtype, options.heads)
    else:
        weights = given_weights(network, weights, options.dtype, options.heads)
    plan = _plan(network, weights, options, drawn)
    callers = list(tensors.values()) if inputs is not None else []
    memory = options.memory or Memory()
    live = LiveTensors(memory)
    # arrays that `inspect` keeps must not be overwritten
    with memory.used() if options.inspect is None else ordinary(), computing():
        steps = _run_steps(plan, tensors, live, options)
    outputs = {name: _returned(live[node.index], callers) for name, node in plan.results.items()}
    weight_bytes = sum(array.nbytes for arrays in weights.values() for array in arrays.values())
    return Run(outputs, steps, live.peak_bytes, weight_bytes)


def _plan(network: Network, weights: Weights, options: RunOptions, drawn: bool) -> Plan:
    nodes = [node for node in network.nodes if options.heads or not node.training]
    results = _results(network, options)
    fast = options.fast
    if isinstance(fast, bool):
        # statistics of random weights are set during the run, so they cannot be folded before it
        fast = fast_path(nodes, weights, fold=not drawn) if fast else {}
    if options.inspect is not None or options.train:
        fast = {index: shortcut for index, shortcut in fast.items() if shortcut.folds is None}
    return make_plan(nodes, weights, results, fast, overwrite=options.inspect is None, calibrate=drawn)


def _results(network: Network, options: RunOptions) -> dict[str, Node]:
    """The nodes whose outputs a run returns, by name."""
    results = {name: network[name] for name in options.keep}
    for name, node in results.items():
        if node.training and not options.heads:
            raise error(f"`{name}` belongs to a training head", help="run with the heads")
    results |= network.outputs
    if options.heads:
        results |= network.heads
    return results


def _run_steps(plan: Plan, tensors: dict[str, Array], live: LiveTensors, options: RunOptions) -> list[Step]:
    """Run every step of a plan. Takes the inputs out of `tensors`, and leaves the results in `live`."""
    random = np.random.default_rng(options.seed + 1)
    steps = []
    for planned in plan.steps:
        node, kernel = planned.node, planned.kernel
        reads = [live[index] for index in planned.reads]
        if planned.calibrates:
            calibrate(planned.weights, reads[0])
        start = time.perf_counter()
        if kernel is None:
            out = tensors.pop(node.name)
        else:
            spare = live.spare(reads) if planned.may_overwrite else None
            call = Call(reads, planned.weights, options.train, random, spare, options.batch)
            try:
                out = kernel(node.layer, call)
            except BadValues as problem:
                raise error(f"`{node.name}` {problem}", node.span, label=f"`{node.layer}`") from None
        seconds = time.perf_counter() - start
        shape = (out.shape[-1], *out.shape[1:-1])
        if shape != node.shape or out.shape[0] != options.batch:
            raise ArchError(_mismatch(node, shape))
        live.add(node.index, out)
        live.remove(planned.frees)
        step = Step(node, shape, seconds, out.nbytes, live.bytes)
        steps.append(step)
        if options.watch is not None:
            options.watch(step)
        if options.inspect is not None:
            options.inspect(step, reads, planned.weights, out)
        del reads, out  # frees the memory of tensors that nothing needs before the next kernel runs
    return steps


def _returned(out: Array, callers: Sequence[Array]) -> Array:
    """A result, channels first. It is copied if it lies in an array of the caller."""
    if any(np.may_share_memory(out, other) for other in callers):
        out = out.copy()
    return channels_first(out)


def _mismatch(node: Node, actual: Shape) -> Diagnostic:
    predicted, got = (format_shape(shape, cross="x") for shape in (node.shape, actual))
    return Diagnostic(
        f"`{node.name}` has the shape {got}, but {predicted} was predicted",
        node.span,
        label=f"`{node.layer}`",
        help="this is a bug in archcalc; please report it with the spec",
    )
