"""`archcalc check`: what is found, what holds, what is said. Golden files: `pytest --overwrite`."""

from __future__ import annotations

import json
import os
import re
import shlex
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny

from archcalc import ArchError, analyze, load, loads
from archcalc.checking import evaluate
from archcalc.checking.bounds import parse_bound
from archcalc.checking.ci import _escaped
from archcalc.checking.evaluate import Evaluator
from archcalc.checking.evaluate import check as check_expectations
from archcalc.checking.view import off_by

GOLDEN = Path(__file__).parent / "golden"

EXPECTATIONS = """
  expect params == 1_686         "Table 1"
  expect shape("a") == 4x8x4
  expect params(training=true) == 1696
"""
WIDE = """
net tiny_wide = tiny(8) {
  expect params < 3K
  expect macs ~ 1.0K
  expect not layers == 9  "Table 2"  because "9 | 10"
}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.arch").write_text(tiny(EXPECTATIONS) + WIDE)
    return tmp_path


def outcome(run, *args):
    """The networks of a run as JSON, by name, with the status."""
    result = run("check", *args, "--format", "json")
    document = json.loads(result.out)
    return result.status, {net["name"]: net for net in document["networks"]}, document


# --- What is checked --------------------------------------------------------------------------------


def test_every_failure_is_reported_and_the_status_is_1(run):
    status, nets, document = outcome(run)
    assert status == 1
    assert (document["checked"], document["held"]) == (6, 4)
    assert nets["tiny.arch:tiny"]["held"] == 3
    wide = [(f["text"], f["held"], f["value"]) for f in nets["tiny.arch:tiny_wide"]["findings"]]
    # 488 + 592 + 2570; 15360 + 18432 + 2560; conv relu conv bn relu add flatten fc
    assert wide == [
        ("params < 3K", False, 3650),
        ("macs ~ 1.0K", False, 36352),
        ("not layers == 9", True, 8),
    ]
    failed = nets["tiny.arch:tiny_wide"]["findings"][0]
    assert failed["difference"] == 650
    assert failed["source"] == "tiny.arch:16:3"
    assert failed["reason"] == "params is 3,650, not < 3K"


def test_a_report_shows_what_fails_and_only_a_check_fails(run):
    shown = run("report", "tiny.arch:tiny_wide")
    assert shown.status == 0
    assert "expectations: 1 of 3 hold" in shown.out
    assert "params is 3,650, not < 3K" in shown.out
    assert run("check", "tiny.arch:tiny_wide").status == 1
    assert "but the exit status is 0" in " ".join(run("report", "--help").out.split())


def test_what_holds_ends_in_status_0(run):
    result = run("check", "tiny.arch:tiny")
    assert (result.status, result.err) == (0, "")
    assert result.out.endswith("3 expectations of 1 network: all hold\n")


def test_files_folders_names_and_overrides(run, folder):
    (folder / "more").mkdir()
    (folder / "more" / "other.arch").write_text("net b { input(7)\n fc(2)\n expect params == 16 }")
    for hidden in (".git", "env"):
        (folder / hidden).mkdir()
        (folder / hidden / "no.arch").write_text("this is no spec")
    (folder / "env" / "pyvenv.cfg").write_text("")
    assert list(outcome(run)[1]) == ["tiny.arch:tiny", "tiny.arch:tiny_wide", "more/other.arch:b"]
    assert list(outcome(run, "more", "./more/other.arch", "more/other.arch:b")[1]) == ["more/other.arch:b"]
    assert list(outcome(run, "vgg11", "tiny.arch:tiny")[1]) == ["vgg11", "tiny.arch:tiny"]
    status, nets, _ = outcome(run, "tiny.arch:tiny?c=5", "--expect", "params == 2150")
    # 305 + 235 + 1610
    assert (status, nets["tiny.arch:tiny?c=5"]["checked"]) == (0, 1)


def test_nets_without_values_are_left_out(run, folder):
    (folder / "tiny.arch").write_text(tiny().replace("tiny(c=4", "tiny(c"))
    assert run("check").status == 2
    text = (folder / "tiny.arch").read_text()
    (folder / "tiny.arch").write_text(text + "net tiny_4 = tiny(4) { expect params == 1686 }\n")
    status, nets, _ = outcome(run)
    assert (status, list(nets)) == (0, ["tiny.arch:tiny_4"])


def test_broken_specs_are_reported_after_the_rest_has_been_checked(run, folder):
    (folder / "a_broken.arch").write_text("net x { input(3x8x8)\n convv(4) }")
    (folder / "b_broken.arch").write_text("net y { input(3x8x8)\n fc(4)\n expect params > 1 }")
    result = run("check")
    assert result.status == 2
    assert ["tiny.arch:tiny_wide", "1", "of", "3"] in [line.split() for line in result.out.splitlines()]
    assert "a_broken.arch:2:2" in result.err
    assert "b_broken.arch:2:2" in result.err
    said = "6 expectations of 2 networks: 2 do not hold; 2 inputs could not be checked"
    assert said in " ".join(result.out.split())


NOTHING = {
    "check empty": "nothing to check: `empty` has no network",
    "check vgg11?classes=5": "nothing to check: the expectations of `vgg11?classes=5` do not apply",
    "check vgg11 blocks.arch": "nothing to check: `blocks.arch` has no network",
    "check plain.arch": "nothing to check: `plain.arch` has no expectation",
    "check tiny.arch:tiny plain.arch": "nothing to check: `plain.arch` has no expectation",
}


@pytest.mark.parametrize("command", NOTHING)
def test_nothing_checked_is_an_error(command, run, folder):
    (folder / "empty").mkdir()
    (folder / "blocks.arch").write_text("block b { relu }\n")
    (folder / "plain.arch").write_text("net p { input(3)\n fc(2) }\n")
    result = run(*command.split())
    assert result.status == 2
    assert NOTHING[command] in result.err


@pytest.mark.parametrize(
    "name", ["x" * 5000, "x" * 5000 + ".arch", "./" + "x" * 5000, ":", "?", "vgg16?", ""]
)
def test_no_name_is_more_than_a_mistake(name, run, folder):
    (folder / "tiny.arch").unlink()
    for command in (["check"], ["check", "--locked"], ["lock"]):
        assert run(*command, name).status == 2


def test_nothing_in_the_current_folder_is_an_error(run, folder):
    (folder / "tiny.arch").unlink()
    result = run("check")
    assert result.status == 2
    assert "nothing checked" in result.out
    assert "nothing to check: the current folder has no network" in result.err


# --- Expectations of the command line ---------------------------------------------------------------

HELD = {
    # tiny: worked by hand, above
    "macs <= 13_568": True,
    "macs < 13_568": False,
    'params("a/*") == 152': True,
    'params("*") == 1686': True,
    'params("*", training=true) == 1696': True,
    'params("[as]*") == 396': True,
    'macs("stem*") ~ 7.7K': True,
    # kernels 4x5 and 3; the bound is on each axis
    "kernel_size <= 5": True,
    "kernel_size <= 4": False,
    'kernel_size("a/*") <= 3': True,
    'kernel_size("a/*") == 3x3': True,
    'kernel_size("stem/*") == 4x5': True,
    'kernel_size("stem/*") == 5x4': False,
    "stride within 34% of 1.5": True,
    "stride within 33% of 1.5": False,
    'stride("stem/*") <= 2': True,
    # "same" of 3x3 at stride 1 pads 1 on either side
    "padding == 1": True,
    'out_channels("*") == 4': True,
    'receptive_field("stem*") >= 4': True,
    'receptive_field("stem*") >= 5': False,
    # 4x5, then 3x3 at strides of 1x2: 6x9
    'receptive_field("a/conv1") == 6': False,
    'receptive_field("a/conv1") >= 6': True,
    'shape("a/*") == 4x8x4': True,
    # tiny_wide has 3650 parameters: 1686 is 46.19 percent
    "params <= 0.5 * tiny.arch:tiny_wide": True,
    "params <= 0.46 * tiny.arch:tiny_wide": False,
    "params <= 4.7e-1 * tiny.arch:tiny_wide": True,
    "params <= tiny.arch:tiny?c=4": True,
    "params < tiny.arch:tiny": False,
    "params within 1% of 0.46 * tiny.arch:tiny_wide": True,
    "params == 2 * tiny.arch:tiny?c=1": False,
    'params("fc*") <= 0.8 * tiny.arch:tiny': True,
    'params("fc*") <= 0.7 * tiny.arch:tiny': False,
    'not macs < 5 because "it is more"': True,
}


@pytest.mark.parametrize("text", HELD)
def test_expectations_of_the_command_line(text, folder):
    evaluator = Evaluator(analyze(load("tiny.arch:tiny")))
    check = parse_bound(text).check(evaluator)
    assert check.held is HELD[text]
    assert bool(check.reason) is not check.held


def test_a_bound_names_the_layers_that_break_it(run):
    result = run("check", "googlenet", "--expect", 'kernel_size("inception*") <= 3', width=120)
    assert result.status == 1
    # Szegedy et al., Table 1: nine modules, each with one 5x5
    assert "9 of 63 layers" in result.out
    assert "5 in inception3a/" in result.out
    _, nets, _ = outcome(run, "googlenet", "--expect", 'kernel_size("inception*") <= 3')
    finding = nets["googlenet"]["findings"][-1]
    assert [miss["layer"].partition("/")[0] for miss in finding["misses"]] == [
        f"inception{name}" for name in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
    ]
    assert {miss["value"] for miss in finding["misses"]} == {5}


def test_the_slides_ratio(run):
    # Howard et al. 2017, Table 8: 15300M to 569M multiply-adds; 27 times
    assert run("check", "mobilenet_v1", "--expect", "macs <= 0.04 * vgg16").status == 0
    assert run("check", "mobilenet_v1", "--expect", "macs <= 0.03 * vgg16").status == 1


MALFORMED = {
    # text: message, and the column it points at
    "": ("expected a quantity", 1),
    "macs": ("expected `==`", 5),
    "macs <=": ("expected a figure", 8),
    "macs = 5": ("found `=`", 6),
    "macks <= 5": ("unknown quantity `macks`", 1),
    "macs <= 5 5": ("expected the end, found `5`", 11),
    "macs <= 5MB": ("`MB` is a unit of bytes", 9),
    "macs <= 3x3": ("`macs` is a number, but this is a size", 9),
    "macs(5) <= 3": ("takes a path in quotes", 6),
    'macs("x) <= 3': ("a string does not end", 6),
    "macs <= 0.5 * nosuch": ("there is no network `nosuch`", 15),
    "macs ~ 0.5 * vgg16": ("`~` needs a number whose digits", 14),
    "shape <= 0.5 * vgg16": ("is not a number for a whole network", 16),
    "kernel_size <= 0.5 * vgg16": ("is not a number for a whole network", 22),
    "kernel_size < 3x3": ("compare a size with `==`", 15),
    "kernel_size < 3KB": ("is not measured in bytes", 15),
    "macs <= 0.5 * 3 * vgg16": ("expected the end", 13),
    "macs <= 3x3 * vgg16": ("expected the end", 13),
    "not macs <= 5": ("needs a reason", 1),
    "macs <= 5;": ("`;` is not allowed here", 10),
}


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_expectations_point_at_the_character(text, folder):
    with pytest.raises(ArchError) as caught:
        parse_bound(text)
    (problem,) = caught.value.diagnostics
    message, column = MALFORMED[text]
    assert message in problem.message
    assert problem.span.source.position(problem.span.start) == (1, column)
    assert text in problem.render()


UNFIT = {
    'params("b") < 5': "`tiny` has no node or block `b`",
    'params("b*") < 5': "`tiny` has no node or block `b*`",
    'kernel_size("fc*") < 5': "no layer of `tiny` that `fc*` names has `kernel_size`",
    "bias == 1": "is not a number",
    'params("fc1*") < 5': "names only layers in training heads",
}


@pytest.mark.parametrize("text", UNFIT)
def test_expectations_that_do_not_fit_a_network_are_wrong_input(text, run):
    result = run("check", "tiny.arch:tiny", "vgg11", "--expect", text)
    assert result.status == 2
    assert UNFIT[text] in result.err
    assert "vgg11" in result.out


@given(
    st.text(max_size=40) | st.from_regex(r'(macs|kernel_size)(\("[a-z*]+"\))? ?[<>=~]+ ?[0-9.]* ?\*? ?vgg')
)
def test_no_text_is_more_than_a_mistake(text):
    """And what parses keeps the text that it came from."""
    try:
        bound = parse_bound(text)
    except ArchError:
        return
    assert bound.expect.span.source.text == text


@given(
    st.integers(1, 64), st.integers(1, 9), st.integers(1, 9), st.sampled_from(["<", "<=", "==", ">=", ">"]),
    st.integers(0, 10),
)  # fmt: skip
def test_bounds_on_arguments_are_those_of_python(channels, height, width, relation, bound):
    network = loads(f"net n {{\n input(3x9x9)\n conv({channels}, {height}x{width})\n}}")
    evaluator = Evaluator(analyze(network))
    compare = {"<": int.__lt__, "<=": int.__le__, "==": int.__eq__, ">=": int.__ge__, ">": int.__gt__}[
        relation
    ]
    held = parse_bound(f"kernel_size {relation} {bound}").check(evaluator).held
    assert held is (compare(height, bound) and compare(width, bound))
    params = channels * (3 * height * width + 1)
    assert parse_bound(f"params {relation} {bound}").check(evaluator).held is compare(params, bound)


@given(st.fractions(0, 3, max_denominator=1000).filter(lambda f: 1000 % f.denominator == 0))
def test_ratios_are_exact(factor):
    evaluator = Evaluator(analyze(load("vgg11")))
    text = f"{float(factor):.3f}"
    other = analyze(load("vgg16")).totals.macs
    mine = analyze(load("vgg11")).totals.macs
    assert parse_bound(f"macs <= {text} * vgg16").check(evaluator).held is (mine <= factor * other)


# --- What is written --------------------------------------------------------------------------------

GOLDEN_CASES = {
    "check_80": (80, "check tiny.arch vgg11"),
    "check_verbose_120": (120, "check tiny.arch --verbose --expect kernel_size<=4"),
    "check_verbose_60": (60, "check tiny.arch -v --expect kernel_size<=4"),
    "check_json": (80, "check tiny.arch --format json --expect macs<=0.9*vgg11"),
    "check_github": (80, "check tiny.arch --github --expect macs<=5"),
    "check_junit": (80, "check tiny.arch --junit /dev/stdout"),
}


@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_golden(name, run, golden, folder):
    width, command = GOLDEN_CASES[name]
    result = run(*command.replace("/dev/stdout", "junit.xml").split(), width=width)
    text = (folder / "junit.xml").read_text() if "junit" in name else result.out
    assert "\x1b" not in text
    if "json" not in name and "junit" not in name:
        assert all(len(line) <= width for line in text.splitlines() if not line.startswith("::"))
        assert all(line == line.rstrip() for line in text.splitlines())
    golden(GOLDEN / f"{name}.txt", text)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_table_fits(width, run):
    result = run("check", "googlenet", "tiny.arch", "-v", "--expect", "kernel_size <= 1", width=width)
    assert max(map(len, result.out.splitlines())) <= width
    assert "tiny.arch:16:3" in result.out


def test_junit_counts_add_up(run, folder):
    (folder / "broken.arch").write_text('net x { input(3)\n expect params == 3 "\x01" }')
    run("check", ".", "--junit", "out.xml", "--expect", 'params("stem") < 5')
    root = ElementTree.fromstring((folder / "out.xml").read_text())
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["tiny.arch:tiny", "tiny.arch:tiny_wide", "problems"]
    wide = suites["tiny.arch:tiny_wide"]
    assert (wide.get("tests"), wide.get("failures"), wide.get("errors")) == ("4", "3", "0")
    assert len(wide.findall("testcase")) == 4
    case = wide.find("testcase")
    assert (case.get("classname"), case.get("name")) == ("tiny.arch:tiny_wide", "params < 3K")
    assert case.find("failure").text == "tiny.arch:16:3: params is 3,650, not < 3K"
    assert case.find("failure").get("message") == "params is 3,650, not < 3K"
    for key, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
        assert (
            int(root.get(key)) == sum(int(suite.get(key)) for suite in root) == len(root.findall(f".//{tag}"))
        )


ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {
        "name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id",
        "package", "file", "log", "url",
    },
    "testcase": {"name", "time", "classname", "group"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
}  # fmt: skip
"""What the schema of Jenkins' xUnit plugin allows: jenkinsci/xunit-plugin, .../model/xsd/junit-10.xsd."""

