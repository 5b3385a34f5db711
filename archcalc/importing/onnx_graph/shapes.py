"""Nodes that only move values: views, slices, joins, padding, resizing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from archcalc.importing.onnx_graph.arrays import OnnxArray
from archcalc.importing.onnx_graph.constants import axis_in, flattened_from, slices, split_sizes, target_shape
from archcalc.importing.onnx_graph.operands import operand
from archcalc.importing.onnx_graph.values import OnnxCall, OnnxOutputs, as_tensor, decimal, onnx_operation
from archcalc.importing.tensors import BATCH, ExpandedTensor, Tensor, Unsupported, plain_axes, renumbered
from archcalc.importing.views import axis_name, concrete, with_open_batch
from archcalc.layers.arguments import Number
from archcalc.layers.arithmetic import ParameterTensor
from archcalc.layers.merge import Concat
from archcalc.layers.recurrent import Embedding
from archcalc.layers.reshape import Permute, PixelShuffle, Reshape
from archcalc.layers.resize import Pad, Upsample

# --- The same tensor -----------------------------------------------------------------------------------


@onnx_operation("Identity")
def identity(call: OnnxCall) -> OnnxOutputs:
    return [call.tensor()]


@onnx_operation("Expand")
def expand(call: OnnxCall) -> OnnxOutputs:
    """Expand to the same size, or along axes of size 1."""
    value = call.input(0)
    x = value.tensor if isinstance(value, ExpandedTensor) else call.tensor()
    want = call.whole_constants(1) or []
    if len(want) > x.rank:
        x = call.reshaped(x, [1] * (len(want) - x.rank) + list(concrete(x, call.batch)))
    have = concrete(x, call.batch)
    want = [1] * (len(have) - len(want)) + want
    if any(1 not in (one, two) and one != two for one, two in zip(have, want, strict=True)):
        raise Unsupported("its sizes do not match")
    is_same = all(two in (1, one) for one, two in zip(have, want, strict=True))
    return [x if is_same else ExpandedTensor(x)]


@onnx_operation("Tile")
def tile(call: OnnxCall) -> OnnxOutputs:
    if set(call.whole_constants(1) or [0]) != {1}:
        raise Unsupported("it repeats values")
    return [call.tensor()]


# --- Views ---------------------------------------------------------------------------------------------


def reshape_target(call: OnnxCall) -> tuple[int, ...]:
    """Return the result shape of `Reshape`, with the batch as a number."""
    want = (call.wholes("shape") if call.has("shape") else call.whole_constants(1)) or []
    allows_zero, x = bool(call.whole("allowzero", 0)), call.input(0)
    if call.graph.opens_batch and isinstance(x, Tensor) and call.batch not in want:
        closed = target_shape(concrete(x, 1), want, allows_zero)
        return with_open_batch(x, closed, call.batch)
    return tuple(target_shape(call.shape(), want, allows_zero))


@onnx_operation("Reshape")
def reshape(call: OnnxCall) -> OnnxOutputs:
    call.unused("consumed_inputs")
    return [call.reshaped(call.tensor(), reshape_target(call))]


@onnx_operation("Flatten")
def flatten(call: OnnxCall) -> OnnxOutputs:
    x = call.tensor()
    axis, shape = flattened_from(call, x.rank), concrete(x, call.batch)
    return [call.reshaped(x, (math.prod(shape[:axis]), math.prod(shape[axis:])))]


@onnx_operation("Squeeze")
def squeeze(call: OnnxCall) -> OnnxOutputs:
    """The batch may be dropped, too, if it is known to be 1."""
    x, axes = call.tensor(), call.axes()
    have = concrete(x, call.batch)
    dims = {place for place, size in enumerate(have) if size == 1}
    if axes is not None:
        dims = {axis_in(axis, x.rank) for axis in axes}
    if any(have[dim] != 1 for dim in dims):
        raise Unsupported("it drops an axis that is not of size 1")
    if dims and x.axes[0] == BATCH and 0 in dims:
        if len(dims) == x.rank:
            raise Unsupported("it drops every axis")
        x, dims = Tensor(x.operation, x.axes[1:]), {dim - 1 for dim in dims if dim}
        return [_without(call, x, dims)]
    return [_without(call, x, dims)]


def _without(call: OnnxCall, x: Tensor, dims: set[int]) -> Tensor:
    """Return a tensor without some of its axes, which have size 1."""
    if not dims:
        return x
    kept = [dim for dim in range(x.rank) if dim not in dims]
    return call.reshaped(x, [concrete(x, call.batch)[dim] for dim in kept])


@onnx_operation("Unsqueeze")
def unsqueeze(call: OnnxCall) -> OnnxOutputs:
    """In a tensor without a batch, a new first axis of size 1 is the batch."""
    x, axes = call.tensor(), call.axes() or []
    rank = x.rank + len(axes)
    dims = {axis_in(axis, rank) for axis in axes}
    if len(dims) != len(axes):
        raise Unsupported("it adds an axis twice")
    if 0 in dims and BATCH not in x.axes and call.batch == 1:
        x, dims = Tensor(x.operation, (BATCH, *x.axes)), dims - {0}
    sizes = iter(concrete(x, call.batch))
    want = [1 if dim in dims else next(sizes) for dim in range(rank)]
    return [call.reshaped(x, want)]


@onnx_operation("Transpose")
def transpose(call: OnnxCall) -> OnnxOutputs:
    x = call.tensor()
    dims = call.wholes("perm", list(range(x.rank))[::-1]) or []
    if sorted(dims) != list(range(x.rank)):
        raise Unsupported("it does not name every axis once")
    return [x.permuted(dims)]


@onnx_operation("DepthToSpace", "SpaceToDepth")
def between_depth_and_space(call: OnnxCall) -> OnnxOutputs:
    """A reshape, a transpose, and a reshape."""
    size, x = call.whole("blocksize", 0), call.map(2)
    channels, height, width = x.operation.shape
    if size < 1:
        raise Unsupported(f"`blocksize` is {size}")
    add = call.assembly.add
    if call.node.op == "DepthToSpace" and call.text("mode", "DCR") == "CRD":
        return [call.add(PixelShuffle(size), x)]
    if call.node.op == "SpaceToDepth":
        apart = (channels, height // size, size, width // size, size)
        together = (channels * size * size, height // size, width // size)
        order = (2, 4, 0, 1, 3)
    else:
        depth = channels // (size * size)
        call.must_be("mode", "DCR")
        apart, order = (size, size, depth, height, width), (2, 3, 0, 4, 1)
        together = (depth, height * size, width * size)
    y = add(Permute(order), add(Reshape(apart), x), axes=plain_axes(5))
    return [add(Reshape(together), y)]


# --- Pieces --------------------------------------------------------------------------------------------


@onnx_operation("Slice")
def slice_(call: OnnxCall) -> OnnxOutputs:
    x = call.tensor()
    for axis, first, last, step in slices(call, call.shape()):
        size = concrete(x, call.batch)[axis]
        start, end, _ = slice(first, last, step).indices(size)
        if step < 0 and end - start < step:
            raise Unsupported(f"its step is {step}")
        if step < 0 or 0 < end - start <= step:
            start, end, step = start, start + 1, 1
        x = _stepped(call, x, axis, range(start, end, step))
    call.unused("starts", "ends", "axes")
    return [x]


def _stepped(call: OnnxCall, x: Tensor, dim: int, places: range) -> Tensor:
    """Slice with a step: split the axis into blocks of `step` values, and keep one value of each."""
    step, count, size = places.step, len(places), concrete(x, call.batch)[dim]
    if step == 1:
        return call.piece(x, dim, places.start, places.stop)
    begin = places.start if places.start + count * step <= size else size - count * step
    if begin < 0 or places.start - begin >= step:
        raise Unsupported(f"its step is {step}")
    x = call.piece(x, dim, begin, begin + count * step)
    shape = list(concrete(x, call.batch))
    x = call.reshaped(x, (*shape[:dim], count, step, *shape[dim + 1 :]))
    x = call.piece(x, dim + 1, places.start - begin, places.start - begin + 1)
    return call.reshaped(x, (*shape[:dim], count, *shape[dim + 1 :]))


@onnx_operation("Split")
def split(call: OnnxCall) -> OnnxOutputs:
    x = call.tensor()
    axis = axis_in(call.whole("axis", 0), x.rank)
    pieces, start = [], 0
    for size in split_sizes(call, concrete(x, call.batch)[axis]):
        pieces.append(call.piece(x, axis, start, start + size))
        start += size
    return pieces


@onnx_operation("Gather")
def gather(call: OnnxCall) -> OnnxOutputs:
    """One index along an axis, or several consecutive ones; or rows of a table of the model."""
    table = call.input(0)
    if isinstance(table, OnnxArray):
        return [_looked_up(call, table)]
    x, indices = call.tensor(), call.needed_array(1)
    axis = axis_in(call.whole("axis", 0), x.rank)
    size = concrete(x, call.batch)[axis]
    places = [int(place) % size for place in indices.values.reshape(-1)]
    if len(indices.shape) > 1 or not places or places != list(range(places[0], places[0] + len(places))):
        raise Unsupported("it picks values that are not in a row")
    x = call.piece(x, axis, places[0], places[-1] + 1)
    return [x if indices.shape else _without(call, x, {axis})]


def _looked_up(call: OnnxCall, table: OnnxArray) -> Tensor:
    """Add an `embedding` for indices: a tensor, or an array of the model. The rows become the last axis."""
    if len(table.shape) != 2 or table.recipe is not None or call.whole("axis", 0) != 0:
        raise Unsupported("its table is not a matrix of the model")
    indices, layer = call.input(1), Embedding(*table.shape)
    if not isinstance(indices, OnnxArray):
        x = as_tensor(indices)
        numbers = {axis: axis + 1 for axis in range(len(x.operation.shape))}
        y = call.add(layer, x, weight=table)
        return Tensor(y.operation, (*(renumbered(axis, numbers) for axis in x.axes), 0))
    count = indices.size
    if min(indices.values.reshape(-1), default=0) < 0:
        raise Unsupported("its indices count from the end")
    stored = {"weight": call.arranged(indices)}
    read = call.assembly.add(ParameterTensor((count,), trained=False), arrays=stored, axes=(0,))
    rows = Tensor(call.add(layer, read, weight=table).operation, (1, 0))
    return call.reshaped(rows, (*indices.shape, table.shape[1]))


# --- Joins, padding, resizing --------------------------------------------------------------------------


@onnx_operation("Concat")
def concat(call: OnnxCall) -> OnnxOutputs:
    given = [value for value in call.inputs if value is not None]
    if not given:
        raise Unsupported("an input is missing")
    first = next((value for value in given if isinstance(value, Tensor)), None)
    tensors = [operand(call, value, first) for value in given]
    if any(isinstance(value, ExpandedTensor) for value in given):
        raise Unsupported("it reads a tensor that is repeated along an axis")
    first = first or tensors[0]
    axis = axis_in(call.whole("axis", 1), first.rank)
    if len(tensors) == 1:
        return [first]
    if any(each.rank != first.rank for each in tensors):
        raise Unsupported("its tensors have different numbers of axes")
    aligned = [call.assembly.aligned(each, first.axes) for each in tensors]
    return [call.assembly.add(Concat(axis_name(first, axis)), *aligned, axes=first.axes)]


PADDING = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
"""The padding modes, and their names in archcalc."""


@onnx_operation("Pad")
def pad(call: OnnxCall) -> OnnxOutputs:
    """Pad the ends of axes. The sizes are attributes before version 11, and inputs since then."""
    mode = call.text("mode", "constant")
    if mode not in PADDING:
        raise Unsupported(f'its mode is "{mode[:20]}"')
    value: Number | None = call.number("value", 0.0)
    x = call.tensor()
    name = "pads" if call.has("pads") else "paddings"
    listed = call.wholes(name) if call.has(name) else call.whole_constants(1)
    if call.input(2) is not None:
        value = call.exact(2)
    if value is None:
        raise Unsupported("it pads with an unknown value")
    axes = call.whole_constants(3)
    dims = list(range(x.rank)) if axes is None else [axis_in(axis, x.rank) for axis in axes]
    if listed is None or len(listed) != 2 * len(dims):
        raise Unsupported("its sizes do not match")
    more: dict[str, Any] = {"value": value} if mode == "constant" and value else {}
    more |= {"mode": PADDING[mode]} if mode != "constant" else {}
    ends = {}
    for place, dim in enumerate(dims):
        before, after = listed[place], listed[place + len(dims)]
        if before or after:
            ends[x.axis(dim)] = (before, after)
    if not ends:
        return [x]
    if 0 in ends:
        x = call.add(Pad(ends.pop(0), dim="channels", **more), x)
    if not ends:
        return [x]
    places = range(1, len(x.operation.shape))
    return [call.add(Pad(tuple(ends.get(axis, (0, 0)) for axis in places), **more), x)]


@onnx_operation("Resize", "Upsample")
def resize(call: OnnxCall) -> OnnxOutputs:
    """Resize to a size or by factors: an attribute in version 7, an input since 9 (one of two since 11)."""
    x = call.map()
    rank = x.rank - 2
    mode = call.text("mode", "nearest")
    factors, size = _factors(call, x.rank)
    own = x.operation.shape[1:]
    if factors is not None:
        wanted = [int(n * factor) for n, factor in zip(own, factors, strict=True)]
        ratios = [Fraction(factor) for factor in factors]
    else:
        assert size is not None
        wanted, ratios = size, [Fraction(m, n) for n, m in zip(own, size, strict=True)]
    how, more = _way(call, mode, ratios, own, wanted)
    is_whole = all(Fraction(m, n) == ratio for n, m, ratio in zip(own, wanted, ratios, strict=True))
    if is_whole and size is not None and all(ratio.denominator == 1 for ratio in ratios):
        factors = [int(ratio) for ratio in ratios]  # a factor is easier to read than a doubled size
    if factors is None:
        return [call.add(Upsample(size=_for_axes(wanted), mode=how, **more), x)]
    if rank != 2 and how == "nearest" and not is_whole:
        raise Unsupported("its factors are not whole numbers")
    return [call.add(Upsample(scale_factor=_for_axes(factors), mode=how, **more), x)]


def _for_axes(values: Sequence[Any]) -> Any:
    return values[0] if len(set(values)) == 1 else tuple(values)


def _factors(call: OnnxCall, rank: int) -> tuple[list[Any] | None, list[int] | None]:
    """Return the factors or the sizes of the spatial axes; only one of the two is given."""
    axes = call.wholes("axes")
    dims = list(range(rank)) if axes is None else [axis_in(axis, rank) for axis in axes]
    if call.node.op == "Upsample" and call.opset < 9:
        scales = call.attribute("scales")
    else:
        place = 1 if call.node.op == "Upsample" or call.opset < 11 else 2
        array = call.array(place)
        scales = None if array is None or not array.size else [float(v) for v in array.values.reshape(-1)]
    if scales is not None:
        factors = dict(zip(dims, [decimal(scale) for scale in scales], strict=True))
        if any(factors.get(dim, 1) != 1 for dim in (0, 1)):
            raise Unsupported("it resizes the channels")
        return [factors.get(dim, 1) for dim in range(2, rank)], None
    call.must_be("keep_aspect_ratio_policy", "stretch")
    sizes = dict(zip(dims, call.whole_constants(3) or [], strict=True))
    shape = call.shape()
    if any(sizes.get(dim, shape[dim]) != shape[dim] for dim in (0, 1)):
        raise Unsupported("it resizes the channels")
    return None, [sizes.get(dim, shape[dim]) for dim in range(2, rank)]


def _way(
    call: OnnxCall, mode: str, ratios: Sequence[Fraction], own: Sequence[int], wanted: Sequence[int]
) -> tuple[str, dict[str, Any]]:
    """Return the `upsample` mode and its arguments. Raises `Unsupported` if it samples other positions."""
    call.unused("extrapolation_value", "keep_aspect_ratio_policy", "cubic_coeff_a", "exclude_outside")
    call.must_be("antialias", 0)
    is_old = call.node.op == "Upsample" or call.opset < 11
    where = call.text("coordinate_transformation_mode", "asymmetric" if is_old else "half_pixel")
    nearest = call.text("nearest_mode", "floor" if is_old else "round_prefer_floor")
    kinds = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}
    if mode not in kinds:
        raise Unsupported(f'its mode is "{mode[:20]}"')
    if mode == "cubic":
        call.must_be("cubic_coeff_a", -0.75)
        call.must_be("exclude_outside", 0)
    if all(ratio == 1 for ratio in ratios):
        return kinds[mode], {}
    is_whole = all(ratio == Fraction(m, n) for n, m, ratio in zip(own, wanted, ratios, strict=True))
    centered = where == "half_pixel" or (where == "pytorch_half_pixel" and min(wanted) > 1)
    centered |= where == "half_pixel_symmetric" and is_whole
    if mode != "nearest":
        if where == "align_corners" and is_whole and min(wanted) > 1:
            return kinds[mode], {"align_corners": True}
        if not centered:
            raise Unsupported(f"it interpolates in another way: {where}")
        return kinds[mode], {}
    if (where, nearest) == ("asymmetric", "floor"):
        return "nearest", {}
    if centered and nearest.startswith("round_prefer"):
        # if a position is halfway between two values, `nearest_exact` takes the second
        halves = any(
            (Fraction(2 * o + 1, 2) / ratio).denominator == 1
            for ratio, m in zip(ratios, wanted, strict=True)
            for o in range(min(m, 2 * ratio.numerator))
        )
        if all(ratio.denominator == 1 for ratio in ratios):
            return "nearest", {}
        if nearest == "round_prefer_ceil" or not halves:
            return "nearest_exact", {}
    raise Unsupported(f"it copies the nearest value in another way: {where}, {nearest}")
