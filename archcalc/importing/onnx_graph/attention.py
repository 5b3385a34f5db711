"""`Attention` as one operation: matrix products, softmax, and matrix products again."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from archcalc.importing.broadcasting import multiplied
from archcalc.importing.onnx_graph.arrays import OnnxArray, computed
from archcalc.importing.onnx_graph.operands import joined, operand
from archcalc.importing.onnx_graph.values import OnnxCall, OnnxOutputs, OnnxValue, onnx_operation
from archcalc.importing.tensors import Tensor, Unsupported
from archcalc.importing.views import axis_name, concrete
from archcalc.layers.arithmetic import Scale
from archcalc.layers.base import KINDS
from archcalc.layers.merge import Add


@onnx_operation("Attention")
def attention(call: OnnxCall) -> OnnxOutputs:
    """Scaled products of queries and keys, then their softmax times the values, as in PyTorch's function."""
    for place, why in ((4, "a past"), (5, "a past"), (6, "sequences with lengths of their own")):
        if call.input(place) is not None:
            raise Unsupported(f"it has {why}")
    for name, neutral in (("softcap", 0.0), ("left_window_size", -1), ("right_window_size", -1)):
        call.must_be(name, neutral)
    call.unused("softmax_precision", "qk_matmul_output_mode")
    query, key, value = (operand(call, call.input(place)) for place in range(3))
    is_flat, heads = query.rank == 3, call.whole("q_num_heads", 0)
    others = call.whole("kv_num_heads", heads)
    if is_flat:
        query, key, value = (_with_heads(call, x, heads) for x in (query, key, value))
    if heads != others or {x.rank for x in (query, key, value)} != {4}:
        raise Unsupported("several heads share their keys")
    width, length = (concrete(query, call.batch)[axis] for axis in (3, 2))
    if concrete(key, call.batch)[1] != concrete(query, call.batch)[1]:
        raise Unsupported("several heads share their keys")
    scores = multiplied(call.assembly, query, key.permuted([0, 1, 3, 2]))
    given = call.has("scale")
    scale = call.number("scale", 1.0) if given else Fraction(repr(1 / math.sqrt(width)))
    scores = call.add(Scale(scale), scores)
    if call.whole("is_causal", 0):
        places = concrete(key, call.batch)[2]
        seen = np.tril(np.ones((length, places), bool))
        scores = joined(call, Add(), scores, _mask(call, "causal", seen))
    if (mask := call.input(3)) is not None:
        scores = joined(call, Add(), scores, _added(call, mask))
    shares = call.add(KINDS["softmax"](axis_name(scores, -1)), scores)
    result = multiplied(call.assembly, shares, value)
    if is_flat:
        result = result.permuted([0, 2, 1, 3])
        sizes = concrete(result, call.batch)
        result = call.reshaped(result, [*sizes[:2], sizes[2] * sizes[3]])
    return [result]


def _with_heads(call: OnnxCall, x: Tensor, heads: int) -> Tensor:
    """Split the rows of a sequence by heads: batch, heads, sequence, head size."""
    sizes = concrete(x, call.batch)
    if heads < 1 or sizes[2] % heads:
        raise Unsupported("its heads do not divide the rows")
    return call.reshaped(x, [*sizes[:2], heads, sizes[2] // heads]).permuted([0, 2, 1, 3])


def _added(call: OnnxCall, mask: OnnxValue) -> OnnxValue:
    """Return the values to add to the scores: a boolean mask says which positions to attend to."""
    if not isinstance(mask, OnnxArray) or mask.is_float:
        return mask
    values = mask.values
    if values.dtype.kind != "b":
        raise Unsupported("its mask is made of whole numbers")
    return _mask(call, mask.key, values)


def _mask(call: OnnxCall, name: str, seen: np.ndarray) -> OnnxArray:
    if not seen.any(-1).all():
        raise Unsupported("a place looks at nothing")
    added = np.where(seen, np.float32(0), np.float32(-np.inf))
    return computed(f"{call.node.outputs[0]} {name}", added)
