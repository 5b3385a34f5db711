"""Evaluates expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archcalc import number
from archcalc.diagnostics import CallSite, Span
from archcalc.language.limits import VALUES_A_STEP
from archcalc.language.meanings import LocalName
from archcalc.language.run_state import FAILED, Failed, RunState
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
    got,
    is_number,
    make_list,
    to_whole,
    type_name,
)
from archcalc.network import Node
from archcalc.number import as_whole

Env = dict[str, Any]


class ValueEvaluator:
    """Evaluates expressions.

    `forms` has a function for each class of expression. `meanings` has one for each class of meaning that a
    name or a call can have. The elaborator and the evaluator of claims add their own.
    """

    def __init__(self, run: RunState) -> None:
        self.run = run
        self.forms: dict[Any, Callable[[Any, Env, Any], Any]] = {
            Ref: self.ref,
            Literal: self.literal,
            Binary: self.binary,
            Unary: self.unary,
            Choice: self.choice,
            ListExpr: self.list_,
            Index: self.index,
        }
        self.meanings: dict[Any, Callable[[Ref, Env, Any, str], Any]] = {
            LocalName: self.local,
            Function: self.function,
            Builtin: self.builtin,
        }

    # -- expressions

    def eval(self, expr: Expr, env: Env, current: Any) -> Any:
        return self.forms[type(expr)](expr, env, current)

    def literal(self, expr: Literal, env: Env, current: Any) -> Any:
        return expr.value

    def truth(self, expr: Expr, env: Env, current: Any) -> bool:
        value = self.forms[type(expr)](expr, env, current)
        if not isinstance(value, bool):
            help = f"compare it: `{expr.span.text} > 0`" if is_number(value) and isinstance(expr, Ref) else ""
            self.run.fail(f"a condition must be true or false, not {type_name(value)}", expr.span, help=help)
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
        evaluate = self.forms
        left = evaluate[type(expr.first)](expr.first, env, current)
        for op, operand in expr.rest:
            right = evaluate[type(operand)](operand, env, current)
            try:
                if type(left) is tuple:
                    self.run.charge_lists((left, right), expr.span)
                left = binary(op, left, right)
            except ValueProblem as problem:
                span = operand.span
                if problem.of_both:
                    span = Span(span.source, expr.span.start, span.end)
                self.run.fail(problem.message, span, help=problem.help)
        return left

    def unary(self, expr: Unary, env: Env, current: Any) -> Any:
        if expr.op == "not":
            return not self.truth(expr.operand, env, current)
        value = self.eval(expr.operand, env, current)
        if not is_number(value):
            self.run.fail(f"`-` needs a number, not {type_name(value)}", expr.span)
        return -value

    def choice(self, expr: Choice, env: Env, current: Any) -> Any:
        if number.active is not None:
            traced = number.active.choice(self, expr, env, current)
            if traced is not NotImplemented:
                return traced
        chosen = expr.if_true if self.truth(expr.condition, env, current) else expr.if_false
        value = self.eval(chosen, env, current)
        if type(value) is Node:
            self.run.fail(
                "`a if c else b` chooses between values, not tensors",
                chosen.span,
                help=f"use the statement `if`: `if {expr.condition.span.text} {{ ... }} else {{ ... }}`",
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
            self.run.charge_lists(items, expr.span)
            return make_list(items)
        except ValueProblem as problem:
            self.run.fail(problem.message, expr.span, help=problem.help)

    def index(self, expr: Index, env: Env, current: Any) -> Any:
        value = self.eval(expr.base, env, current)
        for index in expr.indices:
            at = self.eval(index, env, current)
            if type(value) is not tuple:
                self.run.fail(f"only a list can be indexed, not {type_name(value)}", expr.base.span)
            if as_whole(at) is None:
                self.run.fail(
                    f"an index must be a whole number, got {got(at)}", index.span, help=to_whole(at)
                )
            if not -len(value) <= at < len(value):
                label = f"0 to {len(value) - 1}" if value else ""
                self.run.fail(f"the index {at} is outside a list of {len(value)}", index.span, label=label)
            value = value[as_whole(at)]
        return value

    # -- names and calls

    def ref(self, ref: Ref, env: Env, current: Any, label: str = "") -> Any:
        return self.meanings[type(ref.meaning)](ref, env, current, label)

    def local(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        value = env[ref.name]
        if value is FAILED:
            raise Failed
        return value

    def builtin(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        values = [self.eval(expr, env, current) for _, expr in ref.slots]
        try:
            self.run.charge_lists(values, ref.span)
            value = ref.meaning.call(*values)
        except ValueProblem as problem:
            self.run.fail(problem.message, ref.span, help=problem.help)
        if type(value) is tuple:
            self.run.charge(len(value) // VALUES_A_STEP, ref.span)
        return value

    def function(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        function: Function = ref.meaning
        inner = self.given(ref, function.params, env, current)
        for slot, expr in ref.slots:
            name = function.params[slot].name
            if type(inner[name]) is Node:
                self.run.fail(f"`{name}` of `{function.name}` needs a value, not a tensor", expr.span)
        calls, depth = self.run.calls, self.run.depth
        self.run.deeper(ref, function.cost)
        self.run.calls = CallSite(function.name, ref.name_span, calls)
        try:
            if len(inner) < len(function.params):
                self.defaults(function.params, inner, None)
            return self.eval(function.value, inner, None)
        finally:
            self.run.calls, self.run.depth = calls, depth

    def given(self, ref: Ref, params: tuple[Param, ...], env: Env, current: Any) -> Env:
        """The parameters that a call sets, evaluated from left to right."""
        evaluate = self.forms
        inner: Env = {}
        for slot, expr in ref.slots:
            inner[params[slot].name] = evaluate[type(expr)](expr, env, current)
        return inner

    def defaults(self, params: tuple[Param, ...], inner: Env, current: Any) -> None:
        """Set the parameters that a call does not set to their defaults."""
        for param in params:
            if param.name not in inner:
                assert param.default is not None
                inner[param.name] = self.eval(param.default, inner, current)
