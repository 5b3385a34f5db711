"""Running a network: each node's kernel in order, each result compared with its prediction."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from archcalc.diagnostics import ArchError, Diagnostic, error
from archcalc.executor.fast import FastPath, fast_path
from archcalc.executor.kernel import KERNELS, Array, Call, computing
from archcalc.executor.memory import Memory, ordinary, owner
from archcalc.executor.reshape import channels_first, channels_last
from archcalc.executor.weights import Weights, calibrate, checked, given_weights, random_weights
from archcalc.layers.pool import MaxUnpool
from archcalc.network import Network, Node
from archcalc.shape import Shape, format_shape


class Step(Struct):
    """What happened at one node: the shape that came out, the time it took, and the bytes alive after it.

    `alive` are the activations that something still needs, this node's output among them.
    """

    node: Node
    shape: Shape
    seconds: float
    bytes: int
    alive: int


Inspect = Callable[[Step, list[Array], Mapping[str, Array], Array], None]


class Run(Struct):
    """A finished run: the named arrays that were kept, channels first, and a step for each node.

    `peak_bytes` are the most activations alive at any time, with the inputs of the node that is running.
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
    """Run a network on real tensors; the results by name, and the nodes named in `keep`.

    `inputs` are arrays of `(batch, C, H, W)` by the names of the inputs (one array if there is one
    input); without them, standard normal values are drawn. `weights` are arrays by node and name, drawn
    at random if they are left out. Every shape that comes out is compared with the one predicted:
    `ArchError` names the layer if they differ. `fast` takes faster ways than the reference kernels, at
    the price of about 1e-5 in single precision (`archcalc.executor.fast`).

    >>> import archcalc
    >>> net = archcalc.loads("net tiny { input(1x8x8)\\n conv(4, 3) -> relu -> flatten -> fc(10) }")
    >>> run(net, batch=2)["output"].shape
    (2, 10)
    """
    return execute(
        network, inputs, weights, keep=keep, batch=batch, seed=seed, dtype=dtype,
        train=train, heads=heads, fast=fast, watch=watch,
    ).outputs  # fmt: skip


def execute(
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
    inspect: Inspect | None = None,
    finite: bool = True,
    memory: Memory | None = None,
) -> Run:
    """As `run`, with the time, the shape and the bytes of every step.

    `inspect` sees each step with what its kernel read and put out. `finite=False` lets inputs hold
    values that are not numbers. `fast` can be what `fast_path` prepared for these weights, for several runs,
    and `memory` that of earlier runs.
    """
    dtype = _checked_options(batch, seed, dtype)
    keep = [keep] if isinstance(keep, str) else keep
    tensors = given_inputs(network, inputs, batch, seed, dtype, finite)
    drawn = weights is None
    if weights is None:
        weights = random_weights(network, seed, dtype, heads)
    else:
        weights = given_weights(network, weights, dtype, heads)
    nodes = [node for node in network.nodes if heads or not node.training]
    results = {name: network[name] for name in keep}
    for name, node in results.items():
        if node.training and not heads:
            raise error(f"`{name}` belongs to a head for training", help="run with the heads")
    results |= network.outputs
    if heads:
        results |= network.heads
    needed = {node.index for node in results.values()}
    if isinstance(fast, bool):
        fast = fast_path(nodes, weights, fold=not drawn) if fast else {}  # statistics drawn are not final
    if inspect is not None or train:
        fast = {index: shortcut for index, shortcut in fast.items() if shortcut.folds is None}
    uses = Counter(source.index for node in nodes for source in _reads(node)) if fast else Counter[int]()
    folded: set[int | None] = set()
    random = np.random.default_rng(seed + 1)
    given = list(tensors.values()) if inputs is not None else []
    alive: dict[int, Array] = {}
    held = peak = 0
    steps = []
    memory = memory or Memory()
    # whoever inspects may hold on to what it sees
    with memory.used() if inspect is None else ordinary(), computing():
        for node, gone in zip(nodes, _last_uses(nodes, needed), strict=True):
            arrays: Mapping[str, Array] = {}
            if node.facts.weights:
                arrays = weights[(node.shares or node).name]
            reads = [alive[source.index] for source in _reads(node)]
            if drawn and "running_mean" in arrays:
                calibrate(arrays, reads[0])
            kernel = KERNELS.get(type(node.layer))
            if fast:
                shortcut = fast.get(node.index)
                if shortcut is not None and (
                    shortcut.folds is None or (uses[node.index] == 1 and node.index not in needed)
                ):
                    kernel, arrays = shortcut.kernel, shortcut.weights
                    folded.add(shortcut.folds)
            start = time.perf_counter()
            if kernel is None:
                out = tensors.pop(node.name)
            elif node.index in folded:
                out = reads[0]
            else:
                spare = None
                if inspect is None and node.inputs[0].index in gone and not node.inputs[0].is_input:
                    spare = _unshared(reads, alive, memory)
                out = kernel(node.layer, Call(reads, arrays, train, random, spare))
            seconds = time.perf_counter() - start
            shape = _shape(out)
            if shape != node.shape or out.shape[0] != batch:
                raise ArchError(_mismatch(node, shape))
            if not any(out is other for other in alive.values()):
                held += out.nbytes
            alive[node.index] = out
            peak = max(peak, held)
            for index in gone:
                array = alive.pop(index)
                if not any(array is other for other in alive.values()):
                    held -= array.nbytes
                del array
            memory.reclaim(alive.values())
            step = Step(node, shape, seconds, out.nbytes, held)
            steps.append(step)
            if watch is not None:
                watch(step)
            if inspect is not None:
                inspect(step, reads, arrays, out)
            del reads, out  # what nothing needs any more is freed before the next layer runs
    named = {}
    for name, node in results.items():
        array = alive[node.index]
        if any(np.may_share_memory(array, other) for other in given):  # the caller's, passed on
            array = array.copy()
        named[name] = channels_first(array)
    total = sum(a.nbytes for arrays in weights.values() for a in arrays.values())
    return Run(named, steps, peak, total)


