"""Messages about arguments and tensors that a layer does not accept."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from archcalc import number
from archcalc.language.meanings import LOCAL
from archcalc.language.syntax import Arg, Ref
from archcalc.network import Node
from archcalc.render.numbers import plural
from archcalc.shape import format_shape


def called_in(ref: Ref, tensors: tuple[Node, ...]) -> dict[int, str]:
    """The names that the arguments of a join have in the text, by node index."""
    exprs = [expr for slot, expr in ref.slots if slot < 0]
    if len(exprs) != len(tensors):
        return {}
    pairs = zip(tensors, exprs, strict=True)
    return {node.index: expr.name for node, expr in pairs if isinstance(expr, Ref) and expr.meaning is LOCAL}


def gives(node: Node, name: str) -> str:
    """A tensor and its shape, for a message. `name` is its name in the text, if it has one."""
    known = f"`{name}` (`{node.name}`)" if name and name != node.name else f"`{node.name}`"
    return f"{known} gives {format_shape(node.shape, cross='x')}"


def help_for_shapes(join: str, tensors: tuple[Node, ...]) -> str:
    """How to bring two tensors to the same shape."""
    if len(tensors) < 2 or number.active is not None:  # a sweep shows no help, and sizes may be symbolic
        return ""
    first, second = tensors[:2]
    if join == "mul" and 1 in (len(first.shape), len(second.shape)) and first.shape != second.shape:
        return _help_for_factors(first, second) if len(first.shape) != len(second.shape) else ""
    if len(first.shape) != len(second.shape):
        return ""
    if len(first.shape) == 1:
        features = plural(first.shape[0], "feature", str)
        return f"bring `{second.name}` to {features}, for example with `fc({first.shape[0]})`"
    small, large = (first, second) if first.shape[1:] <= second.shape[1:] else (second, first)
    ratios = {Fraction(a, b) for a, b in zip(large.shape[1:], small.shape[1:], strict=True)}
    ratio = ratios.pop()
    if join == "mul" and 1 in (*small.shape[1:], *large.shape[1:]):
        return _help_for_channels(small, large.shape[0])
    if ratios or ratio.denominator != 1:
        size = tuple(map(min, small.shape[1:], large.shape[1:]))
        return f"pad both equally, or crop `{large.name}` to size: `crop({format_shape(size, cross='x')})`"
    if join == "concat":
        return f"enlarge `{small.name}`, for example with `upsample(scale_factor={ratio})`"
    channels = small.shape[0]
    if ratio == 1:
        return _help_for_channels(large, channels)
    reduced = f"conv({channels}, 1, stride={ratio})"
    return f"reduce `{large.name}` to the other shape, for example with `{reduced}`"


def _help_for_channels(node: Node, channels: int) -> str:
    many = plural(channels, "channel", str)
    return f"bring `{node.name}` to {many}, for example with `conv({channels}, 1)`"


def _help_for_factors(first: Node, second: Node) -> str:
    """How to multiply the channels of a map by a vector."""
    vector, map_ = (first, second) if len(first.shape) == 1 else (second, first)
    channels = map_.shape[0]
    ones = ", 1" * (len(map_.shape) - 1)
    step = f"`reshape([{channels}{ones}])`"
    if vector.shape[0] == channels:
        return f"add {step} after `{vector.name}`"
    return (
        f"bring `{vector.name}` to {channels} features, and add {step} after it. In a chain, `channels` is "
        "the number at that place; `c = channels` before the line keeps that of the map"
    )


def help_for_join(name: str, args: Sequence[Arg]) -> str:
    """Help for a join with fewer than two tensors."""
    text = args[0].span.text.strip("[]") if args else "x"
    shown = text if len(text) <= 40 and "\n" not in text else "..."
    return f"write `{name}(identity, {shown})` to join with the current tensor"
