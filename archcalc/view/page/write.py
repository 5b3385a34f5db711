"""The HTML file: the page, its style and scripts, and the data, in one text."""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

import archcalc
from archcalc.profile import Profile
from archcalc.view.page.data import network_data
from archcalc.view.page.encoding import in_html

SCRIPTS = (
    "base",
    "model",
    "layout",
    "graph",
    "details",
    "table",
    "memory",
    "reach",
    "field",
    "treemap",
    "comparison",
    "page",
)
"""The scripts in their order: each uses those before it."""


def page_of_network(profile: Profile, reference: str = "") -> str:
    """The page of a network."""
    return written(profile.network.name, {"networks": [network_data(profile, reference)]})


def written(title: str, data: dict[str, Any]) -> str:
    """The page with a title and its data."""
    data = {"archcalc": archcalc.__version__, **data}
    return (
        _asset("page.html")
        .replace("{{title}}", escape(_one_line(title)))
        .replace("{{style}}", _asset("page.css"))
        .replace("{{script}}", "\n".join(_asset(f"{name}.js") for name in SCRIPTS))
        .replace("{{data}}", in_html(data))
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


@cache
def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")
