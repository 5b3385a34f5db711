"""Sums, differences, products and joins of tensors, also with numbers."""

from __future__ import annotations

from typing import Any

from archcalc.importing.keras_config.pools import reduced
from archcalc.importing.keras_config.shapes import reshaped
from archcalc.importing.keras_config.values import (
    CalledLayer,
    as_tensor,
    axis_name,
    exact,
    is_number,
    keras_layer,
)
from archcalc.importing.tensors import Tensor, Unsupported
from archcalc.layers.activation import HardSigmoid, ReLU6
from archcalc.layers.arguments import Number
from archcalc.layers.arithmetic import Scale, Shift
from archcalc.layers.base import Layer
from archcalc.layers.merge import Add, Concat, Div, Mul, Sub
from archcalc.layers.pool import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool
from archcalc.layers.unary import Pow


@keras_layer("Add")
def add(call: CalledLayer) -> list[Tensor]:
    return [_joined(call, Add(), call.tensors())]


@keras_layer("Subtract")
def subtract(call: CalledLayer) -> list[Tensor]:
    return [_joined(call, Sub(), call.tensors())]


@keras_layer("Multiply")
def multiply(call: CalledLayer) -> list[Tensor]:
    return [_joined(call, Mul(), call.tensors())]


def _joined(call: CalledLayer, layer: Add | Mul | Sub | Div, tensors: list[Tensor]) -> Tensor:
    """Join tensors. A tensor with fewer axes gets axes of size 1 after the batch, as in Keras."""
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
        layers: dict[str, Add | Mul | Sub | Div] = {"Add": Add(), "Subtract": Sub(), "Multiply": Mul()}
        return [_joined(call, layers.get(kind, Div()), [one, two])]
    if (gate := _hard_sigmoid(call, one, two)) is not None:
        return [gate]
    if isinstance(one, Tensor):
        return [_with_number(call, kind, one, exact(two, "its second argument"))]
    return [_number_with(call, kind, exact(one, "its first argument"), as_tensor(two))]


def _with_number(call: CalledLayer, kind: str, x: Tensor, number: Number) -> Tensor:
    if kind in ("Add", "Subtract"):
        return call.add(Shift(number if kind == "Add" else -number), x) if number else x
    if kind == "Multiply":
        return call.add(Scale(number), x) if number != 1 else x
    if not number:
        raise Unsupported("it divides by zero")
    return call.add(Scale(exact(1 / float(number), "its inverse")), x) if number != 1 else x


def _number_with(call: CalledLayer, kind: str, number: Number, x: Tensor) -> Tensor:
    if kind in ("Add", "Multiply"):
        return _with_number(call, kind, x, number)
    first: Layer = Scale(-1) if kind == "Subtract" else Pow(-1)
    with call.part("negative" if kind == "Subtract" else "inverse"):
        x = call.add(first, x)
    return call.add(Shift(number) if kind == "Subtract" else Scale(number), x)


def _hard_sigmoid(call: CalledLayer, one: Any, two: Any) -> Tensor | None:
    """Return `relu6(x + 3) / 6`, if this is the last of its three operations."""
    x, factor = (one, two) if isinstance(one, Tensor) else (two, one)
    is_last = _is(factor, 1 / 6) if call.kind == "ops.Multiply" else _is(two, 6) and "Divide" in call.kind
    if not isinstance(x, Tensor) or not is_last or not isinstance(x.operation.layer, ReLU6):
        return None
    (before,) = x.operation.inputs
    if not isinstance(before.layer, Shift) or before.layer.value != 3:
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
    """Reduce over the whole map, or along some spatial axes by a pool with a window of that length."""
    call.must_be("initial", None)
    whole: type[Layer] = GlobalAvgPool if call.kind == "ops.Mean" else GlobalMaxPool
    window = AvgPool if call.kind == "ops.Mean" else MaxPool
    return [reduced(call, whole, window)]
