"""A page for each shipped network, and one that lists them all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from msgspec import Struct

from archcalc.audit.finding import Finding
from archcalc.audit.words import reason, shown_value
from archcalc.catalog import Spec
from archcalc.language.elaborate import elaborate
from archcalc.pages.markdown import code, page, table
from archcalc.profile import Profile, analyze
from archcalc.quantities import Selection
from archcalc.render.documents import escaped
from archcalc.render.numbers import grouped
from archcalc.report.columns import View, choose
from archcalc.report.formats import to_markdown
from archcalc.report.rows import select_rows
from archcalc.report.table import heading
from archcalc.shape import format_shape

COLUMNS = ("layer", "operation", "output", "receptive_field", "params", "macs", "macs_share", "activations")
MAX_ROWS = 120
"""Of a network with more layers, blocks are rolled up until as many rows remain, or its stages do."""


class Entry(Struct, frozen=True):
    """A network as the overview lists it; `held` of its published figures hold as printed."""

    name: str
    family: str
    year: int | None
    inputs: str
    params: int
    macs: int
    depth: int
    published: int
    held: int


def network_page(spec: Spec, published: Sequence[Finding], lectures: Sequence[Finding]) -> tuple[str, Entry]:
    """The page of a network, and its line in the overview."""
    profile = analyze(elaborate(spec.net))
    view = View(profile)
    rows, depth = _rows(profile)
    lines = [escaped(spec.reference), ""] if spec.reference else []
    rolled = f", with blocks rolled up; `archcalc report {spec.name}` lists all {len(profile.layers):,}"
    lines += [
        f"{heading(view, '')[-1]}. Declared in `specs/{spec.family}.arch`: `archcalc spec {spec.name}` "
        "prints it.",
        "",
        "## Layers",
        "",
        *([f"{len(rows)} rows{rolled} layers.", ""] if depth else []),
        to_markdown(rows, view, choose(COLUMNS), []),
    ]
    lines += _published(published)
    lines += _lectures(lectures)
    inputs = ", ".join(format_shape(node.shape) for node in profile.network.inputs.values())
    totals = profile.totals
    held = sum(finding.holds for finding in published)
    entry = Entry(
        spec.name,
        spec.family,
        spec.year,
        inputs,
        totals.params,
        totals.macs,
        totals.depth,
        len(published),
        held,
    )
    trail = [("Reports", "../README.md"), ("Networks", "../networks.md")]
    return page(spec.name, trail, lines), entry


def _rows(profile: Profile) -> tuple[list[Selection], int | None]:
    """The rows to show, and the depth they are rolled up to, if they are."""
    if len(profile.layers) <= MAX_ROWS:
        return select_rows(profile), None
    deepest = max((group.depth for group in profile.network.groups), default=1)
    for depth in range(deepest, 1, -1):
        rows = select_rows(profile, depth=depth)
        if len(rows) <= MAX_ROWS:
            return rows, depth
    return select_rows(profile, depth=1), 1


def _published(findings: Sequence[Finding]) -> list[str]:
    if not findings:
        return []
    ordered = sorted(findings, key=lambda finding: finding.verdict != "discrepant")
    rows = [
        [
            escaped(finding.says),
            code(finding.claimed),
            code(shown_value(finding)),
            f"**{finding.verdict}**" if finding.verdict == "discrepant" else finding.verdict,
            escaped(finding.place),
            escaped(reason(finding)),
        ]
        for finding in ordered
    ]
    headings = ["Figure", "Printed", "Computed", "Verdict", "Where", "Why"]
    return ["## What is published", "", *table(headings, rows, right=[1, 2])]


def _lectures(findings: Sequence[Finding]) -> list[str]:
    if not findings:
        return []
    rows = [
        [
            _claim(finding),
            escaped(finding.says),
            code(finding.claimed),
            code(shown_value(finding)),
            f"**{finding.verdict}**" if finding.verdict == "discrepant" else finding.verdict,
        ]
        for finding in findings
    ]
    headings = ["Claim", "What it says", "Printed", "Computed", "Verdict"]
    return ["## In the lectures", "", *table(headings, rows, right=[2, 3])]


def _claim(finding: Finding) -> str:
    """The id of a claim; a link to what the audit says of it, if that is more than that it holds."""
    return finding.id if finding.holds else f"[{finding.id}](../audit.md#{finding.id})"


def overview(entries: Sequence[Entry]) -> str:
    """All networks by family."""
    lines = [
        f"{len(entries)} networks come with archcalc, in `specs/`. *Published* is how many of the figures "
        "that are published of a network hold as printed; its page says which do not, and why.",
        "",
    ]
    for family, members in groupby(entries, key=lambda entry: entry.family):
        rows = [
            [
                f"[{escaped(entry.name)}](networks/{entry.name}.md)",
                str(entry.year or ""),
                entry.inputs,
                grouped(entry.params),
                grouped(entry.macs),
                grouped(entry.depth),
                f"{entry.held} of {entry.published}" if entry.published else "",
            ]
            for entry in members
        ]
        headings = ["Network", "Year", "Input", "Parameters", "Multiply-adds", "Depth", "Published"]
        lines += [f"## {escaped(family)}", "", *table(headings, rows, right=range(1, len(headings)))]
    return page("Networks", [("Reports", "README.md")], lines)


def by_network(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """Figures by the networks that their statements ask for."""
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        asked = [each for outcome in finding.outcomes for each in outcome.asked]
        if finding.shown is not None:
            asked += finding.shown.asked
        names = dict.fromkeys(each.profile.network.name for each in asked if each.profile is not None)
        for name in names:
            found.setdefault(name, []).append(finding)
    return found
