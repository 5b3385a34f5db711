"""Running networks: from Python, from the command line, and with bad input."""

from __future__ import annotations

import io
import pickle
import re
import struct
import weakref
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archcalc
from archcalc import NetworkBuilder
from archcalc.catalog import open_shipped
from archcalc.diagnostics import ArchError
from archcalc.executor import memory
from archcalc.executor.execute import RunOptions, Step, execute, run
from archcalc.executor.memory import LiveTensors, Memory
from archcalc.executor.weights import load_weights, owners, random_weights
from archcalc.layers import KINDS
from archcalc.network import Network

SPEC = """\
net tiny(c=4, image=3x9x10) {
  input(image)
  stem: conv(c, 4x5, stride=1x2, padding=1) -> relu
  aux early = global_avgpool -> flatten -> fc(2)
  a: { conv(c, 3, padding=1, bias=false) -> bn }
  add(identity, a -> relu)
  flatten -> dropout -> fc(10)
}

shared block tower { conv(16, 3) -> bn -> relu -> flatten -> fc(8) }

net twins {
  left: input(1x9x7)
  right: input(1x9x7)
  sub(left -> tower, right -> tower) -> abs -> fc(1)
}

net large { input(1x1000x1000) -> conv(64, 3) }
"""
TINY = "tiny"


def net(name: str = TINY, text: str = SPEC) -> Network:
    return archcalc.loads(text, net=name)


# --- From Python ------------------------------------------------------------------------------------


def test_results_are_named_and_channels_first() -> None:
    found = run(net(), batch=3, keep=["stem", "stem/conv1", "a", "input"])
    assert {name: array.shape for name, array in found.items()} == {
        "stem": (3, 4, 8, 4),
        "stem/conv1": (3, 4, 8, 4),
        "a": (3, 4, 8, 4),
        "input": (3, 3, 9, 10),
        "output": (3, 10),
    }
    np.testing.assert_array_equal(found["stem"], np.maximum(found["stem/conv1"], 0))
    assert (found["stem/conv1"] < 0).any()


def test_one_node_under_several_names() -> None:
    several = archcalc.loads("net n { input(1x5x5)\n g: { conv(2, 3) }\n output seen = identity }")
    assert several.outputs["seen"] is several.outputs["output"]
    found = run(several, keep=["g", "g/conv1"])
    assert set(found) == {"g", "g/conv1", "seen", "output"}
    assert len({array.tobytes() for array in found.values()}) == 1


def test_several_outputs_and_inputs() -> None:
    two = archcalc.loads(
        "net n {\n a: input(2x4x5)\n b: input(2x4x5)\n"
        " output both = add(a, b)\n concat(a, b) -> conv(3, 2)\n}"
    )
    x, y = np.random.default_rng(0).standard_normal((2, 3, 2, 4, 5))
    found = run(two, {"a": x, "b": y}, batch=3, dtype=np.float64)
    assert set(found) == {"both", "output"}
    np.testing.assert_array_equal(found["both"], x + y)
    assert found["output"].shape == (3, 3, 3, 4)


def test_heads_only_if_asked_for() -> None:
    assert set(run(net())) == {"output"}
    found = run(net(), heads=True)
    assert found["early"].shape == (1, 2)
    assert "fc1" in random_weights(net(), heads=True)
    assert "fc1" not in random_weights(net())
    with pytest.raises(ArchError, match="belongs to a training head"):
        run(net(), keep=["fc1"])
    assert run(net(), keep=["fc1"], heads=True)["fc1"].shape == (1, 2)


