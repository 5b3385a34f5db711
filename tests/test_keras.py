"""`.keras` files, read without Keras: what is in them, single layers, and files that are not right."""

from __future__ import annotations

import json
import marshal
import random
import struct
import time
import tracemalloc
import zipfile
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import archcalc
from archcalc.diagnostics import ArchError
from archcalc.importing.keras_config.archive import FileVariables
from archcalc.importing.keras_config.configs import ConfigReader, snake_case
from archcalc.importing.keras_config.convert import ModelConverter
from archcalc.layers.opaque import Opaque

MODELS = Path(__file__).parent / "models"  # `models/make_gated.py` makes them
GATED = MODELS / "gated.keras"
PIXEL = (3, 224, 224)


# --- Models of Keras ------------------------------------------------------------------------------------


def test_a_model_has_the_figures_of_its_layers() -> None:
    network = archcalc.load(GATED)
    totals = archcalc.analyze(network).totals
    stem, unit = 3 * 2 * 3 * 6 + 6, 3 * 3 * 6 * 6 + 6  # the unit is called twice; its norm has no scale
    gate, separable = 6 * 6 + 6, 3 * 3 * 12 + 12 * 8 + 8
    # 13x10 -> (13-3)//2+1 x 9 -> valid 3x3: 4x7 -> pool, same: 2x4
    assert totals.params == stem + unit + gate + separable + (2 * 4 * 8 * 5 + 5) + (8 * 2 + 2)
    convs = 6 * 9 * (3 * 2 * 3 * 6 + 2 * 3 * 3 * 6 * 6) + 6 * 6 + 4 * 7 * (3 * 3 * 12 + 12 * 8)
    assert totals.macs == convs + 2 * 4 * 8 * 5 + 2 * 4 * 8 * 2
    assert totals.buffers == 2 * 6
    shapes = {name: node.shape for name, node in network.outputs.items()}
    assert shapes == {"output": (5,), "places": (2, 2, 4)}
    assert network.remarks == ()


def test_nodes_have_the_names_of_layers() -> None:
    network = archcalc.load(GATED)
    assert [node.name for node in network.layers] == [
        "stem", "stem_relu", "unit/conv", "unit/bn", "unit/relu", "sum", "unit_2/conv", "unit_2/bn",
        "unit_2/relu", "squeeze", "excite", "excite_sigmoid", "gated", "separable_depthwise", "separable",
        "separable_gelu", "pool", "flatten_permute", "flatten", "logits", "logits_softmax", "places",
    ]  # fmt: skip
    assert network["unit_2/conv"].shares is network["unit/conv"]
    assert {group.name: group.kind for group in network.groups} == {
        "unit": "Sequential", "unit_2": "Sequential",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [  # keras.applications 3.15; the arithmetic is checked in tests/imports
        ("resnet50", 25_583_592, 3_857_973_248),
        ("mobilenet_v3_small", 2_542_856, 56_510_400),
    ],
)
def test_networks_of_keras_applications(name: str, params: int, macs: int) -> None:
    totals = archcalc.analyze(archcalc.load(MODELS / f"{name}.keras", inputs=PIXEL)).totals
    assert (totals.params, totals.macs) == (params, macs)


def test_a_gate_of_three_operations_is_one_layer() -> None:
    """`relu6(x + 3) / 6` is written as three operations."""
    network = archcalc.load(MODELS / "mobilenet_v3_small.keras", inputs=PIXEL)
    assert [node.kind for node in network.layers].count("hardsigmoid") == 9
    assert network.is_complete
    assert network["rescaling"].shape == PIXEL


def test_every_command_reads_it(run: Callable[..., Any]) -> None:
    path = str(MODELS / "resnet50.keras")
    for command in (["report"], ["explain", "conv1_conv", "macs"], ["compare", "resnet50"], ["convert"]):
        name, *more = command
        result = run(name, path, *more)
        assert (result.status, result.err) == (0, ""), (command, result)
    assert run("check", path, "--expect", "macs < 4G").status == 0
    assert "from layer stem" in run("explain", str(GATED), "stem_relu", "flops").out


