"""Activation functions and dropout: one value in, one value out.

Operations per value, as written in each class: `compare` for a maximum, a minimum or a choice by sign;
`special` for an exponential, a tanh or an erf.
"""

from fractions import Fraction
from typing import Annotated

from archcalc.layers.arguments import Count, LayerError, Probability, Real, choice
from archcalc.layers.backward import OUTPUT, Backward, Needs, mask
from archcalc.layers.base import layer
from archcalc.layers.elementwise import Elementwise
from archcalc.layers.terms import Facts, Operations, Weight, per_value, values_of
from archcalc.shape import Shape


@layer("relu")
class ReLU(Elementwise, frozen=True):
    """`max(x, 0)` (Nair & Hinton 2010).

    Source: Nair & Hinton 2010, Rectified Linear Units Improve Restricted Boltzmann Machines.

    Example: input(64x56x56) -> relu
    """

    costs = {"compare": 1}

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return Backward((mask(values_of(facts.output), instead=OUTPUT),), per_value(facts.output, compare=1))


@layer("relu6")
class ReLU6(Elementwise, frozen=True):
    """`min(max(x, 0), 6)` (Krizhevsky 2010).

    Source: Krizhevsky 2010, Convolutional Deep Belief Networks on CIFAR-10.

    Example: input(32x112x112) -> relu6
    """

    costs = {"compare": 2}


@layer("leaky_relu")
class LeakyReLU(Elementwise, frozen=True):
    """`x` if positive, else `negative_slope * x` (Maas et al. 2013).

    Source: Maas et al. 2013, Rectifier Nonlinearities Improve Neural Network Acoustic Models.

    Example: input(64x56x56) -> leaky_relu(0.1)
    """

    negative_slope: Real = Fraction(1, 100)
    costs = {"compare": 1, "mul": 1}


@layer("prelu")
class PReLU(Elementwise, frozen=True):
    """`x` if positive, else a trained slope times `x`: one slope, or one per channel (He et al. 2015).

    Source: He et al. 2015, Delving Deep into Rectifiers, arXiv:1502.01852, Equation 1.

    Example: input(64x56x56) -> prelu(64)
    """

    num_parameters: Count = 1
    costs = {"compare": 1, "mul": 1}

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        if self.num_parameters not in (1, inputs[0][0]):
            raise LayerError(
                f"`num_parameters` of `prelu` must be 1 or the channels, {inputs[0][0]}, "
                f"got {self.num_parameters}",
                argument="num_parameters",
            )
        return (Weight("weight", (("slopes", self.num_parameters),)),)


@layer("elu")
class ELU(Elementwise, frozen=True):
    """`x` if positive, else `alpha * (exp(x) - 1)` (Clevert et al. 2015).

    Source: Clevert et al. 2015, Fast and Accurate Deep Network Learning by Exponential Linear Units,
    arXiv:1511.07289.

    Example: input(64x56x56) -> elu
    """

    alpha: Real = 1
    costs = {"compare": 1, "special": 1, "add": 1, "mul": 1}


@layer("selu")
class SELU(Elementwise, frozen=True):
    """`scale * elu(x, alpha)` with fixed `scale` and `alpha` (Klambauer et al. 2017).

    Source: Klambauer et al. 2017, Self-Normalizing Neural Networks, arXiv:1706.02515, Equation 2.

    Example: input(4096) -> selu
    """

    costs = {"compare": 1, "special": 1, "add": 1, "mul": 2}


@layer("gelu")
class GELU(Elementwise, frozen=True):
    """`x/2 * (1 + erf(x / sqrt(2)))` (Hendrycks & Gimpel 2016); `approximate="tanh"` as in PyTorch.

    Source: Hendrycks & Gimpel 2016, Gaussian Error Linear Units, arXiv:1606.08415.

    Example: input(384x56x56) -> gelu
    """

    approximate: Annotated[str, choice("none", "tanh")] = "none"
    costs = {"mul": 3, "add": 1, "special": 1}

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        if self.approximate == "tanh":
            return per_value(output, mul=6, add=2, special=1)
        return per_value(output, **self.costs)


@layer("silu")
class SiLU(Elementwise, frozen=True):
    """`x * sigmoid(x) = x / (1 + exp(-x))` (Ramachandran et al. 2017, swish).

    Source: Ramachandran et al. 2017, Searching for Activation Functions, arXiv:1710.05941.

    Example: input(32x112x112) -> silu
    """

    costs = {"special": 1, "add": 1, "div": 1}


@layer("hardswish")
class HardSwish(Elementwise, frozen=True):
    """`x * relu6(x + 3) / 6` (Howard et al. 2019).

    Source: Howard et al. 2019, Searching for MobileNetV3, arXiv:1905.02244, Section 5.2.

    Example: input(16x112x112) -> hardswish
    """

    costs = {"add": 1, "compare": 2, "mul": 1, "div": 1}


