"""Sums, differences, products and quotients of tensors, arrays of the model, and numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from archcalc.importing.tensors import ExpandedTensor, Tensor, Unsupported
from archcalc.importing.torch_export.graph import StoredArray
from archcalc.importing.torch_export.operands import joined
from archcalc.importing.torch_export.values import AtenCall, Outputs, number_of, operation
from archcalc.layers.arguments import Number
from archcalc.layers.arithmetic import Scale, Shift
from archcalc.layers.merge import Add, Div, Mul, Sub
from archcalc.layers.norm import LayerScale


@operation("add")
def add(call: AtenCall) -> Outputs:
    alpha = call.number("alpha", 1)
    one, two = call.value("self"), call.value("other")
    for x, other, factor in ((one, two, alpha), (two, one, 1)):
        if (number := number_of(other)) is not None and (x is one or alpha == 1):
            return _shifted(call, x, number * factor)
    if alpha != 1:
        two = call.add(Scale(alpha), call.as_tensor(two))
    for x, array in ((one, two), (two, one)):
        if isinstance(array, StoredArray) and isinstance(x, Tensor):
            if _is_one_value(array):
                return [call.add(Shift(), x, bias=array)]
            if _is_per_channel(x, array):
                return [call.add(Shift(per_channel=True), x, bias=array)]
    return [joined(call, Add(), one, two)]


@operation("sub", "subtract")
def sub(call: AtenCall) -> Outputs:
    alpha = call.number("alpha", 1)
    return _difference(call, call.value("self"), call.value("other"), alpha)


@operation("rsub")
def rsub(call: AtenCall) -> Outputs:
    call.must_be("alpha", 1, 1.0)
    return _difference(call, call.value("other"), call.value("self"), 1)


def _difference(call: AtenCall, one: Any, two: Any, alpha: Number) -> Outputs:
    if (number := number_of(two)) is not None:
        return _shifted(call, one, -number * alpha)
    if alpha != 1:
        two = call.add(Scale(alpha), call.as_tensor(two))
    if (number := number_of(one)) is not None:
        return _shifted(call, call.add(Scale(-1), call.as_tensor(two)), number)
    return [joined(call, Sub(), one, two)]


@operation("neg")
def neg(call: AtenCall) -> Outputs:
    return [call.add(Scale(-1), call.tensor())]


@operation("mul", "multiply")
def mul(call: AtenCall) -> Outputs:
    """An array with one value per channel is a `layer_scale`; axes of size 1 are broadcast."""
    one, two = call.value("self"), call.value("other")
    for x, other in ((one, two), (two, one)):
        if (number := number_of(other)) is not None:
            return _scaled(call, x, number)
    for x, array in ((one, two), (two, one)):
        if isinstance(array, StoredArray) and isinstance(x, Tensor):
            if _is_one_value(array):
                return [call.add(Scale(), x, weight=array)]
            if _is_per_channel(x, array):
                return [call.add(LayerScale(), x, weight=array)]
    return [joined(call, Mul(), one, two)]


@operation("div", "divide")
def div(call: AtenCall) -> Outputs:
    """Dividing by a number is multiplying by its inverse."""
    call.must_be("rounding_mode", None)
    one, two = call.value("self"), call.value("other")
    if (number := number_of(two)) is not None:
        if not number:
            raise Unsupported("it divides by zero")
        return _scaled(call, one, inverse(number))
    if number_of(one) is not None:
        raise Unsupported("it divides a number")
    return [joined(call, Div(), one, two)]


@operation("addcmul")
def addcmul(call: AtenCall) -> Outputs:
    """`self + value * tensor1 * tensor2`."""
    value = call.number("value", 1)
    product = joined(call, Mul(), call.value("tensor1"), call.value("tensor2"))
    if value != 1:
        product = call.add(Scale(value), product)
    return [joined(call, Add(), call.value("self"), product)]


def inverse(number: Number) -> Number:
    exact = Fraction(1) / Fraction(number)
    written = Fraction(repr(1 / float(number)))
    return exact if exact.denominator == 1 else written


def _shifted(call: AtenCall, value: Any, number: Number) -> Outputs:
    if not number:
        return _passed_on(call, value)
    return [call.add(Shift(number), call.as_tensor(value))]


def _scaled(call: AtenCall, value: Any, number: Number) -> Outputs:
    if number == 1:
        return _passed_on(call, value)
    return [call.add(Scale(number), call.as_tensor(value))]


def _passed_on(call: AtenCall, value: Any) -> Outputs:
    return [value if isinstance(value, Tensor | ExpandedTensor) else call.as_tensor(value)]


def _is_one_value(array: StoredArray) -> bool:
    return math.prod(array.shape) == 1


def _is_per_channel(x: Tensor, array: StoredArray) -> bool:
    """Return whether the array has one value per channel of the tensor, on its channel axis."""
    places = [place - len(array.shape) for place, size in enumerate(array.shape) if size != 1]
    return (
        len(places) == 1
        and len(array.shape) <= x.rank
        and x.axes[places[0]] == 0
        and array.shape[places[0]] == x.operation.shape[0]
    )
