"""Normalizations."""

from __future__ import annotations

from fractions import Fraction

from archcalc.importing.tensors import BATCH, Tensor, Unsupported
from archcalc.importing.torch_export.graph import StoredArray
from archcalc.importing.torch_export.values import AtenCall, Outputs, operation
from archcalc.layers.arithmetic import Shift
from archcalc.layers.base import KINDS
from archcalc.layers.merge import Mul
from archcalc.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LayerScale

CUDNN = "cudnn_enabled"


@operation("batch_norm")
def batch_norm(call: AtenCall) -> Outputs:
    """Also in `training` mode, because costs are those of inference."""
    call.unused(CUDNN, "training")
    x = _channels_second(call)
    weight, bias = _affine(call)
    mean, var = call.array("running_mean"), call.array("running_var")
    if (mean is None) != (var is None):
        raise Unsupported("it has one of two running statistics")
    has_momentum = call.value("momentum", 0.1) is not None  # without a momentum, statistics are plain means
    layer = BatchNorm(
        eps=call.number("eps", 1e-5),
        momentum=call.number("momentum", 0.1) if has_momentum else Fraction(1, 10),
        affine=weight is not None,
        track_running_stats=mean is not None,
    )
    return [call.add(layer, x, weight=weight, bias=bias, running_mean=mean, running_var=var)]


@operation("layer_norm")
def layer_norm(call: AtenCall) -> Outputs:
    """Layer normalization over the last axis, or over all axes of a sample."""
    call.unused("cudnn_enable")
    x = call.tensor("input")
    weight, bias = call.array("weight"), call.array("bias")
    if weight is None and bias is not None:
        raise Unsupported("it has a shift without a scale")
    over = len(call.wholes("normalized_shape"))
    if over == 1:
        dim, x = "channels", call.channels_at(x, -1)
    elif over == x.rank - 1:
        dim, x = "all", call.map("input")
    else:
        raise Unsupported(f"it normalizes {over} axes of {x.rank}")
    layer = LayerNorm(
        dim,
        eps=call.number("eps", 1e-5),
        elementwise_affine=weight is not None,
        bias=bias is not None or weight is None,
    )
    return [call.add(layer, x, weight=weight, bias=bias)]


@operation("rms_norm")
def rms_norm(call: AtenCall) -> Outputs:
    """RMS normalization over the last axis: `x / sqrt(mean(x * x) + eps)`, times a scale."""
    x, weight, eps = call.tensor("input"), call.array("weight"), call.value("eps")
    if len(call.wholes("normalized_shape")) != 1:
        raise Unsupported("it normalizes more than one axis")
    call.must_fit(weight is None or len(weight.shape) == 1)
    x = call.channels_at(x, -1)
    least = Fraction(2) ** -23 if eps is None else call.number("eps")  # the epsilon of single precision
    mean = call.add(KINDS["reduce"]("mean", "channels"), call.add(KINDS["square"](), x))
    found = call.assembly.joined(Mul(), x, call.add(KINDS["rsqrt"](), call.add(Shift(least), mean)))
    return [found if weight is None else call.add(LayerScale(), found, weight=weight)]


@operation("group_norm")
def group_norm(call: AtenCall) -> Outputs:
    call.unused(CUDNN)
    x = _channels_second(call)
    weight, bias = _affine(call)
    layer = GroupNorm(call.whole("num_groups"), eps=call.number("eps", 1e-5), affine=weight is not None)
    return [call.add(layer, x, weight=weight, bias=bias)]


@operation("instance_norm")
def instance_norm(call: AtenCall) -> Outputs:
    call.unused(CUDNN, "momentum")
    call.must_be("running_mean", None)
    call.must_be("running_var", None)
    call.must_be("use_input_stats", True)
    x = _channels_second(call)
    weight, bias = _affine(call)
    return [
        call.add(
            InstanceNorm(eps=call.number("eps", 1e-5), affine=weight is not None), x, weight=weight, bias=bias
        )
    ]


def _channels_second(call: AtenCall) -> Tensor:
    x = call.tensor("input")
    if x.axes[0] != BATCH:
        raise Unsupported("the batch is not its first axis")
    return call.channels_at(x, 1)


def _affine(call: AtenCall) -> tuple[StoredArray | None, StoredArray | None]:
    """Return scale and shift: both, or neither."""
    weight, bias = call.array("weight"), call.array("bias")
    if (weight is None) != (bias is None):
        raise Unsupported("it has only one of scale and shift")
    return weight, bias
