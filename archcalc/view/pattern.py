"""Lays out the children of a block: ranks from top to bottom, tracks from left to right.

A block's tensors enter at ports in rank 0 and leave at ports in the last rank; its children lie between. A
`Track` is drawn in one vertical line: consecutive children, or a lane, in which an edge passes the ranks that
it skips. All edges of one tensor share a lane, so no edge needs to cross a box. Equal blocks share one
`Pattern`. It has no positions, because these depend on the sizes of boxes.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

Edge = tuple[int, int, int]
"""A vertex, the number of its output, and the vertex that reads it."""


class Track(Struct, frozen=True):
    """Vertices in one vertical line: one at each rank from `top` on, without gaps.

    A lane of vertex `v` is written as `-1 - v` at each rank that it passes.
    """

    top: int
    vertices: tuple[int, ...]

    @property
    def is_lane(self) -> bool:
        """Return whether only an edge passes here."""
        return all(vertex < 0 for vertex in self.vertices)


class Pattern(Struct, frozen=True):
    """The inside of a block.

    Vertices are numbered: first `entries` ports where tensors enter, then the children in order, then one
    port for each tensor that leaves. `edges` are in the order in which the readers read. `tracks` that share
    ranks are ordered from left to right.
    """

    entries: int
    children: int
    exits: int
    edges: tuple[Edge, ...]
    ranks: tuple[int, ...]
    tracks: tuple[Track, ...]

    @property
    def depth(self) -> int:
        """Return the number of ranks."""
        return max(self.ranks, default=-1) + 1


def pattern(entries: int, children: int, exits: int, edges: Sequence[Edge]) -> Pattern:
    """Lay out children connected by these edges. Every edge leads from a lower to a higher vertex."""
    graph = _Layering(entries, children, exits, edges)
    return Pattern(entries, children, exits, tuple(edges), tuple(graph.ranks), tuple(graph.tracks()))


class _Layering:
    """The vertices with their neighbors, their ranks, and which vertex continues which track."""

    def __init__(self, entries: int, children: int, exits: int, edges: Sequence[Edge]) -> None:
        self.first_exit = entries + children
        count = entries + children + exits
        self.before: list[list[int]] = [[] for _ in range(count)]
        self.after: list[list[int]] = [[] for _ in range(count)]
        for source, _, target in edges:
            if source not in self.before[target]:
                self.before[target].append(source)
                self.after[source].append(target)
        self.ranks = self._ranked(entries, count)
        self.below, self.above = self._aligned()

    def _ranked(self, entries: int, count: int) -> list[int]:
        """Rank vertices by the longest path from the top; a separate path starts as low as possible."""
        ranks = [0] * count
        for vertex in range(entries, count):
            ranks[vertex] = max((ranks[source] for source in self.before[vertex]), default=0) + 1
        bottom = max((ranks[vertex] + 1 for vertex in range(self.first_exit)), default=1)
        for vertex in range(self.first_exit, count):
            ranks[vertex] = bottom
        for vertex in range(self.first_exit - 1, entries - 1, -1):
            if not self.before[vertex] and self.after[vertex]:
                ranks[vertex] = min(ranks[target] for target in self.after[vertex]) - 1
        if not entries and count:
            top = min(ranks)
            ranks = [rank - top for rank in ranks]
        return ranks

    def _short(self, vertex: int) -> list[int]:
        """Return the readers of a vertex in the next rank."""
        return [target for target in self.after[vertex] if self.ranks[target] == self.ranks[vertex] + 1]

    def _lane_end(self, vertex: int) -> int:
        """Return the last rank that the lane of a vertex passes; its own rank if it has no lane."""
        return max((self.ranks[target] for target in self.after[vertex]), default=self.ranks[vertex] + 1) - 1

    def _aligned(self) -> tuple[dict[int, int], dict[int, int]]:
        """Return which vertex continues the track of which.

        A vertex continues the only vertex above it, if no other vertex is below that one. Lanes that pass a
        vertex do not count: an edge that skips a chain runs beside it, and the chain stays straight. But a
        lane counts if it is the only thing that leaves a vertex: it is then the end of a branch.
        """
        short = [self._short(vertex) for vertex in range(len(self.ranks))]
        below: dict[int, int] = {}
        for vertex, sources in enumerate(self.before):
            ends = [
                source
                for source in sources
                if self.ranks[source] + 1 == self.ranks[vertex] or not short[source]
            ]
            if len(ends) == 1 and short[ends[0]] == [vertex]:
                below[ends[0]] = vertex
        self.short = short
        return below, {lower: upper for upper, lower in below.items()}

    def tracks(self) -> list[Track]:
        """Return all tracks from left to right: branches in the order in which a join reads them."""
        placed: list[Track] = []
        seen: set[int] = set()
        lanes: set[int] = set()
        starts = [v for v, after in enumerate(self.after) if not after]
        waiting = [(v, False) for v in reversed(starts)]
        while waiting:
            vertex, is_lane = waiting.pop()
            if is_lane:
                self._place_lane(vertex, lanes, placed)
                waiting.append((vertex, False))
                continue
            if vertex in seen:
                continue
            self._place(vertex, seen, lanes, placed, waiting)
        return placed

    def _place(
        self,
        vertex: int,
        seen: set[int],
        lanes: set[int],
        placed: list[Track],
        waiting: list[tuple[int, bool]],
    ) -> None:
        """Place the track of a vertex, with the lanes that pass it on both sides."""
        chain = self._chain(vertex)
        seen.update(chain)
        left: list[int] = []
        right: list[tuple[int, bool]] = []
        for lower in reversed(chain):
            straight = self.above.get(lower)
            sources = self.before[lower]
            middle = sources.index(straight) if straight is not None else 0
            for number, source in enumerate(sources):
                if source == straight:
                    continue
                passes = self.ranks[source] + 1 < self.ranks[lower] and bool(self.short[source])
                if passes and number < middle:
                    left.append(source)
                right.append((source, passes))
        for source in reversed(left):
            self._place_lane(source, lanes, placed)
        cells = list(chain)
        end = chain[-1]
        if not self.short[end] and self.after[end]:
            lanes.add(end)
            cells += [-1 - end] * (self._lane_end(end) - self.ranks[end])
        placed.append(Track(self.ranks[chain[0]], tuple(cells)))
        waiting.extend(reversed(right))

    def _chain(self, vertex: int) -> list[int]:
        """Return the vertices of a track, from top to bottom."""
        while vertex in self.above:
            vertex = self.above[vertex]
        chain = [vertex]
        while chain[-1] in self.below:
            chain.append(self.below[chain[-1]])
        return chain

    def _place_lane(self, vertex: int, lanes: set[int], placed: list[Track]) -> None:
        passed = self._lane_end(vertex) - self.ranks[vertex]
        if vertex not in lanes and passed > 0:
            lanes.add(vertex)
            placed.append(Track(self.ranks[vertex] + 1, (-1 - vertex,) * passed))
