"""thop, of the repository pytorch-OpCounter."""

import math
from operator import index

from archcalc.conventions import Bug, Convention
from archcalc.conventions.measures import (
    AS_TORCHVISION,
    BIAS,
    CONVOLUTIONS,
    FREE,
    INPUTS,
    MACS,
    NOTHING,
    OUTPUTS,
    PLACES,
    PROJECTIONS,
    STATES,
    UNSEEN,
    WEIGHTS,
    Measure,
    each,
    scaled,
)
from archcalc.layers.arguments import dim_index
from archcalc.network import Node


def _softmax(node: Node) -> int:
    """An exponential and a division for each value, and the additions between those of a group."""
    values = OUTPUTS.of(node)
    length = node.shape[dim_index(node.layer.dim, node.shape, node.kind)]  # type: ignore[attr-defined]
    return 3 * values - values // length


def _adaptive_average(node: Node) -> int:
    """Per output, a division, and one addition per input of an output place; in floating point and rounded
    down, as in thop."""
    sizes = zip(node.facts.inputs[0][1:], node.shape[1:], strict=True)
    # one symbolic size by another would be an exact fraction, and no floating-point number
    inputs = math.prod(n // m if n % m == 0 else index(n) / index(m) for n, m in sizes)
    return math.trunc((inputs + 1) * OUTPUTS.of(node))


def _interpolations(node: Node) -> int:
    """Linear upsampling over one or two axes, and bicubic; thop knows no other."""
    mode = node.layer.mode  # type: ignore[attr-defined]
    if mode == "bicubic":
        return (224 + 35) * OUTPUTS.of(node)
    factor = {1: 5, 2: 11}.get(len(node.shape) - 1, 0)
    return factor * OUTPUTS.of(node) if mode == "bilinear" else 0


def _upsample(node: Node) -> int:
    nearest = node.layer.mode == "nearest"  # type: ignore[attr-defined]
    return OUTPUTS.of(node) if nearest else _interpolations(node)


def _multiplications_and_additions(node: Node) -> int:
    """Of a fully connected layer: as many additions as multiplications if it has a bias, else one fewer."""
    has_bias: bool = node.layer.bias  # type: ignore[attr-defined]
    return 2 * MACS.of(node) - (0 if has_bias else OUTPUTS.of(node))


def _windows(node: Node) -> int:
    size: int | tuple[int, ...] = node.layer.kernel_size  # type: ignore[attr-defined]
    return (math.prod(size) if isinstance(size, tuple) else size) * OUTPUTS.of(node)


def _whole_windows(node: Node) -> int:
    """Inputs for each output of an adaptive pool, with windows of the sizes' quotients rounded down."""
    sizes = zip(node.facts.inputs[0][1:], node.shape[1:], strict=True)
    return math.prod(before // after for before, after in sizes) * OUTPUTS.of(node)


CONVENTIONS = (
    Convention(
        name="thop",
        title="thop",
        unit="MACs",
        logits=True,
        written=UNSEEN | {"timm": each(["attention"], PROJECTIONS)},
        version="0.1.1.post2209072238",
        aliases=("pytorch-opcounter",),
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
        | each(["lstm"], MACS + BIAS + 8 * STATES)
        | each(["gru"], MACS + BIAS + 7 * STATES)
        | each(["rnn"], MACS + BIAS + STATES)
        | each(["pixel_shuffle", *FREE], NOTHING),
        notes=(
            "biases count 0, except those of recurrent layers",
            "a norm without scale and shift counts 2·inputs",
            "linear upsampling counts 5·outputs over one axis, and 0 over three axes",
            "attention is not counted, nor are its projections, because PyTorch's module computes them "
            "without `Linear`",
            "its README's figures (ResNet-50 4.14 G, VGG-16 15.61 G) are those of `thop-2019`",
            AS_TORCHVISION,
        ),
        bugs=(
            Bug(
                ("bn", "layer_norm", "instance_norm"),
                "a norm counts double, and double again for its scale and shift, although it is one MAC",
                "https://github.com/Lyken17/pytorch-OpCounter/issues/220",
            ),
            Bug(
                ("conv_transpose",),
                "multiplied by the output places instead of the input places",
                "https://github.com/Lyken17/pytorch-OpCounter/issues/93",
            ),
        ),
    ),
    Convention(
        name="thop-2019",
        title="thop in 2019, as in the table of its README",
        unit="MACs",
        logits=True,
        written=UNSEEN,
        version="0.0.31.post1912272122",
        source="https://pypi.org/project/thop/0.0.31.post1912272122, thop/count_hooks.py",
        rules=each(CONVOLUTIONS, MACS + BIAS)
        | each(["conv_transpose"], WEIGHTS * PLACES + BIAS)
        | each(["fc"], Measure("multiplications and additions", _multiplications_and_additions))
        | each(["bn"], 4 * INPUTS)
        | each(["leaky_relu"], INPUTS)
        | each(["avgpool"], Measure("kernel·outputs", _windows) + OUTPUTS)
        | each(["global_avgpool", "adaptive_avgpool"], Measure("window·outputs", _whole_windows) + OUTPUTS)
        | each(["upsample"], Measure("11·outputs if bilinear", _interpolations))
        | each(["relu", "relu6", "maxpool", "global_maxpool", "adaptive_maxpool"], NOTHING)
        | each(FREE, NOTHING),
        notes=(
            "a fully connected layer counts its additions too, which doubles it",
            "an average pool with one number as its kernel size uses that number as the area",
            "linear upsampling counts 5·outputs over one axis, and 0 over three axes",
            "it adds in single precision, so the last digits differ for large networks",
            AS_TORCHVISION,
        ),
    ),
)
