"""The backward pass of a layer: the tensors it keeps, and what it computes."""

from __future__ import annotations

from msgspec import Struct

from archcalc.layers.terms import Facts, Operations, Term


class Needs(Struct, frozen=True):
    """The gradients that are needed: for which inputs, and for which of the layer's arrays, by name."""

    inputs: tuple[bool, ...]
    trained: frozenset[str] = frozenset()

    @property
    def any_input(self) -> bool:
        return any(self.inputs)


class Kept(Struct, frozen=True):
    """A tensor that is kept from the forward pass because a gradient is computed from it.

    Without `values` it is a tensor of the graph: `input` is the number of an input, or `OUTPUT` for the
    output. With `values` it is the layer's own tensor, such as a mask. It then has that many values per
    sample (or for the whole batch if `per_batch`), of `value_bytes` each (0: those of the dtype). An own
    tensor is not kept if the tensor of the graph with the number `instead` is kept anyway and has the same
    information.
    """

    name: str
    input: int = 0
    values: Term | None = None
    value_bytes: int = 0
    per_batch: bool = False
    instead: int | None = None


OUTPUT = -1
"""Stands for a layer's output next to the numbers of its inputs."""

KEPT_OUTPUT = Kept("output", OUTPUT)
KEPT_INPUT = Kept("input")


def kept_input(number: int) -> Kept:
    """The input with this number, kept."""
    return Kept(f"input {number}", number)


def mask(values: Term, instead: int | None = None) -> Kept:
    """One byte per value, which says where the gradient of the value goes."""
    return Kept("mask", values=values, value_bytes=1, instead=instead)


class Backward(Struct, frozen=True):
    """The backward pass of a layer, for the gradients that are needed.

    - `kept`: the tensors that it reads, apart from the gradient of the output and the layer's arrays.
    - `operations`: what it computes for one sample, by category. They are given for a batch of one;
      statistics of the whole batch take a few more.
    - `passes`: the inputs whose gradient is the gradient of the output itself, or a view of it. These take no
      memory. The gradient of any other input is a new tensor of the input's size.
    - `known`: whether this is complete. If not, the layer keeps and computes more, and totals are lower
      bounds.
    """

    kept: tuple[Kept, ...] = ()
    operations: Operations = ()
    passes: tuple[int, ...] = ()
    known: bool = True


def backward_of_products(facts: Facts, needs: Needs) -> Backward:
    """The backward pass of a layer that multiplies its input by `weight`, and may add `bias`.

    Each product of the forward pass is computed once more for the gradient of the input, with the gradient of
    the output in place of the input, and once more for the gradient of the weights. Only the gradient of the
    weights reads the input.
    """
    operations = []
    for category, count in facts.operations:
        if category == "macs" and needs.any_input:
            operations.append(("macs", count.of("gradient of the input")))
        if category == "macs" and "weight" in needs.trained:
            operations.append(("macs", count.of("gradient of the weights")))
        if category == "bias" and "bias" in needs.trained:
            operations.append(("add", count.of("gradient of the bias")))
    return Backward((KEPT_INPUT,) if "weight" in needs.trained else (), tuple(operations))
