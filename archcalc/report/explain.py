"""Explanations of figures: the formula, the formula with its numbers, and the result."""

from __future__ import annotations

from pathlib import Path

from archcalc.catalog import specs_folder
from archcalc.diagnostics import Source, Span
from archcalc.network import Network, Node
from archcalc.notes import note_lines, unknown_operations
from archcalc.profile import Profile
from archcalc.quantities import QUANTITIES, Quantity, Selection, find
from archcalc.quantities.formulas import of_selection, of_terms
from archcalc.render.numbers import grouped
from archcalc.shape import format_shape

OF_A_LAYER = ("shape", "params", "buffers", "macs", "flops", "activations", "receptive_field")
"""The quantities explained for a layer if none is named, except those that are zero."""

OF_A_PART = ("params", "macs")
"""The same for a block or a network."""


def explain(profile: Profile, path: str = "", quantity: str = "") -> str:
    """Explain a quantity of a layer, a block, or, without a path, the whole network.

    Without a quantity, explain the most important ones. Raises `ArchError` for unknown names, and for a
    part of a network if only whole networks have the quantity.
    """
    network = profile.network
    if quantity:
        find(quantity)
    group = next((g for g in network.groups if g.name == path), None)
    is_node = any(node.name == path for node in network.nodes)
    if path and not is_node and group is None:
        raise network.unknown_path(path, () if quantity else QUANTITIES, "layer or block")
    selection = profile.within(group) if group is not None else profile.part(path)
    lines = _of_layer(selection, quantity, network) if is_node else lines_of_part(selection, quantity)
    notes = note_lines(network.notes)
    return "\n".join([*notes, "", *lines] if notes else lines)


def account(quantity: Quantity, selection: Selection) -> list[str]:
    """The lines that explain one quantity of a selection. Raises `ArchError` if it has no such value."""
    lines = _account(quantity, selection)
    if quantity.of_training and quantity.of_operations:
        unknown = unknown_operations(layer.node for layer in selection.layers)
        lines += [f"  lower bound: the cost of {unknown} is unknown"] if unknown else []
    return lines


def _account(quantity: Quantity, selection: Selection) -> list[str]:
    value = quantity.measure(selection)
    if quantity.explain is not None:
        return quantity.explain(selection)
    node = selection.output
    if not selection.is_layer:
        return of_selection(quantity, selection)
    if quantity.terms is None:
        return [f"{quantity.name} = {grouped(value)}"]
    lines = of_terms(quantity.name, list(quantity.terms(node.facts)), value)
    if quantity.shared and node.shares is not None:
        lines.append(f"  the same arrays as those of {node.shares.name}, counted there")
    return lines


def title_of_layer(node: Node) -> str:
    """Path, operation and shapes of a layer."""
    inputs = ", ".join(format_shape(source.shape) for source in node.inputs)
    flow = f"{inputs} → {format_shape(node.shape)}" if inputs else format_shape(node.shape)
    return f"{node.name}: {node.layer}   {flow}"


def _of_layer(selection: Selection, quantity: str, network: Network) -> list[str]:
    lines = [title_of_layer(selection.output), *origin(selection.output, network)]
    for name in [quantity] if quantity else OF_A_LAYER:
        known = QUANTITIES[name]
        if quantity or not known.is_number or known.measure(selection):
            lines += ["", *account(known, selection)]
    return lines


def origin(node: Node, network: Network) -> list[str]:
    """Where the text declares a layer, and the block calls that led there.

    The files of built-in networks are inside the package, so the command that shows them is named instead.
    """
    calls = node.calls.chain() if node.calls is not None else []
    spans = [call.span for call in calls]
    lines = [f"  in a call of {call.block}, {_place(call.span)}" for call in calls]
    if node.span is not None:
        spans.insert(0, node.span)
        lines.insert(0, f"  from {_place(node.span)}")
    elif node.origin:
        lines.insert(0, f"  from {node.origin}")
    own = network.source
    if own is not None and _is_built_in(own):
        imported = any(span.source is not own for span in spans)
        does = f"--copy .` copies {'these files' if len({span.source for span in spans}) > 1 else 'it'}"
        lines.append(f"  `archcalc spec {network.name}{f' {does}' if imported else '` shows it'}")
    return lines


def _place(span: Span) -> str:
    return Path(str(span)).name if _is_built_in(span.source) else str(span)


def _is_built_in(source: Source) -> bool:
    return source.path is not None and source.path.parent == specs_folder()


def lines_of_part(selection: Selection, quantity: str = "") -> list[str]:
    """The account of a block or a network: of one quantity, or of those that matter most."""
    lines = []
    for name in [quantity] if quantity else OF_A_PART:
        lines += ["", *account(QUANTITIES[name], selection)]
    return lines[1:]
