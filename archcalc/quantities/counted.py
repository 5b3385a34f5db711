"""`count`: the count by a named convention, in the convention's own unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.diagnostics import error
from archcalc.quantities.formulas import of_selection
from archcalc.quantities.quantity import Number, Quantity, Scope, Selection
from archcalc.render.numbers import byte_size, grouped

if TYPE_CHECKING:
    from archcalc.conventions import Convention, Counter
    from archcalc.network import Node
    from archcalc.profile import Profile


def _convention(profile: Profile) -> tuple[Convention, Counter]:
    """The convention of a profile. Raises `ArchError` if there is none."""
    if profile.convention is None or profile.counter is None:
        raise error("`count` needs a convention", help="add `--convention NAME`")
    return profile.convention, profile.counter


def _count(selection: Selection) -> int:
    """The sum over a selection. For a whole network, it includes the inputs, which some conventions count."""
    profile = selection.profile
    _convention(profile)
    layers = list(selection.layers)
    if selection.whole:
        layers += [profile.entries[node.index] for node in profile.network.inputs.values()]
    if not profile.counts_parameters:
        return sum(layer.counts["count"] for layer in layers)
    owners = {(layer.node.shares or layer.node).index: layer.counts["count"] for layer in layers}
    return sum(owners.values())


def _explain(selection: Selection) -> list[str]:
    if selection.is_layer:
        return _of_layer(selection)
    profile = selection.profile
    inputs = profile.network.inputs.values() if selection.whole else ()
    before = profile.rolled_up((profile.entries[node.index] for node in inputs), None)
    return [*composition(selection), "", *of_selection(COUNT, selection, before)]


def _of_layer(selection: Selection) -> list[str]:
    """The rule of the convention for one layer, with its numbers."""
    profile, node = selection.profile, selection.output
    convention, counter = _convention(profile)
    title = f"{convention.name}, {convention.what}"
    if counter.rule(node) is None:
        unseen = [f", called as `{code}`, is not seen" for code in counter.unseen([node])]
        return [f"{title}: {node.kind}{unseen[0] if unseen else ' is not counted'}"]
    parts = counter.parts([node])
    times = f" × {profile.per_count} bytes" if convention.unit == "bytes" else ""
    text = " + ".join(part.formula for part in parts) or "0"
    lines = [f"{title} = {f'({text})' if times and len(parts) > 1 else text}{times}"]
    numbers = " + ".join(part.numbers for part in parts) or "0"
    numbers = f"({numbers})" if times and len(parts) > 1 else numbers
    value = grouped(profile.entries[node.index].counts["count"])
    lines.append(f"  = {numbers}{times} = {value}" if f"{numbers}{times}" != value else f"  = {value}")
    return lines + [f"  {bug.words} ({bug.address})" for bug in convention.bugs if node.kind in bug.kinds]


def composition(selection: Selection) -> list[str]:
    """The parts of a convention's count, by kind of layer."""
    profile = selection.profile
    convention, counter = _convention(profile)
    nodes = _nodes(selection)
    parts = [(part.text, part.value * profile.per_count) for part in counter.parts(nodes)]
    total = sum(value for _, value in parts)
    left = max([len("sum"), *(len(text) for text, _ in parts)])
    right = len(grouped(total))
    lines = [f"{convention.name} of {selection.name}, {convention.what}: {convention.title}"]
    lines += [f"  {text:<{left}}   {grouped(value):>{right}}" for text, value in parts]
    end = f" = {byte_size(total)}" if convention.unit == "bytes" else ""
    lines.append(f"  {'sum':<{left}} = {grouped(total):>{right}}{end}")
    missing = counter.not_counted(nodes)
    if missing:
        listed = ", ".join(f"{kind} ({number:,})" for kind, number in missing.items())
        lines.append(f"  not counted: {listed}")
    unseen = counter.unseen(nodes)
    if unseen:
        listed = ", ".join(f"{code} ({number:,})" for code, number in unseen.items())
        lines.append(f"  not seen: {listed}")
    kinds = {node.kind for node in nodes}
    return lines + [f"  {bug.text}" for bug in convention.bugs if kinds & set(bug.kinds)]


def _nodes(selection: Selection) -> list[Node]:
    inputs = selection.profile.network.inputs.values() if selection.whole else ()
    return [*inputs, *(layer.node for layer in selection.layers)]


def _total(profile: Profile, number: Number) -> tuple[str, str, str] | None:
    """The total of the convention, with its parts."""
    if profile.convention is None:
        return None
    convention, counter = _convention(profile)
    parts = counter.parts(_nodes(profile.whole))
    listed = [f"{number(part.value * profile.per_count)} ({part.text})" for part in parts]
    what = byte_size(profile.totals["count"]) if convention.unit == "bytes" else convention.what
    return convention.name, number(profile.totals["count"]), f"{what}: {' + '.join(listed) or 'nothing'}"


COUNT = Quantity(
    name="count",
    of_operations=True,
    noun="count",
    definition="the count by a named convention (`--convention`)",
    scope=Scope.LAYER,
    of_convention=True,
    of=_count,
    explain=_explain,
    total=_total,
    heading="Count",
    drawn=("share", "bar"),
    headline=True,
)
QUANTITIES = (COUNT,)
