"""The arguments of layers: how they are read, checked, and written, and what they mean for each axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Annotated, Any

from msgspec import Struct

from archcalc.number import Symbolic, as_whole, is_exact
from archcalc.shape import AXES, SYMBOLS, Shape, format_shape, same_padding

SAME = ("same", "same_lower")
"""Paddings that keep the size at stride 1. An odd place is added at the end, or at the beginning."""

MAX_SIZE = 10**9
"""The largest size, number of channels, or position that a layer accepts."""

MAX_RANK = 6
"""The most axes of a tensor, including the channels but not the batch."""

MAX_SPATIAL = 3
"""The most axes along which a window slides."""

Number = int | Fraction


class LayerError(ValueError):
    """An argument or an input that a layer does not accept.

    It has no place in a file. `argument` names the wrong argument, so that code that knows the source can
    point at it; if it is empty, the layer as a whole is wrong. `label` is the short text next to the caret.
    `at_odds` has the positions of the two inputs that do not match, if that is the problem.
    """

    def __init__(
        self,
        message: str,
        *,
        argument: str = "",
        label: str = "",
        help: str = "",
        at_odds: tuple[int, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.argument = argument
        self.label = label
        self.help = help
        self.at_odds = at_odds


Reader = Callable[[Any], Any]
"""Reads and checks a value. Its docstring says which values it accepts; `archcalc layers` shows it."""


class Parameter(Struct, frozen=True):
    """An argument of a layer kind: its name, and its default unless the argument is required."""

    name: str
    read: Reader
    required: bool
    default: Any
    takes_tensor: bool = False
    takes_layer: bool = False
    """Does a tensor given here stand for the layer that outputs it?"""


def _got(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value[:40]}"'
    if isinstance(value, tuple):
        shown = ", ".join(_got(item) for item in value[:6])
        return f"[{shown}{', ...' if len(value) > 6 else ''}]"
    if is_exact(value):
        text = format_argument(value)
        return text if len(text) <= 40 else text[:37] + "..."
    return f"a {type(value).__name__}"


def _whole(value: object, low: int, expected: str) -> int:
    whole = value if type(value) is int else as_whole(value)
    if whole is not None:
        if low <= whole <= MAX_SIZE:
            return whole
        if whole > MAX_SIZE:
            raise LayerError(f"needs {expected} up to {MAX_SIZE:,}, got {_got(value)}")
    elif isinstance(value, Fraction | float | Symbolic):
        raise LayerError(
            f"needs {expected}, got {format_argument(value)}",
            help="write `floor(...)`, `ceil(...)`, or `round(...)`",
        )
    help = "write it without quotes" if isinstance(value, str) and value[:1].isdigit() else ""
    raise LayerError(f"needs {expected}, got {_got(value)}", help=help)


def read_count(value: object) -> int:
    """A whole number, 1 or more."""
    return _whole(value, 1, "a whole number of at least 1")


def read_natural(value: object) -> int:
    """A whole number, 0 or more."""
    return _whole(value, 0, "a whole number of at least 0")


def read_position(value: object) -> int:
    """A whole number."""
    return _whole(value, -MAX_SIZE, "a whole number")


def read_number(value: object) -> Number:
    """A number."""
    if is_exact(value):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return Fraction(repr(value))
    raise LayerError(f"needs a number, got {_got(value)}")


def read_eps(value: object) -> Number:
    """A number from 0 to 1, usually small."""
    number = read_number(value)
    if not 0 <= number < 1:
        raise LayerError(
            f"is a small number that avoids a division by zero, got {_got(value)}",
            help="norms do not take a number of channels: it follows from the input",
        )
    return number


def read_probability(value: object) -> Number:
    """A number from 0 to 1."""
    number = read_number(value)
    if not 0 <= number <= 1:
        raise LayerError(f"needs a number from 0 to 1, got {_got(value)}")
    return number


def read_flag(value: object) -> bool:
    """`true` or `false`."""
    if isinstance(value, bool):
        return value
    help = f"write `{'true' if value else 'false'}`" if value in (0, 1) else ""
    raise LayerError(f"needs `true` or `false`, got {_got(value)}", help=help)


def _read_axes(value: object, read: Reader) -> Any:
    if isinstance(value, tuple | list):
        if not 1 <= len(value) <= 3:
            raise LayerError(f"needs a number, or one for each of up to 3 axes, got {_got(tuple(value))}")
        return tuple(read(item) for item in value)
    return read(value)


def read_per_axis(value: object) -> int | tuple[int, ...]:
    """A whole number, 1 or more, or one per axis: `3`, `1x7`."""
    result: int | tuple[int, ...] = _read_axes(value, read_count)
    return result


def read_natural_per_axis(value: object) -> int | tuple[int, ...]:
    """A whole number, 0 or more, or one per axis: `1`, `[0, 1]`."""
    result: int | tuple[int, ...] = _read_axes(value, read_natural)
    return result


def read_sizes(value: object) -> int | tuple[int, ...]:
    """The size of each part, or a list of the sizes of all parts."""
    if isinstance(value, tuple | list):
        if not value:
            raise LayerError("needs the size of each part, or a list of the sizes of all parts, got []")
        return tuple(map(read_count, value))
    return read_count(value)


def read_scale(value: object) -> Number | tuple[Number, ...]:
    """A number above 0, or one per axis: `2`, `[1, 2]`."""

    def positive(item: object) -> Number:
        number = read_number(item)
        if number <= 0 or number > MAX_SIZE:
            raise LayerError(f"needs a number above 0, got {_got(item)}")
        return number

    result: Number | tuple[Number, ...] = _read_axes(value, positive)
    return result


def _read_padding(value: object, read: Reader) -> Any:
    if isinstance(value, tuple | list) and len(value) in (4, 6):
        raise LayerError(
            f"needs a number, or one for each of up to 3 axes, got {_got(tuple(value))}",
            help="for both ends of each axis, write `[[top, bottom], [left, right]]`",
        )

    def entry(item: object) -> Any:
        if isinstance(item, tuple | list):
            if len(item) != 2:
                raise LayerError(f"needs `[begin, end]` for an axis, got {_got(tuple(item))}")
            return tuple(read(end) for end in item)
        return read(item)

    return _read_axes(value, entry)


def read_padding(value: object) -> Any:
    """A number, one number per axis, `[begin, end]` per axis, `"same"`, `"same_lower"`, or `"valid"`."""
    if isinstance(value, str):
        if value in (*SAME, "valid"):
            return value
        raise LayerError(
            f'needs numbers, "same", "same_lower", or "valid", got {_got(value)}',
            help='write `padding="same"`' if value.lower().startswith("same") else "",
        )
    return _read_padding(value, read_natural)


def read_transposed_padding(value: object) -> Any:
    """A number, one number per axis, `[begin, end]` per axis, or `"same"`."""
    if value == "same":
        return value
    if isinstance(value, str):
        help = "leave it out: `padding=0` keeps the whole map" if value == "valid" else ""
        raise LayerError(f'needs numbers or "same", got {_got(value)}', help=help)
    return _read_padding(value, read_natural)


def read_signed_padding(value: object) -> Any:
    """A whole number, one per axis, or `[begin, end]` per axis. Negative numbers crop."""
    return _read_padding(value, read_position)


def read_shape(value: object) -> Shape:
    """A shape, channels first, without the batch: `3x224x224`."""
    if isinstance(value, tuple | list) and -1 in value[:1]:
        raise LayerError(
            "needs whole numbers of at least 1, got -1", help="a shape has no batch: leave it out"
        )
    if isinstance(value, tuple | list) and 1 <= len(value) <= MAX_RANK:
        return tuple(read_count(item) for item in value)
    if as_whole(value) is not None:
        return (read_count(value),)
    help = f"a shape has up to {MAX_RANK} axes, channels first, without the batch"
    raise LayerError(
        f"needs a shape such as 3x224x224, got {_got(value)}",
        help=help if isinstance(value, tuple | list) and len(value) > MAX_RANK else "",
    )


_DIMS = {"channels"}.union(*AXES.values())


def read_dim(value: object) -> str:
    """`"channels"`, `"height"`, or `"width"`; in 1-D `"length"`, in 3-D also `"depth"`."""
    if value in _DIMS:
        return str(value)
    help = ""
    if type(value) is int:
        help = 'axes have names: where PyTorch has 1, 2 and 3, a map has "channels", "height" and "width"'
        if value == 1:
            help = 'write `dim="channels"`: axes have names'
        if value == -1:
            help = 'axes have names: the last axis of a map is "width", and that of a vector is "channels"'
    raise LayerError(
        f'needs "channels", "height", "width", "depth", or "length", got {_got(value)}', help=help
    )


def choice(*allowed: str) -> Reader:
    """A reader that accepts one of a few words."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        words = ", ".join(f'"{word}"' for word in allowed)
        raise LayerError(f"needs one of {words}, got {_got(value)}")

    read.__doc__ = " or ".join(f'`"{word}"`' for word in allowed) + "."
    return read


