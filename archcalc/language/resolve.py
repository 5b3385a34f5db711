"""Names to meanings: what every name stands for, before anything is expanded.

Checks what can be known without shapes: names, scopes, the arguments of every call, and values where
tensors belong (and the other way round). It runs over blocks that are never called too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
from archcalc.layers.base import KINDS, Layer, LayerError, Parameter, format_argument, read_shape
from archcalc.quantities import check_expectation
from archcalc.source import MAX_REPORTED, Diagnostic, Note, Span, near_miss

TENSOR, VALUE, LIST, ANY = "tensor", "value", "list", "any"
"""What is known of an expression: a tensor, a value but no list, a value, or nothing."""

MANY_PROBLEMS = 1_000
"""After as many, the rest of a file is not looked at."""


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
INPUT_PARAMETERS = (Parameter("shape", read_shape, True, None),)
READINGS = {name: Reading(name) for name in ("channels", "size", "shape", "identity")}
RESERVED_MEANINGS: dict[str, Any] = {**READINGS, "input": INPUT, **BUILTINS}

_BOUND = {
    "param": "is a parameter",
    "label": "is a label",
    "let": "is bound",
    "loop": "is a loop's name",
    "output": "is a result",
    "aux": "is a result",
}

_ELSEWHERE = {
    "activation": "relu",
    "averagepool": "avgpool",
    "averagepooling": "avgpool",
    "batchnormalization": "bn",
    "batchnorm": "bn",
    "cat": "concat",
    "concatenate": "concat",
    "convolution": "conv",
    "convtranspose": "conv_transpose",
    "deconv": "conv_transpose",
    "deconvolution": "conv_transpose",
    "dense": "fc",
    "depthwiseconv": "depthwise",
    "fullyconnected": "fc",
    "gap": "global_avgpool",
    "globalaveragepool": "global_avgpool",
    "globalaveragepooling": "global_avgpool",
    "globalmaxpooling": "global_maxpool",
    "hsigmoid": "hardsigmoid",
    "hswish": "hardswish",
    "int": "floor",
    "interpolate": "upsample",
    "linear": "fc",
    "localresponsenorm": "lrn",
    "maxpooling": "maxpool",
    "multiply": "mul",
    "pointwiseconv": "pointwise",
    "resize": "upsample",
    "subtract": "sub",
    "swish": "silu",
    "transpose": "permute",
    "view": "reshape",
    "zeropad": "pad",
}
"""What other tools call a layer, without `_` and `2d`, and its name here."""

_LITERALS = {
    "True": "write `true`",
    "False": "write `false`",
    **dict.fromkeys(("None", "none", "null"), "leave the argument out: it has its default"),
}
_INFERRED = ("in_channels", "in_features", "num_features", "input_shape")


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

    def __init__(self, imported: Mapping[str, tuple[Definition, Span]], lost: Collection[str] = ()) -> None:
        self.problems: list[Diagnostic] = []
        self.visible: dict[str, Definition] = {}
        self.places: dict[str, Span] = {}
        self.imported = imported
        self.used: set[str] = set()
        for name, (definition, span) in imported.items():
            if self.free(name, span):
                self.visible[name] = definition
                self.places[name] = span
        self.lost = lost
        """Names that may have a meaning in text that could not be read: nobody knows."""
        self.scopes: list[dict[str, Binding]] = [{}]
        self.ended: list[Binding] = []
        """The bindings of the current definition whose scopes are closed."""
        self.missed: dict[str, tuple[Span, str, str]] = {}
        """Names of the current definition without a meaning: where first, as what, and a help."""
        self.current: Definition | None = None
        self.below: dict[str, Span] = {}
        self.only_values = ""
        """Why no layers can stand here, if none can."""
        self.parameter: Parameter | None = None
        """What a bare name is given to, while it is resolved."""
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
            if name not in self.used and name not in self.lost and not self.has_many_problems():
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
        self.only_values = "a function computes values" if isinstance(definition, Function) else ""
        self.tensor_flows = not isinstance(definition, Function)
        if isinstance(definition, Variant):
            self.variant(definition)
        else:
            self.params(definition.params)
        if isinstance(definition, Function):
            self.value(definition.value, "a function computes values")
        elif isinstance(definition, Block | Net):
            self.statements(definition.body.statements)
            if isinstance(definition, Net):
                self.net(definition)
        self.finish()

    def finish(self) -> None:
        """Close what is left of a definition, and report names without a use or a meaning."""
        while self.scopes:
            self.close_scope()
        meant = " ".join(help for _, _, help in self.missed.values())
        for binding in self.ended:
            known = binding.read or f"`{binding.name}`" in meant
            unknown = binding.name in self.missed or binding.name in self.lost or self.has_many_problems()
            if not (known or unknown):
                self.unused(binding)
        for name, (span, what, help) in self.missed.items():
            self.unknown(name, span, what, help)
        self.ended.clear()
        self.missed.clear()

    def unused(self, binding: Binding) -> None:
        name, span = binding.name, binding.span
        if binding.by == "param":
            self.error(f"the parameter `{name}` is never used", span, help="remove it")
        elif binding.by == "let" and binding.holds_layer:
            help = f"write `{name}: ...` to name the tensor and go on from it"
            self.error(f"nothing uses `{name}`", span, help=help)
        elif binding.by == "let":
            self.error(f"`{name}` is never used", span, help="remove it")

    def net(self, net: Net) -> None:
        if not net.body.statements and net.body.whole:
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
                outer, self.only_values = self.only_values, "a default is a value"
                self.value(param.default, "a default is a value")
                self.only_values = outer
            self.bind(param.name, param.span, "param", ANY)

    def variant(self, variant: Variant) -> None:
        base = self.visible.get(variant.base)
        self.used.add(variant.base)
        if not isinstance(base, Net | Variant):
            if base is not None:
                self.error(f"`{variant.base}` is not a net", variant.base_span)
            else:
                nets = [name for name, known in self.visible.items() if isinstance(known, Net | Variant)]
                self.miss(variant.base, variant.base_span, "net", nets)
            return
        origin = base if isinstance(base, Net) else base.origin
        if origin is None:
            return
        variant.origin = origin
        variant.defaults = {} if isinstance(base, Net) else dict(base.defaults)
        self.tensor_flows, self.only_values = False, "a net's parameter is a value"
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
                    notes = self.signature(origin)
                    self.error(
                        f"`{variant.base}` has {_count(len(names), 'parameter')}", arg.span, notes=notes
                    )
                    continue
                name = names[index]
            if name not in names:
                notes = self.signature(origin)
                help = self.near_miss(name, names)
                self.error(f"`{variant.base}` has no parameter `{name}`", arg.span, notes=notes, help=help)
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
                    help=f"make what differs a parameter of `{origin.name}`",
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
        self.ended.extend(self.scopes.pop().values())

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
            known.read = True
            note = Note(f"`{name}` {_BOUND[known.by]} here", known.span)
            help = "choose another name"
            if by == "let":
                help += ": only what `=` has bound may be bound again"
            self.error(f"`{name}` is taken", span, notes=[note], help=help)
            return
        taken = True
        if name in self.visible:
            note = Note(f"`{name}` is defined here", self.places[name])
            self.error(f"`{name}` is taken", span, notes=[note], help="choose another name")
        elif name in KINDS or name in RESERVED_MEANINGS:
            self.error(f"`{name}` is a name of the language", span, help="choose another name")
        elif self.current is not None and name == self.current.name and by != "param":
            note = Note(f"`{name}` is defined here", self.current.name_span)
            self.error(f"`{name}` is taken", span, notes=[note], help="choose another name")
        else:
            taken = False
        self.scopes[-1][name] = Binding(name, span, by, sort, read=taken, holds_layer=holds_layer)

    def near_miss(self, name: str, known: Collection[str]) -> str:
        """The known names that are like `name`; only for diagnostics that will be seen."""
        return near_miss(name, known) if len(self.problems) + len(self.missed) < MAX_REPORTED else ""

    def miss(self, name: str, span: Span, what: str, candidates: Collection[str] | None = None) -> None:
        """Note that a name has no meaning where it is read. Why, shows at the end of the definition.

        `candidates` are what it may have meant, if not any name at all.
        """
        if name in self.missed or name in self.lost:
            return
        if len(self.missed) + len(self.problems) >= MAX_REPORTED:
            self.missed[name] = (span, what, "")
            return
        plain = name.lower().replace("_", "").removesuffix("layer")
        if plain[-2:] in ("1d", "2d", "3d"):
            plain = plain[:-2]
        known = _ELSEWHERE.get(plain) or next((kind for kind in KINDS if kind.replace("_", "") == plain), "")
        help = f"write `{known}`" if known else _LITERALS.get(name, "")
        if not help:
            help = self.near_miss(name, self.all_names() if candidates is None else candidates)
        if not help and what == "layer or block":
            help = f"define it above, as a `block {name}`"
        self.missed[name] = (span, what, help)

    def unknown(self, name: str, span: Span, what: str, help: str) -> None:
        """Report a name without a meaning."""
        if self.current is not None and name == self.current.name:
            message = f"`{name}` stands in its own definition"
            help = "nothing recurses: write a loop, or split the definition in two"
            if isinstance(self.current, Variant):
                help = "name a net that stands above"
            self.error(message, span, help=help)
            return
        if name in self.below:
            notes = [Note(f"`{name}` is defined further down", self.below[name])]
            assert self.current is not None
            help = f"move it above `{self.current.name}`"
            self.error(f"`{name}` is not defined yet", span, notes=notes, help=help)
            return
        for binding in self.ended:
            if binding.name != name:
                continue
            if binding.span.start > span.start:
                notes = [Note(f"`{name}` {_BOUND[binding.by]} further down", binding.span)]
                self.error(f"`{name}` is not bound yet", span, notes=notes, help="bind it above its use")
            else:
                notes = [Note(f"`{name}` {_BOUND[binding.by]} here, until its `}}`", binding.span)]
                help = f"bind it before that body, too: `{name} = ...`"
                self.error(f"`{name}` is not known here", span, notes=notes, help=help)
            return
        self.error(f"unknown {what} `{name}`", span, help=help)

    def all_names(self) -> list[str]:
        local = [name for scope in self.scopes for name in scope]
        return [*local, *self.visible, *KINDS, *RESERVED_MEANINGS]

    # -- statements

    def statements(self, statements: tuple[Statement, ...]) -> None:
        for statement in statements:
            if self.has_many_problems():
                break
            self.statement(statement)

    def has_many_problems(self) -> bool:
        return len(self.problems) + len(self.missed) > MANY_PROBLEMS

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
            self.rebound(statement.rebinds)
            self.loops += 1
            self.scopes.append({})
            for name, span in statement.names:
                self.bind(name, span, "loop", ANY)
            self.statements(statement.body.statements)
            self.close_scope()
            self.loops -= 1
        elif isinstance(statement, Repeat):
            self.value(statement.count, "`repeat` takes a number")
            self.rebound(statement.rebinds)
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
                    help="move it out of the inner `{ }`",
                )
            else:
                self.expectation(statement)

    def rebound(self, names: Collection[str]) -> None:
        """In a loop that binds a name again, nothing is known of it from the first line on."""
        for name in names:
            binding = self.lookup(name)
            if binding is not None:
                binding.sort = ANY

    def expectation(self, statement: Expect) -> None:
        problem = check_expectation(statement)
        if problem is not None:
            self.problems.append(problem)

    def flow(self, flow: Flow) -> None:
        if flow.binds in ("output", "aux") and not isinstance(self.current, Net):
            self.error(f"`{flow.binds}` stands in nets only", flow.span, help="let the net mark its results")
        if flow.binds == "label":
            flow.in_loop = self.loops > 0
        if flow.binds == "label" and isinstance(flow.chain, Chain | Body):
            loops, self.loops = self.loops, 0
            sort = self.expr(flow.chain)
            self.loops = loops
        elif flow.binds == "let":
            sort = self.expr(flow.chain)
        else:
            sort = self.step(flow.chain)
        if sort in (VALUE, LIST) and flow.binds != "let":
            message, help = value_in_place(flow)
            self.error(message, flow.chain.span, help=help)
        if flow.binds:
            assert flow.name_span is not None
            holds_layer = flow.binds == "let" and self.adds_layers(flow.chain)
            self.bind(flow.name, flow.name_span, flow.binds, sort, holds_layer)

    # -- expressions: each returns what the value is known to be, ANY after a mistake

    def value(self, expr: Expr, why: str) -> None:
        """An expression that must not be a tensor."""
        if self.expr(expr) == TENSOR:
            self.error(f"{why}, not a tensor", expr.span)

    def step(self, expr: Expr) -> str:
        """An expression where a layer, a block or a tensor is expected."""
        return self.ref(expr, "layer or block") if isinstance(expr, Ref) else self.expr(expr)

    def expr(self, expr: Expr) -> str:
        if isinstance(expr, Ref):
            return self.ref(expr)
        if isinstance(expr, Literal):
            return VALUE
        if isinstance(expr, Chain | Body) and self.only_values:
            self.error(f"layers stand here, but {self.only_values}", expr.span)
            outer, self.only_values = self.only_values, ""
            self.expr(expr)
            self.only_values = outer
            return ANY
        if isinstance(expr, Chain):
            for step in expr.steps:
                if self.step(step) in (VALUE, LIST):
                    self.error("a step is a layer, a block or a tensor, not a value", step.span)
            return TENSOR
        if isinstance(expr, ListExpr):
            for item in expr.items:
                self.expr(item)
            return LIST
        if isinstance(expr, Binary):
            return self.binary(expr)
        if isinstance(expr, Unary):
            self.value(expr.operand, f"`{expr.op}` takes a value")
            return VALUE
        if isinstance(expr, Index):
            self.value(expr.base, "an index is taken of a list")
            for index in expr.indices:
                self.value(index, "an index is a number")
            return ANY
        if isinstance(expr, Choice):
            return self.choice(expr)
        assert isinstance(expr, Body)
        self.nested(expr)
        return TENSOR

    def choice(self, expr: Choice) -> str:
        self.value(expr.condition, "a condition is a truth value")
        sorts = [self.expr(expr.if_true), self.expr(expr.if_false)]
        if TENSOR in sorts:
            condition = expr.condition.span.text
            self.error(
                "`a if c else b` chooses between values, not layers or tensors",
                expr.span,
                help=f"choose with a statement: `if {condition} {{ ... }} else {{ ... }}`",
            )
            return ANY
        if sorts == [ANY, ANY]:
            return ANY
        return VALUE if sorts == [VALUE, VALUE] else LIST

    def binary(self, expr: Binary) -> str:
        sorts = [self.expr(expr.first), *(self.expr(operand) for _, operand in expr.rest)]
        op = expr.rest[0][0]
        if TENSOR not in sorts:
            if op in ("+", "-", "*") and {*sorts} == {ANY}:
                return ANY
            return LIST if op == "+" and VALUE not in sorts else VALUE
        join = {"+": "add", "*": "mul", "-": "sub"}.get(op)
        operands = [expr.first.span.text, *(operand.span.text for _, operand in expr.rest)]
        help = ""
        if join and len({op, *(op for op, _ in expr.rest)}) == 1 and len("".join(operands)) < 60:
            help = f"write `{join}({', '.join(operands)})`"
        elif op in ("==", "!=", "<", "<=", ">", ">="):
            help = "compare what `channels(...)`, `size(...)` or `shape(...)` says of it"
        self.error(f"`{op}` computes with values, not tensors", expr.span, help=help)
        return ANY

    def ref(self, ref: Ref, what: str = "") -> str:
        """A name or a call; `what` is what is expected there, if anything."""
        binding = self.lookup(ref.name)
        if binding is not None:
            binding.read = True
            ref.meaning = LOCAL
            if ref.args is not None:
                self.not_callable(ref, binding)
                return ANY
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
        if self.parameter is not None and self.unquoted(ref, self.parameter):
            return ANY
        if not what:
            what = "name" if ref.args is None else "layer, block or function"
        self.miss(ref.name, ref.name_span, what)
        return ANY

    def not_callable(self, ref: Ref, binding: Binding) -> None:
        for arg in ref.args or ():
            self.expr(arg.value)
        help = ""
        if binding.sort == TENSOR:
            help = f"write `{ref.name} -> ...` to go on from it"
        elif binding.sort in (VALUE, LIST):
            help = f"write `{ref.name} * ...` to multiply, `{ref.name}[...]` for a value of a list"
        what = {TENSOR: "a tensor, and a tensor", ANY: "no layer or block, so it"}
        self.error(
            f"`{ref.name}` is {what.get(binding.sort, 'a value, and a value')} cannot be called",
            ref.name_span,
            notes=[Note(f"`{ref.name}` {_BOUND[binding.by]} here", binding.span)],
            help=help,
        )

    def definition_ref(self, ref: Ref, definition: Definition) -> str:
        if isinstance(definition, Net | Variant):
            for arg in ref.args or ():
                self.expr(arg.value)
            notes = [Note(f"`{ref.name}` is defined here", definition.name_span)]
            help = "move what both need into a `block`"
            self.error(f"`{ref.name}` is a net, and a net cannot be called", ref.name_span, help, notes=notes)
            return ANY
        ref.meaning = definition
        self.arguments(ref, definition.params, definition)
        if isinstance(definition, Function):
            for arg in ref.args or ():
                self.value(arg.value, "a function takes values")
            return LIST
        for arg in ref.args or ():
            self.expr(arg.value)
        return TENSOR if self.layers_allowed(ref) else ANY

    def layers_allowed(self, ref: Ref) -> bool:
        """May layers stand here? Notes the mistake if not."""
        if self.only_values:
            self.error(f"`{ref.name}` adds layers, but {self.only_values}", ref.name_span)
        return not self.only_values

    def layer_ref(self, ref: Ref) -> str:
        layer = KINDS[ref.name]
        args = ref.args or ()
        placed = self.arguments(ref, layer.parameters, layer)
        constant = True
        joined: list[str] = []
        for index, arg in enumerate(args):
            slot = placed.get(index)
            parameter = layer.parameters[slot] if slot is not None and slot >= 0 else None
            self.parameter = parameter if isinstance(arg.value, Ref) and arg.value.args is None else None
            sort = self.expr(arg.value)
            self.parameter = None
            constant = constant and isinstance(arg.value, Literal)
            if slot is None:
                continue
            if parameter is None:
                joined.append(sort)
                if sort == VALUE:
                    self.error(f"`{ref.name}` joins tensors, not values", arg.span)
            elif sort == TENSOR and not parameter.takes_tensor:
                self.tensor_argument(ref, parameter.name, arg)
        ref.meaning = LayerCall(layer, constant and not layer.is_join)
        if layer.is_join and len(joined) == len([arg for arg in args if not arg.name]):
            self.count_joined(ref, joined)
        return TENSOR if self.layers_allowed(ref) else ANY

    def unquoted(self, ref: Ref, parameter: Parameter) -> bool:
        """Is an unknown name a word that only lacks its quotes? Notes the mistake if so."""
        try:
            parameter.read(ref.name)
        except LayerError:
            return False
        self.error(f"unknown name `{ref.name}`", ref.span, help=f'write `"{ref.name}"`')
        return True

    def tensor_argument(self, ref: Ref, parameter: str, arg: Arg) -> None:
        text = arg.value.span.text
        if self.adds_layers(arg.value):
            before = text if len(text) < 30 and "\n" not in text else "..."
            help = f"chain layers with `->`: `{before} -> {ref.name}(...)`"
            self.error(f"a layer stands inside an argument of `{ref.name}`", arg.span, help=help)
        else:
            help = f"`channels({text})` is its number of channels" if isinstance(arg.value, Ref) else ""
            self.error(f"`{parameter}` of `{ref.name}` takes a value, not a tensor", arg.span, help=help)

    def count_joined(self, ref: Ref, sorts: list[str]) -> None:
        """A join of less than two tensors, as far as one can tell here."""
        if len(sorts) >= 2 or (len(sorts) == 1 and sorts[0] in (LIST, ANY)):
            return
        args = [arg for arg in ref.args or () if not arg.name]
        self.error(
            f"`{ref.name}` needs two tensors or more", ref.name_span, help=help_for_join(ref.name, args)
        )

    def adds_layers(self, expr: Expr) -> bool:
        """Does the value of an expression come straight out of a layer or block?"""
        if isinstance(expr, Chain):
            return any(map(self.adds_layers, expr.steps))
        if isinstance(expr, Body):
            return True
        if not isinstance(expr, Ref) or self.lookup(expr.name) is not None:
            return False
        return expr.name in KINDS or isinstance(self.visible.get(expr.name), Block)

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
                wanted = (
                    f"{builtin.fewest} or more"
                    if builtin.most > 10
                    else f"{builtin.fewest} to {builtin.most}"
                )
            plural = "" if wanted == "1" else "s"
            self.error(f"`{ref.name}` takes {wanted} argument{plural}, got {len(args)}", ref.name_span)
        ref.slots = tuple((0, arg.value) for arg in args)
        return LIST if ref.name in ("range", "enumerate", "zip") else VALUE

    def reading_ref(self, ref: Ref) -> str:
        ref.meaning = READINGS[ref.name]
        args = ref.args or ()
        if ref.name == "identity":
            if self.only_values:
                self.error(f"`identity` is a tensor, but {self.only_values}", ref.span)
                return ANY
            if args:
                self.error("`identity` takes no arguments", ref.span)
            return TENSOR
        if not self.tensor_flows and not args:
            where = "a function" if isinstance(self.current, Function) else "a value here"
            message = f"`{ref.name}` reads the current tensor, and {where} sees none"
            self.error(message, ref.span, help="pass it as a parameter" if self.current else "")
        if len(args) > 1 or any(arg.name for arg in args):
            self.error(f"`{ref.name}` takes one tensor, or none for the current one", ref.span)
        for arg in args:
            if self.expr(arg.value) in (VALUE, LIST):
                self.error(f"`{ref.name}` reads a tensor, not a value", arg.span)
        ref.slots = tuple((0, arg.value) for arg in args[:1])
        return LIST if ref.name != "channels" else VALUE

    def input_ref(self, ref: Ref) -> str:
        ref.meaning = INPUT
        if self.only_values:
            self.error(f"`input` is a tensor, but {self.only_values}", ref.name_span)
        elif not isinstance(self.current, Net):
            help = "a block starts with the tensor that flows in"
            self.error("`input` stands in nets only", ref.name_span, help=help)
        self.arguments(ref, INPUT_PARAMETERS, None)
        for arg in ref.args or ():
            self.value(arg.value, "`input` takes a shape")
        return ANY if self.only_values else TENSOR

    def arguments(
        self,
        ref: Ref,
        params: Sequence[Param | Parameter],
        callee: Definition | type[Layer] | None,
    ) -> dict[int, int]:
        """Match the arguments of a call to the parameters it has, and fill in `ref.slots`.

        For a join, what is not named is a tensor, in slot -1. Returns the slot of each argument that
        fits, by its place among the arguments.
        """
        slots: list[tuple[int, Expr]] = []
        placed: dict[int, int] = {}
        given: dict[int, Arg] = {}
        named = False
        args = ref.args or ()
        is_join = isinstance(callee, type) and callee.is_join
        for index, arg in enumerate(args):
            slot = -2
            if arg.name:
                named = True
                for at, param in enumerate(params):
                    if param.name == arg.name:
                        slot = at
            elif named:
                message = "an argument by position stands behind one by name"
                self.error(message, arg.span, help="put it before the named ones, or name it")
                continue
            elif is_join:
                slot = -1
            elif index < len(params):
                slot = index
            if slot == -2:
                self.no_such_argument(ref, arg, [param.name for param in params], callee)
                continue
            if slot in given:
                name = params[slot].name
                notes = [Note(f"`{name}` is given here", given[slot].span)]
                message = f"the argument `{name}` of `{ref.name}` is given twice"
                self.error(message, arg.span, notes=notes, help="remove one of them")
                continue
            if slot >= 0:
                given[slot] = arg
            placed[index] = slot
            slots.append((slot, arg.value))
        if len(given) < len(params) and len(placed) == len(args):
            missing = [
                param.name for at, param in enumerate(params) if at not in given and _is_required(param)
            ]
            if missing:
                listed = " and ".join(f"`{name}`" for name in missing)
                texts = [arg.span.text for arg in args] + [f"{name}=..." for name in missing]
                help = "" if len("".join(texts)) > 80 else f"write `{ref.name}({', '.join(texts)})`"
                self.error(
                    f"`{ref.name}` needs {listed}", ref.name_span, notes=self.signature(callee), help=help
                )
        ref.slots = tuple(slots)
        return placed

    def signature(self, callee: Definition | type[Layer] | None) -> list[Note]:
        """How something is called, and where it is defined; only for diagnostics that will be seen."""
        if len(self.problems) >= MAX_REPORTED:
            return []
        if callee is None:
            return [Note("it is called as in `input(3x224x224)`")]
        if isinstance(callee, Definition):
            arguments = [f"{p.name}={_short(p.default)}" if p.default else p.name for p in callee.params]
            return [Note(f"`{_call(callee.name, arguments)}` is defined here", callee.name_span)]
        arguments = ["..."] if callee.is_join else []
        for parameter in callee.parameters:
            default = "..." if parameter.default is None else format_argument(parameter.default)
            arguments.append(parameter.name if parameter.required else f"{parameter.name}={default}")
        return [Note(f"its arguments are `{_call(callee.kind, arguments)}`")]

    def no_such_argument(
        self, ref: Ref, arg: Arg, names: list[str], callee: Definition | type[Layer] | None
    ) -> None:
        notes = self.signature(callee) if names else []
        if isinstance(callee, type) and self.adds_layers(arg.value):
            text = arg.value.span.text
            other = text if len(text) < 30 and "\n" not in text else "..."
            call = f"{ref.name}(...)" if names else ref.name
            help = f"`{call} -> {other}`" if arg.name else f"`{other} -> {call}`"
            message = f"a layer stands inside an argument of `{ref.name}`"
            self.error(message, arg.span, help=f"chain layers with `->`: {help}")
        elif not arg.name:
            takes = (
                f"takes {_count(len(names), 'argument')}, and this is one more"
                if names
                else "takes no arguments"
            )
            help = "" if names else f"write `{ref.name}`"
            self.error(f"`{ref.name}` {takes}", arg.span, notes=notes, help=help)
        else:
            help = self.near_miss(arg.name, names)
            if isinstance(callee, type) and arg.name in _INFERRED:
                help = "leave it out: what comes in is known"
            self.error(f"`{ref.name}` has no argument `{arg.name}`", arg.span, notes=notes, help=help)


def value_in_place(flow: Flow) -> tuple[str, str]:
    """Message and help for a line that must be a tensor and is a value."""
    text = flow.chain.span.text
    shown = text if len(text) <= 40 and "\n" not in text else "..."
    if flow.binds == "label":
        return f"the label `{flow.name}` stands on a value", f"write `{flow.name} = {shown}`"
    if flow.binds:
        return f"`{flow.binds}` marks a tensor, not a value", ""
    return "a line is a value and does nothing", f"bind it with `name = {shown}`, or remove it"


def help_for_join(name: str, args: Sequence[Arg]) -> str:
    """Help for a join with less than two tensors."""
    text = args[0].span.text if args else "x"
    shown = text if len(text) <= 40 and "\n" not in text else "..."
    return f"write `{name}(identity, {shown})` to join with the current tensor"


def _is_required(param: Param | Parameter) -> bool:
    return param.required if isinstance(param, Parameter) else param.default is None


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _call(name: str, arguments: list[str]) -> str:
    text = f"{name}({', '.join(arguments)})" if arguments else name
    return text if len(text) <= 120 else f"{name}({', '.join(arguments[:6])}, ...)"


def _short(expr: Expr) -> str:
    text = expr.span.text
    return text if len(text) <= 20 and "\n" not in text else "..."
