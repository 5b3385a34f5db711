"""Proofs of formulas of several parameters: what is claimed equals networks that are measured one by one."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import archcalc
from archcalc.sweeping import formulas, remainders
from archcalc.sweeping.algebra import Algebra
from archcalc.sweeping.boxes import Condition, largest_box
from archcalc.sweeping.closed import ClosedForm, closed_form
from archcalc.sweeping.engine import Engine
from archcalc.sweeping.expressions import Polynomial
from archcalc.sweeping.plan import SweepPlan, plan
from archcalc.sweeping.proof import FormProof, prove
from archcalc.sweeping.signs import never_negative, value_at
from archcalc.sweeping.space import parse_dimension


class Tried:
    """The formula of a figure, its proof, and the figures of networks measured one by one."""

    def __init__(self, net: str, sets: str, quantity: str = "macs") -> None:
        dimensions = [parse_dimension(text, "--set") for text in sets.split()]
        self.plan: SweepPlan = plan(net, dimensions, [quantity])
        self.engine: Engine = self.plan.engine()
        self.engine.evaluate([np.array([d.count - 1]) for d in self.plan.space.dimensions])
        self.figure: Polynomial = self.engine.endings[-1].figures[0]
        self.proof: FormProof = prove(self.plan, self.engine, self.figure)

    @property
    def algebra(self) -> Algebra:
        return self.engine.shared.algebra

    def shown(self) -> dict[str, tuple[Any, Any]]:
        sides = zip(self.plan.space.dimensions, self.proof.box, strict=True)
        return {d.name: (d.value(first), d.value(last)) for d, (first, last) in sides}

    def formula(self, digits: tuple[int, ...], figure: Polynomial | None = None) -> int:
        """The value of the formula or of another one: parameters are the first atoms, in order."""
        known = {
            axis: int(Fraction(dimension.value(digit)) * dimension.divisor)
            for axis, (dimension, digit) in enumerate(zip(self.plan.space.dimensions, digits, strict=True))
        }
        return self.algebra.value(self.figure if figure is None else figure, known)

    def measured(self, digits: tuple[int, ...]) -> int:
        values = {d.name: d.value(n) for d, n in zip(self.plan.space.dimensions, digits, strict=True)}
        return int(self.plan.measure(values)[0])

    def points(self, count: int, seed: int = 0) -> list[tuple[int, ...]]:
        """The corners of the proved box, and random points of any magnitude."""
        draw = random.Random(seed)
        inside = [
            tuple(
                min(last, first + draw.randrange(2 ** draw.randrange(1, (last - first).bit_length() + 2)))
                for first, last in self.proof.box
            )
            for _ in range(count)
        ]
        return [*product(*self.proof.box), *inside]

    def is_right(self, count: int) -> bool:
        return all(self.formula(point) == self.measured(point) for point in self.points(count))


def form(net: str, sets: str, quantity: str = "macs") -> ClosedForm:
    return closed_form(plan(net, [parse_dimension(text, "--set") for text in sets.split()], [quantity]))


# --- Built-in networks -----------------------------------------------------------------------------------

WIDE = 1_000_000_000
WIDTHS = "width=0.05..2:0.05"
SHIPPED: dict[tuple[str, str, str], dict[str, tuple[Any, Any]]] = {
    ("mobilenet_v1", f"{WIDTHS} resolution=1..4096", "macs"): {
        "width": (Fraction("0.15"), Fraction("976562.5")), "resolution": (5, WIDE),
    },
    ("mobilenet_v1", f"{WIDTHS} resolution=1..512 classes=1..99", "macs"): {
        "width": (Fraction("0.15"), Fraction("976562.5")), "resolution": (5, WIDE), "classes": (1, WIDE),
    },
    ("mobilenet_v1", "width=0.01..2 classes=1..4096", "params"): {
        "width": (Fraction("0.13"), Fraction("976562.5")), "classes": (1, WIDE),
    },
    ("densenet121", "k=1..96 image=1..512", "macs"): {"k": (1, 31_250_000), "image": (29, WIDE)},
    ("vgg16", "image=1..512 classes=1..99", "macs"): {"image": (32, 44_735), "classes": (1, WIDE)},
    ("vgg16", "batch=1..64 image=1..512", "training_peak_bytes"): {
        "batch": (1, WIDE), "image": (32, 44_735),
    },
    ("resnet50", "image=1..512 classes=1..99", "macs"): {"image": (5, WIDE), "classes": (1, WIDE)},
    ("text_rnn", "words=1..999 dim=1..99 hidden=1..99", "params"): {
        "words": (1, WIDE), "dim": (1, WIDE), "hidden": (1, WIDE),
    },
    ("efficientnet", "width=0.5..4:0.01 resolution=32..600 depth=1 dropout_rate=0", "macs"): {
        "width": (Fraction("2.25"), 781_250), "resolution": (33, WIDE),
    },
    ("one_conv", "n=1..512 k=1..11 image=1..256", "macs"): {
        "n": (9, WIDE), "k": (2, 11), "image": (11, WIDE),
    },
}  # fmt: skip


@pytest.mark.parametrize("asked", SHIPPED, ids=lambda asked: f"{asked[0]} {asked[2]}")
def test_formulas_are_right_where_they_are_proved(asked: tuple[str, str, str]) -> None:
    tried = Tried(*asked)
    assert tried.proof.missing == ""
    assert tried.shown() == SHIPPED[asked]
    assert tried.is_right(25)


def test_the_printed_formula_of_mobilenet_is_right_where_it_is_proved() -> None:
    """Written down again from the paper's table: layers with their strides, at any width and resolution."""
    for width, side in ((Fraction("0.15"), 5), (Fraction(7, 4), 12_345), (Fraction("976562.5"), 10**9)):
        blocks = [
            (64, 1),
            (128, 2),
            (128, 1),
            (256, 2),
            (256, 1),
            (512, 2),
            *[(512, 1)] * 5,
            (1024, 2),
            (1024, 1),
        ]
        before, size = int(32 * width), -(-side // 2)
        macs = 27 * before * size**2
        for c, stride in blocks:
            size, channels = -(-size // stride), int(c * width)
            macs += (9 * before + before * channels) * size**2
            before = channels
        macs += 1000 * before
        tried = Tried("mobilenet_v1", f"{WIDTHS} resolution=1..64")
        place = int(width / Fraction("0.05")) - 1, side - 1
        assert all(first <= n <= last for n, (first, last) in zip(place, tried.proof.box, strict=True))
        assert tried.formula(place) == macs


@pytest.mark.parametrize(
    ("net", "sets", "below", "above"),
    [
        ("vgg16", "image=1..512 classes=1..99", (30, 5), (44_735, 5)),
        ("vgg16", "image=1..512 classes=1..99", (31, -1), (31, 10**9)),
        ("densenet121", "k=1..96 image=1..512", (0, 27), (31_250_000, 28)),
        ("mobilenet_v1", f"{WIDTHS} resolution=1..64", (1, 3), (19_531_250, 4)),
    ],
)
def test_a_box_ends_where_networks_are_others(
    net: str, sets: str, below: tuple[int, int], above: tuple[int, int]
) -> None:
    """Just outside of a box there are no networks, or smaller ones with another formula."""
    tried = Tried(net, sets)
    for point in (below, above):
        assert any(not first <= n <= last for n, (first, last) in zip(point, tried.proof.box, strict=True))
    with pytest.raises(archcalc.ArchError):
        tried.measured(above)


@pytest.mark.parametrize(("net", "sets", "quantity"), SHIPPED)
def test_a_wrong_formula_is_not_proved(net: str, sets: str, quantity: str) -> None:
    tried = Tried(net, sets, quantity)
    figure, algebra = tried.figure, tried.algebra
    wrong = [algebra.shift(figure, 1), algebra.shift(figure, -1)]
    for at in range(0, len(figure.terms), -(-len(figure.terms) // 6)):
        changed = {product: factor + (n == at) for n, (product, factor) in enumerate(figure.terms)}
        wrong.append(algebra.polynomial(figure.const, changed))
    points = tried.points(3)
    for formula in wrong:
        found = prove(tried.plan, tried.engine, formula)
        if all(tried.formula(point, formula) == tried.formula(point) for point in points):
            assert net == "efficientnet"  # a term of a choice that is always 0 in the box
            assert found == tried.proof
        else:
            assert found.missing == "the formula and the expressions of the network differ"


def test_formulas_that_are_written_in_another_way_are_compared_as_polynomials() -> None:
    """`⌈n/2⌉ = ⌊n/2⌋ + n % 2`: equal for each remainder, but another expression."""
    tried = Tried("mobilenet_v1", f"{WIDTHS} resolution=1..64")
    algebra = tried.algebra
    side = algebra.polynomial(0, {(1,): 1})
    half = algebra.floor(side, 2)
    rest = algebra.add(side, half, -2)
    zero = algebra.add(algebra.add(half, rest), algebra.floor(algebra.shift(side, 1), 2), -1)
    assert zero.terms
    width = algebra.polynomial(0, {(0,): 3})
    other = algebra.add(tried.figure, algebra.multiply(zero, width))
    found = prove(tried.plan, tried.engine, other)
    assert (found.missing, found.box) == ("", tried.proof.box)
    assert found.counts != tried.proof.counts
    wrong = algebra.add(tried.figure, algebra.multiply(rest, width))  # 0 for every second resolution
    assert prove(tried.plan, tried.engine, wrong).missing.endswith("differ")


# --- Networks with conditions ----------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(body: str, parameters: str = "a=1, b=1") -> str:
        path = tmp_path / "net.arch"
        path.write_text(f"net mixed({parameters}) {{\n  {body}\n}}\n")
        return str(path)

    return write


def test_a_condition_that_mixes_parameters(written: Any) -> None:
    net = written("input([3, 8, 8])\n  if a > b { conv(a + 4, 1) } else { conv(b + 4, 3, padding=1) }")
    tried = Tried(net, "a=1..100 b=1..50")
    assert tried.shown() == {"a": (51, WIDE - 4), "b": (1, 50)}
    assert tried.is_right(40)
    assert tried.formula((49, 49)) != tried.measured((49, 49))  # a = b = 50 chooses the other branch
    tried = Tried(net, "a=1..50 b=1..100")
    assert tried.shown() == {"a": (1, 50), "b": (50, WIDE - 4)}
    assert tried.is_right(40)


@pytest.mark.parametrize(
    ("condition", "sets", "box"),
    [
        ("a * b > 900", "a=1..100 b=1..100", {"a": (30, WIDE), "b": (31, WIDE)}),
        ("a * b < 1000000", "a=1..100 b=1..100", {"a": (1, 1249), "b": (1, 800)}),
        ("a // 3 + b // 2 >= 7", "a=1..30 b=1..30", {"a": (9, WIDE), "b": (8, WIDE)}),
        ("2 * a - 5 <= b", "a=1..10 b=1..20", {"a": (1, 10), "b": (15, WIDE)}),
        ("a * a + b * b > 50", "a=1..20 b=1..20", {"a": (4, WIDE), "b": (6, WIDE)}),
    ],
)
def test_boxes_cannot_grow(condition: str, sets: str, box: dict[str, Any], written: Any) -> None:
    """The condition is tried at the corners, and beyond each side."""
    net = written(f"input([3, 8, 8])\n  if {condition} {{ conv(4, 1) }} else {{ conv(5, 1) }}")
    tried = Tried(net, sets)
    shown = tried.shown()
    assert shown == box
    holds = lambda a, b: eval(condition, {"a": a, "b": b})  # noqa: E731
    assert all(holds(a, b) for a, b in product(*shown.values()))
    (a, most_a), (b, most_b) = shown.values()
    outside = [
        [(a - 1, y) for y in (b, most_b)], [(most_a + 1, y) for y in (b, most_b)],
        [(x, b - 1) for x in (a, most_a)], [(x, most_b + 1) for x in (a, most_a)],
    ]  # fmt: skip
    for side in outside:
        invalid = any(not 1 <= value <= WIDE for point in side for value in point)
        assert invalid or not all(holds(*point) for point in side)
    assert tried.is_right(20)


def test_what_is_not_proved_says_why(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    even = written("input([3, 8, 8])\n  if (a + b) % 2 == 0 { conv(a, 1) } else { conv(b + 1, 1) }")
    assert Tried(even, "a=1..20 b=1..20").proof.missing == "conditions choose other networks nearby"
    equal = written("input([3, 8, 8])\n  if a == b { conv(a, 1) } else { conv(b + 7, 1) }")
    assert Tried(equal, "a=1..20 b=1..20").proof.missing == "conditions choose other networks nearby"
    assert Tried(equal, "a=1..20 b=1..19").shown() == {"a": (20, WIDE), "b": (1, 19)}
    many = written("input([3, 8, 8]) -> conv(4 + max(a, a * b % 5003), 1)")
    assert Tried(many, "a=1..20 b=1..20").proof.missing.endswith("each of too many remainders")
    ratio = written("input([3, 8, 8]) -> conv(4 + max(1000, a * 60 // (b + 1)), 1)")
    assert Tried(ratio, "a=1..20 b=1..20").proof.missing == "it divides by a parameter"
    lists = Tried("vgg16", "image=224,256 classes=10,1000")
    assert lists.proof.missing == "the values are lists"
    monkeypatch.setattr(remainders, "MOST_MIXED", 3)
    several = written("input([3, 8, 8]) -> conv(4 + a % 7, 1)\n  if a // 3 + b // 2 >= 7 { conv(a, 1) }")
    assert Tried(several, "a=1..20 b=1..20").proof.missing == "too many conditions have several parameters"


def test_a_listed_parameter_is_proved_for_each_of_its_values(written: Any) -> None:
    tried = Tried("mobilenet_v1", "width=0.5,0.25,1,0.37 resolution=1..512")
    assert tried.proof.box == ((0, 3), (4, WIDE - 1))
    assert tried.is_right(40)
    net = written("input([3, 8, 8])\n  if a > 7 { conv(b + 7, 1) } else { conv(b + 9, 1) }")
    assert Tried(net, "a=8,12,9 b=1..50").proof.box == ((0, 2), (0, WIDE - 8))
    assert Tried(net, "a=7,12,9 b=1..50").proof.missing == "conditions choose other networks nearby"
    kind = written('input([3, 8, 8])\n  if a == "x" { conv(b, 1) } else { conv(b + 1, 1) }', 'a="x", b=1')
    assert Tried(kind, 'a="x","y" b=1..50').proof.missing == "conditions choose other networks nearby"


RANDOM = """
net random(a=1, b=1) {{
  input([a % {mod} + 1, b + {side}, a // {by} + {side}])
  conv(b // {by} + 2, {kernel}, stride={stride}, padding=1)
  if a {relation} {factor} * b + {plus} {{ conv(b + 1, 1) }} else {{ conv(a // 2 + 3, 1) }}
  conv(min(a, {factor} * b) + max(3, a - b), 1)
  if a * b > {limit} {{ conv(2 + (5 if a + b > {limit} else b % {mod}), 1) }}
}}
"""


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.fixed_dictionaries(
        {
            "mod": st.integers(1, 6), "side": st.integers(3, 7), "by": st.integers(1, 5),
            "kernel": st.integers(1, 3), "stride": st.integers(1, 3), "factor": st.integers(1, 4),
            "plus": st.integers(0, 30), "limit": st.integers(0, 4000),
            "relation": st.sampled_from(["<", "<=", ">", ">="]),
        }
    ),
    ends=st.tuples(st.integers(9, 90), st.integers(9, 90)),
    seed=st.integers(0, 1000),
)  # fmt: skip
def test_random_networks_are_as_proved(
    numbers: dict[str, Any], ends: tuple[int, int], seed: int, tmp_path_factory: Any
) -> None:
    path = tmp_path_factory.mktemp("random") / "net.arch"
    path.write_text(RANDOM.format(**numbers))
    tried = Tried(str(path), f"a=1..{ends[0]} b=1..{ends[1]}")
    assert tried.proof.missing in (
        "", "conditions choose other networks nearby",
        "the formula and the expressions of the network differ",  # it is simpler for so few values
        "too many conditions have several parameters",
    )  # fmt: skip
    assume(not tried.proof.missing)
    for point in tried.points(12, seed):
        assert tried.formula(point) == tried.measured(point), (point, tried.proof)
    assert prove(tried.plan, tried.engine, tried.algebra.shift(tried.figure, 1)).missing


# --- Signs and boxes -------------------------------------------------------------------------------------

TERMS = st.dictionaries(st.tuples(*[st.integers(0, 3)] * 2), st.integers(-9, 9).filter(bool), max_size=6)
SPANS = st.tuples(*[st.tuples(st.integers(-6, 6), st.integers(0, 7))] * 2)


@settings(max_examples=400, deadline=None)
@given(terms=TERMS, spans=SPANS, plus=st.integers(0, 200))
def test_what_is_never_negative_is_never_negative(
    terms: dict[tuple[int, int], int], spans: Any, plus: int
) -> None:
    terms = {**terms, (0, 0): plus} if plus else terms
    ends = [(first, first + count) for first, count in spans]
    least = min(value_at(terms, point) for point in product(*(range(a, b + 1) for a, b in ends)))
    if never_negative(terms, ends):
        assert least >= 0


@settings(max_examples=200, deadline=None)
@given(
    factors=st.tuples(*[st.integers(0, 9)] * 3), plus=st.integers(-400, 50), spans=SPANS, down=st.booleans()
)
def test_polynomials_that_only_grow_or_fall_are_decided(
    factors: tuple[int, int, int], plus: int, spans: Any, down: bool
) -> None:
    """`± (a k1 + b k2 + c k1 k2) + d` for positive values."""
    sign = -1 if down else 1
    places = [(1, 0), (0, 1), (1, 1)]
    terms = {place: sign * factor for place, factor in zip(places, factors, strict=True) if factor}
    if plus:
        terms[0, 0] = sign * plus
    ends = [(first + 6, first + 6 + count) for first, count in spans]
    least = min(value_at(terms, point) for point in product(*(range(a, b + 1) for a, b in ends)))
    assert never_negative(terms, ends) == (least >= 0)


@settings(max_examples=100, deadline=None)
@given(
    conditions=st.lists(
        st.tuples(
            st.tuples(*[st.integers(-5, 5)] * 3), st.integers(-60, 300), st.tuples(*[st.integers(0, 1)] * 2)
        ),
        max_size=4,
    ),
    start=st.tuples(*[st.integers(0, 20)] * 2),
    counts=st.tuples(*[st.integers(1, 3)] * 2),
)
def test_boxes_hold_what_conditions_allow(
    conditions: Any, start: tuple[int, int], counts: tuple[int, int]
) -> None:
    """Compared with all points of a box, whose indices are `count * k + remainder`."""
    given_ = [
        Condition(
            {place: factor for place, factor in zip([(1, 0), (0, 1), (1, 1)], factors, strict=True) if factor}
            | ({(0, 0): plus} if plus else {}),
            tuple(min(r, count - 1) for r, count in zip(rests, counts, strict=True)),
        )
        for factors, plus, rests in conditions
    ]  # fmt: skip
    limits = [(0, 20), (0, 20)]
    box = largest_box(limits, [(n, n) for n in start], given_, counts)

    def allowed(point: tuple[int, ...]) -> bool:
        for condition in given_:
            pairs = list(zip(point, condition.remainders, counts, strict=True))
            used = [any(exponents[axis] for exponents in condition.over) for axis in range(2)]
            applies = all(
                (n - r) % count == 0 or not use for (n, r, count), use in zip(pairs, used, strict=True)
            )
            if applies and value_at(condition.over, [(n - r) // count for n, r, count in pairs]) < 0:
                return False
        return True

    if box is None:
        assert not allowed(start)
        return
    assert all(first <= n <= last for n, (first, last) in zip(start, box, strict=True))
    assert all(map(allowed, product(*(range(first, last + 1) for first, last in box))))


# --- Output ----------------------------------------------------------------------------------------------


def test_the_command_says_what_is_proved(run: Any) -> None:
    sets = ("--set", "width=0.05..2:0.05", "--set", "resolution=1..64")
    text = run("formula", "mobilenet_v1", "macs", *sets).out
    assert (
        "\nfor large values about 10,752·width²·resolution²\n"
        "proved from the expressions for every width from 0.15 to 976562.5 in steps of 0.05 "
        "and every resolution from 5 to 1,000,000,000\n"
    ) in text
    three = run("formula", "mobilenet_v1", "macs", *sets, "--set", "classes=1,10").out
    assert (
        " in steps of 0.05, every resolution from 5 to 1,000,000,000, and every listed classes\n"
    ) in three  # fmt: skip
    found = json.loads(run("formula", "mobilenet_v1", "macs", *sets, "--format", "json").out)
    assert (found["proved"], found["not_proved_because"]) == (
        {"width": {"from": 0.15, "to": 976562.5}, "resolution": {"from": 5, "to": WIDE}}, "",
    )  # fmt: skip
    one = json.loads(run("formula", "densenet121", "macs", "--set", "k=1..9", "--format", "json").out)
    assert one["proved"] == {"from": 1, "to": 31_250_000}


def test_a_parameter_with_one_proved_value_is_named_with_it() -> None:
    """Another number of blocks is another network, with another formula: then none is shown."""
    with pytest.raises(archcalc.ArchError, match="no short formula: each value of `n1` has another one"):
        form("densenet121", "n1=1..6 k=1..40")
    found = replace(form("densenet121", "k=5..6 image=64..99"), box=((6, 6), (32, 31_250_000)))
    assert "proved from the expressions for k = 6 and every image from 32 to 31,250,000\n" in formulas.text(
        found
    )


@pytest.mark.parametrize(
    ("body", "growth"),
    [
        ("input([3, 8, 8]) -> conv(a, 1) -> conv(b, 1)", "64·a·b"),
        ("input([3, 8, a]) -> conv(b // 2, 1)", "12·a·b"),
        ("input([3, 8, 8]) -> conv(2 * a * a + 5 * b, 1)", "384·a² + 960·b"),
        ("input([3, 8, a // 3 + 1]) -> conv(b + 7, 1)", "8·a·b"),
        ("input([7, a, 1]) -> conv(b // 3, 1)", "≈2.33333·a·b"),
        ("input([a % 2 + 1, 8, b]) -> conv(a, 1)", ""),  # 8ab or 16ab: what is rounded off matters
        ("input([3, 8, 8]) -> conv(100 + max(a, b), 1)", ""),
    ],
)
def test_growth_has_the_products_that_no_other_exceeds(body: str, growth: str, written: Any) -> None:
    found = form(written(body), "a=1..40 b=1..40")
    assert found.growth == growth
    if growth.endswith("a·b"):  # the ratio to the figure is about 1 for large values
        factor = float(growth.removeprefix("≈").split("·")[0])
        figure = archcalc.analyze(found.plan.net, {"a": 900_001, "b": 700_001}).totals.macs
        assert figure / (factor * 900_001 * 700_001) == pytest.approx(1, rel=1e-3)


def test_growth_of_one_parameter_is_left_out_where_roundings_matter(written: Any) -> None:
    found = form(written("input([a % 2 + 1, 8, 8]) -> conv(a, 1)", "a=1"), "a=1..40")
    assert found.growth == ""


def test_growth_of_a_network_whose_padding_is_rounded() -> None:
    """`k // 2` keeps 32 pixels for odd kernels and gives 33 for even ones, so no single factor is right."""
    odd, even = (archcalc.analyze("conv_large", {"k": k}).totals.macs / k**2 for k in (9, 10))
    assert odd != even
    assert form("conv_large", "k=1..99").growth == ""
