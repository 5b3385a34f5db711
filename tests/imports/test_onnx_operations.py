"""Operations of ONNX with all their arguments: imported, and computed by archcalc and by another engine.

The cases of the `onnx` package have their results; for others, onnxruntime computes them.
"""

from __future__ import annotations

import warnings
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import archcalc
from archcalc.diagnostics import ArchError
from archcalc.executor.execute import run
from archcalc.importing.onnx_graph.arrays import OnnxArray
from archcalc.importing.onnx_graph.constants import CONSTANTS
from archcalc.importing.onnx_graph.convert import OnnxConverter
from archcalc.importing.onnx_graph.model import read_proto

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

FLOAT = onnx.TensorProto.FLOAT
DATA = Path(onnx.__file__).parent / "backend/test/data"

RIGHT = {
    "Abs": 1, "Add": 2, "Attention": 30, "AveragePool": 18, "BatchNormalization": 2, "Clip": 8, "Concat": 8,
    "Conv": 6, "ConvTranspose": 10, "Cos": 2, "DeformConv": 4, "DepthToSpace": 2, "Div": 3, "Dropout": 6,
    "Einsum": 2, "Elu": 3, "Erf": 1, "Exp": 2, "Flatten": 9, "Gelu": 4, "Gemm": 8, "GlobalAveragePool": 2,
    "GlobalMaxPool": 2, "GroupNormalization": 2, "HardSigmoid": 3, "HardSwish": 1,
    "InstanceNormalization": 2, "LRN": 2, "LayerNormalization": 11, "LeakyRelu": 3, "Log": 2,
    "LogSoftmax": 6, "LpPool": 5, "MatMul": 3, "MaxPool": 17, "Mean": 2, "Mish": 1, "Mul": 3, "Neg": 2,
    "PRelu": 1, "Pad": 3, "Pow": 1, "Reciprocal": 2, "ReduceL1": 6, "ReduceL2": 6, "ReduceLogSum": 1,
    "ReduceMax": 6, "ReduceMean": 6, "ReduceMin": 6, "ReduceSum": 6, "ReduceSumSquare": 6, "Relu": 1,
    "Reshape": 9, "Resize": 12, "Selu": 1, "Sigmoid": 2, "Sin": 2, "Slice": 5, "Softmax": 6, "Softplus": 2,
    "Softsign": 2, "SpaceToDepth": 2, "Split": 14, "Sqrt": 2, "Squeeze": 1, "Sub": 3, "Sum": 2, "Swish": 1,
    "Tanh": 2, "Transpose": 1, "Unsqueeze": 6, "Upsample": 1,
}  # fmt: skip
"""The operations that layers express, and how many of the package's cases at least are imported completely.

The others have arguments that no layer has: axes of the batch, other ways to choose neighbors.
"""

TRAINING = ("training_mode", "training_dropout")
"""Cases that compute as in training, where an import is what is computed at inference."""


@cache
def cases() -> list[Any]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [case for case in collect_testcases(None) if isinstance(case.model, onnx.ModelProto)]


def with_constants(model: Any, values: list[Any], first: int) -> Any:
    """The model with the inputs from `first` on as arrays of its own; of a `DeformConv` only its arrays."""
    frozen = onnx.ModelProto()
    frozen.CopyFrom(model)
    moves = {"offset_with_padding", "offset_without_padding", "offset", "mask"}
    is_deformed = model.graph.node[0].op_type == "DeformConv"
    for value, array in list(zip(model.graph.input, values, strict=False))[first:]:
        if is_deformed and value.name in moves:
            continue
        if isinstance(array, np.ndarray | np.generic):
            frozen.graph.initializer.append(numpy_helper.from_array(np.asarray(array), value.name))
    return frozen


def imported(model: Any) -> archcalc.Network | None:
    """The network, if every operation is known."""
    try:
        network = archcalc.from_onnx(model)
    except ArchError:
        return None
    return network if network.is_complete else None


