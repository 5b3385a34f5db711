"""calflops, a relative of DeepSpeed's profiler: its MACs, and its FLOPs."""

import math
from collections.abc import Mapping

from msgspec.structs import replace

from archcalc.conventions import Bug, Convention
from archcalc.conventions.measures import (
    AS_TORCHVISION,
    BATCH_NORM,
    BIAS,
    COLUMNS,
    CONVOLUTIONS,
    FREE,
    INPUTS,
    LOCAL_RESPONSE,
    MACS,
    NOTHING,
    OUTPUTS,
    PADDED_INPUTS,
    POOLS,
    PROJECTIONS,
    RECURRENT,
    STATES,
    WITH_STATISTICS,
    Measure,
    Rule,
    each,
    einsum_flops,
    kernel_area,
)
from archcalc.network import Node


def _transposed(node: Node) -> int:
    """The outputs of a group, divided by the groups again and rounded down."""
    groups: int = node.layer.groups  # type: ignore[attr-defined]
    channels, *places = node.facts.inputs[0]
    return kernel_area(node) * channels * (node.shape[0] // groups // groups) * math.prod(places)


def _transposed_bias(node: Node) -> int:
    """calflops uses the output places of a convolution, and the channels of one group."""
    groups: int = node.layer.groups  # type: ignore[attr-defined]
    windows = node.facts.windows
    if not BIAS.of(node):
        return 0
    assert isinstance(windows, tuple)
    places = math.prod(
        math.trunc((n + w.before + w.after - w.extent) // w.stride + 1)
        for n, w in zip(node.facts.inputs[0][1:], windows, strict=True)
    )
    return places * (node.shape[0] // groups)


def _upsample(node: Node) -> int:
    size: int | tuple[int, ...] | None = node.layer.size  # type: ignore[attr-defined]
    if size is None:
        return INPUTS.of(node)
    return math.prod(size) if isinstance(size, tuple) else size


_TRANSPOSED = Measure("inputs·kernel·channels out/groups²", _transposed)

_ACTIVATIONS = ("relu", "leaky_relu", "prelu", "elu", "gelu", "silu", "softmax")
_NORMS = ("layer_norm", "group_norm", "instance_norm")
_SOURCE = "https://github.com/MrYxJ/calculate-flops.pytorch/blob/main/calflops/pytorch_ops.py"
_MOVES = ("concat", "stack", "pad", "crop", "slice", "embedding", *FREE)

_TRANSPOSED_BUG = Bug(
    ("conv_transpose",),
    "divided by the groups twice, so a depthwise one counts 0",
    "https://github.com/deepspeedai/DeepSpeed/pull/8323",
)

_ATTENTION_BUG = Bug(
    ("attention",),
    "the products of queries by keys and of scores by values do not count: "
    "`scaled_dot_product_attention` is a function that it does not know",
    _SOURCE,
)
_ATTENTION = (
    "under `torch.no_grad()` self-attention is one operator that it does not know; `torch.matmul(a, b)` "
    "counts, `a @ b` does not; `torch.einsum` counts FLOPs to four digits, and no MACs"
)

_FLOPS = (
    each(CONVOLUTIONS, 2 * MACS + BIAS)
    | each(["fc"], 2 * MACS)
    | each(["attention"], 2 * PROJECTIONS)
    | each(["lstm"], 2 * MACS + BIAS + 2 * STATES)
    | each(["gru"], 2 * MACS + BIAS + STATES)
    | each(["rnn"], 2 * MACS + BIAS + Measure("-states", lambda node: -STATES.of(node)))
    | each(["conv_transpose"], 2 * _TRANSPOSED + Measure("bias", _transposed_bias))
    | each(["bn"], BATCH_NORM)
    | each(_NORMS, WITH_STATISTICS)
    | each(_ACTIVATIONS, INPUTS)
    | each(POOLS, PADDED_INPUTS)
    | each(["lrn"], LOCAL_RESPONSE)
    | each(["lppool"], INPUTS + 2 * OUTPUTS)
    | each(["upsample"], Measure("inputs, or the places of a given size", _upsample))
    | each(_MOVES, NOTHING)
)

_FORWARD = (
    Convention(
        name="calflops",
        title="calflops' MACs",
        unit="MACs",
        logits=True,
        written={
            "operator": {},
            "product": each(["matmul"], COLUMNS),
            "einsum": each(["matmul"], NOTHING),
        },
        version="0.3.2",
        source=_SOURCE,
        rules=each([*CONVOLUTIONS, "fc"], MACS)
        | each(["attention"], PROJECTIONS)
        | each(["conv_transpose"], _TRANSPOSED)
        | each(RECURRENT, NOTHING)
        | each([*_ACTIVATIONS, "bn", *_NORMS, "lrn", *POOLS, "lppool", "upsample"], NOTHING)
        | each(_MOVES, NOTHING),
        notes=(
            "biases count 0, and so does everything except convolutions and fully connected layers",
            "padding is in numbers here: `Conv2d(padding='same')` with an even kernel counts one place less",
            _ATTENTION,
            AS_TORCHVISION,
        ),
        bugs=(
            _TRANSPOSED_BUG,
            _ATTENTION_BUG,
            Bug(RECURRENT, "their count is added to the FLOPs, and not to the MACs", _SOURCE),
        ),
    ),
    Convention(
        name="calflops-flops",
        title="calflops' FLOPs",
        unit="FLOPs",
        logits=True,
        written={
            "operator": {},
            "product": each(["matmul"], 2 * COLUMNS),
            "einsum": each(["matmul"], Measure("FLOPs, to 4 digits", einsum_flops)),
            "function": _FLOPS | each(["relu6"], INPUTS) | each(["pointwise"], 2 * MACS),
            "linear": each(["pointwise"], 2 * MACS),
        },
        version="0.3.2",
        source=_SOURCE,
        rules=_FLOPS,
        notes=(
            "the bias of a convolution counts, and that of a fully connected layer does not",
            "a norm without scale and shift counts one less per value; a batch norm without running "
            "statistics counts as the other norms do",
            "functions and methods count, operators do not: `torch.add(a, b)` counts, `a + b` does not",
            "it fails on upsampling with one factor per axis",
            _ATTENTION,
            AS_TORCHVISION,
        ),
        bugs=(
            _TRANSPOSED_BUG,
            _ATTENTION_BUG,
            Bug(
                ("conv_transpose",),
                "the bias counts at the output places of a convolution, and for one group only",
                "https://github.com/deepspeedai/DeepSpeed/pull/8323",
            ),
            Bug(("fc",), "the bias does not count", _SOURCE),
            Bug(
                ("upsample",),
                "the scale factor is ignored, and so are the channels if a size is given",
                "https://github.com/deepspeedai/DeepSpeed/pull/8394",
            ),
            Bug(
                ("relu6",),
                "counted as the function `relu6`, while the module `ReLU6` calls `hardtanh`",
                _SOURCE,
            ),
        ),
    ),
)


def _in_training(convention: Convention) -> Convention:
    """Three times the forward pass: the backward pass is taken as twice as much."""

    def thrice(rules: Mapping[str, Rule]) -> dict[str, Rule]:
        return {kind: Rule(tuple((3 * times, m) for times, m in rule.parts)) for kind, rule in rules.items()}

    return replace(
        convention,
        name=f"{convention.name}-training",
        title=f"{convention.title}, forward and backward (`include_backPropagation`)",
        rules=thrice(convention.rules),
        written={way: thrice(rules) for way, rules in convention.written.items()},
        notes=(
            "the backward pass counts twice the forward pass (`compute_bp_factor=2.0`), even for frozen "
            "layers and the first layer",
            *convention.notes,
        ),
    )


CONVENTIONS = (*_FORWARD, *map(_in_training, _FORWARD))
"""The figures of the forward pass, and those that calflops prints as `fwd+bwd`."""
