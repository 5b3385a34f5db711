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
from archcalc.layers.arguments import LayerError
from archcalc.layers.base import Layer
from archcalc.shape import SYMBOLS, Shape, format_shape

KERNEL_AT = {"conv": 1, "local": 1, "conv_transpose": 1, "depthwise": 0}
"""Which argument is the kernel's size, for the kinds whose first argument may be input channels."""

INPUTS_FIRST = (*KERNEL_AT, "fc", "pointwise")
"""The kinds that PyTorch gives the number of inputs first."""

SIZED = ("upsample", "crop", "reshape")
"""The kinds whose first argument is a size or a shape."""

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

SMALL = 4
"""A map of features has at least as many."""

FEW, STEPS = 16, 64
"""A sequence with the channels last has at most so many channels, and at least so many steps."""

WIDE = 16
"""And at least as many if it has not as many rows as columns."""


def in_doubt(ref: Ref) -> int:
    """The number of arguments that another tool may mean otherwise; 0 if the call is beyond doubt."""
    args = ref.args or ()
    by_position = sum(not arg.name for arg in args)
    if ref.name in SIZED:
        return by_position or int(ref.name == "upsample" and any(arg.name == "size" for arg in args))
    return by_position if by_position > KERNEL_AT.get(ref.name, by_position) else 0


def doubt_of(layer: Layer, ref: Ref, by_position: int, shape: Shape) -> str:
    """What to think of a layer whose first `by_position` arguments have no names, on an input of this shape.

    `wrong` if the first must be the input channels, `in_channels` if it may be, `large_kernel` if another one
    may be a number of channels, `kernel_twice` if the stride may be the kernel's other size, `groups`
    if the dilation may be their number, `shrinks` if a size must be a factor, `factor` if it may be one,
    `crops` if it may be what is cut off, `channels_last` if a shape may have them there; empty if the call is
    likely meant as it stands.
    """
    if layer.kind not in KERNEL_AT:
        return _doubt_of_size(layer, bool((ref.args or ())[0].name), shape[1:])
    if by_position > 4 and layer.kind == "conv" and getattr(layer, "dilation", 1) == shape[0] >= EVEN:
        return "groups"
    kernel: Any = getattr(layer, "kernel_size", 0)
    at = KERNEL_AT[layer.kind]
    first = getattr(layer, "out_channels", 0) if at else kernel
    stride = _one(getattr(layer, "stride", 1)) if by_position > at + 1 else 0
    # nearly all layers end here, at every node of a network
    if type(kernel) is not int or (first != shape[0] and kernel <= LARGE[2] and kernel != stride):
        return ""
    axes = len(shape) - 1
    if axes not in LARGE:
        return ""
    large = kernel > LARGE[axes] and kernel not in shape[1:]
    if first != shape[0]:
        if not stride or axes == 1 or _transposed(layer):
            return ""
        return "large_kernel" if large else "kernel_twice" if _odd(kernel) and _literal(ref, at + 1) else ""
    if _transposed(layer):
        return _doubt_of_transposed(layer, by_position, kernel, axes)
    if not stride:
        return "in_channels" if large and not _keeps_size(layer, kernel) else ""
    if large or 1 < kernel < stride:
        return "wrong"
    if axes > 1 and ((_odd(stride) and stride != kernel) or (stride == 1 and _large_and_even(kernel, EVEN))):
        return "wrong"  # in 1-D, such kernels and strides are usual
    # in 1-D, causal convolutions have other paddings
    padded = axes > 1 and (stride == 1 or by_position > at + 2) and _odd_padding(layer, kernel, stride)
    if stride == 1:  # who means it leaves it out, unless a parameter or the next argument asks for it
        last = by_position == at + 2 and getattr(layer, "padding", 0) == 0
        return "in_channels" if _literal(ref, at + 1) and (last or padded or not kernel % 2) else ""
    unusual = kernel >= EVEN and kernel > 2 * stride
    if axes > 1:
        unusual |= padded or (stride >= 4 and kernel not in (stride, 2 * stride - 1))
        unusual |= kernel != stride and _large_and_even(kernel, EVEN - 2)
    return "in_channels" if unusual or (_odd(stride) and (stride == kernel or kernel % stride)) else ""


