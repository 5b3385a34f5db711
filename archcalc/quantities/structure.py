"""The structure of a network: output shape, number of layers, and depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archcalc.layers.terms import Facts
from archcalc.quantities.formulas import of_parts
from archcalc.quantities.quantity import Number, Quantity, Scope, Selection, Unit
from archcalc.render.numbers import grouped, plural
from archcalc.shape import SYMBOLS, Shape, Window, format_shape

if TYPE_CHECKING:
    from archcalc.profile import LayerProfile, Profile


SIZE = "floor((n + before + after - dilation·(kernel-1) - 1) / stride) + 1"
"""The size of an axis under a sliding window; `before` and `after` are the padding. `ceil_mode` rounds up."""

TRANSPOSED_SIZE = "(n-1)·stride - cut + dilation·(kernel-1) + 1 + output_padding"
"""The size of an axis under a transposed window; `cut` is the padding at both ends, which is cut off."""


def _shape(selection: Selection) -> Shape:
    return selection.output.shape


def _explain_shape(selection: Selection) -> list[str]:
    """The shape, and the formula along each axis of a window."""
    node = selection.output
    windows = node.facts.windows
    if not selection.is_layer:
        return [f"shape of {selection.name} = {format_shape(node.shape)}"]
    lines = [f"shape = {format_shape(node.shape)}"]
    if node.is_input or not isinstance(windows, tuple) or len(windows) != len(node.shape) - 1:
        return lines
    ceil = getattr(node.layer, "ceil_mode", False)
    letters = SYMBOLS[len(windows)]
    sizes = zip(letters, node.inputs[0].shape[1:], node.shape[1:], windows, strict=True)
    for letter, before, after, window in sizes:
        if window.clamped and not window.transposed:
            continue  # positions read each other: no window slides
        if isinstance(window.stride, int) and isinstance(window.kernel_size, int):
            lines.append(f"  {letter}_out = {_size_formula(before, window, after, ceil)}")
    return lines


def _size_formula(n: int, w: Window, result: int, ceil: bool) -> str:
    """The output-size formula with its numbers, along one axis."""
    if w.transposed:
        text = f"({n}-1)·{w.stride} - {w.before} - {w.after} + {w.dilation}·({w.kernel_size}-1) + 1"
        extra = result - ((n - 1) * w.stride - w.before - w.after + w.extent)
        return f"{text}{f' + {extra}' if extra else ''} = {result}"
    word = "ceil" if ceil else "floor"
    padded = "".join(f" {'+' if side >= 0 else '-'} {abs(side)}" for side in (w.before, w.after))
    text = f"{word}(({n}{padded} - {w.dilation}·({w.kernel_size}-1) - 1) / {w.stride}) + 1"
    if ceil and -((w.extent - n - w.before - w.after) // w.stride) + 1 > result:
        return f"{text} - 1 = {result}   (the last window would start after the input)"
    return f"{text} = {result}"


def _one(facts: Facts) -> int:
    return 1


def _is_weighted(facts: Facts) -> int:
    """Does a layer multiply by weights? It counts 1 then."""
    return int(any(category == "macs" for category, _ in facts.operations))


def _explain_weighted(selection: Selection) -> list[str]:
    parts = [(layer.name, 1) for layer in selection.layers if layer.counts["weighted_layers"]]
    return of_parts(f"weighted_layers of {selection.name} = the layers with MACs", parts)


def _depth(selection: Selection) -> int:
    """Weighted layers on the longest path within the selection."""
    depths: dict[int, int] = {}
    deepest = 0
    for layer in selection.layers:
        node = layer.node
        depth = 0
        for source in node.inputs:
            depth = max(depth, depths.get(source.index, 0))
        depth += layer.counts["weighted_layers"]
        depths[node.index] = depth
        deepest = max(deepest, depth)
    return deepest


def _explain_depth(selection: Selection) -> list[str]:
    parts = [(layer.name, 1) for layer in _longest_path(selection.layers)]
    return of_parts(f"depth of {selection.name} = the layers with MACs on the longest path", parts)


def _longest_path(layers: Sequence[LayerProfile]) -> list[LayerProfile]:
    """The layers with MACs on the longest path, or on one of the longest."""
    paths: dict[int, tuple[int, LayerProfile | None, int]] = {}
    best: tuple[int, int] = (0, -1)
    for layer in layers:
        depth, source = max(
            ((paths[s.index][0], s.index) for s in layer.node.inputs if s.index in paths), default=(0, -1)
        )
        weighted = layer.counts["weighted_layers"]
        depth += weighted
        paths[layer.node.index] = (depth, layer if weighted else None, source)
        best = max(best, (depth, -layer.node.index))
    found: list[LayerProfile] = []
    at = -best[1] if best[0] else -1
    while at in paths:
        _, counted, at = paths[at]
        found += [counted] if counted is not None else []
    return found[::-1]


def _total_depth(profile: Profile, number: Number) -> tuple[str, str, str]:
    totals = profile.totals
    words = (
        f"conv and fc layers on the longest path; {grouped(totals.weighted_layers)} in total, "
        f"{plural(totals.layers, 'layer')} of any kind"
    )
    return "depth", grouped(totals.depth), words


LAYERS = Quantity(
    name="layers", noun="layers", definition="layers of any kind", scope=Scope.LAYER, count=_one,
    headline=True,
)  # fmt: skip
WEIGHTED_LAYERS = Quantity(
    name="weighted_layers",
    of_operations=True,
    noun="conv and fc layers",
    definition="convolutions and fully connected layers",
    scope=Scope.LAYER,
    count=_is_weighted,
    explain=_explain_weighted,
)
DEPTH = Quantity(
    name="depth",
    of_operations=True,
    noun="depth",
    definition="convolutions and fully connected layers on the longest path",
    of=_depth,
    explain=_explain_depth,
    total=_total_depth,
    headline=True,
    comparatives=("as deep", "deeper", "shallower"),
)
SHAPE = Quantity(
    name="shape",
    noun="output shape",
    definition="the shape of the output, per sample",
    unit=Unit.SHAPE,
    scope=Scope.OUTPUT,
    of=_shape,
    explain=_explain_shape,
)
QUANTITIES = (LAYERS, WEIGHTED_LAYERS, DEPTH, SHAPE)
