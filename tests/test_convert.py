"""`archcalc convert`: every network comes back from its text, and a person can read the text."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import module_trees
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from samples import SAMPLES, make

import archcalc
from archcalc import ArchError, Network, NetworkBuilder
from archcalc.catalog import shipped
from archcalc.convert import convert
from archcalc.convert.dominators import tree
from archcalc.convert.names import LANGUAGE, legal
from archcalc.convert.same import difference
from archcalc.convert.writer import value_text
from archcalc.freezing import with_frozen
from archcalc.language.standalone import constant
from archcalc.layers.arguments import format_argument
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
            "trainable_params",
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

SOME = """
lenet5_1998 vgg16 googlenet resnet18 resnet50 densenet121 mobilenet_v2 nasnet_a_mobile unet deconvnet mlnn
shufflenet_v2_x1_0 efficientnet_b0 inception_v3 inception_resnet_v2 xception highway_fc50 resnet34_option_a
""".split()


@pytest.mark.parametrize("name", SOME)
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
    if sample.kind == "maxunpool" or not sample.inputs:
        pytest.skip("other layers have to be there: see below")
    build = NetworkBuilder("one")
    inputs = [build.input(shape, f"in{number}") for number, shape in enumerate(sample.inputs)]
    comes_back(build.finish(build.add(sample.layer, *inputs)))


def test_parameters_are_written_where_they_are_read() -> None:
    text = """
net tokens {
  input(12x7)
  p = parameter(12x7)
  x = add(identity, p) -> relu
  add(mul(p, x), parameter(12x1)) -> relu
  concat(parameter([12, 1], trained=false), identity, dim="length")
  add(identity, relu -> attention(3) -> scale)
}"""
    network = archcalc.loads(text)
    comes_back(network)
    assert "add(identity, parameter(12x1))" in convert(network).text


def test_an_unpooling_reads_its_pool() -> None:
    text = """
