"""Chooses what is drawn of a network: which blocks are open, and what to do if there is too much to draw."""

from __future__ import annotations

from msgspec import Struct

from archcalc.diagnostics import error
from archcalc.network import Network
from archcalc.render.numbers import grouped
from archcalc.view.draw.scene import Scene, is_folded, scene
from archcalc.view.structure import Structure, structure

FEW = 40
"""Blocks are opened while a drawing of blocks has at most this many boxes."""

ROW = 30
"""The same for volumes, which are in a row."""

MOST = 1000
"""The most boxes in a drawing: more would be unreadable."""

MOST_EDGES = 5 * MOST
"""No drawing has more lines."""

LEVELS = ("blocks", "layers", "volumes")


class Chosen(Struct, frozen=True):
    """A scene, the level at which it is drawn, and a note for the user about the choice."""

    scene: Scene
    level: str
    note: str = ""


def choose(network: Network, level: str, depth: int | None, block: str, heads: bool) -> Chosen:
    """Choose the scene of a network, or of one block. Raises `ArchError` if there is too much to draw."""
    if level == "volumes":
        return _volumes(network, depth, block, heads)
    found = structure(network, heads=heads)
    root = _root(found, block)
    if level == "layers" and depth is None:
        drawn = scene(found, range(len(found.boxes)), root)
        if len(drawn.parts) <= MOST:
            return Chosen(drawn, level)
        note = f"`{network.name}` has {grouped(len(drawn.parts))} layers to draw, which is too many to read"
        return Chosen(_limited(_blocks(found, root), network), "blocks", f"{note}: its blocks are drawn")
    if depth is not None:
        return Chosen(_limited(scene(found, opened_to(found, root, depth), root), network), level)
    drawn = _limited(_blocks(found, root), network)
    is_flat = len(drawn.parts) > FEW and not any(box.group is not None for box in found.boxes)
    return Chosen(drawn, level, f"`{network.name}` has no blocks: its layers are drawn" if is_flat else "")


def _limited(drawn: Scene, network: Network) -> Scene:
    """Return the scene if it is small enough. Raises `ArchError` otherwise."""
    for count, what, most in (len(drawn.parts), "boxes", MOST), (len(drawn.edges), "edges", MOST_EDGES):
        if count > most:
            raise error(
                f"`{network.name}` is too large to draw: {grouped(count)} {what}, of {most:,} at most",
                help="draw one block with `--block`, or write all layers with `--format graphml`",
            )
    return drawn


def _root(found: Structure, block: str) -> int:
    """Return the box of a block, or of the whole network if no block is given."""
    if not block:
        return 0
    for number, box in enumerate(found.boxes):
        if box.group is not None and box.name == block and box.children:
            return number
    network = found.network
    if any(node.name == block for node in network.nodes):
        raise error(f"`{block}` is a layer of `{network.name}`, not a block", help="name the block it is in")
    raise network.unknown_path(block, noun="block")


def depths(found: Structure, root: int) -> list[int]:
    """Return the depth of each box below a root. A run has the depth of the boxes that repeat in it."""
    result = [0] * len(found.boxes)
    for number, box in enumerate(found.boxes):
        if number != root and box.parent >= 0:
            parent = found.boxes[box.parent]
            result[number] = result[box.parent] + (0 if parent.is_run and box.parent != root else 1)
    return result


def opened_to(found: Structure, root: int, depth: int) -> set[int]:
    """Return the boxes to open so that blocks at this depth are closed."""
    deep = depths(found, root)
    lowest = deep[root]
    return {
        number
        for number, box in enumerate(found.boxes)
        if box.children and deep[number] - lowest < depth + (box.is_run and box.period > 1)
    }


def _blocks(found: Structure, root: int) -> Scene:
    """Open blocks while there are few boxes. Blocks with only layers stay closed."""
    outer = _with_blocks_inside(found) | _of_one_part(found) | {root}
    deepest = max(depths(found, root)) - depths(found, root)[root]
    best = None
    for depth in range(1, max(deepest, 1) + 1):
        drawn = scene(found, opened_to(found, root, depth) & outer | _of_one_part(found), root)
        if best is not None and len(drawn.parts) > FEW:
            break
        best = drawn
    assert best is not None
    return best


def _with_blocks_inside(found: Structure) -> set[int]:
    """Return the boxes that contain blocks of several parts."""
    small = _of_one_part(found)
    inside: set[int] = set()
    for number in reversed(range(len(found.boxes))):
        box = found.boxes[number]
        is_block = bool(box.children) and not box.is_run and number not in small
        if box.parent >= 0 and (is_block or number in inside):
            inside.add(box.parent)
    return inside


def _of_one_part(found: Structure) -> set[int]:
    """Return the blocks that are drawn as one layer with others folded into it: `conv -> bn -> relu`."""
    return {
        number
        for number, box in enumerate(found.boxes)
        if number
        and box.children
        and not box.is_run
        and all(found.boxes[child].is_layer for child in box.children)
        and sum(not is_folded(found.nodes[found.boxes[child].start]) for child in box.children) == 1
        and not is_folded(found.nodes[box.start])
    }


def _volumes(network: Network, depth: int | None, block: str, heads: bool) -> Chosen:
    """Choose volumes: all layers if they are few, otherwise blocks; runs of equal ones are folded last."""
    found = structure(network, heads=heads, fold=False)
    root = _root(found, block)
    if depth is None and not _with_blocks_inside(found):  # no blocks to close
        return Chosen(_limited(scene(found, range(len(found.boxes)), root), network), "volumes")
    if depth is not None:
        return Chosen(_limited(scene(found, opened_to(found, root, depth), root), network), "volumes")
    deepest = max(depths(found, root)) - depths(found, root)[root]
    for depth in range(max(deepest, 1), 0, -1):
        drawn = scene(found, opened_to(found, root, depth), root)
        if len(drawn.parts) <= ROW:
            note = "" if depth >= deepest or _is_whole(drawn) else _closed(network, found, root)
            return Chosen(drawn, "volumes", note)
    folded = structure(network, heads=heads)
    root = _root(folded, block)
    drawn = scene(folded, opened_to(folded, root, 1) - _runs(folded), root)
    return Chosen(_limited(drawn, network), "volumes", _closed(network, found, root))


def _runs(found: Structure) -> set[int]:
    return {number for number, box in enumerate(found.boxes) if box.is_run}


def _is_whole(drawn: Scene) -> bool:
    return not any(part.is_block for part in drawn.parts)


def _closed(network: Network, found: Structure, root: int) -> str:
    layers = len(
        scene(found, range(len(found.boxes)), _root(found, found.boxes[root].name if root else "")).parts
    )
    return (
        f"`{network.name}` has {grouped(layers)} volumes, too many for a row: blocks are drawn as one "
        "each, and `--depth` opens more of them"
    )
