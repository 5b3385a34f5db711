"""onnx-tool, of networks as PyTorch exports them: with batch norms folded into convolutions, and without."""

import math
from typing import Any

from archcalc.conventions import Bug, Convention, Counter, readers_of
from archcalc.conventions.measures import (
    BIAS,
    CONVOLUTIONS,
    FREE,
    INPUTS,
    JOINED,
    MACS,
    NOTHING,
    OUTPUTS,
    STATES,
    Measure,
    Rule,
    bilinear,
    each,
    kernel_area,
)
from archcalc.network import Network, Node
from archcalc.number import largest

_MUL = _ADD = _COMPARE = 1
_DIV, _EXP, _SQRT, _LOG, _SIN = 4, 32, 24, 43, 39
_TANH = _EXP + 2 * _ADD + _DIV
"""The number of instructions of each operation in onnx-tool."""


def _source(node: Node) -> Node:
    """The node before a batch norm, or before several in a row."""
    while node.kind == "bn":
        (node,) = node.inputs
    return node


def _folds(node: Node) -> bool:
    tracks: bool = node.layer.track_running_stats  # type: ignore[attr-defined]
    return tracks and _source(node).kind in CONVOLUTIONS


def _unfolded(node: Node) -> int:
    return 0 if _folds(node) else OUTPUTS.of(node)


class _OfExport(Counter):
    """Also knows the batch norms that stay in an export: those of a convolution that other nodes read too."""

    def __init__(self, convention: Convention, network: Network) -> None:
        super().__init__(convention, network)
        readers = readers_of(network)
        self.kept: set[int] = set()
        for node in network.nodes:
            source = node
            while source.kind == "bn":
                (source,) = source.inputs
                if readers[source.index] > 1:
                    self.kept.add(node.index)

    def rule(self, node: Node) -> Rule | None:
        return _UNFOLDED if node.index in self.kept else super().rule(node)


class _Folded(Convention, frozen=True, eq=False):
    def counter(self, network: Network) -> Counter:
        return _OfExport(self, network)


def _bias_of_folded(node: Node) -> int:
    """The bias that the first batch norm after a convolution without a bias becomes."""
    (before,) = node.inputs
    return OUTPUTS.of(node) if _folds(node) and before.kind != "bn" and not BIAS.of(before) else 0


def _statistics(node: Node) -> int:
    return 0 if node.layer.track_running_stats else OUTPUTS.of(node)  # type: ignore[attr-defined]


def _window(node: Node) -> int:
    """The kernel: its two sizes multiplied, but over one axis or three the first alone."""
    windows = node.facts.windows
    if node.kind.startswith("adaptive"):
        sizes = [_widest(n, m) for n, m in zip(node.facts.inputs[0][1:], node.shape[1:], strict=True)]
    elif isinstance(windows, tuple):
        sizes = [math.trunc(window.kernel_size) for window in windows]
    else:
        sizes = list(node.facts.inputs[0][1:])
    return math.prod(sizes) if len(sizes) == 2 else sizes[0]


