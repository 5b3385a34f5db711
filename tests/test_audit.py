"""`archcalc audit`: what claims state, which verdict follows, what is said of mistakes in them."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from collections import Counter
from fractions import Fraction
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_schemas import schema
from tiny import tiny

from archcalc import ArchError, __version__
from archcalc.audit import papers
from archcalc.audit.claims import (
    MEASURED,
    VERDICTS,
    Claim,
    Deck,
    measurements,
    read_decks,
    read_file,
    shipped_files,
)
from archcalc.audit.functions import FUNCTIONS
from archcalc.audit.networks import Networks
from archcalc.audit.run import audit
from archcalc.audit.statement import state
from archcalc.audit.toml import Text
from archcalc.catalog import specs_folder
from archcalc.cli.audit import audit as audit_command
from archcalc.diagnostics import Source, Span
from archcalc.quantities import QUANTITIES
from archcalc.render.numbers import decimal

GOLDEN = Path(__file__).parent / "golden"

HEAD = '[mine]\ntitle = "A deck of mine"\n'
CLAIMS = f"""\
{HEAD}
[M-1]
place = "slide 1"
says = "The stem and its branch have 396 parameters"
printed = "396"
claim = 'params("tiny.arch", "stem") + params("tiny.arch", "a") == 244 + 152'
verdict = "exact"

[M-2]
place = "slide 2"
says = "VGG-16 has 138 million parameters, among its 16 layers with weights"
printed = "138M, 16"
claim = ['weighted_layers(vgg16) == 16', 'params(vgg16) ~ 138M']
because = "A table does not show why a figure is right."
verdict = "rounds"

[M-3]
place = "slide 3, left"
says = "AlexNet has 60M parameters"
printed = "60M"
claim = 'params(alexnet) ~ 60M'
under = 'floor(params(alexnet) / 1M) == 60'
variant = "truncated, not rounded"
because = "60,965,224 rounds to 61M."
verdict = "convention"

[M-4]
place = "slide 3, right"
says = "VGG-16 has fewer parameters than AlexNet"
printed = "fewer"
claim = 'params(vgg16) < params(alexnet)'
because = "It has 2.3 times as many: its first fully connected layer alone has more than all of AlexNet."
verdict = "discrepant"

[M-5]
place = "slide 4"
says = "The first convolution has 9,408 weights"
printed = "9,40"
restored = 'weights(resnet18, "conv1") == 9_408'
evidence = "The next column of the same row begins with 8."
verdict = "damaged"

[M-6]
place = "slide 5"
says = "Asked: the map"
printed = "?"
answer = 'correlation([[1, 2, 3], [4, 5, 6]], [[1, 10]])'
because = "21 is 1 + 2*10."
verdict = "open"

