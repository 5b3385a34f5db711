"""Comparing networks. Golden files: `pytest tests/test_compare.py --overwrite`."""

from __future__ import annotations

import json
import time
from fractions import Fraction
from functools import partial, reduce
from itertools import combinations
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_schemas import schema

from archcalc import analyze, load, loads
from archcalc.comparison import Compared, ComparedNetwork, compare, open_subjects
from archcalc.comparison.account import MAX_LINES
from archcalc.comparison.matching import match
from archcalc.comparison.parts import NOTHING, by_kind, by_stage
from archcalc.comparison.words import phrase, sign, times
from archcalc.quantities import TOTALS, Figures
from archcalc.settings import Settings

GOLDEN = Path(__file__).parent / "golden"


def compared(*nets: str, heads: bool = False, convention: str = ""):
    return compare(open_subjects(nets, Settings(heads=heads, convention=convention)))


def texts(*sources: str):
    """A comparison of networks written here."""
    return compare([ComparedNetwork(f"net{i}", analyze(loads(text))) for i, text in enumerate(sources)])


def difference(comparison, quantity: str) -> int:
    (total,) = [total for total in comparison.totals if total.quantity == quantity]
    return total.figures[-1].difference


def accounted(comparison) -> Figures:
    return reduce(Figures.plus, (line.difference for line in comparison.account), NOTHING)


def changes(comparison) -> list[tuple[str, str, str, str]]:
    return [
        (pair.name, change.argument, change.before, change.after)
        for pair in comparison.matching.changed
        for change in pair.changes
    ]


def assert_it_adds_up(comparison) -> None:
    """Account, stages and kinds each come to the totals, exactly."""
    found = accounted(comparison)
    assert found == {name: difference(comparison, name) for name in found}
    assert found.keys() >= NOTHING.keys()
    for parts in (comparison.stages, comparison.kinds):
        for index, subject in enumerate(comparison.subjects):
            total = reduce(Figures.plus, (part.amounts[index] for part in parts), NOTHING)
            assert total == {name: subject.profile.totals[name] for name in total}
            assert total.keys() >= NOTHING.keys()


def assert_every_layer_once(comparison) -> None:
    matching = comparison.matching
    for side, subject in zip(("before", "after"), comparison.subjects, strict=True):
        nodes = [getattr(pair, side) for pair in matching.pairs if getattr(pair, side) is not None]
        profile = subject.profile
        expected = {n.index for n in profile.network.nodes if profile.heads or not n.training}
        assert len(nodes) == len(expected)
        assert {node.index for node in nodes} == expected


# --- Totals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", ["macs", "flops", "paper-conv", "weights", "slides-memory"])
@pytest.mark.parametrize(
    "nets", [("vgg16", "vgg16_bn"), ("alexnet", "mobilenet_v1"), ("lenet5", "lenet5_1998")]
)
def test_it_adds_up_under_a_convention(nets, convention):
    comparison = compared(*nets, convention=convention)
    assert_it_adds_up(comparison)
    assert difference(comparison, "count") == comparison.subjects[1].profile.count - (
        comparison.subjects[0].profile.count
    )


def test_another_input_counts_where_a_convention_counts_inputs():
    # CS231n's table has a row for the input, 3*224*224 values of 4 bytes
    comparison = compared("vgg16", "vgg16?image=3x192x160", convention="slides-memory")
    assert_it_adds_up(comparison)
    (line,) = [line for line in comparison.account if line.name == "input"]
    assert line.difference.count == 4 * 3 * (192 * 160 - 224 * 224)


def test_every_total_is_compared_and_the_peak_has_a_place():
    comparison = compared("vgg16", "mobilenet_v1")
    totals = {total.quantity: total for total in comparison.totals}
    assert totals.keys() == {quantity.name for quantity in TOTALS}
    # Howard et al. 2017, Table 1: 112x112x32 in and 112x112x64 out of the first pointwise convolution;
    # the norm and the activation behind it take and give 112x112x64
    assert totals["peak_activations"].figures[1].value == 2 * 112 * 112 * 64
    assert totals["peak_activations"].reached_at == ("stage1/relu1", "separable1/bn2")
    assert totals["params"].reached_at == ()


