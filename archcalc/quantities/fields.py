"""The receptive field as quantities: size, effective stride, and effective padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archcalc.quantities.quantity import Number, Quantity, Scope, Selection, Unit
from archcalc.render.numbers import field_size
from archcalc.shape import SYMBOLS, format_shape

if TYPE_CHECKING:
    from archcalc.profile import LayerProfile, Profile
    from archcalc.quantities.receptive_field import Field

AT_MOST = "at most the whole input: positions are not tracked through this rearrangement"
"""Said of a field after positions were moved into channels or into an axis of their own."""


def field_of(selection: Selection) -> Field:
    """The field of a selection's output."""
    return selection.profile.entries[selection.output.index].field


def _size(selection: Selection) -> Any:
    field = field_of(selection)
    return "global" if field.is_global else field.size


def _stride(selection: Selection) -> Any:
    field = field_of(selection)
    return "global" if field.is_global else field.stride


def _padding(selection: Selection) -> Any:
    field = field_of(selection)
    return "global" if field.is_global else field.padding


def _explain(selection: Selection) -> list[str]:
    return _of_layer(selection) if selection.is_layer else _of_parts(selection)


def _of_layer(selection: Selection) -> list[str]:
    """The field, and how the layer's window enlarges the field of its input along each axis."""
    node, field = selection.output, field_of(selection)
    windows = node.facts.windows
    title = f"receptive_field = {field_size(field)}"
    if field.is_global:
        words = AT_MOST if _has_windows(selection) else "the whole input"
        return [f"{title}   ({words})"]
    if not field.stride:
        return [title]
    lines = [f"{title}   {_steps(field)}"]
    if not isinstance(windows, tuple) or len(node.inputs) != 1:
        return lines
    before = selection.profile.entries[node.inputs[0].index].field
    if (
        before.turns or field.turns
    ):  # neighbors have fields of different sizes there, so no one line gives the largest
        return lines
    windows = tuple(windows[axis] for axis in before.axes())
    for axis, (letter, window) in enumerate(zip(SYMBOLS[len(windows)], windows, strict=True)):
        if window.transposed or not before.stride:
            continue
        r, j = before.size[axis], before.stride[axis]
        k, s, d = window.kernel_size, window.stride, window.dilation
        lines.append(
            f"  {letter}: r + d·(k-1)·j = {r} + {d}·({k}-1)·{j} = {field.size[axis]}"
            f",  j·s = {j}·{s} = {field.stride[axis]}"
        )
    return lines


def _has_windows(selection: Selection) -> bool:
    """Were positions and channels rearranged before, such as into windows? The field may be smaller then."""
    entries = selection.profile.entries
    seen: set[int] = set()
    waiting = [selection.output]
    while waiting:
        node = waiting.pop()
        if node.index in seen:
            continue
        seen.add(node.index)
        if entries[node.index].field.folded and len(node.shape) > 1:
            return True
        waiting += node.inputs
    return False


def _of_parts(selection: Selection) -> list[str]:
    """The field after each part."""
    parts = selection.parts()
    left = max((len(part.name) for part in parts), default=0)
    lines = [f"receptive_field of {selection.name}, after each of its parts"]
    for part in parts:
        field = field_of(part)
        text = f"  {part.name:<{left}}   {field_size(field):>9}"
        if field.stride:
            text += f"   {_steps(field)}"
        lines.append(text)
    return lines


def _total(profile: Profile, number: Number) -> tuple[str, str, str] | None:
    """The last field that is not global; if the last maps are global, the first layer of these."""
    start = _global_from(profile)
    layers = profile.layers if start is None else profile.layers[: profile.layers.index(start)]
    known = (layer for layer in reversed(layers) if layer.field.stride)
    last = next(known, None)
    if start is not None:
        before = f"; before that {field_size(last.field)}, at `{last.name}`" if last is not None else ""
        return "receptive field", "global", f"from `{start.name}` on{before}"
    if last is None:
        return None
    return "receptive field", field_size(last.field), f"at `{last.name}`: {_steps(last.field)}"


def _global_from(profile: Profile) -> LayerProfile | None:
    """The first of the last layers whose maps have several positions that all see the whole input.

    Parameters see nothing and are skipped.
    """
    found = None
    for layer in reversed(profile.layers):
        if max(layer.shape[1:], default=1) > 1 and not layer.field.is_nothing:
            if not layer.field.is_global:
                break
            found = layer
    return found


def _steps(field: Field) -> str:
    return f"effective stride {format_shape(field.stride)}, padding {format_shape(field.padding)}"


RECEPTIVE_FIELD = Quantity(
    name="receptive_field",
    of_operations=True,
    noun="receptive field",
    definition="the part of the input that one value depends on, along each axis (Araujo, Norris & Sim "
    "2019); misaligned branches of a join are reported",
    unit=Unit.LENGTHS,
    scope=Scope.OUTPUT,
    of=_size,
    explain=_explain,
    total=_total,
    heading="Field",
)
EFFECTIVE_STRIDE = Quantity(
    name="effective_stride",
    of_operations=True,
    noun="effective stride",
    definition="the distance in the input between the receptive fields of neighbors",
    unit=Unit.LENGTHS,
    scope=Scope.OUTPUT,
    of=_stride,
    explain=_explain,
    heading="Stride",
)
EFFECTIVE_PADDING = Quantity(
    name="effective_padding",
    of_operations=True,
    noun="effective padding",
    definition="the part of the first receptive field that lies before the input",
    unit=Unit.LENGTHS,
    scope=Scope.OUTPUT,
    of=_padding,
    explain=_explain,
    heading="Padding",
)
QUANTITIES = (RECEPTIVE_FIELD, EFFECTIVE_STRIDE, EFFECTIVE_PADDING)
