"""The layers of a network in one line of a lock file, which shows which layers moved."""

from __future__ import annotations

import base64
import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct

MARK = 4
"""The length of a layer's mark. Two layers have the same mark by chance once in 16 million. Even then, the
digest of all layers shows that something moved."""


class Move(Struct, frozen=True):
    """A layer that changed, by its position today; or `gone` layers before that position."""

    place: int
    new: bool = False
    gone: int = 0


class Digest(Struct, frozen=True):
    """`whole` is a SHA-256 of all layers. `marks` has a few characters for each layer, in order."""

    whole: str
    marks: tuple[str, ...]

    @classmethod
    def of(cls, layers: Sequence[str]) -> Digest:
        """The digest of the lines that describe layers."""
        whole = hashlib.sha256("\n".join(layers).encode()).hexdigest()
        return cls(whole, tuple(map(_mark, layers)))

    @property
    def line(self) -> str:
        """The line of a lock file."""
        return f"layers {len(self.marks)} {self.whole} {''.join(self.marks)}"

    def moves(self, now: Digest) -> Iterator[Move]:
        """The layers that differ today.

        A layer whose mark is the same by chance is missed. If `whole` differs and no move is found, there was
        such a layer.
        """
        if self.whole == now.whole:
            return
        before = (-1, -1)
        for i2, j2 in [*_unchanged(self.marks, now.marks), (len(self.marks), len(now.marks))]:
            i1, j1 = before[0] + 1, before[1] + 1
            changed = min(i2 - i1, j2 - j1)
            for j in range(j1, j2):
                if j - j1 >= changed or self.marks[i1 + j - j1] != now.marks[j]:
                    yield Move(j, new=j - j1 >= changed)
            if i2 - i1 > changed:
                yield Move(j2, gone=i2 - i1 - changed)
            before = (i2, j2)


def _unchanged(old: Sequence[str], now: Sequence[str]) -> list[tuple[int, int]]:
    """The positions of marks that occur once in both, as long as they are in the same order in both.

    This takes about linear time. `difflib` takes quadratic time if every second layer moved.
    """
    places = {mark: i for i, mark in enumerate(old)}
    once = Counter(old), Counter(now)
    pairs = [(places[m], j) for j, m in enumerate(now) if once[0][m] == once[1][m] == 1]
    # longest increasing sequence: `ends[k]` is the smallest last position of those with length k + 1
    ends: list[int] = []
    last: list[int] = []
    previous: list[int] = []
    for number, (i, _) in enumerate(pairs):
        k = bisect_left(ends, i)
        ends[k : k + 1] = [i]
        last[k : k + 1] = [number]
        previous.append(last[k - 1] if k else -1)
    chosen = []
    number = last[-1] if last else -1
    while number >= 0:
        chosen.append(pairs[number])
        number = previous[number]
    return chosen[::-1]


def _mark(layer: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(layer.encode()).digest()[:3]).decode()
