"""The whole audit: the claims, their verdicts, and the number of each verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from archcalc.audit import papers
from archcalc.audit.claims import VERDICTS, Claim, Deck, read_decks, shipped_files
from archcalc.audit.finding import AuditFinding, judge
from archcalc.audit.networks import Networks
from archcalc.diagnostics import Problems, unknown
from archcalc.render.progress import Progress, unseen


class Audit(Struct, frozen=True, eq=False):
    """The findings of some decks, and the title of each deck with its author, institution, and year."""

    titles: dict[str, str]
    findings: tuple[AuditFinding, ...]
    on_request: tuple[str, ...] = ()
    """The decks that are listed only if they are named."""
    decks: tuple[Deck, ...] = ()
    """The decks that have a file."""

    @property
    def disagreements(self) -> list[AuditFinding]:
        """The findings with another verdict than expected."""
        return [finding for finding in self.findings if not finding.agrees]

    @property
    def summary(self) -> dict[str, dict[str, int]]:
        """The number of findings with each verdict, by deck."""
        counts = {deck: dict.fromkeys(VERDICTS, 0) for deck in self.titles}
        for finding in self.findings:
            counts[finding.deck][finding.verdict] += 1
        return counts

    def rows(self, decks: Sequence[str] = (), verdicts: Sequence[str] = ()) -> list[AuditFinding]:
        """The findings to list, of all decks or of the named ones. Decks `on_request` must be named.

        Raises `ArchError` for a verdict that does not exist.
        """
        for verdict in verdicts:
            if verdict not in VERDICTS:
                raise unknown("there is no verdict", verdict, VERDICTS, listing="verdicts")
        chosen = [finding for finding in self.findings if decks or finding.deck not in self.on_request]
        return [finding for finding in chosen if not verdicts or finding.verdict in verdicts]


def audit(files: Sequence[Path] = (), decks: Sequence[str] = (), progress: Progress = unseen) -> Audit:
    """Audit the built-in claims, or those of `files`. If decks are named, audit only these.

    Raises `ArchError` with every mistake in the claims, and for a deck that does not exist.

    >>> audit(decks=["papers"]).disagreements
    []
    """
    found = read_decks(_files(files))
    titles = {deck.name: deck.citation for deck in found}
    known = titles if files else {**titles, **papers.TITLES}
    for deck in decks:
        if deck not in known:
            raise unknown("there is no deck", deck, known, listing="decks")
    wanted = {name: title for name, title in known.items() if not decks or name in decks}
    claims = [claim for deck in found if deck.name in wanted for claim in deck.claims]
    networks = Networks()
    findings = _judged(claims, networks, progress)
    if wanted.keys() & {*papers.DECKS} and not files:
        for spec in progress(papers.specs(), "Papers"):
            findings += papers.findings(spec, networks)
    ordered = (finding for deck in wanted for finding in findings if finding.deck == deck)
    return Audit(wanted, tuple(ordered), () if files else papers.DECKS, tuple(found))


def find(id: str, files: Sequence[Path] = ()) -> AuditFinding:
    """The finding of one claim. Raises `ArchError` for an id that does not exist."""
    claims = {claim.id: claim for deck in read_decks(_files(files)) for claim in deck.claims}
    networks = Networks()
    if id in claims:
        return judge(claims[id], networks)
    specs = [] if files else papers.specs()
    cited = {each.id: each for spec in specs for each in papers.findings(spec, networks)}
    if id not in cited:
        known = [*claims, *cited]
        alike = [each for each in known if each.partition("/")[0] == id.partition("/")[0]]
        help = "`archcalc audit` lists them; `--deck papers` those of papers"
        raise unknown("there is no claim", id, alike or known, help=help)
    return cited[id]


def _files(files: Sequence[Path]) -> list[tuple[Path, str]]:
    return [(path, str(path)) for path in files] or shipped_files()


def _judged(claims: Sequence[Claim], networks: Networks, progress: Progress) -> list[AuditFinding]:
    findings = []
    problems = Problems()
    for claim in progress(claims, "Claims"):
        with problems.collect():
            findings.append(judge(claim, networks))
    problems.raise_any()
    return findings
