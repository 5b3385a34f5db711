"""Parts of networks that can be compared across families: by resolution, and by kind of layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from msgspec import Struct

from archcalc.layers.terms import Reach
from archcalc.network import Network, Node
from archcalc.profile import LayerProfile, Profile
from archcalc.quantities import OF_LAYERS, QUANTITIES, Figures

HEAD = "head"
"""The stage after global pooling or `flatten`, where values have no position."""

Scale = tuple[Fraction, ...]
"""The step between neighbors along each axis, in input values."""


NOTHING = Figures(dict.fromkeys((quantity.name for quantity in OF_LAYERS), 0))
"""The sums of no layers."""


def amounts(layers: Iterable[LayerProfile]) -> Figures:
    """The sums of some layers. Shared parameters count where they occur first, so that parts add up.

    An input is not a layer, but some conventions count it.
    """
    total = dict(NOTHING)
    for layer in layers:
        figures = _of_convention(layer) if layer.node.is_input else layer.own
        for name, value in figures.items():
            total[name] = total.get(name, 0) + value
    return Figures(total)


def _of_convention(layer: LayerProfile) -> dict[str, int]:
    return {name: value for name, value in layer.own.items() if QUANTITIES[name].of_convention}


class ComparedPart(Struct, frozen=True):
    """A stage or a kind, with its sums in each network."""

    name: str
    amounts: tuple[Figures, ...]


def by_stage(profiles: Sequence[Profile]) -> list[ComparedPart]:
    """The stages of networks, from the finest resolution to the head.

    A stage is named by the output resolution of its layers relative to the input: `1/4`.
    """
    steps: dict[str, tuple[bool, Scale]] = {}

    def place(profile: Profile) -> Callable[[Node], str]:
        found = scales(profile.network)

        def name(node: Node) -> str:
            scale = found[node.index]
            label = HEAD if scale is None else _label(scale)
            steps.setdefault(label, (scale is None, scale or ()))
            return label

        return name

    parts = _parts(profiles, place)
    return sorted(parts, key=lambda part: steps[part.name])


def by_kind(profiles: Sequence[Profile]) -> list[ComparedPart]:
    """The kinds of layers: convolutions by type, others by family."""
    order = ("conv", "grouped conv", "depthwise", "pointwise", "conv_transpose", "local", "fc")
    parts = _parts(profiles, lambda profile: kind_of)
    rank = {name: index for index, name in enumerate(order)}
    return sorted(parts, key=lambda part: (rank.get(part.name, len(order)), part.name))


def _parts(
    profiles: Sequence[Profile], place: Callable[[Profile], Callable[[Node], str]]
) -> list[ComparedPart]:
    gathered: dict[str, list[list[LayerProfile]]] = {}
    for index, profile in enumerate(profiles):
        name = place(profile)
        inputs = [profile.entries[node.index] for node in profile.network.inputs.values()]
        for layer in [*(entry for entry in inputs if entry.own.get("count")), *profile.layers]:
            layers = gathered.setdefault(name(layer.node), [[] for _ in profiles])
            layers[index].append(layer)
    return [ComparedPart(name, tuple(map(amounts, layers))) for name, layers in gathered.items()]


def kind_of(node: Node) -> str:
    """The kind of a layer. A 1x1 `conv` is pointwise, and a `conv` with one group per channel is depthwise.

    >>> from archcalc import load
    >>> kind_of(load("mobilenet_v1")["separable1/depthwise1"])
    'depthwise'
    """
    layer = node.layer
    if layer.family == "linear":
        return layer.kind
    if layer.family != "conv":
        return _WORDS.get(layer.family, layer.family)
    if layer.kind != "conv":
        return layer.kind
    groups = int(getattr(layer, "groups", 1))
    if groups > 1:
        return "depthwise" if groups == node.inputs[0].shape[0] else "grouped conv"
    windows = node.facts.windows
    assert isinstance(windows, tuple)
    return "pointwise" if all(window.kernel_size == 1 for window in windows) else "conv"


_WORDS = {"merge": "join"}


def scales(network: Network) -> dict[int, Scale | None]:
    """The scale of every node's output, by node index; `None` in the head.

    Values that are computed from a whole map and flow back into a map, such as the weights of squeeze and
    excitation, have the scale of that map.
    """
    found: dict[int, Scale | None] = {}
    for node in network.nodes:
        found[node.index] = _scale(node, found)
    for node in reversed(network.nodes):
        scale = found[node.index]
        if scale is not None:
            for source in node.inputs:
                if found[source.index] is None:
                    found[source.index] = scale
    return found


def _scale(node: Node, found: dict[int, Scale | None]) -> Scale | None:
    sizes, windows = node.shape[1:], node.facts.windows
    if not sizes:
        return None
    if not node.inputs:
        return (Fraction(1),) * len(sizes)
    maps = [
        (scale, source.shape[1:])
        for source in node.inputs
        if (scale := found[source.index]) is not None and len(scale) == len(sizes)
    ]
    if not maps:  # a map made from a vector starts a new stage; the output of a global layer does not
        is_map = max(sizes) > 1
        return (Fraction(1),) * len(sizes) if is_map else None
    if isinstance(windows, tuple):
        scale, _ = maps[0]
        return tuple(
            step / Fraction(window.stride) if window.transposed else step * Fraction(window.stride)
            for step, window in zip(scale, windows, strict=True)
        )
    same = [scale for scale, before in maps if before == sizes]
    if same:
        return same[0]
    if windows is Reach.WHOLE:
        return None
    scale, before = maps[0]
    return tuple(step * n / m for step, n, m in zip(scale, before, sizes, strict=True))


def _label(scale: Scale) -> str:
    return "×".join(map(_step, scale[:1] if len(set(scale)) == 1 else scale))


def _step(step: Fraction) -> str:
    if step.denominator == 1:
        return f"1/{step}"
    if step.numerator == 1:
        return f"{step.denominator}/1"
    return f"1/{float(step):.3g}"
