"""What an importer needs to know about a Keras model's variables, wherever they are stored."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from archcalc.shape import Shape


class StoredVariable(Struct, frozen=True):
    """A variable of a layer: its name, its shape, and whether it is trained, if that is known."""

    name: str
    shape: Shape
    is_trained: bool | None = None


class Variables(Protocol):
    """A model's variables, by the addresses of its layers: a layer's first is `address/vars/0`."""

    has_values: bool
    """Whether the values of the variables are available."""

    def of_layer(self, address: str) -> Sequence[StoredVariable]:
        """Return the variables of a layer and of the layers inside it. Raises `ArchError`."""

    def read(self, names: Collection[str]) -> Mapping[str, Any]:
        """Read variables by name, as NumPy arrays. Raises `ArchError`."""
