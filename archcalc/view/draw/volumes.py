"""Draws volumes: the stacked boxes common in papers, one for the output of each part.

Height and depth grow with the square root of the resolution, thickness with the logarithm of the channels.
Consecutive parts form a row, with their labels below in two lanes; branches are below one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log2, sqrt

from msgspec import Struct

from archcalc.render.charts import INK
from archcalc.shape import Shape
from archcalc.view.draw.arrange import arrange
from archcalc.view.draw.colors import SMALL, Coloring, legend
from archcalc.view.draw.letters import width
from archcalc.view.draw.palette import LINE, WHITE, mixed
from archcalc.view.draw.scene import Scene
from archcalc.view.draw.svg import Canvas, Point
from archcalc.view.draw.words import shape_text, title
from archcalc.view.pattern import pattern

TALLEST = 150.0
"""The height of the map with the highest resolution."""

GREATEST = 15.0
"""The most that one root of resolution is drawn as: small images do not become large boxes."""

LEAST = 6.0
"""The height of a single value."""

THICK = 2.4
"""The added thickness when the channels double."""

SLANT = 0.32
"""How far the depth of a box leads to the right and up."""

ROW = 940
"""A row of labels that would be wider than this gets two lanes."""

LETTERS = 8.5
BELOW = 9.0
"""The size of letters, and the room between a box and its label."""


class Volume(Struct, frozen=True):
    """The side lengths of a box in a drawing."""

    thick: float
    high: float
    deep: float

    @property
    def wide(self) -> float:
        return self.thick + self.deep

    @property
    def tall(self) -> float:
        return self.high + self.deep


def volume(shape: Shape, scale: float) -> Volume:
    """Return the box of a tensor; `scale` is the height for each unit of the square root of the resolution.

    >>> volume((64, 16, 16), 10)
    Volume(thick=16.4, high=40.0, deep=12.8)
    """
    thick = 2 + THICK * log2(max(shape[0], 1))
    high = max(scale * sqrt(shape[-2]) if len(shape) > 2 else LEAST, LEAST)
    if len(shape) == 2:  # a sequence: its height is its length, without depth
        return Volume(thick, max(scale * sqrt(shape[1]), LEAST), LEAST * SLANT)
    deep = max(scale * sqrt(shape[-1]) if len(shape) > 2 else LEAST, LEAST) * SLANT
    return Volume(thick, high, deep)


def draw_volumes(canvas: Canvas, scene: Scene, found: Coloring) -> None:
    """Draw the volumes of some parts, with a legend."""
    largest = max((max(part.shape[1:], default=1) for part in scene.parts), default=1)
    scale = min(TALLEST / sqrt(largest), GREATEST)
    volumes = [volume(part.shape, scale) for part in scene.parts]
    labels = [
        [title(part), shape_text(part), *filter(None, [found.figure(n)])]
        for n, part in enumerate(scene.parts)
    ]
    if scene.is_chain:
        low = _chain(canvas, scene, volumes, labels, found)
    else:
        low = _branches(canvas, scene, volumes, labels, found)
    low += 14
    low += legend(canvas, found, 0, low, max(canvas.right, 260))
    words = [
        "Height and depth: square root of the resolution.",
        "Thickness: logarithm of the channels.",
        *(
            ["Darker end: activation or norm in the same box."]
            if any(part.is_banded for part in scene.parts)
            else []
        ),
    ]
    lines = [" ".join(words)]
    if width(lines[0], SMALL) > max(canvas.right, 260):
        lines = words
    for number, line in enumerate(lines):
        canvas.write(line, 0, low + 8 + 12 * number, SMALL)


def _chain(
    canvas: Canvas, scene: Scene, volumes: list[Volume], labels: list[list[str]], found: Coloring
) -> float:
    """Draw a row of boxes, with skip connections above and labels below; return where the drawing ends."""
    wide = [max(width(line, LETTERS) for line in lines) for lines in labels]
    lanes = 1 if sum(wide) + 10 * len(wide) <= ROW else 2
    centers = _row(volumes, wide, lanes)
    skips = [(a, b) for a, b in scene.edges if b != a + 1]
    heights = _lanes_above(skips)
    middle = max(v.high / 2 + v.deep for v in volumes) + 14 + 9 * (max(heights.values(), default=-1) + 1)
    for number, (part, box) in enumerate(zip(scene.parts, volumes, strict=True)):
        left = centers[number] - box.thick / 2
        _volume(canvas, left, middle, box, found.colors[number], banded=part.is_banded)
        if number + 1 < len(volumes):
            after = centers[number + 1] - volumes[number + 1].thick / 2
            _arrow(
                canvas,
                [
                    (left + box.thick + box.deep / 2, middle - box.deep / 2),
                    (after - 1.5, middle - box.deep / 2),
                ],
            )
    for (start, end), height in heights.items():
        y = 6.0 + 9 * (max(heights.values()) - height)
        first, last = (_back(centers[n], middle, volumes[n]) for n in (start, end))
        _arrow(canvas, [first, (first[0], y), (last[0] - 4, y), (last[0] - 4, last[1] - 1)])
    floor = middle + max(v.high / 2 for v in volumes) + BELOW
    step = LETTERS * 1.25
    tallest = max(map(len, labels)) * step
    for number, lines in enumerate(labels):
        lane = number % lanes
        top = floor + lane * (tallest + 5)
        x = centers[number]
        bottom = middle + volumes[number].high / 2
        canvas.curve(f"M{x:.1f} {bottom + 2:.1f}V{top - 1:.1f}", [(x, top)], LINE, 0.5)
        for line_number, line in enumerate(lines):
            canvas.write(line, x, top + LETTERS + line_number * step, LETTERS, anchor="middle")
    return floor + lanes * (tallest + 5)


def _row(volumes: Sequence[Volume], wide: Sequence[float], lanes: int) -> list[float]:
    """Return the centers of boxes in a row, far enough apart that neither boxes nor labels overlap."""
    centers: list[float] = []
    for number, box in enumerate(volumes):
        x = max(box.thick / 2, wide[number] / 2)
        if number:
            before = volumes[number - 1]
            x = max(x, centers[-1] + before.thick / 2 + before.deep * 0.55 + 9 + box.thick / 2)
            if lanes == 2:  # the line to the second lane passes between labels in the first
                beside = wide[number] if number % 2 == 0 else wide[number - 1]
                x = max(x, centers[-1] + beside / 2 + 3)
        if number >= lanes:
            x = max(x, centers[-lanes] + (wide[number] + wide[number - lanes]) / 2 + 10)
        centers.append(x)
    return centers


def _lanes_above(skips: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Return the lane of each line above the row: nested lines are below the lines around them."""
    heights: dict[tuple[int, int], int] = {}
    for start, end in sorted(skips, key=lambda skip: skip[1] - skip[0]):
        taken = {lane for (a, b), lane in heights.items() if a < end and start < b}
        heights[start, end] = next(lane for lane in range(len(skips)) if lane not in taken)
    return heights


