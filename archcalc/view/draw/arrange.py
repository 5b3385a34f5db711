"""Places the vertices of a pattern: ranks one after another, tracks side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from msgspec import Struct

from archcalc.view.pattern import Pattern

SWEEPS, LEAST_SWEEPS, SWEPT = 24, 3, 400_000
"""How often positions are improved: more changes little; very many positions get fewer passes."""

MORE_APART, MOST_CROWDED = 5.0, 8
"""How much further ranks are apart for each line that moves aside between them, and for how many at most."""

STRAIGHT, LINKED, PASSING = 8.0, 1.0, 0.05
"""How much an edge pulls its ends into one line: in a track, between boxes, and where a lane meets a box."""

Stop = tuple[float, float, float]
"""What an edge passes in a rank: its place across, and where that begins and ends along the ranks."""


class Arranged(Struct, frozen=True):
    """The center of each vertex across, its start along the ranks, and the total width and length.

    `stops` lists what each edge passes, in the order of the pattern's edges: its source, the rest of the
    source's rank, the ranks in between, and its reader.
    """

    across: list[float]
    along: list[float]
    stops: list[list[Stop]]
    wide: float
    long: float


def arrange(
    found: Pattern,
    sizes: Sequence[tuple[float, float]],
    *,
    between: float,
    apart: float,
    lane: float = 7,
    leaves: Mapping[tuple[int, int], float] | None = None,
    enters: Mapping[int, float] | None = None,
) -> Arranged:
    """Place vertices with sizes (across, along).

    `between` is the gap across between vertices, `apart` the gap along between ranks, and `lane` the gap
    across for a line. An edge leaves at an offset from the center of its vertex, given by vertex and output,
    and enters at an offset given by the number of the edge.
    """
    count = len(found.ranks)
    rows, widths, lanes = _rows(found, sizes, lane)
    links = _links(found, lanes, leaves or {}, enters or {}, count)
    across = _across(rows, widths, links, count, between, lane)
    least = min((across[n] - widths[n] / 2 for row in rows for n in row), default=0)
    across = [x - least for x in across]
    starts, heights, along, room = [], [], 0.0, apart
    crowds = _crowds(found, lanes, across, leaves or {}, enters or {})
    for row, crowd in zip(rows, crowds, strict=True):
        high = max((sizes[n][1] for n in row if n < count), default=0)
        room = apart + MORE_APART * min(max(crowd - 1, 0), MOST_CROWDED)
        starts.append(along)
        heights.append(high)
        along += high + room
    tops = [starts[rank] for rank in found.ranks]
    stops = []
    for number, (source, output, target) in enumerate(found.edges):
        first, last = found.ranks[source], found.ranks[target]
        x = across[source] + (leaves or {}).get((source, output), 0)
        path = [(x, tops[source], tops[source] + sizes[source][1])]
        path.append((x, path[0][2], starts[first] + heights[first]))
        path += [
            (across[lanes[source, rank]], starts[rank], starts[rank] + heights[rank])
            for rank in range(first + 1, last)
        ]
        x = across[target] + (enters or {}).get(number, 0)
        path.append((x, tops[target], tops[target] + sizes[target][1]))
        stops.append(path)
    wide = max((across[n] + widths[n] / 2 for row in rows for n in row), default=0)
    return Arranged(across[:count], tops, stops, wide, max(0, along - room))


def _rows(
    found: Pattern, sizes: Sequence[tuple[float, float]], lane: float
) -> tuple[list[list[int]], list[float], dict[tuple[int, int], int]]:
    """Return each rank's contents from left to right. Lanes are numbered after the vertices."""
    rows: list[list[int]] = [[] for _ in range(found.depth)]
    widths = [size[0] for size in sizes]
    lanes: dict[tuple[int, int], int] = {}
    for track in found.tracks:
        for rank, vertex in enumerate(track.vertices, track.top):
            if vertex < 0:
                lanes[-1 - vertex, rank] = len(widths)
                rows[rank].append(len(widths))
                widths.append(lane)
            else:
                rows[rank].append(vertex)
    return rows, widths, lanes


Link = tuple[int, int, float, float]
"""Two neighbors, how far the second is to the right of the first at best, and how much that matters."""


def _links(
    found: Pattern,
    lanes: Mapping[tuple[int, int], int],
    leaves: Mapping[tuple[int, int], float],
    enters: Mapping[int, float],
    count: int,
) -> list[Link]:
    own = {vertex: number for number, track in enumerate(found.tracks) for vertex in track.vertices}
    links: dict[tuple[int, int], Link] = {}
    for number, (source, output, target) in enumerate(found.edges):
        ranks = range(found.ranks[source] + 1, found.ranks[target])
        path = [source, *(lanes[source, rank] for rank in ranks), target]
        for a, b in pairwise(path):
            if a < count and b < count:
                weight = STRAIGHT if own[a] == own[b] else LINKED
            elif a >= count and b >= count:
                weight = STRAIGHT
            elif -1 - source in own and own[-1 - source] == own[source]:  # the end of a branch
                weight = STRAIGHT if a == source else LINKED
            else:
                weight = PASSING
            offset = leaves.get((source, output), 0.0) if a == source else 0.0
            offset -= enters.get(number, 0.0) if b == target else 0.0
            links[a, b] = (a, b, offset, weight)
    return list(links.values())


