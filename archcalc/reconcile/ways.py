"""All ways of counting a network: its variants, with parts left out or added, by every convention."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from archcalc.comparison.parts import scales
from archcalc.conventions import Convention, CountedPart, alike_nodes, conventions
from archcalc.diagnostics import ArchError
from archcalc.network import Network, Node
from archcalc.opened import Opened
from archcalc.opening import Read, open_net, read_file
from archcalc.quantities.activations import DTYPES
from archcalc.reconcile.figures import IN_BYTES, SORTS

PLAIN = {"macs", "flops", "params", "activations"}
"""archcalc's own conventions, which are not a departure."""

RESOLUTIONS = (192, 224, 227, 229, 231, 240, 256, 288, 299, 320, 331)
"""Input sizes that publications use."""

# The cost of each departure. Common and unstated departures cost less.
OTHER_CONVENTION = Fraction(1)
PAPER_CONVENTION = Fraction(1, 4)
VARIANT = Fraction(1)
HEADS = Fraction(1)
NO_CLASSIFIER = Fraction(1)
RESOLUTION = Fraction(5, 2)
DOUBLED = Fraction(1, 2)


class Candidate(Struct, frozen=True, eq=False, kw_only=True):
    """A network that may have been meant: a variant, at a resolution, with or without its training heads."""

    net: str
    """The name or path that opens it."""
    opened: Opened
    network: Network
    heads: bool = False
    resized: bool = False
    """Is its resolution not its own?"""
    departures: tuple[str, ...] = ()
    cost: Fraction = Fraction(0)


class Way(Struct, frozen=True):
    """A count of a candidate by conventions that agree."""

    value: int
    sort: str
    unit: str
    net: str
    conventions: tuple[str, ...]
    departures: tuple[str, ...]
    parts: tuple[CountedPart, ...]
    cost: Fraction
    resized: bool = False
    """Is the network's resolution not its own?"""
    undoubled: tuple[str, ...] = ()
    """For a doubled count: the conventions that give it without doubling."""


def candidates(
    net: str, inputs: Mapping[str, tuple[int, ...]] | None, read: Read = read_file
) -> Iterator[Candidate]:
    """The network, with heads and without, at other resolutions; and its variants at their own.

    `read` reads files. Raises `ArchError` for an unknown network.
    """
    opened, overrides = open_net(net, read)
    plain = Candidate(net=net, opened=opened, network=opened.network(overrides, inputs))
    yield from _with_heads(plain)
    if not _is_fixed(net, inputs):
        yield from _resized(plain)
    for variant in _variants(net, inputs, read):
        yield from _with_heads(variant)


def further_candidates(
    net: str, inputs: Mapping[str, tuple[int, ...]] | None, read: Read = read_file
) -> Iterator[Candidate]:
    """The variants at other input resolutions."""
    for variant in _variants(net, inputs, read):
        yield from _resized(variant)


def _is_fixed(net: str, inputs: Mapping[str, tuple[int, ...]] | None) -> bool:
    return "?" in net or bool(inputs)


def _variants(net: str, inputs: Mapping[str, tuple[int, ...]] | None, read: Read) -> Iterator[Candidate]:
    if not _is_fixed(net, inputs):
        for other in variants(net, read):
            opened, _ = open_net(other, read)
            yield Candidate(
                net=other,
                opened=opened,
                network=opened.network(),
                departures=(f"the variant {other}",),
                cost=VARIANT,
            )


def variants(net: str, read: Read = read_file) -> list[str]:
    """The other versions of a network, each as a `NET`: networks of its file whose names extend its name.

    >>> variants("resnet50_v1_5")
    ['resnet50', 'resnet50_keras']
    """
    opened, _ = open_net(net, read)
    own, names = opened.name, opened.siblings
    base = next((name for name in names if own.startswith(name + "_")), own)
    others = [name for name in names if name != own and f"{name}_".startswith(base + "_")]
    return [opened.net.removesuffix(own) + name for name in others]


def _with_heads(candidate: Candidate) -> Iterator[Candidate]:
    yield candidate
    if candidate.network.heads:
        departures = (*candidate.departures, "with its training heads")
        yield replace(candidate, heads=True, departures=departures, cost=candidate.cost + HEADS)