def test_from_python() -> None:
    network = archcalc.from_keras(MODELS / "mobilenet_v3_small.keras", PIXEL, name="small")
    assert network.name == "small"
    assert archcalc.from_keras(str(GATED)).name == "gated"
    with pytest.raises(ArchError, match="takes 1 input, and 2 shapes were given"):
        archcalc.from_keras(GATED, (3, 13, 10), (3, 13, 10))
    by_name = archcalc.from_keras(MODELS / "mobilenet_v3_small.keras", inputs={"input": PIXEL})
    assert [node.shape for node in by_name.nodes] == [node.shape for node in network.nodes]
    with pytest.raises(ArchError, match="by position and as `inputs`"):
        archcalc.from_keras(MODELS / "mobilenet_v3_small.keras", PIXEL, inputs=PIXEL)
    with pytest.raises(ArchError, match="a Keras model is needed, not a int"):
        archcalc.from_keras(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("file", "inputs", "message"),
    [
        ("mobilenet_v3_small", {}, "leaves sizes .* open: 3xanyxany, .*\nhelp: .*`--input 3x224x224`"),
        ("mobilenet_v3_small", {"input": (4, 8, 8)}, "is 3xanyxany, channels first, not 4x8x8"),
        ("mobilenet_v3_small", {"input": (224, 224, 3)}, "is 3xanyxany, channels first, not 224x224x3"),
        ("resnet50", {"input": (3, 160, 160)}, "is 3x224x224, channels first, not 3x160x160"),
        ("resnet50", {"image": PIXEL}, "has no input `image`\nhelp: it has `input`"),
        ("resnet50", {"input": (3, 224)}, "not 3x224"),
    ],
)
def test_shapes_of_inputs_are_checked(file: str, inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchError, match=message):
        archcalc.load(MODELS / f"{file}.keras", inputs=inputs)


def test_a_model_has_no_parameters_to_set() -> None:
    with pytest.raises(ArchError, match="has no parameters: `width` cannot be set"):
        archcalc.load(GATED, {"width": 2})


def test_names_of_variables() -> None:
    """As `keras.src.utils.naming.to_snake_case` has them."""
    names = {
        "Conv2D": "conv2d",
        "PReLU": "p_re_lu",
        "MultiHeadAttention": "multi_head_attention",
        "LSTM": "lstm",
    }
    assert {name: snake_case(name) for name in names} == names


# --- Models that are written here -----------------------------------------------------------------------


def result(name: str, shape: Any = None, call: int = 0, output: int = 0) -> dict[str, Any]:
    config = {"shape": shape, "dtype": "float32", "keras_history": [name, call, output]}
    return {"class_name": "__keras_tensor__", "config": config}


def layer(
    kind: str, name: str, calls: list[Any], module: str = "keras.layers", **config: Any
) -> dict[str, Any]:
    """A layer as Keras 3 writes it; `calls` has the arguments of each call."""
    nodes = [{"args": args, "kwargs": {}} for args in calls]
    registered = (
        kind if module.startswith("keras.src") else None if module.startswith("keras") else f"my>{kind}"
    )
    return {
        "module": module, "class_name": kind, "config": {"name": name, "trainable": True, **config},
        "registered_name": registered, "name": name, "inbound_nodes": nodes,
    }  # fmt: skip


def functional(layers: list[Any], inputs: Any, outputs: Any, name: str = "model") -> dict[str, Any]:
    config = {"name": name, "layers": layers, "input_layers": inputs, "output_layers": outputs}
    return {
        "module": "keras.src.models.functional", "class_name": "Functional", "config": config,
        "registered_name": "Functional",
    }  # fmt: skip


