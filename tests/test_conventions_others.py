"""Counting conventions of more tools: the figures that people see, and single layers by hand.

The figures were printed by the tools for torchvision's or Keras' networks, or stand in their own tables;
none is computed here. `test_real_tools.py` asks the tools themselves, where they are installed.
"""

from __future__ import annotations

from typing import Any

import pytest
from samples import make

import archcalc
from archcalc import NetworkBuilder, Profile
from archcalc.conventions import find
from archcalc.layers import KINDS, Layer

OURS = (
    "calflops calflops-flops torchstat torchstat-madd torchstat-memory torchscan torchscan-flops onnx-tool "
    "onnx-tool-unfolded torchsummary netscope convnet-burden convnet-burden-memory keras slides-memory"
).split()


def profile_of(spec: str, convention: str) -> Profile:
    return archcalc.analyze(archcalc.load(spec), convention=convention)


def count(spec: str, convention: str) -> int:
    return profile_of(spec, convention).count


def count_alone(convention: str, layer: Layer, *shapes: tuple[int, ...]) -> int:
    """What a convention counts of a layer by itself."""
    build = NetworkBuilder("alone")
    inputs = [build.input(shape, f"input{index}") for index, shape in enumerate(shapes)]
    node = build.add(layer, *inputs)
    network = build.finish(build.add(make("relu"), node))  # a softmax at the end would be left out
    profile = archcalc.analyze(network, convention=convention)
    return sum(entry.count for entry in profile if entry.node is node)


# --- Whole networks ---------------------------------------------------------------------------------

PRINTED = {
    # conv 4,087,136,256 + fc 2,048,000; of batch norms 11,113,984 values, of ReLUs 9,608,704 values;
    # 802,816 go into the max pool, 100,352 into the average pool; sums of 5,519,360 values
    "resnet50_v1_5": {
        "calflops": 4_089_184_256,
        "calflops-flops": 8_211_108_352,
        "torchscan": 4_111_916_032,
        "torchscan-flops": 8_221_876_096,
        "torchstat": 4_118_537_216,
        "torchstat-madd": 8_219_637_272,
        "onnx-tool": 4_117_342_184,
        "onnx-tool-unfolded": 4_450_761_704,
        "torchsummary": 300_478_272,
        "torchstat-memory": 115_015_584,
    },
    # with torchvision's adaptive pool of 7x7 to 7x7, 25,088 values
    "vgg16_torchvision": {
        "calflops": 15_470_264_320,
        "calflops-flops": 30_973_778_432,
        "torchscan": 15_471_844_864,
        "torchscan-flops": 30_955_673_088,
        "torchstat": 15_503_489_024,
        "torchstat-madd": 30_958_666_264,
        "onnx-tool": 15_503_523_304,
        "torchsummary": 229_408_576,
        "torchstat-memory": 114_704_288,
    },
    "alexnet_owt": {
        "calflops": 714_188_480,
        "calflops-flops": 1_429_741_184,
        "torchscan": 714_383_552,
        "torchstat": 715_543_488,
        "onnx-tool": 715_979_944,
        "torchsummary": 8_785_728,
        "torchstat-memory": 4_392_864,
    },
    # 27 batch norms and ReLUs of 5,042,688 values; 50,176 go into the pool, 1,024 come out
    "mobilenet_v1": {
        "calflops": 568_740_352,
        "torchscan": 578_876_928,
        "onnx-tool": 578_881_000,
        "onnx-tool-unfolded": 568_740_352 + 1_000 + 32 * 5_042_688 + 50_176 + 4 * 1_024,  # "730.16"
        "torchstat": 568_740_352 + 3 * 5_042_688,  # "583.87"
    },
    "mobilenet_v2": {
        "calflops": 300_774_272,
        "torchstat": 320_236_288,
        "onnx-tool": 319_949_192,
        "onnx-tool-unfolded": 520_292_552,
    },
    "densenet121": {
        "calflops": 2_834_161_664,
        "onnx-tool": 3_184_545_768,  # folded only where a convolution stands before it
        "onnx-tool-unfolded": 3_338_084_328,
    },
    "googlenet_torchvision": {
        "calflops": 1_498_376_192,
        "torchscan": 1_507_673_888,
        "onnx-tool": 1_517_437_192,
        # its ReLUs are functions, which are not rows, in units that are modules and rows of the same size
        "torchsummary": 98_676_672,
    },
    "swin_t": {"calflops": 4_490_566_656, "calflops-flops": 9_008_009_616},
    "maxvit_t": {
        "calflops": 5_381_025_792,
        "calflops-flops": 11_192_032_800,
        "torchscan": 5_414_278_656,
        "torchscan-flops": 10_840_279_754,
        "onnx-tool": 6_458_494_085 - 8 * 22,  # products of sizes, 8 for each attention
        "onnx-tool-unfolded": 6_834_814_085 - 8 * 22,
    },
    "deit_tiny": {
        "torchscan": 1_074_851_328,
        "torchscan-flops": 2_157_277_306,
        "onnx-tool": 1_378_448_375 - 6,  # the class token takes the batch's size
    },
    "squeezenet1_0_torchvision": {
        "calflops": 818_924_576,
        "torchscan": 820_200_752,
        "torchstat": 829_877_392,
        "onnx-tool": 832_767_864,
        "torchsummary": 96_259_008,
    },
}


