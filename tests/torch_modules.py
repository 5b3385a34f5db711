"""archcalc's networks in PyTorch, as one would write them there, for tests against PyTorch and its tools.

Layers are modules of `torch.nn`, joins are operators, and the rest are functions and plain tensor
operations, as torchvision writes them. A module has the path of its node as its name, `:` for `/`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import pytest

from archcalc.layers.arguments import dim_index
from archcalc.network import Network, Node

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

Step = tuple[Any, Callable[..., Tensor]]
"""What a node owns (a module, a list of parameters, or nothing) and what is done with it and the inputs."""


def to_torch(network: Network, inplace: bool = False, logits: bool = False) -> nn.Module:
    """A module that computes the network: its inputs in, its result out, or all its results as a tuple.

    Heads used in training only are left out, and the module is in evaluation mode. `inplace` is that of
    activations; with `logits` a softmax at the end is left out, as PyTorch's models do. Under
    `torch.device("meta")` the weights take neither time nor memory. Raises `NotImplementedError` for a
    layer that PyTorch has no counterpart of.
    """
    return InTorch(network, inplace, logits).eval()


def inputs_of(network: Network, batch: int = 1) -> tuple[Tensor, ...]:
    """Random tensors of the shapes that the network takes."""
    return tuple(torch.rand(batch, *node.shape) for node in network.inputs.values())


class InTorch(nn.Module):
    def __init__(self, network: Network, inplace: bool, logits: bool) -> None:
        super().__init__()
        unpooled = {node.inputs[1].index for node in network.layers if node.kind == "maxunpool"}
        self.inputs = [node.index for node in network.inputs.values()]
        self.outputs = [node.index for node in network.outputs.values()]
        self.steps: list[tuple[int, str, int, Callable[..., Tensor], list[int]]] = []
        for node in network.layers:
            if node.training:
                continue
            if node.kind not in STEPS:
                raise NotImplementedError(f"{node.layer}: PyTorch has no such layer")
            left_out = logits and node.kind == "softmax" and node.index in self.outputs
            if left_out:
                owned, call = None, lambda _, x: x
            elif node.index in network.written:
                owned, call = _as_written(node, network.written[node.index])
            else:
                owned, call = STEPS[node.kind](node)
            name = (node.shares or node).name.replace("/", ":")
            if isinstance(owned, nn.Module):
                if hasattr(owned, "inplace") and not isinstance(owned, nn.Dropout):
                    owned.inplace = inplace
                if node.index in unpooled:
                    owned.return_indices = True
                if node.shares is None:
                    self.add_module(name, owned)
            elif node.shares is None:
                for index, parameter in enumerate(owned or ()):
                    self.register_parameter(f"{name}:{index}", parameter)
            count = len(owned) if isinstance(owned, list) else 0
            self.steps.append((node.index, name, count, call, [source.index for source in node.inputs]))

    def forward(self, *given: Tensor) -> Any:
        values: dict[int, Any] = dict(zip(self.inputs, given, strict=True))
        indices: dict[int, Tensor] = {}
        for index, name, count, call, sources in self.steps:
            owned = [getattr(self, f"{name}:{i}") for i in range(count)] or self._modules.get(name)
            if isinstance(owned, nn.MaxUnpool1d | nn.MaxUnpool2d | nn.MaxUnpool3d):
                x, pool = sources
                values[index] = call(owned, values[x], indices[pool])
                continue
            values[index] = call(owned, *(values[source] for source in sources))
            if isinstance(values[index], tuple):
                values[index], indices[index] = values[index]
        results = [values[index] for index in self.outputs]
        return results[0] if len(results) == 1 else tuple(results)


# --- Steps that are not modules of torch.nn ---------------------------------------------------------


def _as_written(node: Node, code: str) -> Step:
    """What `written` says of a layer: a function, a mean over the map, or a class of norms."""
    if code == "LayerNorm2d":
        return LayerNorm2d(node.shape[0], float(node.layer.eps)), _apply  # type: ignore[attr-defined]
    if code == "Tensor.mean":
        return None, lambda _, x: x.mean(tuple(range(2, x.dim())), keepdim=True)
    if code == "Tensor.chunk":
        half = int(node.layer.start > 0)  # type: ignore[attr-defined]
        return None, lambda _, x: x.chunk(2, 1)[half]
    return None, FUNCTIONS[code](node)


class LayerNorm2d(nn.LayerNorm):
    """As in torchvision: over the channels, with these last for as long as it takes.

    Here it also takes the vector after a `flatten`, which torchvision normalizes before it flattens.
    """

    def forward(self, x: Tensor) -> Tensor:
        channels_last = x.movedim(1, -1)
        x = functional.layer_norm(channels_last, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.movedim(-1, 1)


def _functional(name: str, *fields: str) -> Callable[[Node], Callable[..., Tensor]]:
    """A function of `torch.nn.functional`, called with fields of the layer."""

    def make(node: Node) -> Callable[..., Tensor]:
        given = {field: _number(getattr(node.layer, field)) for field in fields}
        return lambda _, x: getattr(functional, name)(x, **given)

    return make


def _number(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_number, value))
    return float(value) if isinstance(value, Fraction) else value


_WINDOW = ("kernel_size", "stride", "padding", "ceil_mode")
FUNCTIONS = {
    **{f"F.{name}": _functional(name) for name in ("relu", "relu6", "gelu", "silu", "tanh", "sigmoid")},
    "F.leaky_relu": _functional("leaky_relu", "negative_slope"),
    "F.elu": _functional("elu", "alpha"),
    "F.softmax": lambda node: lambda _, x: functional.softmax(x, 1),
    "F.avg_pool2d": _functional("avg_pool2d", *_WINDOW, "count_include_pad"),
    "F.max_pool2d": _functional("max_pool2d", *_WINDOW),
    "F.adaptive_avg_pool2d": lambda node: lambda _, x: functional.adaptive_avg_pool2d(x, node.shape[1:]),
    "F.adaptive_max_pool2d": lambda node: lambda _, x: functional.adaptive_max_pool2d(x, node.shape[1:]),
    "F.interpolate": _functional("interpolate", "size", "scale_factor", "mode"),
    "F.local_response_norm": _functional("local_response_norm", "size", "alpha", "beta", "k"),
    "F.lp_pool2d": _functional("lp_pool2d", "norm_type", "kernel_size", "stride", "ceil_mode"),
}


# --- Steps by kind ----------------------------------------------------------------------------------


def _ranked(name: str, rank: int) -> Any:
    return getattr(nn, f"{name}{rank}d")


def _rank(node: Node) -> int:
    return len(node.facts.inputs[0]) - 1


def _apply(module: nn.Module, *inputs: Tensor) -> Any:
    return module(*inputs)


def _module(make: Callable[[Any], nn.Module]) -> Callable[[Node], Step]:
    """Of a kind whose module follows from its arguments alone."""
    return lambda node: (make(node.layer), _apply)


def _function(call: Callable[..., Tensor]) -> Callable[[Node], Step]:
    """Of a kind that is an operator or a function of its inputs alone."""
    return lambda node: (None, lambda _, *inputs: call(*inputs))


def _places(node: Node) -> tuple[dict[str, Any], Callable[..., Any]]:
    """The arguments of a window, and how it is applied: padding that is not the same at both ends of an
    axis is put around the map before."""
    windows: Any = node.facts.windows
    arguments = {
        "kernel_size": tuple(w.kernel_size for w in windows),
        "stride": tuple(w.stride for w in windows),
        "dilation": tuple(w.dilation for w in windows),
    }
    if all(w.before == w.after for w in windows):
        return {**arguments, "padding": tuple(w.before for w in windows)}, _apply
    if getattr(node.layer, "ceil_mode", False) or not getattr(node.layer, "count_include_pad", True):
        raise NotImplementedError(f"{node.layer}: PyTorch pads both ends of an axis alike")
    ends = [end for w in reversed(windows) for end in (w.before, w.after)]
    value = float("-inf") if node.kind == "maxpool" else 0.0
    return {**arguments, "padding": 0}, lambda module, x: module(functional.pad(x, ends, value=value))


def _conv(node: Node) -> Step:
    layer: Any = node.layer
    if getattr(layer, "connections", None) is not None:
        raise NotImplementedError(f"{node.kind} with a table of connections: PyTorch has no such layer")
    (shape,) = node.facts.inputs
    arguments, call = _places(node)
    groups = shape[0] if node.kind == "depthwise" else getattr(layer, "groups", 1)
    module = _ranked("Conv", _rank(node))(
        shape[0], node.shape[0], groups=groups, bias=layer.bias, **arguments
    )
    if layer.weight == "fixed":
        module.weight.requires_grad_(False)
    return module, call


def _conv_transpose(node: Node) -> Step:
    layer: Any = node.layer
    windows: Any = node.facts.windows
    if any(w.before != w.after for w in windows):
        raise NotImplementedError(f"{node.layer}: PyTorch cuts both ends of an axis alike")
    module = _ranked("ConvTranspose", _rank(node))(
        node.facts.inputs[0][0],
        layer.out_channels,
        layer.kernel_size,
        layer.stride,
        tuple(w.before for w in windows),
        layer.output_padding,
        layer.groups,
        layer.bias,
        layer.dilation,
    )
    return module, _apply


def _deform_conv(node: Node) -> Step:
    layer: Any = node.layer
    ends = [(w.before, w.after) for w in layer.kernel_windows(node.facts.inputs[0])]
    if any(before != after for before, after in ends):
        raise NotImplementedError(f"{layer}: PyTorch pads both ends of an axis alike")
    module = pytest.importorskip("torchvision").ops.DeformConv2d(
        node.facts.inputs[0][0],
        layer.out_channels,
        layer.kernel_size,
        layer.stride,
        tuple(before for before, _ in ends),
        layer.dilation,
        layer.groups,
        layer.bias,
    )
    return module, _apply


def _fc(node: Node) -> Step:
    layer: Any = node.layer
    module = nn.Linear(node.facts.inputs[0][0], layer.out_features, layer.bias)
    if layer.weight == "fixed":
        module.weight.requires_grad_(False)
    return module, _apply


def _embedding(node: Node) -> Step:
    layer: Any = node.layer
    module = nn.Embedding(layer.num_embeddings, layer.embedding_dim)
    return module, lambda module, x: module(x.long()).movedim(-1, 1)


def _recurrent(node: Node) -> Step:
    layer: Any = node.layer
    if layer.bias == "one":
        raise NotImplementedError(f"{node.layer}: PyTorch has two biases or none")
    how = {"nonlinearity": layer.nonlinearity} if node.kind == "rnn" else {}
    module = getattr(nn, node.kind.upper())(
        node.facts.inputs[0][0], layer.hidden_size, layer.num_layers, bias=layer.bias, batch_first=True,
        bidirectional=layer.bidirectional, **how,
    )  # fmt: skip

    def call(module: nn.Module, x: Tensor) -> Tensor:
        out, last = module(x.transpose(1, 2).contiguous())  # as code has it: features last
        if layer.return_sequences:
            return out.transpose(1, 2)
        states = last[0] if node.kind == "lstm" else last
        return torch.cat(list(states[-layer.directions :]), 1)

    return module, call


def _bn(node: Node) -> Step:
    layer: Any = node.layer
    module = _ranked("BatchNorm", max(_rank(node), 1))(
        node.shape[0], float(layer.eps), float(layer.momentum), layer.affine, layer.track_running_stats
    )
    return module, _apply


def _layer_norm(node: Node) -> Step:
    """Over the channels alone, PyTorch wants these last: as in torchvision's ConvNeXt."""
    layer: Any = node.layer
    channels = layer.dim == "channels" and _rank(node) > 0
    shape = node.shape[:1] if channels else node.shape
    module = nn.LayerNorm(shape, float(layer.eps), layer.elementwise_affine, layer.bias)
    if not channels:
        return module, _apply
    axes = range(_rank(node) + 2)
    last, first = (0, *axes[2:], 1), (0, axes[-1], *axes[1:-1])
    return module, lambda module, x: module(x.permute(last)).permute(first)


