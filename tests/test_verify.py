"""The proof of a network's figures: it holds where they are right, and fails where one is not."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import astuple

import archcalc
from archcalc.executor.execute import RunOptions, execute
from archcalc.executor.kernel import KERNELS, Call
from archcalc.layers import KINDS
from archcalc.layers.arguments import GivenTensor
from archcalc.layers.base import facts, kept_facts
from archcalc.layers.terms import term
from archcalc.memory.inference import inference
from archcalc.memory.precision import precision
from archcalc.memory.timeline import Size, Stretch
from archcalc.quantities import Figures
from archcalc.quantities.receptive_field import Field
from archcalc.shape import Window
from archcalc.verify.counting import COUNTED, count_multiplications
from archcalc.verify.prove import Proof, Verdict, verify


def net(body: str) -> archcalc.Network:
    return archcalc.loads(f"net n {{\n {body}\n}}")


def counted(kind: str, *args: Any, shape: tuple[int, ...], **named: Any) -> tuple[int, int]:
    """Nominal multiplications, and those not made with padding; the slow result agrees with the kernel."""
    layer = KINDS[kind](*args, **named)
    random = np.random.default_rng(0)
    weights = {w.name: random.standard_normal(w.shape) for w in facts(layer, (shape,)).weights}
    x = np.ascontiguousarray(np.moveaxis(random.standard_normal((2, *shape)), 1, -1))
    nominal, inside, result = count_multiplications(layer, Call([x], weights))
    fast = KERNELS[type(layer)](layer, Call([x], weights))
    np.testing.assert_allclose(result, fast, rtol=1e-10, atol=1e-10 * np.abs(fast).max())
    return nominal, inside


# --- Multiplications, counted by hand ---------------------------------------------------------------


def test_every_kind_with_multiplied_weights_is_counted() -> None:
    assert {kind.kind for kind in COUNTED} == {
        "conv", "pointwise", "depthwise", "local", "fc", "conv_transpose", "matmul", "attention",
        "lstm", "gru", "rnn", "deform_conv",
    }  # fmt: skip


BY_HAND = [
    # 3x3, padding 1 on 4x5: along 4 rows the three taps meet 3, 4 and 3 rows, along 5 columns 4, 5, 4
    (("conv", 1, 3), {"padding": 1}, (1, 4, 5), 9 * 20, (3 + 4 + 3) * (4 + 5 + 4)),
    (("conv", 2, 3), {"padding": 1}, (3, 4, 5), 6 * 9 * 20, 6 * 10 * 13),
    # windows at rows -1 1 3 of 4 (tap 0 misses the first, tap 2 the last), columns -1 1 3 of 5
    (("conv", 1, 3, 2, 1), {}, (1, 4, 5), 9 * 2 * 3, (1 + 2 + 2) * (2 + 3 + 2)),
    # nothing before and one row behind, two columns before: rows 0-2 of 4+1, columns -2 to 2 of 2+5
    (("conv", 1, 3), {"padding": ((0, 1), (2, 0))}, (1, 4, 5), 9 * 3 * 5, (3 + 3 + 2) * (3 + 4 + 5)),
    # dilated by 2 with padding 2: taps at -2, 0 and 2 of each place
    (("conv", 1, 3), {"padding": 2, "dilation": 2}, (1, 4, 5), 9 * 20, (2 + 4 + 2) * (3 + 5 + 3)),
    (("conv", 4, 3), {"padding": 1, "groups": 2}, (6, 4, 5), 3 * 4 * 9 * 20, 3 * 4 * 130),
    (("conv", 2, 3), {"padding": 1, "connections": ((0, 1), (1,))}, (2, 4, 5), 3 * 9 * 20, 3 * 130),
    (("depthwise", 3), {"padding": 1, "multiplier": 2}, (3, 4, 5), 6 * 180, 6 * 130),
    (("pointwise", 7), {}, (3, 4, 5), 21 * 20, 21 * 20),
    (("local", 2, 3), {"padding": 1}, (3, 4, 5), 6 * 180, 6 * 130),
    (("conv", 3, 3), {"padding": "same"}, (2, 5), 6 * 3 * 5, 6 * (4 + 5 + 4)),
    (("conv", 1, 3), {"padding": 1}, (1, 2, 4, 5), 27 * 40, (1 + 2 + 1) * 130),
    (("fc", 4), {}, (7,), 28, 28),
    (("lstm", 4), {}, (3, 5), 4 * 4 * (3 + 4) * 5, 4 * 4 * (3 + 4) * 5),
    (("gru", 4, 2), {"bias": "one"}, (3, 5), 3 * 4 * (3 + 4 + 4 + 4) * 5, 3 * 4 * (3 + 4 + 4 + 4) * 5),
    (("rnn", 4), {"bidirectional": True}, (3, 5), 2 * 4 * (3 + 4) * 5, 2 * 4 * (3 + 4) * 5),
    # every input spreads by 3x3; of the 5x6 grown to 6x7, padding cuts the outermost row and column off
    (("conv_transpose", 1, 3), {"padding": 1}, (1, 4, 5), 9 * 20, (3 + 4 + 3) * (4 + 5 + 4)),
    (("conv_transpose", 4, 2, 2), {"groups": 2}, (6, 4, 5), 4 * 6 * 2 * 20, 4 * 6 * 2 * 20),
    # padding alone: a kernel that meets no value is still nominal work
    (("conv", 1, 1), {"padding": 1}, (1, 1, 1), 9, 1),
]


@pytest.mark.parametrize(("call", "named", "shape", "nominal", "inside"), BY_HAND)
def test_counts_by_hand(call: Any, named: Any, shape: Any, nominal: int, inside: int) -> None:
    assert counted(*call, shape=shape, **named) == (nominal, inside)


@pytest.mark.parametrize(
    ("move", "inside"),
    [
        (0, (3 + 4 + 3) * (4 + 5 + 4)),  # as a convolution
        (
            0.5,
            (4 + 4 + 3) * (5 + 5 + 4),
        ),  # half a place down and right: what lay just before the map is in it
        (-2, (1 + 2 + 3) * (2 + 3 + 4)),
        (100, 0),
    ],
)
def test_a_deformable_convolution_counted_by_hand(move: float, inside: int) -> None:
    """3x3 with padding 1 on 4x5, each tap moved by as much down as right."""
    layer = KINDS["deform_conv"](2, 3, GivenTensor(), padding=1)
    random = np.random.default_rng(0)
    weights = {"weight": random.standard_normal((3, 3, 3, 2)), "bias": random.standard_normal(2)}
    call = Call([random.standard_normal((2, 4, 5, 3)), np.full((2, 4, 5, 18), float(move))], weights)
    nominal, measured, result = count_multiplications(layer, call)
    assert (nominal, measured) == (6 * 9 * 20, 6 * inside)
    np.testing.assert_allclose(result, KERNELS[type(layer)](layer, call), rtol=1e-10, atol=1e-12)


# --- Networks that hold -----------------------------------------------------------------------------

SMALL = {
    "conv": "input(3x9x10)\n conv(4, 4x5, stride=1x2, padding=[[0, 1], [2, 0]]) -> relu",
    "groups": "input(4x9x10)\n conv(6, 3, padding=1, groups=2) -> bn -> relu",
    "dilation": "input(2x15x16)\n conv(3, 3, dilation=3, padding=2) -> conv(2, 2, dilation=1x2)",
    "connections": "input(3x9x10)\n conv(2, 3, connections=[[0, 2], [1]])",
    "depthwise": "input(3x9x10)\n depthwise(3, padding=1, multiplier=2) -> relu6 -> pointwise(5)",
    "local": "input(2x9x10)\n local(3, 3, stride=2, padding=1)",
    "conv_transpose": "input(3x7x8)\n conv_transpose(4, 4, stride=2, padding=1, groups=1) -> conv(2, 3)",
    "transposed back": "input(3x11x9)\n conv(4, 3, 2, 1) -> conv_transpose(2, 3, 2, 1, 1x0)",
    "fc": "input(3x5x6)\n flatten -> fc(7) -> dropout -> fc(2, bias=false) -> softmax",
    "pools": "input(2x17x18)\n maxpool(3, 2, 1)\n avgpool(2, ceil_mode=true) -> lppool(2, 2) -> subsample(2)",
    "adaptive": "input(2x17x18)\n adaptive_avgpool(5x4) -> conv(3, 2)",
    "same_lower": "input(2x9x10)\n conv(3, 4x5, 1x2, \"same_lower\") -> maxpool(2, 2, \"same_lower\")",
    "transposed same": "input(2x5x6)\n conv_transpose(3, 4x2, 2x3, padding=\"same\") -> conv(2, 3)",
    "same": "input(2x9x10)\n conv(3, 4x5, 1x2, \"same\") -> maxpool(2, 2, \"same\")",
    "a row": "input(4x31)\n conv(3, 4, 2, 1, 2) -> maxpool(2) -> conv_transpose(2, 3, 2)",
    "planes": "input(2x5x6x7)\n conv(3, 2x3x1, 1x2x1, 1) -> avgpool(1x2x3)",
    "resized": "input(2x9x10)\n upsample(scale_factor=2) -> conv(1, 3)\n"
    " upsample(scale_factor=2, mode=\"bilinear\")",
    "resized otherwise": "input(2x9x10)\n upsample(scale_factor=2, mode=\"bicubic\") -> conv(1, 3)\n"
    " upsample(size=20x31, mode=\"bilinear\", align_corners=true)\n"
    " upsample(scale_factor=3/2, mode=\"nearest_exact\")",
    "padded with the map": "input(2x9x10)\n pad(2, mode=\"reflect\") -> conv(2, 3)\n"
    " pad([1, 2], mode=\"circular\") -> conv(2, 3, stride=2)\n pad(1, mode=\"replicate\") -> conv(2, 3)",
    "deformed": "input(4x9x10)\n o = conv(24, 3x2, stride=2, padding=1x0)\n"
    " m = conv(12, 3x2, stride=2, padding=1x0)\n"
    " deform_conv(6, 3x2, o, mask=m, stride=2, padding=1x0, groups=2) -> bn -> conv(2, 1)",
    "placed": "input(2x9x10)\n pad([[1, 0], [0, 2]]) -> conv(2, 3) -> crop(5x6) -> slice(1, 4, \"height\")",
    "joined": "input(3x9x10)\n conv(4, 3, padding=1)\n a = conv(4, 5, padding=2)\n b = conv(4, 1)\n"
    " concat(add(a, b), sub(a, b), identity)",
    "excited": "input(3x9x10)\n conv(4, 3)\n"
    " s = global_avgpool -> conv(2, 1) -> relu -> conv(4, 1) -> sigmoid\n"
    " mul(identity, s) -> layer_scale -> grn",
    "normalised": "input(4x9x10)\n conv(4, 3) -> lrn(3)\n"
    " layer_norm(\"channels\") -> group_norm(2) -> instance_norm",
    "shuffled": "input(4x9x10)\n conv(6, 1, groups=2) -> channel_shuffle(2) -> depthwise(3) -> prelu(6)",
    "elementary": "input(4x9x10)\n conv(4, 3) -> softplus -> pow(1.5) -> clamp(max=3) -> mish -> hardtanh\n"
    " exp -> log -> sqrt -> rsqrt -> square -> sin -> cos -> erf -> softsign -> logsigmoid -> conv(2, 2)",
    "gates": "input(4x9x12)\n conv(4, 3x1) -> glu -> glu(\"width\") -> conv(2, 2) -> log_softmax(\"width\")",
    "reduced": "input(4x9x10)\n conv(4, 3) -> reduce(\"max\", \"width\") -> conv(3, 2x1)\n"
    " reduce(\"var\", \"channels\") -> conv(2, 2x1) -> reduce(\"norm\", \"height\", keepdim=false)",
    "attention over places": "input(4x9x10)\n conv(4, 3)\n"
    " m = concat(reduce(\"mean\", \"channels\"), reduce(\"max\", \"channels\")) -> conv(1, 3, padding=1)\n"
    " mul(identity, m -> sigmoid)",
    "squeezed along an axis": "input(4x9x10)\n conv(4, 3)\n mul(identity, reduce(\"mean\", \"width\"))\n"
    " conv(2, 3)",
    "pixels": "input(1x12x10)\n conv(8, 3, padding=1) -> pixel_shuffle(2) -> conv(3, 3) -> crop(20x16)\n"
    " pixel_unshuffle(4) -> conv(4, 2) -> pixel_shuffle(2)",
    "pixels there and back": "input(2x12x18)\n conv(2, 3, padding=1)\n"
    " pixel_unshuffle(3) -> pixel_shuffle(3)\n"
    " conv(1, 3)",
    "single pixels": "input(2x12x18)\n pixel_unshuffle(3) -> slice(4, 11) -> depthwise(2)\n"
    " pad([1, 0], dim=\"channels\") -> pixel_shuffle(2)",
    "pixels of branches": "input(2x8x9)\n concat(conv(3, 3, padding=1), conv(5, 5, padding=2))\n"
    " pixel_shuffle(2) -> conv(2, 2)",
    "rearranged": "input(4x9x10)\n transpose -> conv(3, 2x3) -> roll(1, \"channels\") -> transpose(1, 2)\n"
    " conv(2, 3) -> roll(-2, \"height\") -> relu",
    "stacked": "input(4x9x10)\n conv(4, 3)\n stack(identity, relu, dim=1) -> conv(3, 2x1x1)\n"
    " reduce(\"sum\", \"depth\", keepdim=false)",
    "columns": "input(2x9x10)\n conv(3, 2) -> unfold(3, padding=1) -> pointwise(4)",
    "transposed to places": "input(6x9)\n conv(4, 2) -> transpose -> reduce(\"mean\") -> relu",
    "unpooled": "input(2x8x9)\n p: maxpool(2)\n conv(2, 3, padding=1) -> maxunpool(p) -> conv(1, 1)",
    "tokens": "input(3x16x12)\n conv(8, 4, stride=4)\n add(identity, parameter([8, 4, 3])) -> attention(2)\n"
    " reshape([8, 12]) -> add(identity, attention(4, is_causal=true) -> scale)\n"
    " matmul(permute([1, 0]), identity)",
    "sequence": "input(3x4x20)\n conv(4, 4x3) -> reshape(4x18) -> lstm(3, bidirectional=true) -> gru(4, 2)\n"
    " rnn(5, return_sequences=false) -> fc(2)",
    "rbf": "input(1x8x8)\n conv(2, 3) -> tanh -> flatten -> rbf(3)",
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_small_networks_hold(name: str) -> None:
    network = net(SMALL[name])
    proof = verify(network)
    assert [v.figure for v in proof.verdicts] == ["shapes", "params", "macs", "fields", "bytes", "peak"]
    for verdict in proof.verdicts:
        assert verdict.held, verdict
        assert verdict.measured == verdict.predicted
    totals = archcalc.analyze(network).totals
    figures = {v.figure: v.measured for v in proof.verdicts}
    assert figures["shapes"] == len(network.nodes)
    assert (figures["params"], figures["macs"]) == (totals.params, totals.macs)
    assert proof.without_padding <= totals.macs
    assert proof.held


def test_small_networks_have_all_that_multiplies() -> None:
    kinds = {node.kind for body in SMALL.values() for node in net(body).nodes}
    assert {kind.kind for kind in COUNTED} <= kinds


def test_shared_weights_are_allocated_once() -> None:
    twins = archcalc.loads(
        "shared block tower { conv(2, 3) -> flatten -> fc(3) }\n"
        "net n {\n a: input(1x5x6)\n b: input(1x5x6)\n sub(a -> tower, b -> tower)\n}"
    )
    proof = verify(twins)
    assert proof.held
    figures = {v.figure: v for v in proof.verdicts}
    assert figures["params"].measured == 2 * 9 + 2 + 24 * 3 + 3
    assert figures["macs"].measured == 2 * (18 * 12 + 72)
    assert figures["fields"].remark == "several inputs: not measured"


def test_steps_are_watched() -> None:
    steps: list[None] = []
    verify(net(SMALL["conv"]), watch=lambda: steps.append(None))
    passes, rest = divmod(len(steps), 3)
    assert rest == 0
    assert passes >= 5  # once for the counts, and twice or more along each axis


# --- Networks that do not ---------------------------------------------------------------------------


def failed(proof: Proof) -> dict[str, str]:
    return {verdict.figure: verdict.remark for verdict in proof.verdicts if not verdict.held}


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Change a fact of a kind. Facts are remembered: forget them before and after."""

    def change(kind: str, fact: str, make: Any) -> None:
        right = getattr(KINDS[kind], fact)
        monkeypatch.setattr(KINDS[kind], fact, lambda self, *args: make(right(self, *args)))
        kept_facts.cache_clear()

    yield change
    monkeypatch.undo()
    kept_facts.cache_clear()


