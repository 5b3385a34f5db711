"""Operations on arrays of the model alone: what stays an array that a layer can have."""

from __future__ import annotations

import math
from collections.abc import Callable

from archcalc.importing.tensors import Unsupported
from archcalc.importing.torch_export.graph import StoredArray
from archcalc.importing.torch_export.values import AtenCall, Convert, Outputs

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


@on_array("view", "reshape", "flatten", "_unsafe_view", "unsqueeze", "squeeze", "view_as", "unflatten")
def reshape(call: AtenCall) -> Outputs:
    """Values keep their order."""
    array, shape = call.value("self"), call.declared()
    if not isinstance(array, StoredArray) or math.prod(array.shape) != math.prod(shape):
        raise Unsupported("it is not an array of the model")
    return [StoredArray(array.key, shape, array.is_trained, array.own_shape or array.shape)]
