"""The backward pass of activations, functions of one value, factors and reductions.

What they keep for any arguments, their gradients at kinks and at large values, and how many operations they
take, counted number by number.
"""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from backward_checks import Applied, check_minimal, needs_of
from counted import Tally, erf, plain
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from samples import MAP, SAMPLES, Sample, make
from test_kernels import BATCH, layer_of

from archcalc.executor.backward import Back, kept_by, run_backward
from archcalc.executor.backward import activation as activation_kernels
from archcalc.executor.kernel import KERNELS, Call, computing
from archcalc.layers import KINDS, Layer
from archcalc.layers.backward import OUTPUT, Needs
from archcalc.layers.base import facts

FAMILIES = ("activation", "unary", "arithmetic", "reduction")
HERE = [name for name, kind in KINDS.items() if kind.family in FAMILIES]

# --- What is kept -----------------------------------------------------------------------------------

IN, OUT, BYTE_OR_IN, BYTE_OR_OUT, NOTHING = "in", "out", "a byte, or in", "a byte, or out", ""

KEPT: list[tuple[Layer, str]] = [
    (make("relu"), BYTE_OR_OUT),
    (make("relu6"), BYTE_OR_OUT),
    (make("hardtanh", -2, Fraction(1, 2)), BYTE_OR_OUT),
    (make("hardsigmoid"), BYTE_OR_OUT),
    (make("hardsigmoid", Fraction(-1, 5)), BYTE_OR_OUT),
    (make("leaky_relu"), BYTE_OR_OUT),
    (make("leaky_relu", 0), BYTE_OR_OUT),
    (make("leaky_relu", -1), BYTE_OR_IN),
    (make("leaky_relu", 1), NOTHING),
    (make("abs"), BYTE_OR_IN),
    (make("elu"), OUT),
    (make("elu", 0), BYTE_OR_OUT),
    (make("elu", -1), IN),
    (make("selu"), OUT),
    (make("sigmoid"), OUT),
    (make("tanh"), OUT),
    (make("logsigmoid"), OUT),
    (make("softsign"), OUT),
    *((make(kind), IN) for kind in ("gelu", "silu", "hardswish", "softplus", "mish", "glu")),
    (make("gelu", "tanh"), IN),
    (make("softplus", -2, -1), IN),
    *((make(kind), OUT) for kind in ("exp", "sqrt", "rsqrt", "softmax", "log_softmax")),
    *((make(kind), IN) for kind in ("log", "square", "sin", "cos", "erf")),
    (make("pow", 1), NOTHING),
    *((make("pow", exponent), IN) for exponent in (2, -1, Fraction(1, 2), Fraction(3, 2))),
    (make("clamp", 0, 6), BYTE_OR_OUT),
    (make("clamp", min=1), BYTE_OR_OUT),
    (make("clamp", 6, 0), NOTHING),
    (make("clamp", 1, 1), NOTHING),
    (make("dropout", 0), NOTHING),
    (make("dropout", 1), NOTHING),
    (make("drop_path", 0), NOTHING),
    (make("drop_path", 1), NOTHING),
    (make("scale", 2), NOTHING),
    (make("shift", 2), NOTHING),
    (make("reduce", "sum"), NOTHING),
    (make("reduce", "mean"), NOTHING),
    (make("reduce", "var"), IN),
    (make("reduce", "norm"), "in, out"),
    (make("reduce", "max"), BYTE_OR_IN),
    (make("reduce", "min"), BYTE_OR_IN),
]


def kept_of(layer: Layer, needs: Needs, shape: tuple[int, ...] = (4, 3, 5)) -> str:
    words = []
    for kept in layer.backward(facts(layer, (shape,)), needs).kept:
        if kept.values is None:
            words.append(OUT if kept.input == OUTPUT else IN)
            continue
        assert kept.value_bytes == 1
        assert kept.values.value == math.prod(shape)
        words.append({OUTPUT: BYTE_OR_OUT, 0: BYTE_OR_IN, None: "a byte"}[kept.instead])
    return ", ".join(words)


@pytest.mark.parametrize(("layer", "kept"), KEPT, ids=str)
def test_kept(layer: Layer, kept: str) -> None:
    assert kept_of(layer, Needs((True,))) == kept
    check_minimal(layer, ((4, 3, 5),))


@pytest.mark.parametrize(
    ("layer", "frozen", "trained"),
    [
        (make("prelu"), BYTE_OR_IN, IN),
        (make("prelu", 4), BYTE_OR_IN, IN),
        (make("scale"), NOTHING, IN),
        (make("scale", per_channel=True), NOTHING, IN),
        (make("shift"), NOTHING, NOTHING),
        (make("shift", per_channel=True), NOTHING, NOTHING),
    ],
    ids=str,
)
def test_kept_for_the_gradient_of_an_array(layer: Layer, frozen: str, trained: str) -> None:
    (weight,) = facts(layer, ((4, 3, 5),)).weights
    assert kept_of(layer, Needs((True,))) == frozen
    assert kept_of(layer, Needs((True,), frozenset({weight.name}))) == trained
    assert kept_of(layer, Needs((False,), frozenset({weight.name}))) == trained


