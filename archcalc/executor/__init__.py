"""The reference executor, which runs networks on real tensors with NumPy alone.

The kernels do not use the shape rules, except that an unpooling reads the windows of its pool. Each output
shape is compared with the predicted one, so a run verifies the shapes. `verify` checks the other figures.
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
