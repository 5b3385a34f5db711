"""Plain English: what people read does not have the phrases of `tests/phrases.txt`.

`tests/phrases_known.txt` lists the files that still have some, with how many. The list only gets shorter: fix
a text, run `pytest tests/test_phrases.py --overwrite`, and commit the list with it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from archcalc.cli import COMMANDS

ROOT = Path(__file__).parent.parent
HERE = Path(__file__).parent
KNOWN = HERE / "phrases_known.txt"
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
GENERATED = re.compile(r"<!-- (\w+): written by .*?<!-- end of \1 -->", re.DOTALL)


def phrases() -> dict[re.Pattern[str], str]:
    """The phrases, and what to write instead."""
    lines = (HERE / "phrases.txt").read_text().splitlines()
    pairs = [line.split(" -> ") for line in lines if line and not line.startswith("#")]
    ends = {phrase: r"\b" if phrase[-1].isalpha() else "" for phrase, _ in pairs}
    return {re.compile(rf"\b(?:{one}){ends[one]}", re.IGNORECASE): better for one, better in pairs}


PHRASES = phrases()
ANY = re.compile("|".join(phrase.pattern for phrase in PHRASES), re.IGNORECASE)


def prose(text: str) -> str:
    """A text without code, and without its generated parts, which are checked where they come from."""
    return CODE.sub("`code`", GENERATED.sub("", text))


def strings(text: str) -> Iterator[str]:
    """The docstrings and strings of a program, where values in them are `x`."""
    parts = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr):
            parts.update(id(part) for part in node.values)
            yield "".join(part.value if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.value


def comments(text: str) -> list[str]:
    """The comments of a spec and the reasons of its expectations; `reports/` has its citations."""
    lines = [line.partition("#")[2] if line.lstrip().startswith("#") else "" for line in text.splitlines()]
    return ["\n".join(lines), *re.findall(r'because "(.*)"$', text, re.MULTILINE)]


def found_in(text: str) -> list[str]:
    """The phrases in a text, paragraph by paragraph, each with what is around it."""
    found = []
    for paragraph in re.split(r"\n\s*\n", prose(text)):
        words = " ".join(paragraph.split())
        if ANY.search(words):
            for phrase, better in PHRASES.items():
                for match in phrase.finditer(words):
                    around = words[max(0, match.start() - 40) : match.end() + 40]
                    found.append(f"`{match[0]}` (write: {better}) in `{around}`")
    return found


def texts() -> Iterator[tuple[str, list[str]]]:
    """Every file that people read, from the root of the repository, with its texts."""
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "action.yml")]
    pages += [*(ROOT / "docs").glob("*.md"), *(ROOT / "reports").rglob("*.md")]
    pages += (ROOT / "archcalc" / "schemas").glob("*.json")
    for page in sorted(pages):
        yield page.relative_to(ROOT).as_posix(), [page.read_text(encoding="utf-8")]
    for module in sorted((ROOT / "archcalc").rglob("*.py")):
        text = module.read_text(encoding="utf-8")
        yield module.relative_to(ROOT).as_posix(), list(strings(text))
    for spec in sorted((ROOT / "specs").glob("*.arch")):
        yield spec.relative_to(ROOT).as_posix(), comments(spec.read_text(encoding="utf-8"))


def test_texts_have_none_of_the_phrases(overwrite):
    found = {path: [line for text in parts for line in found_in(text)] for path, parts in texts()}
    found = {path: lines for path, lines in found.items() if lines}
    if overwrite:
        comment = (
            "# Files that still have phrases of phrases.txt, and how many. This list only gets shorter.\n"
        )
        KNOWN.write_text(comment + "".join(f"{len(lines)} {path}\n" for path, lines in found.items()))
    rows = [line.split() for line in KNOWN.read_text().splitlines() if not line.startswith("#")]
    known = {path: int(count) for count, path in rows}
    more = [
        f"{path}: {line}"
        for path, lines in found.items()
        if len(lines) > known.get(path, 0)
        for line in lines
    ]
    assert more == []
    fewer = [path for path, count in known.items() if len(found.get(path, [])) < count]
    assert fewer == [], "there are fewer now: run `pytest tests/test_phrases.py --overwrite`"


def test_the_documentation_has_none():
    """No exceptions here: docs/ is written in these words."""
    assert [path for path in KNOWN.read_text().split() if path.startswith("docs/")] == []


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_has_none_of_the_phrases(command, run):
    """Paragraphs that the help takes from other places, too."""
    result = run(*command.split(), "--help", width=200)
    assert result.status == 0
    known = {line.split()[1] for line in KNOWN.read_text().splitlines()[1:]}
    if found := found_in(result.out):
        assert known & {f"archcalc/cli/{command or '__init__'}.py", "archcalc/cli/options.py"}, found


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("A layer puts\nout the next tensor.", 1), ("It is printed, a layer a line.", 1),
        ("This is no error.", 1), ("There is no error, and it is no longer one.", 0),
        ("Hold every network to this.", 1), ("Quoted words stand for themselves.", 0),
        ("`besides` is a word of the code", 0), ("```text\nbesides\n```\n", 0),
        ("It has 5 multiply-adds.", 1),
    ],
)  # fmt: skip
def test_phrases_are_found(text, count):
    assert len(found_in(text)) == count
