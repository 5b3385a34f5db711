"""Names from other tools, and what to write instead. Used for the help of errors about unknown names."""

from __future__ import annotations

import re
from collections.abc import Collection

from archcalc.layers.base import KINDS
from archcalc.layers.computed import COMPUTED

_LAYERS = {
    "activation": "relu",
    "bmm": "matmul",
    "clip": "clamp",
    "depthtospace": "pixel_shuffle",
    "divide": "div",
    "dot": "matmul",
    "batchnorm": "bn",
    "cat": "concat",
    "concatenate": "concat",
    "convolution": "conv",
    "convtranspose": "conv_transpose",
    "cropping": "crop",
    "deconv": "conv_transpose",
    "deconvolution": "conv_transpose",
    "deformconv": "deform_conv",
    "dense": "fc",
    "depthwiseconv": "depthwise",
    "eltwise": "add",
    "fullyconnected": "fc",
    "gap": "global_avgpool",
    "hsigmoid": "hardsigmoid",
    "hswish": "hardswish",
    "leaky": "leaky_relu",
    "innerproduct": "fc",
    "int": "floor",
    "interpolate": "upsample",
    "linear": "fc",
    "localresponsenorm": "lrn",
    "locallyconnected": "local",
    "mha": "attention",
    "mm": "matmul",
    "multiheadattention": "attention",
    "multiheadselfattention": "attention",
    "multiply": "mul",
    "pointwiseconv": "pointwise",
    "power": "pow",
    "resize": "upsample",
    "scaleddotproductattention": "attention",
    "selfattention": "attention",
    "simplernn": "rnn",
    "spacetodepth": "pixel_unshuffle",
    "spatialdropout": "dropout",
    "stochasticdepth": "drop_path",
    "subtract": "sub",
    "swish": "silu",
    "upsampling": "upsample",
    "view": "reshape",
    "zeropad": "pad",
    "zeropadding": "pad",
}
"""What other tools call a layer, without `_` and `2d`, and its name in archcalc."""


def _like(kind: str) -> str:
    return f"archcalc has no such layer; `{kind}` has the same shape, parameters, and MACs"


_CELL = "archcalc has no single-step cells: `lstm`, `gru`, and `rnn` process a whole sequence"
_BOTH_WAYS = "write `lstm(..., bidirectional=true)`, or do the same with `gru` or `rnn`"
_BLOCK = "define a `block` from `attention`, norms, and `pointwise` layers"

_ABSENT = {
    **dict.fromkeys(("lstmcell", "grucell", "rnncell", "simplernncell"), _CELL),
    **dict.fromkeys(("bidirectional", "bilstm", "bigru", "birnn"), _BOTH_WAYS),
    "convlstm": "archcalc has no recurrent convolutions, and a block cannot replace their weights",
    "timedistributed": "layers already apply at each place: `pointwise(...)` is an `fc` at each step",
    **dict.fromkeys(("transformerencoderlayer", "transformerencoder", "transformer"), _BLOCK),
    "transformerdecoder": _BLOCK,
    "einsum": "write `matmul(a, b)`, with `permute` for other orders of axes",
    "embeddingbag": "write `embedding(...) -> global_avgpool -> flatten`, which is the mean of a bag",
    **dict.fromkeys(("chunk", "narrow"), "write `split(...)`, or a `slice(start, end)`"),
    **dict.fromkeys(("squeeze", "unsqueeze", "expanddims"), "write `reshape([...])`"),
    "separableconv": "write `depthwise(kernel_size) -> pointwise(out_channels)`",
    **dict.fromkeys(("sequential", "modulelist"), "chain layers with `->`, or write each on its own line"),
    "pool": "write `maxpool` or `avgpool`; Caffe rounds sizes up, which is `ceil_mode=true`",
    "residual": "write `add(identity, ...)`",
    "celu": _like("elu"),
    "mean": "the mean of each map is `global_avgpool`; other means are `reduce(\"mean\", dim=...)`",
    **dict.fromkeys(("amax", "amin"), "write `reduce(\"max\", dim=...)` or `reduce(\"min\", dim=...)`"),
    **dict.fromkeys(("var", "variance"), "write `reduce(\"var\", dim=...)`"),
    "print": "to check a figure, write `expect params < 5M`",
}  # fmt: skip
"""Layers and functions of other tools that archcalc does not have, and what replaces them."""

_ARGUMENTS = {
    "filters": ("out_channels",),
    "num_filter": ("out_channels",),
    "num_filters": ("out_channels",),
    "num_hidden": ("out_features",),
    "size": ("kernel_size",),
    "out_planes": ("out_channels",),
    "num_output": ("out_channels", "out_features"),
    "units": ("out_features", "hidden_size"),
    "num_units": ("hidden_size",),
    "dim": ("embedding_dim",),
    "input_dim": ("num_embeddings",),
    "output_dim": ("embedding_dim",),
    "kernel": ("kernel_size",),
    "kernel_shape": ("kernel_size",),
    "ksize": ("kernel_size",),
    "pool_size": ("kernel_size",),
    "strides": ("stride",),
    "dilation_rate": ("dilation",),
    "dilations": ("dilation",),
    "use_bias": ("bias",),
    "bias_term": ("bias",),
    "group": ("groups", "num_groups"),
    "pad": ("padding",),
    "pads": ("padding",),
    "border_mode": ("padding",),
    "auto_pad": ("padding",),
    "epsilon": ("eps",),
    "rate": ("p",),
    "alpha": ("negative_slope",),
    "axis": ("dim",),
    "depth_multiplier": ("multiplier",),
    "target_shape": ("shape",),
    "perm": ("dims",),
    "interpolation": ("mode",),
    "local_size": ("size",),
}
"""What other tools call an argument, and its names in archcalc."""

