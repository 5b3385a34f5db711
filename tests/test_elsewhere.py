"""Networks on the standard input, in pipes and in revisions of git; and what an output is written for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from archcalc.render import plain
from archcalc.render.output import PIPE_WIDTH

GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
SMALL = "net small { input(3x8x8) -> conv(4, 3) }\n"


def archcalc(
    *args: str, stdin: str | bytes = b"", encoding: str = "utf-8", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own, without the variables that change its output."""
    cleared = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    done = subprocess.run(
        [sys.executable, "-m", "archcalc", *args],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        env={**cleared, "PYTHONIOENCODING": encoding, **environment},
        check=False,
    )
    assert b"Traceback" not in done.stderr
    return done


def params(done: subprocess.CompletedProcess[bytes]) -> int:
    assert done.returncode == 0, done.stderr
    found: int = json.loads(done.stdout)["totals"]["params"]
    return found


def compared_params(output: bytes | str) -> list[int]:
    totals = {total["quantity"]: total["values"] for total in json.loads(output)["totals"]}
    return [int(value) for value in totals["params"]]


# --- The standard input, and pipes ------------------------------------------------------------------


@pytest.mark.parametrize("net", ["-", "/dev/stdin", "/dev/stdin:small"])
def test_the_standard_input(net: str) -> None:
    assert params(archcalc("report", net, "--format", "json", stdin=SMALL)) == 4 * (3 * 3 * 3 + 1)


def test_the_standard_input_with_a_parameter() -> None:
    text = "net small(c) { input(3x8x8) -> conv(c, 3) }"
    assert params(archcalc("report", "-", "--set", "c=8", "--format", "json", stdin=text)) == 8 * 28


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"net x { input(3x8x8) -> con(4, 3) }", b"--> <stdin>:1:25"),
        (b"\xff", b"`<stdin>` is not UTF-8 text: line 1 has the byte 0xff"),
        (b"", b"the file is empty"),
        (b"#" * (4 * 2**20 + 1), b"`<stdin>` has more than 4 MiB"),
        (b'from "x.arch" import y\nnet x { input(3x8x8) -> y }', b"only a file can import"),
    ],
)
def test_a_standard_input_that_is_wrong(text: bytes, message: bytes) -> None:
    done = archcalc("report", "-", stdin=text)
    assert done.returncode == 2
    assert message in done.stderr


def test_the_standard_input_against_itself() -> None:
    """It can be read only once, and is."""
    done = archcalc("compare", "-", "-", "--format", "json", stdin=SMALL)
    assert compared_params(done.stdout) == [4 * 28, 4 * 28]


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="the system has no /dev/fd")
def test_process_substitution(tmp_path: Path) -> None:
    (tmp_path / "a.arch").write_text(SMALL.replace("4, 3", "5, 3"))
    command = f"{sys.executable} -m archcalc compare <(printf '{SMALL.strip()}') a.arch --format json"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert compared_params(done.stdout) == [4 * 28, 5 * 28]


def test_the_standard_output_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain_output = archcalc("report", "lenet5", "--format", "csv").stdout
    assert archcalc("report", "lenet5", "--format", "csv", "-o", "-").stdout == plain_output
    assert archcalc("check", "lenet5", "--junit", "-", "--summary", "-").stdout.count(b"<testsuites") == 1
    assert list(tmp_path.iterdir()) == []


# --- Git --------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose only commit has a kernel of 3, and 5 in the folder."""

    def git(*args: str) -> None:
        subprocess.run(["git", *args], cwd=tmp_path, check=True, capture_output=True)

    try:
        for name, value in GIT.items():
            monkeypatch.setenv(name, value)
        git("init", "-q")
    except FileNotFoundError:
        pytest.skip("git is not installed")
    models = tmp_path / "models"
    (models / "lib").mkdir(parents=True)
    (models / "a.arch").write_text(
        'from "lib/block.arch" import b\nnet a { input(3x8x8) -> b }\nnet z { input(3x8x8) -> relu }\n'
    )
    (models / "lib" / "block.arch").write_text("block b { conv(4, 3) }\n")
    (tmp_path / "top.arch").write_text(SMALL)
    git("add", ".")
    git("-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "first")
    (models / "lib" / "block.arch").write_text("block b { conv(4, 5) }\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("net", ["HEAD:models/a.arch:a", ":models/a.arch:a", "HEAD:./models/a.arch:a"])
def test_a_revision_with_its_imports(repository: Path, net: str) -> None:
    assert params(archcalc("report", net, "--format", "json")) == 4 * (3 * 3 * 3 + 1)
    assert params(archcalc("report", "models/a.arch:a", "--format", "json")) == 4 * (3 * 5 * 5 + 1)


def test_a_revision_from_a_folder_below(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository / "models")
    assert params(archcalc("report", "HEAD:./a.arch:a", "--format", "json")) == 4 * 28
    wrong = archcalc("report", "HEAD:a.arch:a").stderr.decode()
    assert wrong.startswith("error: git cannot read `HEAD:a.arch`: ")
    assert "help: a path starts at the top of the repository: `HEAD:./a.arch`" in wrong


def test_what_a_revision_declares(repository: Path) -> None:
    """Its texts are those of the revision, though nothing of it is left in a file."""
    assert archcalc("spec", "HEAD:models/a.arch:a").stdout.startswith(b'from "lib/block.arch" import b\n')


def test_two_revisions(repository: Path) -> None:
    done = archcalc("compare", "HEAD:models/a.arch:a", "models/a.arch:a", "--format", "json")
    assert compared_params(done.stdout) == [4 * 28, 4 * 76]


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ("HEAD~9:top.arch", "git cannot read `HEAD~9:top.arch`: "),
        ("HEAD:no.arch", "git cannot read `HEAD:no.arch`: "),
        ("HEAD:top.arch:big", "`HEAD:top.arch` has no net `big`"),
        ("HEAD:models/a.arch", "`HEAD:models/a.arch` has several nets"),
        ("$(touch pwned):top.arch", "git cannot read"),
        ("HEAD:'; touch pwned;.arch", "git cannot read"),
    ],
)
def test_a_revision_that_is_wrong(repository: Path, net: str, message: str) -> None:
    done = archcalc("report", net)
    assert done.returncode == 2
    assert message in done.stderr.decode()
    assert not Path("pwned").exists()


