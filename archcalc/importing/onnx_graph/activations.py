"""Activation functions and dropout: elementwise layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from archcalc.importing.onnx_graph.constants import axis_in
from archcalc.importing.onnx_graph.values import OnnxCall, OnnxOutputs, decimal, onnx_operation
from archcalc.importing.tensors import Unsupported
from archcalc.importing.views import axis_name
from archcalc.layers.activation import (
    ELU,
    GELU,
    SELU,
    Abs,
    HardSigmoid,
    HardSwish,
    Hardtanh,
    LeakyReLU,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Tanh,
)
from archcalc.layers.base import Layer
from archcalc.layers.dropout import Dropout
from archcalc.layers.softmax import LogSoftmax, Softmax
from archcalc.layers.unary import Clamp, Cos, Erf, Exp, Log, Pow, Sin, Sqrt

PLAIN: Mapping[str, type[Layer]] = {
    "Relu": ReLU,
    "HardSwish": HardSwish,
    "Sigmoid": Sigmoid,
    "Tanh": Tanh,
    "Abs": Abs,
    "Cos": Cos,
    "Erf": Erf,
    "Exp": Exp,
    "Log": Log,
    "Mish": Mish,
    "Sin": Sin,
    "Softsign": Softsign,
    "Sqrt": Sqrt,
}
"""Activation functions without arguments."""


@onnx_operation(*PLAIN)
def activation(call: OnnxCall) -> OnnxOutputs:
    call.unused("consumed_inputs")
    return [call.add(PLAIN[call.node.op](), call.tensor())]


@onnx_operation("Reciprocal")
def reciprocal(call: OnnxCall) -> OnnxOutputs:
    call.unused("consumed_inputs")
    return [call.add(Pow(-1), call.tensor())]


@onnx_operation("Softplus")
def softplus(call: OnnxCall) -> OnnxOutputs:
    """PyTorch uses another formula above 20; its results differ by less than 1e-8."""
    return [call.add(Softplus(), call.tensor())]


@onnx_operation("Clip")
def clip(call: OnnxCall) -> OnnxOutputs:
    """The limits are attributes before version 11, and inputs since then."""
    limits: list[Any] = []
    for place, name in ((1, "min"), (2, "max")):
        value = call.single(place) if call.input(place) is not None else call.attribute(name)
        if value is None and call.input(place) is not None:
            raise Unsupported("its limits are computed")
        limits.append(value)
    low, high = (
        None if value is None or abs(value) >= 3.4e38 else decimal(value) for value in limits
    )  # the largest single-precision number means no limit
    call.unused("consumed_inputs")
    x = call.tensor()
    if (low, high) == (None, None):
        return [x]
    if low == 0 and high in (None, 6):
        return [call.add(ReLU() if high is None else ReLU6(), x)]
    if low is None or high is None or low > high:
        return [call.add(Clamp(low, high), x)]
    return [call.add(Hardtanh(low, high), x)]


@onnx_operation("LeakyRelu")
def leaky_relu(call: OnnxCall) -> OnnxOutputs:
    return [call.add(LeakyReLU(call.number("alpha", 0.01)), call.tensor())]


@onnx_operation("Elu")
def elu(call: OnnxCall) -> OnnxOutputs:
    return [call.add(ELU(call.number("alpha", 1.0)), call.tensor())]


@onnx_operation("Selu")
def selu(call: OnnxCall) -> OnnxOutputs:
    for name, value in (("alpha", 1.67326319217681884765625), ("gamma", 1.05070102214813232421875)):
        given = call.attribute(name)
        if given is not None and not math.isclose(given, value, rel_tol=1e-6):
            raise Unsupported(f"`{name}` is {given}")
    return [call.add(SELU(), call.tensor())]


@onnx_operation("HardSigmoid")
def hard_sigmoid(call: OnnxCall) -> OnnxOutputs:
    """The default slope is 0.2 in ONNX; PyTorch uses 1/6."""
    slope, shift = call.number("alpha", 0.2), call.number("beta", 0.5)
    if abs(float(slope) - 1 / 6) <= 1e-6 and shift == decimal(0.5):
        return [call.add(HardSigmoid(), call.tensor())]
    return [call.add(HardSigmoid(slope, shift), call.tensor())]


@onnx_operation("Swish")
def swish(call: OnnxCall) -> OnnxOutputs:
    call.must_be("alpha", 1.0)
    return [call.add(SiLU(), call.tensor())]


@onnx_operation("Gelu")
def gelu(call: OnnxCall) -> OnnxOutputs:
    return [call.add(GELU(call.text("approximate", "none")), call.tensor())]


@onnx_operation("PRelu")
def prelu(call: OnnxCall) -> OnnxOutputs:
    x, slope = call.tensor(), call.needed_array(1)
    if slope.size > 1:
        places = [place - len(slope.shape) for place, size in enumerate(slope.shape) if size != 1]
        if len(places) != 1 or len(slope.shape) > x.rank:
            raise Unsupported("its slopes are not one for each channel")
        # before version 7, a list of slopes has one per channel
        x = call.channels_at(x, 1 if call.opset < 7 and len(slope.shape) == 1 else places[0])
    return [call.add(PReLU(slope.size), x, weight=slope)]


@onnx_operation("Softmax", "LogSoftmax")
def softmax(call: OnnxCall) -> OnnxOutputs:
    """Before version 13, it applies to all axes from `axis` on, as one."""
    x = call.tensor()
    is_new = call.opset >= 13
    dim = axis_in(call.whole("axis", -1 if is_new else 1), x.rank)
    kind: type[Softmax] | type[LogSoftmax] = Softmax if call.node.op == "Softmax" else LogSoftmax
    if is_new:
        return [call.add(kind(axis_name(x, dim)), x)]
    long = [place for place in range(dim, x.rank) if x.shape[place] != 1]
    if len(long) < 2:
        return [call.add(kind(axis_name(x, long[0] if long else dim)), x)]
    shape = call.shape()
    row = call.reshaped(x, [*shape[:dim], math.prod(shape[dim:])])
    return [call.reshaped(call.add(kind(axis_name(row, -1)), row), shape)]


@onnx_operation("Dropout")
def dropout(call: OnnxCall) -> OnnxOutputs:
    """Dropout does nothing at inference, even if the model was exported in training mode."""
    call.unused("seed", "is_test", "consumed_inputs")
    ratio = call.single(1) if call.input(1) is not None else call.attribute("ratio")
    return [call.add(Dropout(decimal(0.5 if ratio is None else ratio)), call.tensor())]
