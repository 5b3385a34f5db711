"""Checks whether two networks are the same in everything that matters."""

from __future__ import annotations

from collections import Counter
from typing import Any

from msgspec import Struct

from archcalc.network import Network
from archcalc.profile import analyze

ORDER_MATTERS = ("peak_activations", "peak_bytes")
"""Quantities that depend on the order of the nodes, which a text may change."""


class Difference(Struct, frozen=True):
    """The difference between two networks, in words. An empty string means that there is none.

    `layers` is about layers and connections. If it is empty, `figures` may not be: a text can tie weights and
    freeze layers, but cannot do this for other arrays.
    """

    layers: str = ""
    figures: str = ""

    def __bool__(self) -> bool:
        return bool(self.layers or self.figures)


def difference(one: Network, other: Network) -> Difference:
    """Compare two networks.

    Every node of one network must be in the other: the same layer, on the same tensors, with the same
    parameters. Names and the order of nodes may differ.
    """
    if len(one.nodes) != len(other.nodes):
        return Difference(f"{len(other.nodes):,} nodes instead of {len(one.nodes):,}")
    numbers: dict[Any, int] = {}
    if _structure(one, numbers) != _structure(other, numbers):
        return Difference("other layers or other connections")
    figures = ["other arrays that are tied"] if _tied(one, numbers) != _tied(other, numbers) else []
    if _frozen(one, numbers) != _frozen(other, numbers):
        figures.append("other frozen layers")
    for heads in (False, True) if one.heads else (False,):
        mine, theirs = analyze(one, heads=heads).totals, analyze(other, heads=heads).totals
        figures += [
            f"{theirs[name]:,} {name} instead of {mine[name]:,}"
            for name in mine
            if mine[name] != theirs[name] and name not in ORDER_MATTERS
        ]
    return Difference(figures="; ".join(dict.fromkeys(figures)))


def _structure(network: Network, numbers: dict[Any, int]) -> Any:
    """Return the computation of each node and each result, and which nodes share parameters.

    `numbers` maps each computation to a number, so that comparing two needs no recursion.
    """
    found = _computed(network, numbers)
    users: dict[int, list[int]] = {}
    for node in network.nodes:
        if node.facts.weights:
            users.setdefault((node.shares or node).index, []).append(found[node.index])
    sharing = Counter(tuple(sorted(together)) for together in users.values())
    output = network.outputs.get("output")
    main = found[output.index] if output is not None else None
    # a text may name results differently, and it declares them where their tensors are made
    outputs = sorted(found[node.index] for node in network.outputs.values())
    heads = sorted(found[node.index] for node in network.heads.values())
    return Counter(found), sharing, main, outputs, heads


def _computed(network: Network, numbers: dict[Any, int]) -> list[int]:
    """Return a number for the computation of each node."""
    inputs = {node.index: place for place, node in enumerate(sorted(network.inputs.values(), key=_by_name))}
    found: list[int] = []
    for node in network.nodes:
        sources = tuple(found[source.index] for source in node.inputs)
        key = (type(node.layer), node.layer, node.shape, sources, inputs.get(node.index))
        found.append(numbers.setdefault(key, len(numbers)))
    return found


def _tied(network: Network, numbers: dict[Any, int]) -> Counter[Any]:
    """Return the arrays that are tied to others, paired with those others."""
    found = _computed(network, numbers)
    return Counter(
        (found[node.index], name, found[owner.index], array)
        for node in network.nodes
        for name, (owner, array) in node.tied.items()
    )


def _frozen(network: Network, numbers: dict[Any, int]) -> Counter[int]:
    """Return the layers with parameters that are not trained; shared layers are listed at their owner."""
    found = _computed(network, numbers)
    nodes = (node for node in network.nodes if node.facts.weights and (node.shares or node).frozen)
    return Counter(found[node.index] for node in nodes)


def _by_name(node: Any) -> int:
    index: int = node.index
    return index
