"""Draws a graph from top to bottom: boxes for parts, frames for open blocks, and lines that cross no box.

Each frame is laid out separately, inner frames first, in the ranks and tracks of its pattern. Tensors enter
at its upper border and leave at its lower border.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from msgspec import Struct

from archcalc.render.charts import INK, PALE
from archcalc.view.draw.arrange import Arranged, arrange
from archcalc.view.draw.colors import Coloring, legend
from archcalc.view.draw.frames import Inside, child_at, frames_around, insides
from archcalc.view.draw.letters import fitted, width
from archcalc.view.draw.palette import LINE, WHITE, letters_on, mixed
from archcalc.view.draw.scene import DrawnPart, Scene
from archcalc.view.draw.svg import Canvas, Point
from archcalc.view.draw.words import SMALL, WIDEST, box_lines, box_words, frame_name

LARGE = 10.0
"""The size of letters in the title of a box."""

STEP = 11.5
"""The distance between lines of text."""

SIDE, ABOVE, BELOW = 8.0, 6.0, 5.0
"""The space between a box and its text."""

BETWEEN, APART, LANE = 14.0, 18.0, 8.0
"""The room between boxes, between ranks, and for a line."""

HEADER, EDGE = 18.0, 10.0
"""The room for a frame's name, and the room at its other sides."""

STACK = 5.0
"""How far the cards of a run extend beyond the first one."""

MOST_ASIDE = 4
"""A line from straight above enters in the middle unless so many more enter on one side of it."""

PORT = 11.0
"""The distance between lines that enter a box."""


class Line(Struct, frozen=True):
    """A line of text in a box, and the size of its letters."""

    text: str
    size: float


class Laid(Struct, eq=False):
    """A frame after layout: its size, the positions of its children, and where tensors cross its border."""

    wide: float
    high: float
    shift: Point
    arranged: Arranged
    entries: dict[int, float]
    """Of each tensor that enters, the place across, from the center of the frame."""
    exits: dict[int, float]


