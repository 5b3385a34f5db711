"""Convolutions and dense layers.

The executor orders the axes of their arrays as Keras does: kernel, input channels, output channels.
"""

from __future__ import annotations

from typing import Any

from archcalc.importing.keras_config.values import CalledLayer, keras_layer
from archcalc.importing.tensors import BATCH, Tensor, Unsupported
from archcalc.layers.conv import Conv, ConvTranspose, Depthwise, Pointwise
from archcalc.layers.linear import FullyConnected


@keras_layer("Conv1D", "Conv2D", "Conv3D")
def conv(call: CalledLayer) -> list[Tensor]:
    x, window = call.map(call.rank), _window(call)
    bias = call.flag("use_bias", True)
    _check_plain_arrays(call)
    call.activation = call.value("activation")
    layer = Conv(call.whole("filters"), groups=call.whole("groups", 1), bias=bias, **window)
    return [call.add(layer, x, arrays=["weight", *_bias(bias)])]


@keras_layer("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise(call: CalledLayer) -> list[Tensor]:
    x, window = call.map(call.rank), _window(call)
    bias = call.flag("use_bias", True)
    _check_plain_arrays(call)
    call.activation = call.value("activation")
    layer = Depthwise(multiplier=call.whole("depth_multiplier", 1), bias=bias, **window)
    return [call.add(layer, x, arrays=["weight", *_bias(bias)])]


@keras_layer("SeparableConv1D", "SeparableConv2D")
def separable(call: CalledLayer) -> list[Tensor]:
    """A depthwise convolution followed by a pointwise one, which has the bias."""
    x, window = call.map(call.rank), _window(call)
    bias = call.flag("use_bias", True)
    _check_plain_arrays(call)
    call.must_be("groups", 1)
    call.activation = call.value("activation")
    with call.part("depthwise"):
        layer = Depthwise(multiplier=call.whole("depth_multiplier", 1), bias=False, **window)
        x = call.add(layer, x, arrays=["weight"])
    arrays = {"weight": call.array(1)} | ({"bias": call.array(2)} if bias else {})
    return [call.assembly.add(Pointwise(call.whole("filters"), bias=bias), x, arrays=arrays)]


def _window(call: CalledLayer) -> dict[str, Any]:
    """Read the arguments that all convolutions share; `causal` pads only at the beginning."""
    rank = call.rank
    kernel = call.per_axis("kernel_size", rank)
    dilation = call.per_axis("dilation_rate", rank)
    padding: Any = call.word("padding", "valid")
    if padding == "causal" and rank == 1:
        padding = ((dilation[0] * (kernel[0] - 1), 0),)
    elif padding not in ("same", "valid"):
        raise Unsupported(f"`padding` is {padding[:60]}")
    return {
        "kernel_size": one_or_all(kernel),
        "stride": one_or_all(call.per_axis("strides", rank)),
        "padding": 0 if padding == "valid" else padding,
        "dilation": one_or_all(dilation),
    }


@keras_layer("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def conv_transpose(call: CalledLayer) -> list[Tensor]:
    """With `valid`, a kernel smaller than the stride is followed by zeros up to the stride."""
    rank = call.rank
    x = call.map(rank)
    kernel, stride = call.per_axis("kernel_size", rank), call.per_axis("strides", rank)
    dilation = call.per_axis("dilation_rate", rank)
    padding = call.word("padding", "valid")
    call.must_be("output_padding", None)
    call.must_be("groups", 1)
    _check_plain_arrays(call)
    extra: Any = 0
    if padding == "valid":
        extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
        extra = one_or_all(tuple(max(s - e, 0) for s, e in zip(stride, extents, strict=True)))
    elif padding != "same":
        raise Unsupported(f"`padding` is {padding[:60]}")
    bias = call.flag("use_bias", True)
    call.activation = call.value("activation")
    layer = ConvTranspose(
        call.whole("filters"),
        one_or_all(kernel),
        stride=one_or_all(stride),
        padding="same" if padding == "same" else 0,
        output_padding=extra,
        bias=bias,
        dilation=one_or_all(dilation),
    )
    axes = (*range(rank), rank + 1, rank)  # Keras has the output channels before the input channels
    arrays = {"weight": call.array(0, axes)} | ({"bias": call.array(1)} if bias else {})
    return [call.assembly.add(layer, x, arrays=arrays)]


@keras_layer("Dense")
def dense(call: CalledLayer) -> list[Tensor]:
    """A layer over the last axis: `fc` for a vector, `pointwise` if there are spatial axes."""
    x = call.channels_at(call.tensor(), -1)
    bias = call.flag("use_bias", True)
    _check_plain_arrays(call)
    call.activation = call.value("activation")
    if x.rank > 5:
        raise Unsupported(f"it reads a tensor of {x.rank} axes")
    kind = FullyConnected if x.axes == (BATCH, 0) else Pointwise
    return [call.add(kind(call.whole("units"), bias=bias), x, arrays=["weight", *_bias(bias)])]


def one_or_all(values: tuple[int, ...]) -> int | tuple[int, ...]:
    """Return one number if all axes have the same, and otherwise one per axis."""
    return values[0] if len(set(values)) == 1 else values


def _bias(bias: bool) -> list[str]:
    return ["bias"] if bias else []


def _check_plain_arrays(call: CalledLayer) -> None:
    """Raise `Unsupported` for weights that are quantized, or have low-rank weights (LoRA) in addition."""
    call.must_be("quantization_config", None)
    call.must_be("lora_rank", None)
    call.must_be("gptq_unpacked_column_size", None)
    policy = call.value("dtype")
    if isinstance(policy, dict) and policy.get("class_name") not in ("DTypePolicy", "Policy"):
        raise Unsupported("its weights are quantized")
