"""Plain records of a Keras model: its layers, their calls, and the model's inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

DeclaredShape = tuple[int | None, ...]
"""A shape in Keras's order: the batch first, and `None` for an open size."""


class KerasTensor(Struct, frozen=True):
    """A result of a layer: the call, the index of the output, and the declared shape."""

    layer: str
    call: int
    output: int = 0
    shape: DeclaredShape | None = None

    @property
    def key(self) -> tuple[str, int, int]:
        return self.layer, self.call, self.output


class KerasCall(Struct, frozen=True):
    """The arguments of a layer call; each result in them is a `KerasTensor`."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]


class KerasLayer(Struct, frozen=True, kw_only=True):
    """A layer or an operation. `address` is the place of its variables in the file."""

    name: str
    kind: str
    """Its class: `Conv2D`, `ops.Add` for an operation of `keras.ops`, `Custom>Swish` for a custom class."""
    config: Mapping[str, Any]
    calls: Sequence[KerasCall] = ()
    address: str = ""
    model: KerasModel | None = None
    """The model, if the layer is one."""


class KerasModel(Struct, frozen=True, kw_only=True):
    """A model: its layers, and the results that are its inputs and outputs, with their names."""

    name: str
    kind: str
    layers: Sequence[KerasLayer]
    inputs: Sequence[tuple[str, KerasTensor]]
    outputs: Sequence[tuple[str, KerasTensor]]
    is_functional: bool = False
    """Whether it states how its layers are connected. If not, each layer follows the one before."""
    is_keras_2: bool = False
    notes: tuple[str, ...] = ()
    """Notes for people who read the network."""

    @property
    def calls(self) -> int:
        """Return the number of layer calls; a model inside it counts again for each of its calls."""
        return sum(
            max(len(layer.calls), 1) * (layer.model.calls if layer.model else 1) for layer in self.layers
        )
