"""ONNX files: how they are read, what is known from the file alone, and files that nobody should trust."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archcalc
from archcalc.diagnostics import ArchError
from archcalc.executor.execute import run
from archcalc.executor.inputs import drawn_inputs
from archcalc.executor.original import compare_with_original
from archcalc.importing.onnx_graph.arrays import ArrayStore
from archcalc.importing.onnx_graph.convert import to_network
from archcalc.importing.onnx_graph.model import read_bytes
from archcalc.importing.onnx_graph.modules import path_in_name
from archcalc.importing.onnx_graph.records import OnnxTensorRecord
from archcalc.importing.onnx_graph.values import OnnxCall
from archcalc.importing.onnx_graph.wire import MAX_NAME_BYTES, WireReader

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
FLOAT = onnx.TensorProto.FLOAT
Shape = tuple[Any, ...]


def value(name: str, shape: Shape | None, kind: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def model(
    nodes: list[Any],
    arrays: dict[str, Any] | None = None,
    *,
    shape: Shape | None = (1, 3, 8, 6),
    outputs: tuple[str, ...] = ("y",),
    opset: int = 17,
    **more: Any,
) -> Any:
    graph = helper.make_graph(
        nodes,
        "graph",
        [value("x", shape)],
        [value(name, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (arrays or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], **more)


def random_array(*shape: int) -> Any:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


CONV = {"w": random_array(4, 3, 3, 3), "b": random_array(4)}


def kinds(network: archcalc.Network) -> list[str]:
    return [str(each.layer) for each in network.layers]


# --- Files ----------------------------------------------------------------------------------------------


def test_a_file_is_a_net_for_every_command(run: Any, tmp_path: Path) -> None:
    onnx.save(model([node("Conv", "x w b", "c"), node("Relu", "c", "y")], CONV), tmp_path / "small.onnx")
    shown = run("report", "small.onnx", "--format", "json")
    assert '"params": 112' in shown.out
    assert "conv(4, 3)" in run("explain", "small.onnx", "conv1", "macs").out
    assert run("check", "small.onnx", "--expect", "params == 112").status == 0
    assert "conv(4, 3)" in run("convert", "small.onnx").out
    assert "`small.onnx` has no parameters" in run("report", "small.onnx", "--set", "width=2").err


def test_a_model_in_memory_is_a_network_too() -> None:
    network = archcalc.from_onnx(model([node("Conv", "x w b", "y")], CONV), name="mine")
    assert (network.name, kinds(network)) == ("mine", ["conv(4, 3)"])
    with pytest.raises(ArchError, match=r"a path or an `onnx.ModelProto`, not a int"):
        archcalc.from_onnx(3)  # type: ignore[arg-type]


def test_values_of_other_files_are_read_when_they_are_needed(tmp_path: Path) -> None:
    made = model([node("Conv", "x w b", "y", pads=[1, 1, 1, 1])], CONV)
    onnx.save(made, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    network = archcalc.load(tmp_path / "m.onnx")
    assert network.trained is not None
    weights = network.trained()
    assert np.array_equal(weights["conv1"]["weight"], CONV["w"].transpose(2, 3, 1, 0))
    (tmp_path / "m.data").unlink()
    assert archcalc.analyze(archcalc.load(tmp_path / "m.onnx")).totals.params == 112
    with pytest.raises(ArchError, match=r"`m\.data` cannot be read"):
        network.trained()


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "", "a/../../b"])
def test_values_outside_of_the_folder_are_not_read(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(CONV["w"].tobytes())
    made = model([node("Conv", "x w b", "y")], CONV)
    array = made.graph.initializer[0]
    array.ClearField("raw_data")
    array.data_location = onnx.TensorProto.EXTERNAL
    array.external_data.add(key="location", value=location)
    (folder / "m.onnx").write_bytes(made.SerializeToString())
    network = archcalc.load(folder / "m.onnx")
    assert network.trained is not None
    with pytest.raises(ArchError, match="outside the folder"):
        network.trained()


TYPES = ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
         "uint64", "bool"]  # fmt: skip


@given(st.sampled_from(TYPES), st.integers(0, 2**32), st.booleans(), st.lists(st.integers(0, 4), max_size=3))
@settings(max_examples=100, deadline=None)
def test_arrays_are_read_as_the_package_reads_them(kind: str, seed: int, raw: bool, shape: list[int]) -> None:
    numbers = np.random.default_rng(seed).integers(-(2**62), 2**62, shape)
    array = numbers.astype(kind) if kind[0] in "iub" else (numbers / 2**60).astype(kind)
    code = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    tensor = (
        numpy_helper.from_array(array, "a") if raw else helper.make_tensor("a", code, shape, array.flatten())
    )
    data = tensor.SerializeToString()
    record = WireReader(memoryview(data)).read(OnnxTensorRecord)
    read = ArrayStore("file", data=data).array(record, "a").all_values()
    assert read.dtype == array.dtype
    assert np.array_equal(read, numpy_helper.to_array(tensor))


# --- Shapes ---------------------------------------------------------------------------------------------


def test_open_sizes_must_be_given(tmp_path: Path) -> None:
    made = model([node("Conv", "x w b", "y")], CONV, shape=("n", 3, "h", "w"))
    with pytest.raises(ArchError, match=r"the input `x` of `.*` is 3xhxw: not all sizes are numbers"):
        archcalc.from_onnx(made)
    assert archcalc.from_onnx(made, (3, 9, 6)).outputs["output"].shape == (4, 7, 4)
    with pytest.raises(ArchError, match="takes 1 input, and 2 shapes were given"):
        archcalc.from_onnx(made, (3, 10, 7), (3, 10, 7))
    with pytest.raises(ArchError, match="by position and as `inputs`"):
        archcalc.from_onnx(made, (3, 10, 7), inputs=(3, 10, 7))
    network = archcalc.from_onnx(made, inputs=(3, 10, 7))
    assert network.outputs["output"].shape == (4, 8, 5)
    assert archcalc.from_onnx(made, inputs={"x": (3, 10, 7)}).outputs["output"].shape == (4, 8, 5)
    with pytest.raises(ArchError, match="has no input `z`"):
        archcalc.from_onnx(made, inputs={"z": (3, 10, 7)})
    with pytest.raises(ArchError, match="is 3xhxw, not 3x10"):
        archcalc.from_onnx(made, inputs=(3, 10))
    with pytest.raises(ArchError, match="does not say the shape of its input `x`"):
        archcalc.from_onnx(model([node("Relu", "x", "y")], shape=None))


def test_a_size_that_is_declared_can_be_replaced() -> None:
    made = model([node("Conv", "x w b", "c"), node("GlobalAveragePool", "c", "y")], CONV)
    made.graph.value_info.append(value("c", (1, 4, 6, 4)))
    assert archcalc.from_onnx(made, inputs=(3, 30, 20))["conv1"].shape == (4, 28, 18)


def test_what_the_file_declares_otherwise_is_opaque() -> None:
    made = model([node("Conv", "x w b", "c"), node("Relu", "c", "y")], CONV)
    made.graph.value_info.append(value("c", (1, 4, 7, 5)))
    network = archcalc.from_onnx(made)
    reason = "it would give 1x4x6x4, and the model says 1x4x7x5"
    assert kinds(network) == [f'opaque("Conv", 4x7x5, params=[4x3x3x3, [4]], reason="{reason}")', "relu"]


def test_onnxruntime_gives_the_same() -> None:
    """Two results; the first one is called `output` here."""
    made = model([node("Conv", "x w b", "c"), node("Relu", "c", "y")], CONV)
    made.graph.output.append(value("c", (1, 4, 6, 4)))
    network = archcalc.from_onnx(made)
    inputs = drawn_inputs(network, 1, 0, "float32")
    found = compare_with_original(network, inputs, run(network, inputs, network.trained()))
    assert (found.framework, found.compared, found.problem) == ("onnxruntime", 2, "")
    assert found.difference < 1e-6
    outputs = run(network, inputs, network.trained())
    assert not compare_with_original(
        network, {name: array + 1 for name, array in inputs.items()}, outputs
    ).held


@pytest.mark.parametrize("batch", [1, 2, "n"])
def test_shapes_that_are_computed(batch: Any) -> None:
    """`x.view(x.size(0), -1)` as exporters write it."""
    arrays = {"zero": np.array(0), "axis": np.array([0]), "rest": np.array([-1]), "w": random_array(144, 5)}
    nodes = [
        node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Unsqueeze", "n axis", "n1"),
        node("Concat", "n1 rest", "target", axis=0), node("Reshape", "x target", "flat"),
        node("MatMul", "flat w", "y"),
    ]  # fmt: skip
    network = archcalc.from_onnx(model(nodes, arrays, shape=(batch, 3, 8, 6)))
    assert kinds(network) == ["flatten", "fc(5, bias=false)"]


def test_an_input_without_a_batch() -> None:
    """Only in the graph it gets one, and loses it again."""
    nodes = [node("Unsqueeze", "x axis", "u"), node("Conv", "u w b", "c"), node("Squeeze", "c axis", "y")]
    network = archcalc.from_onnx(model(nodes, {"axis": np.array([0]), **CONV}, shape=(3, 8, 6)))
    assert kinds(network) == ["conv(4, 3)"]
    x = random_array(3, 8, 6)
    assert network.trained is not None
    assert run(network, x[None], network.trained())["output"].shape == (1, 4, 6, 4)


def test_a_batch_that_is_folded_is_not_lost() -> None:
    """An axis may be the batch and another one."""
    nodes = [
        node("Reshape", "x folded", "f"), node("Softmax", "f", "s"), node("Reshape", "s back", "r"),
        node("Relu", "r", "y"),
    ]  # fmt: skip
    arrays = {"folded": np.array([-1, 48]), "back": np.array([-1, 3, 8, 6])}
    network = archcalc.from_onnx(model(nodes, arrays, shape=("n", 3, 8, 6)))
    assert [each.kind for each in network.layers] == ["reshape", "softmax", "reshape", "relu"]
    assert network.outputs["output"].shape == (3, 8, 6)


# --- Arrays ---------------------------------------------------------------------------------------------


def weighted(nodes: list[Any], arrays: dict[str, Any]) -> archcalc.Network:
    return archcalc.from_onnx(model([*nodes, node("Conv", "x k", "y")], arrays, opset=19))


@pytest.mark.parametrize(
    ("nodes", "arrays"),
    [
        ([node("Identity", "w", "k")], {"w": CONV["w"]}),
        ([node("Cast", "w", "k", to=1)], {"w": CONV["w"].astype(np.float16)}),
        ([node("Transpose", "w", "k", perm=[3, 2, 0, 1])], {"w": random_array(3, 3, 3, 4)}),
        ([node("Reshape", "w s", "k")], {"w": random_array(4, 27), "s": np.array([4, 3, 3, 3])}),
        ([node("Unsqueeze", "w a", "k")], {"w": random_array(4, 3, 3), "a": np.array([3])}),
        ([node("Constant", "", "k", value=numpy_helper.from_array(CONV["w"]))], {}),
        (
            [node("ConstantOfShape", "s", "k", value=numpy_helper.from_array(np.ones(1, np.float32)))],
            {"s": np.array([4, 3, 3, 3])},
        ),
        (
            [node("DequantizeLinear", "w s", "k", axis=0)],
            {"w": np.arange(108).reshape(4, 3, 3, 3).astype(np.int8), "s": random_array(4)},
        ),
    ],
)
def test_weights_may_be_made_of_other_arrays(nodes: list[Any], arrays: dict[str, Any]) -> None:
    """Values are those of the package's own evaluator."""
    network = weighted(nodes, arrays)
    assert network.is_complete
    totals = archcalc.analyze(network).totals
    assert totals.params == 4 * 3 * 3 * (1 if nodes[0].op_type == "Unsqueeze" else 3)
    from onnx.reference import ReferenceEvaluator

    x = random_array(1, 3, 8, 6)
    (want,) = ReferenceEvaluator(model([*nodes, node("Conv", "x k", "y")], arrays, opset=19)).run(
        None, {"x": x}
    )
    assert network.trained is not None
    assert np.allclose(run(network, x, network.trained())["output"], want, rtol=1e-4, atol=1e-4)