net pools {
  input(3x9x10)
  pool: maxpool(3x2, stride=2x2, padding=1x0)
  conv(3, 3, padding=1) -> maxunpool(pool)
}"""
    assert "-> maxunpool(" in comes_back(archcalc.loads(text))


RANDOM_KINDS = """
conv conv conv bn relu slice pointwise add concat mul sub enter leave input
""".split()
NAMES = ("0", "1", "x", "conv", "layer1", "block", "net", "max", "a b", "é", "\x00", "1x1", "x1", "x_1")


class RandomNetwork:
    """A network drawn at random: any graph, any modules, shared parameters, several inputs and results."""

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
        elif kind == "input":
            if not self.open and self.random.random() < 0.3:
                self.tensors.append(self.build.input((4, 6, 6), f"late{len(self.tensors)}"))
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


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
@example(0)
def test_random_networks_come_back(seed: int) -> None:
    comes_back(RandomNetwork(seed).network())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_frozen_layers_come_back(seed: int, chosen: random.Random) -> None:
    """Any set of layers of a random network, with those that share their parameters."""
    network = RandomNetwork(seed).network()
    names = [node.name for node in network.layers if chosen.random() < 0.4]
    comes_back(with_frozen(network, names))


@pytest.mark.parametrize(
    ("name", "frozen"),
    [
        ("resnet50", "conv[14]*"),
        ("densenet121", "*conv*"),
        ("googlenet", "*"),
        ("efficientnet_b0", "*bn*"),
    ],
)
@pytest.mark.parametrize("change", [lambda network: network, unnamed], ids=["named", "unnamed"])
def test_frozen_parts_of_networks_come_back(name: str, frozen: str, change: Any) -> None:
    network = SHIPPED[name].network()
    places = [node.index for node in network.select(frozen)]
    changed = change(network)
    text = comes_back(with_frozen(changed, [changed.nodes[place].name for place in places]))
    assert "frozen {" in text


def test_the_largest_frozen_pieces_are_in_braces() -> None:
    text = """
        block unit(c) { conv(c, 3, padding=1, bias=false) -> bn -> relu }
        net finetuned {
          input(3x32x32)
          frozen { unit(16) -> unit(16) }
          unit(16)
          add(frozen { conv(16, 1) -> relu -> conv(16, 1) }, conv(16, 1))
          global_avgpool -> flatten -> frozen { fc(10) }
        }"""
    back = comes_back(archcalc.loads(text))
    assert "frozen { conv(16, 1) -> relu -> conv(16, 1) }" in back
    assert "global_avgpool -> flatten -> frozen { fc(10) }" in back
    assert back.count("frozen") == 3


TIED = {
    "autoencoder": """net n {
      input(1x28x28)
      enc: conv(16, 3, stride=2, padding=1)
      code: relu -> conv(32, 3, stride=2, padding=1)
      relu -> conv_transpose(16, 3, stride=2, padding=1, output_padding=1, weight=code) -> relu
      conv_transpose(1, 3, stride=2, padding=1, output_padding=1, weight=enc)
    }""",
    "all arrays, of another kind": """net n {
      input(20)
      words: embedding(100, 16)
      pointwise(16) -> relu -> pointwise(100, bias=false, weight=words)
    }""",
    "frozen": """net n {
      input(8)
      a: frozen { fc(8) }
      relu -> fc(8, weight=a) -> frozen { fc(4) }
    }""",
    "inside a block": """
    block tail(w) { relu -> fc(8, weight=w) -> relu }
    net n {
      input(8)
      a: fc(8)
      relu -> tail(a) -> tail(a) -> fc(2)
    }""",
    "of one of several": """net n {
      input(8x9)
      a: conv(8, 1)
      b: conv(8, 1)
      add(conv(8, 1, weight=a), conv(8, 1, weight=b), conv(8, 1, weight=a))
    }""",
}


@pytest.mark.parametrize("name", TIED)
def test_tied_weights_come_back(name: str) -> None:
    network = archcalc.loads(TIED[name])
    text = comes_back(network)
    assert "weight=" in text
    assert ties(archcalc.loads(text)) == ties(network)


def ties(network: Network) -> list[tuple[str, str]]:
    """The layers that have the weight of another one, with that one."""
    return sorted(
        (str(node.layer), str(owner.layer))
        for node in network.layers
        for owner in [node.shares, *(owner for owner, _ in node.tied.values())]
        if owner is not None
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=9))
def test_any_ties_come_back(layers: list[tuple[int, bool]]) -> None:
    """Layers in a row: some have the weight of an earlier one, with a bias of their own or without."""
    build = NetworkBuilder("tied")
    node = build.input((8, 5))
    owners: list[Node] = []
    for place, bias in layers:
        owner = owners[place] if place < len(owners) else None
        tied = None if owner is None else {"weight": (owner, "weight")}
        node = build.add(make("pointwise", 8, bias=bias), node, tied=tied)
        owners.append(node)
        node = build.add(make("relu"), node)
    network = build.finish(node)
    assert ties(archcalc.loads(comes_back(network))) == ties(network)


def test_a_network_comes_back_within_random_modules_of_repeated_blocks() -> None:
    """Blocks of few kinds, one after the other: they become blocks and loops, and still come back."""
    for seed in range(20):
        draw = random.Random(seed)
        build = NetworkBuilder("blocks")
        x = build.input((8, 6, 6))
        for number in range(30):
            opened = build.enter(f"layers{number // 10}", "Sequential") if number % 10 == 0 else None
            del opened
            kernel, deep = draw.choice((1, 3)), draw.random() < 0.5
            group = build.enter(str(number), "Block")
            y = build.add(make("conv", 8, kernel, padding="same"), x)
            if deep:
                y = build.add(make("conv", 8, 3, padding="same"), build.add(make("relu"), y))
            x = build.add(make("add"), x, y)
            build.leave(group, x)
        comes_back(build.finish(x))


# --- Readable ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "most", "holds"),
    [
        (
            module_trees.resnet("resnet50", 3, 4, 6, 3),
            26,
            ["block bottleneck(c)", "repeat n { bottleneck(c) }"],
        ),
        (module_trees.resnet("resnet152", 3, 8, 36, 3), 26, ["[256, 2, 35]"]),
        (module_trees.mobilenet_v2(), 31, ["block inverted_residual(c)", "conv2d_norm_activation(1280, 1)"]),
        (
            module_trees.densenet121(),
            25,
            ["block dense_block(n)", "maps = maps + [concat(maps) -> dense_layer]"],
        ),
        (module_trees.googlenet(), 40, ["inception(192, 96, 208, 16, 48, 64)"]),
        (module_trees.convnext_tiny(), 21, ["block cnblock(c)", "pointwise(4 * c)"]),
        (module_trees.res2net_block(), 20, ["repeat 2 { bottle2neck }"]),
        (module_trees.hrnet_module(), 25, []),
        (
            unnamed(module_trees.resnet("resnet50", 3, 4, 6, 3)),
            40,
            ["block residual(c)", "for c, stride, n in"],
        ),
        (unnamed(module_trees.mobilenet_v2()), 40, ["repeat n { residual(c2) }"]),
        (unnamed(module_trees.densenet121()), 75, ["maps = maps + ["]),
        (SHIPPED["vgg16"].network(), 15, ["repeat n { conv(c, 3, padding=1) -> relu }"]),
        (SHIPPED["nasnet_a_mobile"].network(), 112, ["block reduction(x, c)"]),
    ],
    ids=lambda value: value.name if isinstance(value, Network) else "",
)
def test_a_text_is_short(network: Network, most: int, holds: list[str]) -> None:
    comes_back(network)
    text = convert(network).text
    assert len(text.splitlines()) <= most
    for line in holds:
        assert line in text


def test_resnet50_reads_like_this() -> None:
    """Table 1 of He et al. 2015: 3, 4, 6 and 3 blocks; the first of each stage projects."""
    text = convert(module_trees.resnet("resnet50", 3, 4, 6, 3)).text
    assert "for c, stride, n in [[64, 1, 2], [128, 2, 3], [256, 2, 5], [512, 2, 2]] {" in text
    assert "bottleneck_downsample(c, stride)" in text


def test_a_tensor_that_is_read_far_away_has_a_name() -> None:
    """As in U-Net: the skip connection is a name, not a branch of forty lines."""
    text = comes_back(unnamed(SHIPPED["unet"].network()))
    assert "-> crop(392x392)" in text
    assert max(len(line) - len(line.lstrip()) for line in text.splitlines()) <= 6


def test_a_norm_with_a_scale_and_a_shift_after_it_is_in_one_block() -> None:
    """As in the light models of the `onnx` package: a norm, a product and a sum with constants, a ReLU."""
    build = NetworkBuilder("scaled")
    x = build.input((3, 8, 8))
    for number in range(6):
        x = build.add(make("conv", 4 + number, 3, padding=1, bias=False), x)
        for kind in ("bn", "layer_scale", "relu"):
            x = build.add(make(kind), x)
    text = comes_back(build.finish(x))
    assert "block conv_bn_layer_scale_relu(c) {" in text
    assert text.count("layer_scale ->") == 1


def test_without_structure_it_says_so() -> None:
    build = NetworkBuilder("flat")
    x = build.input((3, 8, 8))
    for number in range(50):
        x = build.add(make("conv", 3 + number * number % 17, 1 + 2 * (number % 3), padding="same"), x)
        x = build.add(make(("relu", "tanh", "sigmoid")[number * number % 7 % 3]), x)
    text = comes_back(build.finish(x))
    assert "No structure" in text or "for " in text or "repeat " in text


# --- Shared parameters, several inputs and results ---------------------------------------------------


def test_a_shared_module_is_a_shared_block() -> None:
    """The twins of docs/language.md: 4,657 parameters, one tower, as computed by hand there."""
    text = """
