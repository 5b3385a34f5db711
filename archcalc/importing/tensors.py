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


class Unsupported(Exception):
    """A layer kind cannot say what an operation does; the text says what, in a few words.

    The text is empty if no kind is like the operation, since its name says so already.

    Whoever maps operations raises it, and the operation becomes an opaque one.
    """


class ModelArray(Struct, frozen=True):
    """An array of a model: its name there, and how its axes are arranged for a layer.

    `axes` is the permutation from the model's axes to those of the layer's weight; without it, they are
    the same. The array is then reshaped to the shape of the weight.
    """

    name: str
    axes: tuple[int, ...] = ()


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
    """

    operation: Operation
    axes: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape as the model has it; the batch is `BATCH`."""
        own = self.operation.shape
        return tuple(axis if axis == BATCH else own[axis] for axis in self.axes)

    @property
    def rank(self) -> int:
        """The axes of the model's tensor, the batch among them."""
        return len(self.axes)

    @property
    def sample(self) -> Shape:
        """The shape of one sample as the model has it: without the batch."""
        return tuple(size for size in self.shape if size != BATCH)

    @property
    def order(self) -> tuple[int, ...]:
        """The operation's axes in the order in which the model has them, without the batch."""
        return tuple(axis for axis in self.axes if axis != BATCH)

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
        if axis == BATCH:
            raise Unsupported("it works along the batch")
        return axis

    def permuted(self, dims: Sequence[int]) -> Tensor:
        """The tensor with its axes in another order, as the model sees it; nothing moves."""
        return Tensor(self.operation, tuple(self.axes[dim] for dim in dims))


class ExpandedTensor(Struct, frozen=True, eq=False):
    """A tensor whose axes of size 1 are repeated: as good as the tensor itself where a layer repeats them."""

    tensor: Tensor


def plain_axes(rank: int) -> tuple[int, ...]:
    """The axes of a tensor with the batch first and `rank` axes a sample, in the operation's order."""
    return (BATCH, *range(rank))


Value = Tensor | Any
"""What an operation of a model reads: a tensor, or a constant."""
