"""The slow path of the backward pass: gradients of products tap by tap, with every multiplication counted.

It shares nothing with the backward kernels. As in the forward pass, each tap of a window is laid over the
map. Products with padding are counted, because they are nominal, but not done.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from archcalc.executor.backward.register import Back, Sent, through_computed_weight
from archcalc.executor.kernel import Array, each_axis, pads
from archcalc.layers.base import Layer
from archcalc.layers.conv import Conv, ConvTranspose, Depthwise, Local, Pointwise
from archcalc.layers.deform import DeformConv
from archcalc.layers.linear import FullyConnected
from archcalc.verify.counting import Axis, axes_of
from archcalc.verify.counting_backward_sequences import COUNTED_SEQUENCES

CountedBack = tuple[int, Sent]
"""Nominal multiplications per sample, and the gradients of the inputs and of the arrays."""


class Products:
    """The gradients of one input and of `weight`, if they are needed, and the number of multiplications.

    A product of an input value with a weight in the forward pass is one multiplication for each of the two
    gradients.
    """

    def __init__(self, back: Back) -> None:
        self.x, self.weight, self.g = back.x, back.weights["weight"], back.gradient
        self.of_x = np.zeros(self.x.shape, self.g.dtype) if back.needs.inputs[0] else None
        self.of_weight = np.zeros_like(self.weight) if "weight" in back.needs.trained else None
        self.made = 0

    def multiply(self, x: Any, weight: Any, g: Any, formula: str, products: int) -> None:
        """One step: parts of the input, the weights, and the output, which `formula` multiplies when forward.

        In `formula`, `Q` are the spatial axes, and `P` are these and the samples. `products` is the number of
        nominal multiplications per sample in the forward pass.
        """
        axes = "xyz"[: self.x.ndim - 2]
        formula = formula.replace("P", f"b{axes}").replace("Q", axes)
        operands, into = formula.split("->")
        first, second = operands.split(",")
        if self.of_x is not None:
            self.made += products
            self.of_x[x] += _sum(f"{into},{second}->{first}", self.g[g], self.weight[weight])
        if self.of_weight is not None:
            self.made += products
            self.of_weight[weight] += _sum(f"{first},{into}->{second}", self.x[x], self.g[g])

    def result(self, back: Back) -> CountedBack:
        arrays = {} if self.of_weight is None else {"weight": self.of_weight}
        if "bias" in back.needs.trained:
            arrays["bias"] = _of_bias(self.g)
        return self.made, ([self.of_x], arrays)


def _sum(formula: str, one: Array, other: Array) -> Array:
    """A sum of products as in `np.einsum`, in the order with the fewest steps."""
    out: Array = np.einsum(formula, one, other, optimize=True)
    return out


def _of_bias(gradient: Array) -> Array:
    """The sum over samples and places, one after the other."""
    total = np.zeros(gradient.shape[-1], gradient.dtype)
    for place in np.ndindex(*gradient.shape[:-1]):
        total += gradient[place]
    return total


def _taps(axes: list[Axis]) -> Any:
    """Each tap, the part of the map that it covers, and the places of the window where it does."""
    for tap in product(*(range(len(axis.taps)) for axis in axes)):
        to, at = zip(*(axis.taps[t] for axis, t in zip(axes, tap, strict=True)), strict=True)
        yield tap, (slice(None), *at), (slice(None), *to)


def _window(layer: Conv | Pointwise | Depthwise | Local, back: Back) -> tuple[list[Axis], int]:
    """The axes of a window, and the number of its places."""
    arguments = [getattr(layer, name, 1) for name in ("kernel_size", "stride", "padding", "dilation")]
    if isinstance(layer, Pointwise):
        arguments[2] = 0
    axes = axes_of(back.x, *arguments)
    return axes, math.prod(len(axis.places) for axis in axes)


def _conv(layer: Conv | Pointwise, back: Back) -> CountedBack:
    total = Products(back)
    axes, places = _window(layer, back)
    weight = back.weights["weight"]
    groups, connections = getattr(layer, "groups", 1), getattr(layer, "connections", None)
    for tap, at, to in _taps(axes):
        if connections is not None:
            pairs = [(source, target) for target, row in enumerate(connections) for source in row]
            for number, (source, target) in enumerate(pairs):
                one = slice(number, number + 1)
                total.multiply(
                    (*at, slice(source, source + 1)), (*tap, one), (*to, target), "Pi,i->P", places
                )
            continue
        size_in, size_out = weight.shape[-2], weight.shape[-1] // groups
        for group in range(groups):
            sources = slice(group * size_in, (group + 1) * size_in)
            targets = slice(group * size_out, (group + 1) * size_out)
            products = places * size_in * size_out
            whole = (*tap, slice(None), targets)
            total.multiply((*at, sources), whole, (*to, targets), "Pi,io->Po", products)
    return total.result(back)


def _depthwise(layer: Depthwise, back: Back) -> CountedBack:
    total = Products(back)
    axes, places = _window(layer, back)
    for tap, at, to in _taps(axes):
        for number in range(layer.multiplier):  # output channel c reads input channel c // multiplier
            every = slice(number, None, layer.multiplier)
            products = places * back.x.shape[-1]
            total.multiply((*at, slice(None)), (*tap, every), (*to, every), "Pi,i->Pi", products)
    return total.result(back)


def _local(layer: Local, back: Back) -> CountedBack:
    total = Products(back)
    axes, places = _window(layer, back)
    for tap, at, to in _taps(axes):
        there = (*tap, slice(None), slice(None), *to[1:])
        products = places * back.x.shape[-1] * layer.out_channels
        total.multiply(at, there, to, "bQi,ioQ->bQo", products)
    made, (inputs, arrays) = total.result(back)
    if layer.bias and "bias" in back.needs.trained:
        arrays = {**arrays, "bias": np.moveaxis(np.add.reduce(back.gradient), -1, 0)}
    return made, (inputs, arrays)


def _fc(layer: FullyConnected, back: Back) -> CountedBack:
    total = Products(back)
    total.multiply(..., ..., ..., "bi,io->bo", back.weights["weight"].size)
    return total.result(back)


def _conv_transpose(layer: ConvTranspose, back: Back) -> CountedBack:
    """Each input place collects from the outputs that it was spread over, if these were not cut off."""
    total = Products(back)
    x, sizes = back.x, back.gradient.shape[1:-1]
    rank, inputs = x.ndim - 2, x.shape[1:-1]
    k, s, d = (each_axis(value, rank) for value in (layer.kernel_size, layer.stride, layer.dilation))
    if layer.padding == "same":
        reached = [(n - 1) * s_ + d_ * (k_ - 1) + 1 for n, s_, d_, k_ in zip(inputs, s, d, k, strict=True)]
        cut = [max(m - size, 0) // 2 for m, size in zip(reached, sizes, strict=True)]
    else:
        cut = [p[0] if isinstance(p, tuple) else p for p in each_axis(layer.padding, rank)]
    size_in, size_out = x.shape[-1] // layer.groups, layer.out_channels // layer.groups
    for tap in np.ndindex(*k):
        at, to = [], []
        for t, n, m, s_, d_, p in zip(tap, inputs, sizes, s, d, cut, strict=True):
            sources = [i for i in range(n) if 0 <= i * s_ + t * d_ - p < m]
            at.append(sources)
            to.append([i * s_ + t * d_ - p for i in sources])
        for group in range(layer.groups):
            channels = range(group * size_in, (group + 1) * size_in)
            targets = range(group * size_out, (group + 1) * size_out)
            samples = range(len(x))
            total.multiply(
                np.ix_(samples, *at, channels),
                (*tap, slice(channels.start, channels.stop)),
                np.ix_(samples, *to, targets),
                "Pi,io->Po",
                math.prod(inputs) * size_in * size_out,
            )
    return total.result(back)


def _deform_conv(layer: DeformConv, back: Back) -> CountedBack:
    """Place by place, from all values of the map at a distance of less than 1 from a moved tap."""
    x, offset, weight, g = back.x, back.inputs[1], back.weights["weight"], back.gradient
    taps = list(np.ndindex(weight.shape[:2]))
    size_in, size_out = weight.shape[2], weight.shape[3] // layer.groups
    moving = offset.shape[-1] // (2 * len(taps))
    together = x.shape[-1] // moving
    k, s, d = (each_axis(value, 2) for value in (layer.kernel_size, layer.stride, layer.dilation))
    ends = pads(layer.padding, x.shape[1:-1], k, s, d)
    of_inputs = [np.zeros(read.shape, g.dtype) for read in back.inputs]
    of_weight = np.zeros_like(weight)
    made = 0
    for sample, row, column in np.ndindex(offset.shape[:3]):
        place = (sample, row, column)
        for (number, tap), channel in product(enumerate(taps), range(x.shape[-1])):
            mask_at = channel // together * len(taps) + number
            offset_at = 2 * mask_at
            y = row * s[0] - ends[0][0] + tap[0] * d[0] + offset[(*place, offset_at)]
            z = column * s[1] - ends[1][0] + tap[1] * d[1] + offset[(*place, offset_at + 1)]
            mask = back.inputs[2][(*place, mask_at)] if layer.mask is not None else 1.0
            group, source = divmod(channel, size_in)
            targets = slice(group * size_out, (group + 1) * size_out)
            weights, coming = weight[tap][source, targets], g[place][targets]
            read = down = right = 0.0
            wanted = 0.0
            if back.needs.any_input:
                made += size_out if sample == 0 else 0
                wanted = float((weights * coming).sum())
            for r, c in product(
                range(math.floor(y), math.floor(y) + 2), range(math.floor(z), math.floor(z) + 2)
            ):
                if not (0 <= r < x.shape[1] and 0 <= c < x.shape[2]):
                    continue
                near_y, near_z = 1 - abs(y - r), 1 - abs(z - c)
                value = x[sample, r, c, channel]
                read += value * near_y * near_z
                down += value * near_z * (1 if r > y else -1)
                right += value * near_y * (1 if c > z else -1)
                of_inputs[0][sample, r, c, channel] += wanted * mask * near_y * near_z
            of_inputs[1][(*place, offset_at)] += wanted * mask * down
            of_inputs[1][(*place, offset_at + 1)] += wanted * mask * right
            if layer.mask is not None:
                of_inputs[2][(*place, mask_at)] += wanted * read
            if "weight" in back.needs.trained:
                made += size_out if sample == 0 else 0
                of_weight[tap][source, targets] += read * mask * coming
    arrays = {"weight": of_weight} if "weight" in back.needs.trained else {}
    if "bias" in back.needs.trained:
        arrays["bias"] = _of_bias(g)
    needed = zip(of_inputs, back.needs.inputs, strict=True)
    return made, ([array if wanted else None for array, wanted in needed], arrays)


COUNTED_BACKWARD: dict[type[Layer], Callable[[Any, Back], CountedBack]] = {
    Conv: _conv,
    Pointwise: _conv,
    Depthwise: _depthwise,
    Local: _local,
    FullyConnected: _fc,
    ConvTranspose: _conv_transpose,
    DeformConv: _deform_conv,
    **COUNTED_SEQUENCES,
}
"""The kinds that count MACs, with the slow paths of their backward passes."""


def count_backward(layer: Layer, back: Back) -> CountedBack:
    """The multiplications of a layer's backward pass for one sample, and the resulting gradients."""
    made = 0

    def counted(layer: Layer, back: Back) -> Sent:
        nonlocal made
        made, sent = COUNTED_BACKWARD[type(layer)](layer, back)
        return sent

    sent = through_computed_weight(counted, layer, back)
    return made, sent
