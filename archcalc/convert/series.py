"""Turns joins that grow by one tensor per step, as in a DenseNet, into a list that grows in a loop.

maps = [identity, layer]
repeat 5 { maps = maps + [concat(maps) -> layer] }
concat(maps)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from archcalc.convert.modules import ModuleItem, NetModule
from archcalc.convert.plan import (
    GrowLine,
    KeptTensor,
    LayerStep,
    Line,
    ListLine,
    Script,
    Step,
    Thread,
    ThreadLine,
    layer_step,
)

FEWEST = 3
"""Joins of a series."""

Steps = Callable[[Sequence[ModuleItem]], list[Step]]
"""Makes the steps of items that follow one another."""


class GrowingJoins:
    """A series of joins: each reads what the previous one reads, plus one tensor made from the previous one.

    `first` are the steps from the input tensor to the second tensor in the list, `between` the steps from
    each join to the tensor that the next join adds.
    """

    def __init__(
        self, joins: list[ModuleItem], first: list[ModuleItem], between: list[list[ModuleItem]]
    ) -> None:
        self.joins = joins
        self.first = first
        self.between = between

    @property
    def members(self) -> list[ModuleItem]:
        return [*self.first, *self.joins, *(item for items in self.between for item in items)]

    def script(self, steps: Steps) -> Script:
        """Return the lines that make the list and join it."""
        maps = KeptTensor("maps")
        join = self.joins[0].node

        def joined() -> LayerStep:
            return layer_step(join, [Thread(maps, [])])

        lines: list[Line] = [ListLine(maps, [Thread(None, []), Thread(None, steps(self.first))])]
        lines += [GrowLine(maps, Thread(None, [joined(), *steps(items)])) for items in self.between]
        return Script([*lines, ThreadLine(Thread(None, [joined()]))])


def with_series(items: Sequence[ModuleItem], results: Iterable[int]) -> list[ModuleItem]:
    """Return items with each series of joins as one item."""
    finder = SeriesFinder(items, results)
    found = [series for series in finder.all() if series is not None]
    gone = {item.value for series in found for item in series.members}
    rest = [item for item in items if item.value not in gone]
    for series in found:
        last = series.joins[-1]
        inputs = (series.joins[0].inputs[0],)
        module = NetModule("", "", series.members, inputs, last.value, series=series)
        rest.append(ModuleItem(last.value, inputs, last.node, module))
    return sorted(rest, key=lambda item: item.value)


class SeriesFinder:
    """Finds the series among items, in time linear in the number of tensors that all joins read."""

    def __init__(self, items: Sequence[ModuleItem], results: Iterable[int]) -> None:
        self.items = {item.value: item for item in items}
        self.reads = Counter(value for item in items for value in item.inputs)
        self.reads.update(results)
        self.joins = [item for item in items if item.module is None and item.node.layer.is_join]
        self.after = {join.inputs: join for join in self.joins}

    def all(self) -> list[GrowingJoins | None]:
        """Return all series, with the joins of each in order."""
        longer = {join.inputs[:-1] for join in self.joins}
        before = {join.value: self.after.get(join.inputs[:-1]) for join in self.joins}
        found = []
        for join in self.joins:
            if join.inputs in longer:
                continue
            joins: list[ModuleItem] = [join]
            while (previous := before[joins[-1].value]) is not None:
                joins.append(previous)
            found.append(self._series(joins[::-1]))
        return found

    def _series(self, joins: list[ModuleItem]) -> GrowingJoins | None:
        """Return the series with these joins, if nothing else reads the tensors in it."""
        if len(joins) < FEWEST or len(joins[0].inputs) != 2 or len({join.node.layer for join in joins}) > 1:
            return None
        start, second = joins[0].inputs
        first = self._steps(start, second)
        between = [self._steps(a.value, b.inputs[-1]) for a, b in pairwise(joins)]
        if first is None or any(items is None for items in between):
            return None
        number = len(joins)
        made = [second, *(join.inputs[-1] for join in joins[1:])]
        if any(self.reads[value] != number - place for place, value in enumerate(made)):
            return None
        if any(self.reads[join.value] != 1 for join in joins[:-1]):
            return None
        return GrowingJoins(joins, first, [items for items in between if items is not None])

    def _steps(self, start: int, end: int) -> list[ModuleItem] | None:
        """Return the items between two tensors, if consecutive and if nothing else reads their outputs."""
        found: list[ModuleItem] = []
        value = end
        while value != start:
            item = self.items.get(value)
            if item is None or len(item.inputs) != 1 or (found and self.reads[value] != 1):
                return None
            found.append(item)
            value = item.inputs[0]
        return found[::-1] or None
