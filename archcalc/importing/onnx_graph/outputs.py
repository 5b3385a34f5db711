"""Output shapes of nodes that no layer can express, if the model does not declare them.

These shapes have the batch as a number. A rule that does not know a shape returns none.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from archcalc.importing.onnx_graph.constants import CONSTANTS, MOVES, axis_in, stand_in
from archcalc.importing.onnx_graph.convolutions import SAME
from archcalc.importing.onnx_graph.values import OnnxCall, Sizes
from archcalc.importing.tensors import Unsupported
from archcalc.shape import Window, output_size, transposed_size

SAME_SHAPE = frozenset(
    """
    Abs Acos Acosh Asin Asinh Atan Atanh BatchNormalization BitwiseNot Cast CastLike Ceil Celu Clip
    Cos Cosh CumSum DequantizeLinear Dropout DynamicQuantizeLinear Elu Erf Exp Floor Gelu
    GroupNormalization HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN
    LayerNormalization LeakyRelu Log LogSoftmax LpNormalization MeanVarianceNormalization Mish Neg
    Not PRelu QuantizeLinear RMSNormalization Reciprocal Relu RotaryEmbedding Round ScatterElements
    ScatterND Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Swish Tan Tanh
    ThresholdedRelu Trilu
    """.split()
)
"""Operations that keep the shape of their first input."""

BROADCAST = frozenset(
    """
    Add And BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max
    Mean Min Mod Mul Or Pow Sub Sum Where Xor
    """.split()
)
"""Elementwise operations, which repeat axes of size 1."""

SHAPE_RULES: dict[str, Callable[[OnnxCall], Sizes]] = {}


def shapes_after(call: OnnxCall) -> list[Sizes | None]:
    """Return the shape of each output of a node, or `None`."""
    op, count = call.node.op, len(call.node.outputs)
    rest: list[Sizes | None] = [None] * (count - 1)
    try:
        if call.node.domain not in ("", "ai.onnx"):
            return [None, *rest]
        if op in SAME_SHAPE:
            return [call.shape(), *rest]
        if op in BROADCAST:
            return [np.broadcast_shapes(*(call.shape(place) for place in range(len(call.inputs)))), *rest]
        if op in SHAPE_RULES:
            found = SHAPE_RULES[op](call)
            return [found] * (2 if op in ("TopK", "MaxPool") else 1) + rest[: count - 1]
        if op in MOVES:
            return _moved(call)
    except (Unsupported, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        pass
    return [None, *rest]


def _moved(call: OnnxCall) -> list[Sizes | None]:
    first = stand_in(call.shape(), is_float=True)
    others = [call.constant(place) for place in range(1, len(call.inputs))]
    found = CONSTANTS[call.node.op](call, [first, *others])
    return [each.shape for each in (found if isinstance(found, list) else [found])]


def shape_rule(*names: str) -> Callable[[Callable[[OnnxCall], Sizes]], Callable[[OnnxCall], Sizes]]:
    def register(function: Callable[[OnnxCall], Sizes]) -> Callable[[OnnxCall], Sizes]:
        SHAPE_RULES.update(dict.fromkeys(names, function))
        return function

    return register


@shape_rule(
    "ArgMax", "ArgMin", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
)  # fmt: skip
def reduced(call: OnnxCall) -> Sizes:
    shape = call.shape()
    axes = [call.whole("axis", 0)] if call.node.op.startswith("Arg") else call.axes()
    if not axes and call.whole("noop_with_empty_axes", 0):
        return shape
    dims = {axis_in(axis, len(shape)) for axis in axes or range(len(shape))}
    if call.whole("keepdims", 1):
        return tuple(1 if dim in dims else size for dim, size in enumerate(shape))
    return tuple(size for dim, size in enumerate(shape) if dim not in dims)


@shape_rule("MatMul")
def product(call: OnnxCall) -> Sizes:
    one, two = call.shape(0), call.shape(1)
    if len(one) < 2 or len(two) < 2 or one[-1] != two[-2]:
        raise Unsupported("its inputs are not matrices that fit")
    return (*np.broadcast_shapes(one[:-2], two[:-2]), one[-2], two[-1])


@shape_rule("Gemm")
def gemm(call: OnnxCall) -> Sizes:
    one, two = call.shape(0), call.shape(1)
    rows = one[::-1] if call.whole("transA", 0) else one
    columns = two[::-1] if call.whole("transB", 0) else two
    return rows[0], columns[1]


@shape_rule("Concat")
def joined(call: OnnxCall) -> Sizes:
    shapes = [call.shape(place) for place in range(len(call.inputs))]
    axis = axis_in(call.whole("axis", 1), len(shapes[0]))
    return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])


@shape_rule("Gather")
def gathered(call: OnnxCall) -> Sizes:
    shape, indices = call.shape(0), call.shape(1)
    axis = axis_in(call.whole("axis", 0), len(shape))
    return (*shape[:axis], *indices, *shape[axis + 1 :])


@shape_rule("GatherElements", "GridSample")
def like_second(call: OnnxCall) -> Sizes:
    if call.node.op == "GridSample":
        return (*call.shape(0)[:2], *call.shape(1)[1:-1])
    return call.shape(1)


@shape_rule("Expand")
def expanded(call: OnnxCall) -> Sizes:
    return np.broadcast_shapes(call.shape(), tuple(call.whole_constants(1) or ()))


@shape_rule("Tile")
def tiled(call: OnnxCall) -> Sizes:
    times = call.whole_constants(1) or []
    return tuple(size * n for size, n in zip(call.shape(), times, strict=True))


@shape_rule("Pad")
def padded(call: OnnxCall) -> Sizes:
    shape = list(call.shape())
    ends = call.wholes("pads") if call.has("pads") else call.whole_constants(1)
    axes = call.whole_constants(3)
    dims = [axis_in(axis, len(shape)) for axis in axes] if axes is not None else list(range(len(shape)))
    for place, dim in enumerate(dims):
        shape[dim] += (ends or [])[place] + (ends or [])[place + len(dims)]
    return tuple(shape)


@shape_rule("TopK")
def largest(call: OnnxCall) -> Sizes:
    shape = list(call.shape())
    counts = call.whole_constants(1) if len(call.inputs) > 1 else [call.whole("k", 1)]
    shape[axis_in(call.whole("axis", -1), len(shape))] = (counts or [1])[0]
    return tuple(shape)


@shape_rule("Resize", "Upsample")
def resized(call: OnnxCall) -> Sizes:
    shape = call.shape()
    is_old = call.node.op == "Upsample" or call.opset < 11
    scales = call.attribute("scales")
    if scales is None:
        array = call.array(1 if is_old else 2)
        scales = [] if array is None or not array.size else [float(v) for v in array.values.reshape(-1)]
    axes = call.wholes("axes")
    dims = list(range(len(shape))) if axes is None else [axis_in(axis, len(shape)) for axis in axes]
    found = list(shape)
    if scales:
        for dim, scale in zip(dims, scales, strict=True):
            found[dim] = int(shape[dim] * scale)
        return tuple(found)
    call.must_be("keep_aspect_ratio_policy", "stretch")
    for dim, size in zip(dims, call.whole_constants(3) or [], strict=True):
        found[dim] = size
    return tuple(found)


@shape_rule("DepthToSpace", "SpaceToDepth")
def rearranged(call: OnnxCall) -> Sizes:
    batch, channels, height, width = call.shape()
    b = call.whole("blocksize", 0)
    if call.node.op == "DepthToSpace":
        return batch, channels // (b * b), height * b, width * b
    return batch, channels * b * b, height // b, width // b


@shape_rule("AveragePool", "LpPool", "MaxPool", "Conv", "ConvInteger", "QLinearConv", "ConvTranspose")
def windowed(call: OnnxCall) -> Sizes:
    """Return the shape after windows over a map, whether the weights are arrays or tensors."""
    op, shape = call.node.op, call.shape()
    if op in ("AveragePool", "LpPool", "MaxPool"):
        channels, kernel = shape[1], call.wholes("kernel_shape") or []
    else:
        weight = call.shape(3 if op == "QLinearConv" else 1)
        channels = weight[1] * call.whole("group", 1) if op == "ConvTranspose" else weight[0]
        kernel = list(weight[2:])
    rank = len(kernel)
    stride, dilation, extra = (
        call.wholes(name, [default] * rank) or []
        for name, default in (("strides", 1), ("dilations", 1), ("output_padding", 0))
    )
    ends = call.wholes("pads", [0] * (2 * rank)) or []
    how, want = call.text("auto_pad", "NOTSET"), call.wholes("output_shape")
    if want is not None:
        return (*shape[:1], channels, *want[-rank:])
    sizes = []
    for axis, (n, k, s, d) in enumerate(zip(shape[2:], kernel, stride, dilation, strict=True)):
        if how in SAME:
            sizes.append(n * s if op == "ConvTranspose" else -(-n // s))
        elif op == "ConvTranspose":
            window = Window(k, s, ends[axis], ends[axis + rank], d)
            sizes.append(transposed_size(n, window, extra[axis]))
        else:
            window = Window(k, s, ends[axis], ends[axis + rank], d)
            sizes.append(output_size(n, window, bool(call.whole("ceil_mode", 0))))
    return (shape[0], channels, *sizes)


@shape_rule("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool")
def to_one_place(call: OnnxCall) -> Sizes:
    shape = call.shape()
    return (*shape[:2], *(1 for _ in shape[2:]))


@shape_rule("MatMulInteger", "QLinearMatMul")
def whole_product(call: OnnxCall) -> Sizes:
    one, two = call.shape(0), call.shape(3 if call.node.op == "QLinearMatMul" else 1)
    return (*np.broadcast_shapes(one[:-2], two[:-2]), one[-2], two[-1])


@shape_rule("Einsum")
def summed(call: OnnxCall) -> Sizes:
    """Read the shape from the letters of the equation, if they are all written out."""
    left, arrow, right = call.text("equation", "").replace(" ", "").partition("->")
    if not arrow or "." in left:
        raise Unsupported("its equation is not read")
    sizes: dict[str, int] = {}
    for place, letters in enumerate(left.split(",")):
        sizes.update(zip(letters, call.shape(place), strict=True))
    return tuple(sizes[letter] for letter in right)


@shape_rule("OneHot")
def one_hot(call: OnnxCall) -> Sizes:
    shape, depth = call.shape(), call.whole_constants(1) or []
    axis = call.whole("axis", -1) % (len(shape) + 1)
    return (*shape[:axis], int(math.prod(depth)), *shape[axis:])


@shape_rule("Attention")
def attended(call: OnnxCall) -> Sizes:
    """The heads are a separate axis, or merged into the rows."""
    query, value = call.shape(0), call.shape(2)
    if len(query) == 4:
        return (*query[:3], value[3])
    heads, others = call.whole("q_num_heads", 0), call.whole("kv_num_heads", 0)
    return (*query[:2], heads * (value[2] // others))
