"""Every kernel against slow loops by the definition, in double precision, over all its arguments."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import kernel_oracle
import numpy as np
import oracle
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from samples import MAP, SAMPLES, Sample, make
from test_layers import one_or_each, shape_of, sliding

from archcalc.executor import conv as conv_kernels
from archcalc.executor.computed import with_computed_weight
from archcalc.executor.kernel import KERNELS, Call, computing
from archcalc.layers import KINDS, Layer, LayerError
from archcalc.layers.arguments import GivenTensor
from archcalc.layers.base import facts
from archcalc.layers.computed import WAYS
from archcalc.layers.pool import Pooled

Array = np.ndarray
Shape = tuple[int, ...]

BATCH = 2


def drawn(
    layer: Layer, inputs: tuple[Shape, ...], dtype: Any = np.float64, seed: int = 7
) -> dict[str, Array]:
    """Arrays for a layer, none of them neutral."""
    random = np.random.default_rng(seed)
    return {
        weight.name: random.uniform(0.5, 2, weight.shape).astype(dtype)
        if weight.name == "running_var"
        else random.standard_normal(weight.shape).astype(dtype)
        for weight in facts(layer, inputs).weights
    }


def tensors(layer: Layer, shapes: Sequence[Shape], batch: int = BATCH, seed: int = 3) -> list[Array]:
    """Inputs, channels first; an unpooling also gets what its pool read and put out."""
    random = np.random.default_rng(seed)
    if layer.kind == "embedding":
        return [random.integers(layer.num_embeddings, size=(batch, *shapes[0])).astype(float)]
    arrays = [2 * random.standard_normal((batch, *shape)) for shape in shapes]
    if layer.kind == "maxunpool":
        before = 2 * random.standard_normal((batch, *layer.pool.shape))
        return [arrays[0], np.stack([pooled_by_hand(layer, sample, shapes[0]) for sample in before]), before]
    return arrays


def pooled_by_hand(layer: Any, x: Array, shape: Shape) -> Array:
    """What the pool of an unpooling puts out; whether it was in ceil mode shows in its shape."""
    windows = layer.pool.windows
    arguments = (
        tuple(int(w.kernel_size) for w in windows),
        tuple(int(w.stride) for w in windows),
        tuple((int(w.before), int(w.after)) for w in windows),
        tuple(w.dilation for w in windows),
    )
    for ceil_mode in (False, True):
        pool = make("maxpool", *arguments, ceil_mode)
        with contextlib.suppress(LayerError):
            if pool.output_shape(x.shape) == shape:
                break
    return kernel_oracle.maxpool(pool, [x], {})


def compute(layer: Layer, inputs: Sequence[Array], weights: dict[str, Array], **how: Any) -> Array:
    """What the kernel puts out, channels first. It must leave its inputs and arrays as they are."""
    last = [np.ascontiguousarray(np.moveaxis(x, 1, -1)) for x in inputs]
    before = [array.copy() for array in (*last, *weights.values())]
    with computing():
        arrays = with_computed_weight(layer, weights)
        out = KERNELS[type(layer)](
            layer, Call(last, arrays, batch=BATCH if not last else len(last[0]), **how)
        )
    for array, kept in zip((*last, *weights.values()), before, strict=True):
        np.testing.assert_array_equal(array, kept)
    return np.moveaxis(out, -1, 1)


def by_hand(layer: Layer, inputs: Sequence[Array], weights: dict[str, Array]) -> Array:
    """The same by the oracle, a sample at a time."""
    if layer.kind == "bn" and "running_mean" not in weights:
        return kernel_oracle.bn_of_batch(layer, inputs[0], weights)
    if not inputs:
        return np.stack([kernel_oracle.BY_KIND[layer.kind](layer, [], weights)] * BATCH)
    weights = {**weights, **kernel_oracle.computed(layer, weights)}
    samples = zip(*inputs, strict=True)
    return np.stack([kernel_oracle.BY_KIND[layer.kind](layer, xs, weights) for xs in samples])


def assert_close(actual: Array, expected: Array, relative: float = 1e-10) -> None:
    assert actual.shape == expected.shape
    numbers = expected[np.isfinite(expected)]
    scale = float(np.abs(numbers).max()) if numbers.size else 1.0
    np.testing.assert_allclose(actual, expected, rtol=relative, atol=relative * scale)


def agree(layer: Layer, shapes: tuple[Shape, ...], batch: int = BATCH, seed: int = 3) -> None:
    inputs, weights = tensors(layer, shapes, batch, seed), drawn(layer, shapes)
    actual = compute(layer, inputs, weights)
    assert actual.dtype == np.float64
    assert actual.shape == (batch, *layer.output_shape(*shapes))
    assert_close(actual, by_hand(layer, inputs, weights))


def test_every_kind_has_an_oracle() -> None:
    assert set(kernel_oracle.BY_KIND) == KINDS.keys() - {"opaque"}  # what it computes is unknown


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
class TestSample:
    def test_values(self, sample: Sample) -> None:
        agree(sample.layer, sample.inputs)

    def test_single_precision_stays_single(self, sample: Sample) -> None:
        weights = drawn(sample.layer, sample.inputs)
        inputs = tensors(sample.layer, sample.inputs)
        exact = compute(sample.layer, inputs, weights)
        single = compute(
            sample.layer,
            [x.astype(np.float32) for x in inputs],
            {name: array.astype(np.float32) for name, array in weights.items()},
        )
        assert single.dtype == np.float32
        assert_close(single, exact, 2e-5)


# --- The whole space of arguments -------------------------------------------------------------------

SIDES = {1: 12, 2: 7, 3: 4}
CHANNELS = st.integers(1, 3)
FRACTION = st.integers(-8, 8).map(lambda n: Fraction(n, 4))


def maps(draw: Any, channels: st.SearchStrategy[int] = CHANNELS, vector: bool = False) -> Shape:
    rank = draw(st.sampled_from((0, 1, 2, 3) if vector else (1, 2, 3)))
    side = st.integers(1, SIDES.get(rank, 1))
    return (draw(channels), *draw(st.tuples(*[side] * rank)))


def dims_of(shape: Shape) -> list[str]:
    names = {1: ["length"], 2: ["height", "width"], 3: ["depth", "height", "width"]}
    numbered = [f"axis{number}" for number in range(1, len(shape))]
    return ["channels", *names.get(len(shape) - 1, numbered)]


DEEP = st.lists(st.integers(1, 3), min_size=5, max_size=6).map(tuple)
"""Shapes of more axes than a window slides along."""


@st.composite
def layer_of(draw: Any, kind: str) -> tuple[Layer, tuple[Shape, ...]]:
    """A layer of a kind with any arguments, and inputs that it takes."""
    given: dict[str, Any] = {}
    flag = draw(st.booleans())
    groups = draw(st.integers(1, 3))
    shape = maps(draw, vector=True)
    shapes: tuple[Shape, ...] | None = None
    if kind in ("conv", "depthwise", "local"):
        shape, given = draw(sliding(st.integers(1, 2).map(lambda n: n * groups), dilated=kind != "local"))
        given["bias"] = flag
        if kind == "depthwise":
            given["multiplier"] = draw(st.integers(1, 3))
        else:
            given["out_channels"] = draw(st.integers(1, 2)) * groups
        if kind == "conv" and draw(st.booleans()):
            given["groups"] = groups
        elif kind == "conv" and draw(st.booleans()):
            row = st.lists(st.integers(0, shape[0] - 1), min_size=1, unique=True).map(tuple)
            given["connections"] = tuple(draw(st.lists(row, min_size=1, max_size=3)))
            given["out_channels"] = len(given["connections"])
    elif kind == "pointwise":
        shape, given = maps(draw), {"out_channels": draw(CHANNELS), "bias": flag}
    elif kind == "conv_transpose":
        shape = maps(draw, st.integers(1, 2).map(lambda n: n * groups))
        rank = len(shape) - 1
        most = {"kernel_size": (1, 4), "stride": (1, 4), "padding": (0, 2), "dilation": (1, 3)}
        given = {name: one_or_each(draw, rank, st.integers(*ends)) for name, ends in most.items()}
        given["output_padding"] = one_or_each(draw, rank, st.integers(0, 2))
        if draw(st.booleans()):
            given |= {"padding": "same", "output_padding": 0}
        elif draw(st.booleans()):
            ends = st.tuples(st.integers(0, 2), st.integers(0, 2))
            given["padding"] = tuple(draw(ends) for _ in range(rank))
        given |= {"out_channels": draw(st.integers(1, 2)) * groups, "groups": groups, "bias": flag}
    elif kind == "deform_conv":
        moving = draw(st.integers(1, 2))
        shape, given = draw(sliding(st.just(groups * moving)))
        assume(len(shape) == 3)
        given |= {"out_channels": draw(st.integers(1, 2)) * groups, "groups": groups, "bias": flag}
        try:
            places = make("conv", **given).output_shape(shape)[1:]
        except LayerError:
            assume(False)
        taps = moving * math.prod(oracle.each(given["kernel_size"], 2))
        shapes = (shape, (2 * taps, *places), (taps, *places))
        given |= {"offset": GivenTensor(), "mask": GivenTensor()}
        if draw(st.booleans()):
            shapes, given["mask"] = shapes[:2], None
    elif kind in ("maxpool", "avgpool", "lppool", "subsample", "maxunpool"):
        shape, given = draw(sliding(st.integers(1, 2)))
        given["ceil_mode"] = flag
        if draw(st.booleans()):
            del given["stride"]
        if kind == "avgpool":
            given["count_include_pad"] = draw(st.booleans())
            given["divisor_override"] = draw(st.sampled_from([None, None, 3]))
        if kind == "lppool":
            given["norm_type"] = draw(st.integers(1, 4))
        taken = {"maxunpool": {"kernel_size", "padding", "dilation", "ceil_mode", "stride"}}
        given = {k: v for k, v in given.items() if k in taken.get(kind, KINDS[kind].__struct_fields__)}
        if kind == "maxunpool":
            pool = make("maxpool", **given)
            try:
                pooled = pool.output_shape(shape)
            except LayerError:
                assume(False)
            given, shapes = {"pool": Pooled(shape, pool.windows(shape))}, (pooled, pooled)
    elif kind.startswith("adaptive"):
        shape = maps(draw)
        given = {"output_size": one_or_each(draw, len(shape) - 1, st.integers(1, 7))}
    elif kind.startswith("global"):
        shape = maps(draw)
    elif kind in ("fc", "rbf"):
        shape, given = (draw(st.integers(1, 9)),), {"out_features": draw(CHANNELS)}
        given |= {"bias": flag} if kind == "fc" else {}
    elif kind == "leaky_relu":
        given = {"negative_slope": draw(FRACTION)}
    elif kind == "elu":
        given = {"alpha": draw(FRACTION)}
    elif kind == "prelu":
        given = {"num_parameters": shape[0] if flag else 1}
    elif kind == "gelu":
        given = {"approximate": draw(st.sampled_from(["none", "tanh"]))}
    elif kind in ("softmax", "log_softmax"):
        shape = maps(draw, vector=True) if flag else draw(DEEP)
        given = {"dim": draw(st.sampled_from(dims_of(shape)))}
    elif kind == "glu":
        axis = draw(st.integers(0, len(shape) - 1))
        shape = (*shape[:axis], 2 * shape[axis], *shape[axis + 1 :])
        given = {"dim": dims_of(shape)[axis]}
    elif kind == "reduce":
        shape = maps(draw, vector=True) if flag else draw(DEEP)
        names = st.lists(st.sampled_from(dims_of(shape)), min_size=1, unique=True).map(tuple)
        given = {"op": draw(st.sampled_from(["sum", "mean", "max", "min", "var", "norm"]))}
        given |= {"dim": draw(st.none() | st.sampled_from(dims_of(shape)) | names)}
        given |= {"keepdim": draw(st.booleans())}
        given |= {"correction": draw(st.integers(0, 2))} if given["op"] == "var" else {}
    elif kind == "hardsigmoid":
        given = {"slope": draw(FRACTION), "offset": draw(FRACTION)} if flag else {}
    elif kind == "hardtanh":
        given = {"min_val": draw(FRACTION), "max_val": draw(FRACTION)}
    elif kind == "softplus":
        given = {"beta": draw(FRACTION), "threshold": draw(FRACTION | st.just(20))}
    elif kind == "clamp":
        given = {"min": draw(FRACTION | st.none()), "max": draw(FRACTION | st.none())}
    elif kind == "pow":
        given = {"exponent": draw(FRACTION | st.integers(-3, 4))}
    elif kind == "transpose":
        axis = st.integers(-len(shape), len(shape) - 1)
        given = {"dim0": draw(axis), "dim1": draw(axis)}
    elif kind == "roll":
        given = {"shift": draw(st.integers(-20, 20)), "dim": draw(st.sampled_from(dims_of(shape)))}
    elif kind == "pixel_shuffle":
        sizes = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
        shape, given = (groups**2 * draw(CHANNELS), *sizes), {"upscale_factor": groups}
    elif kind == "pixel_unshuffle":
        sizes = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
        shape, given = (draw(CHANNELS), *(groups * n for n in sizes)), {"downscale_factor": groups}
    elif kind == "unfold":
        shape = draw(st.tuples(CHANNELS, st.integers(1, 8), st.integers(1, 8)))
        most = {"kernel_size": (1, 4), "dilation": (1, 3), "padding": (0, 2), "stride": (1, 3)}
        given = {name: one_or_each(draw, 2, st.integers(*ends)) for name, ends in most.items()}
    elif kind == "stack":
        shapes = (shape,) * draw(st.integers(2, 4))
        given = {"dim": draw(st.integers(-len(shape) - 1, len(shape)))}
    elif kind in ("dropout", "drop_path"):
        given = {"p": draw(st.sampled_from([0, Fraction(1, 3), 1]))}
    elif kind == "bn":
        given = {"affine": flag, "track_running_stats": draw(st.booleans())}
        given |= {"scale": draw(st.booleans()), "bias": draw(st.booleans())}
        given["eps"] = draw(st.sampled_from([Fraction(1, 100_000), Fraction(1, 10)]))
    elif kind == "lrn":
        shape = maps(draw, st.integers(1, 7), vector=True)
        given = {"size": draw(st.integers(1, 6)), "alpha": draw(st.sampled_from([Fraction(1, 2), 2]))}
        given |= {"beta": draw(FRACTION), "k": draw(st.sampled_from([1, Fraction(5, 2)]))}
    elif kind == "layer_norm":
        given = {"dim": draw(st.sampled_from(["all", "channels"])), "eps": Fraction(1, 1000)}
        given |= {"elementwise_affine": flag, "bias": draw(st.booleans())}
    elif kind in ("group_norm", "instance_norm"):
        shape = maps(draw, st.integers(1, 2).map(lambda n: n * groups))
        given = {"affine": flag, "eps": Fraction(1, 1000)}
        given |= {"num_groups": groups} if kind == "group_norm" else {}
    elif kind == "grn":
        given = {"eps": draw(st.sampled_from([Fraction(1, 1_000_000), Fraction(1, 10)]))}
    elif kind == "layer_scale":
        given = {"init_value": draw(FRACTION), "bias": flag}
    elif kind == "reshape":
        given = {"shape": tuple(draw(st.permutations(shape)))}
    elif kind == "permute":
        given = {"dims": tuple(draw(st.permutations(range(len(shape)))))}
    elif kind == "channel_shuffle":
        shape, given = maps(draw, st.integers(1, 3).map(lambda n: n * groups), True), {"groups": groups}
    elif kind == "upsample":
        shape = maps(draw)
        factor = st.integers(1, 12).map(lambda n: Fraction(n, 4))
        if flag:
            given = {"size": one_or_each(draw, len(shape) - 1, st.integers(1, 9))}
        else:
            given = {"scale_factor": draw(factor | st.tuples(*[factor] * (len(shape) - 1)))}
        given["mode"] = draw(st.sampled_from(["nearest", "nearest_exact", "bilinear", "bicubic"]))
        given["align_corners"] = given["mode"][:2] == "bi" and draw(st.booleans())
    elif kind == "pad":
        end = st.integers(-2, 3)
        pair = st.tuples(end, end)
        if flag:
            given = {"padding": draw(pair), "dim": draw(st.sampled_from(dims_of(shape)))}
        else:
            shape = maps(draw)
            given = {"padding": draw(end | st.tuples(*[end | pair] * (len(shape) - 1)))}
        given["mode"] = draw(st.sampled_from(["constant", "reflect", "replicate", "circular"]))
        if given["mode"] == "constant":
            given["value"] = draw(FRACTION)
    elif kind == "crop":
        shape = maps(draw)
        given = {
            "size": draw(st.integers(1, min(shape[1:])) | st.tuples(*(st.integers(1, n) for n in shape[1:])))
        }
    elif kind == "slice":
        axis = draw(st.integers(0, len(shape) - 1))
        start = draw(st.integers(0, shape[axis] - 1))
        given = {
            "start": start,
            "end": draw(st.integers(start + 1, shape[axis])),
            "dim": dims_of(shape)[axis],
        }
    elif kind == "concat":
        axis = draw(st.integers(0, len(shape) - 1))
        sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
        shapes = tuple((*shape[:axis], n, *shape[axis + 1 :]) for n in sizes)
        given = {"dim": dims_of(shape)[axis]}
    elif kind in ("add", "mul", "sub", "div"):
        shapes = tuple(
            tuple(n if draw(st.integers(0, 3)) else 1 for n in shape)
            for _ in range(draw(st.integers(2, 4)) if kind in ("add", "mul") else 2)
        )
    elif kind == "parameter":
        shapes, given = (), {"shape": shape, "trained": flag}
    elif kind in ("scale", "shift"):
        numbers = st.integers(-3, 3).map(lambda n: Fraction(n, 2))
        given = draw(
            st.just({"per_channel": flag})
            | st.fixed_dictionaries({"value": numbers | st.tuples(*[numbers] * shape[0])})
        )
    elif kind == "matmul":
        rows, inner, columns = (draw(st.integers(1, 5)) for _ in range(3))
        lead = draw(st.lists(st.integers(1, 3), max_size=3))
        first, second = ([n if draw(st.booleans()) else 1 for n in lead] for _ in range(2))
        shapes = ((*first, rows, inner), (*second, inner, columns))
    elif kind == "attention":
        heads = draw(st.integers(1, 3))
        shape = maps(draw, st.integers(1, 2).map(lambda n: n * heads))
        given = {"num_heads": heads, "bias": flag, "is_causal": draw(st.booleans())}
        given |= {name: draw(st.integers(1, 3)) for name in ("key_dim", "value_dim") if draw(st.booleans())}
        shapes = (shape,)
        if not given["is_causal"] and draw(st.booleans()):
            shapes, given = (shape, maps(draw)), given | {"key_value": GivenTensor()}
    elif kind == "embedding":
        shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=5)))
        given = {"num_embeddings": draw(st.integers(1, 9)), "embedding_dim": draw(CHANNELS)}
    elif kind in ("lstm", "gru", "rnn"):
        shape = (draw(CHANNELS), draw(st.integers(1, 8)))
        given = {"hidden_size": draw(st.integers(1, 4)), "num_layers": draw(st.integers(1, 3))}
        given |= {"bias": draw(st.sampled_from([True, False, "one"])), "bidirectional": flag}
        given["return_sequences"] = draw(st.booleans())
        given |= {"nonlinearity": draw(st.sampled_from(["tanh", "relu"]))} if kind == "rnn" else {}
    else:
        assert not KINDS[kind].parameters  # a new argument is drawn here too
    shapes = (shape,) if shapes is None else shapes
    if "weight" in KINDS[kind].__struct_fields__ and draw(st.booleans()):
        given["weight"] = draw(st.sampled_from(WAYS))
    try:
        layer = KINDS[kind](**given)
        assume(math.prod(layer.output_shape(*shapes)) <= 2000)
    except LayerError:
        assume(False)
    return layer, shapes


MANY = {
    "reduce": 150,
    "unfold": 60,
    "conv": 600,
    "depthwise": 200,
    "local": 200,
    "conv_transpose": 250,
    "maxpool": 200,
    "avgpool": 200,
}
MANY |= {"upsample": 200, "pad": 200, "deform_conv": 100}


@pytest.mark.parametrize("kind", sorted(kernel_oracle.BY_KIND))
def test_any_arguments(kind: str) -> None:
    @settings(
        deadline=None,
        max_examples=MANY.get(kind, 25 if KINDS[kind].parameters else 8),
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(layer_of(kind), st.integers(0, 5))
    def holds(case: tuple[Layer, tuple[Shape, ...]], seed: int) -> None:
        agree(*case, seed=seed)

    holds()


# --- The ways to compute a convolution --------------------------------------------------------------

BY_TAPS = "depthwise_sum"
LAYOUTS = [
    # what chooses the way, and the way
    ("1x1", make("conv", 5, 1), (4, 9, 10), ""),
    ("1x1, strided", make("conv", 5, 1, (3, 2)), (4, 10, 9), ""),
    ("1x1, strided, padded", make("conv", 5, 1, (2, 3), ((0, 1), (2, 0))), (4, 9, 10), ""),
    ("1x1, dilated", make("conv", 5, 1, dilation=3), (4, 9, 10), ""),
    ("few channels", make("conv", 3, (4, 5), (1, 2)), (3, 9, 10), "_by_row_blocks"),
    ("wide map", make("conv", 3, 3, padding=1), (17, 6, 11), "_by_row_blocks"),
    ("narrow map", make("conv", 3, 3, padding=1), (17, 9, 7), "_by_kernel_rows"),
    ("narrow map, lopsided", make("conv", 3, (2, 3), 1, ((0, 1), (2, 0))), (16, 9, 7), "_by_kernel_rows"),
    ("narrow map, strided", make("conv", 3, (3, 2), (2, 1), 1), (16, 9, 7), "_by_row_blocks"),
    ("narrow map, dilated", make("conv", 3, 2, dilation=(1, 2)), (16, 9, 7), "_by_row_blocks"),
    ("high kernel", make("conv", 3, (5, 4), padding="same"), (16, 6, 12), "_by_kernel_rows"),
    ("high kernel, few channels", make("conv", 3, (5, 4), padding="same"), (15, 6, 12), "_by_row_blocks"),
    ("groups", make("conv", 6, (2, 3), (1, 2), padding=1, groups=3), (6, 9, 10), "_by_row_blocks"),
    ("groups, narrow", make("conv", 4, (2, 3), padding=1, groups=2), (32, 5, 6), "_by_kernel_rows"),
    ("groups of one", make("conv", 6, (4, 5), (1, 2), "same", groups=6), (6, 9, 10), BY_TAPS),
    ("groups of one, doubled", make("conv", 6, (4, 5), (1, 2), groups=3), (3, 9, 10), "_by_row_blocks"),
    ("a row", make("conv", 3, 4, 2, ((1, 3),), 2), (4, 20), "_by_row_blocks"),
    ("a short row", make("conv", 3, 4, padding="same"), (16, 7), "_by_kernel_rows"),
    ("a row, 1", make("conv", 3, 1, 3), (4, 11), ""),
    ("planes", make("conv", 3, (2, 3, 4), (2, 1, 2), ((0, 1), (2, 0), 1)), (2, 5, 6, 9), "_by_planes"),
    ("planes, dilated", make("conv", 2, 2, 2, 2, (3, 1, 2)), (2, 6, 5, 7), "_by_planes"),
    ("planes, 1x1x1", make("conv", 2, 1, (2, 1, 3)), (3, 5, 4, 7), "_by_planes"),
    ("planes, groups", make("conv", 4, (2, 1, 3), groups=2), (4, 4, 5, 6), "_by_planes"),
    ("connections", make("conv", 2, 3, connections=((0, 5), (1, 2, 3))), (6, 9, 10), "_by_row_blocks"),
    ("doubled", make("depthwise", (4, 5), (1, 2), ((0, 1), (2, 0)), multiplier=2), (4, 9, 10), BY_TAPS),
    ("depthwise, strided", make("depthwise", (4, 3), (3, 2), ((0, 1), (2, 0)), (1, 2)), (4, 9, 9), BY_TAPS),
    ("depthwise, strided, doubled", make("depthwise", 3, 2, multiplier=2), (4, 9, 10), BY_TAPS),
    ("depthwise, deep", make("depthwise", (2, 3), 1, 1), (256, 4, 3), BY_TAPS),
    ("depthwise, strips", make("depthwise", (3, 2), (2, 1), 1, (1, 3)), (4, 7, 30), BY_TAPS),
    ("depthwise row", make("depthwise", 3, 2, 1, 2), (5, 12), BY_TAPS),
    ("depthwise planes", make("depthwise", (2, 3, 1), (1, 2, 3), 1), (3, 4, 5, 6), BY_TAPS),
]  # fmt: skip


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("block_bytes", [1, 4000, 1 << 20])
@pytest.mark.parametrize(
    ("layer", "shape", "way"), [case[1:] for case in LAYOUTS], ids=[c[0] for c in LAYOUTS]
)
def test_ways_of_convolution(
    layer: Layer, shape: Shape, way: str, block_bytes: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = set()
    for name in ("_by_row_blocks", "_by_kernel_rows", "_by_planes", BY_TAPS):

        def spy(*args: Any, name: str = name, really: Any = getattr(conv_kernels, name)) -> Any:
            taken.add(name)
            return really(*args)

        monkeypatch.setattr(conv_kernels, name, spy)
    monkeypatch.setattr(conv_kernels, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(conv_kernels, "STRIP_BYTES", block_bytes)
    agree(layer, (shape,), batch)
    assert way in taken if way else not taken


def test_a_large_batch() -> None:
    """Samples do not mix: each comes out as it does alone."""
    layer = make("conv", 3, (4, 5), (1, 2), ((0, 1), (2, 0)))
    weights = drawn(layer, (MAP,))
    (x,) = tensors(layer, (MAP,), batch=65)
    together = compute(layer, [x], weights)
    assert_close(together, np.concatenate([compute(layer, [x[i : i + 1]], weights) for i in range(65)]))
    assert_close(together[:1], by_hand(layer, [x[:1]], weights))


def test_blocks_of_rows_are_really_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """With blocks of two rows, seven rows are four products, the last of them smaller."""
    layer = make("conv", 2, 3, stride=1, padding=1)
    window = 3 * 3 * 3 * 8 * 10
    monkeypatch.setattr(conv_kernels, "BLOCK_BYTES", 2 * window)
    rows = []
    really = np.matmul
    monkeypatch.setattr(
        conv_kernels.np, "matmul", lambda a, b, out: (rows.append(len(a) // 10), really(a, b, out=out))
    )
    compute(layer, tensors(layer, ((3, 7, 10),), batch=1), drawn(layer, ((3, 7, 10),)))
    assert rows == [2, 2, 2, 1]


# --- Values at the edge -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        *("sigmoid", "silu", "softmax", "log_softmax", "gelu", "elu", "selu", "hardswish", "tanh"),
        *("softplus", "mish", "logsigmoid", "softsign"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_overflow(kind: str, dtype: Any) -> None:
    x = np.array([[-1e4, -800, -90, -1e-30, 0, 1e-30, 90, 800, 1e4]], dtype)
    with np.errstate(all="raise", under="ignore"):
        out = compute(KINDS[kind](), [x], {})
    assert np.isfinite(out).all()
    assert out.dtype == dtype


def test_not_a_number_stays_one() -> None:
    """NaNs show receptive fields; what swallowed them would show too small ones."""
    for sample in SAMPLES:
        if sample.kind == "maxunpool" or not sample.inputs:
            continue
        inputs = [np.full((1, *shape), np.nan) for shape in sample.inputs]
        out = compute(sample.layer, inputs, drawn(sample.layer, sample.inputs))
        if sample.kind != "pad":  # what it adds are zeros
            assert np.isnan(out).any(), sample
        if isinstance(sample.sees, str) and sample.kind != "unfold":  # whose padding is zeros
            assert np.isnan(out).all(), sample


def test_padding_never_wins_a_maximum() -> None:
    layer = make("maxpool", 3, 2, padding=1, ceil_mode=True)
    out = compute(layer, [np.full((1, 2, 4, 5), -7.0)], {})
    np.testing.assert_array_equal(out, np.full((1, 2, 3, 3), -7.0))


def test_erf_in_single_precision() -> None:
    from archcalc.executor.activation import erf

    x = np.linspace(-5, 5, 20_001)
    exact = np.array([math.erf(v) for v in x])
    assert np.abs(erf(x) - exact).max() < 1e-15
    assert np.abs(erf(x.astype(np.float32)) - exact).max() < 5e-7


# --- As in training ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (3, 7), (3, 4, 5), (2, 3, 2, 4)])
@pytest.mark.parametrize(
    "given", [{}, {"affine": False}, {"scale": False}, {"bias": False}, {"scale": False, "bias": False}]
)
def test_bn_of_a_batch(shape: Shape, given: dict[str, bool]) -> None:
    for track in (True, False):
        layer = make("bn", track_running_stats=track, **given)
        inputs, weights = tensors(layer, (shape,), batch=4), drawn(layer, (shape,))
        actual = compute(layer, inputs, weights, train=True)
        assert_close(actual, kernel_oracle.bn_of_batch(layer, inputs[0], weights))


@pytest.mark.parametrize("p", [0, Fraction(1, 4), Fraction(9, 10), 1])
def test_dropout(p: Any) -> None:
    layer = make("dropout", p)
    x = np.ones((3, 40, 30, 20))
    out = compute(layer, [x], {}, train=True, random=np.random.default_rng(1))
    assert set(np.unique(out)) <= {0.0, 1 / (1 - float(p))} if p != 1 else not out.any()
    assert abs((out == 0).mean() - float(p)) < 0.01
    again = compute(layer, [x], {}, train=True, random=np.random.default_rng(1))
    np.testing.assert_array_equal(out, again)
    if 0 < p < 1:
        other = compute(layer, [x], {}, train=True, random=np.random.default_rng(2))
        assert (out != other).any()
        assert len({sample.tobytes() for sample in out}) == 3
        assert abs(out.mean() - 1) < 0.1


@pytest.mark.parametrize("p", [0, Fraction(1, 4), 1])
def test_drop_path(p: Any) -> None:
    """Samples are kept or dropped as a whole."""
    layer = make("drop_path", p)
    x = np.random.default_rng(0).uniform(1, 2, (2000, 2, 3))
    out = compute(layer, [x], {}, train=True, random=np.random.default_rng(1))
    dropped = (out == 0).all(axis=(1, 2))
    assert abs(dropped.mean() - float(p)) < 0.04
    if p != 1:
        assert_close(out[~dropped], x[~dropped] / (1 - float(p)))
    assert compute(layer, [x], {}).tobytes() == x.tobytes()


def test_chance_without_a_source_is_seeded() -> None:
    layer = make("dropout")
    x = np.ones((1, 50))
    assert compute(layer, [x], {}, train=True).tobytes() == compute(layer, [x], {}, train=True).tobytes()


# --- The register -----------------------------------------------------------------------------------


def test_a_kind_without_a_kernel_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from archcalc.executor.kernel import check_complete, kernel

    monkeypatch.delitem(KERNELS, KINDS["lrn"])
    with pytest.raises(TypeError, match="layer kinds without a kernel: lrn"):
        check_complete()
    with pytest.raises(TypeError, match="layer kind `relu` has two kernels"):
        kernel(KINDS["relu"])(lambda layer, call: call.x)


def test_shape_of_is_asymmetric() -> None:
    """The strategies of the layers' tests are used here: they must go on drawing every rank."""
    ranks = set()

    @settings(max_examples=60, derandomize=True, database=None)
    @given(st.data())
    def look(data: st.DataObject) -> None:
        ranks.add(len(shape_of(data.draw, CHANNELS)) - 1)

    look()
    assert ranks == {1, 2, 3}


