"""Layers of Keras with all their arguments: imported, and then computed by archcalc and by Keras."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import archcalc
from archcalc.checking.pytest_plugin import Opener
from archcalc.diagnostics import ArchError
from archcalc.executor.execute import run

pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", "3.8")
pytest.importorskip("h5py")
L, ops = keras.layers, keras.ops

FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
MORE = settings(FEW, max_examples=40)
FORMATS = st.sampled_from(["channels_last", "channels_first"])
RANK = st.integers(1, 3)
SIZES = (9, 8, 7)
GATED = Path(__file__).parent.parent / "models" / "gated.keras"


def randomize(model: Any) -> None:
    """Give every variable values of which none is near 0, variances among 0.5 and 2."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if "seed" in variable.path or variable.dtype.startswith("int"):
            continue
        drawn = rng.uniform(0.5, 1.5, variable.shape)
        if "variance" not in variable.path:
            drawn = drawn * rng.choice([1, 1, -1], drawn.shape) / max(1, np.prod(drawn.shape[:-1])) ** 0.5
        variable.assign(drawn)


def is_statistic(variable: Any) -> bool:
    """Is a variable not trained, whether its layer is frozen or not?"""
    return variable.name in ("moving_mean", "moving_variance", "mean", "variance")


def first(array: Any, last: bool) -> Any:
    return np.moveaxis(array, -1, 1) if last and array.ndim > 2 else array


def compare(model: Any, last: bool = True, opaque: bool = False) -> archcalc.Network:
    """Import a model; its parameters, its shape and its values are those of Keras.

    The model has its channels last or first, archcalc first in any case.
    """
    randomize(model)
    network = archcalc.from_keras(model)
    totals = archcalc.analyze(network).totals
    arrays = [each for each in model.weights if each.name != "count"]
    assert totals.params == sum(each.value.numel() for each in arrays if not is_statistic(each))
    assert totals.buffers == sum(each.value.numel() for each in arrays if is_statistic(each))
    rng = np.random.default_rng(1)
    inputs = [rng.normal(size=(2, *each.shape[1:])).astype(np.float32) for each in model.inputs]
    want = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    want = first(keras.ops.convert_to_numpy(want), last)
    assert network.outputs["output"].shape == want.shape[1:]
    kinds = [node.kind for node in network.nodes]
    assert ("opaque" in kinds) == opaque, kinds
    if not opaque:
        given = {name: first(each, last) for name, each in zip(network.inputs, inputs, strict=True)}
        trained = network.trained() if network.trained is not None else {}
        got = run(network, given, trained, batch=2)["output"]
        assert np.allclose(got, want, rtol=1e-4, atol=2e-5)
    return network


def applied(function: Callable[..., Any], *shapes: tuple[int, ...]) -> Any:
    """A model that applies a function to inputs of these shapes, as Keras has them."""
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], function(*inputs))


def in_format(channels: int, sizes: tuple[int, ...], data_format: str) -> tuple[int, ...]:
    return (*sizes, channels) if data_format == "channels_last" else (channels, *sizes)


def axes(rank: int, low: int, high: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(low, high)] * rank)


def between(draw: Any, *choices: Any) -> Any:
    return draw(st.sampled_from(choices))


@MORE
@given(st.data(), RANK, FORMATS)
def test_convolutions(data: st.DataObject, rank: int, data_format: str) -> None:
    groups = between(data.draw, 1, 2, 4)
    stride, dilation = data.draw(axes(rank, 1, 3)), data.draw(axes(rank, 1, 2))
    if max(stride) > 1:  # Keras takes one of them
        dilation = (1,) * rank
    layer = getattr(L, f"Conv{rank}D")(
        groups * data.draw(st.integers(1, 3)),
        data.draw(axes(rank, 1, 3)),
        stride,
        between(
            data.draw, "same", "valid", *(["causal"] if (rank, data_format) == (1, "channels_last") else [])
        ),
        data_format,
        dilation,
        groups,
        between(data.draw, None, "relu", "gelu", "softmax") if data_format == "channels_last" else None,
        data.draw(st.booleans()),
    )
    compare(applied(layer, in_format(4, SIZES[:rank], data_format)), data_format == "channels_last")


