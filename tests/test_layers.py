"""The facts of every layer kind: against hand-worked samples, against slow loops, and against PyTorch."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import oracle
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from samples import SAMPLES, Sample

from archcalc import NetworkBuilder, load, loads
from archcalc.layers import KINDS, Layer, LayerError
from archcalc.layers.base import facts, layer
from archcalc.layers.pool import Pooled
from archcalc.layers.terms import OPERATIONS, Facts, Reach, Stacked, Swapped
from archcalc.profile import figures_of

Shape = tuple[int, ...]


# --- Against the samples ----------------------------------------------------------------------------


def arrays_of(found: Facts) -> tuple[int, int, int]:
    """Parameters, buffers and weights of a layer."""
    figures = figures_of(found)
    return figures.params, figures.buffers, figures.weights


def test_every_kind_has_a_sample() -> None:
    assert {sample.kind for sample in SAMPLES} == KINDS.keys() - {"opaque"}  # what it computes is unknown


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
class TestSample:
    def test_output_shape(self, sample: Sample) -> None:
        assert sample.layer.output_shape(*sample.inputs) == sample.output
        assert figures_of(facts(sample.layer, sample.inputs)).activations == math.prod(sample.output)

    def test_weights(self, sample: Sample) -> None:
        found = facts(sample.layer, sample.inputs)
        assert arrays_of(found) == (sample.params, sample.buffers, sample.weights)
        assert sum(math.prod(weight.shape) for weight in found.weights) == sample.params + sample.buffers
        names = [weight.name for weight in found.weights]
        assert len(set(names)) == len(names)

    def test_operations(self, sample: Sample) -> None:
        found = facts(sample.layer, sample.inputs)
        assert {category for category, _ in found.operations} <= set(OPERATIONS)
        assert figures_of(found).macs == sample.macs
        assert figures_of(found).flops == sample.flops

    def test_windows(self, sample: Sample) -> None:
        windows = sample.layer.windows(*sample.inputs)
        if isinstance(sample.sees, str):
            assert windows is Reach[sample.sees.upper()]
            return
        if isinstance(sample.sees, Swapped | Stacked):
            assert windows == sample.sees
            return
        assert isinstance(windows, tuple)
        assert [(w.kernel_size, w.stride, w.before, w.after, w.dilation) for w in windows] == [
            sees[:5] for sees in sample.sees
        ]
        assert [w.transposed for w in windows] == [len(sees) > 5 for sees in sample.sees]

    def test_formulas_show_what_is_counted(self, sample: Sample) -> None:
        found = facts(sample.layer, sample.inputs)
        for term in [weight.term for weight in found.weights] + [term for _, term in found.operations]:
            numbers = term.numbers.replace(" × ", "·").split("·")
            assert math.prod(map(int, numbers)) == term.value

    def test_inputs_of_another_rank_are_refused_or_fit(self, sample: Sample) -> None:
        for rank in range(4):
            inputs = tuple((*shape, 11, 12, 13)[: rank + 1] for shape in sample.inputs)
            with contextlib.suppress(LayerError):
                assert min(facts(sample.layer, inputs).output) >= 1


def test_a_kind_without_a_fact_is_refused() -> None:
    class Silent(Layer, frozen=True):
        def output_shape(self, *inputs: Shape) -> Shape:
            return inputs[0]

        def weights(self, *inputs: Shape) -> tuple[()]:
            return ()

    with pytest.raises(TypeError, match="`silent` does not define operations, windows"):
        layer("silent")(Silent)
    assert "silent" not in KINDS


# --- Against slow loops -----------------------------------------------------------------------------

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100)


def one_or_each(draw: Any, rank: int, values: st.SearchStrategy[int]) -> Any:
    """An argument as a number, or as one per axis."""
    return draw(values | st.tuples(*[values] * rank))


def padding_of(draw: Any, rank: int, most: int) -> Any:
    """Padding in any of its forms."""
    number = st.integers(0, most)
    pair = st.tuples(number, number)
    forms = [number, st.tuples(*[number | pair] * rank), st.sampled_from(["same", "same_lower", "valid"])]
    return draw(st.one_of(forms))


def shape_of(draw: Any, channels: st.SearchStrategy[int], ranks: tuple[int, ...] = (1, 2, 3)) -> Shape:
    rank = draw(st.sampled_from(ranks))
    return (draw(channels), *draw(st.tuples(*[st.integers(1, {1: 20, 2: 9, 3: 5}[rank])] * rank)))


@st.composite
def sliding(
    draw: Any, channels: st.SearchStrategy[int], dilated: bool = True
) -> tuple[Shape, dict[str, Any]]:
    """An input and the arguments of a window over it."""
    shape = shape_of(draw, channels)
    rank = len(shape) - 1
    window = {
        "kernel_size": one_or_each(draw, rank, st.integers(1, 4)),
        "stride": one_or_each(draw, rank, st.integers(1, 4)),
        "padding": padding_of(draw, rank, 3),
    }
    if dilated:
        window["dilation"] = one_or_each(draw, rank, st.integers(1, 3))
    return shape, window


def agree(make: Callable[[], Layer], shape: Shape, expected: Callable[[], oracle.Result]) -> Facts | None:
    """Both sides give the same shape, or neither gives one."""
    try:
        result = expected()
    except oracle.DoesNotFit:
        with pytest.raises(LayerError):
            facts(make(), (shape,))
        return None
    found = facts(make(), (shape,))
    assert found.output == result.shape
    return found


@SLOW
@given(sliding(st.integers(1, 3)), st.integers(1, 3), st.booleans())
def test_convolution(case: tuple[Shape, dict[str, Any]], out_channels: int, bias: bool) -> None:
    shape, window = case
    expected = None

    def slowly() -> oracle.Result:
        nonlocal expected
        expected = oracle.convolution(shape, out_channels, **window)
        return expected

    found = agree(lambda: KINDS["conv"](out_channels, bias=bias, **window), shape, slowly)
    if found is not None:
        assert expected is not None
        assert figures_of(found).macs == expected.multiplications
        assert arrays_of(found) == (expected.weights + bias * out_channels, 0, expected.weights)


@SLOW
@given(st.data())
def test_convolution_of_part_of_the_maps(data: st.DataObject) -> None:
    """In groups, by channel, and with a table of connections."""
    groups = data.draw(st.integers(1, 3))
    shape, window = data.draw(sliding(st.integers(1, 2).map(lambda n: n * groups)))
    how = data.draw(st.sampled_from(["groups", "depthwise", "connections"]))
    if how == "groups":
        out_channels = groups * data.draw(st.integers(1, 2))
        reads: Any = oracle.in_groups(shape[0], out_channels, groups)
        make = lambda: KINDS["conv"](out_channels, groups=groups, **window)  # noqa: E731
    elif how == "depthwise":
        multiplier = data.draw(st.integers(1, 2))
        out_channels = shape[0] * multiplier
        reads = [[out // multiplier] for out in range(out_channels)]
        make = lambda: KINDS["depthwise"](multiplier=multiplier, **window)  # noqa: E731
    else:
        row = st.sets(st.integers(0, shape[0] - 1), min_size=1).map(tuple)
        reads = data.draw(st.lists(row, min_size=1, max_size=3))
        out_channels = len(reads)
        make = lambda: KINDS["conv"](out_channels, connections=reads, **window)  # noqa: E731
    results = []

    def slowly() -> oracle.Result:
        results.append(oracle.convolution(shape, out_channels, reads=reads, **window))
        return results[0]

    found = agree(make, shape, slowly)
    if found is not None:
        assert figures_of(found).macs == results[0].multiplications
        assert arrays_of(found) == (results[0].weights + out_channels, 0, results[0].weights)


@SLOW
@given(sliding(st.integers(1, 2), dilated=False), st.integers(1, 2), st.booleans())
def test_local(case: tuple[Shape, dict[str, Any]], out_channels: int, bias: bool) -> None:
    shape, window = case
    results = []

    def slowly() -> oracle.Result:
        results.append(oracle.convolution(shape, out_channels, shared=False, **window))
        return results[0]

    found = agree(lambda: KINDS["local"](out_channels, bias=bias, **window), shape, slowly)
    if found is not None:
        assert figures_of(found).macs == results[0].multiplications == results[0].weights
        biases = math.prod(found.output) if bias else 0
        assert arrays_of(found) == (results[0].weights + biases, 0, results[0].weights)


@SLOW
@given(st.data())
def test_transposed_convolution(data: st.DataObject) -> None:
    groups = data.draw(st.integers(1, 2))
    shape = shape_of(data.draw, st.integers(1, 2).map(lambda n: n * groups))
    rank = len(shape) - 1
    out_channels = groups * data.draw(st.integers(1, 2))
    arguments = {
        "kernel_size": one_or_each(data.draw, rank, st.integers(1, 3)),
        "stride": one_or_each(data.draw, rank, st.integers(1, 4)),
        "padding": one_or_each(data.draw, rank, st.integers(0, 2)),
        "output_padding": one_or_each(data.draw, rank, st.integers(0, 3)),
        "dilation": one_or_each(data.draw, rank, st.integers(1, 3)),
        "groups": groups,
    }
    results = []

    def slowly() -> oracle.Result:
        axes = [oracle.each(arguments[name], rank) for name in ("output_padding", "stride", "dilation")]
        if any(extra >= max(s, d) for extra, s, d in zip(*axes, strict=True)):
            raise oracle.DoesNotFit
        results.append(oracle.transposed_convolution(shape, out_channels, **arguments))
        return results[0]

    found = agree(lambda: KINDS["conv_transpose"](out_channels, **arguments), shape, slowly)
    if found is not None:
        assert figures_of(found).macs == results[0].multiplications
        assert arrays_of(found) == (results[0].weights + out_channels, 0, results[0].weights)


@SLOW
@given(st.data())
def test_pooling(data: st.DataObject) -> None:
    shape, window = data.draw(sliding(st.integers(1, 2)))
    rank = len(shape) - 1
    window["ceil_mode"] = data.draw(st.booleans())
    if data.draw(st.booleans()):
        del window["stride"]
    kind = data.draw(st.sampled_from(["maxpool", "avgpool", "lppool"]))
    if kind != "maxpool":
        del window["dilation"]
    if kind == "lppool":
        del window["padding"]
    if kind == "avgpool":
        window["count_include_pad"] = data.draw(st.booleans())
    results = []

    def slowly() -> oracle.Result:
        kernel = oracle.each(window["kernel_size"], rank)
        steps = oracle.each(window.get("stride", kernel), rank)
        spread = oracle.each(window.get("dilation", 1), rank)
        padding = window.get("padding", 0)
        for pair, k, d in zip(
            oracle.paddings(padding, shape[1:], kernel, steps, spread), kernel, spread, strict=True
        ):
            span = len(range((k - 1) * d + 1))
            if padding not in ("same", "same_lower") and any(end > span - end for end in pair):
                raise oracle.DoesNotFit
        results.append(oracle.pooling(shape, **window))
        return results[0]

    extra = {"norm_type": 1} if kind == "lppool" else {}
    found = agree(lambda: KINDS[kind](**extra, **window), shape, slowly)
    if found is not None:
        category = "compare" if kind == "maxpool" else "add"
        assert sum(term.value for c, term in found.operations if c == category) == results[0].multiplications


@SLOW
@given(st.data())
def test_adaptive_pooling(data: st.DataObject) -> None:
    shape = shape_of(data.draw, st.integers(1, 2))
    size = one_or_each(data.draw, len(shape) - 1, st.integers(1, 7))
    result = oracle.adaptive_pooling(shape, size)
    found = agree(lambda: KINDS["adaptive_maxpool"](size), shape, lambda: result)
    assert found is not None
    assert sum(term.value for _, term in found.operations) == result.multiplications


# --- Against PyTorch --------------------------------------------------------------------------------


def per_rank(name: str) -> Callable[[Any, Shape], Any]:
    """`torch.nn.Conv1d`, `Conv2d` or `Conv3d`, whichever an input takes."""
    return lambda nn, shape: getattr(nn, f"{name}{len(shape) - 1}d")


PLAIN = {
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
    "dropout": "Dropout",
}


LIKE_TORCH = [
    "plain",
    "softmax",
    "conv",
    "conv_transpose",
    "maxpool",
    "avgpool",
    "lppool",
    "adaptive_avgpool",
    "adaptive_maxpool",
    "maxunpool",
    "fc",
    "bn",
    "lrn",
    "layer_norm",
    "group_norm",
    "instance_norm",
    "upsample",
    "pad",
    "flatten",
    "channel_shuffle",
]


@st.composite
def torch_case(draw: Any) -> tuple[str, Shape, dict[str, Any], Callable[[Any], Any]]:
    """A kind, an input, its arguments in the language, and the module of `torch.nn` it is like."""
    kind = draw(st.sampled_from(LIKE_TORCH))
    groups = (
        draw(st.integers(1, 3)) if kind in ("conv", "conv_transpose", "group_norm", "channel_shuffle") else 1
    )
    shape = shape_of(draw, st.integers(1, 2).map(lambda n: n * groups))
    rank = len(shape) - 1
    number = lambda low, high: one_or_each(draw, rank, st.integers(low, high))  # noqa: E731
    flag = draw(st.booleans())
    if kind in ("bn", "instance_norm", "group_norm"):
        assume(math.prod(shape[1:]) > 1)  # PyTorch refuses to normalise a single value
    if kind == "plain":
        kind = draw(st.sampled_from(sorted(PLAIN)))
        return kind, shape, {}, lambda nn: getattr(nn, PLAIN[kind])()
    if kind == "softmax":
        return kind, shape, {}, lambda nn: nn.Softmax(1)
    if kind == "conv":
        given = {"out_channels": groups * draw(st.integers(1, 2)), "kernel_size": number(1, 4)}
        given |= {"dilation": number(1, 3), "groups": groups, "bias": flag}
        given["padding"] = (
            draw(st.just("same") | st.just("valid") | st.just(0)) if draw(st.booleans()) else number(0, 3)
        )
        given["stride"] = 1 if given["padding"] == "same" else number(1, 4)
        return kind, shape, given, lambda nn: per_rank("Conv")(nn, shape)(shape[0], **given)
    if kind == "conv_transpose":
        given = {"out_channels": groups * draw(st.integers(1, 2)), "kernel_size": number(1, 4)}
        given |= {"stride": number(1, 4), "padding": number(0, 2), "output_padding": number(0, 2)}
        given |= {"groups": groups, "bias": flag, "dilation": number(1, 3)}
        return kind, shape, given, lambda nn: per_rank("ConvTranspose")(nn, shape)(shape[0], **given)
    if kind in ("maxpool", "avgpool", "lppool"):
        given = {"kernel_size": number(1, 4), "ceil_mode": flag}
        if draw(st.booleans()):
            given["stride"] = number(1, 4)
        if kind != "lppool":
            given["padding"] = number(0, 2)
        if kind == "maxpool":
            given["dilation"] = number(1, 3)
        if kind == "avgpool" and rank > 1:
            given["divisor_override"] = draw(st.sampled_from([None, 3]))
        if kind == "lppool":
            given["norm_type"] = draw(st.integers(1, 3))
            assume(rank > 1 or isinstance(given["kernel_size"], int))  # PyTorch stumbles over `(2,)`
        name = {"maxpool": "MaxPool", "avgpool": "AvgPool", "lppool": "LPPool"}[kind]
        return kind, shape, given, lambda nn: per_rank(name)(nn, shape)(**given)
    if kind.startswith("adaptive"):
        given = {"output_size": number(1, 7)}
        name = "AdaptiveAvgPool" if kind == "adaptive_avgpool" else "AdaptiveMaxPool"
        return kind, shape, given, lambda nn: per_rank(name)(nn, shape)(**given)
    if kind == "maxunpool":
        k = draw(st.integers(1, 3))
        pool = KINDS["maxpool"](k)
        assume(min(shape[1:]) >= k)
        given = {"pool": Pooled(shape, pool.windows(shape))}  # type: ignore[arg-type]
        return kind, shape, given, lambda nn: _Unpooled(nn, shape, k)
    if kind == "fc":
        given = {"out_features": draw(st.integers(1, 5)), "bias": flag}
        return kind, shape[:1], given, lambda nn: nn.Linear(shape[0], **given)
    if kind == "bn":
        given = {"affine": flag, "track_running_stats": draw(st.booleans())}
        return kind, shape, given, lambda nn: per_rank("BatchNorm")(nn, shape)(shape[0], **given)
    if kind == "lrn":
        given = {"size": draw(st.integers(1, 5))}
        return kind, shape, given, lambda nn: nn.LocalResponseNorm(**given)
    if kind == "layer_norm":
        given = {"elementwise_affine": flag, "bias": draw(st.booleans())}
        return kind, shape, given, lambda nn: nn.LayerNorm(shape, **given)
    if kind == "group_norm":
        given = {"num_groups": groups, "affine": flag}
        return kind, shape, given, lambda nn: nn.GroupNorm(groups, shape[0], affine=flag)
    if kind == "instance_norm":
        return (
            kind,
            shape,
            {"affine": flag},
            lambda nn: per_rank("InstanceNorm")(nn, shape)(shape[0], affine=flag),
        )
    if kind == "upsample":
        mode = draw(st.sampled_from(["nearest", "nearest_exact", "bilinear"] + ["bicubic"] * (rank == 2)))
        names = {"nearest_exact": "nearest-exact", "bilinear": [0, "linear", "bilinear", "trilinear"][rank]}
        if flag:
            given = {"size": number(1, 9)}
        else:
            factor = st.builds(Fraction, st.integers(1, 60), st.integers(1, 20))
            given = {"scale_factor": draw(factor | st.tuples(*[factor] * rank))}
        as_torch = {
            name: tuple(map(float, value)) if isinstance(value, tuple) else float(value)
            for name, value in given.items()
        } if not flag else given  # fmt: skip
        as_torch = as_torch | {"mode": names.get(mode, mode)}
        given |= {"mode": mode}
        if not mode.startswith("nearest"):
            aligned = {"align_corners": draw(st.booleans())}
            given, as_torch = given | aligned, as_torch | aligned
        return kind, shape, given, lambda nn: nn.Upsample(**as_torch)
    if kind == "pad":
        ends = draw(st.tuples(*[st.tuples(st.integers(-4, 4), st.integers(-4, 4))] * rank))
        left = [n + min(b, 0) + min(a, 0) for n, (b, a) in zip(shape[1:], ends, strict=True)]
        assume(min(left) > 0)  # PyTorch may leave nothing of the input but padding
        flat = [end for pair in reversed(ends) for end in pair]
        mode = draw(st.sampled_from(["constant", "reflect", "replicate", "circular"]))
        if mode == "constant":
            return kind, shape, {"padding": ends}, lambda nn: per_rank("ConstantPad")(nn, shape)(flat, 0.0)
        # if more than the rest of a cropped map is added, PyTorch reads what it has just written
        assume(mode != "circular" or all(max(ends[i]) <= left[i] for i in range(rank)))
        name = {"reflect": "ReflectionPad", "replicate": "ReplicationPad", "circular": "CircularPad"}[mode]
        return kind, shape, {"padding": ends, "mode": mode}, lambda nn: per_rank(name)(nn, shape)(tuple(flat))
    if kind == "flatten":
        return kind, shape, {}, lambda nn: nn.Flatten()
    return kind, shape, {"groups": groups}, lambda nn: nn.ChannelShuffle(groups)


class _Unpooled:
    """A max pool and its undoing, from the input of the pool."""

    def __init__(self, nn: Any, shape: Shape, kernel_size: int) -> None:
        self.pool = per_rank("MaxPool")(nn, shape)(kernel_size, return_indices=True)
        self.unpool = per_rank("MaxUnpool")(nn, shape)(kernel_size)

    def eval(self) -> _Unpooled:
        return self

    def __call__(self, x: Any) -> Any:
        values, indices = self.pool(x)
        return self.unpool(values, indices, output_size=x.shape)

    def parameters(self) -> list[Any]:
        return []

    def named_buffers(self) -> list[Any]:
        return []


@settings(SLOW, max_examples=400)
@given(torch_case())
def test_torch(case: tuple[str, Shape, dict[str, Any], Callable[[Any], Any]]) -> None:
    torch = pytest.importorskip("torch")
    kind, shape, given, make = case
    try:
        with torch.no_grad():
            module = make(torch.nn).eval()
            output = tuple(module(torch.zeros(1, *shape)).shape[1:])
        if 0 in output:
            raise ValueError("an empty map")
    except (RuntimeError, ValueError) as refused:
        # Two whims of PyTorch: in 3-D an average must fit on the map without its padding, and half a
        # dilated kernel is half of it without its holes
        assume(not ("smaller than kernel size" in str(refused) and kind in ("avgpool", "lppool")))
        assume(not ("half of" in str(refused) and given.get("dilation", 1) != 1))
        with pytest.raises(LayerError):
            facts(KINDS[kind](**given), (shape,))
        return
    inputs = (shape,)
    if kind == "maxunpool":
        pooled = tuple(module.pool(torch.zeros(1, *shape))[0].shape[1:])
        inputs = (pooled, pooled)
    found = facts(KINDS[kind](**given), inputs)
    assert found.output == output
    params, buffers, _ = arrays_of(found)
    assert params == sum(p.numel() for p in module.parameters())
    assert buffers == sum(b.numel() for name, b in module.named_buffers() if name != "num_batches_tracked")


def test_tensors_of_two_networks_do_not_mix() -> None:
    one, other = NetworkBuilder("one"), NetworkBuilder("other")
    x, y = one.input((4, 5, 6)), other.input((4, 5, 6))
    z = other.add(KINDS["relu"](), y)
    for tensor in (y, z):
        with pytest.raises(LayerError, match=f"`{tensor.name}` belongs to another network"):
            one.add(KINDS["add"](), x, tensor)


def test_a_network_is_loaded_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a.arch"
    path.write_text("net a { input(3x8x9)\n conv(4, 3) }")
    assert load(path)["conv1"].shape == load(str(path))["conv1"].shape == (4, 6, 7)


@pytest.mark.parametrize(
    ("given", "weights"),
    [
        ({}, {"weight", "bias"}),
        ({"scale": False}, {"bias"}),  # Keras, BatchNormalization(scale=False): beta alone
        ({"bias": False}, {"weight"}),
        ({"scale": False, "bias": False}, set()),
        ({"affine": False}, set()),
    ],
)
def test_a_batch_norm_may_lack_scale_or_shift(given, weights):
    layer = KINDS["bn"](**given)
    assert {weight.name for weight in layer.weights((8, 5, 4)) if weight.role == "norm"} == weights
    # with running statistics, all of it is one multiplication and one addition a value
    counts = {name: term.value for name, term in layer.operations(((8, 5, 4),), (8, 5, 4))}
    assert counts == {"mul": 160, "add": 160}


def test_an_order_of_axes_is_written_as_a_list() -> None:
    """Not as `0x2x1`, which looks like a size; a copy of the text gives the same layer."""
    layer = KINDS["permute"]((0, 2, 1))
    assert str(layer) == "permute([0, 2, 1])"
    text = f"net t {{ input(3x4x5) -> {layer} }}"
    (node,) = loads(text).layers
    assert node.layer == layer
