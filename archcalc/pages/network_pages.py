"""The overview of the built-in networks, and a page for each network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from msgspec import Struct

from archcalc.audit.finding import AuditFinding
from archcalc.audit.words import reason, shown_value
from archcalc.opened import Opened
from archcalc.pages.drawings_page import DRAWN
from archcalc.pages.markdown import code, page, table
from archcalc.profile import Profile
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
"""With more layers, blocks are rolled up until at most this many rows are left, or only the stages."""


class OverviewRow(Struct, frozen=True):
    """A network in the overview. `held` of its `published` figures hold as printed."""

    name: str
    family: str
    reference: str
    year: int | None
    inputs: str
    params: int
    macs: int
    depth: int
    published: int
    held: int


def overview_row(spec: Opened, profile: Profile, published: Sequence[AuditFinding]) -> OverviewRow:
    """The totals of a network, and the number of its published figures that hold."""
    totals = profile.totals
    return OverviewRow(
        spec.name,
        spec.family,
        spec.reference,
        spec.year,
        ", ".join(format_shape(node.shape) for node in profile.network.inputs.values()),
        totals.params,
        totals.macs,
        totals.depth,
        len(published),
        sum(finding.holds for finding in published),
    )


def network_page(
    spec: Opened, profile: Profile, published: Sequence[AuditFinding], lectures: Sequence[AuditFinding]
) -> str:
    """The page of a network: its layers, and the figures about it in papers and lectures."""
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
    trail = [("Reports", "../README.md"), ("Networks", "../networks.md")]
    if any(drawn.net == spec.name for drawn in DRAWN):
        trail.append(("Drawing", f"../drawings/{spec.name}.svg"))
    return page(spec.name, trail, lines)


def _rows(profile: Profile) -> tuple[list[Selection], int | None]:
    """The rows to show, and the depth to which they are rolled up, if they are."""
    if len(profile.layers) <= MAX_ROWS:
        return select_rows(profile), None
    deepest = max((group.depth for group in profile.network.groups), default=1)
    for depth in range(deepest, 1, -1):
        rows = select_rows(profile, depth=depth)
        if len(rows) <= MAX_ROWS:
            return rows, depth
    return select_rows(profile, depth=1), 1


def _published(findings: Sequence[AuditFinding]) -> list[str]:
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
    return ["## Published figures", "", *table(headings, rows, right=[1, 2])]


def _lectures(findings: Sequence[AuditFinding]) -> list[str]:
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


def _claim(finding: AuditFinding) -> str:
    """The id of a claim, with a link to the audit unless the claim holds as printed."""
    return finding.id if finding.holds else f"[{finding.id}](../audit.md#{finding.id})"


def overview(rows: Sequence[OverviewRow], linked: bool) -> str:
    """All networks by family and publication. If `linked`, their names link to their pages."""
    lines = [
        f"archcalc has {len(rows)} built-in networks. Their specs are in `specs/`. `archcalc report vgg16` "
        "shows a network layer by layer.",
        "",
        "The column *Published* has the number of published figures of the network that hold as printed. "
        "[Papers](papers.md) and [other programs](programs.md) list these figures.",
        "",
    ]
    for family, of_family in groupby(rows, key=lambda row: row.family):
        lines += [f"## {escaped(family)}", ""]
        for reference, members in groupby(of_family, key=lambda row: row.reference):
            lines += [escaped(reference), "", *_overview_table(members, linked)]
    return page("Networks", [("Reports", "README.md")], lines)


def _overview_table(rows: Iterable[OverviewRow], linked: bool) -> list[str]:
    cells = [
        [
            f"[{escaped(row.name)}](networks/{row.name}.md)" if linked else escaped(row.name),
            str(row.year or ""),
            row.inputs,
            grouped(row.params),
            grouped(row.macs),
            grouped(row.depth),
            f"{row.held} of {row.published}" if row.published else "",
        ]
        for row in rows
    ]
    headings = ["Network", "Year", "Input", "Parameters", "MACs", "Depth", "Published"]
    return table(headings, cells, right=range(1, len(headings)))


def by_network(findings: Sequence[AuditFinding]) -> dict[str, list[AuditFinding]]:
    """Figures by the networks in their statements."""
    found: dict[str, list[AuditFinding]] = {}
    for finding in findings:
        asked = [each for outcome in finding.outcomes for each in outcome.asked]
        if finding.shown is not None:
            asked += finding.shown.asked
        names = dict.fromkeys(each.profile.network.name for each in asked if each.profile is not None)
        for name in names:
            found.setdefault(name, []).append(finding)
    return found