# --- Channels ---------------------------------------------------------------------------------------

# the output of an unpooling does not depend on its input alone
READING = [sample for sample in SAMPLES if sample.kind != "maxunpool"]


@pytest.mark.parametrize("sample", READING, ids=str)
def test_channels_that_are_read(sample: Sample) -> None:
    """A channel of NaNs spoils exactly the output channels that are said to read it."""
    found = facts(sample.layer, sample.inputs)
    inputs = [np.abs(x) for x in tensors(sample.layer, sample.inputs, 1)]  # roots of sums are numbers then
    weights = drawn(sample.layer, sample.inputs)
    for index, x in enumerate(inputs):
        for channel in range(x.shape[1]):
            before = x[0, channel].copy()
            x[0, channel] = np.nan
            out = compute(sample.layer, inputs, weights)[0].copy()
            x[0, channel] = before
            spoiled = np.isnan(out).reshape(len(out), -1).any(axis=1)
            reached = sample.layer.reached(1 << channel, index, found)
            assert [reached >> each & 1 for each in range(len(out))] == spoiled.tolist(), (index, channel)


NORMS = [
    make("bn", track_running_stats=False),
    make("instance_norm", affine=True),
    make("group_norm", 2),
    make("layer_norm"),
    make("layer_norm", "channels"),
]


