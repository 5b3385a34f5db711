"""Normalizations that are a single node."""

from __future__ import annotations

import math

from archcalc.importing.onnx_graph.arrays import OnnxArray, shown
from archcalc.importing.onnx_graph.values import OnnxCall, OnnxOutputs, onnx_operation
from archcalc.importing.tensors import BATCH, Tensor, Unsupported
from archcalc.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm


def _channels_second(call: OnnxCall) -> Tensor:
    x = call.tensor()
    if x.axes[0] != BATCH or x.rank < 2:
        raise Unsupported("the batch is not its first axis")
    return call.channels_at(x, 1)


def _per_channel(call: OnnxCall, x: Tensor, place: int) -> OnnxArray:
    array = call.needed_array(place)
    if array.shape != x.operation.shape[:1]:
        raise Unsupported("its arrays do not fit its input")
    return array


@onnx_operation("BatchNormalization")
def batch_norm(call: OnnxCall) -> OnnxOutputs:
    """Training mode is accepted, too: costs are those of inference."""
    call.unused("momentum", "training_mode", "is_test", "consumed_inputs")
    call.must_be("spatial", 1)
    x = _channels_second(call)
    names = ("weight", "bias", "running_mean", "running_var")
    arrays = {name: _per_channel(call, x, place) for place, name in enumerate(names, 1)}
    return [call.add(BatchNorm(eps=call.number("epsilon", 1e-5)), x, **arrays)]


@onnx_operation("InstanceNormalization")
def instance_norm(call: OnnxCall) -> OnnxOutputs:
    call.unused("consumed_inputs")
    x = _channels_second(call)
    layer = InstanceNorm(eps=call.number("epsilon", 1e-5), affine=True)
    return [call.add(layer, x, weight=_per_channel(call, x, 1), bias=_per_channel(call, x, 2))]


@onnx_operation("LayerNormalization")
def layer_norm(call: OnnxCall) -> OnnxOutputs:
    """Layer normalization over the last axis, or over all axes of a sample."""
    call.must_be("stash_type", 1)
    x, weight, bias = call.tensor(), call.needed_array(1), call.array(2)
    axis = call.whole("axis", -1) % x.rank
    if axis == x.rank - 1:
        dim, x = "channels", call.channels_at(x, -1)
        shape = x.operation.shape[:1]
    elif axis == 1:
        dim, x = "all", call.map()
        shape = x.operation.shape
    else:
        raise Unsupported(f"it normalizes {x.rank - axis} axes of {x.rank}")
    if any(array is not None and array.shape != shape for array in (weight, bias)):
        raise Unsupported("its arrays do not fit its input")
    layer = LayerNorm(dim, eps=call.number("epsilon", 1e-5), bias=bias is not None)
    return [call.add(layer, x, weight=weight, bias=bias)]


@onnx_operation("GroupNormalization")
def group_norm(call: OnnxCall) -> OnnxOutputs:
    call.must_be("stash_type", 1)
    x = _channels_second(call)
    layer = GroupNorm(call.whole("num_groups", 0), eps=call.number("epsilon", 1e-5))
    return [call.add(layer, x, weight=_per_channel(call, x, 1), bias=_per_channel(call, x, 2))]


@onnx_operation("LRN")
def lrn(call: OnnxCall) -> OnnxOutputs:
    """An even window extends further after a channel in ONNX, and further before it in `lrn`."""
    size = call.whole("size", 0)
    if size % 2 == 0:
        raise Unsupported("its window is even")
    alpha, beta, k = call.number("alpha", 1e-4), call.number("beta", 0.75), call.number("bias", 1.0)
    return [call.add(LocalResponseNorm(size, alpha, beta, k), call.map())]


def channel_array(call: OnnxCall, x: Tensor, array: OnnxArray) -> Tensor:
    """Return a tensor arranged so that an array has one value for each of its channels.

    Raises `Unsupported` if the array has another shape.
    """
    places = [place - len(array.shape) for place, size in enumerate(array.shape) if size != 1]
    if len(places) != 1 or len(array.shape) > x.rank:
        raise Unsupported(f"it computes with `{shown(array.key)}`")
    x = call.channels_at(x, places[0])
    if x.operation.shape[0] != math.prod(array.shape):
        raise Unsupported(f"it computes with `{shown(array.key)}`")
    return x
