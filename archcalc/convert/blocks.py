"""Turns parts of equal structure into one block; their differences become its parameters.

`Blocks` works from the inside out: a part is compared with others once the calls in it have their arguments.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from msgspec import Struct, field

from archcalc.convert.flow import add_line
from archcalc.convert.formulas import apply, differences
from archcalc.convert.loops import with_loops
from archcalc.convert.modules import GENERIC
from archcalc.convert.plan import (
    Bound,
    Formula,
    GrowLine,
    KeptTensor,
    LayerStep,
    Line,
    ListLine,
    NestedStep,
    Part,
    PartStep,
    RepeatLine,
    RowsLine,
    Script,
    Shapes,
    Slot,
    Step,
    Thread,
    ThreadLine,
    Variable,
    free_slots,
    part_steps,
    threads,
)

MOST_PARAMETERS = 12
"""The most parameters of a block; parts that differ in more do not become one block."""

SMALL = 2
"""A block of so many steps is rather written where it is called."""

SHORT = 8
"""A part of a named class with more steps than this is a block even if it is called in one place only."""

DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "output_padding": 0, "groups": 1, "multiplier": 1}
"""Arguments that a block has a default for, if most of its calls have this value."""


class Template(Struct, eq=False):
    """Parts of equal structure. The first one represents all; its numbers refer to the variables."""

    parts: list[Part]
    variables: list[Variable] = field(default_factory=list)
    defaults: dict[Variable, Any] = field(default_factory=dict)
    name: str = ""
    names: dict[Variable, str] = field(default_factory=dict)
    """The name of the block and of its parameters, given by the writer."""

    @property
    def script(self) -> Script:
        return self.parts[0].script

    @property
    def entries(self) -> list[KeptTensor]:
        return self.parts[0].entries

    @property
    def shared(self) -> bool:
        return self.parts[0].shared is not None


def make_templates(whole: Script, loops: bool = True) -> Script:
    """Give every part in a script a template, and every call its arguments.

    Returns the script, with its runs as loops unless `loops` is false.
    """
    shapes = Shapes()
    calls: dict[int, list[PartStep]] = {}
    for call in _all_calls(whole):
        calls.setdefault(call.part.height, []).append(call)
    for height in sorted(calls):
        by_key: dict[Any, list[PartStep]] = {}
        for call in calls[height]:
            part = call.part
            part.script = with_loops(part.script, shapes) if loops else part.script
            bound: Bound = {local: number for number, local in enumerate(part.entries)}
            key = (part.shared, len(part.entries), shapes.script(part.script, bound))
            by_key.setdefault(key, []).append(call)
        for alike in by_key.values():
            _unify(alike)
    return with_loops(whole, shapes) if loops else whole


def _all_calls(whole: Script) -> list[PartStep]:
    """Return all calls in a script and in the parts that it calls, and set the height of each part."""
    found: list[PartStep] = []

    def visit(script: Script) -> int:
        height = 0
        for call in part_steps(script):
            found.append(call)
            call.part.height = visit(call.part.script)
            height = max(height, call.part.height + 1)
        return height

    visit(whole)
    return found


def _unify(calls: list[PartStep]) -> None:
    """Build one template for parts of equal structure."""
    slots = [list(free_slots(call.part.script)) for call in calls]
    found = differences(slots)
    if len(found.variables) > MOST_PARAMETERS and calls[0].part.shared is None:
        for call in calls:
            call.part.template = Template([call.part])
        return
    template = Template([call.part for call in calls], found.variables)
    for slot, formula in zip(slots[0], found.formulas, strict=True):
        if formula is not None:
            slot.formula = formula
    for variable, values in zip(found.variables, found.values, strict=True):
        default = DEFAULTS.get(variable.hint)
        if default is not None and 2 * values.count(default) >= len(values):
            template.defaults[variable] = default
    template.variables = sorted(found.variables, key=lambda variable: variable in template.defaults)
    columns = dict(zip(found.variables, found.values, strict=True))
    for number, call in enumerate(calls):
        call.part.template = template
        call.slots = [Slot(variable.hint, columns[variable][number]) for variable in template.variables]


# --- Blocks that are written where they are called --------------------------------------------------


def with_inlined(whole: Script) -> Script:
    """Return a script in which parts that need no block are written out where they are called."""
    sites: Counter[int] = Counter()
    order: list[Template] = []

    def visit(script: Script) -> None:
        for call in part_steps(script):
            template = call.part.template
            sites[id(template)] += 1
            if sites[id(template)] == 1:
                visit(template.script)
                order.append(template)

    visit(whole)
    inlined = {id(template) for template in order if _is_inlined(template, sites[id(template)])}
    for template in order:
        template.parts[0].script = _expanded(template.script, inlined)
    return _expanded(whole, inlined)


def _is_inlined(template: Template, sites: int) -> bool:
    if template.shared:
        return False
    steps = [step for thread in threads(template.script) for step in thread.steps]
    small = len(steps) <= SMALL and len(template.script.lines) == 1 and not any(part_steps(template.script))
    return len(template.parts) == 1 or small or (sites == 1 and template.parts[0].kind in GENERIC)


def _expanded(script: Script, inlined: set[int]) -> Script:
    lines: list[Line] = []
    for line in script.lines:
        if isinstance(line, ThreadLine):
            thread = _expanded_thread(line.thread, inlined)
            add_line(lines, ThreadLine(thread, line.binds, line.local, line.name))
        elif isinstance(line, ListLine):
            lines.append(ListLine(line.local, [_expanded_thread(t, inlined) for t in line.threads]))
        elif isinstance(line, GrowLine):
            lines.append(GrowLine(line.local, _expanded_thread(line.thread, inlined)))
        elif isinstance(line, RepeatLine):
            lines.append(RepeatLine(line.count, _expanded(line.script, inlined)))
        else:
            lines.append(RowsLine(line.columns, line.rows, _expanded(line.script, inlined)))
    return Script(lines)


def _expanded_thread(thread: Thread, inlined: set[int]) -> Thread:
    steps: list[Step] = []
    for step in thread.steps:
        if isinstance(step, NestedStep):
            steps.append(NestedStep(_expanded(step.script, inlined), step.frozen))
            continue
        step.tensors = [_expanded_thread(inner, inlined) for inner in step.tensors]
        if isinstance(step, LayerStep) or id(step.part.template) not in inlined:
            steps.append(step)
            continue
        script = _Copier(step).script(step.part.template.script)
        only = script.lines[0]
        if len(script.lines) == 1 and isinstance(only, ThreadLine) and only.thread.start is None:
            for inner in only.thread.steps:
                inner.frozen = step.frozen or inner.frozen
            steps += only.thread.steps
        else:
            steps.append(NestedStep(script, step.frozen))
    return Thread(thread.start, steps)


class _Copier:
    """Copies the script of a template for one call, with the arguments of the call."""

    def __init__(self, call: PartStep) -> None:
        template: Template = call.part.template
        self.arguments = dict(zip(template.variables, call.slots, strict=True))
        self.locals: dict[KeptTensor, KeptTensor] = {}
        for entry, given in zip(template.entries, call.tensors, strict=True):
            assert given.start is not None
            self.locals[entry] = given.start

    def script(self, script: Script) -> Script:
        return Script([self.line(line) for line in script.lines])

    def line(self, line: Line) -> Line:
        if isinstance(line, ThreadLine):
            local = line.local and self.local(line.local)
            return ThreadLine(self.thread(line.thread), line.binds, local, line.name)
        if isinstance(line, ListLine):
            return ListLine(self.local(line.local), [self.thread(thread) for thread in line.threads])
        if isinstance(line, GrowLine):
            return GrowLine(self.local(line.local), self.thread(line.thread))
        if isinstance(line, RepeatLine):
            return RepeatLine(self.slot(line.count), self.script(line.script))
        rows = [[self.slot(slot) for slot in row] for row in line.rows]
        return RowsLine(line.columns, rows, self.script(line.script))

    def thread(self, thread: Thread) -> Thread:
        return Thread(thread.start and self.local(thread.start), [self.step(step) for step in thread.steps])

    def step(self, step: Step) -> Step:
        if isinstance(step, NestedStep):
            return NestedStep(self.script(step.script), step.frozen)
        slots = [self.slot(slot) for slot in step.slots]
        tensors = [self.thread(inner) for inner in step.tensors]
        if isinstance(step, PartStep):
            return PartStep(step.part, slots, tensors, step.frozen)
        return LayerStep(step.layer, slots, tensors, step.tied, step.frozen)

    def local(self, local: KeptTensor) -> KeptTensor:
        return self.locals.setdefault(local, KeptTensor(local.hint))

    def slot(self, slot: Slot) -> Slot:
        formula = slot.formula
        given = self.arguments.get(formula.variable) if formula is not None else None
        if formula is None or given is None:
            return Slot(slot.name, slot.value, formula)
        value, outer = apply(formula, given.value), given.formula
        if outer is None or not formula.operator:
            return Slot(slot.name, value, outer)
        # a kernel size is never a multiple, so only products meet here
        assert not outer.operator or formula.operator == outer.operator == "*"
        return Slot(
            slot.name, value, Formula(outer.variable, formula.operator, formula.factor * outer.factor)
        )
