"""Which network, counted how, prints as a given figure: `4.12G` of a ResNet-50, and why.

Tried is every combination of a published variant, what is left out or added, a counting convention, and
a unit. Each departure from the plain network in archcalc's own count makes an answer less plausible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

from msgspec import Struct

from archcalc.catalog import Spec, open_network, shipped
from archcalc.comparison.parts import scales
from archcalc.conventions import Convention, Part, conventions
from archcalc.network import Network, Node
from archcalc.profile import Profile, analyze
from archcalc.source import ArchError, error

SORTS = {
    "operations": ("MACs", "FLOPs"),
    "parameters": ("parameters",),
    "bytes": ("bytes", "parameters"),
    "values": ("bytes",),
}
"""What a figure may be of, and the units of the conventions that count that."""

_WORDS = {
    "operations": "macs mac flops flop mult-adds multadds madds madd ops gmacs gflops mflops mmacs",
    "parameters": "params param parameters weights",
    "bytes": "bytes b",
    "values": "activations values",
}
_SORT_OF = {word: sort for sort, words in _WORDS.items() for word in words.split()}

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
CUT_OFF = Fraction(1)
BINARY = Fraction(2)
BINARY_BYTES = Fraction(1, 4)

MAX_LETTERS = 40


class Claimed(Struct, frozen=True):
    """A figure as printed: `value` in units of `letter`, its last digit counting `step`."""

    text: str
    value: Fraction
    step: Fraction
    letter: str
    sorts: tuple[str, ...]
    binary: bool = False

    def scales(self) -> list[tuple[int, Fraction, str]]:
        """What the letter may stand for: a size, what assuming it costs, and how one says it."""
        power = " KMGT".index(self.letter or " ")
        if self.binary:
            return [(1024**power, Fraction(0), "")]
        if not power:
            return [(1, Fraction(0), "")]
        is_bytes = self.sorts == ("bytes",)
        unit = f"{self.letter}{'B' if is_bytes else ''}"
        words = f"{unit} of 1024{'' if power == 1 else '²³⁴'[power - 2]}"
        return [
            (1000**power, Fraction(0), ""),
            (1024**power, BINARY_BYTES if is_bytes else BINARY, words),
        ]


class Match(Struct, frozen=True):
    """A way to count. `value` is exact; `difference` is what it has beyond the figure, if it does not
    print as that. `departures` say what distinguishes it from the plain network in archcalc's own count."""

    value: int
    unit: str
    network: str
    conventions: tuple[str, ...]
    departures: tuple[str, ...]
    parts: tuple[Part, ...]
    cost: Fraction
    difference: Fraction = Fraction(0)


class Answer(Struct, frozen=True):
    """All that prints as a figure, the most plausible first; if nothing does, what comes nearest."""

    claimed: Claimed
    matches: tuple[Match, ...]
    nearest: tuple[Match, ...]


_FIGURE = re.compile(r"(?P<number>\d[\d,_]*(?:\.\d+)?)\s*(?P<unit>[A-Za-z-]*)")


def parse_figures(words: Sequence[str]) -> list[Claimed]:
    """The figures in some words: `4.12G`, `25.6M params`, `96 MB`. Raises `ArchError` for what is none.

    >>> [(str(c.value), c.letter, c.sorts) for c in parse_figures(["25.6M", "params", "96 MB"])]
    [('128/5', 'M', ('parameters',)), ('96', 'M', ('bytes',))]
    """
    found: list[Claimed] = []
    for word in " ".join(words).split():
        if found and not word[0].isdigit():
            found[-1] = _with_unit(found[-1], word)
            continue
        match = _FIGURE.fullmatch(word)
        if match is None or len(word) > MAX_LETTERS:
            raise error(
                f"`{word[:MAX_LETTERS]}` is no figure", help="write `4.12G`, `25.6M params` or `96MB`"
            )
        number = match["number"].replace(",", "").replace("_", "")
        decimals = len(number.partition(".")[2])
        claimed = Claimed(match["number"], Fraction(number), Fraction(1, 10**decimals), "", ())
        found.append(_with_unit(claimed, match["unit"]) if match["unit"] else claimed)
    if not found:
        raise error("no figure is given", help="write one after the network: `4.12G`")
    return [_settled(claimed) for claimed in found]


