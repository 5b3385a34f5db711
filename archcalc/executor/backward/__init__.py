"""The backward pass of every layer kind: one function for each kernel, family by family.

Nothing here uses shortcuts of the kernels or the shape rules. Formulas are written as derived.
"""

from archcalc.executor.backward import (
    activation,
    arithmetic,
    attention,
    computed,
    conv,
    deform,
    linear,
    merge,
    norm,
    pool,
    recurrent,
    reduction,
    reshape,
    resize,
    softmax,
    unary,
)
from archcalc.executor.backward.register import BACKWARD, Back, Sent, kept_by, run_backward

__all__ = [
    "BACKWARD",
    "Back",
    "Sent",
    "activation",
    "arithmetic",
    "attention",
    "computed",
    "conv",
    "deform",
    "kept_by",
    "linear",
    "merge",
    "norm",
    "pool",
    "recurrent",
    "reduction",
    "reshape",
    "resize",
    "run_backward",
    "softmax",
    "unary",
]
