"""Functions of one value, layers along an axis and rearrangements: shapes and values are PyTorch's, for any
arguments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from samples import make
from test_kernels import compute, layer_of

from archcalc import NetworkBuilder
from archcalc.layers import Layer, LayerError

torch = pytest.importorskip("torch")

from torch_modules import to_torch  # noqa: E402

Shape = tuple[int, ...]

KINDS = """
    exp log sqrt rsqrt square sin cos erf pow clamp softplus mish hardtanh logsigmoid softsign hardsigmoid
    softmax log_softmax glu reduce transpose roll pixel_shuffle pixel_unshuffle unfold stack
""".split()


@pytest.mark.parametrize("kind", KINDS)
def test_values_and_shapes(kind: str) -> None:
    @settings(
        deadline=None,
        max_examples=150 if kind in ("reduce", "unfold") else 40,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(layer_of(kind))
    def holds(case: tuple[Layer, tuple[Shape, ...]]) -> None:
        layer, shapes = case
        build = NetworkBuilder("n")
        network = build.finish(build.add(layer, *(build.input(s, f"x{i}") for i, s in enumerate(shapes))))
        random = np.random.default_rng(1)
        xs = [2 * random.standard_normal((2, *shape)) for shape in shapes]
        with torch.no_grad():
            module = to_torch(network).double()
            expected = module(*(torch.from_numpy(x) for x in xs)).numpy()
        assert expected.shape[1:] == layer.output_shape(*shapes)
        actual = compute(layer, xs, {})
        scale = np.abs(expected[np.isfinite(expected)]).max(initial=1)
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12 * scale)

    holds()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (make("pixel_shuffle", 2), (6, 4, 4)),
        (make("pixel_unshuffle", 2), (6, 5, 4)),
        (make("pixel_unshuffle", 3), (6, 6, 4)),
        (make("unfold", 5, 2), (2, 8, 9)),
        (make("unfold", (2, 4), 1, (1, 0)), (2, 8, 3)),
        (make("glu"), (5, 4, 4)),
        (make("glu", "width"), (4, 4, 3)),
        (make("transpose", 0, 3), (4, 5, 6)),
    ],
)
def test_what_pytorch_refuses_is_refused(layer: Layer, shape: Shape) -> None:
    with pytest.raises(LayerError):
        layer.output_shape(shape)
    x = torch.zeros(1, *shape)
    functions = {
        "pixel_shuffle": lambda: torch.nn.functional.pixel_shuffle(x, layer.upscale_factor),
        "pixel_unshuffle": lambda: torch.nn.functional.pixel_unshuffle(x, layer.downscale_factor),
        "unfold": lambda: torch.nn.functional.unfold(
            x, layer.kernel_size, layer.dilation, layer.padding, layer.stride
        ),
        "glu": lambda: torch.nn.functional.glu(x, 1 if layer.dim == "channels" else 3),
        "transpose": lambda: x.transpose(layer.dim0 + 1, layer.dim1 + 1),
    }
    with pytest.raises((RuntimeError, IndexError)):
        functions[layer.kind]()
