"""Two networks on one page: what was added, removed and changed, and the account of the difference."""

from __future__ import annotations

from typing import Any

from archcalc.comparison.matching import Matching
from archcalc.comparison.structure import describe
from archcalc.comparison.tables import ArrangedTable, CompareView
from archcalc.comparison.view import about, notes, sections, title, verdict
from archcalc.diagnostics import error
from archcalc.network import Node
from archcalc.profile import Profile
from archcalc.view.page.data import network_data
from archcalc.view.page.write import written

SAME, ADDED, REMOVED, CHANGED = range(4)
"""What happened to a layer. The page has the same numbers."""


def page_of_comparison(view: CompareView) -> str:
    """The page of two networks. Raises `ArchError` for more."""
    subjects = view.comparison.subjects
    matching = view.comparison.matching
    if matching is None:
        raise error(
            f"a page compares two networks, and {len(subjects)} are given",
            help="`--format table` or `markdown` compares more",
        )
    profiles = [subject.profile for subject in subjects]
    data = {
        "networks": [network_data(profile) for profile in profiles],
        "comparison": {
            "title": title(view),
            "names": view.names,
            "about": about(view),
            "notes": notes(view),
            "verdict": verdict(view),
            "sections": [_section(each) for each in sections(view)],
            **_matched(matching, *profiles),
        },
    }
    return written(title(view), data)


def _section(table: ArrangedTable) -> dict[str, Any]:
    columns = [column for column in table.arrangements[0] if not column.is_bar]
    return {
        "title": table.title,
        "note": table.note,
        "columns": [
            {
                "heading": column.heading.replace("\n?", "?"),
                "cells": list(column.cells),
                "right": column.right,
                "total": column.total,
            }
            for column in columns
        ],
    }


def _matched(matching: Matching, before: Profile, after: Profile) -> dict[str, Any]:
    """For each layer of both networks what happened to it, and the number of its counterpart, or -1."""
    places = [_places(before), _places(after)]
    states = [[REMOVED] * len(places[0]), [ADDED] * len(places[1])]
    partners = [[-1] * len(places[0]), [-1] * len(places[1])]
    changes: dict[int, list[str]] = {}
    for pair in matching.pairs:
        if pair.before is None or pair.after is None:
            continue
        here, there = places[0][pair.before.index], places[1][pair.after.index]
        partners[0][here], partners[1][there] = there, here
        states[0][here] = states[1][there] = CHANGED if pair.changes else SAME
        if pair.moved:
            changes[there] = [f"name {pair.before.name} → {pair.after.name}"]
        if pair.changes:
            changes.setdefault(there, []).extend(describe(change) for change in pair.changes)
    return {"states": states, "partners": partners, "changes": changes}


def _places(profile: Profile) -> dict[int, int]:
    """The number of each node on the page, by its index."""
    drawn: list[Node] = [node for node in profile.network.nodes if profile.heads or not node.training]
    return {node.index: place for place, node in enumerate(drawn)}
