"""The networks that a reader finds in a file; each is built only on request."""

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
"""The most variants to list when the user must choose one."""

MANY = 6
"""The most nets of a file to list."""

Shapes = Mapping[str, tuple[int, ...]]
"""Input shapes by name, channels first and without the batch."""


class Opened(Struct, frozen=True, eq=False, kw_only=True):
    """A network in a file of any format.

    `net` is the `NET` that opens it again. `siblings` are the names of all networks in its file that need
    no further values, including this one. `make` takes parameter values and input shapes.
    """

    name: str
    net: str
    make: Callable[[Mapping[str, Any], Shapes], Network]
    path: Path | None = None
    """Its file, if it has one."""
    family: str = ""
    """The name of its file without the suffix."""
    reference: str = ""
    """The publication as one line."""
    year: int | None = None
    """The year of the publication."""
    span: Span | None = None
    """The place of its declaration, if a text declares it."""
    parameters: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """The parameters without a value."""
    siblings: tuple[str, ...] = ()
    expectations: tuple[Expect, ...] = ()
    """The figures that its file expects."""
    texts: Callable[[], Mapping[str, str]] = dict
    """Reads the texts that declare it, by file name, its own first; empty if no text declares it."""

    @property
    def built_in(self) -> bool:
        """Whether it is one of archcalc's built-in networks, which open by name alone."""
        return self.net == self.name

    def network(self, overrides: Mapping[str, Any] | None = None, inputs: Shapes | None = None) -> Network:
        """Build the network.

        `overrides` sets its parameters, in the language's types (see `opening.exact`);
        `inputs` replaces input shapes, by name. Raises `ArchError` with every mistake found.
        """
        lacking = [name for name in self.missing if name not in (overrides or {})]
        if lacking and (known := self.variants()):
            raise self._template(lacking, known)
        return self.make(overrides or {}, inputs or {})

    def variants(self) -> list[str]:
        """Return the networks in its file whose names extend its own name, each as a `NET`."""
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
    """Return the network with this name; without a name, the one without missing values.

    If all have missing values, it is the first one. Raises `ArchError` if there is none, or if several fit.
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