def check_values(network: archcalc.Network, inputs: list[Any], outputs: list[Any], tolerance: float) -> None:
    arrays = {}
    for (name, node), array in zip(network.inputs.items(), inputs, strict=False):
        array = np.asarray(array, np.float64)
        arrays[name] = array if array.ndim == len(node.shape) + 1 else array[None]  # without a batch
    batch = max(map(len, arrays.values()))
    arrays = {name: np.broadcast_to(array, (batch, *array.shape[1:])) for name, array in arrays.items()}
    weights = network.trained() if network.trained is not None else {}
    got = run(network, arrays, weights, batch=batch, dtype=np.float64)
    for name, want in zip(network.outputs, outputs, strict=False):
        want = np.asarray(want, np.float64)
        assert np.allclose(got[name].reshape(want.shape), want, rtol=tolerance, atol=tolerance)


def has_layout(model: Any) -> bool:
    return any(each.name == "layout" and each.i for each in model.graph.node[0].attribute)


@pytest.mark.filterwarnings("ignore")
def test_the_cases_of_the_package() -> None:
    right: Counter[str] = Counter()
    for case in cases():
        inputs, outputs = case.data_sets[0]
        network = imported(case.model) or imported(with_constants(case.model, inputs, 1))
        if network is None or any(word in case.name for word in TRAINING):
            continue
        kinds = {np.asarray(each).dtype for each in outputs}
        half = any(kind.itemsize == 2 for kind in kinds)
        short = "bfloat16" in map(str, kinds)  # two digits
        rounded = case.name == "test_averagepool_2d_ceil_last_window_starts_on_pad"  # to four digits
        if case.model.graph.node[0].op_type == "DeformConv":
            inputs = [array for value, array in zip(case.model.graph.input, inputs, strict=True)
                      if value.name in network.inputs]  # fmt: skip
        if case.model.graph.node[0].op_type in ("LSTM", "GRU", "RNN") and not has_layout(case.model):
            # the batch is the second axis of the sequence, and the one before the last of the states
            inputs = [np.moveaxis(inputs[0], 1, 0)]
            outputs = [np.moveaxis(each, -2, 0) for each in outputs]
        check_values(network, inputs, outputs, 3e-2 if short else 1e-3 if half else 1e-4 if rounded else 1e-5)
        operations = {node.op_type for node in case.model.graph.node}
        if len(operations) == 1:
            right[operations.pop()] += 1
    assert {name: right[name] for name in RIGHT if right[name] < RIGHT[name]} == {}


@pytest.mark.filterwarnings("ignore")
def test_constants_are_computed_as_the_package_says() -> None:
    """All cases of the operations that are computed on the way, with constants alone."""
    right = 0
    for case in cases():
        inputs, outputs = case.data_sets[0]
        operations = {node.op_type for node in case.model.graph.node}
        known = set(CONSTANTS) | {"Constant", "QuantizeLinear", "DequantizeLinear"}
        if len(case.model.graph.node) > 1 or not operations <= known:
            continue
        model = with_constants(case.model, inputs, 0)
        if len(model.graph.initializer) < len(model.graph.input):
            continue  # of sequences, and of what may be missing
        model.graph.input.append(helper.make_tensor_value_info("dummy", FLOAT, [1, 3]))
        model.graph.node.append(helper.make_node("Relu", ["dummy"], ["relu"]))
        model.graph.output.append(helper.make_tensor_value_info("relu", FLOAT, [1, 3]))
        converter = OnnxConverter(read_proto(model, case.name), {})
        converter.network()
        for declared, want in zip(case.model.graph.output, outputs, strict=True):
            value = converter.scope.values[declared.name]
            if not isinstance(value, OnnxArray):
                continue  # it is not computed, and what reads it is opaque
            want, got = np.asarray(want), value.all_values()
            assert got.shape == want.shape, case.name
            is_float = want.dtype.kind not in "iub"
            assert np.allclose(got.astype(float), want.astype(float), equal_nan=True) if is_float else (
                np.array_equal(got, want)
            ), case.name  # fmt: skip
            right += 1
    assert right >= 290


