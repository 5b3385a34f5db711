"""archcalc: what a convolutional network costs, exactly, and why.

The names below are the public interface; they load what they need when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from archcalc.builder import NetworkBuilder as NetworkBuilder
    from archcalc.catalog import load as load
    from archcalc.catalog import loads as loads
    from archcalc.diagnostics import ArchError as ArchError
    from archcalc.layers.arguments import LayerError as LayerError
    from archcalc.network import Network as Network
    from archcalc.network import Node as Node
    from archcalc.profile import LayerProfile as LayerProfile
    from archcalc.profile import Profile as Profile
    from archcalc.profile import analyze as analyze
    from archcalc.quantities import Figures as Figures

_HOMES = {
    "ArchError": "archcalc.diagnostics",
    "Figures": "archcalc.quantities",
    "LayerError": "archcalc.layers.arguments",
    "LayerProfile": "archcalc.profile",
    "Network": "archcalc.network",
    "NetworkBuilder": "archcalc.builder",
    "Node": "archcalc.network",
    "Profile": "archcalc.profile",
    "load": "archcalc.catalog",
    "loads": "archcalc.catalog",
    "analyze": "archcalc.profile",
}

__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module `archcalc` has no attribute `{name}`")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