def test_a_revision_is_not_an_option(repository: Path) -> None:
    done = archcalc("report", "--", "--filters:top.arch")
    assert (done.returncode, done.stderr) == (2, b"error: `--filters:top.arch` is not a revision of git\n")


def test_an_import_outside_of_the_folder_is_refused(repository: Path) -> None:
    Path("models/a.arch").write_text('from "../top.arch" import small\nnet a { input(3x8x8) -> relu }\n')
    subprocess.run(["git", "add", "."], check=True)
    done = archcalc("report", ":models/a.arch")
    assert done.returncode == 2
    assert b"an imported file must be in the folder of the loaded file" in done.stderr


def test_no_repository_and_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = archcalc("report", "HEAD:a.arch", GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
    assert (done.returncode, b"not a git repository" in done.stderr) == (2, True)
    done = archcalc("report", "HEAD:a.arch", PATH="")
    assert (done.returncode, b"git is not installed" in done.stderr) == (2, True)


# --- What an output is written for ------------------------------------------------------------------


@pytest.mark.parametrize(("given", "width"), [({}, PIPE_WIDTH), ({"COLUMNS": "120"}, 120)])
@pytest.mark.parametrize("command", ["report resnet50", "compare vgg16 alexnet", "list", "layers", "--help"])
def test_the_width_of_a_pipe(command: str, given: dict[str, str], width: int) -> None:
    lines = archcalc(*command.split(), **given).stdout.decode().splitlines()
    assert 0.7 * width < max(map(len, lines)) <= width


def test_a_pipe_has_80_columns() -> None:
    """As wide as a terminal is if nobody has changed it."""
    assert PIPE_WIDTH == 80


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "latin-1"])
@pytest.mark.parametrize(
    "command",
    ["report vgg16", "explain vgg16 stage1/conv2", "compare vgg16 alexnet", "layers conv", "--help"],
)
def test_characters_that_an_encoding_lacks(command: str, encoding: str) -> None:
    """A rule is a line, and a bar is a bar; what the encoding has stays as it is, and columns in line."""
    found = archcalc(*command.split(), encoding=encoding).stdout.decode(encoding)
    right = archcalc(*command.split()).stdout.decode()
    assert "?" not in found
    for line, other in zip(right.splitlines(), found.splitlines(), strict=True):
        assert len(plain.plain(line)) == len(plain.plain(other))
        if encoding == "ascii":
            assert other == plain.plain(line)
    rules = [line for line in found.splitlines() if set(line) in ({"-"}, {"─"})]
    assert ("report" not in command) or len(rules) == 1


def test_shares_as_bars_in_ascii() -> None:
    out = archcalc("report", "vgg16", "--depth", "1", encoding="ascii").stdout.decode()
    # 30 % of 8 blocks are 2.4: two, and less than half of one
    assert next(line for line in out.splitlines() if line.startswith("stage3")).endswith("  29.9  ##.")


COLORS = [
    ({}, False),
    ({"FORCE_COLOR": "1"}, True),
    ({"FORCE_COLOR": ""}, False),
    ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ({"FORCE_COLOR": "1", "NO_COLOR": ""}, True),  # no-color.org: "when present and not an empty string"
]


@pytest.mark.parametrize(("given", "colored"), COLORS)
def test_colors_in_a_pipe(given: dict[str, str], colored: bool) -> None:
    given = {"TERM": "xterm", **given}
    assert (b"\x1b[" in archcalc("report", "lenet5", **given).stdout) == colored
    wrong = archcalc("report", "vgg61", **given).stderr
    assert wrong.startswith(b"\x1b[1;31merror:\x1b[0m there" if colored else b"error: there")
    assert b"\x1b[" not in archcalc("report", "lenet5", "--format", "json", **given).stdout


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="the system has no terminals")
@pytest.mark.parametrize(
    ("given", "colored"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_errors_are_red_on_a_terminal(given: dict[str, str], colored: bool) -> None:
    cleared = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    terminal, other = os.openpty()
    subprocess.run(
        [sys.executable, "-m", "archcalc", "report", "vgg61"],
        stderr=other,
        stdout=subprocess.PIPE,
        env={**cleared, "TERM": "xterm", **given},
    )
    os.close(other)
    wrong = os.read(terminal, 10_000)
    os.close(terminal)
    assert wrong.startswith(b"\x1b[1;31merror:\x1b[0m there" if colored else b"error: there")


def test_files_have_no_colors(tmp_path: Path) -> None:
    archcalc("report", "lenet5", "-o", str(tmp_path / "x"), FORCE_COLOR="1")
    assert b"\x1b" not in (tmp_path / "x").read_bytes()
