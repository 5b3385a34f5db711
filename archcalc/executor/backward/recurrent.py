"""Backward passes of embeddings and of recurrent layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from archcalc.executor.backward.register import Back, Sent, backward
from archcalc.executor.kernel import Array
from archcalc.executor.reshape import channels_first
from archcalc.layers.recurrent import GRU, LSTM, RNN, Embedding, Recurrent


@backward(Embedding)
def embedding(layer: Embedding, back: Back) -> Sent:
    """Each row gets the sum of the gradients where it was read."""
    indices = channels_first(back.x)
    known = ~np.isnan(indices)
    rows = np.zeros(back.weights["weight"].shape, back.gradient.dtype)
    np.add.at(rows, indices[known].astype(np.int64), back.gradient[known])
    return [None], {"weight": rows}


class CellBack:
    """One layer of a stack in one direction. Everything is in the order of its steps."""

    def __init__(self, back: Back, name: str, states: Array | None) -> None:
        self.back, self.name = back, name
        self.reverse = name.endswith("_reverse")
        self.weight_hh = back.weights[f"weight_hh_{name}"]
        self._states = states

    def is_trained(self, array: str) -> bool:
        return f"{array}_{self.name}" in self.back.needs.trained

    def in_order(self, at_places: Array) -> Array:
        """Values at their places in a sequence, in the order of the steps, and the reverse."""
        return at_places[:, ::-1] if self.reverse else at_places

    def kept(self, name: str) -> Array:
        return self.in_order(self.back.kept[f"{name} {self.name}"])

    @property
    def states(self) -> Array:
        assert self._states is not None
        return self.in_order(self._states)

    def before(self, values: Array) -> Array:
        """The values of the step before, which are zero before the first step."""
        return np.concatenate([np.zeros_like(values[:, :1]), values[:, :-1]], axis=1)

    def states_before(self, like: Array) -> Array:
        """The state before each step. With a single step none are kept, because the only one is zero."""
        return np.zeros_like(like) if like.shape[1] == 1 else self.before(self.states)


Sums = tuple[Array, Array, Array | None]
"""Gradients of the gates' sums at each step, for the parts that read the input and the state.

