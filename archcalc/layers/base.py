"""What a layer kind is: arguments, and four facts that follow from them.

A kind is one class. Its fields are its arguments, named, ordered and defaulted as the language spells
them (which is as `torch.nn` spells them). Its facts are the output shape, the weights, the operations
and the window; every analysis folds over these and names no kind. A kind that leaves one out cannot be
registered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, ClassVar, TypeVar, get_origin

from msgspec import Struct
from msgspec.structs import force_setattr

from archcalc.shape import AXES, SYMBOLS, Shape, Window, format_shape, same_padding

MAX_SIZE = 10**9
"""The largest size, channel count or position a layer accepts."""

Number = int | Fraction


class LayerError(ValueError):
    """An argument or an input that a layer cannot take.

    Knows nothing of files: `argument` names the argument at fault (empty: the layer as a whole), so
    that whoever holds the source can point at it. `label` is the short text for the caret.
    """

    def __init__(self, message: str, *, argument: str = "", label: str = "", help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.argument = argument
        self.label = label
        self.help = help


# --- Counts that can explain themselves -------------------------------------------------------------


class Term(Struct, frozen=True, gc=False):
    """A product of named factors in groups: `k_h·k_w·C_in·C_out × H_out·W_out`.

    The one definition of a count: `value` evaluates it, `formula` and `numbers` print it.
    """

    groups: tuple[tuple[tuple[str, int], ...], ...]

    @property
    def value(self) -> int:
        return math.prod(value for group in self.groups for _, value in group)

    @property
    def formula(self) -> str:
        return " × ".join("·".join(symbol for symbol, _ in group) for group in self.groups)

    @property
    def numbers(self) -> str:
        return " × ".join("·".join(str(value) for _, value in group) for group in self.groups)

    def __mul__(self, other: Term) -> Term:
        return Term(self.groups + other.groups)


def term(*factors: tuple[str, int]) -> Term:
    """A `Term` of one group of factors."""
    return Term((factors,))


def values_of(shape: Shape, suffix: str = "") -> Term:
    """The number of values of a tensor, as a product of its axes: `C·H·W`."""
    if len(shape) == 1:
        return term((f"N{suffix}", shape[0]))
    return term((f"C{suffix}", shape[0])) * places_of(shape, suffix)


def places_of(shape: Shape, suffix: str = "") -> Term:
    """The number of places of a map, without its channels: `H·W`."""
    letters = SYMBOLS.get(len(shape) - 1) or tuple(f"n{i}" for i in range(1, len(shape)))
    return term(*((f"{letter}{suffix}", n) for letter, n in zip(letters, shape[1:], strict=True)))


class Weight(Struct, frozen=True, gc=False):
    """An array that a layer owns.

    `role` is `weight` (what a layer multiplies by), `bias`, `norm` (the scale and shift of a
    normalisation), or `buffer` (state that is not trained).
    """

    name: str
    factors: tuple[tuple[str, int], ...]
    role: str = "weight"

    @property
    def shape(self) -> Shape:
        return tuple(value for _, value in self.factors)

    @property
    def term(self) -> Term:
        return Term((self.factors,))


OPERATIONS = {
    "macs": "multiply-accumulates",
    "bias": "bias additions",
    "add": "additions and subtractions",
    "mul": "multiplications",
    "div": "divisions",
    "compare": "comparisons",
    "sqrt": "square roots",
    "special": "exponentials, logarithms, powers, tanh, erf",
}
"""The categories of operations that layers count in."""

Operations = tuple[tuple[str, Term], ...]
"""Terms by category of `OPERATIONS`; a category may occur more than once."""

NO_OPERATIONS: Operations = ()
"""For layers that only move data: said, not forgotten."""


def per_value(shape: Shape, **counts: int) -> Operations:
    """`counts` operations of each category for every value of a tensor of this shape."""
    values = values_of(shape)
    return tuple(
        (category, values if count == 1 else term((str(count), count)) * values)
        for category, count in counts.items()
        if count
    )


class Reach(Enum):
    """What an output value sees, where no sliding window says it."""

    SAME = "its own place"
    WHOLE = "the whole input"
    MOVED = "one place, but places have been rearranged"


Windows = tuple[Window, ...] | Reach


class Facts(Struct, frozen=True, eq=False):
    """The facts of one layer applied to inputs of given shapes."""

    inputs: tuple[Shape, ...]
    output: Shape
    weights: tuple[Weight, ...]
    operations: Operations
    windows: Windows


# --- Arguments --------------------------------------------------------------------------------------

Reader = Callable[[Any], Any]


class Parameter(Struct, frozen=True):
    """An argument of a layer kind: its name, and its default unless it is required."""

    name: str
    read: Reader
    required: bool
    default: Any
    takes_tensor: bool = False


def _got(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value[:40]}"'
    if isinstance(value, tuple):
        shown = ", ".join(_got(item) for item in value[:6])
        return f"[{shown}{', ...' if len(value) > 6 else ''}]"
    if isinstance(value, int | Fraction):
        text = format_argument(value)
        return text if len(text) <= 40 else text[:37] + "..."
    return f"a {type(value).__name__}"


def _whole(value: object, low: int, expected: str) -> int:
    if type(value) is int:
        if low <= value <= MAX_SIZE:
            return value
        if value > MAX_SIZE:
            raise LayerError(f"needs {expected} up to {MAX_SIZE:,}, got {_got(value)}")
    elif isinstance(value, Fraction | float):
        raise LayerError(
            f"needs {expected}, got {format_argument(value)}",
            help="write `floor(...)`, `ceil(...)` or `round(...)`",
        )
    raise LayerError(f"needs {expected}, got {_got(value)}")


def read_count(value: object) -> int:
    return _whole(value, 1, "a whole number of at least 1")


def read_natural(value: object) -> int:
    return _whole(value, 0, "a whole number of at least 0")


def read_position(value: object) -> int:
    return _whole(value, -MAX_SIZE, "a whole number")


def read_number(value: object) -> Number:
    if type(value) is int or isinstance(value, Fraction):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return Fraction(repr(value))
    raise LayerError(f"needs a number, got {_got(value)}")


def read_eps(value: object) -> Number:
    number = read_number(value)
    if not 0 <= number < 1:
        raise LayerError(
            f"is a small number that keeps a root from zero, got {_got(value)}",
            help="norms take no number of channels: it follows from the input",
        )
    return number


def read_probability(value: object) -> Number:
    number = read_number(value)
    if not 0 <= number <= 1:
        raise LayerError(f"needs a number from 0 to 1, got {_got(value)}")
    return number


def read_flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise LayerError(f"needs `true` or `false`, got {_got(value)}")


def _read_axes(value: object, read: Reader) -> Any:
    if isinstance(value, tuple | list):
        if not 1 <= len(value) <= 3:
            raise LayerError(f"needs a number, or one for each of up to 3 axes, got {_got(tuple(value))}")
        return tuple(read(item) for item in value)
    return read(value)


def read_per_axis(value: object) -> int | tuple[int, ...]:
    result: int | tuple[int, ...] = _read_axes(value, read_count)
    return result


def read_natural_per_axis(value: object) -> int | tuple[int, ...]:
    result: int | tuple[int, ...] = _read_axes(value, read_natural)
    return result


def read_scale(value: object) -> Number | tuple[Number, ...]:
    def positive(item: object) -> Number:
        number = read_number(item)
        if number <= 0 or number > MAX_SIZE:
            raise LayerError(f"needs a number above 0, got {_got(item)}")
        return number

    result: Number | tuple[Number, ...] = _read_axes(value, positive)
    return result


def _read_padding(value: object, read: Reader) -> Any:
    def entry(item: object) -> Any:
        if isinstance(item, tuple | list):
            if len(item) != 2:
                raise LayerError(f"needs `[begin, end]` for an axis, got {_got(tuple(item))}")
            return tuple(read(end) for end in item)
        return read(item)

    return _read_axes(value, entry)


def read_padding(value: object) -> Any:
    """A number, one per axis, `[begin, end]` per axis, `"same"` or `"valid"`."""
    if isinstance(value, str):
        if value in ("same", "valid"):
            return value
        raise LayerError(f'needs numbers, "same" or "valid", got {_got(value)}')
    return _read_padding(value, read_natural)


def read_signed_padding(value: object) -> Any:
    return _read_padding(value, read_position)


def read_shape(value: object) -> Shape:
    if isinstance(value, tuple | list) and 1 <= len(value) <= 4:
        return tuple(read_count(item) for item in value)
    if type(value) is int:
        return (read_count(value),)
    raise LayerError(f"needs a shape such as 3x224x224, got {_got(value)}")


def read_dim(value: object) -> str:
    if value in ("channels", "length", "depth", "height", "width"):
        return str(value)
    raise LayerError(f'needs "channels", "height", "width", "depth" or "length", got {_got(value)}')


def choice(*allowed: str) -> Reader:
    """A reader for one of a few words."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        words = ", ".join(f'"{word}"' for word in allowed)
        raise LayerError(f"needs one of {words}, got {_got(value)}")

    return read


