"""Expressions over networks: `params(vgg16) / params(alexnet)`.

The operators, numbers, lists, and functions are those of the language. A call asks for a figure:
`macs(resnet50, "conv4_x")`. `functions.py` has the calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from msgspec import Struct
from msgspec.structs import replace

from archcalc.audit.networks import Networks
from archcalc.catalog import shipped_files
from archcalc.checking.evaluate import compare
from archcalc.diagnostics import ArchError, Diagnostic, Note, Span, unknown
from archcalc.language.evaluate import Env, ValueEvaluator
from archcalc.language.run_state import Failed, RunState
from archcalc.language.syntax import Assertion, Body, Chain, Expr, ListExpr, Literal, Ref
from archcalc.language.values import BUILTINS, is_number, type_name
from archcalc.network import Network
from archcalc.profile import LayerProfile, Profile
from archcalc.render.numbers import plural


class Asked(Struct, frozen=True, eq=False):
    """A figure that a statement asks for: the call as written, and its value.

    A quantity has the profile and the path where it is found. Other values have the `layers` that they
    come from.
    """

    text: str
    value: Any
    profile: Profile | None = None
    quantity: str = ""
    path: str = ""
    layers: tuple[LayerProfile, ...] = ()


class StatementFunction(Struct, frozen=True):
    """What a call means: how it is written, its parameters, and how many of them must be given."""

    usage: str
    parameters: tuple[str, ...]
    required: int
    call: Callable[[FigureEvaluator, Ref, dict[str, Expr]], Any]


class FigureEvaluator:
    """Evaluates one text. Names mean networks and figures of networks; it has no layers."""

    def __init__(self, networks: Networks, functions: Mapping[str, StatementFunction]) -> None:
        run = RunState("the statement")
        self.values = ValueEvaluator(run)
        self.values.forms |= {Ref: self.ref, Chain: self.layers, Body: self.layers}
        self.eval, self.fail, self.note, self.problems = self.values.eval, run.fail, run.note, run.problems
        self.networks = networks
        self.functions = functions
        self.asked: list[Asked] = []

    def evaluate(self, expr: Expr) -> Any:
        """The value of an expression. Raises `ArchError` with the mistakes in it."""
        try:
            return self.eval(expr, {}, None)
        except Failed:
            raise ArchError(self.problems) from None

    # -- expressions

    def ref(self, ref: Ref, env: Env, current: Any, label: str = "") -> Any:
        function = self.functions.get(ref.name)
        if function is not None:
            if ref.args is None:
                self.fail(f"`{ref.name}` needs its arguments", ref.span, help=f"write `{function.usage}`")
            return self.called(function, ref, self.arguments(ref, function.parameters, function.required))
        if ref.name in BUILTINS:
            return self.builtin_call(ref)
        if ref.name in shipped_files():
            self.fail(
                f"`{ref.name}` is a network, not a figure",
                ref.span,
                help=f"write `params({ref.span.text})`",
            )
        known = [*self.functions, *BUILTINS, *shipped_files()]
        what = "name" if ref.args is None else "quantity or function"
        return self.fail_with(unknown(f"unknown {what}", ref.name, known, ref.name_span))

    def called(self, function: StatementFunction, ref: Ref, given: dict[str, Expr]) -> Any:
        """The value of a call. For a list of networks or of names, it is the list of their values."""
        for name in ("net", "name"):
            several = given.get(name)
            if isinstance(several, ListExpr):
                return tuple(
                    self.one_of(several, one, function, ref, {**given, name: one}) for one in several.items
                )
        return function.call(self, ref, given)

    def one_of(
        self, several: Expr, one: Expr, function: StatementFunction, ref: Ref, given: dict[str, Expr]
    ) -> Any:
        """The value for one item of a list, noted as if the call were written for this item alone."""
        value = self.called(function, ref, given)
        asked = self.asked[-1]
        self.asked[-1] = replace(asked, text=asked.text.replace(several.span.text, one.span.text, 1))
        return value

    def builtin_call(self, ref: Ref) -> Any:
        builtin = ref.meaning = BUILTINS[ref.name]
        args = ref.args or ()
        for arg in args:
            if arg.name:
                self.fail(f"`{ref.name}` takes its arguments by position", arg.span)
        if not builtin.fewest <= len(args) <= builtin.most:
            self.fail(f"`{ref.name}` does not take {plural(len(args), 'argument')}", ref.span)
        ref.slots = tuple((0, arg.value) for arg in args)
        return self.values.builtin(ref, {}, None, "")

    def layers(self, expr: Chain | Body, env: Env, current: Any) -> NoReturn:
        self.fail("a statement computes values and cannot contain layers", expr.span)

    # -- arguments of calls

    def arguments(self, ref: Ref, names: tuple[str, ...], required: int) -> dict[str, Expr]:
        """The arguments of a call by the names of its parameters."""
        given: dict[str, Expr] = {}
        for index, arg in enumerate(ref.args or ()):
            name = arg.name or (names[index] if index < len(names) else "")
            if not name:
                self.fail(f"`{ref.name}` takes at most {plural(len(names), 'argument')}", arg.span)
            if name not in names:
                what = f"`{ref.name}` has no argument"
                self.fail_with(unknown(what, name, names, arg.span, listing="its arguments"))
            if name in given:
                self.fail(f"the argument `{name}` of `{ref.name}` is given twice", arg.span)
            given[name] = arg.value
        for name in names[:required]:
            if name not in given:
                self.fail(f"`{ref.name}` needs `{name}`", ref.span)
        return given

    def network(self, expr: Expr) -> Network:
        """The network that an argument names: a built-in one, `vgg16(classes=10)`, or a `NET` in quotes."""
        try:
            if isinstance(expr, Literal) and isinstance(expr.value, str):
                return self.networks.opened(expr.value)
            if not isinstance(expr, Ref):
                self.fail("expected a network", expr.span, help="write its name: `params(vgg16)`")
            if expr.name not in shipped_files():
                help = "`archcalc list` lists the built-in networks"
                known = shipped_files()
                self.fail_with(unknown("there is no network", expr.name, known, expr.name_span, help=help))
            given: dict[str, Any] = {}
            for arg in expr.args or ():
                if not arg.name or arg.name in given:
                    help = f"write `{expr.name}(width=0.5)`, or `{expr.name}(input=3x192x192)`"
                    self.fail("a network takes values by name, and each name only once", arg.span, help=help)
                given[arg.name] = self.eval(arg.value, {}, None)
            return self.networks.shipped(expr.name, given)
        except ArchError as found:
            self.fail_at(expr.span, found)

    def text(self, given: dict[str, Expr], name: str) -> str:
        """A string argument; empty if it is left out."""
        value = self.eval(given[name], {}, None) if name in given else ""
        if not isinstance(value, str):
            self.fail(f"`{name}` is a string, not {type_name(value)}", given[name].span, help="write quotes")
        return value

    def flag(self, given: dict[str, Expr], name: str) -> bool:
        value = self.eval(given[name], {}, None) if name in given else False
        if not isinstance(value, bool):
            self.fail(f"`{name}` is `true` or `false`, not {type_name(value)}", given[name].span)
        return value

    def fail_with(self, found: ArchError) -> NoReturn:
        """Fail with mistakes that have a place in this text."""
        for problem in found.diagnostics:
            self.note(problem)
        raise Failed

    def fail_at(self, span: Span, found: ArchError) -> NoReturn:
        """Fail with mistakes found elsewhere, shown at a place in this text."""
        for problem in found.diagnostics:
            notes = problem.notes
            if problem.span is not None:
                notes = (Note("this comes from here", problem.span), *notes)
            self.note(Diagnostic(problem.message, span, problem.label, notes, problem.help))
        raise Failed

    # -- relations

    def judge(self, stated: Assertion, left: Any, right: Any) -> bool:
        """Does a statement hold? Raises `ArchError` if its sides cannot be compared."""
        try:
            return self.holds(stated, left, right)
        except Failed:
            raise ArchError(self.problems) from None

    def holds(self, stated: Assertion, left: Any, right: Any) -> bool:
        if isinstance(left, tuple) and not isinstance(right, tuple):
            return bool(left) and all(self.holds(stated, item, right) for item in left)
        if is_number(left) and is_number(right):
            step = stated.figure.step if stated.figure is not None else 0
            return compare(left, stated.relation, right, step, stated.percent)
        if stated.relation != "==":
            one, other = type_name(left), type_name(right)
            message = f"`{stated.relation}` compares numbers, not {one} with {other}"
            self.fail(message, stated.span)
        return self.equal(stated, left, right)

    def equal(self, stated: Assertion, left: Any, right: Any) -> bool:
        if isinstance(left, tuple) and isinstance(right, tuple):
            if len(left) != len(right):
                return False
            return all(self.equal(stated, one, other) for one, other in zip(left, right, strict=True))
        if type(left) is not type(right) and not (is_number(left) and is_number(right)):
            message = f"`==` cannot compare {type_name(left)} with {type_name(right)}"
            self.fail(message, stated.span)
        return bool(left == right)
