"""Sums, differences and products of tensors, also with arrays and with numbers."""

from __future__ import annotations

from fractions import Fraction

from msgspec.structs import replace

from archcalc.importing.onnx_graph.arrays import OnnxArray
from archcalc.importing.onnx_graph.norms import channel_array
from archcalc.importing.onnx_graph.operands import joined
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
from archcalc.layers.arguments import Number
from archcalc.layers.arithmetic import Scale, Shift
from archcalc.layers.base import Layer
from archcalc.layers.conv import Conv, ConvTranspose, Depthwise, Pointwise
from archcalc.layers.linear import FullyConnected
from archcalc.layers.merge import Add, Div, Mul, Sub
from archcalc.layers.norm import GroupNorm, LayerNorm, LayerScale
from archcalc.layers.unary import Clamp, Pow, RSqrt, Sqrt, Square

NEUTRAL = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1, "Pow": 1}
"""The number that leaves the first input of each operation unchanged."""

BIASED = (Conv, ConvTranspose, Depthwise, Pointwise, FullyConnected)


def _passed_on(call: OnnxCall) -> OnnxValue | None:
    """Return the tensor that passes unchanged, if the other input is a number that has no effect."""
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
    """Reject the form used before version 7, where an attribute may give the axes of the second input."""
    call.must_be("broadcast", 0, 1)
    call.unused("consumed_inputs")


@onnx_operation("Add", "Sub", "Sum")
def add(call: OnnxCall) -> OnnxOutputs:
    """A number becomes a `shift`; an array with one value per channel, a trained shift."""
    _not_legacy(call)
    op = call.node.op
    if op != "Sum" and (same := _passed_on(call)) is not None:
        return [same]
    if len(call.inputs) == 1:
        return [call.tensor()]
    if op == "Sum":
        return [joined(call, Add(), *call.inputs)]
    one, two = call.input(0), call.input(1)
    if (number := call.exact(1)) is not None:
        return [call.add(Shift(-number if op == "Sub" else number), as_tensor(one))]
    if (number := call.exact(0)) is not None:
        other = as_tensor(two)
        return [call.add(Shift(number), call.add(Scale(-1), other) if op == "Sub" else other)]
    if op == "Add":
        for x, array in ((one, two), (two, one)):
            if (shape := factor_shape(x, array)) is not None and isinstance(array, OnnxArray):
                return [call.add(Shift(per_channel=shape == "channels"), as_tensor(x), bias=array)]
    return [joined(call, Sub() if op == "Sub" else Add(), one, two)]


@onnx_operation("Mul")
def mul(call: OnnxCall) -> OnnxOutputs:
    """A number becomes a `scale`; an array with one value per channel, a `layer_scale`."""
    _not_legacy(call)
    if (same := _passed_on(call)) is not None:
        return [same]
    one, two = call.input(0), call.input(1)
    for place, other in ((1, one), (0, two)):
        if (number := call.exact(place)) is not None:
            return [call.add(Scale(number), as_tensor(other))]
    for x, array in ((one, two), (two, one)):
        if (shape := factor_shape(x, array)) is not None and isinstance(array, OnnxArray):
            layer = LayerScale() if shape == "channels" else Scale()
            return [call.add(layer, as_tensor(x), weight=array)]
    return [joined(call, Mul(), one, two)]


def factor_shape(x: OnnxValue | None, array: OnnxValue | None) -> str | None:
    """Return which values of a tensor share a value of the array: "channels" or "all"."""
    if not isinstance(x, Tensor) or not isinstance(array, OnnxArray):
        return None
    if array.recipe is not None or len(array.shape) > x.rank or not array.is_float:
        return None
    if array.size == 1:
        return "all"
    places = [place - len(array.shape) for place, size in enumerate(array.shape) if size != 1]
    if len(places) != 1 or x.axes[places[0]] != 0 or array.size != x.operation.shape[0]:
        return None
    return "channels"


@onnx_operation("Div")
def div(call: OnnxCall) -> OnnxOutputs:
    """Division by a number is a multiplication by its inverse."""
    _not_legacy(call)
    if (same := _passed_on(call)) is not None:
        return [same]
    if (number := call.exact(1)) is not None:
        if not number:
            raise Unsupported("it divides by zero")
        return [call.add(Scale(_inverse(number)), as_tensor(call.input(0)))]
    if (number := call.exact(0)) is not None:
        inverse = call.add(Pow(-1), as_tensor(call.input(1)))
        return [call.add(Scale(number), inverse) if number != 1 else inverse]
    return [joined(call, Div(), call.input(0), call.input(1))]