def test_seeds() -> None:
    one, again, other = (run(net(), seed=seed)["output"] for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    dropped = [run(net(), seed=5, train=True)["output"] for _ in range(2)]
    np.testing.assert_array_equal(*dropped)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision(dtype: Any) -> None:
    found = run(net(), keep=["stem", "a"], dtype=dtype)
    assert {array.dtype for array in found.values()} == {np.dtype(dtype)}
    x = np.ones((1, 3, 9, 10), np.float16)
    given = run(net(), x, random_weights(net(), dtype=np.float64), dtype=dtype)
    assert given["output"].dtype == dtype


def test_training_uses_the_batch() -> None:
    found = run(net(), keep=["a/conv1", "a/bn1"], batch=4, train=True, dtype=np.float64)
    weights = random_weights(net(), 0, np.float64)["a/bn1"]
    x = found["a/conv1"]
    mean, variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    normal = (x - mean[:, None, None]) / np.sqrt(variance[:, None, None] + 1e-5)
    expected = normal * weights["weight"][:, None, None] + weights["bias"][:, None, None]
    np.testing.assert_allclose(found["a/bn1"], expected, rtol=1e-9, atol=1e-12)


def test_shared_weights() -> None:
    twins = net("twins")
    weights = random_weights(twins, dtype=np.float64)
    assert [path for path in weights if "fc" not in path and "bn" not in path] == ["tower1/conv1"]
    x, y = np.random.default_rng(0).standard_normal((2, 1, 1, 9, 7))
    keep = ["tower1", "tower2"]
    one = run(twins, {"left": x, "right": y}, weights, keep=keep, dtype=np.float64)
    swapped = run(twins, {"left": y, "right": x}, weights, keep=keep, dtype=np.float64)
    np.testing.assert_array_equal(one["tower1"], swapped["tower2"])
    assert (one["tower1"] != one["tower2"]).any()
    np.testing.assert_array_equal(one["output"], swapped["output"])
    same = run(twins, {"left": x, "right": x}, weights, dtype=np.float64)
    np.testing.assert_array_equal(same["output"], weights["fc1"]["bias"][None])


def test_unpooling() -> None:
    there = archcalc.loads("net n { input(1x4x6)\n p: maxpool(2x3)\n conv(1, 1, bias=false)\n maxunpool(p) }")
    x = np.array([[[[1, 2, 3, 0, 0, 0], [9, 5, 6, 0, 0, 7], [4, 4, 4, -1, -2, -3], [4, 4, 4, -4, -5, -6]]]])
    weights = {"conv1": {"weight": np.full((1, 1, 1, 1), 10.0)}}
    found = run(there, x, weights, dtype=np.float64)["output"]
    expected = np.zeros((4, 6))
    expected[1, 0], expected[1, 5], expected[2, 0], expected[2, 3] = 90, 70, 40, -10
    np.testing.assert_array_equal(found[0, 0], expected)


@pytest.mark.parametrize(
    "name",
    ["resnet1202_cifar", "resnet152", "mobilenet_v2", "googlenet"],
)
def test_deep_networks_neither_explode_nor_vanish(name: str) -> None:
    network = open_shipped(name).network()
    spread = []

    def look(step: Step, reads: Any, arrays: Any, out: np.ndarray) -> None:
        assert np.isfinite(out).all(), step.node.name
        if not step.node.is_input and step.node.kind != "softmax":
            spread.append(float(out.std()))

    execute(network, options=RunOptions(inspect=look, seed=3))
    assert max(spread) < 1e3
    assert min(spread[:-1]) > 1e-3


# --- Results in place -------------------------------------------------------------------------------

TRICKY = [
    # results that are views of others, or the same array
    "input(4x5x6)\n dropout -> relu -> bn -> relu",
    "input(4x5x6)\n conv(4, 1)\n a = flatten -> relu\n b = flatten\n add(a, b)",
    "input(4x5x6)\n conv(4, 1)\n x = dropout\n y = x -> relu\n add(x, y)",
    "input(4x5x6)\n conv(4, 1)\n x = dropout\n y = dropout -> relu\n add(identity, y, x)",
    "input(4x5x6)\n conv(4, 1)\n x = slice(0, 4)\n y = x -> relu\n sub(x, y)",
    "input(4x5x6)\n conv(4, 1)\n add(identity, identity) -> relu",
    "input(4x5x6)\n conv(4, 1)\n x = crop(5x6)\n y = relu\n sub(x, y)",
    "input(4x5x6)\n conv(4, 1)\n x = reshape(4x6x5) -> reshape(4x5x6)\n y = relu -> bn\n sub(x, y)",
    "input(12)\n fc(8)\n x = dropout\n y = relu\n z = x -> relu6\n add(y, x) -> sub(identity, z)",
    "input(6)\n relu -> bn -> fc(3)",
    "input(2x6x6)\n conv(2, 1)\n p: maxpool(2)\n relu -> maxunpool(p) -> relu -> flatten",
    "input(6)\n dropout -> relu",
    "input(16x5x4)\n dropout -> relu -> bn",
    "input(16x5x4)\n a = tanh -> abs\n add(a, a, a)",
    "input(16x5x4)\n a = tanh -> abs\n b = a -> dropout\n add(a, b, a) -> relu",
    "input(3x1x1)\n pointwise(3)\n x = flatten\n y = relu\n mul(y, identity) -> flatten -> sub(identity, x)",
]


@pytest.mark.parametrize("lend", [False, True])
@pytest.mark.parametrize("body", TRICKY)
def test_results_in_place_change_nothing(body: str, lend: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody looks, every kernel gets new memory; otherwise some write over what is done with."""
    if lend:  # buffers for the smallest tensors too, spoiled as soon as they are free
        monkeypatch.setattr(memory, "SMALL", 0)
        reclaim = Memory.reclaim

        def spoil(self: Memory, *which: Any) -> None:
            reclaim(self, *which)
            for buffer in self._free:
                buffer[...] = 0xFF  # no number

        monkeypatch.setattr(Memory, "reclaim", spoil)
    network = archcalc.loads(f"net n {{\n {body}\n}}")
    weights = random_weights(network, 1, np.float64)
    shape = next(iter(network.inputs.values())).shape
    x = np.random.default_rng(0).standard_normal((2, *shape))
    for given in (x, np.asfortranarray(x), np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)):
        before = given.copy()
        kept = {node.name for node in network.nodes}
        found = [
            execute(network, given, weights, RunOptions(batch=2, dtype=np.float64, **how)).outputs["output"]
            for how in ({}, {"inspect": lambda *_: None}, {"keep": kept})
        ]
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])
        np.testing.assert_array_equal(given, before)


def test_who_looks_may_hold_on() -> None:
    network = archcalc.loads(
        "net n { input(8x64x64)\n conv(8, 3, padding=1) -> relu -> bn -> tanh -> conv(8, 1) }"
    )
    held: list[tuple[np.ndarray, np.ndarray]] = []
    options = RunOptions(inspect=lambda step, reads, arrays, out: held.append((out, out.copy())))
    execute(network, options=options)
    for out, then in held:
        np.testing.assert_array_equal(out, then)


@pytest.mark.parametrize(
    "body", ["input(5)\n dropout", "input(16x4x5)\n dropout", "input(5)\n dropout -> flatten"]
)
def test_results_are_not_the_callers_memory(body: str) -> None:
    network = archcalc.loads(f"net n {{\n {body} -> dropout\n}}")
    shape = (1, *next(iter(network.inputs.values())).shape)
    last = np.ones((*shape[:1], *shape[2:], shape[1]), np.float32)
    for x in (np.ones(shape, np.float32), np.moveaxis(last, -1, 1)):
        run(network, x)["output"][...] = 7
        assert (x == 1).all()


def test_settings_of_numpy_stay() -> None:
    before = np.getbufsize()
    with np.errstate(all="raise"):
        result = run(
            archcalc.loads("net n { input(4)\n sigmoid }"), np.array([[-1e4, 0, 90, 1e4]], np.float32)
        )
        assert np.geterr()["under"] == "raise"
    assert np.getbufsize() == before
    np.testing.assert_allclose(result["output"], [[0, 0.5, 1, 1]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "`batch` must be a whole number of at least 1, not 0"),
        ({"batch": 1.5}, "`batch` must be a whole number of at least 1, not 1.5"),
        ({"seed": -1}, "`seed` must be a whole number of at least 0, not -1"),
        ({"dtype": "nope"}, "there is no dtype 'nope'"),
        ({"dtype": int}, "a run uses float32 or float64, not int64"),
        ({"dtype": complex}, "a run uses float32 or float64, not complex128"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchError, match=re.escape(message)):
        run(archcalc.loads("net n { input(4)\n relu }"), **options)


# --- Memory -----------------------------------------------------------------------------------------


def test_tensors_are_freed_after_their_last_use() -> None:
    chain = archcalc.loads(
        "net n { input(2x8x8)\n conv(4, 3, padding=1)\n x = identity\n repeat 4 { tanh }\n add(identity, x) }"
    )
    alive: dict[str, weakref.ref[np.ndarray]] = {}
    seen: list[set[str]] = []

    def look(step: Step, reads: Any, arrays: Any, out: np.ndarray) -> None:
        seen.append({name for name, ref in alive.items() if ref() is not None})
        alive[step.node.name] = weakref.ref(out)

    done = execute(chain, options=RunOptions(inspect=look))
    assert seen == [
        set(),
        {"input"},
        {"conv1"},
        {"conv1", "tanh1"},
        {"conv1", "tanh2"},
        {"conv1", "tanh3"},
        {"conv1", "tanh4"},
    ]
    one = 4 * 8 * 8 * 4
    assert [step.alive for step in done.steps] == [512, one, 2 * one, 2 * one, 2 * one, 2 * one, one]
    assert done.peak_bytes == 3 * one
    assert sum(step.bytes for step in done.steps) == 512 + 6 * one


def test_peak_is_below_the_sum() -> None:
    done = execute(open_shipped("resnet20_cifar").network(), options=RunOptions(batch=2))
    assert done.peak_bytes < sum(step.bytes for step in done.steps) / 5
    assert max(step.alive for step in done.steps) <= done.peak_bytes
    last = done.steps[-1]
    assert last.alive == last.bytes


def test_batch_counts_in_every_byte() -> None:
    one, three = (execute(net(), options=RunOptions(batch=batch)) for batch in (1, 3))
    assert three.peak_bytes == 3 * one.peak_bytes
    assert three.weight_bytes == one.weight_bytes


# --- Mistakes in Python -----------------------------------------------------------------------------


def test_a_wrong_prediction_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    from archcalc.layers import KINDS

    right = KINDS["avgpool"].output_shape
    monkeypatch.setattr(
        KINDS["avgpool"], "output_shape", lambda self, *inputs: (*right(self, *inputs)[:-1], 3)
    )
    # an input that no other test has: facts are remembered
    wrong = archcalc.loads("net n {\n  input(3x22x26)\n  b: { avgpool(2, 3) }\n}")
    with pytest.raises(ArchError) as caught:
        run(wrong)
    message = str(caught.value)
    assert "`b/avgpool1` has the shape 3x7x9, but 3x7x3 was predicted" in message
    assert "<text>:3:8" in message
    assert "avgpool(2, stride=3)" in message


GOOD = np.ones((1, 3, 9, 10), np.float32)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (GOOD[0], "the input `input` is 3x9x10, but 1x3x9x10 is needed"),
        (np.ones((2, 3, 9, 10)), "is 2x3x9x10, but 1x3x9x10"),
        (np.float32(1) * np.ones(()), "is a single number, but"),
        (GOOD.astype(str), "contains <U32, not numbers"),
        (GOOD.astype(complex), "contains complex128, not numbers"),
        (GOOD.astype(object), "contains object, not numbers"),
        (GOOD * np.nan, "has values that are not finite"),
        (GOOD * -np.inf, "has values that are not finite"),
        (GOOD.astype(float) * 1e300, "has values that are not finite"),
        ({"image": GOOD}, "no input `image`"),
        ({}, "an input `input`, which is not given"),
    ],
)
def test_wrong_inputs(inputs: Any, message: str) -> None:
    with pytest.raises(ArchError) as caught:
        run(net(), inputs)
    assert message in str(caught.value)


def test_one_array_for_two_inputs() -> None:
    with pytest.raises(ArchError, match="`twins` has several inputs"):
        run(net("twins"), np.ones((1, 1, 9, 7)))


def test_wrong_weights() -> None:
    def told(change: Any) -> str:
        weights = {path: dict(arrays) for path, arrays in random_weights(net()).items()}
        change(weights)
        with pytest.raises(ArchError) as caught:
            run(net(), weights=weights)
        return str(caught.value)

    assert "do not contain `a/bn1.running_var`" in told(lambda w: w["a/bn1"].pop("running_var"))
    assert "do not contain `fc2.weight`" in told(lambda w: w.pop("fc2"))
    assert "weights for `fc3`, but `tiny` has no such layer" in told(lambda w: w.update(fc3={}))
    assert "`a/conv1` has no array `bias`" in told(lambda w: w["a/conv1"].update(bias=np.ones(4)))
    assert "`a/conv1.weight` is 3x3x4x2, but 3x3x4x4" in told(
        lambda w: w["a/conv1"].update(weight=np.ones((3, 3, 4, 2)))
    )
    assert "not numbers" in told(lambda w: w["fc2"].update(bias=np.array(["x"] * 10)))


def test_unknown_tensor() -> None:
    with pytest.raises(ArchError, match="no node or block `stem/conv7`"):
        run(net(), keep=["stem/conv7"])


def test_memory_is_used_again_and_results_keep_theirs() -> None:
    network = archcalc.loads(
        "net n { input(8x40x40)\n conv(16, 3) -> relu -> conv(16, 3) -> bn -> dropout -> relu\n"
        " left: { depthwise(3, padding=1) -> maxpool(3, stride=1, padding=1) }\n"
        " add(left, identity) -> relu -> conv(16, 3, padding=1) }"
    )
    weights = random_weights(network, 3)
    inputs = np.random.default_rng(0).standard_normal((3, 2, 8, 40, 40)).astype(np.float32)
    given = inputs.copy()
    everything = [node.name for node in network.nodes]
    memory = Memory()
    for keep in ([], ["left/maxpool1"], everything):
        expected = []
        for x in inputs:
            seen: dict[str, np.ndarray] = {}

            def look(
                step: Step, reads: Any, arrays: Any, out: np.ndarray, to: dict[str, np.ndarray] = seen
            ) -> None:
                to[step.node.name] = np.moveaxis(out, -1, 1).copy()

            execute(network, x, weights, RunOptions(batch=2, inspect=look))
            expected.append(seen)
        options = RunOptions(batch=2, keep=keep, memory=memory)
        found = [execute(network, x, weights, options).outputs for x in inputs]
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mine.pop("output"), theirs[network.outputs["output"].name])
            assert set(mine) == set(keep)
            for name, array in mine.items():
                np.testing.assert_array_equal(array, theirs[name])
    np.testing.assert_array_equal(inputs, given)


def test_memory_is_free_once_nothing_lies_in_it() -> None:
    memory = Memory()
    first = memory.empty((16, 38, 38), np.float32)
    assert not np.shares_memory(first, memory.empty((16, 38, 36), np.float32))
    live = LiveTensors(memory)
    live.add(0, first[0].T)  # a view holds it
    live.add(1, first[1])
    live.remove([1])
    assert memory.owns(first)
    live.remove([0])
    assert not memory.owns(first)
    again = [memory.empty((16, 38, 37), np.float32) for _ in range(2)]
    assert sum(np.shares_memory(first, array) for array in again) == 1


def test_a_step_takes_no_longer_the_more_tensors_are_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A concatenation of 10,000 tensors took 9 seconds, as every step went through all that were alive."""
    looked = 0
    owner = memory.owner

    def counting(array: Any) -> Any:
        nonlocal looked
        looked += 1
        return owner(array)

    monkeypatch.setattr(memory, "owner", counting)
    build = NetworkBuilder("wide")
    source = build.input((1, 2, 2))
    branches = [build.add(KINDS["relu"](), source) for _ in range(300)]
    network = build.finish(build.add(KINDS["concat"](), *branches))
    assert execute(network).outputs["output"].shape == (1, 300, 2, 2)
    assert looked < 10 * 300


# --- The command line -------------------------------------------------------------------------------


@pytest.fixture
def cli(run: Any) -> Any:
    """Run `archcalc run` beside a file of networks."""
    Path("nets.arch").write_text(SPEC)

    return partial(run, "run", width=100)


def outputs(path: str = "out.npz") -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def flat(weights: Any) -> dict[str, np.ndarray]:
    return {f"{path}.{name}": array for path, arrays in weights.items() for name, array in arrays.items()}


def test_cli_prints_a_line_a_layer(cli: Any) -> None:
    result = cli("nets.arch:tiny", "--batch", "2")
    assert result.status == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].split() == ["Layer", "Predicted", "Actual", "ms", "GFLOP/s", "Bytes"]
    assert [line.split()[0] for line in lines[2:11]] == [
        "input", "stem/conv1", "stem/relu1", "a/conv1", "a/bn1", "relu1", "add1", "flatten2", "dropout1",
    ]  # fmt: skip
    stem = lines[3].split()
    assert stem[1:3] == ["4×8×4", "4×8×4"]
    assert stem[-1] == "1,024"  # 2 x 4x8x4 x 4
    assert "tiny: 10 nodes, every shape as predicted; batch 2, float32" in result.out
    assert "early" not in result.out
    assert "fc1" in cli("nets.arch:tiny", "--heads").out


def test_cli_runs_what_python_runs(cli: Any) -> None:
    x = np.random.default_rng(0).standard_normal((3, 3, 9, 10))
    np.save("x.npy", x)
    weights = random_weights(net(), 4, np.float64)
    np.savez("w.npz", **flat(weights))
    options = ["--input", "x.npy", "--weights", "w.npz", "--batch", "3", "--dtype", "float64"]
    result = cli("nets.arch:tiny", *options, "--keep", "stem, a/bn1", "--output", "out.npz")
    assert result.status == 0, result.err
    found = outputs()
    expected = run(net(), x, weights, keep=["stem", "a/bn1"], batch=3, dtype=np.float64)
    assert set(found) == set(expected) == {"stem", "a/bn1", "output"}
    for name, array in expected.items():
        assert found[name].dtype == np.float64
        np.testing.assert_array_equal(found[name], array)


def test_cli_archives(cli: Any) -> None:
    x, y = np.random.default_rng(0).standard_normal((2, 1, 1, 9, 7)).astype(np.float32)
    np.savez("both.npz", left=x, right=y)
    np.save("right.npy", y)
    one = cli("nets.arch:twins", "--input", "left=both.npz", "--input", "right=right.npy", "-o", "out.npz")
    assert one.status == 0, one.err
    first = outputs()["output"]
    two = cli("nets.arch:twins", "--input", "left=both.npz", "--input", "right=both.npz", "-o", "out.npz")
    assert two.status == 0, two.err
    np.testing.assert_array_equal(outputs()["output"], first)
    np.testing.assert_array_equal(run(net("twins"), {"left": x, "right": y})["output"], first)


def test_cli_one_sample_serves_the_batch(cli: Any) -> None:
    np.save("x.npy", np.random.default_rng(0).standard_normal((3, 9, 10)).astype(np.float32))
    result = cli("nets.arch:tiny", "--input", "x.npy", "--batch", "3", "-o", "out.npz")
    assert result.status == 0, result.err
    found = outputs()["output"]
    assert found.shape == (3, 10)
    np.testing.assert_allclose(found[0], found[2], rtol=1e-5)


def test_cli_shape_set_seed_and_train(cli: Any) -> None:
    result = cli("nets.arch:tiny", "--input", "3x12x14", "--set", "c=6", "--seed", "9", "-o", "a.npz")
    assert result.status == 0, result.err
    assert "6×11×6" in result.out
    cli("nets.arch:tiny", "--input", "3x12x14", "--set", "c=6", "--seed", "9", "-o", "b.npz")
    cli("nets.arch:tiny", "--input", "3x12x14", "--set", "c=6", "--seed", "9", "-o", "c.npz", "--train")
    a, b, c = (outputs(name)["output"] for name in ("a.npz", "b.npz", "c.npz"))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_cli_fast(cli: Any) -> None:
    weights = random_weights(net(), 4, np.float64)
    np.savez("w.npz", **flat(weights))
    plain = ["--weights", "w.npz", "--dtype", "float64", "--output", "out.npz"]
    assert "fast" not in cli("nets.arch:tiny", *plain).out
    expected = outputs()["output"]
    result = cli("nets.arch:tiny", *plain, "--fast")
    assert "float64, by the fast path" in result.out
    np.testing.assert_allclose(outputs()["output"], expected, rtol=1e-10)


def test_cli_round_trip_of_safetensors(cli: Any) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    weights = random_weights(net(), 4)
    safetensors.save_file(flat(weights), "w.safetensors")
    assert cli("nets.arch:tiny", "--weights", "w.safetensors", "-o", "out.npz").status == 0
    np.testing.assert_array_equal(outputs()["output"], run(net(), weights=weights)["output"])
    Path("out.npz").unlink()
    Path("w.safetensors").write_bytes(Path("w.safetensors").read_bytes()[:-7])
    refused(cli("nets.arch:tiny", "--weights", "w.safetensors"), "`w.safetensors` is not a readable")
    refused(cli("nets.arch:tiny", "--weights", "none.safetensors"), "no file `none.safetensors`")


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "1"])
def test_cli_pictures(cli: Any, mode: str) -> None:
    image = pytest.importorskip("PIL.Image")
    rows = np.random.default_rng(0).integers(0, 255, (31, 17, 3), np.uint8)
    image.fromarray(rows).convert(mode).save("x.png")
    result = cli("nets.arch:tiny", "--input", "x.png", "--keep", "input", "-o", "out.npz")
    assert result.status == 0, result.err
    found = outputs()["input"]
    assert found.shape == (1, 3, 9, 10)
    assert abs(found.mean()) < 1e-5
    assert abs(found.std() - 1) < 1e-4
    grey = cli("nets.arch:twins", "--input", "left=x.png", "--input", "right=x.png")
    assert grey.status == 0, grey.err


