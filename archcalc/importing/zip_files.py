"""Untrusted zip archives: opened and read within limits."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from archcalc.diagnostics import ArchError, error

MAX_DIRECTORY = 8_000_000
"""The largest directory of a zip archive, in bytes. An entry takes about a hundred."""

Explain = Callable[[bytes], ArchError | None]
"""Identifies a file that is not a zip archive by its first bytes; `None` if it cannot."""


def opened_zip(path: Path, shown: str, help: str, explain: Explain = lambda start: None) -> zipfile.ZipFile:
    """Open a file as a zip archive. Raises `ArchError`, with `help`, if it is not one or is damaged."""
    try:
        with path.open("rb") as file:
            _check_directory(file, shown, explain)
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as problem:
        if isinstance(problem, FileNotFoundError):
            raise error(f"there is no file `{shown}`") from None
        if isinstance(problem, OSError):
            raise error(f"`{shown}` cannot be read: {problem.strerror or problem}") from None
        raise error(f"`{shown}` is not a zip archive, or is damaged", help=help) from None


def _check_directory(file: BinaryIO, shown: str, explain: Explain) -> None:
    """Reject an archive whose directory would take too much memory, and files that are not archives."""
    file.seek(0, 2)
    size = file.tell()
    file.seek(max(0, size - 66_000))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        file.seek(0)
        raise explain(file.read(8)) or zipfile.BadZipFile()
    (directory,) = struct.unpack_from("<I", tail, at + 12)
    if directory == 0xFFFFFFFF:
        at = tail.rfind(b"PK\x06\x06")
        if at < 0 or len(tail) < at + 56:
            raise zipfile.BadZipFile
        (directory,) = struct.unpack_from("<Q", tail, at + 40)
    if directory > min(MAX_DIRECTORY, size):
        raise error(f"the directory of `{shown}` is too large, or damaged")


def read_entry(archive: zipfile.ZipFile, entry: str, shown: str, most: int) -> bytes:
    """Read an entry. Raises `ArchError` if it is damaged, or larger than `most` bytes."""
    info = archive.NameToInfo[entry]
    if info.file_size > most:
        raise error(f"`{entry[-80:]}` in `{shown}` has {info.file_size:,} bytes; at most {most:,} are read")
    try:
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile  # `zipfile` cannot limit how much it reads for other methods
        with archive.open(info) as file:
            data = file.read(info.file_size + 1)  # `read()` may decompress far more than the entry declares
        if len(data) != info.file_size:
            raise zipfile.BadZipFile
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, NotImplementedError):
        raise error(f"`{entry[-80:]}` in `{shown}` is damaged") from None
    return data
