"""Quantized models: low-bit integers that represent real numbers, with a scale and a zero point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from archcalc.importing.onnx_graph.arrays import OnnxArray
from archcalc.importing.onnx_graph.records import OnnxNodeRecord
from archcalc.importing.onnx_graph.values import (
    OnnxCall,
    OnnxComputed,
    OnnxOutputs,
    OnnxValue,
    composite,
    onnx_operation,
)
from archcalc.importing.tensors import Tensor, Unsupported

if TYPE_CHECKING:
    from archcalc.executor.kernel import Array

NOTE = (
    "the model is quantized: its layers are counted as if they computed with floating point numbers. "
    "Rounding and clipping, which can replace a `relu`, are not counted"
)

RUNTIME = "com.microsoft"
"""The domain of onnxruntime's own operators."""

ON_WHOLE_NUMBERS = {
    ("", "QLinearConv"): ("Conv", (0, 3, 8)),
    ("", "ConvInteger"): ("Conv", (0, 1)),
    ("", "QLinearMatMul"): ("MatMul", (0, 3)),
    ("", "MatMulInteger"): ("MatMul", (0, 1)),
    (RUNTIME, "QGemm"): ("Gemm", (0, 3, 6)),
    (RUNTIME, "QLinearAdd"): ("Add", (0, 3)),
    (RUNTIME, "QLinearMul"): ("Mul", (0, 3)),
    (RUNTIME, "QLinearConcat"): ("Concat", tuple(range(2, 1000, 3))),
    (RUNTIME, "QLinearAveragePool"): ("AveragePool", (0,)),
    (RUNTIME, "QLinearGlobalAveragePool"): ("GlobalAveragePool", (0,)),
    (RUNTIME, "QLinearLeakyRelu"): ("LeakyRelu", (0,)),
    (RUNTIME, "QLinearSigmoid"): ("Sigmoid", (0,)),
}
"""Integer operations: their floating-point counterparts, and the places of those operations' inputs."""


class QuantizedScale(OnnxComputed, frozen=True, eq=False):
    """The scale of a tensor that is quantized during a run, or its product with the weights' scales."""


def on_floats(call: OnnxCall, opset: int) -> OnnxCall:
    """Return an integer operation as its floating-point counterpart; other calls are returned unchanged.

    `opset` is the version of ONNX's own operators.
    """
    node = call.node
    domain = "" if node.domain == "ai.onnx" else node.domain
    op, places = ON_WHOLE_NUMBERS.get((domain, node.op), ("", ()))
    if not op:
        return call
    places = tuple(place for place in places if place < len(call.inputs))
    record = OnnxNodeRecord(
        inputs=[node.inputs[place] for place in places],
        outputs=node.outputs,
        name=node.name,
        op=op,
        attributes=node.attributes,
        metadata=node.metadata,
    )
    attributes = dict(call.all_attributes)
    if "channels_last" in attributes and not attributes["channels_last"].whole:
        del attributes["channels_last"]
    inputs = [_as_float(call.inputs[place]) for place in places]
    _note(call)
    return OnnxCall(call.graph, record, inputs, attributes, opset)


def _as_float(value: OnnxValue | None) -> OnnxValue | None:
    """Return an integer array as the floating-point numbers that it represents: still the same array."""
    if isinstance(value, OnnxArray) and not value.is_float:
        return replace(value, is_float=True, _values=None)
    return value


def _note(call: OnnxCall) -> None:
    call.assembly.note(NOTE)
    call.graph.is_quantized = True


@onnx_operation("QuantizeLinear", "DequantizeLinear")
def rounded(call: OnnxCall) -> OnnxOutputs:
    """Rounding and clipping are not counted: the output is the input."""
    call.unused("axis", "saturate", "block_size", "output_dtype", "precision")
    x = call.tensor()
    if not isinstance(call.input(1), QuantizedScale):
        call.needed_array(1)
        call.array(2)
    _note(call)
    return [x]


@onnx_operation("DynamicQuantizeLinear")
def rounded_during_a_run(call: OnnxCall) -> OnnxOutputs:
    """Computing the scale and the zero point from the values is not counted either."""
    x = call.tensor()
    _note(call)
    scale = QuantizedScale(call.node.op, (), (x,))
    return [x, scale, scale]


@composite("Mul")
def rescaled(call: OnnxCall) -> OnnxOutputs:
    """The scales of both factors turn an integer product into floating point, at no cost."""
    places = [place for place, value in enumerate(call.inputs) if isinstance(value, QuantizedScale)]
    if not places or len(call.inputs) != 2:
        raise Unsupported("it does not rescale")
    scale, other = call.inputs[places[0]], call.inputs[1 - places[0]]
    if isinstance(other, Tensor):
        return [other]
    if isinstance(other, OnnxArray):
        other.is_argument = True
    elif not isinstance(other, QuantizedScale):
        raise Unsupported("it does not rescale")
    assert isinstance(scale, QuantizedScale)
    return [scale]


def dequantized(call: OnnxCall) -> OnnxArray:
    """Return an array of the model as the numbers that its integers represent: still the same array."""
    x, scale, zero = call.needed_array(0), call.needed_array(1), call.array(2)
    _check_scales(call, x, scale)
    axis = call.whole("axis", 1)

    def load() -> Array:
        shape = _along(x.shape, scale, axis)
        at = 0 if zero is None else zero.values.astype(np.float32).reshape(shape)
        return (x.load().astype(np.float32) - at) * scale.values.astype(np.float32).reshape(shape)

    return OnnxArray(x.key, x.shape, is_float=True, load=load, is_own=x.is_own)


def _check_scales(call: OnnxCall, x: OnnxArray, scale: OnnxArray) -> None:
    """Raise `Unsupported` unless there is one scale, or one per position along an axis."""
    axis = call.whole("axis", 1)
    scale.is_argument = True
    if call.whole("block_size", 0) or len(scale.shape) > 1 or x.dims != tuple(range(len(x.shape))):
        raise Unsupported("its scales are not one for each channel")
    if scale.size != 1 and (not -len(x.shape) <= axis < len(x.shape) or scale.size != x.shape[axis]):
        raise Unsupported("its scales are not one for each channel")


def _along(shape: tuple[int, ...], scale: OnnxArray, axis: int) -> list[int]:
    """Return the shape that broadcasts the scales along their axis."""
    found = [1] * len(shape)
    if scale.size > 1:
        found[axis] = scale.size
    return found


def quantized(call: OnnxCall) -> OnnxArray:
    """Return an array of the model rounded to integers: still the same array."""
    x, scale, zero = call.needed_array(0), call.needed_array(1), call.array(2)
    _check_scales(call, x, scale)
    axis, kind = call.whole("axis", 1), np.dtype(np.uint8) if zero is None else zero.values.dtype
    limits = np.iinfo(kind)

    def load() -> Array:
        shape = _along(x.shape, scale, axis)
        at = 0 if zero is None else zero.values.astype(np.float32).reshape(shape)
        rounded = np.rint(x.load().astype(np.float32) / scale.values.reshape(shape)) + at
        return np.clip(rounded, limits.min, limits.max).astype(kind)

    return OnnxArray(x.key, x.shape, is_float=False, load=load, is_own=x.is_own)