def test_wrong_macs(wrong: Any) -> None:
    wrong("conv", "operations", lambda right: (("macs", right[0][1] * term(("2", 2))), *right[1:]))
    proof = verify(net("input(3x9x10)\n conv(4, 3) -> relu"))
    right = 3 * 4 * 9 * 7 * 8
    assert failed(proof) == {"macs": f"conv1: predicted {2 * right:,}, counted {right:,}"}
    assert not proof.held


def test_macs_that_cancel_out(wrong: Any) -> None:
    """A layer too much and a layer too little: the sum is right, the verdict is not."""
    right = KINDS["pointwise"](2)
    macs = right.operations(((2, 4, 5),), (2, 4, 5))[0][1]
    wrong("pointwise", "operations", lambda found: (("macs", macs * term(("2", 2))), *found[1:]))
    wrong("depthwise", "operations", lambda found: (("macs", term(("n", 2 * 20))), *found[1:]))
    proof = verify(net("input(2x4x5)\n pointwise(2) -> depthwise(1x2, padding=[[0, 0], [1, 0]])"))
    assert set(failed(proof)) == {"macs"}
    verdict = next(v for v in proof.verdicts if v.figure == "macs")
    assert verdict.predicted == 160 + 40
    assert verdict.measured == 80 + 80


