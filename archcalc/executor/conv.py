"""Kernels of the convolutions.

A convolution is a matrix product: its windows, laid out as rows, times its weights (im2col; Chellapilla, Puri
& Simard 2006). The fastest layout of the rows depends on the shape of the layer alone:

- 1x1: the map is the matrix.
- windows of several rows over a wide map: blocks of output rows. The copied windows stay in the cache, and
  still make many rows for each reading of the weights (about four megabytes).
- narrow maps and 5x5: copy along the width only, and add up one product per row of the kernel.
- one channel per group: sums of products, whole rows at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from archcalc.executor.kernel import (
    Array,
    Call,
    along_row,
    each_axis,
    kernel,
    padded,
    pads,
    starts,
    windows_of,
)
from archcalc.executor.memory import empty, ordinary
from archcalc.layers.conv import Conv, ConvTranspose, Depthwise, Local, Pointwise

# The times in these comments are for one thread on Zen 4 (L2 1 MiB, L3 32 MiB), OpenBLAS with AVX-512.

BLOCK_BYTES = 1 << 22
"""Bytes of copied windows at a time. They stay in the last-level cache."""
# Smaller blocks read the weights more often. VGG-16 takes 445 ms with 256 KiB, 389 ms with 1 MiB, 375 ms with
# 2 to 8 MiB, and 400 ms with 16 MiB or more.

STRIP_BYTES = 1 << 18
"""Bytes of repeated depthwise weights at a time. They stay in the second-level cache together with a row."""
# The 3x3 layers of MobileNet v1 take up to 1.6 times as long with 16 KiB. Between 256 KiB and 4 MiB their
# times differ by at most 10 percent, and the smallest size needs the least memory.

NARROW = 8
"""Up to this many output columns, windows are copied along the width only."""
# This copies a third of the bytes for a 3x3 kernel. On maps of 7x7 to 14x14, 3x3 layers of 256 and 512
# channels take the same time either way, within 6 percent, so the exact number matters little.

TALL = 5
"""From this many kernel rows on, windows are copied along the width only."""
# 5x5 layers of 64 to 256 input channels take 0.83 to 1.05 times as long as with whole windows.

DEEP = 16
"""Windows are copied along the width only if there are at least this many channels."""
# With 1 to 12 channels, 5x5 layers on 28x28 take 1.03 to 1.16 times as long as with whole windows, and 3x3
# layers on 7x7 take 1.2 to 1.3 times as long. From 32 (5x5) and 64 (3x3) channels on they take less time.


class Geometry(Struct, frozen=True):
    """A window over the spatial axes of an input, with one entry per axis.

    `ends` are the zeros before and after an axis, and `counts` the places of the window along it.
    """

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    ends: Sequence[tuple[int, int]]
    counts: tuple[int, ...]

    def with_unit_axis(self) -> Geometry:
        """The same window, with an axis of size 1 before the others."""
        return Geometry(
            (1, *self.kernel_size), (1, *self.stride), (1, *self.dilation),
            ((0, 0), *self.ends), (1, *self.counts),
        )  # fmt: skip

    def without_first_axis(self) -> Geometry:
        return Geometry(
            self.kernel_size[1:], self.stride[1:], self.dilation[1:], self.ends[1:], self.counts[1:]
        )


def geometry_of(x: Array, kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> Geometry:
    """The geometry of a layer with these arguments on `x`. Does not use the shape rules."""
    sizes = x.shape[1:-1]
    k, s, d = (each_axis(value, len(sizes)) for value in (kernel_size, stride, dilation))
    ends = pads(padding, sizes, k, s, d)
    axes = zip(sizes, k, s, d, ends, strict=True)
    counts = tuple(starts(n, k_, s_, d_, *end) for n, k_, s_, d_, end in axes)
    return Geometry(k, s, d, ends, counts)


@kernel(Conv)
def conv(layer: Conv, call: Call) -> Array:
    x, weight = call.x, call.weights["weight"]
    if layer.connections is not None:
        out = _connected(x, weight, layer)
    else:
        geometry = geometry_of(x, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        return grouped(x, weight, geometry, layer.groups, call.weights.get("bias"))
    if "bias" in call.weights:
        out += call.weights["bias"]
    return out


@kernel(Pointwise)
def pointwise(layer: Pointwise, call: Call) -> Array:
    geometry = geometry_of(call.x, 1, 1, 0, 1)
    return grouped(call.x, call.weights["weight"], geometry, 1, call.weights.get("bias"))


def grouped(x: Array, weight: Array, geometry: Geometry, groups: int, bias: Array | None) -> Array:
    """A convolution with weights `(*kernel, C_in/groups, C_out)`, group by group."""
    if groups == 1:
        return dense(x, weight, geometry, bias)
    out_channels = weight.shape[-1]
    if x.shape[-1] == groups == out_channels:
        out = depthwise_sum(x, weight.reshape(*weight.shape[:-2], out_channels), geometry, 1)
        if bias is not None:
            out += bias
        return out
    size_in, size_out = x.shape[-1] // groups, out_channels // groups
    out = empty((x.shape[0], *geometry.counts, out_channels), np.result_type(x, weight))
    for group in range(groups):
        part = x[..., group * size_in : (group + 1) * size_in]
        columns = slice(group * size_out, (group + 1) * size_out)
        added = None if bias is None else bias[columns]
        dense(part, weight[..., columns], geometry, added, out[..., columns])
    return out


def dense(
    x: Array, weight: Array, geometry: Geometry, bias: Array | None = None, out: Array | None = None
) -> Array:
    """A convolution in which every output channel reads every input channel. Writes to `out` if given."""
    if out is None:
        out = empty((x.shape[0], *geometry.counts, weight.shape[-1]), np.result_type(x, weight))
    rank = x.ndim - 2
    if rank == 1:  # a map of height 1
        dense(x[:, None], weight[None], geometry.with_unit_axis(), bias, out[:, None])
        return out
    if rank == 3:
        _by_planes(x, weight, geometry, out)
        if bias is not None:
            out += bias
        return out
    channels, out_channels = weight.shape[-2:]
    k_h, k_w = geometry.kernel_size
    s_h, s_w = geometry.stride
    o_h, o_w = geometry.counts
    x = padded(x, geometry.ends)
    if (k_h, k_w) == (1, 1) and (s_h, s_w) != (1, 1):
        x = x[:, : (o_h - 1) * s_h + 1 : s_h, : (o_w - 1) * s_w + 1 : s_w]
    if bias is not None:
        bias = along_row(out, bias)
    if (k_h, k_w) == (1, 1):
        matrix = weight.reshape(channels, out_channels)
        np.matmul(x.reshape(-1, channels), matrix, out=out.reshape(-1, out_channels))
        if bias is not None:
            out += bias
    elif (s_h, s_w) == geometry.dilation == (1, 1) and (o_w <= NARROW or k_h >= TALL) and channels >= DEEP:
        _by_kernel_rows(x, weight, geometry, out, bias)
    else:
        _by_row_blocks(x, weight, geometry, out, bias)
    return out


def _by_row_blocks(x: Array, weight: Array, geometry: Geometry, out: Array, bias: Array | None) -> None:
    """The windows of a block of output rows become the rows of a matrix, with one product per block."""
    k_h, k_w = geometry.kernel_size
    batch, o_h, o_w, out_channels = out.shape
    size = k_h * k_w * x.shape[-1]
    matrix = weight.reshape(size, out_channels)
    view = windows_of(x, geometry.kernel_size, geometry.stride, geometry.dilation, geometry.counts)
    rows = max(1, min(o_h, BLOCK_BYTES // (o_w * size * x.itemsize)))
    buffer = empty((rows, o_w, *view.shape[3:]), x.dtype)
    for sample in range(batch):
        for top in range(0, o_h, rows):
            count = min(rows, o_h - top)
            block = buffer[:count]
            np.copyto(block, view[sample, top : top + count])
            product = out[sample, top : top + count]
            np.matmul(block.reshape(-1, size), matrix, out=product.reshape(-1, out_channels))
            if bias is not None:
                product += bias


def _by_kernel_rows(x: Array, weight: Array, geometry: Geometry, out: Array, bias: Array | None) -> None:
    """Copies along the width only, and adds up one product per row of the kernel. For stride 1."""
    k_h, k_w = geometry.kernel_size
    batch, o_h, o_w, out_channels = out.shape
    size = k_w * x.shape[-1]
    wide = windows_of(x, (1, k_w), (1, 1), (1, 1), (x.shape[1], o_w))
    columns = empty((batch, x.shape[1], o_w, size), x.dtype)
    np.copyto(columns.reshape(wide.shape), wide)
    for sample in range(batch):
        flat = out[sample].reshape(-1, out_channels)
        for row in range(k_h):
            part = columns[sample, row : row + o_h].reshape(-1, size)
            product = weight[row].reshape(size, out_channels)
            if row == 0:
                np.matmul(part, product, out=flat)
            else:
                flat += part @ product
        if bias is not None:
            out[sample] += bias


def _by_planes(x: Array, weight: Array, geometry: Geometry, out: Array) -> None:
    """Three axes: the sum of convolutions of planes over the depth of the kernel."""
    planes = padded(x, [geometry.ends[0], (0, 0), (0, 0)])
    flat = geometry.without_first_axis()
    out[...] = 0
    for place in range(geometry.counts[0]):
        for tap in range(geometry.kernel_size[0]):
            depth = place * geometry.stride[0] + tap * geometry.dilation[0]
            with ordinary():
                out[:, place] += dense(planes[:, depth], weight[tap], flat)


def _connected(x: Array, weight: Array, layer: Conv) -> Array:
    """Each output map reads the input maps of its row in the connection table."""
    geometry = geometry_of(x, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    assert layer.connections is not None
    maps = []
    at = 0
    for row in layer.connections:
        part = weight[..., at : at + len(row)]
        at += len(row)
        maps.append(dense(x[..., list(row)], part[..., None], geometry))
    return np.concatenate(maps, axis=-1)


@kernel(Depthwise)
def depthwise(layer: Depthwise, call: Call) -> Array:
    x = call.x
    geometry = geometry_of(x, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    out = depthwise_sum(x, call.weights["weight"], geometry, layer.multiplier)
    if "bias" in call.weights:
        out += call.weights["bias"]
    return out


def depthwise_sum(x: Array, weight: Array, geometry: Geometry, multiplier: int) -> Array:
    """A depthwise convolution with weights `(*kernel, C_in·multiplier)`: a sum of products, tap by tap.

    If windows follow one another without gaps, the columns of a row are treated as channels, and the weights
    are repeated for each column. Sums then run over long stretches of memory.
    """
    if multiplier > 1:  # output channel c reads input channel c // multiplier
        x = np.repeat(x, multiplier, axis=-1)
    x = np.ascontiguousarray(padded(x, geometry.ends))
    view = windows_of(x, geometry.kernel_size, geometry.stride, geometry.dilation, geometry.counts)
    rank, channels = x.ndim - 2, x.shape[-1]
    taps = [*range(rank + 1, 2 * rank + 1), 2 * rank + 1]
    if geometry.stride[-1] > 1:
        summed: Array = np.einsum(view, range(2 * rank + 2), weight, taps, [*range(rank + 1), taps[-1]])
        return summed
    columns = geometry.counts[-1]
    view = np.moveaxis(view, rank, -2)
    row = columns * channels
    flat = np.lib.stride_tricks.as_strided(
        view, (*view.shape[:-2], row), (*view.strides[:-2], x.itemsize), writeable=False
    )
    step = min(columns, max(1, STRIP_BYTES // weight.nbytes)) * channels
    wide = np.broadcast_to(weight[..., None, :], (*weight.shape[:-1], step // channels, channels))
    wide = wide.reshape(*weight.shape[:-1], step)
    out = empty((*flat.shape[:rank], row), np.result_type(x, weight))
    read, written = [*range(rank), *taps], [*range(rank), taps[-1]]
    for left in range(0, row, step):
        strip = slice(left, left + step)
        np.einsum(flat[..., strip], read, wide[..., : row - left], taps, written, out=out[..., strip])
    return out.reshape(x.shape[0], *geometry.counts, channels)


@kernel(Local)
def local(layer: Local, call: Call) -> Array:
    """Each place has its own weights `(*kernel, C_in, C_out, *places)`."""
    x = call.x
    rank = x.ndim - 2
    geometry = geometry_of(x, layer.kernel_size, layer.stride, layer.padding, 1)
    view = windows_of(
        padded(x, geometry.ends), geometry.kernel_size, geometry.stride, (1,) * rank, geometry.counts
    )
    places = int(np.prod(geometry.counts))
    rows = np.ascontiguousarray(view).reshape(x.shape[0], places, -1)
    weight = call.weights["weight"].reshape(rows.shape[-1], layer.out_channels, places)
    # per place: (batch, window) times (window, channels)
    product = np.matmul(rows.transpose(1, 0, 2), weight.transpose(2, 0, 1))
    out = product.transpose(1, 0, 2).reshape(x.shape[0], *geometry.counts, layer.out_channels)
    if layer.bias:
        out = out + np.moveaxis(call.weights["bias"], 0, -1)
    return np.ascontiguousarray(out)


def kept_of(
    layer: ConvTranspose, sizes: Sequence[int], spread: Sequence[int], stride: Sequence[int]
) -> list[tuple[int, int]]:
    """The range along each axis of the spread inputs that a transposed convolution keeps.

    If a range ends after the data, zeros are added.
    """
    if layer.padding == "same":  # `stride` outputs for each input, from the middle
        starts_at = [max(m - n * s, 0) // 2 for n, m, s in zip(sizes, spread, stride, strict=True)]
        return [(start, start + n * s) for start, n, s in zip(starts_at, sizes, stride, strict=True)]
    padding, extra = (each_axis(value, len(sizes)) for value in (layer.padding, layer.output_padding))
    ends = [p if isinstance(p, tuple) else (p, p) for p in padding]
    return [(before, m + e - after) for (before, after), m, e in zip(ends, spread, extra, strict=True)]


@kernel(ConvTranspose)
def conv_transpose(layer: ConvTranspose, call: Call) -> Array:
    """Each input adds its products to the outputs that its window covers."""
    x, weight = call.x, call.weights["weight"]
    rank = x.ndim - 2
    kernel_size, stride, dilation = (
        each_axis(value, rank) for value in (layer.kernel_size, layer.stride, layer.dilation)
    )
    sizes = x.shape[1:-1]
    spread = [
        (n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(sizes, stride, dilation, kernel_size, strict=True)
    ]
    kept = kept_of(layer, sizes, spread, stride)
    full = tuple(max(m, end) for m, (_, end) in zip(spread, kept, strict=True))
    groups = layer.groups
    size_in, size_out = x.shape[-1] // groups, layer.out_channels // groups
    out = np.zeros((x.shape[0], *full, layer.out_channels), np.result_type(x, weight))
    for group in range(groups):
        part = np.ascontiguousarray(x[..., group * size_in : (group + 1) * size_in]).reshape(-1, size_in)
        for tap in np.ndindex(*kernel_size):
            product = part @ weight[tap][group * size_in : (group + 1) * size_in]
            where = tuple(
                slice(t * d, t * d + (n - 1) * s + 1, s)
                for t, d, n, s in zip(tap, dilation, sizes, stride, strict=True)
            )
            columns = slice(group * size_out, (group + 1) * size_out)
            out[(slice(None), *where, columns)] += product.reshape(x.shape[0], *sizes, size_out)
    inner = tuple(slice(start, end) for start, end in kept)
    out = np.ascontiguousarray(out[(slice(None), *inner)])
    if layer.bias:
        out += call.weights["bias"]
    return out
