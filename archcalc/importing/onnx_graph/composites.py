"""Functions that older versions of ONNX write as several nodes, matched backward from the last node.

The nodes before the last one were already converted. Nothing else reads them, so they are dropped.
"""

from __future__ import annotations

import math

from archcalc.importing.onnx_graph.arrays import OnnxArray
from archcalc.importing.onnx_graph.constants import axis_in
from archcalc.importing.onnx_graph.shapes import reshape_target
from archcalc.importing.onnx_graph.values import (
    OnnxCall,
    OnnxOutputs,
    OnnxValue,
    as_tensor,
    composite,
    decimal,
)
from archcalc.importing.tensors import BATCH, Tensor, Unsupported
from archcalc.layers.activation import GELU, HardSigmoid, HardSwish
from archcalc.layers.norm import GlobalResponseNorm, GroupNorm, InstanceNorm, LayerNorm
from archcalc.layers.reshape import Reshape


class OtherNodes(Unsupported):
    """Raised for nodes that resemble a function but are something else.

    Create an instance at each `raise`: a shared one would keep alive the nodes of every model that raised it.
    """

    def __init__(self) -> None:
        super().__init__("it is something else")


def _number_and_rest(call: OnnxCall, value: float) -> int | None:
    """Return the place of the other input, if one of the inputs is this number."""
    for place in (0, 1):
        number = call.single(place)
        if number is not None and math.isclose(number, value, rel_tol=1e-5):
            return 1 - place
    return None


def _scaled(call: OnnxCall | None, factor: float) -> tuple[OnnxCall, int] | None:
    """Return the node and its other input's place, if it multiplies by a factor or divides by the inverse."""
    if call is None:
        return None
    if call.node.op == "Mul" and (place := _number_and_rest(call, factor)) is not None:
        return call, place
    number = call.single(1)
    if call.node.op == "Div" and number is not None and math.isclose(number, 1 / factor, rel_tol=1e-5):
        return call, 0
    return None


@composite("Mul", "Div")
def gelu(call: OnnxCall) -> OnnxOutputs:
    """`x · (1 + erf(x / √2)) / 2`, with the division by 2 in any of three places."""
    outer = _scaled(call, 0.5)
    product = outer[0].maker(outer[1], "Mul") if outer is not None else call
    if product is None or product.node.op != "Mul":
        raise OtherNodes
    for place in (0, 1):
        gate = product.maker(place, "Add")
        half = None
        if gate is None and outer is None:
            half = _scaled(product.maker(place, "Mul", "Div"), 0.5)
            gate = half[0].maker(half[1], "Add") if half is not None else None
        if gate is None:
            continue
        x = product.input(1 - place)
        if outer is None and half is None:
            first = _scaled(product.maker(1 - place, "Mul", "Div"), 0.5)
            if first is None:
                continue
            x = first[0].input(first[1])
        kind = _gelu_kind(gate, x)
        if kind:
            return [call.add(GELU(kind), as_tensor(x))]
    raise OtherNodes


def _gelu_kind(gate: OnnxCall, x: OnnxValue | None) -> str:
    """Return which approximation of GELU `1 + ...` belongs to, for this tensor; empty if none."""
    place = _number_and_rest(gate, 1)
    if place is None or x is None:
        return ""
    if (erf := gate.maker(place, "Erf")) is not None:
        inner = _scaled(erf.maker(0, "Mul", "Div"), math.sqrt(0.5))
        return "none" if inner is not None and inner[0].input(inner[1]) is x else ""
    if (tanh := gate.maker(place, "Tanh")) is None:
        return ""
    outer = _scaled(tanh.maker(0, "Mul"), math.sqrt(2 / math.pi))
    total = outer[0].maker(outer[1], "Add") if outer is not None else None
    if total is None:
        return ""
    for at in (0, 1):
        cubed = _scaled(total.maker(at, "Mul"), 0.044715)
        power = cubed[0].maker(cubed[1], "Pow") if cubed is not None else None
        is_cube = power is not None and power.single(1) == 3 and power.input(0) is x
        if is_cube and total.input(1 - at) is x:
            return "tanh"
    return ""


def _clipped(call: OnnxCall | None) -> OnnxValue | None:
    """Return `x` of `clip(x + 3, 0, 6)`."""
    if call is None:
        return None
    limits = [
        call.single(place) if call.input(place) is not None else call.attribute(name)
        for place, name in ((1, "min"), (2, "max"))
    ]
    shifted = call.maker(0, "Add")
    if limits != [0, 6] or shifted is None or (place := _number_and_rest(shifted, 3)) is None:
        return None
    return shifted.input(place)


@composite("Div", "Mul")
def hard_swish(call: OnnxCall) -> OnnxOutputs:
    """`x · clip(x + 3, 0, 6) / 6`, or only `clip(x + 3, 0, 6) / 6`."""
    outer = _scaled(call, 1 / 6)
    if outer is None:
        raise OtherNodes
    x = _clipped(call.maker(outer[1], "Clip"))
    if x is not None:
        return [call.add(HardSigmoid(), as_tensor(x))]
    product = call.maker(outer[1], "Mul")
    for place in (0, 1) if product is not None else ():
        assert product is not None
        x = _clipped(product.maker(place, "Clip"))
        if x is not None and product.input(1 - place) is x:
            return [call.add(HardSwish(), as_tensor(x))]
    raise OtherNodes


