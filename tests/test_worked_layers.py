"""Worked examples on layers, `sources` and `freeze`: what the decks teach with them.

Derivatives have closed forms here, or are sums written out; the examples take central differences of the
reference executor's forward pass.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archcalc
from archcalc import ArchError
from archcalc.audit.networks import Networks
from archcalc.audit.statement import answer
from archcalc.audit.toml import Text
from archcalc.audit.worked import affected, convolution, correlation, dropped, forward, gradient, max_pool
from archcalc.diagnostics import Source, Span


def evaluated(expression: str):
    source = Source("<test>", expression)
    return answer(Text(expression, Span(source, 0, len(expression)), True), Networks()).left


def floats(values) -> np.ndarray:
    return np.array(values, dtype=float)


def rows(array) -> tuple:
    return tuple(tuple(map(int, row)) for row in array)


def maps(height: tuple[int, int], width: tuple[int, int]) -> st.SearchStrategy:
    """Rows of whole numbers."""

    def of_width(n):
        row = st.lists(st.integers(-9, 9), min_size=n, max_size=n).map(tuple)
        return st.lists(row, min_size=height[0], max_size=height[1]).map(tuple)

    return st.integers(*width).flatmap(of_width)


# --- Derivatives of activations ----------------------------------------------------------------------

SIGMOID = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
SLOPES = {
    "sigmoid": lambda x: SIGMOID(x) * (1 - SIGMOID(x)),
    "tanh": lambda x: 1 - math.tanh(x) ** 2,
    "relu": lambda x: float(x > 0),
    "leaky_relu(0.2)": lambda x: 1.0 if x > 0 else 0.2,
    "elu": lambda x: 1.0 if x > 0 else math.exp(x),
    "silu": lambda x: SIGMOID(x) * (1 + x * (1 - SIGMOID(x))),
    "softplus": SIGMOID,
    "exp": math.exp,
    "square": lambda x: 2 * x,
    "logsigmoid": lambda x: 1 - SIGMOID(x),
    "softsign": lambda x: 1 / (1 + abs(x)) ** 2,
}
POINTS = (-3, Fraction(-5, 4), Fraction(-1, 10), Fraction(1, 2), 2)


@pytest.mark.parametrize("layer", SLOPES)
def test_activations_have_their_closed_derivatives(layer):
    found = gradient(layer, POINTS)
    assert floats(found) == pytest.approx([SLOPES[layer](float(x)) for x in POINTS], abs=1e-6)


@pytest.mark.parametrize("n", range(1, 8))
def test_chained_sigmoids_pass_on_a_quarter_each(n):
    """Each sits at 0 thanks to a bias of -0.5 after the one before."""
    chain = f"repeat {n} {{ sigmoid -> fc(1) }}"
    (found,) = gradient(chain, (0,), 1, (1, Fraction(-1, 2)) * n, digits=9)
    assert float(found) == pytest.approx(0.25**n, abs=1e-9)
    (plain,) = gradient(f"repeat {n} {{ sigmoid }}", (0,), digits=9)
    x, slope = 0.0, 1.0
    for _ in range(n):
        slope *= SLOPES["sigmoid"](x)
        x = SIGMOID(x)
    assert float(plain) == pytest.approx(slope, abs=1e-9)
    assert plain < found or n == 1


def test_at_a_kink_the_slope_is_the_mean_of_both_sides():
    assert gradient("relu", (-1, 0, 1)) == (0, Fraction(1, 2), 1)
    assert gradient("maxpool(2)", ((1, 3), (3, 0))) == ((0, Fraction(1, 2)), (Fraction(1, 2), 0))


def test_the_gradient_of_a_chain_by_its_first_weight():
    """The chain rule with the weights between the layers, which a deck leaves out (S2-079)."""
    chain = "fc(1, bias=false) -> sigmoid -> fc(1, bias=false) -> sigmoid -> fc(1, bias=false) -> sigmoid"
    ((found,),) = gradient(chain, (1,), 1, (Fraction(1, 2), -2, 3), by=1)
    slope = SLOPES["sigmoid"]
    x1 = SIGMOID(0.5)
    x2 = SIGMOID(-2 * x1)
    expected = slope(3 * x2) * 3 * slope(-2 * x1) * -2 * slope(0.5) * 1
    assert float(found) == pytest.approx(expected, abs=1e-6)


# --- Back through convolutions and pools -------------------------------------------------------------


@given(maps((2, 4), (2, 4)), maps((1, 2), (1, 2)), st.data())
@settings(max_examples=15, deadline=None)
def test_gradients_of_a_convolution_are_forward_convolutions(image, kernel, data):
    tall, wide = len(image) - len(kernel) + 1, len(image[0]) - len(kernel[0]) + 1
    row = st.lists(st.integers(-9, 9), min_size=wide, max_size=wide).map(tuple)
    upstream = data.draw(st.lists(row, min_size=tall, max_size=tall).map(tuple))
    layer = f"conv(1, {len(kernel)}x{len(kernel[0])}, bias=false)"
    # by the definition: each output y[r, c] has the weight k[a, b] on the pixel x[r + a, c + b]
    x, k, up = map(floats, (image, kernel, upstream))
    of_kernel, of_image = np.zeros(k.shape), np.zeros(x.shape)
    for (r, c), (a, b) in product(np.ndindex(up.shape), np.ndindex(k.shape)):
        of_kernel[a, b] += up[r, c] * x[r + a, c + b]
        of_image[r + a, c + b] += up[r, c] * k[a, b]
    assert (
        gradient(layer, image, upstream, (kernel,), by=1) == rows(of_kernel) == correlation(image, upstream)
    )
    full = (len(kernel) - 1, len(kernel[0]) - 1)
    assert gradient(layer, image, upstream, (kernel,)) == rows(of_image)
    assert convolution(upstream, kernel, padding=full) == rows(of_image)


def test_gradients_with_channels_stride_and_padding():
    random = np.random.default_rng(1)
    x = random.integers(-9, 9, (2, 5, 4))
    w = random.integers(-9, 9, (3, 2, 2, 3))  # rows, columns, inputs, outputs
    up = random.integers(-9, 9, (3, 3, 3))
    bias = (1, 2, 3)
    as_lists = lambda array: tuple(map(as_lists, array)) if array.ndim else int(array)  # noqa: E731
    layer = "conv(3, 3x2, stride=2, padding=1)"
    given = (as_lists(x), as_lists(up), (as_lists(w), bias))
    out = floats(forward(layer, given[0], given[2]))
    assert out.shape == up.shape
    of_kernel, of_image = np.zeros(w.shape), np.zeros((2, 7, 6))
    inner = np.zeros((2, 7, 6))
    inner[:, 1:-1, 1:-1] = x
    summed = np.zeros(up.shape)
    for (o, r, c), (a, b, i) in product(np.ndindex(up.shape), np.ndindex(w.shape[:3])):
        summed[o, r, c] += inner[i, 2 * r + a, 2 * c + b] * w[a, b, i, o]
        of_kernel[a, b, i, o] += up[o, r, c] * inner[i, 2 * r + a, 2 * c + b]
        of_image[i, 2 * r + a, 2 * c + b] += up[o, r, c] * w[a, b, i, o]
    np.testing.assert_array_equal(out, summed + floats(bias)[:, None, None])
    np.testing.assert_array_equal(floats(gradient(layer, *given)), of_image[:, 1:-1, 1:-1])
    np.testing.assert_array_equal(floats(gradient(layer, *given, by=1)), of_kernel)
    np.testing.assert_array_equal(floats(gradient(layer, *given, by=2)), up.sum(axis=(1, 2)))


def test_gradients_of_pools_that_overlap():
    image = ((4, 1, 7), (0, 6, 2), (3, 5, 8))
    upstream = ((10, 20), (30, 40))
    largest, average = np.zeros((3, 3)), np.zeros((3, 3))
    for r, c in np.ndindex(2, 2):
        window = {(r + a, c + b): image[r + a][c + b] for a, b in np.ndindex(2, 2)}
        largest[max(window, key=window.get)] += upstream[r][c]
        for place in window:
            average[place] += upstream[r][c] / 4
    assert gradient("maxpool(2, stride=1)", image, upstream) == rows(largest)
    assert gradient("maxpool(2, stride=1)", image, upstream) == ((0, 0, 20), (0, 40, 0), (0, 0, 40))
    np.testing.assert_array_equal(floats(gradient("avgpool(2, stride=1)", image, upstream)), average)


def test_a_convolution_is_a_matrix_product_with_its_windows():
    image = ((1, 2, 0, 3), (4, 5, 7, 1), (6, 0, 8, 2))
    kernel = ((1, 2), (4, 9))
    matrix = forward("unfold(2)", image)
    assert (len(matrix), len(matrix[0])) == (2 * 2, 2 * 3)
    product_ = floats([1, 2, 4, 9]) @ floats(matrix)
    assert rows(product_.reshape(2, 3)) == correlation(image, kernel)
    # AlexNet's first convolution: 363 rows, 3,025 columns, 7.1 times the values of the image
    assert evaluated('macs(alexnet, "conv1/conv1") / 96') == 363 * 3025
    two = forward("unfold(2)", (image, tuple(row[::-1] for row in image)))
    assert (len(two), two[:4]) == (8, matrix)


# --- Translations ------------------------------------------------------------------------------------


@given(maps((2, 3), (2, 3)), maps((1, 2), (1, 2)), st.integers(1, 3), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_convolution_moves_with_its_image(feature, kernel, stride, steps):
    """By multiples of the stride, as long as the feature and its surroundings stay inside."""
    margin = 3
    moved_by = stride * steps

    def placed(at: int) -> tuple:
        width = 2 * margin + len(feature[0]) + 9
        return tuple((0,) * at + row + (0,) * (width - at - len(row)) for row in feature)

    before = correlation(placed(margin), kernel, stride=stride)
    after = correlation(placed(margin + moved_by), kernel, stride=stride)
    assert after == tuple((0,) * steps + row[: len(row) - steps] for row in before)


def test_strides_and_windows_break_translations():
    image = ((0, 2, 5, 0, 0, 0), (0, 1, 3, 0, 0, 0))
    moved = tuple((0, *row[:-1]) for row in image)
    kernel = ((1, 2), (4, 7))
    # by hand: 2*2 + 7*1 = 11, then 2 + 2*5 + 4*1 + 7*3 = 37, then 5 + 4*3 = 17
    assert correlation(image, kernel) == ((11, 37, 17, 0, 0),)
    assert correlation(image, kernel, stride=2) == ((11, 17, 0),)
    assert correlation(moved, kernel, stride=2) == ((0, 37, 0),)
    assert max_pool(((9, 0, 0, 0),), (1, 2)) == max_pool(((0, 9, 0, 0),), (1, 2)) == ((9, 0),)
    assert max_pool(((0, 0, 9, 0),), (1, 2)) == ((0, 9),)


@pytest.mark.parametrize(
    "layers",
    [
        "conv(1, 3)",
        "conv(1, 2x3, stride=2, padding=1)",
        "maxpool(3, stride=2)",
        "conv(1, 3, dilation=2, padding=1) -> relu -> avgpool(2)",
        "conv(2, 3, padding=1) -> bn -> conv(1, 1x3)",
    ],
)
def test_a_pixel_affects_the_outputs_that_see_it(layers):
    """The receptive field, as archcalc computes it, read backward."""
    network = archcalc.loads(f"net n {{\n  input(1x8x9)\n  {layers}\n}}")
    profile = archcalc.analyze(network)
    last = profile.layers[-1]
    for place in ((0, 0), (3, 4), (7, 8), (2, 6)):
        found = affected(layers, (8, 9), place)
        assert (1, len(found), len(found[0])) == last.shape
        for at in np.ndindex(last.shape[1:]):
            starts = [
                i * s - p for i, s, p in zip(at, last.effective_stride, last.effective_padding, strict=True)
            ]
            offsets = [n - s for n, s in zip(place, starts, strict=True)]
            within = all(0 <= o < f for o, f in zip(offsets, last.receptive_field, strict=True))
            if "dilation" in layers:
                assert not found[at[0]][at[1]] or within  # there are holes in the field
            else:
                assert found[at[0]][at[1]] == within, (place, at)


# --- Dropout and batch normalization -----------------------------------------------------------------


@pytest.mark.parametrize("p", [Fraction(1, 2), Fraction(1, 4), Fraction(9, 10), 0])
def test_inverted_dropout_keeps_the_mean(p):
    values = (3, Fraction(-1, 2), 8)
    found = dropped(values, p)
    masks = list(product((0, 1), repeat=3))
    assert len(found) == len(masks)
    mean = [Fraction(0)] * 3
    for mask, row in zip(masks, found, strict=True):
        if p:
            assert [value != 0 for value in row] == list(map(bool, mask))
        probability = math.prod((1 - p) if kept else p for kept in mask)
        mean = [total + probability * value for total, value in zip(mean, row, strict=True)]
    assert floats(mean) == pytest.approx(floats(values), abs=1e-7)


def test_dropout_of_a_neuron_mask_by_mask():
    """Deck 2, line 555: at 0.5 the four masks of 2x + 7y on 3, 5, with the kept inputs doubled."""
    inputs = dropped((3, 5), Fraction(1, 2))
    neuron = forward("fc(1, bias=false)", inputs, ((2, 7),), batch=True)
    assert neuron == ((0,), (70,), (12,), (82,))
    assert sum(value for (value,) in neuron) / 4 == 41
    assert forward("dropout(0.5) -> fc(1, bias=false)", (3, 5), ((2, 7),)) == (41,)
    assert dropped((1, 2), 1) == ((0, 0),) * 4


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=6), st.integers(-3, 3), st.integers(-5, 5))
@settings(max_examples=30, deadline=None)
def test_batch_normalization_by_its_algorithm(batch, gamma, beta):
    mean = Fraction(sum(batch), len(batch))
    variance = sum((x - mean) ** 2 for x in batch) / len(batch)
    expected = [gamma * float(x - mean) / math.sqrt(float(variance) + 1e-5) + beta for x in batch]
    samples = tuple((x,) for x in batch)
    found = forward("bn", samples, (gamma, beta, 17, 23), train=True, batch=True)
    assert floats(found)[:, 0] == pytest.approx(expected, abs=1e-8)


def test_batch_normalization_of_one_sample_and_at_inference():
    for value in (7, -300):
        assert forward("bn", ((value,),), (2, 1, 5, 9), train=True, batch=True) == ((1,),)  # beta
    # (8 - 5) / 3 * 2 + 1, and the mean itself, in any batch
    assert forward("bn", ((8,), (5,)), (2, 1, 5, 9), batch=True, digits=4) == ((3,), (1,))
    assert forward("bn", (8,), (2, 1, 5, 9), digits=4) == (3,)


def test_softmax_cross_entropy_and_its_gradient():
    scores, target = (2, 1, -1), (0, 1, 0)
    total = sum(map(math.exp, scores))
    softmax = [math.exp(s) / total for s in scores]
    assert floats(forward("softmax", scores)) == pytest.approx(softmax, abs=1e-9)
    entropy = -sum(t * math.log(f) for t, f in zip(target, softmax, strict=True))
    assert -float(forward("log_softmax", scores)[1]) == pytest.approx(entropy, abs=1e-9)
    by_score = gradient("log_softmax", scores, tuple(-t for t in target))
    assert floats(by_score) == pytest.approx(np.subtract(softmax, target), abs=1e-6)


# --- What layers can say -----------------------------------------------------------------------------


@given(st.data(), st.integers(-4, 4), st.integers(-4, 4))
@settings(max_examples=20, deadline=None)
def test_layers_with_a_linear_activation_are_one_layer(data, a, b):
    """Deck 3, line 217: f(x) = ax + b between two layers."""
    numbers = st.integers(-5, 5)

    def array(*shape):
        size = math.prod(shape)
        return np.array(data.draw(st.lists(numbers, min_size=size, max_size=size))).reshape(shape)

    w1, b1, w2, b2, x = array(2, 3), array(3), array(3, 2), array(2), array(2)
    as_lists = lambda values: tuple(map(as_lists, values)) if np.ndim(values) else int(values)  # noqa: E731
    weights = tuple(map(as_lists, (w1, b1, w2, b2)))
    two = forward(f"fc(3) -> scale({a}) -> shift({b}) -> fc(2)", as_lists(x), weights)
    whole, bias = a * w1 @ w2, (a * b1 + b) @ w2 + b2
    assert two == forward("fc(2)", as_lists(x), (as_lists(whole), as_lists(bias)))


def test_a_relu_between_layers_is_not_linear():
    weights = (((1, -1),), 0, ((1,), (1,)), 0)
    assert [forward("fc(2) -> relu -> fc(1)", (x,), weights) for x in (-3, 0, 3)] == [(3,), (0,), (3,)]


def test_a_residual_block_without_weights_is_the_identity():
    block = "add(conv(1, 3, padding=1) -> relu -> conv(1, 3, padding=1), identity)"
    image = ((1, 0, 2), (5, 3, 4))
    assert forward(f"{block} -> relu", image, (0, 0, 0, 0)) == image
    # the ReLU after the sum cuts off what is negative; pre-activation blocks have none there
    assert forward(f"{block} -> relu", ((1, -7),), (0, 0, 0, 0)) == ((1, 0),)
    assert forward(block, ((1, -7),), (0, 0, 0, 0)) == ((1, -7),)


# --- Networks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "blocks"),
    [
        ("densenet121", [6, 12, 24, 16]),
        ("densenet161", [6, 12, 36, 24]),
        ("densenet264", [6, 12, 64, 48]),
        ("densenet40_k12_cifar", [12, 12, 12]),
        ("densenet_bc100_k12_cifar", [16, 16, 16]),
    ],
)
def test_a_dense_block_of_l_layers_has_l_times_l_plus_1_half_connections(net, blocks):
    for number, layers in enumerate(blocks, start=1):
        found = evaluated(f'sources({net}, "block{number}/*/conv1")')
        assert found == tuple(range(1, layers + 1))
        assert sum(found) == layers * (layers + 1) // 2


def test_sources_of_other_networks():
    assert evaluated('sources(vgg16, "stage3")') == (1, 1, 1)
    # after an inception module a convolution reads its four branches
    assert evaluated('sources(googlenet, "inception3b/unit1/conv1")') == (4,)
    # a sum is one tensor
    assert evaluated('sources(resnet18, "conv2_x/basic2/cbr1")') == (1,)


def test_frozen_features_leave_the_last_layer():
    """512 inputs and a bias for each of ten classes; torchvision's resnet18 has 11,181,642 with these."""
    assert evaluated("params(resnet18(classes=10))") == 11_181_642
    assert evaluated('trainable_params(resnet18(classes=10), freeze="conv*")') == 512 * 10 + 10


