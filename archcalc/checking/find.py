"""What there is to check: the networks that names, files and folders mean."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from archcalc.catalog import find, missing_values, shipped_files, split_overrides
from archcalc.diagnostics import ArchError, Diagnostic, Span, error
from archcalc.language.elaborate import elaborate
from archcalc.language.loader import Module, load_file
from archcalc.language.syntax import Net, Variant
from archcalc.network import Network

SUFFIX = ".arch"


class Subject(Struct, frozen=True, eq=False):
    """A network that is to be checked.

    `name` is the `NET` that opens it again. `path` is its file, and `overrides` the text behind the `?`
    of its name; a network that comes along has no `path`, since its name is enough.
    """

    name: str
    net: Net | Variant
    path: Path | None
    overrides: str = ""

    def network(self) -> Network:
        """Elaborate it. Raises `ArchError`."""
        return elaborate(self.net, split_overrides(self.name)[1] if self.overrides else {})

    @property
    def span(self) -> Span:
        """Where it is declared."""
        return self.net.name_span


class Finder:
    """Finds networks; a file is read once, however many of its networks are asked for.

    `problems` are the mistakes in what could not be read, `unread` the arguments that mean some of it.
    """

    def __init__(self) -> None:
        self.problems: list[Diagnostic] = []
        self.unread: set[str] = set()
        self.modules: dict[Path, Module | None] = {}
        """By path; `None` for a file whose mistakes are among the `problems`."""
        self.missed = False
        """Has such a file been asked for?"""

    def find(self, arguments: Sequence[str]) -> dict[str, list[Subject]]:
        """The networks that `NET`s, files and folders mean; without any, those of the current folder.

        A file or folder means every net in it whose parameters have values. What could be read is found,
        the rest is in `problems`. A network that several arguments mean is one and the same `Subject`.
        """
        known: dict[tuple[str, str, str], Subject] = {}
        found: dict[str, list[Subject]] = {}
        for argument in arguments or ["."]:
            subjects = found.setdefault(argument, [])
            self.missed = False
            try:
                for subject in self._of(argument):
                    file = os.path.realpath(subject.span.source.path or subject.span.source.name)
                    subjects.append(known.setdefault((file, subject.net.name, subject.overrides), subject))
            except ArchError as mistake:
                self.problems += mistake.diagnostics
                self.missed = True
            if self.missed:
                self.unread.add(argument)
        return found

    def open(self, name: str, folder: Path) -> Subject | None:
        """The network that a lock file in `folder` names; `None` if its file's mistakes are known."""
        plain, question, overrides = name.partition("?")
        if ":" not in plain:
            spec = find(plain)
            return Subject(name, spec.net, None, overrides)
        file, _, net = plain.rpartition(":")
        path = Path(os.path.normpath(folder / file))
        module = self._module(path)
        if module is None:
            return None
        if net not in module.nets:
            raise error(f"`{path}` has no net `{net}`")
        return Subject(f"{path}:{net}{question}{overrides}", module.nets[net], path, overrides)

    def _of(self, argument: str) -> Iterable[Subject]:
        path = Path(argument)
        if argument not in shipped_files():
            if os.path.isdir(path):  # noqa: PTH112 - `Path.is_dir` raises for a name that is too long
                return [s for file in self._files(path) for s in self.of_file(file)]
            if argument.endswith(SUFFIX):
                return self.of_file(path)
        plain, _, overrides = argument.partition("?")
        spec = find(plain)
        split_overrides(argument)
        own = None if plain in shipped_files() else spec.module.source.path
        name = argument if own is None or ":" in plain else f"{plain}:{spec.name}{argument[len(plain) :]}"
        return [Subject(name, spec.net, own, overrides)]

    def of_file(self, path: Path, shown: str = "") -> list[Subject]:
        """The nets in a file whose parameters have values; `shown` is the file's name in diagnostics."""
        module = self._module(path, shown)
        if module is None:
            return []
        nets = module.nets.items()
        return [Subject(f"{path}:{name}", net, path) for name, net in nets if not missing_values(net)]

    def _module(self, path: Path, shown: str = "") -> Module | None:
        if path not in self.modules:
            self.modules[path] = None
            try:
                self.modules[path] = load_file(path, shown)
            except ArchError as found:
                self.problems += found.diagnostics
        self.missed = self.missed or self.modules[path] is None
        return self.modules[path]

    def _files(self, folder: Path) -> list[Path]:
        """The `.arch` files in a folder and below it, but for hidden folders and virtual environments."""
        files: list[Path] = []
        for here, folders, names in os.walk(folder, onerror=self._unreadable):
            if "pyvenv.cfg" in names and Path(here) != folder:
                folders.clear()
                continue
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            files += [Path(here, name) for name in sorted(names) if name.endswith(SUFFIX)]
        return files

    def _unreadable(self, problem: OSError) -> None:
        self.missed = True
        self.problems.append(Diagnostic(f"`{problem.filename}` cannot be read: {problem.strerror}"))


def each_once(found: dict[str, list[Subject]]) -> list[Subject]:
    """The networks of all arguments, in order."""
    return list(dict.fromkeys(subject for subjects in found.values() for subject in subjects))


def lock_name(subject: Subject, folder: Path) -> str:
    """How a lock file in `folder` names a network: so that it is found from wherever it is checked."""
    if subject.path is None:
        return subject.name
    path = Path(os.path.relpath(subject.path, folder)).as_posix()
    return f"{path}:{subject.net.name}" + (f"?{subject.overrides}" if subject.overrides else "")
