"""Sweeps of exported models of any size: every figure is the one of a network that is read for that size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archcalc
from archcalc.settings import Settings
from archcalc.sweeping.plan import plan
from archcalc.sweeping.space import parse_dimension

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")
OPEN = torch.export.Dim.AUTO


def exported(module: Any, path: Path) -> None:
    example = torch.zeros(2, 3, 96, 96)
    program = torch.export.export(module.eval(), (example,), dynamic_shapes=({0: OPEN, 2: OPEN, 3: OPEN},))
    torch.export.save(program, path)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_figures_of_a_torch_model(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.pt2"
    exported(getattr(torchvision.models, name)(weights=None), path)
    made = plan(str(path), [parse_dimension("input=64..190", "--set")], ["macs", "params", "activations"])
    engine = made.engine()
    found = engine.evaluate([np.arange(made.space.size)])
    assert not engine.untraceable
    assert (found.errors < 0).all()
    for digit in np.random.default_rng(0).integers(0, made.space.size, 5).tolist():
        side = 64 + digit
        totals = archcalc.analyze(archcalc.load(path, inputs=(3, side, side))).totals
        expected = [totals.macs, totals.params, totals.activations]
        assert [int(column[digit]) for column in found.columns] == expected, side


def test_figures_of_a_keras_model(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    path = tmp_path / "m.keras"
    keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(None, None, 3)).save(path)
    given = Settings(inputs={"input": (3, 96, 96)})
    made = plan(str(path), [parse_dimension("input=64..190", "--set")], ["macs"], (), given)
    engine = made.engine()
    found = engine.evaluate([np.arange(made.space.size)])
    assert not engine.untraceable
    for side in (64, 65, 111, 190):
        totals = archcalc.analyze(archcalc.load(path, inputs=(3, side, side))).totals
        assert int(found.columns[0][side - 64]) == totals.macs


class Masked(torch.nn.Module):
    """Changes a part of a tensor whose size follows from the input, as the masks of Swin transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Any) -> Any:
        x = self.conv(x)
        mask = x.new_zeros((x.shape[2], x.shape[3]))
        mask[1:-1, 0:2] = 1
        return x + mask


def test_an_operation_that_reads_no_tensor_is_not_a_layer(tmp_path: Path) -> None:
    path = tmp_path / "masked.pt2"
    exported(Masked(), path)
    network = archcalc.load(path)
    assert [node.kind for node in network.nodes][:2] == ["input", "conv"]
    assert archcalc.analyze(network).totals.params == 3 * 9 * 4 + 4
