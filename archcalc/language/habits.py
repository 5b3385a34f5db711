"""Calls that have another meaning in another tool.

`archcalc.doubts` decides which calls those are. A call that no one would mean as written is an error, and one
that is only unusual gets a note. Naming an argument (`kernel_size=128`, `shape=224x224x3`) confirms a call.
"""

from __future__ import annotations

from typing import Any

from archcalc.doubts import KERNEL_AT, SIDE, SIZED, largest
from archcalc.language.syntax import Literal, Ref
from archcalc.layers.arguments import LayerError
from archcalc.layers.base import Layer
from archcalc.shape import SYMBOLS, Shape, format_shape


def in_doubt(ref: Ref) -> int:
    """The number of arguments that may have another meaning in another tool; 0 if the call is clear."""
    args = ref.args or ()
    by_position = sum(not arg.name for arg in args)
    if ref.name in SIZED:
        return by_position or int(ref.name == "upsample" and any(arg.name == "size" for arg in args))
    return by_position if by_position > KERNEL_AT.get(ref.name, by_position) else 0


def kernel_of(layer: Layer) -> int:
    """The kernel size of a layer that may be doubtful."""
    return largest(getattr(layer, "kernel_size", 0))


def without_input_channels(ref: Ref, drop: int = 1) -> str:
    """The text of a call without its first arguments: `conv(128, 3)`."""
    return f"{ref.name}({', '.join(arg.span.text for arg in (ref.args or ())[drop:])})"


def named_kernel(ref: Ref, layer: Layer) -> str:
    """The kernel size of a call, as a named argument."""
    return f"kernel_size={(ref.args or ())[KERNEL_AT[layer.kind]].value.span.text}"


def instead(ref: Ref, layer: Layer) -> str:
    """The call that means what PyTorch's arguments mean."""
    values = ref.args or ()
    same = layer.kind == "depthwise" and len(values) > 2 and values[0].span.text == values[1].span.text
    return without_input_channels(ref, 2 if same else 1)


def readings(doubt: str, ref: Ref, layer: Layer) -> tuple[str, str]:
    """What a doubtful call may mean, and the named argument that confirms it as written."""
    texts = [arg.span.text for arg in ref.args or ()]
    if doubt == "kernel_twice":
        at = KERNEL_AT[layer.kind] + 1
        return f"{ref.name}({', '.join(texts[:at] + texts[at + 1 :])})", f"stride={texts[at]}"
    if doubt == "groups":
        call = f"{ref.name}({', '.join([*texts[:4], f'groups={texts[4]}', *texts[5:]])})"
        return call, f"dilation={texts[4]}"
    if doubt == "factor":
        named = ["scale_factor" + text.removeprefix("size") if text[:4] == "size" else text for text in texts]
        return f"{ref.name}({', '.join(named)})", ""
    if doubt == "crops":
        size: Any = getattr(layer, "size", 0)
        cut = [-n for n in size] if isinstance(size, tuple) else -size
        return f"pad({cut})", f"size={texts[0]}"
    if doubt == "channels_last":
        shape: Shape = getattr(layer, "shape", ())
        return format_shape((shape[-1], *shape[:-1]), cross="x"), f"shape={texts[0]}"
    return instead(ref, layer), named_kernel(ref, layer)


def as_read(layer: Layer, by_position: int) -> str:
    """What the numbers of a call mean in archcalc: `64 output channels, a kernel of 128, a stride of 3`."""
    words = []
    for parameter in layer.parameters[: min(by_position, KERNEL_AT[layer.kind] + 2)]:
        value = getattr(layer, parameter.name)
        shown = "x".join(map(str, value)) if isinstance(value, tuple) else value
        words.append(_AS_READ[parameter.name].format(shown))
    return ", ".join(words)


_AS_READ = {
    "out_channels": "{} output channels",
    "kernel_size": "a kernel of {}",
    "stride": "a stride of {}",
}


# --- Arguments that are refused ----------------------------------------------------------------------


