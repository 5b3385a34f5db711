"""Backward passes of the joins."""

from __future__ import annotations

import numpy as np

from archcalc.executor.backward.register import Back, Sent, backward
from archcalc.executor.kernel import Array, axis_of
from archcalc.executor.reshape import channels_first
from archcalc.layers.merge import Add, Concat, Div, Mul, Stack, Sub


def summed_to(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of a tensor that was stretched: the sum over the places that it was stretched to."""
    stretched = tuple(i for i, (n, m) in enumerate(zip(gradient.shape, shape, strict=True)) if n != m)
    return gradient.sum(axis=stretched, keepdims=True) if stretched else gradient


@backward(Add)
def add(layer: Add, back: Back) -> Sent:
    return [
        summed_to(back.gradient, x.shape) if needed else None
        for x, needed in zip(back.inputs, back.needs.inputs, strict=True)
    ], {}


@backward(Concat)
def concat(layer: Concat, back: Back) -> Sent:
    axis = axis_of(layer.dim, back.x)
    ends = np.cumsum([x.shape[axis] for x in back.inputs])[:-1]
    parts = np.split(back.gradient, ends, axis=axis)
    return [part if needed else None for part, needed in zip(parts, back.needs.inputs, strict=True)], {}


@backward(Mul)
def mul(layer: Mul, back: Back) -> Sent:
    sent = []
    for number, (x, needed) in enumerate(zip(back.inputs, back.needs.inputs, strict=True)):
        gradient = back.gradient
        for other, factor in enumerate(back.inputs):
            if needed and other != number:
                gradient = gradient * factor
        sent.append(summed_to(gradient, x.shape) if needed else None)
    return sent, {}


@backward(Sub)
def sub(layer: Sub, back: Back) -> Sent:
    sent = [
        summed_to(back.gradient, x.shape) if needed else None
        for x, needed in zip(back.inputs, back.needs.inputs, strict=True)
    ]
    return [sent[0], None if sent[1] is None else -sent[1]], {}


@backward(Div)
def div(layer: Div, back: Back) -> Sent:
    a, b = back.inputs
    by_b = back.gradient / b
    of_a = summed_to(by_b, a.shape) if back.needs.inputs[0] else None
    return [of_a, -summed_to(by_b * a / b, b.shape) if back.needs.inputs[1] else None], {}


@backward(Stack)
def stack(layer: Stack, back: Back) -> Sent:
    g = channels_first(back.gradient)
    axis = layer.dim if layer.dim < 0 else layer.dim + 1
    parts = np.moveaxis(g, axis, 0)
    return [
        np.moveaxis(part, 1, -1) if needed else None
        for part, needed in zip(parts, back.needs.inputs, strict=True)
    ], {}
