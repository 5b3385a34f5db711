"""The profile: every quantity of every node, and the totals. Reports, checks and exports read this."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from msgspec import Struct

from archcalc import number
from archcalc.diagnostics import error, unknown
from archcalc.layers.terms import Facts
from archcalc.memory.inference import inference
from archcalc.memory.optimizers import OPTIMIZERS, Optimizer
from archcalc.memory.precision import AMP, NOT_TRAINED, precision
from archcalc.network import ArraysSeen, Group, Network, Node, is_pattern
from archcalc.quantities import OF_LAYERS, OF_TRAINING, QUANTITIES, TOTALS, Figures, Scope, Selection
from archcalc.quantities.activations import DTYPES
from archcalc.quantities.field_fold import FieldFold
from archcalc.quantities.receptive_field import Field, Misalignment
from archcalc.shape import Shape

if TYPE_CHECKING:
    from archcalc.conventions import Convention, Counter
    from archcalc.gradients import Gradients
    from archcalc.memory.arena import Arena
    from archcalc.memory.timeline import Timeline


class LayerProfile(Struct, eq=False):
    """The quantities of one node, for one sample.

    Every quantity is an attribute, under the name that JSON and expectations have for it: `layer.macs`,
    `layer.receptive_field`, `layer.activation_bytes`.

    `counts` has the figures of the layer; equal layers with equal shapes share one object. `own` has its
    contributions to the totals, which are also the values of the attributes: arrays that an earlier node has
    counted are zero there, so that columns add up.

    >>> import archcalc
    >>> layer = archcalc.analyze("vgg16")["stage1/conv2"]
    >>> layer.output_shape, layer.params, layer.receptive_field
    ((64, 224, 224), 36928, (5, 5))
    """

    node: Node
    counts: Figures
    own: Figures
    profile: Profile

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
    def output_shape(self) -> Shape:
        """The output shape, per sample, under its name in JSON."""
        return self.node.facts.output

    @property
    def field(self) -> Field:
        """The receptive field."""
        return self.profile.fields[self.node.index]

    @property
    def inputs(self) -> list[str]:
        """The paths of its input nodes."""
        return [source.name for source in self.node.inputs]

    def __getattr__(self, name: str) -> Any:
        if name in self.own:  # the most common figures, for speed
            return self.own[name]
        quantity = QUANTITIES.get(name)
        if quantity is None or quantity.of_convention or quantity.scope is Scope.NETWORK:
            known = ", ".join(q.name for q in QUANTITIES.values() if q.scope is not Scope.NETWORK)
            raise AttributeError(f"a layer has no figure `{name}`; it has {known}")
        return quantity.measure(self.profile.part(self.name))

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.own]

    def __repr__(self) -> str:
        return repr(self.node)


class Profile:
    """A network with all its quantities.

    `layers` has all nodes except inputs, in topological order, and training heads only with `heads`.
    `convention` is the convention of `count`, if any. With `training`, the totals include the figures of
    training with `optimizer`.
    """

    def __init__(
        self,
        network: Network,
        batch: int,
        dtype: str,
        heads: bool,
        convention: Convention | None,
        training: bool,
        optimizer: Optimizer,
    ) -> None:
        self.network = network
        self.batch = batch
        self.dtype = dtype
        self.heads = heads
        self.convention = convention
        self.training = training
        self.optimizer = optimizer
        self.counter: Counter | None = convention.counter(network) if convention is not None else None
        self.shares = any(node.shares is not None or node.tied for node in network.nodes)
        """Do any layers share arrays?"""
        self.entries: dict[int, LayerProfile] = {}
        """All nodes by index, including inputs and heads."""
        self._fill()

    def _fill(self) -> None:
        counted: dict[Facts, Figures] = {}
        shares = self.shares
        seen = ArraysSeen()
        entries = self.entries
        for node in self.network.nodes:
            facts = node.facts
            counts = counted.get(facts)
            if counts is None:
                counts = number.once(figures_of, facts)
                counted[facts] = counts
            if self.counter is not None:
                counts = Figures(counts, count=self.counter(node) * self.per_count)
            own = counts
            if shares and (self.heads or not node.training):
                own = self._without(seen.repeated(node), counts)
            entries[node.index] = LayerProfile(node, counts, own, self)

    @cached_property
    def field_fold(self) -> FieldFold:
        """The receptive fields, computed when the first one is needed."""
        return FieldFold(self.network)

    @property
    def fields(self) -> Mapping[int, Field]:
        """The receptive fields, by the index of the node."""
        return self.field_fold.fields

    @property
    def misalignments(self) -> list[Misalignment]:
        """The joins with misaligned branches."""
        return self.field_fold.misalignments

    def _without(self, repeated: Facts, counts: Figures) -> Figures:
        """The contribution of a node: its counts without arrays that were counted before."""
        if not repeated.weights:
            return counts
        own = {q.name: counts[q.name] - q.of_layer(repeated) for q in OF_LAYERS if q.shared}
        if self.counts_parameters and own["params"] == 0:
            own["count"] = 0
        return Figures(counts, **own)

    @property
    def bytes_per_value(self) -> int:
        return DTYPES[self.dtype]

    @property
    def convention_name(self) -> str:
        return self.convention.name if self.convention is not None else ""

    @property
    def per_count(self) -> int:
        """The factor of the convention's counts: for bytes, the bytes of one value in the whole batch."""
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
            if not entry.node.is_input and (self.heads or not entry.node.training)
        ]

    @cached_property
    def totals(self) -> Figures:
        """All quantities of the network that are numbers; `count` only with a convention."""
        whole = self.whole
        quantities = [*TOTALS, *(OF_TRAINING if self.training else ())]
        if self.convention is not None:
            quantities.append(QUANTITIES["count"])
        return Figures({quantity.name: int(quantity.measure(whole)) for quantity in quantities})

    @property
    def count(self) -> int:
        """The total of the convention. Raises `ArchError` if there is no convention."""
        return int(QUANTITIES["count"].measure(self.whole))

    @cached_property
    def whole(self) -> Selection:
        """The network as a selection of layers."""
        output = self.network.outputs["output"]
        return Selection(self, self.network.name, self.layers, output, whole=True)

    @cached_property
    def gradients(self) -> Gradients:
        """The gradients that training computes, found when a figure of training is first needed.

        Raises `ArchError` for a dtype that has no training step.
        """
        from archcalc.gradients import Gradients

        if self.dtype in NOT_TRAINED:
            raise error(f"training in {self.dtype} is not supported", help="use `--dtype bfloat16`")
        return Gradients(self.network, self.heads)

    @cached_property
    def step(self) -> Timeline:
        """A training step: the tensors alive at each moment."""
        from archcalc.memory.saved import Saved
        from archcalc.memory.step import training_step

        return training_step(self.gradients, Saved(self.gradients), precision(self.dtype), self.optimizer)

    @cached_property
    def training_costs(self) -> dict[int, Figures]:
        """The contribution of each node to the figures of training, by index."""
        from archcalc.memory.costs import costs_of_nodes

        return costs_of_nodes(self.gradients, self.step, self.batch)

    @cached_property
    def values_alive(self) -> Timeline:
        """The activations alive at each moment of a run, with one byte per value."""
        return inference(self.network, precision("int8"), heads=self.heads)

    @cached_property
    def arena(self) -> Arena:
        """The positions of the activations in one block of memory, with one byte per value of a sample."""
        from archcalc.memory.arena import arena

        return arena(self.values_alive)

    @overload
    def __getitem__(self, key: str | int) -> LayerProfile: ...
    @overload
    def __getitem__(self, key: slice) -> list[LayerProfile]: ...
    def __getitem__(self, key: str | int | slice) -> LayerProfile | list[LayerProfile]:
        """A layer by its path or its position, or several by a slice.

        Raises `ArchError` if a path names nothing, and `IndexError` for a position that does not exist.
        """
        if isinstance(key, str):
            return self._named.get(key) or self.entries[self.network[key].index]
        return self.layers[key]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[LayerProfile]:
        return iter(self.layers)

    def __repr__(self) -> str:
        layers = "1 layer" if len(self.layers) == 1 else f"{len(self.layers)} layers"
        return f"<profile of {self.network.name}: {layers}>"

    def __str__(self) -> str:
        """The table that `archcalc report` prints."""
        from archcalc.report.shown import table_of

        return table_of(self)

    def _repr_html_(self) -> str:
        """The table for a notebook."""
        from archcalc.report.shown import html_of

        return html_of(self)

    def to_dict(self) -> dict[str, Any]:
        """The output of `archcalc report --format json` as a dictionary."""
        from archcalc.report.shown import dict_of

        return dict_of(self)

    def to_pandas(self) -> Any:
        """The layers as a pandas `DataFrame`, one row each, with the columns of the CSV format.

        Raises `ArchError` without pandas.
        """
        from archcalc.report.shown import frame_of

        return frame_of(self)

    def select(self, path: str) -> list[LayerProfile]:
        """The profiles of the nodes that a path or a pattern names."""
        return [self.entries[node.index] for node in self.network.select(path)]

    def part(self, path: str = "") -> Selection:
        """The selection that a path or a pattern names, or the whole network.

        A pattern includes layers in training heads only if the profile counts heads. Raises `ArchError` if
        the path names nothing.
        """
        if not path:
            return self.whole
        if is_pattern(path):
            layers = self.select(path)
            if not self.heads:
                layers = [layer for layer in layers if not layer.node.training]
            if not layers:
                message = f"in `{self.network.name}`, `{path}` names only layers in training heads"
                raise error(message, help="add `training=true`")
            return Selection(self, path, layers, layers[-1].node)
        if path in self._groups:
            group = self._groups[path]
            layers = [self.entries[index] for index in range(group.start, group.stop)]
            return Selection(self, path, layers, group.output, group)
        layer = self[path]
        return Selection(self, path, [layer], layer.node)

    @cached_property
    def _groups(self) -> dict[str, Group]:
        return {group.name: group for group in self.network.groups}

    @cached_property
    def _named(self) -> dict[str, LayerProfile]:
        """The nodes by name, because expectations can name many of them."""
        return {entry.name: entry for entry in self.entries.values()}

    def within(self, group: Group) -> Selection:
        """The layers of a group that are part of this profile."""
        found = (self.entries[index] for index in range(group.start, group.stop))
        layers = [
            entry for entry in found if not entry.node.is_input and (self.heads or not entry.node.training)
        ]
        return Selection(self, group.name, layers, group.output, group)

    def rolled_up(self, layers: Iterable[LayerProfile], depth: int | None) -> list[Selection]:
        """Layers as selections: one each, or one for all whose paths begin with the same `depth` names."""
        if depth is None:
            return [Selection(self, layer.node.name, [layer], layer.node) for layer in layers]
        groups = {group.name: group for group in self.network.groups}
        gathered: dict[str, list[LayerProfile]] = {}
        for layer in layers:
            name = "/".join(layer.node.name.split("/")[:depth])
            gathered.setdefault(name, []).append(layer)
        rows = []
        for name, members in gathered.items():
            group = groups.get(name)
            rows.append(Selection(self, name, members, group.output if group else members[-1].node, group))
        return rows


