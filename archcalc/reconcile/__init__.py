"""Finds out how a published figure was obtained, such as `4.12G` for ResNet-50.

It tries every combination of a published variant, parts that are left out or added, a counting convention,
and a unit. Each departure from the plain network in archcalc's own count makes an answer less plausible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil

from msgspec import Struct

from archcalc.conventions import CountedPart
from archcalc.opening import remembering
from archcalc.reconcile.figures import Claimed, parse_figures
from archcalc.reconcile.ways import Way, candidates, further_candidates, ways

CUT_OFF = Fraction(1)
"""The cost of a figure that was truncated instead of rounded."""

ROUND = Fraction(3, 4)
"""The cost of a round figure, `720M`, that was rounded at the last digit before its zeros."""

PLAUSIBLE = Fraction(11, 4)
"""The highest cost of a plausible answer."""
NEAREST = 5
"""The number of nearest answers if none matches."""


class Match(Struct, frozen=True):
    """A way of counting. `value` is exact. `difference` is `value` minus the figure, if they do not match.
    `departures` are the differences from the plain network in archcalc's own count.
    """

    value: int
    unit: str
    net: str
    conventions: tuple[str, ...]
    departures: tuple[str, ...]
    parts: tuple[CountedPart, ...]
    cost: Fraction
    difference: Fraction = Fraction(0)
    undoubled: tuple[str, ...] = ()
    """For a doubled count: the conventions that give it without doubling."""


class Answer(Struct, frozen=True):
    """All ways that give a figure, the most plausible first; if none is plausible, also the nearest."""

    claimed: Claimed
    matches: tuple[Match, ...]
    nearest: tuple[Match, ...]

    @property
    def plausible(self) -> tuple[Match, ...]:
        """The matches with few enough departures to explain the figure."""
        return tuple(match for match in self.matches if match.cost <= PLAUSIBLE)


def reconcile(
    net: str,
    figures: Sequence[str],
    inputs: Mapping[str, tuple[int, ...]] | None = None,
    *,
    thorough: bool = False,
) -> list[Answer]:
    """The ways of counting that give each figure for a network.

    `thorough` also tries variants at other input resolutions, which are never plausible. Raises `ArchError`
    for an unknown network, and for text that is not a figure.

    >>> answer, = reconcile("resnet50", ["4.09G"])
    >>> answer.matches[0].net, answer.matches[0].value
    ('resnet50_v1_5', 4089184256)
    """
    claimed = parse_figures(figures)
    sorts = sorted({sort for figure in claimed for sort in figure.sorts})
    read = remembering()
    found = [way for candidate in candidates(net, inputs, read) for way in ways(candidate, sorts)]
    if thorough:
        further = further_candidates(net, inputs, read)
        found += [way for candidate in further for way in ways(candidate, sorts)]
    return [_answer(figure, found) for figure in claimed]


def _answer(claimed: Claimed, ways: Sequence[Way]) -> Answer:
    relevant = [way for way in ways if way.sort in claimed.sorts]
    readings = _readings(claimed)
    matches = [match for way in relevant for match in _matching(readings, way)]
    matches.sort(key=lambda match: (match.cost, len(match.departures), match.net, len(match.parts)))
    nearest: list[Match] = []
    if not any(match.cost <= PLAUSIBLE for match in matches):
        size = claimed.scales()[0][0] * claimed.value
        plain = [way for way in relevant if not way.resized and way.cost <= PLAUSIBLE]
        plain.sort(key=lambda way: (abs(way.value - size), way.cost))
        nearest = [_match(way, way.departures, way.cost, way.value - size) for way in plain]
    return Answer(claimed, _distinct(matches), _distinct(nearest)[:NEAREST])


def _distinct(matches: Sequence[Match]) -> tuple[Match, ...]:
    """The first of all matches with equal value, because a change without an effect explains nothing."""
    first: dict[tuple[int, str], Match] = {}
    for match in matches:
        first.setdefault((match.value, match.unit), match)
    return tuple(first.values())


class _Reading(Struct, frozen=True):
    """The whole numbers, from `low` to `high`, that a figure can stand for in one reading."""

    low: int
    high: int
    departures: tuple[str, ...]
    cost: Fraction


def _readings(claimed: Claimed) -> list[_Reading]:
    """The values that a figure can stand for: rounded at its last digit, rounded at its last digit other than
    zero, or truncated; in powers of 1000 or 1024."""
    value, step = claimed.value, claimed.step
    found = []
    for size, cost, words in claimed.scales():
        departures = (words,) if words else ()
        low, middle, high = (ceil(edge * size) for edge in (value - step / 2, value + step / 2, value + step))
        found.append(_Reading(low, middle - 1, departures, cost))
        found.append(
            _Reading(middle, high - 1, (*departures, "truncated instead of rounded"), cost + CUT_OFF)
        )
        if claimed.coarse:
            low, high = (
                ceil(edge * size) for edge in (value - claimed.coarse / 2, value + claimed.coarse / 2)
            )
            rounded = f"rounded to {claimed.coarse.numerator:,}{claimed.letter}"
            found.append(_Reading(low, high - 1, (*departures, rounded), cost + ROUND))
    return found


def _matching(readings: Sequence[_Reading], way: Way) -> Iterator[Match]:
    for reading in readings:
        if reading.low <= way.value <= reading.high:
            yield _match(way, (*way.departures, *reading.departures), way.cost + reading.cost)


def _match(way: Way, departures: tuple[str, ...], cost: Fraction, difference: Fraction | int = 0) -> Match:
    return Match(
        way.value,
        way.unit,
        way.net,
        way.conventions,
        departures,
        way.parts,
        cost,
        Fraction(difference),
        way.undoubled,
    )
