"""Padding, resizing, average pools and deformable convolutions against PyTorch.

Values are compared in double precision, over all arguments that PyTorch has too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from test_kernels import compute, drawn, layer_of, tensors

from archcalc import NetworkBuilder

torch = pytest.importorskip("torch")
from torch_modules import to_torch  # noqa: E402


@pytest.mark.parametrize("kind", ["pad", "upsample", "avgpool", "deform_conv"])
def test_values(kind: str) -> None:
    if kind == "deform_conv":
        pytest.importorskip("torchvision")

    @settings(
        deadline=None,
        max_examples=300,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(layer_of(kind), st.integers(0, 5))
    def holds(case: Any, seed: int) -> None:
        layer, shapes = case
        build = NetworkBuilder("alone")
        nodes = [build.input(shape, f"x{index}") for index, shape in enumerate(shapes)]
        inputs, weights = tensors(layer, shapes, seed=seed), drawn(layer, shapes)
        try:
            module = to_torch(build.finish(build.add(layer, *nodes))).double()
        except NotImplementedError:
            assume(False)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                array = weights[name.rpartition(".")[2]]
                array = np.moveaxis(array, (-1, -2), (0, 1)) if array.ndim > 1 else array
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))
            try:
                expected = module(*map(torch.from_numpy, inputs)).numpy()
            except (RuntimeError, ValueError):  # PyTorch takes some arguments for some numbers of axes only
                assume(False)
        actual = compute(layer, inputs, weights)
        scale = max(float(np.abs(expected).max()), 1.0)
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12 * scale)
        checked.append(layer)

    checked: list[Any] = []
    holds()
    assert len(checked) > 30
