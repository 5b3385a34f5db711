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


def unseen(items: Sequence[T], title: str) -> Iterable[T]:
    """Passes items on and shows nothing."""
    return items


def progress(items: Sequence[T], title: str) -> Iterable[T]:
    """Passes items on, with a progress bar on the standard error if that is a terminal."""
    with progress_bar(len(items), title) as advance:
        for item in items:
            yield item
            advance()


@contextmanager
def progress_bar(steps: int, title: str) -> Iterator[Callable[..., None]]:
    """A progress bar on the standard error if that is a terminal.

    Returns a function that ends a step, or as many steps as it is given.
    """
    if not sys.stderr.isatty():
        yield lambda count=1: None
        return
    from rich import progress as rich_progress
    from rich.console import Console

    with rich_progress.Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=steps)
        yield lambda count=1: bar.advance(task, count)
