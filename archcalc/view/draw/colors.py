"""Colors parts by the kind of their layers or by their cost, and draws the legend."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from archcalc.diagnostics import unknown
from archcalc.profile import Profile
from archcalc.quantities import QUANTITIES, Unit
from archcalc.render.numbers import byte_size, human, percent
from archcalc.report.rows import sortable
from archcalc.view.draw.letters import width, wrapped
from archcalc.view.draw.palette import LINE, RAMP, WHITE, family_color, share_color
from archcalc.view.draw.scene import DrawnPart, family, value_of
from archcalc.view.draw.svg import Canvas

KIND = "kind"
"""Color by the kind of layer instead of a quantity."""

SMALL = 8.5
"""The size of letters in legends."""


class Coloring(Struct, eq=False):
    """The colors of some parts. `values` are their costs, and `total` is the cost of the network."""

    by: str
    colors: list[str]
    values: list[int]
    total: int
    names: dict[str, str]
    """The color of each kind that is drawn, by its name."""
    unknown: dict[int, bool] = {}
    """The parts with unknown operations; whether nothing else is in them."""

    def figure(self, number: int) -> str:
        """Return the cost of a part as printed in it; empty if parts are colored by kind."""
        if self.by == KIND:
            return ""
        value = self.values[number]
        if self.unknown.get(number):
            return "?"
        text = byte_size(value).partition(",")[0] if QUANTITIES[self.by].unit is Unit.BYTES else human(value)
        if number in self.unknown:
            return f"≥ {text}"
        share = "" if self.unknown else percent(value, self.total)
        return f"{text} · {share}%" if share else text


def coloring(profile: Profile, parts: Sequence[DrawnPart], by: str) -> Coloring:
    """Color parts by `kind` or by a quantity. Raises `ArchError` if parts have no shares of the quantity."""
    if by != KIND:
        known = sortable(profile)  # the quantities that are columns of values per layer
        if by not in known:
            raise unknown(
                "a drawing cannot be colored by",
                by,
                [KIND, *known],
                help=f"colors: {', '.join([KIND, *known])}",
            )
        values = [value_of(profile, part, by) for part in parts]
        most = max(values, default=0)
        colors = [share_color(value / most if most else 0) for value in values]
        opaque = {}
        if QUANTITIES[by].of_operations:
            found = {number: [node.is_opaque for node in part.nodes] for number, part in enumerate(parts)}
            opaque = {number: len(are) == 1 for number, are in found.items() if any(are)}
        return Coloring(by, colors, values, QUANTITIES[by].adds(profile.whole), {}, opaque)
    names: dict[str, str] = {}
    colors = []
    for part in parts:
        kind = family(part, profile)
        color, name = (WHITE, "input") if part.is_input else family_color(kind)
        names.setdefault(name, color)
        colors.append(color)
    return Coloring(KIND, colors, [], 0, names)


def legend(canvas: Canvas, found: Coloring, left: float, top: float, room: float) -> float:
    """Draw the legend of the colors and return its height."""
    if found.by == KIND:
        return _kinds(canvas, found, left, top, room)
    most = human(max(found.values, default=0))
    texts = [
        f"{QUANTITIES[found.by].heading}, 0 to {most};",
        "? is unknown" if found.unknown else "% of the total",
    ]
    steps = len(RAMP) * 2 - 1
    for step in range(steps):
        canvas.box(left + 6 * step, top, 6.2, 9, share_color(max(step / (steps - 1), 0.001)))
    begin = left + 6 * steps + 6
    lines = wrapped(texts, SMALL, max(room - begin, 60), " ")
    for number, line in enumerate(lines):
        canvas.write(line, begin, top + 8 + 12 * number, SMALL)
    return 4 + 12.0 * len(lines)


def _kinds(canvas: Canvas, found: Coloring, left: float, top: float, room: float) -> float:
    x, y = left, top
    for name, color in found.names.items():
        wide = 13 + width(name, SMALL) + 14
        if x > left and x + wide > left + room:
            x, y = left, y + 14
        canvas.box(x, y, 9, 9, color, line=LINE, thin=0.6)
        canvas.write(name, x + 13, y + 8, SMALL)
        x += wide
    return y - top + 16
