"""Arenas: one block of memory with a fixed place for every tensor of a run."""

from __future__ import annotations

from collections import defaultdict

from msgspec import Struct

from archcalc.memory.timeline import Stretch, Timeline


class Placed(Struct, frozen=True, eq=False):
    """A tensor and its first byte in the arena."""

    tensor: Stretch
    offset: int
    size: int


class Arena(Struct, frozen=True, eq=False):
    """The places of all tensors, in the order of their allocation, and the total size."""

    placed: tuple[Placed, ...]
    size: int


def arena(timeline: Timeline, batch: int = 1) -> Arena:
    """Place the tensors of a timeline, the largest first, each where it fits best.

    Greedy by size (Pisarchyk & Lee 2020, Efficient Memory Management for Deep Neural Net Inference,
    arXiv:2001.03288, Section 5.2): a tensor goes to the smallest gap that is large enough, among the tensors
    alive at the same time, or else to the first place after them. Of two tensors of equal size, the one that
    is allocated first is placed first.

    >>> import archcalc
    >>> from archcalc.memory.inference import inference
    >>> from archcalc.memory.precision import precision
    >>> timeline = inference(archcalc.load("vgg16"), precision("float32"))
    >>> arena(timeline).size == timeline.peak(batch=1)[0]
    True
    """
    neighbours: defaultdict[int, list[Placed]] = defaultdict(list)
    found: dict[int, Placed] = {}
    order = sorted(enumerate(timeline.tensors), key=lambda pair: (-pair[1].size.of(batch), pair[0]))
    for number, tensor in order:
        size = tensor.size.of(batch)
        together: dict[int, Placed] = {}
        for moment in range(tensor.born, tensor.last + 1):
            for placed in neighbours[moment]:
                together[id(placed)] = placed
        own = Placed(tensor, _offset(size, list(together.values())), size)
        found[number] = own
        if size:
            for moment in range(tensor.born, tensor.last + 1):
                neighbours[moment].append(own)
    placed_in_order = tuple(found[number] for number in sorted(found))
    return Arena(placed_in_order, max((each.offset + each.size for each in placed_in_order), default=0))


def _offset(size: int, together: list[Placed]) -> int:
    """The smallest gap between these tensors that has `size` bytes, or the first place after them."""
    best: tuple[int, int] | None = None
    end = 0
    for placed in sorted(together, key=lambda each: each.offset):
        gap = placed.offset - end
        if gap >= size and (best is None or gap < best[0]):
            best = gap, end
        end = max(end, placed.offset + placed.size)
    return end if best is None else best[1]