def _inverse(number: Number) -> Number:
    exact = Fraction(1) / Fraction(number)
    return exact.numerator if exact.denominator == 1 else Fraction(repr(float(exact)))


@onnx_operation("Pow")
def power(call: OnnxCall) -> OnnxOutputs:
    _not_legacy(call)
    if (same := _passed_on(call)) is not None:
        return [same]
    number = call.exact(1)
    if number is None:
        raise Unsupported("its exponent is not a number")
    kinds: dict[Number, type[Layer]] = {2: Square, Fraction(1, 2): Sqrt, Fraction(-1, 2): RSqrt}
    return [call.add(kinds[number]() if number in kinds else Pow(number), as_tensor(call.input(0)))]


@onnx_operation("Mean")
def mean(call: OnnxCall) -> OnnxOutputs:
    """The mean is the sum of the tensors, divided by their number."""
    call.unused("consumed_inputs")
    if len(call.inputs) == 1:
        return [call.tensor()]
    return [call.add(Scale(_inverse(len(call.inputs))), joined(call, Add(), *call.inputs))]


@onnx_operation("Min", "Max")
def limit(call: OnnxCall) -> OnnxOutputs:
    """With a number, this is a limit."""
    call.unused("consumed_inputs")
    if len(call.inputs) == 1:
        return [call.tensor()]
    if len(call.inputs) == 2:
        for place in (0, 1):
            if (number := call.exact(place)) is not None:
                low, high = (number, None) if call.node.op == "Max" else (None, number)
                return [call.add(Clamp(low, high), as_tensor(call.input(1 - place)))]
    raise Unsupported("it compares tensors")


@onnx_operation("Neg")
def negative(call: OnnxCall) -> OnnxOutputs:
    return [call.add(Scale(-1), call.tensor())]


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
    """The bias of the preceding convolution or matrix product."""
    x, array = _tensor_and_array(call)
    layer = x.operation.layer
    if not isinstance(layer, BIASED) or layer.bias or channel_array(call, x, array).axes != x.axes:
        raise Unsupported("it is not a bias")
    return [call.instead_of(x, replace(layer, bias=True), bias=array)]


@composite("Mul")
def scale_of_norm(call: OnnxCall) -> OnnxOutputs:
    """The scale of the preceding layer normalization."""
    x, array = _tensor_and_array(call)
    layer = x.operation.layer
    if not isinstance(layer, LayerNorm) or layer.elementwise_affine:
        raise Unsupported("it is not a scale")
    _must_fit_norm(call, x, array, layer)
    return [call.instead_of(x, replace(layer, elementwise_affine=True, bias=False), weight=array)]


@composite("Add")
def shift_of_norm(call: OnnxCall) -> OnnxOutputs:
    """The shift of the preceding layer normalization."""
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
    """The scale and shift of the preceding group normalization; the scale was a `layer_scale` until now."""
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
    """The shift of the channels that follows their scale."""
    x, array = _tensor_and_array(call)
    layer = x.operation.layer
    if not isinstance(layer, LayerScale) or layer.bias or channel_array(call, x, array).axes != x.axes:
        raise Unsupported("it is not a shift")
    return [call.instead_of(x, replace(layer, bias=True), bias=array)]


@composite("Mul")
def gated(call: OnnxCall) -> OnnxOutputs:
    """A value times its own sigmoid or hard sigmoid: `silu` or `hardswish`."""
    one, two = as_tensor(call.input(0)), as_tensor(call.input(1))
    for x, gate in ((one, two), (two, one)):
        kinds: dict[type[Layer], type[Layer]] = {Sigmoid: SiLU, HardSigmoid: HardSwish}
        kind = kinds.get(type(gate.operation.layer))
        if kind is None or gate.operation.inputs != (x.operation,) or gate.axes != x.axes:
            continue
        if call.graph.is_read_once(gate):
            return [call.add(kind(), x)]
    raise Unsupported("it is not a gate of its own")
