"""Pools over windows and over the whole map; means and maxima of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archcalc.importing.onnx_graph.constants import axis_in
from archcalc.importing.onnx_graph.convolutions import both_ends, padding, sizes
from archcalc.importing.onnx_graph.values import OnnxCall, OnnxOutputs, onnx_operation, per_axis
from archcalc.importing.tensors import BATCH, Tensor, Unsupported
from archcalc.importing.views import concrete
from archcalc.layers.base import Layer
from archcalc.layers.pool import AvgPool, GlobalAvgPool, GlobalMaxPool, LPPool, MaxPool


def _window(call: OnnxCall) -> tuple[Tensor, dict[str, Any]]:
    """What pools share. In ONNX a stride that is left out is 1."""
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
    """Padding without what no window reaches, where more than half of a kernel is given.

    PyTorch's exporter writes ceil mode in this way before version 10.
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


@onnx_operation("MaxPool")
def max_pool(call: OnnxCall) -> OnnxOutputs:
    """Its second output, the places of the maxima, is one that no layer gives."""
    call.unused("storage_order")
    x, window = _window(call)
    return [call.add(MaxPool(dilation=sizes(call, "dilations", x.rank - 2), **window), x)]


@onnx_operation("AveragePool")
def average_pool(call: OnnxCall) -> OnnxOutputs:
    x, window = _window(call)
    if sizes(call, "dilations", x.rank - 2) != 1:
        raise Unsupported("its windows are dilated")
    return [call.add(AvgPool(count_include_pad=bool(call.whole("count_include_pad", 0)), **window), x)]


@onnx_operation("LpPool")
def lp_pool(call: OnnxCall) -> OnnxOutputs:
    x, window = _window(call)
    p = call.whole("p", 2)
    if p % 2:
        raise Unsupported("it takes absolute values")  # `lppool` does not, which matters for odd powers
    if window.pop("padding") != 0 or sizes(call, "dilations", x.rank - 2) != 1:
        raise Unsupported("its windows are padded or dilated")
    if window["ceil_mode"]:
        raise Unsupported("it is in ceil mode")
    return [call.add(LPPool(p, **window), x)]


@onnx_operation("GlobalAveragePool", "GlobalMaxPool")
def global_pool(call: OnnxCall) -> OnnxOutputs:
    layer: Layer = GlobalAvgPool() if call.node.op == "GlobalAveragePool" else GlobalMaxPool()
    return [call.add(layer, call.map())]


@onnx_operation("ReduceMean", "ReduceMax")
def reduce(call: OnnxCall) -> OnnxOutputs:
    """Over all places, or along some of their axes, where it is a pool with windows as long as these."""
    axes, keepdims = call.axes(), bool(call.whole("keepdims", 1))
    x = call.tensor()
    if not axes:
        if call.whole("noop_with_empty_axes", 0):
            return [x]
        raise Unsupported("it goes over the batch")
    call.unused("noop_with_empty_axes")
    dims = sorted({axis_in(axis, x.rank) for axis in axes})
    others = [dim for dim in range(x.rank) if dim not in dims]
    own = sorted(x.axis(dim) for dim in dims)
    if own[0] == 0 and len(others) == 2:  # one axis is left: it may be that of the channels
        x = call.channels_at(x, others[1])
        own = sorted(x.axis(dim) for dim in dims)
    if own[0] == 0 or x.axes[0] != BATCH:
        raise Unsupported("it goes over the channels")
    kernel = tuple(size if axis in own else 1 for axis, size in enumerate(x.operation.shape))[1:]
    is_mean, is_whole = call.node.op == "ReduceMean", len(own) == len(kernel)
    if is_whole:
        pooled = call.add(GlobalAvgPool() if is_mean else GlobalMaxPool(), x)
    else:
        pooled = call.add(AvgPool(kernel) if is_mean else MaxPool(kernel), x)
    if keepdims:
        return [pooled]
    return [call.reshaped(pooled, [concrete(pooled, call.batch)[dim] for dim in others])]
