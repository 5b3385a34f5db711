"""Receptive fields, measured: which inputs reach a place, found by following every one of them.

A map is a row of cells along each axis; a cell knows the inputs it has come from. Layers are followed
by their definitions, on rows of finite length; cells that padding or the end of a map has reached are
left out, so that what remains is the field of an interior value.
"""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Iterable
from fractions import Fraction
from random import Random
from typing import Any, NamedTuple

import oracle
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from archcalc import NetworkBuilder, load, loads
from archcalc.diagnostics import ArchError
from archcalc.layers import KINDS
from archcalc.network import Node
from archcalc.profile import Profile, analyze
from archcalc.quantities import QUANTITIES, field_fold
from archcalc.quantities.receptive_field import Field
from archcalc.report.explain import explain
from archcalc.verify.prove import verify


class Cell(NamedTuple):
    """The inputs that a value has come from, a bit each, and whether nothing but inputs has."""

    inputs: int
    interior: bool = True

    @property
    def first(self) -> int:
        return (self.inputs & -self.inputs).bit_length() - 1

    @property
    def last(self) -> int:
        return self.inputs.bit_length() - 1


EDGE = Cell(0, False)
Row = list[Cell]


def union(cells: Iterable[Cell]) -> Cell:
    inputs, interior = 0, True
    for cell in cells:
        inputs |= cell.inputs
        interior &= cell.interior
    return Cell(inputs, interior)


def at(row: Row, place: int) -> Cell:
    return row[place] if 0 <= place < len(row) else EDGE


def slide(row: Row, k: int, s: int, before: int, after: int, d: int = 1) -> Row:
    """A sliding window."""
    cells = [EDGE] * before + row + [EDGE] * after
    return [union(cells[start + tap * d] for tap in range(k)) for start in oracle.starts(len(cells), k, s, d)]


def spread(row: Row, k: int, s: int, p: int, extra: int = 0, d: int = 1) -> Row:
    """A transposed window: every cell is added to `k` places, `d` apart. What lies beyond the ends would
    have been added too."""
    beyond = (k * d) // s + 1
    stamps: dict[int, list[Cell]] = {}
    for place in range(-beyond, len(row) + beyond):
        for tap in range(k):
            stamps.setdefault(place * s + tap * d, []).append(at(row, place))
    length = (len(row) - 1) * s + d * (k - 1) + 1 + extra
    return [union(stamps.get(place, [])) for place in range(p, length - p)]


def copy(row: Row, scale: Fraction, length: int) -> Row:
    """Upsampling to the nearest."""
    return [at(row, math.floor(place / scale)) for place in range(length)]


def interpolate(row: Row, scale: Fraction, length: int) -> Row:
    """Upsampling between the two nearest, in the middle of which a value may lie on one."""
    cells = []
    for place in range(length):
        source = (place + Fraction(1, 2)) / scale - Fraction(1, 2)
        left = math.floor(source)
        cells.append(union([at(row, left)] + [at(row, left + 1)] * (source > left)))
    return cells


def copy_exact(row: Row, scale: Fraction, length: int) -> Row:
    """Upsampling to the nearest, as seen from the middle of each place."""
    return [at(row, math.floor((place + Fraction(1, 2)) / scale)) for place in range(length)]


def interpolate_four(row: Row, scale: Fraction, length: int) -> Row:
    """Cubic upsampling: two cells on each side."""
    cells = []
    for place in range(length):
        left = math.floor((place + Fraction(1, 2)) / scale - Fraction(1, 2))
        cells.append(union(at(row, left + tap) for tap in (-1, 0, 1, 2)))
    return cells


FOLLOWED = {
    "nearest": copy,
    "nearest_exact": copy_exact,
    "bilinear": interpolate,
    "bicubic": interpolate_four,
}