def _instance_norm(node: Node) -> Step:
    layer: Any = node.layer
    return _ranked("InstanceNorm", _rank(node))(node.shape[0], float(layer.eps), affine=layer.affine), _apply


def _group_norm(node: Node) -> Step:
    layer: Any = node.layer
    return nn.GroupNorm(layer.num_groups, node.shape[0], float(layer.eps), layer.affine), _apply


def _along_channels(node: Node, *names: str) -> list[nn.Parameter]:
    return [nn.Parameter(torch.ones(node.shape[0], *[1] * _rank(node))) for _ in names]


def _grn(node: Node) -> Step:
    axes = tuple(range(2, _rank(node) + 2))
    eps = float(node.layer.eps)  # type: ignore[attr-defined]

    def call(owned: Sequence[Tensor], x: Tensor) -> Tensor:
        norm = x.norm(dim=axes, keepdim=True) if axes else x.abs()
        return owned[0] * (x * (norm / (norm.mean(1, keepdim=True) + eps))) + owned[1] + x

    return _along_channels(node, "gamma", "beta"), call


def _layer_scale(node: Node) -> Step:
    if node.layer.bias:  # type: ignore[attr-defined]
        return _along_channels(node, "gamma", "beta"), lambda owned, x: owned[0] * x + owned[1]
    return _along_channels(node, "gamma"), lambda owned, x: owned[0] * x


