"""Networks that are not in files: on standard input, in pipes, and in git revisions."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from posixpath import dirname, join, normpath

from msgspec.structs import replace

from archcalc.diagnostics import error
from archcalc.language.limits import MAX_FILE_BYTES, MAX_FILES
from archcalc.opened import Opened
from archcalc.readers import arch, reader, suffix_of

STANDARD_INPUT = ("-", "/dev/stdin")
SUFFIX = ".arch"
CODE = ".py"
"""Not run from a revision: an old program should not run without being asked for."""

CHECK_OUT = "check the revision out, and name its file"

POINTER = b"version https://git-lfs.github.com/spec/"
"""The start of the pointer that Git LFS stores in place of a file."""

MAX_MODEL_BYTES = 4 * 2**30
"""The largest model to read from a repository; git itself is slow with such files."""


def find_elsewhere(net: str) -> tuple[Sequence[Opened], str, str] | None:
    """Return the networks that a `NET` refers to, their place, and the net's name; `None` if it is a file.

    Raises `ArchError` if they cannot be read.
    """
    place, colon, name = net.partition(":")
    if place in STANDARD_INPUT:
        return _named(_standard_input(), place), place, name
    if (pipe := _pipe_at(place)) is not None:
        return _named(_in_pipe(place, pipe), place), place, name
    path, _, name = name.partition(":")
    suffix = suffix_of(path)
    is_revision = bool(colon and suffix) and not suffix_of(place)
    if not is_revision or _is_drive(place):
        return None
    if suffix == CODE:
        raise error(
            f"`{place}:{path}` is code of a revision, which archcalc does not run",
            help=CHECK_OUT,
        )
    return _revision(place, path), f"{place}:{path}", name


def _named(networks: Sequence[Opened], place: str) -> list[Opened]:
    """Return the networks, each with the `NET` that opens it again."""
    return [replace(network, net=f"{place}:{network.name}") for network in networks]


@cache
def _standard_input() -> Sequence[Opened]:
    """Read the networks on standard input, which can be read only once."""
    data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1) if sys.stdin is not None else b""
    return arch.read_bytes(data, "<stdin>")


def _pipe_at(place: str) -> int | None:
    """Identify the pipe at a place; `None` if there is none."""
    try:
        found = os.stat(place)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return found.st_ino if stat.S_ISFIFO(found.st_mode) else None


@cache
def _in_pipe(place: str, pipe: int) -> Sequence[Opened]:
    """Read the networks in a pipe, which can be read only once."""
    try:
        with open(place, "rb") as stream:  # noqa: PTH123
            return arch.read_bytes(stream.read(MAX_FILE_BYTES + 1), place)
    except OSError as problem:
        raise error(f"`{place}` cannot be read: {problem.strerror}") from None


# --- Revisions of git -------------------------------------------------------------------------------


def _is_drive(place: str) -> bool:
    return os.name == "nt" and len(place) == 1


def _revision(revision: str, path: str) -> Sequence[Opened]:
    """Read the networks in a file of a revision, with its imports from the same revision.

    The files are written to a folder that is removed when Python exits. So they can be read like any
    others, including models, which are read only when needed.
    """
    folder = Path(_folder().name, str(len(os.listdir(_folder().name))))  # noqa: PTH208
    top, _, _ = path.rpartition("/")
    wanted, seen = [path], {path}
    while wanted and len(seen) <= MAX_FILES + 1:
        name = wanted.pop()
        target = Path(folder, os.path.relpath(name, top or "."))
        target.parent.mkdir(parents=True, exist_ok=True)
        # an imported file may be missing; the reader reports that with its place
        if not _write_blob(revision, name, target, required=name == path) or suffix_of(name) != SUFFIX:
            continue
        inside = [each for each in _imports(name, target) if f"{each}".startswith(f"{top}/" if top else "")]
        wanted += [each for each in inside if each not in seen and not each.startswith(("../", "/"))]
        seen.update(inside)
    shown = f"{revision}:{path}"
    networks = reader(suffix_of(path)).read(folder / path.rpartition("/")[2], shown)
    return [replace(each, path=None) for each in networks]


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="archcalc-")


def _imports(name: str, file: Path) -> list[str]:
    """Return the paths that a text imports, and those of the models it names."""
    text = file.read_text("utf-8", "replace")
    return [_beside(name, each) for each in arch.imported_paths(text)]


def _beside(name: str, imported: str) -> str:
    """Return a path next to a file. A leading `./` is kept, since git would otherwise use another folder."""
    path = normpath(join(dirname(name), imported))
    return f"./{path}" if name.startswith("./") and not path.startswith(("../", "/")) else path


def _write_blob(revision: str, path: str, target: Path, required: bool) -> bool:
    """Write a file from a revision; returns false if it is missing and not required. Raises `ArchError`.

    `cat-file` runs no filters, no pager and nothing else that a repository may configure, and does not
    fetch missing objects.
    """
    place = f"{revision}:{path}"
    if place.startswith("-") or "\0" in place:
        raise error(f"`{place}` is not a revision of git")
    environment = {**os.environ, "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    try:
        with subprocess.Popen(
            ["git", "cat-file", "blob", place],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        ) as git:
            assert git.stdout is not None
            assert git.stderr is not None
            is_whole = _copy(git, target, MAX_FILE_BYTES if path.endswith(SUFFIX) else MAX_MODEL_BYTES, place)
            said = git.stderr.read().decode(errors="replace")
    except FileNotFoundError:
        raise error(f"`{place}` cannot be read: git is not installed") from None
    except OSError as problem:
        raise error(f"`{place}` cannot be read: git does not start: {problem.strerror}") from None
    if git.returncode == 0 or not is_whole:
        return True
    target.unlink()
    if not required:
        return False
    reason = next(iter(said.splitlines()), "git failed").removeprefix("fatal: ").rstrip(".")
    help = ""
    if "path '" in reason:
        help = f"a path starts at the top of the repository: `{revision}:./{path}` starts in this folder"
    raise error(f"git cannot read `{place}`: {reason}", help=help)


def _copy(git: subprocess.Popen[bytes], target: Path, most: int, place: str) -> bool:
    """Write git's output to a file, up to a limit; returns whether that was all of it.

    Raises `ArchError` for a pointer of Git LFS.
    """
    assert git.stdout is not None
    left = most + 1  # one byte more than a reader accepts, so that it rejects the file
    with target.open("wb") as file:
        while left > 0 and (data := git.stdout.read(min(left, 2**20))):
            file.write(data)
            left -= len(data)
    if left <= 0:
        git.kill()
    with target.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            git.kill()
            raise error(
                f"`{place}` is a pointer of Git LFS: the revision has no file",
                help=CHECK_OUT,
            )
    return left > 0
