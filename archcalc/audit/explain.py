"""The reasons for a verdict: the printed figure, the statements of the claim, and each value in them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from msgspec import Struct

from archcalc.audit.claims import VERDICTS
from archcalc.audit.expression import Asked
from archcalc.audit.finding import AuditFinding
from archcalc.audit.functions import SIZES
from archcalc.audit.statement import StatementOutcome
from archcalc.audit.words import outcome_text, reason, value_text
from archcalc.catalog import shipped_files
from archcalc.checking.evaluate import measure, rounding, select
from archcalc.diagnostics import ArchError
from archcalc.network import is_pattern
from archcalc.reconcile import Answer, reconcile
from archcalc.render.numbers import decimal, grouped
from archcalc.report.explain import explain as account


def explain(finding: AuditFinding, width: int) -> str:
    """One finding as text."""
    lines = [
        f"{finding.id}: {finding.says}",
        f"  {finding.deck}, {finding.place}; {finding.span}",
        f"  printed: {finding.claimed}",
    ]
    for title, outcomes in (
        ("The claim as a statement", finding.claims),
        (f"Under a convention or for a variant: {finding.variant}", finding.under),
        ("Before the text was damaged", finding.restored),
    ):
        lines += ["", title] if outcomes else []
        for outcome in outcomes:
            lines += [f"  {line}" for line in _statement(outcome)]
    shown = finding.shown
    if shown is not None and not any(shown is outcome for outcome in finding.outcomes):
        lines += ["", "The value:", f"  {shown.text}", f"    = {outcome_text(shown)}"]
    asked = [one for outcome in (*finding.outcomes, *filter(None, [shown])) for one in outcome.asked]
    for one in {each.text: each for each in asked}.values():
        lines += [
            "",
            f"{one.text} = {value_text(one.value, one.quantity in SIZES)}",
            *(f"  {line}" for line in _account(one)),
        ]
    lines += ["", f"Verdict: {finding.verdict}. {VERDICTS[finding.verdict]}"]
    if not finding.agrees:
        lines.append(f"  The file states `{finding.stored}`.")
    if reason(finding):
        lines += textwrap.wrap(reason(finding), width, initial_indent="  ", subsequent_indent="  ")
    lines += _proposals(finding, width)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _proposals(finding: AuditFinding, width: int) -> list[str]:
    """How a figure that does not hold may have been counted."""
    if finding.verdict not in ("discrepant", "convention"):
        return []
    proposal = propose(finding)
    if proposal is None:
        return []
    lines = ["", f"Counts that give this figure (`archcalc reconcile {proposal.net} {proposal.figure}`):"]
    matches = proposal.answer.plausible[:PROPOSED]
    for match in matches:
        departures = ", ".join(match.departures) or "as it is"
        text = f"{grouped(match.value)} {match.unit}: {departures}; counted by {', '.join(match.conventions)}"
        lines += textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ")
    return lines if matches else [*lines, "  no plausible count"]


PROPOSED = 3
"""How many counts are shown."""


def _statement(outcome: StatementOutcome) -> list[str]:
    lines = [outcome.text, f"  {'holds' if outcome.held else 'does not hold'}: {outcome_text(outcome)}"]
    figure = outcome.figure
    if figure is not None and not isinstance(figure.value, tuple):
        low, high = rounding(figure.value, figure.step)
        lines.append(
            f"  {figure.text} is precise to {decimal(figure.step)}: "
            f"it means at least {decimal(low)} and less than {decimal(high)}"
        )
    if outcome.relation == "within" and not isinstance(outcome.right, tuple):
        room = abs(outcome.right) * outcome.percent / 100
        lines.append(f"  this means from {decimal(outcome.right - room)} to {decimal(outcome.right + room)}")
    if not isinstance(outcome.left, int | str | tuple) and outcome.left is not None:
        lines.append(f"  exactly {grouped(outcome.left)}")
    return lines


def _account(one: Asked) -> Sequence[str]:
    """The formula with its numbers; for a pattern or an argument, one line per layer."""
    if one.profile is not None and not is_pattern(one.path):
        return account(one.profile, one.path, one.quantity).splitlines()
    rows = [(layer.name, str(layer.node.layer)) for layer in one.layers]
    if one.profile is not None:
        names = [layer.name for layer in select(one.profile, one.path)]
        values = [(name, measure(one.profile, one.quantity, name)) for name in names]
        rows = [(name, value_text(value, is_size=True)) for name, value in values if value]
    left = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{left}}   {text}" for name, text in rows]


# --- Other counts -----------------------------------------------------------------------------------

COUNTED = {
    "params": "params",
    "weights": "params",
    "macs": "MACs",
    "flops": "FLOPs",
    "activations": "activations",
    "activation_bytes": "",
    "param_bytes": "",
}
"""The quantities that can be reconciled, with the word that follows such a figure."""


class Proposal(Struct, frozen=True):
    """The arguments and the answer of `archcalc reconcile`."""

    net: str
    figure: str
    answer: Answer


def propose(finding: AuditFinding) -> Proposal | None:
    """The counts that give a figure that does not hold; `None` if it is not a total of a built-in network."""
    for outcome in finding.claims:
        found = _propose(outcome)
        if found is not None:
            return found
    return None


def _propose(outcome: StatementOutcome) -> Proposal | None:
    if outcome.held or outcome.figure is None or len(outcome.asked) != 1:
        return None
    (asked,) = outcome.asked
    is_total = asked.profile is not None and not asked.path and asked.value == outcome.left
    if not is_total or asked.quantity not in COUNTED:
        return None
    assert asked.profile is not None
    network = asked.profile.network
    if network.overridden or network.name not in shipped_files():
        return None
    figure = f"{outcome.figure.text} {COUNTED[asked.quantity]}".strip()
    try:
        (answer,) = reconcile(network.name, [figure])
    except ArchError:
        return None
    return Proposal(network.name, figure, answer)
