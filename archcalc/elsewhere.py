"""Networks that are not in files: on the standard input, in pipes, and in revisions of git."""

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
from archcalc.readers import arch

STANDARD_INPUT = ("-", "/dev/stdin")
SUFFIX = ".arch"
"""Only texts are read from elsewhere: a program from an old revision should not run unasked."""


def find_elsewhere(net: str) -> tuple[Sequence[Opened], str, str] | None:
    """The networks where a `NET` says, that place, and the name of the net; `None` if it means a file.

    Raises `ArchError` if they cannot be read.
    """
    place, colon, name = net.partition(":")
    if place in STANDARD_INPUT:
        return _named(_standard_input(), place), place, name
    if (pipe := _pipe_at(place)) is not None:
        return _named(_in_pipe(place, pipe), place), place, name
    path, _, name = name.partition(":")
    is_revision = bool(colon) and path.endswith(SUFFIX) and not place.endswith(SUFFIX)
    if not is_revision or _is_drive(place):
        return None
    return _revision(place, path), f"{place}:{path}", name


def _named(networks: Sequence[Opened], place: str) -> list[Opened]:
    """The networks, each with the `NET` that opens it again."""
    return [replace(network, net=f"{place}:{network.name}") for network in networks]


@cache
def _standard_input() -> Sequence[Opened]:
    """The networks on the standard input, which can be read only once."""
    data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1) if sys.stdin is not None else b""
    return arch.read_bytes(data, "<stdin>")


def _pipe_at(place: str) -> int | None:
    """What identifies the pipe at a place; `None` if there is none."""
    try:
        found = os.stat(place)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return found.st_ino if stat.S_ISFIFO(found.st_mode) else None


@cache
def _in_pipe(place: str, pipe: int) -> Sequence[Opened]:
    """The networks in a pipe, which can be read only once."""
    try:
        with open(place, "rb") as stream:  # noqa: PTH123
            return arch.read_bytes(stream.read(MAX_FILE_BYTES + 1), place)
    except OSError as problem:
        raise error(f"`{place}` cannot be read: {problem.strerror}") from None


# --- Revisions of git -------------------------------------------------------------------------------


def _is_drive(place: str) -> bool:
    return os.name == "nt" and len(place) == 1


def _revision(revision: str, path: str) -> Sequence[Opened]:
    """The networks in a file of a revision, with its imports from the same revision.

    The files are written into a folder that is removed at once, so that they are read like any others.
    """
    with tempfile.TemporaryDirectory(prefix="archcalc-") as folder:
        top, _, _ = path.rpartition("/")
        wanted, seen = [path], {path}
        while wanted and len(seen) <= MAX_FILES + 1:
            name = wanted.pop()
            data = _blob(revision, name, required=name == path)
            target = Path(folder, os.path.relpath(name, top or "."))
            target.parent.mkdir(parents=True, exist_ok=True)
            if data is None:  # its import is an error, which the reader reports with its place
                continue
            target.write_bytes(data)
            inside = [each for each in _imports(name, data) if f"{each}".startswith(f"{top}/" if top else "")]
            wanted += [each for each in inside if each not in seen and not each.startswith(("../", "/"))]
            seen.update(inside)
        shown = f"{revision}:{path}"
        networks = arch.read(Path(folder, path.rpartition("/")[2]), shown)
        texts = networks[0].texts() if networks else {}
    return [replace(each, path=None, texts=lambda: texts) for each in networks]


def _imports(name: str, data: bytes) -> list[str]:
    """The paths of what a file imports."""
    text = data.decode("utf-8", "replace")
    return [_beside(name, each) for each in arch.imported_paths(text)]


def _beside(name: str, imported: str) -> str:
    """A path beside a file; one that begins with `./` keeps it, since git reads it from another folder."""
    path = normpath(join(dirname(name), imported))
    return f"./{path}" if name.startswith("./") and not path.startswith(("../", "/")) else path


def _blob(revision: str, path: str, required: bool) -> bytes | None:
    """What a file holds in a revision; `None` if it is not there and need not be. Raises `ArchError`.

    `cat-file` runs no filter, no pager and nothing else that a repository may have configured, and it does
    not fetch what is missing.
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
            data = git.stdout.read(MAX_FILE_BYTES + 1)
            if len(data) > MAX_FILE_BYTES:
                git.kill()
                return data  # the reader refuses it
            said = git.stderr.read().decode(errors="replace")
    except FileNotFoundError:
        raise error(f"`{place}` cannot be read: git is not installed") from None
    except OSError as problem:
        raise error(f"`{place}` cannot be read: git does not start: {problem.strerror}") from None
    if git.returncode == 0:
        return data
    if not required:
        return None
    reason = next(iter(said.splitlines()), "git failed").removeprefix("fatal: ").rstrip(".")
    help = ""
    if "path '" in reason:
        help = f"a path starts at the top of the repository: `{revision}:./{path}` starts in this folder"
    raise error(f"git cannot read `{place}`: {reason}", help=help)
