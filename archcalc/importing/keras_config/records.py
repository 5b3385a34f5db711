"""Plain records of a Keras model: its layers, what they are called with, and what it takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

DeclaredShape = tuple[int | None, ...]
"""A shape as Keras has it: the batch first, and `None` where a size is open."""


class KerasTensor(Struct, frozen=True):
    """A result of a layer: which output of which of its calls, and the shape that is declared for it."""

    layer: str
    call: int
    output: int = 0
    shape: DeclaredShape | None = None

    @property
    def key(self) -> tuple[str, int, int]:
        return self.layer, self.call, self.output


class KerasCall(Struct, frozen=True):
    """What a layer is called with: values in which results are a `KerasTensor`."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]


class KerasLayer(Struct, frozen=True, kw_only=True):
    """A layer, or an operation. `address` is the place of its variables in the file."""

    name: str
    kind: str
    """Its class: `Conv2D`, `ops.Add` for an operation of `keras.ops`, `Custom>Swish` for one of a user."""
    config: Mapping[str, Any]
    calls: Sequence[KerasCall] = ()
    address: str = ""
    model: KerasModel | None = None
    """What it is, if it is a model."""


class KerasModel(Struct, frozen=True, kw_only=True):
    """A model: its layers, and the results that are its inputs and outputs, with their names."""

    name: str
    kind: str
    layers: Sequence[KerasLayer]
    inputs: Sequence[tuple[str, KerasTensor]]
    outputs: Sequence[tuple[str, KerasTensor]]
    is_functional: bool = False
    """Does it say itself how its layers are connected? Otherwise each follows the one before."""
    is_keras_2: bool = False
    notes: tuple[str, ...] = ()
    """Sentences for those who read the network."""

    @property
    def calls(self) -> int:
        """The layers that are called, those of models in it again for each of their calls."""
        return sum(
            max(len(layer.calls), 1) * (layer.model.calls if layer.model else 1) for layer in self.layers
        )