def chain(*layers: tuple[str, dict[str, Any]], shape: Any = (None, 9, 7, 4)) -> dict[str, Any]:
    """A sequential model of layers of Keras, which are called `layer1`, `layer2`, ..."""
    listed = [layer("InputLayer", "in", [], batch_shape=list(shape))]
    listed += [layer(kind, f"layer{number}", [], **config) for number, (kind, config) in enumerate(layers, 1)]
    return {
        "module": "keras", "class_name": "Sequential", "registered_name": None,
        "config": {"name": "model", "layers": listed},
    }  # fmt: skip


def written(path: Path, config: Any, version: str = "3.15.1", **more: bytes) -> Path:
    text = config if isinstance(config, bytes) else json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", text)
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        for name, data in more.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., archcalc.Network]:
    def loaded(config: Any, version: str = "3.15.1", **inputs: tuple[int, ...]) -> archcalc.Network:
        return archcalc.load(written(tmp_path / "model.keras", config, version), inputs=inputs or None)

    return loaded


def reasons(config: Any) -> dict[str, str]:
    """Why layers are opaque, by their names."""
    variables = FileVariables(Path(), "model")
    converter = ModelConverter(ConfigReader("model").model(config), variables, "model", "model")
    converter.network({})
    opaque = (each for each in converter.assembly.operations if isinstance(each.layer, Opaque))
    return {each.path[-1][0]: each.layer.reason for each in opaque if each.layer.reason}


def texts(network: archcalc.Network) -> list[str]:
    return [str(node.layer) for node in network.layers]


CONV = {"filters": 6, "kernel_size": [3, 2], "activation": "linear"}


@pytest.mark.parametrize(
    ("kind", "config", "want"),
    [
        ("Conv2D", CONV, ["conv(6, 3x2)"]),
        ("Conv2D", {**CONV, "padding": "same", "strides": [2, 1]},
         ['conv(6, 3x2, stride=2x1, padding="same")']),
        ("Conv2D", {**CONV, "groups": 2, "dilation_rate": [2, 2], "use_bias": False},
         ["conv(6, 3x2, dilation=2, groups=2, bias=false)"]),
        ("Conv2D", {**CONV, "activation": "relu", "kernel_initializer": {"class_name": "Zeros"}},
         ["conv(6, 3x2)", "relu"]),
        ("Conv2D", {**CONV, "data_format": "channels_first"}, ["conv(6, 3x2)"]),
        ("DepthwiseConv2D", {"kernel_size": [3, 3], "depth_multiplier": 2}, ["depthwise(3, multiplier=2)"]),
        ("Dense", {"units": 5}, ["pointwise(5)"]),
        ("Conv2DTranspose", {**CONV, "strides": [2, 4]},
         ["conv_transpose(6, 3x2, stride=2x4, output_padding=0x2)"]),
        ("ZeroPadding2D", {"padding": [[0, 1], [2, 3]]}, ["pad([0x1, 2x3])"]),
        ("Cropping2D", {"cropping": [[0, 1], [2, 3]]}, ["pad([[0, -1], [-2, -3]])"]),
        ("Flatten", {}, ["permute([1, 2, 0])", "flatten"]),
        ("Flatten", {"data_format": "channels_first"}, ["permute([1, 2, 0])", "flatten"]),
        ("Reshape", {"target_shape": [-1, 4]}, ["reshape(4x63)"]),
        ("Dropout", {"rate": 0.25, "noise_shape": None, "seed": None}, ["dropout(p=0.25)"]),
        ("Dropout", {"rate": 0.25, "noise_shape": [None, 1, 1, 1]}, ["drop_path(p=0.25)"]),
        ("BatchNormalization", {"axis": -1, "scale": False}, ["bn(eps=0.001, momentum=0.01, scale=false)"]),
        ("BatchNormalization", {"axis": -1, "center": False}, ["bn(eps=0.001, momentum=0.01, bias=false)"]),
        ("BatchNormalization", {"scale": False, "center": False},
         ["bn(eps=0.001, momentum=0.01, affine=false)"]),
        ("ReLU", {"max_value": 6.0, "negative_slope": 0.0}, ["relu6"]),
        ("ReLU", {"negative_slope": 0.5, "max_value": None}, ["leaky_relu(negative_slope=0.5)"]),
        ("AveragePooling2D", {"pool_size": [3, 3], "strides": [2, 2], "padding": "same"},
         ['avgpool(3, stride=2, padding="same", count_include_pad=false)']),
        ("Activation", {"activation": "linear"}, []),
        ("RandomFlip", {"mode": "horizontal", "seed": 3}, []),
    ],
)  # fmt: skip
def test_layers(load: Callable[..., archcalc.Network], kind: str, config: Any, want: list[str]) -> None:
    assert texts(load(chain((kind, config), ("ReLU", {})))) == [*want, "relu"]