def test_a_transposed_array_is_the_same_array() -> None:
    """An autoencoder with one matrix: 144·10 parameters."""
    nodes = [
        node("Flatten", "x", "f"), node("MatMul", "f w", "code"), node("Transpose", "w", "t", perm=[1, 0]),
        node("MatMul", "code t", "y"),
    ]  # fmt: skip
    network = archcalc.from_onnx(model(nodes, {"w": random_array(144, 10)}))
    assert archcalc.analyze(network).totals.params == 1440
    x = random_array(1, 3, 8, 6)
    w = random_array(144, 10)
    assert network.trained is not None
    out = run(network, x, network.trained(), dtype=np.float64)["output"]
    assert np.allclose(out, x.reshape(1, -1).astype(float) @ w @ w.T)


def test_arrays_that_nothing_uses_are_named() -> None:
    network = archcalc.from_onnx(model([node("Relu", "x", "y")], {"head.weight": random_array(10, 5)}))
    assert network.remarks == ("50 parameters of `head.weight` are not counted: no output depends on them",)


def test_old_files_list_their_arrays_as_inputs() -> None:
    made = model([node("Conv", "x w b", "y")], CONV)
    made.graph.input.extend([value("w", (4, 3, 3, 3)), value("b", (4,))])
    assert list(archcalc.from_onnx(made).inputs) == ["x"]


