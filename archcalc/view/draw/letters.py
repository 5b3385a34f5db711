"""The letters of drawings: how wide a text is, and its outlines, so that it looks the same everywhere.

`letters.json` has the outlines of DejaVu Sans, whose license is beside it. `tests/letters.py` writes it.
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
    """Of each character that can be outlined: its advance and its outline."""
    return msgspec.json.decode(_PATH.read_bytes(), type=dict[str, tuple[int, str]])


def advance(character: str) -> int:
    """How far the next letter is. A character without an outline counts as a wide one."""
    known = letters().get(character)
    return EM if known is None else known[0]


def width(text: str, size: float) -> float:
    """The width of a text.

    >>> round(width("conv", 10), 2), width("", 10)
    (23.87, 0.0)
    """
    return sum(map(advance, text)) * size / EM


def can_outline(text: str) -> bool:
    """Are there outlines for all characters of a text?"""
    return all(character in letters() for character in text)


def fitted(text: str, size: float, room: float) -> str:
    """A text, shortened in its middle to fit: both ends of a path tell where it is.

    >>> fitted("stage1/conv2", 10, 200), fitted("stage1/conv2", 10, 50)
    ('stage1/conv2', 'sta…nv2')
    """
    if width(text, size) <= room:
        return text
    kept = min(len(text), 2 * int(room / (size * 0.2)))  # no letter is thinner: fewer to try
    while kept > 1:
        kept -= 1
        shorter = text[: (kept + 1) // 2] + "…" + text[len(text) - kept // 2 :]
        if width(shorter, size) <= room:
            return shorter
    return "…"


def shown(text: str, limit: int = 200) -> str:
    """A text on one line, without control characters and not endless: names are data.

    >>> shown("a\\nb\\x00" + "c" * 300)[:6]
    'a b?cc'
    """
    clean = " ".join(text[: 2 * limit].split())
    clean = "".join(c if c.isprintable() else "?" for c in clean)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def wrapped(parts: Iterable[str], size: float, room: float, between: str = ", ") -> list[str]:
    """Parts in lines that fit, if each part fits by itself."""
    lines: list[str] = []
    for part in parts:
        if lines and width(lines[-1] + between + part, size) <= room:
            lines[-1] += between + part
        else:
            lines.append(part)
    return lines