[M-7]
place = "slide 6"
says = "It is right 97 times of 100"
printed = "97%"
outside = true
because = "An accuracy is measured."
verdict = "outside"
"""


@pytest.fixture
def run(run, tmp_path):
    """Run `archcalc audit` beside a network and claims on it."""
    (tmp_path / "tiny.arch").write_text(tiny())
    (tmp_path / "mine.toml").write_text(CLAIMS)
    return lambda command, width=80: run("audit", *shlex.split(command), width=width)


def holds(statement: str) -> bool:
    source = Source("<test>", statement)
    return state(Text(statement, Span(source, 0, len(statement)), True), Networks()).held


# --- Statements -------------------------------------------------------------------------------------

TRUE = [
    "params(vgg16) == 138_357_544",  # Simonyan & Zisserman 2014, and every other program
    "params(vgg16) >= 138_357_544",
    "params(vgg16) ~ 138M",
    "params(vgg16) ~ 138.4M",
    "params(vgg16) within 1% of 137M",
    "100 within 25% of 80",
    "params(vgg16) / params(alexnet) ~ 2.27",
    "138.5M / 2 ~ 69.3M",  # 69.25 rounds up
    "4 * params(vgg16) / 1MiB ~ 527.8",
    "param_bytes(vgg16) ~ 553MB",
    "floor(params(alexnet) / 1M) == 60",
    'params(alexnet, "conv1") == (11 * 11 * 3 + 1) * 96',
    'shape(alexnet, "conv1") == 96x55x55',
    'shape(alexnet, "conv1")[0] == 96',
    'shape(alexnet, "fc6") == 4096',
    'shape(alexnet, "pool*") == [[96, 27, 27], [256, 13, 13], [256, 6, 6]]',
    'receptive_field(vgg16, "stage5") == 212',
    'receptive_field(vgg16, "stage1") == [6, 6]',
    'argument(alexnet, "conv1", "kernel_size") == 11',
    'argument(alexnet, "conv*", "kernel_size") == [11, 5, 3, 3, 3]',
    'argument(alexnet, "conv[345]*", "kernel_size") == 3',
    'argument(alexnet, "pool5", "stride") == 2',
    'argument(vgg16, "stage1/maxpool1", "stride") == 2',
    'argument(vgg16, "fc1", "bias") == true',
    'argument("tiny.arch", "a/conv1", "padding") + 1 == 2',
    'kinds(alexnet, "conv3") == ["conv", "relu"]',
    'kinds(alexnet, "input") == []',
    'distinct([3, 1, 3, 2, 1]) == [3, 1, 2]',
    "params([vgg16, alexnet]) == [138_357_544, 60_965_224]",
    'argument(alexnet, "conv1/conv1", ["kernel_size", "stride"]) == [11, 4]',
    'argument([alexnet, zfnet], "*1/conv1", ["kernel_size", "stride"])[1][0][0] == 7',
    'distinct(shape([vgg16, vgg19], "input")) == [3x224x224]',
    'number([vgg16, vgg19], "conv") == [13, 16]',
    'number(vgg16, "conv") == 13',
    'number(vgg16, "fc") == 3',
    'number(vgg16, "maxpool") == number(vgg16, "pool")',
    'number(vgg16, "stage3", "conv") == 3',
    "params(googlenet) < params(googlenet, heads=true)",
    'params("tiny.arch:tiny") == 1686',
    'params("tiny.arch", heads=true) == 1696',
    'params("tiny.arch?c=8", "stem") == 8 * (3 * 4 * 5 + 1)',
    'shape("tiny.arch", "a") == 4x8x4',
    "macs(mobilenet_v1(width=0.5, resolution=160)) == 76_524_800",  # keras.applications
    "shape(vgg16(input=3x192x160), \"stage5\") == 512x6x5",
    'params(vgg16(classes=10), "fc3") == 4096 * 10 + 10',
    'trainable_params(vgg16, freeze="stage*") == 123_642_856',  # its three fully connected layers
    'trainable_params(vgg16, freeze=["stage*", "fc1", "fc2"]) == 4096 * 1000 + 1000',
    'params(vgg16, freeze="stage*") == params(vgg16)',
    'trainable_params(vgg16) == params(vgg16)',
    'count(vgg16, convention="macs") == macs(vgg16)',
    "correlation([[1, 2, 3], [4, 5, 6]], [[1, 10]]) == [[21, 32], [54, 65]]",
    "convolution([[1, 2, 3], [4, 5, 6]], [[1, 10]]) == [[12, 23], [45, 56]]",
    "correlation([[1, 2, 3], [4, 5, 6]], [[1], [-1]], stride=[1, 2]) == [[-3, -3]]",
    "correlation([[5]], [[1, 2, 3]], padding=[0, 1]) == [[10]]",
    "max_pool([[1, 5, 2, 0], [3, 4, 8, 7]], 2) == [[5, 8]]",
    "max_pool([[1, 5, 2, 0], [3, 4, 8, 7]], [1, 3], stride=1) == [[5, 5], [8, 8]]",
    '"max" == "max"',
    "([1, 2] == 1x2 if 3 > 2 else 1 == 2) == true",
]  # fmt: skip
FALSE = [
    "params(vgg16) == 138_357_543",
    "params(vgg16) ~ 137M",
    "137.5M - 1 ~ 138M",
    "138.5M ~ 138M",
    "101 within 25% of 80",
    'shape(alexnet, "conv1") == 55x55x96',
    'shape(alexnet, "conv1") == 96x55',
    'receptive_field(vgg16, "stage1") == [6, 7]',
    'argument(alexnet, "conv*", "kernel_size") == 11',
    'argument(alexnet, "conv*", "kernel_size") <= 5',
    'kinds(alexnet, "conv3") == ["conv"]',
    "[] == 1",
    "convolution([[1, 2]], [[1, 10]]) == [[21]]",
]


@pytest.fixture
def tiny_folder(monkeypatch, tmp_path):
    (tmp_path / "tiny.arch").write_text(tiny())
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("tiny_folder")
@pytest.mark.parametrize("statement", TRUE)
def test_a_statement_that_holds(statement):
    assert holds(statement)


@pytest.mark.parametrize("statement", FALSE)
def test_a_statement_that_does_not_hold(statement):
    assert not holds(statement)


@given(st.integers(-(10**9), 10**9), st.integers(0, 6), st.integers(-2, 2))
def test_a_number_rounds_to_one_figure_of_each_precision(value, digits, off):
    unit = 10**digits
    nearest = (2 * value + unit) // (2 * unit)  # halves up
    figure = nearest + off
    if figure >= 0:
        assert holds(f"{value} ~ {figure}e{digits}") == (off == 0)


def maps(longest: int) -> st.SearchStrategy[list[list[int]]]:
    numbers = st.integers(-9, 9)
    rows = st.integers(1, longest).map(lambda width: st.lists(numbers, min_size=width, max_size=width))
    return rows.flatmap(lambda row: st.lists(row, min_size=1, max_size=longest))


@given(maps(5), maps(3), st.integers(1, 2), st.integers(1, 3))
def test_worked_examples_by_definition(image, kernel, padding, stride):
    rows, columns = len(kernel), len(kernel[0])

    def at(y, x):
        inside = 0 <= y - padding < len(image) and 0 <= x - padding < len(image[0])
        return image[y - padding][x - padding] if inside else 0

    tall, wide = len(image) + 2 * padding - rows + 1, len(image[0]) + 2 * padding - columns + 1
    if tall < 1 or wide < 1:
        return
    places = [[(y, x) for x in range(0, wide, stride)] for y in range(0, tall, stride)]
    taps = [(i, j) for i in range(rows) for j in range(columns)]
    correlated = [[sum(kernel[i][j] * at(y + i, x + j) for i, j in taps) for y, x in row] for row in places]
    turned = [
        [sum(kernel[rows - 1 - i][columns - 1 - j] * at(y + i, x + j) for i, j in taps) for y, x in row]
        for row in places
    ]
    assert holds(f"correlation({image}, {kernel}, stride={stride}, padding={padding}) == {correlated}")
    assert holds(f"convolution({image}, {kernel}, stride={stride}, padding={padding}) == {turned}")


@given(st.fractions())
def test_a_decimal_is_exact_or_says_that_it_is_not(value):
    text = decimal(value).replace(",", "")
    shown = Fraction(text.replace("≈", ""))
    assert (shown == value) == (not text.startswith("≈"))
    assert abs(shown - value) <= max(abs(value) / 10**5 / 2, Fraction(0))


# --- Verdicts ---------------------------------------------------------------------------------------

NO, YES, NEAR = "'1 == 2'", "'2 == 2'", "'21 ~ 2e1'"
VERDICT_CASES = {
    f"claim = {YES}": "exact",
    f"claim = {NEAR}": "rounds",
    f"claim = ['2 ~ 2', '3 within 5% of 3', '1 < 2', {YES}]": "exact",
    f"claim = [{YES}, {NEAR}]": "rounds",
    "claim = '100 within 25% of 80'": "rounds",
    f"claim = {NO}": "discrepant",
    f"claim = [{YES}, {NO}]": "discrepant",
    f"claim = [{NEAR}, {NO}]\ncorrect = '7'": "discrepant",
    f"claim = {NO}\nunder = {YES}\nvariant = 'v'": "convention",
    f"claim = {NO}\nunder = {NEAR}\nvariant = 'v'": "convention",
    f"claim = {NO}\nunder = [{YES}, {NO}]\nvariant = 'v'": "discrepant",
    f"claim = {YES}\nunder = {YES}\nvariant = 'v'": "exact",
    f"restored = {YES}\nevidence = 'e'": "damaged",
    f"claim = {NO}\nrestored = {YES}\nevidence = 'e'": "damaged",
    f"claim = {YES}\nrestored = {YES}\nevidence = 'e'": "exact",
    f"claim = {NO}\nrestored = [{YES}, {NO}]\nevidence = 'e'": "discrepant",
    f"claim = {NO}\nrestored = {NO}\nevidence = 'e'\nunder = {YES}\nvariant = 'v'": "convention",
    "answer = '2 * 3'": "open",
    "outside = true": "outside",
}


def one_claim(body: str, verdict: str) -> str:
    always = "place = 'p'\nsays = 's'\nprinted = '1%'\nbecause = 'b'"
    return f"{HEAD}\n[x]\n{always}\nverdict = '{verdict}'\n{body}\n"


@pytest.mark.parametrize("body", VERDICT_CASES)
def test_the_verdict_follows_from_the_statements(body, tmp_path):
    path = tmp_path / "one.toml"
    for stored in VERDICTS:
        path.write_text(one_claim(body, stored))
        found = audit([path])
        (finding,) = found.findings
        assert finding.verdict == VERDICT_CASES[body]
        assert finding.agrees == (stored == finding.verdict)
        assert found.summary == {"mine": {**dict.fromkeys(VERDICTS, 0), finding.verdict: 1}}
        assert found.disagreements == ([] if finding.agrees else [finding])


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("claim = ['1 == 1', '3 == 4', '5 == 6']", 3),  # the first that fails
        ("claim = ['1 == 1', '3 ~ 3']", 1),
        ("claim = ['1 == 1', '21 ~ 2e1']", 21),
        ("claim = ['21 ~ 2e1', '3 == 4']", 3),
        ("claim = '3 == 4'\ncorrect = '7 / 2'", Fraction(7, 2)),
        ("claim = '3 == 4'\nrestored = '5 == 5'\nevidence = 'e'", 5),
        ("claim = '3 == 4'\nunder = '5 == 5'\nvariant = 'v'", 3),
        ("answer = '2 * 3'", 6),
        ("outside = true", None),
    ],
)
def test_the_value_that_is_shown(body, value, tmp_path):
    (tmp_path / "one.toml").write_text(one_claim(body, "exact"))
    assert audit([tmp_path / "one.toml"]).findings[0].value == value


# --- The built-in claims ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", [path for path, _ in shipped_files()], ids=lambda path: path.stem)
def test_the_stored_verdicts_are_the_computed_ones(path):
    found = audit([path])
    assert {finding.id: finding.verdict for finding in found.findings} == {
        finding.id: finding.stored for finding in found.findings
    }


def test_no_claim_of_a_deck_is_left_out():
    """The decks have 52, 96, 77, 45 and 169 figures, and 29 statements that small numbers show."""
    (lectures,) = [path for path, _ in shipped_files() if path.stem == "lectures"]
    decks = read_file(lectures)
    assert [len(deck.claims) for deck in decks] == [52 + 2, 96 + 1, 77 + 12, 45 + 5, 169 + 9]
    for number, deck in enumerate(decks):
        assert deck.name == f"deck{number}"
        ids = [claim.id for claim in deck.claims]
        assert ids == [f"S{number}-{at:03}" for at in range(1, len(ids) + 1)]


def test_verdicts_that_the_text_of_a_deck_decides():
    """Each value by hand, or from the source that is named."""
    found = {finding.id: finding for finding in audit().findings}

    def verdicts(*ids):
        return {found[id].verdict for id in ids}

    # the memory column of VGG-16: 150K, 3.2M, 3.2M, 800K, ..., 25K are products to two digits
    column = [f"S4-{number:03}" for number in range(31, 68, 2)]
    for id in column:
        figure = Fraction(found[id].claimed.translate({ord("K"): "e3", ord("M"): "e6"}))
        assert float(f"{float(found[id].value):.2g}") == figure, id
    assert verdicts(*column) == {"rounds"}
    # real networks: blocks that halve the map cost less than those added after them, depthwise layers
    # grow with the width and not with its square, a classifier does not grow with the image
    scaled = {"S0-042": 2.020, "S0-043": 3.758, "S0-044": 3.999}
    assert {id: round(float(found[id].value), 3) for id in scaled} == scaled
    assert verdicts(*scaled, "S0-046") == {"convention"}
    # five kernels for AlexNet's first: 4*9*3*3 + 9*3*96 = 2,916 weights against 11*11*3*96
    (five,) = found["S0-022"].under
    assert (five.left, five.right, found["S0-022"].verdict) == (2_916, 34_848, "convention")
    # GoogLeNet: 57 convolutions with a ReLU each, and 86 other layers
    assert (found["S0-024"].value, found["S0-024"].verdict) == (86, "convention")
    # ResNet-18 with twice the blocks: 16 of two convolutions, the first convolution and the classifier
    assert (found["S0-040"].value, found["S0-040"].verdict) == (2 * 16 + 2, "discrepant")
    # Keras: DenseNet-169 14,149,480 without statistics, EfficientNet-B0 5,288,548; ResNet-152 60,192,808
    assert 2.25 < 14_149_480 / 5_288_548 < 2.75
    assert 7.25 < 60_192_808 / 7_794_184 < 7.75
    assert verdicts("S0-049", "S0-051") == {"convention"}
    # LeCun et al. 1998, Section II.B: "LeNet-5 comprises 7 layers, not counting the input"
    assert [outcome.left for outcome in found["S1-030"].under] == [7 + 1]
    # He et al. 2015, Figure 5: a block of two convolutions, and one of three
    assert (found["S2-047"].value, found["S2-047"].verdict) == (3, "convention")
    # MobileNet paper, Tables 8 and 9: 569M and 4.2M; SqueezeNet 1.25M parameters
    assert (found["S2-050"].value, found["S2-050"].verdict) == (4_231_976, "convention")
    # a step of training on tensors, at 3x224x224 in single precision, has 45,760,512 bytes alive beside the
    # parameters and their gradients; every value but the image has a gradient
    values, image = 15_237_608, 224 * 224 * 3
    assert found["S4-078"].value == Fraction(45_760_512, 4 * values)
    assert found["S4-078"].under[0].left == Fraction(2 * values - image, values)
    assert verdicts("S4-078") == {"convention"}
    # "(parallelizable)" is time; torchvision counts 11.398G for WRN-50-2 and 11.514G for ResNet-152
    assert verdicts("S4-168") == {"outside"}
    assert holds("macs(wide_resnet50_2) ~ 11.398G")
    assert holds("macs(resnet152_v1_5) ~ 11.514G")


def test_every_cited_expectation_of_the_specs_is_a_claim():
    text = "\n".join(path.read_text() for path in specs_folder().glob("*.arch"))
    line = re.compile(
        r'^ *expect (not )?\w+(?:\([^)]*\))? *(?:[=<>~]+|within [\d.]+% of) *[\w.]+ *"', re.MULTILINE
    )
    written = Counter(found == "not " for found in line.findall(text))
    found = audit(decks=["papers", "programs"])
    cited = [finding for finding in found.findings if finding.span.source.name.endswith(".arch")]
    # a figure that is wrong, or cut off where it should be rounded
    fails = ("discrepant", "convention")
    assert Counter(finding.verdict in fails for finding in cited) == written
    cut = [finding for finding in cited if finding.verdict == "convention"]
    assert {finding.variant for finding in cut} == {"truncated, not rounded"}
    for finding in cut:
        (outcome,) = finding.claims
        figure = outcome.figure
        assert figure.value + figure.step / 2 <= outcome.left < figure.value + figure.step
    assert found.disagreements == []
    ids = [finding.id for finding in found.findings]
    assert len(set(ids)) == len(ids)


def test_claims_on_papers_and_the_specs_own_are_one_deck(run, tmp_path):
    found = audit(decks=["programs", "papers"])
    decks = [finding.deck for finding in found.findings]
    assert decks == sorted(decks)  # each in one piece
    (deck,) = read_file(specs_folder() / "claims" / "papers.toml")
    claims = {claim.id for claim in deck.claims}
    assert claims < {finding.id for finding in found.findings if finding.deck == papers.PAPERS}
    assert all(finding.deck not in papers.DECKS for finding in audit().rows())
    (tmp_path / "mine.toml").write_text(CLAIMS.replace("[mine]", "[papers]"))
    assert "M-4" in run("--claims mine.toml").out


def test_no_figure_of_a_paper_is_claimed_twice():
    stated = Counter(
        outcome.text for finding in audit(decks=["papers"]).findings for outcome in finding.claims
    )
    (deck,) = read_file(specs_folder() / "claims" / "papers.toml")
    assert [text.text for claim in deck.claims for text in claim.claim if stated[text.text] > 1] == []
    assert all(re.fullmatch(r"[a-z0-9-]+(/[\w.?=&-]+){2}", claim.id) for claim in deck.claims)


def test_a_paper_that_is_wrong_has_the_reason_of_its_expectation():
    findings = {finding.id: finding for finding in audit(decks=["papers"]).findings}
    wrong = [finding for id, finding in findings.items() if id.startswith("vgg16/macs")]
    # He et al. and Howard et al. print 15.3G of 15,470,264,320
    assert [(w.verdict, w.claimed, w.value) for w in wrong] == [("discrepant", "15.3G", 15_470_264_320)] * 2
    assert all("15.47G" in finding.explanation for finding in wrong)


def test_measured_figures_by_network():
    # Howard et al. 2017, Tables 6 and 7; the later ones of the authors' list of trained models
    cited = {(one.net, one.id.split("/")[0]): one.value for one in measurements("top1")}
    assert cited["mobilenet_v1_0_25_224", "mobilenet-v1"] == Fraction(506, 10)
    assert cited["mobilenet_v1_0_25_224", "slim"] == Fraction(498, 10)
    assert cited["mobilenet_v1_1_0_160", "mobilenet-v1"] == Fraction(672, 10)
    (vgg16,) = [one for one in measurements("top1") if one.net == "vgg16"]
    assert (vgg16.id, vgg16.value) == ("mobilenet-v1/table-8/vgg16-top1", Fraction(715, 10))
    # Zhang et al. 2017, ShuffleNet v2's authors, print errors
    assert [float(one.value) for one in measurements("top1_error")] == [25.0, 27.4, 30.6, 38.9]
    with pytest.raises(ArchError, match="there is no measured quantity `top`"):
        measurements("top")


@pytest.mark.parametrize(
    ("citation", "deck"),
    [
        ("Table 2, D", "papers"),
        ("CS231n notes, VGGNet", "papers"),
        ("Table 1; torchvision 0.29, vgg16", "papers"),
        ("README of the authors' code", "papers"),
        ("torchvision 0.29, vgg16; Keras, VGG16", "programs"),
        ("keras.applications 3.15, MobileNet", "programs"),
        ("column C built in PyTorch", "programs"),
        ("a build of the authors' code in PyTorch", "programs"),
        ("a build in PyTorch from Section 3.2", "programs"),
    ],
)
def test_papers_and_programs(citation, deck):
    assert papers.deck_of(citation) == deck


# --- Mistakes ---------------------------------------------------------------------------------------

MISTAKES = [
    ("claim = 'parms(vgg16) == 1'", "unknown quantity or function `parms`", 8, 10, "did you mean `params`?"),
    ("claim = 'params(vgg17) == 1'", "there is no network `vgg17`", 8, 17, "vgg16"),
    ("""claim = 'params(vgg16, "stge1") == 1'""", "has no node or block `stge1`", 8, 24, "`stage1`"),
    ("claim = 'params(vgg16(clases=3)) == 1'", "no parameter `clases`", 8, 17, "did you mean `classes`?"),
    ("""claim = 'argument(vgg16, "fc1", "bais") == 1'""", "no layer of `fc1` has", 8, 33, "`bias`?"),
    ("""claim = 'number(vgg16, "cnv") == 1'""", "no layer kind or family `cnv`", 8, 24, "`conv`?"),
    ("""claim = 'count(vgg16, convention="mac") == 1'""", "there is no convention `mac`", 8, 34, ""),
    ("claim = 'count(vgg16) == 1'", "`count` needs `convention`", 8, 10, "archcalc conventions"),
    ("claim = 'params == 1'", "`params` needs its arguments", 8, 10, "params(vgg16)"),
    ("claim = '2 * vgg16 == 1'", "`vgg16` is a network", 8, 14, "params(vgg16)"),
    ("claim = 'params(vgg16) ~ params(alexnet)'", "expected a figure", 8, 26, ""),
    ("claim = 'params(vgg16) ~ 1x2'", "`~` needs a number", 8, 26, ""),
    ("claim = 'params(vgg16) ~ 138M + 1'", "expected the end, found `+`", 8, 31, ""),
    ("claim = 'params(vgg16)'", "expected `==`", 8, 23, ""),
    ("claim = 'shape(vgg16) == \"x\"'", "cannot compare a number with a string", 8, 10, ""),
    ("claim = '[1, 2] < [3, 4]'", "`<` compares numbers", 8, 10, ""),
    ("claim = 'true == 1'", "cannot compare a truth value with a number", 8, 10, ""),
    ("claim = '1 / 0 == 1'", "division by zero", 8, 14, ""),
    ("claim = 'conv(3, 3) == 1'", "unknown quantity or function `conv`", 8, 10, ""),
    ("claim = '{ conv(3, 3) } == 1'", "cannot contain layers", 8, 10, ""),
    ("claim = 'max_pool([[1]], 2) == 1'", "larger than its padded input", 8, 10, ""),
    ("claim = 'correlation([[1, 2], [3]], [[1]]) == 1'", "`image` needs rows", 8, 10, ""),
    ("claim = 'correlation([[1]], [[1]], padding=10000) == 1'", "more than 1,000,000 values", 8, 10, ""),
    ("claim = 'floor(1, 2) == 1'", "`floor` does not take 2", 8, 10, ""),
    ("claim = 'params(vgg16, freeze=\"fc9\") == 1'", "has no node or block `fc9`", 8, 31, ""),
    ("claim = 'params(vgg16, freeze=1) == 1'", "`freeze` is a path or a list of paths", 8, 31, "conv*"),
    ("claim = 'sources(vgg16, \"fc1\") == 1'", "no layer here is a convolution", 8, 25, "conv1"),
    ("claim = 'forward(\"rleu\", [1]) == 1'", "unknown layer or block `rleu`", 8, 10, "`relu`"),
    ("claim = 'forward(\"relu\", [1], 0, 1, 2, 3, 4) == 1'", "takes at most 6 arguments", 8, 43, ""),
    ("claim = 'params(vgg16, heads=1) == 1'", "`heads` is `true` or `false`", 8, 30, ""),
    ("claim = 'params(vgg16, stride=1) == 1'", "has no argument `stride`", 8, 24, "net, path, heads, freeze"),
    ("claim = ['2 == 2',\n  'params(vgg16) ~ 138Q']", "138Q", 9, 20, ""),
    ('claim = "params(vgg16, \\"fc9\\") == 1"', "has no node or block `fc9`", 8, 1, ""),
    ("claim = 3", "`claim` is a statement or a list", 8, 1, "params(vgg16) ~ 138M"),
    ("claim = []", "`claim` is a statement or a list", 8, 1, ""),
    ("clam = '1 == 1'", "unknown key `clam`", 8, 1, "did you mean `claim`?"),
    ("", "the claim `x` states nothing", 3, 2, "outside = true"),
    ("outside = false", "`outside` is `true` or left out", 8, 1, ""),
    ("outside = true\nclaim = '1 == 1'", "`outside` and `claim` cannot be combined", 9, 1, ""),
    ("answer = '1'\ncorrect = '1'", "`answer` and `correct` cannot be combined", 9, 1, ""),
    ("claim = '1 == 1'\nunder = '1 == 1'", "`under` needs `variant", 9, 1, ""),
    ("claim = '1 == 1'\nrestored = '1 == 1'", "`restored` needs `evidence", 9, 1, ""),
    ("claim = '1 == 1'\nvariant = ''", "`variant` is a string, not an empty string", 9, 1, ""),
    ("claim = '1 == 1'\nvariant = 3", "`variant` is a string, not a number", 9, 1, ""),
    ("claim = '1 == 1'\n[x]", "`x` is declared twice", 9, 2, "another name"),
    ("claim = 1 == 1", "this is not TOML", 8, 11, ""),
]  # fmt: skip


@pytest.mark.parametrize(("body", "message", "line", "column", "help"), MISTAKES, ids=lambda v: str(v)[:50])
def test_a_mistake_is_pointed_at(body, message, line, column, help, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(f"{HEAD}[x]\nplace = 'p'\nsays = 's'\nprinted = '1%'\nverdict = 'exact'\n{body}\n")
    with pytest.raises(ArchError) as caught:
        audit([path])
    problem = caught.value.diagnostics[0]
    assert message in problem.message
    assert str(problem.span) == f"{path}:{line}:{column}"
    assert help in problem.help


def test_a_statement_that_stands_in_another_one_has_its_own_place(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(one_claim("claim = [\n  '1 + 2 / 0 == 1',\n  '2 / 0 == 1',\n]", "exact"))
    with pytest.raises(ArchError) as caught:
        audit([path])
    assert [str(problem.span) for problem in caught.value.diagnostics] == [f"{path}:11:12", f"{path}:12:8"]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_verdict_has_a_reason_unless_the_figure_is_right(verdict, tmp_path):
    path = tmp_path / "one.toml"
    path.write_text(one_claim("claim = '1 == 1'", verdict).replace("because = 'b'\n", ""))
    if verdict in ("exact", "rounds"):
        assert audit([path]).findings[0].verdict == "exact"
    else:
        with pytest.raises(ArchError, match="needs `because"):
            audit([path])


@pytest.mark.parametrize("printed", ["70.6", "106%", "about 70%", "-1%", "70,6%", "1e1%", "7²%", "100.5%"])
def test_a_measured_figure_is_a_percentage(printed, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(f"{HEAD}[x]\nplace = 'p'\ntop1 = ['vgg16 {printed}']\n")
    with pytest.raises(ArchError) as caught:
        audit([path])
    (problem,) = caught.value.diagnostics
    assert problem.message == f"`vgg16 {printed}` is not a network and a percentage"
    assert str(problem.span) == f"{path}:5:10"


@pytest.mark.parametrize(
    ("line", "message", "column", "help"),
    [
        ("top1 = ['vgg17 70%']", "there is no network `vgg17`", 10, "vgg16"),
        ("top1 = ['vgg16 70%', 'vgg16?clases=3 70%']", "no parameter `clases`", 23, "`classes`?"),
        ("top1 = []", "`top1` is a list of networks", 1, "vgg16 71.5%"),
        ("top1 = 'vgg16 70%'", "`top1` is a list of networks", 1, ""),
        ("top1 = ['vgg16 70%']\ntop2 = ['vgg16 70%']", "unknown key `top2`", 1, "`top1`"),
        ("top1 = ['vgg16 70%']\nsays = 's'", "unknown key `says`", 1, "place"),
    ],
)
def test_a_mistake_in_measured_figures(line, message, column, help, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(f"{HEAD}[x]\nplace = 'p'\n{line}\n")
    with pytest.raises(ArchError) as caught:
        audit([path])
    problem = caught.value.diagnostics[0]
    assert message in problem.message
    assert str(problem.span) == f"{path}:{4 + len(line.splitlines())}:{column}"
    assert help in problem.help


def test_measured_figures_are_claims_of_their_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f"{HEAD}[x]\nplace = 'Table 1'\ntop5_error = ['resnet18 10.9%']\ntop1 = ['vgg16 70%']\n")
    found = [(one.id, one.says, one.claimed, one.verdict, one.net) for one in audit([path]).findings]
    assert found == [
        ("x/vgg16-top1", "top-1 accuracy on ImageNet of vgg16", "70%", "outside", "vgg16"),
        ("x/resnet18-top5_error", "top-5 error on ImageNet of resnet18", "10.9%", "outside", "resnet18"),
    ]


def test_one_run_reports_every_mistake(run, tmp_path):
    (tmp_path / "bad.toml").write_text(
        one_claim("claim = ['params(vgg17) == 1', '1 == 1', '1 / 0 == 1']", "exact")
        + one_claim("claim = 'params(vgg16) == bytes'", "exact").partition("\n\n")[2].replace("[x]", "[y]")
    )
    result = run("--claims bad.toml")
    assert (result.status, result.out) == (2, "")
    assert result.err.count("error:") == 3
    (tmp_path / "worse.toml").write_text("[x]\nsays = 1\nverdict = 'right'\n")
    result = run("--claims worse.toml --claims bad.toml -o out.txt")
    assert result.status == 2
    for message in ("has no deck", "needs `place", "needs `printed", "`says` is a string"):
        assert message in result.err
    assert not (tmp_path / "out.txt").exists()


def test_an_id_is_unique_across_files(run, tmp_path):
    (tmp_path / "other.toml").write_text(one_claim("claim = '1 == 1'", "exact").replace("[x]", "[M-3]"))
    result = run("--claims mine.toml --claims other.toml")
    assert result.status == 2
    assert "two decks are named `mine`" in result.err
    assert "the claim `M-3` is declared twice" in result.err
    assert "other.toml:4:2" in result.err
    assert "(mine.toml:" in result.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file"),
        (b"", "has no deck"),
        (b"[x]\nplace = 'p'\n", "has no deck"),
        (b'deck = "mine"\n' + HEAD.encode(), "`deck` does not belong to a claim"),
        (HEAD.encode() + b"name = 3\n", "unknown key `name`"),
        (
            one_claim("claim = '1 == 1'", "exact").partition("\n\n")[2].encode() + b"\n" + HEAD.encode(),
            "the claim `x` does not belong to a deck",
        ),
        (HEAD.encode(), "has no claims"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"deck = [" + b"[" * 50_000, "is nested too deep"),
        (b"deck = 1" + b"0" * 5_000, "this is not TOML"),
        (b'[x]\ntitle = "', "this is not TOML"),
        (b"x = 2001-01-01\n" + HEAD.encode() + b"[[y]]\n", "`x` does not belong to a claim"),
        (HEAD.encode() + b"[x.y]\nz = 1\n", "unknown key `y`"),
        (HEAD.encode() + b'["[x]"]\nsays = """\n[x]\n"""\n', "needs `place"),
    ],
)
def test_a_file_that_is_none(content, message, run, tmp_path):
    if content is not None:
        (tmp_path / "hostile.toml").write_bytes(content)
    result = run("--claims hostile.toml")
    assert result.status == 2
    assert message in result.err


def test_a_folder_is_no_file(run, tmp_path):
    (tmp_path / "folder").mkdir()
    result = run("--claims folder")
    assert (result.status, "name a `.toml` file" in result.err) == (2, True)


@pytest.mark.parametrize(
    ("command", "message", "help"),
    [
        ("--deck dekc3", "there is no deck `dekc3`", "`deck3`"),
        ("--deck paper", "there is no deck `paper`", "`papers`"),
        ("--claims mine.toml --deck papers", "there is no deck `papers`", "decks: mine"),
        ("--claims mine.toml --verdict discrepent", "no verdict `discrepent`", "`discrepant`"),
        ("--claims mine.toml --explain M-9", "there is no claim `M-9`", "`M-"),
        ("--explain ''", "there is no claim ``", ""),
        ("--explain vgg16/parms", "there is no claim `vgg16/parms`", "`vgg16/params`"),
    ],
)
def test_unknown_names(command, message, help, run):
    result = run(command)
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert help in result.err


# --- Output -----------------------------------------------------------------------------------------

GOLDEN_CASES = {
    "audit_80": (80, "--claims mine.toml"),
    "audit_120": (120, "--claims mine.toml"),
    "audit_markdown": (80, "--claims mine.toml --format markdown"),
    "audit_csv": (80, "--claims mine.toml --format csv"),
    "audit_json": (80, "--claims mine.toml --format json --verdict convention --verdict open"),
    "audit_explain": (80, "--claims mine.toml --explain M-3"),
    "audit_explain_two": (80, "--claims mine.toml --explain M-1"),
    "audit_explain_paper": (80, "--explain 'googlenet/macs(inception3a)'"),
}


@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_golden(name, run, golden):
    width, command = GOLDEN_CASES[name]
    result = run(command, width=width)
    assert (result.status, result.err) == (0, "")
    assert "\x1b" not in result.out
    text = result.out.replace(__version__, "VERSION")
    golden(GOLDEN / f"{name}.txt", text)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_every_line_of_the_table_fits(width, run):
    for command in ("--claims mine.toml", "--deck papers", "--deck deck3"):
        lines = run(command, width=width).out.splitlines()
        assert max(map(len, lines)) <= width


def test_a_stored_verdict_that_differs_is_status_1(run, tmp_path):
    changed = CLAIMS.replace('verdict = "rounds"', 'verdict = "exact"')
    (tmp_path / "mine.toml").write_text(changed)
    for format in ("table", "json", "csv", "markdown"):
        result = run(f"--claims mine.toml --verdict discrepant --format {format}")
        assert result.status == 1
        line = "M-2 (mine.toml:11:2): stored `exact`, computed `rounds`: 138,357,544; printed: 138M, 16"
        assert line in result.err
        assert "1 verdict not as expected" in result.err
        assert "M-4" in result.out


def test_the_json_follows_its_schema(run):
    mine = json.loads(run("--claims mine.toml --format json").out)
    jsonschema.validate(mine, schema("audit"))
    assert [claim["verdict"] for claim in mine["claims"]] == list(VERDICTS)
    for command in ("--format json", "--deck papers --format json"):
        document = json.loads(run(command).out)
        jsonschema.validate(document, schema("audit"))
        counted = Counter((claim["deck"], claim["verdict"]) for claim in document["claims"])
        listed = [deck for deck in document["summary"] if any(deck == name for name, _ in counted)]
        assert counted == Counter({(d, v): n for d in listed for v, n in document["summary"][d].items() if n})
    assert listed == ["papers"]


def test_the_csv_has_a_row_for_each_claim(run, tmp_path):
    assert run("--claims mine.toml --format csv -o out.csv").out == ""
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert [row["id"] for row in rows] == [f"M-{n}" for n in range(1, 8)]
    assert [row["value"] for row in rows[1:4]] == ["138357544", "60965224", "138357544"]
    assert rows[1]["statement"] == "weighted_layers(vgg16) == 16; params(vgg16) ~ 138M"
    assert [row["value"] for row in rows[5:]] == ["[[21, 32], [54, 65]]", ""]


def test_colour_is_for_terminals(run, monkeypatch):
    monkeypatch.setattr("archcalc.render.output.colour", lambda *streams: True)
    plain = re.sub(r"\x1b\[[\d;]*m", "", run("--claims mine.toml").out)
    assert plain.count("discrepant") == 3
    assert "\x1b" in run("--claims mine.toml").out
    monkeypatch.undo()


# --- The page ---------------------------------------------------------------------------------------

PAGE = Path(__file__).parent.parent / "docs" / "claims.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_claims_on_the_page_have_their_verdicts(tmp_path):
    (text,) = blocks("toml")
    (tmp_path / "mine.toml").write_text(text)
    found = audit([tmp_path / "mine.toml"])
    assert found.disagreements == []
    assert {finding.verdict for finding in found.findings} == set(VERDICTS) - {"exact"}


def test_the_measured_figures_on_the_page_are_built_in():
    (text,) = blocks("toml-measured")
    shipped = (specs_folder() / "claims" / "papers.toml").read_text()
    assert "\n".join(line.partition(" #")[0].rstrip() for line in text.splitlines()) in shipped


def test_the_statements_on_the_page_hold():
    (text,) = blocks("statements")
    calls = re.findall(r"^\| `(\w+)\(", PAGE.read_text(), re.MULTILINE)
    assert {"params", "macs", "shape"} < set(calls)
    assert set(FUNCTIONS) - set(QUANTITIES) <= set(calls)
    assert set(calls) <= set(FUNCTIONS)
    assert all(holds(line) for line in text.splitlines())


def test_the_page_has_every_key_and_verdict():
    text = PAGE.read_text()
    keys = {*Claim.__struct_fields__} - {"id", "deck", "span"}
    keys = keys - {"quantity", "net"} | {*Deck.__struct_fields__} - {"name", "span", "claims"}
    assert len(keys) == 13 + 4
    assert all(f"`{key}`" in text for key in MEASURED)
    for name in (*keys, *VERDICTS):
        assert re.search(rf"^\| .*`{name}`.* \|", text, re.MULTILINE), name


def test_the_commands_on_the_page_run(run):
    (text,) = blocks("sh")
    for line in text.splitlines():
        command = line.partition("#")[0].removeprefix("archcalc audit")
        assert run(command).status == 0


def test_help_and_page_say_whose_decks_they_are_and_what_verdicts_mean(run):
    help = " ".join((audit_command.__doc__ or "").split())
    for deck in read_decks(shipped_files()[:1]):
        lines = [line for line in (audit_command.__doc__ or "").splitlines() if f"- `{deck.name}`:" in line]
        lines += [line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{deck.name}` |")]
        assert len(lines) == 2
        for known in (*deck.title.split(", "), deck.author, deck.institution, deck.year):
            assert all(known in line for line in lines)
    for verdict, meaning in VERDICTS.items():
        assert f"- `{verdict}`: {meaning}" in help
        assert f"{verdict}: {meaning}" in " ".join(run("--claims mine.toml").out.split())


def test_a_deck_is_cited_with_what_it_says_of_itself(run, tmp_path):
    """The first lines of the deck: "Session 5: CNNs Overloaded", "Varun Sundar, 1st October 2018"."""
    for format in ("table", "markdown"):
        out = run(f"--deck deck2 --verdict discrepant --format {format}").out
        assert "deck2: Session 5: CNNs Overloaded (Varun Sundar, 2018)" in out
    out = run("--deck deck3 --verdict discrepant").out
    assert "deck3: Convolutional Neural Networks, ECE 449\n" in out
    (tmp_path / "mine.toml").write_text(CLAIMS.replace("\n\n", '\ninstitution = "Here"\n\n', 1))
    assert "mine: A deck of mine (Here)" in run("--claims mine.toml").out


def test_what_does_print_as_a_wrong_figure_is_proposed(run):
    out = run("--explain S1-036").out
    assert "Counts that give this figure (`archcalc reconcile googlenet 4M params`):" in out
    assert "no plausible count" in out
    # ResNet-50's 3.8e9: its 3,857,973,248 cut off
    cut = run("--explain S3-043").out
    assert "3,857,973,248 MACs: truncated instead of rounded; counted by macs" in cut
    assert "Counts that give this figure" not in run("--explain S4-079").out
