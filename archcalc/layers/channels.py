"""Which input channels each output channel reads, in runs of channels that are alike.

A channel is known by labels: numbers that stand for what it has come from. Equal neighbours make a run, since
there may be more channels than could be gone through one by one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

Labels = frozenset[int]
Channels = tuple[tuple[int, Labels], ...]
"""How many channels in a row have which labels; no label: they have come from nothing, as padding has."""

MAX_RUNS = 1024
"""Where channels come in more runs, or are regrouped into more, they are not told apart."""

NOTHING: Labels = frozenset()


def tidied(runs: Iterable[tuple[int, Labels]]) -> Channels | None:
    """Neighbours that are alike as one run; `None` if there are too many."""
    found: list[tuple[int, Labels]] = []
    for count, labels in runs:
        if not count:
            continue
        if found and found[-1][1] == labels:
            found[-1] = (found[-1][0] + count, labels)
        else:
            found.append((count, labels))
        if len(found) > MAX_RUNS:
            return None
    return tuple(found)


def union(runs: Iterable[tuple[int, Labels]]) -> Labels:
    return NOTHING.union(*(labels for _, labels in runs))


def mixed(inputs: Sequence[Channels], count: int) -> Channels:
    """Every output channel reads all channels of all inputs."""
    return ((count, union(run for runs in inputs for run in runs)),)


def cut(runs: Channels, start: int, stop: int) -> Channels:
    """The channels from `start` to `stop`, without it."""
    found, at = [], 0
    for count, labels in runs:
        kept = min(at + count, stop) - max(at, start)
        if kept > 0:
            found.append((kept, labels))
        at += count
    return tuple(found)


def ended(runs: Channels, before: int, after: int) -> Channels | None:
    """Channels of zeros before and behind; negative: channels cut off."""
    total = sum(count for count, _ in runs)
    kept = cut(runs, max(0, -before), total - max(0, -after))
    return tidied([(max(0, before), NOTHING), *kept, (max(0, after), NOTHING)])


def repeated(runs: Channels, times: int) -> Channels:
    """Every channel as often, one behind the other."""
    return tuple((count * times, labels) for count, labels in runs)


def joined(inputs: Sequence[Channels]) -> Channels | None:
    """The channels of all inputs, one behind the other."""
    return tidied(run for runs in inputs for run in runs)


def overlaid(inputs: Sequence[Channels], total: int) -> Channels | None:
    """Channel by channel, what any input has there; an input of one channel is stretched."""
    stretched = [runs if sum(n for n, _ in runs) == total else ((total, union(runs)),) for runs in inputs]
    ends = sorted({end for runs in stretched for end in _ends(runs)})
    if len(ends) * len(inputs) > 8 * MAX_RUNS:
        return None
    found, at = [], 0
    for end in ends:
        found.append((end - at, NOTHING.union(*(union(cut(runs, at, end)) for runs in stretched))))
        at = end
    return tidied(found)


def grouped(runs: Channels, groups: int, count: int) -> Channels | None:
    """Each of `groups` equal parts mixed on its own, to `count` channels in all."""
    if len(runs) == 1:
        return ((count, runs[0][1]),)
    if groups > MAX_RUNS:
        return None
    size = sum(n for n, _ in runs) // groups
    return tidied((count // groups, union(cut(runs, g * size, (g + 1) * size))) for g in range(groups))


def shuffled(runs: Channels, groups: int) -> Channels | None:
    """Channel `i` of group `g` goes to place `i · groups + g`."""
    total = sum(count for count, _ in runs)
    if len(runs) == 1:
        return runs
    if total > MAX_RUNS:
        return None
    each = [labels for count, labels in runs for _ in range(count)]
    size = total // groups
    return tidied((1, each[g * size + i]) for i in range(size) for g in range(groups))


def picked(runs: Channels, rows: Sequence[Sequence[int]]) -> Channels | None:
    """Each output channel reads the channels of its row."""
    if len(runs) == 1:
        return ((len(rows), runs[0][1]),)
    ends = _ends(runs)
    return tidied((1, NOTHING.union(*(runs[bisect_right(ends, at)][1] for at in row))) for row in rows)


def neighbours(runs: Channels, before: int, after: int) -> Channels | None:
    """Each channel reads those from `before` before it to `after` behind it as well."""
    total = sum(count for count, _ in runs)
    ends = _ends(runs)
    edges = sorted(
        {edge for end in ends for edge in (end - after, end + before) if 0 < edge < total} | {total}
    )
    if len(edges) > MAX_RUNS:
        return None
    found, at = [], 0
    for edge in edges:
        found.append((edge - at, union(cut(runs, at - before, at + after + 1))))
        at = edge
    return tidied(found)


def _ends(runs: Channels) -> list[int]:
    """Where each run ends."""
    ends, at = [], 0
    for count, _ in runs:
        at += count
        ends.append(at)
    return ends
