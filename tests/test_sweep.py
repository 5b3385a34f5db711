"""Sweeps: every figure of every point is the one that `archcalc report` has for it."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from once_for_all import once_for_all

import archcalc
from archcalc.catalog import open_shipped, shipped
from archcalc.cli import app
from archcalc.diagnostics import ArchError
from archcalc.quantities import OF_TRAINING, TOTALS
from archcalc.sweeping import resume, view
from archcalc.sweeping.algebra import Algebra
from archcalc.sweeping.blocks import SweepAsked, Sweeper
from archcalc.sweeping.engine import Engine
from archcalc.sweeping.expressions import NEGATIVE, ZERO
from archcalc.sweeping.plan import SweepPlan, plan
from archcalc.sweeping.points import PointValues
from archcalc.sweeping.run import Found, sweep_rows
from archcalc.sweeping.space import Dimension, parse_dimension

EVERY = [quantity.name for quantity in TOTALS]


def planned(net: str, *sets: str, columns: Sequence[str] = EVERY, expect: Sequence[str] = ()) -> SweepPlan:
    return plan(net, [parse_dimension(text, "--set") for text in sets], columns, expect)


def differences(made: SweepPlan, points: Any) -> tuple[list[str], Engine]:
    """Points whose figures or messages differ from those of a network made and measured by itself."""
    engine = made.engine()
    found = engine.evaluate(made.space.digits(np.asarray(points)))
    wrong = []
    for place in range(found.count):
        digits = [values[place] for values in found.digits]
        values = made.space.values(digits)
        error = int(found.errors[place])
        try:
            expected = [int(figure) for figure in made.measure(values)]
        except ArchError as problem:
            message = problem.diagnostics[0].message
            if error < 0 or engine.problem(error, digits) != message:
                wrong.append(f"{values}: not `{message}`")
            continue
        computed = [int(column[place]) for column in found.columns]
        if error >= 0 or computed != expected:
            wrong.append(f"{values}: {computed} for {expected}, error {error}")
    return wrong, engine


def varied(net: str) -> list[Dimension]:
    """A dimension for each parameter of a network that can be varied, with values that are not valid too."""
    network = open_shipped(net).network()
    shapes = {node.shape for node in network.inputs.values()}
    found = []
    for name, value in network.parameters.items():
        if isinstance(value, bool):
            found.append(Dimension(name, 2, (True, False)))
        elif type(value) is int:
            found.append(Dimension(name, min(2 * value + 3, 300), (), max(0, value - 150)))
        elif isinstance(value, Fraction) and value:
            found.append(Dimension(name, 40, (), 0, value / 20))
        elif value in shapes and len(value) > 1:
            found.append(Dimension(name, 90, (), max(1, value[1] - 60)))
    return found


NETS = [
    "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "resnet18", "resnet50",
    "preresnet_cifar", "densenet121", "vgg16", "googlenet", "squeezenet1_0", "shufflenet_v2_x1_0", "lenet5",
    "alexnet", "nin_cifar", "unet", "crnn", "swin_t", "vit_b_16", "edsr_baseline", "zfnet", "highway_fc50_10",
    "maxvit_t", "xception", "cbam_resnet50", "wide_resnet50_2",
]  # fmt: skip


@pytest.mark.parametrize("net", [net for net in NETS if net in {each.name for each in shipped()}])
def test_figures_are_those_of_the_report(net: str) -> None:
    random = np.random.default_rng(len(net))
    dimensions = varied(net)
    if not dimensions:
        pytest.skip("the network has no parameters")
    chosen = [dimensions[n] for n in random.permutation(len(dimensions))[:3]]
    made = plan(net, chosen, EVERY)
    wrong, engine = differences(made, random.integers(0, made.space.size, 12))
    assert not engine.untraceable
    assert not wrong


def test_figures_of_training_are_those_of_the_report() -> None:
    names = [quantity.name for quantity in OF_TRAINING]
    made = planned("resnet18", "batch=1..64", "image=32..96", columns=names)
    wrong, engine = differences(made, [0, 5, 200, 1000, 4000, made.space.size - 1])
    assert not engine.untraceable
    assert not wrong


def test_a_convention_is_swept() -> None:
    settings = archcalc.settings.Settings(convention="fvcore")
    made = plan("mobilenet_v1", [parse_dimension("width=0.25..1:0.25", "--set")], ["count"], (), settings)
    wrong, _ = differences(made, np.arange(made.space.size))
    assert not wrong


TEXT = """
fn half(x) = x / 2 if x > 3 * 7 else x + 1
fn bad(x) = 10 / (x - 4) if x != 4 else 7
net odd(a=8, b=3, c=0.5, list=[1, 2, 3], way="same", deep=true) {
  input([a % 5 + 1, a + 20, a * b + 9])
  conv(max(floor(half(a)), 1), b, stride=1 + a // 9, padding=way)
  if deep and channels > 4 { conv(floor(bad(a)) + 3, 1, groups=1) -> bn }
  for x in range(b) { conv(x + 1 + list[x % 3], 3, padding=1) }
  maxpool(3, stride=2, ceil_mode=true, padding=b // 3)
  avgpool(2, padding=1, count_include_pad=false)
  upsample(scale_factor=c + 1)
  repeat min(a, 4) - 1 { relu }
  pad(a - 12) -> flatten -> fc(ceil(100 * c) ** 2 // 7 + sum([a, b]))
}
"""


def odd_points(folder: Path, points: Any) -> tuple[list[str], Engine]:
    path = folder / "odd.arch"
    path.write_text(TEXT)
    made = planned(
        str(path),
        "a=0..60",
        "b=0..7",
        "c=0..1:0.05",
        'way="same","valid"',
        "deep=true,false",
        "list=[1,2,3],[4,0]",
    )
    return differences(made, [int(point) % made.space.size for point in points])


@settings(max_examples=60, deadline=None)
@given(points=st.lists(st.integers(0, 10**9), min_size=1, max_size=8))
def test_any_text_gives_the_figures_of_the_report(
    points: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    wrong, engine = odd_points(tmp_path_factory.mktemp("odd"), points)
    assert not engine.untraceable
    assert not wrong


def test_figures_beyond_64_bits_are_exact(tmp_path: Path) -> None:
    path = tmp_path / "huge.arch"
    path.write_text("net huge(n=1, k=1) { input([n, k, k]) -> conv(n, 1) -> conv(n, 3, padding=1) }\n")
    made = planned(str(path), "n=1..1000000000:7777", "k=1..1000000000:99999")
    wrong, engine = differences(made, np.random.default_rng(3).integers(0, made.space.size, 40))
    assert not wrong
    assert not engine.untraceable
    found = engine.evaluate(made.space.digits(np.array([made.space.size - 1])))
    assert found.columns[made.columns.index("macs")][0] > 2**80


# --- Expressions ---------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_expressions_have_the_values_of_integers(data: st.DataObject) -> None:
    """A random expression, built by the algebra and by plain integers, at all points at once."""
    algebra = Algebra()
    low, high = sorted(data.draw(st.tuples(st.integers(-40, 40), st.integers(-40, 40))))
    values = [np.arange(low, high + 1), np.arange(low, high + 1)[::-1] * 3 + 5]
    known = [
        (algebra.parameter(0, low, high), values[0]),
        (algebra.parameter(1, int(values[1].min()), int(values[1].max())), values[1]),
    ]
    for _ in range(data.draw(st.integers(1, 8))):
        (a, x), (b, y) = data.draw(st.sampled_from(known)), data.draw(st.sampled_from(known))
        by, factor = data.draw(st.integers(1, 9)), data.draw(st.integers(-5, 5))
        way = data.draw(st.sampled_from(["add", "multiply", "floor", "most", "least", "choice", "scale"]))
        if way == "add":
            known.append((algebra.add(a, b, factor), x + factor * y))
        elif way == "multiply":
            known.append((algebra.multiply(a, b), x * y))
        elif way == "floor":
            known.append((algebra.floor(a, by), x // by))
        elif way == "scale":
            known.append((algebra.scale(a, factor, by), x * factor + by))
        elif way == "choice":
            question, opposite = algebra.question(NEGATIVE, algebra.add(a, b, -1))
            pair = (b, a) if opposite else (a, b)
            known.append((algebra.choice(question, *pair), np.where(x < y, x, y)))
        else:
            most = way == "most"
            known.append((algebra.extreme([a, b], most), np.maximum(x, y) if most else np.minimum(x, y)))
    if max(abs(int(x.max())) for _, x in known) > 2**50:
        return
    points = PointValues(algebra, lambda index: values[index], len(values[0]))
    for expression, expected in known:
        assert (np.broadcast_to(points.of(expression), expected.shape) == expected).all()
        assert expression.low <= expected.min() and expected.max() <= expression.high  # noqa: PT018
        tight = algebra.tight(expression)
        assert tight[0] <= expected.min() and expected.max() <= tight[1]  # noqa: PT018
        for kind in (NEGATIVE, ZERO):
            question, opposite = algebra.question(kind, expression)
            answers = (expected < 0 if kind is NEGATIVE else expected == 0) != opposite
            decided = algebra.decided(question)
            assert decided is None or (answers == decided).all()
            assert (points.answers(question) == answers).all()


def test_a_quotient_of_a_quotient_is_one() -> None:
    algebra = Algebra()
    n = algebra.parameter(0, 1, 10**6)
    half = algebra.scale(algebra.floor(algebra.scale(n, 1, -1), 2), 1, 1)
    quarter = algebra.scale(algebra.floor(algebra.scale(half, 1, -1), 2), 1, 1)
    assert quarter is algebra.scale(algebra.floor(algebra.scale(n, 1, -1), 4), 1, 1)


# --- The command ---------------------------------------------------------------------------------------


def test_a_table_of_every_combination(run: Any) -> None:
    result = run("sweep", "mobilenet_v1", "--set", "width=0.5,1", "--set", "resolution=192..224:32")
    assert result.status == 0
    figures = [line.split() for line in result.out.splitlines() if line.split()[:1] in (["0.5"], ["1"])]
    profile = archcalc.analyze("mobilenet_v1", {"width": 0.5, "resolution": 192}).totals
    assert figures[0][:4] == ["0.5", "192", f"{profile.params:,}", f"{profile.macs:,}"]
    assert len(figures) == 4
    assert "4 points" in result.out


def test_rows_are_kept_sorted_and_limited(run: Any) -> None:
    result = run(
        "sweep", "mobilenet_v1", "--set", "width=0.1..1.4", "--expect", "macs <= 150M", "--sort=-params",
        "--limit", "2", "--format", "csv", "--columns", "macs,params",
    )  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert [row["width"] for row in rows] == ["0.5", "0.49"]
    assert rows[0]["macs"] == "149497088"
    assert "41 within all limits" in result.err


def test_a_cell_that_is_no_network_says_why(run: Any) -> None:
    result = run("sweep", "mobilenet_v1", "--set", "width=0.01,0.5", "--format", "json")
    bad, good = json.loads(result.out)["rows"]
    assert bad["problem"] == "`out_channels` of `conv` needs a whole number of at least 1, got 0"
    assert good["figures"]["macs"] == 149497088


def test_nothing_within_the_limits_shows_the_nearest(run: Any) -> None:
    result = run("sweep", "mobilenet_v1", "--set", "width=0.5..1", "--expect", "macs <= 1M")
    assert "no point is within all limits; the nearest is width=0.5: macs is 149,497,088" in result.out


def test_sides_of_shapes_and_the_batch(run: Any) -> None:
    result = run(
        "sweep", "resnet50", "--set", "image=224,256", "--set", "batch=1,8", "--columns", "macs,peak_bytes",
        "--format", "json",
    )  # fmt: skip
    rows = json.loads(result.out)["rows"]
    profile = archcalc.analyze("resnet50", {"image": (3, 256, 256)}, batch=8)
    assert rows[3]["values"] == {"image": 256, "batch": 8}
    assert rows[3]["figures"] == {"macs": profile.totals.macs, "peak_bytes": profile.totals.peak_bytes}


def test_a_network_of_a_file_that_is_no_text(run: Any) -> None:
    """An ONNX model has no parameters. Its networks are made one by one."""
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper, save

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    weight = helper.make_tensor("k", TensorProto.FLOAT, [4, 3, 3, 3], [0.0] * 108)
    node = helper.make_node("Conv", ["x", "k"], ["y"], pads=[1, 1, 1, 1])
    save(helper.make_model(helper.make_graph([node], "g", [x], [y], [weight])), "m.onnx")
    result = run(
        "sweep", "m.onnx", "--input", "x=3x8x8", "--set", "batch=1,2", "--columns", "macs,activation_bytes",
        "--format", "csv",
    )  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert [row["activation_bytes"] for row in rows] == ["1024", "2048"]


def test_operations_that_are_not_known_are_said(run: Any) -> None:
    Path("opaque.arch").write_text('net n {\n  input(3x8x8)\n  opaque(identity, op="roll", shape=3x8x8)\n}\n')
    result = run("sweep", "opaque.arch", "--set", "batch=1,2", "--columns", "macs")
    assert result.status == 2
    assert "error: `macs` is incomplete without" in result.err


def test_a_space_that_takes_too_long_is_refused(run: Any) -> None:
    result = run("sweep", "mobilenet_v1", "--set", "width=0.1..100:0.0001", "--set", "classes=1..1000000")
    assert result.status == 2
    assert "error: the space has 999,001,000,000 points: about" in result.err
    assert "TB of figures" in result.err
    few = run(
        "sweep",
        "mobilenet_v1",
        "--set",
        "width=0.1..100:0.0001",
        "--set",
        "classes=1..1000000",
        "--limit",
        "3",
    )
    assert "3 shown" in few.out


def test_a_single_network_and_inputs_of_other_names(run: Any) -> None:
    one = run("sweep", "vgg16", "--set", "classes=10", "--columns", "macs", "--format", "json")
    (row,) = json.loads(one.out)["rows"]
    assert row["figures"]["macs"] == archcalc.analyze("vgg16", {"classes": 10}).totals.macs
    Path("named.arch").write_text("net n {\n  image: input(3x8x8)\n  conv(4, 3)\n}\n")
    Path("flat.arch").write_text("net n {\n  input(8)\n  fc(4)\n}\n")
    for name, macs in (("named.arch", [108 * 36, 108 * 64]), ("flat.arch", [32, 40])):
        found = run("sweep", name, "--set", "input=8,10", "--columns", "macs", "--format", "json")
        assert [row["figures"]["macs"] for row in json.loads(found.out)["rows"]] == macs


def test_columns_for_python() -> None:
    found = archcalc.sweep(
        "mobilenet_v1",
        {"width": "0.25..1:0.25", "resolution": [160, 224]},
        expect="macs <= 300M",
        sort="-macs",
    )
    assert found.kept == found.rows == len(found["macs"])
    expected = [
        archcalc.analyze("mobilenet_v1", {"width": w, "resolution": int(r)}).totals.macs
        for w, r in zip(found["width"], found["resolution"], strict=True)
    ]
    assert found["macs"].tolist() == expected == sorted(expected, reverse=True)


def test_invalid_points_for_python() -> None:
    found = archcalc.sweep("mobilenet_v1", {"width": [0.01, 0.5]}, columns=["macs"])
    assert found["macs"].tolist() == [-1, 149497088]
    assert found.invalid == 1
    assert "out_channels" in found.problems[0]
    assert not found.problems[1]


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    values = {"width": "0.1..2:0.001", "resolution": "32..512"}
    one, two, other = (archcalc.sweep("mobilenet_v1", values, sample=50, seed=seed) for seed in (1, 1, 2))
    assert one["macs"].tolist() == two["macs"].tolist() != other["macs"].tolist()


def test_once_for_all(tmp_path: Path) -> None:
    """A space of 46 choices, of which no machine computes all points: a sample, each point checked."""
    text, sets = once_for_all()
    path = tmp_path / "ofa.arch"
    path.write_text(text)
    assert len(sets) == 46
    made = planned(str(path), *sets, columns=["macs", "params"])
    assert made.space.size > 10**20
    engine = made.engine()
    digits = made.space.drawn(40, 0, 0)
    found = engine.evaluate(digits)
    for place in range(40):
        values = made.space.values([each[place] for each in digits])
        assert [int(column[place]) for column in found.columns] == made.measure(values)
    assert not engine.untraceable


@pytest.mark.parametrize(
    ("net", "sets", "size"),
    [
        ("mobilenet_v1", ["image=128,160"], "resolution"),
        ("mobilenet_v1", ["image=128,160", "width=0.5"], "resolution"),
        ("resnet50", ["resolution=128,160"], "image"),
        ("efficientnet", ["image=128,160", "width=1", "depth=1", "dropout_rate=0"], "resolution"),
        ("mobilenet_v1", ["image=128,160", "resolution=160"], None),  # given as well
        ("efficientnet", ["image=128,160"], None),  # a template that cannot be made
        ("mobilenet_v1", ["resolutoin=128,160"], None),  # a misspelling has its own remedy
    ],
)
def test_the_parameter_of_the_size_is_suggested(net: str, sets: list[str], size: str | None) -> None:
    with pytest.raises(ArchError, match="has no parameter") as problem:
        planned(net, *sets)
    help = problem.value.diagnostics[0].help or ""
    assert help.startswith(f"`{size}` sets the size of its input; it has ") == (size is not None)
    assert ("sets the size" in help) == (size is not None)


# --- Going on after a kill -------------------------------------------------------------------------------


def stored(made: SweepPlan, output: Path) -> Found:
    return sweep_rows(resume.StoringSweeper(made, SweepAsked(), output))


def killed_after(blocks: int, made: SweepPlan, output: Path) -> list[int]:
    """Interrupt a sweep while it computes a block, then start it again: the blocks that it computes."""
    computed: list[int] = []
    compute = Sweeper.block
    with pytest.MonkeyPatch.context() as patched:

        def block(self: Sweeper, number: int) -> Any:
            computed.append(number)
            if len(computed) == blocks + 1:
                raise KeyboardInterrupt
            return compute(self, number)

        patched.setattr(Sweeper, "block", block)
        with pytest.raises(KeyboardInterrupt):
            stored(made, output)
        del computed[:]
        patched.setattr(
            Sweeper, "block", lambda self, number: computed.append(number) or compute(self, number)
        )  # type: ignore[func-returns-value]
        found = stored(made, output)
    whole = sweep_rows(Sweeper(made, SweepAsked()))
    assert (found.rows.columns[0] == whole.rows.columns[0]).all()
    assert found.rows.count == whole.rows.count
    some = range(0, min(99, found.rows.count), 7)
    assert [found.problem(row) for row in some] == [whole.problem(row) for row in some]
    assert found.totals.invalid == whole.totals.invalid
    return computed


def test_a_killed_sweep_goes_on(tmp_path: Path) -> None:
    made = planned("mobilenet_v1", "width=0.1..2:0.001", "resolution=64..400", columns=["macs"])
    output = tmp_path / "all.csv"
    assert Sweeper(made, SweepAsked()).count == 5
    assert killed_after(3, made, output) == [3, 4]
    resume.forget(output)
    assert not list(tmp_path.iterdir())


def test_blocks_with_invalid_networks_and_without_rows_are_kept(tmp_path: Path) -> None:
    output = tmp_path / "all.csv"
    made = planned("mobilenet_v1", "width=0.01..1.9:0.001", "resolution=64..400", columns=["macs"])
    assert killed_after(2, made, output) == [2, 3, 4]
    limited = planned(
        "mobilenet_v1", "width=0.01..1.9:0.001", "resolution=64..400", columns=["macs"], expect=["macs < 10"]
    )
    assert killed_after(4, limited, output) == [4]


@pytest.mark.parametrize("damage", ["empty", "short", "flipped", "text", "moved"])
def test_a_damaged_block_is_computed_again(damage: str, tmp_path: Path) -> None:
    made = planned("mobilenet_v1", "width=0.1..2:0.001", "resolution=64..200", columns=["macs"])
    output = tmp_path / "all.csv"
    whole = stored(made, output)
    first, second = sorted(resume.folder_of(output).glob("*.npz"))[:2]
    data = first.read_bytes()
    middle = len(data) // 2
    first.write_bytes(
        {
            "empty": b"",
            "short": data[:middle],
            "flipped": data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :],
            "text": b"PK\x03\x04 zzz",
            "moved": second.read_bytes(),
        }[damage]
    )
    again = stored(made, output)
    assert (again.rows.columns[0] == whole.rows.columns[0]).all()


@pytest.mark.parametrize("output", [".", "/", ""])
def test_a_folder_is_no_output(output: str, run: Any) -> None:
    sets = ["--set", "width=0.1..2:0.001", "--set", "resolution=64..400"]
    result = run("sweep", "mobilenet_v1", *sets, "--format", "csv", "-o", output)
    assert (result.status, result.out) == (2, "")
    assert "is a folder" in result.err
    assert not list(Path().iterdir())


@pytest.mark.parametrize(("suffix", "blocks"), [("csv", 2), ("csv", 5), ("parquet", 2)])
def test_no_row_is_lost_or_doubled_by_kill_9(suffix: str, blocks: int, tmp_path: Path) -> None:
    """The command is killed among its five blocks, or while it writes the file, and given again."""
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    sets = ("width=0.1..2:0.001", "resolution=64..400")
    output = tmp_path / f"all.{suffix}"
    command = [sys.executable, "-m", "archcalc", "sweep", "mobilenet_v1", "--columns", "macs"]
    command += ["--set", sets[0], "--set", sets[1], "--format", suffix, "-o", str(output)]
    made = planned("mobilenet_v1", *sets, columns=["macs"])
    assert Sweeper(made, SweepAsked()).count == 5
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 120
        while len(list(resume.folder_of(output).glob("*.npz"))) < blocks and time.monotonic() < end:
            time.sleep(0.002)
        process.kill()  # SIGKILL: nothing can be put in order
    assert process.returncode == -signal.SIGKILL
    kept = [path.name for path in resume.folder_of(output).glob("*.npz")]
    assert blocks <= len(kept) <= 5
    assert not output.exists()

    used: list[str] = []
    read = resume.StoringSweeper._stored

    def stored_block(self: resume.StoringSweeper, path: Path, number: int) -> Any:
        found = read(self, path, number)
        if found is not None:
            used.append(path.name)
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(resume.StoringSweeper, "_stored", stored_block)
        app(command[3:], standalone_mode=False)
    assert sorted(used) == sorted(kept)  # none is computed again
    assert [path.name for path in tmp_path.iterdir()] == [output.name]
    whole = sweep_rows(Sweeper(made, SweepAsked()))
    assert whole.rows.count == made.space.size == 1901 * 337
    if suffix == "csv":
        lines = output.read_text().splitlines()[1:]
        assert len({tuple(line.split(",")[:2]) for line in lines}) == len(lines) == made.space.size
        assert output.read_text() == view.csv_heading(made) + view.csv_rows(made, whole.engine, whole.rows)
    else:
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(output)
        assert table["macs"].to_numpy().tolist() == whole.rows.columns[0].tolist()
        points = zip(table["width"].to_pylist(), table["resolution"].to_pylist(), strict=True)
        assert len(set(points)) == len(table) == made.space.size


def test_blocks_of_another_sweep_are_not_used(tmp_path: Path) -> None:
    output = tmp_path / "all.csv"
    for width in ("0.1..2:0.001", "0.2..2.1:0.001"):
        made = planned("mobilenet_v1", f"width={width}", "resolution=64..200", columns=["macs"])
        found = stored(made, output)
        assert found.rows.columns[0][0] == made.measure(made.space.values([0, 0]))[0]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process in /proc")
def test_the_whole_command_is_fast(tmp_path: Path) -> None:
    """A million points in a few seconds of one core, whatever else runs: 2 were measured, 10 are allowed."""
    script = (
        "import resource, sys; from archcalc.cli import app; "
        "app(sys.argv[1:], standalone_mode=False); print(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]), "
        # not `ru_maxrss`, which begins with the memory of the process that started this one
        "open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    )
    command = [
        sys.executable, "-c", script, "sweep", "mobilenet_v1", "--set", "width=0.01..2:0.001", "--set",
        "resolution=1..503", "--sort", "macs", "--limit", "3",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    seconds, kilobytes = done.stdout.splitlines()[-1].split()
    assert float(seconds) < 10
    assert int(kilobytes) < 500_000


# --- What is drawn, and written ------------------------------------------------------------------------


def test_a_plot(run: Any) -> None:
    result = run(
        "sweep", "mobilenet_v1", "--set", "width=0.25..1.4", "--plot", "macs:params", "-o", "sweep.svg"
    )
    assert result.status == 0, result.err
    assert "<svg" in Path("sweep.svg").read_text()[:500]


def test_parquet(run: Any) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    result = run(
        "sweep", "mobilenet_v1", "--set", "width=0.01..0.5", "--format", "parquet", "-o", "all.parquet"
    )
    assert result.status == 0, result.err
    columns = parquet.read_table("all.parquet").to_pydict()
    assert columns["macs"][-1] == 149497088
    assert columns["macs"][0] is None
    assert "out_channels" in columns["problem"][0]
