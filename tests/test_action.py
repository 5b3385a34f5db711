"""The GitHub Action and the pre-commit hooks: their steps run as scripts, in a folder of their own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
BASH = shutil.which("bash")

NET = "net small { input(3x8x8)\n  flatten -> fc(2)\n  expect params == 386\n}\n"


def step(name: str) -> tuple[str, dict[str, str]]:
    """The script of a step of `action.yml`, and the input that each variable of its environment takes."""
    text = (TOP / "action.yml").read_text()
    (block,) = (part for part in re.split(r"(?m)^    - ", text) if part.startswith(f"name: {name}\n"))
    environment = dict(re.findall(r"(?m)^        ([A-Z]+): \$\{\{ inputs\.(\w+) \}\}$", block))
    lines = block.partition("      run: |\n")[2].splitlines()
    return "\n".join(line.removeprefix("        ") for line in lines) + "\n", environment


def inputs() -> dict[str, str]:
    """The inputs of `action.yml` with their defaults."""
    text = (TOP / "action.yml").read_text().partition("\ninputs:\n")[2].partition("\nruns:\n")[0]
    return dict(re.findall(r"(?m)^  (\w+):\n(?:    .*\n)*?    default: \"?([^\"\n]*)\"?$", text))


@pytest.fixture
def runner(tmp_path):
    """A runner's folders, with the `archcalc` of this environment where the action installs it."""
    for name in ("work", "temp/archcalc/bin"):
        (tmp_path / name).mkdir(parents=True)
    installed = tmp_path / "temp/archcalc/bin/archcalc"
    installed.write_text(f'#!{BASH}\nexec {shlex.quote(sys.executable)} -m archcalc "$@"\n')
    installed.chmod(0o755)
    (tmp_path / "work" / "small.arch").write_text(NET)
    return tmp_path