shared block tower { conv(16, 3) -> relu -> flatten -> fc(8) }
net twins {
  left: input(1x9x7)
  right: input(1x9x7)
  sub(left -> tower, right -> tower) -> abs -> fc(1)
}"""
    converted = comes_back(archcalc.loads(text))
    assert "shared block tower {" in converted
    assert "left: input(1x9x7)" in converted
    assert archcalc.analyze(archcalc.loads(converted)).totals.params == 4657


def test_results_keep_their_names_and_their_order() -> None:
    text = """
net three {
  input(3x8x8)
  a: conv(4, 3)
  b: conv(5, 3)
  output second = b -> relu
  output first = a -> tanh
  aux early = a -> global_avgpool -> flatten -> fc(2)
  conv(2, 1)
}"""
    network = archcalc.loads(text)
    again = archcalc.loads(comes_back(network))
    assert list(again.outputs) == ["second", "first", "output"]
    assert list(again.heads) == ["early"]
    assert again.outputs["second"].shape == (5, 4, 4)


def test_an_input_keeps_its_name() -> None:
    build = NetworkBuilder("named")
    text = comes_back(build.finish(build.add(make("relu"), build.input((3, 8, 8), "data_0"))))
    assert "data_0: input(3x8x8)" in text


# --- Names -------------------------------------------------------------------------------------------


@given(st.text(max_size=80))
@example("3x3")
@example("for")
@example("__")
@example("ÄÖ")
@example("x" * 500)
def test_names_are_legal(text: str) -> None:
    name = legal(text, "x")
    assert name.isascii()
    assert name.isidentifier()
    assert len(name) <= 31


HOSTILE = [
    "0",
    "conv",
    "for",
    "net",
    "max",
    "x" * 10_000_000,
    "a\nb",
    "\x1b[2J",
    "# }",
    '"',
    "/" * 100,
    "é",
    "input",
]


@pytest.mark.parametrize("name", HOSTILE, ids=[ascii(name[:9]) for name in HOSTILE])
def test_hostile_names(name: str) -> None:
    """A name of a file may be anything: it makes neither another text nor a slow one."""
    build = NetworkBuilder(name)
    x = build.input((4, 6, 6), name)
    for number in range(4):
        inner = build.add(make("conv", 4, 3, padding=1), x, name=f"{name}/{number}")
        x = build.add(make("add"), inner, x, name=f"{name}/{number}/{name[:50]}")
    start = time.process_time()
    text = comes_back(build.finish(x, outputs={name[:100]: inner}))
    assert time.process_time() - start < 2
    assert len(text) < 3_000
    assert all(line.isprintable() for line in text.splitlines())


@pytest.mark.parametrize("word", sorted(LANGUAGE))
def test_words_of_the_language_as_names(word: str) -> None:
    build = NetworkBuilder(word)
    x = build.input((4, 6, 6), word)
    for number in range(2):
        group = build.enter(f"{word}{number}", word)
        x = build.add(make("add"), build.add(make("conv", 4, 3 - 2 * number, padding=1 - number), x), x)
        y = build.add(make("relu"), x)
        x = build.add(make("add"), x, build.add(make("tanh"), y), y)
        build.leave(group, x)
    comes_back(build.finish(x, outputs={word: y}))


# --- Size --------------------------------------------------------------------------------------------


def chain(length: int) -> Network:
    build = NetworkBuilder("chain")
    x = build.input((4, 6, 6))
    draw = random.Random(1)
    for _ in range(length):
        x = build.add(make("conv", draw.randint(1, 50), 1) if draw.random() < 0.5 else make("relu"), x)
    return build.finish(x)


def nested(length: int) -> Network:
    """Every tensor of the first third is read again in the last one, the last first."""
    build = NetworkBuilder("nested")
    x = build.input((4, 6, 6))
    kept = []
    for _ in range(length // 3):
        kept.append(x)
        x = build.add(make("conv", 4, 1), x)
    while kept:
        x = build.add(make("add"), build.add(make("relu"), x), kept.pop())
    return build.finish(x)


def tangled(length: int) -> Network:
    build = NetworkBuilder("tangled")
    tensors = [build.input((4, 6, 6))]
    draw = random.Random(1)
    for _ in range(length):
        join = draw.random() < 0.4
        inputs = (tensors[-1], draw.choice(tensors)) if join else (tensors[-1],)
        tensors.append(build.add(make("add") if join else make("conv", 4, 1), *inputs))
    return build.finish(tensors[-1])


@pytest.mark.parametrize("make_network", [chain, nested, tangled])
def test_large_networks_take_seconds(make_network: Any) -> None:
    """Twice the layers take about twice the time, and no recursion is too deep."""
    network = make_network(10_000)
    start = time.process_time()
    conversion = convert(network)
    assert time.process_time() - start < 20
    assert not conversion.problem


def test_what_no_text_can_hold_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The language takes 200,000 steps: a longer list of layers is refused, with what to do instead."""
    monkeypatch.setattr("archcalc.language.elaborate.MAX_STEPS", 300)
    monkeypatch.setattr("archcalc.language.run_state.MAX_STEPS", 300)
    network = tangled(400)
    with pytest.raises(ArchError, match=r"cannot be written as a text: .* steps"):
        convert(network)


