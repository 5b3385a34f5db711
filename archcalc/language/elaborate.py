"""Syntax to a network: blocks expanded, loops run, shapes inferred as it goes, because conditions
depend on them.

A mistake is noted where it happens. What depends on it stays silent, and the expansion goes on, so that
one run reports several mistakes and each of them once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from archcalc.builder import BuildProblem, NetworkBuilder, OpenGroup
from archcalc.diagnostics import ArchError, CallSite, Diagnostic, Note, Span, error, near_miss
from archcalc.language.evaluate import FAILED, Env, Evaluator, Failed
from archcalc.language.limits import MAX_STEPS, STEPS_A_MISTAKE, VALUES_A_STEP
from archcalc.language.meanings import InputCall, LayerCall, Reading
from archcalc.language.mismatch import called_in, gives, help_for_join, help_for_shapes, quote
from archcalc.language.resolve import value_in_place
from archcalc.language.syntax import (
    Block,
    Body,
    Chain,
    ExpectLine,
    Expr,
    Flow,
    For,
    If,
    ListExpr,
    Net,
    Ref,
    Repeat,
    Statement,
    Variant,
)
from archcalc.language.values import (
    ValueProblem,
    check_value,
    is_number,
    shown_number,
    type_name,
    weight,
)
from archcalc.layers.arguments import LayerError
from archcalc.layers.base import Layer
from archcalc.network import Network, Node
from archcalc.shape import Shape


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


class Elaborator(Evaluator):
    """The state of one elaboration."""

    def __init__(self, net: Net | Variant, overrides: Mapping[str, Any], inputs: Mapping[str, Shape]) -> None:
        super().__init__(net.name)
        self.net = net
        self.origin: Net = net.origin if isinstance(net, Variant) else net
        self.overrides = overrides
        self.input_shapes = dict(inputs)
        self.build = NetworkBuilder(net.name)
        self.outputs: dict[str, Node] = {}
        self.heads: dict[str, Node] = {}
        self.layers: dict[tuple[Any, ...], Layer] = {}
        self._evaluate |= {Chain: self.chain, Body: self.anonymous}
        self._refs |= {
            LayerCall: self.layer,
            Block: self.block,
            Reading: self.reading,
            InputCall: self.input,
        }
        self._execute: dict[Any, Callable[[Any, Env, Any], Any]] = {
            Flow: self.flow,
            If: self.if_,
            For: self.for_,
            Repeat: self.repeat,
            ExpectLine: self.expect,
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
        return self.build.finish(
            result if isinstance(result, Node) else None,
            outputs=self.outputs,
            heads=self.heads,
            parameters={name: env[name] for name in names},
            expectations=self.net.expectations,
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

    def expect(self, statement: ExpectLine, env: Env, current: Any) -> Any:
        return current

    # -- expressions

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

    # -- names and calls

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
                help = help or quote(expr, parameters[slot])
        called: dict[int, str] = {}
        if call.layer.is_join and tensors:
            called = called_in(ref, tensors)
            if len(tensors) < 2:
                help = help_for_join(ref.name, [arg for arg in ref.args or () if not arg.name])
            if problem.at_odds:
                tensors = tuple(tensors[index] for index in problem.at_odds)
            help = help or help_for_shapes(ref.name, tensors)
        notes = [
            Note(gives(node, called.get(node.index, "")), node.span) for node in dict.fromkeys(tensors[:4])
        ]
        self.fail(problem.message, span, label=problem.label, notes=notes, help=help)


def _kind(value: Any) -> Any:
    """What tells apart values that are equal: `true` is no 1."""
    return tuple(map(_kind, value)) if type(value) is tuple else type(value)
