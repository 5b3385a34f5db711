"""Finding networks: shipped ones by name, others by file, and the values given to their parameters."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from fractions import Fraction
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from archcalc.diagnostics import error, near_miss
from archcalc.language.elaborate import elaborate
from archcalc.language.evaluate import constant
from archcalc.language.limits import MAX_DEPTH
from archcalc.language.loader import Module, load_file, load_text
from archcalc.language.syntax import Net, Variant
from archcalc.network import Network
from archcalc.render.output import write

_NET = re.compile(r"^net[ \t]+([A-Za-z_][A-Za-z0-9_]*)", re.MULTILINE)
_IMPORT = re.compile(r'^from[ \t]+"([^"]+)"', re.MULTILINE)
_YEAR = re.compile(r"\b(19[5-9]\d|20[0-3]\d)\b")


def specs_folder() -> Path:
    """The folder of the shipped specs: inside an installed package, or at the top of a checkout."""
    package = Path(__file__).parent
    installed = package / "specs"
    return installed if installed.is_dir() else package.parent / "specs"


@lru_cache(maxsize=1)
def shipped_files() -> dict[str, Path]:
    """The file of every net in the shipped specs, by the net's name; reads no more than it must."""
    files: dict[str, Path] = {}
    for path in sorted(specs_folder().glob("*.arch")):
        for name in _NET.findall(path.read_text(encoding="utf-8")):
            files[name] = path
    return files


@cache
def _shipped_module(path: Path) -> Module:
    return load_file(path, f"specs/{path.name}")


class Spec(Struct, frozen=True):
    """A net that can be reported: its definition, and what its file says of where it comes from."""

    net: Net | Variant
    module: Module
    family: str

    @property
    def name(self) -> str:
        return self.net.name

    @property
    def reference(self) -> str:
        """The publication: the first line with a year above the net, its base, or in the file's head."""
        docs = [self.net.doc]
        if isinstance(self.net, Variant):
            base = self.module.definitions.get(self.net.base)
            docs += [base.doc if base is not None else "", self.net.origin.doc]
        for doc in [*docs, self.module.doc]:
            for line in doc.splitlines():
                if _YEAR.search(line):
                    return line
        return self.module.doc.partition("\n")[0]

    @property
    def year(self) -> int | None:
        found = _YEAR.findall(self.reference)
        return int(found[0]) if found else None


def shipped(family: str = "", search: str = "") -> list[Spec]:
    """Every shipped net whose parameters all have values, in the order of the files.

    `family` keeps those of one file, `search` those whose name contains it. Raises `ArchError` if
    nothing is left.
    """
    paths = list(dict.fromkeys(shipped_files().values()))
    families = [path.stem for path in paths]
    if family and family not in families:
        help = near_miss(family, families) or "families: " + ", ".join(families)
        raise error(f"there is no family `{family}`", help=help)
    specs = []
    for path in paths:
        if family in ("", path.stem):
            module = _shipped_module(path)
            specs += [Spec(net, module, path.stem) for net in module.nets.values() if not missing_values(net)]
    found = [spec for spec in specs if search.lower() in spec.name]
    if not found:
        names = [spec.name for spec in specs]
        raise error(f"no network's name contains `{search}`", help=near_miss(search, names))
    return found


def copy_spec(spec: Spec, folder: Path) -> list[Path]:
    """Copy the file of a spec and the files it imports into a folder; the paths of the copies.

    Raises `ArchError` if one of them is there already, and copies none then.
    """
    texts: dict[str, str] = {}
    _gather(spec.module.source.path, texts)
    taken = [folder / name for name in texts if (folder / name).exists()]
    if taken:
        raise error(f"`{taken[0]}` is there already", help="choose another folder, or remove it")
    for name, text in texts.items():
        write(text, folder / name)
    return [folder / name for name in texts]


def _gather(path: Path | None, texts: dict[str, str]) -> None:
    """The text of a file and of those it imports, by name. Shipped specs lie in one folder."""
    if path is None or path.name in texts:
        return
    texts[path.name] = path.read_text(encoding="utf-8")
    for name in _IMPORT.findall(texts[path.name]):
        _gather(path.parent / name, texts)


def missing_values(net: Net | Variant) -> list[str]:
    """The parameters of a net that nothing gives a value."""
    origin = net.origin if isinstance(net, Variant) else net
    given = net.defaults if isinstance(net, Variant) else {}
    return [p.name for p in origin.params if p.default is None and p.name not in given]


