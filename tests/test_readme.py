"""README.md is true: its commands print what it shows, its programs run, its specs load."""

from __future__ import annotations

import re
import runpy
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
            assert stop.code in (0, 2, None)  # noqa: PT017
        printed = capsys.readouterr()
        lines = (printed.out + printed.err).splitlines()
        text = "\n".join([command, *(line.rstrip() for line in lines)]) + "\n"
        readme = readme.replace(block, text)
    if overwrite:
        README.write_text(readme)
    assert readme == README.read_text()


def test_the_mended_spec_loads():
    spec, shortcut = blocks("arch")
    mended = spec.replace("block unit", shortcut + "\nblock unit")
    network = archcalc.loads(mended)
    # strides 1, 1, 2, 2, 2, 2: what the text below the spec says
    assert network["stage3"].shape == (64, 2, 2)
    assert archcalc.analyze(network).totals.params < 200_000


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


def test_the_table_of_quantities_is_that_of_the_registry():
    generate = runpy.run_path(str(README.parent / "docs" / "generate.py"))
    text = README.read_text(encoding="utf-8")
    assert generate["QUANTITY_TABLE"].search(text)
    assert text == generate["with_quantities"](text), "README.md is out of date: run `make docs-tables`"
