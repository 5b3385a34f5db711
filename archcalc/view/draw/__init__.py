"""Drawings of a network: SVG, PDF and PNG figures, and texts for Mermaid, Graphviz and GraphML."""

from __future__ import annotations

from msgspec import Struct

from archcalc.profile import Profile
from archcalc.view.draw.colors import KIND, Coloring, coloring
from archcalc.view.draw.graph import draw_graph
from archcalc.view.draw.letters import shown
from archcalc.view.draw.levels import Chosen, choose
from archcalc.view.draw.raster import to_pdf, to_png
from archcalc.view.draw.svg import Canvas, Letters
from archcalc.view.draw.texts import fits_mermaid, to_dot, to_graphml, to_mermaid, too_large_for_mermaid
from archcalc.view.draw.volumes import draw_volumes
from archcalc.view.draw.words import shape_text, title

FORMATS = ("svg", "pdf", "png", "mermaid", "dot", "graphml")


class Wanted(Struct, frozen=True, kw_only=True):
    """Options of a drawing.

    `depth` closes the blocks at that depth; `block` draws only one block. `color` is `kind` or a quantity;
    without it, blocks are colored by their MACs and everything else by kind. With `editable`, letters are
    text.
    """

    level: str = "blocks"
    depth: int | None = None
    block: str = ""
    color: str = ""
    editable: bool = False
    scale: float = 2.0


class Drawing(Struct):
    """A drawing as the bytes of a file, and a one-line note for the user."""

    data: bytes
    note: str = ""

    def __post_init__(self) -> None:
        self.note = shown(self.note, 500)


def draw(profile: Profile, wanted: Wanted, format: str = "svg") -> Drawing:
    """Draw a network in one of `FORMATS`. Raises `ArchError` if it cannot be drawn."""
    network = profile.network
    if format == "graphml":
        return Drawing(to_graphml(profile).encode())
    chosen = choose(network, wanted.level, wanted.depth, wanted.block, profile.heads)
    if format == "mermaid":
        return _mermaid(profile, wanted, chosen)
    found = _colored(profile, wanted, chosen)
    if format == "dot":
        return Drawing(to_dot(chosen.scene, found).encode(), chosen.note)
    letters = Letters.SHARED if format == "svg" else Letters.IN_PLACE
    canvas = Canvas(
        f"{network.name}, {chosen.level}", _described(chosen), Letters.TEXT if wanted.editable else letters
    )
    (draw_volumes if chosen.level == "volumes" else draw_graph)(canvas, chosen.scene, found)
    svg = canvas.to_svg()
    if format == "svg":
        return Drawing(svg.encode(), chosen.note)
    return Drawing(to_pdf(svg) if format == "pdf" else to_png(svg, wanted.scale), chosen.note)


def _colored(profile: Profile, wanted: Wanted, chosen: Chosen) -> Coloring:
    return coloring(
        profile, chosen.scene.parts, wanted.color or ("macs" if chosen.level == "blocks" else KIND)
    )


def _mermaid(profile: Profile, wanted: Wanted, chosen: Chosen) -> Drawing:
    """Return a flowchart. Blocks are closed if Mermaid would refuse to draw it otherwise."""
    text = to_mermaid(chosen.scene, _colored(profile, wanted, chosen))
    if fits_mermaid(chosen.scene, text):
        return Drawing(text.encode(), chosen.note)
    name = profile.network.name
    if chosen.level == "blocks":
        raise too_large_for_mermaid(name)
    chosen = choose(profile.network, "blocks", None, wanted.block, profile.heads)
    text = to_mermaid(chosen.scene, _colored(profile, wanted, chosen))
    if not fits_mermaid(chosen.scene, text):
        raise too_large_for_mermaid(name)
    return Drawing(text.encode(), f"`{name}` is too large for Mermaid layer by layer: its blocks are drawn")


def _described(chosen: Chosen) -> str:
    """Describe the drawing in words, for people who cannot see it."""
    parts = chosen.scene.parts
    return "; ".join(f"{title(part)}: {shape_text(part)}" for part in parts)


__all__ = ["FORMATS", "Drawing", "Wanted", "draw"]
