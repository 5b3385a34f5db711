"""Netscope CNN Analyzer: the multiply-accumulates of Caffe's layers."""

from fractions import Fraction

from archcalc.conventions import Bug, Convention
from archcalc.conventions.measures import (
    CONVOLUTIONS,
    FREE,
    MACS,
    NOTHING,
    OUTPUTS,
    Measure,
    each,
    scaled,
)
from archcalc.network import Node


def _local_response(node: Node) -> int:
    size: int = node.layer.size  # type: ignore[attr-defined]
    return size * OUTPUTS.of(node)


def _transposed(node: Node) -> int:
    """The outputs, the channels that come in, and what of the kernel each of its strides covers."""
    windows = node.facts.windows
    assert isinstance(windows, tuple)
    covered = Fraction(OUTPUTS.of(node) * node.facts.inputs[0][0])
    for window in windows:
        covered *= Fraction(window.kernel_size, window.stride)
    return int(covered)


def _scale(node: Node) -> int:
    """A product with a factor for each channel is Caffe's Scale; of equal tensors it is an Eltwise."""
    return OUTPUTS.of(node) if len(set(node.facts.inputs)) > 1 else 0


_SOURCE = "https://github.com/dgschwend/netscope/blob/gh-pages/src/analyzer.coffee"

CONVENTIONS = (
    Convention(
        name="netscope",
        title="Netscope CNN Analyzer's macc",
        unit="MACs",
        version="2018",
        source=_SOURCE,
        rules=each([*CONVOLUTIONS, "fc"], MACS)
        | each(["conv_transpose"], Measure("outputs·channels in·kernel/stride", _transposed))
        | each(["bn"], scaled(OUTPUTS, 1, 0))
        | each(["layer_scale"], OUTPUTS)
        | each(["lrn"], Measure("size·outputs", _local_response))
        | each(["mul"], Measure("outputs, of factors for channels", _scale))
        | each(["relu", "relu6", "leaky_relu", "prelu", "elu", "softmax"], NOTHING)
        | each(["maxpool", "avgpool", "global_avgpool", "global_maxpool"], NOTHING)
        | each(["add", "sub", "concat", "crop", "slice", *FREE], NOTHING),
        notes=(
            "layers are Caffe's: a batch norm is a BatchNorm and a Scale, whose multiplication counts",
            "comparisons, additions, divisions and exponentials stand in columns of their own: those of "
            "activations, pools, norms and sums; biases count nowhere",
            "before May 2017 groups were ignored: AlexNet's two towers counted as one",
            "it rounds the sizes of pools up, as Caffe does; here the network's own sizes count",
        ),
        bugs=(
            Bug(
                ("mul",),
                "looks for the operation of an Eltwise in the wrong place: a product counts as a sum",
                _SOURCE,
            ),
            Bug(("conv_transpose",), "groups are ignored", _SOURCE),
        ),
    ),
)
