"""Where output goes: the terminal as it is, a pipe as plain text, a file written whole or not at all.

What is not UTF-8, as the name of a file may be, is written as question marks.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TextIO

from archcalc.diagnostics import error

PIPE_WIDTH = 80
"""Columns of a table in a pipe, unless `COLUMNS` says otherwise. They do not depend on who looks at it."""

STANDARD = Path("-")
"""How an option names the standard output instead of a file."""

UNFINISHED = ".archcalc-unfinished"
"""How the name of a file ends while it is written. What a killed writer leaves, the next one removes."""


def width() -> int:
    """Columns to write for: those of the terminal, or `COLUMNS`, or `PIPE_WIDTH` in a pipe."""
    return max(40, shutil.get_terminal_size((PIPE_WIDTH, 24)).columns)


def colour(path: Path | None = None, stream: TextIO | None = None) -> bool:
    """Is color welcome on the standard output, or on another stream? In a file it never is.

    On a terminal it is. `NO_COLOR` (no-color.org) forbids it and `FORCE_COLOR` (force-color.org) demands it
    everywhere; both count if they are not empty, and the first one wins.
    """
    if os.environ.get("NO_COLOR") or path not in (None, STANDARD):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return (stream or sys.stdout).isatty() and os.environ.get("TERM") != "dumb"


def write(text: str, path: Path | None) -> None:
    """Write to a file, whole or not at all, or to the standard output (`None` or `-`). Raises `ArchError`."""
    if path is None or path == STANDARD:
        sys.stdout.write(text)
        return
    with whole(path) as stream:
        stream.write(text.encode(errors="replace"))


def write_bytes(data: bytes, path: Path | None) -> None:
    """Write what need not be text, likewise. Raises `ArchError`."""
    if path is None or path == STANDARD:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    with whole(path) as stream:
        stream.write(data)


def warn(lines: Iterable[str]) -> None:
    """Write lines that have no place in an output to the standard error."""
    for line in lines:
        sys.stderr.write(f"{line}\n")


@contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write: it takes its place when all is written, or leaves no trace. Raises `ArchError`."""
    target = Path(os.path.realpath(path))  # a link stays, and what it points to is written
    temporary = lock = None
    try:
        if target.is_dir():
            raise error(f"`{path}` is a folder", help="name a file in it")
        if target.is_symlink():
            raise error(f"`{path}` is a link that leads back to itself", help="name a file")
        mode = target.stat().st_mode if target.exists() else None
        if mode is not None and not stat.S_ISREG(mode):  # a device or a pipe cannot be put in place
            with target.open("wb") as stream:
                yield stream
            return
        _remove_leftovers(target)
        handle, temporary, lock = _make_temporary(target)
        with os.fdopen(handle, "wb") as stream:
            yield stream
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask if mode is None else stat.S_IMODE(mode))
        Path(temporary).replace(target)
        temporary = None
    except OSError as problem:
        raise error(f"`{path}` cannot be written: {problem.strerror or problem}") from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        if lock is not None:
            os.close(lock)


def _make_temporary(target: Path) -> tuple[int, str, int | None]:
    """A new file beside the target: its handle, its path, and what locks it until it is in place."""
    while True:
        handle, path = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=UNFINISHED)
        lock = _lock(handle)
        if os.fstat(handle).st_nlink:
            return handle, path, lock
        os.close(handle)  # another process took it for a leftover before it was locked
        if lock is not None:
            os.close(lock)


def _remove_leftovers(target: Path) -> None:
    """Remove what killed writers of the target have left: the unfinished files that nobody has locked."""
    with suppress(OSError):
        for path in target.parent.iterdir():
            if path.name.startswith(f".{target.name}.") and path.name.endswith(UNFINISHED):
                with path.open("r+b") as stream:
                    lock = _lock(stream.fileno())
                    if lock is not None:
                        path.unlink()
                        os.close(lock)


def _lock(handle: int) -> int | None:
    """Lock a file for as long as the handle that comes back is open; `None` if that is not possible.

    It is not if another process has locked it, and not on Windows or a file system without locks.
    """
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return None
    return os.dup(handle)  # the lock is of all handles of an opened file, and ends with the last of them


def append(text: str, path: Path) -> None:
    """Add to the end of a file, in one piece even if others do too, or write to `-`. Raises `ArchError`."""
    if path == STANDARD:
        sys.stdout.write(text)
        return
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        with os.fdopen(handle, "wb", buffering=0) as stream:
            data = text.encode(errors="replace")
            while data:
                data = data[stream.write(data) or 0 :]
    except OSError as problem:
        raise error(f"`{path}` cannot be written: {problem.strerror or problem}") from None
