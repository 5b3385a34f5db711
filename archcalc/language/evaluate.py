"""Expressions to values. A mistake is noted where it happens; what depends on it stays silent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from archcalc.diagnostics import ArchError, CallSite, Diagnostic, Note, Source, Span, error
from archcalc.language.limits import MAX_CALLS, MAX_STEPS, VALUES_A_STEP
from archcalc.language.meanings import Local
from archcalc.language.parser import parse_value
from archcalc.language.resolve import resolve_value
from archcalc.language.syntax import (
    Binary,
    Choice,
    Expr,
    Function,
    Index,
    ListExpr,
    Literal,
    Param,
    Ref,
    Unary,
)
from archcalc.language.values import (
    Builtin,
    ValueProblem,
    binary,
    is_number,
    make_list,
    shown_number,
    type_name,
    weight,
)
from archcalc.network import Node

Env = dict[str, Any]


class _Unknown:
    """What is known of a value after a mistake: nothing."""


FAILED: Any = _Unknown()


class Failed(Exception):
    """A mistake that has been noted; what depends on it is given up silently."""


class Evaluator:
    """The state of one evaluation of what has a value; `name` says what, where a limit is exceeded."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Diagnostic] = []
        self.reported: set[tuple[Span | None, Span | None]] = set()
        self.calls: CallSite | None = None
        self.depth = 0
        self.steps = 0
        self._evaluate: dict[Any, Callable[[Any, Env, Any], Any]] = {
            Ref: self.ref,
            Literal: self.literal,
            Binary: self.binary,
            Unary: self.unary,
            Choice: self.choice,
            ListExpr: self.list_,
            Index: self.index,
        }
        self._refs: dict[Any, Callable[[Ref, Env, Any, str], Any]] = {
            Local: self.local,
            Function: self.function,
            Builtin: self.builtin,
        }

    # -- mistakes

    def note(self, problem: Diagnostic) -> None:
        """Note a mistake, unless it has been noted for this place and this outermost call."""
        calls = self.calls.chain() if self.calls is not None else []
        key = (problem.span, calls[-1].span if calls else None)
        if key in self.reported:
            return
        self.reported.add(key)
        notes = problem.notes + _call_notes(calls)
        self.problems.append(Diagnostic(problem.message, problem.span, problem.label, notes, problem.help))

    def fail(
        self, message: str, span: Span | None, *, label: str = "", notes: Iterable[Note] = (), help: str = ""
    ) -> NoReturn:
        self.note(Diagnostic(message, span, label, tuple(notes), help))
        raise Failed

    def give_up(self, message: str, span: Span) -> NoReturn:
        """A limit is exceeded: end the run, whatever else might be found."""
        notes = _call_notes(self.calls.chain() if self.calls is not None else [])
        raise ArchError([*self.problems, Diagnostic(message, span, notes=notes)])

    # -- expressions

    def eval(self, expr: Expr, env: Env, current: Any) -> Any:
        return self._evaluate[type(expr)](expr, env, current)

    def literal(self, expr: Literal, env: Env, current: Any) -> Any:
        return expr.value

    def truth(self, expr: Expr, env: Env, current: Any) -> bool:
        value = self._evaluate[type(expr)](expr, env, current)
        if not isinstance(value, bool):
            help = f"compare it: `{expr.span.text} > 0`" if is_number(value) and isinstance(expr, Ref) else ""
            self.fail(f"a condition is a truth value, not {type_name(value)}", expr.span, help=help)
        return value

    def binary(self, expr: Binary, env: Env, current: Any) -> Any:
        op = expr.rest[0][0]
        if op == "and" or op == "or":
            value = self.truth(expr.first, env, current)
            for _, operand in expr.rest:
                if value is (op == "or"):
                    return value
                value = self.truth(operand, env, current)
            return value
        evaluate = self._evaluate
        left = evaluate[type(expr.first)](expr.first, env, current)
        for op, operand in expr.rest:
            right = evaluate[type(operand)](operand, env, current)
            try:
                if type(left) is tuple:
                    self.charge_lists((left, right), expr.span)
                left = binary(op, left, right)
            except ValueProblem as problem:
                span = operand.span
                if problem.of_both:
                    span = Span(span.source, expr.span.start, span.end)
                self.fail(problem.message, span, help=problem.help)
        return left

    def unary(self, expr: Unary, env: Env, current: Any) -> Any:
        if expr.op == "not":
            return not self.truth(expr.operand, env, current)
        value = self.eval(expr.operand, env, current)
        if not is_number(value):
            self.fail(f"`-` takes a number, not {type_name(value)}", expr.span)
        return -value

    def choice(self, expr: Choice, env: Env, current: Any) -> Any:
        chosen = expr.if_true if self.truth(expr.condition, env, current) else expr.if_false
        value = self.eval(chosen, env, current)
        if type(value) is Node:
            self.fail(
                "`a if c else b` chooses between values, not tensors",
                chosen.span,
                help=f"choose with a statement: `if {expr.condition.span.text} {{ ... }} else {{ ... }}`",
            )
        return value

    def list_(self, expr: ListExpr, env: Env, current: Any) -> Any:
        items = tuple([self.eval(item, env, current) for item in expr.items])
        for item in items:
            if type(item) is tuple:
                break
        else:
            return items
        try:
            self.charge_lists(items, expr.span)
            return make_list(items)
        except ValueProblem as problem:
            self.fail(problem.message, expr.span, help=problem.help)

    def index(self, expr: Index, env: Env, current: Any) -> Any:
        value = self.eval(expr.base, env, current)
        for index in expr.indices:
            at = self.eval(index, env, current)
            if type(value) is not tuple:
                self.fail(f"an index is taken of a list, not {type_name(value)}", expr.base.span)
            if type(at) is not int:
                got = shown_number(at) if is_number(at) else type_name(at)
                help = "write `floor(...)`, `ceil(...)` or `round(...)`" if is_number(at) else ""
                self.fail(f"an index is a whole number, got {got}", index.span, help=help)
            if not -len(value) <= at < len(value):
                label = f"0 to {len(value) - 1}" if value else ""
                self.fail(f"the index {at} is outside a list of {len(value)}", index.span, label=label)
            value = value[at]
        return value

    # -- names and calls

    def ref(self, ref: Ref, env: Env, current: Any, label: str = "") -> Any:
        return self._refs[type(ref.meaning)](ref, env, current, label)

    def local(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        value = env[ref.name]
        if value is FAILED:
            raise Failed
        return value

    def builtin(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        values = [self.eval(expr, env, current) for _, expr in ref.slots]
        try:
            self.charge_lists(values, ref.span)
            value = ref.meaning.call(*values)
        except ValueProblem as problem:
            self.fail(problem.message, ref.span, help=problem.help)
        if type(value) is tuple:
            self.charge(len(value) // VALUES_A_STEP, ref.span)
        return value

    def function(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        function: Function = ref.meaning
        inner = self.given(ref, function.params, env, current)
        for slot, expr in ref.slots:
            name = function.params[slot].name
            if type(inner[name]) is Node:
                self.fail(f"`{name}` of `{function.name}` takes a value, not a tensor", expr.span)
        calls, depth = self.calls, self.depth
        self.deeper(ref, function.cost)
        self.calls = CallSite(function.name, ref.name_span, calls)
        try:
            if len(inner) < len(function.params):
                self.defaults(function.params, inner, None)
            return self.eval(function.value, inner, None)
        finally:
            self.calls, self.depth = calls, depth

    def given(self, ref: Ref, params: tuple[Param, ...], env: Env, current: Any) -> Env:
        """The parameters that a call gives, in the order of reading."""
        evaluate = self._evaluate
        inner: Env = {}
        for slot, expr in ref.slots:
            inner[params[slot].name] = evaluate[type(expr)](expr, env, current)
        return inner

    def defaults(self, params: tuple[Param, ...], inner: Env, current: Any) -> None:
        """Fill in the parameters that a call does not give."""
        for param in params:
            if param.name not in inner:
                assert param.default is not None
                inner[param.name] = self.eval(param.default, inner, current)

    # -- limits

    def deeper(self, ref: Ref, cost: int) -> None:
        self.depth += 1
        if self.depth > MAX_CALLS:
            self.give_up(f"calls are nested more than {MAX_CALLS} deep", ref.name_span)
        self.charge(cost, ref.name_span)

    def charge(self, steps: int, span: Span) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            self.give_up(f"`{self.name}` takes more than {MAX_STEPS:,} steps", span)

    def charge_lists(self, values: Iterable[Any], span: Span) -> None:
        """Work on long lists takes time too."""
        for value in values:
            if type(value) is tuple:
                self.charge(weight(value) // VALUES_A_STEP, span)


def _call_notes(calls: list[CallSite]) -> tuple[Note, ...]:
    """The calls around a mistake, innermost first; of many, the first two and the last."""
    shown = calls if len(calls) <= 4 else calls[:2]
    notes = [Note(f"in a call of `{call.block}`", call.span) for call in shown]
    if len(calls) > 4:
        notes.append(Note(f"in {len(calls) - 3} more calls"))
        notes.append(Note(f"in a call of `{calls[-1].block}`", calls[-1].span))
    return tuple(notes)


def constant(text: str, shown: str) -> Any:
    """The value of an expression without names, such as that of an option; `shown` names its origin.

    Raises `ArchError`, with the place in the text.

    >>> constant("[64, 2 * 64]", "--set channels")
    (64, 128)
    """
    source = Source(shown, text)
    expr = parse_value(source)
    problems = resolve_value(expr)
    if isinstance(expr, Ref) and expr.args is None and problems:
        help = f'write `"{expr.name}"` if a string is meant'
        raise error(problems[0].message, expr.span, help=help)
    if problems:
        raise ArchError(problems)
    evaluator = Evaluator(shown)
    try:
        return evaluator.eval(expr, {}, None)
    except Failed:
        raise ArchError(evaluator.problems) from None
