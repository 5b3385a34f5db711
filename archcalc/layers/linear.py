"""Layers over vectors: fully connected, and the radial basis functions of LeNet-5."""

from archcalc.layers.arguments import Count, Flag, LayerError
from archcalc.layers.backward import KEPT_INPUT, Backward, Needs, backward_of_products
from archcalc.layers.base import Layer, layer
from archcalc.layers.computed import WeightWay
from archcalc.layers.terms import Facts, Operations, Reach, Weight, Windows, term
from archcalc.shape import Shape, format_shape


def _features(kind: str, shape: Shape) -> int:
    if len(shape) == 1:
        return shape[0]
    shown = format_shape(shape, cross="x")
    help = f"write `flatten -> {kind}(...)`"
    if kind == "fc":  # PyTorch's `Linear` also reads the last axis of any tensor, at each place alone
        help = _help_for_places(shape)
    named = "sequence" if len(shape) == 2 else "map"
    raise LayerError(f"`{kind}` needs a vector, got a {named} of {shown}", label=shown, help=help)


def _help_for_places(shape: Shape) -> str:
    """Help for a linear layer at each place of a map, for both positions of the channels."""
    axes = len(shape) - 1
    if axes == 1:
        places = shape[1]
        return (
            f"to apply a linear layer at each of the {places} places, write `pointwise(...)`; "
            f"if the channels are the {places}, write `transpose -> pointwise(...)`; "
            "to apply it to all values as one vector, write `flatten -> fc(...)`"
        )
    last_first = [axes, *range(axes)]
    return (
        "write `flatten -> fc(...)` for all values as one vector; for each place separately, write "
        f"`pointwise(...)`, or `permute({last_first}) -> pointwise(...)` if the channels are last"
    )


@layer("fc")
class FullyConnected(Layer, frozen=True):
    """Fully connected layer, as `torch.nn.Linear`.

    Source: the documentation of `torch.nn.Linear`.

    Example: input(4096) -> fc(1000)

    >>> FullyConnected(10).output_shape((84,))
    (10,)
    """

    out_features: Count
    bias: Flag = True
    weight: WeightWay = "own"

    def output_shape(self, *inputs: Shape) -> Shape:
        _features(self.kind, inputs[0])
        return (self.out_features,)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        weight = Weight("weight", (("N_in", inputs[0][0]), ("N_out", self.out_features)))
        if not self.bias:
            return (weight,)
        return weight, Weight("bias", (("N_out", self.out_features),), "bias")

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        macs = term(("N_in", inputs[0][0]), ("N_out", self.out_features))
        if not self.bias:
            return (("macs", macs),)
        return ("macs", macs), ("bias", term(("N_out", self.out_features)))

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.WHOLE

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return backward_of_products(facts, needs)


@layer("rbf")
class RadialBasis(Layer, frozen=True):
    """Squared distances to fixed prototypes (LeCun et al. 1998, Section II.B, Equation 7).

    The prototypes are set by hand and not trained, so they are buffers. A distance takes a subtraction, a
    multiplication, and an addition per feature. None of them counts as a MAC, because none multiplies by a
    weight.

    Source: LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition, Section II.B, Equation
    7.

    Example: input(84) -> rbf(10)

    >>> RadialBasis(10).output_shape((84,))
    (10,)
    """

    out_features: Count

    def output_shape(self, *inputs: Shape) -> Shape:
        _features(self.kind, inputs[0])
        return (self.out_features,)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return (Weight("prototypes", (("N_in", inputs[0][0]), ("N_out", self.out_features)), "buffer"),)

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        pairs = term(("N_in", inputs[0][0]), ("N_out", self.out_features))
        return ("add", term(("2", 2)) * pairs), ("mul", pairs)

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.WHOLE

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """`sum_j 2 g_j (x_i - w_ij)` for the input. The prototypes are not trained."""
        inputs, outputs = ("N_in", facts.inputs[0][0]), ("N_out", self.out_features)
        sums = term(inputs, ("(N_out-1)", self.out_features - 1))
        operations: Operations = (
            ("mul", term(outputs).of("gradients twice")),
            ("add", term(inputs, outputs).of("differences")),
            ("mul", term(inputs, outputs).of("gradients times differences")),
            ("add", sums.of("sums over prototypes")),
        )
        return Backward((KEPT_INPUT,), operations) if needs.any_input else Backward()
