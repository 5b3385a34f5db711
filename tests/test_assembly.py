"""Putting imported networks together: axes, names, pruning, arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import archcalc
from archcalc.executor.execute import run
from archcalc.importing.assembly import Assembly
from archcalc.importing.naming import clean
from archcalc.importing.tensors import BATCH, ModelArray, Tensor, Unsupported
from archcalc.layers import Add, Conv2d, Flatten, LayerNorm, Linear, Pointwise, ReLU

MAP = (BATCH, 0, 1, 2)
LAST = (BATCH, 1, 2, 0)


def test_a_transposition_costs_nothing_until_something_needs_it() -> None:
    """ConvNeXt's block: channels last for the norm and the linear layers, then channels first again."""
    model = Assembly("convnext")
    x = model.input("x", (6, 5, 4))
    last = x.permuted((0, 2, 3, 1))
    assert (last.axes, last.shape, last.axis(-1)) == (LAST, (BATCH, 5, 4, 6), 0)
    y = model.add(Pointwise(24), model.add(LayerNorm("channels"), last))
    assert y.axes == LAST
    first = y.permuted((0, 3, 1, 2))
    assert first.is_plain
    network = model.finish({"output": first})
    assert [node.kind for node in network.layers] == ["layer_norm", "pointwise"]


def test_axes_are_moved_where_the_order_of_values_matters() -> None:
    """A Keras model flattens height, width, channels; the values come out in that order."""
    model = Assembly("keras")
    x = model.input("x", (6, 5, 4), LAST)
    network = model.finish({"output": model.add(Flatten(), model.plain(x))})
    assert [node.kind for node in network.layers] == ["permute", "flatten"]
    array = np.random.default_rng(0).normal(size=(2, 6, 5, 4))
    out = run(network, array, batch=2, dtype=np.float64)["output"]
    assert np.array_equal(out, array.transpose(0, 2, 3, 1).reshape(2, -1))


@given(st.permutations(range(3)), st.permutations(range(3)))
def test_joined_tensors_are_brought_to_the_same_axes(one: list[int], two: list[int]) -> None:
    sizes = (6, 5, 4)  # of the model's axes, after the batch
    model = Assembly("sum")
    tensors = []
    for name, order in (("a", one), ("b", two)):
        own = [0, 0, 0]
        for place, axis in enumerate(order):
            own[axis] = sizes[place]
        tensors.append(model.input(name, tuple(own), (BATCH, *order)))
    total = model.joined(Add(), *tensors)
    assert total.shape == (BATCH, *sizes)
    network = model.finish({"output": model.plain(total)})
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 1, *sizes))
    given_arrays = {
        "a": a.transpose(0, *(1 + np.argsort(one))),
        "b": b.transpose(0, *(1 + np.argsort(two))),
    }
    out = run(network, given_arrays, dtype=np.float64)["output"]
    assert np.array_equal(out, a + b)


def test_what_reaches_no_result_is_left_out() -> None:
    model = Assembly("pruned")
    x = model.input("x", (3, 9, 7))
    model.input("unused", (5,))
    model.add(Conv2d(7, 3), x)
    network = model.finish({"output": model.add(Conv2d(2, 3), x)})
    assert [node.name for node in network.nodes] == ["x", "conv1"]


def named(*paths: tuple[tuple[str, str], ...]) -> archcalc.Network:
    model = Assembly("named")
    x = model.input("x", (3, 9, 7))
    for path in paths:
        model.path = path
        x = model.add(ReLU(), x)
    return model.finish({"output": x})


def test_modules_become_groups() -> None:
    block, conv = ("layer1", "Sequential"), ("0", "Bottleneck")
    network = named(
        (("stem", "Stem"), ("act", "ReLU")),
        (block, conv, ("relu", "ReLU")),
        (block, conv),  # a function in the block itself
        (block, conv, ("relu@1", "ReLU")),  # the module again
        (("stem", "Stem"), ("act@1", "ReLU")),  # a module that is entered again
        (),
    )
    assert [node.name for node in network.layers] == [
        "stem/act", "layer1/0/relu", "layer1/0/relu2", "layer1/0/relu_2", "stem_2/act_2", "relu1",
    ]  # fmt: skip
    assert [(group.name, group.kind) for group in network.groups] == [
        ("stem", "Stem"), ("layer1", "Sequential"), ("layer1/0", "Bottleneck"), ("stem_2", "Stem"),
    ]  # fmt: skip


