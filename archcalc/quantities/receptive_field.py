"""The receptive field: size, effective stride and effective padding along each axis of the input.

Araujo, Norris & Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks", Sections 2, 3.
Behind a layer that enlarges the map, neighbours see fields of different sizes, in turns: the stride is
a fraction there, and the fields of one turn are followed one by one, so that the size stays exact
(`archcalc.quantities.turns`). Where channels have come from different branches, each has a field of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from archcalc.layers.channels import MAX_RUNS, NOTHING, Channels, Labels
from archcalc.layers.terms import Facts, Reach, Stacked, Swapped
from archcalc.network import Network, Node
from archcalc.quantities.turns import Length, Turn, behind, hull, plain, stacked, unaligned
from archcalc.shape import Shape, Window

MOST_STORED = 2_000_000
"""Fields of turns that are kept one by one in a network: about 150 MB. Further ones are the whole input."""

PER_PART = 10
"""What a run of channels with a field of its own counts for: it takes as long to find as ten of a turn."""


class Field(Struct, frozen=True, gc=False):
    """What one value of a tensor sees of the input, along each axis of the input.

    `size` is the extent (with dilation its hull; the largest, where fields of several sizes take
    turns), `stride` the step in the input between neighbours, `padding` how far the first value's field
    begins before the input. A global field, the whole input, has no sizes; where places have been
    rearranged, only the sizes are known. `turns` is empty where one stride and one size say it all.

    `order` has the axis of the input that each axis of the map lies along; it is empty if they are the same.
    `parts` are how many channels in a row have which field, where they differ (`None`: they see nothing).
    With `bound`, no value sees more, and some or all may see less. With `folded`, channels hold places.
    """

    size: tuple[int, ...] = ()
    stride: tuple[Length, ...] = ()
    padding: tuple[int, ...] = ()
    turns: tuple[Turn, ...] = ()
    order: tuple[int, ...] = ()
    parts: tuple[tuple[int, Field | None], ...] = ()
    bound: bool = False
    folded: bool = False

    @property
    def is_global(self) -> bool:
        return not self.size

    @property
    def keeps_places(self) -> bool:
        """Is it known which place sees what?"""
        return bool(self.stride or self.turns)

    def along(self) -> tuple[Turn, ...]:
        """The fields along each axis."""
        if self.turns:
            return self.turns
        axes = zip(self.size, self.stride, self.padding, strict=True)
        return tuple(plain(-padding, size - padding - 1, int(stride)) for size, stride, padding in axes)

    def by_input_axis(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """The sizes of a map, as `(C, H, W)`, in the order of the axes of the input."""
        return self.in_order(sizes[1:])

    def in_order(self, per_axis: Sequence[int]) -> tuple[int, ...]:
        """What each axis of the map has, in the order of the axes of the input."""
        if not self.order:
            return tuple(per_axis)
        return tuple(per_axis[self.order.index(axis)] for axis in range(len(per_axis)))


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


Branch = tuple[Shape, Field]
"""The shape and the field of an input of a layer."""


def input_field(rank: int) -> Field:
    """The field of an input itself."""
    return Field((1,) * rank, (1,) * rank, (0,) * rank)


class FieldFold:
    """The fields of the nodes of a network, found one after the other, and the joins that are not aligned."""

    def __init__(self, network: Network) -> None:
        self.misalignments: list[Misalignment] = []
        self._room = MOST_STORED
        self._apart = _told_apart(network)

    def of(self, node: Node, fields: Sequence[Field]) -> Field:
        """The field of a node, given those of its inputs."""
        facts = node.facts
        if isinstance(facts.windows, tuple):
            fields = fields[:1]  # an unpooling reads its pool only to find places
        first = fields[0]
        if self._room < 0 and any(field.turns for field in fields):
            return GLOBAL
        aligned = _aligned(node, fields) if len(fields) > 1 else None
        if aligned is not None:
            field = aligned
        elif len(fields) == 1 and not first.parts and not first.folded:
            field = through(first, facts)
        else:
            misalignment = _misaligned(node, fields) if len(fields) > 1 else None
            if misalignment is not None:
                self.misalignments.append(misalignment)
            field = _combined(facts, list(zip(facts.inputs, fields, strict=False)))
            if any(each.folded for each in fields) and _mixes(node, len(fields)):
                field = GLOBAL
        if node.index in self._apart:
            field = _by_channels(node, fields, field) if self._room >= 0 else replace(field, bound=True)
        return self._kept(field, fields) if field.turns or field.parts else field

    def _kept(self, field: Field, inputs: Sequence[Field]) -> Field:
        """The field, without what there is no room for."""
        if self._room < 0:
            return GLOBAL if field.turns else replace(field, parts=(), bound=True)
        known = {id(turn.cycle) for each in inputs for turn in each.turns}
        self._room -= PER_PART * len(field.parts)
        for each in (field, *(part for _, part in field.parts if part is not None)):
            self._room -= sum(len(turn.cycle.firsts) for turn in each.turns if id(turn.cycle) not in known)
        return field


# --- All channels alike -------------------------------------------------------------------------------


def through(field: Field, facts: Facts) -> Field:
    """The field of a layer's output, given that of its only input, all channels of which are alike."""
    windows = facts.windows
    if windows is Reach.SAME:
        return field
    if windows is Reach.WHOLE or not field.size:
        return GLOBAL
    if windows is Reach.MOVED or windows is Reach.FOLDED:
        return Field(field.size, bound=field.bound, folded=field.folded or windows is Reach.FOLDED)
    if isinstance(windows, Swapped):
        return _swapped(field, windows.axes)
    assert isinstance(windows, tuple)
    if not field.keeps_places or len(field.size) != len(windows):
        alone = all(w.kernel_size == 1 and not w.transposed for w in windows)
        return Field(field.size, bound=field.bound, folded=field.folded) if alone else GLOBAL
    if field.turns or field.order or not all(map(_keeps_order, windows)):
        return _behind_windows(field, windows, facts)
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
    return Field(tuple(sizes), tuple(strides), tuple(paddings), bound=field.bound)


