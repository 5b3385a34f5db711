"""Operands of arithmetic: arrays as tensors, and tensors that are stretched to one another."""

from __future__ import annotations

import math
from typing import Any

from archcalc.importing.tensors import (
    BATCH,
    ExpandedTensor,
    ModelArray,
    Tensor,
    Unsupported,
    own_axis,
    plain_axes,
    renumbered,
)
from archcalc.importing.torch_export.graph import StoredArray
from archcalc.importing.torch_export.values import AtenCall, ExpandedArray, KnownArray
from archcalc.layers.arguments import MAX_RANK
from archcalc.layers.arithmetic import ParameterTensor
from archcalc.layers.base import Layer
from archcalc.layers.reshape import Permute, Reshape

ArrayValue = StoredArray | KnownArray | ExpandedArray


def with_array(call: AtenCall, value: ArrayValue, like: Tensor | None = None) -> Tensor:
    """An array as a `parameter`.

    Its axes lie as those of `like`, where it has the same number of axes or fewer: so nothing is rearranged
    to combine the two. Without one, they are as the model has them.
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
    """The array with its axes where a tensor has them; `None` if it has values along the batch."""
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
    """A `parameter`: the array is reshaped to `shape`, and its axes are then put in this order."""
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


def joined(call: AtenCall, layer: Layer, one: Any, two: Any) -> Tensor:
    """A join of two values, axes of size 1 stretched, as PyTorch does."""
    one, two = (each.tensor if isinstance(each, ExpandedTensor) else each for each in (one, two))
    tensors = [each for each in (one, two) if isinstance(each, Tensor)]
    main = max(tensors, key=_extent) if tensors else None
    first, second = (call.as_tensor(each, main) for each in (one, two))
    main = max((first, second), key=_extent)
    return call.assembly.add(
        layer, *(stretched(call, each, main) for each in (first, second)), axes=main.axes
    )


def _extent(tensor: Tensor) -> tuple[int, bool, int]:
    has_batch = any(axis <= BATCH for axis in tensor.axes)
    return tensor.rank, has_batch, math.prod(tensor.operation.shape)


def stretched(call: AtenCall, x: Tensor, main: Tensor) -> Tensor:
    """The tensor with its axes as `main` has them, and axes of size 1 where it has none."""
    if x.axes == main.axes:
        return x
    reason = "its tensors have their axes in places that do not match"
    missing = main.rank - x.rank
    if missing < 0:
        raise Unsupported(reason)
    own: dict[int, int] = {}
    for place, axis in enumerate(main.axes):
        if place < missing:
            continue
        theirs, mine = own_axis(axis), own_axis(x.axes[place - missing])
        in_batch, has_batch = axis <= BATCH, x.axes[place - missing] <= BATCH
        size = 1 if mine is None else x.operation.shape[mine]
        if has_batch:
            numbers = {} if mine is None or theirs is None else {mine: theirs}
            if (mine is None) != (theirs is None) or renumbered(x.axes[place - missing], numbers) != axis:
                raise Unsupported(reason)
            if mine is not None and theirs is not None and size != main.operation.shape[theirs]:
                raise Unsupported(reason)
        elif in_batch and size != 1:
            raise Unsupported(reason)
        if mine is not None and theirs is not None:
            own[theirs] = mine
    order = [own[axis] for axis in range(len(main.operation.shape)) if axis in own]
    unused = [axis for axis in range(len(x.operation.shape)) if axis not in order]
    if sorted(order) != order:
        x = call.assembly.add(Permute((*order, *unused)), x)
        shape = x.operation.shape
        own = {axis: number for number, axis in enumerate(sorted(own))}
    else:
        shape = x.operation.shape
    target = tuple(shape[own[axis]] if axis in own else 1 for axis in range(len(main.operation.shape)))
    if target != x.operation.shape:
        return call.assembly.add(Reshape(target), x, axes=main.axes)
    return Tensor(x.operation, main.axes)
