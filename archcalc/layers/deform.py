"""Deformable convolution: another tensor says where each tap of the kernel reads."""

import math

from archcalc.layers.arguments import (
    Count,
    Flag,
    LayerError,
    OptionalTensor,
    Padding,
    PerAxis,
    Tensor,
    check_groups,
)
from archcalc.layers.backward import Backward, Kept, Needs, backward_of_products, kept_input
from archcalc.layers.base import layer
from archcalc.layers.channels import divided, grouped
from archcalc.layers.conv import SlidingKernel
from archcalc.layers.terms import Facts, Operations, Reach, Term, Windows, places_of, term
from archcalc.shape import Shape, format_shape


@layer("deform_conv")
class DeformConv(SlidingKernel, frozen=True):
    """Deformable convolution over a map of two axes, as `torchvision.ops.DeformConv2d`.

    `offset` moves each tap of the kernel by two values: down, then right. It therefore has `2*k_h*k_w`
    channels, or that many for each group of input channels that move together. `mask`, from version 2,
    multiplies each value that is read by a factor; it has one channel per tap. Both tensors have the places
    of the output. The map is surrounded by zeros.

    MACs are those of `conv`. Each value is interpolated from four values of the map, which takes 4
    multiplications and 3 additions for each input channel, tap, and place. `mask` takes one more
    multiplication. The computation of positions and weights does not count, because all channels of a group
    share it. A tap can be moved anywhere, so the receptive field is the whole input.

    Source: Dai et al. 2017, Deformable Convolutional Networks, arXiv:1703.06211, Section 2.1; Zhu et al.
    2018, Deformable ConvNets v2, arXiv:1811.11168, Section 3.2.

    Example:
    input(64x32x32)
    offset = conv(18, 3, padding=1)
    mask = conv(9, 3, padding=1) -> sigmoid
    deform_conv(64, 3, offset, mask=mask, padding=1)

    >>> from archcalc.layers.arguments import GivenTensor
    >>> layer = DeformConv(64, 3, GivenTensor(), stride=2, padding=1)
    >>> layer.output_shape((64, 32, 32), (18, 16, 16))
    (64, 16, 16)
    """

    out_channels: Count
    kernel_size: PerAxis
    offset: Tensor
    mask: OptionalTensor = None
    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    groups: Count = 1
    bias: Flag = True

    def check(self) -> None:
        check_groups(self.kind, self.groups, self.out_channels)

    def _channels(self, shape: Shape) -> tuple[int, int, int]:
        check_groups(self.kind, self.groups, shape[0])
        return self.out_channels, shape[0] // self.groups, self.groups

    def output_shape(self, *inputs: Shape) -> Shape:
        shape = inputs[0]
        wanted = 2 if self.mask is None else 3
        if len(inputs) != wanted:
            raise LayerError(f"`deform_conv` needs {wanted} tensors, got {len(inputs)}")
        if len(shape) != 3:
            raise LayerError(
                f"`deform_conv` needs a map of two spatial axes, got {format_shape(shape, cross='x')}",
                help="`reshape` it first",
            )
        output = super().output_shape(shape)
        taps = self._taps(shape)
        self._check_tensor("offset", inputs[1], 2 * taps, output)
        groups = inputs[1][0] // (2 * taps)
        if inputs[1][0] % (2 * taps) or shape[0] % groups:
            raise LayerError(
                f"`offset` of `deform_conv` needs {2 * taps} channels, or that many for each group of the "
                f"{shape[0]} input channels, got {inputs[1][0]}",
                argument="offset",
                help=f"compute it with a convolution of {2 * taps} channels",
            )
        if self.mask is not None:
            self._check_tensor("mask", inputs[2], groups * taps, output)
            if inputs[2][0] != groups * taps:
                raise LayerError(
                    f"`mask` of `deform_conv` needs half the channels of `offset`, {groups * taps}, "
                    f"got {inputs[2][0]}",
                    argument="mask",
                )
        return output

    def _check_tensor(self, name: str, shape: Shape, least: int, output: Shape) -> None:
        """Refuse a tensor with too few channels, or with other places than the output."""
        if shape[1:] != output[1:] or shape[0] < least:
            wanted = (max(shape[0], least), *output[1:])
            raise LayerError(
                f"`{name}` of `deform_conv` needs {format_shape(wanted, cross='x')}, got "
                f"{format_shape(shape, cross='x')}",
                argument=name,
                help="compute it from the same map, with the kernel, stride and padding of `deform_conv`",
            )

    def _taps(self, shape: Shape) -> int:
        return math.prod(count for _, count in self._kernel_factors(shape))

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        shape = inputs[0]
        read = self._read(shape, output)
        sampled: Operations = (("mul", term(("4", 4)) * read), ("add", term(("3", 3)) * read))
        masked: Operations = () if self.mask is None else (("mul", read),)
        return (*super().operations(inputs, output), *sampled, *masked)

    def _read(self, shape: Shape, output: Shape) -> Term:
        """The values that are read, each interpolated from four values of the map."""
        return Term(((*self._kernel_factors(shape), ("C_in", shape[0])),)) * places_of(output, "_out")

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """With `r` a value that is read, `m` its mask, and `e` the gradient of `m r` from the weights:

        - the map gets `m e` times each of the four interpolation weights of `r`, added where it was read;
        - the offsets get `m e` times the slope of `r` down and right, from differences of the four values,
          summed over the channels that move together;
        - the masks get `e r`, summed over these channels.

        The gradients of the weights and of the masks need the values that were read, so these are read again.
        """
        masked = self.mask is not None
        of_map, of_offset, of_mask = (*needs.inputs, False)[:3]
        of_weight = "weight" in needs.trained
        read = self._read(facts.inputs[0], facts.output)
        groups = facts.inputs[1][0] // (2 * self._taps(facts.inputs[0]))
        in_groups = ("(C_in-G)", facts.inputs[0][0] - groups)
        sums = Term(((*self._kernel_factors(facts.inputs[0]), in_groups),)) * places_of(facts.output, "_out")
        operations: Operations = backward_of_products(facts, needs).operations
        if of_weight or of_mask:
            again = "values that are read again"
            operations += (("mul", (term(("4", 4)) * read).of(again)),)
            operations += (("add", (term(("3", 3)) * read).of(again)),)
        if of_weight and masked:
            operations += (("mul", read.of("masks once more")),)
        if (of_map or of_offset) and masked:
            operations += (("mul", read.of("gradients times masks")),)
        if of_map:
            label = "gradient of the map"
            operations += (("mul", (term(("4", 4)) * read).of(label)),)
            operations += (("add", (term(("4", 4)) * read).of(label)),)
        if of_offset:
            label = "gradient of the offsets"
            operations += (("mul", (term(("6", 6)) * read).of(label)),)
            operations += (("add", (term(("6", 6)) * read).of(label)),)
            operations += (("add", (term(("2", 2)) * sums).of(label)),)
        if of_mask:
            operations += (
                ("mul", read.of("gradient of the masks")),
                ("add", sums.of("gradient of the masks")),
            )
        kept: tuple[Kept, ...] = ()
        if of_weight or of_offset or of_mask:
            kept += (kept_input(0),)
        if of_weight or needs.any_input:
            kept += (kept_input(1),)
        if masked and (of_weight or of_map or of_offset):
            kept += (kept_input(2),)
        return Backward(kept, operations)

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.WHOLE

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        if index:  # what these channels move or multiply
            count, taps = facts.inputs[index][0], self._taps(facts.inputs[0])
            groups = count // (2 * taps if index == 1 else taps)
            channels = divided(divided(channels, count, groups), groups, facts.inputs[0][0])
        return grouped(channels, facts.inputs[0][0], self.groups, self.out_channels)
