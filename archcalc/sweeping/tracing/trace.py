"""One trace: runs the language and the layers once, for all points that give the same answers.

The path of a trace is the sequence of questions about its numbers, with the answers at the traced point. All
points with these answers have the same figures as expressions, or the same error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from archcalc.language.run_state import Failed
from archcalc.language.syntax import Binary, Choice
from archcalc.language.values import binary
from archcalc.layers.arguments import format_argument
from archcalc.layers.base import Layer, facts_of
from archcalc.layers.terms import Facts, Reach, Windows
from archcalc.number import Tracing, is_exact
from archcalc.shape import Shape
from archcalc.sweeping.tracing.algebra import Algebra
from archcalc.sweeping.tracing.expressions import IS, NEGATIVE, ZERO, Polynomial, Question, answer
from archcalc.sweeping.tracing.symbols import SweptNumber, made

if TYPE_CHECKING:
    from archcalc.language.evaluate import Env, ValueEvaluator

Step = tuple[Question, int]
"""A question and its answer."""

FIRST_STAND_IN, MOST_STAND_INS = 0xF0000, 60_000

_STAND_IN = re.compile(f"[{chr(FIRST_STAND_IN)}-{chr(FIRST_STAND_IN + MOST_STAND_INS)}]")


class Texts:
    """Characters that represent numbers in the messages of a trace, since each point has its own numbers."""

    def __init__(self) -> None:
        self._meant: list[tuple[Polynomial, int, str]] = []
        self._known: dict[tuple[int, int, str], str] = {}

    def stand_in(self, number: SweptNumber, spec: str) -> str:
        key = (number.over.number, number.divisor, spec)
        if key not in self._known:
            if len(self._meant) >= MOST_STAND_INS:
                raise OverflowError("more numbers in messages than there are characters for them")
            self._known[key] = chr(FIRST_STAND_IN + len(self._meant))
            self._meant.append((number.over, number.divisor, spec))
        return self._known[key]

    def filled(self, text: str, algebra: Algebra, known: dict[int, int]) -> str:
        """Return the text with the numbers of a point filled in."""

        def number(found: re.Match[str]) -> str:
            over, divisor, spec = self._meant[ord(found[0]) - FIRST_STAND_IN]
            value = Fraction(algebra.value(over, known), divisor)
            exact = value.numerator if value.denominator == 1 else value
            if spec == "argument":
                return format_argument(exact)
            return str(exact) if spec == "str" else format(exact, spec)

        return _STAND_IN.sub(number, text)


class Shared:
    """Shared by the traces of a sweep: expressions, texts, and facts about layers."""

    def __init__(self) -> None:
        self.algebra = Algebra()
        self.texts = Texts()
        self.remembered: dict[tuple[Any, ...], list[tuple[list[Step], Any]]] = {}
        """Facts about layers and similar results: the questions asked to compute them, and the result."""
        self.trace: Trace | None = None
        """The trace that runs. Numbers outlive their trace, since others find facts that it has computed."""
        self.with_windows = False
        """Are windows of layers needed? They are not for the figures that archcalc counts itself."""

    @property
    def current(self) -> Trace:
        assert self.trace is not None, "a symbolic number is used outside of a trace"
        return self.trace


def _no_windows(*inputs: Shape) -> Windows:
    return Reach.SAME


class Trace(Tracing):
    """A trace of one point, whose parameters are `known`."""

    def __init__(self, engine: Shared, known: Mapping[int, int]) -> None:
        self.engine = engine
        self.algebra = engine.algebra
        self.known = dict(known)
        """The values of atoms at the point."""
        self.path: list[Step] = []
        self.answers: dict[tuple[str, int], int] = {}
        self._touched: list[list[Step]] = []
        """For each computation whose questions are remembered, those that it has asked."""

    # -- questions

    def ask(self, kind: str, over: Polynomial) -> bool:
        """Is a number negative, or zero? This restricts the trace to points with the same answer."""
        question, opposite = self.algebra.question(kind, over)
        decided = self.algebra.decided(question)
        if decided is None:
            decided = bool(self._answer(question))
        return decided != opposite

    def fix(self, over: Polynomial) -> int:
        """Return the value at the point, and restrict the trace to it from here on."""
        return over.const if not over.terms else self._answer((IS, over))

    def _answer(self, question: Question) -> int:
        kind, over = question
        key = (kind, over.number)
        found = self.answers.get(key)
        if found is None:
            value = self.algebra.value(over, self.known)
            found = self.answers[key] = value if kind is IS else int(answer(kind, value))
            self.path.append((question, found))
        for touched in self._touched:
            touched.append((question, found))
        return found

    # -- operations that a trace does differently

    def facts(self, layer: Layer, inputs: tuple[Shape, ...]) -> Facts:
        key = (layer, inputs)
        windows = layer.windows if self.engine.with_windows else _no_windows
        return self._remembered(key, lambda: facts_of(layer, inputs, windows))  # type: ignore[no-any-return]

    def once(self, compute: Callable[..., Any], *args: Any) -> Any:
        return self._remembered((compute, *args), lambda: compute(*args))

    def _remembered(self, key: tuple[Any, ...], compute: Callable[[], Any]) -> Any:
        """Return the result from another trace, if the point gives the same answers to all its questions."""
        known = self.engine.remembered.setdefault(key, [])
        for steps, found in known:
            if all(self._would_answer(question) == given for question, given in steps):
                for question, _ in steps:
                    self._answer(question)
                return found
        touched: list[Step] = []
        self._touched.append(touched)
        try:
            found = compute()
        finally:
            self._touched.pop()
        known.append((touched, found))
        return found

    def _would_answer(self, question: Question) -> int:
        kind, over = question
        value = self.algebra.value(over, self.known)
        return value if kind is IS else int(answer(kind, value))

    def choice(self, values: ValueEvaluator, expr: Choice, env: Env, current: Any) -> Any:
        """Return `a if left < right else b` as one number: both are computed, and no point is excluded.

        Otherwise, each rounding to a multiple of 8 would double the number of traces.
        """
        condition = expr.condition
        if not isinstance(condition, Binary) or len(condition.rest) != 1:
            return NotImplemented
        op, operand = condition.rest[0]
        if op not in _COMPARISONS:
            return NotImplemented
        left, right = values.eval(condition.first, env, current), values.eval(operand, env, current)
        symbolic = isinstance(left, SweptNumber) or isinstance(right, SweptNumber)
        if not (symbolic and is_exact(left) and is_exact(right)):
            return NotImplemented
        kind, swapped, negated = _COMPARISONS[op]
        difference: Any = right - left if swapped else left - right
        if not isinstance(difference, SweptNumber):
            holds = binary(op, left, right)
            return values.eval(expr.if_true if holds else expr.if_false, env, current)
        question, opposite = self.algebra.question(kind, difference.over)
        decided = self.algebra.decided(question)
        if decided is not None:
            holds = decided != (opposite != negated)
            return values.eval(expr.if_true if holds else expr.if_false, env, current)
        return self._both(values, expr, env, current, question, opposite != negated)

    def _both(
        self, values: ValueEvaluator, expr: Choice, env: Env, current: Any, question: Question, opposite: bool
    ) -> Any:
        run = values.run
        before = len(run.problems), set(run.reported), run.steps
        try:
            branches = [values.eval(branch, env, current) for branch in (expr.if_true, expr.if_false)]
        except Failed:
            branches = []
        if len(branches) == 2 and all(is_exact(branch) for branch in branches):
            run.steps = before[2]
            return self._chosen(question, *(branches[::-1] if opposite else branches))
        # one of them is an error, or not a number: only the chosen one may be computed
        del run.problems[before[0] :]
        run.reported.clear()
        run.reported |= before[1]
        run.steps = before[2]
        holds = bool(self._answer(question)) != opposite
        return values.eval(expr.if_true if holds else expr.if_false, env, current)

    def _chosen(self, question: Question, a: Any, b: Any) -> Any:
        scale = 1
        for value in (a, b):
            if isinstance(value, SweptNumber):
                scale *= value.divisor
            elif isinstance(value, Fraction):
                scale *= value.denominator
        overs = [
            value.over if isinstance(value, SweptNumber) else self.algebra.constant(int(value))
            for value in (a * scale, b * scale)
        ]
        return made(self.engine, self.algebra.choice(question, *overs), scale)


_COMPARISONS = {
    "<": (NEGATIVE, False, False),
    ">": (NEGATIVE, True, False),
    ">=": (NEGATIVE, False, True),
    "<=": (NEGATIVE, True, True),
    "==": (ZERO, False, False),
    "!=": (ZERO, False, True),
}
"""For each comparison: what is asked of the difference, whether of right less left, and if it is negated."""
