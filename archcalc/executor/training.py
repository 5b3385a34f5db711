"""One training step on real tensors: forward, backward, and every byte alive in between.

Only the tensors that `archcalc.memory.saved` declares are kept for the backward pass. Any other tensor is NaN
when a backward pass reads it. When tensors are freed is decided here, by counting who still needs them, and
not read from the predicted timeline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct

from archcalc.executor.backward import Back, Sent, kept_by, run_backward
from archcalc.executor.inputs import given_inputs
from archcalc.executor.kernel import KERNELS, Array, Call, computing
from archcalc.executor.memory import ordinary, owner
from archcalc.executor.weights import Weights, arrays_of, random_weights, stored_arrays
from archcalc.gradients import Gradients
from archcalc.layers.backward import OUTPUT
from archcalc.memory.saved import Saved
from archcalc.memory.step import owner_of
from archcalc.network import Network, Node

InspectBack = Callable[[Node, Back, Sent], None]


class TrainingRun(Struct):
    """A finished step: results, the gradients of arrays, and the bytes alive at each moment.

    `outputs` are channels last, by node index. `gradients` are by the node that owns an array and the array's
    name. `alive` has a number for each moment of the predicted timeline, in the same order.
    """

    outputs: dict[int, Array]
    gradients: dict[tuple[int, str], Array]
    alive: list[int]
    saved_bytes: int


class Alive:
    """The arrays in memory, each counted as often as something holds it. Views count with their owner."""

    def __init__(self) -> None:
        self.bytes = 0
        self._held: Counter[int] = Counter()
        self._owners: dict[int, Any] = {}
        self._copies: dict[int, tuple[Any, int]] = {}
        """Arrays that count as another array's memory: views that the layout of arrays turned into copies."""

    def _key(self, array: Array) -> int:
        key = id(owner(array))
        return self._copies[key][1] if key in self._copies else key

    def hold(self, array: Array, view_of: Array | None = None) -> None:
        """Count an array. An array that is by definition a `view_of` another is in the other's memory."""
        holder = owner(array)
        if view_of is not None and id(holder) != id(owner(view_of)):
            self._copies[id(holder)] = holder, self._key(view_of)
        key = self._key(array)
        if not self._held[key]:
            self.bytes += holder.nbytes
            self._owners[key] = holder
        self._held[key] += 1

    def drop(self, array: Array) -> None:
        key = self._key(array)
        self._held[key] -= 1
        if not self._held[key]:
            self.bytes -= self._owners.pop(key).nbytes
            del self._held[key]
            for copy in [copy for copy, (_, kept) in self._copies.items() if kept == key]:
                del self._copies[copy]

    def is_shared(self, array: Array) -> bool:
        return self._held[self._key(array)] > 1


def train_step(
    network: Network,
    inputs: Mapping[str, Array] | None = None,
    weights: Weights | None = None,
    *,
    batch: int = 1,
    seed: int = 0,
    dtype: Any = np.float64,
    heads: bool = False,
    result_gradients: Mapping[int, Array] | None = None,
    saved: Saved | None = None,
    inspect: InspectBack | None = None,
) -> TrainingRun:
    """Run one training step, and return the gradients of all trained arrays.

    `inputs` are arrays of shape `(batch, C, H, W)` by name. `result_gradients` are the gradients of the
    results, channels last, by node index, random by default. `saved` declares what is kept; by default it is
    what gradients need. `inspect` is called after each backward pass with its inputs and results.

    >>> import archcalc
    >>> net = archcalc.loads("net tiny { input(1x6x8)\\n conv(4, 3) -> relu -> flatten -> fc(10) }")
    >>> step = train_step(net, batch=2)
    >>> [array.shape for array in step.gradients.values()]
    [(96, 10), (10,), (3, 3, 1, 4), (4,)]
    """
    given = given_inputs(network, inputs, batch, seed, np.dtype(dtype))
    arrays = weights if weights is not None else random_weights(network, seed, dtype, heads)
    saved = saved or Saved(Gradients(network, heads))
    with ordinary(), computing():
        step = _Step(saved, given, arrays, seed, inspect)
        for node in saved.gradients.nodes:
            step.forward(node)
        step.loss(result_gradients or {}, seed)
        for node in reversed(saved.gradients.nodes):
            if node.index in saved.gradients.needs:
                step.backward(node)
        step.update()
    return step.result


