"""Checks types before shapes are known: whether each expression is a tensor, a value, or a list.

The arguments of every call are checked against the definition that is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archcalc.diagnostics import MAX_REPORTED, Note
from archcalc.doubts import INPUTS_FIRST
from archcalc.language.habits import in_doubt, without_input_channels
from archcalc.language.meanings import (
    INPUT,
    INPUT_PARAMETERS,
    LOCAL,
    READINGS,
    SPLIT,
    SPLIT_PARAMETERS,
    LayerCall,
)
from archcalc.language.mismatch import help_for_join
from archcalc.language.scopes import ANY, BOUND, LIST, TENSOR, VALUE, Binding, Scopes, ValueType
from archcalc.language.syntax import (
    Arg,
    Binary,
    Block,
    Body,
    Chain,
    Choice,
    Definition,
    Expr,
    Function,
    Index,
    ListExpr,
    Literal,
    Net,
    Param,
    Ref,
    Unary,
    Variant,
)
from archcalc.language.values import BUILTINS, Builtin
from archcalc.layers.arguments import LayerError, Parameter, format_argument
from archcalc.layers.base import KINDS, Layer
from archcalc.render.numbers import plural

LISTS = {
    **dict.fromkeys(("input", "reshape"), "shape"),
    **dict.fromkeys(("adaptive_avgpool", "adaptive_maxpool", "crop"), "size"),
    "permute": "list",
}
"""Layers and functions that take one list, where other tools take several numbers; and what the list is."""

OF_TENSORS = {
    "max": 'the maximum of each map is `global_maxpool`; other maxima are `reduce("max", dim=...)`',
    "sum": 'write `add(...)`; a sum over an axis is `reduce("sum", dim=...)`',
    "len": "`channels(...)`, `size(...)` and `shape(...)` give the sizes of a tensor",
}
"""What to write for a function of numbers that other tools also have for tensors."""


WITH_NUMBERS = {
    "add": "`shift` adds a number: `shift({})`",
    "sub": "`shift` subtracts a number: `shift(-({}))`",
    "mul": "`scale` multiplies by a number: `scale({})`",
    "div": "`scale` divides by a number: `scale(1 / ({}))`",
}
"""What to write for a join of a tensor and a number."""


class TypeChecker:
    """Checks expressions. Each method returns the type of the value, and `ANY` after a mistake.

    `nested` checks the statements of a body in a new scope.
    """

    def __init__(self, scopes: Scopes, nested: Callable[[Body], None]) -> None:
        self.scopes = scopes
        self.nested = nested
        self.only_values = ""
        """Why layers are not allowed here; empty if they are."""
        self.parameter: Parameter | None = None
        """The parameter that a bare name is passed to, while the name is resolved."""
        self.tensor_flows = True

    def value(self, expr: Expr, why: str) -> None:
        """Check an expression that must not be a tensor."""
        if self.expr(expr) is TENSOR:
            self.scopes.error(f"{why}, not a tensor", expr.span)

    def step(self, expr: Expr) -> ValueType:
        """Check an expression where a layer, a block, or a tensor is expected."""
        return self.ref(expr, "layer or block") if isinstance(expr, Ref) else self.expr(expr)

    def expr(self, expr: Expr) -> ValueType:
        if isinstance(expr, Ref):
            return self.ref(expr)
        if isinstance(expr, Literal):
            return VALUE
        if isinstance(expr, Chain | Body) and self.only_values:
            self.scopes.error(f"layers are not allowed here: {self.only_values}", expr.span)
            outer, self.only_values = self.only_values, ""
            self.expr(expr)
            self.only_values = outer
            return ANY
        if isinstance(expr, Chain):
            for step in expr.steps:
                type = self.step(step)
                if step is expr.steps[-1] and isinstance(step, Ref) and step.meaning is SPLIT:
                    return type
                if type in (VALUE, LIST):
                    self.scopes.error("a step must be a layer, a block, or a tensor, not a value", step.span)
            return TENSOR
        if isinstance(expr, ListExpr):
            for item in expr.items:
                self.expr(item)
            return LIST
        if isinstance(expr, Binary):
            return self.binary(expr)
        if isinstance(expr, Unary):
            self.value(expr.operand, f"`{expr.op}` needs a value")
            return VALUE
        if isinstance(expr, Index):
            self.value(expr.base, "only a list can be indexed")
            for index in expr.indices:
                self.value(index, "an index must be a number")
            return ANY
        if isinstance(expr, Choice):
            return self.choice(expr)
        assert isinstance(expr, Body)
        self.nested(expr)
        return TENSOR

    def choice(self, expr: Choice) -> ValueType:
        self.value(expr.condition, "a condition must be true or false")
        types = [self.expr(expr.if_true), self.expr(expr.if_false)]
        if TENSOR in types:
            condition = expr.condition.span.text
            self.scopes.error(
                "`a if c else b` chooses between values, not layers or tensors",
                expr.span,
                help=f"use the statement `if`: `if {condition} {{ ... }} else {{ ... }}`",
            )
            return ANY
        if types == [ANY, ANY]:
            return ANY
        return VALUE if types == [VALUE, VALUE] else LIST

    def binary(self, expr: Binary) -> ValueType:
        types = [self.expr(expr.first), *(self.expr(operand) for _, operand in expr.rest)]
        op = expr.rest[0][0]
        if TENSOR not in types:
            if op in ("+", "-", "*") and all(type is ANY for type in types):
                return ANY
            return LIST if op == "+" and VALUE not in types else VALUE
        join = {"+": "add", "*": "mul", "-": "sub"}.get(op)
        operands = [expr.first.span.text, *(operand.span.text for _, operand in expr.rest)]
        help = ""
        if join and VALUE in types:
            help = "leave it out: a number does not change shapes or parameters"
        elif join and len({op, *(op for op, _ in expr.rest)}) == 1 and len("".join(operands)) < 60:
            help = f"write `{join}({', '.join(operands)})`"
        elif op == "//":
            help = "a comment starts with `#`"
        elif op in ("==", "!=", "<", "<=", ">", ">="):
            help = "compare its `channels(...)`, `size(...)`, or `shape(...)`"
        self.scopes.error(f"`{op}` computes with values, not tensors", expr.span, help=help)
        return ANY

    def ref(self, ref: Ref, what: str = "") -> ValueType:
        """Check a name or a call. `what` says what is expected there, if anything."""
        binding = self.scopes.lookup(ref.name)
        if binding is not None:
            binding.read = True
            ref.meaning = LOCAL
            if ref.args is not None:
                self.not_callable(ref, binding)
                return ANY
            return binding.type
        definition = self.scopes.visible.get(ref.name)
        if definition is not None:
            self.scopes.used.add(ref.name)
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
        if ref.name == "split":
            return self.split_ref(ref)
        for arg in ref.args or ():
            self.expr(arg.value)
        if self.parameter is not None and self.unquoted(ref, self.parameter):
            return ANY
        if not what:
            what = "name" if ref.args is None else "layer, block, or function"
        self.scopes.miss(ref.name, ref.name_span, what)
        return ANY

    def not_callable(self, ref: Ref, binding: Binding) -> None:
        for arg in ref.args or ():
            self.expr(arg.value)
        help = ""
        if binding.type is TENSOR:
            help = f"write `{ref.name} -> ...` to continue from it"
        elif binding.type in (VALUE, LIST):
            help = f"write `{ref.name} * ...` to multiply, or `{ref.name}[...]` for a value of a list"
        what = {TENSOR: "a tensor, and a tensor", ANY: "not a layer or a block, so it"}
        self.scopes.error(
            f"`{ref.name}` is {what.get(binding.type, 'a value, and a value')} cannot be called",
            ref.name_span,
            notes=[Note(f"`{ref.name}` {BOUND[binding.by]} here", binding.span)],
            help=help,
        )

    def definition_ref(self, ref: Ref, definition: Definition) -> ValueType:
        if isinstance(definition, Net | Variant):
            for arg in ref.args or ():
                self.expr(arg.value)
            notes = [Note(f"`{ref.name}` is defined here", definition.name_span)]
            help = "move the shared layers to a `block`"
            self.scopes.error(
                f"`{ref.name}` is a net, and a net cannot be called", ref.name_span, help, notes=notes
            )
            return ANY
        ref.meaning = definition
        self.arguments(ref, definition.params, definition)
        if isinstance(definition, Function):
            for arg in ref.args or ():
                self.value(arg.value, "a function needs values")
            return LIST
        for arg in ref.args or ():
            self.expr(arg.value)
        return TENSOR if self.layers_allowed(ref) else ANY

    def layers_allowed(self, ref: Ref) -> bool:
        """Are layers allowed here? If not, records the mistake."""
        if self.only_values:
            self.scopes.error(
                f"`{ref.name}` adds layers, which are not allowed here: {self.only_values}", ref.name_span
            )
        return not self.only_values

    def layer_ref(self, ref: Ref) -> ValueType:
        layer = KINDS[ref.name]
        args = ref.args or ()
        placed = self.arguments(ref, layer.parameters, layer)
        constant = True
        joined: list[ValueType] = []
        for index, arg in enumerate(args):
            slot = placed.get(index)
            parameter = layer.parameters[slot] if slot is not None and slot >= 0 else None
            if parameter is not None and parameter.name == "kernel_size":
                self.not_a_product(arg.value)
            self.parameter = parameter if isinstance(arg.value, Ref) and arg.value.args is None else None
            type = self.expr(arg.value)
            self.parameter = None
            constant = constant and isinstance(arg.value, Literal)
            if slot is None:
                continue
            if parameter is None:
                joined.append(type)
                if type is VALUE:
                    has_dim = layer.parameters and isinstance(arg.value, Literal | Unary)
                    help = 'name the axis: `dim="channels"`' if has_dim else ""
                    if ref.name in WITH_NUMBERS and arg is not args[0]:
                        help = WITH_NUMBERS[ref.name].format(arg.span.text)
                    self.scopes.error(f"`{ref.name}` needs tensors, not values", arg.span, help=help)
            elif type is TENSOR and not (parameter.takes_tensor or parameter.takes_layer):
                self.tensor_argument(ref, parameter.name, arg)
        ref.meaning = LayerCall(layer, constant and not layer.is_join, by_position=in_doubt(ref))
        if layer.is_join and len(joined) == len([arg for arg in args if not arg.name]):
            self.count_joined(ref, joined, layer.least_tensors)
        return TENSOR if self.layers_allowed(ref) else ANY

    def not_a_product(self, expr: Expr) -> None:
        """Report a kernel size written as `3 * 3`, which is 9."""
        literals = isinstance(expr, Binary) and all(
            isinstance(operand, Literal) for operand in (expr.first, *(operand for _, operand in expr.rest))
        )
        if isinstance(expr, Binary) and literals and {op for op, _ in expr.rest} == {"*"}:
            size = expr.span.text.replace(" ", "").replace("*", "x")
            self.scopes.error("a kernel size cannot be a product", expr.span, help=f"write it as `{size}`")

    def unquoted(self, ref: Ref, parameter: Parameter) -> bool:
        """Is an unknown name a word without its quotes? If so, records the mistake."""
        try:
            parameter.read(ref.name)
        except LayerError:
            return False
        self.scopes.error(f"unknown name `{ref.name}`", ref.span, help=f'write `"{ref.name}"`')
        return True

    def tensor_argument(self, ref: Ref, parameter: str, arg: Arg) -> None:
        text = arg.value.span.text
        if self.adds_layers(arg.value):
            before = text if len(text) < 30 and "\n" not in text else "..."
            help = f"chain layers with `->`: `{before} -> {ref.name}(...)`"
            self.scopes.error(f"a layer cannot be an argument of `{ref.name}`", arg.span, help=help)
        else:
            help = f"`channels({text})` is the number of its channels" if isinstance(arg.value, Ref) else ""
            args = ref.args or ()
            layer = KINDS[ref.name]
            required = sum(parameter.required for parameter in layer.parameters)
            tensors = [each for each in layer.parameters if each.takes_tensor]
            if tensors and not any(each.required for each in tensors) and not arg.name:
                help = f"pass a tensor by name: `{tensors[0].name}=...`"
            elif help and not arg.name and arg is args[0] and len(args) > required:
                help = f"write `{text} -> {without_input_channels(ref)}`; {help}"
            self.scopes.error(
                f"`{parameter}` of `{ref.name}` needs a value, not a tensor", arg.span, help=help
            )

    def count_joined(self, ref: Ref, types: list[ValueType], least: int) -> None:
        """Report a join of too few tensors, if the number is known here."""
        if len(types) >= least or (len(types) == 1 and types[0] in (LIST, ANY)):
            return
        args = [arg for arg in ref.args or () if not arg.name]
        needed = "two tensors" if least > 1 else "a tensor"
        self.scopes.error(
            f"`{ref.name}` needs {needed} or more", ref.name_span, help=help_for_join(ref.name, args)
        )

    def adds_layers(self, expr: Expr) -> bool:
        """Does the value of an expression come directly from a layer or a block?"""
        if isinstance(expr, Chain):
            return any(map(self.adds_layers, expr.steps))
        if isinstance(expr, Body):
            return True
        if not isinstance(expr, Ref) or self.scopes.lookup(expr.name) is not None:
            return False
        known = expr.name in KINDS or expr.name == "input"
        return known or isinstance(self.scopes.visible.get(expr.name), Block)

    def builtin_ref(self, ref: Ref, builtin: Builtin) -> ValueType:
        ref.meaning = builtin
        args = ref.args or ()
        for arg in args:
            if self.expr(arg.value) is TENSOR:
                help = OF_TENSORS.get(ref.name, "")
                self.scopes.error(f"`{ref.name}` needs values, not a tensor", arg.value.span, help=help)
                return ANY
            if arg.name:
                self.scopes.error(f"`{ref.name}` takes its arguments by position", arg.span)
        if not builtin.fewest <= len(args) <= builtin.most:
            wanted = str(builtin.fewest)
            if builtin.most != builtin.fewest:
                wanted = (
                    f"{builtin.fewest} or more"
                    if builtin.most > 10
                    else f"{builtin.fewest} to {builtin.most}"
                )
            plural = "" if wanted == "1" else "s"
            self.scopes.error(f"`{ref.name}` takes {wanted} argument{plural}, got {len(args)}", ref.name_span)
        ref.slots = tuple((0, arg.value) for arg in args)
        return LIST if ref.name in ("range", "enumerate", "zip") else VALUE

    def reading_ref(self, ref: Ref) -> ValueType:
        ref.meaning = READINGS[ref.name]
        args = ref.args or ()
        if ref.name == "identity":
            if self.only_values:
                self.scopes.error(
                    f"`identity` is a tensor, which is not allowed here: {self.only_values}", ref.span
                )
                return ANY
            if args:
                self.scopes.error("`identity` takes no arguments", ref.span)
            return TENSOR
        if not self.tensor_flows and not args:
            where = "a function" if isinstance(self.scopes.current, Function) else "this place"
            message = f"`{ref.name}` reads the current tensor, but {where} has none"
            self.scopes.error(message, ref.span, help="pass it as a parameter" if self.scopes.current else "")
        if len(args) > 1 or any(arg.name for arg in args):
            self.scopes.error(f"`{ref.name}` takes one tensor, or none for the current one", ref.span)
        for arg in args:
            if self.expr(arg.value) in (VALUE, LIST):
                self.scopes.error(f"`{ref.name}` needs a tensor, not a value", arg.span)
        ref.slots = tuple((0, arg.value) for arg in args[:1])
        return LIST if ref.name != "channels" else VALUE

    def split_ref(self, ref: Ref) -> ValueType:
        ref.meaning = SPLIT
        self.arguments(ref, SPLIT_PARAMETERS, None)
        for arg in ref.args or ():
            self.value(arg.value, "`split` needs the sizes of the parts")
        return LIST if self.layers_allowed(ref) else ANY

    def input_ref(self, ref: Ref) -> ValueType:
        ref.meaning = INPUT
        if self.only_values:
            self.scopes.error(
                f"`input` is a tensor, which is not allowed here: {self.only_values}", ref.name_span
            )
        elif not isinstance(self.scopes.current, Net):
            help = "a block starts with the tensor that it is applied to"
            self.scopes.error("`input` is only allowed in nets", ref.name_span, help=help)
        self.arguments(ref, INPUT_PARAMETERS, None)
        for arg in ref.args or ():
            self.value(arg.value, "`input` needs a shape")
        return ANY if self.only_values else TENSOR

    def arguments(
        self,
        ref: Ref,
        params: Sequence[Param | Parameter],
        callee: Definition | type[Layer] | None,
    ) -> dict[int, int]:
        """Match the arguments of a call to its parameters, and fill in `ref.slots`.

        In a join, arguments without a name are tensors, in slot -1. Returns the slot of each argument that
        fits, by its position in the call.
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
                message = "an argument by position follows an argument by name"
                self.scopes.error(message, arg.span, help="move it before the named arguments, or name it")
                continue
            elif is_join:
                slot = -1
            elif index < len(params):
                slot = index
            if slot == -2 and not arg.name and len(placed) == len(params) == 1 and ref.name in LISTS:
                self.not_a_list(ref, args)
                break
            if slot == -2:
                self.no_such_argument(ref, arg, [param.name for param in params], callee)
                continue
            if slot in given:
                name = params[slot].name
                notes = [Note(f"`{name}` is given here", given[slot].span)]
                message = f"the argument `{name}` of `{ref.name}` is given twice"
                help = "remove one of them"
                if ref.name in INPUTS_FIRST and 0 < slot == sum(not arg.name for arg in args) - 1:
                    help += f"; without input channels, write `{without_input_channels(ref)}`"
                self.scopes.error(message, arg.span, notes=notes, help=help)
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
                self.scopes.error(
                    f"`{ref.name}` needs {listed}", ref.name_span, notes=self.signature(callee), help=help
                )
        ref.slots = tuple(slots)
        return placed

    def signature(self, callee: Definition | type[Layer] | None) -> list[Note]:
        """How to call something, and where it is defined. Called only for diagnostics that will be shown."""
        if len(self.scopes.problems) >= MAX_REPORTED:
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

    def not_a_list(self, ref: Ref, args: Sequence[Arg]) -> None:
        """Report several numbers where one list is expected."""
        texts = [arg.span.text for arg in args]
        if ref.name == "input" and texts[0] in ("-1", "None", "none"):
            texts = texts[1:]
        if "-1" in texts:
            help = "`flatten` makes a vector; for another shape, write every size"
        elif all(text.isascii() and text.isdigit() for text in texts) and ref.name != "permute":
            help = f"write `{ref.name}({'x'.join(texts)})`"
        else:
            help = f"write `{ref.name}([{', '.join(texts)}])`"
        message = f"`{ref.name}` takes one {LISTS[ref.name]}, got {len(args)} arguments"
        self.scopes.error(message, args[1].span, help=help)

    def no_such_argument(
        self, ref: Ref, arg: Arg, names: list[str], callee: Definition | type[Layer] | None
    ) -> None:
        notes = self.signature(callee) if names else []
        if isinstance(callee, type) and self.adds_layers(arg.value):
            text = arg.value.span.text
            other = text if len(text) < 30 and "\n" not in text else "..."
            call = f"{ref.name}(...)" if names else ref.name
            help = f"`{call} -> {other}`" if arg.name else f"`{other} -> {call}`"
            message = f"a layer cannot be an argument of `{ref.name}`"
            self.scopes.error(message, arg.span, help=f"chain layers with `->`: {help}")
        elif not arg.name:
            takes = f"takes at most {count(len(names), 'argument')}" if names else "takes no arguments"
            help = "" if names else f"write `{ref.name}`"
            if not names and isinstance(arg.value, Ref) and arg.value.args is None:
                help = f"write `{arg.value.name} -> {ref.name}`"
            self.scopes.error(f"`{ref.name}` {takes}", arg.span, notes=notes, help=help)
        else:
            help = ""
            if isinstance(callee, type):
                from archcalc.language.foreign import help_for_name

                help = help_for_name(arg.name, ref.name, names, arg.value.span.text)
            help = help or self.scopes.near_miss(arg.name, names)
            if not names:
                help = help or f"write `{ref.name}`"
            self.scopes.error(f"`{ref.name}` has no argument `{arg.name}`", arg.span, notes=notes, help=help)


def _is_required(param: Param | Parameter) -> bool:
    return param.required if isinstance(param, Parameter) else param.default is None


def count(number: int, noun: str) -> str:
    return plural(number, noun, str) if number else f"no {noun}s"


def _call(name: str, arguments: list[str]) -> str:
    text = f"{name}({', '.join(arguments)})" if arguments else name
    return text if len(text) <= 120 else f"{name}({', '.join(arguments[:6])}, ...)"


def _short(expr: Expr) -> str:
    text = expr.span.text
    return text if len(text) <= 20 and "\n" not in text else "..."