def _resized(candidate: Candidate) -> Iterator[Candidate]:
    """A network at other resolutions, if it has one square input of a size that publications use."""
    inputs = candidate.network.inputs
    shapes = [node.shape for node in inputs.values()]
    if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][1] < 160 or shapes[0][1] != shapes[0][2]:
        return
    channels, size, _ = shapes[0]
    for resolution in RESOLUTIONS:
        if resolution == size:
            continue
        try:
            shape = {next(iter(inputs)): (channels, resolution, resolution)}
            network = candidate.opened.network(inputs=shape)
        except ArchError:
            continue
        departures = (*candidate.departures, f"input {channels}×{resolution}×{resolution}")
        cost = candidate.cost + RESOLUTION
        yield replace(candidate, network=network, resized=True, departures=departures, cost=cost)


class CountedNodes(Struct, frozen=True, eq=False):
    """The counted nodes of a candidate. Equal nodes are represented by the first, with their number."""

    candidate: Candidate
    nodes: list[Node]
    alike: dict[int, int]
    owners: list[Node]
    """The nodes with parameters of their own, so that shared parameters count once."""
    departures: tuple[str, ...]
    cost: Fraction


def _selections(candidate: Candidate) -> Iterator[CountedNodes]:
    """A whole candidate, and the candidate without its fully connected head."""
    network = candidate.network
    nodes = [node for node in network.nodes if candidate.heads or not node.training]
    yield _counted(candidate, nodes, candidate.departures, candidate.cost)
    places = scales(network)
    body = [node for node in nodes if node.layer.family != "linear" or places[node.index] is not None]
    if len(body) < len(nodes):
        departures = (*candidate.departures, "without its fully connected head")
        yield _counted(candidate, body, departures, candidate.cost + NO_CLASSIFIER)


def _counted(
    candidate: Candidate, nodes: Sequence[Node], departures: tuple[str, ...], cost: Fraction
) -> CountedNodes:
    found = alike_nodes(candidate.network, nodes)
    firsts = [node for node, _ in found.values()]
    owners = {(node.shares or node).index: node for node in nodes if node.facts.weights}
    alike = {index: number for index, (_, number) in found.items()}
    return CountedNodes(candidate, firsts, alike, list(owners.values()), departures, cost)


def ways(candidate: Candidate, sorts: Iterable[str]) -> Iterator[Way]:
    """All ways of counting a candidate, with equal ones combined."""
    for counted in _selections(candidate):
        for sort in sorts:
            yield from _merged(list(_counts(counted, sort)))


def _counts(counted: CountedNodes, sort: str) -> Iterator[Way]:
    candidate = counted.candidate
    for convention in conventions().values():
        if convention.unit not in SORTS[sort]:
            continue
        counter = convention.counter(candidate.network)
        if convention.unit == "parameters":
            parts = tuple(counter.parts(counted.owners))
        else:
            parts = tuple(counter.parts(counted.nodes, counted.alike))
        factor = (convention.value_bytes or DTYPES["float32"]) if sort in IN_BYTES else 1
        value = sum(part.value for part in parts) * factor
        unit = "values" if sort == "values" else convention.unit
        if sort in IN_BYTES and unit == "parameters":
            unit = "bytes of parameters"
        departures = counted.departures
        cost = counted.cost + _strangeness(convention)
        names = (convention.name,)
        way = Way(value, sort, unit, candidate.net, names, departures, parts, cost, candidate.resized)
        yield way
        twice = _twice(unit, parts)
        if twice:
            unit = "FLOPs" if unit == "MACs" else unit
            departures = (*departures, twice)
            yield replace(way, value=2 * value, unit=unit, departures=departures, cost=cost + DOUBLED)


def _twice(unit: str, parts: Sequence[CountedPart]) -> str:
    """The reason why a count may have been doubled; empty if there is none."""
    if unit == "MACs":
        return "2 FLOPs per MAC"
    doubled = any(part.times % 2 == 0 for part in parts)
    return "doubled, for gradients" if unit == "bytes" and not doubled else ""


def _strangeness(convention: Convention) -> Fraction:
    if convention.name in PLAIN:
        return Fraction(0)
    return (
        PAPER_CONVENTION if convention.name.startswith(("paper", "slides", "weights")) else OTHER_CONVENTION
    )


def _merged(ways: Sequence[Way]) -> Iterator[Way]:
    """Ways with equal values, combined into the one with the lowest cost and the names of all conventions."""
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