def find(net: str) -> Spec:
    """The net that a shipped name, a path to an `.arch` file, or `path:net` means.

    A file with several nets means its last one that can be reported, unless it is named.
    """
    files = shipped_files()
    if net in files:
        module = _shipped_module(files[net])
        return Spec(module.nets[net], module, files[net].stem)
    path_text, _, name = net.rpartition(":") if ":" in net else (net, "", "")
    is_path = path_text.endswith(".arch") or "/" in path_text
    # `Path.exists` raises for a name that is too long
    if not path_text or not (is_path or os.path.exists(path_text)):  # noqa: PTH110
        help = near_miss(net, files) or "`archcalc list` shows the shipped networks; a file ends in `.arch`"
        raise error(f"there is no network `{net}`", help=help)
    path = Path(path_text)
    module = load_file(path, path_text)
    return Spec(_choose(module, path_text, name), module, path.stem)


def split_overrides(net: str) -> tuple[str, dict[str, Any]]:
    """A `NET` with overrides of its own, `mobilenet_v1?width=0.5&resolution=160`, taken apart.

    Raises `ArchError` for what is no `name=value`.

    >>> split_overrides("mobilenet_v1?resolution=160")
    ('mobilenet_v1', {'resolution': 160})
    """
    name, question, rest = net.partition("?")
    overrides: dict[str, Any] = {}
    for text in rest.split("&") if question else []:
        parameter, equals, value = text.partition("=")
        if not equals or not parameter:
            raise error(f"`{net}`: `{text}` sets nothing", help=f"write `{name}?width=0.5&classes=10`")
        if parameter in overrides:
            raise error(f"`{net}` sets `{parameter}` twice")
        overrides[parameter] = constant(value, f"{name}?{parameter}")
    return name, overrides


def open_network(
    net: str,
    overrides: Mapping[str, Any] | None = None,
    inputs: Mapping[str, tuple[int, ...]] | None = None,
) -> tuple[Spec, Network]:
    """The spec and the network that a `NET` means: a name or a path, with overrides or without.

    Raises `ArchError`.
    """
    name, own = split_overrides(net)
    twice = own.keys() & (overrides or {}).keys()
    if twice:
        raise error(f"`{min(twice)}` is set twice")
    spec = find(name)
    return spec, elaborate(spec.net, {**own, **_exact(overrides)}, inputs)


def _choose(module: Module, shown: str, name: str) -> Net | Variant:
    nets = module.nets
    if name:
        if name not in nets:
            listed = ", ".join(f"`{net}`" for net in nets) or "none"
            help = near_miss(name, nets) or f"it defines {listed}"
            raise error(f"`{shown}` has no net `{name}`", help=help)
        return nets[name]
    if not nets:
        raise error(f"`{shown}` has no net", help="declare one: `net small { ... }`")
    complete = [net for net in nets.values() if not missing_values(net)]
    if len(complete) > 1:
        names = ", ".join(f"`{shown}:{net.name}`" for net in complete[:6])
        more = f", ... ({len(complete)} in all)" if len(complete) > 6 else ""
        raise error(f"`{shown}` has several nets", help=f"name one: {names}{more}")
    return complete[0] if complete else next(iter(nets.values()))


def load(
    net: str | os.PathLike[str],
    overrides: Mapping[str, Any] | None = None,
    *,
    inputs: Mapping[str, tuple[int, ...]] | None = None,
) -> Network:
    """Load a network by its shipped name, from a file, as `path:net`, each also with `?name=value`.

    `overrides` are values for its parameters: numbers (a float counts as the decimal it prints as),
    booleans, strings, lists. `inputs` replaces the shapes of inputs, by their names. Raises `ArchError`.

    >>> from archcalc import load
    >>> load("mobilenet_v1", {"width": 0.5}).name
    'mobilenet_v1'
    """
    return open_network(os.fspath(net), overrides, inputs)[1]


def loads(
    text: str,
    net: str = "",
    overrides: Mapping[str, Any] | None = None,
    *,
    inputs: Mapping[str, tuple[int, ...]] | None = None,
) -> Network:
    """Load a network from a text; `net` names it if the text declares several. Raises `ArchError`.

    >>> from archcalc import loads
    >>> loads("net tiny { input(3x8x8) conv(4, 3) }")["conv1"].shape
    Traceback (most recent call last):
        ...
    archcalc.diagnostics.ArchError: error: expected the end of the line, found `conv`
    ...
    """
    return elaborate(_choose(load_text(text), "<text>", net), _exact(overrides), inputs)


def _exact(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: exact(value) for name, value in (values or {}).items()}


def exact(value: Any, _depth: int = 0) -> Any:
    """A Python value as a value of the language. Raises `ArchError` for what is none."""
    if _depth > MAX_DEPTH:
        raise error(f"lists are nested more than {MAX_DEPTH} deep")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise error(f"a parameter cannot be {value}")
        value = Fraction(repr(value))
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else value
    if isinstance(value, list | tuple):
        return tuple(exact(item, _depth + 1) for item in value)
    if isinstance(value, bool | int | str):
        return value
    raise error(f"a parameter cannot be a {type(value).__name__}")
