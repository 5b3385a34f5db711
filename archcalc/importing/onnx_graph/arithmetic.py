"""Sums, differences, products: of tensors, of a tensor and an array, of a tensor and a number."""

from __future__ import annotations

from msgspec.structs import replace

from archcalc.importing.onnx_graph.arrays import OnnxArray
from archcalc.importing.onnx_graph.norms import channel_array
from archcalc.importing.onnx_graph.values import (
    OnnxCall,
    OnnxOutputs,
    OnnxValue,
    as_tensor,
    composite,
    onnx_operation,
)
from archcalc.importing.tensors import ExpandedTensor, Tensor, Unsupported
from archcalc.layers.activation import HardSigmoid, HardSwish, Sigmoid, SiLU
from archcalc.layers.base import Layer
from archcalc.layers.conv import Conv, ConvTranspose, Depthwise, Pointwise
from archcalc.layers.linear import FullyConnected
from archcalc.layers.merge import Add, Mul, Sub
from archcalc.layers.norm import GroupNorm, LayerNorm, LayerScale

NEUTRAL = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1, "Pow": 1}
"""The number with which each of them gives its first input."""

BIASED = (Conv, ConvTranspose, Depthwise, Pointwise, FullyConnected)


def _passed_on(call: OnnxCall) -> OnnxValue | None:
    """The tensor that comes out as it is, if the other input is a number that changes nothing."""
    for one, other in ((0, 1), (1, 0)):
        if one == 1 and call.node.op not in ("Add", "Mul"):
            break
        value = call.input(one)
        if isinstance(value, Tensor | ExpandedTensor) and call.single(other) == NEUTRAL[call.node.op]:
            array = call.input(other)
            if isinstance(array, OnnxArray) and len(array.shape) <= len(call.shape(one)):
                return value
    return None


def _not_legacy(call: OnnxCall) -> None:
    """Before version 7, the axes of the second input are said by an attribute."""
    call.must_be("broadcast", 0)
    call.unused("consumed_inputs")


@onnx_operation("Add", "Sub", "Sum")
def add(call: OnnxCall) -> OnnxOutputs:
    _not_legacy(call)
    if call.node.op != "Sum" and (same := _passed_on(call)) is not None:
        return [same]
    tensors = [as_tensor(value) for value in call.inputs]
    if len(tensors) == 1:
        return tensors
    if len({tensor.shape for tensor in tensors}) > 1:
        raise Unsupported("its tensors have different shapes")
    return [call.assembly.joined(Sub() if call.node.op == "Sub" else Add(), *tensors)]


@onnx_operation("Mul")
def mul(call: OnnxCall) -> OnnxOutputs:
    """An array with a value for each channel is a `layer_scale`; axes of size 1 are repeated."""
    _not_legacy(call)
    if (same := _passed_on(call)) is not None:
        return [same]
    one, two = call.input(0), call.input(1)
    for x, array in ((one, two), (two, one)):
        if isinstance(x, Tensor) and isinstance(array, OnnxArray):
            return [call.add(LayerScale(), channel_array(call, x, array), weight=array)]
    first, second = (as_tensor(v.tensor if isinstance(v, ExpandedTensor) else v) for v in (one, two))
    if first.rank != second.rank:
        raise Unsupported(f"it multiplies tensors of {first.rank} and {second.rank} axes")
    return [call.assembly.joined(Mul(), first, second)]


@onnx_operation("Div", "Pow")
def unchanged(call: OnnxCall) -> OnnxOutputs:
    _not_legacy(call)
    if (same := _passed_on(call)) is not None:
        return [same]
    raise Unsupported("it divides" if call.node.op == "Div" else "it takes a power")


# --- One layer from several nodes ------------------------------------------------------------------------


def _tensor_and_array(call: OnnxCall) -> tuple[Tensor, OnnxArray]:
    one, two = call.input(0), call.input(1)
    if isinstance(one, OnnxArray):
        one, two = two, one
    if not isinstance(one, Tensor) or not isinstance(two, OnnxArray) or not call.graph.is_read_once(one):
        raise Unsupported("it is something else")
    return one, two