def test_cli_one_colour(cli: Any) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (10, 9), (7, 7, 7)).save("x.png")
    assert cli("nets.arch:tiny", "--input", "x.png", "--keep", "input", "-o", "out.npz").status == 0
    assert np.abs(outputs()["input"]).max() < 1e-6


def test_cli_names_that_numpy_has_taken(cli: Any) -> None:
    Path("n.arch").write_text("net n { input(1x5x5)\n file: conv(1, 1)\n allow_pickle: conv(1, 1) }")
    result = cli("n.arch", "--keep", "file,allow_pickle", "-o", "out.npz")
    assert result.status == 0, result.err
    assert set(outputs()) == {"file", "allow_pickle", "output"}


def test_cli_files_are_as_readable_as_others(cli: Any) -> None:
    Path("plain").touch()
    assert cli("nets.arch:tiny", "-o", "out.npz").status == 0
    assert Path("out.npz").stat().st_mode == Path("plain").stat().st_mode


# --- Bad input --------------------------------------------------------------------------------------


def refused(result: Any, message: str) -> None:
    """Status 2, one clear message, nothing printed as if it had worked, nothing written."""
    assert result.status == 2, result.err
    assert result.err.startswith("error: "), result.err
    assert message in result.err
    assert "Traceback" not in result.err
    assert "Warning" not in result.err
    assert result.out == ""
    assert not list(Path().glob("*out.npz*"))


