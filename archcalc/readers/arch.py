"""The reader of `.arch` files: texts in archcalc's own language."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from archcalc.language.elaborate import elaborate
from archcalc.language.loader import Module, load_bytes, load_file, load_text
from archcalc.language.syntax import Net, Variant
from archcalc.opened import Opened

EXPECTATIONS = True

_IMPORT = re.compile(r'^from[ \t]+"([^"]+)"', re.MULTILINE)
_YEAR = re.compile(r"\b(19[5-9]\d|20[0-3]\d)\b")


def read(path: Path, shown: str) -> list[Opened]:
    """The nets of a file. Raises `ArchError` if it or what it imports cannot be read."""
    return _networks(load_file(path, shown), shown)


def read_text(text: str, shown: str = "<text>") -> list[Opened]:
    """The nets of a text, which can import nothing. Raises `ArchError` with every mistake in it."""
    return _networks(load_text(text, shown), shown)


def read_bytes(data: bytes, shown: str) -> list[Opened]:
    """The nets of a text that is not in a file. Raises `ArchError` with every mistake in it."""
    return _networks(load_bytes(data, shown), shown)


def imported_paths(text: str) -> list[str]:
    """What a text imports, as it is written."""
    return _IMPORT.findall(text)


def missing_values(net: Net | Variant) -> tuple[str, ...]:
    """The parameters of a net that nothing gives a value."""
    given = net.defaults if isinstance(net, Variant) else {}
    return tuple(p.name for p in _origin(net).params if p.default is None and p.name not in given)


def _networks(module: Module, shown: str) -> list[Opened]:
    nets = module.nets.values()
    missing = {net.name: missing_values(net) for net in nets}
    siblings = tuple(name for name, parameters in missing.items() if not parameters)
    path = module.source.path
    found = []
    for net in nets:
        reference, year = _reference(net, module)
        found.append(
            Opened(
                name=net.name,
                net=f"{shown}:{net.name}",
                make=partial(elaborate, net),
                path=path,
                family=path.stem if path is not None else "",
                reference=reference,
                year=year,
                span=net.name_span,
                parameters=tuple(param.name for param in _origin(net).params),
                missing=missing[net.name],
                siblings=siblings,
                expectations=net.expectations,
                texts=partial(_texts, module),
            )
        )
    return found


def _origin(net: Net | Variant) -> Net:
    """The net whose body and parameters a net has: itself, unless it is a variant."""
    origin: Net = net.origin if isinstance(net, Variant) else net
    return origin


def _reference(net: Net | Variant, module: Module) -> tuple[str, int | None]:
    """The first line with a year above the net, its base, or in the file's head; and the year."""
    docs = [net.doc]
    if isinstance(net, Variant):
        base = module.definitions.get(net.base)
        docs += [base.doc if base is not None else "", _origin(net).doc]
    for doc in [*docs, module.doc]:
        for line in doc.splitlines():
            year = _YEAR.search(line)
            if year is not None:
                return line, int(year[0])
    return module.doc.partition("\n")[0], None


def _texts(module: Module) -> dict[str, str]:
    """The text of a file and of those it imports, by name. Shipped specs lie in one folder."""
    path = module.source.path
    texts = {path.name if path is not None else "": module.source.text}
    if path is not None:
        _add_imports(path, texts)
    return texts


def _add_imports(path: Path, texts: dict[str, str]) -> None:
    for name in _IMPORT.findall(texts[path.name]):
        imported = path.parent / name
        if imported.name not in texts:
            texts[imported.name] = imported.read_text(encoding="utf-8")
            _add_imports(imported, texts)