def test_a_bias_that_is_added_is_one() -> None:
    nodes = [node("Conv", "x w", "c"), node("Add", "c b", "y")]
    arrays = {"w": CONV["w"], "b": random_array(4, 1, 1)}
    assert kinds(archcalc.from_onnx(model(nodes, arrays))) == ["conv(4, 3)"]
    twice = [*nodes, node("Relu", "c", "r")]
    network = archcalc.from_onnx(model(twice, arrays, outputs=("y", "r")))
    assert [each.kind for each in network.layers] == ["conv", "shift", "relu"]


# --- Branches, functions, quantization -----------------------------------------------------------------


def branch(op: str) -> Any:
    return helper.make_graph([node(op, "x", f"{op}_y")], op, [], [value(f"{op}_y", (1, 3, 8, 6))])


@pytest.mark.parametrize(("condition", "kind"), [(True, "relu"), (False, "tanh")])
def test_a_constant_branch_is_taken(condition: bool, kind: str) -> None:
    branches = {"then_branch": branch("Relu"), "else_branch": branch("Tanh")}
    made = model([node("If", "c", "i", **branches), node("Abs", "i", "y")], {"c": np.array(condition)})
    assert kinds(archcalc.from_onnx(made)) == [kind, "abs"]


def test_what_depends_on_data_is_refused() -> None:
    branches = {"then_branch": branch("Relu"), "else_branch": branch("Tanh")}
    nodes = [node("ReduceMax", "x", "m", keepdims=0), node("Cast", "m", "c", to=9)]
    with pytest.raises(ArchError, match="which branch it takes depends on the data"):
        archcalc.from_onnx(model([*nodes, node("If", "c", "y", name="gate", **branches)]))
    body = helper.make_graph([node("Relu", "a", "b")], "body", [value("a", None)], [value("b", None)])
    with pytest.raises(ArchError, match="the operation `Loop`, which cannot be counted"):
        archcalc.from_onnx(model([node("Loop", "x", "y", body=body)]))


