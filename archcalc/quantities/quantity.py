"""`Quantity`: the record that all views, checks, and explanations read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from archcalc.layers.terms import Facts, Term
from archcalc.network import ArraysSeen
from archcalc.number import total
from archcalc.render.numbers import plural

if TYPE_CHECKING:
    from archcalc.network import Group, Node
    from archcalc.profile import LayerProfile, Profile

Summand = tuple[int, Term, str]
"""A factor, the term that it multiplies, and a description."""

Number = Callable[[int], str]
"""Writes a number: exact, or short."""


class Unit(Enum):
    """The type of a quantity's value."""

    COUNT = "a number"
    BYTES = "a number of bytes"
    SHAPE = "the lengths of a tensor's axes"
    LENGTHS = "a length along each axis of the input, or `global`"


class Scope(Enum):
    """The selections for which a quantity is defined."""

    LAYER = "layers, whose figures add up"
    PART = "any selection of layers"
    OUTPUT = "the output of a layer, a block or the network"
    NETWORK = "a whole network"


class Figures(dict[str, int]):
    """Exact figures by quantity name. The names are also attributes.

    >>> Figures(params=1792).params
    1792
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> int:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no figure `{name}`") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def plus(self, other: Figures) -> Figures:
        """The sums. A figure that one side lacks counts as 0."""
        return Figures({name: self.get(name, 0) + other.get(name, 0) for name in {**self, **other}})

    def minus(self, other: Figures) -> Figures:
        """The differences. A figure that one side lacks counts as 0."""
        return Figures({name: self.get(name, 0) - other.get(name, 0) for name in {**self, **other}})


class Selection(Struct, frozen=True, eq=False):
    """Some layers of a network, and the node whose tensor is their output.

    `name` is the path that selects them, or the name of the network. `whole` is true for the network.
    """

    profile: Profile
    name: str
    layers: Sequence[LayerProfile]
    output: Node
    group: Group | None = None
    whole: bool = False

    def parts(self) -> list[Selection]:
        """The layers and blocks one level below it."""
        depth = 1 if self.group is None else self.group.depth + 1
        return self.profile.rolled_up(self.layers, depth)

    @property
    def is_layer(self) -> bool:
        """Is it a single node, named by its path?"""
        return not self.whole and self.group is None and self.output.name == self.name

    @property
    def kind(self) -> str:
        return self.group.kind if self.group is not None else self.output.kind

    @property
    def operation(self) -> str:
        if self.group is None:
            return str(self.output.layer)
        return f"{self.group.kind}: {plural(self.group.stop - self.group.start, 'layer', str)}"

    @property
    def inputs(self) -> list[str]:
        """The nodes outside the selection that it reads."""
        inside = {layer.node.index for layer in self.layers}
        names = [s.name for layer in self.layers for s in layer.node.inputs if s.index not in inside]
        return list(dict.fromkeys(names))


class Quantity(Struct, frozen=True, eq=False, kw_only=True):
    """A quantity: its name and meaning, and how it is computed, explained, and shown.

    `noun` is its name in a sentence ("4.2 times fewer parameters"), and `definition` is a phrase for the
    documentation.

    A quantity of `Scope.LAYER` has `terms`: weighted products that add up to the figure and explain it. If it
    has no formula to show, it has `count` instead. With `shared`, arrays that several layers share count
    once. Other quantities have `of`, a function from a selection to the value.

    `explain` writes the explanation of a selection if the default (the terms of a layer, or the sum over
    parts) does not fit. `total` writes the line below a report: label, value, and description. `at` names the
    layer where a maximum is reached.

    `heading` and `drawn` are for columns: a `share` is a percentage of the total, and a `bar` draws it.
    A `headline` is part of the first sentence of a comparison, and `comparatives` are its words: as many,
    more, fewer. `of_convention` marks a quantity that needs a convention, `of_training` one that is shown
    only for training, `on_request` one that no report shows, and `of_operations` one to which unknown
    operations would add.
    """

    name: str
    noun: str
    definition: str
    unit: Unit = Unit.COUNT
    scope: Scope = Scope.PART
    terms: Callable[[Facts], Iterable[Summand]] | None = None
    count: Callable[[Facts], int] | None = None
    of: Callable[[Selection], Any] | None = None
    shared: bool = False
    of_convention: bool = False
    of_training: bool = False
    on_request: bool = False
    of_operations: bool = False
    explain: Callable[[Selection], list[str]] | None = None
    total: Callable[[Profile, Number], tuple[str, str, str] | None] | None = None
    at: Callable[[Profile], str] | None = None
    heading: str = ""
    drawn: tuple[str, ...] = ()
    headline: bool = False
    comparatives: tuple[str, str, str] = ("as many", "more", "fewer")

    @property
    def is_number(self) -> bool:
        """Is the value one number, with totals, differences, and ratios?"""
        return self.unit in (Unit.COUNT, Unit.BYTES)

    def of_layer(self, facts: Facts) -> int:
        """The figure of one layer for one sample, for quantities of `Scope.LAYER`."""
        if self.count is not None:
            return self.count(facts)
        assert self.terms is not None, self.name
        result = 0  # a plain loop: this runs for every layer, and a generator takes twice as long
        for factor, term, _ in self.terms(facts):
            result += factor * term.value
        return result

    def measure(self, selection: Selection) -> Any:
        """The value for a selection: a number, or a tuple of lengths.

        Raises `ArchError` for a part of a network if only whole networks have the quantity.
        """
        if self.scope is Scope.NETWORK and not selection.whole:
            from archcalc.diagnostics import error

            raise error(
                f"`{self.name}` is defined only for a whole network, not for `{selection.name}`",
                help="leave out the path",
            )
        if self.of is not None:
            return self.of(selection)
        layers = selection.layers
        name = self.name
        result = total([layer.counts[name] for layer in layers])
        if self.shared and selection.profile.shares:
            seen = ArraysSeen()
            result -= total([self.of_layer(seen.repeated(layer.node)) for layer in layers])
        return result

    def is_unknown(self, selection: Selection) -> bool:
        """Is it a figure of a single unknown operation?"""
        return self.of_operations and selection.is_layer and selection.output.is_opaque

    def adds(self, selection: Selection) -> int:
        """The contribution of a selection to the network's total. Arrays counted before add nothing."""
        if self.scope is not Scope.LAYER:
            return int(self.measure(selection))
        name, layers = self.name, selection.layers
        if len(layers) == 1:  # usually a row of a report; there are thousands, each with several columns
            return layers[0].own.get(name, 0)
        return sum(layer.own.get(name, 0) for layer in layers)
