"""How the code is laid out: imports run one way, and names of classes mean one thing."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import archcalc

ROOT = Path(archcalc.__file__).parent

ORDER = """
number shape diagnostics render layers network notes doubts gradients quantities memory expect builder
language importing opened
readers conventions profile catalog elsewhere opening freezing
settings convert executor checking comparison report view
reconcile sweeping verify audit plots pages interface cli __main__
""".split()
"""The files and folders of the package: each may import those before it, and itself."""


def imports(path: Path) -> Iterator[str]:
    """The modules of the package that a file imports when it runs, wherever in the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "archcalc":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("archcalc."):
            yield str(node.module).split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (
                alias.name.split(".")[1] for alias in node.names if alias.name.startswith("archcalc.")
            )


def test_every_file_and_folder_has_its_place() -> None:
    found = {path.stem for path in ROOT.glob("*.py")} | {
        path.parent.name for path in ROOT.glob("*/__init__.py")
    }
    assert found - {"__init__"} == set(ORDER)


UPWARD = {("profile", "report")}
"""A profile shows itself: `print(profile)` is the table of a report, imported when it is asked for."""


def test_imports_run_one_way() -> None:
    rank = {name: number for number, name in enumerate(ORDER)}
    upward = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted(ROOT.rglob("*.py"))
        if (own := path.relative_to(ROOT).with_suffix("").parts[0]) != "__init__"
        for name in imports(path)
        if rank.get(name, -1) > rank[own] and (own, name) not in UPWARD
    ]
    assert not upward


def test_an_upward_import_would_be_seen(tmp_path: Path) -> None:
    text = (
        "import archcalc.cli\ndef f():\n    from archcalc.report import table\nfrom archcalc import plots\n"
    )
    (tmp_path / "x.py").write_text(text)
    assert sorted(imports(tmp_path / "x.py")) == ["cli", "plots", "report"]


def test_no_two_classes_share_a_name() -> None:
    names = Counter(
        node.name
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, number in names.items() if number > 1] == []
