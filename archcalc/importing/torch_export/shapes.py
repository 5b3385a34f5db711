"""Operations that move values and compute nothing: views, slices, joins and windows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from archcalc.importing import views
from archcalc.importing.tensors import (
    BATCH,
    ExpandedTensor,
    Tensor,
    Unsupported,
    own_axis,
    plain_axes,
    renumbered,
)
from archcalc.importing.torch_export.expanding import reshaped_expanded
from archcalc.importing.torch_export.values import AtenCall, Outputs, operation
from archcalc.importing.views import axis_name, concrete
from archcalc.layers.arguments import MAX_RANK
from archcalc.layers.base import KINDS
from archcalc.layers.merge import Concat
from archcalc.layers.reshape import ChannelShuffle, Permute, Reshape

# --- The same tensor ---------------------------------------------------------------------------------


@operation("contiguous", "clone", "detach", "alias", "lift_fresh_copy", "lift_fresh", "identity")
def same(call: AtenCall) -> Outputs:
    call.unused("memory_format")
    return call.identity()


@operation("to", "_to_copy", "type_as")
def to(call: AtenCall) -> Outputs:
    """To another device or floating-point type; `convert.py` rejects other types."""
    call.unused("dtype", "layout", "device", "pin_memory", "non_blocking", "copy", "memory_format", "other")
    return call.identity()


@operation("expand", "expand_as")
def expand(call: AtenCall) -> Outputs:
    call.unused("size", "implicit", "other")
    x = call.value("self")
    tensor = x.tensor if isinstance(x, ExpandedTensor) else call.tensor()
    want = call.declared()
    if concrete(tensor, call.batch) == want:
        return [tensor]
    if len(want) > tensor.rank:
        tensor = reshaped(call, tensor, (*[1] * (len(want) - tensor.rank), *concrete(tensor, call.batch)))
    if BATCH not in tensor.axes and want[0] == call.batch and tensor.shape[:1] == (1,):
        return [with_batch(call, tensor, want)]
    return [ExpandedTensor(tensor, want)]


def with_batch(call: AtenCall, x: Tensor, want: Sequence[int]) -> Tensor:
    """Give a tensor that is the same for every sample a batch axis: its first axis has size 1."""
    if x.shape[1:] != tuple(want[1:]) or len(want) < 2:
        raise Unsupported("it repeats a tensor")
    rest = Tensor(x.operation, x.axes)
    first = x.axis(0)
    shape = tuple(size for axis, size in enumerate(rest.operation.shape) if axis != first)
    numbers = {axis: axis - (axis > first) for axis in range(len(shape) + 1) if axis != first}
    axes = (BATCH, *(numbers[axis] for axis in x.axes[1:]))
    return call.assembly.add(Reshape(shape), rest, axes=axes)


# --- Views -------------------------------------------------------------------------------------------


@operation(
    "view", "reshape", "flatten", "_unsafe_view", "unsqueeze", "squeeze", "view_as", "reshape_as", "unflatten"
)
def view(call: AtenCall) -> Outputs:
    """The output shape is enough, whatever the arguments are: values keep their order."""
    call.unused("size", "shape", "start_dim", "end_dim", "dim", "other", "sizes")
    if isinstance(value := call.value("self"), ExpandedTensor):
        found = reshaped_expanded(call.assembly, call.batch, value, call.declared())
        return [found.tensor if concrete(found.tensor, call.batch) == found.shape else found]
    return [reshaped(call, call.tensor(), call.declared())]


def reshaped(call: AtenCall, x: Tensor, want: Sequence[int]) -> Tensor:
    return views.reshaped(call.assembly, x, want, call.batch)


@operation("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(call: AtenCall) -> Outputs:
    return [call.add(ChannelShuffle(call.whole("groups")), call.map())]


# --- Transpositions ----------------------------------------------------------------------------------


@operation("permute")
def permute(call: AtenCall) -> Outputs:
    value = call.value("self")
    x = value.tensor if isinstance(value, ExpandedTensor) else call.tensor()
    dims = [dim % x.rank for dim in call.wholes("dims")]
    if sorted(dims) != list(range(x.rank)):
        raise Unsupported("it does not name every axis once")
    moved = x.permuted(dims)
    if isinstance(value, ExpandedTensor):
        return [ExpandedTensor(moved, tuple(value.shape[dim] for dim in dims))]
    return [moved]


@operation("transpose", "swapaxes", "swapdims")
def transpose(call: AtenCall) -> Outputs:
    x = call.tensor()
    names = (
        ("dim0", "dim1")
        if call.node.target.startswith("aten.transpose") or "dims" in call.node.target
        else ("axis0", "axis1")
    )
    one, two = (call.whole(name) for name in names)
    order = list(range(x.rank))
    order[one], order[two] = order[two], order[one]
    return [x.permuted(order)]


# --- Pieces ------------------------------------------------------------------------------------------


def piece(call: AtenCall, x: Tensor, dim: int, start: int, end: int) -> Tensor:
    return views.piece(call.assembly, x, dim, start, end, call.batch)


@operation("slice")
def slice_(call: AtenCall) -> Outputs:
    """With a step, the axis is split in two; the second one has the values that are skipped."""
    x, dim, step = call.tensor(), call.whole("dim", 0), call.whole("step", 1)
    size = concrete(x, call.batch)[dim]
    first, last = call.value("start"), call.value("end")
    start, end, _ = slice(first, last).indices(size)
    if step == 1:
        return [piece(call, x, dim, start, end)]
    count = len(range(start, end, step))
    begin = start if start + count * step <= size else size - count * step
    if begin < 0 or start - begin >= step:
        raise Unsupported(f"`step` is {step}")
    dim %= x.rank
    x = piece(call, x, dim, begin, begin + count * step)
    shape = list(concrete(x, call.batch))
    x = reshaped(call, x, (*shape[:dim], count, step, *shape[dim + 1 :]))
    x = piece(call, x, dim + 1, start - begin, start - begin + 1)
    return [reshaped(call, x, call.declared())]


@operation("narrow")
def narrow(call: AtenCall) -> Outputs:
    x, dim, start = call.tensor(), call.whole("dim"), call.whole("start")
    start %= concrete(x, call.batch)[dim]
    return [piece(call, x, dim, start, start + call.whole("length"))]


@operation("select")
def select(call: AtenCall) -> Outputs:
    x, dim, index = call.tensor(), call.whole("dim"), call.whole("index")
    index %= concrete(x, call.batch)[dim]
    return [reshaped(call, piece(call, x, dim, index, index + 1), call.declared())]


@operation("split", "split_with_sizes", "chunk", "tensor_split", "unsafe_chunk", "unsafe_split")
def split(call: AtenCall) -> Outputs:
    """The output sizes are enough, whatever the arguments are: the pieces are consecutive."""
    call.unused("split_size", "split_sizes", "chunks", "sections", "indices", "tensor_indices_or_sections")
    x, dim = call.tensor(), call.whole("dim", 0)
    sizes = [shape[dim] for shape in call.shapes]
    if sum(sizes) != concrete(x, call.batch)[dim]:
        raise Unsupported("its pieces are not the whole")
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    return [piece(call, x, dim, start, start + size) for start, size in zip(starts, sizes, strict=True)]


@operation("unbind")
def unbind(call: AtenCall) -> Outputs:
    x, dim = call.tensor(), call.whole("dim", 0)
    pieces = (piece(call, x, dim, place, place + 1) for place in range(len(call.shapes)))
    return [reshaped(call, each, shape) for each, shape in zip(pieces, call.shapes, strict=True)]


# --- Joins and windows -------------------------------------------------------------------------------


@operation("cat", "concat", "concatenate")
def cat(call: AtenCall) -> Outputs:
    given, dim = call.value("tensors"), call.whole("dim", 0)
    if not isinstance(given, list | tuple) or not given:
        raise Unsupported("it joins nothing")
    first = next((each for each in given if isinstance(each, Tensor)), None)
    tensors = [call.as_tensor(each, first) for each in given]
    first = first or tensors[0]
    if len(tensors) == 1:
        return [first]
    if any(each.rank != first.rank for each in tensors):
        raise Unsupported("its tensors have different numbers of axes")
    layer = Concat(axis_name(first, dim))
    aligned = [call.assembly.aligned(each, first.axes) for each in tensors]
    return [call.assembly.add(layer, *aligned, axes=first.axes)]


@operation("stack")
def stack(call: AtenCall) -> Outputs:
    """Where the batch is the first axis."""
    tensors, dim = call.tensors(), call.whole("dim", 0)
    first = tensors[0]
    dim %= first.rank + 1
    tensors = [call.assembly.aligned(each, first.axes) for each in tensors]
    # the new axis is placed where the model has it, next to the axis after it
    after = next((own_axis(axis) for axis in first.axes[dim:] if own_axis(axis) is not None), None)
    new = len(first.operation.shape) if after is None else after
    numbers = {axis: axis + (axis >= new) for axis in range(len(first.operation.shape))}
    axes = [renumbered(axis, numbers) for axis in first.axes]
    return [call.assembly.add(KINDS["stack"](new), *tensors, axes=(*axes[:dim], new, *axes[dim:]))]


@operation("roll")
def roll(call: AtenCall) -> Outputs:
    x, dims = call.tensor(), call.wholes("dims")
    shifts = call.wholes("shifts")
    if not dims or len(dims) != len(shifts):
        raise Unsupported("it rolls all values as one row")
    for shift, dim in zip(shifts, dims, strict=True):
        x = call.add(KINDS["roll"](shift, axis_name(x, dim)), x)
    return [x]


@operation("flip")
def flip(call: AtenCall) -> Outputs:
    raise Unsupported("")


@operation("pixel_shuffle")
def pixel_shuffle(call: AtenCall) -> Outputs:
    return [call.add(KINDS["pixel_shuffle"](call.whole("upscale_factor")), call.map(rank=2))]


@operation("pixel_unshuffle")
def pixel_unshuffle(call: AtenCall) -> Outputs:
    return [call.add(KINDS["pixel_unshuffle"](call.whole("downscale_factor")), call.map(rank=2))]


@operation("im2col")
def im2col(call: AtenCall) -> Outputs:
    names = (("kernel_size", None), ("dilation", 1), ("padding", 0), ("stride", 1))
    return [
        call.add(
            KINDS["unfold"](*(call.per_axis(name, 2, default) for name, default in names)), call.map(rank=2)
        )
    ]


@operation("unfold")
def windows(call: AtenCall) -> Outputs:
    """Windows along one axis; their values become the last axis, as in `Tensor.unfold`."""
    given, dim = call.tensor(), call.whole("dimension")
    size, step = call.whole("size"), call.whole("step")
    own, shape, x = given.axis(dim), given.operation.shape, given
    if len(shape) == MAX_RANK:
        raise Unsupported(f"a sample of it has {MAX_RANK + 1} axes")
    rest = [axis for axis in range(len(shape)) if axis != own]
    if own != len(shape) - 1:
        x = call.assembly.add(Permute((*rest, own)), x, axes=plain_axes(len(shape)))
    flat = (math.prod(shape[axis] for axis in rest), shape[own], 1)
    places = call.assembly.add(Reshape(flat), x, axes=plain_axes(3))
    found = call.assembly.add(KINDS["unfold"]((size, 1), stride=(step, 1)), places, axes=plain_axes(2))
    count = found.operation.shape[1]
    numbers = {axis: number for number, axis in enumerate(rest)} | {own: len(rest) + 1}
    axes = (*(renumbered(axis, numbers) for axis in given.axes), len(rest))
    return [call.assembly.add(Reshape((*(shape[axis] for axis in rest), size, count)), found, axes=axes)]
