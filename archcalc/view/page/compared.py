"""Two networks on one page: what was added, removed and changed, and an account of the difference."""

from __future__ import annotations

from typing import Any

from archcalc.comparison.matching import Matching, Pair
from archcalc.comparison.structure import describe
from archcalc.comparison.tables import ArrangedTable, CompareView
from archcalc.comparison.view import about, notes, sections, title, verdict
from archcalc.diagnostics import error
from archcalc.profile import Profile
from archcalc.view.page.data import drawn_boxes, network_data
from archcalc.view.page.figures import leaves
from archcalc.view.page.write import written

SAME, ADDED, REMOVED, CHANGED = range(4)
"""What happened to a layer. The page has the same numbers."""


def page_of_comparison(view: CompareView) -> str:
    """Return the page of two networks. Raises `ArchError` for more than two."""
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
    """Return, for each layer of both networks, what happened to it and its counterpart's number, or -1."""
    places = [_places(before), _places(after)]
    states = [[REMOVED] * (max(places[0].values()) + 1), [ADDED] * (max(places[1].values()) + 1)]
    partners = [[-1] * len(states[0]), [-1] * len(states[1])]
    seen: tuple[dict[int, int], dict[int, int]] = {}, {}
    changes: dict[int, list[str]] = {}
    for pair in matching.pairs:
        state = _state(pair)
        for side, node in enumerate((pair.before, pair.after)):
            if node is not None:
                place = places[side][node.index]
                earlier = seen[side].get(place, state)
                seen[side][place] = states[side][place] = state if state == earlier else CHANGED
        if pair.before is None or pair.after is None:
            continue
        here, there = places[0][pair.before.index], places[1][pair.after.index]
        partners[0][here], partners[1][there] = there, here
        if pair.moved:
            changes.setdefault(there, []).append(f"name {pair.before.name} → {pair.after.name}")
        changes.setdefault(there, []).extend(describe(change) for change in pair.changes)
    changes = {place: lines for place, lines in changes.items() if lines}
    return {"states": states, "partners": partners, "changes": changes}


def _state(pair: Pair) -> int:
    """Return what happened to a layer, or to two counterparts."""
    if pair.after is None:
        return REMOVED
    if pair.before is None:
        return ADDED
    return CHANGED if pair.changes else SAME


def _places(profile: Profile) -> dict[int, int]:
    """Return, for each node index, the number of the page's box that contains it."""
    drawn = drawn_boxes(profile)
    leaf = leaves(drawn)
    return {index: leaf[place] for index, place in drawn.positions.items()}
