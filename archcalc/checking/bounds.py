"""Expectations on the command line: the values of `--expect`.

Everything that an `expect` line of a spec can say, and also

- a bound on an argument, for every layer that has it and along each axis: `kernel_size("stage1/*") <= 3`;
- a ratio to the same quantity of another whole network: `macs <= 0.5 * vgg16`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

import archcalc.layers  # noqa: F401 - registers every kind
from archcalc.checking.evaluate import (
    Check,
    Evaluator,
    LayerValues,
    Value,
    argument,
    evaluate,
    of_every_layer,
    select,
)
from archcalc.checking.find import seen_from
from archcalc.diagnostics import ArchError, Diagnostic, Problems, Source, error, unknown
from archcalc.expect import Expect, Ratio, check_expectation
from archcalc.language.parser import parse_expectation
from archcalc.layers.base import KINDS
from archcalc.opening import load
from archcalc.profile import LayerProfile, Profile
from archcalc.quantities import QUANTITIES
from archcalc.settings import DEFAULT, Settings

ARGUMENTS = sorted({p.name for kind in KINDS.values() for p in kind.parameters if not p.takes_tensor})

HERE = Path()


class Bound(Struct, eq=False):
    """An expectation for any network. `other` is the network of its ratio, once loaded from `folder`."""

    text: str
    expect: Expect
    other: Profile | None = None
    settings: Settings = DEFAULT
    folder: Path = HERE

    def check(self, evaluator: Evaluator) -> Check:
        """Evaluate it on a network. Raises `ArchError` if it names nothing in the network."""
        expect = self.expect
        if expect.quantity not in QUANTITIES:
            return of_every_layer(expect, LayerValues(_arguments(expect, evaluator.source(expect.training))))
        if expect.ratio is not None:
            other = self.open(expect.ratio)
            source = Evaluator(other, self.settings.heads).source(expect.training)
            theirs = evaluate(replace(expect, path=""), source).value
            assert isinstance(theirs, int)
            product = Fraction(expect.ratio.factor * theirs)
            limit = product.numerator if product.denominator == 1 else product
            text = f"{expect.figure.text} ({_shown(limit)})"
            expect = replace(expect, figure=replace(expect.figure, value=limit, text=text))
        return evaluator(expect)

    def open(self, ratio: Ratio) -> Profile:
        """The network of a ratio, loaded once. Raises `ArchError` if it cannot be loaded."""
        if self.other is None:
            try:
                self.other = self.settings.profile(load(seen_from(self.folder, ratio.net)))
            except ArchError as found:
                raise ArchError(
                    problem if problem.span is not None else replace(problem, span=ratio.span)
                    for problem in found.diagnostics
                ) from None
        return self.other


PER_AXIS = frozenset(
    ("kernel_size", "stride", "padding", "dilation", "output_padding", "output_size", "size")
)
"""The arguments for which one number applies to every axis."""

COUNTED = {"MACs": "macs", "FLOPs": "flops", "parameters": "params", "bytes": "activation_bytes"}
"""The quantity that a convention counts, by the convention's unit."""


def parse_bound(text: str, settings: Settings = DEFAULT, folder: Path = HERE) -> Bound:
    """An expectation from the command line. Raises `ArchError`, pointing at the character.

    The file of a ratio is relative to `folder`. With a convention, the quantity that it counts is counted by
    its rules: `macs` for fvcore, `activation_bytes` for torchinfo's memory.

    >>> bound = parse_bound("macs <= 0.5 * vgg16")
    >>> bound.expect.quantity, bound.expect.ratio.factor, bound.expect.ratio.net
    ('macs', Fraction(1, 2), 'vgg16')
    """
    expect = parse_expectation(Source("--expect", text), ratios=True)
    problem = _problem(expect)
    if problem is not None:
        raise ArchError(problem)
    if settings.convention and expect.quantity == _counted_by(settings.convention):
        expect = replace(expect, quantity="count")
    bound = Bound(text, expect, settings=settings, folder=folder)
    if expect.ratio is not None:
        bound.open(expect.ratio)
    return bound


