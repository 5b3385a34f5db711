"""What all tests share: `pytest --overwrite` rewrites the golden files instead of comparing them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Golden = Callable[[Path, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--overwrite", action="store_true", help="rewrite golden files; read the diff afterwards"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with a golden file exactly, or rewrite the file."""
    overwrite = request.config.getoption("--overwrite")

    def compare(path: Path, text: str) -> None:
        if overwrite:
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing; make it with `pytest --overwrite` and read it"
        assert text == path.read_text(encoding="utf-8")

    return compare
