"""Dominators: for each tensor, the tensors that every path to it passes through.

`tree(...)` takes nodes in topological order and runs in O(n log n): it finds the nearest common ancestor of a
node's sources with jump pointers (Myers 1983), which skip back like a skip list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

ROOT = 0
"""The node before all others."""


class DominatorTree:
    """The tree of immediate dominators of nodes 1, 2, ...; `parents[n]` is the dominator of `n`."""

    def __init__(self) -> None:
        self.parents = [ROOT]
        self._depths = [0]
        self._jumps = [ROOT]

    def add(self, sources: Iterable[int]) -> None:
        """Add the next node, reached from `sources`, or from the root if there are none."""
        parent = -1
        for source in sources:
            parent = source if parent < 0 else self._common(parent, source)
        parent = max(parent, ROOT)
        self.parents.append(parent)
        self._depths.append(self._depths[parent] + 1)
        jump = self._jumps[parent]
        even = (
            self._depths[parent] - self._depths[jump] == self._depths[jump] - self._depths[self._jumps[jump]]
        )
        self._jumps.append(self._jumps[jump] if even else parent)

    def _common(self, a: int, b: int) -> int:
        depths, jumps, parents = self._depths, self._jumps, self.parents
        if depths[a] < depths[b]:
            a, b = b, a
        while depths[a] > depths[b]:
            a = jumps[a] if depths[jumps[a]] >= depths[b] else parents[a]
        while a != b:
            if jumps[a] != jumps[b]:
                a, b = jumps[a], jumps[b]
            else:
                a, b = parents[a], parents[b]
        return a


def tree(sources: Sequence[Iterable[int]]) -> list[int]:
    """Return the immediate dominator of each node; entry 0 is the root, `sources[n]` is for node `n + 1`."""
    found = DominatorTree()
    for each in sources:
        found.add(each)
    return found.parents
