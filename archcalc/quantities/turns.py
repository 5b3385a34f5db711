"""The receptive fields along one axis: where each begins and ends in the input.

After a layer that enlarges the map, neighbors have fields of different sizes, which repeat after some
positions. One such period is a turn. If maps were concatenated along an axis, nothing repeats, and all
positions are listed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from archcalc.shape import Window

Length = int | Fraction

MAX_TURN = 1000
"""The longest turn or list that is tracked. In a longer one, all positions count as seeing everything."""

MAX_READS = 100_000
"""The most inputs that the positions of a list read in total. With more, they count as seeing everything."""


class Cycle:
    """Fields that repeat after `len(firsts)` places, `step` inputs further on.

    Neither end moves back from one place to the next. Many turns share a cycle, because a convolution of
    stride 1 only moves the ends of the fields: each begins where that of an earlier place does, and ends
    where that of a later place does. This keeps the memory of deep networks small.
    """

    __slots__ = ("_widths", "firsts", "lasts", "step", "total")

    def __init__(self, firsts: tuple[int, ...], lasts: tuple[int, ...], step: int) -> None:
        self.firsts = firsts
        self.lasts = lasts
        self.step = step
        self.total = sum(firsts) + sum(lasts)
        self._widths: dict[int, int] = {}

    def first(self, place: int) -> int:
        turns, at = divmod(place, len(self.firsts))
        return self.firsts[at] + turns * self.step

    def last(self, place: int) -> int:
        turns, at = divmod(place, len(self.lasts))
        return self.lasts[at] + turns * self.step

    def width(self, ahead: int) -> int:
        """The longest distance from the start of a field to the end of the field `ahead` positions later."""
        turns, ahead = divmod(ahead, len(self.firsts))
        if ahead not in self._widths:
            widths = (self.last(o + ahead) - first for o, first in enumerate(self.firsts))
            self._widths[ahead] = 1 + max(widths)
        return self._widths[ahead] + turns * self.step


class Turn(Struct, frozen=True, gc=False):
    """The fields along one axis: place `o` sees `first(o)` to `last(o)`.

    Its field begins where the cycle's field at `o + from_` begins, and ends where that at `o + to` ends. No
    place sees anything outside `low` to `high`; these are set after a layer that repeats the values at the
    ends of a map instead of padding it. With `listed`, the cycle has every place of the map, in any order.
    """

    cycle: Cycle
    from_: int = 0
    to: int = 0
    low: int | None = None
    high: int | None = None
    listed: bool = False

    @property
    def in_order(self) -> bool:
        """Are the fields of neighbors one stride apart?"""
        return not self.listed and self.cycle.step != 0

    @property
    def is_everywhere(self) -> bool:
        """Is only the union of all fields known?"""
        return not self.listed and self.cycle.step == 0

    @property
    def stride(self) -> Length:
        return whole(Fraction(self.cycle.step, len(self.cycle.firsts)))

    @property
    def size(self) -> int:
        if self.listed:
            return 1 + max(last - first for first, last in self._ends(len(self.cycle.firsts)))
        size = self.cycle.width(self.to - self.from_)
        return size if self.low is None or self.high is None else min(size, 1 + self.high - self.low)

    @property
    def start(self) -> int:
        """The start of the first field, which is `low` if `low` to `high` is less than a whole field."""
        first = self.first(0)
        cut = self.low is not None and self.size < self.cycle.width(self.to - self.from_)
        return max(first, self.low) if cut and self.low is not None else first

    @property
    def center(self) -> Fraction:
        """The center of the first field; for a longer turn, as if all fields were evenly spaced."""
        n, step = len(self.cycle.firsts), self.cycle.step
        # one position later, the first field of the cycle becomes the last one, shifted by a step
        ends = self.cycle.total + step * (self.from_ + self.to)
        return Fraction(ends - step * (n - 1), 2 * n)

    def first(self, place: int) -> int:
        return self.cycle.firsts[self._listed(place)] if self.listed else self.cycle.first(place + self.from_)

    def last(self, place: int) -> int:
        return self.cycle.lasts[self._listed(place)] if self.listed else self.cycle.last(place + self.to)

    def _listed(self, place: int) -> int:
        """The nearest position inside the map."""
        return min(max(place, 0), len(self.cycle.firsts) - 1)

    def _ends(self, places: int) -> list[tuple[int, int]]:
        """The field of each position, limited to `low` to `high`."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return [(int(max(self.first(o), low)), int(min(self.last(o), high))) for o in range(places)]

    def reach(self, places: int) -> tuple[int, int]:
        """The union of the fields of the first `places` positions."""
        if self.listed:
            return min(self.cycle.firsts), max(self.cycle.lasts)
        low = self.first(0) if self.low is None else self.low
        return low, self.last(places - 1) if self.high is None else self.high


