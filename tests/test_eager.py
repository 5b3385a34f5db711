"""Eager PyTorch's accounting of training against PyTorch: bytes kept, products of the backward pass, peaks.

`torch_memory.json` has what PyTorch itself says of torchvision's networks; see `torch_memory.py`. Without
PyTorch the networks are archcalc's own, with it they are imported from torchvision.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch_memory
from msgspec.structs import replace

import archcalc
from archcalc.gradients import Gradients
from archcalc.layers import KINDS
from archcalc.memory.eager import Eager, saved_size, total, waste
from archcalc.memory.eager_rules import FUSED, IN_PLACE, ROWS, UNKNOWN
from archcalc.memory.eager_step import EagerMachine, eager_step
from archcalc.memory.optimizers import OPTIMIZERS
from archcalc.memory.precision import precision
from archcalc.memory.saved import Saved
from archcalc.network import Network

RECORDED = torch_memory.load()
MEASURED: dict[str, Any] = RECORDED["networks"]
BATCH: int = RECORDED["batch"]
WIDTHS = precision("float32")

OURS = {
    "alexnet": "alexnet_owt",
    "vgg16": "vgg16_torchvision",
    **{name: name for name in ("resnet18", "resnet34")},
    **{f"resnet{depth}": f"resnet{depth}_v1_5" for depth in (50, 101, 152)},
    **{name: name for name in ("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d")},
    **{name: name for name in ("wide_resnet50_2", "wide_resnet101_2")},
    **{f"densenet{depth}": f"densenet{depth}" for depth in (121, 161, 169, 201)},
    **{name: name for name in ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large")},
    **{f"shufflenet_v2_{x}": f"shufflenet_v2_{x}_torchvision" for x in ("x0_5", "x1_0", "x1_5", "x2_0")},
    **{f"squeezenet1_{x}": f"squeezenet1_{x}_torchvision" for x in (0, 1)},
}
"""torchvision's networks that archcalc has, by their names there. Other VGGs have an average pool more there,
which changes nothing and keeps its input."""


def without_softmax(network: Network) -> Network:
    """PyTorch's networks end with the scores; the loss has the softmax."""
    (last,) = network.outputs.values()
    if last.kind != "softmax":
        return network
    nodes = tuple(node for node in network.nodes if node is not last)
    return replace(network, nodes=nodes, outputs={"output": last.inputs[0]})


def figures(network: Network) -> dict[str, Any]:
    """What `torch_memory.measure` records."""
    gradients = Gradients(network, heads=True)
    eager = Eager(gradients)
    assert not eager.unknown()

    def macs(operations: Any) -> int:
        return sum(term.value for category, term in operations if category == "macs")

    return {
        "saved": saved_size(Saved(gradients, eager.backward), WIDTHS).of(BATCH),
        "forward": sum(macs(node.facts.operations) for node in gradients.nodes),
        "backward": sum(macs(gradients.operations(node)) for node in gradients.nodes),
        "peaks": {
            name: eager_step(eager, WIDTHS, OPTIMIZERS[name], watched=True).peak(BATCH)[0]
            for name in torch_memory.OPTIMIZERS
        },
    }


def recorded(name: str) -> dict[str, Any]:
    return {key: value for key, value in MEASURED[name].items() if key != "input"}


@pytest.mark.parametrize("name", [name for name in OURS if name in MEASURED])
def test_archcalcs_networks_take_what_torchvisions_take(name: str) -> None:
    assert figures(without_softmax(archcalc.load(OURS[name]))) == recorded(name)


@pytest.mark.parametrize("name", ["alexnet_owt", "resnet50", "mobilenet_v2", "densenet121"])
def test_waste_is_the_whole_difference(name: str) -> None:
    gradients = Gradients(archcalc.load(name))
    eager = Eager(gradients)
    needed, kept = Saved(gradients), Saved(gradients, eager.backward)
    found = waste(needed, kept, eager, WIDTHS)
    before, after = saved_size(needed, WIDTHS), saved_size(kept, WIDTHS)
    difference = total([entry.size for entry in found])
    assert (difference.fixed, difference.per_sample) == (
        after.fixed - before.fixed,
        after.per_sample - before.per_sample,
    )
    assert found
    assert all(entry.why for entry in found if entry.size.of(1) > 0)


