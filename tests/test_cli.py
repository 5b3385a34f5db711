"""The command line as people and programs meet it. Golden files: `pytest tests/test_cli.py --overwrite`."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import shlex
import stat
import subprocess
import sys
from itertools import pairwise, takewhile
from pathlib import Path

import jsonschema
import networkx
import pytest
import typer
from json_schemas import schema
from tiny import tiny

from archcalc import __version__, analyze, load
from archcalc.checking.evaluate import measure
from archcalc.cli import COMMANDS
from archcalc.diagnostics import ArchError
from archcalc.report.explain import explain

GOLDEN = Path(__file__).parent / "golden"
TINY = tiny('  expect params == 1686\n  expect shape("a") == 4x8x4\n')


@pytest.fixture
def run(run, tmp_path):
    (tmp_path / "tiny.arch").write_text(TINY)
    return run


GOLDEN_CASES = {
    "report_vgg16_80": (80, "report vgg16"),
    "report_resnet50_120": (120, "report resnet50 --depth 1"),
    "report_googlenet_200": (200, "report googlenet --depth 1"),
    "report_lenet5_1998_200": (200, "report lenet5_1998"),
    "report_vgg16_human_hwc": (80, "report vgg16 --human --layout hwc --only conv,fc --sort params --top 5"),
    "report_alexnet_markdown": (80, "report alexnet --format markdown --batch 128 --dtype float16"),
    "report_tiny_json": (80, "report tiny.arch --format json"),
    "report_tiny_csv": (80, "report tiny.arch --format csv"),
    "report_tiny_heads": (100, "report tiny.arch --heads --set c=8"),
    "explain_conv": (80, "explain vgg16 stage1/conv2"),
    "explain_bn": (80, "explain resnet50 conv1/bn1"),
    "explain_network": (80, "explain mobilenet_v1 macs"),
    "explain_block": (80, "explain googlenet inception3a params"),
    "explain_fields": (80, "explain vgg16 receptive_field"),
    "explain_training_peak": (120, "explain resnet50 training_peak_bytes --batch 64 --optimizer adam"),
    "explain_backward_macs": (100, "explain resnet18 conv2_x/basic1/cbr1/conv1 backward_macs"),
    "report_training_80": (80, "report lenet5 --training --optimizer adam --batch 4"),
    "report_training_120": (120, "report resnet18 --training --freeze conv* --depth 1"),
    "memory_resnet50_80": (80, "memory resnet50 --batch 64 --optimizer adam"),
    "memory_googlenet_heads_120": (120, "memory googlenet --heads --batch 32 --dtype amp"),
    "memory_checkpoint_80": (80, "memory resnet50 --batch 64 --checkpoint best"),
    "memory_fit_60": (60, "memory vgg16 --fit 24GB --optimizer momentum --checkpoint stage"),
    "memory_int8_80": (80, "memory mobilenet_v2 --inference --dtype int8 --in-place activations,depthwise"),
    "memory_arena_120": (120, "memory unet --inference --arena"),
}


@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_golden(name, run, overwrite):
    width, command = GOLDEN_CASES[name]
    result = run(*command.split(), width=width)
    assert result.status == 0, result.err
    assert "\x1b" not in result.out
    lines = [line.rstrip() for line in result.out.splitlines()]
    if "markdown" not in command and "csv" not in command and "json" not in command:
        assert max(map(len, lines)) <= width
    text = "\n".join(lines) + "\n"
    path = GOLDEN / f"{name}.txt"
    if overwrite:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_the_json_of_a_report_follows_its_schema(run):
    for command in ("vgg16", "googlenet --heads", "resnet50 --depth 2", "lenet5_1998", "tiny.arch"):
        document = json.loads(run("report", *command.split(), "--format", "json").out)
        jsonschema.validate(document, schema("report"))
        for key in ("params", "buffers", "weights", "macs", "flops", "activations", "activation_bytes"):
            assert sum(layer[key] for layer in document["layers"]) == document["totals"][key]


def test_the_figures_of_the_contract(run):
    document = json.loads(run("report", "vgg16", "--format", "json").out)
    assert document["architecture"] == "vgg16"
    assert document["archcalc"] == __version__
    assert document["inputs"] == {"input": [3, 224, 224]}
    totals = document["totals"]
    # Simonyan & Zisserman 2014: 16 weight layers; weights by the slides' table; 138M
    assert (totals["params"], totals["weights"]) == (138_357_544, 138_344_128)
    assert totals["macs"] == 15_470_264_320
    assert (totals["weighted_layers"], totals["depth"], totals["buffers"]) == (16, 16, 0)
    # CS231n's memory column adds up to 15,237,608 values with the input
    assert totals["activations_in_place"] == 15_237_608
    first = document["layers"][0]
    source = first.pop("source")
    assert source.startswith("specs/vgg.arch:")
    assert first == {
        "name": "stage1/conv1",
        "kind": "conv",
        "inputs": ["input"],
        "output_shape": [64, 224, 224],
        "params": 1792,
        "trainable_params": 1792,
        "buffers": 0,
        "weights": 1728,
        "macs": 86704128,
        "flops": 2 * 86704128 + 64 * 224 * 224,
        "activations": 3211264,
        "activation_bytes": 12845056,
        "receptive_field": [3, 3],
        "effective_stride": [1, 1],
        "effective_padding": [1, 1],
    }


def test_batch_and_dtype_bear_on_bytes_only(run):
    plain = json.loads(run("report", "vgg16", "--format", "json").out)["totals"]
    half = json.loads(run("report", "vgg16", "--format", "json", "--batch", "3", "--dtype", "float16").out)[
        "totals"
    ]
    assert half["activation_bytes"] * 2 == plain["activation_bytes"] * 3
    assert half["param_bytes"] * 2 == plain["param_bytes"]
    assert {k: v for k, v in half.items() if "bytes" not in k} == {
        k: v for k, v in plain.items() if "bytes" not in k
    }


def test_csv_columns_are_plain_integers(run):
    rows = list(csv.DictReader(io.StringIO(run("report", "vgg16", "--format", "csv").out)))
    assert sum(int(row["params"]) for row in rows) == 138_357_544
    assert [row["layer"] for row in rows][:3] == ["stage1/conv1", "stage1/relu1", "stage1/conv2"]


def test_heads_change_no_expectation(run):
    """An expectation says itself whether it includes training heads: 71 of 71 hold either way."""
    for more in ([], ["--heads"]):
        assert "expectations: 71 of 71 hold" in run("report", "googlenet", *more).out


def test_heads_are_counted_only_when_asked(run):
    totals = [
        json.loads(run("report", "googlenet", "--format", "json", *more).out)["totals"]["params"]
        for more in ([], ["--heads"])
    ]
    # each head: conv 512 or 528 -> 128 1x1, fc 2048 -> 1024, fc 1024 -> 1000, with biases
    heads = sum((c * 128 + 128) + (2048 * 1024 + 1024) + (1024 * 1000 + 1000) for c in (512, 528))
    assert totals == [6_998_552, 6_998_552 + heads]


def test_input_replaces_the_shape(run):
    document = json.loads(run("report", "vgg16", "--input", "3x448x224", "--format", "json").out)
    assert document["inputs"] == {"input": [3, 448, 224]}
    assert document["layers"][0]["output_shape"] == [64, 448, 224]
    assert document["expectations"]["checked"] == 0


def test_overridden_expectations_are_said_to_be_unchecked(run):
    out = run("report", "tiny.arch", "--set", "c=5").out
    assert "expectations: 2 not checked, because parameters were set" in out


def test_an_expectation_that_fails_is_shown_with_its_place(run, tmp_path):
    (tmp_path / "wrong.arch").write_text(TINY.replace("params == 1686", "params == 1687"))
    out = run("report", "wrong.arch").out
    assert "expectations: 1 of 2 hold" in out
    assert "wrong.arch:9:3: params is 1,686, not 1687" in out


def test_output_goes_to_a_file_whole(run, tmp_path):
    result = run("report", "tiny.arch", "--format", "csv", "-o", "tiny.csv")
    assert result.out == ""
    assert (tmp_path / "tiny.csv").read_text() == run("report", "tiny.arch", "--format", "csv").out
    assert run("report", "tiny.arch", "-o", "no/such/folder/x").status == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.arch", "tiny.csv"]


KILLED = (
    "import os, signal; from pathlib import Path; from archcalc.render.output import whole\n"
    "with whole(Path('tiny.csv')) as stream:\n"
    "    stream.write(b'half'); stream.flush(); print('writing', flush=True); input()\n"
)


@pytest.mark.skipif(sys.platform == "win32", reason="files are not locked there")
def test_what_a_killed_writer_leaves_is_removed(run, tmp_path):
    def write():
        writer = subprocess.Popen(
            [sys.executable, "-c", KILLED], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert writer.stdout.readline() == b"writing\n"
        return writer

    killed, alive = write(), write()
    killed.kill()
    killed.wait()
    assert len(list(tmp_path.glob(".tiny.csv.*"))) == 2
    assert run("report", "tiny.arch", "--format", "csv", "-o", "tiny.csv").status == 0
    assert len(list(tmp_path.glob(".tiny.csv.*"))) == 1  # of the one that is still at it
    alive.communicate(b"\n")
    assert alive.returncode == 0
    assert (tmp_path / "tiny.csv").read_bytes() == b"half"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.arch", "tiny.csv"]


def test_a_depth_beyond_all_numbers_of_a_machine(run):
    assert run("report", "lenet5", "--depth", "9" * 20).out == run("report", "lenet5").out


@pytest.mark.parametrize("name", ["a\0.arch", "a\0", "a\0.arch:b", "folder\0/a.arch:b", "vgg16\0"])
def test_a_name_with_a_nul(name):
    with pytest.raises(ArchError) as caught:
        load(name)
    assert "NUL" in str(caught.value) or "there is no network" in str(caught.value)


WRONG = {
    "report vgg_16": "there is no network `vgg_16`",
    "report no.arch": "there is no file `no.arch`",
    "report tiny.arch:big": "`tiny.arch` has no net `big`",
    "report tiny.arch --set d=1": "`tiny` has no parameter `d`",
    "report tiny.arch --set c": "`--set c` has no value",
    "report tiny.arch --set c=": "expected a layer, a name or a value",
    "report tiny.arch --set c=relu": "adds layers",
    "report tiny.arch --set c=1/0": "division by zero",
    "report tiny.arch --set c=1.5": "needs a whole number of at least 1, got 1.5",
    "report tiny.arch --set c=1 --set c=2": "`--set` gives `c` twice",
    "report tiny.arch --input 3x9": "the input has 3 axes, 3x9x10, but 3x9 has 2",
    "report tiny.arch --input 3x0x9": "needs a whole number of at least 1",
    "report tiny.arch --input other=3x9x9": "`tiny` has no input `other`",
    "report tiny.arch --input x": "unknown name `x`",
    "report tiny.arch --dtype float31": "unknown dtype `float31`",
    "report tiny.arch --batch 0": "the batch must be a whole number",
    "report tiny.arch --only con": "there is no layer kind or family `con`",
    "report tiny.arch --columns layer,parms": "there is no column `parms`",
    "report tiny.arch --sort size": "rows cannot be sorted by `size`",
    "report tiny.arch --depth 0": "--depth",
    "report tiny.arch --format xml": "xml",
    "explain tiny.arch nothing": "`tiny` has no layer or block `nothing`",
    "explain tiny.arch stem mac": "unknown quantity `mac`",
    "list --family vgh": "there is no family `vgh`",
    "list zzz": "no network's name contains `zzz`",
    "compare vgg16": "a comparison needs at least two networks",
    "compare": "NET",
    "compare vgg16 vgg17": "there is no network `vgg17`",
    "compare vgg16 vgg16?x": "`x` sets nothing",
    "compare vgg16 vgg16?x=1": "`vgg16` has no parameter `x`",
    "compare vgg16 no.arch": "there is no file `no.arch`",
    "compare vgg16 resnet50 --dtype float31": "unknown dtype `float31`",
    "compare vgg16 resnet50 --batch 0": "the batch must be",
    "compare vgg16 resnet50 --input 3xx": "3xx",
    "compare vgg16 resnet50 --format csv": "csv",
    "report": "",
    "frobnicate": "frobnicate",
}


@pytest.mark.parametrize("command", WRONG)
def test_wrong_input_ends_in_a_message_and_status_2(command, run):
    result = run(*command.split())
    assert result.status == 2
    assert WRONG[command] in result.err + result.out


def test_near_misses_are_suggested(run):
    assert "did you mean `vgg16`" in run("report", "vgg-16").err
    assert "did you mean `macs`" in run("explain", "vgg16", "macks").err
    assert "`stage1/conv1`" in run("explain", "vgg16", "stage1/conv9").err


ONE = """\
# One weight, Nobody 2001
net one {
  input(1x4x4)
  aux early = relu
  conv(1, 1, bias=false)
}
"""
ONE_OF_EACH = {
    "report one.arch": "training heads: early (1 layer) not counted",
    "report one.arch --dtype int8": "1 byte: 1 weight, the rest",
    "compare one.arch one.arch": "1 layer, 1 parameter, 16 MACs",
    "list resnet50_v1_5": "1 network:",
    "check one.arch --expect kernel_size>3 --format json": "in 1 of 1 layer: 1 in `conv1`",
    "check one.arch --expect kernel_size==1 --verbose": "1 layer  ",
}


@pytest.mark.parametrize("command", ONE_OF_EACH)
def test_one_is_no_plural(command, run, tmp_path):
    (tmp_path / "one.arch").write_text(ONE)
    out = run(*command.split()).out
    assert ONE_OF_EACH[command] in out
    assert not re.search(r"(?<![\w.,])1 (layers|networks|parameters|weights|bytes)\b", out)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_example(command, run):
    result = run(command, "--help", width=80)
    assert (result.status, result.err) == (0, "")
    assert result.out.count(f"archcalc {command}") >= 2
    assert not re.search(r"<\w+>|\{[A-Z]+\}|<bool>|\[\[", result.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_of_the_help_can_be_copied(command, run):
    """A shell ignores their comments, and what is left is a command with options that exist."""
    from archcalc.cli import app

    lines = run(command, "--help").out.splitlines()
    block = list(takewhile(bool, lines[lines.index("Examples") + 1 :]))
    examples = [words for line in block if (words := shlex.split(line, comments=True))]
    assert len(examples) >= 2
    for program, name, *rest in examples:
        assert program == "archcalc"
        found = typer.main.get_command(app).get_command(None, name)
        found.make_context(name, rest).close()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits(command, run, width):
    lines = run(*command.split(), "--help", width=width).out.splitlines()
    commands = [line for line in lines if line.startswith("  archcalc ") and "#" not in line]
    assert max(len(line) for line in lines if line not in commands) <= width


def test_the_help_has_the_address_of_the_metadata(run, monkeypatch):
    from email.message import Message

    fields = Message()
    fields["Project-URL"] = "Source, https://example.org/archcalc"
    monkeypatch.setattr("importlib.metadata.metadata", lambda name: fields)
    assert "Source: https://example.org/archcalc" in run("--help").out


@pytest.mark.parametrize(
    ("arguments", "message", "help"),
    [
        (["reprot", "vgg16"], "there is no command `reprot`", "did you mean `report`?"),
        (["vgg16"], "there is no command `vgg16`", "write `archcalc report vgg16`"),
        (["my/net.arch:a"], "there is no command `my/net.arch:a`", "write `archcalc report my/net.arch:a`"),
        (["zzz"], "there is no command `zzz`", "`archcalc --help` lists them"),
        (["report", "vgg16", "--colums", "macs"], "has no option `--colums`", "did you mean `--columns`?"),
        (["report"], "missing argument `NET`", "`archcalc report --help` shows its arguments"),
        (["report", "vgg16", "--batch", "x"], "invalid value for `--batch`: ", "`archcalc report --help`"),
        (["report", "vgg16", "--format", "xml"], "`xml` is not one of `table`, `markdown`", "shows its"),
        (["report", "vgg16", "--batch"], "option `--batch` requires an argument", "shows its arguments"),
    ],
)  # fmt: skip
def test_a_mistyped_command_line_is_a_diagnostic_like_others(run, arguments, message, help):
    result = run(*arguments)
    assert (result.status, result.out) == (2, "")
    error, remedy = result.err.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert remedy.startswith("help: ")
    assert help in remedy


def test_a_start_imports_one_command():
    """What the others import is not paid for."""
    code = (
        "import sys; sys.argv = ['archcalc', 'report', 'lenet5', '-o', sys.argv[1]]\n"
        "from archcalc.cli import main\n"
        "try: main()\n"
        "finally: print(*(name for name in sys.modules if name.startswith('archcalc.cli.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, os.devnull], capture_output=True, text=True, check=True
    )
    assert sorted(done.stdout.split()) == ["archcalc.cli.options", "archcalc.cli.report"]


def test_the_first_help_names_every_command(run):
    out = run("--help").out
    assert all(f" {command} " in out for command in COMMANDS)
    assert "Exit status: 0 for success" in " ".join(out.split())
    assert run().out == out
    summaries = [command for command in COMMANDS if f"\n  {command} " in out]
    assert summaries == [*COMMANDS]  # what a stranger looks for comes first
    assert summaries[:2] == ["list", "report"]


def test_a_spec_can_be_copied_and_changed(run, tmp_path):
    assert "net resnet(" in run("spec", "resnet50").out
    (tmp_path / "mine").mkdir()
    copied = run("spec", "resnet50", "--copy", "mine")
    assert copied.status == 0
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["common.arch", "resnet.arch"]
    spec = tmp_path / "mine" / "resnet.arch"
    spec.write_text(spec.read_text().replace("classes=1000", "classes=10"))
    document = json.loads(run("report", "mine/resnet.arch:resnet50", "--format", "json").out)
    # 990 classes fewer, with 2048 weights and a bias each
    assert document["totals"]["params"] == 25_557_032 - 990 * 2049
    assert run("spec", "resnet50", "--copy", "mine").status == 2
    assert run("spec", "resnet50", "--copy", "nowhere").status == 2


def test_version(run):
    assert run("--version").out == f"archcalc {__version__}\n"


@pytest.mark.parametrize("width", [60, 80, 100])
def test_where_room_is_short_no_figure_is_cut(run, width):
    out = run("report", "mobilenet_v2", width=width).out
    rows = [line for line in out.splitlines() if "conv_bn_relu6_1/conv1"[-8:] in line and "×" in line]
    # 3 * 3 * 3 * 32 weights over 112x112 places
    assert f"{27 * 32:,}" in rows[0]
    assert f"{27 * 32 * 112 * 112:,}" in rows[0]
    assert all(len(line) <= width for line in out.splitlines())


def test_list_json(run):
    networks = {n["name"]: n for n in json.loads(run("list", "--format", "json").out)["networks"]}
    vgg16 = networks["vgg16"]
    assert (vgg16["family"], vgg16["year"]) == ("vgg", 2014)
    assert (vgg16["params"], vgg16["macs"]) == (138_357_544, 15_470_264_320)
    assert vgg16["inputs"] == {"input": [3, 224, 224]}


@pytest.mark.parametrize("width", [70, 80, 84, 120, 200])
def test_list_fits(run, width):
    """Figures are exact or short, never cut."""
    lines = run("list", width=width).out.splitlines()
    assert max(map(len, lines)) <= width
    row = next(line.split() for line in lines if line.startswith("    vgg16 "))
    assert row[-2:] in (["138,357,544", "15,470,264,320"], ["138.4M", "15.47G"])
    large = next(line.split() for line in lines if line.startswith("    convnext_large_384 "))
    assert large[-1] in ("100,977,561,600", "101G")


def test_paths_are_suggested_by_their_end(run):
    """Simonyan & Zisserman 2014, Table 1, D: five stages with a second convolution."""
    err = run("explain", "vgg16", "conv2", "params").err
    assert "did you mean `stage1/conv2`, `stage2/conv2` or `stage3/conv2`? 2 more end in `/conv2`" in err
    assert (
        "did you mean `stage3/conv3`, `stage4/conv3` or `stage5/conv3`?\n"
        in run("explain", "vgg16", "conv3").err
    )


def test_a_template_names_the_networks_made_from_it(run):
    err = run("report", "mobilenet_v3").err
    assert err.startswith("error: `mobilenet_v3` is a template: nothing gives `rows` and `last` a value\n")
    assert "choose one of `mobilenet_v3_large`, `mobilenet_v3_small`" in err
    for name in ("mobilenet_v33", "mobilenetv3", "resnett"):
        names = re.findall("`(.*?)`", run("report", name).err.partition("help: ")[2])
        assert names
        assert all(run("report", known).status == 0 for known in names)


def test_a_template_with_all_values_is_a_network(run, tmp_path):
    (tmp_path / "t.arch").write_text("net t(c) { input(3x8x8) -> conv(c, 3) }\nnet t_4 = t(c=4)\n")
    assert run("report", "t.arch:t", "--set", "c=5").status == 0
    assert "choose one of `t.arch:t_4`; or give a value: `--set c=...`" in run("report", "t.arch:t").err


def test_the_place_of_a_built_in_layer_can_be_seen(run, tmp_path):
    """What `explain` names shows the line: no path of a folder that is not there."""
    out = run("explain", "vgg16", "stage1/conv2", "macs").out
    assert "specs/" not in out
    line = int(re.search(r"from vgg\.arch:(\d+):", out)[1])
    assert "`archcalc spec vgg16` shows it" in out
    assert "conv(" in run("spec", "vgg16").out.splitlines()[line - 1]
    out = run("explain", "resnet50", "conv1/bn1", "params").out
    assert "`archcalc spec resnet50 --copy .` copies these files" in out
    run("spec", "resnet50", "--copy", ".")
    line = int(re.search(r"from common\.arch:(\d+):", out)[1])
    assert "bn" in (tmp_path / "common.arch").read_text().splitlines()[line - 1]
    assert (
        "from tiny.arch:"
        in run("explain", "tiny.arch", "stem", "params").out + run("explain", "tiny.arch", "stem/conv1").out
    )


def test_list_filters(run):
    listed = json.loads(run("list", "--family", "vgg", "--format", "json").out)["networks"]
    names = [n["name"] for n in listed]
    assert "vgg16" in names
    assert "resnet50" not in names
    found = json.loads(run("list", "net50", "--format", "json").out)["networks"]
    assert "resnet50" in [n["name"] for n in found]


def test_a_terminal_without_unicode_gets_text_all_the_same(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-m", "archcalc", "report", "vgg16"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "138,357,544" in done.stdout


def test_a_closed_pipe_is_no_error(tmp_path):
    command = f"{sys.executable} -m archcalc report resnet152 | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("resnet152")
    assert done.stderr == ""


# --- Where output goes ------------------------------------------------------------------------------


def test_a_link_stays_and_its_file_is_written(run):
    Path("kept").mkdir()
    Path("kept/real.txt").write_text("old")
    Path("kept/real.txt").chmod(0o640)
    Path("link.txt").symlink_to("kept/real.txt")
    Path("dangling.txt").symlink_to("kept/new.txt")
    Path("loop.txt").symlink_to("loop.txt")
    for name in ("link", "dangling"):
        assert run("report", "lenet5", "-o", f"{name}.txt").status == 0
        assert Path(f"{name}.txt").is_symlink()
    assert Path("kept/real.txt").read_text() == Path("kept/new.txt").read_text()
    assert Path("kept/real.txt").read_text().startswith("lenet5\n")
    assert Path("kept/real.txt").stat().st_mode & 0o777 == 0o640
    refused = run("report", "lenet5", "-o", "loop.txt")
    assert (refused.status, refused.err.splitlines()[0]) == (
        2,
        "error: `loop.txt` is a link that leads back to itself",
    )
    assert Path("loop.txt").is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_written_into(run):
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert run("report", "lenet5", "--format", "csv", "-o", "pipe").status == 0
    assert os.read(reader, 5) == b"layer"
    os.close(reader)
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)  # noqa: PTH116


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="the system has no device that is full")
@pytest.mark.parametrize("command", ["report lenet5", "list", "--help", "check lenet5 --format json"])
def test_an_output_that_cannot_be_written(command):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "archcalc", *command.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr == "error: the output cannot be written: No space left on device\n"


# --- Options that say too much, or nothing ----------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("report vgg16 --input 3x224x224 --input 3x225x225", "`--input` gives `input` twice"),
        ("plots -o list.svg", "`--output` needs the NAME of a plot"),
        ("audit --explain S4-079 --format json", "`--explain` shows one claim as text"),
    ],
)
def test_options_are_not_dropped(run, command, message):
    result = run(*command.split())
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert not Path("list.svg").exists()


@pytest.mark.parametrize("width", [40, 80, 100])
@pytest.mark.parametrize("options", ["--only conv", "--columns layer,inputs,output,params,macs,flops,source"])
def test_no_figure_is_cut(run, width, options):
    out = run("report", "vgg16", "--depth", "1", *options.split(), width=width).out
    table = out[: out.index("parameters  ")]
    assert "138,357,544" in table
    assert "15,470,264,320" in table
    assert "…" not in re.sub(r"^…", "", table, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("size", "arguments", "text"),
    [
        ("3x5x7", "2, 2, padding=1", "H_out = ceil((5 + 1 + 1 - 1·(2-1) - 1) / 2) + 1 - 1 = 3 "),
        ("3x5x7", "3, 2", "H_out = ceil((5 + 0 + 0 - 1·(3-1) - 1) / 2) + 1 = 2\n"),
        ("3x9x9", "3, 4", "W_out = ceil((9 + 0 + 0 - 1·(3-1) - 1) / 4) + 1 = 3\n"),
        ("3x9x8", "1, 4", "W_out = ceil((8 + 0 + 0 - 1·(1-1) - 1) / 4) + 1 - 1 = 2 "),
    ],
)
def test_explained_ceil_mode_is_true(run, size, arguments, text):
    Path("c.arch").write_text(f"net c {{ input({size})\n maxpool({arguments}, ceil_mode=true) }}")
    out = run("explain", "c.arch", "maxpool1", "shape").out
    assert text in out + "\n"
    for formula, result in re.findall(r"_out = (.*) = (\d+)", out):
        assert eval(formula.replace("·", "*"), {"ceil": math.ceil}) == int(result)


@pytest.mark.parametrize("net", ["lenet5", "googlenet", "resnet18", "unet", "densenet121"])
def test_every_total_is_explained(net):
    """What is added up, or multiplied, comes to the figure; of the depth, the layers follow one another."""
    profile = analyze(load(net))
    blocks = [group.name for group in profile.network.groups if group.depth == 0]
    for path in ("", *blocks[:3]):
        for quantity in ("activations_in_place", "activations_conv", "weighted_layers", "depth"):
            lines = explain(profile, path, quantity).splitlines()
            figures = [int(line.split()[-1].replace(",", "")) for line in lines[1:]]
            assert sum(figures[:-1]) == figures[-1] == measure(profile, quantity, path)
        for quantity in ("activation_bytes", "param_bytes"):
            _, line, _ = explain(profile, path, quantity).splitlines()
            factors, result = line.replace(",", "").strip(" =").split(" = ")
            assert (
                math.prod(map(int, factors.split(" × "))) == int(result) == measure(profile, quantity, path)
            )
    deepest = [line.split()[0] for line in explain(profile, "", "depth").splitlines()[1:-1]]
    graph = profile.network.graph()
    assert all(networkx.has_path(graph, a, b) for a, b in pairwise(deepest))


def test_kernels_are_shown_where_operations_do_not_fit(run, tmp_path):
    """Kernel, stride, dilation and groups in a few characters; what there was no room for is named."""
    lines = ["conv(12, 4x5, stride=1x2, padding=2, dilation=2, groups=3)", "bn", "depthwise(3)", "maxpool(2)"]
    (tmp_path / "x.arch").write_text("net x {\n input(6x40x44)\n" + "\n".join(lines) + "\n}\n")
    wide = run("report", "x.arch", width=200).out
    assert "conv(12, 4x5, stride=1x2, padding=2, dilation=2, groups=3)" in wide
    assert "Kernel" not in wide
    assert "no room" not in wide
    narrow = run("report", "x.arch", width=100).out
    rows = {line.split("  ")[0]: line for line in narrow.splitlines() if line}
    assert "Kernel" in rows["Layer"]
    assert " 4×5 s1×2 d2 g3 " in rows["conv1"]
    assert " 3×3 g12 " in rows["depthwise1"]
    assert " 2×2 s2 " in rows["maxpool1"]
    assert "×" not in rows["bn1"].split("12×")[0]
    assert re.search(r"columns left out: .*flops.* \(see `--columns`\)", " ".join(narrow.split()))
    assert "Kernel" in run("report", "x.arch", "--columns", "layer,kernel").out
