"""Kernels of attention and of matrix products."""

from __future__ import annotations

import math

import numpy as np

from archcalc.executor.kernel import Array, Call, kernel
from archcalc.executor.reshape import channels_first, channels_last
from archcalc.layers.attention import Attention, MatMul


@kernel(MatMul)
def matmul(layer: MatMul, call: Call) -> Array:
    a, b = call.inputs
    return channels_last(np.matmul(channels_first(a), channels_first(b)))


@kernel(Attention)
def attention(layer: Attention, call: Call) -> Array:
    tokens, memory = _tokens(call.inputs[0]), _tokens(call.inputs[-1])
    query, key, value = (
        _projected(source, call, name, layer.num_heads)
        for source, name in ((tokens, "query"), (memory, "key"), (memory, "value"))
    )
    query = query * query.dtype.type(1 / math.sqrt(query.shape[-1]))
    if layer.is_causal:
        # later tokens are not read at all, because a NaN times a weight of zero is still NaN
        shares = np.zeros((*query.shape[:-1], key.shape[-2]), query.dtype)
        heads = np.empty((*query.shape[:-1], value.shape[-1]), query.dtype)
        for i in range(query.shape[-2]):
            own, upto = np.s_[..., i : i + 1, :], np.s_[..., : i + 1, :]
            shares[..., i : i + 1, : i + 1], heads[own] = _looked_up(query[own], key[upto], value[upto])
    else:
        shares, heads = _looked_up(query, key, value)
    joined = np.moveaxis(heads, 1, 2).reshape(*tokens.shape[:2], -1)
    if call.kept is not None:
        call.kept |= {"queries": query, "keys": key, "values": value}
        call.kept |= {"probabilities": shares, "heads": joined}
    out = joined @ call.weights["output"]
    if layer.bias:
        out += call.weights["output_bias"]
    return out.reshape(call.inputs[0].shape)


def _tokens(x: Array) -> Array:
    """A sequence or a map as `(batch, places, channels)`."""
    return x.reshape(x.shape[0], -1, x.shape[-1])


def _projected(tokens: Array, call: Call, name: str, heads: int) -> Array:
    """Queries, keys or values: `(batch, heads, places, size of a head)`."""
    out = tokens @ call.weights[name]
    if f"{name}_bias" in call.weights:
        out += call.weights[f"{name}_bias"]
    return np.moveaxis(out.reshape(*out.shape[:2], heads, -1), 2, 1)


def _looked_up(query: Array, key: Array, value: Array) -> tuple[Array, Array]:
    """The weight of each value for each query, and the weighted sum of the values."""
    scores = query @ np.swapaxes(key, -1, -2)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return shares, shares @ value
