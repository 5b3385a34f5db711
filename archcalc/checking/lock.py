"""Locks as data: the figures of networks at one time. `lock_file.py` writes and reads them as text."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from archcalc.checking.digest import Digest
from archcalc.network import Network
from archcalc.profile import analyze
from archcalc.quantities import QUANTITIES, Figures
from archcalc.settings import DEFAULT as PLAIN
from archcalc.settings import Settings
from archcalc.shape import Shape, format_shape

DEFAULT = "archcalc.lock"
"""The default lock file."""

TRAINABLE = "trainable_params"
"""Locked only if it differs from `params`."""

FIGURES = ("params", "macs", "flops")
"""The figures of a layer that are locked, in addition to its shape."""


class LayerFigures(Struct, frozen=True):
    """The locked shape and figures of a layer or an input."""

    shape: Shape
    figures: tuple[int, ...]
    training: bool = False

    def line(self, path: str) -> str:
        """The layer's line in a lock file."""
        words = ["aux" if self.training else "layer", path, format_shape(self.shape, cross="x")]
        for name, value in zip(FIGURES, self.figures, strict=True):
            if value:
                words += [name, f"{value:,}"]
        return " ".join(words)


class LockedNetwork(Struct, frozen=True):
    """A locked network. `name` is the `NET` that opens it from the folder of the lock file.

    `settings` are the conditions of its figures, and the shapes of its inputs; `reached_at` names the layer
    where a maximum is reached. Either `layers` or `digest` has its layers.
    """

    name: str
    totals: Figures
    layers: dict[str, LayerFigures]
    reached_at: dict[str, str] = field(default_factory=dict)
    settings: Settings = PLAIN
    digest: Digest | None = None

    def lines_of_layers(self) -> list[str]:
        return [layer.line(path) for path, layer in self.layers.items()]


class LockedPath(Struct, frozen=True):
    """A file or folder of which all networks were locked, relative to the folder of the lock file.

    `name` ends in `?` and values for parameters, if there were any.
    """

    name: str
    settings: Settings = PLAIN


class Lock(Struct, frozen=True):
    """The networks of a lock file, the paths that were locked, and the version of archcalc that wrote it."""

    networks: Sequence[LockedNetwork]
    paths: Sequence[LockedPath] = ()
    written_by: str = ""


def figures_of(name: str, network: Network, settings: Settings = PLAIN) -> LockedNetwork:
    """The current figures of a network."""
    profile = settings.profile(network)
    whole = profile if settings.heads or not network.heads else analyze(network, heads=True)
    layers = {
        entry.name: LayerFigures(
            entry.shape, tuple(entry.own[figure] for figure in FIGURES), entry.node.training
        )
        for entry in whole.entries.values()
    }
    reached_at = {name: at(profile) for name in profile.totals if (at := QUANTITIES[name].at) is not None}
    totals = Figures(profile.totals)
    if totals[TRAINABLE] == totals["params"]:
        del totals[TRAINABLE]
    return LockedNetwork(name, totals, layers, reached_at, conditions(settings))


def conditions(settings: Settings) -> Settings:
    """The settings that a lock records. Values for parameters are in the names of networks instead."""
    return Settings(
        inputs=settings.inputs,
        batch=settings.batch,
        dtype=settings.dtype,
        heads=settings.heads,
        training=settings.training,
        optimizer=settings.optimizer,
    )
