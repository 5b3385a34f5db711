"""Sums, differences and products: of tensors, of a tensor and an array, of a tensor and a number."""

from __future__ import annotations

from typing import Any

from archcalc.importing.tensors import ExpandedTensor, Tensor, Unsupported
from archcalc.importing.torch_export.graph import StoredArray
from archcalc.importing.torch_export.norms import per_channel
from archcalc.importing.torch_export.values import AtenCall, Outputs, as_tensor, operation
from archcalc.layers.merge import Add, Mul, Sub
from archcalc.layers.norm import LayerScale


@operation("add")
def add(call: AtenCall) -> Outputs:
    call.must_be("alpha", 1, 1.0)
    one, two = call.value("self"), call.value("other")
    if _is(two, 0):
        return call.identity("self")
    if _is(one, 0):
        return call.identity("other")
    return [call.assembly.joined(Add(), *_equal(as_tensor(one), as_tensor(two)))]


@operation("sub")
def sub(call: AtenCall) -> Outputs:
    call.must_be("alpha", 1, 1.0)
    if _is(call.value("other"), 0):
        return call.identity("self")
    return [call.assembly.joined(Sub(), *_equal(call.tensor("self"), call.tensor("other")))]


@operation("mul")
def mul(call: AtenCall) -> Outputs:
    """An array with a value for each channel is a `layer_scale`; axes of size 1 are repeated."""
    one, two = call.value("self"), call.value("other")
    if _is(two, 1):
        return call.identity("self")
    if _is(one, 1):
        return call.identity("other")
    for x, array in ((one, two), (two, one)):
        if isinstance(x, Tensor) and isinstance(array, StoredArray):
            x, _ = per_channel(call, x, array)
            return [call.add(LayerScale(), x, weight=array)]
    first, second = (as_tensor(v.tensor if isinstance(v, ExpandedTensor) else v) for v in (one, two))
    if first.rank != second.rank:
        raise Unsupported(f"it multiplies tensors of {first.rank} and {second.rank} axes")
    return [call.assembly.joined(Mul(), first, second)]


@operation("div")
def div(call: AtenCall) -> Outputs:
    call.must_be("rounding_mode", None)
    if not _is(call.value("other"), 1):
        raise Unsupported("it divides")
    return call.identity("self")


def _is(value: Any, number: int) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == number


def _equal(one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
    if one.shape != two.shape:
        raise Unsupported("its tensors have different shapes")
    return one, two
