"""`archcalc convert`: every network comes back from its text, and the text is one that a person would read."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from samples import SAMPLES, make

import archcalc
from archcalc import Network, NetworkBuilder
from archcalc.catalog import shipped
from archcalc.convert import convert, plan
from archcalc.network import Node

SHIPPED = {each.name: each for each in shipped() if not each.missing}


def facts(network: Network) -> dict[str, Any]:
    """What must survive, computed without the comparison that `convert` itself makes."""
    found: dict[str, Any] = {"nodes": len(network.nodes)}
    for heads in (False, True):
        profile = archcalc.analyze(network, heads=heads)
        totals = profile.totals
        for name in (
            "params",
            "buffers",
            "weights",
            "macs",
            "flops",
            "activations",
            "depth",
            "weighted_layers",
        ):
            found[f"{name} {heads}"] = totals[name]
        found[f"layers {heads}"] = sorted(
            (layer.kind, layer.output_shape, layer.counts["params"], layer.macs, str(layer.receptive_field))
            for layer in profile
        )
    found["inputs"] = [node.shape for node in network.inputs.values()]
    found["outputs"] = [node.shape for node in network.outputs.values()]
    found["heads"] = [node.shape for node in network.heads.values()]
    return found


def comes_back(network: Network) -> str:
    """The text of a network, after a comparison of what it gives with the network."""
    conversion = convert(network, ["a test"])
    assert conversion.problem == ""
    assert facts(archcalc.loads(conversion.text)) == facts(network)
    for line in conversion.text.splitlines():
        assert len(line) <= 110, line
        assert line == line.rstrip()
    return conversion.text


def unnamed(network: Network) -> Network:
    """The same network with all nodes in one list, as a file without names has them."""
    build = NetworkBuilder(network.name)
    made: dict[int, Node] = {}
    for node in network.nodes:
        if node.is_input:
            made[node.index] = build.input(node.shape, node.name)
        else:
            made[node.index] = build.add(node.layer, *(made[source.index] for source in node.inputs))
        if node.shares is not None:
            made[node.index].shares = made[node.shares.index]
    outputs = {name: made[node.index] for name, node in network.outputs.items()}
    return build.finish(
        outputs.pop("output"),
        outputs=outputs,
        heads={name: made[node.index] for name, node in network.heads.items()},
    )


# --- Round trip --------------------------------------------------------------------------------------

SOME = """lenet5_1998 vgg16 googlenet resnet18 resnet50 densenet121 mobilenet_v2 nasnet_a_mobile unet deconvnet
shufflenet_v2_x1_0 efficientnet_b0 inception_v3 inception_resnet_v2 xception highway_fc50 mlnn siamese""".split()


@pytest.mark.parametrize("name", [name for name in SOME if name in SHIPPED])
@pytest.mark.parametrize("change", [lambda network: network, unnamed], ids=["named", "unnamed"])
def test_built_in_networks_come_back(name: str, change: Any) -> None:
    comes_back(change(SHIPPED[name].network()))


@pytest.mark.full
@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("change", [lambda network: network, unnamed], ids=["named", "unnamed"])
def test_all_built_in_networks_come_back(name: str, change: Any) -> None:
    comes_back(change(SHIPPED[name].network()))


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_every_layer_comes_back(sample: Any) -> None:
    if sample.kind == "maxunpool":
        pytest.skip("its pool has to be there: see below")
    build = NetworkBuilder("one")
    inputs = [build.input(shape, f"in{number}") for number, shape in enumerate(sample.inputs)]
    comes_back(build.finish(build.add(sample.layer, *inputs)))


def test_an_unpooling_reads_its_pool() -> None:
    text = """
net pools {
  input(3x9x10)
  pool: maxpool(3x2, stride=2x2, padding=1x0)
  conv(3, 3, padding=1) -> maxunpool(pool)
}"""
    assert "-> maxunpool(" in comes_back(archcalc.loads(text))


RANDOM_KINDS = (
    "conv",
    "conv",
    "bn",
    "relu",
    "slice",
    "pointwise",
    "add",
    "concat",
    "mul",
    "sub",
    "enter",
    "leave",
)
NAMES = ("0", "1", "x", "conv", "layer1", "block", "net", "max", "a b", "é", "\x00", "1x1", "x1", "x_1")


class RandomNetwork:
    """A network drawn at random: any graph, any modules, some shared parameters, several inputs and results."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.build = NetworkBuilder(self.random.choice(("net", "random", "résnet 50", "conv", "")) or "x")
        self.tensors: list[Node] = []
        self.open: list[Any] = []

    def pick(self) -> Node:
        """A tensor, most often one of the last."""
        if self.random.random() < 0.6:
            return self.tensors[-1]
        return self.random.choice(self.tensors[-6:] if self.random.random() < 0.7 else self.tensors)

    def network(self) -> Network:
        for number in range(self.random.choice((1, 1, 1, 2, 3))):
            self.tensors.append(self.build.input((4, 6, 6), f"in{number}" if number else "input"))
        for _ in range(self.random.randint(1, 40)):
            self.step()
        while self.open:
            self.leave()
        return self.finish()

    def step(self) -> None:
        kind = self.random.choice(RANDOM_KINDS)
        if kind == "enter":
            self.enter()
        elif kind == "leave":
            self.leave()
        elif kind in ("add", "concat", "mul", "sub"):
            one = self.pick()
            number = 1 if kind == "sub" else self.random.randint(1, 3)
            same = [node for node in self.tensors if node.shape == one.shape]
            self.add(make(kind), one, *(self.random.choice(same) for _ in range(number)))
        else:
            c = self.random.choice((4, 4, 8))
            source = self.pick()
            layer = {
                "conv": lambda: make("conv", c, self.random.choice((1, 3)), padding="same"),
                "pointwise": lambda: make("pointwise", c, bias=False),
                "slice": lambda: make("slice", 0, min(4, source.shape[0])),
            }.get(kind, lambda: make(kind))()
            self.add(layer, source)

    def add(self, layer: Any, *inputs: Node) -> None:
        node = self.build.add(layer, *inputs)
        if node.facts.weights and self.random.random() < 0.2:
            for other in self.build.nodes[:-1]:
                if other.layer == layer and other.facts == node.facts:
                    node.shares = other.shares or other
                    break
        self.tensors.append(node)

    def enter(self) -> None:
        name = self.random.choice(NAMES)
        if len(self.open) < 4 and name not in self.build.scope.taken:
            kind = self.random.choice(("Sequential", "Block", "", "conv"))
            self.open.append(self.build.enter(name, kind or "group"))

    def leave(self) -> None:
        if self.open:
            self.build.leave(self.open.pop(), self.build.nodes[-1])

    def finish(self) -> Network:
        read = {source.index for node in self.build.nodes for source in node.inputs}
        ends = [node for node in self.build.nodes if node.index not in read]
        if all(node.is_input for node in self.build.nodes):
            ends = [self.build.add(make("relu"), node) for node in ends]
        *others, last = ends
        outputs: dict[str, Node] = {}
        heads: dict[str, Node] = {}
        for number, node in enumerate(others):
            (heads if self.random.random() < 0.5 else outputs)[f"result{number}"] = node
        if self.random.random() < 0.2:
            outputs["middle"] = self.random.choice(self.build.nodes)
        return self.build.finish(last, outputs=outputs, heads=heads)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
@example(0)
def test_random_networks_come_back(seed: int) -> None:
    comes_back(RandomNetwork(seed).network())