@FEW
@given(st.data(), st.integers(1, 2), FORMATS)
def test_depthwise_and_separable_convolutions(data: st.DataObject, rank: int, data_format: str) -> None:
    stride, dilation = data.draw(st.integers(1, 3)), data.draw(axes(rank, 1, 2))
    options = {
        "kernel_size": data.draw(axes(rank, 1, 3)),
        "strides": stride,
        "dilation_rate": dilation if stride == 1 else 1,
        "padding": between(data.draw, "same", "valid"),
        "depth_multiplier": data.draw(st.integers(1, 3)),
        "use_bias": data.draw(st.booleans()),
        "activation": between(data.draw, None, "tanh"),
        "data_format": data_format,
    }
    kind = between(data.draw, "Depthwise", "Separable")
    if kind == "Separable":
        options["filters"] = 5
    layer = getattr(L, f"{kind}Conv{rank}D")(**options)
    compare(applied(layer, in_format(4, SIZES[:rank], data_format)), data_format == "channels_last")


@MORE
@given(st.data(), RANK, FORMATS)
def test_transposed_convolutions(data: st.DataObject, rank: int, data_format: str) -> None:
    stride, dilation = data.draw(axes(rank, 1, 3)), data.draw(axes(rank, 1, 2))
    layer = getattr(L, f"Conv{rank}DTranspose")(
        3,
        data.draw(axes(rank, 1, 4)),
        stride,
        between(data.draw, "same", "valid"),
        data_format=data_format,
        dilation_rate=(1,) * rank if max(stride) > 1 else dilation,
        use_bias=data.draw(st.booleans()),
    )
    compare(applied(layer, in_format(4, (5, 4, 3)[:rank], data_format)), data_format == "channels_last")


@FEW
@given(st.data(), RANK, FORMATS, st.sampled_from(["Max", "Average"]))
def test_pools(data: st.DataObject, rank: int, data_format: str, kind: str) -> None:
    """With PyTorch, Keras repeats values at the edge where a mean should leave uneven padding out."""
    shape, last = in_format(4, SIZES[:rank], data_format), data_format == "channels_last"
    padding = between(data.draw, "same", "valid")
    size, stride = data.draw(axes(rank, 1, 3)), between(data.draw, None, (2,) * rank, (1, 3, 2)[:rank])
    if (kind, padding) == ("Average", "same"):
        size, stride = tuple(data.draw(st.sampled_from([1, 3])) for _ in range(rank)), (1,) * rank
    layer = getattr(L, f"{kind}Pooling{rank}D")(size, stride, padding, data_format)
    compare(applied(layer, shape), last)
    whole = getattr(L, f"Global{kind}Pooling{rank}D")(data_format, keepdims=data.draw(st.booleans()))
    compare(applied(whole, shape), last)


@FEW
@given(st.data(), RANK, FORMATS)
def test_layers_that_move_values(data: st.DataObject, rank: int, data_format: str) -> None:
    shape, last = in_format(4, SIZES[:rank], data_format), data_format == "channels_last"
    ends = tuple(data.draw(axes(2, 0, 2)) for _ in range(rank))
    extra = {"data_format": data_format} if rank > 1 else {}
    if rank == 1:
        ends, last, shape = ends[0], True, in_format(4, SIZES[:1], "channels_last")  # type: ignore[assignment]
    for name in ("ZeroPadding", "Cropping"):
        layer = getattr(L, f"{name}{rank}D")(ends, **extra)
        compare(applied(lambda x, layer=layer: L.ReLU()(layer(x)), shape), last)
    size = data.draw(axes(rank, 1, 3))
    mode = {"interpolation": between(data.draw, "nearest", "bilinear")} if rank == 2 else {}
    up = getattr(L, f"UpSampling{rank}D")(size[0] if rank == 1 else size, **extra, **mode)
    compare(applied(up, shape), last)
    compare(applied(L.Flatten(data_format if rank > 1 else None), shape), last)


@FEW
@given(
    st.permutations([1, 2, 3]), st.sampled_from([(6, -1), (-1,), (2, 3, -1), (4, 3, 2), (3, 8), (6, 1, 4)])
)
def test_permutations_and_reshapes(dims: list[int], target: tuple[int, ...]) -> None:
    """Between convolutions, so that the order of axes and of values makes a difference."""

    def function(x: Any) -> Any:
        x = L.Reshape(target)(L.Permute(dims)(L.Conv2D(4, 1)(x)))
        return L.Flatten()(L.Dense(3)(x))

    compare(applied(function, (3, 2, 5)))
    compare(applied(lambda x: L.Conv2D(2, 1)(L.Permute(dims)(x)), (3, 2, 4)))


