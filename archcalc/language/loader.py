"""Files to definitions: reading, imports, and what may be read."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from archcalc.language.limits import MAX_FILE_BYTES, MAX_FILES
from archcalc.language.parser import parse
from archcalc.language.resolve import Resolver
from archcalc.language.syntax import Definition, File, Import, Net, Variant
from archcalc.source import ArchError, Diagnostic, Note, Source, Span, error, near_miss


class Module(Struct, eq=False):
    """A file with all its names resolved; `definitions` are its own, by name, in order."""

    source: Source
    doc: str
    definitions: dict[str, Definition]

    @property
    def nets(self) -> dict[str, Net | Variant]:
        return {
            name: definition
            for name, definition in self.definitions.items()
            if isinstance(definition, Net | Variant)
        }


def load_text(text: str, name: str = "<text>") -> Module:
    """A module from a string; it can import nothing."""
    return _Loader(None).resolve(Source(name, text))


def load_file(path: Path, shown: str = "") -> Module:
    """A module from a file; `shown` is the name diagnostics use. It may import from its own folder.

    Raises `ArchError` for a file that cannot be read, and with every mistake in it.
    """
    return _Loader(path.parent).load(path, shown or str(path), None)


class _Loader:
    """The files of one load: what has been read, and what is being read."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.modules: dict[str, Module] = {}
        self.loading: list[str] = []

    def load(self, path: Path, shown: str, asked: Span | None) -> Module:
        text = _read(path, shown, asked)
        key = os.path.realpath(path)
        if key in self.modules:
            return self.modules[key]
        if key in self.loading:
            raise error(
                f"`{shown}` imports itself", asked, help="move what both files need into a third one"
            )
        if len(self.modules) + len(self.loading) >= MAX_FILES:
            raise error(f"more than {MAX_FILES} files are imported", asked)
        self.loading.append(key)
        module = self.resolve(Source(shown, text, path))
        self.loading.pop()
        self.modules[key] = module
        return module

    def resolve(self, source: Source) -> Module:
        file, problems = parse(source)
        imported: dict[str, tuple[Definition, Span]] = {}
        broken = bool(problems)
        for item in file.items:
            if isinstance(item, Import):
                try:
                    self.import_(source, item, imported)
                except ArchError as found:
                    problems.extend(found.diagnostics)
                    broken = True
        definitions = [item for item in file.items if not isinstance(item, Import)]
        resolver = Resolver(imported)
        resolver.file(definitions)
        if not broken:
            problems.extend(resolver.problems)
        elif resolver.problems:
            problems.extend(_certain(resolver.problems))
        if not problems and not file.items:
            problems.append(Diagnostic("the file defines nothing", Span(source, 0, 0)))
        if problems:
            raise ArchError(problems)
        return Module(source, file.doc, {definition.name: definition for definition in definitions})

    def import_(self, source: Source, item: Import, into: dict[str, tuple[Definition, Span]]) -> None:
        module = self.load(*self.locate(source, item))
        for name, span in item.names:
            definition = module.definitions.get(name)
            if definition is None:
                raise error(
                    f"`{item.path}` does not define `{name}`", span, help=near_miss(name, module.definitions)
                )
            if name in into:
                raise error(
                    f"`{name}` is imported twice", span, notes=[Note("the first time", into[name][1])]
                )
            into[name] = (definition, span)

    def locate(self, source: Source, item: Import) -> tuple[Path, str, Span]:
        """The file that an import names, inside the folder of the file that was loaded first."""
        if self.folder is None or source.path is None:
            raise error("a text without a file cannot import", item.path_span, help="save it as a file")
        if not item.path or "\\" in item.path or "\0" in item.path:
            raise error(f"`{item.path}` is not a file's name", item.path_span)
        path = source.path.parent / item.path
        root = os.path.realpath(self.folder)
        if os.path.isabs(item.path) or not os.path.realpath(path).startswith(root.rstrip(os.sep) + os.sep):
            raise error(
                "an import stays in the folder of the file that is loaded, or below it",
                item.path_span,
                help="move the file there, or load from the folder above",
            )
        shown = os.path.normpath(os.path.join(os.path.dirname(source.name), item.path))
        return path, shown, item.path_span


def _certain(problems: list[Diagnostic]) -> list[Diagnostic]:
    """After a mistake in the text, only what does not come from the missing part."""
    doubtful = ("is never used", "unknown ", "nothing uses", "is empty", "not defined yet")
    return [problem for problem in problems if not any(word in problem.message for word in doubtful)]


def _read(path: Path, shown: str, asked: Span | None) -> str:
    """The text of a file; every reason why there is none is a diagnostic."""
    try:
        if path.is_dir():
            raise error(f"`{shown}` is a folder", asked, help="name an `.arch` file in it")
        if path.exists() and not path.is_file():
            raise error(f"`{shown}` is not a regular file", asked)
        with open(path, "rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise error(f"there is no file `{shown}`", asked) from None
    except (OSError, ValueError, RuntimeError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise error(f"`{shown}` cannot be read: {reason}", asked) from None
    if len(data) > MAX_FILE_BYTES:
        raise error(f"`{shown}` is larger than {MAX_FILE_BYTES // 2**20} MiB", asked)
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        raise error(
            f"`{shown}` is not UTF-8 text: a byte of line {line} is {data[problem.start]:#04x}",
            asked,
            help="save it as UTF-8",
        ) from None


__all__ = ["File", "Module", "load_file", "load_text"]
