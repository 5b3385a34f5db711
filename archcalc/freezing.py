"""Frozen parts: parameters that exist but are not trained."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from archcalc.layers.terms import Facts
from archcalc.network import Network, Node
from archcalc.number import once


def with_frozen(network: Network, patterns: Sequence[str]) -> Network:
    """The network with the parameters of some nodes frozen.

    A pattern is the path of a node, a block call, or a group, and can have `*` for anything. Layers that use
    arrays of a frozen layer use them frozen. Raises `ArchError` for a pattern that matches nothing.

    >>> import archcalc
    >>> net = archcalc.load("lenet5")
    >>> frozen = with_frozen(net, ["C*"])
    >>> archcalc.analyze(net).totals.trainable_params - archcalc.analyze(frozen).totals.trainable_params
    50692
    """
    chosen = {node.index for pattern in patterns for node in network.select(pattern)}
    if not chosen:
        return network
    made: dict[int, Node] = {}
    for node in network.nodes:
        frozen = node.index in chosen and not node.frozen
        made[node.index] = changed = replace(
            node,
            inputs=tuple(made[source.index] for source in node.inputs),
            facts=once(Facts.frozen, node.facts) if frozen else node.facts,
            frozen=node.frozen or frozen,
            shares=None if node.shares is None else made[node.shares.index],
            tied={name: (made[owner.index], array) for name, (owner, array) in node.tied.items()},
        )
        changed.trained_as_owned()
    return replace(
        network,
        nodes=tuple(made.values()),
        groups=tuple(replace(group, output=made[group.output.index]) for group in network.groups),
        outputs={name: made[node.index] for name, node in network.outputs.items()},
        heads={name: made[node.index] for name, node in network.heads.items()},
        notes=tuple(
            replace(note, node=made[note.node.index]) if note.node is not None else note
            for note in network.notes
        ),
    )
