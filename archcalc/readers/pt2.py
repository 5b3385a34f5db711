"""The reader of `.pt2` files, which `torch.export.save` writes. It does not need PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from archcalc.diagnostics import error
from archcalc.network import Network
from archcalc.opened import Opened, Shapes

EXPECTATIONS = False


def read(path: Path, shown: str) -> list[Opened]:
    """Read the models in a file, usually one. Raises `ArchError` if it is not a `.pt2` archive."""
    from archcalc.importing.torch_export.archive import models_in

    models = models_in(path, shown)
    names = [path.stem] if len(models) == 1 else models
    return [
        Opened(
            name=name,
            net=shown if len(models) == 1 else f"{shown}:{name}",
            make=partial(_make, path, shown, model, name),
            path=path,
            family=path.stem,
            siblings=tuple(names),
        )
        for name, model in zip(names, models, strict=True)
    ]


def _make(
    path: Path, shown: str, model: str, name: str, overrides: Mapping[str, Any], inputs: Shapes
) -> Network:
    from archcalc.importing.torch_export.archive import read_model
    from archcalc.importing.torch_export.convert import to_network

    if overrides:
        raise error(f"`{shown}` has no parameters: `{min(overrides)}` cannot be set")
    return to_network(read_model(path, shown, model, name, inputs))
