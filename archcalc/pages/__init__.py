"""The reports: the audit, tables, plots, and networks as linked pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archcalc.audit.finding import AuditFinding
from archcalc.audit.run import Audit, audit
from archcalc.audit.tables.documents import markdown_body, to_csv
from archcalc.audit.tables.table import PublishedTable, all_tables
from archcalc.catalog import shipped
from archcalc.pages.audit_page import audit_page, counts, deck_table, in_words
from archcalc.pages.drawings_page import DRAWN, drawings
from archcalc.pages.folder import Contents
from archcalc.pages.markdown import page, table
from archcalc.pages.network_pages import by_network, network_page, overview, overview_row
from archcalc.pages.papers_page import papers_page
from archcalc.plots import plots
from archcalc.profile import analyze
from archcalc.render.documents import escaped
from archcalc.render.numbers import grouped
from archcalc.render.progress import Progress, unseen


def contents(progress: Progress = unseen, networks: bool = False) -> Contents:
    """Every file of the folder, by its path. With `networks`, this includes a page for each network.

    Raises `ArchError` with every mistake in the claims.
    """
    found = audit(progress=progress)
    tables = all_tables(progress)
    specs = shipped()
    files: dict[str, Any] = {}
    places: dict[str, list[tuple[str, str]]] = {}
    for each in tables:
        path = f"tables/{each.layout.name}.md"
        files[path] = _table_page(each)
        files[f"tables/{each.layout.name}.csv"] = to_csv(each)
        for id in dict.fromkeys(finding.id for finding in each.findings):
            places.setdefault(id, []).append((each.layout.number, path))
    lectures = by_network([finding for finding in found.findings if finding.deck not in found.on_request])
    published = _published(found)
    rows = []
    for spec in progress(specs, "Networks"):
        profile = analyze(spec.network())
        figures = published.get(spec.name, [])
        rows.append(overview_row(spec, profile, figures))
        if networks:
            text = network_page(spec, profile, figures, lectures.get(spec.name, []))
            files[f"networks/{spec.name}.md"] = text
    files["networks.md"] = overview(rows, linked=networks)
    files["audit.md"] = audit_page(found, places)
    for deck in found.on_request:
        files[f"{deck}.md"] = papers_page(deck, found.findings, specs, linked=networks)
    files |= {f"plots/{plot.name}.svg": plot for plot in plots().values()}
    files |= drawings()
    files["README.md"] = _index(found, tables, len(specs))
    return dict(sorted(files.items()))


def _published(found: Audit) -> dict[str, list[AuditFinding]]:
    """The figures of papers and programs by network: the one that a figure names, or those in statements."""
    known = {spec.name for spec in shipped()}
    by_net: dict[str, list[AuditFinding]] = {}
    for finding in found.findings:
        if finding.deck in found.on_request:
            for name in [finding.net] if finding.net in known else by_network([finding]):
                by_net.setdefault(name, []).append(finding)
    return by_net


def _table_page(each: PublishedTable) -> str:
    layout = each.layout
    trail = [("Reports", "../README.md"), ("Audit", "../audit.md"), ("CSV", f"{layout.name}.csv")]
    return page(f"{layout.number}: {layout.title}", trail, markdown_body(each))


def _index(found: Audit, tables: Sequence[PublishedTable], networks: int) -> str:
    lectures = [finding for finding in found.findings if finding.deck not in found.on_request]
    decks = [deck for deck in found.titles if deck not in found.on_request]
    groups = [("[Lecture decks](audit.md)", lectures)]
    for deck, words in (("papers", "Papers"), ("programs", "Other programs")):
        groups.append((f"[{words}]({deck}.md)", [each for each in found.findings if each.deck == deck]))
    lines = [
        "These pages compare published figures of convolutional networks with the values that archcalc "
        f"computes. The figures come from {len(decks)} lecture decks, from papers, and from other programs. "
        "`archcalc reports` writes these pages.",
        "",
        "## The audit",
        "",
        *table(
            ["Source", "Figures", "Verdicts"],
            [[name, grouped(len(members)), in_words(counts(members))] for name, members in groups],
            right=[1],
        ),
        "The lecture decks:",
        "",
        *deck_table(found, "audit.md"),
        "## Tables",
        "",
        "The tables of the lecture decks, with the computed value next to each figure that differs.",
        "",
        *table(
            ["Table", "Title", "Decks", "Figures"],
            [
                [
                    f"[{each.layout.number}](tables/{each.layout.name}.md)",
                    escaped(each.layout.title),
                    " ".join(each.layout.decks),
                    in_words(counts(each.findings)),
                ]
                for each in tables
            ],
        ),
        "## Networks",
        "",
        f"[The {networks} built-in networks](networks.md), with their publications, their totals, and the "
        "number of published figures that hold.",
        "",
        "## Drawings",
        "",
        f"Drawings of {', '.join(f'[{each.title}](drawings/{each.net}.svg)' for each in DRAWN)}: "
        "[all on one page](drawings.md).",
        "",
        "## Plots",
        "",
    ]
    for plot in plots().values():
        lines += [f"![{escaped(plot.title)}](plots/{plot.name}.svg)", ""]
    return page("Reports", [], lines)
