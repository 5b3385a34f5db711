"""Kernels of the joins."""

from __future__ import annotations

import numpy as np

from archcalc.diagnostics import error
from archcalc.executor.kernel import Array, Call, axis_of, kernel
from archcalc.executor.reshape import channels_first, channels_last
from archcalc.layers.merge import Add, Concat, Div, Mul, Stack, Sub
from archcalc.layers.opaque import Opaque


@kernel(Concat)
def concat(layer: Concat, call: Call) -> Array:
    return np.concatenate(call.inputs, axis=axis_of(layer.dim, call.x))


@kernel(Add)
def add(layer: Add, call: Call) -> Array:
    first, second, *others = call.inputs
    spare = call.spare if np.broadcast_shapes(first.shape, second.shape) == first.shape else None
    out: Array = np.add(first, second, out=spare)
    for other in others:
        stretches = np.broadcast_shapes(out.shape, other.shape) != out.shape
        out = np.add(out, other, out=None if stretches else out)
    return out


@kernel(Mul)
def mul(layer: Mul, call: Call) -> Array:
    out = call.inputs[0]
    for other in call.inputs[1:]:
        out = out * other
    return out


@kernel(Sub)
def sub(layer: Sub, call: Call) -> Array:
    out: Array = call.inputs[0] - call.inputs[1]
    return out


@kernel(Stack)
def stack(layer: Stack, call: Call) -> Array:
    # the batch moves axes by one; negative axes count from the end of the result
    axis = layer.dim if layer.dim < 0 else layer.dim + 1
    return channels_last(np.stack([channels_first(x) for x in call.inputs], axis=axis))


@kernel(Div)
def div(layer: Div, call: Call) -> Array:
    out: Array = call.inputs[0] / call.inputs[1]
    return out


@kernel(Opaque)
def opaque(layer: Opaque, call: Call) -> Array:
    raise error(f"`{layer.op}` cannot be run, because archcalc does not know the operation")
