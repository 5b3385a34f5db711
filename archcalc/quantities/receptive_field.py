"""The receptive field: size, effective stride and effective padding along each axis of the input.

Araujo, Norris & Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks", Sections 2, 3.
After a layer that enlarges the map, neighbors have fields of different sizes, and the stride is a fraction.
`archcalc.quantities.turns` tracks these one by one, so the size stays exact.
`archcalc.quantities.field_fold` computes the fields of a whole network.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from archcalc.layers.terms import Facts, Reach, Stacked, Swapped
from archcalc.network import Node
from archcalc.quantities.turns import Length, Turn, hull, plain, stacked, through_window, unaligned
from archcalc.shape import Shape, Window


class Field(Struct, frozen=True, gc=False):
    """The receptive field of a tensor's values, along each axis of the input.

    - `size`: the extent, including holes of dilation; the largest one if sizes differ. It is empty for a
      global field, which is the whole input, and zero for values that do not depend on the input.
    - `stride`: the distance in the input between neighbors. Empty if neighbors are not evenly spaced.
    - `padding`: the part of the first value's field that lies before the input.
    - `turns`: the fields along each axis. Empty if one size and one stride describe them, and if the field of
      each position is unknown.
    - `order`: for each axis of the map, the axis of the input. Empty if they are the same.
    - `at_most`: an upper bound; some or all values may have smaller fields.
    - `folded`: positions were moved into channels, so a layer that mixes channels mixes positions.
    """

    size: tuple[int, ...] = ()
    stride: tuple[Length, ...] = ()
    padding: tuple[int, ...] = ()
    turns: tuple[Turn, ...] = ()
    order: tuple[int, ...] = ()
    at_most: bool = False
    folded: bool = False

    @property
    def is_global(self) -> bool:
        return not self.size

    @property
    def is_nothing(self) -> bool:
        """Does the value not depend on the input at all, like a parameter?"""
        return bool(self.size) and not any(self.size)

    @property
    def keeps_places(self) -> bool:
        """Is the field of each position known?"""
        return bool(self.stride or self.turns)

    def along(self) -> tuple[Turn, ...]:
        """The fields along each axis of the input."""
        if self.turns:
            return self.turns
        axes = zip(self.size, self.stride, self.padding, strict=True)
        return tuple(plain(-padding, size - padding - 1, int(stride)) for size, stride, padding in axes)

    def axes(self) -> tuple[int, ...]:
        """For each axis of the input, the axis of the map."""
        every = range(len(self.size))
        return tuple(map(self.order.index, every)) if self.order else tuple(every)


GLOBAL = Field()

Branch = tuple[Shape, Field]
"""The shape and the field of a tensor that a layer reads."""


class Misalignment(Struct, frozen=True):
    """Two branches of a join whose fields have different centers or strides."""

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


# --- One tensor ---------------------------------------------------------------------------------------


def through(field: Field, facts: Facts) -> Field:
    """The field of a layer's output, from the field of its only input."""
    windows = facts.windows
    if windows is Reach.SAME:
        return field
    if not field.size or windows is Reach.WHOLE:
        return GLOBAL
    if isinstance(windows, tuple):
        return _through_windows(field, windows, facts)
    if isinstance(windows, Swapped):
        return _swapped(field, windows.axes)
    if windows is Reach.FOLDED:
        return Field(field.size, at_most=field.at_most, folded=True)
    assert windows is Reach.MOVED
    return _without_places(field)


def _through_windows(field: Field, windows: tuple[Window, ...], facts: Facts) -> Field:
    if not field.keeps_places or len(field.size) != len(windows):
        alone = all(window.kernel_size == 1 and not window.transposed for window in windows)
        return _without_places(field) if alone else GLOBAL
    plain = None if field.turns or field.order else _through_plain(field, windows)
    return plain or _through_turns(field, windows, facts)


def _without_places(field: Field) -> Field:
    return Field(field.size, at_most=field.at_most, folded=field.folded)


def _swapped(field: Field, axes: tuple[int, ...]) -> Field:
    """The axis `axes[i]` of the map becomes its axis `i`."""
    if not field.keeps_places or len(field.size) != len(axes):
        return _without_places(field)
    natural = tuple(range(len(axes)))
    before = field.order or natural
    order = tuple(before[axis] for axis in axes)
    return replace(field, order=() if order == natural else order)


def _through_plain(field: Field, windows: tuple[Window, ...]) -> Field | None:
    """The field after windows that keep one size and an integer stride; `None` if they do not.

    Most layers of most networks take this path, so it is one plain loop.
    """
    sizes: list[int] = []
    strides: list[Length] = []
    paddings: list[int] = []
    trivial = True
    for window, size, step, padding in zip(windows, field.size, field.stride, field.padding, strict=True):
        stride, before = window.stride, window.before
        if window.transposed or window.clamped or type(stride) is not int or type(step) is not int:
            return None
        reach = window.dilation * (window.kernel_size - 1)
        if reach or before or stride != 1:
            trivial = False
        sizes.append(size + int(reach) * step)
        strides.append(step * stride)
        paddings.append(padding + int(before) * step)
    if trivial:
        return field
    return Field(tuple(sizes), tuple(strides), tuple(paddings), (), (), field.at_most)