def optional(read: Reader) -> Reader:
    """A reader for an argument whose default, `None`, cannot be written in the language."""
    return lambda value: None if value is None else read(value)


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
SignedPadding = Annotated[int | tuple[int | tuple[int, int], ...], read_signed_padding]
Extent = Annotated[Shape, read_shape]
Dim = Annotated[str, read_dim]


# --- The base class and the register ----------------------------------------------------------------


class Layer(Struct, frozen=True, cache_hash=True):
    """A layer: its kind is its class, its arguments are its fields.

    Layers are values: two with equal arguments are equal, and none of them knows a network.
    """

    kind: ClassVar[str]
    family: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]]
    is_join: ClassVar[bool] = False
    """A join takes the tensors it is given; any other layer takes the current one."""

    def __post_init__(self) -> None:
        for parameter in self.parameters:
            value = getattr(self, parameter.name)
            if value is parameter.default and value is None:
                continue
            try:
                read = parameter.read(value)
            except LayerError as problem:
                raise LayerError(
                    f"`{parameter.name}` of `{self.kind}` {problem.message}",
                    argument=parameter.name,
                    help=problem.help,
                ) from None
            if read is not value:
                force_setattr(self, parameter.name, read)
        self.check()

    def check(self) -> None:
        """Refuse arguments that do not go together. Runs once, when the layer is made."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """The shape that comes out, per sample; `LayerError` if the inputs do not fit."""
        raise NotImplementedError

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        """The arrays the layer owns."""
        raise NotImplementedError

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        """What it computes for one sample at inference, by category of `OPERATIONS`."""
        raise NotImplementedError

    def windows(self, *inputs: Shape) -> Windows:
        """What an output value sees: a `Window` per spatial axis, or a `Reach`."""
        raise NotImplementedError

    def __str__(self) -> str:
        """The layer as one writes it in the language, defaults left out: `conv(64, 3, padding=1)`."""
        arguments = []
        for parameter in self.parameters:
            value = getattr(self, parameter.name)
            if parameter.required:
                arguments.append(format_argument(value))
            elif value != parameter.default:
                arguments.append(f"{parameter.name}={format_argument(value)}")
        return f"{self.kind}({', '.join(arguments)})" if arguments else self.kind


class Input(Layer, frozen=True):
    """Where tensors enter a network. No layer kind: it computes nothing and is not called like one."""

    kind: ClassVar[str] = "input"
    family: ClassVar[str] = "input"
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    shape: Shape

    def check(self) -> None:
        try:
            force_setattr(self, "shape", read_shape(self.shape))
        except LayerError as problem:
            raise LayerError(f"`input` {problem.message}", argument="shape", help=problem.help) from None

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.shape

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return NO_OPERATIONS

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.SAME

    def __str__(self) -> str:
        return f"input({format_argument(self.shape)})"


FACTS = ("output_shape", "weights", "operations", "windows")

_KINDS: dict[str, type[Layer]] = {}
KINDS: Mapping[str, type[Layer]] = _KINDS
"""Every layer kind, by the name the language calls it."""

FAMILIES: set[str] = {"input"}
"""The families of layer kinds: the files they stand in."""

L = TypeVar("L", bound=type[Layer])


def layer(kind: str) -> Callable[[L], L]:
    """Register a class as the layer kind `kind`. Its family is the name of the file it stands in."""

    def register(cls: L) -> L:
        missing = [fact for fact in FACTS if getattr(cls, fact) is getattr(Layer, fact)]
        if missing:
            raise TypeError(f"layer kind `{kind}` does not define {', '.join(missing)}")
        if kind in _KINDS:
            raise TypeError(f"layer kind `{kind}` is defined twice")
        cls.kind = kind
        cls.family = cls.__module__.rpartition(".")[2]
        FAMILIES.add(cls.family)
        cls.parameters = _parameters(cls)
        _KINDS[kind] = cls
        return cls

    return register


def _parameters(cls: type[Layer]) -> tuple[Parameter, ...]:
    annotations: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        annotations.update(getattr(base, "__annotations__", {}))
    names, defaults = cls.__struct_fields__, cls.__struct_defaults__
    required = len(names) - len(defaults)
    parameters = []
    for index, name in enumerate(names):
        annotation = annotations[name]
        if get_origin(annotation) is not Annotated:
            raise TypeError(f"argument `{name}` of `{cls.__name__}` has no reader")
        parameters.append(
            Parameter(
                name,
                annotation.__metadata__[0],
                index < required,
                None if index < required else defaults[index - required],
                "tensor" in annotation.__metadata__,
            )
        )
    return tuple(parameters)


@lru_cache(maxsize=8192)
def facts(layer: Layer, inputs: tuple[Shape, ...]) -> Facts:
    """The facts of a layer for inputs of these shapes; `LayerError` if they do not fit.

    Layers are values and facts are pure, so equal layers on equal shapes share one object.
    """
    output = layer.output_shape(*inputs)
    if max(output) > MAX_SIZE:
        raise LayerError(
            f"`{layer.kind}` gives {format_shape(output, cross='x')}: over {MAX_SIZE:,} on an axis"
        )
    return Facts(
        inputs,
        output,
        layer.weights(*inputs),
        layer.operations(inputs, output),
        layer.windows(*inputs),
    )


def format_argument(value: object) -> str:
    """An argument's value as the language writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        if len(value) > 1 and all(type(item) is int and item >= 0 for item in value):
            return "x".join(map(str, value))
        if len(value) > 8:
            return f"[... {len(value)} rows]"
        return "[" + ", ".join(format_argument(item) for item in value) + "]"
    if isinstance(value, Fraction):
        text = repr(float(value))
        return text if Fraction(text) == value else str(value)
    return str(value)


