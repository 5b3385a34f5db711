"""archcalc's own counts, and those of papers and lecture slides."""

from archcalc.conventions import Convention
from archcalc.conventions.measures import (
    CONVOLUTIONS,
    FLOPS,
    FREE,
    MACS,
    NOTHING,
    OUTPUTS,
    PARAMS,
    WEIGHTS,
    each,
)
from archcalc.layers.base import KINDS

CONVENTIONS = (
    Convention(
        name="macs",
        title="archcalc's MACs",
        unit="MACs",
        version="",
        source="one per multiplication by a weight, or of two activations, with its addition",
        rules=each(KINDS, MACS),
        notes=("biases, norms, activations, pools, and joins count 0",),
    ),
    Convention(
        name="flops",
        title="archcalc's floating-point operations",
        unit="FLOPs",
        version="",
        source="every addition, multiplication, division, and comparison of every layer at inference",
        rules=each(KINDS, FLOPS),
        notes=("2 for each MAC; a root counts 4, an exponential, logarithm or tanh 8",),
    ),
    Convention(
        name="paper",
        title="papers: MACs of conv and fc",
        unit="MACs",
        version="",
        source="He et al. 2015, Table 1; Howard et al. 2017, Section 3.1; Zhang et al. 2017, Section 4",
        calls_it="FLOPs or mult-adds",
        rules=each(KINDS, MACS),
    ),
    Convention(
        name="paper-conv",
        title="papers: MACs of conv alone",
        unit="MACs",
        version="",
        source="VGG-16's 15.3 G in He et al. 2015, Section 3.3, and 15300 M in Howard et al. 2017, Table 8",
        calls_it="FLOPs or mult-adds",
        rules=each(KINDS, NOTHING) | each([*CONVOLUTIONS, "local", "conv_transpose"], MACS),
    ),
    Convention(
        name="params",
        title="archcalc's parameters",
        unit="parameters",
        version="",
        source="weights, biases, and the scale and shift of norms; shared ones once",
        rules=each(KINDS, PARAMS),
    ),
    Convention(
        name="weights",
        title="slides: parameters without biases and norms",
        unit="parameters",
        version="",
        source="Stanford CS231n, Convolutional Networks, Case studies: the VGG-16 table",
        rules=each(KINDS, WEIGHTS),
    ),
    Convention(
        name="activations",
        title="archcalc's activations: every layer's output",
        unit="bytes",
        version="",
        source="each output is stored once, none in place",
        rules=each(KINDS, OUTPUTS),
    ),
    Convention(
        name="slides-memory",
        title="slides: input and outputs of conv, pool and fc",
        unit="bytes",
        version="",
        source="Stanford CS231n, Convolutional Networks, Case studies: the VGG-16 table",
        rules=each(["input", *CONVOLUTIONS, "local", "conv_transpose", "pool", "linear"], OUTPUTS)
        | each(["activation", "norm", *FREE], NOTHING),
        notes=(
            "activations and norms are in place; this is the sum of the rows, which is less for VGG-16 than "
            "the printed total of 24M values",
        ),
        value_bytes=4,
    ),
)
