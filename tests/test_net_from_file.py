"""`net a from "model.pt2"`: expectations in a text, of a network that another file holds."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import archcalc
from archcalc.diagnostics import ArchError

MODEL = Path(__file__).parent / "models" / "residual.pt2"
PARAMS = 152 + 2 * 576 + 2 * 16 + 16 + 72 + 45  # as `test_pt2.py` derives them


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved").mkdir()
    shutil.copy(MODEL, tmp_path / "saved" / "m.pt2")
    return tmp_path


def write(text: str) -> None:
    Path("nets.arch").write_text(text)


def test_it_is_the_network_of_the_file_under_its_own_name(folder: Path) -> None:
    write('net mine from "saved/m.pt2"')
    mine, read = archcalc.load("nets.arch"), archcalc.load("saved/m.pt2")
    assert mine.name == "mine"
    assert [(n.name, n.layer, n.shape) for n in mine.nodes] == [
        (n.name, n.layer, n.shape) for n in read.nodes
    ]
    assert archcalc.analyze(mine).totals == archcalc.analyze(read).totals
    assert archcalc.analyze(mine).totals.params == PARAMS


def test_shapes_of_inputs_come_from_the_text_and_from_the_command(folder: Path) -> None:
    write('net mine from "saved/m.pt2"(input=3x21x10)')
    assert archcalc.load("nets.arch")["stem/0"].shape == (8, 19, 5)
    assert archcalc.load("nets.arch", inputs=(3, 17, 10))["stem/0"].shape == (8, 15, 5)


def test_check_holds_what_the_text_expects(folder: Path, run) -> None:
    body = 'expect params == {params}\n  expect shape("head") == 5\n  expect macs("units/0") < 1M'
    write(f'net mine from "saved/m.pt2" {{\n  {body.format(params=PARAMS)}\n}}')
    assert run("check", ".").status == 0
    write(f'net mine from "saved/m.pt2" {{\n  {body.format(params=PARAMS + 1)}\n}}')
    result = run("check", ".")
    assert result.status == 1
    assert "nets.arch:2:3" in result.out
    assert "3 expectations of 1 network: 1 does not hold" in result.out


def test_other_lines_of_its_body(folder: Path) -> None:
    write('net mine from "saved/m.pt2" {\n see vgg16 "another"\n written "units/0/relu" as "F.relu"\n}')
    network = archcalc.load("nets.arch")
    assert network.see == {"vgg16": "another"}
    read = archcalc.load("saved/m.pt2")
    assert network.written == {**read.written, network["units/0/relu"].index: "F.relu"}
    assert network["units/0/relu"].index not in read.written


@pytest.mark.parametrize(
    ("net", "message", "help"),
    [
        ('from "none.pt2"', "there is no file `none.pt2`", ""),
        ('from "../x.pt2"', "must be in the folder of the loaded file", "move the file there"),
        ('from "nets.arch"', "`nets.arch` is a text: what it declares", '`from "nets.arch" import'),
        ('from "code.py:make"', "`code.py:make` is not a model that a text", "Python code runs only if"),
        ('from "model.pth"', "`model.pth` is not a model that a text can read", "name a file such as"),
        ('from "saved/m.pt2:b"', "has no net `b`", "it defines `m`"),
        ('from "saved/m.pt2"(3x21x10)', "shapes of inputs must be given by name", "write `input=3x21x10`"),
        ('from "saved/m.pt2"(input="a")', "the input `input` needs a shape", ""),
        ('from "saved/m.pt2"(left=3x21x10)', "has no input `left`", "it has `input`"),
        ('from "saved/m.pt2"(input=3x21x10, input=3x21x10)', "the input `input` is given twice", ""),
        ('from "saved/m.pt2" { relu }', "can only contain `expect`, `written`, and", "archcalc convert"),
        ('from "saved/m.pt2" { expect params("no") < 3 }', "has no node or block `no`", ""),
        ('from "saved/m.pt2" { written "no" as "F.relu" }', "has no node or block `no`", ""),
        ("from saved", "a file name in quotes", 'write `net a from "model.pt2"`'),
        ('from "saved/m.pt2"\nnet b = a(3)', "`a` comes from a file and has no parameters", "same file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_place(folder: Path, net: str, message: str, help: str) -> None:
    write(f"net a {net}\n")
    with pytest.raises(ArchError) as found:
        archcalc.check("nets.arch:a")
    (problem,) = found.value.diagnostics
    assert message in problem.message
    assert help in problem.help
    assert problem.span is not None
    assert problem.span.source.name == "nets.arch"


def test_it_has_no_parameters(folder: Path) -> None:
    write('net a from "saved/m.pt2"')
    with pytest.raises(ArchError, match=r"read from a file, and has no parameters: `c` cannot be set"):
        archcalc.load("nets.arch", {"c": 3})


def test_a_text_without_a_file_reads_no_other_file() -> None:
    with pytest.raises(ArchError, match="only a file can import"):
        archcalc.loads('net a from "residual.pt2"')


# --- Revisions of git -------------------------------------------------------------------------------

GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def commit(folder: Path) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q", "."], ["add", "-A"], [*who, "commit", "-q", "-m", "models"]):
        subprocess.run(["git", *command], cwd=folder, env={**os.environ, **GIT}, check=True)


def test_a_model_of_a_revision_is_read_and_run(folder: Path, run) -> None:
    write('net mine from "saved/m.pt2"(input=3x21x10) { expect params < 2K }')
    commit(folder)
    shutil.rmtree("saved")
    assert archcalc.analyze(archcalc.load("HEAD:saved/m.pt2")).totals.params == PARAMS
    assert archcalc.load("HEAD:nets.arch")["stem/0"].shape == (8, 19, 5)
    assert archcalc.load("HEAD:saved/m.pt2").trained()["head"]["weight"].shape == (8, 5)
    result = run("compare", "HEAD:saved/m.pt2", "HEAD:nets.arch:mine", "--format", "json")
    assert result.status == 0


def test_a_pointer_of_git_lfs_is_no_model(folder: Path) -> None:
    Path("saved/m.pt2").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n")
    commit(folder)
    with pytest.raises(ArchError, match="is a pointer of Git LFS: the revision has no file"):
        archcalc.load("HEAD:saved/m.pt2")


def test_code_of_a_revision_does_not_run(folder: Path) -> None:
    Path("code.py").write_text("raise SystemExit('ran')")
    commit(folder)
    with pytest.raises(ArchError, match="is code of a revision, which archcalc does not run"):
        archcalc.load("HEAD:code.py:make")
