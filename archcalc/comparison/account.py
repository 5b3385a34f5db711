"""The parts of the difference between two networks, in lines that add up to it exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import reduce
from itertools import groupby

from msgspec import Struct

from archcalc.comparison.matching import Matching, Pair
from archcalc.comparison.parts import NOTHING, ComparedPart, amounts
from archcalc.network import Node
from archcalc.profile import Profile
from archcalc.quantities import Figures

MAX_LINES = 20
"""The most lines. The least important ones are summed up in one."""

SIGNED = ("params", "macs", "activations")
"""A block is one line if none of these quantities grows in one of its layers and shrinks in another."""


class AccountLine(Struct, frozen=True):
    """A layer, a block or a stage, and what it adds to the difference.

    `added`, `removed`, and `changed` count its layers. `affected` counts layers that are the same but have
    another input shape. The line for all other lines has no name. `lines` is their number.
    """

    name: str
    difference: Figures
    added: int = 0
    removed: int = 0
    changed: int = 0
    affected: int = 0
    lines: int = 1


def account(
    before: Profile, after: Profile, matching: Matching, stages: Sequence[ComparedPart]
) -> list[AccountLine]:
    """The account of a difference: by block if layers have counterparts, otherwise by stage.

    Blocks are in the order of the network. Parts without a difference have no line.
    """
    if not matching.alike:
        lines = []
        for stage in stages:
            old, new = stage.amounts
            lines.append(AccountLine(stage.name, new.minus(old), added=new.layers, removed=old.layers))
        return [line for line in lines if any(line.difference.values())]
    leaves = [leaf for pair in matching.pairs if (leaf := _leaf(pair, before, after)) is not None]
    return _shortened(_rolled_up(leaves, 0))


def _leaf(pair: Pair, before: Profile, after: Profile) -> AccountLine | None:
    difference = _amounts(pair.after, after).minus(_amounts(pair.before, before))
    if not any(difference.values()):
        return None
    if pair.before is None:
        return AccountLine(pair.name, difference, added=1)
    if pair.after is None:
        return AccountLine(pair.name, difference, removed=1)
    changed = int(bool(pair.changes))
    return AccountLine(pair.name, difference, changed=changed, affected=1 - changed)


def _amounts(node: Node | None, profile: Profile) -> Figures:
    if node is None:
        return NOTHING
    return amounts([profile.entries[node.index]])


def _sum(name: str, lines: Sequence[AccountLine], count: int = 1) -> AccountLine:
    return AccountLine(
        name,
        reduce(Figures.plus, (line.difference for line in lines), NOTHING),
        sum(line.added for line in lines),
        sum(line.removed for line in lines),
        sum(line.changed for line in lines),
        sum(line.affected for line in lines),
        count,
    )


def _rolled_up(leaves: Sequence[AccountLine], depth: int) -> list[AccountLine]:
    """One line for each block at this depth whose layers agree, and for each part of the other blocks."""
    lines: list[AccountLine] = []
    for _, members in groupby(_gathered(leaves, depth), key=_prefix(depth)):
        block = list(members)
        names = [line.name.split("/") for line in block]
        common = _common(names)
        if len(block) == 1 or len(common) <= depth or min(map(len, names)) <= depth + 1:
            lines += block
        elif _agree(block):
            lines.append(_sum("/".join(common), block))
        else:
            lines += _rolled_up(block, depth + 1)
    return lines


def _prefix(depth: int) -> Callable[[AccountLine], tuple[str, ...]]:
    return lambda line: tuple(line.name.split("/", depth + 1)[: depth + 1])


def _gathered(leaves: Sequence[AccountLine], depth: int) -> list[AccountLine]:
    """The leaves, grouped by block, in the order in which the blocks begin."""
    prefix = _prefix(depth)
    first: dict[tuple[str, ...], int] = {}
    for index, line in enumerate(leaves):
        first.setdefault(prefix(line), index)
    return sorted(leaves, key=lambda line: first[prefix(line)])


def _common(names: Sequence[Sequence[str]]) -> list[str]:
    common: list[str] = []
    for parts in zip(*names, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return common


def _agree(lines: Sequence[AccountLine]) -> bool:
    for name in SIGNED:
        values = [line.difference[name] for line in lines]
        if min(values) < 0 < max(values):
            return False
    return True


def _shortened(lines: list[AccountLine]) -> list[AccountLine]:
    if len(lines) <= MAX_LINES:
        return lines
    sizes = {n: sum(abs(line.difference[n]) for line in lines) for n in SIGNED}

    def weight(index: int) -> Fraction:
        difference = lines[index].difference
        return max(Fraction(abs(difference[n]), sizes[n] or 1) for n in SIGNED)

    ranked = sorted(range(len(lines)), key=weight, reverse=True)
    kept, rest = sorted(ranked[: MAX_LINES - 1]), ranked[MAX_LINES - 1 :]
    return [*(lines[index] for index in kept), _sum("", [lines[index] for index in rest], len(rest))]
