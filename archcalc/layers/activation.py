"""Activation functions, from one value to one value.

Each class states its operations per value. `compare` is a maximum, a minimum, or a choice by sign. `special`
is an exponential, a tanh, or an erf. If a formula has branches, the longest one counts.
"""

from fractions import Fraction
from typing import Annotated

from archcalc.layers.arguments import Count, LayerError, Real, choice
from archcalc.layers.backward import KEPT_INPUT, KEPT_OUTPUT, OUTPUT, Backward, Needs, mask
from archcalc.layers.base import layer
from archcalc.layers.elementwise import Elementwise
from archcalc.layers.terms import Facts, Operations, Weight, per_value, values_of
from archcalc.shape import Shape


@layer("relu")
class ReLU(Elementwise, frozen=True):
    """Rectified linear unit: `max(x, 0)` (Nair & Hinton 2010).

    Source: Nair & Hinton 2010, Rectified Linear Units Improve Restricted Boltzmann Machines.

    Example: input(64x56x56) -> relu
    """

    costs = {"compare": 1}

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return Backward((mask(values_of(facts.output), instead=OUTPUT),), per_value(facts.output, compare=1))


@layer("relu6")
class ReLU6(Elementwise, frozen=True):
    """Rectified linear unit with a limit: `min(max(x, 0), 6)` (Krizhevsky 2010).

    Source: Krizhevsky 2010, Convolutional Deep Belief Networks on CIFAR-10.

    Example: input(32x112x112) -> relu6
    """

    costs = {"compare": 2}

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return Backward((mask(values_of(facts.output), instead=OUTPUT),), per_value(facts.output, compare=2))


@layer("leaky_relu")
class LeakyReLU(Elementwise, frozen=True):
    """`x` if it is positive, otherwise `negative_slope * x` (Maas et al. 2013).

    Source: Maas et al. 2013, Rectifier Nonlinearities Improve Neural Network Acoustic Models.

    Example: input(64x56x56) -> leaky_relu(0.1)
    """

    negative_slope: Real = Fraction(1, 100)
    costs = {"compare": 1, "mul": 1}

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """The output has the sign of the input, except with a negative slope, where no output is negative."""
        if self.negative_slope == 1:
            return Backward(passes=(0,))
        says_the_same = OUTPUT if self.negative_slope >= 0 else 0
        kept = mask(values_of(facts.output), instead=says_the_same)
        return Backward((kept,), per_value(facts.output, compare=1, mul=1))


@layer("prelu")
class PReLU(Elementwise, frozen=True):
    """`x` if it is positive, otherwise a trained slope times `x` (He et al. 2015).

    `num_parameters` is 1 for a single slope, or the number of channels for one slope per channel.

    Source: He et al. 2015, Delving Deep into Rectifiers, arXiv:1502.01852, Equation 1.

    Example: input(64x56x56) -> prelu(64)
    """

    num_parameters: Count = 1
    costs = {"compare": 1, "mul": 1}

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        if self.num_parameters not in (1, inputs[0][0]):
            raise LayerError(
                f"`num_parameters` of `prelu` must be 1 or the number of channels, {inputs[0][0]}, "
                f"got {self.num_parameters}",
                argument="num_parameters",
            )
        return (Weight("weight", (("slopes", self.num_parameters),)),)

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """The gradient of the input needs only the sign of the input; that of the slopes needs its values."""
        values = values_of(facts.output)
        operations = [("compare", values)]
        if needs.any_input:
            operations.append(("mul", values.of("gradient of the input")))
        if not needs.trained:
            return Backward((mask(values, instead=0),), tuple(operations))
        operations += [(category, values.of("gradient of the slopes")) for category in ("mul", "add")]
        return Backward((KEPT_INPUT,), tuple(operations))