def test_functions_of_the_model_are_replaced_by_what_they_do() -> None:
    opset = [helper.make_opsetid("", 17)]
    leaky = node("LeakyRelu", "t", "r")
    leaky.attribute.append(helper.make_attribute("alpha", 0.5))
    leaky.attribute[0].ClearField("f")
    leaky.attribute[0].ref_attr_name = "slope"
    inner = helper.make_function("own", "Inner", ["t"], ["r"], [leaky], opset, ["slope"])
    call = node("Inner", "c", "r", domain="own")
    call.attribute.append(helper.make_attribute("slope", 0.25))
    outer = helper.make_function(
        "own", "Block", ["a", "k"], ["r"], [node("Conv", "a k", "c"), call],
        [*opset, helper.make_opsetid("own", 1)],
    )  # fmt: skip
    made = model([node("Block", "x w", "y", domain="own")], {"w": CONV["w"]}, functions=[inner, outer])
    made.opset_import.append(helper.make_opsetid("own", 1))
    assert kinds(archcalc.from_onnx(made)) == ["conv(4, 3, bias=false)", "leaky_relu(negative_slope=0.25)"]


def test_functions_that_call_themselves_end() -> None:
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    loops = helper.make_function("own", "F", ["a"], ["r"], [node("F", "a", "r", domain="own")], opset)
    with pytest.raises(ArchError, match="functions or branches more than"):
        archcalc.from_onnx(model([node("F", "x", "y", domain="own")], functions=[loops]))
    twice = [node("F0", "a", "b", domain="own"), node("F0", "b", "r", domain="own")]
    functions = [helper.make_function("own", "F0", ["a"], ["r"], [node("Relu", "a", "r")] * 1, opset)]
    for level in range(1, 16):  # 10^15 nodes
        calls = []
        for number in range(10):
            read, made = ("a" if not number else f"v{number}"), ("r" if number == 9 else f"v{number + 1}")
            calls.append(node(f"F{level - 1}", read, made, domain="own"))
        functions.append(helper.make_function("own", f"F{level}", ["a"], ["r"], calls, opset))
    assert twice
    with pytest.raises(ArchError, match="more than 150,000 nodes"):
        archcalc.from_onnx(model([node("F15", "x", "y", domain="own")], functions=functions))


