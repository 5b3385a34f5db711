"""Sequences: embeddings and recurrent layers against PyTorch, their indices, and their proofs."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import make

import archcalc
from archcalc.diagnostics import ArchError
from archcalc.executor.execute import run
from archcalc.executor.inputs import drawn_inputs, index_bounds
from archcalc.executor.weights import random_weights
from archcalc.layers import Layer, LayerError
from archcalc.layers.base import facts, kept_facts
from archcalc.network import Network
from archcalc.verify.prove import verify

CLASSIFIER = (
    "input(12) -> embedding(50, 8) -> lstm(6, 2, bidirectional=true) -> gru(5, return_sequences=false)"
)


def net(text: str) -> Network:
    return archcalc.loads(f"net n {{\n{text}\n}}")


# --- PyTorch ----------------------------------------------------------------------------------------

RECURRENT = [
    (kind, layers, bias, both, sequences)
    for kind, layers, bias, both, sequences in product(
        ("lstm", "gru", "rnn"), (1, 2, 3), (True, False), (True, False), (True, False)
    )
]


def like_torch(network: Network, seed: int) -> None:
    """The values in double precision, the parameters, and the multiply-accumulates of PyTorch's counter."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode
    from torch_modules import to_torch

    weights = random_weights(network, seed, np.float64)
    module = to_torch(network).double()
    owned = {f"{node}.{name}": array for node, arrays in weights.items() for name, array in arrays.items()}
    state = {
        name: torch.from_numpy(np.ascontiguousarray(owned[name] if "embedding" in name else owned[name].T))
        for name in module.state_dict()
    }
    module.load_state_dict(state)
    assert len(state) == len(owned)
    totals = archcalc.analyze(network).totals
    assert totals.params == sum(parameter.numel() for parameter in module.parameters())
    inputs = drawn_inputs(network, 3, seed, np.float64)
    found = run(network, inputs, weights, batch=3, dtype=np.float64)["output"]
    with torch.no_grad():
        (x,) = (torch.from_numpy(x) for x in inputs.values())
        expected = module(x).numpy()
        with FlopCounterMode(display=False) as counter:
            module(x[:1])
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    assert counter.get_total_flops() == 2 * totals.macs


@pytest.mark.parametrize(("kind", "layers", "bias", "both", "sequences"), RECURRENT)
def test_recurrent_layers_in_pytorch(kind: str, layers: int, bias: bool, both: bool, sequences: bool) -> None:
    random = np.random.default_rng([layers, bias, both, sequences])
    channels, units, length = random.integers(1, 9, 3)
    words = {True: "true", False: "false"}
    extra = f', nonlinearity="{random.choice(["tanh", "relu"])}"' if kind == "rnn" else ""
    like_torch(
        net(
            f"input(shape={channels}x{length}) -> {kind}({units}, {layers}, bias={words[bias]}, "
            f"bidirectional={words[both]}, return_sequences={words[sequences]}{extra})"
        ),
        seed=int(units),
    )


@pytest.mark.parametrize("shape", ["7", "1x5", "2x3x4", "2x1x3x2", "1x2x2x1x3"])
def test_an_embedding_in_pytorch(shape: str) -> None:
    like_torch(net(f"input(shape={shape}) -> embedding(11, 3)"), seed=1)


def test_a_classifier_in_pytorch() -> None:
    like_torch(net(f"{CLASSIFIER} -> fc(3)"), seed=2)


# --- Indices ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("input(7) -> embedding(20, 3)", {"input": 20}),
        ("input(2x3x4) -> reshape(24) -> dropout -> flatten -> embedding(20, 3)", {"input": 20}),
        ("input(6)\nadd(embedding(20, 3), embedding(5, 3), slice(0, 6) -> embedding(30, 3))", {"input": 5}),
        ("a: input(4)\nb: input(4)\nconcat(a, b) -> embedding(9, 3)", {"a": 9, "b": 9}),
        ("input(7) -> relu -> embedding(20, 3)", {}),
        ("input(7) -> fc(3)", {}),
        ("a: input(7)\nb: input(3x7)\nadd(a -> embedding(4, 3), b -> lstm(3))", {"a": 4}),
    ],
)
def test_inputs_that_are_indices(text: str, bounds: dict[str, int]) -> None:
    """Those that come to an embedding through layers that move values only."""
    network = net(text)
    assert index_bounds(network) == bounds
    drawn = drawn_inputs(network, 200, 3, np.float32)
    for name, bound in bounds.items():
        assert drawn[name].dtype == np.float32
        assert set(np.unique(drawn[name])) == set(range(bound))
    if bounds:
        run(network)