@pytest.mark.parametrize(
    ("spec", "convention", "figure"),
    [(spec, convention, figure) for spec, row in PRINTED.items() for convention, figure in row.items()],
)
def test_what_tools_print(spec: str, convention: str, figure: int) -> None:
    assert count(spec, convention) == figure


def test_the_figure_of_onnx_tool_for_vgg16_without_torchvisions_pool() -> None:
    """15,503,498,216 is often quoted; PyTorch's export of torchvision's has 25,088 windows of 1x1 more."""
    assert count("vgg16", "onnx-tool") == 15_503_498_216
    assert count_alone("onnx-tool", make("adaptive_avgpool", 7), (512, 7, 7)) == 25_088


@pytest.mark.parametrize(
    ("spec", "convention", "printed"),
    [
        ("vgg16_torchvision", "torchsummary", "218.78"),
        ("vgg16_torchvision", "torchstat-memory", "109.39"),
        ("vgg16", "convnet-burden-memory", "58"),
        ("resnet50_v1_5", "torchsummary", "286.56"),
        ("resnet50_v1_5", "torchstat-memory", "109.69"),
        ("resnet50", "convnet-burden-memory", "103"),
    ],
)
def test_megabytes(spec: str, convention: str, printed: str) -> None:
    """As printed."""
    size = count(spec, convention) / find(convention).megabyte
    assert f"{size:.{len(printed.partition('.')[2])}f}" == printed


def test_the_rows_of_the_slides() -> None:
    """CS231n's VGG-16 table: its rows, not the total printed beneath them."""
    rows = [150_528, *[3_211_264] * 2, 802_816, *[1_605_632] * 2, 401_408, *[802_816] * 3, 200_704]
    rows += [*[401_408] * 3, 100_352, *[100_352] * 3, 25_088, 4_096, 4_096, 1_000]
    assert sum(rows) == 15_237_608
    assert count("vgg16", "slides-memory") == 4 * 15_237_608
    assert profile_of("vgg16", "slides-memory").totals.activations_in_place == 15_237_608


@pytest.mark.parametrize("spec", ["mobilenet_v1", "resnet50", "densenet121", "lenet5"])
def test_slides_count_the_activations_in_place(spec: str) -> None:
    profile = profile_of(spec, "slides-memory")
    assert profile.count == 4 * profile.totals.activations_in_place


# The table of convnet-burden's README, features in MiB and operations, as far as the networks are the
# same. MobileNet v2 is not: 69 MB and 446 M are twice what its paper's network has.
BURDENS = """
    vgg16 58 16G   vgg19 63 20G   googlenet 26 2G   inception_v3 89 6G
    resnet18 23 2G   resnet34 35 4G   resnet50 103 4G   resnet101 155 8G   resnet152 219 11G
    resnext50_32x4d 132 4G   resnext101_32x4d 197 8G   resnext101_64x4d 273 16G
    se_resnet50 103 4G   se_resnet101 155 8G   se_resnet152 220 11G   senet154 347 21G
    se_resnext50_32x4d 132 4G   se_resnext101_32x4d 197 8G
    densenet121 126 3G   densenet161 235 8G   densenet169 152 3G   densenet201 196 4G
    mobilenet_v1 38 579M   squeezenet1_0_torchvision 30 837M   squeezenet1_1_torchvision 17 360M
""".split()


