"""What else a figure that does not hold may have been printed from."""

from __future__ import annotations

from msgspec import Struct

from archcalc.audit.finding import AuditFinding
from archcalc.audit.statement import StatementOutcome
from archcalc.catalog import shipped_files
from archcalc.diagnostics import ArchError
from archcalc.reconcile import Answer, reconcile

COUNTED = {
    "params": "params",
    "weights": "params",
    "macs": "MACs",
    "flops": "FLOPs",
    "activations": "activations",
    "activation_bytes": "",
    "param_bytes": "",
}
"""The quantities that can be reconciled, with the word that says so behind a figure."""


class Proposal(Struct, frozen=True):
    """What `archcalc reconcile` finds: the arguments it was given, and its answer."""

    net: str
    figure: str
    answer: Answer


def propose(finding: AuditFinding) -> Proposal | None:
    """What prints as a figure that does not hold; `None` if it is not one total of a shipped network."""
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