def optional(read: Reader) -> Reader:
    """A reader for an argument whose default, `None`, cannot be written in the language."""

    def read_optional(value: object) -> Any:
        return None if value is None else read(value)

    read_optional.__doc__ = read.__doc__
    return read_optional


class GivenTensor(Struct, frozen=True):
    """A tensor that is an argument. The network knows which one it is."""


def read_tensor(value: object) -> GivenTensor:
    """A tensor, as a name or as the layers that compute it."""
    if isinstance(value, GivenTensor):
        return value
    if not hasattr(value, "facts"):  # every node of a network has them
        raise LayerError("needs a tensor", help="label the layer that computes it, and write the label")
    return GivenTensor()


Count = Annotated[int, read_count]
Natural = Annotated[int, read_natural]
Position = Annotated[int, read_position]
Real = Annotated[Number, read_number]
Eps = Annotated[Number, read_eps]
Probability = Annotated[Number, read_probability]
Flag = Annotated[bool, read_flag]
PerAxis = Annotated[int | tuple[int, ...], read_per_axis]
NaturalPerAxis = Annotated[int | tuple[int, ...], read_natural_per_axis]
Padding = Annotated[int | str | tuple[int | tuple[int, int], ...], read_padding]
TransposedPadding = Annotated[int | str | tuple[int | tuple[int, int], ...], read_transposed_padding]
SignedPadding = Annotated[int | tuple[int | tuple[int, int], ...], read_signed_padding]
Extent = Annotated[Shape, read_shape]
Dim = Annotated[str, read_dim]