def _window_pool(name: str) -> Callable[[Node], Step]:
    def step(node: Node) -> Step:
        arguments, call = _places(node)
        arguments["kernel_size"] = node.layer.kernel_size  # type: ignore[attr-defined]
        if name == "AvgPool":
            layer: Any = node.layer
            if any(dilation != 1 for dilation in arguments.pop("dilation")):
                raise NotImplementedError(f"{layer}: PyTorch does not dilate average pools")
            arguments["count_include_pad"] = layer.count_include_pad
            if layer.divisor_override is not None:
                if _rank(node) == 1:
                    raise NotImplementedError(f"{layer}: PyTorch divides by the window along one axis")
                arguments["divisor_override"] = layer.divisor_override
        return _ranked(name, _rank(node))(ceil_mode=node.layer.ceil_mode, **arguments), call  # type: ignore[attr-defined]

    return step


def _lp_pool(node: Node) -> Step:
    layer: Any = node.layer
    kernel_size = layer.kernel_size
    if _rank(node) == 1 and isinstance(kernel_size, tuple):
        (kernel_size,) = kernel_size
    arguments = (layer.norm_type, kernel_size, layer.stride, layer.ceil_mode)
    return _ranked("LPPool", _rank(node))(*arguments), _apply


def _adaptive(name: str) -> Callable[[Node], Step]:
    """Of adaptive pools, and of global ones, which are adaptive pools to one place."""

    def step(node: Node) -> Step:
        size = getattr(node.layer, "output_size", 1)
        return _ranked(f"Adaptive{name}", _rank(node))(size), _apply

    return step


