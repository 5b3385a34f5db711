"""Layers over sequences: embeddings, recurrent layers, attention."""

from __future__ import annotations

from typing import Any

from archcalc.importing.keras_config.records import KerasLayer
from archcalc.importing.keras_config.values import (
    CalledLayer,
    VariablePart,
    as_tensor,
    keras_layer,
    shown_value,
)
from archcalc.importing.tensors import BATCH, ModelArray, Tensor, Unsupported, plain_axes
from archcalc.layers.arguments import GivenTensor
from archcalc.layers.attention import Attention
from archcalc.layers.recurrent import GRU, LSTM, RNN, Embedding


@keras_layer("Embedding")
def embedding(call: CalledLayer) -> list[Tensor]:
    """The embedding vectors become the last axis."""
    call.unused("mask_zero", "input_length")
    for name in ("lora_rank", "quantization_config"):
        call.must_be(name, None)
    call.unused("lora_alpha")
    x = call.tensor()
    x = call.aligned(x, plain_axes(x.rank - 1))
    layer = Embedding(call.whole("input_dim"), call.whole("output_dim"))
    axes = (BATCH, *range(1, x.rank), 0)
    return [call.add(layer, x, arrays=["weight"], axes=axes)]


GATES = {"LSTM": (0, 1, 2, 3), "GRU": (1, 0, 2), "SimpleRNN": (0,)}
"""The gates in archcalc's order, by their index in Keras."""

_PARTS = ("weight_ih", "weight_hh", "bias_ih")


@keras_layer("LSTM", "GRU", "SimpleRNN")
def recurrent(call: CalledLayer) -> list[Tensor]:
    return [_recurrent(call, call, {"": "cell"}, call.tensor())]


@keras_layer("Bidirectional")
def bidirectional(call: CalledLayer) -> list[Tensor]:
    """The states of both directions, concatenated."""
    call.must_be("merge_mode", "concat")
    record, backward = call.value("layer"), call.value("backward_layer")
    kind = record.get("class_name") if isinstance(record, dict) else None
    if kind not in GATES or not isinstance(record.get("config"), dict):
        raise Unsupported("its layer is not a recurrent one of Keras")
    config = record["config"]
    if isinstance(backward, dict) and _arguments(backward) != _arguments(record):
        raise Unsupported("its backward layer has other arguments")
    inner = KerasLayer(name=call.layer.name, kind=kind, config=config, address=call.layer.address)
    read = CalledLayer(call.context, inner, (), {}, call.path)
    cells = {"": "forward_layer/cell", "_reverse": "backward_layer/cell"}
    found = _recurrent(call, read, cells, call.tensor())
    read.check_all_read()
    return [found]


def _arguments(record: dict[str, Any]) -> dict[str, Any]:
    config = record.get("config")
    config = config if isinstance(config, dict) else {}
    names = ("units", "activation", "recurrent_activation", "use_bias", "reset_after", "return_sequences")
    return {"class_name": record.get("class_name"), **{name: config.get(name) for name in names}}


