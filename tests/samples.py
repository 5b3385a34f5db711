"""Sample cases of every layer kind, worked by hand.

Nothing here is computed by archcalc: sizes are written out, counts are the arithmetic one would do on
paper. `tests/test_layers.py` holds every fact of every kind against this table; a new kind adds rows
here. Inputs, kernels, strides and padding are lopsided on purpose, so that swapped axes show.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

from archcalc.layers import KINDS, Layer
from archcalc.layers.arguments import GivenTensor
from archcalc.layers.pool import Pooled
from archcalc.layers.terms import Stacked, Swapped
from archcalc.shape import Shape, Window


class Sample(NamedTuple):
    """A layer on inputs, and what must come out.

    `sees` is "same", "whole", "moved" or "folded", how axes or maps are moved, or for each spatial axis the
    kernel's size, the stride, the padding before and after, and the dilation; a sixth entry marks a
    transposed window. `flops` are 2 a multiply-add, 4 a root, 8 an exponential, logarithm, power, tanh or
    erf, and 1 all else.
    """

    layer: Layer
    inputs: tuple[Shape, ...]
    output: Shape
    sees: str | Swapped | Stacked | tuple[tuple[Any, ...], ...]
    params: int = 0
    buffers: int = 0
    weights: int = 0
    macs: int = 0
    flops: int = 0

    @property
    def kind(self) -> str:
        return self.layer.kind

    def __str__(self) -> str:
        sizes = " and ".join("x".join(map(str, shape)) for shape in self.inputs)
        return f"{self.layer} on {sizes}"


def make(kind: str, *args: object, **named: object) -> Layer:
    """A layer as the language would make it: `make("conv", 8, 3)`."""
    return KINDS[kind](*args, **named)


def case(layer: Layer, inputs: Any, output: Shape, sees: Any, **counts: int) -> Sample:
    """A sample of one input, or of several in a tuple."""
    several = not inputs or isinstance(inputs[0], tuple)
    return Sample(layer, inputs if several else (inputs,), output, sees, **counts)


MAP = (3, 9, 10)
"""270 values, on 90 places."""

SAME = "same"
WHOLE = "whole"
MOVED = "moved"
FOLDED = "folded"
T = "transposed"

SAMPLES = [
    # -- activations: operations per value as the papers define the function
    case(make("relu"), MAP, MAP, SAME, flops=270),
    case(make("relu"), (7,), (7,), SAME, flops=7),
    case(make("relu6"), MAP, MAP, SAME, flops=2 * 270),
    case(make("leaky_relu", Fraction(1, 5)), MAP, MAP, SAME, flops=2 * 270),
    case(make("prelu"), MAP, MAP, SAME, params=1, weights=1, flops=2 * 270),
    case(make("prelu", 3), MAP, MAP, SAME, params=3, weights=3, flops=2 * 270),
    case(make("elu"), MAP, MAP, SAME, flops=(1 + 8 + 1 + 1) * 270),
    case(make("selu"), MAP, MAP, SAME, flops=(1 + 8 + 1 + 2) * 270),
    case(make("gelu"), MAP, MAP, SAME, flops=(3 + 1 + 8) * 270),
    case(make("gelu", "tanh"), MAP, MAP, SAME, flops=(6 + 2 + 8) * 270),
    case(make("silu"), MAP, MAP, SAME, flops=(8 + 1 + 1) * 270),
    case(make("hardswish"), MAP, MAP, SAME, flops=(1 + 2 + 1 + 1) * 270),
    case(make("hardsigmoid"), MAP, MAP, SAME, flops=(1 + 2 + 1) * 270),
    case(make("hardsigmoid", Fraction(1, 5)), MAP, MAP, SAME, flops=(1 + 1 + 2) * 270),
    case(make("sigmoid"), MAP, MAP, SAME, flops=(8 + 1 + 1) * 270),
    case(make("tanh"), (4, 11), (4, 11), SAME, flops=8 * 44),
    case(make("abs"), (2, 5, 6, 7), (2, 5, 6, 7), SAME, flops=420),
    # 90 columns of 3: 2 comparisons and 2 additions each; a difference, an exp, a quotient per value
    case(make("softmax"), MAP, MAP, SAME, flops=2 * 90 + 270 + 8 * 270 + 2 * 90 + 270),
    case(make("softmax"), (7,), (7,), SAME, flops=6 + 7 + 8 * 7 + 6 + 7),
    # 27 rows of 10
    case(
        make("softmax", "width"),
        MAP,
        MAP,
        ((1, 1, 0, 0, 1), (19, 1, 9, 9, 1)),  # 9 back and 9 ahead
        flops=9 * 27 + 270 + 8 * 270 + 9 * 27 + 270,
    ),
    # one axis of five
    case(
        make("softmax", "axis3"),
        (2, 3, 2, 4, 5),
        (2, 3, 2, 4, 5),
        ((1, 1, 0, 0, 1), (1, 1, 0, 0, 1), (7, 1, 3, 3, 1), (1, 1, 0, 0, 1)),
        flops=3 * 60 + 240 + 8 * 240 + 3 * 60 + 240,
    ),
    # the same with a logarithm for each of 90 columns, and a difference in place of the quotient
    case(make("log_softmax"), MAP, MAP, SAME, flops=2 * 90 + 270 + 8 * 270 + 2 * 90 + 8 * 90 + 270),
    case(
        make("log_softmax", "height"),
        MAP,
        MAP,
        ((17, 1, 8, 8, 1), (1, 1, 0, 0, 1)),
        flops=8 * 30 + 270 + 8 * 270 + 8 * 30 + 8 * 30 + 270,
    ),
    case(make("softplus"), MAP, MAP, SAME, flops=(1 + 8 + 1 + 8) * 270),
    case(make("softplus", Fraction(1, 2), 3), MAP, MAP, SAME, flops=(1 + 1 + 8 + 1 + 8 + 1) * 270),
    case(make("mish"), MAP, MAP, SAME, flops=(8 + 1 + 8 + 8 + 1) * 270),
    case(make("hardtanh"), MAP, MAP, SAME, flops=2 * 270),
    case(make("hardtanh", Fraction(-1, 2), 3), (7,), (7,), SAME, flops=2 * 7),
    case(make("logsigmoid"), MAP, MAP, SAME, flops=(8 + 1 + 8) * 270),
    case(make("softsign"), MAP, MAP, SAME, flops=(1 + 1 + 1) * 270),
    # a sigmoid and a product for each value of the half
    case(make("glu"), (6, 9, 10), MAP, SAME, flops=(8 + 1 + 1 + 1) * 270),
    case(make("glu", "width"), MAP, (3, 9, 5), ((1, 1, 0, 0, 1), (2, 1, 0, 0, 5)), flops=11 * 135),
    # -- functions of one value
    case(make("exp"), MAP, MAP, SAME, flops=8 * 270),
    case(make("log"), MAP, MAP, SAME, flops=8 * 270),
    case(make("sqrt"), MAP, MAP, SAME, flops=4 * 270),
    case(make("rsqrt"), MAP, MAP, SAME, flops=(4 + 1) * 270),
    case(make("square"), (4, 11), (4, 11), SAME, flops=44),
    case(make("sin"), MAP, MAP, SAME, flops=8 * 270),
    case(make("cos"), MAP, MAP, SAME, flops=8 * 270),
    case(make("erf"), MAP, MAP, SAME, flops=8 * 270),
    case(make("pow", Fraction(3, 2)), MAP, MAP, SAME, flops=8 * 270),
    case(make("pow", 2), MAP, MAP, SAME, flops=270),
    case(make("pow", Fraction(-1, 2)), MAP, MAP, SAME, flops=(4 + 1) * 270),
    case(make("clamp", 0, 6), MAP, MAP, SAME, flops=2 * 270),
    case(make("clamp", max=Fraction(1, 2)), (2, 3, 2, 4, 5), (2, 3, 2, 4, 5), SAME, flops=240),
    case(make("dropout"), MAP, MAP, SAME),
    case(make("dropout", Fraction(2, 5)), (7,), (7,), SAME),
    case(make("drop_path", Fraction(1, 10)), MAP, MAP, SAME),
    # -- convolution
    case(
        make("conv", 8, (4, 5), stride=(1, 2)),
        MAP,
        (8, 6, 3),
        ((4, 1, 0, 0, 1), (5, 2, 0, 0, 1)),
        params=4 * 5 * 3 * 8 + 8,
        weights=4 * 5 * 3 * 8,
        macs=4 * 5 * 3 * 8 * 6 * 3,
        flops=2 * 4 * 5 * 3 * 8 * 6 * 3 + 8 * 6 * 3,
    ),
    case(
        make("conv", 4, 3, dilation=(2, 3), bias=False),
        MAP,
        (4, 9 - 4, 10 - 6),
        ((3, 1, 0, 0, 2), (3, 1, 0, 0, 3)),
        params=108,
        weights=108,
        macs=108 * 5 * 4,
        flops=2 * 108 * 5 * 4,
    ),
    case(
        make("conv", 6, (3, 2), padding=(2, 0)),
        MAP,
        (6, 9 + 4 - 2, 10 - 1),
        ((3, 1, 2, 2, 1), (2, 1, 0, 0, 1)),
        params=3 * 2 * 3 * 6 + 6,
        weights=3 * 2 * 3 * 6,
        macs=3 * 2 * 3 * 6 * 11 * 9,
        flops=(2 * 3 * 2 * 3 + 1) * 6 * 11 * 9,
    ),
    case(  # [[0, 1], [2, 0]]: windows start at rows 0 2 4 6 of 10, and at columns 0 2 4 6 8 of 12
        make("conv", 5, (4, 3), 2, ((0, 1), (2, 0))),
        MAP,
        (5, 4, 5),
        ((4, 2, 0, 1, 1), (3, 2, 2, 0, 1)),
        params=4 * 3 * 3 * 5 + 5,
        weights=4 * 3 * 3 * 5,
        macs=4 * 3 * 3 * 5 * 4 * 5,
        flops=(2 * 4 * 3 * 3 + 1) * 5 * 4 * 5,
    ),
    case(  # a number for one axis, a pair for the other
        make("conv", 1, 2, padding=(1, (0, 3))),
        MAP,
        (1, 10, 12),
        ((2, 1, 1, 1, 1), (2, 1, 0, 3, 1)),
        params=13,
        weights=12,
        macs=12 * 120,
        flops=2 * 12 * 120 + 120,
    ),
    case(  # "same": 9 rows need 1 and 1, 10 columns need 0 and 1
        make("conv", 4, 3, stride=2, padding="same"),
        MAP,
        (4, 5, 5),
        ((3, 2, 1, 1, 1), (3, 2, 0, 1, 1)),
        params=112,
        weights=108,
        macs=108 * 25,
        flops=2 * 108 * 25 + 4 * 25,
    ),
    case(  # "same_lower": the odd one of 10 columns in front
        make("conv", 4, 3, stride=2, padding="same_lower", bias=False),
        MAP,
        (4, 5, 5),
        ((3, 2, 1, 1, 1), (3, 2, 1, 0, 1)),
        params=108,
        weights=108,
        macs=108 * 25,
        flops=2 * 108 * 25,
    ),
    case(  # even kernels: the larger half of the padding at the end
        make("conv", 2, (4, 2), padding="same"),
        MAP,
        (2, 9, 10),
        ((4, 1, 1, 2, 1), (2, 1, 0, 1, 1)),
        params=50,
        weights=48,
        macs=48 * 90,
        flops=2 * 48 * 90 + 180,
    ),
    case(  # strides wider than the kernel need no padding, and never a negative one
        make("conv", 2, 1, stride=(3, 4), padding="same"),
        MAP,
        (2, 3, 3),
        ((1, 3, 0, 0, 1), (1, 4, 0, 0, 1)),
        params=8,
        weights=6,
        macs=6 * 9,
        flops=2 * 6 * 9 + 18,
    ),
    case(  # "same", dilated: the kernel spans 5; 9 rows need 4*2+5-9 = 4, 10 columns 4*2+5-10 = 3
        make("conv", 2, 3, stride=2, padding="same", dilation=2, bias=False),
        MAP,
        (2, 5, 5),
        ((3, 2, 2, 2, 2), (3, 2, 1, 2, 2)),
        params=54,
        weights=54,
        macs=54 * 25,
        flops=2 * 54 * 25,
    ),
    case(
        make("conv", 2, (9, 10), padding="valid"),
        MAP,
        (2, 1, 1),
        ((9, 1, 0, 0, 1), (10, 1, 0, 0, 1)),
        params=542,
        weights=540,
        macs=540,
        flops=1082,
    ),
    case(  # two groups: each output map reads three of the six input maps
        make("conv", 4, (3, 1), groups=2),
        (6, 9, 10),
        (4, 7, 10),
        ((3, 1, 0, 0, 1), (1, 1, 0, 0, 1)),
        params=3 * 3 * 4 + 4,
        weights=36,
        macs=36 * 70,
        flops=2 * 36 * 70 + 280,
    ),
    case(  # 2 + 2 + 3 pairs of maps
        make("conv", 3, 5, connections=((0, 1), (1, 2), (0, 1, 2))),
        MAP,
        (3, 5, 6),
        ((5, 1, 0, 0, 1), (5, 1, 0, 0, 1)),
        params=25 * 7 + 3,
        weights=25 * 7,
        macs=25 * 7 * 30,
        flops=2 * 25 * 7 * 30 + 90,
    ),
    case(
        make("conv", 3, 4, stride=3),
        (4, 11),
        (3, 3),
        ((4, 3, 0, 0, 1),),
        params=51,
        weights=48,
        macs=48 * 3,
        flops=2 * 48 * 3 + 9,
    ),
    case(
        make("conv", 3, (1, 2, 3), stride=(2, 1, 2), padding=(0, 1, 1)),
        (2, 5, 6, 7),
        (3, 3, 7, 4),
        ((1, 2, 0, 0, 1), (2, 1, 1, 1, 1), (3, 2, 1, 1, 1)),
        params=39,
        weights=36,
        macs=36 * 3 * 7 * 4,
        flops=2 * 36 * 84 + 3 * 84,
    ),
    # -- depthwise: one input map per output map
    case(
        make("depthwise", (3, 2), (2, 1), multiplier=2),
        MAP,
        (6, 4, 9),
        ((3, 2, 0, 0, 1), (2, 1, 0, 0, 1)),
        params=42,
        weights=36,
        macs=36 * 36,
        flops=2 * 36 * 36 + 6 * 36,
    ),
    case(
        make("depthwise", 3, 2, "same", dilation=(1, 2), bias=False),
        MAP,
        (3, 5, 5),
        ((3, 2, 1, 1, 1), (3, 2, 1, 2, 2)),
        params=27,
        weights=27,
        macs=27 * 25,
        flops=2 * 27 * 25,
    ),
    case(
        make("depthwise", 4, padding=1),
        (5, 9),
        (5, 8),
        ((4, 1, 1, 1, 1),),
        params=25,
        weights=20,
        macs=20 * 8,
        flops=2 * 160 + 40,
    ),
    # -- pointwise
    case(
        make("pointwise", 7),
        MAP,
        (7, 9, 10),
        ((1, 1, 0, 0, 1), (1, 1, 0, 0, 1)),
        params=28,
        weights=21,
        macs=21 * 90,
        flops=2 * 21 * 90 + 630,
    ),
    case(
        make("pointwise", 7, bias=False),
        (2, 5, 6, 7),
        (7, 5, 6, 7),
        ((1, 1, 0, 0, 1),) * 3,
        params=14,
        weights=14,
        macs=14 * 210,
        flops=2 * 14 * 210,
    ),
    # -- local: weights and biases of its own at each of the places
    case(
        make("local", 4, (3, 5), stride=(2, 1)),
        MAP,
        (4, 4, 6),
        ((3, 2, 0, 0, 1), (5, 1, 0, 0, 1)),
        params=3 * 5 * 3 * 4 * 4 * 6 + 4 * 4 * 6,
        weights=3 * 5 * 3 * 4 * 4 * 6,
        macs=3 * 5 * 3 * 4 * 4 * 6,
        flops=2 * 3 * 5 * 3 * 4 * 4 * 6 + 4 * 4 * 6,
    ),
    case(
        make("local", 2, 2, 3, ((1, 0), (0, 2)), bias=False),
        MAP,
        (2, 3, 4),
        ((2, 3, 1, 0, 1), (2, 3, 0, 2, 1)),
        params=24 * 12,
        weights=24 * 12,
        macs=24 * 12,
        flops=2 * 24 * 12,
    ),
    # -- transposed: multiplications per input place
    case(
        make("conv_transpose", 5, (4, 3), stride=(2, 3), padding=(1, 0)),
        (6, 7, 4),
        (5, 14, 12),
        ((4, 2, 1, 1, 1, T), (3, 3, 0, 0, 1, T)),
        params=365,
        weights=360,
        macs=4 * 3 * 6 * 5 * 28,
        flops=2 * 360 * 28 + 5 * 168,
    ),
    case(
        make("conv_transpose", 4, 3, 2, 1, output_padding=(1, 0), groups=2, bias=False, dilation=(1, 2)),
        (6, 7, 4),
        (4, 14, 9),
        ((3, 2, 1, 1, 1, T), (3, 2, 1, 1, 2, T)),
        params=108,
        weights=108,
        macs=108 * 28,
        flops=2 * 108 * 28,
    ),
    case(
        make("conv_transpose", 2, 5),
        (3, 8),
        (2, 12),
        ((5, 1, 0, 0, 1, T),),
        params=32,
        weights=30,
        macs=240,
        flops=480 + 24,
    ),
    case(  # "same": 7 rows become 14, of which 4 + 2*6 = 16 are reached; 4 columns become 12, of which 11 are
        make("conv_transpose", 5, (4, 2), stride=(2, 3), padding="same"),
        (6, 7, 4),
        (5, 14, 12),
        ((4, 2, 1, 1, 1, T), (2, 3, 0, -1, 1, T)),
        params=245,
        weights=240,
        macs=240 * 28,
        flops=2 * 240 * 28 + 5 * 168,
    ),
    case(  # "same": 2*4 + 5 = 13 columns are reached of 10: one is cut off before, two behind
        make("conv_transpose", 2, 3, 2, "same", dilation=2),
        (3, 5),
        (2, 10),
        ((3, 2, 1, 2, 2, T),),
        params=20,
        weights=18,
        macs=90,
        flops=180 + 20,
    ),
    case(  # 3 + 2*6 = 15 rows are reached, and 2 and 1 cut off; 4 + 3 = 7 columns, and 0 and 2
        make("conv_transpose", 5, (3, 4), stride=(2, 1), padding=((2, 1), (0, 2)), bias=False),
        (6, 7, 4),
        (5, 12, 5),
        ((3, 2, 2, 1, 1, T), (4, 1, 0, 2, 1, T)),
        params=360,
        weights=360,
        macs=360 * 28,
        flops=2 * 360 * 28,
    ),
    case(
        make("conv_transpose", 1, 2, (1, 2, 3)),
        (2, 3, 4, 5),
        (1, 4, 8, 14),
        ((2, 1, 0, 0, 1, T), (2, 2, 0, 0, 1, T), (2, 3, 0, 0, 1, T)),
        params=17,
        weights=16,
        macs=16 * 60,
        flops=2 * 16 * 60 + 448,
    ),
    # -- deformable: also 4 multiplications and 3 additions for each value that is read, 6 channels on 6 taps
    # at 5x9 places; with a mask one more multiplication
    case(
        make("deform_conv", 4, (3, 2), GivenTensor(), stride=(2, 1), padding=(1, 0)),
        ((6, 9, 10), (12, 5, 9)),
        (4, 5, 9),
        WHOLE,
        params=148,
        weights=144,
        macs=144 * 45,
        flops=2 * 144 * 45 + 7 * 36 * 45 + 4 * 45,
    ),
    case(  # two groups of weights, and three of channels that move together
        make("deform_conv", 4, (2, 3), GivenTensor(), GivenTensor(), 1, 0, (1, 2), 2, False),
        ((6, 9, 10), (36, 8, 6), (18, 8, 6)),
        (4, 8, 6),
        WHOLE,
        params=72,
        weights=72,
        macs=72 * 48,
        flops=2 * 72 * 48 + 8 * 36 * 48,
    ),
    # -- fully connected
    case(make("fc", 10), (84,), (10,), WHOLE, params=850, weights=840, macs=840, flops=1690),
    case(make("fc", 3, bias=False), (7,), (3,), WHOLE, params=21, weights=21, macs=21, flops=42),
    # a difference, a square and a sum per prototype and feature; no weight is trained or multiplied by
    case(make("rbf", 10), (84,), (10,), WHOLE, buffers=840, flops=3 * 840),
    # -- normalisation
    case(make("bn"), MAP, MAP, SAME, params=6, buffers=6, flops=2 * 270),
    case(make("bn", affine=False), (7,), (7,), SAME, buffers=14, flops=14),
    # as an instance norm: (3+2) a value for the statistics, 2+1 and a root for each channel, scale and shift
    case(make("bn", track_running_stats=False), MAP, MAP, WHOLE, params=6, flops=(5 + 2) * 270 + 7 * 3),
    case(make("bn", affine=False, track_running_stats=False), MAP, MAP, WHOLE, flops=5 * 270 + 7 * 3),
    case(make("lrn", 5), MAP, MAP, SAME, flops=(1 + 4 + 1 + 1 + 8 + 1) * 270),
    # per value 3 additions and 2 multiplications, per group 2 divisions, an addition and a root (4);
    # scale and shift are one operation each per value
    case(make("layer_norm"), MAP, MAP, WHOLE, params=540, flops=7 * 270 + 7),
    case(make("layer_norm"), (7,), (7,), WHOLE, params=14, flops=7 * 7 + 7),
    case(make("layer_norm", "channels"), MAP, MAP, SAME, params=6, flops=7 * 270 + 7 * 90),
    case(make("layer_norm", bias=False), MAP, MAP, WHOLE, params=270, flops=6 * 270 + 7),
    case(make("layer_norm", elementwise_affine=False), MAP, MAP, WHOLE, flops=5 * 270 + 7),
    case(make("group_norm", 2), (6, 9, 10), (6, 9, 10), WHOLE, params=12, flops=7 * 540 + 7 * 2),
    case(make("group_norm", 3, affine=False), MAP, MAP, WHOLE, flops=5 * 270 + 7 * 3),
    case(make("instance_norm"), MAP, MAP, WHOLE, flops=5 * 270 + 7 * 3),
    case(make("instance_norm", affine=True), (4, 11), (4, 11), WHOLE, params=8, flops=7 * 44 + 7 * 4),
    # per map a root, two additions and a division
    case(make("grn"), MAP, MAP, WHOLE, params=6, flops=6 * 270 + (4 + 2 + 1) * 3),
    case(make("layer_scale"), MAP, MAP, SAME, params=3, weights=3, flops=270),
    case(make("layer_scale", bias=True), MAP, MAP, SAME, params=6, weights=3, flops=2 * 270),
    # -- pooling
    case(
        make("maxpool", (2, 3)),
        MAP,
        (3, 4, 3),
        ((2, 2, 0, 0, 1), (3, 3, 0, 0, 1)),
        flops=5 * 3 * 4 * 3,
    ),
    case(
        make("maxpool", 3, 2, padding=1),
        MAP,
        (3, 5, 5),
        ((3, 2, 1, 1, 1), (3, 2, 1, 1, 1)),
        flops=8 * 3 * 25,
    ),
    case(  # ceil mode: rows 0 2 4 6 of 9 are full; a fifth window starts at 8 and holds one row
        make("maxpool", 2, 2, ceil_mode=True),
        MAP,
        (3, 5, 5),
        ((2, 2, 0, 0, 1), (2, 2, 0, 0, 1)),
        flops=3 * (9 * 10 - 25),
    ),
    case(  # ceil mode: a window that would start in the padding at the end is dropped: row 9, column 12
        make("maxpool", 2, 3, padding=((0, 1), (1, 1)), ceil_mode=True),
        MAP,
        (3, 3, 4),
        ((2, 3, 0, 1, 1), (2, 3, 1, 1, 1)),
        flops=3 * 3 * 12,
    ),
    case(
        make("maxpool", (3, 2), 1, dilation=(2, 3)),
        MAP,
        (3, 5, 7),
        ((3, 1, 0, 0, 2), (2, 1, 0, 0, 3)),
        flops=5 * 3 * 35,
    ),
    case(
        make("maxpool", 3, 2, "same"),
        MAP,
        (3, 5, 5),
        ((3, 2, 1, 1, 1), (3, 2, 0, 1, 1)),
        flops=8 * 75,
    ),
    case(make("maxpool", 3), (4, 11), (4, 3), ((3, 3, 0, 0, 1),), flops=2 * 12),
    case(
        make("maxpool", 2, (1, 2, 3)),
        (2, 5, 6, 7),
        (2, 4, 3, 2),
        ((2, 1, 0, 0, 1), (2, 2, 0, 0, 1), (2, 3, 0, 0, 1)),
        flops=7 * 48,
    ),
    case(
        make("avgpool", (4, 5), (1, 2)),
        MAP,
        (3, 6, 3),
        ((4, 1, 0, 0, 1), (5, 2, 0, 0, 1)),
        flops=(19 + 1) * 54,
    ),
    case(  # rows 0 4 8 of 1+9: the last is not full; columns 0 4 8 of 1+10+1, and none at 12, past the map
        make("avgpool", 3, 4, padding=((1, 0), (1, 1)), ceil_mode=True, count_include_pad=False),
        MAP,
        (3, 3, 3),
        ((3, 4, 1, 0, 1), (3, 4, 1, 1, 1)),
        flops=3 * (2 + 3 + 2) * (2 + 3 + 3),  # rows and columns of the map in them
    ),
    # windows 0..2 and 2..3: two additions, one, and two divisions
    case(
        make("avgpool", 3, 2, ceil_mode=True, count_include_pad=False),
        (1, 4),
        (1, 2),
        ((3, 2, 0, 0, 1),),
        flops=2 + 1 + 2,
    ),
    # windows from -3, 0, 3 and 6 hold 4, 7, 6 and 3 values; with the padding 7, 7, 7 and 6
    case(
        make("avgpool", 7, 3, 3, ceil_mode=True, count_include_pad=False),
        (2, 9),
        (2, 4),
        ((7, 3, 3, 3, 1),),
        flops=2 * (4 + 7 + 6 + 3),
    ),
    case(make("avgpool", 7, 3, 3, ceil_mode=True), (2, 9), (2, 4), ((7, 3, 3, 3, 1),), flops=2 * (7 * 3 + 6)),
    case(make("avgpool", 2, 2, "same"), MAP, (3, 5, 5), ((2, 2, 0, 1, 1), (2, 2, 0, 0, 1)), flops=4 * 75),
    # rows 0 2 4 6 and columns 0 3 6, each with taps 2 and 1 apart
    case(
        make("avgpool", (2, 3), (2, 3), dilation=(2, 1), divisor_override=5),
        MAP,
        (3, 4, 3),
        ((2, 2, 0, 0, 2), (3, 3, 0, 0, 1)),
        flops=(5 + 1) * 36,
    ),
    # taps 3 apart from -2, 0 and 2: -2 1, 0 3 and 2 5, of which 1, 2 and 2 lie on the map
    case(
        make("avgpool", 2, 2, 2, count_include_pad=False, dilation=3),
        (2, 6),
        (2, 4),
        ((2, 2, 2, 2, 3),),
        flops=2 * (0 + 1 + 1 + 0 + 4),
    ),
    # |x|^p of each value, their sum, its p-th root
    case(make("lppool", 1, 2), MAP, (3, 4, 5), ((2, 2, 0, 0, 1),) * 2, flops=3 * 60),
    case(
        make("lppool", 2, (3, 2), (2, 3)),
        MAP,
        (3, 4, 3),
        ((3, 2, 0, 0, 1), (2, 3, 0, 0, 1)),
        flops=(6 + 5 + 4) * 36,
    ),
    # the last windows hold one row: 90 values in 25 windows, of which 5 are scaled up
    case(
        make("lppool", 3, 2, ceil_mode=True),
        MAP,
        (3, 5, 5),
        ((2, 2, 0, 0, 1),) * 2,
        flops=(8 * 90 + (90 - 25) + 5 + 8 * 25) * 3,
    ),
    case(  # a coefficient and a bias for each map
        make("subsample", (2, 3)),
        MAP,
        (3, 4, 3),
        ((2, 2, 0, 0, 1), (3, 3, 0, 0, 1)),
        params=6,
        weights=3,
        flops=(5 + 1 + 1) * 36,
    ),
    case(make("global_avgpool"), MAP, (3, 1, 1), WHOLE, flops=(89 + 1) * 3),
    case(make("global_avgpool"), (4, 11), (4, 1), WHOLE, flops=(10 + 1) * 4),
    case(make("global_maxpool"), MAP, (3, 1, 1), WHOLE, flops=89 * 3),
    case(make("global_maxpool"), (2, 5, 6, 7), (2, 1, 1, 1), WHOLE, flops=209 * 2),
    case(
        make("adaptive_avgpool", (3, 5)),
        MAP,
        (3, 3, 5),
        ((3, 3, 0, 0, 1), (2, 2, 0, 0, 1)),
        flops=(6 - 1 + 1) * 45,
    ),
    case(  # rows 0-2 2-4 4-6 6-8, columns 0-3 3-6 6-9: 12 by 12 values are read for 12 places
        make("adaptive_avgpool", (4, 3)),
        MAP,
        (3, 4, 3),
        ((Fraction(9, 4), Fraction(9, 4), 0, 0, 1), (Fraction(10, 3), Fraction(10, 3), 0, 0, 1)),
        flops=(144 - 12) * 3 + 36,
    ),
    case(make("adaptive_avgpool", 1), MAP, (3, 1, 1), WHOLE, flops=(89 + 1) * 3),
    case(make("adaptive_maxpool", 4), (4, 11), (4, 4), ((Fraction(11, 4),) * 2 + (0, 0, 1),), flops=4 * 10),
    case(  # more places than values: each of 10 columns is read twice by 20 places
        make("adaptive_maxpool", (9, 20)),
        MAP,
        (3, 9, 20),
        ((1, 1, 0, 0, 1), (Fraction(1, 2), Fraction(1, 2), 0, 0, 1)),
        flops=0,
    ),
    # -- reductions
    case(make("reduce", "sum"), MAP, (3, 1, 1), WHOLE, flops=89 * 3),
    case(make("reduce", "mean", "channels"), MAP, (1, 9, 10), SAME, flops=(2 + 1) * 90),
    case(make("reduce", "max", "channels", False), MAP, (9, 10), FOLDED, flops=2 * 90),
    case(
        make("reduce", "min", "width"),
        MAP,
        (3, 9, 1),
        ((1, 1, 0, 0, 1), (10, 10, 0, 0, 1)),
        flops=9 * 27,
    ),
    # 30 columns of 9: mean 8 + 1, variance 9 differences, 9 squares, 8 sums and a quotient
    case(make("reduce", "var", "height", False), MAP, (3, 10), WHOLE, flops=(8 + 1 + 9 + 9 + 8 + 1) * 30),
    case(make("reduce", "var", correction=0), (4, 11), (4, 1), WHOLE, flops=(10 + 1 + 11 + 11 + 10 + 1) * 4),
    # a vector of 9 rows, of 30 values each
    case(make("reduce", "norm", ("channels", "width"), False), MAP, (9,), WHOLE, flops=(30 + 29 + 4) * 9),
    case(make("reduce", "mean", ("width", "height", "channels")), MAP, (1, 1, 1), WHOLE, flops=269 + 1),
    case(make("reduce", "norm", "channels"), (7,), (1,), SAME, flops=7 + 6 + 4),
    # -- rearrangement
    case(make("flatten"), MAP, (270,), FOLDED),
    case(make("flatten"), (7,), (7,), SAME),
    case(make("reshape", (5, 6, 9)), MAP, (5, 6, 9), FOLDED),
    case(make("reshape", (3, 15, 6)), MAP, (3, 15, 6), MOVED),  # channels stay apart
    case(make("reshape", MAP), MAP, MAP, SAME),
    case(make("reshape", 270), MAP, (270,), FOLDED),
    case(make("reshape", (10, 3, 9)), (270,), (10, 3, 9), FOLDED),
    case(make("permute", (1, 2, 0)), MAP, (9, 10, 3), FOLDED),
    case(make("permute", (0, 2, 1)), MAP, (3, 10, 9), Swapped((1, 0))),
    case(make("permute", (0, 3, 1, 2)), (2, 4, 5, 6), (2, 6, 4, 5), Swapped((2, 0, 1))),
    case(make("channel_shuffle", 3), (6, 9, 10), (6, 9, 10), SAME),
    case(make("transpose"), MAP, (3, 10, 9), Swapped((1, 0))),
    case(make("transpose", 1, -1), (2, 4, 5, 6), (2, 6, 5, 4), Swapped((2, 1, 0))),
    case(make("transpose"), (4, 11), (11, 4), FOLDED),
    case(make("transpose", 1, -2), MAP, MAP, SAME),
    case(make("roll", -3, "height"), MAP, MAP, MOVED),
    case(make("roll", 4, "channels"), MAP, MAP, SAME),
    case(make("roll", 20, "width"), MAP, MAP, SAME),  # all the way around, twice
    case(make("pixel_shuffle", 2), (12, 4, 5), (3, 8, 10), ((2, 2, 0, 0, 1, T),) * 2),
    case(make("pixel_unshuffle", 3), (2, 9, 6), (18, 3, 2), ((3, 3, 0, 0, 1),) * 2),
    # windows start at rows -1, 1, 3 and 5, and span 3 with padding 1; at columns 0 to 5 and span 5
    case(make("unfold", (3, 3), (1, 2), (1, 0), (2, 1)), MAP, (27, 5 * 6), WHOLE),
    case(make("unfold", 4), MAP, (48, 6 * 7), WHOLE),
    # -- resizing
    case(make("upsample", scale_factor=2), MAP, (3, 18, 20), ((2, 2, 0, 0, 1, T),) * 2),
    case(
        make("upsample", (12, 5)),
        MAP,
        (3, 12, 5),
        ((Fraction(4, 3), Fraction(4, 3), 0, 0, 1, T), (Fraction(1, 2), Fraction(1, 2), 0, 0, 1, T)),
    ),
    case(  # 9 * 3/2 = 13.5: 13 rows, still 3/2 apart
        make("upsample", scale_factor=(Fraction(3, 2), 3)),
        MAP,
        (3, 13, 30),
        ((Fraction(3, 2), Fraction(3, 2), 0, 0, 1, T), (3, 3, 0, 0, 1, T)),
    ),
    # four multiplications and three additions per value; two and one along a single axis. Output `o`
    # lies at `(o + 1/2)/2 - 1/2`, and reads what is nearer than 1: `0 <= o + 1 - 2i < 7/2`
    case(
        make("upsample", scale_factor=2, mode="bilinear"),
        MAP,
        (3, 18, 20),
        ((Fraction(7, 2), 2, 1, Fraction(1, 2), 1, T),) * 2,
        flops=7 * 1080,
    ),
    case(
        make("upsample", 22, mode="bilinear"),
        (4, 11),
        (4, 22),
        ((Fraction(7, 2), 2, 1, Fraction(1, 2), 1, T),),
        flops=3 * 88,
    ),
    # output `o` copies `floor((o + 1/2)/scale)`, a half later than nearest does
    case(
        make("upsample", (12, 20), mode="nearest_exact"),
        MAP,
        (3, 12, 20),
        ((Fraction(4, 3), Fraction(4, 3), Fraction(1, 2), Fraction(-1, 2), 1, T), (2, 2, 0, 0, 1, T)),
    ),
    # 16 values per output, two on each side of `(o + 1/2)/2 - 1/2`: `0 <= o + 7/2 - 2i < 8`
    case(
        make("upsample", scale_factor=2, mode="bicubic"),
        MAP,
        (3, 18, 20),
        ((8, 2, Fraction(7, 2), Fraction(5, 2), 1, T),) * 2,
        flops=(16 + 15) * 1080,
    ),
    # aligned corners: 16 steps of the output are 8 of 9 rows, and 27 are 9 of 10 columns. Rows have
    # `o/2 - 1 < i < o/2 + 1`, that is `0 <= o + 1 - 2i < 3`, and columns `0 <= o + 2 - 3i < 5`
    case(
        make("upsample", (17, 28), mode="bilinear", align_corners=True),
        MAP,
        (3, 17, 28),
        ((3, 2, 1, 1, 1, T), (5, 3, 2, 2, 1, T)),
        flops=7 * 3 * 17 * 28,
    ),
    case(
        make("upsample", (17, 4), mode="bicubic", align_corners=True),
        MAP,
        (3, 17, 4),
        ((8, 2, 4, 3, 1, T), (Fraction(4, 3), Fraction(1, 3), Fraction(2, 3), Fraction(-1, 3), 1, T)),
        flops=31 * 3 * 17 * 4,
    ),
    # the only output lies on the first of 11, and all outputs on the only input
    case(
        make("upsample", 1, mode="linear", align_corners=True),
        (4, 11),
        (4, 1),
        ((1, 11, 0, 0, 1),),
        flops=3 * 4,
    ),
    case(
        make("upsample", 5, mode="linear", align_corners=True),
        (4, 1),
        (4, 5),
        ((5, 5, 0, 0, 1, T),),
        flops=60,
    ),
    case(make("pad", 2, mode="reflect"), MAP, (3, 13, 14), ((1, 1, 2, 2, 1),) * 2),
    case(
        make("pad", ((3, -1), (0, 12)), mode="replicate"),
        MAP,
        (3, 11, 22),
        ((1, 1, 3, -1, 1), (1, 1, 0, 12, 1)),
    ),
    case(make("pad", (10, 1), "width", "circular"), MAP, (3, 9, 21), ((1, 1, 0, 0, 1), (1, 1, 10, 1, 1))),
    case(make("pad", 3, value=Fraction(-1, 2)), (4, 11), (4, 17), ((1, 1, 3, 3, 1),)),
    case(make("pad", (1, 4), "channels", value=2), (3, 5), (8, 5), ((1, 1, 0, 0, 1),)),
    case(make("pad", ((0, 1), (2, 0))), MAP, (3, 10, 12), ((1, 1, 0, 1, 1), (1, 1, 2, 0, 1))),
    case(make("pad", ((-1, 1), (-2, -3))), MAP, (3, 9, 5), ((1, 1, -1, 1, 1), (1, 1, -2, -3, 1))),
    case(make("pad", 3), (4, 11), (4, 17), ((1, 1, 3, 3, 1),)),
    case(make("pad", (1, 4), dim="channels"), MAP, (8, 9, 10), ((1, 1, 0, 0, 1),) * 2),
    case(make("pad", (0, 2), dim="width"), MAP, (3, 9, 12), ((1, 1, 0, 0, 1), (1, 1, 0, 2, 1))),
    case(make("crop", (4, 5)), MAP, (3, 4, 5), ((1, 1, -2, -3, 1), (1, 1, -2, -3, 1))),
    case(make("slice", 1, 3), MAP, (2, 9, 10), ((1, 1, 0, 0, 1),) * 2),
    case(make("slice", 2, 9, "height"), MAP, (3, 7, 10), ((1, 1, -2, 0, 1), (1, 1, 0, 0, 1))),
    case(make("slice", 0, 4), (7,), (4,), SAME),
    # -- joins
    case(make("concat"), (MAP, (5, 9, 10)), (8, 9, 10), SAME),
    case(make("concat", dim="height"), (MAP, (3, 4, 10), MAP), (3, 22, 10), Stacked(0)),
    case(make("concat"), ((7,), (4,)), (11,), SAME),
    case(make("stack"), (MAP, MAP), (2, 3, 9, 10), FOLDED),
    case(make("stack", 1), (MAP, MAP, MAP), (3, 3, 9, 10), MOVED),
    case(make("stack", -1), ((7,), (7,)), (7, 2), MOVED),
    case(make("add"), (MAP, MAP), MAP, SAME, flops=270),
    case(make("add"), (MAP, MAP, MAP), MAP, SAME, flops=2 * 270),
    case(make("mul"), (MAP, (3, 1, 1)), MAP, SAME, flops=270),
    case(make("mul"), ((1, 9, 1), (3, 1, 10), MAP), MAP, SAME, flops=2 * 270),
    case(make("add"), ((3, 1, 10), (1, 9, 1), MAP), MAP, SAME, flops=2 * 270),
    case(make("add"), ((3, 1, 1), (1, 9, 1), MAP), MAP, SAME, flops=27 + 270),  # 3x9x1 after the first sum
    case(make("sub"), (MAP, MAP), MAP, SAME, flops=270),
    case(make("sub"), ((1, 9, 1), MAP), MAP, SAME, flops=270),
    case(make("div"), (MAP, (3, 1, 10)), MAP, SAME, flops=270),
    # -- parameters and factors
    case(make("parameter", (5, 7)), (), (5, 7), SAME, params=35, weights=35),
    case(make("parameter", (5,), trained=False), (), (5,), SAME, buffers=5),
    case(make("scale"), MAP, MAP, SAME, params=1, flops=270),
    case(make("scale", Fraction(1, 3)), MAP, MAP, SAME, flops=270),
    case(make("scale", (1, Fraction(1, 2), 3)), MAP, MAP, SAME, flops=270),
    case(make("shift", per_channel=True), MAP, MAP, SAME, params=3, flops=270),
    case(make("shift", -2), (7,), (7,), SAME, flops=7),
    # -- products: 4 rows by 5 columns, sums of 6; two matrices of that
    case(make("matmul"), ((4, 6), (6, 5)), (4, 5), WHOLE, macs=120, flops=240),
    case(make("matmul"), ((2, 4, 6), (1, 6, 5)), (2, 4, 5), WHOLE, macs=240, flops=480),
    # 6 channels, 2 heads of 3, 5 places: four projections of 6·6 at 5 places, two products of 5·5·6; the
    # queries are scaled, and each of 2 heads has 5 rows of softmax over 5: 4 comparisons, 5 differences,
    # 5 exponentials, 4 additions, 5 divisions
    case(
        make("attention", 2),
        (6, 5),
        (6, 5),
        WHOLE,
        params=4 * 36 + 4 * 6,
        weights=4 * 36,
        macs=4 * 180 + 2 * 150,
        flops=2 * 1020 + 30 + 4 * 30 + 10 * (4 + 5 + 8 * 5 + 4 + 5),
    ),
    # heads of 4 and 5 instead of 3; a mask adds one to each of 50 scores; the first place sees itself alone
    case(
        make("attention", 2, key_dim=4, value_dim=5, bias=False, is_causal=True),
        (6, 5),
        (6, 5),
        ((5, 1, 4, 0, 1),),
        params=6 * 8 * 2 + 6 * 10 * 2,
        weights=6 * 8 * 2 + 6 * 10 * 2,
        macs=5 * (6 * 8 * 2 + 6 * 10 * 2) + 25 * (8 + 10),
        flops=2 * (1080 + 450) + 40 + 50 + 10 * (4 + 5 + 8 * 5 + 4 + 5),
    ),
    # a map of 2x3 places looks at a sequence of 4 places with 3 channels
    case(
        make("attention", 2, bias=False, key_value=GivenTensor()),
        ((6, 2, 3), (3, 4)),
        (6, 2, 3),
        WHOLE,
        params=36 + 18 + 18 + 36,
        weights=108,
        macs=6 * 36 + 4 * 18 + 4 * 18 + 6 * 36 + 2 * 6 * 4 * 6,
        flops=2 * 864 + 36 + 12 * (3 + 4 + 8 * 4 + 3 + 4),
    ),
    # -- weights that are fixed or computed: 16 weights, then 12 in 2 output channels of 6
    case(
        make("conv", 2, 2, weight="fixed"),
        (2, 3, 3),
        (2, 2, 2),
        ((2, 1, 0, 0, 1),) * 2,
        params=2,
        buffers=16,
        macs=64,
        flops=128 + 8,
    ),
    # mean, variance and normalization: 3 additions and 2 multiplications a weight; per output channel two
    # divisions, an addition and a root
    case(
        make("fc", 2, bias=False, weight="standardized"),
        (6,),
        (2,),
        WHOLE,
        params=12,
        weights=12,
        macs=12,
        flops=24 + 12 * 5 + 2 * (2 + 1 + 4),
    ),
    # then times gain / root(6), which is one multiplication more for each channel
    case(
        make("fc", 2, bias=False, weight="scaled_standardized"),
        (6,),
        (2,),
        WHOLE,
        params=14,
        weights=12,
        macs=12,
        flops=24 + 12 * 5 + 2 * (2 + 1 + 4) + 2 + 12,
    ),
    # the length of 6 weights: 6 squares, 5 additions, a root; gain / length; 6 multiplications
    case(
        make("fc", 2, bias=False, weight="weight_norm"),
        (6,),
        (2,),
        WHOLE,
        params=14,
        weights=12,
        macs=12,
        flops=24 + 2 * (6 + 5 + 4 + 1 + 6),
    ),
    # W·v: 2 sums of 6 products; u·(W·v): one of 2; then 12 divisions
    case(
        make("fc", 2, bias=False, weight="spectral_norm"),
        (6,),
        (2,),
        WHOLE,
        params=12,
        weights=12,
        buffers=2 + 6,
        macs=12,
        flops=24 + 2 * 11 + 3 + 12,
    ),
    case(
        make("maxunpool", Pooled(MAP, (Window(3, 2, 1, 1), Window(2, 2)))),
        ((3, 5, 5), (3, 5, 5)),
        MAP,
        ((3, 2, 1, 1, 1, T), (2, 2, 0, 0, 1, T)),
    ),
    # -- sequences: a gate has 3 + 4 weights per unit; sigmoid 8 + 1 + 1 operations, tanh 8
    case(make("embedding", 11, 4), (7,), (4, 7), FOLDED, params=44, weights=44),
    case(make("embedding", 11, 4), (2, 3, 5), (4, 2, 3, 5), MOVED, params=44, weights=44),
    case(make("embedding", 6, 1), (2, 1, 3, 1, 2), (1, 2, 1, 3, 1, 2), MOVED, params=6, weights=6),
    case(  # per unit and step: 3 sigmoids, 2 tanh, 3 products and a sum; biases twice for 4 gates
        make("lstm", 4),
        (3, 7),
        (4, 7),
        ((7, 1, 6, 0, 1),),  # 6 back
        params=4 * 4 * 7 + 2 * 16,
        weights=4 * 4 * 7,
        macs=112 * 7,
        flops=2 * 112 * 7 + (3 * 10 + 2 * 8 + 3 + 1 + 8) * 28,
    ),
    case(
        make("lstm", 4, bias="one", bidirectional=True),
        (3, 7),
        (8, 7),
        ((13, 1, 6, 6, 1),),  # 6 back and 6 ahead
        params=2 * (112 + 16),
        weights=2 * 112,
        macs=2 * 112 * 7,
        flops=2 * (2 * 112 * 7 + (50 + 4) * 28),
    ),
    case(  # the second layer reads the 8 states of both directions
        make("lstm", 4, 2, False, True, False),
        (3, 7),
        (8,),
        WHOLE,
        params=2 * 112 + 2 * 4 * 4 * 12,
        weights=2 * 112 + 2 * 4 * 4 * 12,
        macs=(224 + 384) * 7,
        flops=2 * (224 + 384) * 7 + 2 * 2 * 50 * 28,
    ),
    case(  # 2 sigmoids, a tanh, `r * (...) + ...`, `(1 - z) * n + z * h`
        make("gru", 4),
        (3, 7),
        (4, 7),
        ((7, 1, 6, 0, 1),),
        params=3 * 4 * 7 + 2 * 12,
        weights=84,
        macs=84 * 7,
        flops=2 * 84 * 7 + (2 * 10 + 8 + 2 + 4 + 6) * 28,
    ),
    case(
        make("gru", 4, 3, bias="one", return_sequences=False),
        (3, 7),
        (4,),
        WHOLE,
        params=84 + 2 * 3 * 4 * 8 + 3 * 12,
        weights=84 + 2 * 96,
        macs=(84 + 192) * 7,
        flops=2 * 276 * 7 + 3 * (2 * 10 + 8 + 1 + 4 + 3) * 28,
    ),
    case(
        make("rnn", 4),
        (3, 7),
        (4, 7),
        ((7, 1, 6, 0, 1),),
        params=4 * 7 + 8,
        weights=28,
        macs=28 * 7,
        flops=2 * 28 * 7 + (8 + 2) * 28,
    ),
    case(
        make("rnn", 4, 2, "relu", bidirectional=True, bias=False),
        (3, 1),
        (8, 1),
        ((1, 1, 0, 0, 1),),
        params=2 * 28 + 2 * 4 * 12,
        weights=56 + 96,
        macs=152,
        flops=2 * 152 + 2 * 2 * 4,
    ),
]
