"""Functions of one value: exponentials, logarithms, roots, powers, and limits.

Each class states its operations per value. `special` is an exponential, a logarithm, a power, a sine, a
cosine, or an erf.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated

from archcalc.layers.arguments import LayerError, Number, optional, read_number
from archcalc.layers.backward import KEPT_INPUT, KEPT_OUTPUT, OUTPUT, Backward, Needs, mask
from archcalc.layers.base import layer
from archcalc.layers.elementwise import Elementwise
from archcalc.layers.terms import Facts, Operations, per_value, values_of
from archcalc.shape import Shape

OptionalReal = Annotated[Number | None, optional(read_number)]


@layer("exp")
class Exp(Elementwise, frozen=True):
    """Exponential: `e ** x`.

    Source: the documentation of `torch.exp`.

    Example: input(64x28x28) -> exp
    """

    costs = {"special": 1}
    keeps = KEPT_OUTPUT
    costs_back = {"mul": 1}  # g y


@layer("log")
class Log(Elementwise, frozen=True):
    """Natural logarithm. Negative values give NaN, as in PyTorch.

    Source: the documentation of `torch.log`.

    Example: input(64x28x28) -> softplus -> log
    """

    costs = {"special": 1}
    keeps = KEPT_INPUT
    costs_back = {"div": 1}  # g / x


@layer("sqrt")
class Sqrt(Elementwise, frozen=True):
    """Square root. Negative values give NaN, as in PyTorch.

    Source: the documentation of `torch.sqrt`.

    Example: input(64x28x28) -> relu -> sqrt
    """

    costs = {"sqrt": 1}
    keeps = KEPT_OUTPUT
    costs_back = {"mul": 1, "div": 1}  # g / (2 y)


@layer("rsqrt")
class RSqrt(Elementwise, frozen=True):
    """Inverse square root: `1 / sqrt(x)`. Counts a square root and a division.

    Source: the documentation of `torch.rsqrt`.

    Example: input(64x28x28) -> softplus -> rsqrt
    """

    costs = {"sqrt": 1, "div": 1}
    keeps = KEPT_OUTPUT
    costs_back = {"mul": 4}  # -1/2 g y y y


@layer("square")
class Square(Elementwise, frozen=True):
    """`x * x`.

    Source: the documentation of `torch.square`.

    Example: input(64x28x28) -> square
    """

    costs = {"mul": 1}
    keeps = KEPT_INPUT
    costs_back = {"mul": 2}  # 2 g x


@layer("sin")
class Sin(Elementwise, frozen=True):
    """Sine of an angle in radians.

    Source: the documentation of `torch.sin`.

    Example: input(64x28x28) -> sin
    """

    costs = {"special": 1}
    keeps = KEPT_INPUT
    costs_back = {"special": 1, "mul": 1}  # g cos(x)


@layer("cos")
class Cos(Elementwise, frozen=True):
    """Cosine of an angle in radians.

    Source: the documentation of `torch.cos`.

    Example: input(64x28x28) -> cos
    """

    costs = {"special": 1}
    keeps = KEPT_INPUT
    costs_back = {"special": 1, "mul": 1}  # -g sin(x)


@layer("erf")
class Erf(Elementwise, frozen=True):
    """Error function.

    Source: the documentation of `torch.erf`.

    Example: input(64x28x28) -> erf
    """

    costs = {"special": 1}
    keeps = KEPT_INPUT
    costs_back = {"special": 1, "mul": 3}  # 2/sqrt(pi) g exp(-x x)


SIMPLE_POWERS: dict[Number, dict[str, int]] = {
    1: {},
    2: {"mul": 1},
    3: {"mul": 2},
    Fraction(1, 2): {"sqrt": 1},
    Fraction(-1, 2): {"sqrt": 1, "div": 1},
    -1: {"div": 1},
    -2: {"mul": 1, "div": 1},
}
"""Exponents whose powers count as multiplications, roots, and divisions. PyTorch computes them so too."""


def _costs_of_power(exponent: Number) -> Mapping[str, int]:
    """Compares, and does not look up: the hash of a symbolic number is never that of a plain one."""
    return next((costs for power, costs in SIMPLE_POWERS.items() if power == exponent), {"special": 1})


@layer("pow")
class Pow(Elementwise, frozen=True):
    """`x ** exponent`. A negative value to a fractional power gives NaN, as in PyTorch.

    The exponents 2, 3, 1/2, -1/2, -1, and -2 count as multiplications, a root, and a division. Any other
    exponent counts as one `special` operation.

    Source: the documentation of `torch.pow`.

    Example: input(64x28x28) -> relu -> pow(1.5)
    """

    exponent: Annotated[Number, read_number]

    def check(self) -> None:
        if self.exponent == 0:
            raise LayerError(
                "`exponent` of `pow` cannot be 0",
                argument="exponent",
                help="with an exponent of 0, every output is 1",
            )

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return per_value(output, **_costs_of_power(self.exponent))

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """`g exponent x^(exponent-1)`: two multiplications and a power."""
        if self.exponent == 1:
            return Backward(passes=(0,))
        power = _costs_of_power(self.exponent - 1)
        costs = {**power, "mul": power.get("mul", 0) + 2}
        return Backward((KEPT_INPUT,), per_value(facts.output, **costs))


@layer("clamp")
class Clamp(Elementwise, frozen=True):
    """Limits values: `min(max(x, min), max)`. Counts one comparison per limit. One limit can be left out.

    If `min` is larger than `max`, every value becomes `max`, as in PyTorch.

    Source: the documentation of `torch.clamp`.

    Example: input(64x28x28) -> clamp(min=0, max=6)
    """

    min: OptionalReal = None
    max: OptionalReal = None

    def check(self) -> None:
        if self.min is None and self.max is None:
            raise LayerError(
                "`clamp` takes `min`, `max` or both", help="write `clamp(min=0)` or `clamp(min=0, max=6)`"
            )

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return per_value(output, compare=(self.min is not None) + (self.max is not None))

    @property
    def is_constant(self) -> bool:
        """Do the limits allow only one value?"""
        return self.min is not None and self.max is not None and self.min >= self.max

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        if self.is_constant:
            return Backward()
        limits = (self.min is not None) + (self.max is not None)
        kept = mask(values_of(facts.output), instead=OUTPUT)
        return Backward((kept,), per_value(facts.output, compare=limits))
