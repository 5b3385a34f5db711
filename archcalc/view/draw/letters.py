"""The letters of drawings: text widths, and outlines that look the same on every computer.

`letters.json` has the outlines of DejaVu Sans; its license is next to it. `tests/letters.py` writes the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import msgspec

EM = 1024
"""Units of a letter's size in the file."""

ASCENT, DESCENT = 0.76, 0.24
"""How far letters reach above and below their line, for a size of 1. Accents on capitals reach higher."""

FAMILY = "DejaVu Sans, Verdana, sans-serif"
"""The fonts of texts that are not outlines."""

_PATH = Path(__file__).with_name("letters.json")


@cache
def letters() -> dict[str, tuple[int, str]]:
    """Return the advance and the outline of each character that has an outline."""
    return msgspec.json.decode(_PATH.read_bytes(), type=dict[str, tuple[int, str]])


def advance(character: str) -> int:
    """Return the distance to the next letter. A character without an outline counts as a wide one."""
    known = letters().get(character)
    return EM if known is None else known[0]


def width(text: str, size: float) -> float:
    """Return the width of a text.

    >>> round(width("conv", 10), 2), width("", 10)
    (23.87, 0.0)
    """
    return sum(map(advance, text)) * size / EM


def can_outline(text: str) -> bool:
    """Return whether all characters of a text have outlines."""
    return all(character in letters() for character in text)


def fitted(text: str, size: float, room: float) -> str:
    """Shorten a text in the middle so that it fits: both ends of a path matter.

    >>> fitted("stage1/conv2", 10, 200), fitted("stage1/conv2", 10, 50)
    ('stage1/conv2', 'sta…nv2')
    """
    if width(text, size) <= room:
        return text
    kept = min(len(text), 2 * int(room / (size * 0.2)))  # no letter is thinner: this saves attempts
    while kept > 1:
        kept -= 1
        shorter = text[: (kept + 1) // 2] + "…" + text[len(text) - kept // 2 :]
        if width(shorter, size) <= room:
            return shorter
    return "…"


def shown(text: str, limit: int = 200) -> str:
    """Return a text on one line, without control characters and of limited length: names are untrusted data.

    >>> shown("a\\nb\\x00" + "c" * 300)[:6]
    'a b?cc'
    """
    clean = " ".join(text[: 2 * limit].split())
    clean = "".join(c if c.isprintable() else "?" for c in clean)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def wrapped(parts: Iterable[str], size: float, room: float, between: str = ", ") -> list[str]:
    """Arrange parts in lines that fit, if each part fits on a line."""
    lines: list[str] = []
    for part in parts:
        if lines and width(lines[-1] + between + part, size) <= room:
            lines[-1] += between + part
        else:
            lines.append(part)
    return lines
