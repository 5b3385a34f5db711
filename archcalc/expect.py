"""Expectations: statements about the figures of a network that must hold.

They come from the `expect` lines of a net and from `--expect`. `archcalc.checking` evaluates them.
"""

from __future__ import annotations

from fractions import Fraction

from msgspec import Struct

from archcalc.diagnostics import Diagnostic, Span, unknown
from archcalc.quantities import QUANTITIES, Scope, Unit

UNITS = {
    "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "KB": 10**3, "MB": 10**6, "GB": 10**9,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}  # fmt: skip
"""The units of figures and their factors: powers of 1000 for counts, and units of bytes."""


class Figure(Struct, frozen=True):
    """A figure in an expectation: its value with the unit applied, its unit, and its last digit's step."""

    text: str
    value: int | Fraction | tuple[int, ...]
    unit: str
    step: int | Fraction
    span: Span


class Ratio(Struct, frozen=True):
    """`0.5 * vgg16`: a factor times the same quantity of another network.

    `net` is a NET argument of the command line, and `span` is its place.
    """

    factor: int | Fraction
    net: str
    span: Span


class Expect(Struct, eq=False):
    """`params("stage1") ~ 38.7K "Table 1"`.

    `path` is empty for the whole network. `percent` is used by the relation `within`. If there is a `ratio`,
    the value of `figure` is its factor, and the text and span of `figure` cover the whole ratio.
    """

    span: Span
    negated: bool
    quantity: str
    quantity_span: Span
    path: str
    path_span: Span | None
    training: bool
    relation: str
    percent: int | Fraction
    figure: Figure
    citation: str
    reason: str
    ratio: Ratio | None = None


def check_expectation(expect: Expect) -> Diagnostic | None:
    """The mistake in an expectation that can be found without a network, if there is one."""
    quantity = QUANTITIES.get(expect.quantity)
    if quantity is None:
        name, span = expect.quantity, expect.quantity_span
        return unknown("unknown quantity", name, QUANTITIES, span, listing="quantities").diagnostics[0]
    if quantity.scope is Scope.NETWORK and expect.path:
        message = f"`{quantity.name}` is defined only for a whole network, not for `{expect.path}`"
        return Diagnostic(message, expect.path_span, help="leave out the path")
    figure = expect.figure
    is_size = isinstance(figure.value, tuple)
    if quantity.unit is Unit.SHAPE and (figure.unit or expect.relation != "=="):
        message = f"`{quantity.name}` must be compared with a size, using `==`"
        return Diagnostic(message, figure.span, help="write `512x7x7`, or `4096` for a vector")
    if quantity.is_number and is_size:
        return Diagnostic(f"`{quantity.name}` is a number, but this is a size", figure.span)
    if is_size and expect.relation not in ("==",):
        return Diagnostic(f"a size must be compared with `==`, not `{expect.relation}`", figure.span)
    if figure.unit.endswith("B") and quantity.unit is not Unit.BYTES:
        return Diagnostic(
            f"`{figure.unit}` is a unit of bytes, but `{quantity.name}` is not measured in bytes",
            figure.span,
            help=f"write `{figure.unit[0]}`, a power of 1000",
        )
    if figure.unit and quantity.unit is Unit.LENGTHS:
        return Diagnostic(f"`{quantity.name}` has no unit", figure.span)
    assert not figure.unit or figure.unit in UNITS
    return None
