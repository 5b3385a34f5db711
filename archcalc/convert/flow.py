"""Turns items into lines: finds consecutive steps, branches and joins, and tensors that need a name.

If every path from a tensor leads to one join, and every path to that join starts at the tensor, the two
enclose a *diamond*: `add(conv(...) -> bn, identity)`. Each diamond is a region; everything outside of
diamonds is in the outermost region. A tensor gets a name if its region reads it in several places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from archcalc.convert import dominators
from archcalc.convert.modules import ModuleItem
from archcalc.convert.plan import (
    KeptTensor,
    LayerStep,
    Line,
    NestedStep,
    Part,
    PartStep,
    Script,
    Step,
    Thread,
    ThreadLine,
    goes_on,
    layer_step,
)

LONGEST_BRANCH = 14
"""Steps of a branch inside an argument. Where one is longer, the tensor at the start gets a name instead."""

LONGEST_NESTED = 15
"""The same for a branch that contains a join; the join's longest branch counts too."""

MAX_JOINS = 3
"""How deeply joins may be nested in one expression. It also bounds the recursion here."""

OUTERMOST = -1
"""The region that is in no diamond; and, as a tensor, the one before the first."""


class Ending(Struct, frozen=True):
    """A result: `binds` is `output` or `aux`, or empty for the last tensor."""

    value: int
    binds: str = ""
    name: str = ""


class Region(Struct, eq=False):
    """The inside of a diamond, or a whole body: `top` is its first tensor, `values` are the tensors in it."""

    top: int
    values: list[int] = field(default_factory=list)
    reads: set[int] = field(default_factory=set)
    """The tensors that are read by name in it."""


class Root(Struct, eq=False):
    """Something that gets its own line: a named tensor, or a result."""

    value: int
    ending: Ending | None
    starts: set[int]
    """The tensors at which its steps start."""


def _is_source(item: ModuleItem) -> bool:
    return item.module is None and item.node.layer.is_source


