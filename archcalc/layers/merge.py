"""Joins, which read several tensors. A join reads the current tensor only if it is written as an argument."""

from collections.abc import Sequence
from typing import ClassVar

from archcalc.layers.arguments import MAX_RANK, Dim, LayerError, Position, axis_at, dim_index
from archcalc.layers.backward import Backward, Needs, kept_input
from archcalc.layers.base import Layer, layer
from archcalc.layers.channels import all_of, moved
from archcalc.layers.terms import (
    NO_OPERATIONS,
    Facts,
    Operations,
    Reach,
    Stacked,
    Weight,
    Windows,
    term,
    values_of,
)
from archcalc.shape import AXES, Shape, format_shape


class Join(Layer, frozen=True):
    """The base class of joins. They have no weights, and every value keeps its place."""

    is_join: ClassVar[bool] = True

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.SAME

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return channels if facts.inputs[index][0] == facts.output[0] else all_of(facts.output[0])

    def _several(self, inputs: tuple[Shape, ...]) -> None:
        if len(inputs) < 2:
            raise LayerError(f"`{self.kind}` needs two tensors or more, got {len(inputs)}")


class ValueByValue(Join, frozen=True):
    """Joins that compute with the values at one place. An axis of size 1 stretches, like broadcasting."""

    category: ClassVar[str]

    def output_shape(self, *inputs: Shape) -> Shape:
        return self._steps(inputs)[-1]

    def _steps(self, inputs: tuple[Shape, ...]) -> list[Shape]:
        """The output shapes after each further tensor. An unchanged shape is the same object."""
        self._several(inputs)
        output = inputs[0]
        steps = []
        for index, shape in enumerate(inputs[1:], 1):
            if shape != output:
                output = self._stretched(inputs, output, index)
            steps.append(output)
        return steps

    def _stretched(self, inputs: tuple[Shape, ...], output: Shape, index: int) -> Shape:
        shape = inputs[index]
        if len(shape) != len(output):
            raise _differ(f"`{self.kind}` needs tensors with the same number of axes", inputs, index)
        pairs = enumerate(zip(output, shape, strict=True))
        unequal = [axis for axis, (a, b) in pairs if a != b and 1 not in (a, b)]
        if unequal:
            raise _differ(f"`{self.kind}` needs equal shapes, or axes of size 1", inputs, index, unequal)
        return tuple(map(max, shape, output))

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        steps = self._steps(inputs)
        if len(steps) > 1 and all(step is output or step == output for step in steps):
            return ((self.category, term(("(tensors-1)", len(steps))) * values_of(output)),)
        return tuple((self.category, values_of(step)) for step in steps)


class OfTwo(ValueByValue, frozen=True):
    """Joins of exactly two tensors, where the order matters."""

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(inputs) != 2:
            help = f"write `{self.kind}(a, b)`"
            raise LayerError(f"`{self.kind}` needs two tensors, got {len(inputs)}", help=help)
        return super().output_shape(*inputs)


def _differ(message: str, inputs: tuple[Shape, ...], index: int, axes: Sequence[int] = ()) -> LayerError:
    """The error for the input number `index`, which does not match the first one along these axes."""
    label = f"{format_shape(inputs[0], cross='x')} and {format_shape(inputs[index], cross='x')}"
    names = ("channels", *AXES.get(len(inputs[0]) - 1, ()))
    if axes and len(names) > 1:
        differences = (f"{names[axis]} {inputs[0][axis]} and {inputs[index][axis]}" for axis in axes)
        label += f": {', '.join(differences)}"
    return LayerError(message, label=label, at_odds=(0, index))


@layer("concat")
class Concat(Join, frozen=True):
    """Concatenates tensors along `dim`. Their other axes must be equal.

    Source: the documentation of `torch.cat`.

    Example: input(64x28x28) -> concat(conv(64, 1), conv(96, 3, padding=1))

    >>> Concat().output_shape((64, 28, 28), (32, 28, 28))
    (96, 28, 28)
    """

    dim: Dim = "channels"

    def output_shape(self, *inputs: Shape) -> Shape:
        self._several(inputs)
        axis = dim_index(self.dim, inputs[0], self.kind)
        first = inputs[0]
        for index, shape in enumerate(inputs[1:], 1):
            if shape[:axis] + shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
                message = f"`concat` needs tensors that differ only in their {self.dim}"
                raise _differ(message, inputs, index)
        return (*first[:axis], sum(shape[axis] for shape in inputs), *first[axis + 1 :])

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return NO_OPERATIONS

    def windows(self, *inputs: Shape) -> Windows:
        axis = dim_index(self.dim, inputs[0], self.kind)
        return Reach.SAME if axis == 0 else Stacked(axis - 1)

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        if self.dim != "channels":
            return channels
        return moved(channels, sum(shape[0] for shape in facts.inputs[:index]), facts.output[0])

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return Backward(passes=tuple(range(len(facts.inputs))))


def sums_over_stretched(facts: Facts, needs: Needs) -> Operations:
    """The sums for the gradients of inputs that were stretched."""
    output = values_of(facts.output).value
    sums = [
        output - values_of(shape).value
        for shape, needed in zip(facts.inputs, needs.inputs, strict=True)
        if needed and shape != facts.output
    ]
    return tuple(("add", term(("N_out-N_in", count)).of("gradient of a stretched input")) for count in sums)


