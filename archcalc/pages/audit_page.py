"""The page of the audit: the lecture decks, the number of figures that hold, and those that do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from archcalc.audit.claims import VERDICTS
from archcalc.audit.finding import AuditFinding
from archcalc.audit.run import Audit
from archcalc.audit.words import shown_value
from archcalc.pages.markdown import code, folded, item, page, table
from archcalc.render.documents import escaped
from archcalc.render.numbers import grouped, plural

ORDER = ("discrepant", "damaged", "convention", "open", "outside")
"""The verdicts that need a reason, in the order of the page."""

HEADINGS = {
    "discrepant": "Does not hold",
    "damaged": "Damaged by text extraction",
    "convention": "Holds under a convention or for a variant",
    "open": "Missing: asked for, left out, or lost",
    "outside": "Cannot be computed from the network alone",
}

Tables = Mapping[str, Sequence[tuple[str, str]]]
"""The number and path of each table that has a claim, by the id of the claim."""


def audit_page(audit: Audit, tables: Tables) -> str:
    """The page of the lecture decks. Papers and programs have their own pages."""
    decks = [deck for deck in audit.titles if deck not in audit.on_request]
    findings = [finding for finding in audit.findings if finding.deck in decks]
    lines = [
        f"This page compares {grouped(len(findings))} figures from {len(decks)} decks of lecture slides with "
        f"the values that archcalc computes: {in_words(counts(findings))}. [Papers](papers.md) and "
        "[other programs](programs.md) have their own pages.",
        "",
        "## The decks",
        "",
        *deck_table(audit, ""),
        "The table shows what each deck states about itself. A place such as `L149` is a line of the text "
        "that was extracted from the deck.",
        "",
        "## The verdicts",
        "",
        *summary({deck: audit.summary[deck] for deck in decks}, "Deck", {deck: f"#{deck}" for deck in decks}),
        *verdicts_explained(),
        "Verdicts follow from computed values. If a figure is a formula, this page shows its value for one "
        "case. `archcalc audit --explain S4-079` shows how a value is computed.",
        "",
    ]
    lines += _at_a_glance(findings)
    for deck in decks:
        members = [finding for finding in findings if finding.deck == deck]
        lines += [f'<a id="{deck}"></a>', "", f"## {deck}: {escaped(audit.titles[deck])}", ""]
        lines += [f"{plural(len(members), 'figure')}: {in_words(counts(members))}.", ""]
        lines += _deck(members, tables)
    return page("The audit", [("Reports", "README.md")], lines)


def deck_table(audit: Audit, page: str) -> list[str]:
    """What each lecture deck states about itself, with links to its part of the page of the audit."""
    rows = []
    for deck in audit.decks:
        if deck.name in audit.titles and deck.name not in audit.on_request:
            stated = (deck.title, deck.author, deck.institution, deck.year)
            rows.append(
                [f"[{deck.name}]({page}#{deck.name})", *(escaped(text) or NOT_STATED for text in stated)]
            )
    return table(["Deck", "Title", "Author", "Institution", "Year"], rows)


NOT_STATED = "not stated"


def counts(findings: Iterable[AuditFinding]) -> dict[str, int]:
    """The number of findings with each verdict."""
    found = dict.fromkeys(VERDICTS, 0)
    for finding in findings:
        found[finding.verdict] += 1
    return found


_WORDS = {
    "holds": ("holds as printed", "hold as printed"),
    "convention": ("holds under a convention or for a variant", "hold under a convention or for a variant"),
    "discrepant": ("does not hold", "do not hold"),
    "damaged": ("is damaged by text extraction", "are damaged by text extraction"),
    "open": ("is missing", "are missing"),
    "outside": ("cannot be computed",) * 2,
}


def in_words(found: Mapping[str, int]) -> str:
    """The number of figures with each verdict, in words.

    >>> in_words({"exact": 3, "rounds": 1, "discrepant": 1, "open": 0, "outside": 2})
    '4 hold as printed, 1 does not hold, and 2 cannot be computed'
    """
    numbers = {"holds": found["exact"] + found["rounds"], **found}
    parts = [
        f"{grouped(numbers[name])} {words[numbers[name] != 1]}"
        for name, words in _WORDS.items()
        if numbers.get(name)
    ]
    if len(parts) > 2:
        parts = [", ".join(parts[:-1]) + ",", parts[-1]]
    return " and ".join(parts)


def summary(by_group: Mapping[str, Mapping[str, int]], heading: str, links: Mapping[str, str]) -> list[str]:
    """A table with the number of figures by group and verdict, and a last row for all groups."""
    rows = [[f"[{escaped(name)}]({links[name]})", *_figures(found, "")] for name, found in by_group.items()]
    total = {verdict: sum(found[verdict] for found in by_group.values()) for verdict in VERDICTS}
    if len(rows) > 1:
        rows.append(["**all**", *_figures(total, "**")])
    return table([heading, *VERDICTS, "all"], rows, right=range(1, len(VERDICTS) + 2))


def _figures(found: Mapping[str, int], emphasis: str) -> list[str]:
    numbers = [*found.values(), sum(found.values())]
    return [f"{emphasis}{grouped(number)}{emphasis}" if number else "" for number in numbers]


def verdicts_explained() -> list[str]:
    return [*(f"- **{verdict}**: {words}" for verdict, words in VERDICTS.items()), ""]


def _at_a_glance(findings: Sequence[AuditFinding]) -> list[str]:
    """The figures that do not hold, in one table, with links to the reasons."""
    wrong = [finding for finding in findings if finding.verdict == "discrepant"]
    rows = [
        [f"[{one.id}](#{one.id})", one.deck, escaped(one.says), code(one.claimed), code(shown_value(one))]
        for one in wrong
    ]
    headings = ["Claim", "Deck", "What it says", "Printed", "Computed"]
    return ["## Figures that do not hold", "", *table(headings, rows, right=[3, 4])] if rows else []


def _deck(members: Sequence[AuditFinding], tables: Tables) -> list[str]:
    lines: list[str] = []
    for verdict in ORDER:
        chosen = [finding for finding in members if finding.verdict == verdict]
        if chosen:
            lines += [f"### {HEADINGS[verdict]} ({len(chosen)})", ""]
            for finding in chosen:
                lines += item(finding, _where(finding, tables))
            lines.append("")
    held = [finding for finding in members if finding.holds]
    return lines + held_table(held, [_where(finding, tables) for finding in held], "Where")


def held_table(held: Sequence[AuditFinding], places: Sequence[str], heading: str) -> list[str]:
    """The figures that hold as printed, folded away."""
    if not held:
        return []
    rows = [
        [place, escaped(finding.says), code(finding.claimed), code(shown_value(finding)), finding.verdict]
        for finding, place in zip(held, places, strict=True)
    ]
    number = len(held)
    words = f"{grouped(number)} figure{'s hold' if number > 1 else ' holds'} as printed"
    return folded(
        words, table([heading, "What it says", "Printed", "Computed", "Verdict"], rows, right=[2, 3])
    )


def _where(finding: AuditFinding, tables: Tables) -> str:
    links = [f"[{number}]({path})" for number, path in tables.get(finding.id, ())]
    return ", ".join([finding.id, escaped(finding.place), *links])
