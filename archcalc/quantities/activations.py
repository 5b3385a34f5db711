"""Activations, counted in several ways, and their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.layers.terms import Facts, values_of
from archcalc.number import total
from archcalc.quantities.formulas import of_parts
from archcalc.quantities.quantity import Number, Quantity, Scope, Selection, Summand, Unit
from archcalc.render.numbers import byte_size, grouped

if TYPE_CHECKING:
    from archcalc.profile import Profile

DTYPES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float8": 1,
    "int8": 1,
}
"""Bytes of a value, by dtype."""

_IN_PLACE = frozenset({"input", "conv", "pool", "linear", "recurrent"})
"""The families whose outputs count if norms and activations work in place, as lecture slides count."""

_CONV = frozenset({"conv"})


def count_activations(facts: Facts) -> int:
    """The values that a layer outputs, for one sample."""
    count = 1  # a plain loop, because `math.prod` is not faster for so few factors
    for n in facts.output:
        count *= n
    return count


def _terms(facts: Facts) -> list[Summand]:
    return [(1, values_of(facts.output), "")]


def _parts(selection: Selection, families: frozenset[str]) -> list[tuple[str, int]]:
    """The values of each layer of some families. For a whole network, they include its inputs."""
    entries = list(selection.layers)
    if selection.whole and "input" in families:
        inputs = selection.profile.network.inputs.values()
        entries = [*(selection.profile.entries[node.index] for node in inputs), *entries]
    return [
        (entry.name, entry.counts["activations"]) for entry in entries if entry.node.layer.family in families
    ]


def _sum(parts: list[tuple[str, int]]) -> int:
    result: int = total([value for _, value in parts])
    return result


def _in_place(selection: Selection) -> int:
    return _sum(_parts(selection, _IN_PLACE))


def _conv(selection: Selection) -> int:
    return _sum(_parts(selection, _CONV))


def _explain_in_place(selection: Selection) -> list[str]:
    words = "the values of the input and the outputs of conv, pool, and fc"
    return of_parts(f"activations_in_place of {selection.name} = {words}", _parts(selection, _IN_PLACE))


def _explain_conv(selection: Selection) -> list[str]:
    words = "the values that convolutions output"
    return of_parts(f"activations_conv of {selection.name} = {words}", _parts(selection, _CONV))


def _bytes(selection: Selection) -> int:
    profile = selection.profile
    count: int = ACTIVATIONS.measure(selection)
    return count * profile.bytes_per_value * profile.batch


def _explain_bytes(selection: Selection) -> list[str]:
    of = "" if selection.is_layer else f" of {selection.name}"
    profile = selection.profile
    count, size, batch = ACTIVATIONS.measure(selection), profile.bytes_per_value, profile.batch
    every = count * size * batch
    return [
        f"activation_bytes{of} = activations × bytes of a value × batch",
        f"  = {grouped(count)} × {size} × {batch} = {grouped(every)}",
        f"  = {byte_size(every)}",
    ]


def _total(profile: Profile, number: Number) -> tuple[str, str, str]:
    stored = byte_size(profile.totals.activation_bytes)
    if profile.batch > 1:
        stored += f" for a batch of {profile.batch:,}"
    return "activations", number(profile.totals.activations), f"{stored}: every layer's output"


def _total_in_place(profile: Profile, number: Number) -> tuple[str, str, str]:
    count = profile.totals.activations_in_place
    size = byte_size(count * profile.bytes_per_value * profile.batch)
    words = "input and outputs of conv, pool, and fc; norms and activations in place"
    return "  in place", number(count), f"{size}: {words}"


ACTIVATIONS = Quantity(
    name="activations",
    noun="activations",
    definition="the values that layers output, per sample",
    scope=Scope.LAYER,
    terms=_terms,
    count=count_activations,
    total=_total,
    heading="Activations",
    headline=True,
)
ACTIVATIONS_IN_PLACE = Quantity(
    name="activations_in_place",
    noun="activations in place",
    definition="activations of convolutions, pools and fully connected layers, and the input",
    of=_in_place,
    explain=_explain_in_place,
    total=_total_in_place,
)
ACTIVATIONS_CONV = Quantity(
    name="activations_conv",
    noun="conv activations",
    definition="activations of convolutions only (Radosavovic et al. 2020)",
    of=_conv,
    explain=_explain_conv,
)
ACTIVATION_BYTES = Quantity(
    name="activation_bytes",
    noun="activation bytes",
    definition="bytes of the activations, for the whole batch",
    unit=Unit.BYTES,
    of=_bytes,
    explain=_explain_bytes,
    heading="Bytes",
)
QUANTITIES = (ACTIVATIONS, ACTIVATIONS_IN_PLACE, ACTIVATIONS_CONV, ACTIVATION_BYTES)