class Trap:
    """Unpickling it is noticed."""

    sprung = False

    def __reduce__(self) -> Any:
        return (_spring, ())


def _spring() -> None:
    Trap.sprung = True


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def header(text: str) -> bytes:
    """An `.npy` file of a header alone."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode("latin-1") + b"\n"


def claims(shape: str, descr: str = "'<f4'") -> bytes:
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return stream.getvalue()


def patched(content: bytes, local: int, central: int, value: int) -> bytes:
    """A zip archive of one member, with a byte of both its headers changed."""
    changed = bytearray(content)
    changed[local] = value
    changed[changed.find(b"PK\x01\x02") + central] = value
    return bytes(changed)


def damaged(content: bytes) -> bytes:
    return content[:120] + bytes(60) + content[180:]


NOISE = np.random.default_rng(0).standard_normal((1, 3, 9, 10)).astype(np.float32)
PACKED = archive({"input.npy": npy(NOISE)}, zipfile.ZIP_DEFLATED)

BROKEN = {
    "empty.npy": b"",
    "cut.npy": npy(NOISE)[:200],
    "cut-in-the-header.npy": npy(NOISE)[:20],
    "cut-in-the-magic.npy": npy(NOISE)[:7],
    "text.npy": b"1, 2, 3\n",
    "version.npy": b"\x93NUMPY\x09\x00" + npy(NOISE)[8:],
    "objects.npy": npy(np.array([Trap()], object)),
    "pickle.npy": pickle.dumps(Trap()),
    "descr-of-objects.npy": claims("(1,)", "'|O'"),
    "negative.npy": claims("(-1, 3)"),
    "open-brackets.npy": header("{'descr': '<f4', 'shape': (((((" + "("),
    "deep.npy": header("(" * 9000),
    "no-dict.npy": header("[1, 2]"),
    "call.npy": header("__import__('os').system('true')"),
    "half-descr.npy": claims("(1,)", "[('a',)]"),
    "empty.npz": b"",
    "cut.npz": PACKED[:300],
    "damaged.npz": damaged(PACKED),
    "no-zip.npz": b"PK\x03\x04 and then something else",
    "no-array.npz": archive({"input.npy": b"hello"}),
    "readme.npz": archive({"input": b"hello"}),
    "objects.npz": archive({"input.npy": npy(np.array([Trap()], object))}),
    "encrypted.npz": patched(PACKED, 6, 8, 1),
    "strange-method.npz": patched(PACKED, 8, 10, 97),
    "one.npz": npy(NOISE),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(cli: Any, name: str) -> None:
    Path(name).write_bytes(BROKEN[name])
    message = "contains one array" if name == "one.npz" else "is not a readable array file: "
    if name == "negative.npy" and np.lib.NumpyVersion(np.__version__) < "2.0.0":
        refused(cli("nets.arch:tiny", "--input", name), "the input `input` is 0x3")  # as NumPy 1.26 reads it
        return
    refused(cli("nets.arch:tiny", "--input", name, "-o", "out.npz"), f"`{name}` {message}")
    if name.endswith(".npz"):
        refused(cli("nets.arch:tiny", "--weights", name, "-o", "out.npz"), f"`{name}` {message}")
    assert not Trap.sprung


def test_arrays_of_another_shape_are_not_read(cli: Any) -> None:
    """The files have a header that claims gigabytes, and nothing behind it: to read one would be refused."""
    huge = claims("(1, 3, 90000, 100000)")
    message = "the input `input` is 1x3x90000x100000, but 1x3x9x10 is needed"
    for name, content in (("huge.npy", huge), ("huge.npz", archive({"input.npy": huge}))):
        Path(name).write_bytes(content)
        refused(cli("nets.arch:tiny", "--input", name, "-o", "out.npz"), message)
    members = {f"{name}.npy": npy(array) for name, array in flat(random_weights(net())).items()}
    Path("w.npz").write_bytes(archive(members | {"fc2.weight.npy": claims("(128, 100000000)")}))
    refused(cli("nets.arch:tiny", "--weights", "w.npz"), "is 128x100000000, but 128x10 is needed")
    Path("w.npz").write_bytes(archive({"fc3.weight.npy": huge}))
    refused(cli("nets.arch:tiny", "--weights", "w.npz"), "has an array `fc3.weight`")


@pytest.mark.parametrize("at", range(0, len(PACKED), 173))
def test_files_with_a_wrong_byte(cli: Any, at: int) -> None:
    """Whatever byte is wrong: an error in a sentence, or a run."""
    for content, name in ((PACKED, "x.npz"), (npy(NOISE), "x.npy")):
        for value in (0, 40, 255):
            changed = bytearray(content)
            changed[at % len(content)] = value
            Path(name).write_bytes(changed)
            result = cli("nets.arch:tiny", "--input", name)
            assert result.status in (0, 2), result.err
            assert "Traceback" not in result.err


WRONG = {
    "one sample of two": (np.ones((2, 3, 9, 10)), "the input `input` is 2x3x9x10, but 1x3x9x10 is needed"),
    "channels last": (np.ones((1, 9, 10, 3)), "is 1x9x10x3, but 1x3x9x10"),
    "a vector": (np.ones(270), "is 270, but 1x3x9x10"),
    "a number": (np.ones(()), "is a single number, but 1x3x9x10"),
    "no sample": (np.ones((0, 3, 9, 10)), "is 0x3x9x10, but 1x3x9x10"),
    "words": (np.full((1, 3, 9, 10), "x"), "contains <U1, not numbers"),
    "complex": (np.ones((1, 3, 9, 10), complex), "contains complex128, not numbers"),
    "dates": (np.zeros((1, 3, 9, 10), "M8[s]"), "not numbers"),
    "records": (np.zeros((1, 3, 9, 10), [("a", "f4")]), "not numbers"),
    "NaN": (np.where(np.arange(270).reshape(1, 3, 9, 10) == 99, np.nan, 0), "that are not finite"),
    "infinite": (np.full((1, 3, 9, 10), np.inf), "that are not finite"),
    "too large for float32": (np.full((1, 3, 9, 10), 1e39), "that are not finite"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arrays(cli: Any, name: str) -> None:
    array, message = WRONG[name]
    np.save("x.npy", array)
    refused(cli("nets.arch:tiny", "--input", "x.npy", "-o", "out.npz"), message)


def test_integers_are_numbers(cli: Any) -> None:
    for dtype in (np.uint8, np.int64, bool, np.float16, ">f8"):
        np.save("x.npy", np.ones((1, 3, 9, 10), dtype))
        assert cli("nets.arch:tiny", "--input", "x.npy").status == 0


def test_wrong_files(cli: Any) -> None:
    np.savez("two.npz", a=NOISE, b=NOISE)
    np.savez("good.npz", input=NOISE)
    refused(cli("nets.arch:tiny", "--input", "two.npz"), "`two.npz` has no array `input`")
    refused(cli("nets.arch:tiny", "--input", "none.npy"), "there is no file `none.npy`")
    refused(cli("nets.arch:tiny", "--input", "none.npz"), "there is no file `none.npz`")
    refused(cli("nets.arch:tiny", "--weights", "none.npz"), "there is no file `none.npz`")
    refused(cli("nets.arch:tiny", "--input", "image=good.npz"), "`tiny` has no input `image`")
    refused(cli("nets.arch:tiny", "--input", "good.npz", "--input", "good.npz"), "gives an input twice")
    refused(cli("nets.arch:twins", "--input", "left=good.npz"), "")
    Path("folder.npy").mkdir()
    Path("folder.npz").mkdir()
    refused(cli("nets.arch:tiny", "--input", "folder.npy"), "`folder.npy` is not a readable")
    refused(cli("nets.arch:tiny", "--weights", "folder.npz"), "`folder.npz` is not a readable")


def test_half_of_the_inputs(cli: Any) -> None:
    np.save("x.npy", np.ones((1, 1, 9, 7)))
    refused(cli("nets.arch:twins", "--input", "left=x.npy"), "the input `right` is not given")


def test_no_pictures(cli: Any) -> None:
    pytest.importorskip("PIL.Image")
    Path("x.png").write_bytes(b"no picture")
    Path("cut.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
    Path("vector.arch").write_text("net n { input(7) -> fc(2) }")
    refused(cli("nets.arch:tiny", "--input", "x.png", "-o", "out.npz"), "`x.png` is not a picture")
    refused(cli("nets.arch:tiny", "--input", "cut.png", "-o", "out.npz"), "`cut.png` is not a picture")
    refused(cli("nets.arch:tiny", "--input", "none.png"), "there is no file `none.png`")
    refused(cli("vector.arch", "--input", "x.png"), "a picture has 1 or 3 channels, but the input is 7")


def test_pictures_cut_off(cli: Any) -> None:
    image = pytest.importorskip("PIL.Image")
    rows = np.random.default_rng(0).integers(0, 255, (31, 17, 3), np.uint8)
    for name in ("x.png", "x.jpg", "x.gif", "x.bmp"):
        image.fromarray(rows).save(name)
        content = Path(name).read_bytes()
        for end in (30, len(content) // 2, len(content) - 5):
            Path(name).write_bytes(content[:end])
            result = cli("nets.arch:tiny", "--input", name)
            assert result.status in (0, 2), (name, end, result.err)
            assert "Traceback" not in result.err


def test_pictures_with_a_wrong_byte(cli: Any) -> None:
    """Pillow raises what its parts raise, and warns; what reaches the user is a sentence."""
    image = pytest.importorskip("PIL.Image")
    rows = np.random.default_rng(0).integers(0, 255, (31, 17, 3), np.uint8)
    image.fromarray(rows).save("x.png")
    content = Path("x.png").read_bytes()
    places = [*range(8, 60), *range(60, len(content), 97), *range(len(content) - 14, len(content))]
    for at in places:
        for value in (0, 65, 255):
            Path("x.png").write_bytes(content[:at] + bytes([value]) + content[at + 1 :])
            result = cli("nets.arch:tiny", "--input", "x.png")
            assert result.status in (0, 2), (at, value, result.err)
            assert result.status == 0 or result.err.startswith("error: "), (at, value, result.err)
            assert "Warning" not in result.err


def test_pictures_too_large_to_unpack(cli: Any) -> None:
    """A header says 20,000x8,000, and the picture would follow: it is refused before that."""
    pytest.importorskip("PIL.Image")

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    for width, height, refusal in (
        (20000, 8000, "is a picture of 20,000x8,000, over the limit of 50,000,000 pixels"),
        (200000, 80000, "is not a picture that can be read: "),  # Pillow's own limit comes first
    ):
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        Path("x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(99))))
        refused(cli("nets.arch:tiny", "--input", "x.png", "-o", "out.npz"), refusal)


def test_wrong_weight_files(cli: Any) -> None:
    right = flat(random_weights(net()))

    def told(message: str, change: Any) -> None:
        arrays = dict(right)
        change(arrays)
        np.savez("w.npz", **arrays)
        refused(cli("nets.arch:tiny", "--weights", "w.npz", "-o", "out.npz"), message)

    told("`w.npz` has no array `a/bn1.running_var`", lambda w: w.pop("a/bn1.running_var"))
    told("has an array `a/bn1.beta`", lambda w: w.update({"a/bn1.beta": np.ones(4)}))
    told("has an array `fc1.weight`", lambda w: w.update({"fc1.weight": np.ones((4, 2))}))  # of the head
    told("is 10x128, but 128x10 is needed", lambda w: w.update({"fc2.weight": np.ones((10, 128))}))
    told("contains <U1, not numbers", lambda w: w.update({"fc2.bias": np.array(list("abcdefghij"))}))
    told("not finite", lambda w: w.update({"fc2.bias": np.full(10, np.nan)}))
    told("not finite", lambda w: w.update({"fc2.bias": np.full(10, 1e300)}))


def test_too_large_a_batch(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before anything is allocated, with the figure."""
    import archcalc.executor.command as command

    monkeypatch.setattr(command, "execute", lambda *args, **named: pytest.fail("it ran"))
    result = cli("nets.arch:large", "--batch", "1000", "-o", "out.npz")
    refused(result, "a run of `large` with a batch of 1,000 needs at least ")
    assert "over the limit of" in result.err
    # (64*998*998 + 1000*1000) values of 4 bytes for each sample, and the weights
    assert "258,977.0 MB" in result.err
    refused(cli("nets.arch:large", "--batch", str(10**12)), "needs at least")


