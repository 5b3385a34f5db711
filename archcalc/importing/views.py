"""Operations that only move values, shared by all importers: reshapes, slices, moved channels.

Shapes that include the batch have it as the number `batch`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from archcalc.importing.assembly import Assembly
from archcalc.importing.tensors import (
    BATCH,
    Tensor,
    Unsupported,
    folded,
    plain_axes,
    renumbered,
    unfolded,
)
from archcalc.layers.arguments import MAX_RANK, MAX_SIZE
from archcalc.layers.reshape import ChannelShuffle, Flatten, Permute, Reshape
from archcalc.layers.resize import Slice
from archcalc.shape import AXES, Shape


def concrete(tensor: Tensor, batch: int) -> tuple[int, ...]:
    """Return a tensor's shape with the batch as a number."""
    return tuple(
        batch * -size if axis <= BATCH else size for size, axis in zip(tensor.shape, tensor.axes, strict=True)
    )


def sample_shape(shape: tuple[int, ...], batch: int) -> Shape:
    """Return the shape of one sample: without the batch, which may be merged into another axis."""
    for place, size in enumerate(shape):
        if size == batch:
            shape = shape[:place] + shape[place + 1 :]
            break
        if size > batch and size % batch == 0:
            shape = (*shape[:place], size // batch, *shape[place + 1 :])
            break
    return shape if len(shape) <= MAX_RANK else (min(math.prod(shape), MAX_SIZE),)


def axis_name(tensor: Tensor, dim: int) -> str:
    """Return the name of the axis at the model's `dim`: `channels`, `height`."""
    own = tensor.axis(dim)
    if own == 0:
        return "channels"
    names = AXES.get(len(tensor.operation.shape) - 1)
    if names is None:
        raise Unsupported(f"it works along an axis of {tensor.rank}")
    return names[own - 1]


def channels_at(assembly: Assembly, tensor: Tensor, dim: int) -> Tensor:
    """Return the tensor arranged so that the model's axis `dim` is the channel axis."""
    if tensor.axis(dim) == 0:
        return tensor
    others = iter(range(1, len(tensor.operation.shape)))
    channels = tensor.axis(dim)
    numbers = {own: 0 if own == channels else next(others) for own in tensor.order}
    return assembly.aligned(tensor, tuple(renumbered(axis, numbers) for axis in tensor.axes))


def reshaped(assembly: Assembly, x: Tensor, want: Sequence[int], batch: int) -> Tensor:
    """Reshape a tensor, keeping the order of its values; the shape has the batch as a number.

    Axes that the model splits or merges are split or merged in the operation too. Values are rearranged
    only if the model merges axes that are not adjacent in the operation.
    """
    want = list(want)
    if concrete(x, batch) == tuple(want):
        return x
    keeps_batch = x.axes[:1] == (BATCH,) and want[:1] == [batch]
    if keeps_batch and (shuffled := _shuffled(assembly, x, tuple(want[1:]))) is not None:
        return shuffled
    runs = _matched_runs(x, want, batch)
    own = x.operation.shape
    order = [axis for axis, size in enumerate(own) if size != 1]
    first = order[:1]
    in_memory = sorted((run for run in runs if run.owns), key=lambda run: min(run.owns))
    if [axis for run in in_memory for axis in run.owns] != order:
        # the channels stay first; the other axes are in the model's order
        in_memory = sorted((run for run in runs if run.owns), key=lambda run: first[0] not in run.owns)
        moved = [axis for run in in_memory for axis in run.owns]
        ones = [axis for axis, size in enumerate(own) if size == 1]
        x = assembly.add(Permute((*moved, *ones)), x, axes=plain_axes(len(own)))
    places: list[tuple[int, int]] = []
    """For each axis of the result: its place in the model, and its size."""
    for run in in_memory:
        places += run.places
    places = _with_ones(places, want, {run.batch_at for run in runs})
    numbers = {place: number for number, (place, _) in enumerate(places)}
    shape = tuple(size for _, size in places)
    if not shape:
        raise Unsupported("nothing is left of a sample")
    if len(shape) > MAX_RANK:
        raise Unsupported(f"a sample of it has {len(shape)} axes")
    axes = tuple(_code(runs, place, numbers) for place in range(len(want)))
    if shape == x.operation.shape:
        return Tensor(x.operation, axes)
    layer = Flatten() if len(shape) == 1 else Reshape(shape)
    return assembly.add(layer, x, axes=axes)


def with_open_batch(x: Tensor, want: Sequence[int], batch: int) -> tuple[int, ...]:
    """Return a new shape, written for a batch of 1, with another batch in it.

    The values keep their order, so the batch has as many values after it as before. An axis of size 1 in
    that place is the batch. Otherwise the batch becomes part of the axis after it, as in `batch * heads`, but
    never of the last axis, which has the features.
    """
    order = [axis for code in x.axes for axis in unfolded(code)]
    if BATCH not in order:
        return tuple(want)
    own = x.operation.shape
    after = math.prod(own[axis] for axis in order[order.index(BATCH) + 1 :])
    places = [at for at in range(len(want) + 1) if math.prod(want[at:]) == after]
    if not places:
        raise Unsupported("the batch is between axes that become one")
    first, last = places[0], places[-1]
    if first < last:  # there are axes of size 1
        at = x.axes.index(BATCH) if BATCH in x.axes else first
        at = at if first <= at < last else first
    else:
        at = first if first == 0 or first < len(want) - 1 else first - 1
    return tuple(size * batch if place == at else size for place, size in enumerate(want))


class MatchedRun(Struct):
    """A run of adjacent axes that becomes another run of axes with the same number of values.

    `owns` are the tensor's own axes, `places` are those of the new shape with their sizes for one sample. The
    batch is in the new axis `batch_at`, as its outer or inner factor.
    """

    owns: tuple[int, ...]
    places: tuple[tuple[int, int], ...]
    batch_at: int | None = None
    is_inner: bool = False


def _matched_runs(x: Tensor, want: Sequence[int], batch: int) -> list[MatchedRun]:
    """Match the axes of two shapes: find the shortest runs of axes with the same number of values."""
    own = x.operation.shape
    have = [axis for code in x.axes for axis in unfolded(code) if axis == BATCH or own[axis] != 1]
    # the batch may be 1 in a file: it stays the first axis, or part of it
    wanted = [at for at, size in enumerate(want) if size != 1 or (batch == 1 and not at and BATCH in have)]
    runs = []
    while have or wanted:
        old: list[int] = []
        new: list[int] = []
        before = after = 0
        while before != after or not before:
            source, row = (have, old) if before <= after and have else (wanted, new)
            if not source:
                raise Unsupported("its values do not keep their order")
            row.append(source.pop(0))
            before = math.prod(batch if axis == BATCH else own[axis] for axis in old) if old else 0
            after = math.prod(want[at] for at in new) if new else 0
        runs.append(_run(old, new, want, batch))
    return runs


def _run(old: list[int], new: list[int], want: Sequence[int], batch: int) -> MatchedRun:
    owns = tuple(axis for axis in old if axis != BATCH)
    places = {at: want[at] for at in new}
    if BATCH not in old:
        return MatchedRun(owns, tuple(places.items()))
    if BATCH not in (old[0], old[-1]):
        raise Unsupported("the batch is between axes that become one")
    is_inner = old[0] != BATCH
    at = new[-1] if is_inner else new[0]
    if want[at] % batch:
        raise Unsupported("the batch is folded into another axis")
    places[at] //= batch
    if places[at] == 1:
        del places[at]
        is_inner = False
    if math.prod(places.values()) != 1 and not owns:
        raise Unsupported("the batch is folded into another axis")
    return MatchedRun(owns, tuple(places.items()), at, is_inner)


def _with_ones(
    places: list[tuple[int, int]], want: Sequence[int], batch_at: set[int | None]
) -> list[tuple[int, int]]:
    """Insert the axes of size 1, each next to its neighbor in the model."""
    found = list(places)
    for at, size in enumerate(want):
        known = [place for place, _ in found]
        if size != 1 or at in batch_at or at in known:
            continue
        if at - 1 in known:
            found.insert(known.index(at - 1) + 1, (at, 1))
            continue
        later = [place for place in range(at + 1, len(want)) if place in known]
        found.insert(known.index(later[0]) if later else len(found), (at, 1))
    return found


def _code(runs: Sequence[MatchedRun], place: int, numbers: Mapping[int, int]) -> int:
    """Return an axis of the new shape in the form of `Tensor.axes`."""
    for run in runs:
        if run.batch_at == place:
            return folded(numbers[place], run.is_inner) if place in numbers else BATCH
    return numbers[place]


def _shuffled(assembly: Assembly, x: Tensor, target: tuple[int, ...]) -> Tensor | None:
    """Return a channel shuffle, if this is the last of its three views: group, transpose, merge."""
    before = x.operation
    if not isinstance(before.layer, Reshape) or x.axes != (BATCH, 1, 0, *range(2, len(before.shape))):
        return None
    source = before.inputs[0]
    if source.shape != target or before.shape[2:] != target[1:]:
        return None
    return assembly.add(ChannelShuffle(before.shape[0]), Tensor(source, plain_axes(len(target))))


def piece(assembly: Assembly, x: Tensor, dim: int, start: int, end: int, batch: int) -> Tensor:
    """Slice an axis from `start` to `end`; returns the tensor itself if that is the whole axis."""
    if (start, end) == (0, concrete(x, batch)[dim]):
        return x
    return assembly.add(Slice(start, end, axis_name(x, dim)), x)
