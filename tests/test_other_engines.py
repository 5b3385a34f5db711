"""Kernels and whole networks against PyTorch and onnxruntime, with the same weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from samples import make

import archcalc
from archcalc.executor.computed import with_computed_weight
from archcalc.executor.execute import run
from archcalc.executor.kernel import KERNELS, Call
from archcalc.executor.weights import Weights, random_weights
from archcalc.layers import Layer
from archcalc.layers.arguments import GivenTensor
from archcalc.layers.base import facts
from archcalc.network import Network

Array = np.ndarray
Shape = tuple[int, ...]

DOUBLE = 1e-10
SINGLE = 1e-4


def assert_close(actual: Array, expected: Array, relative: float) -> None:
    assert actual.shape == expected.shape
    scale = float(np.nanmax(np.abs(expected)))
    np.testing.assert_allclose(actual, expected, rtol=relative, atol=relative * scale)


def ours(layer: Layer, inputs: list[Array], weights: dict[str, Array], train: bool = False) -> Array:
    last = [np.ascontiguousarray(np.moveaxis(x, 1, -1)) for x in inputs]
    return np.moveaxis(
        KERNELS[type(layer)](layer, Call(last, with_computed_weight(layer, weights), train)), -1, 1
    )


def drawn(layer: Layer, shapes: tuple[Shape, ...], dtype: Any) -> tuple[list[Array], dict[str, Array]]:
    random = np.random.default_rng(5)
    inputs = [random.standard_normal((2, *shape)).astype(dtype) for shape in shapes]
    weights = {
        w.name: (random.uniform(0.5, 2, w.shape) if w.name == "running_var" else random.normal(size=w.shape))
        .astype(dtype)
        for w in facts(layer, shapes).weights
    }  # fmt: skip
    return inputs, weights


def output_first(weight: Array) -> Array:
    """`(out, in, *kernel)`, as the others have it, of `(*kernel, in, out)`."""
    return np.ascontiguousarray(np.moveaxis(weight, (-1, -2), (0, 1)))


def input_first(weight: Array) -> Array:
    """`(in, out, *kernel)`, for transposed convolutions."""
    return np.ascontiguousarray(np.moveaxis(weight, (-2, -1), (0, 1)))


# --- PyTorch, layer by layer ------------------------------------------------------------------------

MAP = (4, 9, 10)

# a layer, the shapes it reads, and the same for PyTorch: functional module, tensors, weights
Torch = Callable[[Any, list[Any], dict[str, Any]], Any]


def _conv(rank: int = 2, **how: Any) -> Torch:
    def apply(f: Any, xs: list[Any], w: dict[str, Any]) -> Any:
        moved = w["weight"].movedim((-1, -2), (0, 1))
        return getattr(f, f"conv{rank}d")(xs[0], moved, w.get("bias"), **how)

    return apply


def _transposed(rank: int = 2, **how: Any) -> Torch:
    def apply(f: Any, xs: list[Any], w: dict[str, Any]) -> Any:
        moved = w["weight"].movedim((-2, -1), (0, 1))
        return getattr(f, f"conv_transpose{rank}d")(xs[0], moved, w.get("bias"), **how)

    return apply


def _plain(name: str, *args: Any, **how: Any) -> Torch:
    return lambda f, xs, w: getattr(f, name)(*xs, *args, **how)


def _depthwise(f: Any, xs: list[Any], w: dict[str, Any]) -> Any:
    moved = w["weight"].movedim(-1, 0).unsqueeze(1)
    return f.conv2d(xs[0], moved, w["bias"], stride=(1, 2), padding=1, groups=4)


def _grouped_norm(groups: int) -> Torch:
    return lambda f, xs, w: f.group_norm(xs[0], groups, w["weight"], w["bias"])


def _bn(training: bool) -> Torch:
    return lambda f, xs, w: f.batch_norm(
        xs[0], w["running_mean"].clone(), w["running_var"].clone(), w["weight"], w["bias"], training
    )


DEFORMABLE: list[tuple[Any, tuple[Shape, ...]]] = [
    (make("deform_conv", 4, (3, 2), GivenTensor(), None, (2, 1), (1, 0), (1, 1)), ((6, 9, 10), (12, 5, 9))),
    (
        make("deform_conv", 4, (2, 3), GivenTensor(), GivenTensor(), (1, 1), (0, 2), (1, 2), 2, False),
        ((6, 9, 10), (36, 8, 10), (18, 8, 10)),
    ),
]


def _unpool(f: Any, xs: list[Any], w: dict[str, Any]) -> Any:
    pooled, at = f.max_pool2d(xs[0], (2, 3), return_indices=True)
    return f.max_unpool2d(pooled, at, (2, 3), output_size=xs[0].shape)


def _attention(heads: int, causal: bool = False) -> Torch:
    """`torch.nn.MultiheadAttention` with the same weights; tokens are rows there."""

    def apply(f: Any, xs: list[Any], w: dict[str, Any]) -> Any:
        import torch

        query, memory = (x.flatten(2).transpose(1, 2) for x in (xs[0], xs[-1]))
        width, features = query.shape[-1], memory.shape[-1]
        module = torch.nn.MultiheadAttention(
            width, heads, bias="query_bias" in w, kdim=features, vdim=features, batch_first=True
        ).to(query.dtype)
        names = ("query", "key", "value")
        weights = [w[name].T for name in names]
        if features == width:
            state = {"in_proj_weight": torch.cat(weights)}
        else:
            state = {f"{name[0]}_proj_weight": each for name, each in zip(names, weights, strict=True)}
        state["out_proj.weight"] = w["output"].T
        if "query_bias" in w:
            state["in_proj_bias"] = torch.cat([w[f"{name}_bias"] for name in names])
            state["out_proj.bias"] = w["output_bias"]
        module.load_state_dict(state)
        mask = torch.nn.Transformer.generate_square_subsequent_mask(query.shape[1]) if causal else None
        out = module(query, memory, memory, attn_mask=mask, need_weights=False)[0]
        return out.transpose(1, 2).reshape(xs[0].shape)

    return apply


def _normed(norm: str) -> Torch:
    """A convolution whose weight PyTorch computes; in evaluation mode, from the same arrays."""

    def apply(f: Any, xs: list[Any], w: dict[str, Any]) -> Any:
        import torch

        conv = torch.nn.Conv2d(4, 6, (2, 3), bias=False).to(xs[0].dtype)
        moved = w["weight"].movedim((-1, -2), (0, 1))
        if norm == "weight_norm":
            torch.nn.utils.parametrizations.weight_norm(conv)
            values = {"original0": w["gain"].reshape(-1, 1, 1, 1), "original1": moved}
            conv.load_state_dict({f"parametrizations.weight.{name}": v for name, v in values.items()})
        else:
            torch.nn.utils.parametrizations.spectral_norm(conv)
            values = {"original": moved, "0._u": w["u"], "0._v": w["v"].movedim(-1, 0).reshape(-1)}
            conv.load_state_dict({f"parametrizations.weight.{name}": v for name, v in values.items()})
        return conv.eval()(xs[0])

    return apply


def _standardized(f: Any, xs: list[Any], w: dict[str, Any]) -> Any:
    """As timm writes `StdConv2d`: a batch norm over the weights of each output channel."""
    moved = w["weight"].movedim((-1, -2), (0, 1))
    flat = f.batch_norm(moved.reshape(1, 6, -1), None, None, training=True, momentum=0.0, eps=1e-6)
    return f.conv2d(xs[0], flat.reshape_as(moved))


def _scaled(f: Any, xs: list[Any], w: dict[str, Any]) -> Any:
    """As timm writes `ScaledStdConv2d`."""
    moved = w["weight"].movedim((-1, -2), (0, 1))
    gain = w["gain"] * moved[0].numel() ** -0.5
    flat = f.batch_norm(
        moved.reshape(1, 6, -1), None, None, weight=gain, training=True, momentum=0.0, eps=1e-6
    )
    return f.conv2d(xs[0], flat.reshape_as(moved))


LIKE_TORCH: list[tuple[Layer, Any, Torch]] = [
    (make("conv", 6, (4, 5), (1, 2), (2, 1)), MAP, _conv(stride=(1, 2), padding=(2, 1))),
    (make("conv", 6, 3, padding=2, dilation=(1, 2), groups=2), MAP,
     _conv(padding=2, dilation=(1, 2), groups=2)),
    (make("conv", 6, (4, 3), padding="same", dilation=(1, 3)), MAP, _conv(padding="same", dilation=(1, 3))),
    (make("conv", 4, 3, groups=4, bias=False), MAP, _conv(groups=4)),
    (make("conv", 6, 1, (2, 3)), MAP, _conv(stride=(2, 3))),
    (make("conv", 24, 3, padding=1), (32, 7, 7), _conv(padding=1)),
    (make("conv", 3, 4, 2, 3, 2), (4, 20), _conv(1, stride=2, padding=3, dilation=2)),
    (make("conv", 3, (1, 2, 3), (2, 1, 2), (0, 1, 1)), (2, 5, 6, 7),
     _conv(3, stride=(2, 1, 2), padding=(0, 1, 1))),
    (make("depthwise", 3, (1, 2), 1, multiplier=2), MAP, _depthwise),
    (make("pointwise", 7), MAP, _conv()),
    (make("conv_transpose", 5, (4, 3), (2, 3), (1, 0)), MAP, _transposed(stride=(2, 3), padding=(1, 0))),
    (make("conv_transpose", 6, 3, 2, 1, (1, 0), 2, False, (1, 2)), MAP,
     _transposed(stride=2, padding=1, output_padding=(1, 0), groups=2, dilation=(1, 2))),
    (make("conv_transpose", 2, 5, 3), (3, 8), _transposed(1, stride=3)),
    (make("conv_transpose", 2, 2, (1, 2, 3)), (3, 4, 3, 2), _transposed(3, stride=(1, 2, 3))),
    (make("attention", 3), (6, 7), _attention(3)),
    (make("attention", 2, is_causal=True), (6, 7), _attention(2, causal=True)),
    (make("attention", 2, bias=False), (6, 3, 5), _attention(2)),
    (make("attention", 2, key_value=GivenTensor()), ((6, 3, 5), (4, 9)), _attention(2)),
    (make("matmul"), ((3, 1, 4, 6), (1, 2, 6, 5)), lambda f, xs, w: xs[0] @ xs[1]),
    (make("conv", 6, (2, 3), bias=False, weight="weight_norm"), MAP, _normed("weight_norm")),
    (make("conv", 6, (2, 3), bias=False, weight="spectral_norm"), MAP, _normed("spectral_norm")),
    (make("conv", 6, (2, 3), bias=False, weight="standardized"), MAP, _standardized),
    (make("conv", 6, (2, 3), bias=False, weight="scaled_standardized"), MAP, _scaled),
    (make("maxpool", 3, 2, 1), MAP, _plain("max_pool2d", 3, 2, 1)),
    (make("maxpool", (2, 3), 2, 1, (2, 1), True), MAP,
     _plain("max_pool2d", (2, 3), 2, 1, (2, 1), ceil_mode=True)),
    (make("maxpool", 2, 3, ceil_mode=True), MAP, _plain("max_pool2d", 2, 3, ceil_mode=True)),
    (make("maxpool", 3), (2, 5, 6, 7), _plain("max_pool3d", 3)),
    (make("avgpool", 3, 2, 1), MAP, _plain("avg_pool2d", 3, 2, 1)),
    (make("avgpool", 3, 2, 1, True), MAP, _plain("avg_pool2d", 3, 2, 1, ceil_mode=True)),
    (make("avgpool", 3, 2, 1, True, False), MAP,
     _plain("avg_pool2d", 3, 2, 1, ceil_mode=True, count_include_pad=False)),
    (make("avgpool", (4, 3), (3, 4), 1, True), MAP, _plain("avg_pool2d", (4, 3), (3, 4), 1, ceil_mode=True)),
    (make("avgpool", 2, ceil_mode=True), (3, 1, 7), _plain("avg_pool2d", 2, ceil_mode=True)),
    (make("avgpool", 4, 3, 2), (3, 11), _plain("avg_pool1d", 4, 3, 2)),
    (make("lppool", 2, (3, 2), 2), MAP, _plain("lp_pool2d", 2, (3, 2), 2)),
    (make("lppool", 4, 2), MAP, _plain("lp_pool2d", 4, 2)),
    (make("lppool", 1, 2), MAP, _plain("lp_pool2d", 1, 2)),
    (make("lppool", 1, 2, ceil_mode=True), MAP, _plain("lp_pool2d", 1, 2, ceil_mode=True)),
    (make("lppool", 2, (2, 3), (3, 4), ceil_mode=True), MAP,
     _plain("lp_pool2d", 2, (2, 3), (3, 4), ceil_mode=True)),
    (make("lppool", 3, 2, ceil_mode=True), MAP, _plain("lp_pool2d", 3, 2, ceil_mode=True)),
    (make("lppool", 3, 2, ceil_mode=True), (3, 7), _plain("lp_pool1d", 3, 2, ceil_mode=True)),
    (make("lppool", 5, 2, 3, ceil_mode=True), (2, 4, 5, 6),
     _plain("lp_pool3d", 5, 2, 3, ceil_mode=True)),
    (make("global_avgpool"), MAP, _plain("adaptive_avg_pool2d", 1)),
    (make("global_maxpool"), MAP, _plain("adaptive_max_pool2d", 1)),
    (make("adaptive_avgpool", (4, 3)), MAP, _plain("adaptive_avg_pool2d", (4, 3))),
    (make("adaptive_avgpool", (5, 12)), MAP, _plain("adaptive_avg_pool2d", (5, 12))),
    (make("adaptive_maxpool", (4, 3)), MAP, _plain("adaptive_max_pool2d", (4, 3))),
    (make("fc", 5), (13,), lambda f, xs, w: f.linear(xs[0], w["weight"].T, w["bias"])),
    (make("lrn", 5, 2, Fraction(3, 4), 2), (7, 4, 5), _plain("local_response_norm", 5, 2, 0.75, 2)),
    (make("lrn", 4, 2, Fraction(1, 2), 1), (7, 4, 5), _plain("local_response_norm", 4, 2, 0.5, 1)),
    (make("bn"), MAP, _bn(False)),
    (make("bn"), (6,), _bn(False)),
    (make("layer_norm"), MAP, lambda f, xs, w: f.layer_norm(xs[0], MAP, w["weight"], w["bias"])),
    (make("layer_norm", "channels"), MAP, lambda f, xs, w: f.layer_norm(
        xs[0].movedim(1, -1), (4,), w["weight"], w["bias"]).movedim(-1, 1)),
    (make("group_norm", 2), MAP, _grouped_norm(2)),
    (make("instance_norm", affine=True), MAP,
     lambda f, xs, w: f.instance_norm(xs[0], weight=w["weight"], bias=w["bias"])),
    (make("relu"), MAP, _plain("relu")),
    (make("relu6"), MAP, _plain("relu6")),
    (make("leaky_relu", Fraction(1, 5)), MAP, _plain("leaky_relu", 0.2)),
    (make("prelu", 4), MAP, lambda f, xs, w: f.prelu(xs[0], w["weight"])),
    (make("elu", Fraction(3, 2)), MAP, _plain("elu", 1.5)),
    (make("selu"), MAP, _plain("selu")),
    (make("gelu"), MAP, _plain("gelu")),
    (make("gelu", "tanh"), MAP, _plain("gelu", approximate="tanh")),
    (make("silu"), MAP, _plain("silu")),
    (make("hardswish"), MAP, _plain("hardswish")),
    (make("hardsigmoid"), MAP, _plain("hardsigmoid")),
    (make("sigmoid"), MAP, _plain("sigmoid")),
    (make("tanh"), MAP, _plain("tanh")),
    (make("softmax"), MAP, _plain("softmax", 1)),
    (make("softmax", "width"), MAP, _plain("softmax", 3)),
    (make("channel_shuffle", 2), MAP, _plain("channel_shuffle", 2)),
    (make("upsample", (13, 7)), MAP, _plain("interpolate", (13, 7))),
    (make("upsample", scale_factor=2), MAP, _plain("interpolate", scale_factor=2.0)),
    (make("upsample", scale_factor=Fraction(120, 88)), (1, 88, 8),
     _plain("interpolate", scale_factor=120 / 88)),
    (make("upsample", scale_factor=Fraction(23, 20)), (1, 3, 100), _plain("interpolate", scale_factor=1.15)),
    (make("upsample", scale_factor=Fraction(5, 4)), (2, 3, 3), _plain("interpolate", scale_factor=1.25)),
    (make("upsample", scale_factor=Fraction(5, 2)), (2, 1, 4), _plain("interpolate", scale_factor=2.5)),
    (make("upsample", scale_factor=Fraction(36, 35)), (2, 34), _plain("interpolate", scale_factor=36 / 35)),
    (make("upsample", scale_factor=Fraction(5, 4)), (2, 3, 3, 3), _plain("interpolate", scale_factor=1.25)),
    (make("upsample", scale_factor=Fraction(5, 4), mode="bilinear"), (2, 3, 3),
     _plain("interpolate", scale_factor=1.25, mode="bilinear")),
    (make("upsample", scale_factor=Fraction(5, 4), mode="bilinear"), (2, 3),
     _plain("interpolate", scale_factor=1.25, mode="linear")),
    (make("upsample", (13, 7), mode="bilinear"), MAP, _plain("interpolate", (13, 7), mode="bilinear")),
    (make("upsample", scale_factor=(2, Fraction(5, 2)), mode="bilinear"), MAP,
     _plain("interpolate", scale_factor=(2.0, 2.5), mode="bilinear")),
    (make("upsample", scale_factor=Fraction(1, 2), mode="bilinear"), MAP,
     _plain("interpolate", scale_factor=0.5, mode="bilinear")),
    (make("upsample", 17, mode="bilinear"), (3, 6), _plain("interpolate", 17, mode="linear")),
    (make("upsample", (5, 4, 9), mode="bilinear"), (2, 3, 4, 5),
     _plain("interpolate", (5, 4, 9), mode="trilinear")),
    (make("pad", ((1, -2), (0, 3))), MAP, _plain("pad", (0, 3, 1, -2))),
    (make("pad", (1, 4), "channels", value=Fraction(-3, 2)), MAP,
     _plain("pad", (0, 0, 0, 0, 1, 4), value=-1.5)),
    (make("pad", ((1, -2), (3, 4)), mode="reflect"), MAP, _plain("pad", (3, 4, 1, -2), "reflect")),
    (make("pad", ((-4, 5), (9, 12)), mode="replicate"), MAP, _plain("pad", (9, 12, -4, 5), "replicate")),
    (make("pad", ((-2, 3), (10, 4)), mode="circular"), MAP, _plain("pad", (10, 4, -2, 3), "circular")),
    (make("upsample", (13, 7), mode="nearest_exact"), MAP,
     _plain("interpolate", (13, 7), mode="nearest-exact")),
    (make("upsample", scale_factor=Fraction(5, 4), mode="nearest_exact"), (2, 3, 4),
     _plain("interpolate", scale_factor=1.25, mode="nearest-exact")),
    (make("upsample", (13, 7), mode="bicubic"), MAP, _plain("interpolate", (13, 7), mode="bicubic")),
    (make("upsample", scale_factor=Fraction(5, 4), mode="bicubic"), (2, 3, 3),
     _plain("interpolate", scale_factor=1.25, mode="bicubic")),
    (make("upsample", (1, 17), mode="bicubic", align_corners=True), MAP,
     _plain("interpolate", (1, 17), mode="bicubic", align_corners=True)),
    (make("upsample", (13, 7), mode="bilinear", align_corners=True), MAP,
     _plain("interpolate", (13, 7), mode="bilinear", align_corners=True)),
    (make("upsample", scale_factor=Fraction(5, 2), mode="bilinear", align_corners=True), (2, 3),
     _plain("interpolate", scale_factor=2.5, mode="linear", align_corners=True)),
    (make("avgpool", 3, 2, 1, True, divisor_override=5), MAP,
     _plain("avg_pool2d", 3, 2, 1, ceil_mode=True, divisor_override=5)),
    (make("flatten"), MAP, lambda f, xs, w: xs[0].flatten(1)),
    (make("permute", (1, 2, 0)), MAP, lambda f, xs, w: xs[0].permute(0, 2, 3, 1)),
    (make("reshape", (5, 8, 9)), MAP, lambda f, xs, w: xs[0].reshape(2, 5, 8, 9)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("layer", "shape", "theirs"), LIKE_TORCH, ids=[str(case[0]) for case in LIKE_TORCH])
def test_torch(layer: Layer, shape: Any, theirs: Torch, dtype: Any) -> None:
    torch = pytest.importorskip("torch")
    shapes = shape if isinstance(shape[0], tuple) else (shape,)
    inputs, weights = drawn(layer, shapes, dtype)
    given = {name: torch.from_numpy(array) for name, array in weights.items()}
    with torch.no_grad():
        expected = theirs(torch.nn.functional, [torch.from_numpy(x) for x in inputs], given).numpy()
    assert_close(ours(layer, inputs, weights), expected, DOUBLE if dtype == np.float64 else SINGLE)


@pytest.mark.parametrize("shape", [MAP, (6,)])
def test_torch_bn_of_a_batch(shape: Shape) -> None:
    torch = pytest.importorskip("torch")
    inputs, weights = drawn(make("bn"), (shape,), np.float64)
    given = {name: torch.from_numpy(array) for name, array in weights.items()}
    expected = _bn(True)(torch.nn.functional, [torch.from_numpy(inputs[0])], given).numpy()
    assert_close(ours(make("bn"), inputs, weights, train=True), expected, DOUBLE)


def test_torch_unpooling() -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 7))
    expected = _unpool(torch.nn.functional, [torch.from_numpy(x)], {}).numpy()
    network = archcalc.loads("net n { input(3x5x7)\n p: maxpool(2x3)\n maxunpool(p)\n}")
    np.testing.assert_array_equal(run(network, x, batch=2, dtype=np.float64)["output"], expected)


def test_torchvision_deformable_convolution() -> None:
    torch, ops = pytest.importorskip("torch"), pytest.importorskip("torchvision.ops")
    for layer, shapes in DEFORMABLE:
        inputs, weights = drawn(layer, shapes, np.float64)
        inputs[1] *= 2  # some taps move beyond the map
        x, offset, *mask = map(torch.from_numpy, inputs)
        weight, bias = torch.from_numpy(output_first(weights["weight"])), weights.get("bias")
        expected = ops.deform_conv2d(
            x, offset, weight, None if bias is None else torch.from_numpy(bias), layer.stride, layer.padding,
            layer.dilation, mask[0] if mask else None,
        ).numpy()  # fmt: skip
        assert_close(ours(layer, inputs, weights), expected, 1e-12)


# --- onnxruntime ------------------------------------------------------------------------------------


class Graph:
    """An ONNX model that grows by nodes, one result each."""

    def __init__(self) -> None:
        self.onnx = pytest.importorskip("onnx")
        self.engine = pytest.importorskip("onnxruntime")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, array: Array) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def __call__(self, kind: str, *inputs: str | Array | None, **how: Any) -> str:
        names = ["" if i is None else i if isinstance(i, str) else self.constant(i) for i in inputs]
        out = f"n{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, names, [out], **how))
        return out

    def run(self, out: str, **inputs: Array) -> Array:
        helper, types = self.onnx.helper, self.onnx.TensorProto
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info(n, types.FLOAT, x.shape) for n, x in inputs.items()],
            [helper.make_tensor_value_info(out, types.FLOAT, None)],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
        options = self.engine.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = self.engine.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        result: Array = session.run([out], inputs)[0]
        return result


Onnx = Callable[[Graph, dict[str, Array]], str]


def _o_conv(g: Graph, w: dict[str, Array], **how: Any) -> str:
    return g("Conv", "x", output_first(w["weight"]), w.get("bias"), **how)


def _o_transposed(g: Graph, w: dict[str, Array], **how: Any) -> str:
    return g("ConvTranspose", "x", input_first(w["weight"]), w.get("bias"), **how)


def _o(kind: str, *more: Any, **how: Any) -> Onnx:
    return lambda g, w: g(kind, "x", *more, **how)


def _o_gelu(g: Graph, w: dict[str, Array]) -> str:
    half, one = np.float32(0.5), np.float32(1)
    inner = g("Erf", g("Mul", "x", np.array(np.sqrt(half))))
    return g("Mul", g("Mul", "x", np.array(half)), g("Add", inner, np.array(one)))


GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
"""Where ours has the gates of ONNX: i, o, f, c and z, r, h there."""


def _o_recurrent(layer: Any) -> Onnx:
    """One layer as ONNX has it: length first, and the arrays with the directions first and the units next."""

    def apply(g: Graph, w: dict[str, Array]) -> str:
        def first(name: str) -> Array:
            arrays = [w[name + end] for end in ("_l0", "_l0_reverse")[: layer.directions]]
            gates = [np.split(array, len(GATES[layer.kind]), axis=-1) for array in arrays]
            return np.stack([np.concatenate([each[i].T for i in GATES[layer.kind]]) for each in gates])

        zero = np.zeros_like(first("weight_hh")[..., 0])
        bias = [first(f"bias_{which}") if f"bias_{which}_l0" in w else zero for which in ("ih", "hh")]
        how: dict[str, Any] = {"hidden_size": layer.hidden_size}
        if layer.kind == "gru":
            how["linear_before_reset"] = int(layer.bias != "one")
        if layer.kind == "rnn":
            how["activations"] = [layer.nonlinearity.capitalize()] * layer.directions
        if layer.bidirectional:
            how["direction"] = "bidirectional"
        x = g("Transpose", "x", perm=[2, 0, 1])
        arrays = first("weight_ih"), first("weight_hh"), np.concatenate(bias, axis=1)
        both = [
            f"{x}y",
            f"{x}h",
        ]  # (length, directions, batch, units), and the last states without the length
        g.nodes.append(
            g.onnx.helper.make_node(layer.kind.upper(), [x, *map(g.constant, arrays)], both, **how)
        )
        if layer.return_sequences:
            shape = np.array([0, -1, layer.directions * layer.hidden_size])
            steps = g("Transpose", both[0], perm=[0, 2, 1, 3])
            return g("Transpose", g("Reshape", steps, shape), perm=[1, 2, 0])
        last = g("Transpose", both[1], perm=[1, 0, 2])
        return g("Reshape", last, np.array([0, -1]))

    return apply


def _o_resize(sizes: tuple[int, ...], mode: str, **how: Any) -> Onnx:
    return lambda g, w: g("Resize", "x", None, None, np.array(sizes, np.int64), mode=mode, **how)


LIKE_ONNX: list[tuple[Layer, Shape, Onnx]] = [
    (make("conv", 6, (4, 5), (1, 2), ((0, 1), (2, 0))), MAP,
     lambda g, w: _o_conv(g, w, strides=[1, 2], pads=[0, 2, 1, 0])),
    (make("conv", 6, 3, padding=2, dilation=(1, 2), groups=2), MAP,
     lambda g, w: _o_conv(g, w, pads=[2] * 4, dilations=[1, 2], group=2)),
    (make("conv", 6, (4, 3), (2, 3), "same"), MAP,
     lambda g, w: _o_conv(g, w, strides=[2, 3], auto_pad="SAME_UPPER")),
    (make("conv", 6, (4, 3), (2, 3), "same_lower"), MAP,
     lambda g, w: _o_conv(g, w, strides=[2, 3], auto_pad="SAME_LOWER")),
    (make("conv", 3, 4, 2, 3, 2), (4, 20),
     lambda g, w: _o_conv(g, w, strides=[2], pads=[3, 3], dilations=[2])),
    (make("conv", 3, (1, 2, 3), 1, ((0, 0), (1, 0), (0, 2))), (2, 5, 6, 7),
     lambda g, w: _o_conv(g, w, pads=[0, 1, 0, 0, 0, 2])),
    (make("depthwise", 3, 2, 1, multiplier=2), MAP, lambda g, w: g(
        "Conv", "x", np.moveaxis(w["weight"], -1, 0)[:, None], w["bias"],
        strides=[2, 2], pads=[1] * 4, group=4)),
    (make("pointwise", 5), MAP, _o_conv),
    (make("conv_transpose", 5, (4, 3), (2, 3), (1, 0)), MAP,
     lambda g, w: _o_transposed(g, w, strides=[2, 3], pads=[1, 0, 1, 0])),
    (make("conv_transpose", 6, 3, 2, 1, 1, 2, False), MAP,
     lambda g, w: _o_transposed(g, w, strides=[2, 2], pads=[1] * 4, output_padding=[1, 1], group=2)),
    (make("conv_transpose", 1, 3, 2, "same"), (1, 5, 5),
     lambda g, w: _o_transposed(g, w, strides=[2, 2], auto_pad="SAME_UPPER")),
    (make("conv_transpose", 6, (4, 5), (1, 2), "same", groups=2), MAP,
     lambda g, w: _o_transposed(g, w, strides=[1, 2], auto_pad="SAME_UPPER", group=2)),
    (make("maxpool", 3, 2, ((0, 1), (1, 0))), MAP,
     _o("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 1, 0])),
    (make("maxpool", 3, 2, "same"), MAP,
     _o("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")),
    (make("maxpool", 3, 2, "same_lower"), MAP,
     _o("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER")),
    (make("maxpool", 2, 2, ceil_mode=True), MAP,
     _o("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)),
    (make("avgpool", 3, 2, 1, False, False), MAP,
     _o("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)),
    (make("avgpool", 3, 2, 1), MAP,
     _o("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, count_include_pad=1)),
    (make("avgpool", 2, ceil_mode=True, count_include_pad=False), MAP,
     _o("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)),
    (make("avgpool", (2, 3), 2, 1, True, dilation=(3, 2)), MAP,
     _o("AveragePool", kernel_shape=[2, 3], strides=[2, 2], pads=[1] * 4, dilations=[3, 2], ceil_mode=1,
        count_include_pad=1)),
    (make("avgpool", 3, 3, 2, count_include_pad=False, dilation=2), (2, 14),
     _o("AveragePool", kernel_shape=[3], strides=[3], pads=[2, 2], dilations=[2])),
    (make("avgpool", 5, 3, ceil_mode=True, dilation=2), (1, 14, 15, 16),
     _o("AveragePool", kernel_shape=[5] * 3, strides=[3] * 3, dilations=[2] * 3, ceil_mode=1)),
    (make("avgpool", 2, 1, 1, count_include_pad=False, dilation=3), (1, 2),
     _o("AveragePool", kernel_shape=[2], pads=[1, 1], dilations=[3])),  # its only window is empty
    (make("lppool", 2, (3, 2), 2), MAP, _o("LpPool", kernel_shape=[3, 2], strides=[2, 2], p=2)),
    (make("global_avgpool"), MAP, _o("GlobalAveragePool")),
    (make("global_maxpool"), MAP, _o("GlobalMaxPool")),
    (make("fc", 5), (13,), lambda g, w: g("Gemm", "x", w["weight"], w["bias"])),
    (make("bn"), MAP, lambda g, w: g(
        "BatchNormalization", "x", w["weight"], w["bias"], w["running_mean"], w["running_var"],
        epsilon=1e-5)),
    (make("lrn", 5, 2, Fraction(3, 4), 2), (7, 4, 5), _o("LRN", size=5, alpha=2.0, beta=0.75, bias=2.0)),
    (make("layer_norm"), MAP, lambda g, w: g("LayerNormalization", "x", w["weight"], w["bias"], axis=1)),
    (make("instance_norm", affine=True), MAP,
     lambda g, w: g("InstanceNormalization", "x", w["weight"], w["bias"])),
    (make("relu"), MAP, _o("Relu")),
    (make("leaky_relu", Fraction(1, 5)), MAP, _o("LeakyRelu", alpha=0.2)),
    (make("prelu", 4), MAP, lambda g, w: g("PRelu", "x", w["weight"].reshape(4, 1, 1))),
    (make("elu", Fraction(3, 2)), MAP, _o("Elu", alpha=1.5)),
    (make("selu"), MAP, _o("Selu")),
    (make("gelu"), MAP, _o_gelu),
    (make("hardsigmoid"), MAP, _o("HardSigmoid", alpha=1 / 6, beta=0.5)),
    (make("hardswish"), MAP, _o("HardSwish")),
    (make("hardsigmoid", Fraction(1, 5)), MAP, _o("HardSigmoid")),  # what its attributes are when left out
    (make("hardsigmoid", Fraction(1, 4), Fraction(2, 5)), MAP, _o("HardSigmoid", alpha=0.25, beta=0.4)),
    (make("exp"), MAP, _o("Exp")),
    (make("log"), MAP, _o("Log")),
    (make("sqrt"), MAP, _o("Sqrt")),
    (make("rsqrt"), MAP, lambda g, w: g("Reciprocal", g("Sqrt", "x"))),
    (make("square"), MAP, lambda g, w: g("Mul", "x", "x")),
    (make("sin"), MAP, _o("Sin")),
    (make("cos"), MAP, _o("Cos")),
    (make("erf"), MAP, _o("Erf")),
    (make("pow", 3), MAP, _o("Pow", np.array(3, np.float32))),
    (make("clamp", Fraction(-1, 2), 1), MAP, _o("Clip", np.array(-0.5, np.float32), np.array(1, np.float32))),
    (make("softplus"), MAP, _o("Softplus")),
    (make("mish"), MAP, _o("Mish")),
    (make("softsign"), MAP, _o("Softsign")),
    (make("log_softmax"), MAP, _o("LogSoftmax", axis=1)),
    (make("log_softmax", "axis2"), (2, 3, 4, 5, 2), _o("LogSoftmax", axis=3)),
    (make("softmax", "axis4"), (2, 3, 4, 5, 2), _o("Softmax", axis=5)),
    (make("reduce", "mean", "channels"), MAP, _o("ReduceMean", np.array([1], np.int64))),
    (make("reduce", "max", ("channels", "width"), keepdim=False), MAP,
     _o("ReduceMax", np.array([1, 3], np.int64), keepdims=0)),
    (make("reduce", "norm"), MAP, _o("ReduceL2", np.array([2, 3], np.int64))),
    (make("transpose", 0, -1), MAP, _o("Transpose", perm=[0, 3, 2, 1])),
    (make("pixel_shuffle", 2), MAP, _o("DepthToSpace", blocksize=2, mode="CRD")),
    (make("sigmoid"), MAP, _o("Sigmoid")),
    (make("tanh"), MAP, _o("Tanh")),
    (make("softmax"), MAP, _o("Softmax", axis=1)),
    (make("upsample", (18, 30)), MAP, _o_resize(
        (2, 4, 18, 30), "nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")),
    (make("upsample", (13, 7), mode="bilinear"), MAP, _o_resize((2, 4, 13, 7), "linear")),
    (make("upsample", (13, 7), mode="bilinear", align_corners=True), MAP,
     _o_resize((2, 4, 13, 7), "linear", coordinate_transformation_mode="align_corners")),
    (make("upsample", (13, 7), mode="bicubic"), MAP, _o_resize((2, 4, 13, 7), "cubic")),
    (make("upsample", (13, 17), mode="bicubic", align_corners=True), MAP,
     _o_resize((2, 4, 13, 17), "cubic", coordinate_transformation_mode="align_corners")),
    (make("pad", ((1, 2), (3, 4)), mode="reflect"), MAP,
     _o("Pad", np.array([0, 0, 1, 3, 0, 0, 2, 4]), mode="reflect")),
    (make("pad", ((1, 2), (13, 4)), mode="replicate"), MAP,
     _o("Pad", np.array([0, 0, 1, 13, 0, 0, 2, 4]), mode="edge")),
    (make("pad", ((1, 2), (3, 10)), mode="circular"), MAP,
     _o("Pad", np.array([0, 0, 1, 3, 0, 0, 2, 10]), mode="wrap")),
    (make("pad", ((1, -2), (3, 4)), value=3), MAP,
     _o("Pad", np.array([0, 0, 1, 3, 0, 0, -2, 4]), np.array(3, np.float32))),
    (make("flatten"), MAP, _o("Flatten")),
    (make("lstm", 5), (3, 7), _o_recurrent(make("lstm", 5))),
    (make("lstm", 5, bias=False, bidirectional=True), (3, 7),
     _o_recurrent(make("lstm", 5, bias=False, bidirectional=True))),
    (make("lstm", 4, bias="one", return_sequences=False), (3, 7),
     _o_recurrent(make("lstm", 4, bias="one", return_sequences=False))),
    (make("gru", 5, bidirectional=True, return_sequences=False), (3, 7),
     _o_recurrent(make("gru", 5, bidirectional=True, return_sequences=False))),
    (make("gru", 4, bias="one", bidirectional=True), (3, 7),
     _o_recurrent(make("gru", 4, bias="one", bidirectional=True))),
    (make("gru", 4, bias=False), (3, 7), _o_recurrent(make("gru", 4, bias=False))),
    (make("rnn", 5, nonlinearity="relu"), (3, 7), _o_recurrent(make("rnn", 5, nonlinearity="relu"))),
    (make("rnn", 5, bidirectional=True), (3, 7), _o_recurrent(make("rnn", 5, bidirectional=True))),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape", "theirs"), LIKE_ONNX, ids=[str(case[0]) for case in LIKE_ONNX])
def test_onnxruntime(layer: Layer, shape: Shape, theirs: Onnx) -> None:
    graph = Graph()
    inputs, weights = drawn(layer, (shape,), np.float32)
    expected = graph.run(theirs(graph, weights), x=inputs[0])
    assert_close(ours(layer, inputs, weights), expected, SINGLE)


def test_onnxruntime_deformable_convolution() -> None:
    for layer, shapes in DEFORMABLE:
        graph = Graph()
        inputs, weights = drawn(layer, shapes, np.float32)
        inputs[1] *= 2
        taps = math.prod(layer.kernel_size)
        out = graph(
            "DeformConv", "x", output_first(weights["weight"]), "o", weights.get("bias"),
            "m" if layer.mask is not None else None, strides=list(layer.stride),
            pads=[*layer.padding, *layer.padding], dilations=list(layer.dilation), group=layer.groups,
            offset_group=shapes[1][0] // (2 * taps),
        )  # fmt: skip
        given = dict(zip("xom", inputs, strict=False))
        assert_close(ours(layer, inputs, weights), graph.run(out, **given), SINGLE)


def test_onnxruntime_concat() -> None:
    graph = Graph()
    inputs, _ = drawn(make("concat"), (MAP, (2, 9, 10)), np.float32)
    for dim, axis in (("channels", 1), ("height", 2)):
        given = inputs if axis == 1 else [inputs[0], inputs[0]]
        expected = graph.run(graph("Concat", "x", "y", axis=axis), x=given[0], y=given[1])
        np.testing.assert_array_equal(ours(make("concat", dim), given, {}), expected)


# --- Whole networks ---------------------------------------------------------------------------------

RESIDUAL = """\
block unit(c, stride=1) {
  add(
    conv(c, 3, stride, padding=1, bias=false) -> bn -> relu -> conv(c, 3, padding=1, bias=false) -> bn,
    shortcut(c, stride),
  ) -> relu
}
net residual {
  input(3x33x30)
  conv(8, 7x5, stride=2, padding=3x2, bias=false) -> bn -> relu -> maxpool(3, stride=2, padding=1)
  unit(8) -> unit(16, 2) -> unit(16)
  global_avgpool -> flatten -> fc(10) -> softmax
}
"""
SHORTCUT = """\
block shortcut(c, stride) {
  if channels != c or stride != 1 { conv(c, 1, stride, bias=false) -> bn } else { identity }
}
"""
INCEPTION = """\
block module(a, b, c, d) {
  concat(
    conv(a, 1) -> relu,
    conv(b, 1) -> relu -> conv(b, 3x1, padding=1x0) -> relu -> conv(b, 1x3, padding=0x1) -> relu,
    conv(c, 1) -> relu -> conv(c, 5, padding=2, groups=2) -> relu,
    avgpool(3, stride=1, padding=1, count_include_pad=false) -> conv(d, 1) -> relu,
  )
}
net inception {
  input(3x33x30)
  conv(8, 3, stride=2) -> relu -> lrn(5) -> maxpool(3, stride=2, ceil_mode=true)
  module(4, 6, 4, 2) -> module(6, 4, 2, 3) -> maxpool(2)
  flatten -> fc(10)
}
"""
TEXTS = {"residual": SHORTCUT + RESIDUAL, "inception": INCEPTION}


def whole(name: str, dtype: Any) -> tuple[Network, Weights, Array]:
    network = archcalc.loads(TEXTS[name])
    x = np.random.default_rng(1).standard_normal((3, 3, 33, 30)).astype(dtype)
    return network, random_weights(network, 2, dtype), x


def _in_torch(torch: Any, layer: Any, xs: list[Any], w: dict[str, Any]) -> Any:
    f = torch.nn.functional
    match layer.kind:
        case "conv":
            return _conv(stride=layer.stride, padding=layer.padding, groups=layer.groups)(f, xs, w)
        case "maxpool":
            return f.max_pool2d(xs[0], layer.kernel_size, layer.stride, layer.padding, 1, layer.ceil_mode)
        case "avgpool":
            return f.avg_pool2d(xs[0], layer.kernel_size, layer.stride, layer.padding, False, False)
        case "bn":
            return _bn(False)(f, xs, w)
        case "relu":
            return f.relu(xs[0])
        case "add":
            return xs[0] + xs[1]
        case "concat":
            return torch.cat(xs, 1)
        case "lrn":
            return f.local_response_norm(xs[0], layer.size)
        case "global_avgpool":
            return xs[0].mean((2, 3), keepdim=True)
        case "flatten":
            return xs[0].flatten(1)
        case "fc":
            return f.linear(xs[0], w["weight"].T, w["bias"])
        case "softmax":
            return f.softmax(xs[0], 1)
    raise AssertionError(layer.kind)


def by_torch(network: Network, weights: Weights, x: Array, torch: Any) -> Array:
    """Node by node, each as PyTorch has it."""
    results: dict[int, Any] = {}
    for node in network.nodes:
        if node.is_input:
            out = torch.from_numpy(x)
        else:
            w = {name: torch.from_numpy(array) for name, array in weights.get(node.name, {}).items()}
            out = _in_torch(torch, node.layer, [results[source.index] for source in node.inputs], w)
        assert tuple(out.shape[1:]) == node.shape
        results[node.index] = out
    array: Array = results[network.outputs["output"].index].numpy()
    return array


def by_onnx(network: Network, weights: Weights, x: Array) -> Array:
    """The same network as one ONNX graph."""
    graph = Graph()
    names: dict[int, str] = {}
    for node in network.nodes:
        w = weights.get(node.name, {})
        xs = [names[source.index] for source in node.inputs]
        layer: Any = node.layer
        if node.is_input:
            out = "x"
        elif node.kind == "conv":
            pads = [w_.before for w_ in node.facts.windows] + [w_.after for w_ in node.facts.windows]
            strides = [w_.stride for w_ in node.facts.windows]
            how = {"pads": pads, "strides": strides, "group": layer.groups}
            out = graph("Conv", xs[0], output_first(w["weight"]), w.get("bias"), **how)
        elif node.kind in ("maxpool", "avgpool"):
            kernel = [layer.kernel_size] * 2
            how = {"kernel_shape": kernel, "strides": [layer.stride or layer.kernel_size] * 2}
            how |= {"pads": [layer.padding] * 4, "ceil_mode": int(layer.ceil_mode)}
            out = graph("MaxPool" if node.kind == "maxpool" else "AveragePool", xs[0], **how)
        else:
            stats = [w[n] for n in ("weight", "bias", "running_mean", "running_var") if n in w]
            kind, more, how = {
                "bn": ("BatchNormalization", stats, {"epsilon": 1e-5}),
                "relu": ("Relu", [], {}),
                "add": ("Add", [], {}),
                "concat": ("Concat", [], {"axis": 1}),
                "lrn": ("LRN", [], {"size": 5, "alpha": 1e-4, "beta": 0.75, "bias": 1.0}),
                "global_avgpool": ("GlobalAveragePool", [], {}),
                "flatten": ("Flatten", [], {}),
                "fc": ("Gemm", stats, {}),
                "softmax": ("Softmax", [], {"axis": 1}),
            }[node.kind]
            out = graph(kind, *xs, *more, **how)
        names[node.index] = out
    return graph.run(names[network.outputs["output"].index], x=x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", TEXTS)
def test_whole_networks_in_torch(name: str, dtype: Any) -> None:
    torch = pytest.importorskip("torch")
    network, weights, x = whole(name, dtype)
    with torch.no_grad():
        expected = by_torch(network, weights, x, torch)
    actual = run(network, x, weights, batch=3, dtype=dtype)["output"]
    assert actual.dtype == dtype
    assert_close(actual, expected, DOUBLE if dtype == np.float64 else SINGLE)


@pytest.mark.parametrize("name", TEXTS)
def test_whole_networks_in_onnxruntime(name: str) -> None:
    network, weights, x = whole(name, np.float32)
    expected = by_onnx(network, weights, x)
    assert_close(run(network, x, weights, batch=3)["output"], expected, SINGLE)


@pytest.mark.parametrize("name", TEXTS)
def test_whole_networks_tell_samples_apart(name: str) -> None:
    """What is compared above depends on the input: the network is not dead."""
    network, weights, x = whole(name, np.float64)
    found = run(network, x, weights, batch=3, dtype=np.float64)["output"]
    assert found.std(axis=0).max() > 1e-3
