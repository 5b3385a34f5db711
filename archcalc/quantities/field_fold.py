"""The receptive fields of all nodes of a network, and of their channels.

After a concatenation, the channels of different branches have different fields. This matters if a later
layer, such as a slice, reads only some of the channels. For the nodes before such a layer, each field is kept
with its channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from archcalc.layers.channels import MOST_CHANNELS, all_of
from archcalc.layers.terms import Reach, Stacked
from archcalc.network import Network, Node
from archcalc.quantities.receptive_field import (
    GLOBAL,
    Branch,
    Field,
    Misalignment,
    combined,
    input_field,
    joined,
    misaligned,
    through,
)

Parts = dict[Field, int]
"""Fields, each with its channels as bits. A channel with several fields sees their union. A channel without a
field, such as padding, sees nothing."""

MOST_PARTS = 256
"""The most fields of one node's channels. With more, its channels are not distinguished."""

MOST_KEPT = 2_000_000
"""The most numbers that the fields of a network keep for turns and parts, about 150 MB. Beyond that, turns
become the whole input, and channels are not distinguished."""


class FieldFold:
    """The fields of a network's nodes, found in topological order.

    - `fields`: the field of each node, by its index.
    - `misalignments`: the joins with misaligned branches.
    - `parts`: the fields of a node's channels, by its index, if they differ and a later layer may
      distinguish them.
    """

    def __init__(self, network: Network) -> None:
        self.fields: dict[int, Field] = {}
        self.misalignments: list[Misalignment] = []
        self.parts: dict[int, Parts] = {}
        self._told_apart = _told_apart(network)
        self._room = MOST_KEPT
        rank = max((len(node.shape) for node in network.inputs.values()), default=1) - 1
        self._nothing = Field((0,) * rank)
        for node in network.nodes:
            self.fields[node.index] = self._field(node)

    def _field(self, node: Node) -> Field:
        facts, sources = node.facts, node.inputs
        if not sources:
            return input_field(len(facts.output) - 1) if node.is_input else self._nothing
        if all(self.fields[source.index].is_nothing for source in sources):
            return self._nothing
        inputs = [self.fields[sources[0].index]]
        if inputs[0].is_nothing and isinstance(facts.windows, tuple):
            return GLOBAL  # a window over values that see nothing makes the others see an unknown part
        if inputs[0].folded and facts.operations and _mixes_channels(node):
            return GLOBAL  # without operations, values only move and keep their fields
        if len(sources) == 1 or type(facts.windows) is tuple:
            field = through(inputs[0], facts)  # an unpooling also reads its pool, but only for positions
        else:
            inputs = [self.fields[source.index] for source in sources]
            field = self._join(node, inputs)
        if node.index in self._told_apart:
            field = self._by_channels(node, inputs, field)
        if field.turns:
            if self._room < 0:
                return GLOBAL
            self._room -= _new_numbers([field], inputs)
        return field

    def _join(self, node: Node, inputs: Sequence[Field]) -> Field:
        if node.facts.windows is Reach.WHOLE or not all(field.size for field in inputs):
            return GLOBAL
        field = combined(list(zip(node.facts.inputs, inputs, strict=True)), node.facts)
        if not any(field is each for each in inputs):  # it is the widest branch, if they are aligned
            misalignment = misaligned(node, inputs)
            if misalignment is not None:
                self.misalignments.append(misalignment)
        return field

    def _by_channels(self, node: Node, inputs: Sequence[Field], together: Field) -> Field:
        """Keeps the parts of a node. Returns its field: `together`, or less if channels are left out."""
        facts = node.facts
        out = facts.output[0]
        alike = len(inputs) == 1 and node.inputs[0].index not in self.parts
        if alike and out <= facts.inputs[0][0] and not node.layer.leaves_out_channels(facts):
            return together
        before = [self.parts.get(source.index) for source in node.inputs[: len(inputs)]]
        most = max(out, *(shape[0] for shape in facts.inputs))
        if most > MOST_CHANNELS or len(inputs) > MOST_PARTS or self._room < 0:
            return _at_most(together)
        if isinstance(facts.windows, Stacked) and any(before):
            return _at_most(together)  # positions of one map and channels of another do not form a part
        reaching: dict[int, list[Branch]] = {}
        left_out = False
        for index, (shape, field, parts) in enumerate(zip(facts.inputs, inputs, before, strict=False)):
            if field.is_nothing:
                continue
            for part, channels in (parts or {field: all_of(shape[0])}).items():
                reached = node.layer.reached(channels, index, facts)
                if reached:
                    reaching.setdefault(reached, []).append((shape, part))
                left_out |= not reached
        if not left_out and list(reaching) == [all_of(out)]:
            return together  # all channels are alike
        found: Parts = {}
        for channels, branches in reaching.items():
            part = combined(branches, facts)
            found[part] = found.get(part, 0) | channels
        if not 0 < len(found) <= MOST_PARTS:
            return _at_most(together)
        if left_out:
            together = joined([(facts.output, part) for part in found], facts.output)
        if len(found) > 1 or all_of(out) not in found.values():
            self.parts[node.index] = found
            known = [part for parts in before if parts for part in parts]
            self._room -= len(found) * (10 + out // 64) + _new_numbers(found, [*inputs, *known])
        return together


def _new_numbers(fields: Iterable[Field], known: Iterable[Field]) -> int:
    """The number of fields in the cycles of these turns that no known field shares."""
    shared = {id(turn.cycle) for field in known for turn in field.turns}
    cycles = {id(turn.cycle): len(turn.cycle.firsts) for field in fields for turn in field.turns}
    return sum(count for cycle, count in cycles.items() if cycle not in shared)


def _at_most(field: Field) -> Field:
    return field if field.is_global or field.at_most else replace(field, at_most=True)


def _told_apart(network: Network) -> set[int]:
    """The nodes whose channels are distinguished: those that leave out channels, and all before them."""
    found: set[int] = set()
    for node in reversed(network.nodes):
        if node.index in found or node.layer.leaves_out_channels(node.facts):
            found.add(node.index)
            found.update(source.index for source in node.inputs)
    return found


def _mixes_channels(node: Node) -> bool:
    """Does any output channel read several channels of the input? If so, one reads the last and others."""
    count = node.facts.inputs[0][0]
    if count > MOST_CHANNELS:
        return True  # unknown; a field that is too large is safe
    last, others = (
        node.layer.reached(channels, 0, node.facts) for channels in (1 << count - 1, all_of(count - 1))
    )
    return bool(last & others)
