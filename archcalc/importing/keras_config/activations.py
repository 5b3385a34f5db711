"""Activation functions and dropout: elementwise layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from archcalc.importing.keras_config.values import CalledLayer, axis_name, keras_layer, shown_value
from archcalc.importing.tensors import Tensor, Unsupported
from archcalc.layers.activation import (
    ELU,
    GELU,
    SELU,
    Abs,
    HardSigmoid,
    HardSwish,
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
from archcalc.layers.arithmetic import Scale
from archcalc.layers.base import Layer
from archcalc.layers.dropout import Dropout, DropPath
from archcalc.layers.softmax import LogSoftmax, Softmax
from archcalc.layers.unary import Erf, Exp, Log, Pow, RSqrt, Sqrt, Square

FUNCTIONS: Mapping[str, Callable[[], Layer]] = {
    "relu": ReLU,
    "relu6": ReLU6,
    "leaky_relu": lambda: LeakyReLU(Fraction(1, 5)),
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "silu": SiLU,
    "swish": SiLU,
    "hard_silu": HardSwish,
    "hard_swish": HardSwish,
    "hard_sigmoid": HardSigmoid,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "exponential": Exp,
    "mish": Mish,
    "softplus": Softplus,
    "softsign": Softsign,
}
"""Activation functions by their names in Keras 3, with the arguments they have when given by name."""

OPERATIONS: Mapping[str, type[Layer]] = {
    "ops.Relu": ReLU,
    "ops.Relu6": ReLU6,
    "ops.Selu": SELU,
    "ops.Silu": SiLU,
    "ops.HardSilu": HardSwish,
    "ops.HardSigmoid": HardSigmoid,
    "ops.Sigmoid": Sigmoid,
    "ops.Tanh": Tanh,
    "ops.Erf": Erf,
    "ops.Exp": Exp,
    "ops.Log": Log,
    "ops.Mish": Mish,
    "ops.Rsqrt": RSqrt,
    "ops.Softplus": Softplus,
    "ops.Softsign": Softsign,
    "ops.Sqrt": Sqrt,
    "ops.Square": Square,
    "ops.Abs": Abs,
    "ops.Absolute": Abs,
}


def is_activation(function: Any) -> bool:
    """Whether a layer's `activation` does anything."""
    return function is not None and function_name(function) != "linear"


def function_name(function: Any) -> str:
    """Return the name of an activation function, or the class of an object or a custom function."""
    if isinstance(function, dict):
        name = function.get("config") if function.get("class_name") == "function" else None
        function = name if isinstance(name, str) else function.get("class_name")
    return str(function)


def activated(call: CalledLayer, x: Tensor, function: Any) -> Tensor:
    """Apply an activation function to the result of a layer. Raises `Unsupported` for an unknown one."""
    if isinstance(function, dict):
        raise Unsupported("it is not a function of Keras")
    name = function_name(function)
    if name == "softmax":
        return call.add(Softmax(axis_name(x, -1)), x)
    if name == "log_softmax":
        return call.add(LogSoftmax(axis_name(x, -1)), x)
    if name == "hard_sigmoid" and call.context.is_keras_2:
        return call.add(HardSigmoid(Fraction(1, 5), Fraction(1, 2)), x)
    if name not in FUNCTIONS:
        raise Unsupported("")  # the name is reason enough
    return call.add(FUNCTIONS[name](), x)


@keras_layer("Activation")
def activation(call: CalledLayer) -> list[Tensor]:
    x, function = call.tensor(), call.value("activation")
    return [activated(call, x, function) if is_activation(function) else x]


@keras_layer(*OPERATIONS)
def operation(call: CalledLayer) -> list[Tensor]:
    return [call.add(OPERATIONS[call.kind](), call.tensor())]


@keras_layer("ops.Negative", "ops.Reciprocal")
def negative(call: CalledLayer) -> list[Tensor]:
    return [call.add(Scale(-1) if call.kind == "ops.Negative" else Pow(-1), call.tensor())]


