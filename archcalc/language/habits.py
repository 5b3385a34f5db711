"""Calls written as another tool writes them, which mean something else here.

PyTorch writes the input channels first. `conv(64, 128, 3)` is then a convolution from 64 to 128 channels;
here it has 64 output channels, a kernel of 128 and a stride of 3. Other tools write the batch into a shape,
or the channels last. All of that is legal, so these rules ask whether it is likely: a call that nobody would
mean is a mistake, and one that is only unusual gets a note. Both look at arguments given by position alone,
so a name (`kernel_size=128`, `shape=224x224x3`) always says that a call is meant as it stands.

docs/language.md states the rules under "Habits from other tools".
"""

from __future__ import annotations

from typing import Any

from archcalc.language.syntax import Literal, Ref
from archcalc.layers.arguments import MAX_SIZE, LayerError
from archcalc.layers.base import Layer
from archcalc.layers.resize import Upsample
from archcalc.shape import SYMBOLS, Shape, format_shape

KERNEL_AT = {"conv": 1, "local": 1, "conv_transpose": 1, "depthwise": 0}
"""Which argument is the kernel's size, for the kinds whose first argument may be input channels."""

LARGE = {1: 64, 2: 16, 3: 16}
"""A kernel above this, by the number of axes, is rather a number of channels."""
# Sound networks have 1-D kernels of tens of samples (SoundNet 64). The largest 2-D kernel with a stride in a
# shipped network is 11; FCN's 64 is transposed, and RepLKNet's 31 has no stride.

EVEN = 8
"""From this size on, an even kernel that moves by 1 is rather a number of channels."""

OVERLAP = 4
"""A transposed kernel of more strides than this is rather a number of channels. FCN has 2, WaveGlow 4."""

IMAGE_CHANNELS = (1, 3, 4)
"""Grey, colour, and colour with transparency: what the last axis of an image is, if not its width."""

SIDE = 8
"""An image has at least as many rows and columns."""

WIDE = 16
"""And at least as many if it has not as many rows as columns."""


def can_be_doubted(kind: str, by_position: int) -> bool:
    """May a call with so many arguments by position mean input channels by its first one?"""
    return kind == "upsample" or (kind in KERNEL_AT and by_position > KERNEL_AT[kind])


def doubt_of(layer: Layer, ref: Ref, by_position: int, shape: Shape) -> str:
    """What to think of a layer whose first `by_position` arguments have no names, on an input of this shape.

    `wrong` if the first must be the input channels, `in_channels` if it may be, `large_kernel` if another
    argument may be a number of channels, `shrinks` if a size must be a factor; empty if the call is likely
    meant as it stands.
    """
    if isinstance(layer, Upsample):  # Keras' `UpSampling2D(2)` doubles the map
        return "shrinks" if by_position and _one(layer.size or MAX_SIZE) < min(shape[1:]) else ""
    kernel: Any = getattr(layer, "kernel_size", 0)
    at = KERNEL_AT[layer.kind]
    first = getattr(layer, "out_channels", 0) if at else kernel
    # nearly all layers end here, at every node of a network
    if type(kernel) is not int or (first != shape[0] and kernel <= LARGE[2]) or len(shape) - 1 not in LARGE:
        return ""
    values = [getattr(layer, parameter.name) for parameter in layer.parameters[:by_position]]
    sizes = shape[1:]
    large = kernel > LARGE[len(sizes)] and kernel not in sizes
    stride = _one(values[at + 1]) if len(values) > at + 1 else 0
    if values[0] != shape[0]:
        return "large_kernel" if large and stride and len(sizes) > 1 and not _transposed(layer) else ""
    if _transposed(layer):
        stride = stride or _one(getattr(layer, "stride", 1))
        return _doubt_of_transposed(values, kernel, stride, len(sizes))
    if not stride:
        return "in_channels" if large and not _keeps_size(layer, kernel) else ""
    if large or 1 < kernel < stride:
        return "wrong"
    unlikely = _odd(stride) and stride != kernel
    unlikely |= stride == 1 and kernel >= EVEN and kernel % 2 == 0
    if unlikely and len(sizes) > 1:  # in 1-D, such kernels and strides are usual
        return "wrong"
    if stride == 1:  # who means it leaves it out, unless a parameter or the padding behind asks for it
        last = len(values) == at + 2 and getattr(layer, "padding", 0) == 0
        written = isinstance((ref.args or ())[at + 1].value, Literal)
        return "in_channels" if written and (last or not kernel % 2) else ""
    if _odd(stride) and (stride == kernel or kernel % stride):
        return "in_channels"
    return "in_channels" if kernel >= EVEN and kernel > 2 * stride else ""


def _doubt_of_transposed(values: list[Any], kernel: int, stride: int, axes: int) -> str:
    large = kernel > LARGE[2] and kernel > OVERLAP * stride
    if len(values) < 3:
        return "in_channels" if large else ""
    twice = len(values) > 3 and stride > 1 and values[3] == stride  # kernel 2, stride 2, as in U-Net
    if large or 1 < kernel < stride or (twice and kernel > 2 * stride):
        return "wrong"
    unusual = kernel >= EVEN and kernel > (2 if axes > 1 else OVERLAP) * stride
    return "in_channels" if unusual or (_odd(stride) and kernel % stride) else ""