@pytest.mark.parametrize(
    ("kind", "config", "reason", "shape"),
    [
        ("ReLU", {"max_value": 3.0}, "its largest value is 3.0, and its slope 0", (4, 9, 7)),
        ("ReLU", {"threshold": 1.0}, "`threshold` is 1.0", (4, 9, 7)),
        ("Softmax", {"axis": [1, 2]}, "it goes along 2 axes", (4, 9, 7)),
        ("LeakyReLU", {"negative_slope": 0.1, "wings": 2}, "`wings` is 2", (4, 9, 7)),
    ],
)
def test_what_a_layer_cannot_say_is_opaque(
    load: Callable[..., archcalc.Network], kind: str, config: Any, reason: str, shape: tuple[int, ...]
) -> None:
    config = chain((kind, config))
    node = load(config)["layer1"]
    assert (node.kind, node.shape) == ("opaque", shape)
    assert reasons(config) == {"layer1": reason}


def test_the_slope_of_a_hard_sigmoid_was_another_one_in_keras_2(
    load: Callable[..., archcalc.Network],
) -> None:
    config = chain(("Activation", {"activation": "hard_sigmoid"}))
    assert texts(load(config)) == ["hardsigmoid"]
    assert texts(load(config, version="2.15.0")) == ["hardsigmoid(slope=0.2)"]


def test_calls_as_keras_2_writes_them(load: Callable[..., archcalc.Network]) -> None:
    """Lists of layer, call and output; calls of a model within the model count from 1."""
    inner = functional(
        [layer("InputLayer", "x", [], batch_input_shape=[None, 4]), layer("Dense", "d", [], units=4)],
        [["x", 0, 0]], [["d", 0, 0]], "inner",
    )  # fmt: skip
    inner["config"]["layers"][1]["inbound_nodes"] = [[["x", 0, 0, {}]]]
    inner |= {"name": "inner", "inbound_nodes": [[["in", 0, 0, {}]], [["inner", 1, 0, {}]]]}
    last = layer("Add", "sum", [])
    last["inbound_nodes"] = [[["inner", 1, 0, {}], ["inner", 2, 0, {}]]]
    start = layer("InputLayer", "in", [], batch_input_shape=[None, 4])
    network = load(functional([start, inner, last], [["in", 0, 0]], [["sum", 0, 0]]), version="2.15.0")
    assert [node.name for node in network.layers] == ["inner/d", "inner_2/d", "sum"]
    assert [node.name for node in network["sum"].inputs] == ["inner/d", "inner_2/d"]
    assert archcalc.analyze(network).totals.params == 4 * 4 + 4


def test_a_class_of_a_user_is_not_mistaken_for_one_of_keras(load: Callable[..., archcalc.Network]) -> None:
    start = layer("InputLayer", "in", [], batch_shape=[None, 4])
    mine = layer("ReLU", "mine", [[result("in", [None, 4])]], module="mypackage")
    with pytest.raises(
        ArchError, match=r"`mine` is a layer of the class `my>ReLU`, .*(needs h5py|are not in it)"
    ):
        load(functional([start, mine], ["in", 0, 0], ["mine", 0, 0]))


