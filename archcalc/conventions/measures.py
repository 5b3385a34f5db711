"""What conventions are made of: figures of one layer, and rules that add them up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from archcalc.gradients import Gradients
from archcalc.layers.base import FAMILIES, KINDS
from archcalc.network import Node
from archcalc.number import largest
from archcalc.quantities import QUANTITIES


class Rule(Struct, frozen=True):
    """What a convention counts of a layer: a sum of figures, each with a factor.

    >>> (2 * INPUTS + WEIGHTS).text
    '2·inputs + weights'
    """

    parts: tuple[tuple[int, Measure], ...]

    def __add__(self, other: Rule | Measure) -> Rule:
        return Rule(self.parts + _rule(other).parts)

    def __call__(self, node: Node) -> int:
        return sum(times * measure.of(node) for times, measure in self.parts)

    @property
    def text(self) -> str:
        return " + ".join(part_text(times, measure) for times, measure in self.parts) or "0"


class Measure(Struct, frozen=True):
    """A figure of one layer at its place in a network, and its name in words."""

    text: str
    of: Callable[[Node], int]

    def __add__(self, other: Rule | Measure) -> Rule:
        return _rule(self) + other

    def __rmul__(self, times: int) -> Rule:
        return Rule(((times, self),))

    def __mul__(self, other: Measure) -> Measure:
        of, by = self.of, other.of
        return Measure(f"{self.text}·{other.text}", lambda node: of(node) * by(node))


def part_text(times: int, measure: Measure | OfBackward) -> str:
    return measure.text if times == 1 else f"{times}·{measure.text}"


def _rule(value: Rule | Measure) -> Rule:
    return value if isinstance(value, Rule) else Rule(((1, value),))


class OfBackward(Struct, frozen=True):
    """A figure of the backward pass of one layer, with the gradients that its network asks for."""

    text: str
    of: Callable[[Gradients, Node], int]


NOTHING = Rule(())
"""The rule of a kind that a tool knows and counts as 0. A kind without a rule is not counted."""


# --- Figures of a layer -----------------------------------------------------------------------------

MACS = Measure("MACs", lambda node: QUANTITIES["macs"].of_layer(node.facts))
FLOPS = Measure("FLOPs", lambda node: QUANTITIES["flops"].of_layer(node.facts))
BIAS = Measure("bias", lambda node: operations(node, "bias"))
"""One addition for each output value of a layer with a bias."""
INPUTS = Measure("inputs", lambda node: math.prod(node.facts.inputs[0]))
"""The values of the first input tensor."""
OUTPUTS = Measure("outputs", lambda node: math.prod(node.facts.output))
KERNEL = Measure("kernel", lambda node: kernel_area(node))
"""The places of a window: `k_h·k_w`."""
CHANNELS = Measure("channels", lambda node: node.facts.output[0])
PLACES = Measure("output places", lambda node: math.prod(node.facts.output[1:]))
"""The places of the output map, without its channels; 1 for a vector."""
PADDED_INPUTS = Measure("inputs", lambda node: padded_inputs(node))
"""The inputs as PyTorch's pools see them: uneven padding is a layer of its own, before the pool."""
ADDITIONS = Measure("additions", lambda node: MACS.of(node) - OUTPUTS.of(node) + BIAS.of(node))
"""Additions of dot products: one fewer than multiplications, and one more with a bias."""
PARAMS = Measure("params", lambda node: QUANTITIES["params"].of_layer(node.facts))
BUFFERS = Measure("buffers", lambda node: QUANTITIES["buffers"].of_layer(node.facts))
WEIGHTS = Measure("weights", lambda node: QUANTITIES["weights"].of_layer(node.facts))
PROJECTIONS = Measure("projections", lambda node: projections(node))
"""The MACs of an attention with its weights: without queries by keys, and scores by values."""
PROJECTED = Measure("queries, keys, values and results", lambda node: projected(node))
STATES = Measure("states", lambda node: states(node))
"""The states of a recurrent layer: one value per unit, step, direction, and layer of the stack."""
SEQUENCES = Measure("sequences", lambda node: states(node) // node.layer.num_layers)  # type: ignore[attr-defined]
"""The outputs of a recurrent layer at all steps, even if only the last state is used."""
JOINED = Measure("outputs", lambda node: joined(node))
"""The outputs of a join of two tensors. More tensors are joined one after another, and each result counts."""
COLUMNS = Measure("inputs·columns", lambda node: INPUTS.of(node) * node.shape[-1])
"""The values of the first matrices, times the columns of the second."""


def einsum_flops(node: Node) -> int:
    """The FLOPs of a product as NumPy's `einsum_path` prints them: with four digits.

    It prints `1.967e+07` for 19,668,992 FLOPs, which these tools read as 19,670,000.
    """
    return int(float(f"{2 * MACS.of(node):.3e}"))


def operations(node: Node, category: str) -> int:
    """The operations of a layer in one category of `layers.terms.OPERATIONS`."""
    return sum(term.value for name, term in node.facts.operations if name == category)


def joined(node: Node) -> int:
    """The values of all results when tensors are joined one after another."""
    total, (shape, *others) = 0, node.facts.inputs
    for other in others:
        shape = tuple(largest(pair) for pair in zip(shape, other, strict=True))
        total += math.prod(shape)
    return total


def projected(node: Node) -> int:
    """The values of the queries, keys, values, and results of an attention."""
    queries, memory = node.facts.inputs[0], node.facts.inputs[-1]
    return queries[0] * 2 * (math.prod(queries[1:]) + math.prod(memory[1:]))


def projections(node: Node) -> int:
    """The MACs of an attention with its weights."""
    macs = (term for name, term in node.facts.operations if name == "macs")
    return sum(term.value for term in macs if not term.label.startswith("scores"))


def states(node: Node) -> int:
    """The values of the states of a recurrent layer, at all steps."""
    layer: Any = node.layer
    values: int = layer.num_layers * layer.directions * layer.hidden_size * node.facts.inputs[0][1]
    return values


def kernel_area(node: Node) -> int:
    """The places of a layer's window, or of the whole map if the layer reads all of it."""
    windows = node.facts.windows
    if isinstance(windows, tuple):
        return math.prod(math.trunc(window.kernel_size) for window in windows)
    return math.prod(node.facts.inputs[0][1:])


def padded_inputs(node: Node) -> int:
    """The values of the first input tensor, with the padding that PyTorch's modules cannot do."""
    (channels, *sizes), windows = node.facts.inputs[0], node.facts.windows
    if not isinstance(windows, tuple) or all(w.before == w.after for w in windows):
        return INPUTS.of(node)
    ends = (math.trunc(w.before + w.after) for w in windows)
    return channels * math.prod(n + end for n, end in zip(sizes, ends, strict=True))


def scaled(measure: Measure, affine: int, plain: int) -> Measure:
    """A figure of a norm: `affine` times if it has a scale and shift, else `plain` times.

    Its text is that of a norm with scale and shift, which is the default.
    """

    def of(node: Node) -> int:
        times = affine if any(weight.role == "norm" for weight in node.facts.weights) else plain
        return times * measure.of(node)

    return Measure(part_text(affine, measure), of)


def _batch_norm(node: Node) -> int:
    fixed = node.layer.track_running_stats  # type: ignore[attr-defined]
    return (_AT_INFERENCE if fixed else WITH_STATISTICS).of(node)


_AT_INFERENCE = scaled(INPUTS, 2, 1)
WITH_STATISTICS = scaled(INPUTS, 5, 4)
"""The estimate of fvcore and DeepSpeed for a norm that computes its statistics."""
BATCH_NORM = Measure(_AT_INFERENCE.text, _batch_norm)
"""The same for a batch norm, which usually has its statistics from training."""


def _squares(node: Node) -> int:
    size: int = node.layer.size  # type: ignore[attr-defined]
    return (node.shape[0] + size - 1) * math.prod(node.shape[1:])


LOCAL_RESPONSE = 3 * INPUTS + Measure("padded inputs", _squares)
"""The functions that PyTorch's local response norm calls. It pads the channels of the squares it averages."""


def bilinear(node: Node) -> int:
    """4 per output of bilinear upsampling, and 0 for `nearest`."""
    return 4 * OUTPUTS.of(node) if node.layer.mode == "bilinear" else 0  # type: ignore[attr-defined]


BILINEAR = Measure("0 (4·outputs if bilinear)", bilinear)


def on_images(measure: Rule | Measure) -> Measure:
    """A figure of layers over two spatial axes. Others are other operators of PyTorch, and count 0."""
    rule = _rule(measure)
    return Measure(rule.text, lambda node: rule(node) if len(node.facts.inputs[0]) == 3 else 0)


# --- Figures of a backward pass ---------------------------------------------------------------------


def _backward_macs(gradients: Gradients, node: Node) -> int:
    return sum(term.value for category, term in gradients.operations(node) if category == "macs")


BACKWARD_MACS = OfBackward("MACs of the backward pass", _backward_macs)


def _of_other_groups(gradients: Gradients, node: Node) -> int:
    """The extra MACs if the weights of each group had gradients from all groups."""
    needs = gradients.needs.get(node.index)
    if node.kind not in (*CONVOLUTIONS, "conv_transpose") or needs is None or "weight" not in needs.trained:
        return 0
    groups = node.facts.inputs[0][0] if node.kind == "depthwise" else getattr(node.layer, "groups", 1)
    others: int = groups - 1
    return others * MACS.of(node)


OF_OTHER_GROUPS = OfBackward("(groups-1)·MACs of trained convolutions", _of_other_groups)


# --- Rules for many kinds ---------------------------------------------------------------------------


def each(kinds: Iterable[str], rule: Rule | Measure) -> dict[str, Rule]:
    """One rule for several kinds. The name of a family means all its kinds."""
    return dict.fromkeys(expand(kinds), _rule(rule))


def expand(names: Iterable[str]) -> list[str]:
    """The kinds that the given names of kinds and families mean. Raises `KeyError` for an unknown name."""
    kinds: list[str] = []
    for name in names:
        if name in KINDS or name == "input":
            kinds.append(name)
        elif name in FAMILIES:
            kinds += [kind for kind, cls in KINDS.items() if cls.family == name]
        else:
            raise KeyError(f"no layer kind or family is called {name}")
    return kinds


CONVOLUTIONS = ("conv", "depthwise", "pointwise")
"""The kinds that are one `torch.nn.Conv2d`."""
POOLS = (
    *("maxpool", "avgpool", "global_avgpool", "global_maxpool"),
    *("adaptive_avgpool", "adaptive_maxpool"),
)
FREE = (
    *("dropout", "drop_path", "flatten", "reshape", "permute", "transpose", "channel_shuffle", "parameter"),
)
"""Kinds that move values, do nothing at inference, or are not layers in any tool."""
RECURRENT = ("lstm", "gru", "rnn")
ACTIVATIONS = (
    *("relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "gelu", "silu"),
    *("hardswish", "hardsigmoid", "sigmoid", "tanh", "softmax"),
)
"""The activations that are modules of `torch.nn`. `abs` is only a function."""
MODULES = (
    *(*CONVOLUTIONS, "conv_transpose", "fc", *ACTIVATIONS, "dropout", "drop_path"),
    *("bn", "lrn", "layer_norm", "group_norm", "instance_norm"),
    *("maxpool", "avgpool", "lppool", "global_avgpool", "global_maxpool", "adaptive_avgpool"),
    *("adaptive_maxpool", "maxunpool", "upsample", "embedding", "deform_conv"),
    *("softplus", "mish", "hardtanh", "log_softmax", "logsigmoid", "softsign", "glu"),
    *("pixel_shuffle", "pixel_unshuffle", "unfold"),
)
"""The kinds that are modules with one output tensor: of `torch.nn`, except torchvision's `deform_conv`. The
others are operators and functions, and `attention` and recurrent layers, which output several tensors."""
UNSEEN: dict[str, dict[str, Rule]] = {"function": {}, "operator": {}, "class": {}}
"""For tools that only know the classes of `torch.nn`."""
MODULES_ONLY: dict[str, dict[str, Rule]] = {"function": {}, "operator": {}}
"""For tools that look at modules of any class, and at nothing else."""
AS_TORCHVISION = "layers are modules of torch.nn, and joins operators (`+`, `*`), as torchvision writes them"
"""A note for tools that count what PyTorch runs, for which the code of a network matters."""