def test_vgg16_and_mobilenet():
    # Howard et al. 2017, Table 8: VGG 16 has 138 million parameters and 15300 million mult-adds,
    # MobileNet 4.2 and 569: 32 times smaller and 27 times less compute intensive, as they say
    comparison = compared("vgg16", "mobilenet_v1")
    figures = {total.quantity: total.figures[1] for total in comparison.totals}
    assert figures["params"].ratio == Fraction(4_231_976, 138_357_544)
    assert figures["params"].difference == 4_231_976 - 138_357_544
    assert 32 < figures["params"].factor < 33
    assert 27 < figures["macs"].factor < 28
    assert figures["depth"].ratio == Fraction(28, 16)


def test_the_largest_factor_comes_first_and_what_is_alike_last():
    totals = compared("resnet50", "resnet50_v1_5").totals
    factors = [total.figures[1].factor for total in totals if total.figures[1].difference]
    assert factors == sorted(factors, reverse=True)
    assert totals[0].quantity == "macs"
    alike = [not total.figures[1].difference for total in totals]
    assert alike == sorted(alike)


@pytest.mark.parametrize(
    ("figure", "words", "short"),
    [
        (Compared(4_231_976, 138_357_544), "32.7 times fewer", "÷32.7"),
        (Compared(85, 40), "2.13 times as many", "×2.13"),  # 2.125, half up
        (Compared(40, 20), "2 times as many", "×2"),
        (Compared(20_001, 10_000), "2.00 times as many", "×2.00"),
        (Compared(999_600, 100_000), "10.0 times as many", "×10.0"),  # 9.996
        (Compared(106, 100), "6.0% more", "+6.0%"),
        (Compared(110, 100), "1.10 times as many", "×1.10"),
        (Compared(94, 100), "6.0% fewer", "-6.0%"),
        (Compared(100_001, 100_000), "<0.1% more", "<+0.1%"),
        (Compared(7, 7), "the same", "="),
        (Compared(0, 0), "the same", "="),
        (Compared(5, 0), "from none", ""),
        (Compared(0, 5), "none", ""),
    ],
)
def test_factors_in_words(figure, words, short):
    assert phrase(figure) == words
    assert sign(figure) == short


def test_nothing_has_no_ratio():
    assert Compared(3, 0).ratio is None
    assert Compared(0, 3).ratio == 0


@given(st.integers(1, 10**25), st.integers(1, 10**25))
def test_a_factor_is_within_half_a_unit_of_its_third_digit(a, b):
    factor = Fraction(max(a, b), min(a, b))
    text = times(factor)
    shown = Fraction(text.replace(",", ""))
    digits = len(text.partition(".")[2])
    assert abs(shown - factor) <= Fraction(1, 2 * 10**digits)
    if factor.denominator == 1:
        assert shown == factor
    elif factor < 1000 - Fraction(1, 2):
        assert len(text.replace(".", "")) == 3


# --- Stages and kinds -------------------------------------------------------------------------------


def stages(text: str) -> dict[str, Figures]:
    profile = analyze(loads(text))
    return {part.name: part.amounts[0] for part in by_stage([profile])}


def test_stages_by_hand():
    found = stages("""\
net n {
  input(3x17x23)
  conv(4, 3)                   # 15x21, unpadded: still every place
  conv(5, 3, stride=2)         # 7x10
  maxpool(3, stride=2)         # 3x4
  conv(6, 1) -> relu
  global_avgpool -> flatten -> fc(7)
}
""")
    assert list(found) == ["1/1", "1/2", "1/4", "head"]
    assert [amounts.layers for amounts in found.values()] == [1, 1, 3, 3]
    assert found["1/1"].macs == 27 * 4 * 15 * 21
    assert found["1/2"].macs == 36 * 5 * 7 * 10
    assert found["1/4"].params == 5 * 6 + 6
    assert found["head"].params == 6 * 7 + 7


def test_axes_may_have_scales_of_their_own():
    assert list(stages("net n {\n input(1x8x9)\n conv(2, 3, stride=1x2)\n conv(2, 1, stride=3)\n}")) == [
        "1/1×1/2",
        "1/3×1/6",
    ]


def test_a_decoder_shares_the_stages_of_its_encoder():
    found = stages("""\
net n {
  input(1x8x8)
  maxpool(2, stride=2)
  maxpool(2, stride=2)
  conv_transpose(2, 2, stride=2)
  upsample(scale_factor=2)
  upsample(scale_factor=2, mode="bilinear")
}
""")
    assert {name: amounts.layers for name, amounts in found.items()} == {
        "2/1": 1, "1/1": 1, "1/2": 2, "1/4": 1,
    }  # fmt: skip


