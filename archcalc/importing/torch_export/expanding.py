"""Handles tensors that are repeated along axes of size 1, where an operation needs the copies.

PyTorch's `expand` copies nothing. Joins do not need copies either, since they broadcast these axes. A view
may merge a repeated axis with another one, and then the values are copied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from archcalc.importing import views
from archcalc.importing.assembly import Assembly
from archcalc.importing.tensors import BATCH, ExpandedTensor, Tensor, Unsupported
from archcalc.importing.views import concrete
from archcalc.layers.reshape import Reshape
from archcalc.layers.resize import Upsample


def materialized(assembly: Assembly, batch: int, x: ExpandedTensor) -> Tensor:
    """Return the tensor with all its repetitions written out."""
    return _repeated(assembly, batch, x, range(len(x.shape))).tensor


def reshaped_expanded(
    assembly: Assembly, batch: int, x: ExpandedTensor, want: Sequence[int]
) -> ExpandedTensor:
    """Reshape a tensor, copying only the repeated axes that are merged with others."""
    runs = _runs(x.shape, want)
    sizes = concrete(x.tensor, batch)
    kept = list(want)
    mixed: list[int] = []
    for old, new in runs:
        repeated = [place for place in old if sizes[place] != x.shape[place]]
        if repeated and all(place in repeated or x.shape[place] == 1 for place in old):
            for place in new:
                kept[place] = 1
        else:
            mixed += repeated
    x = _repeated(assembly, batch, x, mixed)
    return ExpandedTensor(views.reshaped(assembly, x.tensor, kept, batch), tuple(want))


def _runs(have: Sequence[int], want: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Group consecutive axes of one shape with the consecutive axes of the other that have as many values."""
    if math.prod(have) != math.prod(want):
        raise Unsupported("its values do not keep their order")
    old = [place for place, size in enumerate(have) if size != 1]
    new = [place for place, size in enumerate(want) if size != 1]
    runs: list[tuple[list[int], list[int]]] = []
    while old:
        run: tuple[list[int], list[int]] = ([old.pop(0)], [new.pop(0)])
        while (before := math.prod(have[p] for p in run[0])) != (after := math.prod(want[p] for p in run[1])):
            source, row = (old, run[0]) if before < after else (new, run[1])
            row.append(source.pop(0))
        runs.append(run)
    return runs


def _repeated(assembly: Assembly, batch: int, x: ExpandedTensor, places: Sequence[int]) -> ExpandedTensor:
    tensor = x.tensor
    for place in places:
        if concrete(tensor, batch)[place] != x.shape[place]:
            tensor = _copies(assembly, batch, tensor, place, x.shape[place])
    return ExpandedTensor(tensor, x.shape)


def _copies(assembly: Assembly, batch: int, x: Tensor, place: int, count: int) -> Tensor:
    """Copy along an axis of size 1, as a nearest-neighbor upsampling of the only value."""
    if x.axes[place] == BATCH or count % batch == 0 < batch - 1:
        raise Unsupported("it repeats a tensor for every sample")
    own, shape = x.axis(place), x.operation.shape
    before, after = math.prod(shape[:own]), math.prod(shape[own + 1 :])
    flat, size = ((before, 1), count) if after == 1 else ((before, 1, after), (count, after))
    flattened = x if flat == shape else assembly.add(Reshape(flat), x, axes=range(len(flat)))
    copied = assembly.add(Upsample(size=size), flattened, axes=range(len(flat)))
    full = (*shape[:own], count, *shape[own + 1 :])
    if full != copied.operation.shape:
        copied = assembly.add(Reshape(full), copied, axes=x.axes)
    return Tensor(copied.operation, x.axes)