def _doubt_of_transposed(layer: Layer, by_position: int, kernel: int, axes: int) -> str:
    stride, padding = _one(getattr(layer, "stride", 1)), getattr(layer, "padding", 0)
    large = kernel > LARGE[2] and kernel > OVERLAP * stride
    if by_position < 3:
        return "in_channels" if large else ""
    twice = by_position > 3 and stride > 1 and padding == stride  # kernel 2, stride 2, as in U-Net
    if large or 1 < kernel < stride or (twice and kernel > 2 * stride):
        return "wrong"
    unusual = kernel >= EVEN and kernel > (2 if axes > 1 else OVERLAP) * stride
    if axes > 1:
        unusual |= by_position > 3 and type(padding) is int and padding > (kernel - 1) // 2
        unusual |= _odd(stride) or (stride >= 4 and kernel not in (stride, 2 * stride))
    return "in_channels" if unusual or (_odd(stride) and kernel % stride) else ""


def _doubt_of_size(layer: Layer, named: bool, sizes: Shape) -> str:
    """What to think of a size or a shape that is given by position, or by a name that Keras has as well."""
    target: Any = getattr(layer, "shape" if layer.kind == "reshape" else "size")
    if layer.kind == "reshape":
        return "channels_last" if _is_map_with_channels_last(target) else ""
    if not sizes or target is None:
        return ""
    if layer.kind == "crop":  # Keras' `Cropping2D(2)` cuts 2 off at each end
        return "crops" if 2 * _one(target) < min(sizes) else ""
    if _one(target) >= min(sizes):
        return ""
    # Keras' `UpSampling2D(2)` doubles the map, and so does its `UpSampling2D(size=2)`
    return "shrinks" if not named else "factor" if _one(target) <= SIDE else ""


def _transposed(layer: Layer) -> bool:
    return layer.kind == "conv_transpose"


def _one(value: Any) -> int:
    """A stride as one number: the largest of several."""
    largest: int = max(value) if isinstance(value, tuple) else value
    return largest


def _literal(ref: Ref, at: int) -> bool:
    """Is an argument written as a number, and not computed?"""
    return isinstance((ref.args or ())[at].value, Literal)


def _odd(stride: int) -> bool:
    """Is a stride what kernels usually are?"""
    return stride >= 3 and stride % 2 == 1


def _large_and_even(kernel: int, least: int) -> bool:
    return kernel >= least and kernel % 2 == 0


def _odd_padding(layer: Layer, kernel: int, stride: int) -> bool:
    """Is a padding more than what a kernel needs, or with a stride of 1 neither that nor nothing?"""
    padding, dilation = getattr(layer, "padding", 0), getattr(layer, "dilation", 1)
    if type(padding) is not int or type(dilation) is not int or padding == dilation * (kernel - 1) // 2:
        return False
    return padding > kernel // 2 or (stride == 1 and 0 < padding < kernel // 2)


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


def readings(doubt: str, ref: Ref, layer: Layer) -> tuple[str, str]:
    """What a doubtful call may mean, and the argument whose name says that it is meant as it stands."""
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
    return f"input channels follow from what comes in: write `{without_input_channels(ref)}`"


def help_for_misfit(help: str, ref: Ref, layer: Layer, by_position: int, shape: Shape) -> str:
    """The help for a layer that does not fit its input; it may be due to input channels."""
    channels = getattr(layer, layer.parameters[0].name)
    if by_position < KERNEL_AT.get(layer.kind, by_position) + 2 or channels != shape[0] or len(shape) == 1:
        return help
    meant = f"if {channels} are meant as input channels, write `{instead(ref, layer)}`"
    return f"{meant}; if not, {help}" if help else meant


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
    if len(shape) == 3 and (
        (shape[2] in IMAGE_CHANNELS and _is_image(shape[:2])) or _is_map_with_channels_last(shape)
    ):
        return "channels_last", (shape[2], *shape[:2])
    if len(shape) == 2 and first == others[0] >= SIDE:
        return "no_channels", (1, *shape)
    if len(shape) == 2 and others[0] <= FEW and first >= max(STEPS, SIDE * others[0]):
        return "channels_last", (others[0], first)
    return "", shape


def _is_image(sides: Shape) -> bool:
    return min(sides) >= (SIDE if len(set(sides)) == 1 else WIDE)


def _is_map_with_channels_last(shape: Shape) -> bool:
    """Is a shape a square and a larger number, as the features of a Keras network, 7x7x512?"""
    return len(shape) == 3 and SMALL <= shape[0] == shape[1] < shape[2]


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
