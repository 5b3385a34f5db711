"""Joins: several tensors in, one out. A join takes the current tensor only if it is written."""

from typing import ClassVar

from archcalc.layers.arguments import MAX_RANK, Dim, LayerError, Position, axis_at, dim_index
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
from archcalc.shape import Shape, format_shape


class Join(Layer, frozen=True):
    """What the joins share: no weights, every place stays where it is."""

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

    def _equal(self, inputs: tuple[Shape, ...]) -> Shape:
        self._several(inputs)
        for index, shape in enumerate(inputs[1:], 1):
            if shape != inputs[0]:
                raise _differ(f"`{self.kind}` needs equal shapes", inputs, index)
        return inputs[0]

    def _between(self, inputs: tuple[Shape, ...], output: Shape, category: str) -> Operations:
        count = len(inputs) - 1
        values = values_of(output)
        return ((category, values if count == 1 else term(("(tensors-1)", count)) * values),)


def _differ(message: str, inputs: tuple[Shape, ...], index: int) -> LayerError:
    """The error for an input at `index` that does not match the first one."""
    label = f"{format_shape(inputs[0], cross='x')} and {format_shape(inputs[index], cross='x')}"
    return LayerError(message, label=label, at_odds=(0, index))


@layer("concat")
class Concat(Join, frozen=True):
    """Tensors concatenated along `dim`; their other axes must agree.

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


@layer("add")
class Add(Join, frozen=True):
    """Sum of tensors of equal shape.

    Source: He et al. 2015, Deep Residual Learning for Image Recognition, arXiv:1512.03385, Equation 1.

    Example: input(64x56x56) -> add(identity, conv(64, 3, padding=1))

    >>> Add().output_shape((64, 28, 28), (64, 28, 28))
    (64, 28, 28)
    """

    def output_shape(self, *inputs: Shape) -> Shape:
        return self._equal(inputs)

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return self._between(inputs, output, "add")


@layer("mul")
class Mul(Join, frozen=True):
    """Product of tensors; an axis of size 1 stretches, as in squeeze-and-excitation (Hu et al. 2017).

    Source: Hu et al. 2017, Squeeze-and-Excitation Networks, arXiv:1709.01507, Equation 4.

    Example: input(64x56x56) -> mul(identity, global_avgpool -> sigmoid)

    >>> Mul().output_shape((64, 28, 28), (64, 1, 1))
    (64, 28, 28)
    """

    def output_shape(self, *inputs: Shape) -> Shape:
        self._several(inputs)
        output = inputs[0]
        for index, shape in enumerate(inputs[1:], 1):
            if len(shape) != len(output) or any(
                a != b and 1 not in (a, b) for a, b in zip(shape, output, strict=True)
            ):
                raise _differ("`mul` needs equal shapes, or axes of size 1", inputs, index)
            output = tuple(map(max, shape, output))
        return output

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return self._between(inputs, output, "mul")


@layer("sub")
class Sub(Join, frozen=True):
    """Difference of two tensors of equal shape.

    Source: the documentation of `torch.sub`.

    Example: input(64x28x28) -> sub(identity, relu)

    >>> Sub().output_shape((4096,), (4096,))
    (4096,)
    """

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(inputs) != 2:
            raise LayerError(f"`sub` needs two tensors, got {len(inputs)}", help="write `sub(a, b)`")
        return self._equal(inputs)

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return self._between(inputs, output, "add")


@layer("stack")
class Stack(Join, frozen=True):
    """Tensors of equal shape along a new axis, which becomes the axis `dim`: 0 the channels, -1 the last.

    As `torch.stack` without the batch.

    Source: the documentation of `torch.stack`.

    Example: input(64x28x28) -> stack(identity, conv(64, 3, padding=1), dim=1)

    >>> Stack(dim=-1).output_shape((64, 28, 20), (64, 28, 20))
    (64, 28, 20, 2)
    """

    dim: Position = 0

    def _axis(self, shape: Shape) -> int:
        return axis_at(self.dim, len(shape) + 1, "dim", self.kind)

    def output_shape(self, *inputs: Shape) -> Shape:
        shape = self._equal(inputs)
        if len(shape) == MAX_RANK:
            raise LayerError(
                f"`stack` adds an axis, but {format_shape(shape, cross='x')} has {MAX_RANK} already, "
                "the most that a tensor can have",
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
