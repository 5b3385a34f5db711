"""The base class of layers from one value to one value: activations, and functions such as `exp`."""

from typing import ClassVar

from archcalc.layers.backward import Backward, Kept, Needs
from archcalc.layers.base import Layer
from archcalc.layers.terms import Facts, Operations, Reach, Weight, Windows, per_value
from archcalc.shape import Shape


class Elementwise(Layer, frozen=True):
    """A layer that changes each value separately. It has no weights. `costs` are the operations per value.

    `costs_back` are the operations of the backward pass, with the formula next to it: `g` is the gradient of
    the output `y`, and `x` is the input. `keeps` is the tensor that this formula reads.
    """

    costs: ClassVar[dict[str, int]]
    costs_back: ClassVar[dict[str, int]]
    keeps: ClassVar[Kept]

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return per_value(output, **self.costs)

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.SAME

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return channels

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return Backward((self.keeps,), per_value(facts.output, **self.costs_back))
