"""Inference as a timeline: layers run in order, and each tensor is alive until its last reader has run."""

from __future__ import annotations

from collections.abc import Collection

from archcalc.layers.terms import NO_OPERATIONS
from archcalc.memory.precision import Widths
from archcalc.memory.timeline import Moment, Size, Stretch, Timeline
from archcalc.network import Network, Node
from archcalc.quantities.activations import count_activations

IN_PLACE = {
    "activations": "activations, norms, scales, and other functions of one value",
    "add": "add, sub, mul, and div of tensors",
    "depthwise": "depthwise convolutions, channel by channel",
}
"""The layers that can write their output over their input, by name."""

_VALUE_BY_VALUE = frozenset({"activation", "norm", "unary", "arithmetic"})
_JOINS = frozenset({"add", "sub", "mul", "div"})


def inference(
    network: Network, widths: Widths, in_place: Collection[str] = (), heads: bool = False
) -> Timeline:
    """The timeline of running a network once, without parameters.

    A tensor lives from the layer that outputs it to the last layer that reads it, and a result lives to the
    end. A layer that passes its input on, like dropout, outputs nothing new. The inputs and the output of a
    layer are alive together, with one exception: if the layer is in one of the groups `in_place` (names of
    `IN_PLACE`), nothing reads its first input later, and the output is not larger, the output overwrites that
    input. Inputs of the network are never overwritten.

    >>> import archcalc
    >>> from archcalc.memory.precision import precision
    >>> network = archcalc.load("mobilenet_v2")
    >>> for names in ((), ("activations",), ("activations", "depthwise")):
    ...     inference(network, precision("int8"), names).peak(batch=1)[0] / 1024  # MCUNetV2, Figure 1: 1372
    2352.0
    1470.0
    1372.0
    """
    nodes = [node for node in network.nodes if heads or not node.training]
    memory, last = _memories(network, nodes, in_place, heads)
    place = {node.index: i for i, node in enumerate(nodes)}
    tensors: dict[int, Stretch] = {}
    for node in nodes:
        at = memory[node.index]
        if at not in tensors:
            size = 0 if node.layer.is_source else count_activations(node.facts) * widths.of_output(node)
            tensors[at] = Stretch(node.name, "activations", node, Size(0, size), place[node.index])
        tensors[at].last = place[last[at]]
    return Timeline([Moment("forward", node) for node in nodes], list(tensors.values()))


def _memories(
    network: Network, nodes: list[Node], in_place: Collection[str], heads: bool
) -> tuple[dict[int, int], dict[int, int]]:
    """For each node, the node whose memory its output uses; and for each of those, its last user."""
    ends = [*network.outputs.values(), *(network.heads.values() if heads else ())]
    results = {node.index for node in ends}
    last_reader = {}
    for node in nodes:
        for source in (node, *node.reads):
            last_reader[source.index] = node.index
    end = nodes[-1].index
    memory: dict[int, int] = {}
    last: dict[int, int] = {}
    for node in nodes:
        at = node.index
        if node.inputs:
            first = node.inputs[0]
            there = memory[first.index]
            overwrites = (
                _works_in_place(node, in_place)
                and last[there] == node.index
                and not network.nodes[there].is_input
                and count_activations(node.facts) <= count_activations(network.nodes[there].facts)
            )
            if overwrites or _passes_on(node):
                at = there
        memory[node.index] = at
        until = end if node.index in results else last_reader[node.index]
        last[at] = max(last.get(at, 0), until)
    return memory, last


def _passes_on(node: Node) -> bool:
    """Does a layer output its input unchanged? An activation that computes nothing does."""
    return node.layer.family == "activation" and node.facts.operations == NO_OPERATIONS


def _works_in_place(node: Node, names: Collection[str]) -> bool:
    if "activations" in names and node.layer.family in _VALUE_BY_VALUE and not node.layer.is_join:
        return True
    if "add" in names and node.kind in _JOINS:
        return True
    return "depthwise" in names and _is_depthwise(node)


def _is_depthwise(node: Node) -> bool:
    """A convolution in which every channel reads one channel, with as many output as input channels."""
    channels = node.shape[0]
    groups = channels if node.kind == "depthwise" else getattr(node.layer, "groups", 1)
    return node.layer.family == "conv" and groups == channels == node.inputs[0].shape[0]