def _crowds(
    found: Pattern,
    lanes: Mapping[tuple[int, int], int],
    across: Sequence[float],
    leaves: Mapping[tuple[int, int], float],
    enters: Mapping[int, float],
) -> list[int]:
    """Return how many lines shift far sideways after each rank."""
    moved: list[set[tuple[int, int]]] = [set() for _ in range(found.depth)]
    for number, (source, output, target) in enumerate(found.edges):
        x = across[source] + leaves.get((source, output), 0)
        for rank in range(found.ranks[source], found.ranks[target]):
            if rank + 1 < found.ranks[target]:
                after = across[lanes[source, rank + 1]]
            else:
                after = across[target] + enters.get(number, 0)
            if abs(after - x) > 4 * MORE_APART:
                moved[rank].add((source, output))
            x = after
    return [len(sources) for sources in moved]


def _across(
    rows: Sequence[Sequence[int]],
    widths: Sequence[float],
    links: Sequence[Link],
    count: int,
    between: float,
    lane: float,
) -> list[float]:
    """Return a position across for each vertex and lane: close to its neighbors, without overlaps."""
    near: dict[int, list[tuple[int, float, float]]] = {}
    for a, b, offset, weight in links:
        near.setdefault(a, []).append((b, -offset, weight))
        near.setdefault(b, []).append((a, offset, weight))
    across = [0.0] * len(widths)
    gaps = [
        [
            (widths[a] + widths[b]) / 2 + (between if a < count and b < count else lane)
            for a, b in pairwise(row)
        ]
        for row in rows
    ]
    for row, distances in zip(rows, gaps, strict=True):
        places = separated([0.0] * len(row), [1.0] * len(row), distances)
        for n, x in zip(row, places, strict=True):
            across[n] = x
    numbered = list(zip(rows, gaps, strict=True))
    for sweep in range(max(LEAST_SWEEPS, min(SWEEPS, SWEPT // max(1, sum(map(len, rows)))))):
        for row, distances in numbered if sweep % 2 == 0 else reversed(numbered):
            wanted, weights = [], []
            for n in row:
                linked = near.get(n, [])
                weight = sum(each[2] for each in linked)
                pull = sum((across[m] + offset) * each for m, offset, each in linked)
                wanted.append(pull / weight if weight else across[n])
                weights.append(weight or PASSING)
            for n, x in zip(row, separated(wanted, weights, distances), strict=True):
                across[n] = x
    return _straightened(rows, gaps, links, across, count)


def _straightened(
    rows: Sequence[Sequence[int]],
    gaps: Sequence[Sequence[float]],
    links: Sequence[Link],
    across: list[float],
    count: int,
) -> list[float]:
    """Align linked vertices in exactly straight lines, moving others aside where necessary."""
    line = list(range(len(across)))  # the first vertex of the line that each one is in
    offsets = [0.0] * len(across)
    for a, b, offset, weight in links:  # from top to bottom, so `a` already has its line
        if weight == STRAIGHT:
            line[b], offsets[b] = line[a], offsets[a] + offset
    members: dict[int, list[int]] = {}
    for n, first in enumerate(line):
        members.setdefault(first, []).append(n)
    wanted = {first: sum(across[n] - offsets[n] for n in each) / len(each) for first, each in members.items()}
    after: dict[int, dict[int, float]] = {first: {} for first in members}
    before = dict.fromkeys(members, 0)
    for row, distances in zip(rows, gaps, strict=True):
        for (a, b), gap in zip(pairwise(row), distances, strict=True):
            if line[a] == line[b]:
                return across  # not straight at all
            needed = gap + offsets[a] - offsets[b]
            if line[b] not in after[line[a]]:
                before[line[b]] += 1
            after[line[a]][line[b]] = max(needed, after[line[a]].get(line[b], needed))
    places = dict(wanted)
    waiting = sorted((first for first in members if not before[first]), reverse=True)
    seen = 0
    while waiting:
        first = waiting.pop()
        seen += 1
        for other, needed in after[first].items():
            places[other] = max(places[other], places[first] + needed)
            before[other] -= 1
            if not before[other]:
                waiting.append(other)
    if seen < len(members):
        return across
    return [places[first] + offset for first, offset in zip(line, offsets, strict=True)]


def separated(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Return the positions closest to the wanted ones (weighted least squares), with minimum gaps in between.

    >>> separated([0, 0, 9], [1, 1, 1], [2, 2])
    [-1.0, 1.0, 9.0]
    """
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, members: merged where they would overlap
    for want, weight, offset in zip(wanted, weights, offsets, strict=False):
        mean, total, members = want - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            before, heavy, more = blocks.pop()
            mean = (mean * total + before * heavy) / (total + heavy)
            total, members = total + heavy, members + more
        blocks.append((mean, total, members))
    found = [mean for mean, _, members in blocks for _ in range(members)]
    return [x + offset for x, offset in zip(found, offsets, strict=False)]