def _counted_by(convention: str) -> str:
    from archcalc.conventions import find

    return COUNTED[find(convention).unit]


def parse_bounds(texts: Iterable[str], settings: Settings = DEFAULT, folder: Path = HERE) -> list[Bound]:
    """Several expectations. Raises `ArchError` with the mistakes of all."""
    bounds = []
    problems = Problems()
    for text in texts:
        with problems.collect():
            bounds.append(parse_bound(text, settings, folder))
    problems.raise_any()
    return bounds


def _problem(expect: Expect) -> Diagnostic | None:
    """The mistake in an expectation, if it has one before any network is known."""
    quantity, figure = expect.quantity, expect.figure
    if quantity not in QUANTITIES and quantity not in ARGUMENTS:
        help = "quantities: " + ", ".join(QUANTITIES) + "; or an argument, such as `kernel_size`"
        known, span = [*QUANTITIES, *ARGUMENTS], expect.quantity_span
        return unknown("unknown quantity", quantity, known, span, help=help).diagnostics[0]
    if expect.ratio is not None:
        net = expect.ratio.span
        if quantity not in QUANTITIES or not QUANTITIES[quantity].is_number:
            message = f"`{quantity}` is not a number for a whole network"
            return Diagnostic(message, net, help="ratios compare counts or bytes: `macs <= 0.5 * vgg16`")
        if expect.relation == "~":
            return Diagnostic(
                "`~` needs a number whose digits set the precision, not a ratio",
                net,
                help="write `within 1% of`",
            )
        return None
    if quantity in QUANTITIES:
        return check_expectation(expect)
    if figure.unit.endswith("B"):
        return Diagnostic(f"`{quantity}` is not measured in bytes", figure.span)
    if isinstance(figure.value, tuple) and expect.relation != "==":
        return Diagnostic(f"compare a size with `==`, not `{expect.relation}`", figure.span)
    return None


def _arguments(expect: Expect, profile: Profile) -> list[tuple[str, Value]]:
    """The argument of every layer that has it, among the layers that the path names."""
    layers: Sequence[LayerProfile] = profile.layers
    if expect.path:
        try:
            layers = select(profile, expect.path)
        except ArchError as found:
            raise ArchError(
                replace(problem, span=expect.path_span) for problem in found.diagnostics
            ) from None
    values = []
    for layer in layers:
        value = _argument(layer, expect)
        if value is not None:
            values.append((layer.name, value))
    if not values:
        where = f" that `{expect.path}` names" if expect.path else ""
        message = f"no layer of `{profile.network.name}`{where} has `{expect.quantity}`"
        raise error(message, expect.path_span or expect.quantity_span)
    return values


def _argument(layer: LayerProfile, expect: Expect) -> Value | None:
    """The argument of one layer, along each axis if it differs; `None` if the layer has none."""
    name = expect.quantity
    value = argument(layer, name)
    if value is None:
        return None
    numbers = tuple(_flat(value))
    if not all(type(number) in (int, Fraction) for number in numbers):
        message = f"`{name}` of `{layer.name}` is not a number, so it has no bound"
        raise error(message, expect.quantity_span)
    figure = expect.figure.value
    if isinstance(figure, tuple):
        axes = len(layer.node.inputs[0].shape) - 1
        return numbers * axes if len(numbers) == 1 and name in PER_AXIS else numbers
    result: Value = numbers[0] if len(set(numbers)) == 1 else numbers
    return result


def _flat(value: Any) -> list[Any]:
    return [number for item in value for number in _flat(item)] if isinstance(value, tuple) else [value]


def _shown(limit: int | Fraction) -> str:
    return f"{limit:,}" if isinstance(limit, int) else f"{float(limit):,}"
