"""Progress of long work. The work reports its progress, and the caller decides whether to show a bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

DELAY = 0.5
"""Seconds before a bar shows."""


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
    bar = _LateBar(steps, title)
    try:
        yield bar.advance
    finally:
        bar.stop()


class _LateBar:
    """A progress bar that shows after a moment: shorter work needs none, and rich takes time to import."""

    def __init__(self, steps: int, title: str) -> None:
        self.steps, self.title = steps, title
        self.begin = time.monotonic()
        self.done = 0
        self.bar: Any = None

    def advance(self, steps: int) -> None:
        self.done += steps
        if self.bar is None and time.monotonic() - self.begin > DELAY:
            from rich import progress as rich_progress
            from rich.console import Console

            self.bar = rich_progress.Progress(console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task(self.title, total=self.steps)
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done)

    def stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