def test_what_flows_back_into_a_map_is_not_the_head():
    found = stages("""\
net n {
  input(6x8x8)
  conv(6, 1, stride=2)
  mul(identity, global_avgpool -> conv(6, 1) -> sigmoid)
  global_avgpool -> flatten -> fc(2)
}
""")
    assert {name: amounts.layers for name, amounts in found.items()} == {"1/2": 5, "head": 3}


def test_a_network_on_vectors_is_all_head():
    assert list(stages("net n {\n input([7])\n fc(3) -> relu -> fc(2)\n}")) == ["head"]


def test_the_stages_of_resnet50_are_those_of_its_table():
    # He et al. 2015, Table 1: output sizes 112, 56, 28, 14, 7 of an input of 224. conv3_x's first 1x1 and
    # its projection stride, so that all of conv3_x is at 1/8: 4 units of 10 layers, and the projection's 2
    found = {part.name: part.amounts[0].layers for part in by_stage([analyze(load("resnet50"))])}
    assert found == {"1/2": 3, "1/4": 1 + 32, "1/8": 42, "1/16": 62, "1/32": 32, "head": 4}


def test_different_families_line_up():
    names = [part.name for part in compared("alexnet", "googlenet", "vgg16", "resnet50").stages]
    assert names == ["1/1", "1/2", "1/4", "1/8", "1/16", "1/32", "head"]


def test_the_kinds_of_resnet50():
    # He et al. 2015, Table 1: 7x7 and 16 units with one 3x3 and two 1x1 each; 4 projections
    kinds = {part.name: part.amounts[0] for part in by_kind([analyze(load("resnet50"))])}
    assert (kinds["conv"].layers, kinds["pointwise"].layers, kinds["fc"].layers) == (17, 36, 1)
    assert kinds["norm"].params == analyze(load("resnet50")).totals.params - sum(
        kinds[name].params for name in ("conv", "pointwise", "fc")
    )


def test_one_by_one_and_grouped_convolutions_by_what_they_are():
    text = """\
net n {
  input(6x9x9)
  conv(6, 3, groups=6)
  conv(12, 3, groups=3)
  conv(12, 1x3)
  conv(5, 1)
  pointwise(4)
  depthwise(3)
}
"""
    kinds = {part.name: part.amounts[0].layers for part in by_kind([analyze(loads(text))])}
    assert kinds == {"conv": 1, "grouped conv": 1, "depthwise": 2, "pointwise": 2}


