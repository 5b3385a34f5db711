"""The plan of a text: lines and steps, before anything has a name.

A network becomes a `Script`, a list of lines. A line holds a `Thread`: steps that pass on one tensor. A step
is a layer, a call of a `Part` (a candidate for a block), or a script in braces. Numbers that may become
parameters are `Slot`s; tensors that need a name are `KeptTensor`s. The writer turns all of it into text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct, field

from archcalc.layers.base import Input, Layer
from archcalc.network import Node


class KeptTensor(Struct, eq=False):
    """A tensor that is read in more than one place. `hint` is the suggested name."""

    hint: str


class Variable(Struct, eq=False):
    """A parameter of a block, or a column of a loop. `hint` is the suggested name."""

    hint: str


class Formula(Struct, frozen=True):
    """How a slot is written: as a variable, a multiple of one, or half of one."""

    variable: Variable
    operator: str = ""
    factor: int = 1


class Slot(Struct, eq=False):
    """A number in the text: the argument `name` of a layer or call, or the count of a loop."""

    name: str
    value: Any
    formula: Formula | None = None
    """Set once the slot depends on a variable; without one, the value is written."""


class Thread(Struct, eq=False):
    """Steps from the current tensor, or from `start`, to one tensor."""

    start: KeptTensor | None
    steps: list[Step]


class LayerStep(Struct, eq=False):
    """A layer with its numbers. `tensors` are the inputs of a join, or the arguments that are tensors.

    If the layer is `tied`, its weight comes from the last of them. `frozen` says whether its parameters are
    not trained; `None` if it has no parameters.
    """

    layer: Layer
    slots: list[Slot]
    tensors: list[Thread]
    tied: bool = False
    frozen: bool | None = None


class PartStep(Struct, eq=False):
    """A call of a part. `tensors` are its inputs after the current tensor."""

    part: Part
    slots: list[Slot]
    tensors: list[Thread]
    frozen: bool | None = None


class NestedStep(Struct, eq=False):
    """A script in braces."""

    script: Script
    frozen: bool | None = None


Step = LayerStep | PartStep | NestedStep


class ThreadLine(Struct, eq=False):
    """A thread on a line. `binds` is how its tensor is kept: `label`, `let`, `output`, `aux`, or empty."""

    thread: Thread
    binds: str = ""
    local: KeptTensor | None = None
    name: str = ""
    """The name of a result."""


class RepeatLine(Struct, eq=False):
    """Lines that run several times."""

    count: Slot
    script: Script


class RowsLine(Struct, eq=False):
    """A loop over rows of values, with one column for each variable."""

    columns: list[Variable]
    rows: list[list[Slot]]
    script: Script


class ListLine(Struct, eq=False):
    """A named list of tensors."""

    local: KeptTensor
    threads: list[Thread]


class GrowLine(Struct, eq=False):
    """A tensor that is appended to a list."""

    local: KeptTensor
    thread: Thread


Line = ThreadLine | RepeatLine | RowsLine | ListLine | GrowLine


class Script(Struct, eq=False):
    """Lines that start at the current tensor and end at another one."""

    lines: list[Line]


class Part(Struct, eq=False):
    """A module or another part of a network that may become a block.

    `kind` is its class and `path` its place. `around` is the class of the module around it, and `members` are
    the names of the modules in it. `entries` are its inputs after the current tensor. `shared` identifies the
    parameters that it shares with other parts, and `template` is how it is written. `height` is how deeply
    parts are nested in it.
    """

    kind: str
    path: str
    script: Script
    around: str = ""
    members: frozenset[str] = frozenset()
    entries: list[KeptTensor] = field(default_factory=list)
    shared: object = None
    template: Any = None
    height: int = 0


def slots_of(layer: Layer) -> list[Slot]:
    """Return the arguments of a layer that are numbers or lists of numbers, in which blocks may differ."""
    slots = []
    for parameter in layer.parameters:
        value = getattr(layer, parameter.name)
        if not (parameter.takes_tensor or value is None or isinstance(value, bool | str)):
            slots.append(Slot(parameter.name, value))
    return slots


def layer_step(node: Node, tensors: Iterable[Thread] = ()) -> LayerStep:
    """Return the step of a node, or of an input."""
    slots = [] if isinstance(node.layer, Input) else slots_of(node.layer)
    owner = node.shares or node  # a shared array is frozen where it is owned
    frozen = owner.frozen if node.facts.weights else None
    return LayerStep(node.layer, slots, list(tensors), tied_to(node) is not None, frozen)


def tied_to(node: Node) -> Node | None:
    """Return the layer whose weight this one shares, if the text can say so as `weight=x`.

    A layer that shares all arrays with another one of its kind is a call of the same shared block instead.
    """
    if getattr(node.layer, "weight", "") != "own":
        return None
    if node.shares is not None:
        same = node.kind == node.shares.kind and _array_shapes(node) == _array_shapes(node.shares)
        return None if same or _array_shapes(node).keys() != {"weight"} else node.shares
    owner, array = node.tied.get("weight", (None, ""))
    return owner if array == "weight" and len(node.tied) == 1 else None


def _array_shapes(node: Node) -> dict[str, Any]:
    return {weight.name: weight.shape for weight in node.facts.weights}


def owner_of(node: Node) -> Node:
    """Return the node that owns this node's arrays (for calls of a shared block), or else the node itself."""
    return node if node.shares is None or tied_to(node) is not None else node.shares


