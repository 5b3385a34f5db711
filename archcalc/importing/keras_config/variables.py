"""What an importer needs to know of the variables of a Keras model, wherever they are."""

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
    """The variables of a model, by the addresses of its layers: the first of one is `address/vars/0`."""

    has_values: bool
    """Are there values of them?"""

    def of_layer(self, address: str) -> Sequence[StoredVariable]:
        """The variables of a layer, those of layers within it too. Raises `ArchError`."""

    def read(self, names: Collection[str]) -> Mapping[str, Any]:
        """Variables by their names, as NumPy arrays. Raises `ArchError`."""
