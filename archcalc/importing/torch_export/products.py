"""Matrix products of tensors, and attention built from them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from archcalc.importing.broadcasting import multiplied
from archcalc.importing.tensors import BATCH, Tensor, Unsupported
from archcalc.importing.torch_export.graph import StoredArray
from archcalc.importing.torch_export.operands import joined, matrix
from archcalc.importing.torch_export.values import AtenCall, KnownArray, Outputs, operation
from archcalc.importing.views import axis_name
from archcalc.layers.arithmetic import Scale
from archcalc.layers.base import KINDS
from archcalc.layers.merge import Add


@operation("matmul", "bmm")
def matmul(call: AtenCall) -> Outputs:
    second = "other" if call.node.target == "aten.matmul" else "mat2"
    one, two = call.value("self"), call.value(second)
    return [multiplied(call.assembly, _matrices(call, one, two), _matrices(call, two, one))]


def _matrices(call: AtenCall, value: Any, other: Any) -> Tensor:
    """Return a factor of a product. An array that is one matrix loses its leading axes of size 1."""
    if isinstance(value, StoredArray | KnownArray) and isinstance(other, Tensor):
        shape = value.shape
        if 2 < len(shape) <= other.rank and math.prod(shape[:-2]) == 1:
            return matrix(call, value)
    return call.as_tensor(value)


@operation("baddbmm")
def baddbmm(call: AtenCall) -> Outputs:
    """`beta * self + alpha * batch1 @ batch2`."""
    product = multiplied(call.assembly, call.tensor("batch1"), call.tensor("batch2"))
    if (alpha := call.number("alpha", 1)) != 1:
        product = call.add(Scale(alpha), product)
    if (beta := call.number("beta", 1)) == 0:
        call.unused("self")
        return [product]
    added = call.value("self")
    if beta != 1:
        added = call.add(Scale(beta), call.as_tensor(added))
    return [joined(call, Add(), added, product)]


@operation("scaled_dot_product_attention")
def attention(call: AtenCall) -> Outputs:
    """Multiply queries by keys, scale, apply softmax, and multiply by values."""
    call.must_be("dropout_p", 0, 0.0)
    call.must_be("is_causal", False)
    call.must_be("enable_gqa", False)
    query, key, value = (call.tensor(name) for name in ("query", "key", "value"))
    scores = multiplied(call.assembly, query, _transposed(key))
    width = query.operation.shape[query.axis(-1)]
    scale = call.value("scale")
    factor = Fraction(repr(1 / math.sqrt(width))) if scale is None else call.number("scale")
    scores = call.add(Scale(factor), scores)
    if call.value("attn_mask") is not None:
        scores = joined(call, Add(), scores, call.value("attn_mask"))
    shares = call.add(KINDS["softmax"](axis_name(scores, -1)), scores)
    return [multiplied(call.assembly, shares, value)]


def _transposed(x: Tensor) -> Tensor:
    return x.permuted([*range(x.rank - 2), x.rank - 1, x.rank - 2])


@operation("einsum")
def einsum(call: AtenCall) -> Outputs:
    """Of two tensors, where every letter is an axis of both, or of one and the result."""
    from archcalc.importing.torch_export.shapes import reshaped

    call.must_be("path", None)
    equation = call.value("equation")
    tensors = call.tensors()
    if not isinstance(equation, str) or len(tensors) != 2 or "->" not in equation or "." in equation:
        raise Unsupported(f"`equation` is {str(equation)[:60]}")
    read, result = equation.replace(" ", "").split("->")
    one, two = read.split(",")
    if any(len(set(part)) != len(part) for part in (one, two, result)):
        raise Unsupported(f"`equation` is {equation[:60]}")
    stacked = [c for c in one if c in two and c in result]
    inner = [c for c in one if c in two and c not in result]
    rows = [c for c in one if c not in two]
    columns = [c for c in two if c not in one]
    if not inner or set(result) != {*stacked, *rows, *columns}:
        raise Unsupported(f"`equation` is {equation[:60]}")
    sizes: dict[str, int] = {}
    for letters, x in zip((one, two), tensors, strict=True):
        if len(letters) != x.rank:
            raise Unsupported(f"`equation` is {equation[:60]}")
        for letter, axis, size in zip(letters, x.axes, x.shape, strict=True):
            sizes[letter] = -size * call.batch if axis <= BATCH else size

    def arranged(x: Tensor, letters: str, *groups: list[str]) -> Tensor:
        """Put the axes in the order of the letters, then merge each of the last two groups into one axis."""
        lead, *merged = groups
        x = x.permuted([letters.index(c) for c in (*lead, *merged[0], *merged[1])])
        want = [sizes[c] for c in lead] + [math.prod(sizes[c] for c in group) for group in merged]
        return reshaped(call, x, want)

    product = multiplied(
        call.assembly,
        arranged(tensors[0], one, stacked, rows, inner),
        arranged(tensors[1], two, stacked, inner, columns),
    )
    order = [*stacked, *rows, *columns]
    product = reshaped(call, product, [sizes[c] for c in order])
    return [product.permuted([order.index(c) for c in result])]
