"""Counting conventions of PyTorch's tools: the figures that people see, and single layers by hand.

The figures were printed by the tools for torchvision's networks, or stand in their documentation; none is
computed here. `test_real_tools.py` asks the tools themselves, where they are installed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from samples import make

import archcalc
from archcalc import NetworkBuilder
from archcalc.conventions import conventions, find
from archcalc.layers import KINDS, Layer

Run = Callable[..., tuple[int, str, str]]

OURS = (
    "torchvision torch-flop-counter fvcore ptflops-pytorch ptflops-aten thop torchinfo torchinfo-memory "
    "torchprofile"
).split()


def count_alone(convention: str, layer: Layer, *shapes: tuple[int, ...]) -> int:
    """What a convention counts of a layer by itself."""
    build = NetworkBuilder("alone")
    inputs = [build.input(shape, f"input{index}") for index, shape in enumerate(shapes)]
    network = build.finish(build.add(make("flatten"), build.add(layer, *inputs)))  # it is not the end
    return archcalc.analyze(network, convention=convention).count


# --- torchvision's networks -------------------------------------------------------------------------


class Theirs(NamedTuple):
    """torchvision's network, by the name of its function and the arguments that it takes."""

    name: str
    arguments: dict[str, Any] = {}
    size: int = 224


TORCHVISION = {
    "vgg16_torchvision": Theirs("vgg16"),
    "alexnet_owt": Theirs("alexnet"),
    "resnet50_v1_5": Theirs("resnet50"),
    "mobilenet_v2": Theirs("mobilenet_v2"),
    "densenet121": Theirs("densenet121"),
    "densenet161": Theirs("densenet161"),
    "densenet169": Theirs("densenet169"),
    "densenet201": Theirs("densenet201"),
    "googlenet_torchvision": Theirs("googlenet", {"aux_logits": False, "init_weights": False}),
    "inception_v3": Theirs("inception_v3", {"init_weights": False}, 299),
    "convnext_tiny": Theirs("convnext_tiny"),
    "shufflenet_v2_x1_0_torchvision": Theirs("shufflenet_v2_x1_0"),
    "squeezenet1_0_torchvision": Theirs("squeezenet1_0"),
}
"""The networks that are torchvision's, layer by layer."""

PRINTED = {
    # conv 4,087,136,256 + fc 2,048,000; of batch norms 11,113,984 values and 53,120 parameters, of ReLUs
    # 9,608,704 values; 802,816 go into the max pool, 100,352 into the average pool, 2,048 out of it
    "resnet50_v1_5": {
        "torchvision": 4_089_184_256,
        "ptflops-aten": 4_089_184_256 + 1_000,
        "torchinfo": 4_089_238_376,
        "torchprofile": 4_100_300_288,
        "fvcore": 4_111_512_576,
        "ptflops-pytorch": 4_132_436_968,
        "thop": 4_133_742_592,
        "torch-flop-counter": 2 * 4_089_184_256,
        "torchinfo-memory": 177_831_744,  # "177.83"
    },
    "vgg16_torchvision": {
        "torchvision": 15_470_264_320,
        "ptflops-aten": 15_483_821_032,
        "torchinfo": 15_483_821_032,
        "fvcore": 15_470_264_320 + 25_088,  # the adaptive pool: 7x7 of 512 to 7x7
        "ptflops-pytorch": 15_523_225_576,
        "thop": 15_470_314_496,
        "torchinfo-memory": 108_453_696,  # "108.45"
    },
    # thop 0.1.1.post2209072238 and ptflops 0.7.5 with torchvision 0.29.1, whose code calls functions that
    # thop does not see and that ptflops counts once, while it counts modules twice
    "mobilenet_v2": {
        "torchvision": 300_774_272,
        "fvcore": 314_193_216,
        "thop": 327_486_720,
        "ptflops-pytorch": 320_300_008,
    },
    "densenet121": {"thop": 2_897_007_104, "ptflops-pytorch": 2_899_843_048},
    "densenet161": {"thop": 7_845_841_056, "ptflops-pytorch": 7_850_193_256},
    "densenet169": {"thop": 3_436_117_120, "ptflops-pytorch": 3_438_996_968},
    "densenet201": {"thop": 4_390_381_952, "ptflops-pytorch": 4_393_349_608},
    "shufflenet_v2_x1_0_torchvision": {"thop": 152_708_792, "ptflops-pytorch": 152_387_568},
    "inception_v3": {"thop": 5_749_219_168, "ptflops-pytorch": 5_747_660_552},
    "convnext_tiny": {"thop": 4_464_149_760, "ptflops-pytorch": 4_488_347_368},
    # Swin calls `Tensor.matmul`, MaxViT `torch.einsum`, and timm's DeiT has a module of attention
    "swin_t": {"ptflops-pytorch": 3_128_183_416, "thop": 2_978_099_712, "torchinfo": 34_368_232},
    "maxvit_t": {
        "fvcore": 5_608_201_264,  # 1,072 more than the products, which it reads to four digits
        "ptflops-pytorch": 5_483_328_960,
        "thop": 5_456_315_648,
        "torchinfo": 2_013_574_048,
    },
    "deit_tiny": {
        "fvcore": 1_079_579_328,
        "ptflops-pytorch": 912_887_404,
        "thop": 1_074_851_328,
        "torchinfo": 34_470_760,
        "torchinfo-memory": 40_553_792,
        "torchprofile": 1_254_628_800,
    },
    "alexnet_owt": {"torchvision": 714_188_480},
    "googlenet_torchvision": {"torchvision": 1_498_376_192, "ptflops-pytorch": 1_513_907_448},
}