def test_an_average_pool_wastes_its_input() -> None:
    network = archcalc.loads(
        "net n { input(3x8x8) -> conv(4, 3, padding=1) -> avgpool(2) -> flatten -> fc(2) }"
    )
    gradients = Gradients(network)
    eager = Eager(gradients)
    (entry,) = waste(Saved(gradients), Saved(gradients, eager.backward), eager, WIDTHS)
    assert (entry.kind, entry.size.of(1), entry.nodes) == ("avgpool", 4 * 4 * 8 * 8, 1)
    assert entry.text == (
        "avgpool (1): an average pool keeps its input, although its backward pass reads only the shape "
        "(https://github.com/pytorch/pytorch/issues/1468)"
    )


def test_every_kind_has_a_row_or_a_reason() -> None:
    assert ROWS.keys() | UNKNOWN.keys() == KINDS.keys()
    assert not ROWS.keys() & UNKNOWN.keys()
    assert {*FUSED, *IN_PLACE} <= ROWS.keys()


def test_what_is_not_known_is_counted_as_needed() -> None:
    gradients = Gradients(
        archcalc.loads("net n { input(3x7) -> lstm(4) -> slice(0, 1) -> flatten -> fc(2) }")
    )
    eager = Eager(gradients)
    assert [node.kind for node in eager.unknown()] == ["lstm"]
    assert eager.backward(eager.unknown()[0]) == gradients.backward(eager.unknown()[0])


def test_a_dropout_keeps_bytes_on_a_gpu() -> None:
    gradients = Gradients(archcalc.loads("net n { input(8) -> fc(6) -> dropout -> fc(4) }"))
    sizes = [
        saved_size(Saved(gradients, Eager(gradients, device).backward), WIDTHS).of(1)
        for device in ("cpu", "cuda")
    ]
    assert sizes == [4 * (8 + 6 + 6), 4 * (8 + 6) + 6]


# --- With PyTorch -----------------------------------------------------------------------------------

SAMPLE = ("alexnet", "resnet18", "mobilenet_v2", "convnext_tiny", "efficientnet_b0", "googlenet")


@pytest.mark.parametrize("name", SAMPLE)
def test_imported(name: str) -> None:
    pytest.importorskip("torchvision")
    assert figures(torch_memory.imported(name)) == recorded(name)


@pytest.mark.full
@pytest.mark.parametrize("name", [name for name in MEASURED if name not in SAMPLE])
def test_all_imported(name: str) -> None:
    pytest.importorskip("torchvision")
    assert figures(torch_memory.imported(name)) == recorded(name)


def test_the_record_is_what_pytorch_says() -> None:
    pytest.importorskip("torchvision")
    assert torch_memory.measure("resnet18") == MEASURED["resnet18"]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_tensors_without_memory_are_as_good(name: str) -> None:
    """What is kept, and the peak, are the same with real tensors on the CPU."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchvision")
    x = torch.rand(2, 3, 64, 64)
    network = archcalc.from_torch(torch_memory.build(name), (3, 64, 64))
    eager = Eager(Gradients(network))
    module = torch_memory.build(name).train()
    kept = saved_size(Saved(eager.gradients, eager.backward), WIDTHS).of(2)
    assert torch_memory.saved_bytes(module, x) == kept
    targets = [torch.zeros(2, dtype=torch.long)]
    for optimizer in torch_memory.OPTIMIZERS:
        made = torch_memory.make_optimizer(optimizer, module)
        torch_memory.loss_of(module(x), targets).backward()
        made.step()
        made.zero_grad()
        peak = torch_memory.step_peak(module, made, targets, x)["Total"]
        assert eager_step(eager, WIDTHS, OPTIMIZERS[optimizer], watched=True).peak(2)[0] == peak


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v3_small", "densenet121", "googlenet", "squeezenet1_1"]
)
def test_gradients_are_added_in_place_where_pytorch_does(name: str) -> None:
    """Counted by PyTorch's profiler, under which autograd adds in place."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchvision")
    from torch.profiler import ProfilerActivity, profile

    size = 64
    module = torch_memory.build(name).train()
    network = archcalc.from_torch(module, (3, size, size))
    eager = Eager(Gradients(network, heads=True))
    saved = Saved(eager.gradients, eager.backward)
    machine = EagerMachine(eager, saved, WIDTHS, OPTIMIZERS["sgd"])
    machine.run()
    results = torch_memory.results_of(module.train()(torch.rand(2, 3, size, size)))
    loss = torch_memory.loss_of(tuple(results), torch_memory.targets_of(tuple(results)))
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        loss.backward()
    names = [event.name for event in seen.events()]
    found = {"in place": names.count("aten::add_"), "new": names.count("aten::add")}
    assert found == machine.sums
