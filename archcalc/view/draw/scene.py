"""The contents of a drawing, in frames: parts are closed blocks, or layers with others folded into them.

A frame is an open block. For a run of equal blocks, the frame shows the first one and the number of
repetitions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct

from archcalc.network import Node
from archcalc.profile import Profile
from archcalc.quantities import QUANTITIES, Selection
from archcalc.shape import Shape
from archcalc.view.draw.words import given_name
from archcalc.view.structure import Box, Structure

FOLDED = {"activation", "norm", "unary", "arithmetic"}
"""Families of layers that are drawn with the layer before them, where they change no shape."""


class DrawnPart(Struct, eq=False):
    """A layer and the layers folded into it, or a closed block or run.

    `frame` is the number of the frame around it, `nodes` are all of its nodes, `main` is the layer that it is
    drawn as, and `output` is the node that makes its output tensor.
    """

    frame: int
    box: Box
    nodes: list[Node]
    main: Node
    output: Node
    is_outside: bool = False
    """Is it only read by what is drawn?"""
    label: str = ""
    """A name that its author gave it or the block that it is alone in: `C1`."""

    @property
    def is_block(self) -> bool:
        return not self.box.is_layer

    @property
    def is_input(self) -> bool:
        return self.is_outside or (self.box.is_layer and self.main.is_input)

    @property
    def times(self) -> int:
        return self.box.times

    @property
    def shape(self) -> Shape:
        """Return the shape for a volume: flattening a tensor does not change its picture."""
        return self.output.shape if self.is_block else self.main.shape

    @property
    def folded(self) -> list[Node]:
        """Return the layers that are drawn with the main one, before and after it."""
        return [] if self.is_block else [node for node in self.nodes if node is not self.main]

    @property
    def is_banded(self) -> bool:
        """Return whether a layer that computes something is folded into it."""
        return any(node.kind != "flatten" for node in self.folded)


class Frame(Struct, eq=False):
    """An open block. Its number is its index in `Scene.frames`; the first frame is the whole network."""

    parent: int
    box: Box


class Scene(Struct, eq=False):
    """The parts and frames of a drawing. `edges` connect part numbers, in the order of their readers."""

    structure: Structure
    frames: list[Frame]
    parts: list[DrawnPart]
    edges: list[tuple[int, int]]

    @property
    def is_chain(self) -> bool:
        """Return whether each part reads the one before it, whatever else it reads."""
        edges = set(self.edges)
        return all((number - 1, number) in edges for number in range(1, len(self.parts)))

    @property
    def has_frames(self) -> bool:
        return len(self.frames) > 1


def scene(structure: Structure, opened: Collection[int], root: int = 0) -> Scene:
    """Return the scene of a box with some boxes open. The tensors that the box reads are drawn as inputs."""
    found = Scene(structure, [], [], [])
    place: dict[int, int] = {}
    boxes, nodes = structure.boxes, structure.nodes
    if root:
        for source in boxes[root].reads:
            place[source] = len(found.parts)
            box = Box(nodes[source].name, source, source + 1)
            node = nodes[source]
            found.parts.append(DrawnPart(0, box, [node], node, node, is_outside=True))
    readers = _readers(structure)
    waiting: list[tuple[int, int]] = [(root, -1)]
    repeats: list[Box] = []
    while waiting:
        number, frame = waiting.pop()
        box = boxes[number]
        if number == root or _is_open(boxes, number, opened):
            found.frames.append(Frame(frame, box))
            if box.is_run:
                repeats.append(box)
            children = box.children[: box.period] if box.is_run else box.children
            if box.is_run and box.period == 1 and children[0] in opened:
                children = boxes[children[0]].children  # one frame for the run and the blocks that repeat
            waiting += [(child, len(found.frames) - 1) for child in reversed(children)]
            continue
        _add(found, box, frame, place, readers)
    for box in reversed(repeats):  # inner ones first: the first repetition represents all
        length = (box.stop - box.start) // box.times
        for position in range(box.start + length, box.stop):
            place[position] = place[position - length]
    found.edges = _edges(found, place, boxes[root], repeats)
    return _without_needless_frames(_folded_before(found))


def _without_needless_frames(found: Scene) -> Scene:
    """Remove frames around a single part; the part takes the frame's name if that is meaningful."""
    inside = [0] * len(found.frames)
    for part in found.parts:
        inside[part.frame] += 1
    for frame in found.frames[1:]:
        inside[frame.parent] += 1
    alone = {n for n in range(1, len(found.frames)) if inside[n] == 1 and not found.frames[n].box.is_run}
    for part in found.parts:
        own = part.box
        part.label = "" if part.is_block or part.is_input else given_name(own, part.main.kind)
        while part.frame in alone:
            frame = found.frames[part.frame]
            kind = frame.box.group.kind if frame.box.group is not None else ""
            part.label = given_name(frame.box, kind) or part.label
            part.frame = frame.parent
    kept = [n for n in range(len(found.frames)) if n not in alone]
    place = {n: new for new, n in enumerate(kept)}
    frames = [found.frames[n] for n in kept]
    for frame in frames[1:]:
        while frame.parent in alone:
            frame.parent = found.frames[frame.parent].parent
        frame.parent = place[frame.parent]
    for part in found.parts:
        part.frame = place[part.frame]
    return Scene(found.structure, frames, found.parts, found.edges)