@pytest.mark.parametrize(
    ("spec", "convention", "figure"),
    [(spec, convention, figure) for spec, row in PRINTED.items() for convention, figure in row.items()],
)
def test_what_tools_print_of_torchvision(spec: str, convention: str, figure: int, run: Run) -> None:
    status, out, _ = run("report", spec, "--convention", convention, "--format", "json")
    document = json.loads(out)
    factor = archcalc.analyze(archcalc.load(spec), convention=convention).per_count
    assert (status, document["totals"]["count"]) == (0, figure)
    assert sum(part["value"] for part in document["counted"]["parts"]) == figure
    assert factor in (1, 4)


def test_a_report_says_what_a_tool_does_not_see(run: Run) -> None:
    line = "not seen by thop: F.adaptive_avg_pool2d (1)"
    assert line in run("report", "mobilenet_v2", "--convention", "thop")[1]
    assert "not seen" not in run("report", "mobilenet_v2", "--convention", "fvcore")[1]
    assert "not seen" not in run("report", "mobilenet_v2")[1]
    out = run("explain", "inception_v3", "--convention", "thop")[1]
    assert "not seen: F.relu (94), F.avg_pool2d (9), F.max_pool2d (2)" in out
    layer = run("explain", "mobilenet_v2", "global_avgpool1", "--convention", "thop")[1]
    assert "global_avgpool, called as `F.adaptive_avg_pool2d`, is not seen" in layer
    document = json.loads(run("report", "densenet121", "--convention", "thop", "--format", "json")[1])
    assert document["counted"]["unseen"] == {"F.relu": 1, "F.adaptive_avg_pool2d": 1}


def test_a_network_of_ones_own_says_how_its_code_is_written() -> None:
    text = """
net small {
  input(3x9x11)
  conv(4, 3) -> relu -> global_avgpool -> flatten -> fc(5)
  written "relu1" as "F.relu"
  written "global_avgpool1" as "Tensor.mean"
}
net modules = small()  { written "global_avgpool1" as "F.adaptive_avg_pool2d" }
"""
    values = 4 * 7 * 9
    macs = values * 27 + 20
    assert archcalc.load("googlenet_torchvision?torchvision=false").written
    for net, pool in (("small", 0), ("modules", values)):
        network = archcalc.loads(text, net)
        counts = {
            name: archcalc.analyze(network, convention=name).count for name in ("thop", "ptflops", "fvcore")
        }
        # the biases, the ReLU once, and the pool once or not at all
        assert counts["ptflops"] == macs + values + 5 + values + pool
        assert (counts["thop"], counts["fvcore"]) == (macs, macs + pool)


