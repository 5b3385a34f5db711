"""The arrays of an imported model, in the form the executor takes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from archcalc.diagnostics import error
from archcalc.importing.tensors import ModelArray
from archcalc.network import Network
from archcalc.shape import format_shape

if TYPE_CHECKING:
    from archcalc.executor.kernel import Array

ReadArrays = Callable[[Collection[str]], Mapping[str, Any]]
"""Reads the model's arrays by name, all at once: NumPy arrays with the axes of the model."""


def trained_weights(
    network: Network, places: Mapping[str, Mapping[str, ModelArray]], read: ReadArrays
) -> dict[str, dict[str, Array]]:
    """Return a model's arrays by node and by name within the node, with the axes of the executor.

    Raises `ArchError` for an array that is missing, or whose shape does not match its layer.
    """
    arrays = read({stored.name for stored_of in places.values() for stored in stored_of.values()})
    weights: dict[str, dict[str, Array]] = {}
    for node in network.nodes:
        for weight in node.facts.weights if node.shares is None else ():
            stored = places.get(node.name, {}).get(weight.name)
            if stored is None or stored.name not in arrays:
                raise error(f"the model has no array for `{weight.name}` of `{node.name}`")
            array = arrays[stored.name]
            if stored.shape:
                array = array.reshape(stored.shape)
            if stored.axes:
                array = array.transpose(stored.axes)
            if stored.factor != 1:
                array = array * array.dtype.type(stored.factor)
            if array.size != weight.term.value:
                shapes = (
                    f"{format_shape(array.shape, cross='x')}, not {format_shape(weight.shape, cross='x')}"
                )
                raise error(f"`{stored.name}` of the model is {shapes}")
            weights.setdefault(node.name, {})[weight.name] = array.reshape(weight.shape)
    return weights
