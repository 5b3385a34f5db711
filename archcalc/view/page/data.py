"""Everything that the page knows about a network, as columns of plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archcalc.notes import note_lines
from archcalc.profile import Profile
from archcalc.report.columns import View
from archcalc.report.table import heading, remarks, totals_in_words
from archcalc.shape import AXES
from archcalc.view.page.encoding import packed
from archcalc.view.page.figures import Interned, kind_of, layer_figures, leaves
from archcalc.view.page.memory import memory_data
from archcalc.view.page.texts import Explanations
from archcalc.view.pattern import Pattern
from archcalc.view.structure import Box, Structure, cut, structure

MOST_LAYERS = 20_000
"""Networks with more layers are drawn as blocks."""

MOST_BOXES = 5_000
"""The number of boxes drawn for these."""


def drawn_boxes(profile: Profile) -> Structure:
    """Return the boxes on the page: all of them, or only blocks if there are too many layers."""
    drawn = structure(profile.network, heads=profile.heads)
    return drawn if len(drawn.nodes) <= MOST_LAYERS else cut(drawn, MOST_BOXES)


def _too_large(drawn: Structure) -> list[str]:
    layers = len(drawn.nodes)
    if layers <= MOST_LAYERS:
        return []
    return [f"{layers:,} layers are too many to draw: blocks stand for them; `archcalc report` lists all"]


def network_data(profile: Profile, reference: str = "") -> dict[str, Any]:
    """Return the data of a profile's network: boxes, figures, explanations, memory."""
    view = View(profile)
    drawn = drawn_boxes(profile)
    lines = [*_too_large(drawn), *remarks(view)]
    figures = layer_figures(profile, drawn)
    explained = Explanations(profile, drawn)
    memory = [memory_data(profile, drawn, training=False)]
    if profile.training:
        memory.append(memory_data(profile, drawn, training=True))
    return {
        "name": profile.network.name,
        "about": heading(view, reference)[1:],
        "notes": [*note_lines(profile.network.notes)],
        "remarks": [line.strip() for line in lines],
        "totals": [[name.strip(), value, words] for name, value, words in totals_in_words(view)],
        "batch": profile.batch,
        "quantities": figures.quantities,
        "big": figures.is_big,
        "rows": figures.table,
        "row": figures.rows,
        "fields": figures.field_table,
        "field": figures.fields,
        "axes": AXES,
        "twice": _read_twice(drawn),
        **_boxes(drawn),
        "patterns": [_pattern(each) for each in drawn.patterns],
        "memory": packed(memory),
        "explain": packed({"texts": explained.texts.values, "of": explained.of_boxes}),
    }


def _read_twice(drawn: Structure) -> dict[int, list[int]]:
    """For layers that read a tensor more than once, return the number of each input's tensor."""
    found: dict[int, list[int]] = {}
    leaf = leaves(drawn)
    if leaf[-1] + 1 < len(drawn.nodes):
        return found  # blocks represent their layers
    for position, node in enumerate(drawn.nodes):
        sources = drawn.inputs(node)
        distinct = list(dict.fromkeys(sources))
        if len(distinct) < len(sources):
            found[position] = [distinct.index(source) for source in sources]
    return found


def _boxes(drawn: Structure) -> dict[str, Any]:
    """Return the boxes in depth-first order, each with the number of its children.

    A layer has no children. `label` is the name without the path of the surrounding block; `full` has the
    full names of boxes whose names do not start with that path.
    """
    labels, kinds, leaf = Interned(), Interned(), leaves(drawn)
    label, full = [], {}
    for number, box in enumerate(drawn.boxes):
        outer = _path_around(drawn.boxes, box)
        begins = box.name.startswith(outer)
        label.append(labels.number(box.name[len(outer) :] if begins else box.name))
        if not begins:
            full[number] = 1
    return {
        "labels": labels.values,
        "label": label,
        "full": full,
        "kids": [len(box.children) for box in drawn.boxes],
        "pattern": [box.pattern for box in drawn.boxes],
        "kinds": kinds.values,
        "kind": [kinds.number(kind_of(box)) for box in drawn.boxes],
        "runs": {number: [box.times, box.period] for number, box in enumerate(drawn.boxes) if box.is_run},
        "output": {
            number: leaf[drawn.positions[box.group.output.index]]
            for number, box in enumerate(drawn.boxes)
            if box.group is not None and box.children and box.group.output.index in drawn.positions
        },
    }


def _path_around(boxes: Sequence[Box], box: Box) -> str:
    """Return the prefix of a box's name: the path of the block around it."""
    parent = box.parent
    while parent > 0 and boxes[parent].is_run:
        parent = boxes[parent].parent
    return f"{boxes[parent].name}/" if parent > 0 else ""


def _pattern(found: Pattern) -> list[Any]:
    return [
        found.entries,
        found.children,
        found.exits,
        [number for edge in found.edges for number in edge],
        found.ranks,
        [[track.top, track.vertices] for track in found.tracks],
    ]
