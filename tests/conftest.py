"""What all tests share."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--overwrite", action="store_true", help="write the golden files anew")


@pytest.fixture
def overwrite(request: pytest.FixtureRequest) -> bool:
    """Should golden files be written instead of compared?"""
    return bool(request.config.getoption("--overwrite"))
