"""The backward passes of normalizations by mean and variance. This file has no layer kinds.

Let `n` be the normalized values, `g` the gradients of the output, `w` the scale, and `i` the inverse of the
standard deviation. The gradient of the input is `i (w g - mean(w g) - n mean(w g n))`, where means are over
the values that are normalized together (Ioffe & Szegedy 2015, Section 3, the equations after Algorithm 1).
The gradient of the scale is the sum of `g n`, and the gradient of the shift is the sum of `g`.
"""

from __future__ import annotations

from archcalc.layers.backward import KEPT_INPUT, Backward, Kept, Needs
from archcalc.layers.terms import Facts, Operations, Term, labelled, per_value, term


def backward_of_channels(facts: Facts, needs: Needs, scaled: bool, per_batch: bool) -> Backward:
    """Statistics per channel, over the whole batch or over each sample.

    All values that are normalized together have the same scale. The gradient of the input therefore uses the
    sums for the gradients of scale and shift: `i w (g - sum(g)/M - n sum(g n)/M)`.
    """
    channels = term(("C", facts.output[0]))
    operations = _of_sums(facts, needs)
    if needs.any_input:
        operations += labelled(
            "gradient of the input",
            (
                *per_value(facts.output, add=2, mul=2),
                ("div", term(("2", 2)) * channels),
                *((("mul", channels),) if scaled else ()),
            ),
        )
    return Backward(_kept(needs, channels, per_batch), operations)


def backward_of_groups(facts: Facts, needs: Needs, groups: int, scaled: bool) -> Backward:
    """Statistics per group of channels, and a scale per channel.

    The sums are per channel. Their products with the scale are added up for each group, divided by its size,
    and multiplied by `i`. A value is then `(i w) g` minus one of these means, and minus `n` times the other.
    """
    channels, of_groups = term(("C", facts.output[0])), term(("groups", groups))
    operations = _of_sums(facts, needs)
    if needs.any_input:
        twice = term(("2", 2))
        scales: Operations = (
            ("mul", term(("3", 3)) * channels),  # of both sums, and of `i`
            ("add", twice * channels),
        )
        operations += labelled(
            "gradient of the input",
            (
                *per_value(facts.output, add=2, mul=2),
                *(scales if scaled else ()),
                ("div", twice * of_groups),
                ("mul", twice * of_groups),
            ),
        )
    return Backward(_kept(needs, of_groups), operations)


def backward_of_values(facts: Facts, needs: Needs, groups: int, scaled: bool) -> Backward:
    """Statistics of values that have different scales.

    The gradient of the input needs the sums of `g w` and of `g n w`.
    """
    of_groups = term(("groups", groups))
    operations: Operations = ()
    if _reads_values(needs):
        operations += labelled("values normalized again", per_value(facts.output, add=1, mul=1))
        operations += labelled("gradients times these values", per_value(facts.output, mul=1))
    if "weight" in needs.trained:
        operations += labelled("gradient of the scale", per_value(facts.output, add=1))
    if "bias" in needs.trained:
        operations += labelled("gradient of the shift", per_value(facts.output, add=1))
    if needs.any_input:
        operations += labelled(
            "gradient of the input",
            (
                *per_value(facts.output, add=4, mul=4 if scaled else 2),
                ("div", term(("2", 2)) * of_groups),
            ),
        )
    return Backward(_kept(needs, of_groups), operations)


def _reads_values(needs: Needs) -> bool:
    """Are normalized values read? They are not if only the shift is trained."""
    return needs.any_input or "weight" in needs.trained


def _kept(needs: Needs, groups: Term, per_batch: bool = False) -> tuple[Kept, ...]:
    if not _reads_values(needs):
        return ()
    return (
        KEPT_INPUT,
        Kept("mean", values=groups, per_batch=per_batch),
        Kept("inverse deviation", values=groups, per_batch=per_batch),
    )


def _of_sums(facts: Facts, needs: Needs) -> Operations:
    """The sums of the gradients, and of their products with the values."""
    operations: Operations = ()
    if _reads_values(needs):
        operations += labelled("values normalized again", per_value(facts.output, add=1, mul=1))
        operations += labelled(
            "sums of the gradients times these values", per_value(facts.output, add=1, mul=1)
        )
    if needs.any_input or "bias" in needs.trained:
        operations += labelled("sums of the gradients", per_value(facts.output, add=1))
    return operations
