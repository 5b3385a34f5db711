"""The backward passes of attention, products, recurrent layers, embeddings and joins, beside their gradients.

What is kept, by name; what is computed, value by value; the multiply-accumulates of PyTorch's counter; and
the bytes of a step.
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest
from backward_checks import Applied, needs_of
from counting_arrays import counted
from samples import SAMPLES, Sample, make

import archcalc
from archcalc.executor.training import train_step
from archcalc.gradients import Gradients, backward_of
from archcalc.layers import Layer
from archcalc.layers.arguments import GivenTensor
from archcalc.layers.backward import Needs
from archcalc.layers.base import facts
from archcalc.layers.recurrent import Recurrent
from archcalc.layers.through_time import ThroughTime
from archcalc.memory.optimizers import OPTIMIZERS
from archcalc.memory.precision import precision
from archcalc.memory.saved import Saved
from archcalc.memory.step import training_step
from archcalc.network import Network

Shape = tuple[int, ...]


def net(text: str) -> Network:
    return archcalc.loads(f"net n {{\n{text}\n}}")


# --- What is kept -------------------------------------------------------------------------------------


def kept(layer: Layer, shapes: tuple[Shape, ...], needs: Needs) -> dict[str, int | None]:
    """The names of what is kept, and the values of each that is the layer's own."""
    does = backward_of(layer, facts(layer, shapes), needs)
    return {k.name: None if k.values is None else k.values.value for k in does.kept}


ALL = frozenset(["query", "key", "value", "output"])
OWN = {"queries": 30, "keys": 30, "values": 30, "probabilities": 50, "heads": 30}


@pytest.mark.parametrize(
    ("inputs", "trained", "expected"),
    [
        ((True,), ALL, {"input 0", *OWN}),
        ((True,), frozenset(), {"queries", "keys", "values", "probabilities"}),
        ((False,), {"output"}, {"heads"}),
        ((False,), {"output_bias"}, set()),
        ((False,), {"value"}, {"input 0", "probabilities"}),
        ((False,), {"value_bias"}, {"probabilities"}),
        ((False,), {"query"}, {"input 0", "keys", "values", "probabilities"}),
        ((False,), {"key_bias"}, {"queries", "values", "probabilities"}),
    ],
)
def test_what_attention_keeps(inputs: tuple[bool, ...], trained: Any, expected: set[str]) -> None:
    found = kept(make("attention", 2), ((6, 5),), Needs(inputs, frozenset(trained)))
    assert found == {name: OWN.get(name) for name in expected}


@pytest.mark.parametrize(
    ("inputs", "trained", "expected"),
    [
        ((True, False), frozenset(), {"keys", "values", "probabilities"}),
        ((False, True), frozenset(), {"queries", "values", "probabilities"}),
        ((False, False), {"key"}, {"input 1", "queries", "values", "probabilities"}),
        ((False, False), {"query", "value"}, {"input 0", "input 1", "keys", "values", "probabilities"}),
    ],
)
def test_what_cross_attention_keeps(inputs: tuple[bool, ...], trained: Any, expected: set[str]) -> None:
    layer = make("attention", 2, key_value=GivenTensor())
    assert kept(layer, ((6, 5), (3, 4)), Needs(inputs, frozenset(trained))).keys() == expected


