"""How a figure comes about: the formula, the formula with the numbers put in, and the result."""

from __future__ import annotations

from collections.abc import Sequence

from archcalc.checking.evaluate import measure
from archcalc.diagnostics import error, near_miss
from archcalc.layers.terms import OPERATIONS, Term, values_of
from archcalc.network import Group
from archcalc.profile import LayerProfile, Profile
from archcalc.quantities import QUANTITIES
from archcalc.quantities.activations import accounted
from archcalc.quantities.operations import FLOPS
from archcalc.render.numbers import axes, byte_size, field_size, grouped
from archcalc.report.rows import Row, select_rows
from archcalc.shape import SYMBOLS, Window, format_shape

OF_A_LAYER = ("shape", "params", "buffers", "macs", "flops", "activations", "receptive_field")
"""What is explained of a layer if no quantity is named, as far as it is not zero."""

OF_A_PART = ("params", "macs")
"""The same of a block or a network."""

LISTED = {
    "activations_in_place": "the values of the input and the outputs of conv, pool and fc",
    "activations_conv": "the values that convolutions put out",
    "weighted_layers": "the layers with multiply-adds",
    "depth": "the layers with multiply-adds on the longest path",
}
"""What quantities of a part count some of its layers for, in words."""

SUMMED = ("params", "buffers", "weights", "macs", "flops", "activations", "count")


def explain(profile: Profile, path: str = "", quantity: str = "") -> str:
    """The account of a quantity of a layer, a block or, without a path, the whole network.

    Without a quantity, of those that matter most. Raises `ArchError` for unknown names.
    """
    if quantity == "count" and profile.convention is None:
        raise error("`count` is what a convention counts", help="add `--convention NAME`")
    if quantity and quantity not in QUANTITIES:
        help = near_miss(quantity, QUANTITIES) or "quantities: " + ", ".join(QUANTITIES)
        raise error(f"unknown quantity `{quantity}`", help=help)
    network = profile.network
    group = next((g for g in network.groups if g.name == path), None)
    is_node = any(node.name == path for node in network.nodes)
    if path and not is_node and group is None:
        known = [node.name for node in network.nodes] + [g.name for g in network.groups]
        help = near_miss(path, known if quantity else [*known, *QUANTITIES])
        raise error(f"`{network.name}` has no layer or block `{path}`", help=help)
    if is_node:
        return _of_layer(profile, profile[path], quantity)
    return _of_part(profile, group, quantity)


# --- A layer ----------------------------------------------------------------------------------------


def _of_layer(profile: Profile, layer: LayerProfile, quantity: str) -> str:
    node = layer.node
    inputs = ", ".join(format_shape(source.shape) for source in node.inputs)
    flow = f"{inputs} → {format_shape(node.shape)}" if inputs else format_shape(node.shape)
    lines = [f"{node.name}: {node.layer}   {flow}", *_origin(layer), ""]
    names = [quantity] if quantity else OF_A_LAYER
    for name in names:
        account = _account(profile, layer, name)
        if account and (quantity or name in ("shape", "receptive_field") or _value(layer, name)):
            lines += [*account, ""]
    return "\n".join(lines[:-1])


def _origin(layer: LayerProfile) -> list[str]:
    lines = []
    if layer.node.span is not None:
        lines.append(f"  from {layer.node.span}")
    if layer.node.calls is not None:
        lines += [f"  in a call of {call.block}, {call.span}" for call in layer.node.calls.chain()]
    return lines


def _value(layer: LayerProfile, name: str) -> int:
    return int(getattr(layer.counts, name, 0))


