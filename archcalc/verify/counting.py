"""The slow path: convolutions tap by tap, with every multiplication counted.

It shares nothing with the kernels or the shape rules. Each tap of a window is laid over the map. Where it is
inside, it multiplies. Where it is on padding, its nominal multiplications by zero are counted but not done.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from archcalc.executor.kernel import Array, Call, each_axis, pads
from archcalc.layers.attention import Attention, MatMul
from archcalc.layers.base import Layer
from archcalc.layers.conv import Conv, ConvTranspose, Depthwise, Local, Pointwise
from archcalc.layers.deform import DeformConv
from archcalc.layers.linear import FullyConnected
from archcalc.verify.recurrent import STEPS, count_recurrent

Counted = tuple[int, int, Array]
"""Nominal multiplications, those that do not involve padding (both per sample), and the result."""


class Axis:
    """A window along one axis: for each tap, the places where it is inside the map, and what it reads."""

    def __init__(self, n: int, k: int, s: int, d: int, before: int, after: int) -> None:
        self.places = [p for p in range(0, n + before + after, s) if p + d * (k - 1) < n + before + after]
        self.taps: list[tuple[slice, slice]] = []
        for tap in range(k):
            inside = [i for i, p in enumerate(self.places) if 0 <= p + tap * d - before < n]
            if inside:
                first = self.places[inside[0]] + tap * d - before
                out = slice(inside[0], inside[-1] + 1)
                self.taps.append((out, slice(first, first + (len(inside) - 1) * s + 1, s)))
            else:
                self.taps.append((slice(0, 0), slice(0, 0)))


def axes_of(x: Array, kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> list[Axis]:
    rank = x.ndim - 2
    k, s, d = (each_axis(value, rank) for value in (kernel_size, stride, dilation))
    ends = pads(padding, x.shape[1:-1], k, s, d)
    return [
        Axis(n, k_, s_, d_, before, after)
        for n, k_, s_, d_, (before, after) in zip(x.shape[1:-1], k, s, d, ends, strict=True)
    ]


Multiply = Callable[[Array, tuple[int, ...]], tuple[Array, int]]


def _slide(x: Array, axes: list[Axis], out_channels: int, multiply: Multiply) -> Counted:
    """The sum over the taps of `multiply`, applied to the part of the map under each tap."""
    places = tuple(len(axis.places) for axis in axes)
    out = np.zeros((x.shape[0], *places, out_channels), x.dtype)
    nominal = inside = 0
    for tap in product(*(range(len(axis.taps)) for axis in axes)):
        to, at = zip(*(axis.taps[t] for axis, t in zip(axes, tap, strict=True)), strict=True)
        part = x[(slice(None), *at)]
        result, each = multiply(part, tap)
        out[(slice(None), *to)] += result
        nominal += int(np.prod(places)) * each
        inside += int(np.prod(part.shape[1:-1])) * each
    return nominal, inside, out


def _dense(x: Array, weight: Array, axes: list[Axis]) -> Counted:
    def multiply(part: Array, tap: tuple[int, ...]) -> tuple[Array, int]:
        return part @ weight[tap], weight[tap].size

    return _slide(x, axes, weight.shape[-1], multiply)


def _conv(layer: Conv, call: Call) -> Counted:
    x, weight = call.x, call.weights["weight"]
    axes = axes_of(x, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    parts: list[tuple[Array, Array]] = []
    if layer.connections is not None:
        at = 0
        for row in layer.connections:
            parts.append((x[..., list(row)], weight[..., at : at + len(row), None]))
            at += len(row)
    else:
        size_in, size_out = weight.shape[-2], weight.shape[-1] // layer.groups
        for g in range(layer.groups):
            columns = weight[..., g * size_out : (g + 1) * size_out]
            parts.append((x[..., g * size_in : (g + 1) * size_in], columns))
    counts = [_dense(part, columns, axes) for part, columns in parts]
    return _joined(counts, call, layer.bias)


def _pointwise(layer: Pointwise, call: Call) -> Counted:
    return _joined([_dense(call.x, call.weights["weight"], axes_of(call.x, 1, 1, 0, 1))], call, layer.bias)


def _depthwise(layer: Depthwise, call: Call) -> Counted:
    x, weight = np.repeat(call.x, layer.multiplier, axis=-1), call.weights["weight"]

    def multiply(part: Array, tap: tuple[int, ...]) -> tuple[Array, int]:
        return part * weight[tap], weight[tap].size

    axes = axes_of(x, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    return _joined([_slide(x, axes, x.shape[-1], multiply)], call, layer.bias)


def _local(layer: Local, call: Call) -> Counted:
    x = call.x
    rank = x.ndim - 2
    axes = axes_of(x, layer.kernel_size, layer.stride, layer.padding, 1)
    weight = np.moveaxis(call.weights["weight"], (rank, rank + 1), (-2, -1))

    def multiply(part: Array, tap: tuple[int, ...]) -> tuple[Array, int]:
        to = tuple(axis.taps[t][0] for axis, t in zip(axes, tap, strict=True))
        there = weight[tap][to]
        return np.einsum("b...i,...io->b...o", part, there), there.shape[-1] * there.shape[-2]

    nominal, inside, out = _slide(x, axes, layer.out_channels, multiply)
    if layer.bias:
        out = out + np.moveaxis(call.weights["bias"], 0, -1)
    return nominal, inside, out


def _fc(layer: FullyConnected, call: Call) -> Counted:
    weight = call.weights["weight"]
    return _joined([(weight.size, weight.size, np.einsum("bi,io->bo", call.x, weight))], call, layer.bias)


def _conv_transpose(layer: ConvTranspose, call: Call) -> Counted:
    """Each output collects from the inputs that reach it, which is the transpose of the kernel's method."""
    x, weight = call.x, call.weights["weight"]
    rank = x.ndim - 2
    k, s, d = (each_axis(v, rank) for v in (layer.kernel_size, layer.stride, layer.dilation))
    reached = [(n - 1) * s_ + d_ * (k_ - 1) + 1 for n, s_, d_, k_ in zip(x.shape[1:-1], s, d, k, strict=True)]
    if layer.padding == "same":
        sizes = [n * s_ for n, s_ in zip(x.shape[1:-1], s, strict=True)]
        p = [(m - size) // 2 if m > size else 0 for m, size in zip(reached, sizes, strict=True)]
    else:
        padding, extra = (list(each_axis(v, rank)) for v in (layer.padding, layer.output_padding))
        ends = [each if isinstance(each, tuple) else (each, each) for each in padding]
        p = [before for before, _ in ends]
        sizes = [m - before - after + e for m, (before, after), e in zip(reached, ends, extra, strict=True)]
    out = np.zeros((x.shape[0], *sizes, layer.out_channels), x.dtype)
    groups = layer.groups
    size_in, size_out = x.shape[-1] // groups, layer.out_channels // groups
    nominal = inside = 0
    for tap in product(*(range(k_) for k_ in k)):
        to, at = [], []
        for t, n, m, s_, d_, p_ in zip(tap, x.shape[1:-1], sizes, s, d, p, strict=True):
            sources = [i for i in range(n) if 0 <= i * s_ + t * d_ - p_ < m]
            at.append(slice(sources[0], sources[-1] + 1) if sources else slice(0, 0))
            first = sources[0] * s_ + t * d_ - p_ if sources else 0
            to.append(slice(first, first + (len(sources) - 1) * s_ + 1, s_) if sources else slice(0, 0))
        part = x[(slice(None), *at)]
        nominal += int(np.prod(x.shape[1:-1])) * weight[tap].size
        inside += int(np.prod(part.shape[1:-1])) * weight[tap].size
        for g in range(groups):
            rows = slice(g * size_in, (g + 1) * size_in)
            columns = slice(g * size_out, (g + 1) * size_out)
            out[(slice(None), *to, columns)] += part[..., rows] @ weight[tap][rows]
    return _joined([(nominal, inside, out)], call, layer.bias)


def _matmul(layer: MatMul, call: Call) -> Counted:
    """A matrix of products for each place along the summed axis."""
    first, second = (np.moveaxis(x, -1, 1) for x in call.inputs)
    out, made = matrix_product(first, second)
    return made, made, np.moveaxis(out, 1, -1)


def matrix_product(first: Array, second: Array) -> tuple[Array, int]:
    out: Array | None = None
    made = 0
    for i in range(first.shape[-1]):
        products = first[..., :, i, None] * second[..., i, None, :]
        made += products[0].size
        out = products if out is None else out + products
    assert out is not None
    return out, made


def _attention(layer: Attention, call: Call) -> Counted:
    """Head by head, by the formulas of the paper."""
    tokens, memory = (x.reshape(x.shape[0], -1, x.shape[-1]) for x in (call.inputs[0], call.inputs[-1]))
    made, heads = 0, []
    for head in range(layer.num_heads):
        projected = []
        for source, name in ((tokens, "query"), (memory, "key"), (memory, "value")):
            size = call.weights[name].shape[1] // layer.num_heads
            own = slice(head * size, (head + 1) * size)
            result, count = matrix_product(source, call.weights[name][None, :, own])
            projected.append(result + (call.weights[f"{name}_bias"][own] if layer.bias else 0))
            made += count
        query, key, value = projected
        scores, count = matrix_product(query, np.swapaxes(key, 1, 2))
        made += count
        scores = scores / np.sqrt(query.shape[-1])
        if layer.is_causal:
            scores = np.where(np.tri(scores.shape[1], dtype=bool), scores, -np.inf)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        looked_up, count = matrix_product(shares / shares.sum(axis=-1, keepdims=True), value)
        made += count
        heads.append(looked_up)
    out, count = matrix_product(np.concatenate(heads, axis=-1), call.weights["output"][None])
    if layer.bias:
        out = out + call.weights["output_bias"]
    return made + count, made + count, out.reshape(call.inputs[0].shape)


def _deform_conv(layer: DeformConv, call: Call) -> Counted:
    """Place by place, each tap with the values at a distance of less than 1 from its moved position."""
    x, offset, weight = call.x, call.inputs[1], call.weights["weight"]
    taps = list(np.ndindex(weight.shape[:2]))
    of_group, of_weights = weight.shape[2], weight.shape[3] // layer.groups
    moving = offset.shape[-1] // (2 * len(taps))  # groups of channels that move together
    k, s, d = (each_axis(value, 2) for value in (layer.kernel_size, layer.stride, layer.dilation))
    ends = pads(layer.padding, x.shape[1:-1], k, s, d)
    out = np.zeros((*offset.shape[:3], weight.shape[3]), x.dtype)
    nominal = inside = 0
    for sample, row, column in np.ndindex(offset.shape[:3]):
        start = (row * s[0] - ends[0][0], column * s[1] - ends[1][0])
        for number, tap in enumerate(taps):
            read = np.zeros(x.shape[-1], x.dtype)
            for group in range(moving):
                channels = slice(group * x.shape[-1] // moving, (group + 1) * x.shape[-1] // moving)
                at = 2 * (group * len(taps) + number)
                down, right = offset[sample, row, column, at : at + 2]
                y, x_ = start[0] + tap[0] * d[0] + float(down), start[1] + tap[1] * d[1] + float(right)
                part, on_map = _between(x[sample, :, :, channels], y, x_)
                if layer.mask is not None:
                    part = part * call.inputs[2][sample, row, column, at // 2]
                read[channels] = part
                products = part.size * of_weights
                nominal += products if sample == 0 else 0
                inside += products if sample == 0 and on_map else 0
            for group in range(layer.groups):
                outputs = slice(group * of_weights, (group + 1) * of_weights)
                inputs = read[group * of_group : (group + 1) * of_group]
                out[sample, row, column, outputs] += inputs @ weight[tap][:, outputs]
    return _joined([(nominal, inside, out)], call, layer.bias)


def _between(x: Array, y: float, x_: float) -> tuple[Array, bool]:
    """The channels of a map between its values, and whether any value is at a distance of less than 1."""
    total = np.zeros(x.shape[-1], x.dtype)
    if math.isnan(y) or math.isnan(x_):
        return total + np.nan, True
    if not (-1 < y < x.shape[0] and -1 < x_ < x.shape[1]):
        return total, False
    top, left = math.floor(y), math.floor(x_)
    for row, column in product((top, top + 1), (left, left + 1)):
        if 0 <= row < x.shape[0] and 0 <= column < x.shape[1]:
            share = (1 - abs(y - row)) * (1 - abs(x_ - column))
            total = total + x[row, column] * x.dtype.type(share)
    return total, True


def _joined(parts: list[Counted], call: Call, bias: bool) -> Counted:
    out = np.concatenate([part[2] for part in parts], axis=-1)
    if bias:
        out = out + call.weights["bias"]
    return sum(part[0] for part in parts), sum(part[1] for part in parts), out


COUNTED: dict[type[Layer], Callable[[Any, Call], Counted]] = {
    Conv: _conv,
    Pointwise: _pointwise,
    Depthwise: _depthwise,
    Local: _local,
    FullyConnected: _fc,
    ConvTranspose: _conv_transpose,
    MatMul: _matmul,
    Attention: _attention,
    **dict.fromkeys(STEPS, count_recurrent),
    DeformConv: _deform_conv,
}
"""The kinds that count MACs, with their slow paths."""


def count_multiplications(layer: Layer, call: Call) -> Counted:
    """The multiplications of a layer for one sample, in total and without padding, and the result."""
    return COUNTED[type(layer)](layer, call)
