"""The registry of quantities: adding one is one file, and every view knows it; the peak of activations."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import archcalc
from archcalc import ArchError, analyze, loads
from archcalc.catalog import specs_folder
from archcalc.layers import KINDS
from archcalc.layers.terms import OPERATIONS, SPECIAL
from archcalc.quantities import QUANTITIES, TOTALS, Scope, find
from archcalc.report.explain import explain

ADDED = """

EDGES = Quantity(
    name="edges",
    noun="connections",
    definition="tensors that layers read",
    of=lambda selection: sum(len(layer.node.inputs) for layer in selection.layers),
    heading="Edges",
)
WIDEST = Quantity(
    name="widest",
    noun="widest tensor",
    definition="the most values of one tensor",
    scope=Scope.NETWORK,
    of=lambda selection: max(layer.counts["activations"] for layer in selection.layers),
)
QUANTITIES = (*QUANTITIES, EDGES, WIDEST)
"""

NET = """\
net forked {
  input(2x8x8)
  a = conv(4, 3, padding=1)
  b: { a -> conv(4, 1) -> relu }
  concat(a, b)
}
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package in which one file has two more quantities."""
    folder = tmp_path_factory.mktemp("extended")
    shutil.copytree(
        Path(archcalc.__file__).parent, folder / "archcalc", ignore=shutil.ignore_patterns("specs")
    )
    (folder / "archcalc" / "specs").symlink_to(specs_folder())
    with (folder / "archcalc" / "quantities" / "structure.py").open("a") as file:
        file.write(ADDED)
    (folder / "work").mkdir()
    (folder / "work" / "forked.arch").write_text(NET)
    return folder


def run(folder: Path, *args: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "archcalc", *args],
        cwd=folder / "work", env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "100"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_a_quantity_that_is_added_in_one_file_is_known_everywhere(extended: Path) -> None:
    # conv1, conv2 and relu read one tensor each, concat two; the widest tensor is 8x8x8
    status, text = run(extended, "report", "forked.arch", "--format", "json")
    document = json.loads(text)
    assert (document["totals"]["edges"], document["totals"]["widest"]) == (5, 512)
    assert [layer["edges"] for layer in document["layers"]] == [1, 1, 1, 2]
    assert "widest" not in document["layers"][0]
    status, text = run(extended, "report", "forked.arch", "--columns", "layer,edges", "--sort", "edges")
    assert ["Layer", "Edges"] in [line.split() for line in text.splitlines()]
    assert next(line.split() for line in text.splitlines() if "concat1" in line) == ["concat1", "2"]
    assert "5" in next(line for line in text.splitlines() if line.startswith("Total"))
    status, text = run(extended, "explain", "forked.arch", "edges")
    assert (status, text.splitlines()[-1].split()) == (0, ["sum", "=", "5"])
    status, text = run(extended, "compare", "forked.arch", "lenet5")
    assert "connections" in text
    assert "widest tensor" in text
    assert (
        run(extended, "check", "forked.arch", "--expect", "edges == 5", "--expect", "widest == 512")[0] == 0
    )
    assert run(extended, "check", "forked.arch", "--expect", 'edges("b") == 2')[0] == 0
    assert run(extended, "check", "forked.arch", "--expect", "edges < 5")[0] == 1
    status, text = run(extended, "check", "forked.arch", "--expect", 'widest("b") == 2')
    assert status == 2
    assert "is a figure of whole networks" in text


def test_a_lock_that_is_older_than_a_quantity_does_not_hold_it(extended: Path) -> None:
    plain = Path(archcalc.__file__).parent.parent
    older = {**os.environ, "PYTHONPATH": str(plain)}
    subprocess.run(
        [sys.executable, "-m", "archcalc", "lock", "forked.arch"],
        cwd=extended / "work",
        env=older,
        check=True,
    )
    assert "edges" not in (extended / "work" / "archcalc.lock").read_text()
    assert run(extended, "check", "--locked")[0] == 0
    assert run(extended, "lock", "forked.arch")[0] == 0
    assert "total edges 5\n" in (extended / "work" / "archcalc.lock").read_text()
    assert run(extended, "check", "--locked", "--allow", "edges 1")[0] == 0


def test_every_quantity_says_what_it_is() -> None:
    for name, quantity in QUANTITIES.items():
        assert name == quantity.name
        assert quantity.noun
        assert quantity.definition
        assert (quantity.scope is Scope.OUTPUT) != quantity.is_number
        assert quantity.of or quantity.terms or quantity.count


@pytest.mark.parametrize("quantity", QUANTITIES.values(), ids=QUANTITIES)
@pytest.mark.parametrize("path", ["", "b", "b/conv1", "b/relu1"])
def test_everything_is_explained_with_its_value(quantity, path) -> None:
    """Of a network, a block, a layer with weights and one without; the last figure is the value."""
    profile = analyze(loads(NET), convention="fvcore")
    if quantity.scope is Scope.NETWORK and path:
        with pytest.raises(ArchError, match="whole network"):
            explain(profile, path, quantity.name)
        return
    text = explain(profile, path, quantity.name)
    if quantity.is_number:
        value = quantity.measure(profile.part(path))
        assert re.search(rf"= *{value:,}\b", text)


def test_an_unknown_quantity_has_a_near_miss() -> None:
    with pytest.raises(ArchError, match="did you mean `macs`"):
        find("mac")


# --- The peak ---------------------------------------------------------------------------------------


def at_peak(profile: Any) -> str:
    return str(QUANTITIES["peak_bytes"].at(profile))  # type: ignore[misc]


def test_the_peak_by_hand() -> None:
    """The input has 128 values, conv1 256. While b's relu runs, conv1, conv2 and the relu are alive: 768;
    while concat runs, conv1, the relu, and its own 512: 1,024."""
    profile = analyze(loads(NET), batch=3, dtype="float16")
    assert profile.totals.peak_activations == 256 + 256 + 512
    assert profile.totals.peak_bytes == 1024 * 3 * 2
    assert at_peak(profile) == "concat1"
    alive = profile.values_alive.alive(profile.values_alive.peak(1)[1])
    assert [tensor.name for tensor in alive] == ["conv1", "b/relu1", "concat1"]


def test_of_equal_peaks_the_first_is_named() -> None:
    profile = analyze(loads("net n {\n input(4x4x4)\n relu -> relu -> relu\n}"))
    assert (profile.totals.peak_activations, at_peak(profile)) == (128, "relu1")


def test_heads_live_with_the_rest_only_if_they_are_counted() -> None:
    text = "net n {\n input(4x4x4)\n aux big = conv(64, 1)\n relu\n}"
    # without: input and relu. With: the head's 1,024 values stay to the end, beside the input and the relu
    assert analyze(loads(text)).totals.peak_activations == 128
    assert analyze(loads(text), heads=True).totals.peak_activations == 128 + 1024


def test_vgg16_peaks_in_its_first_stage() -> None:
    profile = analyze(archcalc.load("vgg16"))
    assert at_peak(profile) in ("stage1/relu1", "stage1/conv2")
    assert profile.totals.peak_bytes == 2 * 64 * 224 * 224 * 4
    assert {quantity.name for quantity in TOTALS} == set(profile.totals)


def test_the_words_on_flops_name_every_function_that_counts_as_one() -> None:
    """A kind that computes one function for each value is named where FLOPs are defined and shown."""
    flops = find("flops")
    for kind in (kind for kind, cls in KINDS.items() if getattr(cls, "costs", None) == {"special": 1}):
        assert kind in SPECIAL.values()
    profile = analyze(loads("net waves {\n input(4x5x7)\n sin -> pow(2.5)\n}"))
    assert flops.total is not None
    _, figure, words = flops.total(profile, str)
    assert figure == str(2 * 8 * 4 * 5 * 7)
    for name, short in SPECIAL.items():
        assert name in flops.definition
        assert short in words
        assert name in OPERATIONS["special"]