@pytest.mark.parametrize(
    ("spec", "memory", "operations"), list(zip(BURDENS[::3], BURDENS[1::3], BURDENS[2::3], strict=True))
)
def test_the_table_of_convnet_burden(spec: str, memory: str, operations: str) -> None:
    unit = {"M": 10**6, "G": 10**9}[operations[-1]]
    assert f"{count(spec, 'convnet-burden') / unit:.0f}{operations[-1]}" == operations
    assert f"{count(spec, 'convnet-burden-memory') / 2**20:.0f}" == memory


def test_alexnet_of_convnet_burden_has_no_local_response_norms() -> None:
    flops, memory = (profile_of("alexnet", f"convnet-burden{what}") for what in ("", "-memory"))
    norms = [sum(entry.count for entry in profile if entry.kind == "lrn") for profile in (flops, memory)]
    assert f"{(flops.count - norms[0]) / 10**6:.0f}" == "727"
    assert f"{(memory.count - norms[1]) / 2**20:.0f}" == "3"


def test_mobilenet_of_convnet_burden_is_not_fvcores() -> None:
    """Both are 579 M: ReLUs at 2 with norms at 0, and norms at 2 with ReLUs at 0. What remains is the bias
    of the fully connected layer, which fvcore leaves out."""
    assert count("mobilenet_v1", "convnet-burden") == 578_875_904 + 1_000


def test_netscope() -> None:
    """15.47 G and 3.87 G; AlexNet's local response norms have multiply-adds too."""
    assert count("vgg16", "netscope") == 15_470_264_320
    assert count("resnet50", "netscope") == 3_857_973_248 + 10_587_136
    assert count("alexnet", "netscope") == 724_406_816 + 5 * (96 * 55 * 55 + 256 * 27 * 27)


@pytest.mark.parametrize(
    ("spec", "figure"),
    [
        ("resnet50_keras", 25_636_712),
        ("resnet152_v2_keras", 60_380_648),
        ("vgg16", 138_357_544),
        ("mobilenet_v1", 4_253_864),
        ("mobilenet_v2", 3_538_984),
        ("mobilenet_v3_small", 2_554_968),
        ("mobilenet_v3_large", 5_507_432),
        ("densenet121", 8_062_504),
        ("densenet169", 14_307_880),
        ("convnext_tiny", 28_589_128),
        ("efficientnet_b0", 5_330_571 - 7),  # Keras normalises the image in the model: 3 + 3 + 1
        ("inception_v3", 23_851_784 + 17_216),  # Keras' batch norms have no scale
        ("resnet101", 44_707_176 - 52_672),  # Keras' convolutions have biases
    ],
)
def test_keras_applications(spec: str, figure: int) -> None:
    assert count(spec, "keras") == figure


# --- Single layers ----------------------------------------------------------------------------------

IMAGE = (3, 20, 26)
"""1,560 values, on 520 places."""