def _account(profile: Profile, layer: LayerProfile, name: str) -> list[str]:
    facts = layer.node.facts
    if name == "shape":
        return _shape(layer)
    if name in ("receptive_field", "effective_stride", "effective_padding"):
        return _field(profile, layer, name)
    if name in ("params", "weights", "buffers"):
        roles = {"params": ("weight", "bias", "norm"), "weights": ("weight",), "buffers": ("buffer",)}[name]
        terms = [(1, w.term, w.name) for w in facts.weights if w.role in roles]
        lines = _sum(name, terms, _value(layer, name))
        if layer.node.shares is not None:
            lines.append(f"  the same arrays as those of {layer.node.shares.name}, counted there")
        return lines
    if name == "macs":
        return _sum(name, [(1, t, OPERATIONS[c]) for c, t in facts.operations if c == "macs"], layer.macs)
    if name == "flops":
        return _sum(name, [(FLOPS[c], t, OPERATIONS[c]) for c, t in facts.operations], layer.flops)
    if name == "activations":
        return _sum(name, [(1, values_of(facts.output), "")], layer.activations)
    if name == "activation_bytes":
        size = profile.bytes_per_value
        total = layer.activations * size * profile.batch
        return [
            "activation_bytes = activations × bytes of a value × batch",
            f"  = {grouped(layer.activations)} × {size} × {profile.batch} = {grouped(total)}",
            f"  = {byte_size(total)}",
        ]
    if name == "count":
        return _counted(profile, layer)
    value = measure(profile, name, layer.name)
    return [f"{name} = {grouped(value)}"]


def _counted(profile: Profile, layer: LayerProfile) -> list[str]:
    """What the named convention counts of a layer."""
    counter = profile.counter
    assert counter is not None
    convention = counter.convention
    node = layer.node
    title = f"{convention.name}, {convention.what}"
    if convention.rule(node) is None:
        return [f"{title}: {node.kind} is not counted"]
    parts = counter.parts([node])
    factor = profile.per_count
    times = f" × {factor} bytes" if convention.unit == "bytes" else ""
    text = " + ".join(part.formula for part in parts) or "0"
    lines = [f"{title} = {f'({text})' if times and len(parts) > 1 else text}{times}"]
    numbers = " + ".join(part.numbers for part in parts) or "0"
    numbers = f"({numbers})" if times and len(parts) > 1 else numbers
    value = grouped(layer.counts.count)
    lines.append(f"  = {numbers}{times} = {value}" if f"{numbers}{times}" != value else f"  = {value}")
    return lines + [f"  {bug.words} ({bug.address})" for bug in convention.bugs if node.kind in bug.kinds]


def _sum(name: str, terms: Sequence[tuple[int, Term, str]], value: int) -> list[str]:
    """A sum of weighted terms; one term stands on its own."""
    if not terms:
        return [f"{name} = 0"]
    if len(terms) == 1:
        factor, only, words = terms[0]
        weight = f"{factor} × " if factor != 1 else ""
        return [f"{name} = {weight}{only.formula}", f"  = {weight}{only.numbers} = {grouped(value)}"]
    weights = [f"{factor} × " if factor != 1 else "" for factor, _, _ in terms]
    lines = [f"{name} = " + " + ".join(w + t.formula for w, (_, t, _) in zip(weights, terms, strict=True))]
    numbers = [w + t.numbers for w, (_, t, _) in zip(weights, terms, strict=True)]
    values = [grouped(factor * t.value) for factor, t, _ in terms]
    left, right = max(map(len, numbers)), max(len(grouped(value)), *map(len, values))
    for text, result, (_, _, words) in zip(numbers, values, terms, strict=True):
        lines.append(f"  {text:<{left}} = {result:>{right}}  {words}".rstrip())
    lines.append(f"  {'sum':<{left}} = {grouped(value):>{right}}")
    return lines


def _shape(layer: LayerProfile) -> list[str]:
    node = layer.node
    windows = node.facts.windows
    title = f"shape = {format_shape(node.shape)}"
    if node.is_input or not isinstance(windows, tuple) or len(windows) != len(node.shape) - 1:
        return [title]
    ceil = getattr(node.layer, "ceil_mode", False)
    lines = [title]
    letters = SYMBOLS[len(windows)]
    sizes = zip(letters, node.inputs[0].shape[1:], node.shape[1:], windows, strict=True)
    for letter, before, after, window in sizes:
        if isinstance(window.stride, int) and isinstance(window.kernel_size, int):
            lines.append(f"  {letter}_out = {_size_formula(before, window, after, ceil)}")
    return lines


