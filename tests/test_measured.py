"""Every rule of every convention of a tool against what the tool itself prints of single layers."""

from __future__ import annotations

from collections.abc import Callable

import measured
import pytest
from samples import make

import archcalc
from archcalc import NetworkBuilder
from archcalc.conventions import conventions
from archcalc.conventions.measures import CONVOLUTIONS, FREE
from archcalc.layers import KINDS, Layer
from archcalc.layers.pool import Pooled
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
    "torchstat-memory": {"maxunpool", "deform_conv"},  # it takes one input
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


UNKNOWN = {
    "slides-memory": """
        scale shift concat add mul sub div stack matmul attention deform_conv embedding lstm gru
        rnn reduce roll pixel_shuffle pixel_unshuffle unfold upsample pad crop slice exp log
        sqrt rsqrt square sin cos erf pow clamp
    """,
    "netscope": """
        selu gelu silu hardswish hardsigmoid sigmoid tanh abs softplus mish hardtanh logsigmoid
        softsign scale shift div stack matmul attention local deform_conv rbf layer_norm
        group_norm instance_norm grn lppool subsample adaptive_avgpool adaptive_maxpool
        maxunpool embedding lstm gru rnn reduce roll pixel_shuffle pixel_unshuffle unfold
        upsample pad log_softmax glu exp log sqrt rsqrt square sin cos erf pow clamp
    """,
    "convnet-burden convnet-burden-memory": """
        prelu elu selu gelu silu hardswish hardsigmoid tanh abs softplus mish hardtanh
        logsigmoid softsign scale shift div stack matmul attention local deform_conv rbf
        layer_norm group_norm instance_norm grn lppool subsample global_maxpool adaptive_avgpool
        adaptive_maxpool maxunpool embedding lstm gru rnn reduce roll pixel_shuffle
        pixel_unshuffle unfold pad slice log_softmax glu exp log sqrt rsqrt square sin cos erf
        pow clamp
    """,
    "calflops calflops-flops calflops-training calflops-flops-training": """
        relu6 selu hardswish hardsigmoid sigmoid tanh abs softplus mish hardtanh logsigmoid
        softsign scale shift add mul sub div matmul local deform_conv rbf grn layer_scale
        subsample maxunpool reduce roll pixel_shuffle pixel_unshuffle unfold log_softmax glu exp
        log sqrt rsqrt square sin cos erf pow clamp
    """,
    "fvcore": """
        relu6 leaky_relu prelu elu selu gelu silu hardswish hardsigmoid sigmoid tanh abs
        softplus mish hardtanh logsigmoid softsign scale shift add mul sub div local deform_conv
        rbf lrn grn layer_scale maxpool avgpool lppool subsample global_maxpool adaptive_maxpool
        maxunpool lstm gru rnn reduce roll pixel_shuffle pixel_unshuffle unfold pad softmax
        log_softmax glu exp log sqrt rsqrt square sin cos erf pow clamp
    """,
    "fvcore-activations": """
        relu relu6 leaky_relu prelu elu selu gelu silu hardswish hardsigmoid sigmoid tanh abs
        softplus mish hardtanh logsigmoid softsign scale shift concat add mul sub div stack
        local deform_conv rbf bn lrn layer_norm group_norm instance_norm grn layer_scale maxpool
        avgpool lppool subsample global_avgpool global_maxpool adaptive_avgpool adaptive_maxpool
        maxunpool embedding lstm gru rnn reduce roll pixel_shuffle pixel_unshuffle unfold
        upsample pad crop slice softmax log_softmax glu exp log sqrt rsqrt square sin cos erf
        pow clamp
    """,
    "ptflops-aten": """
        relu relu6 leaky_relu prelu elu selu gelu silu hardswish hardsigmoid sigmoid tanh abs
        softplus mish hardtanh logsigmoid softsign scale shift concat add mul sub div stack
        local deform_conv rbf bn lrn layer_norm group_norm instance_norm grn layer_scale maxpool
        avgpool lppool subsample global_avgpool global_maxpool adaptive_avgpool adaptive_maxpool
        maxunpool embedding lstm reduce roll pixel_shuffle pixel_unshuffle unfold upsample pad
        crop slice softmax log_softmax glu exp log sqrt rsqrt square sin cos erf pow clamp
    """,
    "torchvision torch-flop-counter torch-flop-counter-training": """
        relu relu6 leaky_relu prelu elu selu gelu silu hardswish hardsigmoid sigmoid tanh abs
        softplus mish hardtanh logsigmoid softsign scale shift concat add mul sub div stack
        local deform_conv rbf bn lrn layer_norm group_norm instance_norm grn layer_scale maxpool
        avgpool lppool subsample global_avgpool global_maxpool adaptive_avgpool adaptive_maxpool
        maxunpool embedding reduce roll pixel_shuffle pixel_unshuffle unfold upsample pad crop
        slice softmax log_softmax glu exp log sqrt rsqrt square sin cos erf pow clamp
    """,
    "onnx-tool onnx-tool-unfolded": """
        selu local deform_conv rbf subsample maxunpool rnn
    """,
    "ptflops-pytorch": """
        selu hardswish hardsigmoid sigmoid tanh abs softplus mish hardtanh logsigmoid softsign
        scale shift concat add mul sub div stack matmul local rbf grn layer_scale subsample
        maxunpool embedding reduce roll pixel_shuffle pixel_unshuffle unfold pad crop slice
        log_softmax glu exp log sqrt rsqrt square sin cos erf pow clamp
    """,
    "torchinfo torchinfo-memory": """
        abs scale shift concat add mul sub div stack matmul local rbf grn layer_scale subsample
        reduce roll pad crop slice exp log sqrt rsqrt square sin cos erf pow clamp
    """,
    "torchsummary torchstat-memory": """
        abs parameter scale shift concat add mul sub div stack matmul attention local rbf grn
        layer_scale subsample lstm gru rnn reduce permute channel_shuffle transpose roll pad
        crop slice exp log sqrt rsqrt square sin cos erf pow clamp
    """,
    "thop": """
        elu selu gelu silu hardswish hardsigmoid sigmoid tanh abs softplus mish hardtanh
        logsigmoid softsign scale shift concat add mul sub div stack matmul attention local
        deform_conv rbf lrn group_norm grn layer_scale lppool subsample maxunpool embedding
        reduce roll pixel_unshuffle unfold pad crop slice log_softmax glu exp log sqrt rsqrt
        square sin cos erf pow clamp
    """,
    "thop-2019": """
        prelu elu selu gelu silu hardswish hardsigmoid sigmoid tanh abs softplus mish hardtanh
        logsigmoid softsign scale shift concat add mul sub div stack matmul attention local
        deform_conv rbf lrn layer_norm group_norm instance_norm grn layer_scale lppool subsample
        maxunpool embedding lstm gru rnn reduce roll pixel_shuffle pixel_unshuffle unfold pad
        crop slice softmax log_softmax glu exp log sqrt rsqrt square sin cos erf pow clamp
    """,
    "torchprofile": """
        prelu elu selu hardswish hardsigmoid softplus mish logsigmoid local deform_conv rbf
        subsample gru rnn roll pixel_shuffle pixel_unshuffle unfold pad glu exp log square erf
    """,
    "torchscan": """
        prelu selu gelu silu hardswish hardsigmoid abs softplus mish hardtanh logsigmoid
        softsign scale shift add mul sub div stack matmul attention local deform_conv rbf lrn
        layer_norm group_norm instance_norm grn layer_scale lppool subsample maxunpool embedding
        lstm gru rnn reduce roll pixel_shuffle pixel_unshuffle unfold upsample softmax
        log_softmax glu exp log sqrt rsqrt square sin cos erf pow clamp
    """,
    "torchscan-flops": """
        prelu selu gelu silu hardswish hardsigmoid abs softplus mish hardtanh logsigmoid
        softsign scale shift add mul sub div stack matmul local deform_conv rbf lrn group_norm
        instance_norm grn layer_scale lppool subsample maxunpool embedding lstm gru rnn reduce
        roll pixel_shuffle pixel_unshuffle unfold upsample softmax log_softmax glu exp log sqrt
        rsqrt square sin cos erf pow clamp
    """,
    "torchstat": """
        selu gelu silu hardswish hardsigmoid sigmoid tanh abs softplus mish hardtanh logsigmoid
        softsign scale shift add mul sub div stack matmul attention local conv_transpose
        deform_conv rbf lrn layer_norm group_norm instance_norm grn layer_scale lppool subsample
        global_avgpool global_maxpool adaptive_avgpool adaptive_maxpool maxunpool embedding lstm
        gru rnn reduce roll pixel_shuffle pixel_unshuffle unfold softmax log_softmax glu exp log
        sqrt rsqrt square sin cos erf pow clamp
    """,
    "torchstat-madd": """
        leaky_relu prelu elu selu gelu silu hardswish hardsigmoid sigmoid tanh abs softplus mish
        hardtanh logsigmoid softsign scale shift add mul sub div stack matmul attention local
        deform_conv rbf lrn layer_norm group_norm instance_norm grn layer_scale lppool subsample
        global_avgpool global_maxpool adaptive_avgpool adaptive_maxpool maxunpool embedding lstm
        gru rnn reduce roll pixel_shuffle pixel_unshuffle unfold upsample log_softmax glu exp
        log sqrt rsqrt square sin cos erf pow clamp
    """,
}
"""By convention, the kinds without a rule. No figure tells these from kinds whose rule is 0, so this copies
the tables, to notice a lost entry; the entry for thop was compared with its `register_hooks`."""