def unknown(shape: Any, kind: str = "Masking", **config: Any) -> dict[str, Any]:
    """A layer that archcalc does not know, without variables; what reads it declares its shape."""
    start = layer("InputLayer", "in", [], batch_shape=[None, 9, 7, 4])
    between = layer(kind, "between", [[result("in", [None, 9, 7, 4])]], **config)
    end = layer("Conv2D", "end", [[result("between", shape)]], filters=2, kernel_size=3)
    return functional([start, between, end], ["in", 0, 0], ["end", 0, 0])


def test_what_is_not_known_has_the_shape_that_its_reader_declares(
    load: Callable[..., archcalc.Network],
) -> None:
    network = load(unknown([None, 8, 6, 5]))
    assert (network["between"].kind, network["between"].shape) == ("opaque", (5, 8, 6))
    assert archcalc.analyze(network).totals.macs == 6 * 4 * 3 * 3 * 5 * 2
    with pytest.raises(
        ArchError, match=r"`between` is a layer of the class `Masking`: .* what shape it gives"
    ):
        load(unknown([None, None, 6, 5]))


def test_a_declared_shape_that_differs_makes_an_opaque_node(load: Callable[..., archcalc.Network]) -> None:
    config = unknown([None, 4, 6, 4], "AveragePooling2D", pool_size=[2, 2])
    network = load(config, input=(4, 9, 7))
    assert network["between"].shape == (4, 4, 6)
    assert reasons(config) == {"between": "it would give 4x3x4, and the model says 4x6x4"}


def test_code_is_not_run(load: Callable[..., archcalc.Network]) -> None:
    """A `Lambda` has marshalled Python code: here, code that would end the process."""
    code = b64encode(marshal.dumps(compile("import os; os._exit(3)", "x", "exec"))).decode()
    function = {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}
    config = unknown([None, 9, 7, 5], "Lambda", function=function, arguments={})
    assert load(config)["between"].shape == (5, 9, 7)
    assert reasons(config) == {"between": "it is Python code, which archcalc does not run"}
    with pytest.raises(ArchError, match=r"Lambda`: it is Python code, .*\nhelp: .*fixed shape"):
        load(unknown(None, "Lambda", function=function))


def test_several_outputs_of_an_operation(load: Callable[..., archcalc.Network]) -> None:
    start = layer("InputLayer", "in", [], batch_shape=[None, 9, 7, 4])
    split = layer("Split", "split", [[result("in")]], "keras.src.ops.numpy", indices_or_sections=[1], axis=-1)
    one = layer("ReLU", "one", [[result("split")]])
    two = layer("ReLU", "two", [[result("split", None, 0, 1)]])
    network = load(functional([start, split, one, two], ["in", 0, 0], [["one", 0, 0], ["two", 0, 0]]))
    assert (network["one"].shape, network["two"].shape) == ((1, 9, 7), (3, 9, 7))


def test_a_model_without_a_graph_is_refused(load: Callable[..., archcalc.Network]) -> None:
    subclass = {"module": "mine", "class_name": "Net", "registered_name": "my>Net", "config": {"name": "net"}}
    with pytest.raises(
        ArchError, match=r"a model of the class `Net`, and its file does not say how .*\nhelp: build"
    ):
        load(subclass)


def test_a_class_derived_from_a_model_is_named(load: Callable[..., archcalc.Network]) -> None:
    config = chain(("ReLU", {})) | {"module": "mine", "registered_name": "my>Sequential"}
    (remark,) = load(config).remarks
    assert remark == "`my>Sequential` is a class of the model's own: it is read as a model of its layers"


