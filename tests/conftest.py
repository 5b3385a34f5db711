"""What all tests share: `pytest --overwrite` rewrites the golden files instead of comparing them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings

from archcalc.cli import main

# A change must not fail by bad luck or on a busy machine: every run has the same examples, and none is timed.
# `pytest --hypothesis-profile default` draws new ones.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")

Golden = Callable[[Path, str], None]


class Result(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str


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


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Result]:
    """Run `archcalc` in a folder of its own, in a pipe, at a given width; it never ends in a traceback."""
    monkeypatch.chdir(tmp_path)

    def call(*args: str, width: int = 80) -> Result:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr(sys, "argv", ["archcalc", *args])
        status = 0
        try:
            main()
        except SystemExit as stop:
            status = int(stop.code or 0)
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Result(status, printed.out, printed.err)

    return call


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Let a process that is done take tests from another: a few of them take a minute, and stand together."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)
