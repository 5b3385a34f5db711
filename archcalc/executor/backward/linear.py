"""Backward passes of the layers over vectors."""

from __future__ import annotations

from archcalc.executor.backward.register import Back, Sent, backward
from archcalc.layers.linear import FullyConnected, RadialBasis


@backward(FullyConnected)
def fc(layer: FullyConnected, back: Back) -> Sent:
    """For `y = x W + b`: `g Wᵀ` for the input, `xᵀ g` for the weights, and the sum of `g` for the bias."""
    g = back.gradient
    arrays = {}
    if "weight" in back.needs.trained:
        arrays["weight"] = back.x.T @ g
    if "bias" in back.needs.trained:
        arrays["bias"] = g.sum(axis=0)
    return [g @ back.weights["weight"].T if back.any_input else None], arrays


@backward(RadialBasis)
def rbf(layer: RadialBasis, back: Back) -> Sent:
    """For `y_j = sum_i (x_i - w_ij)^2`: the sum of `2 g_j (x_i - w_ij)` over the prototypes."""
    difference = back.x[:, :, None] - back.weights["prototypes"]
    return [(difference * (2 * back.gradient)[:, None, :]).sum(axis=-1)], {}