@FEW
@given(st.booleans(), st.booleans(), st.sampled_from([-1, 1, 3]))
def test_norms(scale: bool, center: bool, axis: int) -> None:
    shape, options = (5, 4, 6), {"scale": scale, "center": center}
    compare(applied(L.BatchNormalization(axis, **options), shape))
    compare(applied(L.BatchNormalization(**options), (6,)))
    groups = 5 if axis == 1 else 3
    compare(applied(L.GroupNormalization(groups, axis, **options), shape), opaque=scale != center)
    for over in (-1, [1, 2, 3]):  # Keras cannot compute others with PyTorch
        layer = L.LayerNormalization(over, epsilon=0.01, **options)
        compare(applied(layer, shape), opaque=center and not scale)
    compare(applied(L.LayerNormalization(**options), (6,)), opaque=center and not scale)


def test_norms_of_instances() -> None:
    compare(applied(L.GroupNormalization(-1), (5, 4, 6)))


@pytest.mark.parametrize(
    ("layer", "opaque"),
    [
        (lambda: L.Normalization(), False),
        (lambda: L.Normalization(mean=[1.0, 2.0, 3.0], variance=[0.5, 2.0, 0.0]), False),
        (lambda: L.Normalization(mean=0.5, variance=4.0), False),
        (lambda: L.Normalization(axis=None), True),
        (lambda: L.Normalization(invert=True), True),
    ],
)
def test_preprocessing(layer: Callable[[], Any], opaque: bool) -> None:
    """Numbers for each channel that are in the configuration are buffers here, and no variables of Keras."""
    model = applied(layer(), (5, 4, 3))
    randomize(model)
    network = archcalc.from_keras(model)
    assert ("opaque" in {node.kind for node in network.nodes}) == opaque
    if opaque:
        return
    assert archcalc.analyze(network).totals.buffers == 6
    x = np.random.default_rng(0).normal(size=(1, 5, 4, 3)).astype(np.float32)
    assert network.trained is not None
    got = run(network, np.moveaxis(x, -1, 1), network.trained())["output"]
    want = np.moveaxis(keras.ops.convert_to_numpy(model(x)), -1, 1)
    assert np.allclose(got, want, rtol=1e-4, atol=1e-5)


ACTIVATIONS = [
    "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "swish", "hard_silu", "hard_swish",
    "hard_sigmoid", "sigmoid", "tanh", "softmax", "linear", "exponential", "log_softmax", "mish", "softplus",
    "softsign",
]  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_functions(name: str) -> None:
    compare(applied(lambda x: L.Activation(name)(L.Activation("relu")(x)), (5, 4, 3)))
    compare(applied(L.Dense(4, activation=name), (6,)))


def every_activation_function() -> set[str]:
    from keras.src.activations import ALL_OBJECTS_DICT

    return set(ALL_OBJECTS_DICT)


@pytest.mark.parametrize(
    "name", sorted(every_activation_function() - set(ACTIVATIONS) - {"glu", "threshold"})
)
def test_other_activation_functions_are_opaque(name: str) -> None:
    compare(applied(L.Dense(4, activation=name), (6,)), opaque=True)