REQUIRED = {"testsuite": {"name", "tests", "failures", "errors"}, "testcase": {"name"}}


def test_junit_follows_the_schema_of_jenkins(run, folder):
    (folder / "broken.arch").write_text("net x { input(3)\n fcc(3) }")
    run("lock", "tiny.arch")
    for arguments in (["."], ["--locked"], ["--expect", "macs <"]):
        run("check", *arguments, "--junit", "out.xml")
        for element in ElementTree.fromstring((folder / "out.xml").read_text()).iter():
            assert set(element.keys()) <= ATTRIBUTES[element.tag]
            assert REQUIRED.get(element.tag, set()) <= set(element.keys())


def annotations(run, *arguments):
    """The level, title and message of each annotation, as GitHub reads them."""
    found = re.findall(r"(?m)^::(\w+) (.*?)::(.*)$", run("check", *arguments, "--github").out)
    return [
        (level, dict(pair.split("=") for pair in properties.split(","))["title"], message.split("%0A"))
        for level, properties, message in found
    ]


def test_more_failures_than_github_shows_are_told_by_network(run, folder):
    bounds = [word for n in range(6) for word in ("--expect", f"macs < {n}")]
    shown = annotations(run, "tiny.arch", *bounds)
    # 6 bounds on each of two networks, and the two expectations that fail in the file
    assert [title for _, title, _ in shown] == ["tiny.arch%3Atiny", "tiny.arch%3Atiny_wide"]
    assert [len(message) for _, _, message in shown] == [6, 8]
    (folder / "many.arch").write_text("".join(f"net n{i} {{\n input(7)\n fc(2)\n}}\n" for i in range(30)))
    shown = annotations(run, "many.arch", "--expect", "params < 5")
    assert len(shown) == 10
    assert shown[-1][2][0].startswith("and 21 more, of many.arch:n9, many.arch:n10")


