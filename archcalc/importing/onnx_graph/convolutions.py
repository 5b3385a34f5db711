"""Convolutions and matrix products with arrays of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archcalc.importing.onnx_graph.arrays import OnnxArray
from archcalc.importing.onnx_graph.values import OnnxCall, OnnxOutputs, onnx_operation, per_axis
from archcalc.importing.tensors import BATCH, Tensor, Unsupported
from archcalc.layers.conv import Conv, ConvTranspose, Pointwise
from archcalc.layers.linear import FullyConnected
from archcalc.shape import Shape

SAME = {"SAME_UPPER": "same", "SAME_LOWER": "same_lower"}
"""Paddings that keep the size, as layers call them."""


def padding(call: OnnxCall, rank: int) -> Any:
    """The padding of a window: a number, one for each axis, both ends of each axis, or a word."""
    how = call.text("auto_pad", "NOTSET")
    ends = call.wholes("pads", [0] * (2 * rank))
    assert ends is not None
    if len(ends) != 2 * rank:
        raise Unsupported(f"`pads` has {len(ends)} numbers")
    if how in SAME:
        return SAME[how]
    if how == "VALID":
        return 0
    if how != "NOTSET":
        raise Unsupported(f'`auto_pad` is "{how[:20]}"')
    return both_ends(ends[:rank], ends[rank:])


def both_ends(before: Sequence[int], after: Sequence[int]) -> Any:
    """Padding in the shortest way that a layer takes."""
    pairs = list(zip(before, after, strict=True))
    if all(one == two for one, two in pairs):
        return per_axis([one for one, _ in pairs])
    return tuple(pairs)


def sizes(call: OnnxCall, name: str, rank: int) -> Any:
    """A whole number for each axis, 1 if it is left out."""
    values = call.wholes(name, [1] * rank) or []
    if len(values) != rank:
        raise Unsupported(f"`{name}` has {len(values)} numbers")
    return per_axis(values)


def _kernel(call: OnnxCall, weight: OnnxArray) -> list[int]:
    kernel = list(weight.shape[2:])
    if not kernel or call.wholes("kernel_shape", kernel) != kernel:
        raise Unsupported("its kernel is not that of its weight")
    return kernel


def _bias(call: OnnxCall, channels: int) -> OnnxArray | None:
    bias = call.array(2)
    if bias is not None and bias.shape != (channels,):
        raise Unsupported("its bias is not a number for each channel")
    return bias


@onnx_operation("Conv")
def conv(call: OnnxCall) -> OnnxOutputs:
    weight = call.needed_array(1)
    kernel = _kernel(call, weight)
    rank = len(kernel)
    x, groups, bias = call.map(rank), call.whole("group", 1), _bias(call, weight.shape[0])
    if x.operation.shape[0] != weight.shape[1] * groups:
        raise Unsupported("its weight does not fit its input")
    layer = Conv(
        weight.shape[0],
        per_axis(kernel),
        stride=sizes(call, "strides", rank),
        padding=padding(call, rank),
        dilation=sizes(call, "dilations", rank),
        groups=groups,
        bias=bias is not None,
    )
    return [_with_arrays(call, layer, x, weight, bias, (1, 0))]


@onnx_operation("ConvTranspose")
def conv_transpose(call: OnnxCall) -> OnnxOutputs:
    weight = call.needed_array(1)
    kernel = _kernel(call, weight)
    rank, groups = len(kernel), call.whole("group", 1)
    x, channels = call.map(rank), weight.shape[1] * groups
    bias = _bias(call, channels)
    if x.operation.shape[0] != weight.shape[0]:
        raise Unsupported("its weight does not fit its input")
    cut, extra = _cut(call, x.operation.shape[1:], kernel)
    layer = ConvTranspose(
        channels,
        per_axis(kernel),
        stride=sizes(call, "strides", rank),
        padding=cut,
        output_padding=per_axis(extra),
        groups=groups,
        bias=bias is not None,
        dilation=sizes(call, "dilations", rank),
    )
    return [_with_arrays(call, layer, x, weight, bias, (0, 1))]


def _cut(call: OnnxCall, places: Shape, kernel: Sequence[int]) -> tuple[Any, list[int]]:
    """What a transposed convolution cuts off, and what it adds at the end.

    With `output_shape`, and where the size is that of the input times the stride, the cut follows from it.
    """
    rank = len(kernel)
    stride, dilation = (call.wholes(name, [1] * rank) or [] for name in ("strides", "dilations"))
    extra = call.wholes("output_padding", [0] * rank) or []
    how, want = call.text("auto_pad", "NOTSET"), call.wholes("output_shape")
    if {len(values) for values in (stride, dilation, extra)} != {rank}:
        raise Unsupported("its arguments do not go together")
    if want is not None:
        want = want[-rank:]  # it may have the batch and the channels, too
    elif how in SAME:
        want = [n * s for n, s in zip(places, stride, strict=True)]
    else:
        return padding(call, rank), extra
    call.unused("pads")
    before, after = [], []
    for n, k, s, d, more, size in zip(places, kernel, stride, dilation, extra, want, strict=True):
        total = s * (n - 1) + more + d * (k - 1) + 1 - size
        if total < 0:
            raise Unsupported("its output is larger than what its kernel reaches")
        half = total // 2
        before.append(half if how == "SAME_UPPER" else total - half)
        after.append(total - before[-1])
    return both_ends(before, after), extra


def _with_arrays(
    call: OnnxCall,
    layer: Conv | ConvTranspose,
    x: Tensor,
    weight: OnnxArray,
    bias: OnnxArray | None,
    channels: tuple[int, int],
) -> Tensor:
    """Layers have kernels first, then channels, which `channels` arranges."""
    arrays: dict[str, tuple[OnnxArray, Sequence[int]]] = {
        "weight": (weight, (*range(2, len(weight.shape)), *channels))
    }
    if bias is not None:
        arrays["bias"] = (bias, ())
    return call.add_arranged(layer, x, arrays=arrays)


def _linear(call: OnnxCall, x: Tensor, weight: OnnxArray, is_turned: bool, bias: OnnxArray | None) -> Tensor:
    """A product over the last axis: `fc` for a vector, `pointwise` where there are places."""
    if len(weight.shape) != 2:
        raise Unsupported("its weight is not a matrix")
    x = call.channels_at(x, -1)
    if x.rank > 5 or x.rank < 2 or x.axes[0] != BATCH:
        raise Unsupported(f"it reads a tensor of {x.rank} axes")
    n_out, n_in = weight.shape if is_turned else weight.shape[::-1]
    if x.operation.shape[0] != n_in:
        raise Unsupported("its weight does not fit its input")
    kind = FullyConnected if x.axes == (BATCH, 0) else Pointwise
    arrays: dict[str, tuple[OnnxArray, Sequence[int]]] = {"weight": (weight, (1, 0) if is_turned else (0, 1))}
    if bias is not None:
        if bias.shape not in ((n_out,), (1, n_out)):
            raise Unsupported("its bias is not a number for each output")
        arrays["bias"] = (bias, ())
    return call.add_arranged(kind(n_out, bias=bias is not None), x, arrays=arrays)


@onnx_operation("Gemm")
def gemm(call: OnnxCall) -> OnnxOutputs:
    call.must_be("alpha", 1.0)
    call.must_be("transA", 0)
    call.must_be("broadcast", 0, 1)
    x, bias = call.tensor(), call.array(2)
    if bias is not None:
        call.must_be("beta", 1.0)
    call.unused("beta")
    if x.rank != 2:
        raise Unsupported(f"it reads a tensor of {x.rank} axes")
    return [_linear(call, x, call.needed_array(1), bool(call.whole("transB", 0)), bias)]


@onnx_operation("MatMul")
def matmul(call: OnnxCall) -> OnnxOutputs:
    return [_linear(call, call.tensor(), call.needed_array(1), False, None)]
