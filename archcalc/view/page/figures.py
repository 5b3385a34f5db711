"""The page's data of each layer and block: operation, shapes, figures, field. Equal data is stored once."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from fractions import Fraction
from typing import Any

from msgspec import Struct

from archcalc.layers.terms import Reach, Stacked, Swapped
from archcalc.network import Node
from archcalc.profile import Profile
from archcalc.quantities import Quantity, Selection
from archcalc.quantities.receptive_field import Field
from archcalc.render.documents import plain
from archcalc.render.numbers import field_size
from archcalc.report.columns import kernel
from archcalc.report.formats import RowQuantities
from archcalc.shape import Window
from archcalc.view.structure import Box, Structure

LARGEST_EXACT = 2**53
"""Above this, numbers of JavaScript are not exact, and the page counts with integers of any length."""


BY_VALUE = ("maxunpool", "deform_conv")
"""Kinds for which the values of another tensor decide what a place reads."""


class Interned:
    """Numbers values in order of first appearance: a table without duplicates."""

    def __init__(self) -> None:
        self.numbers: dict[Hashable, int] = {}
        self.values: list[Any] = []

    def number(self, key: Hashable, value: Any = None) -> int:
        """Return the number of a value; `key` identifies a value that is not hashable."""
        found = self.numbers.get(key)
        if found is None:
            found = self.numbers[key] = len(self.values)
            self.values.append(key if value is None else value)
        return found


class BoxFigures(Struct, eq=False):
    """The figures of all layers as tables. `rows` and `fields` have the numbers of each layer's entries."""

    quantities: list[dict[str, str]]
    table: list[list[Any]]
    rows: list[int]
    field_table: list[Any]
    fields: list[int]
    is_big: bool


def leaves(drawn: Structure) -> list[int]:
    """Return, for each node, the number of its childless box, counted among those boxes."""
    found: list[int] = []
    closed = (box for box in drawn.boxes if not box.children)
    for number, box in enumerate(closed):
        found += [number] * (box.stop - box.start)
    return found


def kind_of(box: Box) -> str:
    """Return the kind of a block; a box that only divides a long block is a section."""
    if box.group is not None:
        return box.group.kind
    return "section" if box.parent >= 0 and not box.is_layer else ""


def layer_figures(profile: Profile, drawn: Structure) -> BoxFigures:
    """Return the figures of all childless boxes: layers and inputs, or blocks if layers are too many."""
    numbers = RowQuantities.of(profile).numbers
    is_big = any(profile.totals.get(quantity.name, 0) > LARGEST_EXACT for quantity in numbers)
    rows, fields = Interned(), Interned()
    row_numbers, field_numbers = [], []
    for box in drawn.boxes:
        if box.children:
            continue
        node = drawn.nodes[box.start]
        if box.is_layer:
            row_numbers.append(_row_number(profile, node, numbers, is_big, rows))
        else:
            inside = drawn.nodes[box.start : box.stop]
            node = box.group.output if box.group is not None else inside[-1]
            row = _row_of_block(profile, box, inside, numbers, is_big)
            row_numbers.append(rows.number(("block", box.start, box.name), row))
        field = profile.fields[node.index]
        found = fields.numbers.get(field)
        field_numbers.append(fields.number(field, _field(field)) if found is None else found)
    return BoxFigures(
        [_quantity(quantity) for quantity in numbers],
        rows.values,
        row_numbers,
        fields.values,
        field_numbers,
        is_big,
    )


def _quantity(quantity: Quantity) -> dict[str, str]:
    return {
        "name": quantity.name,
        "heading": quantity.heading,
        "noun": quantity.noun,
        "definition": quantity.definition,
    }


def _row_number(
    profile: Profile, node: Node, numbers: Sequence[Quantity], is_big: bool, rows: Interned
) -> int:
    """Return the row of a layer. Equal layers that share no arrays have the same row."""
    entry = profile.entries[node.index]
    key: Any = (node.facts, type(node.layer), node.layer)
    if profile.shares or profile.training:
        key = (*key, node.index)
    found = rows.numbers.get(key)
    if found is not None:
        return found
    (selection,) = profile.rolled_up([entry], None)
    values = (
        [] if node.is_input else [None if q.is_unknown(selection) else q.adds(selection) for q in numbers]
    )
    row = [
        node.kind,
        node.layer.family,
        str(node.layer),
        kernel(selection) if node.inputs else "",
        list(node.shape),
        [list(shape) for shape in node.facts.inputs],
        [str(value) if is_big and value is not None else value for value in values],
        _windows(node),
        int(_sees_less(node)),
    ]
    return rows.number(key, row)


def _row_of_block(
    profile: Profile, box: Box, nodes: Sequence[Node], numbers: Sequence[Quantity], is_big: bool
) -> list[Any]:
    """Return the row of a block that represents its layers. Which input places it reads is not traced."""
    layers = [profile.entries[node.index] for node in nodes if not node.is_input]
    output = box.group.output if box.group is not None else nodes[-1]
    selection = Selection(profile, box.name, layers, output, box.group)
    values = [q.adds(selection) for q in numbers]
    kind = "run" if box.is_run else kind_of(box)
    text = f"{kind}: {len(nodes):,} layers"
    shown = [str(value) if is_big else value for value in values]
    return [kind, "block", text, "", list(output.shape), [], shown, "folded", 1]


def _field(field: Field) -> list[Any]:
    """Describe a field; add its size, stride and padding per axis, where neighbors are one step apart."""
    known = [list(field.size), plain(field.stride), list(field.padding)] if field.stride else []
    return [field_size(field), known, int(field.at_most)]


def _windows(node: Node) -> Any:
    """Return how output places read input places: the name of a rule, or a window along each axis."""
    windows = node.facts.windows
    if isinstance(windows, Stacked):
        return f"stacked {windows.axis}"
    if isinstance(windows, Swapped):
        return "swapped " + " ".join(map(str, windows.axes))
    if isinstance(windows, Reach):
        return windows.name.lower()
    return [_window(window) for window in windows]


def _sees_less(node: Node) -> bool:
    """Return whether places may read less than the windows: channels are omitted, or values decide."""
    windows = node.facts.windows
    is_mirrored = node.kind == "pad" and isinstance(windows, tuple) and any(w.clamped for w in windows)
    return node.layer.leaves_out_channels(node.facts) or node.kind in BY_VALUE or is_mirrored


def _window(window: Window) -> list[int]:
    """Return stride, padding before, extent and dilation as integer multiples of a unit, which comes first.

    Two flags follow: whether the window is transposed, and whether it is clamped.
    """
    exact = [Fraction(length) for length in (window.stride, window.before, window.extent)]
    unit = math.lcm(*(length.denominator for length in exact))
    lengths = [int(length * unit) for length in exact]
    return [unit, *lengths, window.dilation, int(window.transposed), int(window.clamped)]
