"""`archcalc lock`: lock networks, or update a lock file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from archcalc.checking import lock_file
from archcalc.checking.digest import Digest
from archcalc.checking.find import CheckedNetwork, Finder, each_once, is_path, lock_name
from archcalc.checking.lock import Lock, LockedNetwork, LockedPath, conditions, figures_of
from archcalc.diagnostics import ArchError, Diagnostic, Problems, error
from archcalc.notes import note_lines
from archcalc.opening import split_overrides
from archcalc.render.progress import Progress
from archcalc.settings import DEFAULT, Settings


class Locked(Struct, frozen=True):
    """A new lock, the one it replaces if there was one, and the lines of notes on its networks.

    `gone` are the networks of the old lock that no longer exist.
    """

    now: Lock
    before: Lock | None = None
    gone: Sequence[str] = ()
    notes: Sequence[str] = ()


class _Job(Struct, frozen=True):
    """A network to lock, and the conditions."""

    checked: CheckedNetwork
    settings: Settings
    compact: bool = False


def lock_networks(
    arguments: Sequence[str],
    path: Path,
    progress: Progress,
    settings: Settings = DEFAULT,
    update: bool = False,
) -> Locked:
    """Lock what `arguments` mean (see `Finder.find`) for a file at `path`.

    With `update`, also lock the networks of the file again, each under its own conditions, and new networks
    in its files and folders. Raises `ArchError`, with every mistake, if any network cannot be read. A file
    with only some of the networks is never written.
    """
    finder = Finder(settings)
    folder = path.parent
    before = _before(path, update)
    jobs: dict[str, _Job] = {}
    paths: dict[str, LockedPath] = {}
    gone: list[str] = []
    if update and before is not None:
        jobs, gone = _jobs_of(before, folder, finder)
        paths = {each.name: each for each in before.paths}
    found = finder.find(arguments) if arguments or not update else {}
    for argument, group in found.items():
        if not group and argument not in finder.unread:
            finder.problems.append(Diagnostic(f"nothing to lock: `{argument}` has no network"))
        for checked in group:
            jobs[lock_name(checked, folder)] = _Job(checked, settings)
        if is_path(argument) and "?" not in argument:
            name = Path(os.path.relpath(argument, folder)).as_posix()
            name += f"?{settings.set_text}" if settings.set_text else ""
            paths[name] = LockedPath(name, conditions(settings))
    nets, notes = _figures(jobs, progress, finder.problems)
    finder.problems.raise_any()
    return Locked(Lock(nets, list(paths.values())), before, gone, notes)


def _before(path: Path, update: bool) -> Lock | None:
    """The lock to replace, if there is one. It must be readable only for an update."""
    if update:
        return lock_file.read_names(path) if lock_file.has_conflicts(path) else lock_file.read(path)
    try:
        return lock_file.read(path) if path.is_file() else None
    except (ArchError, OSError, ValueError):
        return None


def _jobs_of(before: Lock, folder: Path, finder: Finder) -> tuple[dict[str, _Job], list[str]]:
    """The networks of a lock and the new ones in its paths; and the names of those that no longer exist."""
    jobs: dict[str, _Job] = {}
    gone = []
    for net in before.networks:
        if not finder.exists(net.name, folder):
            gone.append(net.name)
            continue
        with finder.problems.collect():
            checked = replace(finder.open(net.name, folder), inputs=net.settings.inputs)
            jobs[net.name] = _Job(checked, net.settings, net.digest is not None)
    compact = all(net.digest is not None for net in before.networks)
    for path in before.paths:
        for checked in networks_at(path, folder, finder):
            jobs.setdefault(lock_name(checked, folder), _Job(checked, path.settings, compact))
    return jobs, gone


def _figures(
    jobs: dict[str, _Job], progress: Progress, problems: Problems
) -> tuple[list[LockedNetwork], list[str]]:
    nets: list[LockedNetwork] = []
    notes: list[str] = []
    for name, job in progress([*jobs.items()], "Locking"):
        with problems.collect():
            if not name.isprintable():
                raise error(f"`{job.checked.name}` cannot be written in a line of a lock file")
            network = job.checked.network()
            net = figures_of(name, network, job.settings)
            nets.append(replace(net, digest=Digest.of(net.lines_of_layers())) if job.compact else net)
            notes += note_lines(network.notes, name if len(jobs) > 1 else "")
    return nets, notes


def networks_at(path: LockedPath, folder: Path, finder: Finder) -> list[CheckedNetwork]:
    """The networks that are in a locked path now. Mistakes in its files are among the finder's problems."""
    place, _, set_text = path.name.partition("?")
    with finder.problems.collect():
        values = split_overrides(path.name)[1]
        settings = replace(path.settings, overrides=values, set_text=set_text)
        return each_once(finder.under(settings).find([os.path.normpath(folder / place)]))
    return []
