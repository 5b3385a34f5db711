"""Convolutions and linear layers."""

from __future__ import annotations

import math
from collections.abc import Mapping

from archcalc.importing.tensors import Tensor, Unsupported
from archcalc.importing.torch_export.graph import StoredArray
from archcalc.importing.torch_export.operands import joined
from archcalc.importing.torch_export.values import AtenCall, ComputedWeight, KnownArray, Outputs, operation
from archcalc.layers.arguments import GivenTensor
from archcalc.layers.base import KINDS
from archcalc.layers.conv import Conv, ConvTranspose, Pointwise
from archcalc.layers.linear import FullyConnected
from archcalc.layers.merge import Add
from archcalc.layers.reshape import Reshape


@operation("conv1d", "conv2d", "conv3d")
def conv(call: AtenCall) -> Outputs:
    rank = int(call.node.target[-2])
    way = "own"
    more: Mapping[str, StoredArray] = {}
    if isinstance(computed := call.value("weight"), ComputedWeight):
        way, more = computed.way, computed.arrays
    x, weight, bias = _arrays(call, rank)
    padding = call.value("padding", 0)
    if padding not in ("same", "valid"):
        padding = call.per_axis("padding", rank, 0)
    layer = Conv(
        weight.shape[0],
        _kernel(weight),
        stride=call.per_axis("stride", rank, 1),
        padding=padding,
        dilation=call.per_axis("dilation", rank, 1),
        groups=call.whole("groups", 1),
        bias=bias is not None,
        weight=way,
    )
    return [_with_arrays(call, layer, x, weight, bias, (1, 0), more)]


@operation("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def conv_transpose(call: AtenCall) -> Outputs:
    rank = int(call.node.target[-2])
    x, weight, bias = _arrays(call, rank)
    groups = call.whole("groups", 1)
    layer = ConvTranspose(
        weight.shape[1] * groups,
        _kernel(weight),
        stride=call.per_axis("stride", rank, 1),
        padding=call.per_axis("padding", rank, 0),
        output_padding=call.per_axis("output_padding", rank, 0),
        groups=groups,
        bias=bias is not None,
        dilation=call.per_axis("dilation", rank, 1),
    )
    return [_with_arrays(call, layer, x, weight, bias, (0, 1))]


def _arrays(call: AtenCall, rank: int) -> tuple[Tensor, StoredArray, StoredArray | None]:
    x, weight, bias = call.map("input", rank), weight_of(call), call.array("bias")
    if weight is None or len(weight.shape) != rank + 2 or weight.is_view:
        raise Unsupported("its weight has other axes in the model")
    return x, weight, bias


def weight_of(call: AtenCall) -> StoredArray | None:
    """Return the array of a weight, or the arrays that it is computed from."""
    value = call.value("weight")
    return value.array if isinstance(value, ComputedWeight) else call.array("weight")


def _kernel(weight: StoredArray) -> int | tuple[int, ...]:
    sizes = weight.shape[2:]
    return sizes[0] if len(set(sizes)) == 1 else sizes


def _with_arrays(
    call: AtenCall,
    layer: Conv | ConvTranspose,
    x: Tensor,
    weight: StoredArray,
    bias: StoredArray | None,
    channels: tuple[int, int],
    more: Mapping[str, StoredArray] | None = None,
) -> Tensor:
    """The executor expects kernel axes first, then channels; `channels` arranges the latter."""
    arrays = {"weight": (weight, (*range(2, len(weight.shape)), *channels))}
    arrays |= {name: (array, ()) for name, array in (more or {}).items()}
    if bias is not None:
        arrays["bias"] = (bias, ())
    return call.add_arranged(layer, x, arrays=arrays)


def _deforming(call: AtenCall) -> tuple[Tensor, StoredArray, StoredArray | None]:
    """Like `_arrays`, except that torchvision passes zeros in place of a missing bias."""
    given = call.value("bias")
    if not isinstance(given, KnownArray) or given.values.any():
        return _arrays(call, 2)
    x, weight = call.map("input", 2), weight_of(call)
    if weight is None or len(weight.shape) != 4 or weight.is_view:
        raise Unsupported("its weight has other axes in the model")
    return x, weight, None


@operation("deform_conv2d")
def deform_conv(call: AtenCall) -> Outputs:
    """The operation from torchvision; version 1 if there is no mask."""
    x, weight, bias = _deforming(call)
    tensors = [x, call.map("offset", 2)]
    has_mask = call.flag("use_mask", False)
    if has_mask:
        tensors.append(call.map("mask", 2))
    else:
        call.unused("mask")
    call.unused("offset_groups", "n_offset_grps")  # the number of offset channels gives this

    def pair(name: str) -> tuple[int, int]:
        return call.whole(f"{name}_h"), call.whole(f"{name}_w")

    groups = "groups" if call.value("groups") is not None else "n_weight_grps"
    layer = KINDS["deform_conv"](
        weight.shape[0],
        _kernel(weight),
        GivenTensor(),
        mask=GivenTensor() if has_mask else None,
        stride=pair("stride"),
        padding=pair("pad"),
        dilation=pair("dilation"),
        groups=call.whole(groups, 1),
        bias=bias is not None,
    )
    arrays: dict[str, tuple[StoredArray, tuple[int, ...]]] = {"weight": (weight, (2, 3, 1, 0))}
    if bias is not None:
        arrays["bias"] = (bias, ())
    return [call.add_arranged(layer, *tensors, arrays=arrays)]


@operation("linear")
def linear(call: AtenCall) -> Outputs:
    """A linear layer over the last axis: `fc` for a vector, `pointwise` if there are spatial axes.

    A bias that the model computes is added afterward.
    """
    if isinstance(given := call.value("bias"), Tensor):
        return [joined(call, Add(), _linear(call, None), given)]
    return [_linear(call, call.array("bias"))]


def _linear(call: AtenCall, bias: StoredArray | None) -> Tensor:
    x, weight = call.tensor("input"), weight_of(call)
    if weight is None or len(weight.shape) != 2 or weight.is_view:
        raise Unsupported("its weight is not a matrix of the model")
    x = call.channels_at(x, -1)
    kind = FullyConnected if len(x.operation.shape) == 1 else Pointwise
    computed = call.value("weight")
    way, more = ("own", {}) if isinstance(computed, StoredArray) else (computed.way, computed.arrays)
    arrays: dict[str, tuple[StoredArray, tuple[int, ...]]] = {"weight": (weight, (1, 0))}
    if bias is not None:
        arrays["bias"] = (bias, ())
    arrays |= {name: (array, ()) for name, array in more.items()}
    layer = kind(weight.shape[0], bias=bias is not None, weight=way)
    own = x.operation.shape
    if len(own) <= 4:
        return call.add_arranged(layer, x, arrays=arrays)
    places = call.assembly.add(Reshape((own[0], math.prod(own[1:]))), x)
    found = call.add_arranged(layer, places, arrays=arrays)
    return call.assembly.add(Reshape((weight.shape[0], *own[1:])), found, axes=x.axes)