# --- The structural difference ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet50", "resnet152"])
def test_v1_5_moves_the_stride_into_the_three_by_three(name):
    comparison = compared(name, f"{name}_v1_5")
    expected = []
    for stage in ("conv3_x", "conv4_x", "conv5_x"):
        expected += [
            (f"{stage}/bottleneck1/cbr1/conv1", "stride", "2", "1"),
            (f"{stage}/bottleneck1/cbr2/conv1", "stride", "1", "2"),
        ]
    assert changes(comparison) == expected
    assert not comparison.matching.added
    assert not comparison.matching.removed
    # each first 1x1 then reads four times the places: 3 times 56*56*256*128 * 3/4, alike in every stage
    assert [line.name for line in comparison.account] == [
        f"{stage}/bottleneck1/cbr1" for stage in ("conv3_x", "conv4_x", "conv5_x")
    ]
    assert {line.difference.macs for line in comparison.account} == {56 * 56 * 256 * 128 * 3 // 4}
    assert [(line.changed, line.affected) for line in comparison.account] == [(1, 2)] * 3


def test_the_reduction_before_the_naive_convolution():
    comparison = compared("inception_naive", "inception_reduced")
    matching = comparison.matching
    assert [node.name for node in matching.added] == ["conv1", "relu1"]
    assert [(pair.before.name, pair.after.name) for pair in matching.moved] == [
        ("conv1", "conv2"),
        ("relu1", "relu2"),
    ]
    assert changes(comparison) == []
    # lecture slides: 192 to 32 channels by 5x5 over 28x28, against 192 to 16 to 32
    assert [(line.name, line.difference.macs) for line in comparison.account] == [
        ("conv1", 28 * 28 * 192 * 16),
        ("relu1", 0),
        ("conv2", 28 * 28 * 25 * 32 * (16 - 192)),
    ]


def test_vgg19_has_a_convolution_more_in_each_of_three_stages():
    matching = compared("vgg16", "vgg19").matching
    assert [node.name for node in matching.added] == [
        f"stage{stage}/{kind}4" for stage in (3, 4, 5) for kind in ("conv", "relu")
    ]
    assert not matching.removed
    assert not matching.changed


def test_half_the_width_changes_every_pointwise_convolution():
    comparison = compared("mobilenet_v1", "mobilenet_v1?width=0.5")
    found = changes(comparison)
    assert len(found) == 14  # the first convolution and 13 pointwise ones; Howard et al. 2017, Table 1
    assert {argument for _, argument, _, _ in found} == {"out_channels"}
    assert all(int(before) == 2 * int(after) for _, _, before, after in found)
    assert not comparison.matching.moved


def test_every_convolution_of_a_wider_version_is_wider():
    # each layer of the wider one equals the next of the other, on another shape
    def plain(c: int) -> str:
        convs = [f"conv({c + n}, 3, padding=1) -> relu -> maxpool(2, stride=1)" for n in range(24)]
        return "net n {\n input(3x32x48)\n " + "\n ".join(convs) + "\n}"

    comparison = texts(plain(3), plain(4))
    assert changes(comparison) == [
        (f"conv{n + 1}", "out_channels", str(3 + n), str(4 + n)) for n in range(24)
    ]
    assert not comparison.matching.added


@pytest.mark.parametrize("padding", [(0, 0), (0, 2)])
def test_a_unit_put_before_one_with_the_same_channels_is_added(padding):
    small, large = (
        f"conv(8, {k}, padding={p}) -> bn -> relu\n" for k, p in zip((1, 5), padding, strict=True)
    )
    text = "net n {{\n input(3x9x8)\n{}}}"
    comparison = texts(text.format(large), text.format(small + large))
    assert [node.name for node in comparison.matching.added] == ["conv1", "bn1", "relu1"]
    assert changes(comparison) == []


def test_versions_and_families_are_told_apart():
    versions = [
        ("resnet50", "resnext50_32x4d"), ("resnet50", "wide_resnet50_2"), ("resnet50", "se_resnet50"),
        ("resnet50", "resnet152"), ("alexnet", "zfnet"), ("vgg11", "vgg19_bn"),
        ("googlenet", "googlenet_separable"),
    ]  # fmt: skip
    for pair in versions:
        assert compared(*pair).matching.alike, pair
    for pair in [("vgg16", "mobilenet_v1"), ("resnet152", "densenet201"), ("alexnet", "resnet50")]:
        comparison = compared(*pair)
        assert not comparison.matching.alike, pair
        assert {line.name for line in comparison.account} <= {part.name for part in comparison.stages}


def test_other_inputs_are_a_change():
    text = """\
net n {{
  input(4x9x8)
  x = conv(4, 1)
  y = x -> relu
  z = y -> conv(4, 3, padding=1)
  add(z, {})
}}
"""
    comparison = texts(text.format("x"), text.format("y"))
    assert changes(comparison) == [("add1", "inputs", "conv2, conv1", "conv2, relu1")]
    assert not comparison.identical
    assert comparison.account == ()


def test_a_layer_in_between_is_no_change_of_what_follows():
    before = "net n {\n input(4x9x8)\n add(identity, conv(4, 1))\n fc(3)\n}".replace(
        "fc(3)", "flatten -> fc(3)"
    )
    after = before.replace("conv(4, 1)", "conv(4, 1) -> bn -> relu")
    comparison = texts(before, after)
    assert [node.name for node in comparison.matching.added] == ["bn1", "relu1"]
    assert changes(comparison) == []


def test_other_inputs_are_a_change_behind_a_layer_that_was_added_too():
    text = """\
net n {{
  input(4x9x8)
  x = conv(4, 1)
  y = x -> relu
  z = y -> conv(4, 3, padding=1){}
  add(z, {})
}}
"""
    plain = text.format("", "x")
    assert changes(texts(plain, text.format(" -> bn", "x"))) == []
    comparison = texts(plain, text.format(" -> bn", "y"))
    assert changes(comparison) == [("add1", "inputs", "conv2, conv1", "bn1, relu1")]


def test_branches_that_changed_places_are_found_by_their_paths():
    text = "net n {\n input(4x9x8)\n relu\n concat(identity -> p, identity -> q)\n}"
    p = "block p { conv(5, 3, padding=1) -> bn }\n"
    q = "block q { conv(6, 1) -> tanh }\n"
    swapped = text.replace("> p", "> r").replace("> q", "> p").replace("> r", "> q")
    comparison = texts(p + q + text, p + q + swapped)
    assert not comparison.matching.added
    assert not comparison.matching.removed
    assert [change[:2] for change in changes(comparison)] == [("concat1", "inputs")]
    assert_every_layer_once(comparison)


def test_gaps_too_large_to_score_are_paired_by_path():
    text = "net n {{\n input(3x16x16)\n repeat 500 {{ conv({}, 3, padding=1) -> bn -> relu }}\n}}"
    start = time.perf_counter()
    comparison = texts(text.format(2), text.format(3))
    assert time.perf_counter() - start < 5
    assert len(comparison.matching.changed) == 500
    assert not comparison.matching.added
    assert_it_adds_up(comparison)
    assert_every_layer_once(comparison)


def test_sharing_parameters_is_a_change_and_counts_once():
    text = """\
shared block tower { conv(16, 3) -> relu -> flatten -> fc(8) }
net n {
  left: input(1x9x7)
  right: input(1x9x7)
  sub(left -> tower, right -> tower) -> abs -> fc(1)
}
"""
    comparison = texts(text.replace("shared block", "block"), text)
    owners = [change for change in changes(comparison) if change[1] == "parameters of"]
    assert owners
    assert all(before == "its own" for _, _, before, _ in owners)
    assert difference(comparison, "params") == -(16 * 9 + 16 + 560 * 8 + 8)
    assert_it_adds_up(comparison)


def test_another_input_shape_is_a_change_of_the_input():
    comparison = compared("vgg16", "vgg16?image=3x192x160")
    assert changes(comparison) == [("input", "shape", "3x224x224", "3x192x160")]
    assert_it_adds_up(comparison)


def test_another_kind_in_the_same_place():
    text = "net n {\n input(3x8x8)\n conv(4, 3) -> relu\n maxpool(2)\n}"
    assert changes(texts(text, text.replace("relu", "relu6"))) == [("relu6_1", "layer", "relu", "relu6")]
    comparison = texts(text, text.replace("maxpool(2)", "avgpool(2)"))
    assert changes(comparison) == [("avgpool1", "layer", "maxpool(2)", "avgpool(2)")]


@pytest.mark.parametrize("name", ["vgg16", "googlenet", "inception_v4", "resnet152", "mobilenet_v2"])
def test_a_network_does_not_differ_from_itself(name):
    comparison = compared(name, name)
    assert comparison.identical
    assert comparison.account == ()
    assert all(total.figures[1].ratio in (1, None) for total in comparison.totals)


def test_another_result_is_a_difference():
    text = "net n {\n input(3x8x8)\n x = conv(4, 3)\n y = x -> relu\n output first = x\n y\n}"
    assert not texts(text, text.replace("first = x", "first = y")).identical
    assert texts(text, text).identical


# --- The account ------------------------------------------------------------------------------------

NETS = (
    "lenet5_1998", "alexnet", "zfnet", "vgg11", "vgg16", "vgg16_bn", "googlenet", "resnet18", "resnet34",
    "resnet50", "resnet50_v1_5", "se_resnet50", "resnext50_32x4d", "mobilenet_v1", "mobilenet_v1?width=0.5",
    "mobilenet_v2", "squeezenet1_0", "unet", "densenet121", "inception_naive", "inception_reduced",
)  # fmt: skip


@pytest.fixture(scope="module")
def subjects():
    return {name: subject for name in NETS for subject in open_subjects([name])}


def test_the_account_adds_up_for_every_pair(subjects):
    for one, other in combinations(NETS, 2):
        comparison = compare([subjects[one], subjects[other]])
        assert_it_adds_up(comparison)
        assert_every_layer_once(comparison)
        assert len(comparison.account) <= MAX_LINES
        assert all(line.difference for line in comparison.account if line.name)


def test_the_account_adds_up_with_heads():
    comparison = compared("googlenet", "googlenet_separable", heads=True)
    assert_it_adds_up(comparison)
    assert_every_layer_once(comparison)


LAYERS = st.one_of(
    st.builds("conv({}, {}, padding=1)".format, st.integers(1, 6), st.sampled_from([1, 2, 3])),
    st.builds("conv({}, 3, padding=1, bias=false)".format, st.integers(1, 6)),
    st.builds("depthwise({}, padding=1)".format, st.sampled_from([1, 3])),
    st.sampled_from(["relu", "bn", "maxpool(2, stride=1)", "add(identity, relu)", "dropout", "lrn(5)"]),
    st.builds("concat(identity, conv({}, 1) -> relu)".format, st.integers(1, 4)),
    st.builds("unit({})".format, st.integers(1, 5)),
)
CHAINS = st.lists(LAYERS, min_size=1, max_size=12)
UNIT = "block unit(c) { conv(c, 3, padding=1) -> bn -> relu -> conv(c, 1) }\n"


def written(layers: list[str]) -> str:
    return UNIT + "net n {\n input(3x24x31)\n " + "\n ".join([*layers, "flatten -> fc(5)"]) + "\n}"


@settings(max_examples=150, deadline=None)
@given(CHAINS, CHAINS)
def test_the_account_adds_up_for_any_two_networks(one, other):
    comparison = texts(written(one), written(other))
    assert_it_adds_up(comparison)
    assert_every_layer_once(comparison)
    assert comparison.identical == (one == other)
    back = texts(written(other), written(one))
    assert NOTHING.minus(accounted(back)) == accounted(comparison)


@settings(max_examples=100, deadline=None)
@given(CHAINS, st.data())
def test_a_layer_that_was_added_is_found(layers, data):
    place = data.draw(st.integers(0, len(layers)))
    comparison = texts(written(layers), written([*layers[:place], "tanh", *layers[place:]]))
    assert [node.kind for node in comparison.matching.added] == ["tanh"]
    assert not comparison.matching.removed
    assert not [change for change in changes(comparison) if change[1] != "inputs"]


@settings(max_examples=100, deadline=None)
@given(CHAINS, st.data())
def test_an_argument_that_was_changed_is_found(layers, data):
    place = data.draw(st.integers(0, len(layers)))
    before, after = ([*layers[:place], f"stem: conv({n}, 3, padding=1)", *layers[place:]] for n in (7, 9))
    comparison = texts(written(before), written(after))
    assert changes(comparison) == [("stem", "out_channels", "7", "9")]
    assert not comparison.matching.added
    assert not comparison.matching.removed


def test_what_matters_least_is_summed_in_a_line_of_its_own():
    layers = [f"b{i}: conv({3 + i}, 1)" for i in range(30)]
    wider = [f"b{i}: conv({5 + 2 * i}, 1)" for i in range(30)]
    comparison = texts(written(layers), written(wider))
    *named, rest = comparison.account
    assert len(named) == MAX_LINES - 1
    # 30 convolutions that changed; `flatten` and `fc`, which are on another shape
    assert (rest.name, rest.lines) == ("", 32 - len(named))
    assert rest.changed + rest.affected == rest.lines
    # the further back, the wider, so that the first ones matter least
    assert [line.name for line in named] == [*(f"b{i}" for i in range(13, 30)), "flatten1", "fc1"]
    assert_it_adds_up(comparison)


def test_a_block_is_rolled_up_only_where_its_layers_agree():
    block = "block b(m, n) { conv(m, 1) -> relu -> conv(n, 3, padding=1) }\n"
    text = "net n {{\n input(3x9x7)\n b({}, {})\n b({}, 4)\n}}"
    comparison = texts(block + text.format(4, 6, 5), block + text.format(8, 5, 7))
    # in the first block the second convolution reads 8 for 4 and gives 5 for 6; the second agrees
    names = [line.name for line in comparison.account]
    assert names == ["b1/conv1", "b1/relu1", "b1/conv2", "b2"]


def test_two_versions_of_the_largest_networks_take_well_under_a_second():
    for pair in [("resnet152", "resnet152_v1_5"), ("densenet201", "resnet152")]:
        before, after = (analyze(load(name)) for name in pair)
        start = time.process_time()
        match(before, after)
        assert time.process_time() - start < 1, pair


# --- The command ------------------------------------------------------------------------------------


@pytest.fixture
def run(run):
    return partial(run, "compare")


GOLDEN_CASES = {
    "compare_vgg16_mobilenet_80": (80, "vgg16 mobilenet_v1"),
    "compare_resnet50_v1_5_120": (120, "resnet50 resnet50_v1_5"),
    "compare_inception_80": (80, "inception_naive inception_reduced"),
    "compare_four_80": (80, "alexnet googlenet vgg16 resnet50"),
    "compare_four_200": (200, "alexnet googlenet vgg16 resnet50"),
    "compare_width_80": (80, "mobilenet_v1 mobilenet_v1?width=0.5 --batch 32 --dtype float16"),
    "compare_resnets_human": (80, "resnet50 resnet152 --human"),
    "compare_se_resnet_80": (80, "resnet50 se_resnet50"),
    "compare_itself": (80, "vgg16 vgg16"),
    "compare_markdown": (80, "googlenet googlenet_separable --format markdown"),
    "compare_json": (80, "inception_naive inception_reduced --format json"),
}


@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_golden(name, run, overwrite):
    width, command = GOLDEN_CASES[name]
    result = run(*command.split(), width=width)
    assert result.status == 0, result.err
    assert "\x1b" not in result.out
    text = "\n".join(line.rstrip() for line in result.out.splitlines()) + "\n"
    path = GOLDEN / f"{name}.txt"
    if overwrite:
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("nets", ["vgg16 mobilenet_v1", "alexnet vgg16 resnet50", "resnet50 se_resnet50"])
def test_it_fits_and_no_number_is_cut_off(run, nets, width):
    lines = run(*nets.split(), width=width).out.splitlines()
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if "…" in line]


