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
    """`max(x, 0)` (Nair & Hinton 2010)."""

    costs = {"compare": 1}


@layer("relu6")
class ReLU6(Elementwise, frozen=True):
    """`min(max(x, 0), 6)` (Krizhevsky 2010)."""

    costs = {"compare": 2}


@layer("leaky_relu")
class LeakyReLU(Elementwise, frozen=True):
    """`x` if positive, else `negative_slope * x` (Maas et al. 2013)."""

    negative_slope: Real = Fraction(1, 100)
    costs = {"compare": 1, "mul": 1}


@layer("prelu")
class PReLU(Elementwise, frozen=True):
    """`x` if positive, else a trained slope times `x`: one slope, or one per channel (He et al. 2015)."""

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
    """`x` if positive, else `alpha * (exp(x) - 1)` (Clevert et al. 2015)."""

    alpha: Real = 1
    costs = {"compare": 1, "special": 1, "add": 1, "mul": 1}


@layer("selu")
class SELU(Elementwise, frozen=True):
    """`scale * elu(x, alpha)` with fixed `scale` and `alpha` (Klambauer et al. 2017)."""

    costs = {"compare": 1, "special": 1, "add": 1, "mul": 2}


@layer("gelu")
class GELU(Elementwise, frozen=True):
    """`x/2 * (1 + erf(x / sqrt(2)))` (Hendrycks & Gimpel 2016); `approximate="tanh"` as in PyTorch."""

    approximate: Annotated[str, choice("none", "tanh")] = "none"
    costs = {"mul": 3, "add": 1, "special": 1}

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        if self.approximate == "tanh":
            return per_value(output, mul=6, add=2, special=1)
        return per_value(output, **self.costs)


@layer("silu")
class SiLU(Elementwise, frozen=True):
    """`x * sigmoid(x) = x / (1 + exp(-x))` (Ramachandran et al. 2017, swish)."""

    costs = {"special": 1, "add": 1, "div": 1}


@layer("hardswish")
class HardSwish(Elementwise, frozen=True):
    """`x * relu6(x + 3) / 6` (Howard et al. 2019)."""

    costs = {"add": 1, "compare": 2, "mul": 1, "div": 1}


@layer("hardsigmoid")
class HardSigmoid(Elementwise, frozen=True):
    """`relu6(x + 3) / 6` (Howard et al. 2019)."""

    costs = {"add": 1, "compare": 2, "div": 1}


@layer("sigmoid")
class Sigmoid(Elementwise, frozen=True):
    """`1 / (1 + exp(-x))`."""

    costs = {"special": 1, "add": 1, "div": 1}


@layer("tanh")
class Tanh(Elementwise, frozen=True):
    """Hyperbolic tangent."""

    costs = {"special": 1}


@layer("abs")
class Abs(Elementwise, frozen=True):
    """Absolute value."""

    costs = {"compare": 1}


@layer("softmax")
class Softmax(Elementwise, frozen=True):
    """`exp(x - max) / sum` along `dim`: a maximum, a difference, an exponential, a sum, a division."""

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
    """Dropout (Hinton et al. 2012): nothing at inference."""

    p: Probability = Fraction(1, 2)
    costs = {}


@layer("drop_path")
class DropPath(Elementwise, frozen=True):
    """Stochastic depth (Huang et al. 2016): nothing at inference."""

    p: Probability = 0
    costs = {}