def _widest(n: int, m: int) -> int:
    """The widest of `m` adaptive windows over `n` values."""
    return largest([-(-(i + 1) * n // m) - i * n // m for i in range(m)])


def _adaptive_average(node: Node) -> int:
    if max(node.shape[1:]) == 1:
        return _GLOBAL_AVERAGE(node)
    return _window(node) * OUTPUTS.of(node)


def _normalized(node: Node) -> int:
    """The values of the input of a layer norm, divided by its channels."""
    return math.prod(node.shape[1:])


def _local_response(node: Node) -> int:
    size: int = node.layer.size  # type: ignore[attr-defined]
    return (_DIV + _EXP + _ADD + size * _MUL) * OUTPUTS.of(node)


def _transposed(node: Node) -> int:
    """As for a convolution whose weights have inputs and outputs exchanged, at the output places."""
    groups: int = node.layer.groups  # type: ignore[attr-defined]
    return OUTPUTS.of(node) * (node.shape[0] // groups) * kernel_area(node)


def _scaled_and_shifted(node: Node) -> int:
    layer: Any = node.layer
    return (1 + int(layer.bias)) * OUTPUTS.of(node)


def _upsample(node: Node) -> int:
    return 8 * OUTPUTS.of(node) if node.layer.mode == "bicubic" else bilinear(node)  # type: ignore[attr-defined]


def _attention(node: Node) -> int:
    """Queries and keys are both scaled. The factors are roots of one number, computed in the graph."""
    queries, memory = node.facts.inputs[0], node.facts.inputs[-1]
    n, m = math.prod(queries[1:]), math.prod(memory[1:])
    layer: Any = node.layer
    numbers = 3 * _SQRT + _DIV + (2 if queries[0] == memory[0] else 0)
    total: int = (n + m) * queries[0] * _MUL + layer.num_heads * n * m * (_EXP + _DIV) + numbers
    return total


def _attention_of_timm(node: Node) -> int:
    """The same without the sizes, which timm's code does not compute with."""
    return _attention(node) - 2


def _forward(node: Node) -> int:
    """The states of one direction; onnx-tool ignores the other."""
    layer: Any = node.layer
    return STATES.of(node) // int(layer.directions)


def _reduced(node: Node) -> int:
    layer: Any = node.layer
    if layer.op == "norm":
        return (_SQRT + _ADD) * INPUTS.of(node)
    if layer.op != "var":
        return INPUTS.of(node)
    corrected = (_MUL + _DIV) * OUTPUTS.of(node) + 1 if layer.correction else 0
    return 4 * INPUTS.of(node) + corrected


def _softplus(node: Node) -> int:
    """A `beta` other than 1 adds a multiplication and a division."""
    return (76 if node.layer.beta == 1 else 76 + _MUL + _DIV) * OUTPUTS.of(node)  # type: ignore[attr-defined]


def _indices(node: Node) -> int:
    """The graph adds the starts of windows and the offsets in them, along each axis."""
    layer: Any = node.layer
    sizes = node.facts.inputs[0][1:]
    return sum(
        math.trunc(w.kernel_size * ((n + w.before + w.after - w.extent) // w.stride + 1))
        for w, n in zip(layer._sliding(node.facts.inputs[0]), sizes, strict=True)
    )


_STATES = Measure("states of one direction", _forward)
_GLOBAL_AVERAGE: Rule = _ADD * INPUTS + _DIV * OUTPUTS
_POOL = Measure("kernel·outputs", lambda node: _window(node) * OUTPUTS.of(node))
_BATCH_NORM = _ADD + _SQRT + _DIV + _ADD + _MUL
_UNFOLDED = _BATCH_NORM * OUTPUTS + 5 * Measure("outputs of its own statistics", _statistics)

_RULES = (
    each([*CONVOLUTIONS, "fc"], MACS + BIAS)
    | each(["conv_transpose"], Measure("outputs·channels out/groups·kernel", _transposed) + BIAS)
    | each(["matmul"], MACS)
    | each(["attention"], MACS + BIAS + Measure("scaling and softmax", _attention))
    | each(["lstm"], MACS + BIAS + (4 + 3 * _EXP + 2 * _TANH + 4) * _STATES)
    | each(["gru"], MACS + BIAS + (3 + 2 * _EXP + _TANH + 5) * _STATES)
    | each(["relu", "abs", "scale", "shift", "square"], OUTPUTS)
    | each(["layer_scale"], Measure("outputs (2·outputs with a bias)", _scaled_and_shifted))
    | each(["div"], _DIV * OUTPUTS)
    | each(["exp", "pow"], _EXP * OUTPUTS)
    | each(["log"], _LOG * OUTPUTS)
    | each(["sqrt"], _SQRT * OUTPUTS)
    | each(["rsqrt"], (_SQRT + _DIV) * OUTPUTS)
    | each(["sin", "cos"], _SIN * OUTPUTS)
    | each(["clamp", "hardtanh"], 2 * OUTPUTS)
    | each(["softplus"], Measure("76·outputs", _softplus))
    | each(["mish"], 153 * OUTPUTS)
    | each(["log_softmax"], 80 * OUTPUTS)
    | each(["logsigmoid"], (_EXP + _LOG) * OUTPUTS)
    | each(["softsign"], (2 + _DIV) * OUTPUTS)
    | each(["glu"], (_EXP + _MUL) * OUTPUTS)
    | each(["reduce"], Measure("inputs (25·inputs of a norm, 4·inputs of a variance)", _reduced))
    | each(["unfold"], Measure("indices", _indices))
    | each(["relu6", "leaky_relu", "prelu"], 2 * OUTPUTS)
    | each(["elu"], (_COMPARE + _EXP + _ADD + _MUL) * OUTPUTS)
    | each(["gelu"], (_EXP + 2 * _MUL) * OUTPUTS)
    | each(["sigmoid"], _EXP * OUTPUTS)
    | each(["silu"], (_EXP + _MUL) * OUTPUTS)
    | each(["hardsigmoid"], (_MUL + _ADD + 2 * _COMPARE) * OUTPUTS)
    | each(["hardswish"], (2 * _MUL + _ADD + 2 * _COMPARE) * OUTPUTS)
    | each(["tanh"], 2 * _TANH * OUTPUTS)
    | each(["softmax"], (_EXP + _DIV) * OUTPUTS)
    | each(["lrn"], Measure("(37 + size)·outputs", _local_response))
    | each(["layer_norm"], 7 * INPUTS + (_ADD + _SQRT + _DIV) * Measure("output places", _normalized))
    | each(["group_norm"], (7 + _MUL + _ADD) * OUTPUTS)
    | each(["instance_norm"], 7 * OUTPUTS)
    | each(["grn"], (_ADD + _SQRT) * INPUTS + 4 * OUTPUTS + Measure("6", lambda _: 6))
    | each(["maxpool", "avgpool", "global_maxpool", "adaptive_maxpool"], _POOL)
    | each(["global_avgpool"], _GLOBAL_AVERAGE)
    | each(["adaptive_avgpool"], Measure("kernel·outputs", _adaptive_average))
    | each(["lppool"], _EXP * INPUTS + _POOL + (5 + _EXP) * OUTPUTS)
    | each(["upsample"], Measure("0 (4·outputs if bilinear, 8·outputs if bicubic)", _upsample))
    | each(["add", "mul", "sub"], JOINED)
    | each(["concat", "stack", "pad", "crop", "slice", "erf", "embedding"], NOTHING)
    | each(["roll", "pixel_shuffle", "pixel_unshuffle", *FREE], NOTHING)
)


def _half(node: Node) -> int:
    """The operations on one number that compute where a half of `chunk` ends. The second half needs fewer."""
    is_first = node.layer.start == 0  # type: ignore[attr-defined]
    return _ADD + _DIV + _MUL if is_first else _MUL


_WRITTEN = {
    "operator": each(["global_avgpool"], _ADD * INPUTS) | each(["slice"], Measure("6 or 1", _half)),
    "timm": each(["attention"], MACS + BIAS + Measure("scaling and softmax", _attention_of_timm)),
}

_SOURCE = "https://github.com/ThanatosShinji/onnx-tool/blob/main/onnx_tool/node.py"
_NOTES = (
    "instructions: a division counts 4, a root 24, an exponential 32",
    "operators as PyTorch's TorchScript exporter writes them (`dynamo=False`); its newer one writes a global "
    "average as a mean, which counts inputs alone, and may leave out biases that are zero",
    "two halves by `Tensor.chunk` count 7, because the exported graph computes where they end",
    "a local response norm is the operator LRN; PyTorch exports it as six others",
    "it stops at an operator that it does not know, such as Selu, RNN, or self-attention exported under "
    "`torch.no_grad()`",
)
_BUGS = (
    Bug(
        ("conv_transpose",),
        "multiplied by the output places, and by the output channels of a group instead of its input "
        "channels",
        "https://github.com/ThanatosShinji/onnx-tool/issues/32",
    ),
    Bug(
        ("bn",),
        "a root and a division per value, although both are known before the run",
        _SOURCE,
    ),
    Bug(("tanh",), "counts double", _SOURCE),
    Bug(
        ("maxpool", "avgpool", "global_maxpool"),
        "over three axes, only the first size of the kernel counts",
        _SOURCE,
    ),
    Bug(("lstm", "gru"), "the states of the second direction do not count", _SOURCE),
    Bug(("grn",), "the norms of all maps count as one number", _SOURCE),
)

CONVENTIONS = (
    _Folded(
        name="onnx-tool",
        title="onnx-tool, batch norms folded into the convolutions before them",
        unit="MACs",
        logits=True,
        written=_WRITTEN,
        version="1.0.1",
        source=_SOURCE,
        rules=_RULES
        | each(
            ["bn"],
            _BATCH_NORM * Measure("outputs not folded", _unfolded)
            + 5 * Measure("outputs of its own statistics", _statistics)
            + Measure("bias of what is folded", _bias_of_folded),
        ),
        notes=(
            "a batch norm after a convolution becomes its bias, as in every export for inference; it stays "
            "if another layer also reads the convolution",
            *_NOTES,
        ),
        bugs=_BUGS,
    ),
    Convention(
        name="onnx-tool-unfolded",
        title="onnx-tool, batch norms as they are",
        unit="MACs",
        logits=True,
        written=_WRITTEN,
        version="1.0.1",
        source=_SOURCE,
        rules=_RULES | each(["bn"], _UNFOLDED),
        notes=("batch norms stay in exports with `training=TrainingMode.PRESERVE`", *_NOTES),
        bugs=_BUGS,
    ),
)
