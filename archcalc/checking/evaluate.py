"""Expectations, evaluated on a profile."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from archcalc.diagnostics import ArchError, Diagnostic, Problems
from archcalc.expect import Expect
from archcalc.network import is_pattern
from archcalc.notes import unknown_operations
from archcalc.profile import LayerProfile, Profile, analyze
from archcalc.quantities import QUANTITIES, Scope, Selection
from archcalc.render.numbers import plural
from archcalc.shape import format_shape

Number = int | Fraction
Value = Number | tuple[Number, ...] | str

FEW = 3
"""The number of layers that a sentence names."""

MOST_MEASURED = 16
"""The number of patterns whose measured layers are kept. Each can name every layer of a network."""


class LayerValues:
    """A value of each layer, with the name of the layer."""

    def __init__(self, values: Sequence[tuple[str, Value]]) -> None:
        self.values = values

    @cached_property
    def extremes(self) -> tuple[Number, ...]:
        """The smallest and the largest number in the values; empty if one of them is not a number."""
        numbers: list[Number] = []
        for _, value in self.values:
            if isinstance(value, str):
                return ()
            numbers += value if isinstance(value, tuple) else (value,)
        return (min(numbers), max(numbers)) if numbers else ()


class Check(Struct, frozen=True):
    """The result of an expectation.

    `value` is archcalc's value, and `held` says whether the expectation holds, with `not` taken into account.
    `cut` is true if a `~` fails because the figure is the value truncated instead of rounded.

    `reached_at` is the layer where a maximum is reached.

    A bound on every layer of a selection was checked for `layers` of them. `misses` are the layers that break
    it, and `value` is the value of the first of these.
    """

    expect: Expect
    value: Value
    held: bool
    cut: bool = False
    layers: int = 0
    misses: tuple[tuple[str, Value], ...] = ()
    reached_at: str = ""
    unknown: str = ""
    """The unknown operations that `value` leaves out. If there are any, the expectation fails."""

    @property
    def reason(self) -> str:
        """Why it does not hold, with both figures; empty if it holds."""
        if self.held:
            return ""
        expect = self.expect
        what = describe(expect)
        if self.unknown:
            return (
                f"{what} is incomplete: {format_value(self.value)} without {self.unknown} "
                "(`--allow-unknown` checks it anyway)"
            )
        if self.layers:
            return f"{what} is {self._of_layers()}"
        if expect.negated:
            claim = f"{_relation(expect)}{expect.figure.text}"
            return f"{what} is {format_value(self.value)}, so `not {claim}` fails"
        at = f" at `{self.reached_at}`" if self.reached_at else ""
        text = f"{what} is {format_value(self.value)}{at}, not {_relation(expect)}{expect.figure.text}"
        return f"{text} (it holds if truncated)" if self.cut else text

    def _of_layers(self) -> str:
        expect = self.expect
        bound = f"{_relation(expect)}{expect.figure.text}"
        if expect.negated:
            every = "all of " if self.layers > 1 else ""
            return f"{bound} in {every}{plural(self.layers, 'layer', str)}, so `not {bound}` fails"
        named = [f"{format_value(value)} in `{name}`" for name, value in self.misses[:FEW]]
        if len(self.misses) > FEW:
            named.append(f"{len(self.misses) - FEW} more")
        listed = ", ".join(named[:-1]) + " and " + named[-1] if len(named) > 1 else named[0]
        return f"not {bound} in {len(self.misses)} of {plural(self.layers, 'layer', str)}: {listed}"

    @property
    def difference(self) -> Number | None:
        """The value minus the figure; `None` if that is not one number."""
        figure = self.expect.figure.value
        if isinstance(self.value, int | Fraction) and not isinstance(figure, tuple) and not self.layers:
            difference = Fraction(self.value - figure)
            return difference.numerator if difference.denominator == 1 else difference
        return None


def check(profile: Profile) -> list[Check]:
    """Every expectation of a network, evaluated, in the order in which they are declared.

    Expectations refer to the net's own defaults, one sample in float32. With other parameters they are not
    checked, and the list is empty. Raises `ArchError` if one names a path that does not exist.
    """
    network = profile.network
    if network.overridden:
        return []
    evaluator = Evaluator(as_declared(profile))
    results = []
    problems = Problems()
    for expect in network.expectations:
        with problems.collect():
            results.append(evaluator(expect))
    problems.raise_any()
    return results


def as_declared(profile: Profile) -> Profile:
    """The profile of the same network that its own expectations refer to: one sample, in float32, by SGD."""
    if (profile.batch, profile.dtype, profile.optimizer.name) == (1, "float32", "sgd"):
        return profile
    return analyze(profile.network, heads=profile.heads, convention=profile.convention_name)


class Evaluator:
    """Evaluates expectations on one network, with its training heads for those that ask for them.

    Each expectation says whether it includes the heads. With `heads`, every expectation does.
    """

    def __init__(self, profile: Profile, heads: bool = False, allow_unknown: bool = False) -> None:
        self.profile = profile
        self.allow_unknown = allow_unknown or profile.network.is_complete
        self.heads = heads
        self.profiles = {profile.heads: profile}
        self._measured: dict[tuple[bool, str, str], LayerValues] = {}

    def source(self, training: bool) -> Profile:
        """The figures that an expectation refers to."""
        heads = training or self.heads
        if heads not in self.profiles:
            profile = self.profile
            self.profiles[heads] = analyze(
                profile.network,
                batch=profile.batch,
                dtype=profile.dtype,
                heads=heads,
                convention=profile.convention_name,
                optimizer=profile.optimizer.name,
            )
        return self.profiles[heads]

    def __call__(self, expect: Expect) -> Check:
        """Evaluate one; raises `ArchError`, pointing at its path, if that names nothing."""
        try:
            if is_of_every_layer(expect):
                return self._complete(of_every_layer(expect, self._values(expect)))
            return self._complete(evaluate(expect, self.source(expect.training)))
        except ArchError as found:
            span = expect.path_span or expect.quantity_span
            raise ArchError(
                Diagnostic(problem.message, span, help=problem.help) for problem in found.diagnostics
            ) from None

    def _complete(self, check: Check) -> Check:
        """The check, which fails if its value leaves out unknown operations."""
        expect = check.expect
        quantity = QUANTITIES.get(expect.quantity)
        if self.allow_unknown or quantity is None or not quantity.of_operations:
            return check
        layers = select(self.source(expect.training), expect.path)
        unknown = unknown_operations(layer.node for layer in layers)
        return replace(check, held=False, unknown=unknown) if unknown else check

    def _values(self, expect: Expect) -> LayerValues:
        """The values that an expectation bounds. The last few are kept, because several can share them."""
        key = expect.training, expect.quantity, expect.path
        if key not in self._measured:
            if len(self._measured) >= MOST_MEASURED:
                self._measured.clear()
            self._measured[key] = measure_layers(self.source(expect.training), expect.quantity, expect.path)
        return self._measured[key]


def is_of_every_layer(expect: Expect) -> bool:
    """Is it a bound on each of the layers that a pattern names?"""
    return is_pattern(expect.path) and QUANTITIES[expect.quantity].scope is Scope.OUTPUT


def evaluate(expect: Expect, profile: Profile) -> Check:
    """One expectation on a profile."""
    if is_of_every_layer(expect):
        return of_every_layer(expect, measure_layers(profile, expect.quantity, expect.path))
    value = measure(profile, expect.quantity, expect.path)
    held = holds(value, expect)
    cut = False
    if not held and expect.relation == "~" and isinstance(value, int | Fraction):
        figure = expect.figure.value
        assert not isinstance(figure, tuple)
        cut = figure <= value < figure + expect.figure.step
    at = QUANTITIES[expect.quantity].at
    return Check(expect, value, held != expect.negated, cut, reached_at=at(profile) if at is not None else "")


def of_every_layer(expect: Expect, measured: LayerValues) -> Check:
    """An expectation as a bound on a value of each layer; there is at least one."""
    values = measured.values
    misses: tuple[tuple[str, Value], ...] = ()
    if not _within(measured.extremes, expect):
        misses = tuple((name, value) for name, value in values if not holds(value, expect))
    value = misses[0][1] if misses else values[0][1]
    return Check(expect, value, bool(misses) == expect.negated, layers=len(values), misses=misses)


def measure_layers(profile: Profile, quantity: str, path: str) -> LayerValues:
    """A quantity of the output of each layer that a path names. Raises `ArchError` if there is none."""
    of = QUANTITIES[quantity].measure
    layers = select(profile, path)
    return LayerValues(
        [(layer.name, of(Selection(profile, layer.name, [layer], layer.node))) for layer in layers]
    )


def measure(profile: Profile, quantity: str, path: str = "") -> Any:
    """A quantity of a network, or of what a path names in it: an exact number, or a tuple of them.

    A receptive field that is the whole input is the string `"global"`. Raises `ArchError` if the path
    names nothing, or if only whole networks have the quantity.
    """
    return QUANTITIES[quantity].measure(profile.part(path))


def select(profile: Profile, path: str) -> Sequence[LayerProfile]:
    """The layers that a path names; of a training head by a pattern only if the profile counts heads.

    Raises `ArchError` if there is none.
    """
    return profile.part(path).layers


def argument(layer: LayerProfile, name: str) -> Any:
    """An argument of a layer as it was given; `None` if the layer does not have the argument.

    `padding="same"` and a stride that is left out are resolved along each axis.
    """
    if name not in (parameter.name for parameter in layer.node.layer.parameters):
        return None
    value = getattr(layer.node.layer, name)
    windows = layer.node.facts.windows
    if isinstance(windows, tuple) and (value is None or isinstance(value, str)):
        if name == "padding":
            return tuple((window.before, window.after) for window in windows)
        if name == "stride":
            return tuple(window.stride for window in windows)
    return value


def holds(value: Value, expect: Expect) -> bool:
    """Does the relation hold between a value and the figure? `not` is left out."""
    figure = expect.figure
    if isinstance(value, str):
        return False
    if isinstance(value, tuple):
        if isinstance(figure.value, tuple):
            return value == figure.value
        if expect.quantity == "shape":
            return value == (figure.value,)
        return all(_compare(item, expect) for item in value)
    return _compare(value, expect)


def _within(extremes: tuple[Number, ...], expect: Expect) -> bool:
    """Does the relation hold for the smallest and the largest value? Then it holds for all values."""
    if not extremes or isinstance(expect.figure.value, tuple) or expect.quantity == "shape":
        return False
    return all(_compare(value, expect) for value in extremes)


_RELATIONS: dict[str, Callable[[Number, Number], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _compare(value: Number, expect: Expect) -> bool:
    figure = expect.figure
    assert not isinstance(figure.value, tuple)
    return compare(value, expect.relation, figure.value, figure.step, expect.percent)


def compare(value: Number, relation: str, figure: Number, step: Number = 0, percent: Number = 0) -> bool:
    """Does a relation hold between a number and a figure whose last digit counts `step`?

    >>> compare(138_357_544, "~", 138_000_000, step=10**6), compare(98, "within", 100, percent=2)
    (True, True)
    """
    if relation == "~":
        low, high = rounding(figure, step)
        return low <= value < high
    if relation == "within":
        distance: Number = abs(Fraction(value) - figure)
        return distance * 100 <= abs(Fraction(figure)) * percent
    return _RELATIONS[relation](value, figure)


def rounding(figure: Number, step: Number) -> tuple[Number, Number]:
    """The range of values that round to a figure whose last digit counts `step`, without the upper end."""
    half = Fraction(step) / 2
    return figure - half, figure + half


def describe(expect: Expect) -> str:
    """The subject of an expectation: `params of stage1`."""
    text = expect.quantity
    if expect.path:
        text += f" of `{expect.path}`"
    if expect.training:
        text += " in training"
    return text


def statement(expect: Expect) -> str:
    """An expectation as it is written, without its citation and reason: `params("stage1") ~ 38.7K`."""
    text = expect.span.source.text[expect.span.start : expect.figure.span.end]
    return " ".join(text.removeprefix("expect").split())


def _relation(expect: Expect) -> str:
    if expect.relation == "within":
        percent = expect.percent
        shown = percent if isinstance(percent, int) else float(percent)
        return f"within {shown}% of "
    return "" if expect.relation == "==" else f"{expect.relation} "


def format_value(value: Value) -> str:
    """A computed value, exact and grouped in threes."""
    if isinstance(value, tuple):
        return format_shape(value, cross="x")
    return f"{value:,}" if isinstance(value, int) else str(value)
