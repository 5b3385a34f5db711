"""Operations that archcalc does not know: what is counted of them, and what is said about the rest."""

from __future__ import annotations

import json

import pytest

import archcalc
from archcalc.diagnostics import ArchError
from archcalc.executor.execute import run

TEXT = """
net a {
  input(3x32x20)
  x: conv(8, 3)
  opaque(identity, x, op="roll", shape=8x30x18, params=[8x3, [4]], buffers=[[7]]) -> relu
  flatten -> fc(10)
}
"""


def test_its_arrays_are_counted_and_its_operations_are_not() -> None:
    profile = archcalc.analyze(archcalc.loads(TEXT))
    layer = profile["opaque1"]
    assert (layer.params, layer.buffers, layer.output_shape) == (8 * 3 + 4, 7, (8, 30, 18))
    assert profile.totals.macs == 3 * 8 * 9 * 30 * 18 + 8 * 30 * 18 * 10
    assert layer.receptive_field == "global"


def test_it_cannot_be_run() -> None:
    with pytest.raises(ArchError, match="`roll` cannot be run, because archcalc does not know the operation"):
        run(archcalc.loads(TEXT))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ('opaque(op="roll", shape=8x9x9)', "`opaque` needs a tensor or more"),
        ('opaque(identity, op="", shape=8x9x9)', "`op` of `opaque` needs the name of the operation"),
        ('opaque(identity, op="roll", shape=8x9x9, params=3)', "`params` of `opaque` needs a list of shapes"),
    ],
)
def test_what_it_refuses(call: str, message: str) -> None:
    with pytest.raises(ArchError) as raised:
        archcalc.loads(f"net a {{\n input(8x9x9)\n {call}\n}}")
    assert message in str(raised.value)


def test_reports_say_what_is_not_counted() -> None:
    profile = archcalc.analyze(archcalc.loads(TEXT))
    said = "incomplete: 1 operation is unknown, and not counted: roll"
    assert said in str(profile)
    fields = profile.to_dict()
    assert fields["complete"] is False
    assert said in fields["notes"][0]["message"]
    rows = {layer["name"]: layer for layer in fields["layers"]}
    assert (rows["opaque1"]["macs"], rows["opaque1"]["flops"], rows["opaque1"]["params"]) == (None, None, 28)
    assert rows["relu1"]["macs"] == 0
    assert archcalc.analyze("lenet5").to_dict()["complete"] is True


def test_check_refuses_figures_that_leave_something_out(run, tmp_path) -> None:
    (tmp_path / "a.arch").write_text(TEXT)
    bounds = ["--expect", "macs < 1G", "--expect", "params < 1M", "--expect", 'macs("x") < 1G']
    result = run("check", "a.arch", *bounds)
    assert result.status == 1
    assert "2 of 3" in result.out
    assert "238,680 + ?" not in result.out
    assert "159,840 + ?" in result.out
    reason = json.loads(run("check", "a.arch", *bounds, "--format", "json").out)["networks"][0]["findings"][0]
    assert reason["reason"].startswith("macs is incomplete: 159,840 without roll")
    assert run("check", "a.arch", *bounds, "--allow-unknown").status == 0


def test_every_view_says_so(run, tmp_path) -> None:
    (tmp_path / "a.arch").write_text(TEXT)
    for command in ("report a.arch", "explain a.arch", "compare a.arch lenet5", "reconcile a.arch 1G",
                    "check a.arch --expect params<1M", "lock a.arch"):  # fmt: skip
        result = run(*command.split())
        assert "incomplete: 1 operation" in " ".join((result.out + result.err).split()), command
