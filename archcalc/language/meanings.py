"""The meanings that a name or a call can have after it is resolved."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from archcalc.language.values import BUILTINS
from archcalc.layers.arguments import Parameter, read_dim, read_shape, read_sizes
from archcalc.layers.base import Layer


class LocalName(Struct, frozen=True):
    """A parameter, a label, or a name bound by `=` or by a loop."""


class LayerCall(Struct, eq=False):
    """A layer's name: its class, and the layer itself once its arguments are known.

    `by_position` is the number of arguments without names, or 0 if they are clear (see `habits`).
    """

    layer: type[Layer]
    constant: bool
    ready: Layer | None = None
    by_position: int = 0


class Reading(Struct, frozen=True):
    """`channels`, `size`, `shape`, or `identity`."""

    name: str


class InputCall(Struct, frozen=True):
    """`input`."""


LOCAL = LocalName()


class SplitCall(Struct, frozen=True):
    """`split`, whose value is a list of tensors."""


INPUT = InputCall()
SPLIT = SplitCall()
INPUT_PARAMETERS = (Parameter("shape", read_shape, True, None),)
SPLIT_PARAMETERS = (
    Parameter("split_size", read_sizes, True, None),
    Parameter("dim", read_dim, False, "channels"),
)
READINGS = {name: Reading(name) for name in ("channels", "size", "shape", "identity")}
RESERVED_MEANINGS: dict[str, Any] = {**READINGS, "input": INPUT, "split": SPLIT, **BUILTINS}