@pytest.mark.parametrize(
    ("layer", "opaque"),
    [
        (lambda: L.ReLU(), False),
        (lambda: L.ReLU(6), False),
        (lambda: L.ReLU(negative_slope=0.25), False),
        (lambda: L.ReLU(4), True),
        (lambda: L.ReLU(threshold=0.5), True),
        (lambda: L.LeakyReLU(0.2), False),
        (lambda: L.LeakyReLU(), False),
        (lambda: L.ELU(0.5), False),
        (lambda: L.PReLU(), True),
        (lambda: L.PReLU(shared_axes=[1, 2]), False),
        (lambda: L.PReLU(shared_axes=[1, 2, 3]), False),
        (lambda: L.PReLU(shared_axes=[2, 3]), False),
        (lambda: L.Softmax(), False),
        (lambda: L.Softmax(1), False),
        (lambda: L.Softmax([1, 2]), True),
        (lambda: L.Activation(ops.sin), True),
        (lambda: L.Dropout(0.3), False),
        (lambda: L.SpatialDropout2D(0.3), False),
        (lambda: L.GaussianNoise(0.3), False),
        (lambda: L.GaussianDropout(0.3), False),
        (lambda: L.AlphaDropout(0.3), False),
        (lambda: L.RandomFlip(), False),
        (lambda: L.RandomRotation(0.1), False),
        (lambda: L.RandomZoom(0.1), False),
        (lambda: L.Identity(), False),
        (lambda: L.Rescaling(1 / 255), False),
        (lambda: L.Rescaling(1 / 127.5, -1), False),
        (lambda: L.Rescaling([0.5, 0.25, 2.0], [0.0, 1.0, -1.0]), False),
        (lambda: L.UnitNormalization(), True),
        (lambda: L.Resizing(8, 6), True),
    ],
)
def test_layers_value_by_value(layer: Callable[[], Any], opaque: bool) -> None:
    # a second layer, since the shape of the last result is not declared
    compare(applied(lambda x: L.ReLU()(layer()(x)), (5, 4, 3)), opaque=opaque)


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize(
    "layer",
    [
        lambda **more: L.LSTM(5, **more),
        lambda **more: L.LSTM(5, use_bias=False, **more),
        lambda **more: L.GRU(5, **more),
        lambda **more: L.GRU(5, reset_after=False, **more),
        lambda **more: L.SimpleRNN(5, activation="relu", **more),
        lambda **more: L.Bidirectional(L.GRU(5, **more)),
        lambda **more: L.Bidirectional(L.LSTM(5, **more)),
    ],
)
def test_recurrent_layers(layer: Callable[..., Any], sequences: bool) -> None:
    compare(applied(layer(return_sequences=sequences), (6, 8)))


def test_attention() -> None:
    compare(applied(lambda x: L.MultiHeadAttention(2, 3, value_dim=5)(x, x), (6, 8)))
    compare(applied(lambda x: L.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True), (6, 8)))
    compare(applied(lambda x, y: L.MultiHeadAttention(2, 3, use_bias=False)(x, y), (6, 8), (4, 7)))


@pytest.mark.parametrize(
    ("function", "shapes", "opaque"),
    [
        (lambda a, b: L.Add()([a, b]), [(5, 4, 3)] * 2, False),
        (lambda a, b, c: L.Add()([a, b, c]), [(5, 4, 3)] * 3, False),
        (lambda a, b: L.Subtract()([a, b]), [(5, 4, 3)] * 2, False),
        (lambda a, b: L.Multiply()([a, b]), [(5, 4, 3), (1, 1, 3)], False),
        (lambda a, b: L.Multiply()([a, b]), [(5, 4, 3), (3,)], False),
        (lambda a, b: L.Add()([a, b]), [(5, 4, 3), (1, 1, 3)], False),
        (lambda a, b: L.Average()([a, b]), [(5, 4, 3)] * 2, True),
        (lambda a, b: L.Maximum()([a, b]), [(5, 4, 3)] * 2, True),
        (lambda a, b: L.Concatenate()([a, b]), [(5, 4, 3), (5, 4, 2)], False),
        (lambda a, b: L.Concatenate(1)([a, b]), [(5, 4, 3), (2, 4, 3)], False),
        (lambda a, b: L.Concatenate(2)([a, L.Permute((2, 1, 3))(b)]), [(5, 4, 3), (4, 5, 3)], False),
        (lambda a, b: a + b, [(5, 4, 3)] * 2, False),
        (lambda a, b: a - b, [(5, 4, 3)] * 2, False),
        (lambda a, b: a * b, [(5, 4, 3), (1, 4, 3)], False),
        (lambda a, b: a / b, [(5, 4, 3)] * 2, False),
        (lambda a: a * 1 + 0, [(5, 4, 3)], False),
        (lambda a: a * 2, [(5, 4, 3)], False),
        (lambda a: 1 - a, [(5, 4, 3)], False),
        (lambda a: ops.relu6(a + 3.0) * (1 / 6), [(5, 4, 3)], False),
        (lambda a: ops.relu6(a + 3) / 6, [(5, 4, 3)], False),
        (lambda a: ops.relu6(a + 2.0) * (1 / 6), [(5, 4, 3)], False),
        (lambda a: ops.mean(a, (1, 2)), [(5, 4, 3)], False),
        (lambda a: ops.mean(a, (1, 2), keepdims=True), [(5, 4, 3)], False),
        (lambda a: ops.mean(a, -1), [(5, 4, 3)], False),
        (lambda a: ops.max(a, 2), [(5, 4, 3)], False),
        (lambda a: ops.concatenate([a, ops.relu(a)], 1), [(5, 4, 3)], False),
        (lambda a: ops.transpose(a, (0, 3, 1, 2)), [(5, 4, 3)], False),
        (lambda a: ops.reshape(a, (-1, 20, 3)), [(5, 4, 3)], False),
        (lambda a: ops.expand_dims(a, 1), [(5, 3)], False),
        (lambda a: ops.squeeze(a, 2), [(5, 1, 3)], False),
        (lambda a: a[:, 1:4, :, 2:], [(5, 4, 3)], False),
        (lambda a: a[..., :2], [(5, 4, 3)], False),
        (lambda a: ops.split(a, 3, -1)[1], [(5, 4, 3)], False),
        (lambda a: ops.split(a, [1, 3], 2)[2], [(5, 4, 3)], False),
        (lambda a: ops.gelu(ops.silu(ops.sigmoid(a))), [(5, 4, 3)], False),
        (lambda a: ops.gelu(a, approximate=False), [(5, 4, 3)], False),
        (lambda a: ops.softmax(ops.leaky_relu(ops.elu(a)), 2), [(5, 4, 3)], False),
        (lambda a: ops.hard_sigmoid(ops.hard_silu(ops.tanh(ops.abs(a)))), [(5, 4, 3)], False),
        (lambda a: ops.exp(a), [(5, 4, 3)], False),
    ],
)
def test_operations(function: Callable[..., Any], shapes: list[Any], opaque: bool) -> None:
    compare(applied(lambda *inputs: L.ReLU()(function(*inputs)), *shapes), opaque=opaque)