# --- Limits and mistakes -----------------------------------------------------------------------------

WRONG = [
    (lambda: forward(3, (1,)), "`layers` is a string", "conv(1, 3)"),
    (lambda: forward("rleu", (1,)), "unknown layer or block `rleu`", "`relu`"),
    (lambda: forward("relu", ((1, 2), (3,))), "different lengths", "[[1, 0], [0, 1]]"),
    (lambda: forward("relu", ((1, 2), 3)), "different lengths", ""),
    (lambda: forward("relu", (1, (2, 3))), "needs numbers", ""),
    (lambda: forward("relu", (True,)), "needs numbers", "[1, 2.5]"),
    (lambda: forward("relu", ((),)), "needs numbers", ""),
    (lambda: forward("relu", 3), "`input` is a list", ""),
    (lambda: forward("relu", ((((1,),),),)), "`input` is a list", ""),
    (lambda: forward("relu", (2**53,)), "too large", "2 ** 53"),
    (lambda: forward("relu", (10**400,)), "too large", ""),
    (lambda: forward("relu", (1,), digits=True), "`digits` is a whole number", ""),
    (lambda: forward("relu", (1,), batch=1), "`batch` is `true` or `false`", ""),
    (lambda: forward("log", (-1,)), "not a finite number", ""),
    (lambda: forward("output a = relu", (1,)), "named results", "leave out `output`"),
    (lambda: forward("relu } net b { input(3)", (1,)), "expected the end of the line", ""),
    (lambda: forward("relu\n}\nnet b {\n  input(3) -> relu", (1,)), "several nets", ""),
    (lambda: forward("fc(2)", (1, 2, 3)), "has 0", "`fc1.weight` (3x2), `fc1.bias` (2)"),
    (lambda: forward("fc(2)", (1, 2, 3), 7), "`weights` is not a list", ""),
    (lambda: forward("relu", (1,), (7,)), "the layers have 0 arrays, but `weights` has 1", "leave out"),
    (lambda: forward("fc(2)", (1, 2, 3), (((1, 2),), 0)), "`fc1.weight` is 3x2, not 1x2", "size 1"),
    (lambda: forward("fc(2)", (1, 2, 3), (("a",), 0)), "`weights` needs numbers", ""),
    (lambda: gradient("relu", (1, 2), (1, 2, 3)), "`upstream` is 2, not 3", ""),
    (lambda: gradient("relu", (1,), by=-1), "`by` is not the number of an array", "write 0"),
    (lambda: gradient("exp", (1000,)), "not a finite number", ""),
    (lambda: gradient("relu", (0,) * 501), "respect to 501 values takes too long", "fewer values"),
    (lambda: affected("relu", (3, "a"), (0, 0)), "`shape` is a size", ""),
    (lambda: affected("relu", (3, 0), (0, 0)), "`shape` is a size", "7x6"),
    (lambda: affected("relu", (10**5, 10**5), (0, 0)), "`shape` is a size of at most 1,000,000", ""),
    (lambda: affected("relu", (3, 4), (2, 4)), "is outside the input", "[2, 3]"),
    (lambda: affected("relu", (3, 4), 2), "is outside the input", ""),
    (lambda: dropped((1,) * 11, Fraction(1, 2)), "at most 10 numbers", "[3, 5]"),
    (lambda: dropped(3, Fraction(1, 2)), "at most 10 numbers", ""),
    (lambda: dropped((1,), 2), "`p` of `dropout` needs a number from 0 to 1, got 2", ""),
]


