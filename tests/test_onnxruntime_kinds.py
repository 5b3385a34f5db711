"""Attention, arithmetic, rearrangement, and computed weights in onnxruntime, with the same weights.

ONNX has no operator for most of these kinds, so each is a small graph from its definition.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from samples import make
from test_other_engines import SINGLE, Array, Graph, assert_close, drawn, ours, output_first

from archcalc.layers import KINDS, Layer
from archcalc.layers.arguments import GivenTensor

MAP = (4, 6, 10)
SEQUENCE = (6, 7)

Onnx = Callable[[Graph, list[Any], dict[str, Array]], str]
"""A graph, its inputs (`x`, `y`, ...) with the shapes of a batch of two, and the weights."""


def whole(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def single(number: float) -> Array:
    return np.array(number, np.float32)


def operator(kind: str, *more: Array | None, **how: Any) -> Onnx:
    return lambda g, xs, w: g(kind, *xs, *more, **how)


def attention(layer: Any, shapes: tuple[tuple[int, ...], ...]) -> Onnx:
    """Products of matrices: tokens are rows, and each head has columns of its own."""
    queries, memory = shapes[0], shapes[-1]
    n, m = math.prod(queries[1:]), math.prod(memory[1:])
    heads = layer.num_heads

    def apply(g: Graph, xs: list[Any], w: dict[str, Array]) -> str:
        def tokens(x: str, channels: int, places: int) -> str:
            return g("Transpose", g("Reshape", x, whole(2, channels, places)), perm=[0, 2, 1])

        def projected(x: str, name: str) -> str:
            product = g("MatMul", x, w[name])
            return g("Add", product, w[f"{name}_bias"]) if f"{name}_bias" in w else product

        def in_heads(x: str, name: str, rows: int, perm: list[int]) -> str:
            split = g("Reshape", projected(x, name), whole(2, rows, heads, -1))
            return g("Transpose", split, perm=perm)

        read, looked_at = tokens(xs[0], queries[0], n), tokens(xs[-1], memory[0], m)
        query = in_heads(read, "query", n, [0, 2, 1, 3])
        key = in_heads(looked_at, "key", m, [0, 2, 3, 1])
        value = in_heads(looked_at, "value", m, [0, 2, 1, 3])
        width = w["query"].shape[1] // heads
        scores = g("Mul", g("MatMul", query, key), single(width**-0.5))
        if layer.is_causal:
            scores = g("Add", scores, np.triu(np.full((n, m), -np.inf, np.float32), 1))
        mixed = g("MatMul", g("Softmax", scores, axis=-1), value)
        rows = g("Reshape", g("Transpose", mixed, perm=[0, 2, 1, 3]), whole(2, n, -1))
        out = g("Transpose", projected(rows, "output"), perm=[0, 2, 1])
        return g("Reshape", out, whole(2, *queries))

    return apply


def embedding(g: Graph, xs: list[Any], w: dict[str, Array]) -> str:
    rows = g("Gather", w["weight"], g("Cast", xs[0], to=7), axis=0)  # to int64
    return g("Transpose", rows, perm=[0, 2, 1])


def roll(shift: int, axis: int, size: int) -> Onnx:
    def apply(g: Graph, xs: list[Any], w: dict[str, Array]) -> str:
        cut = size - shift % size
        end = g("Slice", xs[0], whole(cut), whole(size), whole(axis))
        return g("Concat", end, g("Slice", xs[0], whole(0), whole(cut), whole(axis)), axis=axis)

    return apply


def stack(axis: int) -> Onnx:
    return lambda g, xs, w: g("Concat", *(g("Unsqueeze", x, whole(axis)) for x in xs), axis=axis)


def unfold(g: Graph, xs: list[Any], w: dict[str, Array]) -> str:
    """A convolution whose kernels each copy one value of the window."""
    kernel = np.eye(4 * 2 * 3, dtype=np.float32).reshape(24, 4, 2, 3)
    windows = g("Conv", xs[0], kernel, strides=[2, 1], pads=[1, 0, 1, 0], dilations=[1, 2])
    return g("Reshape", windows, whole(2, 24, -1))


def pixel_unshuffle(g: Graph, xs: list[Any], w: dict[str, Array]) -> str:
    split = g("Reshape", xs[0], whole(2, 4, 3, 2, 5, 2))
    return g("Reshape", g("Transpose", split, perm=[0, 1, 3, 5, 2, 4]), whole(2, 16, 3, 5))


def channel_shuffle(g: Graph, xs: list[Any], w: dict[str, Array]) -> str:
    split = g("Reshape", xs[0], whole(2, 2, 2, 6, 10))
    return g("Reshape", g("Transpose", split, perm=[0, 2, 1, 3, 4]), whole(2, *MAP))


def glu(axis: int, size: int) -> Onnx:
    def apply(g: Graph, xs: list[Any], w: dict[str, Array]) -> str:
        half = size // 2
        first = g("Slice", xs[0], whole(0), whole(half), whole(axis))
        return g("Mul", first, g("Sigmoid", g("Slice", xs[0], whole(half), whole(size), whole(axis))))

    return apply


def layer_norm(g: Graph, xs: list[Any], w: dict[str, Array]) -> str:
    last = g("Transpose", xs[0], perm=[0, 2, 3, 1])
    normed = g("LayerNormalization", last, w["weight"], w["bias"], axis=-1)
    return g("Transpose", normed, perm=[0, 3, 1, 2])


def group_norm(g: Graph, xs: list[Any], w: dict[str, Array]) -> str:
    """An instance norm of maps that are laid side by side, and then the factors of channels."""
    ones = np.ones(2, np.float32)
    split = g("Reshape", xs[0], whole(2, 2, -1))
    normed = g("Reshape", g("InstanceNormalization", split, ones, 0 * ones), whole(2, *MAP))
    scaled = g("Mul", normed, w["weight"].reshape(4, 1, 1))
    return g("Add", scaled, w["bias"].reshape(4, 1, 1))


def by_channel(kind: str, name: str) -> Onnx:
    return lambda g, xs, w: g(kind, xs[0], w[name].reshape(-1, 1, 1))


def variance(g: Graph, xs: list[Any], w: dict[str, Array]) -> str:
    """Over 10 columns, of which one is taken off."""
    off = g("Sub", xs[0], g("ReduceMean", xs[0], whole(3)))
    return g("Div", g("ReduceSumSquare", off, whole(3)), single(9))


def computed(how: str) -> Onnx:
    """A convolution of 6 kernels, each of 4x2x3 weights, that the graph computes first."""

    def apply(g: Graph, xs: list[Any], w: dict[str, Array]) -> str:
        weight, flat = output_first(w["weight"]), output_first(w["weight"]).reshape(6, 24)
        if how == "weight_norm":
            length = g("ReduceL2", flat, whole(1))
            rows = g("Mul", flat, g("Div", w["gain"].reshape(6, 1), length))
        elif how == "spectral_norm":
            u, v = w["u"].reshape(1, 6), np.moveaxis(w["v"], -1, 0).reshape(24, 1)
            rows = g("Div", flat, g("MatMul", g("MatMul", u, flat), v))
        else:
            off = g("Sub", flat, g("ReduceMean", flat, whole(1)))
            spread = g("Add", g("ReduceMean", g("Mul", off, off), whole(1)), single(1e-6))
            rows = g("Div", off, g("Sqrt", spread))
            if how == "scaled_standardized":
                rows = g("Mul", rows, w["gain"].reshape(6, 1) * single(24**-0.5))
        return g("Conv", xs[0], g("Reshape", rows, whole(*weight.shape)))

    return apply


def case(layer: Layer, shapes: Any, theirs: Onnx) -> tuple[Layer, tuple[tuple[int, ...], ...], Onnx]:
    return layer, shapes if isinstance(shapes[0], tuple) else (shapes,), theirs


def attending(shapes: Any, *args: Any, **named: Any) -> tuple[Layer, tuple[tuple[int, ...], ...], Onnx]:
    layer = make("attention", *args, **named)
    shapes = shapes if isinstance(shapes[0], tuple) else (shapes,)
    return layer, shapes, attention(layer, shapes)


CASES = [
    attending(SEQUENCE, 2),
    attending((6, 3, 5), 3, bias=False),
    attending(SEQUENCE, 2, is_causal=True),
    attending(SEQUENCE, 2, key_dim=4, value_dim=5),
    attending(((6, 3, 5), (4, 9)), 2, key_value=GivenTensor()),
    attending(((6, 4), (3, 2, 5)), 3, key_dim=1, value_dim=3, key_value=GivenTensor()),
    case(make("matmul"), ((4, 6), (6, 5)), operator("MatMul")),
    case(make("matmul"), ((3, 1, 4, 6), (1, 2, 6, 5)), operator("MatMul")),
    case(make("embedding", 11, 4), (7,), embedding),
    case(make("add"), (MAP, (4, 1, 10), (1, 6, 1)), lambda g, xs, w: g("Add", g("Add", *xs[:2]), xs[2])),
    case(make("mul"), ((4, 1, 1), MAP), operator("Mul")),
    case(make("sub"), ((1, 6, 1), MAP), operator("Sub")),
    case(make("div"), (MAP, (4, 1, 10)), operator("Div")),
    case(make("scale"), MAP, lambda g, xs, w: g("Mul", xs[0], w["weight"])),
    case(make("scale", per_channel=True), MAP, by_channel("Mul", "weight")),
    case(make("scale", Fraction(1, 4)), MAP, operator("Mul", single(0.25))),
    case(make("shift", per_channel=True), MAP, by_channel("Add", "bias")),
    case(make("shift", (1, 2, 3, Fraction(1, 2))), MAP,
         operator("Add", np.array([1, 2, 3, 0.5], np.float32).reshape(4, 1, 1))),
    case(make("layer_scale"), MAP, by_channel("Mul", "weight")),
    case(make("abs"), MAP, operator("Abs")),
    case(make("relu6"), MAP, operator("Clip", single(0), single(6))),
    case(make("hardtanh", -2, Fraction(1, 2)), MAP, operator("Clip", single(-2), single(0.5))),
    case(make("silu"), MAP, lambda g, xs, w: g("Mul", xs[0], g("Sigmoid", xs[0]))),
    case(make("logsigmoid"), MAP, lambda g, xs, w: g("Log", g("Sigmoid", xs[0]))),
    case(make("glu"), MAP, glu(1, 4)),
    case(make("glu", "width"), MAP, glu(3, 10)),
    case(make("softmax", "width"), MAP, operator("Softmax", axis=3)),
    case(make("reduce", "sum", ("height", "width"), keepdim=False), MAP,
         operator("ReduceSum", whole(2, 3), keepdims=0)),
    case(make("reduce", "min", "channels"), MAP, operator("ReduceMin", whole(1))),
    case(make("reduce", "var", "width"), MAP, variance),
    case(make("layer_norm", "channels"), MAP, layer_norm),
    case(make("group_norm", 2), MAP, group_norm),
    case(make("stack", 1), (MAP, MAP, MAP), stack(2)),
    case(make("roll", 7, "width"), MAP, roll(7, 3, 10)),
    case(make("roll", -1, "channels"), MAP, roll(-1, 1, 4)),
    case(make("permute", (2, 0, 1)), MAP, operator("Transpose", perm=[0, 3, 1, 2])),
    case(make("reshape", (8, 30)), MAP, operator("Reshape", whole(2, 8, 30))),
    case(make("slice", 2, 5, "height"), MAP, operator("Slice", whole(2), whole(5), whole(2))),
    case(make("crop", (3, 4)), MAP, operator("Slice", whole(1, 3), whole(4, 7), whole(2, 3))),
    case(make("unfold", (2, 3), (1, 2), (1, 0), (2, 1)), MAP, unfold),
    case(make("pixel_unshuffle", 2), MAP, pixel_unshuffle),
    case(make("channel_shuffle", 2), MAP, channel_shuffle),
    case(make("upsample", 13, mode="bilinear"), (3, 6), operator(
        "Resize", None, None, whole(2, 3, 13), mode="linear")),
    case(make("upsample", (5, 4, 9), mode="bilinear"), (2, 3, 4, 5), operator(
        "Resize", None, None, whole(2, 2, 5, 4, 9), mode="linear")),
    *(case(make("conv", 6, (2, 3), bias=False, weight=how), MAP, computed(how)) for how in (
        "weight_norm", "spectral_norm", "standardized", "scaled_standardized")),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shapes", "theirs"), CASES, ids=[str(case[0]) for case in CASES])
def test_onnxruntime(layer: Layer, shapes: tuple[tuple[int, ...], ...], theirs: Onnx) -> None:
    graph = Graph()
    inputs, weights = drawn(layer, shapes, np.float32)
    if layer.kind == "embedding":
        inputs = [np.random.default_rng(5).integers(0, 11, x.shape).astype(np.float32) for x in inputs]
    given = dict(zip("xyz", inputs, strict=False))
    expected = graph.run(theirs(graph, list(given), weights), **given)
    assert_close(ours(layer, inputs, weights), expected, SINGLE)


NONE = {
    *("dropout", "drop_path"),  # nothing at inference
    *("local", "rbf", "subsample", "grn"),  # no operators of ONNX; they are worked out in test_kernels.py
    *("adaptive_avgpool", "adaptive_maxpool", "maxunpool"),  # in test_torch of test_other_engines.py
    "parameter",  # a constant
    "opaque",
}


def test_every_kind_is_compared() -> None:
    from test_other_engines import LIKE_ONNX

    found = {case[0].kind for case in (*CASES, *LIKE_ONNX)} | {"deform_conv", "concat"}
    assert set(KINDS) - found == NONE
