"""Pooling over windows, over the whole map, and to a given size; means and maxima along axes."""

from __future__ import annotations

from typing import Any

from archcalc.importing.tensors import BATCH, Tensor, Unsupported, renumbered
from archcalc.importing.torch_export.shapes import reshaped
from archcalc.importing.torch_export.values import AtenCall, ComputedValue, Outputs, operation
from archcalc.importing.views import axis_name, concrete
from archcalc.layers.base import KINDS, Layer
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
    rank = _rank(call)
    x = call.map(rank=rank)
    more: dict[str, Any] = {}
    if call.value("divisor_override") is not None:
        more["divisor_override"] = call.whole("divisor_override")
    layer = AvgPool(count_include_pad=call.flag("count_include_pad", True), **_window(call, rank), **more)
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
    """The mean over all spatial axes, or over some, which is pooling with windows of their full length."""
    call.must_be("dtype", None)
    return [_pooled(call, GlobalAvgPool, AvgPool, "mean")]


@operation("amax")
def amax(call: AtenCall) -> Outputs:
    return [_pooled(call, GlobalMaxPool, MaxPool, "max")]


def _pooled(call: AtenCall, whole: type[Layer], window: type[AvgPool] | type[MaxPool], op: str) -> Tensor:
    x = call.tensor()
    dims = _dims(call, x)
    keepdim = call.flag("keepdim", False)
    others = [dim for dim in range(x.rank) if dim not in dims]
    own = sorted(x.axis(dim) for dim in dims)
    if own and own[0] == 0 and len(others) == 2 and x.axes[0] == BATCH and x.rank > 3:
        x = call.channels_at(x, others[1])  # one axis is left: it may be the channel axis
        own = sorted(x.axis(dim) for dim in dims)
    if not own or own[0] == 0 or x.axes[0] != BATCH or len(x.operation.shape) > 4:
        return _reduced(call, x, dims, op)
    shape = x.operation.shape
    kernel = tuple(size if axis in own else 1 for axis, size in enumerate(shape))[1:]
    layer = whole() if len(own) == len(kernel) else window(kernel)
    pooled = call.add(layer, x)
    return pooled if keepdim else reshaped(call, pooled, call.declared())


@operation("sum", "amin", "linalg_vector_norm", "norm")
def reduce(call: AtenCall) -> Outputs:
    call.must_be("dtype", None)
    name = call.node.target.removeprefix("aten.")
    op = {"sum": "sum", "amin": "min"}.get(name, "norm")
    if op == "norm":
        call.must_be("ord" if name == "linalg_vector_norm" else "p", 2, 2.0)
    x = call.tensor()
    return [_reduced(call, x, _dims(call, x), op)]


@operation("var", "std")
def variance(call: AtenCall) -> Outputs:
    x = call.tensor()
    found = _reduced(call, x, _dims(call, x), "var", _correction(call))
    return [found if call.node.target == "aten.var" else call.add(KINDS["sqrt"](), found)]


@operation("var_mean", "std_mean")
def variance_and_mean(call: AtenCall) -> Outputs:
    x = call.tensor()
    dims, correction = _dims(call, x), _correction(call)
    found = _reduced(call, x, dims, "var", correction)
    if call.node.target == "aten.std_mean":
        found = call.add(KINDS["sqrt"](), found)
    return [found, _reduced(call, x, dims, "mean")]


@operation("max", "min")
def extreme(call: AtenCall) -> Outputs:
    """Along an axis, with the places where they are, which nothing may read; or of two tensors: unknown."""
    if call.value("dim") is None:
        raise Unsupported("")
    x = call.tensor()
    op = call.node.target.removeprefix("aten.")
    return [_reduced(call, x, _dims(call, x), op), _indices(call)]


def _correction(call: AtenCall) -> int:
    if call.value("unbiased") is not None:
        return int(call.flag("unbiased", True))
    return 1 if call.value("correction") is None else call.whole("correction")


def _dims(call: AtenCall, x: Tensor) -> list[int]:
    dims = call.value("dim")
    if dims is None or dims == []:
        raise Unsupported("it goes over the batch")
    return sorted(dim % x.rank for dim in call.wholes("dim"))


def _reduced(call: AtenCall, x: Tensor, dims: list[int], op: str, correction: int = 1) -> Tensor:
    """Reduce some axes of the model to one value each."""
    names = tuple(axis_name(x, dim) for dim in dims)
    own = [x.axis(dim) for dim in dims]
    keepdim = call.flag("keepdim", False)
    dim: Any = names[0] if len(names) == 1 else names
    more = {"correction": correction} if op == "var" else {}
    if keepdim or len(own) == len(x.operation.shape):
        found = call.add(
            KINDS["reduce"](op, dim, **more),
            x,
        )
        if keepdim:
            return found
        shape = tuple(size for place, size in enumerate(concrete(found, call.batch)) if place not in dims)
        return reshaped(call, found, shape)
    left = [axis for axis in range(len(x.operation.shape)) if axis not in own]
    numbers = {axis: number for number, axis in enumerate(left)}
    axes = tuple(renumbered(axis, numbers) for place, axis in enumerate(x.axes) if place not in dims)
    return call.assembly.add(KINDS["reduce"](op, dim, False, **more), x, axes=axes)
