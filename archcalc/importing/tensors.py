"""A tensor of a model that is being imported: the operation it comes from, and where its axes lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from archcalc.layers.base import Layer
from archcalc.layers.terms import Facts
from archcalc.shape import Shape

BATCH = -1
"""In `Tensor.axes`: the batch."""


def folded(axis: int, inner: bool = False) -> int:
    """In `Tensor.axes`: an own axis and the batch as one axis of the model, such as windows of all images.

    The batch is the outer of the two, or with `inner` the inner one.
    """
    return -2 - 2 * axis - inner


def unfolded(axis: int) -> tuple[int, ...]:
    """The axes that one axis of the model is made of, outermost first.

    >>> unfolded(3), unfolded(BATCH), unfolded(folded(3)), unfolded(folded(0, inner=True))
    ((3,), (-1,), (-1, 3), (0, -1))
    """
    if axis >= BATCH:
        return (axis,)
    own, inner = divmod(-2 - axis, 2)
    return (own, BATCH) if inner else (BATCH, own)


def renumbered(axis: int, numbers: Mapping[int, int]) -> int:
    """An axis as `Tensor.axes` has it, with another number for the own axis in it."""
    if axis == BATCH:
        return BATCH
    if axis > BATCH:
        return numbers[axis]
    own, inner = divmod(-2 - axis, 2)
    return folded(numbers[own], bool(inner))


def own_axis(axis: int) -> int | None:
    """The own axis in an axis as `Tensor.axes` has it; `None` for the batch alone."""
    return next((each for each in unfolded(axis) if each != BATCH), None)


class Unsupported(Exception):
    """A layer kind cannot say what an operation does; the text says what, in a few words.

    The text is empty if no kind is like the operation, since its name says so already.

    The functions that map operations raise it, and the operation becomes an opaque one.
    """


class ModelArray(Struct, frozen=True):
    """An array of a model: its name there, and how its axes are arranged for a layer.

    `axes` is the permutation from the model's axes to those of the layer's weight; without it, they are
    the same. The array is then reshaped to the shape of the weight.
    """

    name: str
    axes: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    """The shape that the array is given first, if it has another one in the model."""
    factor: float = 1
    """What the values are multiplied by, for an array that the model scales by a number."""


class Operation(Struct, eq=False, kw_only=True):
    """A node to be: a layer, what it reads, and where it comes from in the model.

    `path` are the modules that it is in, outermost first, as pairs of a name and a class. `origin` says
    where a person finds it: `resnet.py:143`. `arrays` has the model's arrays for the layer's weights, and
    `fixed` those that are not trained.
    """

    layer: Layer
    inputs: tuple[Operation, ...]
    facts: Facts
    path: tuple[tuple[str, str], ...] = ()
    name: str = ""
    origin: str = ""
    arrays: Mapping[str, ModelArray] = {}
    fixed: tuple[str, ...] = ()
    written: str = ""

    @property
    def shape(self) -> Shape:
        return self.facts.output


class Tensor(Struct, frozen=True, eq=False):
    """A tensor of the model.

    `axes` says where its axes lie: `axes[i]` is the operation's own axis that the model has at `i`, or
    `BATCH`. A map of PyTorch has `(BATCH, 0, 1, 2)`, one of Keras `(BATCH, 1, 2, 0)`: the operation has its
    channels first in any case. A transposition in the model only changes `axes`, and costs nothing.

    An axis of the model may be the batch and an own axis as one: `folded`. A tensor that is the same for
    every sample, such as a bias that the model computes, has no batch in `axes`.
    """

    operation: Operation
    axes: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape as the model has it; the batch is `BATCH`, and the batch of `n` values is `-n`."""
        own, sizes = self.operation.shape, []
        for axis in self.axes:
            inner = own_axis(axis)
            size = 1 if inner is None else own[inner]
            sizes.append(size if axis > BATCH else -size)
        return tuple(sizes)

    @property
    def rank(self) -> int:
        """The axes of the model's tensor, the batch among them."""
        return len(self.axes)

    @property
    def sample(self) -> Shape:
        """The shape of one sample as the model has it: without the batch."""
        return tuple(abs(size) for size, axis in zip(self.shape, self.axes, strict=True) if axis != BATCH)

    @property
    def order(self) -> tuple[int, ...]:
        """The operation's axes in the order in which the model has them, without the batch."""
        return tuple(own for own in map(own_axis, self.axes) if own is not None)

    @property
    def is_plain(self) -> bool:
        """Does the model have the batch first, and the other axes in the operation's order?"""
        return self.axes == plain_axes(len(self.operation.shape))

    def axis(self, dim: int) -> int:
        """The operation's own axis that the model has at `dim`, which may count from the end.

        Raises `Unsupported` for the batch.
        """
        if not -self.rank <= dim < self.rank:
            raise Unsupported(f"there is no axis {dim}")
        axis = self.axes[dim]
        if axis <= BATCH:
            raise Unsupported("it works along the batch")
        return axis

    def permuted(self, dims: Sequence[int]) -> Tensor:
        """The tensor with its axes in another order, as the model sees it; nothing moves."""
        return Tensor(self.operation, tuple(self.axes[dim] for dim in dims))


class ExpandedTensor(Struct, frozen=True, eq=False):
    """A tensor whose axes of size 1 are repeated: as good as the tensor itself where a layer repeats them.

    `shape` is the shape with the repetitions and with the batch as a number, if an importer needs it.
    """

    tensor: Tensor
    shape: tuple[int, ...] = ()


def plain_axes(rank: int) -> tuple[int, ...]:
    """The axes of a tensor with the batch first and `rank` axes a sample, in the operation's order."""
    return (BATCH, *range(rank))


Value = Tensor | Any
"""What an operation of a model reads: a tensor, or a constant."""