def test_only_functional_models_count_their_calls_from_1_as_outputs(
    load: Callable[..., archcalc.Network],
) -> None:
    """A class derived from `Sequential` counts them from 0."""
    start = layer("InputLayer", "in", [], batch_shape=[None, 9, 7, 4])
    twice = [{"args": [result(name)], "kwargs": {}} for name in ("in", "m")]
    inner = chain(("ReLU", {})) | {"name": "m", "module": "mine", "registered_name": "my>Sequential"}
    network = load(functional([start, inner | {"inbound_nodes": twice}], ["in", 0, 0], ["m", 1, 0]))
    assert [node.name for node in network.layers] == ["m/layer1", "m_2/layer1"]
    inner = functional([start, layer("ReLU", "a", [[result("in")]])], ["in", 0, 0], ["a", 0, 0]) | {
        "name": "m"
    }
    network = load(functional([start, inner | {"inbound_nodes": twice}], ["in", 0, 0], ["m", 2, 0]))
    assert [node.name for node in network.layers] == ["m/a", "m_2/a"]


def test_a_sequential_model_without_a_shape(load: Callable[..., archcalc.Network]) -> None:
    config = chain(("Dense", {"units": 2}))
    del config["config"]["layers"][0]
    with pytest.raises(
        ArchError, match=r"does not say the shape of its input .*\nhelp: give it, channels first"
    ):
        load(config)
    assert load(config, input=(5,))["layer1"].shape == (2,)
    assert load(config | {"build_config": {"input_shape": [None, 7]}})["input"].shape == (7,)


# --- Files that are not right ---------------------------------------------------------------------------


def refused(path: Path, message: str) -> None:
    """Reading the file ends in an error that says this, quickly and in little memory."""
    tracemalloc.start()
    start = time.process_time()
    try:
        with pytest.raises(ArchError, match=message) as caught:
            archcalc.load(path)
        assert time.process_time() - start < 5
        assert tracemalloc.get_traced_memory()[1] < 450e6
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 1500


def test_files_that_are_no_models(tmp_path: Path) -> None:
    for number, data in enumerate([b"", b"PK", b"text", GATED.read_bytes()[:3000]]):
        path = tmp_path / f"{number}.keras"
        path.write_bytes(data)
        refused(path, "is not a zip archive, or is damaged\nhelp: in Keras 3, write `model.save")
    (tmp_path / "old.keras").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(2_000))
    refused(tmp_path / "old.keras", "is an HDF5 file, the older format of Keras\nhelp: in Keras 3")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("model.json", "{}")
    refused(tmp_path / "other.keras", "has no `config.json`")
    refused(tmp_path / "nothing.keras", "there is no file")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"{}", "a model of the class `.`"),
        (b"[]", "a model of the class `.`"),
        (b"[" * 1_000_000, "is not JSON|nested too deep"),
        (b'{"x":' * 1_000_000, "is not JSON|nested too deep"),
        (b" " * 9_000_000, "has 9,000,000 bytes; at most 8,000,000 are read"),
        (b"[" + b"[]," * 2_600_000 + b"[]]", "a model of the class"),
    ],
)
def test_configurations_that_are_not_right(tmp_path: Path, text: bytes, message: str) -> None:
    refused(written(tmp_path / "model.keras", text), message)


def deep(depth: int, name: str = "") -> Any:
    inner: Any = chain(("ReLU", {}))
    for _ in range(depth):
        inner = chain() | {"config": {"name": "m", "layers": [*chain()["config"]["layers"], inner]}}
    return inner


def doubled(depth: int) -> dict[str, Any]:
    """A model that calls a model twice that calls a model twice, and so on."""
    start = layer("InputLayer", "in", [], batch_shape=[None, 4])
    model: dict[str, Any] = layer("ReLU", "m", [])
    for _ in range(depth):
        model["inbound_nodes"] = [{"args": [result(name)], "kwargs": {}} for name in ("in", "m")]
        last = 1 + (model["class_name"] == "Functional")
        model = functional([start, model], ["in", 0, 0], ["m", last, 0], "m") | {"name": "m"}
    return model


