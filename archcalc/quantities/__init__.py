"""What is counted: every quantity by its name, each with its definition, formula and explanation.

Reports, expectations, locks, comparisons, JSON and the documentation read `QUANTITIES`. A file holds a
family of quantities; adding one to a family touches nothing else.
"""

from __future__ import annotations

from archcalc.diagnostics import Span, unknown
from archcalc.quantities import (
    activations,
    counted,
    fields,
    operations,
    parameters,
    peak,
    structure,
    training,
)
from archcalc.quantities.quantity import Figures, Quantity, Scope, Selection, Unit

FAMILIES = (parameters, operations, counted, activations, peak, training, structure, fields)
"""In the order in which quantities are listed everywhere."""

QUANTITIES: dict[str, Quantity] = {}
for _family in FAMILIES:
    QUANTITIES |= {quantity.name: quantity for quantity in _family.QUANTITIES}

OF_LAYERS = tuple(q for q in QUANTITIES.values() if q.scope is Scope.LAYER and not q.of_convention)
"""What every layer counts."""

TOTALS = tuple(
    q for q in QUANTITIES.values() if q.is_number and not (q.of_convention or q.of_training or q.on_request)
)
"""What every network has a total of."""

OF_TRAINING = tuple(q for q in QUANTITIES.values() if q.of_training)
"""What it has a total of as well, if its training is asked for."""


def find(name: str, span: Span | None = None) -> Quantity:
    """The quantity of a name. Raises `ArchError` with a near miss, or with the names of all."""
    if name not in QUANTITIES:
        raise unknown("unknown quantity", name, QUANTITIES, span, listing="quantities")
    return QUANTITIES[name]


__all__ = [
    "OF_LAYERS",
    "OF_TRAINING",
    "QUANTITIES",
    "TOTALS",
    "Figures",
    "Quantity",
    "Scope",
    "Selection",
    "Unit",
    "find",
]
