"""Recurrent layers with an initial state of zero: `LSTM`, `GRU` and `RNN`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from archcalc.importing.onnx_graph.arrays import OnnxArray
from archcalc.importing.onnx_graph.values import (
    OnnxCall,
    OnnxComputed,
    OnnxOutputs,
    OnnxValue,
    onnx_operation,
)
from archcalc.importing.tensors import BATCH, Tensor, Unsupported
from archcalc.layers.merge import Concat
from archcalc.layers.recurrent import GRU, LSTM, RNN
from archcalc.layers.resize import Slice

if TYPE_CHECKING:
    from archcalc.executor.kernel import Array

ORDERS: dict[str, tuple[int, ...]] = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
"""The gates in archcalc's order, by their index in ONNX: i o f c, and z r h."""

FUNCTIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


class _Part(Struct):
    """The rows of one direction in an array of the model, with the gates in another order."""

    array: OnnxArray
    direction: int
    start: int
    order: Sequence[int]
    hidden: int

    def __call__(self) -> Array:
        import numpy as np

        values = self.array.all_values()[self.direction]
        blocks = [values[self.start + gate * self.hidden :][: self.hidden] for gate in self.order]
        joined: Array = np.concatenate(blocks)
        return joined


@onnx_operation("LSTM", "GRU", "RNN")
def recurrent(call: OnnxCall) -> OnnxOutputs:
    """All states, and the last ones. No layer gives the cell state of an `LSTM`."""
    op, x = call.node.op, call.tensor()
    for place in (4, 7):  # sequence lengths, and peepholes
        if call.input(place) is not None:
            raise Unsupported("its sequences have lengths of their own" if place == 4 else "it has peepholes")
    for place in (5, 6):
        if not is_zero(call.input(place)):
            raise Unsupported("its states do not begin at zero")
    call.must_be("layout", 0)
    call.must_be("input_forget", 0)
    call.must_be("clip")
    call.unused("output_sequence")
    direction = call.text("direction", "forward")
    if direction not in ("forward", "bidirectional"):
        raise Unsupported(f'its direction is "{direction[:20]}"')
    ways = 2 if direction == "bidirectional" else 1
    if x.rank != 3 or x.axes[1] != BATCH:
        raise Unsupported("the batch is not its second axis")
    x = call.channels_at(x, 2)
    layer, arrays = _layer(call, op, ways, x.operation.shape[0])
    every = call.add_arranged(layer, x, arrays=arrays)
    hidden, length = layer.hidden_size, every.operation.shape[1]
    states = Tensor(every.operation, (1, BATCH, 0))
    states = call.reshaped(states, [length, call.batch, ways, hidden]).permuted([0, 2, 1, 3])
    last = call.add(Slice(length - 1, length, "length"), every)
    if ways == 2:
        first = call.add(Slice(0, 1, "length"), every)
        pair = call.add(Slice(0, hidden), last), call.add(Slice(hidden, 2 * hidden), first)
        last = call.add(Concat("length"), *pair)
    found: list[OnnxValue] = [states, Tensor(last.operation, (1, BATCH, 0))]
    if op == "LSTM":
        read = tuple(array for array, _ in arrays.values())
        found.append(OnnxComputed(op, (ways, call.batch, hidden), (x,), read))
    return found


def _layer(
    call: OnnxCall, op: str, ways: int, channels: int
) -> tuple[Any, dict[str, tuple[OnnxArray, Sequence[int]]]]:
    inner, outer, bias = call.needed_array(1), call.needed_array(2), call.array(3)
    hidden, order = call.whole("hidden_size", outer.shape[-1]), ORDERS[op]
    rows = len(order) * hidden
    if (inner.shape, outer.shape) != ((ways, rows, channels), (ways, rows, hidden)):
        raise Unsupported("its weights do not fit its input")
    if bias is not None and bias.shape != (ways, 2 * rows):
        raise Unsupported("its biases do not fit")
    more: dict[str, Any] = {"bias": bias is not None, "bidirectional": ways == 2}
    functions = call.attribute("activations")
    call.unused("activation_alpha", "activation_beta")
    if op == "RNN" and functions == ["Relu"] * ways:
        more["nonlinearity"] = "relu"
    elif functions not in (None, [], FUNCTIONS[op] * ways):
        raise Unsupported("its activation functions are others")
    if op == "GRU" and not call.whole("linear_before_reset", 0):
        raise Unsupported("its reset gate is before the product")
    kind: Any = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}[op]
    arrays: dict[str, tuple[OnnxArray, Sequence[int]]] = {}

    def part(name: str, array: OnnxArray, way: int, start: int, axes: Sequence[int]) -> None:
        shape = (rows, *array.shape[2:])
        load = _Part(array, way, start, order, hidden)
        made = OnnxArray(f"{array.key}[{name}]", shape, True, load, made_from=array.made_from or array.key)
        made.is_buffer = array.is_buffer
        arrays[name] = (made, axes)

    for way, end in enumerate(("", "_reverse")[:ways]):
        part(f"weight_ih_l0{end}", inner, way, 0, (1, 0))
        part(f"weight_hh_l0{end}", outer, way, 0, (1, 0))
        if bias is not None:
            part(f"bias_ih_l0{end}", bias, way, 0, ())
            part(f"bias_hh_l0{end}", bias, way, rows, ())
    return kind(hidden, **more), arrays


def is_zero(value: OnnxValue | None) -> bool:
    """Whether a value is missing or all zeros. An expanded one has few distinct values."""
    if value is None:
        return True
    if not isinstance(value, OnnxArray):
        return False
    value.is_argument = True  # so that it is not listed as an unused parameter
    values = value.load()
    whole = tuple(slice(0, 1) if not stride else slice(None) for stride in values.strides)
    return not values[whole].any()
