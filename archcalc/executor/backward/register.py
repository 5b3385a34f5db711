"""The inputs and results of the backward pass of a layer, and the registry of all backward passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from archcalc.executor.backward.computed import of_raw_arrays
from archcalc.executor.computed import with_computed_weight
from archcalc.executor.kernel import Array, Call
from archcalc.layers.backward import Needs
from archcalc.layers.base import Layer
from archcalc.layers.computed import needs_of_computed


class Back(Struct):
    """One application of a layer in the backward pass.

    `gradient` is the gradient of the output. `inputs` and `output` have the values of the forward pass only
    if the layer declares that it keeps them. Otherwise they are NaN, in the right shape. `kept` are the
    tensors of its own that it keeps, by name. A tensor of its own is missing if an equivalent tensor of the
    graph is kept. `weights` are the arrays as stored, and include the kernel's weight if it is computed.
    `needs` says which gradients to compute.
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
"""The gradients of the inputs, in order, or `None` if not needed; and those of the arrays, by name."""

BackwardKernel = Callable[[Any, Back], Sent]
Keep = Callable[[Any, Call, Array], Mapping[str, Array]]
B = TypeVar("B", bound=BackwardKernel)
K = TypeVar("K", bound=Keep)

BACKWARD: dict[type[Layer], BackwardKernel] = {}
"""The backward pass of each layer kind."""

KEEPING: dict[type[Layer], Keep] = {}
"""The tensors of its own that a layer keeps, from the kernel's inputs and its output."""


def run_backward(layer: Layer, back: Back) -> Sent:
    """The gradients that a layer computes."""
    return through_computed_weight(BACKWARD[type(layer)], layer, back)


def through_computed_weight(function: BackwardKernel, layer: Layer, back: Back) -> Sent:
    """The result of a backward pass, with the gradients of the arrays behind a computed weight."""
    way = getattr(layer, "weight", "own")
    given = replace(
        back,
        weights=with_computed_weight(layer, back.weights),
        needs=needs_of_computed(way, back.needs),
    )
    sent, arrays = function(layer, given)
    return sent, of_raw_arrays(layer, arrays, back.weights, back.needs.trained)


def kept_by(layer: Layer, call: Call, out: Array) -> dict[str, Array]:
    """All tensors of its own that a layer can keep, by name."""
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
    """Register a function that computes the tensors of its own that a layer can keep."""

    def register(function: K) -> K:
        KEEPING.update(dict.fromkeys(kinds, function))
        return function

    return register