def _maxunpool(node: Node) -> Step:
    windows: Any = node.facts.windows
    if any(w.before != w.after or w.dilation != 1 for w in windows):
        raise NotImplementedError("maxunpool: PyTorch pads both ends alike, and does not dilate")
    module = _ranked("MaxUnpool", _rank(node))(
        tuple(w.kernel_size for w in windows),
        tuple(w.stride for w in windows),
        tuple(w.before for w in windows),
    )
    sizes = node.shape[1:]
    return module, lambda module, x, indices: module(x, indices, sizes)


def _softmax(node: Node) -> Step:
    return nn.Softmax(dim=1 + dim_index(node.layer.dim, node.shape, node.kind)), _apply  # type: ignore[attr-defined]


def _log_softmax(node: Node) -> Step:
    return nn.LogSoftmax(dim=1 + dim_index(node.layer.dim, node.shape, node.kind)), _apply  # type: ignore[attr-defined]


def _glu(node: Node) -> Step:
    return nn.GLU(1 + dim_index(node.layer.dim, node.facts.inputs[0], node.kind)), _apply  # type: ignore[attr-defined]


def _hardsigmoid(node: Node) -> Step:
    layer: Any = node.layer
    if layer == type(layer)():
        return nn.Hardsigmoid(), _apply
    slope, offset = float(layer.slope), float(layer.offset)
    return None, lambda _, x: torch.clamp(slope * x + offset, 0, 1)


