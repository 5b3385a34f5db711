"""The base class of layer kinds.

A kind is one class. Its fields are its arguments, with the names, order, and defaults of the language, which
are those of `torch.nn`. A kind also defines five facts: the output shape, the weights, the operations, the
window, and the backward pass. Every analysis uses these facts and does not depend on kinds. A class that
lacks one of them cannot be registered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any, ClassVar, TypeVar, get_origin

from msgspec import Struct
from msgspec.structs import force_setattr

from archcalc import number
from archcalc.layers.arguments import MAX_SIZE, LayerError, Parameter, format_argument, read_shape
from archcalc.layers.backward import Backward, Needs
from archcalc.layers.channels import all_of
from archcalc.layers.computed import arrays_of_way, operations_of_way
from archcalc.layers.terms import NO_OPERATIONS, OPERATIONS, Facts, Operations, Reach, Weight, Windows
from archcalc.shape import Shape, format_shape


class Layer(Struct, frozen=True, cache_hash=True):
    """A layer. Its class is its kind, and its fields are its arguments.

    Layers are values: layers of one kind with equal arguments are equal. A layer does not know its network.
    """

    kind: ClassVar[str]
    family: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]]
    is_join: ClassVar[bool] = False
    """A join reads the tensors that it is given. Other layers read the current tensor."""
    is_source: ClassVar[bool] = False
    """A source does not read a tensor."""
    is_opaque: ClassVar[bool] = False
    """The operation is unknown."""
    stops_gradients: ClassVar[bool] = False
    """Do its inputs have no gradient, like the indices that an embedding reads?"""
    without_gradient: ClassVar[tuple[int, ...]] = ()
    """The numbers of inputs without a gradient, like the pool of an unpooling, which only gives places."""
    reads_before: ClassVar[tuple[int, ...]] = ()
    """The numbers of inputs whose own input it also reads, as an unpooling does for its pool."""
    least_tensors: ClassVar[int] = 2
    """The number of tensors that a join needs."""

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
        """Raise `LayerError` if the arguments do not fit together. Runs once, when the layer is created."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """The output shape per sample. Raises `LayerError` if the inputs do not fit."""
        raise NotImplementedError

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        """The arrays that the layer owns."""
        raise NotImplementedError

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        """The operations for one sample at inference, by category of `OPERATIONS`."""
        raise NotImplementedError

    def windows(self, *inputs: Shape) -> Windows:
        """What an output value depends on: a `Window` per spatial axis, a `Reach`, or how places move."""
        raise NotImplementedError

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """What the backward pass keeps and computes, for the gradients that are needed."""
        raise NotImplementedError(f"the backward pass of `{self.kind}`")

    def is_view(self, facts: Facts) -> bool:
        """Is the output a view of the input's memory?"""
        return False

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        """The output channels that read any of these channels of the input number `index`.

        `channels` is a set of bits, as in `archcalc.layers.channels`. By default, every output reads every
        channel.
        """
        return all_of(facts.output[0])

    def leaves_out_channels(self, facts: Facts) -> bool:
        """Are there input channels that no output channel reads?"""
        return False

    def __str__(self) -> str:
        """The layer in the language, without default arguments: `conv(64, 3, padding=1)`."""
        arguments = []
        for parameter in self.parameters:
            value = getattr(self, parameter.name)
            if parameter.takes_tensor:
                if value is not None:
                    arguments.append(parameter.name if parameter.required else f"{parameter.name}=...")
            elif parameter.required:
                arguments.append(format_argument(value))
            elif value != parameter.default:
                arguments.append(f"{parameter.name}={format_argument(value)}")
        return f"{self.kind}({', '.join(arguments)})" if arguments else self.kind


class Input(Layer, frozen=True):
    """An input of a network. It is not a layer kind: it computes nothing and cannot be called like one."""

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


FACTS = ("output_shape", "weights", "operations", "windows", "backward")

_KINDS: dict[str, type[Layer]] = {}
KINDS: Mapping[str, type[Layer]] = _KINDS
"""Every layer kind, by its name in the language."""

FAMILIES: set[str] = {"input"}
"""The families of layer kinds, which are the files that define them."""

L = TypeVar("L", bound=type[Layer])


def layer(kind: str, family: str = "") -> Callable[[L], L]:
    """Register a class as the layer kind `kind`. The default family is the name of its file."""

    def register(cls: L) -> L:
        missing = [fact for fact in FACTS if getattr(cls, fact) is getattr(Layer, fact)]
        if missing:
            raise TypeError(f"layer kind `{kind}` does not define {', '.join(missing)}")
        if kind in _KINDS:
            raise TypeError(f"layer kind `{kind}` is defined twice")
        cls.kind = kind
        cls.family = family or cls.__module__.rpartition(".")[2]
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
                "layer" in annotation.__metadata__,
            )
        )
    return tuple(parameters)


def facts(layer: Layer, inputs: tuple[Shape, ...]) -> Facts:
    """The facts of a layer for inputs of these shapes. Raises `LayerError` if they do not fit.

    Facts depend on the layer and the shapes alone, so equal layers on equal shapes share one object.
    """
    trace = number.active
    return kept_facts(layer, inputs) if trace is None else trace.facts(layer, inputs)


@lru_cache(maxsize=8192)
def kept_facts(layer: Layer, inputs: tuple[Shape, ...]) -> Facts:
    return facts_of(layer, inputs, layer.windows)


def facts_of(layer: Layer, inputs: tuple[Shape, ...], windows: Callable[..., Windows]) -> Facts:
    """The facts, with what `windows` says of the inputs."""
    output = layer.output_shape(*inputs)
    for size in output:
        if size > MAX_SIZE:
            shape = format_shape(output, cross="x")
            raise LayerError(f"`{layer.kind}` has an output of {shape}: over {MAX_SIZE:,} on an axis")
    weights, operations = layer.weights(*inputs), layer.operations(inputs, output)
    way = getattr(layer, "weight", "own")
    if way != "own":
        computing = operations_of_way(way, weights[0])
        operations += tuple(
            (category, count.of(f"weight: {OPERATIONS[category]}")) for category, count in computing
        )
        weights = arrays_of_way(way, weights)
    return Facts(inputs, output, weights, operations, windows(*inputs))