# --- What several families need ---------------------------------------------------------------------


def spatial_rank(kind: str, shape: Shape) -> int:
    """The number of spatial axes of an input that must be a map."""
    rank = len(shape) - 1
    if rank < 1:
        raise LayerError(
            f"`{kind}` needs a map, got a vector of {shape[0]}",
            label="no spatial axes left",
            help="move it before `flatten`, or `reshape` the vector to a map",
        )
    return rank


def per_axis(value: Any, rank: int, argument: str, kind: str) -> tuple[Any, ...]:
    """One entry for each spatial axis."""
    if not isinstance(value, tuple):
        return (value,) * rank
    if len(value) != rank:
        raise LayerError(
            f"`{argument}` of `{kind}` has {len(value)} entries, but the input has {rank} spatial "
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
    """`(before, after)` for each spatial axis, whatever way the padding was given."""
    if padding == "valid":
        return [(0, 0)] * len(sizes)
    if padding == "same":
        return [same_padding(*axis) for axis in zip(sizes, kernel_size, stride, dilation, strict=True)]
    entries = per_axis(padding, len(sizes), "padding", kind)
    return [entry if isinstance(entry, tuple) else (entry, entry) for entry in entries]


def dim_index(dim: str, shape: Shape, kind: str) -> int:
    """The axis of a shape that a `dim` argument names."""
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


def kernel_letters(rank: int) -> tuple[str, ...]:
    """Symbols for the kernel's sizes in formulas: `k_h`, `k_w`."""
    return tuple(f"k_{letter.lower()}" for letter in SYMBOLS[rank])