def test_drop_path_keeps_a_byte_for_each_sample() -> None:
    layer = make("drop_path", Fraction(1, 3))
    (kept,) = layer.backward(facts(layer, (MAP,)), Needs((True,))).kept
    assert kept.values is not None
    assert (kept.values.value, kept.value_bytes, kept.per_batch) == (1, 1, False)


@pytest.mark.parametrize("kind", [kind for kind in HERE if KINDS[kind].parameters])
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_what_is_kept_is_needed(kind: str, data: Any) -> None:
    """For any arguments, where there are enough values for both sides of a kink, and rows of two or more."""
    layer, shapes = data.draw(layer_of(kind))
    assume(all(min(shape) > 1 and math.prod(shape) > 11 for shape in shapes))
    check_minimal(layer, shapes)


# --- Gradients at kinks, and where functions are steep or flat -----------------------------------------

KINKS = [
    # measured with PyTorch 2.14; up to 2.13 `torch.clamp` let gradients pass at its limits
    (make("relu"), [-1, 0, 1], [0, 0, 1]),
    (make("relu6"), [-1, 0, 3, 6, 7], [0, 0, 1, 0, 0]),
    (make("hardtanh"), [-2, -1, 0, 1, 2], [0, 0, 1, 0, 0]),
    (make("clamp", -1, 1), [-2, -1, 0, 1, 2], [0, 0, 1, 0, 0]),
    (make("clamp", 1, -1), [-2, -1, 0, 1, 2], [0, 0, 0, 0, 0]),
    (make("clamp", 1, 1), [-2, -1, 0, 1, 2], [0, 0, 0, 0, 0]),
    (make("clamp", min=1), [-2, -1, 0, 1, 2], [0, 0, 0, 0, 1]),
    (make("hardswish"), [-4, -3, 0, 3, 4], [0, 0, 0.5, 1, 1]),
    (make("hardsigmoid"), [-4, -3, 0, 3, 4], [0, 0, 1 / 6, 0, 0]),
    (make("leaky_relu", Fraction(1, 2)), [-1, 0, 1], [0.5, 0.5, 1]),
    (make("leaky_relu", Fraction(-1, 2)), [-1, 0, 1], [-0.5, -0.5, 1]),
    (make("leaky_relu", 0), [-1, 0, 1], [0, 0, 1]),
    (make("elu", Fraction(1, 2)), [-1, 0, 1], [0.18393972058572117, 0.5, 1]),
    (make("elu", Fraction(-1, 2)), [-1, 0, 1], [-0.18393972058572117, -0.5, 1]),
    (make("elu", 0), [-1, 0, 1], [0, 0, 1]),
    (make("selu"), [-1, 0, 1], [0.646768603034814, 1.7580993408473766, 1.0507009873554805]),
    (make("abs"), [-1, 0, 1], [-1, 0, 1]),
    (make("softplus", 1, 1), [0.5, 1, 2], [0.6224593312018546, 0.7310585786300049, 1]),
    (make("softplus", -2, 1), [-2, -0.5, 0.5], [1, 0.7310585786300049, 0.2689414213699951]),
    (make("softsign"), [-1, 0, 1], [0.25, 1, 0.25]),
    (make("sqrt"), [0, 1, -1], [math.inf, 0.5, math.nan]),
    (make("rsqrt"), [0, 1, -1], [-math.inf, -0.5, math.nan]),
    (make("log"), [0, 1], [math.inf, 1]),
    (make("pow", Fraction(1, 2)), [0, 1, -2], [math.inf, 0.5, math.nan]),
    (make("pow", 1), [0, 1, -2], [1, 1, 1]),
    (make("pow", 2), [0, 1, -2], [0, 2, -4]),
    (make("pow", 3), [0, 1, -2], [0, 3, 12]),
    (make("pow", -1), [0, 1, -2], [-math.inf, -1, -0.25]),
    (make("pow", -2), [0, 1, -2], [-math.inf, -2, 0.25]),
    (make("pow", Fraction(-1, 2)), [0, 1, -2], [-math.inf, -0.5, math.nan]),
    (make("pow", Fraction(3, 2)), [0, 1, -2], [0, 1.5, math.nan]),
    (make("reduce", "max", "channels"), [1, 2, 2, 0, 0], [0, 0.5, 0.5, 0, 0]),
    (make("reduce", "min", "channels"), [1, 2, 2, 0, 0], [0, 0, 0, 0.5, 0.5]),
    (make("reduce", "norm", "channels"), [0, 0, 0], [0, 0, 0]),
    (make("reduce", "var", "channels"), [0, 0, 0], [0, 0, 0]),
]


def slopes_at(layer: Layer, values: list[float], dtype: Any = np.float64) -> np.ndarray:
    """The gradient of the input, where that of each output is 1."""
    return sent_back(layer, np.array([values], dtype))[0]