def test_a_mistyped_expectation_is_told_to_ci(run, folder):
    (message,) = (words for _, _, words in annotations(run, "tiny.arch", "--expect", "parms < 5"))
    assert message == [
        "unknown quantity `parms`", "in: --expect 'parms < 5'", "help: did you mean `params`?"
    ]  # fmt: skip
    for wrong in (["--expect", "parms < 5"], ["--locked", "--allow", "parms 5"]):
        result = run("check", *wrong, "--junit", "out.xml", "--summary", "summary.md")
        assert result.status == 2
        assert "did you mean `params`?" in result.err
        assert 'errors="1"' in (folder / "out.xml").read_text()
    assert (folder / "summary.md").read_text().count("unknown quantity `parms`") == 2


def test_annotations_are_escaped_as_github_reads_them():
    # the runner replaces %0A, %0D and %25 in messages, and in properties also %3A and %2C
    assert _escaped("50% of a\r\nb: c, d") == "50%25 of a%0D%0Ab: c, d"
    assert _escaped("a:b,c", ":,") == "a%3Ab%2Cc"


@given(st.text())
def test_an_annotation_can_be_read_back(text):
    escaped = _escaped(text, ":,")
    assert not set("\r\n:,") & set(escaped)
    unescaped = escaped
    for code, character in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        unescaped = unescaped.replace(code, character)
    assert unescaped == text


