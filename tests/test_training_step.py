"""A step of training of whole networks: every byte alive, moment by moment, and the gradients of all arrays.

What is alive is counted on real tensors by `train_step`, and predicted by `training_step`: the curves are
equal. Gradients are held against central differences of the whole network.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import archcalc
from archcalc.diagnostics import ArchError
from archcalc.executor.inputs import drawn_inputs
from archcalc.executor.training import TrainingRun, train_step
from archcalc.executor.weights import Weights, random_weights
from archcalc.freezing import with_frozen
from archcalc.gradients import Gradients
from archcalc.memory.optimizers import OPTIMIZERS
from archcalc.memory.precision import precision
from archcalc.memory.saved import Saved
from archcalc.memory.step import owner_of, training_step
from archcalc.network import Network

DISTANCES = (1e-6, 1e-8)
"""Half the distances of central differences, as a part of the arrays' own size: where a batch norm has a few
values, the loss is too curved for the larger one; the smaller one shows more of the rounding."""

DIRECTIONS = 3
BATCH = 3

GRAPHS = 30
STEPS = 12

LAYERS = """
conv({c}, 3x2, padding=[1, 0])
conv({c}, 3, stride=2x1, padding=1, groups=2, bias=false)
conv({c}, 3, padding=1, weight="weight_norm")
depthwise(3, padding=1)
pointwise({c})
pointwise({c}, bias=false)
conv_transpose({c}, 3, stride=2, padding=1)
local({c}, 2)
bn
bn(affine=false)
relu
relu
tanh
dropout(0.25)
dropout(0)
drop_path(0.5)
lrn(3, alpha=0.5)
layer_norm
layer_norm(dim="channels")
group_norm(2)
instance_norm(affine=true)
grn
layer_scale
scale
shift(per_channel=true)
attention(2)
lstm({c})
gru({c}, bidirectional=true)
rnn({c}, 2, bias=false)
maxpool(3, 2, 1)
maxpool(2, ceil_mode=true)
avgpool(2x3, 1, count_include_pad=false)
adaptive_avgpool(4x3)
adaptive_maxpool(3x4)
subsample(2)
abs -> shift(0.5) -> lppool(2, 2)
upsample(scale_factor=2)
upsample(size=[7, 9], mode="bilinear", align_corners=true)
pad([[1, 0], [2, 1]], mode="reflect")
pad([[0, 1], [1, 0]], value=0.5)
pad(-1)
crop(4)
slice(1, 3)
slice(0, 2, dim="height") -> relu
concat(slice(0, 2), slice(1, channels))
{{ parts = split(channels // 2) concat(parts[1], parts[0]) }}
add(identity, relu)
add(identity, identity)
add(identity, slice(0, 1))
add(identity, parameter([channels, 1] + size[1:]))
add(identity, global_avgpool -> conv(channels, 1))
add(identity, global_maxpool -> flatten -> fc(channels) -> reshape([channels, 1, 1]))
mul(identity, reduce("mean", dim="channels") -> sigmoid)
sub(identity, reduce("mean", dim="width"))
div(identity, abs -> shift(1))
concat(reduce("mean", dim="channels"), reduce("max", dim="channels"))
softmax
log_softmax
glu
gelu
silu
elu
selu
prelu
relu6
leaky_relu(0.1)
hardswish
hardsigmoid
hardtanh
softplus
mish
logsigmoid
softsign
clamp(-1, 2)
square
sin
cos
erf
tanh -> exp
abs -> shift(0.5) -> log
abs -> shift(0.5) -> sqrt
abs -> shift(0.5) -> rsqrt
abs -> shift(0.5) -> pow(1.5)
unfold(2)
flatten -> rbf(5)
deform_conv({c}, 2, pointwise(8) -> slice(0, 8) -> crop([size[0] - 1, size[1] - 1]))
channel_shuffle(2)
pixel_shuffle(2)
pixel_unshuffle(2)
roll(1, dim="height")
permute([0, 2, 1])
flatten -> fc(6)
reshape([channels, size[0] * size[1]])
matmul(transpose, identity)
stack(identity, relu) -> reshape([2 * channels] + size)
{{ pooled: maxpool(2) conv(channels, 3, padding=1) -> maxunpool(pooled) }}
{{ pooled: maxpool(3, 2, 1) pointwise(channels) -> maxunpool(pooled) }}
""".strip().split("\n")


def a_network(seed: int) -> Network:
    """A network of random layers, of those that fit one another, with a loose end at times."""
    chance = random.Random(seed)
    height, width = chance.randint(6, 11), chance.randint(6, 11)
    lines = [f"input({chance.choice([2, 4, 6])}x{height}x{width})"]
    network = None
    for _ in range(STEPS * 3):
        step = chance.choice(LAYERS).format(c=chance.choice([4, 6, 8]))
        for word in (" concat", " conv(channels", " pointwise(channels"):
            step = step.replace(f"){word}", f")\n{word}")
        if chance.random() < 0.1:
            step = f"aux side{len(lines)} = {step} -> flatten -> fc(2)"
        text = "\n ".join(["net graph {", *lines, step]) + "\n}"
        try:
            found = archcalc.loads(text)
        except ArchError:
            continue
        if archcalc.analyze(found).totals.macs > 1_000_000 or max(found.outputs["output"].shape) > 200:
            continue
        network, lines = found, [*lines, step]
        if len(lines) > STEPS:
            break
    assert network is not None
    return network


def some_frozen(network: Network, seed: int) -> Network:
    """The network with about half of its layers with arrays frozen."""
    chance = random.Random(seed)
    own = [node.name for node in network.nodes if node.own_weights]
    return with_frozen(network, [name for name in own if chance.random() < 0.5])


def check_bytes(network: Network, dtype: str, batch: int, heads: bool = False, seed: int = 0) -> None:
    """What is alive at each moment is what was predicted."""
    gradients = Gradients(network, heads)
    saved = Saved(gradients)
    predicted = training_step(gradients, saved, precision(dtype), OPTIMIZERS["sgd"])
    run = train_step(network, batch=batch, seed=seed, dtype=np.dtype(dtype), heads=heads)
    expected = predicted.bytes_alive(batch)
    assert len(run.alive) == len(expected)
    for moment, found, said in zip(predicted.moments, run.alive, expected, strict=True):
        assert found == said, (moment, [str(node.layer) for node in network.nodes])


def check_gradients(network: Network, heads: bool = False, seed: int = 0) -> None:
    """The gradients of all arrays that are trained, along random directions of all of them together."""
    gradients = Gradients(network, heads)
    inputs = drawn_inputs(network, BATCH, seed, "float64")
    weights = random_weights(network, seed, np.float64, heads)
    chance = np.random.default_rng(seed)
    results = {
        node.index: chance.standard_normal((BATCH, *node.shape[1:], node.shape[0]))
        for node in gradients.results
    }

    def step(arrays: Weights) -> TrainingRun:
        how: dict[str, Any] = {"batch": BATCH, "seed": seed, "dtype": np.float64, "heads": heads}
        return train_step(network, inputs, arrays, result_gradients=results, **how)

    def loss(arrays: Weights) -> float:
        outputs = step(arrays).outputs
        return sum(float((outputs[index] * gradient).sum()) for index, gradient in results.items())

    found = step(weights).gradients
    nodes = network.nodes
    trained = {
        (owner.index, name)
        for index, needs in gradients.needs.items()
        for owner, name in (owner_of(nodes[index], array) for array in needs.trained)
    }
    assert found.keys() == trained
    for _ in range(DIRECTIONS if trained else 0):
        directions: dict[tuple[int, str], np.ndarray] = {}
        for index, name in sorted(trained):
            array = weights[nodes[index].name][name]
            size = np.sqrt((array**2).mean()) + 1e-3
            directions[index, name] = size * chance.standard_normal(array.shape)
        along = sum(float((found[key] * direction).sum()) for key, direction in directions.items())
        scale = sum(float(np.abs(found[key] * direction).sum()) for key, direction in directions.items())
        slopes = []
        for by in DISTANCES:
            ends = [loss(_moved(network, weights, directions, sign * by)) for sign in (1, -1)]
            slopes.append((ends[0] - ends[1]) / (2 * by))
            if abs(along - slopes[-1]) <= 1e-5 * (scale + abs(slopes[-1]) + 1e-3):
                break
        else:
            raise AssertionError((along, slopes, [str(node.layer) for node in nodes]))


def _moved(
    network: Network, weights: Weights, directions: Mapping[tuple[int, str], np.ndarray], by: float
) -> Weights:
    moved = {name: dict(arrays) for name, arrays in weights.items()}
    for (index, name), direction in directions.items():
        arrays = moved[network.nodes[index].name]
        arrays[name] = arrays[name] + by * direction
    return moved


NETWORKS: dict[str, tuple[int, ...]] = {
    "lenet5": (1, 32, 32),
    "squeezenet1_1?classes=10": (3, 40, 40),
    "mobilenet_v2_0_35_96?classes=10": (3, 32, 32),
    "mobilenet_v3_small_0_75?classes=10": (3, 32, 32),
    "efficientnet_b0?classes=10": (3, 32, 32),
    "shufflenet_v1_g3_x0_5?classes=10": (3, 32, 32),
    "shufflenet_v2_x0_5?classes=10": (3, 64, 64),
    "densenet_bc100_k12_cifar": (3, 8, 8),
    "resnet20_cifar": (3, 9, 9),
    "convnextv2_atto?classes=10": (3, 32, 32),
    "vit?patch=8&layers=2&d=48&mlp=96&heads=3": (3, 24, 24),
    "swin?c=32&n=[1,2,1,1]&w=2&classes=10": (3, 64, 64),
    "text_bilstm?words=50&length=9&hidden=12": (),
    "nasnet_a?n=1&filters=8&stem_channels=8": (3, 97, 97),
    "edsr_sized?b=2&f=8&residual_scaling=0.1": (3, 8, 8),
    "highway_fc50_10": (),
    "lp_pooling": (),
}
"""Built-in networks, with a small input or few channels or both."""


def built_in(name: str) -> Network:
    return archcalc.load(name, inputs={"input": NETWORKS[name]} if NETWORKS[name] else {})


@pytest.mark.parametrize("name", NETWORKS)
class TestBuiltIn:
    def test_bytes(self, name: str) -> None:
        network = built_in(name)
        frozen = some_frozen(network, 1)
        for dtype in ("float32", "float64"):
            for batch in (1, 3):
                check_bytes(network, dtype, batch, heads=batch == 1)
                check_bytes(frozen, dtype, batch)


SLOW = ("densenet", "nasnet", "convnextv2", "efficientnet", "swin")
"""Networks whose differences take ten seconds each."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.full if n.startswith(SLOW) else ()) for n in NETWORKS],
)
def test_gradients_of_built_in_networks(name: str) -> None:
    network = built_in(name)
    check_gradients(network, heads=True)
    check_gradients(some_frozen(network, 1))


@pytest.mark.parametrize("seed", range(GRAPHS))
class TestRandomGraph:
    def test_bytes(self, seed: int) -> None:
        network = a_network(seed)
        for part in (network, some_frozen(network, seed)):
            for dtype in ("float32", "float64"):
                for batch in (1, 3):
                    check_bytes(part, dtype, batch, seed=seed)

    def test_gradients(self, seed: int) -> None:
        network = a_network(seed)
        check_gradients(network, seed=seed)
        check_gradients(some_frozen(network, seed), seed=seed)
