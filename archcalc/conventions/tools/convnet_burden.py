"""convnet-burden, Albanie's table of networks in MatConvNet: operations, and memory of features."""

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
)
from archcalc.network import Node


def _transposed(node: Node) -> int:
    return INPUTS.of(node) * kernel_area(node) * node.facts.inputs[0][0]


def _pool(node: Node) -> int:
    windows = node.facts.windows
    assert isinstance(windows, tuple)
    return math.prod(int(window.stride) for window in windows) * OUTPUTS.of(node)


def _squares(node: Node) -> int:
    """For each place two operations, and two for each channel."""
    return (2 + 2 * node.shape[0]) * PLACES.of(node)


def _sum(node: Node) -> int:
    """The product of squeeze-and-excitation and the sum behind it are one layer."""
    return OUTPUTS.of(node) - sum(OUTPUTS.of(source) for source in node.inputs if source.kind == "mul")


_RELUS = ("relu", "relu6", "leaky_relu")
_SOURCE = "https://github.com/albanie/convnet-burden/blob/master/core/burden.m"

CONVENTIONS = (
    Convention(
        name="convnet-burden",
        title="convnet-burden's flops",
        unit="MACs",
        calls_it="FLOPs",
        version="2018",
        source=_SOURCE,
        rules=each([*CONVOLUTIONS, "fc"], MACS + BIAS)
        | each(["conv_transpose"], Measure("inputs·kernel·channels in", _transposed) + BIAS)
        | each(_RELUS, 2 * OUTPUTS)
        | each(["maxpool", "avgpool"], 2 * Measure("stride·outputs", _pool))
        | each(["global_avgpool"], INPUTS)
        | each(["add", "sub", "mul", "layer_scale"], OUTPUTS)
        | each(["lrn"], OUTPUTS + Measure("squares", _squares))
        | each(["upsample"], 4 * OUTPUTS)
        | each(["bn", "softmax", "sigmoid", "concat", "crop", *FREE], NOTHING),
        notes=(
            "a multiply-add counts as one; batch norms are merged into convolutions, without their bias",
            "exponentials are free",
        ),
        bugs=(
            Bug(
                ("conv_transpose",),
                "multiplied by the channels that come in twice, and never by those that come out",
                _SOURCE,
            ),
        ),
    ),
    Convention(
        name="convnet-burden-memory",
        title="convnet-burden's feature memory",
        unit="bytes",
        version="2018",
        source=_SOURCE,
        rules=each([*CONVOLUTIONS, "conv_transpose", "fc", "bn", "lrn", "softmax", "sigmoid"], OUTPUTS)
        | each(["maxpool", "avgpool", "global_avgpool", "upsample", "layer_scale"], OUTPUTS)
        | each(["sub", "mul", "concat", "crop"], OUTPUTS)
        | each(["add"], Measure("outputs", _sum))
        | each([*_RELUS, *FREE], NOTHING)
        | each(["dropout"], 2 * OUTPUTS),
        notes=(
            "the outputs of all layers, with ReLUs in place; the input is left out",
            "a dropout has a mask besides, at inference too; MatConvNet's own networks come without dropout",
            "a product and the sum behind it, as of squeeze-and-excitation, are one layer, axpy",
        ),
        value_bytes=4,
        megabyte=2**20,
    ),
)
