"""Finds what operations read: tensors, and arrays of the model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from archcalc.importing.tensors import ExpandedTensor, ModelArray, Operation, Tensor
from archcalc.importing.torch_export.graph import StoredArray
from archcalc.importing.torch_export.values import ComputedValue, ComputedWeight, ExpandedArray
from archcalc.shape import Shape


def used_arrays(results: Iterable[Operation]) -> set[str]:
    """Return the keys of the arrays that results depend on."""
    seen: dict[int, Operation] = {}
    waiting = list(results)
    while waiting:
        operation = waiting.pop()
        if id(operation) not in seen:
            seen[id(operation)] = operation
            waiting += operation.inputs
    return {array.name for operation in seen.values() for array in operation.arrays.values()}


def tensors_in(read: Iterable[Any]) -> Iterable[Tensor]:
    """Return the tensors among values, and those that the values are computed from."""
    for value in read:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, ExpandedTensor):
            yield value.tensor
        elif isinstance(value, ComputedValue):
            yield from value.tensors


def arrays_in(read: Iterable[Any]) -> Iterable[StoredArray]:
    """Return the model's arrays among values, and those that the values are computed from, each once."""
    found: dict[str, StoredArray] = {}
    for value in read:
        if isinstance(value, StoredArray):
            found.setdefault(value.key, value)
        elif isinstance(value, ComputedValue):
            for array in value.arrays:
                found.setdefault(array.key, array)
        elif isinstance(value, ComputedWeight):
            for array in (value.array, *value.arrays.values()):
                found.setdefault(array.key, array)
        elif isinstance(value, ExpandedArray):
            found.setdefault(value.array.key, value.array)
    return found.values()


def described(arrays: Iterable[StoredArray]) -> dict[str, tuple[ModelArray, Shape]]:
    """Return arrays in the form that an opaque operation stores."""
    return {array.key: (ModelArray(array.key), array.shape) for array in arrays if math.prod(array.shape)}
