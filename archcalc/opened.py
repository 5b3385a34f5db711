"""What a reader makes of a file: networks that have been found, and are made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from archcalc.diagnostics import ArchError, error, unknown
from archcalc.network import Network

if TYPE_CHECKING:
    from archcalc.diagnostics import Span
    from archcalc.expect import Expect

FEW = 3
"""As many variants are named where one must be chosen."""

MANY = 6
"""As many nets of a file are."""

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of inputs by their names, channels first and without the batch."""


class Opened(Struct, frozen=True, eq=False, kw_only=True):
    """A network in a file, whatever the format of the file.

    `net` is the `NET` that opens it again. `siblings` are the names of all networks in its file that can
    be made as they are, itself among them. `make` takes values for parameters and shapes for inputs.
    """

    name: str
    net: str
    make: Callable[[Mapping[str, Any], Shapes], Network]
    path: Path | None = None
    """Its file, if it has one."""
    family: str = ""
    """The name of its file, without the suffix."""
    reference: str = ""
    """The publication, in one line."""
    year: int | None = None
    """The year of the publication."""
    span: Span | None = None
    """Where it is declared, if it is declared in a text."""
    parameters: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """The parameters that have no value yet."""
    siblings: tuple[str, ...] = ()
    expectations: tuple[Expect, ...] = ()
    """What its file expects of its figures."""
    texts: Callable[[], Mapping[str, str]] = dict
    """Reads the texts that declare it, by the names of their files, its own first; none if no text does."""

    @property
    def built_in(self) -> bool:
        """Is it one of archcalc's own, which its name alone opens?"""
        return self.net == self.name

    def network(self, overrides: Mapping[str, Any] | None = None, inputs: Shapes | None = None) -> Network:
        """Make the network.

        `overrides` are values for its parameters, in the language's types (see `opening.exact`);
        `inputs` replaces the shapes of inputs, by their names. Raises `ArchError` with every mistake found.
        """
        lacking = [name for name in self.missing if name not in (overrides or {})]
        if lacking and (known := self.variants()):
            raise self._template(lacking, known)
        return self.make(overrides or {}, inputs or {})

    def variants(self) -> list[str]:
        """The networks of its file whose names add to its own, each as a `NET`."""
        place = self.net.removesuffix(self.name)
        return [place + name for name in self.siblings if name.startswith(self.name) and name != self.name]

    def _template(self, lacking: list[str], known: list[str]) -> ArchError:
        shown = ", ".join(f"`{net}`" for net in known[:FEW]) + (", ..." if len(known) > FEW else "")
        given = " and ".join(f"`{name}`" for name in lacking)
        return error(
            f"`{self.net}` is a template: nothing gives {given} a value",
            self.span,
            help=f"choose one of {shown}; or give a value: `--set {lacking[0]}=...`",
        )


def choose(networks: Sequence[Opened], shown: str, name: str = "") -> Opened:
    """The network of a file that has this name; without a name, the one that can be made as it is.

    Raises `ArchError` if there is none, or if there are several and no name.
    """
    if name:
        found = next((network for network in networks if network.name == name), None)
        if found is None:
            by_name = {network.name: network for network in networks}
            listed = ", ".join(f"`{each}`" for each in by_name) or "none"
            raise unknown(f"`{shown}` has no net", name, by_name, help=f"it defines {listed}")
        return found
    if not networks:
        raise error(f"`{shown}` has no net", help="declare one: `net small { ... }`")
    complete = [network for network in networks if not network.missing]
    if len(complete) > 1:
        names = ", ".join(f"`{shown}:{network.name}`" for network in complete[:MANY])
        more = f", ... ({len(complete)} in all)" if len(complete) > MANY else ""
        raise error(f"`{shown}` has several nets", help=f"name one: {names}{more}")
    return complete[0] if complete else networks[0]
