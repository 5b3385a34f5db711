"""Backward pass of the deformable convolution."""

from __future__ import annotations

from itertools import product

import numpy as np

from archcalc.executor.backward.register import Back, Sent, backward
from archcalc.executor.kernel import Array, each_axis, pads
from archcalc.layers.deform import DeformConv


class Corners:
    """The four values of a map around each place, and their interpolation weights."""

    def __init__(self, x: Array, rows: Array, columns: Array) -> None:
        self.height, self.width = x.shape[1:3]
        unknown = np.isnan(rows) | np.isnan(columns)
        rows = np.clip(np.where(unknown, 0, rows), -2, self.height + 1)  # beyond the map all places are equal
        columns = np.clip(np.where(unknown, 0, columns), -2, self.width + 1)
        self.top, self.left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
        self.down, self.right = (
            np.where(unknown, np.nan, share)[..., None].astype(x.dtype)
            for share in (rows - self.top, columns - self.left)
        )

    def _at(self, row: int, column: int) -> tuple[Array, Array, Array, Array]:
        """A corner of each place: sample, row, and column, moved onto the map, and whether it was on it."""
        rows, columns = self.top + row, self.left + column
        inside = (rows >= 0) & (rows < self.height) & (columns >= 0) & (columns < self.width)
        samples = np.broadcast_to(np.arange(len(rows))[:, None, None], rows.shape)
        return samples, np.clip(rows, 0, self.height - 1), np.clip(columns, 0, self.width - 1), inside

    def values(self, x: Array) -> dict[tuple[int, int], Array]:
        found = {}
        for corner in product((0, 1), (0, 1)):
            *at, inside = self._at(*corner)
            found[corner] = np.where(inside[..., None], x[tuple(at)], 0)
        return found

    def share(self, row: int, column: int) -> Array:
        share: Array = (self.down if row else 1 - self.down) * (self.right if column else 1 - self.right)
        return share

    def read(self, x: Array) -> Array:
        """The value that is read at each place."""
        total = np.zeros((*self.top.shape, x.shape[-1]), x.dtype)
        for corner, value in self.values(x).items():
            total += value * self.share(*corner)
        return total

    def slopes(self, x: Array) -> tuple[Array, Array]:
        """The slopes down and right. On a value of the map, the slopes to the next one, as in torchvision."""
        v = self.values(x)
        down = (v[1, 0] - v[0, 0]) * (1 - self.right) + (v[1, 1] - v[0, 1]) * self.right
        right = (v[0, 1] - v[0, 0]) * (1 - self.down) + (v[1, 1] - v[1, 0]) * self.down
        return down, right

    def add_to(self, total: Array, gradient: Array) -> None:
        """Add the gradient of the values that were read to that of the map."""
        for corner in product((0, 1), (0, 1)):
            *at, inside = self._at(*corner)
            np.add.at(total, tuple(at), np.where(inside[..., None], gradient * self.share(*corner), 0))


@backward(DeformConv)
def deform_conv(layer: DeformConv, back: Back) -> Sent:
    """Works tap by tap. `DeformConv.backward` has the formulas."""
    g, x, offset, weight = back.gradient, back.x, back.inputs[1], back.weights["weight"]
    of_map, of_offset, of_mask = (*back.needs.inputs, False)[:3]
    kernel_size, stride, dilation = weight.shape[:2], each_axis(layer.stride, 2), each_axis(layer.dilation, 2)
    ends = pads(layer.padding, x.shape[1:3], kernel_size, stride, dilation)
    batch, rows, columns, _ = offset.shape
    taps = kernel_size[0] * kernel_size[1]
    groups = offset.shape[-1] // (2 * taps)
    moved = offset.reshape(batch, rows, columns, groups, taps, 2)
    masks = back.inputs[2].reshape(*moved.shape[:-1]) if layer.mask is not None else None
    sent = [np.zeros(x.shape, g.dtype), np.zeros(moved.shape, g.dtype), np.zeros(moved.shape[:-1], g.dtype)]
    arrays = {"weight": np.zeros_like(weight)} if "weight" in back.needs.trained else {}
    size = x.shape[-1] // groups
    for number, tap in enumerate(np.ndindex(*kernel_size)):
        axes = zip((rows, columns), stride, tap, dilation, ends, strict=True)
        y, z = (np.arange(n, dtype=x.dtype) * s + (t * d - before) for n, s, t, d, (before, _) in axes)
        coming = _through(g, weight[tap], layer.groups)
        for group in range(groups):
            channels = slice(group * size, (group + 1) * size)
            place = (slice(None), slice(None), slice(None), group, number)
            at = moved[place]
            corners = Corners(x, y[:, None] + at[..., 0], z + at[..., 1])
            mask = masks[place][..., None] if masks is not None else x.dtype.type(1)
            gradient, part = coming[..., channels], x[..., channels]
            masked = gradient * mask
            read = corners.read(part) if of_mask or arrays else part
            if of_mask:
                sent[2][place] = (gradient * read).sum(axis=-1)
            if of_map:
                corners.add_to(sent[0][..., channels], masked)
            if of_offset:
                sent[1][place] = np.stack([(masked * s).sum(axis=-1) for s in corners.slopes(part)], -1)
            if arrays:
                _of_weights(arrays["weight"][tap], read * mask, g, channels.start, layer.groups)
    if "bias" in back.needs.trained:
        arrays["bias"] = g.sum(axis=(0, 1, 2))
    found = [array.reshape(read.shape) for array, read in zip(sent, back.inputs, strict=False)]
    needed = zip(found, back.needs.inputs, strict=True)
    return [array if wanted else None for array, wanted in needed], arrays


def _through(gradient: Array, weight: Array, groups: int) -> Array:
    """The gradient of the values that were read, for all input channels, from that of the output."""
    parts = zip(np.split(gradient, groups, axis=-1), np.split(weight, groups, axis=-1), strict=True)
    return np.concatenate([part @ columns.T for part, columns in parts], axis=-1)


def _of_weights(total: Array, met: Array, gradient: Array, first: int, groups: int) -> None:
    """Add the weight gradients of one tap, for some input channels, from the number `first` on."""
    size_in, size_out = total.shape[0], total.shape[1] // groups
    for channel in range(met.shape[-1]):
        group, row = divmod(first + channel, size_in)
        outputs = slice(group * size_out, (group + 1) * size_out)
        total[row, outputs] += np.tensordot(met[..., channel], gradient[..., outputs], 3)
