"""The fast path against the reference kernels: Winograd's convolutions, folded norms, whole networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import make

import archcalc
from archcalc.executor import winograd
from archcalc.executor.conv import conv
from archcalc.executor.execute import RunOptions, Step, execute, run
from archcalc.executor.fast import fast_path, tile_size
from archcalc.executor.kernel import Call, pads
from archcalc.executor.weights import Weights, random_weights
from archcalc.network import Network

Array = np.ndarray

A = {
    2: np.array([[1, 1, 1, 0], [0, 1, -1, -1]]),
    4: np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]),
}
B = {
    2: np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
    4: np.array(
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ]
    ),
}
"""Lavin & Gray 2016, Sections 4.1 and 4.2: their transposed matrices."""

PADDINGS = (0, 1, 2, "same", "same_lower", "valid", (0, 2), ((1, 0), (0, 3)))


@pytest.mark.parametrize("m", [2, 4])
def test_transforms_are_the_published_matrices(m: int) -> None:
    out = np.empty((m + 2, m + 2))
    winograd._apply_b(np.eye(m + 2), out)
    np.testing.assert_array_equal(out, B[m])
    out = np.empty((m, m + 2))
    winograd._apply_a(np.eye(m + 2), out)
    np.testing.assert_array_equal(out, A[m])


def rounding(m: int, x: Array, w: Array, ends: Any, bias: Array) -> float:
    """How far rounding can take any output: `k u` times the sum of the absolute values of all terms.

    `k` counts the roundings that a value meets on its way (Higham 2002, Lemma 3.1): at most 12 in each
    transform of the weights, the tiles and the products, one a channel, and the bias.
    """
    size = m + 2
    height, width = (n + sum(end) - 2 for n, end in zip(x.shape[1:3], ends, strict=True))
    more = [(before, after + m) for before, after in ends]
    d = np.pad(np.abs(x), [(0, 0), *more, (0, 0)])
    g, a, b = (np.abs(matrix[m]) for matrix in (winograd.KERNELS, A, B))
    u = np.einsum("ip,pqck,jq->ijck", g, np.abs(w), g)
    largest = 0.0
    for top, left in np.ndindex(-(-height // m), -(-width // m)):
        tile = d[:, top * m : top * m + size, left * m : left * m + size]
        v = np.einsum("ip,zpqc,jq->zijc", b, tile, b)
        products = np.einsum("zijc,ijck->zijk", v, u)
        largest = max(largest, float(np.einsum("ai,zijk,bj->zabk", a, products, a).max()))
    return float((x.shape[-1] + 37) * np.finfo(x.dtype).eps / 2 * (largest + np.abs(bias).max()))


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from((2, 4)),
    st.tuples(st.integers(1, 2), st.integers(3, 19), st.integers(3, 19), st.integers(1, 5)),
    st.integers(1, 4),
    st.sampled_from(PADDINGS),
    st.sampled_from((np.float32, np.float64)),
    st.integers(0, 2**16),
)
def test_as_exact_as_theory_promises(
    m: int, shape: tuple[int, ...], channels: int, padding: Any, dtype: Any, seed: int
) -> None:
    random = np.random.default_rng(seed)
    x = random.standard_normal(shape).astype(dtype)
    w = random.standard_normal((3, 3, shape[-1], channels)).astype(dtype)
    bias = random.standard_normal(channels).astype(dtype)
    layer = make("conv", channels, 3, padding=padding)
    exact = conv(layer, Call([x.astype(float)], {"weight": w.astype(float), "bias": bias.astype(float)}))
    ends = pads(padding, shape[1:3], (3, 3), (1, 1), (1, 1))
    before = x.copy()
    found = winograd.convolved(x, winograd.transformed(w, m), ends, bias)
    np.testing.assert_array_equal(x, before)
    assert found.dtype == dtype
    assert found.shape == exact.shape
    error = np.abs(found - exact).max()
    assert error <= rounding(m, x, w, ends, bias)
    if dtype == np.float64:
        assert error <= 1e-10 * max(1, np.abs(exact).max())


@pytest.mark.parametrize(("m", "typical"), [(2, 2e-6), (4, 3e-5)])
@pytest.mark.parametrize("shape", [(2, 29, 15, 64), (1, 57, 61, 70)])  # several blocks of tiles each
def test_errors_that_layers_of_networks_meet(
    m: int, typical: float, shape: tuple[int, ...], monkeypatch: Any
) -> None:
    monkeypatch.setattr(winograd, "LEAST_TILES", 16)
    monkeypatch.setattr(winograd, "BLOCK_BYTES", 1 << 17)
    random = np.random.default_rng(0)
    x = np.maximum(random.standard_normal(shape), 0)
    w = random.standard_normal((3, 3, shape[-1], 66))
    exact = conv(make("conv", 66, 3, padding=1, bias=False), Call([x], {"weight": w}))
    for dtype, tolerance in ((np.float32, typical), (np.float64, 1e-13)):
        filter = winograd.transformed(w.astype(dtype), m)
        found = winograd.convolved(x.astype(dtype), filter, [(1, 1), (1, 1)], None)
        assert np.abs(found - exact).max() <= tolerance * np.abs(exact).max()


# --- What is chosen ---------------------------------------------------------------------------------

CHOICES = """\
net choices {
  input(64x32x30)
  wide: conv(64, 3, padding=1)
  odd: conv(64, 5, padding=2)
  strided: conv(64, 3, stride=2, padding=1)
  small: conv(70, 3, padding=1)
  dilated: conv(64, 3, padding=2, dilation=2)
  groups: conv(64, 3, padding=1, groups=2)
  narrow: conv(8, 3, padding=1)
  conv(64, 1) -> maxpool(2)
  tiny: conv(64, 3, padding=1)
}
"""


def test_a_heuristic_by_shape() -> None:
    network = archcalc.loads(CHOICES)
    names = ("wide", "odd", "strided", "small", "dilated", "groups", "narrow", "tiny")
    chosen = {name: tile_size(network[name]) for name in names}
    assert chosen == dict.fromkeys(names, 0) | {"wide": 4, "small": 2}


# --- Whole networks ---------------------------------------------------------------------------------

RESIDUAL = """\
block shortcut(c, stride) {
  if stride != 1 { conv(c, 1, stride, bias=false) -> bn } else { identity }
}
block unit(c, stride=1) {
  add(
    conv(c, 3, stride, padding=1, bias=false) -> bn -> relu -> conv(c, 3, padding=1) -> bn,
    shortcut(c, stride),
  ) -> relu
}
net residual {
  input(3x62x58)
  conv(64, 7, stride=2, padding=3, bias=false) -> bn -> relu
  a: unit(64)
  b: unit(80, 2)
  separable: { depthwise(3, padding=1, bias=false) -> bn(affine=false) -> relu -> pointwise(70) -> bn }
  global_avgpool -> flatten -> fc(10)
}
"""


def settled(network: Network, dtype: Any = np.float32) -> Weights:
    """Weights whose running statistics are far from neutral."""
    random = np.random.default_rng(4)
    weights = random_weights(network, 2, dtype)
    for arrays in weights.values():
        if "running_mean" in arrays:
            shape = arrays["running_mean"].shape
            arrays["running_mean"][...] = 0.3 * random.standard_normal(shape)
            arrays["running_var"][...] = random.uniform(0.5, 2, shape)
    return weights


@pytest.mark.parametrize(("dtype", "relative"), [(np.float32, 2e-5), (np.float64, 1e-12)])
def test_folded_batch_norms(dtype: Any, relative: float) -> None:
    network = archcalc.loads(RESIDUAL)
    weights = settled(network, dtype)
    before = {name: {k: a.copy() for k, a in arrays.items()} for name, arrays in weights.items()}
    x = np.random.default_rng(1).standard_normal((2, 3, 62, 58)).astype(dtype)
    plain = run(network, x, weights, batch=2, dtype=dtype)["output"]
    fast = run(network, x, weights, batch=2, dtype=dtype, fast=True)["output"]
    assert fast.dtype == dtype
    np.testing.assert_allclose(fast, plain, rtol=0, atol=relative * np.abs(plain).max())
    for name, arrays in weights.items():
        for key, array in arrays.items():
            np.testing.assert_array_equal(array, before[name][key])


@pytest.mark.parametrize("rows", ["[[0, 2], [1], [0, 1, 2], [2]]", "[[0], [1], [2], [0]]"])
def test_a_batch_norm_behind_a_connection_table(rows: str) -> None:
    """Its scale goes to the weights of all maps that an output map reads."""
    network = archcalc.loads(f"net n {{ input(3x9x8)\n conv(4, 3, connections={rows}) -> bn -> relu }}")
    weights = settled(network, np.float64)
    plain = run(network, weights=weights, dtype=np.float64)["output"]
    fast = run(network, weights=weights, dtype=np.float64, fast=True)["output"]
    np.testing.assert_allclose(fast, plain, rtol=1e-12, atol=1e-12)


def test_kept_tensors_are_those_of_the_layers() -> None:
    network = archcalc.loads(RESIDUAL)
    weights = settled(network, np.float64)
    x = np.random.default_rng(1).standard_normal((2, 3, 62, 58))
    names = [node.name for node in network.nodes if not node.is_input]
    how = {"batch": 2, "dtype": np.float64}
    shared = fast_path(network.nodes, weights)
    whole = run(network, x, weights, keep=names, **how)
    for keep in (names, *([name] for name in names)):
        found = run(network, x, weights, keep=keep, fast=shared, **how)
        for name in (*keep, "output"):
            tolerance = 1e-12 * np.abs(whole[name]).max()
            np.testing.assert_allclose(found[name], whole[name], rtol=0, atol=tolerance)


def test_training_and_inspection_see_the_batch_norm() -> None:
    network = archcalc.loads(RESIDUAL)
    weights = settled(network, np.float64)
    plain = run(network, None, weights, batch=2, dtype=np.float64, train=True)["output"]
    fast = run(network, None, weights, batch=2, dtype=np.float64, train=True, fast=True)["output"]
    np.testing.assert_allclose(fast, plain, rtol=0, atol=1e-10 * np.abs(plain).max())
    seen: list[list[Array]] = [[], []]
    for fast_, arrays in zip((False, True), seen, strict=True):

        def look(step: Step, reads: list[Array], weights: Any, out: Array, to: list[Array] = arrays) -> None:
            to.append(out.copy())

        execute(network, None, weights, RunOptions(dtype=np.float64, fast=fast_, inspect=look))
    for mine, theirs in zip(*seen, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12 * max(1, np.abs(theirs).max()))


def test_a_batch_norm_of_a_head_is_not_folded() -> None:
    network = archcalc.loads(
        "net n { input(2x9x8)\n c: conv(4, 3)\n aux early = bn -> global_avgpool\n output seen = relu\n"
        " global_avgpool }"
    )
    weights = settled(network, np.float64)
    weights |= {name: random_weights(network, heads=True)[name] for name in ("bn1",)}
    shared = fast_path(network.nodes, weights)
    for heads in (False, True):
        plain = run(network, None, weights, dtype=np.float64, heads=heads)
        fast = run(network, None, weights, dtype=np.float64, heads=heads, fast=shared)
        assert set(plain) == set(fast)
        for name, array in plain.items():
            np.testing.assert_allclose(fast[name], array, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "side"), [("vgg16", 96), ("resnet18", 128), ("mobilenet_v1", 96)]
)  # the sides that still have large maps where Winograd's large tiles are taken
def test_whole_networks(name: str, side: int) -> None:
    network = archcalc.load(name, inputs={"input": (3, side, side)})
    weights = settled(network)
    x = np.random.default_rng(1).standard_normal((2, 3, side, side)).astype(np.float32)
    before_softmax = [node.name for node in network.nodes if node.kind == "fc"][-1:]
    plain = run(network, x, weights, batch=2, keep=before_softmax)
    fast = run(network, x, weights, batch=2, keep=before_softmax, fast=True)
    assert fast_path(network.nodes, weights)
    for key, array in plain.items():
        assert np.abs(fast[key] - array).max() <= 1e-4 * np.abs(array).max()