class FlowBuilder:
    """Builds the script of one body.

    `entries` are the input tensors, the current one first. `parts` maps the tensors of items that are modules
    to their parts. `hints` suggests names for tensors. Without `branches`, everything is on one level:
    arguments contain no branches.
    """

    def __init__(
        self,
        items: Iterable[ModuleItem],
        entries: Sequence[int],
        endings: Sequence[Ending],
        parts: Mapping[int, Part],
        hints: Mapping[int, str],
        branches: bool = True,
    ) -> None:
        self.items = {item.value: item for item in items}
        readers = Counter(source for item in self.items.values() for source in item.inputs)
        self.written_where_read = {
            value for value, item in self.items.items() if _is_source(item) and readers[value] == 1
        }
        """Parameters that only one layer reads: they are written there."""
        self.entries = list(entries)
        self.endings = list(endings)
        self.parts = parts
        self.hints = hints
        self.locals: dict[int, KeptTensor] = {}
        self.named: set[int] = {*self.entries[1:]}
        """The tensors that are kept under a name."""
        self.tops: dict[int, int] = {}
        """The tensor at the start of each diamond, by the join at its end."""
        self.mains: dict[int, int] = {}
        """The input that continues the main chain, for each join that has one."""
        self.branches: dict[int, int] = {}
        """How long the longest branch of each diamond is, by the join at its end."""
        self.labels: list[ThreadLine] = []
        outer = self.entries[0] if self.entries else OUTERMOST
        outside = [value for value in self.items if value not in self.written_where_read]
        self.regions = {OUTERMOST: Region(outer, outside)}
        """By the join at the end of the diamond."""
        if branches:
            before, after = self._dominators()
            self._find_diamonds(before, after)
            self._find_regions(before)
        self._find_named()

    def script(self) -> Script:
        """Return the lines of the body."""
        script = Script(self._lines(self.regions[OUTERMOST], self.endings))
        read = set().union(*(region.reads for region in self.regions.values()))
        unread = {self.locals[value] for value in self.locals if value not in read}
        for line in self.labels:
            if line.local in unread:
                line.binds, line.local = "", None
        return script

    def local(self, value: int) -> KeptTensor:
        """Return the name of a tensor."""
        if value not in self.locals:
            self.locals[value] = KeptTensor(self.hints.get(value, "x"))
        return self.locals[value]

    # -- diamonds and regions

    def _dominators(self) -> tuple[dict[int, int], dict[int, int]]:
        """Return the nearest tensors before and after each one that are on every path; none at the ends."""
        order = [*self.entries, *(value for value in self.items if value not in self.written_where_read)]
        places = {value: place for place, value in enumerate(order, 1)}
        end = len(order) + 1
        sources = [[places[source] for source in self._inputs(value)] for value in order]
        readers: list[list[int]] = [[] for _ in order]
        for place, found in enumerate(sources, 1):
            for source in found:
                readers[source - 1].append(end - place)
        for ending in self.endings:
            readers[places[ending.value] - 1].append(dominators.ROOT)
        before = dominators.tree(sources)
        after = dominators.tree(readers[::-1])
        root = dominators.ROOT
        return (
            {value: order[before[place] - 1] for value, place in places.items() if before[place] != root},
            {
                value: order[end - after[end - place] - 1]
                for value, place in places.items()
                if after[end - place] != root
            },
        )

    def _inputs(self, value: int) -> tuple[int, ...]:
        inputs = self.items[value].inputs if value in self.items else ()
        return tuple(source for source in inputs if source not in self.written_where_read)

    def _find_diamonds(self, before: dict[int, int], after: dict[int, int]) -> None:
        """Find the diamonds whose branches are short enough to be read inside an argument."""
        ends = {
            value: before[value]
            for value, item in self.items.items()
            if item.module is None
            and item.node.layer.is_join
            and value in before
            and after.get(before[value]) == value
        }
        tops = set(ends.values())
        lengths = dict.fromkeys(self.entries, 0)
        joins = dict.fromkeys(self.entries, 0)
        sizes = dict.fromkeys(self.entries, 0)
        for value in self.items:
            inputs = [source for source in self._inputs(value) if source not in tops]
            length = max((lengths[source] for source in inputs), default=0)
            deepest = max((joins[source] for source in inputs), default=0)
            size = max((sizes[source] for source in inputs), default=0)
            lengths[value], joins[value], sizes[value] = length + 1, deepest, size + 1
            if value in ends:
                top = ends[value]
                short = length <= LONGEST_BRANCH and (not deepest or size <= LONGEST_NESTED)
                if short and deepest < MAX_JOINS:
                    self.tops[value] = top
                    self.branches[value] = size
                    length, deepest = 0, deepest + 1
                lengths[value], joins[value] = lengths[top] + length + 1, max(joins[top], deepest)
                sizes[value] = sizes[top] + size + 1

    def _find_regions(self, before: dict[int, int]) -> None:
        """Put each item into the innermost diamond around it.

        An item is in the diamond that starts at its dominator, unless it is the end of that diamond.
        Otherwise it is in the same region as its dominator.
        """
        ends = {top: end for end, top in self.tops.items()}
        home = dict.fromkeys(self.entries, OUTERMOST)
        self.regions[OUTERMOST].values.clear()
        for end, top in self.tops.items():
            self.regions[end] = Region(top)
        for value in self.items:
            if value in self.written_where_read:
                continue
            top = before.get(value, OUTERMOST)
            if top in ends and ends[top] != value:
                home[value] = ends[top]
            else:
                home[value] = home.get(top, OUTERMOST)
            self.regions[home[value]].values.append(value)

    def _find_named(self) -> None:
        """Find the tensors that need a name: those that their region reads in several places."""
        several_inputs = sum(item.node.is_input for item in self.items.values()) > 1
        depths: dict[int, int] = {}
        for end, region in self.regions.items():
            inside: list[Iterable[int]] = [self._reads(value) for value in region.values]
            inside.append(self._inputs(end) if end in self.items else [e.value for e in self.endings])
            reads = Counter(source for sources in inside for source in sources)
            self.named.update(v for v, number in reads.items() if number > 1 and v != region.top)
            for value in region.values:
                item = self.items[value]
                if item.node.is_input and (several_inputs or item.node.name != "input"):
                    self.named.add(value)
                if item.module is not None or not item.node.layer.is_join:
                    self.named.update(source for source in self._inputs(value)[1:] if source != region.top)
        for region in self.regions.values():
            for value in region.values:
                depths[value] = self._depth(value, region, depths)

    def _reads(self, value: int) -> tuple[int, ...]:
        """Return what an item reads in its region; for a diamond, the tensor at its start."""
        return (self.tops[value],) if value in self.tops else self._inputs(value)

    def _depth(self, value: int, region: Region, depths: dict[int, int]) -> int:
        """Return how deeply joins are nested in the expression of a tensor; named tensors end the nesting."""
        inner = {
            source: depths[source] for source in self._reads(value) if not self._is_known(source, region)
        }
        deepest = max(inner.values(), default=0)
        item = self.items[value]
        if value in self.tops or item.module is not None or not item.node.layer.is_join:
            return deepest
        main = self._main_branch(value, region)
        if main is not None:
            self.mains[value] = main
            return max(deepest, 1 if len(inner) > 1 else 0)
        if deepest >= MAX_JOINS:
            self.named.update(source for source, depth in inner.items() if depth >= MAX_JOINS)
            return 1
        return deepest + 1

    def _is_known(self, value: int, region: Region) -> bool:
        """Return whether a tensor has a name, or is the one that its region starts with."""
        return value == region.top or value in self.named

    def _main_branch(self, value: int, region: Region) -> int | None:
        """Return the input of a join that continues the main chain, if the others start at named tensors.

        `x -> ... -> add(identity, y)` reads better than a long branch in an argument.
        """
        inputs = self._inputs(value)
        unknown = [source for source in inputs if not self._is_known(source, region)]
        if not unknown:
            return None
        if len(unknown) == 1 and (region.top not in inputs or len(inputs) == 1):
            return unknown[0]
        main = max(unknown, key=lambda source: self._steps_to(source, region))
        if self._steps_to(main, region) <= LONGEST_NESTED or inputs.count(main) > 1:
            return None
        others = [source for source in unknown if source != main]
        return None if region.top in self._starts(others, region, known=True) else main

    def _steps_to(self, value: int, region: Region) -> int:
        """Return the number of steps to a tensor from the last known one; stops counting above the limit."""
        steps = 0
        while steps <= LONGEST_NESTED and not self._is_known(value, region):
            steps += 1 + self.branches.get(value, 0)
            inputs = self._reads(value)
            if len(inputs) != 1 and value not in self.mains:
                break
            value = self.mains.get(value, inputs[0])
        return steps

    # -- lines

    def _roots(self, region: Region, endings: Sequence[Ending]) -> list[Root]:
        """Return what gets a line, in order: results in their own order, and the last tensor at the end."""
        placed = [
            (False, value, False, Root(value, None, self._starts([value], region)))
            for value in region.values
            if value in self.named
        ]
        latest: dict[str, int] = {}
        for ending in endings:
            at = latest[ending.binds] = max(ending.value, latest.get(ending.binds, OUTERMOST))
            root = Root(ending.value, ending, self._starts([ending.value], region, known=True))
            placed.append((not ending.binds, at, True, root))
        return [root for *_, root in sorted(placed, key=lambda each: each[:3])]

    def _starts(self, values: Iterable[int], region: Region, known: bool = False) -> set[int]:
        """Return where the steps to some tensors start; the tensors themselves may count as `known`."""
        found = set()
        open_ = list(values)
        fresh = not known
        while open_:
            value = open_.pop()
            if not fresh and self._is_known(value, region):
                found.add(value)
            else:
                open_ += self._reads(value) if value in self.items else ()
            fresh = False
        return found

    def _lines(self, region: Region, endings: Sequence[Ending], end: int = OUTERMOST) -> list[Line]:
        """Return the lines of a region; `end` is the join at the end of a diamond."""
        roots = self._roots(region, endings)
        if end != OUTERMOST:
            roots.append(Root(end, None, self._starts(self._inputs(end), region, known=True)))
        last_read = {start: number for number, root in enumerate(roots) for start in root.starts}
        lines: list[Line] = []
        current = region.top
        for number, root in enumerate(roots):
            value, ending = root.value, root.ending
            if value == end:
                add_line(lines, ThreadLine(Thread(None, [self._join(end, current, region)])))
            elif ending is not None:
                thread = self._thread(value, current, region, False)
                if ending.binds or thread.start or thread.steps or not lines:
                    add_line(lines, ThreadLine(thread, ending.binds, name=ending.name))
            else:
                thread = self._thread(value, current, region, True)
                after = roots[number + 1] if number + 1 < len(roots) else None
                goes_on = after is not None and (after.value == value or value in after.starts)
                lost = current == region.top != OUTERMOST and last_read.get(current, -1) > number
                if (goes_on and not lost) or self.items[value].node.is_input:
                    self.labels.append(add_line(lines, ThreadLine(thread, "label", self.local(value))))
                    current = value
                else:
                    add_line(lines, ThreadLine(thread, "let", self.local(value)))
                if self.items[value].node.is_input:
                    region.reads.add(value)  # an input's name is its label
        if region.top in region.reads and (region.top not in self.items or region.top not in self.named):
            lines.insert(0, ThreadLine(Thread(None, []), "let", self.local(region.top)))
        return lines

    def _read(self, value: int, region: Region) -> Thread:
        """Refer to a tensor by its name."""
        region.reads.add(value)
        return Thread(self.local(value), [])

    def _thread(self, value: int, current: int, region: Region, fresh: bool) -> Thread:
        """Return the steps to a tensor; if `fresh`, even if it has a name."""
        steps: list[Step] = []
        start: KeptTensor | None = None
        while True:
            if not fresh and self._is_known(value, region):
                if value != current:
                    start = self._read(value, region).start
                break
            fresh = False
            item = self.items[value]
            if value in self.tops:
                steps.append(self._diamond(value))
                value = self.tops[value]
            elif item.module is not None:
                others = [self._read(source, region) for source in item.inputs[1:]]
                steps.append(PartStep(self.parts[value], [], others))
                value = item.inputs[0]
            elif item.node.is_input or _is_source(item):
                steps.append(layer_step(item.node))
                break
            elif item.node.layer.is_join:
                main = self.mains.get(value, OUTERMOST)
                if main == OUTERMOST:
                    steps.append(self._join(value, current, region))
                    break
                tensors = [
                    self._thread(source, main, region, False) for source in item.inputs if source != main
                ]
                tensors.insert(item.inputs.index(main), Thread(None, []))
                steps.append(layer_step(item.node, tensors))
                value = main
            else:
                others = [self._read(source, region) for source in item.inputs[1:]]
                steps.append(layer_step(item.node, others))
                value = item.inputs[0]
        return Thread(start, steps[::-1])

    def _join(self, value: int, current: int, region: Region) -> LayerStep:
        """Return a join whose branches all start at the current tensor."""
        item = self.items[value]
        branches = [self._thread(source, current, region, False) for source in item.inputs]
        return layer_step(item.node, branches)

    def _diamond(self, end: int) -> Step:
        """Return the join at the end of a diamond with its branches; in braces if it contains names."""
        region = self.regions[end]
        if self.named.isdisjoint(region.values):
            step = self._join(end, region.top, region)
            if region.top not in region.reads:
                return step
        return NestedStep(Script(self._lines(region, (), end)))