def _is_trivial(window: Window) -> bool:
    """Is it that of a 1x1 convolution? Its field is that of its input."""
    return window.kernel_size == 1 == window.stride and window.before == 0 == window.after


def _keeps_order(window: Window) -> bool:
    """Do neighbours see fields of one size, a whole stride apart?"""
    return not window.transposed and not window.clamped and type(window.stride) is int


def _swapped(field: Field, axes: tuple[int, ...]) -> Field:
    if not field.keeps_places or len(field.size) != len(axes):
        return Field(field.size, bound=field.bound, folded=field.folded)
    before = field.order or tuple(range(len(axes)))
    order = tuple(before[axis] for axis in axes)
    return replace(field, order=() if order == tuple(range(len(axes))) else order)


def _behind_windows(field: Field, windows: tuple[Window, ...], facts: Facts) -> Field:
    before, after = field.by_input_axis(facts.inputs[0]), field.by_input_axis(facts.output)
    by_axis = [windows[at] for at in field.in_order(range(len(windows)))]
    turns = [behind(*axis) for axis in zip(field.along(), by_axis, before, after, strict=True)]
    return _of_turns(turns, field.order, field.bound)


def _of_turns(turns: Sequence[Turn | None], order: tuple[int, ...], bound: bool) -> Field:
    known = [turn for turn in turns if turn is not None]
    if len(known) < len(turns):
        return GLOBAL
    size = tuple(turn.size for turn in known)
    if not all(turn.in_order for turn in known):
        bound = bound or any(not turn.in_order and not turn.listed for turn in known)
        return Field(size, turns=tuple(known), order=order, bound=bound)
    stride = tuple(turn.stride for turn in known)
    padding = tuple(-turn.start for turn in known)
    uneven = any(len(turn.cycle.firsts) > 1 or turn.low is not None for turn in known)
    return Field(size, stride, padding, tuple(known) if uneven else (), order, bound=bound)


# --- Branches -----------------------------------------------------------------------------------------


def _aligned(node: Node, fields: Sequence[Field]) -> Field | None:
    """The field of a join whose branches lie over one another, which most do."""
    if node.facts.windows is not Reach.SAME:
        return None
    if any(f.is_global or f.order or f.parts or f.bound or f.folded or not f.stride for f in fields):
        return None
    places = node.shape[1:]
    if any(shape[1:] != places for shape in node.facts.inputs):
        return None
    return _widest(fields)


def _combined(facts: Facts, branches: Sequence[Branch]) -> Field:
    """The field of a layer that reads these: all branches of a join, or some channels of them.

    It is the hull of the branches' fields, which is the widest if they are aligned.
    """
    windows = facts.windows
    if isinstance(windows, Stacked):
        return _stacked(branches, facts.output, windows.axis)
    read = facts.output if windows is Reach.SAME else branches[0][0]
    return through(_joined(branches, read), facts)


def _joined(branches: Sequence[Branch], out: Shape) -> Field:
    """What is seen through any of several branches, place by place of a map of shape `out`."""
    fields = [field for _, field in branches]
    first = fields[0]
    if any(field.is_global for field in fields):
        return GLOBAL
    stretched = any(shape[1:] != out[1:] for shape, _ in branches)
    if not stretched and all(field == first for field in fields[1:]):
        return replace(first, parts=()) if first.parts else first
    return _of_axes(branches, out, None, stretched)


