"""Write the outlines of letters that drawings use, from the DejaVu Sans that comes with matplotlib.

    python tests/letters.py

writes `archcalc/view/draw/letters.json`; `tests/test_draw_letters.py` compares the two.
"""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import Any

import archcalc

FILE = Path(archcalc.__file__).parent / "view" / "draw" / "letters.json"

CHARACTERS = [
    *map(chr, chain(range(0x20, 0x7F), range(0xA1, 0x100), range(0x391, 0x3CA))),
    *"–—‘’“”•…←↑→↓−√≈≠≤≥□",
]
"""Latin, Greek, and the signs that archcalc writes."""

EM = 1024
"""Units of a letter's size. The font has twice as many."""


def outlines() -> dict[str, Any]:
    """Of each character: how far the next one is, and its outline as an SVG path."""
    import matplotlib
    from fontTools.pens.svgPathPen import SVGPathPen
    from fontTools.pens.transformPen import TransformPen
    from fontTools.ttLib import TTFont

    font = TTFont(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))
    glyphs, names = font.getGlyphSet(), font.getBestCmap()
    scale = EM / font["head"].unitsPerEm
    letters = {}
    for character in CHARACTERS:
        if ord(character) not in names:
            continue
        glyph = glyphs[names[ord(character)]]
        pen = SVGPathPen(glyphs, ntos=lambda number: str(round(number)))
        glyph.draw(TransformPen(pen, (scale, 0, 0, -scale, 0, 0)))
        letters[character] = [round(glyph.width * scale), pen.getCommands()]
    return letters


def text() -> str:
    """The file: a letter a line, so that a difference can be read."""
    lines = [f"{json.dumps(c, ensure_ascii=False)}:{json.dumps(value)}" for c, value in outlines().items()]
    return "{\n" + ",\n".join(lines).replace(", ", ",") + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
