"""A step of training where layers share arrays or use those of others: gradients by central differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from samples import make

import archcalc
from archcalc import NetworkBuilder
from archcalc.executor.inputs import drawn_inputs
from archcalc.executor.training import TrainingRun, train_step
from archcalc.executor.weights import Weights, random_weights
from archcalc.freezing import with_frozen
from archcalc.gradients import Gradients
from archcalc.memory.optimizers import OPTIMIZERS
from archcalc.memory.precision import precision
from archcalc.memory.saved import Saved
from archcalc.memory.step import training_step
from archcalc.network import Network

STEP = 1e-5
BATCH = 3

TWINS = """
shared block tower { conv(4, 3) -> relu -> flatten -> fc(5) }
net twins {
  left: input(2x5x6)
  right: input(2x5x6)
  add(left -> tower, right -> tower) -> relu -> fc(3)
}
"""
AGAIN = """
shared block unit { conv(4, 3, padding=1, bias=false, weight="weight_norm") -> bn -> relu }
net again {
  input(4x5x6) -> unit -> unit
  add(identity, unit) -> conv(2, 1)
}
"""
COMPUTED = """
shared block unit {
  conv(4, 3, padding=1, weight="scaled_standardized") -> relu
  depthwise(3, padding=1, weight="standardized")
}
net computed { input(4x5x6) -> unit -> unit -> flatten -> fc(3, weight="spectral_norm") }
"""
AUTOENCODER = """
net autoencoder {
  input(2x6x8)
  enc: conv(5, 3x2, stride=2, padding=1)
  relu
  dec: conv_transpose(2, 3x2, stride=2, padding=1, weight=enc)
}
"""
TRANSPOSED = """
net transposed {
  input(7)
  enc: fc(4)
  relu
  code: fc(3)
  relu -> fc(4, weight=code) -> relu -> fc(7, weight=enc)
}
"""
SQUARE = """
net squares {
  input(5)
  first: fc(5)
  relu -> fc(5, weight=first) -> relu -> fc(5, weight=first)
}
"""
TIED_IN_SHARED = """
shared block unit {
  enc: conv(3, 3, padding=1)
  relu
  conv_transpose(4, 3, padding=1, weight=enc)
}
net tied_in_shared { input(4x5x6) -> unit -> relu -> unit }
"""
OTHER_KINDS = """
net other_kinds {
  input(4x3x3)
  one: pointwise(6)
  relu -> conv(4, 1, weight=one) -> conv(6, 1, weight=one) -> depthwise(2, multiplier=1, weight=one)
}
"""
FIXED = """
net fixed {
  input(3x5x5)
  first: conv(3, 3, padding=1, weight="fixed")
  relu -> conv(3, 3, weight=first)
}
"""


def from_program() -> Network:
    """Weights and biases that three layers use, one of them on two inputs."""
    build = NetworkBuilder("program")
    x = build.input((3, 4, 5))
    one = build.add(make("conv", 3, 3, padding=1), x, name="one")
    both = {"weight": (one, "weight"), "bias": (one, "bias")}
    two = build.add(make("conv", 3, 3, padding=1), build.add(make("relu"), one), tied=both)
    three = build.add(make("conv", 3, 3, padding="same"), two, tied={"weight": (two, "weight")})
    norm = build.add(make("bn"), three, name="norm")
    again = build.add(make("bn"), two, tied={"weight": (norm, "bias"), "bias": (three, "bias")})
    return build.finish(build.add(make("add"), norm, again))


def loads(text: str) -> Callable[[], Network]:
    return lambda: archcalc.loads(text)


NETWORKS: dict[str, Callable[[], Network]] = {
    "twins": loads(TWINS),
    "again": loads(AGAIN),
    "computed": loads(COMPUTED),
    "autoencoder": loads(AUTOENCODER),
    "transposed": loads(TRANSPOSED),
    "square": loads(SQUARE),
    "tied in shared": loads(TIED_IN_SHARED),
    "other kinds": loads(OTHER_KINDS),
    "fixed": loads(FIXED),
    "program": from_program,
    "owner frozen": lambda: with_frozen(archcalc.loads(AUTOENCODER), ["enc"]),
    "user frozen": lambda: with_frozen(archcalc.loads(AUTOENCODER), ["dec"]),
    "shared and frozen": lambda: with_frozen(archcalc.loads(AGAIN), ["unit2"]),
}


class Trained:
    """A network on given inputs and arrays, with its result weighed by random numbers as the loss."""

    def __init__(self, network: Network) -> None:
        self.network = network
        random = np.random.default_rng(5)
        self.inputs = drawn_inputs(network, BATCH, 1, np.float64)
        self.weights = random_weights(network, 2, np.float64)
        for arrays in self.weights.values():
            for name, array in arrays.items():
                if name not in ("u", "v", "running_mean", "running_var"):
                    array += 0.3 * random.standard_normal(array.shape)
        self.node = network.outputs["output"]
        shape = (BATCH, *self.node.shape[1:], self.node.shape[0])
        self.of_result = random.standard_normal(shape)

    def step(self, weights: Weights) -> TrainingRun:
        inputs = {name: x.copy() for name, x in self.inputs.items()}
        copies = {node: {name: a.copy() for name, a in arrays.items()} for node, arrays in weights.items()}
        gradients = {self.node.index: self.of_result}
        return train_step(self.network, inputs, copies, batch=BATCH, result_gradients=gradients)

    def slope(self, node: str, name: str, direction: np.ndarray) -> float:
        losses = []
        for sign in (1, -1):
            weights = {key: dict(arrays) for key, arrays in self.weights.items()}
            weights[node][name] = weights[node][name] + sign * STEP * direction
            losses.append((self.step(weights).outputs[self.node.index] * self.of_result).sum())
        return float(losses[0] - losses[1]) / (2 * STEP)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients(name: str) -> None:
    network = NETWORKS[name]()
    trained = Trained(network)
    found = trained.step(trained.weights).gradients
    expected = {
        (node.index, weight.name)
        for node in network.nodes
        for weight in node.own_weights
        if weight.role != "buffer" and not weight.frozen
    }
    assert found.keys() == expected
    random = np.random.default_rng(9)
    for (index, array), gradient in found.items():
        node = network.nodes[index]
        assert gradient.shape == trained.weights[node.name][array].shape
        for _ in range(3):
            direction = random.standard_normal(gradient.shape)
            slope = trained.slope(node.name, array, direction)
            scale = float(np.abs(gradient * direction).sum()) + abs(slope) + 1e-3
            assert abs(float((gradient * direction).sum()) - slope) <= 1e-6 * scale, (node, array)


@pytest.mark.parametrize("name", NETWORKS)
def test_memory_is_as_predicted(name: str) -> None:
    network = NETWORKS[name]()
    gradients = Gradients(network)
    saved = Saved(gradients)
    trained = Trained(network)
    step = training_step(gradients, saved, precision("float64"), OPTIMIZERS["sgd"])
    assert trained.step(trained.weights).alive == step.bytes_alive(BATCH)


def test_a_layer_is_frozen_where_its_owner_is() -> None:
    """Without heads, the node that owns the array is not in the table; what shares it stays frozen."""
    text = """
    shared block p { pointwise(8, bias=false) }
    net one {
      x: input(4x5x6)
      aux early = p
      x -> p -> relu
    }
    """
    frozen = with_frozen(archcalc.loads(text), ["p1/*"])
    for heads in (True, False):
        totals = archcalc.analyze(frozen, heads=heads).totals
        assert (totals.params, totals.trainable_params) == (32, 0)
    other = with_frozen(archcalc.loads(text), ["p2/*"])  # its owner is trained, and so is the array
    for heads in (True, False):
        totals = archcalc.analyze(other, heads=heads).totals
        assert (totals.params, totals.trainable_params) == (32, 32)