def _softplus(layer: Any) -> nn.Module:
    return nn.Softplus(float(layer.beta), float(layer.threshold))


def _pow(node: Node) -> Step:
    exponent = _number(node.layer.exponent)  # type: ignore[attr-defined]
    return None, lambda _, x: torch.pow(x, exponent)


def _clamp(node: Node) -> Step:
    low, high = _number(node.layer.min), _number(node.layer.max)  # type: ignore[attr-defined]
    return None, lambda _, x: torch.clamp(x, low, high)


def _reduce(node: Node) -> Step:
    layer: Any = node.layer
    shape = node.facts.inputs[0]
    names = layer.dim if isinstance(layer.dim, tuple) else (layer.dim,)
    dims = tuple(1 + dim_index(name, shape, node.kind) for name in names) if layer.dim else ()
    function: Any = {
        "sum": torch.sum,
        "mean": torch.mean,
        "max": torch.amax,
        "min": torch.amin,
        "var": torch.var,
        "norm": torch.linalg.vector_norm,
    }[layer.op]
    how = {"dim": dims or tuple(range(2, len(shape) + 1)), "keepdim": layer.keepdim}
    if layer.op == "var":
        how["correction"] = layer.correction
    return None, lambda _, x: function(x, **how)


def _transpose(node: Node) -> Step:
    dims = [dim if dim < 0 else dim + 1 for dim in (node.layer.dim0, node.layer.dim1)]  # type: ignore[attr-defined]
    return None, lambda _, x: x.transpose(*dims)


def _roll(node: Node) -> Step:
    layer: Any = node.layer
    dim = 1 + dim_index(layer.dim, node.shape, node.kind)
    return None, lambda _, x: torch.roll(x, layer.shift, dim)


def _stack(node: Node) -> Step:
    dim: int = node.layer.dim  # type: ignore[attr-defined]
    return None, lambda _, *inputs: torch.stack(inputs, dim if dim < 0 else dim + 1)


def _upsample(node: Node) -> Step:
    layer: Any = node.layer
    mode = {
        "nearest_exact": "nearest-exact",
        "bilinear": {1: "linear", 2: "bilinear", 3: "trilinear"}[_rank(node)],
    }.get(layer.mode, layer.mode)
    if mode == "bicubic" and _rank(node) != 2:
        raise NotImplementedError(f"{layer}: PyTorch has bicubic upsampling for maps of two axes only")
    scale = layer.scale_factor
    scale = tuple(map(float, scale)) if isinstance(scale, tuple) else scale and float(scale)
    align_corners = None if mode.startswith("nearest") else layer.align_corners
    return nn.Upsample(layer.size, scale, mode, align_corners), _apply


