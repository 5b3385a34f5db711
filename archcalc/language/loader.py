"""Loads files: reads them, follows imports, and checks which files can be read."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from archcalc.diagnostics import MAX_REPORTED, ArchError, Diagnostic, Note, Source, Span, error, unknown
from archcalc.language.limits import MAX_FILE_BYTES, MAX_FILES
from archcalc.language.parser import parse
from archcalc.language.resolve import Resolver
from archcalc.language.syntax import Definition, Import, Imported, Net, Variant


class Module(Struct, eq=False):
    """A file with all names resolved. `definitions` has its own definitions by name, in order."""

    source: Source
    doc: str
    definitions: dict[str, Definition]

    @property
    def nets(self) -> dict[str, Net | Variant | Imported]:
        return {
            name: definition
            for name, definition in self.definitions.items()
            if isinstance(definition, Net | Variant | Imported)
        }


def load_text(text: str, name: str = "<text>") -> Module:
    """A module from a string, which cannot import files. Raises `ArchError` with every mistake in it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as problem:
        character = f"U+{ord(text[problem.start]):04X}"
        raise error(f"`{name}` is not valid text: it contains the lone surrogate {character}") from None
    return _Loader(None).resolve(Source(name, text))


def load_bytes(data: bytes, name: str) -> Module:
    """A module from bytes, which cannot import files. Raises `ArchError`, like `load_text`."""
    _check_size(data, name, None, MAX_FILE_BYTES)
    return load_text(_decode(data, name, None), name)


def load_file(path: Path, shown: str = "") -> Module:
    """A module from a file, which can import files of its folder. `shown` is its name in error messages.

    Raises `ArchError` if the file cannot be read, and with every mistake in it.
    """
    module = _Loader(path.parent).load(path, shown or str(path), None)
    assert module is not None
    return module


def read_source(path: Path, shown: str) -> Source:
    """A text file with the name `shown`. Raises `ArchError` if it cannot be read or is not UTF-8."""
    return Source(shown, _decode(_read(path, shown, None, MAX_FILE_BYTES), shown, None), path)


