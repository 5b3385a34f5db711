"""Arrays that several layers use, and arrays that are not trained, as the builder declares them."""

from __future__ import annotations

import numpy as np
import pytest

import archcalc
from archcalc.builder import NetworkBuilder
from archcalc.executor.execute import run
from archcalc.layers import Add, Conv2d, Linear
from archcalc.layers.arguments import LayerError


def autoencoder() -> archcalc.Network:
    """Two layers with one matrix, turned around, and a bias each: 12·5 weights, 5 + 12 biases."""
    build = NetworkBuilder("tied")
    x = build.input((12,))
    encoder = build.add(Linear(5), x, name="encoder")
    decoder = build.add(Linear(12), encoder, name="decoder", tied={"weight": (encoder, "weight")})
    return build.finish(decoder)


def test_a_tied_array_counts_once() -> None:
    profile = archcalc.analyze(autoencoder())
    assert profile.totals.params == 12 * 5 + 5 + 12
    assert profile.totals.macs == 2 * 12 * 5
    # columns add up to the total; a layer alone has all of its arrays
    assert [layer.params for layer in profile] == [12 * 5 + 5, 12]
    assert profile.part("decoder").layers[0].counts["params"] == 12 * 5 + 12
    assert sum(layer.weights for layer in profile) == 12 * 5


def test_a_tied_array_is_the_transposed_one() -> None:
    network = autoencoder()
    rng = np.random.default_rng(0)
    matrix, a, b = rng.normal(size=(12, 5)), rng.normal(size=5), rng.normal(size=12)
    x = rng.normal(size=(3, 12))
    given = {"encoder": {"weight": matrix, "bias": a}, "decoder": {"bias": b}}
    out = run(network, x, given, batch=3, dtype=np.float64)
    assert np.allclose(out["output"], (x @ matrix + a) @ matrix.T + b, atol=1e-12)
    assert run(network)["output"].shape == (1, 12)  # with random arrays, too


def test_three_layers_with_one_kernel_and_two_biases() -> None:
    build = NetworkBuilder("heads")
    x = build.input((4, 9, 7))
    one = build.add(Conv2d(4, (3, 5), padding=((1, 1), (2, 2))), x)
    two = build.add(Conv2d(4, (3, 5), padding=((1, 1), (2, 2))), one, tied={"weight": (one, "weight")})
    both = {"weight": (two, "weight"), "bias": (two, "bias")}
    three = build.add(Conv2d(4, (3, 5), padding=((1, 1), (2, 2))), two, tied=both)
    network = build.finish(build.add(Add(), one, three))
    assert archcalc.analyze(network).totals.params == 4 * 4 * 3 * 5 + 4 + 4
    assert archcalc.analyze(network).part("conv*").profile.whole.layers[2].params == 0
    assert run(network)["output"].shape == (1, 4, 9, 7)


def test_fixed_arrays_are_buffers() -> None:
    build = NetworkBuilder("blur")
    x = build.input((4, 9, 7))
    network = build.finish(build.add(Conv2d(8, 3, groups=4), x, fixed=["weight"]))
    totals = archcalc.analyze(network).totals
    assert (totals.params, totals.buffers, totals.macs) == (8, 8 * 9, 8 * 9 * 7 * 5)


def test_arrays_of_other_sizes_cannot_be_tied() -> None:
    build = NetworkBuilder("wrong")
    one = build.add(Linear(5), build.input((12,)))
    with pytest.raises(LayerError, match=r"`weight` of `fc2` has .* values, but `weight` of `fc1` has"):
        build.add(Linear(6), one, tied={"weight": (one, "weight")})
