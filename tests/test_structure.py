"""How the code is laid out."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import archcalc

PACKAGE = Path(archcalc.__file__).parent
SHARED = {"Entry", "Finding", "Function", "Outcome", "Step"}
"""Names that still are to change in `audit` and `plots`; a new one must not be added."""


def test_no_two_classes_share_a_name():
    names = Counter(
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert {name for name, number in names.items() if number > 1} <= SHARED
