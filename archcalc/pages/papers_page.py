"""The pages of papers and of other programs. Figures are listed by paper, those that do not hold first."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from msgspec import Struct

from archcalc.audit.finding import AuditFinding
from archcalc.opened import Opened
from archcalc.pages.audit_page import counts, held_table, in_words, summary, verdicts_explained
from archcalc.pages.markdown import code, folded, item, page, table
from archcalc.render.documents import escaped
from archcalc.render.numbers import grouped, plural

_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
_YEAR = re.compile(r"(?<!arXiv:)\b(?:19|20)\d\d\b")
_AUTHOR = re.compile(r"\b([A-Z][\w-]+)(?: et al\.?| & [A-Z][\w-]+)? ((?:19|20)\d\d)\b")

TITLES = {"papers": "Figures of papers", "programs": "Figures of other programs"}
WORDS = {
    "papers": "figures published by papers and their authors",
    "programs": "figures of other programs, which build the same networks,",
}
SOURCES = {
    "papers": "Each figure is an expectation with a citation in the built-in specs, or a claim in "
    "`specs/claims/papers.toml`.",
    "programs": "Each figure is an expectation in the built-in specs that cites a program, such as "
    "torchvision, timm, or Keras.",
}


class Paper(Struct):
    """A publication and its figures."""

    title: str
    findings: list[AuditFinding]

    @property
    def year(self) -> str:
        found = _YEAR.findall(self.title)
        return found[-1] if found else "without"


def papers_page(deck: str, findings: Sequence[AuditFinding], specs: Sequence[Opened], linked: bool) -> str:
    """The page of `papers` or of `programs`. If `linked`, figures link to the pages of their networks."""
    members = [finding for finding in findings if finding.deck == deck]
    papers = by_paper(members, specs)
    nets = {spec.name for spec in specs} if linked else set()
    links = {paper.title: f"#p{number}" for number, paper in enumerate(papers, 1)}
    lines = [
        f"This page compares {grouped(len(members))} {WORDS[deck]} with the values that archcalc computes: "
        f"{in_words(counts(members))}. {SOURCES[deck]}",
        "",
    ]
    lines += summary({paper.title: counts(paper.findings) for paper in papers}, "Paper", links)
    lines += verdicts_explained()
    for number, paper in enumerate(papers, 1):
        lines += [f'<a id="p{number}"></a>', "", f"## {escaped(paper.title)}", ""]
        lines += [f"{plural(len(paper.findings), 'figure')}: {in_words(counts(paper.findings))}.", ""]
        lines += _figures(paper.findings, nets)
    return page(TITLES[deck], [("Reports", "README.md"), ("Audit", "audit.md")], lines)


def _id(finding: AuditFinding, nets: Collection[str]) -> str:
    """The id of a figure, with a link if its network is in `nets`, the networks that have a page."""
    id = escaped(finding.id)
    return f"[{id}](networks/{finding.net}.md)" if finding.net in nets else id


def _figures(findings: Sequence[AuditFinding], nets: Collection[str]) -> list[str]:
    lines: list[str] = []
    told = [each for each in findings if not each.holds and each.verdict != "outside"]
    for finding in sorted(told, key=lambda each: each.verdict != "discrepant"):
        verdict = "" if finding.verdict == "discrepant" else f" · {finding.verdict}"
        lines += item(finding, f"{escaped(finding.place)} · {_id(finding, nets)}{verdict}")
    lines += [""] if told else []
    held = [each for each in findings if each.holds]
    lines += held_table(held, [escaped(each.place) for each in held], "Where")
    measured = [each for each in findings if each.verdict == "outside"]
    if measured:
        rows = [[escaped(each.place), escaped(each.says), code(each.claimed)] for each in measured]
        words = f"{plural(len(measured), 'figure')} cannot be computed, such as an accuracy"
        lines += folded(words, table(["Where", "What it says", "Printed"], rows, right=[2]))
    return lines


def by_paper(findings: Sequence[AuditFinding], specs: Sequence[Opened]) -> list[Paper]:
    """The figures of each paper, the oldest first.

    A figure belongs to the paper that its place names, or else to the paper of its network.
    """
    titles: dict[str, str] = {}
    own: dict[str, str] = {}
    known: dict[tuple[str, ...], str] = {}
    for spec in specs:
        name = own[spec.name] = spec.reference.partition(", ")[0]
        title = _title(spec.reference)
        if "arXiv" in title or name not in titles:
            titles[name] = title
        for key in _keys(spec.reference):
            known.setdefault(key, name)
    papers: dict[str, Paper] = {}
    for finding in findings:
        named = next((known[key] for key in _keys(finding.place) if key in known), "")
        # the place of a measured figure names its paper; other places may name only a table of it
        stated = own.get(finding.net, "") if finding.verdict != "outside" else ""
        name = named or stated or _title(finding.place)
        papers.setdefault(name, Paper(titles.get(name, name), [])).findings.append(finding)
    return sorted(papers.values(), key=lambda paper: (paper.year, paper.title))


def _keys(text: str) -> Sequence[tuple[str, ...]]:
    """The keys that identify a reference: its arXiv number, then its first author and year."""
    return [*((number,) for number in _ARXIV.findall(text)), *_AUTHOR.findall(text)]


def _title(reference: str) -> str:
    """A reference without the place in the paper: up to its arXiv number, or else up to its year."""
    end = _ARXIV.search(reference) or _YEAR.search(reference)
    return reference[: end.end()] if end is not None else reference
