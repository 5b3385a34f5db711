"""Runs work in several processes, which end when the process that started them ends."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Task = TypeVar("Task")
Done = TypeVar("Done")


def in_processes(
    function: Callable[[Task], Done], tasks: Sequence[Task], workers: int, killed: Callable[[Task], Done]
) -> Iterator[Done]:
    """The results of `function` for each task, in order. `killed` makes the result for a killed process."""
    pool = ProcessPoolExecutor(workers, initializer=_end_with_parent)
    try:
        futures = [_submitted(pool, function, task) for task in tasks]
        for task, future in zip(tasks, futures, strict=True):
            try:
                done = future.result() if future is not None else killed(task)
            except BrokenProcessPool:
                done = killed(task)
            yield done
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C, no more tasks start


def _submitted(
    pool: ProcessPoolExecutor, function: Callable[[Task], Done], task: Task
) -> Future[Done] | None:
    """Returns nothing if a process was killed before, because the pool then takes no more tasks."""
    try:
        return pool.submit(function, task)
    except BrokenProcessPool:
        return None


def _end_with_parent() -> None:
    """Watch the parent process. A signal can end it before it can end its workers."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
