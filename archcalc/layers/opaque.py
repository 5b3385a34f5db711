"""An unknown operation. Its output shape is declared, and its cost is not counted."""

from typing import Annotated, ClassVar

from archcalc.layers.arguments import LayerError, read_shape
from archcalc.layers.backward import Backward, Needs
from archcalc.layers.base import Layer, layer
from archcalc.layers.terms import NO_OPERATIONS, Facts, Operations, Reach, Weight, Windows
from archcalc.shape import Shape

MAX_OP = 200
"""The longest name of an operation, and the longest reason. Both come from files."""


def read_op(value: object) -> str:
    """The name of the operation."""
    if not isinstance(value, str) or not value.strip():
        raise LayerError("needs the name of the operation")
    if len(value) > MAX_OP or not value.isprintable():
        raise LayerError(f"needs a name of at most {MAX_OP} printable characters")
    return value


def read_arrays(value: object) -> tuple[Shape, ...]:
    """A list of shapes, such as `[64x3x3, 64]`."""
    if not isinstance(value, tuple | list):
        raise LayerError("needs a list of shapes, such as [64x3x3, 64]")
    return tuple(read_shape(shape) for shape in value)


def read_reason(value: object) -> str:
    """The reason why the operation is unknown, in a few words."""
    if not isinstance(value, str) or len(value) > MAX_OP or not (value or " ").isprintable():
        raise LayerError(f"needs at most {MAX_OP} printable characters")
    return value


@layer("opaque")
class Opaque(Layer, frozen=True):
    """An operation that archcalc does not know. Its output shape is declared.

    Its arrays count: `params` are trained, `buffers` are not. Its operations do *not* count, and its
    receptive field is the whole input, so the figures of the network are incomplete. Reports say so, and
    `archcalc check` refuses limits on figures that are incomplete. `archcalc run` cannot run it. `reason`
    says why the operation is unknown if its name does not, as in `its padding is uneven`.

    Example: input(3x32x32) -> opaque(identity, op="roll", shape=3x32x32) -> conv(8, 3)

    >>> Opaque("grid_sample", (64, 7, 9)).output_shape((64, 14, 18), (2, 7, 9))
    (64, 7, 9)
    """

    is_join: ClassVar[bool] = True
    is_opaque: ClassVar[bool] = True
    least_tensors: ClassVar[int] = 1

    op: Annotated[str, read_op]
    shape: Annotated[Shape, read_shape]
    params: Annotated[tuple[Shape, ...], read_arrays] = ()
    buffers: Annotated[tuple[Shape, ...], read_arrays] = ()
    reason: Annotated[str, read_reason] = ""

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.shape

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return tuple(
            Weight(f"{role}{number}", tuple((f"n{i}", size) for i, size in enumerate(shape, 1)), role)
            for role, shapes in (("weight", self.params), ("buffer", self.buffers))
            for number, shape in enumerate(shapes, 1)
        )

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return NO_OPERATIONS

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.WHOLE

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """It is unknown what is kept and computed. The gradients have the sizes of the inputs and arrays."""
        return Backward(known=False)