def test_wrong_params(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prediction of 5 values more than the arrays have."""
    right = archcalc.Profile.totals.func

    def wrong(self: archcalc.Profile) -> Figures:
        return right(self).plus(Figures(params=5))

    monkeypatch.setattr(archcalc.Profile, "totals", property(wrong))
    proof = verify(net("input(3x9x10)\n conv(4, 3) -> prelu"))
    assert set(failed(proof)) == {"params"}
    verdict = next(v for v in proof.verdicts if v.figure == "params")
    assert (verdict.predicted, verdict.measured) == (3 * 4 * 9 + 4 + 1 + 5, 3 * 4 * 9 + 4 + 1)


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        (
            lambda w: Window(w.kernel_size + 1, w.stride, w.before, w.after, w.dilation),
            "depends on something",
        ),
        (lambda w: Window(w.kernel_size - 1, w.stride, w.before, w.after, w.dilation), "depends on nothing"),
        (lambda w: Window(w.kernel_size, w.stride + 1, w.before, w.after, w.dilation), "place"),
        (lambda w: Window(w.kernel_size, w.stride, w.before + 1, w.after, w.dilation), "place"),
        (lambda w: Window(w.kernel_size, w.stride, w.before, w.after, w.dilation + 1), "place"),
    ],
)
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("before", ["relu", "pad(-1) -> pad(1)", "crop(18x19) -> pad([[1, 0], [0, 1]])"])
def test_wrong_windows(wrong: Any, change: Any, remark: str, axis: int, before: str) -> None:
    def make(right: tuple[Window, ...]) -> tuple[Window, ...]:
        return tuple(change(w) if i == axis else w for i, w in enumerate(right))

    # a pool's shape does not ask its windows again once they are changed behind its back
    text = f"input(2x19x20)\n {before} -> maxpool(5, 2, 1) -> abs"
    sound = net(text)
    assert verify(sound).held
    shape = sound["maxpool1"].shape
    wrong("maxpool", "windows", make)
    wrong("maxpool", "output_shape", lambda right: shape)
    proof = verify(net(text))
    problems = failed(proof)
    assert list(problems) == ["fields"]
    assert problems["fields"].startswith(f"maxpool1, axis {axis}: ")
    assert remark in problems["fields"]
    verdict = next(v for v in proof.verdicts if v.figure == "fields")
    assert verdict.predicted == len(sound.nodes)
    assert verdict.measured == len(sound.nodes) - 2  # the pool and what stands behind it are wrong


def test_a_kernel_that_computes_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    right = KERNELS[KINDS["conv"]]
    monkeypatch.setitem(KERNELS, KINDS["conv"], lambda layer, call: right(layer, call) * 1.01)
    remark = failed(verify(net("input(3x9x10)\n relu -> conv(4, 3)")))["macs"]
    assert remark.startswith("conv1: the slow path's result differs by ")


# --- Receptive fields -------------------------------------------------------------------------------


def test_a_single_column_shows_the_holes_of_dilation() -> None:
    """A window of 3 taps, 3 apart, sees columns 0, 3 and 6 of its 7: not those between."""
    network = net("input(1x9x15)\n conv(1, 3, dilation=2x3)")
    found = {}
    for column in range(15):
        x = np.zeros((1, 1, 9, 15), np.float32)
        x[..., column] = np.nan
        out = execute(network, x, options=RunOptions(finite=False)).outputs["output"][0, 0]
        assert out.shape == (5, 9)
        spoiled = np.isnan(out)
        assert (spoiled == spoiled[0]).all()
        found[column] = set(np.flatnonzero(spoiled[0]).tolist())
    for column, places in found.items():
        assert places == {p for p in range(9) if column - p in (0, 3, 6)}


def test_holes_fill_up_behind_a_second_layer() -> None:
    """Dilation 2 behind dilation 1 sees without holes; dilation 2 twice sees every other column."""
    for first, taps in ((1, {0, 1, 2, 3, 4, 5, 6}), (2, {0, 2, 4, 6, 8})):
        network = net(f"input(1x15)\n conv(1, 3, dilation={first}) -> conv(1, 3, dilation=2)")
        seen = set()
        for column in range(15):
            x = np.zeros((1, 1, 15), np.float32)
            x[..., column] = np.nan
            if np.isnan(execute(network, x, options=RunOptions(finite=False)).outputs["output"][0, 0, 0]):
                seen.add(column)
        assert seen == taps


HULLS = {
    "narrow": "input(1x1x128)\n conv(8, [1, 9], [1, 2], padding=[0, 4]) -> relu -> global_avgpool",
    "one place": "input(4x1x1)\n layer_norm",
    "two places": "input(3x2x2)\n group_norm(1)",
    "gate": "input(4x1x64)\n mul(identity, global_avgpool -> conv(4, 1) -> sigmoid)",
    "atrous": "input(3x33x31)\n conv(8, 3, padding=18, dilation=18, bias=false) -> bn -> relu",
    "cropped": "input(3x32x31)\n crop(8) -> global_avgpool",
    "cropped and padded": "input(3x20x21)\n crop(10x9) -> conv(4, 3, padding=1) -> conv(4, 3, padding=1)",
    "left over": "input(1x3x5)\n conv(1, 2, stride=3) -> conv(1, 3, padding=1)",
    "left over more": "input(1x9x9)\n conv(1, 3, stride=7) -> conv(1, 3, padding=1)",
    "padding alone": "input(2x3x7)\n maxpool(2, stride=3) -> conv(3, 1, padding=4) -> maxpool(3)",
    "nothing to pool": "input(4x1x9)\n maxpool(2, 3, padding=1, dilation=2) -> conv(2, 1)",
    "turned": "input(3x16x20)\n conv(4, [1, 5]) -> permute([0, 2, 1]) -> conv(4, [3, 1])",
    "row": 'input(3x12x8)\n softmax("height") -> conv(2, 3)',
    "on a value": 'input(6x7x12)\n upsample(scale_factor=1/3, mode="bilinear")',
    "stretched": "input(2x12x12)\n a = adaptive_avgpool(1x12)\n mul(identity, a) -> conv(2, 3, stride=2)",
    "not followed": "input(1x1009)\n upsample(size=1013)",
    "spread": "input(4x4x12)\n conv_transpose(2, 3, [2, 2], padding=[2, 0], output_padding=1, dilation=3)",
}


@pytest.mark.parametrize("name", HULLS)
def test_fields_that_see_less_than_their_hull(name: str) -> None:
    """At the edges, behind cuts and between taps a place may see less than the field's hull says."""
    proof = verify(net(HULLS[name]))
    assert proof.held, proof.verdicts


def test_a_wrong_field_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field that archcalc reports is held against what places see, though its windows are right."""
    import archcalc.quantities.field_fold as module

    right = module.through

    def wrong(field: Field, facts: Any) -> Field:
        found = right(field, facts)
        return found if found.is_global else Field(tuple(n + 1 for n in found.size), *astuple(found)[1:])

    monkeypatch.setattr(module, "through", wrong)
    remark = failed(verify(net("input(2x19x20)\n relu -> crop(15x16) -> conv(4, 3)")))["fields"]
    assert remark == "relu1, axis 0: place 0 depends on 0 to 0, but its receptive field is 0 to 1"


# --- Lifetimes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "peak"),
    [
        ("input(3x4x5) -> conv(2, 1)", 60 + 40),
        ("input(3x4x5) -> conv(2, 1) -> relu -> tanh", 60 + 40),  # 40 + 40 behind it
        ("input(1x4x5) -> conv(6, 1) -> relu -> conv(1, 1)", 120 + 120),
        ("input(1x4x5) -> conv(6, 1) -> dropout -> conv(1, 1)", 120 + 20),  # a dropout puts out nothing new
        ("input(1x4x5) -> conv(6, 1)\n x = identity\n conv(4, 1) -> conv(6, 1)\n add(identity, x)", 3 * 120),
        ("input(2x4x5)\n conv(2, 1)\n output early = identity\n conv(2, 1) -> conv(2, 1)", 3 * 40),
        ("input(2x4x5)\n dead: conv(9, 1)\n x = conv(1, 1)\n add(x, x)", 40 + 180),
        ("input(2x4x5)\n concat(identity, conv(3, 1))", 40 + 60 + 100),
    ],
)
def test_peak_by_hand(body: str, peak: int) -> None:
    """Values alive at once, by hand: the layer's input and output, and what a later layer still reads."""
    network = net(body)
    assert inference(network, precision("int8")).peak(1)[0] == peak
    assert verify(network).verdicts[-1] == Verdict("peak", 4 * peak, 4 * peak, True)


# --- The command line -------------------------------------------------------------------------------


@pytest.fixture
def cli(run: Any) -> Any:
    Path("nets.arch").write_text(
        "net one { input(3x9x10) -> conv(4, 3, padding=1) -> bn -> relu }\n"
        "net two { input(1x4x5) -> conv(1, 3, padding=1, bias=false) }\n"
        "net big { input(8x640x640) -> conv(64, 3) }\n"
    )

    return partial(run, "verify", width=120)


def test_cli_table(cli: Any) -> None:
    status, out, err = cli("nets.arch:one", "nets.arch:two", "--jobs", "1")
    assert (status, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0][:8] == ["Network", "Input", "shapes", "params", "macs", "fields", "bytes", "peak"]
    assert lines[2] == ["nets.arch:one", "3×9×10", *["ok"] * 6, "9,720", "8,400"]
    assert lines[3] == ["nets.arch:two", "1×4×5", *["ok"] * 6, "180", "130"]
    assert "2 of 2 networks hold in every figure." in out


def test_cli_table_of_a_narrow_screen(cli: Any) -> None:
    _, out, _ = cli("nets.arch:one", "nets.arch:two", "--jobs", "1", width=80)
    lines = [line.split() for line in out.splitlines()]
    assert lines[2] == ["nets.arch:one", "3×9×10", "all", "hold", "9,720", "8,400"]
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("width", [80, 120])
def test_cli_one_network_in_full(cli: Any, width: int) -> None:
    _, out, _ = cli("nets.arch:two", width=width)
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["nets.arch:two", "at", "1×4×5"]
    assert [line[:4] for line in lines[3:9]] == [
        ["shapes", "2", "2", "ok"],
        ["params", "9", "9", "ok"],
        ["macs", "180", "180", "ok"],
        ["fields", "2", "2", "ok"],
        ["bytes", "80", "80", "ok"],
        ["peak", "160", "160", "ok"],
    ]
    assert lines[9] == "130 without multiplications by padding: 27.8% fewer".split()
    assert "1 of 1 network holds in every figure." in out
    assert max(map(len, out.splitlines())) <= 80


def test_cli_says_where_figures_differ(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import archcalc.profile as module

    def wrong(*arguments: Any, **named: Any) -> Any:
        timeline = inference(*arguments, **named)
        timeline.tensors.append(Stretch("none", "temporary", None, Size(1), 0, len(timeline.moments) - 1))
        return timeline

    monkeypatch.setattr(module, "inference", wrong)
    status, out, _ = cli("nets.arch:two", width=80)
    assert status == 1
    assert "nets.arch:two, peak: predicted 164, measured 160." in out
    status, out, _ = cli("nets.arch:two", "nets.arch:one", "--jobs", "1", width=80)
    assert status == 1
    assert "NO: peak" in out
    assert "0 of 2 networks hold in every figure." in out


def test_cli_json(cli: Any) -> None:
    status, out, _ = cli("nets.arch:two", "--format", "json")
    document = json.loads(out)
    assert status == 0
    assert document["schema"] == 1
    (entry,) = document["networks"]
    assert entry["name"] == "nets.arch:two"
    assert entry["proof"]["without_padding"] == 130
    verdicts = {v["figure"]: v for v in entry["proof"]["verdicts"]}
    assert verdicts["macs"]["predicted"] == verdicts["macs"]["measured"] == 180
    assert all(v["held"] for v in verdicts.values())


def test_cli_processes_agree(cli: Any) -> None:
    alone = cli("nets.arch:one", "nets.arch:two", "--format", "json", "--jobs", "1")
    assert cli("nets.arch:one", "nets.arch:two", "--format", "json", "--jobs", "2") == alone


def test_cli_large_inputs_are_scaled_down(cli: Any) -> None:
    status, out, _ = cli("nets.arch:big", "--format", "json")
    (entry,) = json.loads(out)["networks"]
    assert status == 0
    assert entry["inputs"] != "8×640×640"
    macs = next(v for v in entry["proof"]["verdicts"] if v["figure"] == "macs")
    assert 1e8 < macs["measured"] <= 1e9


def test_cli_parameters_are_those_of_the_declared_input(cli: Any) -> None:
    """Simonyan & Zisserman 2014, Table 2: 138 million, of which fc6 has 25,088 x 4,096 for maps of 7x7."""
    status, out, _ = cli("vgg16", width=120)
    assert status == 0
    assert "vgg16 at 3×52×52, scaled down from 3×224×224; `--full` runs it at that size" in out
    assert re.search(r"^params +138,357,544 +138,357,544  ok  .* at 3×224×224$", out, re.MULTILINE)
    assert "37,694,248" not in out
    (entry,) = json.loads(cli("vgg16", "--format", "json").out)["networks"]
    assert (entry["inputs"], entry["declared"]) == ("3×52×52", "3×224×224")
    out = cli("vgg16", "lenet5", "--jobs", "1", width=80).out
    assert "3×52×52*" in out
    assert "* scaled down; parameters are verified at the declared input" in out
    assert "1×32×32*" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_cli_what_is_not_scaled_down_says_nothing_of_it(cli: Any) -> None:
    assert "scaled" not in cli("nets.arch:one").out
    assert json.loads(cli("nets.arch:one", "--format", "json").out)["networks"][0]["declared"] == ""


def test_wrong_params_at_the_declared_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """The arrays are counted, not what is predicted of them."""
    right = archcalc.Profile.totals.func
    monkeypatch.setattr(
        archcalc.Profile, "totals", property(lambda self: right(self).plus(Figures(params=5)))
    )
    text = "net a { input(1xSxS)\n conv(2, 3) -> flatten -> fc(3) }"
    small, large = (archcalc.loads(text.replace("S", size)) for size in ("8", "16"))
    verdict = next(v for v in verify(small, declared=large).verdicts if v.figure == "params")
    measured = 2 * (9 + 1) + 3 * (2 * 14 * 14 + 1)
    assert (verdict.predicted, verdict.measured, verdict.held) == (measured + 5, measured, False)


def test_cli_a_figure_that_does_not_hold(cli: Any, wrong: Any) -> None:
    wrong("conv", "operations", lambda right: (("macs", right[0][1] * term(("2", 2))), *right[1:]))
    status, out, err = cli("nets.arch:two", "--jobs", "1")
    assert (status, err) == (1, "")
    assert re.search(r"^macs +360 +180 +NO", out, re.MULTILINE)
    assert "nets.arch:two, macs: predicted 360, measured 180. conv1: predicted 360, counted 180" in out
    assert "0 of 1 network holds" in out


def test_cli_a_shape_that_does_not_hold(cli: Any, wrong: Any) -> None:
    wrong("conv", "output_shape", lambda right: (*right[:-1], right[-1] + 1))
    status, out, _ = cli("nets.arch:two", "--jobs", "1")
    assert status == 1
    assert "failed" in out
    assert "`conv1` has the shape 1x4x5, but 1x4x6 was predicted" in out
    status, out, _ = cli("nets.arch:two", "--jobs", "1", "--format", "json")
    assert status == 1
    assert "was predicted" in json.loads(out)["networks"][0]["problem"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "name networks, or write `--all`"),
        (["--all", "vgg16"], "name networks, or write `--all`"),
        (["vgg17"], "vgg17"),
        (["nets.arch:three"], "three"),
        (["none.arch"], "none.arch"),
    ],
)
def test_cli_wrong_use(cli: Any, args: list[str], message: str) -> None:
    status, out, err = cli(*args)
    assert status == 2
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert "Traceback" not in err


