"""Parameters: trainable scalars, buffers, and weights alone."""

from __future__ import annotations

from archcalc.layers.terms import Facts


def count_parameters(facts: Facts) -> tuple[int, int, int]:
    """Parameters, buffers and weights of one layer.

    Parameters are what training changes: weights, biases, the scale and shift of normalisations.
    Buffers are fixed state, such as running statistics. Weights are parameters without biases and
    norms, as lecture slides count them.
    """
    params = buffers = weights = 0
    for weight in facts.weights:
        size = weight.term.value
        if weight.role == "buffer":
            buffers += size
        else:
            params += size
            if weight.role == "weight":
                weights += size
    return params, buffers, weights
