"""The words in drawings: names of parts and frames, and the lines of a box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archcalc.layers.opaque import Opaque
from archcalc.network import Node
from archcalc.render.numbers import plural
from archcalc.shape import format_shape
from archcalc.view.draw.letters import shown, wrapped
from archcalc.view.structure import Box

if TYPE_CHECKING:
    from archcalc.view.draw.scene import DrawnPart, Scene


SMALL = 8.5
"""The size of letters in boxes, but for their titles."""

WIDEST = 190.0
"""The room for a line in a box; longer names are shortened in the middle."""


def short_operation(node: Node) -> str:
    """Describe a layer briefly for a figure: its kind, its kernel, and its stride if unusual.

    >>> import archcalc
    >>> network = archcalc.load("resnet18")
    >>> [short_operation(network[name]) for name in ("conv1/conv1", "maxpool1", "fc1")]
    ['conv 7×7 / 2', 'maxpool 3×3 / 2', 'fc']
    """
    layer = node.layer
    rank = len(node.shape) - 1
    words = [layer.op if isinstance(layer, Opaque) else layer.kind]
    size, stride = getattr(layer, "kernel_size", None), getattr(layer, "stride", None)
    if size is not None and rank > 0:
        words.append("×".join(_lengths(size, rank)))
    if (
        stride is not None
        and rank > 0
        and _lengths(stride, rank) not in (["1"] * rank, _own(layer, size, rank))
    ):
        lengths = _lengths(stride, rank)
        words.append("/ " + (lengths[0] if len(set(lengths)) == 1 else "×".join(lengths)))
    return shown(" ".join(words), 60)


def _own(layer: Any, size: Any, rank: int) -> list[str]:
    """Return the default stride of a pool, which is not worth a mention."""
    return _lengths(size, rank) if layer.family == "pool" and size is not None else []


def _lengths(value: Any, rank: int) -> list[str]:
    lengths = value if isinstance(value, tuple | list) else (value,) * rank
    return [str(length) for length in lengths]


def title(part: DrawnPart) -> str:
    """Return the name of a part in a drawing."""
    if part.is_outside and not part.main.is_input:
        return f"from {shown(part.main.name, 60)}"
    if part.is_input:
        return "input" if part.main.name == "input" else f"input {shown(part.main.name, 40)}"
    if part.is_block:
        return shown(last_name(part.box), 40) + (f" ×{part.times}" if part.times else "")
    return f"{part.label}: {short_operation(part.main)}" if part.label else short_operation(part.main)


def last_name(box: Box) -> str:
    """Return the name of a box without the blocks around it: `bottleneck2 to bottleneck4`.

    The name of a node in an imported model may have any form.
    """
    first, to, last = box.name.partition(" to ") if box.is_run else (box.name, "", "")
    return first.rpartition("/")[2] + to + last


def shape_text(part: DrawnPart) -> str:
    """Return the shape of a part as shown in a drawing."""
    return format_shape(part.shape)


def given_name(box: Box, kind: str) -> str:
    """Return the name of a box, unless it is only its kind with a number, as automatic names are.

    >>> given_name(Box("stage1/C1", 0, 1), "conv"), given_name(Box("stage1/conv2", 0, 1), "conv")
    ('C1', '')
    """
    name = shown(last_name(box), 40)
    return "" if name.rstrip("0123456789_") in ("", kind) else name


def frame_name(scene: Scene, number: int) -> str:
    """Return the name of an open block: `inception3a: inception`, `unit2 to unit4 ×3`."""
    box = scene.frames[number].box
    name = shown(last_name(box))
    if box.is_run:
        are_layers = all(scene.structure.boxes[child].is_layer for child in box.children)
        return f"×{box.times}" if are_layers else f"{name} ×{box.times}"
    kind = box.group.kind if box.group is not None else ""
    return f"{name}: {shown(kind, 40)}" if given_name(box, kind) and kind not in ("", "group") else name


def box_lines(part: DrawnPart, figure: str) -> list[str]:
    """Return the lines of a box: the part, its shape, and its cost."""
    return [*box_words(part)[0], *([figure] if figure and not part.is_input else [])]


def box_words(part: DrawnPart) -> tuple[list[str], int]:
    """Return the lines that describe a part, and which of them is its title."""
    if part.is_block:
        kind = part.box.group.kind if part.box.group is not None else ""
        count = sum(not node.is_input for node in part.nodes)
        words = plural(count // max(part.times, 1), "layer") + (" each" if part.times else "")
        if kind not in ("", "group"):
            words = f"{shown(kind, 40)}: {words}"
        return [title(part), words, shape_text(part)], 0
    folded = [short_operation(node) for node in part.folded]
    before = part.nodes.index(part.main)
    lines = wrapped(folded[before:], SMALL, WIDEST) if folded[before:] else []
    ahead = wrapped(folded[:before], SMALL, WIDEST) if folded[:before] else []
    shape = shape_text(part)
    if part.output.shape != part.main.shape:
        lines = [*lines, "×".join(map(str, part.output.shape))]
        return [*ahead, title(part), shape, *lines], len(ahead)
    return [*ahead, title(part), *lines, shape], len(ahead)
