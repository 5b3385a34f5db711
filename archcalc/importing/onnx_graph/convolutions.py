"""Convolutions and matrix products with the model's arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from archcalc.importing.broadcasting import multiplied
from archcalc.importing.onnx_graph.arrays import OnnxArray
from archcalc.importing.onnx_graph.operands import joined, operand
from archcalc.importing.onnx_graph.values import OnnxCall, OnnxOutputs, onnx_operation, per_axis
from archcalc.importing.tensors import Tensor, Unsupported
from archcalc.importing.views import concrete
from archcalc.layers.arguments import GivenTensor
from archcalc.layers.arithmetic import Scale, Shift
from archcalc.layers.conv import Conv, ConvTranspose, Pointwise
from archcalc.layers.deform import DeformConv
from archcalc.layers.linear import FullyConnected
from archcalc.layers.merge import Add
from archcalc.shape import Shape

SAME = {"SAME_UPPER": "same", "SAME_LOWER": "same_lower"}
"""Paddings that keep the size, and their names in archcalc's layers."""


def padding(call: OnnxCall, rank: int) -> Any:
    """Return a window's padding: a number, one per axis, both ends of each axis, or a word."""
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
    """Return the padding in the shortest form that a layer accepts."""
    pairs = list(zip(before, after, strict=True))
    if all(one == two for one, two in pairs):
        return per_axis([one for one, _ in pairs])
    return tuple(pairs)


def sizes(call: OnnxCall, name: str, rank: int) -> Any:
    """Return one integer per axis, 1 by default."""
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
    """Return how much a transposed convolution crops, and how much it adds at the end.

    With `output_shape`, or if the output size is the input size times the stride, the crop follows from it.
    """
    rank = len(kernel)
    stride, dilation = (call.wholes(name, [1] * rank) or [] for name in ("strides", "dilations"))
    extra = call.wholes("output_padding", [0] * rank) or []
    how, want = call.text("auto_pad", "NOTSET"), call.wholes("output_shape")
    if {len(values) for values in (stride, dilation, extra)} != {rank}:
        raise Unsupported("its arguments do not match")
    if want is not None:
        want = want[-rank:]  # it may include the batch and the channels
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
    """Add a layer with its arrays. Layers have the kernel before the channels; `channels` arranges these."""
    arrays: dict[str, tuple[OnnxArray, Sequence[int]]] = {
        "weight": (weight, (*range(2, len(weight.shape)), *channels))
    }
    if bias is not None:
        arrays["bias"] = (bias, ())
    return call.add_arranged(layer, x, arrays=arrays)


def _linear(call: OnnxCall, x: Tensor, weight: OnnxArray, is_turned: bool, bias: OnnxArray | None) -> Tensor:
    """Add a product over the last axis: `fc` for a vector, `pointwise` if there are spatial axes."""
    if len(weight.shape) != 2:
        raise Unsupported("its weight is not a matrix")
    x = call.channels_at(x, -1)
    n_out, n_in = weight.shape if is_turned else weight.shape[::-1]
    if x.operation.shape[0] != n_in:
        raise Unsupported("its weight does not fit its input")
    kind = FullyConnected if len(x.operation.shape) == 1 else Pointwise
    arrays: dict[str, tuple[OnnxArray, Sequence[int]]] = {"weight": (weight, (1, 0) if is_turned else (0, 1))}
    if bias is not None:
        if bias.shape not in ((n_out,), (1, n_out)):
            raise Unsupported("its bias is not a number for each output")
        arrays["bias"] = (bias, ())
    return call.add_arranged(kind(n_out, bias=bias is not None), x, arrays=arrays)


@onnx_operation("Gemm")
def gemm(call: OnnxCall) -> OnnxOutputs:
    call.must_be("broadcast", 0, 1)
    x = call.tensor()
    if x.rank != 2:
        raise Unsupported(f"it reads a tensor of {x.rank} axes")
    if call.whole("transA", 0):
        x = x.permuted([1, 0])
    alpha, beta = call.number("alpha", 1.0), call.number("beta", 1.0)
    weight, bias, is_turned = call.input(1), call.input(2), bool(call.whole("transB", 0))
    if not isinstance(weight, OnnxArray):
        other = operand(call, weight)
        product = multiplied(call.assembly, x, other.permuted([1, 0]) if is_turned else other)
    else:
        n_out = weight.shape[0 if is_turned else -1]
        if (alpha, beta) == (1, 1) and isinstance(bias, OnnxArray) and bias.shape in ((n_out,), (1, n_out)):
            return [_linear(call, x, weight, is_turned, bias)]
        product = _linear(call, x, weight, is_turned, None)
    if alpha != 1:
        product = call.add(Scale(alpha), product)
    if bias is None or not beta:
        return [product]
    if (number := call.exact(2)) is not None:
        return [call.add(Shift(number * beta), product)]
    if beta != 1:
        bias = call.add(Scale(beta), operand(call, bias, product))
    return [joined(call, Add(), product, bias)]