@composite("Add")
def bias(call: OnnxCall) -> OnnxOutputs:
    """The bias of the convolution or the matrix product before it."""
    x, array = _tensor_and_array(call)
    layer = x.operation.layer
    if not isinstance(layer, BIASED) or layer.bias or channel_array(call, x, array).axes != x.axes:
        raise Unsupported("it is not a bias")
    return [call.instead_of(x, replace(layer, bias=True), bias=array)]


@composite("Mul")
def scale_of_norm(call: OnnxCall) -> OnnxOutputs:
    """The scale of the layer normalization before it."""
    x, array = _tensor_and_array(call)
    layer = x.operation.layer
    if not isinstance(layer, LayerNorm) or layer.elementwise_affine:
        raise Unsupported("it is not a scale")
    _must_fit_norm(call, x, array, layer)
    return [call.instead_of(x, replace(layer, elementwise_affine=True, bias=False), weight=array)]


@composite("Add")
def shift_of_norm(call: OnnxCall) -> OnnxOutputs:
    """The shift of the layer normalization before it."""
    x, array = _tensor_and_array(call)
    layer = x.operation.layer
    if not isinstance(layer, LayerNorm) or not layer.elementwise_affine or layer.bias:
        raise Unsupported("it is not a shift")
    _must_fit_norm(call, x, array, layer)
    return [call.instead_of(x, replace(layer, bias=True), bias=array)]


def _must_fit_norm(call: OnnxCall, x: Tensor, array: OnnxArray, layer: LayerNorm) -> None:
    if layer.dim == "all":
        if array.shape != x.operation.shape or not x.is_plain:
            raise Unsupported("its array does not fit")
    elif channel_array(call, x, array).axes != x.axes:
        raise Unsupported("its array does not fit")


@composite("Add")
def affine_group_norm(call: OnnxCall) -> OnnxOutputs:
    """The scale and the shift of the group normalization before it: the scale came as a `layer_scale`."""
    x, shift = _tensor_and_array(call)
    scale, (before, *_) = x.operation, x.operation.inputs or (x.operation,)
    layer = before.layer
    if not isinstance(scale.layer, LayerScale) or not isinstance(layer, GroupNorm) or layer.affine:
        raise Unsupported("it is not a group normalization")
    norm = Tensor(before, x.axes)
    if not call.graph.is_read_once(norm) or channel_array(call, x, shift).axes != x.axes:
        raise Unsupported("something else reads a part of it")
    made = call.instead_of(norm, replace(layer, affine=True), bias=shift)
    made.operation.arrays = {**made.operation.arrays, **scale.arrays}
    return [made]


@composite("Add")
def shift_of_channels(call: OnnxCall) -> OnnxOutputs:
    """The shift of the channels after their scale."""
    x, array = _tensor_and_array(call)
    layer = x.operation.layer
    if not isinstance(layer, LayerScale) or layer.bias or channel_array(call, x, array).axes != x.axes:
        raise Unsupported("it is not a shift")
    return [call.instead_of(x, replace(layer, bias=True), bias=array)]


@composite("Mul")
def gated(call: OnnxCall) -> OnnxOutputs:
    """A value times its own sigmoid: `silu` or `hardswish`."""
    one, two = as_tensor(call.input(0)), as_tensor(call.input(1))
    for x, gate in ((one, two), (two, one)):
        kinds: dict[type[Layer], type[Layer]] = {Sigmoid: SiLU, HardSigmoid: HardSwish}
        kind = kinds.get(type(gate.operation.layer))
        if kind is None or gate.operation.inputs != (x.operation,) or gate.axes != x.axes:
            continue
        if call.graph.is_read_once(gate):
            return [call.add(kind(), x)]
    raise Unsupported("it is not a gate of its own")
