"""The options that affect every network of a command: how it is made, and how it is measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from archcalc.freezing import with_frozen
from archcalc.network import Network
from archcalc.opened import Opened, Shapes
from archcalc.opening import open_network
from archcalc.profile import Profile, analyze, check_conditions


class Settings(Struct, frozen=True):
    """Values for parameters, shapes for inputs, and the conditions of the figures.

    `set_text` is the text of the values, `width=0.5&classes=10`, as written after the `?` of a NET.
    """

    overrides: Mapping[str, Any] = {}
    set_text: str = ""
    inputs: Shapes = {}
    batch: int = 1
    dtype: str = "float32"
    heads: bool = False
    convention: str = ""
    freeze: tuple[str, ...] = ()
    """Paths and patterns of the nodes whose parameters are not trained."""
    training: bool = False
    """Also count the cost of a training step."""
    optimizer: str = "sgd"
    allow_unknown: bool = False
    """Check figures that leave out unknown operations."""

    def check(self) -> None:
        """Raise `ArchError` for conditions that no network can be measured under."""
        check_conditions(self.batch, self.dtype, self.convention, self.optimizer)

    def profile(self, network: Network) -> Profile:
        """All quantities of a network under these conditions. Raises `ArchError`."""
        return analyze(
            network,
            batch=self.batch,
            dtype=self.dtype,
            heads=self.heads,
            convention=self.convention,
            training=self.training,
            optimizer=self.optimizer,
        )

    def network(self, net: str) -> Network:
        """The network of a NET, made with these values and shapes. Raises `ArchError`."""
        return with_frozen(open_network(net, self.overrides, self.inputs)[1], self.freeze)

    def open(self, net: str) -> tuple[Opened, Profile]:
        """The network of a NET, made with these values and shapes, and its quantities. Raises `ArchError`."""
        opened, network = open_network(net, self.overrides, self.inputs)
        return opened, self.profile(with_frozen(network, self.freeze))

    def applied_to(self, net: str) -> str:
        """A NET with the values after its `?`, so that its name contains them."""
        if not self.set_text:
            return net
        return f"{net}{'&' if '?' in net else '?'}{self.set_text}"


DEFAULT = Settings()