ALONE: list[tuple[Layer, tuple[int, ...], dict[str, int]]] = [
    (  # 6 maps of 21x12: 1,512 values, each of 4*5 weights
        make("conv", 6, (4, 5), (1, 2), (2, 1), groups=3),
        IMAGE,
        {
            "calflops": 30_240,
            "calflops-flops": 2 * 30_240 + 1_512,
            "torchstat": 30_240 + 1_512,
            "torchstat-madd": (20 + 19 + 1) * 1_512,
            "torchscan": 30_240,
            "torchscan-flops": (20 + 19 + 1) * 1_512,
            "onnx-tool": 30_240 + 1_512,
            "netscope": 30_240,
            "convnet-burden": 30_240 + 1_512,
            "torchstat-memory": 4 * 1_512,
            "torchsummary": 8 * 1_512,
            "convnet-burden-memory": 4 * 1_512,
            "slides-memory": 4 * 1_512,
            "keras": 6 * 20 + 6,
        },
    ),
    (  # 8 maps of 15x10: 1,200 values, each of 4*5*3 weights
        make("conv", 8, (4, 5), (1, 2), (2, 1), (3, 2), bias=False),
        IMAGE,
        {
            "calflops-flops": 2 * 72_000,
            "torchstat": 72_000,
            "torchstat-madd": (60 + 59) * 1_200,
            "torchscan-flops": (60 + 59) * 1_200,
            "onnx-tool": 72_000,
            "convnet-burden": 72_000,
        },
    ),
    (  # 6 maps of 17x11, no layer of torchstat's: over one axis
        make("depthwise", 5, 2, multiplier=2, bias=False),
        (3, 26),
        {"calflops": 330, "torchstat": 0, "torchstat-madd": 0, "torchscan": 330, "onnx-tool": 330},
    ),
    (
        make("fc", 10),
        (84,),
        {
            "calflops": 840,
            "calflops-flops": 1_680,  # without the bias
            "torchstat": 840,
            "torchstat-madd": 10 * (84 + 83),
            "torchscan-flops": 10 * (84 + 83 + 1),
            "onnx-tool": 850,
            "netscope": 840,
            "convnet-burden": 850,
            "keras": 850,
        },
    ),
    (
        make("bn"),
        IMAGE,
        {
            "calflops": 0,
            "calflops-flops": 2 * 1_560,
            "torchstat": 2 * 1_560,
            "torchstat-madd": 4 * 1_560,
            "torchscan": 2 * 1_560,
            "torchscan-flops": 4 * 1_560 + 2 * 3,
            "onnx-tool": 31 * 1_560,  # not behind a convolution
            "onnx-tool-unfolded": 31 * 1_560,
            "netscope": 1_560,
            "convnet-burden": 0,
            "slides-memory": 0,
            "keras": 12,
        },
    ),
    (
        make("bn", affine=False),
        IMAGE,
        {
            "calflops-flops": 1_560,
            "torchstat": 1_560,
            "torchscan": 1_560,
            "torchscan-flops": 2 * 1_560 + 2 * 3,
            "netscope": 0,
            "keras": 6,
        },
    ),
    (make("layer_norm"), IMAGE, {"calflops-flops": 5 * 1_560, "torchscan-flops": 8 * 1_560 + 2}),
    (
        make("layer_norm", "channels", bias=False),
        IMAGE,
        {"torchscan-flops": 7 * 1_560 + 2 * 520, "onnx-tool": 7 * 1_560 + 29 * 520},
    ),
    (make("group_norm", 3, affine=False), IMAGE, {"calflops-flops": 4 * 1_560, "onnx-tool": 9 * 1_560}),
    (  # 896 values; squares of 16 + 4 maps
        make("lrn", 5),
        (16, 7, 8),
        {
            "calflops-flops": 3 * 896 + 20 * 56,
            "onnx-tool": (4 + 32 + 1 + 5) * 896,
            "netscope": 5 * 896,
            "convnet-burden": 896 + (1 + 1 + 2 * 16) * 56,
        },
    ),
    (  # 324 values
        make("maxpool", 3, 2),
        IMAGE,
        {
            "calflops-flops": 1_560,
            "torchstat": 1_560,
            "torchstat-madd": 8 * 324,
            "torchscan": 2 * 324,  # 3 - 1, not 9 - 1
            "onnx-tool": 9 * 324,
            "netscope": 0,
            "convnet-burden": 2 * 4 * 324,
        },
    ),
    (make("maxpool", (3, 3), 2), IMAGE, {"torchscan": 8 * 324, "torchscan-flops": 8 * 324}),
    (  # 9 rows and 13 columns, with one place of padding at the end of both
        make("maxpool", (3, 2), (2, 2), "same"),
        (3, 20, 25),
        {"calflops-flops": 3 * 21 * 26, "torchstat": 3 * 21 * 26, "onnx-tool": 6 * 3 * 10 * 13},
    ),
    (  # 561 values
        make("avgpool", (4, 5), (1, 2)),
        IMAGE,
        {
            "calflops-flops": 1_560,
            "torchstat-madd": 20 * 561,
            "torchscan": (20 - 1 + 2) * 561,
            "onnx-tool": 20 * 561,
            "convnet-burden": 2 * 2 * 561,
        },
    ),
    (
        make("global_avgpool"),
        IMAGE,
        {
            "calflops-flops": 1_560,
            "torchstat": 0,
            "torchscan": 3 * (520 - 1 + 2),
            "onnx-tool": 1_560 + 4 * 3,
            "convnet-burden": 1_560,
            "torchsummary": 8 * 3,
        },
    ),
    # 20 rows to 3: a remainder of 2, and 1; 26 columns to 13
    (make("adaptive_avgpool", (3, 13)), IMAGE, {"torchscan": (3 * 2 - 1 + 2) * 117}),
    (
        make("relu"),
        IMAGE,
        {
            "calflops-flops": 1_560,
            "torchstat": 1_560,
            "torchscan": 0,
            "torchscan-flops": 1_560,
            "onnx-tool": 1_560,
            "convnet-burden": 2 * 1_560,
            "convnet-burden-memory": 0,
            "torchsummary": 8 * 1_560,
        },
    ),
    (make("relu6"), IMAGE, {"calflops-flops": 0, "torchstat": 1_560, "torchscan-flops": 2 * 1_560}),
    (make("tanh"), IMAGE, {"torchscan-flops": 6 * 1_560, "onnx-tool": 2 * 38 * 1_560}),
    (make("silu"), IMAGE, {"calflops-flops": 1_560, "onnx-tool": (32 + 1) * 1_560}),
    (
        make("softmax"),
        (10,),
        {"calflops-flops": 10, "torchstat-madd": 29, "onnx-tool": 360, "convnet-burden": 0},
    ),
    (make("dropout"), IMAGE, {"torchscan-flops": 1_560, "convnet-burden-memory": 8 * 1_560, "keras": 0}),
    (
        make("upsample", scale_factor=2, mode="bilinear"),
        IMAGE,
        {
            "calflops-flops": 1_560,
            "torchstat": 40 * 52,
            "onnx-tool": 4 * 4 * 1_560,
            "convnet-burden": 4 * 4 * 1_560,
        },
    ),
    (make("upsample", size=9), IMAGE, {"calflops-flops": 9, "onnx-tool": 0, "torchstat": 81}),
    (make("layer_scale"), IMAGE, {"onnx-tool": 1_560, "netscope": 1_560, "convnet-burden": 1_560}),
    (  # the multiply-adds are 401,408, one for each weight and place that comes in
        make("conv_transpose", 32, 4, 2, 1, bias=False),
        (16, 7, 7),
        {
            "calflops": 401_408,
            "torchstat": 0,
            "torchstat-madd": 2 * 401_408 - 32 * 49,
            "torchscan": 1_605_632 + 4 * 2,
            "torchscan-flops": 2 * 1_605_632 - 32 * 196 + 8 * 2,
            "onnx-tool": 3_211_264,
            "netscope": 401_408,
            "convnet-burden": 200_704,
        },
    ),
    (
        make("conv_transpose", 32, 4, 2, 1, groups=4, bias=False),
        (16, 7, 7),
        {"calflops": 25_088, "onnx-tool": 802_816, "torchscan": 401_408 + 8, "netscope": 401_408},
    ),
    (
        make("conv_transpose", 16, 4, 2, 1, groups=16),
        (16, 7, 7),
        {"calflops": 0, "calflops-flops": 9},  # 3x3 places of a convolution, one map
    ),
]