class _Step:
    def __init__(
        self,
        saved: Saved,
        inputs: dict[str, Array],
        weights: Weights,
        seed: int,
        inspect: InspectBack | None,
    ) -> None:
        self.inspect = inspect
        self.saved = saved
        self.gradients = saved.gradients
        self.inputs = inputs
        self.weights = weights
        self.batch = len(next(iter(inputs.values())))
        self.random = np.random.default_rng(seed + 1)
        self.alive = Alive()
        self.tensors: dict[int, Array] = {}
        self.kept: dict[int, dict[str, Array]] = {}
        self.coming: dict[int, Array] = {}
        self.result = TrainingRun({}, {}, [], 0)
        self.unread: Counter[int] = Counter()
        """The number of times that the forward pass will still read the memory of a node."""
        self.unused: Counter[int] = Counter()
        """The number of backward passes that will still read the memory of a node."""
        network = self.gradients.network
        for node in self.gradients.nodes:
            self.unread[saved.memory_of[node.index]] += 1
            self.unread.update(saved.memory_of[source.index] for source in node.reads)
            if node.index in self.gradients.needs:
                sources = [node if n == OUTPUT else node.inputs[n] for n in saved.reads(node)]
                self.unused.update(saved.memory_of[source.index] for source in sources)
        for node in (*network.outputs.values(), *network.heads.values()):
            if node.index in saved.memory_of:
                self.unread[saved.memory_of[node.index]] += 1
        for arrays in weights.values():
            for array in arrays.values():
                self.alive.hold(array)

    def _look(self) -> None:
        self.result.alive.append(self.alive.bytes)

    # --- Forward ---

    def tensor(self, node: Node) -> Array:
        """The output of a node. A view is computed each time, because the layout can require a copy."""
        memory = self.saved.memory_of[node.index]
        if memory == node.index:
            return self.tensors[node.index]
        return KERNELS[type(node.layer)](node.layer, Call([self.tensor(node.inputs[0])], {}))

    def forward(self, node: Node) -> None:
        if self.saved.memory_of[node.index] == node.index:
            self._compute(node)
        self._look()
        for memory in (node.index, *(source.index for source in node.reads)):
            self._read(self.saved.memory_of[memory])

    def _compute(self, node: Node) -> None:
        if node.is_input:
            out = self.inputs.pop(node.name)
        else:
            call = Call(
                [self.tensor(source) for source in node.reads],
                arrays_of(node, self.weights),
                train=True,
                random=self.random,
                batch=self.batch,
                kept={},
            )
            out = KERNELS[type(node.layer)](node.layer, call)
            self._keep(node, call, out)
        if not node.layer.is_source:
            out = _own(out, [])
            if any(owner(out) is owner(self.tensor(source)) for source in node.reads):
                out = out.copy()  # the kernel returned its input, but the layer is not a view
            self.alive.hold(out)
        self.tensors[node.index] = out

    def _keep(self, node: Node, call: Call, out: Array) -> None:
        names = [own.name for own in self.saved.own.get(node.index, ())]
        if not names:
            return
        found = kept_by(node.layer, call, out)
        self.kept[node.index] = {name: _own(found[name], []) for name in names}
        for array in self.kept[node.index].values():
            self.alive.hold(array)
            self.result.saved_bytes += array.nbytes

    def _read(self, memory: int) -> None:
        self.unread[memory] -= 1
        if not self.unread[memory] and not self.unused[memory]:
            self._discard(memory)

    def _discard(self, memory: int) -> None:
        array = self.tensors.pop(memory)
        if not self._node(memory).layer.is_source:
            self.alive.drop(array)

    def _node(self, index: int) -> Node:
        return self.gradients.network.nodes[index]

    # --- Backward ---

    def loss(self, given: Mapping[int, Array], seed: int) -> None:
        random = np.random.default_rng(seed + 2)
        network = self.gradients.network
        for memory in self.tensors:
            if self.unused[memory] and not self._node(memory).layer.is_source:
                self.result.saved_bytes += self.tensors[memory].nbytes
        for node in self.gradients.results:
            out = self.tensor(node)
            gradient = given.get(node.index)
            if gradient is None:
                gradient = random.standard_normal(out.shape).astype(out.dtype)
            gradient = np.array(gradient)
            self.alive.hold(gradient)
            self._receive(node, gradient)
        self._look()
        for node in (*network.outputs.values(), *network.heads.values()):
            if node.index in self.saved.memory_of:
                self.result.outputs[node.index] = self.tensor(node).copy()
        for node in (*network.outputs.values(), *network.heads.values()):
            if node.index in self.saved.memory_of:
                self._read(self.saved.memory_of[node.index])

    def _seen(self, node: Node, number: int, reads: set[int]) -> Array:
        """A tensor of the graph as the backward pass of a node is allowed to see it."""
        source = node if number == OUTPUT else node.inputs[number]
        if number in reads:
            return self.tensor(source)
        shape = (self.batch, *source.shape[1:], source.shape[0])
        return np.broadcast_to(np.asarray(np.nan, self.result_dtype), shape)

    @property
    def result_dtype(self) -> Any:
        return next(iter(self.coming.values())).dtype

    def backward(self, node: Node) -> None:
        needs = self.gradients.needs[node.index]
        reads = self.saved.reads(node)
        seen = [self._seen(node, number, reads) for number in range(len(node.inputs))]
        output = self._seen(node, OUTPUT, reads)
        gradient = self.coming.pop(node.index)
        kept, stored = self.kept.get(node.index, {}), stored_arrays(node, self.weights)
        back = Back(gradient, seen, output, kept, stored, needs)
        sent, of_arrays = run_backward(node.layer, back)
        if self.inspect is not None:
            self.inspect(node, back, (sent, of_arrays))
        arriving = []
        passes = self.saved.backward(node).passes
        for number, (source, array) in enumerate(zip(node.inputs, sent, strict=True)):
            if needs.inputs[number]:
                assert array is not None, node.name
                if number in passes:
                    array = _own(array, [gradient])
                    self.alive.hold(array, gradient)
                else:  # memory of its own, as declared
                    array = array.copy() if owner(array) is owner(gradient) else _own(array, [])
                    self.alive.hold(array)
                arriving.append((source, array))
        added = self._gradients_of_arrays(node, needs.trained, of_arrays)
        self._look()
        for array in added:
            self.alive.drop(array)
        self.alive.drop(gradient)
        for array in self.kept.pop(node.index, {}).values():
            self.alive.drop(array)
        for number in reads:
            source = node if number == OUTPUT else node.inputs[number]
            memory = self.saved.memory_of[source.index]
            self.unused[memory] -= 1
            if not self.unused[memory]:
                self._discard(memory)
        del back, kept, seen, output, gradient, sent
        for source, array in arriving:
            self._receive(source, array)

    def _gradients_of_arrays(
        self, node: Node, trained: frozenset[str], found: Mapping[str, Array]
    ) -> list[Array]:
        """Hold the gradients of a node's arrays. Returns those that were added to earlier ones."""
        added, held = [], list[Array]()
        totals = self.result.gradients
        for weight in node.facts.weights:
            if weight.name not in trained:
                continue
            has, name = owner_of(node, weight.name)
            array = _own(found[weight.name], [])
            if any(owner(array) is owner(other) for other in held):
                array = array.copy()  # two biases can share one gradient
            held.append(array)
            self.alive.hold(array)
            stored = self.weights[has.name][name]
            key = (has.index, name)
            if key in totals:
                totals[key] += _as_stored(array, stored)
                added.append(array)
            else:
                totals[key] = _as_stored(array, stored)
        return added

    def _receive(self, node: Node, gradient: Array) -> None:
        """Add a gradient to an earlier one, in place if nothing else uses that memory."""
        before = self.coming.get(node.index)
        if before is None:
            self.coming[node.index] = gradient
        elif not self.alive.is_shared(before):
            before += gradient
            self.alive.drop(gradient)
        elif not self.alive.is_shared(gradient):
            gradient += before
            self.coming[node.index] = gradient
            self.alive.drop(before)
        else:
            total = before + gradient
            self.alive.hold(total)
            self.coming[node.index] = total
            self._look()
            self.alive.drop(before)
            self.alive.drop(gradient)

    def update(self) -> None:
        self._look()


def _own(array: Array, others: list[Array]) -> Array:
    """The array, or a copy of it if it shares memory with an array that is not needed."""
    holder = owner(array)
    if any(holder is owner(other) for other in others):
        return array
    if holder.nbytes != array.nbytes or not array.flags.writeable:
        return array.copy()
    return array


def _as_stored(gradient: Array, stored: Array) -> Array:
    """The gradient of a tied array, in the shape that its owner stores."""
    if gradient.shape == stored.shape:
        return gradient
    swapped = np.swapaxes(gradient, -1, -2) if gradient.ndim > 1 else gradient
    return swapped if swapped.shape == stored.shape else gradient.reshape(stored.shape)
