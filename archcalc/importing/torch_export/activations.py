"""Activation functions and dropout: one value in, one value out."""

from __future__ import annotations

from collections.abc import Mapping

from archcalc.importing.tensors import Unsupported
from archcalc.importing.torch_export.values import AtenCall, Outputs, operation
from archcalc.importing.views import axis_name
from archcalc.layers.activation import (
    ELU,
    GELU,
    SELU,
    Abs,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Tanh,
)
from archcalc.layers.base import KINDS, Layer
from archcalc.layers.dropout import Dropout

PLAIN: Mapping[str, type[Layer]] = {
    "relu": ReLU,
    "relu6": ReLU6,
    "selu": SELU,
    "silu": SiLU,
    "hardswish": HardSwish,
    "hardsigmoid": HardSigmoid,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "abs": Abs,
}
"""Activations without arguments, by ATen name."""


@operation(*PLAIN)
def activation(call: AtenCall) -> Outputs:
    name = call.node.target.removeprefix("aten.").removesuffix("_")
    return [call.add(PLAIN[name](), call.tensor())]


@operation("hardtanh")
def hardtanh(call: AtenCall) -> Outputs:
    low, high = call.number("min_val", -1), call.number("max_val", 1)
    layer = ReLU6() if (low, high) == (0, 6) else KINDS["hardtanh"](low, high)
    return [call.add(layer, call.tensor())]


@operation("clamp", "clamp_min", "clamp_max", "clip")
def clamp(call: AtenCall) -> Outputs:
    low, high = (None if call.value(name) is None else call.number(name) for name in ("min", "max"))
    if low == 0 and high in (None, 6):
        return [call.add(ReLU() if high is None else ReLU6(), call.tensor())]
    return [call.add(KINDS["clamp"](low, high), call.tensor())]


@operation("threshold")
def threshold(call: AtenCall) -> Outputs:
    call.must_be("threshold", 0, 0.0)
    call.must_be("value", 0, 0.0)
    return [call.add(ReLU(), call.tensor())]


FUNCTIONS = ("exp", "log", "sqrt", "rsqrt", "square", "sin", "cos", "erf", "mish")
"""Operations without arguments whose kind has the same name."""


@operation(*FUNCTIONS)
def function(call: AtenCall) -> Outputs:
    name = call.node.target.removeprefix("aten.").removesuffix("_")
    return [call.add(KINDS[name](), call.tensor())]


@operation("reciprocal")
def reciprocal(call: AtenCall) -> Outputs:
    return [call.add(KINDS["pow"](-1), call.tensor())]


@operation("pow")
def power(call: AtenCall) -> Outputs:
    return [call.add(KINDS["pow"](call.number("exponent")), call.tensor())]


@operation("softplus")
def softplus(call: AtenCall) -> Outputs:
    layer = KINDS["softplus"](call.number("beta", 1), call.number("threshold", 20))
    return [call.add(layer, call.tensor())]


@operation("log_sigmoid", "softsign")
def smooth(call: AtenCall) -> Outputs:
    kind = {"log_sigmoid": "logsigmoid", "softsign": "softsign"}[call.node.target.removeprefix("aten.")]
    return [call.add(KINDS[kind](), call.tensor())]


@operation("log_softmax", "_log_softmax")
def log_softmax(call: AtenCall) -> Outputs:
    call.unused("dtype")
    call.must_be("half_to_float", False)
    x = call.tensor()
    return [call.add(KINDS["log_softmax"](axis_name(x, call.whole("dim"))), x)]


@operation("glu")
def glu(call: AtenCall) -> Outputs:
    x = call.tensor()
    return [call.add(KINDS["glu"](axis_name(x, call.whole("dim", -1))), x)]


@operation("leaky_relu")
def leaky_relu(call: AtenCall) -> Outputs:
    return [call.add(LeakyReLU(call.number("negative_slope", 0.01)), call.tensor())]


@operation("elu")
def elu(call: AtenCall) -> Outputs:
    call.must_be("scale", 1, 1.0)
    call.must_be("input_scale", 1, 1.0)
    return [call.add(ELU(call.number("alpha", 1)), call.tensor())]


@operation("gelu")
def gelu(call: AtenCall) -> Outputs:
    return [call.add(GELU(call.value("approximate", "none")), call.tensor())]


@operation("prelu")
def prelu(call: AtenCall) -> Outputs:
    x, weight = call.tensor(), call.array("weight")
    if weight is None or len(weight.shape) > 1:
        raise Unsupported("its slopes are not a vector")
    slopes = weight.shape[0] if weight.shape else 1
    if slopes > 1:
        x = call.channels_at(x, 1)
    return [call.add(PReLU(slopes), x, weight=weight)]


@operation("softmax", "_softmax")
def softmax(call: AtenCall) -> Outputs:
    call.unused("dtype")
    call.must_be("half_to_float", False)
    x = call.tensor()
    return [call.add(KINDS["softmax"](axis_name(x, call.whole("dim"))), x)]


@operation("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
def dropout(call: AtenCall) -> Outputs:
    """A layer that does nothing at inference, even if the model was exported in training mode."""
    call.unused("train")
    x = call.tensor("self" if call.value("input") is None else "input")
    return [call.add(Dropout(call.number("p")), x)]
