"""Operations that move values and compute nothing: views, slices, joins, padding, resizing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archcalc.importing import views
from archcalc.importing.tensors import ExpandedTensor, Tensor, Unsupported
from archcalc.importing.torch_export.values import AtenCall, Outputs, operation
from archcalc.importing.views import axis_name, concrete
from archcalc.layers.merge import Concat
from archcalc.layers.reshape import ChannelShuffle
from archcalc.layers.resize import Pad, Upsample

# --- The same tensor ---------------------------------------------------------------------------------


@operation("contiguous", "clone", "detach", "alias", "lift_fresh_copy", "lift_fresh", "identity")
def same(call: AtenCall) -> Outputs:
    call.unused("memory_format")
    return call.identity()


@operation("to", "_to_copy", "type_as")
def to(call: AtenCall) -> Outputs:
    """To another device or another type of floating point numbers; `convert.py` refuses other types."""
    call.unused("dtype", "layout", "device", "pin_memory", "non_blocking", "copy", "memory_format", "other")
    return call.identity()


@operation("expand", "expand_as")
def expand(call: AtenCall) -> Outputs:
    call.unused("size", "implicit", "other")
    x = call.value("self")
    tensor = x.tensor if isinstance(x, ExpandedTensor) else call.tensor()
    want = call.declared()
    have = concrete(tensor, call.batch)
    if have == want:
        return [tensor]
    if len(have) != len(want):
        raise Unsupported("it adds an axis")
    return [ExpandedTensor(tensor)]


# --- Views -------------------------------------------------------------------------------------------


@operation(
    "view", "reshape", "flatten", "_unsafe_view", "unsqueeze", "squeeze", "view_as", "reshape_as", "unflatten"
)
def view(call: AtenCall) -> Outputs:
    """Whatever arguments they have, their output's shape says it all: values keep their order."""
    call.unused("size", "shape", "start_dim", "end_dim", "dim", "other", "sizes")
    return [reshaped(call, call.tensor(), call.declared())]


def reshaped(call: AtenCall, x: Tensor, want: Sequence[int]) -> Tensor:
    return views.reshaped(call.assembly, x, want, call.batch)


@operation("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(call: AtenCall) -> Outputs:
    return [call.add(ChannelShuffle(call.whole("groups")), call.map())]


# --- Transpositions ----------------------------------------------------------------------------------


@operation("permute")
def permute(call: AtenCall) -> Outputs:
    x = call.tensor()
    dims = [dim % x.rank for dim in call.wholes("dims")]
    if sorted(dims) != list(range(x.rank)):
        raise Unsupported("it does not name every axis once")
    return [x.permuted(dims)]


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
    call.must_be("step", 1)
    x, dim = call.tensor(), call.whole("dim", 0)
    size = concrete(x, call.batch)[dim]
    first, last = call.value("start"), call.value("end")
    start, end, _ = slice(first, last).indices(size)
    return [piece(call, x, dim, start, end)]


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
    """Whatever arguments they have, the sizes of their outputs say it all: the pieces follow one another."""
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


# --- Joins, padding, resizing ------------------------------------------------------------------------


@operation("cat", "concat", "concatenate")
def cat(call: AtenCall) -> Outputs:
    tensors, dim = call.tensors(), call.whole("dim", 0)
    first = tensors[0]
    if len(tensors) == 1:
        return [first]
    if any(each.rank != first.rank for each in tensors):
        raise Unsupported("its tensors have different numbers of axes")
    layer = Concat(axis_name(first, dim))
    return [
        call.assembly.add(layer, first, *(call.assembly.aligned(each, first.axes) for each in tensors[1:]))
    ]


@operation("constant_pad_nd", "pad")
def pad(call: AtenCall) -> Outputs:
    """Zeros at the ends of axes, which are listed from the last one on."""
    call.must_be("mode", "constant")
    call.must_be("value", 0, 0.0, None)
    x, listed = call.tensor(), call.wholes("pad")
    ends = {}
    for place in range(len(listed) // 2):
        before, after = listed[2 * place : 2 * place + 2]
        if before or after:
            ends[x.axis(-1 - place)] = (before, after)
    if not ends:
        return [x]
    if list(ends) == [0]:
        return [call.add(Pad(ends[0], dim="channels"), x)]
    if 0 in ends:
        raise Unsupported("it pads channels and places")
    return [call.add(Pad(tuple(ends.get(axis, (0, 0)) for axis in range(1, x.rank - 1))), x)]


@operation("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d")
def upsample_nearest(call: AtenCall) -> Outputs:
    return [_upsampled(call, "nearest")]


@operation("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d")
def upsample_linear(call: AtenCall) -> Outputs:
    call.must_be("align_corners", False)
    return [_upsampled(call, "bilinear")]


def _upsampled(call: AtenCall, mode: str) -> Tensor:
    rank = int(call.node.target[-2])
    x = call.map("self" if call.value("input") is None else "input", rank)
    scales = [call.value("scale_factors"), call.value("scales")]
    scales += [call.value(name) for name in ("scales_d", "scales_h", "scales_w")]
    given = [scale for scale in scales if scale is not None]
    if call.value("output_size") is not None:
        if given:
            raise Unsupported("it has a size and a scale")
        return call.add(Upsample(size=call.per_axis("output_size", rank), mode=mode), x)
    factors: Any = given[0] if len(given) == 1 else ()
    if not isinstance(factors, list | tuple) or len(factors) != rank:
        raise Unsupported("its scale is not one number for each axis")
    factor = factors[0] if len(set(factors)) == 1 else tuple(factors)
    return call.add(Upsample(scale_factor=factor, mode=mode), x)
