"""What users ask by mistake, or beyond what there is: `sweep`, `solve`, `formula`, and `archcalc.sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archcalc
from archcalc.sweeping.plan import plan
from archcalc.sweeping.solving import solve
from archcalc.sweeping.space import parse_dimension

WIDTHS = ["--set", "width=0.01,0.5"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dtype", "foo"], "unknown dtype `foo`"),
        (["--optimizer", "foo"], "unknown optimizer `foo`"),
        (["--convention", "foo"], "convention `foo`"),
        (["--batch", "0"], "the batch must be a whole number"),
        (["--freeze", "nothing"], "`nothing`"),
        (["--expect", 'macs("nothing") < 1G'], "`nothing`"),
        (["--set", "batch=1,2", "--batch", "7"], "`batch` is set twice"),
        (["--set", "batch=1,2", "--expect", "peak_bytes <= 1 * vgg16"], "depends on the batch, which varies"),
        (["--dtype", "int8", "--columns", "saved_bytes"], "training in int8 is not supported"),
        (["--plot", "macs:params", "--format", "csv"], "`--plot` draws SVG"),
    ],
)
def test_mistakes_are_errors_and_not_rows(options: list[str], message: str, run: Any) -> None:
    result = run("sweep", "mobilenet_v1", *WIDTHS[:1], "width=0.25,0.5", *options)
    assert result.status == 2
    assert result.out == ""
    assert message in result.err


@pytest.mark.parametrize("options", [["--dtype", "foo"], ["--expect", 'macs("nothing") <= 1G']])
def test_mistakes_are_no_answers(options: list[str], run: Any) -> None:
    result = run("solve", "mobilenet_v1", "--find", "width=0.1..2", "--expect", "macs <= 1G", *options)
    assert (result.status, result.out) == (2, "")


def test_a_ratio_with_a_fixed_batch_and_of_what_no_batch_changes(run: Any) -> None:
    result = run(
        "sweep", "mobilenet_v1", "--set", "batch=1,8", "--expect", "macs <= 0.5 * vgg16", "--columns", "macs"
    )
    assert "2 within all limits" in result.out


def test_the_order_of_values_does_not_matter(tmp_path: Path) -> None:
    """The first value of `kind` is not valid, so the image's default is found with another one."""
    path = tmp_path / "kinds.arch"
    path.write_text(
        'net n(kind="a", image=[3, 8, 8]) {\n  input(image)\n'
        '  if kind == "a" { conv(4, 3) } else { fc(2) }\n}\n'
    )
    for kinds in ('"b","a"', '"a","b"'):
        made = plan(
            str(path), [parse_dimension(text, "--set") for text in (f"kind={kinds}", "image=32,64")], ["macs"]
        )
        found = made.engine().evaluate(made.space.digits(np.arange(4)))
        assert sorted(found.columns[0][found.errors < 0].tolist()) == [108 * 30 * 30, 108 * 62 * 62]


def test_a_sample_of_more_points_than_there_are_is_every_point(run: Any) -> None:
    found = archcalc.sweep("vgg16", {"classes": [1, 10]}, columns=["params"], sample=5)
    assert found["classes"].tolist() == [1, 10]
    some = run(
        "sweep", "vgg16", "--set", "classes=1..100", "--sample", "5", "--format", "json", "--columns", "macs"
    )
    assert '"complete": false' in some.out


# --- Answers --------------------------------------------------------------------------------------------


def test_values_below_the_answer_that_do_not_hold_are_counted(run: Any) -> None:
    """MACs rise with the width, so those below 250M are below the answer: nothing goes up and down."""
    find = ["--find", "width=0.74..1.16:0.01", "--expect", "macs >= 250M", "--expect", "macs <= 330M"]
    result = run("solve", "mobilenet_v2", *find)
    low = [
        n for n in range(74, 117)
        if archcalc.analyze("mobilenet_v2", {"width": n / 100}).totals.macs < 250_000_000
    ]  # fmt: skip
    assert f"{len(low)} values below the answer do not hold\n" in result.out


def test_gaps_are_not_counted_where_only_the_end_was_tried() -> None:
    dimensions = [parse_dimension("image=64..1024", "--find")]
    solution = solve(plan("resnet18", dimensions, ["macs"], ["macs >= 1G"]))
    assert solution.best is not None
    assert (solution.best.shown, solution.gaps) == ("1024", None)


def test_the_nearest_misses_both_limits_least() -> None:
    limits = ["macs within 5% of 500M", "params > 3M"]
    dimensions = [parse_dimension("width=0.1..0.6", "--find")]
    solution = solve(plan("mobilenet_v1", dimensions, ["macs"], limits))
    assert solution.best is None
    assert solution.nearest is not None

    def missed(hundredths: int) -> float:
        totals = archcalc.analyze("mobilenet_v1", {"width": hundredths / 100}).totals
        low = max(0, 475_000_000 - totals.macs) / 475_000_000
        high = max(0, totals.macs - 525_000_000) / 525_000_000
        return low + high + max(0, 3_000_001 - totals.params) / 3_000_001

    assert solution.nearest.shown == str(min(range(10, 61), key=missed) / 100)


def test_a_figure_with_another_expression_for_each_value_has_no_formula(run: Any) -> None:
    for net, sets in (("resnet50", "n2=1..30"), ("densenet121", "n1")):
        result = run("formula", net, "macs", "--set", sets)
        assert result.status == 2
        assert "has no short formula: each value of" in result.err
    end = run("formula", "lenet5", "macs", "--set", "classes=0..1", "--set", "batch=1,2")
    assert end.status == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"values": {}}, "nothing varies"),
        ({"seed": -1}, "`seed` must be a whole number of at least 0"),
        ({"limit": -3}, "`limit` must be a whole number of at least 1"),
        ({"sample": 0}, "`sample` must be a whole number of at least 1"),
        ({"net": 3}, "not from a int"),
    ],
)
def test_mistakes_in_python(given: dict[str, Any], message: str) -> None:
    arguments = {"net": "vgg16", "values": {"classes": [1, 2]}} | given
    with pytest.raises(archcalc.ArchError, match=message):
        archcalc.sweep(arguments.pop("net"), arguments.pop("values"), **arguments)


def test_columns_as_a_text() -> None:
    found = archcalc.sweep("vgg16", {"classes": [1, 2]}, columns="macs,params")
    assert list(found) == ["classes", "macs", "params"]