# --- Models -------------------------------------------------------------------------------------------


def test_the_weights_in_a_file_give_what_keras_gave() -> None:
    network = archcalc.load(GATED)
    assert network.trained is not None
    with np.load(GATED.with_suffix(".npz")) as stored:
        arrays = dict(stored)
    out = run(network, np.moveaxis(arrays["image"], -1, 1), network.trained(), batch=2)
    assert np.allclose(out["output"], arrays["logits"], rtol=1e-5, atol=1e-6)
    assert np.allclose(np.moveaxis(out["places"], 1, -1), arrays["places"], rtol=1e-5, atol=1e-5)
    assert np.ptp(arrays["logits"]) > 0.01


def test_run_and_verify(run: Callable[..., Any]) -> None:
    for command in ("run", "verify"):
        result = run(command, str(GATED))
        assert result.status == 0, result


def test_a_file_and_its_model_are_the_same(tmp_path: Path) -> None:
    """A shared layer, in a model within a model, and models that are called twice."""
    shared = L.Dense(4, name="shared")
    inner = keras.Sequential([L.Dense(4), L.BatchNormalization(center=False)], name="inner")
    start = keras.Input((4,))
    split = keras.Model(start, [L.Dense(3)(start), shared(start)], name="split")
    one, two = keras.Input((4,)), keras.Input((4,))
    x = shared(inner(inner(one)))
    _, second = split(x)
    third, _ = split(second)
    model = keras.Model({"a": one, "b": two}, {"third": third, "sum": second + two})
    randomize(model)
    model.save(tmp_path / "model.keras")
    networks = [archcalc.from_keras(each) for each in (model, tmp_path / "model.keras")]
    one_input, two_input = np.random.default_rng(0).normal(size=(2, 2, 4)).astype(np.float32)
    inputs = dict(zip(networks[0].inputs, (one_input, two_input), strict=True))
    want = model({"a": one_input, "b": two_input})
    for network in networks:
        totals = archcalc.analyze(network).totals
        assert totals.params + totals.buffers == model.count_params()
        assert network.trained is not None
        got = run(network, inputs, network.trained(), batch=2)
        for name, key in (("output", "sum"), ("third", "third")):
            assert np.allclose(got[name], keras.ops.convert_to_numpy(want[key]), rtol=1e-4, atol=1e-5)


