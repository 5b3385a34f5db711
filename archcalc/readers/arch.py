"""The reader of `.arch` files: texts in archcalc's own language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from archcalc.diagnostics import ArchError, error
from archcalc.language.elaborate import declared_shapes, elaborate, written_calls
from archcalc.language.loader import Module, load_bytes, load_file, load_text
from archcalc.language.syntax import Imported, Net, Param, Variant
from archcalc.network import Network
from archcalc.opened import Opened, Shapes, choose
from archcalc.readers import reader, suffix_of

EXPECTATIONS = True

AnyNet = Net | Variant | Imported

_IMPORT = re.compile(r'^(?:net[ \t]+\w+[ \t]+)?from[ \t]+"([^"]+)"', re.MULTILINE)
_YEAR = re.compile(r"\b(19[5-9]\d|20[0-3]\d)\b")


def read(path: Path, shown: str) -> list[Opened]:
    """Read the nets of a file. Raises `ArchError` if the file, or one that it imports, cannot be read."""
    return _networks(load_file(path, shown), shown)


def read_text(text: str, shown: str = "<text>") -> list[Opened]:
    """Read the nets of a text, which cannot import files. Raises `ArchError` with every mistake in it."""
    return _networks(load_text(text, shown), shown)


def read_bytes(data: bytes, shown: str) -> list[Opened]:
    """Read the nets of a text that is not in a file. Raises `ArchError` with every mistake in it."""
    return _networks(load_bytes(data, shown), shown)


def imported_paths(text: str) -> list[str]:
    """Return the paths that a text imports or reads networks from, as written."""
    return [place_and_net(path)[0] for path in _IMPORT.findall(text)]


def place_and_net(path: str) -> tuple[str, str]:
    """Split a path into a file and the name of a network in it; the name may be empty.

    >>> place_and_net("model.pt2"), place_and_net("models.pt2:small")
    (('model.pt2', ''), ('models.pt2', 'small'))
    """
    place, _, name = path.partition(":") if not suffix_of(path) else (path, "", "")
    return place, name


def missing_values(net: AnyNet) -> tuple[str, ...]:
    """Return the parameters of a net that have no value."""
    given = net.defaults if isinstance(net, Variant) else {}
    return tuple(p.name for p in _params(net) if p.default is None and p.name not in given)


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
                make=partial(_make_imported, net) if isinstance(net, Imported) else partial(elaborate, net),
                path=path,
                family=path.stem if path is not None else "",
                reference=reference,
                year=year,
                span=net.name_span,
                parameters=tuple(param.name for param in _params(net)),
                missing=missing[net.name],
                siblings=siblings,
                expectations=net.expectations,
                texts=partial(_texts, module),
            )
        )
    return found


def _params(net: AnyNet) -> tuple[Param, ...]:
    """Return the parameters of a net; a variant has those of its base."""
    params: tuple[Param, ...] = net.origin.params if isinstance(net, Variant) else net.params
    return params


def _make_imported(net: Imported, overrides: Mapping[str, Any], inputs: Shapes) -> Network:
    """Build the network of a file in another format, with the name and the expectations in the text.

    Raises `ArchError`. It points at the file's name if the mistake is not in a text.
    """
    if overrides:
        raise error(
            f"`{net.name}` is read from a file, and has no parameters: `{min(overrides)}` cannot be set"
        )
    try:
        opened = _opened(net)
        network = opened.network({}, {**declared_shapes(net), **inputs})
    except ArchError as problem:
        first, *others = problem.diagnostics
        raise ArchError([replace(first, span=first.span or net.path_span), *others]) from None
    network.name = net.name
    network.expectations = net.expectations
    network.overridden = bool(inputs)
    network.see = net.see
    network.written = {**network.written, **written_calls(net.written, network, bool(inputs))}
    return network


def _opened(net: Imported) -> Opened:
    """Open the network in a file that a text names. A text reads files, but runs no code."""
    path, shown = net.file
    place, name = place_and_net(path.name)
    suffix = suffix_of(place)
    if suffix == ".arch":
        raise error(
            f"`{net.path}` is a text: what it declares is imported",
            help=f'write `from "{net.path}" import ...`',
        )
    if suffix == ".py" or not suffix:
        raise error(
            f"`{net.path}` is not a model that a text can read",
            help="name a file such as `model.pt2`; Python code runs only if it is named on the command line",
        )
    shown = place_and_net(shown)[0]
    return choose(reader(suffix).read(path.with_name(place), shown), shown, name)


def _reference(net: AnyNet, module: Module) -> tuple[str, int | None]:
    """Return the first line with a year above the net or its base, or in the file's head; and the year."""
    docs = [net.doc]
    if isinstance(net, Variant):
        base = module.definitions.get(net.base)
        docs += [base.doc if base is not None else "", net.origin.doc]
    for doc in [*docs, module.doc]:
        for line in doc.splitlines():
            year = _YEAR.search(line)
            if year is not None:
                return line, int(year[0])
    return module.doc.partition("\n")[0], None


def _texts(module: Module) -> dict[str, str]:
    """Return the text of a file and of its imports, by name. Built-in specs share one folder."""
    path = module.source.path
    texts = {path.name if path is not None else "": module.source.text}
    if path is not None:
        _add_imports(path, texts)
    return texts


def _add_imports(path: Path, texts: dict[str, str]) -> None:
    for name in imported_paths(texts[path.name]):
        imported = path.parent / name
        if imported.suffix == path.suffix and imported.name not in texts:
            texts[imported.name] = imported.read_text(encoding="utf-8")
            _add_imports(imported, texts)
