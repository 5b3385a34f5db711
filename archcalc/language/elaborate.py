"""Syntax to a network: blocks expanded, loops run, shapes inferred as it goes, because conditions
depend on them.

A mistake is noted where it happens. What depends on it stays silent, and the expansion goes on, so that
one run reports several mistakes and each of them once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, NoReturn

from archcalc.builder import BuildProblem, NetworkBuilder, OpenGroup
from archcalc.language.limits import MAX_CALLS, MAX_STEPS, STEPS_A_MISTAKE, VALUES_A_STEP
from archcalc.language.parser import parse_value
from archcalc.language.resolve import (
    LOCAL,
    InputCall,
    LayerCall,
    Local,
    Reading,
    Resolver,
    help_for_join,
    value_in_place,
)
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
    Param,
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
    check_value,
    is_number,
    make_list,
    shown_number,
    type_name,
    weight,
)
from archcalc.layers.base import Layer, LayerError, Parameter
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

    def __init__(self, net: Net | Variant, overrides: Mapping[str, Any], inputs: Mapping[str, Shape]) -> None:
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
        self._evaluate: dict[Any, Callable[[Any, Env, Any], Any]] = {
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
        self._execute: dict[Any, Callable[[Any, Env, Any], Any]] = {
            Flow: self.flow,
            If: self.if_,
            For: self.for_,
            Repeat: self.repeat,
            Expect: self.expect,
        }
        self._refs: dict[Any, Callable[[Ref, Env, Any, str], Any]] = {
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
        self.check_overrides(names)
        result: Any = FAILED
        env: Env = {}
        try:
            self.parameters(env)
            result = self.body(origin.body, env, None)
        except Failed:
            pass
        except RecursionError:
            self.calls = None
            self.note(
                Diagnostic(f"calls and bodies in `{origin.name}` are nested too deep", origin.name_span)
            )
        if self.problems:
            raise ArchError(self.problems)
        unused = set(self.input_shapes) - {node.name for node in self.build.nodes if node.is_input}
        if unused:
            known = [node.name for node in self.build.nodes if node.is_input]
            listed = ", ".join(f"`{name}`" for name in known)
            raise error(f"`{self.net.name}` has no input `{min(unused)}`", help=f"it has {listed}")
        if not any(node.is_input for node in self.build.nodes):
            raise error(
                f"the net `{origin.name}` has no input",
                origin.name_span,
                help="start with `input(3x224x224)`",
            )
        if not any(not node.is_input for node in self.build.nodes):
            help = "put layers below its `input`"
            raise error(f"the net `{origin.name}` has no layers", origin.name_span, help=help)
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

    def check_overrides(self, names: list[str]) -> None:
        """Values from outside are held to the limits of the language."""
        params = {param.name: param for param in self.origin.params}
        for name, value in self.overrides.items():
            if name not in params:
                listed = ", ".join(f"`{n}`" for n in names)
                help = near_miss(str(name), names) or (f"it has {listed}" if names else "it has none")
                raise error(f"`{self.net.name}` has no parameter `{name}`", help=help)
            try:
                check_value(value)
            except ValueProblem as problem:
                notes = [Note(f"`{name}` is declared here", params[name].span)]
                raise error(f"`{name}` cannot have this value: {problem.message}", notes=notes) from None

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
        notes = problem.notes + _call_notes(calls)
        self.problems.append(Diagnostic(problem.message, problem.span, problem.label, notes, problem.help))

    def fail(
        self, message: str, span: Span | None, *, label: str = "", notes: Iterable[Note] = (), help: str = ""
    ) -> NoReturn:
        self.note(Diagnostic(message, span, label, tuple(notes), help))
        raise Failed

    # -- statements: each returns the current tensor after it

    def body(self, body: Body, env: Env, current: Any) -> Any:
        execute = self._execute
        for statement in body.statements:
            self.steps += statement.cost
            if self.steps > MAX_STEPS:
                self.charge(0, statement.span)
            try:
                current = execute[type(statement)](statement, env, current)
            except Failed:
                self.steps += STEPS_A_MISTAKE
                self.forget(statement, env)
                if not (isinstance(statement, Flow) and statement.binds in ("let", "output", "aux")):
                    current = FAILED
        return current

    def give_up(self, message: str, span: Span) -> NoReturn:
        """A limit is exceeded: end the run, whatever else might be found."""
        notes = _call_notes(self.calls.chain() if self.calls is not None else [])
        raise ArchError([*self.problems, Diagnostic(message, span, notes=notes)])

    def forget(self, statement: Statement, env: Env) -> None:
        """After a mistake, the names that a statement binds are known no more."""
        if isinstance(statement, Flow):
            if statement.binds:
                env[statement.name] = FAILED
            chain = statement.chain
            bodies = [
                step
                for step in (chain.steps if isinstance(chain, Chain) else (chain,))
                if isinstance(step, Body)
            ]
        else:
            bodies = []
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
            message, help = value_in_place(flow)
            self.fail(message, chain.span, help=help)
        if not binds:
            return value
        env[flow.name] = value
        if binds == "label":
            return value
        results = self.outputs if binds == "output" else self.heads
        if flow.name in results or flow.name == "output":
            help = "give each a name of its own, and mark none within a loop"
            self.fail(f"there is a result `{flow.name}` already", flow.name_span, help=help)
        results[flow.name] = value
        return current

    def labelled(self, flow: Flow, env: Env, current: Any) -> Any:
        label = self.build.scope.count_label(flow.name) if flow.in_loop else flow.name
        chain = flow.chain
        if type(chain) is Ref:
            return self.ref(chain, env, current, label)
        if type(chain) not in (Chain, Body):
            return self.eval(chain, env, current)
        assert flow.name_span is not None
        group = self.enter(label, "", flow.span, flow.name_span)
        try:
            value = self.eval(chain, env, current)
            self.build.leave(group, value if type(value) is Node else None)
        except Failed:
            self.build.leave(group, None)
            raise
        return value

    def enter(self, label: str, block: str, span: Span, name_span: Span) -> OpenGroup:
        try:
            return self.build.enter(label, block, span)
        except BuildProblem as problem:
            self.fail(problem.message, name_span, notes=problem.notes, help=problem.help)

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
            self.fail(f"a loop runs over a list, not {type_name(rows)}", statement.rows.span)
        names = statement.names
        body = statement.body
        self.charge(len(rows) * len(names) // VALUES_A_STEP, statement.rows.span)
        for index, row in enumerate(rows):
            if len(names) == 1:
                env[names[0][0]] = row
            else:
                if type(row) is not tuple or len(row) != len(names):
                    self.bad_row(statement, index, row)
                for (name, _), value in zip(names, row, strict=True):
                    env[name] = value
            if body.statements:
                current = self.body(body, env, current)
        return current

    def bad_row(self, statement: For, index: int, row: Any) -> NoReturn:
        rows = statement.rows
        span = rows.items[index].span if isinstance(rows, ListExpr) else rows.span
        which = "a row" if isinstance(rows, ListExpr) else f"the row at index {index}"
        names = len(statement.names)
        if type(row) is tuple:
            values = f"{len(row)} value{'' if len(row) == 1 else 's'}"
            self.fail(f"{which} has {values}, but the loop has {names} names", span)
        self.fail(f"{which} is {type_name(row)}, not a list of {names} values", span)

    def repeat(self, statement: Repeat, env: Env, current: Any) -> Any:
        count = self.eval(statement.count, env, current)
        if type(count) is not int or count < 0:
            got = shown_number(count) if is_number(count) else type_name(count)
            self.fail(
                f"`repeat` needs a whole number of at least 0, got {got}",
                statement.count.span,
                help="write `floor(...)`, `ceil(...)` or `round(...)`"
                if is_number(count) and count > 0
                else "",
            )
        if count > MAX_STEPS:
            self.give_up(
                f"`repeat` {count:,} times is over the limit of {MAX_STEPS:,} steps", statement.count.span
            )
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
                self.fail(f"a step is a layer, a block or a tensor, not {type_name(current)}", step.span)
        return current

    def anonymous(self, body: Body, env: Env, current: Any) -> Any:
        value = self.body(body, env, current)
        return self.tensor(value, body.span)

    def tensor(self, value: Any, span: Span) -> Node:
        """A current tensor that must be there."""
        if type(value) is Node:
            return value
        if value is not FAILED:
            self.fail("no tensor flows here yet", span, help="start the net with `input(3x224x224)`")
        raise Failed

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

    def reading(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        name = ref.meaning.name
        if ref.slots:
            tensor = self.eval(ref.slots[0][1], env, current)
            if type(tensor) is not Node:
                self.fail(f"`{name}` reads a tensor, not {type_name(tensor)}", ref.slots[0][1].span)
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

    def deeper(self, ref: Ref, cost: int) -> None:
        self.depth += 1
        if self.depth > MAX_CALLS:
            self.give_up(f"calls are nested more than {MAX_CALLS} deep", ref.name_span)
        self.charge(cost, ref.name_span)

    def charge(self, steps: int, span: Span) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            self.give_up(f"`{self.net.name}` takes more than {MAX_STEPS:,} steps", span)

    def charge_lists(self, values: Iterable[Any], span: Span) -> None:
        """Work on long lists takes time too."""
        for value in values:
            if type(value) is tuple:
                self.charge(weight(value) // VALUES_A_STEP, span)

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

    def block(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        block: Block = ref.meaning
        inner = self.given(ref, block.params, env, current)
        tensor = self.tensor(current, ref.name_span)
        build = self.build
        group = self.enter(label, block.name, ref.span, ref.name_span)
        calls, sharing, depth = self.calls, build.sharing, self.depth
        self.deeper(ref, block.cost)
        self.calls = CallSite(block.name, ref.name_span, calls)
        if block.shared:
            build.sharing = (block, len(build.scope.prefix))
        output = None
        try:
            if len(inner) < len(block.params):
                self.defaults(block.params, inner, tensor)
            value = self.body(block.body, inner, tensor)
            output = self.tensor(value, ref.name_span)
            return output
        finally:
            self.calls, build.sharing, self.depth = calls, sharing, depth
            build.leave(group, output)

    def input(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        expr = ref.slots[0][1]
        shape = self.eval(expr, env, current)
        name = label or "input"
        path = self.build.scope.prefix + name
        given = self.input_shapes.get(path)
        if given is not None:
            shape = tuple(given)
        if not (type(shape) is tuple or is_number(shape)):
            help = "write it without quotes" if isinstance(shape, str) else ""
            self.fail(
                f"`input` needs a shape such as 3x224x224, not {type_name(shape)}", expr.span, help=help
            )
        try:
            return self.build.input(shape if type(shape) is tuple else (shape,), name, ref.span)
        except BuildProblem as problem:
            help = "give the inputs labels: `left: input(...)`" if not label else problem.help
            message = f"there is an input `{path}` already" if not label else problem.message
            self.fail(message, ref.name_span, notes=problem.notes, help=help)
        except LayerError as problem:
            if given is not None:
                self.fail(f"the input `{path}` cannot have the given shape: {problem.message}", ref.name_span)
            self.fail(problem.message, expr.span, help=problem.help)

    def layer(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        call: LayerCall = ref.meaning
        layer: Layer | None = call.ready
        tensors: tuple[Node, ...]
        if layer is not None:
            tensors = (current,) if type(current) is Node else (self.tensor(current, ref.name_span),)
        else:
            layer, tensors = self.make_layer(ref, call, env, current)
        try:
            return self.build.add(layer, *tensors, name=label, span=ref.span, calls=self.calls)
        except LayerError as problem:
            self.layer_problem(ref, call, tensors, problem)

    def make_layer(self, ref: Ref, call: LayerCall, env: Env, current: Any) -> tuple[Layer, tuple[Node, ...]]:
        """The layer of a call, with its arguments evaluated, and the tensors it applies to."""
        cls = call.layer
        parameters = cls.parameters
        values = [parameter.default for parameter in parameters]
        tensors: list[Node] = []
        if not cls.is_join:
            tensors.append(self.tensor(current, ref.name_span))
        kind_of: Callable[[Any], Any] = type
        evaluate = self._evaluate
        for slot, expr in ref.slots:
            value = evaluate[type(expr)](expr, env, current)
            if slot < 0:
                if type(value) is Node:
                    tensors.append(value)
                else:
                    tensors += self.joined(ref, expr, value)
                continue
            if type(value) is Node:
                if not parameters[slot].takes_tensor:
                    message = f"`{parameters[slot].name}` of `{cls.kind}` takes a value, not a tensor"
                    number = f"`channels({expr.span.text})` is its number of channels"
                    self.fail(message, expr.span, help=number if isinstance(expr, Ref) else "")
                tensors.append(value)
            elif type(value) is tuple:
                self.charge(weight(value) // VALUES_A_STEP, expr.span)
                kind_of = _kind
            values[slot] = value
        key = (cls, *values, *map(kind_of, values))
        layer: Layer | None = self.layers.get(key)
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
        """The tensors of a list that a join takes."""
        items = value if type(value) is tuple else (value,)
        self.charge(len(items) // VALUES_A_STEP, expr.span)
        for item in items:
            if type(item) is not Node:
                self.fail(f"`{ref.name}` joins tensors, not {type_name(item)}", expr.span)
        return list(items)

    def layer_problem(
        self, ref: Ref, call: LayerCall, tensors: tuple[Node, ...], problem: LayerError
    ) -> NoReturn:
        """A layer refuses its arguments or inputs: point at the argument, and at what comes in."""
        span, help = ref.name_span, problem.help
        if isinstance(problem, BuildProblem):
            self.fail(problem.message, span, label=problem.label, notes=problem.notes, help=help)
        parameters = call.layer.parameters
        for slot, expr in ref.slots:
            if slot >= 0 and parameters[slot].name == problem.argument:
                span = expr.span
                help = help or _quote(expr, parameters[slot])
        called: dict[int, str] = {}
        if call.layer.is_join and tensors:
            called = _called(ref, tensors)
            if len(tensors) < 2:
                help = help_for_join(ref.name, [arg for arg in ref.args or () if not arg.name])
            tensors = _at_odds(tensors, problem.label)
            help = help or _help_for_shapes(ref.name, tensors)
        notes = [
            Note(_gives(node, called.get(node.index, "")), node.span) for node in dict.fromkeys(tensors[:4])
        ]
        self.fail(problem.message, span, label=problem.label, notes=notes, help=help)


def _kind(value: Any) -> Any:
    """What tells apart values that are equal: `true` is no 1."""
    return tuple(map(_kind, value)) if type(value) is tuple else type(value)


def _call_notes(calls: list[CallSite]) -> tuple[Note, ...]:
    """The calls around a mistake, innermost first; of many, the first two and the last."""
    shown = calls if len(calls) <= 4 else calls[:2]
    notes = [Note(f"in a call of `{call.block}`", call.span) for call in shown]
    if len(calls) > 4:
        notes.append(Note(f"in {len(calls) - 3} more calls"))
        notes.append(Note(f"in a call of `{calls[-1].block}`", calls[-1].span))
    return tuple(notes)


def _quote(expr: Expr, parameter: Parameter) -> str:
    """Help for an argument that may be meant as a string."""
    if not isinstance(expr, Ref) or expr.args is not None:
        return ""
    try:
        parameter.read(expr.name)
    except LayerError:
        return ""
    return f'write `"{expr.name}"`'


def _called(ref: Ref, tensors: tuple[Node, ...]) -> dict[int, str]:
    """The names that the arguments of a join have in the text, by the index of the node."""
    exprs = [expr for slot, expr in ref.slots if slot < 0]
    if len(exprs) != len(tensors):
        return {}
    pairs = zip(tensors, exprs, strict=True)
    return {node.index: expr.name for node, expr in pairs if isinstance(expr, Ref) and expr.meaning is LOCAL}


def _gives(node: Node, name: str) -> str:
    """What a tensor is; `name` is what the text calls it, if anything."""
    known = f"`{name}` (`{node.name}`)" if name and name != node.name else f"`{node.name}`"
    return f"{known} gives {format_shape(node.shape, cross='x')}"


def _at_odds(tensors: tuple[Node, ...], label: str) -> tuple[Node, ...]:
    """Of the tensors of a join, the two whose shapes its complaint names."""
    shapes = label.split(" and ")
    first = [node for node in tensors if format_shape(node.shape, cross="x") == shapes[0]][:1]
    other = [node for node in tensors if format_shape(node.shape, cross="x") == shapes[-1]][:1]
    return (*first, *other) or tensors


def _help_for_shapes(join: str, tensors: tuple[Node, ...]) -> str:
    """How two tensors that differ can be brought to one shape."""
    if len(tensors) < 2 or len(tensors[0].shape) != len(tensors[1].shape):
        return ""
    first, second = tensors[:2]
    if len(first.shape) == 1:
        return f"bring `{second.name}` to {first.shape[0]} features, for instance with `fc({first.shape[0]})`"
    small, large = (first, second) if first.shape[1:] <= second.shape[1:] else (second, first)
    ratios = {Fraction(a, b) for a, b in zip(large.shape[1:], small.shape[1:], strict=True)}
    ratio = ratios.pop()
    if join == "mul" and 1 in (*small.shape[1:], *large.shape[1:]):
        channels = large.shape[0]
        return f"bring `{small.name}` to {channels} channels, for instance with `conv({channels}, 1)`"
    if ratios or ratio.denominator != 1:
        size = tuple(map(min, small.shape[1:], large.shape[1:]))
        return f"pad both alike, or cut `{large.name}` to size: `crop({format_shape(size, cross='x')})`"
    if join == "concat":
        return f"enlarge `{small.name}`, for instance with `upsample(scale_factor={ratio})`"
    channels = small.shape[0]
    if ratio == 1:
        return f"bring `{large.name}` to {channels} channels, for instance with `conv({channels}, 1)`"
    reduced = f"conv({channels}, 1, stride={ratio})"
    return f"bring `{large.name}` to the other shape, for instance with `{reduced}`"


def constant(text: str, shown: str) -> Any:
    """The value of an expression without names, such as that of an option; `shown` names its origin.

    Raises `ArchError`, with the place in the text.

    >>> constant("[64, 2 * 64]", "--set channels")
    (64, 128)
    """
    source = Source(shown, text)
    expr = parse_value(source)
    resolver = Resolver({})
    resolver.tensor_flows, resolver.only_values = False, "a value is needed"
    resolver.value(expr, "a value is needed")
    resolver.finish()
    if isinstance(expr, Ref) and expr.args is None and resolver.problems:
        help = f'write `"{expr.name}"` if a string is meant'
        raise error(resolver.problems[0].message, expr.span, help=help)
    if resolver.problems:
        raise ArchError(resolver.problems)
    nowhere = Net(shown, expr.span, "", (), 1, Body(expr.span, ()))
    elaborator = Elaborator(nowhere, {}, {})
    try:
        return elaborator.eval(expr, {}, None)
    except Failed:
        raise ArchError(elaborator.problems) from None
