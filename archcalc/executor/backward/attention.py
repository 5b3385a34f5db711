"""Backward passes of attention and of matrix products. `archcalc.layers.attention` has the formulas."""

from __future__ import annotations

import math

import numpy as np

from archcalc.executor.backward.register import Back, Sent, backward
from archcalc.executor.kernel import Array
from archcalc.executor.reshape import channels_first, channels_last
from archcalc.layers.attention import Attention, MatMul


def _turned(matrices: Array) -> Array:
    return np.swapaxes(matrices, -1, -2)


@backward(MatMul)
def matmul(layer: MatMul, back: Back) -> Sent:
    g, a, b = (channels_first(x) for x in (back.gradient, *back.inputs))
    sent: list[Array | None] = [None, None]
    if back.needs.inputs[0]:
        sent[0] = channels_last(_summed(g @ _turned(b), a.shape))
    if back.needs.inputs[1]:
        sent[1] = channels_last(_summed(_turned(a) @ g, b.shape))
    return sent, {}


def _summed(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The sum over the matrices that a matrix was stretched to."""
    stretched = tuple(i for i, (n, m) in enumerate(zip(gradient.shape, shape, strict=True)) if n != m)
    return gradient.sum(axis=stretched, keepdims=True) if stretched else gradient


@backward(Attention)
def attention(layer: Attention, back: Back) -> Sent:
    """The gradients of queries, keys, and values, and then of their sources."""
    trained, weights, kept = back.needs.trained, back.weights, back.kept
    g = back.gradient.reshape(len(back.gradient), -1, back.gradient.shape[-1])
    arrays: dict[str, Array] = {}
    if "output" in trained:
        arrays["output"] = _sum_of_products(kept["heads"], g)
    if "output_bias" in trained:
        arrays["output_bias"] = g.sum(axis=(0, 1))
    crossed = len(back.inputs) > 1
    into_queries, into_memory = back.needs.inputs[0], back.needs.inputs[-1]
    of_query = into_queries or not trained.isdisjoint(("query", "query_bias"))
    of_key = into_memory or not trained.isdisjoint(("key", "key_bias"))
    of_value = into_memory or not trained.isdisjoint(("value", "value_bias"))
    found: dict[str, Array] = {}
    if of_query or of_key or of_value:
        joined = g @ weights["output"].T
        of_heads = np.moveaxis(joined.reshape(*joined.shape[:2], layer.num_heads, -1), 2, 1)
        shares = kept["probabilities"]
        if of_value:
            found["value"] = _turned(shares) @ of_heads
        if of_query or of_key:
            of_shares = of_heads @ _turned(kept["values"])
            of_scores = shares * (of_shares - (of_shares * shares).sum(axis=-1, keepdims=True))
            if of_query:
                scale = g.dtype.type(1 / math.sqrt(weights["query"].shape[-1] // layer.num_heads))
                found["query"] = (of_scores @ kept["keys"]) * scale
            if of_key:
                found["key"] = _turned(of_scores) @ kept["queries"]
    sent: list[Array | None] = [None] * len(back.inputs)
    for name, of_projected in found.items():
        number = int(name != "query" and crossed)
        source = back.inputs[number]
        of_tokens = np.moveaxis(of_projected, 1, 2)
        of_tokens = of_tokens.reshape(*of_tokens.shape[:2], -1)
        if name in trained:
            arrays[name] = _sum_of_products(source.reshape(len(source), -1, source.shape[-1]), of_tokens)
        if f"{name}_bias" in trained:
            arrays[f"{name}_bias"] = of_tokens.sum(axis=(0, 1))
        if back.needs.inputs[number]:
            part = (of_tokens @ weights[name].T).reshape(source.shape)
            before = sent[number]
            sent[number] = part if before is None else before + part
    return sent, arrays


def _sum_of_products(read: Array, gradient: Array) -> Array:
    """The gradient of weights that multiplied the features of each token."""
    return np.asarray(np.tensordot(read, gradient, axes=((0, 1), (0, 1))))
