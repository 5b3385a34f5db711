"""What a name or a call can mean, once it is resolved."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from archcalc.language.values import BUILTINS
from archcalc.layers.arguments import Parameter, read_dim, read_shape, read_sizes
from archcalc.layers.base import Layer


class LocalName(Struct, frozen=True):
    """The meaning of a parameter, a label, or a name that `=` or a loop bound."""


class LayerCall(Struct, eq=False):
    """The meaning of a layer's name: its class, and the layer itself once its arguments are known.

    `by_position` is the number of arguments without names, or 0 where they are beyond doubt (see `habits`).
    """

    layer: type[Layer]
    constant: bool
    ready: Layer | None = None
    by_position: int = 0


class Reading(Struct, frozen=True):
    """The meaning of `channels`, `size`, `shape` and `identity`."""

    name: str


class InputCall(Struct, frozen=True):
    """The meaning of `input`."""


LOCAL = LocalName()


class SplitCall(Struct, frozen=True):
    """The meaning of `split`, whose value is a list of tensors."""


INPUT = InputCall()
SPLIT = SplitCall()
INPUT_PARAMETERS = (Parameter("shape", read_shape, True, None),)
SPLIT_PARAMETERS = (
    Parameter("split_size", read_sizes, True, None),
    Parameter("dim", read_dim, False, "channels"),
)
READINGS = {name: Reading(name) for name in ("channels", "size", "shape", "identity")}
RESERVED_MEANINGS: dict[str, Any] = {**READINGS, "input": INPUT, "split": SPLIT, **BUILTINS}
