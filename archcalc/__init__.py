"""archcalc: what a convolutional network costs, exactly, and why.

    import archcalc

    profile = archcalc.analyze("resnet50")          # a built-in network, or "net.arch", or "net.arch:name"
    print(profile)                                  # the table of `archcalc report`
    profile.totals.macs, profile["conv1/conv1"].receptive_field
    archcalc.compare("resnet50", "resnet50_v1_5")
    archcalc.check("resnet50", "macs <= 4G").ok

Networks: `load`, `loads`, `from_torch`, `from_onnx`, `from_keras`, and `NetworkBuilder` make a `Network` of
`Node`s.
Layers: `archcalc.layers` has the layer classes.
Figures: `analyze` returns a `Profile` of `LayerProfile`s. Its totals are `Figures`.
Comparisons and checks: `compare` and `check`.
Errors: `ArchError`, and `LayerError` for an impossible layer.

Each name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from archcalc.builder import NetworkBuilder as NetworkBuilder
    from archcalc.diagnostics import ArchError as ArchError
    from archcalc.interface import analyze as analyze
    from archcalc.interface import check as check
    from archcalc.interface import compare as compare
    from archcalc.interface import from_keras as from_keras
    from archcalc.interface import from_onnx as from_onnx
    from archcalc.interface import from_torch as from_torch
    from archcalc.interface import load as load
    from archcalc.interface import loads as loads
    from archcalc.interface import sweep as sweep
    from archcalc.layers.arguments import LayerError as LayerError
    from archcalc.network import Network as Network
    from archcalc.network import Node as Node
    from archcalc.profile import LayerProfile as LayerProfile
    from archcalc.profile import Profile as Profile
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
    "analyze": "archcalc.interface",
    "check": "archcalc.interface",
    "compare": "archcalc.interface",
    "from_keras": "archcalc.interface",
    "from_onnx": "archcalc.interface",
    "from_torch": "archcalc.interface",
    "load": "archcalc.interface",
    "loads": "archcalc.interface",
    "sweep": "archcalc.interface",
}

__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module `archcalc` has no attribute `{name}`")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
