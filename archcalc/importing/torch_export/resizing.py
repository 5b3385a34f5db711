"""Padding and resizing of maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archcalc.importing.tensors import Tensor, Unsupported
from archcalc.importing.torch_export.values import AtenCall, Outputs, operation
from archcalc.importing.views import concrete
from archcalc.layers.arguments import Number
from archcalc.layers.resize import Pad, Upsample


@operation("constant_pad_nd", "pad")
def pad(call: AtenCall) -> Outputs:
    """Values at the ends of axes, listed from the last axis to the first."""
    mode = call.value("mode", "constant")
    value = 0 if call.value("value") is None else call.number("value")
    return _padded(call, mode, value, call.wholes("pad"))


@operation("reflection_pad1d", "reflection_pad2d", "reflection_pad3d")
def reflection_pad(call: AtenCall) -> Outputs:
    return _padded(call, "reflect", 0, call.wholes("padding"))


@operation("replication_pad1d", "replication_pad2d", "replication_pad3d")
def replication_pad(call: AtenCall) -> Outputs:
    return _padded(call, "replicate", 0, call.wholes("padding"))


def _padded(call: AtenCall, mode: str, value: Number, listed: Sequence[int]) -> Outputs:
    x = call.tensor()
    more: dict[str, Any] = {"mode": mode} if mode != "constant" else {"value": value} if value else {}
    ends = {}
    for place in range(len(listed) // 2):
        before, after = listed[2 * place : 2 * place + 2]
        if before or after:
            ends[x.axis(-1 - place)] = (before, after)
    if not ends:
        return [x]
    if list(ends) == [0]:
        return [call.add(Pad(ends[0], dim="channels", **more), x)]
    if 0 in ends:
        raise Unsupported("it pads channels and places")
    places = range(1, len(x.operation.shape))
    return [call.add(Pad(tuple(ends.get(axis, (0, 0)) for axis in places), **more), x)]


@operation("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d")
def upsample_nearest(call: AtenCall) -> Outputs:
    return [_upsampled(call, "nearest")]


@operation("_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d")
def upsample_nearest_exact(call: AtenCall) -> Outputs:
    return [_upsampled(call, "nearest_exact")]


@operation("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d")
def upsample_linear(call: AtenCall) -> Outputs:
    return [_upsampled(call, "bilinear", call.flag("align_corners", False))]


@operation("upsample_bicubic2d")
def upsample_bicubic(call: AtenCall) -> Outputs:
    return [_upsampled(call, "bicubic", call.flag("align_corners", False))]


@operation("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa")
def upsample_antialiased(call: AtenCall) -> Outputs:
    """Resizing to the same size does nothing, as for position embeddings at the usual image size."""
    call.unused("align_corners")
    x = call.tensor("self" if call.value("input") is None else "input")
    scales = [call.value(name) for name in ("scales_h", "scales_w", "scale_factors")]
    size = call.value("output_size")
    if (
        size is None
        or tuple(size) != concrete(x, call.batch)[2:]
        or any(scale is not None for scale in scales)
    ):
        raise Unsupported("it is antialiased")
    return [x]


def _upsampled(call: AtenCall, mode: str, aligned: bool = False) -> Tensor:
    more = {"align_corners": True} if aligned else {}
    rank = int(call.node.target[-2])
    x = call.map("self" if call.value("input") is None else "input", rank)
    scales = [call.value("scale_factors"), call.value("scales")]
    scales += [call.value(name) for name in ("scales_d", "scales_h", "scales_w")]
    given = [scale for scale in scales if scale is not None]
    if call.value("output_size") is not None:
        if given:
            raise Unsupported("it has a size and a scale")
        return call.add(Upsample(size=call.per_axis("output_size", rank), mode=mode, **more), x)
    factors: Any = given[0] if len(given) == 1 else ()
    if not isinstance(factors, list | tuple) or len(factors) != rank:
        raise Unsupported("its scale is not one number for each axis")
    factor = factors[0] if len(set(factors)) == 1 else tuple(factors)
    return call.add(Upsample(scale_factor=factor, mode=mode, **more), x)
