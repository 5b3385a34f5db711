"""Kernel of the deformable convolution."""

from __future__ import annotations

import numpy as np

from archcalc.executor.kernel import Array, Call, each_axis, kernel, pads
from archcalc.layers.deform import DeformConv


@kernel(DeformConv)
def deform_conv(layer: DeformConv, call: Call) -> Array:
    """For each tap, reads the map at the places of the tap plus their offsets, and multiplies by the weights.

    `call.inputs` are the map, the offsets, and the masks if there are any. Channels of offsets are ordered by
    group, tap, and axis.
    """
    x, offset, weight = call.x, call.inputs[1], call.weights["weight"]
    kernel_size, (size_in, out_channels) = weight.shape[:2], weight.shape[2:]
    stride, dilation = each_axis(layer.stride, 2), each_axis(layer.dilation, 2)
    ends = pads(layer.padding, x.shape[1:3], kernel_size, stride, dilation)
    batch, rows, columns, _ = offset.shape
    taps = kernel_size[0] * kernel_size[1]
    groups = offset.shape[-1] // (2 * taps)
    moved = offset.reshape(batch, rows, columns, groups, taps, 2)
    masks = call.inputs[2].reshape(batch, rows, columns, groups, taps) if layer.mask is not None else None
    size_out = out_channels // layer.groups
    out = np.zeros((batch, rows, columns, out_channels), x.dtype)
    for number, tap in enumerate(np.ndindex(kernel_size)):
        axes = zip((rows, columns), stride, tap, dilation, ends, strict=True)
        y, z = (np.arange(n, dtype=x.dtype) * s + (t * d - before) for n, s, t, d, (before, _) in axes)
        parts = []
        for group, part in enumerate(np.split(x, groups, axis=-1)):
            at = moved[:, :, :, group, number]
            read = sampled(part, y[:, None] + at[..., 0], z + at[..., 1])
            parts.append(read if masks is None else read * masks[:, :, :, group, number, None])
        read = np.concatenate(parts, axis=-1)
        for group in range(layer.groups):
            inputs = read[..., group * size_in : (group + 1) * size_in]
            outputs = slice(group * size_out, (group + 1) * size_out)
            out[..., outputs] += inputs @ weight[tap][:, outputs]
    if layer.bias:
        out += call.weights["bias"]
    return out


def sampled(x: Array, rows: Array, columns: Array) -> Array:
    """The map between its values, interpolated from the four values around each place. Zeros surround it.

    A place that is NaN gives NaN.
    """
    height, width = x.shape[1:3]
    unknown = np.isnan(rows) | np.isnan(columns)
    # a place far outside is clipped to just outside, which fits into a whole number
    rows = np.clip(np.where(unknown, 0, rows), -2, height + 1)
    columns = np.clip(np.where(unknown, 0, columns), -2, width + 1)
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    down, right = rows - top, columns - left
    samples = np.arange(len(x))[:, None, None]
    out = np.zeros((*rows.shape, x.shape[-1]), x.dtype)
    for row, of_row in ((top, 1 - down), (top + 1, down)):
        for column, of_column in ((left, 1 - right), (left + 1, right)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            read = x[samples, np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
            out += np.where(inside[..., None], read * (of_row * of_column)[..., None], 0)
    out[unknown] = np.nan
    return out
