"""Statements of claims, evaluated: `params(vgg16) / params(alexnet) ~ 2.2`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Struct

from archcalc.audit.expression import Asked, FigureEvaluator
from archcalc.audit.functions import FUNCTIONS, SIZES
from archcalc.audit.networks import Networks
from archcalc.audit.toml import Text
from archcalc.checking.evaluate import Number
from archcalc.diagnostics import ArchError, Source
from archcalc.expect import Figure
from archcalc.language.parser import parse_expression, parse_statement
from archcalc.language.syntax import Expr, ListExpr, Literal, Ref

Found = TypeVar("Found")


class StatementOutcome(Struct, frozen=True, eq=False):
    """A statement and the result of its evaluation.

    `equal` is true if both sides have the same value. `figure` is the right side of a `~`. An expression
    without a relation holds.
    """

    text: str
    left: Any
    relation: str = ""
    percent: Number = 0
    right: Any = None
    figure: Figure | None = None
    held: bool = True
    equal: bool = True
    is_size: bool = False
    is_computed: bool = False
    """Is the right side also computed from networks?"""
    asked: tuple[Asked, ...] = ()


def state(text: Text, networks: Networks) -> StatementOutcome:
    """Evaluate a statement. Raises `ArchError`, pointing into the file that has it."""

    def run(source: Source) -> StatementOutcome:
        stated = parse_statement(source)
        evaluator = FigureEvaluator(networks, FUNCTIONS)
        left = evaluator.evaluate(stated.left)
        asked = len(evaluator.asked)
        right = evaluator.evaluate(stated.right)
        held = evaluator.judge(stated, left, right)
        return StatementOutcome(
            text.text,
            left,
            stated.relation,
            stated.percent,
            right,
            stated.figure,
            held,
            held and (stated.relation == "==" or _same(left, right)),
            _is_size(stated.left) or _is_size(stated.right),
            len(evaluator.asked) > asked,
            tuple(evaluator.asked),
        )

    return _placed(text, run)


def answer(text: Text, networks: Networks) -> StatementOutcome:
    """Evaluate an expression. Raises `ArchError`, pointing into the file that has it."""

    def run(source: Source) -> StatementOutcome:
        expr = parse_expression(source)
        evaluator = FigureEvaluator(networks, FUNCTIONS)
        value = evaluator.evaluate(expr)
        return StatementOutcome(text.text, value, is_size=_is_size(expr), asked=tuple(evaluator.asked))

    return _placed(text, run)


def known(text: Text, networks: Networks) -> None:
    """Raise `ArchError`, pointing into the file that has it, if a `NET` does not name a network."""
    _placed(text, lambda source: networks.opened(source.text))


def _placed(text: Text, run: Callable[[Source], Found]) -> Found:
    source = Source(text.span.source.name, text.text)
    try:
        return run(source)
    except ArchError as found:
        raise ArchError(text.place(problem, source) for problem in found.diagnostics) from None


def _is_size(expr: Expr) -> bool:
    """Is a value a list of lengths along axes, written `96x55x55`, or a list of such lists?"""
    if isinstance(expr, ListExpr):
        return bool(expr.items) and all(map(_is_size, expr.items))
    if isinstance(expr, Literal):
        return isinstance(expr.value, tuple)
    if not isinstance(expr, Ref):
        return False
    return expr.name in SIZES or (
        expr.name == "distinct" and any(_is_size(arg.value) for arg in expr.args or ())
    )


def _same(left: Any, right: Any) -> bool:
    """Are two values equal? A single value equals a list if it equals every item."""
    if isinstance(left, tuple) and not isinstance(right, tuple):
        return bool(left) and all(_same(item, right) for item in left)
    return bool(left == right)
