"""Expands syntax to a network. Blocks are expanded, loops run, and shapes are inferred on the way, because
conditions depend on them.

A mistake is recorded where it happens. Code that depends on the mistake reports nothing, and the expansion
continues. One run therefore reports several mistakes, and each of them once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from archcalc.builder import BuildProblem, NetworkBuilder, OpenGroup
from archcalc.diagnostics import ArchError, CallSite, Diagnostic, Note, Span, error, unknown
from archcalc.language.evaluate import Env, ValueEvaluator
from archcalc.language.layer_calls import LayerCalls
from archcalc.language.limits import MAX_STEPS, STEPS_A_MISTAKE, VALUES_A_STEP
from archcalc.language.meanings import InputCall, LayerCall, Reading, SplitCall
from archcalc.language.resolve import value_in_place
from archcalc.language.run_state import FAILED, Failed, RunState
from archcalc.language.syntax import (
    Block,
    Body,
    Chain,
    ExpectLine,
    Flow,
    For,
    If,
    Imported,
    ListExpr,
    Net,
    Ref,
    Repeat,
    SeeLine,
    Statement,
    Variant,
    WrittenLine,
)
from archcalc.language.values import (
    ValueProblem,
    check_value,
    got,
    is_number,
    to_whole,
    type_name,
)
from archcalc.layers.arguments import LayerError, read_shape
from archcalc.network import Network, Node
from archcalc.number import as_whole
from archcalc.render.numbers import plural
from archcalc.shape import Shape


def elaborate(
    net: Net | Variant,
    overrides: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Shape] | None = None,
) -> Network:
    """The network that a `net` declares.

    `overrides` replaces values of its parameters, and `inputs` replaces shapes of its inputs. Raises
    `ArchError` with every mistake found.
    """
    return Elaborator(net, overrides or {}, inputs or {}).network()


def declared_shapes(net: Imported) -> dict[str, Shape]:
    """The input shapes that are given to a net from a file. Raises `ArchError` if one is not a shape."""
    run = RunState(net.name)
    values = ValueEvaluator(run)
    shapes: dict[str, Shape] = {}
    for arg in net.args:
        try:
            shapes[arg.name] = read_shape(values.eval(arg.value, {}, None))
        except LayerError as problem:
            raise error(f"the input `{arg.name}` {problem.message}", arg.span, help=problem.help) from None
        except Failed:
            raise ArchError(run.problems) from None
    return shapes


def written_calls(lines: Iterable[WrittenLine], network: Network, overridden: bool) -> dict[int, str]:
    """What the published code calls, from `written` lines, by node index. Raises `ArchError`."""
    found: dict[int, str] = {}
    for line in lines:
        try:
            found |= {node.index: line.code for node in network.select(line.path)}
        except ArchError as problem:
            if overridden:  # an override can remove the layer
                continue
            (first,) = problem.diagnostics
            raise error(first.message, line.span, help=first.help) from None
    return found


def _is_split(step: Any) -> bool:
    return isinstance(step, Ref) and isinstance(step.meaning, SplitCall)


class Elaborator:
    """One elaboration: runs statements and expands blocks."""

    def __init__(self, net: Net | Variant, overrides: Mapping[str, Any], inputs: Mapping[str, Shape]) -> None:
        self.net = net
        self.origin: Net = net.origin if isinstance(net, Variant) else net
        self.overrides = overrides
        self.input_shapes = dict(inputs)
        self.build = NetworkBuilder(net.name, judge=False)
        self.outputs: dict[str, Node] = {}
        self.heads: dict[str, Node] = {}
        self.run = RunState(net.name)
        self.values = ValueEvaluator(self.run)
        self.layers = LayerCalls(self.run, self.values, self.build, self.input_shapes)
        self.values.forms |= {Chain: self.chain, Body: self.anonymous}
        self.values.meanings |= {
            Block: self.block,
            LayerCall: self.layers.layer,
            Reading: self.layers.reading,
            InputCall: self.layers.input,
            SplitCall: self.layers.split,
        }
        self._execute: dict[Any, Callable[[Any, Env, Any], Any]] = {
            Flow: self.flow,
            If: self.if_,
            For: self.for_,
            Repeat: self.repeat,
            ExpectLine: self.pass_by,
            WrittenLine: self.pass_by,
            SeeLine: self.pass_by,
        }

    # -- the net as a whole

    def network(self) -> Network:
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
            self.run.calls = None
            self.run.note(
                Diagnostic(f"calls and bodies in `{origin.name}` are nested too deeply", origin.name_span)
            )
        if self.run.problems:
            raise ArchError(self.with_doubts(self.run.problems))
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
            help = "add layers after its `input`"
            raise error(f"the net `{origin.name}` has no layers", origin.name_span, help=help)
        network = self.build.finish(
            result if isinstance(result, Node) else None,
            outputs=self.outputs,
            heads=self.heads,
            parameters={name: env[name] for name in names},
            expectations=self.net.expectations,
            overridden=bool(self.overrides or self.input_shapes),
            source=origin.name_span.source,
            notes=self.layers.doubts,
        )
        network.see = self.net.see
        network.written = written_calls(self.net.written, network, bool(self.overrides))
        return network

    def with_doubts(self, problems: list[Diagnostic]) -> list[Diagnostic]:
        """The mistakes. Notes on doubtful inputs go to the first one, which a misread shape can cause."""
        from archcalc.notes import note_of

        doubts = [doubt for doubt in self.layers.doubts if doubt.node.is_input]
        first = problems[0]
        notes = (*first.notes, *(Note("; ".join(note_of(doubt)), doubt.node.span) for doubt in doubts))
        return [Diagnostic(first.message, first.span, first.label, notes, first.help), *problems[1:]]

    def check_overrides(self, names: list[str]) -> None:
        """Check values from outside against the limits of the language."""
        params = {param.name: param for param in self.origin.params}
        for name, value in self.overrides.items():
            if name not in params:
                listed = ", ".join(f"`{n}`" for n in names)
                help = f"it has {listed}" if names else "it has none"
                raise unknown(f"`{self.net.name}` has no parameter", str(name), names, help=help)
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
                self.run.fail(
                    f"the parameter `{param.name}` of `{self.net.name}` has no value",
                    param.span,
                    help=f"set it with `--set {param.name}=...`, or choose a net that sets it",
                )
            env[param.name] = self.values.eval(value, {} if param.name in given else env, None)

    # -- statements: each returns the current tensor after it

    def body(self, body: Body, env: Env, current: Any) -> Any:
        execute = self._execute
        run = self.run
        for statement in body.statements:
            run.steps += statement.cost
            if run.steps > MAX_STEPS:
                run.charge(0, statement.span)
            try:
                current = execute[type(statement)](statement, env, current)
            except Failed:
                run.steps += STEPS_A_MISTAKE
                self.forget(statement, env)
                if not (isinstance(statement, Flow) and statement.binds in ("let", "output", "aux")):
                    current = FAILED
        return current

    def forget(self, statement: Statement, env: Env) -> None:
        """After a mistake, forget the names that a statement binds."""
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
            value = self.values.forms[type(chain)](chain, env, current)
            if binds == "let":
                env[flow.name] = value
                return current
        if type(value) is not Node:
            message, help = value_in_place(flow)
            self.run.fail(message, chain.span, help=help)
        if not binds:
            return value
        env[flow.name] = value
        if binds == "label":
            return value
        results = self.outputs if binds == "output" else self.heads
        if flow.name in results or flow.name == "output":
            help = "give each result its own name, and do not mark results in a loop"
            self.run.fail(f"there is already a result `{flow.name}`", flow.name_span, help=help)
        results[flow.name] = value
        return current

    def labelled(self, flow: Flow, env: Env, current: Any) -> Any:
        label = self.build.scope.count_label(flow.name) if flow.in_loop else flow.name
        chain = flow.chain
        if type(chain) is Ref:
            return self.values.ref(chain, env, current, label)
        if type(chain) not in (Chain, Body):
            return self.values.eval(chain, env, current)
        assert flow.name_span is not None
        group = self.enter(label, "", flow.span, flow.name_span)
        try:
            value = self.values.eval(chain, env, current)
            self.build.leave(group, value if type(value) is Node else None)
        except Failed:
            self.build.leave(group, None)
            raise
        return value

    def enter(self, label: str, block: str, span: Span, name_span: Span) -> OpenGroup:
        try:
            return self.build.enter(label, block, span)
        except BuildProblem as problem:
            self.run.fail(problem.message, name_span, notes=problem.notes, help=problem.help)

    def if_(self, statement: If, env: Env, current: Any) -> Any:
        for condition, body in statement.branches:
            if self.values.truth(condition, env, current):
                return self.body(body, env, current)
        if statement.otherwise is not None:
            return self.body(statement.otherwise, env, current)
        return current

    def for_(self, statement: For, env: Env, current: Any) -> Any:
        rows = self.values.eval(statement.rows, env, current)
        if type(rows) is not tuple:
            help = f"write `repeat {statement.rows.span.text} {{ ... }}`" if is_number(rows) else ""
            self.run.fail(f"a loop needs a list, not {type_name(rows)}", statement.rows.span, help=help)
        names = statement.names
        body = statement.body
        self.run.charge(len(rows) * len(names) // VALUES_A_STEP, statement.rows.span)
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
            values = plural(len(row), "value", str)
            self.run.fail(f"{which} has {values}, but the loop has {names} names", span)
        self.run.fail(f"{which} is {type_name(row)}, not a list of {names} values", span)

    def repeat(self, statement: Repeat, env: Env, current: Any) -> Any:
        count = self.values.eval(statement.count, env, current)
        count, given = as_whole(count), count
        if count is None or count < 0:
            message = f"`repeat` needs a whole number of at least 0, got {got(given)}"
            help = to_whole(given) if not is_number(given) or given > 0 else ""
            self.run.fail(message, statement.count.span, help=help)
        if count > MAX_STEPS:
            self.run.give_up(
                f"`repeat` {count:,} times is over the limit of {MAX_STEPS:,} steps", statement.count.span
            )
        body = statement.body
        for _ in range(count if body.statements else 0):
            current = self.body(body, env, current)
        return current

    def pass_by(self, statement: Statement, env: Env, current: Any) -> Any:
        """Statements about the net as a whole add no layers."""
        return current

    # -- expressions

    def chain(self, chain: Chain, env: Env, current: Any) -> Any:
        evaluate = self.values.forms
        for step in chain.steps:
            current = evaluate[type(step)](step, env, current)
            if type(current) is tuple and step is chain.steps[-1] and _is_split(step):
                return current
            if type(current) is not Node:
                self.run.fail(
                    f"a step must be a layer, a block, or a tensor, not {type_name(current)}", step.span
                )
        return current

    def anonymous(self, body: Body, env: Env, current: Any) -> Any:
        outer = self.build.frozen
        self.build.frozen = outer or body.frozen
        try:
            value = self.body(body, env, current)
        finally:
            self.build.frozen = outer
        return self.layers.tensor(value, body.span)

    # -- names and calls

    def block(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        block: Block = ref.meaning
        inner = self.values.given(ref, block.params, env, current)
        tensor = self.layers.tensor(current, ref.name_span)
        build = self.build
        group = self.enter(label, block.name, ref.span, ref.name_span)
        calls, sharing, depth = self.run.calls, build.sharing, self.run.depth
        self.run.deeper(ref, block.cost)
        self.run.calls = CallSite(block.name, ref.name_span, calls)
        if block.shared:
            build.sharing = (block, len(build.scope.prefix))
        output = None
        try:
            if len(inner) < len(block.params):
                self.values.defaults(block.params, inner, tensor)
            value = self.body(block.body, inner, tensor)
            output = self.layers.tensor(value, ref.name_span)
            return output
        finally:
            self.run.calls, build.sharing, self.run.depth = calls, sharing, depth
            build.leave(group, output)