@pytest.mark.parametrize(("names", "kinds"), UNKNOWN.items())
def test_what_a_tool_does_not_know_has_no_rule(names: str, kinds: str) -> None:
    """`opaque` stands for what archcalc does not know, so no tool has a rule for it."""
    for name in names.split():
        expected = {"opaque", *kinds.split()}
        assert KINDS.keys() - conventions()[name].rules.keys() == expected


def test_other_conventions_have_a_rule_for_every_kind() -> None:
    others = conventions().keys() - set(" ".join(UNKNOWN).split())
    assert others == {"macs", "flops", "paper", "paper-conv", "params", "weights", "activations", "keras"}
    assert all(conventions()[name].rules.keys() == KINDS.keys() for name in others)


# --- Tools that are not measured, by hand -----------------------------------------------------------

CAFFE = [
    # 16x7x7 to 6x16x23, a kernel of 4x5 and strides of 2x3
    (
        make("conv_transpose", 6, (4, 5), (2, 3)),
        (16, 7, 7),
        {
            "netscope": 6 * 16 * 23 * 16 * 4 * 5 // 6,  # what comes out, channels in, kernel over strides
            "convnet-burden": 16 * 7 * 7 * 20 * 16
            + 6 * 16 * 23,  # what comes in, kernel, channels in; biases
            "convnet-burden-memory": 4 * 6 * 16 * 23,
        },
    ),
    (
        make("maxpool", (3, 2), (2, 3)),
        (3, 20, 26),
        {"netscope": 0, "convnet-burden": 2 * 6 * 3 * 9 * 9, "convnet-burden-memory": 4 * 3 * 9 * 9},
    ),
    (make("avgpool", (3, 2), (2, 3)), (3, 20, 26), {"netscope": 0, "convnet-burden": 2 * 6 * 3 * 9 * 9}),
    (make("relu"), (3, 20, 26), {"convnet-burden": 2 * 1560, "convnet-burden-memory": 0}),
    (make("leaky_relu"), (3, 20, 26), {"convnet-burden": 2 * 1560, "convnet-burden-memory": 0}),
    (make("flatten"), (3, 20, 26), {"convnet-burden": 0, "convnet-burden-memory": 0}),
    (make("upsample", scale_factor=2), (3, 20, 26), {"convnet-burden-memory": 4 * 4 * 1560}),
    (make("sigmoid"), (3, 20, 26), {"convnet-burden": 0, "convnet-burden-memory": 4 * 1560}),
]


