"""A tensor of a model during import: the operation that computes it, and the places of its axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from archcalc.layers.base import Layer
from archcalc.layers.terms import Facts
from archcalc.shape import Shape

BATCH = -1
"""Marks the batch in `Tensor.axes`."""


def folded(axis: int, inner: bool = False) -> int:
    """Encode a model axis that merges an own axis with the batch, such as the windows of all images.

    The batch is the outer of the two, or the inner one if `inner` is true.
    """
    return -2 - 2 * axis - inner


def unfolded(axis: int) -> tuple[int, ...]:
    """Return the axes that make up one axis of the model, outermost first.

    >>> unfolded(3), unfolded(BATCH), unfolded(folded(3)), unfolded(folded(0, inner=True))
    ((3,), (-1,), (-1, 3), (0, -1))
    """
    if axis >= BATCH:
        return (axis,)
    own, inner = divmod(-2 - axis, 2)
    return (own, BATCH) if inner else (BATCH, own)


def renumbered(axis: int, numbers: Mapping[int, int]) -> int:
    """Return an axis in the form of `Tensor.axes`, with its own axis renumbered."""
    if axis == BATCH:
        return BATCH
    if axis > BATCH:
        return numbers[axis]
    own, inner = divmod(-2 - axis, 2)
    return folded(numbers[own], bool(inner))


def own_axis(axis: int) -> int | None:
    """Return the own axis in an axis of `Tensor.axes`; `None` if it is only the batch."""
    return next((each for each in unfolded(axis) if each != BATCH), None)


class Unsupported(Exception):
    """Raised if no layer kind can express what an operation does; the text briefly says what.

    The text is empty if no kind resembles the operation: the operation's name is then reason enough.

    The functions that map operations raise it, and the operation becomes opaque.
    """


class ModelArray(Struct, frozen=True):
    """An array of a model: its name in the model, and how to arrange its axes for a layer.

    `axes` is the permutation from the model's axes to those of the layer's weight; if it is empty, they are
    the same. The array is then reshaped to the shape of the weight.
    """

    name: str
    axes: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    """The shape to give the array first, if its shape in the model differs."""
    factor: float = 1
    """The factor for the values, if the model scales the array by a number."""


class Operation(Struct, eq=False, kw_only=True):
    """A future node: a layer, its inputs, and where it comes from in the model.

    `path` lists the modules that contain it, outermost first, as pairs of a name and a class. `origin` is
    the place in the source: `resnet.py:143`. `arrays` has the model's arrays for the layer's weights, and
    `fixed` the ones that are not trained.
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

    `axes` gives their order in the model: `axes[i]` is the operation's own axis at position `i`, or
    `BATCH`. A PyTorch feature map has `(BATCH, 0, 1, 2)`, a Keras one `(BATCH, 1, 2, 0)`; operations always
    have channels first. A transpose in the model only changes `axes`, and costs nothing.

    One axis of the model may merge the batch with an own axis: see `folded`. A tensor that is the same for
    every sample, such as a bias that the model computes, has no batch in `axes`.
    """

    operation: Operation
    axes: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in the model's order; the batch is `BATCH`, and an axis of batch times `n` is `-n`."""
        own, sizes = self.operation.shape, []
        for axis in self.axes:
            inner = own_axis(axis)
            size = 1 if inner is None else own[inner]
            sizes.append(size if axis > BATCH else -size)
        return tuple(sizes)

    @property
    def rank(self) -> int:
        """The number of axes of the model's tensor, including the batch."""
        return len(self.axes)

    @property
    def sample(self) -> Shape:
        """The shape of one sample in the model's order, without the batch."""
        return tuple(abs(size) for size, axis in zip(self.shape, self.axes, strict=True) if axis != BATCH)

    @property
    def order(self) -> tuple[int, ...]:
        """The operation's axes in the model's order, without the batch."""
        return tuple(own for own in map(own_axis, self.axes) if own is not None)

    @property
    def is_plain(self) -> bool:
        """Whether the model has the batch first, and the other axes in the operation's order."""
        return self.axes == plain_axes(len(self.operation.shape))

    def axis(self, dim: int) -> int:
        """Return the operation's own axis at the model's `dim`, which may be negative.

        Raises `Unsupported` for the batch.
        """
        if not -self.rank <= dim < self.rank:
            raise Unsupported(f"there is no axis {dim}")
        axis = self.axes[dim]
        if axis <= BATCH:
            raise Unsupported("it works along the batch")
        return axis

    def permuted(self, dims: Sequence[int]) -> Tensor:
        """Return the tensor with its axes in another order, as the model sees it; no values move."""
        return Tensor(self.operation, tuple(self.axes[dim] for dim in dims))


class ExpandedTensor(Struct, frozen=True, eq=False):
    """A tensor whose axes of size 1 are repeated. A layer that broadcasts can use the tensor itself.

    `shape` includes the repetitions, and the batch as a number, if an importer needs it.
    """

    tensor: Tensor
    shape: tuple[int, ...] = ()


def plain_axes(rank: int) -> tuple[int, ...]:
    """Return the axes of a tensor with the batch first and `rank` own axes in the operation's order."""
    return (BATCH, *range(rank))


Value = Tensor | Any
"""An input of a model's operation: a tensor or a constant."""
