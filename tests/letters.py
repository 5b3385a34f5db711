"""Write the outlines of letters that drawings use, from the DejaVu Sans that comes with matplotlib.

    python tests/letters.py

writes `archcalc/view/draw/letters.json`; `tests/test_draw_letters.py` compares the two.
"""

from __future__ import annotations

import json
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import archcalc

FILE = Path(archcalc.__file__).parent / "view" / "draw" / "letters.json"

CHARACTERS = [
    *map(chr, chain(range(0x20, 0x7F), range(0xA1, 0xAD), range(0xAE, 0x100), range(0x391, 0x3CA))),
    *"–—‘’“”•…←↑→↓−√≈≠≤≥□",
]
"""Latin, Greek, and the signs that archcalc writes."""

EM = 1024
"""Units of a letter's size. The font has twice as many."""


def outlines() -> dict[str, Any]:
    """Of each character: how far the next one is, and its outline as an SVG path from the point it is at."""
    import matplotlib
    from fontTools.pens.recordingPen import DecomposingRecordingPen
    from fontTools.ttLib import TTFont

    font = TTFont(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))
    glyphs, names = font.getGlyphSet(), font.getBestCmap()
    scale = EM / font["head"].unitsPerEm
    letters = {}
    for character in CHARACTERS:
        if ord(character) in names:
            glyph = glyphs[names[ord(character)]]
            pen = DecomposingRecordingPen(glyphs)
            glyph.draw(pen)
            letters[character] = [round(glyph.width * scale), relative(pen.value, scale)]
    return letters


def relative(commands: list[tuple[str, Any]], scale: float) -> str:
    """An outline in relative commands: one that follows another needs no move between."""
    path: list[str] = []
    start = at = (0, 0)

    def step(point: tuple[float, float]) -> str:
        nonlocal at
        x, y = round(point[0] * scale), round(-point[1] * scale)
        dx, dy = x - at[0], y - at[1]
        at = (x, y)
        return f"{dx}{'' if dy < 0 else ' '}{dy}"

    for name, points in commands:
        if name == "moveTo":
            path.append("m" + step(points[0]))
            start = at
        elif name == "lineTo":
            path.append("l" + step(points[0]))
        elif name == "qCurveTo":
            assert points[-1] is not None
            for control, end in _curves(points):
                before = at
                first = step(control)
                at = before
                second = step(end)
                path.append(f"q{first}{'' if second.startswith('-') else ' '}{second}")
        else:
            path.append("z")
            at = start
    return "".join(path)


def _curves(points: Any) -> list[Any]:
    """TrueType's curves with one control each: those between two controls end in their middle."""
    *controls, last = points
    ends = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in pairwise(controls)]
    return list(zip(controls, [*ends, last], strict=True))


def text() -> str:
    """The file: a letter a line, so that a difference can be read."""
    lines = [f"{json.dumps(c, ensure_ascii=False)}:{json.dumps(value)}" for c, value in outlines().items()]
    return "{\n" + ",\n".join(lines).replace(", ", ",") + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
