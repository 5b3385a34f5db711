"""Layers that move values and compute nothing: reshaping, padding, cropping, resizing, slices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import pairwise

from archcalc.importing.keras_config.values import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    CalledLayer,
    as_whole,
    axes_of,
    axis_name,
    keras_layer,
    shown_value,
)
from archcalc.importing.tensors import BATCH, Tensor, Unsupported, plain_axes
from archcalc.layers.reshape import Flatten, Reshape
from archcalc.layers.resize import Pad, Slice, Upsample

# --- The same values in another shape ------------------------------------------------------------------


@keras_layer("Flatten")
def flatten(call: CalledLayer) -> list[Tensor]:
    """Flatten a tensor. For a map with channels first, Keras moves the channels last before it flattens."""
    x = call.tensor()
    if call.layout() == CHANNELS_FIRST and x.rank > 2:
        x = x.permuted((0, *range(2, x.rank), 1))
    return [reshaped(call, x, (math.prod(x.sample),))]


@keras_layer("Reshape")
def reshape(call: CalledLayer) -> list[Tensor]:
    x = call.tensor()
    return [reshaped(call, x, _complete(x, call.wholes("target_shape")))]


@keras_layer("ops.Reshape")
def reshape_operation(call: CalledLayer) -> list[Tensor]:
    x = call.tensor()
    shape = call.wholes("newshape")
    if not shape or shape[0] != -1 or -1 in shape[1:]:
        raise Unsupported("the batch is not its first axis")
    return [reshaped(call, x, _complete(x, shape[1:]))]


@keras_layer("ops.ExpandDims", "ops.Squeeze")
def one_more_or_less(call: CalledLayer) -> list[Tensor]:
    x, shape = call.tensor(), []
    axis = call.whole("axis")
    if call.kind == "ops.Squeeze":
        x.axis(axis)
        shape = [size for place, size in enumerate(x.shape) if place != axis % x.rank]
    else:
        shape = list(x.shape)
        shape.insert(axis % (x.rank + 1), 1)
    if shape[0] != BATCH or len(shape) < 2:
        raise Unsupported("the batch is not its first axis")
    return [reshaped(call, x, tuple(shape[1:]))]


def _complete(x: Tensor, shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape with its -1, if it has one, replaced by the remaining size."""
    if -1 not in shape:
        return tuple(shape)
    others = math.prod(size for size in shape if size != -1)
    if list(shape).count(-1) > 1 or others < 1:
        raise Unsupported(f"its shape is {shown_value(list(shape))}")
    return tuple(math.prod(x.sample) // others if size == -1 else size for size in shape)


def reshaped(call: CalledLayer, x: Tensor, target: tuple[int, ...], part: str = "") -> Tensor:
    """Reshape a tensor to another sample shape, keeping its values in the model's order.

    `part` names the layer that does this, if it is only a part of the call.
    """
    if x.sample == target and x.axes[0] == BATCH:
        return x
    if x.axes[0] != BATCH or not target:
        raise Unsupported("the batch is not its first axis")
    if math.prod(target) != math.prod(x.sample):
        raise Unsupported(f"{math.prod(x.sample):,} values do not have the shape {shown_value(list(target))}")
    axes = _kept_axes(call, x, target)
    if axes is None:
        x = call.aligned(x, plain_axes(len(x.sample)))
        axes = plain_axes(len(target))
    own = tuple(target[axes.index(axis) - 1] for axis in range(len(target)))
    with call.part(part) if part else nullcontext():
        return call.assembly.add(Flatten() if len(own) == 1 else Reshape(own), x, axes=axes)


def _kept_axes(call: CalledLayer, x: Tensor, target: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the axes of the result if no values have to move first; `None` if they do.

    They need not move if the channels stay last while the spatial axes change, or if the model's order is the
    operation's order both before and after.
    """
    last, first = (axes_of(len(target), name) for name in (CHANNELS_LAST, CHANNELS_FIRST))
    rank = len(x.sample)
    if min(rank, len(target)) > 1 and x.axes == axes_of(rank, CHANNELS_LAST) and target[-1] == x.sample[-1]:
        return last
    if not _in_order(x.axes, x.sample):
        return None
    for axes in (first, last) if call.data_format == CHANNELS_FIRST else (last, first):
        if _in_order(axes, target):
            return axes
    return None


def _in_order(axes: Sequence[int], sample: Sequence[int]) -> bool:
    """Whether a model has the axes in the operation's order, ignoring axes of size 1."""
    long = [axis for axis, size in zip(axes[1:], sample, strict=True) if size > 1]
    return long == sorted(long)


@keras_layer("Permute")
def permute(call: CalledLayer) -> list[Tensor]:
    """Permute axes; `dims` counts from 1, without the batch. No values move until a layer needs it."""
    return [_permuted(call.tensor(), (0, *call.wholes("dims")))]


@keras_layer("ops.Transpose")
def transpose(call: CalledLayer) -> list[Tensor]:
    return [_permuted(call.tensor(), call.wholes("axes"))]


def _permuted(x: Tensor, dims: Sequence[int]) -> Tensor:
    if sorted(dims) != list(range(x.rank)):
        raise Unsupported("it does not name every axis once")
    if dims[0] != 0:
        raise Unsupported("the batch is not its first axis")
    return x.permuted(dims)


# --- Padding, cropping, resizing -----------------------------------------------------------------------


@keras_layer("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(call: CalledLayer) -> list[Tensor]:
    x, ends = call.map(call.rank), _ends(call, "padding")
    return [padded(call, x, ends)]


@keras_layer("Cropping1D", "Cropping2D", "Cropping3D")
def cropping(call: CalledLayer) -> list[Tensor]:
    x, ends = call.map(call.rank), _ends(call, "cropping")
    return [padded(call, x, [(-before, -after) for before, after in ends])]


def padded(call: CalledLayer, x: Tensor, ends: Sequence[tuple[int, int]]) -> Tensor:
    if not any(before or after for before, after in ends):
        return x
    return call.add(Pad(tuple(ends)), x)


def _ends(call: CalledLayer, name: str) -> list[tuple[int, int]]:
    """Return `(before, after)` for each spatial axis; a single number is both ends, of one axis or of all."""
    rank, value = call.rank, call.value(name, 1)
    if not isinstance(value, list):
        value = [value] * rank if rank > 1 else [[value, value]]
    elif rank == 1 and len(value) == 2:
        value = [value]
    pairs = [pair if isinstance(pair, list) else [pair, pair] for pair in value]
    if len(pairs) != rank or any(len(pair) != 2 for pair in pairs):
        raise Unsupported(f"`{name}` is {shown_value(value)}")
    ends = [(as_whole(before, name), as_whole(after, name)) for before, after in pairs]
    if min(map(min, ends)) < 0:
        raise Unsupported(f"`{name}` is negative")
    return ends


@keras_layer("UpSampling1D", "UpSampling2D", "UpSampling3D")
def up_sampling(call: CalledLayer) -> list[Tensor]:
    rank = call.rank
    x, size = call.map(rank), call.per_axis("size", rank, 2)
    mode = call.word("interpolation", "nearest")
    if mode not in ("nearest", "bilinear"):
        raise Unsupported(f"`interpolation` is {mode[:60]}")
    want = tuple(n * factor for n, factor in zip(x.operation.shape[1:], size, strict=True))
    factor = size[0] if len(set(size)) == 1 else size
    upsampled = call.add(Upsample(scale_factor=factor, mode=mode), x)
    if upsampled.operation.shape[1:] != want:
        raise Unsupported("its factor is too large")
    return [upsampled]


# --- Pieces ------------------------------------------------------------------------------------------


@keras_layer("ops.GetItem")
def get_item(call: CalledLayer) -> list[Tensor]:
    """Slice along axes, with a step of 1."""
    x, *keys = call.operands()
    if len(keys) != 1 or not isinstance(x, Tensor):
        raise Unsupported("it is not one index of a tensor")
    index = keys[0] if isinstance(keys[0], list) else [keys[0]]
    if index.count(...) == 1:
        at = index.index(...)
        index[at : at + 1] = [slice(None)] * (x.rank - len(index) + 1)
    for dim, each in enumerate(index):
        if not isinstance(each, slice):
            raise Unsupported("its index is not a slice")
        if each == slice(None) or (each.start, each.stop, each.step) == (None, None, 1):
            continue
        if dim >= x.rank or x.axes[dim] == BATCH or each.step not in (None, 1):
            raise Unsupported("it takes other steps than 1, or samples of the batch")
        x = piece(call, x, dim, *each.indices(x.shape[dim])[:2])
    return [x]


@keras_layer("ops.Split")
def split(call: CalledLayer) -> list[Tensor]:
    x, axis = call.tensor(), call.whole("axis", 0)
    x.axis(axis)
    size, cuts = x.shape[axis], call.value("indices_or_sections")
    if isinstance(cuts, list):
        places = [0, *(as_whole(cut, "indices_or_sections") for cut in cuts), size]
    else:
        count = as_whole(cuts, "indices_or_sections")
        if not 0 < count <= size or size % count:
            raise Unsupported(f"it makes {count} pieces of {size}")
        places = list(range(0, size + 1, size // count))
    return [piece(call, x, axis, start, end) for start, end in pairwise(places)]


def piece(call: CalledLayer, x: Tensor, dim: int, start: int, end: int) -> Tensor:
    """Slice an axis from `start` to `end`; returns the tensor itself if that is the whole axis."""
    if (start, end) == (0, x.shape[dim]):
        return x
    return call.add(Slice(start, end, axis_name(x, dim)), x)
