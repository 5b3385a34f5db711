"""Drawings of well-known networks, and the page that shows them."""

from __future__ import annotations

from msgspec import Struct

from archcalc.opening import load
from archcalc.pages.folder import MARK
from archcalc.pages.markdown import page
from archcalc.profile import analyze
from archcalc.view.draw import Wanted, draw


class NetworkDrawing(Struct, frozen=True):
    """A drawing in the reports: its title, its network and its level."""

    title: str
    net: str
    level: str


DRAWN = (
    NetworkDrawing("LeNet-5", "lenet5", "volumes"),
    NetworkDrawing("AlexNet", "alexnet", "volumes"),
    NetworkDrawing("VGG-16", "vgg16", "volumes"),
    NetworkDrawing("GoogLeNet", "googlenet", "blocks"),
    NetworkDrawing("ResNet-50", "resnet50", "blocks"),
    NetworkDrawing("MobileNet", "mobilenet_v1", "volumes"),
)


def drawings() -> dict[str, str]:
    """The SVG of each drawing and the page of them all, by path."""
    files = {f"drawings/{drawn.net}.svg": _svg(drawn) for drawn in DRAWN}
    lines = ["`archcalc draw` draws these figures of built-in networks, and those of your own networks.", ""]
    for drawn in DRAWN:
        lines += [
            f"## {drawn.title}",
            "",
            f"`archcalc draw {drawn.net} --level {drawn.level} -o {drawn.net}.svg`",
            "",
            f"![{drawn.title}, its {drawn.level}](drawings/{drawn.net}.svg)",
            "",
        ]
    return files | {"drawings.md": page("Drawings", [("Reports", "README.md")], lines)}


def _svg(drawn: NetworkDrawing) -> str:
    """The drawing, marked as a file of the reports."""
    svg = draw(analyze(load(drawn.net)), Wanted(level=drawn.level)).data.decode()
    declaration, newline, rest = svg.partition("\n")
    return f"{declaration}{newline}{MARK}\n{rest}"