Also the values that the last gate reads in place of the state, if there are any.
"""


def _lstm(layer: LSTM, way: CellBack, g: Array) -> Sums:
    gates, memories = way.kept("gates"), way.kept("memories")
    i, f, new, o = np.split(gates, 4, axis=-1)
    before, squashed = way.before(memories), np.tanh(memories)
    sums = np.empty_like(gates)
    dh = dc = np.zeros_like(g[:, 0])
    for step in reversed(range(g.shape[1])):
        at = np.s_[:, step]
        dh = g[at] + dh
        dc = dh * o[at] * (1 - squashed[at] * squashed[at]) + dc
        of_i = dc * new[at] * i[at] * (1 - i[at])
        of_f = dc * before[at] * f[at] * (1 - f[at])
        of_new = dc * i[at] * (1 - new[at] * new[at])
        of_o = dh * squashed[at] * o[at] * (1 - o[at])
        sums[at] = np.concatenate([of_i, of_f, of_new, of_o], axis=-1)
        dh, dc = sums[at] @ way.weight_hh.T, dc * f[at]
    return sums, sums, None


def _gru(layer: GRU, way: CellBack, g: Array) -> Sums:
    gates, n = way.kept("gates"), layer.hidden_size
    r, z, new = np.split(gates, 3, axis=-1)
    before = way.states_before(new)
    of_input, of_state = np.empty_like(gates), np.empty_like(gates)
    hh_gates, hh_new = way.weight_hh[:, : 2 * n].T, way.weight_hh[:, 2 * n :].T
    products = None if layer.bias == "one" else way.kept("products")
    dh = np.zeros_like(g[:, 0])
    for step in reversed(range(g.shape[1])):
        at = np.s_[:, step]
        dh = g[at] + dh
        rest = 1 - z[at]
        of_new = dh * rest * (1 - new[at] * new[at])
        of_z = dh * (before[at] - new[at]) * z[at] * rest
        if products is None:
            of_reset = of_new @ hh_new
            of_r = of_reset * before[at] * r[at] * (1 - r[at])
            again, direct = of_new, dh * z[at] + of_reset * r[at]
        else:
            of_r = of_new * products[at] * r[at] * (1 - r[at])
            again = of_new * r[at]
            direct = dh * z[at]
        of_gates = np.concatenate([of_r, of_z], axis=-1)
        of_input[at] = np.concatenate([of_gates, of_new], axis=-1)
        of_state[at] = np.concatenate([of_gates, again], axis=-1)
        dh = direct + (of_gates @ hh_gates if products is None else of_state[at] @ way.weight_hh.T)
    reset = r * before if products is None and way.is_trained("weight_hh") else None
    return of_input, of_state, reset


def _rnn(layer: RNN, way: CellBack, g: Array) -> Sums:
    states = way.states
    sums = np.empty_like(states)
    dh = np.zeros_like(g[:, 0])
    for step in reversed(range(g.shape[1])):
        dh, h = g[:, step] + dh, states[:, step]
        sums[:, step] = dh * (1 - h * h) if layer.nonlinearity == "tanh" else np.where(h > 0, dh, 0)
        dh = sums[:, step] @ way.weight_hh.T
    return sums, sums, None


Cell = Callable[[Any, CellBack, Array], Sums]


def _run(layer: Recurrent, back: Back, cell: Cell) -> Sent:
    """Layer by layer, from the last one to the first one that takes part."""
    ends, last = ("", "_reverse")[: layer.directions], layer.num_layers - 1
    arrays: dict[str, Array] = {}
    trained = back.needs.trained
    if back.x.shape[1] == 1:  # the only state that is multiplied is zero
        zero = {name for name in trained if name.startswith("weight_hh")}
        trained -= zero
        arrays = {name: np.zeros_like(back.weights[name]) for name in zero}
    gradients = np.split(back.gradient, layer.directions, axis=-1)
    if not layer.return_sequences:
        gradients = [
            _at_the_end(g, back.x.shape[1], bool(end)) for g, end in zip(gradients, ends, strict=True)
        ]
    for number in reversed(range(layer.num_layers)):
        goes_on = back.any_input or any(_layer_of(name) < number for name in trained)
        states: list[Array | None] = [back.kept.get(f"states l{number}{end}") for end in ends]
        if number == last and layer.return_sequences:
            states = list(np.split(back.output, layer.directions, axis=-1))
        below: Array | None = None
        for end, g, own in zip(ends, gradients, states, strict=True):
            way = CellBack(back, f"l{number}{end}", own)
            if not goes_on and not any(name.split("_", 2)[2] == way.name for name in trained):
                continue
            of_input, of_state, reset = cell(layer, way, way.in_order(g))
            _add_arrays(arrays, way, (of_input, of_state, reset))
            if way.is_trained("weight_ih"):
                read = back.x if number == 0 else _joined(back, number - 1, ends)
                arrays[f"weight_ih_{way.name}"] = _sum_of_products(way.in_order(read), of_input)
            if goes_on:
                part = way.in_order(of_input) @ back.weights[f"weight_ih_{way.name}"].T
                below = part if below is None else below + part
        if below is None:
            break
        gradients = np.split(below, layer.directions, axis=-1) if number else [below]
    return [gradients[0] if back.any_input else None], arrays


def _layer_of(name: str) -> int:
    """The layer of an array: `weight_ih_l1_reverse` belongs to layer 1."""
    return int(name.split("_")[2][1:])


def _at_the_end(gradient: Array, length: int, reverse: bool) -> Array:
    """The gradient of the last state, as a gradient of all states."""
    out = np.zeros((len(gradient), length, gradient.shape[-1]), gradient.dtype)
    out[:, 0 if reverse else -1] = gradient
    return out


def _joined(back: Back, number: int, ends: tuple[str, ...]) -> Array:
    """The states of all directions of a layer, which the next layer reads."""
    return np.concatenate([back.kept[f"states l{number}{end}"] for end in ends], axis=-1)


def _sum_of_products(read: Array, gradient: Array) -> Array:
    return np.asarray(np.tensordot(read, gradient, axes=((0, 1), (0, 1))))


def _add_arrays(arrays: dict[str, Array], way: CellBack, sums: Sums) -> None:
    """The gradients of what multiplies the state, and of the biases."""
    of_input, of_state, reset = sums
    units = len(way.weight_hh)
    if way.is_trained("bias_ih"):
        arrays[f"bias_ih_{way.name}"] = of_input.sum(axis=(0, 1))
    if way.is_trained("bias_hh"):
        known = arrays.get(f"bias_ih_{way.name}")  # the gradients differ only for the last gate of `gru`
        if known is None:
            found = of_state.sum(axis=(0, 1))
        elif of_state is of_input:
            found = known.copy()
        else:
            found = np.concatenate([known[:-units], of_state[..., -units:].sum(axis=(0, 1))])
        arrays[f"bias_hh_{way.name}"] = found
    if way.is_trained("weight_hh") and f"weight_hh_{way.name}" not in arrays:
        before = way.states_before(of_state[..., :units])
        if reset is None:
            found = _sum_of_products(before, of_state)
        else:
            of_gates, of_new = of_state[..., :-units], of_state[..., -units:]
            parts = [_sum_of_products(before, of_gates), _sum_of_products(reset, of_new)]
            found = np.concatenate(parts, axis=-1)
        arrays[f"weight_hh_{way.name}"] = found


@backward(LSTM)
def lstm(layer: LSTM, back: Back) -> Sent:
    return _run(layer, back, _lstm)


@backward(GRU)
def gru(layer: GRU, back: Back) -> Sent:
    return _run(layer, back, _gru)


@backward(RNN)
def rnn(layer: RNN, back: Back) -> Sent:
    return _run(layer, back, _rnn)
