"""Colors of drawings: for kinds of layers, for shares of a cost, and for readable letters on them."""

from __future__ import annotations

from archcalc.render.charts import BLACK, BLUE, GREEN, INK, ORANGE, PINK, SKY, VERMILION, YELLOW

WHITE, GREY, LINE = "#FFFFFF", "#E4E4E4", "#6B6B6B"
"""Colors of the background, of parts without cost, and of edges."""

READABLE = 4.5
"""The least contrast of small letters (WCAG 2.2, 1.4.3)."""

FAMILIES: dict[str, tuple[str, str]] = {
    "conv": (SKY, "convolution"),
    "deform": (SKY, "convolution"),
    "pool": (VERMILION, "pooling"),
    "linear": (PINK, "fully connected"),
    "norm": (YELLOW, "normalization"),
    "activation": (GREEN, "activation"),
    "attention": (BLUE, "attention, matmul"),
    "recurrent": (ORANGE, "recurrent, embedding"),
    "merge": ("#404040", "join"),
}
"""The color of a family of layers and its name in a legend (Okabe & Ito 2008); the gray is apart from all."""

OTHER = ("#C8C8C8", "other")

PALER = 0.2
"""How much white is in the colors of families, so that letters can be read on them."""

RAMP = ("#FFF7EC", "#FEE8C8", "#FDD49E", "#FDBB84", "#FC8D59", "#EF6548", "#D7301F", "#B30000", "#7F0000")
"""OrRd of ColorBrewer: from light to dark in gray too."""


def family_color(family: str) -> tuple[str, str]:
    """Return the color for boxes of a family, and its name."""
    color, name = FAMILIES.get(family, OTHER)
    return mixed(color, WHITE, PALER), name


def share_color(part: float) -> str:
    """Return the color for a share of the largest value, from 0 to 1; zero is gray.

    >>> share_color(0), share_color(1), share_color(0.5)
    ('#E4E4E4', '#7F0000', '#FC8D59')
    """
    if part <= 0:
        return GREY
    place = min(part, 1) * (len(RAMP) - 1)
    below = min(int(place), len(RAMP) - 2)
    return mixed(RAMP[below], RAMP[below + 1], place - below)


def mixed(color: str, other: str, amount: float) -> str:
    """Mix an amount of another color into a color.

    >>> mixed("#000000", "#FFFFFF", 0.5)
    '#808080'
    """
    pairs = zip(_channels(color), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * amount):02X}" for a, b in pairs)


def letters_on(color: str) -> str:
    """Return the color of letters on a background: dark if it is readable, otherwise black or white."""
    if contrast(INK, color) >= READABLE:
        return INK
    return max((BLACK, WHITE), key=lambda ink: contrast(ink, color))  # one of them is always readable


def contrast(color: str, other: str) -> float:
    """Return the contrast of two colors, from 1 to 21 (WCAG 2.2).

    >>> round(contrast("#000000", "#FFFFFF"), 1)
    21.0
    """
    light, dark = sorted((_luminance(color), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in _channels(color))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
