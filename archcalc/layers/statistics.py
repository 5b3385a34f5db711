"""The backward passes of normalizations by mean and variance. No layer kinds.

With `n` for the normalized values, `g` for the gradients of the output, `w` for the scale and `i` for the
inverse of the standard deviation, the gradient of the input is `i (w g - mean(w g) - n mean(w g n))`, with
means over what is normalized together (Ioffe & Szegedy 2015, Section 3, the equations after Algorithm 1).
The gradient of the scale is the sum of `g n`, that of the shift the sum of `g`.
"""

from __future__ import annotations

from archcalc.layers.backward import KEPT_INPUT, Backward, Kept, Needs
from archcalc.layers.terms import Facts, Operations, Term, labelled, per_value, term


def backward_of_channels(facts: Facts, needs: Needs, scaled: bool, per_batch: bool) -> Backward:
    """With statistics of each channel: of the whole batch, or of each sample.

    The scale is the same for all that is normalized together, so that the sums for the gradients of scale and
    shift are those that the gradient of the input needs: `i w (g - sum(g)/M - n sum(g n)/M)`.
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
    """With statistics of groups of channels, and a scale for each channel.

    The sums are those of each channel. Their products with the scale are added up for each group, divided by
    its size and multiplied by `i`: a value is then `(i w) g` less one of them, and less `n` times the other.
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
    """With a scale that differs among the values that are normalized together.

    The sums that the gradient of the input needs are those of `g w` and of `g n w`.
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
    """Not if only the shift is trained."""
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