@given(st.lists(st.lists(st.text(max_size=300), max_size=40), min_size=1, max_size=6))
def test_any_names_become_paths_that_select_one_node(paths: list[list[str]]) -> None:
    network = named(*(tuple((name, name) for name in path) for path in paths))
    names = [node.name for node in network.layers]
    assert len(set(names)) == len(names) == len(paths)
    for name in names:
        assert name.isprintable()
        assert len(name) <= 500
        assert network.select(name)


def test_a_counter_passes_names_that_modules_have() -> None:
    network = named((("relu2", "A"),), (), (("relu1", "A"), ("x", "B")), (), ())
    names = [node.name for node in network.layers]
    assert names == ["relu2", "relu3", "relu1/x", "relu4", "relu5"]


@pytest.mark.parametrize(
    ("name", "path"), [("", "module"), ("@", "module"), ("a@x", "a_x"), ("a*b?[c]", "a_b_c"), ("7", "7")]
)
def test_names_are_cleaned(name: str, path: str) -> None:
    assert clean(name) == path


def test_an_attempt_that_fails_adds_nothing() -> None:
    model = Assembly("attempts")
    x = model.input("x", (3, 9, 7))

    def tries() -> list[Tensor]:
        y = model.add(ReLU(), x)
        return [model.add(Conv2d(4, 3), y)]

    with pytest.raises(Unsupported, match="it would give -1x4x7x5, and the model says -1x4x9x7"):
        model.attempt(tries, [(BATCH, 4, 9, 7)])
    assert len(model.operations) == 1
    with pytest.raises(Unsupported, match="kernel of `conv` is larger"):
        model.attempt(lambda: [model.add(Conv2d(4, 30), x)], [None])
    (y,) = model.attempt(tries, [(BATCH, 4, 7, 5)])
    assert len(model.finish({"output": y}).nodes) == 3


def test_opaque_operations_have_the_models_arrays() -> None:
    model = Assembly("opaque")
    x = model.input("x", (3, 9, 7), LAST)
    y = model.opaque("roll", [x], (9, 7, 3), params={"table": (ModelArray("t"), (5, 4))}, reason="unknown")
    assert y.shape == (BATCH, 9, 7, 3)
    network = model.finish({"output": y})
    assert archcalc.analyze(network).totals.params == 20
    z = model.opaque("roll", [x], (3, 9, 7), axes=LAST)  # the operation's own shape
    assert (z.operation.shape, z.shape) == ((3, 9, 7), (BATCH, 9, 7, 3))


def test_arrays_of_a_model_arrive_where_they_belong() -> None:
    """PyTorch's weights are out, in, height, width; a tied square matrix is used both ways around."""
    model = Assembly("arrays")
    x = model.input("x", (2, 3, 5))
    y = model.add(Conv2d(4, (2, 3)), x, arrays={
        "weight": ModelArray("conv.weight", (2, 3, 1, 0)), "bias": ModelArray("conv.bias"),
    })  # fmt: skip
    y = model.add(Flatten(), y)
    y = model.add(Linear(24, bias=False), y, arrays={"weight": ModelArray("square", (1, 0))})
    y = model.add(Linear(24, bias=False), y, arrays={"weight": ModelArray("square")})
    rng = np.random.default_rng(0)
    arrays = {
        "conv.weight": rng.normal(size=(4, 2, 2, 3)),
        "conv.bias": rng.normal(size=4),
        "square": rng.normal(size=(24, 24)),
    }
    network = model.finish({"output": y}, read=lambda names: {name: arrays[name] for name in names})
    assert archcalc.analyze(network).totals.params == 4 * 2 * 2 * 3 + 4 + 24 * 24
    assert network.trained is not None
    image = rng.normal(size=(1, 2, 3, 5))
    out = run(network, image, network.trained(), dtype=np.float64)["output"]
    conv = np.zeros((4, 2, 3))
    for o in range(4):
        for i in range(2):
            for j in range(3):
                window = image[0, :, i : i + 2, j : j + 3]
                conv[o, i, j] = (window * arrays["conv.weight"][o]).sum() + arrays["conv.bias"][o]
    assert np.allclose(out[0], conv.ravel() @ arrays["square"].T @ arrays["square"], atol=1e-12)