@pytest.mark.parametrize(("layer", "shape", "counts"), CAFFE, ids=lambda value: str(value)[:40])
def test_caffe_and_matconvnet_by_hand(layer: Layer, shape: tuple[int, ...], counts: dict[str, int]) -> None:
    build = NetworkBuilder("alone")
    network = build.finish(build.add(make("bn", affine=False), build.add(layer, build.input(shape))))
    for name, count in counts.items():
        profile = archcalc.analyze(network, convention=name)
        assert profile[0].count == count


def test_pools_undone_have_an_output_like_every_module() -> None:
    """Zeiler's unpooling is a module; two pools of 2x2 on 2x6x8, and back."""
    build = NetworkBuilder("unpooled")
    start = build.input((2, 6, 8))
    pool = build.add(make("maxpool", 2), start)
    unpooled = build.add(make("maxunpool", Pooled((2, 6, 8), pool.facts.windows)), pool, pool)
    network = build.finish(unpooled)
    values = 2 * 3 * 4 + 2 * 6 * 8
    assert archcalc.analyze(network, convention="torchstat-memory").count == 4 * values
    assert archcalc.analyze(network, convention="torchsummary").count == 2 * 4 * values


@pytest.mark.parametrize("name", MEASURED)
def test_models_in_pytorch_end_before_their_softmax(name: str) -> None:
    """It belongs to the loss (`torch.nn.CrossEntropyLoss`), so it is not counted, nor reported as missing."""
    with_it = archcalc.loads("net n { input(7)\n fc(5) -> softmax }")
    without = archcalc.loads("net n { input(7)\n fc(5) }")
    profile = archcalc.analyze(with_it, convention=name)
    assert profile.count == archcalc.analyze(without, convention=name).count
    assert profile.counter is not None
    assert profile.counter.not_counted(with_it.layers) == {}


# --- What no single layer shows ---------------------------------------------------------------------


def test_archcalcs_own_conventions_count_its_totals() -> None:
    """Every kind of layer: what `--convention macs` counts is what a report has as multiply-adds."""
    for name, network in measured.layers():
        plain = archcalc.analyze(network).totals
        assert archcalc.analyze(network, convention="macs").count == plain.macs, name
        assert archcalc.analyze(network, convention="flops").count == plain.flops, name