def _through_turns(field: Field, windows: tuple[Window, ...], facts: Facts) -> Field:
    before, after = facts.inputs[0][1:], facts.output[1:]
    turns = [
        through_window(turn, windows[axis], before[axis], after[axis])
        for turn, axis in zip(field.along(), field.axes(), strict=True)
    ]
    return _of_turns(turns, field)


def _of_turns(turns: Sequence[Turn | None], like: Field) -> Field:
    """The field with these turns, and with the axes of `like`. A turn that is too long makes it global."""
    known = tuple(turn for turn in turns if turn is not None)
    if len(known) < len(turns):
        return GLOBAL
    size = tuple(turn.size for turn in known)
    if not all(turn.in_order for turn in known):
        at_most = like.at_most or any(turn.is_everywhere for turn in known)
        return Field(size, (), (), known, like.order, at_most)
    stride = tuple(turn.stride for turn in known)
    padding = tuple(-turn.start for turn in known)
    uneven = any(len(turn.cycle.firsts) > 1 or turn.low is not None for turn in known)
    return Field(size, stride, padding, known if uneven else (), like.order, like.at_most)


# --- Several tensors ----------------------------------------------------------------------------------


def combined(branches: Sequence[Branch], facts: Facts) -> Field:
    """The field of a layer that reads these branches: all its inputs, or some channels of them.

    It is the union of their fields.
    """
    windows = facts.windows
    if windows is Reach.WHOLE:
        return GLOBAL
    seeing = [branch for branch in branches if not branch[1].is_nothing]
    if not seeing:
        return branches[0][1]
    if len(seeing) < len(branches) and isinstance(
        windows, Stacked
    ):  # positions are shifted by those of the other branches
        return _without_places(_hull(seeing, seeing[0][0]))
    branches = seeing
    if isinstance(windows, Stacked):
        return _hull(branches, facts.output, stack=windows.axis)
    if windows is Reach.SAME and len(branches) == 1 and branches[0][0][1:] == facts.output[1:]:
        return branches[0][1]
    return through(joined(branches, facts.output if windows is Reach.SAME else branches[0][0]), facts)


def joined(branches: Sequence[Branch], out: Shape) -> Field:
    """The union of these tensors' fields for each position of a map of shape `out`.

    A tensor with one position along an axis is stretched over that axis.
    """
    first = branches[0][1]
    same_field = all(field == first for _, field in branches)
    if same_field and (not first.keeps_places or all(shape[1:] == out[1:] for shape, _ in branches)):
        return first
    return _hull(branches, out)


def _hull(branches: Sequence[Branch], out: Shape, stack: int | None = None) -> Field:
    """The union along each axis. Along the axis `stack` of the map, the tensors follow one another."""
    fields = [field for _, field in branches]
    first = fields[0]
    at_most, folded = any(field.at_most for field in fields), any(field.folded for field in fields)
    stretched = stack is None and any(shape[1:] != out[1:] for shape, _ in branches)
    if any(len(field.size) != len(first.size) or not field.size for field in fields):
        return GLOBAL
    if not all(field.keeps_places for field in fields):
        if stretched:
            return GLOBAL
        sizes = zip(*(field.size for field in fields), strict=True)
        return Field(tuple(map(max, sizes)), at_most=at_most, folded=folded)
    if any(field.order != first.order for field in fields):
        return GLOBAL
    if stack is None and not stretched:
        widest = _widest(fields)
        if widest is not None:
            return widest if widest.at_most == at_most else replace(widest, at_most=at_most)
    every = zip(*(field.along() for field in fields), strict=True)
    found: list[Turn | None] = []
    for axis, turns in zip(first.axes(), every, strict=True):
        places = [shape[1 + axis] for shape, _ in branches]
        found.append(stacked(turns, places) if axis == stack else hull(turns, places, out[1 + axis]))
    return _of_turns(found, replace(first, at_most=at_most))


def _widest(fields: Sequence[Field]) -> Field | None:
    """The field that contains all others, if they are aligned and there is one."""
    first = fields[0]
    widest = max(fields, key=lambda field: field.size)
    for field in fields:
        if field.turns or field.stride != first.stride:
            return None
        axes = zip(field.size, field.padding, widest.size, widest.padding, strict=True)
        for size, padding, most, before in axes:
            if 2 * padding - size != 2 * before - most or size > most:
                return None
    return widest


def misaligned(node: Node, fields: Sequence[Field]) -> Misalignment | None:
    """Two inputs of a join whose effective strides or centers differ, if there are any.

    Branches with positions out of order, and stretched branches, are not compared.
    """
    first, windows, shapes = fields[0], node.facts.windows, node.facts.inputs
    if any(field.is_nothing for field in fields):
        return None
    if any(not f.keeps_places or f.order != first.order or len(f.size) != len(first.size) for f in fields):
        return None
    if windows is Reach.SAME and any(shape[1:] != node.shape[1:] for shape in shapes):
        return None
    for field, source in zip(fields[1:], node.inputs[1:], strict=True):
        for axis, reason in unaligned(first.along(), field.along()):
            if not isinstance(windows, Stacked) or first.axes()[axis] != windows.axis:
                return Misalignment(node, (node.inputs[0], source), axis, reason)
    return None
