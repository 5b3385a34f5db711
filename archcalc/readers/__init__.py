"""Readers of files that hold networks: each file in this folder reads one format.

A reader is named after the suffix of its files: `arch.py` reads `.arch` files. There is no other
registry: a reader is found by its name, and imported when a file with its suffix is opened. The reader of
`.py` files also gets names of Python modules, `package.module:factory`.

Readers import other packages inside their functions, because `archcalc check` imports readers to look for
files. This file imports only the standard library, because pytest loads it on every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from archcalc.opened import Opened


class Reader(Protocol):
    """The interface of each module in this folder."""

    EXPECTATIONS: bool
    """Whether its files can state expectations of their networks. `archcalc check` looks for such files."""

    def read(self, path: Path, shown: str) -> Sequence[Opened]:
        """Return the networks in a file, in order; `shown` is the path as the user wrote it, for messages.

        Raises `ArchError` if the file cannot be read. The error lists every mistake in the file.
        """


@cache
def suffixes() -> tuple[str, ...]:
    """The suffixes of files that can be read.

    >>> ".arch" in suffixes()
    True
    """
    # a glob is faster here than importing `pkgutil`
    return tuple(sorted(f".{file.stem}" for folder in __path__ for file in Path(folder).glob("[!_]*.py")))


def suffix_of(path: str) -> str:
    """Return the suffix that selects a path's reader; empty if no reader fits.

    >>> suffix_of("models/small.arch"), suffix_of("model.safetensors")
    ('.arch', '')
    """
    return next((suffix for suffix in suffixes() if path.endswith(suffix)), "")


def reader(suffix: str) -> Reader:
    """Return the reader for one of the `suffixes`."""
    return cast(Reader, import_module(f"{__name__}.{suffix.removeprefix('.')}"))


def holds_expectations(path: str) -> bool:
    """Whether a file with this path can state expectations about its networks."""
    suffix = suffix_of(path)
    return bool(suffix) and reader(suffix).EXPECTATIONS
