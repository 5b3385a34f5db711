"""Networks of `keras.applications`: figures, shapes and values are those of Keras."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archcalc
from archcalc.executor.execute import run

pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", "3.8")
pytest.importorskip("h5py")

KNOWN = [
    "VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "InceptionV3", "InceptionResNetV2",
    "Xception", "MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "DenseNet121",
    "DenseNet201", "NASNetMobile", "EfficientNetB0", "EfficientNetB3", "EfficientNetV2B0", "ConvNeXtTiny",
]  # fmt: skip

SAMPLE = ["MobileNetV2", "MobileNetV3Small", "InceptionV3", "EfficientNetB0", "ConvNeXtTiny", "NASNetMobile"]
"""Within a minute: depthwise, gated, without scales of norms, with preprocessing, separable."""

RUN = [
    "MobileNetV2",
    "ResNet50V2",
    "InceptionV3",
    "DenseNet121",
    "ConvNeXtTiny",
    "Xception",
    "EfficientNetB0",
]
SMALL = {"InceptionV3": 75, "Xception": 71}
"""The input is 64x64; where that is too small, so much."""


def build(name: str, **more: Any) -> Any:
    if name == "NASNetMobile":  # refused with PyTorch, although it is only run that it cannot be
        from keras.src.applications.nasnet import NASNet

        return NASNet((224, 224, 3), 1056, 4, 32, False, 2, weights=None, default_size=224)
    if name.startswith("MobileNetV3"):
        more = {"input_shape": (224, 224, 3), **more}
    return getattr(keras.applications, name)(weights=None, **more)


def layers_of(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from layers_of(layer, f"{prefix}{layer.name}/")
        elif not isinstance(layer, keras.layers.InputLayer):
            yield prefix + layer.name, layer


def macs_of(layer: Any) -> int:
    """From the arrays of a layer and the shapes that Keras has for its tensors."""
    kind = type(layer).__name__
    if not kind.endswith(("Conv1D", "Conv2D", "Conv3D", "Dense")):
        return 0
    shape = layer.output.shape[1:]
    kernels = [each for each in layer.weights if "kernel" in each.name]
    return sum(each.value.numel() for each in kernels) * int(np.prod(shape[:-1]))


def check(name: str, folder: Path) -> None:
    model = build(name)
    path = folder / f"{name}.keras"
    model.save(path)
    network = archcalc.from_keras(path)
    path.unlink()
    totals = archcalc.analyze(network).totals

    # what is not trained are statistics of norms: moving ones, and those of the input, which have a count
    kept = {each.name: 0 for each in model.non_trainable_weights}
    for each in model.non_trainable_weights:
        kept[each.name] += each.value.numel()
    assert kept.keys() <= {"moving_mean", "moving_variance", "mean", "variance", "count"}
    trained = sum(each.value.numel() for each in model.trainable_weights)
    assert totals.params == trained
    assert totals.params + sum(kept.values()) == model.count_params()
    # means and variances that are arguments of `Normalization` are buffers here, and no variables of Keras
    given = 2 * 3 if name in ("ConvNeXtTiny", "EfficientNetV2B0") else 0
    assert totals.buffers == sum(kept.values()) - kept.get("count", 0) + given

    assert totals.macs == sum(macs_of(layer) for _, layer in layers_of(model))
    opaque = {node.layer.op for node in network.nodes if node.kind == "opaque"}
    assert opaque == set()

    assert params_by_layer(network, model) == {
        place: sum(each.value.numel() for each in layer.trainable_weights)
        for place, layer in layers_of(model)
        if layer.trainable_weights
    }

    nodes = {node.name: node for node in network.layers}
    gone = 0
    for place, layer in layers_of(model):
        shape = tuple(layer.output.shape[1:])
        node = nodes.get(f"{place}_flatten", nodes.get(place))
        if node is None:  # what does nothing, and operations that are one layer together
            gone += 1
            continue
        assert node.shape == ((shape[-1], *shape[:-1]) if len(shape) > 1 else shape), place
    assert gone <= sum(is_nothing(layer) for _, layer in layers_of(model)), name


def params_by_layer(network: archcalc.Network, model: Any) -> dict[str, int]:
    """The parameters of all nodes that a layer of Keras became: `sep_depthwise` and `sep` of `sep`."""
    places = {place for place, _ in layers_of(model)}
    found: dict[str, int] = {}
    for node, params in ((layer.node, layer.params) for layer in archcalc.analyze(network)):
        place = node.name
        while place not in places and "_" in place:
            place = place.rpartition("_")[0]
        if params:
            found[place] = found.get(place, 0) + params
    return found


def is_nothing(layer: Any) -> bool:
    kind = type(layer).__name__
    if kind == "Activation":
        return bool(layer.activation.__name__ == "linear")
    return kind == "ReLU" and layer.max_value == 6


@pytest.mark.parametrize("name", SAMPLE)
def test_figures_are_those_of_keras(name: str, tmp_path: Path) -> None:
    check(name, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("name", KNOWN)
def test_all_twenty(name: str, tmp_path: Path) -> None:
    check(name, tmp_path)


def execute(name: str, folder: Path) -> None:
    """A model in memory and its file have the same values, and a file also those that Keras reads from it."""
    size = SMALL.get(name, 64)
    model = build(name, input_shape=(size, size, 3), classes=10, classifier_activation=None)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if "variance" in variable.path:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif len(variable.shape) == 1:
            about = 1 if variable.name == "gamma" else 0
            variable.assign(about + rng.uniform(-0.2, 0.2, variable.shape))
    image = rng.normal(size=(1, size, size, 3)).astype(np.float32)
    want = keras.ops.convert_to_numpy(model(image, training=False))
    assert np.ptp(want) > 1e-3
    path = folder / f"{name}.keras"
    model.save(path)
    for network in (archcalc.from_keras(model), archcalc.load(path)):
        assert network.trained is not None
        got = run(network, np.moveaxis(image, -1, 1), network.trained())["output"]
        assert np.abs(got - want).max() <= 1e-5 * np.abs(want).max()
    again = keras.ops.convert_to_numpy(keras.models.load_model(path)(image, training=False))
    path.unlink()
    assert np.abs(got - again).max() <= 1e-5 * np.abs(again).max()


@pytest.mark.parametrize("name", RUN[:2])
def test_values_are_those_of_keras(name: str, tmp_path: Path) -> None:
    execute(name, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("name", RUN)
def test_all_values(name: str, tmp_path: Path) -> None:
    execute(name, tmp_path)
