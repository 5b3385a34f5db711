"""Multiply-accumulates and floating-point operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.layers.terms import OPERATIONS, SPECIAL, Facts
from archcalc.quantities.quantity import Number, Quantity, Scope, Summand

if TYPE_CHECKING:
    from archcalc.profile import Profile

FLOPS_OF = {
    "macs": 2,
    "bias": 1,
    "add": 1,
    "mul": 1,
    "div": 1,
    "compare": 1,
    "sqrt": 4,
    "special": 8,
}
"""FLOPs of one operation of each category, in archcalc's own convention.

A multiply-accumulate is a multiplication and an addition. A root counts 4 and a function of `SPECIAL` 8, the
weights that McMahon (1986) gave roots, exponentials and sines for the Livermore loops.
"""

assert FLOPS_OF.keys() == OPERATIONS.keys()

NOT_IN_MACS = "bias, norm, activation, and pooling are not counted"
FLOPS_CONVENTION = (
    "2 per MAC; 1 per add, multiply, divide, compare; 4 per root; "
    f"8 per {', '.join(SPECIAL.values())}; every layer"
)


def _macs(facts: Facts) -> list[Summand]:
    return [
        (1, term, term.label or OPERATIONS[category])
        for category, term in facts.operations
        if category == "macs"
    ]


def _flops(facts: Facts) -> list[Summand]:
    return [
        (FLOPS_OF[category], term, term.label or OPERATIONS[category]) for category, term in facts.operations
    ]


def _total_macs(profile: Profile, number: Number) -> tuple[str, str, str]:
    kinds = dict.fromkeys(
        layer.node.kind
        for layer in profile.layers
        if layer.macs and layer.node.layer.family not in ("conv", "linear")
    )
    *others, last = ["conv", "fc", *kinds]
    words = f"multiply-accumulates of {', '.join(others)} and {last}; {NOT_IN_MACS}"
    return "MACs", number(profile.totals.macs), words


def _total_flops(profile: Profile, number: Number) -> tuple[str, str, str]:
    return "FLOPs", number(profile.totals.flops), FLOPS_CONVENTION


MACS = Quantity(
    name="macs",
    of_operations=True,
    noun="MACs",
    definition="multiply-accumulates, per sample: one for each multiplication by a weight, and one for each "
    "product of two activations in a matrix product or attention",
    scope=Scope.LAYER,
    terms=_macs,
    total=_total_macs,
    heading="MACs",
    drawn=("share", "bar"),
    headline=True,
)
FLOPS = Quantity(
    name="flops",
    of_operations=True,
    noun="FLOPs",
    definition="floating-point operations of every layer at inference, per sample: 2 per MAC, "
    "1 per addition, multiplication, division or comparison, 4 per root, 8 per "
    f"{', '.join([*SPECIAL][:-1])} or {[*SPECIAL][-1]}",
    scope=Scope.LAYER,
    terms=_flops,
    total=_total_flops,
    heading="FLOPs",
    drawn=("share",),
    headline=True,
)
QUANTITIES = (MACS, FLOPS)