def run(runner: Path, name: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub does: `bash --noprofile --norc -eo pipefail`, with inputs as variables."""
    script, environment = step(name)
    values = {**inputs(), **given}
    return subprocess.run(
        [str(BASH), "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=runner / "work",
        env={
            **os.environ,
            **{variable: values[source] for variable, source in environment.items()},
            "RUNNER_TEMP": str(runner / "temp"),
            "GITHUB_STEP_SUMMARY": str(runner / "summary.md"),
            "GITHUB_ACTION_PATH": str(TOP),
            "PULL": "",
            "COLUMNS": "80",
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_every_input_is_used_and_none_is_pasted_into_a_script():
    steps = [step("Install archcalc"), step("Check"), step("Compare")]
    used = {source for _, environment in steps for source in environment.values()}
    assert used == set(inputs()) == {
        "targets", "expect", "locked", "allow", "junit", "python", "compare", "base", "input", "extras"
    }  # fmt: skip
    assert all("${{" not in script for script, _ in steps)
    for script, environment in steps:
        assert all(re.search(rf"\$\{{?{variable}\b", script) for variable in environment)


def test_it_checks_the_checkout(runner):
    done = run(runner, "Check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 expectation of 1 network: all hold" in done.stdout
    assert (runner / "summary.md").read_text() == "### archcalc: 1 expectation of 1 network: all hold\n\n"


def test_a_failure_is_annotated_and_fails_the_step(runner):
    (runner / "work" / "small.arch").write_text(NET.replace("386", "387"))
    done = run(
        runner, "Check", expect="macs <= 5\n\nkernel_size <= 3\n", junit="out.xml", targets="small.arch"
    )
    assert done.returncode == 2
    (runner / "work" / "more.arch").write_text(NET.replace("small", "more"))
    done = run(
        runner,
        "Check",
        expect="macs <= 5\n\nweights == 384",
        junit="out.xml",
        targets="small.arch\nmore.arch",
    )
    assert done.returncode == 1
    commands = [line for line in done.stdout.splitlines() if line.startswith("::error ")]
    assert commands == [
        "::error file=small.arch,line=3,col=3,title=small.arch%3Asmall::params is 386, not 387",
        "::error file=small.arch,line=1,col=5,title=small.arch%3Asmall::macs is 384, not <= 5",
        "::error file=more.arch,line=1,col=5,title=more.arch%3Amore::macs is 384, not <= 5",
    ]
    assert "| small.arch:small | macs <= 5 | 384 |" in (runner / "summary.md").read_text()
    assert "</testsuites>" in (runner / "work" / "out.xml").read_text()


def test_lock_files_and_tolerances(runner):
    archcalc = [str(runner / "temp/archcalc/bin/archcalc"), "lock", "small.arch"]
    subprocess.run(archcalc, cwd=runner / "work", check=True)
    assert run(runner, "Check", locked="true").returncode == 0
    (runner / "work" / "small.arch").write_text(NET.replace("fc(2)", "fc(2, bias=false)"))
    assert run(runner, "Check", locked="true").returncode == 1
    allowed = "params 2\nparam_bytes -8\nflops -1%\n"
    assert run(runner, "Check", locked="true", allow=allowed).returncode == 0


@pytest.mark.parametrize("value", ["yes", "True", "1", "on", "true ", "", "TRUE", "truefalse"])
def test_locked_is_true_or_false_and_nothing_else(runner, value):
    done = run(runner, "Check", locked=value)
    assert done.returncode == 2
    assert done.stdout == "::error title=archcalc::the input `locked` must be `true` or `false`\n"
    assert "must be `true` or `false`" in (runner / "summary.md").read_text()


def test_lists_may_have_blanks_comments_and_crlf(runner):
    (runner / "work" / "more.arch").write_text(NET.replace("small", "more"))
    done = run(
        runner,
        "Check",
        targets="# networks\r\n  small.arch\r\n\t more.arch:more \r\n   \r\n",
        expect="\n  macs <= 400\t\n   # a comment\n\r\n",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 expectations of 2 networks: all hold" in done.stdout


@pytest.mark.parametrize("inputs", [{"expect": "parms < 5"}, {"locked": "true", "allow": "parms 5"}])
def test_a_mistyped_input_is_seen(runner, inputs):
    done = run(runner, "Check", junit="out.xml", **inputs)
    assert done.returncode == 2
    assert "::error title=archcalc::unknown quantity `parms`" in done.stdout
    assert "unknown quantity `parms`" in (runner / "summary.md").read_text()
    assert "unknown quantity `parms`" in (runner / "work" / "out.xml").read_text()


def test_inputs_run_nothing(runner):
    evil = "\"; touch pwned; $(touch pwned) `touch pwned` '"
    for name in ("targets", "expect", "allow", "junit", "locked"):
        run(runner, "Check", **{name: evil})
        assert not list(runner.rglob("pwned"))
    commit(runner)
    for name in ("compare", "base", "input"):
        run(runner, "Compare", **{"compare": "small.arch", "base": "HEAD", name: evil})
        assert not list(runner.rglob("pwned"))
    assert run(runner, "Check", targets="--help").returncode == 2


def test_it_installs_itself(runner):
    """The step itself, with a Python whose pip notes what it is asked to install."""
    fake = runner / "python"
    pip = f"#!{BASH}\nprintf '%s\\n' \"$@\" > {shlex.quote(str(runner / 'asked'))}\n"
    (runner / "pip").write_text(pip)
    (runner / "pip").chmod(0o755)
    fake.write_text(
        f'#!{BASH}\n[ "$1 $2" = "-m venv" ] && mkdir -p "$3/bin" && cp {runner}/pip "$3/bin/pip"\n'
    )
    fake.chmod(0o755)
    done = run(runner, "Install archcalc", python=str(fake))
    assert (done.returncode, done.stderr) == (0, "")
    asked = (runner / "asked").read_text().split("\n")
    assert asked[0] == "install"
    assert str(TOP) in asked


def test_extras_see_what_the_job_has_installed(runner):
    fake = runner / "python"
    fake.write_text(
        f'#!{BASH}\necho "$@"\nmkdir -p "${{@: -1}}/bin" && cp {runner}/pip "${{@: -1}}/bin/pip"\n'
    )
    (runner / "pip").write_text(f'#!{BASH}\necho "$@"\n')
    fake.chmod(0o755)
    (runner / "pip").chmod(0o755)
    done = run(runner, "Install archcalc", python=str(fake), extras="torch,onnx")
    assert done.returncode == 0
    assert "-m venv --system-site-packages " in done.stdout
    assert done.stdout.endswith(f"{TOP}[torch,onnx]\n")


# --- A pull request against its base ----------------------------------------------------------------


def commit(runner: Path) -> None:
    """Put the checkout, as it is, into a revision."""
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    clean = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "--allow-empty", "-m", "base"]):
        subprocess.run(["git", *command], cwd=runner / "work", env={**os.environ, **clean}, check=True)


def test_it_compares_with_the_base(runner):
    shutil.copy(TOP / "tests" / "models" / "residual.pt2", runner / "work" / "model.pt2")
    commit(runner)
    (runner / "work" / "small.arch").write_text(NET.replace("fc(2)", "fc(3)"))
    (runner / "work" / "new.arch").write_text(NET)
    compare = "small.arch\n  # a comment\n\nmodel.pt2\nnew.arch\n"
    done = run(runner, "Compare", compare=compare, base="HEAD")
    assert done.returncode == 0, done.stderr
    changed, model, new = (runner / "summary.md").read_text().split("## `")[1:]
    assert "| params | 386 | 579 | +193 |" in re.sub(r"parameters", "params", changed)
    assert "No difference" in model
    assert new == "new.arch`\n\nThe base does not have this network.\n\n"
    assert not (runner / "temp/compare/base").exists()
    again = run(runner, "Compare", compare="small.arch", base="HEAD")
    assert again.returncode == 0, again.stderr


def test_shapes_are_given_to_both_sides(runner):
    commit(runner)
    done = run(runner, "Compare", compare="small.arch", base="HEAD", input="3x9x7\n")
    assert done.returncode == 0, done.stderr
    assert "input 3×9×7" in (runner / "summary.md").read_text()


def test_a_network_that_cannot_be_read_fails_the_step(runner):
    commit(runner)
    (runner / "work" / "small.arch").write_text("net small { conv(3, 3) }")
    done = run(runner, "Compare", compare="small.arch", base="HEAD")
    assert done.returncode == 2
    assert "there is no tensor yet" in done.stderr


def test_without_a_base_there_is_nothing_to_compare(runner):
    done = run(runner, "Compare", compare="small.arch")
    assert (done.returncode, done.stderr) == (0, "")
    assert "this is not a pull request" in done.stdout


def test_the_hooks_run(tmp_path):
    """Each entry of `.pre-commit-hooks.yaml`, as pre-commit runs it where file names are not passed."""
    text = (TOP / ".pre-commit-hooks.yaml").read_text()
    hooks = re.findall(r"(?m)^- id: (\S+)\n((?:  .*\n)+)", text)
    assert [name for name, _ in hooks] == ["archcalc-check", "archcalc-locked"]
    (tmp_path / "small.arch").write_text(NET)
    archcalc = [sys.executable, "-m", "archcalc"]
    subprocess.run([*archcalc, "lock", "small.arch"], cwd=tmp_path, check=True)
    for _, body in hooks:
        fields = dict(re.findall(r"(?m)^  (\w+): (.*)$", body))
        assert (fields["language"], fields["pass_filenames"]) == ("python", "false")
        # a deleted file is in no commit's list of files, and a hook's `args` are in `.pre-commit-config.yaml`
        assert fields["always_run"] == "true"
        command, *arguments = fields["entry"].split()
        assert command == "archcalc"
        statuses = []
        for net in (NET, NET.replace("fc(2)", "fc(3)"), NET.replace("fc(2)", "fcc(2)")):
            (tmp_path / "small.arch").write_text(net)
            done = subprocess.run([*archcalc, *arguments], cwd=tmp_path, capture_output=True, check=False)
            statuses.append(done.returncode)
        assert statuses == [0, 1, 2]
