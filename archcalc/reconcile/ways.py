"""Every way to count a network: its variants, with what is left out or added, by every convention."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from archcalc.catalog import find, missing_values, open_network, shipped_files
from archcalc.comparison.parts import scales
from archcalc.conventions import Convention, Part, alike_nodes, conventions
from archcalc.diagnostics import ArchError
from archcalc.network import Network, Node
from archcalc.quantities.activations import DTYPES
from archcalc.reconcile.figures import IN_BYTES, SORTS

PLAIN = {"macs", "flops", "params", "activations"}
"""archcalc's own conventions: no departure."""

RESOLUTIONS = (192, 224, 227, 229, 231, 240, 256, 288, 299, 320, 331)
"""Input sizes that publications use."""

# How much each departure costs. What is often done, or done without a word, costs less.
OTHER_CONVENTION = Fraction(1)
PAPER_CONVENTION = Fraction(1, 4)
VARIANT = Fraction(1)
HEADS = Fraction(1)
NO_CLASSIFIER = Fraction(1)
RESOLUTION = Fraction(5, 2)
DOUBLED = Fraction(1, 2)


class Subject(Struct, frozen=True, eq=False):
    """A network as it may have been meant: a variant, at a resolution, with its training heads or without."""

    net: str
    """What it is opened by: a name or a path."""
    network: Network
    heads: bool = False
    departures: tuple[str, ...] = ()
    cost: Fraction = Fraction(0)


class Way(Struct, frozen=True):
    """A count of a subject by conventions that come to the same."""

    value: int
    sort: str
    unit: str
    net: str
    conventions: tuple[str, ...]
    departures: tuple[str, ...]
    parts: tuple[Part, ...]
    cost: Fraction
    undoubled: tuple[str, ...] = ()
    """Where a count is taken twice: the conventions that come to it by themselves."""

    @property
    def resized(self) -> bool:
        return any(words.startswith("input ") for words in self.departures)


def subjects(net: str, inputs: Mapping[str, tuple[int, ...]] | None) -> Iterator[Subject]:
    """The network, with heads and without, at other resolutions; and its variants at their own.

    Raises `ArchError` for an unknown network.
    """
    _, network = open_network(net, inputs=inputs)
    plain = Subject(net, network)
    yield from _with_heads(plain)
    if not _is_fixed(net, inputs):
        yield from _resized(plain)
    for variant in _variants(net, inputs):
        yield from _with_heads(variant)


def further_subjects(net: str, inputs: Mapping[str, tuple[int, ...]] | None) -> Iterator[Subject]:
    """The variants at other resolutions than their own."""
    for variant in _variants(net, inputs):
        yield from _resized(variant)


def _is_fixed(net: str, inputs: Mapping[str, tuple[int, ...]] | None) -> bool:
    return "?" in net or bool(inputs)


def _variants(net: str, inputs: Mapping[str, tuple[int, ...]] | None) -> Iterator[Subject]:
    if not _is_fixed(net, inputs):
        for other in variants(net):
            yield Subject(other, open_network(other)[1], False, (f"the variant {other}",), VARIANT)


def variants(net: str) -> list[str]:
    """The other versions of a network, each as a `NET`: those of its file whose names only add to its own.

    >>> variants("resnet50_v1_5")
    ['resnet50', 'resnet50_keras']
    """
    spec = find(net)
    path = "" if net in shipped_files() else net.removesuffix(f":{spec.name}") + ":"
    names = [name for name, other in spec.module.nets.items() if not missing_values(other)]
    base = next((name for name in names if spec.name.startswith(name + "_")), spec.name)
    return [path + name for name in names if name != spec.name and f"{name}_".startswith(base + "_")]


def _with_heads(subject: Subject) -> Iterator[Subject]:
    yield subject
    if subject.network.heads:
        departures = (*subject.departures, "with its training heads")
        yield Subject(subject.net, subject.network, True, departures, subject.cost + HEADS)


def _resized(subject: Subject) -> Iterator[Subject]:
    """A network at other resolutions, if it has one square input of a size that publications use."""
    inputs = subject.network.inputs
    shapes = [node.shape for node in inputs.values()]
    if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][1] < 160 or shapes[0][1] != shapes[0][2]:
        return
    channels, size, _ = shapes[0]
    for resolution in RESOLUTIONS:
        if resolution == size:
            continue
        try:
            shape = {next(iter(inputs)): (channels, resolution, resolution)}
            resized = open_network(subject.net, inputs=shape)[1]
        except ArchError:
            continue
        words = f"input {channels}×{resolution}×{resolution}"
        departures = (*subject.departures, words)
        yield Subject(subject.net, resized, False, departures, subject.cost + RESOLUTION)


