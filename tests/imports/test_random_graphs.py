"""Random graphs of all sorts of layers, in PyTorch: shapes, parameters, multiply-adds, and values.

A random text declares a network. PyTorch builds it, counts it and runs it, and archcalc imports what PyTorch
has built: the figures of the text, of PyTorch and of the import are equal, and so are the values.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import archcalc
from archcalc.diagnostics import ArchError
from archcalc.executor.execute import run as execute
from archcalc.executor.inputs import drawn_inputs
from archcalc.executor.original import compare_with_original
from archcalc.network import Network

torch = pytest.importorskip("torch")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402
from torch_modules import to_torch  # noqa: E402

GRAPHS = 64
"""`ARCHCALC_GRAPHS=1000:1200` runs other graphs than these."""
STEPS = 9

LAYERS = """
conv({c}, 3x2, padding=[1, 0])
conv({c}, 3, stride=2x1, padding=1, groups=2, bias=false)
depthwise(3, padding=1)
pointwise({c})
pointwise({c}, bias=false)
bn
relu
layer_norm(dim="channels")
attention(2)
attention({c} // 2, bias=false)
add(identity, parameter(shape))
add(identity, parameter([channels, 1, size[1]]))
mul(identity, parameter([channels, 1, 1]))
scale
scale(0.5)
shift(per_channel=true)
shift(-0.25)
add(identity, global_avgpool -> conv(channels, 1))
mul(identity, reduce("mean", dim="channels") -> sigmoid)
concat(reduce("mean", dim="channels"), reduce("max", dim="channels"))
sub(identity, reduce("mean", dim="width"))
div(identity, abs -> shift(1))
square
abs -> shift(0.5) -> log
abs -> shift(0.5) -> sqrt
abs -> shift(0.5) -> rsqrt
tanh -> exp
sin
clamp(-1, 2)
softplus
mish
hardtanh
log_softmax
softmax
glu
hardsigmoid
pixel_shuffle(2)
pixel_unshuffle(2)
roll(1, dim="height")
permute([0, 2, 1])
pad([[1, 0], [2, 1]], mode="reflect")
pad(1, mode="replicate")
pad([[0, 1], [1, 0]], value=0.5)
upsample(scale_factor=2, mode="bilinear")
upsample(size=[7, 9], mode="bilinear", align_corners=true)
upsample(scale_factor=1.5, mode="bicubic")
avgpool(2x3, 1)
maxpool(3, 2, 1)
unfold(2)
reshape([channels, size[0] * size[1]])
lstm({c})
gru({c}, bidirectional=true)
rnn({c}, 2, bias=false)
matmul(transpose, identity)
matmul(identity -> softmax(dim="length"), transpose)
{{ whole = [2 * channels] + size; stack(identity, relu) -> reshape(whole) }}
{{ parts = split(channels // 2); concat(parts[1], parts[0]) }}
add(identity, permute([1, 0]) -> pointwise(channels(identity)) -> permute([1, 0]))
conv_transpose({c}, 3x2, stride=[2, 1], padding=[1, 0], output_padding=[1, 0])
conv({c}, 3, stride=2, padding="same")
conv({c}, 3, stride=2, padding="same_lower", bias=false)
conv({c}, 3, padding=1, dilation=2)
deform_conv({c}, 3x2, conv(12, 3x2, padding=[1, 0]), padding=[1, 0])
deform_conv({c}, 2, conv(8, 2), mask=conv(4, 2) -> sigmoid, bias=false)
{{ kv = pointwise(6); attention(2, key_value=kv) }}
group_norm(2)
instance_norm(affine=true)
grn
layer_scale
prelu(channels)
gelu
gelu(approximate="tanh")
logsigmoid
softsign
erf
cos
pow(3)
hardswish
silu
elu(0.5)
channel_shuffle(2)
transpose
softmax(dim="width")
log_softmax(dim="height")
glu(dim="width")
reduce("var", dim=["height", "width"])
reduce("norm", dim="channels")
reduce("sum", dim="height", keepdim=false)
reduce("min", dim="channels")
pad(1, mode="circular")
pad([1, 2], dim="width")
upsample(size=[7, 9], mode="nearest_exact")
upsample(scale_factor=2)
adaptive_avgpool([3, 5])
adaptive_maxpool(4)
avgpool(3, 2, 1, ceil_mode=true, count_include_pad=false)
maxpool(2, ceil_mode=true)
crop([3, 4])
slice(1, 3)
slice(0, 4, dim="width")
scale([1.5, -0.5, 2, 1])
lstm({c}, 2, bias=false, bidirectional=true)
gru({c}, return_sequences=false)
div(identity, parameter([channels, 1, 1]) -> exp)
sub(parameter([1] + size), identity)
matmul(parameter([5, channels]), identity)
lrn(3)
selu
""".strip().split("\n")


def a_network(seed: int) -> Network:
    """A network of random layers, of those that fit one another."""
    chance = random.Random(seed)
    height, width = chance.randint(6, 11), chance.randint(6, 11)
    lines = [f"input({chance.choice([2, 4, 6])}x{height}x{width})"]
    network = None
    for _ in range(STEPS * 3):
        step = chance.choice(LAYERS).format(c=chance.choice([4, 6, 8])).replace("; ", "\n ")
        text = "\n ".join(["net graph {", *lines, step]) + "\n}"
        try:
            found = archcalc.loads(text)
        except ArchError:
            continue
        shape = found.outputs["output"].shape
        if "instance_norm" in step and (len(shape) == 1 or math.prod(shape[1:]) == 1):
            continue  # PyTorch refuses to normalize one value
        if "bicubic" in step and len(found.outputs["output"].shape) != 3:
            continue  # PyTorch has it for maps of two axes
        if archcalc.analyze(found).totals.macs > 3_000_000 or max(found.outputs["output"].shape) > 200:
            continue
        network, lines = found, [*lines, step]
        if len(lines) > STEPS:
            break
    assert network is not None
    return network


@contextmanager
def countable() -> Iterator[FlopCounterMode]:
    """PyTorch's counter sees attention only where it is computed as matrix products."""
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        yield counter
    torch.backends.mha.set_fastpath_enabled(True)


first, last = map(int, os.environ.get("ARCHCALC_GRAPHS", f"0:{GRAPHS}").split(":"))


@pytest.mark.parametrize("seed", range(first, last))
def test_random_graphs(seed: int) -> None:
    torch.manual_seed(seed)
    network = a_network(seed)
    text = str([str(node.layer) for node in network.nodes])
    module = to_torch(network).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    inputs = drawn_inputs(network, 2, seed, "float64")
    profile = archcalc.analyze(network)
    totals = profile.totals
    unknown = sum(layer.macs for layer in profile if layer.kind == "deform_conv")  # to PyTorch's counter
    assert sum(p.numel() for p in module.parameters()) == totals.params, text
    with countable() as counter:
        out = module(torch.from_numpy(inputs["input"]))
    assert tuple(out.shape[1:]) == network.outputs["output"].shape, text
    assert counter.get_total_flops() == 2 * 2 * (totals.macs - unknown), text  # a batch of two
    imported = archcalc.from_torch(module, network.inputs["input"].shape)
    assert imported.is_complete, (text, imported.remarks)
    figures = archcalc.analyze(imported).totals
    assert (figures.params, figures.macs) == (totals.params, totals.macs), text
    given = dict(zip(imported.inputs, inputs.values(), strict=True))
    outputs = execute(
        imported, given, imported.trained() if imported.trained else None, batch=2, dtype="float64"
    )
    if imported.trained is None:  # nothing is trained, and no model is kept
        return
    agreement = compare_with_original(imported, given, outputs)
    assert (agreement.compared, agreement.problem) == (1, ""), text
    assert agreement.difference < 1e-9, text
