"""torchscan, of the repository torch-scan: its MACs, and the FLOPs of its formulas."""

import math
from typing import Any

from archcalc.conventions import Bug, Convention
from archcalc.conventions.measures import (
    ADDITIONS,
    AS_TORCHVISION,
    BIAS,
    CHANNELS,
    CONVOLUTIONS,
    FREE,
    INPUTS,
    MACS,
    MODULES_ONLY,
    NOTHING,
    OUTPUTS,
    PROJECTED,
    PROJECTIONS,
    Measure,
    each,
    kernel_area,
    scaled,
)
from archcalc.network import Node


def _axes(node: Node) -> int:
    return len(node.shape) - 1


def _window(node: Node) -> int:
    """A kernel size that is one number is not squared."""
    size: int | tuple[int, ...] = node.layer.kernel_size  # type: ignore[attr-defined]
    return math.prod(size) if isinstance(size, tuple) else size


def _adaptive_window(node: Node) -> int:
    """If the output size does not divide the input size, a window is the remainder plus one."""
    sizes = zip(node.facts.inputs[0][1:], node.shape[1:], strict=True)
    return math.prod(n % m + 1 if n % m else n // m for n, m in sizes)


def _maximum(node: Node) -> int:
    return (_window(node) - 1) * OUTPUTS.of(node)


def _mean(node: Node) -> int:
    return (_window(node) - 1 + _axes(node)) * OUTPUTS.of(node)


def _adaptive_maximum(node: Node) -> int:
    return (_adaptive_window(node) - 1) * OUTPUTS.of(node)


def _adaptive_mean(node: Node) -> int:
    return (_adaptive_window(node) - 1 + _axes(node)) * OUTPUTS.of(node)


def _transposed(node: Node) -> int:
    """As for a convolution, at the output places."""
    groups: int = node.layer.groups  # type: ignore[attr-defined]
    return OUTPUTS.of(node) * (node.facts.inputs[0][0] // groups) * kernel_area(node)


def _transposed_additions(node: Node) -> int:
    return _transposed(node) - OUTPUTS.of(node) + BIAS.of(node)


def _groups(node: Node) -> int:
    """The groups of values that a layer norm normalizes."""
    return 1 if node.layer.dim == "all" else math.prod(node.shape[1:])  # type: ignore[attr-defined]


def _affine(node: Node) -> int:
    return sum(weight.role == "norm" for weight in node.facts.weights) * INPUTS.of(node)


def _dropped(node: Node) -> int:
    return INPUTS.of(node) if node.layer.p else 0  # type: ignore[attr-defined]


def _attention(node: Node) -> int:
    """Projections, products and softmax by multiplications and additions, and one root for the scale."""
    (channels, *places), (features, *others) = node.facts.inputs[0], node.facts.inputs[-1]
    n, m = math.prod(places), math.prod(others)
    layer: Any = node.layer
    heads, bias = layer.num_heads, int(layer.bias)
    projections = sum(k * channels * (2 * c - 1 + bias) for k, c in [(n, channels), *2 * [(m, features)]])
    scores = heads * n * m * (2 * (channels // heads) - 1) + heads * n * (3 * m - 1)
    values = n * channels * (2 * m - 1)
    total: int = projections + 1 + n * channels + scores + values + n * channels * (2 * channels - 1 + bias)
    return total


def _linear_layers(node: Node) -> int:
    """The linear layers of timm's attention: multiplications and additions."""
    layer: Any = node.layer
    return 2 * PROJECTIONS.of(node) - (0 if layer.bias else PROJECTED.of(node))


_AXES = Measure("axes", _axes)
_TRANSPOSED = Measure("outputs·channels in/groups·kernel", _transposed)
_POOLS = (
    each(["maxpool"], Measure("(kernel - 1)·outputs", _maximum))
    | each(["avgpool"], Measure("(kernel - 1 + axes)·outputs", _mean))
    | each(["global_maxpool", "adaptive_maxpool"], Measure("(window - 1)·outputs", _adaptive_maximum))
    | each(["global_avgpool", "adaptive_avgpool"], Measure("(window - 1 + axes)·outputs", _adaptive_mean))
)
_MOVES = each(["concat", "pad", "crop", "slice", *FREE], NOTHING)

_SOURCE = "https://github.com/frgfm/torch-scan/blob/v0.2.0/torchscan/modules/"
_BUGS = (
    Bug(
        ("maxpool", "avgpool"),
        "a kernel size that is one number is not squared: a 3x3 window has 2 comparisons",
        _SOURCE + "macs.py",
    ),
    Bug(
        ("conv_transpose",),
        "multiplied by the output places instead of the input places",
        _SOURCE + "macs.py",
    ),
    Bug(
        ("adaptive_avgpool", "adaptive_maxpool"),
        "if the output size does not divide the input size, a window is the remainder plus one",
        _SOURCE + "_pooling.py",
    ),
)
_ONLY_MODULES = "only modules count, not operators and functions; it lists the modules that it does not know"

CONVENTIONS = (
    Convention(
        name="torchscan",
        title="torchscan's multiply-accumulations",
        unit="MACs",
        logits=True,
        written=MODULES_ONLY | {"timm": each(["attention"], PROJECTIONS)},
        version="0.2.0",
        source=_SOURCE + "macs.py",
        rules=each([*CONVOLUTIONS, "fc"], MACS)
        | each(["conv_transpose"], _TRANSPOSED + 4 * _AXES)
        | each(["bn"], scaled(INPUTS, 2, 1))
        | each(["relu", "relu6", "leaky_relu", "elu", "sigmoid", "tanh"], NOTHING)
        | _POOLS
        | _MOVES,
        notes=(
            "biases count 0, because the accumulation starts with them",
            "a batch norm without scale and shift counts 1·inputs",
            "an operation of a pool counts as one",
            _ONLY_MODULES,
            AS_TORCHVISION,
        ),
        bugs=_BUGS,
    ),
    Convention(
        name="torchscan-flops",
        title="torchscan's forward FLOPs, by its formulas",
        unit="FLOPs",
        logits=True,
        written=MODULES_ONLY
        | {"timm": each(["attention"], Measure("those of its linear layers", _linear_layers))},
        version="0.2.0",
        source=_SOURCE + "flops.py",
        rules=each([*CONVOLUTIONS, "fc"], MACS + ADDITIONS)
        | each(["conv_transpose"], _TRANSPOSED + Measure("additions", _transposed_additions) + 8 * _AXES)
        | each(["bn"], scaled(INPUTS, 4, 2) + 2 * CHANNELS)
        | each(["layer_norm"], 6 * INPUTS + 2 * Measure("means", _groups) + Measure("affine", _affine))
        | each(["attention"], Measure("MACs + additions + softmax", _attention))
        | each(["relu"], INPUTS)
        | each(["relu6"], 2 * INPUTS)
        | each(["leaky_relu", "sigmoid"], 4 * INPUTS)
        | each(["elu", "tanh"], 6 * INPUTS)
        | _POOLS
        | _MOVES
        | each(["dropout"], Measure("inputs", _dropped)),
        notes=(
            "multiplications plus additions, with one addition fewer per output",
            "a batch norm without scale and shift counts 2·inputs + 2·channels",
            "it also prints the FLOPs of operators, which are those of torch-flop-counter",
            _ONLY_MODULES,
            AS_TORCHVISION,
        ),
        bugs=(
            *_BUGS,
            Bug(("dropout",), "counts at inference, although it does nothing then", _SOURCE + "flops.py"),
        ),
    ),
)
