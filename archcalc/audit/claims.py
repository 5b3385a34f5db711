"""Claims as data: what a deck prints, what that states, and the verdict its keeper expects.

`docs/claims.md` describes the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field

from archcalc.audit.toml import Statements, Text, TomlTable, Word, decode, read, read_every, repeated
from archcalc.catalog import specs_folder
from archcalc.diagnostics import ArchError, Diagnostic, Source, Span, unknown

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

ALONE = ("outside", "quantity", "answer")
"""The keys of a claim that states nothing: each excludes all others that are evaluated."""
EVALUATED = ("claim", "under", "restored", "answer", "correct")
PAIRS = (
    ("under", "variant"),
    ("variant", "under"),
    ("restored", "evidence"),
    ("quantity", "net"),
    ("net", "quantity"),
)
"""A key, and the one that it needs."""

_Outside = Annotated[bool, Meta(description="`true` or left out", examples=["true"])]


class Claim(Struct, frozen=True, eq=False, kw_only=True):
    """A figure that a deck prints. The fields from `place` on are the keys of a file.

    `claim` is what it states, `under` the same under the named `variant`, `restored` what stood there
    before the text was damaged; each is a list of statements that must all hold. `answer` is an
    expression where there is nothing to hold, `correct` one for the value to show. `quantity` is what
    was measured of `net`, if it is no claim on the network itself. `verdict` is the one expected,
    `because` its reason.
    """

    id: str
    deck: str
    span: Span
    place: Word
    says: Word
    printed: Word
    verdict: Word
    because: Word = ""
    variant: Word = ""
    evidence: Word = ""
    quantity: Word = ""
    net: Text | None = None
    claim: Statements = ()
    under: Statements = ()
    restored: Statements = ()
    answer: Text | None = None
    correct: Text | None = None
    outside: _Outside = False

    @property
    def measured(self) -> Fraction | None:
        """The measured figure, in percent; `None` if nothing was measured."""
        return Fraction(self.printed.removesuffix("%")) if self.quantity else None

    @property
    def explanation(self) -> str:
        return " ".join(filter(None, (self.because, self.evidence)))


class Deck(Struct, frozen=True, eq=False):
    """The claims of one deck."""

    name: Word = field(name="deck")
    title: Word
    source: Source
    claims: tuple[Claim, ...]


def shipped_files() -> list[tuple[Path, str]]:
    """The files of built-in claims, and the names diagnostics show."""
    folder = specs_folder() / "claims"
    return [(path, f"specs/claims/{path.name}") for path in sorted(folder.glob("*.toml"))]


def read_decks(files: Iterable[tuple[Path, str]]) -> list[Deck]:
    """The decks of some files. Raises `ArchError` with every mistake in them; each id is unique."""
    decks, problems = read_every(files, read_deck)
    names = [(deck.name, Span(deck.source, 0, 0)) for deck in decks]
    ids = [(claim.id, claim.span) for deck in decks for claim in deck.claims]
    problems += repeated(names, "there are two decks `{}`")
    problems += repeated(ids, "the claim `{}` is declared twice", "give one of them another name")
    problems.raise_any()
    return decks


def read_deck(path: Path, shown: str = "") -> Deck:
    """The deck of a file, known by the name `shown`. Raises `ArchError` with every mistake in it."""
    head, tables = read(path, shown or str(path))
    file = f"`{head.source.name}`"
    name = head.values.get("deck")
    claims = []
    problems: list[Diagnostic] = []
    for table in tables:
        claim, wrong = _read_claim(table, name.text if isinstance(name, Text) else "")
        problems += wrong
        if claim is not None:
            claims.append(claim)
    given = {"source": head.source, "claims": tuple(claims)}
    deck, mistakes = decode(head.values, Deck, head.span_of, file, given)
    problems = mistakes + problems
    if not tables:
        help = "add one: `[id]`, and below it `says`, `printed`, `claim`, ..."
        problems.append(Diagnostic(f"{file} has no claims", help=help))
    if problems or deck is None:
        raise ArchError(problems)
    return deck


def _read_claim(table: TomlTable, deck: str) -> tuple[Claim | None, list[Diagnostic]]:
    """A claim, and what is wrong with it before it is evaluated."""
    values = table.values
    what = f"the claim `{table.name}`"
    given = {"id": table.name, "deck": deck, "span": table.span}
    implied = {}
    if "quantity" in values:
        quantity, net = (getattr(values.get(key), "text", "") for key in ("quantity", "net"))
        implied = {"says": f"{MEASURED.get(quantity)} of {net}", "because": _WHY_MEASURED}
    claim, problems = decode(values, Claim, table.span_of, what, given, implied)
    if "outside" in values and claim is not None and not claim.outside:
        problems.append(Diagnostic("`outside` is `true` or left out", table.span_of("outside")))
    if claim is None or problems:
        return None, problems
    if claim.verdict not in VERDICTS:
        span = values["verdict"].span
        found = unknown("there is no verdict", claim.verdict, VERDICTS, span, listing="verdicts")
        return None, list(found.diagnostics)
    return claim, _combination(table, claim, what)


# --- Mistakes ---------------------------------------------------------------------------------------


def _combination(table: TomlTable, claim: Claim, what: str) -> list[Diagnostic]:
    """What is wrong with the fields of a claim taken together."""
    values = table.values
    problems = []
    judged = [key for key in (*ALONE, "claim", "restored") if key in values]
    if not judged:
        help = "add `claim`, `answer`, or `outside = true`"
        problems.append(Diagnostic(f"{what} states nothing", table.span, help=help))
    elif judged[0] in ALONE:
        alone = judged[0]
        for key in dict.fromkeys((*EVALUATED, *ALONE)):
            if key in values and key != alone:
                message = f"`{alone}` and `{key}` exclude one another"
                problems.append(Diagnostic(message, table.span_of(key), help="leave one of them out"))
    for key, other in PAIRS:
        if key in values and other not in values:
            problems.append(_needs(f"`{key}`", other, table.span_of(key)))
    if claim.quantity:
        return problems + _measurement(table, claim)
    because = claim.because or (claim.evidence if claim.restored else "")
    if claim.verdict in EXPLAINED and not because:
        problems.append(_needs(f"the verdict `{claim.verdict}`", "because", table.span))
    return problems


def _needs(what: str, key: str, span: Span) -> Diagnostic:
    return Diagnostic(f'{what} needs `{key} = "..."`', span)


def _measurement(table: TomlTable, claim: Claim) -> list[Diagnostic]:
    """What is wrong with a measured figure."""
    values = table.values
    problems: list[Diagnostic] = []
    if claim.quantity not in MEASURED:
        span = values["quantity"].span
        problems += unknown("nobody measures", claim.quantity, MEASURED, span, listing="measured").diagnostics
    if _PERCENT.fullmatch(claim.printed) is None:
        message = f"`{claim.printed}` is no percentage"
        problems.append(Diagnostic(message, values["printed"].span, help='write `"70.6%"`'))
    return problems
