"""Counting conventions for people and programs: the list, and each with its rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archcalc.conventions import UNITS, Convention
from archcalc.layers.base import KINDS
from archcalc.report.documents import json_text
from archcalc.report.terminal import open_console, printed, ruled


def to_json(conventions: Sequence[Convention]) -> str:
    """All that is known of some conventions, as one JSON object."""
    return json_text(conventions=[_plain(convention) for convention in conventions])


def _plain(convention: Convention) -> dict[str, Any]:
    return {
        "name": convention.name,
        "aliases": list(convention.aliases),
        "title": convention.title,
        "unit": convention.unit,
        "calls_it": convention.calls_it or convention.unit,
        "version": convention.version,
        "source": convention.source,
        "rules": {kind: rule.text for kind, rule in convention.rules.items()},
        "not_counted": _without_rule(convention),
        "notes": list(convention.notes),
        "bugs": [
            {"kinds": list(bug.kinds), "words": bug.words, "address": bug.address} for bug in convention.bugs
        ],
    }


def _without_rule(convention: Convention) -> list[str]:
    return [kind for kind in KINDS if kind not in convention.rules]


def _rules(convention: Convention) -> list[tuple[str, str]]:
    """Each rule once, with all the kinds it holds for; what is free comes last."""
    kinds: dict[str, list[str]] = {}
    for kind, rule in convention.rules.items():
        kinds.setdefault(rule.text, []).append(kind)
    free = kinds.pop("0", [])
    rows = [(_listed(names), text) for text, names in kinds.items()]
    if convention.containers is not None:
        rows.append(("each block that joins branches, besides", convention.containers.text))
    if free:
        rows.append((_listed(free), "0"))
    missing = _without_rule(convention)
    if missing:
        rows.append((_listed(missing), "not counted"))
    return rows


def _listed(names: Sequence[str]) -> str:
    return "every layer kind" if len(names) == len(KINDS) else ", ".join(names)


def render(conventions: Sequence[Convention], width: int, colour: bool) -> str:
    """The list: name, unit, version, and what each is."""
    from rich.text import Text

    console = open_console(width, colour)
    for unit, words in UNITS.items():
        chosen = [convention for convention in conventions if convention.unit == unit]
        if not chosen:
            continue
        console.print(Text(f"In {words}", style="bold"))
        table = ruled(show_edge=True)
        table.add_column("Name", no_wrap=True, style="bold")
        table.add_column("What")
        table.add_column("Version", no_wrap=True)
        for convention in chosen:
            said = f"; it says {convention.calls_it}" if convention.calls_it else ""
            table.add_row(convention.name, Text(f"{convention.title}{said}"), convention.version)
        console.print(table)
    console.print(Text("`archcalc conventions NAME` shows what one counts.", style="dim"))
    return printed(console)


def render_one(convention: Convention, width: int, colour: bool) -> str:
    """One convention: its source, what it counts of each layer kind, notes and known bugs."""
    from rich.text import Text

    console = open_console(width, colour)
    console.print(Text(f"{convention.name}: {convention.title}", style="bold"), overflow="fold")
    version = f"version {convention.version}; " if convention.version else ""
    console.print(Text(f"counts {convention.what}; {version}{convention.source}"), overflow="fold")
    if convention.aliases:
        console.print(Text(f"also called {', '.join(convention.aliases)}"))
    table = ruled(show_edge=True)
    table.add_column("Of a layer")
    table.add_column("Count", style="bold")
    for kinds, text in _rules(convention):
        table.add_row(Text(kinds), Text(text))
    console.print(table)
    for note in convention.notes:
        console.print(Text(f"- {note}"), overflow="fold")
    for bug in convention.bugs:
        console.print(Text(f"- {bug.text}"), overflow="fold")
    return printed(console)
