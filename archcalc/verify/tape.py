"""Gradients from a tape: each step of a computation is recorded, and undone from the last to the first.

Multiplications of products are counted, value by value of the summed axis. A product has a gradient for each
operand that depends on something that needs a gradient, and for no other. Nothing here is derived for a
particular layer, so the declared backward pass of a layer is compared with what the chain rule makes of its
forward formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from archcalc.executor.kernel import Array
from archcalc.verify.counting import matrix_product

Undo = Callable[[Array], Array]
"""The gradient of an operand, from the gradient of the result."""


class Tape:
    """The steps of a computation, in order, and the number of multiplications of the backward pass."""

    def __init__(self) -> None:
        self.made = 0
        self._steps: list[Traced] = []

    def array(self, array: Array, needed: bool = False) -> Traced:
        """An array to start from. `needed` says whether its gradient is needed."""
        return Traced(self, array, (), needed)

    def step(self, array: Array, *operands: tuple[Traced, Undo]) -> Traced:
        """A result that was computed from operands."""
        used = [(operand, undo) for operand, undo in operands if operand.needed]
        result = Traced(self, array, used, bool(used))
        if used:
            self._steps.append(result)
        return result

    def multiply(self, first: Traced, second: Traced) -> Traced:
        """The matrix product of arrays, which can be stretched in the axes before the last two."""
        a, b = first.array, second.array

        def counted(one: Array, other: Array, shape: tuple[int, ...]) -> Array:
            found, made = matrix_product(one, other)
            self.made += made
            return _summed_to(found, shape)

        return self.step(
            a @ b,
            (first, lambda g: counted(g, np.swapaxes(b, -1, -2), a.shape)),
            (second, lambda g: counted(np.swapaxes(a, -1, -2), g, b.shape)),
        )

    def join(self, parts: list[Traced]) -> Traced:
        """Arrays joined along the last axis."""
        ends = np.cumsum([0, *(part.array.shape[-1] for part in parts)])
        return self.step(
            np.concatenate([part.array for part in parts], axis=-1),
            *(
                (part, lambda g, start=start, end=end: g[..., start:end])
                for part, start, end in zip(parts, ends[:-1], ends[1:], strict=True)
            ),
        )

    def back(self, result: Traced, gradient: Array) -> None:
        """Propagate the gradient of a result back to everything that it depends on."""
        result.gradient = gradient
        for step in reversed(self._steps):
            if step.gradient is None:
                continue
            for operand, undo in step.operands:
                part = undo(step.gradient)
                operand.gradient = part if operand.gradient is None else operand.gradient + part


class Traced(NDArrayOperatorsMixin):
    """An array on a tape. It supports the elementwise operations of a NumPy array."""

    def __init__(self, tape: Tape, array: Array, operands: Any, needed: bool) -> None:
        self.tape, self.array, self.operands, self.needed = tape, array, operands, needed
        self.gradient: Array | None = None

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **how: Any) -> Any:
        if method != "__call__" or how or function not in SLOPES:
            return NotImplemented
        operands = [x if isinstance(x, Traced) else self.tape.array(np.asarray(x)) for x in inputs]
        arrays = [operand.array for operand in operands]
        out = function(*arrays)
        slopes = SLOPES[function](out, *arrays)

        def undone(slope: Any, shape: tuple[int, ...]) -> Undo:
            return lambda g: _summed_to(g * slope, shape)

        return self.tape.step(
            out,
            *((x, undone(slope, x.array.shape)) for x, slope in zip(operands, slopes, strict=True)),
        )

    def moved(self, forward: Undo, back: Undo) -> Traced:
        """The same values in other places."""
        return self.tape.step(forward(self.array), (self, back))

    def __getitem__(self, at: Any) -> Traced:
        def undo(gradient: Array) -> Array:
            whole = np.zeros(self.array.shape, gradient.dtype)
            whole[at] = gradient
            return whole

        return self.moved(lambda array: array[at], undo)

    def sum_of_rows(self) -> Traced:
        """The sum along the last axis, which is kept."""
        return self.moved(
            lambda array: array.sum(axis=-1, keepdims=True), lambda g: g + np.zeros(self.array.shape)
        )

    def clip(self, min: float) -> Traced:
        """Values limited from below by `min`. Limited values have no gradient."""
        above = self.array > min
        return self.moved(lambda array: np.where(above, array, min), lambda g: np.where(above, g, 0))


Slopes = Callable[..., tuple[Any, ...]]

SLOPES: dict[Any, Slopes] = {
    np.add: lambda out, a, b: (1, 1),
    np.subtract: lambda out, a, b: (1, -1),
    np.multiply: lambda out, a, b: (b, a),
    np.divide: lambda out, a, b: (1 / b, -a / (b * b)),
    np.negative: lambda out, a: (-1,),
    np.exp: lambda out, a: (out,),
    np.tanh: lambda out, a: (1 - out * out,),
}
"""The derivatives of a function with respect to each of its operands."""


def _summed_to(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The sum over all places that an operand was stretched to."""
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    stretched = tuple(i for i, (n, m) in enumerate(zip(gradient.shape, shape, strict=True)) if n != m)
    return np.asarray(gradient.sum(axis=stretched, keepdims=True))
