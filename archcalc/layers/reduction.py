"""Reductions along any axes, such as a mean over the channels."""

from typing import Annotated, Any

from archcalc.layers.arguments import Flag, LayerError, Natural, choice, dim_index, optional, read_dim
from archcalc.layers.backward import KEPT_INPUT, KEPT_OUTPUT, Backward, Needs, mask
from archcalc.layers.base import Layer, layer
from archcalc.layers.channels import all_of
from archcalc.layers.terms import Facts, Operations, Reach, Weight, Windows, per_value, term, values_of
from archcalc.shape import Shape, Window, format_shape


def read_dims_by_name(value: object) -> Any:
    """The name of an axis, or a list of names: `"channels"`, `["height", "width"]`."""
    if not isinstance(value, tuple | list):
        return read_dim(value)
    dims = tuple(read_dim(item) for item in value)
    if not dims or len(set(dims)) < len(dims):
        raise LayerError("needs every axis once" if dims else "needs an axis")
    return dims


@layer("reduce")
class Reduce(Layer, frozen=True):
    """Reduces all values along `dim` to one: their sum, mean, maximum, minimum, variance, or 2-norm.

    `dim` is an axis or a list of axes. By default it is all axes after the channels. With `keepdim` these
    axes get the size 1, otherwise they are removed. If the channels are removed, the next axis becomes the
    channels.

    The variance divides by the number of values minus `correction`, as in `torch.var`. It counts a mean, a
    difference and a multiplication for each value, a sum, and a division. The norm counts a multiplication
    for each value, a sum, and a square root.

    If `keepdim=false` removes some but not all of the axes after the channels, the receptive field is given
    as the whole input.

    Source: the documentation of `torch.sum`, `torch.var` and `torch.linalg.vector_norm`.

    Example:
    input(64x56x56)
    place = concat(reduce("mean", "channels"), reduce("max", "channels"))
    mul(identity, place -> conv(1, 7, padding=3) -> sigmoid)

    >>> Reduce("mean", "channels").output_shape((64, 56, 40))
    (1, 56, 40)
    >>> Reduce("max", ("channels", "width"), keepdim=False).output_shape((64, 56, 40))
    (56,)
    """

    op: Annotated[str, choice("sum", "mean", "max", "min", "var", "norm")]
    dim: Annotated[str | tuple[str, ...] | None, optional(read_dims_by_name)] = None
    keepdim: Flag = True
    correction: Natural = 1

    def check(self) -> None:
        if self.op != "var" and self.correction != 1:
            raise LayerError(
                f'`correction` of `reduce` is for `"var"`, not `"{self.op}"`',
                argument="correction",
                help="leave it out",
            )

    def _axes(self, shape: Shape) -> set[int]:
        """The axes that are reduced. 0 is the channels."""
        if self.dim is None:
            if len(shape) == 1:
                raise LayerError(
                    f"`reduce` needs a `dim`: a vector of {shape[0]} has no axes after the channels",
                    help=f'write `reduce("{self.op}", dim="channels")`',
                )
            return set(range(1, len(shape)))
        names = self.dim if isinstance(self.dim, tuple) else (self.dim,)
        return {dim_index(name, shape, self.kind) for name in names}

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        axes = self._axes(shape)
        values = self._values(shape)
        if self.op == "var" and values <= self.correction:
            raise LayerError(
                f"the variance of {values} value{'' if values == 1 else 's'} with a correction of "
                f"{self.correction} divides by zero",
                label=format_shape(shape, cross="x"),
                help="`correction=0` divides by the number of values",
            )
        if self.keepdim:
            return tuple(1 if axis in axes else n for axis, n in enumerate(shape))
        if len(axes) == len(shape):
            raise LayerError(
                "`reduce` with `keepdim=false` removes every axis",
                argument="keepdim",
                label=format_shape(shape, cross="x"),
                help="leave out `keepdim`; `flatten` makes a vector of one value",
            )
        return tuple(n for axis, n in enumerate(shape) if axis not in axes)

    def _values(self, shape: Shape) -> int:
        """The number of values that are reduced to one."""
        product = 1
        for axis in self._axes(shape):
            product *= shape[axis]
        return product

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return ()

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        values = self._values(inputs[0])
        groups = term(("groups", values_of(output).value))
        others = term(("(n-1)", values - 1)) * groups
        if self.op in ("max", "min"):
            return (("compare", others),)
        if self.op == "norm":
            return *per_value(inputs[0], mul=1), ("add", others), ("sqrt", groups)
        if self.op == "var":
            return (
                *(("add", others), ("div", groups)),
                *per_value(inputs[0], add=1, mul=1),
                *(("add", others), ("div", groups)),
            )
        return (("add", others), ("div", groups)) if self.op == "mean" else (("add", others),)

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """Each of the `n` values gets a share of `g`, the gradient of their result.

        For the sum it is `g`, and for the mean `g/n`. For the variance it is
        `2g/(n - correction) (x - mean)`, where the mean is recomputed. For the norm it is `g/y x`, or 0
        if the norm is 0. The maximum and the minimum divide `g` evenly among the values equal to the result,
        as `torch.amax` does. One more maximum finds these values, and counting them is not an operation on
        values.
        """
        shape = facts.inputs[0]
        values = self._values(shape)
        groups = term(("groups", values_of(facts.output).value))
        others = term(("(n-1)", values - 1)) * groups
        match self.op:
            case "sum":
                return Backward()
            case "mean":
                return Backward(operations=(("div", groups),))
            case "var":
                mean = (("add", others), ("div", groups))
                return Backward((KEPT_INPUT,), (*mean, *per_value(shape, add=1, mul=1), ("mul", groups)))
            case "norm":
                scale = (("compare", groups), ("div", groups))
                return Backward((KEPT_INPUT, KEPT_OUTPUT), (*scale, *per_value(shape, mul=1)))
        found = (("compare", others), *per_value(shape, compare=1))
        return Backward((mask(values_of(shape), instead=0),), (*found, ("div", groups)))

    def windows(self, *inputs: Shape) -> Windows:
        (shape,) = inputs
        axes = self._axes(shape)
        spatial = axes - {0}
        if not spatial:
            return Reach.SAME if self.keepdim or len(shape) == 1 else Reach.FOLDED
        if len(spatial) == len(shape) - 1 or not self.keepdim:
            return Reach.WHOLE
        return tuple(Window(n, n) if i in axes else Window(1) for i, n in enumerate(shape[1:], start=1))

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        return all_of(facts.output[0]) if 0 in self._axes(facts.inputs[0]) else channels