@pytest.mark.parametrize(("layer", "shape", "counts"), ALONE, ids=[str(layer) for layer, _, _ in ALONE])
def test_single_layers(layer: Layer, shape: tuple[int, ...], counts: dict[str, int]) -> None:
    assert {convention: count_alone(convention, layer, shape) for convention in counts} == counts


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        ("add", {"calflops-flops": 0, "torchstat": 0, "onnx-tool": 2 * 1_560, "convnet-burden": 1_560}),
        ("mul", {"torchscan": 0, "onnx-tool": 2 * 1_560, "netscope": 0, "convnet-burden": 1_560}),
        ("concat", {"onnx-tool": 0, "torchsummary": 0, "convnet-burden-memory": 4 * 3 * 1_560}),
    ],
)
def test_joins_of_three(kind: str, counts: dict[str, int]) -> None:
    assert {c: count_alone(c, make(kind), IMAGE, IMAGE, IMAGE) for c in counts} == counts


def test_the_product_of_netscope_is_caffes_scale() -> None:
    assert count_alone("netscope", make("mul"), IMAGE, (3, 1, 1)) == 1_560


def test_the_multiply_adds_that_netscopes_author_explains() -> None:
    """github.com/dgschwend/netscope/issues/10: 64 filters of 3x3x3 on an image of 300x300."""
    assert count_alone("netscope", make("conv", 64, 3, padding=1), (3, 300, 300)) == 155_520_000


