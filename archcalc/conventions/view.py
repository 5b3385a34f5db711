"""Counting conventions as text and JSON: the list, and one with its rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archcalc.conventions import UNITS, Convention
from archcalc.conventions.measures import CONVOLUTIONS, part_text
from archcalc.layers.base import KINDS
from archcalc.render.documents import json_text
from archcalc.render.terminal import open_console, printed, ruled


def to_json(conventions: Sequence[Convention]) -> str:
    """Everything about some conventions, as one JSON object."""
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
        "containers": "" if convention.containers is None else convention.containers.text,
        "backward": [part_text(times, measure) for times, measure in convention.backward],
        "not_counted": _without_rule(convention),
        "notes": list(convention.notes),
        "bugs": [
            {"kinds": list(bug.kinds), "words": bug.words, "address": bug.address} for bug in convention.bugs
        ],
    }


def _without_rule(convention: Convention) -> list[str]:
    return [kind for kind in KINDS if kind not in convention.rules]


def _rules(convention: Convention) -> list[tuple[str, str]]:
    """Each rule once, with all its kinds; rules that count 0 are last."""
    kinds: dict[str, list[str]] = {}
    for kind, rule in convention.rules.items():
        kinds.setdefault(rule.text, []).append(kind)
    free = kinds.pop("0", [])
    rows = [(_listed(names), text) for text, names in kinds.items()]
    if convention.containers is not None:
        rows.append(("also each block that joins branches", convention.containers.text))
    if convention.backward:
        text = " + ".join(part_text(*part) for part in convention.backward)
        rows.append(("also their backward pass", text))
    if free:
        rows.append((_listed(free), "0"))
    missing = _without_rule(convention)
    if missing:
        rows.append((_listed(missing), "not counted"))
    return rows


def _listed(names: Sequence[str]) -> str:
    return "every layer kind" if len(names) == len(KINDS) else ", ".join(names)


def _brief(convention: Convention) -> str:
    """The rules in one line: `MACs of conv, fc; 2·inputs of bn`. The three dense kinds are `conv`."""
    parts = []
    for kinds, text in _rules(convention):
        if text not in ("0", "not counted"):
            names = kinds.replace(", ".join(CONVOLUTIONS), "conv")
            parts.append(f"{text} of {names}")
    return "; ".join(parts)


def render(conventions: Sequence[Convention], width: int, colour: bool) -> str:
    """The list: for each convention its name, title, version, rules, and the source of its rules."""
    from rich.padding import Padding
    from rich.text import Text

    console = open_console(width, colour)
    for unit, words in UNITS.items():
        chosen = [convention for convention in conventions if convention.unit == unit]
        if chosen:
            console.print(Text(f"In {words}", style="bold"))
        for convention in chosen:
            said = f"; it says {convention.calls_it}" if convention.calls_it else ""
            version = f" {convention.version}" if convention.version else ""
            heading = Text(convention.name, style="bold cyan")
            heading.append(f"{version}: {convention.title}{said}", style="not bold default")
            console.print()
            console.print(Padding(heading, (0, 0, 0, 2)))
            for text in (_brief(convention), convention.source):
                console.print(Padding(Text(text, style="dim", overflow="fold"), (0, 0, 0, 6)))
        console.print()
    hint = "`archcalc conventions NAME` shows all of one: what counts 0, what is not counted, known errors."
    console.print(Text(hint, style="dim"))
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
