"""Names to meanings: what every name stands for, before anything is expanded.

Checks what can be known without shapes: names, scopes, the arguments of every call, and values where
tensors belong (and the other way round). It runs over blocks that are never called too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from archcalc.language.syntax import (
    Arg,
    Binary,
    Block,
    Body,
    Chain,
    Choice,
    Definition,
    Expect,
    Expr,
    Flow,
    For,
    Function,
    If,
    Index,
    ListExpr,
    Literal,
    Net,
    Param,
    Ref,
    Repeat,
    Statement,
    Unary,
    Variant,
)
from archcalc.language.values import BUILTINS, Builtin
from archcalc.layers.base import KINDS, Layer
from archcalc.quantities import check_expectation
from archcalc.source import Diagnostic, Note, Span, near_miss

TENSOR, VALUE, ANY = "tensor", "value", "any"


class Local(Struct, frozen=True):
    """The meaning of a parameter, a label, or a name that `=` or a loop bound."""


class LayerCall(Struct, eq=False):
    """The meaning of a layer's name: its class, and the layer itself once its arguments are known."""

    layer: type[Layer]
    constant: bool
    ready: Layer | None = None


class Reading(Struct, frozen=True):
    """The meaning of `channels`, `size`, `shape` and `identity`."""

    name: str


class InputCall(Struct, frozen=True):
    """The meaning of `input`."""


LOCAL = Local()
INPUT = InputCall()
READINGS = {name: Reading(name) for name in ("channels", "size", "shape", "identity")}
RESERVED_MEANINGS: dict[str, Any] = {**READINGS, "input": INPUT, **BUILTINS}


class Binding(Struct, eq=False):
    """A name bound within a definition; `sort` is what the value is known to be."""

    name: str
    span: Span
    by: str
    sort: str
    read: bool = False
    holds_layer: bool = False


