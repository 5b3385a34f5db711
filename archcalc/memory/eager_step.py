"""A training step in eager PyTorch as a timeline, alone or as its `MemTracker` sees it.

It differs from the needed memory (`archcalc.memory.step`) as follows:

- autograd keeps the tensors of `archcalc.memory.eager_rules`;
- the loss is a cross-entropy, which keeps the logarithms of probabilities;
- the caller holds the inputs and the targets for the whole step;
- the gradients of a tensor with several readers are added in place only if nothing else uses the first one,
  and never while a mode such as `MemTracker` is active;
- some operations compute a gradient in full and then sum it;
- batch norms have a counter of 8 bytes, and Adam allocates temporary tensors for each parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from archcalc.layers.backward import Needs
from archcalc.layers.terms import Facts, Weight
from archcalc.memory.eager import Eager
from archcalc.memory.optimizers import Optimizer
from archcalc.memory.precision import Widths
from archcalc.memory.saved import Saved
from archcalc.memory.step import Gradient, Machine, arrays_once
from archcalc.memory.timeline import Size, Stretch, Timeline
from archcalc.network import Node

INDEX = 8
"""Bytes of an integer in PyTorch, such as a target or the counter of a batch norm."""


def eager_step(eager: Eager, precision: Widths, optimizer: Optimizer, watched: bool = False) -> Timeline:
    """The timeline of a step, with a cross-entropy for each result and the existing optimizer state.

    `watched` says whether a mode such as `MemTracker` is active.

    >>> import archcalc
    >>> from archcalc.gradients import Gradients
    >>> from archcalc.memory.optimizers import OPTIMIZERS
    >>> from archcalc.memory.precision import precision
    >>> eager = Eager(Gradients(archcalc.loads("net n { input(8) -> fc(4, bias=false) }")))
    >>> step = eager_step(eager, precision("float32"), OPTIMIZERS["sgd"])
    >>> step.bytes_alive(batch=1)[1:3]  # 32 weights, 8 values in, a target, 4 values out; their logarithms
    [184, 200]
    """
    saved = Saved(eager.gradients, eager.backward)
    machine = EagerMachine(eager, saved, precision, optimizer, watched)
    machine.hold_parameters(optimizer)
    machine.run()
    machine.update()
    return machine.timeline()


class EagerMachine(Machine):
    def __init__(
        self, eager: Eager, saved: Saved, precision: Widths, optimizer: Optimizer, watched: bool = False
    ) -> None:
        super().__init__(eager.gradients, saved, precision)
        self.optimizer = optimizer
        self.watched = watched
        self.sums = {"in place": 0, "new": 0}
        """The number of gradient sums that are computed in place, and in a new tensor."""
        self.held = {memory for node in self.nodes if node.is_input for memory in (node.index,)}
        """The tensors that the caller holds until the end."""
        self.channels_last = channels_last(self.nodes)

    def hold_parameters(self, optimizer: Optimizer) -> None:
        super().hold_parameters(optimizer)
        for node in self.nodes:
            if node.kind == "bn" and node.shares is None and node.layer.track_running_stats:  # type: ignore[attr-defined]
                self._new(f"{node.name} counter", "parameters", node, Size(INDEX))
        for node in self.results:
            places = math.prod(node.shape[1:])
            self._new(f"targets of {node.name}", "temporary", node, Size(0, INDEX * places))

    def _forget(self, memory: int) -> None:
        if memory not in self.held:
            super()._forget(memory)

    def loss(self) -> None:
        """For each result, `log_softmax` and `nll_loss`, and their backward passes."""
        kept: list[tuple[Node, Stretch, Stretch, Stretch]] = []
        for node in self.results:
            logarithms = self._new(f"log_softmax of {node.name}", "saved", node, self._size_of(node))
            self._pass("loss")
            weight = self._new(f"weights of the targets of {node.name}", "saved", node, self._scalar)
            kept.append((node, logarithms, weight, self._new("loss", "temporary", None, self._scalar)))
            self._pass("loss")
        for memory in [memory for memory in self.outputs if not self.claims.get(memory)]:
            self._forget(memory)
        for *_, loss in kept[1:]:  # the sum of losses is one number
            self._free(loss)
        one = self._new("gradient of the loss", "temporary", None, self._scalar)
        self._pass("loss")
        for node, logarithms, weight, _ in reversed(kept):
            of_logarithms = self._new_gradient(node)
            self._pass("loss")
            self._free(weight)
            self._receive(node, self._new_gradient(node))
            self._pass("loss")
            self._drop(of_logarithms)
            self._free(logarithms)
        self.one = one

    @property
    def _scalar(self) -> Size:
        return Size(self.precision.activations)

    def backward(self, node: Node) -> None:
        super().backward(node)
        if node.layer.family != "conv" or not any(s.index in self.channels_last for s in node.inputs):
            return
        for weight in node.facts.weights:
            if weight.name in self.gradients.needs[node.index].trained and _has_layouts(weight):
                size = Size(weight.term.value * self.precision.parameters)
                name = f"gradient of {node.name}.{weight.name} in its layout"
                copy = self._new(name, "temporary", node, size)
                self._pass("backward", node)
                self._free(copy)

    def _temporaries(self, node: Node) -> list[Stretch]:
        compute = TEMPORARIES.get(node.kind)
        values = compute(node.layer, node.facts, self.gradients.needs[node.index]) if compute else 0
        if not values:
            return []
        size = Size(0, values * self.precision.of_output(node))
        return [self._new(f"{node.name} in full", "temporary", node, size)]

    def _receive(self, node: Node, gradient: Gradient) -> None:
        before = self.coming.get(node.index)
        if before is None:
            self.coming[node.index] = gradient
            return
        part = before.tensor.size != self._size_of(node)  # like the gradient of one input of a concatenation
        if not self.watched and not part and before.users == 1:
            self.sums["in place"] += 1
            self._drop(gradient)
            return
        self.sums["new"] += 1
        self.coming[node.index] = self._new_gradient(node)
        self._pass("backward", node)
        self._drop(before)
        self._drop(gradient)

    def update(self) -> None:
        """Adam computes the root of its second moment and then the divisor, while the divisor of the previous
        parameter still exists."""
        self._free(self.one)
        most = 0
        if self.optimizer.name.startswith("adam"):
            before = 0
            for node, weight in arrays_once(self.nodes):
                needs = self.gradients.needs.get(node.index)
                if needs is not None and weight.name in needs.trained:
                    values = weight.term.value
                    most = max(most, before + 2 * values)
                    before = values
        divisors = self._new("divisors of Adam", "temporary", None, Size(most * self.precision.parameters))
        self._pass("step")
        self._free(divisors)


def channels_last(nodes: Sequence[Node]) -> set[int]:
    """The nodes whose outputs have their channels last in memory, although their axes say otherwise.

    A norm over channels outputs such a map, as torchvision writes it, and layers that read one output one.
    The gradient of a convolution's weights has the layout of the map, and is copied into the layout of the
    weights.
    """
    found: set[int] = set()
    for node in nodes:
        begins = node.kind == "layer_norm" and len(node.shape) > 1 and node.layer.dim == "channels"  # type: ignore[attr-defined]
        if begins or any(source.index in found for source in node.inputs):
            found.add(node.index)
    return found


def _has_layouts(weight: Weight) -> bool:
    """Do two layouts of an array differ? They are the same with one input channel or one tap."""
    taps = math.prod(n for name, n in weight.factors if name.startswith("k"))
    return taps > 1 and math.prod(n for name, n in weight.factors if name.startswith("C_in")) > 1


# --- Allocations of backward operations in addition to gradients ----------------------------------------


def _mul(layer: Any, facts: Facts, needs: Needs) -> int:
    """The gradient of a stretched factor is computed at all places and then summed, one after the other."""
    full = math.prod(facts.output)
    asked = [shape for shape, needed in zip(facts.inputs, needs.inputs, strict=True) if needed]
    stretched = [math.prod(shape) for shape in asked if shape != facts.output]
    # after n of the sums, the sums of n factors exist, in place of n - 1 full gradients
    most = max(
        (full * (len(stretched) - i) + sum(stretched[: i + 1]) for i in range(len(stretched))), default=0
    )
    return max(0, most - sum(stretched))


def _in_full(layer: Any, facts: Facts, needs: Needs) -> int:
    """The gradient of the factors is computed for each value and then summed."""
    return math.prod(facts.output) if needs.trained else 0


TEMPORARIES: Mapping[str, Callable[[Any, Facts, Needs], int]] = {
    "mul": _mul,
    "layer_scale": _in_full,
    "scale": _in_full,
    "prelu": _in_full,
}
"""By kind, the values per sample that exist in addition to the gradients of inputs and arrays."""
