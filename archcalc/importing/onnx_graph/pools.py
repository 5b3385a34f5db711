"""Pools over windows and over the whole map; means and maxima over axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archcalc.importing.onnx_graph.constants import axis_in
from archcalc.importing.onnx_graph.convolutions import both_ends, padding, sizes
from archcalc.importing.onnx_graph.values import OnnxCall, OnnxOutputs, as_tensor, onnx_operation, per_axis
from archcalc.importing.tensors import BATCH, Tensor, Unsupported, renumbered
from archcalc.importing.views import axis_name, concrete
from archcalc.layers.activation import Abs
from archcalc.layers.arguments import MAX_SPATIAL
from archcalc.layers.base import Layer
from archcalc.layers.pool import AvgPool, GlobalAvgPool, GlobalMaxPool, LPPool, MaxPool, MaxUnpool, Pooled
from archcalc.layers.reduction import Reduce
from archcalc.layers.resize import Pad
from archcalc.layers.unary import Log, Square
from archcalc.shape import format_shape


def _window(call: OnnxCall) -> tuple[Tensor, dict[str, Any]]:
    """Read the arguments that pools share. In ONNX the stride defaults to 1."""
    kernel = call.wholes("kernel_shape")
    if not kernel:
        raise Unsupported("it has no kernel")
    x, ceil_mode = call.map(len(kernel)), bool(call.whole("ceil_mode", 0))
    given = padding(call, len(kernel))
    return x, {
        "kernel_size": per_axis(kernel),
        "stride": sizes(call, "strides", len(kernel)),
        "padding": given if ceil_mode or isinstance(given, str) else _reached(call, x, kernel, given),
        "ceil_mode": ceil_mode,
    }


def _reached(call: OnnxCall, x: Tensor, kernel: Sequence[int], given: Any) -> Any:
    """Drop padding that no window reaches, if more than half of a kernel is given.

    PyTorch's exporter writes ceil mode this way before version 10.
    """
    rank = len(kernel)
    stride, dilation = (call.wholes(name, [1] * rank) or [] for name in ("strides", "dilations"))
    before, after = [], []
    ends = given if isinstance(given, tuple) else (given,) * rank
    for n, k, s, d, end in zip(x.operation.shape[1:], kernel, stride, dilation, ends, strict=True):
        first, last = end if isinstance(end, tuple) else (end, end)
        extent = d * (k - 1) + 1
        places = (n + first + last - extent) // s + 1
        if last > extent // 2 and places > 0:
            last = max(0, (places - 1) * s + extent - n - first)
        before.append(first)
        after.append(last)
    return both_ends(before, after)


def _is_beyond_half(call: OnnxCall, kernel: Sequence[int], given: Any) -> bool:
    """Whether the padding is more than half of a kernel, which layers do not allow."""
    if isinstance(given, str):
        return False
    dilation = call.wholes("dilations", [1] * len(kernel)) or []
    ends = given if isinstance(given, tuple) else (given,) * len(kernel)
    return any(
        max(end if isinstance(end, tuple) else (end,)) > (d * (k - 1) + 1) // 2
        for k, d, end in zip(kernel, dilation, ends, strict=True)
    )


def _with_zeros(call: OnnxCall, x: Tensor, window: dict[str, Any]) -> Tensor:
    """Return the map after a separate `pad` layer, if that gives the same result."""
    given = window["padding"]
    if isinstance(given, str):
        raise Unsupported(f'its padding is "{given}"')
    window["padding"] = 0
    return call.add(Pad(given), x) if given else x


@onnx_operation("MaxPool")
def max_pool(call: OnnxCall) -> OnnxOutputs:
    """No layer gives its second output, the places of the maxima."""
    call.unused("storage_order")
    x, window = _window(call)
    if _is_beyond_half(call, call.wholes("kernel_shape") or [], window["padding"]):
        raise Unsupported("it pads more than half of its kernel, and padding is never the maximum")
    return [call.add(MaxPool(dilation=sizes(call, "dilations", x.rank - 2), **window), x)]


@onnx_operation("AveragePool")
def average_pool(call: OnnxCall) -> OnnxOutputs:
    x, window = _window(call)
    dilation = sizes(call, "dilations", x.rank - 2)
    counts_padding = bool(call.whole("count_include_pad", 0))
    if _is_beyond_half(call, call.wholes("kernel_shape") or [], window["padding"]):
        if not counts_padding:
            raise Unsupported("it pads more than half of its kernel, and padding is not in the mean")
        x = _with_zeros(call, x, window)
    layer = AvgPool(count_include_pad=counts_padding, dilation=dilation, **window)
    return [call.add(layer, x)]


@onnx_operation("LpPool")
def lp_pool(call: OnnxCall) -> OnnxOutputs:
    x, window = _window(call)
    p = call.whole("p", 2)
    if sizes(call, "dilations", x.rank - 2) != 1:
        raise Unsupported("its windows are dilated")
    if window["ceil_mode"]:
        raise Unsupported("it is in ceil mode")
    x = _with_zeros(call, x, window)  # a zero adds nothing to the sum
    del window["padding"]
    if p % 2:  # `lppool` does not take absolute values, which matters for odd powers
        x = call.add(Abs(), x)
    return [call.add(LPPool(p, **window), x)]


@onnx_operation("MaxUnpool")
def max_unpool(call: OnnxCall) -> OnnxOutputs:
    """The output has the shape of the input of the pool that found the places."""
    source = call.graph.source(call.node.inputs[1]) if len(call.node.inputs) > 1 else None
    if source is None or source.node.op != "MaxPool" or source.node.outputs[1:2] != call.node.inputs[1:2]:
        raise Unsupported("its places do not come from a `MaxPool`")
    if source.whole("storage_order", 0):
        raise Unsupported("its places are numbered column by column")
    pooled, x = as_tensor(call.graph.value(source.node.outputs[0])), call.map()
    pool = pooled.operation.layer
    if not isinstance(pool, MaxPool) or not pooled.is_plain:
        raise Unsupported("the pool that gives its places is unknown")
    (before,) = pooled.operation.inputs
    windows = pool.windows(before.shape)
    kernel = call.wholes("kernel_shape") or []
    rank = len(kernel)
    stride, ends = call.wholes("strides", [1] * rank) or [], call.wholes("pads", [0] * 2 * rank) or []
    want = call.whole_constants(2)
    if want is None:
        pairs = zip(x.operation.shape[1:], kernel, stride, ends[:rank], ends[rank:], strict=True)
        want = [(n - 1) * s + k - first - last for n, k, s, first, last in pairs]
    if tuple(want[-rank:]) != before.shape[1:]:
        sizes_ = format_shape(tuple(want[-rank:]), cross="x"), format_shape(before.shape[1:], cross="x")
        raise Unsupported(f"it gives {sizes_[0]}, and the pool reads {sizes_[1]}")
    return [call.add(MaxUnpool(Pooled(before.shape, windows)), x, pooled)]


@onnx_operation("GlobalAveragePool", "GlobalMaxPool")
def global_pool(call: OnnxCall) -> OnnxOutputs:
    layer: Layer = GlobalAvgPool() if call.node.op == "GlobalAveragePool" else GlobalMaxPool()
    return [call.add(layer, call.map())]


REDUCED = {
    "ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min", "ReduceSum": "sum", "ReduceL2": "norm",
    "ReduceL1": "sum", "ReduceSumSquare": "sum", "ReduceLogSum": "sum",
}  # fmt: skip
BEFORE: Mapping[str, type[Layer]] = {"ReduceL1": Abs, "ReduceSumSquare": Square}
"""The function that some of them first apply to each value."""


@onnx_operation(*REDUCED)
def reduce(call: OnnxCall) -> OnnxOutputs:
    """Reduce over the whole map, or along some spatial axes by a pool with a window of that length."""
    op, axes, keepdims = call.node.op, call.axes(), bool(call.whole("keepdims", 1))
    x = call.tensor()
    if not axes:
        if call.whole("noop_with_empty_axes", 0):
            return [x]
        raise Unsupported("it goes over the batch")
    call.unused("noop_with_empty_axes")
    dims = sorted({axis_in(axis, x.rank) for axis in axes})
    if op in BEFORE:
        x = call.add(BEFORE[op](), x)
    found = _pooled(call, x, dims, keepdims) if op in ("ReduceMean", "ReduceMax") else None
    if found is None:
        found = _reduced(call, x, dims, keepdims, REDUCED[op])
    return [call.add(Log(), found) if op == "ReduceLogSum" else found]


def _pooled(call: OnnxCall, x: Tensor, dims: Sequence[int], keepdims: bool) -> Tensor | None:
    """Return a pool, if the axes are spatial."""
    others = [dim for dim in range(x.rank) if dim not in dims]
    own = sorted(x.axis(dim) for dim in dims)
    if own[0] == 0 and len(others) == 2 and x.axes[0] == BATCH and x.rank > 3:
        x = call.channels_at(x, others[1])  # one axis is left: it may be the channel axis
        own = sorted(x.axis(dim) for dim in dims)
    if own[0] == 0 or x.axes[0] != BATCH or len(x.operation.shape) > MAX_SPATIAL + 1:
        return None
    kernel = tuple(size if axis in own else 1 for axis, size in enumerate(x.operation.shape))[1:]
    is_mean = call.node.op == "ReduceMean"
    if len(own) == len(kernel):
        pooled = call.add(GlobalAvgPool() if is_mean else GlobalMaxPool(), x)
    else:
        pooled = call.add(AvgPool(kernel) if is_mean else MaxPool(kernel), x)
    if keepdims:
        return pooled
    return call.reshaped(pooled, [concrete(pooled, call.batch)[dim] for dim in others])


def _reduced(call: OnnxCall, x: Tensor, dims: Sequence[int], keepdims: bool, op: str) -> Tensor:
    names, own = tuple(axis_name(x, dim) for dim in dims), [x.axis(dim) for dim in dims]
    dim: Any = names[0] if len(names) == 1 else names
    if keepdims:
        return call.add(Reduce(op, dim), x)
    if len(own) == len(x.operation.shape):
        found = call.add(Reduce(op, dim), x)
        return call.reshaped(found, [n for at, n in enumerate(concrete(found, call.batch)) if at not in dims])
    left = [axis for axis in range(len(x.operation.shape)) if axis not in own]
    numbers = {axis: number for number, axis in enumerate(left)}
    axes = tuple(renumbered(axis, numbers) for place, axis in enumerate(x.axes) if place not in dims)
    return call.assembly.add(Reduce(op, dim, False), x, axes=axes)