def test_a_quantized_model_says_so() -> None:
    arrays = {
        "s": np.float32(0.1), "z": np.int8(0), "w": np.ones((4, 3, 3, 3), np.int8), "ws": random_array(4),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d"),
        node("DequantizeLinear", "w ws", "k", axis=0), node("Conv", "d k", "y"),
    ]  # fmt: skip
    network = archcalc.from_onnx(model(nodes, arrays))
    totals = archcalc.analyze(network).totals
    assert (kinds(network), totals.params, totals.macs) == (["conv(4, 3, bias=false)"], 108, 108 * 6 * 4)
    assert network.remarks[0].startswith("the model is quantized")
    assert network.trained is not None
    with pytest.raises(ArchError, match="is quantized: archcalc counts it but cannot run it"):
        network.trained()


SCALES = {"s": np.float32(0.1), "z": np.uint8(3), "wz": np.int8(0)}


def test_operations_on_whole_numbers_are_layers() -> None:
    """As onnxruntime writes a quantized model: a convolution, and a matrix product of its own domain."""
    runtime = helper.make_opsetid("com.microsoft", 1)
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("QLinearConv", "q s z w ws wz s z b", "c", strides=[2, 2], name="first"),
        node("QLinearAdd", "c s z c s z s z", "a", domain="com.microsoft"),
        node("Flatten", "a", "f"),
        node("QGemm", "f s z m s wz c32 s z", "g", domain="com.microsoft", transB=1),
        node("DequantizeLinear", "g s z", "y"),
    ]
    arrays = SCALES | {
        "w": np.ones((4, 3, 3, 2), np.int8), "ws": random_array(4), "b": np.ones(4, np.int32),
        "m": np.ones((5, 36), np.int8), "c32": np.ones(5, np.int32),
    }  # fmt: skip
    made = model(nodes, arrays)
    made.opset_import.append(runtime)
    network = archcalc.from_onnx(made)
    assert kinds(network) == ["conv(4, 3x2, stride=2)", "add", "flatten", "fc(5)"]
    totals = archcalc.analyze(network).totals
    params, macs = 3 * 3 * 2 * 4 + 4 + 36 * 5 + 5, 3 * 3 * 2 * 4 * 9 + 36 * 5
    assert (totals.params, totals.macs) == (params, macs)
    assert network.remarks[0].startswith("the model is quantized")
    assert network["first"].origin == "first"


def test_scales_that_are_computed_during_a_run() -> None:
    """As onnxruntime quantizes weights alone: products of whole numbers, and two scales."""
    nodes = [
        node("DynamicQuantizeLinear", "x", "q t qz"), node("ConvInteger", "q w qz wz", "c"),
        node("Cast", "c", "d", to=FLOAT), node("Mul", "t ws", "u"), node("Mul", "d u", "e"),
        node("Relu", "e", "r"), node("ReduceMean", "r", "v", axes=[2, 3], keepdims=0),
        node("DynamicQuantizeLinear", "v", "k l kz"), node("MatMulInteger", "k m kz wz", "n"),
        node("Cast", "n", "o", to=FLOAT), node("Mul", "l ws", "h"), node("Mul", "o h", "y"),
    ]  # fmt: skip
    arrays = SCALES | {
        "w": np.ones((4, 3, 3, 3), np.int8), "ws": np.float32(0.2), "m": np.ones((4, 7), np.int8),
    }  # fmt: skip
    network = archcalc.from_onnx(model(nodes, arrays))
    assert network.is_complete
    totals = archcalc.analyze(network).totals
    assert (totals.params, totals.macs) == (27 * 4 + 4 * 7, 27 * 4 * 24 + 4 * 7)
    assert len(network.remarks) == 1  # no scale is left over


