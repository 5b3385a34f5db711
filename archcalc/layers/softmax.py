"""Activations along an axis, where a value depends on other values: softmax, its logarithm, and gates."""

from archcalc.layers.arguments import Dim, LayerError, dim_index
from archcalc.layers.backward import KEPT_INPUT, KEPT_OUTPUT, Backward, Needs
from archcalc.layers.base import layer
from archcalc.layers.channels import all_of, moved
from archcalc.layers.elementwise import Elementwise
from archcalc.layers.terms import Facts, Operations, Reach, Term, Windows, per_value, term, values_of
from archcalc.shape import Shape, Window, format_shape


class SoftmaxLike(Elementwise, frozen=True):
    """The base class of softmax and its logarithm. A value depends on all values of its row along `dim`."""

    def _dim(self) -> str:
        raise NotImplementedError

    def _row(self, shape: Shape) -> tuple[int, int]:
        """The number of values in a row, and the number of rows."""
        length = shape[dim_index(self._dim(), shape, self.kind)]
        return length, values_of(shape).value // length

    def _others(self, shape: Shape) -> Term:
        """One operation for each value of every row except the first one, as a maximum or a sum takes."""
        length, rows = self._row(shape)
        return term(("(n-1)", length - 1), ("groups", rows))

    def windows(self, *inputs: Shape) -> Windows:
        axis = dim_index(self._dim(), inputs[0], self.kind)
        if axis == 0:
            return Reach.SAME
        # each place depends on its whole row, in both directions
        return tuple(
            Window(2 * n - 1, 1, n - 1, n - 1, clamped=True) if i == axis else Window(1, 1, 0, 0)
            for i, n in enumerate(inputs[0][1:], start=1)
        )

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return all_of(facts.output[0]) if self._dim() == "channels" else channels


@layer("softmax", family="activation")
class Softmax(SoftmaxLike, frozen=True):
    """`exp(x - max) / sum` along `dim`: a maximum, a difference, an exponential, a sum, and a division.

    Source: the documentation of `torch.nn.Softmax`.

    Example: input(1000) -> softmax
    """

    dim: Dim = "channels"

    def _dim(self) -> str:
        return self.dim

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        others = self._others(output)
        return (
            ("compare", others),
            *per_value(output, add=1, special=1),
            ("add", others),
            *per_value(output, div=1),
        )

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """`y (g - sum)`, where `sum` is the sum of `g y` along the row."""
        others = self._others(facts.output)
        return Backward((KEPT_OUTPUT,), (*per_value(facts.output, mul=2, add=1), ("add", others)))


@layer("log_softmax", family="activation")
class LogSoftmax(SoftmaxLike, frozen=True):
    """`x - max - log(sum)` along `dim`, where `sum` is the sum of `exp(x - max)`.

    Counts a maximum, a difference, an exponential, a sum, a logarithm per row, and another difference.

    Source: the documentation of `torch.nn.LogSoftmax`.

    Example: input(1000) -> log_softmax
    """

    dim: Dim = "channels"

    def _dim(self) -> str:
        return self.dim

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        others, (_, rows) = self._others(output), self._row(output)
        return (
            ("compare", others),
            *per_value(output, add=1, special=1),
            ("add", others),
            ("special", term(("groups", rows))),
            *per_value(output, add=1),
        )

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """`g - exp(y) sum`, where `sum` is the sum of `g` along the row."""
        others = self._others(facts.output)
        costs = per_value(facts.output, special=1, mul=1, add=1)
        return Backward((KEPT_OUTPUT,), (*costs, ("add", others)))


@layer("glu", family="activation")
class GLU(Elementwise, frozen=True):
    """Gated linear unit: the first half of an axis times the sigmoid of the other half (Dauphin et al. 2016).

    Counts a multiplication and a sigmoid (`special`, an addition, and a division) for each output value.

    Source: Dauphin et al. 2016, Language Modeling with Gated Convolutional Networks, arXiv:1612.08083,
    Equation 1.

    Example: input(128x56x56) -> glu

    >>> GLU().output_shape((128, 56, 56))
    (64, 56, 56)
    """

    dim: Dim = "channels"
    costs = {"special": 1, "add": 1, "div": 1, "mul": 1}
    keeps = KEPT_INPUT
    # g s for the first half a, g s a (1 - s) for the second half, whose sigmoid is s
    costs_back = {"special": 1, "add": 2, "div": 1, "mul": 3}

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        axis = dim_index(self.dim, shape, self.kind)
        if shape[axis] % 2:
            raise LayerError(
                f"`glu` needs an even number along {self.dim}, but {format_shape(shape, cross='x')} "
                f"has {shape[axis]}",
                argument="dim",
            )
        return (*shape[:axis], shape[axis] // 2, *shape[axis + 1 :])

    def windows(self, *inputs: Shape) -> Windows:
        axis = dim_index(self.dim, inputs[0], self.kind)
        if axis == 0:
            return Reach.SAME
        return tuple(  # a place of the first half, and the same place of the second half
            Window(2, dilation=n // 2) if i == axis else Window(1)
            for i, n in enumerate(inputs[0][1:], start=1)
        )

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        if self.dim != "channels":
            return channels
        half = facts.output[0]
        return moved(channels, 0, half) | moved(channels, -half, half)
