"""Normalizations, and the per-channel scale of ConvNeXt."""

from fractions import Fraction
from typing import Annotated

from archcalc.layers.arguments import Count, Eps, Flag, LayerError, Real, check_groups, choice
from archcalc.layers.backward import KEPT_INPUT, Backward, Kept, Needs
from archcalc.layers.base import Layer, layer
from archcalc.layers.channels import all_of, grouped, widened
from archcalc.layers.statistics import backward_of_channels, backward_of_groups, backward_of_values
from archcalc.layers.terms import (
    Facts,
    Operations,
    Reach,
    Weight,
    Windows,
    labelled,
    per_value,
    statistics_of,
    term,
    values_of,
)
from archcalc.shape import Shape


class Normalisation(Layer, frozen=True):
    """The base class of normalizations. They keep the shape."""

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return channels


def _scale_and_shift(shape: Shape, scale: bool = True, bias: bool = True) -> tuple[Weight, ...]:
    channels = (("C", shape[0]),)
    return tuple(Weight(name, channels, "norm") for name, has in (("weight", scale), ("bias", bias)) if has)


def _per_channel(shape: Shape, scale: bool, bias: bool) -> Operations:
    """Statistics of each channel, and a scale and a shift per value if the layer has them."""
    scaled = per_value(shape, mul=int(scale), add=int(bias)) if scale or bias else ()
    return *statistics_of(values_of(shape), term(("C", shape[0]))), *scaled


@layer("bn")
class BatchNorm(Normalisation, frozen=True):
    """Batch normalization, as `torch.nn.BatchNorm2d` (Ioffe & Szegedy 2015, Algorithm 1).

    Gamma and beta are parameters. The running mean and variance are buffers. At inference, a value takes one
    multiplication and one addition. Without running statistics, the layer computes the statistics of its
    input, which for one sample is an instance normalization. `scale=false` leaves out gamma, and `bias=false`
    leaves out beta, as in Keras.

    Source: Ioffe & Szegedy 2015, Batch Normalization, arXiv:1502.03167, Algorithm 1.

    Example: input(64x56x56) -> bn

    >>> [(w.role, w.term.value) for w in BatchNorm().weights((64, 56, 56))]
    [('norm', 64), ('norm', 64), ('buffer', 64), ('buffer', 64)]
    """

    eps: Eps = Fraction(1, 100_000)
    momentum: Real = Fraction(1, 10)
    affine: Flag = True
    track_running_stats: Flag = True
    scale: Flag = True
    bias: Flag = True

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        channels = (("C", inputs[0][0]),)
        trained = _scale_and_shift(inputs[0], self.scale, self.bias) if self.affine else ()
        if not self.track_running_stats:
            return trained
        return (
            *trained,
            Weight("running_mean", channels, "buffer"),
            Weight("running_var", channels, "buffer"),
        )

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        if self.track_running_stats:
            return per_value(output, mul=1, add=1)
        return _per_channel(output, self.affine and self.scale, self.affine and self.bias)

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.SAME if self.track_running_stats else Reach.WHOLE

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """The backward pass in training, with the statistics of the batch."""
        return backward_of_channels(facts, needs, self.affine and self.scale, per_batch=True)


