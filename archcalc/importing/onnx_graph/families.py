"""All known operations: importing this module registers them."""

from __future__ import annotations

from archcalc.importing.onnx_graph import (
    activations,
    arithmetic,
    attention,
    composites,
    convolutions,
    norms,
    pools,
    quantized,
    recurrent,
    shapes,
    unrolled,
)
from archcalc.importing.onnx_graph.values import COMPOSITES, ONNX_OPERATIONS

FAMILIES = (
    activations, arithmetic, attention, composites, convolutions, norms, pools, quantized, recurrent, shapes,
    unrolled,
)  # fmt: skip

__all__ = ["COMPOSITES", "FAMILIES", "ONNX_OPERATIONS"]
