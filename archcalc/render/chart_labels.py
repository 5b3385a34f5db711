"""Labels beside points, as near as possible without covering other labels or points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

Box = tuple[float, float, float, float]
"""Left, bottom, right, top, in pixels."""

RIGHT, LEFT, ABOVE, BELOW = (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)
UPPER_RIGHT, LOWER_RIGHT, UPPER_LEFT, LOWER_LEFT = (1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)
DIRECTIONS = (
    RIGHT, LEFT, ABOVE, BELOW, UPPER_RIGHT, LOWER_RIGHT, UPPER_LEFT, LOWER_LEFT,
    (1.0, 0.5), (1.0, -0.5), (-1.0, 0.5), (-1.0, -0.5), (0.5, 1.0), (0.5, -1.0), (-0.5, 1.0), (-0.5, -1.0),
)  # fmt: skip
"""Directions from a point to its label, the best first. Half steps shift the label partly to the side."""

DISTANCES = (2.5, 6, 12, 20, 30, 42, 56)
"""The distance from the edge of the marker, in points."""

LED = 12
"""From this distance on, a line connects the label to its point."""


class Label(Struct, frozen=True):
    """A text at a data point, whose marker has a `radius` in points."""

    text: str
    x: float
    y: float
    radius: float = 3.5
    colour: str = "#222222"
    prefer: tuple[float, float] | None = None


def overlap(a: Box, b: Box) -> float:
    """The area that two boxes share.

    >>> overlap((0, 0, 4, 2), (3, 1, 9, 9)), overlap((0, 0, 4, 2), (4, 0, 5, 5))
    (1, 0)
    """
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def place(
    panel: Any,
    labels: Sequence[Label],
    *,
    size: float,
    avoid: Iterable[tuple[float, float]] = (),
) -> list[Any]:
    """Write labels into a panel whose limits are set, and return the texts.

    Earlier labels take precedence. `avoid` are other places, such as points of lines, that labels should not
    cover.
    """
    figure = panel.figure
    scale = figure.dpi / 72
    frame = panel.get_window_extent()
    bounds = (frame.x0, frame.y0, frame.x1, frame.y1)
    marks = []
    for label in labels:
        x, y = panel.transData.transform((label.x, label.y))
        reach = label.radius * scale
        marks.append((x - reach, y - reach, x + reach, y + reach))
    lines = []
    for spot in avoid:
        x, y = panel.transData.transform(spot)
        lines.append((x - 1, y - 1, x + 1, y + 1))
    taken: list[Box] = []
    texts = []
    for label, mark in zip(labels, marks, strict=True):
        text = panel.text(label.x, label.y, label.text, size=size, color=label.colour, zorder=5)
        extent = text.get_window_extent()
        best = min(
            _places(label, mark, extent.width + 4, extent.height + 1, scale),
            key=lambda place: _badness(place, bounds, [*taken, *marks], lines),
        )
        box, distance, _ = best
        taken.append(box)
        corner = panel.transData.inverted().transform((box[0] + 2, box[1] + 0.5))
        text.set(x=corner[0], y=corner[1], va="bottom", ha="left")
        texts.append(text)
        if distance >= LED:
            end = panel.transData.inverted().transform(_nearest(box, mark))
            panel.plot(
                [label.x, end[0]], [label.y, end[1]], color="#999999", linewidth=0.5, zorder=2,
                scalex=False, scaley=False,
            )  # fmt: skip
    return texts


def _places(
    label: Label, mark: Box, width: float, height: float, scale: float
) -> Iterable[tuple[Box, float, float]]:
    """Boxes around a mark, each with its distance and its cost."""
    x, y = (mark[0] + mark[2]) / 2, (mark[1] + mark[3]) / 2
    directions = DIRECTIONS if label.prefer is None else (label.prefer, *DIRECTIONS)
    if label.radius * 2 * scale > width + 4:
        yield (x - width / 2, y - height / 2, x + width / 2, y + height / 2), 0, -1
    for far in DISTANCES:
        for rank, (across, up) in enumerate(directions):
            # a corner gets nearer to a round mark than an edge
            reach = (label.radius * (0.7 if abs(across) == abs(up) else 1) + far) * scale
            left = x + across * (reach + width / 2) - width / 2
            low = y + up * (reach + height / 2) - height / 2
            yield (left, low, left + width, low + height), far, far * 10 + rank


def _badness(
    place: tuple[Box, float, float], bounds: Box, boxes: Sequence[Box], lines: Sequence[Box]
) -> tuple[float, float]:
    """The area that a place covers, then its distance. A line adds to the distance."""
    box, _, rank = place
    width, height = box[2] - box[0], box[3] - box[1]
    lost = width * height - overlap(box, bounds)
    own_mark = [other for other in boxes if rank != -1 or not _inside(box, other)]
    covered = sum(overlap(box, other) for other in own_mark)
    crossed = sum(1 for line in lines if overlap(box, line))
    return round(lost + covered, 3), rank + 80 * min(crossed, 6)


def _inside(box: Box, other: Box) -> bool:
    return other[0] <= box[0] and other[1] <= box[1] and box[2] <= other[2] and box[3] <= other[3]


def _nearest(box: Box, mark: Box) -> tuple[float, float]:
    """The point of a box that is nearest to a mark's center."""
    x, y = (mark[0] + mark[2]) / 2, (mark[1] + mark[3]) / 2
    return min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3])