def _recurrent(call: CalledLayer, read: CalledLayer, cells: dict[str, str], x: Tensor) -> Tensor:
    """`read` has the arguments, `cells` has the places of the variables of each direction."""
    kind = read.kind
    read.unused("dropout", "recurrent_dropout", "unroll", "seed", "use_cudnn", "unit_forget_bias")
    read.unused("implementation", "time_major", "zero_output_for_mask")
    for name in ("return_state", "go_backwards", "stateful"):
        read.must_be(name, False)
    hidden, has_bias = read.whole("units"), read.flag("use_bias", True)
    more: dict[str, Any] = {"bias": "one" if has_bias else False}
    function = read.word("activation", "tanh")
    if kind == "SimpleRNN" and function in ("tanh", "relu"):
        more["nonlinearity"] = function
    elif function != "tanh":
        raise Unsupported(f"`activation` is {shown_value(function)}")
    if kind != "SimpleRNN":
        read.must_be("recurrent_activation", "sigmoid")
    is_after = kind == "GRU" and read.flag("reset_after", not call.context.is_keras_2)
    if kind == "GRU" and not is_after and not has_bias:
        raise Unsupported("its reset gate is before the product, and it has no bias")
    if is_after and has_bias:
        more["bias"] = True
    sequences = read.flag("return_sequences", False)
    kinds: Any = {"LSTM": LSTM, "GRU": GRU, "SimpleRNN": RNN}[kind]
    layer = kinds(hidden, bidirectional=len(cells) == 2, return_sequences=sequences, **more)
    if x.rank != 3:
        raise Unsupported(f"it reads a tensor of {x.rank} axes")
    x = call.channels_at(x, -1)
    arrays: dict[str, ModelArray] = {}
    for end, cell in cells.items():
        for number, part in enumerate(_PARTS[: 2 + has_bias]):
            variable = f"{call.layer.address}/{cell}/vars/{number}"
            rows = (0, 1) if part == "bias_ih" and is_after else (None,)
            for row, name in zip(rows, (part, "bias_hh"), strict=False):
                arrays[f"{name}_l0{end}"] = _part(call, variable, row, GATES[kind])
    axes = (BATCH, 1, 0) if sequences else None
    return call.assembly.add(layer, x, arrays=arrays, axes=axes)


def _part(call: CalledLayer, variable: str, row: int | None, gates: tuple[int, ...]) -> ModelArray:
    """Return a variable, or one row of it, with its gates in archcalc's order."""
    if row is None and list(gates) == sorted(gates):
        return ModelArray(variable)
    name = f"{variable}/{'all' if row is None else row}"
    call.context.parts[name] = VariablePart(variable, row, gates)
    return ModelArray(name)


@keras_layer("MultiHeadAttention")
def attention(call: CalledLayer) -> list[Tensor]:
    """Attention from the tokens of a sequence to those of another sequence, or to themselves."""
    call.unused("dropout", "seed", "query_shape", "value_shape", "key_shape", "flash_attention")
    call.must_be("use_gate", False)
    for name in ("output_shape", "sliding_window"):
        call.must_be(name, None)
    axes = call.value("attention_axes")
    if axes not in (None, 1, [1], (1,)):
        raise Unsupported(f"`attention_axes` is {shown_value(axes)}")
    query = as_tensor(_next(call, "query"))
    value = as_tensor(_next(call, "value"))
    key = _next(call, "key")
    is_same = key is None or (isinstance(key, Tensor) and _is_same(key, value))
    if not is_same or query.rank != 3 or value.rank != 3:
        raise Unsupported("its keys and values are not one sequence")
    is_causal = call.kwargs.pop("use_causal_mask", False) is True
    if call.kwargs.get("return_attention_scores") is False:
        del call.kwargs["return_attention_scores"]
    has_bias, heads, width = call.flag("use_bias", True), call.whole("num_heads"), call.whole("key_dim")
    value_dim = call.value("value_dim")
    alone = _is_same(query, value)
    layer = Attention(
        heads,
        key_dim=width,
        value_dim=width if value_dim is None else call.whole("value_dim"),
        bias=has_bias,
        is_causal=is_causal,
        key_value=None if alone else GivenTensor(),
    )
    arrays = {}
    names = {"query": "query_dense", "key": "key_dense", "value": "value_dense", "output": "output_dense"}
    for name, part in names.items():
        arrays[name] = ModelArray(f"{call.layer.address}/{part}/vars/0")
        if has_bias:
            arrays[f"{name}_bias"] = ModelArray(f"{call.layer.address}/{part}/vars/1")
    tensors = [call.channels_at(each, -1) for each in ([query] if alone else [query, value])]
    return [call.assembly.add(layer, *tensors, arrays=arrays)]


def _next(call: CalledLayer, name: str) -> Any:
    return call.args.pop(0) if call.args else call.kwargs.pop(name, None)


def _is_same(one: Tensor, two: Tensor) -> bool:
    return one.operation is two.operation and one.axes == two.axes