def _size_formula(n: int, w: Window, result: int, ceil: bool) -> str:
    """The output-size formula with its numbers, along one axis."""
    if w.transposed:
        text = f"({n}-1)·{w.stride} - {w.before} - {w.after} + {w.dilation}·({w.kernel_size}-1) + 1"
        extra = result - ((n - 1) * w.stride - w.before - w.after + w.extent)
        return f"{text}{f' + {extra}' if extra else ''} = {result}"
    word = "ceil" if ceil else "floor"
    padding = f"{n} + {w.before} + {w.after}".replace("+ -", "- ")
    text = f"{word}(({padding} - {w.dilation}·({w.kernel_size}-1) - 1) / {w.stride}) + 1"
    if ceil and -((w.extent - n - w.before - w.after) // w.stride) + 1 > result:
        return f"{text} - 1 = {result}   (the last window would start behind the input)"
    return f"{text} = {result}"


def _field(profile: Profile, layer: LayerProfile, name: str) -> list[str]:
    node, field = layer.node, layer.field
    windows = node.facts.windows
    lines = [f"receptive_field = {field_size(field)}"]
    if field.is_global:
        lines[0] += "   (the whole input)"
        return lines
    if field.stride:
        lines[0] += f"   effective stride {axes(field.stride)}, padding {axes(field.padding)}"
    if not isinstance(windows, tuple) or len(node.inputs) != 1 or not field.stride:
        return lines
    before = profile.entries[node.inputs[0].index].field
    if before.turns or field.turns:  # sizes take turns there, and no one line adds up to the largest
        return lines
    names = SYMBOLS[len(windows)]
    for axis, (letter, window) in enumerate(zip(names, windows, strict=True)):
        if window.transposed or not before.stride:
            continue
        r, j = before.size[axis], before.stride[axis]
        k, s, d = window.kernel_size, window.stride, window.dilation
        lines.append(
            f"  {letter}: r + d·(k-1)·j = {r} + {d}·({k}-1)·{j} = {field.size[axis]}"
            f",  j·s = {j}·{s} = {field.stride[axis]}"
        )
    return lines


# --- A block, or the whole network ------------------------------------------------------------------


def _of_part(profile: Profile, group: Group | None, quantity: str) -> str:
    name = group.name if group is not None else profile.network.name
    depth = 1 if group is None else group.depth + 1
    rows = select_rows(profile, depth=depth)
    if group is not None:
        rows = [row for row in rows if row.name.startswith(group.name + "/")]
    if quantity in ("receptive_field", "effective_stride", "effective_padding"):
        return "\n".join(_fields(profile, name, rows))
    if quantity in ("activation_bytes", "param_bytes"):
        return "\n".join(_bytes(profile, name, group, quantity))
    if quantity in LISTED:
        return "\n".join(_listed(profile, name, group, quantity))
    if quantity and quantity not in SUMMED:
        value = measure(profile, quantity, group.name if group is not None else "")
        shown = axes(value) if isinstance(value, tuple) else grouped(value)
        return f"{quantity} of {name} = {shown}"
    lines = []
    for wanted in [quantity] if quantity else OF_A_PART:
        if wanted == "count":
            members = profile.within(group) if group is not None else profile.layers
            lines += [*_composition(profile, name, members, group is None), ""]
            if group is None:
                entries = [profile.entries[node.index] for node in profile.network.inputs.values()]
                rows = [*(Row(entry.name, [entry], entry.node) for entry in entries), *rows]
        lines += [*_parts(name, wanted, rows), ""]
    return "\n".join(lines[:-1])


def _bytes(profile: Profile, name: str, group: Group | None, quantity: str) -> list[str]:
    path = group.name if group is not None else ""
    of, times = {"activation_bytes": ("activations", profile.batch), "param_bytes": ("params", 1)}[quantity]
    count, total = measure(profile, of, path), measure(profile, quantity, path)
    words, batch = (" × batch", f" × {times}") if of == "activations" else ("", "")
    return [
        f"{quantity} of {name} = {of} × bytes of a value{words}",
        f"  = {grouped(count)} × {profile.bytes_per_value}{batch} = {grouped(total)}",
        f"  = {byte_size(total)}",
    ]


def _listed(profile: Profile, name: str, group: Group | None, quantity: str) -> list[str]:
    """The layers that a quantity counts, each with its part."""
    layers = profile.within(group) if group is not None else profile.layers
    parts: list[tuple[str, int]] = []
    if quantity == "activations_in_place" and group is None:
        inputs = profile.network.inputs.values()
        parts += [(node.name, values_of(node.shape).value) for node in inputs]
    if quantity == "depth":
        parts += [(layer.name, 1) for layer in _longest_path(layers)]
    for layer in layers:
        in_place, conv = accounted(layer.node.layer.family)
        if quantity == "weighted_layers" and layer.macs:
            parts.append((layer.name, 1))
        elif (quantity == "activations_in_place" and in_place) or (quantity == "activations_conv" and conv):
            parts.append((layer.name, layer.activations))
    return _summed(f"{quantity} of {name} = {LISTED[quantity]}", parts)


def _longest_path(layers: Sequence[LayerProfile]) -> list[LayerProfile]:
    """The layers with multiply-adds on the longest path; of several, one."""
    paths: dict[int, tuple[int, LayerProfile | None, int]] = {}
    best: tuple[int, int] = (0, -1)
    for layer in layers:
        depth, source = max(
            ((paths[s.index][0], s.index) for s in layer.node.inputs if s.index in paths), default=(0, -1)
        )
        depth += bool(layer.macs)
        paths[layer.node.index] = (depth, layer if layer.macs else None, source)
        best = max(best, (depth, -layer.node.index))
    found: list[LayerProfile] = []
    at = -best[1] if best[0] else -1
    while at in paths:
        _, counted, at = paths[at]
        found += [counted] if counted is not None else []
    return found[::-1]


def _fields(profile: Profile, name: str, rows: Sequence[Row]) -> list[str]:
    """The receptive field after each part."""
    lines = [f"receptive_field of {name}, after each of its parts"]
    left = max(len(row.name) for row in rows)
    for row in rows:
        field = profile.entries[row.output.index].field
        text = f"  {row.name:<{left}}   {field_size(field):>9}"
        if field.stride:
            text += f"   effective stride {axes(field.stride)}, padding {axes(field.padding)}"
        lines.append(text)
    return lines


def _composition(profile: Profile, name: str, layers: Sequence[LayerProfile], whole: bool) -> list[str]:
    """What the named convention's count of a part of a network is made of, by sort of layer."""
    counter = profile.counter
    assert counter is not None
    convention = counter.convention
    nodes = [layer.node for layer in layers]
    if whole:
        nodes = [*profile.network.inputs.values(), *nodes]
    factor = profile.per_count
    parts = [(part.text, part.value * factor) for part in counter.parts(nodes)]
    total = sum(value for _, value in parts)
    left = max(len("sum"), *(len(text) for text, _ in parts)) if parts else 0
    right = len(grouped(total))
    lines = [f"{convention.name} of {name}, {convention.what}: {convention.title}"]
    lines += [f"  {text:<{left}}   {grouped(value):>{right}}" for text, value in parts]
    lines.append(f"  {'sum':<{left}} = {grouped(total):>{right}}")
    if convention.unit == "bytes":
        lines[-1] += f" = {byte_size(total)}"
    missing = counter.not_counted(nodes)
    if missing:
        listed = ", ".join(f"{kind} ({number:,})" for kind, number in missing.items())
        lines.append(f"  not counted: {listed}")
    kinds = {node.kind for node in nodes}
    lines += [f"  {bug.text}" for bug in convention.bugs if kinds & set(bug.kinds)]
    return lines


def _parts(name: str, quantity: str, rows: Sequence[Row]) -> list[str]:
    parts = [(row.name, int(getattr(row, quantity))) for row in rows]
    parts = [(part, value) for part, value in parts if value]
    if not parts:
        return [f"{quantity} of {name} = 0"]
    return _summed(f"{quantity} of {name} = the sum over its parts", parts)


def _summed(title: str, parts: Sequence[tuple[str, int]]) -> list[str]:
    total = sum(value for _, value in parts)
    lines = [title]
    left = max(len("sum"), *(len(part) for part, _ in parts))
    right = len(grouped(total))
    lines += [f"  {part:<{left}}   {grouped(value):>{right}}" for part, value in parts]
    lines.append(f"  {'sum':<{left}} = {grouped(total):>{right}}")
    return lines
