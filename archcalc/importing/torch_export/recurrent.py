"""Recurrent layers: `lstm`, `gru` and `rnn` with zero initial states."""

from __future__ import annotations

from typing import Any

from archcalc.importing.tensors import BATCH, Tensor, Unsupported
from archcalc.importing.torch_export.graph import StoredArray
from archcalc.importing.torch_export.values import AtenCall, ComputedValue, KnownArray, Outputs, operation
from archcalc.importing.views import piece
from archcalc.layers.recurrent import GRU, LSTM, RNN


@operation("lstm", "gru", "rnn_tanh", "rnn_relu")
def recurrent(call: AtenCall) -> Outputs:
    """All states; the last one too, if it is the last of these."""
    call.unused("train", "dropout")
    name = call.node.target.removeprefix("aten.")
    states = call.value("hx")
    for state in states if isinstance(states, list) else [states]:
        if not isinstance(state, KnownArray) or state.values.any():
            raise Unsupported("its states do not begin at zero")
    x = call.tensor("input")
    batch_at = 0 if call.flag("batch_first", False) else 1
    if x.rank != 3 or x.axes[batch_at] != BATCH:
        raise Unsupported("the batch is not where it should be")
    x = call.channels_at(x, -1)
    layers, both = call.whole("num_layers", 1), call.flag("bidirectional", False)
    has_bias = call.flag("has_biases", True)
    names = [
        f"{what}_l{number}{end}"
        for number in range(layers)
        for end in (("", "_reverse") if both else ("",))
        for what in ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if has_bias else ()))
    ]
    arrays = call.value("params")
    if not isinstance(arrays, list) or len(arrays) != len(names):
        raise Unsupported("it projects its states")
    if not all(isinstance(each, StoredArray) and not each.is_view for each in arrays):
        raise Unsupported("its weights are not arrays of the model")
    kind: Any = {"lstm": LSTM, "gru": GRU}.get(name, RNN)
    more = {"nonlinearity": name.removeprefix("rnn_")} if kind is RNN else {}
    hidden = arrays[1].shape[1]
    layer = kind(hidden, num_layers=layers, bias=has_bias, bidirectional=both, **more)
    given = {
        name: (array, (1, 0) if len(array.shape) == 2 else ())
        for name, array in zip(names, arrays, strict=True)
    }
    out = call.add_arranged(layer, x, arrays=given)
    last: Any = ComputedValue(call.node.target, (out,))
    if layers == 1 and not both:
        length = out.operation.shape[1]
        end = piece(call.assembly, out, 1 - batch_at, length - 1, length, call.batch)
        last = Tensor(end.operation, (1, BATCH, 0))
    return [out, last]