def plain(first: int, last: int, stride: int) -> Turn:
    """Fields of one size, a whole stride apart."""
    return Turn(Cycle((first,), (last,), stride))


def everywhere(low: int, high: int) -> Turn:
    """One field for all positions."""
    return plain(low, high, 0)


def _of_list(ends: Sequence[tuple[int, int]]) -> Turn:
    return Turn(Cycle(tuple(first for first, _ in ends), tuple(last for _, last in ends), 0), listed=True)


def through_window(turn: Turn, window: Window, before: int, after: int) -> Turn | None:
    """The fields after a window that makes `after` places of `before`; `None` if the turn is too long.

    Output `o` of a sliding window reads what `o*s - before` to `o*s - before + extent` touches; of a
    transposed one, the inputs `i` with `0 <= o + before - i*s < extent`, holes included.
    """
    if turn.listed:
        return _list_through_window(turn, window, before, after)
    s, ahead = window.stride, -window.before
    if window.transposed or s != 1 or type(ahead) is not int or type(window.extent) is not int:
        moved = _followed(turn, window)
        if moved is None:
            return None
    else:
        moved = Turn(turn.cycle, turn.from_ + ahead, turn.to + ahead + window.extent - 1)
    low, high = turn.low, turn.high
    if window.clamped:
        low, high = turn.reach(before)
    elif low is not None and high is not None:
        low, high = _padded(turn, window, before, after, low, high)
    return moved if low is None else replace(moved, low=low, high=high)


def _padded(turn: Turn, window: Window, before: int, after: int, low: int, high: int) -> tuple[int, int]:
    """The limits after a window: narrower if it skips positions, wider if it pads."""
    reads = _reads(window)
    first, last = reads(0)[0], reads(after - 1)[1]
    low = low + turn.first(first) - turn.first(0) if first < 0 else max(low, turn.first(first))
    end = before - 1
    high = high + turn.last(last) - turn.last(end) if last > end else min(high, turn.last(last))
    return low, high


