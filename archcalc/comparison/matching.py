"""Matches the layers of a network with those of another version of it.

The layers are in topological order, so two versions are aligned like two texts. difflib finds layers that are
equal in both (path, layer, and inputs), and the gaps are aligned for the best score. The graph edit distance
of networkx would be exact, but takes exponential time.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from difflib import SequenceMatcher

from msgspec import Struct

from archcalc.layers.arguments import format_argument
from archcalc.layers.base import Layer
from archcalc.network import Node
from archcalc.profile import Profile

MAX_CELLS = 1_000_000
"""In larger gaps, layers are paired only by their paths."""


Partners = dict[int, Node]
"""The counterparts in the other network, by node index."""


class Change(Struct, frozen=True):
    """An argument that differs, or `layer`, `inputs`, or `parameters of`."""

    argument: str
    before: str
    after: str


class Pair(Struct, frozen=True, eq=False):
    """A layer of the first network and its counterpart in the second; or one layer without a counterpart."""

    before: Node | None
    after: Node | None
    changes: tuple[Change, ...] = ()

    @property
    def name(self) -> str:
        node = self.after or self.before
        assert node is not None
        return node.name

    @property
    def moved(self) -> bool:
        return self.before is not None and self.after is not None and self.before.name != self.after.name


class Matching(Struct, frozen=True, eq=False):
    """All layers and inputs of both networks, in one order.

    `alike` says whether they are versions of one network: of the layers with MACs, at least half
    in the smaller network have a counterpart with the same path or arguments, or all in both networks have a
    counterpart of the same kind.
    """

    pairs: tuple[Pair, ...]
    alike: bool

    @property
    def added(self) -> list[Node]:
        return [pair.after for pair in self.pairs if pair.before is None and pair.after is not None]

    @property
    def removed(self) -> list[Node]:
        return [pair.before for pair in self.pairs if pair.after is None and pair.before is not None]

    @property
    def changed(self) -> list[Pair]:
        return [pair for pair in self.pairs if pair.changes]

    @property
    def moved(self) -> list[Pair]:
        return [pair for pair in self.pairs if pair.moved]

    @property
    def identical(self) -> bool:
        return not any(
            pair.changes or pair.moved or pair.before is None or pair.after is None for pair in self.pairs
        )


def match(before: Profile, after: Profile) -> Matching:
    """Pair the layers of two networks.

    >>> from archcalc import analyze, load
    >>> paper, v15 = (analyze(load(name)) for name in ("resnet50", "resnet50_v1_5"))
    >>> [change.argument for change in match(paper, v15).changed[0].changes]
    ['stride']
    """
    old, new = _nodes(before), _nodes(after)
    found = _aligned(old, new)
    _by_path(old, new, found)
    by_old = {old[i].index: new[j] for i, j in found.items()}
    by_new = {new[j].index: old[i] for i, j in found.items()}
    reach = _reach(old, by_old), _reach(new, by_new)
    placed: list[tuple[tuple[int, int], Pair]] = []
    last = -1
    for i, node in enumerate(old):
        if i in found:
            last = found[i]
        else:
            placed.append(((last, 1 + i), Pair(node, None)))
    for j, node in enumerate(new):
        partner = by_new.get(node.index)
        changes = _changes(partner, node, by_old, by_new, reach) if partner is not None else ()
        placed.append(((j, 0), Pair(partner, node, changes)))
    placed.sort(key=lambda item: item[0])
    return Matching(tuple(pair for _, pair in placed), _alike(old, new, by_old))


def _nodes(profile: Profile) -> list[Node]:
    return [entry.node for entry in profile.entries.values() if profile.heads or not entry.node.training]


def _alike(old: Sequence[Node], new: Sequence[Node], by_old: Partners) -> bool:
    mine, yours = _heavy(old), _heavy(new)
    pairs = [(node, by_old[node.index]) for node in mine if node.index in by_old]
    same = sum(one.name == other.name or one.layer == other.layer for one, other in pairs)
    if 2 * same >= min(len(mine), len(yours)):
        return True
    return len(pairs) == len(mine) == len(yours) and all(one.kind == other.kind for one, other in pairs)


def _heavy(nodes: Sequence[Node]) -> list[Node]:
    return [node for node in nodes if _is_heavy(node)]


def _is_heavy(node: Node) -> bool:
    """Does a layer have MACs?"""
    return any(category == "macs" for category, _ in node.facts.operations)


# --- Alignment --------------------------------------------------------------------------------------


def _aligned(old: Sequence[Node], new: Sequence[Node]) -> dict[int, int]:
    """Positions in `old` and their counterparts in `new`, in order."""
    matcher = SequenceMatcher(None, _signatures(old), _signatures(new), autojunk=False)
    found: dict[int, int] = {}
    i = j = 0
    for block in matcher.get_matching_blocks():
        _fill_gap(old, new, range(i, block.a), range(j, block.b), found)
        for k in range(block.size):
            found[block.a + k] = block.b + k
        i, j = block.a + block.size, block.b + block.size
    return found


def _signatures(nodes: Sequence[Node]) -> list[Hashable]:
    """Path and layer of each node, and the last layers with MACs, or joins, before it.

    Without these, the relu after an inserted convolution would be taken for the old one.
    """
    origins: dict[int, Layer] = {}
    signatures: list[Hashable] = []
    for node in nodes:
        before = tuple(origins[source.index] for source in node.inputs)
        origins[node.index] = node.layer if len(before) != 1 or _is_heavy(node) else before[0]
        signatures.append((node.name, node.layer, before))
    return signatures


def _fill_gap(
    old: Sequence[Node], new: Sequence[Node], rows: range, columns: range, found: dict[int, int]
) -> None:
    if not rows or not columns or len(rows) * len(columns) > MAX_CELLS:
        return
    # Needleman & Wunsch 1970, without costs for gaps
    best = [[0] * (len(columns) + 1)]
    for k in rows:
        node, above = old[k], best[-1]
        line = [0]
        left = 0
        for at, other in enumerate(new[columns.start : columns.stop]):
            score = _likeness(node, other)
            here = above[at] + score if score else 0
            left = max(left, above[at + 1], here)
            line.append(left)
        best.append(line)
    i, j = len(rows), len(columns)
    while i and j:
        if best[i][j] == best[i - 1][j]:
            i -= 1
        elif best[i][j] == best[i][j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            found[rows[i]] = columns[j]


def _likeness(one: Node, other: Node) -> int:
    """The score of two layers as counterparts; 0 if they cannot be counterparts."""
    mine, yours = one.layer, other.layer
    if mine.family != yours.family:
        return 0
    has_path = one.name == other.name
    if mine != yours:
        score = (3 if mine.kind == yours.kind else 1) + 3 * has_path
    else:  # in a wider version, layers of one stage can equal those of the next stage, with other shapes
        score = (8 if one.shape == other.shape else 5) + has_path
    return 2 * score if _is_heavy(one) else score  # a convolution counts more than the relu after it


def _by_path(old: Sequence[Node], new: Sequence[Node], found: dict[int, int]) -> None:
    """Pair remaining layers by path and kind, for branches that changed their order."""
    taken = set(found.values())
    left = {(node.name, node.kind): j for j, node in enumerate(new) if j not in taken}
    for i, node in enumerate(old):
        if i not in found and (node.name, node.kind) in left:
            found[i] = left[node.name, node.kind]


# --- Changes ----------------------------------------------------------------------------------------


Reach = dict[int, frozenset[int]]
"""The indices of the nearest nodes with a counterpart that lead to a node, or of the node itself."""


def _reach(nodes: Sequence[Node], partners: Partners) -> Reach:
    seen: Reach = {}
    for node in nodes:
        if node.index in partners:
            seen[node.index] = frozenset((node.index,))
        else:
            seen[node.index] = _union(node.inputs, seen)
    return seen


def _union(nodes: Sequence[Node], reach: Reach) -> frozenset[int]:
    return frozenset().union(*(reach[node.index] for node in nodes))


def _rewired(
    before: Node, after: Node, by_old: Partners, by_new: Partners, reach: tuple[Reach, Reach]
) -> bool:
    """Do two counterparts have different inputs? Layers added or removed in between do not count."""
    mine = [by_old[node.index].index for node in before.inputs if node.index in by_old]
    yours = [node.index for node in after.inputs if node.index in by_new]
    if len(mine) == len(before.inputs) and len(yours) == len(after.inputs):
        return mine != yours
    old, new = _union(before.inputs, reach[0]), _union(after.inputs, reach[1])
    return not (new.issuperset(mine) and old.issuperset(by_new[index].index for index in yours))


def _changes(
    before: Node, after: Node, by_old: Partners, by_new: Partners, reach: tuple[Reach, Reach]
) -> tuple[Change, ...]:
    changes = []
    old, new = before.layer, after.layer
    if old.kind != new.kind:
        changes.append(Change("layer", str(old), str(new)))
    elif old != new:
        for name in old.__struct_fields__:
            mine, yours = getattr(old, name), getattr(new, name)
            if mine != yours:
                changes.append(Change(name, format_argument(mine), format_argument(yours)))
    if _rewired(before, after, by_old, by_new, reach):
        changes.append(Change("inputs", _names(before), _names(after)))
    if _owner(before, by_old) is not _owner(after, {}):
        changes.append(Change("parameters of", _sharing(before), _sharing(after)))
    return tuple(changes)


def _owner(node: Node, partners: Partners) -> Node | None:
    """The node whose parameters are shared, by its counterpart in the other network."""
    if node.shares is None:
        return None
    return partners.get(node.shares.index, node.shares)


def _names(node: Node) -> str:
    return ", ".join(source.name for source in node.inputs)


def _sharing(node: Node) -> str:
    return node.shares.name if node.shares is not None else "its own"