def _with_unit(claimed: Claimed, word: str) -> Claimed:
    """The figure with a word behind it: a letter, a unit of bytes, or what it counts."""
    space = " " if claimed.text[-1].isalpha() or len(word) > 1 else ""
    text = f"{claimed.text}{space}{word}"
    letter, sorts, binary = claimed.letter, claimed.sorts, claimed.binary
    match = re.fullmatch(r"([KMGTBkmgt]?)(i?B|)", word)
    prefix = re.fullmatch(r"([KMGT])([A-Za-z-]+)", word)
    if word.lower() in _SORT_OF and not sorts and not (prefix and not letter and word.isupper()):
        sorts = (_SORT_OF[word.lower()],)
        if word.lower() in ("gmacs", "gflops", "mflops", "mmacs") and not letter:
            letter = word[0].upper()
    elif match is not None and not letter and not sorts:
        letter = {"B": "G" if not match[2] else "", "k": "K"}.get(match[1], match[1].upper())
        binary = match[2] == "iB"
        sorts = ("bytes",) if match[2] else ()
    else:
        raise error(
            f"`{text}`: `{word}` is no unit",
            help="K, M, G, T; MB, MiB; params, MACs, FLOPs, bytes, activations",
        )
    return Claimed(text, claimed.value, claimed.step, letter, sorts, binary)


def _settled(claimed: Claimed) -> Claimed:
    if not claimed.letter and claimed.step < 1:
        raise error(f"`{claimed.text}` has no unit", help=f"write `{claimed.text}G` or `{claimed.text}M`")
    if not claimed.value:
        raise error(f"`{claimed.text}` is nothing to reconcile")
    sorts = claimed.sorts or ("operations", "parameters")
    return Claimed(claimed.text, claimed.value, claimed.step, claimed.letter, sorts, claimed.binary)


def reconcile(
    net: str, figures: Sequence[str], inputs: dict[str, tuple[int, ...]] | None = None
) -> list[Answer]:
    """What each figure is of a network. Raises `ArchError` for an unknown network or what is no figure.

    >>> answer, = reconcile("resnet50", ["4.09G"])
    >>> answer.matches[0].network, answer.matches[0].value
    ('resnet50_v1_5', 4089184256)
    """
    claimed = parse_figures(figures)
    sorts = {sort for figure in claimed for sort in figure.sorts}
    ways = [way for subject in _subjects(net, inputs) for way in _ways(subject, sorts)]
    return [_answer(figure, ways) for figure in claimed]


# --- What there is to count -------------------------------------------------------------------------


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


def _subjects(net: str, inputs: dict[str, tuple[int, ...]] | None) -> Iterator[Subject]:
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


def _ways(subject: Subject, sorts: set[str]) -> Iterator[Way]:
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
        factor = (convention.value_bytes or profile.bytes_per_value) if sort == "bytes" else 1
        value = sum(part.value for part in parts) * factor
        unit = {"bytes": "bytes", "values": "values"}.get(sort, convention.unit)
        if sort == "bytes" and convention.unit == "parameters":
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


# --- What prints as a figure ------------------------------------------------------------------------

NEAREST = 5
"""So many are named where nothing matches."""


def _answer(claimed: Claimed, ways: Sequence[Way]) -> Answer:
    relevant = [way for way in ways if way.sort in claimed.sorts]
    matches = [match for way in relevant for match in _matching(claimed, way)]
    matches.sort(key=lambda match: (match.cost, len(match.departures), match.network))
    nearest: list[Match] = []
    if not matches:
        size = claimed.scales()[0][0] * claimed.value
        plain = [way for way in relevant if not way.resized]
        plain.sort(key=lambda way: (abs(way.value - size), way.cost))
        nearest = [_match(way, way.departures, way.cost, way.value - size) for way in plain]
    return Answer(claimed, _distinct(matches), _distinct(nearest)[:NEAREST])


def _distinct(matches: Sequence[Match]) -> tuple[Match, ...]:
    """Of matches of equal value the first alone: what changes no figure explains none."""
    first: dict[tuple[int, str], Match] = {}
    for match in matches:
        first.setdefault((match.value, match.unit), match)
    return tuple(first.values())


def _matching(claimed: Claimed, way: Way) -> Iterator[Match]:
    """How a count prints as the figure: rounded, or cut off."""
    for size, cost, words in claimed.scales():
        departures = (*way.departures, words) if words else way.departures
        printed = Fraction(way.value, size)
        if claimed.value - claimed.step / 2 <= printed < claimed.value + claimed.step / 2:
            yield _match(way, departures, way.cost + cost)
        elif claimed.value <= printed < claimed.value + claimed.step:
            yield _match(way, (*departures, "cut off instead of rounded"), way.cost + cost + CUT_OFF)


def _match(way: Way, departures: tuple[str, ...], cost: Fraction, difference: Fraction | int = 0) -> Match:
    return Match(
        way.value,
        way.unit,
        way.network,
        way.conventions,
        departures,
        way.parts,
        cost,
        Fraction(difference),
    )
