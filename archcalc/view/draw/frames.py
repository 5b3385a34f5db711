"""The inside of each frame of a scene: its children, and the tensors that enter, leave and connect them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from archcalc.view.draw.scene import Scene
from archcalc.view.pattern import Pattern, pattern


class Inside(Struct, eq=False):
    """The inside of a frame: its children, which are parts or frames, and how they are connected.

    A child is the number of a part, or `-1 - n` for the frame `n`. `entries` and `exits` are the parts whose
    tensors enter and leave.
    """

    children: list[int]
    entries: list[int]
    exits: list[int]
    pattern: Pattern
    readers: list[int]
    """Of each edge of the pattern, the part whose tensor it is."""


def insides(scene: Scene) -> list[Inside]:
    """The inside of each frame."""
    above = [[*frames_around(scene, part.frame)] for part in scene.parts]
    entries: list[dict[int, None]] = [{} for _ in scene.frames]
    exits: list[dict[int, None]] = [{} for _ in scene.frames]
    # for each edge in a frame: the part that makes its tensor, the child that it leaves, and the child that
    # reads it
    joined: list[dict[tuple[int, int, int], None]] = [{} for _ in scene.frames]
    for source, target in scene.edges:
        up, down = above[source], above[target]
        common = next(frame for frame in up if frame in set(down))
        child = source
        for frame in up[: up.index(common)]:
            exits[frame][source] = None
            child = -1 - frame
        inner = down[: down.index(common)]
        for frame in inner:
            entries[frame][source] = None
        for number, frame in enumerate([*inner, common]):
            reader = target if number == 0 else -1 - inner[number - 1]
            joined[frame][source, child if frame == common else source, reader] = None
    children: list[list[int]] = [[] for _ in scene.frames]
    firsts = [(part.box.start, n, n) for n, part in enumerate(scene.parts)]
    firsts += [(frame.box.start, -1, -1 - n) for n, frame in enumerate(scene.frames) if n]
    for _, _, child in sorted(firsts, key=lambda first: first[:2]):
        children[scene.parts[child].frame if child >= 0 else scene.frames[-1 - child].parent].append(child)
    return [
        _inside(scene, number, children[number], [*entries[number]], [*exits[number]], [*joined[number]])
        for number in range(len(scene.frames))
    ]


def frames_around(scene: Scene, frame: int) -> Sequence[int]:
    found = []
    while frame >= 0:
        found.append(frame)
        frame = scene.frames[frame].parent
    return found


def _inside(
    scene: Scene,
    number: int,
    children: list[int],
    entries: list[int],
    exits: list[int],
    joined: list[tuple[int, int, int]],
) -> Inside:
    vertex = {child: len(entries) + place for place, child in enumerate(children)}
    port = {source: place for place, source in enumerate(entries)}
    outputs: dict[int, list[int]] = {}
    edges: list[tuple[int, int, int]] = []
    readers: list[int] = []

    def start(source: int, child: int) -> tuple[int, int]:
        if source in port:
            return port[source], 0
        given = outputs.setdefault(child, [])
        if source not in given:
            given.append(source)
        return vertex[child], given.index(source)

    for source, child, reader in sorted(joined, key=lambda edge: vertex[edge[2]]):
        edges.append((*start(source, child), vertex[reader]))
        readers.append(source)
    for place, source in enumerate(exits):
        child = source
        for frame in frames_around(scene, scene.parts[source].frame):
            if frame == number:
                break
            child = -1 - frame
        edges.append((*start(source, child), len(entries) + len(children) + place))
        readers.append(source)
    return Inside(children, entries, exits, pattern(len(entries), len(children), len(exits), edges), readers)


def child_at(inside: Inside, vertex: int) -> int | None:
    """Return the child at a vertex of the pattern; `None` for a port."""
    place = vertex - len(inside.entries)
    return inside.children[place] if 0 <= place < len(inside.children) else None
