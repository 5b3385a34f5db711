"""Peak memory: the values alive at once when layers run in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.quantities.formulas import of_parts
from archcalc.quantities.parameters import BUFFERS, PARAMS
from archcalc.quantities.quantity import Number, Quantity, Scope, Selection, Unit
from archcalc.render.numbers import byte_size, grouped, percent
from archcalc.shape import format_shape

if TYPE_CHECKING:
    from archcalc.memory.timeline import Stretch
    from archcalc.network import Node
    from archcalc.profile import Profile


def _value_bytes(profile: Profile) -> int:
    """The bytes of one value in all samples of the batch."""
    return profile.bytes_per_value * profile.batch


def _peak(profile: Profile) -> tuple[int, Node, list[Stretch]]:
    """The most values alive at once for one sample, the layer that runs then, and the tensors alive."""
    values, moment = profile.values_alive.peak(1)
    node = profile.values_alive.moments[moment].node
    assert node is not None
    alive = profile.values_alive.alive(moment)
    return values, node, alive


def _values(selection: Selection) -> int:
    return selection.profile.values_alive.most(1)


def _bytes(selection: Selection) -> int:
    return _values(selection) * _value_bytes(selection.profile)


def _at(profile: Profile) -> str:
    return _peak(profile)[1].name


def _explain_values(selection: Selection) -> list[str]:
    _, node, alive = _peak(selection.profile)
    title = f"peak_activations of {selection.name} = the values alive while {node.name} runs"
    return of_parts(title, _living(alive, 1))


def _explain_bytes(selection: Selection) -> list[str]:
    profile = selection.profile
    (values, node, alive), size = _peak(profile), profile.bytes_per_value
    total = values * size * profile.batch
    title = f"alive while {node.name} runs, in bytes"
    return [
        f"peak_bytes of {selection.name} = peak_activations × bytes of a value × batch",
        f"  = {grouped(values)} × {size} × {profile.batch} = {grouped(total)}",
        f"  = {byte_size(total)}",
        "",
        *of_parts(title, _living(alive, size * profile.batch)),
    ]


def _run(selection: Selection) -> int:
    profile = selection.profile
    held: int = PARAMS.measure(selection) + BUFFERS.measure(selection)
    return held * profile.bytes_per_value + _bytes(selection)


def _explain_run(selection: Selection) -> list[str]:
    profile = selection.profile
    held = [(q.name, q.measure(selection) * profile.bytes_per_value) for q in (PARAMS, BUFFERS)]
    parts = [*held, ("peak_bytes", _bytes(selection))]
    return of_parts(f"inference_bytes of {selection.name}, in bytes", parts)


def _arena(selection: Selection) -> int:
    return selection.profile.arena.size * _value_bytes(selection.profile)


def _explain_arena(selection: Selection) -> list[str]:
    """The tensors at the end of the arena, which set its size."""
    profile = selection.profile
    size, total = _value_bytes(profile), _arena(selection)
    last = [placed for placed in profile.arena.placed if placed.offset + placed.size == profile.arena.size]
    return [
        f"arena_bytes of {selection.name} = {grouped(total)}: {byte_size(total)}",
        *(
            f"  {placed.tensor.name} ends it: bytes {grouped(placed.offset * size)} to "
            f"{grouped((placed.offset + placed.size) * size)}"
            for placed in last
        ),
        f"  {percent(total, _bytes(selection))} % of peak_bytes, {grouped(_bytes(selection))}",
    ]


def _living(alive: list[Stretch], factor: int) -> list[tuple[str, int]]:
    """The tensors alive at the peak, with their shapes."""
    left = max(len(tensor.name) for tensor in alive)
    return [
        (f"{tensor.name:<{left}}  {format_shape(tensor.node.shape)}", tensor.size.of(1) * factor)
        for tensor in alive
        if tensor.node is not None
    ]


def _total(profile: Profile, number: Number) -> tuple[str, str, str]:
    totals = profile.totals
    words = f"{byte_size(totals.peak_bytes)}: most values alive at once, during `{_at(profile)}`"
    return "  peak", number(totals.peak_activations), words


PEAK_ACTIVATIONS = Quantity(
    name="peak_activations",
    noun="peak activations",
    definition="the largest number of activation values alive at once when layers run in order, per sample; "
    "nothing is computed in place",
    scope=Scope.NETWORK,
    of=_values,
    explain=_explain_values,
    total=_total,
    at=_at,
)
PEAK_BYTES = Quantity(
    name="peak_bytes",
    noun="peak bytes",
    definition="bytes of the peak activations, for the whole batch; parameters not included",
    unit=Unit.BYTES,
    scope=Scope.NETWORK,
    of=_bytes,
    explain=_explain_bytes,
    at=_at,
)
INFERENCE_BYTES = Quantity(
    name="inference_bytes",
    on_request=True,
    noun="inference bytes",
    definition="the most bytes alive at once in a run, for the whole batch: parameters, buffers and peak "
    "activations; what kernels allocate for themselves is not counted",
    unit=Unit.BYTES,
    scope=Scope.NETWORK,
    of=_run,
    explain=_explain_run,
)
ARENA_BYTES = Quantity(
    name="arena_bytes",
    on_request=True,
    noun="arena bytes",
    definition="bytes of one block of memory that has a fixed place for every activation, for the whole "
    "batch: placed greedily by size, at least `peak_bytes`",
    unit=Unit.BYTES,
    scope=Scope.NETWORK,
    of=_arena,
    explain=_explain_arena,
)
QUANTITIES = (PEAK_ACTIVATIONS, PEAK_BYTES, INFERENCE_BYTES, ARENA_BYTES)
