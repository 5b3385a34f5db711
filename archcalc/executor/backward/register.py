"""What the backward pass of a layer is given and gives, and the register of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from archcalc.executor.kernel import Array, Call
from archcalc.layers.backward import Needs
from archcalc.layers.base import Layer


class Back(Struct):
    """One application of a layer, on the way back.

    `gradient` is that of the output. `inputs` and `output` have the values of the forward pass only where the
    layer says that it keeps them; others are NaN, in the right shape. `kept` are the tensors of its own that
    it keeps, by name; one that says the same as a tensor of the graph is missing if that tensor is kept.
    `weights` are the arrays as the kernel takes them. `needs` says which gradients to compute.
    """

    gradient: Array
    inputs: Sequence[Array]
    output: Array
    kept: Mapping[str, Array]
    weights: Mapping[str, Array]
    needs: Needs

    @property
    def x(self) -> Array:
        return self.inputs[0]

    @property
    def any_input(self) -> bool:
        return self.needs.any_input


Sent = tuple[Sequence[Array | None], Mapping[str, Array]]
"""The gradients of the inputs, in order, `None` where none is needed; and those of the arrays, by name."""

BackwardKernel = Callable[[Any, Back], Sent]
Keep = Callable[[Any, Call, Array], Mapping[str, Array]]
B = TypeVar("B", bound=BackwardKernel)
K = TypeVar("K", bound=Keep)

BACKWARD: dict[type[Layer], BackwardKernel] = {}
"""The backward pass of each layer kind."""

KEEPING: dict[type[Layer], Keep] = {}
"""What a layer keeps of its own, from what its kernel was given and its output."""


def run_backward(layer: Layer, back: Back) -> Sent:
    """The gradients that a layer sends."""
    return BACKWARD[type(layer)](layer, back)


def kept_by(layer: Layer, call: Call, out: Array) -> dict[str, Array]:
    """All tensors of its own that a layer may keep, by name."""
    keep = KEEPING.get(type(layer))
    return {**(call.kept or {}), **(keep(layer, call, out) if keep is not None else {})}


def backward(*kinds: type[Layer]) -> Callable[[B], B]:
    """Register a function as the backward pass of layer kinds."""

    def register(function: B) -> B:
        for kind in kinds:
            if kind in BACKWARD:
                raise TypeError(f"layer kind `{kind.kind}` has two backward passes")
            BACKWARD[kind] = function
        return function

    return register


def keeping(*kinds: type[Layer]) -> Callable[[K], K]:
    """Register a function that computes the tensors of its own that a layer may keep."""

    def register(function: K) -> K:
        KEEPING.update(dict.fromkeys(kinds, function))
        return function

    return register
