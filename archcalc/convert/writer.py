"""Writes the plan as text, in the style of the built-in networks."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

from archcalc.convert.blocks import Template
from archcalc.convert.freezing import frozen_runs
from archcalc.convert.layout import WIDTH, Braced, CallText, Chained, flat, laid_out, phrases, table
from archcalc.convert.modules import GENERIC
from archcalc.convert.names import SHORT_NAMES, NameSpace, legal
from archcalc.convert.plan import (
    GrowLine,
    KeptTensor,
    LayerStep,
    Line,
    ListLine,
    NestedStep,
    PartStep,
    RepeatLine,
    Script,
    Slot,
    Step,
    Thread,
    ThreadLine,
    Variable,
    part_steps,
    threads,
)
from archcalc.diagnostics import shorten
from archcalc.doubts import doubt_of_input
from archcalc.language.limits import MAX_AXES, MAX_STRING
from archcalc.layers.arguments import AxisOrder, format_argument
from archcalc.layers.base import Input, Layer


def written(whole: Script, name: str, comments: Sequence[str]) -> str:
    """Return the text of a network: its comments, blocks and net."""
    templates: list[Template] = []
    _gather(whole, templates, set())
    names = NameSpace()
    net = names.new(legal(name, "network"))
    _name_blocks(templates, names)
    taken = {net, *(template.name for template in templates)}
    pieces = ["\n".join(_comment(comments))] if comments else []
    pieces += [_block(template, taken) for template in templates]
    body = BodyWriter(taken, (), ())
    pieces.append("\n".join([f"net {net} {{", *body.lines(whole, 2), "}"]))
    return "\n\n".join(pieces) + "\n"


def _gather(script: Script, templates: list[Template], known: set[int]) -> None:
    """Collect the templates of a script, each after the templates that it uses."""
    for call in part_steps(script):
        template = call.part.template
        if id(template) not in known:
            known.add(id(template))
            _gather(template.script, templates, known)
            templates.append(template)


def _block_name(template: Template) -> str:
    """Name a block after its class; if that says nothing, after the class around it and the module."""
    part = template.parts[0]
    if part.kind not in GENERIC:
        return legal(part.kind, "unit")
    segments = (legal(segment.rstrip("0123456789"), "") for segment in reversed(part.path.split("/")))
    own = next(filter(None, segments), "unit")
    return legal(f"{part.around}_{own}", "unit") if part.around else own


def _name_blocks(templates: Sequence[Template], names: NameSpace) -> None:
    """Name blocks. If two have the same name, one with an extra module is also named after it."""
    alike: dict[str, list[Template]] = {}
    for template in templates:
        alike.setdefault(_block_name(template), []).append(template)
    for name, group in alike.items():
        plain = min(group, key=_extent)
        plain.name = names.new(name)
        for template in group:
            if template is not plain:
                more = template.parts[0].members - plain.parts[0].members
                extra = legal(next(iter(more)), "") if len(more) == 1 else ""
                template.name = names.new(f"{name}_{extra}" if extra else name)


def _extent(template: Template) -> tuple[int, int]:
    """Return the size of a block: its modules, and its steps."""
    return len(template.parts[0].members), sum(len(thread.steps) for thread in threads(template.script))


def _block(template: Template, taken: Iterable[str]) -> str:
    body = BodyWriter(taken, template.entries, template.variables)
    template.names = {variable: body.variables[variable] for variable in template.variables}
    parameters = [body.locals[entry] for entry in template.entries]
    for variable, name in template.names.items():
        default = template.defaults.get(variable)
        parameters.append(name if default is None else f"{name}={value_text(default)}")
    head = f"{'shared ' if template.shared else ''}block {template.name}"
    head += f"({', '.join(parameters)}) " if parameters else " "
    return "\n".join(body.braces(head, template.script, 0))


def _comment(paragraphs: Iterable[str]) -> list[str]:
    lines: list[str] = []
    for paragraph in paragraphs:
        lines += textwrap.wrap(shorten(paragraph, 1_000), WIDTH - 2)
    return [f"# {line}" for line in lines]


class BodyWriter:
    """Writes the lines of one body. `entries` and `variables` are its parameters."""

    def __init__(
        self, taken: Iterable[str], entries: Sequence[KeptTensor], variables: Sequence[Variable]
    ) -> None:
        self.names = NameSpace(taken)
        self.locals: dict[KeptTensor, str] = {}
        self.variables: dict[Variable, str] = {}
        self._declare(variables)
        for entry in entries:
            self._bind(entry)

    def _declare(self, variables: Sequence[Variable]) -> None:
        hints = [SHORT_NAMES.get(variable.hint, legal(variable.hint, "n")) for variable in variables]
        numbers = Counter(hints)
        for variable, hint in zip(variables, hints, strict=True):
            self.variables[variable] = self.names.new(hint, numbered=numbers[hint] > 1)

    def _bind(self, local: KeptTensor, label: bool = False) -> str:
        if local not in self.locals:
            self.locals[local] = self.names.new(legal(local.hint, "x"), label=label)
        return self.locals[local]

    # -- lines

    def braces(self, head: str, script: Script, indent: int) -> list[str]:
        """Return a script in braces after a head, on one line if it fits."""
        inner = self.lines(script, indent + 2)
        margin = " " * indent
        if len(inner) == 1 and len(inner[0]) + len(head) + 2 <= WIDTH:
            return [f"{margin}{head}{{ {inner[0].strip()} }}"]
        return [f"{margin}{head}{{", *inner, f"{margin}}}"]

    def lines(self, script: Script, indent: int) -> list[str]:
        return [text for line in script.lines for text in self.line(line, indent)]

    def line(self, line: Line, indent: int) -> list[str]:
        if isinstance(line, ThreadLine):
            return self.thread_line(line, indent)
        if isinstance(line, ListLine):
            tensors = [self.chain(thread) for thread in line.threads]
            return laid_out([CallText("", tensors, brackets="[]")], indent, f"{self._bind(line.local)} = ")
        if isinstance(line, GrowLine):
            name = self._bind(line.local)
            grown = CallText("", [self.chain(line.thread)], brackets="[]")
            return laid_out([grown], indent, f"{name} = {name} + ")
        if isinstance(line, RepeatLine):
            return self.braces(f"repeat {self.slot(line.count)} ", line.script, indent)
        cells = [[self.slot(slot) for slot in row] for row in line.rows]
        self._declare(line.columns)
        names = [self.variables[column] for column in line.columns]
        rows = [row[0] if len(row) == 1 else f"[{', '.join(row)}]" for row in cells]
        head = f"for {', '.join(names)} in ["
        if indent + len(head) + len(", ".join(rows)) + 3 <= WIDTH:
            found = self.braces(f"{head}{', '.join(rows)}] ", line.script, indent)
        else:
            margin = " " * indent
            found = [margin + head, *table(cells, indent + 2), f"{margin}] {{"]
            found += [*self.lines(line.script, indent + 2), f"{margin}}}"]
        self.names.free(names)
        return found

    def thread_line(self, line: ThreadLine, indent: int) -> list[str]:
        chain = self.chain(line.thread)
        if line.binds in ("", "label"):
            *before, last = phrases(chain)
            head = f"{self._bind(line.local, label=True)}: " if line.local is not None else ""
            lines = [text for phrase in before for text in laid_out(phrase, indent)]
            return lines + laid_out(last, indent, head)
        if line.local is not None:
            return laid_out(chain, indent, f"{self._bind(line.local)} = ")
        name = self.names.new(legal(line.name, "result"))
        return laid_out(chain, indent, f"{line.binds} {name} = ")

    # -- steps

    def chain(self, thread: Thread) -> Chained:
        """Return a thread as calls; the current tensor itself is `identity`."""
        calls: Chained = [] if thread.start is None else [CallText(self._bind(thread.start))]
        for frozen, steps in frozen_runs(thread.steps):
            inner = [self.step(step) for step in steps]
            calls += [Braced(partial(laid_out, inner), "frozen ")] if frozen else inner
        return calls or [CallText("identity")]

    def step(self, step: Step) -> CallText | Braced:
        if isinstance(step, NestedStep):
            return Braced(partial(self.lines, step.script))
        tensors = [self.chain(thread) for thread in step.tensors]
        if isinstance(step, PartStep):
            return CallText(step.part.template.name, tensors, self.arguments(step), weighs=True, block=True)
        layer = step.layer
        if isinstance(layer, Input):
            shape = format_argument(layer.shape)
            return CallText("input", [], [f"shape={shape}" if doubt_of_input(layer.shape)[0] else shape])
        values = self.layer_arguments(step, [flat(tensor) for tensor in tensors])
        return CallText(layer.kind, tensors if layer.is_join else [], values, weighs=_weighs(layer))

    def arguments(self, step: PartStep) -> list[str]:
        """Return the arguments of a block; those with a default are passed by name."""
        template: Template = step.part.template
        values = []
        for variable, slot in zip(template.variables, step.slots, strict=True):
            default = template.defaults.get(variable)
            if default is None:
                values.append(self.slot(slot))
            elif slot.formula is not None or slot.value != default:
                values.append(f"{template.names[variable]}={self.slot(slot)}")
        return values

    def layer_arguments(self, step: LayerStep, tensors: list[str]) -> list[str]:
        """Return the arguments of a layer, except the tensors it joins; those with a default are by name."""
        slots = {slot.name: slot for slot in step.slots}
        by_position = not step.layer.is_join
        values = []
        for parameter in step.layer.parameters:
            value = getattr(step.layer, parameter.name)
            slot = slots.get(parameter.name) or Slot(parameter.name, value)
            if parameter.takes_tensor and value is None:
                continue
            if parameter.takes_tensor or (parameter.name == "weight" and step.tied):
                text = tensors.pop(0)
            elif slot.formula is None and not parameter.required and slot.value == parameter.default:
                continue
            else:
                text = self.slot(slot)
            by_position = by_position and parameter.required
            values.append(text if by_position else f"{parameter.name}={text}")
        return values

    def slot(self, slot: Slot) -> str:
        formula = slot.formula
        if formula is None:
            return value_text(slot.value)
        name = self.variables[formula.variable]
        if formula.operator == "*":
            return f"{formula.factor} * {name}"
        return f"{name} // {formula.factor}" if formula.operator else name


def _weighs(layer: Layer) -> bool:
    return layer.is_join or layer.family in ("conv", "deform", "linear")


def value_text(value: Any) -> str:
    """Return a value as written in the language, however long it is."""
    if isinstance(value, str):
        clean = "".join(c if c.isprintable() else "?" for c in value[: MAX_STRING // 2])
        return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        sizes = all(type(item) is int and item >= 0 for item in value) and not isinstance(value, AxisOrder)
        if sizes and 2 <= len(value) <= MAX_AXES:
            return format_argument(value)
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, float):
        value = Fraction(repr(value))
    return format_argument(value)
