"""Counts with formulas, weights, operations, and windows: the terms in which layers describe themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import Enum

from msgspec import Struct

from archcalc.shape import SYMBOLS, Shape, Window


class Term(Struct, frozen=True, gc=False):
    """A product of named factors in groups: `k_h·k_w·C_in·C_out × H_out·W_out`.

    This is the only definition of a count. `value` evaluates it, and `formula` and `numbers` print it.
    `label` says what is counted if a layer counts several things of one category.
    """

    groups: tuple[tuple[tuple[str, int], ...], ...]
    label: str = ""

    @property
    def value(self) -> int:
        product = 1  # a plain loop: every count of every layer passes here
        for group in self.groups:
            for _, value in group:
                product *= value
        return product

    @property
    def formula(self) -> str:
        return " × ".join("·".join(symbol for symbol, _ in group) for group in self.groups)

    @property
    def numbers(self) -> str:
        return " × ".join("·".join(str(value) for _, value in group) for group in self.groups)

    def __mul__(self, other: Term) -> Term:
        return Term(self.groups + other.groups)

    def of(self, label: str) -> Term:
        """The same count, with a label."""
        return Term(self.groups, label)


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
    letters = SYMBOLS[len(shape) - 1]
    return term(*((f"{letter}{suffix}", n) for letter, n in zip(letters, shape[1:], strict=True)))


class Weight(Struct, frozen=True, gc=False):
    """An array that a layer owns.

    `role` is `weight` (multiplied with the input), `bias`, `norm` (the scale or the shift of a
    normalization), or `buffer` (state that is not trained). A `frozen` array is a parameter that is not
    trained.
    """

    name: str
    factors: tuple[tuple[str, int], ...]
    role: str = "weight"
    frozen: bool = False

    @property
    def shape(self) -> Shape:
        return tuple(value for _, value in self.factors)

    @property
    def term(self) -> Term:
        return Term((self.factors,))


SPECIAL = {
    "exponential": "exp",
    "logarithm": "log",
    "power": "power",
    "tanh": "tanh",
    "erf": "erf",
    "sine": "sin",
    "cosine": "cos",
}
"""The functions that count as one `special` operation each, and their names in tables."""

OPERATIONS = {
    "macs": "multiply-accumulates",
    "bias": "bias additions",
    "add": "additions and subtractions",
    "mul": "multiplications",
    "div": "divisions",
    "compare": "comparisons",
    "sqrt": "square roots",
    "special": ", ".join(name if name in ("tanh", "erf") else f"{name}s" for name in SPECIAL),
}
"""The categories of operations that layers count in."""

Operations = tuple[tuple[str, Term], ...]
"""Terms by category of `OPERATIONS`. A category can occur several times."""

NO_OPERATIONS: Operations = ()
"""The operations of layers that only move data."""


def per_value(shape: Shape, **counts: int) -> Operations:
    """`counts` operations of each category for every value of a tensor of this shape."""
    values = values_of(shape)
    return tuple(
        (category, values if count == 1 else term((str(count), count)) * values)
        for category, count in counts.items()
        if count
    )


def labelled(label: str, operations: Operations) -> Operations:
    """The same operations, with a label."""
    return tuple((category, count.of(label)) for category, count in operations)


def statistics_of(values: Term, groups: Term) -> Operations:
    """Mean, variance, and normalization computed at inference.

    A value takes a sum, a difference, a square, a sum of squares, and a scaling. A group takes two divisions,
    an addition, and a root.
    """
    return (
        ("add", term(("3", 3)) * values),
        ("mul", term(("2", 2)) * values),
        ("div", term(("2", 2)) * groups),
        ("add", groups),
        ("sqrt", groups),
    )


class Reach(Enum):
    """What an output value depends on, if there is no sliding window."""

    SAME = "its own place"
    WHOLE = "the whole input"
    MOVED = "one place, but the places of each channel have been rearranged"
    FOLDED = "one place, but places have been rearranged among the channels"


class Swapped(Struct, frozen=True, gc=False):
    """A value depends on its own place, but axes are swapped: axis `i` is axis `axes[i]` of the input."""

    axes: tuple[int, ...]


class Stacked(Struct, frozen=True, gc=False):
    """A value depends on one place of one input. The inputs are joined along a spatial axis."""

    axis: int


Windows = tuple[Window, ...] | Reach | Swapped | Stacked


class Facts(Struct, frozen=True, eq=False):
    """The facts of one layer for inputs of given shapes."""

    inputs: tuple[Shape, ...]
    output: Shape
    weights: tuple[Weight, ...]
    operations: Operations
    windows: Windows

    def with_weights(self, weights: Iterable[Weight]) -> Facts:
        """The same facts with other arrays."""
        return Facts(self.inputs, self.output, tuple(weights), self.operations, self.windows)

    def frozen(self) -> Facts:
        """The same facts with parameters that are not trained."""
        return self.with_weights(
            Weight(weight.name, weight.factors, weight.role, frozen=True) for weight in self.weights
        )

    def with_buffers(self, names: Collection[str]) -> Facts:
        """The same facts, with the named arrays not trained."""
        return self.with_weights(
            Weight(weight.name, weight.factors, "buffer") if weight.name in names else weight
            for weight in self.weights
        )
