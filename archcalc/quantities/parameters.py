"""Parameters: trainable scalars, buffers, weights alone, and the bytes they take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from archcalc.layers.terms import Facts
from archcalc.quantities.quantity import Number, Quantity, Scope, Selection, Summand, Unit
from archcalc.render.numbers import byte_size, grouped, plural

if TYPE_CHECKING:
    from archcalc.profile import Profile


def _arrays(*roles: str) -> Callable[[Facts], Iterable[Summand]]:
    """The arrays of a layer with one of these roles."""

    def terms(facts: Facts) -> list[Summand]:
        return [(1, weight.term, weight.name) for weight in facts.weights if weight.role in roles]

    return terms


def _trained(facts: Facts) -> Iterable[Summand]:
    return [
        (1, weight.term, weight.name)
        for weight in facts.weights
        if weight.role != "buffer" and not weight.frozen
    ]


def _total_trained(profile: Profile, number: Number) -> tuple[str, str, str] | None:
    """The line of the trainable parameters, if some are frozen."""
    trained, every = profile.totals.trainable_params, profile.totals.params
    if trained == every:
        return None
    return "  trainable", number(trained), f"{plural(every - trained, 'parameter', number)} frozen"


def _total(profile: Profile, number: Number) -> tuple[str, str, str]:
    totals = profile.totals
    weights = plural(totals.weights, "weight", number)
    words = f"{byte_size(totals.param_bytes)}: {weights}, the rest biases and norms"
    if totals.buffers:
        words += f"; plus {plural(totals.buffers, 'buffer', number)}"
    return "parameters", number(totals.params), words


def _bytes(selection: Selection) -> int:
    count: int = PARAMS.measure(selection)
    return count * selection.profile.bytes_per_value


def _explain_bytes(selection: Selection) -> list[str]:
    of = "" if selection.is_layer else f" of {selection.name}"
    count, size = PARAMS.measure(selection), selection.profile.bytes_per_value
    return [
        f"param_bytes{of} = params × bytes of a value",
        f"  = {grouped(count)} × {size} = {grouped(count * size)}",
        f"  = {byte_size(count * size)}",
    ]


PARAMS = Quantity(
    name="params",
    noun="parameters",
    definition="trained and frozen scalars; an array that several layers share counts once",
    scope=Scope.LAYER,
    terms=_arrays("weight", "bias", "norm"),
    shared=True,
    total=_total,
    heading="Params",
    drawn=("share", "bar"),
    headline=True,
)
TRAINABLE = Quantity(
    name="trainable_params",
    noun="trainable parameters",
    definition="parameters that are not frozen",
    scope=Scope.LAYER,
    terms=_trained,
    shared=True,
    total=_total_trained,
    heading="Trainable",
)
BUFFERS = Quantity(
    name="buffers",
    noun="buffers",
    definition="fixed state: running statistics, fixed prototypes",
    scope=Scope.LAYER,
    terms=_arrays("buffer"),
    shared=True,
    heading="Buffers",
)
WEIGHTS = Quantity(
    name="weights",
    noun="weights",
    definition="parameters without biases and norms, as lecture slides count them",
    scope=Scope.LAYER,
    terms=_arrays("weight"),
    shared=True,
    heading="Weights",
)
PARAM_BYTES = Quantity(
    name="param_bytes",
    noun="parameter bytes",
    definition="bytes of the parameters",
    unit=Unit.BYTES,
    of=_bytes,
    explain=_explain_bytes,
)
QUANTITIES = (PARAMS, TRAINABLE, BUFFERS, WEIGHTS, PARAM_BYTES)
