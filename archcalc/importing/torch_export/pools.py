"""Pools over windows, over the whole map, and to a given size; means and maxima of axes."""

from __future__ import annotations

from typing import Any

from archcalc.importing.tensors import BATCH, Tensor, Unsupported
from archcalc.importing.torch_export.shapes import reshaped
from archcalc.importing.torch_export.values import AtenCall, ComputedValue, Outputs, operation
from archcalc.layers.base import Layer
from archcalc.layers.pool import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool,
)


def _window(call: AtenCall, rank: int) -> dict[str, Any]:
    kernel = call.per_axis("kernel_size", rank)
    stride = call.wholes("stride")
    return {
        "kernel_size": kernel,
        "stride": call.per_axis("stride", rank) if stride else None,
        "padding": call.per_axis("padding", rank, 0),
        "ceil_mode": call.flag("ceil_mode", False),
    }


def _rank(call: AtenCall) -> int:
    return int(call.node.target.partition("pool")[2][0])


@operation("max_pool1d", "max_pool2d", "max_pool3d")
def max_pool(call: AtenCall) -> Outputs:
    rank = _rank(call)
    x = call.map(rank=rank)
    return [call.add(MaxPool(dilation=call.per_axis("dilation", rank, 1), **_window(call, rank)), x)]


@operation("max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices")
def max_pool_with_indices(call: AtenCall) -> Outputs:
    return [*max_pool(call), _indices(call)]


def _indices(call: AtenCall) -> ComputedValue:
    return ComputedValue(call.node.target, (call.tensor(),))


@operation("avg_pool1d", "avg_pool2d", "avg_pool3d")
def avg_pool(call: AtenCall) -> Outputs:
    call.must_be("divisor_override", None)
    rank = _rank(call)
    x = call.map(rank=rank)
    layer = AvgPool(count_include_pad=call.flag("count_include_pad", True), **_window(call, rank))
    return [call.add(layer, x)]


@operation("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def adaptive_avg_pool(call: AtenCall) -> Outputs:
    rank = _rank(call)
    x, size = call.map(rank=rank), call.per_axis("output_size", rank)
    return [call.add(GlobalAvgPool() if size == 1 else AdaptiveAvgPool(size), x)]


@operation("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def adaptive_max_pool(call: AtenCall) -> Outputs:
    rank = _rank(call)
    x, size = call.map(rank=rank), call.per_axis("output_size", rank)
    return [call.add(GlobalMaxPool() if size == 1 else AdaptiveMaxPool(size), x), _indices(call)]


@operation("mean")
def mean(call: AtenCall) -> Outputs:
    """Over all places, or along some of their axes, where it is a pool with windows as long as these."""
    call.must_be("dtype", None)
    return [_reduced(call, GlobalAvgPool, AvgPool)]


@operation("amax")
def amax(call: AtenCall) -> Outputs:
    return [_reduced(call, GlobalMaxPool, MaxPool)]


def _reduced(call: AtenCall, whole: type[Layer], window: type[AvgPool] | type[MaxPool]) -> Tensor:
    x = call.tensor()
    dims = sorted(dim % x.rank for dim in call.wholes("dim"))
    keepdim = call.flag("keepdim", False)
    others = [dim for dim in range(x.rank) if dim not in dims]
    own = sorted(x.axis(dim) for dim in dims)
    if own and own[0] == 0 and len(others) == 2:  # one axis is left: it may be that of the channels
        x = call.channels_at(x, others[1])
        own = sorted(x.axis(dim) for dim in dims)
    if not own or own[0] == 0 or x.axes[0] != BATCH:
        raise Unsupported("it goes over the channels")
    shape = x.operation.shape
    kernel = tuple(size if axis in own else 1 for axis, size in enumerate(shape))[1:]
    layer = whole() if len(own) == len(kernel) else window(kernel)
    pooled = call.add(layer, x)
    return pooled if keepdim else reshaped(call, pooled, call.declared())