def test_outputs_that_cannot_be_written(cli: Any) -> None:
    refused(cli("nets.arch:tiny", "-o", "missing/out.npz"), "`missing/out.npz` cannot be written")
    refused(cli("nets.arch:tiny", "-o", "out.png"), "`out.png` does not end in `.npz`")
    assert not Path("missing").exists()


def test_an_output_that_is_a_folder(cli: Any) -> None:
    Path("folder.npz").mkdir()
    result = cli("nets.arch:tiny", "-o", "folder.npz")
    assert result.status == 2
    assert "`folder.npz` is a folder" in result.err
    assert sorted(path.name for path in Path().iterdir()) == ["folder.npz", "nets.arch"]


def test_a_run_that_fails_writes_nothing(cli: Any) -> None:
    np.savez("out.npz", old=np.ones(3))
    assert cli("nets.arch:tiny", "--keep", "nothing", "-o", "out.npz").status == 2
    assert set(outputs()) == {"old"}
    refused_options = [["--batch", "0"], ["--seed", "-1"], ["--dtype", "float16"], ["--set", "d=1"]]
    for options in refused_options:
        assert cli("nets.arch:tiny", *options, "-o", "out.npz").status == 2
    assert set(outputs()) == {"old"}


def test_weights_of_every_owner_once() -> None:
    twins = net("twins")
    assert [node.name for node in owners(twins)] == ["tower1/conv1", "tower1/bn1", "tower1/fc1", "fc1"]