def _of_axes(branches: Sequence[Branch], out: Shape, stack: int | None, stretched: bool) -> Field:
    """The hull of branches along each axis; along the axis `stack` of the map they follow one another."""
    fields = [field for _, field in branches]
    first = fields[0]
    bound, folded = any(field.bound for field in fields), any(field.folded for field in fields)
    if any(len(field.size) != len(first.size) for field in fields):
        return GLOBAL
    if not all(field.keeps_places for field in fields):
        if stretched:
            return GLOBAL
        size = tuple(map(max, zip(*(field.size for field in fields), strict=True)))
        return Field(size, bound=bound, folded=folded)
    if any(field.order != first.order for field in fields):
        return GLOBAL
    if stack is None and not stretched:
        widest = _widest(fields)
        if widest is not None:
            return replace(widest, parts=(), bound=bound)
    turns = zip(*(field.along() for field in fields), strict=True)
    places = zip(*(first.by_input_axis(shape) for shape, _ in branches), strict=True)
    axes = zip(first.in_order(range(len(first.size))), turns, places, first.by_input_axis(out), strict=True)
    found = [stacked(each, n) if axis == stack else hull(each, n, total) for axis, each, n, total in axes]
    return _of_turns(found, first.order, bound)


def _widest(fields: Sequence[Field]) -> Field | None:
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


def _stacked(branches: Sequence[Branch], out: Shape, axis: int) -> Field:
    """Maps one behind the other along one of their axes."""
    if any(field.is_global for _, field in branches):
        return GLOBAL
    return _of_axes(branches, out, axis, False)


def _misaligned(node: Node, fields: Sequence[Field]) -> Misalignment | None:
    """Are effective strides or the centres of fields unequal?

    Neither is of a branch that is stretched over an axis, nor where places are out of order.
    """
    first = fields[0]
    windows = node.facts.windows
    others = [(field, source) for field, source in zip(fields, node.inputs, strict=False) if field != first]
    if not others or any(not f.keeps_places or f.order != first.order or f.size == () for f in fields):
        return None
    if any(len(field.size) != len(first.size) for field in fields):
        return None
    if windows is Reach.SAME and any(shape[1:] != node.shape[1:] for shape in node.facts.inputs):
        return None
    if _widest(fields) is not None:
        return None
    left_out = windows.axis if isinstance(windows, Stacked) else None
    for field, source in others:
        for axis, reason in unaligned(first.along(), field.along()):
            if left_out is None or first.in_order(range(len(first.size)))[axis] != left_out:
                return Misalignment(node, (node.inputs[0], source), axis, reason)
    return None


# --- Channels that differ -----------------------------------------------------------------------------


def _by_channels(node: Node, fields: Sequence[Field], together: Field) -> Field:
    """The field of a layer whose channels do not all see the same. `together` is their hull, if all count."""
    facts = node.facts
    sources: list[tuple[int, Field]] = []
    inputs: list[Channels] = []
    for index, field in enumerate(fields):
        known: dict[int, Labels] = {id(None): NOTHING}
        runs = []
        for count, part in field.parts or ((facts.inputs[index][0], field),):
            if part is not None and id(part) not in known:
                known[id(part)] = frozenset({len(sources)})
                sources.append((index, part))
            runs.append((count, known[id(part)]))
        inputs.append(tuple(runs))
    found = node.layer.channels(inputs, facts)
    if found is None:
        return replace(together, parts=(), bound=True) if together.size else together
    by_labels: dict[Labels, Field | None] = {NOTHING: None}
    for _, labels in found:
        if labels not in by_labels:
            at = sorted(labels)
            by_labels[labels] = _combined(
                facts, [(facts.inputs[i], f) for i, f in map(sources.__getitem__, at)]
            )
    if not any(labels for _, labels in found):
        return replace(together, parts=(), bound=True)  # padding alone, which sees nothing
    different = [part for part in by_labels.values() if part is not None]
    if len(NOTHING.union(*by_labels)) < len(sources):  # some channels have been left out
        together = _joined([(facts.output, part) for part in different], facts.output)
    if len(by_labels) == 2 and len(different) == len(found):  # all channels are alike
        return replace(together, parts=()) if together.parts else together
    return replace(together, parts=tuple((count, by_labels[labels]) for count, labels in found))


def _told_apart(network: Network) -> set[int]:
    """The nodes whose channels have to be told apart: what leaves channels out, and all that leads there."""
    found: set[int] = set()
    for node in reversed(network.nodes):
        if node.index in found or node.layer.leaves_out_channels():
            found.add(node.index)
            found.update(source.index for source in node.inputs)
    return found


def _mixes(node: Node, count: int) -> bool:
    """Does any output channel read several channels of its input?"""
    each: list[Channels] = []
    for shape in node.facts.inputs[:count]:
        channels = shape[0]
        if channels <= MAX_RUNS:
            each.append(tuple((1, frozenset({channel})) for channel in range(channels)))
        else:  # what mixes channels mixes the last one
            each.append(((channels - 1, frozenset({0})), (1, frozenset({1}))))
    found = node.layer.channels(each, node.facts)
    return found is None or any(len(labels) > 1 for _, labels in found)