def _is_open(boxes: Sequence[Box], number: int, opened: Collection[int]) -> bool:
    """Return whether a box is drawn as a frame. A run of single closed blocks is drawn as one of them."""
    box = boxes[number]
    if number not in opened or not box.children:
        return False
    first = box.children[0]
    return not (box.is_run and box.period == 1 and boxes[first].children and first not in opened)


def _add(found: Scene, box: Box, frame: int, place: dict[int, int], readers: Sequence[int]) -> None:
    nodes = found.structure.nodes[box.start : box.stop]
    number = _folds_into(found, box, frame, place, readers) if box.is_layer else -1
    if number < 0:
        number = len(found.parts)
        last = found.structure.nodes[box.gives[-1]] if box.gives else nodes[-1]
        output = box.group.output if box.group is not None else last
        found.parts.append(DrawnPart(frame, box, list(nodes), output, output))
    else:
        found.parts[number].nodes += nodes
        found.parts[number].output = nodes[-1]
    place.update(dict.fromkeys(range(box.start, box.stop), number))


def _readers(structure: Structure) -> list[int]:
    """Return how many nodes read each node; results of the network are also read from outside."""
    found = [0] * len(structure.nodes)
    for node in structure.nodes:
        for source in set(structure.inputs(node)):
            found[source] += 1
    return found


def _folds_into(found: Scene, box: Box, frame: int, place: dict[int, int], readers: Sequence[int]) -> int:
    """Return the number of the part that a layer is drawn with, or -1."""
    node = found.structure.nodes[box.start]
    if len(node.inputs) != 1 or not is_folded(node):
        return -1
    source = found.structure.positions[node.inputs[0].index]
    number = place.get(source, -1)
    if number < 0 or readers[source] != 1:
        return -1
    part = found.parts[number]
    if part.is_block or part.is_input or part.frame != frame or part.output is not node.inputs[0]:
        return -1
    return number


def is_folded(node: Node) -> bool:
    """Return whether a layer is drawn with the one before it."""
    layer = node.layer
    if layer.kind == "flatten":
        return True
    return layer.family in FOLDED and len(node.inputs) == 1 and node.shape == node.inputs[0].shape


def _edges(found: Scene, place: dict[int, int], root: Box, repeats: Sequence[Box]) -> list[tuple[int, int]]:
    """Return the edges between parts. Edges between repetitions of an open run are not drawn."""
    edges: dict[tuple[int, int], None] = {}
    structure = found.structure
    for target in range(root.start, root.stop):
        for source in structure.inputs(structure.nodes[target]):
            if source not in place or place[source] == place[target]:
                continue
            if not any(_repeats(box, target) for box in repeats):
                edges[place[source], place[target]] = None
    return sorted(edges, key=lambda edge: edge[1])


def _repeats(box: Box, position: int) -> bool:
    """Return whether a node is in one of the repetitions that are not drawn."""
    length = (box.stop - box.start) // box.times
    return box.start + length <= position < box.stop


def _folded_before(found: Scene) -> Scene:
    """Fold layers into the next layer if they cannot be drawn with the previous one."""
    after: dict[int, list[int]] = {}
    sources: dict[int, list[int]] = {}
    for start, end in found.edges:
        after.setdefault(start, []).append(end)
        sources.setdefault(end, []).append(start)
    into: dict[int, int] = {}
    for number, part in enumerate(found.parts):
        ends = after.get(number, [])
        if part.is_block or not is_folded(part.main):
            continue
        if len(ends) == 1 and sources[ends[0]] == [number]:
            target = found.parts[ends[0]]
            if not target.is_block and not target.main.layer.is_join and target.frame == part.frame:
                into[number] = ends[0]
    if not into:
        return found
    for number in sorted(into):
        found.parts[into[number]].nodes[:0] = found.parts[number].nodes
    kept = [number for number in range(len(found.parts)) if number not in into]
    place = {number: new for new, number in enumerate(kept)}
    for number in sorted(into, reverse=True):
        place[number] = place[into[number]]
    edges = {(place[a], place[b]): None for a, b in found.edges if place[a] != place[b]}
    parts = [found.parts[number] for number in kept]
    return Scene(found.structure, found.frames, parts, sorted(edges, key=lambda edge: edge[1]))


def family(part: DrawnPart, profile: Profile) -> str:
    """Return the family of a part's layer; for a block, of the layers with most MACs, or else FLOPs."""
    if not part.is_block:
        return part.main.layer.family
    for quantity in ("macs", "flops"):
        sums: dict[str, int] = {}
        for node in part.nodes:
            name = node.layer.family
            sums[name] = sums.get(name, 0) + profile.entries[node.index].counts[quantity]
        if any(sums.values()):
            return max(sums, key=sums.__getitem__)
    return ""


def value_of(profile: Profile, part: DrawnPart, quantity: str) -> int:
    """Return a part's contribution to the total of a quantity."""
    layers = [profile.entries[node.index] for node in part.nodes if not node.is_input]
    selection = Selection(profile, part.box.name, layers, part.output, part.box.group)
    return QUANTITIES[quantity].adds(selection) if layers and not part.is_outside else 0