HEAD = "net head {{\n  input(3x9x7)\n  conv(4, 4x5) -> relu -> flatten -> fc(6){end}\n}}"


@pytest.mark.parametrize("name", MEASURED)
def test_tools_of_pytorch_get_models_without_their_last_softmax(name: str) -> None:
    """torchvision's models end in logits, so a tool never sees the softmax that papers draw."""
    drawn, published = (archcalc.loads(HEAD.format(end=end)) for end in (" -> softmax", ""))
    assert (
        archcalc.analyze(drawn, convention=name).count == archcalc.analyze(published, convention=name).count
    )


@pytest.mark.parametrize(
    ("text", "code", "count"),
    [
        ("fc(5)", "F.linear", 5 * 24 + 5),  # ptflops 0.7.5, pytorch_ops.py, _linear_functional_flops_hook
        ("fc(5, bias=false)", "F.linear", 5 * 24),
        ("dropout", "F.dropout", 0),  # which has no hook there
    ],
)
def test_functions_that_ptflops_counts(text: str, code: str, count: int) -> None:
    network = archcalc.loads(f"net alone {{\n  input(24)\n  {text}\n}}")
    network.written = {1: code}
    assert archcalc.analyze(network, convention="ptflops-pytorch").count == count


def test_a_deformable_convolution_has_an_output_like_every_module() -> None:
    """Two inputs, 2 channels to 4, 3x3 with padding on 6x8: 18 channels of offsets, and the output."""
    network = archcalc.loads(
        "net deformed { input(2x6x8)\n offset = conv(18, 3, padding=1)\n"
        " deform_conv(4, 3, offset, padding=1) }"
    )
    values = 18 * 6 * 8 + 4 * 6 * 8
    assert archcalc.analyze(network, convention="torchstat-memory").count == 4 * values


THOP_2019 = [
    # what `profile` of thop 0.0.31.post1912272122 gives for the modules, with PyTorch 2.14, is the same
    (make("conv", 5, (4, 5), (2, 3)), (3, 20, 26), 5 * 9 * 8 * (3 * 4 * 5 + 1)),
    (make("conv", 6, 3, groups=3, bias=False), (3, 20, 26), 6 * 18 * 24 * 9),
    (make("conv", 4, 5), (6, 31), 4 * 27 * (6 * 5 + 1)),
    (make("conv_transpose", 6, (4, 5), (2, 3)), (16, 7, 7), 6 * 16 * 23 * (16 * 4 * 5 + 1)),
    (make("conv_transpose", 6, 3, groups=2, bias=False), (4, 7, 9), 6 * 9 * 11 * (2 * 9)),
    (make("fc", 7), (31,), 7 * (31 + 31)),
    (make("fc", 7, bias=False), (31,), 7 * (31 + 30)),
    (make("bn"), (3, 20, 26), 4 * 1560),
    (make("relu"), (3, 20, 26), 0),
    (make("leaky_relu"), (3, 20, 26), 1560),
    (make("maxpool", 3), (3, 20, 26), 0),
    (make("avgpool", (3, 2), (2, 3)), (3, 20, 26), 3 * 9 * 9 * (3 * 2 + 1)),
    (make("avgpool", 3, 2), (3, 20, 26), 3 * 9 * 12 * (3 + 1)),  # the kernel is 3x3
    (make("adaptive_avgpool", (2, 3)), (3, 20, 26), 3 * 2 * 3 * (20 // 2 * (26 // 3) + 1)),
    (make("global_avgpool"), (3, 20, 26), 3 * (20 * 26 + 1)),
    (make("upsample", scale_factor=2), (3, 20, 26), 0),
    (make("upsample", scale_factor=2, mode="bilinear"), (3, 20, 26), 11 * 4 * 1560),
    (make("upsample", scale_factor=2, mode="bicubic"), (3, 20, 26), (224 + 35) * 4 * 1560),
    (make("upsample", scale_factor=2, mode="bilinear"), (3, 31), 5 * 3 * 62),
    (make("upsample", scale_factor=2, mode="bilinear"), (3, 4, 5, 6), 0),
]


@pytest.mark.parametrize(("layer", "shape", "count"), THOP_2019, ids=lambda value: str(value)[:40])
def test_thop_of_2019_by_hand(layer: Layer, shape: tuple[int, ...], count: int) -> None:
    build = NetworkBuilder("alone")
    network = build.finish(build.add(layer, build.input(shape)))
    assert archcalc.analyze(network, convention="thop-2019").count == count


def test_every_rule_of_thop_of_2019_has_a_case() -> None:
    """Or it is that of a layer which has one, or 0."""
    cases = {layer.kind for layer, _, _ in THOP_2019}
    others = {"relu6", "global_maxpool", "adaptive_maxpool", *CONVOLUTIONS, *FREE}
    assert conventions()["thop-2019"].rules.keys() == cases | others