def test_the_json_follows_its_schema(run):
    for command in (
        "vgg16 mobilenet_v1", "vgg16 vgg16", "alexnet googlenet vgg16 resnet50", "googlenet resnet50 --heads",
        "resnet50 se_resnet50 --batch 3", "vgg16 vgg16_bn",
        "resnet50 resnet50_v1_5 --convention paper-conv",
    ):  # fmt: skip
        document = json.loads(run(*command.split(), "--format", "json").out)
        jsonschema.validate(document, schema("compare"))
        totals = {total["quantity"]: total for total in document["totals"]}
        if document["account"] is not None:
            for name in document["account"][0]["difference"] if document["account"] else ():
                lines = sum(line["difference"][name] for line in document["account"])
                assert lines == totals[name]["differences"][1]
        for total in document["totals"]:
            first = total["values"][0]
            assert total["differences"] == [value - first for value in total["values"]]


def test_batch_and_dtype_bear_on_bytes(run):
    document = json.loads(run("vgg11", "vgg13", "--batch", "3", "--dtype", "float16", "--format", "json").out)
    totals = {total["quantity"]: total["values"] for total in document["totals"]}
    assert totals["activation_bytes"] == [value * 6 for value in totals["activations"]]
    assert totals["param_bytes"] == [value * 2 for value in totals["params"]]


