"""How long tensors live when layers run in order, and so how much is alive at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from archcalc.layers.terms import NO_OPERATIONS
from archcalc.network import Network, Node
from archcalc.quantities.activations import count_activations
from archcalc.quantities.formulas import of_parts
from archcalc.quantities.quantity import Number, Quantity, Scope, Selection, Unit
from archcalc.render.numbers import byte_size, grouped
from archcalc.shape import format_shape

if TYPE_CHECKING:
    from archcalc.profile import Profile


class Peak(Struct, frozen=True, eq=False):
    """The most activations alive at once, for one sample: how many values, where, and of which nodes.

    `node` is the first layer during which so many are alive, `alive` the nodes whose tensors are.
    """

    values: int
    node: Node
    alive: tuple[Node, ...]


def find_peak(network: Network, heads: bool = False) -> Peak:
    """The most values of activations alive at once, for one sample, if layers run in order.

    A tensor lives from the layer that outputs it to the last one that reads it, results to the end. A
    layer's inputs and output are alive together: nothing is computed in place. A layer that passes its
    input on, as dropout does, outputs nothing new. `heads` includes the heads used in training only.

    >>> import archcalc
    >>> peak = find_peak(archcalc.loads("net n { input(2x8x8) -> conv(4, 3, padding=1) -> relu }"))
    >>> peak.values, peak.node.name, [node.name for node in peak.alive]
    (512, 'relu1', ['conv1', 'relu1'])
    """
    nodes = [node for node in network.nodes if heads or not node.training]
    place = {node.index: i for i, node in enumerate(nodes)}
    origin: dict[int, int] = {}
    last: dict[int, int] = {}
    for i, node in enumerate(nodes):
        origin[i] = origin[place[node.inputs[0].index]] if _passes_on(node) else i
        for tensor in (i, *(place[source.index] for source in node.inputs)):
            last[origin[tensor]] = i
    results = [*network.outputs.values(), *(network.heads.values() if heads else ())]
    for result in results:
        last[origin[place[result.index]]] = len(nodes)
    sizes = {i: count_activations(nodes[i].facts) for i in last}
    ends = [0] * (len(nodes) + 1)
    for born, end in last.items():
        ends[end] += sizes[born]
    alive = most = at = 0
    for i in range(len(nodes)):
        alive += sizes[i] if origin[i] == i else 0
        if alive > most:
            most, at = alive, i
        alive -= ends[i]
    living = [nodes[born] for born, end in last.items() if born <= at <= end]
    return Peak(most, nodes[at], tuple(sorted(living, key=lambda node: node.index)))


def _passes_on(node: Node) -> bool:
    """Does a layer output what comes in? An activation that computes nothing does."""
    return node.layer.family == "activation" and node.facts.operations == NO_OPERATIONS


def _value_bytes(profile: Profile) -> int:
    """Bytes of one value of every sample of the batch."""
    return profile.bytes_per_value * profile.batch


def _values(selection: Selection) -> int:
    return selection.profile.peak.values


def _bytes(selection: Selection) -> int:
    return selection.profile.peak.values * _value_bytes(selection.profile)


def _at(profile: Profile) -> str:
    return profile.peak.node.name


def _explain_values(selection: Selection) -> list[str]:
    peak = selection.profile.peak
    title = f"peak_activations of {selection.name} = the values alive while {peak.node.name} runs"
    return of_parts(title, _living(peak, 1))


def _explain_bytes(selection: Selection) -> list[str]:
    profile = selection.profile
    peak, size = profile.peak, profile.bytes_per_value
    total = peak.values * size * profile.batch
    title = f"alive while {peak.node.name} runs, in bytes"
    return [
        f"peak_bytes of {selection.name} = peak_activations × bytes of a value × batch",
        f"  = {grouped(peak.values)} × {size} × {profile.batch} = {grouped(total)}",
        f"  = {byte_size(total)}",
        "",
        *of_parts(title, _living(peak, size * profile.batch)),
    ]


def _living(peak: Peak, factor: int) -> list[tuple[str, int]]:
    """The tensors alive at the peak, with their shapes."""
    left = max(len(node.name) for node in peak.alive)
    return [
        (f"{node.name:<{left}}  {format_shape(node.shape)}", count_activations(node.facts) * factor)
        for node in peak.alive
    ]


def _total(profile: Profile, number: Number) -> tuple[str, str, str]:
    totals = profile.totals
    words = f"{byte_size(totals.peak_bytes)}: the most alive at once, during `{_at(profile)}`"
    return "  peak", number(totals.peak_activations), words


PEAK_ACTIVATIONS = Quantity(
    name="peak_activations",
    noun="peak activations",
    definition="the most values of activations alive at once when layers run in order, per sample; "
    "nothing is computed in place",
    scope=Scope.NETWORK,
    of=_values,
    explain=_explain_values,
    total=_total,
    at=_at,
)
PEAK_BYTES = Quantity(
    name="peak_bytes",
    noun="peak bytes",
    definition="bytes of the peak activations, for the whole batch; parameters not included",
    unit=Unit.BYTES,
    scope=Scope.NETWORK,
    of=_bytes,
    explain=_explain_bytes,
    at=_at,
)
QUANTITIES = (PEAK_ACTIVATIONS, PEAK_BYTES)