@pytest.mark.parametrize(
    ("spec", "convention", "figure"),
    [
        # MobileNet's 27 batch norms have 5,042,688 values and 2 x 10,944 parameters; 50,176 values go into
        # the pool, 1,024 come out
        ("mobilenet_v1", "torchvision", 568_740_352),
        ("mobilenet_v1", "torchinfo", 568_740_352 + 1_000 + 2 * 10_944),
        ("mobilenet_v1", "torchprofile", 568_740_352 + 5_042_688 + 1_024),
        ("mobilenet_v1", "fvcore", 578_875_904),
        ("mobilenet_v1", "thop", 568_740_352 + 4 * 5_042_688 + 50_176 + 1_024),
        ("mobilenet_v1", "ptflops", 568_740_352 + 1_000 + 4 * 5_042_688 + 2 * 50_176),
        # ResNet-50 as published, with the stride on the first 1x1 of a block
        ("resnet50", "torchvision", 3_857_973_248),
        ("resnet50", "torchinfo", 3_857_973_248 + 1_000 + 53_120),
    ],
)
def test_networks_as_papers_have_them(spec: str, convention: str, figure: int) -> None:
    count = archcalc.analyze(archcalc.load(spec), convention=convention).count
    assert count == figure


def test_rounded_figures_of_mobilenet() -> None:
    """As the tools print MobileNet in millions."""
    network = archcalc.load("mobilenet_v1")
    printed = {"torchinfo": 568.76, "torchprofile": 573.78, "thop": 588.96, "ptflops": 589.01}
    for name, millions in printed.items():
        count = archcalc.analyze(network, convention=name).count
        assert round(count / 1e6, 2) == millions


# --- Single layers, by hand -------------------------------------------------------------------------

IMAGE = (3, 20, 26)
"""1560 values."""

