"""`--format torchsummary` against torchsummary itself.

The golden files are what torchsummary 1.5.1 printed under torch 2.13.0 and torchvision 0.28.0 for networks
without trained weights. They are measured, and not written by these tests.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import archcalc
from archcalc.conventions.measures import MODULES as COUNTED
from archcalc.layers.base import KINDS
from archcalc.report.torchsummary import MODULES, lines, torchsummary

GOLDEN = Path(__file__).parent / "golden"

# torchvision's vgg16 pools to 7x7 whatever comes in, and has no softmax
VGG16 = """\
block stage(c, n) {
  repeat n { conv(c, 3, padding=1) -> relu }
  maxpool(2)
}
net vgg16 {
  input(3x224x224)
  stage(64, 2)
  stage(128, 2)
  stage(256, 3)
  stage(512, 3)
  stage(512, 3)
  adaptive_avgpool(7) -> flatten
  fc(4096) -> relu -> dropout
  fc(4096) -> relu -> dropout
  fc(1000)
}
"""

# Two calls of one module: both are listed, with the parameters each time. On one axis, in groups, with a
# norm that has nothing to learn, and two inputs, whose sizes torchsummary multiplies.
TWINS = """\
block unit(c) {
  add(identity, conv(c, 3, padding=1, groups=2, bias=false) -> prelu(c) -> bn(affine=false))
}

shared block tower {
  conv(8, 5, stride=2) -> gelu -> avgpool(2)
  unit(8)
}

net twins {
  left: input(3x20)
  right: input(3x20)
  sub(left -> tower, right -> tower) -> flatten -> fc(5)
}
"""


def listed(name: str) -> str:
    return (GOLDEN / f"torchsummary_{name}.txt").read_text()


def test_resnet18():
    assert torchsummary(archcalc.analyze(archcalc.load("resnet18"))) == listed("resnet18")


def test_vgg16():
    assert torchsummary(archcalc.analyze(archcalc.loads(VGG16))) == listed("vgg16")


@pytest.mark.parametrize(("batch", "name"), [(1, "twins"), (4, "twins_4")])
def test_shared_modules_several_inputs_and_a_batch(batch, name):
    assert torchsummary(archcalc.analyze(archcalc.loads(TWINS), batch=batch)) == listed(name)


def test_a_container_stands_behind_its_layers():
    net = archcalc.loads("""\
block inner(c) { add(identity, conv(c, 1)) }
block outer_block(c) { concat(inner(c), identity) -> relu }
block chain(c) { conv(c, 1) -> relu }
net nested {
  input(4x6x5)
  outer_block(4)
  chain(3)
}
""")
    rows = lines(archcalc.analyze(net))
    # conv, inner around it, relu, outer around both; a chain is nn.Sequential and has no row
    assert [row.name for row in rows] == [
        "Conv2d-1", "Inner-2", "ReLU-3", "OuterBlock-4", "Conv2d-5", "ReLU-6"
    ]  # fmt: skip
    assert [row.shape for row in rows] == [
        (-1, 4, 6, 5), (-1, 4, 6, 5), (-1, 8, 6, 5), (-1, 8, 6, 5), (-1, 3, 6, 5), (-1, 3, 6, 5)
    ]  # fmt: skip
    assert [row.params for row in rows] == [4 * 4 + 4, 0, 0, 0, 8 * 3 + 3, 0]


def test_a_linear_layer_over_places_has_its_features_last():
    net = archcalc.loads('net n { input(4x6x5)\n pointwise(3) -> relu\n written "pointwise1" as "Linear" }')
    rows = lines(archcalc.analyze(net))
    assert [(row.name, row.shape, row.params) for row in rows] == [
        ("Linear-1", (-1, 6, 5, 3), 15), ("ReLU-2", (-1, 3, 6, 5), 0)
    ]  # fmt: skip


def test_only_the_softmax_at_the_end_is_left_to_the_loss():
    net = archcalc.loads("net n { input(4)\n softmax -> fc(3) -> softmax }")
    assert [row.name for row in lines(archcalc.analyze(net))] == ["Softmax-1", "Linear-2"]


def test_every_kind_that_is_a_module_has_a_name():
    assert set(COUNTED) - {"abs"} <= set(MODULES) <= set(KINDS)


@pytest.mark.parametrize("name", ["googlenet", "densenet121", "mobilenet_v2", "unet", "convnext_tiny"])
def test_the_convention_of_the_same_name_counts_what_is_listed(name):
    """Two accounts of one rule, made independently: the rows here, a rule for each kind there."""
    network = archcalc.load(name)
    profile = archcalc.analyze(network, convention="torchsummary")
    rows = lines(archcalc.analyze(network))
    assert 2 * 4 * sum(math.prod(row.shape[1:]) for row in rows) == profile.count


def test_the_command(run):
    assert run("report", "resnet18", "--format", "torchsummary") == (0, listed("resnet18"), "")


@pytest.mark.parametrize(
    "option",
    [
        ["--depth", "1"], ["--only", "conv"], ["--columns", "layer"], ["--sort", "params"], ["--top", "3"],
        ["--human"], ["--layout", "hwc"], ["--convention", "fvcore"], ["--dtype", "float16"],
    ],
)  # fmt: skip
def test_what_does_not_go_together(run, option):
    status, out, err = run("report", "lenet5", "--format", "torchsummary", *option)
    assert (status, out) == (2, "")
    assert option[0] in err
    assert "torchsummary" in err
