"""What autograd keeps of a layer in eager PyTorch, kind by kind: a table.

Measured with the hooks of `torch.autograd.graph.saved_tensors_hooks` in PyTorch 2.14 on the CPU, of layers as
`torch.nn` has them; formulas of gradients are in `tools/autograd/derivatives.yaml` of its source. As a rule,
an operation keeps what its formula reads, even if the gradient that reads it is not asked for.
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
    """What is kept of a kind, why it is more than gradients need (if it is), and the address of its issue."""

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
    """A tensor that is not one of the graph."""
    return Kept(name, values=values, value_bytes=value_bytes, per_batch=per_batch)


def times(number: int, values: Term) -> Term:
    return term((str(number), number)) * values


def copy_of_input(facts: Facts) -> Kept:
    return own("copy of the input", values_of(facts.inputs[0]))


# --- Kinds with arguments that matter ---------------------------------------------------------------


def windowed_input(facts: Facts) -> Kept:
    """The input of a window; a padded copy of it if the padding differs between the ends of an axis."""
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
    """To one place it is a mean over the map, which keeps nothing."""
    return () if math.prod(facts.output[1:]) == 1 else (KEPT_INPUT,)


def _fc(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    return (KEPT_INPUT,) if "weight" in needs.trained else ()


def _deform_conv(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    """All inputs; in place of a mask and of a bias that are left out, tensors of zeros."""
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
    """It is a batch norm of a batch of one, over the channels of all samples: the scale is repeated too."""
    channels = term(("C", facts.output[0]))
    kept = [KEPT_INPUT, own("mean and inverse deviation", times(2, channels))]
    return [*kept, own("scales of all samples", channels)] if layer.affine else kept


def _lrn(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    """`x / (k + alpha·mean of x²)^beta`, written with the functions of squares, pools and powers."""
    channels, *places = facts.output
    padded = (channels + layer.size - 1, *places)
    return (
        KEPT_INPUT,
        own("padded squares", values_of(padded)),
        own("sums and their powers", times(2, values_of(facts.output))),
    )


def _grn(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    """`gamma·(x·r) + beta + x`, with the norms of the maps by their mean as `r`."""
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
    """`scale`: the input for trained factors; given ones, if there is one for each channel."""
    if isinstance(layer.value, tuple):
        return (own("factors", term(("C", len(layer.value))), per_batch=True),)
    return _factor(layer, facts, needs)


def _mul(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    """One product after the other: each keeps a factor if the other needs a gradient."""
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
    """Each factor if the other needs a gradient; a stretched one as a copy of its full size."""
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
    """Of another slope it is written as a product, a sum and a clamp, which keeps what it clamps."""
    if layer == type(layer)():
        return (KEPT_INPUT,)
    return (own("what is clamped", values_of(facts.output)),)


def _with_own(name: str) -> Keeps:
    return lambda layer, facts, needs: (KEPT_INPUT, own(name, values_of(facts.output)))


# --- The table --------------------------------------------------------------------------------------

_FORMULAS = "https://github.com/pytorch/pytorch/blob/v2.14.0/tools/autograd/derivatives.yaml"

_UNREAD = "an average pool keeps its input, of which its backward pass reads the shape alone"
_SIGN = "a whole value is kept where a byte says which way the gradient goes"
_CONV = "a convolution keeps its input, though its weights are frozen"
_PARTS = "it is written with several operations, each of which keeps what it reads"

ROWS: dict[str, EagerRow] = {
    **dict.fromkeys(
        ("conv", "depthwise", "pointwise", "conv_transpose"), EagerRow(_window, _CONV, _FORMULAS)
    ),
    "deform_conv": EagerRow(_deform_conv),
    "fc": EagerRow(_fc),
    "embedding": EagerRow(_embedding),
    "relu": EagerRow(OUTPUT, _SIGN, _FORMULAS),
    **dict.fromkeys(("relu6", "leaky_relu", "abs", "hardtanh", "clamp"), EagerRow(INPUT, _SIGN, _FORMULAS)),
    "hardsigmoid": EagerRow(_hardsigmoid, _SIGN, _FORMULAS),
    **dict.fromkeys(("prelu", "gelu", "silu", "hardswish", "mish", "softplus", "glu"), EagerRow(INPUT)),
    **dict.fromkeys(("elu", "selu"), EagerRow(INPUT, "the input is kept, though the output would do")),
    **dict.fromkeys(("log", "square", "sin", "cos", "erf", "pow"), EagerRow(INPUT)),
    **dict.fromkeys(("sigmoid", "tanh", "softmax", "log_softmax", "exp", "sqrt", "rsqrt"), EagerRow(OUTPUT)),
    "logsigmoid": EagerRow(
        _with_own("exponentials"), "the exponentials are kept beside the input", _FORMULAS
    ),
    "softsign": EagerRow(_with_own("divisor"), _PARTS),
    "dropout": EagerRow(_dropout, "the mask is one of values, in place of bytes"),
    "drop_path": EagerRow(_drop_path, "the mask is one of values, in place of bytes"),
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
            _maxpool, "a maximum keeps its input and an index of 8 bytes, where a tap's number would do"
        ),
    ),
    "avgpool": EagerRow(_window, _UNREAD, "https://github.com/pytorch/pytorch/issues/1468"),
    "adaptive_avgpool": EagerRow(
        _adaptive_avgpool, _UNREAD, "https://github.com/pytorch/pytorch/issues/1468"
    ),
    "global_avgpool": EagerRow(NOTHING),
    "lppool": EagerRow(_lppool, _PARTS),
    "maxunpool": EagerRow(
        _always(KEPT_INPUT, Kept("indices", 1)), "the input is kept, of which the shape alone is read"
    ),
    "reduce": EagerRow(_reduce),
    **dict.fromkeys(
        (
            *("flatten", "reshape", "permute", "transpose", "channel_shuffle", "roll"),
            *("pixel_shuffle", "pixel_unshuffle", "unfold", "upsample", "crop", "slice", "parameter"),
        ),
        EagerRow(NOTHING),
    ),
    "pad": EagerRow(_pad, "padding by values of the map keeps its input, of which the shape alone is read"),
}
"""By kind. A kind that is missing is one that PyTorch lacks, or whose kernels keep what depends on the
device: recurrent layers and attention."""

FUSED = {"dropout": EagerRow(_fused_dropout)}
"""What differs on a GPU."""


def _copied(layer: Any, facts: Facts, needs: Needs) -> Iterable[Kept]:
    return (copy_of_input(facts),)


IN_PLACE = {
    **dict.fromkeys(("leaky_relu", "elu", "selu"), OUTPUT),
    **dict.fromkeys(("relu6", "silu", "hardswish", "hardsigmoid", "hardtanh", "mish"), _copied),
}
"""What is kept of the kinds that keep something else if they are computed in place."""
