"""All supported operations: importing this module registers them."""

from __future__ import annotations

from archcalc.importing.torch_export import (
    activations,
    arithmetic,
    composites,
    convolutions,
    norms,
    pools,
    products,
    recurrent,
    resizing,
    shapes,
    tables,
)
from archcalc.importing.torch_export.values import OPERATIONS

FAMILIES = (
    activations,
    arithmetic,
    composites,
    convolutions,
    norms,
    pools,
    products,
    recurrent,
    resizing,
    shapes,
    tables,
)

__all__ = ["FAMILIES", "OPERATIONS"]