@layer("lrn")
class LocalResponseNorm(Normalisation, frozen=True):
    """Local response normalization across channels, as `torch.nn.LocalResponseNorm`.

    A value takes a square, `size - 1` additions, a scaling, an addition of `k`, a power, and a division
    (Krizhevsky et al. 2012, Section 3.3). The channels are padded with zeros at both ends, as
    in PyTorch and Caffe. The zeros are added like values.

    Source: Krizhevsky et al. 2012, ImageNet Classification with Deep Convolutional Neural Networks, Section
    3.3.

    Example: input(96x55x55) -> lrn(5)
    """

    size: Count
    alpha: Real = Fraction(1, 10_000)
    beta: Real = Fraction(3, 4)
    k: Real = 1

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return per_value(output, mul=2, add=self.size, special=1, div=1)

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return widened(channels, facts.output[0], self.size // 2, (self.size - 1) // 2)

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.SAME

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """For `y = x / u^beta`, with `u = k + alpha/size · sum of x²`.

        The gradient of an input is `g / u^beta - 2 alpha/size beta x · sum of (g x / u^(beta + 1))`, summed
        over the outputs that read it. It takes a power, four products, a quotient, `size - 1` additions, and
        a difference. If no squares are added, `u^beta` is one constant.
        """
        if not self.alpha or not self.beta:
            return Backward(operations=per_value(facts.output, mul=1))
        kept = (KEPT_INPUT, Kept("scaled sums", values=values_of(facts.output)))
        return Backward(kept, per_value(facts.output, special=1, mul=4, div=1, add=self.size))


def read_normalised(value: object) -> str:
    """`"all"` or `"channels"`."""
    if value in ("all", "channels"):
        return str(value)
    if isinstance(value, int | tuple | list):
        raise LayerError(
            'needs "all" or "channels", not a shape',
            help="the input shape is known: write `layer_norm`, "
            'or `layer_norm("channels")` for each place separately',
        )
    return choice("all", "channels")(value)  # type: ignore[no-any-return]


@layer("layer_norm")
class LayerNorm(Normalisation, frozen=True):
    """Layer normalization (Ba et al. 2016, Section 3).

    By default it normalizes over all axes, with a scale and a shift for every value, as `torch.nn.LayerNorm`
    over the whole shape. With `dim="channels"` it normalizes over the channels at each place, with a scale
    and a shift per channel, as in ConvNeXt (Liu et al. 2022).

    Source: Ba et al. 2016, Layer Normalization, arXiv:1607.06450, Section 3.

    Example: input(96x56x56) -> layer_norm("channels")
    """

    dim: Annotated[str, read_normalised] = "all"
    eps: Eps = Fraction(1, 100_000)
    elementwise_affine: Flag = True
    bias: Flag = True

    def _scaled(self, shape: Shape) -> Shape:
        return shape if self.dim == "all" else shape[:1]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        if not self.elementwise_affine:
            return ()
        factors = tuple(factor for group in values_of(self._scaled(inputs[0])).groups for factor in group)
        weight = Weight("weight", factors, "norm")
        return (weight, Weight("bias", factors, "norm")) if self.bias else (weight,)

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        groups = term(("groups", self._groups(output)))
        affine = per_value(output, mul=1, add=int(self.bias)) if self.elementwise_affine else ()
        return *statistics_of(values_of(output), groups), *affine

    def _groups(self, shape: Shape) -> int:
        """The number of means and variances."""
        return 1 if self.dim == "all" else values_of(shape).value // shape[0]

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.SAME if self.dim == "channels" else Reach.WHOLE

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return all_of(facts.output[0])

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return backward_of_values(facts, needs, self._groups(facts.output), self.elementwise_affine)


@layer("group_norm")
class GroupNorm(Normalisation, frozen=True):
    """Group normalization, as `torch.nn.GroupNorm` (Wu & He 2018).

    Source: Wu & He 2018, Group Normalization, arXiv:1803.08494.

    Example: input(64x56x56) -> group_norm(32)
    """

    num_groups: Count
    eps: Eps = Fraction(1, 100_000)
    affine: Flag = True

    def output_shape(self, *inputs: Shape) -> Shape:
        check_groups(self.kind, self.num_groups, inputs[0][0], "num_groups")
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return _scale_and_shift(inputs[0]) if self.affine else ()

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        affine = per_value(output, mul=1, add=1) if self.affine else ()
        return *statistics_of(values_of(output), term(("groups", self.num_groups))), *affine

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.WHOLE

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return grouped(channels, facts.output[0], self.num_groups, facts.output[0])

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return backward_of_groups(facts, needs, self.num_groups, self.affine)


@layer("instance_norm")
class InstanceNorm(Normalisation, frozen=True):
    """Instance normalization, as `torch.nn.InstanceNorm2d` (Ulyanov et al. 2016).

    Source: Ulyanov et al. 2016, Instance Normalization, arXiv:1607.08022.

    Example: input(64x56x56) -> instance_norm
    """

    eps: Eps = Fraction(1, 100_000)
    affine: Flag = False

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return _scale_and_shift(inputs[0]) if self.affine else ()

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return _per_channel(output, self.affine, self.affine)

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.WHOLE

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return backward_of_channels(facts, needs, self.affine, per_batch=False)


@layer("grn")
class GlobalResponseNorm(Normalisation, frozen=True):
    """Global response normalization (Woo et al. 2023, Section 3, Algorithm 1).

    Divides the L2 norm of each map by the mean of the norms, which takes a square and an addition per value
    and a root per channel. Then it computes `gamma * (x * n) + beta + x`, with two multiplications and two
    additions per value.

    Source: Woo et al. 2023, ConvNeXt V2, arXiv:2301.00808, Section 3, Algorithm 1.

    Example: input(384x56x56) -> grn
    """

    eps: Eps = Fraction(1, 1_000_000)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return _scale_and_shift(inputs[0])

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        channels = term(("C", output[0]))
        return (
            *per_value(output, mul=3, add=3),
            ("sqrt", channels),
            ("add", term(("2", 2)) * channels),
            ("div", channels),
        )

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.WHOLE

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return all_of(facts.output[0])

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """For `y = gamma x r + beta + x`, with `r = norm / d` and `d = mean of the norms + eps`.

        With `t` the sum of `g x` over each channel, the gradient of gamma is `t r`, and the gradient of a
        norm is `n' = (gamma t - mean(gamma t r)) / d`. The gradient of an input is
        `(gamma r + 1) g + x · (n' / norm)`.
        """
        channels, one = term(("C", facts.output[0])), term(("1", 1))
        operations: Operations = ()
        if "bias" in needs.trained:
            operations += labelled("gradient of beta", per_value(facts.output, add=1))
        if not needs.any_input and "weight" not in needs.trained:
            return Backward(operations=operations)
        relative: Operations = (("add", channels), ("div", one), ("add", one), ("div", channels))
        operations += labelled("relative norms again", relative)
        operations += labelled("sums of the gradients times the input", per_value(facts.output, mul=1, add=1))
        if "weight" in needs.trained:
            operations += labelled("gradient of gamma", (("mul", channels),))
        if needs.any_input:
            of_norms: Operations = (
                ("mul", term(("2", 2)) * channels),
                ("add", term(("2", 2)) * channels),
                ("div", term(("2", 2)) * channels),
                ("div", one),
                ("compare", channels),  # a norm of 0 gets no gradient
            )
            operations += labelled("gradients of the norms", of_norms)
            of_input: Operations = (
                *per_value(facts.output, mul=2, add=1),
                ("mul", channels),
                ("add", channels),
            )
            operations += labelled("gradient of the input", of_input)
        return Backward((KEPT_INPUT, Kept("norms", values=channels)), operations)


@layer("layer_scale")
class LayerScale(Normalisation, frozen=True):
    """A trained factor per channel (Touvron et al. 2021, CaiT, Section 2). `bias` adds a shift per channel.

    Source: Touvron et al. 2021, Going deeper with Image Transformers, arXiv:2103.17239, Section 2.

    Example: input(96x56x56) -> layer_scale
    """

    init_value: Real = Fraction(1, 1_000_000)
    bias: Flag = False

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        channels = (("C", inputs[0][0]),)
        weight = Weight("weight", channels)
        return (weight, Weight("bias", channels, "bias")) if self.bias else (weight,)

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return per_value(output, mul=1, add=int(self.bias))

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.SAME

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        operations: Operations = ()
        if needs.any_input:
            operations += labelled("gradient of the input", per_value(facts.output, mul=1))
        if "weight" in needs.trained:
            operations += labelled("gradient of the weights", per_value(facts.output, mul=1, add=1))
        if "bias" in needs.trained:
            operations += labelled("gradient of the bias", per_value(facts.output, add=1))
        return Backward((KEPT_INPUT,) if "weight" in needs.trained else (), operations)
