"""Resolves names: finds the meaning of every name before anything is expanded.

This checks all that does not depend on shapes: names, scopes, the arguments of every call, and values
where tensors belong, or the reverse. Blocks that are never called are checked too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from archcalc.diagnostics import Diagnostic, Span, shorten
from archcalc.expect import Expect, check_expectation
from archcalc.language.scopes import ANY, LIST, VALUE, Binding, Scopes
from archcalc.language.syntax import (
    Block,
    Body,
    Chain,
    Definition,
    ExpectLine,
    Expr,
    Flow,
    For,
    Function,
    If,
    Imported,
    Net,
    Param,
    Repeat,
    SeeLine,
    Statement,
    Variant,
    WrittenLine,
    written_lines,
)
from archcalc.language.typecheck import TypeChecker, count

CODE = re.compile(r"[A-Za-z_]\w{0,59}(\.[A-Za-z_]\w{0,59}){0,3}", re.ASCII)
"""The calls that `written` accepts: `F.relu`, `Tensor.mean`, `LayerNorm2d`."""


def resolve_value(expr: Expr, names: Collection[str] = ()) -> tuple[list[Diagnostic], tuple[str, ...]]:
    """Resolve an expression that can use some names, such as the value of an option.

    Returns its mistakes, and the names that it uses.
    """
    resolver = Resolver({})
    bindings = {name: Binding(name, expr.span, "param", ANY) for name in names}
    resolver.scopes.open[0].update(bindings)
    resolver.types.tensor_flows, resolver.types.only_values = False, "a value is needed"
    resolver.types.value(expr, "a value is needed")
    uses = tuple(name for name, binding in bindings.items() if binding.read)
    for binding in bindings.values():
        binding.read = True  # a name need not be used
    resolver.scopes.finish()
    return resolver.problems, uses


class Resolver:
    """Resolves the definitions of one file, in order. `problems` collects the mistakes."""

    def __init__(self, imported: Mapping[str, tuple[Definition, Span]], lost: Collection[str] = ()) -> None:
        self.scopes = Scopes(imported, lost)
        self.types = TypeChecker(self.scopes, self.nested)
        self.problems = self.scopes.problems
        self.loops = 0
        """The number of loops around a statement, within its label."""

    # -- definitions

    def file(self, definitions: Sequence[Definition]) -> None:
        self.scopes.below = {definition.name: definition.name_span for definition in definitions}
        for definition in definitions:
            self.definition(definition)
            self.scopes.define(definition)
        self.scopes.check_imports()

    def definition(self, definition: Definition) -> None:
        self.scopes.begin(definition)
        self.loops = 0
        self.types.only_values = "a function computes values" if isinstance(definition, Function) else ""
        self.types.tensor_flows = not isinstance(definition, Function)
        if isinstance(definition, Variant):
            self.variant(definition)
        elif isinstance(definition, Imported):
            self.imported(definition)
        else:
            self.params(definition.params)
        if isinstance(definition, Function):
            self.types.value(definition.value, "a function computes values")
        elif isinstance(definition, Block | Net):
            self.statements(definition.body.statements)
            if isinstance(definition, Net):
                self.net(definition)
        self.scopes.finish()

    def net(self, net: Net) -> None:
        if not net.body.statements and net.body.whole:
            self.scopes.error(
                f"the net `{net.name}` is empty", net.name_span, help="start with `input(3x224x224)`"
            )
        expects = [statement for statement in net.body.statements if isinstance(statement, ExpectLine)]
        missing = [param.name for param in net.params if param.default is None]
        if expects and missing:
            self.scopes.error(
                f"`expect` in a net without a default for `{missing[0]}`",
                expects[0].span,
                help=f"give `{missing[0]}` a default, or move the `expect` to a variant of `{net.name}`",
            )

    def params(self, params: tuple[Param, ...]) -> None:
        """Bind parameters. A default can use the parameters before it."""
        for param in params:
            if param.default is not None:
                outer, self.types.only_values = self.types.only_values, "a default must be a value"
                self.types.value(param.default, "a default must be a value")
                self.types.only_values = outer
            self.scopes.bind(param.name, param.span, "param", ANY)

    def variant(self, variant: Variant) -> None:
        base = self.scopes.visible.get(variant.base)
        self.scopes.used.add(variant.base)
        if not isinstance(base, Net | Variant):
            if isinstance(base, Imported):
                message = f"`{variant.base}` comes from a file and has no parameters"
                help = f'write `net {variant.name} from "..."` with the same file'
                self.scopes.error(message, variant.base_span, help=help)
            elif base is not None:
                self.scopes.error(f"`{variant.base}` is not a net", variant.base_span)
            else:
                nets = [
                    name for name, known in self.scopes.visible.items() if isinstance(known, Net | Variant)
                ]
                self.scopes.miss(variant.base, variant.base_span, "net", nets)
            return
        origin = base if isinstance(base, Net) else base.origin
        if origin is None:
            return
        variant.origin = origin
        variant.defaults = {} if isinstance(base, Net) else dict(base.defaults)
        variant.written = (*base.written, *written_lines(variant.expects))
        self.types.tensor_flows, self.types.only_values = False, "a net's parameter must be a value"
        names = [param.name for param in origin.params]
        given: set[str] = set()
        for index, arg in enumerate(variant.args):
            self.types.value(arg.value, "a net's parameter must be a value")
            name = arg.name
            if not name and isinstance(base, Variant):
                self.scopes.error(
                    f"`{variant.base}` is a variant, so its parameters must be given by name",
                    arg.span,
                    help=f"write `{names[min(index, len(names) - 1)]}=...`" if names else "",
                )
                continue
            if not name:
                if index >= len(names):
                    notes = self.types.signature(origin)
                    self.scopes.error(
                        f"`{variant.base}` has {count(len(names), 'parameter')}", arg.span, notes=notes
                    )
                    continue
                name = names[index]
            if name not in names:
                notes = self.types.signature(origin)
                help = self.scopes.near_miss(name, names)
                self.scopes.error(
                    f"`{variant.base}` has no parameter `{name}`", arg.span, notes=notes, help=help
                )
            elif name in given:
                self.scopes.error(f"the parameter `{name}` is given twice", arg.span)
            else:
                given.add(name)
                variant.defaults[name] = arg.value
        self.statements_about(
            variant.expects, "a variant's body", f"make the difference a parameter of `{origin.name}`"
        )
        missing = [p.name for p in origin.params if p.default is None and p.name not in variant.defaults]
        expects = [statement for statement in variant.expects if isinstance(statement, ExpectLine)]
        if expects and missing:
            self.scopes.error(
                f"`expect` in a variant without a value for `{missing[0]}`",
                expects[0].span,
                help=f"give `{missing[0]}` to `{variant.base}(...)`",
            )

    def imported(self, net: Imported) -> None:
        """Check a net from a file, whose arguments are shapes of inputs, by name."""
        self.types.tensor_flows, self.types.only_values = False, "an input's shape must be a value"
        given: set[str] = set()
        for arg in net.args:
            self.types.value(arg.value, "an input's shape must be a value")
            if not arg.name:
                help = f"write `input={arg.span.text}`, using the name of the input"
                self.scopes.error("the shapes of inputs must be given by name", arg.span, help=help)
            elif arg.name in given:
                self.scopes.error(f"the input `{arg.name}` is given twice", arg.span)
            given.add(arg.name)
        help = f'its layers come from that file; `archcalc convert "{net.path}"` writes them as text'
        self.statements_about(net.expects, "the body of a net from a file", help)

    def statements_about(self, statements: tuple[Statement, ...], where: str, help: str) -> None:
        """Check a body that adds no layers and only makes statements about the net."""
        for statement in statements:
            if isinstance(statement, WrittenLine):
                self.written(statement)
            elif isinstance(statement, ExpectLine):
                self.expectation(statement.expect)
            elif not isinstance(statement, SeeLine):
                message = f"{where} can only contain `expect`, `written`, and `see` lines"
                self.scopes.error(message, statement.span, help=help)

    # -- statements

    def statements(self, statements: tuple[Statement, ...]) -> None:
        for statement in statements:
            if self.scopes.has_many_problems():
                break
            self.statement(statement)

    def nested(self, body: Body) -> None:
        self.scopes.open_scope()
        self.statements(body.statements)
        self.scopes.close_scope()

    def statement(self, statement: Statement) -> None:
        if isinstance(statement, Flow):
            self.flow(statement)
        elif isinstance(statement, If):
            for condition, body in statement.branches:
                self.types.value(condition, "a condition must be true or false")
                self.nested(body)
            if statement.otherwise is not None:
                self.nested(statement.otherwise)
        elif isinstance(statement, For):
            self.types.value(statement.rows, "a loop needs a list")
            self.rebound(statement.rebinds)
            self.loops += 1
            self.scopes.open_scope()
            for name, span in statement.names:
                self.scopes.bind(name, span, "loop", ANY)
            self.statements(statement.body.statements)
            self.scopes.close_scope()
            self.loops -= 1
        elif isinstance(statement, Repeat):
            self.types.value(statement.count, "`repeat` needs a number")
            self.rebound(statement.rebinds)
            self.loops += 1
            self.nested(statement.body)
            self.loops -= 1
        elif isinstance(statement, ExpectLine | WrittenLine | SeeLine):
            word = statement.span.text.split()[0]
            if not isinstance(self.scopes.current, Net):
                self.scopes.error(
                    f"`{word}` is only allowed in nets", statement.span, help="move it to the net"
                )
            elif len(self.scopes.open) > 1:
                self.scopes.error(
                    f"`{word}` must be directly in the body of a net",
                    statement.span,
                    help="move it out of the inner `{ }`",
                )
            elif isinstance(statement, ExpectLine):
                self.expectation(statement.expect)
            elif isinstance(statement, WrittenLine):
                self.written(statement)

    def rebound(self, names: Collection[str]) -> None:
        """Forget the types of names that a loop binds again, from its first line on."""
        for name in names:
            binding = self.scopes.lookup(name)
            if binding is not None:
                binding.type = ANY

    def expectation(self, expect: Expect) -> None:
        problem = check_expectation(expect)
        if problem is not None:
            self.problems.append(problem)

    def written(self, line: WrittenLine) -> None:
        if not CODE.fullmatch(line.code):
            help = 'write `"F.relu"`, `"torch.mean"`, or the name of a class: `"LayerNorm2d"`'
            self.scopes.error(f"`{shorten(line.code)}` is not a Python name", line.span, help=help)

    def flow(self, flow: Flow) -> None:
        if flow.binds in ("output", "aux") and not isinstance(self.scopes.current, Net):
            self.scopes.error(
                f"`{flow.binds}` is only allowed in nets", flow.span, help="mark results in the net"
            )
        if flow.binds == "label":
            flow.in_loop = self.loops > 0
        if flow.binds == "label" and isinstance(flow.chain, Chain | Body):
            loops, self.loops = self.loops, 0
            type = self.types.expr(flow.chain)
            self.loops = loops
        elif flow.binds == "let":
            type = self.types.expr(flow.chain)
        else:
            type = self.types.step(flow.chain)
        if type in (VALUE, LIST) and flow.binds != "let":
            message, help = value_in_place(flow)
            self.scopes.error(message, flow.chain.span, help=help)
        if flow.binds:
            assert flow.name_span is not None
            holds_layer = flow.binds == "let" and self.types.adds_layers(flow.chain)
            self.scopes.bind(flow.name, flow.name_span, flow.binds, type, holds_layer)


def value_in_place(flow: Flow) -> tuple[str, str]:
    """The message and the help for a line that must be a tensor but is a value."""
    text = flow.chain.span.text
    shown = text if len(text) <= 40 and "\n" not in text else "..."
    if flow.binds == "label":
        return f"the label `{flow.name}` names a value, not a tensor", f"write `{flow.name} = {shown}`"
    if flow.binds:
        return f"`{flow.binds}` marks a tensor, not a value", ""
    return "this line is a value, and has no effect", f"assign it with `name = {shown}`, or remove it"