@layer("add")
class Add(ValueByValue, frozen=True):
    """Sum of tensors. An axis of size 1 stretches.

    Source: He et al. 2015, Deep Residual Learning for Image Recognition, arXiv:1512.03385, Equation 1; the
    documentation of `torch.add`.

    Example: input(64x56x56) -> add(identity, conv(64, 3, padding=1))

    >>> Add().output_shape((64, 28, 28), (64, 1, 1))
    (64, 28, 28)
    """

    category: ClassVar[str] = "add"

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        passes = tuple(i for i, shape in enumerate(facts.inputs) if shape == facts.output)
        return Backward(operations=sums_over_stretched(facts, needs), passes=passes)


@layer("mul")
class Mul(ValueByValue, frozen=True):
    """Product of tensors. An axis of size 1 stretches, as in squeeze-and-excitation (Hu et al. 2017).

    Source: Hu et al. 2017, Squeeze-and-Excitation Networks, arXiv:1709.01507, Equation 4.

    Example: input(64x56x56) -> mul(identity, global_avgpool -> sigmoid)

    >>> Mul().output_shape((64, 28, 28), (64, 1, 1))
    (64, 28, 28)
    """

    category: ClassVar[str] = "mul"

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """For each input, the gradient of the output times all other inputs."""
        count = len(facts.inputs)
        kept = tuple(
            kept_input(number)
            for number in range(count)
            if any(needed for other, needed in enumerate(needs.inputs) if other != number)
        )
        products = term(("inputs", sum(needs.inputs))) * values_of(facts.output)
        if count > 2:
            products = term(("(tensors-1)", count - 1)) * products
        return Backward(kept, (("mul", products), *sums_over_stretched(facts, needs)))


@layer("sub")
class Sub(OfTwo, frozen=True):
    """Difference of two tensors. An axis of size 1 stretches.

    Source: the documentation of `torch.sub`.

    Example: input(64x28x28) -> sub(identity, relu)

    >>> Sub().output_shape((4096,), (4096,))
    (4096,)
    """

    category: ClassVar[str] = "add"

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """The gradient of the second input changes its sign, after the sum over stretched axes."""
        operations = sums_over_stretched(facts, needs)
        if needs.inputs[1]:
            operations += (("add", values_of(facts.inputs[1]).of("sign of the second gradient")),)
        return Backward(operations=operations, passes=(0,) if facts.inputs[0] == facts.output else ())


@layer("div")
class Div(OfTwo, frozen=True):
    """Quotient of two tensors. An axis of size 1 stretches.

    Source: the documentation of `torch.div`.

    Example: input(64x28x28) -> div(identity, global_avgpool)

    >>> Div().output_shape((64, 28, 28), (64, 1, 1))
    (64, 28, 28)
    """

    category: ClassVar[str] = "div"

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """For `a / b`: `g / b` for a, and `-(g / b) a / b` for b. The sign changes after any sum.

        Source: the formulas of PyTorch, `tools/autograd/derivatives.yaml`.
        """
        values = values_of(facts.output)
        operations: Operations = (("div", values.of("gradient by the second input")),)
        if needs.inputs[1]:
            operations += (
                ("mul", values.of("times the first input")),
                ("div", values.of("by the second input again")),
                ("add", values_of(facts.inputs[1]).of("sign of the second gradient")),
            )
        kept = (kept_input(0), kept_input(1)) if needs.inputs[1] else (kept_input(1),)
        return Backward(kept, operations + sums_over_stretched(facts, needs))


@layer("stack")
class Stack(Join, frozen=True):
    """Stacks tensors of equal shape along the new axis `dim`. 0 puts it before the channels, -1 last.

    Like `torch.stack`, without the batch. With `dim=0` the new axis becomes the channels.

    Source: the documentation of `torch.stack`.

    Example: input(64x28x28) -> stack(identity, conv(64, 3, padding=1), dim=1)

    >>> Stack(dim=-1).output_shape((64, 28, 20), (64, 28, 20))
    (64, 28, 20, 2)
    """

    dim: Position = 0

    def _axis(self, shape: Shape) -> int:
        return axis_at(self.dim, len(shape) + 1, "dim", self.kind)

    def output_shape(self, *inputs: Shape) -> Shape:
        self._several(inputs)
        shape = inputs[0]
        for index, other in enumerate(inputs[1:], 1):
            if other != shape:
                raise _differ("`stack` needs equal shapes", inputs, index)
        if len(shape) == MAX_RANK:
            raise LayerError(
                f"`stack` adds an axis, but {format_shape(shape, cross='x')} has {MAX_RANK} already, "
                "the maximum",
                help="`reshape` the tensors first",
            )
        axis = self._axis(shape)
        return (*shape[:axis], len(inputs), *shape[axis:])

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return NO_OPERATIONS

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.MOVED if self._axis(inputs[0]) else Reach.FOLDED

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return channels if self._axis(facts.inputs[0]) else 1 << index

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return Backward(passes=tuple(range(len(facts.inputs))))
