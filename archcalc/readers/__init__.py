"""Readers of files that hold networks: a file of this folder reads one format.

The name of a reader is the suffix of the files it reads: `arch.py` reads `.arch` files. Nothing else
names it: a reader is found by its name, and imported when a file with its suffix is opened. A reader of
`.py` files also gets the names of Python modules, `package.module:factory`.

A reader imports other packages inside its functions, since `archcalc check` imports readers to look for
files. This file imports only the standard library, since pytest loads it for every run.
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
    """What a file of this folder defines."""

    EXPECTATIONS: bool
    """Can its files say what is expected of their networks? `archcalc check` looks for such files."""

    def read(self, path: Path, shown: str) -> Sequence[Opened]:
        """The networks in a file, in its order; `shown` is how the user wrote the path, for messages.

        Raises `ArchError` for a file that cannot be read, and with every mistake in it.
        """


@cache
def suffixes() -> tuple[str, ...]:
    """The suffixes of files that can be read.

    >>> ".arch" in suffixes()
    True
    """
    # a glob, since `pkgutil` would take longer to import than to look here
    return tuple(sorted(f".{file.stem}" for folder in __path__ for file in Path(folder).glob("[!_]*.py")))


def suffix_of(path: str) -> str:
    """The suffix by which a path's reader is found; empty if there is none for it.

    >>> suffix_of("models/small.arch"), suffix_of("model.safetensors")
    ('.arch', '')
    """
    return next((suffix for suffix in suffixes() if path.endswith(suffix)), "")


def reader(suffix: str) -> Reader:
    """The reader of one of the `suffixes`."""
    return cast(Reader, import_module(f"{__name__}.{suffix.removeprefix('.')}"))


def holds_expectations(path: str) -> bool:
    """Is this the path of a file that can say what is expected of its networks?"""
    suffix = suffix_of(path)
    return bool(suffix) and reader(suffix).EXPECTATIONS
