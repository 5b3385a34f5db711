"""The networks to check: those that names, files, and folders mean."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from archcalc.catalog import shipped_files
from archcalc.diagnostics import ArchError, Diagnostic, Problems, Span
from archcalc.network import Network
from archcalc.opened import Opened, Shapes
from archcalc.opening import open_in_file, open_net, read_file, split_overrides
from archcalc.readers import holds_expectations, suffix_of
from archcalc.settings import DEFAULT, Settings


class CheckedNetwork(Struct, frozen=True, eq=False):
    """A network to check: an opened network, and values for its parameters.

    `overrides` is the text after the `?` of its name, and `values` its meaning. `inputs` are shapes that
    replace those of the network's inputs.
    """

    opened: Opened
    overrides: str = ""
    values: Mapping[str, Any] = {}
    inputs: Shapes = {}

    @property
    def name(self) -> str:
        """The `NET` that opens it again."""
        return self.opened.net + (f"?{self.overrides}" if self.overrides else "")

    @property
    def span(self) -> Span | None:
        """The place where it is declared."""
        return self.opened.span

    def network(self) -> Network:
        """Make it. Raises `ArchError`."""
        return self.opened.network(self.values, self.inputs)


class Finder:
    """Finds networks. Each file is read once.

    Every network is made with the values and shapes of `settings`. `problems` are the mistakes in networks
    that could not be read, and `unread` the arguments that mean such networks.
    """

    def __init__(self, settings: Settings = DEFAULT) -> None:
        self.settings = settings
        self.problems = Problems()
        self.unread: set[str] = set()
        self.missed = False
        """Do some arguments mean networks that could not be read?"""
        self._files: dict[str, dict[str, Opened] | None] = {}
        """The networks of each file by name, by the path as it is shown; `None` if its mistakes are known."""

    def under(self, settings: Settings) -> Finder:
        """A finder with other settings, which shares the files that are read, and the problems."""
        other = Finder(settings)
        other.problems, other._files = self.problems, self._files
        return other

    def find(self, arguments: Sequence[str]) -> dict[str, list[CheckedNetwork]]:
        """The networks that `NET`s, files, and folders mean; without arguments, those of the current folder.

        A file or folder means every network in it whose parameters have values. Networks that cannot be read
        are in `problems`. If several arguments mean the same network, it is found once.
        """
        known: dict[tuple[str, str, str], CheckedNetwork] = {}
        found: dict[str, list[CheckedNetwork]] = {}
        for argument in arguments or ["."]:
            networks = found.setdefault(argument, [])
            self.missed = False
            try:
                for network in self._of(argument):
                    opened = network.opened
                    file = os.path.realpath(opened.path or opened.net)
                    networks.append(known.setdefault((file, opened.name, network.overrides), network))
            except ArchError as mistake:
                self._note(mistake)
            if self.missed:
                self.unread.add(argument)
        return found

    def open(self, name: str, folder: Path) -> CheckedNetwork:
        """The network that a lock file in `folder` names.

        Raises `ArchError`, which is empty for a file whose mistakes are known.
        """
        plain, _, overrides = name.partition("?")
        if ":" not in plain:
            return self._named(name)
        shown, net = _place(plain, folder)
        # a look-up by name: `open_in_file` goes through all networks of the file each time
        opened = self._in_file(shown).get(net) or open_in_file(f"{shown}:{net}", self._read)
        return CheckedNetwork(opened, overrides, split_overrides(name)[1], self.settings.inputs)

    def exists(self, name: str, folder: Path) -> bool:
        """Is the network that a lock file in `folder` names still there? A broken file may have it."""
        plain = name.partition("?")[0]
        if ":" not in plain:
            return plain in shipped_files()
        shown, net = _place(plain, folder)
        if not suffix_of(shown):
            return True
        try:
            return os.path.exists(shown) and net in self._in_file(shown)  # noqa: PTH110
        except ArchError as mistake:
            self._note(mistake)
            return True

    def _in_file(self, shown: str) -> dict[str, Opened]:
        """The networks of a file by name; none for the name of a Python module."""
        suffix = suffix_of(shown)
        if suffix and self._files.get(shown) is None:
            self._read(suffix, Path(shown), shown)
        return self._files.get(shown) or {}

    def _of(self, argument: str) -> Iterable[CheckedNetwork]:
        if argument not in shipped_files():
            path = Path(argument)
            if os.path.isdir(path):  # noqa: PTH112 - `Path.is_dir` raises for a name that is too long
                return [network for file in self._files_in(path) for network in self._of_file(file)]
            if suffix_of(argument):
                return self._of_file(path)
        return [self._named(argument)]

    def _named(self, net: str) -> CheckedNetwork:
        opened, values = open_net(self.settings.applied_to(net), self._read)
        return CheckedNetwork(
            opened, self.settings.applied_to(net).partition("?")[2], values, self.settings.inputs
        )

    def _of_file(self, path: Path) -> list[CheckedNetwork]:
        """The networks in a file whose parameters have values; none if it cannot be read."""
        try:
            networks = self._read(suffix_of(path.name), path, str(path))
        except ArchError as mistake:
            self._note(mistake)
            return []
        settings = self.settings
        return [
            CheckedNetwork(opened, settings.set_text, settings.overrides, settings.inputs)
            for opened in networks
            if not opened.missing
        ]

    def _read(self, suffix: str, path: Path, shown: str) -> Sequence[Opened]:
        """The networks in a file. Only the first error for a file lists its mistakes."""
        if shown not in self._files:
            self._files[shown] = None
            self._files[shown] = {network.name: network for network in read_file(suffix, path, shown)}
        networks = self._files[shown]
        if networks is None:
            raise ArchError([])
        return [*networks.values()]

    def _note(self, mistake: ArchError) -> None:
        self.missed = True
        self.problems += mistake.diagnostics

    def _files_in(self, folder: Path) -> list[Path]:
        """The files with expectations in a folder and below it, except in hidden folders and virtual
        environments."""
        files: list[Path] = []
        for here, folders, names in os.walk(folder, onerror=self._unreadable):
            if "pyvenv.cfg" in names and Path(here) != folder:
                folders.clear()
                continue
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            files += [Path(here, name) for name in sorted(names) if holds_expectations(name)]
        return files

    def _unreadable(self, problem: OSError) -> None:
        self.missed = True
        self.problems.append(Diagnostic(f"`{problem.filename}` cannot be read: {problem.strerror}"))


def is_path(argument: str) -> bool:
    """Does an argument mean a file or folder, and therefore every network in it?"""
    return argument not in shipped_files() and (os.path.isdir(argument) or bool(suffix_of(argument)))  # noqa: PTH112


def seen_from(folder: Path, net: str) -> str:
    """A `NET` with the path of its file relative to `folder`, if it names a file."""
    plain, question, values = net.partition("?")
    file = plain if suffix_of(plain) else plain.rpartition(":")[0]
    if plain in shipped_files() or not suffix_of(file):
        return net
    return os.path.relpath(folder / plain) + question + values


def _place(plain: str, folder: Path) -> tuple[str, str]:
    """The file that a lock file in `folder` names, and the network in it."""
    file, _, net = plain.rpartition(":")
    return os.path.normpath(folder / file), net


def each_once(found: dict[str, list[CheckedNetwork]]) -> list[CheckedNetwork]:
    """The networks of all arguments, in order."""
    return list(dict.fromkeys(network for networks in found.values() for network in networks))


def lock_name(checked: CheckedNetwork, folder: Path) -> str:
    """The name of a network in a lock file in `folder`, which does not depend on the current folder."""
    opened = checked.opened
    if opened.built_in or opened.path is None:
        return checked.name
    path = Path(os.path.relpath(opened.path, folder)).as_posix()
    return f"{path}:{opened.name}" + (f"?{checked.overrides}" if checked.overrides else "")