@onnx_operation("MatMul")
def matmul(call: OnnxCall) -> OnnxOutputs:
    """With a matrix of the model it is a linear layer; otherwise the product of two tensors."""
    one, two = call.input(0), call.input(1)
    if isinstance(two, OnnxArray) and two.recipe is None and len(two.shape) == 2:
        return [_linear(call, operand(call, one), two, False, None)]
    return [multiplied(call.assembly, operand(call, one), operand(call, two))]


@onnx_operation("Einsum")
def einsum(call: OnnxCall) -> OnnxOutputs:
    """A product of two tensors, where each letter is an axis of both, or of one and the result."""
    equation = call.text("equation", "").replace(" ", "")
    unknown = Unsupported(f"`equation` is {equation[:60]}")
    read, arrow, result = equation.partition("->")
    parts = read.split(",")
    if not arrow or len(parts) != 2 or "." in equation or any(len(set(p)) < len(p) for p in (*parts, result)):
        raise unknown
    one, two = parts
    tensors = [operand(call, value) for value in call.inputs]
    stacked = [c for c in one if c in two and c in result]
    inner = [c for c in one if c in two and c not in result]
    rows = [c for c in one if c not in two]
    columns = [c for c in two if c not in one]
    if not inner or set(result) != {*stacked, *rows, *columns}:
        raise unknown
    sizes: dict[str, int] = {}
    for letters, x in zip(parts, tensors, strict=True):
        sizes.update(zip(letters, concrete(x, call.batch), strict=True))

    def arranged(x: Tensor, letters: str, *merged: list[str]) -> Tensor:
        """Return the tensor with the shared axes first, then each `merged` group as one axis."""
        x = x.permuted([letters.index(c) for c in (*stacked, *merged[0], *merged[1])])
        groups = [math.prod(sizes[c] for c in group) for group in merged]
        return call.reshaped(x, [*(sizes[c] for c in stacked), *groups])

    pair = arranged(tensors[0], one, rows, inner), arranged(tensors[1], two, inner, columns)
    order = [*stacked, *rows, *columns]
    product = call.reshaped(multiplied(call.assembly, *pair), [sizes[c] for c in order])
    return [product.permuted([order.index(c) for c in result])]


@onnx_operation("DeformConv")
def deform_conv(call: OnnxCall) -> OnnxOutputs:
    """Without a mask, this is version 1 of the deformable convolution."""
    weight = call.needed_array(1)
    kernel = _kernel(call, weight)
    bias = call.array(3)
    if len(kernel) != 2 or (bias is not None and bias.shape != weight.shape[:1]):
        raise Unsupported("its weight or its bias does not fit")
    x, offset = call.map(2), call.map(2, 2)
    mask = call.map(2, 4) if call.input(4) is not None else None
    call.unused("offset_group")  # the channels of the offsets already give this number
    if offset.operation.shape[0] != 2 * math.prod(kernel) * call.whole("offset_group", 1):
        raise Unsupported("its offsets do not fit")
    layer = DeformConv(
        weight.shape[0],
        per_axis(kernel),
        GivenTensor(),
        mask=None if mask is None else GivenTensor(),
        stride=sizes(call, "strides", 2),
        padding=padding(call, 2),
        dilation=sizes(call, "dilations", 2),
        groups=call.whole("group", 1),
        bias=bias is not None,
    )
    arrays: dict[str, tuple[OnnxArray, Sequence[int]]] = {"weight": (weight, (2, 3, 1, 0))}
    if bias is not None:
        arrays["bias"] = (bias, ())
    tensors = [x, offset] if mask is None else [x, offset, mask]
    return [call.add_arranged(layer, *tensors, arrays=arrays)]
