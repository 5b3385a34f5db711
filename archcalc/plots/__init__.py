"""Plots of networks, drawn by matplotlib: the plots of the lecture decks, from computed figures.

A plot first gathers its data, which does not need matplotlib, and then draws them. The SVG contains a digest
of everything that it was drawn from, so that it can be checked without being drawn again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from archcalc import render
from archcalc.diagnostics import unknown

MODULES = (
    "years", "depth", "accuracy", "density", "densenet", "efficientnet", "mobilenet", "vgg16", "kinds",
    "fields",
)  # fmt: skip
"""The modules of this package that have a `PLOT`."""

_STAMP = re.compile(r"<!-- archcalc plot: (\w+) of (\w+) -->\n")


class Plot(Struct, frozen=True):
    """`gather` computes the data, and `draw` draws them on a sheet."""

    name: str
    title: str
    gather: Callable[[], Any]
    draw: Callable[[Any], Any]

    def inputs(self) -> str:
        """A digest of the data, the text, and the code of the picture."""
        data = msgspec.json.encode([self.title, self.gather()], enc_hook=str)
        shared = [Path(render.__file__).with_name(f"{name}.py") for name in ("charts", "chart_labels")]
        files = [Path(__file__).with_name(f"{self.name}.py"), *shared]
        return _digest(data, *(path.read_bytes() for path in files))

    def svg(self) -> str:
        """The picture. Raises `ArchError` without matplotlib."""
        from archcalc.render.charts import svg

        drawn = svg(lambda: self.draw(self.gather()), self.title)
        stamp = f"<!-- archcalc plot: {self.inputs()} of {_digest(drawn.encode())} -->\n"
        declaration, newline, rest = drawn.partition("\n")
        return declaration + newline + stamp + rest


def is_current(plot: Plot, text: str) -> bool:
    """Is a picture complete and drawn from the current data and code?

    The bytes are not compared, because they depend on the version of matplotlib.
    """
    stamp = _STAMP.search(text)
    if stamp is None:
        return False
    rest = text[: stamp.start()] + text[stamp.end() :]
    return stamp[1] == plot.inputs() and stamp[2] == _digest(rest.encode())


def is_stamped(text: str) -> bool:
    """Is it a picture that this module wrote, current or not?"""
    return _STAMP.search(text) is not None


def _digest(*parts: bytes) -> str:
    # a checkout may have different line endings
    return hashlib.sha256(b"\0".join(part.replace(b"\r\n", b"\n") for part in parts)).hexdigest()[:24]


@cache
def plots() -> dict[str, Plot]:
    """Every plot by its name."""
    found = (import_module(f"archcalc.plots.{name}").PLOT for name in MODULES)
    return {plot.name: plot for plot in found}


def find(name: str) -> Plot:
    """The plot with a name. Raises `ArchError` if there is none.

    >>> find("vgg16").title
    'VGG-16 has most activations in its first layers and most parameters in its last'
    """
    if name not in plots():
        raise unknown("there is no plot", name, plots(), listing="plots")
    return plots()[name]
