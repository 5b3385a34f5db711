"""Backward passes of the convolutions, tap by tap of the kernel.

The gradient of the input is the gradient of the output, spread over the map with the same weights. The
gradient of a weight is the product of its inputs with the gradients of their outputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archcalc.executor.backward.pool import Places
from archcalc.executor.backward.register import Back, Sent, backward
from archcalc.executor.conv import kept_of
from archcalc.executor.kernel import Array, each_axis
from archcalc.layers.conv import Conv, ConvTranspose, Depthwise, Local, Pointwise


def _in_groups(array: Array, groups: int) -> Array:
    """Splits the last axis into groups."""
    return array.reshape(*array.shape[:-1], groups, array.shape[-1] // groups)


def _slide(layer: Conv | Depthwise | Pointwise, back: Back, weight: Array) -> Sent:
    """For weights `(*kernel, groups, C_in/groups, C_out/groups)`."""
    g, x = back.gradient, back.x
    groups = weight.shape[-3]
    arguments = [getattr(layer, name, 1) for name in ("kernel_size", "stride", "dilation")]
    kernel_size, stride, dilation = arguments
    places = Places(x, g.shape[1:-1], kernel_size, stride, getattr(layer, "padding", 0), dilation)
    outgoing = _in_groups(g.reshape(-1, g.shape[-1]), groups).transpose(1, 0, 2)  # group, place, channel
    trained = "weight" in back.needs.trained
    around = of_around = np.empty(0)
    if trained:
        around = places.padded(len(x), x.shape[-1], x.dtype)
        places.inner(around)[...] = x
    if back.any_input:
        of_around = places.padded(len(x), x.shape[-1], g.dtype)
    of_weight = np.zeros(weight.shape, g.dtype)
    for tap, place in zip(np.ndindex(*places.kernel_size), places, strict=True):
        if trained:
            met = around[place].reshape(-1, x.shape[-1])
            met = _in_groups(met, groups).transpose(1, 2, 0)  # group, channel, place
            of_weight[tap] = met @ outgoing
        if back.any_input:
            back_through = outgoing @ np.swapaxes(weight[tap], -1, -2)
            of_around[place] += back_through.transpose(1, 0, 2).reshape(*g.shape[:-1], x.shape[-1])
    arrays = {}
    if trained:
        arrays["weight"] = of_weight
    if "bias" in back.needs.trained:
        arrays["bias"] = g.sum(axis=tuple(range(g.ndim - 1)))
    return [np.ascontiguousarray(places.inner(of_around)) if back.any_input else None], arrays


@backward(Conv, Pointwise)
def conv(layer: Conv | Pointwise, back: Back) -> Sent:
    weight = back.weights["weight"]
    if isinstance(layer, Conv) and layer.connections is not None:
        return _connected(layer, layer.connections, back)
    groups = getattr(layer, "groups", 1)
    by_group = np.moveaxis(_in_groups(weight, groups), -2, -3)
    inputs, arrays = _slide(layer, back, by_group)
    if "weight" in arrays:
        arrays = {**arrays, "weight": np.moveaxis(arrays["weight"], -3, -2).reshape(weight.shape)}
    return inputs, arrays


def _connected(layer: Conv, connections: Sequence[Sequence[int]], back: Back) -> Sent:
    """Treated as a dense convolution, with zeros for pairs of channels that are not connected."""
    weight = back.weights["weight"]
    sources = [source for row in connections for source in row]
    targets = [target for target, row in enumerate(connections) for _ in row]
    full = np.zeros((*weight.shape[:-1], 1, back.x.shape[-1], len(connections)), weight.dtype)
    full[..., 0, sources, targets] = weight
    inputs, arrays = _slide(layer, back, full)
    if "weight" in arrays:
        arrays = {**arrays, "weight": arrays["weight"][..., 0, sources, targets]}
    return inputs, arrays


@backward(Depthwise)
def depthwise(layer: Depthwise, back: Back) -> Sent:
    """One group for each input channel, with `multiplier` output channels."""
    weight = back.weights["weight"]
    by_group = _in_groups(weight, back.x.shape[-1])[..., None, :]
    inputs, arrays = _slide(layer, back, by_group)
    if "weight" in arrays:
        arrays = {**arrays, "weight": arrays["weight"].reshape(weight.shape)}
    return inputs, arrays


@backward(Local)
def local(layer: Local, back: Back) -> Sent:
    """Each place has its own weights `(*kernel, C_in, C_out, *places)`."""
    g, x, weight = back.gradient, back.x, back.weights["weight"]
    places = Places(x, g.shape[1:-1], layer.kernel_size, layer.stride, layer.padding, 1)
    trained = "weight" in back.needs.trained
    around = places.padded(len(x), x.shape[-1], x.dtype)
    places.inner(around)[...] = x
    of_around = places.padded(len(x), x.shape[-1], g.dtype)
    arrays = {"weight": np.zeros_like(weight)} if trained else {}
    for tap, place in zip(np.ndindex(*places.kernel_size), places, strict=True):
        if trained:
            arrays["weight"][tap] = np.einsum("b...i,b...o->io...", around[place], g)
        if back.any_input:
            of_around[place] += np.einsum("b...o,io...->b...i", g, weight[tap])
    if "bias" in back.needs.trained:
        arrays["bias"] = np.moveaxis(g.sum(axis=0), -1, 0)
    return [np.ascontiguousarray(places.inner(of_around)) if back.any_input else None], arrays


@backward(ConvTranspose)
def conv_transpose(layer: ConvTranspose, back: Back) -> Sent:
    """Each input collects the gradients of the outputs that it was spread over.

    Weights are `(*kernel, C_in, C_out/groups)`.
    """
    g, x, weight = back.gradient, back.x, back.weights["weight"]
    sizes, rank, groups = x.shape[1:-1], x.ndim - 2, layer.groups
    kernel_size, stride, dilation = (
        each_axis(value, rank) for value in (layer.kernel_size, layer.stride, layer.dilation)
    )
    axes = zip(sizes, stride, dilation, kernel_size, strict=True)
    spread = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in axes]
    kept = kept_of(layer, sizes, spread, stride)
    full = [max(m, end) for m, (_, end) in zip(spread, kept, strict=True)]
    around = np.zeros((len(g), *full, g.shape[-1]), g.dtype)  # values that were cut off have no gradient
    around[(slice(None), *(slice(start, end) for start, end in kept))] = g
    by_group = weight.reshape(*kernel_size, groups, x.shape[-1] // groups, weight.shape[-1])
    met = _in_groups(x.reshape(-1, x.shape[-1]), groups).transpose(1, 2, 0)  # group, channel, place
    of_x = np.zeros(x.shape, g.dtype)
    of_weight = np.zeros(by_group.shape, g.dtype)
    for tap in np.ndindex(*kernel_size):
        axes = zip(tap, dilation, sizes, stride, strict=True)
        place = tuple(slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in axes)
        coming = around[(slice(None), *place)].reshape(-1, g.shape[-1])
        coming = _in_groups(coming, groups).transpose(1, 0, 2)  # group, place, channel
        if "weight" in back.needs.trained:
            of_weight[tap] = met @ coming
        if back.any_input:
            gathered = coming @ np.swapaxes(by_group[tap], -1, -2)
            of_x += gathered.transpose(1, 0, 2).reshape(x.shape)
    arrays = {}
    if "weight" in back.needs.trained:
        arrays["weight"] = of_weight.reshape(weight.shape)
    if "bias" in back.needs.trained:
        arrays["bias"] = g.sum(axis=tuple(range(g.ndim - 1)))
    return [of_x if back.any_input else None], arrays
