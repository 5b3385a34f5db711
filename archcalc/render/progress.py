"""Progress of long work. The work reports its progress, and the caller decides whether to show a bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Passes items on and shows progress."""

    def __call__(self, items: Sequence[T], title: str) -> Iterable[T]: ...


Advance = Callable[[int], None]
"""Called with the number of steps that are done."""


def unseen_steps(steps: int) -> None:
    """Shows nothing."""


def unseen(items: Sequence[T], title: str) -> Iterable[T]:
    """Passes items on and shows nothing."""
    return items


def progress(items: Sequence[T], title: str) -> Iterable[T]:
    """Passes items on, with a progress bar on the standard error if that is a terminal."""
    with progress_bar(len(items), title) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def progress_bar(steps: int, title: str) -> Iterator[Advance]:
    """A progress bar on the standard error if that is a terminal. Returns a function that ends steps."""
    if not sys.stderr.isatty():
        yield unseen_steps
        return
    from rich import progress as rich_progress
    from rich.console import Console

    with rich_progress.Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=steps)
        yield lambda steps: bar.advance(task, steps)
