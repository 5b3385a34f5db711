"""How long tensors live when layers run in order, and so how many values are alive at once."""

from __future__ import annotations

from archcalc.layers.terms import NO_OPERATIONS
from archcalc.network import Network, Node
from archcalc.quantities.activations import count_activations


def peak_activations(network: Network) -> int:
    """The most values of activations alive at once, for one sample, if layers run in order.

    A tensor lives from the layer that puts it out to the last one that reads it, results to the end.
    Nothing is computed in place; a layer that passes its input on, as a dropout does, puts out nothing new.

    >>> import archcalc
    >>> peak_activations(archcalc.loads("net n { input(2x8x8) -> conv(4, 3, padding=1) -> relu }"))
    512
    """
    nodes = [node for node in network.nodes if not node.training]
    place = {node.index: i for i, node in enumerate(nodes)}
    origin: dict[int, int] = {}
    last: dict[int, int] = {}
    for node in nodes:
        i = place[node.index]
        origin[i] = origin[place[node.inputs[0].index]] if _passes_on(node) else i
        for tensor in (i, *(place[source.index] for source in node.inputs)):
            last[origin[tensor]] = i
    for result in network.outputs.values():
        last[origin[place[result.index]]] = len(nodes)
    ends = [0] * (len(nodes) + 1)
    for born, end in last.items():
        ends[end] += count_activations(nodes[born].facts)
    alive = peak = 0
    for i, node in enumerate(nodes):
        alive += count_activations(node.facts) if origin[i] == i else 0
        peak = max(peak, alive)
        alive -= ends[i]
    return peak


def _passes_on(node: Node) -> bool:
    """Does a layer put out what comes in? An activation that computes nothing does."""
    return node.layer.family == "activation" and node.facts.operations == NO_OPERATIONS
