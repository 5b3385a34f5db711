"""Claims as data: what a deck prints, the statement to evaluate, and the expected verdict.

`docs/claims.md` describes the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from archcalc.audit.toml import Figures, Statements, Text, TomlTable, Word, decode, read, read_every, repeated
from archcalc.catalog import specs_folder
from archcalc.diagnostics import ArchError, Diagnostic, Span, unknown

VERDICTS = {
    "exact": "The printed figure is exactly the computed value.",
    "rounds": "The printed figure is the computed value, rounded to the printed digits.",
    "convention": "The figure holds only under the named convention or for the named variant.",
    "discrepant": "The figure does not hold: it disagrees with the computed value.",
    "damaged": "Text extraction damaged the figure; the restored figure holds.",
    "open": "The source asks for the figure or leaves it out, or the text has lost it; archcalc computes it.",
    "outside": "The network alone does not determine the figure, such as an accuracy or a running time.",
}
"""Every verdict, and what it says about a claim."""

HOLDS = frozenset({"exact", "rounds"})
"""The verdicts on figures that hold as printed."""

EXPLAINED = frozenset(VERDICTS) - HOLDS
"""The verdicts that need a reason."""

MEASURED = {
    "top1": "top-1 accuracy on ImageNet",
    "top5": "top-5 accuracy on ImageNet",
    "top1_error": "top-1 error on ImageNet",
    "top5_error": "top-5 error on ImageNet",
}
"""The quantities measured with trained weights, in percent. They are cited, never computed."""

_FIGURE = re.compile(r"(\S+) +((?:100(?:\.0+)?|\d{1,2}(?:\.\d+)?)%)")
"""A measured figure of a file: a `NET`, and a percentage."""

ALONE = ("outside", "answer")
"""The keys of a claim without a statement. Neither can be combined with another key that is evaluated."""
EVALUATED = ("claim", "under", "restored", "answer", "correct")
PAIRS = (("under", "variant"), ("variant", "under"), ("restored", "evidence"))
"""A key, and the key that it requires."""

_Outside = Annotated[bool, Meta(description="`true` or left out", examples=["true"])]


class Claim(Struct, frozen=True, eq=False, kw_only=True):
    """A figure that a deck prints. The fields from `place` on are the keys of a file.

    `claim` is what it states, `under` what it states under the named `variant`, and `restored` what it
    stated before the text was damaged. Each is a list of statements that must all hold. `answer` is an
    expression, for a claim that states nothing, and `correct` an expression for the value to show.
    `verdict` is the expected verdict, and `because` the reason for it. `quantity` is what was measured of
    `net`, if anything was measured.
    """

    id: str
    deck: str
    span: Span
    quantity: str = ""
    net: Text | None = None
    place: Word
    says: Word
    printed: Word
    verdict: Word
    because: Word = ""
    variant: Word = ""
    evidence: Word = ""
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


class Deck(Struct, frozen=True, eq=False, kw_only=True):
    """The claims of one deck. What the deck does not state about itself is empty."""

    name: str
    title: Word
    author: Word = ""
    institution: Word = ""
    year: Word = ""
    span: Span
    claims: tuple[Claim, ...]

    @property
    def citation(self) -> str:
        """Its title, author, institution, and year: `Session 5: CNNs Overloaded (Varun Sundar, 2018)`."""
        known = ", ".join(filter(None, (self.author, self.institution, self.year)))
        return f"{self.title} ({known})" if known else self.title


class _Measured(Struct, frozen=True):
    """The measured figures of one place, by quantity."""

    place: Word
    top1: Figures = ()
    top5: Figures = ()
    top1_error: Figures = ()
    top5_error: Figures = ()


class Measurement(Struct, frozen=True):
    """A measured figure in percent, the `NET` that it belongs to, and where it is printed."""

    id: str
    net: str
    quantity: str
    value: Fraction
    place: str


def measurements(quantity: str) -> list[Measurement]:
    """The built-in measured figures of a quantity such as `top1`, in order.

    Raises `ArchError` for a quantity that is not in `MEASURED`.

    >>> [float(one.value) for one in measurements("top1") if one.net == "vgg16"]
    [71.5]
    """
    if quantity not in MEASURED:
        raise unknown("there is no measured quantity", quantity, MEASURED, listing="measured")
    return [
        Measurement(claim.id, claim.net.text, quantity, claim.measured, claim.place)
        for deck in read_decks(shipped_files())
        for claim in deck.claims
        if claim.quantity == quantity and claim.net is not None and claim.measured is not None
    ]


def shipped_files() -> list[tuple[Path, str]]:
    """The files of built-in claims, and the names diagnostics show."""
    folder = specs_folder() / "claims"
    return [(path, f"specs/claims/{path.name}") for path in sorted(folder.glob("*.toml"))]


def read_decks(files: Iterable[tuple[Path, str]]) -> list[Deck]:
    """The decks of some files. Ids are unique. Raises `ArchError` with every mistake in the files."""
    found, problems = read_every(files, read_file)
    decks = [deck for of_file in found for deck in of_file]
    ids = [(claim.id, claim.span) for deck in decks for claim in deck.claims]
    problems += repeated([(deck.name, deck.span) for deck in decks], "two decks are named `{}`")
    problems += repeated(ids, "the claim `{}` is declared twice", "give one of them another name")
    problems.raise_any()
    return decks


def read_file(path: Path, shown: str = "") -> list[Deck]:
    """The decks of a file that messages call `shown`. Raises `ArchError` with every mistake in it.

    A section with a `title` is a deck; the claims after it are its claims.
    """
    head, tables = read(path, shown or str(path))
    help = "write a header above it: `[my-deck]`"
    problems = [
        Diagnostic(f"`{key}` does not belong to a claim", head.span_of(key), help=help) for key in head.values
    ]
    if not any("title" in table.values for table in tables):
        help = "add one: `[my-deck]`, and below it its `title`"
        problems.append(Diagnostic(f"`{head.source.name}` has no deck", help=help))
    decks: list[tuple[TomlTable, list[Claim]]] = []
    for table in tables:
        if "title" in table.values:
            decks.append((table, []))
            continue
        read_one = _read_measured if table.values.keys() & MEASURED.keys() else _read_claim
        claims, wrong = read_one(table, decks[-1][0].name if decks else "")
        problems += wrong
        if decks:
            decks[-1][1].extend(claims)
        elif not problems:
            help = "write `[my-deck]` above it, with its `title`"
            message = f"the claim `{table.name}` does not belong to a deck"
            problems.append(Diagnostic(message, table.span, help=help))
    found = []
    for table, of_deck in decks:
        given = {"name": table.name, "span": table.span, "claims": tuple(of_deck)}
        deck, mistakes = decode(table.values, Deck, table.span_of, given=given)
        problems += mistakes
        if deck is not None and not of_deck and not problems:
            help = "add one: `[my-claim]`, and below it `place`, `says`, `printed`, `claim`, `verdict`"
            problems.append(Diagnostic(f"the deck `{deck.name}` has no claims", table.span, help=help))
        if deck is not None:
            found.append(deck)
    if problems:
        raise ArchError(problems)
    return found


def _read_claim(table: TomlTable, deck: str) -> tuple[list[Claim], list[Diagnostic]]:
    """A claim, and what is wrong with it before it is evaluated."""
    values = table.values
    what = f"the claim `{table.name}`"
    given = {"id": table.name, "deck": deck, "span": table.span, "quantity": "", "net": None}
    claim, problems = decode(values, Claim, table.span_of, what, given)
    if "outside" in values and claim is not None and not claim.outside:
        problems.append(Diagnostic("`outside` is `true` or left out", table.span_of("outside")))
    if claim is None or problems:
        return [], problems
    if claim.verdict not in VERDICTS:
        span = values["verdict"].span
        found = unknown("there is no verdict", claim.verdict, VERDICTS, span, listing="verdicts")
        return [], list(found.diagnostics)
    return [claim], _combination(table, claim, what)


def _read_measured(table: TomlTable, deck: str) -> tuple[list[Claim], list[Diagnostic]]:
    """A claim for each measured figure of a place, and what is wrong with them."""
    group, problems = decode(table.values, _Measured, table.span_of, f"`{table.name}`")
    claims = []
    figures = [(quantity, text) for quantity in MEASURED for text in getattr(group, quantity, ())]
    for quantity, text in figures:
        parts = _FIGURE.fullmatch(text.text)
        if parts is None:
            message = f"`{text.text}` is not a network and a percentage"
            problems.append(Diagnostic(message, text.span, help='write `"vgg16 71.5%"`'))
            continue
        claims.append(
            Claim(
                id=f"{table.name}/{parts[1]}-{quantity}",
                deck=deck,
                span=table.span,
                quantity=quantity,
                net=text.part(parts.start(1), parts.end(1)),
                place=group.place if group is not None else "",
                says=f"{MEASURED[quantity]} of {parts[1]}",
                printed=parts[2],
                verdict="outside",
                because="Measured with trained weights.",
            )
        )
    return claims, problems


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
                message = f"`{alone}` and `{key}` cannot be combined"
                problems.append(Diagnostic(message, table.span_of(key), help="leave one of them out"))
    for key, other in PAIRS:
        if key in values and other not in values:
            problems.append(_needs(f"`{key}`", other, table.span_of(key)))
    because = claim.because or (claim.evidence if claim.restored else "")
    if claim.verdict in EXPLAINED and not because:
        problems.append(_needs(f"the verdict `{claim.verdict}`", "because", table.span))
    return problems


def _needs(what: str, key: str, span: Span) -> Diagnostic:
    return Diagnostic(f'{what} needs `{key} = "..."`', span)
