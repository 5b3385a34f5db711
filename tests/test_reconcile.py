"""Figures as they are printed, and the ways to count that print as them."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc.conventions import conventions
from archcalc.diagnostics import ArchError
from archcalc.opening import load
from archcalc.profile import analyze
from archcalc.reconcile import Match, Way, _matching, _readings, parse_figures, reconcile
from archcalc.reconcile.ways import variants


@pytest.fixture
def run(run):
    return partial(run, "reconcile", width=100)


def best(net: str, figure: str) -> Match:
    (answer,) = reconcile(net, [figure])
    assert answer.matches, f"nothing prints as {figure}"
    return answer.matches[0]


def printed(count: int, size: int, digits: int) -> str:
    """A count in units of `size` with so many decimals, rounded half up."""
    return f"{Decimal(count).scaleb(-len(str(size)) + 1).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)}"


def values(net: str, figure: str) -> dict[int, Match]:
    (answer,) = reconcile(net, [figure])
    return {match.value: match for match in answer.matches}


# --- Figures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "value", "step", "letter", "sorts"),
    [
        ("4.12G", "4.12", "0.01", "G", ("operations", "parameters")),
        ("4.1 GFLOPs", "4.1", "0.1", "G", ("operations",)),
        ("4GMACs", "4", "1", "G", ("operations",)),
        ("569 M mult-adds", "569", "1", "M", ("operations",)),
        ("25.6M params", "25.6", "0.1", "M", ("parameters",)),
        ("96 MB", "96", "1", "M", ("bytes",)),
        ("58.1MiB", "58.1", "0.1", "M", ("bytes",)),
        ("528MB params", "528", "1", "M", ("stored parameters",)),
        ("11.1M activations", "11.1", "0.1", "M", ("values",)),
        ("4.1B", "4.1", "0.1", "G", ("operations", "parameters")),
        ("3.8e9", "3.8e9", "0.1e9", "", ("operations", "parameters")),
        ("3,857,973,248", "3857973248", "1", "", ("operations", "parameters")),
        ("60 million parameters", "60", "1", "M", ("parameters",)),
        ("4.1 billion", "4.1", "0.1", "G", ("operations", "parameters")),
        ("4.1g", "4.1", "0.1", "G", ("operations", "parameters")),
        ("102mb", "102", "1", "M", ("bytes",)),
    ],
)
def test_a_figure_as_people_write_it(words, value, step, letter, sorts):
    (claimed,) = parse_figures(words.split())
    assert (claimed.value, claimed.step) == (Fraction(value), Fraction(step))
    assert (claimed.letter, claimed.sorts) == (letter, sorts)


def test_several_figures_and_words_between_them():
    found = parse_figures(["4.1G", "25.6M", "params", "96", "MB"])
    assert [claimed.text for claimed in found] == ["4.1G", "25.6M params", "96 MB"]
    assert [claimed.text for claimed in parse_figures(["4.1G,", "3.8G, 8.2G"])] == ["4.1G", "3.8G", "8.2G"]


@pytest.mark.parametrize(
    "words",
    [
        "x",
        "4.1",
        "4.1X",
        "-3G",
        "0G",
        "",
        " ",
        "4.1G G",
        "96MB MACs",
        "4.1GB GFLOPs",
        "4BB",
        "4iB",
        "4,1G",
        "4.1G billion",
        "٣G",
        "9" * 5000,
        "1e999",
    ],
)
def test_what_is_no_figure_is_a_mistake(words):
    with pytest.raises(ArchError):
        parse_figures([words])


@given(st.text(max_size=60))
def test_any_text_is_figures_or_a_mistake(text):
    with suppress(ArchError):
        assert parse_figures([text])


# --- What prints as a figure ------------------------------------------------------------------------


def test_resnet50_strides_in_the_3x3():
    # pytorch/vision#1266: the released models stride in the 3x3, the paper's in the first 1x1
    match = best("resnet50", "4.1G")
    assert (match.net, match.value, match.unit) == ("resnet50_v1_5", 4_089_184_256, "MACs")
    assert {part.text: part.value for part in match.parts} == {
        "MACs of conv": 4_087_136_256,
        "MACs of fc": 2_048_000,
    }


def test_resnet50_of_the_paper_is_cut_off():
    match = best("resnet50", "3.8G")
    assert (match.net, match.value) == ("resnet50", 3_857_973_248)
    assert match.departures == ("truncated instead of rounded",)


def test_vgg16_without_its_classifier_and_with_it():
    # He et al. 2015, Section 3.3: 15.3 billion FLOPs; the convolutions alone
    assert best("vgg16", "15.3G").value == 15_346_630_656
    assert best("vgg16", "15.5G").value == 15_470_264_320
    twice = best("vgg16", "30.9G")
    assert (twice.value, twice.unit) == (2 * 15_470_264_320, "FLOPs")


def test_googlenet_with_heads_and_as_torchvision_has_it():
    assert best("googlenet", "7M params").value == 6_998_552
    assert best("googlenet", "6.6M params").net == "googlenet_torchvision"
    # torchvision's docs: 13,004,888 with its two heads; the paper's own convolutions make it 13.4M
    thirteen = values("googlenet", "13M params")
    assert {13_378_280, 13_004_888} <= thirteen.keys()
    assert "with its training heads" in thirteen[13_004_888].departures


def test_alexnet_in_its_three_sizes():
    assert best("alexnet", "62M").net == "alexnet_one_tower"
    assert best("alexnet", "61M").departures == ()
    assert best("alexnet", "60M").departures == ("truncated instead of rounded",)


def test_a_round_figure_may_have_been_rounded_at_the_last_digit_before_its_zeros():
    # Howard et al. 2017, Table 8: 15300 million for VGG-16; Zhang et al. 2017, Table 8: 720 for AlexNet
    match = best("vgg16", "15300M")
    assert (match.value, match.departures) == (15_346_630_656, ("rounded to 100M",))
    assert best("alexnet", "720M").departures == ("rounded to 10M",)
    assert best("vgg16", "15300000000").departures == ("rounded to 100,000,000",)
    (answer,) = reconcile("vgg16", ["15.30G"])  # decimals are precise
    assert not answer.plausible
    # two digits stay: 700M is 695M up to 705M, and 60M is no more than that
    assert best("alexnet", "60M").value == 60_965_224
    assert 724_406_816 not in values("alexnet", "700M")


def test_who_doubles_a_count_and_who_comes_to_it_by_itself():
    match = values("resnet50", "8.2G")[2 * 4_089_184_256]
    assert {"macs", "torchvision"} <= set(match.conventions)
    assert match.undoubled == ("torch-flop-counter",)


def test_of_equally_plausible_counts_the_simpler_comes_first():
    (answer,) = reconcile("mobilenet_v1", ["579M"])
    names = [match.conventions[0] for match in answer.plausible]
    assert names.index("fvcore") < names.index("convnet-burden")


def test_where_nothing_matches_the_nearest_come_with_what_remains():
    (answer,) = reconcile("vgg16", ["17.777G"])
    assert not answer.matches
    assert answer.nearest
    for match in answer.nearest:
        assert match.difference == match.value - 17_777_000_000
    distances = [abs(match.difference) for match in answer.nearest]
    assert distances == sorted(distances)


def test_bytes_of_parameters_in_both_megabytes():
    # torchvision's file of resnet50 is said to have 97.8 MB: 25,610,152 values with buffers, of 2**20
    assert best("resnet50", "102MB").unit == "bytes of parameters"
    match = best("resnet50", "97.5MiB")
    assert (match.value, match.departures) == (4 * 25_557_032, ())


def test_activations_as_timm_prints_them():
    # timm, results/model_metadata-in1k.csv: resnet50 has 11.11 M; Radosavovic et al. 2020: 11.1
    match = values("resnet50", "11.1M activations")[11_114_984]
    assert (match.net, match.conventions) == ("resnet50_v1_5", ("fvcore-activations",))
    assert best("resnet50", "11.11M activations").value == 11_114_984


def test_other_resolutions_are_tried():
    # conv layers alone grow with the area: (448/224)**2
    match = values("vgg16", "20.0G")[15_346_630_656 * 256**2 // 224**2]
    assert "input 3×256×256" in match.departures


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["vgg16", "resnet50", "resnet50_v1_5", "mobilenet_v1", "alexnet", "lenet5", "googlenet"]),
    st.sampled_from(sorted(name for name, c in conventions().items() if c.unit in ("MACs", "FLOPs"))),
    st.integers(2, 6),
)
def test_what_a_convention_prints_is_found_again(net, convention, digits):
    count = analyze(load(net), convention=convention).count
    letter, size = next(pair for pair in (("G", 10**9), ("M", 10**6), ("K", 10**3)) if pair[1] <= count)
    assert count in values(net, printed(count, size, digits) + letter)


@given(st.integers(10**9, 10**10), st.integers(1, 8))
def test_a_match_prints_as_the_figure_rounded_or_cut_off(value, digits):
    (claimed,) = parse_figures([printed(value, 10**9, digits) + "G"])
    way = Way(value, "operations", "MACs", "net", ("macs",), (), (), Fraction(0))
    rounded = [m for m in _matching(_readings(claimed), way) if not m.departures]
    assert rounded, "a figure that was printed from a value is matched by it"
    above = Way(
        int(value + claimed.step * 10**9 * 2), "operations", "MACs", "net", ("macs",), (), (), Fraction(0)
    )
    assert not [
        match for match in _matching(_readings(claimed), above) if "1024" not in " ".join(match.departures)
    ]


def test_variants_are_the_names_that_add_to_a_name():
    assert variants("resnet50") == ["resnet50_v1_5", "resnet50_keras"]
    assert variants("resnet50_v1_5") == ["resnet50", "resnet50_keras"]
    assert variants("wide_resnet50_2") == []


OWN = """
net small(width=1) { input(3x32x32) -> conv(16 * width, 3, stride=2) -> relu -> flatten -> fc(10) }
net small_dense { input(3x32x32) -> conv(16, 3) -> relu -> flatten -> fc(10) }
net small_wide(width) { input(3x32x32) -> conv(16 * width, 3) -> relu }
net two {
  a: input(3x8x8)
  b: input(3x8x8)
  add(a -> conv(4, 3), b -> conv(4, 3)) -> flatten -> fc(2)
}
"""


def test_networks_of_a_file_and_their_variants_there(tmp_path, run):
    path = tmp_path / "my nets.arch"
    path.write_text(OWN)
    plain = 16 * 27 * 15 * 15 + 16 * 15 * 15 * 10
    dense = 16 * 27 * 30 * 30 + 16 * 30 * 30 * 10
    match = best(f"{path}:small", f"{plain}")
    assert (match.net, match.value, match.departures) == (f"{path}:small", plain, ())
    match = best(f"{path}:small", f"{dense}")
    assert (match.net, match.departures) == (f"{path}:small_dense", (f"the variant {path}:small_dense",))
    assert best(f"{path}:small?width=2", f"{2 * plain}").departures == ()
    assert best(f"{path}:two", str(2 * 4 * 27 * 36 + 4 * 36 * 2)).departures == ()
    status, out, err = run(f"{path}:small", f"{dense}", "17G")
    assert (status, err) == (0, "")
    assert "stride 2 → 1 in 1 layer" in out.replace("\n", " ")


def test_a_network_with_overrides_is_no_variant_of_itself(run):
    status, out, _ = run("mobilenet_v1?width=0.5", "149M")
    assert (status, "→" in out) == (0, False)
    assert "mobilenet_v1?width=0.5 as it is" in out


# --- The command ------------------------------------------------------------------------------------


def test_the_command(run):
    status, out, _ = run("resnet50", "4.09G")
    assert status == 0
    assert "4,089,184,256 MACs: the variant resnet50_v1_5" in out
    assert "4,087,136,256 (MACs of conv) + 2,048,000 (MACs of fc)" in out
    assert "stride 2 → 1 in 3 layers, stride 1 → 2 in 3 layers" in out


def test_json(run):
    document = json.loads(run("vgg16", "138M params", "3.21G", "--format", "json")[1])
    first, second = document["figures"]
    assert first["figure"] == "138M params"
    assert first["matches"][0]["value"] == 138_357_544
    assert first["matches"][0]["conventions"][0] == "params"
    assert not second["matches"]
    assert second["nearest"][0]["difference"] == second["nearest"][0]["value"] - 3_210_000_000


@pytest.mark.parametrize("arguments", [["nope", "4G"], ["vgg16", "xyz"], ["vgg16", "4.5"], ["vgg16", "0M"]])
def test_mistakes_end_in_a_message(run, arguments):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")


@pytest.mark.parametrize("figure", ["186M", "9.87654321G"])
def test_what_is_not_tried_would_not_be_plausible(figure):
    (quick,) = reconcile("mobilenet_v1", [figure])
    (thorough,) = reconcile("mobilenet_v1", [figure], thorough=True)
    assert quick.plausible == thorough.plausible
    assert quick.nearest == thorough.nearest
    assert len(quick.matches) <= len(thorough.matches)


def test_it_answers_fast():
    start = time.process_time()
    reconcile("resnet152", ["11.3G", "60.2M", "240MB"])
    reconcile("mobilenet_v2", ["9.87654321G"])  # 22 variants
    assert time.process_time() - start < 3  # half a second on a quiet machine; CI's are not


def test_the_file_of_many_variants_is_read_once(tmp_path, monkeypatch):
    """Reading it for each of them made the time grow with the square of their number."""
    from archcalc.readers import arch

    nets = ["net n(c=4) { input(3x8x8) -> conv(c, 3) }", *(f"net n_{c} = n(c={c})" for c in range(5, 45))]
    (tmp_path / "n.arch").write_text("\n".join(nets) + "\n")
    reads, read = [], arch.read
    monkeypatch.setattr(arch, "read", lambda path, shown: reads.append(shown) or read(path, shown))
    (answer,) = reconcile(f"{tmp_path / 'n.arch'}:n", ["1148 params"], thorough=True)
    # 41 channels of 3x3x3 weights and a bias
    assert (answer.matches[0].net, answer.matches[0].value) == (f"{tmp_path / 'n.arch'}:n_41", 41 * 28)
    assert len(reads) == 1