def test_a_summary_is_added_to_the_file(run, folder):
    (folder / "summary.md").write_text("before\n")
    run("check", "tiny.arch:tiny", "--summary", "summary.md")
    run("check", "--summary", "summary.md")
    text = (folder / "summary.md").read_text()
    assert text.startswith("before\n### archcalc: 3 expectations of 1 network: all hold\n\n### archcalc: 6 ")
    assert "| tiny.arch:tiny_wide | params < 3K | 3,650 | +650 (+21.7%) | tiny.arch:16:3 |\n" in text


def test_annotations_and_json_do_not_mix(run):
    result = run("check", "--format", "json", "--github")
    assert (result.status, result.out) == (2, "")
    assert "`--github` cannot be combined" in result.err


def test_files_that_cannot_be_written_end_in_a_message(run):
    for option in ("--junit", "--summary"):
        result = run("check", "tiny.arch:tiny", option, "no/such/folder")
        assert result.status == 2
        assert "`no/such/folder` cannot be written" in result.err


@pytest.mark.parametrize(
    ("difference", "figure", "text"),
    [
        (1, 3, "+1 (+33.3%)"),
        (-1234, 2468, "-1,234 (-50.0%)"),
        (1, 10**6, "+1 (<0.1%)"),
        (5, 0, "+5"),
        (Fraction(5, 2), 10, "+2.5 (+25.0%)"),
        (0, 7, ""),
    ],
)
def test_how_far_off(difference, figure, text):
    finding = SimpleNamespace(difference=difference, figure=figure, negated=False, unknown="")
    assert off_by(finding) == text


