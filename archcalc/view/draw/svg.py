"""Writes SVG from plain shapes with presentation attributes, which all programs read the same way.

There are no style sheets, `foreignObject` or baselines, so browsers, Inkscape, LaTeX, librsvg and cairosvg
agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from html import escape
from math import ceil

from msgspec import Struct

from archcalc.render.charts import INK
from archcalc.view.draw.letters import (
    ASCENT,
    DESCENT,
    EM,
    FAMILY,
    advance,
    can_outline,
    letters,
    shown,
    width,
)
from archcalc.view.draw.palette import WHITE

Point = tuple[float, float]


class WrittenText(Struct, frozen=True):
    """A text in a drawing: its place, its color, and the color behind it."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    color: str
    ground: str


class Letters(Enum):
    """How letters are written."""

    SHARED = "outlines that are written once"
    IN_PLACE = "outlines in place"
    TEXT = "text"


class Canvas:
    """A drawing in progress; later shapes cover earlier ones.

    Letters are outlines, so that a figure does not depend on installed fonts. Each outline is written once,
    or repeated in place for programs that would be slow otherwise; `TEXT` writes letters as text.
    """

    def __init__(self, title: str, description: str, letters: Letters = Letters.SHARED) -> None:
        self.title = shown(title)
        self.description = shown(description, 2000)
        self.letters = letters
        self.texts: list[WrittenText] = []
        self._elements: list[str] = []
        self._letters: dict[str, str] = {}
        self._right = self._bottom = 0.0

    def polygon(self, points: Sequence[Point], fill: str, line: str = "", thin: float = 0.8) -> None:
        """Draw a filled outline."""
        self._reach(points)
        path = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        self._elements.append(f'<polygon points="{path}" fill="{fill}"{_stroke(line, thin)}/>')

    def box(
        self, left: float, top: float, wide: float, high: float, fill: str,
        *, line: str = "", thin: float = 0.8, round: float = 0, dashed: bool = False,
    ) -> None:  # fmt: skip
        """Draw a rectangle, with optional round corners."""
        self._reach([(left, top), (left + wide, top + high)])
        corner = f' rx="{_number(round)}"' if round else ""
        dashes = ' stroke-dasharray="4 3"' if dashed else ""
        self._elements.append(
            f'<rect x="{_number(left)}" y="{_number(top)}" width="{_number(wide)}" height="{_number(high)}"'
            f'{corner} fill="{fill}"{_stroke(line, thin)}{dashes}/>'
        )

    def curve(
        self, path: str, reach: Sequence[Point], line: str, thin: float = 1, dashed: bool = False
    ) -> None:
        """Draw a line along an SVG path that stays within the points of its reach."""
        self._reach(reach)
        dashes = ' stroke-dasharray="4 3"' if dashed else ""
        self._elements.append(f'<path d="{path}" fill="none"{_stroke(line, thin)}{dashes}/>')

    def write(
        self, text: str, x: float, y: float, size: float,
        *, anchor: str = "start", color: str = INK, ground: str = WHITE,
    ) -> None:  # fmt: skip
        """Write a text with its baseline at `y`; the text starts, is centered, or ends at `x`."""
        text = shown(text)
        long = width(text, size)
        left = x - {"start": 0, "middle": long / 2, "end": long}[anchor]
        place = WrittenText(text, left, y - ASCENT * size, left + long, y + DESCENT * size, color, ground)
        self.texts.append(place)
        self._reach([(place.left, place.top), (place.right, place.bottom)])
        if self.letters is Letters.TEXT or not can_outline(text):
            self._elements.append(
                f'<text x="{_number(left)}" y="{_number(y)}" font-family="{FAMILY}"'
                f' font-size="{_number(size)}" fill="{color}" textLength="{_number(long)}"'
                f' lengthAdjust="spacingAndGlyphs" xml:space="preserve">{escape(text)}</text>'
            )
            return
        scale = _number(size / EM, 5)
        drawn, along = [], 0
        for character in text:
            outline = letters()[character][1]
            if outline and self.letters is Letters.IN_PLACE:
                drawn.append(f"M{along} 0{outline}")
            elif outline:
                drawn.append(f'<use xlink:href="#{self._letter(character)}" x="{along}"/>')
            along += advance(character)
        inner = "".join(drawn)
        if self.letters is Letters.IN_PLACE:
            inner = f'<path d="{inner}"/>'
        self._elements.append(
            f'<g aria-label="{escape(text)}" fill="{color}"'
            f' transform="translate({_number(left)} {_number(y)}) scale({scale})">{inner}</g>'
        )

    def to_svg(self, margin: float = 8) -> str:
        """Return the drawing as a file, with a white background."""
        wide, high = self.size(margin)
        outlines = "".join(f'<path id="{id}" d="M0 0{letters()[c][1]}"/>' for c, id in self._letters.items())
        lines = [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
            f' width="{wide}" height="{high}" viewBox="{-margin:g} {-margin:g} {wide} {high}"'
            ' role="img" aria-labelledby="title description">',
            f'<title id="title">{escape(self.title)}</title>',
            f'<desc id="description">{escape(self.description)}</desc>',
            *([f"<defs>{outlines}</defs>"] if outlines else []),
            f'<rect x="{-margin:g}" y="{-margin:g}" width="{wide}" height="{high}" fill="{WHITE}"/>',
            *self._elements,
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def size(self, margin: float = 8) -> tuple[int, int]:
        """Return the width and height, with a margin on all sides."""
        return ceil(self._right + 2 * margin), ceil(self._bottom + 2 * margin)

    @property
    def right(self) -> float:
        return self._right

    @property
    def bottom(self) -> float:
        return self._bottom

    def _letter(self, character: str) -> str:
        """Return the id of a letter's outline, which is written once."""
        return self._letters.setdefault(character, f"u{ord(character):x}")

    def _reach(self, points: Sequence[Point]) -> None:
        for x, y in points:
            self._right = max(self._right, x)
            self._bottom = max(self._bottom, y)


def _stroke(line: str, thin: float) -> str:
    return f' stroke="{line}" stroke-width="{_number(thin)}"' if line else ""


def _number(value: float, digits: int = 1) -> str:
    """Write a length for SVG: short, and the same on every computer."""
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else str(round(value))
    return "0" if text in ("-0", "") else text
