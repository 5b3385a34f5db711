"""Expectations, evaluated on a profile."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from msgspec import Struct

from archcalc.language.syntax import Expect
from archcalc.profile import Profile, analyze
from archcalc.quantities import QUANTITIES
from archcalc.source import ArchError, Diagnostic

Number = int | Fraction
Value = Number | tuple[Number, ...] | str


class Check(Struct, frozen=True):
    """An expectation and how it turned out.

    `value` is what archcalc computes; `held` whether the expectation holds, `not` included; `cut` says
    of a `~` that does not hold whether the figure is the value cut off instead of rounded.
    """

    expect: Expect
    value: Value
    held: bool
    cut: bool = False

    @property
    def reason(self) -> str:
        """Why it does not hold, with both figures; empty if it does."""
        if self.held:
            return ""
        expect = self.expect
        what = describe(expect)
        if expect.negated:
            return f"{what} is {format_value(self.value)}, so `{expect.figure.text}` holds after all"
        text = f"{what} is {format_value(self.value)}, not {_relation(expect)}{expect.figure.text}"
        return f"{text} (it holds when cut off)" if self.cut else text


def check(profile: Profile) -> list[Check]:
    """Every expectation of a network, evaluated, in the order they stand in.

    Overrides leave expectations unchecked, since those speak of the net's own defaults: the list is
    empty then. Raises `ArchError` if one names a path that does not exist.
    """
    network = profile.network
    if network.overridden:
        return []
    with_heads = profile if profile.heads else None
    results = []
    problems: list[Diagnostic] = []
    for expect in network.expectations:
        source = profile
        if expect.training:
            with_heads = with_heads or analyze(network, heads=True)
            source = with_heads
        try:
            results.append(evaluate(expect, source))
        except ArchError as found:
            problems += [
                Diagnostic(problem.message, expect.path_span, help=problem.help)
                for problem in found.diagnostics
            ]
    if problems:
        raise ArchError(problems)
    return results


def evaluate(expect: Expect, profile: Profile) -> Check:
    """One expectation on a profile."""
    value = measure(profile, expect.quantity, expect.path)
    held = holds(value, expect)
    cut = False
    if not held and expect.relation == "~" and isinstance(value, int | Fraction):
        figure = expect.figure.value
        assert not isinstance(figure, tuple)
        cut = figure <= value < figure + expect.figure.step
    return Check(expect, value, held != expect.negated, cut)


def measure(profile: Profile, quantity: str, path: str = "") -> Any:
    """A quantity of a network, or of what a path names in it: an exact number, or a tuple of them.

    A receptive field that is the whole input is the string `"global"`. Raises `ArchError` if the path
    names nothing.
    """
    network = profile.network
    if QUANTITIES[quantity].sort in ("shape", "axes"):
        node = network[path] if path else network.outputs["output"]
        if quantity == "shape":
            return node.shape
        field = profile.entries[node.index].field
        if field.is_global:
            return "global"
        return {
            "receptive_field": field.size,
            "effective_stride": field.stride,
            "effective_padding": field.padding,
        }[quantity]
    if not path:
        return getattr(profile.totals, quantity)
    return getattr(profile.total(profile.select(path)), quantity)


def holds(value: Value, expect: Expect) -> bool:
    """Does a value stand in the stated relation to the figure? (`not` aside)"""
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


_RELATIONS: dict[str, Callable[[Number, Number], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _compare(value: Number, expect: Expect) -> bool:
    figure = expect.figure.value
    assert not isinstance(figure, tuple)
    if expect.relation == "~":
        half = Fraction(expect.figure.step) / 2
        return figure - half <= value < figure + half
    if expect.relation == "within":
        distance: Number = abs(Fraction(value) - figure)
        return distance * 100 <= abs(Fraction(figure)) * expect.percent
    return _RELATIONS[expect.relation](value, figure)


def describe(expect: Expect) -> str:
    """What an expectation speaks of: `params of stage1`."""
    text = expect.quantity
    if expect.path:
        text += f" of `{expect.path}`"
    if expect.training:
        text += " in training"
    return text


def _relation(expect: Expect) -> str:
    if expect.relation == "within":
        percent = expect.percent
        shown = percent if isinstance(percent, int) else float(percent)
        return f"within {shown}% of "
    return "" if expect.relation == "==" else f"{expect.relation} "


def format_value(value: Value) -> str:
    """A computed value, exact and grouped in threes."""
    if isinstance(value, tuple):
        return "x".join(str(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
