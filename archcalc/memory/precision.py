"""How many bytes a value takes, by what it is for."""

from __future__ import annotations

from msgspec import Struct

from archcalc.network import Node
from archcalc.quantities.activations import DTYPES


class Widths(Struct, frozen=True):
    """The bytes of a value: of activations, of parameters and their gradients, of optimizer state."""

    name: str
    activations: int
    parameters: int

    def of_output(self, node: Node) -> int:
        """The bytes of a value that a node outputs."""
        return self.activations


def precision(dtype: str) -> Widths:
    """Everything in one dtype."""
    return Widths(dtype, DTYPES[dtype], DTYPES[dtype])
