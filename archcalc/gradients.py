"""The gradients that training computes: of which tensors, of which arrays, and the work of each node."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from msgspec.structs import replace

from archcalc import number
from archcalc.layers.backward import Backward, Needs
from archcalc.layers.base import Layer
from archcalc.layers.computed import backward_of_way, needs_of_computed
from archcalc.layers.terms import Facts, Term, Weight, term, values_of
from archcalc.network import Network, Node


class Gradients:
    """The nodes of a network that take part in its backward pass.

    A tensor needs a gradient if it depends on a trained parameter. A node takes part if its output needs a
    gradient and a result depends on that output. Inputs of the network need no gradient. The first layer
    therefore computes none for its input, and frozen layers at the front do nothing.

    `results` are the nodes where gradients enter: the outputs, and with `heads` also the outputs of training
    heads.

    >>> import archcalc
    >>> gradients = Gradients(archcalc.load("lenet5"))
    >>> gradients.needs[gradients.network["C1/conv1"].index].inputs
    (False,)
    """

    def __init__(self, network: Network, heads: bool = False) -> None:
        self.network = network
        self.nodes = [node for node in network.nodes if heads or not node.training]
        ends = [*network.outputs.values(), *(network.heads.values() if heads else ())]
        trained = {node.index: trained_arrays(node) for node in self.nodes if node.facts.weights}
        depends: set[int] = set()
        for node in self.nodes:
            if trained.get(node.index) or any(_sends(node, depends)):
                depends.add(node.index)
        reached = {node.index for node in ends if node.index in depends}
        self.results = [node for node in dict.fromkeys(ends) if node.index in reached]
        self.needs: dict[int, Needs] = {}
        """By the index of each node that takes part."""
        self.readers: dict[int, int] = {}
        """The number of gradients that come back to a node's output."""
        for node in reversed(self.nodes):
            if node.index not in reached:
                continue
            flags = _sends(node, depends)
            self.needs[node.index] = Needs(flags, trained.get(node.index, frozenset()))
            for source, needed in zip(node.inputs, flags, strict=True):
                if needed:
                    reached.add(source.index)
                    self.readers[source.index] = self.readers.get(source.index, 0) + 1
        for node in self.results:
            self.readers[node.index] = self.readers.get(node.index, 0) + 1

    def backward(self, node: Node) -> Backward:
        """The backward pass of a node that takes part."""
        return backward_of(node.layer, node.facts, self.needs[node.index])

    def operations(self, node: Node) -> list[tuple[str, Term]]:
        """The operations of a node in the backward pass, including the sum of its readers' gradients."""
        if node.index not in self.needs:
            return []
        found = list(self.backward(node).operations)
        sums = self.readers[node.index] - 1
        if sums:
            fork = term(("readers-1", sums)) * values_of(node.shape)
            found.append(("add", fork.of("sum of the gradients from its readers")))
        return found


def _sends(node: Node, depends: Collection[int]) -> tuple[bool, ...]:
    """For each input of a node: does the node send it a gradient? The inputs in `depends` need one."""
    layer = node.layer
    return tuple(
        source.index in depends and not layer.stops_gradients and number not in layer.without_gradient
        for number, source in enumerate(node.inputs)
    )


def trained_arrays(node: Node) -> frozenset[str]:
    """The names of a node's trained arrays.

    An array of another node is trained if it is trained there, even if the node that uses it is frozen.
    """
    owner = node.shares or node
    found = set()
    for weight in owner.facts.weights:
        has, name = owner.tied.get(weight.name, (owner, weight.name))
        array = weight if has is owner else _named(has.facts, name)
        if array.role != "buffer" and not array.frozen:
            found.add(weight.name)
    return frozenset(found)


def _named(facts: Facts, name: str) -> Weight:
    return next(weight for weight in facts.weights if weight.name == name)


def backward_of(layer: Layer, facts: Facts, needs: Needs) -> Backward:
    """The backward pass of a layer. Equal layers share one object, like their facts."""
    trace = number.active
    return _kept(layer, facts, needs) if trace is None else trace.once(_backward_of, layer, facts, needs)


def _backward_of(layer: Layer, facts: Facts, needs: Needs) -> Backward:
    way = getattr(layer, "weight", "own")
    does = layer.backward(facts, needs_of_computed(way, needs))
    computing = backward_of_way(way, facts.weights[0], needs) if way != "own" else ()
    return replace(does, operations=(*does.operations, *computing)) if computing else does


_kept = lru_cache(maxsize=8192)(_backward_of)