def _branches(
    canvas: Canvas, scene: Scene, volumes: list[Volume], labels: list[list[str]], found: Coloring
) -> float:
    """Draw ranks of boxes from left to right, each with its label below; return where the drawing ends."""
    step = LETTERS * 1.25
    wide = [
        max(v.wide, *(width(line, LETTERS) for line in lines))
        for v, lines in zip(volumes, labels, strict=True)
    ]
    tall = [v.tall + BELOW + step * len(lines) for v, lines in zip(volumes, labels, strict=True)]
    found_pattern = pattern(0, len(volumes), 0, [(start, 0, end) for start, end in scene.edges])
    axes = [v.deep + v.high / 2 - high / 2 for v, high in zip(volumes, tall, strict=True)]
    placed = arrange(
        found_pattern,
        list(zip(tall, wide, strict=True)),
        between=14,
        apart=26,
        lane=9,
        leaves={(number, 0): axis for number, axis in enumerate(axes)},
        enters={edge: axes[end] for edge, (_, end) in enumerate(scene.edges)},
    )
    spots = []
    for number, box in enumerate(volumes):
        top, left = placed.across[number] - tall[number] / 2, placed.along[number]
        x = left + (wide[number] - box.wide) / 2
        spots.append((x, top + box.deep + box.high / 2))
    for (start, end), stops in zip(scene.edges, placed.stops, strict=True):
        x, y = spots[start]
        last_x, last_y = spots[end]
        from_x = x + volumes[start].thick + volumes[start].deep / 2
        points = [
            (from_x, y - volumes[start].deep / 2),
            (placed.along[start] + wide[start], y - volumes[start].deep / 2),
        ]
        for across, begin, stop in stops[2:-1]:
            y = across - volumes[start].deep / 2
            points += [(begin, y), (stop, y)]
        last_y -= min(volumes[start].deep / 2, max(volumes[end].high / 2 - 2, 0))
        points += [(placed.along[end], last_y), (last_x - 1.5, last_y)]
        _smooth(canvas, points)
    for number, box in enumerate(volumes):
        x, y = spots[number]
        _volume(canvas, x, y, box, found.colors[number], banded=scene.parts[number].is_banded)
        for line_number, line in enumerate(labels[number]):
            middle = placed.along[number] + wide[number] / 2
            low = y + box.high / 2 + BELOW + LETTERS + line_number * step - 3
            canvas.write(line, middle, low, LETTERS, anchor="middle")
    return placed.wide