# --- Pieces ------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(0, 100), max_size=3), max_size=30))
def test_dominators(drawn: list[list[int]]) -> None:
    """Against the definition: without its dominator, a node cannot be reached from the root."""
    sources = [[number % (place + 1) for number in numbers] for place, numbers in enumerate(drawn)]
    found = tree(sources)

    def reached(without: int) -> set[int]:
        known = {0} - {without}
        for node, before in enumerate(sources, 1):
            if node != without and any(source in known for source in before or [0]):
                known.add(node)
        return known

    for node in range(1, len(found)):
        others = [other for other in range(1, node) if node not in reached(other)]
        assert found[node] == max(others, default=0)


@given(
    st.recursive(
        st.integers(0, 10**9) | st.fractions(),
        lambda inner: st.lists(inner, min_size=1, max_size=12).map(tuple),
        max_leaves=20,
    )
)
def test_values_are_read_as_they_are_written(value: Any) -> None:
    value = value.numerator if getattr(value, "denominator", 0) == 1 else value
    assert constant(value_text(value), "a test") == value or "/" in value_text(value)


def test_short_values_are_written_as_elsewhere() -> None:
    for value in (3, True, "same", (1, 7), ((0, 1), (2, 0)), (5,)):
        assert value_text(value) == format_argument(value)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ("conv(4, 3) -> relu -> conv(4, 1)", "4 nodes instead of 3"),
        ("conv(4, 3) -> conv(2, 1)", "other layers or other connections"),
        ("conv(4, 3) -> conv(4, 1, bias=false)", "other layers or other connections"),
        ("conv(4, 3) -> conv(4, 1)", ""),
    ],
)
def test_what_differs_is_found(other: str, words: str) -> None:
    one = archcalc.loads("net a {\n input(3x8x8)\n conv(4, 3) -> conv(4, 1)\n}")
    two = archcalc.loads(f"net b {{\n input(3x8x8)\n {other}\n}}")
    assert difference(one, two).layers == words
    assert bool(difference(one, two)) == bool(words)