def test_checking_shipped_specs_takes_no_second_elaboration(run, monkeypatch):
    """One network costs what reporting it costs: it is elaborated and analyzed once."""
    from archcalc import settings
    from archcalc.language.elaborate import Elaborator

    counts = {"elaborate": 0, "analyze": 0}

    def counted(name, function):
        def call(*args, **more):
            counts[name] += 1
            return function(*args, **more)

        return call

    monkeypatch.setattr(Elaborator, "network", counted("elaborate", Elaborator.network))
    monkeypatch.setattr(settings, "analyze", counted("analyze", settings.analyze))
    assert run("check", "resnet50").status == 0
    assert counts == {"elaborate": 1, "analyze": 1}


# --- Options that say how a network is made and measured --------------------------------------------


def test_a_bound_in_bytes_is_of_the_batch_and_dtype(run):
    """VGG-16's first convolution and its activation are alive together: 2 x 64 x 224 x 224 values."""
    peak = 2 * 64 * 224 * 224
    for options, limit in ((["--batch", "32", "--dtype", "float16"], peak * 64), ([], peak * 4)):
        assert run("check", "vgg16", *options, "--expect", f"peak_bytes <= {limit}").status == 0
        result = run("check", "vgg16", *options, "--expect", f"peak_bytes < {limit}")
        assert result.status == 1
        assert "at stage1/relu1" in result.out


