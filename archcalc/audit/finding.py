"""What the audit finds out about a figure. The verdict is computed from its statements and its networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from archcalc.audit.claims import HOLDS, Claim
from archcalc.audit.networks import Networks
from archcalc.audit.statement import StatementOutcome, answer, known, state
from archcalc.audit.toml import Text
from archcalc.diagnostics import Problems, Span


class AuditFinding(Struct, frozen=True, eq=False):
    """A printed figure, the computed value, and the verdict.

    `verdict` is computed, and `stored` is the expected verdict. `shown` is the outcome whose left side is
    archcalc's own figure, or `None` if nothing can be computed. `claims`, `under`, and `restored` are the
    outcomes of the statements: as printed, under the named `variant`, and before the text was damaged.
    `net` is the name of the network that the figure is about, if it is about a single named network.
    """

    id: str
    deck: str
    place: str
    says: str
    claimed: str
    verdict: str
    stored: str
    explanation: str
    span: Span
    variant: str = ""
    shown: StatementOutcome | None = None
    claims: tuple[StatementOutcome, ...] = ()
    under: tuple[StatementOutcome, ...] = ()
    restored: tuple[StatementOutcome, ...] = ()
    net: str = ""

    @property
    def agrees(self) -> bool:
        """Is the verdict the expected one?"""
        return self.verdict == self.stored

    @property
    def holds(self) -> bool:
        """Does the figure hold as printed?"""
        return self.verdict in HOLDS

    @property
    def value(self) -> Any:
        return self.shown.left if self.shown is not None else None

    @property
    def statements(self) -> list[str]:
        """The statements as written; for a claim without statements, the expression that is computed."""
        shown = [self.shown] if self.shown is not None else []
        return [outcome.text for outcome in self.claims or shown]

    @property
    def outcomes(self) -> tuple[StatementOutcome, ...]:
        """Every statement of the claim."""
        return (*self.claims, *self.under, *self.restored)


def judge(claim: Claim, networks: Networks) -> AuditFinding:
    """Evaluate a claim. Raises `ArchError` with every mistake in its statements."""
    problems = Problems()

    def every(texts: Sequence[Text]) -> tuple[StatementOutcome, ...]:
        return tuple(outcome for text in texts if (outcome := one(text, state)) is not None)

    def one(
        text: Text, evaluate: Callable[[Text, Networks], StatementOutcome | None]
    ) -> StatementOutcome | None:
        with problems.collect():
            return evaluate(text, networks)
        return None

    claims, under, restored = every(claim.claim), every(claim.under), every(claim.restored)
    shown = one(claim.correct, answer) if claim.correct is not None else None
    if claim.answer is not None:
        shown = one(claim.answer, answer)
    if claim.net is not None:
        one(claim.net, known)
    problems.raise_any()
    verdict = _verdict(claim, claims, under, restored)
    shown = shown or _shown(restored if verdict == "damaged" else claims)
    return AuditFinding(
        claim.id,
        claim.deck,
        claim.place,
        claim.says,
        claim.printed,
        verdict,
        claim.verdict,
        claim.explanation,
        claim.span,
        claim.variant,
        shown,
        claims,
        under,
        restored,
        claim.net.text if claim.net is not None else "",
    )


def _verdict(
    claim: Claim,
    claims: Sequence[StatementOutcome],
    under: Sequence[StatementOutcome],
    restored: Sequence[StatementOutcome],
) -> str:
    """The first rule that applies."""
    if claim.outside or claim.quantity:
        return "outside"
    if claim.answer is not None:
        return "open"
    holds = bool(claims) and all(outcome.held for outcome in claims)
    if restored and not holds and all(outcome.held for outcome in restored):
        return "damaged"
    if holds:
        return "exact" if all(_is_exact(outcome) for outcome in claims) else "rounds"
    if under and all(outcome.held for outcome in under):
        return "convention"
    return "discrepant"


def _is_exact(outcome: StatementOutcome) -> bool:
    """Does a statement hold to the last digit?"""
    return outcome.equal or outcome.relation not in ("~", "within")


def _shown(outcomes: Sequence[StatementOutcome]) -> StatementOutcome | None:
    """The statement to show: the first that does not hold, or else the first that is rounded."""
    failed = [outcome for outcome in outcomes if not outcome.held]
    rounded = [outcome for outcome in outcomes if not _is_exact(outcome)]
    return next(iter([*failed, *rounded, *outcomes]), None)