def test_quantized_weights_of_unknown_operations_count() -> None:
    arrays = {"w": np.ones((5, 4), np.int8), "wz": np.zeros(4, np.int8), "i": np.ones((3, 3), np.int64)}
    made = model([node("Mystery", "x w wz i", "y", domain="mine")], arrays)
    made.graph.output[0].CopyFrom(value("y", (1, 2, 7, 9)))
    assert archcalc.analyze(archcalc.from_onnx(made)).totals.params == 20


# --- Opaque operations ---------------------------------------------------------------------------------


def test_an_unknown_operation_is_opaque_with_its_arrays() -> None:
    nodes = [node("Mystery", "x w", "m", domain="mine"), node("Relu", "m", "y")]
    made = model(nodes, {"w": random_array(5, 4)})
    with pytest.raises(ArchError, match="does not say the shape that `Mystery` gives"):
        archcalc.from_onnx(made)
    made.graph.value_info.append(value("m", (1, 2, 7, 9)))
    network = archcalc.from_onnx(made)
    assert kinds(network) == ['opaque("Mystery", 2x7x9, params=[5x4])', "relu"]
    assert archcalc.analyze(network).totals.params == 20


@pytest.mark.parametrize(
    ("op", "arrays", "attributes", "shape"),
    [
        ("Tan", {}, {}, (3, 8, 6)),
        ("Mod", {"w": random_array(3, 8, 6)}, {"fmod": 1}, (3, 8, 6)),
        ("ReduceProd", {"w": np.array([1, 3])}, {"keepdims": 0}, (8,)),
        ("MatMul", {"w": random_array(1, 3, 6, 11)}, {}, (3, 8, 11)),
        ("Pad", {"w": np.array([0, 0, 1, 2, 0, 0, 9, 4])}, {"mode": "reflect"}, (3, 18, 12)),
        ("Tile", {"w": np.array([1, 2, 1, 3])}, {}, (6, 8, 18)),
        ("TopK", {"w": np.array([2])}, {"axis": 2}, (3, 2, 6)),
        ("Gather", {"w": np.array([2, 0])}, {"axis": 1}, (2, 8, 6)),
        ("AveragePool", {}, {"kernel_shape": [3, 3], "pads": [2, 0, 2, 0]}, (3, 10, 4)),
        ("Einsum", {"w": random_array(3, 7)}, {"equation": "nchw,cd->ndhw"}, (7, 8, 6)),
    ],
)
def test_shapes_of_opaque_operations(
    op: str, arrays: dict[str, Any], attributes: dict[str, Any], shape: Shape
) -> None:
    """As `onnx.shape_inference` has them."""
    outputs = "y z" if op == "TopK" else "y"
    made = model([node(op, " ".join(["x", *arrays]), outputs, **attributes)], arrays, shape=("n", 3, 8, 6))
    made.graph.node.append(node("Identity", "y", "out"))
    made.graph.output[0].name = "out"
    network = archcalc.from_onnx(made)
    assert [each.kind for each in network.layers] == ["opaque"]
    assert network.outputs["output"].shape == shape
    inferred = onnx.shape_inference.infer_shapes(made)
    (dims,) = (each.type.tensor_type.shape.dim for each in inferred.graph.output)
    assert tuple(dim.dim_value for dim in dims)[1:] == shape


# --- Names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("/conv1/Conv", "conv1"),
        ("/layer1/layer1.0/downsample/downsample.0/Conv", "layer1/0/downsample/0"),
        ("/blocks.0/mlp/fc1/Gemm", "blocks/0/mlp/fc1"),
        ("Conv_12", ""),
        ("/Add", ""),
        ("resnet/conv/Conv2D", ""),
    ],
)
def test_modules_in_names(name: str, path: str) -> None:
    assert "/".join(part for part, _ in path_in_name(name)) == path


def test_norms_that_the_older_exporter_folded_are_said() -> None:
    arrays = {"onnx::Conv_7": CONV["w"], "onnx::Conv_8": CONV["b"], "v": random_array(4, 4, 1, 1)}
    nodes = [
        helper.make_node("Conv", ["x", "onnx::Conv_7", "onnx::Conv_8"], ["c"], "/stem/conv/Conv"),
        helper.make_node("Conv", ["c", "v"], ["y"], "/head/Conv"),
    ]
    network = archcalc.from_onnx(model(nodes, arrays, producer_name="pytorch"))
    assert network.remarks == (
        "batch norm is folded into a convolution: the file does not have their parameters",
    )
    assert [each.name for each in network.layers] == ["stem/conv", "head"]
    assert network["head"].origin == "/head/Conv"
    assert archcalc.from_onnx(model(nodes, arrays)).remarks == ()  # of another tool, nobody knows