@pytest.mark.parametrize(
    ("layer", "trained", "expected"),
    [
        (make("lstm", 4), ["weight_ih_l0"], {"input 0": None, "gates l0": 112, "memories l0": 28}),
        (make("lstm", 4), ["weight_hh_l0"], {"gates l0": 112, "memories l0": 28, "output": None}),
        (
            make("lstm", 4, return_sequences=False),
            ["weight_hh_l0"],
            {"gates l0": 112, "memories l0": 28, "states l0": 28},
        ),
        (make("gru", 4), ["bias_ih_l0"], {"gates l0": 84, "products l0": 28, "output": None}),
        (make("gru", 4, bias="one"), ["bias_ih_l0"], {"gates l0": 84, "output": None}),
        (make("rnn", 4), ["bias_ih_l0"], {"output": None}),
        (make("rnn", 4, 2), ["weight_ih_l1"], {"states l0": 28, "output": None}),
        (make("rnn", 4, 2), ["bias_ih_l1"], {"output": None}),
        (make("rnn", 4, 2), ["bias_ih_l0"], {"states l0": 28, "output": None}),
        (
            make("rnn", 4, bidirectional=True, return_sequences=False),
            ["bias_ih_l0_reverse"],
            {"states l0_reverse": 28},
        ),
    ],
    ids=str,
)
def test_what_recurrent_layers_keep(
    layer: Layer, trained: list[str], expected: dict[str, int | None]
) -> None:
    assert kept(layer, ((3, 7),), Needs((False,), frozenset(trained))) == expected


@pytest.mark.parametrize(
    ("kind", "inputs", "expected"),
    [
        ("mul", (True, True), {"input 0", "input 1"}),
        ("mul", (True, False), {"input 1"}),
        ("div", (True, False), {"input 1"}),
        ("div", (False, True), {"input 0", "input 1"}),
        ("sub", (True, True), set()),
        ("stack", (True, True), set()),
    ],
)
def test_what_joins_keep(kind: str, inputs: tuple[bool, ...], expected: set[str]) -> None:
    assert kept(make(kind), ((3, 4), (3, 4)), Needs(inputs)).keys() == expected


def test_an_opaque_layer_is_not_known() -> None:
    layer = make("opaque", "grid_sample", (4, 7), ((5, 6),))
    does = backward_of(layer, facts(layer, ((4, 7),)), Needs((True,), frozenset(["weight0"])))
    assert not does.known
    assert not does.kept
    assert not does.operations
    assert backward_of(make("relu"), facts(make("relu"), ((4,),)), Needs((True,))).known


# --- What is computed ---------------------------------------------------------------------------------

COUNTED = """
embedding attention matmul mul sub div stack permute transpose channel_shuffle roll pixel_shuffle
pixel_unshuffle unfold lstm gru rnn
""".split()


def with_zeros(applied: Applied, needs: Needs) -> Counter[str]:
    """What the plain loops of recurrent layers compute with the zeros around a sequence.

    These are the gradients that come from behind the last step, and those of what is before the first.
    """
    layer: Any = applied.layer
    found: Counter[str] = Counter()
    step, units = layer.step_back(), layer.hidden_size
    for number, end in ThroughTime(layer, step, applied.facts, needs).cells(needs.trained):
        ends_here = number == layer.num_layers - 1 and not layer.return_sequences
        found["add"] += units * (applied.facts.inputs[0][1] - 1 if ends_here else 1)
        for category, count in step.earlier.items():
            found[category] += units * count
        if step.reset and f"weight_hh_l{number}{end}" in needs.trained:
            found["mul"] += units
    return found


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.kind in COUNTED], ids=str)
def test_operations_are_those_of_the_formula(sample: Sample) -> None:
    applied = Applied(sample.layer, sample.inputs)
    recurrent = isinstance(sample.layer, Recurrent)
    if recurrent and sample.inputs[0][1] == 1:
        pytest.skip("the state before a single step is zero: the kernel leaves out its weights' gradient")
    for needs in needs_of(sample.layer, sample.inputs):
        declared = Counter(with_zeros(applied, needs)) if recurrent else Counter[str]()
        for category, count in backward_of(sample.layer, applied.facts, needs).operations:
            if category != "macs":
                declared[category] += count.value
        found = counted(applied, needs, indices=sample.kind == "embedding")
        assert found == {category: count for category, count in declared.items() if count}, needs


RECURRENT = [
    f"input(3x7) -> {kind}(4, {layers}, bidirectional={both}, return_sequences={sequences})"
    for kind, layers, both, sequences in product(
        ("lstm", "gru", "rnn"), (1, 3), ("true", "false"), ("true", "false")
    )
]


