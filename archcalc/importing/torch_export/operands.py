"""Operands of arithmetic: arrays of the model as tensors, and joins of tensors and arrays."""

from __future__ import annotations

import math
from typing import Any

from archcalc.importing.broadcasting import combined, extent
from archcalc.importing.tensors import (
    BATCH,
    ExpandedTensor,
    ModelArray,
    Tensor,
    Unsupported,
    own_axis,
    plain_axes,
)
from archcalc.importing.torch_export.graph import StoredArray
from archcalc.importing.torch_export.values import AtenCall, ExpandedArray, KnownArray
from archcalc.layers.arguments import MAX_RANK
from archcalc.layers.arithmetic import ParameterTensor
from archcalc.layers.base import Layer

ArrayValue = StoredArray | KnownArray | ExpandedArray


def with_array(call: AtenCall, value: ArrayValue, like: Tensor | None = None) -> Tensor:
    """Return an array as a `parameter`.

    If it has at most as many axes as `like`, its axes are arranged as those of `like`, so that combining the
    two rearranges nothing. Without `like`, the axes are as in the model.
    """
    has_batch = isinstance(value, ExpandedArray)
    shape = value.shape[1:] if has_batch else value.shape
    array = value.array if isinstance(value, ExpandedArray) else value
    fits = like is not None and len(value.shape) <= like.rank
    if like is not None and fits and (found := _laid_out(call, array, value.shape, like)) is not None:
        return found
    if not shape or len(shape) > MAX_RANK:
        raise Unsupported(f"it computes with an array of {len(shape)} axes")
    axes = plain_axes(len(shape)) if has_batch else tuple(range(len(shape)))
    return _parameter(call, array, shape, tuple(range(len(shape))), axes)


def _laid_out(
    call: AtenCall, array: StoredArray | KnownArray, shape: tuple[int, ...], like: Tensor
) -> Tensor | None:
    """Arrange an array's axes like a tensor's; `None` if its values vary along the batch."""
    sizes = [1] * (like.rank - len(shape)) + list(shape)
    for place, axis in enumerate(like.axes):
        if axis == BATCH:
            if sizes[place] not in (1, call.batch):
                return None
            sizes[place] = 1
        elif axis < BATCH and sizes[place] != 1:
            return None
    own = {each: sizes[place] for place, axis in enumerate(like.axes) if (each := own_axis(axis)) is not None}
    order = [axis for axis in map(own_axis, like.axes) if axis is not None]
    axes = tuple(order.index(axis) for axis in range(len(order)))
    return _parameter(call, array, tuple(own[axis] for axis in order), axes, like.axes)


def _parameter(
    call: AtenCall,
    array: StoredArray | KnownArray,
    shape: tuple[int, ...],
    order: tuple[int, ...],
    axes: tuple[int, ...],
) -> Tensor:
    """Add a `parameter`: the array is reshaped to `shape`, and then its axes are put in this order."""
    is_trained = isinstance(array, StoredArray) and array.is_trained
    layer = ParameterTensor(tuple(shape[axis] for axis in order), trained=is_trained)
    if isinstance(array, KnownArray):
        key, factor = call.known(array), 1.0
    else:
        key, factor = array.key, array.factor
        if math.prod(array.shape) != math.prod(shape):
            raise Unsupported(f"it repeats `{key}`")
    arranged = () if order == tuple(range(len(order))) else order
    stored = ModelArray(key, arranged, shape=shape, factor=factor)
    return call.assembly.add(layer, arrays={"weight": stored}, axes=axes)


def matrix(call: AtenCall, array: StoredArray | KnownArray) -> Tensor:
    """Return an array whose axes before the last two have size 1 as a `parameter` with two axes."""
    return _parameter(call, array, array.shape[-2:], (0, 1), (0, 1))


def joined(call: AtenCall, layer: Layer, one: Any, two: Any) -> Tensor:
    """Join two values; axes of size 1 are broadcast, as in PyTorch."""
    one, two = (each.tensor if isinstance(each, ExpandedTensor) else each for each in (one, two))
    tensors = [each for each in (one, two) if isinstance(each, Tensor)]
    main = max(tensors, key=extent) if tensors else None
    return combined(call.assembly, layer, *(call.as_tensor(each, main) for each in (one, two)))