def converted() -> list[Path]:
    return sorted((DATA / "pytorch-converted").glob("*/model.onnx"))


def stored(path: Path) -> Any:
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


def test_layers_that_pytorch_converted() -> None:
    complete = 0
    for path in converted():
        network = archcalc.load(path)
        if network.is_complete:
            data = path.parent / "test_data_set_0"
            inputs = [stored(data / f"input_{number}.pb") for number in range(len(network.inputs))]
            check_values(network, inputs, [stored(data / "output_0.pb")], 1e-5)
            complete += 1
    assert complete == len(converted()) == 82


LIGHT = {
    "bvlc_alexnet": (60_965_224, 654_560_384, 8),
    "zfnet512": (87_250_536, 1_481_727_008, 8),
    "vgg19": (143_667_240, 19_632_062_464, 19),
    "squeezenet": (1_235_496, 349_151_936, 18),
    "inception_v1": (6_998_552, 1_431_556_352, 22),
    "inception_v2": (11_214_888, 2_018_851_840, 34),
    "densenet121": (8_062_504, 2_834_161_664, 121),
    "resnet50": (25_557_032, 4_089_184_256, 50),
    "shufflenet": (1_393_320, 124_664_528, 50),
}


@pytest.mark.parametrize("name", LIGHT)
def test_the_networks_of_the_package(name: str) -> None:
    """Parameters and multiply-adds of the papers' networks; their arrays are constants in the files."""
    network = archcalc.load(DATA / f"light/light_{name}.onnx")
    totals = archcalc.analyze(network).totals
    assert (totals.params, totals.macs, totals.depth) == LIGHT[name]
    assert network.is_complete


FAST = ("squeezenet", "densenet121")


@pytest.mark.parametrize(
    "name", [*FAST, *(pytest.param(name, marks=pytest.mark.full) for name in LIGHT if name not in FAST)]
)
def test_the_networks_of_the_package_compute_what_it_says(name: str) -> None:
    network = archcalc.load(DATA / f"light/light_{name}.onnx")
    want = stored(DATA / f"light/light_{name}_output_0.pb")
    ((_, node),) = network.inputs.items()
    x = (np.arange(np.prod(node.shape)).reshape(1, *node.shape) % 255 / 255).astype(np.float32)
    assert network.trained is not None
    out = run(network, x, network.trained())["output"].reshape(want.shape)
    assert np.abs(out - want).max() <= 1e-5 * np.abs(want).max()


# --- Any arguments, against onnxruntime ----------------------------------------------------------------

FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def node_model(op: str, x: Any, *arrays: Any, opset: int = 17, **attributes: Any) -> Any:
    names = [f"w{number}" for number in range(len(arrays))]
    graph = helper.make_graph(
        [helper.make_node(op, ["x", *names], ["y"], **attributes)],
        "single",
        [helper.make_tensor_value_info("x", FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(array, name) for array, name in zip(arrays, names, strict=True)],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)])


