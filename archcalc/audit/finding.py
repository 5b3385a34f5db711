"""What the audit says of a figure, wherever the figure is printed."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from archcalc.audit.claims import HOLDS
from archcalc.audit.statement import StatementOutcome
from archcalc.diagnostics import Span


class AuditFinding(Struct, frozen=True, eq=False):
    """A printed figure, what it comes to, and its verdict.

    `verdict` is computed, `stored` the one expected. `shown` is the outcome whose left side is
    archcalc's own figure; `None` if nothing can be computed. `claims`, `under` and `restored` are the
    outcomes of the statements: as printed, under the named `variant`, and before the text was damaged.
    `net` is the network that the figure is about, if it is about a single one by its name.
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
        """Is it the verdict that the keeper of the claim expects?"""
        return self.verdict == self.stored

    @property
    def holds(self) -> bool:
        """Is the printed figure simply right?"""
        return self.verdict in HOLDS

    @property
    def value(self) -> Any:
        return self.shown.left if self.shown is not None else None

    @property
    def statements(self) -> list[str]:
        """What is claimed, as it is written; what is computed where nothing can be claimed."""
        shown = [self.shown] if self.shown is not None else []
        return [outcome.text for outcome in self.claims or shown]

    @property
    def outcomes(self) -> tuple[StatementOutcome, ...]:
        """Every statement of the claim."""
        return (*self.claims, *self.under, *self.restored)
