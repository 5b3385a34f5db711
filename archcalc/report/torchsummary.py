"""A network as torchsummary 1.5.1 lists it: https://github.com/sksq96/pytorch-summary.

torchsummary lists the modules of `torch.nn` that a forward pass calls, in the order in which they end.
`nn.Sequential` has no row. Other modules that contain layers have rows, numbered like the layers. Networks
are assumed to be written like torchvision's: joins, flattening, and padding are operators or functions, not
modules, and the loss includes the last softmax.

Its peculiarities are reproduced. Each call has a row, so parameters that calls share count every time. A
parameter outside a module, such as that of `layer_scale`, does not count. The estimates use 4 bytes per
value, whatever its type, and count the outputs of all rows twice, including containers. For several inputs,
they use the product of their sizes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from msgspec import Struct

from archcalc.conventions import way_of
from archcalc.network import Group, Node
from archcalc.profile import Profile

WIDTH = 64
HEADINGS = ("Layer (type)", "Output Shape", "Param #")
BYTES = 4
MEBIBYTE = 2**20

MODULES = {
    "conv": "Conv{}d",
    "depthwise": "Conv{}d",
    "pointwise": "Conv{}d",
    "conv_transpose": "ConvTranspose{}d",
    "fc": "Linear",
    "bn": "BatchNorm{}d",
    "instance_norm": "InstanceNorm{}d",
    "group_norm": "GroupNorm",
    "layer_norm": "LayerNorm",
    "lrn": "LocalResponseNorm",
    "maxpool": "MaxPool{}d",
    "avgpool": "AvgPool{}d",
    "lppool": "LPPool{}d",
    "maxunpool": "MaxUnpool{}d",
    "global_avgpool": "AdaptiveAvgPool{}d",
    "global_maxpool": "AdaptiveMaxPool{}d",
    "adaptive_avgpool": "AdaptiveAvgPool{}d",
    "adaptive_maxpool": "AdaptiveMaxPool{}d",
    "upsample": "Upsample",
    "dropout": "Dropout",
    "drop_path": "StochasticDepth",
    "relu": "ReLU",
    "relu6": "ReLU6",
    "leaky_relu": "LeakyReLU",
    "prelu": "PReLU",
    "elu": "ELU",
    "selu": "SELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "hardswish": "Hardswish",
    "hardsigmoid": "Hardsigmoid",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softmax": "Softmax",
    "log_softmax": "LogSoftmax",
    "logsigmoid": "LogSigmoid",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "mish": "Mish",
    "hardtanh": "Hardtanh",
    "glu": "GLU",
    "pixel_shuffle": "PixelShuffle",
    "pixel_unshuffle": "PixelUnshuffle",
    "unfold": "Unfold",
    "embedding": "Embedding",
    "deform_conv": "DeformConv2d",
    "local": "Local{}d",
    "rbf": "RBF",
    "subsample": "Subsample",
    "grn": "GRN",
}
"""The modules of layers by kind. Braces stand for the number of axes. The last four are not in `torch.nn`;
programs define them."""

BLOCKS = {"basic": "BasicBlock"}
"""Blocks whose names in torchvision are not their own names without underscores."""


class SummaryRow(Struct, frozen=True):
    """A row of the listing; `params` counts this call."""

    name: str
    shape: tuple[int, ...]
    params: int

    @property
    def text(self) -> str:
        return _row(self.name, str(list(self.shape)), f"{self.params:,}")


def _row(name: str, shape: str, params: str) -> str:
    return f"{name:>20}  {shape:>25} {params:>15}"


def lines(profile: Profile) -> list[SummaryRow]:
    """The rows of a network: its layers, and each block that joins branches after its last layer."""
    batch = profile.batch if profile.batch > 1 else -1
    found: list[SummaryRow] = []
    for module, node in _modules(profile):
        params = 0
        if isinstance(module, Node):
            weights = [weight for weight in module.facts.weights if weight.role != "buffer"]
            params = sum(math.prod(weight.shape) for weight in weights)
        name, shape = _class_name(module), node.shape
        if isinstance(module, Node) and _is_linear(profile, module):
            name, shape = "Linear", (*shape[1:], shape[0])  # which has the channels last
        found.append(SummaryRow(f"{name}-{len(found) + 1}", (batch, *shape), params))
    return found


def _is_linear(profile: Profile, node: Node) -> bool:
    return profile.network.written.get(node.index) == "Linear"


def _modules(profile: Profile) -> Iterator[tuple[Node | Group, Node]]:
    """The modules in the order in which they end, each with the node of its output."""
    closing: dict[int, list[Group]] = {}
    for group in profile.network.module_blocks():
        closing.setdefault(group.stop - 1, []).append(group)
    ends = {node.index for node in (*profile.network.outputs.values(), *profile.network.heads.values())}
    modules = ("class", "linear")
    functions = {index for index, code in profile.network.written.items() if way_of(code) not in modules}
    for layer in profile.layers:
        node = layer.node
        if (
            node.kind in MODULES
            and node.index not in functions
            and not (node.kind == "softmax" and node.index in ends)
        ):
            yield node, node
        for group in reversed(closing.get(node.index, [])):
            yield group, group.output


def _class_name(module: Node | Group) -> str:
    if isinstance(module, Group):
        return BLOCKS.get(module.kind) or "".join(word.capitalize() for word in module.kind.split("_"))
    rank = len(module.facts.inputs[0]) - 1
    return MODULES[module.kind].format(max(rank, 1))


def torchsummary(profile: Profile) -> str:
    """The listing of a network, as torchsummary prints it.

    A batch of 1 is torchsummary's default, which it shows as -1.
    """
    rows = lines(profile)
    return "\n".join([*head(), *(row.text for row in rows), *foot(profile, rows)]) + "\n"


def head() -> list[str]:
    """The lines above the rows."""
    return ["-" * WIDTH, _row(*HEADINGS), "=" * WIDTH]


def foot(profile: Profile, rows: list[SummaryRow]) -> list[str]:
    """The totals below the rows."""
    total = sum(row.params for row in rows)
    inputs = profile.batch * math.prod(math.prod(node.shape) for node in profile.network.inputs.values())
    outputs = abs(sum(math.prod(row.shape) for row in rows))
    sizes = [BYTES * inputs, 2 * BYTES * outputs, BYTES * total]
    titles = (
        "Input size (MB)",
        "Forward/backward pass size (MB)",
        "Params size (MB)",
        "Estimated Total Size (MB)",
    )
    return [
        "=" * WIDTH,
        f"Total params: {total:,}",
        f"Trainable params: {total:,}",
        "Non-trainable params: 0",
        "-" * WIDTH,
        *(
            f"{title}: {size / MEBIBYTE:.2f}"
            for title, size in zip(titles, [*sizes, sum(sizes)], strict=True)
        ),
        "-" * WIDTH,
    ]
