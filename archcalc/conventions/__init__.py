"""Counting conventions by name: what tools and papers count for each kind of layer.

Each file in `tools/` defines the conventions of one tool or source, as tables of rules. The files are found
automatically, so a new one needs no entry elsewhere.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module

from msgspec import Struct

import archcalc.layers  # noqa: F401 - rules name kinds
from archcalc.conventions import tools
from archcalc.conventions.measures import OfBackward, Rule
from archcalc.diagnostics import shorten, unknown
from archcalc.gradients import Gradients
from archcalc.network import Network, Node

UNITS = {
    "MACs": "multiply-accumulates",
    "FLOPs": "floating-point operations",
    "parameters": "parameters",
    "bytes": "bytes",
}
"""The units of conventions, in words."""

FEW = 4
"""The text of a bug names its kinds if there are at most this many."""


class Bug(Struct, frozen=True):
    """A bug of a tool that affects published figures: the kinds, a description, and the address."""

    kinds: tuple[str, ...]
    words: str
    address: str

    @property
    def text(self) -> str:
        """`known error in tanh, reproduced here: counts double (https://...)`."""
        kinds = f" in {', '.join(self.kinds)}" if len(self.kinds) <= FEW else ""
        return f"known error{kinds}, reproduced here: {self.words} ({self.address})"


class Convention(Struct, frozen=True, eq=False):
    """How a tool or a source counts.

    `unit` is a key of `UNITS`, and `calls_it` is the tool's own name for it, if it differs. `rules` maps
    layer kinds, including `input`, to rules; a kind without a rule is not counted. `containers` is also
    counted for each block that joins branches, for tools that list modules such as `Bottleneck` in addition
    to the layers in them. `value_bytes` is the size of a value, for tools that ignore the dtype. `backward`
    is what is counted of the backward pass: figures, each with a factor, for every layer that takes part.
    """

    name: str
    title: str
    unit: str
    version: str
    source: str
    rules: Mapping[str, Rule]
    calls_it: str = ""
    aliases: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    bugs: tuple[Bug, ...] = ()
    containers: Rule | None = None
    backward: tuple[tuple[int, OfBackward], ...] = ()
    value_bytes: int | None = None
    megabyte: int = 10**6
    """The number of bytes that the tool calls a megabyte."""
    logits: bool = False
    """Whether a final softmax is left out. PyTorch's models end before it, because it is part of the loss."""
    written: Mapping[str, Mapping[str, Rule]] = {}
    """Rules for layers that the code does not write as modules of `torch.nn`, by the way in which it writes
    them; see `way_of`. A way without an entry is counted by `rules`."""

    def counter(self, network: Network) -> Counter:
        return Counter(self, network)

    @property
    def what(self) -> str:
        """`MACs`, or `MACs (it says FLOPs)`."""
        return f"{self.unit} (it says {self.calls_it})" if self.calls_it else self.unit


_WAYS = {
    "Linear": "linear",
    "Tensor.matmul": "product",
    "torch.matmul": "product",
    "torch.einsum": "einsum",
    "timm.Attention": "timm",
}
"""Code that some tools count in a way of its own. `Linear` over a map is a convolution elsewhere, the
operator `@` is not a function, and timm's attention is a module with linear layers."""


def way_of(code: str) -> str:
    """How a layer is written: as a `function` of `torch.nn.functional`, another `operator`, a `class`, or as
    something that has a way of its own.

    >>> way_of("F.relu"), way_of("Tensor.mean"), way_of("LayerNorm2d"), way_of("Linear")
    ('function', 'operator', 'class', 'linear')
    """
    if code in _WAYS:
        return _WAYS[code]
    if code.startswith("F."):
        return "function"
    return "operator" if "." in code else "class"


class CountedPart(Struct, frozen=True):
    """A summand of a total: a figure of all layers of one sort, multiplied by `times`."""

    layers: str
    times: int
    measure: str
    value: int

    @property
    def text(self) -> str:
        """`2·inputs of bn`."""
        return f"{self.formula} of {self.layers}"

    @property
    def formula(self) -> str:
        return f"{self.times}·{self.measure}" if self.times != 1 else self.measure

    @property
    def numbers(self) -> str:
        value = self.value // self.times
        return f"{self.times}·{value:,}" if self.times != 1 else f"{value:,}"


