"""The receptive field: size, effective stride and effective padding along each axis of the input.

Araujo, Norris & Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks", Sections 2, 3.
Behind a layer that enlarges the map, neighbours see fields of different sizes, in turns: the stride is
a fraction there, and the fields of one turn are followed one by one, so that the size stays exact.
"""

from __future__ import annotations

import math
from fractions import Fraction

from msgspec import Struct

from archcalc.layers.terms import Reach, Windows
from archcalc.network import Node
from archcalc.shape import Window

Length = int | Fraction

MAX_TURN = 1000
"""The longest turn that is followed; where it is longer, the field is given as the whole input."""


class Turn(Struct, frozen=True, gc=False):
    """The fields along one axis, where they repeat: `firsts[o]` to `lasts[o]` is what place `o` sees.

    After `len(firsts)` places they come again, `step` inputs further on.
    """

    firsts: tuple[int, ...]
    lasts: tuple[int, ...]
    step: int

    @property
    def stride(self) -> Length:
        return _whole(Fraction(self.step, len(self.firsts)))

    @property
    def centre(self) -> Fraction:
        """The centre of the first field; with several, where it would be if all were evenly spaced."""
        n = len(self.firsts)
        return Fraction(sum(self.firsts) + sum(self.lasts) - self.step * (n - 1), 2 * n)

    def first(self, place: int) -> int:
        turns, at = divmod(place, len(self.firsts))
        return self.firsts[at] + turns * self.step

    def last(self, place: int) -> int:
        turns, at = divmod(place, len(self.lasts))
        return self.lasts[at] + turns * self.step


class Field(Struct, frozen=True, gc=False):
    """What one value of a tensor sees of the input, along each axis.

    `size` is the extent (with dilation its hull; the largest, where fields of several sizes take
    turns), `stride` the step in the input between neighbours, `padding` how far the first value's field
    begins before the input. A global field, the whole input, has no sizes; where places have been
    rearranged, only the sizes are known. `turns` is empty unless a stride is a fraction.
    """

    size: tuple[int, ...] = ()
    stride: tuple[Length, ...] = ()
    padding: tuple[int, ...] = ()
    turns: tuple[Turn, ...] = ()

    @property
    def is_global(self) -> bool:
        return not self.size

    def along(self) -> tuple[Turn, ...]:
        """The fields along each axis."""
        if self.turns:
            return self.turns
        axes = zip(self.size, self.stride, self.padding, strict=True)
        return tuple(Turn((-padding,), (size - padding - 1,), int(stride)) for size, stride, padding in axes)


GLOBAL = Field()


class Misalignment(Struct, frozen=True):
    """Two branches of a join whose fields do not lie over one another."""

    node: Node
    branches: tuple[Node, Node]
    axis: int
    reason: str

    def __str__(self) -> str:
        first, second = self.branches
        return f"`{self.node.name}` joins `{first.name}` and `{second.name}`: {self.reason}"


def input_field(rank: int) -> Field:
    """The field of an input itself."""
    return Field((1,) * rank, (1,) * rank, (0,) * rank)


def through(field: Field, windows: Windows) -> Field:
    """The field of a layer's output, given that of its input."""
    if windows is Reach.SAME:
        return field
    if windows is Reach.WHOLE or not field.size:
        return GLOBAL
    if windows is Reach.MOVED:
        return Field(field.size)
    assert not isinstance(windows, Reach)
    if len(field.stride) != len(windows):
        if all(w.kernel_size == 1 and not w.transposed for w in windows):
            return Field(field.size)
        return GLOBAL
    if field.turns or not all(map(_keeps_order, windows)):
        turns = [_through(turn, window) for turn, window in zip(field.along(), windows, strict=True)]
        return _field(turns)
    if all(map(_is_trivial, windows)):
        return field
    sizes: list[int] = []
    strides: list[Length] = []
    paddings: list[int] = []
    for window, size, stride, padding in zip(windows, field.size, field.stride, field.padding, strict=True):
        step = int(stride)
        sizes.append(size + int(window.extent - 1) * step)
        strides.append(step * int(window.stride))
        paddings.append(padding + int(window.before) * step)
    return Field(tuple(sizes), tuple(strides), tuple(paddings))


def _is_trivial(window: Window) -> bool:
    """Is it that of a 1x1 convolution? Its field is that of its input."""
    return window.kernel_size == 1 == window.stride and window.before == 0 == window.after


def _keeps_order(window: Window) -> bool:
    """Do neighbours see fields of one size, a whole stride apart?"""
    return not window.transposed and type(window.stride) is int


