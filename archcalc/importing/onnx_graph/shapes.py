"""Nodes that move values and compute nothing: views, slices, joins, padding, resizing."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from archcalc.importing.onnx_graph.constants import axis_in, flattened_from, slices, split_sizes, target_shape
from archcalc.importing.onnx_graph.values import OnnxCall, OnnxOutputs, as_tensor, decimal, onnx_operation
from archcalc.importing.tensors import BATCH, ExpandedTensor, Tensor, Unsupported, plain_axes
from archcalc.importing.views import axis_name, concrete
from archcalc.layers.merge import Concat
from archcalc.layers.reshape import Permute, Reshape
from archcalc.layers.resize import Pad, Upsample

# --- The same tensor -----------------------------------------------------------------------------------


@onnx_operation("Identity")
def identity(call: OnnxCall) -> OnnxOutputs:
    return [call.tensor()]


@onnx_operation("Expand")
def expand(call: OnnxCall) -> OnnxOutputs:
    """To its own size, or along axes of size 1."""
    value = call.input(0)
    x = value.tensor if isinstance(value, ExpandedTensor) else call.tensor()
    have, want = concrete(x, call.batch), call.whole_constants(1) or []
    if len(want) > len(have):
        raise Unsupported("it adds an axis")
    want = [1] * (len(have) - len(want)) + want
    if any(1 not in (one, two) and one != two for one, two in zip(have, want, strict=True)):
        raise Unsupported("its sizes do not go together")
    is_same = all(two in (1, one) for one, two in zip(have, want, strict=True))
    return [x if is_same else ExpandedTensor(x)]


@onnx_operation("Tile")
def tile(call: OnnxCall) -> OnnxOutputs:
    if set(call.whole_constants(1) or [0]) != {1}:
        raise Unsupported("it repeats values")
    return [call.tensor()]


# --- Views ---------------------------------------------------------------------------------------------


def reshape_target(call: OnnxCall) -> tuple[int, ...]:
    """The shape that a `Reshape` gives, the batch in it as a number."""
    want = call.wholes("shape") if call.has("shape") else call.whole_constants(1)
    return tuple(target_shape(call.shape(), want or [], bool(call.whole("allowzero", 0))))


@onnx_operation("Reshape")
def reshape(call: OnnxCall) -> OnnxOutputs:
    call.unused("consumed_inputs")
    return [call.reshaped(call.tensor(), reshape_target(call))]


@onnx_operation("Flatten")
def flatten(call: OnnxCall) -> OnnxOutputs:
    x = call.tensor()
    if flattened_from(call, x.rank) != 1 or x.axes[0] != BATCH:
        raise Unsupported("it folds the batch into another axis")
    if x.rank == 1:
        raise Unsupported("it adds an axis")
    size = 1
    for axis in x.operation.shape:
        size *= axis
    return [call.reshaped(x, (call.batch, size))]


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
    """A tensor without some of its axes, which have size 1."""
    if not dims:
        return x
    kept = [dim for dim in range(x.rank) if dim not in dims]
    if BATCH in x.axes and len(kept) > 1:
        return call.reshaped(x, [concrete(x, call.batch)[dim] for dim in kept])
    raise Unsupported("the batch is not its first axis")


@onnx_operation("Unsqueeze")
def unsqueeze(call: OnnxCall) -> OnnxOutputs:
    """A first axis of size 1 is the batch of a tensor that has none."""
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
    """A reshape, a transposition, and a reshape."""
    size, x = call.whole("blocksize", 0), call.map(2)
    channels, height, width = x.operation.shape
    if size < 1:
        raise Unsupported(f"`blocksize` is {size}")
    add = call.assembly.add
    if call.node.op == "SpaceToDepth":
        apart = (channels, height // size, size, width // size, size)
        together = (channels * size * size, height // size, width // size)
        order = (2, 4, 0, 1, 3)
    else:
        depth = channels // (size * size)
        is_columns_first = call.text("mode", "DCR") == "DCR"
        call.must_be("mode", "DCR", "CRD")
        apart = (size, size, depth, height, width) if is_columns_first else (depth, size, size, height, width)
        order = (2, 3, 0, 4, 1) if is_columns_first else (0, 3, 1, 4, 2)
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
        if step != 1 and (step < 0 or end - start > step):
            raise Unsupported(f"its step is {step}")
        x = call.piece(x, axis, start, min(end, start + 1) if step != 1 else end)
    call.unused("starts", "ends", "axes")
    return [x]


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
    """A single place along an axis, or several in a row."""
    x, indices = call.tensor(), call.needed_array(1)
    axis = axis_in(call.whole("axis", 0), x.rank)
    size = concrete(x, call.batch)[axis]
    places = [int(place) % size for place in indices.values.reshape(-1)]
    if len(indices.shape) > 1 or not places or places != list(range(places[0], places[0] + len(places))):
        raise Unsupported("it picks values that are not in a row")
    x = call.piece(x, axis, places[0], places[-1] + 1)
    return [x if indices.shape else _without(call, x, {axis})]


# --- Joins, padding, resizing --------------------------------------------------------------------------


@onnx_operation("Concat")
def concat(call: OnnxCall) -> OnnxOutputs:
    tensors = [as_tensor(value) for value in call.inputs]
    if not tensors:
        raise Unsupported("it lacks an input")
    first = tensors[0]
    axis = axis_in(call.whole("axis", 1), first.rank)
    if len(tensors) == 1:
        return [first]
    if any(each.rank != first.rank for each in tensors):
        raise Unsupported("its tensors have different numbers of axes")
    aligned = [call.assembly.aligned(each, first.axes) for each in tensors]
    return [call.assembly.add(Concat(axis_name(first, axis)), *aligned)]


@onnx_operation("Pad")
def pad(call: OnnxCall) -> OnnxOutputs:
    """Zeros at the ends of axes. Sizes are attributes before version 11, and inputs from then on."""
    call.must_be("mode", "constant")
    call.must_be("value", 0.0)
    x = call.tensor()
    name = "pads" if call.has("pads") else "paddings"
    listed = call.wholes(name) if call.has(name) else call.whole_constants(1)
    if call.input(2) is not None and call.single(2) != 0:
        raise Unsupported("it pads with something else than zeros")
    axes = call.whole_constants(3)
    dims = list(range(x.rank)) if axes is None else [axis_in(axis, x.rank) for axis in axes]
    if listed is None or len(listed) != 2 * len(dims):
        raise Unsupported("its sizes do not go together")
    ends = {}
    for place, dim in enumerate(dims):
        before, after = listed[place], listed[place + len(dims)]
        if before or after:
            ends[x.axis(dim)] = (before, after)
    if not ends:
        return [x]
    if list(ends) == [0]:
        return [call.add(Pad(ends[0], dim="channels"), x)]
    if 0 in ends:
        raise Unsupported("it pads channels and places")
    return [call.add(Pad(tuple(ends.get(axis, (0, 0)) for axis in range(1, x.rank - 1))), x)]


COPYING = {
    ("asymmetric", "floor"): False,
    ("half_pixel", "round_prefer_floor"): True,
    ("half_pixel", "round_prefer_ceil"): True,
    ("half_pixel_symmetric", "round_prefer_floor"): True,
    ("half_pixel_symmetric", "round_prefer_ceil"): True,
    ("pytorch_half_pixel", "round_prefer_floor"): True,
    ("pytorch_half_pixel", "round_prefer_ceil"): True,
}
"""The ways to choose a neighbor that copy as `upsample` does, and which of them only for whole factors."""


@onnx_operation("Resize", "Upsample")
def resize(call: OnnxCall) -> OnnxOutputs:
    """To a size or by factors: an attribute in version 7, the second input in 9 and 10, then one of two."""
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
    _check_neighbors(call, mode, ratios, wanted)
    how = "nearest" if mode == "nearest" else "bilinear"
    is_whole = all(Fraction(m, n) == ratio for n, m, ratio in zip(own, wanted, ratios, strict=True))
    if is_whole and size is not None and all(ratio.denominator == 1 for ratio in ratios):
        factors = [int(ratio) for ratio in ratios]  # a size that is twice as large reads better as a factor
    if factors is None:
        return [call.add(Upsample(size=_for_axes(wanted), mode=how), x)]
    if rank != 2 and mode == "nearest" and not is_whole:
        raise Unsupported("its factors are not whole")
    return [call.add(Upsample(scale_factor=_for_axes(factors), mode=how), x)]


def _for_axes(values: Sequence[Any]) -> Any:
    return values[0] if len(set(values)) == 1 else tuple(values)


def _factors(call: OnnxCall, rank: int) -> tuple[list[Any] | None, list[int] | None]:
    """The factors or the sizes of the spatial axes, of which one is given."""
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


def _check_neighbors(call: OnnxCall, mode: str, ratios: Sequence[Fraction], wanted: Sequence[int]) -> None:
    """Raise `Unsupported` if values are taken from other places than `upsample` takes them from."""
    call.unused("cubic_coeff_a", "exclude_outside", "extrapolation_value", "keep_aspect_ratio_policy")
    call.must_be("antialias", 0)
    is_old = call.node.op == "Upsample" or call.opset < 11
    where = call.text("coordinate_transformation_mode", "asymmetric" if is_old else "half_pixel")
    nearest = call.text("nearest_mode", "floor" if is_old else "round_prefer_floor")
    if all(ratio == 1 for ratio in ratios):
        return
    if mode == "nearest":
        only_whole = COPYING.get((where, nearest))
        if only_whole is None or (only_whole and any(ratio.denominator != 1 for ratio in ratios)):
            raise Unsupported(f"it copies the nearest value in another way: {where}, {nearest}")
    elif mode == "linear":
        is_pytorch = where == "pytorch_half_pixel" and min(wanted) > 1
        if where != "half_pixel" and not is_pytorch:
            raise Unsupported(f"it interpolates in another way: {where}")
    else:
        raise Unsupported(f'its mode is "{mode[:20]}"')
