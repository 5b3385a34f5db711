"""Operations on locks whose time must grow about linearly. `CASES` has functions of the size, by name."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """An empty folder, as the current folder."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        try:
            yield Path(name)
        finally:
            os.chdir(before)


def _archcalc(*arguments: str) -> None:
    """Run a command in this process, without output on the terminal."""
    from archcalc.cli import main

    before, sys.argv = sys.argv, ["archcalc", *arguments]
    try:
        status: object = 0
        with contextlib.redirect_stdout(io.StringIO()) as out:
            try:
                main()
            except SystemExit as stop:
                status = stop.code
        assert status != 2, out.getvalue()
    finally:
        sys.argv = before


def locked_networks(n: int) -> None:
    """`check --locked` of `n` networks in one file."""
    with _folder() as folder:
        nets = (f"net n{i} {{\n  input(3x8x8)\n  conv(4, 3)\n}}\n" for i in range(n))
        (folder / "nets.arch").write_text("".join(nets))
        _archcalc("lock", "nets.arch")
        _archcalc("check", "--locked")


def _moved(n: int, *options: str, lock: tuple[str, ...] = ()) -> None:
    with _folder() as folder:
        text = "net deep {{\n  input(3x8x8)\n  for i in range({}) {{ conv({}, 1) }}\n}}\n"
        (folder / "deep.arch").write_text(text.format(n, 4))
        _archcalc("lock", "deep.arch", *lock)
        (folder / "deep.arch").write_text(text.format(n, 5))
        _archcalc("check", "--locked", *options)


def moved_layers(n: int) -> None:
    """`check --locked` as a table, with `n` layers that have all changed."""
    _moved(n)


def moved_layers_verbose(n: int) -> None:
    """The same with a line for every figure."""
    _moved(n, "--verbose")


def moved_layers_ci(n: int) -> None:
    """The same as annotations, a summary, and JUnit XML."""
    _moved(n, "--github", "--summary", "summary.md", "--junit", "junit.xml")


def moved_layers_compact(n: int) -> None:
    """The same with a compact lock, whose layers are aligned by their marks."""
    _moved(n, lock=("--compact",))


def every_second_layer(n: int) -> None:
    """Digests of `n` layers, every second of which has changed, as when convolutions lose their biases."""
    from archcalc.checking.digest import Digest

    old, now = ([f"layer {i} {i % 2 * change}" for i in range(n)] for change in (1, 2))
    assert len(list(Digest.of(old).moves(Digest.of(now)))) == n // 2


CASES: dict[str, Callable[[int], None]] = {
    "check --locked, networks in a file": locked_networks,
    "check --locked, moved layers": moved_layers,
    "check --locked --verbose, moved layers": moved_layers_verbose,
    "check --locked for CI, moved layers": moved_layers_ci,
    "check --locked, moved layers of a compact lock": moved_layers_compact,
    "digest, every second layer moved": every_second_layer,
}
