"""The reference executor: networks run on real tensors, in NumPy alone.

The kernels never call the shape rules (an unpooling reads the windows of its pool). What comes out of
each is compared with what was predicted, so that a run proves the shapes; `verify` proves the other figures.
"""

from archcalc.executor import (
    activation,
    arithmetic,
    attention,
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
from archcalc.executor.kernel import check_complete

check_complete()

__all__ = [
    "activation",
    "arithmetic",
    "attention",
    "conv",
    "deform",
    "linear",
    "merge",
    "norm",
    "pool",
    "recurrent",
    "reduction",
    "reshape",
    "resize",
    "softmax",
    "unary",
]