def _transposed(layer: Layer) -> bool:
    return layer.kind == "conv_transpose"


def _one(value: Any) -> int:
    """A stride as one number: the largest of several."""
    largest: int = max(value) if isinstance(value, tuple) else value
    return largest


def _odd(stride: int) -> bool:
    """Is a stride what kernels usually are?"""
    return stride >= 3 and stride % 2 == 1


def _keeps_size(layer: Layer, kernel: int) -> bool:
    """Is the padding chosen for the kernel, so that the map keeps its size?"""
    return getattr(layer, "padding", 0) in ("same", "same_lower", kernel // 2)


def kernel_of(layer: Layer) -> int:
    """The kernel's size of a layer that can be doubted."""
    return _one(getattr(layer, "kernel_size", 0))


def without_input_channels(ref: Ref, drop: int = 1) -> str:
    """A call without its first arguments, as it is written: `conv(128, 3)`."""
    return f"{ref.name}({', '.join(arg.span.text for arg in (ref.args or ())[drop:])})"


def named_kernel(ref: Ref, layer: Layer) -> str:
    """The kernel's size of a call, with its name."""
    return f"kernel_size={(ref.args or ())[KERNEL_AT[layer.kind]].value.span.text}"


def instead(ref: Ref, layer: Layer) -> str:
    """The call that PyTorch's arguments mean."""
    values = ref.args or ()
    same = layer.kind == "depthwise" and len(values) > 2 and values[0].span.text == values[1].span.text
    return without_input_channels(ref, 2 if same else 1)


def as_read(layer: Layer, by_position: int) -> str:
    """What the numbers of a call mean here: `64 output channels, a kernel of 128, a stride of 3`."""
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
    """Help for an argument that is refused and is what another tool has at its place; empty if it is not.

    `values` are those of the call by parameter, `channels` what comes in.
    """
    args = ref.args or ()
    name = problem.argument
    slot = next((slot for slot, parameter in enumerate(layer.parameters) if parameter.name == name), -1)
    if not 0 <= slot < len(args) or args[slot].name:
        return ""
    value = values[slot]
    if name == "bias" and slot == 1 and type(value) is int:
        return f"what comes in is known: write `{without_input_channels(ref)}`"
    if name == "bias" and isinstance(value, str) and isinstance(args[slot].value, Literal):
        return f"an activation is a step of its own: `{ref.name}(...) -> {value}`"
    if name == "eps" and layer.kind == "group_norm":
        groups = args[1] if values[0] == channels else args[0]
        return f"the channels follow from the input: write `group_norm({groups.span.text})`"
    if name == "stride" and value in ("same", "valid"):
        return f'write `padding="{value}"`'
    return ""


# --- Shapes of inputs --------------------------------------------------------------------------------


def doubt_of_input(shape: Shape) -> tuple[str, Shape]:
    """What to think of a declared input, and the shape that may be meant instead.

    `batch` if the first axis may count samples, `channels_last` if the last one may count channels,
    `no_channels` if there may be none; empty if the shape is likely meant as it stands.
    """
    first, *others = shape
    if len(shape) == 4:
        if shape[1] in IMAGE_CHANNELS and _is_image(shape[2:]):
            return "batch", shape[1:]
        if shape[3] in IMAGE_CHANNELS and _is_image(shape[1:3]):
            if first == shape[1]:
                return "channels_last", (shape[3], *shape[:3])
            return "batch", (shape[3], *shape[1:3])
    if len(shape) == 3 and shape[2] in IMAGE_CHANNELS and _is_image(shape[:2]):
        return "channels_last", (shape[2], *shape[:2])
    if len(shape) == 2 and first == others[0] >= SIDE:
        return "no_channels", (1, *shape)
    return "", shape


def _is_image(sides: Shape) -> bool:
    return min(sides) >= (SIDE if len(set(sides)) == 1 else WIDE)


def check_given_shape(name: str, declared: Shape, given: Shape) -> None:
    """Refuse a shape from outside that has other axes than the input it replaces. Raises `LayerError`."""
    shown = format_shape(given, cross="x")
    if len(given) != len(declared):
        raise LayerError(
            f"{_input(name)} has {_axes(len(declared))}, {format_shape(declared, cross='x')}, "
            f"but {shown} has {len(given)}",
            help=f"shapes are {_layout(len(declared))}, without the batch{_meant(declared, given)}",
        )
    channels = declared[0]
    last = given[-1] == channels != given[0] and len(given) > 2
    if last and min(given[:-1]) >= SIDE and given[-1] < min(given[:-1]):
        meant = format_shape((channels, *given[:-1]), cross="x")
        raise LayerError(
            f"{_input(name)} has {channels} channels, but the first axis of {shown} is {given[0]}",
            help=f"shapes are {_layout(len(declared))}, the channels first: write {meant}",
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
