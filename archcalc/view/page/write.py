"""Writes the HTML file: the page, its style and scripts, and the data, in one text."""

from __future__ import annotations

import re
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
    "keyboard",
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
    """Return the page of a network."""
    return written(profile.network.name, {"networks": [network_data(profile, reference)]})


def written(title: str, data: dict[str, Any]) -> str:
    """Return the page with a title and its data."""
    parts = {
        "title": escape(_one_line(title)),
        "style": _asset("page.css"),
        "script": "\n".join(_asset(f"{name}.js") for name in SCRIPTS),
        "data": in_html({"archcalc": archcalc.__version__, **data}),
    }
    # in one pass, so that braces in a title or a name are not filled in
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _asset("page.html"))


def _one_line(text: str) -> str:
    return " ".join(text.split())


@cache
def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")
