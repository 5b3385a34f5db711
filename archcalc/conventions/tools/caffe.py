"""Tools for Caffe's and MatConvNet's networks: Netscope CNN Analyzer, and Albanie's table convnet-burden."""

import math

from archcalc.conventions import Bug, Convention
from archcalc.conventions.measures import (
    BIAS,
    CONVOLUTIONS,
    FREE,
    INPUTS,
    MACS,
    NOTHING,
    OUTPUTS,
    PLACES,
    Measure,
    each,
    kernel_area,
    scaled,
)
from archcalc.network import Node
from archcalc.number import ratio


def _local_response(node: Node) -> int:
    size: int = node.layer.size  # type: ignore[attr-defined]
    return size * OUTPUTS.of(node)


def _covered(node: Node) -> int:
    """The outputs, the channels that come in, and what of the kernel each of its strides covers."""
    windows = node.facts.windows
    assert isinstance(windows, tuple)
    covered = OUTPUTS.of(node) * node.facts.inputs[0][0]
    for window in windows:
        covered *= ratio(window.kernel_size, window.stride)
    return math.trunc(covered)


def _scale(node: Node) -> int:
    """A product with a factor for each channel is Caffe's Scale; of equal tensors it is an Eltwise."""
    first, *others = node.facts.inputs
    return OUTPUTS.of(node) if any(shape != first for shape in others) else 0


_NETSCOPE = "https://github.com/dgschwend/netscope/blob/gh-pages/src/analyzer.coffee"


def _burdened(node: Node) -> int:
    return INPUTS.of(node) * kernel_area(node) * node.facts.inputs[0][0]


def _pool(node: Node) -> int:
    windows = node.facts.windows
    assert isinstance(windows, tuple)
    return math.prod(math.trunc(window.stride) for window in windows) * OUTPUTS.of(node)


def _squares(node: Node) -> int:
    """For each place two operations, and two for each channel."""
    return (2 + 2 * node.shape[0]) * PLACES.of(node)


def _sum(node: Node) -> int:
    """The product of squeeze-and-excitation and the sum after it are one layer."""
    return OUTPUTS.of(node) - sum(OUTPUTS.of(source) for source in node.inputs if source.kind == "mul")


_RELUS = ("relu", "relu6", "leaky_relu")
_BURDEN = "https://github.com/albanie/convnet-burden/blob/master/core/burden.m"

CONVENTIONS = (
    Convention(
        name="netscope",
        title="Netscope CNN Analyzer's macc",
        unit="MACs",
        version="2018",
        source=_NETSCOPE,
        rules=each([*CONVOLUTIONS, "fc"], MACS)
        | each(["conv_transpose"], Measure("outputs·channels in·kernel/stride", _covered))
        | each(["bn"], scaled(OUTPUTS, 1, 0))
        | each(["layer_scale"], OUTPUTS)
        | each(["lrn"], Measure("size·outputs", _local_response))
        | each(["mul"], Measure("outputs, of factors for channels", _scale))
        | each(["relu", "relu6", "leaky_relu", "prelu", "elu", "softmax"], NOTHING)
        | each(["maxpool", "avgpool", "global_avgpool", "global_maxpool"], NOTHING)
        | each(["add", "sub", "concat", "crop", "slice", *FREE], NOTHING),
        notes=(
            "layers are those of Caffe: a batch norm is a BatchNorm and a Scale, whose multiplication counts",
            "comparisons, additions, divisions, and exponentials of activations, pools, norms, and sums "
            "are in other columns; biases count nowhere",
            "groups were ignored before May 2017, so the two towers of AlexNet counted as one",
            "it rounds the sizes of pools up, as Caffe does; here the network's own sizes count",
        ),
        bugs=(
            Bug(
                ("mul",),
                "reads the operation of an Eltwise from the wrong place, so a product counts as a sum",
                _NETSCOPE,
            ),
            Bug(("conv_transpose",), "groups are ignored", _NETSCOPE),
        ),
    ),
    Convention(
        name="convnet-burden",
        title="convnet-burden's flops",
        unit="MACs",
        calls_it="FLOPs",
        version="2018",
        source=_BURDEN,
        rules=each([*CONVOLUTIONS, "fc"], MACS + BIAS)
        | each(["conv_transpose"], Measure("inputs·kernel·channels in", _burdened) + BIAS)
        | each(_RELUS, 2 * OUTPUTS)
        | each(["maxpool", "avgpool"], 2 * Measure("stride·outputs", _pool))
        | each(["global_avgpool"], INPUTS)
        | each(["add", "sub", "mul", "layer_scale"], OUTPUTS)
        | each(["lrn"], OUTPUTS + Measure("squares", _squares))
        | each(["upsample"], 4 * OUTPUTS)
        | each(["bn", "softmax", "sigmoid", "concat", "crop", *FREE], NOTHING),
        notes=(
            "a MAC counts as one; batch norms are merged into convolutions, without their bias",
            "exponentials count 0",
        ),
        bugs=(
            Bug(
                ("conv_transpose",),
                "multiplied by the input channels twice, and not by the output channels",
                _BURDEN,
            ),
        ),
    ),
    Convention(
        name="convnet-burden-memory",
        title="convnet-burden's feature memory",
        unit="bytes",
        version="2018",
        source=_BURDEN,
        rules=each([*CONVOLUTIONS, "conv_transpose", "fc", "bn", "lrn", "softmax", "sigmoid"], OUTPUTS)
        | each(["maxpool", "avgpool", "global_avgpool", "upsample", "layer_scale"], OUTPUTS)
        | each(["sub", "mul", "concat", "crop"], OUTPUTS)
        | each(["add"], Measure("outputs", _sum))
        | each([*_RELUS, *FREE], NOTHING)
        | each(["dropout"], 2 * OUTPUTS),
        notes=(
            "the outputs of all layers, with ReLUs in place; the input is left out",
            "a dropout also has a mask, even at inference; MatConvNet's own networks have no dropout",
            "a product and the sum after it, as in squeeze-and-excitation, are one layer, axpy",
        ),
        value_bytes=4,
        megabyte=2**20,
    ),
)
