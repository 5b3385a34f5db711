"""ptflops, with either of its backends."""

import math

from archcalc.conventions import Bug, Convention
from archcalc.conventions.measures import (
    AS_TORCHVISION,
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
    PLACES,
    POOLS,
    PROJECTIONS,
    STATES,
    UNSEEN,
    WEIGHTS,
    Measure,
    each,
    scaled,
)
from archcalc.network import Node


def _upsampled(node: Node) -> int:
    """The outputs of the module, plus the outputs of the function as ptflops estimates them: it rounds scale
    factors down if there is one per axis, but not a single one."""
    factor = node.layer.scale_factor  # type: ignore[attr-defined]
    if factor is None:
        return 2 * OUTPUTS.of(node)
    several = isinstance(factor, tuple)
    factors = tuple(map(math.trunc, factor)) if several else (factor,) * (len(node.shape) - 1)
    values: int = math.trunc(INPUTS.of(node) * math.prod(factors))
    return OUTPUTS.of(node) + values


def _interpolated(node: Node) -> int:
    """The outputs of the function alone, as ptflops estimates them."""
    return _upsampled(node) - OUTPUTS.of(node)


def _attention(node: Node) -> int:
    """If keys and values have other channels than the queries, ptflops uses theirs in all later steps."""
    (channels, *places), (features, *others) = node.facts.inputs[0], node.facts.inputs[-1]
    n, m = math.prod(places), math.prod(others)
    heads: int = node.layer.num_heads  # type: ignore[attr-defined]
    has_bias: bool = node.layer.bias  # type: ignore[attr-defined]
    projections = n * channels**2 + 2 * m * features**2
    bias = (n + 2 * m) * channels if has_bias else 0
    scores = heads * n * m * (channels // heads + 1 + features // heads)
    return n * channels + projections + bias + scores + n * features * (features + 1)


def _attention_of_timm(node: Node) -> int:
    """ptflops has a rule for this class, and therefore ignores the linear layers in it."""
    channels, *places = node.facts.inputs[0]
    heads: int = node.layer.num_heads  # type: ignore[attr-defined]
    n = math.prod(places)
    return n * channels + n * n * (2 * channels + heads)


def _deformed(node: Node) -> int:
    """24 operations per place of the window, and one more with a mask, independent of the channels."""
    groups: int = node.layer.groups  # type: ignore[attr-defined]
    kernel = WEIGHTS.of(node) * groups // (node.facts.inputs[0][0] * node.shape[0])
    each_place = 24 + (len(node.facts.inputs) > 2)
    return (WEIGHTS.of(node) + each_place * kernel) * PLACES.of(node)


_UPSAMPLED = Measure("2·outputs", _upsampled)

_ACTIVATIONS = ("relu", "prelu", "elu", "gelu")
_TWICE = (*_ACTIVATIONS, *POOLS, "upsample")
"""Kinds that count twice: as a module, and as the function that the module calls."""
_FUNCTIONS = (
    each([*_ACTIVATIONS, "relu6", "silu", "softmax"], INPUTS)
    | each(POOLS, PADDED_INPUTS)
    | each(["upsample"], Measure("outputs", _interpolated))
    | each(["fc"], MACS + BIAS)
    | each(["lrn"], LOCAL_RESPONSE)
    | each(["lppool"], INPUTS + 2 * OUTPUTS)
    | each(FREE, NOTHING)
)
"""The rules for functions that the code calls directly."""

_FUNCTIONAL = "https://github.com/sovrasov/flops-counter.pytorch/issues/139"

CONVENTIONS = (
    Convention(
        name="ptflops-pytorch",
        title="ptflops with its PyTorch backend, the default",
        unit="MACs",
        logits=True,
        written=UNSEEN
        | {
            "function": _FUNCTIONS,
            "product": each(["matmul"], COLUMNS),
            "timm": each(["attention"], Measure("queries + scores", _attention_of_timm)),
        },
        version="0.7.5",
        source="https://github.com/sovrasov/flops-counter.pytorch/blob/master/ptflops/pytorch_ops.py",
        aliases=("ptflops", "flops-counter.pytorch"),
        rules=each([*CONVOLUTIONS, "conv_transpose", "fc"], MACS + BIAS)
        | each(["bn", "group_norm", "instance_norm"], scaled(INPUTS, 2, 1))
        | each(["layer_norm", "leaky_relu", "relu6", "silu", "softmax"], INPUTS)
        | each(_ACTIVATIONS, 2 * INPUTS)
        | each(POOLS, 2 * PADDED_INPUTS)
        | each(["upsample"], _UPSAMPLED)
        | each(["lrn"], LOCAL_RESPONSE)
        | each(["lppool"], INPUTS + 2 * OUTPUTS)
        | each(["attention"], Measure("MACs + bias + queries + scores", _attention))
        | each(["lstm"], MACS + BIAS + 10 * STATES)
        | each(["gru"], MACS + BIAS + 7 * STATES)
        | each(["rnn"], MACS + BIAS + STATES)
        | each(["deform_conv"], Measure("MACs + 24·kernel·output places", _deformed) + BIAS)
        | each(FREE, NOTHING),
        notes=(
            "a batch, group or instance norm without scale and shift counts 1·inputs",
            "functions also count: `torch.add(a, b)` counts, `a + b` does not",
            AS_TORCHVISION,
        ),
        bugs=(
            Bug(
                _TWICE,
                "the module is counted, and the function that it calls is counted again",
                _FUNCTIONAL,
            ),
            Bug(
                ("attention",),
                "the last projection always counts a bias; if the keys have other channels than the "
                "queries, later steps are counted with theirs",
                "https://github.com/sovrasov/flops-counter.pytorch/blob/master/ptflops/pytorch_ops.py",
            ),
            Bug(
                ("attention",),
                "timm's attention counts without its linear layers, because a module that has a rule hides "
                "the modules in it",
                "https://github.com/sovrasov/flops-counter.pytorch/blob/master/ptflops/pytorch_engine.py",
            ),
        ),
    ),
    Convention(
        name="ptflops-aten",
        title="ptflops with its ATen backend",
        unit="MACs",
        logits=True,
        version="0.7.5",
        source="https://github.com/sovrasov/flops-counter.pytorch/blob/master/ptflops/aten_ops.py",
        rules=each([*CONVOLUTIONS, "conv_transpose", "fc"], MACS + BIAS)
        | each(["matmul"], MACS)
        | each(["attention"], PROJECTIONS + BIAS)
        | each(["gru", "rnn"], MACS + BIAS)
        | each(FREE, NOTHING),
        notes=(
            "MACs of convolutions and matrix products, and their biases",
            "an LSTM is one operator on a CPU, and not counted; a GRU and an RNN are matrix products",
            "under `torch.no_grad()` self-attention is one operator too, and not counted",
            AS_TORCHVISION,
        ),
        bugs=(
            Bug(
                ("attention",),
                "the products of queries by keys and of scores by values do not count, because they are in "
                "an operator that it does not know",
                "https://github.com/sovrasov/flops-counter.pytorch/blob/master/ptflops/aten_ops.py",
            ),
        ),
    ),
)