class _Loader:
    """The files of one load: those that have been read, and those that are being read."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.modules: dict[str, Module | None] = {}
        """By resolved path. `None` is a file whose mistakes have been reported."""
        self.loading: dict[str, str] = {}
        """The names of the open files as messages show them, by resolved path, outermost first."""
        self.bytes_left = MAX_FILE_BYTES
        self.problems = 0
        """The mistakes in the files so far. No more files are read once no more mistakes would be shown."""

    def load(self, path: Path, shown: str, asked: Span | None) -> Module | None:
        """The module of a file, or `None` if its mistakes have been reported."""
        if "\0" in str(path):
            raise error(f"`{shown}` is not a file name: it contains a NUL character", asked)
        key = os.path.realpath(path)
        if key in self.modules:
            return self.modules[key]
        if key in self.loading:
            files = list(self.loading)
            between = [f"`{self.loading[file]}`" for file in files[files.index(key) + 1 :]]
            way = f" through {', '.join(between)}" if between else ""
            help = "move the shared definitions to a third file" if between else "remove the import"
            raise error(f"`{self.loading[key]}` imports itself{way}", asked, help=help)
        if len(self.modules) + len(self.loading) > MAX_FILES:  # the first file is not an import
            raise error(f"the file imports more than {MAX_FILES} files", asked)
        data = _read(path, shown, asked, self.bytes_left)
        self.bytes_left -= len(data)
        self.loading[key] = shown
        try:
            module = self.resolve(Source(shown, _decode(data, shown, asked), path))
        except ArchError:
            self.modules[key] = None
            raise
        finally:
            del self.loading[key]
        self.modules[key] = module
        return module

    def resolve(self, source: Source) -> Module:
        file = parse(source)
        placed = [(problem.span, problem) for problem in file.problems]
        imported: dict[str, tuple[Definition, Span]] = {}
        lost = set(file.lost)
        broken = False
        for item in file.items:
            if isinstance(item, Import):
                if self.problems + len(placed) >= MAX_REPORTED:
                    lost.update(name for name, _ in item.names)
                    continue
                try:
                    module = self.load(*self.locate(source, item))
                    problems = [] if module is None else self.take(module, item, imported)
                except ArchError as found:
                    module, problems = None, list(found.diagnostics)
                if module is None or problems:
                    broken = True
                    lost.update(name for name, _ in item.names if name not in imported)
                placed += [(item.path_span, problem) for problem in problems]
            elif isinstance(item, Imported):
                try:
                    item.file = self.locate(source, item)[:2]
                except ArchError as found:
                    placed += [(item.path_span, problem) for problem in found.diagnostics]
        definitions = [item for item in file.items if not isinstance(item, Import)]
        if file.whole:
            resolver = Resolver(imported, lost)
            resolver.file(definitions)
            placed += [(problem.span, problem) for problem in resolver.problems]
        if placed or broken:
            placed.sort(key=lambda item: item[0].start if item[0] is not None else 0)
            self.problems += len(placed)
            raise ArchError([problem for _, problem in placed])
        return Module(source, file.doc, {definition.name: definition for definition in definitions})

    def take(
        self, module: Module, item: Import, into: dict[str, tuple[Definition, Span]]
    ) -> list[Diagnostic]:
        """Import the named definitions of a module, and report names that it does not have."""
        problems: list[Diagnostic] = []
        for name, span in item.names:
            definition = module.definitions.get(name)
            if definition is None:
                what = f"`{item.path}` does not define"
                problems += unknown(what, name, module.definitions, span).diagnostics
            elif name in into:
                notes = (Note("the first import is here", into[name][1]),)
                problems.append(
                    Diagnostic(f"`{name}` is imported twice", span, notes=notes, help="remove one")
                )
            else:
                into[name] = (definition, span)
        return problems

    def locate(self, source: Source, item: Import | Imported) -> tuple[Path, str, Span]:
        """The file of an import. It must be in the folder of the first loaded file, or below it."""
        if self.folder is None or source.path is None:
            raise error("only a file can import", item.path_span, help="save it as a file")
        help = 'write `from "common.arch" import ...`'
        if not item.path:
            raise error("the import does not name a file", item.path_span, help=help)
        if "\\" in item.path or "\0" in item.path:
            raise error(f"`{item.path}` is not a file name", item.path_span, help=help)
        path = source.path.parent / item.path
        root = os.path.realpath(self.folder)
        inside = os.path.realpath(path).startswith(root.rstrip(os.sep) + os.sep)
        if Path(item.path).is_absolute() or not inside:
            raise error(
                "an imported file must be in the folder of the loaded file, or below it",
                item.path_span,
                help="move the file there, or load a file in a folder above both",
            )
        return path, os.path.normpath(Path(source.name).parent / item.path), item.path_span


def _read(path: Path, shown: str, asked: Span | None, most: int) -> bytes:
    """The bytes of a file. Every reason why it cannot be read becomes a diagnostic."""
    try:
        if path.is_dir():
            raise error(f"`{shown}` is a folder", asked, help="name an `.arch` file in it")
        if path.exists() and not path.is_file():
            raise error(f"`{shown}` is not a regular file", asked)
        with path.open("rb") as stream:
            data = stream.read(most + 1)
    except FileNotFoundError:
        raise error(f"there is no file `{shown}`", asked) from None
    except (OSError, ValueError, RuntimeError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise error(f"`{shown}` cannot be read: {reason[:1].lower()}{reason[1:]}", asked) from None
    _check_size(data, shown, asked, most)
    return data


def _check_size(data: bytes, shown: str, asked: Span | None, most: int) -> None:
    if len(data) > most:
        more = "a file and its imports have" if asked is not None else f"`{shown}` has"
        raise error(f"{more} more than {MAX_FILE_BYTES // 2**20} MiB", asked)


def _decode(data: bytes, shown: str, asked: Span | None) -> str:
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        raise error(
            f"`{shown}` is not UTF-8 text: line {line} has the byte {data[problem.start]:#04x}",
            asked,
            help="save it as UTF-8",
        ) from None


__all__ = ["Module", "load_bytes", "load_file", "load_text", "read_source"]
