"""Evaluates calls of layers and of `input`, and functions that read a tensor: `channels`, `size`, `shape`.

The shape of a layer is inferred when the layer is added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, NoReturn

from archcalc.builder import BuildProblem, NetworkBuilder
from archcalc.diagnostics import Note, Span
from archcalc.doubts import doubt_of, doubt_of_input
from archcalc.language import habits
from archcalc.language.evaluate import Env, ValueEvaluator
from archcalc.language.limits import VALUES_A_STEP
from archcalc.language.meanings import SPLIT_PARAMETERS, LayerCall
from archcalc.language.mismatch import called_in, gives, help_for_join, help_for_shapes
from archcalc.language.run_state import FAILED, Failed, RunState
from archcalc.language.syntax import Expr, ListExpr, Literal, Ref
from archcalc.language.values import is_number, type_name, weight
from archcalc.layers.arguments import LayerError, dim_index
from archcalc.layers.base import Layer
from archcalc.layers.resize import Slice
from archcalc.network import Doubt, Node
from archcalc.number import as_whole
from archcalc.shape import Shape, format_shape


def _is_literal(ref: Ref, number: int) -> bool:
    """Is an argument of a call a literal, not a computed value?"""
    return isinstance((ref.args or ())[number].value, Literal)


class LayerCalls:
    """Evaluates calls and adds their layers to a network. `input_shapes` replaces the shapes of inputs."""

    def __init__(
        self,
        run: RunState,
        values: ValueEvaluator,
        build: NetworkBuilder,
        input_shapes: Mapping[str, Shape],
    ) -> None:
        self.run = run
        self.values = values
        self.build = build
        self.input_shapes = input_shapes
        self.made: dict[tuple[Any, ...], Layer] = {}
        """The layers so far, by kind and arguments. Equal layers are created once."""
        self.doubts: list[Doubt] = []
        """The doubts about legal calls, once for each place in the text."""

    def tensor(self, value: Any, span: Span) -> Node:
        """A current tensor, which must exist."""
        if type(value) is Node:
            return value
        if value is not FAILED:
            self.run.fail("there is no tensor yet", span, help="start the net with `input(3x224x224)`")
        raise Failed

    def reading(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        name = ref.meaning.name
        if ref.slots:
            tensor = self.values.eval(ref.slots[0][1], env, current)
            if type(tensor) is not Node:
                self.run.fail(f"`{name}` needs a tensor, not {type_name(tensor)}", ref.slots[0][1].span)
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
            self.run.fail(
                f"`size` needs a map, but this tensor is a vector of {shape[0]}",
                ref.span,
                help="the length of a vector is `channels`",
            )
        return shape[1:]

    def input(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        expr = ref.slots[0][1]
        shape = self.values.eval(expr, env, current)
        name = label or "input"
        path = self.build.scope.prefix + name
        given = self.input_shapes.get(path)
        if given is not None:
            self.check_given(path, shape, tuple(given))
            shape = tuple(given)
        if not (type(shape) is tuple or is_number(shape)):
            help = "write it without quotes" if isinstance(shape, str) else ""
            self.run.fail(
                f"`input` needs a shape such as 3x224x224, not {type_name(shape)}", expr.span, help=help
            )
        try:
            node = self.build.input(shape if type(shape) is tuple else (shape,), name, ref.span)
        except BuildProblem as problem:
            help = "give each input a label: `left: input(...)`" if not label else problem.help
            message = f"there is already an input `{path}`" if not label else problem.message
            self.run.fail(message, ref.name_span, notes=problem.notes, help=help)
        except LayerError as problem:
            if given is not None:
                self.run.fail(
                    f"the input `{path}` cannot have the given shape: {problem.message}", ref.name_span
                )
            self.run.fail(problem.message, expr.span, help=problem.help)
        # Keras has the same name, and takes a list
        if not (ref.args or ())[0].name or isinstance(expr, ListExpr):
            kind, meant = doubt_of_input(node.shape)
            if kind:
                named = f"input(shape={format_shape(node.shape, cross='x')})"
                self.doubt(kind, node, format_shape(meant, cross="x"), named)
        return node

    def split(self, ref: Ref, env: Env, current: Any, label: str) -> tuple[Node, ...]:
        """The parts of the current tensor along an axis, each of which is a slice."""
        tensor = self.tensor(current, ref.name_span)
        given: dict[int, Any] = {}
        for slot, expr in ref.slots:
            try:
                value = self.values.eval(expr, env, current)
                given[slot] = SPLIT_PARAMETERS[slot].read(value)
            except LayerError as problem:
                name = SPLIT_PARAMETERS[slot].name
                self.run.fail(f"`{name}` of `split` {problem.message}", expr.span, help=problem.help)
        sizes, dim = given[0], given.get(1, "channels")
        try:
            whole = tensor.shape[dim_index(dim, tensor.shape, "split")]
        except LayerError as problem:
            self.run.fail(problem.message, ref.name_span, help=problem.help)
        if not isinstance(sizes, tuple):
            sizes = (sizes,) * (whole // sizes) + ((whole % sizes,) if whole % sizes else ())
        elif sum(sizes) != whole:
            self.run.fail(
                f"the parts of `split` add up to {sum(sizes):,} {dim}, but the tensor has {whole:,}",
                ref.slots[0][1].span,
                notes=[Note(gives(tensor, ""), tensor.span)],
            )
        self.run.charge(len(sizes), ref.span)
        ends = list(accumulate(sizes, initial=0))
        return tuple(
            self.build.add(Slice(start, end, dim), tensor, span=ref.span, calls=self.run.calls)
            for start, end in pairwise(ends)
        )

    def check_given(self, path: str, declared: Any, given: Shape) -> None:
        """Check the shape that is given for an input against the declared shape."""
        declared = declared if type(declared) is tuple else (declared,)
        if not all(as_whole(size) is not None for size in declared):
            return
        try:
            habits.check_given_shape(path, declared, given)
        except LayerError as problem:
            self.run.fail(problem.message, None, help=problem.help)

    def doubt(self, kind: str, node: Node, meant: str, named: str) -> None:
        if all(known.node.span is not node.span for known in self.doubts):
            self.doubts.append(Doubt(kind, node, meant, named))

    def layer(self, ref: Ref, env: Env, current: Any, label: str) -> Any:
        call: LayerCall = ref.meaning
        layer: Layer | None = call.ready
        tensors: tuple[Node, ...]
        owner: Node | None = None
        if layer is not None:
            tensors = () if layer.is_source else (self.tensor(current, ref.name_span),)
        else:
            layer, tensors, owner = self.make_layer(ref, call, env, current)
        doubt = ""
        if call.by_position:
            shape, named = tensors[0].facts.output, bool((ref.args or ())[0].name)
            doubt = doubt_of(layer, call.by_position, shape, partial(_is_literal, ref), named)
            if doubt == "wrong":
                self.input_channels(ref, call, layer, tensors[0])
            if doubt == "shrinks":
                self.shrinking(ref, tensors[0])
        try:
            tied = {"weight": (owner, "weight")} if owner is not None else None
            node = self.build.add(layer, *tensors, name=label, span=ref.span, calls=self.run.calls, tied=tied)
        except LayerError as problem:
            if call.by_position and not isinstance(problem, BuildProblem):
                shape = tensors[0].facts.output
                problem.help = habits.help_for_misfit(problem.help, ref, layer, call.by_position, shape)
            self.layer_problem(ref, call, tensors, problem)
        if doubt:
            self.doubt(doubt, node, *habits.readings(doubt, ref, layer))
        return node

    def input_channels(self, ref: Ref, call: LayerCall, layer: Layer, tensor: Node) -> NoReturn:
        """Report that the first argument of a call is the number of input channels."""
        channels = tensor.facts.output[0]
        as_read = habits.as_read(layer, call.by_position)
        kernel, named = habits.kernel_of(layer), habits.named_kernel(ref, layer)
        written = f"write `{habits.instead(ref, layer)}`"
        if self.run.calls is not None:
            written += f" here, or do not pass them to `{self.run.calls.block}`"
        notes = [Note(gives(tensor, ""), tensor.span), Note(f"as written, this is {as_read}")]
        self.run.fail(
            f"`{ref.name}` takes no input channels, but its first argument equals their number, {channels}",
            (ref.args or ())[0].span,
            notes=notes,
            help=f"{written}: the input channels are known; "
            f"if you mean a kernel of {kernel}, name it: `{named}`",
        )

    def shrinking(self, ref: Ref, tensor: Node) -> NoReturn:
        """Report that an upsampling to a size makes the map smaller."""
        size = (ref.args or ())[0].span.text
        self.run.fail(
            f"`{ref.name}` to a size of {size} makes the map smaller",
            (ref.args or ())[0].span,
            notes=[Note(gives(tensor, ""), tensor.span)],
            help=f"write `{ref.name}(scale_factor={size})`; if you mean that size, name it: `size={size}`",
        )

    def make_layer(
        self, ref: Ref, call: LayerCall, env: Env, current: Any
    ) -> tuple[Layer, tuple[Node, ...], Node | None]:
        """The layer of a call, the tensors it applies to, and the layer whose weight it uses, if any."""
        cls = call.layer
        parameters = cls.parameters
        values = [parameter.default for parameter in parameters]
        tensors: list[Node] = []
        owner: Node | None = None
        given: dict[int, Node] = {}
        """The tensor arguments, by their positions."""
        if not (cls.is_join or cls.is_source):
            tensors.append(self.tensor(current, ref.name_span))
        kind_of: Callable[[Any], Any] = type
        evaluate = self.values.forms
        for slot, expr in ref.slots:
            value = evaluate[type(expr)](expr, env, current)
            if slot < 0:
                if type(value) is Node:
                    tensors.append(value)
                else:
                    tensors += self.joined(ref, expr, value)
                continue
            if type(value) is Node and parameters[slot].takes_layer:
                owner = value
                continue
            if type(value) is Node:
                if not parameters[slot].takes_tensor:
                    message = f"`{parameters[slot].name}` of `{cls.kind}` needs a value, not a tensor"
                    number = f"`channels({expr.span.text})` is the number of its channels"
                    self.run.fail(message, expr.span, help=number if isinstance(expr, Ref) else "")
                given[slot] = value
            elif type(value) is tuple:
                self.run.charge(weight(value) // VALUES_A_STEP, expr.span)
                kind_of = _kind
            values[slot] = value
        if given:
            tensors += [given[slot] for slot in sorted(given)]
        key = (cls, *values, *map(kind_of, values))
        layer: Layer | None = self.made.get(key)
        if layer is None:
            try:
                layer = cls(*values)
            except LayerError as problem:
                channels = tensors[0].facts.output[0] if tensors else 0
                help = habits.help_for_argument(ref, cls, problem, values, channels)
                problem.help = help or problem.help
                self.layer_problem(ref, call, (), problem)
            self.made[key] = layer
        if call.constant:
            call.ready = layer
        return layer, tuple(tensors), owner

    def joined(self, ref: Ref, expr: Expr, value: Any) -> list[Node]:
        """The tensors in a list that is passed to a join."""
        items = value if type(value) is tuple else (value,)
        self.run.charge(len(items) // VALUES_A_STEP, expr.span)
        for item in items:
            if type(item) is not Node:
                self.run.fail(f"`{ref.name}` needs tensors, not {type_name(item)}", expr.span)
        return list(items)

    def layer_problem(
        self, ref: Ref, call: LayerCall, tensors: tuple[Node, ...], problem: LayerError
    ) -> NoReturn:
        """Report the error of a layer at the argument that causes it, with the shape of its input."""
        span, help = ref.name_span, problem.help
        if isinstance(problem, BuildProblem):
            self.run.fail(problem.message, span, label=problem.label, notes=problem.notes, help=help)
        parameters = call.layer.parameters
        for slot, expr in ref.slots:
            if slot >= 0 and parameters[slot].name == problem.argument:
                span = expr.span
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
        self.run.fail(problem.message, span, label=problem.label, notes=notes, help=help)


def _kind(value: Any) -> Any:
    """A key that distinguishes values that compare equal: `true` and 1."""
    return tuple(map(_kind, value)) if type(value) is tuple else type(value)
