"""Quantized models: numbers of 8 bits that stand for others, with a scale and a zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archcalc.importing.onnx_graph.arrays import OnnxArray
from archcalc.importing.onnx_graph.values import OnnxCall, OnnxOutputs, onnx_operation
from archcalc.importing.tensors import Unsupported

if TYPE_CHECKING:
    from archcalc.executor.kernel import Array

NOTE = (
    "the model is quantized: its layers are counted as if they computed with floating point numbers, and a "
    "range that values are limited to, which may stand for a `relu`, is not counted"
)


@onnx_operation("QuantizeLinear", "DequantizeLinear")
def rounded(call: OnnxCall) -> OnnxOutputs:
    """Values are rounded and limited to a range, and that is not counted: the tensor passes through."""
    call.unused("axis", "saturate", "block_size", "output_dtype", "precision")
    x = call.tensor()
    call.needed_array(1)
    call.array(2)
    call.assembly.note(NOTE)
    call.graph.is_quantized = True
    return [x]


def dequantized(call: OnnxCall) -> OnnxArray:
    """An array of the model with the numbers that its own stand for: still the same array."""
    x, scale, zero = call.needed_array(0), call.needed_array(1), call.array(2)
    _check_scales(call, x, scale)
    axis = call.whole("axis", 1)

    def load() -> Array:
        shape = _along(x.shape, scale, axis)
        at = 0 if zero is None else zero.values.astype(np.float32).reshape(shape)
        return (x.load().astype(np.float32) - at) * scale.values.astype(np.float32).reshape(shape)

    return OnnxArray(x.key, x.shape, is_float=True, load=load, is_own=x.is_own)


def _check_scales(call: OnnxCall, x: OnnxArray, scale: OnnxArray) -> None:
    """Raise `Unsupported` unless there is one scale, or one for each place along an axis."""
    axis = call.whole("axis", 1)
    scale.is_argument = True
    if call.whole("block_size", 0) or len(scale.shape) > 1 or x.dims != tuple(range(len(x.shape))):
        raise Unsupported("its scales are not one for each channel")
    if scale.size != 1 and (not -len(x.shape) <= axis < len(x.shape) or scale.size != x.shape[axis]):
        raise Unsupported("its scales are not one for each channel")


def _along(shape: tuple[int, ...], scale: OnnxArray, axis: int) -> list[int]:
    """The shape in which the scales stand along their axis."""
    found = [1] * len(shape)
    if scale.size > 1:
        found[axis] = scale.size
    return found


def quantized(call: OnnxCall) -> OnnxArray:
    """An array of the model rounded to whole numbers: still the same array."""
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
