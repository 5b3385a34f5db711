"""Operations that archcalc does not know: what is counted of them, and what is said about the rest."""

from __future__ import annotations

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
    with pytest.raises(ArchError, match="`roll` cannot be run: archcalc does not know what it computes"):
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
