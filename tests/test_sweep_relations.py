"""Values that are computed from others, and conditions: sweeps of what the user relates to each other."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

import archcalc
from archcalc.diagnostics import ArchError
from archcalc.sweeping.plan import SweepPlan, plan
from archcalc.sweeping.relations import given, options
from archcalc.sweeping.rows.blocks import SweepAsked, Sweeper
from archcalc.sweeping.rows.run import sweep_rows
from archcalc.sweeping.solving.search import solve

SEARCH = {
    "alpha": "1..2:0.05",
    "beta": "1..1.5:0.05",
    "gamma": "1..1.5:0.05",
    "depth": "alpha",
    "width": "beta",
    "resolution": "round(224 * gamma)",
    "dropout_rate": "0.2",
}
ABOUT_TWO = "alpha * beta**2 * gamma**2 within 5% of 2"


def related(net: str, *sets: str, where: tuple[str, ...] = (), **other: Any) -> SweepPlan:
    dimensions, relations = given(options(sets, "--set"), where)
    return plan(net, dimensions, ["macs", "params"], relations=relations, **other)


# --- Compound scaling (Tan & Le 2019, Section 3.3) ------------------------------------------------------


def test_the_search_of_compound_scaling_is_one_command(run: Any) -> None:
    """The candidates and what they cost are computed here again, by loops and `analyze`."""
    sets = [f"--set={name}={values}" for name, values in SEARCH.items()]
    result = run(
        "sweep", "efficientnet", *sets, "--where", ABOUT_TWO, "--columns", "macs", "--format", "json"
    )
    document = json.loads(result.out)
    assert (document["points"], document["outside"], document["kept"]) == (2541, 2541 - 109, 109)
    assert "2,541 points, 109 that `--where` keeps" in result.err
    found = {
        tuple(round(20 * row["values"][name]) for name in ("alpha", "beta", "gamma")): row["figures"]["macs"]
        for row in document["rows"]
    }
    expected = [
        (a, b, c)
        for a in range(20, 41) for b in range(20, 31) for c in range(20, 31)
        if abs(Fraction(a, 20) * Fraction(b, 20) ** 2 * Fraction(c, 20) ** 2 - 2) <= Fraction(1, 10)
    ]  # fmt: skip
    assert list(found) == expected
    for a, b, c in expected[::12]:
        values = {
            "depth": Fraction(a, 20),
            "width": Fraction(b, 20),
            "resolution": math.floor(224 * Fraction(c, 20) + Fraction(1, 2)),
            "dropout_rate": 0,
        }
        assert archcalc.analyze("efficientnet", values).totals.macs == found[a, b, c]
    base = archcalc.analyze("efficientnet_b0").totals.macs
    assert found[24, 22, 23] == 992_629_472  # alpha 1.2, beta 1.1, gamma 1.15
    assert [round(macs / base, 2) for macs in (min(found.values()), max(found.values()))] == [1.93, 3.33]


def test_powers_of_phi() -> None:
    """docs/sweep.md has these MACs for the whole numbers of its table."""
    found = archcalc.sweep(
        "efficientnet",
        {
            "phi": range(8),
            "depth": "1.2**phi",
            "width": "1.1**phi",
            "resolution": "round(224 * 1.15**phi)",
            "dropout_rate": 0,
        },
        columns=["macs"],
    )
    macs = dict(zip(found["phi"].tolist(), found["macs"].tolist(), strict=True))
    assert macs[0] == archcalc.analyze("efficientnet_b0").totals.macs
    expected = {1: 992_629_472, 2: 1_810_522_464, 5: 11_374_487_904, 6: 20_094_026_560, 7: 39_663_901_696}
    assert {phi: macs[phi] for phi in expected} == expected
    assert found["resolution"].tolist() == [math.floor(224 * 1.15**n + 0.5) for n in range(8)]
    assert found["depth"].tolist() == pytest.approx([1.2**n for n in range(8)])


def test_the_largest_phi(run: Any) -> None:
    sets = ["depth=1.2**phi", "width=1.1**phi", "resolution=round(224 * 1.15**phi)", "dropout_rate=0"]
    result = run(
        "solve", "efficientnet", "--find", "phi=0..7", *(f"--set={text}" for text in sets),
        "--expect", "macs <= 2G",
    )  # fmt: skip
    assert result.out.splitlines()[0] == "efficientnet: the largest `phi` with `macs <= 2G` is 2"


# --- Any relation ---------------------------------------------------------------------------------------

TEXT = """
net small(n=8, k=3, wide=false, image=[3, 8, 8]) {
  input(image)
  conv(n * (2 if wide else 1), k, padding=k // 2) -> relu
}
"""

CONDITIONS = {
    "n % 4 == 0": lambda n, k, wide: n % 4 == 0,
    "n * k <= 60": lambda n, k, wide: n * k <= 60,
    "n < 5 or k > 3 and not wide": lambda n, k, wide: n < 5 or (k > 3 and not wide),
    "n * k**2 within 25% of 4 * n + 40": lambda n, k, wide: 4 * abs(n * k**2 - 4 * n - 40) <= abs(4 * n + 40),
    "k - n within 50% of -4": lambda n, k, wide: 2 * abs(k - n + 4) <= 4,
    "wide": lambda n, k, wide: wide,
    "max(n, 3 * k) - min(n, 3 * k) < 6": lambda n, k, wide: abs(n - 3 * k) < 6,
    "n // k != k // n + 2 and n / k > 1.5": lambda n, k, wide: n // k != k // n + 2 and 2 * n > 3 * k,
}


@settings(max_examples=40)
@examples(
    chosen=st.lists(st.sampled_from(sorted(CONDITIONS)), max_size=3, unique=True),
    most=st.integers(1, 24),
    step=st.integers(1, 3),
)
def test_conditions_keep_the_points_that_python_keeps(
    chosen: list[str], most: int, step: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("small") / "small.arch"
    path.write_text(TEXT)
    made = related(str(path), f"n=1..{most}:{step}", "k=1,3,5,7", "wide=true,false", where=tuple(chosen))
    found = sweep_rows(Sweeper(made, SweepAsked()))
    kept = [
        (n, k, wide)
        for n in range(1, most + 1, step) for k in (1, 3, 5, 7) for wide in (True, False)
        if all(CONDITIONS[text](n, k, wide) for text in chosen)
    ]  # fmt: skip
    rows = [
        tuple(d.value(int(c[row])) for d, c in zip(made.space.dimensions, found.rows.digits, strict=True))
        for row in range(found.rows.count)
    ]
    if made.space.dimensions[0].name == "n":
        assert rows == kept
    assert (found.totals.points - found.totals.outside, found.totals.points) == (
        len(kept), len(range(1, most + 1, step)) * 8,
    )  # fmt: skip
    for (n, k, wide), macs in zip(kept, found.rows.columns[0].tolist(), strict=True):
        assert macs == 3 * k * k * n * (2 if wide else 1) * 64


def test_computed_values_of_computed_values_and_of_shapes(tmp_path: Path) -> None:
    path = tmp_path / "small.arch"
    path.write_text(TEXT)
    made = related(
        str(path), "image=8 * t", "t=ceil(s / 2)", "s=1..9", "k=1 if s < 4 else 3", "batch=s + 1", "n=s"
    )
    assert not made.engine().untraceable
    found = sweep_rows(Sweeper(made, SweepAsked()))
    for s, macs, params in zip(range(1, 10), *(c.tolist() for c in found.rows.columns), strict=True):
        side, k = 8 * math.ceil(s / 2), 1 if s < 4 else 3
        network = archcalc.analyze(path, {"image": (3, side, side), "k": k, "n": s}).totals
        assert (macs, params) == (network.macs, network.params)


def test_the_batch_can_be_computed() -> None:
    found = archcalc.sweep("lenet5", {"n": [1, 2, 2.5], "batch": "4 * n - 2"}, columns=["activation_bytes"])
    expected = [archcalc.analyze("lenet5", batch=batch).totals.activation_bytes for batch in (2, 6, 8)]
    assert found["activation_bytes"].tolist() == expected
    wrong = archcalc.sweep("lenet5", {"n": [1, 2], "batch": "n / 2"}, columns=["macs"])
    assert wrong.problems == ["`batch` needs a whole number of at least 1, got 0.5", ""]


def test_the_largest_value_that_a_condition_keeps() -> None:
    made = related("resnet50", "image=32..1024", where=("image % 48 == 0",), expectations=["macs <= 10G"])
    solution = solve(made)
    assert solution.best is not None
    assert solution.beyond is not None
    assert (solution.best.shown, solution.beyond.shown) == ("336", "384")
    assert archcalc.analyze("resnet50", {"image": (3, 336, 336)}).totals.macs == solution.best.limited[0]


def test_columns_of_files_have_one_type(tmp_path: Path, run: Any) -> None:
    """Blocks of a data set fit together, although the first one has whole widths only."""
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    from archcalc.sweeping.rows.parquet import ParquetWriter

    made = related(
        "mobilenet_v1", "width=1..2:0.5", "resolution=32..34", "shallow=true,false", "t=width * 2",
        where=("t >= 2",),
    )  # fmt: skip
    sweeper = Sweeper(made, SweepAsked())
    sweeper.size = 5
    for number in range(sweeper.count):
        with (tmp_path / f"{number}.parquet").open("wb") as stream:
            writer = ParquetWriter(made, sweeper.engine, stream)
            writer.write(sweeper.block(number).rows)
            writer.close()
    schemas = {str(parquet.read_schema(path)) for path in tmp_path.iterdir()}
    assert len(schemas) == 1
    table = parquet.read_table(tmp_path)
    assert [str(table.schema.field(name).type) for name in ("width", "resolution", "shallow", "t")] == [
        "double", "int64", "bool", "double",
    ]  # fmt: skip
    assert table["t"].to_pylist() == [2 * width for width in table["width"].to_pylist()]
    assert arrow.compute.max(table["t"]).as_py() == 4


# --- What is wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sets", "where", "message"),
    [
        (["classes=b", "b=classes"], [], "values are computed from each other: `"),
        (["classes=5..9"], ["clases > 6"], "unknown name `clases`"),
        (["classes=5..9"], ["classes"], "a condition must be true or false, not a number"),
        (["classes=5..9"], ["1 < classes < 3"], "expected one comparison"),
        (["classes=5..9"], ["true within 5% of classes"], "`within` compares numbers, not a truth value"),
        (["classes=5..9"], ["1 / (classes - 7) > 0"], "`--where` at classes=7: division by zero"),
        (["classes=b + 1"], [], "unknown name `b`"),
        (["b=1..3"], ["b > 1"], "`lenet5` has no parameter `b`"),
        (["b=1..3", "c=b"], [], "`lenet5` has no parameter `c`"),
    ],
)
def test_mistakes(sets: list[str], where: list[str], message: str) -> None:
    with pytest.raises(ArchError) as problem:
        sweep_rows(Sweeper(related("lenet5", *sets, where=tuple(where)), SweepAsked()))
    assert message in problem.value.diagnostics[0].message


def test_nothing_is_kept(run: Any) -> None:
    result = run("sweep", "lenet5", "--set", "classes=5..9", "--where", "classes > 9")
    assert result.out == "lenet5\n\n5 points, 0 that `--where` keeps\nno point is one that `--where` keeps\n"
    result = run(
        "solve", "lenet5", "--find", "classes=5..9", "--where", "classes > 9", "--expect", "macs < 1"
    )
    assert "error: no value of `classes` is one that `--where` keeps" in result.err


def test_a_computed_value_that_fails_is_a_row_that_says_why(run: Any) -> None:
    result = run(
        "sweep",
        "lenet5",
        "--set",
        "b=0..2",
        "--set",
        "classes=10 // b",
        "--columns",
        "macs",
        "--format",
        "csv",
    )
    assert result.out.splitlines()[1] == "0,,,division by zero"
    assert result.out.splitlines()[2].startswith("1,10,")


def test_a_template_without_its_values_is_an_error(run: Any) -> None:
    result = run("sweep", "efficientnet", "--set", "width=1,2")
    assert result.status == 2
    assert "nothing gives `depth` and `resolution` and `dropout_rate` a value" in result.err


def test_a_large_space_is_filtered_before_networks_are_made() -> None:
    """Of a million points, nine are kept: their networks alone are computed."""
    made = related(
        "mobilenet_v1", "width=0.01..1:0.001", "resolution=1..1009",
        where=("resolution * width == 128", "resolution % 8 == 0"),
    )  # fmt: skip
    sweeper = Sweeper(made, SweepAsked())
    found = sweep_rows(sweeper)
    assert found.totals.points == made.space.size == 991 * 1009
    values = [d.value(int(c[0])) for d, c in zip(made.space.dimensions, found.rows.digits, strict=True)]
    assert values[0] * values[1] == 128
    assert sum(ending.points for ending in sweeper.engine.endings) == found.rows.count < 20
    assert np.all(found.rows.errors < 0)
