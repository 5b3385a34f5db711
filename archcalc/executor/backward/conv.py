"""Backward passes of the convolutions, tap by tap of the kernel.

The gradient of the input is the gradient of the output, laid back over the map with the same weights; the
gradient of a weight is the product of what it met with the gradient of what that went into.
"""

from __future__ import annotations

import numpy as np

from archcalc.executor.backward.pool import Places
from archcalc.executor.backward.register import Back, Sent, backward
from archcalc.executor.kernel import Array
from archcalc.layers.conv import Conv, Depthwise, Pointwise


def _in_groups(array: Array, groups: int) -> Array:
    """The last axis as groups and what is in them."""
    return array.reshape(*array.shape[:-1], groups, array.shape[-1] // groups)


def _slide(layer: Conv | Depthwise | Pointwise, back: Back, weight: Array) -> Sent:
    """With weights `(*kernel, groups, C_in/groups, C_out/groups)`."""
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
    groups = getattr(layer, "groups", 1)
    by_group = np.moveaxis(_in_groups(weight, groups), -2, -3)
    inputs, arrays = _slide(layer, back, by_group)
    if "weight" in arrays:
        arrays = {**arrays, "weight": np.moveaxis(arrays["weight"], -3, -2).reshape(weight.shape)}
    return inputs, arrays


@backward(Depthwise)
def depthwise(layer: Depthwise, back: Back) -> Sent:
    """A group for each input channel, of `multiplier` output channels."""
    weight = back.weights["weight"]
    by_group = _in_groups(weight, back.x.shape[-1])[..., None, :]
    inputs, arrays = _slide(layer, back, by_group)
    if "weight" in arrays:
        arrays = {**arrays, "weight": arrays["weight"].reshape(weight.shape)}
    return inputs, arrays