_INFERRED = (
    "in_channels", "in_features", "num_features", "num_channels", "input_shape", "input_dim",
    "normalized_shape", "inplanes", "input_size", "input_length",
)  # fmt: skip

_NO_FIGURE = (
    "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer", "kernel_constraint",
    "activity_regularizer", "weight_filler", "bias_filler", "depthwise_initializer", "padding_mode",
    "inplace", "device", "dtype", "return_indices", "divisor_override", "trainable", "gamma_initializer",
    "beta_initializer", "lr_mult", "decay_mult", "batch_first", "padding_idx", "max_norm",
    "recurrent_initializer", "recurrent_dropout", "unroll", "stateful", "mask_zero",
)  # fmt: skip


def plain_name(name: str) -> str:
    """A layer name without what other tools spell differently: `Conv2DTranspose` as `convtranspose`."""
    plain = re.sub("[123]d", "", name.lower().replace("_", "").removesuffix("layer"))
    return plain.replace("average", "avg").replace("normalization", "norm").replace("pooling", "pool")


def layer_named(name: str) -> str:
    """The layer kind that another tool calls `name`, or an empty string."""
    plain = plain_name(name)
    return _LAYERS.get(plain) or next((kind for kind in KINDS if kind.replace("_", "") == plain), "")


def help_for_layer(name: str) -> str:
    """What to write for a layer or function of another tool, or why archcalc does not have it."""
    known = layer_named(name)
    if name in ("view", "View"):
        return "write `flatten`, or `reshape([...])` with every size"
    return f"write `{known}`" if known else _ABSENT.get(plain_name(name), "")


def help_for_name(name: str, kind: str, names: Collection[str], value: str) -> str:
    """Help for an argument `name` that is not among the arguments `names` of a layer of this kind.

    `value` is the text of the argument's value.
    """
    for known in _ARGUMENTS.get(name, ()):
        if known in names:
            return f"write `{known}`"
    if name in COMPUTED and "weight" in names:
        return f'write `weight="{name}"`'
    if name in _INFERRED:
        return "leave it out: the input channels are known"
    base, _, axis = name.rpartition("_")
    known = _ARGUMENTS.get(base, (base,))[0]
    if axis in ("h", "w") and known in names:
        return f"give both axes in one argument, height first: `{known}=3x1`"
    if name == "batch_normalize":
        return f"write a norm as a separate step: `{kind}(...) -> bn`"
    word = value.strip('"')
    if name == "activation" and value.startswith('"'):
        return f"write an activation as a separate step: `{kind}(...) -> {layer_named(word) or word}`"
    if name == "name" and re.fullmatch(r'"[A-Za-z_]\w*"', value, re.ASCII):
        return f"use a label to name a layer: `{word}: {kind}(...)`"
    if name in ("data_format", "axis"):
        return "leave it out: shapes always have the channels first"
    return "leave it out: it does not affect any figure" if name in _NO_FIGURE else ""


# --- Names with dots ---------------------------------------------------------------------------------

_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
_CALL = re.compile(r"\(\s*(\d+)\s*,\s*([^()\n]+)\)")
_IN_CHANNELS = ("conv", "conv_transpose", "fc")


def help_for_dots(text: str, at: int) -> tuple[int, int, str]:
    """What to write for a name with dots: the start and the end of the name, and the help.

    `at` is the offset of the dot. The help is empty if there is no such name.
    """
    start = at
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] in "_."):
        start -= 1
    found = _DOTTED.match(text, start)
    if found is None:
        method = re.compile(r"\.([A-Za-z_]\w*)", re.ASCII).match(text, at)
        if method is None or text[at - 1 : at] not in (")", "]"):
            return at, at + 1, ""
        known = layer_named(method[1])
        return at, method.end(), f"chain layers with `->`: `-> {known or method[1]}`"
    names = found[0].split(".")
    rest = text[found.end() :].lstrip(" \t")
    return start, found.end(), _help_for_dotted(names, rest)


def _help_for_dotted(names: list[str], rest: str) -> str:
    last = names[-1]
    if names[0] == "self":
        bound = rest.startswith("=") and not rest.startswith("==")
        return f"write `{last}: ...`" if bound else f"`self` is not used: write `{last}`"
    if last in ("shape", "size", "channels") and len(names) == 2:
        return _help_for_shape(names[0], last, rest)
    known = help_for_layer(last)
    layer = layer_named(last)
    if names[0] in ("nn", "torch") and layer in _IN_CHANNELS and (call := _CALL.match(rest)) is not None:
        return f"write `{layer}({call[2]})`: layers have no prefix and no input channels"
    if names[0] in ("nn", "torch", "F", "layers", "keras", "tf", "L", "tfl", "functional", "torchvision"):
        return f"{known}, without a prefix" if known.startswith("write") else known
    if not layer or not rest.startswith("("):
        return known
    return f"write `{names[0]} -> {'reshape([...])' if layer == 'reshape' else layer}`"


def _help_for_shape(name: str, word: str, rest: str) -> str:
    """What to write for `x.shape[1]` or `x.size(1)`. In PyTorch, axis 0 is the batch."""
    axis = re.match(r"[\[(](-?\d)[\])]", rest)
    known = {
        "0": "a shape has no batch; `channels(x)` and `size(x)` give the other axes",
        "1": "write `channels(x)`",
        "2": "write `size(x)[0]`",
        "3": "write `size(x)[1]`",
        "-1": "write `size(x)[-1]`",
        "-2": "write `size(x)[-2]`",
    }
    help = known.get(axis[1]) if axis is not None else None
    return (help or f"write `{word}(x)`").replace("(x)", f"({name})")
