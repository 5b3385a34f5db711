"""Pools over windows, over the whole map, and to a given output size."""

from __future__ import annotations

from typing import Any

from archcalc.importing.keras_config.convolutions import one_or_all
from archcalc.importing.keras_config.shapes import reshaped
from archcalc.importing.keras_config.values import CalledLayer, keras_layer
from archcalc.importing.tensors import Tensor, Unsupported
from archcalc.layers.base import Layer
from archcalc.layers.pool import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool,
)


@keras_layer(*(f"{name}Pooling{rank}D" for name in ("Max", "Average") for rank in (1, 2, 3)))
def pool(call: CalledLayer) -> list[Tensor]:
    """A pool over windows; averages exclude the padding."""
    rank = call.rank
    x = call.map(rank)
    kernel = call.per_axis("pool_size", rank, 2)
    stride = call.per_axis("strides", rank) if call.value("strides") is not None else kernel
    padding = call.word("padding", "valid")
    if padding not in ("same", "valid"):
        raise Unsupported(f"`padding` is {padding[:60]}")
    window: dict[str, Any] = {
        "kernel_size": one_or_all(kernel),
        "stride": one_or_all(stride),
        "padding": "same" if padding == "same" else 0,
    }
    if call.kind.startswith("Max"):
        return [call.add(MaxPool(**window), x)]
    return [call.add(AvgPool(count_include_pad=padding == "valid", **window), x)]


@keras_layer(*(f"Global{name}Pooling{rank}D" for name in ("Max", "Average") for rank in (1, 2, 3)))
def global_pool(call: CalledLayer) -> list[Tensor]:
    x = call.map(call.rank)
    keeps = call.flag("keepdims", False)
    pooled = call.add(GlobalMaxPool() if call.kind.startswith("GlobalMax") else GlobalAvgPool(), x)
    return [pooled if keeps else reshaped(call, pooled, x.operation.shape[:1], "flatten")]


@keras_layer(*(f"Adaptive{name}Pooling{rank}D" for name in ("Max", "Average") for rank in (1, 2, 3)))
def adaptive_pool(call: CalledLayer) -> list[Tensor]:
    x, size = call.map(call.rank), one_or_all(call.per_axis("output_size", call.rank))
    layer = AdaptiveMaxPool(size) if call.kind.startswith("AdaptiveMax") else AdaptiveAvgPool(size)
    return [call.add(layer, x)]


def reduced(call: CalledLayer, whole: type[Layer], window: type[AvgPool] | type[MaxPool]) -> Tensor:
    """Reduce some axes of a tensor to size 1 with a pool over them."""
    x = call.tensor()
    dims = {dim % x.rank for dim in call.wholes("axis", ())}
    others = [dim for dim in range(1, x.rank) if dim not in dims]
    if 0 in dims or not dims or not others:
        raise Unsupported("it goes over the batch, or over all values")
    # one of the remaining axes is the channel axis
    if x.axes[others[-1]] != 0 and 0 not in {x.axes[dim] for dim in others}:
        x = call.channels_at(x, others[-1])
    own = {x.axis(dim) for dim in dims}
    kernel = tuple(size if axis in own else 1 for axis, size in enumerate(x.operation.shape))[1:]
    pooled = call.add(whole() if len(own) == len(kernel) else window(kernel), x)
    if call.flag("keepdims", False):
        return pooled
    return reshaped(call, pooled, tuple(x.shape[dim] for dim in others), "flatten")
