"""Sweeps of networks of other files: importers are traced too, and traces are compared with networks."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archcalc
from archcalc.number import Symbolic
from archcalc.settings import Settings
from archcalc.sweeping.plan import SweepPlan, plan
from archcalc.sweeping.solving.search import solve
from archcalc.sweeping.space import Dimension, Space, parse_dimension
from archcalc.sweeping.tracing.engine import Engine

onnx = pytest.importorskip("onnx")


def write_model(path: Path, *, folded: bool = False, ceil: bool = True) -> None:
    """A network of convolutions for images of any size; `folded` has a `Reshape` by computed sizes too."""
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    x = helper.make_tensor_value_info("x", float32, ["n", 3, "h", "w"])
    y = helper.make_tensor_value_info("y", float32, None)
    arrays = [
        helper.make_tensor(name, float32, shape, [0.5] * int(np.prod(shape)))
        for name, shape in (("k1", [4, 3, 3, 2]), ("k2", [8, 4, 4, 5]), ("w", [10, 8]), ("b", [10]))
    ]
    nodes = [
        helper.make_node("Conv", ["x", "k1"], ["a"], strides=[2, 1], pads=[1, 0, 1, 1]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["m"], kernel_shape=[3, 2], strides=[2, 2], ceil_mode=int(ceil)),
        helper.make_node("Conv", ["m", "k2"], ["c"], pads=[2, 2, 1, 2], strides=[1, 3]),
        helper.make_node("GlobalAveragePool", ["c"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["y"], transB=1),
    ]
    if folded:
        arrays.append(onnx.numpy_helper.from_array(np.array([2, -1]), "halves"))
        nodes[1:2] = [
            helper.make_node("Shape", ["a"], ["s1"]),
            helper.make_node("Slice", ["s1", "from1", "to1"], ["front"]),
            helper.make_node("Slice", ["s1", "from2", "to2"], ["back"]),
            helper.make_node("Concat", ["front", "two", "half", "back"], ["to"], axis=0),
            helper.make_node("Reshape", ["a", "to"], ["wide"]),
            helper.make_node("Transpose", ["wide"], ["turned"], perm=[0, 2, 1, 3, 4]),
            helper.make_node("Reshape", ["turned", "s1"], ["shuffled"]),
            helper.make_node("Relu", ["shuffled"], ["r"]),
        ]
        for name, value in (("from1", 0), ("to1", 1), ("from2", 2), ("to2", 4), ("two", 2), ("half", 2)):
            arrays.append(onnx.numpy_helper.from_array(np.array([value]), name))
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [x], [y], arrays)), path)


def planned(path: Path, text: str, *expect: str) -> SweepPlan:
    given = Settings(inputs={"input": (3, 16, 16)})
    return plan(str(path), [parse_dimension(text, "--set")], ["macs", "params", "flops"], expect, given)


@pytest.mark.parametrize("folded", [False, True])
def test_figures_are_those_of_networks_read_one_by_one(folded: bool, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    write_model(path, folded=folded)
    made = planned(path, "input=1..90")
    engine = made.engine()
    found = engine.evaluate([np.arange(90)])
    complete = 0
    for side in range(1, 91):
        error = int(found.errors[side - 1])
        network = archcalc.load(path, inputs=(3, side, side))
        assert (error < 0) == network.is_complete, side  # a pool beyond the image is not read
        if network.is_complete:
            totals = archcalc.analyze(network).totals
            columns = [int(column[side - 1]) for column in found.columns]
            assert columns == [totals.macs, totals.params, totals.flops], side
            complete += 1
        else:
            message = "`macs` is incomplete without GlobalAveragePool"
            assert engine.problem(error, [side - 1]) == message
    assert complete == 88
    assert folded or not engine.untraceable  # a few traces are enough for sizes that layers compute
    assert folded or len(engine.endings) < 12


def test_by_hand(tmp_path: Path) -> None:
    """The MACs of the convolutions, for one side: 3·2 over 3 channels to 4, then 4·5 over 4 to 8."""
    path = tmp_path / "m.onnx"
    write_model(path)
    # 23x23 becomes (23 + 2 - 3) // 2 + 1 = 12 by 23, then ceil((12 - 3) / 2) + 1 = 6 by 12, then 6 by 4
    macs = 12 * 23 * 3 * 6 * 4 + 6 * 4 * 4 * 20 * 8 + 8 * 10
    made = planned(path, "input=20..30")
    found = made.engine().evaluate([np.array([3])])
    assert int(found.columns[0][0]) == macs


def test_the_largest_side_is_proved(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    write_model(path, ceil=False)
    solution = solve(planned(path, "input=40..100000", "macs <= 100M"))
    assert solution.best is not None
    assert solution.how.startswith("macs never falls while input grows: proved")
    side = int(solution.best.shown)
    fits, not_any_more = (
        archcalc.analyze(archcalc.load(path, inputs=(3, n, n))).totals.macs for n in (side, side + 1)
    )
    assert fits <= 100_000_000 < not_any_more


def test_the_command(tmp_path: Path, run: Any) -> None:
    """The input is `x` in the file; `--input` gives its channels, because the file leaves sizes open."""
    write_model(Path("m.onnx"))
    result = run(
        "sweep", "m.onnx", "--input", "3x16x16", "--set", "input=16,24", "--set", "batch=2", "--columns",
        "macs,activation_bytes", "--format", "csv",
    )  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(result.out)))
    for row, side in zip(rows, (16, 24), strict=True):
        totals = archcalc.analyze(archcalc.load("m.onnx", inputs=(3, side, side)), batch=2).totals
        assert (row["macs"], row["activation_bytes"]) == (str(totals.macs), str(totals.activation_bytes))
    without = run("solve", "m.onnx", "--find", "batch=1..9", "--expect", "activation_bytes <= 1MB")
    assert without.status == 2
    assert "not all sizes are numbers\nhelp: give its shape without the batch" in without.err


# --- Traces that are wrong ------------------------------------------------------------------------------


def space_of(*values: int) -> Space:
    return Space((Dimension("n", len(values), values),))


def test_a_trace_that_is_wrong_at_its_point_is_not_used() -> None:
    engine = Engine(
        space_of(3, 5, 9), lambda v: [7 if isinstance(v["n"], Symbolic) else v["n"]], 1, doubts=True
    )
    assert engine.evaluate([np.arange(3)]).columns[0].tolist() == [3, 5, 9]
    assert engine.untraceable == "symbolic sizes give other figures"


def test_a_trace_that_is_wrong_at_other_points_is_not_used() -> None:
    """It takes another way for symbolic numbers, which happens to be right at the point that is traced."""
    engine = Engine(
        space_of(3, 5, 9), lambda v: [3 if isinstance(v["n"], Symbolic) else v["n"]], 1, doubts=True
    )
    assert engine.evaluate([np.arange(3)]).columns[0].tolist() == [3, 5, 9]
    assert engine.untraceable == "symbolic sizes give other figures"


def test_another_error_is_not_used() -> None:
    def measure(values: Any) -> list[int]:
        if not isinstance(values["n"], Symbolic):
            return [1]
        raise archcalc.ArchError([archcalc.diagnostics.Diagnostic("no symbols")])

    engine = Engine(space_of(3, 5, 9), measure, 1, doubts=True)
    found = engine.evaluate([np.arange(3)])
    assert found.columns[0].tolist() == [1, 1, 1]
    assert found.errors.tolist() == [-1, -1, -1]


def test_traces_that_cover_one_point_each_are_given_up() -> None:
    made: list[int] = []

    def measure(values: Any) -> list[int]:
        made.append(1)
        return [int(values["n"]) ** 2]  # `int` fixes the value

    engine = Engine(space_of(*range(200)), measure, 1, doubts=True)
    assert engine.evaluate([np.arange(200)]).columns[0].tolist() == [n * n for n in range(200)]
    assert engine.untraceable == "a trace covers too few points"
    assert len(made) < 240