# --- What a rule for a layer alone does not say -----------------------------------------------------


def test_batch_norms_fold_into_the_convolution_before_them() -> None:
    """One becomes the convolution's bias, a second one nothing; behind a ReLU it stays."""
    network = archcalc.loads(
        "net n {\n input(3x20x26)\n conv(6, 3, bias=false) -> bn -> bn -> relu -> bn -> conv(4, 1) -> bn\n}"
    )
    profile = archcalc.analyze(network, convention="onnx-tool")
    values = 6 * 18 * 24
    found = [entry.count for entry in profile if entry.kind == "bn"]
    assert found == [values, 0, 31 * values, 0]


def test_torchstat_loses_all_but_the_last_call_of_a_blocks_relu() -> None:
    profile = profile_of("resnet50_v1_5", "torchstat")
    relus = {entry.name: entry.count for entry in profile if entry.kind == "relu"}
    assert relus["conv1/relu1"] == 802_816
    assert {n for name, n in relus.items() if "cbr" in name} == {0}
    assert sum(relus.values()) == 802_816 + 5_519_360
    assert "relu" in find("torchstat").bugs[0].kinds
    # separate modules, in blocks that add or not, keep what they count
    for spec in ("vgg16", "mobilenet_v1", "mobilenet_v2", "densenet121", "mobilenet_v3_small"):
        profile = profile_of(spec, "torchstat")
        modules = [entry for entry in profile if entry.node.index not in profile.network.written]
        assert all(entry.count for entry in modules if entry.kind == "relu")


def test_torchsummary_lists_blocks_that_join() -> None:
    profile = profile_of("resnet50_v1_5", "torchsummary")
    assert profile.counter is not None
    parts = profile.counter.parts([entry.node for entry in profile])
    assert [(part.times, part.value) for part in parts if part.layers == "blocks"] == [(2, 2 * 5_519_360)]
    # torchvision's InvertedResidual is one class, whether it adds or not: 17 rows
    assert count("mobilenet_v2", "torchsummary") == 160_292_928


@pytest.mark.parametrize(
    ("spec", "convention", "kinds"),
    [
        ("mobilenet_v2", "calflops-flops", {"relu6": 35, "add": 10}),
        ("resnet50", "torchstat", {"add": 16, "global_avgpool": 1}),
        ("resnet50", "torchscan", {"add": 16}),
        ("efficientnet_b0", "torchscan", {"silu": 49, "mul": 16, "add": 9}),
        ("resnet50", "onnx-tool", {}),
        ("resnet50", "netscope", {}),
        ("senet154", "convnet-burden", {}),
        ("resnet50", "torchsummary", {"add": 16}),
        ("vgg16", "slides-memory", {}),
        ("convnext_tiny", "keras", {}),
    ],
)
def test_what_is_not_counted(spec: str, convention: str, kinds: dict[str, int]) -> None:
    profile = profile_of(spec, convention)
    assert profile.counter is not None
    assert profile.counter.not_counted([entry.node for entry in profile]) == kinds


@pytest.mark.parametrize("name", OURS)
def test_each_says_what_it_is(name: str) -> None:
    convention = find(name)
    assert convention.name == name
    assert convention.version or name == "slides-memory"
    assert convention.source.startswith("https://") or name == "slides-memory"
    assert set(convention.rules) <= {*KINDS, "input"}
    assert (convention.unit == "bytes") == (convention.value_bytes is not None)
    for bug in convention.bugs:
        assert bug.address.startswith("https://github.com/")
        assert set(bug.kinds) <= set(KINDS)


def test_bytes_take_no_notice_of_the_dtype() -> None:
    network: Any = archcalc.load("vgg16")
    for convention in ("torchsummary", "torchstat-memory", "convnet-burden-memory", "slides-memory"):
        single = archcalc.analyze(network, convention=convention).count
        assert archcalc.analyze(network, convention=convention, dtype="float16").count == single
        assert archcalc.analyze(network, convention=convention, batch=3).count == 3 * single