def _back(center: float, middle: float, box: Volume) -> Point:
    """Return the middle of the upper face of a box."""
    return center + box.deep / 2, middle - box.high / 2 - box.deep / 2


def _volume(canvas: Canvas, left: float, middle: float, box: Volume, color: str, *, banded: bool) -> None:
    """Draw a box: its front, top and side; its end is darker if something is folded into it."""
    top, low = middle - box.high / 2, middle + box.high / 2
    right, deep = left + box.thick, box.deep
    dark = mixed(color, INK, 0.25)
    end = right - min(3.5, box.thick / 3) if banded else right
    canvas.polygon([(left, top), (end, top), (end, low), (left, low)], color)
    canvas.polygon(
        [(left, top), (end, top), (end + deep, top - deep), (left + deep, top - deep)],
        mixed(color, WHITE, 0.4),
    )
    if banded:
        canvas.polygon([(end, top), (right, top), (right, low), (end, low)], dark)
        canvas.polygon(
            [(end, top), (right, top), (right + deep, top - deep), (end + deep, top - deep)],
            mixed(dark, WHITE, 0.3),
        )
    canvas.polygon(
        [(right, top), (right + deep, top - deep), (right + deep, low - deep), (right, low)],
        mixed(color, INK, 0.14),
    )
    outline = [
        (left, low),
        (left, top),
        (left + deep, top - deep),
        (right + deep, top - deep),
        (right + deep, low - deep),
        (right, low),
    ]
    canvas.polygon(outline, "none", INK, 0.7)
    edges = f"M{left:.1f} {top:.1f}H{right:.1f}V{low:.1f}M{right:.1f} {top:.1f}l{deep:.1f} {-deep:.1f}"
    canvas.curve(edges, [], INK, 0.5)


def _arrow(canvas: Canvas, points: Sequence[Point]) -> None:
    """Draw a line of straight pieces with an arrowhead at its end."""
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    canvas.curve(path, points, LINE, 0.9)
    _head(canvas, points[-2], points[-1])


def _smooth(canvas: Canvas, points: Sequence[Point]) -> None:
    """Return a line from left to right that is horizontal at each of its points."""
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x, y), (next_x, next_y) in pairwise(points):
        half = (x + next_x) / 2
        path += (
            f"C{half:.1f} {y:.1f} {half:.1f} {next_y:.1f} {next_x:.1f} {next_y:.1f}"
            if y != next_y
            else f"H{next_x:.1f}"
        )
    canvas.curve(path, points, LINE, 0.9)
    _head(canvas, (points[-1][0] - 1, points[-1][1]), points[-1])


def _head(canvas: Canvas, before: Point, end: Point, size: float = 3.6) -> None:
    """Return an arrowhead for a line from a point, along an axis."""
    (x, y), (dx, dy) = end, (end[0] - before[0], end[1] - before[1])
    if abs(dx) >= abs(dy):
        back = x - (size if dx >= 0 else -size)
        canvas.polygon([(x, y), (back, y - size / 2), (back, y + size / 2)], LINE)
    else:
        back = y - (size if dy >= 0 else -size)
        canvas.polygon([(x, y), (x - size / 2, back), (x + size / 2, back)], LINE)
