"""A training step as a timeline: forward in order, the loss, backward in reverse order, and the update.

- The inputs and the output of a layer are alive together, and nothing is computed in place. A tensor that
  nothing reads later is freed after the layer, unless the backward pass needs it.
- The loss turns each result into a gradient of the same size.
- In the backward pass, the gradients of a layer are allocated before the gradient of its output and its kept
  tensors are freed. If a tensor has several readers, the second gradient is added to the first one in place,
  or into a new tensor if both are in use elsewhere.
- Gradients of parameters stay until the update.

Memory that kernels allocate for themselves is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archcalc.gradients import Gradients
from archcalc.layers.backward import Kept
from archcalc.layers.terms import Weight
from archcalc.memory.optimizers import Optimizer
from archcalc.memory.precision import Widths
from archcalc.memory.saved import Saved
from archcalc.memory.timeline import Moment, Size, Stretch, Timeline
from archcalc.network import ArraysSeen, Network, Node
from archcalc.quantities.activations import count_activations


def training_step(gradients: Gradients, saved: Saved, precision: Widths, optimizer: Optimizer) -> Timeline:
    """The timeline of one training step.

    >>> import archcalc
    >>> from archcalc.memory.optimizers import OPTIMIZERS
    >>> from archcalc.memory.precision import precision
    >>> gradients = Gradients(archcalc.loads("net n { input(8) -> fc(4, bias=false) }"))
    >>> step = training_step(gradients, Saved(gradients), precision("float32"), OPTIMIZERS["sgd"])
    >>> step.bytes_alive(batch=1)  # 32 weights; 8 values in; 4 values out and 4 gradients; 32 gradients
    [160, 176, 192, 304, 256]
    """
    machine = Machine(gradients, saved, precision)
    machine.hold_parameters(optimizer)
    machine.run()
    machine.update()
    return machine.timeline()


class Gradient:
    """A gradient in memory. `users` are the nodes that wait for it."""

    def __init__(self, tensor: Stretch) -> None:
        self.tensor = tensor
        self.users = 1


class Machine:
    """Memory during a step: what each node allocates and frees, moment by moment."""

    def __init__(
        self,
        gradients: Gradients,
        saved: Saved,
        precision: Widths,
        nodes: Sequence[Node] | None = None,
        results: Sequence[Node] | None = None,
    ) -> None:
        self.gradients = gradients
        self.nodes = gradients.nodes if nodes is None else nodes
        """The nodes that run: all nodes, or a range of them."""
        self.results = gradients.results if results is None else results
        self.saved = saved
        self.precision = precision
        self.moments: list[Moment] = []
        self.tensors: list[Stretch] = []
        self.outputs: dict[int, Stretch] = {}
        """The outputs that are alive, by the node that owns their memory."""
        self.own: dict[int, list[Stretch]] = {}
        """The tensors that a node keeps in addition to those of the graph."""
        self.copies: dict[int, list[Stretch]] = {}
        """The 16-bit copies of arrays, by the node that uses them in the backward pass, or -1."""
        self.coming: dict[int, Gradient] = {}
        """The gradients of outputs, by the node that waits for them."""
        self.of_arrays: dict[tuple[int, str], Stretch] = {}
        self.last_read = self._last_reads()
        self.claims = self._first_claims()
        """The users of a tensor of the graph after the forward pass."""

    def _last_reads(self) -> dict[int, list[int]]:
        """For each node, the tensors of the graph that the forward pass does not read after it."""
        last: dict[int, int] = {}
        for node in self.nodes:
            for tensor in (node, *node.reads):
                last[self.saved.memory_of[tensor.index]] = node.index
        network = self.gradients.network
        for node in (*network.outputs.values(), *network.heads.values(), *self.results):
            last.pop(self.saved.memory_of.get(node.index, -1), None)
        found: dict[int, list[int]] = {}
        for memory, reader in last.items():
            found.setdefault(reader, []).append(memory)
        return found

    def _first_claims(self) -> dict[int, set[int]]:
        """For each tensor of the graph that these nodes use, the nodes whose backward passes read it."""
        keepers = self.saved.keepers
        claims: dict[int, set[int]] = {}
        for node in self.nodes:  # not all kept tensors: plans of checkpoints run many short parts
            for memory in (self.saved.memory_of[node.index], *self.saved.kept_for.get(node.index, ())):
                if memory not in claims and memory in keepers:
                    claims[memory] = set(keepers[memory])
        return claims

    # --- Moments and tensors ---

    def _new(self, name: str, category: str, node: Node | None, size: Size) -> Stretch:
        """Allocate a tensor for the next moment."""
        tensor = Stretch(name, category, node, size, len(self.moments))
        self.tensors.append(tensor)
        return tensor

    def _free(self, tensor: Stretch) -> None:
        tensor.last = len(self.moments) - 1

    def _pass(self, phase: str, node: Node | None = None) -> None:
        self.moments.append(Moment(phase, node))

    def timeline(self) -> Timeline:
        for tensor in self.tensors:
            if tensor.last < 0:
                self._free(tensor)
        return Timeline(self.moments, self.tensors)

    # --- The parts of a step ---

    def run(self) -> None:
        """Run forward, the loss, and backward."""
        for node in self.nodes:
            self.forward(node)
        self.loss()
        for node in reversed(self.nodes):
            if node.index in self.coming:
                self.backward(node)

    def hold_parameters(self, optimizer: Optimizer) -> None:
        """Hold the parameters, buffers, and optimizer state, which stay from step to step."""
        size, needs = self.precision.parameters, self.gradients.needs
        for node, weight in arrays_once(self.nodes):
            name, count = f"{node.name}.{weight.name}", weight.term.value
            self._new(name, "parameters", node, Size(count * size))
            trained = node.index in needs and weight.name in needs[node.index].trained
            if trained and (optimizer.values or optimizer.per_array):
                state = optimizer.values * count * size + optimizer.per_array
                self._new(f"state of {name}", "optimizer", node, Size(state))

    def forward(self, node: Node, phase: str = "forward", keep: bool = True) -> None:
        """Compute a node. With `keep`, keep what its backward pass needs."""
        memory = self.saved.memory_of[node.index]
        if memory == node.index and memory not in self.outputs:
            kept = bool(self.claims.get(memory))
            self.outputs[memory] = self._new(
                node.name, "saved" if kept else "temporary", node, self._size_of(node)
            )
        if self.precision.copies_arrays(node):
            self._copy_arrays(node)
        if keep:
            for own in self.saved.own.get(node.index, ()):
                tensor = self._new(f"{node.name} {own.name}", "saved", node, self._size_of_kept(own, node))
                self.own.setdefault(node.index, []).append(tensor)
        self._pass(phase, node)
        for unread in self.last_read.get(node.index, ()):
            if not self.claims.get(unread):
                self._forget(unread)

    def _copy_arrays(self, node: Node) -> None:
        """Copy a node's arrays to 16 bits. The copies stay until the gradient of its input is computed."""
        values = sum(weight.term.value for weight in node.facts.weights if weight.role != "buffer")
        needs = self.gradients.needs.get(node.index)
        stays = needs is not None and needs.any_input
        copy = self._new(
            f"{node.name} arrays in 16 bits", "saved" if stays else "temporary", node, Size(2 * values)
        )
        self.copies.setdefault(node.index if stays else -1, []).append(copy)

    def loss(self) -> None:
        """Allocate the gradients of the results, which have the same size, and free the results."""
        for node in self.results:
            self._receive(node, self._new_gradient(node))
        self._pass("loss")
        for copy in self.copies.pop(-1, ()):  # autocast keeps its copies until the end of the forward pass
            self._free(copy)
        for memory in [memory for memory in self.outputs if not self.claims.get(memory)]:
            self._forget(memory)

    def backward(self, node: Node) -> None:
        """Compute the gradients of a node's inputs and arrays from the gradient of its output."""
        needs, does = self.gradients.needs[node.index], self.saved.backward(node)
        arriving = self.coming.pop(node.index)
        sent: list[tuple[Node, Gradient]] = []
        for number, (source, needed) in enumerate(zip(node.inputs, needs.inputs, strict=True)):
            if not needed:
                continue
            if number in does.passes:
                arriving.users += 1
                sent.append((source, arriving))
            else:
                sent.append((source, self._new_gradient(source)))
        added = self._gradients_of_arrays(node, needs.trained)
        added += self._temporaries(node)
        self._pass("backward", node)
        for tensor in added:
            self._free(tensor)
        self._drop(arriving)
        self._free_kept(node)
        for source, gradient in sent:
            self._receive(source, gradient)

    def update(self) -> None:
        """Update the parameters, with all their gradients in memory."""
        self._pass("step")

    def _gradients_of_arrays(self, node: Node, names: frozenset[str]) -> list[Stretch]:
        """Allocate the gradients of a node's arrays. Returns those that are added to an earlier one."""
        added = []
        for weight in node.facts.weights:
            if weight.name not in names:
                continue
            owner, name = owner_of(node, weight.name)
            size = Size(weight.term.value * self.precision.parameters)
            key = (owner.index, name)
            if key in self.of_arrays:
                added.append(self._new(f"gradient of {node.name}.{weight.name}", "temporary", node, size))
            else:
                self.of_arrays[key] = self._new(f"gradient of {owner.name}.{name}", "gradients", owner, size)
        return added

    def _temporaries(self, node: Node) -> list[Stretch]:
        """What the backward pass of a node allocates for itself: nothing, if only needed memory counts."""
        return []

    def _new_gradient(self, node: Node) -> Gradient:
        return Gradient(self._new(f"gradient of {node.name}", "temporary", node, self._size_of(node)))

    def _drop(self, gradient: Gradient) -> None:
        gradient.users -= 1
        if not gradient.users:
            self._free(gradient.tensor)

    def _receive(self, node: Node, gradient: Gradient) -> None:
        """Receive a gradient for a node's output, and add it to an earlier one."""
        before = self.coming.get(node.index)
        if before is None:
            self.coming[node.index] = gradient
        elif before.users == 1:
            self._drop(gradient)
        elif gradient.users == 1:
            self.coming[node.index] = gradient
            self._drop(before)
        else:
            self.coming[node.index] = self._new_gradient(node)
            self._pass("backward", node)
            self._drop(before)
            self._drop(gradient)

    def _free_kept(self, node: Node) -> None:
        """Free the tensors that no later backward pass reads."""
        for tensor in (*self.own.pop(node.index, ()), *self.copies.pop(node.index, ())):
            self._free(tensor)
        for memory in self.saved.kept_for.get(node.index, ()):
            self._release(memory, node.index)

    def _release(self, memory: int, claim: int) -> None:
        """Free a tensor of the graph if nothing else needs it."""
        self.claims[memory].discard(claim)
        if not self.claims[memory]:
            self._forget(memory)

    def _forget(self, memory: int) -> None:
        if memory in self.outputs:
            self._free(self.outputs.pop(memory))

    # --- Sizes ---

    def _size_of(self, node: Node) -> Size:
        """The size of a node's output. A parameter as a tensor exists already."""
        if node.layer.is_source:
            return Size(0)
        return Size(0, count_activations(node.facts) * self.precision.of_output(node))

    def _size_of_kept(self, kept: Kept, node: Node) -> Size:
        assert kept.values is not None
        size = kept.values.value * (kept.value_bytes or self.precision.of_own(node))
        return Size(size) if kept.per_batch else Size(0, size)


def hold_parameters(timeline: Timeline, network: Network, widths: Widths, heads: bool = False) -> Timeline:
    """The same run with parameters and buffers, which are alive all the time."""
    nodes = [node for node in network.nodes if heads or not node.training]
    held = [
        Stretch(
            f"{node.name}.{weight.name}", "parameters", node, Size(weight.term.value * widths.parameters), 0
        )
        for node, weight in arrays_once(nodes)
    ]
    for tensor in held:
        tensor.last = len(timeline.moments) - 1
    return Timeline(timeline.moments, [*held, *timeline.tensors])


def arrays_once(nodes: Sequence[Node]) -> Iterator[tuple[Node, Weight]]:
    """The arrays of nodes. A shared array appears only at its first node."""
    seen = ArraysSeen()
    for node in nodes:
        if node.facts.weights:
            repeated = {weight.name for weight in seen.repeated(node).weights}
            yield from ((node, weight) for weight in node.facts.weights if weight.name not in repeated)


def owner_of(node: Node, name: str) -> tuple[Node, str]:
    """The node that owns an array of a node, and the array's name there."""
    owner = node.shares or node
    return owner.tied.get(name, (owner, name))
