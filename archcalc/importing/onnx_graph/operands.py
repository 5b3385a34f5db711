"""Operands of arithmetic: numbers, and the model's arrays as tensors."""

from __future__ import annotations

from archcalc.diagnostics import ArchError
from archcalc.importing.broadcasting import combined, extent
from archcalc.importing.onnx_graph.arrays import MAX_FOLDED, OnnxArray, shown
from archcalc.importing.onnx_graph.values import OnnxCall, OnnxExpanded, OnnxValue, as_tensor
from archcalc.importing.tensors import BATCH, ExpandedTensor, Tensor, Unsupported, own_axis, plain_axes
from archcalc.layers.arguments import MAX_RANK
from archcalc.layers.arithmetic import ParameterTensor
from archcalc.layers.base import Layer


def operand(call: OnnxCall, value: OnnxValue | None, like: Tensor | None = None) -> Tensor:
    """Return a value as a tensor: an array becomes a `parameter`.

    Its axes are in the same places as those of `like`, if it has no more axes than that: so nothing has to
    move to combine the two. Otherwise they are in the model's order.
    """
    if isinstance(value, ExpandedTensor):
        return value.tensor
    if isinstance(value, OnnxArray) and value.recipe is not None:
        return call.graph.rebuilt(value)
    if isinstance(value, OnnxExpanded):
        return _parameter_of(call, value.array, value.array.shape, like, True)
    if isinstance(value, OnnxArray):
        row = _row(call, value, like)
        if row is not None:
            return _parameter_of(call, row, row.shape, like, True)
        return _parameter_of(call, value, value.shape, like, False)
    return as_tensor(value)


def _row(call: OnnxCall, array: OnnxArray, like: Tensor | None) -> OnnxArray | None:
    """Return the values for one sample, if an array repeats them: a class token that an exporter expanded."""
    if like is None or like.axes[0] != BATCH or like.rank != len(array.shape) or not array.is_float:
        return None
    if call.batch < 2 or array.shape[0] != call.batch or array.size > MAX_FOLDED:
        return None
    try:
        values = array.all_values()
    except ArchError:  # the values are missing
        return None
    if not (values == values[:1]).all():
        return None
    key = f"{array.key}[0]"
    row = OnnxArray(key, array.shape[1:], True, lambda: array.all_values()[0])
    row.made_from = array.made_from or array.key
    row.is_own, row.is_buffer, row.is_constant = array.is_own, array.is_buffer, array.is_constant
    return row


def joined(call: OnnxCall, layer: Layer, *values: OnnxValue | None) -> Tensor:
    """Join values, stretching axes of size 1."""
    given = [value.tensor if isinstance(value, ExpandedTensor) else value for value in values]
    tensors = [value for value in given if isinstance(value, Tensor)]
    like = max(tensors, key=extent) if tensors else None
    return combined(call.assembly, layer, *(operand(call, value, like) for value in given))


def _parameter_of(
    call: OnnxCall, array: OnnxArray, shape: tuple[int, ...], like: Tensor | None, has_batch: bool
) -> Tensor:
    if not array.is_float:
        raise Unsupported(f"it computes with `{shown(array.key)}`")
    if like is not None and len(shape) <= like.rank:
        found = _laid_out(call, array, shape, like)
        if found is not None:
            return found
    first = 1 if has_batch and shape[:1] == (1,) else 0
    own = shape[first:]
    if not own or len(own) > MAX_RANK:
        raise Unsupported(f"it computes with an array of {len(shape)} axes")
    axes = plain_axes(len(own)) if has_batch else tuple(range(len(own)))
    return _parameter(call, array, list(range(first, len(shape))), own, axes)


def _laid_out(call: OnnxCall, array: OnnxArray, shape: tuple[int, ...], like: Tensor) -> Tensor | None:
    """Return the array with its axes in a tensor's places; `None` if its values vary along the batch."""
    missing = like.rank - len(shape)
    sizes = [1] * missing + list(shape)
    own: dict[int, int] = {}
    for place, axis in enumerate(like.axes):
        if axis <= BATCH and sizes[place] != 1:
            call.graph.is_along_batch = True
            return None
        if (each := own_axis(axis)) is not None:
            own[each] = place
    order = [own[axis] for axis in sorted(own)]
    target = tuple(sizes[place] for place in order)
    return _parameter(call, array, [place - missing for place in order], target, like.axes)


def _parameter(
    call: OnnxCall, array: OnnxArray, order: list[int], shape: tuple[int, ...], axes: tuple[int, ...]
) -> Tensor:
    """Add a `parameter` with the array's axes in this order; a negative axis has size 1."""
    kept = [place for place in order if place >= 0]
    stored = call.arranged(array, kept)
    layer = ParameterTensor(shape, trained=not array.is_fixed)
    return call.assembly.add(layer, arrays={"weight": stored}, axes=axes)