class Scope(Struct, frozen=True, eq=False):
    """The nodes that are counted; of those that count alike the first, with their number."""

    net: str
    network: Network
    nodes: list[Node]
    alike: dict[int, int]
    owners: list[Node]
    """Nodes with parameters of their own: shared ones once."""
    departures: tuple[str, ...]
    cost: Fraction


def _scopes(subject: Subject) -> Iterator[Scope]:
    """All of a subject, and what is left without its fully connected head."""
    network = subject.network
    nodes = [node for node in network.nodes if subject.heads or not node.training]
    yield _scope(subject, nodes, subject.departures, subject.cost)
    places = scales(network)
    body = [node for node in nodes if node.layer.family != "linear" or places[node.index] is not None]
    if len(body) < len(nodes):
        departures = (*subject.departures, "without its fully connected head")
        yield _scope(subject, body, departures, subject.cost + NO_CLASSIFIER)


def _scope(subject: Subject, nodes: Sequence[Node], departures: tuple[str, ...], cost: Fraction) -> Scope:
    found = alike_nodes(subject.network, nodes)
    firsts = [node for node, _ in found.values()]
    owners = {(node.shares or node).index: node for node in nodes if node.facts.weights}
    alike = {index: number for index, (_, number) in found.items()}
    return Scope(subject.net, subject.network, firsts, alike, list(owners.values()), departures, cost)


def ways(subject: Subject, sorts: Iterable[str]) -> Iterator[Way]:
    """Every way to count a subject, those that come to the same as one."""
    for scope in _scopes(subject):
        for sort in sorts:
            yield from _merged(list(_counts(scope, sort)))


def _counts(scope: Scope, sort: str) -> Iterator[Way]:
    for convention in conventions().values():
        if convention.unit not in SORTS[sort]:
            continue
        counter = convention.counter(scope.network)
        if convention.unit == "parameters":
            parts = tuple(counter.parts(scope.owners))
        else:
            parts = tuple(counter.parts(scope.nodes, scope.alike))
        factor = (convention.value_bytes or DTYPES["float32"]) if sort in IN_BYTES else 1
        value = sum(part.value for part in parts) * factor
        unit = "values" if sort == "values" else convention.unit
        if sort in IN_BYTES and unit == "parameters":
            unit = "bytes of parameters"
        departures = scope.departures
        cost = scope.cost + _strangeness(convention)
        names = (convention.name,)
        yield Way(value, sort, unit, scope.net, names, departures, parts, cost)
        twice = _twice(unit, parts)
        if twice:
            unit = "FLOPs" if unit == "MACs" else unit
            yield Way(2 * value, sort, unit, scope.net, names, (*departures, twice), parts, cost + DOUBLED)


def _twice(unit: str, parts: Sequence[Part]) -> str:
    """Why somebody may have taken a count twice; empty if nobody would."""
    if unit == "MACs":
        return "2 FLOPs for each"
    doubled = any(part.times % 2 == 0 for part in parts)
    return "twice, for the gradients" if unit == "bytes" and not doubled else ""


def _strangeness(convention: Convention) -> Fraction:
    if convention.name in PLAIN:
        return Fraction(0)
    return (
        PAPER_CONVENTION if convention.name.startswith(("paper", "slides", "weights")) else OTHER_CONVENTION
    )


def _merged(ways: Sequence[Way]) -> Iterator[Way]:
    """Ways of equal value become one, that of the least cost, with the names of all conventions."""
    groups: dict[int, list[Way]] = {}
    for way in ways:
        if way.value:
            groups.setdefault(way.value, []).append(way)
    for group in groups.values():
        group.sort(key=lambda way: way.cost)
        best = group[0]
        alike = [way for way in group if way.departures == best.departures]
        others = [way for way in group if len(way.departures) < len(best.departures)]
        yield replace(best, conventions=_names(alike), undoubled=_names(others))


def _names(ways: Iterable[Way]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for way in ways for name in way.conventions))
