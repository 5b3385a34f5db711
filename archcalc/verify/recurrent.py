"""The slow path of recurrent layers: gate by gate and step by step, with every multiplication counted.

It shares nothing with the kernels. Each gate is a sum over its own columns of the arrays, and each sigmoid is
computed from its definition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from archcalc.executor.kernel import Array, Call
from archcalc.layers.base import Layer
from archcalc.layers.recurrent import GRU, LSTM, RNN


class Direction:
    """One layer in one direction: its arrays by gate, and the number of its multiplications."""

    def __init__(self, layer: Any, call: Call, name: str) -> None:
        self.layer = layer
        self.macs = 0
        self._units = layer.hidden_size
        self._arrays = {
            which: call.weights.get(f"{which}_{name}")
            for which in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }

    def product(self, which: str, values: Array, gate: int) -> Array:
        """The part of a gate that reads the input (`ih`) or the state (`hh`), with its bias."""
        columns = slice(gate * self._units, (gate + 1) * self._units)
        weight, bias = self._arrays[f"weight_{which}"], self._arrays[f"bias_{which}"]
        assert weight is not None
        self.macs += weight[:, columns].size
        out: Array = np.einsum("bi,io->bo", values, weight[:, columns])
        return out if bias is None else out + bias[columns]

    def gate(self, x: Array, h: Array, gate: int) -> Array:
        return self.product("ih", x, gate) + self.product("hh", h, gate)


def _logistic(x: Array) -> Array:
    out: Array = 1 / (1 + np.exp(-x))
    return out


def _lstm_step(cell: Direction, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    let_in, keep = _logistic(cell.gate(x, h, 0)), _logistic(cell.gate(x, h, 1))
    c = keep * c + let_in * np.tanh(cell.gate(x, h, 2))
    return _logistic(cell.gate(x, h, 3)) * np.tanh(c), c


def _gru_step(cell: Direction, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    reset, keep = _logistic(cell.gate(x, h, 0)), _logistic(cell.gate(x, h, 1))
    if cell.layer.bias == "one":
        new = np.tanh(cell.gate(x, reset * h, 2))
    else:
        new = np.tanh(cell.product("ih", x, 2) + reset * cell.product("hh", h, 2))
    return new + keep * (h - new), c


def _rnn_step(cell: Direction, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    h = cell.gate(x, h, 0)
    return (np.tanh(h) if cell.layer.nonlinearity == "tanh" else h.clip(min=0)), c


Step = Callable[[Direction, Array, Array, Array], tuple[Array, Array]]
STEPS: dict[type[Layer], Step] = {LSTM: _lstm_step, GRU: _gru_step, RNN: _rnn_step}


def count_recurrent(layer: Any, call: Call) -> tuple[int, int, Array]:
    """Like the functions of `archcalc.verify.counting`. No multiplication involves padding."""
    batch, length = call.x.shape[:2]
    below = [call.x[:, place] for place in range(length)]
    macs = 0
    ends: list[Array] = []
    for number in range(layer.num_layers):
        ways, ends = [], []
        for end in ("", "_reverse") if layer.bidirectional else ("",):
            cell = Direction(layer, call, f"l{number}{end}")
            h = c = np.zeros((batch, layer.hidden_size), call.x.dtype)
            states = []
            for x in below[::-1] if end else below:
                h, c = STEPS[type(layer)](cell, x, h, c)
                states.append(h)
            macs += cell.macs
            ends.append(h)
            ways.append(states[::-1] if end else states)
        below = [np.concatenate(states, axis=-1) for states in zip(*ways, strict=True)]
    out = np.stack(below, axis=1) if layer.return_sequences else np.concatenate(ends, axis=-1)
    return macs, macs, out