def test_other_inputs_are_drawn_as_ever() -> None:
    network = net("input(3x4) -> relu")
    expected = np.random.default_rng(5).standard_normal((2, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(drawn_inputs(network, 2, 5, np.float32)["input"], expected)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int16", "int64", "float16", "float32", "float64", "bool"]
)
def test_indices_of_any_type(dtype: str) -> None:
    network = net("input(3) -> embedding(4, 2)")
    weights = random_weights(network)
    indices = np.array([[1, 0, 1]]).astype(dtype)
    found = run(network, indices, weights)["output"]
    np.testing.assert_array_equal(found[0].T, weights["embedding1"]["weight"][[1, 0, 1]])


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (4, "`words` needs whole numbers from 0 to 3, got 4"),
        (-1, "`words` needs whole numbers from 0 to 3, got -1"),
        (0.5, "`words` needs whole numbers from 0 to 3, got 0.5"),
    ],
)
def test_an_index_without_a_row(index: float, message: str) -> None:
    network = net("input(3)\nwords: embedding(4, 2)\nflatten")
    with pytest.raises(ArchError, match=message) as found:
        run(network, np.array([[0, index, 9]]))
    assert "words: embedding(4, 2)" in str(found.value)


def test_an_index_that_is_not_known_gives_no_numbers() -> None:
    """NaNs go through, because receptive fields are proved by them."""
    network = net("input(1x3) -> embedding(4, 2)")
    from archcalc.executor.execute import RunOptions, execute

    out = execute(network, np.array([[[1, np.nan, 3]]]), options=RunOptions(finite=False)).outputs["output"]
    assert np.isnan(out).reshape(2, 3).tolist() == [[False, True, False]] * 2


def test_an_index_that_single_precision_changes() -> None:
    network = net("input(2) -> embedding(20_000_000, 1)")
    given = np.array([[5, 2**24 + 1]])
    with pytest.raises(
        ArchError, match=r"index 16777217, which float32 cannot represent exactly\nhelp: run in float64"
    ):
        run(network, given)
    weights = random_weights(network)
    found = run(network, given, weights, dtype=np.float64)["output"]
    assert found[0, 0, 1] == weights["embedding1"]["weight"][2**24 + 1, 0]
    assert drawn_inputs(network, 1, 0, np.float32)["input"].max() < 2**24


def test_indices_from_a_file(run: Any) -> None:
    Path("t.arch").write_text("net t { input(5) -> embedding(9, 2) -> lstm(3) -> flatten -> fc(2) }\n")
    np.save("x.npy", np.array([1, 2, 8, 0, 3], np.int32))
    assert run("run", "t.arch", "--input", "x.npy").status == 0
    np.save("y.npy", np.array([1, 2, 9, 0, 3], np.int32))
    result = run("run", "t.arch", "--input", "y.npy")
    assert result.status != 0
    assert "`embedding1` needs whole numbers from 0 to 8, got 9" in result.err


# --- Proofs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"{CLASSIFIER} -> fc(3)",
        "input(2x3x5) -> embedding(50, 8) -> reshape(48x5) -> rnn(6) -> pointwise(3)",
        "input(3x20) -> lstm(5) -> lstm(4, 2) -> conv(3, 3, padding=1) -> gru(4)",
        "input(3x20) -> conv(4, 3, stride=2) -> lstm(5, bidirectional=true) -> rnn(2)",
        'input(3x19) -> rnn(5, nonlinearity="relu") -> upsample(scale_factor=2) -> lstm(3, bias="one")',
        "input(3x4x20) -> conv(4, 4x3, padding=[0, 1]) -> reshape(4x20) -> gru(3, return_sequences=false)",
        'input(3x9)\nadd(gru(4, bias="one"), conv(4, 3, padding=1), lstm(2, bidirectional=true))',
        "input(3x1) -> lstm(4) -> gru(4, return_sequences=false)",
    ],
)
def test_a_network_holds_in_every_figure(text: str) -> None:
    proof = verify(net(text))
    assert [verdict.remark for verdict in proof.verdicts if not verdict.held] == []


