"""Activations, and the bytes they and the parameters take."""

from __future__ import annotations

from archcalc.layers.terms import Facts

DTYPES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float8": 1,
    "int8": 1,
}
"""Bytes of a value, by dtype."""

ACCOUNTINGS = {
    "activations": "every layer's output",
    "activations_in_place": ("input and outputs of conv, pool and fc; norms and activations in place"),
    "activations_conv": "the outputs of convolutions (Radosavovic et al. 2020)",
}
"""What each way of adding up activations counts, in words."""

_IN_PLACE = frozenset({"input", "conv", "pool", "linear"})


def count_activations(facts: Facts) -> int:
    """The values that a layer puts out, for one sample."""
    count = 1
    for n in facts.output:
        count *= n
    return count


def accounted(family: str) -> tuple[bool, bool]:
    """Whether a family's outputs count under `activations_in_place` and under `activations_conv`."""
    return family in _IN_PLACE, family == "conv"