def sent_back(layer: Layer, x: np.ndarray, graph_instead: bool = False) -> np.ndarray:
    call = Call([x], {}, train=True, kept={})
    with computing():
        out = np.array(KERNELS[type(layer)](layer, call))
        kept = {} if graph_instead else kept_by(layer, call, out)
        (sent,), _ = run_backward(layer, Back(np.ones_like(out), [x], out, kept, {}, Needs((True,))))
    assert sent is not None
    assert sent.dtype == x.dtype
    return np.asarray(sent)


@pytest.mark.parametrize(("layer", "values", "slopes"), KINKS, ids=str)
def test_at_kinks(layer: Layer, values: list[float], slopes: list[float]) -> None:
    for graph_instead in (False, True):
        found = sent_back(layer, np.array([values], float), graph_instead)[0]
        np.testing.assert_allclose(found, slopes, rtol=1e-12, atol=0)


def test_slopes_of_prelu_at_zero() -> None:
    """As PyTorch: 0 is on the side of the slope."""
    x, g = np.array([[-1.0, 0.0, 1.0]]), np.ones((1, 3))
    needs = Needs((True,), frozenset({"weight"}))
    (sent,), arrays = run_backward(
        make("prelu"), Back(g, [x], x * math.nan, {}, {"weight": np.array([0.25])}, needs)
    )
    np.testing.assert_array_equal(sent, [[0.25, 0.25, 1]])
    np.testing.assert_array_equal(arrays["weight"], [-1])


FAR = [-1e4, -800, -90, 90, 800, 1e4]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("kind", "below", "above"),
    [
        *((kind, 0, 1) for kind in ("gelu", "silu", "mish", "softplus", "hardswish", "elu")),
        *((kind, 0, 0) for kind in ("sigmoid", "tanh", "relu6", "hardsigmoid")),
        *(("logsigmoid", 1, 0), ("selu", 0, 1.0507009873554805)),
    ],
)
def test_far_from_zero(kind: str, below: float, above: float, dtype: Any) -> None:
    """Exponentials that overflow leave the limits of the derivatives."""
    expected = [below] * 3 + [above] * 3
    np.testing.assert_allclose(slopes_at(make(kind), FAR, dtype), expected, rtol=1e-6, atol=1e-30)


def test_far_from_zero_along_an_axis() -> None:
    x = np.array([[-1e4, 90, 1e4, -800]])
    for kind in ("softmax", "log_softmax", "glu"):
        assert np.isfinite(sent_back(make(kind), x)).all()


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.kind in HERE and s.inputs], ids=str)
def test_single_precision_stays_single(sample: Sample) -> None:
    applied = Applied(sample.layer, sample.inputs)
    for needs in needs_of(sample.layer, sample.inputs):
        does = sample.layer.backward(applied.facts, needs)
        exact = applied.backward(needs, does, True)
        single = Applied(sample.layer, sample.inputs)
        single.inputs = [x.astype(np.float32) for x in single.inputs]
        single.weights = {name: array.astype(np.float32) for name, array in single.weights.items()}
        single.out, single.kept = single.forward(single.inputs, single.weights)
        single.gradient = single.gradient.astype(np.float32)
        for key, gradient in single.backward(needs, does, True).items():
            assert gradient.dtype == np.float32
            np.testing.assert_allclose(gradient, exact[key], rtol=1e-3, atol=1e-4)


# --- The operations, counted ----------------------------------------------------------------------------


def counted(layer: Layer, shapes: tuple[Any, ...], needs: Needs) -> tuple[Counter[str], Counter[str]]:
    """The operations of a batch as declared, and as counted on numbers that count."""
    applied = Applied(layer, shapes)
    if layer.kind == "prelu":  # all values where slopes have gradients: the longest branch counts
        applied.inputs = [-np.abs(x) for x in applied.inputs]
    does = layer.backward(applied.facts, needs)
    declared: Counter[str] = Counter()
    for category, count in does.operations:
        declared[category] += BATCH * count.value
    own = {kept.name: applied.kept[kept.name] for kept in does.kept if kept.values and kept.instead is None}
    exact = applied.backward(needs, does, graph_instead=True)
    tally = Tally()
    back = Back(
        tally.array(applied.gradient),
        [tally.array(x) for x in applied.inputs],
        tally.array(applied.out),
        own,
        {name: tally.array(array) for name, array in applied.weights.items()},
        needs,
    )
    sent, arrays = run_backward(layer, back)
    found: dict[int | str, Any] = {i: x for i, x in enumerate(sent) if x is not None}
    for name in needs.trained:
        # the gradients of an array are added to what is there, be it 0
        found[name] = tally.array(np.zeros(arrays[name].shape)) + arrays[name]
    for key, gradient in exact.items():
        computed = np.vectorize(plain)(found[key])
        np.testing.assert_allclose(computed, gradient.astype(float), rtol=1e-9, atol=1e-12)
    return +declared, +tally.counts


@pytest.mark.parametrize("kind", HERE)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_operations(kind: str, data: Any) -> None:
    layer, shapes = data.draw(layer_of(kind))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(activation_kernels, "erf", np.vectorize(erf, otypes=[object]))
        for needs in needs_of(layer, shapes):
            declared, found = counted(layer, shapes, needs)
            assert declared == found, needs
