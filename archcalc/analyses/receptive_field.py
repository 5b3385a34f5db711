"""The receptive field: size, effective stride and effective padding along each axis of the input.

Araujo, Norris & Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks", Sections 2, 3.
"""

from __future__ import annotations

from fractions import Fraction

from msgspec import Struct

from archcalc.layers.base import Reach, Windows
from archcalc.network import Node
from archcalc.shape import Window

Length = int | Fraction


class Field(Struct, frozen=True, gc=False):
    """What one value of a tensor sees of the input, along each axis.

    `size` is the extent (with dilation its hull), `stride` the step in the input between neighbours,
    `padding` how far the first value's field begins before the input. A global field, the whole
    input, has no sizes; where places have been rearranged, only the sizes are known.
    """

    size: tuple[Length, ...] = ()
    stride: tuple[Length, ...] = ()
    padding: tuple[Length, ...] = ()

    @property
    def is_global(self) -> bool:
        return not self.size


GLOBAL = Field()


class Misalignment(Struct, frozen=True):
    """Two branches of a join whose fields do not lie over one another."""

    node: Node
    branches: tuple[Node, Node]
    axis: int
    reason: str

    def __str__(self) -> str:
        first, second = self.branches
        return f"`{self.node.name}` joins `{first.name}` and `{second.name}`: {self.reason}"


def input_field(rank: int) -> Field:
    """The field of an input itself."""
    return Field((1,) * rank, (1,) * rank, (0,) * rank)


def through(field: Field, windows: Windows) -> Field:
    """The field of a layer's output, given that of its input."""
    if windows is Reach.SAME:
        return field
    if windows is Reach.WHOLE or not field.size:
        return GLOBAL
    if windows is Reach.MOVED:
        return Field(field.size)
    assert not isinstance(windows, Reach)
    if len(field.stride) != len(windows):
        if all(w.kernel_size == 1 and not w.transposed for w in windows):
            return Field(field.size)
        return GLOBAL
    sizes: list[Length] = []
    strides: list[Length] = []
    paddings: list[Length] = []
    for window, size, stride, padding in zip(windows, field.size, field.stride, field.padding, strict=True):
        if window.transposed:
            size, stride, padding = _transposed(window, size, stride, padding)
        else:
            size += (window.extent - 1) * stride
            padding += window.before * stride
            stride *= window.stride
        sizes.append(size)
        strides.append(stride)
        paddings.append(padding)
    return Field(tuple(sizes), tuple(strides), tuple(paddings))


def _transposed(
    window: Window, size: Length, stride: Length, padding: Length
) -> tuple[Length, Length, Length]:
    """Output `o` of a transposed window reads the inputs `i` with `0 <= o + before - i*s < extent`.

    That is at most `ceil(extent / s)` inputs; the first of output 0 is `ceil((before - extent + 1) / s)`.
    """
    inputs = -(-window.extent // window.stride)
    first = -(-(window.before - window.extent + 1) // window.stride)
    step = Fraction(stride) / Fraction(window.stride)
    return (
        size + (inputs - 1) * stride,
        step.numerator if step.denominator == 1 else step,
        padding - first * stride,
    )


def merged(node: Node, fields: list[Field]) -> tuple[Field, Misalignment | None]:
    """The field of a join: the hull of its branches', which is the widest if they are aligned.

    Branches are aligned if their effective strides and the centres of their first fields are equal.
    """
    if any(field.is_global for field in fields):
        return GLOBAL, None
    first = fields[0]
    if all(field == first for field in fields[1:]):
        return first, None
    if any(len(field.stride) != len(first.stride) for field in fields) or not first.stride:
        if all(len(field.size) == len(first.size) for field in fields):
            return Field(tuple(map(max, zip(*(field.size for field in fields), strict=True)))), None
        return GLOBAL, None
    misalignment = None
    for field, branch in zip(fields[1:], node.inputs[1:], strict=True):
        reason = _unaligned(first, field)
        if reason is not None:
            axis, text = reason
            misalignment = Misalignment(node, (node.inputs[0], branch), axis, text)
            break
    sizes, strides, paddings = [], [], []
    for axis in range(len(first.size)):
        padding = max(field.padding[axis] for field in fields)
        end = max(field.size[axis] - field.padding[axis] for field in fields)
        widest = max(fields, key=lambda field: field.size[axis])
        sizes.append(end + padding)
        strides.append(widest.stride[axis])
        paddings.append(padding)
    return Field(tuple(sizes), tuple(strides), tuple(paddings)), misalignment


def _unaligned(first: Field, second: Field) -> tuple[int, str] | None:
    for axis, (a, b) in enumerate(zip(first.stride, second.stride, strict=True)):
        if a != b:
            return axis, f"effective strides {a} and {b}"
    for axis in range(len(first.size)):
        centres = [Fraction(f.size[axis] - 1, 2) - f.padding[axis] for f in (first, second)]
        if centres[0] != centres[1]:
            return axis, f"centres {abs(centres[0] - centres[1])} pixels apart"
    return None