# (1, 2) steps of 4x5 over 20x26, padded by 2 and 1 at both ends: 21 x 12 places
LAYERS: list[tuple[Layer, tuple[tuple[int, ...], ...], dict[str, int]]] = [
    (
        make("conv", 6, (4, 5), (1, 2), (2, 1), groups=3),
        (IMAGE,),
        {
            "torchvision": 20 * 6 * 252,
            "torch-flop-counter": 2 * 20 * 6 * 252,
            "fvcore": 20 * 6 * 252,
            "ptflops-pytorch": 21 * 6 * 252,
            "ptflops-aten": 21 * 6 * 252,
            "thop": 20 * 6 * 252,
            "torchinfo": 21 * 6 * 252,
            "torchinfo-memory": 2 * 4 * 6 * 252,
            "torchprofile": 20 * 6 * 252,
        },
    ),
    (  # 7x7 to 14x14: 49 places come in, and 196 go out
        make("conv_transpose", 32, 4, 2, 1, bias=False),
        ((16, 7, 7),),
        {
            "torchvision": 401_408,
            "torch-flop-counter": 2 * 401_408,
            "fvcore": 401_408,
            "ptflops-pytorch": 401_408,
            "ptflops-aten": 401_408,
            "thop": 1_605_632,
            "torchinfo": 1_605_632,
            "torchinfo-memory": 2 * 4 * 32 * 196,
            "torchprofile": 1_605_632,
        },
    ),
    (
        make("conv_transpose", 32, 4, 2, 1, groups=4, bias=False),
        ((16, 7, 7),),
        {
            "torchvision": 100_352,
            "torch-flop-counter": 2 * 100_352,
            "fvcore": 100_352,
            "ptflops-pytorch": 100_352,
            "ptflops-aten": 100_352,
            "thop": 401_408,
            "torchinfo": 401_408,
            "torchinfo-memory": 2 * 4 * 32 * 196,
            "torchprofile": 1_605_632,
        },
    ),
    (
        make("fc", 10),
        ((84,),),
        {
            "torchvision": 840,
            "torch-flop-counter": 1_680,
            "fvcore": 840,
            "ptflops-pytorch": 850,
            "ptflops-aten": 850,
            "thop": 840,
            "torchinfo": 850,
            "torchinfo-memory": 2 * 4 * 10,
            "torchprofile": 840,
        },
    ),
    (
        make("bn"),
        (IMAGE,),
        {
            "fvcore": 2 * 1560,
            "ptflops-pytorch": 2 * 1560,
            "thop": 4 * 1560,
            "torchinfo": 6,
            "torchinfo-memory": 2 * 4 * 1560,
            "torchprofile": 1560,
        },
    ),
    (
        make("bn", affine=False),
        (IMAGE,),
        {"fvcore": 1560, "ptflops-pytorch": 1560, "thop": 2 * 1560},
    ),
    (make("bn", track_running_stats=False), (IMAGE,), {"fvcore": 5 * 1560}),
    (
        make("layer_norm"),
        (IMAGE,),
        {
            "fvcore": 5 * 1560,
            "ptflops-pytorch": 1560,
            "thop": 4 * 1560,
            "torchinfo": 2 * 1560,
            "torchprofile": 1560,
        },
    ),
    (make("relu"), (IMAGE,), {"ptflops-pytorch": 2 * 1560, "thop": 0, "fvcore": 0}),
    (make("relu6"), (IMAGE,), {"ptflops-pytorch": 1560}),
    (
        make("maxpool", 3, 2, 1),
        (IMAGE,),
        {"ptflops-pytorch": 2 * 1560, "fvcore": 0, "thop": 0, "torchinfo-memory": 0, "torchprofile": 0},
    ),
    (  # 9 x 12 places
        make("avgpool", (4, 3), 2),
        (IMAGE,),
        {"ptflops-pytorch": 2 * 1560, "fvcore": 0, "thop": 324, "torchprofile": 324},
    ),
    (
        make("global_avgpool"),
        (IMAGE,),
        {"fvcore": 1560, "ptflops-pytorch": 2 * 1560, "thop": 3 * (520 + 1), "torchprofile": 3},
    ),
    (  # 520 values in a map for 21 places
        make("adaptive_avgpool", (3, 7)),
        (IMAGE,),
        {"fvcore": 1560, "ptflops-pytorch": 2 * 1560, "thop": 1560 + 63, "torchprofile": 63},
    ),
    (make("softmax"), ((1000,),), {"ptflops-pytorch": 1_000, "thop": 2_999, "fvcore": 0}),
    (  # squares, scaling and a product with alpha: 3136 each; 16 + 4 channels are averaged
        make("lrn", 5),
        ((16, 14, 14),),
        {"ptflops-pytorch": 13_328, "torchprofile": 9_408, "fvcore": 0, "thop": 0},
    ),
    (
        make("upsample", scale_factor=2, mode="bilinear"),
        (IMAGE,),
        {"fvcore": 4 * 6240, "ptflops-pytorch": 2 * 6240, "thop": 11 * 6240, "torchprofile": 4 * 6240},
    ),
    (
        make("upsample", scale_factor=2),
        (IMAGE,),
        {"fvcore": 6240, "ptflops-pytorch": 2 * 6240, "thop": 6240, "torchprofile": 0},
    ),
    (make("add"), (IMAGE, IMAGE), dict.fromkeys(OURS, 0)),
    (make("mul"), (IMAGE, (3, 1, 1)), dict.fromkeys(OURS, 0) | {"torchprofile": 1560}),
    (make("layer_scale"), (IMAGE,), dict.fromkeys(OURS, 0) | {"torchprofile": 1560}),
]


@pytest.mark.parametrize(("layer", "shapes", "counts"), LAYERS, ids=lambda value: str(value)[:40])
def test_single_layers(layer: Layer, shapes: tuple[tuple[int, ...], ...], counts: dict[str, int]) -> None:
    assert {name: count_alone(name, layer, *shapes) for name in counts} == counts


def test_a_batch_and_a_dtype_bear_on_memory_only() -> None:
    network = archcalc.load("vgg16")
    halves = archcalc.analyze(network, convention="torchinfo-memory", dtype="float16", batch=6)
    assert halves.count == 3 * 108_453_696
    assert archcalc.analyze(network, convention="torchinfo", dtype="float16").count == 15_483_821_032


@pytest.mark.parametrize("name", OURS)
def test_kinds_that_pytorch_lacks_are_not_counted(name: str) -> None:
    rules = conventions()[name].rules
    assert not {"local", "rbf", "subsample"} & set(rules)
    assert set(rules) < set(KINDS)


def test_ptflops_is_that_of_its_default_backend() -> None:
    assert find("ptflops").name == "ptflops-pytorch"