@composite("Div")
def layer_norm(call: OnnxCall) -> OnnxOutputs:
    """`(x - mean) / √(mean of squares + eps)`; the scale and the shift follow in later nodes."""
    root = call.maker(1, "Sqrt")
    total = root.maker(0, "Add") if root is not None else None
    centered = call.input(0)
    subtract = call.graph.source(call.node.inputs[0])
    if total is None or subtract is None or subtract.node.op != "Sub":
        raise OtherNodes
    for place in (0, 1):
        eps, variance = total.single(1 - place), total.maker(place, "ReduceMean")
        square = variance.maker(0, "Pow", "Mul") if variance is not None else None
        mean = subtract.maker(1, "ReduceMean")
        if eps is None or variance is None or square is None or mean is None:
            continue
        is_square = square.single(1) == 2 if square.node.op == "Pow" else square.input(1) is centered
        same = square.input(0) is centered and mean.input(0) is subtract.input(0)
        x = as_tensor(subtract.input(0))
        dims = _normalized(mean, x)
        if not is_square or not same or dims is None or dims != _normalized(variance, x):
            continue
        if len(dims) == 1:
            return [call.add(LayerNorm("channels", decimal(eps), False), call.channels_at(x, dims[0]))]
        if dims == list(range(1, x.rank)) and x.axes[0] == BATCH:
            return [call.add(LayerNorm("all", decimal(eps), False), call.assembly.plain(x))]
    raise OtherNodes


def _normalized(mean: OnnxCall, x: Tensor) -> list[int] | None:
    """Return the axes of a mean that keeps them as axes of size 1."""
    axes = mean.axes()
    if not axes or not mean.whole("keepdims", 1):
        return None
    return sorted(axis_in(axis, x.rank) for axis in axes)


@composite("Reshape")
def group_norm(call: OnnxCall) -> OnnxOutputs:
    """An instance normalization of groups, on a tensor reshaped to `[batch, groups, rest]`."""
    norm = call.maker(0, "InstanceNormalization")
    y = call.input(0)
    if norm is None or not isinstance(y, Tensor) or not isinstance(y.operation.layer, InstanceNorm):
        raise OtherNodes
    (grouped,) = y.operation.inputs
    if not isinstance(grouped.layer, Reshape) or norm.maker(0, "Reshape") is None:
        raise OtherNodes
    scale, shift = norm.constant(1), norm.constant(2)
    if scale is None or shift is None or (scale != 1).any() or shift.any():
        raise OtherNodes
    before = call.graph.source(norm.node.inputs[0])
    source = as_tensor(before.input(0) if before is not None else None)
    if source.operation is not grouped.inputs[0] or not source.is_plain:
        raise OtherNodes
    if reshape_target(call) != call.graph.shape(source):
        raise OtherNodes
    return [call.add(GroupNorm(grouped.shape[0], y.operation.layer.eps, affine=False), source)]


@composite("Add")
def response_norm(call: OnnxCall) -> OnnxOutputs:
    """`x + beta + gamma · x · n / (mean(n) + eps)`, where `n` are the norms of the maps (Woo et al. 2023)."""
    for place in (0, 1):
        x, shifted = call.input(place), call.maker(1 - place, "Add")
        bias, scaled = _array_and_maker(shifted, "Mul")
        while scaled is not None and (rest := _number_and_rest(scaled, 1)) is not None:
            scaled = scaled.maker(rest, "Mul")  # `addcmul` multiplies by a factor of 1
        weight, product = _array_and_maker(scaled, "Mul")
        at = next((at for at in (0, 1) if product is not None and product.input(at) is x), None)
        quotient = product.maker(1 - at, "Div") if product is not None and at is not None else None
        total = quotient.maker(1, "Add") if quotient is not None else None
        if not isinstance(x, Tensor) or quotient is None or total is None or weight is None or bias is None:
            continue
        norm = call.graph.source(quotient.node.inputs[0])
        eps, mean = total.single(1), total.maker(0, "ReduceMean")
        if eps is None or mean is None or norm is None or norm.node.op != "ReduceL2":
            continue
        over, channel = _normalized(norm, x), _normalized(mean, x)
        is_norm = norm.input(0) is x and mean.input(0) is quotient.input(0)
        if not is_norm or over is None or channel is None or len(channel) != 1 or x.axes[0] != BATCH:
            continue
        if sorted([0, *over, *channel]) == list(range(x.rank)) and x.rank > 2:
            x = call.channels_at(x, channel[0])
            if {weight.size, bias.size} == {x.operation.shape[0]}:
                return [call.add(GlobalResponseNorm(decimal(eps)), x, weight=weight, bias=bias)]
    raise OtherNodes


def _array_and_maker(call: OnnxCall | None, op: str) -> tuple[OnnxArray | None, OnnxCall | None]:
    """For a node with an array and a tensor, return the array and the node that computes the tensor."""
    for place in (0, 1):
        array = call.input(place) if call is not None else None
        if isinstance(array, OnnxArray) and call is not None:
            return array, call.maker(1 - place, op)
    return None, None


@composite("Gather")
def strided_view(call: OnnxCall) -> OnnxOutputs:
    """A reshape of all values in order, which PyTorch's newer exporter writes for `as_strided`."""
    flat, indices = call.maker(0, "Reshape"), call.needed_array(1)
    if flat is None or len(call.shape()) != 1 or call.whole("axis", 0) != 0:
        raise OtherNodes
    x = as_tensor(flat.input(0))
    places = indices.values.reshape(-1)
    if places.size != math.prod(flat.shape()) or (places != range(places.size)).any():
        raise OtherNodes
    return [call.reshaped(x, indices.shape)]
