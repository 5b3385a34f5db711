"""A page that is open in a browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archcalc.settings import Settings
from archcalc.view.page.write import page_of_network


class Visit:
    """An opened page, and all that it complained about or asked for."""

    def __init__(self, page: Any, path: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda problem: self.complaints.append(str(problem)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", timeout=20_000)
        self.address = path.as_uri()

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).inner_text())

    def run(self, script: str, argument: Any = None) -> Any:
        return self.page.evaluate(script, argument)

    def until(self, condition: str) -> None:
        """Wait for a condition. `wait_for_function` evaluates a string in the page, which its policy forbids."""
        end = time.monotonic() + 20
        while not self.run(condition):
            assert time.monotonic() < end, condition
            self.page.wait_for_timeout(20)

    def tab(self, name: str) -> None:
        self.page.click(f"#tab-{name}")

    def go(self, path: str) -> None:
        """Select a layer by its path."""
        self.run(
            "(path) => view.go(all().find((box) => models[0].name(box) === path))",
            path,
        )


ALL = "window.all = () => Array.from({ length: models[0].count }, (_, box) => box)"

Open = Callable[..., Visit]


def page_of(net: str, **conditions: Any) -> str:
    """What `archcalc report NET --format html` writes."""
    opened, profile = Settings(**conditions).open(net)
    return page_of_network(profile, opened.reference)