def _through(turn: Turn | None, window: Window) -> Turn | None:
    """The fields behind a window along one axis; `None` if the turn is too long to follow.

    Output `o` of a sliding window reads what `o*s - before` to `o*s - before + extent` touches; of a
    transposed one, the inputs `i` with `0 <= o + before - i*s < extent`, holes included.
    """
    if turn is None:
        return None
    s, before, extent = window.stride, window.before, window.extent
    ratio = (1 / Fraction(s) if window.transposed else Fraction(s)) / len(turn.firsts)
    if ratio.denominator > MAX_TURN:
        return None
    firsts, lasts = [], []
    for o in range(ratio.denominator):
        if window.transposed:
            first, last = (o + before - extent) // s + 1, (o + before) // s
        else:
            first, last = (o * s - before) // 1, math.ceil(o * s - before + extent) - 1
        firsts.append(turn.first(int(first)))
        lasts.append(turn.last(int(last)))
    return Turn(tuple(firsts), tuple(lasts), turn.step * ratio.numerator)


def _field(turns: list[Turn | None]) -> Field:
    known = [turn for turn in turns if turn is not None]
    if len(known) < len(turns):
        return GLOBAL
    return Field(
        tuple(1 + max(last - first for first, last in zip(t.firsts, t.lasts, strict=True)) for t in known),
        tuple(turn.stride for turn in known),
        tuple(-turn.firsts[0] for turn in known),
        tuple(known) if any(len(turn.firsts) > 1 for turn in known) else (),
    )


def merged(node: Node, fields: list[Field]) -> tuple[Field, Misalignment | None]:
    """The field of a join: the hull of its branches', which is the widest if they are aligned.

    Branches are aligned if their effective strides and the centres of their fields are equal. A branch
    that is stretched over an axis is seen from everywhere.
    """
    if any(field.is_global for field in fields):
        return GLOBAL, None
    if node.facts.windows is Reach.SAME and any(shape[1:] != node.shape[1:] for shape in node.facts.inputs):
        return GLOBAL, None
    first = fields[0]
    if all(field == first for field in fields[1:]):
        return first, None
    if any(len(field.stride) != len(first.stride) for field in fields) or not first.stride:
        if all(len(field.size) == len(first.size) for field in fields):
            return Field(tuple(map(max, zip(*(field.size for field in fields), strict=True)))), None
        return GLOBAL, None
    widest = _widest(fields)
    if widest is not None:
        return widest, None
    branches = [field.along() for field in fields]
    misalignment = None
    for branch, source in zip(branches[1:], node.inputs[1:], strict=True):
        reason = _unaligned(branches[0], branch)
        if reason is not None:
            axis, text = reason
            misalignment = Misalignment(node, (node.inputs[0], source), axis, text)
            break
    return _field([_hull(turns) for turns in zip(*branches, strict=True)]), misalignment


def _widest(fields: list[Field]) -> Field | None:
    """The field that holds all others, if they are aligned and one of them does."""
    first = fields[0]
    if any(field.turns or field.stride != first.stride for field in fields):
        return None
    widest = max(fields, key=lambda field: field.size)
    for field in fields:
        axes = zip(field.size, field.padding, widest.size, widest.padding, strict=True)
        for size, padding, most, before in axes:
            if 2 * padding - size != 2 * before - most or size > most:
                return None
    return widest


def _hull(turns: tuple[Turn, ...]) -> Turn | None:
    """What several branches see together. Unequal strides drift apart: their hull is that of place 0."""
    widest = max(turns, key=lambda turn: turn.lasts[0] - turn.firsts[0])
    if any(turn.stride != widest.stride for turn in turns):
        earlier = widest.firsts[0] - min(turn.firsts[0] for turn in turns)
        later = max(turn.lasts[0] for turn in turns) - widest.lasts[0]
        firsts = tuple(first - earlier for first in widest.firsts)
        return Turn(firsts, tuple(last + later for last in widest.lasts), widest.step)
    length = math.lcm(*(len(turn.firsts) for turn in turns))
    if length > MAX_TURN:
        return None
    return Turn(
        tuple(min(turn.first(o) for turn in turns) for o in range(length)),
        tuple(max(turn.last(o) for turn in turns) for o in range(length)),
        widest.step * (length // len(widest.firsts)),
    )


def _unaligned(first: tuple[Turn, ...], second: tuple[Turn, ...]) -> tuple[int, str] | None:
    for axis, (a, b) in enumerate(zip(first, second, strict=True)):
        if a.stride != b.stride:
            return axis, f"effective strides {a.stride} and {b.stride}"
    for axis, (a, b) in enumerate(zip(first, second, strict=True)):
        if a.centre != b.centre:
            apart = abs(a.centre - b.centre)
            return axis, f"centres {apart} pixel{'' if apart == 1 else 's'} apart"
    return None


def _whole(value: Fraction) -> Length:
    return value.numerator if value.denominator == 1 else value