@keras.saving.register_keras_serializable("mine")
class Scaled(L.Layer):
    """A layer with a layer, a trained array, and one that is not."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.inner = L.Dense(3)

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],))
        self.kept = self.add_weight(shape=(2,), trainable=False)
        self.inner.build(shape)

    def call(self, x: Any) -> Any:
        return self.inner(x * self.scale)


def test_layers_of_a_user_are_opaque_and_their_arrays_are_counted(tmp_path: Path) -> None:
    model = applied(lambda x: L.Conv2D(2, 3)(Scaled(name="mine")(x)), (9, 8, 4))
    network = archcalc.from_keras(model)
    totals = archcalc.analyze(network).totals
    conv = 3 * 3 * 3 * 2 + 2
    assert (totals.params, totals.buffers) == (4 + 4 * 3 + 3 + conv, 2)
    assert (network["mine"].kind, network["mine"].shape) == ("opaque", (3, 9, 8))
    model.save(tmp_path / "model.keras")
    network = archcalc.from_keras(tmp_path / "model.keras")
    assert archcalc.analyze(network).totals.params == 4 + 4 * 3 + 3 + 2 + conv
    assert network.remarks == (
        "all variables of `mine` count as parameters: the file does not say which are trained",
    )


def test_frozen_layers_are_parameters_all_the_same() -> None:
    model = applied(lambda x: L.BatchNormalization()(L.Conv2D(2, 3)(x)), (9, 8, 4))
    before = archcalc.analyze(archcalc.from_keras(model)).totals
    model.trainable = False
    after = archcalc.analyze(archcalc.from_keras(model)).totals
    assert (before.params, before.buffers) == (after.params, after.buffers)


def test_variables_that_are_not_right(tmp_path: Path) -> None:
    import shutil
    import zipfile

    import h5py

    def saved(change: Callable[[Any], None]) -> archcalc.Network:
        with zipfile.ZipFile(GATED) as file:
            entries = {name: file.read(name) for name in file.namelist()}
        path = tmp_path / "weights.h5"
        path.write_bytes(entries["model.weights.h5"])
        with h5py.File(path, "r+") as opened:
            change(opened)
        with zipfile.ZipFile(tmp_path / "model.keras", "w") as file:
            for name, data in entries.items():
                file.writestr(name, path.read_bytes() if name.endswith("h5") else data)
        return archcalc.load(tmp_path / "model.keras")

    def replaced(**how: Any) -> Callable[[Any], None]:
        def change(file: Any) -> None:
            del file["layers/dense/vars/0"]
            file["layers/dense/vars"].create_dataset("0", **how)

        return change

    def linked(link: Any) -> Callable[[Any], None]:
        def change(file: Any) -> None:
            del file["layers/dense/vars/0"]
            file["layers/dense/vars/0"] = link

        return change

    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.zeros((64, 5), np.float32)
    shutil.copy(secret, tmp_path / "raw.bin")
    for change, message in [
        (replaced(data=np.zeros((3, 3), np.float32)), "of the model is 3x3"),
        (replaced(shape=(10**6, 10**6), dtype="f4", chunks=(1000, 1000)), "in a way that is not read"),
        (replaced(data=np.zeros((64, 5), np.float32), compression="gzip"), "in a way that is not read"),
        (replaced(shape=(64, 5), dtype="f4", external=[(str(tmp_path / "raw.bin"), 0, 1280)]), "not read"),
        (replaced(data=["text"]), "has no variable"),
        (linked(h5py.ExternalLink(str(secret), "x")), "has no variable"),
        (linked(h5py.SoftLink("/layers/conv2d/vars/0")), "has no variable"),
    ]:
        network = saved(change)
        assert network.trained is not None
        with pytest.raises(ArchError, match=message):
            network.trained()


def test_a_file_without_variables() -> None:
    """`run` and `verify` then draw them at random."""
    assert archcalc.load(GATED.with_name("resnet50.keras")).trained is None


def test_the_fixture_takes_a_model() -> None:
    model = applied(lambda x: L.Dense(2)(L.Flatten()(L.Conv2D(4, 3)(x))), (9, 7, 3))
    opened = Opener(Path())(model)
    assert opened.macs == 3 * 9 * 4 * 35 + 140 * 2
    opened.check("params < 1K")
    with pytest.raises(ArchError, match="and 2 shapes were given"):
        Opener(Path())(model, (3, 9, 7), (3, 9, 7))
    open_sizes = applied(L.Conv2D(4, 3), (None, None, 3))
    assert Opener(Path())(open_sizes, (3, 9, 7)).params == 3 * 9 * 4 + 4


def test_models_that_keras_cannot_describe() -> None:
    class Rude(L.Layer):
        def call(self, x: Any) -> Any:
            return x + 1

        def get_config(self) -> Any:
            raise RuntimeError("not today")

    with pytest.raises(ArchError, match="cannot be described by Keras: RuntimeError: not today"):
        archcalc.from_keras(applied(lambda x: Rude()(x), (4,)))
    with pytest.raises(ArchError, match="a Keras model is needed, not a Dense"):
        archcalc.from_keras(L.Dense(3))