@given(st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=50, deadline=None)
def test_any_names(one: str, two: str) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"], one), helper.make_node("Tanh", ["y"], ["z"], two)]
    network = archcalc.from_onnx(model(nodes, outputs=("z",)))
    for each in network.layers:
        assert each.name.isprintable()
        assert each.origin.isprintable()
        assert network.select(each.name)


# --- Files that nobody should trust --------------------------------------------------------------------


def small_files() -> list[bytes]:
    files = [
        model([node("Conv", "x w b", "c"), node("Relu", "c", "y")], CONV),
        model(
            [
                node("Shape", "x", "s"), node("Gather", "s i", "n"), node("Unsqueeze", "n a", "m"),
                node("Concat", "m r", "t", axis=0), node("Reshape", "x t", "y"),
            ],
            {"i": np.array(0), "a": np.array([0]), "r": np.array([-1])},
        ),
        model(
            [
                node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2]), node("Flatten", "p", "f"),
                node("Gemm", "f w b", "y", transB=1),
            ],
            {"w": random_array(5, 36), "b": random_array(5)},
        ),
    ]  # fmt: skip
    return [each.SerializeToString() for each in files]


def mutations(count: int) -> int:
    """Every mutation of a file is read or refused, soon. How many are refused?"""
    rng = random.Random(0)
    sources = small_files()
    refused = 0
    for _ in range(count):
        data = bytearray(rng.choice(sources))
        for _ in range(rng.choice([1, 1, 2, 5])):
            place = rng.randrange(len(data))
            what = rng.random()
            if what < 0.6:
                data[place] = rng.randrange(256)
            elif what < 0.8:
                data[place : place + rng.randrange(9)] = rng.randbytes(rng.randrange(9))
            else:
                del data[place:]
            data = data or bytearray(b"\x08")
        started = time.process_time()
        try:
            archcalc.analyze(to_network(read_bytes(bytes(data), "m")))
        except ArchError:
            refused += 1
        assert time.process_time() - started < 5
    return refused


def test_mutations() -> None:
    assert 100 < mutations(400) < 400


@pytest.mark.full
def test_ten_thousand_mutations() -> None:
    assert 2_500 < mutations(10_000) < 10_000


def test_a_node_without_outputs_is_nothing() -> None:
    made = model([node("Shape", "x", ""), node("Relu", "x", "y")])
    assert kinds(archcalc.from_onnx(made)) == ["relu"]


@pytest.mark.parametrize("name", ["start", "end"])
def test_attributes_of_another_type(name: str) -> None:
    """An axis of a shape that is an unknown type of attribute: the shape is not known then."""
    made = model([node("Shape", "x", "s", **{name: 1}), node("Reshape", "x s", "y")])
    made.graph.node[0].attribute[0].type = 12
    made.graph.output[0].CopyFrom(value("y", (1, 3, 8, 6)))
    assert kinds(archcalc.from_onnx(made))[0].startswith('opaque("Reshape"')


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_off(part: float, tmp_path: Path) -> None:
    data = small_files()[0]
    (tmp_path / "cut.onnx").write_bytes(data[: int(part * len(data))])
    with pytest.raises(ArchError, match=r"is not an ONNX model|is empty|does not say the version"):
        archcalc.load(tmp_path / "cut.onnx")


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x3a" + varint(2**31) + b"\x0a", "cut off"),  # a graph of 2 GB
        (field(7, b"\x0a\x00" * 1_000_001), "more than 1,000,000 fields"),  # nodes of two bytes each
        (field(7, field(1, field(4, b"a" * 10_000_000))), "a name has 10,000,000 bytes"),
        (field(7, b"")[:-1] + b"\x0b", "damaged"),
        (b"", "no graph"),
        (b"\x80\x80", "cut off"),
        (field(7, b"") * 2, "a part twice"),
    ],
)
def test_bytes_that_are_no_model(data: bytes, message: str) -> None:
    started = time.process_time()
    with pytest.raises(ArchError, match=message):
        read_bytes(data, "m")
    assert time.process_time() - started < 5


