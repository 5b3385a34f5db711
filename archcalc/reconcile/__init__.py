"""Which network, counted how, prints as a given figure: `4.12G` of a ResNet-50, and why.

Tried is every combination of a published variant, what is left out or added, a counting convention, and
a unit. Each departure from the plain network in archcalc's own count makes an answer less plausible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from msgspec import Struct

from archcalc.conventions import Part
from archcalc.reconcile.figures import Claimed, parse_figures
from archcalc.reconcile.ways import Way, subjects, ways

CUT_OFF = Fraction(1)
"""How implausible it is that a figure was cut off instead of rounded."""

NEAREST = 5
"""So many are named where nothing matches."""


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


def reconcile(
    net: str, figures: Sequence[str], inputs: Mapping[str, tuple[int, ...]] | None = None
) -> list[Answer]:
    """What each figure is of a network. Raises `ArchError` for an unknown network or what is no figure.

    >>> answer, = reconcile("resnet50", ["4.09G"])
    >>> answer.matches[0].network, answer.matches[0].value
    ('resnet50_v1_5', 4089184256)
    """
    claimed = parse_figures(figures)
    sorts = {sort for figure in claimed for sort in figure.sorts}
    found = [way for subject in subjects(net, inputs) for way in ways(subject, sorts)]
    return [_answer(figure, found) for figure in claimed]


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
