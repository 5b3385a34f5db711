"""Small inputs from public bug reports of comparable tools, with the right figures.

Each case has a key, the report in a few words, the network, its right figures, and where they come from. The
figures are never archcalc's own.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import pytest

from archcalc.diagnostics import ArchError
from archcalc.opening import load, loads
from archcalc.profile import Profile, analyze
from archcalc.report.memory.usage import MemoryAsked, usage_of


class Case(NamedTuple):
    """A network and its right figures. `last` are facts of its last layer, `totals` of the network."""

    key: str
    report: str
    text: str
    source: str
    last: dict[str, Any] = {}
    totals: dict[str, int] = {}


CASES = [
    Case(
        "p17",
        "windows of an average pool that are cut off at the border were counted as full ones",
        "net t { input(1x4) -> avgpool(3, 2, ceil_mode=true, count_include_pad=false) }",
        "torch.nn.AvgPool1d divides the second window by 2: 2 + 1 additions and 2 divisions",
        {"output_shape": (1, 2), "flops": 5},
    ),
    Case(
        "p19",
        "an average pool in ceil mode: its size, and what the last window holds",
        "net t { input(2x9) -> avgpool(7, 3, 3, ceil_mode=true, count_include_pad=false) }",
        "windows at -3, 0, 3, 6 hold 4, 7, 6, 3 values: 16 additions and 4 divisions, for 2 channels",
        {"output_shape": (2, 4), "flops": 40},
    ),
    Case(
        "c09",
        "a transposed convolution with auto padding SAME has the input's size times the stride",
        'net t { input(1x5x5) -> conv_transpose(1, 3, stride=2, padding="same") }',
        "onnxruntime, ConvTranspose with auto_pad SAME_UPPER; 9 weights on 25 places",
        {"output_shape": (1, 10, 10)},
        {"macs": 225},
    ),
    Case(
        "c10",
        "Keras' Conv2DTranspose of 4x4 with stride 2 and padding same on 512x512",
        'net t { input(3x512x512) -> conv_transpose(256, 4, stride=2, padding="same", bias=false) -> bn }',
        "Keras: the size times the stride; 3·256·16 weights and 2·256 of the norm",
        {"output_shape": (256, 1024, 1024)},
        {"params": 12_800},
    ),
    Case(
        "s03",
        "SAME_LOWER puts the odd padding at the beginning",
        'net t { input(1x8x8) -> conv(1, 3, stride=2, padding="same_lower") }',
        "ONNX: (4 - 1)·2 + 3 - 8 = 1 in all, at the beginning",
        {"output_shape": (1, 4, 4), "effective_padding": (1, 1)},
    ),
    Case(
        "p16",
        "an average pool with dilations, and in ceil mode",
        "net t { input(1x32x32x32) -> avgpool(5, 3, dilation=2, ceil_mode=true) }",
        "onnxruntime, AveragePool-19 with dilations 2",
        {"output_shape": (1, 9, 9, 9)},
    ),
    Case(
        "u01",
        "bilinear upsampling with aligned corners",
        'net t { input(64x32x32) -> upsample(scale_factor=2, mode="bilinear", align_corners=true) }',
        "torch.nn.Upsample; its gradient shows the field, and 63 steps are 31 of the input",
        {
            "output_shape": (64, 64, 64),
            "receptive_field": (2, 2),
            "effective_stride": (Fraction(31, 63), Fraction(31, 63)),
        },
    ),
    Case(
        "u02",
        "bicubic upsampling",
        'net t { input(3x32x32) -> upsample(scale_factor=4, mode="bicubic") }',
        "torch.nn.Upsample; its gradient shows the field",
        {"output_shape": (3, 128, 128), "receptive_field": (4, 4)},
    ),
    Case(
        "d01",
        "a deformable convolution counted as nothing",
        "net t { input(64x64x64)\n offset = conv(18, 3, padding=1)\n deform_conv(64, 3, offset, padding=1) }",
        "torchvision.ops.DeformConv2d: the 36,928 weights of a convolution, 10,386 of the offsets'",
        {"output_shape": (64, 64, 64)},
        {"params": 47_314, "macs": 193_462_272},
    ),
    Case(
        "s05",
        "paddings at both ends of each axis",
        "net t { input(1x8x8) -> conv(4, 3, padding=[[1, 1], [1, 0]]) }",
        "ONNX with pads=[1, 1, 1, 0]: 8 + 2 - 2 rows, 8 + 1 - 2 columns",
        {"output_shape": (4, 8, 7)},
    ),
    Case(
        "x01",
        "a super-resolution network with a pixel shuffle by 3",
        "net t { input(1x224x224) -> conv(64, 5, padding=2) -> relu -> conv(64, 3, padding=1) -> relu\n"
        "conv(32, 3, padding=1) -> relu -> conv(9, 3, padding=1) -> pixel_shuffle(3) }",
        "torch.nn.PixelShuffle; the field by the gradient of one output value",
        {"output_shape": (1, 672, 672), "receptive_field": (11, 11)},
        {"params": 59_657},
    ),
    Case(
        "x02",
        "space to depth before a convolution, as in YOLOv5's Focus",
        "net t { input(3x640x640) -> pixel_unshuffle(2) -> conv(32, 3, padding=1) }",
        "torch.nn.PixelUnshuffle, 12x320x320; the field by the gradient of one output value",
        {"output_shape": (32, 320, 320), "receptive_field": (6, 6)},
        {"params": 3_488},
    ),
    Case(
        "x03",
        "a convolution that is written with an unfolding",
        "net t { input(16x20x20) -> unfold(3, padding=1) }",
        "torch.nn.Unfold: 16·3·3 channels, and a column for each of 20x20 places",
        {"output_shape": (144, 400)},
        {"flops": 0},
    ),
    Case(
        "cp1",
        "mean and maximum over the channels, as in CBAM's spatial attention",
        "net t { input(64x56x56)\n x = identity\n"
        'concat(reduce("mean", "channels"), reduce("max", "channels"))\n'
        "conv(1, 7, padding=3, bias=false) -> sigmoid -> mul(x, identity) }",
        "CBAM, Equation 3: a kernel of 7x7 over two maps; the field is that of the convolution",
        {"output_shape": (64, 56, 56), "receptive_field": (7, 7)},
        {"params": 98, "macs": 307_328},
    ),
    Case(
        "q08 bn",
        "norms that compute their statistics at inference cost more than those that have them stored",
        "net t { input(64x8x8) -> bn(track_running_stats=false) }",
        "4,096 values: 3 additions and 2 multiplications for statistics, 2 more to scale and shift; 64 times "
        "2 divisions, an addition and a root of 4",
        {"flops": 7 * 4096 + 64 * (2 + 1 + 4)},
        {"params": 128, "buffers": 0},
    ),
    Case(
        "q08 instance_norm",
        "for one sample a batch norm without running statistics is an instance norm",
        "net t { input(64x8x8) -> instance_norm(affine=true) }",
        "as for the batch norm",
        {"flops": 29_120},
        {"params": 128, "buffers": 0},
    ),
    Case(
        "f01",
        "torch.nn.Linear on a sequence: its cost for each token",
        "net t { input(768x197) -> pointwise(3072) -> gelu -> pointwise(768) }",
        "torch's FlopCounterMode / 2 of two Linear on 1x197x768",
        {"output_shape": (768, 197)},
        {"params": 4_722_432, "macs": 929_562_624},
    ),
    Case(
        "f03",
        "torch.nn.Linear on maps with the channels last, as in ConvNeXt",
        "net t { input(96x56x56) -> pointwise(384) -> gelu -> pointwise(96) }",
        "torch's FlopCounterMode / 2 of two Linear on 1x56x56x96",
        {"output_shape": (96, 56, 56)},
        {"params": 74_208, "macs": 231_211_008},
    ),
    Case(
        "e01",
        "an embedding: one row of weights for each index, and no multiplications",
        "net t { input(100) -> embedding(20, 300) }",
        "torch.nn.Embedding(20, 300) of 100 indices; a sequence is channels x length here",
        {"output_shape": (300, 100)},
        {"params": 6_000, "macs": 0},
    ),
    Case(
        "r01",
        "an LSTM was counted as nothing",
        "net t { input(10x5) -> lstm(20) }",
        "torch.nn.LSTM(10, 20): 4·20·(10 + 20) weights and 2·4·20 biases; 5 steps of 4·20·30",
        {"output_shape": (20, 5)},
        {"params": 2_560, "macs": 12_000},
    ),
    Case(
        "r02",
        "the multiply-accumulates of a GRU are those of all its steps",
        "net t { input(64x100) -> gru(64) }",
        "torch.nn.GRU(64, 64): 100 steps of 3·64·128",
        {},
        {"params": 24_960, "macs": 2_457_600},
    ),
    Case(
        "r04",
        "a text recognizer: convolutions, a bidirectional LSTM over the columns, a classifier at each",
        "net t { input(1x32x100) -> conv(64, 3, padding=1) -> relu -> conv(512, 32x1) -> relu\n"
        "reshape(512x100) -> lstm(256, bidirectional=true) -> pointwise(37) }",
        "torch: two Conv2d, LSTM(512, 256, bidirectional=True), Linear(512, 37)",
        {"output_shape": (37, 100)},
        {"params": 2_645_669},
    ),
    Case(
        "r05",
        "the LSTM of Keras has one bias for each gate",
        'net t { input(shape=4096x16) -> lstm(256, bias="one") }',
        "Keras: 4·(4097·256 + 256·256)",
        {},
        {"params": 4_457_472},
    ),
    Case(
        "u03",
        "trilinear upsampling of a volume",
        'net t { input(2x8x8x8) -> upsample(size=16, mode="trilinear") }',
        "torch.nn.Upsample",
        {"output_shape": (2, 16, 16, 16)},
    ),
    Case(
        "u05",
        "88x88 enlarged by 120/88 is 119x119 in PyTorch",
        "net t { input(3x88x88) -> upsample(scale_factor=120 / 88) }",
        "torch.nn.functional.interpolate of torch 2.13",
        {"output_shape": (3, 119, 119)},
    ),
    Case(
        "m06",
        "the peak of a chain is the largest input and output of a layer",
        "net t {\n  input(3x32x32)\n  conv(16, 3, padding=1) -> conv(32, 3, stride=2, padding=1)\n"
        "  conv(8, 1) -> global_avgpool -> flatten -> fc(10)\n}",
        "the second convolution reads 16,384 values and writes 8,192, of 4 bytes",
        totals={"peak_bytes": 98_304},
    ),
    Case(
        "z04",
        "the input of a Caffe deploy file, without its batch",
        "net t { input(3x224x224) -> conv(64, 7, stride=2, padding=3) }",
        "64·3·49 weights and 64 biases",
        {"output_shape": (64, 112, 112)},
        {"params": 9_472},
    ),
    Case(
        "z05",
        "the input of a TensorFlow model, with the channels first",
        "net t { input(3x160x160) -> conv(32, 3, stride=2, padding=1, bias=false) -> bn -> relu6 }",
        "32·3·9 weights and 2·32 of the norm",
        {"output_shape": (32, 80, 80)},
        {"params": 928},
    ),
    Case(
        "k01",
        "a kernel of two sizes",
        "net t { input(1x28x28) -> conv(32, 3x3) }",
        "torch.nn.Conv2d(1, 32, (3, 3))",
        {"output_shape": (32, 26, 26)},
        {"params": 320},
    ),
    Case(
        "k02",
        "a layer of Keras without a bias",
        "net t { input(1x28x28) -> conv(out_channels=32, kernel_size=3, stride=2, bias=false) }",
        "Keras' Conv2D(32, 3, strides=2, use_bias=False): 32·9 weights",
        {"output_shape": (32, 13, 13)},
        {"params": 288},
    ),
    Case(
        "y01",
        "an activation that a counter does not know: mish, of YOLOv4",
        "net t { input(32x52x52) -> conv(64, 3, padding=1, bias=false) -> bn -> mish }",
        "torch.nn.Mish has no parameters: 64·32·9 weights and 2·64 of the norm",
        totals={"params": 18_560},
    ),
    Case(
        "y02",
        "PyTorch's example of MNIST, which ends in log_softmax",
        "net t {\n  input(1x28x28)\n"
        "  conv(10, 5) -> maxpool(2) -> relu -> conv(20, 5) -> dropout -> maxpool(2) -> relu\n"
        "  flatten -> fc(50) -> relu -> dropout -> fc(10) -> log_softmax\n}",
        "260 + 5,020 + 16,050 + 510",
        totals={"params": 21_840},
    ),
    Case(
        "g09",
        "pyramid pooling on 20x20: a field no larger than that of any place that exists",
        """net t {
  input(1x20x20)
  conv(2, 3, padding=1)
  s = size
  concat(identity,
    adaptive_avgpool(2) -> conv(1, 1) -> upsample(size=s, mode="bilinear"),
    adaptive_avgpool(3) -> conv(1, 1) -> upsample(size=s, mode="bilinear"),
    adaptive_avgpool(6) -> conv(1, 1) -> upsample(size=s, mode="bilinear"))
}""",
        "the branch of 2 sees places -1 to 20, padding included; the others lie within; gradients in PyTorch",
        {"output_shape": (5, 20, 20), "receptive_field": (22, 22)},
    ),
    Case(
        "h06",
        "layers that share a weight, as an autoencoder's decoder does, were counted twice",
        """net t {
  input(1x28x28)
  enc: conv(16, 3, stride=2, padding=1)
  relu
  conv_transpose(1, 3, stride=2, padding=1, output_padding=1, weight=enc)
}""",
        "torch: dec.weight = enc.weight, both 16x1x3x3: 144 + 16 + 1",
        {"output_shape": (1, 28, 28)},
        {"params": 161},
    ),
    Case(
        "w01",
        "ReZero: a trained factor of each block was missing",
        "net t { input(2) -> { add(identity, fc(2) -> scale) } -> { add(identity, fc(2) -> scale) } }",
        "2·(4 + 2) and two factors",
        totals={"params": 14},
    ),
    Case(
        "w02",
        "parameters of no layer, such as a position embedding",
        "net t { input(3x224x224) -> conv(768, 16, stride=16) -> reshape(768x196)\n"
        " add(identity, parameter(768x196)) }",
        "torchvision's conv_proj and a parameter of 196x768: 590,592 + 150,528",
        {"output_shape": (768, 196)},
        {"params": 741_120},
    ),
    Case(
        "t01",
        "self-attention of 580 tokens counted as nothing",
        "net t { input(512x580) -> attention(4) }",
        "torch.nn.MultiheadAttention(512, 4); 4·580·512·512 + 2·580·580·512",
        totals={"params": 1_050_624, "macs": 952_647_680},
    ),
    Case(
        "t04",
        "a transformer encoder layer counted as nothing",
        """net t {
  input(512x64)
  add(identity, attention(4)) -> layer_norm(dim="channels")
  add(identity, pointwise(512) -> relu -> pointwise(512)) -> layer_norm(dim="channels")
}""",
        "torch.nn.TransformerEncoderLayer(512, 4, 512); 6·64·512·512 + 2·64·64·512",
        totals={"params": 1_577_984, "macs": 104_857_600},
    ),
    Case(
        "t03",
        "the products of a non-local block were not counted",
        """net t {
  input(256x14x14)
  q = conv(128, 1) -> reshape([128, 196]) -> permute([1, 0])
  k = conv(128, 1) -> reshape([128, 196])
  v = conv(128, 1) -> reshape([128, 196]) -> permute([1, 0])
  y = matmul(matmul(q, k) -> softmax(dim="length"), v)
  add(identity, y -> permute([1, 0]) -> reshape([128, 14, 14]) -> conv(256, 1))
}""",
        "four 1x1 convolutions, and 196·196·128 twice",
        {"output_shape": (256, 14, 14)},
        {"params": 131_712, "macs": 35_524_608},
    ),
    Case(
        "n01",
        "weight norm has its lengths as parameters",
        'net t { input(10x12x12) -> conv(20, 5, weight="weight_norm") }',
        "torch.nn.utils.parametrizations.weight_norm: 10·20·25, 20 lengths, 20 biases",
        totals={"params": 5_040},
    ),
    Case(
        "n02",
        "spectral norm has two vectors as buffers",
        'net t { input(64x8x8) -> conv(128, 4, stride=2, padding=1, weight="spectral_norm") }',
        "torch.nn.utils.parametrizations.spectral_norm: 128·64·16 and 128 biases; 128 and 64·16",
        totals={"params": 131_200, "buffers": 1_152},
    ),
    Case(
        "y04",
        "a value for each channel is added to a map",
        "net t { input(64x8x8)\n add(identity, global_avgpool -> conv(64, 1)) }",
        "torch broadcasts 64x1x1 over 8x8",
        {"output_shape": (64, 8, 8)},
        {"params": 4_160},
    ),
    Case(
        "z01",
        "trained and frozen parameters apart",
        """net t {
  input(3x32x32)
  backbone: frozen { conv(16, 3, padding=1, bias=false) -> bn -> relu -> global_avgpool -> flatten }
  fc(10)
}""",
        "16·10 + 10 are trained; 432 + 32 are frozen",
        totals={"trainable_params": 170, "params": 634},
    ),
    Case(
        "o01",
        "height and width swapped between two 3x1 convolutions",
        "net t { input(1x20x20) -> conv(2, 3x1) -> permute([0, 2, 1]) -> conv(2, 3x1) }",
        "gradients in PyTorch",
        {"receptive_field": (3, 3)},
    ),
]


def profile_of(text: str) -> Profile:
    return analyze(loads(text))


@pytest.mark.parametrize("case", CASES, ids=[case.key for case in CASES])
def test_figures_of_bug_reports(case: Case) -> None:
    profile = profile_of(case.text)
    last = profile[-1]
    found = {name: getattr(last, name, None) or getattr(last.field, name, None) for name in case.last}
    assert found == case.last
    assert {name: profile.totals[name] for name in case.totals} == case.totals
    assert not profile.network.notes


def test_thop_on_torchvisions_densenet121() -> None:
    """z12: thop does not see its last ReLU and its last pool, which are functions."""
    assert analyze(load("densenet121"), convention="thop").count == 2_897_007_104


# --- Inputs as they were reported: an error or a note says what is right --------------------------------


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("s05", "input(1x8x8) -> conv(4, 3, padding=[1, 1, 1, 0])", ["[[top, bottom], [left, right]]"]),
        ("s03", 'input(1x8x8) -> conv(1, 3, padding="same_upper")', ['write `padding="same"`']),
        ("f01", "input(197x768) -> fc(3072)", ["`transpose -> pointwise(...)`"]),
        (
            "f03",
            "input(96x56x56) -> permute([1, 2, 0]) -> fc(384)",
            ["`permute([2, 0, 1]) -> pointwise(...)` if the channels are last", "`flatten -> fc(...)`"],
        ),
        ("k01", "input(1x28x28) -> conv(32, (3, 3))", ["`[3, 3]`", "`3x3`"]),
        (
            "k02",
            "input(1x28x28) -> conv(filters=32, kernel_size=3, strides=2, use_bias=false)",
            ["write `out_channels`", "write `stride`", "write `bias`"],
        ),
        ("k03", "input(5x10) -> lstmcell(20)", ["archcalc has no single-step cells"]),
        ("y01", "input(32x52x52) -> celu", ["`elu` has the same shape, parameters, and MACs"]),
        ("n01", "input(10x12x12) -> conv(20, 5, weight_norm=true)", ['write `weight="weight_norm"`']),
        ("n02", "input(64x8x8) -> conv(128, 4, spectral_norm=true)", ['write `weight="spectral_norm"`']),
        ("t01", "input(580x512) -> attention(heads=4)", ["did you mean `num_heads`?"]),
        ("cp1", "input(64x56x56) -> max(identity, dim=1)", ["the maximum of each map is `global_maxpool`"]),
        ("cp1", "input(64x56x56) -> mean(dim=1)", ["the mean of each map is `global_avgpool`"]),
    ],
)
def test_what_bug_reports_wrote_is_corrected(key: str, text: str, words: list[str]) -> None:
    with pytest.raises(ArchError) as found:
        loads(f"net t {{ {text} }}")
    for word in words:
        assert word in str(found.value), key


@pytest.mark.parametrize(
    ("key", "shape", "meant"), [("z04", "10x3x224x224", "3x224x224"), ("z05", "160x160x3", "3x160x160")]
)
def test_shapes_of_bug_reports_get_a_note(key: str, shape: str, meant: str) -> None:
    (doubt,) = loads(f"net t {{ input({shape}) -> conv(64, 3) }}").notes
    assert doubt.meant == meant, key


def test_a_batch_in_the_shape_from_outside() -> None:
    """z06: `--input 1x3x224x224` gave 48,204,072 parameters; those of 3x224x224 are 25,557,032."""
    with pytest.raises(ArchError, match=r"without a batch: write 3x224x224"):
        load("resnet50", inputs=(1, 3, 224, 224))
    assert analyze(load("resnet50", inputs=(3, 224, 224))).totals.params == 25_557_032


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("m.onnx", "is not an ONNX model: it is cut off, or damaged"),
        ("m.pth", "a pickle can run code when it is read, so archcalc does not open it"),
    ],
)
def test_files_of_other_tools_are_named(name: str, message: str, tmp_path) -> None:
    """i01, i02: the message was that the file is not UTF-8."""
    path = tmp_path / name
    path.write_bytes(b"\x08\x07\xb9\x80")
    with pytest.raises(ArchError) as found:
        load(path)
    assert message in str(found.value)


def test_an_onnx_file_of_one_convolution(tmp_path) -> None:
    """i01: 8·3·9 weights and 8 biases, and 216 products at each of 6x6 places."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weight = helper.make_tensor("w", kind, [8, 3, 3, 3], [0.5] * 216)
    bias = helper.make_tensor("b", kind, [8], [0.0] * 8)
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["y"]), helper.make_node("Relu", ["y"], ["z"])]
    x = helper.make_tensor_value_info("x", kind, [1, 3, 8, 8])
    z = helper.make_tensor_value_info("z", kind, [1, 8, 6, 6])
    graph = helper.make_graph(nodes, "g", [x], [z], [weight, bias])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    totals = analyze(load(tmp_path / "m.onnx")).totals
    assert (totals.params, totals.macs) == (224, 7_776)