@layer("hardsigmoid")
class HardSigmoid(Elementwise, frozen=True):
    """`min(max(slope * x + offset, 0), 1)`; left out, `relu6(x + 3) / 6` (Howard et al. 2019).

    Keras 2 and ONNX have a slope of 0.2 and the same offset. Other arguments than the defaults take a
    multiplication in place of the division.

    Source: Howard et al. 2019, Searching for MobileNetV3, arXiv:1905.02244, Section 5.2; the documentation of
    `HardSigmoid` in ONNX.

    Example: input(64x1x1) -> hardsigmoid
    """

    slope: Real = Fraction(1, 6)
    offset: Real = Fraction(1, 2)

    def check(self) -> None:
        if self.slope == 0:
            raise LayerError(
                "`slope` of `hardsigmoid` cannot be 0",
                argument="slope",
                help="every value would be the same: the layer would read nothing",
            )

    @property
    def is_standard(self) -> bool:
        """Is it `relu6(x + 3) / 6`?"""
        return (self.slope, self.offset) == (Fraction(1, 6), Fraction(1, 2))

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        if self.is_standard:
            return per_value(output, add=1, compare=2, div=1)
        return per_value(output, mul=1, add=1, compare=2)


@layer("sigmoid")
class Sigmoid(Elementwise, frozen=True):
    """`1 / (1 + exp(-x))`.

    Source: the documentation of `torch.nn.Sigmoid`.

    Example: input(64x1x1) -> sigmoid
    """

    costs = {"special": 1, "add": 1, "div": 1}


@layer("tanh")
class Tanh(Elementwise, frozen=True):
    """Hyperbolic tangent.

    Source: the documentation of `torch.nn.Tanh`.

    Example: input(6x28x28) -> tanh
    """

    costs = {"special": 1}


@layer("abs")
class Abs(Elementwise, frozen=True):
    """Absolute value.

    Source: the documentation of `torch.abs`.

    Example: input(4096) -> abs
    """

    costs = {"compare": 1}


@layer("softplus")
class Softplus(Elementwise, frozen=True):
    """`log(1 + exp(beta * x)) / beta`; `x` itself where `beta * x` is above `threshold`.

    Counts a comparison, an exponential, an addition and a logarithm; with a `beta` other than 1 also a
    multiplication and a division.

    Source: the documentation of `torch.nn.Softplus`.

    Example: input(64x56x56) -> softplus
    """

    beta: Real = 1
    threshold: Real = 20
    costs = {"compare": 1, "special": 2, "add": 1}

    def check(self) -> None:
        if self.beta == 0:
            raise LayerError(
                "`beta` of `softplus` cannot be 0", argument="beta", help="leave it out: `beta` is 1"
            )

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        scale = int(self.beta != 1)
        return per_value(output, **self.costs, mul=scale, div=scale)


@layer("mish")
class Mish(Elementwise, frozen=True):
    """`x * tanh(log(1 + exp(x)))` (Misra 2019).

    Source: Misra 2019, Mish: A Self Regularized Non-Monotonic Activation Function, arXiv:1908.08681.

    Example: input(64x56x56) -> mish
    """

    costs = {"special": 3, "add": 1, "mul": 1}


@layer("hardtanh")
class Hardtanh(Elementwise, frozen=True):
    """`min(max(x, min_val), max_val)`.

    Source: the documentation of `torch.nn.Hardtanh`.

    Example: input(64x56x56) -> hardtanh
    """

    min_val: Real = -1
    max_val: Real = 1
    costs = {"compare": 2}

    def check(self) -> None:
        if self.min_val >= self.max_val:
            raise LayerError(
                "`min_val` of `hardtanh` must be less than `max_val`",
                argument="min_val",
                help="write the smaller one first: `hardtanh(-1, 1)`",
            )


@layer("logsigmoid")
class LogSigmoid(Elementwise, frozen=True):
    """`-log(1 + exp(-x))`.

    Source: the documentation of `torch.nn.LogSigmoid`.

    Example: input(64x1x1) -> logsigmoid
    """

    costs = {"special": 2, "add": 1}


@layer("softsign")
class Softsign(Elementwise, frozen=True):
    """`x / (1 + abs(x))`.

    Source: the documentation of `torch.nn.Softsign`.

    Example: input(64x56x56) -> softsign
    """

    costs = {"compare": 1, "add": 1, "div": 1}


@layer("dropout")
class Dropout(Elementwise, frozen=True):
    """Dropout (Hinton et al. 2012): nothing at inference.

    Source: Hinton et al. 2012, Improving neural networks by preventing co-adaptation of feature detectors,
    arXiv:1207.0580.

    Example: input(4096) -> dropout(0.5)
    """

    p: Probability = Fraction(1, 2)
    costs = {}

    def is_view(self, facts: Facts) -> bool:
        return self.p == 0

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        if self.p in (0, 1):
            return Backward(passes=(0,) if self.p == 0 else ())
        return Backward((mask(values_of(facts.output)),), per_value(facts.output, mul=1))


@layer("drop_path")
class DropPath(Elementwise, frozen=True):
    """Stochastic depth (Huang et al. 2016): nothing at inference.

    Source: Huang et al. 2016, Deep Networks with Stochastic Depth, arXiv:1603.09382.

    Example: input(96x56x56) -> drop_path(0.1)
    """

    p: Probability = 0
    costs = {}