@layer("elu")
class ELU(Elementwise, frozen=True):
    """`x` if it is positive, otherwise `alpha * (exp(x) - 1)` (Clevert et al. 2015).

    Source: Clevert et al. 2015, Fast and Accurate Deep Network Learning by Exponential Linear Units,
    arXiv:1511.07289.

    Example: input(64x56x56) -> elu
    """

    alpha: Real = 1
    costs = {"compare": 1, "special": 1, "add": 1, "mul": 1}

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """The derivative below 0 is `alpha * exp(x)`, which is `y + alpha`.

        With a negative `alpha` no output is negative, so the input is needed to distinguish the branches.
        """
        if self.alpha < 0:
            return Backward((KEPT_INPUT,), per_value(facts.output, compare=1, special=1, mul=2))
        if self.alpha == 0:
            kept = mask(values_of(facts.output), instead=OUTPUT)
            return Backward((kept,), per_value(facts.output, compare=1))
        return Backward((KEPT_OUTPUT,), per_value(facts.output, compare=1, add=1, mul=1))


@layer("selu")
class SELU(Elementwise, frozen=True):
    """Scaled ELU: `scale * elu(x, alpha)` with fixed `scale` and `alpha` (Klambauer et al. 2017).

    Source: Klambauer et al. 2017, Self-Normalizing Neural Networks, arXiv:1706.02515, Equation 2.

    Example: input(4096) -> selu
    """

    costs = {"compare": 1, "special": 1, "add": 1, "mul": 2}
    keeps = KEPT_OUTPUT
    costs_back = {"compare": 1, "add": 1, "mul": 1}  # g scale, or below 0 g (y + scale alpha)


@layer("gelu")
class GELU(Elementwise, frozen=True):
    """`x/2 * (1 + erf(x / sqrt(2)))` (Hendrycks & Gimpel 2016). `approximate="tanh"` is as in PyTorch.

    Source: Hendrycks & Gimpel 2016, Gaussian Error Linear Units, arXiv:1606.08415.

    Example: input(384x56x56) -> gelu
    """

    approximate: Annotated[str, choice("none", "tanh")] = "none"
    costs = {"mul": 3, "add": 1, "special": 1}
    keeps = KEPT_INPUT

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        if self.approximate == "tanh":
            return per_value(output, mul=6, add=2, special=1)
        return per_value(output, **self.costs)

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """The gradient is `g (P(x) + x p(x))`, with the normal distribution `P` and its density `p`.

        The approximation is `x/2 (1 + tanh(u))` with `u = a x + b x^3`. Its derivative is
        `(1 + tanh(u))/2 + x/2 (1 - tanh(u)^2) (a + 3b x^2)`.
        """
        if self.approximate == "tanh":
            return Backward((self.keeps,), per_value(facts.output, mul=12, add=5, special=1))
        return Backward((self.keeps,), per_value(facts.output, mul=7, add=2, special=2))


@layer("silu")
class SiLU(Elementwise, frozen=True):
    """Swish: `x * sigmoid(x) = x / (1 + exp(-x))` (Ramachandran et al. 2017).

    Source: Ramachandran et al. 2017, Searching for Activation Functions, arXiv:1710.05941.

    Example: input(32x112x112) -> silu
    """

    costs = {"special": 1, "add": 1, "div": 1}
    keeps = KEPT_INPUT
    costs_back = {"special": 1, "add": 3, "div": 1, "mul": 3}  # g s (1 + x (1 - s)), s the sigmoid of x


@layer("hardswish")
class HardSwish(Elementwise, frozen=True):
    """`x * relu6(x + 3) / 6` (Howard et al. 2019).

    Source: Howard et al. 2019, Searching for MobileNetV3, arXiv:1905.02244, Section 5.2.

    Example: input(16x112x112) -> hardswish
    """

    costs = {"add": 1, "compare": 2, "mul": 1, "div": 1}
    keeps = KEPT_INPUT
    costs_back = {"compare": 2, "div": 1, "add": 1, "mul": 1}  # g (x/3 + 1/2) between the limits


