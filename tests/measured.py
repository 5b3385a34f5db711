"""What the tools print of single layers, recorded in `measured.json`: so no tool is needed to test the rules.

Run as a program, in an environment with the tools, it measures again the layers of the tools that are
installed: `python tests/measured.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from samples import SAMPLES, Sample, case, make

from archcalc import NetworkBuilder
from archcalc.layers.arguments import GivenTensor
from archcalc.network import Network

FILE = Path(__file__).parent / "measured.json"

IMAGE = (3, 20, 26)
MORE = [
    case(make("conv", 8, (4, 5), (1, 2), (2, 1), (3, 2), bias=False), IMAGE, (8, 15, 10), ""),
    case(make("conv", 6, (4, 5), (1, 2), (2, 1), groups=3), IMAGE, (6, 21, 12), ""),
    case(make("depthwise", (4, 5), (1, 2), (2, 1), multiplier=2), IMAGE, (6, 21, 12), ""),
    case(make("conv_transpose", 6, (4, 5), (1, 2), groups=2), (4, 20, 26), (6, 23, 55), ""),
    case(make("conv_transpose", 4, (4, 5), (1, 2), groups=2, bias=False), (4, 20, 26), (4, 23, 55), ""),
    case(make("conv_transpose", 8, 2, 2), (4, 6), (8, 12), ""),
    case(make("bn", affine=False), IMAGE, IMAGE, ""),
    case(make("bn", affine=False, track_running_stats=False), IMAGE, IMAGE, ""),
    case(make("bn"), (7,), (7,), ""),
    case(make("lrn", 5), (16, 7, 8), (16, 7, 8), ""),
    case(make("lrn", 4), (16, 9), (16, 9), ""),
    case(make("avgpool", 3, 2, 1), (4, 11), (4, 6), ""),
    case(make("adaptive_avgpool", (3, 7)), IMAGE, (3, 3, 7), ""),
    case(make("adaptive_avgpool", 3), (4, 11), (4, 3), ""),
    case(make("adaptive_avgpool", 3), (2, 5, 6, 7), (2, 3, 3, 3), ""),
    case(make("adaptive_maxpool", (3, 7)), IMAGE, (3, 3, 7), ""),
    case(make("adaptive_maxpool", (10, 13)), IMAGE, (3, 10, 13), ""),
    case(make("lppool", 2, (4, 3), 2), IMAGE, (3, 9, 12), ""),
    case(make("softmax", "height"), IMAGE, IMAGE, ""),
    case(make("conv_transpose", 16, 4, 2, 1, groups=16), (16, 7, 7), (16, 14, 14), ""),
    case(make("conv_transpose", 6, 3, 2, 1, 1), IMAGE, (6, 40, 52), ""),
    case(make("prelu"), IMAGE, IMAGE, ""),
    case(make("fc", 10, bias=False), (84,), (10,), ""),
    case(make("upsample", scale_factor=(Fraction(3, 2), 2)), IMAGE, (3, 30, 52), ""),
    case(make("upsample", scale_factor=Fraction(3, 2)), IMAGE, (3, 30, 39), ""),
    case(make("upsample", scale_factor=2, mode="bilinear"), (4, 11), (4, 22), ""),
    case(make("maxpool", (3, 2), (2, 2), "same"), (3, 20, 25), (3, 10, 13), ""),
    case(make("layer_norm", elementwise_affine=False), IMAGE, IMAGE, ""),
    case(make("layer_norm", "channels", bias=False), IMAGE, IMAGE, ""),
    case(make("group_norm", 3, affine=False), IMAGE, IMAGE, ""),
    case(make("instance_norm", affine=True), IMAGE, IMAGE, ""),
    case(make("add"), (IMAGE, IMAGE, IMAGE), IMAGE, ""),
    case(make("mul"), (IMAGE, IMAGE, IMAGE), IMAGE, ""),
    case(make("upsample", 9, mode="bilinear"), IMAGE, (3, 9, 9), ""),
    case(make("upsample", scale_factor=2, mode="bilinear"), (2, 5, 6, 7), (2, 10, 12, 14), ""),
    case(make("upsample", scale_factor=2), (4, 11), (4, 22), ""),
    case(make("mul"), (IMAGE, IMAGE), IMAGE, ""),
    case(make("attention", 2), (8, 7), (8, 7), ""),
    case(make("attention", 4), (8, 3, 5), (8, 3, 5), ""),
    case(make("attention", 3), (12, 7), (12, 7), ""),
    case(make("attention", 2, bias=False), (8, 7), (8, 7), ""),
    case(make("attention", 2, key_value=GivenTensor()), ((8, 7), (8, 5)), (8, 7), ""),
    case(make("attention", 2, key_value=GivenTensor()), ((8, 7), (6, 5)), (8, 7), ""),
    case(make("attention", 2, bias=False, key_value=GivenTensor()), ((8, 7), (6, 5)), (8, 7), ""),
    case(make("matmul"), ((2, 3, 4, 5), (2, 1, 5, 6)), (2, 3, 4, 6), ""),
    case(make("matmul"), ((1, 4, 6), (2, 6, 5)), (2, 4, 5), ""),
    case(make("lstm", 5, 2, True, True, True), (3, 7), (10, 7), ""),
    case(make("lstm", 5, 2), (3, 7), (5, 7), ""),
    case(make("gru", 5, 2, True, True, True), (3, 7), (10, 7), ""),
    case(make("gru", 5, 2, False, return_sequences=False), (3, 7), (5,), ""),
    case(make("rnn", 5, 2, "tanh", True, True), (3, 7), (10, 7), ""),
    case(make("rnn", 5, bias=False), (3, 7), (5, 7), ""),
]

WRITTEN = {
    "F.relu": (make("relu"), IMAGE),
    "F.relu6": (make("relu6"), IMAGE),
    "F.gelu": (make("gelu"), IMAGE),
    "F.silu": (make("silu"), IMAGE),
    "F.elu": (make("elu"), IMAGE),
    "F.leaky_relu": (make("leaky_relu"), IMAGE),
    "F.tanh": (make("tanh"), IMAGE),
    "F.sigmoid": (make("sigmoid"), IMAGE),
    "F.softmax": (make("softmax"), IMAGE),
    "F.avg_pool2d": (make("avgpool", (4, 3), 2), IMAGE),
    "F.max_pool2d": (make("maxpool", 3, 2, 1), IMAGE),
    "F.adaptive_avg_pool2d": (make("adaptive_avgpool", (3, 7)), IMAGE),
    "F.adaptive_max_pool2d": (make("adaptive_maxpool", (3, 7)), IMAGE),
    "F.interpolate": (make("upsample", scale_factor=2, mode="bilinear"), IMAGE),
    "F.local_response_norm": (make("lrn", 5), (16, 7, 8)),
    "F.lp_pool2d": (make("lppool", 2, (4, 3), 2), IMAGE),
    "Tensor.mean": (make("global_avgpool"), IMAGE),
    "Tensor.chunk": (make("slice", 0, 8), (16, 7, 8)),
    "LayerNorm2d": (make("layer_norm", "channels"), IMAGE),
}
"""What code calls in place of a module of `torch.nn`, the layer, and the shape that comes in."""


def alone(sample: Sample) -> Network:
    """The network of one layer, and of a dropout, since some tools take a module without modules for a
    layer; at inference it is nothing to any of them."""
    build = NetworkBuilder("alone")
    inputs = [build.input(shape, f"input{i}") for i, shape in enumerate(sample.inputs)]
    return build.finish(build.add(make("dropout"), build.add(sample.layer, *inputs)))


def is_none_alone(sample: Sample) -> bool:
    """Is it no layer that a tool can be run on? A `maxunpool` needs the pool that it undoes, a `parameter`
    has no input, and a hard sigmoid of another slope is several operators in PyTorch."""
    other_slope = sample.kind == "hardsigmoid" and sample.layer != make("hardsigmoid")
    return sample.kind in ("maxunpool", "parameter") or other_slope


def written_so(code: str) -> Network:
    """The network of a layer that is written as one of `WRITTEN`."""
    layer, shape = WRITTEN[code]
    build = NetworkBuilder("alone")
    node = build.add(layer, build.input(shape))
    return replace(build.finish(build.add(make("dropout"), node)), written={node.index: code})


def layers() -> Iterator[tuple[str, Network]]:
    """Networks of single layers, each with a name."""
    for sample in (*SAMPLES, *MORE):
        if not is_none_alone(sample):
            yield str(sample), alone(sample)
    for code in WRITTEN:
        yield code, written_so(code)


def load() -> dict[str, Any]:
    """By convention, the version of the tool, and what it printed of each layer."""
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def record() -> None:
    """Measure with the tools that are installed."""
    import pytest
    from test_real_tools import TOOLS, made, run, torchvision_or_none
    from torch_modules import inputs_of, to_torch

    torchvision_or_none()
    known = load() if FILE.exists() else {}
    for tool in TOOLS:
        try:
            of = version(tool.package).replace("-", ".post")  # as PyPI writes it
        except PackageNotFoundError:
            continue
        counts = {}
        for name, network in layers():
            try:
                counts[name] = run(tool, made(lambda network=network: to_torch(network)), inputs_of(network))[
                    0
                ]
            except (NotImplementedError, pytest.skip.Exception):
                continue  # of what PyTorch lacks, and of what the tool cannot run
        known[tool.convention] = {"tool": f"{tool.package} {of}", "counts": counts}
        FILE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    record()
