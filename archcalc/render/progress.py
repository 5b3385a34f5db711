"""How far long work has come: it tells, and its caller decides whether somebody sees it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Hands items on, and shows how far they have come."""

    def __call__(self, items: Sequence[T], title: str) -> Iterable[T]: ...


def unseen(items: Sequence[T], title: str) -> Iterable[T]:
    """Hands items on, and shows nothing."""
    return items
