"""What layers do, in slow loops written from their definitions.

Nothing here knows archcalc: a map is padded, a window slides over it one step at a time, and every
multiplication is counted as it is made. Where a definition has a formula, it is not used.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np


class DoesNotFit(Exception):
    """Not a single window fits."""


class Result(NamedTuple):
    """What came out: its shape, and the multiplications and the weights that went in."""

    shape: tuple[int, ...]
    multiplications: int
    weights: int


def each(value: Any, rank: int) -> tuple[Any, ...]:
    """An argument for every axis."""
    return value if isinstance(value, tuple) else (value,) * rank


def starts(cells: int, kernel_size: int, stride: int, dilation: int) -> list[int]:
    """Where a window stands that is moved along a row of cells as long as all its taps lie on it."""
    found = []
    start = 0
    while all(start + tap * dilation < cells for tap in range(kernel_size)):
        found.append(start)
        start += stride
    return found


def ceil_starts(before: int, n: int, after: int, kernel_size: int, stride: int, dilation: int) -> list[int]:
    """The same in ceil mode: the row may run on for less than a step, so that what is left over gets a
    window too; but no window starts behind the values of the map."""
    found = starts(before + n + after + stride - 1, kernel_size, stride, dilation)
    if found and found[-1] >= before + n:
        found.pop()
    return found


def same_padding(n: int, kernel_size: int, stride: int, dilation: int) -> tuple[int, int]:
    """The least padding with which there is a window for every `stride` values, split in halves."""
    wanted = len(range(0, n, stride))
    total = 0
    while len(starts(n + total, kernel_size, stride, dilation)) < wanted:
        total += 1
    return total // 2, total - total // 2


def paddings(
    padding: Any, sizes: Sequence[int], kernel_size: Any, stride: Any, dilation: Any
) -> list[tuple[int, int]]:
    """Before and after, along every axis, from any of the ways in which padding can be given."""
    rank = len(sizes)
    if padding == "valid":
        return [(0, 0)] * rank
    if padding in ("same", "same_lower"):
        axes = zip(sizes, each(kernel_size, rank), each(stride, rank), each(dilation, rank), strict=True)
        ends = [same_padding(*axis) for axis in axes]
        return ends if padding == "same" else [(after, before) for before, after in ends]
    entries = [padding] * rank if isinstance(padding, int) else list(padding)
    return [(entry, entry) if isinstance(entry, int) else entry for entry in entries]


def patches(
    array: np.ndarray, kernel_size: Any, stride: Any, padding: Any, dilation: Any
) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """The place of every window over the padded maps of an array, and what stands in it."""
    rank = array.ndim - 1
    kernel, steps, spread = each(kernel_size, rank), each(stride, rank), each(dilation, rank)
    around = paddings(padding, array.shape[1:], kernel_size, stride, dilation)
    padded = np.pad(array, [(0, 0), *around])
    rows = [starts(*axis) for axis in zip(padded.shape[1:], kernel, steps, spread, strict=True)]
    if not all(rows):
        raise DoesNotFit
    for place in itertools.product(*(range(len(row)) for row in rows)):
        taps = [
            [row[at] + tap * d for tap in range(k)]
            for row, at, k, d in zip(rows, place, kernel, spread, strict=True)
        ]
        patch = padded[np.ix_(range(array.shape[0]), *taps)]
        assert patch.shape[1:] == tuple(kernel)
        yield place, patch


def convolution(
    shape: tuple[int, ...],
    out_channels: int,
    kernel_size: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    reads: Sequence[Sequence[int]] | None = None,
    shared: bool = True,
) -> Result:
    """A convolution; `reads` lists the input maps of each output map, `shared` is whether all places
    multiply by the same weights."""
    array = np.ones(shape)
    reads = reads if reads is not None else [range(shape[0])] * out_channels
    multiplications = 0
    weights = set()
    outputs = set()
    for place, patch in patches(array, kernel_size, stride, padding, dilation):
        for out, maps in enumerate(reads):
            for source in maps:
                for tap in np.ndindex(patch.shape[1:]):
                    weights.add((out, source, tap, () if shared else place))
                    multiplications += 1
            outputs.add((out, *place))
    return Result(_extent(outputs), multiplications, len(weights))


def in_groups(channels: int, out_channels: int, groups: int) -> list[range]:
    """The input maps of each output map of a grouped convolution."""
    inputs, outputs = channels // groups, out_channels // groups
    return [range(out // outputs * inputs, (out // outputs + 1) * inputs) for out in range(out_channels)]


def transposed_convolution(
    shape: tuple[int, ...],
    out_channels: int,
    kernel_size: Any,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Result:
    """Every value of the input, times a kernel, is added to the output around its place."""
    rank = len(shape) - 1
    kernel, steps, spread = each(kernel_size, rank), each(stride, rank), each(dilation, rank)
    targets: dict[int, set[int]] = {source: set() for source in range(shape[0])}
    for out, sources in enumerate(in_groups(shape[0], out_channels, groups)):
        for source in sources:
            targets[source].add(out)
    ends = [0] * rank
    multiplications = 0
    weights = set()
    for source, *place in np.ndindex(shape):
        for tap in np.ndindex(tuple(kernel)):
            at = [p * s + t * d for p, s, t, d in zip(place, steps, tap, spread, strict=True)]
            ends = [max(end, position + 1) for end, position in zip(ends, at, strict=True)]
            for out in targets[source]:
                weights.add((source, out, tap))
                multiplications += 1
    cut, extra = each(padding, rank), each(output_padding, rank)
    sizes = tuple(len(range(p, end + e - p)) for end, p, e in zip(ends, cut, extra, strict=True))
    if 0 in sizes:
        raise DoesNotFit
    return Result((out_channels, *sizes), multiplications, len(weights))


def pooling(
    shape: tuple[int, ...],
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Result:
    """A pool over windows. `multiplications` counts its values that are combined with others: all of a
    window but its first. What lies behind the padding is none of them, nor is the padding where it does
    not count."""
    rank = len(shape) - 1
    kernel = each(kernel_size, rank)
    steps = kernel if stride is None else each(stride, rank)
    around = paddings(padding, shape[1:], kernel, steps, dilation)
    rows = []
    held = []
    for n, (before, after), k, s, d in zip(
        shape[1:], around, kernel, steps, each(dilation, rank), strict=True
    ):
        if ceil_mode:
            rows.append(ceil_starts(before, n, after, k, s, d))
        else:
            rows.append(starts(before + n + after, k, s, d))
        cells = range(before + n + after) if count_include_pad else range(before, before + n)
        held.append([[start + tap * d for tap in range(k) if start + tap * d in cells] for start in rows[-1]])
    if not all(rows):
        raise DoesNotFit
    combined = 0
    outputs = set()
    for channel in range(shape[0]):
        for place in itertools.product(*(range(len(row)) for row in rows)):
            outputs.add((channel, *place))
            taps = list(itertools.product(*(row[at] for row, at in zip(held, place, strict=True))))
            combined += len(taps[1:])
    return Result(_extent(outputs), combined, 0)


def adaptive_pooling(shape: tuple[int, ...], output_size: Any) -> Result:
    """A pool to a given size: place `i` of `m` combines the values that the `i`-th part of the map,
    cut in `m` equal parts, touches."""
    rank = len(shape) - 1
    sizes = each(output_size, rank)
    rows = []
    for n, m in zip(shape[1:], sizes, strict=True):
        # value `v` reaches from v*m to (v+1)*m, part `i` from i*n to (i+1)*n
        rows.append([[v for v in range(n) if v * m < (i + 1) * n and (v + 1) * m > i * n] for i in range(m)])
    combined = 0
    for place in itertools.product(*(range(m) for m in sizes)):
        values = itertools.product(*(row[at] for row, at in zip(rows, place, strict=True)))
        combined += len(list(values)[1:])
    return Result((shape[0], *sizes), combined * shape[0], 0)


def _extent(places: set[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of an array whose places are these, without a hole."""
    shape = tuple(max(axis) + 1 for axis in zip(*places, strict=True))
    assert len(places) == int(np.prod(shape))
    return shape