@pytest.mark.parametrize(("call", "message", "help"), WRONG, ids=[message[:40] for _, message, _ in WRONG])
def test_a_mistake_has_a_cause_and_a_remedy(call, message, help):
    with pytest.raises(ArchError) as caught:
        call()
    (problem,) = caught.value.diagnostics
    assert message in problem.message
    assert help in problem.help


LARGE = [
    "conv(1, 1, padding=100000)",
    "conv(1, 1, stride=100000, padding=100000)",
    "maxpool(1, stride=100000) -> pad(100000)",
    "upsample(100000)",
    "lrn(1000000000)",
    "conv(1000000, 1)",
    "flatten -> fc(100000000)",
    "repeat 20 { concat(identity, identity) }",
    "repeat 5000 { conv(20, 1) }",
    "repeat 10000 { relu }",
    "unfold(1, padding=5000)",
]


@pytest.mark.parametrize("layers", LARGE)
def test_an_example_that_is_too_large_is_refused_before_it_runs(layers, monkeypatch):
    monkeypatch.setattr("archcalc.audit.worked.layers.execute", None)
    for call in (lambda: forward(layers, ((1,),)), lambda: affected(layers, (1, 1), (0, 0))):
        with pytest.raises(ArchError, match="needs more than 1,000,000 values or operations"):
            call()


def test_a_large_batch_and_long_derivatives_are_refused():
    with pytest.raises(ArchError, match="needs more than 1,000,000"):
        forward("repeat 50 { relu }", ((1,),) * 50_000, batch=True)
    with pytest.raises(ArchError, match="respect to 400 values takes too long"):
        gradient("repeat 9 { relu }", (1,) * 400)
    with pytest.raises(ArchError, match="looks at more than 100,000 layers"):
        evaluated("sources(densenet(n1=400, n2=1, n3=1, n4=1))")