def _checked_options(batch: Any, seed: Any, dtype: Any) -> np.dtype[Any]:
    for name, value, least in (("batch", batch, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise error(f"`{name}` is a whole number of at least {least}, not {value!r}")
    try:
        found: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        raise error(f"there is no dtype {dtype!r}") from None
    if found not in (np.float32, np.float64):
        raise error(f"a run computes in float32 or float64, not in {found}")
    return found


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
    random = np.random.default_rng(seed)
    arrays = {}
    for name, node in declared.items():
        if inputs is None:
            array = random.standard_normal((batch, *node.shape)).astype(dtype)
        else:
            given, want = np.asarray(inputs[name]), (batch, *node.shape)
            array = checked(given, want, dtype, f"the input `{name}`", finite)
        arrays[name] = channels_last(array)
    return arrays


def _unshared(reads: Sequence[Array], alive: Mapping[int, Array], memory: Memory) -> Array | None:
    """The first array, if its memory is its own: no view of another's, and not held under two names."""
    array = reads[0]
    holder = owner(array)
    if not (holder is array or memory.owns(array)) or not array.flags.writeable:
        return None
    if any(other is array for other in reads[1:]):
        return None
    return array if sum(owner(other) is holder for other in alive.values()) == 1 else None


def _reads(node: Node) -> tuple[Node, ...]:
    """The tensors a kernel reads: the inputs, and for an unpooling also what its pool read."""
    if isinstance(node.layer, MaxUnpool):
        return (*node.inputs, node.inputs[1].inputs[0])
    return node.inputs


def _last_uses(nodes: Sequence[Node], needed: Collection[int]) -> list[list[int]]:
    """For each node the tensors that nothing needs once it has run; those that are needed stay."""
    last: dict[int, int] = {}
    for place, node in enumerate(nodes):
        last[node.index] = place
        for source in _reads(node):
            last[source.index] = place
    gone: list[list[int]] = [[] for _ in nodes]
    for index, place in last.items():
        if index not in needed:
            gone[place].append(index)
    return gone


def _shape(out: Array) -> Shape:
    return (out.shape[-1], *out.shape[1:-1])


def _mismatch(node: Node, actual: Shape) -> Diagnostic:
    predicted, got = (format_shape(shape, cross="x") for shape in (node.shape, actual))
    return Diagnostic(
        f"`{node.name}` came out as {got}, predicted was {predicted}",
        node.span,
        label=f"`{node.layer}`",
        help="this is a mistake in archcalc: please report it with the spec",
    )
