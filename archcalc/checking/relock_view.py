"""The message of `archcalc lock`: the networks written, and the changes to the old lock file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from archcalc.checking.lock import LockedNetwork
from archcalc.checking.lock_file import lines_of
from archcalc.checking.locking import Locked
from archcalc.render.numbers import plural

MAX_NAMED = 10
"""The most new or changed networks that are named. Networks that are dropped are all named."""


def render(locked: Locked, path: Path) -> list[str]:
    """The lines of the message: a summary, and the networks that are new, changed, gone, or dropped."""
    now = {net.name: net for net in locked.now.networks}
    before = {net.name: net for net in locked.before.networks} if locked.before is not None else {}
    new = [name for name in now if name not in before]
    changed = {
        name: _changes(before[name], now[name])
        for name in now
        if name in before and _moved(before[name], now[name])
    }
    same = len(now) - len(new) - len(changed)
    counts = [(len(new), "new"), (len(changed), "changed"), (same, "unchanged")]
    said = ", ".join(f"{number:,} {word}" for number, word in counts if number)
    lines = [f"{path}: {plural(len(now), 'network')} locked ({said})"]
    if before:
        lines += _named("new", new)
        lines += _named("changed", [f"{name}{words}" for name, words in changed.items()])
    lines += [f"  gone  {name}: it no longer exists" for name in locked.gone]
    lines += [
        f"  dropped  {name}: use `archcalc lock --update NET...` to keep it"
        for name in before
        if name not in now and name not in locked.gone
    ]
    return lines


def _named(word: str, names: Iterable[str]) -> Iterator[str]:
    listed = list(names)
    yield from (f"  {word}  {name}" for name in listed[:MAX_NAMED])
    if len(listed) > MAX_NAMED:
        yield f"  {word}  and {len(listed) - MAX_NAMED:,} more"


def _moved(before: LockedNetwork, now: LockedNetwork) -> bool:
    """Does anything differ, apart from the form of the layers' lines?"""
    if not before.totals:  # the figures of a file with conflict markers are not known
        return False
    compact = before.digest is not None
    return lines_of(before, compact) != lines_of(now, compact)


def _changes(before: LockedNetwork, now: LockedNetwork) -> str:
    """The changes in parameters and MACs, if there are any."""
    moves = [
        f"{name} {before.totals[name]:,} to {now.totals[name]:,}"
        for name in ("params", "macs")
        if name in before.totals and before.totals[name] != now.totals[name]
    ]
    return f": {', '.join(moves)}" if moves else ""
