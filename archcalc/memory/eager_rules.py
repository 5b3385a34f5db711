"""The tensors that autograd keeps for each layer kind in eager PyTorch, as a table.

They were measured with `torch.autograd.graph.saved_tensors_hooks` in PyTorch 2.14 on the CPU, for layers as
in `torch.nn`. The formulas of gradients are in `tools/autograd/derivatives.yaml` of its source. In general,
an operation keeps what its formula reads, even if the gradient that reads it is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from archcalc.layers.backward import KEPT_INPUT, KEPT_OUTPUT, Kept, Needs, kept_input
from archcalc.layers.terms import Facts, Term, term, values_of

Keeps = Callable[[Any, Facts, Needs], Iterable[Kept]]


class EagerRow(Struct, frozen=True):
    """What a kind keeps, why this is more than gradients need (if it is), and the address of the issue."""

    keeps: Keeps
    why: str = ""
    address: str = ""


def _always(*kept: Kept) -> Keeps:
    return lambda layer, facts, needs: kept


NOTHING = _always()
INPUT = _always(KEPT_INPUT)
OUTPUT = _always(KEPT_OUTPUT)
INPUT_AND_OUTPUT = _always(KEPT_INPUT, KEPT_OUTPUT)


def own(name: str, values: Term, value_bytes: int = 0, per_batch: bool = False) -> Kept:
    """A tensor that is not a tensor of the graph."""
    return Kept(name, values=values, value_bytes=value_bytes, per_batch=per_batch)


def times(number: int, values: Term) -> Term:
    return term((str(number), number)) * values


def copy_of_input(facts: Facts) -> Kept:
    return own("copy of the input", values_of(facts.inputs[0]))


# --- Kinds whose arguments matter ---------------------------------------------------------------


def windowed_input(facts: Facts) -> Kept:
    """The input of a window, or a padded copy of it if the padding differs between the ends of an axis."""
    windows = facts.windows
    if not isinstance(windows, tuple) or all(window.before == window.after for window in windows):
        return KEPT_INPUT
    channels, *sizes = facts.inputs[0]
    room = tuple(int(n + w.before + w.after) for n, w in zip(sizes, windows, strict=True))
    return own("padded input", values_of((channels, *room)))


def _window(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    return (windowed_input(facts),)


def _indices(facts: Facts) -> Kept:
    return own("indices", values_of(facts.output), value_bytes=8)


def _maxpool(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    return (windowed_input(facts) if layer.kind == "maxpool" else KEPT_INPUT, _indices(facts))


def _adaptive_avgpool(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    """With one output place it is a mean over the map, which keeps nothing."""
    return () if math.prod(facts.output[1:]) == 1 else (KEPT_INPUT,)


def _fc(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    return (KEPT_INPUT,) if "weight" in needs.trained else ()


def _deform_conv(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    """Keeps all inputs, and tensors of zeros in place of a missing mask or bias."""
    kept = [kept_input(number) for number in range(len(facts.inputs))]
    if len(facts.inputs) < 3:
        kept.append(own("no mask", term(("1", 1))))
    if not layer.bias:
        kept.append(own("no bias", term(("C_out", facts.output[0])), per_batch=True))
    return kept


def _embedding(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    return (own("indices", values_of(facts.inputs[0]), value_bytes=8),) if needs.trained else ()


def _dropout(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    if layer.p == 0:
        return ()
    if layer.p == 1:
        return (own("zero", term(("1", 1)), per_batch=True),)
    return (own("mask", values_of(facts.output)),)


def _fused_dropout(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    if layer.p in (0, 1):
        return _dropout(layer, facts, needs)
    return (own("mask", values_of(facts.output), value_bytes=1),)


def _drop_path(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    return () if layer.p == 0 else (own("mask", term(("1", 1))),)


def _bn(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    statistics = times(2, term(("C", facts.output[0])))
    return (KEPT_INPUT, own("mean and inverse deviation", statistics, per_batch=True))


def _layer_norm(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    return (
        KEPT_INPUT,
        own("mean and inverse deviation", times(2, term(("groups", layer._groups(facts.output))))),
    )


def _group_norm(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    groups = term(("groups", layer.num_groups))
    return (KEPT_INPUT, own("mean and inverse deviation", times(2, groups)))


def _instance_norm(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    """It is a batch norm with a batch of one, over the channels of all samples. The scale is repeated too."""
    channels = term(("C", facts.output[0]))
    kept = [KEPT_INPUT, own("mean and inverse deviation", times(2, channels))]
    return [*kept, own("scales of all samples", channels)] if layer.affine else kept


def _lrn(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    """`x / (k + alpha·mean of x²)^beta`, written with functions for squares, pools, and powers."""
    channels, *places = facts.output
    padded = (channels + layer.size - 1, *places)
    return (
        KEPT_INPUT,
        own("padded squares", values_of(padded)),
        own("sums and their powers", times(2, values_of(facts.output))),
    )


def _grn(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    """`gamma·(x·r) + beta + x`, where `r` are the norms of the maps divided by their mean."""
    channels = term(("C", facts.output[0]))
    if needs.any_input:
        yield KEPT_INPUT
        yield own("norms and their ratios", times(2, channels))
        yield own("mean of the norms", term(("1", 1)))
    if "weight" in needs.trained:
        yield own("normalized input", values_of(facts.output))


def _lppool(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    return (
        KEPT_INPUT,
        own("powers", values_of(facts.inputs[0])),
        own("means, their signs, sizes and sums", times(4, values_of(facts.output))),
    )


def _factor(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    return (KEPT_INPUT,) if "weight" in needs.trained else ()


def _constants(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    """`scale` keeps the input for trained factors, and given factors if there is one per channel."""
    if isinstance(layer.value, tuple):
        return (own("factors", term(("C", len(layer.value))), per_batch=True),)
    return _factor(layer, facts, needs)


def _mul(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    """One product after the other. Each keeps a factor if the other one needs a gradient."""
    kept: dict[int, Kept] = {}
    parts = 0
    shape = facts.inputs[0]
    so_far = needs.inputs[0]
    partial: list[Kept] = []
    for number in range(1, len(facts.inputs)):
        if so_far:
            kept[number] = kept_input(number)
        if needs.inputs[number]:
            if number == 1:
                kept[0] = kept_input(0)
            else:
                parts += 1
                partial.append(own(f"product {number - 1}", values_of(shape)))
        so_far = so_far or needs.inputs[number]
        shape = tuple(map(max, shape, facts.inputs[number]))
    return (*kept.values(), *partial)


def _div(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    return (kept_input(1), *((kept_input(0),) if needs.inputs[1] else ()))


def _matmul(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    """Keeps each factor if the other one needs a gradient. A stretched factor is copied at its full size."""
    for number in (1, 0):
        if not needs.inputs[1 - number]:
            continue
        shape = facts.inputs[number]
        full = (*facts.output[:-2], *shape[-2:])
        yield kept_input(number) if full == shape else own(f"input {number}, stretched", values_of(full))


def _reduce(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    if layer.op in ("sum", "mean"):
        return ()
    return (KEPT_INPUT,) if layer.op == "var" else (KEPT_INPUT, KEPT_OUTPUT)


def _pad(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    return (KEPT_INPUT,) if layer.mode in ("reflect", "replicate") else ()


def _hardsigmoid(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    """With another slope it is written as a product, a sum, and a clamp, which keeps its input."""
    if layer == type(layer)():
        return (KEPT_INPUT,)
    return (own("input of the clamp", values_of(facts.output)),)


def _with_own(name: str) -> Keeps:
    return lambda layer, facts, needs: (KEPT_INPUT, own(name, values_of(facts.output)))


# --- The table --------------------------------------------------------------------------------------

_FORMULAS = "https://github.com/pytorch/pytorch/blob/v2.14.0/tools/autograd/derivatives.yaml"

_UNREAD = "an average pool keeps its input, although its backward pass reads only the shape"
_SIGN = "a whole value is kept, although a byte is enough for the direction of the gradient"
_CONV = "a convolution keeps its input, although its weights are frozen"
_PARTS = "it consists of several operations, each of which keeps its inputs"

ROWS: dict[str, EagerRow] = {
    **dict.fromkeys(
        ("conv", "depthwise", "pointwise", "conv_transpose"), EagerRow(_window, _CONV, _FORMULAS)
    ),
    "deform_conv": EagerRow(_deform_conv, "tensors of zeros replace a missing mask or bias"),
    "fc": EagerRow(_fc),
    "embedding": EagerRow(_embedding, "indices are whole numbers of 8 bytes"),
    "relu": EagerRow(OUTPUT, _SIGN, _FORMULAS),
    **dict.fromkeys(("relu6", "leaky_relu", "abs", "hardtanh", "clamp"), EagerRow(INPUT, _SIGN, _FORMULAS)),
    "hardsigmoid": EagerRow(_hardsigmoid, _SIGN, _FORMULAS),
    **dict.fromkeys(("prelu", "gelu", "silu", "hardswish", "mish", "softplus", "glu"), EagerRow(INPUT)),
    **dict.fromkeys(("elu", "selu"), EagerRow(INPUT, "the input is kept, although the output is enough")),
    **dict.fromkeys(("log", "square", "sin", "cos", "erf", "pow"), EagerRow(INPUT)),
    **dict.fromkeys(("sigmoid", "tanh", "softmax", "log_softmax", "exp", "sqrt", "rsqrt"), EagerRow(OUTPUT)),
    "logsigmoid": EagerRow(
        _with_own("exponentials"), "the exponentials are kept in addition to the input", _FORMULAS
    ),
    "softsign": EagerRow(_with_own("divisor"), _PARTS),
    "dropout": EagerRow(_dropout, "the mask consists of values instead of bytes"),
    "drop_path": EagerRow(_drop_path, "the mask consists of values instead of bytes"),
    **dict.fromkeys(("concat", "stack", "add", "sub", "shift"), EagerRow(NOTHING)),
    "mul": EagerRow(_mul),
    "div": EagerRow(_div),
    "matmul": EagerRow(_matmul),
    "scale": EagerRow(_constants),
    "layer_scale": EagerRow(_factor),
    "bn": EagerRow(_bn),
    "lrn": EagerRow(_lrn, _PARTS),
    "layer_norm": EagerRow(_layer_norm),
    "group_norm": EagerRow(_group_norm),
    "instance_norm": EagerRow(_instance_norm, "the scale is repeated for each sample"),
    "grn": EagerRow(_grn, _PARTS),
    **dict.fromkeys(
        ("maxpool", "global_maxpool", "adaptive_maxpool"),
        EagerRow(
            _maxpool,
            "a maximum keeps its input and an index of 8 bytes, although the number of a tap is enough",
        ),
    ),
    "avgpool": EagerRow(_window, _UNREAD, "https://github.com/pytorch/pytorch/issues/1468"),
    "adaptive_avgpool": EagerRow(
        _adaptive_avgpool, _UNREAD, "https://github.com/pytorch/pytorch/issues/1468"
    ),
    "global_avgpool": EagerRow(NOTHING),
    "lppool": EagerRow(_lppool, _PARTS),
    "maxunpool": EagerRow(
        INPUT, "the input is kept, although only its shape is read; the indices are the pool's"
    ),
    "reduce": EagerRow(_reduce, "input and output are kept, although the place of an extreme is enough"),
    **dict.fromkeys(
        (
            *("flatten", "reshape", "permute", "transpose", "channel_shuffle", "roll"),
            *("pixel_shuffle", "pixel_unshuffle", "unfold", "upsample", "crop", "slice", "parameter"),
        ),
        EagerRow(NOTHING),
    ),
    "pad": EagerRow(_pad, "padding with values of the map keeps its input, although only its shape is read"),
}
"""By kind. `UNKNOWN` has the other kinds."""

_LACKING = "PyTorch has no such layer"
_KERNELS = "what is kept depends on the kernel, and differs between CPU and GPU"

UNKNOWN = {
    **dict.fromkeys(("local", "rbf", "subsample"), _LACKING),
    **dict.fromkeys(("attention", "lstm", "gru", "rnn"), _KERNELS),
    "opaque": "the operation is unknown",
}
"""The kinds for which the needed tensors are counted instead of those that PyTorch keeps, and why."""

FUSED = {"dropout": EagerRow(_fused_dropout)}
"""The differences on a GPU."""


def _copied(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    return (copy_of_input(facts),)


IN_PLACE = {
    **dict.fromkeys(("leaky_relu", "elu", "selu"), OUTPUT),
    **dict.fromkeys(("relu6", "silu", "hardswish", "hardsigmoid", "hardtanh", "mish"), _copied),
}
"""The tensors of kinds that keep something else if they are computed in place."""
