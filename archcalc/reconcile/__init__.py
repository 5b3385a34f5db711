"""Which network, counted how, prints as a given figure: `4.12G` of a ResNet-50, and why.

Tried is every combination of a published variant, what is left out or added, a counting convention, and
a unit. Each departure from the plain network in archcalc's own count makes an answer less plausible.
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
"""How implausible it is that a figure was cut off instead of rounded."""

ROUND = Fraction(3, 4)
"""How implausible it is that a round figure, `720M`, was rounded at the last digit before its zeros."""

PLAUSIBLE = Fraction(11, 4)
"""What is less plausible than this explains nothing."""
NEAREST = 5
"""How many are named where nothing matches."""


class Match(Struct, frozen=True):
    """A way to count. `value` is exact; `difference` is what it has beyond the figure, if it does not
    print as that. `departures` say what distinguishes it from the plain network in archcalc's own count.
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
    """Where a count is taken twice: the conventions that come to it by themselves."""


class Answer(Struct, frozen=True):
    """All that prints as a figure, the most plausible first; if none is plausible, what comes nearest."""

    claimed: Claimed
    matches: tuple[Match, ...]
    nearest: tuple[Match, ...]

    @property
    def plausible(self) -> tuple[Match, ...]:
        """The matches that depart so little that they may explain the figure."""
        return tuple(match for match in self.matches if match.cost <= PLAUSIBLE)


def reconcile(
    net: str,
    figures: Sequence[str],
    inputs: Mapping[str, tuple[int, ...]] | None = None,
    *,
    thorough: bool = False,
) -> list[Answer]:
    """What each figure is of a network.

    `thorough` tries variants at other resolutions than their own, which is never plausible. Raises
    `ArchError` for an unknown network or what is not a figure.

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
    """Of matches of equal value the first alone: what changes no figure explains none."""
    first: dict[tuple[int, str], Match] = {}
    for match in matches:
        first.setdefault((match.value, match.unit), match)
    return tuple(first.values())


class _Reading(Struct, frozen=True):
    """The whole numbers, from `low` to `high`, that print as a figure in one way."""

    low: int
    high: int
    departures: tuple[str, ...]
    cost: Fraction


def _readings(claimed: Claimed) -> list[_Reading]:
    """What a figure may have been printed from: rounded, at its last digit or the last that is not a zero,
    or cut off, in powers of 1000 or of 1024."""
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
