"""Operations that read only arrays of the model and give an array that a layer can use."""

from __future__ import annotations

import math
from collections.abc import Callable

from msgspec.structs import replace

from archcalc.importing.tensors import Unsupported
from archcalc.importing.torch_export.graph import StoredArray
from archcalc.importing.torch_export.values import (
    AtenCall,
    ComputedWeight,
    Convert,
    ExpandedArray,
    Outputs,
    number_of,
)

STANDARDIZED_EPS = 1e-6
"""The number that layers with `weight="standardized"` add to the variance."""

ON_ARRAYS: dict[str, Convert] = {}
"""What an operation makes of an array of the model, by its name in ATen. Others compute something."""


def on_array(*names: str) -> Callable[[Convert], Convert]:
    def register(function: Convert) -> Convert:
        ON_ARRAYS.update(dict.fromkeys(names, function))
        return function

    return register


@on_array("contiguous", "clone", "detach", "alias", "lift_fresh_copy", "lift_fresh", "to", "_to_copy")
def same(call: AtenCall) -> Outputs:
    return [call.value("self", call.value("input"))]


@on_array(
    "view", "reshape", "flatten", "_unsafe_view", "unsqueeze", "squeeze", "view_as", "unflatten", "reshape_as"
)
def reshape(call: AtenCall) -> Outputs:
    """The values keep their order."""
    value, shape = call.value("self"), call.declared()
    array = value.array if isinstance(value, ComputedWeight) else value
    if not isinstance(array, StoredArray) or math.prod(array.shape) != math.prod(shape):
        raise Unsupported("it is not an array of the model")
    array = replace(array, shape=shape, own_shape=array.own_shape or array.shape)
    return [replace(value, array=array) if isinstance(value, ComputedWeight) else array]


@on_array("expand", "expand_as")
def expand(call: AtenCall) -> Outputs:
    """Repeat an array, such as a class token, for every sample."""
    array, shape = call.value("self"), call.declared()
    if not isinstance(array, StoredArray) or not shape or shape[0] != call.batch:
        raise Unsupported("it is not an array of the model")
    sample = (1,) * (len(shape) - len(array.shape)) + array.shape
    if sample != (1, *shape[1:]):
        raise Unsupported("it repeats an array")
    return [ExpandedArray(array, shape)]


@on_array("mul")
def scale(call: AtenCall) -> Outputs:
    """Multiply an array by a number from the code."""
    array, number = call.value("self"), number_of(call.value("other"))
    if not isinstance(array, StoredArray) or number is None:
        raise Unsupported("it is not an array times a number")
    return [replace(array, factor=array.factor * float(number))]


@on_array("batch_norm")
def standardize(call: AtenCall) -> Outputs:
    """The weight of a convolution, standardized per output channel and scaled by a gain."""
    weight, gain, eps = call.value("input"), call.value("weight"), call.number("eps", 1e-5)
    if not isinstance(weight, StoredArray) or weight.factor != 1 or not weight.own_shape:
        raise Unsupported("it is not a weight of the model")
    call.must_be("training", True)
    for name in ("bias", "running_mean", "running_var"):
        call.must_be(name, None)
    outputs = weight.own_shape[0]
    if weight.shape[:2] != (1, outputs) or len(weight.shape) != 3:
        raise Unsupported("it is not the weight of a convolution")
    # layers have an eps of their own: with one of e, a weight times the root of that / e gives the same
    weight = replace(weight, factor=math.sqrt(STANDARDIZED_EPS / float(eps)))
    if gain is None:
        return [ComputedWeight("standardized", weight)]
    if not isinstance(gain, StoredArray) or math.prod(gain.shape) != outputs:
        raise Unsupported("its gain is not an array of the model")
    # the layer divides its gain by the root of the fan-in
    gain = replace(gain, factor=gain.factor * math.sqrt(math.prod(weight.own_shape[1:])))
    return [ComputedWeight("scaled_standardized", weight, {"gain": gain})]


@on_array("_weight_norm")
def weight_norm(call: AtenCall) -> Outputs:
    """Weight normalization, per output channel."""
    weight, length = call.value("v"), call.value("g")
    call.must_be("dim", 0)
    if not isinstance(weight, StoredArray) or not isinstance(length, StoredArray):
        raise Unsupported("it is not a weight of the model")
    return [ComputedWeight("weight_norm", weight, {"gain": length})]