def test_shared_parameters_are_a_difference() -> None:
    apart = archcalc.loads("net a {\n input(4x8x8)\n conv(4, 1) -> conv(4, 1)\n}")
    shared = archcalc.loads("shared block s { conv(4, 1) }\nnet a {\n input(4x8x8)\n s -> s\n}")
    assert difference(apart, shared).layers == "other layers or other connections"


def test_what_the_language_cannot_say_is_said_in_words() -> None:
    """A convolution of 3*3*3*8 weights that a file does not train: 216 buffers, which no text can declare."""
    build = NetworkBuilder("fixed")
    blur = build.add(make("conv", 8, 3, bias=False), build.input((3, 9, 9)))
    build.add(make("relu"), blur)
    weights = tuple(replace(weight, role="buffer") for weight in blur.facts.weights)
    blur.facts = replace(blur.facts, weights=weights)
    conversion = convert(build.finish(build.nodes[-1]))
    words = "The text has 216 params instead of 0; 216 trainable_params instead of 0;"
    assert conversion.problem.startswith(words)
    assert f"# {words}" in conversion.text
    assert len(archcalc.loads(conversion.text).nodes) == 3


# --- The command -------------------------------------------------------------------------------------


def test_the_command_prints_a_text(run: Any, tmp_path: Path) -> None:
    result = run("convert", "squeezenet1_0")
    assert result.status == 0
    assert result.out.startswith("# Made from `squeezenet1_0` by `archcalc convert`.\n")
    (tmp_path / "copy.arch").write_text(result.out)
    assert run("compare", "squeezenet1_0", "copy.arch").status == 0


