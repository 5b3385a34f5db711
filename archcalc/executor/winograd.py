"""Winograd's minimal filtering for dense 3x3 convolutions of stride 1. It is part of the fast path.

Source: Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks", Section 4. A tile of m x m
outputs is `Aᵀ [(G g Gᵀ) ∘ (Bᵀ d B)] A`, where `d` are the n x n inputs of the tile (n = m + 2) and `g` is the
kernel. The products are summed over the channels. For each of the n² places of a tile they are therefore one
matrix product of all tiles (tiles x C) with the transformed weights (C x K). A value takes 4 (m = 2) or 2.25
(m = 4) multiplications per input channel instead of 9.

The sums are taken in another order and with coefficients other than one, which costs precision. Relative to
the largest output, errors in single precision stay below about 1e-6 for m = 2, and 2e-5 for m = 4, whose
coefficients reach 8. Direct sums have about 5e-7. In double precision errors are near 1e-14.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from archcalc.executor.kernel import Array, padded
from archcalc.executor.memory import empty

BLOCK_BYTES = 1 << 20
"""Bytes of transformed tiles at a time. They stay in the second-level cache."""
# On Zen 4 (L2 1 MiB) the time of VGG-16 and ResNet-50 is the same within 3 percent for 256 KiB, 1 MiB, 2 MiB
# and 4 MiB.

LEAST_TILES = 96
"""Least number of rows in a matrix product, if the map has as many. Each product reads all weights again."""
# VGG-16 takes 225 ms and ResNet-50 96 ms with 16, 202 ms and 89 ms with 96 on one thread of Zen 4. Between 48
# and 384 the differences are within the noise of the measurement.

KERNELS = {
    2: np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]),
    4: np.array(
        [
            [1 / 4, 0, 0],
            [-1 / 6, -1 / 6, -1 / 6],
            [-1 / 6, 1 / 6, -1 / 6],
            [1 / 24, 1 / 12, 1 / 6],
            [1 / 24, -1 / 12, 1 / 6],
            [0, 0, 1],
        ]
    ),
}
"""The matrix G by the size of a tile."""


class Filter(Struct):
    """The weights of a 3x3 convolution, transformed for tiles of m x m outputs: `(n², C, K)`."""

    m: int
    weight: Array

    def scaled(self, scale: Array | float) -> Filter:
        """The filter for weights in which each output channel is multiplied by a number."""
        return Filter(self.m, self.weight * scale) if isinstance(scale, np.ndarray) else self


def transformed(weight: Array, m: int) -> Filter:
    """`G g Gᵀ` of every kernel of weights `(3, 3, C, K)`."""
    g = KERNELS[m]
    both = np.kron(g, g).astype(weight.dtype)
    return Filter(m, (both @ weight.reshape(9, -1)).reshape(len(both), *weight.shape[2:]))


def convolved(x: Array, filter: Filter, ends: Sequence[tuple[int, int]], bias: Array | None) -> Array:
    """A 3x3 convolution of stride 1 over `(batch, H, W, C)`, with `ends` zeros around the map."""
    m, n = filter.m, filter.m + 2
    channels, out_channels = filter.weight.shape[1:]
    height, width = (size + sum(end) - 2 for size, end in zip(x.shape[1:3], ends, strict=True))
    down, across = -(-height // m), -(-width // m)  # tiles; the last ones can extend beyond the map
    room = (m * down - height, m * across - width)
    x = padded(x, [(before, after + more) for (before, after), more in zip(ends, room, strict=True)])
    out = empty((x.shape[0], height, width, out_channels), x.dtype)
    fitting = BLOCK_BYTES // (n * n * max(channels, out_channels) * x.itemsize)
    most = min(down, -(-max(fitting, LEAST_TILES) // across))
    size = across * max(n * (m * most + 2) * channels, n * n * most * max(channels, out_channels))
    one, other = empty((size,), x.dtype), empty((size,), x.dtype)
    for sample in range(x.shape[0]):
        for top in range(0, down, most):
            rows = min(most, down - top)
            tiles = (rows, across)
            # every n-th column of a tile is next to the other, so that sums run over long stretches of memory
            columns = _view(one, n, m * rows + 2, across, channels)
            source = x[sample, m * top : m * (top + rows) + 2]
            for j in range(n):
                np.copyto(columns[j], source[:, j : j + m * (across - 1) + 1 : m])
            halves = _view(other, *columns.shape)
            _apply_b(columns, halves)
            spectra = _view(one, n, n, *tiles, channels)
            _apply_b([halves[:, i : i + m * (rows - 1) + 1 : m] for i in range(n)], spectra)
            products = _view(other, n, n, *tiles, out_channels)
            np.matmul(
                spectra.reshape(n * n, -1, channels),
                filter.weight,
                out=products.reshape(n * n, -1, out_channels),
            )
            halves = _view(one, m, n, *tiles, out_channels)
            _apply_a(products, halves)
            values = _view(other, m, m, *tiles, out_channels)
            _apply_a([halves[:, j] for j in range(n)], values)
            if bias is not None:
                values += bias
            block = out[sample, m * top : m * (top + rows)]
            for j, i in np.ndindex(m, m):
                part = block[i::m, j::m]
                np.copyto(part, values[j, i, : part.shape[0], : part.shape[1]])
    return out


def _view(buffer: Array, *shape: int) -> Array:
    """The beginning of a buffer, in the given shape."""
    return buffer[: int(np.prod(shape))].reshape(shape)


def _apply_b(d: Sequence[Array] | Array, out: Array) -> None:
    """`Bᵀ d` along the first axis, for n = 4 or 6."""
    if len(d) == 4:
        np.subtract(d[0], d[2], out=out[0])
        np.add(d[1], d[2], out=out[1])
        np.subtract(d[2], d[1], out=out[2])
        np.subtract(d[1], d[3], out=out[3])
        return
    t = np.empty_like(out[0])
    np.multiply(d[2], 4, out=t)
    np.subtract(d[4], t, out=t)
    np.multiply(d[1], 4, out=out[2])
    np.subtract(d[3], out[2], out=out[2])
    np.add(t, out[2], out=out[1])  # d4 - 4 d2 + (d3 - 4 d1)
    np.subtract(t, out[2], out=out[2])  # d4 - 4 d2 - (d3 - 4 d1)
    np.subtract(d[4], d[2], out=t)
    np.subtract(d[0], d[2], out=out[0])
    out[0] *= 4
    out[0] += t  # 4 d0 - 5 d2 + d4
    np.subtract(d[3], d[1], out=out[4])
    out[4] *= 2
    np.subtract(d[5], d[3], out=out[5])
    out[5] -= out[4]
    out[5] -= out[4]  # 4 d1 - 5 d3 + d5
    np.add(t, out[4], out=out[3])  # d4 - d2 + 2 (d3 - d1)
    np.subtract(t, out[4], out=out[4])  # d4 - d2 - 2 (d3 - d1)


def _apply_a(d: Sequence[Array] | Array, out: Array) -> None:
    """`Aᵀ d` along the first axis, for n = 4 or 6."""
    if len(d) == 4:
        np.add(d[0], d[1], out=out[0])
        out[0] += d[2]
        np.subtract(d[1], d[2], out=out[1])
        out[1] -= d[3]
        return
    t = np.add(d[3], d[4])
    np.add(d[1], d[2], out=out[2])
    np.add(d[0], out[2], out=out[0])
    out[0] += t  # d0 + d1 + d2 + d3 + d4
    t *= 4
    out[2] += t  # d1 + d2 + 4 (d3 + d4)
    np.subtract(d[3], d[4], out=t)
    t *= 2
    np.subtract(d[1], d[2], out=out[1])
    np.add(out[1], d[5], out=out[3])
    out[1] += t  # d1 - d2 + 2 (d3 - d4)
    t *= 4
    out[3] += t  # d1 - d2 + 8 (d3 - d4) + d5