def test_cli_shipped_networks(cli: Any) -> None:
    status, out, err = cli("lenet5", "resnet20_cifar", "mobilenet_v1", "--set", "x=1")
    assert status == 2  # no such option
    status, out, err = cli("lenet5", "resnet20_cifar")
    assert (status, err) == (0, "")
    assert "2 of 2 networks hold in every figure." in out


# --- Processes and signals --------------------------------------------------------------------------


def _started(*arguments):
    """`archcalc` in a process group of its own, once its two workers run; and their process ids."""
    command = [sys.executable, "-m", "archcalc", "verify", *arguments, "--jobs", "2"]
    parent = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    for _ in range(2400):
        workers = [int(word) for word in children.read_text().split()]
        if len(workers) == 2:
            return parent, workers
        time.sleep(0.05)
    raise AssertionError("no workers")


LARGE = ["vgg16", "vgg19", "resnet101", "resnet152", "inception_v3", "densenet201"]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(number):
    parent, _ = _started(*LARGE)
    parent.send_signal(number)
    # both streams end when no process has them any more, the workers included
    parent.communicate(timeout=60)
    assert parent.returncode == -number


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_a_killed_worker_is_an_outcome():
    parent, workers = _started(*LARGE)
    os.kill(workers[0], signal.SIGKILL)
    out, err = parent.communicate(timeout=120)
    assert parent.returncode == 1
    assert "Traceback" not in err
    assert "its process was killed" in " ".join(out.split())


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_an_interrupt_while_modules_are_loaded_shows_no_traceback():
    """A module that interrupts its own process while the command line imports it."""
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job ignores it
        "class Finder:\n"
        "    def find_spec(self, name, *more):\n"
        "        if name == {!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.argv = ['archcalc', 'verify', 'lenet5', '--jobs', '1']\n"
        "from archcalc.__main__ import main; main()"
    )
    for module in ("archcalc.cli", "typer", "archcalc.cli.verify", "archcalc.verify.command", "numpy"):
        done = subprocess.run(
            [sys.executable, "-c", code.format(module)], capture_output=True, text=True, check=False
        )
        assert done.returncode in (130, -signal.SIGINT), module
        assert "Traceback" not in done.stderr, module


def test_a_worker_killed_while_tasks_are_submitted_is_an_outcome(monkeypatch):
    """The pool then refuses the other tasks: they are said to be killed, too."""
    from archcalc.verify import workers

    class Pool(workers.ProcessPoolExecutor):
        def submit(self, function, task):
            if task > 2:
                raise workers.BrokenProcessPool
            return super().submit(function, task)

    monkeypatch.setattr(workers, "ProcessPoolExecutor", Pool)
    done = list(workers.in_processes(abs, [-1, -2, 3], 2, lambda task: f"killed {task}"))
    assert done == [1, 2, "killed 3"]