def _reshape(node: Node) -> Step:
    return None, lambda _, x: x.reshape(-1, *node.shape)


def _permute(node: Node) -> Step:
    dims = (0, *(1 + dim for dim in node.layer.dims))  # type: ignore[attr-defined]
    return None, lambda _, x: x.permute(dims)


def _channel_shuffle(node: Node) -> Step:
    groups = node.layer.groups  # type: ignore[attr-defined]

    def call(_: None, x: Tensor) -> Tensor:
        batch, channels, *sizes = x.shape
        return x.view(batch, groups, channels // groups, *sizes).transpose(1, 2).reshape(x.shape)

    return None, call


def _ends(node: Node) -> list[tuple[int, int]]:
    ends: list[tuple[int, int]] = node.layer._ends(node.facts.inputs[0])  # type: ignore[attr-defined]
    return ends


def _pad(node: Node) -> Step:
    layer: Any = node.layer
    if layer.mode == "constant":
        ends = [end for axis in reversed(_ends(node)) for end in axis]
        return None, lambda _, x: functional.pad(x, ends, value=float(layer.value))
    ends = [end for axis in reversed(_ends(node)[1:]) for end in axis]
    return None, lambda _, x: functional.pad(x, ends, layer.mode)


def _cut(node: Node) -> Step:
    sizes = node.facts.inputs[0]
    kept = [slice(-before, n + after) for n, (before, after) in zip(sizes, _ends(node), strict=True)]
    return None, lambda _, x: x[(slice(None), *kept)]


def _concat(node: Node) -> Step:
    axis = 1 + dim_index(node.layer.dim, node.shape, node.kind)  # type: ignore[attr-defined]
    return None, lambda _, *inputs: torch.cat(inputs, axis)


def _added(*inputs: Tensor) -> Tensor:
    total = inputs[0] + inputs[1]
    for x in inputs[2:]:
        total = total + x
    return total


def _multiplied(*inputs: Tensor) -> Tensor:
    total = inputs[0] * inputs[1]
    for x in inputs[2:]:
        total = total * x
    return total


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    return a @ b


def _attention(node: Node) -> Step:
    layer: Any = node.layer
    channels, memory = node.facts.inputs[0][0], node.facts.inputs[-1][0]
    if layer.is_causal or layer.key_dim is not None or layer.value_dim is not None:
        raise NotImplementedError(
            f"{layer}: heads of PyTorch's module are the channels divided by their number"
        )
    module = nn.MultiheadAttention(
        channels, layer.num_heads, bias=layer.bias, kdim=memory, vdim=memory, batch_first=True
    )

    def call(module: Any, *inputs: Tensor) -> Tensor:
        # one tensor thrice is self-attention to PyTorch; tokens have their features last, as code has them
        query, *others = (x.flatten(2).transpose(1, 2).contiguous() for x in inputs)
        keys = others[0] if others else query
        out = module(query, keys, keys, need_weights=False)[0]
        return out.transpose(1, 2).reshape(inputs[0].shape)

    return module, call


def _parameter(node: Node) -> Step:
    return [nn.Parameter(torch.zeros(node.shape))], lambda owned: owned[0].unsqueeze(0)


def _factor(combine: Callable[[Tensor, Any], Tensor]) -> Callable[[Node], Step]:
    """`scale` and `shift`: a number of the text, or a trained one."""

    def step(node: Node) -> Step:
        layer: Any = node.layer
        axes = [1] * (len(node.shape) - 1)
        if layer.value is None:
            values = nn.Parameter(torch.ones(node.facts.weights[0].shape).reshape(-1, *axes))
            return [values], lambda owned, x: combine(x, owned[0])
        if not isinstance(layer.value, tuple):
            return None, lambda _, x: combine(x, float(layer.value))
        numbers = layer.value
        fixed = torch.tensor([float(number) for number in numbers], device="cpu").reshape(-1, *axes)
        return None, lambda _, x: combine(x, fixed.to(x.device))

    return step


STEPS: dict[str, Callable[[Node], Step]] = {
    "relu": _module(lambda _: nn.ReLU()),
    "relu6": _module(lambda _: nn.ReLU6()),
    "leaky_relu": _module(lambda layer: nn.LeakyReLU(float(layer.negative_slope))),
    "prelu": _module(lambda layer: nn.PReLU(layer.num_parameters)),
    "elu": _module(lambda layer: nn.ELU(float(layer.alpha))),
    "selu": _module(lambda _: nn.SELU()),
    "gelu": _module(lambda layer: nn.GELU(layer.approximate)),
    "silu": _module(lambda _: nn.SiLU()),
    "hardswish": _module(lambda _: nn.Hardswish()),
    "hardsigmoid": _hardsigmoid,
    "sigmoid": _module(lambda _: nn.Sigmoid()),
    "tanh": _module(lambda _: nn.Tanh()),
    "abs": _function(torch.abs),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "glu": _glu,
    "softplus": _module(_softplus),
    "mish": _module(lambda _: nn.Mish()),
    "hardtanh": _module(lambda layer: nn.Hardtanh(float(layer.min_val), float(layer.max_val))),
    "logsigmoid": _module(lambda _: nn.LogSigmoid()),
    "softsign": _module(lambda _: nn.Softsign()),
    **{
        name: _function(getattr(torch, name))
        for name in ("exp", "log", "sqrt", "rsqrt", "square", "sin", "cos", "erf")
    },
    "pow": _pow,
    "clamp": _clamp,
    "reduce": _reduce,
    "transpose": _transpose,
    "roll": _roll,
    "pixel_shuffle": _module(lambda layer: nn.PixelShuffle(layer.upscale_factor)),
    "pixel_unshuffle": _module(lambda layer: nn.PixelUnshuffle(layer.downscale_factor)),
    "unfold": _module(
        lambda layer: nn.Unfold(layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    ),
    "stack": _stack,
    "dropout": _module(lambda layer: nn.Dropout(float(layer.p))),
    "drop_path": _module(lambda _: nn.Identity()),
    "conv": _conv,
    "depthwise": _conv,
    "pointwise": _conv,
    "conv_transpose": _conv_transpose,
    "deform_conv": _deform_conv,
    "fc": _fc,
    "embedding": _embedding,
    "lstm": _recurrent,
    "gru": _recurrent,
    "rnn": _recurrent,
    "bn": _bn,
    "lrn": _module(
        lambda layer: nn.LocalResponseNorm(layer.size, float(layer.alpha), float(layer.beta), float(layer.k))
    ),
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "grn": _grn,
    "layer_scale": _layer_scale,
    "maxpool": _window_pool("MaxPool"),
    "avgpool": _window_pool("AvgPool"),
    "lppool": _lp_pool,
    "global_avgpool": _adaptive("AvgPool"),
    "global_maxpool": _adaptive("MaxPool"),
    "adaptive_avgpool": _adaptive("AvgPool"),
    "adaptive_maxpool": _adaptive("MaxPool"),
    "maxunpool": _maxunpool,
    "flatten": _function(lambda x: torch.flatten(x, 1)),
    "reshape": _reshape,
    "permute": _permute,
    "channel_shuffle": _channel_shuffle,
    "upsample": _upsample,
    "pad": _pad,
    "crop": _cut,
    "slice": _cut,
    "concat": _concat,
    "add": _function(_added),
    "mul": _function(_multiplied),
    "matmul": _function(_matmul),
    "attention": _attention,
    "parameter": _parameter,
    "scale": _factor(torch.mul),
    "shift": _factor(torch.add),
    "div": _function(lambda a, b: a / b),
    "sub": _function(lambda a, b: a - b),
}
"""Not here: `local`, `rbf` and `subsample`, which PyTorch lacks."""
