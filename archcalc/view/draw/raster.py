"""Converts SVG to PDF and PNG with cairosvg, which needs the cairo library."""

from __future__ import annotations

import re
from typing import Any

from archcalc.diagnostics import error

MOST_PIXELS = 32_767
"""The longest side of an image that cairo can make."""

MOST_AREA = 250_000_000
"""The most pixels of an image, at four bytes each."""

_SIZE = re.compile(r'<svg [^>]*width="(\d+)" height="(\d+)"')


def _cairosvg() -> Any:
    """Return the package. Raises `ArchError` if it or the library that it needs is not installed."""
    try:
        import cairosvg
    except ImportError:
        raise error("PDF and PNG need the package cairosvg", help="pip install 'archcalc[draw]'") from None
    except OSError:
        raise error(
            "PDF and PNG need the library cairo, which was not found",
            help="install it: `apt install libcairo2` or `brew install cairo`; SVG works without it",
        ) from None
    return cairosvg


def to_pdf(svg: str) -> bytes:
    """Return a PDF page of the drawing's size. Raises `ArchError` without cairosvg."""
    data = _cairosvg().svg2pdf(bytestring=svg.encode())
    assert isinstance(data, bytes)
    return data


def to_png(svg: str, scale: float) -> bytes:
    """Return a PNG image; `scale` is the number of pixels per unit of the drawing. Raises `ArchError`."""
    size = _SIZE.search(svg)
    assert size is not None
    wide, high = round(int(size[1]) * scale), round(int(size[2]) * scale)
    if max(wide, high) > MOST_PIXELS or wide * high > MOST_AREA:
        raise error(
            f"the picture would be {wide:,} by {high:,} pixels: more than {MOST_PIXELS:,} on a side or "
            f"{MOST_AREA // 10**6} million in all cannot be written",
            help="write an SVG or a PDF, or choose a smaller `--scale`",
        )
    data = _cairosvg().svg2png(bytestring=svg.encode(), scale=scale)
    assert isinstance(data, bytes)
    return data
