"""Where the vertices of a pattern are placed: ranks one after the other, and columns beside one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from archcalc.view.pattern import Pattern

SWEEPS = 24
"""How often places are improved; more changes little."""

STRAIGHT, LINKED, PASSING = 8.0, 1.0, 0.05
"""How much an edge pulls its ends into one line: in a column, between boxes, and where a lane meets a box."""

Stop = tuple[float, float, float]
"""What an edge passes in a rank: its place across, and where that begins and ends along the ranks."""


class Arranged(Struct, frozen=True):
    """The center of each vertex across and its start along the ranks; how wide and long all is.

    `stops` has what each edge passes, in the order of the pattern's edges, its two ends included.
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
    """Place vertices of sizes (across, along).

    `between` is the room across from vertex to vertex, `apart` the room along from rank to rank, and `lane` that
    of a line across. An edge leaves at an offset from the center of its vertex, by vertex and output, and enters
    at one, by the number of the edge.
    """
    count = len(found.ranks)
    rows, widths, lanes = _rows(found, sizes, lane)
    links = _links(found, lanes, leaves or {}, enters or {}, count)
    across = _across(rows, widths, links, count, between, lane)
    least = min((across[n] - widths[n] / 2 for row in rows for n in row), default=0)
    across = [x - least for x in across]
    starts, heights, along = [], [], 0.0
    for row in rows:
        high = max((sizes[n][1] for n in row if n < count), default=0)
        starts.append(along)
        heights.append(high)
        along += high + apart
    tops = [starts[rank] for rank in found.ranks]
    stops = []
    for number, (source, output, target) in enumerate(found.edges):
        first, last = found.ranks[source], found.ranks[target]
        x = across[source] + (leaves or {}).get((source, output), 0)
        path = [(x, tops[source], tops[source] + sizes[source][1])]
        for rank in range(first + 1, last):
            path.append((across[lanes[source, rank]], starts[rank], starts[rank] + heights[rank]))
        x = across[target] + (enters or {}).get(number, 0)
        path.append((x, tops[target], tops[target] + sizes[target][1]))
        stops.append(path)
    wide = max((across[n] + widths[n] / 2 for row in rows for n in row), default=0)
    return Arranged(across[:count], tops, stops, wide, max(0, along - apart))


def _rows(
    found: Pattern, sizes: Sequence[tuple[float, float]], lane: float
) -> tuple[list[list[int]], list[float], dict[tuple[int, int], int]]:
    """What is in each rank from left to right. A lane has a number after the vertices for each rank."""
    rows: list[list[int]] = [[] for _ in range(found.depth)]
    widths = [size[0] for size in sizes]
    lanes: dict[tuple[int, int], int] = {}
    for column in found.columns:
        for rank, vertex in enumerate(column.vertices, column.top):
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
    columns = {}
    for number, column in enumerate(found.columns):
        columns |= dict.fromkeys((vertex for vertex in column.vertices if vertex >= 0), number)
    links: dict[tuple[int, int], Link] = {}
    for number, (source, output, target) in enumerate(found.edges):
        ranks = range(found.ranks[source] + 1, found.ranks[target])
        path = [source, *(lanes[source, rank] for rank in ranks), target]
        for a, b in zip(path, path[1:], strict=False):
            if a < count and b < count:
                weight = STRAIGHT if columns[a] == columns[b] else LINKED
            else:
                weight = STRAIGHT if a >= count and b >= count else PASSING
            offset = leaves.get((source, output), 0.0) if a == source else 0.0
            offset -= enters.get(number, 0.0) if b == target else 0.0
            links[a, b] = (a, b, offset, weight)
    return list(links.values())


def _across(
    rows: Sequence[Sequence[int]],
    widths: Sequence[float],
    links: Sequence[Link],
    count: int,
    between: float,
    lane: float,
) -> list[float]:
    """A place across for each vertex and lane: near what it is linked with, without overlaps."""
    near: dict[int, list[tuple[int, float, float]]] = {}
    for a, b, offset, weight in links:
        near.setdefault(a, []).append((b, -offset, weight))
        near.setdefault(b, []).append((a, offset, weight))
    across = [0.0] * len(widths)
    gaps = [
        [
            (widths[a] + widths[b]) / 2 + (between if a < count and b < count else lane)
            for a, b in zip(row, row[1:], strict=False)
        ]
        for row in rows
    ]
    for row, distances in zip(rows, gaps, strict=True):
        places = separated([0.0] * len(row), [1.0] * len(row), distances)
        for n, x in zip(row, places, strict=True):
            across[n] = x
    numbered = list(zip(rows, gaps, strict=True))
    for sweep in range(SWEEPS):
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
    return across


def separated(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Places as near as can be to wanted ones, in weighted squares, each a gap or more after the one before.

    >>> separated([0, 0, 9], [1, 1, 1], [2, 2])
    [-1.0, 1.0, 9.0]
    """
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, members: pooled where they would overlap
    for want, weight, offset in zip(wanted, weights, offsets, strict=False):
        mean, total, members = want - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            before, heavy, more = blocks.pop()
            mean = (mean * total + before * heavy) / (total + heavy)
            total, members = total + heavy, members + more
        blocks.append((mean, total, members))
    found = [mean for mean, _, members in blocks for _ in range(members)]
    return [x + offset for x, offset in zip(found, offsets, strict=False)]
