"""Claims as data: what a deck prints, what that states, and the verdict its keeper expects.

`docs/claims.md` describes the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from msgspec import Struct

from archcalc.audit.toml import Table, Text, read
from archcalc.catalog import specs_folder
from archcalc.diagnostics import ArchError, Diagnostic, Note, Source, Span, near_miss

VERDICTS = {
    "exact": "the printed figure is the value",
    "rounds": "the printed figure is the value at the precision printed",
    "convention": "it holds under a named convention, or for a named variant",
    "discrepant": "it does not hold",
    "damaged": "the extraction of the text broke it",
    "open": "a question, or a figure that was lost: archcalc gives the answer",
    "outside": "not static: nothing here computes it",
}
"""Every verdict, and what it says of a claim."""

HOLDS = frozenset({"exact", "rounds"})
"""The verdicts on what is simply right."""

EXPLAINED = frozenset(VERDICTS) - HOLDS
"""The verdicts that need a reason."""

MEASURED = {
    "top1": "top-1 accuracy on ImageNet",
    "top5": "top-5 accuracy on ImageNet",
    "top1_error": "top-1 error on ImageNet",
    "top5_error": "top-5 error on ImageNet",
}
"""What is measured with trained weights, in percent: cited, and never computed here."""

_WHY_MEASURED = "Measured with trained weights."
_PERCENT = re.compile(r"(100(?:\.0+)?|\d{1,2}(?:\.\d+)?)%")

STATEMENTS = ("claim", "under", "restored")
EXPRESSIONS = ("answer", "correct")
PLACED = (*EXPRESSIONS, "net")
REQUIRED = ("place", "says", "printed", "verdict")
TEXTS = (*REQUIRED, "because", "variant", "evidence", "quantity", "net")
ALONE = ("outside", "quantity", "answer")
FIELDS = (*TEXTS, *STATEMENTS, *EXPRESSIONS, "outside")
PAIRS = (
    ("under", "variant"),
    ("variant", "under"),
    ("restored", "evidence"),
    ("quantity", "net"),
    ("net", "quantity"),
)
"""A key, and the one that it needs."""
HEAD = ("deck", "title")


class Claim(Struct, frozen=True, eq=False):
    """A figure that a deck prints.

    `claim` is what it states, `under` the same under the named `variant`, `restored` what stood there
    before the text was damaged; each is a list of statements that must all hold. `answer` is an
    expression where there is nothing to hold, `correct` one for the value to show. `quantity` is what
    was measured of `net`, if it is no claim on the network itself. `verdict` is the one expected,
    `because` its reason.
    """

    id: str
    deck: str
    span: Span
    place: str
    says: str
    printed: str
    verdict: str
    because: str = ""
    variant: str = ""
    evidence: str = ""
    claim: tuple[Text, ...] = ()
    under: tuple[Text, ...] = ()
    restored: tuple[Text, ...] = ()
    answer: Text | None = None
    correct: Text | None = None
    outside: bool = False
    quantity: str = ""
    net: Text | None = None

    @property
    def measured(self) -> Fraction | None:
        """The measured figure, in percent; `None` if nothing was measured."""
        return Fraction(self.printed.removesuffix("%")) if self.quantity else None

    @property
    def explanation(self) -> str:
        return " ".join(filter(None, (self.because, self.evidence)))


class Deck(Struct, frozen=True, eq=False):
    """The claims of one deck."""

    name: str
    title: str
    source: Source
    claims: tuple[Claim, ...]


def shipped_files() -> list[tuple[Path, str]]:
    """The files of claims that come along, and the names diagnostics show."""
    folder = specs_folder() / "claims"
    return [(path, f"specs/claims/{path.name}") for path in sorted(folder.glob("*.toml"))]


def read_decks(files: Iterable[tuple[Path, str]]) -> list[Deck]:
    """The decks of some files. Raises `ArchError` with every mistake in them; each id is unique."""
    decks = []
    problems: list[Diagnostic] = []
    for path, shown in files:
        try:
            decks.append(read_deck(path, shown))
        except ArchError as found:
            problems += found.diagnostics
    seen: dict[str, Span] = {}
    names: dict[str, Span] = {}
    for deck in decks:
        start = Span(deck.source, 0, 0)
        if deck.name in names:
            note = Note("the first time is here", names[deck.name])
            problems.append(Diagnostic(f"there are two decks `{deck.name}`", start, notes=(note,)))
        names.setdefault(deck.name, start)
        for claim in deck.claims:
            if claim.id in seen:
                note = Note("the first time is here", seen[claim.id])
                problems.append(
                    Diagnostic(
                        f"the claim `{claim.id}` is declared twice",
                        claim.span,
                        notes=(note,),
                        help="give one of them another name",
                    )
                )
            seen.setdefault(claim.id, claim.span)
    if problems:
        raise ArchError(problems)
    return decks


def read_deck(path: Path, shown: str = "") -> Deck:
    """The deck of a file, known by the name `shown`. Raises `ArchError` with every mistake in it."""
    head, tables = read(path, shown or str(path))
    problems = [_unknown(head, key, HEAD) for key in head.values if key not in HEAD]
    for key in HEAD:
        if key not in head.values:
            problems.append(_missing(head, key, f"`{head.source.name}`"))
        elif (problem := _wrong_text(head, key)) is not None:
            problems.append(problem)
    deck = str(head.values.get("deck", ""))
    claims = []
    for table in tables:
        mistakes = _mistakes(table)
        problems += mistakes
        if not mistakes:
            claims.append(_claim(table, deck))
    if not tables:
        help = "add one: `[id]`, and below it `says`, `printed`, `claim`, ..."
        problems.append(Diagnostic(f"`{head.source.name}` has no claims", help=help))
    if problems:
        raise ArchError(problems)
    return Deck(deck, str(head.values["title"]), head.source, tuple(claims))


def _claim(table: Table, deck: str) -> Claim:
    fields: dict[str, Any] = {}
    for key, value in table.values.items():
        if key in STATEMENTS:
            fields[key] = tuple(_texts(table, key))
        else:
            fields[key] = table.text(key, value) if key in PLACED else value
    if "quantity" in fields:
        fields.setdefault("says", f"{MEASURED[fields['quantity']]} of {fields['net'].text}")
        fields.setdefault("because", _WHY_MEASURED)
    return Claim(table.name, deck, table.span, **fields)


def _texts(table: Table, key: str) -> Iterable[Text]:
    """The statements behind a key, in order, each with its own place."""
    value = table.values[key]
    after = 0
    for statement in [value] if isinstance(value, str) else value:
        text = table.text(key, statement, after)
        after = text.span.end if text.is_verbatim else after
        yield text


# --- Mistakes ---------------------------------------------------------------------------------------


def _mistakes(table: Table) -> list[Diagnostic]:
    """What is wrong with a claim before it is evaluated."""
    values = table.values
    problems = [_unknown(table, key, FIELDS) for key in values if key not in FIELDS]
    what = f"the claim `{table.name}`"
    implied = ("says",) if "quantity" in values else ()
    problems += [_missing(table, key, what) for key in REQUIRED if key not in (*values, *implied)]
    wrong = [_wrong_text(table, key) for key in (*TEXTS, *EXPRESSIONS) if key in values]
    wrong += [_wrong_statements(table, key) for key in STATEMENTS if key in values]
    if not isinstance(values.get("outside", True), bool) or values.get("outside") is False:
        wrong.append(Diagnostic("`outside` is `true` or left out", table.span_of("outside")))
    found = [problem for problem in wrong if problem is not None]
    if problems or found:
        return problems + found
    verdict = values["verdict"]
    if verdict not in VERDICTS:
        help = near_miss(verdict, VERDICTS) or "verdicts: " + ", ".join(VERDICTS)
        span = table.text("verdict", verdict).span
        return [Diagnostic(f"there is no verdict `{verdict}`", span, help=help)]
    return _combination(table, what)


def _combination(table: Table, what: str) -> list[Diagnostic]:
    """What is wrong with the fields of a claim taken together."""
    values = table.values
    problems = []
    judged = [key for key in (*ALONE, "claim", "restored") if key in values]
    if not judged:
        help = "add `claim`, `answer`, or `outside = true`"
        problems.append(Diagnostic(f"{what} states nothing", table.span, help=help))
    elif judged[0] in ALONE:
        alone = judged[0]
        for key in (*STATEMENTS, *EXPRESSIONS, *ALONE):
            if key in values and key != alone:
                message = f"`{alone}` and `{key}` exclude one another"
                problems.append(Diagnostic(message, table.span_of(key), help="leave one of them out"))
    for key, other in PAIRS:
        if key in values and other not in values:
            problems.append(_missing(table, other, f"`{key}`", table.span_of(key)))
    explained = ("because", "evidence") if "restored" in values else ("because",)
    if "quantity" in values:
        return problems + _measurement(table)
    if values["verdict"] in EXPLAINED and not any(values.get(key) for key in explained):
        problems.append(_missing(table, "because", f"the verdict `{values['verdict']}`"))
    return problems


def _measurement(table: Table) -> list[Diagnostic]:
    """What is wrong with a measured figure."""
    quantity, printed = table.values["quantity"], table.values["printed"]
    problems = []
    if quantity not in MEASURED:
        help = near_miss(quantity, MEASURED) or "measured: " + ", ".join(MEASURED)
        span = table.text("quantity", quantity).span
        problems.append(Diagnostic(f"nobody measures `{quantity}`", span, help=help))
    if _PERCENT.fullmatch(printed) is None:
        message = f"`{printed}` is no percentage"
        problems.append(Diagnostic(message, table.text("printed", printed).span, help='write `"70.6%"`'))
    return problems


def _unknown(table: Table, key: str, known: Sequence[str]) -> Diagnostic:
    help = near_miss(key, known) or "keys: " + ", ".join(known)
    return Diagnostic(f"unknown key `{key}`", table.span_of(key), help=help)


def _missing(table: Table, key: str, what: str, span: Span | None = None) -> Diagnostic:
    return Diagnostic(f'{what} needs `{key} = "..."`', span or table.span)


def _wrong_text(table: Table, key: str) -> Diagnostic | None:
    value = table.values[key]
    if isinstance(value, str) and value.strip():
        return None
    got = "an empty string" if isinstance(value, str) else _type_name(value)
    return Diagnostic(f"`{key}` is a string, not {got}", table.span_of(key), help=f'write `{key} = "..."`')


def _wrong_statements(table: Table, key: str) -> Diagnostic | None:
    value: Any = table.values[key]
    statements = value if isinstance(value, list) else [value]
    if statements and all(isinstance(item, str) and item.strip() for item in statements):
        return None
    help = f"write `{key} = 'params(vgg16) ~ 138M'`, or a list of such"
    return Diagnostic(f"`{key}` is a statement or a list of statements", table.span_of(key), help=help)


def _type_name(value: Any) -> str:
    names = {bool: "a truth value", int: "a number", float: "a number", list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")