@pytest.mark.parametrize(
    "text",
    [
        *RECURRENT,
        *(text.replace("input(3x7)", "input(7) -> embedding(9, 3)") for text in RECURRENT),
        "input(3x8)\nconv(4, 1)\nmatmul(transpose, identity) -> softmax -> conv(2, 1)",
    ],
)
def test_multiply_accumulates_of_pytorch(text: str) -> None:
    """To the unit. In double precision, as PyTorch has an LSTM of single precision in one piece."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode
    from torch_modules import to_torch

    network = net(text)
    gradients = Gradients(network)
    macs = [
        count.value
        for node in network.nodes
        for category, count in gradients.operations(node)
        if category == "macs"
    ]
    (node,) = network.inputs.values()
    module = to_torch(network).double().train()
    x = torch.zeros(1, *node.shape, dtype=torch.int64 if "embedding" in text else torch.float64)
    out = module(x)
    with FlopCounterMode(display=False) as counter:
        out.sum().backward()
    assert counter.get_total_flops() == 2 * sum(macs)


@pytest.mark.parametrize(
    ("heads", "bias", "causal"), list(product((1, 3), (True, False), (True, False))), ids=str
)
def test_heads_of_other_sizes_in_pytorch(heads: int, bias: bool, causal: bool) -> None:
    """`torch.nn.MultiheadAttention` has none, its function has."""
    torch = pytest.importorskip("torch")
    layer = make("attention", heads, key_dim=2, value_dim=5, bias=bias, is_causal=causal)
    shapes = ((4, 6),)
    applied = Applied(layer, shapes)
    (x,) = (torch.from_numpy(x).requires_grad_() for x in applied.inputs)
    arrays = {
        name: torch.from_numpy(array.copy()).requires_grad_() for name, array in applied.weights.items()
    }

    def projected(name: str, source: Any) -> Any:
        return source @ arrays[name] + (arrays[f"{name}_bias"] if bias else 0)

    query, key, value = (
        projected(name, x).unflatten(-1, (heads, -1)).transpose(1, 2) for name in ("query", "key", "value")
    )
    looked_up = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=causal)
    projected("output", looked_up.transpose(1, 2).flatten(2)).backward(torch.from_numpy(applied.gradient))
    needs = Needs((True,), frozenset(arrays))
    found = applied.backward(needs, backward_of(layer, applied.facts, needs), False)
    for name, tensor in {0: x, **arrays}.items():
        np.testing.assert_allclose(found[name], tensor.grad.numpy(), rtol=1e-9, atol=1e-9)


# --- A step of training -------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "text",
    [
        "input(12) -> embedding(50, 8) -> lstm(6, 2, bidirectional=true) -> gru(5, return_sequences=false)",
        'input(3x12) -> gru(6, 3, bias="one") -> rnn(4) -> transpose -> flatten -> fc(2)',
        "input(3x12) -> conv(8, 3, padding=1) -> attention(2) -> conv(4, 1)",
        "input(3x8x8)\na: conv(8, 1)\nb: attention(2)\nadd(a, b) -> relu -> permute([1, 0, 2]) -> conv(3, 1)",
        "input(3x8x8) -> conv(8, 1) -> channel_shuffle(2) -> pixel_shuffle(2) -> pixel_unshuffle(2) -> "
        'roll(1, "height") -> unfold(3) -> transpose -> transpose -> conv(3, 1)',
        "input(3x8x8) -> conv(8, 1)\nmul(identity, global_avgpool -> sigmoid)\ndiv(identity, conv(8, 1))\n"
        "sub(identity, relu)\nstack(identity, conv(8, 1), dim=1) -> conv(3, 1)",
        "input(3x8)\nconv(4, 1)\nmatmul(transpose, identity) -> softmax -> conv(2, 1)",
    ],
)
def test_bytes_of_a_step(text: str, batch: int) -> None:
    gradients = Gradients(net(text))
    predicted = training_step(gradients, Saved(gradients), precision("float32"), OPTIMIZERS["sgd"])
    ran = train_step(gradients.network, batch=batch, dtype=np.float32)
    assert predicted.bytes_alive(batch) == ran.alive
