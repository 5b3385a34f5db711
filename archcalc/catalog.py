"""The built-in networks: their names, files, and texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from msgspec.structs import replace

from archcalc.diagnostics import error, near_misses, unknown
from archcalc.opened import Opened
from archcalc.readers import reader
from archcalc.render.output import write

_NET = re.compile(r"^net[ \t]+([A-Za-z_][A-Za-z0-9_]*)", re.MULTILINE)


@cache
def specs_folder() -> Path:
    """The folder of the built-in specs, inside an installed package or at the top of a checkout."""
    package = Path(__file__).parent
    installed = package / "specs"
    return installed if installed.is_dir() else package.parent / "specs"


def pages() -> dict[str, Path]:
    """The pages of the documentation by name. Each is a Markdown file in `docs/`."""
    package = Path(__file__).parent
    installed = package / "docs"
    folder = installed if installed.is_dir() else package.parent / "docs"
    return {path.stem: path for path in sorted(folder.glob("*.md"))}


@lru_cache(maxsize=1)
def shipped_files() -> dict[str, Path]:
    """The file of every built-in net, by the net's name. Does not parse the files."""
    files: dict[str, Path] = {}
    for path in sorted(specs_folder().glob("*.arch")):
        for name in _NET.findall(path.read_text(encoding="utf-8")):
            files[name] = path
    return files


@cache
def _networks(path: Path) -> dict[str, Opened]:
    """The networks of a built-in file by name. It is read once per process."""
    networks = reader(path.suffix).read(path, f"specs/{path.name}")
    return {network.name: replace(network, net=network.name) for network in networks}


def open_shipped(name: str) -> Opened:
    """A built-in network; `name` is one of `shipped_files`."""
    return _networks(shipped_files()[name])[name]


def complete_names(name: str) -> list[str]:
    """Up to three built-in networks with names similar to `name` that have values for all parameters.

    A template whose parameters have no values is replaced by the networks made from it.
    """
    found: list[str] = []
    for like in near_misses(name, shipped_files()):
        opened = open_shipped(like)
        found += opened.variants() if opened.missing else [like]
    return list(dict.fromkeys(found))[:3]


def shipped(family: str = "", search: str = "") -> list[Opened]:
    """Every built-in network whose parameters all have values, in the order of the files.

    `family` selects the networks of one file, and `search` those whose name contains it. Raises `ArchError`
    if there are none.
    """
    paths = list(dict.fromkeys(shipped_files().values()))
    families = [path.stem for path in paths]
    if family and family not in families:
        raise unknown("there is no family", family, families, listing="families")
    chosen = [path for path in paths if family in ("", path.stem)]
    networks = [each for path in chosen for each in _networks(path).values() if not each.missing]
    found = [each for each in networks if search.lower() in each.name]
    if not found:
        raise unknown("no network's name contains", search, [each.name for each in networks])
    return found


def copy_texts(texts: Mapping[str, str], folder: Path) -> list[Path]:
    """Write the texts that declare a network (see `Opened.texts`) to a folder. Returns the new paths.

    Raises `ArchError` if one of them already exists, and then writes none.
    """
    taken = [folder / name for name in texts if (folder / name).exists()]
    if taken:
        raise error(f"`{taken[0]}` already exists", help="choose another folder, or remove it")
    for name, text in texts.items():
        write(text, folder / name)
    return [folder / name for name in texts]