class GraphDrawing:
    """A scene as boxes, frames and lines."""

    def __init__(self, scene: Scene, found: Coloring) -> None:
        self.scene = scene
        self.coloring = found
        self.insides = insides(scene)
        self.lines = [self._lines(number, part) for number, part in enumerate(scene.parts)]

    @cached_property
    def laid(self) -> list[Laid]:
        """Return the layout of each frame; inner frames are laid out first."""
        laid: dict[int, Laid] = {}
        for number in reversed(range(len(self.scene.frames))):
            laid[number] = self._lay(number, laid)
        return [laid[number] for number in range(len(self.scene.frames))]

    def _lines(self, number: int, part: DrawnPart) -> list[Line]:
        """Return the text in a box."""
        texts = box_lines(part, self.coloring.figure(number))
        first = box_words(part)[1]
        lines = [Line(text, LARGE if place == first else SMALL) for place, text in enumerate(texts)]
        return [Line(fitted(line.text, line.size, WIDEST), line.size) for line in lines]

    def _size(self, number: int) -> tuple[float, float]:
        lines = self.lines[number]
        wide = max(width(line.text, line.size) for line in lines)
        stack = STACK if self.scene.parts[number].times else 0
        return max(wide + 2 * SIDE, 40) + stack, ABOVE + BELOW + STEP * len(lines) + stack

    def _lay(self, number: int, laid: dict[int, Laid]) -> Laid:
        inside = self.insides[number]
        first = len(inside.entries)
        sizes = [(LANE, 0.0)] * first
        sizes += [
            self._size(child) if child >= 0 else (laid[-1 - child].wide, laid[-1 - child].high)
            for child in inside.children
        ]
        sizes += [(LANE, 0.0)] * len(inside.exits)
        leaves: dict[tuple[int, int], float] = {}
        enters: dict[int, float] = {}
        into: dict[int, list[int]] = {}
        for edge, (source, output, target) in enumerate(inside.pattern.edges):
            tensor = inside.readers[edge]
            child = child_at(inside, source)
            if child is not None and child < 0:
                leaves[source, output] = laid[-1 - child].exits[tensor]
            child = child_at(inside, target)
            if child is not None and child < 0:
                enters[edge] = laid[-1 - child].entries[tensor]
            elif child is not None:
                into.setdefault(target, []).append(edge)
        arranged = self._arranged(inside, sizes, leaves, enters)
        spread = dict(enters)
        for target, edges in into.items():  # lines that enter a box next to each other, from left to right
            order = sorted(edges, key=lambda edge: (arranged.stops[edge][-2][0], edge))
            step = min(PORT, (sizes[target][0] - 12) / len(edges))
            middle = _straight(inside, order, target)
            spread |= {edge: (place - middle) * step for place, edge in enumerate(order)}
        if spread != enters:
            arranged = self._arranged(inside, sizes, leaves, spread)
        is_root = number == 0
        left = right = 0.0 if is_root else EDGE
        if not is_root:  # the name is to the left of the lines that enter
            name = SIDE + width(self._name(number), SMALL) + 5
            room = min((arranged.across[n] for n in range(first)), default=arranged.wide) + left
            wider = max(0.0, name - room) if first else max(0.0, name + SIDE - arranged.wide - 2 * EDGE) / 2
            left, right = left + wider, right + wider
        inner = arranged.wide + left + right
        stack = STACK if self.scene.frames[number].box.is_run else 0
        shift = (left, 0.0 if is_root else HEADER)
        high = arranged.long + shift[1] + (0.0 if is_root or inside.exits else EDGE)
        count = first + len(inside.children)
        middle = (inner + stack) / 2 - shift[0]
        return Laid(
            inner + stack,
            high + stack,
            shift,
            arranged,
            {tensor: arranged.across[n] - middle for n, tensor in enumerate(inside.entries)},
            {tensor: arranged.across[n] - middle for n, tensor in enumerate(inside.exits, count)},
        )

    def _arranged(
        self,
        inside: Inside,
        sizes: list[tuple[float, float]],
        leaves: dict[tuple[int, int], float],
        enters: dict[int, float],
    ) -> Arranged:
        return arrange(
            inside.pattern, sizes, between=BETWEEN, apart=APART, lane=LANE, leaves=leaves, enters=enters
        )

    def _name(self, number: int) -> str:
        return fitted(frame_name(self.scene, number), SMALL, WIDEST)

    # --- What is drawn ---

    def draw(self, canvas: Canvas) -> None:
        """Draw frames from the outside in, then lines, boxes and the legend."""
        places: dict[int, Point] = {0: (0.0, 0.0)}
        boxes: list[tuple[int, float, float, float, float]] = []
        paths: list[list[tuple[float, float, float]]] = []
        arrows: list[bool] = []
        for number in range(len(self.scene.frames)):
            left, top = places[number]
            laid, inside = self.laid[number], self.insides[number]
            if number:
                self._frame(canvas, number, left, top)
            x, y = left + laid.shift[0], top + laid.shift[1]
            first = len(inside.entries)
            for place, child in enumerate(inside.children, first):
                center, start = laid.arranged.across[place] + x, laid.arranged.along[place] + y
                if child < 0:
                    places[-1 - child] = (center - self.laid[-1 - child].wide / 2, start)
                else:
                    wide, high = self._size(child)
                    boxes.append((child, center - wide / 2, start, wide, high))
            for edge, stops in enumerate(laid.arranged.stops):
                path = [(across + x, begin + y, end + y) for across, begin, end in stops]
                source, _, target = inside.pattern.edges[edge]
                if source < first:
                    path[0] = (path[0][0], top, top)
                end = child_at(inside, target)
                arrows.append(end is not None and end >= 0)
                paths.append(path)
        for path, has_head in zip(paths, arrows, strict=True):
            _path(canvas, path, has_head)
        for box in boxes:
            self._box(canvas, *box)
        low = canvas.bottom + 12
        legend(canvas, self.coloring, 0, low, max(canvas.right, 240))

    def _frame(self, canvas: Canvas, number: int, left: float, top: float) -> None:
        laid, box = self.laid[number], self.scene.frames[number].box
        depth = len(frames_around(self.scene, number)) - 1
        ground = mixed(WHITE, "#E2E2E2", min(0.3 * depth, 0.9))
        wide, high = laid.wide, laid.high
        if box.is_run:
            wide, high = wide - STACK, high - STACK
            for step in (STACK, STACK / 2):
                canvas.box(left + step, top + step, wide, high, ground, line=PALE, round=4)
        canvas.box(left, top, wide, high, ground, line=PALE, thin=0.7, round=4)
        canvas.write(self._name(number), left + SIDE, top + 11, SMALL, ground=ground)

    def _box(self, canvas: Canvas, number: int, left: float, top: float, wide: float, high: float) -> None:
        part, color = self.scene.parts[number], self.coloring.colors[number]
        if part.times:
            wide, high = wide - STACK, high - STACK
            for step in (STACK, STACK / 2):
                canvas.box(left + step, top + step, wide, high, color, line=INK, thin=0.6, round=3)
        canvas.box(left, top, wide, high, color, line=INK, round=3)
        ink = letters_on(color)
        for place, line in enumerate(self.lines[number]):
            y = top + ABOVE + STEP * place + 7.5
            canvas.write(line.text, left + wide / 2, y, line.size, anchor="middle", color=ink, ground=color)


def _straight(inside: Inside, order: Sequence[int], target: int) -> float:
    """Return which of the edges into a vertex enters in the middle: one from straight above, if any."""
    for track in inside.pattern.tracks:
        if target in track.vertices[1:]:
            above = track.vertices[track.vertices.index(target) - 1]
            sources = [inside.pattern.edges[edge][0] for edge in order]
            if above in sources and 2 * abs(sources.index(above) - (len(order) - 1) / 2) <= MOST_ASIDE:
                return sources.index(above)
    return (len(order) - 1) / 2


def _path(canvas: Canvas, stops: list[tuple[float, float, float]], has_head: bool) -> None:
    """Return a line from the end of its first stop to the start of its last, straight inside the others."""
    x, _, y = stops[0]
    path = f"M{x:.1f} {y:.1f}"
    reach = [(x, y)]
    for across, begin, end in stops[1:]:
        if abs(across - x) < 0.05:
            path += f"V{begin:.1f}" if begin > y else ""
        else:
            bend = (y + begin) / 2
            path += f"C{x:.1f} {bend:.1f} {across:.1f} {bend:.1f} {across:.1f} {begin:.1f}"
        x, y = across, begin
        reach.append((x, y))
        if end > begin and (across, begin, end) != stops[-1]:
            path += f"V{end:.1f}"
            y = end
            reach.append((x, y))
    canvas.curve(path, reach, LINE, 1)
    if has_head:
        canvas.polygon([(x, y), (x - 2.2, y - 4.4), (x + 2.2, y - 4.4)], LINE)


def draw_graph(canvas: Canvas, scene: Scene, found: Coloring) -> None:
    """Draw a scene as a graph, with a legend."""
    GraphDrawing(scene, found).draw(canvas)