def test_input_holds_for_all(run):
    document = json.loads(run("vgg11", "resnet18", "--input", "3x96x64", "--format", "json").out)
    assert [network["inputs"] for network in document["networks"]] == [{"input": [3, 96, 64]}] * 2


def test_files_are_named_by_their_net_unless_that_is_ambiguous(run, tmp_path):
    text = "# Nobody 2001\nnet tiny(c=2) {\n input(1x5x6)\n conv(c, 3)\n}\n"
    (tmp_path / "old.arch").write_text(text)
    (tmp_path / "new.arch").write_text(text.replace("conv(c, 3)", "conv(c, 3, bias=false)"))
    result = run("old.arch", "new.arch")
    assert result.out.startswith("new.arch against old.arch\n")
    assert "bias true → false" in result.out
    assert run("old.arch", "vgg16").out.startswith("vgg16 against tiny\n")
    assert run("old.arch", "old.arch?c=3").out.startswith("tiny?c=3 against tiny\n")


def test_output_goes_to_a_file_whole(run, tmp_path):
    assert run("vgg11", "vgg13", "--format", "markdown", "-o", "x.md").out == ""
    assert (tmp_path / "x.md").read_text() == run("vgg11", "vgg13", "--format", "markdown").out
    assert run("vgg11", "vgg13", "-o", "no/such/x.md").status == 2
    assert [path.name for path in tmp_path.iterdir()] == ["x.md"]


def test_every_mistake_is_reported_once(run):
    error = run("vgg17", "resnet5", "vgg17").err
    assert error.count("error:") == 2
    assert "`vgg17`" in error
    assert "`resnet5`" in error
