"""All quantities by name, each with its definition, formula, and explanation.

Reports, expectations, locks, comparisons, JSON, and the documentation read `QUANTITIES`. Each file has one
family of quantities. A new quantity needs a change only there.
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
"""The families, in the order in which quantities are listed everywhere."""

QUANTITIES: dict[str, Quantity] = {}
for _family in FAMILIES:
    QUANTITIES |= {quantity.name: quantity for quantity in _family.QUANTITIES}

OF_LAYERS = tuple(q for q in QUANTITIES.values() if q.scope is Scope.LAYER and not q.of_convention)
"""The quantities of every layer."""

TOTALS = tuple(
    q for q in QUANTITIES.values() if q.is_number and not (q.of_convention or q.of_training or q.on_request)
)
"""The quantities with a total for every network."""

OF_TRAINING = tuple(q for q in QUANTITIES.values() if q.of_training)
"""The quantities with a total only if training is counted."""


def find(name: str, span: Span | None = None) -> Quantity:
    """The quantity with this name. Raises `ArchError` with the nearest name, or with all names."""
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