def test_loaded_weights_are_checked_before_a_run(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, **flat(random_weights(net())))
    loaded = load_weights(net(), path, np.float64)
    assert {array.dtype for arrays in loaded.values() for array in arrays.values()} == {np.dtype(np.float64)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": [1]}, "weights must be arrays by layer and name"),
        ({"weights": {"stem/conv1": 1}}, "weights must be arrays by layer and name"),
        ({"weights": {1: {}}}, "there are weights for `1`"),
        ({"keep": [1]}, "`keep` must be a list of layer names, not [1]"),
        ({"keep": 1}, "`keep` must be a list of layer names, not 1"),
        ({"fast": "yes"}, "`fast` must be true, false, or a result of `fast_path`, not 'yes'"),
        ({"inputs": [[1], [1, 2]]}, "the input `input` is not an array of numbers"),
        ({"inputs": "x"}, "contains <U1, not numbers"),
        ({"inputs": {1: NOISE}}, "no input `1`"),
        ({"dtype": 3}, "there is no dtype 3"),
    ],
)
def test_wrong_types_from_python(options: Any, message: str) -> None:
    with pytest.raises(ArchError) as caught:
        run(net(), **options)
    assert message in str(caught.value)


def test_weights_that_are_no_arrays() -> None:
    weights = random_weights(net())
    first = next(iter(weights))
    name = next(iter(weights[first]))
    weights[first][name] = [[1], [1, 2]]  # type: ignore[assignment]
    with pytest.raises(ArchError, match="is not an array of numbers"):
        run(net(), weights=weights)