@layer("hardsigmoid")
class HardSigmoid(Elementwise, frozen=True):
    """`min(max(slope * x + offset, 0), 1)`, by default `relu6(x + 3) / 6` (Howard et al. 2019).

    Keras 2 and ONNX use a slope of 0.2 and the same offset. With other arguments than the defaults, a
    multiplication replaces the division.

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
                help="with a slope of 0, the output does not depend on the input",
            )

    @property
    def is_standard(self) -> bool:
        """Is this `relu6(x + 3) / 6`?"""
        return (self.slope, self.offset) == (Fraction(1, 6), Fraction(1, 2))

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        if self.is_standard:
            return per_value(output, add=1, compare=2, div=1)
        return per_value(output, mul=1, add=1, compare=2)

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        kept = mask(values_of(facts.output), instead=OUTPUT)
        return Backward((kept,), per_value(facts.output, compare=2, mul=1))


@layer("sigmoid")
class Sigmoid(Elementwise, frozen=True):
    """Logistic function: `1 / (1 + exp(-x))`.

    Source: the documentation of `torch.nn.Sigmoid`.

    Example: input(64x1x1) -> sigmoid
    """

    costs = {"special": 1, "add": 1, "div": 1}
    keeps = KEPT_OUTPUT
    costs_back = {"add": 1, "mul": 2}  # g y (1 - y)


@layer("tanh")
class Tanh(Elementwise, frozen=True):
    """Hyperbolic tangent.

    Source: the documentation of `torch.nn.Tanh`.

    Example: input(6x28x28) -> tanh
    """

    costs = {"special": 1}
    keeps = KEPT_OUTPUT
    costs_back = {"mul": 2, "add": 1}  # g (1 - y y)


@layer("abs")
class Abs(Elementwise, frozen=True):
    """Absolute value.

    Source: the documentation of `torch.abs`.

    Example: input(4096) -> abs
    """

    costs = {"compare": 1}

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """The mask is the sign of the input, -1, 0, or 1, which takes one comparison."""
        return Backward((mask(values_of(facts.output), instead=0),), per_value(facts.output, compare=1))


@layer("softplus")
class Softplus(Elementwise, frozen=True):
    """`log(1 + exp(beta * x)) / beta`, or `x` itself if `beta * x` is above `threshold`.

    Counts a comparison, an exponential, an addition, and a logarithm. With a `beta` other than 1 it also
    counts a multiplication and a division.

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

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """`g / (1 + exp(-beta x))`, the sigmoid. Above the threshold, `g`.

        The output shows whether a value is above the threshold only if the threshold is high.
        """
        costs = per_value(facts.output, compare=1, special=1, add=1, div=1, mul=int(self.beta != 1))
        return Backward((KEPT_INPUT,), costs)


@layer("mish")
class Mish(Elementwise, frozen=True):
    """`x * tanh(log(1 + exp(x)))` (Misra 2019).

    Source: Misra 2019, Mish: A Self Regularized Non-Monotonic Activation Function, arXiv:1908.08681.

    Example: input(64x56x56) -> mish
    """

    costs = {"special": 3, "add": 1, "mul": 1}
    keeps = KEPT_INPUT
    # g (t + x s (1 - t t)), s the sigmoid of x, t the tanh of log(1 + exp(x))
    costs_back = {"special": 4, "add": 4, "div": 1, "mul": 4}


@layer("hardtanh")
class Hardtanh(Elementwise, frozen=True):
    """Values limited to a range: `min(max(x, min_val), max_val)`.

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
                help="write the smaller value first: `hardtanh(-1, 1)`",
            )

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return Backward((mask(values_of(facts.output), instead=OUTPUT),), per_value(facts.output, compare=2))


@layer("logsigmoid")
class LogSigmoid(Elementwise, frozen=True):
    """Logarithm of the sigmoid: `-log(1 + exp(-x))`.

    Source: the documentation of `torch.nn.LogSigmoid`.

    Example: input(64x1x1) -> logsigmoid
    """

    costs = {"special": 2, "add": 1}
    keeps = KEPT_OUTPUT
    costs_back = {"special": 1, "add": 1, "mul": 1}  # g (1 - exp(y))


@layer("softsign")
class Softsign(Elementwise, frozen=True):
    """`x / (1 + abs(x))`.

    Source: the documentation of `torch.nn.Softsign`.

    Example: input(64x56x56) -> softsign
    """

    costs = {"compare": 1, "add": 1, "div": 1}
    keeps = KEPT_OUTPUT
    costs_back = {"compare": 1, "add": 1, "mul": 2}  # g (1 - abs(y))^2