START = layer("InputLayer", "in", [], batch_shape=[None, 4])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (functional([START, layer("ReLU", "a", [[result("b")]]), layer("ReLU", "b", [[result("a")]])],
                    ["in", 0, 0], ["b", 0, 0]), "`a` in .* depends on its own result"),
        (functional([START, layer("ReLU", "a", [[result("x")]])], ["in", 0, 0], ["a", 0, 0]),
         "reads call 0 of `x`"),
        (functional([START, layer("ReLU", "a", [[result("in", None, 7)]])], ["in", 0, 0], ["a", 0, 0]),
         "reads call 7 of `in`, which is not there"),
        (functional([START, layer("ReLU", "a", [[result("in", None, 0, 3)]])], ["in", 0, 0], ["a", 0, 0]),
         "`in` has no output 3"),
        (functional([START, layer("ReLU", "a", [[result("in", None, 0, 10**9)]])], ["in", 0, 0], ["a", 0, 0]),
         "reads the output 1000000000 of `in`"),
        (functional([START, START], ["in", 0, 0], ["in", 0, 0]), "two layers are called `in`"),
        (functional([START], [], ["in", 0, 0]), "has no inputs or no outputs"),
        (functional([START], ["in", -1, 0], ["in", 0, 0]), "does not say where it comes from"),
        (functional([START], ["out", 0, 0], ["in", 0, 0]), "reads call|is not an input layer"),
        (functional([START, {}], ["in", 0, 0], ["in", 0, 0]), "a layer has no name"),
        (functional([START, {"name": "a", "inbound_nodes": 3}], ["in", 0, 0], ["in", 0, 0]),
         "are not a list"),
        (chain(("ReLU", {}), shape=(None, 2**62, 3)), "the input `input` needs"),
        (chain(("ReLU", {}), shape=(None, *[9] * 7)), "the input `input` needs a shape"),
        (chain(("ReLU", {}), shape=()), "does not say the shape of its input"),
        (unknown([None, 2**62, 2**62, 4]), "the shape of `between` in .* needs"),
        (unknown([None] + [2] * 40), "the shape of `between` in .* needs"),
        (deep(60), "nested too deep"),
        (doubled(25), "calls more than 150,000 layers"),
        (functional([START], [[[[]] * 3] * 3] * 3, ["in", 0, 0]), "has no inputs"),
    ],
)  # fmt: skip
def test_graphs_that_are_not_right(tmp_path: Path, config: Any, message: str) -> None:
    refused(written(tmp_path / "model.keras", config), message)


def test_arguments_that_are_nested_too_deep(tmp_path: Path) -> None:
    text = json.dumps(functional([START, layer("ReLU", "a", [["HERE"]])], ["in", 0, 0], ["a", 0, 0]))
    for count in (60, 500):
        bomb = text.replace('"HERE"', "[" * count + "]" * count).encode()
        refused(written(tmp_path / "model.keras", bomb), "nested too deep")


def test_names_that_nobody_gives(load: Callable[..., archcalc.Network]) -> None:
    names = ["a/b\x00\x1b[31m", "n" * 100_000, "../../x", "layer 1", "é"]
    listed = [START]
    for before, name in zip(["in", *names], names, strict=False):
        listed.append(layer("ReLU", name, [[result(before)]]))
    network = load(functional(listed, ["in", 0, 0], [names[-1], 0, 0]))
    assert len({node.name for node in network.layers}) == 5
    assert all(node.name.isprintable() and len(node.name) < 100 for node in network.layers)