def test_expectations_of_a_file_refer_to_one_sample_in_float32(run):
    """SqueezeNet's paper states the bytes of its parameters, which no option changes."""
    assert run("check", "squeezenet1_0", "--dtype", "float16", "--expect", "params < 2M").status == 0
    shown = run("report", "squeezenet1_0", "--dtype", "float16").out
    assert re.search(r"expectations: (\d+) of \1 hold", shown)


def test_values_and_shapes_are_for_every_network(run):
    status, nets, _ = outcome(run, "tiny.arch", "--set", "c=6", "--expect", 'shape("stem") == 6x8x4')
    held = {name: net["held"] for name, net in nets.items()}
    assert (status, held) == (0, {"tiny.arch:tiny?c=6": 1, "tiny.arch:tiny_wide?c=6": 1})
    status, nets, _ = outcome(
        run, "tiny.arch:tiny", "--input", "3x9x20", "--expect", 'shape("stem") == 4x8x9'
    )
    assert (status, nets["tiny.arch:tiny"]["held"]) == (0, 1)
    status, nets, _ = outcome(run, "tiny.arch:tiny", "--heads", "--expect", "params == 1_696")
    assert (status, nets["tiny.arch:tiny"]["held"]) == (0, 4)


def test_a_ratio_is_taken_under_the_same_conditions(run):
    # the peaks of one network are equal, whatever the batch
    options = ["--batch", "7", "--dtype", "float16"]
    assert run("check", "vgg16", *options, "--expect", "peak_bytes == 1 * vgg16").status == 0