def add_line(lines: list[Line], line: ThreadLine) -> ThreadLine:
    """Add a line and return it; a script in braces is added as plain lines."""
    if line.binds not in ("", "label"):
        lines.append(line)
        return line
    steps: list[Step] = []
    start = line.thread.start
    before = lines[-1] if lines else None
    if isinstance(before, ThreadLine) and not before.binds and goes_on(line.thread):
        lines.pop()
        start, steps = before.thread.start, [*before.thread.steps]
    for step in line.thread.steps:
        if not isinstance(step, NestedStep) or step.frozen:
            steps.append(step)
            continue
        if steps or start is not None:
            lines.append(ThreadLine(Thread(start, steps)))
        for inner in step.script.lines:
            if isinstance(inner, ThreadLine) and not inner.binds:
                add_line(lines, inner)
            else:
                lines.append(inner)  # unchanged: its name may still turn out to be unnecessary
        steps, start = [], None
    if steps or start is not None or not (line.thread.steps and lines):
        lines.append(ThreadLine(Thread(start, steps), line.binds, line.local, line.name))
    last = lines[-1]
    if not isinstance(last, ThreadLine):  # a loop has no label
        last = ThreadLine(Thread(None, []), "let", line.local)
        if line.binds:
            lines.append(last)
        return last
    last.binds, last.local = line.binds, line.local
    return last
