"""Nets written by the habits of PyTorch, Keras and Caffe: a mistake with its remedy, or a note.

The figures are those of the other tool: of `torch.nn` modules, of Keras layers, or by hand.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from archcalc import layers
from archcalc.builder import NetworkBuilder
from archcalc.catalog import shipped
from archcalc.diagnostics import ArchError, Diagnostic
from archcalc.language import foreign
from archcalc.language.values import BUILTINS
from archcalc.layers import KINDS
from archcalc.network import Network
from archcalc.notes import WORDS, note_of
from archcalc.opening import load, loads
from archcalc.profile import analyze


def net(shape: str, body: str) -> str:
    return f"net n {{\n  input({shape})\n  {body}\n}}\n"


def refused(shape: str, body: str) -> Diagnostic:
    """The first mistake in a net of this body."""
    with pytest.raises(ArchError) as found:
        loads(net(shape, body))
    return found.value.diagnostics[0]


def noted(network: Network) -> list[tuple[str, str]]:
    """The notes on a network: what they are about, and what to write instead."""
    return [(doubt.kind, doubt.meant) for doubt in network.notes]


# --- Input channels, which PyTorch writes first ------------------------------------------------------

IN_CHANNELS = [
    # what `torch.nn` takes, on an input of this shape; what to write; the parameters of the module
    ("64x224x224", "conv(64, 128, 3)", "conv(128, 3)", 64 * 128 * 9 + 128),
    ("3x224x224", "conv(3, 64, 7, 2, 3)", "conv(64, 7, 2, 3)", 3 * 64 * 49 + 64),
    ("64x56x56", "conv(64, 64, 3, padding=1)", "conv(64, 3, padding=1)", 64 * 64 * 9 + 64),
    ("256x14x14", "conv(256, 512, 1)", "conv(512, 1)", 256 * 512 + 512),
    ("16x12x12", "conv(16, 10, 1)", "conv(10, 1)", 16 * 10 + 10),
    ("1x32x32", "conv(1, 6, 5)", "conv(6, 5)", 156),  # LeNet-5's C1
    ("6x14x14", "conv(6, 16, 5)", "conv(16, 5)", 6 * 16 * 25 + 16),
    ("1x28x28", "conv(1, 10, 5)", "conv(10, 5)", 260),  # PyTorch's example of MNIST
    ("10x12x12", "conv(10, 20, 5)", "conv(20, 5)", 10 * 20 * 25 + 20),
    ("32x8x8", "conv(32, 2, 3)", "conv(2, 3)", 32 * 2 * 9 + 2),
    ("64x32x32", "conv(64, 128, 3x3)", "conv(128, 3x3)", 64 * 128 * 9 + 128),
    ("64x1000", "conv(64, 128, 3)", "conv(128, 3)", 64 * 128 * 3 + 128),
    ("8x9x9x9", "conv(8, 32, 3)", "conv(32, 3)", 8 * 32 * 27 + 32),
    ("64x32x32", "conv_transpose(64, 32, 2)", "conv_transpose(32, 2)", 64 * 32 * 4 + 32),
    ("64x32x32", "conv_transpose(64, 32, 4, 2, 1)", "conv_transpose(32, 4, 2, 1)", 64 * 32 * 16 + 32),
    ("16x32x32", "conv_transpose(16, 8, 2, 2)", "conv_transpose(8, 2, 2)", 16 * 8 * 4 + 8),
    ("64x32x32", "depthwise(64, 3)", "depthwise(3)", 64 * 9 + 64),
    ("64x32x32", "depthwise(64, 64, 3)", "depthwise(3)", 64 * 9 + 64),
    ("64x20x20", "local(64, 32, 3)", "local(32, 3)", (64 * 9 + 1) * 32 * 18 * 18),
    ("64x8x8", "pointwise(64, 128)", "pointwise(128)", 64 * 128 + 128),
    ("57600", "fc(57600, 10)", "fc(10)", 576_010),
    ("64x8x8", "group_norm(64, 8)", "group_norm(8)", 128),
    ("64x8x8", "group_norm(8, 64)", "group_norm(8)", 128),
    ("64x8x8", "conv(64, 128, kernel_size=3)", "conv(128, kernel_size=3)", 64 * 128 * 9 + 128),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "body", "instead", "params"), IN_CHANNELS, ids=[c[1] for c in IN_CHANNELS])
def test_input_channels_by_habit_are_a_mistake(shape, body, instead, params):
    assert f"write `{instead}`" in refused(shape, body).help
    right = loads(net(shape, instead))
    assert analyze(right).totals.params == params
    assert noted(right) == []


@pytest.mark.parametrize(
    ("shape", "body", "instead"),
    [
        ("64x32x32", "conv(64, 3, 3)", "conv(3, 3)"),
        ("64x32x32", "conv(64, 1, 1)", "conv(1, 1)"),
        ("64x32x32", "conv(64, 3, 1)", "conv(3, 1)"),
        ("64x32x32", "conv(64, 4, 1)", "conv(4, 1)"),
        ("16x64x64", "conv(16, 12, 2)", "conv(12, 2)"),
        ("64x224x224", "conv(64, 128, padding=1)", "conv(128, padding=1)"),
        ("64x1000", "conv(64, 32, 3)", "conv(32, 3)"),
        ("16x32x32", "conv_transpose(16, 8, 2)", "conv_transpose(8, 2)"),
        ("3x32x32", "depthwise(3, 3)", "depthwise(3)"),
        # a stride that few kernels have
        ("64x32x32", "conv(64, 5, 4)", "conv(5, 4)"),
        ("64x32x32", "conv(64, 8, 4)", "conv(8, 4)"),
        ("64x32x32", "conv(64, 1, 4)", "conv(1, 4)"),
        ("64x32x32", "conv(64, 6, 2)", "conv(6, 2)"),
        ("64x32x32", "conv_transpose(64, 6, 4)", "conv_transpose(6, 4)"),
        ("64x32x32", "conv_transpose(64, 3, 3)", "conv_transpose(3, 3)"),
        # a padding that the kernel does not need
        ("64x32x32", "conv(64, 1, 1, 1)", "conv(1, 1, 1)"),
        ("64x32x32", "conv(64, 5, 1, 1)", "conv(5, 1, 1)"),
        ("64x32x32", "conv(64, 3, 2, 2)", "conv(3, 2, 2)"),
        ("64x32x32", "conv_transpose(64, 2, 2, 1)", "conv_transpose(2, 2, 1)"),
    ],
)
def test_what_may_be_input_channels_gets_a_note(shape, body, instead):
    assert noted(loads(net(shape, body))) == [("in_channels", instead)]


@pytest.mark.parametrize(
    ("shape", "body", "help"),
    [
        # each is what `torch.nn` takes
        ("64x32x32", "conv(64, 128, 3, stride=2)", "without input channels, write `conv(128, 3, stride=2)`"),
        ("512", "fc(512, 10, bias=true)", "without input channels, write `fc(10, bias=true)`"),
        ("64x32x32", "conv(64, 64, 3, 1, 1, 1, 64)", "write `conv(64, 3, 1, 1, 1, 64)`"),
        ("64x32x32", "conv(64, 128, 4, 1, 0)", "write `conv(128, 4, 1, 0)`"),
        ("64x7x7", "local(64, 100, 7, 1, 1)", "write `local(100, 7, 1, 1)`"),
        ("64x1x1", "conv(64, 4, 1)", "if 64 are the input channels, write `conv(4, 1)`; if not, use a"),
        ("512x14x14", "conv(512, 16, 2)", "if 512 are the input channels, write `conv(16, 2)`; if not,"),
        ("64x9x9", "conv_transpose(64, 12, 1, 2, 3)", "input channels, write `conv_transpose(12, 1, 2, 3)`"),
    ],
)
def test_other_mistakes_that_come_from_input_channels_name_them(shape, body, help):
    assert help in refused(shape, body).help


@pytest.mark.parametrize(
    ("shape", "body", "kind", "meant", "output"),
    [
        # Convolution2D(64, 3, 3) of Keras 1 has a kernel of 3x3 and a stride of 1
        ("3x224x224", "conv(64, 3, 3)", "kernel_twice", "conv(64, 3)", (64, 222, 222)),
        ("1x28x28", "conv(6, 5, 5)", "kernel_twice", "conv(6, 5)", (6, 24, 24)),
        # torch.nn.Conv2d(32, 32, 3, 1, 1, groups=32), as one who takes groups for the next argument
        ("32x112x112", "conv(32, 3, 1, 1, 32)", "groups", "conv(32, 3, 1, 1, groups=32)", (32, 112, 112)),
        # Cropping2D(2) of Keras cuts 2 off at each end, UpSampling2D(size=2) doubles the map
        ("3x32x32", "crop(2)", "crops", "pad(-2)", (3, 28, 28)),
        ("3x32x32", "crop([2, 3])", "crops", "pad([-2, -3])", (3, 28, 26)),
        ("3x32x32", "upsample(size=2)", "factor", "upsample(scale_factor=2)", (3, 64, 64)),
        ("3x32x32", 'upsample(mode="bilinear", size=2x2)', "factor",
         'upsample(mode="bilinear", scale_factor=2x2)', (3, 64, 64)),
    ],
)  # fmt: skip
def test_what_another_tool_means_by_the_same_arguments_gets_a_note(shape, body, kind, meant, output):
    found = loads(net(shape, body)).notes
    assert [(doubt.kind, doubt.meant) for doubt in found] == [(kind, meant)]
    right = loads(net(shape, meant))
    assert right.outputs["output"].shape == output
    assert noted(right) == []


def test_a_reshape_with_the_channels_last():
    """The generator of DCGAN in Keras: Dense(7·7·256), Reshape((7, 7, 256)), Conv2DTranspose(128, 5)."""
    body = 'fc(12544) -> reshape(SHAPE) -> conv_transpose(128, 5, padding="same", bias=false)'
    for shape in ("7x7x256", "[7, 7, 256]"):
        assert noted(loads(net("100", body.replace("SHAPE", shape)))) == [("channels_last", "256x7x7")]
        assert noted(loads(net("100", body.replace("SHAPE", f"shape={shape}")))) == []
    right = loads(net("100", body.replace("SHAPE", "256x7x7")))
    assert noted(right) == []
    assert right["conv_transpose1"].shape == (128, 7, 7)
    assert analyze(right).totals.params == 12_544 * 101 + 25 * 256 * 128


def test_shapes_as_keras_writes_them():
    assert "`3x224x224`" in refused("shape=(224, 224, 3)", "relu").help
    assert noted(loads(net("shape=[224, 224, 3]", "relu"))) == [("channels_last", "3x224x224")]
    assert refused("-1, 3, 32, 32", "relu").help == "write `input(3x32x32)`"
    assert refused("[-1, 3, 32, 32]", "relu").help == "a shape has no batch: leave it out"


def test_a_large_kernel_behind_other_channels_gets_a_note():
    assert noted(loads(net("96x64x64", "conv(64, 32, 3)"))) == [("large_kernel", "conv(32, 3)")]


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("3x32x32", "conv(64, 3)"),
        ("3x32x32", "conv(3, 3)"),
        ("64x32x32", "conv(64, 3)"),
        ("64x32x32", "conv(64, 3, 1, 1)"),
        ("64x32x32", "conv(64, 3, 1, padding=1)"),
        ("64x32x32", "conv(64, 3, 2)"),
        ("64x32x32", "conv(64, 4, 2, 1)"),
        ("64x32x32", "conv(64, 1, 2)"),
        ("64x32x32", "conv(64, 2, 2)"),
        ("64x32x32", "conv(64, 8, 8)"),  # a patch of PVT's spatial reduction
        ("512x7x7", "conv(512, 7)"),
        ("64x32x32", "conv(64, 32)"),  # the whole map
        ("128x56x56", "conv(128, 31, padding=15, groups=128)"),  # RepLKNet
        ("1x16000", "conv(128, 80, 4)"),  # M5, Dai et al. 2017
        ("1x16000", "conv(512, 10, 5)"),  # wav2vec
        ("64x1000", "conv(64, 8, 4)"),  # Demucs
        ("64x1000", "conv(64, 3, 1, 2)"),  # a causal convolution of a TCN
        ("21x8x8", "conv_transpose(21, 64, 32)"),  # FCN-32s
        ("21x8x8", "conv_transpose(21, 4, 2)"),
        ("80x100", "conv_transpose(80, 1024, 256)"),  # WaveGlow
        ("7x32x32", "depthwise(7)"),
        ("64x112x112", "depthwise(3, 2, 1)"),
        ("64x7x7", "depthwise(7)"),
        ("64x32x32", "group_norm(64)"),
        ("64x32x32", "upsample(64)"),
        # a name always says that a call is meant
        ("64x224x224", "conv(64, kernel_size=128, stride=3)"),
        ("1x32x32", "conv(1, kernel_size=6, stride=5)"),
        ("64x32x32", "depthwise(kernel_size=31, stride=3)"),
        ("64x32x32", "upsample(size=16)"),
        ("64x112x112", "conv(64, 3, 1, 2, 2)"),
        ("64x56x56", "conv(64, 7, 4, 3)"),
        ("64x56x56", "conv(64, 4, 4)"),
        ("3x224x224", "conv(64, 3, stride=3)"),
        ("64x64x64", "crop(56)"),
        ("64x64x64", "crop(size=2)"),
        ("12544", "reshape(256x7x7)"),
    ],
)
def test_what_is_likely_meant_stays(shape, body):
    assert noted(loads(net(shape, body))) == []


def test_a_place_is_noted_once():
    text = "block b(c) { conv(c, 1, 1) }\nnet n {\n  input(64x8x8)\n  repeat 3 { b(64) }\n}\n"
    assert noted(loads(text)) == [("in_channels", "conv(1, 1)")]


def built(shape: tuple[int, ...], *steps: layers.Layer, judge: bool = True) -> Network:
    """A chain of layers that is made in Python."""
    build = NetworkBuilder("n", judge=judge)
    tensor = build.input(shape)
    for layer in steps:
        tensor = build.add(layer, tensor)
    return build.finish(tensor)


@pytest.mark.parametrize(
    ("shape", "layer", "meant"),
    [
        ((64, 224, 224), layers.Conv2d(64, 128, 3), "Conv(128, 3)"),
        ((3, 224, 224), layers.Conv2d(3, 64, 7, 2, 3), "Conv(64, 7, 2, 3)"),
        ((64, 32, 32), layers.ConvTranspose2d(64, 32, 2), "ConvTranspose(32, 2)"),
        ((64, 128, 128), layers.Depthwise(64, 3), "Depthwise(3)"),
        ((1, 28, 28), layers.Conv2d(1, 6, 5), "Conv(6, 5)"),
    ],
)
def test_layers_in_python_are_judged_by_the_same_rule(shape, layer, meant):
    """Input channels first, as in PyTorch: legal and a note, which `judge=False` leaves out."""
    assert noted(built(shape, layer)) == [("in_channels", meant)]
    assert noted(built(shape, layer, judge=False)) == []
    assert "`NetworkBuilder(..., judge=False)`" in str(analyze(built(shape, layer)))


def test_shapes_in_python_are_judged_by_the_same_rule():
    assert noted(built((1, 3, 224, 224), layers.ReLU())) == [("batch", "3x224x224")]
    assert noted(built((224, 224, 3), layers.ReLU())) == [("channels_last", "3x224x224")]
    assert noted(built((28, 28), layers.ReLU())) == [("no_channels", "1x28x28")]
    assert noted(built((3, 224, 224), layers.Conv2d(64, 7, 2, 3))) == []


@pytest.mark.parametrize("net", ["resnet50", "vgg16", "mobilenet_v2", "convnext_tiny", "densenet121", "unet"])
def test_networks_that_are_built_again_in_python_get_no_notes(net):
    network = load(net)
    build = NetworkBuilder(net)
    nodes = {}
    for node in network.nodes:
        if node.is_input:
            nodes[node.index] = build.input(node.shape)
        else:
            nodes[node.index] = build.add(
                node.layer, *(nodes[s.index] for s in node.inputs), name=f"n{node.index}"
            )
    results = {name: nodes[node.index] for name, node in network.outputs.items()}
    heads = {name: nodes[node.index] for name, node in network.heads.items()}
    assert noted(build.finish(outputs=results, heads=heads)) == []


def test_a_kernel_as_a_product_of_its_sides():
    problem = refused("3x32x32", "conv(8, 3*5)")
    assert (problem.message, problem.help) == ("a kernel size cannot be a product", "write it as `3x5`")
    assert loads("net n(k=3) {\n  input(3x32x32)\n  conv(8, 2 * k)\n}")["conv1"].shape == (8, 27, 27)


def test_upsampling_by_a_factor_as_keras_writes_it():
    assert "upsample(scale_factor=2)" in refused("8x32x32", "upsample(2)").help
    assert loads(net("8x32x32", "upsample(scale_factor=2)"))["upsample1"].shape == (8, 64, 64)


# --- Shapes with a batch, or with the channels last --------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "kind", "meant"),
    [
        ("1x3x224x224", "batch", "3x224x224"),
        ("10x3x224x224", "batch", "3x224x224"),
        ("32x1x28x28", "batch", "1x28x28"),
        ("1x224x224x3", "batch", "3x224x224"),
        ("64x64x64x1", "channels_last", "1x64x64x64"),
        ("224x224x3", "channels_last", "3x224x224"),
        ("160x160x3", "channels_last", "3x160x160"),
        ("480x640x3", "channels_last", "3x480x640"),
        ("28x28x1", "channels_last", "1x28x28"),
        ("7x7x512", "channels_last", "512x7x7"),
        ("128x9", "channels_last", "9x128"),
        ("28x28", "no_channels", "1x28x28"),
    ],
)
def test_shapes_by_habit_get_a_note(shape, kind, meant):
    assert noted(loads(net(shape, "relu"))) == [(kind, meant)]
    assert noted(loads(net(f"shape={shape}", "relu"))) == []


@pytest.mark.parametrize(
    "shape",
    ["3x224x224", "1x16x112x112", "3x16x112x112", "4x64x64x64", "197x768", "784", "2048x7x7", "16x8x1"],
)
def test_shapes_that_are_likely_meant_get_none(shape):
    assert noted(loads(net(shape, "relu"))) == []


@pytest.mark.parametrize(
    ("name", "given", "help"),
    [
        ("resnet50", (1, 3, 224, 224), "shapes are CxHxW, without a batch: write 3x224x224"),
        ("resnet50", (8, 3, 224, 224), "shapes are CxHxW, without a batch: write 3x224x224"),
        ("resnet50", (1, 224, 224, 3), "shapes are CxHxW, without a batch: write 3x224x224"),
        ("vgg16", (224, 224), "shapes are CxHxW, without a batch: write 3x224x224"),
        ("resnet50", (224, 224, 3), "shapes are CxHxW, with the channels first: write 3x224x224"),
        ("resnet50", (3,), "shapes are CxHxW, without a batch"),
    ],
)
def test_shapes_from_outside_have_the_axes_of_the_input(name, given, help):
    with pytest.raises(ArchError) as found:
        load(name, inputs={"input": given})
    assert [problem.help for problem in found.value.diagnostics] == [help]


def test_other_channels_from_outside_are_fine():
    assert noted(load("resnet50", inputs={"input": (1, 160, 320)})) == []


def test_the_command_line_names_the_batch(run):
    result = run("report", "resnet50", "--input", "1x3x224x224")
    assert result.status == 2
    assert result.out == ""
    assert result.err == (
        "error: the input has 3 axes, 3x224x224, but 1x3x224x224 has 4\n"
        "help: shapes are CxHxW, without a batch: write 3x224x224\n"
    )


def test_a_mistake_that_follows_from_a_shape_names_it():
    problem = refused("10x3x224x224", "conv(64, 7, stride=2)")
    assert any("shapes have no batch" in note.message for note in problem.notes)


# --- How notes are shown -----------------------------------------------------------------------------

NOTED = "net n {\n  input(32x1x28x28)\n  conv(8, 3, padding=1)\n  conv(8, 1, 1)\n  expect depth == 2\n}\n"
LINES = (
    "note: `input` is 3-D, 32 channels of a volume of 1x28x28: shapes have no batch (n.arch:2:3)\n"
    "help: for images, write 1x28x28; for volumes, write `input(shape=32x1x28x28)`\n"
    "note: `conv2` has as many output as input channels, 8, and a kernel of 1 (n.arch:4:3)\n"
    "help: if 8 are the input channels, write `conv(1, 1)`; if not, write `kernel_size=1`\n"
)


@pytest.fixture
def noted_file(tmp_path):
    (tmp_path / "n.arch").write_text(NOTED, encoding="utf-8")


@pytest.mark.parametrize(
    "command",
    [
        "report n.arch",
        "explain n.arch",
        "explain n.arch conv1 macs",
        "check n.arch",
        "compare n.arch lenet5",
        "compare lenet5 n.arch",
        "run n.arch",
        "verify n.arch",
        "verify n.arch lenet5 --jobs 1",
        "reconcile n.arch 1000",
    ],
)
def test_notes_are_shown(command, run, noted_file):
    result = run(*command.split(), width=120)
    assert result.status == 0
    assert LINES in result.out


def test_the_heading_says_that_a_volume_is_one(run, noted_file):
    assert "input 32×1×28×28 (3-D), batch 1" in run("report", "n.arch").out
    assert "(3-D)" not in run("report", "lenet5").out


def test_notes_in_markdown(run, noted_file):
    for line in LINES.splitlines():
        assert f"> {line}" in run("report", "n.arch", "--format", "markdown").out


@pytest.mark.parametrize("format", ["csv", "torchsummary"])
def test_notes_beside_formats_that_have_no_place_for_them(format, run, noted_file):
    result = run("report", "n.arch", "--format", format)
    assert result.err == LINES
    assert "note" not in result.out


@pytest.mark.parametrize(
    ("command", "where"),
    [
        ("report", lambda d: d),
        ("check", lambda d: d["networks"][0]),
        ("verify", lambda d: d["networks"][0]),
        ("reconcile 1000", lambda d: d),
        ("compare lenet5", lambda d: d["networks"][1]),
    ],
)
def test_notes_in_json(command, where, run, noted_file):
    name, *more = command.split()
    nets = ["lenet5", "n.arch"] if name == "compare" else ["n.arch", *more]
    notes = where(json.loads(run(name, *nets, "--format", "json").out))["notes"]
    assert [(note["kind"], note["layer"], note["source"]) for note in notes] == [
        ("batch", "input", "n.arch:2:3"),
        ("in_channels", "conv2", "n.arch:4:3"),
    ]
    assert all(f"{note['message']} ({note['source']})\nhelp: {note['help']}\n" in LINES for note in notes)


def test_notes_are_warnings_on_github(run, noted_file):
    lines = run("check", "n.arch", "--github").out.splitlines()
    assert sum(line.startswith("::warning file=n.arch,line=") for line in lines) == 2


def test_every_kind_of_note_has_words():
    texts = [
        net("64x32x32", "conv(64, 3, 3)"), net("96x64x64", "conv(64, 32, 3)"), net("8x3x32x32", "relu"),
        net("32x32x3", "relu"), net("28x28", "relu"), net("3x9x9", "conv(8, 3, 3)"),
        net("32x99x99", "conv(32, 3, 1, 1, 32)"), net("3x9x9", "crop(2)"), net("3x9x9", "upsample(size=2)"),
    ]  # fmt: skip
    doubts = [doubt for text in texts for doubt in loads(text).notes]
    doubts += built((8, 32, 32), layers.Upsample(2)).notes  # in a text, a mistake
    assert {doubt.kind for doubt in doubts} == set(WORDS)
    for doubt in doubts:
        message, help = note_of(doubt)
        assert doubt.meant in help
        assert doubt.named in help
        assert doubt.node.name in message


# --- Generated calls -----------------------------------------------------------------------------------


@settings(max_examples=400, deadline=None)
@given(
    kind=st.sampled_from(["conv", "local"]),
    channels=st.integers(1, 1024),
    out=st.integers(6, 1024),
    kernel=st.sampled_from([1, 3, 5, 7]),
    rest=st.sampled_from(["", ", 1", ", 2", ", 1, 1", ", 2, 1", ", 2, 3", ", padding=1", ", bias=false"]),
    side=st.sampled_from([7, 14, 28, 32, 56, 224]),
)
def test_pytorch_calls_of_two_axes_are_never_silent(kind, channels, out, kernel, rest, side):
    """With six output channels or more, and a kernel that modules of `torch.nn` have."""
    meant = f"{kind}({out}, {kernel}{rest})"
    try:
        network = loads(net(f"{channels}x{side}x{side}", f"{kind}({channels}, {out}, {kernel}{rest})"))
    except ArchError as found:
        helps = [problem.help for problem in found.diagnostics]
    else:
        helps = [doubt.meant for doubt in network.notes if doubt.kind == "in_channels"]
    assert meant in helps[0]


def windows(draw: st.DrawFn, named: bool) -> str:
    """A kernel, a stride and a padding as archcalc's own specs write them."""
    kernel, stride = draw(st.sampled_from([1, 2, 3, 4, 5, 7])), draw(st.sampled_from([1, 2]))
    if named:
        padding = draw(st.integers(0, kernel // 2))
        return f"kernel_size={kernel}, stride={draw(st.integers(1, 7))}, padding={padding}"
    if kernel % 2 == 0:
        return f"{kernel}, {kernel}" if kernel == 2 or draw(st.booleans()) else f"{kernel}, 2, 1"
    padding = draw(st.sampled_from([f", padding={kernel // 2}", ', padding="same"', ", bias=false", ""]))
    if stride == 1:
        return f"{kernel}{padding}"
    return f"{kernel}, 2, {kernel // 2}" if kernel > 1 and draw(st.booleans()) else f"{kernel}, 2{padding}"


@st.composite
def calls(draw: st.DrawFn) -> str:
    """A layer that gives no doubt, for a map of any channels and at least 64 rows and columns."""
    c, named = draw(st.integers(1, 512)), draw(st.booleans())
    out, dilation = "out_channels=" if named else "", draw(st.integers(1, 9))
    return draw(
        st.sampled_from(
            [
                f"conv({out}{c}, {windows(draw, named)})",
                f"conv({out}channels, {windows(draw, named)})",
                f"depthwise({windows(draw, named)})".replace(', padding="same"', ""),
                f"conv({c}, {draw(st.sampled_from([3, 5, 7]))}, padding=1, dilation={dilation})",
                f"conv_transpose({c}, 2, 2)",
                f"conv_transpose({c}, 4, 2, 1)",
                f"conv_transpose({c}, 3, stride=2, padding=1, output_padding=1)",
                f"pointwise({c})",
                "bn", "relu", "maxpool(3, 2, 1)", "maxpool(2)", "avgpool(2, 2)",
                "pad(1)", "upsample(scale_factor=2)", "upsample(size=200)",
                "crop([size[0] - 2, size[1] - 2])", "group_norm(1)", "layer_norm", "dropout(0.5)",
                "concat(identity, relu)", "add(identity, relu)",
            ]
        )
    )  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(channels=st.integers(1, 512), sides=st.tuples(*[st.integers(64, 300)] * 2), call=calls())
def test_calls_in_archcalcs_own_style_are_silent(channels, sides, call):
    assume(channels not in sides)  # as many channels as rows is a shape with the channels last
    assert noted(loads(net(f"{channels}x{sides[0]}x{sides[1]}", call))) == []


@settings(max_examples=200, deadline=None)
@given(
    channels=st.integers(1, 64),
    kernel=st.integers(1, 40),
    stride=st.integers(1, 70),
    kind=st.sampled_from(["conv", "local", "conv_transpose"]),
)
def test_names_always_pass(channels, kernel, stride, kind):
    call = f"{kind}({channels}, kernel_size={kernel}, stride={stride})"
    assert noted(loads(net(f"{channels}x70x80", call))) == []


def test_no_shipped_network_looks_like_a_habit():
    networks = shipped()
    assert len(networks) >= 224
    assert [opened.name for opened in networks if opened.network().notes] == []


# --- Transposed convolutions and paddings as Keras and ONNX have them --------------------------------


@pytest.mark.parametrize(
    ("shape", "body", "output", "figures"),
    [
        # onnxruntime, auto_pad SAME_UPPER: 1x10x10
        ("1x5x5", 'conv_transpose(1, 3, stride=2, padding="same")', (1, 10, 10), {"macs": 225}),
        # Keras' Conv2DTranspose(256, 4, strides=2, padding="same", use_bias=False) and a norm
        (
            "3x512x512",
            'conv_transpose(256, 4, 2, padding="same", bias=false) -> bn',
            (256, 1024, 1024),
            {"params": 12_800},
        ),
        ("1x5x7", 'conv_transpose(1, 2, stride=3, padding="same")', (1, 15, 21), {}),
        # ONNX's SAME_LOWER
        ("1x8x8", 'conv(1, 3, stride=2, padding="same_lower")', (1, 4, 4), {}),
    ],
)
def test_paddings_by_name(shape, body, output, figures):
    profile = analyze(loads(net(shape, body)))
    assert profile.network.outputs["output"].shape == output
    assert {name: profile.totals[name] for name in figures} == figures


def test_same_lower_pads_in_front():
    windows = loads(net("1x8x8", 'conv(1, 3, stride=2, padding="same_lower")'))["conv1"].facts.windows
    assert [(window.before, window.after) for window in windows] == [(1, 0), (1, 0)]


def test_four_paddings_in_a_row():
    help = refused("1x8x8", "conv(4, 3, padding=[1, 1, 1, 0])").help
    assert "[[top, bottom], [left, right]]" in help
    # ONNX: 1 above, 1 left, 1 below, 0 right
    assert loads(net("1x8x8", "conv(4, 3, padding=[[1, 1], [1, 0]])"))["conv1"].shape == (4, 8, 7)


# --- Words of other tools ----------------------------------------------------------------------------


def test_the_words_of_other_tools_lead_to_what_is_there():
    arguments = {parameter.name for kind in KINDS.values() for parameter in kind.parameters}
    for names in foreign._ARGUMENTS.values():
        assert arguments >= set(names)
    for name, kind in foreign._LAYERS.items():
        assert kind in KINDS or kind in BUILTINS
        assert foreign.layer_named(name) == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Conv2d", "conv"), ("Conv2DTranspose", "conv_transpose"), ("ConvTranspose1d", "conv_transpose"),
        ("conv3d", "conv"), ("DepthwiseConv2D", "depthwise"), ("MaxPooling2D", "maxpool"), ("Linear", "fc"),
        ("GlobalAveragePooling2D", "global_avgpool"), ("BatchNorm2d", "bn"), ("LayerNorm", "layer_norm"),
        ("LeakyReLU", "leaky_relu"), ("AdaptiveAvgPool2d", "adaptive_avgpool"), ("Dense", "fc"),
        ("InnerProduct", "fc"), ("ZeroPadding2D", "pad"), ("UpSampling2D", "upsample"),
        ("Concatenate", "concat"), ("BatchNormalization", "bn"), ("LRN", "lrn"),
        ("Hardswish", "hardswish"), ("PReLU", "prelu"),
    ],
)  # fmt: skip
def test_layers_by_the_names_of_other_tools(name, kind):
    assert refused("3x8x8", f"{name}(2)").help == f"write `{kind}`"


def test_linear_interpolation_has_other_names_on_other_axes():
    for mode, shape in (("linear", "2x8"), ("bilinear", "2x8x8"), ("trilinear", "2x8x8x8")):
        network = loads(net(shape, f'upsample(scale_factor=2, mode="{mode}")'))
        assert str(network["upsample1"].layer) == 'upsample(scale_factor=2, mode="bilinear")'


def test_vectors_of_a_sequence_each_for_themselves():
    """Two layers of `torch.nn.Linear` on 197 vectors of 768, by torch's counter."""
    body = "transpose -> pointwise(3072) -> gelu -> pointwise(768) -> transpose"
    totals = analyze(loads(net("197x768", body))).totals
    assert (totals.params, totals.macs) == (4_722_432, 929_562_624)
    assert "`transpose -> pointwise(...)`" in refused("197x768", "fc(3072)").help
