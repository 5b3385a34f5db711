"""Runs of imported modules beside PyTorch, by the command line and from Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archcalc
from archcalc.diagnostics import ArchError
from archcalc.executor.execute import run as execute
from archcalc.executor.inputs import drawn_inputs
from archcalc.executor.original import TOLERANCE, compare_with_original
from archcalc.verify.prove import verify

torch = pytest.importorskip("torch")
nn = torch.nn

CODE = """
import torch
from torch import nn

class Two(nn.Module):
    def __init__(self, width: int = 6):
        super().__init__()
        self.left, self.right = nn.Conv2d(3, width, (4, 5), (1, 2), bias=False), nn.Conv2d(2, width, 3)
        self.again = nn.Conv2d(width, width, 1, bias=False)
        self.aux = nn.Linear(width, 3)

    def forward(self, image, *, mask):
        x = self.again(self.again(torch.relu(self.left(image)))).mean((2, 3))
        y = self.right(mask).amax((2, 3))
        return {"sum": x + y, "left": x} | ({"aux": self.aux(x)} if self.training else {})
"""


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "two_inputs.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return "two_inputs.py:Two"


INPUTS = {"image": (3, 20, 26), "mask": (2, 9, 11)}


@pytest.mark.parametrize(("dtype", "most"), [("float32", 1e-5), ("float64", 1e-12)])
def test_several_inputs_and_outputs_and_a_shared_layer(two: str, dtype: str, most: float) -> None:
    network = archcalc.load(two, {"width": 5}, inputs=INPUTS)
    inputs = drawn_inputs(network, 2, 3, dtype)
    outputs = execute(network, inputs, network.trained(), batch=2, dtype=dtype)
    found = compare_with_original(network, inputs, outputs)
    assert (found.compared, found.problem) == (2, "")
    assert found.difference < most
    # the comparison notices another input
    inputs["mask"] = inputs["mask"] + 1
    assert not compare_with_original(network, inputs, outputs).held


def test_inputs_by_name_are_those_in_order(two: str) -> None:
    made: dict[str, Any] = {}
    exec(CODE, made)
    network = archcalc.from_torch(made["Two"](5), inputs=INPUTS)
    by_file = archcalc.load(two, {"width": 5}, inputs=INPUTS)
    assert [node.shape for node in network.nodes] == [node.shape for node in by_file.nodes]
    conv = nn.Conv2d(3, 4, 3)
    shape = archcalc.from_torch(conv, (3, 8, 9)).outputs["output"].shape
    for inputs in ((3, 8, 9), {"input": (3, 8, 9)}):
        assert archcalc.from_torch(conv, inputs=inputs).outputs["output"].shape == shape == (4, 6, 7)
    with pytest.raises(ArchError, match="by position and as `inputs`"):
        archcalc.from_torch(conv, (3, 8, 9), inputs=(3, 8, 9))
    with pytest.raises(ArchError, match="the shape of the input is needed"):
        archcalc.from_torch(conv)


def test_a_head_for_training_and_a_shared_layer_are_verified(two: str) -> None:
    network = archcalc.load(two, inputs=INPUTS)
    assert network.heads
    assert verify(network).held


def test_a_module_keeps_its_mode_and_its_precision() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.9), nn.BatchNorm2d(4)).train()
    network = archcalc.from_torch(module, (3, 8, 9))
    inputs = drawn_inputs(network, 2, 0, "float64")
    outputs = execute(network, inputs, network.trained(), batch=2, dtype="float64")
    assert compare_with_original(network, inputs, outputs).difference < 1e-12
    assert all(each.training for each in module.modules())
    assert module[0].weight.dtype == torch.float32


def test_the_command_says_what_pytorch_gives(two: str) -> None:
    inputs = ["--input", "image=3x20x26", "--input", "mask=2x9x11"]
    command = [sys.executable, "-m", "archcalc", "run", two, *inputs, "--set", "width=3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "the model's own" in done.stdout
    assert "PyTorch computes the same, to " in done.stdout


def far(found: Any, exact: Any) -> float:
    """The largest difference, relative to the largest value."""
    return float(np.abs(found - exact).max() / np.abs(exact).max())


def executed(module: Any, image: Any) -> Any:
    network = archcalc.from_torch(module, image.shape[1:])
    assert network.trained is not None
    return execute(network, image, network.trained(), batch=len(image), dtype=image.dtype)["output"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["resnetv2_50x1_bit", "fbnetv3_b"])
def test_differences_in_single_precision_are_rounding(name: str) -> None:
    """Equal in double precision; in single precision, PyTorch is as far from these values as archcalc."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    module = timm.create_model(name).eval()
    image = torch.randn(2, 3, 64, 64)
    single = executed(module, image.numpy())
    with torch.no_grad():
        theirs = module(image).numpy()
        exact = module.double()(image.double()).numpy()
    double = executed(module, image.double().numpy())
    assert far(double, exact) < 1e-12
    assert far(single, exact) < 2 * far(theirs, exact)
    assert far(single, theirs) < TOLERANCE["float32"] / 2


@pytest.mark.filterwarnings("ignore")
def test_onnxruntime_is_as_far_from_the_exact_values(tmp_path: Path) -> None:
    """Its model has arrays in single precision; ours computes with them in double precision."""
    timm = pytest.importorskip("timm")
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    torch.manual_seed(0)
    module, image = timm.create_model("fbnetv3_b").eval(), torch.randn(2, 3, 64, 64)
    path = tmp_path / "model.onnx"
    torch.onnx.export(module, (image,), path, dynamo=False, opset_version=17, input_names=["x"])
    network = archcalc.load(path)
    assert network.trained is not None
    double = execute(network, image.double().numpy(), network.trained(), batch=2, dtype="float64")
    found = compare_with_original(network, {"x": image.double().numpy()}, double)
    assert found.compared, found.problem
    assert (found.held, found.dtype) == (True, "float32")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"x": image.numpy()})
    with torch.no_grad():
        exact = module.double()(image.double()).numpy()
    assert far(double["output"], exact) < far(theirs, exact) / 2