class Counter:
    """A convention applied to the nodes of one network."""

    def __init__(self, convention: Convention, network: Network) -> None:
        self.convention = convention
        self._written = network.written
        self._gradients = Gradients(network) if convention.backward else None
        self._ends = {node.index for node in (*network.outputs.values(), *network.heads.values())}
        self._closing: dict[int, int] = {}
        """For the output node of a counted container, how many containers end there."""
        if convention.containers is not None:
            for group in network.module_blocks():
                self._closing[group.output.index] = self._closing.get(group.output.index, 0) + 1

    def __call__(self, node: Node) -> int:
        """What the convention counts of a node, for one sample."""
        return sum(value for _, _, _, value in self._summands(node))

    def rule(self, node: Node) -> Rule | None:
        """The rule for a node, or None if it is not counted."""
        rules: Mapping[str, Rule] = self.convention.rules
        if node.index in self._written:
            rules = self.convention.written.get(way_of(self._written[node.index]), rules)
        return rules.get(node.layer.kind)

    def _is_unseen(self, node: Node) -> bool:
        """Does the kind of a node have a rule, but not the way in which the node is written?"""
        return self.rule(node) is None and node.layer.kind in self.convention.rules

    def _summands(self, node: Node) -> list[tuple[str, int, str, int]]:
        convention = self.convention
        if self._is_left_out(node):
            return []
        label = "conv" if node.layer.family == "conv" else node.layer.kind
        found = []
        rule = self.rule(node)
        if rule is not None:
            found = [(label, times, m.text, times * m.of(node)) for times, m in rule.parts]
        closing = self._closing.get(node.index, 0)
        if closing and convention.containers is not None:
            found += [
                ("blocks", times, m.text, closing * times * m.of(node))
                for times, m in convention.containers.parts
            ]
        if self._gradients is not None and rule is not None:
            found += [
                (label, times, m.text, times * m.of(self._gradients, node))
                for times, m in convention.backward
            ]
        return found

    def _is_left_out(self, node: Node) -> bool:
        return self.convention.logits and node.index in self._ends and node.layer.kind == "softmax"

    def parts(self, nodes: Iterable[Node], alike: Mapping[int, int] | None = None) -> list[CountedPart]:
        """The summands of the total of some nodes, largest first.

        `alike` is the number of equal nodes that a node represents, by its index; see `alike_nodes`.
        """
        sums: dict[tuple[str, int, str], int] = {}
        for node in nodes:
            number = 1 if alike is None else alike[node.index]
            for label, times, measure, value in self._summands(node):
                key = (label, times, measure)
                sums[key] = sums.get(key, 0) + number * value
        parts = [CountedPart(*key, value) for key, value in sums.items() if value]
        return sorted(parts, key=lambda part: -part.value)

    def not_counted(self, nodes: Iterable[Node]) -> dict[str, int]:
        """How many layers of each kind the convention has no rule for."""
        return _numbers(
            node.layer.kind
            for node in nodes
            if not (node.is_input or node.layer.kind in self.convention.rules or self._is_left_out(node))
            and self.rule(node) is None
        )

    def unseen(self, nodes: Iterable[Node]) -> dict[str, int]:
        """How many layers the tool does not see because of the code that computes them, such as `F.relu`."""
        return _numbers(self._written[node.index] for node in nodes if self._is_unseen(node))


def _numbers(names: Iterable[str]) -> dict[str, int]:
    """How often each name occurs, in order of first occurrence."""
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return found


def readers_of(network: Network) -> dict[int, int]:
    """How many times each tensor is read at inference, by the index of its node; as an output, once more."""
    readers = {node.index: 0 for node in network.nodes}
    for node in (*network.outputs.values(), *(x for n in network.nodes if not n.training for x in n.inputs)):
        readers[node.index] += 1
    return readers


def alike_nodes(network: Network, nodes: Iterable[Node]) -> dict[int, tuple[Node, int]]:
    """Groups of nodes that every convention counts alike: one node of each, by its index, and their number.

    Such nodes are equal layers after equal layers, and need the same gradients. Some nodes are always alone:
    the end of a block or of the network, a norm after a norm, a norm of a tensor that other nodes read too,
    and a layer that is not written as a module.
    """
    needs = Gradients(network).needs
    readers = readers_of(network)
    ends = {group.output.index for group in network.module_blocks()}
    ends |= {node.index for node in (*network.outputs.values(), *network.heads.values())}
    found: dict[object, tuple[Node, int]] = {}
    for node in nodes:
        sources = tuple(id(source.facts) for source in node.inputs)
        alone = node.index in ends or node.index in network.written
        alone = alone or (
            node.kind == "bn" and any(x.kind == "bn" or readers[x.index] > 1 for x in node.inputs)
        )
        key: object = node.index if alone else (id(node.facts), sources, needs.get(node.index))
        first, number = found.get(key, (node, 0))
        found[key] = (first, number + 1)
    return {node.index: (node, number) for node, number in found.values()}


@cache
def conventions() -> dict[str, Convention]:
    """Every convention by its name, archcalc's own first.

    >>> conventions()["macs"].unit
    'MACs'
    """
    found: dict[str, Convention] = {}
    names = [module.name for module in pkgutil.iter_modules(tools.__path__)]
    for name in sorted(names, key=lambda name: (name != "own", name)):
        for convention in import_module(f"{tools.__name__}.{name}").CONVENTIONS:
            assert convention.name not in found, convention.name
            assert convention.unit in UNITS, convention.unit
            found[convention.name] = convention
    return found


def find(name: str) -> Convention:
    """The convention with a name or alias; case does not matter. Raises `ArchError` for an unknown name.

    >>> find("FlopCounterMode").name
    'torch-flop-counter'
    """
    known = {alias: convention for convention in conventions().values() for alias in convention.aliases}
    known |= conventions()
    found = known.get(name.lower().replace("_", "-"))
    if found is None:
        help = "`archcalc conventions` lists them"
        raise unknown("there is no convention", shorten(name), known, help=help)
    return found


__all__ = [
    "UNITS",
    "Bug",
    "Convention",
    "CountedPart",
    "Counter",
    "Rule",
    "alike_nodes",
    "conventions",
    "find",
    "readers_of",
    "way_of",
]
