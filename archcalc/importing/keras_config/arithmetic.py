"""Sums, differences, products and joins of tensors; with numbers, only where these change nothing."""

from __future__ import annotations

from typing import Any

from archcalc.importing.keras_config.pools import reduced
from archcalc.importing.keras_config.shapes import reshaped
from archcalc.importing.keras_config.values import CalledLayer, as_tensor, axis_name, is_number, keras_layer
from archcalc.importing.tensors import Tensor, Unsupported
from archcalc.layers.activation import HardSigmoid, ReLU6
from archcalc.layers.base import Layer
from archcalc.layers.merge import Add, Concat, Mul, Sub
from archcalc.layers.opaque import Opaque
from archcalc.layers.pool import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool

SHIFTED = "ops.Add"
"""The operation that adds a number to a tensor, which is opaque."""


@keras_layer("Add")
def add(call: CalledLayer) -> list[Tensor]:
    return [_joined(call, Add(), call.tensors())]


@keras_layer("Subtract")
def subtract(call: CalledLayer) -> list[Tensor]:
    return [_joined(call, Sub(), call.tensors())]


@keras_layer("Multiply")
def multiply(call: CalledLayer) -> list[Tensor]:
    return [_joined(call, Mul(), call.tensors())]


def _joined(call: CalledLayer, layer: Add | Mul | Sub, tensors: list[Tensor]) -> Tensor:
    """A tensor with fewer axes gets axes of size 1 behind the batch, as in Keras."""
    if len(tensors) == 1:
        return tensors[0]
    rank = max(tensor.rank for tensor in tensors)
    raised = []
    for tensor in tensors:
        if tensor.rank < rank:
            shape = (*[1] * (rank - tensor.rank), *tensor.sample)
            tensor = reshaped(call, tensor, shape, "reshape")
        raised.append(tensor)
    first = raised[0]
    return call.assembly.add(layer, first, *(call.aligned(other, first.axes) for other in raised[1:]))


@keras_layer("ops.Add", "ops.Subtract", "ops.Multiply", "ops.Divide", "ops.TrueDivide")
def operation(call: CalledLayer) -> list[Tensor]:
    operands = call.operands()
    if len(operands) != 2:
        raise Unsupported(f"it is called with {len(operands)} arguments")
    one, two = operands
    kind = call.kind.removeprefix("ops.")
    if isinstance(one, Tensor) and isinstance(two, Tensor):
        layers: dict[str, Add | Mul | Sub] = {"Add": Add(), "Subtract": Sub(), "Multiply": Mul()}
        if kind not in layers:
            raise Unsupported("it divides")
        if one.rank != two.rank:
            raise Unsupported(f"its tensors have {one.rank} and {two.rank} axes")
        return [_joined(call, layers[kind], [one, two])]
    if (gate := _hard_sigmoid(call, one, two)) is not None:
        return [gate]
    nothing = 0 if kind in ("Add", "Subtract") else 1
    if _is(two, nothing):
        return [as_tensor(one)]
    if _is(one, nothing) and kind in ("Add", "Multiply"):
        return [as_tensor(two)]
    raise Unsupported("it computes with a number")


def _hard_sigmoid(call: CalledLayer, one: Any, two: Any) -> Tensor | None:
    """`relu6(x + 3) / 6`, if this is the last of the three operations."""
    x, factor = (one, two) if isinstance(one, Tensor) else (two, one)
    is_last = _is(factor, 1 / 6) if call.kind == "ops.Multiply" else _is(two, 6) and "Divide" in call.kind
    if not isinstance(x, Tensor) or not is_last or not isinstance(x.operation.layer, ReLU6):
        return None
    (before,) = x.operation.inputs
    shifted = isinstance(before.layer, Opaque) and before.layer.op == SHIFTED
    if not shifted or call.context.shifts.get(id(before)) != 3:
        return None
    return call.add(HardSigmoid(), Tensor(before.inputs[0], x.axes))


def _is(value: Any, number: float) -> bool:
    return is_number(value) and value == number


@keras_layer("Concatenate", "ops.Concatenate")
def concatenate(call: CalledLayer) -> list[Tensor]:
    tensors, axis = call.tensors(), call.whole("axis", -1)
    first = tensors[0]
    if len(tensors) == 1:
        return [first]
    if any(each.rank != first.rank for each in tensors):
        raise Unsupported("its tensors have different numbers of axes")
    layer = Concat(axis_name(first, axis))
    return [call.assembly.add(layer, first, *(call.aligned(each, first.axes) for each in tensors[1:]))]


@keras_layer("ops.Mean", "ops.Max")
def reduce(call: CalledLayer) -> list[Tensor]:
    """Over all places, or along some of their axes, where it is a pool with windows as long as these."""
    call.must_be("initial", None)
    whole: type[Layer] = GlobalAvgPool if call.kind == "ops.Mean" else GlobalMaxPool
    window = AvgPool if call.kind == "ops.Mean" else MaxPool
    return [reduced(call, whole, window)]
