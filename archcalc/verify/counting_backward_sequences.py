"""The slow path of the backward pass of attention, matrix products, and recurrent layers.

Their forward formulas are recorded on a tape: see `archcalc.verify.tape`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from archcalc.executor.backward.register import Back, Sent
from archcalc.executor.kernel import Array
from archcalc.layers.attention import Attention, MatMul
from archcalc.layers.base import Layer
from archcalc.verify.recurrent import STEPS
from archcalc.verify.tape import Tape, Traced


class OnTape:
    """The inputs and the arrays of a layer on a tape, and the gradients that come back to them."""

    def __init__(self, back: Back) -> None:
        self.tape = Tape()
        needs = zip(back.inputs, back.needs.inputs, strict=True)
        self.inputs = [self.tape.array(x, needed) for x, needed in needs]
        self.arrays = {
            name: self.tape.array(array, name in back.needs.trained) for name, array in back.weights.items()
        }

    def back(self, out: Traced, gradient: Array) -> tuple[int, Sent]:
        self.tape.back(out, gradient)
        return self.tape.made, (
            [_gradient_of(x) for x in self.inputs],
            {name: _gradient_of(array) for name, array in self.arrays.items() if array.needed},
        )


def _gradient_of(traced: Traced) -> Array:
    return np.zeros_like(traced.array) if traced.gradient is None else traced.gradient


def _matmul(layer: MatMul, back: Back) -> tuple[int, Sent]:
    on = OnTape(back)
    first, second = (
        x.moved(lambda a: np.moveaxis(a, -1, 1), lambda g: np.moveaxis(g, 1, -1)) for x in on.inputs
    )
    return on.back(on.tape.multiply(first, second), np.moveaxis(back.gradient, -1, 1))


def _attention(layer: Attention, back: Back) -> tuple[int, Sent]:
    """Head by head, with the formulas of the paper."""
    on = OnTape(back)
    tape = on.tape
    tokens, memory = (_tokens(x) for x in (on.inputs[0], on.inputs[-1]))
    heads = []
    for head in range(layer.num_heads):
        projected = []
        for source, name in ((tokens, "query"), (memory, "key"), (memory, "value")):
            size = back.weights[name].shape[1] // layer.num_heads
            own = np.s_[..., head * size : (head + 1) * size]
            result = tape.multiply(source, on.arrays[name][own])
            projected.append(result + on.arrays[f"{name}_bias"][own] if layer.bias else result)
        query, key, value = projected
        swapped = key.moved(lambda a: np.swapaxes(a, 1, 2), lambda g: np.swapaxes(g, 1, 2))
        scores: Any = tape.multiply(query, swapped) / np.sqrt(query.array.shape[-1])
        seen = np.tri(scores.array.shape[1]) if layer.is_causal else np.ones(scores.array.shape[1:])
        powers = np.exp(scores - np.where(seen, scores.array, -np.inf).max(axis=-1, keepdims=True)) * seen
        heads.append(tape.multiply(powers / powers.sum_of_rows(), value))
    out: Any = tape.multiply(tape.join(heads), on.arrays["output"])
    if layer.bias:
        out = out + on.arrays["output_bias"]
    return on.back(out, back.gradient.reshape(out.array.shape))


def _tokens(x: Traced) -> Traced:
    shape = x.array.shape
    return x.moved(lambda a: a.reshape(shape[0], -1, shape[-1]), lambda g: g.reshape(shape))


class CellOnTape:
    """One layer in one direction, for the steps of `archcalc.verify.recurrent`."""

    def __init__(self, layer: Any, on: OnTape, name: str) -> None:
        self.layer = layer
        self._on, self._name = on, name

    def product(self, which: str, values: Traced, gate: int) -> Traced:
        columns = np.s_[..., gate * self.layer.hidden_size : (gate + 1) * self.layer.hidden_size]
        weight, bias = (self._on.arrays.get(f"{kind}_{which}_{self._name}") for kind in ("weight", "bias"))
        assert weight is not None
        out: Traced = self._on.tape.multiply(values, weight[columns])
        return out if bias is None else out + bias[columns]

    def gate(self, x: Traced, h: Traced, gate: int) -> Traced:
        total: Traced = self.product("ih", x, gate) + self.product("hh", h, gate)
        return total


def _recurrent(layer: Any, back: Back) -> tuple[int, Sent]:
    on = OnTape(back)
    batch, length = back.x.shape[:2]
    below = [on.inputs[0][:, place : place + 1] for place in range(length)]
    ends: list[Traced] = []
    for number in range(layer.num_layers):
        ways, ends = [], []
        for end in ("", "_reverse") if layer.bidirectional else ("",):
            cell: Any = CellOnTape(layer, on, f"l{number}{end}")
            h: Any = on.tape.array(np.zeros((batch, 1, layer.hidden_size)))
            c, states = h, []
            for x in below[::-1] if end else below:
                h, c = STEPS[type(layer)](cell, x, h, c)  # type: ignore[arg-type]
                states.append(h)
            ends.append(h)
            ways.append(states[::-1] if end else states)
        below = [on.tape.join(list(states)) for states in zip(*ways, strict=True)]
    if layer.return_sequences:
        steps = [x.moved(lambda a: a[:, 0], lambda g: g[:, None]) for x in below]
        return on.back(on.tape.join(steps), back.gradient.reshape(batch, -1))
    return on.back(on.tape.join(ends), back.gradient[:, None])


COUNTED_SEQUENCES: dict[type[Layer], Callable[[Any, Back], tuple[int, Sent]]] = {
    MatMul: _matmul,
    Attention: _attention,
    **dict.fromkeys(STEPS, _recurrent),
}
"""The slow paths of the backward passes of these kinds."""