@pytest.mark.parametrize("layer", NORMS, ids=str)
def test_a_variance_too_large_for_single_precision(layer: Layer) -> None:
    """The square of 1e30 is no number of single precision, but the mean and the deviation are: the
    definition in double precision says what comes out, and it is not the bias alone."""
    shape = (4, 3, 5)
    (x,), weights = tensors(layer, (shape,)), drawn(layer, (shape,))
    x[0, 1, 0, 0] = 1e30
    single = {name: array.astype(np.float32) for name, array in weights.items()}
    actual = compute(layer, [x.astype(np.float32)], single)
    assert_close(actual, by_hand(layer, [x], weights), 1e-5)
    assert not np.allclose(actual[0, 1, 0, 0], weights["bias"].reshape(-1)[1])


@pytest.mark.parametrize("layer", NORMS, ids=str)
def test_what_is_normalized_with_an_infinity_is_no_number(layer: Layer) -> None:
    """As in PyTorch: the mean is infinite, and infinity less infinity is no number."""
    (x,), weights = tensors(layer, ((4, 3, 5),)), drawn(layer, ((4, 3, 5),))
    x[0, 1, 0, 0] = np.inf
    actual = compute(layer, [x], weights)
    assert np.isnan(actual[0, 1, 0, 0])
    assert np.isfinite(actual[1]).all() or layer.kind == "bn"  # the other sample, unless a batch is one