def test_graphs_within_graphs_end() -> None:
    data = b""
    for _ in range(100):
        data = field(1, field(5, field(6, data)))
    with pytest.raises(ArchError, match="nested more than"):
        read_bytes(field(7, data), "m")


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Relu", "z", "y"), node("Relu", "y", "z")], "which nothing before it computes"),
        ([node("Relu", "x", "y"), node("Tanh", "x", "y")], "two nodes of `graph` compute `y`"),
        ([node("Relu", "x", "z")], "computes the result `y`"),
        ([node("Identity", "x", "y")], "has no layers"),
        ([node("Constant", "", "y", value_float=1.0)], "returns nothing that depends on its input"),
    ],
)
def test_graphs_that_cannot_be(nodes: list[Any], message: str) -> None:
    with pytest.raises(ArchError, match=message):
        archcalc.from_onnx(model(nodes))


@pytest.mark.parametrize("size", [2**62, -1, 2**31])
def test_impossible_sizes(size: int) -> None:
    made = model([node("Conv", "x w b", "y")], CONV)
    made.graph.initializer[0].dims[0] = size
    made.graph.initializer[0].ClearField("raw_data")
    with pytest.raises(ArchError):
        archcalc.from_onnx(made)
    with pytest.raises(ArchError):
        archcalc.from_onnx(model([node("Relu", "x", "y")], shape=(1, 3, 2**62, 5)))
    arrays = {"s": np.array([1, 3, 2**40, 2**40])}
    with pytest.raises(ArchError):
        archcalc.from_onnx(model([node("Expand", "x s", "y")], arrays))
    ends = {"a": np.array(0), "b": np.array(2**60), "c": np.array(1)}
    bomb = [node("Range", "a b c", "r"), node("Relu", "x", "y")]
    assert kinds(archcalc.from_onnx(model(bomb, ends))) == ["relu"]


def test_an_array_of_another_size_is_refused() -> None:
    made = model([node("Conv", "x w b", "y")], CONV)
    made.graph.initializer[0].raw_data = b"\0" * 12
    with pytest.raises(ArchError, match="`w` in `graph` has 12 bytes of values, not 432"):
        archcalc.from_onnx(made)


def test_long_names_are_refused() -> None:
    made = model([node("Relu", "x", "y")])
    made.graph.node[0].name = "n" * (MAX_NAME_BYTES + 1)
    with pytest.raises(ArchError, match="a name has 4,001 bytes, and at most 4,000 are read"):
        archcalc.from_onnx(made)


@pytest.mark.parametrize(
    ("nodes", "arrays"),
    [
        ([node("Range", "a b c", f"r{i}") for i in range(100)], {"a": 0, "b": 1_000_000, "c": 1}),
        ([node("Add", "a b", f"r{i}") for i in range(100)], {"a": np.ones((999, 1)), "b": np.ones((1, 999))}),
        ([node("Cast", "a", f"r{i}", to=7) for i in range(100)], {"a": np.zeros(10**6, np.int8)}),
        ([node("Expand", "a s", "e"), node("Neg", "e", "r")], {"a": np.ones(1), "s": [40_000_000]}),
        ([node("Expand", "a s", "e"), node("Concat", "e e", "r", axis=0)], {"a": np.ones(1), "s": [19**6]}),
    ],
)  # fmt: skip
def test_constants_take_a_bounded_amount_of_memory(nodes: list[Any], arrays: dict[str, Any]) -> None:
    """Hundreds of megabytes otherwise, in files of a few kilobytes."""
    made = model([*nodes, node("Relu", "x", "y")], arrays)
    archcalc.from_onnx(made)  # what is imported once
    tracemalloc.start()
    try:
        assert kinds(archcalc.from_onnx(made)) == ["relu"]
        assert tracemalloc.get_traced_memory()[1] < 200_000_000
    finally:
        tracemalloc.stop()


def test_nothing_is_left_of_a_model() -> None:
    """An exception that is kept would hold the nodes that it passed."""
    nodes = [
        node("Div", "x two", "d"), node("Mul", "d d", "m"), node("Add", "m two", "a"),
        node("Gather", "a one", "g", axis=2), node("Reshape", "g rest", "y"),
    ]  # fmt: skip
    arrays = {"two": np.float32(2), "one": np.array([1]), "rest": np.array([1, -1])}
    archcalc.from_onnx(model(nodes, arrays))
    with pytest.raises(ArchError):
        archcalc.from_onnx(model([*nodes, node("Relu", "z", "r")], arrays))
    gc.collect()
    assert not any(isinstance(each, OnnxCall) for each in gc.get_objects())
