"""Kernels of embeddings and of recurrent layers: a simple loop over the steps of a sequence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from archcalc.executor.kernel import Array, BadValues, Call, kernel
from archcalc.executor.reshape import channels_first
from archcalc.layers.recurrent import GRU, LSTM, RNN, Embedding, Recurrent


@kernel(Embedding)
def embedding(layer: Embedding, call: Call) -> Array:
    """The row of each index, or NaN for an unknown index."""
    indices = channels_first(call.x)  # its channels are an axis like the others, after those of the rows
    unknown = np.isnan(indices)
    wrong = (indices < 0) | (indices >= layer.num_embeddings) | ((indices != np.floor(indices)) & ~unknown)
    if wrong.any():
        value = float(indices[wrong][0])
        shown = int(value) if value.is_integer() else value
        raise BadValues(f"needs whole numbers from 0 to {layer.num_embeddings - 1}, got {shown}")
    out: Array = call.weights["weight"][np.where(unknown, 0, indices).astype(np.int64)]
    out[unknown] = np.nan
    return out


States = tuple[Array, Array]
"""The state of a layer after a step, and the memory of an `lstm`."""

Parts = Mapping[str, Sequence[Array]]
"""Intermediate vectors of a step that a backward pass reads, by name. They are kept in one tensor."""

Cell = Callable[[Any, Array, States, Array, Array | int], tuple[States, Parts]]
"""One step: the layer, the products with the input, the states before, and the recurrent arrays."""


def _sigmoid(x: Array) -> Array:
    half = x.dtype.type(0.5)
    out: Array = half + half * np.tanh(half * x)  # as 1 / (1 + exp(-x)), which may overflow
    return out


def _lstm(layer: LSTM, read: Array, states: States, hh: Array, bias: Array | int) -> tuple[States, Parts]:
    h, c = states
    i, f, g, o = np.split(read + (h @ hh + bias), 4, axis=-1)
    i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
    c = f * c + i * g
    return (o * np.tanh(c), c), {"gates": (i, f, g, o), "memories": (c,)}


def _gru(layer: GRU, read: Array, states: States, hh: Array, bias: Array | int) -> tuple[States, Parts]:
    h, _ = states
    n = layer.hidden_size
    if layer.bias == "one":
        r, z = np.split(_sigmoid(read[:, : 2 * n] + h @ hh[:, : 2 * n]), 2, axis=-1)
        new = np.tanh(read[:, 2 * n :] + (r * h) @ hh[:, 2 * n :])
        parts: Parts = {"gates": (r, z, new)}
    else:
        again = h @ hh + bias
        r, z = np.split(_sigmoid(read[:, : 2 * n] + again[:, : 2 * n]), 2, axis=-1)
        new = np.tanh(read[:, 2 * n :] + r * again[:, 2 * n :])
        parts = {"gates": (r, z, new), "products": (again[:, 2 * n :],)}
    h = (1 - z) * new + z * h
    return (h, h), parts


def _rnn(layer: RNN, read: Array, states: States, hh: Array, bias: Array | int) -> tuple[States, Parts]:
    h = read + (states[0] @ hh + bias)
    h = np.tanh(h) if layer.nonlinearity == "tanh" else np.maximum(h, 0)
    return (h, h), {}


def _run(layer: Recurrent, call: Call, cell: Cell) -> Array:
    x = call.x  # (batch, length, channels)
    last: list[Array] = []
    for number in range(layer.num_layers):
        ways, last = [], []
        for end in ("", "_reverse")[: layer.directions]:
            ways.append(_one_way(layer, call, x, f"l{number}{end}", bool(end), cell))
            last.append(ways[-1][:, 0 if end else -1])
        x = np.concatenate(ways, axis=-1)
    return x if layer.return_sequences else np.concatenate(last, axis=-1)


def _one_way(layer: Recurrent, call: Call, x: Array, name: str, backward: bool, cell: Cell) -> Array:
    """The states after every step of one layer in one direction, each at its place."""
    hh, bias = call.weights[f"weight_hh_{name}"], call.weights.get(f"bias_hh_{name}", 0)
    reads = x @ call.weights[f"weight_ih_{name}"]
    reads += call.weights.get(f"bias_ih_{name}", 0)
    batch, length = x.shape[:2]
    out = np.empty((batch, length, layer.hidden_size), x.dtype)
    zero = np.zeros((batch, layer.hidden_size), x.dtype)
    states = (zero, zero)
    for step in reversed(range(length)) if backward else range(length):
        states, parts = cell(layer, reads[:, step], states, hh, bias)
        out[:, step] = states[0]
        if call.kept is not None:
            _keep(call.kept, f"states {name}", (states[0],), step, length)
            for part, vectors in parts.items():
                _keep(call.kept, f"{part} {name}", vectors, step, length)
    return out


def _keep(kept: dict[str, Array], name: str, vectors: Sequence[Array], step: int, length: int) -> None:
    """Store the vectors of a step at their place in a tensor of all steps."""
    joined = np.concatenate(vectors, axis=-1)
    if name not in kept:
        kept[name] = np.empty((len(joined), length, joined.shape[-1]), joined.dtype)
    kept[name][:, step] = joined


@kernel(LSTM)
def lstm(layer: LSTM, call: Call) -> Array:
    return _run(layer, call, _lstm)


@kernel(GRU)
def gru(layer: GRU, call: Call) -> Array:
    return _run(layer, call, _gru)


@kernel(RNN)
def rnn(layer: RNN, call: Call) -> Array:
    return _run(layer, call, _rnn)