@pytest.mark.parametrize("text", ['peak_bytes("stem") < 5M', 'peak_activations("a") < 5M'])
def test_a_quantity_of_whole_networks_has_no_path(text, run):
    result = run("check", "tiny.arch:tiny", "--expect", text)
    assert result.status == 2
    assert "is defined only for a whole network" in result.err
    assert "leave out the path" in result.err


# --- The page ---------------------------------------------------------------------------------------

PAGE = (Path(__file__).parent.parent / "docs" / "checking.md").read_text()


@pytest.mark.parametrize("text", re.findall(r"(?m)^\| `([^`]+)` \| ", PAGE))
def test_the_expectations_of_the_page_parse(text):
    assert parse_bound(text).text == text


def test_the_commands_of_the_page_run(run, folder, monkeypatch):
    (folder / "models").mkdir()
    (folder / "models" / "small.arch").write_text("net small { input(7)\n  fc(2)\n  expect params == 16\n}\n")
    (folder / "tiny.arch").unlink()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    assert run("lock", "models", "-o", "models/archcalc.lock").status == 0
    commands = re.findall(r"(?m)^archcalc (.*)$", PAGE)
    assert len(commands) == 14
    for command in commands:
        assert run(*shlex.split(os.path.expandvars(command), comments=True)).status == 0, command


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("kernel_size == 3x3", True), ("kernel_size == 3x3x3", False), ("stride == 1x1x1", False),
        ("out_channels == 4x4", False), ("out_channels == 4", True), ("padding == 0x0", True),
    ],
)  # fmt: skip
def test_a_size_has_an_entry_for_each_axis(text, held):
    profile = analyze(loads("net n { input(3x8x9)\n conv(4, 3) }"))
    assert parse_bound(text).check(Evaluator(profile)).held == held


THREE = "net n {{ input(1x9x9)\n repeat 3 {{ conv(1, 3) }}\n {}\n expect {} }}"


@pytest.mark.parametrize(
    ("after", "text", "held", "misses"),
    [  # the fields are 3, 5 and 7, and of 3 maps of 7, 5 and 3
        ("", 'receptive_field("conv*") <= 7', True, 0),
        ("", 'receptive_field("conv*") <= 6', False, 1),
        ("", 'receptive_field("conv*") < 3', False, 3),
        ("", 'receptive_field("conv*") >= 3', True, 0),
        ("", 'receptive_field("conv*") > 3', False, 1),
        ("", 'receptive_field("conv*") == 5', False, 2),
        ("", 'receptive_field("conv*") == 5x5', False, 2),
        ("", 'not receptive_field("conv*") >= 3 because "9"', False, 0),
        ("", 'not receptive_field("conv*") >= 4 because "9"', True, 1),
        ("", 'effective_stride("conv*") == 1', True, 0),
        ("", 'effective_padding("*") == 0', True, 0),
        ("", 'shape("conv*") == 1x3x3', False, 2),
        ("global_avgpool", 'receptive_field("*") <= 7', False, 1),  # the whole input has no bound
    ],
)
def test_bounds_on_every_layer_by_hand(after, text, held, misses):
    network = loads(THREE.format(after, text))
    (found,) = check_expectations(analyze(network))
    assert (found.held, len(found.misses)) == (held, misses)


def test_many_bounds_on_many_layers_take_linear_time(monkeypatch):
    """Of n bounds on n layers, each measured all layers and searched the network for each of them."""
    compared = 0
    compare = evaluate._compare

    def counting(*args):
        nonlocal compared
        compared += 1
        return compare(*args)

    monkeypatch.setattr(evaluate, "_compare", counting)
    bounds = "\n".join(f'expect receptive_field("conv*") <= {901 + i}' for i in range(300))
    network = loads(f"net n {{ input(1x9x9)\n repeat 300 {{ conv(1, 3, padding=1) }}\n {bounds}\n}}")
    assert all(found.held for found in check_expectations(analyze(network)))
    assert compared < 10 * 300
