"""Expressions and conditions that are not in a file: the values of options."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct

from archcalc import number
from archcalc.diagnostics import ArchError, Source, error
from archcalc.language.evaluate import ValueEvaluator
from archcalc.language.parser import parse_condition, parse_value
from archcalc.language.resolve import resolve_value
from archcalc.language.run_state import Failed, RunState
from archcalc.language.syntax import Assertion, Expr, Ref
from archcalc.language.values import is_number, type_name


def constant(text: str, shown: str) -> Any:
    """The value of an expression without names, such as that of an option. `shown` names its source.

    Raises `ArchError` with the place in the text.

    >>> constant("[64, 2 * 64]", "--set channels")
    (64, 128)
    """
    return expression_of(text, shown).value({})


class NamedExpression(Struct, frozen=True, eq=False):
    """An expression of named values. `uses` are the names that it uses, in the order of `names_of`."""

    expr: Expr
    uses: tuple[str, ...]
    shown: str
    """Where it is written, for messages."""

    def value(self, values: Mapping[str, Any]) -> Any:
        """Return its value for these values of the names. Raises `ArchError`."""
        run = RunState(self.shown)
        try:
            return ValueEvaluator(run).eval(self.expr, dict(values), None)
        except Failed:
            raise ArchError(run.problems) from None


def expression_of(text: str, shown: str, names: Collection[str] = ()) -> NamedExpression:
    """Parse an expression that can use some names. `shown` says where it is written.

    Raises `ArchError` with the place in the text.

    >>> half = expression_of("width / 2", "--set inner", ["width", "depth"])
    >>> half.uses, half.value({"width": 3})
    (('width',), Fraction(3, 2))
    """
    return _named(parse_value(Source(shown, text)), shown, names)


class ValueCondition(Struct, frozen=True, eq=False):
    """A condition on named values. With a `right` side, `left` must be within `percent` of it."""

    text: str
    left: NamedExpression
    right: NamedExpression | None = None
    percent: Any = 0

    @property
    def uses(self) -> tuple[str, ...]:
        return self.left.uses + (self.right.uses if self.right is not None else ())

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether it holds for these values. Raises `ArchError`."""
        left = self.left.value(values)
        if self.right is None:
            if not isinstance(left, bool):
                raise error(
                    f"a condition must be true or false, not {type_name(left)}",
                    self.left.expr.span,
                    help="compare it: `width * depth <= 2`",
                )
            return left
        right = self.right.value(values)
        for value, side in ((left, self.left), (right, self.right)):
            if not is_number(value):
                raise error(f"`within` compares numbers, not {type_name(value)}", side.expr.span)
        distance = number.largest([left - right, right - left])
        return bool(100 * distance <= number.largest([right, -right]) * self.percent)


def condition_of(text: str, shown: str, names: Collection[str]) -> ValueCondition:
    """Parse a condition on named values: `a < b and b % 8 == 0`, or `a * b**2 within 5% of 2`.

    Raises `ArchError` with the place in the text.
    """
    parsed = parse_condition(Source(shown, text))
    if isinstance(parsed, Assertion):
        left, right = _named(parsed.left, shown, names), _named(parsed.right, shown, names)
        return ValueCondition(text, left, right, parsed.percent)
    return ValueCondition(text, _named(parsed, shown, names))


def _named(expr: Expr, shown: str, names: Collection[str]) -> NamedExpression:
    problems, uses = resolve_value(expr, names)
    if isinstance(expr, Ref) and expr.args is None and problems:
        help = f'write `"{expr.name}"` if you mean a string'
        raise error(problems[0].message, expr.span, help=help)
    if problems:
        raise ArchError(problems)
    return NamedExpression(expr, uses, shown)
