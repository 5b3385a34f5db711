"""Progress of long work: it reports what is done, and its caller decides whether a bar is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Hands items on, and shows how far they have come."""

    def __call__(self, items: Sequence[T], title: str) -> Iterable[T]: ...


def unseen(items: Sequence[T], title: str) -> Iterable[T]:
    """Hands items on, and shows nothing."""
    return items


def progress(items: Sequence[T], title: str) -> Iterable[T]:
    """Hands items on, with a progress bar on the error output if that is a terminal."""
    with progress_bar(len(items), title) as advance:
        for item in items:
            yield item
            advance()


@contextmanager
def progress_bar(steps: int, title: str) -> Iterator[Callable[[], None]]:
    """A progress bar on the error output if that is a terminal; gives a function that ends a step."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich import progress as rich_progress
    from rich.console import Console

    with rich_progress.Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=steps)
        yield lambda: bar.advance(task)