def goes_on(thread: Thread) -> bool:
    """Return whether a thread starts at the current tensor."""
    first = thread.steps[0] if thread.steps else None
    return thread.start is None and not (isinstance(first, LayerStep) and isinstance(first.layer, Input))


def threads(script: Script) -> Iterator[Thread]:
    """Return all threads of a script, including those in loops, braces and arguments."""
    for line in script.lines:
        if isinstance(line, RepeatLine | RowsLine):
            yield from threads(line.script)
        else:
            for thread in threads_of_line(line):
                yield from _within(thread)


def threads_of_line(line: ThreadLine | ListLine | GrowLine) -> list[Thread]:
    """Return the threads that are written on a line."""
    return line.threads if isinstance(line, ListLine) else [line.thread]


def _within(thread: Thread) -> Iterator[Thread]:
    yield thread
    for step in thread.steps:
        if isinstance(step, NestedStep):
            yield from threads(step.script)
        else:
            for inner in step.tensors:
                yield from _within(inner)


def part_steps(script: Script) -> Iterator[PartStep]:
    """Return the calls of parts in a script, except those inside the parts."""
    for thread in threads(script):
        for step in thread.steps:
            if isinstance(step, PartStep):
                yield step


def free_slots(script: Script) -> Iterator[Slot]:
    """Return the slots of a script that no loop in it has bound, in text order."""
    for line in script.lines:
        if isinstance(line, RepeatLine):
            if line.count.formula is None:
                yield line.count
            yield from free_slots(line.script)
        elif isinstance(line, RowsLine):
            for row in line.rows:
                yield from (slot for slot in row if slot.formula is None)
            yield from free_slots(line.script)
        else:
            for thread in threads_of_line(line):
                yield from _slots_of_thread(thread)


def _slots_of_thread(thread: Thread) -> Iterator[Slot]:
    for step in thread.steps:
        if isinstance(step, NestedStep):
            yield from free_slots(step.script)
            continue
        yield from (slot for slot in step.slots if slot.formula is None)
        for inner in step.tensors:
            yield from _slots_of_thread(inner)


def slots_of_step(step: Step) -> list[Slot]:
    """Return the free slots of one step."""
    return list(_slots_of_thread(Thread(None, [step])))


def weight(step: Step) -> int:
    """Return how much text a step takes, in layers and calls."""
    if isinstance(step, NestedStep):
        return sum(len(thread.steps) for thread in threads(step.script))
    return 1 + sum(len(inner.steps) for thread in step.tensors for inner in _within(thread))


Bound = dict[KeptTensor | Variable, int]


class Shapes:
    """Numbers the structures of steps and scripts: equal numbers mean that only values of slots differ.

    `exact` numbers also distinguish these values. `bound` numbers the tensors and columns that are bound in a
    script; any other one is equal only to itself.
    """

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def number(self, key: Any) -> int:
        return self.numbers.setdefault(key, len(self.numbers))

    def exact(self, step: Step) -> int:
        values = tuple((slot.value, type(slot.value)) for slot in slots_of_step(step))
        return self.number(("exact", self.step(step, {}), values))

    def script(self, script: Script, bound: Bound) -> int:
        return self.number(tuple(self.line(line, bound) for line in script.lines))

    def line(self, line: Line, bound: Bound) -> Any:
        if isinstance(line, ThreadLine):
            thread = self.thread(line.thread, bound)
            if line.local is not None:
                bound.setdefault(line.local, len(bound))
            return ("line", line.binds, line.name, line.local and bound[line.local], thread)
        if isinstance(line, ListLine):
            threads = tuple(self.thread(thread, bound) for thread in line.threads)
            return ("list", bound.setdefault(line.local, len(bound)), threads)
        if isinstance(line, GrowLine):
            return ("grow", bound.get(line.local, id(line.local)), self.thread(line.thread, bound))
        if isinstance(line, RepeatLine):
            return ("repeat", self.formula(line.count, bound), self.script(line.script, bound))
        cells = tuple(self.formula(slot, bound) for row in line.rows for slot in row)
        for column in line.columns:
            bound.setdefault(column, len(bound))
        return ("rows", len(line.rows), len(line.columns), cells, self.script(line.script, bound))

    def thread(self, thread: Thread, bound: Bound) -> Any:
        start: Any = thread.start and bound.get(thread.start, ("outside", id(thread.start)))
        return (start, *(self.step(step, bound) for step in thread.steps))

    def step(self, step: Step, bound: Bound) -> int:
        if isinstance(step, NestedStep):
            return self.number(("nested", step.frozen is True, self.script(step.script, bound)))
        slots = tuple((slot.name, self.formula(slot, bound)) for slot in step.slots)
        tensors = tuple(self.thread(thread, bound) for thread in step.tensors)
        if isinstance(step, PartStep):
            part = id(step.part.template or step.part)
            return self.number(("part", part, step.frozen is True, slots, tensors))
        more = step.tied, step.frozen is True
        return self.number((step.layer.kind, self.fixed(step.layer), more, slots, tensors))

    def fixed(self, layer: Layer) -> Any:
        """Return the arguments of a layer that are not slots."""
        if isinstance(layer, Input):
            return layer.shape
        values = (getattr(layer, parameter.name) for parameter in layer.parameters)
        return tuple(value if isinstance(value, bool | str) or value is None else "" for value in values)

    def formula(self, slot: Slot, bound: Bound) -> Any:
        formula = slot.formula
        if formula is None:
            return None
        variable = bound.get(formula.variable, ("outside", id(formula.variable)))
        return (variable, formula.operator, formula.factor)
