"""The layer kinds, one family per file. To add a kind, add a class to the file of its family.

Every class can be imported from here, by its own name and by PyTorch's name if that differs:
`from archcalc.layers import Conv2d, BatchNorm2d, ReLU, MaxPool2d, Linear`. One class covers 1-D, 2-D, and
3-D. The arguments are PyTorch's, without the input channels: `Conv2d(64, 3, padding=1)`.
"""

from typing import TYPE_CHECKING, Any

from archcalc.layers import (
    activation,
    arithmetic,
    attention,
    conv,
    deform,
    dropout,
    linear,
    merge,
    norm,
    opaque,
    pool,
    recurrent,
    reduction,
    reshape,
    resize,
    softmax,
    unary,
)
from archcalc.layers.arguments import LayerError
from archcalc.layers.base import FACTS, KINDS, Layer, facts
from archcalc.layers.terms import Facts

PYTORCH = {
    "conv": ("Conv1d", "Conv2d", "Conv3d"),
    "conv_transpose": ("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"),
    "fc": ("Linear",),
    "bn": ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d"),
    "instance_norm": ("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"),
    "maxpool": ("MaxPool1d", "MaxPool2d", "MaxPool3d"),
    "avgpool": ("AvgPool1d", "AvgPool2d", "AvgPool3d"),
    "lppool": ("LPPool1d", "LPPool2d", "LPPool3d"),
    "attention": ("MultiheadAttention",),
    "parameter": ("Parameter",),
    "maxunpool": ("MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"),
    "adaptive_avgpool": ("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d"),
    "adaptive_maxpool": ("AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d"),
    "hardswish": ("Hardswish",),
    "hardsigmoid": ("Hardsigmoid",),
}
"""PyTorch's names of a kind, where they differ from the name of its class."""

ELSEWHERE_IN_PYTORCH = {
    "abs": "torch.abs",
    "add": "torch.add",
    "clamp": "torch.clamp",
    "concat": "torch.cat",
    "cos": "torch.cos",
    "crop": "",
    "deform_conv": "torchvision.ops.DeformConv2d",
    "depthwise": "torch.nn.Conv2d(C_in, C_out, ..., groups=C_in)",
    "div": "torch.div",
    "drop_path": "torchvision.ops.StochasticDepth",
    "erf": "torch.erf",
    "exp": "torch.exp",
    "global_avgpool": "torch.nn.AdaptiveAvgPool2d(1)",
    "global_maxpool": "torch.nn.AdaptiveMaxPool2d(1)",
    "grn": "",
    "layer_scale": "",
    "local": "",
    "log": "torch.log",
    "matmul": "torch.matmul",
    "mul": "torch.mul",
    "opaque": "",
    "pad": "torch.nn.functional.pad",
    "permute": "torch.permute",
    "pointwise": "torch.nn.Conv2d(C_in, C_out, 1)",
    "pow": "torch.pow",
    "rbf": "",
    "reduce": "torch.sum, torch.mean, torch.amax, torch.amin, torch.var, torch.linalg.vector_norm",
    "reshape": "torch.reshape",
    "roll": "torch.roll",
    "rsqrt": "torch.rsqrt",
    "scale": "torch.mul",
    "shift": "torch.add",
    "sin": "torch.sin",
    "slice": "torch.narrow",
    "sqrt": "torch.sqrt",
    "square": "torch.square",
    "stack": "torch.stack",
    "sub": "torch.sub",
    "subsample": "",
    "transpose": "torch.transpose",
}
"""PyTorch's equivalent of the kinds whose class is not named after a module in `torch.nn`."""

CLASSES = {cls.__name__: cls for cls in KINDS.values()}
CLASSES |= {name: KINDS[kind] for kind, names in PYTORCH.items() for name in names}
globals().update(CLASSES)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # type checkers do not see registered classes


__all__ = [
    "CLASSES",
    "ELSEWHERE_IN_PYTORCH",
    "FACTS",
    "KINDS",
    "PYTORCH",
    "Facts",
    "Layer",
    "LayerError",
    "activation",
    "arithmetic",
    "attention",
    "conv",
    "deform",
    "dropout",
    "facts",
    "linear",
    "merge",
    "norm",
    "opaque",
    "pool",
    "recurrent",
    "reduction",
    "reshape",
    "resize",
    "softmax",
    "unary",
    *CLASSES,
]