def compare(model: Any, x: Any) -> archcalc.Network | None:
    """Values as onnxruntime computes them, and the shape even where the operation is opaque."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        (want,) = session.run(None, {"x": x})
    except Exception:  # arguments that do not go together
        return None
    network = archcalc.from_onnx(model)
    has_batch = not any("read without a batch" in text for text in network.remarks)
    assert network.outputs["output"].shape == want.shape[1 if has_batch else 0 :]
    if network.is_complete:
        check_values(network, [x], [want], 1e-4)
    return network


def drawn(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def windows(data: Any, rank: int, most: int = 3) -> dict[str, Any]:
    numbers = {
        name: [data.draw(st.integers(1, high)) for _ in range(rank)]
        for name, high in (("strides", 3), ("dilations", 2))
    }
    how = data.draw(st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if how != "NOTSET":
        return {**numbers, "auto_pad": how}
    return {**numbers, "pads": [data.draw(st.integers(0, most)) for _ in range(2 * rank)]}


SIZES = (9, 8, 7)


@FEW
@given(st.data(), st.integers(1, 3))
def test_convolutions(data: st.DataObject, rank: int) -> None:
    groups = data.draw(st.sampled_from([1, 2, 4]))
    kernel = tuple(data.draw(st.integers(1, 3)) for _ in range(rank))
    arrays = [drawn((2 * groups, 4 // groups, *kernel))]
    if data.draw(st.booleans()):
        arrays.append(drawn((2 * groups,)))
    x = drawn((2, 4, *SIZES[:rank]))
    given_windows = windows(data, rank)
    if "SAME" in given_windows.get("auto_pad", ""):
        given_windows["dilations"] = [1] * rank  # onnxruntime computes something else than ONNX says
    network = compare(node_model("Conv", x, *arrays, group=groups, **given_windows), x)
    assert network is None or network.is_complete


@FEW
@given(st.data(), st.integers(1, 3))
def test_transposed_convolutions(data: st.DataObject, rank: int) -> None:
    groups = data.draw(st.sampled_from([1, 2]))
    kernel = tuple(data.draw(st.integers(1, 4)) for _ in range(rank))
    x = drawn((2, 4, *(5, 4, 3)[:rank]))
    given_windows = windows(data, rank, 2)
    reaches = [d * (k - 1) + 1 for k, d in zip(kernel, given_windows["dilations"], strict=True)]
    # what is then beyond what the kernel reaches, ONNX does not say
    assume("pads" in given_windows or all(np.array(reaches) >= given_windows["strides"]))
    if data.draw(st.booleans()):
        given_windows["output_padding"] = [data.draw(st.integers(0, s - 1)) for s in given_windows["strides"]]
    compare(node_model("ConvTranspose", x, drawn((4, 2, *kernel)), group=groups, **given_windows), x)


@FEW
@given(st.data(), st.integers(1, 3), st.sampled_from(["MaxPool", "AveragePool"]))
def test_pools(data: st.DataObject, rank: int, op: str) -> None:
    more: dict[str, Any] = windows(data, rank, 2)
    if op == "AveragePool":
        del more["dilations"]  # those of onnxruntime before version 19
        more["count_include_pad"] = data.draw(st.integers(0, 1))
    if "auto_pad" in more:
        more["dilations"] = [1] * rank
        if op == "AveragePool":
            del more["dilations"]
    else:
        more["ceil_mode"] = data.draw(st.integers(0, 1)) if op == "MaxPool" else 0
    kernel = [data.draw(st.integers(1, 4)) for _ in range(rank)]
    x = drawn((2, 3, *SIZES[:rank]))
    compare(node_model(op, x, kernel_shape=kernel, **more), x)


@FEW
@given(st.data())
def test_resizing(data: st.DataObject) -> None:
    where = data.draw(st.sampled_from(["half_pixel", "asymmetric", "pytorch_half_pixel", "align_corners"]))
    more: dict[str, Any] = {"coordinate_transformation_mode": where}
    more["mode"] = data.draw(st.sampled_from(["nearest", "linear", "cubic"]))
    if more["mode"] == "nearest":
        more["nearest_mode"] = data.draw(st.sampled_from(["floor", "ceil", "round_prefer_floor"]))
    x = drawn((2, 3, 6, 5))
    none = np.zeros(0, np.float32)
    if data.draw(st.booleans()):
        scales = [1, 1, *(data.draw(st.sampled_from([0.5, 1, 1.5, 2, 3])) for _ in range(2))]
        arrays = [none, np.array(scales, np.float32)]
    else:
        sizes = [2, 3, *(data.draw(st.integers(1, 13)) for _ in range(2))]
        arrays = [none, none, np.array(sizes, np.int64)]
    compare(node_model("Resize", x, *arrays, **more), x)


@FEW
@given(st.data())
def test_matrix_products(data: st.DataObject) -> None:
    turned = data.draw(st.integers(0, 1))
    x = drawn((2, 5))
    arrays = [drawn((7, 5) if turned else (5, 7))]
    if data.draw(st.booleans()):
        arrays.append(drawn(data.draw(st.sampled_from([(7,), (1, 7), (1,), (2, 7)]))))
    alpha, beta = (data.draw(st.sampled_from([1.0, 1.0, 0.5])) for _ in range(2))
    network = compare(node_model("Gemm", x, *arrays, transB=turned, alpha=alpha, beta=beta), x)
    assert network is not None
    assert network.is_complete
    # a bias for each sample is something that no network with a batch has
    has_rows = len(arrays) > 1 and arrays[1].shape == (2, 7)
    assert any("read without a batch" in text for text in network.remarks) == has_rows


@pytest.mark.parametrize(
    ("op", "opset", "attributes", "kind"),
    [
        ("HardSigmoid", 17, {"alpha": 1 / 6}, "hardsigmoid"),
        ("HardSigmoid", 17, {}, "hardsigmoid"),  # its slope is 0.2
        ("Softmax", 11, {}, "flatten"),  # over all axes but the batch
        ("Softmax", 11, {"axis": 3}, "softmax"),
        ("Softmax", 13, {}, "softmax"),
        ("LRN", 17, {"size": 3, "alpha": 0.5}, "lrn"),
        ("LRN", 17, {"size": 4}, "opaque"),
        ("Clip", 6, {"min": 0.0, "max": 6.0}, "relu6"),
        ("Clip", 6, {"min": 0.0}, "relu"),
        ("Clip", 6, {"min": -1.0, "max": 1.0}, "hardtanh"),
        ("Clip", 6, {"max": 1.0}, "clamp"),
        ("ReduceMean", 13, {"axes": [2, 3]}, "global_avgpool"),
        ("ReduceMean", 13, {"axes": [-1]}, "avgpool"),
        ("ReduceMean", 13, {"axes": [1]}, "reduce"),
        ("ReduceL2", 13, {"axes": [1, 3], "keepdims": 0}, "reduce"),
        ("ReduceMax", 13, {"axes": [2, 3]}, "global_maxpool"),
        ("DepthToSpace", 13, {"blocksize": 2, "mode": "CRD"}, "pixel_shuffle"),
        ("DepthToSpace", 13, {"blocksize": 2}, "reshape"),
        ("SpaceToDepth", 13, {"blocksize": 3}, "reshape"),
        ("Pad", 9, {"pads": [0, 0, 1, 0, 0, 0, 2, 3]}, "pad"),
        ("Pad", 9, {"pads": [0, 0, 1, 0, 0, 0, 2, 3], "value": 1.0}, "pad"),
        ("Pad", 9, {"pads": [0, 0, 1, 0, 0, 0, 2, 3], "mode": "reflect"}, "pad"),
        ("Pad", 9, {"pads": [0, 1, 1, 0, 0, 0, 2, 3]}, "pad"),
        ("Slice", 9, {"starts": [1, -3], "ends": [100, -1], "axes": [1, 3]}, "slice"),
        ("LogSoftmax", 13, {"axis": 2}, "log_softmax"),
        ("Softplus", 13, {}, "softplus"),
        ("Reciprocal", 13, {}, "pow"),
        ("Neg", 13, {}, "scale"),
        ("Transpose", 13, {"perm": [0, 3, 1, 2]}, "permute"),
        ("Elu", 13, {"alpha": 0.5}, "elu"),
        ("Gelu", 20, {"approximate": "tanh"}, "gelu"),
    ],
)
def test_arguments(op: str, opset: int, attributes: dict[str, Any], kind: str) -> None:
    x = drawn((2, 4, 6, 9))
    model = node_model(op, x, opset=opset, **attributes)
    network = compare(model, x) if (op, kind) != ("LRN", "opaque") else archcalc.from_onnx(model)
    assert network is not None
    assert kind in {node.kind for node in network.layers} or (kind == "opaque" and not network.is_complete)


@pytest.mark.parametrize("domain", ["", "ai.onnx"])
def test_the_domain_of_onnx_has_two_names(domain: str) -> None:
    x = drawn((2, 3, 4))
    model = node_model("Relu", x)
    model.graph.node[0].domain = domain
    assert [node.kind for node in archcalc.from_onnx(model).layers] == ["relu"]
    model.graph.node[0].domain = "com.microsoft"
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", FLOAT, x.shape))
    assert [node.kind for node in archcalc.from_onnx(model).layers] == ["opaque"]


@pytest.mark.parametrize(
    ("op", "attributes", "kinds"),
    [
        ("AveragePool", {"count_include_pad": 1}, ["pad", "avgpool"]),
        ("AveragePool", {"count_include_pad": 1, "strides": [2, 1], "ceil_mode": 1}, ["pad", "avgpool"]),
        ("AveragePool", {}, ["opaque"]),
        ("MaxPool", {}, ["opaque"]),
        ("LpPool", {"p": 3}, ["pad", "abs", "lppool"]),
    ],
)
def test_padding_of_more_than_half_a_kernel(op: str, attributes: dict[str, Any], kinds: list[str]) -> None:
    x = drawn((2, 3, 9, 8))
    network = compare(node_model(op, x, kernel_shape=[3, 2], pads=[2, 0, 2, 1], **attributes), x)
    assert network is not None
    assert [node.kind for node in network.layers] == kinds
    if kinds == ["opaque"]:
        assert "it pads more than half of its kernel" in str(next(iter(network.layers)).layer)


@pytest.mark.parametrize(
    ("kernel", "strides", "pads", "size", "output", "reason"),
    [
        ([2, 2], [2, 2], [0, 0, 0, 0], [8, 6], None, ""),
        ([3, 3], [2, 2], [1, 1, 1, 1], [9, 7], None, ""),  # windows overlap
        ([3, 2], [3, 2], [0, 0, 0, 0], [9, 7], [2, 3, 9, 7], ""),
        ([2], [2], [0, 0], [8], None, ""),
        ([2, 2], [2, 2], [0, 0, 0, 0], [9, 7], None, "it gives 8x6, and the pool reads 9x7"),
    ],
)
def test_pools_that_are_undone(
    kernel: list[int], strides: list[int], pads: list[int], size: list[int], output: Any, reason: str
) -> None:
    shape = (2, 3, *size)
    more = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    nodes = [
        helper.make_node("MaxPool", ["x"], ["p", "i"], **more),
        helper.make_node("Sigmoid", ["p"], ["s"]),
        helper.make_node("MaxUnpool", ["s", "i", *(["o"] if output else [])], ["y"], **more),
    ]
    arrays = [numpy_helper.from_array(np.array(output, np.int64), "o")] if output else []
    out = tuple(output or (2, 3, *(n // s * s for n, s in zip(size, strides, strict=True))))
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", FLOAT, shape)],
        [helper.make_tensor_value_info("y", FLOAT, None if kernel == [3, 3] else out)], arrays,
    )  # fmt: skip
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    if reason:
        (opaque,) = (node for node in archcalc.from_onnx(model).layers if node.kind == "opaque")
        assert reason in str(opaque.layer)
        return
    network = compare(model, drawn(shape))
    assert network is not None
    assert [node.kind for node in network.layers] == ["maxpool", "sigmoid", "maxunpool"]