@keras_layer("ReLU")
def relu(call: CalledLayer) -> list[Tensor]:
    call.must_be("threshold", 0, 0.0)
    most, slope = call.value("max_value"), call.number("negative_slope", 0.0)
    if most not in (None, 6) or isinstance(most, bool) or (slope and most is not None):
        raise Unsupported(f"its largest value is {shown_value(most)}, and its slope {slope}")
    layer = LeakyReLU(slope) if slope else ReLU() if most is None else ReLU6()
    return [call.add(layer, call.tensor())]


@keras_layer("LeakyReLU", "ops.LeakyRelu")
def leaky_relu(call: CalledLayer) -> list[Tensor]:
    name = "alpha" if "alpha" in call.layer.config else "negative_slope"  # the names in Keras 2 and 3
    return [call.add(LeakyReLU(call.number(name, 0.3 if call.kind == "LeakyReLU" else 0.2)), call.tensor())]


@keras_layer("ELU", "ops.Elu")
def elu(call: CalledLayer) -> list[Tensor]:
    return [call.add(ELU(call.number("alpha", 1.0)), call.tensor())]


@keras_layer("ops.Gelu")
def gelu(call: CalledLayer) -> list[Tensor]:
    return [call.add(GELU("tanh" if call.flag("approximate", True) else "none"), call.tensor())]


@keras_layer("PReLU")
def prelu(call: CalledLayer) -> list[Tensor]:
    """One slope for all, or one per channel; other arrangements in `shared_axes` are unsupported."""
    x = call.tensor()
    shared = (
        {axis % x.rank for axis in call.wholes("shared_axes", ())} if _has(call, "shared_axes") else set()
    )
    own = [dim for dim in range(1, x.rank) if dim not in shared and x.shape[dim] > 1]
    if len(own) > 1:
        raise Unsupported("it has slopes for places")
    if not own:
        return [call.add(PReLU(), x, arrays=["weight"])]
    x = call.channels_at(x, own[0])
    return [call.add(PReLU(x.operation.shape[0]), x, arrays=["weight"])]


@keras_layer("Softmax", "ops.Softmax", "ops.LogSoftmax")
def softmax(call: CalledLayer) -> list[Tensor]:
    x, axes = call.tensor(), call.wholes("axis", (-1,))
    if len(axes) != 1:
        raise Unsupported(f"it goes along {len(axes)} axes")
    kind = LogSoftmax if call.kind == "ops.LogSoftmax" else Softmax
    return [call.add(kind(axis_name(x, axes[0])), x)]


@keras_layer(
    "Dropout", "AlphaDropout", "GaussianDropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"
)
def dropout(call: CalledLayer) -> list[Tensor]:
    """Dropout does nothing at inference; if it drops whole samples, it is stochastic depth."""
    call.unused("seed", "data_format")
    x, shape = call.tensor(), call.value("noise_shape")
    samples = isinstance(shape, list) and shape[1:] == [1] * (x.rank - 1) and shape[:1] == [None]
    rate = call.number("rate")
    return [call.add(DropPath(rate) if samples else Dropout(rate), x)]


@keras_layer("StochasticDepth")
def stochastic_depth(call: CalledLayer) -> list[Tensor]:
    """The `StochasticDepth` layer of `keras.applications.ConvNeXt`."""
    return [call.add(DropPath(call.number("drop_path_rate")), call.tensor())]


@keras_layer(
    "ActivityRegularization", "GaussianNoise", "Identity", "ops.Identity", "RandomBrightness",
    "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomErasing", "RandomFlip",
    "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective",
    "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear",
    "RandomTranslation", "RandomZoom",
)  # fmt: skip
def same(call: CalledLayer) -> list[Tensor]:
    """Layers that return their input unchanged at inference."""
    call.unused(*call.layer.config)
    return [call.tensor()]


def _has(call: CalledLayer, name: str) -> bool:
    return call.value(name) is not None
