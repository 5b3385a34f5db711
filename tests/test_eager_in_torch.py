"""What eager PyTorch keeps of every kind of layer, to the byte: the table against the hooks of autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from measured import MORE
from samples import SAMPLES, Sample, make
from test_kernels import layer_of

from archcalc import NetworkBuilder
from archcalc.gradients import Gradients
from archcalc.layers import Layer
from archcalc.layers.backward import Needs
from archcalc.memory.eager import Eager, saved_size
from archcalc.memory.eager_rules import IN_PLACE, ROWS
from archcalc.memory.precision import precision
from archcalc.memory.saved import Saved

torch = pytest.importorskip("torch")

from torch_memory import saved_bytes  # noqa: E402
from torch_modules import to_torch  # noqa: E402

BATCH = 2
WIDTHS = precision("float32")
HOW = {"all": (True, True), "frozen": (True, False), "first": (False, True)}
"""Which gradients are asked for: of inputs, and of parameters."""

Shapes = Sequence[tuple[int, ...]]


def of_pytorch(network: Any, how: str, inplace: bool = False) -> int | None:
    """The bytes that autograd keeps of a layer; None if no gradient comes through it."""
    inputs, parameters = HOW[how]
    with torch.device("meta"):
        module = to_torch(network, inplace).train()
        whole = any(node.kind == "embedding" for node in network.layers)
        given = [torch.zeros(BATCH, *node.shape) for node in network.inputs.values()]
        if whole:
            given = [x.long() for x in given]
    for parameter in module.parameters():
        parameter.requires_grad_(parameters and parameter.requires_grad)
    if inputs and not whole:
        given = [x.requires_grad_() * 1 for x in given]  # a leaf cannot be changed in place
    out = module(*given)
    if not out.requires_grad:
        return None
    return saved_bytes(module, *given) if not inplace else _again(module, given)


def _again(module: Any, given: list[Any]) -> int:
    return saved_bytes(module, *(x * 1 for x in given))


def of_table(network: Any, how: str, inplace: bool = False) -> int:
    inputs, parameters = HOW[how]
    gradients = Gradients(network)
    node = network.outputs["output"]
    trained = frozenset(w.name for w in node.facts.weights if w.role != "buffer" and not w.frozen)
    some = inputs and not node.layer.stops_gradients
    gradients.needs = {
        node.index: Needs((some,) * len(node.inputs), trained if parameters else frozenset()),
    }
    eager = Eager(gradients, in_place=[node.index] if inplace else ())
    return saved_size(Saved(gradients, eager.backward), WIDTHS).of(BATCH)


def alone(layer: Layer, shapes: Shapes) -> Any:
    build = NetworkBuilder("alone")
    inputs = [build.input(shape, f"input{i}") for i, shape in enumerate(shapes)]
    return build.finish(build.add(layer, *inputs))


def check(layer: Layer, shapes: Shapes, how: str, inplace: bool = False) -> None:
    network = alone(layer, shapes)
    if layer.kind == "grn" and len(shapes[0]) == 1:
        pytest.skip("its norm is that of a map")
    try:
        measured = of_pytorch(network, how, inplace)
    except (NotImplementedError, RuntimeError, TypeError, ValueError) as problem:
        pytest.skip(str(problem))
    if measured is not None:
        assert of_table(network, how, inplace) == measured


NOT_ALONE = {"maxunpool", "parameter", "opaque", "drop_path"}
"""`drop_path` is a class of torchvision; the networks of `test_eager.py` have it."""
CASES = [s for s in (*SAMPLES, *MORE) if s.kind in ROWS and s.kind not in NOT_ALONE]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("sample", CASES, ids=str)
def test_samples(sample: Sample, how: str) -> None:
    check(sample.layer, sample.inputs, how)


@pytest.mark.parametrize("kind", [*sorted(IN_PLACE), "relu"])
def test_in_place(kind: str) -> None:
    check(make(kind), [(3, 9, 10)], "all", inplace=True)


@pytest.mark.parametrize("kind", sorted(ROWS.keys() - NOT_ALONE))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_all_arguments(kind: str, data: Any) -> None:
    layer, shapes = data.draw(layer_of(kind))
    how = data.draw(st.sampled_from(sorted(HOW)))
    try:
        check(layer, shapes, how)
    except pytest.skip.Exception:
        assume(False)
