"""The worked examples of the decks, computed, and compared with what the slides print, right or wrong.

Each test names the deck and the line of its text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import archcalc
from archcalc.executor.execute import run
from archcalc.profile import figures_of

Array = np.ndarray


def grid(text: str) -> Array:
    return np.array([[float(v) for v in row.split()] for row in text.split("/")])


def through(body: str, image: Array, *weights: Array, keep: Any = ()) -> dict[str, Array]:
    """What becomes of one map in a network of one map a layer; `weights` are the kernels in order."""
    height, width = image.shape
    network = archcalc.loads(f"net example {{ input(1x{height}x{width})\n {body}\n}}")
    paths = [node.name for node in network.nodes if node.facts.weights]
    given = {path: {"weight": w[..., None, None]} for path, w in zip(paths, weights, strict=True)}
    found = run(network, image[None, None], given, keep=keep, dtype=np.float64)
    return {name: array[0, 0] for name, array in found.items()}


def seen_from(body: str, shape: tuple[int, int], place: tuple[int, int], node: str = "output") -> Array:
    """Which values of the input one output sees: those that spoil it when they are no number."""
    from archcalc.executor.execute import execute

    network = archcalc.loads(f"net example {{ input(1x{shape[0]}x{shape[1]})\n {body}\n}}")
    seen = np.zeros(shape, bool)
    for at in np.ndindex(shape):
        image = np.zeros((1, 1, *shape), np.float32)
        image[(0, 0, *at)] = np.nan
        found = execute(network, image, keep=[] if node == "output" else [node], finite=False).outputs[node]
        seen[at] = np.isnan(found[(0, 0, *place)])
    return seen


# --- Deck 0, lines 105 to 142: receptive fields on a grid numbered from 1 to 25 -----------------------

NUMBERED = np.arange(1.0, 26).reshape(5, 5)
TWICE = "conv(1, 3, bias=false) -> conv(1, 3, bias=false)"


def test_deck_0_field_of_the_first_output() -> None:
    """Lines 105-117: the first output of a 3x3 convolution sees 1 2 3 / 6 7 8 / 11 12 13."""
    seen = seen_from("conv(1, 3, bias=false)", (5, 5), (0, 0))
    np.testing.assert_array_equal(NUMBERED[seen], [1, 2, 3, 6, 7, 8, 11, 12, 13])


@pytest.mark.parametrize("tap", list(np.ndindex(3, 3)))
def test_deck_0_values_of_the_first_window(tap: tuple[int, int]) -> None:
    """The same read off with kernels of a single one: tap by tap the numbers of the slide."""
    kernel = np.zeros((3, 3))
    kernel[tap] = 1
    found = through("conv(1, 3, bias=false)", NUMBERED, kernel)["output"]
    assert found[0, 0] == grid("1 2 3 / 6 7 8 / 11 12 13")[tap]
    np.testing.assert_array_equal(found, NUMBERED[tap[0] : tap[0] + 3, tap[1] : tap[1] + 3])


def test_deck_0_maps_and_fields_of_two_layers() -> None:
    """Lines 120-160: 5x5 becomes 3x3 becomes 1x1, and the last value sees all 25."""
    network = archcalc.loads(f"net example {{ input(1x5x5)\n {TWICE}\n}}")
    assert [node.shape for node in network.nodes] == [(1, 5, 5), (1, 3, 3), (1, 1, 1)]
    assert seen_from(TWICE, (5, 5), (0, 0)).all()
    for place in np.ndindex(3, 3):
        seen = seen_from(TWICE, (5, 5), place, "conv1")
        expected = np.zeros((5, 5), bool)
        expected[place[0] : place[0] + 3, place[1] : place[1] + 3] = True
        np.testing.assert_array_equal(seen, expected)


def test_deck_0_two_small_kernels_for_a_large_one() -> None:
    """Line 101: 3x3 kernels replicate a 5x5 one with fewer parameters: 18 for 25, on the same field."""
    two = archcalc.loads(f"net example {{ input(1x5x5)\n {TWICE}\n}}")
    one = archcalc.loads("net example { input(1x5x5)\n conv(1, 5, bias=false)\n}")
    assert archcalc.analyze(two).totals.params == 18
    assert archcalc.analyze(one).totals.params == 25
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, 3, 3))
    whole = np.zeros((5, 5))  # the two kernels laid over each other
    for (i, j), value in np.ndenumerate(a):
        whole[i : i + 3, j : j + 3] += value * b
    np.testing.assert_allclose(
        through(TWICE, NUMBERED, a, b)["output"],
        through("conv(1, 5, bias=false)", NUMBERED, whole)["output"],
    )


def test_deck_0_stride() -> None:
    """Lines 92-97: without padding, at stride 1, "5x5 instead of 7x7". The figure is right; but it is the
    missing padding that takes the two away, and no stride: a stride of 2 would leave 3x3."""
    sizes = {
        body: through(f"conv(1, 3, {body}bias=false)", np.ones((7, 7)), np.ones((3, 3)))["output"].shape
        for body in ("", "padding=1, ", "stride=2, ")
    }
    assert sizes == {"": (5, 5), "padding=1, ": (7, 7), "stride=2, ": (3, 3)}


# --- Deck 2 -----------------------------------------------------------------------------------------


def test_deck_2_binary_image() -> None:
    """Lines 107-111: the image with the kernel as subscripts, garbled; the result's figure is lost.

    With the kernel 1 0 1 / 0 1 0 / 1 0 1, which is the known form of this example, it is
    4 3 4 / 2 4 3 / 2 3 4.
    """
    image = grid("1 1 1 0 0 / 0 1 1 1 0 / 0 0 1 1 1 / 0 0 1 1 0 / 0 1 1 0 0")
    kernel = grid("1 0 1 / 0 1 0 / 1 0 1")
    found = through("conv(1, 3, bias=false)", image, kernel)["output"]
    np.testing.assert_array_equal(found, grid("4 3 4 / 2 4 3 / 2 3 4"))


def test_deck_2_correlation_or_convolution() -> None:
    """Lines 105 and 119: layers correlate, the printed formula convolves. Only a symmetric kernel,
    such as that of the slide, gives the same by both."""

    def convolved(image: Array, kernel: Array) -> Array:
        return through("conv(1, 3, bias=false)", image, kernel[::-1, ::-1])["output"]

    image = grid("7 2 3 3 8 / 4 5 3 8 4 / 3 3 2 8 4 / 2 8 7 2 7 / 5 4 4 5 4")
    for kernel, same in ((grid("1 0 1 / 0 1 0 / 1 0 1"), True), (grid("1 0 -1 / 1 0 -1 / 1 0 -1"), False)):
        correlated = through("conv(1, 3, bias=false)", image, kernel)["output"]
        assert (correlated == convolved(image, kernel)).all() == same


def test_deck_2_dense_local_and_shared() -> None:
    """Lines 50-64: 7 inputs, 3 outputs: 21, 3x3 = 9 and 3 parameters; "2.3X" and "7X" are 21/9 and 21/3."""
    counts = {}
    for kind, body in {
        "dense": "flatten -> fc(3, bias=false)",
        "local": "local(1, 3, stride=2, bias=false)",
        "shared": "conv(1, 3, stride=2, bias=false)",
    }.items():
        network = archcalc.loads(f"net example {{ input(1x7)\n {body}\n}}")
        done = archcalc.analyze(network)
        counts[kind] = done.totals.params
        assert sum(figures_of(node.facts).macs for node in network.nodes) == (21 if kind == "dense" else 9)
        assert run(network)["output"].size == 3
    assert counts == {"dense": 21, "local": 9, "shared": 3}
    assert round(21 / counts["local"], 1) == 2.3
    assert 21 / counts["shared"] == 7


def test_deck_2_sharing_is_a_local_layer_with_equal_weights() -> None:
    kernel, x = np.array([2.0, -1, 3]), np.arange(7.0)[None, None]
    shared = archcalc.loads("net example { input(1x7)\n conv(1, 3, stride=2, bias=false)\n}")
    local = archcalc.loads("net example { input(1x7)\n local(1, 3, stride=2, bias=false)\n}")
    one = run(shared, x, {"conv1": {"weight": kernel.reshape(3, 1, 1)}}, dtype=np.float64)
    own = np.repeat(kernel.reshape(3, 1, 1, 1), 3, axis=-1)
    many = run(local, x, {"local1": {"weight": own}}, dtype=np.float64)
    np.testing.assert_array_equal(one["output"], many["output"])
    np.testing.assert_array_equal(one["output"][0, 0], [2 * i - (i + 1) + 3 * (i + 2) for i in (0, 2, 4)])


# --- Deck 3 -----------------------------------------------------------------------------------------


def test_deck_3_basic_convolution() -> None:
    """Lines 108-133: the first output is 6, which is right; the others are left out on the slide."""
    image = grid("7 2 3 3 8 / 4 5 3 8 4 / 3 3 2 8 4 / 2 8 7 2 7 / 5 4 4 5 4")
    kernel = grid("1 0 -1 / 1 0 -1 / 1 0 -1")
    found = through("conv(1, 3, bias=false)", image, kernel)["output"]
    assert found[0, 0] == 6
    np.testing.assert_array_equal(found, grid("6 -9 -8 / -3 -2 -3 / -3 0 -2"))


PADDED = grid("2 2 3 3 3 / 0 1 3 0 3 / 2 3 0 1 3 / 3 3 2 1 2 / 3 3 0 2 3")
STRIDED = grid("2 0 1 / 1 0 0 / 0 1 1")
"""Read off lines 143 to 145, where the kernel stands as subscripts beside the window at the corner."""


def test_deck_3_stride_2() -> None:
    """Lines 141-153 print 1 6 5 / 7 10 9 / 7 10 8. It is 1 5 6 / 7 8 3 / 3 10 4.

    Only three of the nine agree, the one whose window is drawn among them. The result belongs to
    another kernel or image: the one kernel that gives it on this image is not of whole numbers.
    """
    printed = grid("1 6 5 / 7 10 9 / 7 10 8")
    right = grid("1 5 6 / 7 8 3 / 3 10 4")
    found = through("conv(1, 3, stride=2, padding=1, bias=false)", PADDED, STRIDED)["output"]
    np.testing.assert_array_equal(found, right)
    assert [tuple(map(int, at)) for at in np.argwhere(found == printed)] == [(0, 0), (1, 0), (2, 1)]
    # each tap's share in each output, from kernels of a single one
    shares = []
    for tap in np.ndindex(3, 3):
        one = np.zeros((3, 3))
        one[tap] = 1
        shares.append(through("conv(1, 3, stride=2, padding=1, bias=false)", PADDED, one)["output"].ravel())
    only = np.linalg.solve(np.array(shares).T, printed.ravel())
    assert np.abs(only - np.round(only)).max() > 0.1


def test_deck_3_parameters_asked() -> None:
    """Lines 157-162 ask for size and parameters of 32 kernels 3x3x8 over 64x64x8 and print no answer:
    62x62x32, and 3*3*8*32 weights with 32 biases."""
    network = archcalc.loads("net example { input(8x64x64)\n conv(32, 3)\n}")
    assert run(network)["output"].shape == (1, 32, 62, 62)
    assert archcalc.analyze(network).totals.params == 3 * 3 * 8 * 32 + 32 == 2336


# --- Deck 4 -----------------------------------------------------------------------------------------

CORNER = grid("200 150 100 / 100 50 100 / 25 25 10")
SOBEL = grid("1 0 -1 / 2 0 -2 / 1 0 -1")


def test_deck_4_cross_correlation() -> None:
    """Line 21 prints 65 + bias. It is 115: 200 - 100 + 2*(100 - 100) + 25 - 10.

    65 is what comes out if the 100 at the upper right were 150, as in the same matrix on the slide of
    the max pool (line 175).
    """
    found = through("conv(1, 3, bias=false)", CORNER, SOBEL)["output"]
    assert found.shape == (1, 1)
    assert found[0, 0] == 115 != 65
    other = CORNER.copy()
    other[0, 2] = 150
    assert through("conv(1, 3, bias=false)", other, SOBEL)["output"][0, 0] == 65


def test_deck_4_bias_is_added() -> None:
    network = archcalc.loads("net example { input(1x3x3)\n conv(1, 3)\n}")
    weights = {"conv1": {"weight": SOBEL[..., None, None], "bias": np.array([7.0])}}
    found = run(network, CORNER[None, None], weights, dtype=np.float64)["output"]
    assert found.item() == 115 + 7


@pytest.mark.parametrize("n", [1, 5])
def test_deck_4_parameters(n: int) -> None:
    """Line 29: N filters over 3 channels have N*(k1*k2*3 + 1) parameters."""
    network = archcalc.loads(f"net example {{ input(3x9x10)\n conv({n}, 4x5)\n}}")
    assert archcalc.analyze(network).totals.params == n * (4 * 5 * 3 + 1)


def test_deck_4_max_pool() -> None:
    """Line 175: the maximum is 200; and the layer, as the next slide asks, learns no parameters."""
    image = grid("200 150 150 / 100 50 100 / 25 25 10")
    found = through("maxpool(3)", image)["output"]
    assert found.shape == (1, 1)
    assert found[0, 0] == 200
    network = archcalc.loads("net example { input(1x3x3)\n maxpool(3)\n}")
    assert archcalc.analyze(network).totals.params == 0


def test_deck_4_stride_of_a_pool() -> None:
    """Line 162: the stride is the kernel's size unless given."""
    image = np.arange(24.0).reshape(4, 6)
    np.testing.assert_array_equal(
        through("maxpool(2)", image)["output"], through("maxpool(2, stride=2)", image)["output"]
    )
    assert through("maxpool(2, stride=1)", image)["output"].shape == (3, 5)
