"""The networks that claims are about. Each is built once, however many claims name it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archcalc.catalog import open_shipped, shipped_files
from archcalc.freezing import with_frozen
from archcalc.network import Network
from archcalc.opening import open_network
from archcalc.profile import Profile, analyze
from archcalc.shape import Shape


class Networks:
    """Networks and their profiles, cached in this object."""

    def __init__(self) -> None:
        self._networks: dict[str, Network] = {}
        self._profiles: dict[tuple[int, bool, str], Profile] = {}

    def shipped(self, name: str, given: Mapping[str, Any]) -> Network:
        """A built-in network, with values for its parameters and shapes for its inputs.

        Raises `ArchError` for a name that is neither a parameter nor an input.
        """
        key = f"{name} {sorted(given.items())!r}"
        if key not in self._networks:
            opened = open_shipped(name)
            inputs: dict[str, Shape] = {}
            others = [other for other in given if other not in opened.parameters]
            if others:
                known = {"input", *self.shipped(name, {}).inputs}
                inputs = {other: _shape(given[other]) for other in others if other in known}
            values = {other: value for other, value in given.items() if other not in inputs}
            self._networks[key] = opened.network(values, inputs)
        return self._networks[key]

    def opened(self, net: str) -> Network:
        """The network of a `NET`, as on the command line. Raises `ArchError`."""
        if net in shipped_files():
            return self.shipped(net, {})
        if net not in self._networks:
            self._networks[net] = open_network(net)[1]
        return self._networks[net]

    def frozen(self, network: Network, patterns: Sequence[str]) -> Network:
        """One of these networks with the parameters of some layers frozen. Raises `ArchError`."""
        key = f"{id(network)} frozen {patterns!r}"
        if key not in self._networks:
            self._networks[key] = with_frozen(network, patterns)
        return self._networks[key]

    def profile(self, network: Network, heads: bool = False, convention: str = "") -> Profile:
        """The figures of one of these networks. Raises `ArchError` for an unknown convention."""
        key = (id(network), heads, convention)
        if key not in self._profiles:
            self._profiles[key] = analyze(network, heads=heads, convention=convention)
        return self._profiles[key]


def _shape(value: Any) -> Shape:
    return value if isinstance(value, tuple) else (value,)
