"""Which values of a network are indices of embeddings. Indices are whole numbers below a limit."""

from __future__ import annotations

from archcalc.layers.recurrent import Embedding
from archcalc.network import Network


def index_limits(network: Network) -> dict[int, int]:
    """The nodes whose values are indices, each with the fewest rows of any embedding that they reach.

    Values are indices if they reach an embedding through layers that only move values.
    """
    limits: dict[int, int] = {}
    for node in reversed(network.nodes):
        limit = limits.get(node.index)
        if isinstance(node.layer, Embedding):
            limit = node.layer.num_embeddings
        elif node.facts.operations or node.facts.weights or node.is_opaque:
            continue  # it computes other values
        if limit is not None:
            for source in node.inputs:
                limits[source.index] = min(limit, limits.get(source.index, limit))
    return limits
