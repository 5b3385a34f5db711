"""Activation functions and dropout: one value in, one value out.

Operations per value, as written in each class: `compare` for a maximum, a minimum or a choice by sign;
`special` for an exponential, a tanh or an erf.
"""

from fractions import Fraction
from typing import Annotated, ClassVar

from archcalc.layers.arguments import Count, Dim, LayerError, Probability, Real, choice, dim_index
from archcalc.layers.base import Layer, layer
from archcalc.layers.channels import all_of
from archcalc.layers.terms import Facts, Operations, Reach, Weight, Windows, per_value, term, values_of
from archcalc.shape import Shape, Window


class Elementwise(Layer, frozen=True):
    """What they share: shape and place stay, no weights; `costs` are the operations per value."""

    costs: ClassVar[dict[str, int]]

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return per_value(output, **self.costs)

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.SAME

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return channels


@layer("relu")
class ReLU(Elementwise, frozen=True):
    """`max(x, 0)` (Nair & Hinton 2010).

    Source: Nair & Hinton 2010, Rectified Linear Units Improve Restricted Boltzmann Machines.

    Example: input(64x56x56) -> relu
    """

    costs = {"compare": 1}


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
    """`relu6(x + 3) / 6` (Howard et al. 2019).

    Source: Howard et al. 2019, Searching for MobileNetV3, arXiv:1905.02244, Section 5.2.

    Example: input(64x1x1) -> hardsigmoid
    """

    costs = {"add": 1, "compare": 2, "div": 1}


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


@layer("softmax")
class Softmax(Elementwise, frozen=True):
    """`exp(x - max) / sum` along `dim`: a maximum, a difference, an exponential, a sum, a division.

    Source: the documentation of `torch.nn.Softmax`.

    Example: input(1000) -> softmax
    """

    dim: Dim = "channels"

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        length = output[dim_index(self.dim, output, self.kind)]
        others = term(("(n-1)", length - 1), ("groups", values_of(output).value // length))
        return (
            ("compare", others),
            *per_value(output, add=1, special=1),
            ("add", others),
            *per_value(output, div=1),
        )

    def windows(self, *inputs: Shape) -> Windows:
        axis = dim_index(self.dim, inputs[0], self.kind)
        if axis == 0:
            return Reach.SAME
        # each place sees its whole row, as far back and ahead as that is long
        return tuple(
            Window(2 * n - 1, 1, n - 1, n - 1, clamped=True) if i == axis else Window(1, 1, 0, 0)
            for i, n in enumerate(inputs[0][1:], start=1)
        )

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return all_of(facts.output[0]) if self.dim == "channels" else channels


@layer("dropout")
class Dropout(Elementwise, frozen=True):
    """Dropout (Hinton et al. 2012): nothing at inference.

    Source: Hinton et al. 2012, Improving neural networks by preventing co-adaptation of feature detectors,
    arXiv:1207.0580.

    Example: input(4096) -> dropout(0.5)
    """

    p: Probability = Fraction(1, 2)
    costs = {}


@layer("drop_path")
class DropPath(Elementwise, frozen=True):
    """Stochastic depth (Huang et al. 2016): nothing at inference.

    Source: Huang et al. 2016, Deep Networks with Stochastic Depth, arXiv:1603.09382.

    Example: input(96x56x56) -> drop_path(0.1)
    """

    p: Probability = 0
    costs = {}