def test_arguments_of_any_type_never_end_in_a_traceback(load: Callable[..., archcalc.Network]) -> None:
    values = [
        None,
        True,
        -1,
        0,
        10**30,
        0.5,
        1e308,
        "",
        "same",
        [],
        [None],
        [[1]],
        {},
        {"class_name": "x"},
        [3] * 9,
    ]
    kinds = {
        "Conv2D": [
            "filters",
            "kernel_size",
            "strides",
            "padding",
            "groups",
            "data_format",
            "activation",
            "use_bias",
        ],
        "Dense": ["units", "use_bias", "dtype"],
        "BatchNormalization": ["axis", "epsilon", "momentum", "scale"],
        "LayerNormalization": ["axis", "epsilon"],
        "MaxPooling2D": ["pool_size", "strides", "padding"],
        "Reshape": ["target_shape"],
        "Permute": ["dims"],
        "ZeroPadding2D": ["padding", "data_format"],
        "UpSampling2D": ["size", "interpolation"],
        "Dropout": ["rate", "noise_shape"],
        "Rescaling": ["scale", "offset"],
        "Normalization": ["axis", "mean", "variance"],
        "Softmax": ["axis"],
        "PReLU": ["shared_axes"],
    }
    base = {
        "filters": 4,
        "kernel_size": 3,
        "units": 4,
        "target_shape": [63, 4],
        "dims": [1, 2, 3],
        "rate": 0.1,
    }
    for kind, names in kinds.items():
        for name in names:
            for value in values:
                given = {key: base[key] for key in names if key in base} | {name: value}
                try:
                    archcalc.analyze(load(chain((kind, given))))
                except ArchError:
                    continue


def test_zip_bombs(tmp_path: Path) -> None:
    bomb = tmp_path / "a.keras"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 500_000_000)
    refused(bomb, "has 500,000,000 bytes; at most")
    # the directory says 100 bytes, and the stream goes on
    bomb.write_bytes(bomb.read_bytes().replace(struct.pack("<L", 500_000_000), struct.pack("<L", 100)))
    refused(bomb, "is damaged")
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(bomb, "w", method) as archive:
            archive.writestr("config.json", b" " * 7_000_000)
        refused(bomb, "is damaged")


def mutated(data: bytes, seed: int) -> bytes:
    """A few bytes of the file changed, and its end cut off now and then."""
    rng = random.Random(seed)
    out = bytearray(data)
    for _ in range(rng.choice([1, 2, 8, 40])):
        out[rng.randrange(len(out))] = rng.choice(
            [0, 255, 34, 44, 45, 48, 57, 91, 93, 123, rng.randrange(256)]
        )
    return bytes(out[: rng.randrange(len(out))] if not seed % 10 else out)


def swapped(config: Any, rng: random.Random) -> Any:
    """The configuration with one of its values put in the place of another one."""
    places: list[tuple[Any, Any]] = []
    waiting = [config]
    while waiting:
        value = waiting.pop()
        keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        for key in keys:
            places.append((value, key))
            waiting.append(value[key])
    (source, key), (target, place) = rng.choice(places), rng.choice(places)
    target[place] = json.loads(json.dumps(source[key]))
    return config


def mutations(folder: Path, count: int) -> None:
    """Every mutation of the file, and of the configuration in a file that is whole, is read or refused."""
    with zipfile.ZipFile(GATED) as file:
        config = file.read("config.json")
    path = folder / "model.keras"
    for seed in range(count):
        if seed % 4 == 0:
            path.write_bytes(mutated(GATED.read_bytes(), seed))
        elif seed % 4 == 1:
            written(path, mutated(config, seed))
        else:
            written(path, swapped(json.loads(config), random.Random(seed)))
        start = time.process_time()
        with suppress(ArchError):
            archcalc.analyze(archcalc.load(path))
        assert time.process_time() - start < 5


def test_mutations(tmp_path: Path) -> None:
    mutations(tmp_path, 300)


@pytest.mark.full
def test_ten_thousand_mutations(tmp_path: Path) -> None:
    mutations(tmp_path, 10_000)
