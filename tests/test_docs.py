"""docs/: examples print what they show, commands exist, and links lead somewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer

from archcalc.catalog import shipped_files
from archcalc.cli import app

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
BLOCK = re.compile(r"^```([\w-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(page.read_text()) if name == language]


def commands(page: Path) -> list[list[str]]:
    """The words of every `archcalc` command in the `sh` blocks of a page."""
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    found = [shlex.split(line.partition("|")[0], comments=True) for line in lines if "<(" not in line]
    return [words[1:] for words in found if words[:1] == ["archcalc"]]


def is_shown(shown: list[str], printed: list[str]) -> bool:
    """Are the lines of a page those that a command prints, with `...` for lines that are left out?"""
    pattern = "".join("(?:.*\n)*" if line == "..." else re.escape(line) + "\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


# --- What commands print -----------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_print_what_is_shown(page, run, tmp_path, overwrite):
    """From the top: the tutorial's file is saved, commands run, and `--overwrite` puts what they print there.

    `...` on the page stands for lines that are left out.
    """

    def played(block: re.Match[str]) -> str:
        language, text = block.groups()
        if language == "arch" and page.stem == "tutorial":
            (tmp_path / "tiny.arch").write_text(text)
        if language != "console":
            return block[0]
        command, *shown = text.splitlines()
        name, *args = shlex.split(command.removeprefix("$ "))
        if name == "archcalc":
            result = run(*args, width=100)
            assert result.status in (0, 1)
            lines = [line.rstrip() for line in (result.out + result.err).splitlines()]
        else:
            lines = subprocess.check_output([name, *args], text=True).splitlines()
        if is_shown(shown, lines):
            lines = shown
        elif shown[-1:] == ["..."]:
            lines[len(shown) - 1 :] = ["..."]
        return "\n".join(["```console", command, *lines, "```"])

    after = BLOCK.sub(played, page.read_text())
    if overwrite:
        page.write_text(after)
    assert after == page.read_text()


def test_the_tutorial_fails_only_on_purpose():
    """One check and one lock fail on purpose, and nothing is an error."""
    shown = blocks(ROOT / "docs" / "tutorial.md", "console")
    assert sum("does not hold" in text for text in shown) == 1
    assert sum("moved" in text and "--locked" in text for text in shown) == 1
    assert not any("error" in text for text in shown)


@pytest.mark.parametrize("page", [page for page in TEXTS if commands(page)], ids=lambda page: page.stem)
def test_commands_have_their_options(page):
    """Every command of the `sh` blocks is one that the command line takes, read and not run."""
    group = typer.main.get_command(app)
    with group.make_context("archcalc", [], resilient_parsing=True) as context:
        for name, *args in commands(page):
            command = group.get_command(context, name)
            assert command is not None
            command.make_context(name, args, parent=context)


@pytest.mark.parametrize("name", ["compare", "conventions", "reading", "reconcile"])
def test_commands_on_built_in_networks_run(name, run):
    """Those that read no file of the reader's."""
    files = re.compile(r"\.(arch|onnx)\b")
    nets = [words for words in commands(ROOT / "docs" / f"{name}.md") if not any(map(files.search, words))]
    assert len(nets) > 2
    for words in nets:
        result = run(*words)
        assert (result.status, result.err) == (0, ""), words


def test_programs_run():
    names: dict[str, object] = {}
    for program in blocks(ROOT / "docs" / "python.md", "python"):
        exec(compile(program, "docs/python.md", "exec"), names)


# --- Links -------------------------------------------------------------------------------------------


def anchor(heading: str) -> str:
    """The anchor that both GitHub and MkDocs give a heading."""
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def anchors(path: Path) -> set[str]:
    text = BLOCK.sub("", path.read_text())
    return {anchor(heading) for heading in HEADING.findall(text)} | set(re.findall(r'<a id="([^"]+)"', text))


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for link in LINK.findall(BLOCK.sub("", page.read_text())):
        if link.startswith(("https://", "http://")):
            continue
        path, _, part = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if page in PAGES:  # the site has the pages and their drawings, and nothing else
            assert target in PAGES or target.parent == ROOT / "docs" / "drawings", link
        if part:
            assert part in anchors(target), link


def test_every_page_is_in_the_contents():
    contents = (ROOT / "docs" / "index.md").read_text()
    site = (ROOT / "mkdocs.yml").read_text()
    for page in PAGES:
        assert page.stem == "index" or f"({page.name})" in contents, page.name
        assert page.name in site, page.name


def test_networks_named_on_the_pages_exist():
    """The first word of each command's networks, where it is a plain name."""
    for page in PAGES:
        for name, *args in commands(page):
            for word in args[: 1 if name in ("report", "explain", "spec", "convert", "run") else 0]:
                if re.fullmatch(r"[a-z]+\d*(_v\d+)?", word):
                    assert word in shipped_files(), word
