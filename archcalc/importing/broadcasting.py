"""Broadcasting for elementwise operations and matrix products: axes of size 1 are stretched."""

from __future__ import annotations

import math

from archcalc.importing.assembly import Assembly
from archcalc.importing.tensors import BATCH, Tensor, Unsupported, own_axis, renumbered
from archcalc.layers.attention import MatMul
from archcalc.layers.base import Layer
from archcalc.layers.reshape import Permute, Reshape

APART = "its tensors have their axes in places that do not match"


def extent(tensor: Tensor) -> tuple[int, bool, int]:
    """Return a sort key: the tensor with the largest key sets the shape that the others are stretched to."""
    return tensor.rank, has_batch(tensor), math.prod(tensor.operation.shape)


def has_batch(tensor: Tensor) -> bool:
    return any(axis <= BATCH for axis in tensor.axes)


def combined(assembly: Assembly, layer: Layer, *tensors: Tensor) -> Tensor:
    """Join tensors, with the axes in the same places as in the largest one."""
    main = max(tensors, key=extent)
    return assembly.add(layer, *(stretched(assembly, each, main) for each in tensors), axes=main.axes)


def stretched(assembly: Assembly, x: Tensor, main: Tensor) -> Tensor:
    """Return the tensor with its axes in the same places as `main`, with axes of size 1 where it has none."""
    if x.axes == main.axes:
        return x
    missing = main.rank - x.rank
    if missing < 0:
        raise Unsupported(APART)
    own: dict[int, int] = {}
    for place, axis in enumerate(main.axes):
        if place < missing:
            continue
        theirs, mine = own_axis(axis), own_axis(x.axes[place - missing])
        size = 1 if mine is None else x.operation.shape[mine]
        if x.axes[place - missing] <= BATCH:
            numbers = {} if mine is None or theirs is None else {mine: theirs}
            if (mine is None) != (theirs is None) or renumbered(x.axes[place - missing], numbers) != axis:
                raise Unsupported(APART)
            if mine is not None and theirs is not None and size != main.operation.shape[theirs]:
                raise Unsupported(APART)
        elif axis <= BATCH and size != 1:
            raise Unsupported(APART)
        if mine is not None and theirs is not None:
            own[theirs] = mine
    order = [own[axis] for axis in sorted(own)]
    if sorted(order) != order:
        unused = [axis for axis in range(len(x.operation.shape)) if axis not in order]
        x = assembly.add(Permute((*order, *unused)), x)
        own = {axis: number for number, axis in enumerate(sorted(own))}
    shape = x.operation.shape
    target = tuple(shape[own[axis]] if axis in own else 1 for axis in range(len(main.operation.shape)))
    if target != shape:
        return assembly.add(Reshape(target), x, axes=main.axes)
    return Tensor(x.operation, main.axes)


def multiplied(assembly: Assembly, one: Tensor, two: Tensor) -> Tensor:
    """Multiply the matrices in the last two axes of two tensors; the axes before them may be stretched."""
    if one.rank < 2 or two.rank < 2:
        raise Unsupported("it multiplies a vector")
    first, second = (_as_matrices(assembly, each) for each in (one, two))
    main, other = (first, second) if _leading(first) >= _leading(second) else (second, first)
    if len(other.operation.shape) > len(main.operation.shape):
        raise Unsupported(APART)
    if other.axes != main.axes:
        other = stretched(assembly, other, main)
    pair = (main, other) if main is first else (other, main)
    return assembly.add(MatMul(), *pair, axes=main.axes)


def _leading(tensor: Tensor) -> tuple[int, bool]:
    return tensor.rank, has_batch(tensor)


def _as_matrices(assembly: Assembly, x: Tensor) -> Tensor:
    """Return the tensor arranged in the model's order, so that the matrices are its last two axes."""
    if x.axes[-1] <= BATCH or x.axes[-2] <= BATCH:
        raise Unsupported("it works along the batch")
    order = [own for own in map(own_axis, x.axes) if own is not None]
    numbers = {own: number for number, own in enumerate(order)}
    return assembly.aligned(x, tuple(renumbered(axis, numbers) for axis in x.axes))
