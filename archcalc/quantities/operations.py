"""Multiply-accumulates and floating-point operations."""

from __future__ import annotations

from archcalc.layers.terms import OPERATIONS, Facts

FLOPS = {
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

A multiply-accumulate is a multiplication and an addition. A root counts 4 and an exponential, logarithm,
power, tanh or erf 8, the weights that McMahon (1986) gave them for the Livermore loops.
"""

assert FLOPS.keys() == OPERATIONS.keys()

MACS_CONVENTION = "multiply-adds of conv and fc; bias, norm, activation, pooling not counted"
FLOPS_CONVENTION = (
    "2 per multiply-add; 1 per add, multiply, divide, compare; 4 per root; "
    "8 per exp, log, power, tanh, erf; every layer"
)


def count_macs(facts: Facts) -> int:
    """Multiply-accumulates of one layer for one sample: one per multiplied weight.

    The "mult-adds" of the papers: convolutions and fully connected layers only.
    """
    return sum(term.value for category, term in facts.operations if category == "macs")


def count_flops(facts: Facts) -> int:
    """Floating-point operations of one layer for one sample at inference, as `FLOPS` weighs them."""
    return sum(FLOPS[category] * term.value for category, term in facts.operations)