def figures_of(facts: Facts) -> Figures:
    """The figures of a layer for one sample."""
    return Figures({quantity.name: quantity.of_layer(facts) for quantity in OF_LAYERS})


def analyze(
    network: Network,
    *,
    batch: int = 1,
    dtype: str = "float32",
    heads: bool = False,
    convention: str = "",
    training: bool = False,
    optimizer: str = "sgd",
) -> Profile:
    """Compute every quantity of a network.

    `batch` and `dtype` affect only byte counts. Shapes, operations, and activations are per sample. `heads`
    also counts heads that are used only in training. `convention` sets how `count` is counted;
    `archcalc conventions` lists the names. With `training`, the totals include a training step; `optimizer`
    is the one whose state is in memory: "none", "sgd", "momentum", "adam", or "adamw". Raises `ArchError` for
    an unknown dtype, convention, or optimizer.
    """
    named = check_conditions(batch, dtype, convention, optimizer)
    if training and dtype in NOT_TRAINED:
        raise error(f"training in {dtype} is not supported", help="leave out `--training`, or use `bfloat16`")
    return Profile(network, batch, dtype, heads, named, training, OPTIMIZERS[optimizer])


def check_conditions(batch: int, dtype: str, convention: str, optimizer: str) -> Convention | None:
    """Return the convention, if there is one. Raises `ArchError` for conditions that do not exist."""
    if dtype == AMP:
        raise error("mixed precision needs `archcalc memory`", help="run `archcalc memory NET --dtype amp`")
    if dtype not in DTYPES:
        raise unknown("unknown dtype", dtype, DTYPES, listing="dtypes")
    if number.as_whole(batch) is None or not 1 <= batch <= 10**9:
        raise error(f"the batch must be a whole number from 1 to 1,000,000,000, got {batch}")
    if optimizer not in OPTIMIZERS:
        raise unknown("unknown optimizer", optimizer, OPTIMIZERS, listing="optimizers")
    if not convention:
        return None
    from archcalc.conventions import find

    return find(convention)