class Resolver:
    """Resolves the definitions of one file, in order; `problems` collects what is wrong."""

    def __init__(self, imported: Mapping[str, tuple[Definition, Span]]) -> None:
        self.problems: list[Diagnostic] = []
        self.visible: dict[str, Definition] = {}
        self.places: dict[str, Span] = {}
        self.imported = imported
        self.used: set[str] = set()
        for name, (definition, span) in imported.items():
            if self.free(name, span):
                self.visible[name] = definition
                self.places[name] = span
        self.scopes: list[dict[str, Binding]] = []
        self.current: Definition | None = None
        self.below: dict[str, Span] = {}
        self.layers_allowed = True
        self.tensor_flows = True
        self.loops = 0

    def error(
        self, message: str, span: Span, help: str = "", label: str = "", notes: Sequence[Note] = ()
    ) -> None:
        self.problems.append(Diagnostic(message, span, label, tuple(notes), help))

    # -- definitions

    def file(self, definitions: Sequence[Definition]) -> None:
        self.below = {definition.name: definition.name_span for definition in definitions}
        for definition in definitions:
            self.definition(definition)
            if self.free(definition.name, definition.name_span):
                self.visible[definition.name] = definition
                self.places[definition.name] = definition.name_span
                self.below.pop(definition.name, None)
        for name, (_, span) in self.imported.items():
            if name not in self.used:
                self.error(f"the import `{name}` is never used", span, help="remove it")

    def free(self, name: str, span: Span) -> bool:
        """May a definition have this name? Notes the mistake if not."""
        if name in self.visible:
            note = Note(f"`{name}` is defined here", self.places[name])
            self.error(f"`{name}` is defined twice", span, notes=[note], help="give one of them another name")
            return False
        if name in KINDS or name in RESERVED_MEANINGS:
            self.error(f"`{name}` is a name of the language", span, help="choose another name")
            return False
        return True

    def definition(self, definition: Definition) -> None:
        self.current = definition
        self.scopes = [{}]
        self.loops = 0
        self.layers_allowed = True
        self.tensor_flows = not isinstance(definition, Function)
        if isinstance(definition, Variant):
            self.variant(definition)
            return
        self.params(definition.params)
        if isinstance(definition, Function):
            self.layers_allowed = False
            self.value(definition.value, "a function computes values")
        elif isinstance(definition, Block | Net):
            self.statements(definition.body.statements)
            if isinstance(definition, Net):
                self.net(definition)
        self.close_scope()

    def net(self, net: Net) -> None:
        if not net.body.statements:
            self.error(f"the net `{net.name}` is empty", net.name_span, help="start with `input(3x224x224)`")
        expects = [statement for statement in net.body.statements if isinstance(statement, Expect)]
        missing = [param.name for param in net.params if param.default is None]
        if expects and missing:
            self.error(
                f"`expect` in a net without a default for `{missing[0]}`",
                expects[0].span,
                help=f"give `{missing[0]}` a default, or move the `expect` to a variant of `{net.name}`",
            )

    def params(self, params: tuple[Param, ...]) -> None:
        """Bind parameters; a default sees those before it."""
        for param in params:
            if param.default is not None:
                allowed, self.layers_allowed = self.layers_allowed, False
                self.value(param.default, "a default is a value")
                self.layers_allowed = allowed
            self.bind(param.name, param.span, "param", ANY)

    def variant(self, variant: Variant) -> None:
        base = self.visible.get(variant.base)
        self.used.add(variant.base)
        if not isinstance(base, Net | Variant):
            if base is not None:
                self.error(f"`{variant.base}` is not a net", variant.base_span)
            else:
                nets = [name for name, known in self.visible.items() if isinstance(known, Net | Variant)]
                self.unknown(variant.base, variant.base_span, "net", nets)
            return
        origin = base if isinstance(base, Net) else base.origin
        if origin is None:
            return
        variant.origin = origin
        variant.defaults = {} if isinstance(base, Net) else dict(base.defaults)
        self.layers_allowed = self.tensor_flows = False
        names = [param.name for param in origin.params]
        given: set[str] = set()
        for index, arg in enumerate(variant.args):
            self.value(arg.value, "a net's parameter is a value")
            name = arg.name
            if not name and isinstance(base, Variant):
                self.error(
                    f"`{variant.base}` is a variant: its parameters are given by name",
                    arg.span,
                    help=f"write `{names[min(index, len(names) - 1)]}=...`" if names else "",
                )
                continue
            if not name:
                if index >= len(names):
                    self.error(f"`{variant.base}` takes {len(names)} parameters", arg.span)
                    continue
                name = names[index]
            if name not in names:
                help = near_miss(name, names) or f"it takes {', '.join(f'`{n}`' for n in names)}"
                self.error(f"`{variant.base}` has no parameter `{name}`", arg.span, help=help)
            elif name in given:
                self.error(f"the parameter `{name}` is given twice", arg.span)
            else:
                given.add(name)
                variant.defaults[name] = arg.value
        for statement in variant.expects:
            if not isinstance(statement, Expect):
                self.error(
                    "a variant's body holds `expect` lines only",
                    statement.span,
                    help=f"make it a parameter of `{origin.name}`",
                )
                continue
            self.expectation(statement)
        missing = [p.name for p in origin.params if p.default is None and p.name not in variant.defaults]
        if variant.expects and missing:
            self.error(
                f"`expect` in a variant without a value for `{missing[0]}`",
                variant.expects[0].span,
                help=f"give `{missing[0]}` to `{variant.base}(...)`",
            )

    # -- scopes

    def close_scope(self) -> None:
        for binding in self.scopes.pop().values():
            if binding.read or binding.by not in ("param", "let"):
                continue
            if binding.by == "param":
                self.error(f"the parameter `{binding.name}` is never used", binding.span, help="remove it")
            elif binding.holds_layer:
                self.error(
                    f"nothing uses `{binding.name}`",
                    binding.span,
                    help=f"write `{binding.name}: ...` to name the tensor and go on from it",
                )
            else:
                self.error(f"`{binding.name}` is never used", binding.span, help="remove it")

    def lookup(self, name: str) -> Binding | None:
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        return None

    def bind(self, name: str, span: Span, by: str, sort: str, holds_layer: bool = False) -> None:
        """Bind a name in the innermost scope; `=` may bind again what `=` bound."""
        known = self.lookup(name)
        if known is not None:
            if by == "let" and known.by == "let":
                if known.sort != sort:
                    known.sort = ANY
                return
            note = Note(f"`{name}` is bound here", known.span)
            self.error(f"`{name}` is taken", span, notes=[note], help="choose another name")
            return
        if name in self.visible:
            note = Note(f"`{name}` is defined here", self.places[name])
            self.error(f"`{name}` is taken", span, notes=[note], help="choose another name")
        elif name in KINDS or name in RESERVED_MEANINGS:
            self.error(f"`{name}` is a name of the language", span, help="choose another name")
        elif self.current is not None and name == self.current.name and by != "param":
            note = Note(f"`{name}` is defined here", self.current.name_span)
            self.error(f"`{name}` is taken", span, notes=[note], help="choose another name")
        self.scopes[-1][name] = Binding(name, span, by, sort, holds_layer=holds_layer)

    def unknown(self, name: str, span: Span, what: str, candidates: Sequence[str]) -> None:
        notes: list[Note] = []
        if self.current is not None and name == self.current.name:
            self.error(
                f"`{name}` stands in its own definition",
                span,
                help="nothing recurses: write a loop, or split the definition in two",
            )
            return
        if name in self.below:
            notes = [Note(f"`{name}` is defined further down", self.below[name])]
            self.error(
                f"`{name}` is not defined yet", span, notes=notes, help="definitions stand above their use"
            )
            return
        self.error(f"unknown {what} `{name}`", span, help=near_miss(name, candidates))

    def all_names(self) -> list[str]:
        local = [name for scope in self.scopes for name in scope]
        return [*local, *self.visible, *KINDS, *RESERVED_MEANINGS]

    # -- statements

    def statements(self, statements: tuple[Statement, ...]) -> None:
        for statement in statements:
            self.statement(statement)

    def nested(self, body: Body) -> None:
        self.scopes.append({})
        self.statements(body.statements)
        self.close_scope()

    def statement(self, statement: Statement) -> None:
        if isinstance(statement, Flow):
            self.flow(statement)
        elif isinstance(statement, If):
            for condition, body in statement.branches:
                self.value(condition, "a condition is a truth value")
                self.nested(body)
            if statement.otherwise is not None:
                self.nested(statement.otherwise)
        elif isinstance(statement, For):
            self.value(statement.rows, "a loop runs over a list")
            self.loops += 1
            self.scopes.append({})
            for name, span in statement.names:
                self.bind(name, span, "loop", ANY)
            self.statements(statement.body.statements)
            self.close_scope()
            self.loops -= 1
        elif isinstance(statement, Repeat):
            self.value(statement.count, "`repeat` takes a number")
            self.loops += 1
            self.nested(statement.body)
            self.loops -= 1
        elif isinstance(statement, Expect):
            if not isinstance(self.current, Net):
                self.error("`expect` stands in nets only", statement.span, help="move it to the net")
            elif len(self.scopes) > 1:
                self.error(
                    "`expect` stands directly in the body of a net",
                    statement.span,
                    help="it is checked once, whatever the conditions and loops",
                )
            else:
                self.expectation(statement)

    def expectation(self, statement: Expect) -> None:
        problem = check_expectation(statement)
        if problem is not None:
            self.problems.append(problem)

    def flow(self, flow: Flow) -> None:
        if flow.binds in ("output", "aux") and not isinstance(self.current, Net):
            self.error(f"`{flow.binds}` stands in nets only", flow.span, help="let the net mark its results")
        if flow.binds == "label":
            flow.in_loop = self.loops > 0
            if isinstance(flow.chain, Chain | Body):
                loops, self.loops = self.loops, 0
                sort = self.expr(flow.chain)
                self.loops = loops
            else:
                sort = self.expr(flow.chain)
        else:
            sort = self.expr(flow.chain)
        if sort == VALUE and flow.binds != "let":
            if flow.binds == "label":
                self.error(
                    f"the label `{flow.name}` stands on a value",
                    flow.chain.span,
                    help=f"write `{flow.name} = ...` to bind a value",
                )
            elif flow.binds:
                self.error(f"`{flow.binds}` marks a tensor, this is a value", flow.chain.span)
            else:
                self.error(
                    "this line is a value and does nothing",
                    flow.chain.span,
                    help="bind it with `name = ...`, or remove it",
                )
        if flow.binds:
            assert flow.name_span is not None
            bound = TENSOR if flow.binds != "let" else sort
            self.bind(flow.name, flow.name_span, flow.binds, bound, holds_layer=_adds_layers(flow.chain))

    # -- expressions: each returns what the value is known to be

    def value(self, expr: Expr, why: str) -> None:
        """An expression that must not be a tensor."""
        if self.expr(expr) == TENSOR:
            self.error(f"{why}, this is a tensor", expr.span)

    def expr(self, expr: Expr) -> str:
        if isinstance(expr, Ref):
            return self.ref(expr)
        if isinstance(expr, Literal):
            return VALUE
        if isinstance(expr, Chain):
            if not self.layers_allowed:
                self.error("layers cannot stand here, only values", expr.span)
            for step in expr.steps:
                if self.expr(step) == VALUE:
                    self.error(
                        "a step of a chain is a layer, a block or a tensor; this is a value", step.span
                    )
            return TENSOR
        if isinstance(expr, ListExpr):
            for item in expr.items:
                self.expr(item)
            return VALUE
        if isinstance(expr, Binary):
            self.operands(expr)
            return VALUE
        if isinstance(expr, Unary):
            self.value(expr.operand, f"`{expr.op}` takes a value")
            return VALUE
        if isinstance(expr, Index):
            self.value(expr.base, "an index is taken of a list")
            for index in expr.indices:
                self.value(index, "an index is a number")
            return ANY
        if isinstance(expr, Choice):
            self.value(expr.condition, "a condition is a truth value")
            for branch in (expr.if_true, expr.if_false):
                if self.expr(branch) == TENSOR:
                    self.error(
                        "`a if c else b` chooses between values, this is a tensor",
                        branch.span,
                        help="choose layers with an `if` statement: `if c { ... } else { ... }`",
                    )
            return VALUE
        assert isinstance(expr, Body)
        if not self.layers_allowed:
            self.error("layers cannot stand here, only values", expr.span)
        self.nested(expr)
        return TENSOR

    def operands(self, expr: Binary) -> None:
        sorts = [self.expr(expr.first), *(self.expr(operand) for _, operand in expr.rest)]
        if TENSOR not in sorts:
            return
        joins = {"+": "add(x, y)", "*": "mul(x, y)", "-": "sub(x, y)"}
        op = expr.rest[0][0]
        self.error(
            f"`{op}` computes with values, not tensors",
            expr.span,
            help=f"write `{joins[op]}`" if op in joins else "",
        )

    def ref(self, ref: Ref) -> str:
        binding = self.lookup(ref.name)
        if binding is not None:
            binding.read = True
            ref.meaning = LOCAL
            if ref.args is not None:
                self.not_callable(ref, binding)
            return binding.sort
        definition = self.visible.get(ref.name)
        if definition is not None:
            self.used.add(ref.name)
            return self.definition_ref(ref, definition)
        if ref.name in KINDS:
            return self.layer_ref(ref)
        builtin = BUILTINS.get(ref.name)
        if builtin is not None:
            return self.builtin_ref(ref, builtin)
        if ref.name in READINGS:
            return self.reading_ref(ref)
        if ref.name == "input":
            return self.input_ref(ref)
        for arg in ref.args or ():
            self.expr(arg.value)
        is_call = ref.args is not None
        self.unknown(ref.name, ref.name_span, "layer or block" if is_call else "name", self.all_names())
        return ANY

    def not_callable(self, ref: Ref, binding: Binding) -> None:
        for arg in ref.args or ():
            self.expr(arg.value)
        help = f"write `{ref.name} -> ...` to go on from a tensor" if binding.sort != VALUE else ""
        self.error(
            f"`{ref.name}` is not a layer or a block, so it cannot be called",
            ref.span,
            notes=[Note(f"`{ref.name}` is bound here", binding.span)],
            help=help,
        )

    def definition_ref(self, ref: Ref, definition: Definition) -> str:
        if isinstance(definition, Net | Variant):
            self.error(
                f"`{ref.name}` is a net; a net is not called",
                ref.span,
                help="move what both need into a `block`",
            )
            return ANY
        ref.meaning = definition
        names = tuple(param.name for param in definition.params)
        required = {param.name for param in definition.params if param.default is None}
        self.arguments(ref, names, required)
        if isinstance(definition, Function):
            for arg in ref.args or ():
                self.value(arg.value, "a function takes values")
            return VALUE
        self.need_layers(ref)
        for arg in ref.args or ():
            self.expr(arg.value)
        return TENSOR

    def need_layers(self, ref: Ref) -> None:
        if not self.layers_allowed:
            help = "a function computes values only" if isinstance(self.current, Function) else ""
            self.error(f"`{ref.name}` adds layers; only values can stand here", ref.span, help=help)

    def layer_ref(self, ref: Ref) -> str:
        layer = KINDS[ref.name]
        self.need_layers(ref)
        args = ref.args or ()
        constant = True
        names = tuple(parameter.name for parameter in layer.parameters)
        required = {parameter.name for parameter in layer.parameters if parameter.required}
        if layer.is_join:
            self.arguments(ref, names, required, positional=False)
        else:
            self.arguments(ref, names, required)
        takes_tensor = {p.name for p in layer.parameters if p.takes_tensor}
        given = {id(expr): names[slot] for slot, expr in ref.slots if slot >= 0}
        for arg in args:
            sort = self.expr(arg.value)
            name = given.get(id(arg.value), "")
            constant = constant and isinstance(arg.value, Literal)
            if layer.is_join and not name:
                if sort == VALUE and not isinstance(arg.value, ListExpr):
                    self.error(f"`{ref.name}` joins tensors, this is a value", arg.span)
            elif sort == TENSOR and name not in takes_tensor:
                self.error(
                    f"a layer inside an argument of `{ref.name}`" if _adds_layers(arg.value)
                    else f"`{name or ref.name}` takes a value, this is a tensor",
                    arg.span,
                    help=f"chain layers with `->`: `... -> {ref.name}(...)`",
                )  # fmt: skip
        ref.meaning = LayerCall(layer, constant and not layer.is_join)
        if layer.is_join and len(args) < 2 and not (args and _may_be_list(args[0].value)):
            only = args[0].span.text if args and "\n" not in args[0].span.text else "x"
            self.error(
                f"`{ref.name}` needs two tensors or more",
                ref.span,
                help=f"write `{ref.name}(identity, {only})` to join with the current tensor",
            )
        return TENSOR

    def builtin_ref(self, ref: Ref, builtin: Builtin) -> str:
        ref.meaning = builtin
        args = ref.args or ()
        for arg in args:
            if arg.name:
                self.error(f"`{ref.name}` takes its arguments by position", arg.span)
            self.value(arg.value, f"`{ref.name}` takes values")
        if not builtin.fewest <= len(args) <= builtin.most:
            wanted = str(builtin.fewest)
            if builtin.most != builtin.fewest:
                wanted = f"{builtin.fewest} or more" if builtin.most > 10 else f"{builtin.fewest} to {builtin.most}"
            plural = "" if wanted == "1" else "s"
            self.error(f"`{ref.name}` takes {wanted} argument{plural}, got {len(args)}", ref.span)
        ref.slots = tuple((0, arg.value) for arg in args)
        return VALUE

    def reading_ref(self, ref: Ref) -> str:
        ref.meaning = READINGS[ref.name]
        if not self.tensor_flows:
            where = "a function" if isinstance(self.current, Function) else "this"
            self.error(f"`{ref.name}` reads a tensor, and {where} sees none", ref.span, help="pass it as a parameter")
        args = ref.args or ()
        if ref.name == "identity":
            if args:
                self.error("`identity` takes no arguments", ref.span)
            if not self.layers_allowed:
                self.need_layers(ref)
            return TENSOR
        if len(args) > 1 or any(arg.name for arg in args):
            self.error(f"`{ref.name}` takes one tensor, or none for the current one", ref.span)
        for arg in args:
            if self.expr(arg.value) == VALUE:
                self.error(f"`{ref.name}` reads a tensor, this is a value", arg.span)
        ref.slots = tuple((0, arg.value) for arg in args[:1])
        return VALUE

    def input_ref(self, ref: Ref) -> str:
        ref.meaning = INPUT
        if not isinstance(self.current, Net):
            self.error("`input` stands in nets only", ref.span, help="a block starts with the tensor that flows in")
        self.arguments(ref, ("shape",), {"shape"})
        for arg in ref.args or ():
            self.value(arg.value, "`input` takes a shape")
        return TENSOR

    def arguments(
        self, ref: Ref, names: tuple[str, ...], required: set[str], positional: bool = True
    ) -> None:
        """Match the arguments of a call to the parameters it has, and fill in `ref.slots`.

        For a join, `positional` is false: what is not named is a tensor, in slot -1.
        """
        slots: list[tuple[int, Expr]] = []
        given: dict[str, Arg] = {}
        named = False
        for index, arg in enumerate(ref.args or ()):
            if not arg.name:
                if named:
                    self.error("an argument by position stands behind one by name", arg.span)
                    continue
                if not positional:
                    slots.append((-1, arg.value))
                    continue
                if index >= len(names):
                    takes = f"takes {len(names)} argument{'' if len(names) == 1 else 's'}" if names else "takes no arguments"
                    self.error(f"`{ref.name}` {takes}, this is one too many", arg.span, help=_signature(ref.name, names))
                    continue
                name = names[index]
            else:
                named = True
                name = arg.name
                if name not in names:
                    help = near_miss(name, names) or _signature(ref.name, names)
                    self.error(f"`{ref.name}` has no argument `{name}`", arg.span, help=help)
                    continue
            if name in given:
                note = Note(f"`{name}` is given here", given[name].span)
                self.error(f"the argument `{name}` of `{ref.name}` is given twice", arg.span, notes=[note])
                continue
            given[name] = arg
            slots.append((names.index(name), arg.value))
        missing = [name for name in names if name in required and name not in given]
        if missing:
            listed = " and ".join(f"`{name}`" for name in missing)
            self.error(f"`{ref.name}` needs {listed}", ref.span, help=_signature(ref.name, names))
        ref.slots = tuple(slots)


def _signature(name: str, names: tuple[str, ...]) -> str:
    return f"its arguments are `{name}({', '.join(names)})`" if names else f"write `{name}`"


def _adds_layers(expr: Expr) -> bool:
    """Does the value of an expression come straight out of a layer or block?"""
    if isinstance(expr, Chain):
        return any(map(_adds_layers, expr.steps))
    if isinstance(expr, Body):
        return True
    return isinstance(expr, Ref) and isinstance(expr.meaning, LayerCall | Block)


def _may_be_list(expr: Expr) -> bool:
    """Could a single argument of a join be a list of tensors?"""
    if isinstance(expr, Ref):
        return not isinstance(expr.meaning, LayerCall | Block | Reading)
    return isinstance(expr, ListExpr | Index | Binary)