# --- Training and memory --------------------------------------------------------------------------------

M02 = """net t {
  input(3x50x50)
  C1: conv(32, 3, padding=1)
  P1: maxpool(2)
  C2: conv(64, 3, padding=1)
  P2: maxpool(2)
  flatten -> fc(500) -> fc(10) -> softmax
}"""


def test_multiply_adds_of_a_training_step() -> None:
    """b01: 819,200 forward, as many for the weights, and for the inputs of all layers but the first.

    torch's FlopCounterMode says 2,899,968, as its figure of grouped convolutions is wrong.
    """
    network = loads(
        "net t { input(3x32x32) -> conv(16, 3, padding=1) -> relu\n"
        "conv(32, 3, stride=2, padding=1, groups=4) -> relu -> flatten -> fc(10) }"
    )
    totals = analyze(network, training=True).totals
    assert totals.training_macs == 2_015_232
    assert totals.backward_macs == 2_015_232 - 819_200


def test_memory_of_training_with_adam() -> None:
    """m02: 16 bytes for each of 4,632,902 parameters, and 4 for each of 157,226 activations of 64 samples.

    Adam keeps a step count of 4 bytes for each of 8 arrays too. What is alive at once is less: the second
    convolution reads a pool's output, and pools keep a byte for each value that they output.
    """
    totals = analyze(loads(M02), batch=64, training=True, optimizer="adam").totals
    parameters = totals.param_bytes + totals.gradient_bytes + totals.optimizer_bytes - 4 * 8
    assert parameters == 16 * 4_632_902
    assert parameters + 4 * 64 * totals.activations_in_place == 114_376_288
    # the input, the outputs of pools, their masks, the output of the first fc, and the probabilities
    assert totals.saved_bytes == 64 * (4 * (7_500 + 20_000 + 9_216 + 500 + 10) + 20_000 + 9_216)
    assert totals.training_peak_bytes < 114_376_288


def test_weights_of_int8_with_activations_of_float32() -> None:
    """m04: a byte for each parameter, and 4 for each activation."""
    network = loads("net t { input(3x32x32) -> conv(16, 3, padding=1) -> relu -> flatten -> fc(10) }")
    usage = usage_of(network, MemoryAsked(is_inference=True, weights_dtype="int8"))
    assert usage.at_peak()["parameters"] == 164_298
    assert usage.at_peak()["activations"] == 4 * 2 * 16_384  # of convolution and ReLU, at the peak
    assert analyze(network).totals.activation_bytes == 196_648  # of all layers together


def test_the_peak_with_norms_and_activations_in_place() -> None:
    """m05: 64x56x56, 256x56x56 and 256x56x56 values, at the end of the first bottleneck."""
    usage = usage_of(load("resnet50_v1_5"), MemoryAsked(is_inference=True, in_place=("activations", "add")))
    assert usage.at_peak()["activations"] == 7_225_344