def test_the_command_writes_a_file_and_replaces_none(run: Any, tmp_path: Path) -> None:
    assert run("convert", "mobilenet_v1?width=0.5", "-o", "half.arch") == (0, "", "")
    text = (tmp_path / "half.arch").read_text()
    assert "Made from `mobilenet_v1?width=0.5`" in text
    refused = run("convert", "lenet5", "-o", "half.arch")
    assert refused.status == 2
    assert "`half.arch` exists already" in refused.err
    assert "--force" in refused.err
    assert (tmp_path / "half.arch").read_text() == text
    assert run("convert", "lenet5", "-o", "half.arch", "--force").status == 0
    assert "net lenet5 {" in (tmp_path / "half.arch").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["half.arch"]


def test_the_command_takes_settings(run: Any) -> None:
    result = run("convert", "lenet5", "--set", "classes=7", "--input", "1x36x36")
    assert "input(1x36x36)" in result.out
    assert "fc(7)" in result.out


def test_notes_of_a_network_are_comments(run: Any, tmp_path: Path) -> None:
    (tmp_path / "n.arch").write_text("net n {\n  input(3x8x8)\n  conv(3, 3, 3)\n}\n")
    result = run("convert", "n.arch")
    assert "# Note: `conv1` has as many output as input channels, 3" in result.out


def test_a_text_that_is_wrong_is_not_written(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """If blocks and loops came out wrong, the list of layers is written, and both places say so."""
    import archcalc.convert as converting

    right = converting.with_inlined

    def wrong(script: Any) -> Any:
        found = right(script)
        found.lines.append(found.lines[-1])
        return found

    monkeypatch.setattr(converting, "with_inlined", wrong)
    result = run("convert", "lenet5")
    assert result.status == 0
    assert "note: This is the list of the layers, because a text with blocks has" in result.err
    assert "# This is the list of the layers, because a text with blocks has" in result.out
    network = archcalc.loads(result.out)
    assert archcalc.analyze(network).totals.params == archcalc.analyze("lenet5").totals.params


PAGE = Path(__file__).parent.parent / "docs" / "convert.md"


def test_the_example_of_the_page(run: Any, overwrite: bool) -> None:
    page = PAGE.read_text()
    before, command, rest = page.partition("$ archcalc convert squeezenet1_0\n")
    text = before + command + run("convert", "squeezenet1_0").out + rest[rest.index("```") :]
    if overwrite:
        PAGE.write_text(text)
    assert text == PAGE.read_text()