Tensor = Annotated[GivenTensor, read_tensor, "tensor"]
OptionalTensor = Annotated[GivenTensor | None, optional(read_tensor), "tensor"]


class AxisOrder(tuple[int, ...]):
    """A tuple of axes, written as a list: `[0, 2, 1]`, not `0x2x1` like a size."""


def format_argument(value: object) -> str:
    """The value of an argument, written in the language."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        is_sizes = not isinstance(value, AxisOrder) and len(value) > 1
        if is_sizes and all(as_whole(item) is not None and item >= 0 for item in value):
            return format_shape(value, cross="x")
        if len(value) > 8:
            return f"[... {len(value)} rows]"
        return "[" + ", ".join(format_argument(item) for item in value) + "]"
    if isinstance(value, Symbolic):
        return value.argument()
    if isinstance(value, Fraction):
        text = repr(float(value))
        return text if Fraction(text) == value else str(value)
    return str(value)


# --- Arguments against a shape -----------------------------------------------------------------------


def spatial_rank(kind: str, shape: Shape) -> int:
    """The number of spatial axes of an input that must be a map."""
    rank = len(shape) - 1
    if rank < 1:
        raise LayerError(
            f"`{kind}` needs a map, got a vector of {shape[0]}",
            label="no spatial axes",
            help="move it before `flatten`, or `reshape` the vector to a map",
        )
    if rank > MAX_SPATIAL:
        raise LayerError(
            f"`{kind}` needs a map of up to {MAX_SPATIAL} spatial axes, got {format_shape(shape, cross='x')}",
            help="`reshape` it first",
        )
    return rank


def check_groups(kind: str, groups: int, channels: int, argument: str = "groups") -> None:
    """Raise `LayerError` at `argument` unless the groups divide the channels."""
    if channels % groups:
        raise LayerError(
            f"`{argument}` of `{kind}` must divide the channels, but {groups} does not divide {channels}",
            argument=argument,
        )


def per_axis(value: Any, rank: int, argument: str, kind: str) -> tuple[Any, ...]:
    """One value per spatial axis."""
    if not isinstance(value, tuple):
        return (value,) * rank
    if len(value) != rank:
        entries = "1 entry" if len(value) == 1 else f"{len(value)} entries"
        raise LayerError(
            f"`{argument}` of `{kind}` has {entries}, but the input has {rank} spatial "
            f"{'axis' if rank == 1 else 'axes'}",
            argument=argument,
        )
    return value


def padding_per_axis(
    padding: Any,
    kind: str,
    sizes: Shape,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> list[tuple[int, int]]:
    """`(before, after)` for each spatial axis, for every form of padding."""
    if padding == "valid":
        return [(0, 0)] * len(sizes)
    if padding in SAME:
        ends = [same_padding(*axis) for axis in zip(sizes, kernel_size, stride, dilation, strict=True)]
        return ends if padding == "same" else [(after, before) for before, after in ends]
    entries = per_axis(padding, len(sizes), "padding", kind)
    return [entry if isinstance(entry, tuple) else (entry, entry) for entry in entries]


def dim_index(dim: str, shape: Shape, kind: str) -> int:
    """The index of the axis that a `dim` argument names."""
    if dim == "channels":
        return 0
    names = AXES.get(len(shape) - 1, ())
    if dim not in names:
        known = ", ".join(f'"{name}"' for name in ("channels", *names))
        raise LayerError(
            f'`dim` of `{kind}` is "{dim}", but an input of {format_shape(shape, cross="x")} has {known}',
            argument="dim",
        )
    return 1 + names.index(dim)


def axis_at(place: int, rank: int, argument: str, kind: str) -> int:
    """The index of an axis given as a number: 0 is the channels, -1 the last of `rank` axes."""
    if not -rank <= place < rank:
        axes = "is one axis, 0" if rank == 1 else f"are {rank} axes, from 0 to {rank - 1}"
        raise LayerError(
            f"`{argument}` of `{kind}` is {place}, but there {axes}",
            argument=argument,
            help="the batch is not an axis here: axis 0 is the channels" if place >= rank else "",
        )
    return place % rank


def kernel_letters(rank: int) -> tuple[str, ...]:
    """The symbols of the kernel sizes in formulas: `k_h`, `k_w`."""
    return tuple(f"k_{letter.lower()}" for letter in SYMBOLS[rank])
