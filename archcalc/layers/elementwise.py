"""What layers of one value in and one value out share: activations, and functions such as `exp`."""

from typing import ClassVar

from archcalc.layers.backward import Backward, Kept, Needs
from archcalc.layers.base import Layer
from archcalc.layers.terms import Facts, Operations, Reach, Weight, Windows, per_value
from archcalc.shape import Shape


class Elementwise(Layer, frozen=True):
    """What they share: shape and place stay, no weights; `costs` are the operations per value.

    `costs_back` are those of the backward pass, whose formula stands beside it: `g` is the gradient of the
    output `y`, `x` the input. `keeps` is the tensor that this formula reads.
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
