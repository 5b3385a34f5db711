"""The folder of reports: written as a whole, and held to what would be written today."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from archcalc.diagnostics import ArchError, error
from archcalc.plots import Plot, is_current, is_stamped
from archcalc.render.progress import Progress

MARK = "<!-- Made by `archcalc reports`, and made anew by it: change what it is made from. -->"
"""A line of every Markdown page, by which a page that may be replaced is known."""

Contents = Mapping[str, str | Plot]
"""Files by their path in the folder: texts, and pictures, which are drawn only if they must be."""


class Written(Struct, frozen=True):
    """What a rebuild did to the folder."""

    written: int
    kept: int
    removed: int


def stale(folder: Path, contents: Contents) -> list[str]:
    """What is wrong with a folder, a line a file; none if it is what would be written today.

    Raises `ArchError` if it cannot be read.
    """
    try:
        present = _present(folder)
        lines = [
            f"{path}: {'missing' if path not in present else 'out of date'}"
            for path, content in contents.items()
            if path not in present or not _is_same(present[path], content)
        ]
    except OSError as problem:
        raise _unreadable(folder, problem) from None
    return sorted([*lines, *(f"{path}: no longer made" for path in present if path not in contents)])


def write(folder: Path, contents: Contents, progress: Progress) -> Written:
    """Bring a folder up to date: every file is written beside it first, then moved into its place.

    Raises `ArchError`, before anything changes, for a folder with files that are not of this making or that
    cannot be written, and if a picture must be drawn but cannot be.
    """
    folder = folder.resolve()
    try:
        present = _present(folder)
        foreign = [path for path, file in present.items() if not _is_ours(file)]
        foreign += [path for path in contents if (folder / path).is_dir()]
        if foreign:
            more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
            raise error(
                f"`{folder}` holds files that are not reports: `{foreign[0]}`{more}",
                help="name another folder, or remove them",
            )
        new = [
            path for path in contents if path not in present or not _is_same(present[path], contents[path])
        ]
    except OSError as problem:
        raise _unreadable(folder, problem) from None
    gone = [path for path in present if path not in contents]
    for below in {folder, *((folder / path).parent for path in (*new, *gone))}:
        if below.is_dir() and not os.access(below, os.W_OK):
            raise error(f"`{below}` cannot be written: no permission")
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        for path in progress(new, "Reports"):
            content = contents[path]
            _put(temporary / path, content.svg() if isinstance(content, Plot) else content)
        for path in gone:
            (folder / path).unlink()
        for path in new:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (temporary / path).replace(folder / path)
        for below in sorted(folder.rglob("*"), reverse=True):
            if below.is_dir() and not any(below.iterdir()):
                below.rmdir()
    except OSError as problem:
        raise error(f"`{folder}` cannot be written: {problem.strerror or problem}") from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return Written(len(new), len(contents) - len(new), len(gone))


def _present(folder: Path) -> dict[str, Path]:
    """The files of a folder and its subfolders, by their path in it."""
    if not folder.exists():
        return {}
    if not folder.is_dir():
        raise error(f"`{folder}` is a file", help="name a folder, or a new one")
    found = sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return {path.relative_to(folder).as_posix(): path for path in found}


def _is_same(file: Path, content: str | Plot) -> bool:
    data = file.read_bytes()
    if isinstance(content, Plot):
        return is_current(content, data.decode(errors="replace"))
    return data == content.encode()


def _is_ours(file: Path) -> bool:
    """A page with the mark, a picture with its stamp, or the CSV of such a page."""
    if file.is_symlink() or not file.is_file():
        return False
    if file.suffix == ".csv":
        page = file.with_suffix(".md")
        return page.exists() and _is_ours(page)
    text = file.read_bytes().decode(errors="replace")
    return is_stamped(text) if file.suffix == ".svg" else file.suffix == ".md" and MARK in text


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _unreadable(folder: Path, problem: OSError) -> ArchError:
    return error(f"`{folder}` cannot be read: {problem.strerror or problem}")
