"""The profile: every quantity of every node, and the totals. Reports, checks and exports read this."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from archcalc.diagnostics import error, near_miss
from archcalc.layers.base import FAMILIES
from archcalc.layers.terms import Facts
from archcalc.network import Group, Network, Node
from archcalc.quantities.activations import DTYPES, accounted, count_activations
from archcalc.quantities.operations import count_flops, count_macs
from archcalc.quantities.parameters import count_parameters
from archcalc.quantities.receptive_field import Field, Misalignment, input_field, merged, through
from archcalc.shape import Shape

if TYPE_CHECKING:
    from archcalc.conventions import Convention, Counter


class Counts(Struct, frozen=True, gc=False):
    """What a layer counts, for one sample; equal layers on equal shapes share one of these.

    `count` is what a named convention counts, if one was asked for.
    """

    params: int
    buffers: int
    weights: int
    macs: int
    flops: int
    activations: int
    count: int = 0


class LayerProfile(Struct, eq=False, gc=False):
    """The quantities of one node.

    `params`, `buffers` and `weights` are zero where an earlier node has counted the same arrays, so
    that columns add up; `counts` has them in any case.
    """

    node: Node
    counts: Counts
    own: Counts
    field: Field

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def kind(self) -> str:
        return self.node.layer.kind

    @property
    def shape(self) -> Shape:
        return self.node.facts.output

    @property
    def params(self) -> int:
        return self.own.params

    @property
    def buffers(self) -> int:
        return self.own.buffers

    @property
    def weights(self) -> int:
        return self.own.weights

    @property
    def macs(self) -> int:
        return self.counts.macs

    @property
    def flops(self) -> int:
        return self.counts.flops

    @property
    def activations(self) -> int:
        return self.counts.activations

    @property
    def count(self) -> int:
        return self.own.count


class Totals(Struct, frozen=True):
    """Sums over the nodes of a network or of a part of it; see `quantities` for what each is."""

    params: int
    buffers: int
    weights: int
    macs: int
    flops: int
    activations: int
    activations_in_place: int
    activations_conv: int
    activation_bytes: int
    param_bytes: int
    layers: int
    weighted_layers: int
    depth: int


class Profile:
    """A network with all its quantities.

    `layers` has the nodes that are not inputs, in topological order; those of training-only heads only
    if `heads` was asked for. `misalignments` are the joins whose branches do not lie over one another.
    `convention` is the one that `count` counts by, if any.
    """

    def __init__(
        self, network: Network, batch: int, dtype: str, heads: bool, convention: Convention | None
    ) -> None:
        self.network = network
        self.batch = batch
        self.dtype = dtype
        self.heads = heads
        self.convention = convention
        self.counter: Counter | None = convention.counter(network) if convention is not None else None
        self.misalignments: list[Misalignment] = []
        self.entries: dict[int, LayerProfile] = {}
        """By the index of the node, inputs and heads included."""
        self._fill()

    def _fill(self) -> None:
        counted: dict[Facts, Counts] = {}
        shares = any(node.shares is not None for node in self.network.nodes)
        owners: set[int] = set()
        entries = self.entries
        for node in self.network.nodes:
            inputs = node.inputs
            facts = node.facts
            counts = counted.get(facts)
            if counts is None:
                counts = counted[facts] = count(facts)
            if self.counter is not None:
                counts = replace(counts, count=self.counter(node) * self.per_count)
            if len(inputs) == 1:
                before = entries[inputs[0].index]
                field = through(before.field, facts.windows)
            elif not inputs:
                field = input_field(len(facts.output) - 1)
            else:
                branches = [entries[source.index] for source in inputs]
                field = self._joined(node, branches)
            own = counts
            if shares and (self.heads or not node.training):
                owner = (node.shares or node).index
                if owner in owners:
                    repeated = 0 if self.counts_parameters else counts.count
                    own = Counts(0, 0, 0, counts.macs, counts.flops, counts.activations, repeated)
                owners.add(owner)
            entries[node.index] = LayerProfile(node, counts, own, field)

    def _joined(self, node: Node, branches: list[LayerProfile]) -> Field:
        windows = node.facts.windows
        if not isinstance(windows, tuple):
            field, misalignment = merged(node, [branch.field for branch in branches])
            if misalignment is not None:
                self.misalignments.append(misalignment)
            return through(field, windows)
        return through(branches[0].field, windows)

    @property
    def bytes_per_value(self) -> int:
        return DTYPES[self.dtype]

    @property
    def convention_name(self) -> str:
        return self.convention.name if self.convention is not None else ""

    @property
    def per_count(self) -> int:
        """What a count of the convention is multiplied by: of bytes, those of a value in the whole batch."""
        if self.convention is None or self.convention.unit != "bytes":
            return 1
        return (self.convention.value_bytes or self.bytes_per_value) * self.batch

    @property
    def counts_parameters(self) -> bool:
        return self.convention is not None and self.convention.unit == "parameters"

    @cached_property
    def layers(self) -> list[LayerProfile]:
        return [
            entry
            for entry in self.entries.values()
            if entry.node.inputs and (self.heads or not entry.node.training)
        ]

    @cached_property
    def totals(self) -> Totals:
        return self.total(self.layers, with_inputs=True)

    def __getitem__(self, path: str) -> LayerProfile:
        """The profile of a node; raises `ArchError` if the path names none."""
        return self.entries[self.network[path].index]

    def __iter__(self) -> Iterator[LayerProfile]:
        return iter(self.layers)

    def select(self, path: str) -> list[LayerProfile]:
        """The profiles of the nodes that a path or a pattern names."""
        return [self.entries[node.index] for node in self.network.select(path)]

    def within(self, group: Group) -> list[LayerProfile]:
        """The profiles of a group's nodes, as far as they are in these figures."""
        found = (self.entries[index] for index in range(group.start, group.stop))
        return [entry for entry in found if entry.node.inputs and (self.heads or not entry.node.training)]

    def total(self, layers: Iterable[LayerProfile], with_inputs: bool = False) -> Totals:
        """Sums over some nodes; parameters that several of them share count once.

        The depth is that of the longest path within them.
        """
        params = buffers = weights = macs = flops = activations = in_place = conv = number = weighted = 0
        depths: dict[int, int] = {}
        owners: set[int] = set()
        deepest = 0
        families = {family: accounted(family) for family in FAMILIES}
        for entry in layers:
            node, counts = entry.node, entry.counts
            number += 1
            owner = (node.shares or node).index
            if owner not in owners:
                owners.add(owner)
                params += counts.params
                buffers += counts.buffers
                weights += counts.weights
            macs += counts.macs
            flops += counts.flops
            activations += counts.activations
            is_in_place, is_conv = families[node.layer.family]
            if is_in_place:
                in_place += counts.activations
            if is_conv:
                conv += counts.activations
            depth = 0
            for source in node.inputs:
                depth = max(depth, depths.get(source.index, 0))
            if counts.macs:
                weighted += 1
                depth += 1
            depths[node.index] = depth
            deepest = max(deepest, depth)
        if with_inputs:
            in_place += sum(count_activations(node.facts) for node in self.network.inputs.values())
        size = self.bytes_per_value
        return Totals(
            params,
            buffers,
            weights,
            macs,
            flops,
            activations,
            in_place,
            conv,
            activations * size * self.batch,
            params * size,
            number,
            weighted,
            deepest,
        )

    @cached_property
    def count(self) -> int:
        """What the convention counts in all, inputs included where it counts those."""
        inputs = (self.entries[node.index] for node in self.network.inputs.values())
        return self.count_of([*inputs, *self.layers])

    def count_of(self, layers: Iterable[LayerProfile]) -> int:
        """What the convention counts of some nodes; parameters that several of them share count once."""
        if not self.counts_parameters:
            return sum(layer.counts.count for layer in layers)
        owners = {(layer.node.shares or layer.node).index: layer.counts.count for layer in layers}
        return sum(owners.values())


def count(facts: Facts) -> Counts:
    """What a layer counts, for one sample."""
    params, buffers, weights = count_parameters(facts)
    return Counts(params, buffers, weights, count_macs(facts), count_flops(facts), count_activations(facts))


def analyze(
    network: Network,
    *,
    batch: int = 1,
    dtype: str = "float32",
    heads: bool = False,
    convention: str = "",
) -> Profile:
    """Compute every quantity of a network.

    `batch` and `dtype` bear on bytes only: shapes, counts of operations and activations are per sample.
    `heads` counts the heads that are used in training only. `convention` names how `count` is counted,
    as `archcalc conventions` lists them. Raises `ArchError` for an unknown dtype or convention.
    """
    if dtype not in DTYPES:
        help = near_miss(dtype, DTYPES) or "dtypes: " + ", ".join(DTYPES)
        raise error(f"unknown dtype `{dtype}`", help=help)
    if type(batch) is not int or not 1 <= batch <= 10**9:
        raise error(f"the batch must be a whole number from 1 to 1,000,000,000, got {batch}")
    named = None
    if convention:
        from archcalc.conventions import find

        named = find(convention)
    return Profile(network, batch, dtype, heads, named)
