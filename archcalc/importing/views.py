"""What all importers do with tensors whose values only move: other shapes, pieces, channels elsewhere.

A shape with the batch in it has it as the number `batch`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from archcalc.importing.assembly import Assembly
from archcalc.importing.tensors import BATCH, Tensor, Unsupported, plain_axes
from archcalc.layers.arguments import MAX_RANK, MAX_SIZE
from archcalc.layers.reshape import ChannelShuffle, Flatten, Reshape
from archcalc.layers.resize import Slice
from archcalc.shape import AXES, Shape


def concrete(tensor: Tensor, batch: int) -> tuple[int, ...]:
    """A tensor's shape with the batch as a number."""
    return tuple(batch if size == BATCH else size for size in tensor.shape)


def sample_shape(shape: tuple[int, ...], batch: int) -> Shape:
    """The shape of one sample: without the batch, which may be a factor of its first axis that has it."""
    for place, size in enumerate(shape):
        if size == batch:
            shape = shape[:place] + shape[place + 1 :]
            break
        if size > batch and size % batch == 0:
            shape = (*shape[:place], size // batch, *shape[place + 1 :])
            break
    return shape if len(shape) <= MAX_RANK else (min(math.prod(shape), MAX_SIZE),)


def axis_name(tensor: Tensor, dim: int) -> str:
    """The name of the axis that the model has at `dim`: `channels`, `height`."""
    own = tensor.axis(dim)
    if own == 0:
        return "channels"
    names = AXES.get(len(tensor.operation.shape) - 1)
    if names is None:
        raise Unsupported(f"it works along an axis of {tensor.rank}")
    return names[own - 1]


def channels_at(assembly: Assembly, tensor: Tensor, dim: int) -> Tensor:
    """The tensor arranged so that the axis that the model has at `dim` is that of the channels."""
    if tensor.axis(dim) == 0:
        return tensor
    dim = dim % tensor.rank
    others = iter(range(1, tensor.rank))
    axes = tuple(
        BATCH if axis == BATCH else 0 if place == dim else next(others)
        for place, axis in enumerate(tensor.axes)
    )
    return assembly.aligned(tensor, axes)


def reshaped(assembly: Assembly, x: Tensor, want: Sequence[int], batch: int) -> Tensor:
    """A tensor with its values in the same order in another shape, the batch in it as a number."""
    have = concrete(x, batch)
    if have == tuple(want):
        return x
    if x.axes[0] != BATCH or not want or want[0] != batch or len(want) < 2:
        raise Unsupported("the batch is not its first axis")
    target = tuple(want[1:])
    if math.prod(target) != math.prod(x.operation.shape):
        raise Unsupported("the batch is folded into another axis")
    if (shuffled := _shuffled(assembly, x, target)) is not None:
        return shuffled
    last = (BATCH, *range(1, len(x.operation.shape)), 0)
    if x.axes == last and x.rank > 2 and len(target) > 1 and target[-1] == x.operation.shape[0]:
        own = (target[-1], *target[:-1])  # only places change their shape: channels stay last
        return assembly.add(Reshape(own), x, axes=(BATCH, *range(1, len(own)), 0))
    x = assembly.plain(x)
    layer = Flatten() if len(target) == 1 else Reshape(target)
    return assembly.add(layer, x, axes=plain_axes(len(target)))


def _shuffled(assembly: Assembly, x: Tensor, target: tuple[int, ...]) -> Tensor | None:
    """A channel shuffle, if this is the last of the views that make one: to groups, transposed, and back."""
    before = x.operation
    if not isinstance(before.layer, Reshape) or x.axes != (BATCH, 1, 0, *range(2, len(before.shape))):
        return None
    source = before.inputs[0]
    if source.shape != target or before.shape[2:] != target[1:]:
        return None
    return assembly.add(ChannelShuffle(before.shape[0]), Tensor(source, plain_axes(len(target))))


def piece(assembly: Assembly, x: Tensor, dim: int, start: int, end: int, batch: int) -> Tensor:
    """The values from `start` to `end` along an axis; the tensor itself if these are all."""
    if (start, end) == (0, concrete(x, batch)[dim]):
        return x
    return assembly.add(Slice(start, end, axis_name(x, dim)), x)
