"""Inverse questions and closed forms: answers that were found in other ways, and constructed networks."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archcalc
from archcalc.opening import loads
from archcalc.quantities import QUANTITIES
from archcalc.render.progress import unseen
from archcalc.sweeping import formulas, solving
from archcalc.sweeping.algebra import Algebra
from archcalc.sweeping.closed import closed_form
from archcalc.sweeping.expressions import Polynomial
from archcalc.sweeping.pareto import front
from archcalc.sweeping.plan import plan
from archcalc.sweeping.proof import FormProof, prove
from archcalc.sweeping.signs import sign_runs
from archcalc.sweeping.solving import Solution, solve
from archcalc.sweeping.space import parse_dimension


def solved(net: str, find: str, *expect: str, largest: bool = True, **settings: Any) -> Solution:
    conditions = archcalc.settings.Settings(**settings)
    return solve(plan(net, [parse_dimension(find, "--find")], ["macs"], expect, conditions), largest)


# --- Answers that were found by hand and by enumeration, outside of archcalc's sweeps -------------------


@pytest.mark.parametrize(
    ("net", "find", "expect", "answer", "figure", "beyond"),
    [
        ("mobilenet_v1", "width=0.1..2", "macs <= 150M", "0.5", 149_497_088, 154_243_477),
        ("vgg16", "classes=1..100000", "params <= 140M", "1400", 139_996_344, 140_000_441),
        ("resnet50", "image=32..1024", "macs <= 10G", "352", 9_523_822_592, 10_334_923_968),
    ],
)
def test_right_answers(net: str, find: str, expect: str, answer: str, figure: int, beyond: int) -> None:
    solution = solved(net, find, expect)
    assert solution.best is not None
    assert solution.beyond is not None
    assert (solution.best.shown, solution.best.limited, solution.beyond.limited) == (
        answer, (figure,), (beyond,),
    )  # fmt: skip


def test_the_batch_of_a_step_of_training() -> None:
    """The same answer as `archcalc memory --fit`, which solves an equation."""
    from archcalc.report.memory.fit import largest_batch
    from archcalc.report.memory.usage import MemoryAsked

    asked = MemoryAsked(1, "float32", "adam", False, False, (), False, "none", "", "needed").checked()
    _, found, _ = largest_batch(archcalc.load("resnet18"), asked, 24 * 10**9, "24GB")
    solution = solved("resnet18", "batch=1..100000", "training_peak_bytes <= 24GB", optimizer="adam")
    assert solution.best is not None
    assert int(solution.best.shown) == found["batch"]
    assert "proved from the formulas" in solution.how


def test_the_batch_of_a_run() -> None:
    """As the design of the sweeps has it, and as `archcalc memory --inference --fit` answers."""
    solution = solved("resnet50", "batch=1..100000", "inference_bytes <= 24GB")
    assert solution.best is not None
    assert solution.best.shown == "2480"


@pytest.mark.parametrize("net", ["resnet50", "googlenet", "vit_b_16", "lenet5", "crnn", "nfnet_f0"])
def test_inference_bytes_are_those_of_the_memory_command(net: str) -> None:
    from archcalc.report.memory.usage import MemoryAsked, usage_of

    network = archcalc.load(net)
    asked = MemoryAsked(8, "float32", "sgd", False, True, (), False, "none", "", "needed").checked()
    profile = archcalc.analyze(network, batch=8)
    assert QUANTITIES["inference_bytes"].measure(profile.whole) == usage_of(network, asked, unseen).peak[0]


def test_a_proof_for_a_thousand_million_values() -> None:
    solution = solved("vgg16", "classes=1..1000000000", "params <= 140M")
    assert solution.best is not None
    assert solution.best.shown == "1400"
    assert solution.how == (
        "params never falls while classes grows: proved from the formulas, then found by halving"
    )


# --- Networks whose figures go up and down ---------------------------------------------------------------

JAGGED = """
net jagged(n=1) {{
  input([n % {a} + 1, 8, 8])
  conv(n // {b} + n % {c} + 1, 1) -> conv(2 + (7 if n > {d} else n % 5), 3)
}}
"""


@settings(max_examples=10, deadline=None)
@given(
    numbers=st.tuples(*[st.integers(1, 90)] * 4),
    limit=st.integers(100, 60_000),
    largest=st.booleans(),
    relation=st.sampled_from(["<=", ">="]),
)
def test_answers_are_those_of_trying_every_value(
    numbers: tuple[int, ...], limit: int, largest: bool, relation: str, tmp_path_factory: Any
) -> None:
    """With a range that is tried, and with one that is divided first."""
    text = JAGGED.format(**dict(zip("abcd", numbers, strict=True)))
    path = tmp_path_factory.mktemp("jagged") / "jagged.arch"
    path.write_text(text)
    macs = [archcalc.analyze(loads(text, overrides={"n": n})).totals.macs for n in range(1, 61)]
    holding = [n for n, m in enumerate(macs, 1) if (m <= limit if relation == "<=" else m >= limit)]
    expected = (max(holding) if largest else min(holding)) if holding else None
    for tried in (10**6, 16):
        before, solving.MOST_TRIED = solving.MOST_TRIED, tried
        try:
            solution = solved(str(path), "n=1..60", f"macs {relation} {limit}", largest=largest)
        finally:
            solving.MOST_TRIED = before
        found = None if solution.best is None else int(solution.best.shown)
        assert found == expected
        if solution.best is not None and solution.gaps is not None:
            side = [n for n in holding if (n <= found if largest else n >= found)]
            assert solution.gaps == (found if largest else 61 - found) - len(side)


def test_a_large_range_that_goes_up_and_down_is_divided(tmp_path: Path) -> None:
    path = tmp_path / "steps.arch"
    path.write_text("net steps(n=1) { input([4, n + 4, 8]) -> conv(8 if n % 3 == 0 else 4, 3) }\n")
    solution = solved(str(path), "n=1..900000000", "macs <= 1G")
    assert solution.best is not None
    macs = [
        archcalc.analyze(str(path), {"n": int(solution.best.shown) + step}).totals.macs
        for step in range(1, 7)
    ]
    assert archcalc.analyze(str(path), {"n": int(solution.best.shown)}).totals.macs <= 10**9 < min(macs)


def test_a_range_with_invalid_networks() -> None:
    solution = solved("mobilenet_v1", "width=0.01..2", "params <= 60K", largest=False)
    assert solution.best is not None
    assert solution.best.shown == "0.04"
    assert solution.beyond is not None
    assert "out_channels" in solution.beyond.problem


# --- The command -----------------------------------------------------------------------------------------


def test_both_sides_of_the_boundary_are_shown(run: Any) -> None:
    result = run("solve", "mobilenet_v1", "--find", "width=0.1..2", "--expect", "macs <= 150M")
    lines = result.out.splitlines()
    assert lines[0] == "mobilenet_v1: the largest `width` with `macs <= 150M` is 0.5"
    assert lines[4].split() == ["holds", "0.5", "1,331,592", "149,497,088"]
    assert lines[5].split() == ["does", "not", "0.51", "1,372,742", "154,243,477"]


def test_what_never_and_what_always_holds(run: Any) -> None:
    never = run("solve", "mobilenet_v1", "--find", "width=0.1..2", "--expect", "macs <= 1K").out
    assert "no value of `width` gives `macs <= 1K`" in never
    assert "nearest    0.1" in never
    always = run("solve", "mobilenet_v1", "--find", "width=0.1..2", "--expect", "macs <= 1T").out
    assert "is 2\nit is the end of the range" in always
    bounded = run("solve", "vgg16", "--find", "classes=1..9", "--expect", "params <= 1").out
    assert "bounds of the figures prove that no value holds" in bounded


def test_a_list_of_choices(run: Any) -> None:
    found = run(
        "solve", "mobilenet_v1", "--find", "resolution=128,160,192,224", "--expect", "macs <= 400M",
        "--format", "json",
    )  # fmt: skip
    answer = json.loads(found.out)
    assert (answer["answer"]["value"], answer["beyond"]["value"]) == (160, 192)


def test_a_front(run: Any) -> None:
    result = run(
        "solve", "mobilenet_v1", "--find", "width=0.25..1:0.25", "--find", "resolution=128..224:32",
        "--maximize", "params", "--minimize", "macs", "--format", "json",
    )  # fmt: skip
    rows = json.loads(result.out)["rows"]
    assert [(row["values"]["width"], row["values"]["resolution"]) for row in rows] == [
        (1, 128), (0.75, 128), (0.5, 128), (0.25, 128),
    ]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(data=st.data(), figures=st.integers(1, 4))
def test_a_front_has_what_nothing_beats(data: st.DataObject, figures: int) -> None:
    row = st.tuples(*[st.integers(0, 5)] * figures)
    values = np.array(data.draw(st.lists(row, min_size=1, max_size=25)))
    found = set(front(values).tolist())
    for place, mine in enumerate(values):
        beaten = any(
            (other <= mine).all() and ((other < mine).any() or at < place)
            for at, other in enumerate(values)
            if at != place
        )
        assert (place in found) != beaten


# --- Closed forms ----------------------------------------------------------------------------------------


def form(net: str, quantity: str, *sets: str) -> Any:
    return closed_form(plan(net, [parse_dimension(text, "--set") for text in sets], [quantity]))


def test_closed_forms() -> None:
    resnet = form("resnet50", "macs", "image=1..600")
    assert resnet.text == (
        "9,408·⌈image/2⌉² + 212,992·⌈image/4⌉² + 1,212,416·⌈image/8⌉² + 7,077,888·⌈image/16⌉² + "
        "14,942,208·⌈image/32⌉² + 2,048,000"
    )
    assert (resnet.period, resnet.growth, resnet.excepted) == (32, "76,848·image²", 0)
    dense = form("densenet121", "macs", "k=1..200")
    assert (dense.text, dense.period) == ("2,651,488·k² + 3,719,936·k", 1)
    assert form("mobilenet_v1", "macs", "width=0.04..2:0.01").period == 25


def test_a_form_says_where_it_is_another(tmp_path: Path) -> None:
    """A network that is another one up to 40: the form is that of large values."""
    path = tmp_path / "two.arch"
    path.write_text("net two(n=50) {\n  input(3x8x8)\n  if n > 40 { conv(n, 1) } else { conv(5, 1) }\n}\n")
    found = form(str(path), "macs", "n=1..100")
    assert (found.text, found.excepted, found.exceptions[0]) == ("192·n", 39, "n=1")  # of 5 it has 5


@settings(max_examples=8, deadline=None)
@given(kernel=st.integers(1, 5), stride=st.integers(1, 4), padding=st.integers(0, 2), pool=st.integers(1, 3))
def test_forms_of_random_networks(
    kernel: int, stride: int, padding: int, pool: int, tmp_path_factory: Any
) -> None:
    path = tmp_path_factory.mktemp("form") / "net.arch"
    path.write_text(
        f"net n(s=64) {{ input([3, s, s + 1]) -> conv(4, {kernel}, {stride}, padding={padding})\n"
        f"  maxpool({pool}, padding={pool // 2})\n  conv(5, 3, stride=2, padding=1) }}\n"
    )
    found = form(str(path), "macs", "s=40..200")
    assert found.excepted == 0
    assert found.compared == 161
    text = found.text.replace(",", "").replace("·", "*").replace("²", "**2")
    for opening, closing, name in (("⌈", "⌉", "ceil"), ("⌊", "⌋", "floor")):
        text = text.replace(opening, f"{name}(Fraction(1)*(").replace(closing, "))")
    assert found.proved is not None
    low, high = found.proved
    assert low <= 40
    assert high > 10**6
    for s in (40, 97, 131, 200, 4097, 65_535, high - 1, high):  # most of them are beyond what was tried
        value = eval(text, {"Fraction": Fraction, "ceil": math.ceil, "floor": math.floor, "s": s})
        assert value == archcalc.analyze(str(path), {"s": s}).totals.macs


# --- Proofs of closed forms ------------------------------------------------------------------------------


Change = Callable[[Algebra, Polynomial], Polynomial]


def proof(net: str, text: str, change: Change | None = None) -> FormProof:
    """The proof of the MACs that a sweep has at the end of a range, or of a formula that was changed."""
    made = plan(net, [parse_dimension(each, "--set") for each in text.split()], ["macs"])
    engine = made.engine()
    engine.evaluate([np.array([made.space.size - 1])])
    figure = engine.endings[-1].figures[0]
    return prove(made, engine, change(engine.shared.algebra, figure) if change else figure)


@pytest.mark.parametrize(
    ("net", "text", "remainders"),
    [
        ("resnet50", "image=1..4096", 32),
        ("mobilenet_v1", "width=0.01..2:0.01", 25),
        ("densenet121", "k=1..200", 1),
    ],
)
def test_forms_are_proved_beyond_the_values_that_are_tried(net: str, text: str, remainders: int) -> None:
    found = proof(net, text)
    assert (found.missing, found.remainders) == ("", remainders)
    made = plan(net, [parse_dimension(text, "--set")], ["macs"])
    assert found.last > 100 * made.space.size
    dimension = made.space.dimensions[0]
    engine = made.engine()
    engine.evaluate([np.array([made.space.size - 1])])
    for digit in (
        found.first,
        found.first + 1,
        77_777,
        found.last,
    ):  # measured one by one
        known = {0: int(dimension.value(digit) * dimension.divisor)}
        value = engine.shared.algebra.value(engine.endings[-1].figures[0], known)
        assert value == made.measure({dimension.name: dimension.value(digit)})[0]
    with pytest.raises(archcalc.ArchError):  # the largest network that there is
        made.measure({dimension.name: dimension.value(found.last + 1)})


def test_the_printed_formula_of_resnet_is_right_where_it_is_proved() -> None:
    found = form("resnet50", "macs", "image=1..64")
    assert found.proved == (5, 10**9)
    factors = {2: 9408, 4: 212_992, 8: 1_212_416, 16: 7_077_888, 32: 14_942_208}
    for side in (5, 6, 333, 65_537, 10**9):
        by_hand = sum(factor * (-(-side // by)) ** 2 for by, factor in factors.items()) + 2_048_000
        assert archcalc.analyze("resnet50", {"image": (3, side, side)}).totals.macs == by_hand


@pytest.mark.parametrize(
    ("net", "text"),
    [
        ("resnet50", "image=1..4096"),
        ("mobilenet_v1", "width=0.04..2:0.01"),
        ("efficientnet", "width=0.5..4:0.01 depth=1 resolution=224 dropout_rate=0"),
    ],
)
def test_a_wrong_formula_is_not_proved(net: str, text: str) -> None:
    assert not proof(net, text).missing
    for change in (
        lambda algebra, figure: algebra.shift(figure, 1),
        lambda algebra, figure: algebra.polynomial(
            figure.const, {product: factor + (n == 0) for n, (product, factor) in enumerate(figure.terms)}
        ),
    ):
        assert proof(net, text, change).missing == "the formula and the expressions of the network differ"


def test_a_figure_with_choices_is_right_where_it_is_proved() -> None:
    """EfficientNet rounds widths by a condition: no short formula, but the expressions can be compared."""
    sets = ["width=0.5..4:0.01", "depth=1", "resolution=224", "dropout_rate=0"]
    made = plan("efficientnet", [parse_dimension(text, "--set") for text in sets], ["macs"])
    engine = made.engine()
    engine.evaluate([np.array([made.space.size - 1])])
    figure = engine.endings[-1].figures[0]
    found = prove(made, engine, figure)
    assert found.missing == ""
    (dimension,) = made.space.dimensions
    assert found.last > made.space.size
    for digit in [*range(found.first, found.first + 40), 999, 12_345, found.last]:
        value = Fraction(dimension.value(digit))
        known = {0: int(value * dimension.divisor)}
        assert engine.shared.algebra.value(figure, known) == made.measure({"width": value})[0], value


def test_a_network_that_rounds_by_a_condition_has_no_short_formula() -> None:
    with pytest.raises(archcalc.ArchError, match="no short formula: the network chooses"):
        form("efficientnet", "macs", "width=0.5..4", "depth=1", "resolution=224", "dropout_rate=0")


def test_a_proof_ends_where_the_network_is_another(tmp_path: Path) -> None:
    """All values that are tried are below 5000, so that enumeration does not find the bound."""
    path = tmp_path / "bounded.arch"
    path.write_text(
        "net bounded(n=50) {\n  input(3x8x8)\n  if n > 40 { conv(min(n, 5000), 1) } else { conv(5, 1) }\n}\n"
    )
    found = form(str(path), "macs", "n=1..4096")
    assert (found.text, found.proved) == ("192·n", (41, 5000))
    assert "for every n from 41 to 5,000\n" in formulas.text(found)


def test_what_is_not_proved_says_so(tmp_path: Path) -> None:
    path = tmp_path / "even.arch"
    path.write_text(
        "net even(n=50) {\n  input(3x8x8)\n  if n % 2 == 0 { conv(n, 1) } else { conv(n + 1, 1) }\n}\n"
    )
    found = form(str(path), "macs", "n=2..100")
    assert found.proved is None
    assert "checked by enumeration only: no proof, since conditions choose" in formulas.text(found)
    with pytest.raises(archcalc.ArchError, match="each value of `n1` has another one"):
        form("densenet121", "params", "n1=1..40")  # each value is another network
    listed = form("mobilenet_v1", "params", "classes=1,10")
    assert (listed.proved, listed.unproved) == (None, "the values are a list")


@settings(max_examples=200, deadline=None)
@given(
    roots=st.lists(st.integers(-12, 12), max_size=4),
    factor=st.integers(-3, 3),
    plus=st.integers(-9, 9),
    first=st.integers(-15, 15),
    count=st.integers(1, 30),
)
def test_signs_of_polynomials(roots: list[int], factor: int, plus: int, first: int, count: int) -> None:
    powers = np.polynomial.polynomial.polyfromroots(roots).round().astype(int) * factor
    powers[0] += plus
    trimmed = powers.tolist()
    while len(trimmed) > 1 and trimmed[-1] == 0:
        trimmed.pop()
    runs = sign_runs(tuple(trimmed), first, first + count - 1)
    assert [sign for low, high, sign in runs for _ in range(low, high + 1)] == [
        int(np.sign(sum(a * k**n for n, a in enumerate(trimmed)))) for k in range(first, first + count)
    ]
    assert all(one[2] != other[2] for one, other in pairwise(runs))


# --- Compound scaling (Tan & Le 2019) ----------------------------------------------------------------------


def scaled(alpha: Fraction, beta: Fraction, gamma: Fraction, phi: int = 1) -> dict[str, Any]:
    """The parameters of EfficientNet, scaled from B0."""
    return {"width": beta**phi, "depth": alpha**phi, "resolution": round(224 * gamma**phi), "dropout_rate": 0}


def test_the_search_of_compound_scaling() -> None:
    """Candidates with alpha·beta²·gamma² about 2, and what they really cost: layers round up."""
    steps = [Fraction(n, 20) for n in range(20, 41)]
    candidates = [
        (a, b, g)
        for a in steps for b in steps[:11] for g in steps[:11]
        if abs(a * b**2 * g**2 - 2) <= Fraction(1, 10)
    ]  # fmt: skip
    assert len(steps) * 11 * 11 == 2541
    assert len(candidates) == 109
    paper = (Fraction(6, 5), Fraction(11, 10), Fraction(23, 20))
    assert paper in candidates
    found = archcalc.sweep(
        "efficientnet",
        {"width": steps[:11], "depth": steps, "resolution": [round(224 * g) for g in steps[:11]],
         "dropout_rate": 0},
        columns=["macs"],
    )  # fmt: skip
    macs = found["macs"].reshape(11, 21, 11)
    base = archcalc.analyze("efficientnet_b0").totals.macs
    costs = [int(macs[steps.index(b), steps.index(a), steps.index(g)]) for a, b, g in candidates]
    assert [round(cost / base, 2) for cost in (min(costs), max(costs))] == [1.93, 3.33]
    assert costs[candidates.index(paper)] == 992_629_472
    one = archcalc.analyze("efficientnet", scaled(*paper)).totals.macs
    assert one == 992_629_472


PUBLISHED = {
    "efficientnet_b1": ("1", "1.1", 240),
    "efficientnet_b2": ("1.1", "1.2", 260),
    "efficientnet_b3": ("1.2", "1.4", 300),
    "efficientnet_b4": ("1.4", "1.8", 380),
    "efficientnet_b5": ("1.6", "2.2", 456),
    "efficientnet_b6": ("1.8", "2.6", 528),
    "efficientnet_b7": ("2", "3.1", 600),
}
"""Width, depth and resolution in the authors' code, `efficientnet_builder.py`."""


def test_the_family_is_points_of_a_sweep() -> None:
    """B1 to B7 are points of one sweep over width, depth and resolution, to the unit."""
    axes = [list(dict.fromkeys(values[n] for values in PUBLISHED.values())) for n in range(3)]
    widths, depths = ([Fraction(str(value)) for value in axis] for axis in axes[:2])
    found = archcalc.sweep(
        "efficientnet",
        {"width": widths, "depth": depths, "resolution": axes[2], "dropout_rate": 0},
        columns=["params", "macs", "flops", "activations"],
    )
    for net, (width, depth, resolution) in PUBLISHED.items():
        place = (axes[0].index(width) * len(axes[1]) + axes[1].index(depth)) * len(axes[2])
        place += axes[2].index(resolution)
        totals = archcalc.analyze(net).totals
        for name in ("params", "macs", "flops", "activations"):
            assert int(found[name][place]) == getattr(totals, name), (net, name)


def divisible(value: float) -> int:
    """Rounding to a multiple of 8, as in the authors' code, written down again."""
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded


def test_no_phi_gives_the_published_family() -> None:
    """Which phi gives a published network: in width, in depth, and in resolution to 4 pixels."""

    def widths(width: float) -> list[int]:
        return [divisible(c * width) for c in (32, 16, 24, 40, 80, 112, 192, 320, 1280)]

    def depths(depth: float) -> list[int]:
        return [math.ceil(n * depth) for n in (1, 2, 2, 3, 3, 4, 1)]

    hundredths = [n / 100 for n in range(801)]
    found = {}
    for net, (width, depth, resolution) in PUBLISHED.items():
        fits = (
            [phi for phi in hundredths if widths(1.1**phi) == widths(float(width))],
            [phi for phi in hundredths if depths(1.2**phi) == depths(float(depth))],
            [phi for phi in hundredths if abs(224 * 1.15**phi - resolution) <= 4],
        )
        found[net[-2:]] = [(each[0], each[-1]) for each in fits]
        alike = set(fits[0]) & set(fits[1]) & set(fits[2])
        assert bool(alike) == (net == "efficientnet_b2"), net
    assert found == {
        "b1": [(0.0, 0.03), (0.01, 1.22), (0.38, 0.61)],
        "b2": [(1.0, 1.02), (0.01, 1.22), (0.96, 1.17)],
        "b3": [(1.89, 1.94), (1.58, 2.22), (2.0, 2.18)],
        "b4": [(3.51, 3.55), (3.07, 3.8), (3.71, 3.85)],
        "b5": [(4.92, 4.95), (3.81, 4.44), (5.03, 5.14)],
        "b6": [(6.15, 6.18), (5.03, 5.37), (6.09, 6.18)],
        "b7": [(7.26, 7.28), (6.03, 6.46), (7.01, 7.09)],
    }


@pytest.mark.parametrize(
    ("net", "phi", "params", "macs"),
    [
        ("efficientnet_b1", "0.5", 8_441_486, 731_404_000),
        ("efficientnet_b2", "1", 9_109_994, 992_629_472),
        ("efficientnet_b3", "2", 12_255_408, 1_810_522_464),
        ("efficientnet_b4", "3.5", 19_330_016, 4_178_726_792),
        ("efficientnet_b5", "5", 33_726_740, 11_374_487_904),
        ("efficientnet_b6", "6", 45_464_648, 20_094_026_560),
        ("efficientnet_b7", "7", 68_741_810, 39_663_901_696),
    ],
)
def test_the_powers_of_phi_cost_about_what_the_family_costs(
    net: str, phi: str, params: int, macs: int
) -> None:
    """The table in docs/sweep.md."""
    power = float(phi)
    values = {
        "width": Fraction(1.1**power).limit_denominator(10**6),
        "depth": Fraction(1.2**power).limit_denominator(10**6),
        "resolution": round(224 * 1.15**power),
        "dropout_rate": 0,
    }
    totals = archcalc.analyze("efficientnet", values).totals
    assert (totals.params, totals.macs) == (params, macs)
    published = archcalc.analyze(net).totals
    width, depth, side = PUBLISHED[net]
    exponents = [
        math.log(float(width), 1.1), math.log(float(depth), 1.2), math.log(side / 224, 1.15),
    ]  # fmt: skip
    assert round(2 * sum(exponents) / 3) == 2 * power
    page = (Path(__file__).parent.parent / "docs" / "sweep.md").read_text()
    row = (
        f"| B{net[-1]} | {width}, {depth}, {side} | {published.macs:,} | {phi} | "
        f"{1.1**power:.3f}, {1.2**power:.3f}, {224 * 1.15**power:.1f} | {macs:,} |"
    )
    assert row in page, row
