"""Kernels of the layers over vectors."""

from __future__ import annotations

import numpy as np

from archcalc.executor.kernel import Array, Call, kernel
from archcalc.layers.linear import FullyConnected, RadialBasis


@kernel(FullyConnected)
def fc(layer: FullyConnected, call: Call) -> Array:
    """`y = x W + b`, with weights `(N_in, N_out)`."""
    out: Array = call.x @ call.weights["weight"]
    if layer.bias:
        out += call.weights["bias"]
    return out


@kernel(RadialBasis)
def rbf(layer: RadialBasis, call: Call) -> Array:
    """`y_i = sum_j (x_j - w_ij)^2` (LeCun et al. 1998, Equation 7)."""
    difference = call.x[:, :, None] - call.weights["prototypes"]
    out: Array = np.einsum("bij,bij->bj", difference, difference)
    return out