def test_a_run_of_what_is_no_network() -> None:
    with pytest.raises(ArchError, match="a run needs a network, not 'vgg16'"):
        run("vgg16")  # type: ignore[arg-type]


def test_a_picture_of_16_bits(cli: Any) -> None:
    """Brought to zero mean and unit variance, a ramp is the same ramp, whatever its depth."""
    image = pytest.importorskip("PIL.Image")
    Path("nets.arch").write_text("net gray { input(1x4x16)\n relu }\nnet colour { input(3x4x16)\n relu }\n")
    ramp = np.linspace(0, 65535, 64).reshape(4, 16)
    image.fromarray(ramp.astype(np.uint16)).save("deep.png")
    image.fromarray((ramp / 257).astype(np.uint8)).save("plain.png")
    for net in ("gray", "colour"):
        found = []
        for name in ("deep", "plain"):
            result = cli(f"nets.arch:{net}", "--input", f"{name}.png", "--keep", "input", "-o", f"{name}.npz")
            assert (result.status, result.err) == (0, "")
            found.append(outputs(f"{name}.npz")["input"])
        np.testing.assert_allclose(*found, atol=0.02)
        assert found[0].std() == pytest.approx(1, abs=1e-3)


def test_run_counts_what_layers_put_out(cli: Any) -> None:
    """As the report's activations do, without the input."""
    Path("nets.arch").write_text("net n { input(1x4x5)\n conv(2, 1) -> relu }\n")
    assert "\nactivations  320 bytes in all, " in cli("nets.arch").out
