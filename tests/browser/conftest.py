"""Pages in a real browser, as a user clicks. Without Chromium or Playwright these tests are skipped."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser.visiting import ALL, Open, Visit, page_of

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync""".split()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process has the browser: many of them at once are slow."""
    for item in items:
        if "browser" in Path(item.path).parts:
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A Chromium; `CHROMIUM` names another one than that on the path.

    Where there is none, tests are skipped, but with `BROWSER=required`, as in CI, they fail.
    """
    lacks = pytest.fail if os.environ.get("BROWSER") == "required" else pytest.skip
    if importlib.util.find_spec("playwright") is None:
        lacks("needs Playwright: `pip install 'archcalc[browser]'`")
    from playwright import sync_api as playwright

    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        lacks("needs Chromium: `apt-get install chromium`")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Open]:
    """Open a page; at the end, nothing may have been logged or requested but the file itself."""
    visits = []

    def open_page(page: str, *, width: int = 1280, height: int = 900, theme: str = "light") -> Visit:
        path = tmp_path / "page.html"
        path.write_text(page, encoding="utf-8", errors="replace")
        tab = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
        visit = Visit(tab, path)
        visit.run(ALL)
        visits.append(visit)
        return visit

    yield open_page
    for visit in visits:
        visit.page.close()
        assert visit.complaints == []
        assert set(visit.requests) == {visit.address}


@pytest.fixture
def network_page(opened: Open) -> Open:
    """Open the page of a network."""

    def open_network(net: str, *, width: int = 1280, theme: str = "light", **conditions: Any) -> Visit:
        return opened(page_of(net, **conditions), width=width, theme=theme)

    return open_network
