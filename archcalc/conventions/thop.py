"""thop, of the repository pytorch-OpCounter."""

import math

from archcalc.conventions import Bug, Convention
from archcalc.conventions.measures import (
    AS_TORCHVISION,
    CONVOLUTIONS,
    FREE,
    INPUTS,
    MACS,
    NOTHING,
    OUTPUTS,
    PLACES,
    WEIGHTS,
    Measure,
    each,
    scaled,
)
from archcalc.layers.base import dim_index
from archcalc.network import Node


def _softmax(node: Node) -> int:
    """An exponential and a division for each value, and the additions between those of a group."""
    values = OUTPUTS.of(node)
    length = node.shape[dim_index(node.layer.dim, node.shape, node.kind)]  # type: ignore[attr-defined]
    return 3 * values - values // length


def _adaptive_average(node: Node) -> int:
    """For each output a division, and as many additions as there are inputs for each output place: in
    floating point and cut off, as thop has it."""
    sizes = zip(node.facts.inputs[0][1:], node.shape[1:], strict=True)
    return int((math.prod(n / m for n, m in sizes) + 1) * OUTPUTS.of(node))


def _upsample(node: Node) -> int:
    axes = len(node.shape) - 1
    if node.layer.mode == "nearest":  # type: ignore[attr-defined]
        return OUTPUTS.of(node)
    return {1: 5, 2: 11}.get(axes, 0) * OUTPUTS.of(node)


CONVENTIONS = (
    Convention(
        name="thop",
        title="thop",
        unit="MACs",
        logits=True,
        version="0.1.1.post2209072238",
        source="https://github.com/Lyken17/pytorch-OpCounter/blob/master/thop/vision/basic_hooks.py",
        rules=each([*CONVOLUTIONS, "fc"], MACS)
        | each(["conv_transpose"], WEIGHTS * PLACES)
        | each(["bn", "layer_norm", "instance_norm"], scaled(INPUTS, 4, 2))
        | each(["prelu"], INPUTS)
        | each(["softmax"], Measure("(3·n - 1)·groups", _softmax))
        | each(["avgpool"], OUTPUTS)
        | each(["global_avgpool", "adaptive_avgpool"], Measure("inputs + outputs", _adaptive_average))
        | each(["upsample"], Measure("outputs (11·outputs if bilinear)", _upsample))
        | each(["relu", "relu6", "leaky_relu", "maxpool", "global_maxpool", "adaptive_maxpool"], NOTHING)
        | each(FREE, NOTHING),
        notes=(
            "biases are free; a norm without scale and shift counts 2·inputs",
            "linear upsampling over one axis counts 5·outputs, over three axes nothing",
            "its README's figures (ResNet-50 4.14 G, VGG-16 15.61 G) are those of older releases",
            AS_TORCHVISION,
        ),
        bugs=(
            Bug(
                ("bn", "layer_norm", "instance_norm"),
                "a norm counts double, and double again for its scale and shift, though it takes a "
                "multiply-add",
                "https://github.com/Lyken17/pytorch-OpCounter/issues/220",
            ),
            Bug(
                ("conv_transpose",),
                "multiplied by the places that come out, instead of those that come in",
                "https://github.com/Lyken17/pytorch-OpCounter/issues/93",
            ),
        ),
    ),
)