def help_for_argument(
    ref: Ref, layer: type[Layer], problem: LayerError, values: list[Any], channels: int
) -> str:
    """Help for an argument that is refused, where another tool has something else in its place.

    Empty if this is not the case. `values` are the arguments by parameter, and `channels` the input channels.
    """
    args = ref.args or ()
    name = problem.argument
    slot = next((slot for slot, parameter in enumerate(layer.parameters) if parameter.name == name), -1)
    if not 0 <= slot < len(args) or args[slot].name:
        return ""
    value = values[slot]
    if name == "bias" and slot == 1 and type(value) is int:
        return f"the input channels are known: write `{without_input_channels(ref)}`"
    if name == "bias" and isinstance(value, str) and isinstance(args[slot].value, Literal):
        return f"write an activation as a separate step: `{ref.name}(...) -> {value}`"
    if name == "eps" and layer.kind == "group_norm":
        groups = args[1] if values[0] == channels else args[0]
        return f"the channels are known: write `group_norm({groups.span.text})`"
    if name == "size" and layer.kind == "crop" and isinstance(value, tuple):
        return "to cut values off at the ends, write `pad([[-2, -2], [-2, -2]])`"
    if name == "stride" and value in ("same", "valid"):
        return f'write `padding="{value}"`'
    if layer.kind in KERNEL_AT and values[0] == channels:
        return _help_without_first(ref, layer, values)
    return ""


def _help_without_first(ref: Ref, layer: type[Layer], values: list[Any]) -> str:
    """Help for a call that can be made without its first argument, the number of input channels."""
    last = sum(not arg.name for arg in ref.args or ()) - 1
    shifted = [*values[1 : last + 1], layer.parameters[last].default, *values[last + 1 :]]
    try:
        layer(*shifted)
    except LayerError:
        return ""
    return f"the input channels are known: write `{without_input_channels(ref)}`"


def help_for_misfit(help: str, ref: Ref, layer: Layer, by_position: int, shape: Shape) -> str:
    """The help for a layer that does not fit its input, perhaps because its call has input channels."""
    channels = getattr(layer, layer.parameters[0].name)
    if by_position < KERNEL_AT.get(layer.kind, by_position) + 2 or channels != shape[0] or len(shape) == 1:
        return help
    meant = f"if {channels} are the input channels, write `{instead(ref, layer)}`"
    return f"{meant}; if not, {help}" if help else meant


# --- Shapes of inputs --------------------------------------------------------------------------------


def check_given_shape(name: str, declared: Shape, given: Shape) -> None:
    """Refuse a given shape that differs in axes from the input it replaces. Raises `LayerError`."""
    shown = format_shape(given, cross="x")
    if len(given) != len(declared):
        raise LayerError(
            f"{_input(name)} has {_axes(len(declared))}, {format_shape(declared, cross='x')}, "
            f"but {shown} has {len(given)}",
            help=f"shapes are {_layout(len(declared))}, without a batch{_meant(declared, given)}",
        )
    channels = declared[0]
    last = given[-1] == channels != given[0] and len(given) > 2
    if last and min(given[:-1]) >= SIDE and given[-1] < min(given[:-1]):
        meant = format_shape((channels, *given[:-1]), cross="x")
        raise LayerError(
            f"{_input(name)} has {channels} channels, but the first axis of {shown} is {given[0]}",
            help=f"shapes are {_layout(len(declared))}, with the channels first: write {meant}",
        )


def _meant(declared: Shape, given: Shape) -> str:
    """The shape that may be meant, as the end of a sentence."""
    rest = given[1:] if len(given) == len(declared) + 1 else given
    if len(given) == len(declared) - 1:
        rest = (declared[0], *given)
    elif len(given) == len(declared) + 1 and rest[-1] == declared[0] != rest[0]:
        rest = (declared[0], *rest[:-1])
    return f": write {format_shape(rest, cross='x')}" if len(rest) == len(declared) else ""


def _input(name: str) -> str:
    return "the input" if name == "input" else f"the input `{name}`"


def _axes(count: int) -> str:
    return f"{count} ax{'i' if count == 1 else 'e'}s"


def _layout(rank: int) -> str:
    return "x".join(("C", *SYMBOLS.get(rank - 1, ("...",)))) if rank > 1 else "a number"
