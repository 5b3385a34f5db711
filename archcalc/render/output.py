"""Output to a terminal, to a pipe as plain text, or to a file, which is written completely or not at all.

Text that is not UTF-8, such as some file names, is written as question marks.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TextIO

from archcalc.diagnostics import error

PIPE_WIDTH = 80
"""The width of tables in a pipe, unless `COLUMNS` sets another. It is always the same."""

STANDARD = Path("-")
"""The file name that means the standard output."""

UNFINISHED = ".archcalc-unfinished"
"""The suffix of a file that is being written. The next writer removes files that a killed writer left."""


def width() -> int:
    """The width of the output: that of the terminal, `COLUMNS`, or `PIPE_WIDTH` in a pipe."""
    return max(40, shutil.get_terminal_size((PIPE_WIDTH, 24)).columns)


def colour(path: Path | None = None, stream: TextIO | None = None) -> bool:
    """Should the standard output, or another stream, have color? A file never has color.

    A terminal does. `NO_COLOR` (no-color.org) turns color off and `FORCE_COLOR` (force-color.org) turns it on
    everywhere. Both are ignored if empty, and `NO_COLOR` takes precedence.
    """
    if os.environ.get("NO_COLOR") or path not in (None, STANDARD):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return (stream or sys.stdout).isatty() and os.environ.get("TERM") != "dumb"


def write(text: str, path: Path | None) -> None:
    """Write to a file, completely or not at all, or to standard output (`None`, `-`). Raises `ArchError`."""
    if path is None or path == STANDARD:
        sys.stdout.write(text)
        return
    with whole(path) as stream:
        stream.write(text.encode(errors="replace"))


@contextmanager
def text_parts(path: Path | None) -> Iterator[Callable[[str], object]]:
    """Write text part by part, otherwise like `write`: a function that writes a part."""
    if path is None or path == STANDARD:
        yield sys.stdout.write
        return
    with whole(path) as stream:
        yield lambda text: stream.write(text.encode(errors="replace"))


def write_bytes(data: bytes, path: Path | None) -> None:
    """Write what need not be text, likewise. Raises `ArchError`."""
    if path is None or path == STANDARD:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    with whole(path) as stream:
        stream.write(data)


def warn(lines: Iterable[str]) -> None:
    """Write lines that are not part of the output to the standard error."""
    for line in lines:
        sys.stderr.write(f"{line}\n")


def checked(path: Path) -> Path:
    """Return the file that is written: a link is kept, and its target written. Raises `ArchError`.

    Commands that compute for long check their output first.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise error(f"`{path}` is a folder", help="name a file in it")
    if target.is_symlink():
        raise error(f"`{path}` is a link that leads back to itself", help="name a file")
    if not target.parent.is_dir():
        raise error(f"`{path}` cannot be written: there is no folder `{target.parent.name}`")
    return target


@contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write. It replaces the target once complete; otherwise it is removed. Raises `ArchError`."""
    target = checked(path)
    temporary = lock = None
    try:
        mode = target.stat().st_mode if target.exists() else None
        if mode is not None and not stat.S_ISREG(mode):  # a device or a pipe cannot be replaced
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
    """A new file next to the target: its handle, its path, and its lock."""
    while True:
        handle, path = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=UNFINISHED)
        lock = _lock(handle)
        if os.fstat(handle).st_nlink:
            return handle, path, lock
        os.close(handle)  # another process removed it as a leftover before it was locked
        if lock is not None:
            os.close(lock)


def _remove_leftovers(target: Path) -> None:
    """Remove unfinished files of killed writers, which are not locked."""
    with suppress(OSError):
        for path in target.parent.iterdir():
            if path.name.startswith(f".{target.name}.") and path.name.endswith(UNFINISHED):
                with path.open("r+b") as stream:
                    lock = _lock(stream.fileno())
                    if lock is not None:
                        path.unlink()
                        os.close(lock)


def _lock(handle: int) -> int | None:
    """Lock a file while the returned handle is open; `None` if that is not possible.

    Another process may have locked it. Windows and some file systems have no locks.
    """
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return None
    return os.dup(handle)  # the lock belongs to all handles of an open file, and ends with the last one


def append(text: str, path: Path) -> None:
    """Append to a file, in one piece even if other processes append, or write to `-`. Raises `ArchError`."""
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
