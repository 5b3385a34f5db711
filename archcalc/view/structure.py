"""The structure of a drawing: nested boxes, folded runs of equal boxes, and the edges between them.

A box is a layer, a block with the boxes in it, or a run: the same boxes several times in a row. A closed box
is drawn as one. This file knows nothing about sizes, colors or costs; `pattern.py` decides what is placed
side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import isqrt
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from archcalc.network import Group, Network, Node
from archcalc.view.pattern import Edge, Pattern, pattern

LEAST = 3
"""This many equal boxes in a row are folded. Two are easily shown."""

PERIODS = (1, 2, 3)
"""The most boxes that may repeat together."""

MOST_CHILDREN = 1_000
"""A block with more boxes is divided into sections: more would be unreadable and slow to draw."""

FEW_LAYERS = 6
"""A run of single layers has at least this many, or folding would hide more than it saves."""


class Box(Struct, eq=False, gc=False):
    """A layer, a block, a run or a section in a drawing.

    `start` and `stop` are positions in `Structure.nodes`. `reads` lists the outside nodes whose tensors
    enter, `gives` the inside nodes whose tensors leave, each in the order of its ports. `alike` is a number
    that equal boxes share: equal layers on equal shapes, connected in the same way. A run has `times`
    repetitions of `period` children.
    """

    name: str
    start: int
    stop: int
    parent: int = -1
    children: tuple[int, ...] = ()
    reads: tuple[int, ...] = ()
    gives: tuple[int, ...] = ()
    pattern: int = -1
    alike: int = -1
    group: Group | None = None
    times: int = 0
    period: int = 0

    @property
    def is_layer(self) -> bool:
        """Return whether it is a single layer, or an input."""
        return not self.children and self.stop - self.start == 1 and self.group is None

    @property
    def is_run(self) -> bool:
        return self.times > 0


class Structure(Struct, eq=False):
    """A network as boxes: `boxes[0]` is the whole network, and a parent comes before its children.

    `nodes` are the drawn nodes, in order; `positions` maps the index of a node in the network to its position
    there.
    """

    network: Network
    nodes: tuple[Node, ...]
    positions: dict[int, int]
    boxes: list[Box]
    patterns: list[Pattern]

    def visible(self, opened: Collection[int]) -> list[int]:
        """Return, for each node, the box that represents it: the outermost closed box, or its own."""
        shown = [0] * len(self.nodes)
        waiting = [0]
        while waiting:
            number = waiting.pop()
            box = self.boxes[number]
            if box.children and number in opened:
                waiting += box.children
            else:
                shown[box.start : box.stop] = [number] * (box.stop - box.start)
        return shown

    def edges(self, opened: Collection[int]) -> list[tuple[int, int, int]]:
        """Return the edges between visible boxes: the source's box, the reader's box, and the source."""
        shown = self.visible(opened)
        found: dict[tuple[int, int, int], None] = {}
        for target, node in enumerate(self.nodes):
            for source in self.inputs(node):
                if shown[source] != shown[target]:
                    found[shown[source], shown[target], source] = None
        return list(found)

    def inputs(self, node: Node) -> list[int]:
        """Return the positions of the nodes that a node reads."""
        return [self.positions[source.index] for source in node.inputs]


def structure(network: Network, *, heads: bool = False, fold: bool = True) -> Structure:
    """Return the boxes of a network. `heads` adds the heads that are only used in training."""
    return _BoxBuilder(network, heads, fold).build()


class _BoxBuilder:
    """Makes boxes: opens them from the groups, then connects, folds and compares them from the inside out."""

    def __init__(self, network: Network, heads: bool, fold: bool) -> None:
        self.network = network
        self.fold = fold
        self.nodes = tuple(node for node in network.nodes if heads or not node.training)
        self.positions = {node.index: position for position, node in enumerate(self.nodes)}
        self.inputs = [
            tuple(dict.fromkeys(self.positions[source.index] for source in node.inputs))
            for node in self.nodes
        ]
        self.last_reader = self._last_readers()
        self.boxes: list[Box] = []
        self.inside: list[list[int]] = []
        self.patterns: dict[Any, int] = {}
        self.found: list[Pattern] = []
        self.alike: dict[Any, int] = {}

    def _last_readers(self) -> list[int]:
        """Return the last node that reads each node; results are read after all nodes."""
        last = [-1] * len(self.nodes)
        for target, sources in enumerate(self.inputs):
            for source in sources:
                last[source] = target
        results = [*self.network.outputs.values(), *self.network.heads.values()]
        for node in results:
            if node.index in self.positions:
                last[self.positions[node.index]] = len(self.nodes)
        return last

    def build(self) -> Structure:
        self._open()
        for number in reversed(range(len(self.boxes))):
            self._finish(number)
        return self._ordered()

    # --- The tree of groups ---

    def _open(self) -> None:
        """Make a box for the whole network, each group and each node; a parent comes before its children."""
        kept = [0]
        for node in self.network.nodes:
            kept.append(kept[-1] + (node.index in self.positions))
        groups = [(kept[group.start], kept[group.stop], group) for group in self.network.groups]
        groups = [each for each in groups if each[1] > each[0]]
        groups.sort(key=lambda each: (each[0], -each[1]))  # outer ones first; the sort is stable
        self._add(Box(self.network.name, 0, len(self.nodes)))
        open_boxes = [0]
        waiting = 0
        for position, node in enumerate(self.nodes):
            while self.boxes[open_boxes[-1]].stop <= position and len(open_boxes) > 1:
                open_boxes.pop()
            while waiting < len(groups) and groups[waiting][0] == position:
                start, stop, group = groups[waiting]
                open_boxes.append(self._add(Box(group.name, start, stop, open_boxes[-1], group=group)))
                waiting += 1
            self._add(Box(node.name, position, position + 1, open_boxes[-1]))

    def _add(self, box: Box) -> int:
        number = len(self.boxes)
        self.boxes.append(box)
        self.inside.append([])
        if box.parent >= 0:
            self.inside[box.parent].append(number)
        return number

    # --- What a box reads, gives, and is equal to ---

    def _finish(self, number: int) -> None:
        """Connect a box whose children are finished, and fold their runs."""
        box = self.boxes[number]
        children = self.inside[number]
        box.reads, box.gives = self._reads(box.start, box.stop), self._gives(box.start, box.stop)
        if not children:
            node = self.nodes[box.start]
            key: Any = (type(node.layer), node.layer, node.facts.inputs, node.shape)
            box.alike = self.alike.setdefault(key, len(self.alike))
            return
        if self.fold:
            children = self._folded(number, children)
        while len(children) > MOST_CHILDREN:
            children = self._sections(number, children)
        self._connect(number, children)

    def _connect(self, number: int, children: Sequence[int]) -> None:
        box = self.boxes[number]
        box.children = tuple(children)
        for child in children:
            self.boxes[child].parent = number
        box.pattern = self._pattern(box)
        kind = box.group.kind if box.group is not None else ""
        key = (kind, box.pattern, tuple(self.boxes[child].alike for child in children))
        box.alike = self.alike.setdefault(key, len(self.alike))

    def _reads(self, start: int, stop: int) -> tuple[int, ...]:
        found = (source for target in range(start, stop) for source in self.inputs[target] if source < start)
        return tuple(dict.fromkeys(found))

    def _gives(self, start: int, stop: int) -> tuple[int, ...]:
        return tuple(position for position in range(start, stop) if self.last_reader[position] >= stop)

    def _pattern(self, box: Box) -> int:
        """Return the number of a box's layout. Children are only compared by their ports."""
        entries, count = len(box.reads), len(box.children)
        port = {source: number for number, source in enumerate(box.reads)}
        edges: list[Edge] = []
        made: dict[int, tuple[int, int]] = {}
        for place, child in enumerate(box.children):
            inner = self.boxes[child]
            for source in inner.reads:
                start = made[source] if source in made else (port[source], 0)
                edges.append((*start, entries + place))
            for output, source in enumerate(inner.gives):
                made[source] = (entries + place, output)
        edges += [(*made[source], entries + count + output) for output, source in enumerate(box.gives)]
        key = (entries, count, len(box.gives), tuple(edges))
        if key not in self.patterns:
            self.patterns[key] = len(self.found)
            self.found.append(pattern(entries, count, len(box.gives), edges))
        return self.patterns[key]

    # --- Runs ---

    def _folded(self, number: int, children: Sequence[int]) -> list[int]:
        """Return the children, with each series of equal ones in a box."""
        folded: list[int] = []
        place = 0
        while place < len(children):
            period, times = self._run_at(children, place)
            turned = self._turned(children, place, period, times)
            folded += children[place:turned]
            place = turned
            if times:
                folded.append(
                    self._add_around(number, children[place : place + period * times], period, times)
                )
                place += period * times
            else:
                folded.append(children[place])
                place += 1
        return folded

    def _run_at(self, children: Sequence[int], place: int) -> tuple[int, int]:
        """Return the period and the number of repetitions of the longest run that starts here."""
        best = (0, 0)
        for period in PERIODS:
            times = self._repetitions(children, place, period)
            unit = children[place : place + period]
            are_layers = all(not self.boxes[child].children for child in unit)
            least = max(LEAST, FEW_LAYERS // period) if are_layers else LEAST
            if times >= least and times * period > best[0] * best[1]:
                best = (period, times)
        return best

    def _turned(self, children: Sequence[int], place: int, period: int, times: int) -> int:
        """Return the latest start of the same run: 3 × `conv, bn, relu` rather than `bn, relu, conv`."""
        turns = range(place + period - 1, place, -1)
        return next((at for at in turns if self._repetitions(children, at, period) == times), place)

    def _repetitions(self, children: Sequence[int], place: int, period: int) -> int:
        """Return how often the children from here on repeat in series; 0 if they cannot start a run."""
        first = last = self._unit(children, place, period)
        if first is None or last is None:
            return 0
        times = 1
        while True:
            end = place + (times + 1) * period
            unit = self._unit(children, end - period, period)
            if unit is None or unit[2] != first[2] or unit[0] != last[1]:
                return times
            if self.last_reader[unit[0][0]] >= self.boxes[children[end - 1]].stop:
                return times
            times += 1
            last = unit

    def _unit(
        self, children: Sequence[int], place: int, period: int
    ) -> tuple[tuple[int, ...], tuple[int, ...], Any] | None:
        """Return what consecutive children read and give together, and what makes them equal to others."""
        unit = [self.boxes[child] for child in children[place : place + period]]
        if len(unit) < period:
            return None
        start, stop = unit[0].start, unit[-1].stop
        reads = tuple(dict.fromkeys(source for box in unit for source in box.reads if source < start))
        gives = tuple(source for box in unit for source in box.gives if self.last_reader[source] >= stop)
        if len(reads) != 1 or len(gives) != 1:
            return None
        ports = {reads[0]: (0, 0)}
        for at, box in enumerate(unit, 1):
            ports |= {source: (at, output) for output, source in enumerate(box.gives)}
        key = [(box.alike, tuple(ports[source] for source in box.reads)) for box in unit]
        return reads, gives, key

    def _add_around(self, parent: int, children: Sequence[int], period: int, times: int) -> int:
        """Add a run or a section: a box around consecutive children."""
        first, last = self.boxes[children[0]], self.boxes[children[-1]]
        name = f"{first.name} to {last.name.rpartition('/')[2]}"
        number = len(self.boxes)
        box = Box(name, first.start, last.stop, parent, times=times, period=period)
        box.reads, box.gives = self._reads(box.start, box.stop), self._gives(box.start, box.stop)
        self.boxes.append(box)
        self.inside.append(list(children))
        self._connect(number, children)
        return number

    def _sections(self, parent: int, children: Sequence[int]) -> list[int]:
        """Split children into groups, about as many as there are children in each."""
        size = isqrt(len(children)) + 1
        parts = [children[at : at + size] for at in range(0, len(children), size)]
        return [self._add_around(parent, part, 0, 0) for part in parts]

    # --- The order of the boxes ---

    def _ordered(self) -> Structure:
        """Order the boxes as drawn: outer ones before inner ones, from top to bottom."""
        order: list[int] = []
        waiting = [0]
        while waiting:
            number = waiting.pop()
            order.append(number)
            waiting += reversed(self.boxes[number].children)
        new = {number: place for place, number in enumerate(order)}
        boxes = [self.boxes[number] for number in order]
        for box in boxes:
            box.parent = new.get(box.parent, -1)
            box.children = tuple(new[child] for child in box.children)
        return Structure(self.network, self.nodes, self.positions, boxes, self.found)


def cut(whole: Structure, most: int) -> Structure:
    """Cut the structure to about this many boxes: the outer ones, which then have no children."""
    kept = [0]
    opened = set()
    for number in kept:
        children = whole.boxes[number].children
        if len(kept) + len(children) <= most:
            kept += children
            opened.add(number)
    order = sorted(kept)
    new = {number: place for place, number in enumerate(order)}
    boxes = []
    for number in order:
        box = whole.boxes[number]
        children = tuple(new[child] for child in box.children) if number in opened else ()
        boxes.append(replace(box, parent=new.get(box.parent, -1), children=children))
    return Structure(whole.network, whole.nodes, whole.positions, boxes, whole.patterns)
