"""What all tests share: `pytest --overwrite` rewrites the golden files instead of comparing them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Golden = Callable[[Path, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--overwrite", action="store_true", help="write the golden files anew")


@pytest.fixture
def overwrite(request: pytest.FixtureRequest) -> bool:
    """Should golden files be written instead of compared?"""
    return bool(request.config.getoption("--overwrite"))


@pytest.fixture
def golden(overwrite: bool) -> Golden:
    """Compare a text with a golden file exactly, or rewrite the file."""

    def compare(path: Path, text: str) -> None:
        if overwrite:
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing; make it with `pytest --overwrite` and read it"
        assert text == path.read_text(encoding="utf-8")

    return compare