def _reads(window: Window) -> Callable[[int], tuple[int, int]]:
    """The first and the last input that an output reads, including padding."""
    exact = [Fraction(length) for length in (window.stride, window.before, window.extent)]
    unit = math.lcm(*(length.denominator for length in exact))
    s, before, extent = (int(length * unit) for length in exact)  # whole numbers: fractions are slow
    if window.transposed:
        return lambda o: ((o * unit + before - extent) // s + 1, (o * unit + before) // s)
    return lambda o: ((o * s - before) // unit, -((before - extent - o * s) // unit) - 1)


def _followed(turn: Turn, window: Window) -> Turn | None:
    s = Fraction(window.stride)
    ratio = (1 / s if window.transposed else s) / len(turn.cycle.firsts)
    if ratio.denominator > MAX_TURN:
        return None
    reads = _reads(window)
    read = [reads(o) for o in range(ratio.denominator)]
    firsts = tuple(turn.first(first) for first, _ in read)
    lasts = tuple(turn.last(last) for _, last in read)
    return Turn(Cycle(firsts, lasts, turn.cycle.step * ratio.numerator))


def _list_through_window(turn: Turn, window: Window, before: int, after: int) -> Turn:
    """The union of the fields that a window reads. Gaps between them count as seen."""
    if after > MAX_TURN or after * window.extent > MAX_READS:
        return everywhere(*turn.reach(before))
    reads = _reads(window)
    firsts, lasts = turn.cycle.firsts, turn.cycle.lasts
    ends = []
    for o in range(after):
        first, last = (turn._listed(place) for place in reads(o))
        last = max(first, last)  # between the taps of a transposed window, where nothing is read
        ends.append((min(firsts[first : last + 1]), max(lasts[first : last + 1])))
    return _of_list(ends)


def stacked(turns: Sequence[Turn], places: Sequence[int]) -> Turn:
    """The fields of maps that follow one another, with these numbers of positions."""
    if sum(places) > MAX_TURN:
        reach = [turn.reach(n) for turn, n in zip(turns, places, strict=True)]
        return everywhere(min(low for low, _ in reach), max(high for _, high in reach))
    return _of_list([ends for turn, n in zip(turns, places, strict=True) for ends in turn._ends(n)])


def hull(turns: Sequence[Turn], places: Sequence[int], out: int) -> Turn | None:
    """The union of the branches' fields for each of `out` positions; `None` if the turn is too long.

    A branch with one position is stretched. With unequal strides, the union is that of the first position.
    """
    reach = [turn.reach(n) for turn, n in zip(turns, places, strict=True)]
    low, high = min(low for low, _ in reach), max(high for _, high in reach)
    stretched = any(n != out for n in places)
    if stretched or not all(turn.in_order for turn in turns):
        if out > MAX_TURN or any(turn.is_everywhere for turn in turns):
            return everywhere(low, high)
        each = [turn._ends(n) * (out // n) for turn, n in zip(turns, places, strict=True)]
        ends = zip(*each, strict=True)
        return _of_list([(min(f for f, _ in of_place), max(t for _, t in of_place)) for of_place in ends])
    joined = _hull_in_order(turns)
    capped = any(turn.low is not None for turn in turns)
    return replace(joined, low=low, high=high) if joined is not None and capped else joined


def _hull_in_order(turns: Sequence[Turn]) -> Turn | None:
    cycle = turns[0].cycle
    if all(turn.cycle is cycle for turn in turns):
        return Turn(cycle, min(turn.from_ for turn in turns), max(turn.to for turn in turns))
    widest = max(turns, key=lambda turn: turn.last(0) - turn.first(0))
    length = len(widest.cycle.firsts)
    if any(turn.stride != widest.stride for turn in turns):
        earlier = widest.first(0) - min(turn.first(0) for turn in turns)
        later = max(turn.last(0) for turn in turns) - widest.last(0)
        firsts = tuple(widest.first(o) - earlier for o in range(length))
        return Turn(Cycle(firsts, tuple(widest.last(o) + later for o in range(length)), widest.cycle.step))
    longest = math.lcm(*(len(turn.cycle.firsts) for turn in turns))
    if longest > MAX_TURN:
        return None
    firsts = tuple(min(turn.first(o) for turn in turns) for o in range(longest))
    lasts = tuple(max(turn.last(o) for turn in turns) for o in range(longest))
    return Turn(Cycle(firsts, lasts, widest.cycle.step * (longest // length)))


def unaligned(first: Sequence[Turn], second: Sequence[Turn]) -> Iterator[tuple[int, str]]:
    """Why fields do not have the same centers, by axis. Axes with positions out of order are left out."""
    axes = [
        (axis, a, b)
        for axis, (a, b) in enumerate(zip(first, second, strict=True))
        if a.in_order and b.in_order
    ]
    for axis, a, b in axes:
        if a.stride != b.stride:
            yield axis, f"effective strides {a.stride} and {b.stride}"
    for axis, a, b in axes:
        if a.center != b.center:
            apart = abs(a.center - b.center)
            yield axis, f"centers {apart} pixel{'' if apart == 1 else 's'} apart"


def whole(value: Fraction) -> Length:
    return value.numerator if value.denominator == 1 else value
