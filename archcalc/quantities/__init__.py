"""What is counted: every quantity by its name, each with its definition, formula and explanation.

Reports, expectations, locks, comparisons, JSON and the documentation read `QUANTITIES`. A file holds a
family of quantities; adding one to a family touches nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.diagnostics import Diagnostic, Span, error, near_miss
from archcalc.language.tokens import UNITS
from archcalc.quantities import (
    activations,
    counted,
    fields,
    operations,
    parameters,
    peak,
    structure,
)
from archcalc.quantities.quantity import Figures, Quantity, Scope, Selection, Unit

if TYPE_CHECKING:
    from archcalc.language.syntax import Expect

FAMILIES = (parameters, operations, counted, activations, peak, structure, fields)
"""In the order in which quantities are listed everywhere."""

QUANTITIES: dict[str, Quantity] = {}
for _family in FAMILIES:
    QUANTITIES |= {quantity.name: quantity for quantity in _family.QUANTITIES}

OF_LAYERS = tuple(q for q in QUANTITIES.values() if q.scope is Scope.LAYER and not q.of_convention)
"""What every layer counts."""

TOTALS = tuple(q for q in QUANTITIES.values() if q.is_number and not q.of_convention)
"""What every network has a total of."""


def find(name: str, span: Span | None = None) -> Quantity:
    """The quantity of a name. Raises `ArchError` with a near miss, or with the names of all."""
    if name not in QUANTITIES:
        help = near_miss(name, QUANTITIES) or "quantities: " + ", ".join(QUANTITIES)
        raise error(f"unknown quantity `{name}`", span, help=help)
    return QUANTITIES[name]


def check_expectation(expect: Expect) -> Diagnostic | None:
    """What is wrong with an expectation before any network is known, if anything."""
    quantity = QUANTITIES.get(expect.quantity)
    if quantity is None:
        help = near_miss(expect.quantity, QUANTITIES) or "quantities: " + ", ".join(QUANTITIES)
        return Diagnostic(f"unknown quantity `{expect.quantity}`", expect.quantity_span, help=help)
    if quantity.scope is Scope.NETWORK and expect.path:
        message = f"`{quantity.name}` is a figure of a whole network, and `{expect.path}` is a part of one"
        return Diagnostic(message, expect.path_span, help="leave out the path")
    figure = expect.figure
    is_size = isinstance(figure.value, tuple)
    if quantity.unit is Unit.SHAPE and (figure.unit or expect.relation != "=="):
        message = f"`{quantity.name}` is compared with a size, by `==`"
        return Diagnostic(message, figure.span, help="write `512x7x7`, or `4096` of a vector")
    if quantity.is_number and is_size:
        return Diagnostic(f"`{quantity.name}` is a number, this is a size", figure.span)
    if is_size and expect.relation not in ("==",):
        return Diagnostic(f"a size is compared with `==`, not `{expect.relation}`", figure.span)
    if figure.unit.endswith("B") and quantity.unit is not Unit.BYTES:
        return Diagnostic(
            f"`{figure.unit}` is a unit of bytes, and `{quantity.name}` is no quantity of bytes",
            figure.span,
            help=f"write `{figure.unit[0]}`, a power of 1000",
        )
    if figure.unit and quantity.unit is Unit.LENGTHS:
        return Diagnostic(f"`{quantity.name}` has no unit", figure.span)
    assert not figure.unit or figure.unit in UNITS
    return None


__all__ = ["OF_LAYERS", "QUANTITIES", "TOTALS", "Figures", "Quantity", "Scope", "Selection", "Unit", "find"]
