"""README.md is true: its commands print what it shows, and its programs run."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import archcalc
from archcalc.cli import main

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(README.read_text()) if name == language]


def test_commands_print_what_is_shown(capsys, monkeypatch, tmp_path, overwrite):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "small.arch").write_text(blocks("arch")[0])
    readme = README.read_text()
    for block in blocks("console"):
        command = block.partition("\n")[0]
        assert command.startswith("$ archcalc ")
        monkeypatch.setattr(sys, "argv", shlex.split(command[2:]))
        try:
            main()
        except SystemExit as stop:
            assert stop.code in (0, 1, None)  # noqa: PT017
        printed = capsys.readouterr()
        lines = (printed.out + printed.err).splitlines()
        text = "\n".join([command, *(line.rstrip() for line in lines)]) + "\n"
        readme = readme.replace(block, text)
    if overwrite:
        README.write_text(readme)
    assert readme == README.read_text()


MEMORY = README.parent / "docs" / "memory.md"


def test_commands_of_the_page_on_memory_print_what_is_shown(run):
    """A line `...` stands for lines that are left out."""
    shown = [text for name, text in BLOCK.findall(MEMORY.read_text()) if name == "console"]
    assert len(shown) == 7
    for block in shown:
        command, *lines = block.splitlines()
        printed = run(*shlex.split(command.removeprefix("$ archcalc ")), width=100).out.splitlines()
        rest = "\n".join(line.rstrip() for line in printed)
        for part in re.split(r"^\.\.\.$", "\n".join(lines), flags=re.MULTILINE):
            if text := part.strip("\n"):
                assert text in rest, command
                rest = rest.partition(text)[2]


def test_the_repaired_spec_is_right():
    spec, repaired = blocks("arch")
    line = "    stage: { repeat 2 { unit(c * width, stride) } }\n"
    assert line in spec
    network = archcalc.loads(spec.replace(line, repaired))
    assert network["stage3"].shape == (64, 8, 8)
    assert archcalc.check(network).ok


def test_programs_run(capsys):
    for program in blocks("python"):
        exec(compile(program, str(README), "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    # Howard et al. 2017, Table 6: 0.5 MobileNet-224 has 1.3M parameters and 149M multiply-adds
    params, macs = (int(figure.replace(",", "")) for figure in re.findall(r"[\d,]*\d", printed[0]))
    assert round(params / 1e5) == 13
    assert round(macs / 1e6) == 149
    assert printed[-1] == f"{16 * 16 * 9 * 32 * 32}"


def test_there_are_two_set_up_commands():
    assert len([line for line in README.read_text().splitlines() if line.startswith("python3 -m venv ")]) == 2


def test_it_is_short():
    assert len(README.read_text().splitlines()) <= 250
