"""Every rule of every convention of a tool against what the tool itself prints of single layers."""

from __future__ import annotations

from collections.abc import Callable

import measured
import pytest

import archcalc
from archcalc.conventions import conventions
from archcalc.quantities.activations import DTYPES

MEASURED = measured.load()


@pytest.mark.parametrize("name", MEASURED)
def test_single_layers_count_as_measured(name: str) -> None:
    networks = dict(measured.layers())
    found = {
        layer: archcalc.analyze(networks[layer], convention=name).count for layer in MEASURED[name]["counts"]
    }
    assert found == MEASURED[name]["counts"]


NOT_MEASURED = {
    *("macs", "flops", "paper", "paper-conv", "params", "weights", "activations"),  # definitions
    *("slides-memory", "keras"),  # tables and lists, see test_conventions_others.py
    *("netscope", "convnet-burden", "convnet-burden-memory"),  # of Caffe and MatConvNet, by hand there
}


def test_every_tool_is_measured_and_says_with_which_version() -> None:
    assert conventions().keys() == MEASURED.keys() | NOT_MEASURED
    for name in MEASURED:
        tool = MEASURED[name]["tool"]
        assert conventions()[name].version in tool or name in ("torch-flop-counter", "torchvision")


@pytest.mark.parametrize("name", MEASURED)
def test_every_rule_is_measured(name: str) -> None:
    """A kind with a rule that counts something is among the layers that were measured."""
    networks = dict(measured.layers())
    kinds = {node.kind for layer in MEASURED[name]["counts"] for node in networks[layer].layers}
    rules = conventions()[name].rules
    assert {kind for kind, rule in rules.items() if rule.parts} <= kinds | BY_HAND.get(name, set())


BY_HAND = {
    "torchsummary": {"maxunpool"},
    "torchstat-memory": {"maxunpool"},
    "onnx-tool": {"lrn"},  # which PyTorch exports as other operators
    "onnx-tool-unfolded": {"lrn"},
}
"""Rules of layers that no tool runs alone; see test_conventions_others.py."""


BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8": 1, "int8": 1}
"""IEEE 754's 64, 32 and 16 bits; bfloat16's 16 (Wang & Kanwar 2019); 8 bits, as the names say."""


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_has_its_bytes(dtype: str) -> None:
    """Of LeNet-5's 61,706 parameters, and of the activations of a batch."""
    totals = archcalc.analyze(archcalc.load("lenet5"), dtype=dtype, batch=3).totals
    assert totals["param_bytes"] == BYTES[dtype] * 61_706
    assert totals["activation_bytes"] == 3 * BYTES[dtype] * totals["activations"]


def test_the_words_of_compare_name_the_convention(run: Callable[..., tuple[int, str, str]]) -> None:
    """Under a convention, a sentence speaks of its count; without one, of multiply-adds."""
    counted = run("compare", "resnet50", "resnet50_v1_5", "--convention", "thop")[1]
    assert "more thop MACs" in counted
    assert "thop" not in run("compare", "resnet50", "resnet50_v1_5")[1]
