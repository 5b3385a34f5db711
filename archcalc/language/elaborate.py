"""Syntax to a network: blocks expanded, loops run, shapes inferred as it goes, because conditions
depend on them.

A mistake is noted where it happens. What depends on it stays silent, and the expansion goes on, so that
one run reports several mistakes and each of them once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from archcalc.builder import NameTaken, NetworkBuilder
from archcalc.language.limits import MAX_CALLS, MAX_STEPS
from archcalc.language.parser import parse_value
from archcalc.language.resolve import InputCall, LayerCall, Local, Reading, Resolver
from archcalc.language.syntax import (
    Binary,
    Block,
    Body,
    Chain,
    Choice,
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
    Ref,
    Repeat,
    Statement,
    Unary,
    Variant,
)
from archcalc.language.values import (
    Builtin,
    ValueProblem,
    binary,
    is_number,
    make_list,
    type_name,
    weight,
)
from archcalc.layers.base import Layer, LayerError
from archcalc.network import Network, Node
from archcalc.shape import Shape, format_shape
from archcalc.source import ArchError, CallSite, Diagnostic, Note, Source, Span, error, near_miss

Env = dict[str, Any]


class _Unknown:
    """What is known of a value after a mistake: nothing."""


FAILED: Any = _Unknown()


class Failed(Exception):
    """A mistake that has been noted; what depends on it is given up silently."""


def elaborate(
    net: Net | Variant,
    overrides: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Shape] | None = None,
) -> Network:
    """The network that a `net` declares.

    `overrides` are values for its parameters, `inputs` shapes that replace those of its inputs. Raises
    `ArchError` with every mistake found.
    """
    return Elaborator(net, overrides or {}, inputs or {}).run()


class Elaborator:
    """The state of one elaboration."""

    def __init__(
        self, net: Net | Variant, overrides: Mapping[str, Any], inputs: Mapping[str, Shape]
    ) -> None:
        self.net = net
        self.origin: Net = net.origin if isinstance(net, Variant) else net
        self.overrides = overrides
        self.input_shapes = dict(inputs)
        self.build = NetworkBuilder(net.name)
        self.problems: list[Diagnostic] = []
        self.reported: set[tuple[Span | None, Span | None]] = set()
        self.calls: CallSite | None = None
        self.depth = 0
        self.steps = 0
        self.outputs: dict[str, Node] = {}
        self.heads: dict[str, Node] = {}
        self.layers: dict[tuple[Any, ...], Layer] = {}
        self._evaluate = {
            Ref: self.ref,
            Literal: self.literal,
            Chain: self.chain,
            Binary: self.binary,
            Unary: self.unary,
            Choice: self.choice,
            ListExpr: self.list_,
            Index: self.index,
            Body: self.anonymous,
        }
        self._execute = {
            Flow: self.flow,
            If: self.if_,
            For: self.for_,
            Repeat: self.repeat,
            Expect: self.expect,
        }
        self._refs = {
            Local: self.local,
            LayerCall: self.layer,
            Block: self.block,
            Function: self.function,
            Builtin: self.builtin,
            Reading: self.reading,
            InputCall: self.input,
        }

    # -- the net as a whole

    def run(self) -> Network:
        origin = self.origin
        names = [param.name for param in origin.params]
        for name in self.overrides:
            if name not in names:
                listed = ", ".join(f"`{n}`" for n in names)
                help = near_miss(name, names) or (f"it has {listed}" if names else "it has none")
                raise error(f"`{self.net.name}` has no parameter `{name}`", help=help)
        result: Any = FAILED
        env: Env = {}
        try:
            self.parameters(env)
            result = self.body(origin.body, env, None)
        except Failed:
            pass
        except RecursionError:
            self.note(Diagnostic("the definitions call one another too deeply", origin.name_span))
        if self.problems:
            raise ArchError(self.problems)
        unused = set(self.input_shapes) - {node.name for node in self.build.nodes if node.is_input}
        if unused:
            known = [node.name for node in self.build.nodes if node.is_input]
            listed = ", ".join(f"`{name}`" for name in known)
            raise error(f"`{self.net.name}` has no input `{min(unused)}`", help=f"it has {listed}")
        if not any(node.is_input for node in self.build.nodes):
            raise error(
                f"the net `{origin.name}` has no input", origin.name_span, help="start with `input(3x224x224)`"
            )
        if not any(not node.is_input for node in self.build.nodes):
            raise error(f"the net `{origin.name}` has no layers", origin.name_span)
        expects = self.net.expects if isinstance(self.net, Variant) else origin.body.statements
        return self.build.finish(
            result if isinstance(result, Node) else None,
            outputs=self.outputs,
            heads=self.heads,
            parameters={name: env[name] for name in names},
            expectations=tuple(statement for statement in expects if isinstance(statement, Expect)),
            overridden=bool(self.overrides or self.input_shapes),
            source=origin.name_span.source,
        )

    def parameters(self, env: Env) -> None:
        """Bind the net's parameters: overrides first, then the variant's values, then defaults."""
        given = self.net.defaults if isinstance(self.net, Variant) else {}
        for param in self.origin.params:
            if param.name in self.overrides:
                env[param.name] = self.overrides[param.name]
                continue
            value = given.get(param.name, param.default)
            if value is None:
                self.fail(
                    f"the parameter `{param.name}` of `{self.net.name}` has no value",
                    param.span,
                    help=f"set it (`--set {param.name}=...`), or choose a net that gives it",
                )
            env[param.name] = self.eval(value, {} if param.name in given else env, None)

    # -- mistakes

    def note(self, problem: Diagnostic) -> None:
        """Note a mistake, unless it has been noted for this place and this outermost call."""
        calls = self.calls.chain() if self.calls is not None else []
        key = (problem.span, calls[-1].span if calls else None)
        if key in self.reported:
            return
        self.reported.add(key)
        shown = tuple(Note(f"in a call of `{call.block}`", call.span) for call in calls[:3])
        if len(calls) > 3:
            shown += (Note(f"... and {len(calls) - 3} more calls around it"),)
        self.problems.append(
            Diagnostic(problem.message, problem.span, problem.label, problem.notes + shown, problem.help)
        )

    def fail(
        self, message: str, span: Span | None, *, label: str = "", notes: Iterable[Note] = (), help: str = ""
    ) -> Any:
        self.note(Diagnostic(message, span, label, tuple(notes), help))
        raise Failed

    # -- statements: each returns the current tensor after it

    def body(self, body: Body, env: Env, current: Any) -> Any:
        execute = self._execute
        for statement in body.statements:
            self.steps += 1
            if self.steps > MAX_STEPS:
                self.charge(0, statement.span)
            try:
                current = execute[type(statement)](statement, env, current)
            except Failed:
                self.forget(statement, env)
                if not (isinstance(statement, Flow) and statement.binds in ("let", "output", "aux")):
                    current = FAILED
        return current

    def give_up(self, message: str, span: Span) -> None:
        """A limit is exceeded: end the run, whatever else might be found."""
        chain = self.calls.chain()[:1] if self.calls else []
        notes = tuple(Note(f"in a call of `{call.block}`", call.span) for call in chain)
        raise ArchError([*self.problems, Diagnostic(message, span, notes=notes)])

    def forget(self, statement: Statement, env: Env) -> None:
        """After a mistake, the names that a statement binds are known no more."""
        if isinstance(statement, Flow):
            if statement.binds:
                env[statement.name] = FAILED
            return
        bodies: list[Body] = []
        if isinstance(statement, If):
            bodies = [body for _, body in statement.branches]
            if statement.otherwise is not None:
                bodies.append(statement.otherwise)
        elif isinstance(statement, For | Repeat):
            bodies = [statement.body]
        for body in bodies:
            for inner in body.statements:
                self.forget(inner, env)

    def flow(self, flow: Flow, env: Env, current: Any) -> Any:
        binds = flow.binds
        chain = flow.chain
        if binds == "label":
            value = self.labelled(flow, env, current)
        else:
            value = self._evaluate[type(chain)](chain, env, current)
            if binds == "let":
                env[flow.name] = value
                return current
        if type(value) is not Node:
            help = "bind it with `name = ...`" if not binds else ""
            self.fail(f"a tensor is needed here, this is {type_name(value)}", chain.span, help=help)
        if not binds:
            return value
        env[flow.name] = value
        if binds == "label":
            return value
        results = self.outputs if binds == "output" else self.heads
        if flow.name in results or flow.name == "output":
            self.fail(f"there is a result `{flow.name}` already", flow.name_span, help="use another name")
        results[flow.name] = value
        return current

    def labelled(self, flow: Flow, env: Env, current: Any) -> Any:
        label = self.build.scope.count_label(flow.name) if flow.in_loop else flow.name
        chain = flow.chain
        if type(chain) is Ref:
            return self.ref(chain, env, current, label)
        if type(chain) not in (Chain, Body):
            return self.eval(chain, env, current)
        group = self.enter(label, "", flow.span)
        try:
            value = self.eval(chain, env, current)
            self.build.leave(group, value if type(value) is Node else None)
        except Failed:
            self.build.leave(group, None)
            raise
        return value

    def enter(self, label: str, block: str, span: Span) -> Any:
        try:
            return self.build.enter(label, block, span)
        except NameTaken as problem:
            notes = [Note("it stands here", problem.span)] if problem.span is not None else []
            self.fail(problem.message, span, notes=notes, help=problem.help)

    def if_(self, statement: If, env: Env, current: Any) -> Any:
        for condition, body in statement.branches:
            if self.truth(condition, env, current):
                return self.body(body, env, current)
        if statement.otherwise is not None:
            return self.body(statement.otherwise, env, current)
        return current

    def for_(self, statement: For, env: Env, current: Any) -> Any:
        rows = self.eval(statement.rows, env, current)
        if type(rows) is not tuple:
            self.fail(f"a loop runs over a list, this is {type_name(rows)}", statement.rows.span)
        names = statement.names
        for row in rows:
            if len(names) == 1:
                env[names[0][0]] = row
            else:
                if type(row) is not tuple or len(row) != len(names):
                    got = f"{len(row)} values" if type(row) is tuple else type_name(row)
                    self.fail(
                        f"each row must have {len(names)} values, one has {got}"
                        if type(row) is tuple
                        else f"each row must be a list of {len(names)} values, one is {got}",
                        statement.rows.span,
                    )
                for (name, _), value in zip(names, row, strict=True):
                    env[name] = value
            current = self.body(statement.body, env, current)
        return current

    def repeat(self, statement: Repeat, env: Env, current: Any) -> Any:
        count = self.eval(statement.count, env, current)
        if type(count) is not int or count < 0:
            got = str(count) if is_number(count) else type_name(count)
            self.fail(
                f"`repeat` needs a whole number of at least 0, got {got}",
                statement.count.span,
                help="write `floor(...)`, `ceil(...)` or `round(...)`" if is_number(count) and count > 0 else "",
            )
        if count > MAX_STEPS:
            self.give_up(f"`repeat` {count:,} times is over the limit of {MAX_STEPS:,} steps", statement.count.span)
        body = statement.body
        for _ in range(count if body.statements else 0):
            current = self.body(body, env, current)
        return current

    def expect(self, statement: Expect, env: Env, current: Any) -> Any:
        return current

    # -- expressions

    def eval(self, expr: Expr, env: Env, current: Any) -> Any:
        return self._evaluate[type(expr)](expr, env, current)

    def literal(self, expr: Literal, env: Env, current: Any) -> Any:
        return expr.value

    def chain(self, chain: Chain, env: Env, current: Any) -> Any:
        evaluate = self._evaluate
        for step in chain.steps:
            current = evaluate[type(step)](step, env, current)
            if type(current) is not Node:
                self.fail(
                    f"a step of a chain is a layer, a block or a tensor; this is {type_name(current)}", step.span
                )
        return current

    def anonymous(self, body: Body, env: Env, current: Any) -> Any:
        value = self.body(body, env, current)
        return self.tensor(value, body.span)

    def tensor(self, value: Any, span: Span) -> Node:
        """A current tensor that must be there."""
        if type(value) is Node:
            return value
        if value is FAILED:
            raise Failed
        self.fail("no tensor flows here yet", span, help="start the net with `input(3x224x224)`")
        raise AssertionError

    def truth(self, expr: Expr, env: Env, current: Any) -> bool:
        value = self.eval(expr, env, current)
        if not isinstance(value, bool):
            self.fail(f"a condition is a truth value, this is {type_name(value)}", expr.span, help="compare it")
        return bool(value)

    def binary(self, expr: Binary, env: Env, current: Any) -> Any:
        op = expr.rest[0][0]
        if op == "and" or op == "or":
            value = self.truth(expr.first, env, current)
            for _, operand in expr.rest:
                if value is (op == "or"):
                    return value
                value = self.truth(operand, env, current)
            return value
        left = self.eval(expr.first, env, current)
        for op, operand in expr.rest:
            right = self.eval(operand, env, current)
            try:
                if type(left) is tuple:
                    self.charge_lists((left, right), expr.span)
                left = binary(op, left, right)
            except ValueProblem as problem:
                self.fail(problem.message, expr.span, help=problem.help)
        return left

    def unary(self, expr: Unary, env: Env, current: Any) -> Any:
        if expr.op == "not":
            return not self.truth(expr.operand, env, current)
        value = self.eval(expr.operand, env, current)
        if not is_number(value):
            self.fail(f"`-` takes a number, this is {type_name(value)}", expr.span)
        return -value

    def choice(self, expr: Choice, env: Env, current: Any) -> Any:
        chosen = expr.if_true if self.truth(expr.condition, env, current) else expr.if_false
        value = self.eval(chosen, env, current)
        if type(value) is Node:
            self.fail(
                "`a if c else b` chooses between values, this is a tensor",
                chosen.span,
                help="choose tensors with an `if` statement: `if c { ... } else { ... }`",
            )
        return value

    def list_(self, expr: ListExpr, env: Env, current: Any) -> Any:
        items = tuple([self.eval(item, env, current) for item in expr.items])
        try:
            return make_list(items)
        except ValueProblem as problem:
            self.fail(problem.message, expr.span, help=problem.help)

    def index(self, expr: Index, env: Env, current: Any) -> Any:
        value = self.eval(expr.base, env, current)
        for index in expr.indices:
            at = self.eval(index, env, current)
            if type(value) is not tuple:
                self.fail(f"an index is taken of a list, this is {type_name(value)}", expr.base.span)
            if type(at) is not int:
                got = str(at) if is_number(at) else type_name(at)
                self.fail(f"an index is a whole number, got {got}", index.span)
            if not -len(value) <= at < len(value):
                self.fail(f"the index {at} is outside a list of {len(value)}", index.span)
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

    def reading(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        name = ref.meaning.name
        if ref.slots:
            tensor = self.eval(ref.slots[0][1], env, current)
            if type(tensor) is not Node:
                self.fail(f"`{name}` reads a tensor, this is {type_name(tensor)}", ref.slots[0][1].span)
        else:
            tensor = self.tensor(current, ref.span)
        if name == "identity":
            return tensor
        shape = tensor.facts.output
        if name == "channels":
            return shape[0]
        if name == "shape":
            return shape
        if len(shape) == 1:
            self.fail(
                f"`size` needs a map, this tensor is a vector of {shape[0]}",
                ref.span,
                help="`channels` is the length of a vector",
            )
        return shape[1:]

    def builtin(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        values = [self.eval(expr, env, current) for _, expr in ref.slots]
        try:
            self.charge_lists(values, ref.span)
            value = ref.meaning.call(*values)
        except ValueProblem as problem:
            self.fail(problem.message, ref.span, help=problem.help)
        if type(value) is tuple:
            self.charge(len(value) // 16, ref.span)
        return value

    def function(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        function: Function = ref.meaning
        inner = self.arguments(ref, function.params, env, current)
        for name, value in inner.items():
            if type(value) is Node:
                self.fail(f"`{name}` of `{function.name}` is a tensor; a function takes values", ref.span)
        depth = self.depth
        try:
            self.deeper(ref)
            return self.eval(function.value, inner, None)
        finally:
            self.depth = depth

    def deeper(self, ref: Ref) -> None:
        self.depth += 1
        if self.depth > MAX_CALLS:
            self.give_up(f"calls are nested more than {MAX_CALLS} deep", ref.span)
        self.charge(1, ref.span)

    def charge(self, steps: int, span: Span) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            self.give_up(f"`{self.net.name}` takes more than {MAX_STEPS:,} steps", span)

    def charge_lists(self, values: Iterable[Any], span: Span) -> None:
        """Work on long lists takes time too: what 16 values take is about a step."""
        for value in values:
            if type(value) is tuple:
                self.charge(weight(value) // 16, span)

    def arguments(self, ref: Ref, params: Any, env: Env, current: Any) -> Env:
        """The parameters of a call: what is given, in the order of reading, then the defaults."""
        inner: Env = {}
        for slot, expr in ref.slots:
            inner[params[slot].name] = self.eval(expr, env, current)
        if len(inner) < len(params):
            for param in params:
                if param.name not in inner:
                    inner[param.name] = self.eval(param.default, inner, current)
        return inner

    def block(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        block: Block = ref.meaning
        inner = self.arguments(ref, block.params, env, current)
        tensor = self.tensor(current, ref.span)
        build = self.build
        group = self.enter(label, block.name, ref.span)
        outer_calls, outer_sharing, outer_depth = self.calls, build.sharing, self.depth
        self.calls = CallSite(block.name, ref.span, outer_calls)
        if block.shared:
            build.sharing = (block, len(build.scope.prefix))
        output = None
        try:
            self.deeper(ref)
            value = self.body(block.body, inner, tensor)
            output = self.tensor(value, ref.span)
            return output
        finally:
            self.calls, build.sharing, self.depth = outer_calls, outer_sharing, outer_depth
            build.leave(group, output)

    def input(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        shape = self.eval(ref.slots[0][1], env, current)
        name = label or "input"
        shape = self.input_shapes.get(name, shape)
        try:
            return self.build.input(shape if type(shape) is tuple else (shape,), name, ref.span)
        except NameTaken as problem:
            notes = [Note("the first one stands here", problem.span)] if problem.span else []
            help = "give the inputs labels: `left: input(...)`" if not label else problem.help
            self.fail(f"there is an input `{name}` already", ref.span, notes=notes, help=help)
        except LayerError as problem:
            self.fail(problem.message, ref.slots[0][1].span, help=problem.help)

    def layer(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        call: LayerCall = ref.meaning
        layer = call.ready
        tensors: tuple[Node, ...]
        if layer is not None:
            tensors = (current,) if type(current) is Node else (self.tensor(current, ref.span),)
        else:
            layer, tensors = self.make_layer(ref, call, env, current)
        try:
            return self.build.add(layer, *tensors, name=label, span=ref.span, calls=self.calls)
        except LayerError as problem:
            self.layer_problem(ref, call, tensors, problem)

    def make_layer(
        self, ref: Ref, call: LayerCall, env: Env, current: Any
    ) -> tuple[Layer, tuple[Node, ...]]:
        """The layer of a call, with its arguments evaluated, and the tensors it applies to."""
        cls = call.layer
        parameters = cls.parameters
        values = [parameter.default for parameter in parameters]
        tensors: list[Node] = []
        if not cls.is_join:
            tensors.append(self.tensor(current, ref.span))
        for slot, expr in ref.slots:
            value = self.eval(expr, env, current)
            if slot < 0:
                tensors += self.joined(ref, expr, value)
                continue
            if type(value) is Node:
                if not parameters[slot].takes_tensor:
                    self.fail(
                        f"`{parameters[slot].name}` of `{cls.kind}` takes a value, this is a tensor", expr.span
                    )
                tensors.append(value)
            if type(value) is tuple and len(value) > 4:
                self.charge_lists((value,), expr.span)
            values[slot] = value
        key = (cls, *values, *map(type, values))
        layer = self.layers.get(key)
        if layer is None:
            try:
                layer = cls(*values)
            except LayerError as problem:
                self.layer_problem(ref, call, (), problem)
            self.layers[key] = layer
        if call.constant:
            call.ready = layer
        return layer, tuple(tensors)

    def joined(self, ref: Ref, expr: Expr, value: Any) -> list[Node]:
        items = value if type(value) is tuple else (value,)
        for item in items:
            if type(item) is not Node:
                self.fail(f"`{ref.name}` joins tensors, this is {type_name(item)}", expr.span)
        return list(items)

    def layer_problem(
        self, ref: Ref, call: LayerCall, tensors: tuple[Node, ...], problem: LayerError
    ) -> None:
        """A layer refuses its arguments or inputs: point at the argument, and at what comes in."""
        span, notes = ref.span, []
        if isinstance(problem, NameTaken):
            if problem.span is not None:
                notes.append(Note("it stands here", problem.span))
            self.fail(problem.message, ref.span, notes=notes, help=problem.help)
        names = [parameter.name for parameter in call.layer.parameters]
        for slot, expr in ref.slots:
            if slot >= 0 and names[slot] == problem.argument:
                span = expr.span
        if span is ref.span:
            span = ref.name_span
        for node in tensors[:4]:
            notes.append(Note(f"`{node.name}` gives {format_shape(node.shape, cross='x')}", node.span))
        self.fail(problem.message, span, label=problem.label, notes=notes, help=problem.help)


def constant(text: str, shown: str) -> Any:
    """The value of an expression without names, such as that of an option; `shown` names its origin.

    Raises `ArchError`, with the place in the text.

    >>> constant("[64, 2 * 64]", "--set channels")
    (64, 128)
    """
    source = Source(shown, text)
    expr = parse_value(source)
    resolver = Resolver({})
    resolver.layers_allowed = resolver.tensor_flows = False
    resolver.scopes = [{}]
    resolver.value(expr, "a value is needed")
    if resolver.problems:
        raise ArchError(resolver.problems)
    nowhere = Net(shown, expr.span, "", (), Body(expr.span, ()))
    elaborator = Elaborator(nowhere, {}, {})
    try:
        return elaborator.eval(expr, {}, None)
    except Failed:
        raise ArchError(elaborator.problems) from None
