"""The layers of a network in one line of a lock file: whether any moved, and which ones."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from msgspec import Struct

MARK = 4
"""Characters of a layer's mark. Two layers have the same one by chance once in 16 million; the digest of
all layers tells that something moved even then."""


class Move(Struct, frozen=True):
    """A layer that is not as it was, by its position today; or `gone` layers before that position."""

    place: int
    new: bool = False
    gone: int = 0


class Digest(Struct, frozen=True):
    """`whole` is a SHA-256 of all layers, `marks` has a few characters for each, in order."""

    whole: str
    marks: tuple[str, ...]

    @classmethod
    def of(cls, layers: Sequence[str]) -> Digest:
        """The digest of the lines that describe layers."""
        whole = hashlib.sha256("\n".join(layers).encode()).hexdigest()
        return cls(whole, tuple(map(_mark, layers)))

    @property
    def line(self) -> str:
        """How it is written in a lock file."""
        return f"layers {len(self.marks)} {self.whole} {''.join(self.marks)}"

    def moves(self, now: Digest) -> Iterator[Move]:
        """Where the layers of today differ.

        Nothing is said of a layer whose mark is the same by chance: if `whole` differs and no move is
        found, it was such a one.
        """
        if self.whole == now.whole:
            return
        matcher = SequenceMatcher(None, self.marks, now.marks, autojunk=False)
        for tag, i1, i2, j1, j2 in matcher.get_opcodes():
            if tag == "equal":
                continue
            changed = min(i2 - i1, j2 - j1)
            for j in range(j1, j2):
                yield Move(j, new=j - j1 >= changed)
            if i2 - i1 > changed:
                yield Move(j2, gone=i2 - i1 - changed)


def _mark(layer: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(layer.encode()).digest()[:3]).decode()