def parts(row: Row, count: int) -> Row:
    """An adaptive pool: each place reads what its part of the map touches."""
    n = len(row)
    return [union(row[i * n // count : -(-(i + 1) * n // count)]) for i in range(count)]


def shift(row: Row, before: int, after: int) -> Row:
    """Padding, or cropping where negative."""
    cells = [EDGE] * before + row if before >= 0 else row[-before:]
    return cells + [EDGE] * after if after >= 0 else cells[:after]


def inputs(n: int) -> Row:
    return [Cell(1 << place) for place in range(n)]


class Built:
    """A network under construction, and the rows of cells of its tensors, along both axes."""

    def __init__(self, *size: int) -> None:
        self.build = NetworkBuilder("measured")
        self.node = self.build.input((2, *size))
        self.rows: list[Row] = [inputs(n) for n in size]
        self.turn = 1
        """Places after which fields come again, or a multiple of it."""

    def add(self, kind: str, follow: Callable[[int, Row], Row], *args: Any, **named: Any) -> None:
        self.node = self.build.add(KINDS[kind](*args, **named), self.node)
        self.rows = [follow(axis, row) for axis, row in enumerate(self.rows)]
        assert self.node.shape[1:] == tuple(map(len, self.rows))

    def join(self, kind: str, branches: list[tuple[Node, list[Row]]]) -> None:
        self.node = self.build.add(KINDS[kind](), *(node for node, _ in branches))
        self.rows = [
            [union(cells) for cells in zip(*(rows[axis] for _, rows in branches), strict=True)]
            for axis in range(len(self.rows))
        ]

    def finish(self) -> Profile:
        return analyze(self.build.finish(self.node))

    def check(self) -> Profile:
        """Compare the field of the last tensor with what its cells have come from."""
        result = self.finish()
        field = result.entries[self.node.index].field
        for axis, row in enumerate(self.rows):
            assume(len(interior(row)) > 2 * self.turn)
            compare(field, axis, row, self.turn)
        return result


def interior(row: Row) -> list[int]:
    """The places that see inputs and nothing else."""
    return [place for place, cell in enumerate(row) if cell.interior and cell.inputs]


def compare(field: Field, axis: int, row: Row, turn: int) -> None:
    """A field against the cells of a row, of which a whole turn and more are interior."""
    places = interior(row)
    assert field.size[axis] == max(1 + row[place].last - row[place].first for place in places)
    stride = Fraction(field.stride[axis])
    for place in places:
        if at(row, place + turn).interior:
            assert row[place + turn].first - row[place].first == stride * turn
        if place % turn == 0:
            assert row[place].first == stride * place - field.padding[axis]


# --- Chains -----------------------------------------------------------------------------------------

KERNEL = st.integers(1, 4)


def pair(draw: Any, values: st.SearchStrategy[Any]) -> tuple[Any, Any]:
    return draw(values), draw(values)


def add_window(draw: Any, built: Built, most: int = 3) -> None:
    """A convolution or a pool, with a padding of some form."""
    kind = draw(st.sampled_from(["conv", "depthwise", "maxpool", "avgpool"]))
    k, s = pair(draw, KERNEL), pair(draw, st.integers(1, most))
    d = (1, 1) if kind == "avgpool" else pair(draw, st.integers(1, 3))
    spans = [dil * (kernel - 1) + 1 for kernel, dil in zip(k, d, strict=True)]
    how = draw(st.sampled_from(["numbers", "pairs", "same", "same_lower", "valid"]))
    padding: Any = how
    if how == "numbers":
        padding = tuple(draw(st.integers(0, span // 2)) for span in spans)
    elif how == "pairs":
        padding = tuple(pair(draw, st.integers(0, span // 2)) for span in spans)
    around = oracle.paddings(padding, [len(row) for row in built.rows], k, s, d)
    args = (2, k) if kind == "conv" else (k,)
    named = {"stride": s, "padding": padding} | ({"dilation": d} if kind != "avgpool" else {})
    built.add(kind, lambda axis, row: slide(row, k[axis], s[axis], *around[axis], d[axis]), *args, **named)


def add_transposed(draw: Any, built: Built, holes: bool = False) -> None:
    """With `holes`, dilated, or of a stride wider than the kernel, so that some places get nothing."""
    k, s = pair(draw, KERNEL), pair(draw, st.integers(1, 3))
    d = pair(draw, st.integers(1, 3)) if holes else (1, 1)
    if not holes:
        k = (max(k[0], s[0]), max(k[1], s[1]))
    p = tuple(draw(st.integers(0, kernel - 1)) for kernel in k)
    extra = tuple(draw(st.integers(0, stride - 1)) for stride in s)
    built.turn *= math.lcm(*s)
    built.add(
        "conv_transpose",
        lambda axis, row: spread(row, k[axis], s[axis], p[axis], extra[axis], d[axis]),
        2,
        k,
        stride=s,
        padding=p,
        output_padding=extra,
        dilation=d,
    )


def add_upsampling(draw: Any, built: Built) -> None:
    scales = pair(
        draw, st.sampled_from([Fraction(2), Fraction(3), Fraction(3, 2), Fraction(1, 2), Fraction(2, 3)])
    )
    mode = draw(st.sampled_from(sorted(FOLLOWED)))
    follow = FOLLOWED[mode]
    built.turn *= math.lcm(*(scale.numerator for scale in scales))
    built.add(
        "upsample",
        lambda axis, row: follow(row, scales[axis], math.floor(len(row) * scales[axis])),
        scale_factor=scales,
        mode=mode,
    )


def add_ends(draw: Any, built: Built) -> None:
    kind = draw(st.sampled_from(["pad", "crop", "slice"]))
    if kind == "pad":
        ends = pair(draw, st.tuples(st.integers(-3, 3), st.integers(-3, 3)))
        built.add("pad", lambda axis, row: shift(row, *ends[axis]), ends)
    elif kind == "crop":
        cut = pair(draw, st.integers(0, 5))
        size = tuple(len(row) - c for row, c in zip(built.rows, cut, strict=True))
        built.add("crop", lambda axis, row: shift(row, -(cut[axis] // 2), cut[axis] // 2 - cut[axis]), size)
    else:
        cut = pair(draw, st.integers(0, 4))
        end = len(built.rows[1]) - cut[1]
        follow = lambda axis, row: row[cut[0] : end] if axis else row  # noqa: E731
        built.add("slice", follow, cut[0], end, "width")


def add_elementwise(draw: Any, built: Built) -> None:
    kinds = ["relu", "bn", "softmax", "layer_scale", "mish", "exp", "log_softmax"]
    built.add(draw(st.sampled_from(kinds)), lambda axis, row: row)


def add_pixels(draw: Any, built: Built) -> None:
    """Places to channels or back, and a convolution that reads all these channels."""
    r = draw(st.integers(2, 3))
    if draw(st.booleans()):
        built.add("pointwise", lambda axis, row: row, r * r)
        built.add("pixel_shuffle", lambda axis, row: copy(row, Fraction(r), r * len(row)), r)
        built.turn *= r
    else:
        cut = tuple(len(row) // r * r for row in built.rows)
        built.add("crop", lambda axis, row: row[(len(row) - cut[axis]) // 2 :][: cut[axis]], cut)
        built.add("pixel_unshuffle", lambda axis, row: slide(row, r, r, 0, 0), r)
    built.add("pointwise", lambda axis, row: row, 2)


def add_gate(draw: Any, built: Built) -> None:
    """A reduction over the channels, or a gate, which halves the channels or the map."""
    how = draw(st.sampled_from(["reduce", "channels", "height"]))
    if how == "reduce":
        op = draw(st.sampled_from(["mean", "max"]))
        built.add("reduce", lambda axis, row: row, op, "channels")
        built.add("pointwise", lambda axis, row: row, 2)
        return
    half = len(built.rows[0]) // 2
    if how == "height":
        built.add("crop", lambda axis, row: row if axis else row[(len(row) - 2 * half) // 2 :][: 2 * half],
                  (2 * half, len(built.rows[1])))  # fmt: skip
    else:
        built.add("pointwise", lambda axis, row: row, 4)
    built.add(
        "glu", lambda axis, row: slide(row, 2, 1, 0, 0, half) if how == "height" and not axis else row, how
    )
    built.add("pointwise", lambda axis, row: row, 2)


STEPS = [
    add_window,
    add_window,
    add_transposed,
    add_upsampling,
    add_ends,
    add_elementwise,
    add_pixels,
    add_gate,
]

MEASURED = settings(
    deadline=None,
    max_examples=120,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@MEASURED
@given(st.data())
def test_chains(data: st.DataObject) -> None:
    built = Built(150, 190)
    for _ in range(data.draw(st.integers(1, 5))):
        assume(all(20 < len(row) < 400 for row in built.rows))
        data.draw(st.sampled_from(STEPS))(data.draw, built)
    built.check()


@MEASURED
@given(st.data())
def test_holes_of_transposed_kernels_count_as_seen(data: st.DataObject) -> None:
    """A dilated kernel spreads a value over places with holes between. The field is that of a kernel
    without holes: nothing that is seen lies outside."""
    built = Built(40, 50)
    add_transposed(data.draw, built, holes=True)
    if data.draw(st.booleans()):
        add_window(data.draw, built)
    field = built.finish().entries[built.node.index].field
    for axis, row in enumerate(built.rows):
        for place in interior(row):
            first, last = row[place].first, row[place].last
            assert 1 + last - first <= field.size[axis]
            if place % built.turn == 0:
                assert first >= field.stride[axis] * place - field.padding[axis]


@MEASURED
@given(st.integers(2, 60), st.integers(1, 40), st.integers(1, 60), st.integers(2, 40), st.integers(1, 4))
def test_adaptive_pools(height: int, rows: int, width: int, columns: int, kernel: int) -> None:
    """Uneven parts: every place is compared, as no place sees the edge."""
    built = Built(height, width)
    sizes = (rows, columns)
    built.add("adaptive_avgpool", lambda axis, row: parts(row, sizes[axis]), sizes)
    if kernel <= min(sizes):
        built.add("conv", lambda axis, row: slide(row, kernel, 1, 0, 0), 2, kernel)
    field = built.finish().entries[built.node.index].field
    for axis, (n, m) in enumerate(((height, rows), (width, columns))):
        row = built.rows[axis]
        assert field.stride[axis] == Fraction(n, m)
        assert field.padding[axis] == -row[0].first
        found = max(1 + cell.last - cell.first for cell in row)
        turn = m // math.gcd(n, m)
        assert field.size[axis] == found if len(row) >= turn else field.size[axis] >= found


def test_unpooling_sees_every_window_that_may_have_chosen_a_place() -> None:
    built = Built(40, 50)
    pool = built.build.add(KINDS["maxpool"]((3, 2), stride=(2, 3)), built.node)
    built.node, built.rows = pool, [slide(built.rows[0], 3, 2, 0, 0), slide(built.rows[1], 2, 3, 0, 0)]
    built.add("conv", lambda axis, row: slide(row, 3, 1, 1, 1), 2, 3, padding=1)
    built.node = built.build.add(KINDS["maxunpool"](pool), built.node, pool)
    built.rows = [spread(built.rows[0], 3, 2, 0), spread(built.rows[1], 2, 3, 0)]
    field = built.finish().entries[built.node.index].field
    for axis, row in enumerate(built.rows):
        compare(field, axis, row, 6)


# --- Graphs -----------------------------------------------------------------------------------------


def keep_size(draw: Any, built: Built) -> None:
    """Layers that leave the size of a map as it is, and may or may not shift what its places see."""
    how = draw(st.sampled_from(["conv", "pool", "shift", "down and up", "nothing"]))
    channels, *sizes = built.node.shape
    if how == "conv":
        k, d = pair(draw, KERNEL), pair(draw, st.integers(1, 2))
        around = oracle.paddings("same", sizes, k, 1, d)
        follow = lambda axis, row: slide(row, k[axis], 1, *around[axis], d[axis])  # noqa: E731
        built.add("conv", follow, channels, k, padding="same", dilation=d)
    elif how == "pool":
        built.add("maxpool", lambda axis, row: slide(row, 3, 1, 1, 1), 3, 1, 1)
    elif how == "shift":
        by = pair(draw, st.integers(-1, 1))
        built.add("pad", lambda axis, row: shift(row, by[axis], -by[axis]), tuple((b, -b) for b in by))
    elif how == "down and up":
        assume(all(n % 2 == 0 for n in sizes))
        built.add("avgpool", lambda axis, row: slide(row, 2, 2, 0, 0), 2)
        built.turn = math.lcm(built.turn, 2)
        mode = draw(st.sampled_from([*FOLLOWED, "transposed"]))
        if mode == "transposed":
            built.add("conv_transpose", lambda axis, row: spread(row, 4, 2, 1), channels, 4, 2, 1)
        else:
            follow = FOLLOWED[mode]
            grow = lambda axis, row: follow(row, Fraction(2), 2 * len(row))  # noqa: E731
            built.add("upsample", grow, scale_factor=2, mode=mode)


def are_aligned(rows: list[Row], turn: int) -> bool:
    """Do the fields of several branches have the same centers? Where they take turns, on average."""
    for start in range(0, len(rows[0]) - turn, turn):
        fields = [row[start : start + turn] for row in rows]
        if all(cell.interior and cell.inputs for field in fields for cell in field):
            return len({sum(cell.first + cell.last for cell in field) for field in fields}) == 1
    assume(False)
    return False


@MEASURED
@given(st.data())
def test_graphs(data: st.DataObject) -> None:
    """Forks and joins: the field is the hull of the branches', and what is not aligned is reported."""
    built = Built(96, 80)
    if data.draw(st.booleans()):
        add_window(data.draw, built, most=2)
    unaligned = []
    for _ in range(data.draw(st.integers(1, 2))):
        start, rows = built.node, built.rows
        branches = []
        for _ in range(data.draw(st.integers(2, 3))):
            built.node, built.rows = start, rows
            for _ in range(data.draw(st.integers(0, 2))):
                keep_size(data.draw, built)
            branches.append((built.node, built.rows))
        built.join(data.draw(st.sampled_from(["add", "concat"])), branches)
        along = [[branch[axis] for _, branch in branches] for axis in range(2)]
        if not all(are_aligned(branch_rows, built.turn) for branch_rows in along):
            unaligned.append(built.node)
    result = built.check()
    assert [found.node for found in result.misalignments] == unaligned


def two_branches(
    left: list[tuple[str, tuple[Any, ...]]], right: list[tuple[str, tuple[Any, ...]]]
) -> Profile:
    """A join of two chains that start at one input."""
    build = NetworkBuilder("twins")
    source = build.input((2, 32, 24))
    ends = []
    for name, chain in (("left", left), ("right", right)):
        node = source
        for number, (kind, args) in enumerate(chain):
            node = build.add(KINDS[kind](*args), node, name=f"{name}{number}")
        ends.append(node)
    node = build.add(KINDS["concat"](), *ends, name="both")
    return analyze(build.finish(node))


TWINS = [
    # a 3x3 with padding 1 lies over a 5x5 with padding 2, but not over one without
    (
        [("conv", (2, 3, 1, 1))],
        [("conv", (2, 5, 1, 2))],
        [("conv", (2, 5, 1, ((0, 4), (2, 2))))],
        "centers 2 pixels apart",
    ),
    # one pixel is not several
    (
        [("conv", (2, 3, 1, 1))],
        [("conv", (2, 5, 1, 2))],
        [("conv", (2, 3, 1, ((0, 2), (1, 1))))],
        "centers 1 pixel apart",
    ),
    # an even kernel cannot be centred
    (
        [("maxpool", (3, 1, 1))],
        [("conv", (2, 3, 1, "same"))],
        [("conv", (2, 2, 1, "same"))],
        "centers 1/2 pixels apart",
    ),
    # the shortcut of a residual block must stride as its main branch does: cropping keeps the size only
    (
        [("conv", (2, 3, 2, 1))],
        [("conv", (2, 1, 2))],
        [("crop", ((16, 12),))],
        "effective strides 2 and 1",
    ),
    # an even pool shifts by half a pixel against a strided 1x1, as in DenseNet's transition
    (
        [("conv", (2, 4, 2, 1))],
        [("avgpool", (2, 2))],
        [("conv", (2, 1, 2))],
        "centers 1/2 pixels apart",
    ),
    # down and up again: copies are centred on what they are copied from, a kernel of 3 is not
    (
        [("conv", (2, 3, 1, 1))],
        [("avgpool", (2, 2)), ("upsample", (None, 2))],
        [("avgpool", (2, 2)), ("conv_transpose", (2, 3, 2, 1, 1))],
        "centers 1/2 pixels apart",
    ),
    (
        [("conv", (2, 3, 1, 1))],
        [("avgpool", (2, 2)), ("upsample", (None, 2, "bilinear"))],
        [("avgpool", (2, 2)), ("pad", (((1, -1), (0, 0)),)), ("upsample", (None, 2, "bilinear"))],
        "centers 2 pixels apart",
    ),
]


@pytest.mark.parametrize(
    ("left", "aligned", "misaligned", "reason"), TWINS, ids=lambda value: str(value)[:40]
)
def test_misaligned_twins(left: Any, aligned: Any, misaligned: Any, reason: str) -> None:
    assert two_branches(left, aligned).misalignments == []
    (found,) = two_branches(left, misaligned).misalignments
    assert found.node.name == "both"
    assert [branch.name for branch in found.branches] == [
        f"left{len(left) - 1}",
        f"right{len(misaligned) - 1}",
    ]
    assert str(found) == f"`both` joins `{found.branches[0].name}` and `{found.branches[1].name}`: {reason}"
    assert found.axis == 0


def test_a_branch_that_is_stretched_over_an_axis() -> None:
    """Place (h, w) sees its own value, and through the gate the whole row h: 1 by 12."""
    build = NetworkBuilder("gate")
    source = build.input((2, 8, 12))
    column = build.add(KINDS["conv"](2, (1, 12)), source)
    gate = build.add(KINDS["mul"](), source, column)
    field = analyze(build.finish(gate)).entries[gate.index].field
    assert (field.size, field.stride) == ((1, 12), ())


# --- By hand, and published -------------------------------------------------------------------------


def field_after(*layers: tuple[str, tuple[Any, ...]], size: tuple[int, ...] = (64, 64)) -> Field:
    build = NetworkBuilder("chain")
    node = build.input((4, *size))
    for kind, args in layers:
        node = build.add(KINDS[kind](*args), node)
    return analyze(build.finish(node)).entries[node.index].field


def test_by_hand() -> None:
    # two 3x3 see 5x5; a stride doubles what comes after it
    assert field_after(("conv", (4, 3)), ("conv", (4, 3))) == Field((5, 5), (1, 1), (0, 0))
    assert field_after(("conv", (4, 3, 2, 1)), ("conv", (4, 3, 1, 1))) == Field((7, 7), (2, 2), (3, 3))
    # rows and columns apart: 1 + 2*1 by 1 + 4*2, then 3 rows of stride 2 by 2 columns of stride 1
    both = field_after(("conv", (4, (3, 5), (2, 1), 0, (1, 2))), ("maxpool", ((3, 2), 1)))
    assert both == Field((7, 10), (2, 1), (0, 0))
    # doubled: 3 places lie over 2 inputs, wherever they start; 4 places over 2 or 3
    assert field_after(("upsample", (None, 2)), ("conv", (4, 3))).size == (2, 2)
    assert field_after(("upsample", (None, 2)), ("conv", (4, 4))).size == (3, 3)
    assert field_after(("upsample", (None, 2)), ("conv", (4, 3))).stride == (Fraction(1, 2), Fraction(1, 2))
    # a crop begins inside the input
    assert field_after(("crop", (60,))).padding == (-2, -2)


@pytest.mark.parametrize(
    "layers",
    [
        [("global_avgpool", ())],
        [("adaptive_avgpool", (1,))],
        [("flatten", ()), ("fc", (3,))],
        [("group_norm", (2,))],
        [("flatten", ()), ("reshape", ((4, 64, 64),)), ("conv", (4, 3))],
        [("upsample", ((1009, 1013),)), ("conv", (4, 3))],  # too long a turn to be followed
    ],
    ids=lambda layers: layers[-1][0],
)
def test_global(layers: list[tuple[str, tuple[Any, ...]]]) -> None:
    field = field_after(*layers)
    assert field.is_global
    assert field == Field()


def test_a_softmax_along_an_axis_sees_the_row_only() -> None:
    field = field_after(("conv", (3, (3, 5))), ("softmax", ("height",)))
    assert not field.is_global
    assert field.size[1] == 5


def test_rearranged_places_keep_their_size_only() -> None:
    folded = Field((3, 3), folded=True)  # channels have been places
    assert field_after(("conv", (4, 3)), ("flatten", ())) == folded
    assert field_after(("conv", (4, 3)), ("permute", ((2, 0, 1),)), ("relu", ())) == folded
    assert field_after(("conv", (4, 3)), ("reshape", ((4, 3844),)), ("pointwise", (4,))) == Field((3, 3))
    # the columns have become channels, and are all added up
    assert field_after(("permute", ((2, 0, 1),)), ("pointwise", (4,))).is_global
    assert field_after(("permute", ((2, 0, 1),)), ("softmax", ())).is_global
    assert field_after(("flatten", ()), ("softmax", ())).is_global


# Size, stride and padding. The sizes are those of Araujo, Norris & Sim 2019 (google-research/receptive_field)
# but for v1.5. Where all layers are centred, as in ResNet and MobileNet, half the size is padding; VGG and
# Inception v3 are off centre by their even pools and their stem without padding, and as published.
PUBLISHED = [
    ("vgg16", 212, 32, 90),
    ("resnet50", 483, 32, (483 - 1) // 2),
    ("resnet50_v1_5", 427, 32, (427 - 1) // 2),
    ("resnet101", 1027, 32, (1027 - 1) // 2),
    ("resnet152", 1507, 32, (1507 - 1) // 2),
    ("mobilenet_v1", 315, 32, (315 - 1) // 2),
    ("inception_v3", 1311, 32, 618),
]


@pytest.mark.parametrize(("name", "size", "stride", "padding"), PUBLISHED, ids=lambda value: str(value))
def test_published(name: str, size: int, stride: int, padding: int) -> None:
    result = analyze(load(name))
    field = [layer.field for layer in result.layers if layer.field.stride][-1]
    assert (field.size, field.stride, field.padding) == ((size,) * 2, (stride,) * 2, (padding,) * 2)
    assert result.misalignments == []


def test_unet_skips_are_aligned() -> None:
    """Both paths of U-Net are centred on one another, for all their cropping and doubling."""
    result = analyze(load("unet"))
    assert result.misalignments == []
    field = result.entries[result.network.outputs["output"].index].field
    assert field.stride == (1, 1)


# --- Channels, and places that are moved ------------------------------------------------------------

TWO = "concat(conv(1, 5, padding=2), conv(1, 1))"  # the first channel sees 5x5, the second 1x1
SEEN = {
    # channels of a branch see what the branch sees
    f"input(1x12x12)\n {TWO} -> slice(0, 1)": (5, 5),
    f"input(1x12x12)\n {TWO} -> slice(1, 2)": (1, 1),
    f"input(1x12x12)\n {TWO} -> relu -> bn -> maxpool(2) -> slice(1, 2)": (2, 2),
    f'input(1x12x12)\n {TWO} -> pad([-1, 0], dim="channels")': (1, 1),
    f'input(1x12x12)\n {TWO} -> pad([0, -1], dim="channels")': (5, 5),
    # what reads the second channel alone, and 3 places of it
    f"input(1x12x12)\n {TWO} -> conv(1, 3, connections=[[1]])": (3, 3),
    f"input(1x12x12)\n {TWO} -> conv(2, 3, connections=[[0, 1], [1]]) -> slice(1, 2)": (3, 3),
    f"input(1x12x12)\n {TWO} -> conv(2, 3, groups=2) -> slice(1, 2)": (3, 3),
    f"input(1x12x12)\n {TWO} -> conv(2, 3) -> slice(1, 2)": (7, 7),
    f"input(1x12x12)\n {TWO} -> depthwise(3, multiplier=2) -> slice(2, 4)": (3, 3),
    f"input(1x12x12)\n {TWO} -> depthwise(3, multiplier=2) -> slice(1, 3)": (7, 7),
    # two channels of each branch, in turns
    "input(2x12x12)\n concat(conv(2, 5, padding=2), identity) -> channel_shuffle(2) -> slice(1, 2)": (1, 1),
    # the norm of channel 1 reads channels 0 to 2, that of channel 2 also channel 3, which sees 3x3
    'input(1x12x12)\n pad([3, 0], dim="channels")\n a = slice(1, 4)\n concat(a, conv(1, 3, padding=1)) -> '
    "lrn(3) -> slice(0, 2)": (1, 1),
    'input(1x12x12)\n pad([3, 0], dim="channels")\n a = slice(1, 4)\n concat(a, conv(1, 3, padding=1)) -> '
    "lrn(3) -> slice(1, 3)": (3, 3),
    f"input(1x12x12)\n {TWO} -> flatten -> slice(144, 288)": (1, 1),
    # a branch that sees everything is one of two
    "input(1x12x12)\n s = size\n concat(global_avgpool -> upsample(size=s), conv(1, 3, padding=1))"
    " -> slice(1, 2)": (3, 3),
    # rows and columns change places: 3 rows of the first, and 3 columns by the second
    "input(1x20x20)\n conv(2, 3x1) -> permute([0, 2, 1]) -> conv(2, 3x1)": (3, 3),
    "input(1x20x22)\n conv(2, 3x1) -> permute([0, 2, 1]) -> conv(2, 5x1, stride=2) -> conv(1, 1x2)": (5, 5),
    "input(1x9x8x7)\n permute([0, 2, 3, 1]) -> conv(1, [2, 1, 4])": (4, 2, 1),
    # at the seam a window reads the last rows of one and the first of the other, which are 12 rows apart
    'input(1x12x12)\n x = identity\n concat(x, x, dim="height") -> conv(1, 5)': (12, 5),
    # two halves of a map, put together again
    """input(1x12x12)
       concat(slice(0, 6, "height"), slice(6, 12, "height"), dim="height") -> conv(1, 5)""": (5, 5),
    # the pool of 2 sees rows -1 to 10 and 9 to 20 with its padding, and no place of the others lies outside
    """input(1x20x20)
       conv(2, 3, padding=1)
       s = size
       concat(identity,
         adaptive_avgpool(2) -> conv(1, 1) -> upsample(size=s, mode="bilinear"),
         adaptive_avgpool(3) -> conv(1, 1) -> upsample(size=s, mode="bilinear"),
         adaptive_avgpool(6) -> conv(1, 1) -> upsample(size=s, mode="bilinear"))""": (22, 22),
    # all of a row, with the padding of 1 at both ends of its 12 values
    'input(2x8x12)\n conv(2, 3, padding=1) -> softmax("width")': (3, 14),
}


@pytest.mark.parametrize("body", SEEN)
def test_seen_by_hand(body: str) -> None:
    network = loads(f"net n {{\n {body}\n}}")
    field = analyze(network).entries[network.outputs["output"].index].field
    assert field.size == SEEN[body]
    assert not field.at_most
    assert verify(network).held


def test_what_is_padding_alone_is_a_bound() -> None:
    network = loads('net n { input(1x9x9)\n conv(1, 3) -> pad([2, 0], dim="channels") -> slice(0, 2) }')
    field = analyze(network).entries[network.outputs["output"].index].field
    assert (field.size, field.at_most) == ((3, 3), True)
    assert "receptive_field = at most 3×3 " in explain(analyze(network), "slice1", "receptive_field")
    assert verify(network).held


def test_where_an_excited_network_sees_everything() -> None:
    """A block with a gate, by hand: 3x3 before it, and from the product on every place sees everything."""
    profile = analyze(loads(
        "net n { input(3x9x9)\n conv(4, 3, padding=1)\n"
        " mul(identity, global_avgpool -> conv(4, 1) -> sigmoid)\n conv(4, 3) -> flatten -> fc(2) }"
    ))  # fmt: skip
    name, value, words = QUANTITIES["receptive_field"].total(profile, str)
    assert (name, value, words) == (
        "receptive field",
        "global",
        "from `mul1` on; before that 3×3, at `conv1`",
    )


WINDOWED = """
net n {
  input(3x8x8)
  x: conv(4, 2, stride=2)
  q = reshape([4, 2, 2, 2, 2]) -> permute([1, 3, 0, 2, 4]) -> reshape([4, 4, 4])
  b = parameter([1, 4, 4])
  add(matmul(q, q -> transpose), b) -> softmax("width")
  matmul(identity, q) -> reshape([2, 2, 4, 2, 2]) -> permute([2, 0, 3, 1, 4]) -> reshape([4, 4, 4])
  conv(2, 1)
}"""
"""Windows of 2x2 places on a map of 4x4, whose places see 2x2 each."""


def test_windows_that_are_split_off_see_no_more_than_before() -> None:
    """Values only move until they meet in a product. A parameter in between is not where fields begin."""
    profile = analyze(loads(WINDOWED))
    sizes = {layer.name: layer.receptive_field for layer in profile}
    moved = ["reshape1", "permute1", "reshape2", "transpose1"]
    assert {name: sizes[name] for name in moved} == dict.fromkeys(moved, (2, 2))
    assert sizes["matmul1"] == "global"
    name, value, words = QUANTITIES["receptive_field"].total(profile, str)
    assert (name, value) == ("receptive field", "global")
    assert words.startswith("from `matmul1` on; before that 2×2")


def test_a_field_within_windows_is_called_a_bound() -> None:
    """A place of a window sees 4x4 of the input of 8x8, and archcalc does not follow that."""
    text = explain(analyze(loads(WINDOWED)), "matmul2", "receptive_field")
    assert "global   (at most the whole input: positions are not tracked through this rearrangement)" in text
    plain = analyze(loads("net n { input(3x8x8)\n conv(4, 3) -> global_avgpool -> flatten -> fc(2) }"))
    for name in ("global_avgpool1", "fc1"):
        assert "global   (the whole input)" in explain(plain, name, "receptive_field")


PIECES = [
    "conv({c}, {k}x{j}, padding=1)",
    "conv(4, 3, padding=1, groups=2)",
    "conv(3, {k}, padding=1, connections=[[0], [1], [0, 1]])",
    "conv_transpose(2, {k}, 2)",
    "depthwise(3, padding=1, multiplier=2)",
    "maxpool(2, {s})",
    "adaptive_avgpool({k}x{m})",
    "lrn(3)",
    'softmax("width")',
    'concat(identity, conv({c}, {k}, padding="same"))',
    'concat(conv({c}, 3, padding="same"), maxpool(3, 1, 1))',
    "concat(relu, pad([[1, -1], [0, 0]]), avgpool(3, 1, 1))",
    "s = size\n concat(identity, global_avgpool -> upsample(size=s))",
    's = size\n concat(identity, adaptive_avgpool({k}) -> upsample(size=s, mode="bilinear"))',
    'a = identity\n concat(a, slice(0, 4, "height"), dim="height")',
    'concat(relu, conv(2, 1), dim="width")',
    'c = channels\n add(identity, conv(c, {k}, padding="same"))',
    "mul(identity, conv(1, 1))",
    "c = channels\n mul(identity, conv(c, 1x{w}))",
    *["slice({n}, {m})"] * 4,
    'pad([{n}, -1], dim="channels")',
    "crop(6)",
    "channel_shuffle(2)",
    "permute([0, 2, 1])",
    'upsample(scale_factor=3/2, mode="bilinear")',
    "upsample(scale_factor=1.15)",
    "upsample(scale_factor=[1, 2])",
    'upsample(scale_factor=4/3, mode="bicubic")',
    'upsample(scale_factor=5/4, mode="nearest_exact")',
    'upsample(size=[{w}, 13], mode="bilinear", align_corners=true)',
    'upsample(scale_factor=[2, 1], mode="bicubic", align_corners=true)',
    'pad({k}, mode="reflect")',
    'pad([{m}, -{n}], dim="width", mode="replicate")',
    'pad([{s}, {k}], dim="height", mode="circular")',
    "pad({s}, value={k})",
    "avgpool({s}, 1, dilation={k})",
]


def drawn_network(seed: int) -> str:
    random = Random(seed)
    lines = [f"input({random.choice([1, 2, 4])}x{random.randint(8, 20)}x{random.randint(8, 20)})"]
    for _ in range(random.randint(3, 9)):
        for _ in range(5):  # what does not fit is drawn again
            n = random.randint(0, 3)
            numbers = {"n": n, "m": n + random.randint(1, 3), "c": random.choice([1, 2, 4])}
            numbers |= {"k": random.randint(1, 5), "j": random.randint(1, 4), "s": random.randint(1, 2)}
            numbers["w"] = random.randint(8, 20)
            line = random.choice(PIECES).format_map(numbers)
            try:
                loads("net n {\n " + "\n ".join([*lines, line]) + "\n}")
            except ArchError:
                continue
            lines.append(line)
            break
    return "net n {\n " + "\n ".join(lines) + "\n}"


def test_what_cannot_be_told_apart_is_a_bound() -> None:
    """More channels, or more branches, than are kept apart."""
    many = ", ".join(["conv(1, 3, padding=1)"] + ["relu"] * field_fold.MOST_PARTS)
    bodies = [
        f"input(1x9x9)\n concat({many}) -> slice(2, 4)",
        "input(70000x3x3)\n concat(depthwise(3, padding=1), relu) -> slice(70001, 70002)",
    ]
    for body in bodies:
        network = loads(f"net n {{\n {body}\n}}")
        field = analyze(network).entries[network.outputs["output"].index].field
        assert (field.size, field.at_most) == ((3, 3), True)


def test_places_that_have_become_channels_are_mixed_by_channels() -> None:
    """The norm of a vector reads neighboring values, which have been neighboring places."""
    network = loads(
        "net n { input(1x9x9)\n concat(relu, conv(1, 3, padding=1)) -> flatten -> lrn(3) -> slice(0, 9) }"
    )
    assert analyze(network).entries[network.outputs["output"].index].field.is_global


STACKED_PADDING = """net n { input(2x9x12)
    pad([1, -1], dim="channels")
    concat(relu, conv(2, 1), dim="width")
    slice(0, 1) }"""


def test_channels_of_padding_in_a_stack_are_bounds() -> None:
    """The first channel has zeros in the left half and sees the input in the right half."""
    network = loads(STACKED_PADDING)
    profile = analyze(network)
    field = profile.entries[network.outputs["output"].index].field
    assert field.at_most
    assert "receptive fields of 2 layers are upper bounds, from `concat1` on" in str(profile)
    bounds = [layer["name"] for layer in profile.to_dict()["layers"] if "receptive_field_at_most" in layer]
    assert bounds == ["concat1", "slice1"]
    assert verify(network).held


@pytest.mark.parametrize("block", range(8))
def test_drawn_networks_hold(block: int) -> None:
    """Slices of joins, and places that are moved: NaNs in the input reach what the fields say."""
    for seed in range(25 * block, 25 * block + 25):
        text = drawn_network(seed)
        verdicts = verify(loads(text)).verdicts
        assert all(verdict.held for verdict in verdicts), (text, verdicts)


def test_fields_of_long_turns_take_little_memory() -> None:
    """Convolutions behind an enlargement by 1000/999 share the thousand fields of a turn."""
    build = NetworkBuilder("long")
    node = build.input((1, 20))
    node = build.add(KINDS["upsample"](scale_factor=Fraction(1000, 999)), node)
    for _ in range(200):
        node = build.add(KINDS["conv"](1, 3, padding=1), node)
    network = build.finish(node)
    tracemalloc.start()
    field = analyze(network).entries[node.index].field
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 200 convolutions see 401 copies, of which 999 of 1,000 are of values of their own
    assert field.size[0] in (401 * 999 // 1000, 401 * 999 // 1000 + 1)
    assert peak < 3_000_000  # with a turn of its own for each layer, more than 12 MB


def test_too_many_turns_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enlargements by turns make new fields all the time; behind too many, the whole input is seen."""
    monkeypatch.setattr(field_fold, "MOST_KEPT", 50_000)
    build = NetworkBuilder("many")
    source = node = build.input((1, 40))
    nodes = []
    for _ in range(80):
        up = build.add(KINDS["upsample"](scale_factor=Fraction(1000, 999)), source)
        node = build.add(KINDS["add"](), node, up)
        nodes.append(node)
    profile = analyze(build.finish(node))
    seen = [profile.entries[each.index].field.is_global for each in nodes]
    # each enlargement has a turn of a thousand fields
    assert seen == [False] * seen.index(True) + [True] * (80 - seen.index(True))
    assert 48 <= seen.index(True) <= 52