def test_a_step_depends_on_those_before_alone() -> None:
    """With `bidirectional` on all; and only so."""
    random = np.random.default_rng(0)
    x = random.standard_normal((1, 3, 8))
    other = x.copy()
    other[0, :, 5] = 7
    for kind, both in product(("lstm", "gru", "rnn"), (False, True)):
        network = net(f"input(3x8) -> {kind}(4, 2, bidirectional={str(both).lower()})")
        a, b = (run(network, each, dtype=np.float64)["output"][0] for each in (x, other))
        changed = (a != b).any(axis=0)
        assert changed.tolist() == [both or step >= 5 for step in range(8)]


def test_the_field_of_a_place_ends_with_it() -> None:
    profile = archcalc.analyze(net("input(3x20) -> conv(4, 3) -> lstm(5) -> conv(3, 2)"))
    fields = [profile.fields[node.index].along()[0] for node in profile.network.layers]
    conv, lstm, last = (turn._ends(17) for turn in fields)  # without what lies before the first place
    assert [conv[place] for place in (0, 4)] == [(0, 2), (4, 6)]
    assert [lstm[place] for place in (0, 4, 16)] == [(0, 2), (0, 6), (0, 18)]
    assert [last[place] for place in (0, 3)] == [(0, 3), (0, 6)]


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_a_wrong_count_is_found(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from archcalc.layers.recurrent import Recurrent

    network = net(f"input(3x6) -> {kind}(4)")
    assert verify(network).held
    right = Recurrent.operations
    monkeypatch.setattr(
        Recurrent, "operations", lambda self, inputs, output: right(self, (inputs[0],), output)[1:]
    )
    kept_facts.cache_clear()
    try:
        broken = verify(net(f"input(3x6) -> {kind}(4, bidirectional=false)"))
    finally:
        kept_facts.cache_clear()
    assert [verdict.figure for verdict in broken.verdicts if not verdict.held] == ["macs"]


# --- Arguments --------------------------------------------------------------------------------------


def test_names_and_shapes_of_arrays() -> None:
    """PyTorch's, transposed."""
    found = facts(make("gru", 4, 2, bidirectional=True), ((3, 7),)).weights
    shapes = {weight.name: weight.shape for weight in found}
    assert list(shapes)[:8] == [
        *("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"),
        *("weight_ih_l0_reverse", "weight_hh_l0_reverse", "bias_ih_l0_reverse", "bias_hh_l0_reverse"),
    ]
    assert (shapes["weight_ih_l0"], shapes["weight_hh_l0"], shapes["bias_hh_l0"]) == ((3, 12), (4, 12), (12,))
    assert shapes["weight_ih_l1_reverse"] == (8, 12)
    assert len(shapes) == 16


@pytest.mark.parametrize("layer", [make("lstm", 4), make("gru", 4, 16), make("rnn", 4, bias="one")], ids=str)
@pytest.mark.parametrize(
    ("shape", "message"), [((5,), "got a vector of 5"), ((3, 1, 7), "got a map of 3x1x7")]
)
def test_only_sequences(layer: Layer, shape: Any, message: str) -> None:
    with pytest.raises(LayerError, match=f"`{layer.kind}` needs a sequence of channels x length, {message}"):
        layer.output_shape(shape)


def test_a_deep_run_neither_vanishes_nor_explodes() -> None:
    """Random arrays have the fan-in of each array, the recurrent ones too."""
    for text in ("lstm(64, 4)", "gru(64, 4)", "rnn(64, 4)", 'rnn(64, 2, "relu", bidirectional=true)'):
        out = run(net(f"input(32x50) -> {text}"))["output"]
        assert 1e-3 < np.abs(out).mean() < 1e3


# --- Built-in networks ------------------------------------------------------------------------------


def in_pytorch(name: str) -> Any:
    """The networks in PyTorch, written from their sources and not from the specs."""
    torch = pytest.importorskip("torch")
    from torch import nn

    class Crnn(nn.Module):
        """Table 1 of Shi et al. 2015, or the authors' program in PyTorch (meijieru/crnn.pytorch)."""

        def __init__(self, normed: tuple[int, ...], pool: Any, join: bool) -> None:
            super().__init__()
            channels = (1, 64, 128, 256, 256, 512, 512, 512)
            pools = {1: nn.MaxPool2d(2), 2: nn.MaxPool2d(2), 4: pool, 6: pool}
            layers: list[nn.Module] = []
            for number, (before, after) in enumerate(pairwise(channels), 1):
                layers.append(nn.Conv2d(before, after, *((2,) if number == 7 else (3, 1, 1))))
                layers += [nn.BatchNorm2d(after)] if number in normed else []
                layers.append(nn.ReLU())
                layers += [pools[number]] if number in pools else []
            self.maps = nn.Sequential(*layers)
            self.first = nn.LSTM(512, 256, bidirectional=True, batch_first=True)
            self.between = nn.Linear(512, 256) if join else nn.Identity()
            self.second = nn.LSTM(256 if join else 512, 256, bidirectional=True, batch_first=True)
            self.scores = nn.Linear(512, 37)

        def forward(self, x: Any) -> Any:
            steps = self.maps(x).squeeze(2).transpose(1, 2)
            return self.scores(self.second(self.between(self.first(steps)[0]))[0]).transpose(1, 2)

    class Reviews(nn.Module):
        """Trevett's tutorials: the last states of the last layer, and a classifier."""

        def __init__(self, recurrent: nn.Module, states: int) -> None:
            super().__init__()
            self.embedding = nn.Embedding(25_002, 100)
            self.recurrent, self.states = recurrent, states
            self.fc = nn.Linear(256 * states, 1)

        def forward(self, x: Any) -> Any:
            _, last = self.recurrent(self.embedding(x.long()))
            last = last[0] if isinstance(last, tuple) else last
            return self.fc(torch.cat(tuple(last[-self.states :]), 1))

    return {
        "crnn": lambda: Crnn((5, 6), nn.MaxPool2d((2, 1)), join=False),
        "crnn_pytorch": lambda: Crnn((3, 5, 7), nn.MaxPool2d(2, (2, 1), (0, 1)), join=True),
        "text_rnn": lambda: Reviews(nn.RNN(100, 256, batch_first=True), 1),
        "text_bilstm": lambda: Reviews(nn.LSTM(100, 256, 2, bidirectional=True, batch_first=True), 2),
    }[name]()


@pytest.mark.parametrize("name", ["crnn", "crnn_pytorch", "text_rnn", "text_bilstm"])
def test_built_in_networks_in_pytorch(name: str) -> None:
    """Parameters, multiply-accumulates, and the values with the same weights."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    network = archcalc.load(name)
    module = in_pytorch(name).double().eval()
    totals = archcalc.analyze(network).totals
    assert sum(parameter.numel() for parameter in module.parameters()) == totals.params
    inputs = drawn_inputs(network, 1, 4, np.float64)
    weights = random_weights(network, 4, np.float64)
    found = run(network, inputs, weights, dtype=np.float64)["output"]
    owned = iter([a for arrays in weights.values() for a in arrays.values()])
    state = module.state_dict()
    for key, value in state.items():
        if not key.endswith("num_batches_tracked"):  # all others in the same order
            array = next(owned)
            if array.ndim > 1 and "embedding" not in key:
                array = np.moveaxis(array, (-1, -2), (0, 1))
            state[key] = torch.from_numpy(np.ascontiguousarray(array)).reshape(value.shape)
    assert next(owned, None) is None
    module.load_state_dict(state)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        expected = module(torch.from_numpy(inputs["input"])).numpy()
    assert counter.get_total_flops() == 2 * totals.macs
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_a_parameter_may_be_the_indices_of_an_embedding():
    """As in Swin's table of relative positions: fixed whole numbers, for which there are rows."""
    network = archcalc.loads(
        "net table {\n input(6x5)\n"
        " add(identity, parameter([30], trained=false) -> embedding(3, 1) -> reshape([6, 5]))\n}"
    )
    assert archcalc.analyze(network).totals["params"] == 3
    assert verify(network).held
