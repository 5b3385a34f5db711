"""Every way to count a network: its variants, with what is left out or added, by every convention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from msgspec import Struct

from archcalc.catalog import Spec, open_network, shipped
from archcalc.comparison.parts import scales
from archcalc.conventions import Convention, Part, conventions
from archcalc.network import Network, Node
from archcalc.profile import Profile, analyze
from archcalc.reconcile.figures import IN_BYTES, SORTS
from archcalc.source import ArchError

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
RESOLUTION = Fraction(3, 2)
DOUBLED = Fraction(1, 2)


class Subject(Struct, frozen=True):
    """A network as it may have been meant: a variant, at a resolution, with its training heads or without."""

    profile: Profile
    departures: tuple[str, ...] = ()
    cost: Fraction = Fraction(0)


class Way(Struct, frozen=True):
    """A count of a subject by conventions that come to the same."""

    value: int
    sort: str
    unit: str
    network: str
    conventions: tuple[str, ...]
    departures: tuple[str, ...]
    parts: tuple[Part, ...]
    cost: Fraction

    @property
    def resized(self) -> bool:
        return any(words.startswith("input ") for words in self.departures)


def subjects(net: str, inputs: Mapping[str, tuple[int, ...]] | None) -> Iterator[Subject]:
    spec, network = open_network(net, inputs=inputs)
    yield from _with_heads(Subject(analyze(network)))
    names = [net] if "?" in net or inputs else variants(spec)
    for name in names:
        departures: tuple[str, ...] = ()
        cost = Fraction(0)
        if name != spec.name and name != net:
            departures, cost = (f"the variant {name}",), VARIANT
            variant = open_network(name)[1]
            yield from _with_heads(Subject(analyze(variant), departures, cost))
        yield from _resized(name, network, departures, cost)


def variants(spec: Spec) -> list[str]:
    """The shipped networks that are versions of one: those whose names only add to its own.

    >>> from archcalc.catalog import find
    >>> variants(find("resnet50_v1_5"))
    ['resnet50', 'resnet50_v1_5', 'resnet50_keras']
    """
    try:
        names = [other.name for other in shipped(spec.family)]
    except ArchError:
        return [spec.name]
    if spec.name not in names:
        return [spec.name]
    base = next((name for name in names if spec.name.startswith(name + "_")), spec.name)
    return [name for name in names if name == base or name.startswith(base + "_")]


def _with_heads(subject: Subject) -> Iterator[Subject]:
    yield subject
    network = subject.profile.network
    if network.heads:
        departures = (*subject.departures, "with its training heads")
        yield Subject(analyze(network, heads=True), departures, subject.cost + HEADS)


def _resized(name: str, network: Network, departures: tuple[str, ...], cost: Fraction) -> Iterator[Subject]:
    """The network at other resolutions, if it has one square input of a size that publications use."""
    shapes = [node.shape for node in network.inputs.values()]
    if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][1] < 160 or shapes[0][1] != shapes[0][2]:
        return
    channels, size, _ = shapes[0]
    for resolution in RESOLUTIONS:
        if resolution == size:
            continue
        try:
            resized = open_network(
                name, inputs={next(iter(network.inputs)): (channels, resolution, resolution)}
            )
        except ArchError:
            continue
        words = f"input {channels}×{resolution}×{resolution}"
        yield Subject(analyze(resized[1]), (*departures, words), cost + RESOLUTION)


def ways(subject: Subject, sorts: set[str]) -> Iterator[Way]:
    """Every way to count a subject, those that come to the same as one."""
    profile = subject.profile
    nodes = [*profile.network.inputs.values(), *(layer.node for layer in profile.layers)]
    places = scales(profile)
    body = [node for node in nodes if node.layer.family != "linear" or places[node.index] is not None]
    scopes = [(nodes, subject.departures, subject.cost)]
    if len(body) < len(nodes):
        departures = (*subject.departures, "without its fully connected head")
        scopes.append((body, departures, subject.cost + NO_CLASSIFIER))
    for sort in sorted(sorts):
        for members, departures, cost in scopes:
            yield from _merged(list(_counts(profile, members, sort, departures, cost)))


def _counts(
    profile: Profile, nodes: Sequence[Node], sort: str, departures: tuple[str, ...], cost: Fraction
) -> Iterator[Way]:
    network = profile.network
    for convention in conventions().values():
        if convention.unit not in SORTS[sort]:
            continue
        once = {(node.shares or node).index: node for node in nodes}
        counted = list(once.values()) if convention.unit == "parameters" else nodes
        parts = tuple(convention.counter(network).parts(counted))
        factor = (convention.value_bytes or profile.bytes_per_value) if sort in IN_BYTES else 1
        value = sum(part.value for part in parts) * factor
        unit = "values" if sort == "values" else convention.unit
        if sort in IN_BYTES and unit == "parameters":
            unit = "bytes of parameters"
        by = cost + _strangeness(convention)
        names = (convention.name,)
        yield Way(value, sort, unit, network.name, names, departures, parts, by)
        if convention.unit == "MACs":
            doubled = (*departures, "2 FLOPs for each")
            yield Way(2 * value, sort, "FLOPs", network.name, names, doubled, parts, by + DOUBLED)
        if unit == "bytes" and "2·" not in (parts[0].text if parts else ""):
            doubled = (*departures, "twice, for the gradients")
            yield Way(2 * value, sort, "bytes", network.name, names, doubled, parts, by + DOUBLED)


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
        names = tuple(dict.fromkeys(name for way in alike for name in way.conventions))
        yield Way(
            best.value, best.sort, best.unit, best.network, names, best.departures, best.parts, best.cost
        )
