"""Normalization layers, and channel scaling."""

from __future__ import annotations

from typing import Any

from archcalc.importing.keras_config.values import CalledLayer, exact, is_number, keras_layer, shown_value
from archcalc.importing.tensors import ModelArray, Tensor, Unsupported
from archcalc.layers.arguments import Number
from archcalc.layers.arithmetic import Scale, Shift
from archcalc.layers.merge import Add
from archcalc.layers.norm import BatchNorm, GroupNorm, LayerNorm, LayerScale

TINY = 1e-7
"""The smallest deviation that Keras divides by."""


@keras_layer("BatchNormalization")
def batch_norm(call: CalledLayer) -> list[Tensor]:
    call.unused("synchronized", "renorm_clipping", "renorm_momentum")
    call.must_be("renorm", False)
    call.must_be("virtual_batch_size", None)
    x = call.channels_at(call.tensor(), _one_axis(call))
    scale, center = call.flag("scale", True), call.flag("center", True)
    layer = BatchNorm(
        eps=call.number("epsilon", 0.001),
        momentum=1 - call.number("momentum", 0.99),
        affine=scale or center,
        scale=scale or not center,
        bias=center or not scale,
    )
    return [call.add(layer, x, arrays=[*_scaled(scale, center), "running_mean", "running_var"])]


@keras_layer("LayerNormalization")
def layer_norm(call: CalledLayer) -> list[Tensor]:
    """Layer normalization over one axis, or over all axes of a sample."""
    call.must_be("rms_scaling", False)
    x = call.tensor()
    axes = call.wholes("axis", (-1,))
    scale, center = call.flag("scale", True), call.flag("center", True)
    if center and not scale:
        raise Unsupported("it has a shift without a scale")
    options: dict[str, Any] = {
        "eps": call.number("epsilon", 0.001),
        "elementwise_affine": scale,
        "bias": center or not scale,
    }
    names = _scaled(scale, center)
    if len(axes) == 1:
        return [call.add(LayerNorm("channels", **options), call.channels_at(x, axes[0]), arrays=names)]
    if [axis % x.rank for axis in axes] != list(range(1, x.rank)):
        raise Unsupported(f"it normalizes {len(axes)} axes of {x.rank}")
    # an array with the axes of the model, arranged in the operation's order
    order = tuple(x.order.index(axis) for axis in range(len(x.order)))
    arrays = {name: call.array(number, order) for number, name in enumerate(names)}
    return [call.assembly.add(LayerNorm("all", **options), x, arrays=arrays)]


@keras_layer("GroupNormalization")
def group_norm(call: CalledLayer) -> list[Tensor]:
    x = call.channels_at(call.tensor(), _one_axis(call))
    scale, center = call.flag("scale", True), call.flag("center", True)
    if scale != center:
        raise Unsupported("it has only one of scale and shift")
    groups = call.whole("groups", 32)
    groups = x.operation.shape[0] if groups == -1 else groups
    layer = GroupNorm(groups, eps=call.number("epsilon", 0.001), affine=scale)
    return [call.add(layer, x, arrays=_scaled(scale, center))]


@keras_layer("Normalization")
def normalization(call: CalledLayer) -> list[Tensor]:
    """A mean and a variance per channel: variables of the layer, or numbers in its configuration."""
    call.must_be("invert", False)
    x = call.channels_at(call.tensor(), _one_axis(call))
    layer = BatchNorm(eps=0, affine=False)
    mean, variance = call.value("mean"), call.value("variance")
    if mean is None and variance is None:
        arrays = {"running_mean": call.array(0), "running_var": call.array(1)}
        call.context.least[arrays["running_var"].name] = TINY**2
        return [call.assembly.add(layer, x, arrays=arrays)]
    variance = [max(value, TINY**2) for value in _numbers(variance, "variance", x)]
    return [_with_constants(call, layer, x, _numbers(mean, "mean", x), variance)]


@keras_layer("Rescaling")
def rescaling(call: CalledLayer) -> list[Tensor]:
    """Scale and shift by one number, or by one per channel."""
    x = call.tensor()
    scale, offset = _factors(call, "scale", 1.0), _factors(call, "offset", 0.0)
    if isinstance(scale, tuple) or isinstance(offset, tuple):
        x = call.channels_at(x, -1 if call.data_format == "channels_last" else 1)
    is_last = offset == 0 and not isinstance(offset, tuple)
    if is_last:
        return [call.add(Scale(scale), x)]
    with call.part("scale"):
        x = call.add(Scale(scale), x)
    return [call.add(Shift(offset), x)]


def _factors(call: CalledLayer, name: str, default: float) -> Number | tuple[Number, ...]:
    value = call.value(name, default)
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, list):
        return exact(value, name)
    return tuple(exact(item, name) for item in value)


@keras_layer("CustomScaleLayer")
def scaled_sum(call: CalledLayer) -> list[Tensor]:
    """The `CustomScaleLayer` of `keras.applications.InceptionResNetV2`: one tensor plus a scaled one."""
    tensors = call.tensors()
    if len(tensors) != 2:
        raise Unsupported(f"it is called with {len(tensors)} tensors")
    one, two = tensors
    with call.part("scale"):
        two = call.add(Scale(call.number("scale")), two)
    return [call.assembly.add(Add(), one, call.aligned(two, one.axes))]


def _with_constants(
    call: CalledLayer, layer: BatchNorm, x: Tensor, means: list[float], variances: list[float]
) -> Tensor:
    """Add a batch norm whose statistics are in the configuration, not among the variables."""
    arrays = {}
    for name, values in (("running_mean", means), ("running_var", variances)):
        arrays[name] = ModelArray(f"{call.layer.address}/config/{name}")
        call.context.constants[arrays[name].name] = values
    return call.assembly.add(layer, x, arrays=arrays)


def _numbers(value: Any, name: str, x: Tensor) -> list[float]:
    """Return one number per channel; a single number applies to all channels."""
    channels = x.operation.shape[0]
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    values = value if isinstance(value, list) else [value] * channels
    if len(values) != channels or not all(map(is_number, values)):
        raise Unsupported(f"`{name}` is {shown_value(value)}")
    return [float(each) for each in values]


@keras_layer("LayerScale")
def layer_scale(call: CalledLayer) -> list[Tensor]:
    """The `LayerScale` of `keras.applications.ConvNeXt`: a trained factor per channel."""
    x = call.channels_at(call.tensor(), -1)
    if call.whole("projection_dim") != x.operation.shape[0]:
        raise Unsupported("its factors are not those of the channels")
    return [call.add(LayerScale(call.number("init_values")), x, arrays=["weight"])]


def _one_axis(call: CalledLayer) -> int:
    axes = call.wholes("axis", (-1,))
    if len(axes) != 1:
        raise Unsupported(f"it works along {len(axes)} axes")
    return axes[0]


def _scaled(scale: bool, center: bool) -> list[str]:
    return [name for name, has in (("weight", scale), ("bias", center)) if has]
